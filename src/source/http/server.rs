//! Connections that speak HTTP/1.1 or HTTP/2, whoever answers: for listeners of
//! sources and for tflog's own.
//!
//! Connections are bounded, and none may waste its place: a request's head must
//! come within [`HEADER_TIME`], and a connection without a request is closed
//! after a while. What a body may take is for who answers.

use std::convert::Infallible;
use std::io;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Incoming};
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper::{Request, Response, Version};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{Instant, sleep_until};

use crate::seam::{Connection, Listener, Spawn};

/// Connections at a time unless configured.
pub const CONNECTIONS: usize = 1024;
/// Silence between requests after which a connection is closed, unless
/// configured.
pub const IDLE: Duration = Duration::from_mins(1);
/// How long the head of a request may take from its first byte, and the first
/// byte of a connection.
const HEADER_TIME: Duration = Duration::from_secs(10);
/// How often a connection is looked at.
const LOOK_TIME: Duration = Duration::from_secs(2);
/// What an HTTP/1 connection buffers, and so the largest head.
const HTTP1_BUFFER_BYTES: usize = 64 * 1024;
/// The largest head of HTTP/2.
const HTTP2_HEADER_BYTES: u32 = 16 * 1024;
/// What an HTTP/2 client may send ahead of what was read.
const HTTP2_WINDOW_BYTES: u32 = 128 * 1024;
/// Requests at a time on one HTTP/2 connection.
const HTTP2_STREAMS_MAX: u32 = 32;
/// Pauses after failures to accept (out of descriptors, mostly).
const ACCEPT_PAUSE: [Duration; 2] = [Duration::from_millis(50), Duration::from_secs(1)];

/// Answers requests.
pub trait Handler: Send + Sync + 'static {
    /// What it answers with.
    type Body: Body<Data = Bytes, Error: Into<Box<dyn std::error::Error + Send + Sync>>>
        + Send
        + 'static;

    /// Answers one request of the client at `peer`.
    fn answer(
        &self,
        request: Request<Incoming>,
        peer: &Arc<str>,
    ) -> impl Future<Output = Response<Self::Body>> + Send;

    /// Hears that a connection could not be accepted.
    fn accept_failed(&self) {}
}

/// How connections are served.
#[derive(Clone, Debug)]
pub struct Server {
    /// Component and place, for messages.
    pub label: String,
    /// Connections at a time; more wait in the kernel's backlog.
    pub connections: usize,
    /// Silence between requests after which a connection is closed.
    pub idle: Duration,
}

impl Server {
    /// Accepts until `closing` turns true; then waits for the connections that
    /// are open: each ends with the request that it is in.
    pub async fn serve<H: Handler>(
        self,
        mut listener: Box<dyn Listener>,
        handler: Arc<H>,
        spawn: Spawn,
        closing: watch::Receiver<bool>,
    ) {
        let connections = self.connections;
        let slots = Arc::new(Semaphore::new(connections));
        let mut closed = closing.clone();
        let accepting = async {
            let mut pause = ACCEPT_PAUSE[0];
            while let Ok(slot) = slots.clone().acquire_owned().await {
                match listener.accept().await {
                    Ok((connection, peer)) => {
                        pause = ACCEPT_PAUSE[0];
                        let one = One {
                            handler: handler.clone(),
                            peer: peer.into(),
                            idle: self.idle,
                            closing: closing.clone(),
                            spawn: spawn.clone(),
                            _slot: slot,
                        };
                        spawn.task(one.serve(connection));
                    }
                    // The peer's failure, not ours: the next one may be there.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) => {
                        handler.accept_failed();
                        let label = &self.label;
                        tracing::warn!(
                            "{label}: cannot accept, trying again in {pause:?}: {error}"
                        );
                        tokio::time::sleep(pause).await;
                        pause = (pause * 2).min(ACCEPT_PAUSE[1]);
                    }
                }
            }
        };
        tokio::select! {
            () = accepting => {}
            // Whoever would say so is gone: that says so too.
            _ = closed.wait_for(|closing| *closing) => {}
        }
        drop(listener);
        // All slots are free once the last connection has ended; never closed.
        let _ = slots.acquire_many(connections as u32).await;
    }
}

/// One connection.
struct One<H> {
    handler: Arc<H>,
    peer: Arc<str>,
    idle: Duration,
    closing: watch::Receiver<bool>,
    spawn: Spawn,
    _slot: OwnedSemaphorePermit,
}

