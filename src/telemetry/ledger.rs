//! The ledger: where every event of every source, route and sink is.
//!
//! Terms are counted, never derived from each other, and one lock a batch
//! transfer moves all the terms of that transfer, so that these equations hold
//! in every [`Snapshot`], in the middle of a run as well as at its end:
//!
//! - source: `received = accepted + filtered + best_effort + dead_lettered +
//!   dropped + returned + open`
//! - routing: `evaluated = Σ first(route) + filtered by FILTER`, and
//!   `Σ matched(route) >= Σ first(route)`
//! - sink: `recovered + entered = delivered + dead_lettered + diverted + filtered +
//!   dropped + returned + queued{memory, disk} + sending`, and `delivered = written +
//!   already_present`
//! - `with` list: `entered + made = filtered + merged + held + returned +
//!   dropped + out`
//!
//! A source counts events, each once by its worst required copy; a sink counts
//! copies. The ledger also keeps the bytes that each sink's queue pins, since
//! room in all required sinks is reserved at once or not at all.

mod growth;
mod stored;
mod transfer;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::terms::{RouteTerms, SinkTerms, Snapshot, SourceTerms};
use super::with::Owner;
use crate::event::Outcome;
pub use transfer::{Places, Transfer};

/// What happens to a copy that finds its sink's buffer full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum WhenFull {
    /// The batch waits, and with it its stream. Required sinks.
    #[default]
    Block,
    /// The copy is dropped and counted.
    DropNewest,
    /// The oldest queued copies make room.
    DropOldest,
}

/// A sink's room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Quota {
    /// Bytes that its queue may pin. A single share larger than that enters
    /// when the queue is empty.
    pub bytes_max: u64,
    /// What happens beyond.
    pub when_full: WhenFull,
}

/// What one share of a batch will take up in its sink.
#[derive(Clone, Copy, Debug, Default)]
pub struct Demand {
    /// Its copies; 0 if the sink gets none of the batch.
    pub events: u64,
    /// The bytes it pins.
    pub bytes: u64,
}

/// What a delivery was like.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sent {
    /// Bytes after encoding, before compression.
    pub bytes: u64,
    /// Values whose invalid UTF-8 was replaced.
    pub replaced: u64,
    /// Template values that an event did not have.
    pub missing: u64,
    /// Of the copies, those that the service had already.
    pub already_present: u64,
}

/// Why copies go from one sink to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Passing {
    /// The first has refused them for good.
    DeadLetter,
    /// The first is down, the second stands in.
    Fallback,
}

/// How a sink answered a transfer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// Queue it.
    Entered,
    /// It was counted as dropped: do not queue it.
    Dropped,
}

/// The one place where events are counted.
#[derive(Debug)]
pub struct Ledger {
    state: Mutex<Snapshot>,
    /// Told whenever a queue shrinks.
    room: Notify,
}

impl SinkTerms {
    fn of(quota: Quota) -> SinkTerms {
        SinkTerms {
            quota,
            ..SinkTerms::default()
        }
    }

    fn fits(&self, demand: Demand) -> bool {
        #[cfg(test)]
        if crate::seam::mutant::Mutant::QuotaIgnored.is_on() {
            return true;
        }
        // What is on disk too never keeps a share out: it can be let go.
        self.queued_bytes == self.stored_bytes
            || self.queued_bytes + demand.bytes <= self.quota.bytes_max
    }
}

