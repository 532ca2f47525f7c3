//! ECS is valid JSON with each name once, whatever came in.

use std::sync::Arc;

use serde_json::{Value as Json, json};

use super::*;
use crate::event::{Chunk, Columns, Defs, FieldKind, Rows, Stream};
use crate::sink::Part;
use crate::sink::encode::{Encoder, Options};
use crate::sink::fixture::{batch, field, part};

/// A part of `text`, whose columns are filled by `fill`.
fn encode(text: &str, defs: Defs, fill: impl FnOnce(&[u8], &mut Columns, &Needs)) -> Vec<Json> {
    let mut needs = Needs::default();
    let mut encoder = Encoder::build("ecs", Options::default(), &mut needs).unwrap();
    let batch = batch(text.as_bytes(), &needs, defs, |text, columns| {
        fill(text, columns, &needs);
    });
    let part = part(batch);
    let mut out = Vec::new();
    encoder.encode(&part, &mut out);
    let lines = String::from_utf8(out).unwrap();
    lines.lines().map(each_once).collect()
}

/// Reads a line; fails if a name is there twice.
fn each_once(line: &str) -> Json {
    let value: Json = serde_json::from_str(line).unwrap();
    // Written again, it is as long only if nothing was left out.
    assert_eq!(value.to_string().len(), line.len(), "{line}");
    value
}

fn slot(needs: &Needs, role: Role) -> usize {
    let path = Path::of(role.name());
    needs.columns.iter().position(|n| n.path == path).unwrap()
}

#[test]
fn roles_and_known_names_are_those_of_ecs() {
    let text = r#"{"ts":"2026-11-23T13:32:42Z","lvl":"ERR","msg":"boom","app":"pay","user":"ann","http":{"method":"GET","path":"/a?b=1","status":503},"client":"10.0.0.1","tags":["x"],"event":"y","extra":{"deep":null}}"#;
    let rows = encode(text, Defs::default(), |text, columns, needs| {
        let at = |value: &str| memchr::memmem::find(text, value.as_bytes()).unwrap();
        let cell = |value: &str| Cell::string(at(value), at(value) + value.len(), false);
        columns.set_json(0);
        columns.put(
            slot(needs, Role::Timestamp),
            0,
            text,
            cell("2026-11-23T13:32:42Z"),
        );
        columns.put(slot(needs, Role::Level), 0, text, cell("ERR"));
        columns.put(slot(needs, Role::Message), 0, text, cell("boom"));
        columns.put(slot(needs, Role::Service), 0, text, cell("pay"));
        columns.end_row();
    });
    let expected = json!({
        "@timestamp": "2026-11-23T13:32:42Z", "ecs.version": "8.11.0", "log.level": "error",
        "message": "boom", "service.name": "pay", "user.name": "ann",
        "http.request.method": "GET", "url.path": "/a", "url.query": "b=1",
        "http.response.status_code": 503, "client.address": "10.0.0.1", "client.ip": "10.0.0.1",
        "tags": ["x"], "labels.event": "y", "extra.deep": null,
    });
    assert_eq!(rows, [expected]);
}

#[test]
fn what_is_no_number_is_text_and_what_clashes_is_a_label() {
    let mut defs = Defs::default();
    let status = defs.add("http.status", None, None);
    let user = defs.add("user", None, None);
    let name = defs.add("user.name", None, None);
    let rows = encode("007 ann bob\n", defs, |text, columns, _| {
        columns.push_field(field(text, "007", status, FieldKind::Number));
        columns.push_field(field(text, "ann", user, FieldKind::Text));
        columns.push_field(field(text, "bob", name, FieldKind::Text));
        columns.push_field(field(text, "bob", name, FieldKind::Text));
        columns.end_row();
    });
    let expected = json!({
        "@timestamp": "1970-01-01T00:00:00Z", "ecs.version": "8.11.0",
        "http.response.status_code": "007", "user.name": "ann", "labels.user.name": "bob",
    });
    assert_eq!(rows, [expected]);
}

#[test]
fn a_line_without_anything_is_its_message() {
    let rows = encode(
        "plain \u{1}\"\n{\"@timestamp\":\"soon\",\"a.b\":1,\"a\":{\"b\":2}}\n",
        Defs::default(),
        |_, columns, _| {
            columns.end_row();
            columns.set_json(1);
            columns.end_row();
        },
    );
    assert_eq!(rows[0]["message"], "plain \u{1}\"");
    assert_eq!(rows[0]["@timestamp"], "1970-01-01T00:00:00Z");
    assert_eq!(rows[1]["labels.@timestamp"], "soon");
    assert_eq!(
        (&rows[1]["a.b"], &rows[1]["labels.a.b"]),
        (&json!(1), &json!(2))
    );
}

#[test]
fn a_row_that_was_cut_says_so() {
    let mut needs = Needs::default();
    let mut encoder = Encoder::build("ecs", Options::default(), &mut needs).unwrap();
    let mut chunk = Box::new(Chunk::default());
    chunk.text.extend_from_slice(b"long");
    chunk.ends.push(4);
    chunk.truncated.push(0);
    let stream = Arc::new(Stream {
        source: 0,
        origin: 1,
        meta: Vec::new(),
    });
    let batch = Batch::new(stream, 0, Timestamp(0), chunk, Arc::default());
    let part = Part {
        batch: Arc::new(batch),
        rows: Rows::All,
    };
    let mut out = Vec::new();
    encoder.encode(&part, &mut out);
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "{\"@timestamp\":\"1970-01-01T00:00:00Z\",\"ecs.version\":\"8.11.0\",\"message\":\"long\",\"log.flags\":[\"truncated\"]}\n"
    );
}
