//! Joins the stages: starts a plan, runs it, drains it.
//!
//! Each source has a reader and a router, each sink a driver; all are stages,
//! on threads of their own or, under simulation, tasks of one thread.
//!
//! ```text
//! source ─ entrance ─ router (parse, route, admit) ─ buffer ─ driver ─ sink
//!    └── backpressure: the router waits until all required sinks have room
//! ```
//!
//! End of input drains without a deadline. A stop gives sources until
//! `grace - 5 s` to read what is still coming and sinks until `grace` to
//! deliver it; what then remains is counted as dropped at shutdown.

mod drain;
mod entrance;
pub mod explain;
mod feed;
mod lanes;
mod monitor;
mod router;
#[cfg(test)]
mod simulation;
mod spool;
mod start;
mod with;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

pub use monitor::Monitor;
pub use spool::{DiskBuffer, Fsync};
pub use with::{Editor, Withs};

use crate::buffer::Memory;
use crate::buffer::disk::OpenError;
use crate::event::{Needs, Pool};
use crate::parse::Formats;
use crate::route::Table;
use crate::seam::{Stage, StateDirectory, StateError, StateLock, World};
use crate::sink::Sink;
use crate::sink::driver::{Ended, LoadLimits, Status};
use crate::sink::encode::Encoder;
use crate::source::{Source, SourceError, Stop, Stopper};
use crate::telemetry::{Labels, Ledger, Quota, Snapshot};
use drain::{Queues, drain, finish_spools, overdue, write_off};
use spool::{Buffers, Spooling};
use start::{Shared, start_sinks, start_source};

/// Of the grace period, how much is kept for the sinks once the sources have
/// stopped reading.
const SINKS_SHARE_OF_GRACE: Duration = Duration::from_secs(5);

/// What was meant: built components and compiled rules, ready to run.
pub struct Plan {
    /// The sources.
    pub sources: Vec<PlannedSource>,
    /// The compiled routes.
    pub table: Table,
    /// The routes' names, by place in the table.
    pub routes: Vec<String>,
    /// The sinks.
    pub sinks: Vec<PlannedSink>,
    /// How long a stop may take.
    pub grace: Duration,
    /// What all of it wants of events.
    pub needs: Arc<Needs>,
    /// What is done to events on their way.
    pub with: Withs,
    /// Where something of the plan keeps state: locked while it runs.
    pub state: Option<StateDirectory>,
}

/// A built source.
pub struct PlannedSource {
    /// Its name and scheme.
    pub labels: Labels,
    /// The source.
    pub source: Box<dyn Source>,
    /// Its parsers.
    pub formats: Formats,
}

/// A built sink.
pub struct PlannedSink {
    /// Its name and scheme.
    pub labels: Labels,
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// Whether an event is accepted only once this sink has its copy.
    pub required: bool,
    /// Its buffer in memory.
    pub quota: Quota,
    /// Its buffer on disk, if it has one.
    pub disk: Option<DiskBuffer>,
    /// How much one load may hold.
    pub limits: LoadLimits,
    /// The place of the sink that gets what this one refuses, and how such
    /// events are written.
    pub dead_letter: Option<(usize, Encoder)>,
    /// The place of the sink that takes over while this one is down.
    pub fallback: Option<usize>,
}

