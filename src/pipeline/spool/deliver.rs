//! What the driver gets: shares as they were stored, or read back.

use std::sync::Arc;

use super::super::router::SHARE_OVERHEAD_BYTES;
use super::Spool;
use crate::buffer::disk::{Entry, Read};
use crate::event::{Outcome, Rows, Share};
use crate::telemetry::Demand;

impl Spool {
    /// A share is on disk: its source hears so, and the driver gets it if there
    /// is memory and nothing before it has been let go.
    pub(super) fn stored(&mut self, share: Share, demand: Demand, entry: Entry) {
        let keep = !self.stopped && !self.is_behind();
        let keep = self.ledger.store(self.sink, demand, keep);
        let Share { batch, rows, ack } = share;
        ack.settle(Outcome::Delivered);
        self.committed = entry.seq;
        if keep {
            self.next = entry.seq + 1;
            self.seeked = false;
            let ack = self.settlements.ack(entry, batch.rows(), rows.clone());
            self.outbox.push(Share { batch, rows, ack }, demand);
        }
    }

    /// A share that no log can hold: the driver gets it with its source's ack.
    pub(super) fn bypass(&mut self, share: Share, demand: Demand) {
        // Charged as if it were stored, to be freed as if it were.
        if !self.ledger.store(self.sink, demand, true) {
            self.ledger.load(self.sink, demand);
        }
        self.outbox.push(share, demand);
    }

    /// Whether the driver has not got all that is stored.
    pub(super) fn is_behind(&self) -> bool {
        self.next <= self.committed
    }

    /// Reads back what is only on disk, as far as there is memory.
    pub(super) fn deliver_stored(&mut self) {
        while self.is_behind() && !self.stopped && self.ledger.may_load(self.sink) {
            self.seek();
            let stored = match self.reader.read() {
                Ok(Read::Record(stored)) if stored.entry.seq <= self.committed => stored,
                Ok(Read::Lost(lost)) => {
                    self.ledger.lose(self.sink, lost.events);
                    let events = lost.events;
                    tracing::error!(
                        sink = &*self.name,
                        events,
                        "records of the disk buffer are corrupt: their events are lost"
                    );
                    continue;
                }
                Ok(_) => {
                    self.caught_up();
                    continue;
                }
                Err(error) => {
                    self.say(&error.to_string());
                    self.touch();
                    return;
                }
            };
            let entry = stored.entry;
            let batch = self.restore.batch(&stored);
            self.next = entry.seq + 1;
            let demand = Demand {
                events: batch.rows() as u64,
                bytes: batch.pinned_bytes() as u64 + SHARE_OVERHEAD_BYTES,
            };
            self.ledger.load(self.sink, demand);
            let ack = self.settlements.ack(entry, batch.rows(), Rows::All);
            let (batch, rows) = (Arc::new(batch), Rows::All);
            self.outbox.push(Share { batch, rows, ack }, demand);
        }
    }

    /// Brings the reader to the next record.
    pub(super) fn seek(&mut self) {
        if !self.seeked {
            self.reader.seek(self.next);
            self.seeked = true;
        }
    }

    /// There is nothing left to read of what is stored.
    pub(super) fn caught_up(&mut self) {
        self.next = self.committed + 1;
        self.seeked = false;
    }
}
