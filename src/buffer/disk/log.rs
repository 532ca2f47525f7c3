//! The log's writer.

use std::path::Path;

use super::{Entry, LogError, OpenError, Options, ReadError, Reader, Record, Settlement};
use crate::seam::Disk;

/// What was found at the start: settle all of it to the last event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Backlog {
    /// Records that are not settled.
    pub records: u64,
    /// The events in them, by the headers of segments and the end of the last:
    /// each will be read or reported as lost.
    pub events: u64,
    /// Bytes of all files.
    pub bytes: u64,
    /// Bytes at the end of the last segment that were not written whole and
    /// never acknowledged.
    pub torn_bytes: u64,
}

/// A log's state and what happened to it, one snapshot.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Bytes of all files now.
    pub bytes: u64,
    /// Segments now.
    pub segments: u64,
    /// Records not settled.
    pub records: u64,
    /// Events not settled.
    pub events: u64,
    /// Records found corrupt, since the start.
    pub corrupt_records: u64,
    /// The events in them.
    pub corrupt_events: u64,
    /// Headers and marks of which one copy was damaged, since the start.
    pub damaged_headers: u64,
    /// Bytes cut as torn, since the start.
    pub torn_bytes: u64,
    /// Syncs that failed, since the start.
    pub failed_syncs: u64,
    /// Writes that failed, since the start.
    pub failed_writes: u64,
}

/// An append-only log of records in segments; the only writer of its directory.
pub struct Log(());

/// A sync that has begun: [`Syncing::run`] it without holding on to the log,
/// so that others can append meanwhile.
#[must_use]
pub struct Syncing(());

/// How a sync ended, for [`Log::finish_sync`].
#[must_use]
pub struct Synced(());

impl Syncing {
    /// Waits for the disk.
    pub fn run(self) -> Synced {
        Synced(())
    }
}

impl Log {
    /// Opens the log in `directory` beneath the directory `state`, made if it
    /// is missing. Takes as long as there are segments and as the end of the
    /// last one is long, not as long as the backlog is.
    pub fn open(
        _disk: &dyn Disk,
        _state: &Path,
        _directory: &Path,
        _options: Options,
    ) -> Result<(Log, Backlog), OpenError> {
        Ok((Log(()), Backlog::default()))
    }

    /// Appends a record: one copy of its text, one checksum, one write. It is
    /// in the log, for readers too, but not durable before [`Log::sync`]. After
    /// an error it is not in the log.
    pub fn append(&mut self, record: &Record<'_>) -> Result<Entry, LogError> {
        let events = record.rows.count(record.batch.rows()) as u32;
        Ok(Entry { seq: 1, events })
    }

    /// Makes all that was appended durable; the last durable record. After an
    /// error nothing more is durable than was; the records stay in the log and
    /// go to a new segment with the next append or sync.
    pub fn sync(&mut self) -> Result<u64, LogError> {
        match self.start_sync()? {
            Some(syncing) => {
                let synced = syncing.run();
                self.finish_sync(synced)
            }
            None => Ok(self.durable()),
        }
    }

    /// The first third of [`Log::sync`]; `None` if all is durable.
    pub fn start_sync(&mut self) -> Result<Option<Syncing>, LogError> {
        Ok(None)
    }

    /// The last third of [`Log::sync`].
    pub fn finish_sync(&mut self, _synced: Synced) -> Result<u64, LogError> {
        Ok(0)
    }

    /// The last durable record; 0 if there is none.
    #[must_use]
    pub fn durable(&self) -> u64 {
        0
    }

    /// The last record, durable or not; 0 if there is none.
    #[must_use]
    pub fn last(&self) -> u64 {
        0
    }

    /// Bytes that were appended and are not durable; they are in memory too.
    #[must_use]
    pub fn unsynced_bytes(&self) -> usize {
        0
    }

    /// Makes durable what is settled, and removes segments in which all is;
    /// the bytes freed. Call it about once a second while records settle, and
    /// before the end. A restart delivers again at most what was settled since.
    pub fn maintain(&mut self) -> Result<u64, LogError> {
        Ok(0)
    }

    /// A reader from the first unsettled record on.
    pub fn reader(&self) -> Result<Reader, ReadError> {
        Ok(Reader(()))
    }

    /// To settle records by.
    #[must_use]
    pub fn settlement(&self) -> Settlement {
        Settlement::stub()
    }

    /// A snapshot of the log's state.
    #[must_use]
    pub fn stats(&self) -> Stats {
        Stats::default()
    }
}
