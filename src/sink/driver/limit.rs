//! How many attempts may run at once: more while it goes well, half when it
//! does not (additive increase, multiplicative decrease). A load that waits
//! for its next attempt takes no place, so that one that cannot succeed does
//! not hold up the others.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

/// The limit of one sink.
pub(super) struct Limit {
    max: usize,
    adaptive: bool,
    state: Mutex<State>,
    freed: Notify,
}

struct State {
    now: f64,
    active: usize,
    /// Attempts that ended since the limit last fell: those that were in
    /// flight together and fail together lower it once.
    since: usize,
}

/// The right to one attempt, until it is dropped.
pub(super) struct Permit<'a>(&'a Limit);

impl Limit {
    /// Always `max`.
    pub(super) fn fixed(max: usize) -> Limit {
        Limit::new(max, false)
    }

    /// From one up to `max`.
    pub(super) fn adaptive(max: usize) -> Limit {
        Limit::new(max, true)
    }

    fn new(max: usize, adaptive: bool) -> Limit {
        let max = max.max(1);
        let state = State {
            now: if adaptive { 1.0 } else { max as f64 },
            active: 0,
            since: usize::MAX,
        };
        Limit {
            max,
            adaptive,
            state: Mutex::new(state),
            freed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The most that there can ever be.
    pub(super) fn max(&self) -> usize {
        self.max
    }

    /// How many there may be now.
    pub(super) fn now(&self) -> usize {
        self.lock().now as usize
    }

    /// Whether one more attempt could start now.
    pub(super) fn has_room(&self) -> bool {
        let state = self.lock();
        state.active < state.now as usize
    }

    /// Waits until one more attempt could start.
    pub(super) async fn room(&self) {
        drop(self.acquire().await);
    }

    /// Waits until one more attempt may start.
    pub(super) async fn acquire(&self) -> Permit<'_> {
        loop {
            let freed = self.freed.notified();
            tokio::pin!(freed);
            freed.as_mut().enable();
            {
                let mut state = self.lock();
                if state.active < state.now as usize {
                    state.active += 1;
                    return Permit(self);
                }
            }
            freed.await;
        }
    }

    /// An attempt succeeded: one more for every round of them.
    pub(super) fn succeeded(&self) {
        if self.adaptive {
            let mut state = self.lock();
            state.since = state.since.saturating_add(1);
            state.now = (state.now + 1.0 / state.now).min(self.max as f64);
        }
    }

    /// An attempt failed for want of resources at the far end.
    pub(super) fn failed(&self) {
        if self.adaptive {
            let mut state = self.lock();
            if state.since >= state.now as usize {
                state.now = (state.now / 2.0).max(1.0);
                state.since = 0;
            }
            state.since = state.since.saturating_add(1);
        }
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        self.0.lock().active -= 1;
        self.0.freed.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;

    use super::*;

    #[test]
    fn it_climbs_by_one_a_round_and_falls_by_half_once_a_round() {
        let limit = Limit::adaptive(8);
        let mut seen = vec![limit.now()];
        for _ in 0..100 {
            limit.succeeded();
            let now = limit.now();
            if Some(&now) != seen.last() {
                seen.push(now);
            }
        }
        assert_eq!(seen, [1, 2, 3, 4, 5, 6, 7, 8]);
        for _ in 0..4 {
            limit.failed();
        }
        assert_eq!(limit.now(), 4, "the failures of one round count once");
        for _ in 0..100 {
            limit.failed();
        }
        assert_eq!(limit.now(), 1);
        limit.succeeded();
        assert_eq!(limit.now(), 2);
        assert_eq!(Limit::fixed(0).now(), 1);
    }

    #[tokio::test]
    async fn an_attempt_waits_for_its_place() {
        let limit = Limit::fixed(1);
        let first = limit.acquire().await;
        assert!(!limit.has_room());
        let second = limit.acquire();
        tokio::pin!(second);
        let waits = std::future::poll_fn(|context| {
            std::task::Poll::Ready(second.as_mut().poll(context).is_pending())
        });
        assert!(waits.await);
        drop(first);
        second.await;
        assert!(limit.has_room());
    }
}
