//! The page of metrics, as Prometheus reads it.

use super::*;
use crate::telemetry::{RouteTerms, SinkTerms, SourceTerms};

#[test]
fn a_page_has_one_sample_a_series_and_escaped_labels() {
    let snapshot = Snapshot {
        sources: vec![SourceTerms {
            received: 3,
            ..SourceTerms::default()
        }],
        routes: vec![RouteTerms {
            first: 3,
            matched: 3,
            ..RouteTerms::default()
        }],
        sinks: vec![SinkTerms {
            delivered: 2,
            ..SinkTerms::default()
        }],
        ..Snapshot::default()
    };
    let labels = |id: &str| {
        vec![Labels {
            id: id.into(),
            scheme: "tcp".into(),
        }]
    };
    let page = render(&snapshot, &labels("a"), &["say \"x\"".into()], &labels("b"));
    let series = |line: &str| page.lines().filter(|l| *l == line).count();
    assert_eq!(
        series(
            "tflog_component_received_events_total{component_id=\"a\",component_kind=\"source\",component_type=\"tcp\"} 3"
        ),
        1
    );
    assert_eq!(
        series("tflog_route_first_events_total{route=\"say \\\"x\\\"\"} 3"),
        1
    );
    assert_eq!(
        series(
            "tflog_component_sent_events_total{component_id=\"b\",component_kind=\"sink\",component_type=\"tcp\"} 2"
        ),
        1
    );
    let mut names: Vec<_> = page
        .lines()
        .filter(|l| !l.starts_with('#'))
        .map(|l| l.rsplit_once(' ').unwrap().0)
        .collect();
    let all = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), all, "no series twice");
}
