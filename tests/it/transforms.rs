//! What `with` lists do to events, and for whom.

use std::io::{Read, Write};

use crate::harness::{
    Running, assert_balanced, free_address, get, ledger, lines, metric, run, tflog,
};

fn config(dir: &std::path::Path, text: &str) -> String {
    let path = dir.join("tflog.yaml");
    std::fs::write(&path, text.replace("DIR", dir.to_str().unwrap())).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Runs the config on the lines; its ledger in lines of text.
fn settle(config: &str, input: &str) -> Vec<String> {
    let output = run(&["-c", config, "--stats"], input.as_bytes());
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    stderr.lines().map(str::to_owned).collect()
}

/// One event is redacted for one sink and whole for another; what no list
/// touches leaves byte for byte.
#[test]
fn an_event_is_redacted_for_one_sink_and_whole_for_another() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(
        dir.path(),
        "
sinks:
  whole: file://DIR/whole.jsonl
  safe: { url: 'file://DIR/safe.jsonl', with: [ { redact: [email, card] } ] }
  raw: { url: 'file://DIR/raw.log', encode: raw, with: [ { redact: email, mask: '***' } ] }
",
    );
    let input = [
        r#"{ "user": "ann@example.com", "n": 1.50 }"#,
        r#"{"card":4111111111111111,"b":[true]}"#,
        "2026-11-23 13:32:42 ERROR mail to ann@example.com",
        r#"{"quiet": 1}"#,
    ];
    settle(&config, &(input.join("\n") + "\n"));
    let all = |name: &str| lines(&dir.path().join(name));
    assert_eq!(all("whole.jsonl")[..2], input[..2]);
    assert_eq!(
        all("safe.jsonl"),
        [
            r#"{ "user": "[email]", "n": 1.50 }"#,
            r#"{"card":"[card]","b":[true]}"#,
            r#"{"timestamp":"2026-11-23T13:32:42Z","level":"ERROR","message":"mail to [email]"}"#,
            r#"{"quiet": 1}"#,
        ]
    );
    assert_eq!(
        all("raw.log"),
        [
            r#"{ "user": "***", "n": 1.50 }"#,
            input[1],
            "2026-11-23 13:32:42 ERROR mail to ***",
            input[3],
        ]
    );
}

