//! The real tflog with real files and sockets, killed and starved; an oracle
//! outside of it says what became of every event.
//!
//! `CHAOS_KILLS` is how often a process is killed in all (100), `CHAOS_SEED`
//! where and when (printed, so that a run can be had again as far as a machine
//! repeats itself).

// Tests may panic anywhere, and say what they have seen.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../it/answer.rs"]
#[allow(dead_code)]
mod answer;
#[path = "../it/harness.rs"]
#[allow(dead_code)]
mod harness;
#[path = "../real/oracle.rs"]
#[allow(dead_code)]
mod oracle;
#[path = "../real/scripted.rs"]
#[allow(dead_code)]
mod scripted;
#[path = "../real/skip.rs"]
mod skip;

mod backlog;
mod calls;
mod full;
mod kills;
mod producers;

/// A setting of the environment.
fn setting(name: &str, default: u64) -> u64 {
    let said = std::env::var(name).ok();
    said.map_or(default, |said| said.parse().expect(name))
}
