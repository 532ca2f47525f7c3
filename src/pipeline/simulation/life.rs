//! One life of the process: from its start to its end, however it ends.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::dice::Dice;
use super::disk;
use super::far::fakes;
use super::faults::Fault;
use super::hand::{Drive, Hand};
use super::outside::Outside;
use super::producer::Producer;
use super::programs::{self, Program};
use super::reload;
use super::topology::Topology;
use crate::pipeline::{Pipeline, Report, Seed};
use crate::seam::{MemoryNetwork, Spawn, World};
use crate::source::Source;
use crate::telemetry::Snapshot;

/// Faults last at most so long, in milliseconds.
const FAULTS_MS_MAX: u64 = 120_000;
/// Everything must have come to an end so long after the last fault: a few
/// times the longest pause that a far end can ask for.
const DRAIN_MAX: Duration = Duration::from_hours(1);
/// How often it is seen whether all that was written to logs has come, and how often
/// at most: beyond, it is missing.
const LOGS_LOOK: Duration = Duration::from_secs(2);
const LOGS_LOOKS_MAX: u64 = 600;
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
    programs::meanwhile(outside, dice);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime of one thread");
    let dies = matches!(ending, Ending::Crashed | Ending::PowerLost);
    let hand = Arc::new(Hand::new(outside, dice, dies));
    let (report, ended) = runtime.block_on(async {
        let faults = faults.then(|| dice.time(0, FAULTS_MS_MAX));
        let outage = match ending {
            Ending::Drained => false,
            Ending::PowerLost => dice.chance(70),
            _ => dice.chance(30),
        };
        outside.lock().begin(faults, outage);
        outside
            .lock()
            .note(|| format!("a life that ends {ending:?}, with faults for {faults:?}"));
        let report = run(outside, &hand, dice, (ending, faults.is_some())).await;
        (report, Instant::now())
    });
    // Whatever ends now is not heard: the process is gone.
    {
        let mut state = outside.lock();
        state.alive = false;
        state.machine.end(ended);
    }
    hand.clear();
    drop(runtime);
    let waits = report.as_ref().is_some_and(|report| {
        let mut sinks = report.snapshot.sinks.iter();
        sinks.any(|sink| sink.queued_disk > 0)
    });
    outside.lock().now.leaves_records = waits;
    disk::bury(outside, dice, ending, (report.is_none(), ended));
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
        disk::harm(outside, dice, ending);
    }
    tokio::spawn(disk::heal(outside.clone()));
    tokio::spawn(Drive(hand.clone()));
    let (disk, files) = {
        let state = outside.lock();
        (state.disk.clone(), state.machine.clone())
    };
    let time = files.begin();
    let world = World {
        spawn: Spawn::By(hand.clone()),
        few_processors: dice.other().chance(50),
        disk: Arc::new(disk),
        network: Arc::new(MemoryNetwork::default()),
        files: Arc::new(files),
        ..World::simulated(time, dice.other().below(u64::MAX))
    };
    let topology = outside.lock().topology.clone();
    let source = |place| {
        let left = dice.between(3, 40);
        Box::new(Producer::new(outside, place, left, faults)) as Box<dyn Source>
    };
    let given = (0..topology.sources.len()).filter(|&source| !topology.tails(source));
    let sources = given.map(source).collect();
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
    {
        // With a disk that has stopped it is a process that died in its start.
        let mut state = outside.lock();
        state.now.started = !state.disk.has_stopped();
    }
    let control = pipeline.control();
    let monitor = pipeline.monitor();
    let reloader = pipeline.reloader();
    let reloads = dice.other();
    let drained = timeout(
        Duration::from_millis(FAULTS_MS_MAX) + DRAIN_MAX,
        pipeline.finish(),
    );
    for source in (0..topology.sources.len()).filter(|&source| topology.tails(source)) {
        let events = dice.between(3, 30);
        let dice = dice.other();
        tokio::spawn(programs::run(outside.clone(), source, dice, events));
    }
    let interference = async {
        if ending == Ending::Drained && topology.has_tails() {
            drain_logs(outside, hand, dice).await;
            control.stop();
            return std::future::pending().await;
        }
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

/// Waits until what programs and other sources had to say has come: what follows
/// files does not end by itself.
async fn drain_logs(outside: &Outside, hand: &Hand, dice: &Dice) {
    let heals_at = outside.lock().heals_at;
    sleep_until(heals_at).await;
    for _ in 0..LOGS_LOOKS_MAX {
        sleep(LOGS_LOOK).await;
        let ledger = hand.ledger.get().map(|ledger| ledger.snapshot());
        let open = ledger.is_some_and(|now| now.sources.iter().any(|s| s.open > 0));
        let is_over = {
            let state = outside.lock();
            let written = state.programs.iter().flatten().all(Program::is_done);
            written && state.now.producing == 0 && state.logs_have_come()
        };
        if is_over && !open {
            return quiet(outside, dice).await;
        }
    }
    outside.lock().note(|| "something has not come".to_owned());
}

/// What comes again comes after a while.
async fn quiet(outside: &Outside, dice: &Dice) {
    outside
        .lock()
        .note(|| "all that was written has come".to_owned());
    sleep(dice.time(0, 20_000)).await;
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
