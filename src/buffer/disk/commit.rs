//! The log's writer: what becomes durable, and what is done when it does not.

use std::io;

use super::format::{Place, SegmentHeader, reseal};
use super::log::{Active, Log, Stats, write_all};
use super::marks::Mark;
use super::mutant::{self, Mutant};
use super::segments::{self, Segment};
use super::state::FIRST_OFFSET;
use super::sync::{Reached, SyncHandle, Synced, Syncing};
use super::{LogError, ReadError, Reader, Settlement};

impl Log {
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
        self.repair()?;
        let place = self.shared.lock().next;
        let active = match &self.active {
            Some(active) if self.synced.place < place => active,
            _ => return Ok(None),
        };
        let reached = Reached {
            place,
            segment: active.id,
            offset: active.offset,
        };
        let handle = active.handle.clone();
        if mutant::on(Mutant::EarlyWatermark) {
            let kept = std::mem::replace(&mut self.synced, reached);
            self.note();
            self.synced = kept;
        }
        Ok(Some(Syncing { handle, reached }))
    }

    /// The last third of [`Log::sync`].
    pub fn finish_sync(&mut self, synced: Synced) -> Result<u64, LogError> {
        let Synced {
            handle,
            reached,
            result,
        } = synced;
        let active = match &mut self.active {
            // What an abandoned segment had is in the active one.
            Some(active) if active.id == reached.segment => active,
            _ => return Ok(self.durable()),
        };
        debug_assert!(std::sync::Arc::ptr_eq(&handle, &active.handle));
        if let Err(source) = result {
            let path = segments::path(&self.shared.directory, active.id);
            let mut state = self.shared.lock();
            state.counted.failed_syncs += 1;
            self.broken = !mutant::on(Mutant::RetrySync);
            if mutant::on(Mutant::ForgetUnsynced) {
                self.unsynced.clear();
                self.synced.place = state.next;
            }
            return Err(LogError::disk(&path, source));
        }
        if reached.place > self.synced.place && !self.broken {
            let durable = (reached.offset - active.synced_offset) as usize;
            self.unsynced.drain(..durable);
            active.synced_offset = reached.offset;
            self.synced = reached;
            self.note();
        }
        Ok(self.durable())
    }

    /// Writes the watermark where a crash of the process leaves it. It can lag:
    /// what is synced is read whether the watermark says so or not.
    fn note(&mut self) {
        let mark = self.mark();
        if self.marks.note(&*self.root, mark).is_err() {
            self.shared.lock().counted.failed_writes += 1;
        }
    }

    fn mark(&self) -> Mark {
        let state = self.shared.lock();
        let synced = if mutant::on(Mutant::StaleWatermark) {
            Reached::default()
        } else {
            self.synced
        };
        Mark {
            generation: 0,
            synced: synced.place,
            segment: synced.segment,
            offset: synced.offset,
            settled: state.settled.upto,
            out_of_order: state.settled.listed(),
        }
    }

    /// The last durable record; 0 if there is none.
    #[must_use]
    pub fn durable(&self) -> u64 {
        self.synced.place.seq - 1
    }

    /// The last record, durable or not; 0 if there is none.
    #[must_use]
    pub fn last(&self) -> u64 {
        self.shared.lock().next.seq - 1
    }

    /// Bytes that were appended and are not durable; they are in memory too.
    #[must_use]
    pub fn unsynced_bytes(&self) -> usize {
        self.unsynced.len()
    }

    /// A segment whose first record is that of `first`, with its header.
    pub(super) fn create(&mut self, first: Place) -> Result<(Active, Segment), LogError> {
        if self.torn {
            // Of what was torn only the end of the last segment tells: before
            // it is that no more, a mark must.
            self.keep()?;
            self.torn = false;
        }
        self.last_id += 1;
        let header = SegmentHeader {
            id: self.last_id,
            salt: self.options.random.u64() as u32,
            first,
            settled: self.shared.lock().settled.upto,
        };
        let path = segments::path(&self.shared.directory, header.id);
        let made = self.root.create(&path).and_then(|mut file| {
            write_all(&mut *file, &header.encode())?;
            if !mutant::on(Mutant::SkipNameSync) {
                self.root.sync_names(&path)?;
            }
            let handle = SyncHandle::new(file.duplicate()?);
            Ok(Active {
                file,
                handle,
                id: header.id,
                offset: FIRST_OFFSET,
                synced_offset: FIRST_OFFSET,
            })
        });
        let active = made.map_err(|source| {
            let _ = self.root.remove(&path);
            self.shared.lock().counted.failed_writes += 1;
            LogError::disk(&path, source)
        })?;
        let segment = Segment {
            id: header.id,
            salt: header.salt,
            first,
            end: first,
            bytes: FIRST_OFFSET,
            file_bytes: FIRST_OFFSET,
        };
        Ok((active, segment))
    }

    /// Leaves a segment that failed at what is synced of it, and writes what is
    /// not to a new one.
    pub(super) fn repair(&mut self) -> Result<(), LogError> {
        if !self.broken {
            return Ok(());
        }
        if self.let_go() {
            return Ok(());
        }
        let (mut active, mut segment) = self.create(self.synced.place)?;
        reseal(&mut self.unsynced, self.salt, segment.salt);
        self.salt = segment.salt;
        if let Err(source) = write_all(&mut *active.file, &self.unsynced) {
            let path = segments::path(&self.shared.directory, active.id);
            let _ = self.root.remove(&path);
            self.shared.lock().counted.failed_writes += 1;
            return Err(LogError::disk(&path, source));
        }
        active.offset += self.unsynced.len() as u64;
        segment.bytes = active.offset;
        segment.file_bytes = active.offset;
        self.abandon(Some((active, segment)));
        Ok(())
    }

    /// Leaves a segment that failed if nothing of it needs to be written again: all
    /// may have been delivered meanwhile. A full disk could not take it, and would
    /// never have its space back.
    fn let_go(&mut self) -> bool {
        if !self.broken {
            return false;
        }
        let next = {
            let state = self.shared.lock();
            let all = state.settled.upto >= state.next;
            all.then_some(state.next)
        };
        if next.is_none() && !self.unsynced.is_empty() {
            return false;
        }
        self.abandon(None);
        self.unsynced.clear();
        self.synced.place = next.unwrap_or(self.synced.place);
        true
    }

    fn abandon(&mut self, next: Option<(Active, Segment)>) {
        self.broken = false;
        let old = self.active.take();
        let mut state = self.shared.lock();
        let mut void = None;
        if let (Some(old), Some(segment)) = (old, state.segments.back_mut()) {
            segment.end = self.synced.place;
            segment.bytes = old.synced_offset;
            if segment.end <= segment.first {
                void = Some(segment.path(&self.shared.directory));
                state.segments.pop_back();
            }
        }
        state.active = 0;
        if let Some((active, mut segment)) = next {
            segment.end = state.next;
            state.active = active.id;
            state.segments.push_back(segment);
            self.active = Some(active);
        }
        drop(state);
        if let Some(path) = void {
            // The next segment's header says that it holds nothing.
            let _ = self.root.remove(&path);
        }
    }

    /// Makes durable what is settled, and removes segments in which all is;
    /// the bytes freed. Call it about once a second while records settle, and
    /// before the end. A restart delivers again at most what was settled since
    /// the last call that succeeded. On a full file system it fails and may have
    /// removed segments all the same.
    pub fn maintain(&mut self) -> Result<u64, LogError> {
        self.let_go();
        let mut careful = None;
        let mark = match self.keep() {
            Ok(()) => self.kept.clone(),
            Err(error) if error.is_space() && !self.marks.is_written() => {
                // There is no space for a first mark, and removing makes some.
                careful = Some(error);
                self.mark()
            }
            Err(error) => return Err(error),
        };
        let mut freed = 0;
        while let Some(segment) = self.removable(mark.settled.seq) {
            let path = segment.path(&self.shared.directory);
            let failed = |source| LogError::disk(&path, source);
            match self.root.remove(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
                _ => {}
            }
            self.shared.lock().segments.pop_front();
            freed += segment.file_bytes;
            // Without a mark what is left must always begin at what is open, so
            // that a gap is a loss.
            if careful.is_some() {
                self.root.sync_names(&path).map_err(failed)?;
            }
        }
        if let Some(error) = careful {
            return Err(error);
        }
        if freed > 0 {
            let path = self.marks.path();
            let synced = self.root.sync_names(path);
            synced.map_err(|source| LogError::disk(path, source))?;
        }
        Ok(freed)
    }

    /// Makes a mark of what is synced and settled durable.
    pub(super) fn keep(&mut self) -> Result<(), LogError> {
        let mark = self.mark();
        if mark == self.kept {
            return Ok(());
        }
        if let Err(source) = self.marks.keep(&*self.root, mark.clone()) {
            self.shared.lock().counted.failed_writes += 1;
            return Err(LogError::disk(self.marks.path(), source));
        }
        self.kept = mark;
        Ok(())
    }

    fn removable(&self, settled: u64) -> Option<Segment> {
        let state = self.shared.lock();
        let early = mutant::on(Mutant::EarlyRemove);
        let upto = if early { state.next.seq } else { settled };
        state
            .segments
            .front()
            .filter(|_| state.is_removable(upto))
            .cloned()
    }

    /// A reader from the first unsettled record on.
    pub fn reader(&self) -> Result<Reader, ReadError> {
        let root = self.root.duplicate().map_err(|source| ReadError {
            path: self.shared.directory.clone(),
            source,
        })?;
        Ok(Reader::new(self.shared.clone(), root))
    }

    /// To settle records by.
    #[must_use]
    pub fn settlement(&self) -> Settlement {
        Settlement::new(self.shared.clone())
    }

    /// A snapshot of the log's state.
    #[must_use]
    pub fn stats(&self) -> Stats {
        self.shared.lock().stats()
    }
}
