//! What is sent to a cluster, and what its replies come to, item by item.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::event::{Cell, ColumnKind, Defs, Path, Timestamp};
use crate::seam::MemoryNetwork;
use crate::sink::encode;
use crate::sink::fixture::{batch, definition, load, objects, part};
use crate::sink::http::fixture::{Say, Seen, Server, reply, status, world};

fn try_build(
    network: &MemoryNetwork,
    target: &str,
    encoding: &str,
    options: Value,
) -> (Result<Elasticsearch, BuildError>, Needs) {
    let mut needs = Needs::default();
    let encoder = Encoder::build(encoding, encode::Options::default(), &mut needs).unwrap();
    let definition = definition("elasticsearch", target, options);
    let sink = build(&definition, encoder, &world(network), &mut needs);
    (sink, needs)
}

struct Setup {
    sink: Elasticsearch,
    needs: Needs,
    server: Server,
}

async fn setup(target: &str, options: Value, script: impl IntoIterator<Item = Say>) -> Setup {
    let network = MemoryNetwork::default();
    let server = Server::start(&network, "es:9200", None, script).await;
    let (sink, needs) = try_build(&network, target, "json", options);
    Setup {
        sink: sink.unwrap_or_else(|error| panic!("{error}")),
        needs,
        server,
    }
}

impl Setup {
    async fn send(&mut self, events: usize) -> Result<Written, SinkError> {
        let load = load(vec![objects(&"{}\n".repeat(events), &self.needs)], false);
        self.sink.write(&load).await
    }
}

/// A reply of one item for each status.
fn bulk(statuses: &[u16]) -> Say {
    let item = |&status: &u16| match status {
        200..300 => json!({ "create": { "status": status } }),
        409 => json!({ "create": { "status": 409, "error": {
            "type": "version_conflict_engine_exception", "reason": "document already exists" } } }),
        _ => json!({ "create": { "status": status, "error": {
            "type": "some_exception", "reason": "because\u{1b}" } } }),
    };
    let items: Vec<_> = statuses.iter().map(item).collect();
    let errors = statuses.iter().any(|status| *status >= 300);
    let body = json!({ "took": 1, "errors": errors, "items": items }).to_string();
    reply("200 OK", "content-type: application/json\r\n", &body)
}

fn is_retry(result: &Result<Written, SinkError>) -> bool {
    matches!(result, Err(SinkError::Retry { .. }))
}

#[tokio::test]
async fn an_event_is_a_create_under_its_id() {
    let options =
        json!({ "routing": "{host}", "pipeline": "p-1", "auth": { "api_key": "id:key" } });
    let mut setup = setup("es/api/logs-{service}", options, [bulk(&[201, 201, 201])]).await;
    let text = "{\"service\":\"Pay\",\"ts\":1}\n{\"@timestamp\":\"x\"}\nplain \"x\"\n";
    let path = |name: &str| {
        setup
            .needs
            .columns
            .iter()
            .position(|n| n.path == Path::parse(name).unwrap())
    };
    let slots = ["service", "timestamp", ".@timestamp"].map(|name| path(name).unwrap());
    let part = part(batch(
        text.as_bytes(),
        &setup.needs,
        Defs::default(),
        |text, columns| {
            let at = |value: &str| memchr::memmem::find(text, value.as_bytes()).unwrap();
            columns.put(
                slots[0],
                0,
                text,
                Cell::string(at("Pay"), at("Pay") + 3, false),
            );
            columns.put_time(slots[1], 0, Timestamp(1_500_000_000));
            columns.put(slots[2], 1, text, Cell::string(at("x"), at("x") + 1, false));
            for row in 0..3 {
                if row < 2 {
                    columns.set_json(row);
                }
                columns.end_row();
            }
        },
    ));
    let ids: Vec<_> = (0..3).map(|row| part.batch.id(row)).collect();
    let written = setup.sink.write(&load(vec![part], false)).await.unwrap();
    let seen = &setup.server.seen()[0];
    let path = "/api/_bulk?filter_path=errors,items.*.status,items.*.error&pipeline=p-1";
    assert!(
        seen.head.starts_with(&format!("POST {path} HTTP/1.1\r\n")),
        "{}",
        seen.head
    );
    assert_eq!(seen.header("authorization"), Some("ApiKey aWQ6a2V5"));
    assert_eq!(seen.header("content-type"), Some("application/x-ndjson"));
    assert_eq!(seen.header("content-encoding"), Some("gzip"));
    let action = |index: &str, id| {
        format!(
            "{{\"create\":{{\"_index\":\"{index}\",\"_id\":\"{id}\",\"routing\":\"unknown\"}}}}\n"
        )
    };
    let expected = [
        action("logs-pay", ids[0]),
        "{\"@timestamp\":\"1970-01-01T00:00:01.500Z\",\"service\":\"Pay\",\"ts\":1}\n".into(),
        action("logs-unknown", ids[1]),
        "{\"@timestamp\":\"x\"}\n".into(),
        action("logs-unknown", ids[2]),
        "{\"@timestamp\":\"1970-01-01T00:00:00Z\",\"message\":\"plain \\\"x\\\"\"}\n".into(),
    ];
    let body = seen.text();
    assert_eq!(body, expected.concat());
    assert_eq!(written.bytes, body.len() as u64);
    // Two services and three hosts were missing.
    assert_eq!((written.missing, written.already_present), (5, 0));
}

