//! `auto` reads logs captured from real programs at least as well as it did.

// Tests may panic anywhere: that is how they fail.
#![allow(clippy::unwrap_used)]

#[path = "corpus/score.rs"]
mod score;

/// What the held-out half reached when this was last raised, in per cent:
/// time, level, message. `cargo run --example corpus` prints the figures.
const REACHED: [f64; 3] = [100.0, 99.0, 98.0];
/// Logs in the corpus: a sample that cannot be found fails the test too.
const LOGS_MIN: usize = 104;

/// The corpus is read whole, and the half that no parser was tuned on is read
/// as well as promised.
#[test]
fn auto_reads_the_held_out_half() {
    let samples = score::samples();
    assert!(samples.len() >= LOGS_MIN, "{} logs", samples.len());
    let total = score::total(&samples, true);
    let reached = [total.time, total.level, total.message].map(score::Share::percent);
    let is_enough = reached.iter().zip(REACHED).all(|(r, wanted)| *r >= wanted);
    assert!(is_enough, "{reached:?}\n{}", score::table(&samples));
}

/// A figure falls when a value is read in another way than the truth says, and
/// what is not there counts when it is found.
#[test]
fn the_score_tells_right_from_wrong() {
    let line = r#"{"time":"2026-11-25T22:00:00.5Z","level":"warn","msg":"a b"}"#;
    let score = |truth: &str| {
        let tally = score::tally(line, truth, false);
        [tally.time, tally.level, tally.message].map(|share| share.percent() as u32)
    };
    assert_eq!(score("2026-11-25T22:00:00.5Z\twarn\t\"a b\""), [100; 3]);
    assert_eq!(
        score("2026-11-25T22:00:00Z|2026-11-25T22:00:00.5Z\tinfo|warn\t\"x\"\t\"a b\""),
        [100; 3]
    );
    assert_eq!(score("2026-11-25T22:00:00Z\twarn\t\"a b\""), [0, 100, 100]);
    assert_eq!(score("2026-11-25T22:00:00.5Z\terror\t\"a\""), [100, 0, 0]);
    assert_eq!(score::tally(line, "-\t-\t\"a b\"", false).invented, 2);
    assert_eq!(score::tally(line, "+", false).invented, 0);
}
