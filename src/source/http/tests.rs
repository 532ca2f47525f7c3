//! Requests over a network in memory, under a paused clock: what is taken, what
//! is answered, and when.

#[path = "../../../tests/it/answer.rs"]
mod answer;
mod answers;
mod bodies;
mod encrypted;
mod limits;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::Instant;

use self::answer::Answer;
use super::super::record::definition;
use super::super::{Inlet, Notice, Stopper};
use super::*;
use crate::event::{Batch, EventId, Settled, Tally, Timestamp};
use crate::seam::{Connection, MemoryNetwork, Stage};

/// What happens to batches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Kept,
    GivenUp,
    /// Settled later, by [`Keeper::settle`].
    Held,
}

/// A pipeline that keeps what it is sent.
struct Keeper {
    text: Mutex<Vec<u8>>,
    ids: Mutex<Vec<EventId>>,
    batch_bytes: Mutex<Vec<usize>>,
    peers: Mutex<Vec<String>>,
    truncated: AtomicU64,
    lines: watch::Sender<usize>,
    fate: Mutex<Fate>,
    held: Mutex<Vec<Arc<dyn Settled>>>,
    admits: AtomicBool,
    refused: AtomicU64,
    idle: AtomicU64,
}

impl Keeper {
    fn new(fate: Fate) -> Arc<Keeper> {
        Arc::new(Keeper {
            text: Mutex::default(),
            ids: Mutex::default(),
            batch_bytes: Mutex::default(),
            peers: Mutex::default(),
            truncated: AtomicU64::new(0),
            lines: watch::Sender::new(0),
            fate: Mutex::new(fate),
            held: Mutex::default(),
            admits: AtomicBool::new(true),
            refused: AtomicU64::new(0),
            idle: AtomicU64::new(0),
        })
    }

    /// Settles all that is held; from now on everything is kept.
    fn settle(&self) {
        *self.fate.lock().unwrap() = Fate::Kept;
        let held = std::mem::take(&mut *self.held.lock().unwrap());
        held.iter()
            .for_each(|waiter| waiter.settled(Tally::default()));
    }

    fn text(&self) -> String {
        String::from_utf8(self.text.lock().unwrap().clone()).unwrap()
    }

    async fn wait_lines(&self, lines: usize) {
        let mut seen = self.lines.subscribe();
        seen.wait_for(|seen| *seen >= lines).await.unwrap();
    }
}

impl Inlet for Keeper {
    fn send(
        &self,
        mut batch: Batch,
    ) -> std::pin::Pin<Box<dyn Future<Output = Result<(), SourceError>> + Send + '_>> {
        let waiter = batch.take_waiter().expect("requests wait");
        self.text.lock().unwrap().extend_from_slice(batch.text());
        self.ids
            .lock()
            .unwrap()
            .extend((0..batch.rows()).map(|row| batch.id(row)));
        self.batch_bytes.lock().unwrap().push(batch.pinned_bytes());
        let peer = batch.stream.meta("peer").map(ToString::to_string);
        self.peers.lock().unwrap().extend(peer);
        match *self.fate.lock().unwrap() {
            Fate::Kept => waiter.settled(Tally::default()),
            Fate::GivenUp => waiter.settled(Tally {
                returned: 1,
                ..Tally::default()
            }),
            Fate::Held => self.held.lock().unwrap().push(waiter),
        }
        self.lines.send_modify(|lines| *lines += batch.rows());
        Box::pin(async { Ok(()) })
    }

    fn admits(&self) -> bool {
        self.admits.load(Ordering::SeqCst)
    }

    fn refuse(&self) {
        self.refused.fetch_add(1, Ordering::SeqCst);
    }

    fn is_idle(&self) -> bool {
        true
    }

    fn count(&self, notice: Notice, times: u64) {
        match notice {
            Notice::LineTruncated => &self.truncated,
            Notice::ConnectionIdle => &self.idle,
            other => panic!("{other:?}"),
        }
        .fetch_add(times, Ordering::SeqCst);
    }
}

/// A source that is running.
struct Serving {
    keeper: Arc<Keeper>,
    world: World,
    stopper: Stopper,
    run: Stage<Result<(), SourceError>>,
}

const ADDRESS: &str = "127.0.0.1:80";

async fn serve(fate: Fate, options: serde_json::Value) -> Serving {
    serve_as(fate, &definition("http", ADDRESS, options)).await
}

async fn serve_as(fate: Fate, definition: &Definition) -> Serving {
    let mut world = World::simulated(Timestamp(0), 7);
    world.network = Arc::new(MemoryNetwork::default());
    let keeper = Keeper::new(fate);
    let mut http = Box::new(Http::build(definition, &world).expect("valid"));
    http.open().await.expect("free");
    let outlet = Outlet::new(0, Arc::default(), world.clone(), keeper.clone());
    let (stopper, stop) = Stop::new().unwrap();
    let run = world.spawn.stage("http", http.run(outlet, stop)).unwrap();
    Serving {
        keeper,
        world,
        stopper,
        run,
    }
}

impl Serving {
    async fn connect(&self) -> Client {
        let address = Address::Tcp(ADDRESS.to_owned());
        Client(
            self.world
                .network
                .connect(&address)
                .await
                .expect("listening"),
        )
    }

    /// Sends one request on a connection of its own.
    async fn post(&self, headers: &str, body: &[u8]) -> Answer {
        self.connect().await.post(headers, body).await
    }

    /// Stops with so much time; the run must end well.
    async fn stop(self, time: Duration) {
        self.stopper.stop(Instant::now() + time);
        self.run.await.expect("no panic").expect("stopped");
    }
}

struct Client(Box<dyn Connection>);

impl Answer {
    fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.body).unwrap()
    }

    fn closes(&self) -> bool {
        self.head.contains("connection: close")
    }
}

impl Client {
    async fn send(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.expect("open");
    }

    async fn post(&mut self, headers: &str, body: &[u8]) -> Answer {
        let head = format!(
            "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n{headers}\r\n",
            body.len()
        );
        self.send(head.as_bytes()).await;
        // Whoever is refused may be cut off while sending.
        let _ = self.0.write_all(body).await;
        self.answer().await
    }

    async fn answer(&mut self) -> Answer {
        let mut all = Vec::new();
        loop {
            if let Some(answer) = Answer::of(&all) {
                return answer;
            }
            let read = self.0.read_buf(&mut all).await.expect("open");
            assert!(read > 0, "closed after {all:?}");
        }
    }

    /// Waits until the other end closes, without an answer.
    async fn closed(&mut self) {
        let mut all = Vec::new();
        let _ = self.0.read_to_end(&mut all).await;
        assert_eq!(all, b"");
    }
}

fn build(target: &str, options: serde_json::Value) -> Result<Http, BuildError> {
    let world = World::simulated(Timestamp(0), 7);
    Http::build(&definition("http", target, options), &world)
}
