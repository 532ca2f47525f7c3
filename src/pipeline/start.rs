//! Starts the stages of a plan, sinks first, so that whoever sends has whom
//! to send to.

use std::sync::{Arc, Mutex};

use tokio::sync::{mpsc, watch};

use super::Withs;
use super::entrance::Entrance;
use super::lanes::Lanes;
use super::router::{Lane, Router, Scratch};
use super::spool::Buffers;
use super::{Control, Monitor, PlannedSink, PlannedSource, RunningSink, SourceStage, StartError};
use crate::buffer::Memory;
use crate::event::{Needs, Pool};
use crate::route::Table;
use crate::seam::{Stage, World};
use crate::sink::driver::{DeadLetters, Driver, Passage, Status};
use crate::source::{Outlet, Stop};
use crate::telemetry::{Ledger, SourceReport};

/// What all sources' routers share.
pub(super) struct Shared {
    pub(super) table: Arc<Table>,
    pub(super) lanes: Arc<[Lane]>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) pool: Arc<Pool>,
    pub(super) with: Withs,
}

pub(super) type SinksAndLanes = (Vec<RunningSink>, Vec<Lane>);

pub(super) fn start_sinks(
    planned: Vec<PlannedSink>,
    mut disks: Buffers,
    needs: &Arc<Needs>,
    ledger: &Arc<Ledger>,
    control: &Control,
    monitor: &mut Monitor,
    world: &World,
) -> Result<SinksAndLanes, StartError> {
    let (mut running, mut lanes, mut readers) = (Vec::new(), Vec::new(), Vec::new());
    let inboxes: Vec<_> = planned.iter().map(|_| Arc::<Memory>::default()).collect();
    let passage = |sink: usize| Passage {
        sink,
        queue: inboxes[sink].clone(),
    };
    for (index, sink) in planned.into_iter().enumerate() {
        let inbox = inboxes[index].clone();
        let name = sink.labels.id;
        let cut_off = control.cut_off.subscribe();
        let (buffer, spool) = disks.start(index, &name, &inbox, ledger, cut_off, world)?;
        let feeds = [sink.dead_letter.as_ref().map(|d| d.0), sink.fallback];
        let status = Arc::new(Status::default());
        let gauges = sink.sink.gauges();
        let (ask, checks) = mpsc::channel(1);
        let reader_gone = watch::Sender::new(false);
        readers.push(reader_gone.subscribe());
        let driver = Driver {
            index,
            name: name.as_str().into(),
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
        let driver = world.spawn.stage(&format!("sink-{name}"), driver.run())?;
        lanes.push(Lane {
            buffer: inbox.clone(),
            required: sink.required,
        });
        monitor.watch_sink(status.clone(), ask, gauges);
        running.push(RunningSink {
            inbox,
            buffer,
            spool,
            status,
            driver,
            name,
            feeds: feeds.into_iter().flatten().collect(),
        });
    }
    stop_when_gone(readers, control, world);
    Ok((running, lanes))
}

pub(super) fn start_source(
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
        clock: world.clock.clone(),
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

/// Nobody is left to read for when the readers of all sinks went away.
fn stop_when_gone(readers: Vec<watch::Receiver<bool>>, control: &Control, world: &World) {
    let control = control.clone();
    world.spawn.task(async move {
        if all_gone(readers).await {
            control.stop_reading();
        }
    });
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
