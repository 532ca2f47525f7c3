//! A log on disk: where shares wait for their sink across restarts.
//!
//! [`Log`] appends and syncs, a [`Reader`] reads what is not settled yet, a
//! [`Settlement`] is told what is. Whoever owns the log decides when to sync
//! (before each ack, or at an interval) and calls [`Log::maintain`] now and
//! then; the log decides what a sync means. At most one log has a directory
//! open at a time: the lock on the state directory is its owner's.

mod codec;
mod commit;
mod error;
mod format;
mod log;
mod marks;
mod mutant;
mod open;
mod reader;
mod record;
mod scan;
mod segments;
mod settlement;
mod state;
mod sync;
mod verify;

pub use error::{LogError, OpenError, ReadError};
pub use log::{Backlog, Log, Stats};
#[cfg(test)]
pub(crate) use mutant::{Mutant, with as with_mutant};
pub use reader::{Lost, Read, Reader};
pub use record::{Record, Stored};
pub use settlement::Settlement;
pub use sync::{Synced, Syncing};
pub use verify::{Damage, Found, verify};

use crate::seam::Random;

/// How a log is kept.
#[derive(Clone, Debug)]
pub struct Options {
    /// The most bytes that its files may take together; an append that would
    /// pass it is refused as [`LogError::Full`].
    pub bytes_max: u64,
    /// Bytes at which a segment is closed and the next one begun; `None`: an
    /// eighth of `bytes_max`, 64 MiB at most.
    pub segment_bytes: Option<u64>,
    /// Whether records are compressed.
    pub compression: Compression,
    /// Where segments get their salt from.
    pub random: Random,
}

/// Whether records are compressed. Any log reads both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// As they are.
    #[default]
    None,
    /// zstd, level 1, each record on its own.
    Zstd,
}

/// A record's place in the log: what it is settled by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Entry {
    /// Its number, from 1, ascending by one.
    pub seq: u64,
    /// The events in it.
    pub events: u32,
}

#[cfg(test)]
mod tests;
