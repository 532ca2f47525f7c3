//! Numbers that are not in the ledger: what components and the process keep of
//! themselves.

use std::sync::Arc;

use super::{Labels, Page, component, with};

/// What names of counters end in, and no others.
const COUNTER: &str = "_total";

/// A number that a component keeps of itself.
#[derive(Clone, Copy, Debug)]
pub struct Gauge {
    /// The metric's whole name. One that ends in `_total` only rises, from the
    /// start of what it is of.
    pub name: &'static str,
    /// What it counts.
    pub help: &'static str,
    /// Its value now.
    pub value: u64,
}

/// Numbers that a component keeps of itself; always the same ones.
pub trait Gauges: Send + Sync {
    /// Their values now.
    fn read(&self) -> Vec<Gauge>;
}

/// Renders the numbers of the components of a kind that have some, each metric's
/// together.
#[must_use]
pub fn render_gauges(kind: &str, gauges: &[(&Labels, Arc<dyn Gauges>)]) -> String {
    let read: Vec<_> = gauges
        .iter()
        .map(|(labels, gauges)| (component(labels, kind), gauges.read()))
        .collect();
    let mut page = Page::default();
    let mut seen = Vec::new();
    for gauge in read.iter().flat_map(|(_, gauges)| gauges) {
        if seen.contains(&gauge.name) {
            continue;
        }
        seen.push(gauge.name);
        let is_counter = gauge.name.ends_with(COUNTER);
        let kind = if is_counter { "counter" } else { "gauge" };
        page.family(gauge.name, kind, gauge.help);
        for (labels, gauges) in &read {
            let same = gauges.iter().filter(|g| g.name == gauge.name);
            same.for_each(|g| page.sample(labels, g.value));
        }
    }
    page.text
}

/// Renders how many configs were put in force while running, and refused.
#[must_use]
pub fn render_reloads(good: u64, bad: u64) -> String {
    let mut page = Page::default();
    page.family(
        "tflog_config_reloads_total",
        "counter",
        "configs read while running, by whether they were put in force",
    );
    page.sample(&with("", "result", "success"), good);
    page.sample(&with("", "result", "failure"), bad);
    page.text
}

/// Renders what tflog's own listener counts.
#[must_use]
pub fn render_listener(refused: u64) -> String {
    let mut page = Page::default();
    page.family(
        "tflog_http_refused_connections_total",
        "counter",
        "connections of peers that have too many, turned away by tflog's own listener",
    );
    page.sample("", refused);
    page.text
}

/// Renders what tflog's own log counts.
#[must_use]
pub fn render_log(dropped: u64) -> String {
    let mut page = Page::default();
    page.family(
        "tflog_log_dropped_lines_total",
        "counter",
        "lines of tflog's own log that stderr did not take",
    );
    page.sample("", dropped);
    page.text
}
