//! tflog's own logs: JSON lines on stderr, readable on a terminal.
//!
//! What routes events writes to stderr by [`aside`], so that a stderr which
//! nobody reads holds nothing up; other verbs write themselves and wait.

mod writer;

use std::backtrace::{Backtrace, BacktraceStatus};
use std::io::{self, IsTerminal, Write};
use std::panic::PanicHookInfo;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use tracing_subscriber::EnvFilter;

use writer::Writer;

/// How long the last lines may take. With the grace period and the last answers
/// of tflog's own listener it is less than the 30 s that a supervisor waits.
const LAST_LINES_TIME: Duration = Duration::from_secs(3);

/// Who writes to stderr: a process has one, and panics come from anywhere.
static STDERR: OnceLock<Writer> = OnceLock::new();

/// Stderr for lines, whoever writes them.
struct Lines;

impl Write for Lines {
    /// Takes whole lines: all that is written at once.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        match STDERR.get() {
            Some(writer) => writer.push(line),
            None => io::stderr().write_all(line)?,
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Waits for the last lines, however the run ends.
struct Last;

impl Drop for Last {
    fn drop(&mut self) {
        if let Some(writer) = STDERR.get() {
            writer.flush(LAST_LINES_TIME);
        }
    }
}

/// Runs what routes events: from here on nobody waits for stderr but the end,
/// for a moment.
pub(super) fn aside(run: impl FnOnce() -> u8) -> u8 {
    // Without a thread for it, lines are written where they come from.
    if let Ok(writer) = Writer::start(rustix::stdio::stderr(), tell)
        && STDERR.set(writer).is_ok()
    {
        std::panic::set_hook(Box::new(panicked));
    }
    let _last = Last;
    run()
}

/// Starts logging. `TFLOG_LOG` takes a level or filter (`debug`,
/// `tflog::sink=trace`); the default is `info` for services and `warn` for
/// pipes, where a person looks at the output.
pub(super) fn start(service: bool, filter: Option<&str>) {
    let default = if service { "info" } else { "warn" };
    let filter = filter.and_then(|f| EnvFilter::try_new(f).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(|| Lines);
    // A second start (a reload) keeps the first.
    let _ = if io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init()
    };
}

/// Lines that were dropped, if lines can be.
pub(super) fn dropped() -> Option<Arc<AtomicU64>> {
    STDERR.get().map(Writer::dropped)
}

/// Writes a text for people, as far as anybody listens.
pub(super) fn line(text: &str) {
    let _ = Lines.write_all(format!("{}\n", text.trim_end()).as_bytes());
}

fn tell(_: &Writer, lines: u64) {
    tracing::warn!(lines, "lines of this log were dropped: nobody read stderr");
}

/// As the hook of the standard library, which would wait for stderr.
fn panicked(info: &PanicHookInfo<'_>) {
    // Whatever is logged, a panic is.
    if !tracing::enabled!(tracing::Level::ERROR) {
        return line(&format!("tflog: {info}"));
    }
    let message = info.payload_as_str().unwrap_or("no message");
    let place = info.location().map(ToString::to_string);
    let thread = std::thread::current();
    let backtrace = Backtrace::capture();
    let backtrace =
        (backtrace.status() == BacktraceStatus::Captured).then(|| backtrace.to_string());
    tracing::error!(
        thread = thread.name(),
        place,
        backtrace,
        "panicked: {message}"
    );
}

#[cfg(test)]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    /// Set where the test below runs again in a process of its own.
    const DIES: &str = "TFLOG_TEST_DIES";

    /// A panic's last words are there before the process is not.
    #[test]
    fn a_panic_is_the_last_line() {
        if std::env::var_os(DIES).is_some() {
            aside(|| {
                start(true, None);
                tracing::info!("before");
                panic!("the end");
            });
        }
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["cli::log::tests::a_panic_is_the_last_line", "--exact"]);
        command.args(["--nocapture", "--test-threads=1"]);
        let command = command.env(DIES, "1").stdout(Stdio::null());
        let output = command.output().unwrap();
        assert!(!output.status.success());
        let stderr = String::from_utf8(output.stderr).unwrap();
        let lines: Vec<serde_json::Value> = stderr
            .lines()
            .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{stderr}")))
            .collect();
        let [before, last] = &*lines else {
            panic!("{stderr}");
        };
        assert_eq!(before["message"], "before");
        assert_eq!(last["message"], "panicked: the end");
        let place = last["place"].as_str().unwrap();
        assert!(place.starts_with("src/cli/log.rs:"), "{place}");
    }
}
