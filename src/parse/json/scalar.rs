//! Strings, numbers and literals: where each ends, if it is valid.
//!
//! The one judge of scalars, for the scanner and the shapes alike. Functions
//! read `text[at..end]`, where `end` is the line's; they load chunks past it
//! but never accept what reaches past it.

use crate::event::Cell;
use crate::event::simd::Chunk;

/// A number without exponent and of no more bytes than this is finite as `f64`,
/// whose largest has 309 digits.
const FINITE_LEN_MAX: usize = 300;

/// The inside of a string that starts at `at`, behind its opening quote: where
/// its closing quote stands, and its cell.
#[inline(always)]
pub(super) fn string(text: &[u8], at: usize, end: usize) -> Option<(usize, Cell)> {
    let mut pos = at;
    while pos < end {
        let stops = Chunk::load(text, pos).string_stops();
        if stops != 0 {
            return string_to(text, at, pos + stops.trailing_zeros() as usize, end);
        }
        pos += Chunk::LEN;
    }
    None
}

/// As [`string`], of which the first byte is known that is not plain ASCII.
#[inline(always)]
pub(super) fn string_to(text: &[u8], at: usize, stop: usize, end: usize) -> Option<(usize, Cell)> {
    if stop < end && text.get(stop) == Some(&b'"') {
        return Some((stop, Cell::string(at, stop, false)));
    }
    rare_string(text, at, stop, end)
}

/// Reads on at the first byte that is not plain ASCII. What is not ASCII is
/// checked once for the whole string.
#[inline(never)]
fn rare_string(text: &[u8], at: usize, mut pos: usize, end: usize) -> Option<(usize, Cell)> {
    let mut escaped = false;
    let mut wide = false;
    while pos < end {
        match text[pos] {
            b'"' => {
                let valid = !wide || std::str::from_utf8(&text[at..pos]).is_ok();
                return valid.then(|| (pos, Cell::string(at, pos, escaped)));
            }
            b'\\' => {
                escaped = true;
                pos = escape(&text[..end], pos)?;
            }
            0..0x20 => return None,
            _ => {
                wide |= text[pos] >= 0x80;
                pos += 1;
            }
        }
        while pos < end {
            let chunk = Chunk::load(text, pos);
            let stops = if wide {
                chunk.wide_string_stops()
            } else {
                chunk.string_stops()
            };
            if stops != 0 {
                pos += stops.trailing_zeros() as usize;
                break;
            }
            pos += Chunk::LEN;
        }
    }
    None
}

/// The end of the escape whose backslash stands at `at`. Surrogates must come
/// in pairs: a lone one stands for no text.
fn escape(line: &[u8], at: usize) -> Option<usize> {
    match line.get(at + 1)? {
        b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => Some(at + 2),
        b'u' => match hex4(line.get(at + 2..at + 6)?)? {
            0xd800..0xdc00 => {
                let second = line.get(at + 6..at + 12)?.strip_prefix(b"\\u")?;
                (0xdc00..0xe000).contains(&hex4(second)?).then_some(at + 12)
            }
            0xdc00..0xe000 => None,
            _ => Some(at + 6),
        },
        _ => None,
    }
}

fn hex4(digits: &[u8]) -> Option<u32> {
    digits
        .iter()
        .try_fold(0, |n, &d| Some(n << 4 | (d as char).to_digit(16)?))
}

/// A number, `true`, `false` or `null`: where it ends, and its cell. `null`
/// counts as absent.
#[inline(always)]
pub(super) fn bare(text: &[u8], at: usize, end: usize) -> Option<(usize, Cell)> {
    match short_number(text, at) {
        Some(stop) if stop < end => Some((stop, Cell::new(at, stop))),
        _ => rare_bare(&text[..end], at),
    }
}

/// The end of a short number, by far the most common. Something stands behind
/// it, perhaps behind the line.
#[inline(always)]
pub(super) fn short_number(text: &[u8], at: usize) -> Option<usize> {
    let others = Chunk::load(text, at).non_digits();
    let whole = others.trailing_zeros() as usize;
    let mut len = whole;
    if text.get(at + whole) == Some(&b'.') {
        let rest = (others & others.wrapping_sub(1)).trailing_zeros() as usize;
        // A point with no digit behind it is no number.
        len = if rest > whole + 1 { rest } else { 0 };
    }
    let next = *text.get(at + len)?;
    let short = (1..Chunk::LEN).contains(&len)
        && whole > 0
        && !matches!(next, b'.' | b'e' | b'E')
        && (whole == 1 || text[at] != b'0');
    short.then_some(at + len)
}

