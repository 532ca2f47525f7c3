//! Runs the stages of a pipeline one step at a time, in an order by chance,
//! looks at the ledger after each step, and ends it all between two steps if
//! that is to be.
//!
//! Which stage goes on depends on the seed alone: not on the order in which
//! they were woken, which tokio's channels choose as they like.

use std::collections::BTreeSet;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Poll, Wake, Waker};

use tokio::sync::Notify;

use super::dice::Dice;
use super::faults::Fault;
use super::outside::Outside;
use crate::seam::Spawner;
use crate::telemetry::Ledger;

/// Steps that one life may take: some hundred times the usual number.
const STEPS_MAX: u64 = 1_000_000;
/// What a sink's buffer may hold beyond its quota: one share, which is larger
/// than none of these.
const SHARE_BYTES_MAX: u64 = 16 * 1024;
/// The same, where a share may be of all that a program has written since, in a
/// chunk that was made to be read into.
const LOG_BYTES_MAX: u64 = 320 * 1024;

type Stage = Pin<Box<dyn Future<Output = ()> + Send>>;

pub(super) struct Hand {
    outside: Outside,
    state: Mutex<State>,
    /// The stages; none in the place of one that has ended or is at its step.
    stages: Mutex<Vec<Option<Stage>>>,
    ready: Arc<Ready>,
    /// What to look at; there once the pipeline has started.
    pub(super) ledger: OnceLock<Arc<Ledger>>,
    /// By sink: bytes that may be queued.
    bounds: Vec<u64>,
    pub(super) dead: Notify,
}

struct State {
    dice: Dice,
    steps: u64,
    dies_at: Option<u64>,
    /// A stage that goes on when no other can, for the most part.
    lazy: Option<usize>,
}

/// The stages that can go on, and who is to be woken then.
#[derive(Default)]
struct Ready {
    stages: Mutex<BTreeSet<usize>>,
    driver: Mutex<Option<Waker>>,
}

struct StageWaker {
    at: usize,
    ready: Arc<Ready>,
}

impl Wake for StageWaker {
    fn wake(self: Arc<Self>) {
        self.ready.insert(self.at);
    }
}

impl Ready {
    fn insert(&self, at: usize) {
        lock(&self.stages).insert(at);
        if let Some(driver) = &*lock(&self.driver) {
            driver.wake_by_ref();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic is a fault here like any other.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl fmt::Debug for Hand {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hand")
    }
}

impl Spawner for Hand {
    fn spawn(&self, run: Stage) {
        let mut stages = lock(&self.stages);
        stages.push(Some(run));
        self.ready.insert(stages.len() - 1);
    }
}

impl Hand {
    pub(super) fn new(outside: &Outside, dice: &Dice, dies: bool) -> Hand {
        let topology = outside.lock().topology.clone();
        let bounds = topology.sinks.iter();
        let share_bytes_max = if topology.has_tails() {
            LOG_BYTES_MAX
        } else {
            SHARE_BYTES_MAX
        };
        let stages = (topology.sinks.len() + 2 * topology.sources.len()) as u64;
        Hand {
            outside: outside.clone(),
            state: Mutex::new(State {
                dies_at: dies.then(|| dice.between(1, dice.pick(&[50, 200, 500]))),
                lazy: dice.chance(50).then(|| dice.below(stages) as usize),
                dice: dice.other(),
                steps: 0,
            }),
            stages: Mutex::default(),
            ready: Arc::default(),
            ledger: OnceLock::new(),
            bounds: bounds
                .map(|s| s.memory.max(share_bytes_max) * (1 + u64::from(s.disk.is_some())))
                .collect(),
            dead: Notify::new(),
        }
    }

    /// Lets go of all stages: they hold the hand that holds them.
    pub(super) fn clear(&self) {
        let stages = std::mem::take(&mut *lock(&self.stages));
        drop(stages);
    }

    pub(super) fn dies(&self) {
        self.outside.lock().alive = false;
        self.dead.notify_one();
    }

    /// The stage that goes on now; none if none can.
    fn next(&self) -> Option<usize> {
        if !self.outside.lock().alive {
            return None;
        }
        let ready = lock(&self.ready.stages);
        let mut can: Vec<usize> = ready.iter().copied().collect();
        drop(ready);
        if can.is_empty() {
            return None;
        }
        let mut state = lock(&self.state);
        state.steps += 1;
        let steps = state.steps;
        if steps > STEPS_MAX || state.dies_at.is_some_and(|at| at <= steps) {
            let mut outside = self.outside.lock();
            if steps > STEPS_MAX {
                outside.wrong("it goes round and round".to_owned());
            } else {
                outside.hit(Fault::Crash);
                outside.note(|| format!("dies after {steps} steps"));
            }
            drop(outside);
            self.dies();
            return None;
        }
        if can.len() > 1 && !state.dice.chance(5) {
            can.retain(|at| Some(*at) != state.lazy);
        }
        Some(state.dice.pick(&can))
    }

    /// One step of one stage; false if none could go on.
    fn step(&self) -> bool {
        let Some(at) = self.next() else {
            return false;
        };
        lock(&self.ready.stages).remove(&at);
        let Some(mut stage) = lock(&self.stages)[at].take() else {
            return true;
        };
        let ready = self.ready.clone();
        let waker = Waker::from(Arc::new(StageWaker { at, ready }));
        let mut context = Context::from_waker(&waker);
        let polled = catch_unwind(AssertUnwindSafe(|| stage.as_mut().poll(&mut context)));
        if matches!(polled, Ok(Poll::Pending)) {
            lock(&self.stages)[at] = Some(stage);
        }
        let disk = self.outside.lock().disk.clone();
        if disk.has_stopped() {
            let mut outside = self.outside.lock();
            outside.hit(Fault::DiskStop);
            outside.note(|| "dies at its disk".to_owned());
            drop(outside);
            self.dies();
            return false;
        }
        self.look();
        true
    }

    fn look(&self) {
        let Some(ledger) = self.ledger.get() else {
            return;
        };
        let snapshot = ledger.snapshot();
        let broken = snapshot.violations();
        let mut state = self.outside.lock();
        if let Some(what) = broken.into_iter().next() {
            state.wrong(format!("the ledger does not agree with itself: {what}"));
        }
        for (place, (sink, bound)) in snapshot.sinks.iter().zip(&self.bounds).enumerate() {
            let records = sink.disk.map_or(0, |disk| disk.corrupt_records);
            // What a failed sync and a loss of power cost is no rot.
            if records > state.rots[place] && !state.may_be_gone {
                state.wrong(format!("sink {place} calls {records} records corrupt"));
            }
            state.now.corrupt[place] = sink.dropped.corrupt;
            if sink.queued_bytes > *bound {
                let bytes = sink.queued_bytes;
                state.wrong(format!(
                    "sink {place} holds {bytes} bytes, not {bound} at most"
                ));
            }
        }
    }
}

/// Drives the stages: a step, then others.
pub(super) struct Drive(pub(super) Arc<Hand>);

impl Future for Drive {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        *lock(&self.0.ready.driver) = Some(context.waker().clone());
        if self.0.step() {
            context.waker().wake_by_ref();
        }
        Poll::Pending
    }
}
