//! What all parsers promise, on any bytes, and what lies between them: columns,
//! detection, failed lines. The formats themselves are in `tables`.

mod access;
mod columns;
mod detect;
mod further;
mod invented;
mod java;
mod json_suite;
mod layouts;
mod program;
mod server;
mod tables;

use std::ops::Range;
use std::sync::LazyLock;

use proptest::prelude::*;

use super::*;
use crate::event::time::Rfc3339Writer;
use crate::event::{Column, ColumnKind, Field, FieldKind, Level, Needs, Path};

/// 2026-11-23T14:00:00Z, shortly after the lines of the tables.
const OBSERVED: Timestamp = Timestamp(1_795_442_400_000_000_000);

/// Stands in for the JSON parser.
struct Json;

impl Parser for Json {
    fn name(&self) -> &'static str {
        "json"
    }
    fn parse_line(
        &mut self,
        text: &[u8],
        line: Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        let object = serde_json::from_slice::<serde_json::Map<_, _>>(&text[line]).is_ok();
        if object && out.wants_fields() {
            out.set_json(row);
        }
        object
    }
}

fn build(format: &str, needs: &Needs) -> Formats {
    Formats::build(format, needs, |_| Box::new(Json)).unwrap_or_else(|e| panic!("{e}"))
}

fn all_fields() -> Needs {
    Needs {
        columns: Vec::new(),
        fields: true,
    }
}

/// The columns of lines joined by newlines.
fn read(format: &str, needs: &Needs, text: &[u8]) -> Columns {
    let ends: Vec<u32> = memchr::memchr_iter(b'\n', text)
        .map(|i| i as u32 + 1)
        .collect();
    let mut columns = Columns::default();
    build(format, needs)
        .reader()
        .read(OBSERVED, text, &ends, &mut columns);
    columns
}

/// A value as a structured sink would write it.
fn value(columns: &Columns, text: &[u8], field: Field) -> String {
    let bytes = String::from_utf8_lossy(field.bytes(text)).into_owned();
    match field.kind() {
        FieldKind::Number | FieldKind::Literal => bytes,
        FieldKind::True => "true".into(),
        FieldKind::Level => Level(field.computed() as u8).name().into(),
        FieldKind::Integer => field.computed().to_string(),
        FieldKind::Time => {
            let def = columns.defs().get(field.def()).unwrap();
            let layout = def.layout.as_deref().expect("a time has a layout");
            let mut out = Vec::new();
            let bytes = field.bytes(text);
            assert!(Rfc3339Writer::default().write(layout, bytes, OBSERVED, &mut out));
            String::from_utf8(out).unwrap()
        }
        FieldKind::Escaped => format!("escaped:{bytes}"),
        FieldKind::HexEscaped => format!("hex:{bytes}"),
        _ => format!("'{bytes}'"),
    }
}

/// A row's fields as `name=value`, in order; text is in quotes.
fn fields(columns: &Columns, text: &[u8], row: usize) -> Vec<String> {
    let mut found = Vec::new();
    let mut key = String::new();
    let mut object = (0, String::new());
    for &field in columns.fields(row) {
        let bytes = || String::from_utf8_lossy(field.bytes(text)).into_owned();
        match field.kind() {
            FieldKind::Object => object = (field.def(), bytes()),
            FieldKind::Key if object.0 > 0 => {
                object.0 -= 1;
                key = format!("{}>{}", object.1, bytes());
            }
            FieldKind::Key => key = bytes(),
            _ if field.def() == Field::KEYED => {
                found.push(format!("{key}={}", value(columns, text, field)));
            }
            _ => {
                let name = columns.defs().get(field.def()).unwrap().parts.join(".");
                found.push(format!("{name}={}", value(columns, text, field)));
            }
        }
    }
    found
}

/// Checks that `format` and, if `auto`, detection too read `line` as `expected`.
fn check(format: &str, auto: bool, line: &str, expected: &[&str]) {
    let text = format!("{line}\n");
    for format in [format, "auto"].iter().take(if auto { 2 } else { 1 }) {
        let columns = read(format, &all_fields(), text.as_bytes());
        assert!(columns.failed().none(), "{format}: {line}");
        assert_eq!(
            fields(&columns, text.as_bytes(), 0),
            expected,
            "{format}: {line}"
        );
    }
}

