//! The end of a run, and what it leaves to the next source of its name.
//!
//! Positions say how far a file was read, and its name where it is. One that was
//! removed, or renamed out of sight, has none: only who has it open can read on.
//! A reload that puts another tail in this one's place therefore hands over files
//! as they are open; of what has no name the next one reads the rest. Where there
//! is no next one, removed files are read to their end as it is then, as far as the
//! time for reading goes.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::{Instant, timeout};

use super::entry::{Entry, Input, Turn};
use super::identity::{Identity, Print};
use super::table::From;
use super::tailer::{CHECKPOINT, Tailer};
use crate::seam::Opened;
use crate::source::SourceError;

/// What tails of one name leave to each other, one after the other.
#[derive(Default)]
pub struct Legacy(Mutex<State>);

#[derive(Default)]
struct State {
    /// Of the last one.
    number: usize,
    files: Vec<Left>,
}

/// A file that was open.
struct Left {
    id: u128,
    offset: u64,
    print: Print,
    path: PathBuf,
    gone: Option<PathBuf>,
    file: Box<dyn Opened>,
}

/// One tail's part in it.
#[derive(Default)]
pub(super) struct Part {
    all: Arc<Legacy>,
    number: usize,
}

impl Legacy {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Part {
    /// That of the next tail.
    pub(super) fn next(all: Arc<Legacy>) -> Part {
        let number = {
            let mut state = all.state();
            state.number += 1;
            state.number
        };
        Part { all, number }
    }

    pub(super) fn all(&self) -> &Arc<Legacy> {
        &self.all
    }

    fn has_heir(&self) -> bool {
        self.all.state().number > self.number
    }
}

impl Tailer {
    /// Ends a run: what was sent is waited for and written down. What nobody would
    /// read the rest of is read now.
    pub(super) async fn end(&mut self) -> Result<(), SourceError> {
        let keys: Vec<usize> = self.entries.keys().copied().collect();
        for key in keys {
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            let is_found_again = self.settings.once
                || self.store.is_some() && (self.legacy.has_heir() || !entry.has_no_name());
            if !is_found_again {
                self.drain(key).await?;
            } else if entry.holds_within() {
                entry.flush(&self.outlet).await?;
            }
        }
        self.note_moved();
        while timeout(CHECKPOINT, self.open.none()).await.is_err() {
            self.note_moved();
            self.checkpoint();
        }
        self.note_moved();
        self.checkpoint();
        self.save(true);
        if self.legacy.has_heir() {
            self.leave();
        }
        Ok(())
    }

    /// Reads a file to its end as it is now, and ends its last line.
    async fn drain(&mut self, key: usize) -> Result<(), SourceError> {
        if !self.ensure_open(key) {
            return Ok(());
        }
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(());
        };
        let expired = || self.stop.deadline().is_some_and(|d| d <= Instant::now());
        while !expired() && entry.turn(&self.outlet).await? == Turn::More {}
        entry.finish(&self.outlet).await
    }

    fn leave(&mut self) {
        #[cfg(test)]
        if crate::seam::mutant::Mutant::LegacyDropped.is_on() {
            return;
        }
        let left = std::mem::take(&mut self.entries)
            .into_values()
            .filter_map(Left::of);
        self.legacy.all.state().files.extend(left);
    }

    /// Reads on what one before had open and no name leads to.
    pub(super) fn take_over(&mut self) {
        let left = std::mem::take(&mut self.legacy.all.state().files);
        for left in left {
            let name = left.gone.as_ref().unwrap_or(&left.path);
            let Ok(facts) = left.file.facts() else {
                continue;
            };
            if self.by_identity.contains_key(&Identity::of(&facts))
                || !self.settings.finder.means(name)
            {
                continue;
            }
            let Some(about) = self.settings.describe.about(name) else {
                continue;
            };
            let begins = left.print.matches(&*left.file).unwrap_or(false);
            let from = if begins && facts.bytes >= left.offset {
                self.orphans.remove(&left.id);
                From::offset(left.id, left.offset)
            } else {
                // It was truncated meanwhile.
                From::offset(self.outlet.world.random.u128(), 0)
            };
            let paths = (left.path.clone(), name.clone());
            self.add_gone(paths, &facts, about, Input::Plain(left.file), from);
        }
    }
}

impl Left {
    fn of(entry: Entry) -> Option<Left> {
        let Some(Input::Plain(file)) = entry.input else {
            return None;
        };
        Some(Left {
            id: entry.stream.origin,
            offset: entry.progress.settled(),
            print: entry.print,
            path: entry.path,
            gone: entry.gone,
            file,
        })
    }
}
