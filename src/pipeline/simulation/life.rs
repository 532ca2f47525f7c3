//! One life of the process: from its start to its end, however it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{sleep, sleep_until, timeout};

use super::dice::Dice;
use super::far::fakes;
use super::faults::Fault;
use super::hand::{Drive, Hand};
use super::outside::Outside;
use super::producer::Producer;
use super::reload;
use super::topology::Topology;
use crate::event::Timestamp;
use crate::pipeline::{Pipeline, Report, Seed};
use crate::seam::{DiskFault, FaultyDisk, MemoryNetwork, Spawn, World};
use crate::source::Source;
use crate::telemetry::Snapshot;

/// When the first life begins, in simulated time.
const START: Timestamp = Timestamp(1_700_000_000_000_000_000);
/// Faults last at most so long, in milliseconds.
const FAULTS_MS_MAX: u64 = 120_000;
/// Everything must have come to an end so long after the last fault: a few
/// times the longest pause that a far end can ask for.
const DRAIN_MAX: Duration = Duration::from_hours(1);
/// How a life ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// The sources come to their end, and all is drained.
    Drained,
    /// It is told to stop.
    Stopped,
    /// It is told to stop, and told again.
    StoppedTwice,
    /// It dies between two steps.
    Crashed,
    /// So it does, and takes with it what was not synced.
    PowerLost,
}

impl Ending {
    pub(super) fn new(dice: &Dice) -> Ending {
        dice.pick(&[
            Ending::Drained,
            Ending::Drained,
            Ending::Stopped,
            Ending::Stopped,
            Ending::StoppedTwice,
            Ending::Crashed,
            Ending::PowerLost,
            Ending::PowerLost,
        ])
    }
}

/// Lives once; `faults`: whether anything goes wrong. What the ledger said at
/// the end, if the process lived to see it.
pub(super) fn live(
    outside: &Outside,
    dice: &Dice,
    ending: Ending,
    faults: bool,
) -> Option<Snapshot> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread");
    let dies = matches!(ending, Ending::Crashed | Ending::PowerLost);
    let hand = Arc::new(Hand::new(outside, dice, dies));
    let report = runtime.block_on(async {
        let faults = faults.then(|| dice.time(0, FAULTS_MS_MAX));
        let outage = ending == Ending::PowerLost && dice.chance(70);
        outside.lock().begin(faults, outage);
        outside
            .lock()
            .note(|| format!("a life that ends {ending:?}, with faults for {faults:?}"));
        run(outside, &hand, dice, (ending, faults.is_some())).await
    });
    // Whatever ends now is not heard: the process is gone.
    outside.lock().alive = false;
    hand.clear();
    drop(runtime);
    bury(outside, dice, ending, report.is_none());
    report.map(|report| {
        judge_failures(outside, &report);
        report.snapshot
    })
}

