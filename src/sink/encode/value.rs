//! One field's span to a JSON value. What comes out is valid JSON whatever
//! the span holds: a number that is none is text.

use std::io::Write as _;
use std::sync::Arc;

use super::cursor::Cursor;
use crate::event::escape::{BLOCK, escape_json, unescape_hex_into, unescape_json_into};
use crate::event::time::{Layout, Rfc3339Writer};
use crate::event::{Field, FieldKind, Level, Timestamp};

/// Writes values; keeps buffers and counts between them.
#[derive(Clone, Default)]
pub(super) struct Values {
    scratch: Vec<u8>,
    last_time: LastTime,
    /// Values whose invalid UTF-8 was replaced.
    pub(super) replaced: u64,
}

impl Values {
    /// Room beyond the span: quotes and the block that is written over.
    pub(super) const ROOM: usize = BLOCK + 2;

    /// Sets the time that times without a year are near to: the batch's.
    pub(super) fn near(&mut self, reference: Timestamp) {
        if self.last_time.reference != reference {
            self.last_time.reference = reference;
            self.last_time.layout = None;
        }
    }

    /// Writes a field's value.
    #[inline]
    pub(super) fn write(
        &mut self,
        cursor: &mut Cursor,
        text: &[u8],
        field: Field,
        layout: Option<&Arc<Layout>>,
    ) {
        let (start, len) = (field.start as usize, field.len as usize);
        if field.kind() != FieldKind::Text {
            self.write_other(cursor, text, field, layout);
            return;
        }
        let clean = cursor.within(len + Self::ROOM, |room| {
            room.byte(b'"');
            room.clean(text, start, len)
        });
        if !clean {
            self.write_unclean(cursor, &text[start..start + len]);
        }
        cursor.bytes(b"\"");
    }

    /// Writes text that needs escapes, without quotes.
    #[inline(never)]
    pub(super) fn write_unclean(&mut self, cursor: &mut Cursor, value: &[u8]) {
        cursor.append(|out| self.replaced += u64::from(escape_json(value, out)));
    }

    /// Writes a value that is not [`FieldKind::Text`].
    #[inline(never)]
    pub(super) fn write_other(
        &mut self,
        cursor: &mut Cursor,
        text: &[u8],
        field: Field,
        layout: Option<&Arc<Layout>>,
    ) {
        let span = field.bytes(text);
        match field.kind() {
            FieldKind::Number if is_number(span) => cursor.bytes(span),
            FieldKind::Literal if is_literal(span) => cursor.bytes(span),
            FieldKind::True => cursor.bytes(b"true"),
            FieldKind::Level => {
                cursor.bytes(b"\"");
                cursor.bytes(Level(field.computed() as u8).name().as_bytes());
                cursor.bytes(b"\"");
            }
            FieldKind::Integer => cursor.append(|out| {
                // Writing to a vector cannot fail.
                let _ = write!(out, "{}", field.computed());
            }),
            FieldKind::Time => {
                cursor.bytes(b"\"");
                match self.last_time.find(span, layout) {
                    Some(written) => cursor.bytes(written),
                    // Not in its layout: text.
                    None => cursor.append(|out| self.string(span, FieldKind::Text, out)),
                }
                cursor.bytes(b"\"");
            }
            kind => cursor.append(|out| {
                out.push(b'"');
                self.string(span, kind, out);
                out.push(b'"');
            }),
        }
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

/// Remembers the last time written: neighbouring lines often have the same.
#[derive(Clone)]
struct LastTime {
    reference: Timestamp,
    writer: Rfc3339Writer,
    layout: Option<Arc<Layout>>,
    span: Vec<u8>,
    written: Vec<u8>,
}

impl Default for LastTime {
    fn default() -> LastTime {
        LastTime {
            reference: Timestamp(0),
            writer: Rfc3339Writer::default(),
            layout: None,
            span: Vec::new(),
            written: Vec::new(),
        }
    }
}

impl LastTime {
    /// Longer texts are no times of log lines and not worth remembering.
    const SPAN_BYTES_MAX: usize = 64;

    /// The time in `span` as RFC 3339, if it is in its layout.
    fn find(&mut self, span: &[u8], layout: Option<&Arc<Layout>>) -> Option<&[u8]> {
        let layout = layout?;
        let same = self.layout.as_ref().is_some_and(|l| Arc::ptr_eq(l, layout));
        if same && self.span == span {
            return Some(&self.written);
        }
        self.layout = None;
        self.written.clear();
        if !self
            .writer
            .write(layout, span, self.reference, &mut self.written)
        {
            return None;
        }
        if span.len() <= Self::SPAN_BYTES_MAX {
            self.layout = Some(layout.clone());
            self.span.clear();
            self.span.extend_from_slice(span);
        }
        Some(&self.written)
    }
}

/// Whether `bytes` are a literal of JSON.
pub(super) fn is_literal(bytes: &[u8]) -> bool {
    matches!(bytes, b"true" | b"false" | b"null")
}

/// Whether the first `len` bytes of a word are a whole number of JSON: what most
/// numbers are, up to eight digits. Others may be numbers, too.
#[inline]
pub(super) fn is_short_integer(word: [u8; 8], len: usize) -> bool {
    const ONES: u64 = u64::MAX / 255;
    if !(1..=8).contains(&len) || (word[0] == b'0' && len > 1) {
        return false;
    }
    // Digits become 0 to 9, all others more: adding 0x76 takes these to 0x80 or
    // over it, with a carry only if they were there before.
    let values = u64::from_le_bytes(word) ^ (ONES * b'0' as u64);
    let others = (values.wrapping_add(ONES * 0x76) | values) & (ONES * 0x80);
    others.trailing_zeros() as usize / 8 >= len
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
        fn short_integers_are_numbers_without_sign_or_fraction(
            before in 0..3usize,
            value in "[0-9]{0,10}|[0-9]{0,3}[.:/e-]?[0-9]{0,3}|\\PC{0,9}",
            after in proptest::collection::vec(any::<u8>(), 0..10),
        ) {
            let text = [&vec![b'x'; before], value.as_bytes(), &after].concat();
            let fits = value.len() <= 8;
            let digits = value.bytes().all(|b| b.is_ascii_digit());
            let word = text[before..].first_chunk();
            let found = word.is_some_and(|word| is_short_integer(*word, value.len()));
            prop_assert_eq!(found, word.is_some() && fits && digits && is_number(value.as_bytes()));
        }

        #[test]
        fn numbers_are_those_of_json(text in "-?[0-9]{0,3}(\\.[0-9]{0,2})?([eE][+-]?[0-9]{0,2})?|\\PC{0,4}") {
            let json = serde_json::from_str::<Box<serde_json::value::RawValue>>(&text)
                .is_ok_and(|v| v.get() == text && v.get().starts_with(|c: char| c == '-' || c.is_ascii_digit()));
            prop_assert_eq!(is_number(text.as_bytes()), json);
        }
    }
}
