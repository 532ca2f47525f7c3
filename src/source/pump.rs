//! The blocking reader: descriptors to batches, for stdin, files, FIFOs and
//! children's pipes.
//!
//! It blocks the thread it runs on, never in `read` but in a `poll` that a
//! stop wakes, and never while it holds whole events. An event that may still
//! go on (`multiline`) is held no longer than the framer says once nothing more
//! is there. In steady state a chunk costs one `poll` and one `read`.

use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::Arc;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::FileType;
use rustix::io::Errno;
use tokio::time::Instant;

use super::{Hold, Outlet, SourceError, Stop};
use crate::event::{Chunk, Pool, Stream};
use crate::frame::Framer;

/// Pipe sizes to ask for: what `/proc/sys/fs/pipe-max-size` allows by default,
/// else what is left when a user's pipe pages run short.
pub(super) const PIPE_BYTES: [usize; 2] = [1024 * 1024, 256 * 1024];
/// Room of a chunk whose lines are parsed. What comes after the parser runs on
/// threads that take turns, and a turn costs the same for more: half as many are
/// faster. Lines that nobody looks at are faster in the usual chunks.
const PARSED_BYTES: usize = 2 * Pool::CHUNK_BYTES;
/// Least room for a read; less happens only within long lines.
const READ_BYTES_MIN: usize = Pool::CHUNK_BYTES / 4;
/// No more text than this is sent in vectors of its own.
const SMALL_BYTES: usize = 16 * 1024;

/// What to read.
pub(super) struct Input<'a> {
    /// The descriptor, open for reading.
    pub(super) fd: BorrowedFd<'a>,
    /// Component and place, for errors.
    pub(super) label: &'a str,
    /// A write end that keeps end of input away until stopping.
    pub(super) held_open: Option<OwnedFd>,
    /// Bytes still read after the deadline, so far as they are there at once:
    /// what a dead writer left in its pipe.
    pub(super) leftover: usize,
}

/// Reads to the end of input, or to the deadline once stopping. A regular file
/// is read as it is; anything else may come slowly.
pub(super) async fn pump(
    input: Input<'_>,
    framer: Framer,
    outlet: &Outlet,
    stream: &Arc<Stream>,
    stop: &Stop,
) -> Result<(), SourceError> {
    let regular = rustix::fs::fstat(input.fd)
        .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile);
    if !regular {
        // Only pipes have a size; smaller ones work too, more slowly.
        let _ = PIPE_BYTES
            .iter()
            .find(|&&bytes| rustix::pipe::fcntl_setpipe_size(input.fd, bytes).is_ok());
    }
    let pump = Pump {
        input,
        regular,
        framer,
        outlet,
        stream,
        stop,
        chunk: Box::default(),
        position: 0,
        hold: Hold::default(),
    };
    pump.run().await
}

struct Pump<'a> {
    input: Input<'a>,
    /// Never has to be waited for, so `poll` has nothing to say.
    regular: bool,
    framer: Framer,
    outlet: &'a Outlet,
    stream: &'a Arc<Stream>,
    stop: &'a Stop,
    chunk: Box<Chunk>,
    /// Of the chunk's first byte in the stream.
    position: u64,
    hold: Hold,
}

/// Why waiting ended.
enum Woken {
    /// A read would return at once.
    Input,
    /// The held event has been waited for long enough.
    HoldOver,
    /// The deadline passed.
    Deadline,
}

