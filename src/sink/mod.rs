//! Where events go: the sink trait, encoders, and the driver that retries,
//! merges and settles.
//!
//! A sink never sees an ack. It gets a [`Load`], merged shares without their
//! acks, and says how it went; the driver does the rest.

pub mod blackhole;
pub mod driver;
pub mod elasticsearch;
pub mod encode;
pub mod exec;
pub mod file;
pub mod http;
#[cfg(feature = "kafka")]
pub mod kafka;
pub mod stderr;
pub mod stdout;
pub mod tcp;
pub mod template;
pub mod unix;

mod descriptor;
mod outgoing;
pub mod remote;
mod socket;

#[cfg(test)]
mod fixture;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

pub use self::descriptor::Descriptor;
pub use self::socket::Socket;
use crate::event::{Batch, Rows};
use crate::telemetry::Gauges;

/// Some rows of one batch, to be delivered.
#[derive(Clone)]
pub struct Part {
    /// The lines and what was parsed of them.
    pub batch: Arc<Batch>,
    /// Which of them.
    pub rows: Rows,
}

/// What one call of [`Sink::write`] delivers, in order.
#[derive(Default)]
pub struct Load {
    /// The shares that were merged; never empty when written.
    pub parts: Vec<Part>,
    /// Events in all.
    pub events: usize,
    /// Whether a source waits for the confirmation: a file is synced then.
    pub wait: bool,
}

impl Load {
    /// Calls `each` with every event's item number, batch and row, in order.
    pub fn for_each(&self, mut each: impl FnMut(u32, &Batch, usize)) {
        let mut item = 0;
        for part in &self.parts {
            part.rows.for_each(part.batch.rows(), |row| {
                each(item, &part.batch, row);
                item += 1;
            });
        }
    }
}

/// What a delivered load was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes that left, after encoding, before compression.
    pub bytes: u64,
    /// Values whose invalid UTF-8 the encoding replaced.
    pub replaced: u64,
    /// Values that a template wanted and an event did not have.
    pub missing: u64,
    /// Events that the service had already, by their id.
    pub already_present: u64,
}

/// What became of a load of which some events were delivered and others not.
/// An item is the place of an event among the load's, counted from 0 in the
/// order of parts and rows; items in neither list were delivered.
#[derive(Debug, Default)]
pub struct Partial {
    /// What the delivered ones were.
    pub written: Written,
    /// Refused for good, ascending by item, each with the reason.
    pub rejected: Vec<(u32, String)>,
    /// To be tried again, ascending.
    pub retry: Vec<u32>,
    /// Why those are to be tried again: component, place, cause and remedy.
    pub message: String,
    /// When the far end wants to be asked again.
    pub after: Option<Duration>,
}

/// Why a load was not delivered.
#[derive(Debug, thiserror::Error)]
pub enum SinkError {
    /// It may work later: the driver calls [`Sink::write`] again with the same
    /// load, after `after` if the far end named a time.
    #[error("{message}")]
    Retry {
        /// Component, place, cause and remedy.
        message: String,
        /// When the far end wants to be asked again.
        after: Option<Duration>,
    },
    /// The far end refuses tflog itself (401, 403): held, tried again at the
    /// slowest pace, and said loudly, since only people can mend it.
    #[error("{message}")]
    Denied {
        /// Component, place, cause and remedy.
        message: String,
    },
    /// The far end refuses the load for what is in it, for good: the driver
    /// looks for the events at fault by halving it, and they become dead letters.
    #[error("{message}")]
    Reject {
        /// What the far end said.
        message: String,
    },
    /// Some events were delivered, others not.
    #[error("{}", .0.message)]
    Partial(Box<Partial>),
    /// The far end wants no more, ever, and that is no failure: the reader of
    /// stdout went away.
    #[error("the reader closed the stream")]
    Closed,
}

/// The future of one call of a sink; one allocation a load.
pub type SinkFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, SinkError>> + Send + 'a>>;

/// How many loads a sink takes at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concurrency {
    /// One after the other.
    One,
    /// Up to so many; their order is the sink's care.
    Fixed(usize),
    /// Up to so many, fewer while the far end is slow or fails. Order is not kept.
    Adaptive(usize),
}

/// A destination.
///
/// Runs on a thread of its own and may block it, unless it takes several loads
/// at once. After [`SinkError::Retry`] the driver calls `write` with the *same*
/// load until it succeeds or tflog stops; a sink of a byte stream remembers how
/// far it came, so that nothing is written twice and no line is torn. After
/// [`SinkError::Partial`] and [`SinkError::Reject`] it gets new loads, of the
/// events that are left.
pub trait Sink: Send {
    /// Delivers a load: confirmed or handed over when it returns, as the sink's
    /// documentation says. With `load.wait`, durable.
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written>;

    /// How many loads it takes at once; each is written by a sink of its own,
    /// made by [`Sink::another`].
    fn concurrency(&self) -> Concurrency {
        Concurrency::One
    }

    /// A further sink to the same place, for a load at the same time: for all
    /// but [`Concurrency::One`].
    fn another(&self) -> Option<Box<dyn Sink>> {
        None
    }

    /// Numbers for `/metrics` that its client library keeps of itself.
    fn gauges(&self) -> Option<Arc<dyn Gauges>> {
        None
    }

    /// Why the far end is away, for a sink that takes several loads and whose
    /// writes wait for it instead of failing: it counts as down meanwhile.
    fn away(&self) -> Option<watch::Receiver<Option<String>>> {
        None
    }

    /// Finishes: flushes, syncs, closes. Nothing is written afterwards.
    fn close(&mut self) -> SinkFuture<'_, ()> {
        Box::pin(async { Ok(()) })
    }

    /// Whether the backing service can be reached now; `Err` says why not.
    /// Called from `/health/ready` between writes.
    fn check(&mut self) -> SinkFuture<'_, ()> {
        Box::pin(async { Ok(()) })
    }
}
