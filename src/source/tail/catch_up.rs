//! What a file was before it was truncated or rotated away, found again beside
//! it: a copy, another name, compressed or not.
//!
//! Only names that go on from the file's own, in the same directory, are
//! compared: `app.log.1`, `app.log-20260101.gz`, `app-20260101.log` belong to
//! `app.log`. Another log that begins with the very lines of this one must not
//! pass for a copy of it: while tflog runs, a copy is believed once its original
//! has been truncated, and read from its start if it was not.

use std::collections::HashMap;
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use flate2::read::MultiGzDecoder;
use tokio::time::Instant;

use super::about::About;
use super::entry::{Entry, InOrder, Input, is_compressed};
use super::identity::{Identity, PRINT_BYTES, Print, Trail, read_there};
use super::settle::Progress;
use super::store::Saved;
use super::table::{From, open};
use super::tailer::Tailer;
use crate::seam::{Facts, Files, Opened};

/// How long a copy may take from its beginning to the truncation.
const COPY_WAIT: Duration = Duration::from_secs(5);
/// How long what a file was is remembered: compressing follows soon.
const PAST_WAIT: Duration = Duration::from_mins(1);

/// Days for which a file is remembered that is no longer there: its disk may be
/// away.
const FORGET_DAYS: u64 = 2;

/// What a file was before it was truncated.
pub(super) struct Past {
    path: PathBuf,
    print: Print,
    trail: Trail,
    /// How far it had been read, and sent.
    read: u64,
    id: u128,
    progress: Arc<Progress>,
    ended: Instant,
}

/// What may be the copy of a file that is about to be truncated.
pub(super) struct Suspect {
    path: PathBuf,
    since: Instant,
}

impl Past {
    pub(super) fn of(entry: &Entry) -> Past {
        Past {
            path: entry.path.clone(),
            print: entry.print,
            trail: entry.trail.clone(),
            // Of a line that is not whole nothing has been sent.
            read: entry.resume,
            id: entry.stream.origin,
            progress: entry.progress.clone(),
            ended: Instant::now(),
        }
    }

    pub(super) fn is_recent(&self) -> bool {
        self.ended.elapsed() < PAST_WAIT
    }

    /// Whether a file, compressed or not, has what this one had: it begins so, and
    /// reads the same before where this one was read to.
    fn is_in(&self, files: &dyn Files, path: &Path) -> bool {
        let begins = |print: Print| begins_so(files, path, print).unwrap_or(false);
        let (at, len) = self.trail.place();
        let goes_on = || bytes_at(files, path, at, len).is_ok_and(|there| self.trail.fits(&there));
        begins(self.print) && goes_on()
    }

    /// Where a copy of so many bytes is read on. One that is shorter was made before
    /// the last of it was read.
    fn from(&self, path: &Path, facts: &Facts) -> From {
        let offset = if is_compressed(path) {
            self.read
        } else {
            self.read.min(facts.bytes)
        };
        From {
            id: self.id,
            offset,
            progress: Some(self.progress.clone()),
            print: self.print,
        }
    }
}

/// Whether a name is one that rotation gives to `original` in its directory.
fn goes_on_from(path: &Path, original: &Path) -> bool {
    if path.parent() != original.parent() || path == original {
        return false;
    }
    let (Some(name), Some(original)) = (path.file_name(), original.file_name()) else {
        return false;
    };
    let (name, original) = (name.as_bytes(), original.as_bytes());
    let separated = |rest: &[u8]| matches!(rest.first(), Some(b'.' | b'-' | b'_'));
    if name.strip_prefix(original).is_some_and(separated) {
        return true;
    }
    // The ending may have stayed behind: app-20260101.log.
    let Some(dot) = memchr::memrchr(b'.', original).filter(|dot| *dot > 0) else {
        return false;
    };
    let (stem, ending) = original.split_at(dot);
    let name = name.strip_suffix(b".gz").unwrap_or(name);
    let between = name
        .strip_prefix(stem)
        .and_then(|rest| rest.strip_suffix(ending));
    between.is_some_and(|between| separated(between) && between.iter().any(u8::is_ascii_digit))
}

