//! Literal text of a template: looked for and passed once a step.

use super::super::scan;

/// How many bytes are compared at once.
const WORD_BYTES: usize = 8;

/// Bytes that stand in a line as they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Literal {
    bytes: Box<[u8]>,
    /// The first bytes as a number, and which of its bits count.
    word: u64,
    mask: u64,
    /// Whether further spaces follow it that are none of the next capture's.
    padded: bool,
}

impl Literal {
    /// `bytes`, which are not empty.
    pub(super) fn new(bytes: &[u8], padded: bool) -> Literal {
        let mut word = [0; WORD_BYTES];
        let mut mask = [0; WORD_BYTES];
        for ((byte, place), bits) in bytes.iter().zip(&mut word).zip(&mut mask) {
            *place = *byte;
            *bits = u8::MAX;
        }
        Literal {
            bytes: bytes.into(),
            word: u64::from_le_bytes(word),
            mask: u64::from_le_bytes(mask),
            padded,
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Whether `text[at..end]` begins with it.
    #[inline]
    fn is_at(&self, text: &[u8], at: usize, end: usize) -> bool {
        let Some(window) = text.get(at..).and_then(|rest| rest.first_chunk()) else {
            return scan::starts_with(text, at, end, &self.bytes);
        };
        let after = at + self.bytes.len();
        let differs = (u64::from_le_bytes(*window) ^ self.word) & self.mask;
        let rest = self.bytes.get(WORD_BYTES..).unwrap_or_default();
        differs == 0 && after <= end && (rest.is_empty() || text[at + WORD_BYTES..after] == *rest)
    }

    /// Past it at `at`; each of its spaces may be several.
    #[inline]
    pub(super) fn pass(&self, text: &[u8], at: usize, end: usize) -> Option<usize> {
        let after = if self.is_at(text, at, end) {
            at + self.bytes.len()
        } else {
            self.pass_spaced(text, at, end)?
        };
        Some(if self.padded {
            scan::skip_spaces(text, after, end)
        } else {
            after
        })
    }

    #[cold]
    fn pass_spaced(&self, text: &[u8], mut at: usize, end: usize) -> Option<usize> {
        for byte in &self.bytes {
            (text[..end].get(at) == Some(byte)).then_some(())?;
            at = if *byte == b' ' {
                scan::skip_spaces(text, at, end)
            } else {
                at + 1
            };
        }
        Some(at)
    }

    /// Where it is first in `text[from..end]`.
    #[inline]
    pub(super) fn find(&self, text: &[u8], mut from: usize, end: usize) -> Option<usize> {
        let first = self.bytes[0];
        loop {
            from = scan::find(text, from, end, first)?;
            if self.bytes.len() == 1 || self.is_at(text, from, end) {
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
