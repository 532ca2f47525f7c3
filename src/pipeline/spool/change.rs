//! What reloads say to the stages of buffers on disk, and what follows from it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio::time::Instant;

use super::{DiskBuffer, Spool, Spooling};
use crate::pipeline::parsers::Parsers;
use crate::pipeline::queue::Reservoir;
use crate::pipeline::spool::restore::Restore;
use crate::pipeline::{Pipeline, PlannedSink};
use crate::telemetry::WhenFull;

/// Where a stage is in its life; [`super`] draws it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    /// Its sink has its buffer on disk.
    Live,
    /// Its sink has its buffer in memory, once what is on disk is delivered.
    Ending,
    /// Its sink was removed.
    Leaving,
    /// It has handed its driver over to the inbox.
    Over,
}

/// What a plan wants of a buffer on disk.
#[derive(Clone)]
pub(super) struct Order {
    pub(super) phase: Phase,
    /// None: as it is.
    pub(super) disk: Option<DiskBuffer>,
    pub(super) when_full: WhenFull,
    pub(super) parsers: Arc<Parsers>,
}

impl Order {
    pub(super) fn of(sink: &PlannedSink, parsers: Arc<Parsers>) -> Order {
        Order {
            phase: sink.disk.map_or(Phase::Ending, |_| Phase::Live),
            disk: sink.disk,
            when_full: sink.quota.when_full,
            parsers,
        }
    }
}

impl Spooling {
    /// Gives an order; false if it comes too late.
    fn tell(&self, order: Order) -> bool {
        self.orders.send_if_modified(|now| {
            let heeds = matches!(now.phase, Phase::Live | Phase::Ending);
            if heeds {
                *now = order;
            }
            heeds
        })
    }

    /// Says that its sink is gone, and until when it may deliver.
    fn leave(&self, deadline: Instant) {
        let left = self.orders.send_if_modified(|now| {
            let heeds = matches!(now.phase, Phase::Live | Phase::Ending);
            if heeds {
                now.phase = Phase::Leaving;
            }
            heeds
        });
        if left {
            self.cut_off.send_replace(Some(deadline));
        }
    }

    /// Ends it once its driver has ended; resolves when it has let go of its log.
    pub(super) fn make_way(&self) -> impl Future<Output = ()> + Send + use<> {
        let (finish, mut gone) = (self.finish.clone(), self.gone.clone());
        async move {
            finish.send_replace(true);
            // Fails once the other end is dropped.
            while gone.changed().await.is_ok() {}
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        // One that has panicked is kept: the end of the run tells of it.
        self.gone.has_changed().is_err() && *self.gone.borrow()
    }
}

impl Pipeline {
    /// The stages that have the log of that name, or may have it.
    pub(super) fn spools_of(&self, name: &str) -> impl Iterator<Item = &Spooling> {
        self.spools.iter().filter(move |spool| &*spool.name == name)
    }

    /// The queue of a planned sink, that of the one `before` it if there is one;
    /// and whether a stage on disk is to be started for it.
    pub(in crate::pipeline) fn reservoir(
        &self,
        sink: &PlannedSink,
        before: Option<Arc<Reservoir>>,
        parsers: &Arc<Parsers>,
    ) -> (Arc<Reservoir>, bool) {
        let mut spools = self.spools_of(&sink.labels.id);
        let goes_on = spools.any(|spool| spool.tell(Order::of(sink, parsers.clone())));
        match (before, sink.disk) {
            (Some(before), None) => (before, false),
            (Some(before), Some(_)) if goes_on => (before, false),
            (Some(before), Some(_)) => (Arc::new(before.onto_disk()), true),
            (None, disk) => (Arc::new(Reservoir::new(disk.is_some())), disk.is_some()),
        }
    }

    /// Has the stage of a sink that is removed leave.
    pub(in crate::pipeline) fn leave_spool(&self, name: &str, deadline: Instant) {
        self.spools_of(name).for_each(|spool| spool.leave(deadline));
    }
}

impl Spool {
    /// Does what the last order says, if that is new.
    pub(super) fn heed(&mut self) {
        if self.ordered.has_changed().unwrap_or(false) {
            self.obey();
        }
    }

    pub(super) fn obey(&mut self) {
        let order = self.ordered.borrow_and_update().clone();
        self.when_full = order.when_full;
        self.restore = Restore::new(order.parsers.clone());
        self.parsers = order.parsers;
        if let Some(disk) = order.disk {
            match self.log.set(disk.bytes_max, disk.compression) {
                Ok(()) => self.disk = disk,
                Err(error) => self.say(&error.to_string()),
            }
        }
        if order.phase == Phase::Ending && self.phase != Phase::Ending {
            self.put_back();
        }
        self.phase = order.phase;
        // What did not work may work now, and the new size is to be seen.
        self.maintain();
        self.touch();
    }

    /// What is not known as kept waits in memory again, in front of what came
    /// after it.
    fn put_back(&mut self) {
        if let Some((share, demand)) = self.pending.take() {
            self.inbox.put_back(share, demand);
        }
        for (share, demand, entry) in std::mem::take(&mut self.group).into_iter().rev() {
            self.settlements.settle(entry);
            self.inbox.put_back(share, demand);
        }
    }

    /// Hands the driver over to the inbox, once nothing else is left for it.
    pub(super) fn pass_over(&mut self) {
        if self.phase != Phase::Ending || self.stopped || self.is_behind() {
            return;
        }
        // An order takes the same lock: it comes before or too late.
        let (ledger, sink) = (&self.ledger, self.sink);
        let over = self.orders.send_if_modified(|now| {
            let over = now.phase == Phase::Ending && ledger.leave_disk(sink);
            if over {
                now.phase = Phase::Over;
            }
            over
        });
        if over {
            // Our own change is no order.
            self.ordered.mark_unchanged();
            self.phase = Phase::Over;
            self.past_disk.store(true, Ordering::Release);
            self.outbox.close();
        } else {
            self.touch();
        }
    }

    /// Whether nothing comes any more, and nothing is to be settled.
    pub(super) fn is_over(&self) -> bool {
        let ended = self.phase == Phase::Over || (self.closed && self.is_done());
        ended && !self.settlements.are_open()
    }

    /// Says what no sink of the plan will deliver.
    pub(super) fn tell_what_is_left(&self) {
        let events = self.log.stats().events;
        if events > 0 && self.phase != Phase::Live {
            tracing::warn!(
                sink = &*self.name,
                events,
                "its disk buffer still holds events: they are kept; bring the sink back with a disk buffer to deliver them"
            );
        }
    }
}
