//! Where events go: the sink trait, encoders, and the driver that retries,
//! merges and settles.
//!
//! A sink never sees an ack. It gets a [`Load`], merged shares without their
//! acks, and says how it went; the driver does the rest.

pub mod blackhole;
pub mod driver;
pub mod encode;
pub mod exec;
pub mod file;
pub mod stderr;
pub mod stdout;
pub mod tcp;
pub mod template;
pub mod unix;

mod descriptor;
mod outgoing;
mod socket;

#[cfg(test)]
mod fixture;

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

pub use self::descriptor::Descriptor;
pub use self::socket::Socket;
use crate::event::{Batch, Rows};

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

/// What a delivered load was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Written {
    /// Bytes that left, after encoding, before compression.
    pub bytes: u64,
    /// Values whose invalid UTF-8 the encoding replaced.
    pub replaced: u64,
    /// Values that a template wanted and an event did not have.
    pub missing: u64,
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
    /// The far end wants no more, ever, and that is no failure: the reader of
    /// stdout went away.
    #[error("the reader closed the stream")]
    Closed,
}

/// The future of one call of a sink; one allocation a load.
pub type SinkFuture<'a, T> = Pin<Box<dyn Future<Output = Result<T, SinkError>> + Send + 'a>>;

/// A destination.
///
/// Runs on a thread of its own and may block it. After [`SinkError::Retry`]
/// the driver calls `write` with the *same* load until it succeeds or tflog
/// stops; a sink of a byte stream remembers how far it came, so that nothing
/// is written twice and no line is torn.
pub trait Sink: Send {
    /// Delivers a load: confirmed or handed over when it returns, as the sink's
    /// documentation says. With `load.wait`, durable.
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written>;

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
