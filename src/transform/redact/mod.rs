//! `redact: [email, card, …]`: what is personal or secret is masked or hashed.
//!
//! Looks at the values of events, strings and numbers, whether their escapes
//! hide something or not, but at no keys. A JSON line is spliced; any other
//! line is changed where it stands, so that raw output keeps its format.

mod detect;
mod hits;

use std::sync::Arc;

use ring::hmac;

pub use detect::Detector;

use self::hits::{Hit, Hits};
use super::document::Document;
use super::events::Line;
use super::name::Name;
use super::scan::rewrite;
use super::{Events, Tools, Transform, TransformError, wants_fields};
use crate::event::escape::{unescape_hex_into, unescape_json};
use crate::event::{Cell, Column, ColumnKind, Edits, Field, FieldKind, Needs, Path};

/// Bytes of a keyed hash that are written, in hex twice as many characters:
/// enough to tell values apart, too few to be a burden.
const HASH_BYTES: usize = 8;

/// What stands where something was found.
#[derive(Clone)]
pub enum Mask {
    /// `[email]`: what it was.
    Kind,
    /// The same text everywhere.
    Text(Box<str>),
    /// `[email:1f2e…]`: a keyed hash (HMAC-SHA-256), the same for the same value.
    Hash(Box<hmac::Key>),
}

impl Mask {
    /// A fixed text. It must fit into a line of any format.
    pub fn text(text: &str) -> Result<Mask, TransformError> {
        if text
            .chars()
            .any(|c| c.is_control() || matches!(c, '"' | '\\'))
        {
            let message = "a mask has no quotes, backslashes and control characters";
            return Err(TransformError::new(message, "write for instance ***"));
        }
        Ok(Mask::Text(text.into()))
    }

    /// A hash by this secret.
    pub fn hash(key: &str) -> Result<Mask, TransformError> {
        /// Shorter ones are guessed as fast as what they are to hide.
        const KEY_BYTES_MIN: usize = 16;
        if key.len() < KEY_BYTES_MIN {
            let message = format!("the key of `hash` has less than {KEY_BYTES_MIN} bytes");
            return Err(TransformError::new(
                message,
                "make one: openssl rand -hex 16",
            ));
        }
        let key = hmac::Key::new(hmac::HMAC_SHA256, key.as_bytes());
        Ok(Mask::Hash(Box::new(key)))
    }

    /// Appends what stands for `value`, which is of the kind `kind`.
    fn write(&self, kind: &str, value: &[u8], out: &mut Vec<u8>) {
        match self {
            Mask::Kind => {
                out.push(b'[');
                out.extend_from_slice(kind.as_bytes());
                out.push(b']');
            }
            Mask::Text(text) => out.extend_from_slice(text.as_bytes()),
            Mask::Hash(key) => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                out.push(b'[');
                out.extend_from_slice(kind.as_bytes());
                out.push(b':');
                for byte in &hmac::sign(key, value).as_ref()[..HASH_BYTES] {
                    out.push(HEX[usize::from(byte >> 4)]);
                    out.push(HEX[usize::from(byte & 15)]);
                }
                out.push(b']');
            }
        }
    }
}

/// Masks what its detectors find, everywhere or in some fields.
pub struct Redact {
    fields: Arc<[(Name, usize)]>,
    finder: Finder,
}

/// Finds and masks; with buffers of its own.
#[derive(Clone)]
struct Finder {
    detectors: Arc<[Detector]>,
    mask: Mask,
    hits: Hits,
    scratch: Vec<u8>,
}

impl Redact {
    /// The verb's name.
    pub const NAME: &'static str = "redact";

    /// Masks what `detectors` find in these fields; in all of them if none is named.
    #[must_use]
    pub fn new(detectors: Vec<Detector>, mask: Mask, fields: &[Path], needs: &mut Needs) -> Redact {
        wants_fields(needs);
        let fields = fields
            .iter()
            .map(|path| (Name::new(path), needs.slot(path, ColumnKind::Text)));
        Redact {
            fields: fields.collect(),
            finder: Finder {
                detectors: detectors.into(),
                mask,
                hits: Hits::default(),
                scratch: Vec::new(),
            },
        }
    }
}

impl Transform for Redact {
    fn apply(&mut self, events: &mut Events<'_>) {
        // Cells of other lines are looked up.
        if !self.fields.is_empty() {
            events.refresh();
        }
        let Redact { fields, finder } = self;
        events.edit_lines(
            |line, edits, document, tools| match (line.json, fields.is_empty()) {
                (true, true) => finder.json(line, edits),
                (true, false) => {
                    finder.json_fields(fields, line.row, line.bytes(), edits, document);
                }
                (false, true) => finder.text(line, edits, tools),
                (false, false) => finder.text_fields(fields, line, edits, document, tools),
            },
        );
    }

    fn another(&self) -> Box<dyn Transform> {
        Box::new(Redact {
            fields: self.fields.clone(),
            finder: self.finder.clone(),
        })
    }
}

impl Finder {
    /// All values of a JSON line.
    fn json(&mut self, line: Line<'_>, edits: &mut Edits) {
        let bytes = line.bytes();
        if self.is_clean(bytes) {
            return;
        }
        edits.json(line.row, |out| self.mask_json(bytes, out));
    }

