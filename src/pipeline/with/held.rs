//! What the lists of a router hold, and how it goes on.

use tokio::time::Instant;

use super::{Lists, Withs};
use crate::event::{Ack, Batch, Bits, Receipt, Timestamp};
use crate::route::Routed;
use crate::telemetry::{Owner, Transfer, WithTerms};
use crate::transform::{Ended, Groups, List, Workspace};

/// Events that a list has made.
pub(in super::super) struct Made {
    pub(in super::super) owner: Owner,
    /// Where its list goes on.
    pub(in super::super) from: usize,
    pub(in super::super) ended: Ended,
}

/// Notes to which sinks the events that a route's list holds would have gone: a
/// merged event goes wherever one of those would that are in it.
pub(super) fn tag_sinks(list: &mut List, listed: usize, routed: &Routed) {
    let claims = routed.claims.as_slice();
    list.for_each_group(|groups| {
        groups.tag(|row, sinks| {
            for claim in claims.iter().filter(|claim| claim.listed == listed) {
                let sink = claim.sink as u32;
                if claim.rows.contains(row) && !sinks.contains(&sink) {
                    sinks.push(sink);
                }
            }
        });
    });
}

impl Withs {
    /// The bytes that all lists may hold in a plan of so many sources: each has
    /// routes' and sinks' lists of its own.
    pub fn held_bytes_max(&mut self, sources: usize) -> u64 {
        let bytes = |lists: &mut [List], times: usize| {
            let mut sum = 0;
            for list in lists {
                list.for_each_group(|groups| sum += (groups.bytes_max() * times) as u64);
            }
            sum
        };
        bytes(&mut self.sources, 1)
            + bytes(&mut self.routes, sources)
            + bytes(&mut self.sinks, sources)
    }
}

impl Lists {
    /// Whether any of them may hold events.
    pub(in super::super) fn holds(&self) -> bool {
        self.holds
    }

    /// Has no list hold an event: for explanations.
    pub(in super::super) fn show_alone(&mut self) {
        if let Some(work) = &mut self.work {
            work.show_alone();
        }
    }

    fn holders(&mut self) -> impl Iterator<Item = (Owner, &mut List)> {
        let Lists {
            source,
            routes,
            sinks,
            ..
        } = self;
        let routes = routes.iter_mut().enumerate();
        let sinks = sinks.iter_mut().enumerate();
        let all = std::iter::once((Owner::Source, source))
            .chain(routes.map(|(at, list)| (Owner::Route(at), list)))
            .chain(sinks.map(|(at, list)| (Owner::Sink(at), list)));
        all.filter(|(_, list)| list.holds())
    }

    fn for_each_group(&mut self, mut each: impl FnMut(&mut Groups)) {
        if self.holds {
            self.holders()
                .for_each(|(_, list)| list.for_each_group(&mut each));
        }
    }

    /// Has the lists look at the time: once a batch.
    pub(in super::super) fn set_now(&mut self) {
        if let Some(work) = &mut self.work {
            work.set_now(Instant::now());
        }
    }

    /// Notes which rows of the batch at hand are held; `at_once`: somebody waits
    /// for them, so that they are held no longer than this batch.
    pub(in super::super) fn note_held(&mut self, rows: usize, at_once: bool) {
        let mut held = std::mem::take(&mut self.held);
        held.clear(rows);
        self.for_each_group(|groups| {
            groups.mark(&mut held);
            if at_once {
                groups.end_touched();
            }
        });
        self.held = held;
    }

    /// The rows of the batch at hand that are held.
    pub(in super::super) fn held(&self) -> &Bits {
        &self.held
    }

    /// Hands over the acks of the held rows of the batch at hand.
    pub(in super::super) fn own(&mut self, receipt: &Receipt) {
        self.for_each_group(|groups| groups.own(receipt));
    }

    /// When to look for events that were held for long enough.
    pub(in super::super) fn due(&mut self) -> Option<Instant> {
        let mut due = None;
        self.for_each_group(|groups| due = due.into_iter().chain(groups.due()).min());
        due
    }

    /// Completes what was held for long enough; everything, if no time is said.
    pub(in super::super) fn complete(&mut self, until: Option<Instant>) {
        self.for_each_group(|groups| {
            match until {
                Some(now) => groups.expire(now),
                None => groups.end_all(),
            }
            groups.arrange();
        });
    }

    /// Takes events that are complete, until there are none.
    pub(in super::super) fn next_made(&mut self, observed: Timestamp) -> Option<Made> {
        // The lists need it while they are borrowed.
        let mut work = self.work.take()?;
        let made = self.holders().find_map(|(owner, list)| {
            let (from, ended) = list.take_ended(observed, &mut work)?;
            Some(Made { owner, from, ended })
        });
        self.work = Some(work);
        made
    }

    /// Runs the rest of the list that made a batch of events; `tags` are what was
    /// noted of them. The rows that are left.
    pub(in super::super) fn resume(
        &mut self,
        (owner, from): (Owner, usize),
        tags: &[Vec<u32>],
        batch: &mut Batch,
        mut terms: WithTerms,
        transfer: &mut Transfer,
    ) -> &Bits {
        self.left.fill(batch.rows());
        let list = match owner {
            Owner::Source => &mut self.source,
            Owner::Route(route) => &mut self.routes[route],
            Owner::Sink(sink) => &mut self.sinks[sink],
        };
        let work: Option<&mut Workspace> = self.work.as_mut();
        let edited =
            work.and_then(|work| list.run_from(from, batch, &mut self.left, work, &mut terms));
        if let Some(edited) = edited {
            *batch = edited;
        }
        list.for_each_group(|groups| {
            groups.tag(|row, sinks| {
                let new = tags[row].iter().filter(|sink| !sinks.contains(sink));
                let new: Vec<u32> = new.copied().collect();
                sinks.extend(new);
            });
        });
        transfer.lists.push((owner, terms));
        &self.left
    }

    /// What is held and counted, by list, and how much of it a source waits for.
    pub(in super::super) fn let_go(&mut self, mut each: impl FnMut(Owner, u64, u64)) {
        for (owner, list) in self.holders() {
            let (mut events, mut awaited) = (0, 0);
            list.for_each_group(|groups| {
                events += groups.acks().count() as u64;
                awaited += groups.acks().filter(|ack| Ack::is_awaited(ack)).count() as u64;
            });
            each(owner, events, awaited);
        }
    }
}
