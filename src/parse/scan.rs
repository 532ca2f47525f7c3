//! Searches tuned for log lines, where the next delimiter is mostly a few
//! bytes away: sixteen bytes at a time, without a call or a set-up.

use crate::event::simd::Chunk;

/// Chunks that are looked at together where what is searched for may be far away:
/// how far it is decides less often where the processor goes on.
const FAR: usize = 4;

/// Where the first byte of `text[from..end]` is that `question` marks, looking at
/// `CHUNKS` together.
#[inline]
fn first<const CHUNKS: usize>(
    text: &[u8],
    from: usize,
    end: usize,
    question: impl Fn(Chunk) -> u32,
) -> Option<usize> {
    let mut at = from;
    loop {
        let mut hits = 0;
        for i in 0..CHUNKS {
            let chunk = Chunk::load(text, at + i * Chunk::LEN);
            hits |= u64::from(question(chunk)) << (i * Chunk::LEN);
        }
        if hits != 0 {
            let found = at + hits.trailing_zeros() as usize;
            return (found < end).then_some(found);
        }
        at += CHUNKS * Chunk::LEN;
        if at >= end {
            return None;
        }
    }
}

/// Where `needle` is first in `text[from..end]`.
#[inline]
pub(super) fn find(text: &[u8], from: usize, end: usize, needle: u8) -> Option<usize> {
    first::<1>(text, from, end, |chunk| chunk.equal(needle))
}

/// Where the first byte of `text[from..end]` is that is no printing character
/// of ASCII or beyond: a space or a control character; `end` if none is.
#[inline]
pub(super) fn blank(text: &[u8], from: usize, end: usize) -> usize {
    first::<1>(text, from, end, Chunk::blanks).unwrap_or(end)
}

/// Where `needle` is first in `text[from..end]`, if nothing before it is
/// [`blank`].
#[inline]
pub(super) fn find_in_word(text: &[u8], from: usize, end: usize, needle: u8) -> Option<usize> {
    let question = |chunk: Chunk| chunk.equal(needle) | chunk.blanks();
    first::<1>(text, from, end, question).filter(|&found| text[found] == needle)
}

/// Where the first byte of `text[from..end]` is that ends a key of logfmt: a
/// [`blank`], `=` or a quote; `end` if none is.
#[inline]
pub(super) fn key_end(text: &[u8], from: usize, end: usize) -> usize {
    first::<1>(text, from, end, Chunk::key_ends).unwrap_or(end)
}

/// Where the first byte of `text[from..end]` is that is no decimal digit;
/// `end` if none is.
#[inline]
pub(super) fn non_digit(text: &[u8], from: usize, end: usize) -> usize {
    first::<1>(text, from, end, Chunk::non_digits).unwrap_or(end)
}

/// Whether `text[at..end]` begins with `literal`: for literals of a few bytes,
/// where a call of `memcmp` costs more than the comparison.
#[inline]
pub(super) fn starts_with(text: &[u8], at: usize, end: usize, literal: &[u8]) -> bool {
    let window = &text[at..end];
    window.len() >= literal.len() && literal.iter().zip(window).all(|(a, b)| a == b)
}

/// Past the spaces at `at`.
#[inline]
pub(super) fn skip_spaces(text: &[u8], mut at: usize, end: usize) -> usize {
    while at < end && text[at] == b' ' {
        at += 1;
    }
    at
}

/// The end of a double-quoted string's inside that begins at `from`, and
/// whether it has backslashes. `None` if it does not end before `end`.
#[inline]
pub(super) fn quoted(text: &[u8], from: usize, end: usize) -> Option<(usize, bool)> {
    let mut at = from;
    let mut escaped = false;
    loop {
        at = first::<FAR>(text, at, end, Chunk::quotes)?;
        if text[at] == b'"' {
            return Some((at, escaped));
        }
        escaped = true;
        at += 2;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn escaped_quotes_do_not_end_a_string() {
        for (text, expected) in [
            (r#"abc" x"#, Some((3, false))),
            (r#"a\"b" x"#, Some((4, true))),
            (r#"a\\" x"#, Some((3, true))),
            (r"a\", None),
            (r#"a\""#, None),
            ("", None),
        ] {
            assert_eq!(quoted(text.as_bytes(), 0, text.len()), expected, "{text}");
        }
    }

    proptest! {
        #[test]
        fn searches_agree_with_the_obvious(
            text in proptest::collection::vec(prop_oneof![Just(b'a'), Just(b' '), Just(0x80u8), Just(b'!'), Just(b'7'), Just(b'='), Just(b'"'), any::<u8>()], 0..80),
            from in 0usize..80,
            end in 0usize..80,
            needle: u8,
        ) {
            let end = end.min(text.len());
            let from = from.min(end);
            let window = &text[from..end];
            let at = window.iter().position(|&b| b == needle).map(|i| from + i);
            prop_assert_eq!(find(&text, from, end, needle), at);
            let at = window.iter().position(|&b| b <= b' ').map_or(end, |i| from + i);
            prop_assert_eq!(blank(&text, from, end), at);
            let at = window.iter().position(|&b| b == needle || b <= b' ').map(|i| from + i);
            let at = at.filter(|&i| text[i] == needle);
            prop_assert_eq!(find_in_word(&text, from, end, needle), at);
            let at = window.iter().position(|&b| b <= b' ' || b == b'=' || b == b'"');
            prop_assert_eq!(key_end(&text, from, end), at.map_or(end, |i| from + i));
            let at = window.iter().position(|b| !b.is_ascii_digit()).map_or(end, |i| from + i);
            prop_assert_eq!(non_digit(&text, from, end), at);
        }
    }
}
