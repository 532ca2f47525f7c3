//! Lines that a container runtime has wrapped: CRI logs and Docker's json-file.
//!
//! ```text
//! 2026-11-23T13:32:42.1Z stdout P the beginning of a long line
//! 2026-11-23T13:32:42.1Z stdout F and its end
//! {"log":"a line\n","stream":"stdout","time":"2026-11-23T13:32:42.1Z"}
//! ```
//!
//! Both cut long lines (CRI marks them `P`; Docker's lack the `\n` at the end),
//! and mix stdout and stderr, of which each is a stream of its own here. An
//! event has the wrapping of its first line, and the contents of all: its parts
//! did not stand together, so that it is written anew. Within CRI its lines
//! end in newlines; within JSON these stay escaped, on one line.
//!
//! What is held stands here, not in the chunk. Lines that are whole as they came
//! stay where they are.

use super::options::{Limits, Rule};
use super::{Verdict, line};
use crate::event::escape::unescape_json_into;
use crate::event::{Chunk, Mark};

/// A time of RFC 3339 with nanoseconds and an offset is no longer.
const TIME_BYTES_MAX: usize = 36;
/// What is larger is not kept from chunk to chunk: a node has many containers.
const KEPT_BYTES_MAX: usize = 16 * 1024;
const DOCKER: &[u8] = b"{\"log\":\"";
const DOCKER_STDERR: &[u8] = b"\",\"stream\":\"stderr\"";

/// How lines are wrapped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cri,
    Docker,
}

/// A line taken out of its wrapping.
struct Unwrapped<'a> {
    /// What stands before and behind the content.
    before: &'a [u8],
    content: &'a [u8],
    behind: &'a [u8],
    stderr: bool,
    /// The line goes on with the next one of its stream.
    partial: bool,
    /// Written anew, it would be the same.
    same: bool,
}

impl Kind {
    fn unwrap(self, line: &[u8]) -> Option<Unwrapped<'_>> {
        match self {
            Kind::Cri => unwrap_cri(line),
            Kind::Docker => unwrap_docker(line),
        }
    }
}

fn unwrap_cri(line: &[u8]) -> Option<Unwrapped<'_>> {
    let window = &line[..line.len().min(TIME_BYTES_MAX)];
    let time = memchr::memchr(b' ', window)?;
    if line.get(10) != Some(&b'T') || !line::is_dated(line) {
        return None;
    }
    let rest = &line[time + 1..];
    let stderr = rest.starts_with(b"stderr ");
    if !stderr && !rest.starts_with(b"stdout ") {
        return None;
    }
    let tag = time + 1 + b"stdout ".len();
    // Further tags may follow behind a colon.
    let partial = match line.get(tag..)? {
        [b'P', b' ' | b':' | b'\n', ..] => true,
        [b'F', b' ' | b':' | b'\n', ..] => false,
        _ => return None,
    };
    let end = memchr::memchr2(b' ', b'\n', &line[tag..]).map_or(line.len(), |at| tag + at);
    let content = match line.get(end) {
        Some(b' ') => &line[end + 1..],
        _ => &line[end..],
    };
    let content = if partial {
        line::content(content)
    } else {
        content
    };
    Some(Unwrapped {
        before: &line[..tag],
        content,
        behind: b"",
        stderr,
        partial,
        same: line[tag..].starts_with(b"F ") && line.ends_with(b"\n"),
    })
}

fn unwrap_docker(line: &[u8]) -> Option<Unwrapped<'_>> {
    let rest = line.strip_prefix(DOCKER)?;
    let (mut at, mut ends_in_newline) = (0, false);
    loop {
        at += memchr::memchr2(b'"', b'\\', &rest[at..])?;
        if rest[at] == b'"' {
            break;
        }
        ends_in_newline = rest.get(at..at + 3)? == b"\\n\"";
        at += 2;
    }
    let behind = &rest[at..];
    Some(Unwrapped {
        before: DOCKER,
        content: &rest[..at],
        behind,
        stderr: behind.starts_with(DOCKER_STDERR),
        partial: !ends_in_newline,
        same: ends_in_newline && line.ends_with(b"\n"),
    })
}

