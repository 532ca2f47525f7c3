//! Making records durable without holding on to the log meanwhile.

use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use super::format::Place;
use super::mutant::{self, Mutant};
use crate::seam::DiskFile;

/// A file to be synced by whoever has time. After a failure it is never synced
/// again: the system tells of a failure once, and calls what it could not write
/// clean.
pub(super) struct SyncHandle(Mutex<Handle>);

struct Handle {
    file: Box<dyn DiskFile>,
    failed: bool,
}

impl SyncHandle {
    pub(super) fn new(file: Box<dyn DiskFile>) -> Arc<SyncHandle> {
        Arc::new(SyncHandle(Mutex::new(Handle {
            file,
            failed: false,
        })))
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        let mut handle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if handle.failed && !mutant::on(Mutant::RetrySync) {
            return Err(io::Error::other("an earlier sync of this file failed"));
        }
        if mutant::on(Mutant::SkipSync) {
            return Ok(());
        }
        let result = handle.file.sync_data();
        handle.failed = result.is_err();
        result
    }
}

/// A sync that has begun: [`Syncing::run`] it without holding on to the log,
/// so that others can append meanwhile.
#[must_use]
pub struct Syncing {
    pub(super) handle: Arc<SyncHandle>,
    pub(super) reached: Reached,
}

/// Up to where records are synced: a place, and where in which segment it is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Reached {
    pub(super) place: Place,
    pub(super) segment: u64,
    pub(super) offset: u64,
}

/// How a sync ended, for [`super::Log::finish_sync`].
#[must_use]
pub struct Synced {
    pub(super) handle: Arc<SyncHandle>,
    pub(super) reached: Reached,
    pub(super) result: io::Result<()>,
}

impl Syncing {
    /// Waits for the disk.
    pub fn run(self) -> Synced {
        let result = self.handle.sync();
        Synced {
            handle: self.handle,
            reached: self.reached,
            result,
        }
    }
}
