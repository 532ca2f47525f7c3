//! The ledger of buffers on disk: copies that have a record there, and the
//! memory of those that are in memory too.

use super::{Demand, Ledger, SinkTerms};
use crate::event::Outcome;
use crate::telemetry::terms::DiskTerms;

impl Ledger {
    /// Says that a sink's buffer is on disk, with `events` copies in it: of earlier
    /// runs, or such that an earlier buffer of this run has left there. None is in
    /// the sink's hands.
    pub fn recover(&self, sink: usize, events: u64, disk: DiskTerms) {
        let mut state = self.lock();
        let terms = &mut state.sinks[sink];
        // A record comes back whole, whatever of it was delivered.
        let left = terms.queued_disk;
        terms.recovered += events.saturating_sub(left);
        terms.dropped.corrupt += left.saturating_sub(events);
        terms.queued_disk = events;
        terms.disk = Some(disk);
    }

    /// How the sink's buffer on disk is now, if it still is on disk.
    pub fn set_disk(&self, sink: usize, disk: DiskTerms) {
        if let Some(before) = &mut self.lock().sinks[sink].disk {
            *before = disk;
        }
    }

    /// Goes on in memory alone, if no copy that has a record on disk is in memory
    /// or in the sink's hands; whether it does. What was given up stays on disk.
    #[must_use]
    pub fn leave_disk(&self, sink: usize) -> bool {
        let terms = &mut self.lock().sinks[sink];
        let leaves = terms.stored == 0;
        if leaves {
            terms.disk = None;
        }
        leaves
    }

    /// Queued copies have a record on disk now. Whether they stay in memory:
    /// if that is wanted, and such copies take no more than half of it.
    pub fn store(&self, sink: usize, demand: Demand, keep: bool) -> bool {
        let kept = {
            let mut state = self.lock();
            let terms = &mut state.sinks[sink];
            terms.queued -= demand.events;
            terms.queued_disk += demand.events;
            let kept = keep
                && (terms.stored_bytes == 0
                    || terms.stored_bytes + demand.bytes <= stored_bytes_max(terms));
            if kept {
                terms.stored += demand.events;
                terms.stored_bytes += demand.bytes;
            } else {
                terms.queued_bytes -= demand.bytes;
            }
            kept
        };
        // Room either way: what is on disk too keeps nothing out.
        self.room.notify_waiters();
        kept
    }

    /// Whether copies that are only on disk may be read into memory.
    #[must_use]
    pub fn may_load(&self, sink: usize) -> bool {
        let terms = &self.lock().sinks[sink];
        terms.stored_bytes < stored_bytes_max(terms)
    }

    /// Whether the sink has copies in its hands.
    #[must_use]
    pub fn is_sending(&self, sink: usize) -> bool {
        self.lock().sinks[sink].sending > 0
    }

    /// Copies on disk are in memory too now.
    pub fn load(&self, sink: usize, demand: Demand) {
        let mut state = self.lock();
        let terms = &mut state.sinks[sink];
        terms.stored += demand.events;
        terms.queued_bytes += demand.bytes;
        terms.stored_bytes += demand.bytes;
    }

    /// Copies on disk cannot be read any more.
    pub fn lose(&self, sink: usize, events: u64) {
        let mut state = self.lock();
        let terms = &mut state.sinks[sink];
        terms.queued_disk -= events;
        terms.dropped.corrupt += events;
    }

    /// Copies of a best-effort sink that waited on disk were let go for want
    /// of room; `freed` is what of them was in memory.
    pub fn drop_stored(&self, sink: usize, events: u64, freed: Demand) {
        let mut state = self.lock();
        let terms = &mut state.sinks[sink];
        terms.queued_disk -= events;
        terms.dropped.buffer_full += events;
        terms.free(freed);
    }

    /// Copies that wait in memory, and have no record on disk, were given up;
    /// `returned` if their source sends them again.
    pub fn turn_away(&self, sink: usize, demand: Demand, outcome: Outcome, returned: bool) {
        {
            let mut state = self.lock();
            let terms = &mut state.sinks[sink];
            terms.queued -= demand.events;
            terms.queued_bytes -= demand.bytes;
            if returned {
                terms.returned += demand.events;
            } else {
                terms.dropped.add(outcome, demand.events);
            }
        }
        self.room.notify_waiters();
    }
}

/// What may be in memory of copies that are on disk too: the other half is for
/// those that are not yet.
fn stored_bytes_max(terms: &SinkTerms) -> u64 {
    terms.quota.bytes_max / 2
}
