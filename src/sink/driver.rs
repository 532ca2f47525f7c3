//! Drives one sink: merges waiting shares into loads, retries, settles acks.
//!
//! The driver owns a share from the moment it leaves the queue until it is
//! settled, and is the only one that settles: a sink cannot claim a delivery
//! for a load other than the one it was given. Order is kept: one load at a
//! time. A panicking sink is a failed attempt.

use std::future::{Future, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::{Load, Part, Sink, SinkError, Written};
use crate::event::{Ack, Outcome, Share};
use crate::seam::Random;
use crate::telemetry::{Demand, Ledger, Sent};

/// The first pause after a failed attempt.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// No pause is longer, unless the far end asks for it.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// How long a sink may take to say whether its service can be reached.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// Where the driver takes shares from.
pub trait Feed: Send + Sync + 'static {
    /// The oldest share, waiting for one; `None` at the end.
    fn pop(&self) -> impl Future<Output = Option<(Share, Demand)>> + Send;
    /// The oldest share, if there is one now.
    fn try_pop(&self) -> Option<(Share, Demand)>;
}

/// How much one load may hold.
#[derive(Clone, Copy, Debug)]
pub struct LoadLimits {
    /// Bytes pinned by its shares; a single larger share is a load of its own.
    pub bytes_max: u64,
    /// Events.
    pub events_max: u64,
}

/// What others may see of a driver, and ask of it.
#[derive(Default)]
pub struct Status {
    in_flight: Mutex<Option<(Vec<Ack>, Demand)>>,
    failing: Mutex<Option<String>>,
}

impl Status {
    /// Why the last attempt failed, if it did and none has succeeded since.
    #[must_use]
    pub fn failing(&self) -> Option<String> {
        self.failing
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn set_failing(&self, reason: Option<String>) -> Option<String> {
        let mut failing = self.failing.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut failing, reason)
    }

    fn put(&self, acks: Vec<Ack>, demand: Demand) {
        let mut slot = self
            .in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        *slot = Some((acks, demand));
    }

