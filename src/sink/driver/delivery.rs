//! What becomes of one load: attempts, pauses, halving, dead letters, and the
//! settlement of every copy.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::dead::{DeadLetters, Passage, Refused};
use super::limit::Limit;
use super::work::{Held, Work, shifted};
use super::{Ended, Feed, LoadLimits, Status};
use crate::event::{Batch, Outcome, Rows, Share};
use crate::seam::Random;
#[cfg(test)]
use crate::seam::mutant::Mutant;
use crate::sink::{Partial, Sink, SinkError, SinkFuture, Written};
use crate::telemetry::{Demand, Ledger, Passing, Sent};

/// The first pause after a failed attempt.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// No pause is longer, unless the far end asks for it.
const BACKOFF_MAX: Duration = Duration::from_secs(10);
/// The far end cannot ask for a longer pause than this: what it asks for by
/// mistake (a date of next year) is survived.
const PAUSE_MAX: Duration = Duration::from_mins(5);
/// A load that has failed so often while others were delivered has an event in
/// it that the far end cannot take.
const POISON_FAILURES: u32 = 20;

/// What all loads of one sink share.
pub(super) struct Delivery<F> {
    pub(super) index: usize,
    pub(super) name: Arc<str>,
    pub(super) required: bool,
    pub(super) feed: Arc<F>,
    pub(super) ledger: Arc<Ledger>,
    pub(super) status: Arc<Status>,
    pub(super) limits: LoadLimits,
    pub(super) random: Random,
    pub(super) cut_off: watch::Receiver<Option<Instant>>,
    pub(super) relieved: watch::Receiver<Option<Instant>>,
    pub(super) reader_gone: watch::Sender<bool>,
    pub(super) dead_letters: Option<DeadLetters<F>>,
    pub(super) fallback: Option<Passage<F>>,
    pub(super) limit: Limit,
}

/// What an attempt says of the load.
enum Next {
    /// All of it is settled.
    Settled,
    /// Try what is left again, after a pause.
    Again(Duration),
    /// It was divided: the other part comes later, this one after a pause.
    Divided(Work, Duration),
    /// Its one event was refused, for the reason.
    Refused(String),
}

impl<F: Feed> Delivery<F> {
    /// Fills `work` with `share` and what else waits, within the limits, and
    /// moves it from queued to sending.
    pub(super) fn merge(&self, work: &mut Work, share: Share, demand: Demand) {
        let mut next = Some((share, demand));
        while let Some((share, demand)) = next {
            work.push(share, demand);
            let full = if work.load.wait {
                self.limits.for_sync().is_full(work.total)
            } else {
                self.limits.is_full(work.total)
            };
            next = if full { None } else { self.feed.try_pop() };
        }
        self.ledger.send(self.index, work.total.events);
    }

    /// Gives up a share that is still queued.
    pub(super) fn refuse(&self, share: Share, demand: Demand, ended: Ended) {
        self.ledger.send(self.index, demand.events);
        let ack = share.ack;
        Held { ack, demand }.give_up(&self.ledger, self.index, ended.outcome());
    }

    /// Delivers a load: all its events are settled when this returns. `slot` is
    /// where what is held for it can be found meanwhile.
    pub(super) async fn deliver(
        &self,
        sink: &mut dyn Sink,
        work: &mut Work,
        slot: usize,
    ) -> Result<(), Ended> {
        let mut others = Vec::new();
        let result = self.deliver_all(sink, work, &mut others, slot).await;
        if let Err(ended) = result {
            others.push(std::mem::take(work));
            for left in others {
                if ended == Ended::Relieved {
                    self.ledger.unsend(self.index, left.total.events);
                    left.put_back(&*self.feed);
                } else {
                    let outcome = ended.outcome();
                    let held = left.held.into_iter();
                    held.for_each(|h| h.give_up(&self.ledger, self.index, outcome));
                }
            }
        }
        result
    }

