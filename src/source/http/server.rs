//! Connections that speak HTTP/1.1 or HTTP/2, whoever answers: for listeners of
//! sources and for tflog's own.
//!
//! Connections are bounded, and none may waste its place: a request's head must
//! come within [`HEADER_TIME`], and a connection without a request is closed
//! after a while. One peer has so many of them at most. What a body may take is
//! for who answers.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
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
use tokio::time::{Instant, sleep_until, timeout};

use super::tls::Tls;
use crate::seam::{Connection, Listener, Spawn};

/// Connections at a time unless configured.
pub const CONNECTIONS: usize = 1024;
/// Connections of one peer at a time unless configured: a quarter of them, so
/// that no single one keeps all others out.
pub const CONNECTIONS_PER_PEER: usize = CONNECTIONS / 4;
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

    /// Hears that a connection was closed since its peer has too many.
    fn refused(&self) {}
}

/// How connections are served.
#[derive(Clone)]
pub struct Server {
    /// Component and place, for messages.
    pub label: String,
    /// Connections at a time; more wait in the kernel's backlog.
    pub connections: usize,
    /// Those of one peer; further ones are closed at once.
    pub connections_per_peer: usize,
    /// Silence between requests after which a connection is closed.
    pub idle: Duration,
    /// Encrypts them, if they are to be.
    pub tls: Option<Arc<Tls>>,
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
        let server = Arc::new(self);
        let peers = Arc::new(Peers::default());
        let accepting = async {
            let mut pause = ACCEPT_PAUSE[0];
            while let Ok(slot) = slots.clone().acquire_owned().await {
                match listener.accept().await {
                    Ok((connection, peer)) => {
                        pause = ACCEPT_PAUSE[0];
                        let Some(place) = peers.enter(&peer, server.connections_per_peer) else {
                            handler.refused();
                            continue;
                        };
                        let one = One {
                            handler: handler.clone(),
                            peer: peer.into(),
                            server: server.clone(),
                            closing: closing.clone(),
                            spawn: spawn.clone(),
                            _slot: slot,
                            _place: place,
                        };
                        spawn.task(one.serve(connection));
                    }
                    // The peer's failure, not ours: the next one may be there.
                    Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                    Err(error) => {
                        handler.accept_failed();
                        let label = &server.label;
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
    server: Arc<Server>,
    closing: watch::Receiver<bool>,
    spawn: Spawn,
    _slot: OwnedSemaphorePermit,
    _place: Place,
}

impl<H: Handler> One<H> {
    async fn serve(self, connection: Box<dyn Connection>) {
        let connection = match &self.server.tls {
            None => connection,
            Some(tls) => {
                let shaken = tls.accept(&self.server.label, connection);
                match timeout(HEADER_TIME, shaken).await {
                    Ok(Ok(connection)) => connection,
                    // A client that speaks no TLS, or shows no certificate.
                    _ => return,
                }
            }
        };
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
                        Silence::Idle(since) if ending.is_none() && now >= since + self.server.idle => {
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
        let header_time = self.server.idle.max(HEADER_TIME) + HEADER_TIME;
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

/// The peers that have connections, and how many.
#[derive(Default)]
struct Peers(Mutex<HashMap<Box<str>, usize>>);

impl Peers {
    fn lock(&self) -> MutexGuard<'_, HashMap<Box<str>, usize>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for one more connection of the peer at `address`, if it has
    /// fewer than `max`.
    fn enter(self: &Arc<Self>, address: &str, max: usize) -> Option<Place> {
        let peer = host(address);
        let mut peers = self.lock();
        let count = peers.entry(peer.clone()).or_default();
        if *count >= max {
            return None;
        }
        *count += 1;
        let peers = self.clone();
        Some(Place { peers, peer })
    }
}

/// One of a peer's connections.
struct Place {
    peers: Arc<Peers>,
    peer: Box<str>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut peers = self.peers.lock();
        if let Some(count) = peers.get_mut(&self.peer) {
            *count -= 1;
            if *count == 0 {
                peers.remove(&self.peer);
            }
        }
    }
}

/// Who is at an address: its host, of IPv6 the network, since a host there has
/// as many addresses as it likes.
fn host(address: &str) -> Box<str> {
    match address.parse::<SocketAddr>().map(|a| a.ip().to_canonical()) {
        Ok(IpAddr::V6(ip)) => format!("{:x?}", &ip.segments()[..4]).into(),
        Ok(ip) => ip.to_string().into(),
        Err(_) => address.into(),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_a_host_and_of_ipv6_a_network() {
        let same = |a: &str, b: &str| host(a) == host(b);
        assert!(same("10.0.0.1:1", "10.0.0.1:2"));
        assert!(same("10.0.0.1:1", "[::ffff:10.0.0.1]:2"));
        assert!(!same("10.0.0.1:1", "10.0.0.2:1"));
        assert!(same("[2001:db8::1]:1", "[2001:db8::ffff:2]:2"));
        assert!(!same("[2001:db8::1]:1", "[2001:db8:0:1::1]:1"));
    }

    #[test]
    fn places_come_back_and_leave_nothing_behind() {
        let peers = Arc::new(Peers::default());
        let first = peers.enter("10.0.0.1:1", 1);
        assert!(first.is_some() && peers.enter("10.0.0.1:2", 1).is_none());
        assert!(peers.enter("10.0.0.2:1", 1).is_some());
        drop(first);
        assert!(peers.enter("10.0.0.1:3", 1).is_some());
        assert!(peers.lock().is_empty());
    }
}
