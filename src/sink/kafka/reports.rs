//! Delivery reports: who waits for how many, and what failed.
//!
//! librdkafka carries one pointer-sized number with every message and gives it
//! back with the report: the writer's seat, which of its loads, and the item in
//! it. So a report costs one atomic subtraction and no allocation; only
//! failures take a lock.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::Notify;

/// Writers at once; more than the sink ever makes.
const SEATS_MAX: usize = 64;
/// Bits of a load's number: a late report would have to be 16 million loads
/// late to be taken for one of another load.
const LOAD_BITS: u32 = 24;

const _: () = assert!(usize::BITS == 64, "a report's number has 64 bits");

/// The reports of all writers of one sink.
pub(super) struct Reports {
    seats: Vec<Seat>,
    /// A bit for each seat that is taken.
    taken: AtomicU64,
}

#[derive(Default)]
struct Seat {
    /// The load's number above, the reports that are still to come below.
    state: AtomicU64,
    failures: Mutex<Vec<(u32, Code)>>,
    done: Notify,
}

impl Seat {
    fn remaining(&self) -> u32 {
        self.state.load(Ordering::Acquire) as u32
    }

    /// Counts reports of the load, unless another has begun since.
    fn count(&self, load: u64, reports: u64) {
        let change = |state: u64| {
            (state >> 32 == load && state & u64::from(u32::MAX) >= reports).then(|| state - reports)
        };
        let before = self
            .state
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, change);
        if before.is_ok_and(|state| state & u64::from(u32::MAX) == reports) {
            self.done.notify_one();
        }
    }
}

impl Reports {
    pub(super) fn new() -> Arc<Reports> {
        Arc::new(Reports {
            seats: (0..SEATS_MAX).map(|_| Seat::default()).collect(),
            taken: AtomicU64::new(0),
        })
    }

    /// A seat for a writer; none if too many are taken.
    pub(super) fn seat(self: &Arc<Self>) -> Option<Waiting> {
        let free = |taken: u64| (taken != u64::MAX).then(|| taken | (taken + 1));
        let before = self
            .taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, free)
            .ok()?;
        let seat = before.trailing_ones() as usize;
        // Counts on where the seat's last writer stopped: late reports of its
        // loads must not be taken for the new one's.
        let load = self.seats[seat].state.load(Ordering::Acquire) >> 32;
        Some(Waiting {
            reports: self.clone(),
            seat,
            load,
        })
    }

    /// Hears that a message was delivered.
    pub(super) fn delivered(&self, number: usize) {
        let (seat, load, _) = split(number);
        if let Some(seat) = self.seats.get(seat) {
            seat.count(load, 1);
        }
    }

    /// Hears that a message was not delivered.
    pub(super) fn failed(&self, number: usize, code: Code) {
        let (seat, load, item) = split(number);
        let Some(seat) = self.seats.get(seat) else {
            return;
        };
        {
            let mut failures = seat.failures.lock().unwrap_or_else(PoisonError::into_inner);
            if seat.state.load(Ordering::Acquire) >> 32 == load {
                failures.push((item, code));
            }
        }
        seat.count(load, 1);
    }

    /// How many reports are still to come, for all writers.
    pub(super) fn outstanding(&self) -> u64 {
        self.seats.iter().map(|s| u64::from(s.remaining())).sum()
    }
}

/// Seat, load and item of a message's number.
fn split(number: usize) -> (usize, u64, u32) {
    let load = (number as u64 >> 32) & ((1 << LOAD_BITS) - 1);
    (number >> (32 + LOAD_BITS), load, number as u32)
}

/// A writer's place, where it waits for the reports of its load.
pub(super) struct Waiting {
    reports: Arc<Reports>,
    seat: usize,
    load: u64,
}

impl Waiting {
    fn seat(&self) -> &Seat {
        &self.reports.seats[self.seat]
    }

    /// Begins a load of so many messages; reports of earlier ones no longer count.
    pub(super) fn begin(&mut self, messages: u32) {
        self.load = (self.load + 1) & ((1 << LOAD_BITS) - 1);
        let seat = &self.reports.seats[self.seat];
        let mut failures = seat.failures.lock().unwrap_or_else(PoisonError::into_inner);
        failures.clear();
        seat.state
            .store(self.load << 32 | u64::from(messages), Ordering::Release);
    }

    /// The number that an item's message carries.
    pub(super) fn number(&self, item: u32) -> usize {
        self.seat << (32 + LOAD_BITS) | (self.load as usize) << 32 | item as usize
    }

    /// Says that a message was never sent, so that no report of it will come.
    pub(super) fn unsent(&self) {
        self.seat().count(self.load, 1);
    }

    /// Waits until every report is in.
    pub(super) async fn done(&self) {
        while self.seat().remaining() > 0 {
            self.seat().done.notified().await;
        }
    }

    /// The failures among them.
    pub(super) fn failures(&self) -> Vec<(u32, Code)> {
        let failures = self.seat().failures.lock();
        std::mem::take(&mut failures.unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        // Nobody waits for what is still on its way.
        self.seat().state.store(self.load << 32, Ordering::Release);
        self.reports
            .taken
            .fetch_and(!(1 << self.seat), Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_load_is_done_with_its_last_report() {
        let reports = Reports::new();
        let mut waiting = reports.seat().unwrap();
        waiting.begin(4);
        let numbers: Vec<_> = (0..4).map(|item| waiting.number(item)).collect();
        reports.delivered(numbers[0]);
        reports.failed(numbers[2], Code::PurgeQueue);
        waiting.unsent();
        assert_eq!(reports.outstanding(), 1);
        let done = tokio::time::timeout(std::time::Duration::ZERO, waiting.done()).await;
        assert!(done.is_err(), "one report is missing");
        reports.delivered(numbers[3]);
        waiting.done().await;
        assert_eq!(waiting.failures(), [(2, Code::PurgeQueue)]);
    }

    #[tokio::test]
    async fn reports_of_a_load_given_up_do_not_count() {
        let reports = Reports::new();
        let mut waiting = reports.seat().unwrap();
        waiting.begin(2);
        let late = waiting.number(0);
        waiting.begin(1);
        reports.delivered(late);
        reports.failed(late, Code::PurgeQueue);
        assert_eq!(reports.outstanding(), 1);
        reports.delivered(waiting.number(0));
        waiting.done().await;
        assert!(waiting.failures().is_empty());
    }

    #[test]
    fn seats_are_bounded_and_come_back() {
        let reports = Reports::new();
        let mut all: Vec<_> = (0..SEATS_MAX).map(|_| reports.seat().unwrap()).collect();
        assert!(reports.seat().is_none());
        all.remove(7);
        assert_eq!(reports.seat().unwrap().seat, 7);
    }
}
