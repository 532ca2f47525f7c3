//! The log's writer: appending.

use std::collections::VecDeque;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::codec::Encoder;
use super::format::{BODY_BYTES_MAX, Place, RECORD_HEADER_BYTES, RecordHeader};
use super::marks::{Mark, Marks};
use super::mutant::{self, Mutant};
use super::segments;
use super::state::{FIRST_OFFSET, MARKS_BYTES, Shared};
use super::sync::{Reached, SyncHandle};
use super::{Compression, Entry, LogError, Options, Record};
use crate::seam::{DiskFile, DiskRoot};

/// Bytes that are kept in memory until they are synced; with more an append
/// syncs. An ack mostly waits for far less.
const UNSYNCED_BYTES_MAX: usize = 8 << 20;
/// The most that a segment aims at: what a start may have to read, and what is
/// freed at once.
const SEGMENT_BYTES_MAX: u64 = 64 << 20;
/// Segments that the cap is divided into, so that an eighth of it comes free.
const SEGMENTS: u64 = 8;

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
    /// Headers and marks of which a copy was damaged or torn, at the start.
    pub damaged_headers: u64,
    /// Bytes cut as torn, at the start.
    pub torn_bytes: u64,
    /// Syncs that failed, since the start.
    pub failed_syncs: u64,
    /// Writes that failed, since the start.
    pub failed_writes: u64,
}

/// An append-only log of records in segments; the only writer of its directory.
pub struct Log {
    pub(super) shared: Arc<Shared>,
    pub(super) root: Box<dyn DiskRoot>,
    pub(super) options: Options,
    pub(super) encoder: Encoder,
    /// What was a segment and cannot be read, and its bytes, the oldest first.
    pub(super) remains: VecDeque<(PathBuf, u64)>,
    pub(super) marks: Marks,
    /// The mark that was last made durable.
    pub(super) kept: Mark,
    pub(super) last_id: u64,
    /// Whether records were found torn that no durable mark tells of.
    pub(super) torn: bool,
    pub(super) active: Option<Active>,
    /// Whether the active segment cannot be gone on with.
    pub(super) broken: bool,
    /// Up to where records are synced.
    pub(super) synced: Reached,
    /// All records of the active segment that are not synced, sealed with
    /// `salt`.
    pub(super) unsynced: Vec<u8>,
    pub(super) salt: u32,
}

/// The segment that is appended to.
pub(super) struct Active {
    pub(super) file: Box<dyn DiskFile>,
    pub(super) handle: Arc<SyncHandle>,
    pub(super) id: u64,
    /// Its end, and up to where it is synced.
    pub(super) offset: u64,
    pub(super) synced_offset: u64,
}

