//! The time that was read last: consecutive lines mostly share all of it but
//! the fraction of the second.

use super::Timestamp;
use super::layout::{Item, Layout};
use super::read::fraction_digits;

/// Reads times of one layout, of which it remembers the last.
#[derive(Clone, Copy, Debug)]
pub struct Memo {
    /// What was read, without the digits of the fraction.
    text: [u8; Memo::BYTES_MAX],
    /// How much of `text` stands before the fraction, and after it.
    before: u8,
    after: u8,
    has_fraction: bool,
    /// The time without the fraction.
    base: Timestamp,
    /// The time that was read last.
    time: Timestamp,
}

impl Memo {
    /// As long as the longest common layout; longer times are read each time.
    const BYTES_MAX: usize = 36;
    /// Remembers nothing.
    pub const EMPTY: Memo = Memo {
        text: [0; Memo::BYTES_MAX],
        before: 0,
        after: 0,
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
        if self.before > 0
            && let Some(len) = self.again(text)
        {
            return Some(len);
        }
        self.read_afresh(layout, text, reference)
    }

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
        let kept = len - (end - start);
        if kept <= Self::BYTES_MAX && start > 0 {
            self.text[..start].copy_from_slice(&text[..start]);
            self.text[start..kept].copy_from_slice(&text[end..len]);
            self.after = (kept - start) as u8;
            self.has_fraction = fraction.is_some();
            let nanos = fraction_digits(&text[start..end]).0;
            self.base = Timestamp(time.0 - i64::from(nanos));
            self.before = start as u8;
        }
        Some(len)
    }

    /// Reads a time that differs from the last in its fraction at most.
    #[inline]
    fn again(&mut self, text: &[u8]) -> Option<usize> {
        let before = usize::from(self.before);
        let mut at = before;
        is_same(text.get(..before)?, self.text.get(..before)?).then_some(())?;
        if self.has_fraction {
            let (nanos, len) = fraction_digits(&text[at..]);
            (len > 0).then_some(())?;
            at += len;
            self.time = Timestamp(self.base.0.checked_add(i64::from(nanos))?);
        }
        let after = usize::from(self.after);
        let kept = self.text.get(before..before + after)?;
        (after == 0 || is_same(text.get(at..at + after)?, kept)).then_some(())?;
        at += after;
        ends(text, at).then_some(at)
    }

    /// Remembers a time that was read elsewhere, by its text.
    pub fn set(&mut self, text: &[u8], time: Timestamp) {
        self.forget();
        self.time = time;
        if text.len() <= Self::BYTES_MAX {
            self.text[..text.len()].copy_from_slice(text);
            self.before = text.len() as u8;
            self.has_fraction = false;
            self.after = 0;
        }
    }

    /// Remembers nothing any more.
    pub fn forget(&mut self) {
        self.before = 0;
    }
}

/// Whether a time that ends at `at` cannot go on there in any layout.
#[inline]
fn ends(text: &[u8], at: usize) -> bool {
    matches!(text.get(at), None | Some(b' ' | b']' | b'"' | b'\t' | b'|'))
}

/// Whether two texts of one length are equal: as long as times are, without a
/// call.
#[inline]
fn is_same(a: &[u8], b: &[u8]) -> bool {
    let (Some(a_first), Some(b_first)) = (a.first_chunk::<16>(), b.first_chunk::<16>()) else {
        return a.iter().zip(b).all(|(a, b)| a == b);
    };
    if a.len() > 32 {
        return a == b;
    }
    let (Some(a_last), Some(b_last)) = (a.last_chunk::<16>(), b.last_chunk::<16>()) else {
        return false;
    };
    let number = |bytes: &[u8; 16]| u128::from_ne_bytes(*bytes);
    (number(a_first) ^ number(b_first)) | (number(a_last) ^ number(b_last)) == 0
}
