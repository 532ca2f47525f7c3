//! A load as the bytes of one stream, and how far they got.
//!
//! Shared by the sinks that write to a byte stream. Parts that may leave as
//! they came are pieces of their batch's text and never copied; the rest is
//! encoded once, into a recycled buffer, so that a retry goes on at the very
//! byte where it stopped.

use std::ops::Range;

use super::encode::{Encoder, ends_open};
use super::{Load, Written};

/// What is going out.
pub(super) struct Outgoing {
    encoder: Encoder,
    buffer: Vec<u8>,
    pieces: Vec<Piece>,
    /// The piece being written and how much of it is.
    piece: usize,
    offset: usize,
    prepared: bool,
    bytes: u64,
    /// Whether the stream's last line lacks its line feed.
    open: bool,
}

enum Piece {
    /// Of the buffer.
    Encoded(Range<usize>),
    /// The whole text of the load's part.
    Text(usize),
}

impl Outgoing {
    /// A buffer grown past this by one large load is let go.
    const KEEP_BYTES_MAX: usize = 4 * 1024 * 1024;

    pub(super) fn new(encoder: Encoder) -> Outgoing {
        Outgoing {
            encoder,
            buffer: Vec::new(),
            pieces: Vec::new(),
            piece: 0,
            offset: 0,
            prepared: false,
            bytes: 0,
            open: false,
        }
    }

    /// Encodes the load, unless it is the one being retried.
    pub(super) fn prepare(&mut self, load: &Load) {
        if self.prepared {
            return;
        }
        self.prepared = true;
        for (at, part) in load.parts.iter().enumerate() {
            let start = self.buffer.len();
            let text = self.encoder.verbatim(part);
            let rows = part.rows.count(part.batch.rows());
            if self.open && rows > 0 {
                self.buffer.push(b'\n');
            }
            if text.is_none() {
                self.encoder.encode(part, &mut self.buffer);
            }
            if self.buffer.len() > start {
                self.push_encoded(start..self.buffer.len());
                self.open = ends_open(&self.buffer);
            }
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                self.pieces.push(Piece::Text(at));
                self.bytes += text.len() as u64;
                self.open = ends_open(text);
            }
        }
    }

    /// Neighbours in the buffer are one piece: one write.
    fn push_encoded(&mut self, range: Range<usize>) {
        self.bytes += range.len() as u64;
        if let Some(Piece::Encoded(last)) = self.pieces.last_mut() {
            last.end = range.end;
        } else {
            self.pieces.push(Piece::Encoded(range));
        }
    }

    fn bytes_of<'a>(&'a self, load: &'a Load, piece: usize) -> Option<&'a [u8]> {
        Some(match self.pieces.get(piece)? {
            Piece::Encoded(range) => &self.buffer[range.clone()],
            Piece::Text(part) => load.parts[*part].batch.text(),
        })
    }

    /// What is to be written next; `None` when all is.
    pub(super) fn next<'a>(&'a self, load: &'a Load) -> Option<&'a [u8]> {
        Some(&self.bytes_of(load, self.piece)?[self.offset..])
    }

    /// Says that so many bytes of [`Outgoing::next`] were written.
    pub(super) fn advance(&mut self, load: &Load, bytes: usize) {
        self.offset += bytes;
        let whole = self.bytes_of(load, self.piece).map_or(0, <[u8]>::len);
        if self.offset == whole {
            self.piece += 1;
            self.offset = 0;
        }
    }

    /// Goes back to the start of the line that was being written: a new stream
    /// begins with a whole line.
    pub(super) fn rewind_to_line(&mut self, load: &Load) {
        let written = self.bytes_of(load, self.piece).map(|b| &b[..self.offset]);
        let line = written.and_then(|b| memchr::memrchr(b'\n', b));
        self.offset = line.map_or(0, |at| at + 1);
    }

    /// Goes back to the start of the load.
    pub(super) fn rewind(&mut self) {
        (self.piece, self.offset) = (0, 0);
    }

    /// How many bytes the load is.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Whether the load's last line lacks its line feed.
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    /// Says that the stream is a new one, with no line begun.
    pub(super) fn start_stream(&mut self) {
        if !self.prepared {
            self.open = false;
        }
    }

    /// Ends the load: what it was.
    pub(super) fn finish(&mut self) -> Written {
        let written = Written {
            bytes: self.bytes,
            replaced: self.encoder.take_replaced(),
            ..Written::default()
        };
        self.buffer.clear();
        self.buffer.shrink_to(Self::KEEP_BYTES_MAX);
        self.pieces.clear();
        (self.piece, self.offset, self.bytes) = (0, 0, 0);
        self.prepared = false;
        written
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Needs;
    use crate::sink::encode::Options;
    use crate::sink::fixture::{lines, load, objects};

    /// Everything that goes out, in writes of at most `step` bytes.
    fn drain(outgoing: &mut Outgoing, load: &Load, step: usize) -> Vec<u8> {
        let mut out = Vec::new();
        outgoing.prepare(load);
        while let Some(bytes) = outgoing.next(load) {
            assert!(!bytes.is_empty());
            let len = bytes.len().min(step);
            out.extend_from_slice(&bytes[..len]);
            outgoing.advance(load, len);
            // A retry prepares again and goes on.
            outgoing.prepare(load);
        }
        assert_eq!(outgoing.finish().bytes, out.len() as u64);
        out
    }

    #[test]
    fn open_lines_end_where_more_follows() {
        let mut needs = Needs::default();
        let raw = Encoder::build("raw", Options::default(), &mut needs).unwrap();
        let mut outgoing = Outgoing::new(raw);
        let mut some = lines("skipped\nopen");
        let mut bits = crate::event::Bits::default();
        bits.clear(2);
        bits.insert(1);
        some.rows = bits.to_rows();
        let first = load(
            vec![lines("a\nb"), some.clone(), lines(""), lines("c")],
            false,
        );
        assert_eq!(drain(&mut outgoing, &first, 2), b"a\nb\nopen\nc");
        let second = load(vec![some], false);
        assert_eq!(drain(&mut outgoing, &second, 100), b"\nopen");
        outgoing.start_stream();
        assert_eq!(drain(&mut outgoing, &second, 1), b"open");
    }

    #[test]
    fn verbatim_and_encoded_parts_keep_their_order() {
        let mut needs = Needs::default();
        let json = Encoder::build("json", Options::default(), &mut needs).unwrap();
        let mut outgoing = Outgoing::new(json);
        let mixed = load(
            vec![
                objects("{}\n", &needs),
                lines("x"),
                lines("y\r\n"),
                objects("[1]", &needs),
            ],
            false,
        );
        assert_eq!(
            drain(&mut outgoing, &mixed, 3),
            b"{}\n{\"message\":\"x\"}\n{\"message\":\"y\"}\n[1]\n"
        );
    }

    #[test]
    fn a_new_stream_starts_with_a_whole_line() {
        let raw = Encoder::build("raw", Options::default(), &mut Needs::default()).unwrap();
        let mut outgoing = Outgoing::new(raw);
        let load = load(vec![lines("one\ntwo\n")], false);
        outgoing.prepare(&load);
        for (written, again) in [(2, "one\ntwo\n"), (6, "two\n"), (2, "two\n")] {
            outgoing.advance(&load, written);
            outgoing.rewind_to_line(&load);
            assert_eq!(outgoing.next(&load), Some(again.as_bytes()));
        }
    }
}
