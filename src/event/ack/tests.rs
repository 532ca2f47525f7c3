//! Acks and receipts: who hears what, once.

use super::*;
use crate::event::Bits;

#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Tally>>);

impl Settled for Heard {
    fn settled(&self, tally: Tally) {
        self.0.lock().unwrap().push(tally);
    }
}

fn some(rows: &[usize], len: usize) -> Rows {
    let mut bits = Bits::default();
    bits.clear(len);
    rows.iter().for_each(|&r| bits.insert(r));
    bits.to_rows()
}

#[test]
fn an_event_counts_once_by_its_worst_copy() {
    let heard = Arc::new(Heard::default());
    let receipt = Receipt::new(5, some(&[0, 1, 2, 3], 5), heard.clone(), None);
    let a = receipt.ack(some(&[0, 1], 5));
    let b = receipt.ack(some(&[1, 2, 3], 5));
    drop(receipt);
    a.settle(Outcome::Shutdown);
    assert!(heard.0.lock().unwrap().is_empty());
    drop(b);
    let expected = Tally {
        shutdown: 1,
        abandoned: 3,
        ..Tally::default()
    };
    assert_eq!(*heard.0.lock().unwrap(), [expected]);
}

#[test]
fn a_clone_is_a_holder() {
    let heard = Arc::new(Heard::default());
    let receipt = Receipt::new(2, Rows::All, heard.clone(), None);
    let ack = receipt.ack(Rows::All);
    drop(receipt);
    let second = ack.clone();
    ack.settle(Outcome::Delivered);
    assert!(heard.0.lock().unwrap().is_empty());
    second.settle(Outcome::Delivered);
    assert_eq!(heard.0.lock().unwrap()[0].accepted, 2);
}

#[test]
fn a_batch_without_copies_settles_with_its_receipt() {
    let heard = Arc::new(Heard::default());
    drop(Receipt::new(3, some(&[], 3), heard.clone(), None));
    assert_eq!(*heard.0.lock().unwrap(), [Tally::default()]);
}

/// By its contributors' first rows: how a merged event of two batches ends
/// is how each of them ends, whatever other copies they have.
#[test]
fn a_merged_event_ends_for_all_that_are_in_it() {
    for (merged_required, merged_any, settle, expected) in [
        (&[][..], &[][..], None, Outcome::Filtered),
        (&[], &[0], None, Outcome::BestEffort),
        (&[0], &[0], Some(Outcome::Delivered), Outcome::Delivered),
        (&[0], &[0], Some(Outcome::Shutdown), Outcome::Shutdown),
        (&[0], &[0], None, Outcome::Abandoned),
    ] {
        let (one, two) = (Arc::new(Heard::default()), Arc::new(Heard::default()));
        let held = |rows: &[usize], heard: &Arc<Heard>| {
            let late = Late {
                held: some(rows, 3),
                any: some(&[2], 3),
            };
            Receipt::late(3, some(&[2], 3), late, Vec::new(), heard.clone(), None)
        };
        let (first, second) = (held(&[0, 1], &one), held(&[0], &two));
        let acks = vec![first.hold(0), first.hold(1), second.hold(0)];
        first.ack(some(&[2], 3)).settle(Outcome::Delivered);
        second.ack(some(&[2], 3)).settle(Outcome::DeadLettered);
        drop((first, second));
        let late = Late {
            held: some(&[], 1),
            any: some(merged_any, 1),
        };
        let required = some(merged_required, 1);
        let nobody = Arc::new(Heard::default());
        let receipt = Receipt::late(1, required, late, vec![acks], nobody, None);
        let ack = (!merged_required.is_empty()).then(|| receipt.ack(Rows::All));
        drop(receipt);
        if let (Some(ack), Some(outcome)) = (ack, settle) {
            ack.settle(outcome);
        }
        let mut tally = Tally::default();
        (0..2).for_each(|_| tally.count(expected));
        tally.accepted += 1;
        assert_eq!(*one.0.lock().unwrap(), [tally]);
        let mut tally = Tally::default();
        tally.count(expected);
        tally.dead_lettered += 1;
        assert_eq!(*two.0.lock().unwrap(), [tally]);
    }
}

/// An event that is held and has a copy too ends as the worse of both.
#[test]
fn a_held_event_counts_by_its_worst_copy() {
    let heard = Arc::new(Heard::default());
    let waiter = Arc::new(Heard::default());
    let late = Late {
        held: Rows::All,
        any: some(&[1, 2], 3),
    };
    let required = some(&[2], 3);
    let waits = Some(waiter.clone() as Arc<dyn Settled>);
    let receipt = Receipt::late(3, required, late, Vec::new(), heard.clone(), waits);
    let acks: Vec<_> = (0..3).map(|row| receipt.hold(row)).collect();
    assert!(acks[0].is_awaited());
    receipt.ack(some(&[2], 3)).settle(Outcome::Shutdown);
    drop(receipt);
    acks.into_iter()
        .for_each(|ack| ack.settle(Outcome::Filtered));
    let expected = Tally {
        filtered: 1,
        best_effort: 1,
        returned: 1,
        ..Tally::default()
    };
    assert_eq!(*heard.0.lock().unwrap(), [expected]);
    assert_eq!(*waiter.0.lock().unwrap(), [expected]);
}

#[test]
fn copies_split_off_end_on_their_own() {
    let heard = Arc::new(Heard::default());
    let waiter = Arc::new(Heard::default());
    let receipt = Receipt::new(6, Rows::All, heard.clone(), Some(waiter.clone()));
    // Rows 1, 3, 4, 5; of them the places 0 and 2 are rows 1 and 4.
    let mut ack = receipt.ack(some(&[1, 3, 4, 5], 6));
    let refused = ack.split(&[0, 2]).dead_letter();
    drop(receipt);
    refused.settle(Outcome::Delivered);
    let mut rest = ack;
    rest.split(&[1]).settle(Outcome::Delivered);
    drop(rest);
    let expected = Tally {
        accepted: 3,
        dead_lettered: 2,
        returned: 1,
        ..Tally::default()
    };
    assert_eq!(*heard.0.lock().unwrap(), [expected]);
    assert_eq!(*waiter.0.lock().unwrap(), [expected]);
    assert!(!expected.is_kept());
}
