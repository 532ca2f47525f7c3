//! What becomes of a request: whether it is let in, and what it is answered.

use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, EXPECT, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Request, StatusCode, Version};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, watch};
use tokio::time::{sleep, timeout};
use xxhash_rust::xxh3::Xxh3;

use super::super::{Notice, Outlet, Stop};
use super::answer::{self, Problem, Reply};
use super::body::{Format, Reader};
use super::decode::Coding;
use crate::event::{Pool, Stream};
use crate::frame::Framer;

/// Requests that may be within a line longer than a chunk at once.
const LONG_LINES_MAX: usize = 4;
/// Compressed bodies that are read at once. Their windows are up to 8 MiB with
/// zstd (2 MiB as clients send it by default), 32 KiB with the others.
const ZSTD_MAX: usize = 4;
const DEFLATED_MAX: usize = 64;
/// How much longer an answer waits once the time to read is over.
const STOP_ANSWER_TIME: Duration = Duration::from_secs(1);
/// Of a body that is refused, so much is read for so long: a client that hears
/// a reset before it has read the answer never sees the answer.
const REFUSED_BYTES_MAX: u64 = 32 << 20;
const REFUSED_TIME: Duration = Duration::from_secs(2);
/// A refused body up to this size is worth the connection.
const REFUSED_KEEP_BYTES: u64 = 64 * 1024;

const STOPPING: &str = "tflog is stopping: send the request again";
const FULL: &str = "a sink's buffer is full: send the request again later";
const BUSY: &str = "too much is on its way already: send the request again later";
const TIMED_OUT: &str = "the events were not confirmed in time, and may or may not be kept";
const GIVEN_UP: &str = "some events were given up: send the request again";

/// The limits of one request.
pub(super) struct Limits {
    pub(super) framer: Framer,
    /// Bytes as sent.
    pub(super) body_max: u64,
    /// Bytes after decompression.
    pub(super) decompressed_max: u64,
    /// Silence within a body.
    pub(super) idle: Duration,
    /// Wait for the confirmation of all events.
    pub(super) ack_timeout: Duration,
    /// Bytes that may be read and not yet settled.
    pub(super) window_bytes: usize,
    /// Requests at a time.
    pub(super) requests_max: usize,
}

/// Where requests come in.
pub(super) struct Intake {
    /// The source's name.
    pub(super) name: Arc<str>,
    pub(super) paths: Vec<Box<str>>,
    /// Whether the config says who may send, be it anybody.
    pub(super) guarded: bool,
    pub(super) token: Option<Box<str>>,
    pub(super) limits: Limits,
    pub(super) phase: watch::Sender<Phase>,
}

/// Whether the pipeline runs.
#[derive(Clone)]
pub(super) enum Phase {
    /// Not yet: requests wait, since a listener may be there a moment earlier.
    Starting,
    Running(Arc<Running>),
    Ended,
}

/// What requests need of the pipeline, while it runs.
pub(super) struct Running {
    pub(super) outlet: Outlet,
    pub(super) stop: Stop,
    pub(super) window: Arc<Semaphore>,
    pub(super) long_lines: Arc<Semaphore>,
    zstd: Arc<Semaphore>,
    deflated: Arc<Semaphore>,
    slots: Arc<Semaphore>,
    slots_max: usize,
    /// Told when the pipeline behind the outlet is gone.
    pub(super) closed: Notify,
}

impl Running {
    pub(super) fn count_idle(&self) {
        self.outlet.count(Notice::ConnectionIdle, 1);
    }

    /// Waits until no request is in progress.
    pub(super) async fn drained(&self) {
        // Never closed.
        let _ = self.slots.acquire_many(self.slots_max as u32).await;
    }

