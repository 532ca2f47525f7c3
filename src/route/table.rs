//! The flat route table: for every source, which rows of a batch go to which
//! sinks, and the counts that the ledger needs.
//!
//! Top down; the first match takes the event, unless its route goes on. At
//! most one copy of an event reaches a sink. Everything is a set of rows, so
//! that an unconditional route costs a word operation for 64 rows.

use super::{Condition, Expression, RuleError, Scratch};
use crate::event::{Batch, Bits, Needs};

/// A route as it was meant: names resolved to places in the plan.
#[derive(Clone, Debug)]
pub struct RouteSpec {
    /// Its name, for messages and metrics.
    pub name: String,
    /// The sources it is for; all if none are named.
    pub from: Option<Vec<usize>>,
    /// Which of their events it takes.
    pub when: When,
    /// Where those go.
    pub to: Target,
    /// `continue`: the routes below see the event too.
    pub go_on: bool,
}

/// Which events a route takes.
#[derive(Clone, Debug)]
pub enum When {
    /// All that reach it.
    Always,
    /// Those that matched no route above, whether that went on or not.
    Unmatched,
    /// Those for which the rule holds.
    Rule(Expression),
}

/// Where a route's events go.
#[derive(Clone, Debug)]
pub enum Target {
    /// A copy to each of these sinks.
    Sinks(Vec<usize>),
    /// Nowhere: meant so, and counted as filtered.
    Drop,
}

/// The part of the table that an error is in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// The filter before all routes.
    Filter,
    /// A route, by its place.
    Route(usize),
}

/// A compiled route table. Each routing thread should have a clone: regexes
/// keep caches that threads would contend for.
#[derive(Clone, Debug)]
pub struct Table {
    routes: Vec<Route>,
    filter: Option<Condition>,
    sinks: usize,
}

#[derive(Clone, Debug)]
struct Route {
    from: Option<Vec<usize>>,
    when: Matcher,
    to: Target,
    go_on: bool,
    /// Whether its rows are listed apart.
    listed: bool,
}

// There are as many as a config has routes.
#[allow(clippy::large_enum_variant)]
#[derive(Clone, Debug)]
enum Matcher {
    Always,
    Unmatched,
    Rule(Condition),
}

/// What became of one batch. Its owner keeps it from batch to batch, with the
/// memory in it.
#[derive(Debug, Default)]
pub struct Routed {
    /// Events that were looked at: all of the batch. Always
    /// `first.sum() + filtered_out + unrouted`.
    pub evaluated: usize,
    /// Events that the filter took out.
    pub filtered_out: usize,
    /// Events that matched no route; none, if the table passed its check.
    pub unrouted: usize,
    /// By route: events whose first match it was.
    pub first: Vec<u64>,
    /// By route: events that it matched.
    pub matched: Vec<u64>,
    /// By sink: the rows that it gets a copy of.
    pub sinks: Vec<Bits>,
    /// The rows of which no sink gets a copy.
    pub dropped: Bits,
    /// The routes listed apart that matched something, in their order.
    pub listed: Recycled<Listed>,
    /// The copies that sinks get through them.
    pub claims: Recycled<Claim>,
    open: Bits,
    fresh: Bits,
    hits: Bits,
    scratch: Scratch,
}

/// A route whose rows are listed apart.
#[derive(Clone, Debug, Default)]
pub struct Listed {
    /// The route's place.
    pub route: usize,
    /// The rows that it matched.
    pub rows: Bits,
}

/// Copies that a sink gets through a listed route.
#[derive(Clone, Debug, Default)]
pub struct Claim {
    /// Its place in [`Routed::listed`].
    pub listed: usize,
    /// The sink.
    pub sink: usize,
    /// The rows: those of the route that no route above it sends there.
    pub rows: Bits,
}

/// A list whose entries keep their memory when it is emptied.
#[derive(Clone, Debug, Default)]
pub struct Recycled<T> {
    all: Vec<T>,
    used: usize,
}

impl<T: Default> Recycled<T> {
    /// Empties it.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// One more entry, with whatever it held before.
    pub fn add(&mut self) -> &mut T {
        if self.used == self.all.len() {
            self.all.push(T::default());
        }
        self.used += 1;
        &mut self.all[self.used - 1]
    }

    /// Its entries.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.all[..self.used]
    }

    /// Its entries, to be changed.
    pub fn as_mut_slice(&mut self) -> &mut [T] {
        &mut self.all[..self.used]
    }
}

impl Table {
    /// Compiles routes over `sinks` sinks, adding what their rules read to
    /// `needs`. Events that the filter does not match never reach a route.
    pub fn compile(
        specs: Vec<RouteSpec>,
        filter: Option<Expression>,
        sinks: usize,
        needs: &mut Needs,
    ) -> Result<Table, (Part, RuleError)> {
        let filter = filter.map(|rule| Condition::compile(&rule, needs));
        let filter = filter.transpose().map_err(|error| (Part::Filter, error))?;
        let mut routes = Vec::with_capacity(specs.len());
        for (at, spec) in specs.into_iter().enumerate() {
            let when = match spec.when {
                When::Always => Matcher::Always,
                When::Unmatched => Matcher::Unmatched,
                When::Rule(rule) => Condition::compile(&rule, needs)
                    .map(Matcher::Rule)
                    .map_err(|error| (Part::Route(at), error))?,
            };
            debug_assert!(!matches!(&spec.to, Target::Sinks(to) if to.iter().any(|&k| k >= sinks)));
            routes.push(Route {
                from: spec.from,
                when,
                to: spec.to,
                go_on: spec.go_on,
                listed: false,
            });
        }
        Ok(Table {
            routes,
            filter,
            sinks,
        })
    }

