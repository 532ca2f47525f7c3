//! What a running pipeline can be asked: counts, readiness.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::Plan;
use crate::sink::driver::Status;
use crate::telemetry::{
    Gauges, Labels, Ledger, Series, Snapshot, render, render_gauges, render_listener, render_series,
};

/// How long a readiness check may take in all.
const READY_TIMEOUT: Duration = Duration::from_secs(3);

/// Answers for a running pipeline.
pub struct Monitor {
    ledger: Arc<Ledger>,
    sources: Vec<Labels>,
    routes: Vec<String>,
    sinks: Vec<Labels>,
    buffer_bytes: Vec<u64>,
    required: Vec<bool>,
    watched: Vec<Watched>,
    /// By source, as far as they have some.
    gauges: Vec<Option<Arc<dyn Gauges>>>,
    series: Vec<Arc<Series>>,
    /// Connections that tflog's own listener turned away.
    refused: AtomicU64,
    stopping: watch::Receiver<bool>,
}

struct Watched {
    status: Arc<Status>,
    ask: mpsc::Sender<oneshot::Sender<Result<(), String>>>,
    gauges: Option<Arc<dyn Gauges>>,
}

impl Monitor {
    pub(super) fn new(
        plan: &Plan,
        ledger: Arc<Ledger>,
        stopping: watch::Receiver<bool>,
    ) -> Monitor {
        Monitor {
            ledger,
            sources: plan.sources.iter().map(|s| s.labels.clone()).collect(),
            routes: plan.routes.clone(),
            sinks: plan.sinks.iter().map(|s| s.labels.clone()).collect(),
            buffer_bytes: plan.sinks.iter().map(|s| s.quota.bytes_max).collect(),
            required: plan.sinks.iter().map(|s| s.required).collect(),
            watched: Vec::new(),
            gauges: plan.sources.iter().map(|s| s.source.gauges()).collect(),
            series: plan.with.series.clone(),
            refused: AtomicU64::new(0),
            stopping,
        }
    }

    /// Adds the next sink, in the plan's order.
    pub(super) fn watch_sink(
        &mut self,
        status: Arc<Status>,
        ask: mpsc::Sender<oneshot::Sender<Result<(), String>>>,
        gauges: Option<Arc<dyn Gauges>>,
    ) {
        self.watched.push(Watched {
            status,
            ask,
            gauges,
        });
    }

    /// Every count at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.ledger.snapshot()
    }

    /// The sources by place in the plan.
    #[must_use]
    pub fn sources(&self) -> &[Labels] {
        &self.sources
    }

    /// The sinks by place in the plan.
    #[must_use]
    pub fn sinks(&self) -> &[Labels] {
        &self.sinks
    }

    /// The routes' names by place in the plan.
    #[must_use]
    pub fn routes(&self) -> &[String] {
        &self.routes
    }

    /// Hears that tflog's own listener turned a connection away.
    pub fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// The page for `/metrics`.
    #[must_use]
    pub fn metrics(&self) -> String {
        let snapshot = self.snapshot();
        let watched = self.sinks.iter().zip(&self.watched);
        let gauges: Vec<_> = watched
            .flat_map(|(labels, w)| {
                let status: Arc<dyn Gauges> = w.status.clone();
                let own = w.gauges.clone().into_iter();
                own.chain([status]).map(move |gauges| (labels, gauges))
            })
            .collect();
        let ledger = render(
            &snapshot,
            &self.sources,
            &self.routes,
            &self.sinks,
            &self.buffer_bytes,
        );
        let of_sources = self.sources.iter().zip(&self.gauges);
        let of_sources: Vec<_> = of_sources
            .filter_map(|(labels, gauges)| Some((labels, gauges.clone()?)))
            .collect();
        let series = self.series.iter().map(|series| &**series);
        let listener = render_listener(self.refused.load(Ordering::Relaxed));
        ledger
            + &listener
            + &render_gauges("source", &of_sources)
            + &render_gauges("sink", &gauges)
            + &render_series(series)
    }

    /// Why tflog cannot take events now; empty if it can.
    #[must_use]
    pub fn accepts(&self) -> Vec<String> {
        if *self.stopping.borrow() {
            return vec!["stopping".to_owned()];
        }
        let full = self.ledger.full_sinks();
        full.into_iter()
            .map(|sink| format!("sink {}: its buffer is full", self.sinks[sink].id))
            .collect()
    }

    /// As [`Monitor::accepts`], and every required sink's service must be
    /// within reach.
    pub async fn ready(&self) -> Vec<String> {
        let mut reasons = self.accepts();
        for (sink, watched) in self.watched.iter().enumerate() {
            if !self.required[sink] {
                continue;
            }
            if let Err(reason) = self.check(sink, watched).await {
                reasons.push(format!("sink {}: {reason}", self.sinks[sink].id));
            }
        }
        reasons
    }

    async fn check(&self, sink: usize, watched: &Watched) -> Result<(), String> {
        if let Some(reason) = watched.status.failing() {
            return Err(reason);
        }
        let before = self.snapshot().sinks[sink].delivered;
        let (answer, result) = oneshot::channel();
        let asked = async {
            // A driver that has ended has nothing left to deliver.
            if watched.ask.send(answer).await.is_err() {
                return Ok(());
            }
            result.await.unwrap_or(Ok(()))
        };
        if let Ok(result) = timeout(READY_TIMEOUT, asked).await {
            return result;
        }
        // A busy driver does not answer, but then it delivers.
        if self.snapshot().sinks[sink].delivered > before {
            return Ok(());
        }
        Err(format!("nothing delivered for {READY_TIMEOUT:?}"))
    }
}
