//! `sample: 1%`: a part of the events, the same one whoever asks and whenever.

use std::sync::Arc;

use super::name::{Value, hash};
use super::{Events, Transform, TransformError};
use crate::event::{Needs, Path};
use crate::telemetry::{Reason, WithTerms};

/// Keeps a part of the events: chosen by their ids or, with `by`, by the values
/// of fields, so that a trace or a user is kept whole or not at all.
pub struct Sample {
    /// Hashes below it are kept.
    below: u64,
    by: Arc<[Value]>,
}

impl Sample {
    /// The verb's name.
    pub const NAME: &'static str = "sample";

    /// A rate as `1%`, `0.5 %` or a fraction such as `0.01`.
    pub fn build(rate: &str, by: &[Path], needs: &mut Needs) -> Result<Sample, TransformError> {
        let (number, scale) = match rate.trim().strip_suffix('%') {
            Some(percent) => (percent.trim_end(), 100.0),
            None => (rate.trim(), 1.0),
        };
        let fraction = number.parse::<f64>().map(|number| number / scale);
        let fraction = fraction.ok().filter(|f| (0.0..=1.0).contains(f));
        let fraction = fraction.ok_or_else(|| {
            TransformError::new(
                format!("`{rate}` is no part of events to keep"),
                "write a percentage such as 1%, or a fraction from 0 to 1",
            )
        })?;
        Ok(Sample {
            // The cast saturates: 1.0 keeps all but one hash of 2^64.
            below: (fraction * u64::MAX as f64) as u64,
            by: Value::all(by, needs).into(),
        })
    }
}

impl Sample {
    /// Whether ids decide, which a run gives: no event can be foretold.
    fn is_by_chance(&self) -> bool {
        self.by.is_empty() && !matches!(self.below, 0 | u64::MAX)
    }

    /// Whether a list whose events are shown alone has come to such a verb.
    #[must_use]
    pub fn was_by_chance(terms: &WithTerms) -> bool {
        // `reduce` makes as many as it merges.
        terms.filtered[Reason::Sample as usize] > 0 && terms.made > terms.merged
    }
}

impl Transform for Sample {
    fn apply(&mut self, events: &mut Events<'_>) {
        if events.memory.alone && self.is_by_chance() {
            // Kept, and counted as taken out and made, which no other verb does.
            let shown = events.memory.chosen.count() as u64;
            events.terms.filter(Reason::Sample, shown);
            events.terms.made += shown;
            return;
        }
        let Sample { below, by } = self;
        events.retain(Reason::Sample, |batch, row| {
            let hash = if by.is_empty() {
                // Already a hash.
                (batch.id(row).0 >> 64) as u64
            } else {
                hash(by, batch, row)
            };
            hash <= *below && *below > 0
        });
    }

    fn another(&self) -> Box<dyn Transform> {
        Box::new(Sample {
            below: self.below,
            by: self.by.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Bench, paths};
    use super::*;

    fn sample(rate: &str, by: &[&str], lines: &[String]) -> Vec<String> {
        let lines: Vec<_> = lines.iter().map(String::as_str).collect();
        let by = paths(by);
        let mut bench = Bench::default().with(|needs| Sample::build(rate, &by, needs).unwrap());
        bench.run(&lines).0
    }

    #[test]
    fn the_same_part_is_kept_every_time() {
        let lines: Vec<_> = (0..2000).map(|n| format!("{{\"n\":{n}}}")).collect();
        let kept = sample("10%", &[], &lines);
        assert_eq!(kept, sample("0.1", &[], &lines));
        assert!((120..280).contains(&kept.len()), "{}", kept.len());
        assert_eq!(sample("100%", &[], &lines).len(), 2000);
        assert_eq!(sample("0", &[], &lines).len(), 0);
    }

    #[test]
    fn a_key_is_kept_whole_or_not_at_all() {
        let line = |n: usize| format!("{{\"trace_id\":\"{}\",\"n\":{n}}}", n % 100);
        let lines: Vec<_> = (0..1000).map(line).collect();
        let kept = sample("30%", &["trace_id"], &lines);
        assert!(kept.len().is_multiple_of(10) && (100..500).contains(&kept.len()));
    }

    #[test]
    fn what_only_a_run_can_tell_is_kept_and_said() {
        for (rate, by, left, by_chance) in [
            ("0.0001%", &[][..], 3, true),
            ("0%", &[], 0, false),
            ("100%", &[], 3, false),
            ("100%", &["n"], 3, false),
            ("0.0001%", &["n"], 0, false),
        ] {
            let by = paths(by);
            let mut bench = Bench::default().with(|needs| Sample::build(rate, &by, needs).unwrap());
            bench.alone = true;
            let (kept, terms) = bench.run(&[r#"{"n":1}"#, r#"{"n":2}"#, r#"{"n":3}"#]);
            assert_eq!(kept.len(), left, "{rate}");
            assert_eq!(Sample::was_by_chance(&terms), by_chance, "{rate}");
        }
    }

    #[test]
    fn what_is_no_part_is_refused() {
        for rate in ["", "x", "101%", "-1", "2", "nan"] {
            assert!(
                Sample::build(rate, &[], &mut Needs::default()).is_err(),
                "{rate}"
            );
        }
    }
}
