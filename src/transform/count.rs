//! `count: name`: a metric of how many events there were.

use std::sync::Arc;

use super::name::Value;
use super::{Events, Transform};
use crate::event::{Batch, Needs, Path};
use crate::telemetry::{Recorder, Series};

/// Counts events on `/metrics`, by the values of fields.
pub struct Count {
    series: Arc<Series>,
    by: Arc<[Value]>,
}

impl Count {
    /// The verb's name.
    pub const NAME: &'static str = "count";

    /// Counts into a metric that has a label for each of `by`.
    #[must_use]
    pub fn new(series: Arc<Series>, by: &[Path], needs: &mut Needs) -> Count {
        Count {
            series,
            by: Value::all(by, needs).into(),
        }
    }
}

/// Begins an event of a metric whose labels are the values `by`; those that
/// the event lacks are empty, which Prometheus takes for none.
pub(super) fn begin(recorder: &mut Recorder<'_>, by: &[Value], batch: &Batch, row: usize) {
    recorder.begin();
    for (at, value) in by.iter().enumerate() {
        let value = value.of(batch, row).unwrap_or_default();
        recorder.label(at, &String::from_utf8_lossy(&value));
    }
}

impl Transform for Count {
    fn apply(&mut self, events: &mut Events<'_>) {
        let mut recorder = self.series.recorder();
        events.for_each(|batch, row| {
            begin(&mut recorder, &self.by, batch, row);
            recorder.add(1.0);
        });
    }

    fn another(&self) -> Box<dyn Transform> {
        Box::new(Count {
            series: self.series.clone(),
            by: self.by.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{Bench, paths};
    use super::*;
    use crate::telemetry::{SeriesKind, render_series};

    #[test]
    fn events_are_counted_by_the_values_of_fields() {
        let series = Series::new("n_total", SeriesKind::Counter, vec!["k".into()], 10);
        let series = Arc::new(series);
        let counted = series.clone();
        let mut bench =
            Bench::default().with(move |needs| Count::new(counted, &paths(&["k"]), needs));
        let (left, _) = bench.run(&[r#"{"k":"a"}"#, r#"{"k":"a"}"#, "x"]);
        assert_eq!(left.len(), 3);
        let page = render_series([&*series]);
        assert!(page.contains("n_total{k=\"a\"} 2\n") && page.contains("n_total{k=\"\"} 1\n"));
    }
}
