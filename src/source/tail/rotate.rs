//! What becomes of files that are renamed, removed, truncated or written anew.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::Instant;

use super::about::About;
use super::catch_up::{Past, beside};
use super::entry::{Entry, Input};
use super::identity::Identity;
use super::store::Saved;
use super::table::From;
use super::tailer::{Leaving, Tailer};
use crate::seam::{Facts, Files};
use crate::source::SourceError;

/// How long a file that lost its name must rest before its descriptor is let
/// go: programs go on writing to it until they open the new one.
const ROTATE_WAIT: Duration = Duration::from_secs(5);
/// How long after that it is still looked at, if it has another name.
const GONE_WAIT: Duration = Duration::from_mins(10);

/// What a file does.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Busy {
    /// It has not grown for a while.
    Rests,
    /// It has, and has no turn ahead.
    Waits,
    /// It has one.
    Reads,
}

impl Tailer {
    /// A file is no longer where it was.
    pub(super) fn lost_name(&mut self, key: usize) {
        if let Some(entry) = self.entries.get(&key)
            && self.by_path.get(&entry.path) == Some(&key)
        {
            self.by_path.remove(&entry.path);
        }
        self.mark_gone(key);
    }

    pub(super) fn mark_gone(&mut self, key: usize) {
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        if entry.gone.is_none() {
            entry.gone = Some(entry.path.clone());
            entry.grown = Instant::now();
            entry.follow_name(&*self.outlet.world.files);
            self.keep(key);
            self.enqueue(key);
        }
    }

    /// Files that lost their names: the new ones in their places may come later,
    /// and those that rest are let go.
    pub(super) async fn see_to_gone(&mut self) -> Result<(), SourceError> {
        let gone = self
            .entries
            .iter()
            .filter(|(_, entry)| entry.gone.is_some());
        let keys: Vec<usize> = gone.map(|(key, _)| *key).collect();
        for key in keys {
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            let rests = entry.grown.elapsed();
            #[cfg(test)]
            let rests = rests.max(forgotten());
            let was = entry.gone.clone().unwrap_or_default();
            if rests < ROTATE_WAIT {
                self.enqueue(key);
                if !self.by_path.contains_key(&was) && self.settings.finder.means(&was) {
                    self.found(was);
                }
            } else if entry.queued {
                // Its turn says whether it still grows.
            } else if rests < GONE_WAIT && entry.has_more() {
                // Nobody looked while the pipeline had no room.
                self.enqueue(key);
            } else if entry.input.is_some() {
                let wholly = entry.is_unlinked();
                entry.finish(&self.outlet).await?;
                self.note_moved();
                // What is given up could not be read again.
                let is_done = self.entries.get(&key).is_some_and(Entry::is_done);
                if is_done {
                    self.retire(key, wholly).await?;
                }
            } else {
                match entry.size_now(&*self.outlet.world.files) {
                    Some(size) if size != entry.read => self.enqueue(key),
                    Some(_) if rests < GONE_WAIT => {}
                    None if !entry.was_ended => self.go_on_elsewhere(key),
                    _ => self.forget(key),
                }
            }
        }
        Ok(())
    }

    /// Ends the last line of a file, and lets go of its descriptor, or of all
    /// that is known of it.
    pub(super) async fn retire(&mut self, key: usize, wholly: bool) -> Result<(), SourceError> {
        if let Some(entry) = self.entries.get_mut(&key) {
            entry.finish(&self.outlet).await?;
            entry.was_ended = true;
        }
        self.close(key);
        if wholly {
            self.forget(key);
        }
        Ok(())
    }

    /// Knows a file no longer; its batches may still be on their way.
    pub(super) fn forget(&mut self, key: usize) {
        self.close(key);
        let Some(entry) = self.entries.remove(&key) else {
            return;
        };
        if self.by_identity.get(&entry.identity) == Some(&key) {
            self.by_identity.remove(&entry.identity);
        }
        if self.by_path.get(&entry.path) == Some(&key) {
            self.by_path.remove(&entry.path);
        }
        if let Some(watch) = entry.watch {
            self.watch.forget_file(watch);
        }
        self.leaving.push(Leaving {
            id: entry.stream.origin,
            progress: entry.progress,
        });
        self.note_moved();
    }

