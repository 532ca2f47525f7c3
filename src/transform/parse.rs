//! `parse: FORMAT`: a field's text as an event of its own.

use std::sync::Arc;

use super::name::{Name, Value};
use super::{Events, Fields, Transform, wants_fields};
use crate::event::{Needs, Path, Stream, Timestamp};

/// Reads a field as a format and puts what it has in its place, or below
/// another field. Text that has not the format stays as it is.
pub struct Parse {
    field: Arc<(Name, Value)>,
    into: Option<Path>,
    format: Box<dyn Fields>,
    /// Whether a format that the stream names goes before.
    heeds_stream: bool,
    text: Vec<u8>,
    ends: Vec<u32>,
    /// The rows whose text stands in `text`.
    rows: Vec<usize>,
    /// What was made of them, in `objects`; empty if nothing.
    objects: Vec<u8>,
    object_ends: Vec<usize>,
}

impl Parse {
    /// The verb's name.
    pub const NAME: &'static str = "parse";

    /// Reads this field by this format.
    #[must_use]
    pub fn new(
        format: Box<dyn Fields>,
        field: &Path,
        into: Option<Path>,
        needs: &mut Needs,
    ) -> Parse {
        wants_fields(needs);
        Parse {
            field: Arc::new((Name::new(field), Value::new(field, needs))),
            into,
            format,
            heeds_stream: false,
            text: Vec::new(),
            ends: Vec::new(),
            rows: Vec::new(),
            objects: Vec::new(),
            object_ends: Vec::new(),
        }
    }

    /// Reads by the format that a stream names ([`Stream::FORMAT`]), where one does.
    #[must_use]
    pub fn heeding_streams(mut self) -> Parse {
        self.heeds_stream = true;
        self
    }

    /// Collects the texts and has them read.
    fn read(&mut self, events: &mut Events<'_>) {
        let Parse {
            field,
            text,
            ends,
            rows,
            ..
        } = self;
        text.clear();
        ends.clear();
        rows.clear();
        let mut observed = Timestamp(0);
        let mut stream = None;
        events.for_each(|batch, row| {
            // The same for all rows of a batch.
            if stream.is_none() {
                (observed, stream) = (batch.observed, Some(batch.stream.clone()));
            }
            if let Some(value) = field.1.of(batch, row) {
                text.extend_from_slice(&value);
                text.push(b'\n');
                ends.push(text.len() as u32);
                rows.push(row);
            }
        });
        self.objects.clear();
        self.object_ends.clear();
        if self.heeds_stream
            && let Some(stream) = &stream
        {
            self.format
                .choose(stream.meta(Stream::FORMAT).map(|format| &**format));
        }
        let Parse {
            format,
            objects,
            object_ends,
            ..
        } = self;
        format.read(observed, &self.text, &self.ends, &mut |object| {
            objects.extend_from_slice(object.unwrap_or_default());
            object_ends.push(objects.len());
        });
    }
}

impl Transform for Parse {
    fn apply(&mut self, events: &mut Events<'_>) {
        self.read(events);
        // The strongest of its names is the field, where an event has it.
        let name = match self.field.0.fields() {
            [first, ..] if self.into.is_none() && first.parts().len() == 1 => Some(first.dotted()),
            _ => None,
        };
        let found = self.rows.iter().zip(&self.object_ends);
        let objects = found.scan(0, |start, (&row, &end)| {
            Some((row, std::mem::replace(start, end)..end))
        });
        let objects = std::cell::RefCell::new(objects.peekable());
        let gives_way = |row: usize| {
            let mut objects = objects.borrow_mut();
            let next = objects.peek();
            name.filter(|_| next.is_some_and(|(known, object)| *known == row && !object.is_empty()))
        };
        events.edit_objects_but(gives_way, |document, _, row, left_out| {
            let next = objects.borrow_mut().next_if(|(known, _)| *known == row);
            let object = match next {
                Some((_, object)) if !object.is_empty() => &self.objects[object],
                _ => return false,
            };
            let value = document.make(|out| out.extend_from_slice(object));
            if let Some(path) = &self.into {
                document.set(path, value);
            } else {
                if !left_out {
                    document.remove(&self.field.0);
                }
                document.merge(value);
            }
            true
        });
    }

    fn another(&self) -> Box<dyn Transform> {
        Box::new(Parse {
            field: self.field.clone(),
            into: self.into.clone(),
            format: self.format.another(),
            heeds_stream: self.heeds_stream,
            text: Vec::new(),
            ends: Vec::new(),
            rows: Vec::new(),
            objects: Vec::new(),
            object_ends: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::run;
    use super::*;

    /// `k=v` to an object; anything else is not the format.
    struct Pair;

    impl Fields for Pair {
        fn read(
            &mut self,
            _: Timestamp,
            text: &[u8],
            ends: &[u32],
            each: &mut dyn FnMut(Option<&[u8]>),
        ) {
            let mut start = 0;
            for &end in ends {
                let line = String::from_utf8_lossy(&text[start..end as usize - 1]);
                start = end as usize;
                let pair = line.split_once('=');
                let object = pair.map(|(k, v)| format!("{{\"{k}\":\"{v}\"}}"));
                each(object.as_deref().map(str::as_bytes));
            }
        }

        fn another(&self) -> Box<dyn Fields> {
            Box::new(Pair)
        }
    }

    fn parse(into: Option<&str>, lines: &[&str]) -> Vec<String> {
        let into = into.map(Path::of);
        run(lines, |needs| {
            Parse::new(Box::new(Pair), &Path::of("m"), into, needs)
        })
    }

    #[test]
    fn what_is_found_takes_the_place_of_the_field() {
        let lines = [
            r#"{"a":1,"m":"x=y"}"#,
            r#"{"m":"none"}"#,
            r#"{"x":2,"m":"x=\u0041"}"#,
            r#"{"m":"m=z"}"#,
            r#"{"b":1}"#,
            "text",
        ];
        let expected = [
            r#"{"a":1,"x":"y"}"#,
            lines[1],
            r#"{"x":"A"}"#,
            r#"{"m":"z"}"#,
            lines[4],
            "text",
        ];
        assert_eq!(parse(None, &lines), expected);
        assert_eq!(
            parse(Some("in.to"), &lines[..1]),
            [r#"{"a":1,"m":"x=y","in":{"to":{"x":"y"}}}"#]
        );
    }
}
