//! What is odd about a config that works: where to point, and at what.

use super::diagnostic::Diagnostic;
use super::place::Place;
use super::{Config, RouteConfig};
use crate::pipeline::Fsync;
use crate::route::{Expression, Finding, FindingKind, lint};

/// A finding about the routes, at its place.
pub(super) fn finding(config: &Config, finding: &Finding) -> Diagnostic {
    let message = finding.message.clone();
    let code = code(finding.kind);
    let mut diagnostic = if finding.kind.is_error() {
        Diagnostic::error(code, message)
    } else {
        Diagnostic::warning(code, message)
    };
    let place = match finding.kind {
        FindingKind::OpenEnd { source } => {
            let source = config.sources.get(source);
            source.map(|s| s.places.of(None).clone())
        }
        FindingKind::UnusedSink { sink } | FindingKind::UnreachedSink { sink } => {
            let sink = config.sinks.get(sink);
            sink.map(|s| s.places.of(None).clone())
        }
        _ => finding.route.and_then(|at| route(config, at)).map(whole),
    };
    if let Some(place) = place {
        diagnostic = diagnostic.at(&place);
    }
    let rule = finding
        .route
        .and_then(|at| route(config, at)?.when.as_ref());
    if let (Some(rule), [first, others @ ..]) = (rule, &finding.spans[..]) {
        diagnostic = diagnostic.at(&rule.at(first.clone()));
        for other in others {
            diagnostic = diagnostic.also(rule.at(other.clone()), "excludes it");
        }
    }
    for other in finding.others.iter().filter_map(|&at| route(config, at)) {
        let label = match finding.kind {
            FindingKind::UnreachedSink { .. } => "gets no event",
            _ => "takes them",
        };
        diagnostic = diagnostic.also(whole(other), label);
    }
    diagnostic.help(finding.help.clone())
}

/// A stable name for each kind.
fn code(kind: FindingKind) -> &'static str {
    match kind {
        FindingKind::OpenEnd { .. } => "routes::open_end",
        FindingKind::Unreachable => "routes::shadowed",
        FindingKind::Contradiction => "rule::never",
        FindingKind::Tautology => "rule::always",
        FindingKind::DeadPart => "rule::dead_part",
        FindingKind::DropGoesOn => "routes::drop",
        FindingKind::UnusedSink { .. } => "routes::unused_sink",
        FindingKind::UnreachedSink { .. } => "routes::unreached_sink",
    }
}

/// What is odd about the terms of a route's rule.
pub(super) fn lints(config: &Config, at: usize, rule: &Expression) -> Vec<Diagnostic> {
    let text = route(config, at).and_then(|route| route.when.as_ref());
    let each = lint(rule).into_iter().map(|found| {
        let diagnostic = if found.minor {
            Diagnostic::note("rule::plainer", found.message)
        } else {
            Diagnostic::warning("rule::type", found.message)
        };
        let diagnostic = diagnostic.help(found.help);
        match text {
            Some(text) => diagnostic.at(&text.at(found.span)),
            None => diagnostic,
        }
    });
    each.collect()
}

fn route(config: &Config, at: usize) -> Option<&RouteConfig> {
    config.routes.as_ref()?.get(at)
}

/// Where to point for all of a route: its rule, if it has one.
fn whole(route: &RouteConfig) -> Place {
    let rule = route.when.as_ref().map(|rule| &rule.place);
    rule.unwrap_or(&route.place).clone()
}

/// Sources that cannot be told what became of their events.
const NEVER_TOLD: [&str; 5] = ["stdin", "exec", "fifo", "unix", "tcp"];
/// Sinks that hand events over without hearing that they arrived.
const HANDED_OVER: [&str; 5] = ["stdout", "stderr", "exec", "unix", "tcp"];

/// What can be lost although nothing is wrong: by a crash, or as the config
/// says. One note for each way.
#[must_use]
pub fn losses(config: &Config) -> Vec<Diagnostic> {
    let note = |message: String, help: &str| Diagnostic::note("delivery", message).help(help);
    let sources = config.sources.iter();
    let untold = sources.filter(|s| NEVER_TOLD.contains(&&*s.definition.scheme));
    let untold = list(untold.map(|s| (&*s.name, Some(&*s.definition.scheme))));
    let required = config.sinks.iter().filter(|sink| sink.required);
    let over = required.filter(|s| HANDED_OVER.contains(&&*s.definition.scheme));
    let over = list(over.map(|s| (&*s.name, Some(&*s.definition.scheme))));
    let lazy = config.sinks.iter();
    let lazy = lazy.filter(|s| s.buffer.disk.is_some() && s.buffer.fsync == Fsync::Interval);
    let lazy = list(lazy.map(|s| (&*s.name, None)));
    let spare = config.sinks.iter().filter(|sink| !sink.required);
    let spare = list(spare.map(|s| (&*s.name, None)));
    let notes = [
        untold.map(|names| {
            note(
                format!("a crash of tflog can lose what it has read from {names} and not yet delivered"),
                "these sources hear of no delivery; `http` and `file` do",
            )
        }),
        over.map(|names| {
            note(
                format!("a crash can lose what is on its way to {names}"),
                "they take events without confirming them; kafka, elasticsearch, http and file confirm",
            )
        }),
        lazy.map(|names| {
            note(
                format!("a crash of the machine can lose what the disk buffer of {names} took in the last second"),
                "`fsync: interval` says so; `ack` syncs before a source hears that its events are kept",
            )
        }),
        spare.map(|names| {
            note(
                format!("what does not fit the buffer of {names} is dropped and counted"),
                "`required: false` says so",
            )
        }),
    ];
    notes.into_iter().flatten().collect()
}

/// `a (tcp), b (exec) and c`.
fn list<'a>(items: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> Option<String> {
    let mut items: Vec<String> = items
        .map(|(name, scheme)| match scheme {
            Some(scheme) if scheme != name => format!("{name} ({scheme})"),
            _ => name.to_owned(),
        })
        .collect();
    let last = items.pop()?;
    Some(if items.is_empty() {
        last
    } else {
        format!("{} and {last}", items.join(", "))
    })
}