    fn take(&self) -> Option<(Vec<Ack>, Demand)> {
        self.in_flight
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Settles what a sink that never returned still had in its hands.
    pub fn write_off(&self, ledger: &Ledger, sink: usize) {
        if let Some((acks, demand)) = self.take() {
            ledger.give_up(sink, demand, Outcome::Shutdown);
            acks.into_iter()
                .for_each(|ack| ack.settle(Outcome::Shutdown));
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
}

/// One sink's driver.
pub struct Driver<F> {
    /// The sink's place in the plan.
    pub index: usize,
    /// Its name, for messages.
    pub name: Arc<str>,
    /// The sink.
    pub sink: Box<dyn Sink>,
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
    /// Told as soon as the reader goes away.
    pub reader_gone: watch::Sender<bool>,
}

impl<F: Feed> Driver<F> {
    /// Delivers until the queue ends, the reader goes away or the deadline passes.
    pub async fn run(mut self) -> Ended {
        let mut load = Load::default();
        let mut acks = Vec::new();
        let mut ended = Ended::Drained;
        while let Some((share, demand)) = self.next().await {
            if ended != Ended::Drained {
                let outcome = if ended == Ended::Closed {
                    Outcome::Closed
                } else {
                    Outcome::Shutdown
                };
                self.ledger.send(self.index, demand.events);
                self.ledger.give_up(self.index, demand, outcome);
                share.ack.settle(outcome);
                continue;
            }
            let demand = self.merge(&mut load, &mut acks, share, demand);
            self.status.put(std::mem::take(&mut acks), demand);
            let outcome = self.deliver(&load).await;
            load.parts.clear();
            let Some((settled, demand)) = self.status.take() else {
                // Written off meanwhile: somebody else has settled everything.
                return Ended::CutOff;
            };
            acks = settled;
            let outcome = match outcome {
                Ok(written) => {
                    let Written {
                        bytes,
                        replaced,
                        missing,
                    } = written;
                    let sent = Sent {
                        bytes,
                        replaced,
                        missing,
                    };
                    self.ledger.deliver(self.index, demand, sent);
                    Outcome::Delivered
                }
                Err(outcome) => {
                    ended = if outcome == Outcome::Closed {
                        Ended::Closed
                    } else {
                        Ended::CutOff
                    };
                    self.ledger.give_up(self.index, demand, outcome);
                    outcome
                }
            };
            acks.drain(..).for_each(|ack| ack.settle(outcome));
        }
        if ended != Ended::Closed {
            self.close().await;
        }
        ended
    }

    /// The next share; answers checks while waiting.
    async fn next(&mut self) -> Option<(Share, Demand)> {
        loop {
            tokio::select! {
                biased;
                share = self.feed.pop() => return share,
                Some(answer) = self.checks.recv() => {
                    let result = match timeout(CHECK_TIMEOUT, self.sink.check()).await {
                        Ok(Ok(())) => Ok(()),
                        Ok(Err(error)) => Err(error.to_string()),
                        Err(_) => Err(format!("{}: no answer within {CHECK_TIMEOUT:?}", self.name)),
                    };
                    // Whoever asked may have stopped waiting.
                    let _ = answer.send(result);
                }
            }
        }
    }

    /// Fills `load` with `share` and what else waits, within the limits, and
    /// moves it from queued to sending.
    fn merge(&self, load: &mut Load, acks: &mut Vec<Ack>, share: Share, demand: Demand) -> Demand {
        let mut total = Demand::default();
        load.events = 0;
        let mut next = Some((share, demand));
        while let Some((share, demand)) = next {
            total.events += demand.events;
            total.bytes += demand.bytes;
            load.events += share.events();
            load.parts.push(Part {
                batch: share.batch,
                rows: share.rows,
            });
            acks.push(share.ack);
            let full =
                total.bytes >= self.limits.bytes_max || total.events >= self.limits.events_max;
            next = if full { None } else { self.feed.try_pop() };
        }
        self.ledger.send(self.index, total.events);
        total
    }

    /// Attempts until it works, the reader goes away or the deadline passes.
    async fn deliver(&mut self, load: &Load) -> Result<Written, Outcome> {
        let mut backoff = BACKOFF_MIN;
        loop {
            let attempt = tokio::select! {
                biased;
                attempt = guarded(self.sink.write(load)) => attempt,
                () = passed(&self.cut_off) => return Err(Outcome::Shutdown),
            };
            let (message, after) = match attempt {
                Ok(written) => {
                    if self.status.set_failing(None).is_some() {
                        tracing::info!(sink = &*self.name, "delivering again");
                    }
                    return Ok(written);
                }
                Err(SinkError::Closed) => {
                    self.reader_gone.send_replace(true);
                    return Err(Outcome::Closed);
                }
                Err(SinkError::Retry { message, after }) => (message, after),
            };
            self.ledger.retry(self.index);
            if self.status.set_failing(Some(message.clone())).as_ref() != Some(&message) {
                tracing::warn!(sink = &*self.name, "delivery failed, retrying: {message}");
            }
            let pause = after.unwrap_or_else(|| self.jitter(backoff));
            backoff = (backoff * 2).min(BACKOFF_MAX);
            tokio::select! {
                () = sleep(pause) => {}
                () = passed(&self.cut_off) => return Err(Outcome::Shutdown),
            }
        }
    }

    /// Full jitter: anything from nothing to `backoff`.
    fn jitter(&self, backoff: Duration) -> Duration {
        backoff.mul_f64(self.random.u64() as f64 / u64::MAX as f64)
    }

    async fn close(&mut self) {
        let closed = tokio::select! {
            biased;
            closed = guarded(self.sink.close()) => closed,
            () = passed(&self.cut_off) => return,
        };
        if let Err(error @ SinkError::Retry { .. }) = closed {
            tracing::error!(sink = &*self.name, "closing failed: {error}");
        }
    }
}

/// Resolves once a deadline is set and has passed.
async fn passed(cut_off: &watch::Receiver<Option<Instant>>) {
    let mut cut_off = cut_off.clone();
    let deadline = cut_off.wait_for(Option::is_some).await.map(|d| *d);
    match deadline {
        Ok(Some(deadline)) => sleep_until(deadline).await,
        // Nobody is left who could set one.
        _ => std::future::pending().await,
    }
}

/// Polls a sink's future; a panic in it is a failed attempt.
async fn guarded<T>(mut attempt: super::SinkFuture<'_, T>) -> Result<T, SinkError> {
    poll_fn(move |context| {
        let polled = catch_unwind(AssertUnwindSafe(|| attempt.as_mut().poll(context)));
        polled.unwrap_or_else(|_| {
            let message = "the sink panicked; this is a bug in tflog".to_owned();
            Poll::Ready(Err(SinkError::Retry {
                message,
                after: None,
            }))
        })
    })
    .await
}
