//! The time that was read last: consecutive lines mostly share all of it but
//! the fraction of the second.

use super::Timestamp;
use super::layout::{Item, Layout};
use super::read::fraction_digits;
use crate::event::simd::Chunk;

/// Reads times of one layout, of which it remembers the last.
#[derive(Clone, Copy, Debug)]
pub struct Memo {
    /// What was read before the digits of the fraction, and after them.
    before: Kept<2>,
    after: Kept<1>,
    has_fraction: bool,
    /// The time without the fraction.
    base: Timestamp,
    /// The time that was read last.
    time: Timestamp,
}

impl Memo {
    /// Remembers nothing.
    pub const EMPTY: Memo = Memo {
        before: Kept::EMPTY,
        after: Kept::EMPTY,
        has_fraction: false,
        base: Timestamp::ABSENT,
        time: Timestamp::ABSENT,
    };

    /// The time that was read last.
    #[must_use]
    pub fn time(&self) -> Timestamp {
        self.time
    }

    /// Reads a time at the start of `text`, as [`Layout::parse_prefix_in`] does:
    /// its length. The layout and the reference are those of the call before,
    /// or [`Memo::forget`] came between.
    #[inline]
    pub fn read(&mut self, layout: &Layout, text: &[u8], reference: Timestamp) -> Option<usize> {
        self.read_at(layout, text, 0, text.len(), reference)
    }

    /// As [`Memo::read`], at `text[at..end]`: where it ends.
    #[inline]
    pub(crate) fn read_at(
        &mut self,
        layout: &Layout,
        text: &[u8],
        at: usize,
        end: usize,
        reference: Timestamp,
    ) -> Option<usize> {
        if let Some(after) = self.again(text, at, end) {
            return Some(after);
        }
        let len = self.read_afresh(layout, text.get(at..end)?, reference)?;
        Some(at + len)
    }

    #[inline(never)]
    fn read_afresh(&mut self, layout: &Layout, text: &[u8], reference: Timestamp) -> Option<usize> {
        let (time, len, fraction) = layout.read_with_fraction(text, Some(reference))?;
        self.forget();
        self.time = time;
        // A time that goes on in other lines must not be cut short, and what any
        // layout reads depends on what follows.
        if !ends(text, len) || layout.items.contains(&Item::Any) {
            return Some(len);
        }
        let (start, end) = fraction.clone().map_or((len, len), |f| (f.start, f.end));
        let kept = Kept::new(&text[..start]).zip(Kept::new(&text[end..len]));
        if let Some((before, after)) = kept.filter(|_| start > 0) {
            self.before = before;
            self.after = after;
            self.has_fraction = fraction.is_some();
            let nanos = fraction_digits(&text[start..end]).0;
            self.base = Timestamp(time.0 - i64::from(nanos));
        }
        Some(len)
    }

    /// Reads a time that differs from the last in its fraction at most.
    #[inline]
    fn again(&mut self, text: &[u8], at: usize, end: usize) -> Option<usize> {
        let mut after = self.before.pass(text, at)?;
        (self.before.len > 0 && after <= end).then_some(())?;
        if self.has_fraction {
            let (nanos, len) = fraction_digits(&text[after..end]);
            (len > 0).then_some(())?;
            self.time = Timestamp(self.base.0.checked_add(i64::from(nanos))?);
            after = self.after.pass(text, after + len)?;
            (after <= end).then_some(())?;
        }
        ends(&text[..end], after).then_some(after)
    }

    /// Remembers a time that was read elsewhere, by its text.
    pub fn set(&mut self, text: &[u8], time: Timestamp) {
        self.forget();
        self.time = time;
        if let Some(kept) = Kept::new(text) {
            self.before = kept;
            self.has_fraction = false;
        }
    }

    /// Remembers nothing any more.
    pub fn forget(&mut self) {
        self.before = Kept::EMPTY;
    }
}

/// A few bytes of a time, which is nearly always the next one's too.
#[derive(Clone, Copy, Debug)]
struct Kept<const CHUNKS: usize> {
    bytes: [[u8; Chunk::LEN]; CHUNKS],
    len: usize,
}

impl<const CHUNKS: usize> Kept<CHUNKS> {
    const EMPTY: Self = Kept {
        bytes: [[0; Chunk::LEN]; CHUNKS],
        len: 0,
    };

    /// `text`, if it is short enough; longer times are read each time.
    fn new(text: &[u8]) -> Option<Self> {
        let mut kept = Self::EMPTY;
        kept.bytes
            .as_flattened_mut()
            .get_mut(..text.len())?
            .copy_from_slice(text);
        kept.len = text.len();
        Some(kept)
    }

    /// Past it, if it stands at `at`.
    #[inline]
    fn pass(&self, text: &[u8], at: usize) -> Option<usize> {
        let mut differences = 0;
        for (i, bytes) in self.bytes.iter().enumerate() {
            let place = i * Chunk::LEN;
            let chunk = Chunk::load(text, at + place);
            differences |= u64::from(chunk.differences(Chunk::new(bytes))) << place;
        }
        (differences & ((1 << self.len) - 1) == 0).then_some(at + self.len)
    }
}

/// Whether a time that ends at `at` cannot go on there in any layout.
#[inline]
fn ends(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), None | Some(b' ' | b']' | b'"' | b'\t' | b'|'))
}
