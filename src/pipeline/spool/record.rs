//! Acks that settle records.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::Notify;

use crate::buffer::disk::{Entry, Settlement};
use crate::event::{Ack, Haste, Receipt, Rows, Settled, Tally};

/// Gives out the acks of a log's records.
pub(super) struct Settlements {
    settlement: Settlement,
    nobody: Arc<dyn Settled>,
    /// Acks that were given out and have not ended.
    open: AtomicUsize,
    /// Told of every record that is settled: its memory is free.
    pub(super) changed: Notify,
}

impl Settlements {
    pub(super) fn new(settlement: Settlement) -> Arc<Settlements> {
        Arc::new(Settlements {
            settlement,
            nobody: Arc::new(Nobody),
            open: AtomicUsize::new(0),
            changed: Notify::new(),
        })
    }

    /// The ack of a record whose events are `rows` of a batch of `of` rows.
    pub(super) fn ack(self: &Arc<Self>, entry: Entry, of: usize, rows: Rows) -> Ack {
        self.open.fetch_add(1, Ordering::Relaxed);
        let end = RecordEnd {
            settlements: self.clone(),
            entry,
        };
        let report = self.nobody.clone();
        Receipt::new(of, rows.clone(), report, Some(Arc::new(end))).ack(rows)
    }

    /// Whether records are with the driver, or with others that it passed them on
    /// to.
    pub(super) fn are_open(&self) -> bool {
        self.open.load(Ordering::Acquire) > 0
    }

    /// Settles a record that the driver never had.
    pub(super) fn settle(&self, entry: Entry) {
        self.settlement.settle(entry);
    }
}

/// A record that is with the driver. It waits for the sink's confirmation as a
/// source would, for what is settled is not sent again; but what it waits for
/// is safe, so that loads may fill.
struct RecordEnd {
    settlements: Arc<Settlements>,
    entry: Entry,
}

impl Settled for RecordEnd {
    fn settled(&self, tally: Tally) {
        // Given up is not delivered: the record stays for the next run.
        if tally.is_kept() {
            self.settlements.settle(self.entry);
        }
        // Whoever sees it at zero sees all that was settled.
        self.settlements.open.fetch_sub(1, Ordering::Release);
        self.settlements.changed.notify_one();
    }

    fn haste(&self) -> Haste {
        Haste::None
    }
}

impl fmt::Debug for RecordEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RecordEnd").field(&self.entry).finish()
    }
}

/// The events' sources have heard already.
#[derive(Debug)]
struct Nobody;

impl Settled for Nobody {
    fn settled(&self, _tally: Tally) {}
}
