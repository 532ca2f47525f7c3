//! Where the words of a line's head begin and end: looked at 32 bytes at a time,
//! and asked for one after the other.

use std::ops::Range;

use crate::event::simd::Chunk;

/// The words of `text[..end]`, from some place on.
pub(super) struct Words<'a> {
    text: &'a [u8],
    end: usize,
    /// Where the stretch begins that the bits are about, and what is looked at next.
    base: usize,
    behind: usize,
    /// A bit for each byte that begins a word that was not asked for yet.
    starts: u32,
    /// A bit for each byte that is a delimiter.
    delimiters: u32,
}

const STRETCH: usize = u32::BITS as usize;

impl<'a> Words<'a> {
    pub(super) fn new(text: &'a [u8], start: usize, end: usize) -> Words<'a> {
        Words {
            text,
            end,
            base: start,
            behind: start,
            starts: 0,
            delimiters: 0,
        }
    }

    /// Begins anew at `at`, as if a delimiter stood before it.
    #[inline]
    pub(super) fn go_on(&mut self, at: usize) {
        (self.behind, self.starts) = (at, 0);
    }

    /// Looks at the bytes from `at` on, up to a colour.
    #[inline]
    fn look(&mut self, at: usize) {
        let low = Chunk::load(self.text, at);
        let high = Chunk::load(self.text, at + Chunk::LEN);
        let both = |low: u32, high: u32| low | high << Chunk::LEN;
        let delimiters = both(low.delimiters(), high.delimiters());
        let escapes = both(low.equal(super::ESCAPE), high.equal(super::ESCAPE));
        self.base = at;
        self.behind = at + escapes.trailing_zeros() as usize;
        self.delimiters = delimiters;
        // Below the lowest escape.
        let before = !escapes & escapes.wrapping_sub(1);
        self.starts = !delimiters & (delimiters << 1 | 1) & before;
    }

    /// The next word; colours are between words.
    #[inline]
    pub(super) fn next(&mut self) -> Option<Range<usize>> {
        loop {
            while self.starts == 0 {
                let mut at = self.behind;
                if at < self.end && self.text[at] == super::ESCAPE {
                    at = super::colour(self.text, at, self.end).unwrap_or(at + 1);
                }
                if at >= self.end {
                    return None;
                }
                self.look(at);
            }
            let nth = self.starts.trailing_zeros() as usize;
            let start = self.base + nth;
            let rest = self.delimiters >> nth;
            if start >= self.end {
                return None;
            }
            if rest != 0 {
                self.starts &= self.starts - 1;
                let stop = start + rest.trailing_zeros() as usize;
                return Some(start..stop.min(self.end));
            }
            // It goes on behind the stretch.
            if nth == 0 {
                return Some(self.long(start));
            }
            self.look(start);
        }
    }

    /// A word that is longer than a stretch.
    #[cold]
    fn long(&mut self, start: usize) -> Range<usize> {
        let mut at = start + STRETCH;
        while at < self.end {
            let delimiters = Chunk::load(self.text, at).delimiters();
            if delimiters != 0 {
                at += delimiters.trailing_zeros() as usize;
                break;
            }
            at += Chunk::LEN;
        }
        let stop = at.min(self.end);
        self.go_on(stop);
        start..stop
    }
}

#[cfg(test)]
mod tests {
    use super::super::word::is_delimiter;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn words_are_what_is_between_delimiters_and_colours(
            pieces in prop::collection::vec(
                prop::sample::select(vec![
                    "a", "word", "a-longer-word-of-forty-bytes-or-some-more", " ", "          ", "\t", "[",
                    "]", "=", "\x1b[1;32m", "\x1b[0m", "\x1b", "\x1b[3", "\u{e9}", "/", "\u{4e2d}",
                ]),
                0..40,
            ),
            before in 0usize..20,
            behind in 0usize..20,
            leaps in prop::collection::vec(prop_oneof![3 => Just(0usize), 1 => 1usize..9], 400),
        ) {
            let text = pieces.concat().into_bytes();
            let start = before.min(text.len());
            let end = (text.len() - behind.min(text.len())).max(start);
            let mut words = Words::new(&text, start, end);
            let mut at = start;
            for leap in leaps {
                while at < end && is_delimiter(text[at]) {
                    at = super::super::colour(&text, at, end).unwrap_or(at + 1);
                }
                if at >= end {
                    prop_assert_eq!(words.next(), None);
                    break;
                }
                let len = text[at..end].iter().position(|b| is_delimiter(*b));
                let word = at..at + len.unwrap_or(end - at);
                prop_assert_eq!(words.next(), Some(word.clone()));
                at = word.end;
                if leap > 0 {
                    // A time ends within a word, or behind the head.
                    at = word.start + leap;
                    words.go_on(at);
                }
            }
        }
    }
}
