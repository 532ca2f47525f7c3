//! What tflog asks of the machine: time, randomness, threads, disk, network.
//!
//! Everything else takes a [`World`], so that a whole pipeline can run on one
//! thread under a paused clock and a simulated disk. Nothing outside this
//! module reads a clock, opens a file or a socket, or spawns.

mod crew;
mod descriptors;
mod disk;
mod files;
#[cfg(test)]
pub(crate) mod mutant;
mod network;
mod spawn;
mod state;
mod time;

use std::num::NonZero;
use std::sync::Arc;

use crew::Crew;
pub(crate) use crew::relay;
pub use descriptors::take as take_descriptor;
pub(crate) use disk::or_here;
pub use disk::{Disk, DiskFault, DiskFile, DiskLock, DiskRoot, FaultyDisk, RealDisk};
pub use files::{Facts, Files, Kind, Opened, RealFiles};
pub use network::{
    Address, Connection, Listener, MemoryNetwork, Network, NetworkFuture, Passed, RealNetwork,
};
pub use spawn::{Spawn, Spawner, Stage};
pub use state::{StateDirectory, StateError, StateLock};
pub use time::{Clock, Random};

/// With two, reading and parsing on one thread is a little faster than on two beside a
/// sink's, and with one much faster; with more it would keep a source to one of them.
const FEW_PROCESSORS: usize = 2;

/// The seams, together.
#[derive(Clone)]
pub struct World {
    /// Wall-clock time. Timers are tokio's, which tests can pause.
    pub clock: Clock,
    /// Randomness.
    pub random: Random,
    /// Threads or inline tasks.
    pub spawn: Spawn,
    /// Whether there are so few processors that one thread had better do what
    /// comes up than hand it to the next.
    pub few_processors: bool,
    /// Files of tflog's own.
    pub disk: Arc<dyn Disk>,
    /// Files of other programs.
    pub files: Arc<dyn Files>,
    /// Sockets.
    pub network: Arc<dyn Network>,
}

impl World {
    /// The real machine; stages run on threads of their own that may wait on
    /// `runtime`'s timers and sockets.
    #[must_use]
    pub fn real(runtime: tokio::runtime::Handle) -> World {
        let processors = std::thread::available_parallelism().map_or(1, NonZero::get);
        let few_processors = processors <= FEW_PROCESSORS;
        let spawn = if few_processors {
            Spawn::Crew(Crew::new(runtime, processors))
        } else {
            Spawn::Threads(runtime)
        };
        World {
            clock: Clock::System,
            random: Random::system(),
            spawn,
            few_processors,
            disk: Arc::new(RealDisk),
            files: Arc::new(RealFiles),
            network: Arc::new(RealNetwork::default()),
        }
    }

    /// The real machine, with sockets that whoever started this process has
    /// passed to it.
    #[must_use]
    pub fn with_sockets(runtime: tokio::runtime::Handle, passed: Vec<Passed>) -> World {
        World {
            network: Arc::new(RealNetwork::new(passed)),
            ..World::real(runtime)
        }
    }

    /// One thread, for tests: stages are tasks of the current runtime, time
    /// starts at `start` and passes as tokio's clock does, randomness comes
    /// from `seed`. Disk and network are still the real ones; replace them.
    #[must_use]
    pub fn simulated(start: crate::event::Timestamp, seed: u64) -> World {
        World {
            clock: Clock::simulated(start),
            random: Random::seeded(seed),
            spawn: Spawn::Inline,
            few_processors: false,
            disk: Arc::new(RealDisk),
            files: Arc::new(RealFiles),
            network: Arc::new(RealNetwork::default()),
        }
    }
}
