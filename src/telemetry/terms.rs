//! The terms of the ledger, and the equations between them.

use super::{Demand, Quota, WithTerms};
use crate::event::Outcome;

/// Events dropped, by reason.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Dropped {
    /// The reader of the sink's stream went away. Meant.
    pub reader_closed: u64,
    /// A best-effort sink's buffer was full. Meant.
    pub buffer_full: u64,
    /// A best-effort sink refused it and has no dead-letter sink. Meant.
    pub rejected: u64,
    /// Still undelivered when the grace period ended. A loss.
    pub shutdown: u64,
    /// Nobody settled it: a stage failed. A loss.
    pub abandoned: u64,
    /// The disk did not keep it: its record cannot be read. A loss.
    pub corrupt: u64,
}

impl Dropped {
    /// All of them.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.reader_closed + self.buffer_full + self.rejected + self.lost()
    }

    /// Those that were not meant.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.shutdown + self.abandoned + self.corrupt
    }

    /// Reason, count and whether it was meant, for reports.
    #[must_use]
    pub fn reasons(&self) -> [(&'static str, u64, bool); 6] {
        [
            ("reader_closed", self.reader_closed, true),
            ("buffer_full", self.buffer_full, true),
            ("rejected", self.rejected, true),
            ("shutdown", self.shutdown, false),
            ("abandoned", self.abandoned, false),
            ("corrupt", self.corrupt, false),
        ]
    }

    pub(super) fn add(&mut self, outcome: Outcome, events: u64) {
        match outcome {
            Outcome::Filtered
            | Outcome::BestEffort
            | Outcome::Delivered
            | Outcome::DeadLettered => {
                debug_assert!(false, "a delivery is not a drop");
            }
            Outcome::Closed => self.reader_closed += events,
            Outcome::Shutdown => self.shutdown += events,
            Outcome::Abandoned => self.abandoned += events,
        }
    }
}

/// A source's terms, in events unless the name says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceTerms {
    /// Read from the outside.
    pub received: u64,
    /// Bytes read, with terminators.
    pub received_bytes: u64,
    /// Every required copy confirmed or handed over.
    pub accepted: u64,
    /// No copy at all: a drop route or FILTER.
    pub filtered: u64,
    /// Only best-effort copies.
    pub best_effort: u64,
    /// The worst required copy is a dead letter.
    pub dead_lettered: u64,
    /// Given up, by the worst required copy.
    pub dropped: Dropped,
    /// Given up, and the source sends it again.
    pub returned: u64,
    /// Not settled yet.
    pub open: u64,
    /// Lines that did not have the source's format. They are events all the
    /// same: not a term of the equation.
    pub unparsed: u64,
    /// Lines cut at the line limit; events all the same.
    pub truncated: u64,
    /// Events of several lines that ended at a limit of theirs.
    pub split: u64,
    /// Lines or frames that never became events: over the limit where those
    /// are dropped, or not in the source's framing.
    pub discarded: u64,
    /// Requests turned away before anything of them was read.
    pub refused: u64,
    /// Its `with` list.
    pub with: WithTerms,
}

/// A route's terms, in events.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RouteTerms {
    /// This route was the first that matched.
    pub first: u64,
    /// This route matched.
    pub matched: u64,
    /// Its `with` list.
    pub with: WithTerms,
}

/// A sink's buffer on disk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DiskTerms {
    /// Bytes of its files.
    pub bytes: u64,
    /// Bytes that they may take.
    pub bytes_max: u64,
    /// Whether something waits for room there.
    pub full: bool,
    /// Records that could not be read, since the start.
    pub corrupt_records: u64,
    /// Syncs and writes that failed, since the start.
    pub failures: u64,
}

/// A sink's terms, in copies unless the name says otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SinkTerms {
    /// On disk from earlier runs.
    pub recovered: u64,
    /// Routed here; where its list merges events, those that it has made in their
    /// place.
    pub entered: u64,
    /// Confirmed or handed over.
    pub delivered: u64,
    /// Of the delivered, those that the service had already.
    pub already_present: u64,
    /// Refused for good, and in the dead-letter sink's hands.
    pub dead_lettered: u64,
    /// Taken by the fallback sink.
    pub diverted: u64,
    /// Taken out by its `with` list.
    pub filtered: u64,
    /// Given up.
    pub dropped: Dropped,
    /// Given up, and the source sends them again.
    pub returned: u64,
    /// Waiting in memory, with no record on disk.
    pub queued: u64,
    /// Waiting with a record on disk.
    pub queued_disk: u64,
    /// In the sink's hands.
    pub sending: u64,
    /// Bytes pinned by the queue.
    pub queued_bytes: u64,
    /// Of them, those of copies that have a record on disk.
    pub stored_bytes: u64,
    /// Copies that have a record on disk and are in memory, or in the sink's hands.
    pub stored: u64,
    /// Its buffer on disk, if it has one.
    pub disk: Option<DiskTerms>,
    /// Its room.
    pub quota: Quota,
    /// Whether it is in the plan no more.
    pub leaving: bool,
    /// Batches that wait for room here, and their streams with them.
    pub waited_for: u64,
    /// Bytes delivered, encoded.
    pub sent_bytes: u64,
    /// Attempts that failed and were or will be repeated.
    pub retries: u64,
    /// Values in delivered copies whose invalid UTF-8 was replaced.
    pub replaced: u64,
    /// Template values that an event did not have.
    pub missing: u64,
    /// Its `with` list.
    pub with: WithTerms,
}

