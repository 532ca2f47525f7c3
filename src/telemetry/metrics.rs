//! Every metric's name, and a snapshot of the ledger in Prometheus's text
//! exposition format (version 0.0.4).
//!
//! Names have Vector's shape with the prefix `tflog_`. Labels come from the
//! config, never from events, so the number of series is fixed at start-up.

use std::fmt::Write;

use super::{Reason, Snapshot, WithTerms};

mod own;

pub use own::{Gauge, Gauges, render_gauges, render_listener, render_log, render_reloads};

/// A component as metrics name it.
#[derive(Clone, Debug)]
pub struct Labels {
    /// `component_id`: its name in the config.
    pub id: String,
    /// `component_type`: its scheme.
    pub scheme: String,
}

/// Renders a snapshot. `sources` and `sinks` are the labels by place in it,
/// `routes` the names of the routes.
#[must_use]
pub fn render(
    snapshot: &Snapshot,
    sources: &[Labels],
    routes: &[String],
    sinks: &[Labels],
) -> String {
    let mut page = Page::default();
    received(&mut page, snapshot, sources);
    errors(&mut page, snapshot, sources, sinks);
    settled(&mut page, snapshot, sources);
    routed(&mut page, snapshot, routes);
    sent(&mut page, snapshot, sinks);
    discarded(&mut page, snapshot, sources, sinks);
    filtered_by_routes(&mut page, snapshot, routes);
    merged(&mut page, snapshot, sources, routes, sinks);
    buffers(&mut page, snapshot, sinks);
    page.text
}

fn received(page: &mut Page, snapshot: &Snapshot, sources: &[Labels]) {
    let all = || sources.iter().zip(&snapshot.sources);
    page.family(
        "tflog_component_received_events_total",
        "counter",
        "events read",
    );
    all().for_each(|(l, s)| page.sample(&source(l), s.received));
    page.family(
        "tflog_component_received_bytes_total",
        "counter",
        "bytes read",
    );
    all().for_each(|(l, s)| page.sample(&source(l), s.received_bytes));
}

fn errors(page: &mut Page, snapshot: &Snapshot, sources: &[Labels], sinks: &[Labels]) {
    page.family(
        "tflog_component_errors_total",
        "counter",
        "bad input, by what was done about it",
    );
    let mut sample = |labels: &str, kind: &str, count: u64| {
        page.sample(&with(labels, "error_type", kind), count);
    };
    for (labels, s) in sources.iter().map(source).zip(&snapshot.sources) {
        sample(&labels, "parse_failed", s.unparsed);
        sample(&labels, "line_truncated", s.truncated);
        sample(&labels, "event_split", s.split);
        sample(&labels, "frame_discarded", s.discarded);
    }
    for (labels, k) in sinks.iter().map(sink).zip(&snapshot.sinks) {
        sample(&labels, "utf8_replaced", k.replaced);
        sample(&labels, "template_value_missing", k.missing);
    }
}

fn settled(page: &mut Page, snapshot: &Snapshot, sources: &[Labels]) {
    page.family(
        "tflog_source_events_total",
        "counter",
        "events settled, each once by its worst required copy",
    );
    for (l, s) in sources.iter().zip(&snapshot.sources) {
        for (outcome, events) in [
            ("accepted", s.accepted),
            ("filtered", s.filtered),
            ("best_effort", s.best_effort),
            ("dead_lettered", s.dead_lettered),
            ("dropped", s.dropped.total()),
            ("returned", s.returned),
        ] {
            page.sample(&with(&source(l), "outcome", outcome), events);
        }
    }
    page.family(
        "tflog_source_refused_requests_total",
        "counter",
        "requests, and connections of peers that have too many, turned away before anything was read",
    );
    for (l, s) in sources.iter().zip(&snapshot.sources) {
        page.sample(&source(l), s.refused);
    }
    page.family(
        "tflog_source_open_events",
        "gauge",
        "events read and not settled yet",
    );
    for (l, s) in sources.iter().zip(&snapshot.sources) {
        page.sample(&source(l), s.open);
    }
}

fn routed(page: &mut Page, snapshot: &Snapshot, routes: &[String]) {
    page.family(
        "tflog_evaluated_events_total",
        "counter",
        "events that went through the routes",
    );
    page.sample("", snapshot.evaluated);
    page.family(
        "tflog_filtered_events_total",
        "counter",
        "events that the filter took out before the routes",
    );
    page.sample("", snapshot.filtered_out);
    page.family(
        "tflog_route_first_events_total",
        "counter",
        "events whose first match is the route",
    );
    for (name, terms) in routes.iter().zip(&snapshot.routes) {
        page.sample(&with("", "route", name), terms.first);
    }
    page.family(
        "tflog_route_matched_events_total",
        "counter",
        "events that the route matched",
    );
    for (name, terms) in routes.iter().zip(&snapshot.routes) {
        page.sample(&with("", "route", name), terms.matched);
    }
}

