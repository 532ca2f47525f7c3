//! A request's wait for the end of all its batches.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Notify, OwnedSemaphorePermit};

use crate::event::{Settled, Tally};

/// What the batches of one request have in common.
#[derive(Debug)]
pub(super) struct Awaited {
    /// Batches that have not settled, and one while the body is read.
    open: AtomicUsize,
    given_up: AtomicBool,
    done: Notify,
}

/// One batch of a request, until it settles.
pub(super) struct Sent {
    request: Arc<Awaited>,
    /// Its part of the source's window, which is free again once the batch is.
    _charge: OwnedSemaphorePermit,
}

impl Awaited {
    pub(super) fn new() -> Arc<Awaited> {
        Arc::new(Awaited {
            open: AtomicUsize::new(1),
            given_up: AtomicBool::new(false),
            done: Notify::new(),
        })
    }

    /// The waiter of one more batch.
    pub(super) fn batch(self: &Arc<Self>, charge: OwnedSemaphorePermit) -> Arc<dyn Settled> {
        self.open.fetch_add(1, Ordering::Relaxed);
        Arc::new(Sent {
            request: self.clone(),
            _charge: charge,
        })
    }

    /// Waits until every batch has settled; whether all of them are kept. No
    /// batch may follow.
    pub(super) async fn kept(&self) -> bool {
        self.release();
        self.done.notified().await;
        !self.given_up.load(Ordering::Acquire)
    }

    fn release(&self) {
        if self.open.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.done.notify_one();
        }
    }
}

impl Settled for Sent {
    fn settled(&self, tally: Tally) {
        if !tally.is_kept() {
            self.request.given_up.store(true, Ordering::Release);
        }
        self.request.release();
    }
}

impl std::fmt::Debug for Sent {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Sent").field(&self.request).finish()
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use tokio::sync::Semaphore;

    use super::*;

    #[tokio::test]
    async fn a_request_waits_for_its_last_batch_and_remembers_the_worst() {
        assert!(Awaited::new().kept().await, "nothing sent, nothing lost");
        for (second, kept) in [
            (Tally::default(), true),
            (
                Tally {
                    returned: 1,
                    ..Tally::default()
                },
                false,
            ),
        ] {
            let window = Arc::new(Semaphore::new(10));
            let awaited = Awaited::new();
            let batch = || awaited.batch(window.clone().try_acquire_many_owned(5).unwrap());
            let batches = [batch(), batch()];
            batches[1].settled(second);
            let mut done = Box::pin(awaited.kept());
            assert_eq!(done.as_mut().now_or_never(), None);
            batches[0].settled(Tally {
                accepted: 3,
                ..Tally::default()
            });
            assert_eq!(done.await, kept);
            assert_eq!(window.available_permits(), 0);
            drop(batches);
            assert_eq!(window.available_permits(), 10);
        }
    }
}
