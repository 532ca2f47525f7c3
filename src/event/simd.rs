//! Sixteen bytes at a time, or more: the questions that scanners and encoders
//! ask of a chunk of text.
//!
//! An answer is a mask with bit `i` for byte `i`. On x86-64 every question is
//! a few SSE2 instructions; elsewhere the compiler vectorises plain loops as
//! well as it can. All unsafe code of scanning is here, and all it does is
//! to use instructions that the target always has, on bytes that are borrowed.
//!
//! A loop that is worth two copies of its code is a [`Scan`], which [`Widest`]
//! runs with the widest chunks that the processor has: see `wide`.

// The hot loops are of small functions in other files that must not be calls.
#![allow(clippy::inline_always)]

mod wide;

pub(crate) use wide::{Narrow, Scan, WIDE, Widest, Width};

#[cfg(not(target_arch = "x86_64"))]
use portable::Lanes as Native;
#[cfg(target_arch = "x86_64")]
use sse2::Lanes as Native;

/// Sixteen bytes of the text.
#[derive(Clone, Copy)]
pub(crate) struct Chunk(Native);

impl Chunk {
    /// How many bytes a chunk has.
    pub(crate) const LEN: usize = 16;

    /// The bytes from `at` on; zeros stand for what lies behind the text. It
    /// may reach behind the line: whoever asks compares positions.
    #[inline(always)]
    pub(crate) fn load(text: &[u8], at: usize) -> Chunk {
        match Native::load(text, at) {
            Some(lanes) => Chunk(lanes),
            None => Chunk::load_last(text, at),
        }
    }

    #[cold]
    fn load_last(text: &[u8], at: usize) -> Chunk {
        let rest = text.get(at..).unwrap_or_default();
        let mut bytes = [0; Self::LEN];
        bytes[..rest.len()].copy_from_slice(rest);
        Chunk::new(&bytes)
    }

    /// A chunk of these bytes.
    #[inline(always)]
    pub(crate) fn new(bytes: &[u8; Self::LEN]) -> Chunk {
        Chunk(Native::new(bytes))
    }

    /// Bytes that end a run of plain ASCII in a string: quotes, backslashes,
    /// control characters and all that is not ASCII.
    #[inline(always)]
    pub(crate) fn string_stops(self) -> u32 {
        self.0.string_stops()
    }

    /// As [`Chunk::string_stops`], but passes over what is not ASCII.
    #[inline(always)]
    pub(crate) fn wide_string_stops(self) -> u32 {
        self.0.wide_string_stops()
    }

    /// Bytes that are no decimal digits.
    #[inline(always)]
    pub(crate) fn non_digits(self) -> u32 {
        self.0.non_digits()
    }

    /// Bytes that are `byte`.
    #[inline(always)]
    pub(crate) fn equal(self, byte: u8) -> u32 {
        self.0.equal(byte)
    }

    /// Quotes and backslashes.
    #[inline(always)]
    pub(crate) fn quotes(self) -> u32 {
        self.0.quotes()
    }

    /// Spaces and control characters.
    #[inline(always)]
    pub(crate) fn blanks(self) -> u32 {
        self.0.blanks()
    }

    /// Bytes that stand between words: as [`Chunk::blanks`], and the signs
    /// `[]()<>{}|,;:"'=/`.
    #[inline(always)]
    pub(crate) fn delimiters(self) -> u32 {
        self.0.delimiters()
    }

    /// Bytes that end a key of logfmt: as [`Chunk::blanks`], `=` and quotes.
    #[inline(always)]
    pub(crate) fn key_ends(self) -> u32 {
        self.0.blanks() | self.0.equal(b'=') | self.0.equal(b'"')
    }

