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
    /// The worst required copy met a closed reader.
    pub closed: u64,
    /// The worst required copy was dropped at shutdown.
    pub shutdown: u64,
    /// The worst required copy was abandoned.
    pub abandoned: u64,
}

/// Hears of a batch's end.
pub trait Settled: Send + Sync {
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
}

impl Tracker {
    fn release(&self) {
        if self.holders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.report.settled(self.tally());
        }
    }

    fn tally(&self) -> Tally {
        let failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let required = self.required.count(self.rows) as u64;
        let mut tally = Tally::default();
        if !failures.is_empty() {
            let worst = worst_by_row(self.rows, &failures);
            tally.closed = count(&worst, Outcome::Closed);
            tally.shutdown = count(&worst, Outcome::Shutdown);
            tally.abandoned = count(&worst, Outcome::Abandoned);
        }
        tally.accepted = required - tally.closed - tally.shutdown - tally.abandoned;
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
    /// one required copy. `report` hears of the end.
    #[must_use]
    pub fn new(rows: usize, required: Rows, report: Arc<dyn Settled>) -> Receipt {
        Receipt {
            tracker: Arc::new(Tracker {
                holders: AtomicU32::new(1),
                rows,
                required,
                failures: Mutex::new(Vec::new()),
                report,
            }),
        }
    }

    /// An ack for the copies of `rows`.
    #[must_use]
    pub fn ack(&self, rows: Rows) -> Ack {
        self.tracker.holders.fetch_add(1, Ordering::Relaxed);
        Ack {
            held: Some((self.tracker.clone(), rows)),
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
}

impl Ack {
    /// The ack of a best-effort copy: nobody waits for it.
    #[must_use]
    pub fn none() -> Ack {
        Ack { held: None }
    }

    /// Whether somebody waits for it.
    #[must_use]
    pub fn is_required(&self) -> bool {
        self.held.is_some()
    }

    /// Says how all its copies ended.
    pub fn settle(mut self, outcome: Outcome) {
        self.end(outcome);
    }

    fn end(&mut self, outcome: Outcome) {
        let Some((tracker, rows)) = self.held.take() else {
            return;
        };
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

    #[derive(Default)]
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
        let receipt = Receipt::new(5, some(&[0, 1, 2, 3], 5), heard.clone());
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
        let receipt = Receipt::new(2, Rows::All, heard.clone());
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
        drop(Receipt::new(3, some(&[], 3), heard.clone()));
        assert_eq!(*heard.0.lock().unwrap(), [Tally::default()]);
    }
}
