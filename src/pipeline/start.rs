//! Starts single stages: a source with its router, a sink's driver.

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::future::Shared;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

use super::drain::{End, Gone, Hands};
use super::entrance::Entrance;
use super::lanes::Lanes;
use super::queue::{Reread, Reservoir};
use super::router::{InForce, Router, Scratch, Turn};
use super::shortcut::Shortcut;
use super::{Control, Pipeline, PlannedSink, PlannedSource, StartError};
use crate::event::Needs;
use crate::seam::Stage;
use crate::sink::driver::{DeadLetters, Driver, Ended, Passage, Status};
use crate::source::http::Mount;
use crate::source::tail::Legacy;
use crate::source::{Outlet, Source, Stop, Stopper, Succession};
use crate::telemetry::{Gauges, SourceReport};

/// Plans that a router may have before it that it has not come to.
const TURNS_MAX: usize = 4;
/// How often a source is tried that cannot be opened once the plan is in force.
const OPEN_EVERY: Duration = Duration::from_secs(1);

/// Whether a source reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// It reads, as the plan in force says.
    Live,
    /// A reload has removed or replaced it, and it has not ended yet.
    Leaving,
    /// It has come to an end by itself, and stays in the plan.
    Done,
}

/// A source that was started.
pub(super) struct RunningSource {
    pub(super) id: u64,
    pub(super) name: String,
    pub(super) print: u128,
    pub(super) format_print: u128,
    pub(super) phase: Phase,
    /// Which plan its router was given last.
    pub(super) plan: u64,
    pub(super) succession: Succession,
    pub(super) mount: Option<Mount>,
    pub(super) gauges: Option<Arc<dyn Gauges>>,
    pub(super) legacy: Option<Arc<Legacy>>,
    pub(super) stopper: Arc<Stopper>,
    pub(super) turns: mpsc::Sender<Turn>,
    /// Closed once it has ended.
    pub(super) gone: watch::Receiver<()>,
}

/// A sink whose driver was started.
pub(super) struct RunningSink {
    pub(super) name: String,
    pub(super) slot: usize,
    pub(super) print: u128,
    pub(super) required: bool,
    pub(super) reservoir: Arc<Reservoir>,
    pub(super) status: Arc<Status>,
    pub(super) driver: Stage<Ended>,
    pub(super) cut_off: watch::Sender<Option<Instant>>,
    pub(super) relieved: watch::Sender<Option<Instant>>,
    pub(super) reader_gone: watch::Receiver<bool>,
    pub(super) ask: mpsc::Sender<oneshot::Sender<Result<(), String>>>,
    pub(super) gauges: Option<Arc<dyn Gauges>>,
    /// Dropped once it has drained.
    pub(super) leaving: watch::Sender<()>,
}

impl RunningSink {
    pub(super) fn hands(&self) -> Hands {
        Hands {
            slot: self.slot,
            inbox: Arc::downgrade(&self.reservoir.inbox),
            buffer: Arc::downgrade(&self.reservoir.buffer),
            status: Arc::downgrade(&self.status),
        }
    }
}

/// Who must have ended before a driver, and what is in front of it, may begin.
pub(super) type Predecessor = Shared<Pin<Box<dyn Future<Output = ()> + Send>>>;

/// What a driver is started with, beside the sink itself.
pub(super) struct Seat<'a> {
    pub(super) slot: usize,
    /// By place in the plan: the place in the ledger, and the queue.
    pub(super) all: &'a [(usize, Arc<Reservoir>)],
    pub(super) place: usize,
    pub(super) needs: &'a Arc<Needs>,
    pub(super) predecessor: Option<Predecessor>,
    pub(super) reread: Option<Reread>,
}

impl Pipeline {
    /// Starts the driver of a sink.
    pub(super) fn start_sink(
        &self,
        sink: PlannedSink,
        seat: Seat<'_>,
    ) -> Result<RunningSink, StartError> {
        let passage = |place: usize| Passage {
            sink: seat.all[place].0,
            queue: seat.all[place].1.passage(),
        };
        let world = &self.world;
        let status = Arc::new(Status::default());
        let gauges = sink.sink.gauges();
        let (ask, checks) = mpsc::channel(1);
        let reader_gone = watch::Sender::new(false);
        let readers = reader_gone.subscribe();
        let cut_off = self.control.add_sink();
        let relieved = watch::Sender::new(None);
        let reservoir = seat.all[seat.place].1.clone();
        let driver = Driver {
            index: seat.slot,
            name: sink.labels.id.as_str().into(),
            sink: sink.sink,
            required: sink.required,
            feed: reservoir.feed(seat.reread),
            ledger: self.ledger.clone(),
            status: status.clone(),
            checks,
            limits: sink.limits,
            random: world.random.clone(),
            cut_off: cut_off.subscribe(),
            relieved: relieved.subscribe(),
            reader_gone,
            dead_letters: sink.dead_letter.map(|(to, encoder)| DeadLetters {
                to: passage(to),
                encoder: Mutex::new(encoder),
                needs: seat.needs.clone(),
                clock: world.clock.clone(),
                random: world.random.clone(),
            }),
            fallback: sink.fallback.map(passage),
        };
        let predecessor = seat.predecessor;
        let run = async move {
            if let Some(predecessor) = predecessor {
                predecessor.await;
            }
            driver.run().await
        };
        let name = sink.labels.id.clone();
        let driver = world.spawn.stage(&format!("sink-{name}"), run)?;
        Ok(RunningSink {
            name,
            slot: seat.slot,
            print: sink.print,
            required: sink.required,
            reservoir,
            status,
            driver,
            cut_off,
            relieved,
            reader_gone: readers,
            ask,
            gauges,
            leaving: watch::Sender::new(()),
        })
    }

