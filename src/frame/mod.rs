//! Bytes to lines: newline, NUL and octet-counted framing (RFC 6587 §3.4); and
//! lines to events, where [`multiline`] joins some.
//!
//! A [`Framer`] works in place on a [`Chunk`]: it looks once at each byte that
//! was appended since its last call and pushes the ends of the lines it finds.
//! Whatever the framing, a line then ends in `\n`. Newline framing leaves
//! bytes as they are: `\r` stays, parsers trim it.
//!
//! No line is longer than the limit, so a chunk never holds more than the
//! limit and one read; with `multiline`, an event more. Reading, and moving
//! the beginning of a line or event to the next chunk, is left to sources.

mod ends;
pub mod multiline;
mod octet;

use memchr::memchr;
use schemars::JsonSchema;
use serde::Deserialize;

use std::time::Duration;

use crate::component::{BuildError, ByteSize, Definition};
use crate::event::Chunk;
use crate::event::simd::Widest;
use ends::Ends;
use multiline::{Bounds, Joiner, Multiline};
use octet::Octet;

/// How lines are told apart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Framing {
    /// Each line ends in `\n`.
    #[default]
    Newline,
    /// Each line ends in a zero byte.
    Nul,
    /// Each line follows its length in decimal and a space (RFC 6587 §3.4.1).
    Octet,
}

/// What happens to a line longer than the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Oversize {
    /// Its beginning is kept and flagged as truncated.
    #[default]
    Truncate,
    /// It is skipped.
    Drop,
}

/// How long a line may be, and what happens to longer ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The longest line, in bytes without its terminator.
    pub line_max: usize,
    /// What happens to longer lines.
    pub oversize: Oversize,
}

impl Limits {
    /// Longer than any sane log line, short enough to buffer by the dozen.
    pub const LINE_MAX: usize = 1024 * 1024;
    /// What may be configured: line ends are 32-bit offsets into a chunk that
    /// holds a line and a read.
    const LINE_MAX_MAX: u64 = 1 << 30;
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            line_max: Self::LINE_MAX,
            oversize: Oversize::Truncate,
        }
    }
}

/// The framing options that every byte source takes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub struct Options {
    /// How lines are told apart.
    #[serde(default)]
    pub framing: Framing,
    /// The longest line; 1 MiB if not given.
    #[serde(default)]
    pub line_max: Option<ByteSize>,
    /// What happens to longer lines.
    #[serde(default)]
    pub oversize: Oversize,
    /// Which lines are parts of the event before them.
    #[serde(default)]
    pub multiline: Multiline,
}

impl Options {
    /// A framer as configured, or what is wrong with the options of
    /// `definition`.
    pub fn framer(&self, definition: &Definition) -> Result<Framer, BuildError> {
        let line_max = match self.line_max {
            None => Limits::LINE_MAX,
            Some(ByteSize(bytes)) if (1..=Limits::LINE_MAX_MAX).contains(&bytes) => bytes as usize,
            Some(ByteSize(bytes)) => {
                let message = format!("{bytes} bytes is not between 1 byte and 1 GiB");
                return Err(definition.error(message).at("line_max"));
            }
        };
        let limits = Limits {
            line_max,
            oversize: self.oversize,
        };
        let joiner = self.multiline.joiner();
        let joiner = joiner.map_err(|(key, message)| definition.error(message).at(key))?;
        Ok(Framer {
            joiner,
            ..Framer::new(self.framing, limits)
        })
    }
}

/// Lines that one call could not keep whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Framed {
    /// Cut at the limit and flagged.
    pub truncated: u64,
    /// Skipped.
    pub dropped: u64,
    /// Events of several lines that ended at a limit of theirs.
    pub split: u64,
}

/// Why a stream cannot be framed any further. Lines before the fault are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Octet counting: something other than a length where one must be.
    #[error(
        "expected the length of a message in decimal, found byte {0:#04x}: \
         is the sender set to octet-counted framing (RFC 6587)?"
    )]
    NotLength(u8),
    /// Octet counting: a length of more digits than any message can have.
    #[error("the length of a message has more than {max} digits", max = Octet::DIGITS_MAX)]
    LengthTooLong,
}

/// Finds the lines of one stream, from its first byte to its last.
#[derive(Clone, Debug)]
pub struct Framer {
    framing: Framing,
    limits: Limits,
    /// Bytes after the chunk's last whole line that have been looked at.
    partial: usize,
    /// Within a line that was cut or is skipped: up to its terminator.
    discarding: bool,
    octet: Octet,
    /// Joins lines to events, if that is wanted.
    joiner: Option<Box<Joiner>>,
}

impl Framer {
    /// A framer at the start of a stream.
    #[must_use]
    pub fn new(framing: Framing, limits: Limits) -> Framer {
        Framer {
            framing,
            limits,
            partial: 0,
            discarding: false,
            octet: Octet::default(),
            joiner: None,
        }
    }