    /// `others` are the pieces that `work` was halved into, the next one last.
    async fn deliver_all(
        &self,
        sink: &mut dyn Sink,
        work: &mut Work,
        others: &mut Vec<Work>,
        slot: usize,
    ) -> Result<(), Ended> {
        loop {
            match self.attempt(sink, work, slot).await? {
                Next::Settled => {}
                Next::Again(pause) => {
                    self.pause(pause).await?;
                    continue;
                }
                Next::Divided(other, pause) => {
                    others.push(other);
                    self.pause(pause).await?;
                    continue;
                }
                Next::Refused(reason) => {
                    let reasons = [reason];
                    if self.dead_letters.is_some() || !self.required {
                        self.dead_letter(work, &reasons).await?;
                    } else {
                        // Nowhere to put it: held, and the others go first.
                        let [reason] = reasons;
                        let pause = self.denied(work, &reason);
                        if others.is_empty() {
                            self.pause(pause).await?;
                        } else {
                            others.insert(0, std::mem::take(work));
                        }
                    }
                }
            }
            if work.is_empty() {
                match others.pop() {
                    Some(next) => *work = next,
                    None => return Ok(()),
                }
            }
        }
    }

    /// One attempt, and what follows from how it went.
    async fn attempt(
        &self,
        sink: &mut dyn Sink,
        work: &mut Work,
        slot: usize,
    ) -> Result<Next, Ended> {
        let permit = tokio::select! {
            biased;
            () = self.relieved() => return Err(Ended::Relieved),
            permit = self.limit.acquire() => permit,
            () = self.passed() => return Err(Ended::CutOff),
        };
        if let Err(held) = self.status.put(slot, std::mem::take(&mut work.held)) {
            work.held = held;
            return Err(Ended::CutOff);
        }
        let attempt = tokio::select! {
            biased;
            attempt = guarded(sink.write(&work.load)) => Ok(attempt),
            () = self.passed() => Err(Ended::CutOff),
            () = self.relief_due() => Err(Ended::Relieved),
        };
        // Written off meanwhile: somebody else has settled everything.
        work.held = self.status.take(slot).ok_or(Ended::CutOff)?;
        drop(permit);
        Ok(match attempt? {
            Ok(written) => {
                self.delivered(work, written);
                Next::Settled
            }
            Err(SinkError::Closed) => {
                self.reader_gone.send_replace(true);
                return Err(Ended::Closed);
            }
            Err(SinkError::Retry { message, after }) => {
                let pause = self.failed(work, &message, after);
                #[cfg(test)]
                if Mutant::GivesUp.is_on() && work.failures > 4 {
                    self.delivered(work, Written::default());
                    return Ok(Next::Settled);
                }
                if !self.is_poisoned(work) {
                    Next::Again(pause)
                } else if work.load.events > 1 {
                    Next::Divided(work.halve(), Duration::ZERO)
                } else if self.dead_letters.is_some() {
                    let others = "failed every time while others were delivered";
                    Next::Refused(format!("{others}: {}", self.reason()))
                } else {
                    Next::Again(pause)
                }
            }
            Err(SinkError::Denied { message }) => Next::Again(self.denied(work, &message)),
            Err(SinkError::Reject { message }) => {
                work.failures += 1;
                if work.load.events > 1 {
                    self.ledger.retry(self.index);
                    Next::Divided(work.halve(), Duration::ZERO)
                } else {
                    Next::Refused(message)
                }
            }
            Err(SinkError::Partial(partial)) => self.partial(work, *partial).await?,
        })
    }

    /// Settles all of `work` as delivered and empties it.
    fn delivered(&self, work: &mut Work, written: Written) {
        let Written {
            bytes,
            replaced,
            missing,
            already_present,
        } = written;
        let sent = Sent {
            bytes,
            replaced,
            missing,
            already_present,
        };
        self.ledger.deliver(self.index, work.total, sent);
        let held = work.held.drain(..);
        held.for_each(|held| held.ack.settle(Outcome::Delivered));
        work.clear();
        self.status.count_load();
        self.limit.succeeded();
        self.status.set_concurrency(self.limit.now());
        self.recovered();
    }

