//! A load as the body of a bulk request: for each event a `create` action with
//! the event's id, and the event with a `@timestamp`.

use super::index::Index;
use crate::event::escape::escape_json;
use crate::event::time::Rfc3339Writer;
use crate::event::{Batch, Column, ColumnKind, EventId, Needs, Path, Role, Timestamp};
use crate::sink::encode::Encoder;
use crate::sink::template::Template;
use crate::sink::{Load, Part, Written};

/// About what an event takes beside its text: the action and a `@timestamp`.
const ACTION_BYTES: usize = 140;

/// What a bulk request needs of events.
pub(super) struct Actions {
    index: Index,
    /// What an action begins with where all events have one index.
    beginning: Option<Vec<u8>>,
    routing: Option<Template>,
    /// The column of the event's time.
    time: usize,
    /// The column of its own `@timestamp`.
    own: usize,
}

impl Actions {
    pub(super) fn new(index: Index, routing: Option<Template>, needs: &mut Needs) -> Actions {
        let beginning = index.constant().map(|name| {
            let mut beginning = Vec::new();
            begin(name, &mut beginning);
            beginning
        });
        Actions {
            index,
            beginning,
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
        let text: usize = load.parts.iter().map(text_bytes).sum();
        bulk.body.reserve(text + load.events * ACTION_BYTES);
        let mut writer = Rfc3339Writer::default();
        let (mut scratch, mut name) = (Vec::new(), String::new());
        load.for_each(|item, batch, row| {
            let body = &mut bulk.body;
            let mut missing = 0;
            if let Some(beginning) = &actions.beginning {
                body.extend_from_slice(beginning);
            } else {
                missing += actions.index.render(batch, row, &mut scratch, &mut name);
                begin(&name, body);
            }
            body.extend_from_slice(&hex(batch.id(row)));
            if let Some(routing) = &actions.routing {
                body.extend_from_slice(b"\",\"routing\":\"");
                let escape = |value: &[u8], out: &mut Vec<u8>| {
                    escape_json(value, out);
                };
                missing += routing.render(batch, row, body, escape);
            }
            body.extend_from_slice(b"\"}}\n");
            let start = body.len();
            match actions.time(batch, row) {
                Some(time) if !encoder.is_ecs() => {
                    body.extend_from_slice(b"{");
                    body.extend_from_slice(TIMESTAMP_KEY);
                    writer.write_time(time, body);
                    body.push(b'"');
                    let object = body.len();
                    encoder.encode_row(batch, row, body);
                    join(body, start, object);
                }
                // ECS has one always.
                _ => encoder.encode_row(batch, row, body),
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

/// Of a part's text what is its rows', if all rows are alike.
fn text_bytes(part: &Part) -> usize {
    let rows = part.batch.rows();
    part.batch.text().len() * part.rows.count(rows) / rows.max(1)
}

/// The beginning of an action, up to the id.
fn begin(index: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"create\":{\"_index\":\"");
    escape_json(index.as_bytes(), out);
    out.extend_from_slice(b"\",\"_id\":\"");
}

/// As an id is displayed, without what formatting costs.
fn hex(id: EventId) -> [u8; 32] {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut digits = [0; 32];
    for (pair, byte) in digits.chunks_exact_mut(2).zip(id.0.to_be_bytes()) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
    digits
}

const TIMESTAMP_KEY: &[u8] = b"\"@timestamp\":\"";

/// Makes one object of the open one at `start`, which has a `@timestamp`, and
/// that at `object`: mostly its brace becomes a comma and nothing moves.
fn join(body: &mut Vec<u8>, start: usize, object: usize) {
    let Some(brace) = memchr::memchr(b'{', &body[object..]) else {
        // No object, whatever it is: left alone.
        body.drain(start..object);
        return;
    };
    let brace = object + brace;
    let inside = brace + 1;
    if body[inside..].starts_with(TIMESTAMP_KEY) {
        body.drain(start..object);
        return;
    }
    let is_empty = body[inside..].trim_ascii_start().first() == Some(&b'}');
    if is_empty {
        body.remove(brace);
    } else {
        body[brace] = b',';
    }
    // White space stays where it was, before the object.
    body[start..brace].rotate_right(brace - object);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_written_as_it_is_displayed() {
        for id in [0, 1, 0x0123_4567_89ab_cdef << 60, u128::MAX] {
            let id = EventId(id);
            assert_eq!(hex(id), id.to_string().as_bytes());
        }
    }

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
            (
                "\t{\"a\":1}\n",
                "\t{\"@timestamp\":\"1970-01-01T00:00:01Z\",\"a\":1}\n",
            ),
        ] {
            let mut body = b"before{".to_vec();
            let start = body.len();
            body.extend_from_slice(b"{\"@timestamp\":\"1970-01-01T00:00:01Z\"");
            let at = body.len();
            body.extend_from_slice(object.as_bytes());
            join(&mut body, start, at);
            assert_eq!(&body[start..], expected.as_bytes());
        }
    }
}
