//! One field's span to a JSON value. What comes out is valid JSON whatever
//! the span holds: a number that is none is text.

use std::io::Write as _;
use std::sync::Arc;

use super::room::{Head, padded, within};
use crate::event::escape::{WIDE_BLOCK, escape_json, unescape_hex_into, unescape_json_into};
use crate::event::simd::{Narrow, Width};
use crate::event::time::{Layout, Memo, Rfc3339Writer};
use crate::event::{Field, FieldKind, Level, Timestamp};

/// Writes values; keeps buffers and counts between them.
#[derive(Clone, Default)]
pub(super) struct Values {
    scratch: Vec<u8>,
    last_time: LastTime,
    /// Values whose invalid UTF-8 was replaced.
    pub(super) replaced: u64,
}

/// Whether values of a kind are strings whatever their spans hold.
pub(super) fn is_quoted(kind: FieldKind) -> bool {
    !matches!(
        kind,
        FieldKind::Number | FieldKind::Literal | FieldKind::Integer | FieldKind::True
    )
}

impl Values {
    /// Sets the time that times without a year are near to: the batch's.
    pub(super) fn near(&mut self, reference: Timestamp) {
        if self.last_time.reference != reference {
            self.last_time.reference = reference;
            self.last_time.forget();
        }
    }

    /// Writes a field's value.
    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        text: &[u8],
        field: Field,
        layout: Option<&Arc<Layout>>,
    ) {
        const QUOTE: Head = Head::new(&padded(b"\""), 1);
        let (start, len) = (field.start as usize, field.len as usize);
        let is_text = field.kind() == FieldKind::Text;
        if is_text && within(out, |room| room.text(QUOTE, text, start, len)) {
            out.push(b'"');
        } else if is_quoted(field.kind()) {
            out.push(b'"');
            self.write_unquoted(out, text, field, layout);
            out.push(b'"');
        } else {
            self.write_unquoted(out, text, field, layout);
        }
    }

    /// As [`Values::write`], but leaves the quotes around a value that
    /// [`is_quoted`] to the caller.
    pub(super) fn write_unquoted(
        &mut self,
        out: &mut Vec<u8>,
        text: &[u8],
        field: Field,
        layout: Option<&Arc<Layout>>,
    ) {
        let span = field.bytes(text);
        match field.kind() {
            FieldKind::Number if is_number(span) => out.extend_from_slice(span),
            FieldKind::Literal if is_literal(span) => out.extend_from_slice(span),
            FieldKind::Number | FieldKind::Literal => {
                out.push(b'"');
                self.string(span, FieldKind::Text, out);
                out.push(b'"');
            }
            FieldKind::True => out.extend_from_slice(b"true"),
            FieldKind::Level => {
                out.extend_from_slice(Level(field.computed() as u8).name().as_bytes());
            }
            FieldKind::Integer => {
                // Writing to a vector cannot fail.
                let _ = write!(out, "{}", field.computed());
            }
            FieldKind::Time => match self.last_time.find(span, layout) {
                Some(written) => out.extend_from_slice(written),
                // Not in its layout: text.
                None => self.string(span, FieldKind::Text, out),
            },
            kind => self.string(span, kind, out),
        }
    }

    /// The time at `text[start..start + len]` as it was written last, the first
    /// bytes of a block, if the one that was written last is the same.
    #[inline]
    pub(super) fn same_time(
        &self,
        text: &[u8],
        start: usize,
        len: usize,
        layout: &Arc<Layout>,
    ) -> Option<(&[u8; WIDE_BLOCK], usize)> {
        let last = &self.last_time;
        let span = text.get(start..start + WIDE_BLOCK)?.first_chunk()?;
        last.is_same(span, len, layout)
            .then_some((&last.written, last.written_len))
    }

    /// Appends a span as the inside of a JSON string.
    pub(super) fn string(&mut self, span: &[u8], kind: FieldKind, out: &mut Vec<u8>) {
        let undo: fn(&[u8], &mut Vec<u8>) = match kind {
            FieldKind::Escaped | FieldKind::EscapedKey => unescape_json_into,
            FieldKind::HexEscaped => unescape_hex_into,
            _ => |_, _| {},
        };
        let escaped = matches!(
            kind,
            FieldKind::Escaped | FieldKind::EscapedKey | FieldKind::HexEscaped
        );
        // Copying the escapes as they are would trust the line to be valid.
        let value = if escaped && memchr::memchr(b'\\', span).is_some() {
            self.scratch.clear();
            undo(span, &mut self.scratch);
            &self.scratch
        } else {
            span
        };
        self.replaced += u64::from(escape_json(value, out));
    }
}

