//! `tflog explain` tells what a run does.

use std::fmt::Write as _;

use proptest::prelude::*;

use crate::harness::{pipe, run};

const RULES: [&str; 14] = [
    "level >= warn",
    "level == info or exists(trace_id)",
    "http.status in 400..599",
    "service =~ /^p/ and not (a == 1)",
    "message contains o",
    "a != 1",
    "took > 500ms",
    "\"boom\"",
    "stream == stdin and b not in [x, 3]",
    "timestamp >= 2026-11-23T13:00:00Z",
    "client in 10.0.0.0/8",
    "a == .b",
    "not exists(message)",
    "unmatched",
];

const LINES: [&str; 18] = [
    "Exception in thread \"main\" java.lang.IllegalStateException: boom",
    "\tat com.example.Pay.charge(Pay.java:42)",
    r#"{"level":"error","msg":"boom","service":"pay","a":1}"#,
    r#"{"severity":"INFO","message":"ok","a":"1","b":"x","took":"750ms"}"#,
    r#"{"lvl":30,"http":{"status":503},"trace_id":"abc","b":3}"#,
    r#"{"a":2,"b":2.0,"msg":"a\u006fb"}"#,
    r#"{"a":1,"a":{"c":2}}"#,
    r#"{"broken": "#,
    "level=warn msg=\"slow query\" took=2s a=1 b=x",
    "a=5 b=5 service=pay",
    r#"10.1.2.3 - - [23/Nov/2026:13:32:42 +0000] "GET /x HTTP/1.1" 404 5 "-" "curl/8""#,
    "<11>Nov 23 13:32:42 web1 pay[7]: boom",
    "2026-11-23 13:32:42 ERROR words",
    "plain words, nothing else",
    "",
    "   ",
    "\u{1}\u{7f}\u{e9}",
    "[1, 2]",
];

fn routes() -> impl Strategy<Value = Vec<(usize, u8, bool)>> {
    prop::collection::vec((0..RULES.len(), 0u8..5, any::<bool>()), 0..5)
}

/// A config of these routes with files as sinks, in `dir`.
fn config(dir: &str, multiline: bool, routes: &[(usize, u8, bool)]) -> String {
    let how = if multiline { "auto" } else { "off" };
    let with = if multiline {
        "[]"
    } else {
        "[{ set: { seen: yes }, when: exists(a) }]"
    };
    let mut text =
        format!("sources: {{ app: {{ url: stdin, multiline: {how}, with: {with} }} }}\nroutes:\n");
    for (rule, to, go_on) in routes {
        let to = match to {
            0 => "drop: true".to_owned(),
            1 => "to: [json, raw]".to_owned(),
            2 => {
                format!("to: logfmt, continue: {go_on}, with: [{{ set: {{ env: '{{level}}' }} }}]")
            }
            3 => format!("to: [ecs, json], continue: {go_on}, with: [{{ rename: {{ a: z }} }}]"),
            _ => format!(
                "to: raw, continue: {go_on}, with: [{{ redact: [ipv4] }}, {{ remove: [b] }}]"
            ),
        };
        let _ = writeln!(text, "  - {{ when: '{}', {to} }}", RULES[*rule]);
    }
    text.push_str("  - { to: json }\nsinks:\n");
    for encoding in ["json", "raw", "logfmt", "ecs"] {
        let url = format!("file://{dir}/{encoding}");
        let _ = writeln!(text, "  {encoding}: {{ url: '{url}', encode: {encoding} }}");
    }
    text
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// For any routes and lines, what `explain` says that each sink gets is
    /// byte for byte what a run writes there.
    #[test]
    fn explained_sinks_get_just_that(
        routes in routes(),
        multiline in any::<bool>(),
        lines in prop::collection::vec(prop::sample::select(&LINES[..]), 1..40),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("tflog.yaml");
        std::fs::write(&path, config(dir.path().to_str().unwrap(), multiline, &routes)).unwrap();
        let path = path.to_str().unwrap();
        let input = lines.join("\n") + "\n";
        let run = run(&["-c", path], input.as_bytes());
        prop_assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
        let explained = pipe(&["explain", "-c", path, "-o", "json"], input.as_bytes());
        let explained = String::from_utf8(explained).unwrap();
        prop_assert!(multiline || explained.lines().count() == lines.len());
        let mut wanted = std::collections::BTreeMap::<String, String>::new();
        for line in explained.lines() {
            let line: serde_json::Value = serde_json::from_str(line).unwrap();
            for copy in line["sinks"].as_array().unwrap() {
                let file = wanted.entry(copy["name"].as_str().unwrap().to_owned()).or_default();
                file.push_str(copy["output"].as_str().unwrap());
                file.push('\n');
            }
        }
        for sink in ["json", "raw", "logfmt", "ecs"] {
            let written = std::fs::read_to_string(dir.path().join(sink)).unwrap_or_default();
            let told = wanted.remove(sink).unwrap_or_default();
            prop_assert_eq!(undated(&written), undated(&told), "{}", sink);
        }
    }
}

/// Without what tells when a line was read.
fn undated(text: &str) -> String {
    let lines = text.lines().map(
        |line| match serde_json::from_str::<serde_json::Value>(line) {
            Ok(serde_json::Value::Object(mut event))
                if event.contains_key("ecs.version") || event.contains_key("ecs") =>
            {
                event.remove("@timestamp");
                event.remove("event");
                serde_json::Value::Object(event).to_string()
            }
            _ => line.to_owned(),
        },
    );
    lines.collect::<Vec<_>>().join("\n")
}

/// An argument is one event, even of several lines; a reader that goes away is
/// no failure; terminals are safe from what lines hold.
#[test]
fn odd_lines_are_explained() {
    let trace = "2026-11-23 13:32:42 ERROR boom\n  at a.b.C";
    let output = pipe(&["explain", "-o", "json", trace], b"");
    let output = String::from_utf8(output).unwrap();
    assert_eq!(output.lines().count(), 1, "{output}");
    let hostile = pipe(&["explain", "a\u{1b}]0;owned\u{7}\u{9b}31m"], b"");
    let hostile = String::from_utf8(hostile).unwrap();
    assert!(
        !hostile.contains(['\u{1b}', '\u{7}', '\u{9b}']),
        "{hostile:?}"
    );
    let none = pipe(&["explain"], b"");
    assert!(none.is_empty());
}
