//! How well `auto` reads logs captured from real programs, as a Markdown table.
//!
//! ```sh
//! cargo run --example corpus              # prints the table
//! cargo run --example corpus -- --check   # and fails if the held-out half falls short
//! CORPUS_MISSES=redis cargo run --example corpus   # and says what was read wrong in one log's dev half
//! ```

use std::io::Write as _;
use std::process::ExitCode;

#[path = "../tests/corpus/score.rs"]
mod score;

/// What the held-out half must reach, in per cent: time, level, message.
const WANTED: [f64; 3] = [98.0, 98.0, 96.0];

fn main() -> ExitCode {
    let samples = score::samples();
    let total = score::total(&samples, true);
    if std::io::stdout()
        .write_all(score::table(&samples).as_bytes())
        .is_err()
    {
        return ExitCode::FAILURE;
    }
    let reached = [total.time, total.level, total.message].map(score::Share::percent);
    let is_short = reached.iter().zip(WANTED).any(|(r, wanted)| *r < wanted);
    if is_short && std::env::args().any(|arg| arg == "--check") {
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}
