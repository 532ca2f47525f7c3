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

mod entrance;
pub mod explain;
mod lanes;
mod monitor;
mod router;
mod with;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

pub use monitor::Monitor;
pub use with::{Editor, Withs};

use crate::buffer::Memory;
use crate::event::{Needs, Outcome, Pool, Share};
use crate::parse::Formats;
use crate::route::Table;
use crate::seam::{Stage, World};
use crate::sink::Sink;
use crate::sink::driver::{DeadLetters, Driver, Ended, Feed, LoadLimits, Passage, Status};
use crate::sink::encode::Encoder;
use crate::source::{Outlet, Source, SourceError, Stop, Stopper};
use crate::telemetry::{Demand, Labels, Ledger, Quota, Snapshot, SourceReport};
use entrance::Entrance;
use lanes::Lanes;
use router::{Lane, Router, Scratch};

/// Of the grace period, how much is kept for the sinks once the sources have
/// stopped reading.
const SINKS_SHARE_OF_GRACE: Duration = Duration::from_secs(5);
/// How long after the grace period a sink may take to notice, before it is
/// taken to hang and its copies are written off.
const WRITE_OFF_AFTER: Duration = Duration::from_millis(250);
/// How long routers may take to come to an end then.
const WRITE_OFF_MAX: Duration = Duration::from_secs(2);

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
    /// Its buffer.
    pub quota: Quota,
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
}

struct RunningSink {
    buffer: Arc<Memory>,
    status: Arc<Status>,
    driver: Stage<Ended>,
    name: String,
    /// The places of the sinks that its driver passes copies on to.
    feeds: Vec<usize>,
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
        let now = Instant::now();
        let reading = self
            .grace
            .saturating_sub(SINKS_SHARE_OF_GRACE)
            .max(self.grace / 2);
        self.stopping.send_replace(true);
        self.stopper.stop(now + reading);
        self.cut_off.send_replace(Some(now + self.grace));
    }

    /// Stops reading at once; what was read is still delivered, without a
    /// deadline.
    fn stop_reading(&self) {
        self.stopper.stop(Instant::now());
    }
}

impl Feed for Memory {
    async fn pop(&self) -> Option<(Share, Demand)> {
        Memory::pop(self).await
    }

    fn try_pop(&self) -> Option<(Share, Demand)> {
        Memory::try_pop(self)
    }

    fn push(&self, share: Share, demand: Demand) {
        Memory::push(self, share, demand);
    }

    fn put_back(&self, share: Share, demand: Demand) {
        Memory::put_back(self, share, demand);
    }
}

impl Pipeline {
    /// Opens every source, then starts every stage.
    pub async fn start(mut plan: Plan, world: &World) -> Result<Pipeline, StartError> {
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
            sinks,
            ledger,
            control,
            ..
        } = self;
        let buffers: Vec<_> = sinks.iter().map(|s| s.buffer.clone()).collect();
        let statuses: Vec<_> = sinks.iter().map(|s| s.status.clone()).collect();
        let mut failures = Vec::new();
        let drain = drain(sources, routers, sinks, &control, &mut failures);
        let hangs = tokio::select! {
            () = drain => false,
            () = overdue(&control.cut_off) => true,
        };
        let snapshot = if hangs {
            write_off(&ledger, &buffers, &statuses).await
        } else {
            ledger.snapshot()
        };
        Report { snapshot, failures }
    }
}

/// What all sources' routers share.
struct Shared {
    table: Arc<Table>,
    lanes: Arc<[Lane]>,
    ledger: Arc<Ledger>,
    pool: Arc<Pool>,
    with: Withs,
}

type SourceStage = Stage<Result<(), SourceError>>;
type SinksAndLanes = (Vec<RunningSink>, Vec<Lane>);

fn start_sinks(
    planned: Vec<PlannedSink>,
    needs: &Arc<Needs>,
    ledger: &Arc<Ledger>,
    control: &Control,
    monitor: &mut Monitor,
    world: &World,
) -> Result<SinksAndLanes, StartError> {
    let (mut running, mut lanes, mut readers) = (Vec::new(), Vec::new(), Vec::new());
    let buffers: Vec<_> = planned.iter().map(|_| Arc::<Memory>::default()).collect();
    let passage = |sink: usize| Passage {
        sink,
        queue: buffers[sink].clone(),
    };
    for (index, sink) in planned.into_iter().enumerate() {
        let buffer = buffers[index].clone();
        let feeds = [sink.dead_letter.as_ref().map(|d| d.0), sink.fallback];
        let status = Arc::new(Status::default());
        let gauges = sink.sink.gauges();
        let (ask, checks) = mpsc::channel(1);
        let reader_gone = watch::Sender::new(false);
        readers.push(reader_gone.subscribe());
        let driver = Driver {
            index,
            name: sink.labels.id.as_str().into(),
            sink: sink.sink,
            required: sink.required,
            feed: buffer.clone(),
            ledger: ledger.clone(),
            status: status.clone(),
            checks,
            limits: sink.limits,
            random: world.random.clone(),
            cut_off: control.cut_off.subscribe(),
            reader_gone,
            dead_letters: sink.dead_letter.map(|(to, encoder)| DeadLetters {
                to: passage(to),
                encoder: Mutex::new(encoder),
                needs: needs.clone(),
                clock: world.clock.clone(),
                random: world.random.clone(),
            }),
            fallback: sink.fallback.map(passage),
        };
        let name = sink.labels.id;
        let driver = world.spawn.stage(&format!("sink-{name}"), driver.run())?;
        lanes.push(Lane {
            buffer: buffer.clone(),
            required: sink.required,
        });
        monitor.watch_sink(status.clone(), ask, gauges);
        running.push(RunningSink {
            buffer,
            status,
            driver,
            name,
            feeds: feeds.into_iter().flatten().collect(),
        });
    }
    let control = control.clone();
    world.spawn.task(async move {
        if all_gone(readers).await {
            control.stop_reading();
        }
    });
    Ok((running, lanes))
}

