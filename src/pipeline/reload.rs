//! Another plan for a running pipeline.
//!
//! What is written as before lives on: sources with their connections, sinks
//! with what they hold, `with` lists with what they remember, every count. A
//! changed source starts beside the one that runs, which ends with what it has
//! open; a changed sink takes over the queue of the one that runs. What the plan
//! has no more is drained within the grace period. Routers go from plan to plan
//! between two batches.
//!
//! Until everything that is new is open, nothing of what runs is touched: a plan
//! that cannot work is refused and leaves the one before in force.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::timeout;

use super::diff::{Fate, compare};
use super::parsers::Parsers;
use super::router::{InForce, Lane};
use super::start::{Phase, watch_readers};
use super::with::Kept;
use super::{
    Control, Monitor, Pipeline, Plan, PlannedSink, PlannedSource, Slots, StartError, Withs,
};
use crate::event::{Needs, Pool};
use crate::seam::{StateDirectory, StateLock, World};
use crate::source::Succession;
use crate::telemetry::{Ledger, Places, Series};

/// How long a reload waits for the routers to take the new plan. Only one that
/// waits for a full sink takes longer, and follows later.
const TURN_TIME: Duration = Duration::from_secs(1);
/// Columns of events that plans may have wanted in one run, one after the
/// other: their numbers must not change under sinks that live on.
const COLUMNS_MAX: usize = 4096;

/// What a plan must be built upon, to follow the one in force.
#[derive(Clone, Default)]
pub struct Seed {
    /// The columns that sinks and lists which live on know by number.
    pub needs: Needs,
    /// The metrics of `with` lists.
    pub series: Vec<Arc<Series>>,
}

/// What a reload has changed, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// Sources and sinks that were not there.
    pub added: Vec<String>,
    /// Those that are written otherwise.
    pub replaced: Vec<String>,
    /// Those that are there no more.
    pub removed: Vec<String>,
    /// What cannot change while it runs, in words.
    pub unchangeable: Vec<String>,
}

/// Brings other plans to a running pipeline.
#[derive(Clone)]
pub struct Reloader {
    orders: mpsc::Sender<Order>,
    seed: Arc<watch::Sender<Seed>>,
}

pub(super) struct Order {
    pub(super) plan: Plan,
    pub(super) done: oneshot::Sender<Result<Changes, StartError>>,
}

impl Reloader {
    /// What the next plan must be built upon.
    #[must_use]
    pub fn seed(&self) -> Seed {
        self.seed.borrow().clone()
    }

    /// Puts a plan in force, or says why the one before stays.
    pub async fn reload(&self, plan: Plan) -> Result<Changes, StartError> {
        let (done, changes) = oneshot::channel();
        let order = Order { plan, done };
        let sent = self.orders.send(order).await;
        sent.map_err(|_| StartError::Stopping)?;
        changes.await.unwrap_or(Err(StartError::Stopping))
    }
}

/// The plan in force, as far as the next one is compared with it.
#[derive(Default)]
pub(super) struct Standing {
    pub(super) with: Withs,
    plan: Option<Arc<InForce>>,
    /// Plans are numbered as they come.
    pub(super) number: u64,
    needs: Arc<Needs>,
    /// The owners of the lists, by place.
    sources: Vec<String>,
    routes: Vec<String>,
    sinks: Vec<String>,
    /// Sinks that a reload has removed: closed once they have drained.
    pub(super) leaving: Vec<(String, watch::Receiver<()>)>,
    ids: u64,
}

impl Standing {
    pub(super) fn next_id(&mut self) -> u64 {
        self.ids += 1;
        self.ids
    }
}

/// What becomes of the planned components.
pub(super) struct Fates {
    pub(super) sources: Vec<Fate>,
    pub(super) sinks: Vec<Fate>,
    /// By place among the running ones.
    pub(super) removed_sources: Vec<usize>,
    pub(super) removed_sinks: Vec<usize>,
    changes: Changes,
}

impl Pipeline {
    /// Locks the state directory, opens every source, then starts every stage.
    pub async fn start(plan: Plan, world: &World) -> Result<Pipeline, StartError> {
        let control = Control::new(plan.grace);
        let ledger = Ledger::new(0, 0, Vec::new());
        let (sender, orders) = mpsc::channel(1);
        let readers = watch::Sender::new(Vec::new());
        let watching = watch_readers(readers.subscribe(), control.clone());
        let mut pipeline = Pipeline {
            world: world.clone(),
            monitor: Arc::new(Monitor::new(ledger.clone(), control.stopping())),
            ledger,
            control,
            pool: Arc::new(Pool::default()),
            state: None,
            slots: Slots::default(),
            standing: Standing::default(),
            sources: Vec::new(),
            sinks: Vec::new(),
            endings: FuturesUnordered::new(),
            draining: FuturesUnordered::new(),
            spools: Vec::new(),
            hands: Vec::new(),
            orders,
            reloader: Reloader {
                orders: sender,
                seed: Arc::new(watch::Sender::new(Seed::default())),
            },
            readers,
        };
        pipeline.adopt(plan).await?;
        world.spawn.task(watching);
        Ok(pipeline)
    }

