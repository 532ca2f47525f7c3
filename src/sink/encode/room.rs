//! Writing to the room behind what a buffer holds.
//!
//! Fields are short, so that what costs is the call and the checks for each
//! copy, not the bytes. Here a field and what stands before it are copied as
//! whole blocks, whose length the compiler knows, after one check that there is
//! room for all of them; what a block writes too much, the next one overwrites.
//! Bytes are judged as they are copied.

use std::mem::MaybeUninit;

use super::value::is_number;
use crate::event::escape::{BLOCK, WIDE_BLOCK, is_clean, is_clean_up_to, is_wide_clean};
use crate::event::simd::Chunk;

/// Bytes of a text before a value that are copied at once; longer ones are rare.
pub(super) const HEAD_BLOCK: usize = 2 * BLOCK;

/// What stands before a value: the first `len` bytes of a block.
#[derive(Clone, Copy)]
pub(super) struct Head<'a> {
    block: &'a [u8; HEAD_BLOCK],
    /// None that has more than a block is ever written.
    len: usize,
}

impl<'a> Head<'a> {
    /// A text of `len` bytes in its block.
    pub(super) const fn new(block: &'a [u8; HEAD_BLOCK], len: usize) -> Head<'a> {
        Head { block, len }
    }
}

/// A short text as a block.
pub(super) const fn padded<const N: usize>(text: &[u8; N]) -> [u8; HEAD_BLOCK] {
    let mut block = [0; HEAD_BLOCK];
    block.split_at_mut(N).0.copy_from_slice(text);
    block
}

/// Room that is left, to be written from its beginning.
pub(super) struct Room<'a>(&'a mut [MaybeUninit<u8>]);

/// Lets `write` write behind what `out` holds.
#[inline]
#[allow(unsafe_code)]
pub(super) fn within<T>(out: &mut Vec<u8>, write: impl FnOnce(&mut Room) -> T) -> T {
    let before = out.len();
    let spare = out.spare_capacity_mut();
    let spare_bytes = spare.len();
    let mut room = Room(spare);
    let result = write(&mut room);
    let written = spare_bytes - room.0.len();
    // SAFETY: a room begins as all that is spare, and only `Room::advance` takes
    // from it, from its beginning, and only what its callers have written.
    // `write` cannot put the room of another buffer into its place, as it has to
    // take a room of any lifetime.
    unsafe { out.set_len(before + written) };
    result
}