    /// Starts a source, once `after` has ended, and its router.
    pub(super) fn start_source(
        &mut self,
        place: usize,
        planned: PlannedSource,
        plan: &Arc<InForce>,
        after: Option<watch::Receiver<()>>,
    ) -> Result<(), StartError> {
        let name = planned.labels.id;
        let slot = self.slots.sources[&name];
        let (stopper, stop) = Stop::new()?;
        let stopper = Arc::new(stopper);
        self.control.add_source(&stopper);
        let (turns, router_turns) = mpsc::channel(TURNS_MAX);
        let report = SourceReport {
            ledger: self.ledger.clone(),
            source: slot,
        };
        let router = Router {
            source: slot,
            place,
            lanes: Lanes::new(planned.formats),
            plan: plan.clone(),
            ledger: self.ledger.clone(),
            report: Arc::new(report),
            lists: self.standing.with.lists(place),
            clock: self.world.clock.clone(),
            parses_at_once: self.world.few_processors,
            scratch: Scratch::of(plan),
        };
        let shortcut = Shortcut::new(router);
        let (entrance, arrivals) = Entrance::new(slot, self.ledger.clone(), &shortcut);
        let spawn = &self.world.spawn;
        let router = shortcut.run(arrivals, router_turns);
        let router = spawn.stage(&format!("route-{name}"), router)?;
        let (pool, world) = (self.pool.clone(), self.world.clone());
        let outlet = Outlet::new(slot, pool, world, Arc::new(entrance));
        let (succession, mount) = (planned.source.succession(), planned.source.mount());
        let (gauges, legacy) = (planned.source.gauges(), planned.source.legacy());
        let mut source = planned.source;
        let run = async move {
            if let Some(mut before) = after {
                // Fails once the other end is dropped: that is what it waits for.
                let _ = before.changed().await;
                if source.keeps_state() && !open_late(&mut *source, &stop).await {
                    return Ok(());
                }
            }
            source.run(outlet, stop).await
        };
        let source = spawn.stage(&name, run)?;
        let (here, gone) = watch::channel(());
        let id = self.standing.next_id();
        let (tell, ended) = oneshot::channel();
        self.endings.push(Box::pin(async move {
            let end = End::Source(source.await);
            // The other one waits for it.
            let _ = tell.send(());
            Gone { id, end }
        }));
        self.endings.push(Box::pin(async move {
            let _ = ended.await;
            let end = End::Router(router.await);
            drop(here);
            Gone { id, end }
        }));
        self.sources.push(RunningSource {
            id,
            name,
            print: planned.print,
            format_print: planned.format_print,
            phase: Phase::Live,
            plan: self.standing.number,
            succession,
            mount,
            gauges,
            legacy,
            stopper,
            turns,
            gone,
        });
        Ok(())
    }
}

/// Opens a source whose plan is in force, and that could have been opened when
/// that came: as soon as it works, or not at all after a stop.
async fn open_late(source: &mut dyn Source, stop: &Stop) -> bool {
    let mut said = None;
    loop {
        let Err(error) = source.open().await else {
            return true;
        };
        let message = error.to_string();
        if said.as_ref() != Some(&message) {
            tracing::error!("{message}; trying again every second");
            said = Some(message);
        }
        if timeout(OPEN_EVERY, stop.stopping()).await.is_ok() {
            return false;
        }
    }
}

/// Stops reading once the readers of all sinks went away.
pub(super) async fn watch_readers(
    mut readers: watch::Receiver<Vec<watch::Receiver<bool>>>,
    control: Control,
) {
    loop {
        let all = readers.borrow_and_update().clone();
        tokio::select! {
            gone = all_gone(all) => {
                if gone {
                    control.stop_reading();
                    return;
                }
                if readers.changed().await.is_err() {
                    return;
                }
            }
            changed = readers.changed() => {
                if changed.is_err() {
                    return;
                }
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
