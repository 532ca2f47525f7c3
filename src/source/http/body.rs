//! One request's body: decompressed, cut into lines, sent as batches.
//!
//! Memory is bounded for the source, not by its clients. A request fills a
//! chunk that is part of the source's *window*; before it waits for its client
//! it sends the whole lines and gives the chunk back, keeping at most
//! [`BEGINNING_BYTES_MAX`] of an unfinished line. Who keeps more has
//! [`LINE_TIME`] to finish the line. A line longer than a chunk takes one of
//! few *long-line* places. What is sent counts in the window until it settles.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::{Duration, Instant, sleep_until, timeout};

use super::super::SourceError;
use super::answer::Problem;
use super::awaited::Awaited;
use super::decode::{Coding, Decoded, Decoder};
use super::intake::{Limits, Running};
use super::values::Splitter;
use crate::event::{Chunk, Pool, Stream};
use crate::frame::Framer;

/// A chunk this full is sent although more is there to read.
const FULL_BYTES: usize = Pool::CHUNK_BYTES / 4 * 3;
/// Batches up to this size get vectors of their own size: a large chunk would
/// be pinned by a few lines.
const SMALL_BYTES: usize = 16 * 1024;
/// As [`SMALL_BYTES`] while the window is over half full: the sinks are slow to
/// settle, and what a chunk has room for beyond could be another's. Bodies that
/// come over a network are read in parts of about this size.
const SMALL_BYTES_TIGHT: usize = Pool::CHUNK_BYTES / 2;
/// What a request may keep of an unfinished line while it waits.
const BEGINNING_BYTES_MAX: usize = 4096;
/// How long a client may take to finish a line of which more is kept.
const LINE_TIME: Duration = Duration::from_secs(10);
/// Decompressed bytes that are looked at at once; within the cache.
const DECODED_BYTES: usize = 32 * 1024;
/// Room that a step wants at least: a byte of JSON can become two.
const ROOM_MIN: usize = 64;

const SLOW: &str = "the body stopped coming";
const SLOW_LINE: &str = "a long line took too long to come";
const STOPPING: &str = "tflog is stopping: send the request again";
const NO_ROOM: &str = "the request waited too long for room, and part of it may have been kept";

/// How events are told apart in a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    Lines,
    /// JSON values: an array's elements, or one after the other.
    Values,
}

/// Reads one body.
pub(super) struct Reader<'a> {
    running: &'a Running,
    limits: &'a Limits,
    stream: Arc<Stream>,
    awaited: Arc<Awaited>,
    framer: Framer,
    decoder: Option<Decoder>,
    splitter: Option<Splitter>,
    filling: Option<Filling>,
    /// The unfinished line, while no chunk is held.
    beginning: Vec<u8>,
    /// When the unfinished line must have ended, while much of it is kept.
    line_deadline: Option<Instant>,
    /// Of the next chunk's first byte in the decoded body.
    position: u64,
    events: u64,
    body_bytes: u64,
    decoded_bytes: u64,
    /// The whole body's size, where it is known and small.
    small: Option<usize>,
}

struct Filling {
    chunk: Box<Chunk>,
    charge: OwnedSemaphorePermit,
    long_line: Option<OwnedSemaphorePermit>,
}

