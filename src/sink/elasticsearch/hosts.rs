//! Several hosts of one cluster: each takes its turn, those that failed wait.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::http::uri::Authority;
use tokio::time::Instant;

/// A host that failed is left alone for this long, then for twice as long.
const PAUSE_MIN: Duration = Duration::from_secs(1);
const PAUSE_MAX: Duration = Duration::from_mins(1);

/// The hosts and how they are.
pub(super) struct Hosts {
    hosts: Vec<Authority>,
    state: Mutex<State>,
}

struct State {
    /// Whose turn it is.
    next: usize,
    health: Vec<Health>,
}

/// How a host is; well, if it has no `until`.
#[derive(Clone, Copy, Default)]
struct Health {
    failures: u32,
    until: Option<Instant>,
}

impl Hosts {
    /// `hosts` must not be empty.
    pub(super) fn new(hosts: Vec<Authority>) -> Hosts {
        let state = State {
            next: 0,
            health: vec![Health::default(); hosts.len()],
        };
        Hosts {
            hosts,
            state: Mutex::new(state),
        }
    }

    pub(super) fn count(&self) -> usize {
        self.hosts.len()
    }

    pub(super) fn get(&self, host: usize) -> &Authority {
        &self.hosts[host]
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The host to ask next, of those not yet tried: the next in turn that is
    /// well, else the one that has waited for longest.
    pub(super) fn pick(&self, tried: &[usize]) -> Option<usize> {
        let mut state = self.state();
        let now = Instant::now();
        let count = self.hosts.len();
        let (start, health) = (state.next, &state.health);
        let turn = (0..count).map(|step| (start + step) % count);
        let picked = turn
            .filter(|host| !tried.contains(host))
            .min_by_key(|&host| {
                // The first of equals is the one whose turn it is.
                health[host].until.filter(|until| *until > now)
            })?;
        state.next = (picked + 1) % count;
        Some(picked)
    }

    /// Says that a host answered as it should.
    pub(super) fn worked(&self, host: usize) {
        self.state().health[host] = Health::default();
    }

    /// Says that a host did not answer, or could not serve.
    pub(super) fn failed(&self, host: usize) {
        let now = Instant::now();
        let health = &mut self.state().health[host];
        // Loads that were under way together fail together: once is enough.
        if health.until.is_some_and(|until| until > now) {
            return;
        }
        let pause = PAUSE_MIN.saturating_mul(1 << health.failures.min(6));
        health.failures += 1;
        health.until = Some(now + pause.min(PAUSE_MAX));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(count: usize) -> Hosts {
        let host = |n: usize| format!("h{n}:9200").parse().unwrap();
        Hosts::new((0..count).map(host).collect())
    }

    #[tokio::test(start_paused = true)]
    async fn each_has_its_turn_and_the_failed_wait() {
        let hosts = hosts(3);
        let picked = || hosts.pick(&[]).unwrap();
        assert_eq!([picked(), picked(), picked(), picked()], [0, 1, 2, 0]);
        hosts.failed(1);
        assert_eq!([picked(), picked(), picked()], [2, 0, 2]);
        tokio::time::advance(PAUSE_MIN).await;
        assert_eq!([picked(), picked()], [0, 1]);
        // A second failure costs twice the pause, a success forgives both.
        hosts.failed(1);
        tokio::time::advance(PAUSE_MIN).await;
        assert_eq!([picked(), picked(), picked()], [2, 0, 2]);
        hosts.worked(1);
        assert_eq!([picked(), picked(), picked()], [0, 1, 2]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_none_is_well_all_are_tried_the_longest_waiting_first() {
        let hosts = hosts(2);
        hosts.failed(1);
        tokio::time::advance(Duration::from_millis(1)).await;
        hosts.failed(0);
        assert_eq!(hosts.pick(&[]), Some(1));
        assert_eq!(hosts.pick(&[1]), Some(0));
        assert_eq!(hosts.pick(&[1, 0]), None);
        for _ in 0..100 {
            tokio::time::advance(PAUSE_MAX).await;
            hosts.failed(0);
        }
        tokio::time::advance(PAUSE_MAX).await;
        let health = hosts.state().health[0];
        assert!(
            health.until.unwrap() <= Instant::now(),
            "pauses are bounded"
        );
    }
}
