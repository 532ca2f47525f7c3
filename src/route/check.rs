//! What can be said of a route table before any event: ends left open, routes
//! that nothing reaches, rules that nothing satisfies, sinks without a route.

use std::fmt;

use super::{Condition, Expression, RouteSpec, Target, When};
use crate::event::Needs;

/// Something wrong with a route table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The route at fault, by its place, if it is one.
    pub route: Option<usize>,
    /// What it is.
    pub kind: FindingKind,
    /// What is wrong, lower case, with names.
    pub message: String,
    /// What to do about it.
    pub help: String,
}

/// The kinds of findings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FindingKind {
    /// An error: events of this source can match no route.
    OpenEnd {
        /// The source's place.
        source: usize,
    },
    /// Routes above take every event that this one could.
    Unreachable,
    /// The rule is false for every event.
    Contradiction,
    /// A drop route says `continue`, so that it drops nothing.
    DropGoesOn,
    /// No route names this sink; fine for dead letters and fallbacks.
    UnusedSink {
        /// The sink's place.
        sink: usize,
    },
}

impl FindingKind {
    /// Whether the pipeline must not start: accepted events would have no
    /// place to go.
    #[must_use]
    pub fn is_error(self) -> bool {
        matches!(self, FindingKind::OpenEnd { .. } | FindingKind::DropGoesOn)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.message, self.help)
    }
}

/// Checks a route table over sources and sinks of these names.
#[must_use]
pub fn check(routes: &[RouteSpec], sources: &[&str], sinks: &[&str]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (at, route) in routes.iter().enumerate() {
        findings.extend(impossible(at, route));
        findings.extend(unreachable(at, routes, sources.len()));
    }
    for (source, name) in sources.iter().enumerate() {
        let takes_rest = |r: &RouteSpec| is_from(r, source) && !matches!(r.when, When::Rule(_));
        if !routes.iter().any(takes_rest) {
            findings.push(Finding {
                route: None,
                kind: FindingKind::OpenEnd { source },
                message: format!("events of the source {name} can match no route"),
                help: "end with a route without `when`, or `when: unmatched`; `drop: true` if so meant"
                    .to_owned(),
            });
        }
    }
    for (sink, name) in sinks.iter().enumerate() {
        let named = |r: &RouteSpec| matches!(&r.to, Target::Sinks(to) if to.contains(&sink));
        if !routes.iter().any(named) {
            findings.push(Finding {
                route: None,
                kind: FindingKind::UnusedSink { sink },
                message: format!("no route names the sink {name}"),
                help: "name it in a route's `to`, or remove it".to_owned(),
            });
        }
    }
    findings
}

fn is_from(route: &RouteSpec, source: usize) -> bool {
    route
        .from
        .as_ref()
        .is_none_or(|from| from.contains(&source))
}

/// A route that does nothing whatever comes.
fn impossible(at: usize, route: &RouteSpec) -> Option<Finding> {
    let name = &route.name;
    if route.go_on && matches!(route.to, Target::Drop) {
        return Some(Finding {
            route: Some(at),
            kind: FindingKind::DropGoesOn,
            message: format!("the route {name} drops and continues"),
            help: "remove `continue: true`".to_owned(),
        });
    }
    let When::Rule(rule) = &route.when else {
        return None;
    };
    let empty = is_contradiction(rule)?;
    Some(Finding {
        route: Some(at),
        kind: FindingKind::Contradiction,
        message: format!("the rule of the route {name} is never true: {empty}"),
        help: "the parts exclude each other, or a range has its ends the wrong way round"
            .to_owned(),
    })
}

/// The rule, if it is false for every event.
fn is_contradiction(rule: &Expression) -> Option<&Expression> {
    // The slots only have to tell columns apart.
    let condition = Condition::compile(rule, &mut Needs::default()).ok()?;
    condition.is_contradiction().then_some(rule)
}

/// A route all of whose sources are taken by routes above.
fn unreachable(at: usize, routes: &[RouteSpec], sources: usize) -> Option<Finding> {
    let route = &routes[at];
    let above = &routes[..at];
    let taker = |source: usize| {
        above
            .iter()
            .find(|r| is_from(r, source) && !r.go_on && takes_all_of(r, route))
    };
    // After an unconditional route, even one that goes on, nothing is unmatched.
    let matched = |source: usize| {
        let unmatched = matches!(route.when, When::Unmatched);
        let all = |r: &&RouteSpec| is_from(r, source) && !matches!(r.when, When::Rule(_));
        above.iter().find(all).filter(|_| unmatched)
    };
    let mut by = None;
    for source in (0..sources).filter(|&source| is_from(route, source)) {
        by = Some(taker(source).or_else(|| matched(source))?);
    }
    let by = by?;
    Some(Finding {
        route: Some(at),
        kind: FindingKind::Unreachable,
        message: format!(
            "the route {} is never reached: {} takes all it could",
            route.name, by.name
        ),
        help: format!("move it above {}, or add `continue: true` there", by.name),
    })
}