    /// A file was truncated or written anew: what it was is over.
    pub(super) async fn begin_anew(&mut self, key: usize) -> Result<(), SourceError> {
        let Some(entry) = self.entries.get(&key) else {
            return Ok(());
        };
        let copy = self.copy_of(entry);
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(());
        };
        if copy.is_none() {
            // Nothing will follow.
            entry.finish(&self.outlet).await?;
        }
        let past = Past::of(entry);
        let (path, gone, input) = (entry.path.clone(), entry.gone.clone(), entry.input.take());
        let about = entry.about();
        if input.is_some() {
            self.open_files -= 1;
        }
        self.forget(key);
        self.go_on_in(copy, past, about.clone());
        let Some(Input::Plain(file)) = input else {
            return Ok(());
        };
        let facts = match file.facts() {
            Ok(facts) => facts,
            Err(error) => {
                self.refuse(&path, &error);
                return Ok(());
            }
        };
        let from = From::offset(self.outlet.world.random.u128(), 0);
        let input = Input::Plain(file);
        match gone {
            Some(gone) => self.add_gone((path, gone), &facts, about, input, from),
            None => self.add(path, &facts, about, input, from),
        }
        self.settle_suspects();
        Ok(())
    }

    /// Begins to read a file that is where it is, but had another name when it was
    /// found.
    pub(super) fn add_gone(
        &mut self,
        (path, gone): (PathBuf, PathBuf),
        facts: &Facts,
        about: About,
        input: Input,
        from: From,
    ) {
        let there = self.by_path.get(&path).copied();
        self.add(path.clone(), facts, about, input, from);
        if let Some(key) = self.by_path.remove(&path) {
            // The name may be another file's by now.
            self.by_path.extend(there.map(|there| (path, there)));
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.gone = Some(gone);
            }
            self.keep(key);
        }
    }

    /// More is known of a file: how it begins, or what its name is now.
    pub(super) fn keep(&mut self, key: usize) {
        if let Some(entry) = self.entries.get(&key)
            && let Some(store) = &mut self.store
        {
            store.put(entry.stream.origin, entry.saved_on(self.today));
        }
    }
}

/// How long a file is taken to have rested at least.
#[cfg(test)]
fn forgotten() -> Duration {
    if crate::seam::mutant::Mutant::RotatedForgotten.is_on() {
        ROTATE_WAIT + GONE_WAIT
    } else {
        Duration::ZERO
    }
}

impl Entry {
    /// What is to be kept of it, on a day from 1970 on.
    pub(super) fn saved_on(&self, day: u64) -> Saved {
        let was = self.gone.as_ref();
        let moved = was.map(|_| &self.path).filter(|path| was != Some(path));
        Saved {
            identity: self.identity,
            print: self.print,
            path: was.unwrap_or(&self.path).clone(),
            real: moved.or(self.real.as_ref()).cloned(),
            offset: self.saved,
            trail: self.trail.print_before(self.saved),
            seen: day,
        }
    }

    /// How likely it is to be read soon.
    pub(super) fn busy(&self) -> Busy {
        if self.queued {
            Busy::Reads
        } else if self.grown.elapsed() < ROTATE_WAIT {
            Busy::Waits
        } else {
            Busy::Rests
        }
    }

    /// Whether it can be opened again, as far as its names say now.
    pub(super) fn may_close(&self) -> bool {
        let is_plain = matches!(self.input, Some(Input::Plain(_)));
        is_plain && self.gone.is_none() && !self.is_unlinked()
    }

    /// Whether only who has it open can read it.
    pub(super) fn has_no_name(&self) -> bool {
        matches!(self.input, Some(Input::Plain(_))) && self.is_unlinked()
    }

    /// Whether it has no name any more.
    fn is_unlinked(&self) -> bool {
        match &self.input {
            Some(Input::Plain(file)) => file.facts().is_ok_and(|facts| facts.names == 0),
            _ => true,
        }
    }

    /// Whether it is longer than what was read, as long as it is open.
    fn has_more(&self) -> bool {
        match &self.input {
            Some(Input::Plain(file)) => file.facts().is_ok_and(|facts| facts.bytes > self.read),
            _ => false,
        }
    }

    /// The size of a file that is not open, if it is still there.
    fn size_now(&self, files: &dyn Files) -> Option<u64> {
        let facts = files.facts(&self.path).ok()?;
        (Identity::of(&facts) == self.identity).then_some(facts.bytes)
    }

    /// Learns the new name of a file that was renamed.
    fn follow_name(&mut self, files: &dyn Files) {
        let is_it = |path: &PathBuf| {
            let facts = files.facts(path);
            facts.is_ok_and(|facts| Identity::of(&facts) == self.identity)
        };
        let path = if let Some(Input::Plain(file)) = &self.input {
            file.name().filter(is_it)
        } else {
            beside(files, &self.path).into_iter().find(is_it)
        };
        if let Some(path) = path {
            self.path = path;
        }
    }
}
