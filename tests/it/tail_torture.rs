//! Rotation of every kind at once, stops and kills: no line is lost, and none
//! comes twice but for those that a kill left unsettled.
//!
//! The last test does it at speed: 200 files, `TFLOG_TORTURE` seconds (10) at
//! `TFLOG_TORTURE_RATE` lines a second in all (5,000, which a tflog that is not
//! optimised keeps up with). The long form is `tests/soak/run torture`; `.ci/run`
//! has a minute of it, with a tflog that is optimised (`IT_TFLOG`).

use std::collections::HashSet;
use std::time::{Duration, Instant};

use crate::tail::stop;
use crate::torture::{Harm, Torture};

/// Stops and starts: every line comes just once.
#[test]
fn rotation_and_restarts_lose_and_double_nothing() {
    let mut torture = Torture::new(20);
    let mut running = torture.start();
    for round in 0..30 {
        for log in 0..torture.logs.len() {
            let lines = torture.dice(40);
            torture.write(log, lines);
            if torture.dice(4) == 0 {
                torture.rotate(log, true);
            }
        }
        if round % 10 == 9 {
            // Removed or out of sight, what is not read would be lost.
            torture.settle();
            stop(running);
            for log in 0..torture.logs.len() {
                // What was never seen cannot be looked for.
                let is_seen = torture.logs[log].next > torture.logs[log].since;
                torture.write(log, 5);
                if is_seen {
                    torture.rotate(log, false);
                }
                torture.write(log, 5);
            }
            running = torture.start();
            // What is removed before tflog has opened it again is lost.
            torture.settle();
        }
    }
    torture.settle();
    stop(running);
    assert_eq!(torture.doubled(), HashSet::new());
}

/// Kills: nothing is lost, and only lines come twice that were written after
/// everything before had settled.
#[test]
fn kills_double_no_more_than_what_had_not_settled() {
    let mut torture = Torture::new(20);
    let mut may_double = HashSet::new();
    for _ in 0..4 {
        let mut running = torture.start();
        torture.settle();
        for log in 0..torture.logs.len() {
            torture.write(log, 20);
            if torture.dice(3) == 0 {
                torture.rotate(log, true);
                torture.write(log, 20);
            }
        }
        torture.settle();
        let before: Vec<u64> = torture.logs.iter().map(|log| log.next).collect();
        for log in 0..torture.logs.len() {
            torture.write(log, 200);
        }
        // Somewhere in the midst of it.
        torture.wait_line(3, before[3]);
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        for (log, before) in before.into_iter().enumerate() {
            may_double.extend((before..torture.logs[log].next).map(|number| (log, number)));
            torture.rotate(log, false);
            torture.write(log, 3);
        }
    }
    let running = torture.start();
    torture.settle();
    stop(running);
    let doubled = torture.doubled();
    let wrongly: Vec<_> = doubled.difference(&may_double).collect();
    assert!(wrongly.is_empty(), "{wrongly:?}");
}

/// Everything at once and at speed, with stops and kills at any time: nothing is
/// lost, and only lines come twice that had not settled at a kill.
#[test]
#[expect(clippy::print_stdout, reason = "figures for people")]
fn harm_at_speed() {
    let setting = |name: &str, default: u64| {
        let value = std::env::var(name).ok();
        value.map_or(default, |value| value.parse().expect("a number"))
    };
    let length = Duration::from_secs(setting("TFLOG_TORTURE", 10));
    let rate = setting("TFLOG_TORTURE_RATE", 5_000);
    let mut torture = Torture::new(200);
    let mut running = torture.start();
    let (start, mut written) = (Instant::now(), 0);
    let (mut stops, mut kills) = (0, 0);
    // All of it at least once, which the dice may take longer for.
    let has_all = |torture: &Torture, stops, kills| {
        stops > 0 && kills > 0 && torture.done.len() == Harm::KINDS
    };
    while start.elapsed() < length
        || !has_all(&torture, stops, kills) && start.elapsed() < length * 30
    {
        written += torture.pass(rate);
        let due = Duration::from_secs_f64(written as f64 / rate as f64);
        std::thread::park_timeout(due.saturating_sub(start.elapsed()));
        torture.read_output();
        match torture.dice(40) {
            0 => {
                torture.settle();
                stop(running);
                torture.story.push((None, "stop".to_owned()));
                torture.clear();
                stops += 1;
            }
            1 => {
                torture.wait_removed();
                running.child.kill().unwrap();
                running.child.wait().unwrap();
                torture.story.push((None, "kill".to_owned()));
                torture.read_output();
                torture.note_unsettled();
                kills += 1;
            }
            _ => continue,
        }
        torture.begin_output_anew();
        torture.harm_while_down();
        running = torture.start();
    }
    let seconds = start.elapsed().as_secs_f64();
    torture.settle();
    stop(running);
    println!(
        "{written} lines in {seconds:.0} s to 200 files, {stops} stops, {kills} kills, {:?}",
        torture.done
    );
    assert!(has_all(&torture, stops, kills));
    assert_eq!(torture.doubled(), HashSet::new());
}
