//! The stages of one plan in the place of those of another.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::diff::Fate;
use super::parsers::Parsers;
use super::queue::{Reread, Reservoir};
use super::reload::Fates;
use super::router::{InForce, Turn};
use super::spool::{Buffers, Site};
use super::start::{Phase, Predecessor, RunningSink, RunningSource, Seat};
use super::{Pipeline, PlannedSink, PlannedSource, StartError};
use crate::source::{Stopper, Succession};
use crate::telemetry::Places;

/// A source that was replaced may go on with the connections that it has until
/// they end: as good as for ever, and within what timers can count.
const UNTIL_ITS_END: Duration = Duration::from_hours(24 * 365 * 30);

impl Pipeline {
    /// Starts, relieves and removes drivers, and what is in front of them.
    pub(super) fn sinks(
        &mut self,
        planned: Vec<PlannedSink>,
        fates: &Fates,
        places: &Places,
        parsers: &Arc<Parsers>,
        disks: &mut Buffers,
    ) -> Result<(), StartError> {
        let mut running: Vec<Option<RunningSink>> = std::mem::take(&mut self.sinks)
            .into_iter()
            .map(Some)
            .collect();
        let reservoirs: Vec<(Arc<Reservoir>, bool)> = planned
            .iter()
            .zip(&fates.sinks)
            .map(|(sink, fate)| {
                let before = match *fate {
                    Fate::Kept(at) | Fate::Replaces(at) => running[at].as_ref(),
                    Fate::Added => None,
                };
                let before = before.map(|before| before.reservoir.clone());
                self.reservoir(sink, before, parsers)
            })
            .collect();
        let all: Vec<(usize, Arc<Reservoir>)> = places
            .sinks
            .iter()
            .zip(&reservoirs)
            .map(|(&slot, (reservoir, _))| (slot, reservoir.clone()))
            .collect();
        self.standing
            .leaving
            .retain(|(_, gone)| gone.has_changed().is_ok());
        for (place, sink) in planned.into_iter().enumerate() {
            let slot = places.sinks[place];
            self.ledger.set_quota(slot, sink.quota);
            let before = match fates.sinks[place] {
                Fate::Kept(at) => {
                    self.sinks.extend(running[at].take());
                    continue;
                }
                Fate::Replaces(at) => running[at].take(),
                Fate::Added => None,
            };
            let reread = before.is_some().then(|| Reread::new(parsers));
            let predecessor = match before {
                Some(before) => Some(self.relieve(before)),
                None => self.leaving(&sink.labels.id, slot),
            };
            let (reservoir, new) = &reservoirs[place];
            if *new {
                let site = Site {
                    place,
                    slot,
                    reservoir,
                    parsers: parsers.clone(),
                    predecessor: predecessor.clone(),
                };
                self.start_spool(&sink, site, disks)?;
            }
            let seat = Seat {
                slot,
                all: &all,
                place,
                needs: &parsers.needs,
                predecessor,
                reread,
            };
            let started = self.start_sink(sink, seat)?;
            self.hands.push(started.hands());
            self.sinks.push(started);
        }
        for &at in &fates.removed_sinks {
            if let Some(sink) = running[at].take() {
                self.remove(sink);
            }
        }
        self.hands.retain(|hands| hands.status.strong_count() > 0);
        let readers = self.sinks.iter().map(|sink| sink.reader_gone.clone());
        self.readers.send_replace(readers.collect());
        Ok(())
    }

    /// Drains a sink that is not in the plan any more.
    fn remove(&mut self, sink: RunningSink) {
        let deadline = self.control.deadlines().cut_off;
        sink.cut_off.send_replace(Some(deadline));
        self.leave_spool(&sink.name, deadline);
        self.ledger.leave(sink.slot);
        let gone = sink.leaving.subscribe();
        self.standing.leaving.push((sink.name.clone(), gone));
        self.draining
            .push(Box::pin(sink.drain(self.ledger.clone())));
    }

    /// Has a driver leave its queue to a successor; its end.
    fn relieve(&self, before: RunningSink) -> Predecessor {
        let until = self.control.deadlines().cut_off;
        before.relieved.send_replace(Some(until));
        let ended = async move {
            let RunningSink { driver, name, .. } = before;
            if driver.await.is_none() {
                tracing::error!(sink = name, "panicked; this is a bug in tflog");
            }
        };
        ended.boxed().shared()
    }

