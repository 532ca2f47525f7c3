//! Reads records while others are appended.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::codec::Decoder;
use super::format::{Place, RecordHeader};
use super::mutant::{self, Mutant};
use super::scan::{Scan, Step, Window};
use super::state::{FIRST_OFFSET, Shared};
use super::{Entry, ReadError, Stored};
use crate::seam::DiskRoot;

/// How often a place that cannot be read is tried before what stands there
/// counts as lost: disks have faults that pass, and a reader must not stand
/// still for ever.
const PATIENCE: u32 = 3;

/// Reads a log from its first unsettled record on; may be on another thread.
/// Every reader of a log gets everything.
pub struct Reader {
    shared: Arc<Shared>,
    root: Box<dyn DiskRoot>,
    /// The file that is read and what of it is in memory.
    window: Option<Window>,
    segment: u64,
    /// Where in the segment, and the record that should stand there.
    offset: u64,
    at: Place,
    /// Records before it are not wanted.
    wanted: u64,
    decoder: Decoder,
}

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

/// What a look at the log's state says to do.
enum Turn {
    /// Look at the next place of the segment, which counts up to a byte.
    Step(Scan),
    /// Go on in another segment.
    Enter(u64, Place, PathBuf),
    Lost(Lost),
    End,
}

/// What a step came across.
enum Stepped {
    /// Nothing to hand out.
    Over,
    Lost(Lost),
    Record(RecordHeader),
}

impl Reader {
    pub(super) fn new(shared: Arc<Shared>, root: Box<dyn DiskRoot>) -> Reader {
        Reader {
            shared,
            root,
            window: None,
            segment: 0,
            offset: 0,
            at: Place::default(),
            wanted: 0,
            decoder: Decoder::default(),
        }
    }

    /// The next record. One that was appended is there at once, synced or not.
    /// Settled ones are passed over.
    pub fn read(&mut self) -> Result<Read<'_>, ReadError> {
        let header = loop {
            match self.turn() {
                Turn::End => return Ok(Read::End),
                Turn::Lost(lost) => return Ok(Read::Lost(lost)),
                Turn::Enter(id, first, path) => self.enter(id, first, path)?,
                Turn::Step(scan) => match self.step(scan)? {
                    Stepped::Over => {}
                    Stepped::Lost(lost) => return Ok(Read::Lost(lost)),
                    Stepped::Record(header) => break header,
                },
            }
        };
        let entry = Entry {
            seq: header.place.seq,
            events: header.events,
        };
        if mutant::on(Mutant::EarlySettle) {
            self.shared.lock().settled.settle(entry);
        }
        // It was looked at before: this only borrows it.
        let start = self.offset - u64::from(header.stored_bytes);
        let body = match &mut self.window {
            Some(window) => window.bytes(start, header.stored_bytes as usize, self.offset),
            None => Ok(&[][..]),
        };
        let body = self.decoder.body(&header, body.unwrap_or_default());
        if let Some(stored) = body.and_then(|body| Stored::decode(entry, body)) {
            return Ok(Read::Record(stored));
        }
        let end = header.place.after(header.events);
        Ok(Read::Lost(self.shared.lock().lose(header.place, end)))
    }

    /// Goes on with the record `seq`, forward or back; what is settled before
    /// it is gone.
    pub fn seek(&mut self, seq: u64) {
        self.wanted = seq;
        self.window = None;
    }

    fn turn(&self) -> Turn {
        let mut state = self.shared.lock();
        let upto = state.settled.upto;
        let here = self.window.as_ref().map(|_| self.segment);
        if let Some(segment) = here.and_then(|id| state.segment(id))
            && self.offset < segment.bytes
            && self.at.seq < segment.end.seq
        {
            return Turn::Step(Scan {
                salt: segment.salt,
                limit: segment.bytes,
            });
        }
        // This segment has no more, or none was entered: where does it go on?
        let (from, expected) = match here {
            Some(_) => (self.at.seq, Some(self.at)),
            None if self.wanted > upto.seq => (self.wanted, None),
            None => (upto.seq, Some(upto)),
        };
        let next = state.segment_after(here.unwrap_or_default(), from);
        let next = next.map(|next| (next.id, next.first, next.path(&self.shared.directory)));
        let place = next.as_ref().map_or(state.next, |&(_, first, _)| first);
        if let Some(expected) = expected.filter(|expected| *expected < place) {
            // It should have come before.
            let lost = state.lose(expected, place);
            if lost.records > 0 && !mutant::on(Mutant::SilentLoss) {
                return Turn::Lost(lost);
            }
        }
        match next {
            Some((id, first, path)) => Turn::Enter(id, first, path),
            None => Turn::End,
        }
    }

    fn enter(&mut self, id: u64, first: Place, path: PathBuf) -> Result<(), ReadError> {
        let file = match self.root.open(&path) {
            Ok(file) => file,
            // Settled and removed meanwhile.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound
                    && self.shared.lock().segment(id).is_none() =>
            {
                return Ok(());
            }
            Err(source) => return Err(ReadError { path, source }),
        };
        if let Some(window) = &mut self.window {
            window.reopen(file);
            // It may begin with records written again that were read.
            if self.at < first || mutant::on(Mutant::ReadTwice) {
                self.at = first;
            }
        } else {
            self.window = Some(Window::new(file, PATIENCE));
            self.at = first;
        }
        (self.segment, self.offset) = (id, FIRST_OFFSET);
        Ok(())
    }

    /// Goes one record on.
    fn step(&mut self, scan: Scan) -> Result<Stepped, ReadError> {
        let Some(window) = &mut self.window else {
            return Ok(Stepped::Over);
        };
        let failed = |source| ReadError {
            path: super::segments::path(&self.shared.directory, self.segment),
            source,
        };
        let header = match scan.step(window, self.offset).map_err(failed)? {
            Step::End => return Ok(Stepped::Over),
            Step::Bad(end) => {
                self.offset = end;
                return Ok(Stepped::Over);
            }
            Step::Record(header) => header,
        };
        let end = self.offset + header.bytes();
        let settled = {
            let state = self.shared.lock();
            // One that is removed by now was settled.
            let ended = state.segment(self.segment).map_or(0, |s| s.end.seq);
            let again = header.place.seq < self.at.seq && !mutant::on(Mutant::ReadTwice);
            if again || header.place.seq >= ended {
                // Written again in a later segment.
                drop(state);
                self.offset = end;
                return Ok(Stepped::Over);
            }
            header.place.seq < self.wanted || state.settled.contains(header.place.seq)
        };
        if !settled
            && scan
                .stored(window, self.offset, &header)
                .map_err(failed)?
                .is_none()
        {
            self.offset = end;
            return Ok(Stepped::Over);
        }
        if header.place > self.at {
            let lost = self.shared.lock().lose(self.at, header.place);
            self.at = header.place;
            if lost.records > 0 && !mutant::on(Mutant::SilentLoss) {
                return Ok(Stepped::Lost(lost));
            }
        }
        self.offset = end;
        self.at = header.place.after(header.events);
        Ok(if settled {
            Stepped::Over
        } else {
            Stepped::Record(header)
        })
    }
}
