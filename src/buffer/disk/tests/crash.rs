//! Every point of short traces at which a process or the power can end.

use super::fixture::{Model, Op, options, run};
use crate::seam::DiskFault;

const ACTIONS: [&[Op]; 5] = [
    &[Op::Append {
        events: 2,
        bytes: 300,
    }],
    // Does not fit beside another.
    &[Op::Append {
        events: 3,
        bytes: 2500,
    }],
    &[Op::Sync],
    &[Op::Read(2), Op::Settle(1), Op::Settle(0)],
    &[Op::Maintain],
];

/// What a log has been through before.
const BEFORE: [Op; 6] = [
    Op::Append {
        events: 1,
        bytes: 700,
    },
    Op::Append {
        events: 1,
        bytes: 2500,
    },
    Op::Sync,
    Op::Read(1),
    Op::SettleAll,
    Op::Maintain,
];

/// All sequences of up to `len` actions.
fn traces(len: usize) -> Vec<Vec<Op>> {
    let mut all = vec![Vec::new()];
    let mut from = 0;
    for _ in 0..len {
        let to = all.len();
        for at in from..to {
            for action in ACTIONS {
                all.push([&all[at], action].concat());
            }
        }
        from = to;
    }
    all
}

/// How many operations of the disk the trace takes.
fn operations(before: &[Op], trace: &[Op]) -> Result<u64, String> {
    let mut model = Model::start(options(48 << 10, 3 << 10))?;
    for &op in before {
        model.step(op)?;
    }
    let start = model.disk.operations();
    for &op in trace {
        model.step(op)?;
    }
    Ok(model.disk.operations() - start)
}

fn check(ops: &[Op]) -> Result<(), String> {
    let ran = run(ops, options(48 << 10, 3 << 10));
    ran.map(drop).map_err(|error| format!("{ops:?}: {error}"))
}

/// Ends each trace of up to `len` actions at each of its operations.
pub(super) fn every_point(before: &[Op], len: usize) -> Result<(), String> {
    for trace in traces(len) {
        let count = operations(before, &trace)?;
        for nth in 1..=count + 1 {
            for end in [
                Op::Crash,
                Op::Power(None),
                Op::Power(Some(nth)),
                Op::Power(Some(nth + 1000)),
                Op::CrashInStart(nth % 3 + 1, nth),
            ] {
                check(&[before, &[Op::Stop(nth)], &trace, &[end]].concat())?;
            }
        }
    }
    Ok(())
}

/// Loses power in the last operations of a sync, and of making a mark durable:
/// the state before still counts.
pub(super) fn torn_ends() -> Result<(), String> {
    let append = Op::Append {
        events: 1,
        bytes: 100,
    };
    let settle = [Op::Settle(0), Op::Maintain];
    let before = [append, append, append, Op::Sync, Op::Read(3)];
    for seed in 0..64 {
        for nth in 1..3 {
            let end = [Op::Settle(0), Op::Maintain, Op::Power(Some(seed))];
            check(&[&before[..], &settle, &settle, &[Op::Stop(nth)], &end].concat())?;
            let end = [append, Op::Stop(nth), Op::Sync, Op::Power(Some(seed))];
            check(&[&before[..], &end].concat())?;
        }
    }
    Ok(())
}

/// Lets each operation of each trace fail, and the process go on.
fn every_fault(len: usize) -> Result<(), String> {
    for trace in traces(len) {
        for nth in 1..=operations(&BEFORE, &trace)? {
            for fault in [DiskFault::Io, DiskFault::NoSpace] {
                let after = [Op::Sync, Op::Read(9), Op::Sync, Op::Power(Some(nth))];
                check(&[&BEFORE[..], &[Op::Fault(nth, fault)], &trace[..], &after].concat())?;
            }
        }
    }
    Ok(())
}

/// How many actions a trace has: three, and two where there are many more
/// points, unless the long search is asked for.
fn len_of_many() -> usize {
    2 + usize::from(std::env::var_os("TFLOG_DISK_CASES").is_some())
}

#[test]
fn a_crash_at_any_point_loses_nothing_acked() {
    for (before, len) in [(&[][..], 3), (&BEFORE, len_of_many())] {
        if let Err(error) = every_point(before, len) {
            panic!("{error}");
        }
    }
}

#[test]
fn a_torn_end_leaves_the_state_before() {
    if let Err(error) = torn_ends() {
        panic!("{error}");
    }
}

#[test]
fn a_fault_at_any_point_loses_nothing_acked() {
    if let Err(error) = every_fault(len_of_many()) {
        panic!("{error}");
    }
}
