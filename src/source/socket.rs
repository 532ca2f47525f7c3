//! Listening sources: connections to batches, on the runtime.
//!
//! Memory is bounded for the source, not by its peers. Reading takes a chunk
//! out of the source's *window*; a connection gives it back before it waits
//! and keeps at most [`BEGINNING_BYTES_MAX`] of an unfinished line. For longer
//! ones it takes one of few *long-line* places, for a limited time: then the
//! line is cut. A connection without place or window stops reading, and its
//! peer's writes block: that is the backpressure. An event that may still go on
//! (`multiline`) is kept out of a budget of its own; without room there it ends.

use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, SemaphorePermit};
use tokio::task::unconstrained;
use tokio::time::{Instant, sleep_until};

use super::{Hold, Notice, Outlet, SourceError, Stop};
use crate::event::{Chunk, Pool, Stream};
use crate::frame::Framer;
use crate::seam::{Connection, Listener};

/// What an idle connection may keep of an unfinished line: 4 MiB for 1,000
/// connections.
const BEGINNING_BYTES_MAX: usize = 4096;
/// Connections that may be within a longer line at once: 5 MiB at the default
/// line limit.
const LONG_LINES_MAX: usize = 4;
/// How long a peer may take for a line longer than that, before it is cut: so
/// that slow peers cannot keep the places.
const LONG_LINE_TIME: Duration = Duration::from_secs(10);
/// Bytes of events that may still go on, of all connections that wait: hundreds
/// of stack traces.
const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;
/// A chunk this full is sent although more is there to read.
const FULL_BYTES: usize = Pool::CHUNK_BYTES / 4 * 3;
/// Batches up to this size get vectors of their own size: a large chunk would
/// be pinned by a few lines.
const SMALL_BYTES: usize = 16 * 1024;
/// Pauses after failures to accept (out of descriptors, mostly).
const ACCEPT_PAUSE: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// Connections at a time unless configured.
pub(super) const CONNECTIONS: usize = 1000;
/// Most that may be configured: what a process can have open.
pub(super) const CONNECTIONS_MAX: usize = 1 << 20;

/// A bound source of connections.
pub(super) struct Server {
    /// Component and place, for errors.
    pub(super) label: String,
    pub(super) framer: Framer,
    /// Connections at a time; more wait in the kernel's backlog.
    pub(super) connections: usize,
    /// What they may fill at once, in whole chunks.
    pub(super) window_bytes: usize,
    /// Silence after which a connection is closed.
    pub(super) idle: Option<Duration>,
}

/// What the connections of a source share.
struct Shared {
    server: Server,
    outlet: Outlet,
    stop: Stop,
    slots: Arc<Semaphore>,
    window: Semaphore,
    long_lines: Semaphore,
    held: Semaphore,
    /// Told when the pipeline behind the outlet is gone.
    closed: Notify,
}

impl Server {
    /// Accepts until stopping, then waits for the connections that are open:
    /// they are read to their end or the deadline.
    pub(super) async fn run(
        self,
        mut listener: Box<dyn Listener>,
        outlet: Outlet,
        stop: Stop,
    ) -> Result<(), SourceError> {
        let connections = self.connections;
        let shared = Arc::new(Shared {
            slots: Arc::new(Semaphore::new(connections)),
            window: Semaphore::new(self.window_bytes / Pool::CHUNK_BYTES),
            long_lines: Semaphore::new(LONG_LINES_MAX),
            held: Semaphore::new(HELD_BYTES_MAX),
            closed: Notify::new(),
            server: self,
            outlet,
            stop,
        });
        tokio::select! {
            () = accept_all(&shared, listener.as_mut()) => {}
            _ = shared.stop.stopping() => {}
            () = shared.closed.notified() => return Err(SourceError::Closed),
        }
        drop(listener);
        // All slots are free once the last connection has ended.
        tokio::select! {
            _ = shared.slots.acquire_many(connections as u32) => Ok(()),
            () = shared.closed.notified() => Err(SourceError::Closed),
        }
    }
}

async fn accept_all(shared: &Arc<Shared>, listener: &mut dyn Listener) {
    let mut pause = ACCEPT_PAUSE[0];
    loop {
        let Ok(slot) = shared.slots.clone().acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((connection, peer)) => {
                pause = ACCEPT_PAUSE[0];
                let connection = serve(shared.clone(), connection, peer, slot);
                shared.outlet.world.spawn.beside_stages(connection);
            }
            // The peer's failure, not ours: the next one may be there.
            Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
            Err(error) => {
                shared.outlet.count(Notice::AcceptFailed, 1);
                let label = &shared.server.label;
                tracing::warn!("{label}: cannot accept, trying again in {pause:?}: {error}");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(ACCEPT_PAUSE[1]);
            }
        }
    }
}

