//! Acknowledgements: who still holds a batch, and how it ended.
//!
//! Every required share of a batch carries an [`Ack`]. When the last one is
//! settled, the batch's [`Settled`] hears, once, how many of its events ended
//! how; an event with several copies counts by its worst one. An ack dropped
//! without being settled is [`Outcome::Abandoned`], so a panic never looks
//! like a delivery. An ack is apart from the batch: a share copied out of its
//! chunk pins no text.
//!
//! An event that a transform holds has an ack too, [`Receipt::hold`]. It goes to
//! the event that it is merged into, whose batch settles it
//! ([`Receipt::merged`]): how a merged event ends is how each of those ended
//! that are in it.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Rows;

/// How one copy ended. Ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
    /// No sink gets it, as was meant: of merged events.
    Filtered,
    /// Only best-effort sinks get it: of merged events.
    BestEffort,
    /// Confirmed or handed over by its sink.
    Delivered,
    /// Its sink refused it and the dead-letter sink has it.
    DeadLettered,
    /// The sink's reader went away and wants no more; meant, not a loss.
    Closed,
    /// Its sink dropped it at shutdown.
    Shutdown,
    /// Nobody settled it: a stage failed.
    Abandoned,
}

/// How the events of one batch ended: each event once. Together they are the
/// events that had a required copy or were held.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Every required copy delivered.
    pub accepted: u64,
    /// The worst required copy is a dead letter.
    pub dead_lettered: u64,
    /// The worst required copy met a closed reader.
    pub closed: u64,
    /// The worst required copy was dropped at shutdown.
    pub shutdown: u64,
    /// The worst required copy was abandoned.
    pub abandoned: u64,
    /// Given up, and the source sends it again: instead of the two above
    /// where somebody waits for the batch.
    pub returned: u64,
    /// Was held, and no sink got what it was merged into.
    pub filtered: u64,
    /// Was held, and only best-effort sinks got what it was merged into.
    pub best_effort: u64,
}

impl Tally {
    /// Whether every event is where it was to go, or in the dead letters.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.closed + self.shutdown + self.abandoned + self.returned == 0
    }
}

/// How soon the end of a batch is wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Haste {
    /// A load may wait until it is full: what it is of is safe, or nobody asks.
    None,
    /// It may wait as long as nobody sees: its source goes on meanwhile, and only
    /// the position waits from which it would read again.
    Some,
    /// Somebody stands and waits.
    All,
}

/// Hears of a batch's end.
pub trait Settled: Send + Sync + std::fmt::Debug {
    /// Called once, by whichever thread settles last.
    fn settled(&self, tally: Tally);

    /// How soon it wants to hear.
    fn haste(&self) -> Haste {
        Haste::All
    }
}

struct Tracker {
    holders: AtomicU32,
    rows: usize,
    required: Rows,
    /// The rows whose end is not known by their copies alone.
    late: Option<Late>,
    /// The copies that did not end well, and all that were held; empty on the
    /// good path.
    ends: Mutex<Vec<(Outcome, Rows)>>,
    /// By row: the acks of the events that were merged into it; empty of a batch
    /// that a source has sent.
    merged: Mutex<Vec<Vec<Ack>>>,
    report: Arc<dyn Settled>,
    /// The source, if it waits for the batch and sends it again if it must.
    waiter: Option<Arc<dyn Settled>>,
    /// Whether a source waits for its end.
    awaited: bool,
}

/// Of a batch with rows that transforms hold, or have made of others.
pub struct Late {
    /// The rows that they hold.
    pub held: Rows,
    /// The rows with a copy, required or not.
    pub any: Rows,
}

impl Tracker {
    fn release(&self) {
        if self.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            let tally = self.tally();
            self.report.settled(tally);
            if let Some(waiter) = &self.waiter {
                waiter.settled(tally);
            }
        }
    }

    /// Counts how the rows ended, and settles what was merged into them.
    fn tally(&self) -> Tally {
        let ends = self.ends.lock().unwrap_or_else(PoisonError::into_inner);
        let mut tally = Tally::default();
        if ends.is_empty() && self.late.is_none() {
            tally.accepted = self.required.count(self.rows) as u64;
            return tally;
        }
        let worst = self.worst_by_row(&ends);
        drop(ends);
        for (row, outcome) in worst.iter().enumerate() {
            let held = self.late.as_ref().is_some_and(|l| l.held.contains(row));
            if held || self.required.contains(row) {
                tally.count(*outcome);
            }
        }
        if self.waiter.is_some() {
            tally.returned = std::mem::take(&mut tally.shutdown);
            tally.returned += std::mem::take(&mut tally.abandoned);
        }
        let mut merged = self.merged.lock().unwrap_or_else(PoisonError::into_inner);
        let merged = std::mem::take(&mut *merged);
        for (acks, outcome) in merged.into_iter().zip(worst) {
            acks.into_iter().for_each(|ack| ack.settle(outcome));
        }
        tally
    }

    fn worst_by_row(&self, ends: &[(Outcome, Rows)]) -> Vec<Outcome> {
        let mut worst = vec![Outcome::Filtered; self.rows];
        let mut raise = |outcome, rows: &Rows| {
            rows.for_each(self.rows, |row| worst[row] = worst[row].max(outcome));
        };
        if let Some(late) = &self.late {
            raise(Outcome::BestEffort, &late.any);
        }
        raise(Outcome::Delivered, &self.required);
        ends.iter()
            .for_each(|(outcome, rows)| raise(*outcome, rows));
        worst
    }
}