/// A line or event, and the wrapping of its first part.
#[derive(Clone, Debug, Default)]
struct Part {
    before: Vec<u8>,
    content: Vec<u8>,
    /// Docker's content without escapes, which the rule looks at: kept, for to
    /// make it anew with each line would take quadratic time.
    unescaped: Vec<u8>,
    behind: Vec<u8>,
    lines: usize,
    truncated: bool,
    /// Where its first line stood in the input.
    position: u64,
}

impl Part {
    fn is_empty(&self) -> bool {
        self.lines == 0
    }

    /// The content as the program wrote it.
    fn plain(&self, kind: Kind) -> &[u8] {
        match kind {
            Kind::Cri => &self.content,
            Kind::Docker => &self.unescaped,
        }
    }

    /// Appends the content of a line, or of a part of one.
    fn append(&mut self, kind: Kind, line: &Unwrapped, truncated: bool, position: u64) {
        if self.is_empty() {
            self.position = position;
            self.before.extend_from_slice(line.before);
            self.behind.extend_from_slice(line.behind);
        }
        self.content.extend_from_slice(line.content);
        if kind == Kind::Docker {
            unescape_json_into(line.content, &mut self.unescaped);
        }
        // However many parts: it is one line.
        self.lines = 1;
        self.truncated |= truncated;
    }

    fn clear(&mut self) {
        self.before.clear();
        self.content.clear();
        self.unescaped.clear();
        self.behind.clear();
        self.lines = 0;
        self.truncated = false;
    }

    /// Writes it as an event.
    fn write(&mut self, kind: Kind, chunk: &mut Chunk) {
        if self.is_empty() {
            return;
        }
        if self.truncated {
            chunk.truncated.push(chunk.ends.len() as u32);
        }
        chunk.mark(chunk.text.len(), self.position);
        chunk.text.extend_from_slice(&self.before);
        if kind == Kind::Cri {
            chunk.text.extend_from_slice(b"F ");
            chunk.joined |= self.lines > 1;
        }
        chunk.text.extend_from_slice(&self.content);
        chunk.text.extend_from_slice(&self.behind);
        if !chunk.text.ends_with(b"\n") {
            chunk.text.push(b'\n');
        }
        chunk.ends.push(chunk.text.len() as u32);
        self.clear();
    }
}

/// stdout or stderr.
#[derive(Clone, Debug)]
struct Lane {
    rule: Rule,
    event: Part,
    undecided: Part,
    /// A line of which the end is missing.
    line: Part,
}

impl Lane {
    fn new(rule: Rule) -> Lane {
        Lane {
            rule,
            event: Part::default(),
            undecided: Part::default(),
            line: Part::default(),
        }
    }

    fn held(&self) -> usize {
        self.event.content.len() + self.undecided.content.len() + self.line.content.len()
    }

    /// Whether a whole line would be an event as it is.
    fn takes_whole(&self) -> bool {
        matches!(self.rule, Rule::Lines) && self.line.is_empty()
    }

    /// Takes a line or a part of one; says how many events ended early.
    fn take(
        &mut self,
        kind: Kind,
        unwrapped: &Unwrapped,
        truncated: bool,
        position: u64,
        limits: &Limits,
        chunk: &mut Chunk,
    ) -> u64 {
        self.line.append(kind, unwrapped, truncated, position);
        let long = self.line.content.len() > limits.bytes_max;
        if unwrapped.partial && !long {
            return 0;
        }
        if kind == Kind::Cri && unwrapped.partial {
            self.line.content.push(b'\n');
        }
        let split = self.take_line(kind, limits, chunk);
        split + u64::from(long && unwrapped.partial)
    }

