//! tflog's own logs: JSON lines on stderr, readable on a terminal.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

/// Starts logging. `TFLOG_LOG` takes a level or filter (`debug`,
/// `tflog::sink=trace`); the default is `info` for services and `warn` for
/// pipes, where a person looks at the output.
pub(super) fn start(service: bool, filter: Option<&str>) {
    let default = if service { "info" } else { "warn" };
    let filter = filter.and_then(|f| EnvFilter::try_new(f).ok());
    let filter = filter.unwrap_or_else(|| EnvFilter::new(default));
    let builder = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second start (in tests) keeps the first.
    let _ = if std::io::stderr().is_terminal() {
        builder.with_target(false).try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .try_init()
    };
}
