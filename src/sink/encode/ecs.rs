//! Rows to the Elastic Common Schema (ECS 8.11): one JSON object a line, names
//! dotted as ECS loggers write them (`"log.level":"error"`).
//!
//! `@timestamp` is always there: the event's time, else when it was read. Roles
//! and what formats name have their ECS names, `ecs/names.rs` has the list;
//! what else an event has keeps its name, unless that is one of ECS's objects:
//! then it is below `labels`. Not the fast way, see `walk.rs`.

mod names;

use std::collections::HashSet;
use std::net::IpAddr;

use xxhash_rust::xxh3::xxh3_64;

use super::pick::is_json;
use super::walk::{self, Value};
use crate::event::escape::escape_json;
use crate::event::time::Rfc3339Writer;
use crate::event::{
    Batch, Cell, Column, ColumnKind, Level, Needs, Path, Role, Timestamp, convert, time,
};

/// Roles that are text, with their ECS names.
const TEXT_ROLES: [(Role, &str); 5] = [
    (Role::Message, "message"),
    (Role::Service, "service.name"),
    (Role::Host, "host.name"),
    (Role::TraceId, "trace.id"),
    (Role::SpanId, "span.id"),
];

/// Writes ECS.
#[derive(Clone)]
pub(super) struct Ecs {
    time: usize,
    level: usize,
    texts: [usize; TEXT_ROLES.len()],
    writer: Rfc3339Writer,
    /// Hashes of the names that the row has already.
    seen: HashSet<u64>,
    scratch: String,
    /// Values whose invalid UTF-8 was replaced.
    pub(super) replaced: u64,
}

/// What a row's roles are.
struct Roles<'a> {
    time: Option<Timestamp>,
    level: Level,
    texts: [Option<std::borrow::Cow<'a, [u8]>>; TEXT_ROLES.len()],
}

impl Ecs {
    pub(super) fn new(needs: &mut Needs) -> Ecs {
        needs.fields = true;
        let mut slot = |role: Role, kind| needs.slot(&Path::of(role.name()), kind);
        Ecs {
            time: slot(Role::Timestamp, ColumnKind::Time),
            level: slot(Role::Level, ColumnKind::Level),
            texts: TEXT_ROLES.map(|(role, _)| slot(role, ColumnKind::Text)),
            writer: Rfc3339Writer::default(),
            seen: HashSet::new(),
            scratch: String::new(),
            replaced: 0,
        }
    }

    pub(super) fn encode_row(&mut self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        let roles = self.roles(batch, row);
        self.seen.clear();
        out.extend_from_slice(b"{\"@timestamp\":\"");
        let time = roles.time.unwrap_or(batch.observed);
        self.writer.write_time(time, out);
        out.extend_from_slice(b"\",\"ecs.version\":\"8.11.0\"");
        self.seen.insert(xxh3_64(b"@timestamp"));
        self.seen.insert(xxh3_64(b"ecs.version"));
        if roles.level != Level::ABSENT {
            let name = roles.level.name().as_bytes();
            self.put("log.level", &Value::Text(name.into()), out);
        }
        for ((_, name), text) in TEXT_ROLES.iter().zip(&roles.texts) {
            if let Some(text) = text {
                self.put(name, &Value::Text(text.as_ref().into()), out);
            }
        }
        walk::for_each(batch, row, &mut |name, value| {
            if !roles.has(name, &value) {
                self.put_field(name, &value, out);
            }
        });
        out.extend_from_slice(b"}\n");
    }

