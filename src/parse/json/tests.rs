//! The parser against a parsed `serde_json::Value`, on made-up, mutated and
//! hostile lines, with and without shapes.

use std::sync::Arc;

use proptest::prelude::*;
use proptest::sample::Index;
use serde_json::Value;

use super::*;
use crate::event::{Column, ColumnKind, Defs, Level, Path, convert};

fn needs(paths: &[&str]) -> Needs {
    let mut needs = Needs {
        fields: true,
        ..Needs::default()
    };
    for path in paths {
        needs.slot(&Path::of(path), ColumnKind::Text);
    }
    needs
}

/// Rows as text: `None` for invalid lines, else each column's value.
type Table = Vec<Option<Vec<Option<String>>>>;

/// Line by line.
fn table(json: &mut Json, needs: &Needs, lines: &[Vec<u8>]) -> Table {
    let text = lines.join(&b'\n');
    let mut out = Columns::default();
    out.reset(needs, lines.len(), &Arc::new(Defs::default()));
    let mut start = 0;
    for (row, line) in lines.iter().enumerate() {
        let valid = json.parse_line(&text, start..start + line.len(), row, &mut out);
        start += line.len() + 1;
        assert_eq!(out.json().contains(row), valid);
    }
    rows(&out, needs, &text, lines.len())
}

/// As a batch is parsed: by runs of rows.
fn batch(json: &mut Json, needs: &Needs, lines: &[Vec<u8>]) -> Table {
    struct Nothing;
    impl Parser for Nothing {
        fn name(&self) -> &'static str {
            "nothing"
        }
        fn parse_line(&mut self, _: &[u8], _: Range<usize>, _: usize, _: &mut Columns) -> bool {
            true
        }
    }
    let text = lines.join(&b'\n');
    let mut ends = Vec::new();
    for line in lines {
        let start = ends.last().copied().unwrap_or(0);
        ends.push((start + line.len() as u32 + 1).min(text.len() as u32));
    }
    let mut out = Columns::default();
    out.reset(needs, lines.len(), &Arc::new(Defs::default()));
    json.parse(&text, &ends, &mut out, &mut Nothing);
    rows(&out, needs, &text, lines.len())
}

fn rows(out: &Columns, needs: &Needs, text: &[u8], count: usize) -> Table {
    let values = |row: usize| {
        let valid = out.json().contains(row);
        let values = (0..needs.columns.len()).map(|slot| {
            let Column::Text(cells) = out.column(slot) else {
                panic!("a text column");
            };
            let cell = cells[row];
            assert!(valid || !cell.is_present(), "an invalid line left a value");
            let value = cell.is_present().then(|| convert::value(cell, text))?;
            Some(String::from_utf8(value.into_owned()).unwrap())
        });
        let values = values.collect();
        valid.then_some(values)
    };
    (0..count).map(values).collect()
}

fn one(paths: &[&str], line: &str) -> Option<Vec<Option<String>>> {
    let needs = needs(paths);
    let lines = vec![line.as_bytes().to_vec(); 2];
    let mut rows = table(&mut Json::build(&needs), &needs, &lines);
    // The second time by its shape.
    assert_eq!(rows[0], rows[1], "{line}");
    assert_eq!(
        batch(&mut Json::build(&needs), &needs, &lines),
        rows,
        "{line}"
    );
    rows.pop().unwrap()
}

