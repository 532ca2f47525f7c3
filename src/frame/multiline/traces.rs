//! `auto`: stack traces of Java, Python, Go, Ruby, Node, .NET, PHP and Rust,
//! with their causes, and indented lines.
//!
//! An indented line belongs to the event before it, unless it is a log line
//! itself: one that begins with a time, or a level in capitals, or is a JSON
//! object. Beyond that a small machine knows which lines at the margin a trace
//! may go on with, such as `Caused by: …`.
//!
//! A trace that begins at the margin belongs to the line before it if that one
//! announces it ([`line::announces_trace`]): `logging.exception` writes both,
//! and an uncaught exception has nothing to do with the last `INFO`. Where the
//! first line alone could be any text (`Error: no space left`), or where a
//! trace may go on behind an empty line, the next line tells.
//!
//! JSON lines are events of their own, and wait for nothing.

use super::Verdict;
use super::line;

/// What the held event ends in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// There is none.
    #[default]
    Nothing,
    /// Text that is no trace.
    Text,
    /// The name of an exception, with its message.
    Head,
    /// Indented frames.
    Frames,
    /// `Traceback`, and indented frames.
    Python,
    /// The exception behind them.
    PythonError,
    /// `During handling of the above exception, …`.
    PythonChain,
    /// `panic: …`.
    GoPanic,
    /// `goroutine 1 [running]:` and its frames.
    Go,
    /// `thread 'main' panicked at src/main.rs:5:9:`; the message follows.
    RustHead,
    /// What follows.
    Rust,
    /// `Stack trace:` and `#0` lines.
    Php,
    /// A line of source code with a caret under it.
    Caret,
    /// `Require stack:` and the modules.
    Require,
    /// `{`, of a JSON object on several lines.
    Json,
}

/// Judges the lines of one stream.
#[derive(Clone, Debug, Default)]
pub(super) struct Traces {
    state: State,
}

impl Traces {
    /// Whether `line` belongs to `event`, the lines held before it.
    #[inline]
    pub(super) fn verdict(&mut self, event: &[u8], line: &[u8]) -> Verdict {
        match line[0] {
            b' ' | b'\t' => self.indented(line),
            // Most log lines begin with a time, in brackets or not; no trace
            // begins or goes on so.
            b'0'..=b'9' if self.state != State::RustHead => self.starts(State::Text),
            _ => self.at_margin(event, line),
        }
    }

    /// Whether `line` tells that the undecided line, one without text or the
    /// name of an exception, belongs to the event before it.
    pub(super) fn confirms(&mut self, undecided: &[u8], line: &[u8]) -> bool {
        let next = if line::unindented(undecided).is_empty() {
            self.behind_gap(line)
        } else {
            behind_head(undecided, line)
        };
        if let Some(next) = next {
            self.state = next;
        }
        next.is_some()
    }

    /// An undecided line starts an event.
    pub(super) fn started(&mut self, line: &[u8]) {
        self.state = if line::unindented(line).is_empty() {
            State::Nothing
        } else {
            begins(line)
        };
    }

    fn starts(&mut self, state: State) -> Verdict {
        self.state = state;
        Verdict::Starts
    }

    fn joins(&mut self, state: State) -> Verdict {
        self.state = state;
        Verdict::Joins
    }

    fn alone(&mut self) -> Verdict {
        self.state = State::Nothing;
        Verdict::Alone
    }

    fn indented(&mut self, line: &[u8]) -> Verdict {
        let rest = line::unindented(line);
        if rest.is_empty() {
            return self.gap();
        }
        // Most lines of most traces.
        if matches!(self.state, State::Text | State::Head | State::Frames) && is_frame(rest) {
            return self.joins(State::Frames);
        }
        let is_entry = match self.state {
            // Source code can begin with any word.
            State::Python | State::Caret => line::is_dated(rest),
            State::Json => false,
            _ => line::is_entry(line),
        };
        if is_entry && line::is_object(rest) {
            return self.alone();
        }
        if self.state == State::Nothing || is_entry {
            return self.starts(State::Text);
        }
        if line::is_caret(line) && self.state != State::Python {
            return self.joins(State::Caret);
        }
        let next = match self.state {
            State::Caret | State::Require if is_frame(rest) => State::Frames,
            State::RustHead => State::Rust,
            same => same,
        };
        self.joins(next)
    }

    /// A line without text: a trace may go on behind it.
    fn gap(&mut self) -> Verdict {
        match self.state {
            State::Nothing | State::Text | State::Python | State::RustHead => self.alone(),
            _ => Verdict::Undecided,
        }
    }

    fn at_margin(&mut self, event: &[u8], line: &[u8]) -> Verdict {
        if matches!(line[0], b'\n' | b'\r') && line::content(line).is_empty() {
            return self.gap();
        }
        if let Some(next) = self.goes_on(line) {
            return self.joins(next);
        }
        if line[0] == b'{' && line::is_object(line) {
            return self.alone();
        }
        let state = begins(line);
        let announced = || line::announces_trace(event);
        match state {
            State::Python | State::Go | State::Frames
                if self.state == State::Text && announced() =>
            {
                self.joins(state)
            }
            State::Head if self.state == State::Text && is_head(line) && announced() => {
                Verdict::Undecided
            }
            _ => self.starts(state),
        }
    }