impl Tailer {
    /// Whether a new file may be a copy: then it waits for what happens to its
    /// original.
    pub(super) fn is_suspect(&mut self, path: &Path, file: &dyn Opened, facts: &Facts) -> bool {
        if let Some(known) = self.suspects.iter().find(|suspect| suspect.path == path) {
            return self.is_open(known);
        }
        if self.past_of(path).is_some() {
            self.suspects.push(Suspect {
                path: path.to_path_buf(),
                since: Instant::now(),
            });
            return true;
        }
        let files = &*self.outlet.world.files;
        let original = self.entries.values().find(|entry| {
            entry.gone.is_none()
                && goes_on_from(path, &entry.path)
                && may_be_copy(files, file, facts.bytes, entry)
        });
        if original.is_none() {
            return false;
        }
        self.suspects.push(Suspect {
            path: path.to_path_buf(),
            since: Instant::now(),
        });
        true
    }

    /// Whether it is still to be decided what a file is: it has not waited long, or
    /// its original has been truncated and nobody had the time to look.
    fn is_open(&self, suspect: &Suspect) -> bool {
        let files = &*self.outlet.world.files;
        let is_rewritten = |entry: &Entry| {
            let (file, facts) = open(files, &entry.path).ok()?;
            let is_it = Identity::of(&facts) == entry.identity;
            let is_as_read =
                || facts.bytes >= entry.read && entry.print.matches(&*file).unwrap_or(true);
            Some(is_it && !is_as_read())
        };
        suspect.since.elapsed() < COPY_WAIT
            || self.entries.values().any(|entry| {
                entry.gone.is_none()
                    && goes_on_from(&suspect.path, &entry.path)
                    && is_rewritten(entry).unwrap_or(false)
            })
    }

    /// What a file beside a truncated one was the copy of.
    fn past_of(&self, path: &Path) -> Option<usize> {
        let files = &*self.outlet.world.files;
        let mut all = self.past.iter();
        all.position(|past| goes_on_from(path, &past.path) && past.is_in(files, path))
    }

    /// Reads copies whose originals have been truncated from where those had
    /// been read, and others from their start once they have waited.
    pub(super) fn settle_suspects(&mut self) {
        let suspects = std::mem::take(&mut self.suspects);
        let mut late = Vec::new();
        for suspect in suspects {
            let Ok(facts) = self.outlet.world.files.facts(&suspect.path) else {
                continue;
            };
            if self.by_identity.contains_key(&Identity::of(&facts)) {
                continue;
            }
            if let Some(place) = self.past_of(&suspect.path) {
                let past = self.past.swap_remove(place);
                if let Some(about) = self.settings.describe.about(&suspect.path) {
                    self.read_copy(&suspect.path, &past, about);
                }
            } else if self.is_open(&suspect) {
                self.suspects.push(suspect);
            } else {
                late.push(suspect);
            }
        }
        for suspect in late {
            let path = suspect.path.clone();
            // Known as one that has waited, for as long as it is looked at.
            self.suspects.push(suspect);
            self.found(path.clone());
            self.suspects.retain(|suspect| suspect.path != path);
        }
    }

    /// The copy of a file that was truncated, beside it: of several the longest, which
    /// has what the others have.
    pub(super) fn copy_of(&self, original: &Entry) -> Option<PathBuf> {
        let (world, past) = (&self.outlet.world, Past::of(original));
        // What was not read of it was written after the last look, so that no copy of
        // that is older. Clocks may be set back: then it was just made.
        let just_now = world.clock.now().0 - PAST_WAIT.as_nanos() as i64;
        let since = original.changed.0.min(just_now);
        let copies = beside(&*world.files, &original.path)
            .into_iter()
            .filter_map(|path| {
                let facts = world.files.facts(&path).ok()?;
                let is_new =
                    facts.is_file() && facts.changed.0 >= since && !self.is_certainly_known(&facts);
                (is_new && past.is_in(&*world.files, &path)).then_some((facts.bytes, path))
            });
        copies.max().map(|(_, path)| path)
    }

    /// Whether a file is one that is read. The inode of one that is not open may be
    /// another's by now.
    fn is_certainly_known(&self, facts: &Facts) -> bool {
        let key = self.by_identity.get(&Identity::of(facts));
        let entry = key.and_then(|key| self.entries.get(key));
        entry.is_some_and(|entry| entry.input.is_some() || entry.is_as_seen(facts))
    }

    /// Goes on with a file that is not open, and no longer where it was, in its copy:
    /// it may have been truncated, or compressed, before anybody looked.
    pub(super) fn go_on_elsewhere(&mut self, key: usize) {
        let Some(entry) = self.entries.get(&key) else {
            return;
        };
        let (copy, past, about) = (self.copy_of(entry), Past::of(entry), entry.about());
        self.forget(key);
        self.go_on_in(copy, past, about);
    }

