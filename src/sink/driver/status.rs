//! What others see of a driver: whether its sink fails, and the copies that
//! are in the sink's hands.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::work::Held;
use crate::event::Outcome;
use crate::telemetry::{Gauge, Gauges, Ledger};

/// After so many failures in a row a sink is down, and its fallback takes over.
const DOWN_FAILURES: u32 = 5;

/// What others may see of a driver, and ask of it.
#[derive(Default)]
pub struct Status {
    in_flight: Mutex<InFlight>,
    failing: Mutex<Option<String>>,
    delivered_loads: AtomicU64,
    /// Attempts that may run at once; 0 before the driver runs.
    concurrency: AtomicUsize,
    failures_in_a_row: watch::Sender<u32>,
}

/// What is in a sink's hands.
#[derive(Default)]
struct InFlight {
    /// By slot: what is held for a load.
    held: Vec<Option<Vec<Held>>>,
    /// Whether nothing may be put there any more.
    is_written_off: bool,
}

impl Status {
    /// Why the last attempt failed, if it did and none has succeeded since.
    #[must_use]
    pub fn failing(&self) -> Option<String> {
        lock(&self.failing).clone()
    }

    /// Says why it fails, or that it does not; what was said before.
    pub(super) fn set_failing(&self, reason: Option<String>) -> Option<String> {
        std::mem::replace(&mut lock(&self.failing), reason)
    }

    /// Loads delivered so far.
    pub(super) fn delivered_loads(&self) -> u64 {
        self.delivered_loads.load(Ordering::Relaxed)
    }

    pub(super) fn count_load(&self) {
        self.delivered_loads.fetch_add(1, Ordering::Relaxed);
        self.set_down(false);
    }

    /// Says that it is down, or that the last attempt did not fail.
    pub(super) fn set_down(&self, down: bool) {
        let failures = if down { DOWN_FAILURES } else { 0 };
        self.failures_in_a_row
            .send_if_modified(|before| std::mem::replace(before, failures) != failures);
    }

    pub(super) fn count_failure(&self) {
        self.failures_in_a_row
            .send_modify(|failures| *failures = failures.saturating_add(1));
    }

    /// Whether so many attempts in a row have failed that the sink is down.
    pub(super) fn is_down(&self) -> bool {
        *self.failures_in_a_row.borrow() >= DOWN_FAILURES
    }

    pub(super) fn set_concurrency(&self, attempts: usize) {
        self.concurrency.store(attempts, Ordering::Relaxed);
    }

    /// Waits until the sink is down, or is not.
    pub(super) async fn turns(&self, down: bool) {
        let mut failures = self.failures_in_a_row.subscribe();
        // The sender is `self`: it cannot be gone.
        let _ = failures.wait_for(|&f| (f >= DOWN_FAILURES) == down).await;
    }

    /// Where it is found while a sink has the load; given back if the sink is not
    /// to have it, since it was written off.
    pub(super) fn put(&self, slot: usize, held: Vec<Held>) -> Result<(), Vec<Held>> {
        let mut in_flight = lock(&self.in_flight);
        if in_flight.is_written_off {
            return Err(held);
        }
        if in_flight.held.len() <= slot {
            in_flight.held.resize_with(slot + 1, || None);
        }
        in_flight.held[slot] = Some(held);
        Ok(())
    }

    /// What was put; `None` if it was written off meanwhile.
    pub(super) fn take(&self, slot: usize) -> Option<Vec<Held>> {
        let mut in_flight = lock(&self.in_flight);
        in_flight.held.get_mut(slot).and_then(Option::take)
    }

    /// Settles what a sink that never returned still had in its hands. It gets
    /// nothing more: another of its name may write by now.
    pub fn write_off(&self, ledger: &Ledger, sink: usize) {
        let slots: Vec<_> = {
            let mut in_flight = lock(&self.in_flight);
            in_flight.is_written_off = true;
            in_flight.held.drain(..).flatten().collect()
        };
        for held in slots.into_iter().flatten() {
            held.give_up(ledger, sink, Outcome::Shutdown);
        }
    }
}

impl Gauges for Status {
    fn read(&self) -> Vec<Gauge> {
        let value = self.concurrency.load(Ordering::Relaxed) as u64;
        vec![Gauge {
            name: "tflog_sink_concurrency_limit",
            help: "attempts that may run at once: fewer while the far end fails",
            value,
        }]
    }
}

impl Held {
    /// Counts the copies as given up, and says so to who waits.
    pub(super) fn give_up(self, ledger: &Ledger, sink: usize, outcome: Outcome) {
        let returned = outcome != Outcome::Closed && self.ack.is_awaited();
        ledger.give_up(sink, self.demand, outcome, returned);
        self.ack.settle(outcome);
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