    fn recovered(&self) {
        if self.status.set_failing(None).is_some() {
            tracing::info!(sink = &*self.name, "delivering again");
        }
    }

    /// Hears why the far end is away while writes wait for it, or that it is back.
    pub(super) fn set_away(&self, reason: Option<&str>) {
        self.status.set_down(reason.is_some());
        match reason {
            Some(reason) => {
                self.ledger.retry(self.index);
                self.warn(reason);
            }
            None => self.recovered(),
        }
    }

    /// Says why it fails, unless that was said last.
    fn warn(&self, message: &str) {
        if self.status.set_failing(Some(message.to_owned())).as_deref() != Some(message) {
            tracing::warn!(sink = &*self.name, "delivery failed, retrying: {message}");
        }
    }

    /// Settles what a partial result settles; what is left stays in `work`.
    async fn partial(&self, work: &mut Work, partial: Partial) -> Result<Next, Ended> {
        let Partial {
            written,
            rejected,
            retry,
            message,
            after,
        } = partial;
        let (items, reasons): (Vec<u32>, Vec<String>) = rejected.into_iter().unzip();
        let mut refused = work.take(&items);
        #[cfg(test)]
        let retry = [retry, Vec::new()][usize::from(Mutant::PartialTaken.is_on())].clone();
        let again = work.take(&shifted(&retry, &items));
        let mut delivered = std::mem::replace(work, again);
        // A reply that took nothing is no sign that the far end is well.
        if !delivered.is_empty() {
            self.delivered(&mut delivered, written);
        }
        if !refused.is_empty() {
            refused.failures += 1;
            if self.dead_letters.is_some() || !self.required {
                self.dead_letter(&mut refused, &reasons).await?;
            } else {
                let reason = reasons.first().map_or("", String::as_str);
                let pause = self.denied(&mut refused, reason);
                if work.is_empty() {
                    *work = refused;
                    return Ok(Next::Again(pause));
                }
                let pause = self.failed(work, &message, after);
                return Ok(Next::Divided(refused, pause));
            }
        }
        if work.is_empty() {
            return Ok(Next::Settled);
        }
        Ok(Next::Again(self.failed(work, &message, after)))
    }

    /// Notes a failure that may pass: how long to wait.
    fn failed(&self, work: &mut Work, message: &str, after: Option<Duration>) -> Duration {
        if work.failures == 0 {
            work.others_before = self.status.delivered_loads();
        }
        work.failures += 1;
        self.limit.failed();
        self.status.set_concurrency(self.limit.now());
        self.status.count_failure();
        self.ledger.retry(self.index);
        self.warn(message);
        let backoff = BACKOFF_MIN.saturating_mul(1 << work.failures.min(16));
        let backoff = (backoff / 2).min(BACKOFF_MAX);
        #[cfg(test)]
        let after = after.filter(|_| !Mutant::PauseIgnored.is_on());
        after.map_or_else(|| self.jitter(backoff), |after| after.min(PAUSE_MAX))
    }

    /// Notes a failure that only people can mend: how long to wait.
    fn denied(&self, work: &mut Work, message: &str) -> Duration {
        work.failures += 1;
        self.status.count_failure();
        self.ledger.retry(self.index);
        if self.status.set_failing(Some(message.to_owned())).as_deref() != Some(message) {
            tracing::error!(
                sink = &*self.name,
                "events are held until this is mended: {message}"
            );
        }
        BACKOFF_MAX / 2 + self.jitter(BACKOFF_MAX / 2)
    }

    fn reason(&self) -> String {
        self.status.failing().unwrap_or_default()
    }

    fn is_poisoned(&self, work: &Work) -> bool {
        work.failures >= POISON_FAILURES && self.status.delivered_loads() > work.others_before
    }

    /// Full jitter: anything from nothing to `backoff`.
    fn jitter(&self, backoff: Duration) -> Duration {
        backoff.mul_f64(self.random.u64() as f64 / u64::MAX as f64)
    }

