//! What can go wrong, and how often it did.

use super::dice::Dice;

/// A thing that goes wrong outside of the pipeline, or is done to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// A load is not taken, for now.
    Retry,
    /// The same, and the far end says when to come again.
    RetryAfter,
    /// A part of a load is taken, the rest is to come again.
    Partial,
    /// A load with a poisoned event is refused as a whole, for good.
    Reject,
    /// The poisoned events of a load are refused, the others taken.
    RejectItems,
    /// A load with a certain event in it fails, whatever its company.
    Toxic,
    /// tflog itself is refused.
    Denied,
    /// No answer for a long time.
    Hang,
    /// An answer after many seconds.
    Slow,
    /// A panic before the load is taken.
    PanicBefore,
    /// A panic after the load was taken.
    PanicAfter,
    /// The load was taken, and the answer is lost.
    ReplyLost,
    /// The far end is down for a while.
    Down,
    /// The client library waits for the far end to be back.
    Away,
    /// The far end wants no more, ever.
    Closed,
    /// The sink cannot be closed.
    CloseFails,
    /// The source ends with an error.
    SourceFails,
    /// The source panics.
    SourcePanics,
    /// The source waits no longer for an answer and sends again.
    SourceTimesOut,
    /// The source sends again what came back, or what a process died with.
    Resent,
    /// A stop at any moment.
    Stop,
    /// A second stop before the first is done.
    SecondStop,
    /// Another plan comes into force.
    Reload,
    /// The process dies between two steps.
    Crash,
    /// So it does, and what was not synced is lost, or a part of it.
    PowerLoss,
    /// The process dies in the middle of a write, a sync or a start.
    DiskStop,
    /// A write, a sync or a change of names fails.
    DiskFails,
    /// A sync fails, and what it was for is lost unless it is written again.
    SyncFails,
    /// A bit of a record on disk changes between two lives.
    Rot,
    /// A log that is followed is renamed, and a new one in its place.
    Renamed,
    /// It is removed while it is open.
    Removed,
    /// It is copied, and truncated a moment later.
    CopyTruncated,
    /// It is truncated.
    Truncated,
    /// The disk is full for a while.
    DiskFull,
    /// Writes are short for a while.
    ShortWrites,
}

impl Fault {
    pub(super) const ALL: [Fault; 35] = [
        Fault::Retry,
        Fault::RetryAfter,
        Fault::Partial,
        Fault::Reject,
        Fault::RejectItems,
        Fault::Toxic,
        Fault::Denied,
        Fault::Hang,
        Fault::Slow,
        Fault::PanicBefore,
        Fault::PanicAfter,
        Fault::ReplyLost,
        Fault::Down,
        Fault::Away,
        Fault::Closed,
        Fault::CloseFails,
        Fault::SourceFails,
        Fault::SourcePanics,
        Fault::SourceTimesOut,
        Fault::Resent,
        Fault::Stop,
        Fault::SecondStop,
        Fault::Reload,
        Fault::Crash,
        Fault::PowerLoss,
        Fault::DiskStop,
        Fault::DiskFails,
        Fault::SyncFails,
        Fault::Rot,
        Fault::Renamed,
        Fault::Removed,
        Fault::CopyTruncated,
        Fault::Truncated,
        Fault::DiskFull,
        Fault::ShortWrites,
    ];

    /// Those of an attempt to deliver, which a sink's mood is made of.
    const OF_ATTEMPTS: [Fault; 12] = [
        Fault::Retry,
        Fault::RetryAfter,
        Fault::Partial,
        Fault::Denied,
        Fault::Hang,
        Fault::Slow,
        Fault::PanicBefore,
        Fault::PanicAfter,
        Fault::ReplyLost,
        Fault::Down,
        Fault::Away,
        Fault::Closed,
    ];
}

/// How often each fault was met.
#[derive(Clone, Debug)]
pub(super) struct Hits([u64; Fault::ALL.len()]);

impl Default for Hits {
    fn default() -> Hits {
        Hits([0; Fault::ALL.len()])
    }
}

impl Hits {
    pub(super) fn count(&mut self, fault: Fault) {
        self.0[fault as usize] += 1;
    }

    pub(super) fn of(&self, fault: Fault) -> u64 {
        self.0[fault as usize]
    }

    /// Adds one for each fault that the other has met.
    pub(super) fn add_run(&mut self, run: &Hits) {
        for (sum, &hits) in self.0.iter_mut().zip(&run.0) {
            *sum += u64::from(hits > 0);
        }
    }

    pub(super) fn add(&mut self, other: &Hits) {
        for (sum, hits) in self.0.iter_mut().zip(&other.0) {
            *sum += hits;
        }
    }
}

/// What a far end is like during one life of the process: few kinds of faults
/// at a time, so that each gets to be the only one.
#[derive(Clone, Debug, Default)]
pub(super) struct Mood {
    kinds: Vec<Fault>,
    percent: u64,
}

impl Mood {
    pub(super) fn new(dice: &Dice) -> Mood {
        let kinds = (0..dice.below(4)).map(|_| dice.pick(&Fault::OF_ATTEMPTS));
        Mood {
            kinds: kinds.collect(),
            percent: dice.pick(&[5, 20, 60, 90]),
        }
    }

    /// That of a far end that is away nearly all the time, so that what is
    /// acknowledged waits on disk.
    pub(super) fn outage() -> Mood {
        Mood {
            kinds: vec![Fault::Hang, Fault::Down],
            percent: 90,
        }
    }

    /// What goes wrong with one attempt, if something does.
    pub(super) fn strike(&self, dice: &Dice) -> Option<Fault> {
        let strikes = !self.kinds.is_empty() && dice.chance(self.percent);
        strikes.then(|| dice.pick(&self.kinds))
    }
}