async fn serve(
    shared: Arc<Shared>,
    connection: Box<dyn Connection>,
    peer: String,
    slot: OwnedSemaphorePermit,
) {
    let mut meta = Vec::new();
    if !peer.is_empty() {
        meta.push(("peer".into(), peer.into()));
    }
    let reader = Reader {
        stream: shared.outlet.stream(meta),
        framer: shared.server.framer.clone(),
        shared: &shared,
        connection,
        beginning: Vec::new(),
        long: None,
        held: None,
        hold: Hold::default(),
        position: 0,
    };
    if let Err(SourceError::Closed) = reader.run().await {
        shared.closed.notify_one();
    }
    drop(slot);
}

/// One connection.
struct Reader<'a> {
    shared: &'a Shared,
    connection: Box<dyn Connection>,
    stream: Arc<Stream>,
    framer: Framer,
    /// The unfinished line, while no chunk is held.
    beginning: Vec<u8>,
    /// The unfinished line if it is long, with its place.
    long: Option<LongLine<'a>>,
    /// The room that `beginning` takes beyond its own, for an event that may
    /// still go on.
    held: Option<SemaphorePermit<'a>>,
    hold: Hold,
    /// Of the next chunk's first byte in the stream.
    position: u64,
}

struct LongLine<'a> {
    chunk: Box<Chunk>,
    deadline: Instant,
    _place: SemaphorePermit<'a>,
}

/// How a turn of reading ended.
enum Turn {
    /// Nothing more is there yet; the task is woken when there is.
    Empty,
    /// The peer has finished, or cannot go on.
    End,
}

/// Why waiting for input ended.
enum Woken {
    Input,
    LongLineTimeout,
    HoldOver,
    Idle,
    Stopped,
}

