//! Defects that tests can switch on: each must be found by the tests of the
//! log, or they would not find the real one. Outside of tests there are none.

/// A defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A sync that does not ask the disk.
    SkipSync,
    /// A new segment's name is not synced.
    SkipNameSync,
    /// A failed sync is tried again on the same data.
    RetrySync,
    /// What a failed sync was for is forgotten rather than written again.
    ForgetUnsynced,
    /// The watermark is never moved.
    StaleWatermark,
    /// The watermark is moved before the sync.
    EarlyWatermark,
    /// A record is settled when it is read.
    EarlySettle,
    /// Settling a record settles those before it.
    SettlePrefix,
    /// Segments are removed although records in them are open.
    EarlyRemove,
    /// A body's checksum is not looked at.
    SkipBodyCheck,
    /// A record that is bad ends its segment.
    SkipResync,
    /// What was written of a record that did not fit is left there.
    KeepPartial,
    /// Records written again are read again.
    ReadTwice,
    /// The cap is not looked at.
    IgnoreCap,
    /// Lost records are passed over in silence.
    SilentLoss,
    /// Only one slot is used for marks.
    OneSlot,
}

/// Whether a test has switched this defect on.
#[cfg(not(test))]
pub(super) fn on(_mutant: Mutant) -> bool {
    false
}

#[cfg(test)]
pub(super) use switch::on;
#[cfg(test)]
pub(crate) use switch::with;

#[cfg(test)]
mod switch {
    use super::Mutant;
    use std::cell::Cell;

    thread_local! {
        static ON: Cell<Option<Mutant>> = const { Cell::new(None) };
    }

    /// Runs something with a defect; on this thread only, as simulations do.
    pub(crate) fn with<T>(mutant: Option<Mutant>, run: impl FnOnce() -> T) -> T {
        struct Reset(Option<Mutant>);
        impl Drop for Reset {
            fn drop(&mut self) {
                ON.set(self.0);
            }
        }
        let _reset = Reset(ON.replace(mutant));
        run()
    }

    /// Whether this defect is switched on.
    pub(in super::super) fn on(mutant: Mutant) -> bool {
        ON.get() == Some(mutant)
    }
}
