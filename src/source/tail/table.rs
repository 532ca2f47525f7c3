//! Which files there are, under which names, and which of them are open.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Start;
use super::about::{About, Known};
use super::entry::{Entry, Input};
use super::find::{Place, Visit};
use super::identity::{Identity, Print, Trail};
use super::rotate::Busy;
use super::settle::Progress;
use super::tailer::Tailer;
use super::watch::{Hint, Watch};
use crate::event::Stream;
use crate::seam::{Facts, Files, Opened};

/// Where a file's reading begins.
pub(super) struct From {
    pub(super) id: u128,
    pub(super) offset: u64,
    /// Of what was read of it before, if that is still on its way.
    pub(super) progress: Option<Arc<Progress>>,
    /// How its content begins, as far as that is known: of a compressed file it
    /// cannot be seen.
    pub(super) print: Print,
}

impl From {
    pub(super) fn offset(id: u128, offset: u64) -> From {
        From {
            id,
            offset,
            progress: None,
            print: Print::default(),
        }
    }
}

/// What visiting directories finds.
struct Found<'a> {
    looked_at: &'a dyn Files,
    watch: &'a mut Watch,
    files: Vec<PathBuf>,
    refused: Vec<(PathBuf, io::Error)>,
}

impl Visit for Found<'_> {
    fn files(&self) -> &dyn Files {
        self.looked_at
    }

    fn directory(&mut self, path: &Path, place: Place) {
        self.watch.directory(path, place);
    }

    fn file(&mut self, path: PathBuf) {
        self.files.push(path);
    }

    fn refused(&mut self, path: &Path, error: &io::Error) {
        let error = io::Error::new(error.kind(), error.to_string());
        self.refused.push((path.to_path_buf(), error));
    }
}

/// Opens a file to be read.
pub(super) fn open(files: &dyn Files, path: &Path) -> io::Result<(Box<dyn Opened>, Facts)> {
    let file = files.open(path)?;
    let facts = file.facts()?;
    Ok((file, facts))
}

impl Tailer {
    /// Visits with `visit`; the files that were found.
    fn visit(&mut self, visit: impl FnOnce(&super::find::Finder, &mut Found)) -> Vec<PathBuf> {
        let mut found = Found {
            looked_at: &*self.outlet.world.files,
            watch: &mut self.watch,
            files: Vec::new(),
            refused: Vec::new(),
        };
        visit(&self.settings.finder, &mut found);
        let Found { files, refused, .. } = found;
        for (path, error) in refused {
            self.refuse(&path, &error);
        }
        files
    }

    /// Says once why a path cannot be looked at.
    pub(super) fn refuse(&mut self, path: &Path, error: &io::Error) {
        if self.refused.insert(path.to_path_buf()) {
            let (name, path) = (&self.settings.name, path.display());
            tracing::warn!("{name}: {path}: cannot read: {error}; looking again now and then");
        }
    }

    /// The first look: finds again what was kept.
    pub(super) fn look_first(&mut self) {
        self.looks += 1;
        self.first = true;
        let mut files = self.visit(|finder, found| finder.all(found));
        // In the order of their names, so that files read once come in theirs.
        files.sort_unstable();
        if files.is_empty() && self.settings.once {
            tracing::warn!("{}: no file is there", self.settings.name);
        }
        let is_kept = |path: &PathBuf| {
            let opened = open(&*self.outlet.world.files, path);
            opened.is_ok_and(|(file, facts)| self.kept_as(&*file, &facts).is_some())
        };
        let (kept, new): (Vec<_>, Vec<_>) = files.into_iter().partition(is_kept);
        for path in kept {
            self.found(path);
        }
        self.take_over();
        // Others may be copies of those that were.
        for path in new {
            if !self.is_rest_of_orphan(&path) {
                self.found(path);
            }
        }
        self.catch_up();
        self.first = false;
    }

    pub(super) fn look_at_all(&mut self) {
        self.looks += 1;
        for path in self.visit(|finder, found| finder.all(found)) {
            self.found(path);
        }
        let unseen = self
            .entries
            .values()
            .filter(|entry| entry.gone.is_none() && entry.seen != self.looks);
        for path in unseen.map(|entry| entry.path.clone()).collect::<Vec<_>>() {
            self.check_name(&path);
        }
    }

    /// Looks where a hint says.
    pub(super) fn heed(&mut self, hint: Hint) {
        match hint {
            Hint::Changed(key) => self.enqueue(key),
            Hint::Moved(key) => {
                self.enqueue(key);
                let entry = self.entries.get(&key);
                if let Some(path) = entry.map(|entry| entry.path.clone()) {
                    self.check_name(&path);
                }
            }
            Hint::Named {
                directory,
                places,
                name,
            } => {
                let files = self.visit(|finder, found| {
                    for place in places {
                        finder.enter(&directory, place, &name, found);
                    }
                });
                for path in files {
                    self.found(path);
                }
                self.check_name(&directory.join(name));
            }
            Hint::Lost => {}
        }
    }

