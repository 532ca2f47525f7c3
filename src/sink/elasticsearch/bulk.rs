//! A load as the body of a bulk request: for each event a `create` action with
//! the event's id, and the event with a `@timestamp`.

use std::io::Write as _;

use super::index::Index;
use crate::event::escape::escape_json;
use crate::event::time::Rfc3339Writer;
use crate::event::{Batch, Column, ColumnKind, Needs, Path, Role, Timestamp};
use crate::sink::encode::Encoder;
use crate::sink::template::Template;
use crate::sink::{Load, Written};

/// What a bulk request needs of events.
pub(super) struct Actions {
    pub(super) index: Index,
    pub(super) routing: Option<Template>,
    /// The column of the event's time.
    time: usize,
    /// The column of its own `@timestamp`.
    own: usize,
}

impl Actions {
    pub(super) fn new(index: Index, routing: Option<Template>, needs: &mut Needs) -> Actions {
        Actions {
            index,
            routing,
            time: needs.slot(&Path::of(Role::Timestamp.name()), ColumnKind::Time),
            own: needs.slot(
                &Path::new(vec!["@timestamp".into()], true),
                ColumnKind::Text,
            ),
        }
    }

    /// The time to add to a row: none if it has a `@timestamp`.
    fn time(&self, batch: &Batch, row: usize) -> Option<Timestamp> {
        let columns = batch.columns();
        if columns.rows() != batch.rows() {
            return Some(batch.observed);
        }
        if let Column::Text(own) = columns.column(self.own)
            && own[row].is_present()
        {
            return None;
        }
        let time = match columns.column(self.time) {
            Column::Time(times) => Timestamp(times[row]),
            _ => Timestamp::ABSENT,
        };
        Some(if time == Timestamp::ABSENT {
            batch.observed
        } else {
            time
        })
    }
}

/// A bulk request's body, and where its events are.
#[derive(Default)]
pub(super) struct Bulk {
    pub(super) body: Vec<u8>,
    /// One past each event's bytes.
    ends: Vec<usize>,
    /// Events with values that were replaced or missing: their item and how many.
    odd: Vec<(u32, u64, u64)>,
}

impl Bulk {
    /// Encodes a load.
    pub(super) fn encode(load: &Load, actions: &Actions, encoder: &mut Encoder) -> Bulk {
        let mut bulk = Bulk::default();
        bulk.ends.reserve_exact(load.events);
        let mut writer = Rfc3339Writer::default();
        let (mut scratch, mut name) = (Vec::new(), String::new());
        load.for_each(|item, batch, row| {
            let body = &mut bulk.body;
            let mut missing = actions.index.render(batch, row, &mut scratch, &mut name);
            body.extend_from_slice(b"{\"create\":{\"_index\":\"");
            escape_json(name.as_bytes(), body);
            // Writing to a vector cannot fail.
            let _ = write!(body, "\",\"_id\":\"{}", batch.id(row));
            if let Some(routing) = &actions.routing {
                body.extend_from_slice(b"\",\"routing\":\"");
                let escape = |value: &[u8], out: &mut Vec<u8>| {
                    escape_json(value, out);
                };
                missing += routing.render(batch, row, body, escape);
            }
            body.extend_from_slice(b"\"}}\n");
            let start = body.len();
            encoder.encode_row(batch, row, body);
            if let Some(time) = actions.time(batch, row) {
                add_timestamp(body, start, time, &mut writer);
            }
            bulk.ends.push(body.len());
            let replaced = encoder.take_replaced();
            if replaced + missing > 0 {
                bulk.odd.push((item, replaced, missing));
            }
        });
        bulk
    }

    /// How many events there are.
    pub(super) fn events(&self) -> usize {
        self.ends.len()
    }

    /// What was written if only the events were that `delivered` says.
    pub(super) fn written(&self, delivered: impl Fn(u32) -> bool) -> Written {
        let mut written = Written::default();
        let mut start = 0;
        for (item, &end) in self.ends.iter().enumerate() {
            if delivered(item as u32) {
                written.bytes += (end - start) as u64;
            }
            start = end;
        }
        for &(item, replaced, missing) in &self.odd {
            if delivered(item) {
                written.replaced += replaced;
                written.missing += missing;
            }
        }
        written
    }
}

const TIMESTAMP_KEY: &[u8] = b"\"@timestamp\":\"";

/// Puts a `@timestamp` into the object at `start`, which has none.
fn add_timestamp(body: &mut Vec<u8>, start: usize, time: Timestamp, writer: &mut Rfc3339Writer) {
    let Some(brace) = memchr::memchr(b'{', &body[start..]) else {
        return;
    };
    let inside = start + brace + 1;
    let rest = &body[inside..];
    // ECS has one always.
    if rest.starts_with(TIMESTAMP_KEY) {
        return;
    }
    let is_empty = rest.trim_ascii_start().first() == Some(&b'}');
    let end = body.len();
    body.extend_from_slice(TIMESTAMP_KEY);
    writer.write_time(time, body);
    body.extend_from_slice(if is_empty { b"\"" } else { b"\"," });
    let added = body.len() - end;
    body[inside..].rotate_right(added);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_is_put_first() {
        for (object, expected) in [
            ("{}\n", "{\"@timestamp\":\"1970-01-01T00:00:01Z\"}\n"),
            (" { }\n", " {\"@timestamp\":\"1970-01-01T00:00:01Z\" }\n"),
            (
                "{\"a\":\"{\"}\n",
                "{\"@timestamp\":\"1970-01-01T00:00:01Z\",\"a\":\"{\"}\n",
            ),
            ("{\"@timestamp\":\"x\"}\n", "{\"@timestamp\":\"x\"}\n"),
        ] {
            let mut body = b"before{".to_vec();
            let start = body.len();
            body.extend_from_slice(object.as_bytes());
            let time = Timestamp(1_000_000_000);
            add_timestamp(&mut body, start, time, &mut Rfc3339Writer::default());
            assert_eq!(&body[start..], expected.as_bytes());
        }
    }
}
