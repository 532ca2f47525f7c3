//! The command line: one file a verb.

mod args;
mod buffer;
mod check;
mod engine;
mod exec;
mod explain;
mod hand_over;
mod log;
mod notify;
mod passed;
mod progress;
mod reload;
mod replay;
mod report;
mod run;
mod setup;
mod signals;
mod test;

use std::io::Write;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use args::{Cli, Verb};

/// Wrong usage or config.
const EXIT_USAGE: u8 = 2;
/// Something failed while running.
const EXIT_FAILURE: u8 = 1;
/// Events were lost that were not meant to be.
const EXIT_LOSS: u8 = 3;

/// From arguments to exit code.
#[must_use]
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    let code = match cli.verb {
        None => log::aside(|| run::main(&cli.options, cli.words, cli.follow)),
        Some(Verb::Exec(exec)) => log::aside(|| exec::main(*exec)),
        Some(Verb::Check(check)) => check::main(&check),
        Some(Verb::Explain(arguments)) => explain::main(*arguments),
        Some(Verb::Test(arguments)) => test::main(&arguments),
        Some(Verb::Replay(arguments)) => log::aside(|| replay::main(&arguments)),
        Some(Verb::Buffer(verb)) => buffer::main(&verb),
        Some(Verb::Schema) => print(&schema()),
        Some(Verb::Completions { shell }) => print(&completions(shell)),
    };
    ExitCode::from(code)
}

fn schema() -> String {
    let mut text = format!("{:#}", crate::config::schema::schema().to_value());
    text.push('\n');
    text
}

fn completions(shell: clap_complete::Shell) -> String {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "tflog", &mut script);
    String::from_utf8_lossy(&script).into_owned()
}

/// Writes a result to stdout. A reader that went away is no failure.
fn print(text: &str) -> u8 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            say(&format!("tflog: cannot write to stdout: {error}"));
            EXIT_FAILURE
        }
        _ => 0,
    }
}

/// Writes a line for people to stderr, as far as anybody listens.
fn say(text: &str) {
    log::line(text);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_are_consistent() {
        Cli::command().debug_assert();
    }
}