pub(super) fn write_all(file: &mut dyn DiskFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

impl Log {
    /// Goes on under another cap, and with records that are compressed or not.
    /// After an error nothing has changed.
    pub fn set(&mut self, bytes_max: u64, compression: Compression) -> io::Result<()> {
        if compression != self.options.compression {
            self.encoder = Encoder::new(compression)?;
            self.options.compression = compression;
        }
        self.options.bytes_max = bytes_max;
        Ok(())
    }

    /// Appends a record: one copy of its text, one checksum, one write. It is
    /// in the log, for readers too, but not durable before [`Log::sync`]. After
    /// an error it is not in the log.
    pub fn append(&mut self, record: &Record<'_>) -> Result<Entry, LogError> {
        let body_bytes = record.body_bytes();
        let bytes = (RECORD_HEADER_BYTES + body_bytes) as u64;
        self.repair()?;
        self.room(bytes)?;
        self.segment_for(bytes)?;
        let place = self.shared.lock().next;
        let start = self.unsynced.len();
        let events = record.events() as u32;
        self.encode(record, body_bytes, place, events);
        if let Err(error) = self.write(start) {
            self.unsynced.truncate(start);
            return Err(error);
        }
        self.publish(place.after(events));
        if self.unsynced.len() > UNSYNCED_BYTES_MAX {
            // The record is in the log; a sync that fails is counted, and what
            // it was for waits for the next.
            let _ = self.sync();
        }
        Ok(Entry {
            seq: place.seq,
            events,
        })
    }

    fn encode(&mut self, record: &Record<'_>, body_bytes: usize, place: Place, events: u32) {
        let (start, into) = (self.unsynced.len(), &mut self.unsynced);
        into.reserve(RECORD_HEADER_BYTES + body_bytes);
        into.resize(start + RECORD_HEADER_BYTES, 0);
        let write = |into: &mut Vec<u8>| record.encode(body_bytes, into);
        let coding = self.encoder.append(into, write);
        let stored = &into[start + RECORD_HEADER_BYTES..];
        let header = RecordHeader {
            place,
            events,
            stored_bytes: stored.len() as u32,
            body_bytes: body_bytes as u32,
            body_sum: crc32c::crc32c_append(self.salt, stored),
            coding,
            unsynced: u32::try_from(place.seq + 1 - self.synced.place.seq).unwrap_or(0),
        };
        header.encode(self.salt, &mut into[start..]);
    }

    /// Writes what `unsynced` has from `start` on.
    fn write(&mut self, start: usize) -> Result<(), LogError> {
        let Some(active) = &mut self.active else {
            return Ok(());
        };
        let bytes = &self.unsynced[start..];
        let Err(source) = write_all(&mut *active.file, bytes) else {
            active.offset += bytes.len() as u64;
            return Ok(());
        };
        self.shared.lock().counted.failed_writes += 1;
        let error = LogError::disk(&segments::path(&self.shared.directory, active.id), source);
        // A part of it may be there. Without it the segment is as good as it
        // was if only space was missing.
        let cut = mutant::on(Mutant::KeepPartial) || active.file.truncate(active.offset).is_ok();
        self.broken = !(error.is_space() && cut);
        Err(error)
    }

    /// Lets readers see what is written.
    fn publish(&mut self, next: Place) {
        let mut state = self.shared.lock();
        state.next = next;
        if let (Some(active), Some(segment)) = (&self.active, state.segments.back_mut()) {
            segment.end = next;
            segment.bytes = active.offset;
            segment.file_bytes = active.offset;
        }
    }

    /// Makes room for `bytes` more, if what is settled can make it.
    fn room(&mut self, bytes: u64) -> Result<(), LogError> {
        let bytes_max = self.options.bytes_max;
        let directory = || self.shared.directory.clone();
        if bytes + FIRST_OFFSET + MARKS_BYTES > bytes_max || bytes > BODY_BYTES_MAX {
            return Err(LogError::TooLarge {
                directory: directory(),
                bytes,
                bytes_max: bytes_max.min(BODY_BYTES_MAX),
            });
        }
        // A new segment may be needed too.
        let fits = |log: &Log| {
            let held = log.shared.lock().bytes();
            held + bytes + FIRST_OFFSET <= bytes_max || mutant::on(Mutant::IgnoreCap)
        };
        if fits(self) {
            return Ok(());
        }
        let (removable, all) = {
            let state = self.shared.lock();
            let upto = state.settled.upto.seq;
            (state.is_removable(upto), upto == state.next.seq)
        };
        if all {
            self.retire()?;
        }
        if all || removable {
            match self.maintain() {
                Err(error) if !error.is_space() => return Err(error),
                _ => {}
            }
        }
        // What cannot be read is kept for people, but not instead of what can.
        while !fits(self)
            && let Some((path, bytes)) = self.remains.pop_front()
        {
            match self.root.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => {
                    self.remains.push_front((path, bytes));
                    break;
                }
                _ => self.shared.lock().remains -= bytes,
            }
        }
        if fits(self) {
            return Ok(());
        }
        Err(LogError::Full {
            directory: self.shared.directory.clone(),
            bytes_max,
        })
    }

    /// Begins a segment if there is none, or the last one is full.
    fn segment_for(&mut self, bytes: u64) -> Result<(), LogError> {
        let aim = (self.options.bytes_max / SEGMENTS).min(SEGMENT_BYTES_MAX);
        let aim = self.options.segment_bytes.unwrap_or(aim);
        if let Some(active) = &self.active {
            if active.offset == FIRST_OFFSET || active.offset + bytes <= aim {
                return Ok(());
            }
            self.retire()?;
        }
        let first = self.shared.lock().next;
        let (active, segment) = self.create(first)?;
        let mut state = self.shared.lock();
        state.active = active.id;
        self.salt = segment.salt;
        state.segments.push_back(segment);
        drop(state);
        self.active = Some(active);
        Ok(())
    }

    /// Ends the active segment, synced.
    fn retire(&mut self) -> Result<(), LogError> {
        self.sync()?;
        self.active = None;
        self.shared.lock().active = 0;
        Ok(())
    }
}
