//! The whole of it: a pipe, fifty connections and HTTP clients reach a file, a
//! real Kafka and real search servers, each event exactly where the rules say.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Stdio;

use crate::harness::free_address;
use crate::oracle::{Name, Received, line, lines, names};
use crate::search;
use crate::servers::{Elasticsearch, Kafka, OpenSearch, Server, VictoriaLogs};
use crate::service::{PATIENCE, Service, read};
use crate::topic;

const PIPED: u64 = 20_000;
const CONNECTIONS: u64 = 50;
const EACH: u64 = 1000;
const PUSHED: u64 = 5000;

/// Every event: what the sources send.
fn sent() -> Vec<Name> {
    let mut all = names("pipe", 0..PIPED);
    for connection in 0..CONNECTIONS {
        all.extend(names(&format!("net{connection}"), 0..EACH));
    }
    all.extend(names("push", 0..PUSHED));
    all
}

/// Of all, those that the rules send to a sink; as `CONFIG` says it.
fn wanted(sink: &str) -> Vec<Name> {
    let mut all = sent();
    all.retain(|(producer, number)| {
        let is_probe = number.is_multiple_of(10);
        let is_error = number.is_multiple_of(7);
        let is_pushed = producer == "push";
        match sink {
            "stream" => is_error && !is_probe,
            "search" => !is_probe,
            "archive" => !is_probe && !is_pushed,
            other => panic!("no sink {other}"),
        }
    });
    all
}

const CONFIG: &str = "
sources:
  pipe: stdin
  net: tcp://INPUT
  push: { url: 'http://PUSH' }
routes:
  - { name: probes, when: 'http.path in [\"/healthz\"]', drop: true }
  - { name: errors, when: 'level >= error', to: stream, continue: true }
  - { name: pushed, from: push, to: search }
  - { name: rest, to: [archive, search] }
sinks:
  archive: { url: 'file://DIR/archive.log', encode: raw }
  stream: { url: 'kafka://KAFKA/whole', encode: raw }
  search: { url: 'opensearch://SEARCH/whole' }
";

/// Sends everything: by the pipe, fifty connections at once, and HTTP, whose
/// clients hear that it was taken.
fn send_all(service: &mut Service, push: std::net::SocketAddr) {
    let mut pipe = service.running.child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        scope.spawn(move || pipe.write_all(lines("pipe", 0..PIPED).as_bytes()).unwrap());
        let service = &*service;
        for connection in 0..CONNECTIONS {
            let producer = format!("net{connection}");
            scope.spawn(move || service.send(&lines(&producer, 0..EACH)));
        }
        for part in 0..5 {
            let (from, to) = (part * PUSHED / 5, (part + 1) * PUSHED / 5);
            let body = lines("push", from..to);
            let kind = "application/x-ndjson";
            let reply = search::call(push, "POST", "/", kind, body.as_bytes());
            assert_eq!(reply.0, 200, "{}", reply.1);
        }
    });
}

/// Everything arrives where it was to, once; raw lines byte by byte, each
/// source's in its order; and the exit report says just that.
#[test]
fn every_event_is_where_the_rules_say() {
    let (Some(kafka), Some(opensearch)) = (Kafka::shared(), OpenSearch::shared()) else {
        return;
    };
    let brokers = kafka.address().to_string();
    let push = free_address();
    let config = CONFIG
        .replace("PUSH", &push.to_string())
        .replace("KAFKA", &brokers)
        .replace("SEARCH", &opensearch.address().to_string());
    let mut service = Service::start_with(&config, Stdio::piped());
    send_all(&mut service, push);
    let events = sent().len() as u64;
    service.wait_until_settled(events, PATIENCE);

    let archive = read(&service.dir.path().join("archive.log"));
    assert_in_order(&archive, &wanted("archive"));
    let stream = topic::messages(&brokers, "whole");
    let stream: Vec<_> = stream
        .into_iter()
        .map(|m| String::from_utf8(m).unwrap() + "\n")
        .collect();
    Received::of_lines(&stream.concat()).assert_once("stream", &wanted("stream"));
    for text in &stream {
        let (producer, number) = crate::oracle::name(&serde_json::from_str(text).unwrap()).unwrap();
        assert_eq!(text.trim_end(), line(&producer, number), "byte by byte");
    }
    let found = search::documents(opensearch.address(), "whole");
    found.assert_once("search", &wanted("search"));

    let ended = service.finish();
    for (source, received) in [
        ("pipe", PIPED),
        ("net", CONNECTIONS * EACH),
        ("push", PUSHED),
    ] {
        assert_eq!(ended.source(source, "received"), received, "{source}");
        assert_eq!(ended.source(source, "filtered"), received / 10, "{source}");
        let accepted = received - received / 10;
        assert_eq!(ended.source(source, "accepted"), accepted, "{source}");
    }
    for sink in ["archive", "stream", "search"] {
        let copies = wanted(sink).len() as u64;
        assert_eq!(ended.sink(sink, "entered"), copies, "{sink}");
        assert_eq!(ended.sink(sink, "delivered"), copies, "{sink}");
    }
    let first = |route: &str| ended.ledger["routes"][route]["first"].as_u64().unwrap();
    assert_eq!(first("probes"), events / 10);
    assert_eq!(
        ended.ledger["routes"]["errors"]["matched"].as_u64(),
        Some(wanted("stream").len() as u64)
    );
}