    /// Reads what a file was in its copy, now or when one is found.
    pub(super) fn go_on_in(&mut self, copy: Option<PathBuf>, past: Past, about: About) {
        match copy {
            Some(copy) => self.read_copy(&copy, &past, about),
            None => self.past.push(past),
        }
    }

    /// Reads a copy from where its original had been read, at the start of a line.
    fn read_copy(&mut self, path: &Path, past: &Past, about: About) {
        let opened = open(&*self.outlet.world.files, path).and_then(|(file, facts)| {
            let from = past.from(path, &facts);
            Ok((Input::of(path, file, from.offset)?, facts, from))
        });
        let Ok((input, facts, from)) = opened else {
            return;
        };
        if let Some(&reused) = self.by_identity.get(&Identity::of(&facts)) {
            self.forget(reused);
        }
        self.leaving.retain(|leaving| leaving.id != past.id);
        self.add_beside(path, &facts, about, input, from);
    }

    /// Begins to read what a file has become: its name may be one that is not meant.
    fn add_beside(&mut self, path: &Path, facts: &Facts, about: About, input: Input, from: From) {
        self.add(path.to_path_buf(), facts, about, input, from);
        if let Some(&key) = self.by_path.get(path)
            && !self.settings.finder.means(path)
        {
            self.lost_name(key);
        }
    }

    /// Whether a file is the rest of one that was kept and is no longer what it
    /// was; then it is read from there.
    pub(super) fn is_rest_of_orphan(&mut self, path: &Path) -> bool {
        let files = &*self.outlet.world.files;
        let found = self.orphans.iter().find_map(|(id, kept)| {
            goes_on_from(path, &kept.path).then(|| rest_of(files, path, kept).map(|r| (*id, r)))?
        });
        let Some((id, (input, facts))) = found else {
            return false;
        };
        self.read_rest(path, id, input, &facts)
    }

    /// Looks for what became of files that were kept and have not been found,
    /// beside where they were. Those of which there is nothing may be there
    /// again before long.
    pub(super) fn catch_up(&mut self) {
        let files = self.outlet.world.files.clone();
        let mut names: HashMap<PathBuf, Vec<PathBuf>> = HashMap::new();
        let orphans: Vec<(u128, Saved)> = self.orphans.clone().into_iter().collect();
        let mut missing = Vec::new();
        for (id, kept) in orphans {
            let directory = kept.path.parent().unwrap_or(Path::new("")).to_path_buf();
            let beside = names
                .entry(directory)
                .or_insert_with_key(|directory| list(&*files, directory));
            // It may have had another name already when it was kept, or a link may
            // lead elsewhere now.
            let own = std::iter::once(&kept.path).chain(&kept.real);
            let same = beside.iter().filter(|path| goes_on_from(path, &kept.path));
            let found = own.chain(same).find_map(|path| {
                let (input, facts) = rest_of(&*files, path, &kept)?;
                Some((path.clone(), input, facts))
            });
            let is_read =
                found.is_some_and(|(path, input, facts)| self.read_rest(&path, id, input, &facts));
            if is_read {
                continue;
            }
            if self.today > kept.seen + FORGET_DAYS
                // Its inode is another file's now.
                || self.by_identity.contains_key(&kept.identity)
            {
                self.orphans.remove(&id);
                if let Some(store) = &mut self.store {
                    store.remove(id);
                }
            } else {
                missing.push(kept);
            }
        }
        // One line, however many there are.
        if let Some(first) = missing.first() {
            tracing::info!(
                files = missing.len(),
                "{}: {} is not there: it was read up to byte {}",
                self.settings.name,
                first.path.display(),
                first.offset
            );
        }
    }

    fn read_rest(&mut self, path: &Path, id: u128, input: Input, facts: &Facts) -> bool {
        let Some(kept) = self.orphans.remove(&id) else {
            return false;
        };
        if self.by_identity.contains_key(&Identity::of(facts)) {
            return false;
        }
        // It is read as the file that it was.
        let Some(about) = self.settings.describe.about(&kept.path) else {
            return false;
        };
        tracing::debug!(from = kept.offset, path = %path.display(), "rotated while tflog was down");
        let from = From {
            print: kept.print,
            ..From::offset(id, kept.offset)
        };
        self.add_beside(path, facts, about, input, from);
        true
    }
}

