//! Stack traces: with `multiline`, an event has all its lines, whatever reads
//! it, and no byte of it changes.

use std::io::{BufRead, BufReader, Write};
use std::process::Stdio;

use serde_json::Value;

use crate::harness::{Running, connect, free_address, pipe, tflog, wait_for};

const JAVA: &str = "\
2026-11-23 13:32:41.998 INFO  [main] com.example.shop.App - started
2026-11-23 13:32:42.123 ERROR [http-4] com.example.shop.Checkout - payment failed for order 8812
java.lang.IllegalStateException: card service does not answer
\tat com.example.shop.Checkout.pay(Checkout.java:88)
Caused by: java.net.ConnectException: Connection refused
\t... 23 more
2026-11-23 13:32:42.500 INFO  [main] com.example.shop.App - still here
";

/// Time, level and fields come from the first line, the message has them all.
#[test]
fn a_java_log_becomes_one_object_an_event() {
    let output = pipe(
        &["--multiline", "auto", "-p", "auto", "-o", "json"],
        JAVA.as_bytes(),
    );
    let output = String::from_utf8(output).unwrap();
    let events: Vec<Value> = output
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(events.len(), 3, "{output}");
    let error = &events[1];
    assert_eq!(error["timestamp"], "2026-11-23T13:32:42.123Z");
    assert_eq!(error["level"], "ERROR");
    assert_eq!(error["logger"], "com.example.shop.Checkout");
    let message = error["message"].as_str().unwrap();
    let lines: Vec<_> = message.lines().collect();
    assert_eq!(lines.len(), 5);
    assert_eq!(lines[0], "payment failed for order 8812");
    assert_eq!(lines[4], "\t... 23 more");
}

/// A rule takes or leaves an event with all its lines, and sees them.
#[test]
fn rules_see_whole_events() {
    let trace = JAVA
        .split_inclusive('\n')
        .skip(1)
        .take(5)
        .collect::<String>();
    for rule in [
        "level >= error",
        "message contains \"Caused by\"",
        "\"23 more\"",
    ] {
        let output = pipe(
            &["--from", "stdin?multiline=auto", "-o", "raw", rule],
            JAVA.as_bytes(),
        );
        assert_eq!(String::from_utf8(output).unwrap(), trace, "{rule}");
    }
}

/// Raw output is the input, byte for byte, joined or not.
#[test]
fn raw_output_of_joined_lines_is_byte_exact() {
    let odd = [JAVA.as_bytes(), b"\r\n\n \xff\0\n\t\r\nlast\n  no newline"].concat();
    for option in ["auto", "off"] {
        let long = odd.repeat(5000);
        assert!(
            pipe(&["--multiline", option, "-o", "raw"], &long) == long,
            "{option}"
        );
    }
    let source = "stdin?multiline.start=^[0-9]{4}-&multiline.lines_max=3";
    assert_eq!(pipe(&["--from", source, "-o", "raw"], &odd), odd);
}

/// The last event of a stream that goes on is waited for, but not for ever.
#[test]
fn an_event_leaves_while_its_writer_lives() {
    let mut command = tflog(&["--from", "stdin?multiline.timeout=10ms", "-o", "json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = Running::start(&mut command);
    let mut stdin = running.child.stdin.take().unwrap();
    let mut lines = BufReader::new(running.child.stdout.take().unwrap()).lines();
    stdin.write_all(b"ERROR boom\n\tat x\n").unwrap();
    let first: Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    assert_eq!(first["message"], "boom\n\tat x");
    drop(stdin);
    assert!(running.finish().0.success());
}

/// Whatever reads it: a file, a child, a named pipe, connections.
#[test]
fn every_source_of_lines_joins_them() {
    let directory = tempfile::tempdir().unwrap();
    let path = |name: &str| directory.path().join(name).display().to_string();
    std::fs::write(path("java.log"), JAVA).unwrap();
    let count = |arguments: &[&str]| {
        let output = String::from_utf8(pipe(arguments, b"")).unwrap();
        output.lines().count()
    };
    let file = format!("file://{}?multiline=auto&once=true", path("java.log"));
    assert_eq!(count(&["--from", &file, "-o", "json"]), 3);
    assert_eq!(
        count(&["--multiline", "auto", "-o", "json", &path("java.log")]),
        3
    );
    let child = [
        "exec",
        "--multiline",
        "auto",
        "-o",
        "json",
        "--",
        "cat",
        &path("java.log"),
    ];
    assert_eq!(count(&child), 3);

    let address = free_address();
    let tcp = format!("tcp://{address}?multiline=auto");
    let out = path("out.jsonl");
    let to = format!("file://{out}");
    let mut command = tflog(&["--from", &tcp, "--to", &to, "--http", "none"]);
    let running = Running::start(command.stderr(Stdio::piped()));
    let mut connection = connect(address);
    connection.write_all(JAVA.as_bytes()).unwrap();
    drop(connection);
    // A connection that nobody has accepted yet would be turned away.
    wait_for("three events", || {
        let text = std::fs::read_to_string(&out).ok()?;
        (text.lines().count() == 3).then_some(())
    });
    running.signal("TERM");
    assert!(running.finish().0.success());
    assert_eq!(std::fs::read_to_string(out).unwrap().lines().count(), 3);
}
