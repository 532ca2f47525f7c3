//! Opens the logs of a plan and starts their stages, and says what lies there
//! that no sink takes.

use std::future::Future;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::future::Either;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::change::{Order, Phase};
use super::record::Settlements;
use super::restore::Restore;
use super::{DiskBuffer, Spool, Spooling, disk_terms, passed, turn_away};
use crate::buffer::Memory;
use crate::buffer::disk::{Backlog, Log, OpenError, Options, Reader};
use crate::pipeline::parsers::Parsers;
use crate::pipeline::queue::Reservoir;
use crate::pipeline::start::Predecessor;
use crate::pipeline::{Pipeline, Plan, PlannedSink, StartError};
use crate::seam::{StateDirectory, World};
use crate::telemetry::{Ledger, WhenFull};

/// How often a log is tried that cannot be opened once the plan is in force.
const OPEN_EVERY: Duration = Duration::from_secs(1);

/// The logs that a plan's sinks need and that no stage has.
#[derive(Default)]
pub(in crate::pipeline) struct Buffers {
    /// By the place of their sink.
    opened: Vec<Option<Opened>>,
    state: Option<StateDirectory>,
}

struct Opened {
    log: Log,
    reader: Reader,
    backlog: Backlog,
}

/// What a stage is started with.
pub(in crate::pipeline) struct Site<'a> {
    /// Its sink's place in the plan, and in the ledger.
    pub(in crate::pipeline) place: usize,
    pub(in crate::pipeline) slot: usize,
    pub(in crate::pipeline) reservoir: &'a Reservoir,
    pub(in crate::pipeline) parsers: Arc<Parsers>,
    /// The driver that must have ended before.
    pub(in crate::pipeline) predecessor: Option<Predecessor>,
}

impl Pipeline {
    /// Opens the logs of sinks that have none yet, below the locked state
    /// directory.
    pub(in crate::pipeline) fn open_disks(&mut self, plan: &Plan) -> Result<Buffers, StartError> {
        self.spools.retain(|spool| !spool.has_ended());
        let mut opened = Vec::new();
        for sink in &plan.sinks {
            let name = &sink.labels.id;
            let disk = sink.disk.zip(plan.state.as_ref());
            let disk = disk.filter(|_| self.spools_of(name).next().is_none());
            let log = disk.map(|(disk, state)| open(state, name, disk, &self.world));
            opened.push(log.transpose().map_err(|error| StartError::Buffer {
                name: name.clone(),
                error,
            })?);
        }
        let state = plan.state.clone();
        Ok(Buffers { opened, state })
    }

    /// Starts the stage between a sink's inbox and what its driver takes from.
    pub(in crate::pipeline) fn start_spool(
        &mut self,
        sink: &PlannedSink,
        site: Site<'_>,
        buffers: &mut Buffers,
    ) -> std::io::Result<()> {
        let (Some(disk), Some(state)) = (sink.disk, &buffers.state) else {
            return Ok(());
        };
        let name: Arc<str> = sink.labels.id.as_str().into();
        let earlier: Vec<_> = self.spools_of(&name).map(Spooling::make_way).collect();
        let cut_off = self.control.add_sink();
        let (orders, ordered) = watch::channel(Order::of(sink, site.parsers.clone()));
        let (finish, finishing) = watch::channel(false);
        let (here, gone) = watch::channel(false);
        let waiting = Waiting {
            sink: site.slot,
            name: name.clone(),
            ledger: self.ledger.clone(),
            inbox: site.reservoir.inbox.clone(),
            outbox: site.reservoir.buffer.clone(),
            past_disk: site.reservoir.past_disk.clone(),
            when_full: sink.quota.when_full,
            disk,
            state: state.clone(),
            world: self.world.clone(),
            cut_off: cut_off.subscribe(),
            orders: orders.clone(),
            ordered,
            parsers: site.parsers,
        };
        let opened = buffers.opened[site.place].take();
        let spooling = match opened {
            // What it holds is counted before anybody can ask.
            Some(opened) if site.predecessor.is_none() && earlier.is_empty() => {
                Either::Left(waiting.spool(opened).run(finishing))
            }
            opened => {
                let before = async {
                    if let Some(predecessor) = site.predecessor {
                        predecessor.await;
                    }
                    for earlier in earlier {
                        earlier.await;
                    }
                };
                Either::Right(waiting.start(before, opened, finishing))
            }
        };
        let run = async move {
            spooling.await;
            here.send_replace(true);
        };
        let running = self.world.spawn.stage(&format!("disk-{name}"), run)?;
        self.spools.push(Spooling {
            name,
            stage: running,
            orders,
            cut_off,
            finish,
            gone,
        });
        Ok(())
    }

    /// Says which buffers no sink of the plan takes: they are kept.
    pub(in crate::pipeline) fn tell_of_others(&self, plan: &Plan) {
        if let Some(state) = &plan.state {
            tell_of_others(plan, state, &self.world);
        }
    }
}

/// A stage that has no log yet.
struct Waiting {
    sink: usize,
    name: Arc<str>,
    ledger: Arc<Ledger>,
    inbox: Arc<Memory>,
    outbox: Arc<Memory>,
    past_disk: Arc<AtomicBool>,
    when_full: WhenFull,
    disk: DiskBuffer,
    state: StateDirectory,
    world: World,
    cut_off: watch::Receiver<Option<Instant>>,
    orders: watch::Sender<Order>,
    ordered: watch::Receiver<Order>,
    parsers: Arc<Parsers>,
}