#[tokio::test]
async fn ecs_has_its_own_timestamp() {
    let network = MemoryNetwork::default();
    let server = Server::start(&network, "es:9200", None, [bulk(&[201])]).await;
    let (sink, needs) = try_build(&network, "es/x", "ecs", json!({ "compression": "none" }));
    let load = load(vec![objects("{\"a\":1}\n", &needs)], false);
    sink.ok().unwrap().write(&load).await.unwrap();
    let body = server.seen()[0].text();
    let document = body.lines().nth(1).unwrap();
    assert_eq!(
        document,
        r#"{"@timestamp":"1970-01-01T00:00:00Z","ecs.version":"8.11.0","a":1}"#
    );
}

#[tokio::test]
async fn values_cannot_break_out_of_an_action() {
    let script = [bulk(&[201])];
    let mut setup = setup("es/logs-{.k}", json!({ "routing": "{.k}" }), script).await;
    let column = setup
        .needs
        .columns
        .iter()
        .position(|n| n.path == Path::parse(".k").unwrap());
    let kind = setup.needs.columns[column.unwrap()].kind;
    assert_eq!(kind, ColumnKind::Text);
    let value = r#"A\"}}\n{\"delete\":{\"_index\":\"*"#;
    let text = format!("{{\"k\":\"{value}\"}}\n");
    let part = part(batch(
        text.as_bytes(),
        &setup.needs,
        Defs::default(),
        |text, columns| {
            let cell = Cell::string(6, 6 + value.len(), true);
            columns.put(column.unwrap(), 0, text, cell);
            columns.set_json(0);
            columns.end_row();
        },
    ));
    setup.sink.write(&load(vec![part], false)).await.unwrap();
    let body = setup.server.seen()[0].text();
    let lines: Vec<Value> = body
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 2);
    assert_eq!(
        lines[0]["create"]["_index"],
        "logs-a-}}-{-delete--{-_index----"
    );
    assert_eq!(
        lines[0]["create"]["routing"],
        "A\"}}\n{\"delete\":{\"_index\":\"*"
    );
}

#[tokio::test]
async fn every_item_has_its_own_fate() {
    let script = [
        bulk(&[201, 409, 429, 400, 200, 503, 404, 403]),
        bulk(&[409, 409]),
        bulk(&[429, 503]),
        bulk(&[400]),
    ];
    let mut setup = setup("es/x", json!({}), script).await;
    let Err(SinkError::Partial(partial)) = setup.send(8).await else {
        panic!("a part")
    };
    assert_eq!(partial.retry, [2, 5, 7]);
    let items: Vec<_> = partial.rejected.iter().map(|(item, _)| *item).collect();
    assert_eq!(items, [3, 6]);
    assert_eq!(partial.rejected[0].1, "400 some_exception: because\\u{1b}");
    assert_eq!(partial.written.already_present, 1);
    let sent = setup.server.seen()[0].text();
    let taken: usize = [0, 1, 4]
        .iter()
        .flat_map(|item| sent.lines().skip(item * 2).take(2))
        .map(|line| line.len() + 1)
        .sum();
    assert_eq!(partial.written.bytes, taken as u64);
    assert_eq!(
        partial.message,
        "out: es:9200: 3 of 8 events: 429 some_exception: because\\u{1b}; will try again"
    );

    assert_eq!(setup.send(2).await.unwrap().already_present, 2);
    assert!(is_retry(&setup.send(2).await), "none was taken");
    let Err(SinkError::Partial(all)) = setup.send(1).await else {
        panic!("all are refused")
    };
    assert_eq!((all.rejected.len(), all.retry.len()), (1, 0));
    assert!(
        all.message.starts_with("1 of 1 events refused: 400 "),
        "{}",
        all.message
    );
}