/// Why a plan did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A source could not be opened.
    #[error("source {name}: {error}")]
    Source {
        /// The source's name.
        name: String,
        /// Why.
        error: SourceError,
    },
    /// The state directory cannot be used.
    #[error(transparent)]
    State(#[from] StateError),
    /// A buffer on disk could not be opened.
    #[error("sink {name}: {error}")]
    Buffer {
        /// The sink's name.
        name: String,
        /// Why.
        error: OpenError,
    },
    /// The machine gave no thread or pipe.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// How a run ended.
#[derive(Debug)]
pub struct Report {
    /// Every count, at the end.
    pub snapshot: Snapshot,
    /// Stages that failed, in words; empty for a good run.
    pub failures: Vec<String>,
}

/// A running plan.
pub struct Pipeline {
    sources: Vec<(String, SourceStage)>,
    routers: Vec<Stage<()>>,
    sinks: Vec<RunningSink>,
    ledger: Arc<Ledger>,
    control: Control,
    monitor: Arc<Monitor>,
    lock: Option<StateLock>,
}

type SourceStage = Stage<Result<(), SourceError>>;

struct RunningSink {
    /// What is routed to it.
    inbox: Arc<Memory>,
    /// What its driver takes from: the same, unless its buffer is on disk.
    buffer: Arc<Memory>,
    /// Between the two, if it is.
    spool: Option<Spooling>,
    status: Arc<Status>,
    driver: Stage<Ended>,
    name: String,
    /// The places of the sinks that its driver passes copies on to.
    feeds: Vec<usize>,
}

impl RunningSink {
    fn queues(&self) -> Queues {
        Queues {
            inbox: self.inbox.clone(),
            buffer: self.buffer.clone(),
            status: self.status.clone(),
        }
    }
}

/// Stops a running pipeline, from wherever a signal is heard.
#[derive(Clone)]
pub struct Control {
    stopper: Arc<Stopper>,
    cut_off: watch::Sender<Option<Instant>>,
    grace: Duration,
    stopping: watch::Sender<bool>,
}

impl Control {
    /// Begins to stop: sources read what is still coming, sinks drain, both
    /// within the grace period.
    pub fn stop(&self) {
        if self.stopping.send_replace(true) {
            // A later deadline would not be everybody's.
            return;
        }
        let now = Instant::now();
        let reading = self
            .grace
            .saturating_sub(SINKS_SHARE_OF_GRACE)
            .max(self.grace / 2);
        self.stopper.stop(now + reading);
        self.cut_off.send_replace(Some(now + self.grace));
    }

    /// Stops reading at once; what was read is still delivered, without a
    /// deadline.
    fn stop_reading(&self) {
        self.stopper.stop(Instant::now());
    }
}

impl Pipeline {
    /// Locks the state directory, opens every source, then starts every stage.
    pub async fn start(mut plan: Plan, world: &World) -> Result<Pipeline, StartError> {
        let lock = plan.state.as_ref().map(StateDirectory::lock).transpose()?;
        let disks = Buffers::open(&plan, world)?;
        for planned in &mut plan.sources {
            planned
                .source
                .open()
                .await
                .map_err(|error| StartError::Source {
                    name: planned.labels.id.clone(),
                    error,
                })?;
        }
        let (stopper, stop) = Stop::new()?;
        let control = Control {
            stopper: Arc::new(stopper),
            cut_off: watch::Sender::new(None),
            grace: plan.grace,
            stopping: watch::Sender::new(false),
        };
        let quotas = plan.sinks.iter().map(|s| s.quota).collect();
        let ledger = Ledger::new(plan.sources.len(), plan.routes.len(), quotas);
        let mut monitor = Monitor::new(&plan, ledger.clone(), control.stopping.subscribe());
        let (sinks, lanes) = start_sinks(
            plan.sinks,
            disks,
            &plan.needs,
            &ledger,
            &control,
            &mut monitor,
            world,
        )?;
        let shared = Shared {
            table: Arc::new(plan.table),
            lanes: lanes.into(),
            ledger: ledger.clone(),
            pool: Arc::new(Pool::default()),
            with: plan.with,
        };
        let mut sources = Vec::new();
        let mut routers = Vec::new();
        for (index, planned) in plan.sources.into_iter().enumerate() {
            let name = planned.labels.id.clone();
            let (source, router) = start_source(index, planned, &shared, stop.clone(), world)?;
            sources.push((name, source));
            routers.push(router);
        }
        Ok(Pipeline {
            sources,
            routers,
            sinks,
            ledger,
            control,
            monitor: Arc::new(monitor),
            lock,
        })
    }

    /// The handle that stops it.
    #[must_use]
    pub fn control(&self) -> Control {
        self.control.clone()
    }

    /// What it can be asked about itself.
    #[must_use]
    pub fn monitor(&self) -> Arc<Monitor> {
        self.monitor.clone()
    }

    /// Runs until every source has ended and every sink has drained, or the
    /// grace period after a stop is over.
    pub async fn finish(self) -> Report {
        let Pipeline {
            sources,
            routers,
            mut sinks,
            ledger,
            control,
            lock,
            ..
        } = self;
        let queues: Vec<_> = sinks.iter().map(RunningSink::queues).collect();
        let spools: Vec<_> = sinks.iter_mut().filter_map(|s| s.spool.take()).collect();
        let mut failures = Vec::new();
        let drain = drain(sources, routers, sinks, &control, &mut failures);
        let hangs = tokio::select! {
            biased;
            () = drain => false,
            () = overdue(&control.cut_off) => true,
        };
        if hangs {
            write_off(&ledger, &queues).await;
        }
        finish_spools(spools, &mut failures).await;
        let snapshot = ledger.snapshot();
        drop(lock);
        Report { snapshot, failures }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A signal that comes after a stage has failed finds it stopping.
    #[tokio::test(start_paused = true)]
    async fn whoever_is_told_twice_to_stop_keeps_the_first_deadline() {
        let (stopper, _stop) = Stop::new().expect("pipe");
        let control = Control {
            stopper: Arc::new(stopper),
            cut_off: watch::Sender::new(None),
            grace: Duration::from_secs(10),
            stopping: watch::Sender::new(false),
        };
        let start = Instant::now();
        control.stop();
        tokio::time::advance(Duration::from_secs(1)).await;
        control.stop();
        let deadline = *control.cut_off.borrow();
        assert_eq!(deadline, Some(start + Duration::from_secs(10)));
    }
}
