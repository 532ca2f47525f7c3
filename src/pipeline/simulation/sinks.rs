//! Sinks by chance.

use std::time::Duration;

use super::dice::Dice;
use super::model::{Edit, Rule};
use crate::sink::Concurrency;
use crate::sink::driver::LoadLimits;

#[derive(Clone, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "as many things are so or not"
)]
pub(super) struct SinkSpec {
    pub(super) name: String,
    pub(super) required: bool,
    pub(super) when_full: &'static str,
    /// Bytes of its buffer.
    pub(super) memory: u64,
    /// Its buffer on disk, if it has one.
    pub(super) disk: Option<DiskSpec>,
    pub(super) concurrency: Concurrency,
    pub(super) dead_letter: Option<usize>,
    pub(super) fallback: Option<usize>,
    pub(super) with: Vec<Edit>,
    pub(super) encode: &'static str,
    pub(super) limits: LoadLimits,
    /// Whether its far end refuses poisoned events.
    pub(super) strict: bool,
    /// Whether its far end answers item by item.
    pub(super) by_item: bool,
    /// Whether its far end knows by its id an event that it has.
    pub(super) knows_ids: bool,
}

impl SinkSpec {
    pub(super) fn keeps_order(&self) -> bool {
        self.concurrency == Concurrency::One
    }

    /// Whether its list makes one event of several.
    pub(super) fn merges(&self) -> bool {
        self.with.iter().any(|edit| matches!(edit, Edit::Reduce(_)))
    }
}

/// A buffer on disk.
#[derive(Clone, Copy, Debug)]
pub(super) struct DiskSpec {
    /// Bytes of it.
    pub(super) bytes: u64,
    /// Whether it is synced now and then only.
    pub(super) interval: bool,
    pub(super) compressed: bool,
}

impl DiskSpec {
    pub(super) fn new(dice: &Dice) -> DiskSpec {
        DiskSpec {
            bytes: 1 << dice.between(16, 20),
            interval: dice.chance(15),
            compressed: dice.chance(30),
        }
    }

    /// As a config says it, which may not say less than 8 MiB: the plan is given
    /// what it is.
    pub(super) fn text(self) -> &'static str {
        match (self.interval, self.compressed) {
            (false, false) => ", disk: 8MiB",
            (false, true) => ", disk: 8MiB, compression: zstd",
            (true, false) => ", disk: 8MiB, fsync: interval",
            (true, true) => ", disk: 8MiB, fsync: interval, compression: zstd",
        }
    }
}

/// What only best-effort sinks pass on to may be best-effort too.
pub(super) fn lower(dice: &Dice, sinks: &mut [SinkSpec]) {
    for place in (0..sinks.len()).rev() {
        let mut feeders = sinks
            .iter()
            .filter(|sink| [sink.dead_letter, sink.fallback].contains(&Some(place)))
            .peekable();
        if feeders.peek().is_some() && feeders.all(|sink| !sink.required) && dice.chance(50) {
            sinks[place].required = false;
            sinks[place].when_full = dice.pick(&["drop_newest", "drop_oldest"]);
        }
    }
}

/// The list of a route or sink; `field` is what it sets, if it sets something.
pub(super) fn list(dice: &Dice, field: &'static str) -> Vec<Edit> {
    match dice.below(16) {
        0..3 => vec![Edit::Tag(field, None)],
        3 => vec![Edit::Tag(field, Some(Rule::new(dice)))],
        4 => vec![Edit::Sample],
        5 => vec![Edit::Limit(dice.between(1, 20))],
        6 => vec![Edit::Limit(dice.between(1, 20)), Edit::Tag(field, None)],
        _ => Vec::new(),
    }
}

pub(super) fn main_sink(dice: &Dice, place: usize) -> SinkSpec {
    let required = dice.chance(75);
    SinkSpec {
        name: format!("k{place}"),
        required,
        when_full: if required {
            "block"
        } else {
            dice.pick(&["drop_newest", "drop_oldest"])
        },
        strict: dice.chance(60),
        with: if dice.chance(10) {
            vec![Edit::Reduce(dice.between(10, 5000))]
        } else {
            list(dice, "out")
        },
        ..helper_sink(dice, "")
    }
}

/// A sink that takes what others pass on.
pub(super) fn helper_sink(dice: &Dice, name: &str) -> SinkSpec {
    let concurrency = match dice.below(4) {
        0..2 => Concurrency::One,
        2 => Concurrency::Fixed(dice.between(2, 4) as usize),
        _ => Concurrency::Adaptive(dice.between(1, 6) as usize),
    };
    SinkSpec {
        name: name.to_owned(),
        required: true,
        when_full: "block",
        memory: 1 << dice.between(9, 15),
        disk: None,
        concurrency,
        dead_letter: None,
        fallback: None,
        with: Vec::new(),
        encode: dice.pick(&["json", "json", "raw"]),
        limits: LoadLimits {
            bytes_max: 1 << dice.between(9, 15),
            events_max: dice.between(1, 24),
            linger: if dice.chance(50) {
                Duration::ZERO
            } else {
                dice.time(1, 2000)
            },
        },
        strict: false,
        by_item: dice.chance(50),
        knows_ids: dice.chance(30),
    }
}
