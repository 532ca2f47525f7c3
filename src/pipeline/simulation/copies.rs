//! What becomes of copies: taken by a far end, told of, refused, each as often as
//! it may be.

use super::items::Item;
use tokio::time::Instant;

use super::outside::State;
use crate::sink::Written;

impl State {
    /// The far end has these now.
    pub(super) fn take(&mut self, place: usize, items: &[Item]) {
        for item in items {
            let new = item.id.is_none_or(|id| self.far[place].ids.insert(id));
            for &number in &item.numbers {
                // A line of a file has its id for ever.
                let merges = self.topology.sinks[item.owner].merges();
                let is_line = self.topology.tails(self.events[number].source) && !merges;
                let sends = if is_line && self.is_disk_certain && !self.now.disk_harmed {
                    1
                } else {
                    self.sends(number)
                };
                let event = &mut self.events[number];
                let Some(copy) = &mut event.copies[item.owner] else {
                    continue;
                };
                copy.untold += 1;
                copy.taken += u32::from(new && place == item.owner);
                if item.id.is_some() && place == item.owner && copy.taken > sends {
                    self.wrong(format!("event {number} has come under two ids"));
                }
            }
        }
    }

    /// The pipeline hears that the far end has these: how many it had already.
    pub(super) fn tell(&mut self, place: usize, items: &[Item], had: u64) -> Written {
        self.far[place].reported += items.len() as u64;
        self.far[place].present += had;
        for item in items {
            for &number in &item.numbers {
                let event = &mut self.events[number];
                event.told_at = Some(Instant::now());
                if let Some(copy) = &mut event.copies[item.owner] {
                    copy.untold -= 1;
                    for ends in [&mut copy.ends, &mut copy.ends_now] {
                        if item.dead {
                            ends.dead += 1;
                        } else {
                            ends.confirmed += 1;
                        }
                    }
                }
                self.check_ends(number, item.owner);
            }
            self.check_order(place, item);
        }
        Written {
            already_present: had,
            ..Written::default()
        }
    }

    /// Nobody takes these.
    pub(super) fn refuse(&mut self, place: usize, items: &[Item]) {
        let spec = &self.topology.sinks[place];
        if spec.required || spec.dead_letter.is_some() {
            return;
        }
        for item in items {
            for &number in &item.numbers {
                if let Some(copy) = &mut self.events[number].copies[item.owner] {
                    copy.ends.refused += 1;
                    copy.ends_now.refused += 1;
                }
                self.check_ends(number, item.owner);
            }
        }
    }

    /// Times that an event was sent, or that a tail may have read its line.
    fn sends(&self, number: usize) -> u32 {
        let event = &self.events[number];
        let is_line = self.topology.tails(event.source);
        event.sends + if is_line { self.rereads } else { 0 }
    }

    /// A copy ends once each time that it is sent.
    fn check_ends(&mut self, number: usize, owner: usize) {
        let event = &self.events[number];
        let ends = event.copies[owner].as_ref().map(|copy| copy.ends);
        if event.frozen && !self.topology.keeps(owner) {
            let what = format!("event {number} came again though its position was kept");
            return self.wrong(what);
        }
        // Each way to a sink may have two records: its own and a dead letter's.
        let keeps = self.topology.keeps(owner);
        let times = if keeps { 1 + self.early_ends } else { 1 };
        let sends = self.sends(number);
        if ends.is_some_and(|ends| ends.all() > sends * times * times) {
            let what =
                format!("event {number} was sent {sends} times and has ended more often: {ends:?}");
            self.wrong(what);
        }
    }

    /// Where order is kept, events of one source that were sent once come in order.
    fn check_order(&mut self, place: usize, item: &Item) {
        let number = item.number();
        let event = &self.events[number];
        let alone = event.sends == 1 && !event.poison && !event.toxic && !item.dead;
        let is_line = self.topology.tails(event.source);
        let keeps = self.keeps_order(place) && !self.topology.sinks[place].merges();
        if !keeps || is_line || !alone || place != item.owner {
            return;
        }
        let source = event.source;
        let last = &mut self.far[place].last;
        last.resize(last.len().max(source + 1), None);
        let before = last[source].replace(number);
        if before.is_some_and(|before| before >= number) {
            let name = self.topology.sinks[place].name.clone();
            let what = format!("{name} keeps order, and event {number} came after {before:?}");
            self.wrong(what);
        }
    }
}
