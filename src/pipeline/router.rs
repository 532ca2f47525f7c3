//! One source's router: parses its batches, evaluates the routes, and hands
//! each sink its share once all required sinks have room.

mod made;

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::time::Instant;

use super::entrance::Arrival;
use super::lanes::Lanes;
use super::queue::User;
use super::with::Lists;
use crate::buffer::Memory;
use crate::event::{Ack, Batch, Bits, Late, Outcome, Receipt, Rows, Settled, Share};
use crate::parse::Formats;
use crate::route::{Routed, Table};
use crate::seam::Clock;
use crate::telemetry::{Demand, Entry, Ledger, Places, Transfer};

/// What a queued share costs beside what it pins: so that a flood of tiny
/// batches is bounded too.
pub(super) const SHARE_OVERHEAD_BYTES: u64 = 512;

/// A sink as the routers see it.
pub(super) struct Lane {
    pub(super) buffer: Arc<Memory>,
    pub(super) required: bool,
    /// Keeps the buffer open as long as a router has the lane.
    pub(super) _user: User,
}

/// What all routers have in common as long as a plan is in force.
pub(super) struct InForce {
    pub(super) table: Arc<Table>,
    pub(super) sinks: Box<[Lane]>,
    pub(super) places: Arc<Places>,
}

/// Another plan for a router, from its next batch on.
pub(super) struct Turn {
    pub(super) plan: Arc<InForce>,
    /// The source's place in it.
    pub(super) place: usize,
    pub(super) lists: Lists,
    /// How lines are read, if that changes.
    pub(super) formats: Option<Arc<Formats>>,
    /// Told once it is taken.
    pub(super) taken: oneshot::Sender<()>,
}

/// One source's router.
pub(super) struct Router {
    /// The source's place in the ledger.
    pub(super) source: usize,
    /// Its place in the plan.
    pub(super) place: usize,
    pub(super) lanes: Lanes,
    pub(super) plan: Arc<InForce>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) report: Arc<dyn Settled>,
    pub(super) lists: Lists,
    pub(super) clock: Clock,
    /// Whether who reads lines parses them too, if they need not wait.
    pub(super) parses_at_once: bool,
    pub(super) scratch: Scratch,
}

/// Recycled between batches.
#[derive(Default)]
pub(super) struct Scratch {
    routed: Routed,
    transfer: Transfer,
    entries: Vec<Entry>,
    required: Bits,
    any: Bits,
    /// The rows that are counted otherwise: those with a copy, and those held.
    kept: Bits,
    words: Vec<u64>,
    /// By sink: the batch that it gets, if that is not the one that came.
    edited: Vec<Option<Arc<Batch>>>,
}

impl Scratch {
    /// What is moved is counted where the plan says.
    pub(super) fn of(plan: &InForce) -> Scratch {
        let mut scratch = Scratch::default();
        scratch.transfer.places = plan.places.clone();
        scratch
    }
}

impl Router {
    /// Routes a batch at once if nothing has to be done to its events, nor found in
    /// its lines (or it is parsed at once), and all required sinks have room; else it
    /// comes back, to be parsed in its turn, when another plan may be in force.
    pub(super) fn route_now(&mut self, mut arrival: Arrival) -> Option<Arrival> {
        if self.lists.run_any() || self.parses() && !self.parses_at_once {
            return Some(arrival);
        }
        let batch = arrival.batch_mut()?;
        self.lanes.parse(batch);
        self.evaluate(batch);
        self.prepare(batch);
        self.count_rows(batch.rows());
        let Scratch {
            transfer, entries, ..
        } = &mut self.scratch;
        if !self.ledger.try_admit(self.source, transfer, entries) {
            return Some(arrival);
        }
        if let Some(batch) = arrival.take() {
            self.distribute(batch, None);
        }
        None
    }

    /// Whether the plan wants anything of what lines say.
    pub(super) fn parses(&self) -> bool {
        self.lanes.read_any()
    }

    /// When something is due that lists hold.
    pub(super) fn due(&mut self) -> Option<Instant> {
        self.lists.due()
    }

    /// Parses and routes a batch.
    pub(super) async fn route(&mut self, mut arrival: Arrival) {
        if let Some(batch) = arrival.batch_mut() {
            self.lanes.parse(batch);
            self.evaluate(batch);
        }
        self.hand_over(arrival).await;
        self.hand_over_made(false).await;
    }

    /// Goes on under another plan: no batch is in hand, and what lists hold ends
    /// under the plan before.
    pub(super) async fn turn(&mut self, turn: Turn) {
        self.hand_over_made(true).await;
        let Turn {
            plan,
            place,
            lists,
            formats,
            taken,
        } = turn;
        self.place = place;
        self.lists = lists;
        if let Some(formats) = formats {
            self.lanes = Lanes::new(formats);
        }
        self.scratch = Scratch::of(&plan);
        self.plan = plan;
        // Whoever wanted to know may have stopped waiting.
        let _ = taken.send(());
    }

    /// Routes a parsed batch, and runs what lists there are on the way.
    fn evaluate(&mut self, batch: &mut Batch) {
        let Scratch {
            routed,
            transfer,
            edited,
            ..
        } = &mut self.scratch;
        self.lists.set_now();
        transfer.unparsed = batch.columns().failed().count() as u64;
        let left = self.lists.before_routes(batch, transfer);
        self.plan.table.route_rows(self.place, batch, left, routed);
        self.lists.behind_routes(batch, routed, transfer, edited);
        if self.lists.holds() {
            self.lists.note_held(batch.rows(), batch.is_awaited());
        }
    }

