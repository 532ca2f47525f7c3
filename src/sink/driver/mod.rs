//! Drives one sink: merges waiting shares into loads, retries, settles acks.
//!
//! The driver owns a share from the moment it leaves the queue until it is
//! settled, and is the only one that settles: a sink cannot claim a delivery
//! for a load other than the one it was given. A panicking sink is a failed
//! attempt. [`serial`] keeps order, one load at a time; [`many`] has several
//! in flight; what becomes of one load is in [`delivery`] for both.

mod dead;
mod delivery;
mod ends;
mod limit;
mod many;
mod serial;
mod status;
mod work;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, timeout};

pub use self::dead::{DeadLetters, Passage};
use self::delivery::Delivery;
use self::limit::Limit;
pub use self::status::Status;
use super::{Concurrency, Sink};
use crate::event::{Outcome, Share};
use crate::seam::Random;
use crate::telemetry::{Demand, Ledger};

/// How long a sink may take to say whether its service can be reached.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Loads that one sync may be for: what the default buffer of a file holds.
const SYNC_LOADS: u64 = 4;

/// The queue in front of a sink.
pub trait Feed: Send + Sync + 'static {
    /// The oldest share, waiting for one; `None` at the end.
    fn pop(&self) -> impl Future<Output = Option<(Share, Demand)>> + Send;
    /// The oldest share, if there is one now.
    fn try_pop(&self) -> Option<(Share, Demand)>;
    /// Appends a share for which the ledger has room.
    fn push(&self, share: Share, demand: Demand);
    /// Puts a share back that was just popped.
    fn put_back(&self, share: Share, demand: Demand);
}

/// How much one load may hold.
#[derive(Clone, Copy, Debug)]
pub struct LoadLimits {
    /// Bytes pinned by its shares; a single larger share is a load of its own.
    pub bytes_max: u64,
    /// Events.
    pub events_max: u64,
    /// How long a load that is not full may wait for more. Not where a source
    /// waits for the confirmation, and not while stopping.
    pub linger: Duration,
}

impl LoadLimits {
    fn is_full(&self, load: Demand) -> bool {
        load.bytes >= self.bytes_max || load.events >= self.events_max
    }

    /// What a load of a sink that keeps order may hold when a source waits for
    /// it: a sync takes as long for much as for little, so it is for more.
    fn for_sync(&self) -> LoadLimits {
        LoadLimits {
            bytes_max: self.bytes_max.saturating_mul(SYNC_LOADS),
            events_max: self.events_max.saturating_mul(SYNC_LOADS),
            ..*self
        }
    }
}

/// Asks the sink, between loads, whether its service can be reached.
pub type Checks = mpsc::Receiver<oneshot::Sender<Result<(), String>>>;

/// How a driver ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// Everything was delivered.
    Drained,
    /// The reader went away.
    Closed,
    /// The deadline passed with copies left.
    CutOff,
    /// A successor goes on: what was left is in the queue again.
    Relieved,
}

impl Ended {
    /// How what is left of the queue ends.
    fn outcome(self) -> Outcome {
        match self {
            Ended::Closed => Outcome::Closed,
            Ended::Drained | Ended::CutOff | Ended::Relieved => Outcome::Shutdown,
        }
    }
}

/// One sink's driver.
pub struct Driver<F> {
    /// The sink's place in the plan.
    pub index: usize,
    /// Its name, for messages.
    pub name: Arc<str>,
    /// The sink.
    pub sink: Box<dyn Sink>,
    /// Whether an event is accepted only once this sink has its copy.
    pub required: bool,
    /// Its queue.
    pub feed: Arc<F>,
    /// Where copies are counted.
    pub ledger: Arc<Ledger>,
    /// What others see.
    pub status: Arc<Status>,
    /// Requests for a check.
    pub checks: Checks,
    /// How much to merge.
    pub limits: LoadLimits,
    /// For jitter.
    pub random: Random,
    /// When to give up; set once.
    pub cut_off: watch::Receiver<Option<Instant>>,
    /// Set once a successor is to take the queue over: nothing more is taken
    /// from it, and a write in progress may take until then.
    pub relieved: watch::Receiver<Option<Instant>>,
    /// Told as soon as the reader goes away.
    pub reader_gone: watch::Sender<bool>,
    /// Where refused events go; none: they are held.
    pub dead_letters: Option<DeadLetters<F>>,
    /// Where the queue goes while the sink is down.
    pub fallback: Option<Passage<F>>,
}

impl<F: Feed> Driver<F> {
    /// Delivers until the queue ends, the reader goes away or the deadline passes.
    pub async fn run(self) -> Ended {
        let limit = match self.sink.concurrency() {
            Concurrency::One => return self.serial().await,
            Concurrency::Fixed(max) => Limit::fixed(max),
            Concurrency::Adaptive(max) => Limit::adaptive(max),
        };
        self.many(limit).await
    }

    fn split(self, limit: Limit) -> (Box<dyn Sink>, Checks, Delivery<F>) {
        self.status.set_concurrency(limit.now());
        let delivery = Delivery {
            index: self.index,
            name: self.name,
            required: self.required,
            feed: self.feed,
            ledger: self.ledger,
            status: self.status,
            limits: self.limits,
            random: self.random,
            cut_off: self.cut_off,
            relieved: self.relieved,
            reader_gone: self.reader_gone,
            dead_letters: self.dead_letters,
            fallback: self.fallback,
            limit,
        };
        (self.sink, self.checks, delivery)
    }
}

/// Asks a sink whether its service can be reached, and tells who wants to know.
async fn check(sink: &mut dyn Sink, name: &str, answer: oneshot::Sender<Result<(), String>>) {
    let result = match timeout(CHECK_TIMEOUT, sink.check()).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err(format!("{name}: no answer within {CHECK_TIMEOUT:?}")),
    };
    // Whoever asked may have stopped waiting.
    let _ = answer.send(result);
}
