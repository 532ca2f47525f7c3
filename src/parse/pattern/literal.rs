//! Literal text of a template: looked for and passed once a step.

// The loop over a line's steps must not call for every one of them.
#![allow(clippy::inline_always)]

use super::super::scan;
use crate::event::simd::Chunk;

/// Bytes that stand in a line as they are written; none match everywhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Literal {
    bytes: Box<[u8]>,
    /// The first bytes, and a space behind them if it is padded.
    head: [u8; Chunk::LEN],
    /// Which bytes of the head are looked at, and which of them must be in the text:
    /// all but the space behind, so that all is known if there is one space only.
    mask: u32,
    same: u32,
    /// Whether further spaces follow it that are none of the next capture's.
    padded: bool,
}

impl Literal {
    /// `bytes`, each of whose spaces may be several; `padded`: the last one too.
    pub(super) fn new(bytes: &[u8], padded: bool) -> Literal {
        let mut head = [b' '; Chunk::LEN];
        let looked_at = bytes.len() + usize::from(padded);
        let is_short = looked_at <= Chunk::LEN;
        if is_short {
            head[..bytes.len()].copy_from_slice(bytes);
        }
        let first = |len: usize| (1 << len) - 1;
        Literal {
            bytes: bytes.into(),
            head,
            // Of a long one nothing is known at once: no chunk has a byte more.
            mask: if is_short { first(looked_at) } else { 0 },
            same: if is_short { first(bytes.len()) } else { 1 },
            padded,
        }
    }

    /// With `"` behind it, if nothing is lost by looking at both at once.
    pub(super) fn with_quote(&self) -> Option<Literal> {
        let bytes = [&self.bytes, &b"\""[..]].concat();
        // Of two spaces only the last may be several.
        let is_simple = bytes.len() <= Chunk::LEN && !bytes.windows(2).any(|b| b == b"  ");
        is_simple.then(|| Literal::new(&bytes, false))
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether the text at `at` is known to begin with it, wherever the line ends,
    /// and not to have a space more; false if in doubt.
    #[inline(always)]
    fn is_surely_at(&self, text: &[u8], at: usize) -> bool {
        let differences = Chunk::load(text, at).differences(Chunk::new(&self.head));
        !differences & self.mask == self.same
    }

    /// Past it at `at`; each of its spaces may be several. It is for what comes
    /// next to see that this is not past the end.
    #[inline(always)]
    pub(super) fn pass(&self, text: &[u8], at: usize, end: usize) -> Option<usize> {
        let after = if self.is_surely_at(text, at) {
            at + self.bytes.len()
        } else {
            // Asked here, so that what is common is not asked about again.
            self.pass_spaced(text, at, end)?
        };
        Some(after)
    }

    #[inline(never)]
    fn pass_spaced(&self, text: &[u8], mut at: usize, end: usize) -> Option<usize> {
        if scan::starts_with(text, at, end, &self.bytes) {
            at += self.bytes.len();
        } else {
            for byte in &self.bytes {
                (text[..end].get(at) == Some(byte)).then_some(())?;
                at = if *byte == b' ' {
                    scan::skip_spaces(text, at, end)
                } else {
                    at + 1
                };
            }
        }
        Some(if self.padded {
            scan::skip_spaces(text, at, end)
        } else {
            at
        })
    }

    /// Where it is first in `text[from..end]`.
    #[inline(always)]
    pub(super) fn find(&self, text: &[u8], mut from: usize, end: usize) -> Option<usize> {
        let first = self.bytes[0];
        loop {
            from = scan::find(text, from, end, first)?;
            let is_inside = from + self.bytes.len() <= end;
            if is_inside
                && (self.is_surely_at(text, from)
                    || scan::starts_with(text, from, end, &self.bytes))
            {
                return Some(from);
            }
            from += 1;
        }
    }

    /// Where it is last in `text[from..end]`.
    pub(super) fn find_last(&self, text: &[u8], from: usize, end: usize) -> Option<usize> {
        let found = memchr::memmem::rfind(&text[from..end], &self.bytes)?;
        Some(from + found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_space_stands_for_several() {
        let literal = Literal::new(b"] - [", false);
        for (text, after) in [
            ("] - [x", Some(5)),
            ("]   -  [", Some(8)),
            ("]- [", None),
            ("] -", None),
            ("", None),
        ] {
            assert_eq!(
                literal.pass(text.as_bytes(), 0, text.len()),
                after,
                "{text}"
            );
        }
        let padded = Literal::new(b": ", true);
        assert_eq!(padded.pass(b":    x", 0, 6), Some(5));
        assert_eq!(padded.pass(b":    x", 0, 3), Some(3));
    }

    proptest! {
        #[test]
        fn it_is_found_where_it_is(
            text in "[ab ]{0,40}",
            literal in "[ab ]{1,12}",
            from in 0usize..40,
            end in 0usize..40,
        ) {
            let end = end.min(text.len());
            let from = from.min(end);
            let found = text[from..end].find(&literal).map(|at| from + at);
            let last = text[from..end].rfind(&literal).map(|at| from + at);
            let stop = Literal::new(literal.as_bytes(), false);
            prop_assert_eq!(stop.find(text.as_bytes(), from, end), found);
            prop_assert_eq!(stop.find_last(text.as_bytes(), from, end), last);
        }
    }
}