#[inline(never)]
fn rare_bare(line: &[u8], at: usize) -> Option<(usize, Cell)> {
    let rest = line.get(at..)?;
    let stop = match rest.first()? {
        b't' => at + rest.starts_with(b"true").then_some(4)?,
        b'f' => at + rest.starts_with(b"false").then_some(5)?,
        b'n' => {
            let stop = at + rest.starts_with(b"null").then_some(4)?;
            return Some((stop, Cell::default()));
        }
        _ => number(line, at)?,
    };
    Some((stop, Cell::new(at, stop)))
}

/// The end of a number by the grammar. One past the range of `f64` is invalid,
/// as it is to every reader downstream that has no larger type.
fn number(line: &[u8], at: usize) -> Option<usize> {
    let mut pos = at + usize::from(line.get(at) == Some(&b'-'));
    pos = match line.get(pos)? {
        b'0' => pos + 1,
        b'1'..=b'9' => digits(line, pos)?,
        _ => return None,
    };
    if line.get(pos) == Some(&b'.') {
        pos = digits(line, pos + 1)?;
    }
    let exponent = matches!(line.get(pos), Some(b'e' | b'E'));
    if exponent {
        let signed = matches!(line.get(pos + 1), Some(b'+' | b'-'));
        pos = digits(line, pos + 1 + usize::from(signed))?;
    }
    if exponent || pos - at > FINITE_LEN_MAX {
        let value: f64 = std::str::from_utf8(&line[at..pos]).ok()?.parse().ok()?;
        value.is_finite().then_some(())?;
    }
    Some(pos)
}

/// The end of at least one digit.
fn digits(line: &[u8], at: usize) -> Option<usize> {
    let count = line.get(at..)?.iter().take_while(|b| b.is_ascii_digit());
    match count.count() {
        0 => None,
        n => Some(at + n),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_end_at_their_quote() {
        for (line, expect) in [
            (r#"""#, Some((0, false))),
            (r#"abc" "#, Some((3, false))),
            (r#"0123456789abcdef0123456789abcdef""#, Some((32, false))),
            (r#"0123456789abcdef\n23456789abcdéf" "#, Some((33, true))),
            (r#"\ud83d\ude00""#, Some((12, true))),
            (r#"é""#, Some((2, false))),
            (r#"\"""#, Some((2, true))),
            (r#"\ud83d""#, None),
            (r#"\ude00\ud83d""#, None),
            (r#"\ud83d\n""#, None),
            (r#"\u12g4""#, None),
            (r#"\x""#, None),
            (r"\", None),
            (r"abc", None),
            ("", None),
            ("a\u{1}\"", None),
            ("\u{7f}\"", Some((1, false))),
        ] {
            let found = string(line.as_bytes(), 0, line.len());
            let found = found.map(|(stop, cell)| {
                assert_eq!(cell.range(), 0..stop, "{line}");
                (stop, cell.is_escaped())
            });
            assert_eq!(found, expect, "{line}");
        }
        assert_eq!(string(b"\xff\"", 0, 2), None);
        assert_eq!(string(b"ab\xc3\"\xa9", 0, 5), None);
    }

    #[test]
    fn what_stands_behind_the_line_ends_nothing() {
        assert_eq!(string(b"abc\"", 0, 3), None);
        assert_eq!(string(b"ab\\\"\"", 0, 3), None);
        assert_eq!(bare(b"12345", 0, 3).map(|b| b.0), Some(3));
        assert_eq!(bare(b"12.5", 0, 3), None);
        assert_eq!(bare(b"true", 0, 3), None);
    }

    #[test]
    fn numbers_follow_the_grammar() {
        for valid in [
            "0",
            "-0",
            "7",
            "10",
            "-12",
            "0.5",
            "1.25",
            "1e5",
            "1E+5",
            "2e-400",
            "0e999",
            "1.0e10",
            "123456789012345",
            "1234567890123456",
            "12345678901234567890123",
        ] {
            let end = bare(format!("{valid},").as_bytes(), 0, valid.len() + 1);
            assert_eq!(end.map(|b| b.0), Some(valid.len()), "{valid}");
        }
        for invalid in [
            "", "-", "+1", ".5", "1.", "1.e5", "1e", "1e+", "1e999", "-1e999", "nul", "tru", "x",
        ] {
            assert_eq!(
                bare(invalid.as_bytes(), 0, invalid.len()),
                None,
                "{invalid}"
            );
        }
        // The grammar stops at the zero; whatever follows cannot follow a value.
        assert_eq!(bare(b"012,", 0, 4).map(|b| b.0), Some(1));
        assert_eq!(bare("9".repeat(400).as_bytes(), 0, 400), None);
        assert!(bare("9".repeat(305).as_bytes(), 0, 305).is_some());
    }
}
