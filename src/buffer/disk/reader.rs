//! Reads records while others are appended.

use super::{ReadError, Stored};

/// Reads a log from its first unsettled record on; may be on another thread.
/// Every reader of a log gets everything.
pub struct Reader(pub(super) ());

/// What is next in a log.
#[derive(Debug)]
pub enum Read<'a> {
    /// A record that is not settled.
    Record(Stored<'a>),
    /// Records that could not be read, counted as corrupt and settled.
    Lost(Lost),
    /// Nothing more now: try again after an append.
    End,
}

/// Records that are in the log by its own account and cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Lost {
    /// How many.
    pub records: u64,
    /// The events in them; they are part of [`super::Backlog::events`].
    pub events: u64,
}

impl Reader {
    /// The next record. One that was appended is there at once, synced or not.
    /// Settled ones are passed over.
    pub fn read(&mut self) -> Result<Read<'_>, ReadError> {
        Ok(Read::End)
    }

    /// Goes on with the record `seq`, forward or back; what is settled before
    /// it is gone.
    pub fn seek(&mut self, _seq: u64) {}
}