/// Remembers the last time written: neighbouring lines often have the same, or
/// one of the same second.
#[derive(Clone)]
struct LastTime {
    reference: Timestamp,
    memo: Memo,
    writer: Rfc3339Writer,
    layout: Option<Arc<Layout>>,
    /// Padded; longer texts are no times of log lines and not worth remembering.
    span: [u8; WIDE_BLOCK],
    span_len: usize,
    /// Padded.
    written: [u8; WIDE_BLOCK],
    written_len: usize,
    scratch: Vec<u8>,
}

impl Default for LastTime {
    fn default() -> LastTime {
        LastTime {
            reference: Timestamp(0),
            memo: Memo::EMPTY,
            writer: Rfc3339Writer::default(),
            layout: None,
            span: [0; WIDE_BLOCK],
            span_len: LastTime::NONE,
            written: [0; WIDE_BLOCK],
            written_len: 0,
            scratch: Vec::new(),
        }
    }
}

impl LastTime {
    /// The length of no span: nothing is remembered.
    const NONE: usize = usize::MAX;

    /// Whether the first `len` bytes of a block are the last time in its layout.
    #[inline]
    fn is_same(&self, span: &[u8; WIDE_BLOCK], len: usize, layout: &Arc<Layout>) -> bool {
        let differences = Narrow.differences(span, &self.span);
        len == self.span_len
            && self
                .layout
                .as_ref()
                .is_some_and(|last| Arc::ptr_eq(last, layout))
            && u64::from(differences) & ((1 << len) - 1) == 0
    }

    fn forget(&mut self) {
        self.memo.forget();
        self.span_len = Self::NONE;
    }

    /// The time in `span` as RFC 3339, if it is in its layout.
    fn find(&mut self, span: &[u8], layout: Option<&Arc<Layout>>) -> Option<&[u8]> {
        let layout = layout?;
        if !self.layout.as_ref().is_some_and(|l| Arc::ptr_eq(l, layout)) {
            self.layout = Some(layout.clone());
            self.forget();
        }
        let mut block = [0; WIDE_BLOCK];
        let start = block.get_mut(..span.len());
        let fits = start.map(|start| start.copy_from_slice(span)).is_some();
        if fits && self.is_same(&block, span.len(), layout) {
            return Some(&self.written[..self.written_len]);
        }
        self.span_len = Self::NONE;
        if self.memo.read(layout, span, self.reference)? != span.len() {
            return None;
        }
        self.scratch.clear();
        self.writer.write_time(self.memo.time(), &mut self.scratch);
        if let Some(written) = self.written.get_mut(..self.scratch.len())
            && fits
        {
            written.copy_from_slice(&self.scratch);
            self.written_len = self.scratch.len();
            (self.span, self.span_len) = (block, span.len());
        }
        Some(&self.scratch)
    }
}

/// Whether `bytes` are a literal of JSON.
pub(super) fn is_literal(bytes: &[u8]) -> bool {
    matches!(bytes, b"true" | b"false" | b"null")
}

/// Whether `bytes` are a number of JSON (RFC 8259 §6).
#[inline]
pub(super) fn is_number(bytes: &[u8]) -> bool {
    let digits = bytes.strip_prefix(b"-").unwrap_or(bytes);
    let whole = leading_digits(digits);
    if whole == 0 || (whole > 1 && digits[0] == b'0') {
        return false;
    }
    whole == digits.len() || is_fraction(&digits[whole..])
}

fn is_fraction(mut rest: &[u8]) -> bool {
    if let Some(fraction) = rest.strip_prefix(b".") {
        let digits = leading_digits(fraction);
        if digits == 0 {
            return false;
        }
        rest = &fraction[digits..];
    }
    let [b'e' | b'E', exponent @ ..] = rest else {
        return rest.is_empty();
    };
    let exponent = match exponent {
        [b'+' | b'-', digits @ ..] | digits => digits,
    };
    !exponent.is_empty() && leading_digits(exponent) == exponent.len()
}

fn leading_digits(bytes: &[u8]) -> usize {
    bytes
        .iter()
        .position(|b| !b.is_ascii_digit())
        .unwrap_or(bytes.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_are_those_of_json(text in "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?|\\PC{0,4}") {
            let json = serde_json::from_str::<Box<serde_json::value::RawValue>>(&text)
                .is_ok_and(|v| v.get() == text && v.get().starts_with(|c: char| c == '-' || c.is_ascii_digit()));
            prop_assert_eq!(is_number(text.as_bytes()), json);
        }
    }
}