    /// Bytes that differ from those of `other`.
    #[inline(always)]
    pub(crate) fn differences(self, other: Chunk) -> u32 {
        self.0.differences(other.0)
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod sse2 {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi8, _mm_cmpeq_epi8, _mm_cmpgt_epi8, _mm_cmplt_epi8, _mm_loadu_si128,
        _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8, _mm_sub_epi8, _mm_xor_si128,
    };

    #[derive(Clone, Copy)]
    pub(super) struct Lanes(__m128i);

    impl Lanes {
        /// Sixteen bytes from `at` on, if there are as many.
        #[inline(always)]
        pub(super) fn load(text: &[u8], at: usize) -> Option<Lanes> {
            // One comparison, with a constant of the loop.
            if at >= text.len().saturating_sub(15) {
                return None;
            }
            // SAFETY: `at + 16 <= text.len()` was just checked; the load needs
            // no alignment; x86-64 always has SSE2.
            Some(Lanes(unsafe {
                _mm_loadu_si128(text.as_ptr().add(at).cast())
            }))
        }

        #[inline(always)]
        pub(super) fn new(bytes: &[u8; 16]) -> Lanes {
            // SAFETY: the sixteen bytes that are read are borrowed; the load
            // needs no alignment; x86-64 always has SSE2.
            Lanes(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
        }

        #[inline(always)]
        pub(super) fn string_stops(self) -> u32 {
            // SAFETY: registers only; x86-64 always has SSE2.
            unsafe {
                // The comparison is signed: what is not ASCII is negative. The other
                // bit takes the quote to where the space was, next to the control
                // characters, and leaves these among themselves.
                let moved = _mm_xor_si128(self.0, _mm_set1_epi8((b'"' ^ b' ') as i8));
                let low = _mm_cmplt_epi8(moved, _mm_set1_epi8(b' ' as i8 + 1));
                let backslashes = _mm_cmpeq_epi8(self.0, _mm_set1_epi8(b'\\' as i8));
                _mm_movemask_epi8(_mm_or_si128(backslashes, low)) as u32
            }
        }

        #[inline(always)]
        pub(super) fn wide_string_stops(self) -> u32 {
            // SAFETY: registers only; x86-64 always has SSE2.
            unsafe {
                let low = _mm_cmpeq_epi8(_mm_min_epu8(self.0, _mm_set1_epi8(0x1f)), self.0);
                _mm_movemask_epi8(_mm_or_si128(self.quote_lanes(), low)) as u32
            }
        }

        #[inline(always)]
        fn quote_lanes(self) -> __m128i {
            // SAFETY: registers only; x86-64 always has SSE2.
            unsafe {
                let quotes = _mm_cmpeq_epi8(self.0, _mm_set1_epi8(b'"' as i8));
                _mm_or_si128(quotes, _mm_cmpeq_epi8(self.0, _mm_set1_epi8(b'\\' as i8)))
            }
        }

        #[inline(always)]
        pub(super) fn non_digits(self) -> u32 {
            // SAFETY: registers only; x86-64 always has SSE2.
            unsafe {
                // Moves '0'..='9' to the ten lowest signed values.
                let moved = _mm_add_epi8(self.0, _mm_set1_epi8((0x80 - b'0') as i8));
                _mm_movemask_epi8(_mm_cmpgt_epi8(moved, _mm_set1_epi8(-128 + 9))) as u32
            }
        }

        #[inline(always)]
        pub(super) fn equal(self, byte: u8) -> u32 {
            // SAFETY: registers only; x86-64 always has SSE2.
            unsafe { _mm_movemask_epi8(_mm_cmpeq_epi8(self.0, _mm_set1_epi8(byte as i8))) as u32 }
        }

        #[inline(always)]
        pub(super) fn quotes(self) -> u32 {
            // SAFETY: registers only; x86-64 always has SSE2.
            unsafe { _mm_movemask_epi8(self.quote_lanes()) as u32 }
        }

        #[inline(always)]
        pub(super) fn blanks(self) -> u32 {
            // SAFETY: registers only; x86-64 always has SSE2.
            unsafe {
                let low = _mm_cmpeq_epi8(_mm_min_epu8(self.0, _mm_set1_epi8(b' ' as i8)), self.0);
                _mm_movemask_epi8(low) as u32
            }
        }

        #[inline(always)]
        pub(super) fn delimiters(self) -> u32 {
            // SAFETY: registers only; x86-64 always has SSE2.
            unsafe {
                let is = |byte: u8| _mm_cmpeq_epi8(self.0, _mm_set1_epi8(byte as i8));
                // Moves `from` to the lowest value, so that the range ends with its length.
                let among = |from: u8, len: u8| {
                    let moved = _mm_sub_epi8(self.0, _mm_set1_epi8(from as i8));
                    _mm_cmpeq_epi8(_mm_min_epu8(moved, _mm_set1_epi8((len - 1) as i8)), moved)
                };
                // `[` and `{` differ by this bit only, and so do `]` and `}`.
                let small = _mm_or_si128(self.0, _mm_set1_epi8(0x20));
                let open = _mm_cmpeq_epi8(small, _mm_set1_epi8(b'{' as i8));
                let close = _mm_cmpeq_epi8(small, _mm_set1_epi8(b'}' as i8));
                // `'()` and `:;<=>` are neighbours.
                let mut all = _mm_or_si128(among(0, b' ' + 1), among(b':', 5));
                all = _mm_or_si128(all, _mm_or_si128(among(b'\'', 3), is(b'"')));
                all = _mm_or_si128(all, _mm_or_si128(is(b'|'), is(b',')));
                all = _mm_or_si128(all, _mm_or_si128(is(b'/'), _mm_or_si128(open, close)));
                _mm_movemask_epi8(all) as u32
            }
        }

        #[inline(always)]
        pub(super) fn differences(self, other: Lanes) -> u32 {
            // SAFETY: registers only; x86-64 always has SSE2.
            let equal = unsafe { _mm_movemask_epi8(_mm_cmpeq_epi8(self.0, other.0)) };
            !(equal as u32) & 0xffff
        }
    }
}

#[cfg(any(test, not(target_arch = "x86_64")))]
mod portable {
    #[derive(Clone, Copy)]
    pub(super) struct Lanes([u8; 16]);

    impl Lanes {
        pub(super) fn load(text: &[u8], at: usize) -> Option<Lanes> {
            text.get(at..)?.first_chunk().map(Lanes::new)
        }

        pub(super) fn new(bytes: &[u8; 16]) -> Lanes {
            Lanes(*bytes)
        }

        #[inline(always)]
        fn mask(self, test: impl Fn(u8) -> bool) -> u32 {
            let bit = |(i, &byte): (usize, &u8)| u32::from(test(byte)) << i;
            self.0.iter().enumerate().map(bit).sum()
        }

        pub(super) fn string_stops(self) -> u32 {
            self.mask(|b| b == b'"' || b == b'\\' || !(0x20..0x80).contains(&b))
        }

        pub(super) fn wide_string_stops(self) -> u32 {
            self.mask(|b| b == b'"' || b == b'\\' || b < 0x20)
        }

        pub(super) fn non_digits(self) -> u32 {
            self.mask(|b| !b.is_ascii_digit())
        }

        pub(super) fn equal(self, byte: u8) -> u32 {
            self.mask(|b| b == byte)
        }

        pub(super) fn quotes(self) -> u32 {
            self.mask(|b| b == b'"' || b == b'\\')
        }

        pub(super) fn blanks(self) -> u32 {
            self.mask(|b| b <= b' ')
        }

        pub(super) fn delimiters(self) -> u32 {
            self.mask(|b| b <= b' ' || b"[]()<>{}|,;:\"'=/".contains(&b))
        }

        pub(super) fn differences(self, other: Lanes) -> u32 {
            let equal = self.0.iter().zip(other.0).enumerate();
            equal.map(|(i, (a, b))| u32::from(*a != b) << i).sum()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn every_byte_is_judged_alike() {
        for byte in 0..=255u8 {
            let bytes = [byte; 16];
            let (fast, plain) = (Chunk::new(&bytes), portable::Lanes::new(&bytes));
            assert_eq!(fast.string_stops(), plain.string_stops(), "{byte}");
            assert_eq!(fast.wide_string_stops(), plain.wide_string_stops());
            assert_eq!(fast.non_digits(), plain.non_digits(), "{byte}");
            assert_eq!(fast.quotes(), plain.quotes(), "{byte}");
            assert_eq!(fast.blanks(), plain.blanks(), "{byte}");
            assert_eq!(fast.delimiters(), plain.delimiters(), "{byte}");
            assert_eq!(fast.equal(byte), 0xffff, "{byte}");
            assert_eq!(fast.equal(!byte), 0, "{byte}");
        }
    }

    #[test]
    fn behind_the_text_are_zeros() {
        for len in 0..40 {
            let text = vec![b'x'; len];
            for at in 0..50 {
                let inside = len.saturating_sub(at).min(16);
                assert_eq!(
                    Chunk::load(&text, at).string_stops(),
                    0xffff & !((1 << inside) - 1)
                );
                let plain = portable::Lanes::load(&text, at);
                assert_eq!(plain.is_some(), inside == 16, "{at} of {len}");
            }
        }
        let chunk = Chunk::load(b"abc", 1);
        assert_eq!(chunk.string_stops(), 0xfffc);
        assert_eq!(Chunk::load(b"abc", 9).string_stops(), 0xffff);
    }

    proptest! {
        #[test]
        fn bits_stand_for_their_bytes(bytes: [u8; 16], other: [u8; 16], same in 0..17usize) {
            let mut near = other;
            near[..same].copy_from_slice(&bytes[..same]);
            let (fast, plain) = (Chunk::new(&bytes), portable::Lanes::new(&bytes));
            prop_assert_eq!(fast.string_stops(), plain.string_stops());
            prop_assert_eq!(fast.wide_string_stops(), plain.wide_string_stops());
            prop_assert_eq!(fast.non_digits(), plain.non_digits());
            prop_assert_eq!(fast.quotes(), plain.quotes());
            prop_assert_eq!(fast.blanks(), plain.blanks());
            prop_assert_eq!(fast.delimiters(), plain.delimiters());
            prop_assert_eq!(fast.equal(other[0]), plain.equal(other[0]));
            let differ = plain.differences(portable::Lanes::new(&near));
            prop_assert_eq!(fast.differences(Chunk::new(&near)), differ);
            prop_assert_eq!(differ & ((1 << same) - 1), 0);
        }
    }
}
