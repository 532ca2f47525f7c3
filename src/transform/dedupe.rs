//! `dedupe: 60s`: an event whose like was delivered a moment ago is taken out.
//!
//! What is remembered was settled: a batch that its source sends again is not
//! mistaken for its own repetition. So an event passes while its like is still
//! on its way, unless that came in the same batch, whose fate it shares.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::name::{Value, hash};
use super::{Events, Transform};
use crate::event::{Needs, Path, Settled, Tally, Timestamp};
use crate::telemetry::Reason;

/// Keys remembered at most, unless `keys_max` says otherwise: some 4 MiB. The
/// oldest give way.
pub const KEYS_MAX_DEFAULT: usize = 100_000;

/// Takes out events whose values of some fields were there within a time.
pub struct Dedupe {
    window_ns: i64,
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

/// When each key was delivered first, and the keys in that order.
#[derive(Debug, Default)]
struct Seen {
    by_key: HashMap<u64, Timestamp>,
    order: VecDeque<(Timestamp, u64)>,
}

/// Keys of a batch, to be remembered when it is settled.
#[derive(Debug)]
struct Pending {
    shared: Arc<Shared>,
    keys: Vec<u64>,
    observed: Timestamp,
}

impl Dedupe {
    /// The verb's name.
    pub const NAME: &'static str = "dedupe";

    /// Events are alike if the values `by` are.
    #[must_use]
    pub fn new(
        window: std::time::Duration,
        by: &[Path],
        keys_max: usize,
        needs: &mut Needs,
    ) -> Dedupe {
        Dedupe {
            window_ns: i64::try_from(window.as_nanos()).unwrap_or(i64::MAX),
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
    /// Forgets what is older than the window, or beyond the bound.
    fn forget(&mut self, until: Timestamp, keys_max: usize) {
        while let Some(&(at, key)) = self.order.front() {
            if at > until && self.order.len() <= keys_max {
                return;
            }
            self.order.pop_front();
            self.by_key.remove(&key);
        }
    }
}

impl Settled for Pending {
    fn settled(&self, tally: Tally) {
        if !tally.is_kept() {
            return;
        }
        let mut seen = self.shared.lock();
        let Seen { by_key, order } = &mut *seen;
        for &key in &self.keys {
            if let Entry::Vacant(entry) = by_key.entry(key) {
                entry.insert(self.observed);
                order.push_back((self.observed, key));
            }
        }
        seen.forget(Timestamp(i64::MIN), self.shared.keys_max);
    }
}

impl Transform for Dedupe {
    fn apply(&mut self, events: &mut Events<'_>) {
        let Dedupe {
            window_ns,
            by,
            seen: shared,
            here,
        } = self;
        here.clear();
        let observed = events.observed();
        {
            let mut seen = shared.lock();
            let until = Timestamp(observed.0.saturating_sub(*window_ns));
            seen.forget(until, shared.keys_max);
            events.retain(Reason::Dedupe, |batch, row| {
                let key = hash(by, batch, row);
                !seen.by_key.contains_key(&key) && here.insert(key)
            });
        }
        if !here.is_empty() {
            events.when_settled(Arc::new(Pending {
                shared: shared.clone(),
                keys: here.iter().copied().collect(),
                observed,
            }));
        }
    }

    fn another(&self) -> Box<dyn Transform> {
        Box::new(Dedupe {
            window_ns: self.window_ns,
            by: self.by.clone(),
            seen: self.seen.clone(),
            here: HashSet::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture::{Bench, paths};
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    fn bench(keys_max: usize) -> Bench {
        let window = Duration::from_secs(10);
        let by = paths(&["message"]);
        let mut bench = Bench::default().with(|needs| Dedupe::new(window, &by, keys_max, needs));
        bench.observed = 1000 * SECOND;
        bench
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
        bench.observed += 11 * SECOND;
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
