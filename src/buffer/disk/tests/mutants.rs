//! The tests of the log find each defect that can be switched on.

use super::{crash, damage, model};
use crate::buffer::disk::{Mutant, with_mutant};

/// Whether any of the tests fails, the cheap ones first.
fn is_found(mutant: Mutant) -> bool {
    let found = || {
        crash::every_point(&[], 1).is_err()
            || crash::torn_ends().is_err()
            || model::sequences(600, 0).is_err()
            // Damage is what is left, and a few places show it.
            || damage::bytes(5).is_err()
            || damage::after_a_loss_of_power().is_err()
    };
    with_mutant(Some(mutant), found)
}

#[test]
fn each_defect_is_found() {
    let mutants = [
        Mutant::SkipSync,
        Mutant::SkipNameSync,
        Mutant::RetrySync,
        Mutant::ForgetUnsynced,
        Mutant::StaleWatermark,
        Mutant::EarlyWatermark,
        Mutant::EarlySettle,
        Mutant::SettlePrefix,
        Mutant::EarlyRemove,
        Mutant::SkipBodyCheck,
        Mutant::SkipResync,
        Mutant::KeepPartial,
        Mutant::ReadTwice,
        Mutant::IgnoreCap,
        Mutant::SilentLoss,
        Mutant::OneSlot,
    ];
    let missed: Vec<_> = mutants.into_iter().filter(|m| !is_found(*m)).collect();
    assert_eq!(missed, []);
}
