//! Bugs put in on purpose: the simulation finds each of them soon.

use super::dice::Dice;
use super::topology::Topology;
use super::{Run, report, run, seeds};
use crate::buffer::disk::{Mutant as OfDisk, with_mutant};
use crate::seam::mutant::{Mutant, set};

/// Runs in which each must be found.
const SEEDS_MAX: u64 = 200;

/// Of so many seeds one follows files, nearly always.
const SEEDS_TRIED: u64 = 16;

/// Those of the disk buffer that show outside of it; its own tests find the rest.
const OF_DISK: [OfDisk; 8] = [
    OfDisk::SkipSync,
    OfDisk::SkipNameSync,
    OfDisk::ForgetUnsynced,
    OfDisk::EarlyWatermark,
    OfDisk::EarlySettle,
    OfDisk::SettlePrefix,
    OfDisk::EarlyRemove,
    OfDisk::KeepPartial,
];

/// What is wrong on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bug {
    None,
    Of(Mutant),
    OfDisk(OfDisk),
}

impl Bug {
    /// Does what the seed says, with this bug.
    pub(super) fn run(self, seed: u64, traced: bool) -> Run {
        match self {
            Bug::None => run(seed, traced),
            Bug::Of(mutant) => {
                let follows = mutant.is_of_tails();
                let seed = if follows { following(seed) } else { seed };
                set(Some(mutant));
                let run = run(seed, traced);
                set(None);
                run
            }
            Bug::OfDisk(mutant) => with_mutant(Some(mutant), || run(seed, traced)),
        }
    }
}

/// The seed of that number of those that follow files; as good as any other.
fn following(number: u64) -> u64 {
    let follows = |seed: &u64| Topology::new(&Dice::new(*seed)).has_tails();
    let mut seeds = number * SEEDS_TRIED..;
    seeds.find(follows).unwrap_or_default()
}

#[test]
#[expect(clippy::print_stderr, reason = "figures for people")]
fn every_mutant_is_found() {
    let ours = Mutant::ALL.into_iter().map(Bug::Of);
    let mut alive = Vec::new();
    for bug in ours.chain(OF_DISK.into_iter().map(Bug::OfDisk)) {
        match seeds(0, SEEDS_MAX, 1, bug).failed.first() {
            Some(&seed) => {
                let text = report(seed, bug);
                let what = text.lines().last().unwrap_or_default();
                eprintln!("{bug:?}, seed {seed}: {what}");
            }
            None => alive.push(bug),
        }
    }
    assert_eq!(alive, []);
}
