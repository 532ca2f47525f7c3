//! Chance, from a seed.

use std::time::Duration;

use crate::seam::Random;

/// Random choices; the same for the same seed.
#[derive(Clone, Debug)]
pub(super) struct Dice(Random);

impl Dice {
    pub(super) fn new(seed: u64) -> Dice {
        Dice(Random::seeded(seed))
    }

    /// Dice of their own for some part, so that what one part throws does not
    /// change what another gets.
    pub(super) fn other(&self) -> Dice {
        Dice::new(self.0.u64())
    }

    /// From 0 up to, but not, `end`.
    pub(super) fn below(&self, end: u64) -> u64 {
        // The bias of a remainder is far below what anybody could notice here.
        self.0.u64() % end.max(1)
    }

    /// From `low` to `high`, both included.
    pub(super) fn between(&self, low: u64, high: u64) -> u64 {
        low + self.below(high - low + 1)
    }

    /// True in so many cases of a hundred.
    pub(super) fn chance(&self, percent: u64) -> bool {
        self.below(100) < percent
    }

    pub(super) fn pick<T: Clone>(&self, of: &[T]) -> T {
        of[self.below(of.len() as u64) as usize].clone()
    }

    /// A time between two, in milliseconds, short ones as likely as long ones.
    pub(super) fn time(&self, low_ms: u64, high_ms: u64) -> Duration {
        let span = high_ms.saturating_sub(low_ms).max(1);
        // Of each order of magnitude as many.
        let high = 1 << self.between(0, u64::from(span.ilog2()) + 1).min(63);
        Duration::from_millis(low_ms + self.below(high.min(span) + 1))
    }
}
