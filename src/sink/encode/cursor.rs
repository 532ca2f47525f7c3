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

    /// Writes `text[start..start + len]`, at most eight bytes, of a text that
    /// has eight there. Room for as many must have been reserved.
    #[inline]
    pub(super) fn block(&mut self, text: &[u8], start: usize, len: usize) {
        self.out[self.at..self.at + 8].copy_from_slice(&text[start..start + 8]);
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
        let to = &mut self.out[self.at..];
        let clean = copy_clean(text, start, len, to);
        if clean {
            self.at += len;
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

/// Copies `text[start..start + len]` to where there is room for a block more;
/// says whether nothing in it needs an escape.
///
/// Neither inlined nor a method, so that the cursor's position stays in a
/// register around the call.
#[inline(never)]
fn copy_clean(text: &[u8], start: usize, len: usize, to: &mut [u8]) -> bool {
    if len < BLOCK {
        copy_short(text, start, len, to)
    } else {
        copy_long(&text[start..start + len], &mut to[..len])
    }
}

/// Copies less than a block, as a block if the text has as much; says whether
/// nothing in the value needs an escape.
#[inline]
fn copy_short(text: &[u8], start: usize, len: usize, to: &mut [u8]) -> bool {
    let Some(from) = text.get(start..).and_then(<[u8]>::first_chunk) else {
        let value = &text[start..start + len];
        to[..len].copy_from_slice(value);
        return all_clean(value);
    };
    to[..BLOCK].copy_from_slice(from);
    is_clean_up_to(from, len)
}

/// Copies a block or more; says whether nothing in it needs an escape. The last
/// block begins in the one before it, so that none reaches behind the value.
/// All is copied before it is judged: a branch less a block.
#[inline]
fn copy_long(from: &[u8], to: &mut [u8]) -> bool {
    let (from_blocks, _) = from.as_chunks::<BLOCK>();
    let (to_blocks, _) = to.as_chunks_mut::<BLOCK>();
    let mut clean = true;
    for (from, to) in from_blocks.iter().zip(to_blocks) {
        *to = *from;
        clean &= is_clean(from);
    }
    let (Some(from), Some(to)) = (from.last_chunk(), to.last_chunk_mut::<BLOCK>()) else {
        return false;
    };
    *to = *from;
    clean & is_clean(from)
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
    #[test]
    fn an_unclean_byte_is_found_at_every_place() {
        for len in 1..70 {
            for at in 0..len {
                let mut text = vec![b'x'; len + BLOCK];
                text[at] = b'\\';
                for end in [len, text.len()] {
                    let mut out = Vec::new();
                    let mut cursor = Cursor::new(&mut out);
                    cursor.reserve(len + BLOCK);
                    assert!(!cursor.clean(&text[..end], 0, len), "{at} of {len}");
                    assert_eq!(cursor.position(), 0);
                }
            }
        }
    }
}
