//! How far the batches of one file have settled.
//!
//! Batches are sent in the order of the file and settle in any. What counts is
//! the beginning without a gap: its end is where a checkpoint may stand, and
//! where reading begins again if a later batch was given up.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::event::{Haste, Settled, Tally};

/// What all files of a source have in common.
#[derive(Debug, Default)]
pub(super) struct Open {
    /// Batches that have not settled.
    batches: AtomicUsize,
    none: Notify,
}

impl Open {
    pub(super) fn is_none(&self) -> bool {
        self.batches.load(Ordering::Acquire) == 0
    }

    /// Waits until every batch has settled. No batch may follow.
    pub(super) async fn none(&self) {
        while !self.is_none() {
            self.none.notified().await;
        }
    }
}

/// How far one file's batches have settled.
#[derive(Debug)]
pub(super) struct Progress {
    state: Mutex<State>,
    open: Arc<Open>,
}

#[derive(Debug, Default)]
struct State {
    /// All before it has settled.
    settled: u64,
    /// From the first batch on that has not: where each ends, whether it has.
    sent: VecDeque<(u64, bool)>,
    /// The number of the first of them.
    first: u64,
    given_up: bool,
    /// How often reading has begun again: batches from before are nobody's.
    lives: u64,
}

/// One batch.
#[derive(Debug)]
struct Waiter {
    progress: Arc<Progress>,
    number: u64,
    life: u64,
}

impl Progress {
    /// Of a file that is read from `offset` on.
    pub(super) fn new(offset: u64, open: Arc<Open>) -> Arc<Progress> {
        Arc::new(Progress {
            state: Mutex::new(State {
                settled: offset,
                ..State::default()
            }),
            open,
        })
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The waiter of the next batch, all of which is before `end`.
    pub(super) fn batch(self: &Arc<Self>, end: u64) -> Arc<dyn Settled> {
        self.open.batches.fetch_add(1, Ordering::AcqRel);
        let mut state = self.state();
        let number = state.first + state.sent.len() as u64;
        state.sent.push_back((end, false));
        #[cfg(test)]
        if crate::seam::mutant::Mutant::PositionEarly.is_on() {
            state.settled = end;
        }
        Arc::new(Waiter {
            progress: self.clone(),
            number,
            life: state.lives,
        })
    }

    /// Says that nothing of what stands between the last batch and `end` will
    /// be sent.
    pub(super) fn skip(&self, end: u64) {
        let mut state = self.state();
        match state.sent.back_mut() {
            Some(last) => last.0 = end,
            None => state.settled = end,
        }
    }

    /// All before it has settled.
    pub(super) fn settled(&self) -> u64 {
        self.state().settled
    }

    /// Whether every batch has settled well.
    pub(super) fn is_done(&self) -> bool {
        self.state().sent.is_empty()
    }

    /// If a batch was given up: where reading begins again. What is on its way
    /// will count for nothing.
    pub(super) fn rewind(&self) -> Option<u64> {
        let mut state = self.state();
        if !std::mem::take(&mut state.given_up) {
            return None;
        }
        state.lives += 1;
        state.first = 0;
        state.sent.clear();
        Some(state.settled)
    }
}

impl Settled for Waiter {
    fn haste(&self) -> Haste {
        Haste::Some
    }

    fn settled(&self, tally: Tally) {
        let mut state = self.progress.state();
        if state.lives == self.life {
            // A sink whose reader went away wants no more: nothing to send again.
            if tally.returned + tally.shutdown + tally.abandoned == 0 {
                let place = (self.number - state.first) as usize;
                if let Some(sent) = state.sent.get_mut(place) {
                    sent.1 = true;
                }
                while let Some(&(end, true)) = state.sent.front() {
                    state.sent.pop_front();
                    state.first += 1;
                    state.settled = end;
                }
            } else {
                state.given_up = true;
            }
        }
        drop(state);
        let open = &self.progress.open;
        if open.batches.fetch_sub(1, Ordering::AcqRel) == 1 {
            open.none.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept() -> Tally {
        Tally {
            accepted: 1,
            ..Tally::default()
        }
    }

    fn given_up() -> Tally {
        Tally {
            returned: 1,
            ..Tally::default()
        }
    }

    #[test]
    fn only_a_beginning_without_a_gap_counts() {
        let open = Arc::new(Open::default());
        let progress = Progress::new(5, open.clone());
        progress.skip(7);
        let batches = [10, 20, 30].map(|end| progress.batch(end));
        batches[2].settled(kept());
        batches[1].settled(kept());
        assert_eq!(progress.settled(), 7);
        progress.skip(35);
        batches[0].settled(kept());
        assert_eq!(progress.settled(), 35, "with what is not sent behind it");
        assert!(progress.is_done() && open.is_none());
        progress.skip(40);
        assert_eq!(progress.settled(), 40);
        assert_eq!(progress.rewind(), None);
    }

    #[test]
    fn what_was_given_up_is_read_again_from_there() {
        let open = Arc::new(Open::default());
        let progress = Progress::new(0, open.clone());
        let batches = [10, 20, 30].map(|end| progress.batch(end));
        batches[0].settled(kept());
        batches[1].settled(given_up());
        assert_eq!(progress.rewind(), Some(10));
        let again = [20, 30].map(|end| progress.batch(end));
        again[0].settled(kept());
        // From before: it says nothing about what was sent again.
        batches[2].settled(given_up());
        assert_eq!((progress.settled(), progress.rewind()), (20, None));
        assert!(!open.is_none());
        again[1].settled(kept());
        assert!(open.is_none() && progress.is_done());
        assert_eq!(progress.settled(), 30);
    }
}
