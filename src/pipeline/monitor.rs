//! What a running pipeline can be asked: counts, readiness.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::start::Phase;
use super::{Pipeline, Plan};
use crate::sink::driver::Status;
use crate::source::http::Mount;
use crate::telemetry::{
    Gauges, Labels, Ledger, Series, Snapshot, render, render_gauges, render_listener, render_log,
    render_reloads, render_series,
};

/// How long a readiness check may take in all.
const READY_TIMEOUT: Duration = Duration::from_secs(3);

/// Answers for a running pipeline.
pub struct Monitor {
    ledger: Arc<Ledger>,
    roster: Mutex<Arc<Roster>>,
    stopping: watch::Receiver<bool>,
    /// Connections that tflog's own listener turned away.
    refused: AtomicU64,
    reloads_good: AtomicU64,
    reloads_bad: AtomicU64,
    /// Lines of tflog's own log that were dropped, if it can drop any.
    log_dropped: OnceLock<Arc<AtomicU64>>,
}

/// Who is counted where in the ledger, and what runs. A name that a reload has
/// removed keeps its place.
#[derive(Clone, Default)]
pub struct Roster {
    /// The sources, by place in the ledger.
    pub sources: Vec<Labels>,
    /// The routes' names, by place in the ledger.
    pub routes: Vec<String>,
    /// The sinks, by place in the ledger.
    pub sinks: Vec<Labels>,
    /// The parts of tflog's own listener.
    pub mounts: Vec<Mount>,
    /// The sinks that run.
    watched: Vec<Watched>,
    /// Numbers that sources which read keep of themselves, by place in the ledger.
    gauges: Vec<(usize, Arc<dyn Gauges>)>,
    series: Vec<Arc<Series>>,
}

#[derive(Clone)]
struct Watched {
    sink: usize,
    required: bool,
    status: Arc<Status>,
    ask: mpsc::Sender<oneshot::Sender<Result<(), String>>>,
    gauges: Option<Arc<dyn Gauges>>,
}

impl Pipeline {
    /// What sources that read take at tflog's own listener.
    fn mounts(&self) -> Vec<Mount> {
        let live = self.sources.iter().filter(|s| s.phase == Phase::Live);
        live.filter_map(|source| source.mount.clone()).collect()
    }

    /// What sources that read count themselves.
    fn gauges(&self) -> Vec<(usize, Arc<dyn Gauges>)> {
        let live = self.sources.iter().filter(|s| s.phase != Phase::Leaving);
        let counting = live.filter_map(|source| {
            let gauges = source.gauges.clone()?;
            Some((self.slots.sources[&source.name], gauges))
        });
        counting.collect()
    }

    /// Tells the monitor what the places of a plan are called: before anything can
    /// be counted there.
    pub(super) fn name_places(&self, plan: &Plan) {
        let mut roster = Roster::clone(&self.monitor.roster());
        for source in &plan.sources {
            let slot = self.slots.sources[&source.labels.id];
            put(&mut roster.sources, slot, source.labels.clone());
        }
        for name in &plan.routes {
            put(&mut roster.routes, self.slots.routes[name], name.clone());
        }
        for sink in &plan.sinks {
            let slot = self.slots.sinks[&sink.labels.id];
            put(&mut roster.sinks, slot, sink.labels.clone());
        }
        self.monitor.set(roster);
    }

    /// Tells the monitor what runs, once a plan is in force.
    pub(super) fn enroll(&self) {
        let sinks = self.sinks.iter();
        let watched = sinks.map(|sink| Watched {
            sink: sink.slot,
            required: sink.required,
            status: sink.status.clone(),
            ask: sink.ask.clone(),
            gauges: sink.gauges.clone(),
        });
        self.monitor.set(Roster {
            mounts: self.mounts(),
            watched: watched.collect(),
            gauges: self.gauges(),
            series: self.standing.with.series.clone(),
            ..Roster::clone(&self.monitor.roster())
        });
    }
}

