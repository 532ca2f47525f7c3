//! A row's fields as flat pairs of a dotted name and a value, for encodings
//! that know no nesting. Not the fast way: JSON rows are read into a tree.

use std::borrow::Cow;

use crate::event::escape::{unescape_hex_into, unescape_json};
use crate::event::time::Layout;
use crate::event::{Batch, Field, FieldKind, Level, Timestamp};

/// A value as a flat encoding writes it.
pub(super) enum Value<'a> {
    /// Text, to be quoted where needed. May be invalid UTF-8.
    Text(Cow<'a, [u8]>),
    /// A number, `true`, `false`, `null`, or JSON of an array.
    Bare(&'a [u8]),
}

/// Calls `each` with every field of a row, in order. A row that is neither
/// JSON nor has a field list has one field, `message`.
pub(super) fn for_each(batch: &Batch, row: usize, each: &mut dyn FnMut(&str, Value)) {
    let columns = batch.columns();
    let line = batch.line(row);
    if columns.json().contains(row)
        && let Ok(tree) = serde_json::from_slice::<serde_json::Map<_, _>>(line)
    {
        let mut name = String::new();
        for (key, value) in &tree {
            walk_tree(&mut name, key, value, each);
        }
    } else if columns.fields(row).is_empty() {
        each("message", Value::Text(line.into()));
    } else {
        walk_list(batch, row, each);
    }
    if batch.truncated().binary_search(&(row as u32)).is_ok() {
        each("truncated", Value::Bare(b"true"));
    }
}

/// `serde_json` refuses nesting past 128, which bounds the recursion.
fn walk_tree(
    name: &mut String,
    key: &str,
    value: &serde_json::Value,
    each: &mut dyn FnMut(&str, Value),
) {
    let outer = name.len();
    if outer > 0 {
        name.push('.');
    }
    name.push_str(key);
    match value {
        serde_json::Value::Object(tree) if !tree.is_empty() => {
            for (key, value) in tree {
                walk_tree(name, key, value, each);
            }
        }
        serde_json::Value::String(text) => each(name, Value::Text(text.as_bytes().into())),
        other => each(name, Value::Bare(other.to_string().as_bytes())),
    }
    name.truncate(outer);
}

fn walk_list(batch: &Batch, row: usize, each: &mut dyn FnMut(&str, Value)) {
    let (columns, text) = (batch.columns(), batch.text());
    let mut free_key = None;
    let (mut name, mut object, mut members) = (String::new(), String::new(), 0u32);
    for &field in columns.fields(row) {
        members = members.saturating_sub(1);
        match field.kind() {
            FieldKind::Key | FieldKind::EscapedKey => {
                free_key = Some(field);
                continue;
            }
            FieldKind::Object => {
                object = String::from_utf8_lossy(field.bytes(text)).into_owned() + ".";
                // One more, as this entry's own is taken off with the next.
                members = field.def().saturating_add(1);
                continue;
            }
            _ => name.clear(),
        }
        if members > 0 {
            name.push_str(&object);
        }
        let mut layout = None;
        if field.def() == Field::KEYED {
            let Some(key) = free_key.take() else { continue };
            name.push_str(&String::from_utf8_lossy(&plain(key, text)));
        } else {
            let Some(def) = columns.defs().get(field.def()) else {
                continue;
            };
            for part in &def.parts {
                name.push_str(part);
                name.push('.');
            }
            name.pop();
            layout = def.layout.as_deref();
        }
        match field.kind() {
            FieldKind::Number | FieldKind::Literal => each(&name, Value::Bare(field.bytes(text))),
            FieldKind::True => each(&name, Value::Bare(b"true")),
            FieldKind::Time => {
                let near = batch.observed;
                each(&name, Value::Text(time(field.bytes(text), layout, near)));
            }
            FieldKind::Level => {
                let level = Level(field.computed() as u8);
                each(&name, Value::Text(level.name().as_bytes().into()));
            }
            FieldKind::Integer => each(&name, Value::Bare(field.computed().to_string().as_bytes())),
            _ => each(&name, Value::Text(plain(field, text))),
        }
    }
}

/// A span without its escapes.
fn plain(field: Field, text: &[u8]) -> Cow<'_, [u8]> {
    let raw = field.bytes(text);
    match field.kind() {
        FieldKind::Escaped | FieldKind::EscapedKey => unescape_json(raw).into(),
        FieldKind::HexEscaped => {
            let mut value = Vec::with_capacity(raw.len());
            unescape_hex_into(raw, &mut value);
            value.into()
        }
        _ => raw.into(),
    }
}

/// A time as RFC 3339, or as it stands if it is not in its layout.
fn time<'a>(span: &'a [u8], layout: Option<&Layout>, near: Timestamp) -> Cow<'a, [u8]> {
    match layout.and_then(|l| l.parse_prefix_in(span, near)) {
        Some((time, used)) if used == span.len() => {
            let mut written = Vec::new();
            time.write_rfc3339(&mut written);
            written.into()
        }
        _ => span.into(),
    }
}
