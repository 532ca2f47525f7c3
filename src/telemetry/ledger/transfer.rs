//! What one batch moves in the ledger when it leaves routing.

use std::sync::Arc;

use super::{Demand, Snapshot, WhenFull};
use crate::telemetry::{Owner, WithTerms};

/// Where the routes and sinks of a plan are counted: by place in the plan, the
/// place in the ledger. A place that is not listed is the same in both.
#[derive(Debug, Default)]
pub struct Places {
    /// Of the routes.
    pub routes: Vec<usize>,
    /// Of the sinks.
    pub sinks: Vec<usize>,
}

impl Places {
    pub(super) fn route(&self, place: usize) -> usize {
        self.routes.get(place).copied().unwrap_or(place)
    }

    /// Where a sink of the plan is counted.
    #[must_use]
    pub fn sink(&self, place: usize) -> usize {
        self.sinks.get(place).copied().unwrap_or(place)
    }
}

/// The terms that one batch moves when it leaves routing, by place in the plan.
#[derive(Debug, Default)]
pub struct Transfer {
    /// Where its routes and sinks are counted.
    pub places: Arc<Places>,
    /// Events evaluated.
    pub evaluated: u64,
    /// Of them, taken out by FILTER.
    pub filtered_out: u64,
    /// By route: first matches.
    pub first: Vec<u64>,
    /// By route: matches.
    pub matched: Vec<u64>,
    /// Events without any copy.
    pub filtered: u64,
    /// Events with best-effort copies only.
    pub best_effort: u64,
    /// Lines that did not have the source's format.
    pub unparsed: u64,
    /// By sink.
    pub demands: Vec<Demand>,
    /// What `with` lists did; those that ran. What a sink's took out comes on
    /// top of its demand.
    pub lists: Vec<(Owner, WithTerms)>,
}

impl Places {
    /// Whose list it is, by place in the ledger.
    #[must_use]
    pub fn owner(&self, owner: Owner) -> Owner {
        match owner {
            Owner::Source => Owner::Source,
            Owner::Route(place) => Owner::Route(self.route(place)),
            Owner::Sink(place) => Owner::Sink(self.sink(place)),
        }
    }
}

impl Transfer {
    /// The place in the plan of a sink of that policy that has no room, other than
    /// those in `but`.
    pub(super) fn full(&self, state: &Snapshot, policy: WhenFull, but: &[usize]) -> Option<usize> {
        let mut demands = self.demands.iter().enumerate();
        demands
            .find(|&(place, &demand)| {
                let terms = &state.sinks[self.places.sink(place)];
                let asked = demand.events > 0 && terms.quota.when_full == policy;
                asked && !but.contains(&place) && !terms.fits(demand)
            })
            .map(|(place, _)| place)
    }
}