    /// A place for a request, or why there is none. Where only the window is
    /// full, that passes within moments as long as the sinks go on: the request
    /// waits for as long as its client would have to stay away, unread.
    async fn admit(&self) -> Result<OwnedSemaphorePermit, Problem> {
        if self.stop.deadline().is_some() {
            return Err(Problem::unavailable(STOPPING));
        }
        let refused = |detail| {
            self.outlet.refuse();
            Err(Problem::full(detail))
        };
        if !self.outlet.admits() {
            return refused(FULL);
        }
        let Ok(slot) = self.slots.clone().try_acquire_owned() else {
            return refused(BUSY);
        };
        // A request that nothing is on its way with finds all of the window.
        let room = self.window.acquire_many(Pool::CHUNK_BYTES as u32);
        tokio::select! {
            biased;
            // Given back: what its body takes is charged as it is read.
            _ = room => Ok(slot),
            _ = self.stop.stopping() => Err(Problem::unavailable(STOPPING)),
            () = sleep(answer::REFUSED_PAUSE) => refused(BUSY),
        }
    }

    /// A place for a decompressor.
    async fn decompressor(
        &self,
        coding: Coding,
        patience: Duration,
    ) -> Result<Option<OwnedSemaphorePermit>, Problem> {
        let places = match coding {
            Coding::Identity => return Ok(None),
            Coding::Zstd => &self.zstd,
            Coding::Gzip | Coding::Deflate => &self.deflated,
        };
        match timeout(patience, places.clone().acquire_owned()).await {
            Ok(Ok(place)) => Ok(Some(place)),
            _ => Err(Problem::unavailable(BUSY)),
        }
    }
}

impl Intake {
    /// Lets requests in.
    pub(super) fn start(&self, outlet: Outlet, stop: Stop) -> Arc<Running> {
        let running = Arc::new(Running {
            outlet,
            stop,
            window: Arc::new(Semaphore::new(self.limits.window_bytes)),
            long_lines: Arc::new(Semaphore::new(LONG_LINES_MAX)),
            zstd: Arc::new(Semaphore::new(ZSTD_MAX)),
            deflated: Arc::new(Semaphore::new(DEFLATED_MAX)),
            slots: Arc::new(Semaphore::new(self.limits.requests_max)),
            slots_max: self.limits.requests_max,
            closed: Notify::new(),
        });
        self.phase.send_replace(Phase::Running(running.clone()));
        running
    }

    /// Lets no more requests in.
    pub(super) fn end(&self) {
        self.phase.send_replace(Phase::Ended);
    }

    /// What runs, once it does; none if that is over.
    async fn running(&self) -> Option<Arc<Running>> {
        let mut phase = self.phase.subscribe();
        let started = phase.wait_for(|phase| !matches!(phase, Phase::Starting));
        match started.await.as_deref() {
            Ok(Phase::Running(running)) => Some(running.clone()),
            _ => None,
        }
    }

    pub(super) fn takes(&self, path: &str) -> bool {
        self.paths.iter().any(|taken| **taken == *path)
    }

    /// Takes a request and answers it once all its events are kept, or says
    /// why not.
    pub(super) async fn answer(&self, request: Request<Incoming>, peer: &Arc<str>) -> Reply {
        let (head, mut body) = request.into_parts();
        let running = self.running().await;
        let taken = self.take(&head, &mut body, peer, running.as_deref()).await;
        let mut reply = match taken {
            Ok(events) => answer::kept(events),
            Err(problem) => problem.reply(),
        };
        let stopping = running
            .as_ref()
            .is_none_or(|running| running.stop.deadline().is_some());
        let unread = !body.is_end_stream();
        let left = body.size_hint().upper().unwrap_or(u64::MAX);
        let slow = reply.status() == StatusCode::REQUEST_TIMEOUT;
        let worth_it = !unread || (left <= REFUSED_KEEP_BYTES && !slow);
        let keep = worth_it && !stopping;
        if !keep && head.version < Version::HTTP_2 {
            answer::close(&mut reply);
        }
        if let Some(running) = running.filter(|_| unread && !head.headers.contains_key(EXPECT)) {
            running.outlet.world.spawn.task(swallow(body));
        }
        reply
    }