/// A file's content behind what was read of a kept one, if it reads as that did up to
/// there.
fn rest_of(files: &dyn Files, path: &Path, kept: &Saved) -> Option<(Input, Facts)> {
    let (file, facts) = open(files, path).ok()?;
    if !facts.is_file() {
        return None;
    }
    if is_compressed(path) {
        let Print { bytes, .. } = kept.trail;
        let trail = || bytes_at(files, path, kept.offset.checked_sub(bytes as u64)?, bytes).ok();
        let goes_on = || bytes == 0 || trail().is_some_and(|t| Print::of(&t) == kept.trail);
        if !begins_so(files, path, kept.print).ok()? || !goes_on() {
            return None;
        }
        return Some((Input::of(path, file, kept.offset).ok()?, facts));
    }
    let same = Identity::of(&facts) == kept.identity || kept.print.bytes > 0;
    let fits = same && facts.bytes >= kept.offset && kept.is_read_of(&*file).ok()?;
    fits.then_some((Input::Plain(file), facts))
}

/// Whether a file's content begins so; nothing does if that says nothing.
fn begins_so(files: &dyn Files, path: &Path, print: Print) -> io::Result<bool> {
    Ok(print.bytes > 0 && Print::of(&bytes_at(files, path, 0, print.bytes)?) == print)
}

/// A part of a file's content, which may be compressed: as much as there is of it.
fn bytes_at(files: &dyn Files, path: &Path, at: u64, len: usize) -> io::Result<Vec<u8>> {
    let (file, _) = open(files, path)?;
    let mut bytes = Vec::with_capacity(len);
    let len = len as u64;
    if is_compressed(path) {
        let mut decoder = MultiGzDecoder::new(InOrder { file, at: 0 });
        io::copy(&mut decoder.by_ref().take(at), &mut io::sink())?;
        decoder.take(len).read_to_end(&mut bytes)?;
    } else {
        InOrder { file, at }.take(len).read_to_end(&mut bytes)?;
    }
    Ok(bytes)
}

/// Whether a file, perhaps still being written, begins as a known one does.
fn may_be_copy(files: &dyn Files, file: &dyn Opened, size: u64, original: &Entry) -> bool {
    let print = original.print;
    if size >= print.bytes as u64 {
        return print.bytes > 0 && print.matches(file).unwrap_or(false);
    }
    let alike = || -> io::Result<bool> {
        let (other, _) = open(files, &original.path)?;
        let (mut one, mut two) = ([0; PRINT_BYTES], [0; PRINT_BYTES]);
        let bytes = PRINT_BYTES.min(size as usize);
        let one = read_there(file, 0, &mut one[..bytes])?;
        Ok(read_there(&*other, 0, &mut two[..bytes])? == one)
    };
    alike().unwrap_or(false)
}

/// The paths of a file's directory, whose names go on from its own.
pub(super) fn beside(files: &dyn Files, path: &Path) -> Vec<PathBuf> {
    let mut paths = list(files, path.parent().unwrap_or(Path::new("")));
    paths.retain(|other| goes_on_from(other, path));
    paths
}

fn list(files: &dyn Files, directory: &Path) -> Vec<PathBuf> {
    let names = files.list(directory).unwrap_or_default();
    let mut paths: Vec<_> = names
        .into_iter()
        .map(|(name, _)| directory.join(name))
        .collect();
    paths.sort_unstable();
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rotated_names_go_on_from_their_own() {
        let goes = |name: &str, original: &str| {
            goes_on_from(&Path::new("/a").join(name), &Path::new("/a").join(original))
        };
        for name in [
            "app.log.1",
            "app.log.1.gz",
            "app.log-20260101",
            "app.log.2026-01-01-00",
            "app-20260101.log",
            "app-20260101.log.gz",
            "app.1.log",
        ] {
            assert!(goes(name, "app.log"), "{name}");
        }
        for name in [
            "app.log",
            "app.logs",
            "app2.log",
            "app-debug.log",
            "other.log",
            "app10.log",
        ] {
            assert!(!goes(name, "app.log"), "{name}");
        }
        assert!(!goes("worker-10.log", "worker-1.log"));
        assert!(goes("0.log.20260101-000000.gz", "0.log"));
        assert!(!goes_on_from(
            Path::new("/b/app.log.1"),
            Path::new("/a/app.log")
        ));
    }
}