impl<'a> Reader<'a> {
    pub(super) fn new(
        running: &'a Running,
        limits: &'a Limits,
        stream: Arc<Stream>,
        coding: Coding,
        format: Format,
    ) -> Reader<'a> {
        Reader {
            running,
            limits,
            stream,
            awaited: Awaited::new(),
            framer: match format {
                Format::Lines => limits.framer.clone(),
                // Each value is an event.
                Format::Values => limits.framer.clone().of_lines(),
            },
            decoder: Decoder::new(coding),
            splitter: (format == Format::Values).then(Splitter::default),
            filling: None,
            beginning: Vec::new(),
            line_deadline: None,
            position: 0,
            events: 0,
            body_bytes: 0,
            decoded_bytes: 0,
            small: None,
        }
    }

    /// Reads and sends the whole body: the number of events, and what to wait
    /// for. Of a body that ends early, whole lines may have been sent.
    pub(super) async fn read(
        mut self,
        body: &mut Incoming,
    ) -> Result<(u64, Arc<Awaited>), Problem> {
        let known = body.size_hint().exact().filter(|_| self.decoder.is_none());
        // Two bytes for one of JSON, at worst.
        self.small = known
            .map(|bytes| 2 * bytes as usize + ROOM_MIN)
            .filter(|bytes| *bytes <= SMALL_BYTES);
        let read = self.read_to_end(body).await;
        if let Some(filling) = self.filling.take() {
            self.running.outlet.pool.give(filling.chunk);
        }
        read.map(|()| (self.events, self.awaited))
    }

    async fn read_to_end(&mut self, body: &mut Incoming) -> Result<(), Problem> {
        while let Some(data) = self.next(body).await? {
            self.body_bytes += data.len() as u64;
            if self.body_bytes > self.limits.body_max {
                return Err(Problem::too_large("", self.limits.body_max));
            }
            self.feed(&data).await?;
        }
        self.finish().await
    }

    /// The next part of the body; none at its end.
    async fn next(&mut self, body: &mut Incoming) -> Result<Option<Bytes>, Problem> {
        while !body.is_end_stream() {
            let frame = if let Some(frame) = body.frame().now_or_never() {
                frame
            } else {
                self.let_go().await?;
                if self.framer.held() == 0 {
                    self.wait(body).await?
                } else if let Ok(frame) = timeout(self.framer.hold_time(), self.wait(body)).await {
                    frame?
                } else {
                    self.end_event().await?;
                    continue;
                }
            };
            match frame {
                None => return Ok(None),
                // Trailers say nothing of events.
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(Problem::malformed(format!("the body broke off: {error}")));
                }
            }
        }
        Ok(None)
    }

    async fn wait(
        &self,
        body: &mut Incoming,
    ) -> Result<Option<Result<hyper::body::Frame<Bytes>, hyper::Error>>, Problem> {
        let idle = Instant::now() + self.limits.idle;
        let deadline = self.line_deadline.map_or(idle, |line| line.min(idle));
        tokio::select! {
            biased;
            frame = body.frame() => Ok(frame),
            () = sleep_until(deadline) => {
                self.running.count_idle();
                Err(Problem::too_slow(if deadline == idle { SLOW } else { SLOW_LINE }))
            }
            () = self.running.stop.expired() => Err(Problem::unavailable(STOPPING)),
        }
    }

    async fn feed(&mut self, mut input: &[u8]) -> Result<(), Problem> {
        let Some(mut decoder) = self.decoder.take() else {
            return self.take(input).await;
        };
        let mut plain = Vec::with_capacity(DECODED_BYTES);
        loop {
            plain.clear();
            let Decoded { used, more } = decoder.decode(input, &mut plain)?;
            input = &input[used..];
            self.decoded_bytes += plain.len() as u64;
            if self.decoded_bytes > self.limits.decompressed_max {
                let max = self.limits.decompressed_max;
                return Err(Problem::too_large(" once it is decompressed", max));
            }
            self.take(&plain).await?;
            if input.is_empty() && !more {
                self.decoder = Some(decoder);
                return Ok(());
            }
        }
    }

    /// Takes decoded bytes into chunks.
    async fn take(&mut self, mut bytes: &[u8]) -> Result<(), Problem> {
        while !bytes.is_empty() {
            let mut filling = self.fill().await?;
            let chunk = &mut filling.chunk;
            let room = chunk.text.capacity() - chunk.text.len();
            let step = match &mut self.splitter {
                None => {
                    let step = bytes.len().min(room);
                    chunk.text.extend_from_slice(&bytes[..step]);
                    step
                }
                Some(splitter) => {
                    let step = bytes.len().min(room / 2);
                    splitter.split(&bytes[..step], &mut chunk.text)?;
                    step
                }
            };
            bytes = &bytes[step..];
            self.frame(chunk);
            let full = chunk.text.len() >= FULL_BYTES;
            self.filling = Some(filling);
            if full {
                self.send().await?;
            }
        }
        Ok(())
    }

    /// Newline framing knows no fault.
    fn frame(&mut self, chunk: &mut Chunk) {
        if let Ok(framed) = self.framer.frame(chunk) {
            self.running.outlet.count_framed(framed);
        }
    }

    /// A chunk with room; waits for a part of the window.
    async fn fill(&mut self) -> Result<Filling, Problem> {
        let Some(mut filling) = self.filling.take() else {
            let bytes = self.small.unwrap_or(Pool::CHUNK_BYTES);
            let charge = self.running.window.clone().acquire_many_owned(bytes as u32);
            let charge = self.in_time(charge).await?;
            let mut chunk = if self.small.is_some() {
                let mut chunk = Box::new(Chunk::default());
                chunk.text.reserve_exact(bytes + self.beginning.len());
                chunk
            } else {
                self.running.outlet.pool.take(bytes)
            };
            chunk.text.append(&mut self.beginning);
            let long_line = None;
            return Ok(Filling {
                chunk,
                charge,
                long_line,
            });
        };
        let (len, capacity) = (filling.chunk.text.len(), filling.chunk.text.capacity());
        if capacity - len < ROOM_MIN {
            // Only within a long line: full chunks are sent.
            if filling.long_line.is_none() {
                let place = self.running.long_lines.clone().acquire_owned();
                filling.long_line = Some(self.in_time(place).await?);
            }
            let longest = self.framer.unfinished_max() + Pool::CHUNK_BYTES;
            let target = (2 * capacity).min(longest).max(len + ROOM_MIN);
            filling.chunk.text.reserve_exact(target - len);
        }
        Ok(filling)
    }

    /// Waits for room, but no longer than a client would wait for its answer.
    async fn in_time<T, E>(&self, room: impl Future<Output = Result<T, E>>) -> Result<T, Problem> {
        match timeout(self.limits.ack_timeout, room).await {
            Ok(Ok(room)) => Ok(room),
            Ok(Err(_)) => Err(Problem::unavailable(STOPPING)),
            Err(_) => Err(Problem::unavailable(NO_ROOM)),
        }
    }

    /// Batches up to this size are copied into vectors of their own size.
    fn small_bytes(&self) -> usize {
        if self.running.window.available_permits() < self.limits.window_bytes / 2 {
            SMALL_BYTES_TIGHT
        } else {
            SMALL_BYTES
        }
    }

    /// Sends the whole lines, if any.
    async fn send(&mut self) -> Result<(), Problem> {
        let Some(Filling {
            mut chunk,
            mut charge,
            long_line,
        }) = self.filling.take()
        else {
            return Ok(());
        };
        let framed = chunk.framed();
        if framed == 0 {
            self.filling = Some(Filling {
                chunk,
                charge,
                long_line,
            });
            return Ok(());
        }
        self.line_deadline = None;
        self.beginning.extend_from_slice(&chunk.text[framed..]);
        chunk.text.truncate(framed);
        let held = chunk.text.capacity();
        let chunk = (self.running.outlet.pool).shrink(chunk, self.small_bytes());
        if chunk.text.capacity() < held {
            charge = charge.split(framed).unwrap_or(charge);
        }
        self.events += chunk.ends.len() as u64;
        let position = self.position;
        self.position += framed as u64;
        let waiter = self.awaited.batch(charge);
        let sent = self
            .running
            .outlet
            .send_awaited(&self.stream, position, chunk, waiter);
        match timeout(self.limits.ack_timeout, sent).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(SourceError::Closed | SourceError::Failed(_))) => {
                self.running.closed.notify_one();
                Err(Problem::unavailable(STOPPING))
            }
            Err(_) => Err(Problem::unavailable(NO_ROOM)),
        }
    }

    /// Before waiting for the client: sends the whole lines and gives the
    /// chunk back, unless much of it is an unfinished line.
    async fn let_go(&mut self) -> Result<(), Problem> {
        self.send().await?;
        if let Some(filling) = &mut self.filling {
            if filling.chunk.text.len() > BEGINNING_BYTES_MAX {
                let now = Instant::now();
                self.line_deadline.get_or_insert(now + LINE_TIME);
                return Ok(());
            }
            self.beginning.extend_from_slice(&filling.chunk.text);
            if let Some(filling) = self.filling.take() {
                self.running.outlet.pool.give(filling.chunk);
            }
        }
        if self.beginning.len() > BEGINNING_BYTES_MAX {
            // The rest of a chunk that was sent.
            let filling = self.fill().await?;
            self.filling = Some(filling);
            self.line_deadline = Some(Instant::now() + LINE_TIME);
        }
        Ok(())
    }

    /// Ends an event that may still go on, and has been waited for long enough.
    async fn end_event(&mut self) -> Result<(), Problem> {
        let mut filling = self.fill().await?;
        self.framer.flush(&mut filling.chunk);
        self.filling = Some(filling);
        self.send().await
    }

    async fn finish(&mut self) -> Result<(), Problem> {
        if let Some(decoder) = &self.decoder {
            decoder.finish()?;
        }
        if let Some(mut splitter) = self.splitter.take() {
            let mut filling = self.fill().await?;
            splitter.finish(&mut filling.chunk.text)?;
            self.frame(&mut filling.chunk);
            self.filling = Some(filling);
        }
        if self.filling.is_none() && self.beginning.is_empty() {
            return Ok(());
        }
        let mut filling = self.fill().await?;
        let framed = self.framer.finish(&mut filling.chunk);
        self.running.outlet.count_framed(framed);
        self.filling = Some(filling);
        self.send().await
    }
}