fn sent(page: &mut Page, snapshot: &Snapshot, sinks: &[Labels]) {
    let all = || sinks.iter().zip(&snapshot.sinks);
    page.family(
        "tflog_sink_entered_events_total",
        "counter",
        "copies routed to the sink",
    );
    all().for_each(|(l, k)| page.sample(&sink(l), k.entered));
    page.family(
        "tflog_component_sent_events_total",
        "counter",
        "copies delivered",
    );
    all().for_each(|(l, k)| page.sample(&sink(l), k.delivered));
    page.family(
        "tflog_component_sent_bytes_total",
        "counter",
        "bytes delivered, encoded",
    );
    all().for_each(|(l, k)| page.sample(&sink(l), k.sent_bytes));
    page.family(
        "tflog_sink_already_present_events_total",
        "counter",
        "copies, of the delivered, that the service had already",
    );
    all().for_each(|(l, k)| page.sample(&sink(l), k.already_present));
    page.family(
        "tflog_sink_passed_on_events_total",
        "counter",
        "copies that ended in other hands: dead letters, the fallback sink, the source again",
    );
    for (l, k) in all() {
        for (to, events) in [
            ("dead_letter", k.dead_lettered),
            ("fallback", k.diverted),
            ("source", k.returned),
        ] {
            page.sample(&with(&sink(l), "to", to), events);
        }
    }
    page.family(
        "tflog_sink_retries_total",
        "counter",
        "attempts that failed and are repeated",
    );
    all().for_each(|(l, k)| page.sample(&sink(l), k.retries));
}

fn discarded(page: &mut Page, snapshot: &Snapshot, sources: &[Labels], sinks: &[Labels]) {
    page.family(
        "tflog_component_discarded_events_total",
        "counter",
        "events dropped, by reason",
    );
    filtered(page, snapshot, sources, sinks);
    let sources = sources
        .iter()
        .map(source)
        .zip(snapshot.sources.iter().map(|s| s.dropped));
    let sinks = sinks
        .iter()
        .map(sink)
        .zip(snapshot.sinks.iter().map(|k| k.dropped));
    for (labels, dropped) in sources.chain(sinks) {
        for (reason, events, meant) in dropped.reasons() {
            let labels = with(&labels, "intentional", if meant { "true" } else { "false" });
            page.sample(&with(&labels, "reason", reason), events);
        }
    }
}

/// What `with` lists took out; of those that are there.
fn filtered(page: &mut Page, snapshot: &Snapshot, sources: &[Labels], sinks: &[Labels]) {
    let sources = sources
        .iter()
        .map(source)
        .zip(snapshot.sources.iter().map(|s| s.with));
    let sinks = sinks
        .iter()
        .map(sink)
        .zip(snapshot.sinks.iter().map(|k| k.with));
    for (labels, terms) in sources.chain(sinks).filter(|(_, terms)| !terms.is_empty()) {
        for reason in Reason::ALL {
            let labels = with(&labels, "intentional", "true");
            let events = terms.filtered[reason as usize];
            page.sample(&with(&labels, "reason", reason.name()), events);
        }
    }
}

/// What `with` lists of routes took out.
fn filtered_by_routes(page: &mut Page, snapshot: &Snapshot, routes: &[String]) {
    page.family(
        "tflog_route_discarded_events_total",
        "counter",
        "events that a route's `with` took out, by reason",
    );
    let all = routes.iter().zip(&snapshot.routes);
    for (name, terms) in all.filter(|(_, terms)| !terms.with.is_empty()) {
        for reason in Reason::ALL {
            let labels = with(&with("", "route", name), "reason", reason.name());
            page.sample(&labels, terms.with.filtered[reason as usize]);
        }
    }
}