/// Each writes all that it is given, or nothing and is false: where there is no
/// room for whole blocks, or the value is none that is written as it stands.
impl Room<'_> {
    /// Makes the first `len` bytes part of the buffer: they must have been written.
    #[inline]
    fn advance(&mut self, len: usize) {
        self.0 = &mut std::mem::take(&mut self.0)[len..];
    }

    /// Writes a head that no value follows.
    #[inline]
    pub(super) fn head(&mut self, head: Head) -> bool {
        let Some(to) = self.0.first_chunk_mut::<HEAD_BLOCK>() else {
            return false;
        };
        if head.len > HEAD_BLOCK {
            return false;
        }
        to.write_copy_of_slice(head.block);
        self.advance(head.len);
        true
    }

    /// Writes a head and `text[start..start + len]`, if nothing in that needs an
    /// escape.
    #[inline]
    pub(super) fn text(&mut self, head: Head, text: &[u8], start: usize, len: usize) -> bool {
        if len > BLOCK {
            return match text.get(start..start + len) {
                Some(value) => self.long_text(head, value),
                None => false,
            };
        }
        self.block(head, text, start, len, |from| is_clean_up_to(from, len))
    }

    /// Writes a head and `text[start..start + len]`, if that is a number of JSON
    /// of up to a block.
    #[inline]
    pub(super) fn number(&mut self, head: Head, text: &[u8], start: usize, len: usize) -> bool {
        self.block(head, text, start, len, |from| {
            is_integer(from, len) || is_number(&text[start..start + len])
        })
    }

    /// Writes a head and the first `len` bytes of a value.
    #[inline]
    pub(super) fn ready(&mut self, head: Head, value: &[u8; WIDE_BLOCK], len: usize) -> bool {
        let Some(to) = self.0.first_chunk_mut::<{ HEAD_BLOCK + WIDE_BLOCK }>() else {
            return false;
        };
        to[..HEAD_BLOCK].write_copy_of_slice(head.block);
        let Some(to) = to.get_mut(head.len..head.len + WIDE_BLOCK) else {
            return false;
        };
        if len > WIDE_BLOCK {
            return false;
        }
        to.write_copy_of_slice(value);
        self.advance(head.len + len);
        true
    }

    /// Writes a head and up to a block of `text`, if that is as it has to be.
    #[inline]
    fn block(
        &mut self,
        head: Head,
        text: &[u8],
        start: usize,
        len: usize,
        is_right: impl FnOnce(&[u8; BLOCK]) -> bool,
    ) -> bool {
        let from = text.get(start..start + BLOCK).and_then(|b| b.first_chunk());
        let to = self.0.first_chunk_mut::<{ HEAD_BLOCK + BLOCK }>();
        let (Some(&from), Some(to)) = (from, to) else {
            return false;
        };
        to[..HEAD_BLOCK].write_copy_of_slice(head.block);
        let Some(to) = to.get_mut(head.len..head.len + BLOCK) else {
            return false;
        };
        to.write_copy_of_slice(&from);
        if len > BLOCK || !is_right(&from) {
            return false;
        }
        self.advance(head.len + len);
        true
    }

    /// As [`Room::text`] for a value of more than a block.
    #[inline]
    fn long_text(&mut self, head: Head, value: &[u8]) -> bool {
        let Some(room) = self.0.get_mut(..HEAD_BLOCK + value.len()) else {
            return false;
        };
        room[..HEAD_BLOCK].write_copy_of_slice(head.block);
        let Some(to) = room.get_mut(head.len..head.len + value.len()) else {
            return false;
        };
        let clean = if value.len() <= WIDE_BLOCK {
            copy_ends(value, to)
        } else {
            copy_long(value, to)
        };
        if clean {
            self.advance(head.len + value.len());
        }
        clean
    }
}

/// Copies a value of one to two blocks; says whether nothing in it needs an
/// escape. The second block begins in the first one, so that none reaches behind
/// the value.
#[inline]
fn copy_ends(from: &[u8], to: &mut [MaybeUninit<u8>]) -> bool {
    let Some(last_at) = from.len().checked_sub(BLOCK) else {
        return false;
    };
    let (Some(&first), Some(&last)) = (from.first_chunk(), from[last_at..].first_chunk()) else {
        return false;
    };
    to[..BLOCK].write_copy_of_slice(&first);
    to[last_at..].write_copy_of_slice(&last);
    is_clean(&first) & is_clean(&last)
}

/// As [`copy_ends`] for a value of two blocks or more.
///
/// Not inlined, so that what is stays small.
#[inline(never)]
fn copy_long(from: &[u8], to: &mut [MaybeUninit<u8>]) -> bool {
    let (blocks, _) = from.as_chunks::<WIDE_BLOCK>();
    let (to_blocks, _) = to.as_chunks_mut::<WIDE_BLOCK>();
    for (&block, to) in blocks.iter().zip(to_blocks) {
        to.write_copy_of_slice(&block);
        if !is_wide_clean(&block) {
            return false;
        }
    }
    let (Some(&last), Some(to_last)) = (from.last_chunk(), to.last_chunk_mut::<WIDE_BLOCK>())
    else {
        return false;
    };
    to_last.write_copy_of_slice(&last);
    is_wide_clean(&last)
}