    /// The same, but with lines joined to events as `multiline: auto` does.
    #[must_use]
    pub fn joining_traces(self) -> Framer {
        // The default bounds are valid.
        let joiner = Multiline::Auto(Bounds::default()).joiner().ok().flatten();
        Framer { joiner, ..self }
    }

    /// The same, but for each line being an event.
    #[must_use]
    pub fn of_lines(self) -> Framer {
        Framer {
            joiner: None,
            ..self
        }
    }

    /// The most that can stand behind a chunk's last end and go on.
    #[must_use]
    pub fn unfinished_max(&self) -> usize {
        let held = self.joiner.as_ref().map_or(0, |joiner| joiner.held_max());
        self.limits.line_max + held
    }

    /// Bytes of whole lines that belong to no event yet, of one that may still
    /// go on. Mostly they stand behind the chunk's last end.
    #[must_use]
    pub fn held(&self) -> usize {
        self.joiner.as_ref().map_or(0, |joiner| joiner.held())
    }

    /// Where in its input a marked chunk's stream has to be read again from,
    /// with a new framer, if nothing is kept of what belongs to no event yet;
    /// none within a line that was cut or is skipped: from before it then.
    #[must_use]
    pub fn resumes_at(&self, chunk: &Chunk) -> Option<u64> {
        if self.discarding {
            return None;
        }
        let unframed = chunk.input_at(chunk.framed());
        let wrapped = self.joiner.as_ref().and_then(|joiner| joiner.position());
        Some(wrapped.map_or(unframed, |wrapped| wrapped.min(unframed)))
    }

    /// Forgets the unfinished line, which the reader will give it again from its
    /// start.
    pub fn forget_line(&mut self) {
        self.partial = 0;
    }

    /// How long the reader may wait for what the held lines go on with, before
    /// it ends them with [`Framer::flush`].
    #[must_use]
    pub fn hold_time(&self) -> Duration {
        self.joiner
            .as_ref()
            .map_or(Duration::ZERO, |joiner| joiner.timeout())
    }

    /// Frames what was appended to `chunk` since the last call. The chunk is
    /// the one of the last call or one that its rest was carried into.
    pub fn frame(&mut self, chunk: &mut Chunk) -> Result<Framed, FrameError> {
        let Some(mut joiner) = self.joiner.take() else {
            return self.frame_lines(chunk);
        };
        joiner.unfold(chunk);
        let framed = self.frame_lines(chunk);
        let split = joiner.fold(chunk);
        self.joiner = Some(joiner);
        chunk.plain = false;
        framed.map(|framed| Framed { split, ..framed })
    }

    /// Ends the event that is held, if one is.
    pub fn flush(&mut self, chunk: &mut Chunk) {
        if let Some(joiner) = &mut self.joiner {
            joiner.flush(chunk);
        }
    }

    fn frame_lines(&mut self, chunk: &mut Chunk) -> Result<Framed, FrameError> {
        match self.framing {
            Framing::Newline => Ok(self.delimited(chunk, b'\n')),
            Framing::Nul => Ok(self.delimited(chunk, 0)),
            Framing::Octet => self.counted(chunk),
        }
    }

    /// Ends the stream: what follows the last terminator is a line too, and
    /// stays without one. An octet-counted message that was cut short is
    /// flagged as truncated.
    pub fn finish(&mut self, chunk: &mut Chunk) -> Framed {
        let Some(mut joiner) = self.joiner.take() else {
            return self.finish_lines(chunk);
        };
        joiner.unfold(chunk);
        let mut framed = self.finish_lines(chunk);
        framed.split = joiner.fold(chunk);
        joiner.flush(chunk);
        self.joiner = Some(joiner);
        framed
    }

    fn finish_lines(&mut self, chunk: &mut Chunk) -> Framed {
        let mut framed = Framed::default();
        if self.partial > 0 {
            if self.framing == Framing::Octet {
                chunk.truncated.push(chunk.ends.len() as u32);
                framed.truncated = 1;
            }
            chunk.ends.push(chunk.text.len() as u32);
        }
        *self = Framer::new(self.framing, self.limits);
        framed
    }

    /// Cuts the line being read here as if it had reached the limit: for
    /// readers that must free its memory now. What is held ends too.
    pub fn cut(&mut self, chunk: &mut Chunk) -> Framed {
        let Some(mut joiner) = self.joiner.take() else {
            return self.cut_line(chunk);
        };
        joiner.unfold(chunk);
        let mut framed = self.cut_line(chunk);
        framed.split = joiner.fold(chunk);
        joiner.flush(chunk);
        self.joiner = Some(joiner);
        framed
    }

    fn cut_line(&mut self, chunk: &mut Chunk) -> Framed {
        let mut framed = Framed::default();
        if self.partial > 0 {
            let input = chunk.input_at(chunk.text.len());
            let mut cursor = Cursor::at_partial(chunk, self.partial);
            self.oversize(&mut cursor, &mut framed);
            cursor.mark_line(input);
            self.partial = cursor.finish();
        }
        framed
    }

