//! Sources: some wait for the end of each batch and send again what came back,
//! others only feel backpressure.

use std::panic::resume_unwind;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::faults::Fault;
use super::outside::{Outside, Sent, State};
use crate::event::{Chunk, Settled, Stream, Tally};
use crate::source::{Outlet, Source, SourceError, SourceFuture, Stop};

/// Events of one batch at most.
const BATCH_EVENTS_MAX: u64 = 8;
/// Batches that a source waits for at once, at most: more than an entrance, a
/// router and a small buffer hold together, so that sending blocks.
const WINDOW_MAX: u64 = 16;

/// One source, in one life of the process.
pub(super) struct Producer {
    outside: Outside,
    source: usize,
    waits: bool,
    /// New events that are still to be sent.
    left: u64,
    /// After so many batches it goes wrong.
    fails_after: Option<(u64, Fault)>,
    window: usize,
    position: u64,
    changed: Arc<Notify>,
    batches: u64,
    /// Whether it asks before it reads, as a server does.
    asks: bool,
    /// What it waits for, and until when.
    waiting: Vec<(usize, Option<Instant>)>,
}

impl Producer {
    /// A source with so many new events; `may_fail`: it may come to a bad end.
    pub(super) fn new(outside: &Outside, source: usize, left: u64, may_fail: bool) -> Producer {
        let state = outside.lock();
        let dice = &state.dice;
        let fault = dice.pick(&[Fault::SourceFails, Fault::SourcePanics]);
        let fails = may_fail && dice.chance(8);
        Producer {
            outside: outside.clone(),
            source,
            waits: state.topology.waits(source),
            left,
            fails_after: fails.then(|| (dice.below(6), fault)),
            window: dice.between(1, WINDOW_MAX) as usize,
            position: 0,
            changed: Arc::default(),
            batches: 0,
            asks: state.topology.waits(source) && dice.chance(30),
            waiting: Vec::new(),
        }
    }

    async fn produce(&mut self, outlet: &Outlet, stop: &Stop) -> Result<(), SourceError> {
        let streams: Vec<_> = (0..3).map(|_| outlet.stream(Vec::new())).collect();
        let goes_on = self.outside.lock().dice.chance(50);
        loop {
            let stopping = stop.deadline();
            // A listener closes; a pipe may be read on until the deadline.
            if stopping.is_some_and(|end| self.waits || !goes_on || end <= Instant::now()) {
                break;
            }
            self.come_to_a_bad_end()?;
            if self.waiting.len() >= self.window {
                self.wait_for_some(stop).await;
                continue;
            }
            if self.asks && !outlet.admits() {
                outlet.refuse();
                self.pause(stop, Duration::from_millis(500)).await;
                continue;
            }
            let events = self.next_events();
            if events.is_empty() {
                if self.waiting.is_empty() {
                    break;
                }
                self.wait_for_some(stop).await;
                continue;
            }
            let stream = self.outside.lock().dice.pick(&streams);
            if !self.send(outlet, stop, &stream, events).await? {
                break;
            }
            let pause = {
                let state = self.outside.lock();
                state.dice.chance(60).then(|| state.dice.time(1, 5000))
            };
            if let Some(pause) = pause {
                self.pause(stop, pause).await;
            }
        }
        self.wait_for_the_rest(stop).await;
        Ok(())
    }

    fn come_to_a_bad_end(&mut self) -> Result<(), SourceError> {
        let Some((after, fault)) = self.fails_after else {
            return Ok(());
        };
        if self.batches < after {
            return Ok(());
        }
        {
            let mut state = self.outside.lock();
            state.hit(fault);
            state.now.failed += 1;
            state.now.stopped |= fault == Fault::SourcePanics;
            state.note(|| format!("source {}: {fault:?}", self.source));
        }
        if fault == Fault::SourcePanics {
            // Nothing is printed: it is meant.
            resume_unwind(Box::new("a fault of the simulation"));
        }
        let message = "a fault of the simulation".to_owned();
        Err(SourceError::Failed(message))
    }

    /// What is sent next: what came back, then new events.
    fn next_events(&mut self) -> Vec<usize> {
        let mut state = self.outside.lock();
        let count = state.dice.between(1, BATCH_EVENTS_MAX);
        let again = state.again[self.source].len().min(count as usize);
        if again > 0 {
            state.hit(Fault::Resent);
            return state.again[self.source].drain(..again).collect();
        }
        let new = count.min(self.left);
        self.left -= new;
        (0..new).map(|_| state.event(self.source)).collect()
    }