    /// Takes the line that is complete.
    fn take_line(&mut self, kind: Kind, limits: &Limits, chunk: &mut Chunk) -> u64 {
        let line = self.line.plain(kind);
        if line.is_empty() {
            self.end_event(kind, chunk);
            self.line.write(kind, chunk);
            return 0;
        }
        let verdict = if self.undecided.is_empty() {
            self.rule.verdict(self.event.plain(kind), line)
        } else {
            let undecided = self.undecided.plain(kind);
            if self.rule.confirms(undecided, line) {
                Verdict::Joins
            } else {
                self.rule.started(undecided);
                let verdict = self.rule.verdict(undecided, line);
                self.event.write(kind, chunk);
                std::mem::swap(&mut self.event, &mut self.undecided);
                verdict
            }
        };
        match verdict {
            Verdict::Starts => {
                self.event.write(kind, chunk);
                std::mem::swap(&mut self.event, &mut self.line);
            }
            Verdict::Alone => {
                self.event.write(kind, chunk);
                self.line.write(kind, chunk);
            }
            Verdict::Undecided => std::mem::swap(&mut self.undecided, &mut self.line),
            Verdict::Joins => return self.join(kind, limits, chunk),
        }
        0
    }

    fn join(&mut self, kind: Kind, limits: &Limits, chunk: &mut Chunk) -> u64 {
        let lines = self.event.lines + self.undecided.lines + self.line.lines;
        if lines > limits.lines_max || self.held() > limits.bytes_max {
            self.event.write(kind, chunk);
            self.undecided.write(kind, chunk);
            std::mem::swap(&mut self.event, &mut self.line);
            return 1;
        }
        for part in [&mut self.undecided, &mut self.line] {
            self.event.content.extend_from_slice(&part.content);
            self.event.unescaped.extend_from_slice(&part.unescaped);
            self.event.truncated |= part.truncated;
            part.clear();
        }
        self.event.lines = lines;
        0
    }

    /// Where in the input the first line stood that is held.
    fn position(&self) -> Option<u64> {
        let parts = [&self.event, &self.undecided, &self.line];
        let held = parts.into_iter().filter(|part| !part.is_empty());
        held.map(|part| part.position).min()
    }

    fn end_event(&mut self, kind: Kind, chunk: &mut Chunk) {
        self.event.write(kind, chunk);
        self.undecided.write(kind, chunk);
        self.rule.restart();
    }
}

/// Where in the input lines stood that are written anew.
struct Inputs {
    marks: Vec<Mark>,
    start: usize,
    /// The mark that the last line was behind.
    last: usize,
}

impl Inputs {
    /// For the text of `chunk` from `start` on.
    fn of(chunk: &mut Chunk, start: usize) -> Inputs {
        Inputs {
            marks: chunk.split_marks(start),
            start,
            last: 0,
        }
    }

    /// For the byte `from` behind the start; ascending from call to call.
    fn at(&mut self, from: usize) -> u64 {
        let at = self.start + from;
        let mark = |place: usize| self.marks.get(place);
        while mark(self.last + 1).is_some_and(|next| next.at as usize <= at) {
            self.last += 1;
        }
        mark(self.last).map_or(0, |mark| mark.input + (at as u64 - u64::from(mark.at)))
    }
}

/// Joins the lines of one container's log.
#[derive(Clone, Debug)]
pub(super) struct Container {
    kind: Kind,
    lanes: [Lane; 2],
    /// What is being read, while events are written in its place.
    text: Vec<u8>,
    ends: Vec<u32>,
}

impl Container {
    /// For a log that begins with `line`, if a runtime wrote it.
    pub(super) fn of(line: &[u8], rule: &Rule) -> Option<Box<Container>> {
        let kinds = [Kind::Cri, Kind::Docker];
        let kind = kinds.into_iter().find(|kind| kind.unwrap(line).is_some())?;
        Some(Box::new(Container {
            kind,
            lanes: [Lane::new(rule.clone()), Lane::new(rule.clone())],
            text: Vec::new(),
            ends: Vec::new(),
        }))
    }

