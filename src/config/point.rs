//! From an offset in a YAML scalar's value back to the byte that wrote it.
//!
//! Walks the scalar's source as a YAML reader would (plain, quoted, literal
//! and folded; folding, `''`, escapes, indentation) and counts the bytes of
//! the value. It reads only text that a YAML parser took before, so anything
//! odd ends the walk with `None` rather than an error.

use std::ops::Range;

/// The offset in `text` of what became byte `offset` of the value of the
/// scalar at `span`. The value's end maps to the end of what wrote it.
#[must_use]
pub(super) fn source_offset(text: &str, span: &Range<usize>, offset: usize) -> Option<usize> {
    let source = text.get(span.clone())?;
    let at = match style(text, span.start)? {
        Style::Plain => flow(source, 0, offset, None),
        Style::Quoted(quote) => flow(source, 1, offset, Some(quote)),
        Style::Block { folded } => block(text, span, offset, folded).map(|at| at - span.start),
    }?;
    Some(span.start + at)
}

/// How a scalar is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// As it is.
    Plain,
    /// Between quotes of this kind.
    Quoted(u8),
    /// In the lines below `|`, or `>` if folded.
    Block {
        /// Whether single line breaks are spaces.
        folded: bool,
    },
}

/// The style of the scalar that starts at `start`. A block scalar starts at
/// its first character, below the line that ends in `|` or `>`.
#[must_use]
pub(super) fn style(text: &str, start: usize) -> Option<Style> {
    if let Some(quote @ (b'"' | b'\'')) = text.as_bytes().get(start) {
        return Some(Style::Quoted(*quote));
    }
    let above = text.get(..start)?.trim_end_matches(' ');
    if !above.ends_with('\n') {
        return Some(Style::Plain);
    }
    let header = above.trim_end().lines().next_back().unwrap_or_default();
    let header = header.split(" #").next().unwrap_or_default().trim_end();
    let header = header.trim_end_matches(|c: char| "+-".contains(c) || c.is_ascii_digit());
    Some(match header.as_bytes().last() {
        Some(b'|') => Style::Block { folded: false },
        Some(b'>') => Style::Block { folded: true },
        _ => Style::Plain,
    })
}

/// A plain or quoted scalar from `at`: line breaks fold.
fn flow(source: &str, mut at: usize, offset: usize, quote: Option<u8>) -> Option<usize> {
    let bytes = source.as_bytes();
    let mut value = 0;
    // An escaped line break is nothing: what follows it wrote this byte.
    let continued = |at: usize| quote == Some(b'"') && source[at..].starts_with("\\\n");
    while value < offset || continued(at) {
        let (written, read) = match (bytes.get(at)?, quote) {
            (b'\'', Some(b'\'')) if bytes.get(at + 1) == Some(&b'\'') => (2, 1),
            (quote_byte, Some(quote)) if *quote_byte == quote => return None,
            (b'\\', Some(b'"')) => escape(&source[at..])?,
            (b'\n' | b'\r' | b' ' | b'\t', _) => space(&bytes[at..]),
            (byte, _) => {
                let width = utf8_len(*byte);
                (width, width)
            }
        };
        at += written;
        value += read;
    }
    Some(at)
}

/// A run of white space: one line break is a space, more are one fewer breaks.
/// Blanks that end a line or begin the next are nothing.
fn space(bytes: &[u8]) -> (usize, usize) {
    let run = bytes
        .iter()
        .take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'))
        .count();
    match memchr::memchr_iter(b'\n', &bytes[..run]).count() {
        0 => (1, 1),
        breaks => (run, (breaks - 1).max(1)),
    }
}

/// An escape in double quotes: bytes written, bytes of value.
fn escape(source: &str) -> Option<(usize, usize)> {
    let bytes = source.as_bytes();
    let digits = match bytes.get(1)? {
        b'x' => 2,
        b'u' => 4,
        b'U' => 8,
        b'\n' | b'\r' => {
            let (run, _) = space(&bytes[1..]);
            return Some((1 + run, 0));
        }
        b'N' | b'_' => return Some((2, 2)),
        b'L' | b'P' => return Some((2, 3)),
        _ => return Some((2, 1)),
    };
    let code = u32::from_str_radix(source.get(2..2 + digits)?, 16).ok()?;
    // A surrogate pair: two escapes, one character of four bytes.
    if (0xD800..0xDC00).contains(&code) {
        return Some((12, 4));
    }
    Some((2 + digits, char::from_u32(code)?.len_utf8()))
}

/// A literal or folded scalar, whose indentation is that of its first line.
fn block(text: &str, span: &Range<usize>, offset: usize, folded: bool) -> Option<usize> {
    let line_start = text[..span.start].rfind('\n')? + 1;
    let indent = span.start - line_start;
    let mut at = line_start;
    let mut value = 0;
    for line in text.get(line_start..span.end)?.split_inclusive('\n') {
        let skip = indent.min(line.len() - line.trim_start_matches(' ').len());
        let content = line[skip..].trim_end_matches(['\n', '\r']).len();
        if offset <= value + content && !(folded && content == 0) {
            return Some(at + skip + (offset - value));
        }
        // In a folded scalar a run of breaks is one fewer: a blank line adds none.
        value += content + usize::from(!(folded && content == 0));
        at += line.len();
    }
    (offset == value).then_some(at)
}

fn utf8_len(first: u8) -> usize {
    match first {
        0..0x80 => 1,
        0x80..0xE0 => 2,
        0xE0..0xF0 => 3,
        0xF0.. => 4,
    }
}

#[cfg(test)]
mod tests {
    use crate::config::document::{Format, Value, parse};

    /// The value of `k` and, for each of its bytes that is a letter, whether
    /// the source byte it maps to is that letter.
    fn assert_letters_map(source: &str) {
        let document = parse("t.yaml", source, Format::Yaml).expect(source);
        let node = document.get("k").expect(source);
        let Value::String { text, .. } = &node.value else {
            panic!("{source:?} is not a string");
        };
        let letters: Vec<usize> = (0..text.len())
            .filter(|at| text.as_bytes()[*at].is_ascii_alphabetic())
            .collect();
        assert!(letters.len() >= 3, "{source:?}");
        for at in letters {
            let place = node.place.inside(at..at + 1);
            assert_eq!(
                source.as_bytes()[place.span.start] as char,
                text.as_bytes()[at] as char,
                "byte {at} of {text:?} in {source:?}, mapped to {:?}",
                place.span
            );
        }
    }

    #[test]
    fn every_style_maps_back_to_its_source() {
        for source in [
            "k: level >= warn and aé == b\n",
            "k: level >= warn\n  and abc == d\n\n  or xyz\n",
            "k: 'it''s é abc ''def'''\n",
            "k: 'abc\n  def\n\n\n  ghi'\n",
            "k: \"a\\\"bc \\u00e9 def \\\\ ghi\\tjkl \\xe9mn\"\n",
            "k: \"abc \\\n  def\n  ghi\"\n",
            "k: |\n  abc == 1\n  and def\n\n    deeper ghi\n",
            "k: >-\n  abc == 1\n  and def\n\n  or ghi\n",
            "{ k: [x].y, z: 1 }\n".replace("[x].y", "abc def").as_str(),
            "a: &x abc def\nk: *x\n",
            "k: &x 'abc def'\n",
        ] {
            assert_letters_map(source);
        }
    }
}
