//! Acknowledgements: who still holds a batch, and how it ended.
//!
//! Every required share of a batch carries an [`Ack`]. When the last one is
//! settled, the batch's [`Settled`] hears, once, how many of its events ended
//! how; an event with several copies counts by its worst one. An ack dropped
//! without being settled is [`Outcome::Abandoned`], so a panic never looks
//! like a delivery. An ack is apart from the batch: a share copied out of its
//! chunk pins no text.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use super::Rows;

/// How one copy ended. Ordered from best to worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Outcome {
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
/// events that had a required copy.
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
}

impl Tally {
    /// Whether every event is where it was to go, or in the dead letters.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        self.closed + self.shutdown + self.abandoned + self.returned == 0
    }
}

/// Hears of a batch's end.
pub trait Settled: Send + Sync + std::fmt::Debug {
    /// Called once, by whichever thread settles last.
    fn settled(&self, tally: Tally);
}

struct Tracker {
    holders: AtomicU32,
    rows: usize,
    required: Rows,
    /// The copies that did not end well; empty on the good path.
    failures: Mutex<Vec<(Outcome, Rows)>>,
    report: Arc<dyn Settled>,
    /// The source, if it waits for the batch and sends it again if it must.
    waiter: Option<Arc<dyn Settled>>,
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

    fn tally(&self) -> Tally {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let required = self.required.count(self.rows) as u64;
        let mut tally = Tally::default();
        if !failures.is_empty() {
            let worst = worst_by_row(self.rows, &failures);
            tally.dead_lettered = count(&worst, Outcome::DeadLettered);
            tally.closed = count(&worst, Outcome::Closed);
            tally.shutdown = count(&worst, Outcome::Shutdown);
            tally.abandoned = count(&worst, Outcome::Abandoned);
        }
        let worse = tally.dead_lettered + tally.closed + tally.shutdown + tally.abandoned;
        tally.accepted = required - worse;
        if self.waiter.is_some() {
            tally.returned = std::mem::take(&mut tally.shutdown);
            tally.returned += std::mem::take(&mut tally.abandoned);
        }
        tally
    }
}

fn worst_by_row(rows: usize, failures: &[(Outcome, Rows)]) -> Vec<Outcome> {
    let mut worst = vec![Outcome::Delivered; rows];
    for (outcome, failed) in failures {
        failed.for_each(rows, |row| worst[row] = worst[row].max(*outcome));
    }
    worst
}

fn count(worst: &[Outcome], outcome: Outcome) -> u64 {
    worst.iter().filter(|w| **w == outcome).count() as u64
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
        Receipt {
            tracker: Arc::new(Tracker {
                holders: AtomicU32::new(1),
                rows,
                required,
                failures: Mutex::new(Vec::new()),
                report,
                waiter,
            }),
        }
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
        held.is_some_and(|(tracker, _)| tracker.waiter.is_some())
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
        if outcome != Outcome::Delivered {
            let mut failures = tracker
                .failures
                .lock()
                .unwrap_or_else(PoisonError::into_inner);
            failures.push((outcome, rows));
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
mod tests {
    use super::*;
    use crate::event::Bits;

    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<Tally>>);

    impl Settled for Heard {
        fn settled(&self, tally: Tally) {
            self.0.lock().unwrap().push(tally);
        }
    }

    fn some(rows: &[usize], len: usize) -> Rows {
        let mut bits = Bits::default();
        bits.clear(len);
        rows.iter().for_each(|&r| bits.insert(r));
        bits.to_rows()
    }

    #[test]
    fn an_event_counts_once_by_its_worst_copy() {
        let heard = Arc::new(Heard::default());
        let receipt = Receipt::new(5, some(&[0, 1, 2, 3], 5), heard.clone(), None);
        let a = receipt.ack(some(&[0, 1], 5));
        let b = receipt.ack(some(&[1, 2, 3], 5));
        drop(receipt);
        a.settle(Outcome::Shutdown);
        assert!(heard.0.lock().unwrap().is_empty());
        drop(b);
        let expected = Tally {
            shutdown: 1,
            abandoned: 3,
            ..Tally::default()
        };
        assert_eq!(*heard.0.lock().unwrap(), [expected]);
    }

    #[test]
    fn a_clone_is_a_holder() {
        let heard = Arc::new(Heard::default());
        let receipt = Receipt::new(2, Rows::All, heard.clone(), None);
        let ack = receipt.ack(Rows::All);
        drop(receipt);
        let second = ack.clone();
        ack.settle(Outcome::Delivered);
        assert!(heard.0.lock().unwrap().is_empty());
        second.settle(Outcome::Delivered);
        assert_eq!(heard.0.lock().unwrap()[0].accepted, 2);
    }

    #[test]
    fn a_batch_without_copies_settles_with_its_receipt() {
        let heard = Arc::new(Heard::default());
        drop(Receipt::new(3, some(&[], 3), heard.clone(), None));
        assert_eq!(*heard.0.lock().unwrap(), [Tally::default()]);
    }

    #[test]
    fn copies_split_off_end_on_their_own() {
        let heard = Arc::new(Heard::default());
        let waiter = Arc::new(Heard::default());
        let receipt = Receipt::new(6, Rows::All, heard.clone(), Some(waiter.clone()));
        // Rows 1, 3, 4, 5; of them the places 0 and 2 are rows 1 and 4.
        let mut ack = receipt.ack(some(&[1, 3, 4, 5], 6));
        let refused = ack.split(&[0, 2]).dead_letter();
        drop(receipt);
        refused.settle(Outcome::Delivered);
        let mut rest = ack;
        rest.split(&[1]).settle(Outcome::Delivered);
        drop(rest);
        let expected = Tally {
            accepted: 3,
            dead_lettered: 2,
            returned: 1,
            ..Tally::default()
        };
        assert_eq!(*heard.0.lock().unwrap(), [expected]);
        assert_eq!(*waiter.0.lock().unwrap(), [expected]);
        assert!(!expected.is_kept());
    }
}
