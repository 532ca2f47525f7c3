//! Bugs put in on purpose: the simulation finds each of them soon.

use super::{report, seeds};
use crate::seam::mutant::{Mutant, set};

/// Runs in which each must be found.
const SEEDS_MAX: u64 = 200;

#[test]
#[expect(clippy::print_stderr, reason = "figures for people")]
fn every_mutant_is_found() {
    let mut alive = Vec::new();
    for mutant in Mutant::ALL {
        set(Some(mutant));
        let found = seeds(0, SEEDS_MAX, 1).failed.first().copied();
        match found {
            Some(seed) => {
                let text = report(seed);
                let what = text.lines().last().unwrap_or_default();
                eprintln!("{mutant:?}, seed {seed}: {what}");
            }
            None => alive.push(mutant),
        }
        set(None);
    }
    assert_eq!(alive, []);
}
