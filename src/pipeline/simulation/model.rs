//! What rules, routes and `with` lists mean, said a second time and simply:
//! which sinks an event is to reach, and how it is to look there.

use serde_json::Value;

use super::dice::Dice;
use super::topology::{Hearing, Topology};

/// Levels from low to high.
pub(super) const LEVELS: [&str; 5] = ["debug", "info", "warn", "error", "fatal"];
pub(super) const SERVICES: [&str; 3] = ["cart", "pay", "web"];
/// Numbers of events are below this.
pub(super) const N_END: u64 = 100;
/// Events that are merged into one, at most: a share of it is no larger than others.
pub(super) const MERGED_MAX: u64 = 8;

/// What rules look at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Traits {
    pub(super) level: usize,
    pub(super) service: usize,
    pub(super) n: u64,
}

impl Traits {
    pub(super) fn new(dice: &Dice) -> Traits {
        Traits {
            level: dice.below(LEVELS.len() as u64) as usize,
            service: dice.below(SERVICES.len() as u64) as usize,
            n: dice.below(N_END),
        }
    }
}

#[derive(Clone, Debug)]
pub(super) enum Rule {
    /// At least this level.
    Level(usize),
    Service(usize),
    /// At least so much.
    N(u64),
    Not(Box<Rule>),
    And(Box<Rule>, Box<Rule>),
    Or(Box<Rule>, Box<Rule>),
}

impl Rule {
    pub(super) fn new(dice: &Dice) -> Rule {
        let two = || (Box::new(Rule::term(dice)), Box::new(Rule::term(dice)));
        match dice.below(6) {
            0 => Rule::Not(Box::new(Rule::term(dice))),
            1 => {
                let (a, b) = two();
                Rule::And(a, b)
            }
            2 => {
                let (a, b) = two();
                Rule::Or(a, b)
            }
            _ => Rule::term(dice),
        }
    }

    fn term(dice: &Dice) -> Rule {
        match dice.below(3) {
            0 => Rule::Level(dice.between(1, 4) as usize),
            1 => Rule::Service(dice.below(3) as usize),
            _ => Rule::N(dice.between(1, N_END - 1)),
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Rule::Level(level) => format!("level >= {}", LEVELS[*level]),
            Rule::Service(service) => format!("service == \"{}\"", SERVICES[*service]),
            Rule::N(n) => format!("n >= {n}"),
            Rule::Not(rule) => format!("not ({})", rule.text()),
            Rule::And(a, b) => format!("{} and {}", a.text(), b.text()),
            Rule::Or(a, b) => format!("{} or {}", a.text(), b.text()),
        }
    }

    pub(super) fn holds(&self, event: &Traits) -> bool {
        match self {
            Rule::Level(level) => event.level >= *level,
            Rule::Service(service) => event.service == *service,
            Rule::N(n) => event.n >= *n,
            Rule::Not(rule) => !rule.holds(event),
            Rule::And(a, b) => a.holds(event) && b.holds(event),
            Rule::Or(a, b) => a.holds(event) || b.holds(event),
        }
    }
}

/// An item of a `with` list.
#[derive(Clone, Debug)]
pub(super) enum Edit {
    /// Sets a field, where a rule holds if there is one.
    Tag(&'static str, Option<Rule>),
    /// Keeps a part of the events.
    Sample,
    /// Keeps so many a second.
    Limit(u64),
    /// Takes out what was delivered a moment ago. Every event of a run differs
    /// from every other: only one that is sent again can be meant.
    Dedupe,
    /// Makes one of the events of a service, within so many milliseconds.
    Reduce(u64),
}

impl Edit {
    pub(super) fn text(&self) -> String {
        match self {
            Edit::Tag(field, None) => format!("{{ set: {{ {field}: yes }} }}"),
            Edit::Tag(field, Some(rule)) => {
                format!("{{ set: {{ {field}: yes }}, when: '{}' }}", rule.text())
            }
            Edit::Sample => "{ sample: 70% }".to_owned(),
            Edit::Limit(rate) => format!("{{ limit: {rate}/s }}"),
            Edit::Dedupe => "{ dedupe: 1h, by: k }".to_owned(),
            Edit::Reduce(within) => format!(
                "{{ reduce: {within}ms, by: service, merge: {{ k: array }}, events_max: {MERGED_MAX}, bytes_max: 1MiB }}"
            ),
        }
    }