const ACCESS: &str =
    r#"10.0.0.1 - - [23/Nov/2026:13:32:42 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8""#;

#[test]
fn columns_get_roles_fields_and_times() {
    let mut needs = Needs::default();
    let level = needs.slot(&Path::of("level"), ColumnKind::Level);
    let status = needs.slot(&Path::of("http.status"), ColumnKind::Number);
    let time = needs.slot(&Path::of("timestamp"), ColumnKind::Time);
    let message = needs.slot(&Path::of("message"), ColumnKind::Text);
    let iut = needs.slot(&Path::of("ex@1.iut"), ColumnKind::Number);
    let facility = needs.slot(&Path::of("facility"), ColumnKind::Number);
    let text = format!(
        "{ACCESS}\nlevel=warn http.status=503 msg=no time=1795440762\n<12>1 2026-11-23T13:32:42Z - - - - [ex@1 iut=\"3\"] hi\n{{\"a\":1}}\nNov 23 13:32:42 ERROR no\n"
    );
    let columns = read("auto", &needs, text.as_bytes());
    let Column::Level(levels) = columns.column(level) else {
        panic!()
    };
    assert_eq!(
        levels,
        &[0, Level::WARN.0, Level::WARN.0, 0, Level::ERROR.0]
    );
    let Column::Time(times) = columns.column(time) else {
        panic!()
    };
    let second = 1_795_440_762_000_000_000;
    assert_eq!(times, &[second, second, second, i64::MIN, second]);
    let numbers = |slot: usize| match columns.column(slot) {
        Column::Number(values) => values.iter().map(|v| (!v.is_nan()).then_some(*v)).collect(),
        _ => Vec::new(),
    };
    assert_eq!(
        numbers(status),
        [Some(200.0), Some(503.0), None, None, None]
    );
    assert_eq!(numbers(iut), [None, None, Some(3.0), None, None]);
    assert_eq!(numbers(facility), [None, None, Some(1.0), None, None]);
    let Column::Text(messages) = columns.column(message) else {
        panic!()
    };
    let messages: Vec<&[u8]> = messages
        .iter()
        .map(|c| {
            if c.is_present() {
                c.bytes(text.as_bytes())
            } else {
                b"?"
            }
        })
        .collect();
    assert_eq!(
        messages,
        [&b"GET / HTTP/1.1"[..], b"no", b"hi", b"?", b"no"]
    );
}

#[test]
fn detection_switches_line_by_line() {
    let text = format!("{{\"a\":1}}\nplain\na=1\n{{\"a\":1}}\n{ACCESS}\nplain\n");
    let columns = read("auto", &all_fields(), text.as_bytes());
    assert_eq!(columns.json().iter().collect::<Vec<_>>(), [0, 3]);
    assert!(columns.failed().none());
    assert_eq!(fields(&columns, text.as_bytes(), 2), ["a=1"]);
    assert_eq!(fields(&columns, text.as_bytes(), 4).len(), 9);
    assert_eq!(fields(&columns, text.as_bytes(), 5), ["message='plain'"]);
}

#[test]
fn a_failed_line_is_its_own_message() {
    let columns = read("combined", &all_fields(), b"not an access log\r\n");
    assert!(columns.failed().contains(0));
    assert_eq!(
        fields(&columns, b"not an access log\r\n", 0),
        ["message='not an access log'"]
    );
}

#[test]
fn consecutive_times_are_not_mixed_up() {
    let text = "[2026-11-23T13:32:42Z INFO a] x\n[2026-11-23T13:32:42.5Z INFO a] x\n[2026-11-23T13:32:43.5Z INFO a] x\n";
    let columns = read("env_logger", &all_fields(), text.as_bytes());
    let times: Vec<_> = (0..3)
        .map(|row| fields(&columns, text.as_bytes(), row)[0].clone())
        .collect();
    assert_eq!(times[1], "timestamp=2026-11-23T13:32:42.500Z");
    assert_eq!(times[2], "timestamp=2026-11-23T13:32:43.500Z");
}

