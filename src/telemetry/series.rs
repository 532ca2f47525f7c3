//! Metrics that the config makes of events: `count` and `histogram`.
//!
//! The only ones whose labels hold values of events, so each has a bound: what
//! comes when it is reached is counted under `_other`.

use std::collections::HashMap;
use std::fmt::Write;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::metrics::with;

/// What labels beyond the bound are called.
const OTHER: &str = "_other";

/// What a metric is.
#[derive(Clone, Debug, PartialEq)]
pub enum SeriesKind {
    /// Events.
    Counter,
    /// A value of events, in buckets with these upper bounds, ascending.
    Histogram(Box<[f64]>),
}

/// A metric of the config's.
#[derive(Debug)]
pub struct Series {
    name: String,
    kind: SeriesKind,
    labels: Box<[String]>,
    series_max: usize,
    values: Mutex<Values>,
}

/// By rendered labels.
type Values = HashMap<Box<str>, Entry>;

#[derive(Clone, Debug, Default)]
struct Entry {
    count: u64,
    sum: f64,
    /// Events in each bucket alone.
    buckets: Box<[u64]>,
}

/// Adds the events of one batch under one lock.
pub struct Recorder<'a> {
    series: &'a Series,
    values: MutexGuard<'a, Values>,
    key: String,
}

impl Series {
    /// A metric with labels of these names.
    #[must_use]
    pub fn new(name: &str, kind: SeriesKind, labels: Vec<String>, series_max: usize) -> Series {
        Series {
            name: name.to_owned(),
            kind,
            labels: labels.into(),
            series_max,
            values: Mutex::default(),
        }
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it counts the same under the same labels.
    #[must_use]
    pub fn is_like(&self, other: &Series) -> bool {
        self.kind == other.kind
            && self.labels == other.labels
            && self.series_max == other.series_max
    }

    /// Begins to add the events of a batch.
    #[must_use]
    pub fn recorder(&self) -> Recorder<'_> {
        Recorder {
            series: self,
            values: self.values.lock().unwrap_or_else(PoisonError::into_inner),
            key: String::new(),
        }
    }

    fn entry(&self) -> Entry {
        let buckets = match &self.kind {
            SeriesKind::Counter => 0,
            SeriesKind::Histogram(bounds) => bounds.len(),
        };
        Entry {
            buckets: vec![0; buckets].into(),
            ..Entry::default()
        }
    }

    fn render(&self, page: &mut String) {
        let name = &self.name;
        let kind = match self.kind {
            SeriesKind::Counter => "counter",
            SeriesKind::Histogram(_) => "histogram",
        };
        // Writing to a string cannot fail.
        let _ = writeln!(
            page,
            "# HELP {name} of events, by the config\n# TYPE {name} {kind}"
        );
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = values.iter().collect();
        all.sort_unstable_by_key(|(labels, _)| *labels);
        for (labels, entry) in all {
            let mut sample = |suffix: &str, labels: &str, value: &dyn std::fmt::Display| {
                let _ = if labels.is_empty() {
                    writeln!(page, "{name}{suffix} {value}")
                } else {
                    writeln!(page, "{name}{suffix}{{{labels}}} {value}")
                };
            };
            let SeriesKind::Histogram(bounds) = &self.kind else {
                sample("", labels, &entry.count);
                continue;
            };
            let mut below = 0;
            for (bound, events) in bounds.iter().zip(&entry.buckets) {
                below += events;
                sample("_bucket", &with(labels, "le", &bound.to_string()), &below);
            }
            sample("_bucket", &with(labels, "le", "+Inf"), &entry.count);
            sample("_sum", labels, &entry.sum);
            sample("_count", labels, &entry.count);
        }
    }
}

impl Recorder<'_> {
    /// Begins an event; its label values follow.
    pub fn begin(&mut self) {
        self.key.clear();
    }

    /// The next label's value. Text that is not UTF-8 is replaced.
    pub fn label(&mut self, at: usize, value: &str) {
        if at > 0 {
            self.key.push(',');
        }
        self.key.push_str(&self.series.labels[at]);
        self.key.push_str("=\"");
        for c in value.chars() {
            match c {
                '\\' => self.key.push_str("\\\\"),
                '"' => self.key.push_str("\\\""),
                '\n' => self.key.push_str("\\n"),
                c => self.key.push(c),
            }
        }
        self.key.push('"');
    }

    /// Counts the event, with its value for a histogram.
    pub fn add(&mut self, value: f64) {
        if !self.values.contains_key(&*self.key) {
            if self.values.len() >= self.series.series_max {
                self.key.clear();
                for at in 0..self.series.labels.len() {
                    self.label(at, OTHER);
                }
            }
            if !self.values.contains_key(&*self.key) {
                self.values
                    .insert(self.key.as_str().into(), self.series.entry());
            }
        }
        let Some(entry) = self.values.get_mut(&*self.key) else {
            return;
        };
        entry.count += 1;
        entry.sum += value;
        if let SeriesKind::Histogram(bounds) = &self.series.kind {
            let bucket = bounds.partition_point(|bound| *bound < value);
            if let Some(events) = entry.buckets.get_mut(bucket) {
                *events += 1;
            }
        }
    }
}

/// Renders metrics of the config's in Prometheus's text format.
#[must_use]
pub fn render_series<'a>(all: impl IntoIterator<Item = &'a Series>) -> String {
    let mut page = String::new();
    for series in all {
        series.render(&mut page);
    }
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(series: &Series, services: &[&str], value: f64) {
        let mut recorder = series.recorder();
        for service in services {
            recorder.begin();
            recorder.label(0, service);
            recorder.add(value);
        }
    }

    #[test]
    fn series_are_bounded_and_labels_escaped() {
        let series = Series::new("n_total", SeriesKind::Counter, vec!["service".into()], 2);
        count(&series, &["a", "say \"x\"\n", "c", "d", "a"], 1.0);
        assert_eq!(
            render_series([&series]),
            "# HELP n_total of events, by the config\n# TYPE n_total counter\n\
             n_total{service=\"_other\"} 2\n\
             n_total{service=\"a\"} 2\n\
             n_total{service=\"say \\\"x\\\"\\n\"} 1\n"
        );
    }

    #[test]
    fn buckets_are_cumulative_and_hold_their_bound() {
        let kind = SeriesKind::Histogram([0.1, 1.0].into());
        let series = Series::new("s", kind, Vec::new(), 9);
        let mut recorder = series.recorder();
        for value in [0.05, 0.1, 0.5, 7.0] {
            recorder.begin();
            recorder.add(value);
        }
        drop(recorder);
        let page = render_series([&series]);
        for line in [
            "s_bucket{le=\"0.1\"} 2",
            "s_bucket{le=\"1\"} 3",
            "s_bucket{le=\"+Inf\"} 4",
            "s_sum 7.65",
            "s_count 4",
        ] {
            assert!(page.lines().any(|l| l == line), "{line} in {page}");
        }
    }
}