    /// Whether nothing can be found in any value, as a look at the line tells.
    fn is_clean(&mut self, line: &[u8]) -> bool {
        // Escapes and patterns of the config's need a look at each value.
        if memchr::memchr(b'\\', line).is_some() || self.detectors.iter().any(Detector::is_custom) {
            return false;
        }
        self.hits.find(&self.detectors, line).is_empty()
    }

    /// Appends a JSON text with its values masked; whether there was anything.
    fn mask_json(&mut self, json: &[u8], out: &mut Vec<u8>) -> bool {
        let Finder {
            detectors,
            mask,
            hits,
            scratch,
        } = self;
        rewrite(json, out, scratch, |value, _, out| {
            let mut at = 0;
            for Hit { range, detector } in hits.find(detectors, value) {
                out.extend_from_slice(&value[at..range.start]);
                mask.write(detectors[*detector].kind(), &value[range.clone()], out);
                at = range.end;
            }
            if at > 0 {
                out.extend_from_slice(&value[at..]);
            }
            at > 0
        })
    }

    /// Some fields of a JSON line.
    fn json_fields(
        &mut self,
        fields: &[(Name, usize)],
        row: usize,
        json: &[u8],
        edits: &mut Edits,
        document: &mut Document,
    ) {
        if !document.load(json) {
            return;
        }
        let mut any = false;
        let mut masked = Vec::new();
        for (name, _) in fields {
            let Some(found) = document.find(name) else {
                continue;
            };
            masked.clear();
            let changed = document
                .value(found)
                .is_some_and(|json| self.mask_json(json, &mut masked));
            if changed {
                let value = document.make(|out| out.extend_from_slice(&masked));
                document.replace(found, value);
                any = true;
            }
        }
        if any {
            edits.json(row, |out| {
                document.write(out);
                true
            });
        }
    }

    /// A line of another format, in place.
    fn text(&mut self, line: Line<'_>, edits: &mut Edits, tools: &mut dyn Tools) {
        if self.is_hidden(line) {
            // What escapes hide cannot be masked in place.
            let mut object = Vec::new();
            tools.write(line.batch, line.row, &mut object);
            edits.json(line.row, |out| {
                if !self.mask_json(&object, out) {
                    out.extend_from_slice(&object);
                }
                true
            });
            return;
        }
        self.mask_in_place(line, 0..line.bytes().len(), edits);
    }

    /// Whether a value of a line has something in it that its escapes hide.
    fn is_hidden(&mut self, line: Line<'_>) -> bool {
        if memchr::memchr(b'\\', line.bytes()).is_none() {
            return false;
        }
        let fields = line.batch.columns().fields(line.row);
        fields.iter().any(|field| {
            let raw = field.bytes(line.batch.text());
            let Some(value) = unescaped(*field, raw) else {
                return false;
            };
            self.hits.find(&self.detectors, &value).len()
                > self.hits.find(&self.detectors, raw).len()
        })
    }

    fn mask_in_place(&mut self, line: Line<'_>, part: std::ops::Range<usize>, edits: &mut Edits) {
        let value = &line.bytes()[part.clone()];
        let Finder {
            detectors,
            mask,
            hits,
            ..
        } = self;
        for Hit { range, detector } in hits.find(detectors, value) {
            let old = part.start + range.start..part.start + range.end;
            edits.replace(line.row, old, |out| {
                mask.write(detectors[*detector].kind(), &value[range.clone()], out);
            });
        }
    }

    /// Some fields of a line of another format.
    fn text_fields(
        &mut self,
        fields: &[(Name, usize)],
        line: Line<'_>,
        edits: &mut Edits,
        document: &mut Document,
        tools: &mut dyn Tools,
    ) {
        if self.is_hidden(line) {
            let mut object = Vec::new();
            tools.write(line.batch, line.row, &mut object);
            self.json_fields(fields, line.row, &object, edits, document);
            return;
        }
        let start = line.batch.span(line.row).start;
        let cell = |slot: usize| match line.batch.columns().column(slot) {
            Column::Text(cells) => Some(cells[line.row]).filter(|cell| cell.is_present()),
            _ => None,
        };
        let mut parts: Vec<_> = fields.iter().filter_map(|(_, slot)| cell(*slot)).collect();
        parts.sort_unstable_by_key(|cell| cell.range().start);
        let mut at = 0;
        for range in parts.into_iter().map(Cell::range) {
            let part = range.start.saturating_sub(start).max(at)..range.end.saturating_sub(start);
            if part.start < part.end && part.end <= line.bytes().len() {
                at = part.end;
                self.mask_in_place(line, part, edits);
            }
        }
    }
}

/// A field's value where it differs from its span.
fn unescaped(field: Field, raw: &[u8]) -> Option<Vec<u8>> {
    memchr::memchr(b'\\', raw)?;
    match field.kind() {
        FieldKind::Escaped => Some(unescape_json(raw)),
        FieldKind::HexEscaped => {
            let mut value = Vec::new();
            unescape_hex_into(raw, &mut value);
            Some(value)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
