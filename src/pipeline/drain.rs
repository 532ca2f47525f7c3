//! Waits for the stages to end, in the order of the flow, and counts what
//! those that hang still hold.

use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::Pipeline;
use super::spool::{Spooling, turn_away};
use super::start::{Phase, RunningSink};
use crate::buffer::Memory;
use crate::event::Outcome;
use crate::sink::driver::Status;
use crate::source::SourceError;
use crate::telemetry::Ledger;

/// How long after the grace period a sink may take to notice, before it is
/// taken to hang and its copies are written off.
const WRITE_OFF_AFTER: Duration = Duration::from_millis(250);
/// How long routers and drivers may take to come to an end then.
const WRITE_OFF_MAX: Duration = Duration::from_secs(2);
/// How long the disk may take for its last syncs.
const FINISH_MAX: Duration = Duration::from_secs(5);

/// The end of a source or of its router.
pub(super) type Ending = Pin<Box<dyn Future<Output = Gone> + Send>>;
/// The end of a sink; what failed, if something did.
pub(super) type Draining = Pin<Box<dyn Future<Output = Option<String>> + Send>>;

/// How a part of a source ended; `None`: it panicked.
pub(super) enum End {
    Source(Option<Result<(), SourceError>>),
    /// Its router, which outlives it.
    Router(Option<()>),
}

/// A source of which a part has ended. Each is told of at once: a router may wait
/// for a sink that hangs, and what its source failed of is to be reported still.
pub(super) struct Gone {
    pub(super) id: u64,
    pub(super) end: End,
}

/// Where shares of a sink can be when it hangs, as long as it is there.
pub(super) struct Hands {
    pub(super) slot: usize,
    pub(super) inbox: Weak<Memory>,
    pub(super) buffer: Weak<Memory>,
    pub(super) status: Weak<Status>,
}

impl Pipeline {
    /// Notes the end of a source or its router.
    pub(super) fn ended(&mut self, gone: &Gone, failures: &mut Vec<String>) {
        let Some(at) = self.sources.iter().position(|s| s.id == gone.id) else {
            return;
        };
        let source = &mut self.sources[at];
        let name = &source.name;
        match &gone.end {
            End::Source(Some(Ok(()))) => {}
            End::Source(Some(Err(error))) => failures.push(format!("source {name}: {error}")),
            End::Source(None) => {
                failures.push(format!("source {name} panicked; this is a bug in tflog"));
                self.control.stop();
            }
            End::Router(ended) => {
                if source.phase == Phase::Leaving {
                    self.sources.remove(at);
                } else {
                    source.phase = Phase::Done;
                }
                if ended.is_none() {
                    failures.push("a router panicked; this is a bug in tflog".to_owned());
                    self.control.stop();
                }
            }
        }
    }
}

impl RunningSink {
    /// Waits until nothing comes any more and everything is delivered, or its
    /// deadline is over; what failed, if something did.
    pub(super) async fn drain(mut self, ledger: Arc<Ledger>) -> Option<String> {
        let ended = async {
            self.reservoir.close().await;
            (&mut self.driver).await
        };
        let ended = tokio::select! {
            ended = ended => ended,
            () = overdue(self.cut_off.subscribe()) => {
                let hands = [self.hands()];
                take_off(&ledger, &hands);
                // It takes nothing more, and ends now unless it hangs.
                self.relieved.send_replace(Some(Instant::now()));
                let mut ended = timeout(WRITE_OFF_AFTER, &mut self.driver).await;
                take_off(&ledger, &hands);
                // Routers may still hold its queue, and wait for room in the queue of
                // who waits for its name.
                drop(self.leaving);
                // What they still push is written off too.
                tokio::select! {
                    () = self.reservoir.close() => {}
                    never = write_off_all(&ledger, &hands) => match never {},
                }
                if ended.is_err() {
                    ended = timeout(WRITE_OFF_MAX, &mut self.driver).await;
                }
                take_off(&ledger, &hands);
                tracing::warn!(sink = self.name, "did not end in time");
                return ended.is_ok_and(|ended| ended.is_none()).then(|| panicked(&self.name));
            }
        };
        // Told to whoever waits for its name.
        drop(self.leaving);
        ended.is_none().then(|| panicked(&self.name))
    }
}

fn panicked(name: &str) -> String {
    format!("sink {name} panicked; this is a bug in tflog")
}