impl Reader<'_> {
    async fn run(mut self) -> Result<(), SourceError> {
        let stop = self.shared.stop.clone();
        let mut stopped = pin!(stop.expired());
        loop {
            if matches!(self.turn().await?, Turn::End) {
                return Ok(());
            }
            match self.wait(stopped.as_mut()).await {
                Woken::Input => {}
                Woken::LongLineTimeout => self.cut_long_line().await?,
                Woken::HoldOver => self.end_event().await?,
                Woken::Idle => {
                    self.shared.outlet.count(Notice::ConnectionIdle, 1);
                    return self.finish().await;
                }
                Woken::Stopped => return self.finish().await,
            }
        }
    }

    /// Reads and sends until nothing more is there, then gives all memory back
    /// but the beginning of a line.
    async fn turn(&mut self) -> Result<Turn, SourceError> {
        let shared = self.shared;
        // The long line has memory of its own and may always go on.
        let _window = match self.long {
            Some(_) => None,
            None => Some(
                shared
                    .window
                    .acquire()
                    .await
                    .map_err(|_| SourceError::Closed)?,
            ),
        };
        let mut chunk = self.take_chunk();
        loop {
            make_room(&mut chunk, &self.framer);
            let read =
                poll_fn(|context| Poll::Ready(self.connection.poll_fill(context, &mut chunk.text)));
            match read.await {
                // Whatever waits here must read once more before it may say
                // `Empty`: the wake-up may have come meanwhile.
                Poll::Pending if !chunk.ends.is_empty() => chunk = self.send(chunk).await?,
                Poll::Pending if !self.may_hold(&chunk) => self.framer.flush(&mut chunk),
                Poll::Pending if self.needs_place(&chunk) => self.take_place().await?,
                Poll::Pending => {
                    self.hold.note(self.position, &self.framer);
                    self.keep_beginning(chunk);
                    return Ok(Turn::Empty);
                }
                Poll::Ready(Ok(1..)) => match self.framer.frame(&mut chunk) {
                    Ok(framed) => shared.outlet.count_framed(framed),
                    Err(error) => {
                        shared.outlet.count(Notice::FrameInvalid, 1);
                        return self.end(chunk, &error.to_string()).await;
                    }
                },
                Poll::Ready(Ok(0)) => return self.end(chunk, "").await,
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return self.end(chunk, &error.to_string()).await,
            }
            if chunk.text.len() >= FULL_BYTES {
                chunk = self.send(chunk).await?;
            }
        }
    }

    /// Waits for the socket, after `turn` found it empty and left its waker.
    async fn wait(&mut self, stopped: Pin<&mut impl Future<Output = ()>>) -> Woken {
        let mut woken = false;
        let input = poll_fn(|_| {
            if std::mem::replace(&mut woken, true) {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let idle = self.shared.server.idle;
        // With a task's budget used up, `select!` would return before it comes
        // to `input`, and the next poll, the wake-up, would pass for the first.
        unconstrained(async {
            tokio::select! {
                biased;
                () = stopped => Woken::Stopped,
                () = at(self.long.as_ref().map(|long| long.deadline)) => Woken::LongLineTimeout,
                () = at(self.hold.until) => Woken::HoldOver,
                () = at(idle.map(|idle| Instant::now() + idle)) => Woken::Idle,
                () = input => Woken::Input,
            }
        })
        .await
    }

    /// A chunk that starts with the unfinished line.
    fn take_chunk(&mut self) -> Box<Chunk> {
        if let Some(long) = &mut self.long {
            return std::mem::take(&mut long.chunk);
        }
        let mut chunk = self.shared.outlet.pool.take(Pool::CHUNK_BYTES);
        chunk.text.append(&mut self.beginning);
        self.held = None;
        chunk
    }

    /// Whether an event in `chunk` that may still go on can be kept, if one is
    /// there.
    fn may_hold(&mut self, chunk: &Chunk) -> bool {
        let bytes = chunk.text.len().max(self.framer.held());
        if self.framer.held() == 0 || self.long.is_some() || bytes <= BEGINNING_BYTES_MAX {
            return true;
        }
        self.held = self.shared.held.try_acquire_many(bytes as u32).ok();
        self.held.is_some()
    }

    fn needs_place(&self, chunk: &Chunk) -> bool {
        self.long.is_none() && self.held.is_none() && chunk.text.len() > BEGINNING_BYTES_MAX
    }

    async fn take_place(&mut self) -> Result<(), SourceError> {
        let place = self.shared.long_lines.acquire().await;
        self.long = Some(LongLine {
            chunk: Box::default(),
            deadline: Instant::now() + LONG_LINE_TIME,
            _place: place.map_err(|_| SourceError::Closed)?,
        });
        Ok(())
    }

    /// Keeps the unfinished line, all that `chunk` holds, until there is more.
    fn keep_beginning(&mut self, chunk: Box<Chunk>) {
        match &mut self.long {
            Some(long) if chunk.text.len() > BEGINNING_BYTES_MAX => long.chunk = chunk,
            _ => {
                self.long = None;
                self.beginning = chunk.text.as_slice().to_vec();
                self.shared.outlet.pool.give(chunk);
            }
        }
    }

    /// Ends an event that has been waited for long enough.
    async fn end_event(&mut self) -> Result<(), SourceError> {
        let mut chunk = self.take_chunk();
        self.framer.flush(&mut chunk);
        self.hold = Hold::default();
        let rest = self.send(chunk).await?;
        self.keep_beginning(rest);
        Ok(())
    }

    async fn cut_long_line(&mut self) -> Result<(), SourceError> {
        let mut chunk = self.take_chunk();
        let framed = self.framer.cut(&mut chunk);
        self.shared.outlet.count_framed(framed);
        let rest = self.send(chunk).await?;
        self.keep_beginning(rest);
        Ok(())
    }

    /// Sends the whole lines of `chunk`; what remains is the unfinished line.
    async fn send(&mut self, mut chunk: Box<Chunk>) -> Result<Box<Chunk>, SourceError> {
        if chunk.ends.is_empty() {
            return Ok(chunk);
        }
        let outlet = &self.shared.outlet;
        let (whole, rest) = if chunk.framed() <= SMALL_BYTES {
            let whole = chunk.compact();
            chunk.joined = false;
            chunk.text.drain(..whole.text.len());
            chunk.ends.clear();
            chunk.truncated.clear();
            (whole, chunk)
        } else {
            let mut rest = outlet.pool.take(Pool::CHUNK_BYTES);
            chunk.carry_into(&mut rest);
            (chunk, rest)
        };
        let position = self.position;
        self.position += whole.text.len() as u64;
        outlet.send(&self.stream, position, whole).await?;
        if let Some(long) = &mut self.long {
            // What is unfinished now began after these lines, and its peer may
            // have been waiting for us.
            long.deadline = Instant::now() + LONG_LINE_TIME;
        }
        Ok(rest)
    }

    /// Ends with what has been read; `why` is empty if the peer just finished.
    async fn end(&mut self, mut chunk: Box<Chunk>, why: &str) -> Result<Turn, SourceError> {
        if !why.is_empty() {
            let peer = self.stream.meta("peer").map_or("a peer", |peer| peer);
            tracing::debug!("{}: closing {peer}: {why}", self.shared.server.label);
        }
        let framed = self.framer.finish(&mut chunk);
        self.shared.outlet.count_framed(framed);
        let rest = self.send(chunk).await?;
        self.shared.outlet.pool.give(rest);
        Ok(Turn::End)
    }

    async fn finish(&mut self) -> Result<(), SourceError> {
        let chunk = self.take_chunk();
        self.end(chunk, "").await.map(|_| ())
    }
}

/// Waits until then, or for ever.
async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Room for a read: only within a long line is there none left, and then it
/// grows by doubling, but no further than the longest line and a read.
fn make_room(chunk: &mut Chunk, framer: &Framer) {
    const READ_BYTES_MIN: usize = Pool::CHUNK_BYTES - FULL_BYTES;
    let (len, capacity) = (chunk.text.len(), chunk.text.capacity());
    if capacity - len < READ_BYTES_MIN {
        let longest = framer.unfinished_max() + READ_BYTES_MIN;
        let target = (2 * capacity).min(longest).max(len + READ_BYTES_MIN);
        chunk.text.reserve_exact(target - len);
    }
}

#[cfg(test)]
mod tests;