impl Tally {
    fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Filtered => &mut self.filtered,
            Outcome::BestEffort => &mut self.best_effort,
            Outcome::Delivered => &mut self.accepted,
            Outcome::DeadLettered => &mut self.dead_lettered,
            Outcome::Closed => &mut self.closed,
            Outcome::Shutdown => &mut self.shutdown,
            Outcome::Abandoned => &mut self.abandoned,
        } += 1;
    }
}

/// Gives out the acks of one batch. Dropping it lets the batch settle.
pub struct Receipt {
    tracker: Arc<Tracker>,
}

impl Receipt {
    /// A receipt for a batch of `rows` events of which `required` have at least
    /// one required copy. `report` hears of the end, then `waiter`: the source,
    /// where it waits for the batch and sends again what was given up.
    #[must_use]
    pub fn new(
        rows: usize,
        required: Rows,
        report: Arc<dyn Settled>,
        waiter: Option<Arc<dyn Settled>>,
    ) -> Receipt {
        Receipt::of(rows, required, None, Vec::new(), report, waiter)
    }

    /// As [`Receipt::new`], where transforms hold some rows or have made them:
    /// `merged` are, by row, the acks of the events that are in it, which end as
    /// it does; empty for a batch that a source has sent.
    #[must_use]
    pub fn late(
        rows: usize,
        required: Rows,
        late: Late,
        merged: Vec<Vec<Ack>>,
        report: Arc<dyn Settled>,
        waiter: Option<Arc<dyn Settled>>,
    ) -> Receipt {
        Receipt::of(rows, required, Some(late), merged, report, waiter)
    }

    fn of(
        rows: usize,
        required: Rows,
        late: Option<Late>,
        merged: Vec<Vec<Ack>>,
        report: Arc<dyn Settled>,
        waiter: Option<Arc<dyn Settled>>,
    ) -> Receipt {
        let awaited = waiter.is_some() || merged.iter().flatten().any(Ack::is_awaited);
        Receipt {
            tracker: Arc::new(Tracker {
                holders: AtomicU32::new(1),
                rows,
                required,
                late,
                ends: Mutex::new(Vec::new()),
                merged: Mutex::new(merged),
                report,
                waiter,
                awaited,
            }),
        }
    }

    /// The ack of a row that a transform holds: it ends as what it is merged
    /// into does.
    #[must_use]
    pub fn hold(&self, row: usize) -> Ack {
        let mut ack = self.ack(Rows::One(row as u32));
        ack.floor = Outcome::Filtered;
        ack
    }

    /// An ack for the copies of `rows`.
    #[must_use]
    pub fn ack(&self, rows: Rows) -> Ack {
        self.tracker.holders.fetch_add(1, Ordering::Relaxed);
        Ack {
            held: Some((self.tracker.clone(), rows)),
            floor: Outcome::Delivered,
        }
    }
}

impl Drop for Receipt {
    fn drop(&mut self) {
        self.tracker.release();
    }
}

/// The duty to say how some copies ended.
pub struct Ack {
    held: Option<(Arc<Tracker>, Rows)>,
    /// What the best end is, on the way that the copies take.
    floor: Outcome,
}

impl Ack {
    /// The ack of a best-effort copy: nobody waits for it.
    #[must_use]
    pub fn none() -> Ack {
        Ack {
            held: None,
            floor: Outcome::Delivered,
        }
    }

    /// Whether the batch's source waits for its end, and sends again what is
    /// given up.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|(tracker, _)| tracker.awaited)
    }

    /// How soon whoever waits for the batch wants to hear of its end.
    #[must_use]
    pub fn haste(&self) -> Haste {
        let waiter = self.held.as_ref().and_then(|(t, _)| t.waiter.as_ref());
        waiter.map_or(Haste::None, |waiter| waiter.haste())
    }

    /// Takes copies out into an ack of their own. `taken` are their places
    /// among this ack's copies, ascending.
    #[must_use]
    pub fn split(&mut self, taken: &[u32]) -> Ack {
        let held = self.held.as_mut().map(|(tracker, rows)| {
            let (taken, rest) = rows.split(tracker.rows, taken);
            *rows = rest;
            tracker.holders.fetch_add(1, Ordering::Relaxed);
            (tracker.clone(), taken)
        });
        Ack {
            held,
            floor: self.floor,
        }
    }

    /// Says that the copies are dead letters now: delivering them is no more
    /// than that.
    #[must_use]
    pub fn dead_letter(mut self) -> Ack {
        #[cfg(test)]
        if crate::seam::mutant::Mutant::DeadLetterEarly.is_on() {
            self.settle(Outcome::DeadLettered);
            return Ack::none();
        }
        self.floor = self.floor.max(Outcome::DeadLettered);
        self
    }

    /// Says how all its copies ended.
    pub fn settle(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        let Some((tracker, rows)) = self.held.take() else {
            return;
        };
        let outcome = outcome.max(self.floor);
        if outcome != Outcome::Delivered || self.floor < Outcome::Delivered {
            let mut ends = tracker.ends.lock().unwrap_or_else(PoisonError::into_inner);
            ends.push((outcome, rows));
        }
        #[cfg(test)]
        if crate::seam::mutant::Mutant::SettledTwice.is_on() {
            // Once it has brought a stage down it is found.
            if std::thread::panicking() {
                return;
            }
            tracker.release();
        }
        tracker.release();
    }
}

impl Clone for Ack {
    /// Adds a holder.
    fn clone(&self) -> Ack {
        if let Some((tracker, _)) = &self.held {
            tracker.holders.fetch_add(1, Ordering::Relaxed);
        }
        Ack {
            held: self.held.clone(),
            floor: self.floor,
        }
    }
}

impl Drop for Ack {
    fn drop(&mut self) {
        self.end(Outcome::Abandoned);
    }
}

#[cfg(test)]
mod tests;
