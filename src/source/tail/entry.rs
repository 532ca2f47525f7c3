//! One file: how far it has been read, and what of it waits for more.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use flate2::read::MultiGzDecoder;
use tokio::time::Instant;

use super::about::Known;
use super::identity::{Identity, Print, Trail};
use super::settle::Progress;
use crate::event::{Chunk, Pool, Stream, Timestamp};
use crate::frame::Framer;
use crate::seam::{Facts, Opened};
use crate::source::{Hold, Outlet, SourceError};

/// A chunk this full is sent, and it is another file's turn.
const FULL_BYTES: usize = Pool::CHUNK_BYTES / 4 * 3;
/// Least room for a read; less happens only within long lines.
const READ_BYTES_MIN: usize = Pool::CHUNK_BYTES - FULL_BYTES;
/// What is copied out of its chunk.
const SMALL_BYTES: usize = Pool::SMALL_BYTES_MAX;

/// Where a file's bytes come from.
pub(super) enum Input {
    /// Read by offset; more may be appended.
    Plain(Box<dyn Opened>),
    /// Rotated and compressed: read once, in order; offsets are of its content.
    Gzip(Box<MultiGzDecoder<InOrder>>),
}

/// What is known of a file.
pub(super) struct Entry {
    /// Its name now, as far as that is known.
    pub(super) path: PathBuf,
    /// Where that led at first sight, through symbolic links.
    pub(super) real: Option<PathBuf>,
    pub(super) identity: Identity,
    pub(super) print: Print,
    /// Whether more of it is known than is kept.
    pub(super) print_grew: bool,
    /// What stands before where it has been read to.
    pub(super) trail: Trail,
    /// Names its events; its origin is the file's id.
    pub(super) stream: Arc<Stream>,
    pub(super) known: Known,
    pub(super) progress: Arc<Progress>,
    /// None while it is not open.
    pub(super) input: Option<Input>,
    pub(super) watch: Option<i32>,
    framer: Framer,
    /// What belongs to no event yet.
    rest: Box<Chunk>,
    /// How far it has been read.
    pub(super) read: u64,
    /// The same, but for what was let go of and is read again.
    farthest: u64,
    /// Events that it was.
    pub(super) events: u64,
    /// Where reading would have to begin if `rest` were lost.
    pub(super) resume: u64,
    /// The offset that is kept.
    pub(super) saved: u64,
    /// Its size and time of change at the last look.
    pub(super) size: u64,
    pub(super) changed: Timestamp,
    /// Whether it waits for its turn.
    pub(super) queued: bool,
    /// When it was last longer than before.
    pub(super) grown: Instant,
    /// The name that it had until it was renamed or removed.
    pub(super) gone: Option<PathBuf>,
    /// Whether it was read to its end after that.
    pub(super) was_ended: bool,
    pub(super) hold: Hold,
    /// The last look at everything that found it.
    pub(super) seen: u64,
}

/// What a look at an open file says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    Same,
    /// It is shorter than what was read, or begins otherwise.
    Rewritten,
}

/// What there was to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// Perhaps more.
    More,
    /// All of it is read.
    End,
}

impl Entry {
    /// A file to be read from `offset` on.
    pub(super) fn new(
        path: PathBuf,
        facts: &Facts,
        stream: Arc<Stream>,
        framer: Framer,
        progress: Arc<Progress>,
        offset: u64,
    ) -> Entry {
        let mut rest = Box::<Chunk>::default();
        rest.begins_at(offset);
        Entry {
            path,
            real: None,
            identity: Identity::of(facts),
            print: Print::default(),
            print_grew: false,
            trail: Trail::default(),
            stream,
            known: Known::default(),
            input: None,
            watch: None,
            framer,
            rest,
            read: offset,
            farthest: offset,
            events: 0,
            resume: offset,
            saved: progress.settled(),
            size: facts.bytes,
            changed: facts.changed,
            queued: false,
            grown: Instant::now(),
            gone: None,
            was_ended: false,
            hold: Hold::default(),
            seen: 0,
            progress,
        }
    }