#[test]
fn an_unknown_format_names_the_nearest_and_all() {
    let error = Formats::build("combind", &all_fields(), |_| Box::new(Json))
        .err()
        .unwrap()
        .to_string();
    assert!(
        error.contains("did you mean `combined`?") && error.contains("logfmt"),
        "{error}"
    );
    let error = Formats::build("zzz", &all_fields(), |_| Box::new(Json))
        .err()
        .unwrap()
        .to_string();
    assert!(!error.contains("did you mean"), "{error}");
}

/// Bytes that look like log lines more often than noise does.
fn lines() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "<34>1 ",
        "<13>",
        "2026-11-23T13:32:42Z",
        "Nov 23 13:32:42",
        "23/Nov/2026:13:32:42 +0000",
        "[",
        "]",
        "\"",
        "\\",
        " ",
        "-",
        "=",
        "a=1",
        "INFO",
        "error",
        ": ",
        " - ",
        "10.0.0.1",
        "{",
        "}",
        "\n",
        "\r\n",
        "\u{feff}",
        "[a b=\"",
        "200",
        "W1123 ",
    ]);
    let piece = prop_oneof![
        4 => pieces.prop_map(|p| p.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|p| [p.concat(), b"\n".to_vec()].concat())
}

#[test]
fn every_format_is_documented() {
    let fields = include_str!("../../docs/FIELDS.md");
    let readme = include_str!("../../README.md");
    for name in Formats::names() {
        let name = format!("`{name}`");
        assert!(
            fields.contains(&name) || name == "`auto`",
            "{name} is not in docs/FIELDS.md"
        );
        assert!(readme.contains(&name), "{name} is not in README.md");
    }
}

/// Every format, compiled once.
static EVERY: LazyLock<Vec<(&'static str, Formats)>> = LazyLock::new(|| {
    let mut needs = all_fields();
    for (path, kind) in [
        ("level", ColumnKind::Level),
        ("timestamp", ColumnKind::Time),
        ("message", ColumnKind::Text),
        ("http.status", ColumnKind::Number),
    ] {
        needs.slot(&Path::of(path), kind);
    }
    Formats::names()
        .map(|name| (name, build(name, &needs)))
        .collect()
});

proptest! {
    #[test]
    fn any_bytes_give_spans_within_their_line(text in lines()) {
        for (format, formats) in &*EVERY {
            let format = *format;
            let ends: Vec<u32> = memchr::memchr_iter(b'\n', &text)
                .map(|i| i as u32 + 1)
                .collect();
            let mut columns = Columns::default();
            formats.reader().read(OBSERVED, &text, &ends, &mut columns);
            let mut start = 0;
            for (row, end) in memchr::memchr_iter(b'\n', &text).enumerate() {
                for field in columns.fields(row) {
                    let bytes = field.bytes(&text);
                    if bytes.is_empty() {
                        continue;
                    }
                    let at = field.start as usize;
                    prop_assert!(at >= start && at + bytes.len() <= end, "{format} row {row}");
                }
                start = end + 1;
            }
            if format == "auto" || format == "text" || format == "raw" {
                prop_assert!(columns.failed().none());
            }
        }
    }
}

/// A long run of plain text is left at once for JSON, and within a few lines
/// for any other format; from then on every line has it.
#[test]
fn a_long_run_of_text_ends_soon() {
    let access = "10.0.0.1 - - [23/Nov/2026:13:32:42 +0000] \"GET / HTTP/1.1\" 200 5\n";
    let text = "just some words\n".repeat(3001) + "{\"a\":1}\n";
    let columns = read("auto", &all_fields(), text.as_bytes());
    assert!(columns.json().contains(3001), "JSON is never missed");
    let text = "just some words\n".repeat(3001) + &access.repeat(50);
    let columns = read("auto", &all_fields(), text.as_bytes());
    let is_access = |row: usize| columns.fields(row).len() > 5;
    let missed = (3001..3051).take_while(|&row| !is_access(row)).count();
    assert!(missed < 8, "{missed} lines were taken for text");
    assert!((3001 + missed..3051).all(is_access));
}
