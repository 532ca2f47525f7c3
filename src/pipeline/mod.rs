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
//!
//! A reload brings another plan ([`reload`]); to start is to reload from nothing.

mod control;
mod diff;
mod drain;
mod entrance;
pub mod explain;
mod lanes;
mod monitor;
mod parsers;
mod queue;
mod reload;
mod router;
mod shortcut;
#[cfg(test)]
mod simulation;
mod spool;
mod start;
mod swap;
mod with;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::{mpsc, watch};

pub use control::Control;
pub use monitor::{Monitor, Roster};
pub use reload::{Changes, Reloader, Seed};
pub use spool::{DiskBuffer, Fsync};
pub use with::{Editor, Prints, Withs};

use crate::buffer::disk::OpenError;
use crate::event::{Needs, Pool};
use crate::parse::Formats;
use crate::route::Table;
use crate::seam::{StateDirectory, StateError, StateLock, World};
use crate::sink::Sink;
use crate::sink::driver::LoadLimits;
use crate::sink::encode::Encoder;
use crate::source::{Source, SourceError};
use crate::telemetry::{Labels, Ledger, Quota, Snapshot};
use drain::{Draining, Ending, Hands, finish_spools, overdue, write_off};
use reload::{Order, Standing};
use spool::Spooling;
use start::{Phase, RunningSink, RunningSource};

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
    /// The format of events that were edited.
    pub json: Arc<Formats>,
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
    pub formats: Arc<Formats>,
    /// A hash of what is written of the source but its parsers.
    pub print: u128,
    /// A hash of what is written of its parsers.
    pub format_print: u128,
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
    /// A hash of what is written of it but its buffer.
    pub print: u128,
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
    /// A router has not come to the plans before: it waits for a sink.
    #[error("source {0} still waits for a full sink under an earlier plan: reload again later")]
    Busy(String),
    /// One plan after the other has wanted other fields of events.
    #[error("too many different fields were wanted since tflog was started: start it again")]
    Columns,
    /// State cannot move while it is in use.
    #[error("`state` is {0} until tflog is started again")]
    Moved(PathBuf),
    /// The run is over, or about to be.
    #[error("tflog is stopping")]
    Stopping,
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
    world: World,
    ledger: Arc<Ledger>,
    control: Control,
    /// The state directory in use, locked until the end.
    state: Option<(PathBuf, StateLock)>,
    monitor: Arc<Monitor>,
    pool: Arc<Pool>,
    /// Where each name is counted.
    slots: Slots,
    /// What new routers get, and the next reload compares with.
    standing: Standing,
    /// Those of the plan, those that ended by themselves, and those that a
    /// reload has removed or replaced and that have not ended.
    sources: Vec<RunningSource>,
    /// By place in the plan.
    sinks: Vec<RunningSink>,
    /// The ends of all sources that have not ended.
    endings: FuturesUnordered<Ending>,
    /// The sinks that a reload, or the end, has removed.
    draining: FuturesUnordered<Draining>,
    /// The stages of buffers on disk, which end after all drivers.
    spools: Vec<Spooling>,
    /// What drivers hold, to be written off if they hang.
    hands: Vec<Hands>,
    orders: mpsc::Receiver<Order>,
    reloader: Reloader,
    /// The readers of all sinks, and whether each went away.
    readers: watch::Sender<Vec<watch::Receiver<bool>>>,
}

/// By name, the places in the ledger, for the whole run.
#[derive(Default)]
struct Slots {
    sources: HashMap<String, usize>,
    routes: HashMap<String, usize>,
    sinks: HashMap<String, usize>,
}

impl Pipeline {
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

    /// The handle that brings other plans while it runs.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }

    /// Runs until every source has ended and every sink has drained, or the
    /// grace period after a stop is over.
    pub async fn finish(mut self) -> Report {
        let mut failures = Vec::new();
        let cut_off = self.control.cut_off();
        let hangs = tokio::select! {
            biased;
            () = self.run(&mut failures) => false,
            () = overdue(cut_off) => true,
        };
        if hangs {
            write_off(&self.ledger, &self.hands).await;
            while let Some(Some(gone)) = self.endings.next().now_or_never() {
                self.ended(&gone, &mut failures);
            }
        }
        finish_spools(std::mem::take(&mut self.spools), &mut failures).await;
        let snapshot = self.ledger.snapshot();
        Report { snapshot, failures }
    }

    async fn run(&mut self, failures: &mut Vec<String>) {
        while self
            .sources
            .iter()
            .any(|source| source.phase != Phase::Done)
        {
            tokio::select! {
                Some(gone) = self.endings.next() => self.ended(&gone, failures),
                Some(failure) = self.draining.next() => failures.extend(failure),
                Some(order) = self.orders.recv() => {
                    let changes = self.adopt(order.plan).await;
                    // Whoever ordered it may have stopped waiting.
                    let _ = order.done.send(changes);
                }
            }
        }
        self.orders.close();
        // No router is left but in the plan that new ones would get.
        self.standing = Standing::default();
        for sink in std::mem::take(&mut self.sinks) {
            self.draining
                .push(Box::pin(sink.drain(self.ledger.clone())));
        }
        while let Some(failure) = self.draining.next().await {
            failures.extend(failure);
        }
    }
}