impl Pump<'_> {
    async fn run(mut self) -> Result<(), SourceError> {
        let ended = self.read_to_end().await;
        if !matches!(ended, Err(SourceError::Closed)) {
            let framed = self.framer.finish(&mut self.chunk);
            self.outlet.count_framed(framed);
            self.send().await?;
        }
        ended
    }

    async fn read_to_end(&mut self) -> Result<(), SourceError> {
        loop {
            let expired = self.expired();
            let ready = self.is_ready()?;
            if expired && !(ready && self.input.leftover > 0) {
                break;
            }
            if !ready {
                self.send().await?;
                self.let_go();
                self.hold.note(self.position, &self.framer);
                match self.wait()? {
                    Woken::Input => {}
                    Woken::HoldOver => {
                        self.framer.flush(&mut self.chunk);
                        self.send().await?;
                        continue;
                    }
                    Woken::Deadline => break,
                }
            }
            self.make_room();
            let spare = rustix::buffer::spare_capacity(&mut self.chunk.text);
            match rustix::io::read(self.input.fd, spare) {
                Ok(0) => break,
                Ok(read) if expired => {
                    self.input.leftover = self.input.leftover.saturating_sub(read);
                }
                Ok(_) => {}
                Err(Errno::INTR | Errno::AGAIN) => continue,
                Err(error) => return Err(self.failed("cannot read", error)),
            }
            match self.framer.frame(&mut self.chunk) {
                Ok(framed) => self.outlet.count_framed(framed),
                Err(error) => return Err(self.failed("cannot read", error)),
            }
            if self.chunk.text.len() >= self.room_bytes() / 4 * 3 || self.outlet.is_idle() {
                self.send().await?;
            }
        }
        Ok(())
    }

    fn failed(&self, what: &str, error: impl std::fmt::Display) -> SourceError {
        SourceError::Failed(format!("{}: {what}: {error}", self.input.label))
    }

    fn expired(&self) -> bool {
        self.stop
            .deadline()
            .is_some_and(|deadline| deadline <= Instant::now())
    }

    /// Whether a read would return at once.
    fn is_ready(&self) -> Result<bool, SourceError> {
        if self.regular {
            return Ok(true);
        }
        let mut fds = [PollFd::from_borrowed_fd(self.input.fd, PollFlags::IN)];
        self.poll(&mut fds, Some(&Timespec::default()))
    }

    /// Waits until a read would return at once, or it is time for something
    /// else.
    fn wait(&mut self) -> Result<Woken, SourceError> {
        loop {
            let mut fds = [
                PollFd::from_borrowed_fd(self.input.fd, PollFlags::IN),
                PollFd::from_borrowed_fd(self.stop.descriptor(), PollFlags::IN),
            ];
            let stopping = self.stop.deadline();
            if stopping.is_some() {
                // Whoever still has it open for writing may finish.
                self.input.held_open = None;
            }
            // The second has nothing more to say then.
            let fds = &mut fds[..if stopping.is_some() { 1 } else { 2 }];
            let until = stopping.into_iter().chain(self.hold.until).min();
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            let timeout = left.map(|left| Timespec::try_from(left).unwrap_or_default());
            if self.poll(fds, timeout.as_ref())? && !fds[0].revents().is_empty() {
                return Ok(Woken::Input);
            }
            let now = Instant::now();
            if stopping.is_some_and(|deadline| deadline <= now) {
                return Ok(Woken::Deadline);
            }
            if self.hold.until.is_some_and(|until| until <= now) {
                return Ok(Woken::HoldOver);
            }
        }
    }

    /// Whether any is ready; false too if a signal came in between.
    fn poll(
        &self,
        fds: &mut [PollFd<'_>],
        timeout: Option<&Timespec>,
    ) -> Result<bool, SourceError> {
        match poll(fds, timeout) {
            Ok(ready) => Ok(ready > 0),
            Err(Errno::INTR) => Ok(false),
            Err(error) => Err(self.failed("cannot wait for input", error)),
        }
    }

    /// Sends the whole lines, if any, and carries the rest over.
    async fn send(&mut self) -> Result<(), SourceError> {
        if self.chunk.ends.is_empty() {
            return Ok(());
        }
        let mut next = self.outlet.pool.take(self.room_bytes());
        self.chunk.carry_into(&mut next);
        let chunk = std::mem::replace(&mut self.chunk, next);
        let chunk = self.outlet.pool.shrink(chunk, SMALL_BYTES);
        let position = self.position;
        self.position += chunk.text.len() as u64;
        self.outlet.send(self.stream, position, chunk).await
    }

    /// Before waiting: keeps no more memory than the beginning of a line needs.
    fn let_go(&mut self) {
        if self.chunk.text.capacity() > self.chunk.text.len() {
            let beginning = Box::new(Chunk {
                text: self.chunk.text.as_slice().to_vec(),
                ..Chunk::default()
            });
            let chunk = std::mem::replace(&mut self.chunk, beginning);
            self.outlet.pool.give(chunk);
        }
    }

    /// Bytes of a chunk; one three quarters full is sent, busy pipeline or not.
    fn room_bytes(&self) -> usize {
        if self.outlet.does_little() {
            Pool::CHUNK_BYTES
        } else {
            PARSED_BYTES
        }
    }

    /// Room for the next read: a chunk of the usual size, grown only within a
    /// long line.
    fn make_room(&mut self) {
        let len = self.chunk.text.len();
        let capacity = self.chunk.text.capacity();
        let room = self.room_bytes();
        if capacity < room {
            let mut chunk = self.outlet.pool.take(room.max(len));
            self.chunk.carry_into(&mut chunk);
            self.chunk = chunk;
        }
        let spare = self.chunk.text.capacity() - self.chunk.text.len();
        if spare < READ_BYTES_MIN {
            // Doubling, but no further than the longest line and a read.
            let longest = self.framer.unfinished_max() + READ_BYTES_MIN;
            let target = (2 * capacity).min(longest).max(len + READ_BYTES_MIN);
            self.chunk.text.reserve_exact(target - len);
        }
    }
}

#[cfg(test)]
mod tests;