    /// Looks at the open file as it is now.
    pub(super) fn look(&mut self) -> io::Result<Look> {
        let Some(Input::Plain(file)) = &self.input else {
            return Ok(Look::Same);
        };
        let facts = file.facts()?;
        let (size, same) = (facts.bytes, self.changed == facts.changed);
        if size < self.read {
            return Ok(Look::Rewritten);
        }
        // It costs a read, which a file that nobody wrote to need not have.
        let touched = !same || size != self.size;
        if touched && !self.print.matches(&**file)? {
            return Ok(Look::Rewritten);
        }
        (self.size, self.changed) = (size, facts.changed);
        Ok(Look::Same)
    }

    /// Whether nothing has changed since the last look.
    pub(super) fn is_as_seen(&self, facts: &Facts) -> bool {
        facts.bytes == self.size && facts.changed == self.changed
    }

    /// Bytes that are there and not settled.
    pub(super) fn lag(&self) -> u64 {
        self.size.saturating_sub(self.progress.settled())
    }

    /// Whether all that was sent of it has settled well.
    pub(super) fn is_done(&self) -> bool {
        self.progress.is_done()
    }

    /// Bytes in memory that belong to no event yet.
    pub(super) fn rest_bytes(&self) -> usize {
        self.rest.text.capacity().max(self.framer.held())
    }

    /// Reads a chunk and sends its events.
    pub(super) async fn turn(&mut self, outlet: &Outlet) -> Result<Turn, SourceError> {
        let mut chunk = outlet.pool.take(Pool::CHUNK_BYTES);
        self.rest.carry_into(&mut chunk);
        let mut turn = Turn::More;
        while chunk.text.len() < FULL_BYTES || chunk.ends.is_empty() {
            make_room(&mut chunk, &self.framer);
            let room = chunk.text.capacity() - chunk.text.len();
            let Some(input) = &mut self.input else { break };
            let bytes = match input.read(self.read, &mut chunk.text) {
                Ok(bytes) => bytes,
                Err(error) => {
                    let path = self.path.display();
                    tracing::warn!("{path}: cannot read at byte {}: {error}", self.read);
                    0
                }
            };
            if bytes > 0 {
                let before = chunk.text.len() - bytes;
                self.trail.follow(self.read, &chunk.text[before..]);
                self.read += bytes as u64;
                if self.read > self.farthest {
                    self.farthest = self.read;
                    self.grown = Instant::now();
                }
                // Newlines and NULs always frame.
                let framed = self.framer.frame(&mut chunk).unwrap_or_default();
                outlet.count_framed(framed);
            }
            if bytes < room {
                turn = Turn::End;
                break;
            }
        }
        self.size = self.size.max(self.read);
        // Not behind it: who sees the first line come may truncate the file.
        self.grow_print();
        self.send(chunk, outlet).await?;
        if turn == Turn::End {
            self.hold.note(self.rest.input_at(0), &self.framer);
        }
        Ok(turn)
    }

    /// Learns more of how the file begins.
    pub(super) fn grow_print(&mut self) {
        if self.print.can_grow(self.read)
            && let Some(Input::Plain(file)) = &self.input
            && let Ok(print) = Print::before(&**file, self.read)
        {
            self.print = print;
            self.print_grew = true;
        }
    }

    /// Ends an event that may go on and has been waited for.
    pub(super) async fn flush(&mut self, outlet: &Outlet) -> Result<(), SourceError> {
        self.hold = Hold::default();
        let mut chunk = std::mem::take(&mut self.rest);
        self.framer.flush(&mut chunk);
        self.send(chunk, outlet).await
    }

    /// Ends what is unfinished: nothing will follow. An event of it is sent.
    pub(super) async fn finish(&mut self, outlet: &Outlet) -> Result<(), SourceError> {
        self.hold = Hold::default();
        let mut chunk = std::mem::take(&mut self.rest);
        let framed = self.framer.finish(&mut chunk);
        outlet.count_framed(framed);
        self.send(chunk, outlet).await
    }

    /// Whether events are held that do not stand at the end: what came after
    /// them has been sent.
    pub(super) fn holds_within(&self) -> bool {
        self.framer.held() > 0 && self.framer.held() > self.rest.text.len()
    }

    /// Lets go of an unfinished line, which can be read again.
    pub(super) fn let_go(&mut self) {
        if self.framer.held() == 0
            && let Some(resume) = self.framer.resumes_at(&self.rest)
        {
            self.framer.forget_line();
            *self.rest = Chunk::default();
            self.rest.begins_at(resume);
            self.read = resume;
        }
    }

