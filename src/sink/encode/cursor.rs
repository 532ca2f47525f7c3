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

    /// Writes over a byte that was written before.
    #[inline]
    pub(super) fn patch(&mut self, position: usize, byte: u8) {
        self.out[position] = byte;
    }

    /// Lets `write` write up to `bytes`: with the position and the bounds in
    /// registers, and one check for all of it.
    #[inline]
    pub(super) fn within<T>(&mut self, bytes: usize, write: impl FnOnce(&mut Room) -> T) -> T {
        self.reserve(bytes);
        let mut room = Room {
            out: &mut self.out,
            at: self.at,
        };
        let result = write(&mut room);
        self.at = room.at;
        result
    }

    /// Writes bytes, making room.
    #[inline]
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.reserve(bytes.len());
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// Lets `write` append to the buffer as a plain vector.
    pub(super) fn append<T>(&mut self, write: impl FnOnce(&mut Vec<u8>) -> T) -> T {
        self.out.truncate(self.at);
        let result = write(&mut self.out);
        self.at = self.out.len();
        result
    }
}

/// Bytes that may be written over.
pub(super) struct Room<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl Room<'_> {
    /// Writes one byte.
    #[inline]
    pub(super) fn byte(&mut self, byte: u8) {
        self.out[self.at] = byte;
        self.at += 1;
    }

    /// Writes the first `len` bytes of a block, over the room for all of it.
    #[inline]
    pub(super) fn block<const N: usize>(&mut self, block: &[u8; N], len: usize) {
        self.out[self.at..self.at + N].copy_from_slice(block);
        self.at += len;
    }

    /// Writes bytes of any number.
    pub(super) fn bytes(&mut self, bytes: &[u8]) {
        self.out[self.at..self.at + bytes.len()].copy_from_slice(bytes);
        self.at += bytes.len();
    }

    /// Writes `text[start..start + len]` if nothing in it needs an escape;
    /// says whether it did. It takes room for `len` and a block.
    #[inline]
    pub(super) fn clean(&mut self, text: &[u8], start: usize, len: usize) -> bool {
        let to = &mut self.out[self.at..];
        let clean = match (text[start..].first_chunk(), to.first_chunk_mut()) {
            (Some(from), Some(to)) if len <= BLOCK => {
                *to = *from;
                is_clean_up_to(from, len)
            }
            _ => copy_long(&text[start..start + len], &mut to[..len]),
        };
        self.at += if clean { len } else { 0 };
        clean
    }
}

/// Copies a value; says whether nothing in it needs an escape. The last block
/// begins in the one before it, so that none reaches behind the value. All is
/// copied before it is judged: a branch less a block.
///
/// Not inlined, so that what is stays small.
#[inline(never)]
fn copy_long(from: &[u8], to: &mut [u8]) -> bool {
    let (from_blocks, _) = from.as_chunks::<BLOCK>();
    let (to_blocks, _) = to.as_chunks_mut::<BLOCK>();
    let mut clean = true;
    for (from, to) in from_blocks.iter().zip(to_blocks) {
        *to = *from;
        clean &= is_clean(from);
    }
    let (Some(last), Some(to_last)) = (from.last_chunk(), to.last_chunk_mut::<BLOCK>()) else {
        to.copy_from_slice(from);
        return all_clean(from);
    };
    *to_last = *last;
    clean & is_clean(last)
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
                assert!(cursor.within(len + BLOCK, |room| room.clean(text.as_bytes(), 0, len)));
                drop(cursor);
                assert_eq!(out, ["before", &text[..len]].concat().as_bytes());

                if tail.is_empty() {
                    continue;
                }
                let mut cursor = Cursor::new(&mut out);
                let clean = |room: &mut Room| room.clean(text.as_bytes(), 0, len + 1);
                assert!(!cursor.within(len + 1 + BLOCK, clean));
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
                    let clean = |room: &mut Room| room.clean(&text[..end], 0, len);
                    assert!(!cursor.within(len + BLOCK, clean), "{at} of {len}");
                    assert_eq!(cursor.position(), 0);
                }
            }
        }
    }
}
