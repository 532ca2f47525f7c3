//! One line on a terminal that shows how far long work is.

use std::io::{IsTerminal, Write as _};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// How often the line is drawn: often enough to look alive.
const EVERY: Duration = Duration::from_millis(200);
/// Characters of the bar.
const WIDTH: u64 = 24;

/// How far the work is.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done {
    /// Of `total`, in any unit.
    pub(super) part: u64,
    pub(super) total: u64,
    /// Events so far.
    pub(super) events: u64,
}

/// Draws until it is dropped, which clears the line. Nothing where stderr is no
/// terminal.
pub(super) struct Progress {
    drawing: Option<(SyncSender<()>, JoinHandle<()>)>,
}

impl Progress {
    /// Draws what `look` says.
    pub(super) fn show(look: impl Fn() -> Done + Send + 'static) -> Progress {
        if !std::io::stderr().is_terminal() {
            return Progress { drawing: None };
        }
        let (end, ended) = mpsc::sync_channel(1);
        let start = Instant::now();
        let draw = move || {
            while ended.recv_timeout(EVERY) == Err(RecvTimeoutError::Timeout) {
                let line = line(look(), start.elapsed());
                let _ = write!(std::io::stderr(), "\r{line}\x1b[K");
            }
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        };
        Progress {
            drawing: Some((end, std::thread::spawn(draw))),
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some((end, drawing)) = self.drawing.take() {
            drop(end);
            let _ = drawing.join();
        }
    }
}

fn line(done: Done, elapsed: Duration) -> String {
    let Done {
        part,
        total,
        events,
    } = done;
    let part = part.min(total);
    let of = |all: u64| (part * all).checked_div(total).unwrap_or(all);
    let (full, percent) = (of(WIDTH), of(100));
    let seconds = elapsed.as_secs_f64().max(0.001);
    let left = seconds * (total - part) as f64 / part as f64;
    let left = if left.is_finite() {
        format!(", {left:.0} s left")
    } else {
        String::new()
    };
    format!(
        "[{}{}] {percent:3}%  {events} events, {:.0}/s{left}",
        "=".repeat(full as usize),
        " ".repeat((WIDTH - full) as usize),
        events as f64 / seconds,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_says_how_far_and_how_long() {
        let done = |part, total| Done {
            part,
            total,
            events: 50,
        };
        let seconds = Duration::from_secs(10);
        assert_eq!(
            line(done(25, 100), seconds),
            "[======                  ]  25%  50 events, 5/s, 30 s left"
        );
        assert!(line(done(0, 0), seconds).contains("100%"));
        assert!(line(done(9, 4), Duration::ZERO).contains("100%"));
    }
}