async fn run(
    outside: &Outside,
    hand: &Arc<Hand>,
    dice: &Dice,
    (ending, faults): (Ending, bool),
) -> Option<Report> {
    if faults {
        harm_disk(outside, dice, ending);
    }
    tokio::spawn(heal_disk(outside.clone()));
    tokio::spawn(Drive(hand.clone()));
    let world = World {
        spawn: Spawn::By(hand.clone()),
        disk: Arc::new(outside.lock().disk.clone()),
        network: Arc::new(MemoryNetwork::default()),
        ..World::simulated(START, dice.other().below(u64::MAX))
    };
    let topology = outside.lock().topology.clone();
    let source = |place| {
        let left = dice.between(3, 40);
        Box::new(Producer::new(outside, place, left, faults)) as Box<dyn Source>
    };
    let sources = (0..topology.sources.len()).map(source).collect();
    let config = Topology::load(&topology.text());
    let given = (sources, fakes(outside));
    let plan = topology.plan(&config, &world, given, Seed::default());
    let pipeline = match Pipeline::start(plan, &world).await {
        Ok(pipeline) => pipeline,
        Err(error) => {
            let mut state = outside.lock();
            state.note(|| format!("it does not start: {error}"));
            if !faults {
                state.wrong(format!("it does not start: {error}"));
            } else if state.disk.has_stopped() {
                state.hit(Fault::DiskStop);
            }
            return None;
        }
    };
    let _ = hand.ledger.set(pipeline.ledger.clone());
    let control = pipeline.control();
    let monitor = pipeline.monitor();
    let reloader = pipeline.reloader();
    let reloads = dice.other();
    let drained = timeout(
        Duration::from_millis(FAULTS_MS_MAX) + DRAIN_MAX,
        pipeline.finish(),
    );
    let interference = async {
        if matches!(ending, Ending::Stopped | Ending::StoppedTwice) {
            sleep(dice.time(0, FAULTS_MS_MAX)).await;
            {
                let mut state = outside.lock();
                state.hit(Fault::Stop);
                state.now.stopped = true;
                state.note(|| "stop".to_owned());
            }
            control.stop();
            if ending == Ending::StoppedTwice {
                sleep(dice.time(0, topology.grace.as_millis() as u64 + 500)).await;
                outside.lock().hit(Fault::SecondStop);
                return;
            }
        }
        // Somebody looks now and then whether it is well.
        loop {
            sleep(dice.time(1, 60_000)).await;
            monitor.ready().await;
        }
    };
    tokio::select! {
        biased;
        () = hand.dead.notified() => None,
        drained = drained => {
            if drained.is_err() {
                outside.lock().wrong("it has not come to an end".to_owned());
            }
            drained.ok()
        }
        () = interference => None,
        () = reload::now_and_then(outside, &reloads, &world, &reloader, faults) => None,
    }
}

/// What may go wrong with the disk in this life.
fn harm_disk(outside: &Outside, dice: &Dice, ending: Ending) {
    let mut state = outside.lock();
    if !state.topology.has_disk() {
        return;
    }
    let disk = state.disk.clone();
    let first = disk.operations() + 1;
    let fault = match dice.below(8) {
        0..2 => {
            for _ in 0..dice.between(1, 3) {
                let fault = dice.pick(&[DiskFault::Io, DiskFault::NoSpace]);
                disk.fault_at(first + dice.below(60), fault);
            }
            Fault::DiskFails
        }
        2 => {
            disk.set_room(Some(dice.below(16_000) as usize));
            Fault::DiskFull
        }
        3 => {
            disk.set_write_bytes_max(dice.between(1, 300) as usize);
            Fault::ShortWrites
        }
        4..6 if matches!(ending, Ending::Crashed | Ending::PowerLost) => {
            disk.fault_at(first + dice.below(40), DiskFault::Stop);
            return;
        }
        _ => return,
    };
    state.hit(fault);
    state.now.disk_harmed = true;
    state.note(|| format!("the disk: {fault:?}"));
}

/// The disk is well again when all is.
async fn heal_disk(outside: Outside) {
    let heals_at = outside.lock().heals_at;
    sleep_until(heals_at).await;
    let state = outside.lock();
    if !state.disk.has_stopped() {
        mend(&state.disk);
    }
}

fn mend(disk: &FaultyDisk) {
    disk.restart();
    disk.set_room(None);
    disk.set_write_bytes_max(usize::MAX);
}

/// What is left of a process that has ended.
fn bury(outside: &Outside, dice: &Dice, ending: Ending, died: bool) {
    let mut state = outside.lock();
    if died || state.now.stopped || state.now.closed || state.now.disk_harmed {
        state.early_ends += 1;
    }
    if died && ending == Ending::PowerLost {
        state.hit(Fault::PowerLoss);
        if dice.chance(50) {
            state.disk.crash();
        } else {
            state.disk.lose_power(dice.below(u64::MAX));
        }
    }
    mend(&state.disk);
}

/// Only those stages fail that are made to.
fn judge_failures(outside: &Outside, report: &Report) {
    let mut state = outside.lock();
    let meant = state.now.failed;
    let ours = report.failures.iter().filter(|f| f.starts_with("source "));
    if report.failures.len() as u64 != meant || ours.count() as u64 != meant {
        state.wrong(format!(
            "{meant} sources failed, and it says {:?}",
            report.failures
        ));
    }
}