impl Ledger {
    /// A ledger of zeros.
    #[must_use]
    pub fn new(sources: usize, routes: usize, quotas: Vec<Quota>) -> Arc<Ledger> {
        let state = Snapshot {
            sources: vec![SourceTerms::default(); sources],
            routes: vec![RouteTerms::default(); routes],
            sinks: quotas.into_iter().map(SinkTerms::of).collect(),
            ..Snapshot::default()
        };
        Arc::new(Ledger {
            state: Mutex::new(state),
            room: Notify::new(),
        })
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Snapshot> {
        // Every holder leaves whole transfers behind, so a poisoned lock's
        // numbers are still right.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Every term at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.lock().clone()
    }

    /// A source read `events` lines, `truncated` of them cut at the limit.
    pub fn receive(&self, source: usize, events: u64, bytes: u64, truncated: u64) {
        let mut state = self.lock();
        let terms = &mut state.sources[source];
        terms.received += events;
        terms.received_bytes += bytes;
        terms.truncated += truncated;
        terms.open += events;
    }

    /// A source met lines or frames that could not become events.
    pub fn discard(&self, source: usize, lines: u64) {
        if lines > 0 {
            self.lock().sources[source].discarded += lines;
        }
    }

    /// Events of several lines of a source ended at a limit of theirs.
    pub fn split(&self, source: usize, events: u64) {
        self.lock().sources[source].split += events;
    }

    /// Received events that no stage will see: the pipeline is gone. A source
    /// that waits for them sends them again: they are `returned`.
    pub fn abandon(&self, source: usize, events: u64, returned: bool) {
        let mut state = self.lock();
        let terms = &mut state.sources[source];
        terms.open -= events;
        if returned {
            terms.returned += events;
        } else {
            terms.dropped.abandoned += events;
        }
    }

    /// A source turned a request away before it read anything of it.
    pub fn refuse(&self, source: usize) {
        self.lock().sources[source].refused += 1;
    }

    /// Moves a routed batch into its sinks, waiting until every required one
    /// has room for all of its share; nothing is moved before that. `entries`
    /// says, by sink, what to do with the share. `evict` is asked to take the
    /// oldest share out of a `DropOldest` sink's queue and returns its demand.
    pub async fn admit(
        &self,
        source: usize,
        transfer: &Transfer,
        entries: &mut Vec<Entry>,
        mut evict: impl FnMut(usize) -> Option<Demand> + Send,
    ) {
        let mut waiting = Waiting::default();
        // Sinks that have nothing left to evict: the rest is in their drivers' hands.
        let mut emptied = Vec::new();
        loop {
            let room = self.room.notified();
            tokio::pin!(room);
            // Registered before the look, so that no release between is missed.
            room.as_mut().enable();
            let pressed = {
                let mut state = self.lock();
                waiting.end(&mut state);
                if let Some(place) = transfer.full(&state, WhenFull::Block, &[]) {
                    waiting.begin(&mut state, transfer.places.sink(place));
                    None
                } else {
                    let pressed = transfer.full(&state, WhenFull::DropOldest, &emptied);
                    if pressed.is_none() {
                        apply(&mut state, source, transfer, entries);
                        return;
                    }
                    pressed
                }
            };
            match pressed.map(|place| (place, evict(place))) {
                Some((place, Some(demand))) => self.evicted(transfer.places.sink(place), demand),
                Some((place, None)) => emptied.push(place),
                None => room.await,
            }
        }
    }

    /// As [`Ledger::admit`], if nothing has to be waited for or evicted; else
    /// nothing is moved and the answer is no.
    pub fn try_admit(&self, source: usize, transfer: &Transfer, entries: &mut Vec<Entry>) -> bool {
        let mut state = self.lock();
        let full = |when| transfer.full(&state, when, &[]).is_some();
        if full(WhenFull::Block) || full(WhenFull::DropOldest) {
            return false;
        }
        apply(&mut state, source, transfer, entries);
        true
    }

    /// Copies of a best-effort sink, queued in memory, were let go for want of room.
    pub fn evicted(&self, sink: usize, demand: Demand) {
        let mut state = self.lock();
        let terms = &mut state.sinks[sink];
        terms.queued -= demand.events;
        terms.queued_bytes -= demand.bytes;
        terms.dropped.buffer_full += demand.events;
    }

    /// A share left the queue for the sink's hands. Its bytes stay charged
    /// until it is settled.
    pub fn send(&self, sink: usize, events: u64) {
        let mut state = self.lock();
        let terms = &mut state.sinks[sink];
        *terms.waiting() -= events;
        terms.sending += events;
    }

    /// A load was delivered as `sent`; `demand` is what its shares took.
    pub fn deliver(&self, sink: usize, demand: Demand, sent: Sent) {
        {
            let mut state = self.lock();
            let terms = &mut state.sinks[sink];
            terms.sending -= demand.events;
            terms.delivered += demand.events;
            terms.free(demand);
            terms.sent_bytes += sent.bytes;
            terms.replaced += sent.replaced;
            terms.missing += sent.missing;
            terms.already_present += sent.already_present;
        }
        self.room.notify_waiters();
    }

    /// Copies in the sink's hands were given up; `returned` if their source
    /// sends them again. What is on disk waits there for the next run.
    pub fn give_up(&self, sink: usize, demand: Demand, outcome: Outcome, returned: bool) {
        {
            let mut state = self.lock();
            let terms = &mut state.sinks[sink];
            terms.sending -= demand.events;
            terms.free(demand);
            if terms.disk.is_some() {
                terms.queued_disk += demand.events;
            } else if returned {
                terms.returned += demand.events;
            } else {
                terms.dropped.add(outcome, demand.events);
            }
        }
        self.room.notify_waiters();
    }

    /// A best-effort sink refused copies, and nobody wants them.
    pub fn reject(&self, sink: usize, demand: Demand) {
        {
            let mut state = self.lock();
            let terms = &mut state.sinks[sink];
            terms.sending -= demand.events;
            terms.free(demand);
            terms.dropped.rejected += demand.events;
        }
        self.room.notify_waiters();
    }

    /// Moves copies of one sink to another sink's queue, if that has room:
    /// refused ones from the first one's hands, others from its queue. `freed`
    /// is what they took there, `demand` what they take here.
    pub fn try_pass_on(
        &self,
        from: usize,
        freed: Demand,
        to: usize,
        demand: Demand,
        reason: Passing,
    ) -> bool {
        {
            let mut state = self.lock();
            if !state.sinks[to].fits(demand) {
                return false;
            }
            let terms = &mut state.sinks[from];
            terms.free(freed);
            match reason {
                Passing::DeadLetter => {
                    terms.sending -= freed.events;
                    terms.dead_lettered += freed.events;
                }
                Passing::Fallback => {
                    *terms.waiting() -= freed.events;
                    terms.diverted += freed.events;
                }
            }
            let terms = &mut state.sinks[to];
            terms.entered += demand.events;
            terms.queued += demand.events;
            terms.queued_bytes += demand.bytes;
        }
        self.room.notify_waiters();
        true
    }

    /// Waits until something has left the sink's queue, or it is empty.
    pub async fn room_in(&self, sink: usize) {
        let room = self.room.notified();
        tokio::pin!(room);
        room.as_mut().enable();
        if self.lock().sinks[sink].queued_bytes > 0 {
            room.await;
        }
    }

    /// An attempt failed and will be repeated.
    pub fn retry(&self, sink: usize) {
        self.lock().sinks[sink].retries += 1;
    }

    /// Whether a sink's queue is more than half full: then small shares
    /// are copied out of their chunks rather than pin them.
    #[must_use]
    pub fn is_pressed(&self, sink: usize) -> bool {
        let terms = &self.lock().sinks[sink];
        terms.queued_bytes > terms.quota.bytes_max / 2
    }

    /// The required sinks that have no room: a batch waits for them, or they
    /// are full to the last byte.
    #[must_use]
    pub fn full_sinks(&self) -> Vec<usize> {
        let state = self.lock();
        let sinks = state.sinks.iter().enumerate();
        sinks
            .filter(|(_, terms)| {
                let full = terms.queued_bytes >= terms.quota.bytes_max
                    || terms.disk.is_some_and(|disk| disk.full);
                let blocks = terms.quota.when_full == WhenFull::Block && !terms.leaving;
                blocks && (terms.waited_for > 0 || full)
            })
            .map(|(sink, _)| sink)
            .collect()
    }
}

/// Moves all terms of a transfer for which there is room.
fn apply(state: &mut Snapshot, source: usize, transfer: &Transfer, entries: &mut Vec<Entry>) {
    state.evaluated += transfer.evaluated;
    state.filtered_out += transfer.filtered_out;
    let places = &*transfer.places;
    let matches = transfer.first.iter().zip(&transfer.matched);
    for (place, (first, matched)) in matches.enumerate() {
        let terms = &mut state.routes[places.route(place)];
        terms.first += first;
        terms.matched += matched;
    }
    let terms = &mut state.sources[source];
    terms.filtered += transfer.filtered;
    terms.best_effort += transfer.best_effort;
    terms.open -= transfer.filtered + transfer.best_effort;
    terms.unparsed += transfer.unparsed;
    for (owner, list) in &transfer.lists {
        match *owner {
            Owner::Source => state.sources[source].with.add(list),
            Owner::Route(place) => state.routes[places.route(place)].with.add(list),
            Owner::Sink(place) => {
                let terms = &mut state.sinks[places.sink(place)];
                terms.with.add(list);
                terms.entered += list.filtered_total();
                terms.filtered += list.filtered_total();
            }
        }
    }
    entries.clear();
    for (place, &demand) in transfer.demands.iter().enumerate() {
        let terms = &mut state.sinks[places.sink(place)];
        let fits = terms.fits(demand);
        terms.entered += demand.events;
        if fits {
            terms.queued += demand.events;
            terms.queued_bytes += demand.bytes;
            entries.push(Entry::Entered);
        } else {
            terms.dropped.buffer_full += demand.events;
            entries.push(Entry::Dropped);
        }
    }
}

/// The sink that an admission waits for. A router that is dropped while it
/// waits ends with the pipeline.
#[derive(Default)]
struct Waiting(Option<usize>);

impl Waiting {
    fn begin(&mut self, state: &mut Snapshot, sink: usize) {
        state.sinks[sink].waited_for += 1;
        self.0 = Some(sink);
    }

    fn end(&mut self, state: &mut Snapshot) {
        if let Some(sink) = self.0.take() {
            state.sinks[sink].waited_for -= 1;
        }
    }
}

#[cfg(test)]
mod tests;