#[tokio::test(start_paused = true)]
async fn a_reply_that_is_no_answer_delivers_nothing() {
    let ok = r#"{"errors":false,"items":[{"create":{"status":201}}]}"#;
    let cut = format!("HTTP/1.1 200 OK\r\ncontent-length: 900\r\n\r\n{ok}");
    let endless = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n".to_vec();
    for say in [
        bulk(&[201, 201]),
        bulk(&[]),
        status("200 OK"),
        status("204 x"),
        reply("200 OK", "content-type: text/html\r\n", "<html>hello"),
        reply("200 OK", "", r#"{"errors":false}"#),
        reply("200 OK", "", &ok.replace("false", "true")),
        reply("200 OK", "", &ok[..30]),
        Say::Last(cut.into_bytes()),
        Say::Last(Vec::new()),
        Say::Endless(endless),
        Say::Hang,
        status("429 x"),
        status("500 x"),
    ] {
        let start = tokio::time::Instant::now();
        let mut setup = setup("es/x", json!({}), [say, bulk(&[201])]).await;
        let result = setup.send(1).await;
        assert!(is_retry(&result), "{result:?}");
        assert!(start.elapsed() <= TIMEOUT_DEFAULT.0 + Duration::from_secs(1));
        setup.send(1).await.unwrap();
    }
}

#[tokio::test]
async fn a_refusal_of_the_whole_is_one_of_the_load_or_of_tflog() {
    let script = ["400 x", "413 x", "401 x", "403 x", "404 x", "302 x"].map(status);
    let mut setup = setup("es/x", json!({}), script).await;
    for _ in 0..2 {
        assert!(matches!(setup.send(1).await, Err(SinkError::Reject { .. })));
    }
    for _ in 0..4 {
        assert!(matches!(setup.send(1).await, Err(SinkError::Denied { .. })));
    }
}

#[tokio::test(start_paused = true)]
async fn the_next_host_is_asked_and_the_first_comes_back() {
    let network = MemoryNetwork::default();
    let script = || std::iter::repeat_n(bulk(&[201]), 20);
    let (sink, needs) = try_build(&network, "a:1,b:2/x", "json", json!({}));
    let mut sink = sink.ok().unwrap();
    let load = load(vec![objects("{}\n", &needs)], false);
    let error = sink.write(&load).await.unwrap_err().to_string();
    assert!(error.contains("cannot connect"), "{error}");
    let b = Server::start(&network, "b:2", None, script()).await;
    for _ in 0..4 {
        sink.write(&load).await.unwrap();
    }
    assert_eq!(b.seen().len(), 4, "the one that is there gets all");
    let a = Server::start(&network, "a:1", None, script()).await;
    tokio::time::advance(Duration::from_mins(2)).await;
    for _ in 0..4 {
        sink.write(&load).await.unwrap();
    }
    assert_eq!((a.seen().len(), b.seen().len()), (2, 6), "they take turns");
    assert!(
        a.seen()
            .iter()
            .all(|seen: &Seen| seen.header("host") == Some("a:1"))
    );
}

#[tokio::test(start_paused = true)]
async fn a_host_that_hangs_or_cannot_serve_is_left_alone() {
    for say in [Say::Hang, status("503 x")] {
        let network = MemoryNetwork::default();
        let a = Server::start(&network, "a:9200", None, [say]).await;
        let b = Server::start(&network, "b:9200", None, [bulk(&[201])]).await;
        let (sink, needs) = try_build(&network, "a,b/x", "json", json!({ "timeout": "5s" }));
        let mut sink = sink.ok().unwrap();
        let load = load(vec![objects("{}\n", &needs)], false);
        // What it did with the request nobody knows: the driver decides.
        assert!(is_retry(&sink.write(&load).await));
        assert_eq!(b.seen().len(), 0);
        sink.another().unwrap().write(&load).await.unwrap();
        assert_eq!(
            (a.seen().len(), b.seen().len()),
            (1, 1),
            "all sinks know it"
        );
    }
}

#[tokio::test]
async fn check_asks_who_is_there() {
    let version = |number: &str, more: &str| {
        reply(
            "200 OK",
            "",
            &format!(r#"{{"version":{{"number":"{number}"{more}}}}}"#),
        )
    };
    let script = [
        version("7.17.28", r#","build_flavor":"default""#),
        version("9.1.0", ""),
        version("2.19.3", r#","distribution":"opensearch""#),
        reply("200 OK", "", "something else that speaks bulk"),
        version("6.8.23", ""),
        status("401 x"),
        status("503 x"),
    ];
    let mut setup = setup("es/api/x", json!({}), script).await;
    for _ in 0..4 {
        setup.sink.check().await.unwrap();
    }
    let old = setup.sink.check().await.unwrap_err();
    assert_eq!(
        old.to_string(),
        "out: es:9200 is Elasticsearch 6.8.23: write to 7.0 or newer"
    );
    assert!(matches!(
        setup.sink.check().await,
        Err(SinkError::Denied { .. })
    ));
    assert!(matches!(
        setup.sink.check().await,
        Err(SinkError::Retry { .. })
    ));
    assert!(
        setup.server.seen()[0]
            .head
            .starts_with("GET /api/ HTTP/1.1\r\n")
    );
}

#[tokio::test]
async fn what_the_server_says_back_tells_no_secret() {
    let body = r#"{"errors":true,"items":[{"create":{"status":201}},{"create":{"status":400,"error":{"type":"x","reason":"hunter22 YW5uOmh1bnRlcjIy"}}}]}"#;
    let options = json!({ "auth": { "user": "ann", "password": "hunter22" } });
    let script = [
        reply("200 OK", "", body),
        reply("200 OK", "", "hunter22"),
        reply("500 x", "", "hunter22"),
    ];
    let mut setup = setup("es/x", options, script).await;
    for _ in 0..3 {
        let error = setup.send(2).await.unwrap_err();
        let text = format!("{error} {error:?}");
        assert!(
            !text.contains("hunter22") && !text.contains("YW5u"),
            "{text}"
        );
        assert!(text.contains("***"), "{text}");
    }
}

#[test]
fn what_cannot_be_meant_is_refused() {
    let network = MemoryNetwork::default();
    for (target, encoding, options, key) in [
        ("es", "json", json!({}), "url"),
        ("es:9200/", "json", json!({}), "url"),
        ("es,/x", "json", json!({}), "url"),
        ("{host}/x", "json", json!({}), "url"),
        ("es/a b/x", "json", json!({}), "url"),
        ("es/Logs", "json", json!({}), "url"),
        ("es/x", "raw", json!({}), "encode"),
        ("es/x", "logfmt", json!({}), "encode"),
        (
            "es/x",
            "json",
            json!({ "compression": "zstd" }),
            "compression",
        ),
        (
            "es/x",
            "json",
            json!({ "pipeline": "a&refresh=true" }),
            "pipeline",
        ),
        ("es/x", "json", json!({ "routing": "{" }), "routing"),
        (
            "es/x",
            "json",
            json!({ "concurrency": 1000 }),
            "concurrency",
        ),
    ] {
        let (built, _) = try_build(&network, target, encoding, options);
        let error = built.err().unwrap_or_else(|| panic!("{target} is taken"));
        assert_eq!(error.key.as_deref(), Some(key), "{error}");
    }
    let (built, _) = try_build(&network, "es", "json", json!({}));
    let text = built.err().unwrap().to_string();
    assert!(
        text.contains("names no index") && text.contains("write elasticsearch://host:9200/"),
        "{text}"
    );
}