    /// What the event ends in with `line`, if that can only be a part of it.
    fn goes_on(&self, line: &[u8]) -> Option<State> {
        if self.state == State::Nothing {
            return None;
        }
        let with = |prefix: &str| line.starts_with(prefix.as_bytes());
        match line[0] {
            b'C' if with("Caused by: ") => return Some(State::Head),
            b'W' if with("Wrapped by: ") => return Some(State::Head),
            b'S' if with("Stack trace:") => return Some(State::Php),
            b'[' if with("[stacktrace]") => return Some(State::Php),
            _ => {}
        }
        let goes_on = match self.state {
            State::Python => {
                let letter = line[0].is_ascii_alphabetic() || line[0] == b'_';
                return letter.then_some(State::PythonError);
            }
            State::RustHead => return Some(State::Rust),
            State::Head | State::Frames => return self.frames_go_on(line),
            State::PythonChain => {
                return with("Traceback (most recent").then_some(State::Python);
            }
            State::GoPanic if with("[signal ") || with("panic: ") => true,
            State::GoPanic | State::Go => return is_go(line).then_some(State::Go),
            State::Rust => with("stack backtrace:") || with("note: "),
            State::Php => {
                matches!(line, [b'#', b'0'..=b'9', ..])
                    || with("\"}")
                    || with("[previous exception]")
            }
            State::Require => with("- "),
            State::Json if matches!(line::content(line), b"}" | b"},") => {
                return Some(State::Nothing);
            }
            State::Nothing | State::Text | State::PythonError | State::Caret | State::Json => false,
        };
        goes_on.then_some(self.state)
    }

    fn frames_go_on(&self, line: &[u8]) -> Option<State> {
        let with = |prefix: &str| line.starts_with(prefix.as_bytes());
        let frame = match line[0] {
            b'}' => matches!(line::content(line), b"}" | b"},"),
            b'-' => with("--- End of "),
            b'.' => with("... "),
            b'a' => with("at "),
            b'R' if with("Require stack:") => return Some(State::Require),
            _ => false,
        };
        let frame = frame || self.state == State::Frames && line::is_ruby_frame(line);
        frame.then_some(State::Frames)
    }

    /// What the event ends in if it goes on with `line` behind an empty one.
    fn behind_gap(&self, line: &[u8]) -> Option<State> {
        let with = |prefix: &str| line.starts_with(prefix.as_bytes());
        match self.state {
            State::PythonError => {
                let chain = with("During handling of the above exception")
                    || with("The above exception was the direct cause");
                chain.then_some(State::PythonChain)
            }
            State::PythonChain => with("Traceback (most recent").then_some(State::Python),
            State::GoPanic | State::Go => {
                let go = with("goroutine ") || with("runtime stack:") || with("exit status ");
                (go || line::is_go_register(line)).then_some(State::Go)
            }
            State::Caret => line::names_exception(line).then_some(State::Head),
            State::Head | State::Frames | State::Rust | State::Require => {
                let parts = [
                    "Caused by:",
                    "Stack backtrace:",
                    "stack backtrace:",
                    "Location:",
                    "Node.js v",
                ];
                parts.into_iter().any(with).then_some(State::Frames)
            }
            State::Php => with("Next ").then_some(State::Head),
            _ => None,
        }
    }
}

/// What an event ends in that begins with `line`.
fn begins(line: &[u8]) -> State {
    let with = |prefix: &str| line.starts_with(prefix.as_bytes());
    match line[0] {
        b'T' if with("Traceback (most recent call last)") => State::Python,
        b'E' if with("Exception in thread ") => State::Head,
        b'U' if with("Unhandled exception") || with("Uncaught ") => State::Head,
        b'p' if with("panic: ") => State::GoPanic,
        b'f' if with("fatal error: ") => State::GoPanic,
        b'S' if with("SIGQUIT: quit") => State::GoPanic,
        b'g' if with("goroutine ") && line::content(line).ends_with(b"]:") => State::Go,
        b't' if with("thread '") && line::panics(line) => rust_head(line),
        b'A'..=b'Z' | b'a'..=b'z' | b'_' | b'/' | b'.' | b'<' | b'(' => {
            if line::is_ruby_frame(line) {
                State::Frames
            } else if line::names_exception(line) {
                State::Head
            } else {
                State::Text
            }
        }
        b'{' if line::content(line) == b"{" => State::Json,
        _ => State::Text,
    }
}

fn rust_head(line: &[u8]) -> State {
    if line::content(line).ends_with(b":") {
        State::RustHead
    } else {
        State::Rust
    }
}

/// Whether the line is the name of an exception, and not one of the sentences
/// of which an event that starts with them is sure to be an own one.
fn is_head(line: &[u8]) -> bool {
    !line.starts_with(b"Exception in thread ") && line::names_exception(line)
}

/// What an event ends in if `line` goes on from `head`, the name of an
/// exception: its first frame or, where the name has a package and can be
/// nothing else, more of its message.
fn behind_head(head: &[u8], line: &[u8]) -> Option<State> {
    if line.starts_with(b"Caused by: ") {
        return Some(State::Head);
    }
    let indented = matches!(line[0], b' ' | b'\t');
    if indented && is_frame(line::unindented(line)) {
        return Some(State::Frames);
    }
    let qualified = line::first_word(head).contains(&b'.');
    (indented && qualified && !line::is_entry(line)).then_some(State::Head)
}

/// Whether a line, behind its indentation, is a frame of a stack.
fn is_frame(rest: &[u8]) -> bool {
    match rest.first() {
        Some(b'a') => rest.starts_with(b"at "),
        Some(b'.') => rest.starts_with(b"... "),
        Some(b'f') => rest.starts_with(b"from "),
        Some(b'-') => rest.starts_with(b"---> ") || rest.starts_with(b"--- End of "),
        _ => false,
    }
}

fn is_go(line: &[u8]) -> bool {
    let with = |prefix: &str| line.starts_with(prefix.as_bytes());
    with("goroutine ")
        || with("created by ")
        || with("exit status ")
        || with("...additional frames elided...")
        || with("runtime stack:")
        || line::is_go_call(line)
}
