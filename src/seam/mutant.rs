//! Bugs that tests switch on, to see whether they are found. Only test builds
//! have them; see `pipeline/simulation`.

use std::cell::Cell;

/// One bug.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutant {
    /// A load is settled before it is written.
    EarlyAck,
    /// A share lacks a row of those that it was charged for.
    LostRow,
    /// An ack that is settled releases its batch twice.
    SettledTwice,
    /// A dead letter is counted and goes nowhere.
    DeadLetterLost,
    /// A refused event is settled before its dead letter is kept.
    DeadLetterEarly,
    /// What a far end did not take of a load counts as taken.
    PartialTaken,
    /// A load that fails often is settled as if it were delivered.
    GivesUp,
    /// A queue gives out what came last.
    Reordered,
    /// Buffers take what they have no room for.
    QuotaIgnored,
    /// The pause that a far end asks for is not kept.
    PauseIgnored,
    /// What gathers for a load when the queue ends is not sent.
    UnflushedAtEnd,
    /// How far a file was read is kept before what was read is settled.
    PositionEarly,
    /// It is not made durable.
    PositionUnsynced,
    /// A file that lost its name is let go at once.
    RotatedForgotten,
    /// A file is never seen to begin otherwise than it did.
    PrintIgnored,
    /// What a tail has open does not go over to the next one.
    LegacyDropped,
}

impl Mutant {
    pub(crate) const ALL: [Mutant; 16] = [
        Mutant::EarlyAck,
        Mutant::LostRow,
        Mutant::SettledTwice,
        Mutant::DeadLetterLost,
        Mutant::DeadLetterEarly,
        Mutant::PartialTaken,
        Mutant::GivesUp,
        Mutant::Reordered,
        Mutant::QuotaIgnored,
        Mutant::PauseIgnored,
        Mutant::UnflushedAtEnd,
        Mutant::PositionEarly,
        Mutant::PositionUnsynced,
        Mutant::RotatedForgotten,
        Mutant::PrintIgnored,
        Mutant::LegacyDropped,
    ];

    /// Whether it is in what follows files.
    pub(crate) fn is_of_tails(self) -> bool {
        matches!(
            self,
            Mutant::PositionEarly
                | Mutant::PositionUnsynced
                | Mutant::RotatedForgotten
                | Mutant::PrintIgnored
                | Mutant::LegacyDropped
        )
    }

    /// Whether this bug is there now, on this thread.
    pub(crate) fn is_on(self) -> bool {
        NOW.get() == Some(self)
    }
}

thread_local! {
    static NOW: Cell<Option<Mutant>> = const { Cell::new(None) };
}

/// Puts a bug in the place of the one that was there, on this thread.
pub(crate) fn set(mutant: Option<Mutant>) {
    NOW.set(mutant);
}
