//! Records to append, and a log under a model of what it promises.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use crate::buffer::disk::state::MARKS_BYTES;
use crate::buffer::disk::{
    Backlog, Compression, Entry, Log, LogError, Options, Read, Reader, Record,
};
use crate::event::{Batch, Chunk, Rows, Stream, Timestamp};
use crate::seam::{DiskFault, FaultyDisk, Random};

pub(super) const STATE: &str = "/state";
pub(super) const DIRECTORY: &str = "buffer/search";

pub(super) fn options(bytes_max: u64, segment_bytes: u64) -> Options {
    Options {
        bytes_max,
        segment_bytes: Some(segment_bytes),
        compression: Compression::None,
        random: Random::seeded(7),
    }
}

pub(super) fn open(disk: &FaultyDisk, options: Options) -> Result<(Log, Backlog), String> {
    Log::open(disk, Path::new(STATE), Path::new(DIRECTORY), options).map_err(|e| e.to_string())
}

/// A batch of `events` lines that name it, about `bytes` long.
pub(super) fn batch(key: u64, events: usize, bytes: usize) -> Batch {
    let mut chunk = Box::new(Chunk::default());
    for event in 0..events {
        let pad = "x".repeat(bytes / events);
        chunk
            .text
            .extend_from_slice(format!("{key} {event} {pad}\n").as_bytes());
        chunk.ends.push(chunk.text.len() as u32);
    }
    let stream = Arc::new(Stream {
        source: 0,
        origin: u128::from(key) << 64 | 5,
        meta: vec![("peer".into(), "here".into())],
    });
    Batch::new(
        stream,
        key * 1000,
        Timestamp(key as i64),
        chunk,
        Arc::default(),
    )
}

pub(super) fn append(log: &mut Log, batch: &Batch) -> Result<Entry, LogError> {
    log.append(&Record {
        batch,
        rows: &Rows::All,
        source: "app",
    })
}

/// What is done to a log.
#[derive(Clone, Copy, Debug)]
pub(super) enum Op {
    Append {
        events: usize,
        bytes: usize,
    },
    Sync,
    /// Reads so many and holds on to them.
    Read(usize),
    /// Settles one that is held.
    Settle(usize),
    SettleAll,
    Maintain,
    FailSync,
    FailWrite,
    /// Lets so much more be written.
    Room(usize),
    Space,
    /// The process ends in the nth operation from here.
    Stop(u64),
    /// An operation fails.
    Fault(u64, DiskFault),
    /// The process ends, and another starts.
    Crash,
    /// Power is lost, and a process starts: with nothing that is not durable,
    /// or some of it.
    Power(Option<u64>),
    /// A start ends in its nth operation, and power is lost.
    CrashInStart(u64, u64),
}

// What is true of a record, each for itself.
#[allow(clippy::struct_excessive_bools)]
#[derive(Debug)]
struct Kept {
    events: u32,
    text: Vec<u8>,
    acked: bool,
    settled: bool,
    /// Settled by what was made durable.
    marked: bool,
    /// The append failed while the process lived.
    refused: bool,
}

/// A log and what must hold for it.
pub(super) struct Model {
    pub(super) disk: FaultyDisk,
    options: Options,
    log: Option<(Log, Reader)>,
    records: BTreeMap<u64, Kept>,
    /// Records of this process, by their number.
    numbers: BTreeMap<u64, u64>,
    /// The first that this process can append.
    first: u64,
    held: Vec<(u64, Entry)>,
    stopping: bool,
    /// Whether a process ended after a sync had failed: the next one cannot
    /// know that what it reads is not on disk, and it can be lost later. It was
    /// not acked.
    doubtful: bool,
    /// Bytes that the process found: the one before may have passed the cap.
    found: u64,
}

type Checked = Result<(), String>;

fn ensure(holds: bool, what: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(what()) }
}

/// Runs `ops`, then lets a new process find what it must.
pub(super) fn run(ops: &[Op], options: Options) -> Result<FaultyDisk, String> {
    let mut model = Model::start(options)?;
    for (at, op) in ops.iter().enumerate() {
        model
            .step(*op)
            .map_err(|e| format!("step {at}, {op:?}: {e}"))?;
    }
    model.finish()?;
    Ok(model.disk)
}

impl Model {
    pub(super) fn start(options: Options) -> Result<Model, String> {
        let mut model = Model {
            disk: FaultyDisk::default(),
            options,
            log: None,
            records: BTreeMap::new(),
            numbers: BTreeMap::new(),
            first: 1,
            held: Vec::new(),
            stopping: false,
            doubtful: false,
            found: 0,
        };
        model.open()?;
        Ok(model)
    }

