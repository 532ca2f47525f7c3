//! `dedupe: 60s`: an event whose like was delivered a moment ago is taken out.
//!
//! What is remembered was settled: a batch that its source sends again is not
//! mistaken for its own repetition. So an event passes while its like is still
//! on its way, unless that came in the same batch, whose fate it shares.

use std::collections::{HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::name::{Value, hash};
use super::{Events, Transform};
use crate::event::{Needs, Path, Settled, Tally};
use crate::telemetry::Reason;

/// Keys remembered at most, unless `keys_max` says otherwise: some 4 MiB. The
/// oldest give way.
pub const KEYS_MAX_DEFAULT: usize = 100_000;

/// Takes out events whose values of some fields were there within a time.
pub struct Dedupe {
    window: Duration,
    by: Arc<[Value]>,
    seen: Arc<Shared>,
    /// Keys of the batch at hand.
    here: HashSet<u64>,
}

#[derive(Debug)]
struct Shared {
    keys_max: usize,
    seen: Mutex<Seen>,
}

/// Keys that were delivered, and when each came first, in that order.
#[derive(Debug, Default)]
struct Seen {
    keys: HashSet<u64>,
    order: VecDeque<(Instant, u64)>,
}

/// Keys of a batch, to be remembered when it is settled.
#[derive(Debug)]
struct Pending {
    shared: Arc<Shared>,
    keys: Vec<u64>,
    /// When the batch came here.
    at: Instant,
}

impl Dedupe {
    /// The verb's name.
    pub const NAME: &'static str = "dedupe";

    /// Events are alike if the values `by` are.
    #[must_use]
    pub fn new(window: Duration, by: &[Path], keys_max: usize, needs: &mut Needs) -> Dedupe {
        Dedupe {
            window,
            by: Value::all(by, needs).into(),
            seen: Arc::new(Shared {
                keys_max,
                seen: Mutex::default(),
            }),
            here: HashSet::new(),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Seen> {
        // A holder that panics leaves at worst a key without its place in the
        // order: it is overwritten or never found.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    /// Forgets what was there before `until`, or is beyond the bound.
    fn forget(&mut self, until: Option<Instant>, keys_max: usize) {
        while let Some(&(at, key)) = self.order.front() {
            if until.is_none_or(|until| at > until) && self.order.len() <= keys_max {
                return;
            }
            self.order.pop_front();
            self.keys.remove(&key);
        }
    }
}

impl Settled for Pending {
    fn settled(&self, tally: Tally) {
        if !tally.is_kept() {
            return;
        }
        let mut seen = self.shared.lock();
        let Seen { keys, order } = &mut *seen;
        for &key in &self.keys {
            if keys.insert(key) {
                order.push_back((self.at, key));
            }
        }
        seen.forget(None, self.shared.keys_max);
    }
}

impl Transform for Dedupe {
    fn apply(&mut self, events: &mut Events<'_>) {
        let Dedupe {
            window,
            by,
            seen: shared,
            here,
        } = self;
        here.clear();
        let now = events.now;
        {
            let mut seen = shared.lock();
            seen.forget(now.checked_sub(*window), shared.keys_max);
            events.retain(Reason::Dedupe, |batch, row| {
                let key = hash(by, batch, row);
                !seen.keys.contains(&key) && here.insert(key)
            });
        }
        if !here.is_empty() {
            events.when_settled(Arc::new(Pending {
                shared: shared.clone(),
                keys: here.iter().copied().collect(),
                at: now,
            }));
        }
    }

    fn another(&self) -> Box<dyn Transform> {
        Box::new(Dedupe {
            window: self.window,
            by: self.by.clone(),
            seen: self.seen.clone(),
            here: HashSet::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Bench, paths};
    use super::*;

    fn bench(keys_max: usize) -> Bench {
        let window = Duration::from_secs(10);
        let by = paths(&["message"]);
        Bench::default().with(|needs| Dedupe::new(window, &by, keys_max, needs))
    }

    fn settle(bench: &mut Bench, tally: Tally) {
        for hook in bench.hooks.drain(..) {
            hook.settled(tally);
        }
    }

    #[test]
    fn repetitions_of_what_was_delivered_are_taken_out() {
        let mut bench = bench(100);
        assert_eq!(bench.run(&["a", "b", "a"]).0, ["a", "b"]);
        assert_eq!(bench.run(&["a"]).0, ["a"], "still on its way");
        settle(&mut bench, Tally::default());
        let (left, terms) = bench.run(&["a", "b", "c"]);
        assert_eq!((left.len(), terms.filtered_total()), (1, 2));
        settle(&mut bench, Tally::default());
        bench.now += Duration::from_secs(11);
        assert_eq!(bench.run(&["a", "b", "c"]).0.len(), 3, "the time is over");
    }

    #[test]
    fn what_was_given_up_is_not_remembered() {
        let mut bench = bench(100);
        bench.run(&["a"]);
        settle(
            &mut bench,
            Tally {
                returned: 1,
                ..Tally::default()
            },
        );
        assert_eq!(bench.run(&["a"]).0, ["a"]);
    }

    #[test]
    fn the_oldest_give_way_to_the_bound() {
        let mut bench = bench(2);
        for line in ["a", "b", "c"] {
            bench.run(&[line]);
            settle(&mut bench, Tally::default());
        }
        assert_eq!(bench.run(&["b", "c", "a"]).0, ["a"]);
    }
}
