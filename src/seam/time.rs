//! Wall-clock time and randomness.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use tokio::time::Instant;

use crate::event::Timestamp;

/// Tells the wall-clock time.
#[derive(Clone, Debug)]
pub enum Clock {
    /// The machine's.
    System,
    /// What has passed since a moment of tokio's clock, which may be paused, on
    /// top of a time that tests can move.
    Simulated(Instant, Arc<AtomicI64>),
}

impl Clock {
    /// A simulated clock that shows `start` now.
    #[must_use]
    pub fn simulated(start: Timestamp) -> Clock {
        Clock::Simulated(Instant::now(), Arc::new(AtomicI64::new(start.0)))
    }

    /// Sets a simulated clock and its clones forward or back, as people and
    /// time servers do with a machine's.
    pub fn jump(&self, nanos: i64) {
        if let Clock::Simulated(_, start) = self {
            start.fetch_add(nanos, Ordering::Relaxed);
        }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self {
            Clock::System => {
                let since = SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .unwrap_or_default();
                Timestamp(since.as_nanos() as i64)
            }
            Clock::Simulated(from, start) => {
                let start = start.load(Ordering::Relaxed);
                Timestamp(start.saturating_add(from.elapsed().as_nanos() as i64))
            }
        }
    }
}

/// Gives random numbers; not for keys.
#[derive(Clone, Debug)]
pub struct Random(Arc<AtomicU64>);

impl Random {
    /// Seeded by the machine.
    #[must_use]
    pub fn system() -> Random {
        use std::hash::{BuildHasher, Hasher};
        // `RandomState` is seeded from the system's entropy source.
        let seed = std::hash::RandomState::new().build_hasher().finish();
        Random::seeded(seed)
    }

    /// The same numbers for the same seed.
    #[must_use]
    pub fn seeded(seed: u64) -> Random {
        Random(Arc::new(AtomicU64::new(seed)))
    }

    /// The next number (splitmix64).
    #[must_use]
    pub fn u64(&self) -> u64 {
        const STEP: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut z = self.0.fetch_add(STEP, Ordering::Relaxed).wrapping_add(STEP);
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 128 bits, for origins of ids.
    #[must_use]
    pub fn u128(&self) -> u128 {
        u128::from(self.u64()) << 64 | u128::from(self.u64())
    }
}
