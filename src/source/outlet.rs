//! A source's way into the pipeline.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use super::SourceError;
use crate::event::{Batch, Chunk, EventId, Pool, Settled, Stream};
use crate::frame::Framed;
use crate::seam::{World, relay};

/// Something worth counting that happened to a source's input.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Notice {
    /// A line was cut at the line limit; the event is flagged.
    LineTruncated,
    /// A line beyond the line limit was skipped, as configured.
    LineDropped,
    /// An event of several lines ended at a limit; what goes on from it is the
    /// next one.
    EventSplit,
    /// A connection was closed because its framing was broken.
    FrameInvalid,
    /// A connection was closed because it was idle for too long.
    ConnectionIdle,
    /// A connection could not be accepted.
    AcceptFailed,
    /// A child was started again.
    ChildRestarted,
}

/// What the pipeline does with a source's batches.
pub trait Inlet: Send + Sync {
    /// Takes a batch if there is room now; else it comes back.
    fn try_send(&self, batch: Batch) -> Result<(), Batch> {
        Err(batch)
    }

    /// Takes a batch, waiting for room: the source's backpressure.
    fn send(
        &self,
        batch: Batch,
    ) -> Pin<Box<dyn Future<Output = Result<(), SourceError>> + Send + '_>>;

    /// Whether a new request may be read: no required sink is full and nothing
    /// stops. Those that are turned away are counted with [`Inlet::refuse`].
    fn admits(&self) -> bool {
        true
    }

    /// Counts a request that was turned away before anything of it was read.
    fn refuse(&self) {}

    /// Whether everything sent has been taken up: a reader with a whole line
    /// sends at once then, rather than wait for its chunk to fill.
    fn is_idle(&self) -> bool;

    /// Whether to send a batch is little work: nobody asks what its lines say.
    fn does_little(&self) -> bool {
        false
    }

    /// Counts what happened to the input, for metrics and the ledger.
    fn count(&self, _notice: Notice, _times: u64) {}
}

/// A source's way into the pipeline. Cheap to clone; one for each connection.
#[derive(Clone)]
pub struct Outlet {
    /// The source's place in the plan.
    pub source: usize,
    /// Where chunks come from.
    pub pool: Arc<Pool>,
    /// Clock and randomness.
    pub world: World,
    inlet: Arc<dyn Inlet>,
}

impl Outlet {
    /// An outlet of the source `source` into `inlet`.
    #[must_use]
    pub fn new(source: usize, pool: Arc<Pool>, world: World, inlet: Arc<dyn Inlet>) -> Outlet {
        Outlet {
            source,
            pool,
            world,
            inlet,
        }
    }

    /// A new stream (a connection, a child's stdout) with its metadata.
    #[must_use]
    pub fn stream(&self, meta: Vec<(Box<str>, Arc<str>)>) -> Arc<Stream> {
        Arc::new(Stream {
            source: self.source,
            origin: self.world.random.u128(),
            meta,
        })
    }

    /// Sends the whole lines of a chunk (see [`Chunk`]; the rest must have been
    /// carried over), waiting for room. `position` is the stream offset of its
    /// first byte. An empty chunk goes back to the pool.
    pub async fn send(
        &self,
        stream: &Arc<Stream>,
        position: u64,
        chunk: Box<Chunk>,
    ) -> Result<(), SourceError> {
        if chunk.ends.is_empty() {
            self.pool.give(chunk);
            return Ok(());
        }
        let observed = self.world.clock.now();
        let batch = Batch::new(stream.clone(), position, observed, chunk, self.pool.clone());
        self.hand_in(batch).await
    }

    /// As [`Outlet::send`] of a chunk whose end `waiter` hears of: its events
    /// count as returned if they are given up, since their source will send
    /// them again. It hears of an empty chunk too.
    pub async fn send_awaited(
        &self,
        stream: &Arc<Stream>,
        position: u64,
        chunk: Box<Chunk>,
        waiter: Arc<dyn Settled>,
    ) -> Result<(), SourceError> {
        let observed = self.world.clock.now();
        let batch = Batch::new(stream.clone(), position, observed, chunk, self.pool.clone())
            .awaited_by(waiter);
        self.hand_in(batch).await
    }

    /// As [`Outlet::send_awaited`], of events that have been read before: each
    /// keeps its id.
    pub async fn send_again(
        &self,
        stream: &Arc<Stream>,
        chunk: Box<Chunk>,
        ids: Vec<EventId>,
        waiter: Arc<dyn Settled>,
    ) -> Result<(), SourceError> {
        let observed = self.world.clock.now();
        let batch = Batch::new(stream.clone(), 0, observed, chunk, self.pool.clone())
            .identified(ids)
            .awaited_by(waiter);
        self.hand_in(batch).await
    }

    /// Mostly there is room: no future to allocate.
    async fn hand_in(&self, batch: Batch) -> Result<(), SourceError> {
        let little = self.does_little();
        match relay(little, || self.inlet.try_send(batch)).await {
            Ok(()) => Ok(()),
            Err(batch) => self.inlet.send(batch).await,
        }
    }

    /// Whether a new request may be read now.
    #[must_use]
    pub fn admits(&self) -> bool {
        self.inlet.admits()
    }

    /// Counts a request that was turned away before anything of it was read.
    pub fn refuse(&self) {
        self.inlet.refuse();
    }

    /// Whether everything sent has been taken up.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.inlet.is_idle()
    }

    /// Whether to send a batch is little work.
    pub(super) fn does_little(&self) -> bool {
        self.inlet.does_little()
    }

    /// Counts what happened to the input.
    pub fn count(&self, notice: Notice, times: u64) {
        if times > 0 {
            self.inlet.count(notice, times);
        }
    }

    /// Counts the lines that framing could not keep whole.
    pub(super) fn count_framed(&self, framed: Framed) {
        self.count(Notice::LineTruncated, framed.truncated);
        self.count(Notice::LineDropped, framed.dropped);
        self.count(Notice::EventSplit, framed.split);
    }
}
