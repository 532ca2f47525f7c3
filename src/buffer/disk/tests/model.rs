//! Any sequence of operations and faults, against the model.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use super::fixture::{Op, options, run};
use crate::seam::DiskFault;

fn op() -> impl Strategy<Value = Op> {
    let power = prop_oneof![Just(None), any::<u64>().prop_map(Some)];
    let fault = prop_oneof![Just(DiskFault::Io), Just(DiskFault::NoSpace)];
    prop_oneof![
        8 => (1..4usize, 0..1200usize).prop_map(|(events, bytes)| Op::Append { events, bytes }),
        4 => Just(Op::Sync),
        3 => (1..5usize).prop_map(Op::Read),
        3 => (0..8usize).prop_map(Op::Settle),
        1 => Just(Op::SettleAll),
        2 => Just(Op::Maintain),
        1 => Just(Op::FailSync),
        1 => Just(Op::FailWrite),
        1 => (0..3000usize).prop_map(Op::Room),
        1 => Just(Op::Space),
        1 => (1..8u64).prop_map(Op::Stop),
        1 => (1..8u64, fault).prop_map(|(nth, fault)| Op::Fault(nth, fault)),
        1 => Just(Op::Crash),
        2 => power.prop_map(Op::Power),
        1 => (1..5u64, any::<u64>()).prop_map(|(nth, seed)| Op::CrashInStart(nth, seed)),
    ]
}

/// Runs `cases` sequences; what the first that fails says.
pub(super) fn sequences(cases: u32, shrinks: u32) -> Result<(), String> {
    let config = Config {
        cases,
        max_shrink_iters: shrinks,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = proptest::test_runner::TestRng::deterministic_rng(config.rng_algorithm);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let sequences = proptest::collection::vec(op(), 1..40);
    let result = runner.run(&sequences, |ops| {
        let ran = run(&ops, options(26 << 10, 4 << 10));
        ran.map(drop).map_err(TestCaseError::fail)
    });
    result.map_err(|error| error.to_string())
}

#[test]
fn nothing_acked_is_lost_whatever_happens() {
    // Set for a long search; each case is a millisecond or two.
    let cases = std::env::var("TFLOG_DISK_CASES").ok();
    let cases = cases.and_then(|cases| cases.parse().ok()).unwrap_or(600);
    if let Err(error) = sequences(cases, 2000) {
        panic!("{error}");
    }
}