    /// Begins again at `offset`.
    pub(super) fn rewind(&mut self, offset: u64, framer: Framer) {
        self.framer = framer;
        self.hold = Hold::default();
        *self.rest = Chunk::default();
        self.rest.begins_at(offset);
        (self.read, self.resume) = (offset, offset);
    }

    /// Closes what can only be read in order; whether it was that, and open.
    pub(super) fn close_compressed(&mut self) -> bool {
        let is_compressed = matches!(self.input, Some(Input::Gzip(_)));
        if is_compressed {
            self.input = None;
        }
        is_compressed
    }

    /// Has other lines of it from here on: what is unfinished is read again.
    pub(super) fn reframe(&mut self, framer: Framer) {
        self.rewind(self.resume, framer);
    }

    /// Goes on behind what is there, without a word of it.
    pub(super) fn pass_over(&mut self, framer: Framer) {
        let end = self.size.max(self.read);
        self.rewind(end, framer);
        self.farthest = end;
        self.progress.skip(end);
    }

    /// Sends the events of `chunk`; the rest stays.
    async fn send(&mut self, mut chunk: Box<Chunk>, outlet: &Outlet) -> Result<(), SourceError> {
        let resume = match self.framer.resumes_at(&chunk) {
            Some(resume) => resume,
            // Within a line that was cut: from its start, or there would be an
            // event that begins in its middle.
            None => last_row_start(&chunk).map_or(self.resume, |at| chunk.input_at(at)),
        };
        let mut rest = Box::<Chunk>::default();
        rest.text.reserve_exact(chunk.text.len() - chunk.framed());
        chunk.carry_into(&mut rest);
        self.rest = rest;
        if chunk.ends.is_empty() {
            if resume > self.resume {
                self.resume = resume;
                self.progress.skip(resume);
            }
            outlet.pool.give(chunk);
            return Ok(());
        }
        let chunk = outlet.pool.shrink(chunk, SMALL_BYTES);
        self.events += chunk.ends.len() as u64;
        self.resume = self.resume.max(resume);
        let waiter = self.progress.batch(self.resume);
        let position = chunk.input_at(0);
        outlet
            .send_awaited(&self.stream, position, chunk, waiter)
            .await
    }
}

fn last_row_start(chunk: &Chunk) -> Option<usize> {
    let last = chunk.ends.len().checked_sub(1)?;
    Some(
        last.checked_sub(1)
            .map_or(0, |row| chunk.ends[row] as usize),
    )
}

/// Room for the next read: grown only within a long line.
fn make_room(chunk: &mut Chunk, framer: &Framer) {
    let (len, capacity) = (chunk.text.len(), chunk.text.capacity());
    if capacity - len < READ_BYTES_MIN {
        let longest = framer.unfinished_max() + READ_BYTES_MIN;
        let target = (2 * capacity).min(longest).max(len + READ_BYTES_MIN);
        chunk.text.reserve_exact(target - len);
    }
}

impl Input {
    /// Appends what stands at `offset` to `text`, as far as there is room.
    fn read(&mut self, offset: u64, text: &mut Vec<u8>) -> io::Result<usize> {
        match self {
            Input::Plain(file) => file.append_at(offset, text),
            Input::Gzip(decoder) => {
                let room = (text.capacity() - text.len()) as u64;
                decoder.by_ref().take(room).read_to_end(text)
            }
        }
    }

    /// A file to be read from byte `offset` of its content on.
    pub(super) fn of(path: &Path, file: Box<dyn Opened>, offset: u64) -> io::Result<Input> {
        if is_compressed(path) {
            Input::gzip(file, offset)
        } else {
            Ok(Input::Plain(file))
        }
    }

    /// A compressed file from byte `offset` of its content on.
    fn gzip(file: Box<dyn Opened>, offset: u64) -> io::Result<Input> {
        let mut decoder = Box::new(MultiGzDecoder::new(InOrder { file, at: 0 }));
        let skipped = io::copy(&mut decoder.by_ref().take(offset), &mut io::sink())?;
        if skipped < offset {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Input::Gzip(decoder))
    }
}

/// Whether a file is one that rotation has compressed, and that can be read.
pub(super) fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "gz")
}

/// A file from its start to its end.
pub(super) struct InOrder {
    pub(super) file: Box<dyn Opened>,
    pub(super) at: u64,
}

impl Read for InOrder {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.file.read_at(self.at, into)?;
        self.at += read as u64;
        Ok(read)
    }
}