    fn delimited(&mut self, chunk: &mut Chunk, terminator: u8) -> Framed {
        let start = chunk.framed();
        let from = start + self.partial;
        if self.discarding || chunk.text.len() - start > self.limits.line_max {
            chunk.plain = false;
            return self.delimited_within_limit(chunk, terminator);
        }
        // No line can be too long: the ends are all there is to find.
        let first = chunk.ends.len();
        let mut plain = terminator == b'\n' && (first == 0 || chunk.plain);
        plain &= Widest::get().run(Ends {
            text: &chunk.text,
            from,
            terminator,
            ends: &mut chunk.ends,
        });
        chunk.plain = plain;
        if terminator != b'\n' {
            for &end in &chunk.ends[first..] {
                chunk.text[end as usize - 1] = b'\n';
            }
        }
        self.partial = chunk.text.len() - chunk.framed();
        Framed::default()
    }

    /// As [`Framer::delimited`], closing the gaps that oversize lines leave.
    fn delimited_within_limit(&mut self, chunk: &mut Chunk, terminator: u8) -> Framed {
        let mut framed = Framed::default();
        let mut cursor = Cursor::at_partial(chunk, self.partial);
        // As read, before anything is moved.
        let (from, input) = (cursor.read, cursor.chunk.input_at(cursor.read));
        while let rest @ [_, ..] = cursor.rest() {
            let found = memchr(terminator, rest);
            let bytes = found.unwrap_or(rest.len());
            self.keep(&mut cursor, bytes, &mut framed);
            if found.is_some() {
                cursor.skip(1);
                if !std::mem::take(&mut self.discarding) {
                    cursor.end_line();
                }
                let read = (cursor.read - from) as u64;
                cursor.mark_line(input + read);
            }
        }
        if self.discarding {
            let read = (cursor.read - from) as u64;
            cursor.mark_line(input + read);
        }
        self.partial = cursor.finish();
        framed
    }

    /// Takes the next `bytes` unread bytes into the current line, as far as the
    /// limit lets them.
    fn keep(&mut self, cursor: &mut Cursor, bytes: usize, framed: &mut Framed) {
        let fits = if self.discarding {
            0
        } else {
            bytes.min(self.limits.line_max - cursor.line_len())
        };
        cursor.keep(fits);
        cursor.skip(bytes - fits);
        if fits < bytes && !self.discarding {
            self.oversize(cursor, framed);
        }
    }

    fn oversize(&mut self, cursor: &mut Cursor, framed: &mut Framed) {
        self.discarding = true;
        match self.limits.oversize {
            Oversize::Truncate => {
                cursor.end_truncated();
                framed.truncated += 1;
            }
            Oversize::Drop => {
                cursor.drop_line();
                framed.dropped += 1;
            }
        }
    }
}

/// Rewrites a chunk in place: reads ahead of where it writes.
struct Cursor<'a> {
    chunk: &'a mut Chunk,
    /// Where the current line starts.
    start: usize,
    /// Where the next kept byte goes.
    write: usize,
    /// The next unread byte; never before `write`.
    read: usize,
}

impl<'a> Cursor<'a> {
    fn at_partial(chunk: &'a mut Chunk, partial: usize) -> Cursor<'a> {
        let start = chunk.framed();
        Cursor {
            chunk,
            start,
            write: start + partial,
            read: start + partial,
        }
    }

    fn rest(&self) -> &[u8] {
        &self.chunk.text[self.read..]
    }

    fn line_len(&self) -> usize {
        self.write - self.start
    }

    fn skip(&mut self, bytes: usize) {
        self.read += bytes;
    }

    fn keep(&mut self, bytes: usize) {
        if self.read != self.write {
            let source = self.read..self.read + bytes;
            self.chunk.text.copy_within(source, self.write);
        }
        self.read += bytes;
        self.write += bytes;
    }

    /// Ends the current line, with a newline where `write` is.
    fn end_line(&mut self) {
        if self.write == self.read {
            // No byte was skipped that the newline could replace: a message
            // whose length stood in an earlier chunk. At most once a call.
            self.chunk.text.insert(self.write, b'\n');
            self.read += 1;
        } else {
            self.chunk.text[self.write] = b'\n';
        }
        self.write += 1;
        self.chunk.ends.push(self.write as u32);
        self.start = self.write;
    }

    fn end_truncated(&mut self) {
        self.chunk.truncated.push(self.chunk.ends.len() as u32);
        self.end_line();
    }

    /// Says where in the input the line stood that starts here.
    fn mark_line(&mut self, input: u64) {
        self.chunk.mark(self.start, input);
    }

    fn drop_line(&mut self) {
        self.write = self.start;
    }

    /// Cuts the text behind what was kept; the length of the unfinished line.
    fn finish(self) -> usize {
        self.chunk.text.truncate(self.write);
        self.write - self.start
    }
}

#[cfg(test)]
mod tests;
