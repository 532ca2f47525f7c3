//! The page of metrics is what Prometheus's text format says, of whatever there
//! is to tell.

use std::collections::HashMap;
use std::fmt::Write;
use std::process::Stdio;

use crate::harness::{Running, connect, free_address, get, metric, tflog, wait_for};
use crate::tail::Place;

/// A config with everything that has numbers of its own.
fn config(place: &Place) -> String {
    let at = place.directory.path().display();
    let mut sources = format!("  files: 'file://{at}/logs/*.log'\n  push: http\n");
    let mut sinks = format!(
        "  out: {{ url: 'file://{at}/out', encode: json, buffer: {{ disk: 64MiB }} }}\n  \
         away: {{ url: 'http://127.0.0.1:9/', required: false }}\n"
    );
    if cfg!(feature = "kubernetes-api") {
        // Writing to a string cannot fail.
        let _ = writeln!(
            sources,
            "  pods: {{ url: kubernetes, directory: '{at}/pods', enrich: {{ node: one, api: 'http://127.0.0.1:9' }} }}"
        );
    }
    if cfg!(feature = "kafka") {
        sinks += "  topic: { url: 'kafka://127.0.0.1:9/logs', required: false }\n";
    }
    format!(
        "state: {at}/state\nsources:\n{sources}sinks:\n{sinks}routes:\n  - name: all\n    with:\n      \
         - {{ count: lines_total, by: [message] }}\n      \
         - {{ histogram: line_seconds, value: duration, buckets: [0.1, 1] }}\n      \
         - {{ reduce: 1ms, by: [key] }}\n      - {{ limit: 1000/s }}\n    to: {}\n",
        if cfg!(feature = "kafka") {
            "[out, away, topic]"
        } else {
            "[out, away]"
        }
    )
}

/// The sample's metric, labels and value.
fn sample(line: &str) -> (&str, &str, f64) {
    let (series, value) = line.rsplit_once(' ').expect("a value");
    let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
    let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
    (name, labels.strip_suffix('}').expect("an end"), value)
}

fn is_name(name: &str) -> bool {
    let first = name.starts_with(|c: char| c.is_ascii_lowercase());
    first
        && name
            .bytes()
            .all(|b| matches!(b, b'a'..=b'z' | b'0'..=b'9' | b'_'))
}

/// Each metric has one place, a type and a text; counters, and they alone, end in
/// `_total`; no series is there twice.
#[test]
fn the_page_is_what_its_format_says() {
    let place = Place::new();
    std::fs::write(place.path("tflog.yaml"), config(&place)).unwrap();
    place.append(
        "logs/a.log",
        "{\"key\":1,\"message\":\"a \\\"b\\\" }\",\"duration\":\"2s\"}\n",
    );
    let (http, path) = (free_address(), place.path("tflog.yaml"));
    let mut command = tflog(&["-c", path.to_str().unwrap(), "--http", &http.to_string()]);
    let _running = Running::start(command.stderr(Stdio::null()));
    connect(http);
    let page = wait_for("an event on its way", || {
        let page = get(http, "/metrics").1;
        (metric(&page, "tflog_with_made_events_total") > 0).then_some(page)
    });

    let (mut kinds, mut series) = (HashMap::new(), HashMap::new());
    let mut current = "";
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, text) = help.split_once(' ').expect("a text");
            assert!(is_name(name) && !text.is_empty(), "{line}");
            let kind = lines.next().and_then(|line| line.strip_prefix("# TYPE "));
            let kind = kind.and_then(|kind| kind.strip_prefix(name)).expect(name);
            assert!(
                matches!(kind, " counter" | " gauge" | " histogram"),
                "{name}:{kind}"
            );
            assert_eq!(
                name.ends_with("_total"),
                kind == " counter",
                "{name}:{kind}"
            );
            let before = kinds.insert(name, kind);
            assert_eq!(before, None, "{name} is in two places");
            current = name;
            continue;
        }
        let (name, labels, value) = sample(line);
        let own = name
            .strip_prefix(current)
            .unwrap_or_else(|| panic!("{line} of {current}"));
        let is_histogram = kinds.get(current) == Some(&" histogram");
        let known = own.is_empty() || is_histogram && matches!(own, "_bucket" | "_sum" | "_count");
        assert!(known && value >= 0.0, "{line}");
        let before = series.insert((name, labels), value);
        assert_eq!(before, None, "{name}{{{labels}}} is there twice");
    }
    assert_eq!(page.chars().last(), Some('\n'));

    let there = |name: &str| assert!(kinds.contains_key(name), "{name} is not there");
    there("tflog_source_lag_bytes");
    there("tflog_buffer_recovered_events_total");
    there("lines_total");
    if cfg!(feature = "kubernetes-api") {
        there("tflog_kubernetes_api_errors_total");
    }
    if cfg!(feature = "kafka") {
        there("tflog_kafka_request_errors_total");
    }
}
