//! The order in which loads enter the producer.
//!
//! Loads are written by several writers at once, and a partition keeps the
//! order in which messages enter. So every load draws a ticket when it is first
//! written, and enters when no lower ticket waits; only the wait for reports
//! overlaps. A load that is to be tried again keeps its ticket and goes first.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

/// How long others wait for a failed load to come back: above any pause of the
/// driver's, and not for ever, should it never come.
const FAILED_MAX: Duration = Duration::from_mins(2);

/// The tickets of one sink.
#[derive(Default)]
pub(super) struct Order {
    next: AtomicU64,
    /// Not entered yet; with the time of failure while its load is with the driver.
    waiting: Mutex<BTreeMap<u64, Option<Instant>>>,
    changed: Notify,
}

impl Order {
    fn waiting(&self) -> MutexGuard<'_, BTreeMap<u64, Option<Instant>>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Stands in the queue, with a ticket kept from a failed attempt or a new one.
    pub(super) fn queue(self: &Arc<Self>, kept: Option<u64>) -> Ticket {
        let number = kept.unwrap_or_else(|| self.next.fetch_add(1, Ordering::Relaxed));
        self.waiting().insert(number, None);
        Ticket {
            order: self.clone(),
            number,
            kept: false,
        }
    }

    /// Keeps the place of a load that will be tried again.
    pub(super) fn keep(&self, number: u64) {
        self.waiting().insert(number, Some(Instant::now()));
    }

    /// Gives up a kept place.
    pub(super) fn give_up(&self, number: u64) {
        self.waiting().remove(&number);
        self.changed.notify_waiters();
    }

    /// Whether a ticket is the first; failed loads that never came back are
    /// not waited for.
    fn is_first(&self, number: u64) -> bool {
        let mut waiting = self.waiting();
        while let Some(first) = waiting.first_entry() {
            let lost = first.get().is_some_and(|at| at.elapsed() > FAILED_MAX);
            if !lost {
                return *first.key() >= number;
            }
            first.remove();
        }
        true
    }
}

/// A place in the queue; dropped, the next may enter.
pub(super) struct Ticket {
    order: Arc<Order>,
    number: u64,
    kept: bool,
}

impl Ticket {
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Keeps its place: it did not enter, and its load will be tried again.
    pub(super) fn keep(mut self) -> u64 {
        self.kept = true;
        self.order.keep(self.number);
        self.number
    }

    /// Waits until it is the first.
    pub(super) async fn turn(&self) {
        loop {
            let changed = self.order.changed.notified();
            tokio::pin!(changed);
            // From here on, no change is missed.
            changed.as_mut().enable();
            if self.order.is_first(self.number) {
                return;
            }
            // Either way it looks again.
            let _ = timeout(FAILED_MAX, changed).await;
        }
    }
}

impl Drop for Ticket {
    fn drop(&mut self) {
        if !self.kept {
            self.order.give_up(self.number);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn enters(ticket: &Ticket) -> bool {
        timeout(Duration::ZERO, ticket.turn()).await.is_ok()
    }

    #[tokio::test(start_paused = true)]
    async fn loads_enter_in_the_order_they_came() {
        let order = Arc::new(Order::default());
        let (first, second) = (order.queue(None), order.queue(None));
        assert!(enters(&first).await && !enters(&second).await);
        drop(first);
        assert!(enters(&second).await);
    }

    #[tokio::test(start_paused = true)]
    async fn a_failed_load_goes_first_when_it_comes_back() {
        let order = Arc::new(Order::default());
        let failed = order.queue(None).number();
        order.keep(failed);
        let later = order.queue(None);
        assert!(!enters(&later).await);
        let again = order.queue(Some(failed));
        assert!(enters(&again).await && !enters(&later).await);
        drop(again);
        assert!(enters(&later).await);
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_never_comes_back_holds_nobody_for_ever() {
        let order = Arc::new(Order::default());
        let failed = order.queue(None).number();
        order.keep(failed);
        let later = order.queue(None);
        later.turn().await;
        let given_up = order.queue(None).number();
        order.keep(given_up);
        let last = order.queue(None);
        drop(later);
        order.give_up(given_up);
        assert!(enters(&last).await);
    }
}
