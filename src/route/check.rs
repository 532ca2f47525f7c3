//! What can be said of a route table before any event: ends left open, routes
//! and sinks that nothing reaches, rules that nothing or everything satisfies.
//!
//! That something never happens is said only where it is certain.

use std::fmt;
use std::ops::Range;

use super::reach::{Rules, is_from, span};
use super::{Expression, RouteSpec, Target, When};

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
    /// The parts of the route's rule at fault, in bytes of its text.
    pub spans: Vec<Range<usize>>,
    /// Other routes that have to do with it, by their places.
    pub others: Vec<usize>,
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
    /// The rule is true for every event.
    Tautology,
    /// An alternative of the rule is never true.
    DeadPart,
    /// A drop route says `continue`, so that it drops nothing.
    DropGoesOn,
    /// No route names this sink; fine for dead letters and fallbacks.
    UnusedSink {
        /// The sink's place.
        sink: usize,
    },
    /// All routes that name this sink are never reached or never true.
    UnreachedSink {
        /// The sink's place.
        sink: usize,
    },
}

impl FindingKind {
    /// Whether it is about one rule alone, whatever the other routes are.
    #[must_use]
    pub fn is_of_rule(self) -> bool {
        matches!(
            self,
            FindingKind::Contradiction | FindingKind::Tautology | FindingKind::DeadPart
        )
    }

    /// Whether the pipeline must not start: accepted events would have no
    /// place to go.
    #[must_use]
    pub fn is_error(self) -> bool {
        matches!(self, FindingKind::OpenEnd { .. } | FindingKind::DropGoesOn)
    }
}

impl Finding {
    fn new(kind: FindingKind, message: String, help: impl Into<String>) -> Finding {
        Finding {
            route: None,
            kind,
            message,
            help: help.into(),
            spans: Vec::new(),
            others: Vec::new(),
        }
    }

    fn of(self, route: usize) -> Finding {
        Finding {
            route: Some(route),
            ..self
        }
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
    let mut rules = Rules::compile(routes);
    let mut never = vec![false; routes.len()];
    for (at, route) in routes.iter().enumerate() {
        let before = findings.len();
        findings.extend(idle(at, route, &mut rules));
        let contradiction = findings[before..]
            .iter()
            .any(|f| f.kind == FindingKind::Contradiction);
        let unreachable = if contradiction {
            None
        } else {
            unreachable(at, routes, sources.len(), &rules)
        };
        never[at] = contradiction || unreachable.is_some();
        findings.extend(unreachable);
    }
    findings.extend(open_ends(routes, sources));
    findings.extend(idle_sinks(routes, sinks, &never));
    findings
}

fn open_ends<'a>(
    routes: &'a [RouteSpec],
    sources: &'a [&str],
) -> impl Iterator<Item = Finding> + 'a {
    let takes_rest =
        |source| move |r: &RouteSpec| is_from(r, source) && !matches!(r.when, When::Rule(_));
    let open = sources
        .iter()
        .enumerate()
        .filter(move |(source, _)| !routes.iter().any(takes_rest(*source)));
    open.map(|(source, name)| {
        Finding::new(
            FindingKind::OpenEnd { source },
            format!("events of the source {name} can match no route"),
            "end with a route without `when`, or `when: unmatched`; `drop: true` if so meant",
        )
    })
}

fn idle_sinks(routes: &[RouteSpec], sinks: &[&str], never: &[bool]) -> Vec<Finding> {
    let finding = |(sink, name): (usize, &&str)| {
        let names = |r: &RouteSpec| matches!(&r.to, Target::Sinks(to) if to.contains(&sink));
        let naming: Vec<usize> = (0..routes.len()).filter(|&at| names(&routes[at])).collect();
        if naming.is_empty() {
            return Some(Finding::new(
                FindingKind::UnusedSink { sink },
                format!("no route names the sink {name}"),
                "name it in a route's `to`, or remove it",
            ));
        }
        naming.iter().all(|&at| never[at]).then(|| Finding {
            others: naming.clone(),
            ..Finding::new(
                FindingKind::UnreachedSink { sink },
                format!(
                    "no event reaches the sink {name}: {}",
                    only(routes, &naming)
                ),
                "mend these routes, or remove the sink",
            )
        })
    };
    sinks.iter().enumerate().filter_map(finding).collect()
}

fn only(routes: &[RouteSpec], naming: &[usize]) -> String {
    match naming {
        [one] => format!("the only route to it, {}, gets none", routes[*one].name),
        all => format!("the routes to it, {}, get none", names(routes, all)),
    }
}

fn names(routes: &[RouteSpec], places: &[usize]) -> String {
    let names: Vec<_> = places.iter().map(|&at| routes[at].name.as_str()).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => String::new(),
    }
}

