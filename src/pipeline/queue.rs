//! A sink's queue as its driver, and those that pass copies on to it, see it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::lanes::Lanes;
use crate::buffer::Memory;
use crate::event::{Batch, Needs, Rows, Share};
use crate::parse::Formats;
use crate::sink::driver::Feed;
use crate::telemetry::Demand;

/// A sink's buffer, whichever driver empties it, and who may still push to it.
pub(super) struct Reservoir {
    /// What is routed to it.
    pub(super) inbox: Arc<Memory>,
    /// What its driver takes from: the same, unless its buffer is on disk.
    pub(super) buffer: Arc<Memory>,
    users: watch::Sender<()>,
}

/// As long as it is there, something may be pushed.
pub(super) struct User {
    _in_use: watch::Receiver<()>,
}

impl Reservoir {
    /// With a stage between inbox and driver, if it is `on_disk`.
    pub(super) fn new(on_disk: bool) -> Reservoir {
        let inbox = Arc::<Memory>::default();
        Reservoir {
            buffer: if on_disk {
                Arc::default()
            } else {
                inbox.clone()
            },
            inbox,
            users: watch::Sender::new(()),
        }
    }

    pub(super) fn user(&self) -> User {
        User {
            _in_use: self.users.subscribe(),
        }
    }

    /// The queue of the driver that empties it.
    pub(super) fn feed(&self, reread: Option<Reread>) -> Arc<Queue> {
        Arc::new(Queue {
            inbox: self.inbox.clone(),
            buffer: self.buffer.clone(),
            reread: reread.map(Mutex::new),
            _user: None,
        })
    }

    /// The queue of one who passes copies on to it.
    pub(super) fn passage(&self) -> Arc<Queue> {
        Arc::new(Queue {
            inbox: self.inbox.clone(),
            buffer: self.buffer.clone(),
            reread: None,
            _user: Some(self.user()),
        })
    }

    /// Waits until nothing can be pushed any more, and ends the queue.
    pub(super) async fn close(&self) {
        self.users.closed().await;
        self.inbox.close();
    }
}

/// One end of a queue.
pub(super) struct Queue {
    inbox: Arc<Memory>,
    buffer: Arc<Memory>,
    /// For a driver that inherits copies which were read for another plan.
    reread: Option<Mutex<Reread>>,
    _user: Option<User>,
}

impl Queue {
    fn fit(&self, taken: Option<(Share, Demand)>) -> Option<(Share, Demand)> {
        let (share, demand) = taken?;
        let Some(reread) = &self.reread else {
            return Some((share, demand));
        };
        let mut reread = reread.lock().unwrap_or_else(PoisonError::into_inner);
        Some((reread.fit(share), demand))
    }
}

impl Feed for Queue {
    async fn pop(&self) -> Option<(Share, Demand)> {
        let taken = self.buffer.pop().await;
        self.fit(taken)
    }

    fn try_pop(&self) -> Option<(Share, Demand)> {
        self.fit(self.buffer.try_pop())
    }

    fn push(&self, share: Share, demand: Demand) {
        self.inbox.push(share, demand);
    }

    fn put_back(&self, share: Share, demand: Demand) {
        self.buffer.put_back(share, demand);
    }
}

/// Reads events again that were read for a plan which wanted less of them: a
/// sink that has changed may need what its predecessor did not.
pub(super) struct Reread {
    needs: Arc<Needs>,
    /// By the source's place in the ledger.
    sources: HashMap<usize, Lanes>,
    json: Lanes,
}

impl Reread {
    pub(super) fn new(
        needs: &Arc<Needs>,
        sources: &[(usize, Arc<Formats>)],
        json: &Arc<Formats>,
    ) -> Reread {
        let lanes = |(slot, formats): &(usize, Arc<Formats>)| (*slot, Lanes::new(formats.clone()));
        Reread {
            needs: needs.clone(),
            sources: sources.iter().map(lanes).collect(),
            json: Lanes::new(json.clone()),
        }
    }

    fn fit(&mut self, share: Share) -> Share {
        if share.batch.columns().has(&self.needs, share.batch.rows()) {
            return share;
        }
        let mut batch = share.batch.copy_rows(&share.rows);
        self.lanes(&batch).parse(&mut batch);
        Share {
            batch: Arc::new(batch),
            rows: Rows::All,
            ack: share.ack,
        }
    }

    /// Edited events are JSON, whatever their source's format.
    fn lanes(&mut self, batch: &Batch) -> &mut Lanes {
        let edited =
            batch.rows() > 0 && (0..batch.rows()).all(|row| batch.columns().json().contains(row));
        let source = batch.stream.source;
        match self.sources.get_mut(&source) {
            Some(lanes) if !edited => lanes,
            _ => &mut self.json,
        }
    }
}