    /// Puts a plan in force. An error leaves the one before in force, unless
    /// the machine is out of threads.
    pub(super) async fn adopt(&mut self, mut plan: Plan) -> Result<Changes, StartError> {
        if *self.control.stopping().borrow() {
            return Err(StartError::Stopping);
        }
        let mut fates = self.fates(&plan);
        self.settle_on_running(&mut fates, &plan);
        self.check(&plan)?;
        let lock = self.lock(plan.state.as_ref())?;
        let mut disks = self.open_disks(&plan)?;
        let running: Vec<_> = self.sources.iter().map(|s| s.name.clone()).collect();
        open(&mut plan.sources, &fates.sources, &running).await?;

        if lock.is_some() {
            self.state = lock;
            self.tell_of_others(&plan);
        }
        self.control.set_grace(plan.grace);
        let places = Arc::new(self.places(&plan));
        self.name_places(&plan);
        let needs = plan.needs.clone();
        let needs_differ = *self.standing.needs != *needs;
        let parsers = Arc::new(Parsers::new(&plan, &self.slots.sources));
        self.sinks(plan.sinks, &fates, &places, &parsers, &mut disks)?;
        let sinks = self.sinks.iter().map(|sink| Lane {
            buffer: sink.reservoir.inbox.clone(),
            required: sink.required,
            _user: sink.reservoir.user(),
        });
        let force = Arc::new(InForce {
            table: Arc::new(plan.table),
            sinks: sinks.collect(),
            places,
        });
        let kept = self.kept(&plan.with, &plan.sources, &plan.routes);
        plan.with.inherit(&mut self.standing.with, &kept);
        self.standing.with = plan.with;
        self.standing.needs = needs;
        self.standing.plan = Some(force.clone());
        self.reloader.seed.send_replace(Seed {
            needs: Needs::clone(&self.standing.needs),
            series: self.standing.with.series.clone(),
        });
        let taken = self.turn(&plan.sources, &force, needs_differ);
        let leaving = self.swap_sources(plan.sources, &fates, &force)?;
        self.enroll();
        // Only now: what comes in meanwhile goes to the new ones.
        for (stopper, deadline) in leaving {
            stopper.stop(deadline);
        }
        // Those that are late take it when their sinks have room again.
        let _ = timeout(TURN_TIME, futures_util::future::join_all(taken)).await;
        Ok(fates.changes)
    }

    fn fates(&self, plan: &Plan) -> Fates {
        let running = self.sources.iter().filter(|s| s.phase != Phase::Leaving);
        let running: Vec<_> = running.map(|s| (s.name.as_str(), s.print)).collect();
        let planned = plan.sources.iter();
        let planned: Vec<_> = planned.map(|s| (s.labels.id.as_str(), s.print)).collect();
        let (sources, removed_sources) = compare(&running, &planned);
        let running_sinks: Vec<_> = self
            .sinks
            .iter()
            .map(|s| (s.name.as_str(), s.print))
            .collect();
        let planned_sinks: Vec<_> = plan
            .sinks
            .iter()
            .map(|s| (s.labels.id.as_str(), s.print))
            .collect();
        let (sinks, removed_sinks) = compare(&running_sinks, &planned_sinks);
        let mut changes = Changes::default();
        let names = planned.iter().chain(&planned_sinks).map(|(name, _)| *name);
        for (name, fate) in names.zip(sources.iter().chain(&sinks)) {
            match fate {
                Fate::Kept(_) => {}
                Fate::Replaces(_) => changes.replaced.push(name.to_owned()),
                Fate::Added => changes.added.push(name.to_owned()),
            }
        }
        let removed = removed_sources.iter().map(|&at| running[at].0);
        let removed = removed.chain(removed_sinks.iter().map(|&at| running_sinks[at].0));
        changes.removed = removed.map(str::to_owned).collect();
        // From places among those that were compared to places among all.
        let all: Vec<usize> = (0..self.sources.len())
            .filter(|&at| self.sources[at].phase != Phase::Leaving)
            .collect();
        let sources = sources.into_iter().map(|fate| match fate {
            Fate::Kept(at) => Fate::Kept(all[at]),
            Fate::Replaces(at) => Fate::Replaces(all[at]),
            Fate::Added => Fate::Added,
        });
        Fates {
            sources: sources.collect(),
            sinks,
            removed_sources: removed_sources.into_iter().map(|at| all[at]).collect(),
            removed_sinks,
            changes,
        }
    }