/// The lists run in the order source, route, sink; `continue` goes on without
/// the route's edits; each sink gets its events in the order they came.
#[test]
fn edits_are_seen_by_what_comes_after_them_and_by_nobody_else() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(
        dir.path(),
        "
sources:
  app: { url: stdin, with: [ { rename: { msg: message } }, { set: { env: '${ENV:-dev}' } } ] }
routes:
  - { name: bad, when: 'level >= error and env == dev', with: [ { set: { bad: true } } ], to: [one, two], continue: true }
  - { name: rest, with: [ { set: { bad: false }, when: 'level < error' } ], to: [two, three] }
sinks:
  one: { url: 'file://DIR/one.jsonl', with: [ { keep: [message, bad] } ] }
  two: file://DIR/two.jsonl
  three: { url: 'file://DIR/{env}.jsonl' }
",
    );
    let input = r#"{"level":"info","msg":"a"}
{"level":"error","msg":"b"}
{"level":"info","msg":"c"}
"#;
    let ledger = settle(&config, input);
    let all = |name: &str| lines(&dir.path().join(name));
    assert_eq!(all("one.jsonl"), [r#"{"message":"b","bad":true}"#]);
    assert_eq!(
        all("two.jsonl"),
        [
            r#"{"level":"info","message":"a","env":"dev","bad":false}"#,
            r#"{"level":"error","message":"b","env":"dev","bad":true}"#,
            r#"{"level":"info","message":"c","env":"dev","bad":false}"#,
        ]
    );
    assert_eq!(
        all("dev.jsonl"),
        [
            r#"{"level":"info","message":"a","env":"dev","bad":false}"#,
            r#"{"level":"error","message":"b","env":"dev"}"#,
            r#"{"level":"info","message":"c","env":"dev","bad":false}"#,
        ]
    );
    let rest = "route rest: 2 first matches, 3 matches (with: 3 in, 3 out)";
    assert!(ledger.iter().any(|line| line == rest), "{ledger:?}");
}

/// Every verb that changes events, on JSON and on other lines.
#[test]
fn verbs_change_events_of_any_format() {
    let dir = tempfile::tempdir().unwrap();
    for (verbs, line, expected) in [
        (
            "{ parse: logfmt }",
            r#"{"k":1,"msg":"a=1 b=\"x y\""}"#,
            r#"{"k":1,"a":1,"b":"x y"}"#,
        ),
        (
            "{ parse: json, field: log, into: app }",
            r#"{"log":"{\"level\":\"warn\"}"}"#,
            r#"{"log":"{\"level\":\"warn\"}","app":{"level":"warn"}}"#,
        ),
        (
            "{ parse: json }",
            r#"{"msg":"no json"}"#,
            r#"{"msg":"no json"}"#,
        ),
        (
            "{ flatten: all }, { keep: [client, http.status] }",
            r#"10.0.0.1 - - [23/Nov/2026:13:32:42 +0000] "GET / HTTP/1.1" 200 5"#,
            r#"{"client":"10.0.0.1","http.status":200}"#,
        ),
        (
            "{ truncate: 4 }, { remove: level }",
            r#"{"level":"info","msg":"123456"}"#,
            r#"{"msg":"1234…"}"#,
        ),
        (
            "{ redact: email, fields: [message] }",
            r#"level=info msg="to a\u0040b.co" x=a@b.co"#,
            r#"{"level":"info","msg":"to [email]","x":"a@b.co"}"#,
        ),
        ("{ truncate: 4 }", "plain words", r#"{"message":"plai…"}"#),
        (
            "{ set: { a.b: '{level}-{n:-0}', c: [1, x] }, when: 'level >= warn' }",
            r#"{"lvl":"error"}"#,
            r#"{"lvl":"error","a":{"b":"error-0"},"c":[1,"x"]}"#,
        ),
    ] {
        let text = format!("sinks: {{ out: {{ url: stdout, encode: json, with: [ {verbs} ] }} }}");
        let config = config(dir.path(), &text);
        let output = run(&["-c", &config], line.as_bytes());
        let stdout = String::from_utf8_lossy(&output.stdout);
        assert_eq!(stdout.trim_end(), expected, "{verbs}: {output:?}");
    }
}

/// Every event that a list takes out is counted where and why.
#[test]
fn what_lists_take_out_is_in_the_ledger() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(
        dir.path(),
        "
sources:
  app: { url: stdin, with: [ { sample: 0%, when: 'level == debug' } ] }
routes:
  - { name: probes, when: 'path == \"/ready\"', with: [ { count: probes_total, by: [service] } ], drop: true }
  - { name: rest, with: [ { limit: 2/h, by: service } ], to: [all, few] }
sinks:
  all: file://DIR/all.jsonl
  few: { url: 'file://DIR/few.jsonl', with: [ { sample: 0%, when: 'service == a' } ] }
",
    );
    let mut input = String::new();
    for n in 0..10 {
        let service = if n % 2 == 0 { "a" } else { "b" };
        let level = if n == 9 { "debug" } else { "info" };
        let path = if n == 8 { "/ready" } else { "/" };
        let event = [("level", level), ("service", service), ("path", path)];
        let event = event.map(|(name, value)| format!("\"{name}\":\"{value}\""));
        input.extend(["{", &event.join(","), "}\n"]);
    }
    let ledger = settle(&config, &input);
    // A sample, the probe, and four over the limit have no copy.
    assert_eq!(
        ledger,
        [
            "source app: 10 received, 4 accepted (with: 10 in, 9 out, 1 by sample), 6 filtered",
            "route probes: 1 first matches, 1 matches (with: 1 in, 1 out)",
            "route rest: 8 first matches, 8 matches (with: 8 in, 4 out, 4 by limit)",
            "sink all: 4 entered, 4 delivered",
            "sink few: 4 entered, 2 delivered (with: 4 in, 2 out, 2 by sample)",
        ]
    );
    assert_eq!(lines(&dir.path().join("all.jsonl")).len(), 4);
    assert_eq!(lines(&dir.path().join("few.jsonl")).len(), 2);
}

/// Metrics of events are on `/metrics`, beside why events were discarded.
#[test]
fn counted_events_are_on_the_metrics_page() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let config = config(
        dir.path(),
        &format!(
            "
http: {address}
sources: {{ app: 'tcp://127.0.0.1:0', load: 'generate:?lines=50&format=json' }}
routes:
  - {{ name: all, with: [ {{ count: seen_total, by: [level] }}, {{ sample: 0% }} ], to: out, continue: true }}
  - {{ name: rest, with: [ {{ set: {{ rest: true }} }} ], to: file }}
sinks: {{ out: blackhole, file: {{ url: 'file://DIR/out.jsonl', with: [ {{ limit: 10/h }} ] }} }}
"
        ),
    );
    let mut command = tflog(&["-c", &config]);
    let running = Running::start(command.stderr(std::process::Stdio::piped()));
    // Counted first, discarded when the batch is handed over.
    let discarded = "tflog_route_discarded_events_total{route=\"all\",reason=\"sample\"}";
    let page = crate::harness::wait_for("fifty events", || {
        let (_, page) = get(address, "/metrics");
        (metric(&page, discarded) == 50).then_some(page)
    });
    assert_eq!(metric(&page, "seen_total{"), 50, "{page}");
    assert!(page.contains("# TYPE seen_total counter"), "{page}");
    let ledger = end(running);
    let sink = &ledger["sinks"]["file"];
    assert_eq!(sink["with"]["filtered"]["limit"], 40, "{ledger}");
    assert_eq!(
        (&sink["filtered"], &sink["delivered"]),
        (&40.into(), &10.into())
    );
    assert_eq!(
        ledger["routes"]["all"]["with"]["filtered"]["sample"], 50,
        "{ledger}"
    );
    assert_eq!(ledger["sources"]["load"]["with"], serde_json::Value::Null);
}

