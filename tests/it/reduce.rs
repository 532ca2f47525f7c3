//! `reduce` through the binary: at the end of input, of a request, and of a run.

use std::io::{Read, Write};
use std::process::Stdio;

use crate::harness::{
    Running, assert_balanced, connect, free_address, get, ledger, lines, metric, run, tflog,
    wait_for,
};

fn config(dir: &std::path::Path, text: &str) -> String {
    let path = dir.join("tflog.yaml");
    std::fs::write(&path, text.replace("DIR", dir.to_str().unwrap())).unwrap();
    path.to_str().unwrap().to_owned()
}

/// Events of one key become one; what is held at the end of input goes on.
#[test]
fn events_of_a_request_become_one() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(
        dir.path(),
        "
sources:
  app:
    url: stdin
    with:
      - reduce: 1h
        by: request_id
        ends_when: exists(status)
        merge: { message: concat_newline, took: sum }
      - set: { merged: true }
routes:
  - { name: bad, when: 'level >= error', to: bad }
  - { name: rest, to: rest }
sinks:
  bad: file://DIR/bad.jsonl
  rest: { url: 'file://DIR/rest.jsonl', encode: raw }
",
    );
    let input = r#"level=info msg=begin request_id=a took=1
level=info msg=begin request_id=b took=2
level=error msg=failed request_id=a took=10
no id here
{"level":"info","msg":"end","request_id":"a","status":500,"took":0.5}
level=info msg=next request_id=a
"#;
    let output = run(&["-c", &config, "--stats"], input.as_bytes());
    assert!(output.status.success(), "{output:?}");
    assert_eq!(
        lines(&dir.path().join("bad.jsonl")),
        [
            r#"{"level":"error","msg":"begin\nfailed\nend","request_id":"a","took":11.5,"status":500,"merged":true}"#
        ]
    );
    assert_eq!(
        lines(&dir.path().join("rest.jsonl")),
        [
            r#"{"message":"no id here","merged":true}"#,
            r#"{"level":"info","msg":"begin","request_id":"b","took":2,"merged":true}"#,
            r#"{"level":"info","msg":"next","request_id":"a","merged":true}"#,
        ]
    );
    let stats = String::from_utf8_lossy(&output.stderr).into_owned();
    let source = "source app: 6 received, 6 accepted (with: 6 in, 4 out, 3 made, 5 merged)";
    assert!(stats.lines().any(|line| line == source), "{stats}");
}

