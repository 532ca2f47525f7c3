//! What edits make of JSON lines.

use proptest::prelude::*;

use super::*;

fn edit(line: &str, edit: impl FnOnce(&mut Document)) -> String {
    let mut document = Document::default();
    assert!(document.load(line.as_bytes()), "{line}");
    edit(&mut document);
    let mut out = Vec::new();
    document.write(&mut out);
    let _: serde_json::Value = serde_json::from_slice(&out).unwrap();
    String::from_utf8(out).unwrap()
}

fn path(text: &str) -> Path {
    Path::parse(text).unwrap()
}

fn set(line: &str, name: &str, json: &str) -> String {
    edit(line, |d| {
        let value = d.make(|out| out.extend_from_slice(json.as_bytes()));
        d.set(&path(name), value);
    })
}

fn remove(line: &str, name: &str) -> String {
    edit(line, |d| {
        d.remove(&Name::new(&path(name)));
    })
}

fn rename(line: &str, from: &str, to: &str) -> String {
    edit(line, |d| {
        d.rename(&Name::new(&path(from)), &path(to));
    })
}

fn keep(line: &str, names: &[&str]) -> String {
    let paths: Vec<_> = names.iter().map(|n| path(n)).collect();
    edit(line, |d| {
        d.keep(&Name::all(&paths));
    })
}

#[test]
fn set_replaces_or_appends() {
    for (line, name, expected) in [
        (r#"{"a":1}"#, "a", r#"{"a":9}"#),
        (r#"{"a":1}"#, "b", r#"{"a":1,"b":9}"#),
        (r"{}", "b", r#"{"b":9}"#),
        (r#"{ "a" : 1 }"#, "b", r#"{ "a" : 1, "b" : 9 }"#),
        (r#"{"a": 1, "b": 2}"#, "c", r#"{"a": 1, "b": 2, "c": 9}"#),
        (r#"{"a":{"b":1}}"#, "a.b", r#"{"a":{"b":9}}"#),
        (r#"{"a":{"b":1}}"#, "a.c.d", r#"{"a":{"b":1,"c":{"d":9}}}"#),
        (r#"{"a.b":1}"#, "a.b", r#"{"a.b":9}"#),
        (r#"{"a":1}"#, "a.b", r#"{"a":{"b":9}}"#),
        (r#"{"a":1,"a":2}"#, "a", r#"{"a":1,"a":9}"#),
        (r#"{"\u0061":1}"#, "a", r#"{"\u0061":9}"#),
        (r#"{"a":1}"#, "\"q\\\"\"", r#"{"a":1,"q\"":9}"#),
    ] {
        assert_eq!(set(line, name, "9"), expected, "{line} {name}");
    }
}

#[test]
fn remove_takes_every_occurrence() {
    for (line, name, expected) in [
        (r#"{"a":1,"b":2,"c":3}"#, "a", r#"{"b":2,"c":3}"#),
        (r#"{"a":1, "b":2, "c":3}"#, "b", r#"{"a":1, "c":3}"#),
        (r#"{"a":1, "b":2}"#, "a", r#"{"b":2}"#),
        (r#"{"a":1,"b":2,"a":3}"#, "a", r#"{"b":2}"#),
        (r#"{"a":{"b":1,"c":2}}"#, "a.b", r#"{"a":{"c":2}}"#),
        (r#"{"a":{"b":1}}"#, "a.b", r#"{"a":{}}"#),
        (r#"{"a":[1,{"b":2}]}"#, "a.b", r#"{"a":[1,{"b":2}]}"#),
        (r#"{"msg":"x","n":1}"#, "message", r#"{"n":1}"#),
        (r#"{"msg":"x","n":1}"#, ".message", r#"{"msg":"x","n":1}"#),
    ] {
        assert_eq!(remove(line, name), expected, "{line} {name}");
    }
}

#[test]
fn rename_stays_in_its_place() {
    for (line, from, to, expected) in [
        (
            r#"{"a":1,"msg":"x","z":2}"#,
            "msg",
            "message",
            r#"{"a":1,"message":"x","z":2}"#,
        ),
        (r#"{"a":1,"b":2}"#, "a", "b", r#"{"b":1}"#),
        (r#"{"a":1}"#, "a", "b.c", r#"{"b":{"c":1}}"#),
        (
            r#"{"a":{"b":1,"c":2}}"#,
            "a.b",
            "d",
            r#"{"a":{"c":2},"d":1}"#,
        ),
        (r#"{"a":{"b":1}}"#, "a", "z", r#"{"z":{"b":1}}"#),
        (r#"{"a":1}"#, "x", "y", r#"{"a":1}"#),
        (r#"{"a":1}"#, "a", "a", r#"{"a":1}"#),
    ] {
        assert_eq!(rename(line, from, to), expected, "{line} {from} {to}");
    }
}

#[test]
fn keep_drops_the_others() {
    for (line, names, expected) in [
        (
            r#"{"a":1,"b":2,"c":3}"#,
            &["c", "a"][..],
            r#"{"a":1,"c":3}"#,
        ),
        (r#"{"a":{"b":1,"c":2},"d":3}"#, &["a.c"], r#"{"a":{"c":2}}"#),
        (
            r#"{"a":{"b":1,"c":2},"d":3}"#,
            &["a"],
            r#"{"a":{"b":1,"c":2}}"#,
        ),
        (
            r#"{"ts":1,"lvl":"x","k":2}"#,
            &["timestamp", "level"],
            r#"{"ts":1,"lvl":"x"}"#,
        ),
        (r#"{"a":1}"#, &["z"], r"{}"),
    ] {
        assert_eq!(keep(line, names), expected, "{line} {names:?}");
    }
}

#[test]
fn what_is_no_object_is_refused() {
    let mut document = Document::default();
    for line in [
        "",
        "{",
        "[]",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1",
        "{,}",
        "{\"a\":1,}",
        "x",
    ] {
        assert!(!document.load(line.as_bytes()), "{line}");
    }
}

fn json() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        Just("1".to_owned()),
        Just("null".to_owned()),
        "\"[a-c\\\\\\\\{}\\[\\],:é]{0,4}\"".prop_filter("valid", |s| {
            serde_json::from_str::<serde_json::Value>(s).is_ok()
        }),
    ];
    let space = "[ \t]{0,1}";
    leaf.prop_recursive(3, 16, 4, move |inner| {
        let member = ("[ab]", space, inner, space);
        proptest::collection::vec(member, 0..4).prop_map(|members| {
            let members: Vec<_> = members
                .iter()
                .map(|(k, s, v, t)| format!("{s}\"{k}\"{t}:{s}{v}"))
                .collect();
            format!("{{{}}}", members.join(","))
        })
    })
    .prop_filter("an object", |s| s.starts_with('{'))
}

proptest! {
    /// Untouched lines are written byte for byte; edits agree with a tree.
    #[test]
    fn edits_are_those_of_a_tree(line in json(), name in "[abc](\\.[ab]){0,2}", nothing: bool) {
        if nothing {
            prop_assert_eq!(&edit(&line, |d| { d.find(&Name::new(&path("a.b"))); }), &line);
        }
        let written: serde_json::Value = serde_json::from_str(&set(&line, &name, "9")).unwrap();
        let pointer = format!("/{}", name.replace('.', "/"));
        prop_assert_eq!(written.pointer(&pointer), Some(&9.into()));
        let written: serde_json::Value = serde_json::from_str(&remove(&line, &name)).unwrap();
        prop_assert_eq!(written.pointer(&pointer), None);
    }
}