/// Ends the stages of buffers on disk: no driver settles anything any more.
pub(super) async fn finish_spools(spools: Vec<Spooling>, failures: &mut Vec<String>) {
    let deadline = Instant::now() + FINISH_MAX;
    for spool in spools {
        let name = spool.name.clone();
        match timeout_at(deadline, spool.finish()).await {
            Ok(true) => {}
            Ok(false) => failures.push(format!(
                "the disk buffer of sink {name} panicked; this is a bug in tflog"
            )),
            Err(_) => failures.push(format!(
                "the disk buffer of sink {name}: the disk does not answer"
            )),
        }
    }
}

pub(super) async fn overdue(mut cut_off: watch::Receiver<Option<Instant>>) {
    let deadline = cut_off.wait_for(Option::is_some).await.map(|d| *d);
    match deadline {
        Ok(Some(deadline)) => sleep_until(deadline + WRITE_OFF_AFTER).await,
        // Nobody is left who could set one.
        _ => std::future::pending().await,
    }
}

/// Counts what sinks that hang still hold, and what waits behind them, until
/// nothing is on its way any more.
pub(super) async fn write_off(ledger: &Arc<Ledger>, hands: &[Hands]) {
    let end = Instant::now() + WRITE_OFF_MAX;
    loop {
        take_off(ledger, hands);
        // Routers that waited for room push once more.
        let now = Instant::now();
        if now >= end || ledger.snapshot().violations_at_end().is_empty() {
            return;
        }
        sleep_until(now + Duration::from_millis(1)).await;
    }
}

async fn write_off_all(ledger: &Arc<Ledger>, hands: &[Hands]) -> std::convert::Infallible {
    loop {
        take_off(ledger, hands);
        sleep_until(Instant::now() + Duration::from_millis(1)).await;
    }
}

fn take_off(ledger: &Arc<Ledger>, hands: &[Hands]) {
    for held in hands {
        if let Some(status) = held.status.upgrade() {
            status.write_off(ledger, held.slot);
        }
        let (Some(inbox), Some(buffer)) = (held.inbox.upgrade(), held.buffer.upgrade()) else {
            continue;
        };
        // What has no record on disk. Another of its name may have its buffer there
        // by now, and what is counted of that is not of these.
        while let Some((share, demand)) = inbox.try_pop() {
            turn_away(ledger, held.slot, share, demand);
        }
        while let Some((share, demand)) = buffer.try_pop() {
            ledger.send(held.slot, demand.events);
            let awaited = share.ack.is_awaited();
            ledger.give_up(held.slot, demand, Outcome::Shutdown, awaited);
            share.ack.settle(Outcome::Shutdown);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::{Ack, Batch, Chunk, Rows, Share, Stream, Timestamp};
    use crate::telemetry::{Demand, DiskTerms, Quota, Transfer, WhenFull};

    /// A router that had waited for room pushes to a sink that was removed, when one
    /// of its name has its buffer on disk.
    #[test]
    fn what_comes_late_is_not_counted_with_the_disk_of_another() {
        let quota = Quota {
            bytes_max: 1000,
            when_full: WhenFull::DropNewest,
        };
        let ledger = Ledger::new(1, 1, vec![quota]);
        ledger.recover(0, 0, DiskTerms::default());
        let demand = Demand {
            events: 2,
            bytes: 100,
        };
        let transfer = Transfer {
            evaluated: 2,
            first: vec![2],
            matched: vec![2],
            best_effort: 2,
            demands: vec![demand],
            ..Transfer::default()
        };
        ledger.receive(0, 2, 20, 0);
        assert!(ledger.try_admit(0, &transfer, &mut Vec::new()));
        let chunk = Box::new(Chunk {
            text: b"a\nb\n".to_vec(),
            ends: vec![2, 4],
            ..Chunk::default()
        });
        let stream = Arc::new(Stream {
            source: 0,
            origin: 1,
            meta: Vec::new(),
        });
        let batch = Batch::new(stream, 0, Timestamp(0), chunk, Arc::default());
        let (inbox, status) = (Arc::<Memory>::default(), Arc::<Status>::default());
        let share = Share {
            batch: Arc::new(batch),
            rows: Rows::All,
            ack: Ack::none(),
        };
        inbox.push(share, demand);
        let hands = Hands {
            slot: 0,
            inbox: Arc::downgrade(&inbox),
            buffer: Arc::downgrade(&inbox),
            status: Arc::downgrade(&status),
        };
        take_off(&ledger, &[hands]);
        let end = ledger.snapshot();
        assert_eq!(end.violations_at_end(), [""; 0]);
        assert_eq!(
            (end.sinks[0].dropped.shutdown, end.sinks[0].queued_disk),
            (2, 0)
        );
    }
}
