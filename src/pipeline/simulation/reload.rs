//! Reloads by chance: while all else goes on, and goes wrong, neighbours of the
//! topology come into force one after the other.
//!
//! A neighbour has buffers elsewhere or of another size, drivers that are written
//! otherwise, wants fields that nobody has, reads lines by another format; a sink
//! or a source may be missing. What events mean stays, so that all rules do, but
//! for what is on its way to a sink while it may be missing: that it may miss.
//!
//! Some come when a log has been removed while a tail has it open, and replace that
//! tail: to what is in it beyond, and is still written to it, only the descriptor
//! leads, which must go over to the next.

use std::time::Duration;

use tokio::time::sleep;

use super::dice::Dice;
use super::far::Fake;
use super::faults::Fault;
use super::outside::{Outside, State};
use super::producer::Producer;
use super::sinks::{DiskSpec, SinkSpec};
use super::topology::{Hearing, Topology};
use crate::pipeline::{Plan, Reloader, Seed, StartError};
use crate::seam::World;
use crate::sink::Sink;
use crate::source::Source;

/// Between two reloads, in milliseconds, at most.
const PAUSE_MS_MAX: u64 = 40_000;
/// From the removal of a log to a reload, in milliseconds, at most: until then its
/// program may write to it.
const REMOVAL_MS_MAX: u64 = 1000;

/// A topology with what it has of the one that it is a neighbour of.
struct Neighbour {
    topology: Topology,
    /// By place, the place in that one.
    sources: Vec<usize>,
    sinks: Vec<usize>,
    /// A field that nothing has had so far, in a rule that never holds.
    ghost: Option<u64>,
}

/// Brings neighbours into force; never ends. `faults`: whether anything may be
/// taken out.
pub(super) async fn now_and_then(
    outside: &Outside,
    dice: &Dice,
    world: &World,
    reloader: &Reloader,
    faults: bool,
) {
    let mut gone = Vec::new();
    let mut left = dice.pick(&[0, 0, 1, 2, 4, 8]);
    loop {
        let renewed = pause(outside, dice, &mut left).await;
        let base = outside.lock().topology.clone();
        let mut neighbour = Neighbour::new(dice, &base, faults, &mut gone);
        if let Some(source) = renewed {
            neighbour.renew(source, dice);
        }
        neighbour.reduce();
        let plan = neighbour.plan(outside, dice, world, reloader.seed());
        {
            let mut state = outside.lock();
            state.note(|| format!("reload:\n{}", neighbour.text()));
            state.expect_missing(&base, &neighbour);
        }
        let changes = reloader.reload(plan).await;
        let mut state = outside.lock();
        match changes {
            Ok(changes) => {
                state.hit(Fault::Reload);
                state.note(|| format!("reloaded: {changes:?}"));
            }
            Err(error) => {
                state.note(|| format!("not reloaded: {error}"));
                let passes = matches!(error, StartError::Busy(_) | StartError::Stopping);
                if !passes && !faults {
                    state.wrong(format!("it does not reload: {error}"));
                }
            }
        }
    }
}

/// Waits for the time of a reload: some time, if any are `left`, or a log that is
/// removed. Then the source that follows it is to be replaced: the next one knows of
/// the rest of that log from this one only.
async fn pause(outside: &Outside, dice: &Dice, left: &mut u64) -> Option<usize> {
    let removal = outside.lock().now.removal.clone();
    loop {
        let pause = async {
            match *left {
                0 => std::future::pending().await,
                _ => sleep(dice.time(0, PAUSE_MS_MAX)).await,
            }
        };
        tokio::select! {
            biased;
            () = removal.notified() => {
                if dice.chance(50) {
                    sleep(dice.time(0, REMOVAL_MS_MAX)).await;
                    return outside.lock().now.removed;
                }
            }
            () = pause => {
                *left -= 1;
                return None;
            }
        }
    }
}

impl Neighbour {
    /// `gone`: sources that were taken out in this life, and do not come back.
    fn new(dice: &Dice, base: &Topology, faults: bool, gone: &mut Vec<usize>) -> Neighbour {
        let mut topology = base.clone();
        for sink in &mut topology.sinks {
            alter(dice, sink);
        }
        for source in &mut topology.sources {
            if dice.chance(20) {
                source.parse = dice.pick(&["json", "auto"]);
            }
            if let Hearing::Tails { open_max, .. } = &mut source.hearing
                && dice.chance(20)
            {
                // The next of its name goes on where this one ends.
                *open_max = dice.pick(&[1, 2, 512]);
            }
        }
        let present = base.sources.len() - gone.len();
        if faults && present > 1 && dice.chance(8) {
            let place = dice.below(base.sources.len() as u64) as usize;
            if !gone.contains(&place) {
                gone.push(place);
            }
        }
        let mut sinks: Vec<_> = (0..base.sinks.len()).collect();
        if faults
            && dice.chance(40)
            && let Some(place) = removable(dice, base)
        {
            sinks.remove(place);
        }
        let sources = (0..base.sources.len()).filter(|s| !gone.contains(s));
        Neighbour {
            topology,
            sources: sources.collect(),
            sinks,
            ghost: dice.chance(40).then(|| dice.below(8)),
        }
    }

    /// Writes a source that follows files as it has never been.
    fn renew(&mut self, source: usize, dice: &Dice) {
        if let Hearing::Tails { open_max, .. } = &mut self.topology.sources[source].hearing {
            *open_max = dice.between(512, 1 << 20);
        }
    }

