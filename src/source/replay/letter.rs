//! One dead letter, as read.

use std::borrow::Cow;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::event::time::parse_any;
use crate::event::{Chunk, EventId, Timestamp};

/// What a sink refused: see `sink::driver::dead` for the writer.
#[derive(Debug)]
pub(super) struct Letter<'a> {
    pub(super) id: EventId,
    pub(super) sink: Cow<'a, str>,
    pub(super) time: Timestamp,
    /// How often it was replayed and refused again.
    pub(super) returns: u32,
    event: Event<'a>,
}

#[derive(Debug)]
enum Event<'a> {
    /// JSON as the sink would have got it.
    Json(&'a str),
    /// A text.
    Text(Cow<'a, [u8]>),
}

#[derive(Deserialize)]
struct Record<'a> {
    id: Cow<'a, str>,
    #[serde(borrow)]
    sink: Cow<'a, str>,
    #[serde(borrow)]
    time: Cow<'a, str>,
    #[serde(default)]
    returns: u32,
    #[serde(borrow)]
    event: Option<&'a RawValue>,
    #[serde(borrow)]
    event_base64: Option<Cow<'a, str>>,
}

impl Letter<'_> {
    /// Reads a line, or says in words what it lacks.
    pub(super) fn read(line: &[u8]) -> Result<Letter<'_>, String> {
        let record: Record<'_> = serde_json::from_slice(line).map_err(|e| e.to_string())?;
        let id = u128::from_str_radix(&record.id, 16);
        let id = id.ok().filter(|_| record.id.len() == 32);
        let id = id.ok_or("`id` is not 32 hexadecimal digits")?;
        let time = parse_any(record.time.as_bytes()).ok_or("`time` is not a time")?;
        let event = match (record.event, record.event_base64) {
            (Some(event), None) if event.get().starts_with('"') => {
                let text: String = serde_json::from_str(event.get()).map_err(|e| e.to_string())?;
                Event::Text(text.into_bytes().into())
            }
            (Some(event), None) => Event::Json(event.get()),
            (None, Some(coded)) => {
                let bytes = BASE64_STANDARD.decode(coded.as_bytes());
                let bytes = bytes.map_err(|error| format!("`event_base64`: {error}"))?;
                Event::Text(bytes.into())
            }
            _ => return Err("neither `event` nor `event_base64`, or both".to_owned()),
        };
        Ok(Letter {
            id: EventId(id),
            sink: record.sink,
            time,
            returns: record.returns,
            event,
        })
    }

    /// Appends its event as a row.
    pub(super) fn write(&self, chunk: &mut Chunk) {
        let text = match &self.event {
            Event::Json(json) => json.as_bytes(),
            Event::Text(text) => text,
        };
        // Texts of several lines are one event all the same.
        chunk.joined |= memchr::memchr(b'\n', text).is_some();
        chunk.text.extend_from_slice(text);
        chunk.text.push(b'\n');
        chunk.ends.push(chunk.text.len() as u32);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(rest: &str) -> String {
        format!(
            r#"{{"id":"000102030405060708090a0b0c0d0e0f","sink":"out","reason":"no","attempts":1,"time":"2026-11-26T01:02:03Z"{rest}}}"#
        )
    }

    fn event(rest: &str) -> Vec<u8> {
        let line = with(rest);
        let mut chunk = Chunk::default();
        Letter::read(line.as_bytes()).expect(rest).write(&mut chunk);
        assert_eq!(chunk.ends, [chunk.text.len() as u32]);
        let ends = memchr::memchr_iter(b'\n', &chunk.text).count();
        assert_eq!(chunk.joined, ends > 1);
        chunk.text
    }

    #[test]
    fn events_are_as_the_sink_would_have_got_them() {
        assert_eq!(
            event(r#","event":{"a": 1, "b":"x\ny"}"#),
            b"{\"a\": 1, \"b\":\"x\\ny\"}\n"
        );
        assert_eq!(event(r#","event":"two\nlines""#), b"two\nlines\n");
        assert_eq!(event(r#","event_base64":"/wA=""#), b"\xff\x00\n");
    }

    #[test]
    fn what_names_it_is_read() {
        let line = with(r#","event":"x","returns":2"#);
        let letter = Letter::read(line.as_bytes()).expect("valid");
        assert_eq!(letter.id.to_string(), "000102030405060708090a0b0c0d0e0f");
        assert_eq!((&*letter.sink, letter.returns), ("out", 2));
        assert_eq!(letter.time.0, 1_795_654_923_000_000_000);
    }

    #[test]
    fn what_is_no_letter_is_refused_with_a_reason() {
        for (line, why) in [
            ("", "EOF"),
            ("{}", "missing field `id`"),
            ("[1]", "invalid"),
            (&with(""), "neither"),
            (&with(r#","event":"a","event_base64":"YQ==""#), "neither"),
            (&with(r#","event_base64":"?""#), "event_base64"),
            (
                &with(r#","event":"a""#).replace("0f\"", "0g\""),
                "hexadecimal",
            ),
            (&with(r#","event":"a""#).replace("2026", "soon"), "time"),
        ] {
            let error = Letter::read(line.as_bytes()).expect_err(line);
            assert!(error.contains(why), "{line}: {error}");
        }
    }
}
