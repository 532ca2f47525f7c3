//! A log on disk: where shares wait for their sink across restarts.
//!
//! [`Log`] appends and syncs, a [`Reader`] reads what is not settled yet, a
//! [`Settlement`] is told what is. Whoever owns the log decides when to sync
//! (before each ack, or at an interval) and calls [`Log::maintain`] now and
//! then; the log decides what a sync means. At most one log has a directory
//! open at a time: the lock on the state directory is its owner's.
//!
//! # Promises
//!
//! - What [`Log::sync`] called durable is read after any crash of the process
//!   or the power, until it is settled. It may be read again after a restart if
//!   it was settled since [`Log::maintain`] last succeeded.
//! - What is read is what was appended. A record that is not is counted, with
//!   its events, and passed over; the next one is found again.
//! - After a failed sync the file is not synced again: the system tells of a
//!   failure once and calls what it could not write clean. What was not durable
//!   is in memory still and goes to a new segment, under the same numbers; so does
//!   what an earlier process had not synced, if a start cannot.
//! - A start takes as long as there are segments and as the end of the last one
//!   is long. It changes nothing that a second start would need.
//! - Files that are not ours or of another version are refused and left alone.
//!
//! # Format, version 1
//!
//! All numbers are little-endian; checksums are CRC-32C. A *place* is two u64:
//! the number of a record (from 1) and of its first event (from 0), both counted
//! from the beginning of the log, so that what is between two places is a
//! subtraction.
//!
//! A directory holds segments, `ID.segment` with ID as 16 hexadecimal digits,
//! ascending, and `marks`. `ID.damaged` was a segment both of whose headers were
//! damaged: it counts towards the cap and is kept until its space is needed. Other
//! names are not looked at.
//!
//! **Segment**: two copies of its header, 512 bytes each, then records.
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | `tflogseg` |
//! | 8 | 2 | version |
//! | 12 | 4 | salt: where the checksums of its records start, random |
//! | 16 | 8 | ID |
//! | 24 | 16 | place of its first record |
//! | 40 | 16 | place up to which all was settled when it was made |
//! | 508 | 4 | checksum of all before |
//!
//! A segment ends where the first of a later one is, whatever it holds beyond:
//! after a failed sync the next segment begins with what that sync was for.
//!
//! **Record**: 48 bytes and its body.
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 4 | `f5 74 66 ff` |
//! | 4 | 4 | checksum of bytes 8 to 47 |
//! | 8 | 16 | its place |
//! | 24 | 4 | events |
//! | 28 | 4 | bytes of the body as stored |
//! | 32 | 4 | bytes of the body |
//! | 36 | 4 | checksum of the body as stored |
//! | 40 | 1 | 0: as it is, 1: zstd |
//! | 44 | 4 | 1 + how many of the records before it were not known as synced then; 0: not told |
//!
//! **Body**, the rows of one batch:
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 16 | origin |
//! | 16 | 8 | position of the batch in its stream |
//! | 24 | 8 | observed, nanoseconds since 1970 |
//! | 32 | 4 | rows |
//! | 36 | 4 | bytes of text |
//! | 40 | 4 | bytes of the source's name |
//! | 44 | 4 | metadata pairs |
//! | 48 | 1 | ids: 0 by position, 1 a position each, 2 an id each |
//! | 49 | 1 | bit 0: lines were joined |
//! | 64 | | source's name; pairs (two u32 lengths, name, value); positions (8 bytes a row) or ids (16); ends of lines in the text (4 a row); rows cut at the limit (a bit each); rows that are JSON objects (a bit each); text |
//!
//! **Marks**: three slots of 4096 bytes. The first two are written in turn and
//! synced, so that one is whole whatever happens; the third is written after
//! each sync of records and not synced itself. The whole one with the highest
//! generation counts.
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 8 | `tflogmrk` |
//! | 8 | 2 | version |
//! | 12 | 8 | generation |
//! | 20 | 16 | ID of the segment, and byte in it, up to where it is synced |
//! | 36 | 16 | place of that: the watermark |
//! | 52 | 16 | place up to which all is settled |
//! | 68 | 4 | records settled beyond, then for each: number less that place's (4), events (4) |
//! | 4092 | 4 | checksum of all before |
//!
//! What is bad below the watermark is corrupt, what is bad above it is torn.
//! Either is passed over to the next header whose checksum is right. Whole
//! records above the watermark count: after a loss of power it can be behind.
//! They do not prove that what is bad before them was synced, since a disk may
//! write later blocks first; but their headers say what was: that is corrupt too.
//! A start makes a mark of what it finds durable.
//! A segment is removed when all of it is settled and a synced mark says so.
//!
//! Magic, version and the checksum of headers and slots stay where they are in
//! every version. A version that is not known is refused, later or earlier: what
//! reads an earlier one must know it. A change that an older tflog would misread
//! is a new version.

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
    /// pass it is refused as [`LogError::Full`]. What a failed sync was for is
    /// written again beyond it.
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