    /// Whether the file of that name is still there under it.
    fn check_name(&mut self, path: &Path) {
        let Some(&key) = self.by_path.get(path) else {
            return;
        };
        let identity = self.entries.get(&key).map(|entry| entry.identity);
        match self.outlet.world.files.facts(path) {
            Ok(facts) if Some(Identity::of(&facts)) == identity => {}
            // It may be there, and nobody may look.
            Err(error) if error.kind() != io::ErrorKind::NotFound => self.refuse(path, &error),
            _ => self.lost_name(key),
        }
    }

    /// A file that is meant stands there, or something else does.
    pub(super) fn found(&mut self, path: PathBuf) {
        let facts = match self.outlet.world.files.facts(&path) {
            Ok(facts) if facts.is_file() => facts,
            Ok(_) => return,
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    self.refuse(&path, &error);
                }
                return;
            }
        };
        let identity = Identity::of(&facts);
        if let Some(&key) = self.by_identity.get(&identity)
            && !self.is_reused(key, &path, &facts)
        {
            self.found_again(key, path, &facts);
            return;
        }
        if let Some(&key) = self.by_path.get(&path) {
            self.lost_name(key);
        }
        self.found_new(path, &facts);
    }

    /// Whether an inode that was known has been used for another file. It cannot
    /// be while the file is open.
    fn is_reused(&mut self, key: usize, path: &Path, facts: &Facts) -> bool {
        let Some(entry) = self.entries.get(&key) else {
            return true;
        };
        if entry.input.is_some() || entry.is_as_seen(facts) {
            return false;
        }
        let print = entry.print;
        let opened = || open(&*self.outlet.world.files, path);
        let same = facts.bytes >= entry.read
            && opened().is_ok_and(|(file, _)| print.matches(&*file).unwrap_or(false));
        if !same {
            // Truncated, or another file in its place: it may have been copied.
            self.go_on_elsewhere(key);
        }
        !same
    }

    /// A file that is known, perhaps under a new name.
    fn found_again(&mut self, key: usize, path: PathBuf, facts: &Facts) {
        let looks = self.looks;
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        entry.seen = looks;
        if facts.bytes != entry.read || !entry.is_as_seen(facts) {
            entry.size = facts.bytes;
            self.enqueue(key);
        }
        let files = &*self.outlet.world.files;
        let Some(entry) = self.entries.get_mut(&key) else {
            return;
        };
        if entry.path == path && entry.gone.is_none() {
            return;
        }
        // Of several names the first is it, as long as it is one.
        let is_still = |path: &Path, identity| {
            files
                .facts(path)
                .is_ok_and(|facts| Identity::of(&facts) == identity)
        };
        if entry.gone.is_none() && is_still(&entry.path, entry.identity) {
            return;
        }
        let before = std::mem::replace(&mut entry.path, path.clone());
        entry.gone = None;
        let saved = entry.saved_on(self.today);
        let id = entry.stream.origin;
        if self.by_path.get(&before) == Some(&key) {
            self.by_path.remove(&before);
        }
        let other = self.by_path.insert(path, key);
        if let Some(other) = other.filter(|other| *other != key) {
            self.mark_gone(other);
        }
        if let Some(store) = &mut self.store {
            store.put(id, saved);
        }
    }

    /// A file that is not known.
    fn found_new(&mut self, path: PathBuf, facts: &Facts) {
        let old = self.settings.ignore_older.is_some_and(|age| {
            let now = self.outlet.world.clock.now();
            let since = now.0.saturating_sub(facts.changed.0);
            u64::try_from(since).is_ok_and(|since| Duration::from_nanos(since) > age)
        });
        let ending = path.extension().and_then(|ending| ending.to_str());
        let compressed = matches!(ending, Some("gz" | "zst"));
        // Followed, they are what rotation made of what was read.
        let readable = !compressed || (self.settings.once && ending == Some("gz"));
        if old || !readable {
            return;
        }
        let Some(about) = self.settings.describe.about(&path) else {
            return;
        };
        let (file, facts) = match open(&*self.outlet.world.files, &path) {
            Ok((file, facts)) if facts.is_file() => (file, facts),
            Ok(_) => return,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.refuse(&path, &error),
        };
        self.refused.remove(&path);
        if self.by_identity.contains_key(&Identity::of(&facts)) {
            // Another file than a moment ago: the next look sees to it.
            return;
        }
        // The process before may have ended while a copy was made.
        let goes_on = self.store.as_ref().is_some_and(|store| !store.is_new);
        if (!self.first || goes_on) && self.is_suspect(&path, &*file, &facts) {
            return;
        }
        let (id, offset) = self.resumption(&path, &*file, &facts);
        match Input::of(&path, file, offset) {
            Ok(input) => {
                let from = From::offset(id, offset);
                self.add(path, &facts, about, input, from);
            }
            Err(error) => self.refuse(&path, &error),
        }
    }

    /// As which kept file one is known, and up to where that was read. One that was
    /// truncated meanwhile is another: what it was may be beside it.
    fn kept_as(&self, file: &dyn Opened, facts: &Facts) -> Option<(u128, u64)> {
        let ids = self.kept.get(&Identity::of(facts))?.iter();
        let kept = ids.filter_map(|id| Some((*id, self.orphans.get(id)?)));
        let kept = kept.filter(|(_, kept)| {
            facts.bytes >= kept.offset && kept.is_read_of(file).unwrap_or(false)
        });
        let best = kept.max_by_key(|(_, kept)| kept.print.bytes);
        best.map(|(id, kept)| (id, kept.offset))
    }

    /// The id of a file's events, and where to begin.
    fn resumption(&mut self, path: &Path, file: &dyn Opened, facts: &Facts) -> (u128, u64) {
        if let Some((id, offset)) = self.kept_as(file, facts) {
            self.orphans.remove(&id);
            return (id, offset);
        }
        let fresh = self.outlet.world.random.u128();
        let first = self.first && self.store.as_ref().is_none_or(|store| store.is_new);
        if first && self.settings.start == Start::End {
            tracing::debug!(path = %path.display(), "begins at its end");
            return (fresh, facts.bytes);
        }
        (fresh, 0)
    }

    /// Begins to read a file.
    pub(super) fn add(
        &mut self,
        path: PathBuf,
        facts: &Facts,
        about: About,
        input: Input,
        from: From,
    ) {
        let known = Known::first(&about, self.settings.describe.patience());
        let stream = Arc::new(Stream {
            source: self.outlet.source,
            origin: from.id,
            meta: about.meta,
        });
        let progress = from.progress;
        let progress = progress.unwrap_or_else(|| Progress::new(from.offset, self.open.clone()));
        let framer = known.framer(&self.settings.framer);
        let mut entry = Entry::new(path.clone(), facts, stream, framer, progress, from.offset);
        (entry.seen, entry.known) = (self.looks, known);
        let is_real = |real: &PathBuf| *real != path;
        entry.real = self.outlet.world.files.real(&path).ok().filter(is_real);
        let bytes = facts.bytes.saturating_sub(from.offset);
        self.extent.bytes_total.fetch_add(bytes, Ordering::Relaxed);
        let key = self.next_key;
        self.next_key += 1;
        entry.print = from.print;
        if let Input::Plain(file) = &input {
            entry.trail = Trail::before(&**file, from.offset).unwrap_or_default();
            entry.print = Print::before(&**file, facts.bytes).unwrap_or_default();
            entry.watch = self.watch.file(&**file, key);
        }
        if let Some(store) = &mut self.store {
            store.put(from.id, entry.saved_on(self.today));
            self.unsaved = true;
        }
        self.by_identity.insert(entry.identity, key);
        self.by_path.insert(path, key);
        self.entries.insert(key, entry);
        self.set_input(key, input);
        self.enqueue(key);
    }

    /// Keeps a file open, and another one not, where there are too many.
    fn set_input(&mut self, key: usize, input: Input) {
        // What rests, else what has no turn ahead, else the one that is open for longest:
        // of a file that is removed while it is closed the rest is lost.
        for least in [Busy::Rests, Busy::Waits, Busy::Reads] {
            for _ in 0..self.opened.len() {
                if self.open_files < self.settings.open_max {
                    break;
                }
                let Some(other) = self.opened.pop_front() else {
                    break;
                };
                match self.entries.get(&other) {
                    None => {}
                    Some(entry) if entry.input.is_none() => {}
                    Some(entry) if entry.busy() <= least && entry.may_close() => {
                        self.close(other);
                    }
                    Some(_) => self.opened.push_back(other),
                }
            }
        }
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.input.replace(input).is_none()
        {
            self.open_files += 1;
            self.opened.push_back(key);
        }
    }

    pub(super) fn close(&mut self, key: usize) {
        if let Some(entry) = self.entries.get_mut(&key)
            && entry.input.take().is_some()
        {
            self.open_files -= 1;
            if self.opened.len() > 2 * self.settings.open_max {
                let entries = &self.entries;
                let is_open = |key: &usize| entries.get(key).is_some_and(|e| e.input.is_some());
                self.opened.retain(is_open);
            }
        }
    }

    /// Opens a file again that was closed; false if it cannot be read.
    pub(super) fn ensure_open(&mut self, key: usize) -> bool {
        let Some(entry) = self.entries.get(&key) else {
            return false;
        };
        if entry.input.is_some() {
            return true;
        }
        let (path, identity, read) = (entry.path.clone(), entry.identity, entry.read);
        let opened = open(&*self.outlet.world.files, &path);
        let input = opened.and_then(|(file, facts)| {
            let is_it = Identity::of(&facts) == identity;
            is_it.then(|| Input::of(&path, file, read)).transpose()
        });
        match input {
            Ok(Some(input)) => {
                self.set_input(key, input);
                true
            }
            Ok(None) => {
                self.lost_name(key);
                false
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.lost_name(key);
                false
            }
            Err(error) => {
                self.refuse(&path, &error);
                false
            }
        }
    }
}
