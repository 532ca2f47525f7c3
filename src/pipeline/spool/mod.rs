//! Between the routers and the driver of a sink whose buffer is on disk.
//!
//! ```text
//! router ─ inbox ─ spool ─ outbox ─ driver
//!                  │    ▲
//!           append, sync, read back
//! ```
//!
//! Shares are written through: all that waits is appended, synced together,
//! and then settled for its source, since it is kept now. The driver gets the
//! share from memory with an ack of its own, which settles the record; when
//! such copies take half of the sink's memory, those that follow are let go
//! and read back when there is room, in order. What is not settled when tflog
//! stops is delivered by the next run.
//!
//! One stage owns the log, so nothing here is locked; the parts of this module
//! are what it does with new shares ([`store`]), what it gives the driver
//! ([`deliver`]), and how it starts ([`start`]).

mod change;
mod deliver;
mod record;
mod restore;
mod start;
mod store;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use crate::buffer::Memory;
use crate::buffer::disk::{Compression, Entry, Log, Reader, Stats};
use crate::event::{Outcome, Share};
use crate::seam::Stage;
use crate::telemetry::{Demand, DiskTerms, Ledger, WhenFull};
pub(super) use change::{Stored, stored};
use record::Settlements;
use restore::Restore;
pub(super) use start::Buffers;

/// How often what is settled is made durable: a crash delivers again what was
/// settled since.
const MAINTAIN_EVERY: Duration = Duration::from_secs(1);
/// As often it is tried again to store what there was no room for.
const RETRY_EVERY: Duration = Duration::from_millis(100);

/// When what is appended is made durable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fsync {
    /// Before its source hears that it is kept.
    #[default]
    Ack,
    /// Every second; a crash of the machine can lose what came since.
    Interval,
}

/// A buffer on disk, as planned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskBuffer {
    /// Bytes that its files may take.
    pub bytes_max: u64,
    /// When it is synced.
    pub fsync: Fsync,
    /// Whether records are compressed.
    pub compression: Compression,
}

/// The stage of one sink.
struct Spool {
    sink: usize,
    name: Arc<str>,
    log: Log,
    reader: Reader,
    restore: Restore,
    settlements: Arc<Settlements>,
    ledger: Arc<Ledger>,
    inbox: Arc<Memory>,
    outbox: Arc<Memory>,
    when_full: WhenFull,
    disk: DiskBuffer,
    cut_off: watch::Receiver<Option<Instant>>,
    /// Names of sources by place in the ledger, as records name them.
    sources: Arc<[String]>,
    /// Appended and not settled for their sources yet.
    group: Vec<(Share, Demand, Entry)>,
    /// Taken from the inbox and not appended: there was no room.
    pending: Option<(Share, Demand)>,
    /// What was said last about why.
    said: Option<String>,
    /// The last record that the driver may get.
    committed: u64,
    /// The next record for the driver.
    next: u64,
    /// Whether the reader stands at `next`.
    seeked: bool,
    /// Whether all that will come has come.
    closed: bool,
    /// Whether time is up: the driver gets no more.
    stopped: bool,
    /// When to maintain the log, if anything has happened since.
    due: Option<Instant>,
}

/// A running [`Spool`].
pub(super) struct Spooling {
    /// Its sink.
    pub(super) name: Arc<str>,
    stage: Stage<()>,
    finish: watch::Sender<bool>,
}

impl Spooling {
    /// Ends it, once all drivers have ended: whether it ended well.
    pub(super) async fn finish(self) -> bool {
        self.finish.send_replace(true);
        self.stage.await.is_some()
    }
}

impl Spool {
    /// Runs until all that came is on disk or given up, and `finish` says that
    /// nothing will be settled any more.
    async fn run(mut self, mut finish: watch::Receiver<bool>) {
        while !*finish.borrow_and_update() {
            self.deliver_stored();
            if self.is_done() {
                self.outbox.close();
            }
            let due = self.due.unwrap_or_else(Instant::now);
            let takes = !self.closed && !self.is_stuck();
            let stopped = self.stopped;
            tokio::select! {
                biased;
                () = passed(&mut self.cut_off), if !stopped => self.stop(),
                share = self.inbox.pop(), if takes => match share {
                    Some((share, demand)) => self.take(share, demand),
                    None => self.closed = true,
                },
                () = self.settlements.changed.notified() => self.touch(),
                () = sleep_until(due), if self.due.is_some() => self.maintain(),
                // Whoever would say so is gone: as good as said.
                told = finish.changed() => if told.is_err() { break },
            }
        }
        self.give_up_rest();
        self.maintain();
        if self.due.take().is_some() {
            tracing::warn!(
                sink = &*self.name,
                "what was delivered last could not be noted on disk: it will be delivered again"
            );
        }
    }

