//! Formats whose names come from a header, from labels or from an expression.

use super::{FormatError, Formats, Json, all_fields, build, check, fields, read};
use crate::event::{Column, ColumnKind, Columns, Needs, Path, Timestamp};

#[test]
fn ltsv_has_the_names_of_access_logs() {
    check(
        "ltsv",
        true,
        "time:[23/Nov/2026:13:32:42 +0000]\thost:10.0.0.1\treq:GET / HTTP/1.1\tstatus:200\tsize:5\tua:curl/8\treferer:-\tx-id:a:b",
        &[
            "timestamp='23/Nov/2026:13:32:42 +0000'",
            "message='GET / HTTP/1.1'",
            "client='10.0.0.1'",
            "http.status=200",
            "http.bytes=5",
            "user_agent='curl/8'",
            "x-id='a:b'",
        ],
    );
    for not in ["", "a:1", "a:1\tb", "a b:1\tc:2", ":1\t:2", "a:1\t\tb:2"] {
        let text = format!("{not}\n");
        let columns = read("ltsv", &all_fields(), text.as_bytes());
        assert!(columns.failed().contains(0), "{not:?}");
    }
}

#[test]
fn ltsv_fills_columns_by_name_and_label() {
    let mut needs = Needs::default();
    let status = needs.slot(&Path::of("http.status"), ColumnKind::Number);
    let time = needs.slot(&Path::of("timestamp"), ColumnKind::Time);
    let text = b"status:503\ttime:2026-11-23T13:32:42Z\n";
    let columns = read("ltsv", &needs, text);
    assert!(matches!(columns.column(status), Column::Number(v) if v == &[503.0]));
    assert!(matches!(columns.column(time), Column::Time(v) if v == &[1_795_440_762_000_000_000]));
}

/// The fields of every row after the first.
fn rows(format: &str, text: &str) -> Vec<Vec<String>> {
    let columns = read(format, &all_fields(), text.as_bytes());
    (0..text.lines().count())
        .map(|row| {
            let failed = if columns.failed().contains(row) {
                vec!["failed".into()]
            } else {
                vec![]
            };
            [failed, fields(&columns, text.as_bytes(), row)].concat()
        })
        .collect()
}

#[test]
fn csv_takes_its_names_from_the_first_line() {
    let text = "\u{feff}id,time,level,\"a b\",msg\n7,2026-11-23 13:32:42,info,,\"x, \"\"y\"\"\"\n8,bad,warn\n1,2,3,4,5,6\n\"open\n\"1\",,,,\n";
    let found = rows("csv", text);
    assert_eq!(found[0], ["message='\u{feff}id,time,level,\"a b\",msg'"]);
    let first = [
        "time=2026-11-23T13:32:42Z",
        "level='info'",
        "msg='x, \"\"y\"\"'",
        "id=7",
    ];
    assert_eq!(found[1], first);
    assert_eq!(found[2], ["time='bad'", "level='warn'", "id=8"]);
    assert_eq!(found[3], ["failed", "message='1,2,3,4,5,6'"]);
    assert_eq!(found[4], ["failed", "message='\"open'"]);
    assert_eq!(found[5], ["id='1'"]);
}

#[test]
fn a_header_can_be_named() {
    let found = rows("csv: time,http.status", "2026-11-23T13:32:42Z,503\n");
    assert_eq!(found[0], ["time=2026-11-23T13:32:42Z", "http.status=503"]);
    let found = rows("tsv", "a\tb\n1\t\"2\n");
    assert_eq!(found[1], ["a=1", "b='\"2'"]);
    // Neither an empty nor an endless header stops anything.
    assert_eq!(rows("csv", "\nx\n")[1], ["failed", "message='x'"]);
    let many = "a,".repeat(1000);
    assert_eq!(rows("csv", &format!("{many}\nx\n"))[1].len(), 2);
}

#[test]
fn each_stream_has_a_header_of_its_own() {
    let formats = build("csv", &all_fields());
    assert!(formats.is_detected());
    let mut columns = Columns::default();
    for (header, name) in [("a,b\n", "a"), ("c,d\n", "c")] {
        let mut reader = formats.reader();
        let ends = [header.len() as u32];
        reader.read(Timestamp(0), header.as_bytes(), &ends, &mut columns);
        reader.read(Timestamp(0), b"1,2\n", &[4], &mut columns);
        assert_eq!(fields(&columns, b"1,2\n", 0)[0], format!("{name}=1"));
    }
}

#[test]
fn expressions_name_their_groups() {
    let format = r"regex: ^(?<time>\S+ \S+) (?<level>\w+)(?: \[(?<http.status>\d+)\])? (?<msg>.*)$";
    let found = rows(
        format,
        "2026-11-23 13:32:42 warn [503] it broke\n2026-11-23 13:32:42 warn no\nother\n",
    );
    let head = ["time=2026-11-23T13:32:42Z", "level='warn'"];
    assert_eq!(
        found[0],
        [&head[..], &["msg='it broke'", "http.status=503"]].concat()
    );
    assert_eq!(found[1], [&head[..], &["msg='no'"]].concat());
    assert_eq!(found[2], ["failed", "message='other'"]);
}

#[test]
fn expressions_have_limits() {
    for (expression, part) in [
        ("regex: (", "unclosed group"),
        ("regex: abc", "no named group"),
        (r"regex: (?<a>\w{1000}){1000}", "size limit"),
        (r"regex: (?<a>x)\1", "backreferences"),
    ] {
        let error = Formats::build(expression, &all_fields(), |_| Box::new(Json)).err();
        let error = error
            .map(|e: FormatError| e.to_string())
            .unwrap_or_default();
        assert!(error.contains(part), "{expression}: {error}");
    }
    // Nested repetition, against which a backtracking engine takes for ever.
    let text = "a".repeat(200_000) + "!\n";
    let columns = read("regex: ^(?<a>(a+)+)$", &all_fields(), text.as_bytes());
    assert!(columns.failed().contains(0));
}