/// Whether the first `len` bytes of a block are a whole number of JSON without
/// sign: what most numbers are.
#[inline]
fn is_integer(block: &[u8; BLOCK], len: usize) -> bool {
    // A bit behind the block ends every number.
    let others = Chunk::new(block).non_digits() | 1 << BLOCK;
    others.trailing_zeros() as usize >= len && len > 0 && (block[0] != b'0' || len == 1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HEAD: Head = Head::new(&padded(b",\"key\":\""), 8);

    /// What `write` appends to a buffer with room for `bytes` more, and what it says.
    fn written(bytes: usize, write: impl FnOnce(&mut Room) -> bool) -> (bool, Vec<u8>) {
        let mut out = Vec::with_capacity(bytes + 6);
        out.extend_from_slice(b"before");
        let capacity = out.capacity();
        let all = within(&mut out, write);
        assert!(out.starts_with(b"before"));
        assert_eq!(out.capacity(), capacity);
        (all, out.split_off(6))
    }

    #[test]
    fn clean_values_of_every_length_are_copied_and_others_refused() {
        for len in 0..150 {
            for tail in ["", "\"", "\" and much more text behind the value"] {
                let text = "x".repeat(len) + tail;
                let text = text.as_bytes();
                let (all, out) = written(400, |room| room.text(HEAD, text, 0, len));
                // Short values need a block to be copied.
                assert_eq!(all, len > BLOCK || text.len() >= BLOCK, "{len}");
                if all {
                    assert_eq!(out, [b",\"key\":\"", &text[..len]].concat());
                }
                if !tail.is_empty() {
                    let unclean = written(400, |room| room.text(HEAD, text, 0, len + 1));
                    assert_eq!(unclean, (false, Vec::new()));
                }
            }
        }
    }

    #[test]
    fn an_unclean_byte_is_found_at_every_place() {
        for len in 1..110 {
            for at in 0..len {
                let mut text = vec![b'x'; len + BLOCK];
                text[at] = b'\\';
                for end in [len, text.len()] {
                    let (all, out) = written(400, |room| room.text(HEAD, &text[..end], 0, len));
                    assert!(!all && out.is_empty(), "{at} of {len}");
                }
            }
        }
    }

    #[test]
    fn all_is_written_or_nothing_whatever_room_there_is() {
        let text = [b'7'; 200];
        let ready = [b'r'; WIDE_BLOCK];
        for bytes in 0..250 {
            for len in [0, 1, BLOCK, BLOCK + 1, WIDE_BLOCK, WIDE_BLOCK + 1, 99] {
                for (all, out) in [
                    written(bytes, |room| room.text(HEAD, &text, 3, len)),
                    written(bytes, |room| room.number(HEAD, &text, 3, len)),
                    written(bytes, |room| room.ready(HEAD, &ready, len)),
                    written(bytes, |room| room.head(HEAD)),
                ] {
                    assert!(all || out.is_empty(), "{len} in {bytes}");
                    assert!(out.is_empty() || out.starts_with(b",\"key\":\""));
                    assert!(out.len() <= bytes);
                }
            }
        }
        for (start, len) in [(190, 11), (190, 100), (201, 0), (usize::MAX / 2, 5)] {
            assert!(!written(400, |room| room.text(HEAD, &text, start, len)).0);
            assert!(!written(400, |room| room.number(HEAD, &text, start, len)).0);
        }
    }

    #[test]
    fn heads_of_every_length_are_written_whole() {
        let text = [b'1'; 99];
        for len in 0..40 {
            let head = Head::new(&[b'h'; HEAD_BLOCK], len);
            for value in [0, 9, 20, 50] {
                let (all, out) = written(400, |room| room.text(head, &text, 0, value));
                assert_eq!(all, len <= HEAD_BLOCK);
                assert!(out.is_empty() || out.len() == len + value);
            }
        }
    }

    proptest! {
        #[test]
        fn numbers_are_those_of_json(
            before in 0..3usize,
            value in "[0-9]{0,18}|-?[0-9]{0,3}[.:/e-]?[0-9]{0,3}|\\PC{0,9}",
            after in proptest::collection::vec(any::<u8>(), 0..20),
        ) {
            let text = [&vec![b'x'; before], value.as_bytes(), &after].concat();
            let (all, out) = written(400, |room| room.number(HEAD, &text, before, value.len()));
            let fits = value.len() <= BLOCK && text.len() >= before + BLOCK;
            prop_assert_eq!(all, fits && is_number(value.as_bytes()));
            prop_assert_eq!(out.is_empty(), !all);
            prop_assert!(!all || out.ends_with(value.as_bytes()));
        }
    }
}