    /// Whether it may take out an event that is sent for the first time.
    pub(super) fn loses(&self) -> bool {
        matches!(self, Edit::Sample | Edit::Limit(_))
    }
}

/// The copy of an event for one sink, as it is meant to be.
#[derive(Clone, Copy, Debug)]
pub(super) struct Meant {
    /// The route that it comes by.
    pub(super) route: usize,
    /// Whether a list may take it out.
    pub(super) may_miss: bool,
}

impl Topology {
    /// The copies of an event, by sink.
    pub(super) fn copies(&self, source: usize, event: &Traits) -> Vec<Option<Meant>> {
        let mut copies = vec![None; self.sinks.len()];
        let mut matched = false;
        for (place, route) in self.routes.iter().enumerate() {
            let from = route.from.as_ref();
            let hit = from.is_none_or(|from| from.contains(&source))
                && route.when.as_ref().is_none_or(|rule| rule.holds(event))
                && !(route.unmatched && matched);
            if !hit {
                continue;
            }
            matched = true;
            for &sink in &route.to {
                let lists = [
                    &self.sources[source].with,
                    &route.with,
                    &self.sinks[sink].with,
                ];
                let may_miss = lists.into_iter().flatten().any(Edit::loses);
                copies[sink].get_or_insert(Meant {
                    route: place,
                    may_miss,
                });
            }
            if !route.go_on {
                break;
            }
        }
        copies
    }

    /// How an event looks in a sink that it reaches by a route; `None`: as it
    /// came, to the byte.
    pub(super) fn looks(
        &self,
        (source, event): (usize, &Traits),
        text: &str,
        sink: usize,
        route: usize,
    ) -> Option<Value> {
        let lists = [
            &self.sources[source].with,
            &self.routes[route].with,
            &self.sinks[sink].with,
        ];
        let tags = lists.into_iter().flatten().filter_map(|edit| match edit {
            Edit::Tag(field, rule) if rule.as_ref().is_none_or(|rule| rule.holds(event)) => {
                Some(*field)
            }
            _ => None,
        });
        let mut value: Option<Value> = None;
        for field in tags {
            let value =
                value.get_or_insert_with(|| serde_json::from_str(text).expect("events are JSON"));
            value[field] = "yes".into();
        }
        value
    }

    /// Whether a list of the source takes out what is sent again.
    pub(super) fn dedupes(&self, source: usize) -> bool {
        let with = &self.sources[source].with;
        with.iter().any(|edit| matches!(edit, Edit::Dedupe))
    }

    /// Whether a list that an event of the source may meet takes out some.
    pub(super) fn loses(&self) -> bool {
        let sources = self.sources.iter().map(|s| &s.with);
        let routes = self.routes.iter().map(|r| &r.with);
        let sinks = self.sinks.iter().map(|k| &k.with);
        let mut all = sources.chain(routes).chain(sinks).flatten();
        all.any(|edit| edit.loses() || matches!(edit, Edit::Dedupe | Edit::Reduce(_)))
    }

    /// Whether nobody sends again what the source lost.
    pub(super) fn is_deaf(&self, source: usize) -> bool {
        self.sources[source].hearing == Hearing::Deaf
    }

    /// Whether the source hears of the end of what it sent.
    pub(super) fn waits(&self, source: usize) -> bool {
        self.sources[source].hearing == Hearing::Waits
    }
}
