//! A place to write at in a buffer whose bytes exist already.
//!
//! Fields are short, so that what costs is the call and the check for each
//! copy, not the bytes. A cursor makes room once a field and then copies whole
//! blocks, whose length the compiler knows; what a block writes too much, the
//! next one overwrites.

use crate::event::escape::{BLOCK, all_clean, is_clean, is_clean_up_to};

/// Bytes of a key that are copied at once; longer keys are rare.
pub(super) const KEY_BLOCK: usize = 2 * BLOCK;

/// Writes behind what a buffer holds; dropping it gives the buffer back, cut
/// to what was written.
pub(super) struct Cursor<'a> {
    /// Where the buffer belongs; meanwhile it is here, one pointer nearer.
    home: &'a mut Vec<u8>,
    out: Vec<u8>,
    at: usize,
}

impl<'a> Cursor<'a> {
    /// The buffer grows by so much at once: a few lines. New bytes are zeroed,
    /// and those not written over are cut and zeroed again by `append`.
    const GROW_BYTES: usize = 1024;

    pub(super) fn new(home: &'a mut Vec<u8>) -> Cursor<'a> {
        let out = std::mem::take(home);
        let at = out.len();
        Cursor { home, out, at }
    }

    /// Where the next byte goes.
    pub(super) fn position(&self) -> usize {
        self.at
    }

    /// Takes back what was written from `position` on.
    pub(super) fn rewind(&mut self, position: usize) {
        self.at = self.at.min(position);
    }

    /// Makes sure that `bytes` more can be written.
    #[inline]
    pub(super) fn reserve(&mut self, bytes: usize) {
        if self.out.len() - self.at < bytes {
            self.grow(bytes);
        }
    }

    #[cold]
    fn grow(&mut self, bytes: usize) {
        let more = bytes.max(Self::GROW_BYTES);
        self.out.resize(self.at + more, 0);
    }

    /// Writes one byte. Room must have been reserved.
    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.out[self.at] = byte;
        self.at += 1;
    }

    /// Writes over a byte that was written before.
    #[inline]
    pub(super) fn patch(&mut self, position: usize, byte: u8) {
        self.out[position] = byte;
    }

    /// Writes the first `len` bytes of a block. Room for the whole block must
    /// have been reserved.
    #[inline]
    pub(super) fn key(&mut self, block: &[u8; KEY_BLOCK], len: usize) {
        self.out[self.at..self.at + KEY_BLOCK].copy_from_slice(block);
        self.at += len;
    }

    /// Writes bytes, making room.
    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// Writes `text[start..start + len]` if nothing in it needs an escape;
    /// says whether it did. Room for `len` and a block must have been reserved.
    #[inline]
    pub(super) fn clean(&mut self, text: &[u8], start: usize, len: usize) -> bool {
        let whole = len.next_multiple_of(BLOCK);
        let Some(from) = text.get(start..start + whole) else {
            return self.clean_at_end(&text[start..start + len]);
        };
        let to = &mut self.out[self.at..self.at + whole];
        let (from, _) = from.as_chunks::<BLOCK>();
        let (to, _) = to.as_chunks_mut::<BLOCK>();
        let mut left = len;
        for (from, to) in from.iter().zip(to) {
            *to = *from;
            let clean = if left >= BLOCK {
                is_clean(from)
            } else {
                is_clean_up_to(from, left)
            };
            if !clean {
                return false;
            }
            left = left.saturating_sub(BLOCK);
        }
        self.at += len;
        true
    }

    /// A value so near the end of the text that no block can be read over it.
    #[cold]
    fn clean_at_end(&mut self, value: &[u8]) -> bool {
        let clean = all_clean(value);
        if clean {
            self.bytes(value);
        }
        clean
    }

    /// Lets `write` append to the buffer as a plain vector.
    pub(super) fn append<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.out.truncate(self.at);
        let result = write(&mut self.out);
        self.at = self.out.len();
        result
    }
}

impl Drop for Cursor<'_> {
    fn drop(&mut self) {
        self.out.truncate(self.at);
        *self.home = std::mem::take(&mut self.out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clean_values_of_every_length_are_copied_and_others_refused() {
        for len in 0..70 {
            for tail in ["", "\"", "\" and much more text behind the value"] {
                let text = "x".repeat(len) + tail;
                let mut out = b"before".to_vec();
                let mut cursor = Cursor::new(&mut out);
                cursor.reserve(len + BLOCK);
                assert!(cursor.clean(text.as_bytes(), 0, len));
                drop(cursor);
                assert_eq!(out, ["before", &text[..len]].concat().as_bytes());

                if tail.is_empty() {
                    continue;
                }
                let mut cursor = Cursor::new(&mut out);
                cursor.reserve(len + 1 + BLOCK);
                assert!(!cursor.clean(text.as_bytes(), 0, len + 1));
                assert_eq!(cursor.position(), 6 + len);
            }
        }
    }
}
