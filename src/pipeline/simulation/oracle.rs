//! What must hold when a process has come to its end alive, and when all is over.

use super::model::MERGED_MAX;
use super::outside::State;
use crate::telemetry::{Dropped, Snapshot};

/// Events of one source, by how they ended.
#[derive(Debug, Default, PartialEq, Eq)]
struct Fates {
    accepted: u64,
    dead_lettered: u64,
    best_effort: u64,
    filtered: u64,
    lost: u64,
}

impl State {
    /// The process came to its end: its ledger must say what the outside saw.
    pub(super) fn judge(&mut self, end: &Snapshot) {
        for what in end.violations_at_end() {
            self.wrong(format!("at the end: {what}"));
        }
        let given_up = end
            .sources
            .iter()
            .any(|s| s.dropped != Dropped::default() || s.returned > 0);
        if given_up && !self.now.stopped && !self.now.closed {
            self.wrong(format!(
                "nobody stopped it, and events are lost: {:?}",
                end.sources
            ));
        }
        if let Some(at) = self.batches.iter().position(|batch| !batch.told) {
            self.wrong(format!("the end of batch {at} was never told"));
        }
        self.judge_sinks(end);
        for source in 0..end.sources.len() {
            self.judge_source(source, end);
        }
    }

    /// Sinks have told of as many copies as the ledger says.
    fn judge_sinks(&mut self, end: &Snapshot) {
        let sent: u64 = self.now.sent.iter().sum();
        let exact = end.evaluated == sent && !self.topology.loses() && !self.topology.has_tails();
        for (place, terms) in end.sinks.iter().enumerate() {
            let far = &self.far[place];
            let told = (far.reported, far.present);
            if told != (terms.delivered, terms.already_present) {
                let what = format!("sink {place} told of {told:?}, the ledger has {terms:?}");
                self.wrong(what);
            }
            let fed: u64 = self
                .topology
                .sinks
                .iter()
                .zip(&end.sinks)
                .map(|(spec, terms)| {
                    let dead = spec.dead_letter == Some(place);
                    let spare = spec.fallback == Some(place);
                    u64::from(dead) * terms.dead_lettered + u64::from(spare) * terms.diverted
                })
                .sum();
            let meant: u64 = self
                .events
                .iter()
                .filter(|event| event.copies[place].is_some())
                .map(|event| u64::from(event.sends_now))
                .sum();
            let exact = exact && !self.now.missing.contains(&place);
            if exact && terms.entered != fed + meant {
                let what = format!("sink {place}: {fed} passed on and {meant} routed: {terms:?}");
                self.wrong(what);
            }
        }
    }

    /// Each event of a source is counted once, by its worst copy.
    fn judge_source(&mut self, source: usize, end: &Snapshot) {
        let terms = &end.sources[source];
        if self.topology.tails(source) {
            // How often it has read a line only it knows.
            return;
        }
        if terms.received != self.now.sent[source] {
            let sent = self.now.sent[source];
            return self.wrong(format!("source {source} sent {sent}: {terms:?}"));
        }
        let mut fates = Fates::default();
        for event in self.events.iter().filter(|event| event.source == source) {
            if event.sends_now > 1 {
                // Which of its copies belong to which time nobody can tell.
                return;
            }
            if event.sends_now == 1 {
                self.tally(event, &mut fates);
            }
        }
        let counted = Fates {
            accepted: terms.accepted,
            dead_lettered: terms.dead_lettered,
            best_effort: terms.best_effort,
            filtered: terms.filtered,
            lost: terms.dropped.total() + terms.returned,
        };
        let kept = |f: &Fates| (f.accepted, f.dead_lettered);
        // Before it was routed nobody knew how an event would end.
        let sent: u64 = self.now.sent.iter().sum();
        let vague = self.topology.loses() || self.topology.has_disk();
        let agrees = if vague || !self.now.missing.is_empty() {
            let (seen, told) = (kept(&fates), kept(&counted));
            seen.0 <= told.0 && seen.1 <= told.1 && fates.lost <= counted.lost
        } else if end.evaluated == sent {
            fates == counted
        } else {
            kept(&fates) == kept(&counted) && fates.lost <= counted.lost
        };
        if !agrees {
            let what = format!("source {source}: {fates:?} were seen, {counted:?} counted");
            self.wrong(what);
        }
    }

    fn tally(&self, event: &super::outside::Event, fates: &mut Fates) {
        let copies = event.copies.iter().zip(&self.topology.sinks).enumerate();
        let there = copies.filter_map(|(at, (copy, spec))| copy.as_ref().map(|c| (at, c, spec)));
        let required: Vec<_> = there.clone().filter(|(_, _, spec)| spec.required).collect();
        let lasts = |at: usize| self.topology.keeps(at);
        let mut copies = required.iter();
        let may_miss = copies.any(|(at, copy, _)| copy.may_miss() || lasts(*at));
        let required: Vec<_> = required.iter().map(|(_, copy, _)| copy).collect();
        if there.count() == 0 {
            fates.filtered += 1;
        } else if required.is_empty() {
            fates.best_effort += 1;
        } else if may_miss {
            // A list may have taken it, or it waits on disk: then it is no loss.
        } else if required.iter().any(|copy| copy.ends_now.kept() == 0) {
            fates.lost += 1;
        } else if required.iter().any(|copy| copy.ends_now.dead > 0) {
            fates.dead_lettered += 1;
        } else {
            fates.accepted += 1;
        }
    }

    /// All is over and nothing was wrong at the last: whoever waits was told,
    /// and what was sent in the last life is there.
    pub(super) fn judge_all(&mut self) {
        let topology = self.topology.clone();
        let mut missing = vec![Vec::new(); topology.sinks.len()];
        for (number, event) in self.events.iter().enumerate() {
            if topology.waits(event.source) && event.acks == 0 {
                let what = format!("event {number} was never acknowledged");
                return self.wrong(what);
            }
            let fresh = event.sends_now > 0 && !topology.dedupes(event.source);
            for (place, copy) in event.copies.iter().enumerate() {
                let Some(copy) = copy else { continue };
                let spec = &topology.sinks[place];
                let ends = if fresh { copy.ends_now } else { copy.ends };
                let waits = fresh || !topology.is_deaf(event.source);
                if waits && spec.required && !copy.may_miss() && ends.kept() == 0 {
                    missing[place].push(number);
                }
            }
        }
        for (place, missing) in missing.iter().enumerate() {
            let ways = topology.ways(place).into_iter();
            let counted: u64 = ways
                .map(|way| self.corrupt[way] + self.now.corrupt[way])
                .sum();
            // One that was lost may have been several.
            let each = if topology.sinks[place].merges() {
                MERGED_MAX
            } else {
                1
            };
            if missing.len() as u64 > counted * each {
                let name = &topology.sinks[place].name;
                let what = format!(
                    "event {} has not come to {name}, of {} that it lacks, {counted} counted as corrupt",
                    missing[0],
                    missing.len()
                );
                return self.wrong(what);
            }
        }
    }
}