/// Places are given one after the other: a new one is the next.
fn put<T>(all: &mut Vec<T>, slot: usize, labels: T) {
    match all.get_mut(slot) {
        Some(place) => *place = labels,
        None => all.push(labels),
    }
}

impl Monitor {
    pub(super) fn new(ledger: Arc<Ledger>, stopping: watch::Receiver<bool>) -> Monitor {
        Monitor {
            ledger,
            roster: Mutex::default(),
            refused: AtomicU64::new(0),
            stopping,
            reloads_good: AtomicU64::new(0),
            reloads_bad: AtomicU64::new(0),
            log_dropped: OnceLock::new(),
        }
    }

    fn set(&self, roster: Roster) {
        *self.roster.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(roster);
    }

    /// Counts a reload that was put in force, or refused.
    pub fn count_reload(&self, good: bool) {
        let reloads = if good {
            &self.reloads_good
        } else {
            &self.reloads_bad
        };
        reloads.fetch_add(1, Ordering::Relaxed);
    }

    /// Every count at this moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.ledger.snapshot()
    }

    /// Who is where in the snapshots that were taken before.
    #[must_use]
    pub fn roster(&self) -> Arc<Roster> {
        self.roster
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Hears that tflog's own listener turned a connection away.
    pub fn count_refused(&self) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }

    /// Shows what tflog's own log counts as dropped.
    pub fn watch_log(&self, dropped: Arc<AtomicU64>) {
        // There is one log; a second would count the same.
        let _ = self.log_dropped.set(dropped);
    }

    /// The page for `/metrics`.
    #[must_use]
    pub fn metrics(&self) -> String {
        let snapshot = self.snapshot();
        let roster = self.roster();
        let gauges: Vec<_> = roster
            .watched
            .iter()
            .flat_map(|w| {
                let status: Arc<dyn Gauges> = w.status.clone();
                let own = w.gauges.clone().into_iter();
                let labels = &roster.sinks[w.sink];
                own.chain([status]).map(move |gauges| (labels, gauges))
            })
            .collect();
        let of_sources = roster.gauges.iter();
        let of_sources: Vec<_> = of_sources
            .map(|(source, gauges)| (&roster.sources[*source], gauges.clone()))
            .collect();
        let ledger = render(&snapshot, &roster.sources, &roster.routes, &roster.sinks);
        let series = roster.series.iter().map(|series| &**series);
        let reloads = render_reloads(
            self.reloads_good.load(Ordering::Relaxed),
            self.reloads_bad.load(Ordering::Relaxed),
        );
        let listener = render_listener(self.refused.load(Ordering::Relaxed));
        let dropped = self.log_dropped.get();
        let log = dropped.map(|dropped| render_log(dropped.load(Ordering::Relaxed)));
        ledger
            + &listener
            + &log.unwrap_or_default()
            + &reloads
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
        let roster = self.roster();
        let names = full.into_iter().filter_map(|sink| roster.sinks.get(sink));
        names
            .map(|sink| format!("sink {}: its buffer is full", sink.id))
            .collect()
    }

    /// As [`Monitor::accepts`], and every required sink's service must be
    /// within reach.
    pub async fn ready(&self) -> Vec<String> {
        let mut reasons = self.accepts();
        let roster = self.roster();
        for watched in roster.watched.iter().filter(|watched| watched.required) {
            if let Err(reason) = self.check(watched).await {
                let name = &roster.sinks[watched.sink].id;
                reasons.push(format!("sink {name}: {reason}"));
            }
        }
        reasons
    }

    async fn check(&self, watched: &Watched) -> Result<(), String> {
        if let Some(reason) = watched.status.failing() {
            return Err(reason);
        }
        let before = self.snapshot().sinks[watched.sink].delivered;
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
        if self.snapshot().sinks[watched.sink].delivered > before {
            return Ok(());
        }
        Err(format!("nothing delivered for {READY_TIMEOUT:?}"))
    }
}
