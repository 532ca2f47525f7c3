//! What a log's writer, readers and settlements share.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::format::{Place, SEGMENT_HEADER_BYTES};
use super::log::Stats;
use super::marks;
use super::reader::Lost;
use super::segments::Segment;
use super::settlement::Settled;

/// Bytes that marks take.
pub(super) const MARKS_BYTES: u64 = 3 * marks::SLOT_BYTES as u64;

pub(super) struct Shared {
    pub(super) directory: PathBuf,
    state: Mutex<State>,
}

/// Under one short lock; nothing is read or written while it is held.
pub(super) struct State {
    pub(super) segments: VecDeque<Segment>,
    /// The place of the next record that is appended.
    pub(super) next: Place,
    pub(super) settled: Settled,
    /// The segment that is appended to; 0 if none is.
    pub(super) active: u64,
    /// Bytes of what was a segment and cannot be read.
    pub(super) remains: u64,
    /// Counters; sizes are filled in by [`State::stats`].
    pub(super) counted: Stats,
}

impl Shared {
    pub(super) fn new(directory: &Path, state: State) -> Shared {
        Shared {
            directory: directory.to_path_buf(),
            state: Mutex::new(state),
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Bytes of all files.
    pub(super) fn bytes(&self) -> u64 {
        let segments = self.segments.iter().map(|s| s.file_bytes);
        MARKS_BYTES + segments.sum::<u64>() + self.remains
    }

    /// Whether the first segment is no longer needed if all before `seq` is
    /// settled.
    pub(super) fn is_removable(&self, seq: u64) -> bool {
        let first = self.segments.front();
        first.is_some_and(|segment| segment.id != self.active && segment.end.seq <= seq)
    }

    /// Counts and settles what is not there between two places.
    pub(super) fn lose(&mut self, from: Place, to: Place) -> Lost {
        let lost = self.settled.lose(from, to);
        self.counted.corrupt_records += lost.records;
        self.counted.corrupt_events += lost.events;
        lost
    }

    pub(super) fn stats(&self) -> Stats {
        let (records, events) = self.settled.beyond();
        let upto = self.settled.upto;
        Stats {
            bytes: self.bytes(),
            segments: self.segments.len() as u64,
            records: self.next.seq.saturating_sub(upto.seq + records),
            events: self.next.event.saturating_sub(upto.event + events),
            ..self.counted
        }
    }

    /// The first segment behind the segment `id` that goes beyond the record
    /// `seq`.
    pub(super) fn segment_after(&self, id: u64, seq: u64) -> Option<&Segment> {
        let mut segments = self.segments.iter();
        segments.find(|s| s.id > id && s.end.seq > seq)
    }

    /// The segment `id`, if it still counts.
    pub(super) fn segment(&self, id: u64) -> Option<&Segment> {
        self.segments.iter().find(|s| s.id == id)
    }
}

/// Where records of a segment begin.
pub(super) const FIRST_OFFSET: u64 = SEGMENT_HEADER_BYTES as u64;