/// What `with` lists have held and merged; of those that have.
fn merged(
    page: &mut Page,
    snapshot: &Snapshot,
    sources: &[Labels],
    routes: &[String],
    sinks: &[Labels],
) {
    let sources = sources.iter().map(source);
    let sources = sources.zip(snapshot.sources.iter().map(|s| s.with));
    let routes = routes.iter().map(|name| with("", "route", name));
    let routes = routes.zip(snapshot.routes.iter().map(|r| r.with));
    let sinks = sinks.iter().map(sink);
    let sinks = sinks.zip(snapshot.sinks.iter().map(|k| k.with));
    let all = sources.chain(routes).chain(sinks);
    let lists: Vec<_> = all.filter(|(_, t)| t.held + t.merged > 0).collect();
    if lists.is_empty() {
        return;
    }
    let mut family = |name, kind, help, value: fn(&WithTerms) -> u64| {
        page.family(name, kind, help);
        for (labels, terms) in &lists {
            page.sample(labels, value(terms));
        }
    };
    let name = "tflog_with_held_events";
    family(name, "gauge", "events that wait to be merged", |t| t.held);
    let name = "tflog_with_merged_events_total";
    family(name, "counter", "events that went into others", |t| {
        t.merged
    });
    let name = "tflog_with_made_events_total";
    family(name, "counter", "events made of others", |t| t.made);
    let name = "tflog_with_cut_events_total";
    let help = "of the events made, those that a bound ended";
    family(name, "counter", help, |t| t.cut);
}

fn buffers(page: &mut Page, snapshot: &Snapshot, sinks: &[Labels]) {
    let all = || sinks.iter().zip(&snapshot.sinks);
    page.family(
        "tflog_buffer_size_events",
        "gauge",
        "copies waiting in the buffer",
    );
    for (l, k) in all() {
        page.sample(&with(&sink(l), "kind", "memory"), k.queued);
        if k.disk.is_some() || k.queued_disk > 0 {
            page.sample(&with(&sink(l), "kind", "disk"), k.queued_disk);
        }
    }
    page.family(
        "tflog_sink_sending_events",
        "gauge",
        "copies in the sink's hands",
    );
    all().for_each(|(l, k)| page.sample(&sink(l), k.sending));
    page.family(
        "tflog_buffer_size_bytes",
        "gauge",
        "bytes pinned by waiting and sent copies, and bytes of files",
    );
    for (l, k) in all() {
        page.sample(&with(&sink(l), "kind", "memory"), k.queued_bytes);
        if let Some(disk) = k.disk {
            page.sample(&with(&sink(l), "kind", "disk"), disk.bytes);
        }
    }
    page.family(
        "tflog_buffer_max_size_bytes",
        "gauge",
        "bytes that the buffer may take",
    );
    for (l, k) in all() {
        page.sample(&with(&sink(l), "kind", "memory"), k.quota.bytes_max);
        if let Some(disk) = k.disk {
            page.sample(&with(&sink(l), "kind", "disk"), disk.bytes_max);
        }
    }
    disks(page, snapshot, sinks);
}

/// What only buffers on disk have.
fn disks(page: &mut Page, snapshot: &Snapshot, sinks: &[Labels]) {
    let all: Vec<_> = sinks
        .iter()
        .zip(&snapshot.sinks)
        .filter_map(|(l, k)| Some((sink(l), k.recovered, k.disk?)))
        .collect();
    if all.is_empty() {
        return;
    }
    page.family(
        "tflog_buffer_recovered_events_total",
        "counter",
        "copies that were on disk from earlier runs",
    );
    for (labels, recovered, _) in &all {
        page.sample(labels, *recovered);
    }
    page.family(
        "tflog_buffer_corrupt_records_total",
        "counter",
        "records on disk that could not be read",
    );
    for (labels, _, disk) in &all {
        page.sample(labels, disk.corrupt_records);
    }
    page.family(
        "tflog_buffer_disk_failures_total",
        "counter",
        "writes and syncs that failed and are repeated",
    );
    for (labels, _, disk) in &all {
        page.sample(labels, disk.failures);
    }
    page.family(
        "tflog_buffer_disk_full",
        "gauge",
        "whether something waits for room on disk",
    );
    for (labels, _, disk) in &all {
        page.sample(labels, u64::from(disk.full));
    }
}

#[derive(Default)]
struct Page {
    text: String,
    name: &'static str,
}

impl Page {
    fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.name = name;
        // Writing to a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, labels: &str, value: u64) {
        let name = self.name;
        let _ = if labels.is_empty() {
            writeln!(self.text, "{name} {value}")
        } else {
            writeln!(self.text, "{name}{{{labels}}} {value}")
        };
    }
}

fn source(labels: &Labels) -> String {
    component(labels, "source")
}

fn sink(labels: &Labels) -> String {
    component(labels, "sink")
}

fn component(labels: &Labels, kind: &str) -> String {
    let id = with("", "component_id", &labels.id);
    let kind = with(&id, "component_kind", kind);
    with(&kind, "component_type", &labels.scheme)
}

pub(super) fn with(labels: &str, name: &str, value: &str) -> String {
    let value = value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    let comma = if labels.is_empty() { "" } else { "," };
    format!("{labels}{comma}{name}=\"{value}\"")
}

#[cfg(test)]
mod tests;