    async fn hand_over(&mut self, mut arrival: Arrival) {
        let Some(batch) = arrival.batch_mut() else {
            return;
        };
        self.prepare(batch);
        self.count_rows(batch.rows());
        self.admit().await;
        // Nothing between here and the receipt can fail.
        if let Some(batch) = arrival.take() {
            self.distribute(batch, None);
        }
    }

    /// Waits until all required sinks have room for what was prepared.
    async fn admit(&mut self) {
        let buffers = &self.plan.sinks;
        let evict = |sink: usize| {
            let (share, demand) = buffers[sink].buffer.try_pop()?;
            // Meant, and counted: a record that it is the dead letter of is done.
            share.ack.settle(Outcome::Delivered);
            Some(demand)
        };
        let scratch = &mut self.scratch;
        self.ledger
            .admit(self.source, &scratch.transfer, &mut scratch.entries, evict)
            .await;
    }

    /// Works out what the batch will move in the ledger.
    fn prepare(&mut self, batch: &Batch) {
        let Scratch {
            routed,
            transfer,
            required,
            any,
            edited,
            ..
        } = &mut self.scratch;
        let rows = batch.rows();
        required.clear(rows);
        any.clear(rows);
        transfer.demands.clear();
        let whole = pinned_bytes(batch);
        let sinks = self.plan.sinks.iter().zip(&routed.sinks);
        for ((lane, share), edited) in sinks.zip(edited) {
            let pinned = edited.as_deref().map_or(whole, pinned_bytes);
            let events = share.count() as u64;
            if events > 0 {
                any.union(share);
                if lane.required {
                    required.union(share);
                }
            }
            let bytes = if events == 0 { 0 } else { pinned };
            transfer.demands.push(Demand { events, bytes });
        }
        transfer.evaluated = routed.evaluated as u64;
        transfer.filtered_out = routed.filtered_out as u64;
        transfer.first.clone_from(&routed.first);
        transfer.matched.clone_from(&routed.matched);
        (transfer.filtered, transfer.best_effort) = (0, 0);
        self.shrink_demands(batch);
    }

    /// Counts the events of a source's batch whose end is known now: no sink gets
    /// them, or only best-effort ones, and no list holds them.
    fn count_rows(&mut self, rows: usize) {
        let Scratch {
            transfer,
            required,
            any,
            kept,
            ..
        } = &mut self.scratch;
        kept.copy_from(any);
        if self.lists.holds() {
            kept.union(self.lists.held());
        }
        transfer.filtered = (rows - kept.count()) as u64;
        if self.lists.holds() {
            kept.subtract(self.lists.held());
        }
        kept.subtract(required);
        transfer.best_effort = kept.count() as u64;
    }

    /// Where a sink lags, though it had the processor, and its share is less than a
    /// quarter of the batch, the share will be copied out, so that it does not pin
    /// the whole chunk.
    fn shrink_demands(&mut self, batch: &Batch) {
        let rows = batch.rows() as u64;
        for (sink, demand) in self.scratch.transfer.demands.iter_mut().enumerate() {
            let small = demand.events > 0 && demand.events * 4 < rows;
            let is_pressed = || self.ledger.is_pressed(self.plan.places.sink(sink));
            if !small || !is_pressed() {
                continue;
            }
            // It may only have waited for this processor.
            std::thread::yield_now();
            if is_pressed() {
                // Text, cells and fields in proportion, and room for uneven lines.
                let part = demand.bytes * demand.events / rows;
                demand.bytes = SHARE_OVERHEAD_BYTES + part * 2;
            }
        }
    }

    /// Queues what was admitted; `merged`: the acks of what is in its events.
    fn distribute(&mut self, mut batch: Batch, merged: Option<Vec<Vec<Ack>>>) {
        let Scratch {
            routed,
            transfer,
            entries,
            required,
            any,
            words,
            edited,
            ..
        } = &mut self.scratch;
        let waiter = batch.take_waiter();
        let batch = Arc::new(batch);
        let (rows, required) = (batch.rows(), required.to_rows());
        let receipt = if self.lists.holds() {
            let late = Late {
                held: self.lists.held().to_rows(),
                any: any.to_rows(),
            };
            let report = match merged {
                None => self.lists.report(&self.report),
                Some(_) => self.lists.report(&made::nobody()),
            };
            Receipt::late(
                rows,
                required,
                late,
                merged.unwrap_or_default(),
                report,
                waiter,
            )
        } else {
            let report = self.lists.report(&self.report);
            Receipt::new(rows, required, report, waiter)
        };
        self.lists.own(&receipt);
        let sinks = &self.plan.sinks;
        Bits::freeze_all(&routed.sinks, words, |sink, rows| {
            let (lane, demand) = (&sinks[sink], transfer.demands[sink]);
            if demand.events == 0 || entries[sink] == Entry::Dropped {
                return;
            }
            let ack = if lane.required {
                receipt.ack(rows.clone())
            } else {
                Ack::none()
            };
            let batch = edited[sink].take().unwrap_or_else(|| batch.clone());
            let (batch, rows) = if demand.bytes < pinned_bytes(&batch) {
                (Arc::new(batch.copy_rows(&rows)), Rows::All)
            } else {
                (batch, rows)
            };
            #[cfg(test)]
            let rows = without_one(rows, batch.rows());
            lane.buffer.push(Share { batch, rows, ack }, demand);
        });
    }
}

#[cfg(test)]
fn without_one(rows: Rows, of: usize) -> Rows {
    if crate::seam::mutant::Mutant::LostRow.is_on() && rows.count(of) > 1 {
        return rows.split(of, &[0]).1;
    }
    rows
}

/// What a share of a batch that is not copied out pins.
fn pinned_bytes(batch: &Batch) -> u64 {
    batch.pinned_bytes() as u64 + SHARE_OVERHEAD_BYTES
}

#[cfg(test)]
mod tests;