    fn roles<'a>(&self, batch: &'a Batch, row: usize) -> Roles<'a> {
        let columns = batch.columns();
        let mut roles = Roles {
            time: None,
            level: Level::ABSENT,
            texts: Default::default(),
        };
        if columns.rows() != batch.rows() {
            return roles;
        }
        if let Column::Time(times) = columns.column(self.time) {
            let time = Timestamp(times[row]);
            roles.time = (time != Timestamp::ABSENT).then_some(time);
        }
        if let Column::Level(levels) = columns.column(self.level) {
            roles.level = Level(levels[row]);
        }
        for (text, slot) in roles.texts.iter_mut().zip(self.texts) {
            *text = match columns.column(slot) {
                Column::Text(cells) => {
                    let cell = Some(cells[row]).filter(|cell| is_text(*cell, batch.text()));
                    cell.map(|cell| convert::value(cell, batch.text()))
                }
                Column::Same(value) => Some(value.as_bytes().into()),
                _ => None,
            };
        }
        roles
    }

    /// Writes a field that is no role.
    fn put_field(&mut self, name: &str, value: &Value, out: &mut Vec<u8>) {
        let bytes = bytes(value);
        match name {
            "truncated" if bytes == b"true" => {
                self.put("log.flags", &Value::Bare(b"[\"truncated\"]"), out);
            }
            "client" => {
                self.put("client.address", value, out);
                let text = std::str::from_utf8(bytes);
                if text.is_ok_and(|text| text.parse::<IpAddr>().is_ok()) {
                    self.put("client.ip", value, out);
                }
            }
            "http.path" => {
                let split = memchr::memchr(b'?', bytes);
                let path = &bytes[..split.unwrap_or(bytes.len())];
                self.put("url.path", &Value::Text(path.into()), out);
                if let Some(at) = split {
                    self.put("url.query", &Value::Text(bytes[at + 1..].into()), out);
                }
            }
            "http.protocol" => {
                let version = bytes.strip_prefix(b"HTTP/").unwrap_or(bytes);
                self.put("http.version", &Value::Text(version.into()), out);
            }
            _ => {
                let mut known = std::mem::take(&mut self.scratch);
                names::of(name, &mut known);
                self.put(&known, value, out);
                self.scratch = known;
            }
        }
    }

    /// Writes a name and its value; under `labels` if the name is there already.
    fn put(&mut self, name: &str, value: &Value, out: &mut Vec<u8>) {
        if self.seen.insert(xxh3_64(name.as_bytes())) {
            out.extend_from_slice(b",\"");
        } else if self
            .seen
            .insert(xxh3_64(format!("labels.{name}").as_bytes()))
        {
            out.extend_from_slice(b",\"labels.");
        } else {
            return;
        }
        escape_json(name.as_bytes(), out);
        out.extend_from_slice(b"\":");
        match value {
            Value::Bare(json) if is_json(json) => out.extend_from_slice(json),
            other => {
                out.push(b'"');
                self.replaced += u64::from(escape_json(bytes(other), out));
                out.push(b'"');
            }
        }
    }
}

impl Roles<'_> {
    /// Whether a field is where a role came from: it is written as that.
    fn has(&self, name: &str, value: &Value) -> bool {
        let bytes = bytes(value);
        let is = |role: Role| role.aliases().contains(&name);
        if is(Role::Timestamp) && self.time.is_some() {
            // A layout without year gave a text of its own: it is RFC 3339 by now.
            return time::parse_any(bytes) == self.time;
        }
        if is(Role::Level) && self.level != Level::ABSENT {
            let cell = Cell::new(0, bytes.len());
            return convert::level(cell, bytes) == Some(self.level)
                || bytes == self.level.name().as_bytes();
        }
        TEXT_ROLES
            .iter()
            .zip(&self.texts)
            .any(|((role, _), text)| is(*role) && text.as_deref() == Some(bytes))
    }
}

/// Whether a cell is a value and neither an object nor an array nor nothing.
fn is_text(cell: Cell, text: &[u8]) -> bool {
    let raw = cell.bytes(text);
    cell.is_present()
        && (cell.is_string() || !(matches!(raw.first(), Some(b'{' | b'[')) || raw == b"null"))
}

fn bytes<'a>(value: &'a Value) -> &'a [u8] {
    match value {
        Value::Text(text) => text,
        Value::Bare(json) => json,
    }
}

#[cfg(test)]
mod tests;