    /// Bytes of the lines that are held.
    pub(super) fn held(&self) -> usize {
        self.lanes.iter().map(Lane::held).sum()
    }

    /// Where in the input the first line stood that is held.
    pub(super) fn position(&self) -> Option<u64> {
        self.lanes.iter().filter_map(Lane::position).min()
    }

    /// Puts events in the place of the lines from `first` on, which begin at
    /// `start` in the text; says how many ended early.
    pub(super) fn fold(
        &mut self,
        chunk: &mut Chunk,
        start: usize,
        first: usize,
        cut: &[u32],
        limits: &Limits,
    ) -> u64 {
        let whole = self.whole(chunk, start, first);
        let (cut_whole, cut) = cut.split_at(cut.partition_point(|&row| (row as usize) < whole));
        chunk.truncated.extend_from_slice(cut_whole);
        if whole == chunk.ends.len() {
            return 0;
        }
        let (first, start) = match whole.checked_sub(1) {
            Some(last) if whole > first => (whole, chunk.ends[last] as usize),
            _ => (first, start),
        };
        self.ends.clear();
        self.ends.extend(chunk.ends.drain(first..));
        self.text.clear();
        self.text.extend_from_slice(&chunk.text[start..]);
        let mut input = Inputs::of(chunk, start);
        chunk.text.truncate(start);
        let (mut from, mut split) = (0, 0);
        for (row, &end) in self.ends.iter().enumerate() {
            let end = end as usize - start;
            let line = &self.text[from..end];
            let position = input.at(from);
            from = end;
            let truncated = cut.binary_search(&((first + row) as u32)).is_ok();
            let Some(unwrapped) = self.kind.unwrap(line) else {
                // Nothing that the runtime has written.
                if truncated {
                    chunk.truncated.push(chunk.ends.len() as u32);
                }
                chunk.mark(chunk.text.len(), position);
                chunk.text.extend_from_slice(line);
                if !line.ends_with(b"\n") {
                    // The last line, but what is held comes behind it.
                    chunk.text.push(b'\n');
                }
                chunk.ends.push(chunk.text.len() as u32);
                continue;
            };
            let stream = &mut self.lanes[usize::from(unwrapped.stderr)];
            split += stream.take(self.kind, &unwrapped, truncated, position, limits, chunk);
        }
        // The line that is still being read.
        chunk.mark(chunk.text.len(), input.at(from));
        chunk.text.extend_from_slice(&self.text[from..]);
        if self.text.capacity() > KEPT_BYTES_MAX {
            (self.text, self.ends) = (Vec::new(), Vec::new());
        }
        split
    }

    /// Up to which row lines from `first` on can stay as they are, where most of a
    /// container's do: nothing is held, and each is whole.
    fn whole(&self, chunk: &Chunk, start: usize, first: usize) -> usize {
        let mut rows = first;
        if self.lanes.iter().all(Lane::takes_whole) {
            let mut from = start;
            for &end in &chunk.ends[first..] {
                let line = &chunk.text[from..end as usize];
                let stays = match self.kind.unwrap(line) {
                    Some(unwrapped) => unwrapped.same,
                    // Nothing that the runtime has written.
                    None => line.ends_with(b"\n"),
                };
                if !stays {
                    break;
                }
                rows += 1;
                from = end as usize;
            }
        }
        rows
    }

    /// Ends what is held.
    pub(super) fn flush(&mut self, chunk: &mut Chunk) {
        let input = chunk.input_at(chunk.framed());
        let unfinished = chunk.text.split_off(chunk.framed());
        for lane in &mut self.lanes {
            lane.end_event(self.kind, chunk);
            lane.line.write(self.kind, chunk);
        }
        chunk.mark(chunk.text.len(), input);
        chunk.text.extend_from_slice(&unfinished);
    }
}