impl SinkTerms {
    /// What waits for the driver: with a buffer on disk, what has a record there.
    pub(super) fn waiting(&mut self) -> &mut u64 {
        if self.disk.is_some() {
            &mut self.queued_disk
        } else {
            &mut self.queued
        }
    }

    /// Lets go of memory that was the driver's.
    pub(super) fn free(&mut self, demand: Demand) {
        self.queued_bytes -= demand.bytes;
        if self.disk.is_some() {
            self.stored_bytes -= demand.bytes;
            self.stored -= demand.events;
        }
    }
}

/// Every term at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Snapshot {
    /// By the source's place in the plan.
    pub sources: Vec<SourceTerms>,
    /// Events that went through the route table.
    pub evaluated: u64,
    /// Events that FILTER took out before the routes.
    pub filtered_out: u64,
    /// By the route's place in the plan.
    pub routes: Vec<RouteTerms>,
    /// By the sink's place in the plan.
    pub sinks: Vec<SinkTerms>,
}

impl Snapshot {
    /// The equations that do not hold, in words; empty if all do.
    #[must_use]
    pub fn violations(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for (i, s) in self.sources.iter().enumerate() {
            let kept = s.accepted + s.filtered + s.best_effort + s.dead_lettered;
            let sum = kept + s.dropped.total() + s.returned + s.open;
            if s.received != sum {
                broken.push(format!(
                    "source {i}: received {} but its terms are {sum}: {s:?}",
                    s.received
                ));
            }
        }
        let first: u64 = self.routes.iter().map(|r| r.first).sum();
        let matched: u64 = self.routes.iter().map(|r| r.matched).sum();
        if self.evaluated != first + self.filtered_out || matched < first {
            broken.push(format!(
                "routing: evaluated {}, first {first}, matched {matched}, filtered out {}",
                self.evaluated, self.filtered_out
            ));
        }
        for (i, k) in self.sinks.iter().enumerate() {
            let passed = k.delivered + k.dead_lettered + k.diverted + k.filtered;
            let waiting = k.queued + k.queued_disk + k.sending;
            let sum = passed + k.dropped.total() + k.returned + waiting;
            let unlike = !k.with.is_empty() && k.filtered != k.with.filtered_total();
            let came = k.recovered + k.entered;
            if came != sum || k.already_present > k.delivered || unlike {
                broken.push(format!(
                    "sink {i}: {came} came but its terms are {sum}: {k:?}"
                ));
            }
        }
        for (owner, with) in self.lists() {
            if !with.balances() {
                let (kind, at) = owner;
                broken.push(format!("{kind} {at}: its list does not balance: {with:?}"));
            }
        }
        broken
    }

    /// The terms of every `with` list, and whose it is.
    fn lists(&self) -> impl Iterator<Item = ((&'static str, usize), &WithTerms)> {
        let sources = self.sources.iter().map(|s| ("source", &s.with)).enumerate();
        let routes = self.routes.iter().map(|r| ("route", &r.with)).enumerate();
        let sinks = self.sinks.iter().map(|k| ("sink", &k.with)).enumerate();
        let all = sources.chain(routes).chain(sinks);
        all.map(|(at, (kind, with))| ((kind, at), with))
    }

    /// As [`Snapshot::violations`], and nothing may be on its way any more, but
    /// for what waits on disk: what must hold when a run has ended.
    #[must_use]
    pub fn violations_at_end(&self) -> Vec<String> {
        let mut broken = self.violations();
        for (i, s) in self.sources.iter().enumerate() {
            if s.open != 0 {
                broken.push(format!("source {i}: {} events were never settled", s.open));
            }
        }
        for (owner, with) in self.lists() {
            if with.held != 0 {
                let (kind, at) = owner;
                broken.push(format!(
                    "{kind} {at}: its list still holds events: {with:?}"
                ));
            }
        }
        for (i, k) in self.sinks.iter().enumerate() {
            if k.queued + k.sending + k.queued_bytes != 0 {
                broken.push(format!("sink {i}: copies are still on their way: {k:?}"));
            }
        }
        broken
    }

    /// Events lost that were not meant to be.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let sources: u64 = self.sources.iter().map(|s| s.dropped.lost()).sum();
        let sinks: u64 = self.sinks.iter().map(|k| k.dropped.corrupt).sum();
        sources + sinks
    }
}