impl Waiting {
    /// Waits for those `before` it, opens its log unless that was done, and runs.
    async fn start(
        self,
        before: impl Future<Output = ()>,
        opened: Option<Opened>,
        mut finish: watch::Receiver<bool>,
    ) {
        let mut cut_off = self.cut_off.clone();
        let opened = tokio::select! {
            biased;
            () = passed(&mut cut_off) => None,
            // Whoever would say so is gone: as good as said.
            _ = finish.wait_for(|finish| *finish) => None,
            opened = async {
                before.await;
                match opened {
                    Some(opened) => opened,
                    None => self.open().await,
                }
            } => Some(opened),
        };
        match opened {
            Some(opened) => self.spool(opened).run(finish).await,
            None => self.give_up(finish).await,
        }
    }

    /// Opens the log, as soon as that works: the plan is in force.
    async fn open(&self) -> Opened {
        let mut said = None;
        loop {
            match open(&self.state, &self.name, self.disk, &self.world) {
                Ok(opened) => return opened,
                Err(error) => {
                    let message = error.to_string();
                    if said.as_ref() != Some(&message) {
                        tracing::error!(sink = &*self.name, "{message}");
                        said = Some(message);
                    }
                }
            }
            sleep(OPEN_EVERY).await;
        }
    }

    fn spool(self, opened: Opened) -> Spool {
        let Opened {
            log,
            reader,
            backlog,
        } = opened;
        let terms = disk_terms(&log.stats(), self.disk.bytes_max);
        self.ledger.recover(self.sink, backlog.events, terms);
        tell(&self.name, &backlog);
        Spool {
            sink: self.sink,
            name: self.name,
            settlements: Settlements::new(log.settlement()),
            committed: log.last(),
            log,
            reader,
            restore: Restore::new(self.parsers.clone()),
            ledger: self.ledger,
            inbox: self.inbox,
            outbox: self.outbox,
            past_disk: self.past_disk,
            phase: Phase::Live,
            when_full: self.when_full,
            disk: self.disk,
            cut_off: self.cut_off,
            orders: self.orders,
            ordered: self.ordered,
            parsers: self.parsers,
            group: Vec::new(),
            pending: None,
            said: None,
            next: 1,
            // A new reader stands at the first record that is not settled.
            seeked: true,
            closed: false,
            stopped: false,
            due: None,
        }
    }

    /// Time is up before there was a log.
    async fn give_up(self, mut finish: watch::Receiver<bool>) {
        self.outbox.close();
        let turn_away = |(share, demand)| turn_away(&self.ledger, self.sink, share, demand);
        loop {
            tokio::select! {
                biased;
                share = self.inbox.pop() => match share {
                    Some(share) => turn_away(share),
                    None => return,
                },
                _ = finish.wait_for(|finish| *finish) => return,
            }
        }
    }
}

fn open(
    state: &StateDirectory,
    name: &str,
    disk: DiskBuffer,
    world: &World,
) -> Result<Opened, OpenError> {
    let options = Options {
        bytes_max: disk.bytes_max,
        segment_bytes: None,
        compression: disk.compression,
        random: world.random.clone(),
    };
    let directory = Path::new(StateDirectory::BUFFERS).join(name);
    let (log, backlog) = Log::open(&*state.disk(), state.path(), &directory, options)?;
    let reader = log.reader().map_err(|error| OpenError::Io {
        path: error.path,
        source: error.source,
    })?;
    Ok(Opened {
        log,
        reader,
        backlog,
    })
}

/// Says what an earlier run left.
fn tell(sink: &str, backlog: &Backlog) {
    if backlog.events > 0 || backlog.torn_bytes > 0 {
        tracing::info!(
            sink,
            events = backlog.events,
            torn_bytes = backlog.torn_bytes,
            "delivering what an earlier run left on disk"
        );
    }
}

/// Says which buffers no sink of the plan takes: they are kept.
fn tell_of_others(plan: &Plan, state: &StateDirectory, world: &World) {
    // No directory, no buffers.
    let listed = state
        .part("")
        .and_then(|root| root.list(Path::new(StateDirectory::BUFFERS)));
    let Ok(names) = listed else {
        return;
    };
    let taken = |name: &str| {
        let mut sinks = plan.sinks.iter();
        sinks.any(|sink| sink.labels.id == name && sink.disk.is_some())
    };
    for name in names.iter().filter_map(|name| name.to_str()) {
        if taken(name) {
            continue;
        }
        let disk = DiskBuffer {
            bytes_max: u64::MAX,
            fsync: super::Fsync::Ack,
            compression: crate::buffer::disk::Compression::None,
        };
        let directory = state.path().join(StateDirectory::BUFFERS).join(name);
        match open(state, name, disk, world) {
            Ok(Opened { backlog, .. }) if backlog.events == 0 => {}
            Ok(Opened { backlog, .. }) => tracing::warn!(
                sink = name,
                events = backlog.events,
                "{} holds events, and no sink `{name}` has a disk buffer: they are kept; bring the \
                 sink back to deliver them, or remove the directory",
                directory.display()
            ),
            Err(error) => tracing::warn!(sink = name, "{error}"),
        }
    }
}