    /// The end of a sink of that name which was removed and still drains. What is
    /// counted of its disk ends with it.
    fn leaving(&self, name: &str, slot: usize) -> Option<Predecessor> {
        let leaving = self.standing.leaving.iter();
        let all: Vec<_> = leaving
            .filter(|(leaving, _)| leaving == name)
            .map(|(_, gone)| gone.clone())
            .collect();
        let ledger = self.ledger.clone();
        // It has nothing any more: there is nothing that could keep it.
        let end = move || _ = ledger.leave_disk(slot);
        if all.is_empty() {
            end();
            return None;
        }
        let ended = async move {
            for mut gone in all {
                // Fails once it has drained.
                let _ = gone.changed().await;
            }
            end();
        };
        Some(ended.boxed().shared())
    }

    /// Gives the plan to the routers that run; told once each has taken it.
    pub(super) fn turn(
        &mut self,
        planned: &[PlannedSource],
        plan: &Arc<InForce>,
        needs_differ: bool,
    ) -> Vec<oneshot::Receiver<()>> {
        let mut all = Vec::new();
        let before = self.standing.number;
        self.standing.number += 1;
        for source in &mut self.sources {
            let place = planned.iter().position(|p| p.labels.id == source.name);
            // One whose name was not in each plan since ends under its own.
            let Some(place) = place.filter(|_| source.plan == before) else {
                continue;
            };
            source.plan = self.standing.number;
            let formats = &planned[place].formats;
            let differs = needs_differ || source.format_print != planned[place].format_print;
            let (taken, told) = oneshot::channel();
            let turn = Turn {
                plan: plan.clone(),
                place,
                lists: self.standing.with.lists(place),
                formats: differs.then(|| formats.clone()),
                taken,
            };
            // Room was checked; one whose source has ended needs no plan.
            if source.turns.try_send(turn).is_ok() {
                all.push(told);
            }
        }
        all
    }

    /// Starts sources; those that were replaced or removed are to be stopped, each
    /// by its deadline.
    pub(super) fn swap_sources(
        &mut self,
        planned: Vec<PlannedSource>,
        fates: &Fates,
        plan: &Arc<InForce>,
    ) -> Result<Vec<(Arc<Stopper>, Instant)>, StartError> {
        let deadlines = self.control.deadlines();
        let (mut done, mut leaving) = (Vec::<u64>::new(), Vec::new());
        for (place, mut planned) in planned.into_iter().enumerate() {
            let after = match fates.sources[place] {
                Fate::Kept(at) => {
                    self.sources[at].format_print = planned.format_print;
                    continue;
                }
                // One of its name that a reload has removed may still read.
                Fate::Added if planned.source.keeps_state() => {
                    let mut all = self.sources.iter().rev();
                    let last = all.find(|source| source.name == planned.labels.id);
                    last.map(|last| last.bequeath(&mut planned))
                }
                Fate::Added => None,
                Fate::Replaces(at) => {
                    let before = &mut self.sources[at];
                    if before.phase == Phase::Done {
                        done.push(before.id);
                    }
                    let waits = planned.source.succession() == Succession::After
                        || planned.source.keeps_state();
                    let deadline = if waits {
                        deadlines.reading
                    } else {
                        Instant::now() + UNTIL_ITS_END
                    };
                    leaving.push((before.leave(), deadline));
                    waits.then(|| before.bequeath(&mut planned))
                }
            };
            self.start_source(place, planned, plan, after)?;
        }
        for &at in &fates.removed_sources {
            let source = &mut self.sources[at];
            if source.phase == Phase::Done {
                done.push(source.id);
            }
            leaving.push((source.leave(), deadlines.reading));
        }
        self.sources.retain(|source| !done.contains(&source.id));
        Ok(leaving)
    }
}

impl RunningSource {
    /// Leaves what it has to a source of its name, which waits for this to close.
    fn bequeath(&self, heir: &mut PlannedSource) -> watch::Receiver<()> {
        if let Some(legacy) = &self.legacy {
            heir.source.inherit(legacy.clone());
        }
        self.gone.clone()
    }

    fn leave(&mut self) -> Arc<Stopper> {
        self.phase = Phase::Leaving;
        self.stopper.clone()
    }
}
