//! A load with what its driver holds for it, and the load's parts when events
//! of it end differently.

use super::Feed;
use crate::event::{Ack, Haste, Share};
use crate::sink::{Load, Part};
use crate::telemetry::Demand;

/// What the driver holds for one part of a load.
pub(super) struct Held {
    pub(super) ack: Ack,
    pub(super) demand: Demand,
}

/// A load and what is held for it, part by part.
#[derive(Default)]
pub(super) struct Work {
    pub(super) load: Load,
    /// Empty while the load is in the sink's hands: [`super::Status`] has them.
    pub(super) held: Vec<Held>,
    /// What all of it took.
    pub(super) total: Demand,
    /// Whether it is not to wait for more.
    pub(super) urgent: bool,
    /// Attempts that failed.
    pub(super) failures: u32,
    /// How many loads had been delivered when it first failed.
    pub(super) others_before: u64,
}

impl Work {
    pub(super) fn is_empty(&self) -> bool {
        self.load.parts.is_empty()
    }

    pub(super) fn push(&mut self, share: Share, demand: Demand) {
        self.load.wait |= share.ack.is_awaited();
        self.urgent |= share.ack.haste() == Haste::All;
        #[cfg(test)]
        let share = settled_early(share);
        self.push_part(
            Part {
                batch: share.batch,
                rows: share.rows,
            },
            Held {
                ack: share.ack,
                demand,
            },
        );
    }

    fn push_part(&mut self, part: Part, held: Held) {
        self.load.events += held.demand.events as usize;
        self.total.events += held.demand.events;
        self.total.bytes += held.demand.bytes;
        self.load.parts.push(part);
        self.held.push(held);
    }

    /// Empties it, keeping vectors.
    pub(super) fn clear(&mut self) {
        let Work { load, held, .. } = self;
        load.parts.clear();
        held.clear();
        (load.events, load.wait) = (0, false);
        self.urgent = false;
        self.total = Demand::default();
        self.failures = 0;
    }

    /// Puts all of it back where it came from.
    pub(super) fn put_back<F: Feed>(self, feed: &F) {
        for (part, held) in self.load.parts.into_iter().zip(self.held).rev() {
            let share = Share {
                batch: part.batch,
                rows: part.rows,
                ack: held.ack,
            };
            feed.put_back(share, held.demand);
        }
    }

    /// Takes events out into a load of their own. `items` are their places
    /// among the load's events, ascending. The bytes that a divided part pins
    /// stay charged to what remains.
    pub(super) fn take(&mut self, items: &[u32]) -> Work {
        let blank = || Work {
            failures: self.failures,
            others_before: self.others_before,
            ..Work::default()
        };
        let (mut taken, mut kept) = (blank(), blank());
        (taken.load.wait, kept.load.wait) = (self.load.wait, self.load.wait);
        let (mut items, mut base) = (items, 0);
        let parts = self.load.parts.drain(..).zip(self.held.drain(..));
        for (mut part, mut held) in parts {
            let events = held.demand.events as u32;
            let here = items.partition_point(|&item| item < base + events);
            let places: Vec<u32> = items[..here].iter().map(|item| item - base).collect();
            items = &items[here..];
            base += events;
            if places.is_empty() {
                kept.push_part(part, held);
            } else if here == events as usize {
                taken.push_part(part, held);
            } else {
                let (out, rest) = part.rows.split(part.batch.rows(), &places);
                let ack = held.ack.split(&places);
                let demand = Demand {
                    events: here as u64,
                    bytes: 0,
                };
                let batch = part.batch.clone();
                taken.push_part(Part { batch, rows: out }, Held { ack, demand });
                part.rows = rest;
                held.demand.events -= here as u64;
                kept.push_part(part, held);
            }
        }
        *self = kept;
        taken
    }

    /// Takes the second half of the events out.
    pub(super) fn halve(&mut self) -> Work {
        let (half, all) = (self.load.events as u32 / 2, self.load.events as u32);
        let items: Vec<u32> = (half..all).collect();
        self.take(&items)
    }
}

/// `items` as places among the events that are left when `gone` are taken out;
/// both ascending, with nothing in common.
pub(super) fn shifted(items: &[u32], gone: &[u32]) -> Vec<u32> {
    let before = |item: u32| gone.partition_point(|&g| g < item) as u32;
    items.iter().map(|&item| item - before(item)).collect()
}

#[cfg(test)]
fn settled_early(mut share: Share) -> Share {
    if crate::seam::mutant::Mutant::EarlyAck.is_on() {
        let ack = std::mem::replace(&mut share.ack, Ack::none());
        ack.settle(crate::event::Outcome::Delivered);
    }
    share
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::event::{Outcome, Receipt, Rows, Settled, Tally};
    use crate::sink::fixture::lines;

    #[derive(Debug, Default)]
    struct Heard(Mutex<Vec<Tally>>);

    impl Settled for Heard {
        fn settled(&self, tally: Tally) {
            self.0.lock().unwrap().push(tally);
        }
    }

    fn work(texts: &[&str], heard: &Arc<Heard>) -> Work {
        let mut work = Work::default();
        for text in texts {
            let part = lines(text);
            let rows = part.batch.rows();
            let receipt = Receipt::new(rows, Rows::All, heard.clone(), None);
            let share = Share {
                batch: part.batch,
                rows: part.rows,
                ack: receipt.ack(Rows::All),
            };
            let demand = Demand {
                events: rows as u64,
                bytes: 100,
            };
            work.push(share, demand);
        }
        work
    }

    fn texts(work: &Work) -> Vec<String> {
        let mut texts = Vec::new();
        work.load.for_each(|item, batch, row| {
            assert_eq!(item as usize, texts.len());
            texts.push(String::from_utf8_lossy(batch.line(row)).into_owned());
        });
        texts
    }

    #[test]
    fn events_are_taken_out_with_their_acks() {
        let heard = Arc::new(Heard::default());
        let mut rest = work(&["a\nb\nc\n", "d\n", "e\nf\n"], &heard);
        let taken = rest.take(&[1, 3, 5]);
        assert_eq!(texts(&taken), ["b", "d", "f"]);
        assert_eq!(texts(&rest), ["a", "c", "e"]);
        assert_eq!((taken.total.events, taken.total.bytes), (3, 100));
        assert_eq!((rest.total.events, rest.total.bytes), (3, 200));
        let end = |work: Work, outcome| {
            work.held
                .into_iter()
                .for_each(|held| held.ack.settle(outcome));
        };
        end(taken, Outcome::Shutdown);
        end(rest, Outcome::Delivered);
        let heard = heard.0.lock().unwrap();
        let ends: Vec<_> = heard.iter().map(|t| (t.accepted, t.shutdown)).collect();
        assert_eq!(ends, [(0, 1), (2, 1), (1, 1)]);
    }

    #[test]
    fn halving_ends_with_single_events() {
        let heard = Arc::new(Heard::default());
        let mut queue = vec![work(&["a\nb\nc\n", "d\ne\n"], &heard)];
        let mut singles = Vec::new();
        while let Some(mut piece) = queue.pop() {
            if piece.load.events == 1 {
                singles.extend(texts(&piece));
            } else {
                let second = piece.halve();
                queue.extend([second, piece]);
            }
        }
        assert_eq!(singles, ["a", "b", "c", "d", "e"]);
    }

    #[test]
    fn places_shift_past_what_is_gone() {
        assert_eq!(shifted(&[0, 3, 9], &[1, 2, 5]), [0, 1, 6]);
    }
}