#[test]
fn values_are_found_where_they_may_stand() {
    for (path, line, expect) in [
        ("level", r#"{"level":"info"}"#, Some("info")),
        (
            "level",
            r#" { "a" : [ 1 , { "level" : 1 } ] , "level" : "x" } "#,
            Some("x"),
        ),
        ("level", r#"{"a":{"level":1},"msg":"\"level\":2"}"#, None),
        ("level", r#"{"a":["level","x"]}"#, None),
        ("level", r#"{"severity":"a","lvl":"b"}"#, Some("a")),
        ("level", r#"{"lvl":"b","severity":"a"}"#, Some("a")),
        ("level", r#"{"level":null,"lvl":"b"}"#, Some("b")),
        (
            "level",
            r#"{"level":"a","level":null,"lvl":"b"}"#,
            Some("b"),
        ),
        ("level", r#"{"level":"a","level":"b"}"#, Some("b")),
        ("level", r#"{"l\u0065vel":"w\u0061rn"}"#, Some("warn")),
        (
            "level",
            r#"{"log":{"level":"a"},"log.level":"b"}"#,
            Some("a"),
        ),
        (
            "level",
            r#"{"log.level":"b","log":{"level":"a"}}"#,
            Some("a"),
        ),
        ("service", r#"{"service":{"name":"pay"}}"#, Some("pay")),
        (
            "service",
            r#"{"service":{"id":"pay"}}"#,
            Some(r#"{"id":"pay"}"#),
        ),
        (
            "http.status",
            r#"{"http.status":1,"http":{"status":2}}"#,
            Some("2"),
        ),
        (
            "http.status",
            r#"{"http":{"status":2},"http.status":1}"#,
            Some("2"),
        ),
        (
            "http.status",
            r#"{"http":{"status":null},"http.status":1}"#,
            Some("1"),
        ),
        ("http.status", r#"{"http":{"status":1},"http":{}}"#, None),
        (
            "http.status",
            r#"{"http":{"status":1},"http":{"status":2}}"#,
            Some("2"),
        ),
        ("http.status", r#"{"http":{"status":1},"http":5}"#, None),
        ("http.status", r#"{"http":[{"status":1}]}"#, None),
        (
            "http.status",
            r#"{"http":{"x":{"status":1},"status":2}}"#,
            Some("2"),
        ),
        (
            "http",
            r#"{"http":{"x":[1, {}]},"y":1}"#,
            Some(r#"{"x":[1, {}]}"#),
        ),
        ("tags", r#"{"tags":["a","b"]}"#, Some(r#"["a","b"]"#)),
        ("tags", r#"{"tags":[]}"#, Some("[]")),
        ("ok", r#"{"ok":true}"#, Some("true")),
        ("n", r#"{"n":-1.5e3}"#, Some("-1.5e3")),
        ("s", r#"{"s":""}"#, Some("")),
    ] {
        assert_eq!(
            one(&[path], line),
            Some(vec![expect.map(Into::into)]),
            "{path}: {line}"
        );
    }
}

#[test]
fn what_is_no_object_is_no_event() {
    for line in [
        "",
        " ",
        "[1]",
        "\"x\"",
        "5",
        "null",
        "{",
        "}",
        "{]",
        "[}",
        "{}}",
        "{} x",
        "{,}",
        "{\"a\"}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{\"a\":[1,]}",
        "{\"a\":[,1]}",
        "{\"a\":01}",
        "{\"a\":1 2}",
        "{'a':1}",
        "{\"a\":tru}",
        "{\"a\":\"\u{1}\"}",
        "{\"a\":1e999}",
        "\u{feff}{}",
        "{\"a\" 1}",
        "{1:1}",
        "{\"a\":\"\\ud800\"}",
        "{\"level\":\"info\",\"a\":1",
        "{\"level\":\"info\"]",
    ] {
        assert_eq!(one(&["level"], line), None, "{line}");
    }
    for line in ["{}", " {\t} \r", "{\"\":{}}", "{\"a\":[[],{}]}"] {
        assert_eq!(one(&["level"], line), Some(vec![None]), "{line}");
    }
}

#[test]
fn depth_has_a_limit_and_brackets_no_cost() {
    let nested = |depth: usize| {
        let (open, close) = ("[".repeat(depth - 1), "]".repeat(depth - 1));
        format!("{{\"level\":\"x\",\"a\":{open}{close}}}")
    };
    assert_eq!(one(&["level"], &nested(128)), Some(vec![Some("x".into())]));
    assert_eq!(one(&["level"], &nested(129)), None);
    assert_eq!(one(&["level"], &"[".repeat(40_000)), None);
    assert_eq!(one(&["level"], &"{\"level\":".repeat(10_000)), None);
    let objects = format!("{}1{}", "{\"a\":".repeat(128), "}".repeat(128));
    assert_eq!(one(&["level"], &objects), Some(vec![None]));
}

#[test]
fn typed_columns_are_converted() {
    let mut needs = needs(&[]);
    let level = needs.slot(&Path::of("level"), ColumnKind::Level);
    let status = needs.slot(&Path::of("http.status"), ColumnKind::Number);
    let took = needs.slot(&Path::of("took"), ColumnKind::Duration);
    let lines = [
        &br#"{"level":"WARN","http":{"status":503},"took":"250ms"}"#[..],
        br#"{"level":30,"http":{"status":"-1.5"},"took":2}"#,
        br#"{"level":{},"http":{"status":true},"took":[]}"#,
    ];
    let text = lines.concat();
    let mut out = Columns::default();
    out.reset(&needs, lines.len(), &Arc::new(Defs::default()));
    let mut json = Json::build(&needs);
    let mut start = 0;
    for (row, line) in lines.iter().enumerate() {
        assert!(json.parse_line(&text, start..start + line.len(), row, &mut out));
        start += line.len();
    }
    let Column::Level(levels) = out.column(level) else {
        panic!("a level column");
    };
    assert_eq!(levels, &[Level::WARN.0, Level::INFO.0, 0]);
    for (slot, expect) in [
        (status, [Some(503.0), Some(-1.5), None]),
        (took, [Some(0.25), Some(2.0), None]),
    ] {
        let Column::Number(numbers) = out.column(slot) else {
            panic!("a number column");
        };
        let numbers: Vec<_> = numbers
            .iter()
            .map(|n| (!n.is_nan()).then_some(*n))
            .collect();
        assert_eq!(numbers, expect);
    }
}

/// The paths that the property tests project, all with some in common.
const PATHS: [&str; 8] = [
    "level",
    "service",
    "http.status",
    "http",
    "a.b",
    "a",
    "log.level",
    "x",
];

/// What a parsed value says that a path's column must hold.
fn expected(value: &Value, path: &Path) -> Option<String> {
    let nested = |name: &str| {
        let parts = name.split('.');
        parts
            .into_iter()
            .try_fold(value, |v, part| v.as_object()?.get(part))
    };
    let present = |v: &&Value| !v.is_null();
    let either = |name: &str| {
        let flat = value.get(name).filter(present);
        [nested(name).filter(present), flat].into_iter().flatten()
    };
    let names = match path.role() {
        Some(role) => role.aliases().to_vec(),
        None => vec![path.dotted()],
    };
    let mut found: Vec<&Value> = names.into_iter().flat_map(either).collect();
    if path.role().is_some() {
        found.sort_by_key(|v| v.is_object() || v.is_array());
    }
    found.first().map(|v| match v {
        Value::String(text) => text.clone(),
        // Compared as values: spacing and number spelling are the line's own.
        other => other.to_string(),
    })
}

fn check(needs: &Needs, lines: &[Vec<u8>], rows: &Table) -> Result<(), TestCaseError> {
    for (line, row) in lines.iter().zip(rows) {
        let shown = String::from_utf8_lossy(line);
        let value = serde_json::from_slice(line).ok().filter(Value::is_object);
        prop_assert_eq!(value.is_some(), row.is_some(), "{}", shown);
        let (Some(value), Some(row)) = (value, row) else {
            continue;
        };
        for (need, cell) in needs.columns.iter().zip(row) {
            let expect = expected(&value, &need.path);
            let same = match (cell, &expect) {
                (Some(cell), Some(expect)) => {
                    let spelled = serde_json::from_str::<Value>(cell).map(|v| v.to_string());
                    cell == expect || spelled.is_ok_and(|s| s == *expect)
                }
                (cell, expect) => cell.is_none() && expect.is_none(),
            };
            prop_assert!(
                same,
                "{}: {:?} is not {:?} in {}",
                need.path,
                cell,
                expect,
                shown
            );
        }
    }
    Ok(())
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => prop::sample::select(vec![
            "level", "lvl", "severity", "log", "log.level", "http", "status", "http.status", "a", "b",
            "a.b", "name", "service", "x", "l\\u0065vel", "htt\\u0070", "",
        ])
        .prop_map(String::from),
        1 => "[a-zé]{1,12}",
    ]
}

fn scalar() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec![
            "null",
            "true",
            "false",
            "0",
            "-0.5",
            "503",
            "1e3",
            "12345678901234567890",
            "\"\"",
            "\"info\"",
            "\"level\"",
            r#""\"level\":\"x\"""#,
            r#""a\\""#,
            r#""\ud83d\ude00\n""#,
            "\"é and 日本語 in a longer line\"",
            "\"0123456789abcdef0123456789abcdef\"",
        ])
        .prop_map(String::from),
        "\"[ -!#-\\[\\]-~é]{0,40}\"",
        any::<i64>().prop_map(|n| n.to_string()),
        any::<f64>()
            .prop_filter("JSON has no other", |f| f.is_finite())
            .prop_map(|f| format!("{f:e}")),
    ]
}

fn object() -> impl Strategy<Value = String> {
    let space = || prop::sample::select(vec!["", "", "", " ", "\t "]);
    let value = scalar().prop_recursive(3, 24, 5, move |inner| {
        prop_oneof![
            members(inner.clone(), space()),
            prop::collection::vec(inner, 0..4).prop_map(|v| format!("[{}]", v.join(","))),
        ]
    });
    members(value, space())
}

fn members(
    value: impl Strategy<Value = String>,
    space: impl Strategy<Value = &'static str>,
) -> impl Strategy<Value = String> {
    (prop::collection::vec((key(), value), 0..6), space).prop_map(|(members, space)| {
        let members = members.iter();
        let members: Vec<_> = members
            .map(|(k, v)| format!("\"{k}\"{space}:{space}{v}"))
            .collect();
        format!("{{{space}{}}}", members.join(&format!("{space},{space}")))
    })
}

/// Flips, inserts, deletes or cuts off bytes.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        prop::sample::select(b"{}[]\",:\\0e-.ntu \x00\x1f\xc3\xed".to_vec()),
        any::<u8>()
    ];
    let change = (0..6u8, any::<Index>(), byte);
    (object(), prop::collection::vec(change, 0..3)).prop_map(|(line, changes)| {
        let mut line = line.into_bytes();
        for (how, at, byte) in changes {
            let at = at.index(line.len() + 1);
            match how {
                0 | 1 => line.insert(at, byte),
                2 if at < line.len() => line[at] = byte,
                3 if at < line.len() => line[at] ^= 1 << (byte % 8),
                4 if at < line.len() => drop(line.remove(at)),
                _ => line.truncate(at),
            }
        }
        line
    })
}

/// Lines of a few shapes in which scalars change, and others between them.
fn stream() -> impl Strategy<Value = Vec<Vec<u8>>> {
    let repeated = (object(), prop::collection::vec(scalar(), 1..6)).prop_map(|(line, scalars)| {
        // Every scalar of a few, in the place of the line's first simple ones.
        let vary = |s: &String| {
            line.replacen("503", s, 2)
                .replacen("\"info\"", s, 2)
                .into_bytes()
        };
        let mut lines: Vec<_> = scalars.iter().map(vary).collect();
        lines.push(line.clone().into_bytes());
        lines.push(line.into_bytes());
        lines
    });
    let group = prop_oneof![repeated, mutated().prop_map(|m| vec![m.clone(), m])];
    prop::collection::vec(group, 1..8)
        .prop_map(|groups| groups.concat())
        .prop_shuffle()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn agrees_with_a_parsed_value(lines in prop::collection::vec(mutated(), 1..12)) {
        let needs = needs(&PATHS);
        let mut json = Json::build(&needs);
        json.cached = false;
        let rows = table(&mut json, &needs, &lines);
        check(&needs, &lines, &rows)?;
    }

    #[test]
    fn shapes_change_nothing(lines in stream()) {
        let needs = needs(&PATHS);
        let mut plain = Json::build(&needs);
        plain.cached = false;
        let mut cached = Json::build(&needs);
        let expect = table(&mut plain, &needs, &lines);
        prop_assert_eq!(&table(&mut cached, &needs, &lines), &expect);
        prop_assert_eq!(&batch(&mut cached, &needs, &lines), &expect);
        // Once more, when all shapes are known.
        prop_assert_eq!(&table(&mut cached, &needs, &lines), &expect);
        check(&needs, &lines, &expect)?;
    }

    #[test]
    fn any_bytes_are_read_without_fault(line: Vec<u8>) {
        let needs = needs(&["level"]);
        let rows = table(&mut Json::build(&needs), &needs, std::slice::from_ref(&line));
        check(&needs, &[line], &rows)?;
    }
}
