//! Several loads at once, for sinks of requests: each is written by a sink of
//! its own, and settled when it is done.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::delivery::Delivery;
use super::work::Work;
use super::{Driver, Ended, Feed, Limit, check, serial};
use crate::event::{Haste, Share};
use crate::sink::Sink;
use crate::telemetry::Demand;

/// A sink with the place where what is held for its load can be found.
struct Worker {
    sink: Box<dyn Sink>,
    slot: usize,
}

type InFlight<'a> = Pin<Box<dyn Future<Output = (Worker, Result<(), Ended>)> + Send + 'a>>;

/// Loads of sources that wait without standing still are sent no more often:
/// requests cost more than what little is in them, and the first after a
/// silence does not wait.
const PACE: Duration = Duration::from_millis(50);

/// The next load, while it waits to be full or for a free sink.
struct Gathering {
    work: Work,
    /// When it is sent at the latest.
    deadline: Option<Instant>,
    /// When the one before it was sent, and what it waits for has passed.
    paced: Instant,
}

impl Gathering {
    fn new() -> Gathering {
        Gathering {
            work: Work::default(),
            deadline: None,
            paced: Instant::now(),
        }
    }

    fn push<F: Feed>(&mut self, share: Share, demand: Demand, delivery: &Delivery<F>) {
        let linger = delivery.limits.linger;
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + linger);
        if share.ack.haste() == Haste::Some && !linger.is_zero() {
            self.deadline = Some(deadline.min(self.paced));
        }
        self.work.push(share, demand);
    }

    /// Takes it to be sent.
    fn take(&mut self) -> Work {
        self.deadline = None;
        self.paced = Instant::now() + PACE;
        std::mem::take(&mut self.work)
    }

    /// Puts all of it back where it came from.
    fn put_back<F: Feed>(&mut self, feed: &F) {
        self.deadline = None;
        std::mem::take(&mut self.work).put_back(feed);
    }

    fn is_full<F>(&self, delivery: &Delivery<F>) -> bool {
        delivery.limits.is_full(self.work.total)
    }

    /// Whether it is to be sent as it is.
    fn is_ready<F>(&self, delivery: &Delivery<F>, closed: bool) -> bool {
        let Some(deadline) = self.deadline else {
            return false;
        };
        let at_once = closed || self.work.urgent || delivery.cut_off.borrow().is_some();
        at_once || self.is_full(delivery) || deadline <= Instant::now()
    }
}

impl<F: Feed> Driver<F> {
    pub(super) async fn many(self, limit: Limit) -> Ended {
        let (sink, mut checks, delivery) = self.split(limit);
        let mut away = sink.away();
        let mut workers = Workers {
            free: vec![Worker { sink, slot: 0 }],
            made: 1,
        };
        let mut in_flight: FuturesUnordered<InFlight> = FuturesUnordered::new();
        let mut gathering = Gathering::new();
        let (mut closed, mut ended) = (false, Ended::Drained);
        let mut stopping = delivery.cut_off.clone();
        let mut relieved = false;
        loop {
            if relieved {
                gathering.put_back(&*delivery.feed);
                if in_flight.is_empty() {
                    break;
                }
            }
            // What is in flight shows when the far end is back; all else goes
            // to the fallback meanwhile.
            let diverts = delivery.diverts() && !in_flight.is_empty();
            if diverts {
                gathering.put_back(&*delivery.feed);
                // What was at its end has something again, which the fallback may
                // have no room for.
                closed = false;
            }
            while !relieved
                && gathering.is_ready(&delivery, closed)
                && in_flight.len() < delivery.limit.max()
                && delivery.limit.has_room()
                && let Some(worker) = workers.take()
            {
                let work = gathering.take();
                delivery.ledger.send(delivery.index, work.total.events);
                in_flight.push(Box::pin(write(&delivery, worker, work)));
            }
            let done = closed && in_flight.is_empty();
            if done && gathering.work.is_empty() {
                break;
            }
            let room = !closed && !diverts && !relieved && !gathering.is_full(&delivery);
            let ready = gathering.is_ready(&delivery, closed);
            let deadline = gathering.deadline.filter(|_| !ready);
            let wants_place =
                ready && in_flight.len() < delivery.limit.max() && !workers.free.is_empty();
            tokio::select! {
                biased;
                Some((worker, result)) = in_flight.next() => {
                    workers.free.push(worker);
                    if let Err(why) = result {
                        ended = why;
                        relieved |= why == Ended::Relieved;
                    }
                }
                () = delivery.relieved(), if !relieved => relieved = true,
                share = delivery.feed.pop(), if room => match share {
                    Some((share, demand)) if ended == Ended::Drained => {
                        gathering.push(share, demand, &delivery);
                        while !gathering.is_ready(&delivery, closed)
                            && let Some((share, demand)) = delivery.feed.try_pop()
                        {
                            gathering.push(share, demand, &delivery);
                        }
                    }
                    Some((share, demand)) => delivery.refuse(share, demand, ended),
                    None => {
                        closed = true;
                        #[cfg(test)]
                        if crate::seam::mutant::Mutant::UnflushedAtEnd.is_on() {
                            gathering = Gathering::new();
                        }
                    }
                },
                reason = changed(&mut away) => delivery.set_away(reason.as_deref()),
                () = delivery.status.turns(!diverts), if delivery.fallback.is_some() && !in_flight.is_empty() => {}
                () = until(deadline) => {}
                () = delivery.limit.room(), if wants_place => {}
                Ok(()) = stopping.changed() => {}
                Some(answer) = checks.recv(), if !workers.free.is_empty() => {
                    // Not the last sink, or a check that hangs would hold up a load.
                    if let Some(mut worker) = workers.take() {
                        let name = delivery.name.clone();
                        in_flight.push(Box::pin(async move {
                            check(&mut *worker.sink, &name, answer).await;
                            (worker, Ok(()))
                        }));
                    }
                }
                never = delivery.divert(), if !relieved => match never {},
            }
        }
        drop(in_flight);
        if ended != Ended::Closed {
            for worker in &mut workers.free {
                serial::close(&mut *worker.sink, &delivery).await;
            }
        }
        ended
    }
}

async fn write<F: Feed>(
    delivery: &Delivery<F>,
    mut worker: Worker,
    mut work: Work,
) -> (Worker, Result<(), Ended>) {
    let result = delivery
        .deliver(&mut *worker.sink, &mut work, worker.slot)
        .await;
    (worker, result)
}

/// The sinks that are free, and how many there are in all.
struct Workers {
    free: Vec<Worker>,
    made: usize,
}

impl Workers {
    /// A free sink, made if there is none; `None` where the sink knows no other
    /// of its kind and is busy.
    fn take(&mut self) -> Option<Worker> {
        if self.free.len() == 1
            && let Some(sink) = self.free[0].sink.another()
        {
            // The last free one stays: others are made after it.
            let slot = self.made;
            self.made += 1;
            return Some(Worker { sink, slot });
        }
        self.free.pop()
    }
}

/// Waits until the far end goes away, and why, or is back.
async fn changed(away: &mut Option<watch::Receiver<Option<String>>>) -> Option<String> {
    if let Some(away) = away
        && away.changed().await.is_ok()
    {
        return away.borrow_and_update().clone();
    }
    std::future::pending().await
}

async fn until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}
