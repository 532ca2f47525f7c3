//! Where events come from: the source trait, what sources are given, and the
//! sources.
//!
//! A source reads bytes, frames them into lines (`frame`), and sends them as
//! batches. Two loops do most of the reading: [`pump`] for descriptors that a
//! thread blocks on, `socket` for connections on the runtime. Both send as soon as
//! the pipeline has nothing to do, wait for nothing while they hold whole
//! lines, and hold no chunk while idle. Parsing and routing are left to the
//! pipeline.
//!
//! Descriptors and children are the machine's own, and block: only the sources
//! of connections, `generate` and files that are followed can run under
//! simulation.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

pub mod docker;
pub mod exec;
pub mod fifo;
pub mod file;
pub mod generate;
mod hold;
pub mod http;
pub mod kubernetes;
mod listen;
mod outlet;
mod pump;
pub mod replay;
mod socket;
pub mod stdin;
mod stop;
pub mod tail;
pub mod tcp;
pub mod unix;

#[cfg(test)]
mod record;

use crate::component::ByteSize;
use crate::event::Pool;
use crate::seam::{Address, StateDirectory};
use crate::telemetry::Gauges;

pub use exec::{Child, Exec};
pub use fifo::Fifo;
pub use file::File;
pub use generate::Generate;
use hold::Hold;
pub use http::Http;
pub use outlet::{Inlet, Notice, Outlet};
pub use replay::Replay;
pub use stdin::Stdin;
pub use stop::{Stop, Stopper};
pub use tail::Tail;
pub use tcp::Tcp;
pub use unix::Unix;

/// Bytes that a source may hold of what is not settled or taken up, unless its
/// `window` says otherwise.
pub const WINDOW: ByteSize = ByteSize(4 << 20);

/// Why a source ended before its time.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// Something it needs is not there or failed; component, place, cause and
    /// remedy are in the message.
    #[error("{0}")]
    Failed(String),
    /// The pipeline behind the outlet is gone: everything stops.
    #[error("the pipeline has stopped")]
    Closed,
}

/// The future of a source's call.
pub type SourceFuture<'a> = Pin<Box<dyn Future<Output = Result<(), SourceError>> + Send + 'a>>;

/// How a source with other options takes the place of one that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Succession {
    /// Both run for a while: the one before ends with what it has open.
    Beside,
    /// Once the one before has ended.
    After,
    /// Not at all, as long as the one before reads the same thing, named here.
    Never(String),
}

/// A producer of batches. Runs until its input ends or it is told to stop.
pub trait Source: Send {
    /// Whether it never ends by itself (a listener): makes tflog a service.
    fn is_service(&self) -> bool {
        false
    }

    /// Bytes that it may hold of what is not settled or taken up: its part of
    /// the memory budget.
    fn window_bytes(&self) -> u64 {
        WINDOW.0
    }

    /// Its part of tflog's own listener, if that is where its events come in.
    fn mount(&self) -> Option<http::Mount> {
        None
    }

    /// Whether it keeps positions between runs: then it must be told where.
    fn keeps_state(&self) -> bool {
        false
    }

    /// Tells it where positions are kept.
    fn keep(&mut self, _state: StateDirectory) {}

    /// How far it has read, if what it reads has an end.
    fn extent(&self) -> Option<Arc<tail::Extent>> {
        None
    }

    /// Numbers that it keeps of itself.
    fn gauges(&self) -> Option<Arc<dyn Gauges>> {
        None
    }

    /// Where it will listen; none if it does not, or not alone.
    fn address(&self) -> Option<Address> {
        None
    }

    /// How it takes the place of one of its name with other options.
    fn succession(&self) -> Succession {
        Succession::Beside
    }

    /// What it leaves to the next of its name, beside what is in the state directory.
    fn legacy(&self) -> Option<Arc<tail::Legacy>> {
        None
    }

    /// Takes over what one of its name leaves, once that has ended.
    fn inherit(&mut self, _legacy: Arc<tail::Legacy>) {}

    /// Opens what start-up needs (binds sockets, opens files), so that a config
    /// that cannot work fails before anything is accepted.
    fn open(&mut self) -> SourceFuture<'_> {
        Box::pin(async { Ok(()) })
    }

    /// Looks whether it could be opened once one of its name, which still keeps
    /// what it opens, has ended; changes nothing.
    fn could_open(&self) -> Result<(), SourceError> {
        Ok(())
    }

    /// Reads until the end of input or until `stop` says so, sending batches.
    /// Runs on a thread of its own, which it may block.
    fn run(self: Box<Self>, outlet: Outlet, stop: Stop) -> SourceFuture<'static>;
}

/// A window of whole chunks, at least one; why it cannot be.
fn window(bytes: ByteSize) -> Result<usize, String> {
    let chunk = Pool::CHUNK_BYTES as u64;
    // Beyond, permits of semaphores would not count it.
    if !(chunk..=1 << 30).contains(&bytes.0) {
        return Err(format!(
            "{} bytes is not between 256 KiB and 1 GiB",
            bytes.0
        ));
    }
    Ok((bytes.0 / chunk * chunk) as usize)
}
