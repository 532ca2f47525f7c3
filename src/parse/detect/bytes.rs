//! Sets of bytes: what lines can begin with, and what they must have in them.

/// A set of bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(in super::super) fn of(bytes: &[u8]) -> ByteSet {
        ByteSet::where_(|b| bytes.contains(&b))
    }

    pub(in super::super) fn where_(holds: impl Fn(u8) -> bool) -> ByteSet {
        let mut set = ByteSet::default();
        for byte in 0..=u8::MAX {
            if holds(byte) {
                set.0[usize::from(byte / 64)] |= 1 << (byte % 64);
            }
        }
        set
    }

    pub(in super::super) fn or(self, other: ByteSet) -> ByteSet {
        ByteSet(std::array::from_fn(|i| self.0[i] | other.0[i]))
    }

    #[inline]
    pub(in super::super) fn contains(&self, byte: u8) -> bool {
        self.0[usize::from(byte / 64)] >> (byte % 64) & 1 == 1
    }
}

/// A set of bytes of ASCII: others are never in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in super::super) struct AsciiSet(u128);

impl AsciiSet {
    #[inline]
    pub(in super::super) fn of(text: &[u8]) -> AsciiSet {
        let (mut low, mut high) = (0, 0);
        for byte in text {
            let [l, h] = BITS[usize::from(*byte)];
            low |= l;
            high |= h;
        }
        AsciiSet(u128::from(low) | u128::from(high) << 64)
    }

    /// The bytes of a text; all that it could have if it is long, so that
    /// looking costs little.
    #[inline]
    pub(super) fn of_short(text: &[u8]) -> AsciiSet {
        const SHORT_BYTES_MAX: usize = 512;
        if text.len() > SHORT_BYTES_MAX {
            return AsciiSet(u128::MAX);
        }
        AsciiSet::of(text)
    }

    pub(in super::super) fn or(self, other: AsciiSet) -> AsciiSet {
        AsciiSet(self.0 | other.0)
    }

    #[inline]
    pub(super) fn is_within(self, other: AsciiSet) -> bool {
        self.0 & !other.0 == 0
    }
}

/// The bit of each byte of ASCII, in the lower and the upper half of a set.
static BITS: [[u64; 2]; 256] = {
    let mut bits = [[0; 2]; 256];
    let mut byte = 0;
    while byte < 128 {
        bits[byte][byte / 64] = 1 << (byte % 64);
        byte += 1;
    }
    bits
};

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_in_a_line_is_in_its_set(line: Vec<u8>, wanted: Vec<u8>) {
            let ascii: Vec<u8> = wanted.iter().copied().filter(u8::is_ascii).collect();
            let all = ascii.iter().all(|b| line.contains(b));
            prop_assert_eq!(AsciiSet::of(&wanted).is_within(AsciiSet::of_short(&line)), all);
        }
    }
}