/// Stops it: the ledger at the end, whose sums hold.
fn end(running: Running) -> serde_json::Value {
    running.signal("TERM");
    let (status, stderr) = running.finish();
    assert!(status.success(), "{stderr}");
    let ledger = ledger(&stderr);
    assert_balanced(&ledger);
    ledger
}

/// An event is taken out if its like was delivered, and not before.
#[test]
fn repetitions_are_taken_out_once_the_first_is_delivered() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let config = config(
        dir.path(),
        &format!(
            "
http: {address}
sources: {{ app: {{ url: http, with: [ {{ dedupe: 1h, by: [service, message] }} ] }} }}
sinks: {{ out: file://DIR/out.jsonl }}
"
        ),
    );
    let mut command = tflog(&["-c", &config]);
    let running = Running::start(command.stderr(std::process::Stdio::piped()));
    let post = |body: &str| {
        let mut stream = crate::harness::connect(address);
        let head = format!(
            "POST / HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        stream.write_all((head + body).as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    };
    let event = "{\"service\":\"a\",\"msg\":\"x\"}\n";
    // 200 says that it is delivered: from here on it is a repetition.
    post(event);
    post(event);
    post("{\"service\":\"b\",\"msg\":\"x\"}\n");
    let ledger = end(running);
    let source = &ledger["sources"]["app"];
    assert_eq!(source["with"]["filtered"]["dedupe"], 1, "{ledger}");
    assert_eq!(
        (&source["accepted"], &source["filtered"]),
        (&2.into(), &1.into())
    );
    assert_eq!(lines(&dir.path().join("out.jsonl")).len(), 2);
}

/// A list that cannot work is refused with its place.
#[test]
fn what_is_wrong_with_a_list_is_said_with_its_place() {
    let dir = tempfile::tempdir().unwrap();
    for (item, said) in [
        ("{ redakt: [email] }", "did you mean `redact`?"),
        ("{ redact: [mail] }", "use email, card"),
        ("{ set: { a: 1 }, remove: b }", "two verbs"),
        ("{ sample: 200% }", "write a percentage"),
        ("{ limit: 5 }", "limit"),
        ("{ limit: 5/day }", "write events per time"),
        ("{ set: { a: '{b' } }", "never closed"),
        ("{ set: { a: 1 }, when: 'level >>' }", "rule::syntax"),
        ("{ count: tflog_x }", "tflog's own"),
        ("{ count: x, bi: [a] }", "unknown field `bi`"),
        ("{ redact: email, hash_key: abc }", "openssl"),
        ("set", "must be a map with a verb"),
    ] {
        let text = format!("sinks:\n  out: {{ url: stdout, with: [ {item} ] }}\n");
        let config = config(dir.path(), &text);
        let output = run(&["check", "-c", &config], b"");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert_eq!(output.status.code(), Some(2), "{item}: {stderr}");
        assert!(
            stderr.contains(said) && stderr.contains("tflog.yaml:2:"),
            "{item}: {stderr}"
        );
    }
}
