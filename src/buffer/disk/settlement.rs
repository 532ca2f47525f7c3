//! Which records are settled.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Entry;
use super::format::Place;
use super::marks::OUT_OF_ORDER_MAX;
use super::mutant::{self, Mutant};
use super::reader::Lost;
use super::state::Shared;

/// Settles records of a log, in any order, from any thread; clones are the
/// same. In memory only: [`super::Log::maintain`] makes it durable.
#[derive(Clone)]
pub struct Settlement {
    shared: Arc<Shared>,
}

impl Settlement {
    pub(super) fn new(shared: Arc<Shared>) -> Settlement {
        Settlement { shared }
    }

    /// The record was delivered, dead-lettered or dropped: it will not be read
    /// again. Twice is as good as once. Returns whether a segment can be
    /// removed now, by [`super::Log::maintain`].
    // Who calls maintain by the clock need not look.
    #[allow(clippy::must_use_candidate)]
    pub fn settle(&self, entry: Entry) -> bool {
        let mut state = self.shared.lock();
        if entry.seq >= state.next.seq {
            return false;
        }
        if mutant::on(Mutant::SettlePrefix) {
            state.settled.upto.seq = state.settled.upto.seq.max(entry.seq + 1);
        }
        state.settled.settle(entry);
        state.is_removable(state.settled.upto.seq)
    }
}

/// Settled records: all up to a place, and some beyond.
#[derive(Debug, Default)]
pub(super) struct Settled {
    pub(super) upto: Place,
    /// First record of a run to one past its last, and the events in it.
    beyond: BTreeMap<u64, (u64, u64)>,
}

impl Settled {
    /// All before `upto`, and the records `beyond`.
    pub(super) fn new(upto: Place, beyond: &[(u64, u32)]) -> Settled {
        let mut settled = Settled {
            upto,
            ..Settled::default()
        };
        for &(seq, events) in beyond {
            settled.settle(Entry { seq, events });
        }
        settled
    }

    pub(super) fn contains(&self, seq: u64) -> bool {
        let run = self.beyond.range(..=seq).next_back();
        seq < self.upto.seq || run.is_some_and(|(_, &(end, _))| seq < end)
    }

    pub(super) fn settle(&mut self, entry: Entry) {
        if !self.contains(entry.seq) {
            self.insert(entry.seq, entry.seq + 1, u64::from(entry.events));
        }
    }

    fn insert(&mut self, first: u64, end: u64, events: u64) {
        if first != self.upto.seq {
            self.beyond.insert(first, (end, events));
            return;
        }
        self.advance(end, events);
        while let Some(run) = self.beyond.first_entry()
            && *run.key() == self.upto.seq
        {
            let (end, events) = run.remove();
            self.advance(end, events);
        }
    }

    fn advance(&mut self, end: u64, events: u64) {
        self.upto = Place {
            seq: end,
            event: self.upto.event + events,
        };
    }

    /// Settles what is not there between two places; how much of it was not
    /// settled before.
    pub(super) fn lose(&mut self, from: Place, to: Place) -> Lost {
        let from = from.max(self.upto);
        let mut lost = Lost {
            records: 0,
            events: to.event.saturating_sub(from.event),
        };
        // Of a run that reaches in from before, all that was lost with it was
        // counted then.
        let before = self.beyond.range(..from.seq).next_back();
        let reached = before.map_or(from.seq, |(_, &(end, _))| end.max(from.seq));
        let (mut at, mut open) = (reached, Vec::new());
        for (&first, &(end, events)) in self.beyond.range(from.seq..to.seq.max(from.seq)) {
            open.push((at, first));
            lost.events = lost.events.saturating_sub(events);
            at = end;
        }
        open.push((at, to.seq));
        let mut events = lost.events;
        for (first, end) in open {
            if first < end {
                lost.records += end - first;
                self.insert(first, end, std::mem::take(&mut events));
            }
        }
        if lost.records == 0 {
            lost.events = 0;
        }
        lost
    }

    /// One past all that is settled and all before `end`. Records can have been
    /// settled before they were synced, and be gone: their numbers are not used
    /// again, and those between are settled too.
    pub(super) fn reach(&mut self, end: Place) -> Place {
        let end = end.max(self.upto);
        let mut reached = end;
        for (_, &(last, events)) in self.beyond.range(end.seq..) {
            reached = Place {
                seq: last,
                event: reached.event + events,
            };
        }
        self.lose(end, reached);
        reached
    }

    /// Records and events settled beyond the place up to which all are.
    pub(super) fn beyond(&self) -> (u64, u64) {
        let runs = self.beyond.iter();
        runs.fold((0, 0), |(records, all), (first, (end, events))| {
            (records + (end - first), all + events)
        })
    }

    /// The first of them, one by one, as a mark lists them.
    pub(super) fn listed(&self) -> Vec<(u64, u32)> {
        let each = self.beyond.iter().flat_map(|(&first, &(end, events))| {
            let events = u32::try_from(events).unwrap_or(u32::MAX);
            (first..end).map(move |seq| (seq, if seq == first { events } else { 0 }))
        });
        each.take(OUT_OF_ORDER_MAX).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seq: u64, event: u64) -> Place {
        Place { seq, event }
    }

    #[test]
    fn what_is_settled_out_of_order_waits_for_its_turn() {
        let mut settled = Settled::new(Place::START, &[]);
        for seq in [3, 2, 3, 5] {
            settled.settle(Entry { seq, events: 10 });
        }
        assert_eq!(settled.upto, at(1, 0));
        assert_eq!((settled.beyond(), settled.contains(4)), ((3, 30), false));
        settled.settle(Entry { seq: 1, events: 7 });
        assert_eq!(settled.upto, at(4, 27));
        assert_eq!(settled.listed(), [(5, 10)]);
        let again = Settled::new(settled.upto, &settled.listed());
        assert_eq!((again.upto, again.beyond()), (at(4, 27), (1, 10)));
    }

    #[test]
    fn a_part_of_what_was_lost_is_not_lost_again() {
        let mut settled = Settled::new(at(1, 0), &[]);
        assert_eq!(settled.lose(at(3, 30), at(6, 60)).records, 3);
        assert_eq!(settled.lose(at(4, 40), at(6, 60)), Lost::default());
    }

    #[test]
    fn what_is_lost_is_counted_once_and_without_what_was_settled() {
        let mut settled = Settled::new(at(2, 10), &[(4, 5)]);
        // Records 1 to 6 are not there; 1 and 4 are settled.
        let lost = settled.lose(at(1, 0), at(7, 60));
        assert_eq!((lost.records, lost.events), (4, 45));
        assert_eq!(settled.upto, at(7, 60));
        assert_eq!(settled.lose(at(1, 0), at(7, 60)), Lost::default());
        let lost = settled.lose(at(8, 70), at(9, 71));
        assert_eq!((lost.records, lost.events, settled.upto), (1, 1, at(7, 60)));
    }
}
