//! The ledger at the end of a run, for people and for machines.

use std::fmt::Write;

use crate::pipeline::Monitor;
use crate::telemetry::{Dropped, Reason, Snapshot, WithTerms};

/// The ledger as one JSON object.
pub(super) fn json(monitor: &Monitor, snapshot: &Snapshot) -> serde_json::Value {
    let roster = monitor.roster();
    let sources = roster
        .sources
        .iter()
        .zip(&snapshot.sources)
        .map(|(label, s)| {
            let terms = serde_json::json!({
                "received": s.received, "accepted": s.accepted, "filtered": s.filtered,
                "best_effort": s.best_effort, "dead_lettered": s.dead_lettered,
                "dropped": dropped(&s.dropped), "returned": s.returned, "open": s.open,
                "unparsed": s.unparsed, "truncated": s.truncated, "discarded": s.discarded,
                "split": s.split, "refused": s.refused, "with": with(&s.with),
            });
            (label.id.clone(), terms)
        });
    let routes = roster.routes.iter().zip(&snapshot.routes).map(|(name, r)| {
        (
            name.clone(),
            serde_json::json!({
                "first": r.first, "matched": r.matched, "with": with(&r.with),
            }),
        )
    });
    let sinks = roster.sinks.iter().zip(&snapshot.sinks).map(|(label, k)| {
        let terms = serde_json::json!({
            "recovered": k.recovered, "entered": k.entered, "delivered": k.delivered,
            "already_present": k.already_present, "dead_lettered": k.dead_lettered,
            "diverted": k.diverted, "dropped": dropped(&k.dropped), "returned": k.returned,
            "queued": k.queued, "queued_disk": k.queued_disk, "sending": k.sending,
            "retries": k.retries,
            "sent_bytes": k.sent_bytes, "filtered": k.filtered, "with": with(&k.with),
        });
        (label.id.clone(), terms)
    });
    serde_json::json!({
        "sources": sources.collect::<serde_json::Map<_, _>>(),
        "evaluated": snapshot.evaluated,
        "filtered_out": snapshot.filtered_out,
        "routes": routes.collect::<serde_json::Map<_, _>>(),
        "sinks": sinks.collect::<serde_json::Map<_, _>>(),
    })
}

fn dropped(dropped: &Dropped) -> serde_json::Value {
    let reasons = dropped
        .reasons()
        .map(|(reason, events, _)| (reason.to_owned(), events.into()));
    serde_json::Value::Object(reasons.into_iter().filter(|(_, n)| *n != 0).collect())
}

/// The terms of a `with` list; null if there is none.
fn with(terms: &WithTerms) -> serde_json::Value {
    if terms.is_empty() {
        return serde_json::Value::Null;
    }
    let filtered = Reason::ALL.map(|r| (r.name().to_owned(), terms.filtered[r as usize].into()));
    serde_json::json!({
        "in": terms.entered, "made": terms.made, "cut": terms.cut,
        "filtered": serde_json::Map::from_iter(filtered),
        "merged": terms.merged, "held": terms.held, "returned": terms.returned,
        "dropped": terms.dropped, "out": terms.out,
    })
}

/// What a `with` list did, for people; empty if there is none.
fn with_text(terms: &WithTerms) -> String {
    let mut text = String::new();
    if terms.is_empty() {
        return text;
    }
    let _ = write!(text, " (with: {} in, {} out", terms.entered, terms.out);
    for reason in Reason::ALL {
        let events = terms.filtered[reason as usize];
        if events > 0 {
            let _ = write!(text, ", {events} by {}", reason.name());
        }
    }
    for (name, events) in [
        ("made", terms.made),
        ("of them cut short", terms.cut),
        ("merged", terms.merged),
        ("held", terms.held),
        ("dropped", terms.dropped),
    ] {
        if events > 0 {
            let _ = write!(text, ", {events} {name}");
        }
    }
    text.push(')');
    text
}

/// The ledger as a few lines of text.
pub(super) fn text(monitor: &Monitor, snapshot: &Snapshot) -> String {
    let roster = monitor.roster();
    let mut text = String::new();
    // Writing to a string cannot fail.
    for (label, s) in roster.sources.iter().zip(&snapshot.sources) {
        let _ = write!(
            text,
            "source {}: {} received, {} accepted{}",
            label.id,
            s.received,
            s.accepted,
            with_text(&s.with)
        );
        let extra = [
            ("filtered", s.filtered),
            ("best effort", s.best_effort),
            ("dropped", s.dropped.total()),
            ("open", s.open),
            ("unparsed", s.unparsed),
            ("truncated", s.truncated),
            ("split", s.split),
            ("discarded", s.discarded),
        ];
        extras(&mut text, &extra);
    }
    for (name, r) in roster.routes.iter().zip(&snapshot.routes) {
        let _ = writeln!(
            text,
            "route {name}: {} first matches, {} matches{}",
            r.first,
            r.matched,
            with_text(&r.with)
        );
    }
    if snapshot.filtered_out > 0 {
        let _ = writeln!(text, "filter: {} left out", snapshot.filtered_out);
    }
    for (label, k) in roster.sinks.iter().zip(&snapshot.sinks) {
        let _ = write!(
            text,
            "sink {}: {} entered, {} delivered{}",
            label.id,
            k.entered,
            k.delivered,
            with_text(&k.with)
        );
        let extra = [
            ("dropped", k.dropped.total()),
            ("recovered", k.recovered),
            ("queued", k.queued),
            ("on disk for the next run", k.queued_disk),
            ("sending", k.sending),
            ("retries", k.retries),
        ];
        extras(&mut text, &extra);
    }
    text
}

fn extras(text: &mut String, extra: &[(&str, u64)]) {
    for (name, value) in extra.iter().filter(|(_, value)| *value > 0) {
        let _ = write!(text, ", {value} {name}");
    }
    text.push('\n');
}