    fn end(&mut self) {
        if let Some((log, _)) = self.log.take() {
            // Syncs of a process that is stopped were not even begun.
            self.doubtful |= log.stats().failed_syncs > 0 && !self.stopping;
        }
    }

    fn open(&mut self) -> Checked {
        self.end();
        self.disk.restart();
        self.stopping = false;
        self.numbers.clear();
        self.held.clear();
        self.found = self.bytes();
        let (log, backlog) = open(&self.disk, self.options.clone())?;
        let mut reader = log.reader().map_err(|e| e.to_string())?;
        self.first = log.last() + 1;
        let mut seen = BTreeSet::new();
        let mut events = 0;
        while let Some((key, entry)) = self.read(&mut reader)? {
            ensure(seen.insert(key), || format!("{key} comes twice"))?;
            self.numbers.insert(entry.seq, key);
            events += u64::from(entry.events);
        }
        for (key, kept) in &self.records {
            ensure(seen.contains(key) || !kept.acked || kept.settled, || {
                format!("{key} was acked and is gone")
            })?;
            ensure(!seen.contains(key) || !kept.marked, || {
                format!("{key} comes again although it was settled")
            })?;
        }
        for key in &seen {
            // Whatever it was, it is open again.
            self.records.get_mut(key).unwrap().settled = false;
        }
        ensure(
            self.doubtful || (backlog.records, backlog.events) == (seen.len() as u64, events),
            || format!("{backlog:?}, and {} records of {events} events", seen.len()),
        )?;
        let reader = log.reader().map_err(|e| e.to_string())?;
        self.log = Some((log, reader));
        Ok(())
    }

    /// The next record, which must be as it was appended.
    fn read(&self, reader: &mut Reader) -> Result<Option<(u64, Entry)>, String> {
        match reader.read().map_err(|e| e.to_string())? {
            Read::End => Ok(None),
            Read::Lost(_) if self.doubtful => self.read(reader),
            Read::Lost(lost) => Err(format!("{lost:?} although nothing was damaged")),
            Read::Record(stored) => {
                let text = stored.text();
                let digits = text.split(|&b| b == b' ').next().unwrap_or_default();
                let key = std::str::from_utf8(digits)
                    .ok()
                    .and_then(|d| d.parse().ok());
                let key = key.ok_or("a record that nobody wrote")?;
                let kept = self.records.get(&key).ok_or("a record that nobody wrote")?;
                ensure(
                    kept.text == text && kept.events == stored.entry.events,
                    || format!("{key} is not as it was"),
                )?;
                ensure(!kept.refused, || format!("{key} was refused and is there"))?;
                Ok(Some((key, stored.entry)))
            }
        }
    }

    pub(super) fn step(&mut self, op: Op) -> Checked {
        match op {
            Op::Append { events, bytes } => self.append(events, bytes)?,
            Op::Sync => {
                if let Some((log, _)) = &mut self.log
                    && let Ok(durable) = log.sync()
                {
                    // Of what an earlier process appended nobody is told.
                    let end = self.first.max(durable + 1);
                    let has_failed = log.stats().failed_syncs > 0;
                    for (_, key) in self.numbers.range(self.first..end) {
                        let kept = self.records.get_mut(key).unwrap();
                        // What had been delivered need not be written again where a
                        // sync failed: nobody waits for it.
                        kept.acked |= !(has_failed && kept.settled);
                    }
                }
            }
            Op::Read(count) => {
                let Some((log, mut reader)) = self.log.take() else {
                    return Ok(());
                };
                for _ in 0..count {
                    let Some((key, entry)) = self.read(&mut reader)? else {
                        break;
                    };
                    let twice = self.held.iter().any(|h| h.0 == key);
                    ensure(!twice, || format!("{key} is read twice"))?;
                    self.held.push((key, entry));
                }
                self.log = Some((log, reader));
            }
            Op::Settle(at) => {
                if !self.held.is_empty() {
                    let held = self.held.remove(at % self.held.len());
                    self.settle(&[held]);
                }
            }
            Op::SettleAll => {
                let held = std::mem::take(&mut self.held);
                self.settle(&held);
            }
            Op::Maintain => {
                if let Some((log, _)) = &mut self.log
                    && log.maintain().is_ok()
                {
                    for kept in self.records.values_mut() {
                        kept.marked |= kept.settled;
                    }
                }
            }
            // Of a process that is to stop no sync fails before.
            Op::FailSync | Op::Fault(..) if self.stopping => {}
            Op::FailSync => self.disk.fail_syncs(1),
            Op::FailWrite => self.disk.fail_writes(1),
            Op::Room(bytes) => self.disk.set_room(Some(bytes)),
            Op::Space => self.disk.set_room(None),
            Op::Stop(nth) => {
                self.doubtful |= self
                    .log
                    .as_ref()
                    .is_some_and(|(l, _)| l.stats().failed_syncs > 0);
                if !std::mem::replace(&mut self.stopping, true) {
                    // What was to fail before that is not to.
                    self.disk.restart();
                }
                self.disk
                    .fault_at(self.disk.operations() + nth, DiskFault::Stop);
            }
            Op::Fault(nth, fault) => self.disk.fault_at(self.disk.operations() + nth, fault),
            Op::Crash => self.open()?,
            Op::Power(seed) => {
                self.lose_power(seed);
                self.open()?;
            }
            Op::CrashInStart(nth, seed) => {
                self.end();
                self.disk.restart();
                self.disk
                    .fault_at(self.disk.operations() + nth, DiskFault::Stop);
                let _ = open(&self.disk, self.options.clone());
                self.lose_power(Some(seed));
                self.open()?;
            }
        }
        self.within_cap()
    }