/// These lines and no others, byte by byte; each producer's in order.
fn assert_in_order(text: &str, wanted: &[Name]) {
    let mut last: BTreeMap<String, u64> = BTreeMap::new();
    for text in text.lines() {
        let event = serde_json::from_str(text).expect("whole lines");
        let (producer, number) = crate::oracle::name(&event).unwrap();
        assert_eq!(text, line(&producer, number), "byte by byte");
        let before = last.insert(producer.clone(), number);
        assert!(
            before < Some(number),
            "{producer} {number} after {before:?}"
        );
    }
    Received::of_lines(text).assert_once("archive", wanted);
}

/// Sends events to a search server of its own and reads them back.
fn all_are_found(server: &Server, url: &str, found: impl Fn(&Server) -> Received) {
    let url = url.replace("HOST", &server.address().to_string());
    let config =
        format!("sources: {{ net: 'tcp://INPUT' }}\nsinks: {{ out: {{ url: '{url}' }} }}\n");
    let service = Service::start(&config);
    service.send(&lines("p", 0..EACH));
    service.wait_until_settled(EACH, PATIENCE);
    found(server).assert_once(&url, &names("p", 0..EACH));
    let ended = service.finish();
    assert_eq!(ended.sink("out", "delivered"), EACH);
}

/// Elasticsearch takes what `OpenSearch` takes.
#[test]
fn elasticsearch_has_each_event_once() {
    if let Some(server) = Elasticsearch::start() {
        all_are_found(&server, "elasticsearch://HOST/events", |s| {
            search::documents(s.address(), "events")
        });
    }
}

/// A data stream of the template that is deployed takes them with ECS's names.
#[test]
fn a_data_stream_has_each_event_once() {
    let Some(server) = OpenSearch::start() else {
        return;
    };
    let template = include_bytes!("../../deploy/opensearch/index-template.json");
    let path = "/_index_template/tflog";
    let reply = search::call(server.address(), "PUT", path, "application/json", template);
    assert_eq!(reply.0, 200, "{}", reply.1);
    all_are_found(
        &server,
        "opensearch://HOST/logs-app-default?encode=ecs",
        |s| search::documents(s.address(), "logs-app-default"),
    );
}

/// And so does what only speaks as they do.
#[test]
fn victorialogs_has_each_event_once() {
    let Some(server) = VictoriaLogs::start() else {
        return;
    };
    all_are_found(
        &server,
        "elasticsearch://HOST/insert/elasticsearch/events",
        |s| {
            let form = "application/x-www-form-urlencoded";
            search::call(s.address(), "POST", "/internal/force_flush", form, b"");
            let path = "/select/logsql/query";
            let (status, body) =
                search::call(s.address(), "POST", path, form, b"query=*&limit=100000");
            assert_eq!(status, 200, "{body}");
            let mut received = Received::default();
            for line in body.lines() {
                // Every value of theirs is a string.
                let mut event: serde_json::Value = serde_json::from_str(line).unwrap();
                let number: u64 = event["seq"].as_str().unwrap().parse().unwrap();
                event["seq"] = number.into();
                received.take(&event);
            }
            received
        },
    );
}