    async fn take(
        &self,
        head: &Parts,
        body: &mut Incoming,
        peer: &Arc<str>,
        running: Option<&Running>,
    ) -> Result<u64, Problem> {
        if !self.takes(head.uri.path()) {
            return Err(Problem::not_found());
        }
        if head.method != Method::POST {
            return Err(Problem::method());
        }
        self.authorize(&head.headers)?;
        let coding = Coding::of(&head.headers)?;
        if body.size_hint().lower() > self.limits.body_max {
            return Err(Problem::too_large("", self.limits.body_max));
        }
        let running = running.ok_or_else(|| Problem::unavailable(STOPPING))?;
        let _slot = running.admit().await?;
        let limits = &self.limits;
        let _place = running.decompressor(coding, limits.ack_timeout).await?;
        let stream = self.stream(&running.outlet, &head.headers, peer);
        let reader = Reader::new(running, limits, stream, coding, format(&head.headers));
        let read = if coding == Coding::Identity {
            reader.read(body).await?
        } else {
            // Its decompressor's memory must be free again some time.
            let slow = || Problem::too_slow("the compressed body took too long");
            timeout(limits.idle, reader.read(body))
                .await
                .map_err(|_| slow())??
        };
        let (events, awaited) = read;
        tokio::select! {
            biased;
            kept = awaited.kept() => if kept { Ok(events) } else { Err(Problem::unavailable(GIVEN_UP)) },
            () = sleep(limits.ack_timeout) => Err(Problem::unavailable(TIMED_OUT)),
            () = out_of_time(&running.stop) => Err(Problem::unavailable(TIMED_OUT)),
        }
    }

    fn authorize(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(token) = &self.token else {
            return Ok(());
        };
        let given = headers.get(AUTHORIZATION).map(HeaderValue::as_bytes);
        let given = given.and_then(|value| value.split_at_checked("Bearer ".len()));
        match given {
            Some((scheme, given))
                if scheme.eq_ignore_ascii_case(b"Bearer ")
                    && same(given.trim_ascii(), token.as_bytes()) =>
            {
                Ok(())
            }
            _ => Err(Problem::unauthorized()),
        }
    }

    /// The stream of one request: with an `Idempotency-Key`, events of a
    /// request that is sent again have the same ids again.
    fn stream(&self, outlet: &Outlet, headers: &HeaderMap, peer: &Arc<str>) -> Arc<Stream> {
        let meta = if peer.is_empty() {
            Vec::new()
        } else {
            vec![("peer".into(), peer.clone())]
        };
        let Some(key) = headers.get("idempotency-key") else {
            return outlet.stream(meta);
        };
        let mut origin = Xxh3::new();
        origin.update(self.name.as_bytes());
        origin.update(&[0]);
        origin.update(key.as_bytes());
        Arc::new(Stream {
            source: outlet.source,
            origin: origin.digest128(),
            meta,
        })
    }
}

/// Waits until the time to read is over, and a little longer.
async fn out_of_time(stop: &Stop) {
    stop.expired().await;
    sleep(STOP_ANSWER_TIME).await;
}

/// In a time that says nothing of where they differ.
fn same(a: &[u8], b: &[u8]) -> bool {
    let differ = a
        .iter()
        .zip(b)
        .fold(0, |differ, (a, b)| std::hint::black_box(differ | (a ^ b)));
    a.len() == b.len() && differ == 0
}

/// JSON is values; all else, NDJSON too, is lines.
fn format(headers: &HeaderMap) -> Format {
    let content_type = headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok());
    let content_type = content_type.and_then(|value| value.split(';').next());
    match content_type {
        Some(name) if name.trim().eq_ignore_ascii_case("application/json") => Format::Values,
        _ => Format::Lines,
    }
}

/// Reads what is left of a refused body, within limits.
async fn swallow(mut body: Incoming) {
    let reading = async {
        let mut left = REFUSED_BYTES_MAX;
        while let Some(Ok(frame)) = body.frame().await {
            let bytes = frame.data_ref().map_or(0, |data| data.len() as u64);
            if bytes > left {
                return;
            }
            left -= bytes;
        }
    };
    // Whether it ended or not, enough was done.
    let _ = timeout(REFUSED_TIME, reading).await;
}
