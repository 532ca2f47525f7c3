//! Octet-counted framing, `LEN SP MSG` (RFC 6587 §3.4.1).
//!
//! Lengths come from the network: digits are bounded before they are summed
//! (compare CVE-2022-24903), and a length is never used to allocate.

use super::{Cursor, FrameError, Framed, Framer};
use crate::event::Chunk;

/// Where in a frame the stream is.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Octet {
    /// The length so far, or what is left of it.
    length: usize,
    /// Digits of the length seen.
    digits: u8,
    /// Whether the length is complete and the message follows.
    in_message: bool,
}

impl Octet {
    /// Up to 999,999,999 bytes: more than any line limit in use, and no
    /// overflow in 32 bits.
    pub(super) const DIGITS_MAX: u8 = 9;

    /// Takes one byte of a length; true when it was complete.
    fn take(&mut self, byte: u8) -> Result<bool, FrameError> {
        match byte {
            // A length never starts with zero.
            b'0'..=b'9' if byte != b'0' || self.digits > 0 => {
                if self.digits == Self::DIGITS_MAX {
                    return Err(FrameError::LengthTooLong);
                }
                self.digits += 1;
                self.length = self.length * 10 + usize::from(byte - b'0');
                Ok(false)
            }
            b' ' if self.digits > 0 => {
                self.in_message = true;
                Ok(true)
            }
            other => Err(FrameError::NotLength(other)),
        }
    }
}

impl Framer {
    pub(super) fn counted(&mut self, chunk: &mut Chunk) -> Result<Framed, FrameError> {
        let mut framed = Framed::default();
        let mut cursor = Cursor::at_partial(chunk, self.partial);
        let outcome = self.counted_frames(&mut cursor, &mut framed);
        self.partial = cursor.finish();
        outcome.map(|()| framed)
    }

    fn counted_frames(
        &mut self,
        cursor: &mut Cursor,
        framed: &mut Framed,
    ) -> Result<(), FrameError> {
        while let &[byte, ..] = cursor.rest() {
            if !self.octet.in_message {
                self.octet.take(byte)?;
                cursor.skip(1);
                continue;
            }
            let bytes = self.octet.length.min(cursor.rest().len());
            self.keep(cursor, bytes, framed);
            self.octet.length -= bytes;
            if self.octet.length == 0 {
                self.octet = Octet::default();
                if !std::mem::take(&mut self.discarding) {
                    cursor.end_message();
                }
            }
        }
        Ok(())
    }
}

impl Cursor<'_> {
    /// Ends a counted message; a newline that it ends in serves as the line's.
    fn end_message(&mut self) {
        if self.chunk.text[self.start..self.write].ends_with(b"\n") {
            self.write -= 1;
        }
        self.end_line();
    }
}