    /// Takes out what is missing.
    fn reduce(&mut self) {
        let Neighbour {
            topology,
            sources,
            sinks,
            ..
        } = self;
        let place = |of: usize, all: &[usize]| all.iter().position(|&at| at == of);
        let pick = |all: &mut Vec<usize>, left: &[usize]| {
            *all = all.iter().filter_map(|&at| place(at, left)).collect();
        };
        topology.routes.retain_mut(|route| {
            let had = !route.to.is_empty();
            pick(&mut route.to, sinks);
            if let Some(from) = &mut route.from {
                pick(from, sources);
            }
            if had && route.to.is_empty() {
                // A drop, which edits nothing.
                route.with.clear();
            }
            route.from.as_ref().is_none_or(|from| !from.is_empty())
        });
        let mut at = 0..;
        topology
            .sources
            .retain(|_| sources.contains(&at.next().unwrap_or_default()));
        let mut at = 0..;
        topology
            .sinks
            .retain(|_| sinks.contains(&at.next().unwrap_or_default()));
        for sink in &mut topology.sinks {
            for to in [&mut sink.dead_letter, &mut sink.fallback] {
                *to = to.and_then(|to| place(to, sinks));
            }
        }
    }

    fn text(&self) -> String {
        let text = self.topology.text();
        let Some(ghost) = self.ghost else {
            return text;
        };
        let route = format!("routes:\n  - {{ name: ghost, when: 'g{ghost} == 1', drop: true }}\n");
        text.replacen("routes:\n", &route, 1)
    }

    fn plan(&self, outside: &Outside, dice: &Dice, world: &World, seed: Seed) -> Plan {
        // Of those that live on these are dropped.
        let source = |&place: &usize| {
            let left = dice.between(3, 40);
            Box::new(Producer::new(outside, place, left, false)) as Box<dyn Source>
        };
        let base = outside.lock().topology.clone();
        let given = self.sources.iter().filter(|&&place| !base.tails(place));
        let sources = given.map(source).collect();
        let sink = |&place: &usize| Box::new(Fake::new(outside, place)) as Box<dyn Sink>;
        let sinks = self.sinks.iter().map(sink).collect();
        let config = Topology::load(&self.text());
        self.topology.plan(&config, world, (sources, sinks), seed)
    }
}

/// Another buffer, another driver.
fn alter(dice: &Dice, sink: &mut SinkSpec) {
    if dice.chance(40) {
        // Never more than the bound that is looked at.
        sink.memory = 1 << dice.between(9, u64::from(sink.memory.ilog2()));
    }
    if let Some(disk) = sink.disk {
        let altered = DiskSpec {
            interval: disk.interval,
            ..DiskSpec::new(dice)
        };
        sink.disk = dice.chance(65).then_some(altered);
    }
    if dice.chance(30) {
        sink.encode = dice.pick(&["json", "raw"]);
    }
    if !sink.required && dice.chance(30) {
        sink.when_full = dice.pick(&["drop_newest", "drop_oldest"]);
    }
    if dice.chance(20) {
        sink.limits.linger = Duration::from_millis(dice.below(2000));
    }
}

/// A sink that can be missing: nobody passes anything on to it, it passes nothing
/// on but dead letters, and no route that goes on is left without a sink.
fn removable(dice: &Dice, base: &Topology) -> Option<usize> {
    let place = dice.below(base.sinks.len() as u64) as usize;
    let used = |sink: &SinkSpec| [sink.dead_letter, sink.fallback].contains(&Some(place));
    let free = base.sinks[place].fallback.is_none() && !base.sinks.iter().any(used);
    let mut routes = base.routes.iter();
    let fits = !routes.any(|route| route.go_on && route.to == [place]);
    (free && fits && base.sinks.len() > 1).then_some(place)
}

impl State {
    /// Whether what comes from one source to a sink comes in order in this life.
    pub(super) fn keeps_order(&self, place: usize) -> bool {
        self.topology.sinks[place].keeps_order() && !self.now.reopened.contains(&place)
    }

    /// A plan that may lack something comes into force.
    fn expect_missing(&mut self, base: &Topology, neighbour: &Neighbour) {
        let there = |place: &usize| neighbour.sinks.iter().position(|at| at == place);
        let (mut missing, mut reopened) = (Vec::new(), Vec::new());
        for (place, sink) in base.sinks.iter().enumerate() {
            let at = there(&place);
            if at.is_none() {
                missing.push(place);
            }
            let on_disk = at.is_some_and(|at| neighbour.topology.sinks[at].disk.is_some());
            if sink.disk.is_some() && !on_disk {
                reopened.push(place);
            }
        }
        if !reopened.is_empty() {
            // A log that is opened again gives whole records again, whatever of
            // them was delivered.
            self.early_ends += 1;
        }
        if !missing.is_empty() || neighbour.sources.len() < base.sources.len() {
            // What drains longer than the grace period is given up.
            self.now.closed = true;
        }
        for event in self.events.iter_mut().filter(|event| event.acks == 0) {
            for &place in &missing {
                if let Some(copy) = &mut event.copies[place] {
                    copy.missing |= !event.frozen;
                }
            }
        }
        self.rereads += missing.len() as u32;
        // Positions that could not be kept the next tail does not know.
        self.rereads += u32::from(self.now.disk_harmed);
        self.now.missing.extend(missing);
        self.now.reopened.extend(reopened);
    }
}
