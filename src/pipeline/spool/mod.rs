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
//! # Reloads
//!
//! A buffer belongs to the name of its sink, and one stage at a time has its
//! log. The stage outlives drivers: a new one takes over what the one before
//! leaves in the outbox, so that the log never has a second reader. A reload
//! gives an [`Order`] to the stages that run:
//!
//! ```text
//!          sink added,            sink in memory        all is delivered
//!          or was in memory       from now on           or given up
//! (none) ───────────────▶ Live ─────────────▶ Ending ───────────────▶ Over ──▶ (none)
//!                          │ ▲                  │ │
//!                          │ └──────────────────┘ │
//!                          │  on disk again       │
//!                          │ sink removed         │
//!                          └──────▶ Leaving ◀─────┘ ──▶ (none)
//! ```
//!
//! - **Live**: shares are written through. With each order come the plan's
//!   parsers, the names of sources, and the buffer's settings, from the next share
//!   on. What is in memory stays as it was read: a sink that lives on needs no
//!   more of it, a new one reads it again ([`super::queue`]).
//! - **Ending**: nothing is written any more; what comes waits in the inbox for
//!   what is on disk, which the driver gets first. Once nothing of it is in memory
//!   or in the driver's hands, the driver goes on with the inbox.
//! - **Leaving**: written through until all routers have left, and delivered
//!   within the grace period. What then remains stays on disk and is named.
//! - **Over**, and at the end of Leaving and of a run: it stays until what was
//!   passed on to other sinks has ended, since that settles records here.
//!
//! The stage itself says when it is over, by the same lock that an order takes:
//! an order that comes later is not taken, and another stage follows. That one
//! waits until the driver before has ended (it puts shares back into what will be
//! the inbox: they are the first to be written), and until a stage of its name
//! that is there still has ended, too, before it opens the log. Where no such
//! stage is, the log is opened before anything is touched, so that one that
//! cannot be refuses the reload.
//!
//! One stage owns the log, so nothing here is locked; the parts of this module
//! are what it does with new shares ([`store`]), what it gives the driver
//! ([`deliver`]), how it starts ([`start`]) and what orders do to it ([`change`]).

mod change;
mod deliver;
mod record;
mod restore;
mod start;
mod store;

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::parsers::Parsers;
use crate::buffer::Memory;
use crate::buffer::disk::{Compression, Entry, Log, Reader, Stats};
use crate::event::{Outcome, Share};
use crate::seam::Stage;
use crate::telemetry::{Demand, DiskTerms, Ledger, WhenFull};
use change::{Order, Phase};
use record::Settlements;
use restore::Restore;
pub(super) use start::{Buffers, Site};

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
    /// Tells the driver to go on with the inbox.
    past_disk: Arc<AtomicBool>,
    phase: Phase,
    when_full: WhenFull,
    disk: DiskBuffer,
    cut_off: watch::Receiver<Option<Instant>>,
    /// What reloads say, and what they are told.
    orders: watch::Sender<Order>,
    ordered: watch::Receiver<Order>,
    /// What reads records; names sources by place in the ledger, as records do.
    parsers: Arc<Parsers>,
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
    orders: watch::Sender<Order>,
    cut_off: watch::Sender<Option<Instant>>,
    finish: watch::Sender<bool>,
    /// True, and closed, once it has ended well.
    gone: watch::Receiver<bool>,
}

impl Spooling {
    /// Ends it, once all drivers have ended: whether it ended well.
    pub(super) async fn finish(self) -> bool {
        self.finish.send_replace(true);
        self.stage.await.is_some()
    }
}

impl Spool {
    /// Runs until all that came is on disk or given up and nothing will be settled
    /// any more, be it that `finish` says so.
    async fn run(mut self, mut finish: watch::Receiver<bool>) {
        while !*finish.borrow_and_update() {
            self.heed();
            self.deliver_stored();
            if self.is_done() {
                self.outbox.close();
            }
            self.pass_over();
            if self.is_over() {
                break;
            }
            let due = self.due.unwrap_or_else(Instant::now);
            let (takes, stopped) = (self.takes(), self.stopped);
            tokio::select! {
                biased;
                () = passed(&mut self.cut_off), if !stopped => self.stop(),
                // Its sender is here: it cannot be gone.
                _ = self.ordered.changed() => self.obey(),
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
        self.tell_what_is_left();
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

    /// Whether it takes what comes: from the inbox of a driver in memory only what
    /// comes too late for it.
    fn takes(&self) -> bool {
        let takes = match self.phase {
            Phase::Live | Phase::Leaving => true,
            Phase::Ending => self.stopped,
            Phase::Over => false,
        };
        takes && !self.closed && !self.is_stuck()
    }

    /// Something happened that the log is to be maintained for.
    fn touch(&mut self) {
        let after = if self.is_stuck() || self.phase == Phase::Ending {
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
        // Nothing to do where each share was synced before it was acknowledged.
        if let Err(error) = self.log.sync() {
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
        if self.phase == Phase::Over {
            // The inbox is the driver's.
            return;
        }
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