    /// Lets sources live on that no other can take the place of.
    fn settle_on_running(&self, fates: &mut Fates, plan: &Plan) {
        for (fate, planned) in fates.sources.iter_mut().zip(&plan.sources) {
            let Fate::Replaces(at) = *fate else { continue };
            let running = &self.sources[at];
            let Succession::Never(what) = planned.source.succession() else {
                continue;
            };
            let same = running.succession == Succession::Never(what.clone());
            if running.phase == Phase::Live && same {
                *fate = Fate::Kept(at);
                let name = &planned.labels.id;
                fates.changes.replaced.retain(|replaced| replaced != name);
                fates.changes.unchangeable.push(format!(
                    "source {name}: {what} cannot be opened a second time; it goes on as before until tflog is started again"
                ));
            }
        }
    }

    /// Whether the plan can follow the one in force.
    fn check(&self, plan: &Plan) -> Result<(), StartError> {
        if plan.needs.columns.len() > COLUMNS_MAX {
            return Err(StartError::Columns);
        }
        let planned = |name: &str| plan.sources.iter().any(|s| s.labels.id == name);
        let busy = self.sources.iter().find(|source| {
            let full = !source.turns.is_closed() && source.turns.capacity() == 0;
            source.plan == self.standing.number && planned(&source.name) && full
        });
        match busy {
            Some(source) => Err(StartError::Busy(source.name.clone())),
            None => Ok(()),
        }
    }

    /// Takes the lock of a plan's state directory, unless it is held.
    fn lock(
        &self,
        state: Option<&StateDirectory>,
    ) -> Result<Option<(PathBuf, StateLock)>, StartError> {
        let Some(state) = state else {
            return Ok(None);
        };
        match &self.state {
            Some((held, _)) if held == state.path() => Ok(None),
            Some((held, _)) => Err(StartError::Moved(held.clone())),
            None => Ok(Some((state.path().to_owned(), state.lock()?))),
        }
    }

    /// Where the plan's routes and sinks are counted; new names get places.
    fn places(&mut self, plan: &Plan) -> Places {
        let (ledger, slots) = (&self.ledger, &mut self.slots);
        for source in &plan.sources {
            let slot = || ledger.add_source();
            let name = source.labels.id.clone();
            slots.sources.entry(name).or_insert_with(slot);
        }
        let route = |name: &String| {
            let slot = || ledger.add_route();
            *slots.routes.entry(name.clone()).or_insert_with(slot)
        };
        let sinks = &mut slots.sinks;
        let sink = |sink: &PlannedSink| {
            let slot = || ledger.add_sink(sink.quota);
            *sinks.entry(sink.labels.id.clone()).or_insert_with(slot)
        };
        Places {
            routes: plan.routes.iter().map(route).collect(),
            sinks: plan.sinks.iter().map(sink).collect(),
        }
    }

    /// Which `with` lists go on as they are.
    fn kept(&mut self, with: &Withs, sources: &[PlannedSource], routes: &[String]) -> Kept {
        let sources: Vec<_> = sources.iter().map(|s| s.labels.id.clone()).collect();
        let sinks: Vec<_> = self.sinks.iter().map(|sink| sink.name.clone()).collect();
        let (old, new) = (&self.standing.with.prints, &with.prints);
        let standing = &self.standing;
        let kept = Kept {
            sources: kept(&standing.sources, &old.sources, &sources, &new.sources),
            routes: kept(&standing.routes, &old.routes, routes, &new.routes),
            sinks: kept(&standing.sinks, &old.sinks, &sinks, &new.sinks),
        };
        self.standing.sources = sources;
        self.standing.routes = routes.to_vec();
        self.standing.sinks = sinks;
        kept
    }
}

/// Opens the sources that are not there yet.
async fn open(
    planned: &mut [PlannedSource],
    fates: &[Fate],
    running: &[String],
) -> Result<(), StartError> {
    for (planned, fate) in planned.iter_mut().zip(fates) {
        let name = &planned.labels.id;
        if fate.kept().is_some() {
            continue;
        }
        // What one of its name keeps is opened when that has ended.
        let waits = planned.source.keeps_state() && running.contains(name);
        let opened = if waits {
            planned.source.could_open()
        } else {
            planned.source.open().await
        };
        opened.map_err(|error| StartError::Source {
            name: name.clone(),
            error,
        })?;
    }
    Ok(())
}

/// Of the lists of components of one kind, by place: where it was, if it goes on.
fn kept(
    names: &[String],
    prints: &[u128],
    new: &[String],
    new_prints: &[u128],
) -> Vec<Option<usize>> {
    let printed = |names: &[String], prints: &[u128]| -> Vec<(String, u128)> {
        let prints = prints.iter().copied().chain(std::iter::repeat(0));
        names.iter().cloned().zip(prints).collect()
    };
    let (old, new) = (printed(names, prints), printed(new, new_prints));
    let old: Vec<_> = old
        .iter()
        .map(|(name, print)| (name.as_str(), *print))
        .collect();
    let new: Vec<_> = new
        .iter()
        .map(|(name, print)| (name.as_str(), *print))
        .collect();
    let (fates, _) = compare(&old, &new);
    fates.into_iter().map(Fate::kept).collect()
}