    fn lose_power(&self, seed: Option<u64>) {
        match seed {
            Some(seed) => self.disk.lose_power(seed),
            None => self.disk.crash(),
        }
    }

    fn append(&mut self, events: usize, bytes: usize) -> Checked {
        let key = self.records.len() as u64;
        let batch = batch(key, events, bytes);
        let Some((log, _)) = &mut self.log else {
            return Ok(());
        };
        let appended = append(log, &batch);
        let kept = Kept {
            events: events as u32,
            text: batch.text().to_vec(),
            acked: false,
            settled: false,
            marked: false,
            refused: appended.is_err() && !self.stopping,
        };
        if let Ok(entry) = appended {
            let twice = self.numbers.insert(entry.seq, key);
            ensure(twice.is_none(), || format!("{} is given twice", entry.seq))?;
        }
        self.records.insert(key, kept);
        Ok(())
    }

    fn settle(&mut self, held: &[(u64, Entry)]) {
        let Some((log, _)) = &self.log else { return };
        for &(key, entry) in held {
            log.settlement().settle(entry);
            self.records.get_mut(&key).unwrap().settled = true;
        }
    }

    /// Bytes on disk, of the marks as many as there can be.
    fn bytes(&self) -> u64 {
        let paths = self.disk.paths().into_iter();
        let segments = paths.filter(|path| !path.ends_with("marks"));
        let sizes = segments.filter_map(|path| self.disk.read(path));
        let bytes: usize = sizes.map(|content| content.len()).sum();
        bytes as u64 + MARKS_BYTES
    }

    fn within_cap(&self) -> Checked {
        let bytes = self.bytes();
        // Records are written again after a failure whatever the cap says. What a
        // process finds beyond it is there until it is settled.
        let cap = self.options.bytes_max.max(self.found);
        let failures = self.log.as_ref().map_or(0, |(log, _)| {
            log.stats().failed_syncs + log.stats().failed_writes
        });
        ensure(bytes <= cap || failures > 0, || {
            format!("{bytes} bytes on disk, not {cap} at most")
        })
    }

    /// After all faults the log must work, and come to rest.
    pub(super) fn finish(&mut self) -> Checked {
        self.disk.set_room(None);
        self.open()?;
        for op in [
            Op::Read(usize::MAX),
            Op::SettleAll,
            Op::Maintain,
            Op::Append {
                events: 2,
                bytes: 50,
            },
            Op::Sync,
        ] {
            self.step(op)?;
        }
        let fresh = self.records.values().next_back();
        ensure(fresh.is_some_and(|kept| kept.acked), || {
            "nothing can be added".into()
        })?;
        self.step(Op::Crash)?;
        self.step(Op::Read(usize::MAX))?;
        ensure(self.held.len() == 1, || format!("{} left", self.held.len()))?;
        self.step(Op::SettleAll)?;
        self.step(Op::Maintain)?;
        self.step(Op::Power(None))?;
        let Some((log, _)) = &self.log else {
            return Ok(());
        };
        let stats = log.stats();
        ensure(stats.records == 0 && stats.events == 0, || {
            format!("{stats:?}")
        })
    }
}