/// A request is answered when what is in it is delivered, however long others
/// could have been waited for.
#[test]
fn a_request_waits_for_nothing_but_itself() {
    let dir = tempfile::tempdir().unwrap();
    let address = free_address();
    let config = config(
        dir.path(),
        &format!(
            "
http: {address}
sources: {{ app: {{ url: http, with: [ {{ reduce: 1h, by: id }} ] }} }}
sinks: {{ out: file://DIR/out.jsonl }}
"
        ),
    );
    let running = Running::start(tflog(&["-c", &config]).stderr(Stdio::piped()));
    for body in [
        "{\"id\":1,\"a\":1}\n{\"id\":1,\"b\":2}\n",
        "{\"id\":1,\"c\":3}\n",
    ] {
        let mut stream = connect(address);
        let head = "POST / HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: ";
        let request = format!("{head}{}\r\n\r\n{body}", body.len());
        stream.write_all(request.as_bytes()).unwrap();
        let mut reply = String::new();
        stream.read_to_string(&mut reply).unwrap();
        assert!(reply.starts_with("HTTP/1.1 200"), "{reply}");
    }
    let expected = [r#"{"id":1,"a":1,"b":2}"#, r#"{"id":1,"c":3}"#];
    assert_eq!(lines(&dir.path().join("out.jsonl")), expected);
    running.signal("TERM");
    let (status, stderr) = running.finish();
    assert!(status.success(), "{stderr}");
    let ledger = ledger(&stderr);
    assert_balanced(&ledger);
    assert_eq!(ledger["sources"]["app"]["accepted"], 3, "{ledger}");
}

/// A stop does not wait for the time of what is held: it is delivered.
#[test]
fn what_is_held_is_delivered_on_a_stop() {
    let dir = tempfile::tempdir().unwrap();
    let (admin, input) = (free_address(), free_address());
    let config = config(
        dir.path(),
        &format!(
            "
http: {admin}
sources: {{ app: 'tcp://{input}' }}
sinks: {{ out: {{ url: 'file://DIR/out.jsonl', with: [ {{ reduce: 1h, by: id, merge: {{ n: array }} }} ] }} }}
"
        ),
    );
    let running = Running::start(tflog(&["-c", &config]).stderr(Stdio::piped()));
    let mut stream = connect(input);
    stream
        .write_all(b"{\"id\":1,\"n\":1}\n{\"id\":1,\"n\":2}\n")
        .unwrap();
    let held = wait_for("held events", || {
        let (_, page) = get(admin, "/metrics");
        page.contains("tflog_with_held_events{").then_some(page)
    });
    assert_eq!(metric(&held, "tflog_with_held_events{"), 2);
    drop(stream);
    running.signal("TERM");
    let (status, stderr) = running.finish();
    assert!(status.success(), "{stderr}");
    let ledger = ledger(&stderr);
    assert_balanced(&ledger);
    assert_eq!(
        lines(&dir.path().join("out.jsonl")),
        [r#"{"id":1,"n":[1,2]}"#]
    );
    let with = &ledger["sinks"]["out"]["with"];
    assert_eq!(
        (&with["merged"], &with["held"]),
        (&2.into(), &0.into()),
        "{ledger}"
    );
}

/// What cannot work is refused with what to write.
#[test]
fn a_reduce_that_cannot_work_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for (item, said) in [
        ("{ reduce: 0s, by: id }", "in no time nothing is merged"),
        ("{ reduce: 5s }", "missing field `by`"),
        (
            "{ reduce: 5s, by: id, merge: { a: retain } }",
            "write `last`",
        ),
        (
            "{ reduce: 5s, by: id, ends_when: 'status >>' }",
            "rule::syntax",
        ),
        (
            "{ sample: 1%, ends_when: 'a == 1' }",
            "unknown field `ends_when`",
        ),
        (
            "{ reduce: 5s, by: id, bytes_max: 1GiB }",
            "what `reduce` holds (1024 MiB)",
        ),
    ] {
        let text = format!("sinks:\n  out: {{ url: stdout, with: [ {item} ] }}\n");
        let config = config(dir.path(), &text);
        let output = run(&["check", "-c", &config], b"");
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        let told = stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(
            !output.status.success() && told.contains(said),
            "{item}: {stderr}"
        );
    }
}

/// `explain` says that an event is held, and `test` takes it for complete.
#[test]
fn an_event_alone_is_explained_and_tested() {
    let dir = tempfile::tempdir().unwrap();
    let config = config(
        dir.path(),
        "
sources: { app: { url: stdin, with: [ { reduce: 1h, by: id, merge: { n: array } } ] } }
routes: [ { name: all, when: 'exists(n)', to: out }, { name: rest, drop: true } ]
sinks: { out: stdout }
tests: [ { input: '{\"id\":1,\"n\":1}', expect: { out: { id: 1 } } } ]
",
    );
    let line = r#"{"id":1,"n":1}"#;
    let output = run(&["explain", "-c", &config, line], b"");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("held    by `reduce` of the source"), "{text}");
    assert!(text.contains(r#"{"id":1,"n":[1]}"#), "{text}");
    let output = run(&["explain", "-c", &config, "-o", "json", line], b"");
    let json: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json["held"], serde_json::json!(["the source"]));
    assert_eq!(json["outcome"], "sent");
    let output = run(&["test", "-c", &config], b"");
    assert!(output.status.success(), "{output:?}");
}
