//! Redacted events: nothing found stays, nothing else changes.

use super::super::fixture::{paths, run};
use super::*;

fn redact(names: &[&str], fields: &[&str], mask: Mask, lines: &[&str]) -> Vec<String> {
    let detectors = names.iter().map(|n| Detector::build(n).unwrap()).collect();
    run(lines, |needs| {
        Redact::new(detectors, mask, &paths(fields), needs)
    })
}

#[test]
fn values_are_masked_in_place() {
    let all = ["email", "card", "ipv4"];
    for (line, expected) in [
        (
            r#"{"a": "x a@b.co y", "n":1.50}"#,
            r#"{"a": "x [email] y", "n":1.50}"#,
        ),
        (
            r#"{"a":["a@b.co",{"b":"4111 1111 1111 1111"}]}"#,
            r#"{"a":["[email]",{"b":"[card]"}]}"#,
        ),
        (
            r#"{"card":4111111111111111,"z":2}"#,
            r#"{"card":"[card]","z":2}"#,
        ),
        (
            r#"{"a":"a\u0040b.co \"q\"","b":"\\"}"#,
            r#"{"a":"[email] \"q\"","b":"\\"}"#,
        ),
        (r#"{"a":"no\thing"}"#, r#"{"a":"no\thing"}"#),
        ("mail a@b.co from 10.0.0.1.", "mail [email] from [ipv4]."),
        ("nothing", "nothing"),
    ] {
        assert_eq!(redact(&all, &[], Mask::Kind, &[line]), [expected], "{line}");
    }
}

#[test]
fn only_the_named_fields_if_some_are() {
    let lines = [r#"{"a":"a@b.co","msg":"a@b.co"}"#, "to a@b.co"];
    let masked = redact(&["email"], &["message"], Mask::Kind, &lines);
    assert_eq!(masked, [r#"{"a":"a@b.co","msg":"[email]"}"#, "to [email]"]);
    let masked = redact(
        &["email"],
        &["a.b"],
        Mask::Kind,
        &[r#"{"a":{"b":["a@b.co"]},"c":"a@b.co"}"#],
    );
    assert_eq!(masked, [r#"{"a":{"b":["[email]"]},"c":"a@b.co"}"#]);
}

#[test]
fn hashes_are_the_same_for_the_same_value_and_key() {
    let hash = |key: &str| {
        let lines = [r#"{"a":"a@b.co","b":"a@b.co","c":"z@b.co"}"#];
        let line = redact(&["email"], &[], Mask::hash(key).unwrap(), &lines).remove(0);
        let value: serde_json::Value = serde_json::from_str(&line).unwrap();
        let text = |name: &str| value[name].as_str().unwrap().to_owned();
        (text("a"), text("b"), text("c"))
    };
    let (a, b, c) = hash("0123456789abcdef");
    assert!(a.starts_with("[email:") && a.len() == 24, "{a}");
    assert!(a == b && a != c);
    assert_ne!(hash("another key of 16").0, a);
    assert!(Mask::hash("short").is_err() && Mask::text("a\"b").is_err());
}

#[test]
fn overlapping_finds_leave_nothing_between_them() {
    let masked = redact(
        &["/bcd/", "/def/"],
        &[],
        Mask::text("*").unwrap(),
        &["abcdefg"],
    );
    assert_eq!(masked, ["a*g"]);
}
