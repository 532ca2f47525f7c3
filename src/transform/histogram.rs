//! `histogram: name`: a metric of how a value of events is distributed.

use std::sync::Arc;

use super::count::begin;
use super::name::Value;
use super::{Events, Transform};
use crate::event::{Column, ColumnKind, Needs, Path};
use crate::telemetry::Series;

/// Upper bounds of buckets unless others are named: those of Prometheus's
/// clients, for seconds.
pub const BUCKETS_DEFAULT: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// Records a value on `/metrics`, by the values of fields.
pub struct Histogram {
    series: Arc<Series>,
    value: usize,
    by: Arc<[Value]>,
}

impl Histogram {
    /// The verb's name.
    pub const NAME: &'static str = "histogram";

    /// Records `value`, a number or a duration, into a metric that has a label
    /// for each of `by`. Events without it are passed over.
    #[must_use]
    pub fn new(series: Arc<Series>, value: &Path, by: &[Path], needs: &mut Needs) -> Histogram {
        Histogram {
            series,
            // A bare number is seconds, and so itself.
            value: needs.slot(value, ColumnKind::Duration),
            by: Value::all(by, needs).into(),
        }
    }
}

impl Transform for Histogram {
    fn apply(&mut self, events: &mut Events<'_>) {
        let mut recorder = self.series.recorder();
        events.for_each(|batch, row| {
            if let Column::Number(values) = batch.columns().column(self.value)
                && !values[row].is_nan()
            {
                begin(&mut recorder, &self.by, batch, row);
                recorder.add(values[row]);
            }
        });
    }

    fn another(&self) -> Box<dyn Transform> {
        Box::new(Histogram {
            series: self.series.clone(),
            value: self.value,
            by: self.by.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::Bench;
    use super::*;
    use crate::telemetry::{SeriesKind, render_series};

    #[test]
    fn values_are_recorded_with_their_units() {
        let kind = SeriesKind::Histogram([0.1, 1.0].into());
        let series = Arc::new(Series::new("took", kind, Vec::new(), 10));
        let recorded = series.clone();
        let mut bench = Bench::default()
            .with(move |needs| Histogram::new(recorded, &Path::of("took"), &[], needs));
        bench.run(&[
            r#"{"took":"50ms"}"#,
            r#"{"took":0.5}"#,
            r#"{"took":"x"}"#,
            "x",
        ]);
        let page = render_series([&*series]);
        assert!(page.contains("took_bucket{le=\"0.1\"} 1\n"), "{page}");
        assert!(
            page.contains("took_sum 0.55\n") && page.contains("took_count 2\n"),
            "{page}"
        );
    }
}