impl<H: Handler> One<H> {
    async fn serve(self, connection: Box<dyn Connection>) {
        let watched = Watched::new();
        let io = TokioIo::new(Heard {
            connection,
            watched: watched.clone(),
        });
        let service = service_fn(|request: Request<Incoming>| {
            let request_open = watched.begin(request.version());
            let (handler, peer) = (&self.handler, &self.peer);
            let (handler, peer) = (handler.clone(), peer.clone());
            async move {
                let answer = handler.answer(request, &peer).await;
                drop(request_open);
                Ok::<_, Infallible>(answer)
            }
        });
        let builder = self.builder();
        let mut connection = pin!(builder.serve_connection(io, service));
        let mut closing = self.closing.clone();
        let mut ending = None;
        let mut look = Instant::now() + LOOK_TIME;
        loop {
            tokio::select! {
                // A client that goes away or breaks the protocol is no error.
                _ = connection.as_mut() => return,
                _ = closing.wait_for(|closing| *closing), if ending.is_none() => {
                    connection.as_mut().graceful_shutdown();
                    ending = Some(Instant::now() + HEADER_TIME);
                }
                () = sleep_until(look) => {
                    let now = Instant::now();
                    look = now + LOOK_TIME;
                    match watched.state().silence(now) {
                        Silence::Head => return,
                        Silence::Idle(since) if ending.is_some_and(|end| now >= end.max(since + LOOK_TIME)) => return,
                        Silence::Idle(since) if ending.is_none() && now >= since + self.idle => {
                            connection.as_mut().graceful_shutdown();
                            ending = Some(now + HEADER_TIME);
                        }
                        Silence::Idle(_) | Silence::Busy => {}
                    }
                }
            }
        }
    }

    fn builder(&self) -> Builder<Tasks> {
        let mut builder = Builder::new(Tasks(self.spawn.clone()));
        // A net beneath our own watch, which tells heads from silence.
        let header_time = self.idle.max(HEADER_TIME) + HEADER_TIME;
        builder
            .http1()
            .timer(TokioTimer::new())
            .header_read_timeout(header_time)
            .max_buf_size(HTTP1_BUFFER_BYTES);
        builder
            .http2()
            .timer(TokioTimer::new())
            .initial_stream_window_size(HTTP2_WINDOW_BYTES)
            .initial_connection_window_size(HTTP2_WINDOW_BYTES)
            .max_concurrent_streams(HTTP2_STREAMS_MAX)
            .max_header_list_size(HTTP2_HEADER_BYTES);
        builder
    }
}

/// Runs the streams of HTTP/2.
#[derive(Clone)]
struct Tasks(Spawn);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, future: F) {
        self.0.task(future);
    }
}

/// What a connection is doing.
#[derive(Clone)]
struct Watched(Arc<Mutex<State>>);

struct State {
    /// Requests in progress.
    open: usize,
    /// When the last one ended, or the connection began.
    since: Instant,
    /// When a head began that is not complete.
    head: Option<Instant>,
    /// Whether bytes between requests are no head: HTTP/2.
    multiplexed: bool,
}

#[derive(Debug, PartialEq, Eq)]
enum Silence {
    /// Requests are in progress, or a head is on its way.
    Busy,
    /// Nothing has come since.
    Idle(Instant),
    /// A head takes too long.
    Head,
}

impl State {
    fn silence(&self, now: Instant) -> Silence {
        match self.head {
            _ if self.open > 0 => Silence::Busy,
            Some(head) if now >= head + HEADER_TIME => Silence::Head,
            Some(_) => Silence::Busy,
            None => Silence::Idle(self.since),
        }
    }
}

impl Watched {
    fn new() -> Watched {
        let now = Instant::now();
        Watched(Arc::new(Mutex::new(State {
            open: 0,
            since: now,
            // The first head is due from the beginning.
            head: Some(now),
            multiplexed: false,
        })))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn begin(&self, version: Version) -> Open {
        let mut state = self.state();
        state.open += 1;
        state.head = None;
        state.multiplexed = version >= Version::HTTP_2;
        Open(self.clone())
    }

    fn hear(&self) {
        let mut state = self.state();
        if state.open == 0 && !state.multiplexed {
            state.head.get_or_insert_with(Instant::now);
        }
    }
}

/// A request in progress.
struct Open(Watched);

impl Drop for Open {
    fn drop(&mut self) {
        let mut state = self.0.state();
        state.open -= 1;
        state.since = Instant::now();
    }
}

/// A connection that tells when bytes come.
struct Heard {
    connection: Box<dyn Connection>,
    watched: Watched,
}

impl AsyncRead for Heard {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.connection).poll_read(context, buffer);
        if buffer.filled().len() > before {
            self.watched.hear();
        }
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.connection).poll_write_vectored(context, parts)
    }

    fn is_write_vectored(&self) -> bool {
        self.connection.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.connection).poll_shutdown(context)
    }
}
