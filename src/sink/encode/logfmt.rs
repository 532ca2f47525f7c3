//! Rows to logfmt: `key=value key="some text"`, nested names joined by dots.

use super::pick::Pick;
use super::walk::{self, Value};
use crate::event::Batch;
use crate::event::escape::escape_json;

/// Writes logfmt lines.
#[derive(Clone)]
pub(super) struct Logfmt {
    pick: Option<Pick>,
    pub(super) replaced: u64,
}

impl Logfmt {
    pub(super) fn new(pick: Option<Pick>) -> Logfmt {
        Logfmt { pick, replaced: 0 }
    }

    pub(super) fn encode_row(&mut self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        let start = out.len();
        let replaced = &mut self.replaced;
        let mut each = |name: &str, value: Value| {
            if out.len() > start {
                out.push(b' ');
            }
            *replaced += u64::from(write_pair(name, &value, out));
        };
        match &self.pick {
            Some(pick) => pick.for_each(batch, row, each),
            None => walk::for_each(batch, row, &mut each),
        }
        out.push(b'\n');
    }
}

/// Appends `name=value`; says whether invalid UTF-8 had to be replaced.
pub(super) fn write_pair(name: &str, value: &Value, out: &mut Vec<u8>) -> bool {
    // Keys have no quotes in logfmt: what would end one becomes `_`.
    let ends_key = |b: u8| b <= b' ' || b == b'=' || b == b'"' || b == 0x7f;
    if name.is_empty() {
        out.push(b'_');
    }
    out.extend(name.bytes().map(|b| if ends_key(b) { b'_' } else { b }));
    out.push(b'=');
    let bytes = match value {
        Value::Text(text) => &**text,
        Value::Bare(json) => json,
    };
    let plain = !bytes.is_empty()
        && !bytes.iter().any(|&b| ends_key(b) || b == b'\\')
        && std::str::from_utf8(bytes).is_ok();
    if plain {
        out.extend_from_slice(bytes);
        return false;
    }
    out.push(b'"');
    let replaced = escape_json(bytes, out);
    out.push(b'"');
    replaced
}
