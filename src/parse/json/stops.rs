//! Where strings may end, found ahead of their lines.
//!
//! A line is read from one string to the next, and where a string ends is known
//! only by looking at its bytes: what costs is not the looking but the waiting
//! for it, once a string. So the bytes are looked at ahead, where nothing waits,
//! and a bit is kept for each.

use std::ops::Range;

use crate::event::simd::{Scan, WIDE, Widest, Width};

/// Bytes looked at ahead, at most: their bits stay in the nearest cache.
const AHEAD_BYTES_MAX: usize = 8 * 1024;
/// Bytes of `bits` that a block of text takes.
const BLOCK_BYTES: usize = WIDE / 8;
/// Bytes of `bits` that are read at once, and the blocks that they reach into.
const WORD_BYTES: usize = 8;
const PADDING_BLOCKS: usize = WORD_BYTES / BLOCK_BYTES;

/// Marks what ends a run of plain ASCII in a string ([`Chunk::string_stops`])
/// in a part of a text.
///
/// [`Chunk::string_stops`]: crate::event::simd::Chunk::string_stops
#[derive(Debug, Default)]
pub(super) struct Stops {
    /// The part of the text that is marked.
    marked: Range<usize>,
    /// A bit a byte of it, the lowest first; further ones are set.
    bits: Vec<u8>,
    /// Bytes that are looked at next.
    ahead: usize,
}

impl Stops {
    /// Forgets what is marked: another text follows.
    pub(super) fn reset(&mut self) {
        self.marked = 0..0;
        self.ahead = 0;
    }

    /// Makes sure that a line is marked. At first little more is, then ever more:
    /// a run of lines may end with each.
    #[inline]
    pub(super) fn cover(&mut self, widest: Widest, text: &[u8], line: &Range<usize>) {
        if line.end > self.marked.end || line.start < self.marked.start {
            self.mark(widest, text, line);
        }
    }

    #[inline(never)]
    fn mark(&mut self, widest: Widest, text: &[u8], line: &Range<usize>) {
        self.ahead = (2 * self.ahead).max(line.len()).min(AHEAD_BYTES_MAX);
        let end = text.len().min(line.start + self.ahead).max(line.end);
        let blocks = (end - line.start).div_ceil(WIDE);
        let room = (blocks + PADDING_BLOCKS) * BLOCK_BYTES;
        if self.bits.len() < room {
            self.bits.resize(room, u8::MAX);
        }
        let (words, _) = self.bits[..room].as_chunks_mut();
        let (words, padding) = words.split_at_mut(blocks);
        let (whole, last) = text[line.start..].as_chunks();
        widest.run(Mark { whole, words });
        if let Some(word) = words.get_mut(whole.len()) {
            let mut block = [0; WIDE];
            block[..last.len()].copy_from_slice(last);
            let (whole, words) = ([block], std::slice::from_mut(word));
            widest.run(Mark {
                whole: &whole,
                words,
            });
        }
        padding.fill([u8::MAX; BLOCK_BYTES]);
        self.marked = line.start..line.start + blocks * WIDE;
    }

    /// The first mark from `at` on, which is within what is marked; behind all that
    /// is marked if there is none.
    #[inline(always)]
    pub(super) fn next(&self, at: usize) -> usize {
        let place = at - self.marked.start;
        let mut byte = place / 8;
        let word = self.word(byte) >> (place % 8);
        if word != 0 {
            return at + word.trailing_zeros() as usize;
        }
        loop {
            byte += WORD_BYTES;
            let word = self.word(byte);
            if word != 0 {
                return self.marked.start + 8 * byte + word.trailing_zeros() as usize;
            }
        }
    }

    /// The bits from a byte of them on; they are all set behind the last.
    #[inline(always)]
    fn word(&self, byte: usize) -> u64 {
        let bits = self.bits.get(byte..).and_then(|bits| bits.first_chunk());
        bits.map_or(u64::MAX, |bits| u64::from_le_bytes(*bits))
    }
}

/// Marks blocks of a text.
struct Mark<'a> {
    whole: &'a [[u8; WIDE]],
    words: &'a mut [[u8; BLOCK_BYTES]],
}

impl Scan for Mark<'_> {
    type Output = ();

    #[inline(always)]
    fn with<W: Width>(self, width: W) {
        for (block, word) in self.whole.iter().zip(self.words) {
            *word = width.string_stops(block).to_le_bytes();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::simd::Chunk;
    use proptest::prelude::*;

    /// All stops of some lines by their marks.
    fn marked(widest: Widest, text: &[u8], lines: &[Range<usize>]) -> Vec<usize> {
        let mut stops = Stops::default();
        let mut all = Vec::new();
        for line in lines {
            stops.cover(widest, text, line);
            let mut at = line.start;
            loop {
                at = stops.next(at);
                if at >= line.end {
                    break;
                }
                all.push(at);
                at += 1;
            }
        }
        all
    }

    fn plain(text: &[u8], lines: &[Range<usize>]) -> Vec<usize> {
        let is_stop = |at: &usize| Chunk::load(text, *at).string_stops() & 1 != 0;
        let stops = |line: &Range<usize>| line.clone().filter(is_stop).collect::<Vec<_>>();
        lines.iter().flat_map(stops).collect()
    }

    proptest! {
        #[test]
        fn every_stop_is_found_once(
            runs in proptest::collection::vec(("[a-z\"\\\\é\n]", 0usize..200), 0..60),
            cuts in proptest::collection::vec(0usize..3000, 0..20),
        ) {
            let run = |(stop, run): &(String, usize)| stop.clone() + &"x".repeat(*run);
            let text: String = runs.iter().map(run).collect();
            let text = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.iter().map(|at| *at.min(&text.len())).collect();
            cuts.sort_unstable();
            let lines: Vec<_> = cuts.windows(2).map(|cut| cut[0]..cut[1]).collect();
            prop_assert_eq!(marked(Widest::Narrow, text, &lines), plain(text, &lines));
            prop_assert_eq!(marked(Widest::get(), text, &lines), plain(text, &lines));
        }
    }

    #[test]
    fn a_long_line_is_marked_whole_and_short_ones_in_windows() {
        let text = "x".repeat(5 * AHEAD_BYTES_MAX) + "\"";
        let last = text.len() - 1;
        let mut stops = Stops::default();
        stops.cover(Widest::get(), text.as_bytes(), &(3..text.len()));
        assert_eq!((stops.next(3), stops.next(last)), (last, last));
        stops.reset();
        for line in [0..100, 200..300] {
            stops.cover(Widest::get(), text.as_bytes(), &line);
            assert_eq!(stops.marked.start, line.start);
            assert!((line.end..line.end + 100 + WIDE).contains(&stops.marked.end));
        }
        assert!(stops.bits.len() < 5 * AHEAD_BYTES_MAX / 8 + 2 * WIDE);
    }
}