    /// Hands refused events to the dead-letter sink and empties `work`; at the
    /// deadline the rest is given up. A best-effort sink without one drops them.
    async fn dead_letter(&self, work: &mut Work, reasons: &[String]) -> Result<(), Ended> {
        let first = reasons.first().map_or("", String::as_str);
        tracing::warn!(
            sink = &*self.name,
            events = work.load.events,
            "refused: {first}"
        );
        let attempts = work.failures.max(1);
        let mut reasons = reasons;
        while !work.held.is_empty() {
            let (here, rest) = reasons.split_at(work.held[0].demand.events as usize);
            reasons = rest;
            let (part, held) = (work.load.parts.remove(0), work.held.remove(0));
            let Some(dead_letters) = &self.dead_letters else {
                self.ledger.reject(self.index, held.demand);
                held.ack.settle(Outcome::Delivered);
                continue;
            };
            let refused = Refused {
                part: &part,
                reasons: here,
                attempts,
            };
            let records = dead_letters.records(&self.name, &refused);
            let demand = Demand {
                events: records.rows() as u64,
                bytes: records.pinned_bytes() as u64,
            };
            let held = Held {
                ack: held.ack.dead_letter(),
                ..held
            };
            let passed = self.pass_on(&dead_letters.to, held, records, demand);
            if let Err(ended) = passed.await {
                let rest = work.held.drain(..);
                rest.for_each(|h| h.give_up(&self.ledger, self.index, ended.outcome()));
                return Err(ended);
            }
        }
        work.clear();
        Ok(())
    }

    /// Puts the records of refused events in the dead-letter sink's queue,
    /// waiting for room.
    async fn pass_on(
        &self,
        to: &Passage<F>,
        held: Held,
        records: Batch,
        demand: Demand,
    ) -> Result<(), Ended> {
        let (freed, reason) = (held.demand, Passing::DeadLetter);
        loop {
            if self
                .ledger
                .try_pass_on(self.index, freed, to.sink, demand, reason)
            {
                break;
            }
            tokio::select! {
                biased;
                () = self.ledger.room_in(to.sink) => {}
                () = self.passed() => {
                    held.give_up(&self.ledger, self.index, Outcome::Shutdown);
                    return Err(Ended::CutOff);
                }
            }
        }
        let share = Share {
            batch: Arc::new(records),
            rows: Rows::All,
            ack: held.ack,
        };
        to.queue.push(share, demand);
        Ok(())
    }

    /// Whether the fallback takes what waits.
    pub(super) fn diverts(&self) -> bool {
        self.fallback.is_some() && self.status.is_down()
    }

    /// While the sink is down and has a fallback, moves what waits there. Never
    /// returns; nothing is lost when it is dropped.
    pub(super) async fn divert(&self) -> std::convert::Infallible {
        let Some(to) = &self.fallback else {
            return std::future::pending().await;
        };
        loop {
            self.status.turns(true).await;
            let Some((share, demand)) = self.feed.pop().await else {
                return std::future::pending().await;
            };
            // No await while a share is in hand.
            let diverted = self.status.is_down()
                && self
                    .ledger
                    .try_pass_on(self.index, demand, to.sink, demand, Passing::Fallback);
            if diverted {
                to.queue.push(share, demand);
            } else {
                self.feed.put_back(share, demand);
                self.ledger.room_in(to.sink).await;
            }
        }
    }

    /// Waits, but not beyond the deadline.
    async fn pause(&self, pause: Duration) -> Result<(), Ended> {
        if pause.is_zero() {
            return Ok(());
        }
        let end = Instant::now() + pause;
        tokio::select! {
            biased;
            () = sleep_until(end) => Ok(()),
            () = self.relieved() => Err(Ended::Relieved),
            () = self.passed() => Err(Ended::CutOff),
        }
    }
}

/// Polls a sink's future; a panic in it is a failed attempt.
pub(super) async fn guarded<T>(mut attempt: SinkFuture<'_, T>) -> Result<T, SinkError> {
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
