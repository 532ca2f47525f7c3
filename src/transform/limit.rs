//! `limit: 1000/s`: no more than a rate, for each key.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::name::{Value, hash};
use super::{Events, Transform, TransformError};
use crate::event::{Needs, Path};
use crate::telemetry::Reason;

/// Keys that have a bucket of their own, unless `keys_max` says otherwise: some
/// 400 KiB. More share one.
pub const KEYS_MAX_DEFAULT: usize = 10_000;

/// Takes out events above a rate: a token bucket for each key that holds one
/// period's worth. Time is when they come here.
pub struct Limit {
    rate: Rate,
    by: Arc<[Value]>,
    buckets: Arc<Mutex<Buckets>>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Rate {
    events: f64,
    per_second: f64,
}

#[derive(Debug)]
struct Buckets {
    keys_max: usize,
    by_key: HashMap<u64, Bucket>,
    /// Of keys beyond the bound, once there are any.
    others: Option<Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    tokens: f64,
    at: Instant,
}

impl Limit {
    /// The verb's name.
    pub const NAME: &'static str = "limit";

    /// A rate as `1000/s`, `10/m` or `5/h`; a key is the values of `by`.
    pub fn build(
        rate: &str,
        by: &[Path],
        keys_max: usize,
        needs: &mut Needs,
    ) -> Result<Limit, TransformError> {
        let rate = Rate::parse(rate).ok_or_else(|| {
            let message = format!("`{rate}` is no rate");
            TransformError::new(message, "write events per time: 1000/s, 10/m or 5/h")
        })?;
        Ok(Limit {
            rate,
            by: Value::all(by, needs).into(),
            buckets: Arc::new(Mutex::new(Buckets {
                keys_max,
                by_key: HashMap::new(),
                others: None,
            })),
        })
    }
}

impl Rate {
    fn parse(text: &str) -> Option<Rate> {
        let (events, unit) = text.split_once('/')?;
        let events = events.trim().parse::<u32>().ok().filter(|n| *n > 0)?;
        let seconds = match unit.trim() {
            "s" => 1.0,
            "m" | "min" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        Some(Rate {
            events: f64::from(events),
            per_second: f64::from(events) / seconds,
        })
    }
}

impl Bucket {
    fn full(rate: Rate, now: Instant) -> Bucket {
        Bucket {
            tokens: rate.events,
            at: now,
        }
    }

    fn fill(&mut self, rate: Rate, now: Instant) {
        // Another thread may have looked at the time first and come last.
        let passed = now.saturating_duration_since(self.at).as_secs_f64();
        self.tokens = (self.tokens + passed * rate.per_second).min(rate.events);
        self.at = self.at.max(now);
    }

    fn take(&mut self, rate: Rate, now: Instant) -> bool {
        self.fill(rate, now);
        let has = self.tokens >= 1.0;
        if has {
            self.tokens -= 1.0;
        }
        has
    }
}

impl Buckets {
    fn of(&mut self, key: u64, rate: Rate, now: Instant) -> &mut Bucket {
        if self.by_key.len() >= self.keys_max && !self.by_key.contains_key(&key) {
            self.forget(rate, now);
        }
        let full = self.by_key.len() >= self.keys_max;
        if full && !self.by_key.contains_key(&key) {
            return self.others.get_or_insert(Bucket::full(rate, now));
        }
        let full = || Bucket::full(rate, now);
        self.by_key.entry(key).or_insert_with(full)
    }

    /// Forgets full buckets: a new one is the same. Not again before `others`
    /// has gained a token, or a flood of keys would sweep for each event.
    fn forget(&mut self, rate: Rate, now: Instant) {
        if let Some(others) = &mut self.others {
            let passed = now.saturating_duration_since(others.at).as_secs_f64();
            if passed * rate.per_second < 1.0 {
                return;
            }
            others.fill(rate, now);
        }
        self.by_key.retain(|_, bucket| {
            bucket.fill(rate, now);
            bucket.tokens < rate.events
        });
    }
}

impl Transform for Limit {
    fn apply(&mut self, events: &mut Events<'_>) {
        let Limit { rate, by, buckets } = self;
        // One lock a batch. A holder that panics leaves whole buckets behind.
        let mut buckets = buckets.lock().unwrap_or_else(PoisonError::into_inner);
        let now = events.now;
        events.retain(Reason::Limit, |batch, row| {
            let key = if by.is_empty() {
                0
            } else {
                hash(by, batch, row)
            };
            buckets.of(key, *rate, now).take(*rate, now)
        });
    }

    fn another(&self) -> Box<dyn Transform> {
        Box::new(Limit {
            rate: self.rate,
            by: self.by.clone(),
            buckets: self.buckets.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::fixture::{Bench, paths};
    use super::*;

    fn bench(rate: &str, by: &[&str], keys_max: usize) -> Bench {
        let by = paths(by);
        Bench::default().with(|needs| Limit::build(rate, &by, keys_max, needs).unwrap())
    }

    #[test]
    fn no_more_than_the_rate_passes() {
        let mut bench = bench("3/s", &[], 10);
        let (left, terms) = bench.run(&["a", "b", "c", "d", "e"]);
        assert_eq!((left.len(), terms.filtered_total()), (3, 2));
        bench.now += Duration::from_millis(334);
        assert_eq!(bench.run(&["f", "g"]).0, ["f"]);
        assert_eq!(bench.run(&["h"]).0, [""; 0]);
    }

    #[test]
    fn each_key_has_its_own_and_their_number_is_bounded() {
        let mut bench = bench("1/m", &["k"], 2);
        let line = |k: &str| format!("{{\"k\":\"{k}\"}}");
        let lines = ["a", "b", "a", "c", "d"].map(line);
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        // `c` and `d` share what is for keys beyond the bound.
        assert_eq!(bench.run(&lines).0, [lines[0], lines[1], lines[3]]);
        // Those that are full again are forgotten.
        bench.now += Duration::from_secs(61);
        assert_eq!(bench.run(&lines[3..]).0, lines[3..]);
    }

    #[test]
    fn what_is_no_rate_is_refused() {
        for rate in ["", "5", "0/s", "5/day", "-1/s", "x/s"] {
            assert!(
                Limit::build(rate, &[], 1, &mut Needs::default()).is_err(),
                "{rate}"
            );
        }
    }
}