    /// Has the rows of a route listed apart: its events are edited.
    pub fn list(&mut self, route: usize) {
        self.routes[route].listed = true;
    }

    /// Routes a batch of the source at place `source`. The batch must have
    /// been parsed for the needs that the table was compiled with.
    pub fn route(&self, source: usize, batch: &Batch, routed: &mut Routed) {
        self.route_rows(source, batch, None, routed);
    }

    /// As [`Table::route`], of the rows `left` only, if that is said.
    pub fn route_rows(
        &self,
        source: usize,
        batch: &Batch,
        left: Option<&Bits>,
        routed: &mut Routed,
    ) {
        let rows = batch.rows();
        routed.reset(rows, self.routes.len(), self.sinks);
        if let Some(left) = left {
            routed.evaluated = left.count();
            routed.open.copy_from(left);
            routed.fresh.copy_from(left);
        }
        if let Some(filter) = &self.filter {
            let Routed {
                open,
                fresh,
                scratch,
                ..
            } = routed;
            filter.evaluate(batch, open, scratch, fresh);
            routed.open.copy_from(&routed.fresh);
            routed.filtered_out = routed.evaluated - routed.open.count();
        }
        for (at, route) in self.routes.iter().enumerate() {
            if routed.open.none() {
                break;
            }
            if route
                .from
                .as_ref()
                .is_none_or(|from| from.contains(&source))
            {
                routed.pass(at, route, batch);
            }
        }
        routed.unrouted = routed.fresh.count();
        routed.dropped.fill(rows);
        for copies in &routed.sinks {
            routed.dropped.subtract(copies);
        }
    }
}

impl Table {
    /// Sends events that a route's own list has made, by row, to sinks.
    pub fn send(&self, sinks: &[Vec<u32>], left: &Bits, routed: &mut Routed) {
        self.reset(left, routed);
        for row in left.iter() {
            for &sink in &sinks[row] {
                routed.sinks[sink as usize].insert(row);
            }
        }
    }

    /// Sends events that a sink's own list has made to that sink.
    pub fn send_to(&self, sink: usize, left: &Bits, routed: &mut Routed) {
        self.reset(left, routed);
        routed.sinks[sink].copy_from(left);
    }

    fn reset(&self, left: &Bits, routed: &mut Routed) {
        routed.reset(left.len(), self.routes.len(), self.sinks);
        routed.evaluated = 0;
    }
}

impl Routed {
    fn reset(&mut self, rows: usize, routes: usize, sinks: usize) {
        self.evaluated = rows;
        self.filtered_out = 0;
        self.first.clear();
        self.first.resize(routes, 0);
        self.matched.clear();
        self.matched.resize(routes, 0);
        self.sinks.resize_with(sinks, Bits::default);
        self.sinks.iter_mut().for_each(|copies| copies.clear(rows));
        self.open.fill(rows);
        self.fresh.fill(rows);
        self.listed.clear();
        self.claims.clear();
    }

    /// `open` are the rows that no route took yet, `fresh` those of them that
    /// matched none.
    fn pass(&mut self, at: usize, route: &Route, batch: &Batch) {
        match &route.when {
            Matcher::Always => self.hits.copy_from(&self.open),
            Matcher::Unmatched => self.hits.copy_from(&self.fresh),
            Matcher::Rule(rule) => {
                rule.evaluate(batch, &self.open, &mut self.scratch, &mut self.hits);
            }
        }
        self.matched[at] = self.hits.count() as u64;
        if self.matched[at] == 0 {
            return;
        }
        let before = self.fresh.count();
        self.fresh.subtract(&self.hits);
        self.first[at] = (before - self.fresh.count()) as u64;
        if !route.go_on {
            self.open.subtract(&self.hits);
        }
        if route.listed {
            self.list(at, &route.to);
        }
        if let Target::Sinks(to) = &route.to {
            for &sink in to {
                self.sinks[sink].union(&self.hits);
            }
        }
    }

    /// Lists the rows of a route, and the copies that sinks get through it.
    fn list(&mut self, route: usize, to: &Target) {
        let listed = self.listed.add();
        listed.route = route;
        listed.rows.copy_from(&self.hits);
        let listed = self.listed.as_slice().len() - 1;
        let Target::Sinks(to) = to else {
            return;
        };
        for &sink in to {
            let claim = self.claims.add();
            (claim.listed, claim.sink) = (listed, sink);
            claim.rows.copy_from(&self.hits);
            claim.rows.subtract(&self.sinks[sink]);
        }
    }
}