fn start_source(
    index: usize,
    planned: PlannedSource,
    shared: &Shared,
    stop: Stop,
    world: &World,
) -> Result<(SourceStage, Stage<()>), StartError> {
    let ledger = shared.ledger.clone();
    let (entrance, arrivals) = Entrance::new(index, ledger.clone());
    let report = SourceReport {
        ledger: ledger.clone(),
        source: index,
    };
    let router = Router {
        source: index,
        arrivals,
        lanes: Lanes::new(planned.formats),
        table: shared.table.clone(),
        sinks: shared.lanes.clone(),
        ledger,
        report: Arc::new(report),
        lists: shared.with.lists(index),
        scratch: Scratch::default(),
    };
    let name = planned.labels.id;
    let router = world.spawn.stage(&format!("route-{name}"), router.run())?;
    let outlet = Outlet::new(
        index,
        shared.pool.clone(),
        world.clone(),
        Arc::new(entrance),
    );
    let source = world.spawn.stage(&name, planned.source.run(outlet, stop))?;
    Ok((source, router))
}

/// Waits for the stages in the order of the flow.
async fn drain(
    sources: Vec<(String, SourceStage)>,
    routers: Vec<Stage<()>>,
    sinks: Vec<RunningSink>,
    control: &Control,
    failures: &mut Vec<String>,
) {
    for (name, source) in sources {
        match source.await {
            Some(Ok(())) => {}
            Some(Err(error)) => failures.push(format!("source {name}: {error}")),
            None => {
                failures.push(format!("source {name} panicked; this is a bug in tflog"));
                control.stop();
            }
        }
    }
    for router in routers {
        if router.await.is_none() {
            failures.push("a router panicked; this is a bug in tflog".to_owned());
            control.stop();
        }
    }
    drain_sinks(sinks, failures).await;
}

/// Closes and awaits sinks, those that feed others before these.
async fn drain_sinks(sinks: Vec<RunningSink>, failures: &mut Vec<String>) {
    let mut left: Vec<_> = sinks.into_iter().enumerate().collect();
    while !left.is_empty() {
        let fed: Vec<usize> = left.iter().flat_map(|(_, s)| s.feeds.clone()).collect();
        // There are no cycles: the config was checked for them.
        let (ready, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|(i, _)| !fed.contains(i));
        left = rest;
        ready.iter().for_each(|(_, sink)| sink.buffer.close());
        for (_, sink) in ready {
            if sink.driver.await.is_none() {
                failures.push(format!(
                    "sink {} panicked; this is a bug in tflog",
                    sink.name
                ));
            }
        }
    }
}

/// Whether the readers of all sinks went away (none: false).
async fn all_gone(readers: Vec<watch::Receiver<bool>>) -> bool {
    let any = !readers.is_empty();
    for mut reader in readers {
        if reader.wait_for(|gone| *gone).await.is_err() {
            return false;
        }
    }
    any
}

async fn overdue(cut_off: &watch::Sender<Option<Instant>>) {
    let mut deadline = cut_off.subscribe();
    let deadline = deadline.wait_for(Option::is_some).await.map(|d| *d);
    if let Ok(Some(deadline)) = deadline {
        sleep_until(deadline + WRITE_OFF_AFTER).await;
    }
}

/// Counts what sinks that hang still hold, and what waits behind them, until
/// nothing is on its way any more; the ledger at that moment.
async fn write_off(
    ledger: &Arc<Ledger>,
    buffers: &[Arc<Memory>],
    statuses: &[Arc<Status>],
) -> Snapshot {
    let end = Instant::now() + WRITE_OFF_MAX;
    loop {
        for (sink, (buffer, status)) in buffers.iter().zip(statuses).enumerate() {
            status.write_off(ledger, sink);
            while let Some((share, demand)) = buffer.try_pop() {
                ledger.send(sink, demand.events);
                ledger.give_up(sink, demand, Outcome::Shutdown, share.ack.is_awaited());
                share.ack.settle(Outcome::Shutdown);
            }
        }
        // Routers that waited for room push once more.
        let snapshot = ledger.snapshot();
        let now = Instant::now();
        if now >= end || snapshot.violations_at_end().is_empty() {
            return snapshot;
        }
        sleep_until(now + Duration::from_millis(1)).await;
    }
}
