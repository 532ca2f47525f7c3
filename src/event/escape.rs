//! JSON string escapes, both ways (RFC 8259 §7).

use super::simd::{Chunk, Narrow, WIDE, Width};

/// Undoes JSON's backslash escapes. The input is the inside of a string that
/// a validating scanner accepted; anything else comes out as well as it can:
/// an unknown escape is kept, a lone surrogate becomes U+FFFD.
#[must_use]
pub fn unescape_json(raw: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(raw.len());
    unescape_json_into(raw, &mut out);
    out
}

/// As [`unescape_json`], appending to a buffer of the caller's.
pub fn unescape_json_into(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((&code, after)) = rest.split_first() else {
            out.push(b'\\');
            break;
        };
        rest = after;
        match code {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'"' | b'\\' | b'/' => out.push(code),
            b'u' => rest = unescape_unicode(rest, out),
            other => out.extend_from_slice(&[b'\\', other]),
        }
    }
    out.extend_from_slice(rest);
}

/// Undoes the escapes of access logs: nginx writes `\xHH` for every byte
/// outside printable ASCII, Apache also `\n`, `\t` and their like. An unknown
/// escape is kept.
pub fn unescape_hex_into(raw: &[u8], out: &mut Vec<u8>) {
    let mut rest = raw;
    while let Some(at) = memchr::memchr(b'\\', rest) {
        out.extend_from_slice(&rest[..at]);
        rest = &rest[at + 1..];
        let Some((&code, after)) = rest.split_first() else {
            out.push(b'\\');
            break;
        };
        rest = after;
        match code {
            b'n' => out.push(b'\n'),
            b't' => out.push(b'\t'),
            b'r' => out.push(b'\r'),
            b'b' => out.push(8),
            b'f' => out.push(12),
            b'v' => out.push(11),
            b'"' | b'\\' => out.push(code),
            b'x' if hex(rest, 2).is_some() => {
                out.push(hex(rest, 2).unwrap_or_default() as u8);
                rest = &rest[2..];
            }
            other => out.extend_from_slice(&[b'\\', other]),
        }
    }
    out.extend_from_slice(rest);
}

/// Reads what follows `\u`, with the second half of a surrogate pair if there
/// is one, and returns what is left.
fn unescape_unicode<'a>(rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
    let Some(first) = hex(rest, 4) else {
        out.extend_from_slice(b"\\u");
        return rest;
    };
    let mut used = 4;
    let mut code = first;
    if (0xd800..0xdc00).contains(&first)
        && rest.get(4..6) == Some(b"\\u")
        && let Some(second) = hex(&rest[6..], 4)
        && (0xdc00..0xe000).contains(&second)
    {
        code = 0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00);
        used = 10;
    }
    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
    &rest[used..]
}

fn hex(bytes: &[u8], digits: usize) -> Option<u32> {
    bytes
        .get(..digits)?
        .iter()
        .try_fold(0, |n, &d| Some(n << 4 | (d as char).to_digit(16)?))
}

/// Bytes that are looked at together.
pub const BLOCK: usize = Chunk::LEN;
/// As [`BLOCK`] where there are many.
pub const WIDE_BLOCK: usize = WIDE;

/// Whether none of the bytes needs an escape in JSON, nor a look at its UTF-8.
#[inline]
#[must_use]
pub fn is_clean(block: &[u8; BLOCK]) -> bool {
    Chunk::new(block).string_stops() == 0
}

/// As [`is_clean`] for the first `len` bytes of a block.
#[inline]
#[must_use]
pub fn is_clean_up_to(block: &[u8; BLOCK], len: usize) -> bool {
    // The bit behind the block stands for its end.
    let stops = Chunk::new(block).string_stops() | 1 << BLOCK;
    stops.trailing_zeros() as usize >= len
}

/// As [`is_clean`] for more.
#[inline]
#[must_use]
pub fn is_wide_clean(block: &[u8; WIDE_BLOCK]) -> bool {
    Narrow.string_stops(block) == 0
}

