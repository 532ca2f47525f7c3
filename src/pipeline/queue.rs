//! A sink's queue as its driver, and those that pass copies on to it, see it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::lanes::Lanes;
use super::parsers::{Parsers, Readers};
use crate::buffer::Memory;
use crate::event::{Rows, Share};
use crate::sink::driver::Feed;
use crate::telemetry::Demand;

/// A sink's buffer, whichever driver empties it, and who may still push to it.
pub(super) struct Reservoir {
    /// What is routed to it.
    pub(super) inbox: Arc<Memory>,
    /// What its driver takes from: the same, unless its buffer is on disk.
    pub(super) buffer: Arc<Memory>,
    /// Whether `buffer` has ended because the stage between has: its driver goes
    /// on with the inbox.
    pub(super) past_disk: Arc<AtomicBool>,
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
            past_disk: Arc::default(),
            users: watch::Sender::new(()),
        }
    }

    /// The same inbox with the same users, and a stage between it and a driver
    /// that is new.
    pub(super) fn onto_disk(&self) -> Reservoir {
        Reservoir {
            inbox: self.inbox.clone(),
            buffer: Arc::default(),
            past_disk: Arc::default(),
            users: self.users.clone(),
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
            past_disk: self.past_disk.clone(),
            reread: reread.map(Mutex::new),
            _user: None,
        })
    }

    /// The queue of one who passes copies on to it.
    pub(super) fn passage(&self) -> Arc<Queue> {
        Arc::new(Queue {
            inbox: self.inbox.clone(),
            buffer: self.buffer.clone(),
            past_disk: self.past_disk.clone(),
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
    past_disk: Arc<AtomicBool>,
    /// For a driver that inherits copies which were read for another plan.
    reread: Option<Mutex<Reread>>,
    _user: Option<User>,
}

impl Queue {
    /// What the driver takes from now.
    fn source(&self) -> &Memory {
        if self.past_disk.load(Ordering::Acquire) {
            &self.inbox
        } else {
            &self.buffer
        }
    }

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
        let mut taken = self.source().pop().await;
        if taken.is_none() && self.past_disk.load(Ordering::Acquire) {
            // Not an end: it may have come while this waited.
            taken = self.inbox.pop().await;
        }
        self.fit(taken)
    }

    fn try_pop(&self) -> Option<(Share, Demand)> {
        self.fit(self.source().try_pop())
    }

    fn push(&self, share: Share, demand: Demand) {
        self.inbox.push(share, demand);
    }

    fn put_back(&self, share: Share, demand: Demand) {
        self.source().put_back(share, demand);
    }
}

/// Reads events again that were read for a plan which wanted less of them: a
/// sink that has changed may need what its predecessor did not.
pub(super) struct Reread {
    parsers: Arc<Parsers>,
    readers: Readers,
    json: Lanes,
}

impl Reread {
    pub(super) fn new(parsers: &Arc<Parsers>) -> Reread {
        Reread {
            readers: Readers::new(parsers.clone()),
            json: Lanes::new(parsers.json.clone()),
            parsers: parsers.clone(),
        }
    }

    fn fit(&mut self, share: Share) -> Share {
        let columns = share.batch.columns();
        if columns.has(&self.parsers.needs, share.batch.rows()) {
            return share;
        }
        let mut batch = share.batch.copy_rows(&share.rows);
        // Edited events are JSON, whatever their source's format.
        let json = batch.columns().json();
        if batch.rows() > 0 && (0..batch.rows()).all(|row| json.contains(row)) {
            self.json.parse(&mut batch);
        } else {
            self.readers.parse(&mut batch);
        }
        Share {
            batch: Arc::new(batch),
            rows: Rows::All,
            ack: share.ack,
        }
    }
}
