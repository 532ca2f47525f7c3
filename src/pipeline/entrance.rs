//! Between a source and its router: a shortcut, and a short bounded queue.

use std::pin::Pin;
use std::sync::{Arc, Weak};

use tokio::sync::mpsc;

use super::shortcut::{Queued, Shortcut};
use crate::event::Batch;
use crate::source::{Inlet, Notice, SourceError};
use crate::telemetry::Ledger;

/// Batches that may wait for a router: a few keep both sides busy, and each
/// pins a chunk.
const BATCHES_MAX: usize = 4;

/// The queue's end at the source.
pub(super) struct Entrance {
    source: usize,
    ledger: Arc<Ledger>,
    queue: mpsc::Sender<Arrival>,
    /// As long as the router runs.
    shortcut: Weak<Shortcut>,
}

/// A batch that was counted as received. Dropped before it is routed (a stage
/// failed), its events are counted as abandoned.
pub(super) struct Arrival {
    batch: Option<Batch>,
    source: usize,
    ledger: Arc<Ledger>,
    /// Until it is in its router's hands.
    queued: Option<Queued>,
}

impl Entrance {
    /// The entrance to the router of the source at `source` in the ledger.
    pub(super) fn new(
        source: usize,
        ledger: Arc<Ledger>,
        shortcut: &Arc<Shortcut>,
    ) -> (Entrance, mpsc::Receiver<Arrival>) {
        let (queue, arrivals) = mpsc::channel(BATCHES_MAX);
        let entrance = Entrance {
            source,
            ledger,
            queue,
            shortcut: Arc::downgrade(shortcut),
        };
        (entrance, arrivals)
    }
}

impl Entrance {
    /// Counts a batch as received.
    fn receive(&self, batch: Batch) -> Arrival {
        let events = batch.rows() as u64;
        let truncated = batch.truncated().len() as u64;
        self.ledger
            .receive(self.source, events, batch.text().len() as u64, truncated);
        Arrival {
            batch: Some(batch),
            source: self.source,
            ledger: self.ledger.clone(),
            queued: None,
        }
    }
}

impl Inlet for Entrance {
    fn try_send(&self, batch: Batch) -> Result<(), Batch> {
        match self.queue.try_reserve() {
            Ok(place) => {
                let arrival = self.receive(batch);
                let rest = match self.shortcut.upgrade() {
                    Some(shortcut) => shortcut.take(arrival),
                    None => Some(arrival),
                };
                if let Some(arrival) = rest {
                    place.send(arrival);
                }
                Ok(())
            }
            Err(_) => Err(batch),
        }
    }

    fn send(
        &self,
        batch: Batch,
    ) -> Pin<Box<dyn Future<Output = Result<(), SourceError>> + Send + '_>> {
        let arrival = self.receive(batch);
        let arrival = match self.shortcut.upgrade() {
            Some(shortcut) => shortcut.queued(arrival),
            None => arrival,
        };
        Box::pin(async move {
            self.queue
                .send(arrival)
                .await
                .map_err(|_| SourceError::Closed)
        })
    }

    fn admits(&self) -> bool {
        !self.queue.is_closed() && self.ledger.full_sinks().is_empty()
    }

    fn refuse(&self) {
        self.ledger.refuse(self.source);
    }

    fn is_idle(&self) -> bool {
        self.queue.capacity() == self.queue.max_capacity()
    }

    fn does_little(&self) -> bool {
        let shortcut = self.shortcut.upgrade();
        shortcut.is_some_and(|shortcut| !shortcut.parses())
    }

    fn count(&self, notice: Notice, times: u64) {
        match notice {
            // Counted with the batch that the cut line is in.
            Notice::LineTruncated => {}
            Notice::LineDropped | Notice::FrameInvalid => {
                self.ledger.discard(self.source, times);
            }
            Notice::EventSplit => self.ledger.split(self.source, times),
            Notice::ConnectionIdle | Notice::AcceptFailed | Notice::ChildRestarted => {
                tracing::debug!(source = self.source, ?notice, times);
            }
        }
    }
}

impl Arrival {
    /// The batch, while it is still only received.
    pub(super) fn batch_mut(&mut self) -> Option<&mut Batch> {
        self.batch.as_mut()
    }

    /// Notes that others may not overtake it as long as it lives.
    pub(super) fn note_queued(&mut self, queued: Queued) {
        self.queued = Some(queued);
    }

    /// Takes the batch out to be routed: from here on the caller answers for
    /// its events.
    pub(super) fn take(mut self) -> Option<Batch> {
        self.batch.take()
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        if let Some(batch) = &self.batch {
            self.ledger
                .abandon(self.source, batch.rows() as u64, batch.is_awaited());
        }
    }
}