/// As [`is_clean`] for a value of any length.
#[must_use]
pub fn all_clean(value: &[u8]) -> bool {
    let (blocks, _) = value.as_chunks::<WIDE_BLOCK>();
    if !blocks.iter().all(is_wide_clean) {
        return false;
    }
    // The last ones begin among those that were looked at.
    if let Some(last) = value.last_chunk() {
        return is_wide_clean(last);
    }
    if let (Some(first), Some(last)) = (value.first_chunk(), value.last_chunk()) {
        return is_clean(first) && is_clean(last);
    }
    let mut block = [b' '; BLOCK];
    block[..value.len()].copy_from_slice(value);
    is_clean(&block)
}

/// Appends `value` as the inside of a JSON string. Invalid UTF-8 is replaced
/// by U+FFFD; the return value says whether it had to be.
pub fn escape_json(value: &[u8], out: &mut Vec<u8>) -> bool {
    if all_clean(value) {
        out.extend_from_slice(value);
        return false;
    }
    // Mostly valid: to find that out is quicker than to look for pieces that are.
    if let Ok(text) = std::str::from_utf8(value) {
        escape_text(text.as_bytes(), out);
        return false;
    }
    let mut replaced = false;
    for chunk in value.utf8_chunks() {
        escape_text(chunk.valid().as_bytes(), out);
        if !chunk.invalid().is_empty() {
            replaced = true;
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    replaced
}

fn escape_text(text: &[u8], out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let mut rest = text;
    while let Some(at) = first_escaped(rest) {
        out.extend_from_slice(&rest[..at]);
        match rest[at] {
            byte @ (b'"' | b'\\') => out.extend_from_slice(&[b'\\', byte]),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            byte => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
        rest = &rest[at + 1..];
    }
    out.extend_from_slice(rest);
}

/// Where the first byte is that needs an escape.
fn first_escaped(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    while at < text.len() {
        let stops = Chunk::load(text, at).wide_string_stops();
        if stops != 0 {
            // Zeros stand for what lies behind the text.
            let found = at + stops.trailing_zeros() as usize;
            return (found < text.len()).then_some(found);
        }
        at += BLOCK;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn surrogates_pair_or_are_replaced() {
        assert_eq!(unescape_json(br"a\ud83d\ude00b"), "a😀b".as_bytes());
        assert_eq!(unescape_json(br"\ud83dx"), "\u{fffd}x".as_bytes());
        assert_eq!(unescape_json(br"\u00e9\q\"), "é\\q\\".as_bytes());
    }

    #[test]
    fn bad_utf8_is_replaced_and_reported() {
        let mut out = Vec::new();
        assert!(escape_json(b"a\xffb", &mut out));
        assert_eq!(out, "a\u{fffd}b".as_bytes());
    }

    #[test]
    fn access_log_escapes_are_bytes() {
        for (raw, value) in [
            (&br"a\xC3\xA9b"[..], "a\u{e9}b".as_bytes()),
            (br#"say \"hi\" \\ \n"#, b"say \"hi\" \\ \n"),
            (br"\xZZ \q \", br"\xZZ \q \"),
        ] {
            let mut out = Vec::new();
            unescape_hex_into(raw, &mut out);
            assert_eq!(out, value);
        }
    }

    #[test]
    fn a_byte_to_escape_is_found_at_every_place() {
        for at in 0..40 {
            for byte in [b'"', b'\\', 0, 0x1f, 0x80, 0xff] {
                let mut value = vec![b'a'; 40];
                assert!(all_clean(&value));
                value[at] = byte;
                assert!(!all_clean(&value));
                let mut json = vec![b'"'];
                escape_json(&value, &mut json);
                json.push(b'"');
                let read: String = serde_json::from_slice(&json).unwrap();
                assert_eq!(read, String::from_utf8_lossy(&value));
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_escaped_is_json_and_comes_back(text in "\\PC*|[\\x00-\\x7f]*") {
            let mut json = vec![b'"'];
            let replaced = escape_json(text.as_bytes(), &mut json);
            json.push(b'"');
            prop_assert!(!replaced);
            prop_assert_eq!(serde_json::from_slice::<String>(&json).unwrap(), text.clone());
            prop_assert_eq!(unescape_json(&json[1..json.len() - 1]), text.as_bytes());
        }
    }
}
