//! Waits for the stages of a run to end, in the order of the flow, and counts
//! what those that hang still hold.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::spool::{Spooling, turn_away};
use super::{Control, RunningSink, SourceStage};
use crate::buffer::Memory;
use crate::event::Outcome;
use crate::seam::Stage;
use crate::sink::driver::Status;
use crate::telemetry::Ledger;

/// How long after the grace period a sink may take to notice, before it is
/// taken to hang and its copies are written off.
const WRITE_OFF_AFTER: Duration = Duration::from_millis(250);
/// How long routers may take to come to an end then.
const WRITE_OFF_MAX: Duration = Duration::from_secs(2);

/// How long the disk may take for its last syncs.
const FINISH_MAX: Duration = Duration::from_secs(5);

/// Where shares of a sink can be when it hangs.
pub(super) struct Queues {
    pub(super) inbox: Arc<Memory>,
    pub(super) buffer: Arc<Memory>,
    pub(super) status: Arc<Status>,
}

/// Waits for the stages in the order of the flow.
pub(super) async fn drain(
    sources: Vec<(String, SourceStage)>,
    routers: Vec<Stage<()>>,
    sinks: Vec<RunningSink>,
    control: &Control,
    failures: &mut Vec<String>,
) {
    for (name, source) in sources {
        match source.await {
            Some(Ok(())) => {}
            Some(Err(error)) => failures.push(format!("source {name}: {error}")),
            None => {
                failures.push(format!("source {name} panicked; this is a bug in tflog"));
                control.stop();
            }
        }
    }
    for router in routers {
        if router.await.is_none() {
            failures.push("a router panicked; this is a bug in tflog".to_owned());
            control.stop();
        }
    }
    drain_sinks(sinks, failures).await;
}

/// Closes and awaits sinks, those that feed others before these.
async fn drain_sinks(sinks: Vec<RunningSink>, failures: &mut Vec<String>) {
    let mut left: Vec<_> = sinks.into_iter().enumerate().collect();
    while !left.is_empty() {
        let fed: Vec<usize> = left.iter().flat_map(|(_, s)| s.feeds.clone()).collect();
        // There are no cycles: the config was checked for them.
        let (ready, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(|(i, _)| !fed.contains(i));
        left = rest;
        ready.iter().for_each(|(_, sink)| sink.inbox.close());
        for (_, sink) in ready {
            if sink.driver.await.is_none() {
                failures.push(format!(
                    "sink {} panicked; this is a bug in tflog",
                    sink.name
                ));
            }
        }
    }
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

pub(super) async fn overdue(cut_off: &watch::Sender<Option<Instant>>) {
    let mut deadline = cut_off.subscribe();
    let deadline = deadline.wait_for(Option::is_some).await.map(|d| *d);
    if let Ok(Some(deadline)) = deadline {
        sleep_until(deadline + WRITE_OFF_AFTER).await;
    }
}

/// Counts what sinks that hang still hold, and what waits behind them, until
/// nothing is on its way any more; the ledger at that moment.
pub(super) async fn write_off(ledger: &Arc<Ledger>, sinks: &[Queues]) {
    let end = Instant::now() + WRITE_OFF_MAX;
    loop {
        for (sink, queues) in sinks.iter().enumerate() {
            queues.status.write_off(ledger, sink);
            while let Some((share, demand)) = queues.buffer.try_pop() {
                ledger.send(sink, demand.events);
                ledger.give_up(sink, demand, Outcome::Shutdown, share.ack.is_awaited());
                share.ack.settle(Outcome::Shutdown);
            }
            // Empty but of what found no room on disk.
            while let Some((share, demand)) = queues.inbox.try_pop() {
                turn_away(ledger, sink, share, demand);
            }
        }
        // Routers that waited for room push once more.
        let now = Instant::now();
        if now >= end || ledger.snapshot().violations_at_end().is_empty() {
            return;
        }
        sleep_until(now + Duration::from_millis(1)).await;
    }
}
