//! What leaves is right in every encoding, whatever came in.

mod human;
mod shapes;

use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::event::time::Layout;
use crate::event::{Bits, Cell, Chunk, Defs, Field, FieldKind, Level, Timestamp};
use crate::sink::fixture::{batch, field, lines, objects, of_chunk, part};

fn encoder(name: &str) -> (Encoder, Needs) {
    let mut needs = Needs::default();
    let encoder = Encoder::build(name, Options::default(), &mut needs).unwrap();
    (encoder, needs)
}

fn encode(encoder: &mut Encoder, part: &Part) -> String {
    let mut out = Vec::new();
    encoder.encode(part, &mut out);
    let mut by_row = Vec::new();
    part.rows.for_each(part.batch.rows(), |row| {
        encoder.encode_row(&part.batch, row, &mut by_row);
    });
    assert_eq!(out, by_row, "rows one by one are the same bytes");
    String::from_utf8_lossy(&out).into_owned()
}

fn some(rows: &[usize], len: usize) -> Rows {
    let mut bits = Bits::default();
    bits.clear(len);
    for &row in rows {
        bits.insert(row);
    }
    bits.to_rows()
}

/// One access log line with its fields; `order` says in which order.
fn access_log(order: &[&str], needs: &Needs) -> Part {
    let text: &[u8] =
        br#"10.0.0.1 - "GET /a\x22b HTTP/1.1" 200 1.5e3 true "say \"hi\"\u0021" trace=a\tb"#;
    let mut defs = Defs::default();
    let all = [
        ("client", "10.0.0.1", FieldKind::Text),
        ("message", r"GET /a\x22b HTTP/1.1", FieldKind::HexEscaped),
        ("http.status", "200", FieldKind::Number),
        ("http.bytes", "1.5e3", FieldKind::Number),
        ("ok", "true", FieldKind::Literal),
        ("note", r#"say \"hi\"\u0021"#, FieldKind::Escaped),
        ("http.request.id", "HTTP/1.1", FieldKind::Text),
    ];
    let ids: Vec<_> = all.iter().map(|(n, ..)| defs.add(n, None, None)).collect();
    part(batch(text, needs, defs, |text, columns| {
        for name in order {
            if *name == "sd" {
                // `trace` as an object with one member, and values in no span.
                columns.push_field(field(text, "trace", 2, FieldKind::Object));
                columns.push_field(field(text, "GET", 0, FieldKind::Key));
                columns.push_field(field(text, "200", Field::KEYED, FieldKind::Text));
                columns.push_field(Field::level(ids[0], Level::WARN));
                columns.push_field(Field::integer(ids[2], 42));
                continue;
            }
            if *name == "trace" {
                columns.push_field(field(text, "trace", 0, FieldKind::Key));
                columns.push_field(field(text, r"a\tb", Field::KEYED, FieldKind::Escaped));
                continue;
            }
            let at = all.iter().position(|(n, ..)| n == name).unwrap();
            let (_, value, kind) = all[at];
            columns.push_field(field(text, value, ids[at], kind));
        }
        columns.end_row();
    }))
}

#[test]
fn a_field_list_is_one_object_in_its_order() {
    let (mut json, needs) = encoder("json");
    let together = [
        "client",
        "message",
        "http.status",
        "http.bytes",
        "ok",
        "note",
        "trace",
    ];
    assert_eq!(
        encode(&mut json, &access_log(&together, &needs)),
        r#"{"client":"10.0.0.1","message":"GET /a\"b HTTP/1.1","http":{"status":200,"bytes":1.5e3},"#
            .to_owned()
            + "\"ok\":true,\"note\":\"say \\\"hi\\\"!\",\"trace\":\"a\\tb\"}\n"
    );
}

#[test]
fn fields_of_one_object_are_brought_together() {
    let (mut json, needs) = encoder("json");
    for (order, expected) in [
        (
            &["http.status", "client", "http.bytes"][..],
            r#"{"http":{"status":200,"bytes":1.5e3},"client":"10.0.0.1"}"#,
        ),
        (
            &["http.request.id", "ok", "http.status", "trace"],
            r#"{"http":{"request":{"id":"HTTP/1.1"},"status":200},"ok":true,"trace":"a\tb"}"#,
        ),
        (
            &["sd", "ok"],
            r#"{"trace":{"GET":"200"},"client":"warn","http":{"status":42},"ok":true}"#,
        ),
    ] {
        let line = encode(&mut json, &access_log(order, &needs));
        assert_eq!(line.trim_end(), expected);
    }
}

/// Keys that are longer than what is copied at once, at every distance from the
/// end of the room that there is.
#[test]
fn long_keys_have_room() {
    let (mut json, needs) = encoder("json");
    let mut defs = Defs::default();
    let name = |i: usize| format!("{}{i}", "n".repeat(40 + 13 * i));
    let ids: Vec<_> = (0..5).map(|i| defs.add(&name(i), None, None)).collect();
    let (rows, value) = (500, "v".repeat(60));
    let mut chunk = Box::new(Chunk::default());
    chunk.text = (value.clone() + "\n").repeat(rows).into_bytes();
    chunk.ends = (1..=rows as u32).map(|row| row * 61).collect();
    let all = part(of_chunk(chunk, &needs, defs, |_, columns| {
        for row in 0..rows {
            for &id in &ids {
                columns.push_field(Field::new(id, FieldKind::Text, 0, row % 60));
            }
            columns.end_row();
        }
    }));
    let line = |row: usize| {
        let member = |i| format!(r#""{}":"{}""#, name(i), &value[..row % 60]);
        let members: Vec<_> = (0..5).map(member).collect();
        format!("{{{}}}\n", members.join(","))
    };
    let lines: String = (0..rows).map(line).collect();
    assert_eq!(encode(&mut json, &all), lines);
}

#[test]
fn json_rows_leave_as_they_came_and_others_as_message() {
    let (mut json, needs) = encoder("json");
    let text = b"{\"a\": 1 }\r\nplain \xff\"\n{\"b\":2}";
    let mixed = part(batch(text, &needs, Defs::default(), |_, columns| {
        columns.set_json(0);
        columns.set_json(2);
    }));
    assert!(json.verbatim(&mixed).is_none());
    assert_eq!(
        encode(&mut json, &mixed),
        "{\"a\": 1 }\n{\"message\":\"plain \u{fffd}\\\"\"}\n{\"b\":2}\n"
    );
    assert_eq!(json.take_replaced(), 2, "by part and by row");
    assert_eq!(json.take_replaced(), 0);
}

#[test]
fn only_whole_lines_of_json_are_verbatim() {
    let (json, needs) = encoder("json");
    let whole = objects("{\"a\":1}\n{}\n", &needs);
    assert_eq!(json.verbatim(&whole), Some(whole.batch.text()));
    for text in ["{}\r\n", "{}\n{}"] {
        assert_eq!(json.verbatim(&objects(text, &needs)), None, "{text:?}");
    }
    let mut some_rows = objects("{}\n{}\n", &needs);
    some_rows.rows = some(&[1], 2);
    assert_eq!(json.verbatim(&some_rows), None);
    assert_eq!(json.verbatim(&lines("{}\n")), None);
}

#[test]
fn an_object_of_several_lines_becomes_one() {
    let (mut json, needs) = encoder("json");
    let mut chunk = Box::new(Chunk::default());
    chunk.text = b"{\"a\":\n1}\n".to_vec();
    chunk.ends = vec![9];
    let multiline = part(of_chunk(chunk, &needs, Defs::default(), |_, c| {
        c.set_json(0);
    }));
    assert!(json.verbatim(&multiline).is_none());
    assert_eq!(encode(&mut json, &multiline), "{\"a\": 1}\n");
}

#[test]
fn a_truncated_row_says_so() {
    for (name, expected) in [
        ("json", "{\"message\":\"aa\",\"truncated\":true}\n"),
        ("logfmt", "message=aa truncated=true\n"),
        ("raw", "aa\n"),
    ] {
        let (mut encoder, needs) = encoder(name);
        let mut chunk = Box::new(Chunk::default());
        chunk.text = b"aa\n".to_vec();
        chunk.ends = vec![3];
        chunk.truncated = vec![0];
        let cut = part(of_chunk(chunk, &needs, Defs::default(), |_, _| {}));
        assert_eq!(encode(&mut encoder, &cut), expected);
    }
}

#[test]
fn raw_keeps_terminators_and_ends_an_open_line_before_more() {
    let (mut raw, _) = encoder("raw");
    let mut part = lines("a\r\nb\n\nlast");
    assert_eq!(raw.verbatim(&part), Some(&b"a\r\nb\n\nlast"[..]));
    assert_eq!(encode(&mut raw, &part), "a\r\nb\n\nlast");
    let mut out = Vec::new();
    raw.encode(&part, &mut out);
    raw.encode(&part, &mut out);
    assert_eq!(out, b"a\r\nb\n\nlast\na\r\nb\n\nlast");
    part.rows = some(&[0, 1, 3], 4);
    assert!(raw.verbatim(&part).is_none());
    assert_eq!(encode(&mut raw, &part), "a\r\nb\nlast");
}

#[test]
fn logfmt_flattens_and_quotes() {
    let (mut logfmt, needs) = encoder("logfmt");
    let row = access_log(&["http.status", "note", "trace"], &needs);
    assert_eq!(
        encode(&mut logfmt, &row),
        "http.status=200 note=\"say \\\"hi\\\"!\" trace=\"a\\tb\"\n"
    );
    assert_eq!(
        encode(&mut logfmt, &access_log(&["sd", "ok"], &needs)),
        "trace.GET=200 client=warn http.status=42 ok=true\n"
    );
    let tree = objects(r#"{"a":{"b c":"x=y","d":[1,"z"]},"e":"","f":null}"#, &needs);
    assert_eq!(
        encode(&mut logfmt, &tree),
        "a.b_c=\"x=y\" a.d=\"[1,\\\"z\\\"]\" e=\"\" f=null\n"
    );
}

#[test]
fn people_see_time_level_message_and_the_rest() {
    let text = br#"{"ts":"x","lvl":"W","msg":"boom\n at f","n":1,"level":2}"#;
    for (color, expected) in [
        (false, "13:32:42.123 WARN  boom  n=1 level=2\n     at f\n"),
        (
            true,
            "\x1b[2m13:32:42.123\x1b[0m \x1b[33mWARN\x1b[0m  boom  \
             \x1b[2;36mn=\x1b[0m\x1b[2m1\x1b[0m \x1b[2;36mlevel=\x1b[0m\x1b[2m2\x1b[0m\n    \
             \x1b[2m at f\x1b[0m\n",
        ),
    ] {
        let mut needs = Needs::default();
        let options = Options {
            color,
            ..Options::default()
        };
        let mut human = Encoder::build("human", options, &mut needs).unwrap();
        let row = part(batch(text, &needs, Defs::default(), |text, columns| {
            columns.set_json(0);
            columns.put_time(0, 0, Timestamp(1_795_440_762_123_000_000));
            columns.put_level(1, 0, Level::WARN);
            let at = memchr::memmem::find(text, b"boom").unwrap();
            columns.put(
                2,
                0,
                text,
                Cell::string(at, at + r"boom\n at f".len(), true),
            );
        }));
        assert_eq!(encode(&mut human, &row), expected);
    }
}

#[test]
fn content_cannot_steer_the_terminal() {
    let (mut human, needs) = encoder("human");
    let text = "plain \x1b[31m \u{9b}x\n";
    let row = part(batch(text.as_bytes(), &needs, Defs::default(), |_, _| {}));
    assert_eq!(encode(&mut human, &row), "plain \\e[31m \\x9bx\n");
}

#[test]
fn chosen_fields_are_all_that_is_written() {
    let options = || Options {
        fields: Some(vec![
            Path::of("http.status"),
            Path::of("service"),
            Path::of("x"),
        ]),
        ..Options::default()
    };
    let text = br#"200 "pay\u0021""#;
    for (name, expected) in [
        ("json", "{\"http.status\":200,\"service\":\"pay!\"}\n"),
        ("logfmt", "http.status=200 service=pay!\n"),
    ] {
        let mut needs = Needs::default();
        let mut encoder = Encoder::build(name, options(), &mut needs).unwrap();
        assert!(!needs.fields);
        let row = part(batch(text, &needs, Defs::default(), |text, columns| {
            columns.put(0, 0, text, Cell::new(0, 3));
            columns.put(1, 0, text, Cell::string(5, 14, true));
        }));
        assert_eq!(encode(&mut encoder, &row), expected);
    }
    let raw = Encoder::build("raw", options(), &mut Needs::default());
    assert_eq!(raw.err(), Some(EncodeError::RawFields));
    let unknown = Encoder::build("xml", Options::default(), &mut Needs::default());
    assert_eq!(unknown.err(), Some(EncodeError::Unknown("xml".into())));
}

/// Entries as a parser that has lost its mind would push them.
fn any_fields() -> impl Strategy<Value = Vec<(u32, u8, usize, usize)>> {
    let def = prop_oneof![4 => 0..9u32, 1 => Just(Field::KEYED)];
    prop::collection::vec((def, 0..11u8, 0..200usize, 0..60usize), 0..12)
}

fn kind(number: u8) -> FieldKind {
    [
        FieldKind::Text,
        FieldKind::Escaped,
        FieldKind::HexEscaped,
        FieldKind::Number,
        FieldKind::Literal,
        FieldKind::Time,
        FieldKind::Key,
        FieldKind::EscapedKey,
        FieldKind::Level,
        FieldKind::Integer,
        FieldKind::Object,
    ][usize::from(number)]
}

fn any_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        prop::collection::vec(any::<u8>(), 1..200),
        "[-\\\\\"a-z0-9. ux\u{e9}]{1,200}".prop_map(String::into_bytes),
    ]
}

proptest! {
    #[test]
    fn whatever_comes_in_leaves_as_one_json_object_a_row(
        text in any_bytes(), entries in any_fields(), truncated: bool,
    ) {
        let (mut json, needs) = encoder("json");
        let mut defs = Defs::default();
        let layout = Layout::compile("%Y").ok().map(Arc::new);
        for name in ["a", "b\"c", "h.x", "h.y", "h.z.w", "a", "t", "g.x"] {
            defs.add(name, None, layout.clone());
        }
        let len = text.len();
        let mut chunk = Box::new(Chunk::default());
        chunk.text = text;
        chunk.ends = vec![len as u32];
        chunk.truncated = if truncated { vec![0] } else { vec![] };
        let row = part(of_chunk(chunk, &needs, defs, |_, columns| {
            for (def, number, start, size) in entries {
                let start = start.min(len);
                columns.push_field(Field::new(def, kind(number), start, (start + size).min(len)));
            }
            columns.end_row();
        }));
        let out = encode(&mut json, &row);
        prop_assert_eq!(out.matches('\n').count(), 1);
        let object: Result<serde_json::Map<_, _>, _> = serde_json::from_str(&out);
        prop_assert!(object.is_ok(), "{out:?}");
        let (mut whole, mut without) = (object.unwrap(), Vec::new());
        if json.encode_row_but(&row.batch, 0, "a", &mut without) {
            whole.remove("a");
            let without: serde_json::Map<_, _> = serde_json::from_slice(&without).unwrap();
            prop_assert_eq!(without, whole);
        } else {
            prop_assert!(without.is_empty());
        }
        let mut bytes = Vec::new();
        json.encode(&row, &mut bytes);
        prop_assert!(std::str::from_utf8(&bytes).is_ok());
    }
}
