//! JSON routing agrees with `serde_json` on what is valid and what a line says.

use proptest::prelude::*;
use serde_json::Value;

use crate::harness::pipe;

/// What `level >= error` and `http.status >= 500` mean, by `serde_json`.
fn expected(line: &str) -> bool {
    let Ok(Value::Object(event)) = serde_json::from_str::<Value>(line) else {
        return false;
    };
    let level = event.get("level").and_then(Value::as_str);
    let level = level.map(str::to_ascii_lowercase);
    let severe = level.is_some_and(|l| ["error", "fatal", "critical"].contains(&&*l));
    // Nested before flat, and `null` is absent.
    let nested = event.get("http").and_then(|h| h.get("status"));
    let nested = nested.filter(|status| !status.is_null());
    let status = nested.or_else(|| event.get("http.status"));
    severe || status.and_then(Value::as_f64).is_some_and(|s| s >= 500.0)
}

fn level() -> impl Strategy<Value = String> {
    let names = [
        "error",
        "info",
        "fatal",
        "ERROR",
        "debug",
        r"\u0065rror",
        r"inf\u006f",
    ];
    prop::sample::select(names.to_vec()).prop_map(|l| format!("\"{l}\""))
}

fn member() -> impl Strategy<Value = String> {
    let status = prop::sample::select(vec!["200", "503", "5.03e2", "499.9", "null", "-1"]);
    prop_oneof![
        level().prop_map(|l| format!("\"level\":{l}")),
        level().prop_map(|l| format!(r#""l\u0065vel":{l}"#)),
        status
            .clone()
            .prop_map(|s| format!("\"http\":{{\"status\":{s},\"path\":\"/\"}}")),
        status.prop_map(|s| format!("\"http.status\":{s}")),
        Just(r#""http":{"other":{"status":503}}"#.to_owned()),
        Just(r#""message":"\"level\":\"error\"""#.to_owned()),
        Just(r#""nested":{"level":"error","list":[{"level":"fatal"},[503]]}"#.to_owned()),
        "[a-z]{1,12}"
            .prop_filter("not a name that means something", |k| {
                !["level", "lvl", "severity", "http", "loglevel", "levelname"].contains(&k.as_str())
            })
            .prop_map(|k| format!("\"{k}\": [1, true, \"é\\n\"]")),
    ]
}

fn valid() -> impl Strategy<Value = String> {
    prop::collection::vec(member(), 0..6).prop_map(|m| format!("{{{}}}", m.join(",")))
}

fn line() -> impl Strategy<Value = String> {
    let cut = (valid(), any::<prop::sample::Index>());
    // No letter and no digit: `erro5` is a level, and the oracle knows no such spelling.
    let marks = prop::sample::select(b" !\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~".to_vec());
    let changed = (valid(), any::<prop::sample::Index>(), marks);
    prop_oneof![
        6 => valid(),
        1 => cut.prop_map(|(line, at)| line.chars().take(at.index(line.chars().count())).collect()),
        1 => changed.prop_map(|(line, at, byte)| {
            let mut chars: Vec<char> = line.chars().collect();
            let at = at.index(chars.len());
            chars[at] = byte as char;
            chars.into_iter().collect()
        }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn json_routing_agrees_with_serde_json(lines in prop::collection::vec(line(), 1..400)) {
        let input = lines.join("\n");
        let rule = "level >= error or http.status >= 500";
        let output = pipe(&["-p", "json", "-o", "raw", rule], format!("{input}\n").as_bytes());
        let output = String::from_utf8(output).unwrap();
        let kept: Vec<&str> = output.lines().collect();
        let wanted: Vec<&str> = lines.iter().map(String::as_str).filter(|l| expected(l)).collect();
        prop_assert_eq!(kept, wanted);
    }
}

/// Invalid JSON is never routed as if valid: it is kept as text.
#[test]
fn invalid_json_is_kept_as_text() {
    let bad = [
        r#"{"level":"error""#,
        r#"{"level":"error"}x"#,
        r#"{"level":"error",}"#,
        r#"{"level":"error","x":01}"#,
        "{\"level\":\"error\",\"x\":\"\u{1}\"}",
        r#"["level","error"]"#,
    ];
    for line in bad {
        assert_eq!(
            pipe(
                &["-p", "json", "-l", "error"],
                format!("{line}\n").as_bytes()
            ),
            b"",
            "{line}"
        );
        let text = pipe(&["-p", "json"], format!("{line}\n").as_bytes());
        let event: Value = serde_json::from_slice(&text).unwrap();
        assert_eq!(event["message"], *line);
    }
    let brackets = format!("{}\n", "[".repeat(40_000));
    assert!(pipe(&["-p", "json"], brackets.as_bytes()).len() > 40_000);
    let nested = format!("{{\"a\":{}}}\n", "[".repeat(100_000));
    assert!(pipe(&["-p", "json"], nested.as_bytes()).len() > 100_000);
}
