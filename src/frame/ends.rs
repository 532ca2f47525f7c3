//! Where the lines of a text end.

// A `Scan` is inlined.
#![allow(clippy::inline_always)]

use crate::event::simd::{Scan, WIDE, Width};

/// Finds the terminators in a text from a place on, and appends the place behind
/// each. Says whether no `\r` stands before any of them.
pub(super) struct Ends<'a> {
    pub(super) text: &'a [u8],
    pub(super) from: usize,
    pub(super) terminator: u8,
    pub(super) ends: &'a mut Vec<u32>,
}

impl Scan for Ends<'_> {
    type Output = bool;

    #[inline(always)]
    fn with<W: Width>(self, width: W) -> bool {
        let (text, mut at) = (self.text, self.from);
        let mut plain = true;
        let mut end = |at: usize| {
            plain &= text.get(at.wrapping_sub(1)) != Some(&b'\r');
            self.ends.push(at as u32 + 1);
        };
        // Two blocks at a time: most have no end.
        let (pairs, rest) = text[at..].as_chunks::<{ 2 * WIDE }>();
        for pair in pairs {
            if let ([first, second], []) = pair.as_chunks() {
                let low = width.equal(first, self.terminator);
                let high = width.equal(second, self.terminator);
                let mut hits = u64::from(low) | u64::from(high) << WIDE;
                while hits != 0 {
                    end(at + hits.trailing_zeros() as usize);
                    hits &= hits - 1;
                }
            }
            at += pair.len();
        }
        for hit in memchr::memchr_iter(self.terminator, rest) {
            end(at + hit);
        }
        plain
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::simd::Widest;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_end_is_found(text in "[ab\r\n]{0,200}", line in 0usize..100, from in 0usize..200) {
            let text = text.replace('a', &"x".repeat(line));
            let (text, from) = (text.as_bytes(), from.min(text.len()));
            for terminator in [b'\n', b'b'] {
                let at = |at: &usize| text[*at] == terminator;
                let found: Vec<usize> = (from..text.len()).filter(at).collect();
                let after_return = |at: &usize| *at > 0 && text[at - 1] == b'\r';
                for widest in [Widest::get(), Widest::Narrow] {
                    let mut ends = vec![7];
                    let plain = widest.run(Ends { text, from, terminator, ends: &mut ends });
                    prop_assert_eq!(plain, !found.iter().any(after_return));
                    let expect = [7].into_iter().chain(found.iter().map(|at| *at as u32 + 1));
                    prop_assert_eq!(ends, expect.collect::<Vec<_>>());
                }
            }
        }
    }
}
