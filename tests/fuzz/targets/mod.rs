//! What each fuzz target promises of any bytes: a function a target, which
//! panics where the promise is broken. libFuzzer runs them (`bin/`), and
//! `tests/fuzz.rs` on every input that is kept in `corpus/`.

// Tests may panic anywhere: that is how they fail.
#![allow(clippy::unwrap_used)]

mod config;
mod events;
mod formats;
mod framing;
mod human;
mod json;
mod rules;

/// A name, and what it runs on an input.
type Target = (&'static str, fn(&[u8]));

/// The targets by name, each with the folder of its name in `corpus/`.
pub(crate) const TARGETS: [Target; 10] = [
    ("json", json::projection),
    ("logfmt", formats::logfmt),
    ("syslog", formats::syslog),
    ("cri", formats::containers),
    ("pattern", formats::named),
    ("grammar", rules::rule_and_events),
    ("config", config::document),
    ("framing", framing::lines),
    ("multiline", framing::events),
    ("human", human::view),
];

/// Runs one target on one input.
pub(crate) fn run(name: &str, data: &[u8]) {
    let found = TARGETS.iter().find(|(target, _)| *target == name);
    let (_, target) = found.unwrap_or_else(|| panic!("no target is called {name}"));
    target(data);
}
