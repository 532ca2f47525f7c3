//! Admission, and the equations where somebody breaks them.

use futures_util::FutureExt as _;

use super::*;
use crate::event::{Settled, Tally};
use crate::telemetry::{DiskTerms, SourceReport};

fn ledger(quotas: &[(u64, WhenFull)]) -> Arc<Ledger> {
    let quotas = quotas.iter().map(|&(bytes_max, when_full)| Quota {
        bytes_max,
        when_full,
    });
    Ledger::new(1, 1, quotas.collect())
}

fn transfer(events: u64, demands: &[(u64, u64)]) -> Transfer {
    Transfer {
        evaluated: events,
        first: vec![events],
        matched: vec![events],
        demands: demands
            .iter()
            .map(|&(events, bytes)| Demand { events, bytes })
            .collect(),
        ..Transfer::default()
    }
}

#[tokio::test]
async fn nothing_enters_until_every_required_sink_has_room() {
    let ledger = ledger(&[(100, WhenFull::Block), (100, WhenFull::Block)]);
    let mut entries = Vec::new();
    ledger.receive(0, 6, 60, 0);
    ledger
        .admit(0, &transfer(3, &[(3, 10), (3, 100)]), &mut entries, |_| {
            None
        })
        .await;
    let second = transfer(3, &[(3, 10), (3, 10)]);
    let mut admission = tokio::spawn({
        let ledger = ledger.clone();
        async move { ledger.admit(0, &second, &mut Vec::new(), |_| None).await }
    });
    tokio::task::yield_now().await;
    assert_eq!(
        ledger.snapshot().sinks[0].entered,
        3,
        "the free sink must not get a part"
    );
    assert!(!admission.is_finished());
    ledger.send(1, 3);
    ledger.deliver(
        1,
        Demand {
            events: 3,
            bytes: 100,
        },
        Sent::default(),
    );
    (&mut admission).await.unwrap();
    let now = ledger.snapshot();
    assert_eq!((now.sinks[0].entered, now.sinks[1].entered), (6, 6));
    assert_eq!(now.violations(), [""; 0]);
}

#[tokio::test]
async fn best_effort_sinks_hold_nobody_and_count_what_they_drop() {
    let ledger = ledger(&[(100, WhenFull::DropNewest), (100, WhenFull::DropOldest)]);
    let mut entries = Vec::new();
    ledger.receive(0, 4, 0, 0);
    for _ in 0..2 {
        let mut batch = transfer(2, &[(2, 80), (2, 80)]);
        batch.best_effort = 2;
        let evict = |sink| {
            (sink == 1).then_some(Demand {
                events: 2,
                bytes: 80,
            })
        };
        ledger.admit(0, &batch, &mut entries, evict).await;
    }
    assert_eq!(entries, [Entry::Dropped, Entry::Entered]);
    let now = ledger.snapshot();
    assert_eq!(now.violations(), [""; 0]);
    assert_eq!(
        (
            now.sinks[0].dropped.buffer_full,
            now.sinks[1].dropped.buffer_full
        ),
        (2, 2)
    );
    assert_eq!((now.sources[0].best_effort, now.sources[0].open), (4, 0));
}

#[test]
fn the_equations_notice_an_event_that_is_nowhere() {
    let ledger = ledger(&[]);
    ledger.receive(0, 2, 0, 0);
    SourceReport {
        ledger: ledger.clone(),
        source: 0,
    }
    .settled(Tally {
        accepted: 1,
        ..Tally::default()
    });
    assert_eq!(ledger.snapshot().violations(), [""; 0]);
    assert_eq!(ledger.snapshot().violations_at_end().len(), 1);
    ledger.lock().sources[0].open = 0;
    assert_eq!(ledger.snapshot().violations().len(), 1);
}

/// What a driver has in its hands cannot be evicted, and may stay there for long.
#[test]
fn a_sink_that_drops_the_oldest_drops_the_newest_where_nothing_older_waits() {
    let ledger = ledger(&[(100, WhenFull::DropOldest), (100, WhenFull::Block)]);
    let mut entries = Vec::new();
    ledger.receive(0, 4, 0, 0);
    for expected in [Entry::Entered, Entry::Dropped] {
        let batch = transfer(2, &[(2, 80), (2, 10)]);
        let admitted = ledger.admit(0, &batch, &mut entries, |_| None);
        assert!(admitted.now_or_never().is_some(), "it waits for nobody");
        assert_eq!(entries, [expected, Entry::Entered]);
        ledger.send(0, if expected == Entry::Entered { 2 } else { 0 });
    }
    let now = ledger.snapshot();
    assert_eq!(now.violations(), [""; 0]);
    assert_eq!(now.sinks[0].dropped.buffer_full, 2);
}

/// What an earlier buffer of the run has left on disk is not counted twice, and a
/// record of which a part was delivered comes back whole.
#[tokio::test]
async fn a_buffer_on_disk_that_is_opened_again_balances() {
    let ledger = ledger(&[(100, WhenFull::Block)]);
    let demand = Demand {
        events: 5,
        bytes: 10,
    };
    ledger.recover(0, 0, DiskTerms::default());
    ledger.receive(0, 5, 0, 0);
    let batch = transfer(5, &[(5, 10)]);
    ledger.admit(0, &batch, &mut Vec::new(), |_| None).await;
    assert!(ledger.store(0, demand, true));
    assert!(!ledger.leave_disk(0), "it is in memory still");
    ledger.send(0, 5);
    ledger.give_up(0, demand, Outcome::Shutdown, true);
    assert!(ledger.leave_disk(0));
    ledger.set_disk(0, DiskTerms::default());
    let terms = ledger.snapshot().sinks[0].clone();
    assert_eq!((terms.disk, terms.queued_disk), (None, 5));
    for (events, recovered, corrupt) in [(7, 2, 0), (6, 2, 1)] {
        ledger.recover(0, events, DiskTerms::default());
        let now = ledger.snapshot();
        assert_eq!(now.violations(), [""; 0]);
        let terms = &now.sinks[0];
        assert_eq!(
            (terms.queued_disk, terms.recovered, terms.dropped.corrupt),
            (events, recovered, corrupt)
        );
    }
}

/// A batch that waits for room is let in once what is before it is on disk, kept
/// in memory or not.
#[tokio::test]
async fn what_is_on_disk_keeps_nothing_out() {
    let ledger = ledger(&[(10, WhenFull::Block)]);
    ledger.recover(0, 0, DiskTerms::default());
    ledger.receive(0, 2, 0, 0);
    let first = transfer(1, &[(1, 100)]);
    ledger.admit(0, &first, &mut Vec::new(), |_| None).await;
    let mut admission = tokio::spawn({
        let ledger = ledger.clone();
        async move {
            let second = transfer(1, &[(1, 100)]);
            ledger.admit(0, &second, &mut Vec::new(), |_| None).await;
        }
    });
    tokio::task::yield_now().await;
    assert!(!admission.is_finished());
    let demand = Demand {
        events: 1,
        bytes: 100,
    };
    assert!(ledger.store(0, demand, true));
    (&mut admission).await.unwrap();
    assert_eq!(ledger.snapshot().violations(), [""; 0]);
}