    /// Sends a batch; false if the time was over before there was room.
    async fn send(
        &mut self,
        outlet: &Outlet,
        stop: &Stop,
        stream: &Arc<Stream>,
        events: Vec<usize>,
    ) -> Result<bool, SourceError> {
        self.batches += 1;
        let position = self.position;
        let (chunk, batch, patience) = {
            let mut state = self.outside.lock();
            let chunk = state.chunk(self.source, &events);
            let batch = self.waits.then(|| state.sent(self.source, events));
            let patience = state.dice.chance(10).then(|| state.dice.time(1000, 20_000));
            (chunk, batch, patience)
        };
        self.position += chunk.text.len() as u64;
        let room = async {
            let Some(batch) = batch else {
                return outlet.send(stream, position, chunk).await;
            };
            let waiter = self.waiter(batch);
            outlet.send_awaited(stream, position, chunk, waiter).await
        };
        let sent = tokio::select! {
            biased;
            sent = room => sent.map(|()| true),
            () = stop.expired() => Ok(false),
        };
        if let Some(batch) = batch {
            let until = patience.map(|patience| Instant::now() + patience);
            self.waiting.push((batch, until));
        }
        sent
    }

    fn waiter(&self, batch: usize) -> Arc<dyn Settled> {
        Arc::new(Waker {
            report: self.outside.waiter(batch),
            changed: self.changed.clone(),
        })
    }

    async fn pause(&self, stop: &Stop, pause: Duration) {
        tokio::select! {
            biased;
            () = sleep(pause) => {}
            _ = stop.stopping() => {}
        }
    }

    /// Forgets what has ended, and what it has no patience for any more.
    fn look(&mut self) -> Option<Instant> {
        let mut state = self.outside.lock();
        let now = Instant::now();
        self.waiting.retain(|&(batch, until)| {
            let told = state.batches[batch].told;
            if !told && until.is_some_and(|until| until <= now) {
                state.hit(Fault::SourceTimesOut);
                state.note(|| format!("source {} waits no longer for {batch}", self.source));
                state.batches[batch].heard = false;
                let events = state.batches[batch].events.clone();
                state.again[self.source].extend(events);
                return false;
            }
            !told
        });
        self.waiting.iter().filter_map(|(_, until)| *until).min()
    }

    /// Waits until it need not wait for all of these.
    async fn wait_for_some(&mut self, stop: &Stop) {
        let before = self.waiting.len();
        let changed = self.changed.clone();
        loop {
            let told = changed.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            let until = self.look();
            if self.waiting.len() < before || stop.deadline().is_some() {
                return;
            }
            tokio::select! {
                biased;
                () = told => {}
                _ = stop.stopping() => return,
                () = reached(until) => {}
            }
        }
    }

    /// At the end, until the deadline.
    async fn wait_for_the_rest(&mut self, stop: &Stop) {
        let changed = self.changed.clone();
        loop {
            let told = changed.notified();
            tokio::pin!(told);
            told.as_mut().enable();
            self.look();
            if self.waiting.is_empty() {
                return;
            }
            tokio::select! {
                biased;
                () = told => {}
                () = stop.expired() => return,
            }
        }
    }
}

async fn reached(until: Option<Instant>) {
    match until {
        // The end of patience is no error.
        Some(until) => drop(timeout_at(until, std::future::pending::<()>()).await),
        None => std::future::pending().await,
    }
}

impl State {
    /// The lines of some events, which are sent now.
    fn chunk(&mut self, source: usize, events: &[usize]) -> Box<Chunk> {
        self.note(|| format!("source {source} sends {events:?}"));
        self.now.sent[source] += events.len() as u64;
        let mut chunk = Box::new(Chunk::default());
        for &number in events {
            let event = &mut self.events[number];
            event.sends += 1;
            event.sends_now += 1;
            chunk.text.extend_from_slice(event.text.as_bytes());
            chunk.text.push(b'\n');
            chunk.ends.push(chunk.text.len() as u32);
        }
        chunk
    }

    /// A batch that its source waits for.
    fn sent(&mut self, source: usize, events: Vec<usize>) -> usize {
        self.batches.push(Sent {
            source,
            events,
            told: false,
            heard: true,
        });
        self.batches.len() - 1
    }
}

/// Tells the outside, then wakes the source.
#[derive(Debug)]
struct Waker {
    report: Arc<dyn Settled>,
    changed: Arc<Notify>,
}

impl Settled for Waker {
    fn settled(&self, tally: Tally) {
        self.report.settled(tally);
        self.changed.notify_waiters();
    }
}

/// A source that has not come to its end.
struct Producing(Outside);

impl Producing {
    fn begin(outside: &Outside) -> Producing {
        outside.lock().now.producing += 1;
        Producing(outside.clone())
    }
}

impl Drop for Producing {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        state.now.producing = state.now.producing.saturating_sub(1);
    }
}

impl Source for Producer {
    fn run(mut self: Box<Self>, outlet: Outlet, stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            let _producing = Producing::begin(&self.outside);
            self.produce(&outlet, &stop).await
        })
    }
}
