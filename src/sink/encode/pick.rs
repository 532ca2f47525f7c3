//! Chosen fields only (`fields: [a, b]`): values come from columns of the
//! plan, so that any path works for any format, JSON or not.

use std::borrow::Cow;

use super::value::{Values, is_literal, is_number};
use super::walk::Value;
use crate::event::{Batch, Column, ColumnKind, FieldKind, Needs, Path, convert};

/// The chosen fields and their columns.
#[derive(Clone)]
pub(super) struct Pick(Vec<Picked>);

#[derive(Clone)]
struct Picked {
    name: Box<str>,
    key: Box<[u8]>,
    slot: usize,
}

impl Pick {
    pub(super) fn new(fields: &[Path], needs: &mut Needs) -> Pick {
        let picked = fields.iter().map(|path| Picked {
            name: path.dotted().into(),
            key: super::keys::part_key(path.dotted()).into(),
            slot: needs.slot(path, ColumnKind::Text),
        });
        Pick(picked.collect())
    }

    /// Calls `each` with the name and value of every chosen field that the row has.
    pub(super) fn for_each(&self, batch: &Batch, row: usize, mut each: impl FnMut(&str, Value)) {
        for picked in &self.0 {
            if let Some(value) = value(batch, row, picked.slot) {
                each(&picked.name, value);
            }
        }
    }

    /// Appends the row as an object of its chosen fields.
    pub(super) fn write_json(
        &self,
        batch: &Batch,
        row: usize,
        values: &mut Values,
        out: &mut Vec<u8>,
    ) {
        let start = out.len();
        out.push(b'{');
        for picked in &self.0 {
            let Some(value) = value(batch, row, picked.slot) else {
                continue;
            };
            let comma = usize::from(out.len() == start + 1);
            out.extend_from_slice(&picked.key[comma..]);
            match value {
                Value::Bare(json) => out.extend_from_slice(json),
                Value::Text(text) => {
                    out.push(b'"');
                    values.string(&text, FieldKind::Text, out);
                    out.push(b'"');
                }
            }
        }
        out.extend_from_slice(b"}\n");
    }
}

fn value(batch: &Batch, row: usize, slot: usize) -> Option<Value<'_>> {
    if batch.columns().rows() != batch.rows() {
        return None;
    }
    let cell = match batch.columns().column(slot) {
        Column::Text(cells) => cells[row],
        Column::Same(value) => return Some(Value::Text(Cow::Borrowed(value.as_bytes()))),
        _ => return None,
    };
    if !cell.is_present() {
        return None;
    }
    let raw = cell.bytes(batch.text());
    if !cell.is_string() && is_json(raw) {
        return Some(Value::Bare(raw));
    }
    Some(Value::Text(convert::value(cell, batch.text())))
}

/// Whether a span that stood without quotes is JSON on one line; in a text
/// format it can be anything.
pub(super) fn is_json(raw: &[u8]) -> bool {
    match raw.first() {
        Some(b'{' | b'[') => {
            memchr::memchr(b'\n', raw).is_none()
                && serde_json::from_slice::<&serde_json::value::RawValue>(raw).is_ok()
        }
        _ => is_number(raw) || is_literal(raw),
    }
}
