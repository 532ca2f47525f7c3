//! Chunks as wide as the processor has them: 32 bytes with AVX2, else sixteen.
//!
//! Which it is, is known when the program runs. A function that uses AVX2 must
//! be compiled for it, with all that it calls: so a loop is a [`Scan`], generic
//! over the [`Width`], whose functions are all inlined, and [`Widest::run`] has
//! one copy of it for each width.

#[cfg(target_arch = "x86_64")]
use avx2::Avx2;

use super::Chunk;

/// The most bytes that a chunk has.
pub(crate) const WIDE: usize = 32;

/// Work that is compiled for each width.
pub(crate) trait Scan {
    /// What comes of it.
    type Output;

    /// Does it. Implementations are `#[inline(always)]`, and so is all that they
    /// hand the width to.
    fn with<W: Width>(self, width: W) -> Self::Output;
}

/// The widest chunks that the processor has.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Widest {
    #[cfg(target_arch = "x86_64")]
    Avx2(Avx2),
    Narrow,
}

impl Widest {
    /// Asks the processor.
    pub(crate) fn get() -> Widest {
        #[cfg(target_arch = "x86_64")]
        if let Some(avx2) = Avx2::get() {
            return Widest::Avx2(avx2);
        }
        Widest::Narrow
    }

    /// Does `scan` with them: a call that is not inlined.
    #[inline]
    pub(crate) fn run<S: Scan>(self, scan: S) -> S::Output {
        match self {
            #[cfg(target_arch = "x86_64")]
            Widest::Avx2(avx2) => avx2.run(scan),
            Widest::Narrow => narrow(scan),
        }
    }
}

#[inline(never)]
fn narrow<S: Scan>(scan: S) -> S::Output {
    scan.with(Narrow)
}

/// How many bytes are looked at together: a proof that the processor can.
///
/// Whatever the width, questions are about blocks of [`WIDE`] bytes.
pub(crate) trait Width: Copy {
    /// As [`Chunk::string_stops`].
    fn string_stops(self, block: &[u8; WIDE]) -> u32;

    /// As [`Chunk::equal`].
    fn equal(self, block: &[u8; WIDE], byte: u8) -> u32;

    /// As [`Chunk::differences`].
    fn differences(self, block: &[u8; WIDE], other: &[u8; WIDE]) -> u32;
}

/// Sixteen bytes: every processor can.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Narrow;

impl Width for Narrow {
    #[inline(always)]
    fn string_stops(self, block: &[u8; WIDE]) -> u32 {
        let half = |from| Chunk::load(block, from).string_stops();
        half(0) | half(Chunk::LEN) << Chunk::LEN
    }

    #[inline(always)]
    fn equal(self, block: &[u8; WIDE], byte: u8) -> u32 {
        let half = |from| Chunk::load(block, from).equal(byte);
        half(0) | half(Chunk::LEN) << Chunk::LEN
    }

    #[inline(always)]
    fn differences(self, block: &[u8; WIDE], other: &[u8; WIDE]) -> u32 {
        let half = |from| Chunk::load(block, from).differences(Chunk::load(other, from));
        half(0) | half(Chunk::LEN) << Chunk::LEN
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)]
mod avx2 {
    use std::arch::x86_64::{
        _mm256_cmpeq_epi8, _mm256_cmpgt_epi8, _mm256_loadu_si256, _mm256_movemask_epi8,
        _mm256_or_si256, _mm256_set1_epi8, _mm256_xor_si256,
    };

    use super::{Scan, WIDE, Width};

    /// Says that the processor has AVX2, BMI1 and BMI2: only [`Avx2::get`] makes it.
    #[derive(Clone, Copy, Debug)]
    pub(crate) struct Avx2(());

    impl Avx2 {
        #[inline]
        pub(super) fn get() -> Option<Avx2> {
            let has = is_x86_feature_detected!("avx2")
                && is_x86_feature_detected!("bmi1")
                && is_x86_feature_detected!("bmi2");
            has.then_some(Avx2(()))
        }

        #[inline]
        pub(super) fn run<S: Scan>(self, scan: S) -> S::Output {
            // SAFETY: the processor has what the function is compiled for, as
            // `self` says.
            unsafe { run(self, scan) }
        }
    }

    #[inline(never)]
    #[target_feature(enable = "avx2,bmi1,bmi2")]
    fn run<S: Scan>(width: Avx2, scan: S) -> S::Output {
        scan.with(width)
    }

    impl Width for Avx2 {
        #[inline(always)]
        fn string_stops(self, block: &[u8; WIDE]) -> u32 {
            // SAFETY: the bytes that are read are borrowed; the load needs no
            // alignment; the processor has AVX2, as `self` says.
            unsafe {
                let bytes = _mm256_loadu_si256(block.as_ptr().cast());
                // As `Chunk::string_stops` does it.
                let moved = _mm256_xor_si256(bytes, _mm256_set1_epi8((b'"' ^ b' ') as i8));
                let low = _mm256_cmpgt_epi8(_mm256_set1_epi8(b' ' as i8 + 1), moved);
                let backslashes = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(b'\\' as i8));
                _mm256_movemask_epi8(_mm256_or_si256(backslashes, low)) as u32
            }
        }

        #[inline(always)]
        fn equal(self, block: &[u8; WIDE], byte: u8) -> u32 {
            // SAFETY: as in `string_stops`.
            unsafe {
                let bytes = _mm256_loadu_si256(block.as_ptr().cast());
                let equal = _mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(byte as i8));
                _mm256_movemask_epi8(equal) as u32
            }
        }

        #[inline(always)]
        fn differences(self, block: &[u8; WIDE], other: &[u8; WIDE]) -> u32 {
            // SAFETY: as in `string_stops`.
            let equal = unsafe {
                let block = _mm256_loadu_si256(block.as_ptr().cast());
                let other = _mm256_loadu_si256(other.as_ptr().cast());
                _mm256_movemask_epi8(_mm256_cmpeq_epi8(block, other))
            };
            !(equal as u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// All that a width answers about two blocks.
    struct Answers<'a>(&'a [u8; WIDE], &'a [u8; WIDE]);

    impl Scan for Answers<'_> {
        type Output = [u32; 3];

        #[inline(always)]
        fn with<W: Width>(self, width: W) -> [u32; 3] {
            [
                width.string_stops(self.0),
                width.differences(self.0, self.1),
                width.equal(self.0, self.1[0]),
            ]
        }
    }

    proptest! {
        #[test]
        fn every_width_answers_alike(
            bytes: [u8; WIDE],
            string in "[a-z\"\\\\é\n]{32}",
            same in 0..=WIDE,
        ) {
            for one in [&bytes, string.as_bytes().first_chunk().expect("32 bytes")] {
                let mut other = bytes.map(|b| !b);
                other[..same].copy_from_slice(&one[..same]);
                let narrow = Widest::Narrow.run(Answers(one, &other));
                prop_assert_eq!(narrow[1] & ((1u64 << same) - 1) as u32, 0);
                prop_assert_eq!(Widest::get().run(Answers(one, &other)), narrow);
            }
        }
    }
}
