//! A queue in memory.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::event::Share;
use crate::telemetry::Demand;

/// A first-in first-out queue of shares with what each was charged.
#[derive(Default)]
pub struct Memory {
    queue: Mutex<Queue>,
    changed: Notify,
}

#[derive(Default)]
struct Queue {
    shares: VecDeque<(Share, Demand)>,
    closed: bool,
}

impl Queue {
    fn pop(&mut self) -> Option<(Share, Demand)> {
        #[cfg(test)]
        if crate::seam::mutant::Mutant::Reordered.is_on() {
            return self.shares.pop_back();
        }
        self.shares.pop_front()
    }
}

impl Memory {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a share for which room was reserved.
    pub fn push(&self, share: Share, demand: Demand) {
        self.lock().shares.push_back((share, demand));
        self.changed.notify_one();
    }

    /// Puts a share back that was just popped.
    pub fn put_back(&self, share: Share, demand: Demand) {
        self.lock().shares.push_front((share, demand));
        self.changed.notify_one();
    }

    /// The oldest share, if there is one now.
    #[must_use]
    pub fn try_pop(&self) -> Option<(Share, Demand)> {
        self.lock().pop()
    }

    /// The oldest share, waiting for one; `None` once closed and empty. One
    /// consumer at a time.
    pub async fn pop(&self) -> Option<(Share, Demand)> {
        loop {
            {
                let mut queue = self.lock();
                if let Some(oldest) = queue.pop() {
                    return Some(oldest);
                }
                if queue.closed {
                    return None;
                }
            }
            // A push or close since the look has left a permit behind.
            self.changed.notified().await;
        }
    }

    /// Ends the queue: what is in it can still be taken.
    pub fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_one();
    }
}
