//! `truncate: 4KiB`: values of bounded length.

use std::sync::Arc;

use super::document::Document;
use super::events::Line;
use super::name::Name;
use super::scan::rewrite;
use super::{Events, Tools, Transform, wants_fields};
use crate::event::{Column, ColumnKind, Edits, FieldKind, Needs, Path};

/// What stands for what was cut off.
const MARK: &str = "…";

/// Cuts text values that are longer than so many bytes, between characters.
pub struct Truncate {
    bytes_max: usize,
    fields: Arc<[(Name, usize)]>,
    scratch: Vec<u8>,
    object: Vec<u8>,
}

impl Truncate {
    /// The verb's name.
    pub const NAME: &'static str = "truncate";

    /// Cuts the values of these fields, of all if none is named.
    #[must_use]
    pub fn new(bytes_max: usize, fields: &[Path], needs: &mut Needs) -> Truncate {
        wants_fields(needs);
        let fields = fields
            .iter()
            .map(|path| (Name::new(path), needs.slot(path, ColumnKind::Text)));
        Truncate {
            bytes_max,
            fields: fields.collect(),
            scratch: Vec::new(),
            object: Vec::new(),
        }
    }

    /// Where a value is cut: at the last character that begins in time.
    fn cut(bytes_max: usize, value: &[u8]) -> usize {
        let mut at = bytes_max.min(value.len());
        while at > 0 && at < value.len() && value[at] & 0xC0 == 0x80 {
            at -= 1;
        }
        at
    }

    /// Appends a JSON text with its long strings cut; whether there were any.
    fn cut_json(&mut self, json: &[u8], out: &mut Vec<u8>) -> bool {
        let bytes_max = self.bytes_max;
        rewrite(json, out, &mut self.scratch, |value, string, out| {
            let long = string && value.len() > bytes_max;
            if long {
                out.extend_from_slice(&value[..Truncate::cut(bytes_max, value)]);
                out.extend_from_slice(MARK.as_bytes());
            }
            long
        })
    }

    fn json(&mut self, row: usize, json: &[u8], edits: &mut Edits, document: &mut Document) {
        if json.len() <= self.bytes_max {
            return;
        }
        if self.fields.is_empty() {
            edits.json(row, |out| self.cut_json(json, out));
            return;
        }
        if !document.load(json) {
            return;
        }
        let (mut any, mut cut) = (false, Vec::new());
        for (name, _) in &*self.fields.clone() {
            let Some(found) = document.find(name) else {
                continue;
            };
            cut.clear();
            let long = document.value(found);
            if long.is_some_and(|value| self.cut_json(value, &mut cut)) {
                let value = document.make(|out| out.extend_from_slice(&cut));
                document.replace(found, value);
                any = true;
            }
        }
        edits.json(row, |out| {
            if any {
                document.write(out);
            }
            any
        });
    }

    /// A line of another format: in place, unless a value has escapes.
    fn text(
        &mut self,
        line: Line<'_>,
        edits: &mut Edits,
        document: &mut Document,
        tools: &mut dyn Tools,
    ) {
        let start = line.batch.span(line.row).start;
        let len = line.bytes().len();
        let mut parts = self.parts(line);
        parts.retain(|(range, _)| range.len() > self.bytes_max && range.end <= start + len);
        parts.sort_unstable_by_key(|(range, _)| range.start);
        if parts.iter().any(|(_, escaped)| *escaped) {
            let mut object = std::mem::take(&mut self.object);
            object.clear();
            tools.write(line.batch, line.row, &mut object);
            self.json(line.row, &object, edits, document);
            self.object = object;
            return;
        }
        let mut at = start;
        for (range, _) in parts {
            if range.start < at {
                continue;
            }
            at = range.end;
            let value = &line.batch.text()[range.clone()];
            let cut = range.start + Truncate::cut(self.bytes_max, value);
            edits.replace(line.row, cut - start..range.end - start, |out| {
                out.extend_from_slice(MARK.as_bytes());
            });
        }
    }

    /// Where the line has its values, and whether there are escapes in them.
    fn parts(&self, line: Line<'_>) -> Vec<(std::ops::Range<usize>, bool)> {
        let columns = line.batch.columns();
        if !self.fields.is_empty() {
            let cell = |slot: usize| match columns.column(slot) {
                Column::Text(cells) => Some(cells[line.row]).filter(|cell| cell.is_present()),
                _ => None,
            };
            let cells = self.fields.iter().filter_map(|(_, slot)| cell(*slot));
            return cells
                .map(|cell| (cell.range(), cell.is_escaped()))
                .collect();
        }
        let text = line.batch.text();
        let place = |part: &[u8]| part.as_ptr() as usize - text.as_ptr() as usize;
        let values = columns.fields(line.row).iter().filter_map(|field| {
            let escaped = match field.kind() {
                FieldKind::Text => false,
                FieldKind::Escaped | FieldKind::HexEscaped => true,
                _ => return None,
            };
            let start = place(field.bytes(text));
            Some((start..start + field.bytes(text).len(), escaped))
        });
        let mut values: Vec<_> = values.collect();
        if columns.fields(line.row).is_empty() {
            let start = place(line.bytes());
            values.push((start..start + line.bytes().len(), false));
        }
        values
    }
}

impl Transform for Truncate {
    fn apply(&mut self, events: &mut Events<'_>) {
        events.refresh();
        events.edit_lines(|line, edits, document, tools| {
            if line.bytes().len() <= self.bytes_max {
                return;
            }
            if line.json {
                self.json(line.row, line.bytes(), edits, document);
            } else {
                self.text(line, edits, document, tools);
            }
        });
    }

    fn another(&self) -> Box<dyn Transform> {
        Box::new(Truncate {
            bytes_max: self.bytes_max,
            fields: self.fields.clone(),
            scratch: Vec::new(),
            object: Vec::new(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{paths, run};
    use super::*;

    fn truncate(bytes: usize, names: &[&str], line: &str) -> String {
        run(&[line], |needs| Truncate::new(bytes, &paths(names), needs)).remove(0)
    }

    #[test]
    fn long_values_are_cut_between_characters() {
        for (bytes, names, line, expected) in [
            (
                4,
                &[][..],
                r#"{"a":"12345","b":[123456,"1234"]}"#,
                r#"{"a":"1234…","b":[123456,"1234"]}"#,
            ),
            (
                4,
                &["b"],
                r#"{"a":"12345","b":"12345"}"#,
                r#"{"a":"12345","b":"1234…"}"#,
            ),
            (4, &[], r#"{"a":"123éé"}"#, r#"{"a":"123…"}"#),
            (4, &[], r#"{"a":"123\n\n"}"#, r#"{"a":"123\n…"}"#),
            (4, &[], "some words", "some…"),
            (4, &["message"], "éé1", "éé…"),
            (4, &["other"], "some words", "some words"),
            (40, &[], "some words", "some words"),
        ] {
            assert_eq!(truncate(bytes, names, line), expected, "{line}");
        }
    }
}