/// A route, or a part of its rule, that does nothing or everything, whatever
/// comes.
fn idle(at: usize, route: &RouteSpec, rules: &mut Rules) -> Vec<Finding> {
    let name = &route.name;
    if route.go_on && matches!(route.to, Target::Drop) {
        let message = format!("the route {name} drops and continues");
        let help = "remove `continue: true`";
        return vec![Finding::new(FindingKind::DropGoesOn, message, help).of(at)];
    }
    let When::Rule(rule) = &route.when else {
        return Vec::new();
    };
    let finding = |kind, message, help: &str, spans| Finding {
        spans,
        ..Finding::new(kind, message, help).of(at)
    };
    if rules.is_never(at) {
        return vec![finding(
            FindingKind::Contradiction,
            format!(
                "the rule of the route {name} is never true: {}",
                brief(rule)
            ),
            "the parts exclude each other, or a range has its ends the wrong way round",
            rules.conflict(at),
        )];
    }
    if rules.is_always(at) {
        return vec![finding(
            FindingKind::Tautology,
            format!(
                "the rule of the route {name} is true for every event: {}",
                brief(rule)
            ),
            "remove `when` if so meant; else look for a `not` or `!=` too many, which hold where the field is missing",
            Vec::new(),
        )];
    }
    let dead = rules.dead_parts(at).into_iter().map(|part| {
        finding(
            FindingKind::DeadPart,
            format!(
                "a part of the rule of the route {name} is never true: {}",
                brief(part)
            ),
            "it contradicts itself or what is asked beside it: mend it, or remove it",
            span(part).into_iter().collect(),
        )
    });
    dead.collect()
}

/// A rule as far as a message needs it: what was written is shown anyway.
fn brief(rule: &Expression) -> String {
    /// About a line.
    const CHARS_MAX: usize = 80;
    let text = rule.to_string();
    if text.chars().count() <= CHARS_MAX {
        return text;
    }
    let start: String = text.chars().take(CHARS_MAX).collect();
    format!("{start}…")
}

/// A route all of whose events are taken by routes above.
fn unreachable(at: usize, routes: &[RouteSpec], sources: usize, rules: &Rules) -> Option<Finding> {
    let route = &routes[at];
    let of: Vec<usize> = (0..sources)
        .filter(|&source| is_from(route, source))
        .collect();
    let by = rules.taken_by(at, &of)?;
    let is_end = |at: &usize| !matches!(routes[*at].when, When::Rule(_));
    // Rules that leave nothing over still want an end: see `open_ends`.
    if is_end(&at) && !by.iter().any(is_end) {
        return None;
    }
    let takers = names(routes, &by);
    let (take, there) = if by.len() == 1 {
        ("takes", "there")
    } else {
        ("take", "to them")
    };
    Some(Finding {
        others: by,
        ..Finding::new(
            FindingKind::Unreachable,
            format!(
                "the route {} is never reached: {takers} {take} all it could",
                route.name
            ),
            format!("move it above {takers}, or add `continue: true` {there}"),
        )
        .of(at)
    })
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
            ("not a in [3]", false),
            ("level >= error and level < warn", true),
            ("(a == 1 and a == 2) or a in 3..2", true),
            ("a == 1 and b == 2", false),
            ("a in []", true),
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
    fn tautologies_and_dead_parts_are_found() {
        let of = |rule| {
            let routes = [route("r", rule, None, false), route("all", "", None, false)];
            let found = check(&routes, &["in"], &["out"]);
            let spans = |f: &Finding| f.spans.iter().map(|s| (s.start, s.end)).collect();
            let kinds = found.iter().map(|f| (f.kind, spans(f)));
            kinds.collect::<Vec<(_, Vec<_>)>>()
        };
        let all = FindingKind::Tautology;
        for rule in ["not a in []", "a != 1 or a != 2", "a == 1 or not (a == 1)"] {
            assert_eq!(of(rule), [(all, vec![])], "{rule}");
        }
        assert_eq!(of("exists(a) or a != 1 and b != 2"), []);
        assert_eq!(
            of("a == 1 and (a == 2 or b == 3)"),
            [(FindingKind::DeadPart, vec![(12, 18)])]
        );
        assert_eq!(
            of("b == 3 or (a in 2..1 and c == 1)"),
            [(FindingKind::DeadPart, vec![(11, 31)])]
        );
        let conflict = of("b == 1 and a > 5 and c == 2 and a < 3");
        assert_eq!(
            conflict,
            [(FindingKind::Contradiction, vec![(11, 16), (32, 37)])]
        );
    }

    #[test]
    fn several_routes_shadow_one_and_its_sink() {
        let to = |mut route: RouteSpec, sink| {
            route.to = Target::Sinks(vec![sink]);
            route
        };
        let routes = [
            route("low", "status < 400", None, false),
            route("high", "status >= 400", None, false),
            route("odd", "exists(b)", None, false),
            to(route("late", "status == 404 and a == 1", None, false), 1),
            route("all", "", None, false),
        ];
        let found = check(&routes, &["in"], &["out", "late"]);
        let found: Vec<_> = found
            .iter()
            .map(|f| (f.route, f.kind, &*f.others))
            .collect();
        assert_eq!(
            found,
            [
                (Some(3), FindingKind::Unreachable, &[1][..]),
                (None, FindingKind::UnreachedSink { sink: 1 }, &[3][..]),
            ]
        );
        let both = route("both", "status in 0..1000", None, false);
        let found = check(
            &[
                routes[0].clone(),
                routes[1].clone(),
                both,
                routes[4].clone(),
            ],
            &["in"],
            &["out"],
        );
        assert_eq!(found[0].others, [0, 1]);
        // Rules that leave nothing over still want an end.
        let never_open = [
            route("a", "a == 1", None, false),
            route("b", "a != 1", None, false),
            routes[4].clone(),
        ];
        assert_eq!(check(&never_open, &["in"], &["out"]), []);
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