    /// Whether the driver will get no more.
    fn is_done(&self) -> bool {
        let all = self.closed && self.pending.is_none() && self.group.is_empty();
        self.stopped || (all && !self.is_behind())
    }

    /// Whether something waits for the disk: nothing new is taken then.
    fn is_stuck(&self) -> bool {
        self.pending.is_some() || !self.group.is_empty()
    }

    /// Time is up. What came is still put on disk if that works at once.
    fn stop(&mut self) {
        self.stopped = true;
        self.outbox.close();
        self.store_pending();
        self.commit();
        self.give_up_late();
    }

    /// Once time is up, what finds no room on disk at once is given up: routers
    /// may wait for the memory that it takes.
    fn give_up_late(&mut self) {
        if self.stopped && self.is_stuck() {
            self.give_up_rest();
        }
    }

    /// Something happened that the log is to be maintained for.
    fn touch(&mut self) {
        let after = if self.is_stuck() {
            RETRY_EVERY
        } else {
            MAINTAIN_EVERY
        };
        self.due.get_or_insert_with(|| Instant::now() + after);
    }

    /// Makes durable what is settled, frees what is not needed any more, and
    /// tries again what did not work.
    fn maintain(&mut self) {
        self.due = None;
        if self.disk.fsync == Fsync::Interval
            && let Err(error) = self.log.sync()
        {
            self.say(&error.to_string());
            self.touch();
        }
        if let Err(error) = self.log.maintain() {
            self.say(&error.to_string());
            self.touch();
        }
        self.store_pending();
        self.commit();
        if self.is_stuck() {
            self.touch();
        }
        self.show();
    }

    /// Shows how the log is.
    fn show(&self) {
        let terms = disk_terms(&self.log.stats(), self.disk.bytes_max);
        let full = self.pending.is_some();
        self.ledger.set_disk(self.sink, DiskTerms { full, ..terms });
    }

    /// Says what is wrong, unless that was said last.
    fn say(&mut self, message: &str) {
        if self.said.as_deref() != Some(message) {
            tracing::error!(sink = &*self.name, "{message}");
            self.said = Some(message.to_owned());
        }
    }

    fn is_required(&self) -> bool {
        self.when_full == WhenFull::Block
    }

    /// Turns away what is not on disk for certain: its source hears of it.
    fn give_up_rest(&mut self) {
        let group = self
            .group
            .drain(..)
            .map(|(share, demand, _)| (share, demand));
        let rest: Vec<_> = group.chain(self.pending.take()).collect();
        let queued = std::iter::from_fn(|| self.inbox.try_pop());
        for (share, demand) in rest.into_iter().chain(queued) {
            turn_away(&self.ledger, self.sink, share, demand);
        }
    }
}

/// Gives up a share that is in memory only.
pub(super) fn turn_away(ledger: &Ledger, sink: usize, share: Share, demand: Demand) {
    let returned = share.ack.is_awaited();
    ledger.turn_away(sink, demand, Outcome::Shutdown, returned);
    share.ack.settle(Outcome::Shutdown);
}

fn disk_terms(stats: &Stats, bytes_max: u64) -> DiskTerms {
    DiskTerms {
        bytes: stats.bytes,
        bytes_max,
        full: false,
        corrupt_records: stats.corrupt_records,
        failures: stats.failed_syncs + stats.failed_writes,
    }
}

/// Resolves once a deadline is set and has passed.
async fn passed(cut_off: &mut watch::Receiver<Option<Instant>>) {
    let deadline = cut_off.wait_for(Option::is_some).await.map(|d| *d);
    match deadline {
        Ok(Some(deadline)) => sleep_until(deadline).await,
        // Nobody is left who could set one.
        _ => std::future::pending().await,
    }
}