/// Whether every event for which `route` holds is matched by `above`.
fn takes_all_of(above: &RouteSpec, route: &RouteSpec) -> bool {
    match (&above.when, &route.when) {
        // What is unmatched there was taken here, or was matched further up:
        // then it may have gone on to here, unless this too wants the unmatched.
        (When::Always, _) | (When::Unmatched, When::Unmatched) => true,
        (When::Rule(a), When::Rule(b)) => a == b || implies(b, a),
        _ => false,
    }
}

/// Whether `b` is one of the alternatives of `a`, or `a` a part of `b`.
fn implies(b: &Expression, a: &Expression) -> bool {
    let of_or = matches!(a, Expression::Or(all) if all.contains(b));
    of_or || matches!(b, Expression::And(all) if all.contains(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn route(name: &str, rule: &str, from: Option<Vec<usize>>, go_on: bool) -> RouteSpec {
        let when = match rule {
            "" => When::Always,
            "unmatched" => When::Unmatched,
            rule => When::Rule(Expression::parse(rule).unwrap()),
        };
        RouteSpec {
            name: name.to_owned(),
            from,
            when,
            to: Target::Sinks(vec![0]),
            go_on,
        }
    }

    fn kinds(routes: &[RouteSpec]) -> Vec<(Option<usize>, FindingKind)> {
        let findings = check(routes, &["in", "net"], &["out"]);
        findings.into_iter().map(|f| (f.route, f.kind)).collect()
    }

    #[test]
    fn open_ends_are_errors() {
        let open = |source| (None, FindingKind::OpenEnd { source });
        let rule = || route("r", "a == 1", None, false);
        assert_eq!(kinds(&[rule()]), [open(0), open(1)]);
        assert_eq!(
            kinds(&[rule(), route("n", "", Some(vec![1]), false)]),
            [open(0)]
        );
        assert_eq!(kinds(&[rule(), route("u", "unmatched", None, false)]), []);
        assert!(open(0).1.is_error());
    }

    #[test]
    fn what_is_taken_above_is_unreachable() {
        let all = || route("all", "", None, false);
        let at = |at| (Some(at), FindingKind::Unreachable);
        let a = |go_on| route("a", "a == 1", None, go_on);
        assert_eq!(kinds(&[all(), a(false)]), [at(1)]);
        assert_eq!(kinds(&[a(false), a(false), all()]), [at(1)]);
        assert_eq!(kinds(&[a(true), a(false), all()]), []);
        let both = route("both", "b == 2 and a == 1", None, false);
        assert_eq!(kinds(&[a(false), both, all()]), [at(1)]);
        // Each source by a route of its own.
        let of = |source| route("of", "", Some(vec![source]), false);
        assert_eq!(kinds(&[of(0), of(1), a(false)]), [at(2)]);
        assert_eq!(kinds(&[of(0), a(false), of(1)]), []);
        let goes_on = route("on", "", None, true);
        assert_eq!(
            kinds(&[goes_on, route("u", "unmatched", None, false)]),
            [at(1)]
        );
    }

    #[test]
    fn contradictions_are_found() {
        for (rule, never) in [
            ("a == 1 and a == 2", true),
            ("a == 1 and a == 1", false),
            ("a == x and a == y", true),
            ("a == x and a startswith y", true),
            ("a in 5..1", true),
            ("a > 5 and a < 5", true),
            ("a > 5 or a < 5", false),
            ("level >= error and level < warn", true),
            ("(a == 1 and a == 2) or a in 3..2", true),
            ("a == 1 and b == 2", false),
            ("a in []", true),
            ("not a in []", false),
            ("took > 5s and took < 500ms", true),
        ] {
            let found = kinds(&[route("r", rule, None, false), route("all", "", None, false)]);
            let wanted = if never {
                vec![(Some(0), FindingKind::Contradiction)]
            } else {
                vec![]
            };
            assert_eq!(found, wanted, "{rule}");
        }
    }

    #[test]
    fn sinks_without_a_route_and_drops_that_go_on_are_named() {
        let mut drop = route("drop", "", None, true);
        drop.to = Target::Drop;
        assert_eq!(
            kinds(&[drop]),
            [
                (Some(0), FindingKind::DropGoesOn),
                (None, FindingKind::UnusedSink { sink: 0 }),
            ]
        );
    }
}
