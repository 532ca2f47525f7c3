//! Lines to events of several lines: stack traces and the like.
//!
//! A [`Joiner`] works behind the framing of lines, in place as well: it takes
//! away the ends of lines that the next one goes on from, so that an event is
//! a span with its newlines in it and no byte moves. The last event of a
//! stream may always go on. Its lines are *held*: they stand behind the
//! chunk's last end, as the beginning of a line does, and are carried along
//! with it.
//!
//! A line is judged by its first bytes and by the event it would belong to:
//! by patterns of the configuration, or as [`traces`] says.
//!
//! In the log of a container, which its first line tells, events are found in
//! what the runtime has wrapped: see [`container`].
//!
//! An event ends early, and is counted, when it has as many lines or bytes as
//! it may; what goes on from it is the next event. How long lines are held is
//! the reader's to watch: [`super::Framer::flush`] ends the wait.

mod container;
mod line;
mod options;
mod traces;

use crate::event::Chunk;
use container::Container;
pub use options::{Bounds, Multiline, Patterns};
use options::{Limits, Rule};

/// Whether a line belongs to the event before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    /// It starts an event.
    Starts,
    /// It is an event of its own, which nothing goes on from.
    Alone,
    /// It belongs to the event before it.
    Joins,
    /// The next line tells.
    Undecided,
}

/// The lines that are held: an event that may go on, and perhaps a line of
/// which the next one tells whether it belongs to it.
#[derive(Clone, Copy, Debug, Default)]
struct Held {
    /// Bytes of the event, from the last end in the chunk.
    event: usize,
    /// Bytes of the undecided line behind it.
    undecided: usize,
    /// Lines of the event.
    lines: usize,
    /// Whether a line of the event was cut at the line limit.
    truncated: bool,
    /// Whether the undecided line was.
    undecided_truncated: bool,
}

/// Who wrote the stream.
#[derive(Clone, Debug)]
enum Origin {
    Program,
    Runtime(Box<Container>),
}

/// Joins the lines of one stream.
#[derive(Clone, Debug)]
pub(in crate::frame) struct Joiner {
    rule: Rule,
    limits: Limits,
    held: Held,
    /// None until the first line.
    origin: Option<Origin>,
    /// Ends and cut lines that the chunk had before this call.
    ends_before: usize,
    truncated_before: usize,
}

impl Joiner {
    /// Bytes of the lines that are held.
    pub(super) fn held(&self) -> usize {
        let wrapped = match &self.origin {
            Some(Origin::Runtime(container)) => container.held(),
            _ => 0,
        };
        self.in_chunk() + wrapped
    }

    /// Where in the input the first of them stood that stand elsewhere than in
    /// the chunk.
    pub(super) fn position(&self) -> Option<u64> {
        match &self.origin {
            Some(Origin::Runtime(container)) => container.position(),
            _ => None,
        }
    }

    /// Bytes of those of them that stand in the chunk.
    fn in_chunk(&self) -> usize {
        self.held.event + self.held.undecided
    }

    /// The most that it holds.
    pub(super) fn held_max(&self) -> usize {
        // An event within the limit, and one undecided line.
        self.limits.bytes_max
    }

    /// How long lines are held.
    pub(super) fn timeout(&self) -> std::time::Duration {
        self.limits.timeout
    }

    /// Makes the held lines look like whole ones, so that the framing of lines
    /// goes on behind them. [`Joiner::fold`] follows.
    pub(super) fn unfold(&mut self, chunk: &mut Chunk) {
        self.ends_before = chunk.ends.len();
        self.truncated_before = chunk.truncated.len();
        let start = chunk.framed();
        if self.held.event > 0 {
            chunk.ends.push((start + self.held.event) as u32);
        }
        if self.held.undecided > 0 {
            chunk.ends.push((start + self.in_chunk()) as u32);
        }
    }

    /// Joins the lines whose ends were found since [`Joiner::unfold`]; says how
    /// many events ended early.
    pub(super) fn fold(&mut self, chunk: &mut Chunk) -> u64 {
        let first = self.ends_before + self.held_lines();
        let before = self.ends_before.checked_sub(1);
        let start = before.map_or(0, |before| chunk.ends[before] as usize);
        if self.origin.is_none()
            && let Some(&end) = chunk.ends.get(first)
        {
            let container = Container::of(&chunk.text[start..end as usize], &self.rule);
            self.origin = Some(container.map_or(Origin::Program, Origin::Runtime));
        }
        if let Some(Origin::Runtime(container)) = &mut self.origin {
            let cut = chunk.truncated.split_off(self.truncated_before);
            return container.fold(chunk, start, first, &cut, &self.limits);
        }
        self.fold_from(chunk, start, first)
    }

    /// Ends the held event; the line that waits to be decided is one of its own.
    pub(super) fn flush(&mut self, chunk: &mut Chunk) {
        if let Some(Origin::Runtime(container)) = &mut self.origin {
            return container.flush(chunk);
        }
        if self.held.event == 0 {
            return;
        }
        self.unfold(chunk);
        let held = std::mem::take(&mut self.held);
        chunk.joined |= held.lines > 1;
        if held.truncated {
            chunk.truncated.push(self.ends_before as u32);
        }
        if held.undecided_truncated {
            chunk.truncated.push(self.ends_before as u32 + 1);
        }
        self.rule.restart();
    }

    fn held_lines(&self) -> usize {
        usize::from(self.held.event > 0) + usize::from(self.held.undecided > 0)
    }

    fn fold_from(&mut self, chunk: &mut Chunk, start: usize, first: usize) -> u64 {
        let Chunk {
            text,
            ends,
            truncated,
            joined,
            ..
        } = chunk;
        let lines = ends.len();
        let cut = truncated.split_off(self.truncated_before);
        let mut cut = cut.into_iter().peekable();
        let mut folding = Folding {
            text,
            ends,
            truncated,
            write: self.ends_before,
            start,
            held: self.held,
            joined,
            split: 0,
        };
        let mut from = start + self.in_chunk();
        for row in first..lines {
            let end = folding.ends[row] as usize;
            let line = from..end;
            from = end;
            let truncated = cut.next_if(|&cut| cut as usize == row).is_some();
            let verdict = folding.verdict(&mut self.rule, line.clone());
            folding.take(verdict, line.len(), truncated, &self.limits);
        }
        folding.ends.truncate(folding.write);
        self.held = folding.held;
        folding.split
    }
}

/// Takes ends away in place: writes behind where it reads.
struct Folding<'a> {
    text: &'a [u8],
    ends: &'a mut Vec<u32>,
    truncated: &'a mut Vec<u32>,
    joined: &'a mut bool,
    /// Where the next end goes.
    write: usize,
    /// Where the held event starts in the text.
    start: usize,
    held: Held,
    split: u64,
}

impl Folding<'_> {
    #[inline]
    fn verdict(&mut self, rule: &mut Rule, line: std::ops::Range<usize>) -> Verdict {
        if self.held.undecided > 0 {
            let undecided = self.start + self.held.event..line.start;
            if rule.confirms(&self.text[undecided.clone()], &self.text[line.clone()]) {
                return Verdict::Joins;
            }
            // It starts an event: nothing else would have waited for this line.
            let (len, truncated) = (self.held.undecided, self.held.undecided_truncated);
            self.end_event();
            self.hold(len, truncated);
            rule.started(&self.text[undecided]);
        }
        let event = &self.text[self.start..self.start + self.held.event];
        rule.verdict(event, &self.text[line])
    }

    #[inline]
    fn take(&mut self, verdict: Verdict, len: usize, truncated: bool, limits: &Limits) {
        match verdict {
            Verdict::Starts => {
                self.end_event();
                self.hold(len, truncated);
            }
            Verdict::Alone => {
                self.end_event();
                self.hold(len, truncated);
                self.end_event();
            }
            Verdict::Joins => self.join(len, truncated, limits),
            Verdict::Undecided => {
                self.held.undecided = len;
                self.held.undecided_truncated = truncated;
            }
        }
    }

    fn join(&mut self, len: usize, truncated: bool, limits: &Limits) {
        let held = &mut self.held;
        let more = usize::from(held.undecided > 0) + 1;
        let bytes = held.event + held.undecided + len;
        if held.lines + more > limits.lines_max || bytes > limits.bytes_max {
            self.split += 1;
            let undecided = held.undecided;
            let cut = held.undecided_truncated;
            self.end_event();
            if undecided > 0 {
                self.hold(undecided, cut);
                self.end_event();
            }
            self.hold(len, truncated);
            return;
        }
        held.event = bytes;
        held.lines += more;
        held.truncated |= truncated | held.undecided_truncated;
        held.undecided = 0;
        held.undecided_truncated = false;
    }

    /// Begins an event with a line.
    #[inline]
    fn hold(&mut self, len: usize, truncated: bool) {
        self.held = Held {
            event: len,
            lines: 1,
            truncated,
            ..Held::default()
        };
    }

    /// Ends the held event, if there is one; an undecided line behind it is
    /// the caller's to hold.
    #[inline]
    fn end_event(&mut self) {
        if self.held.event == 0 {
            return;
        }
        self.start += self.held.event;
        if self.held.truncated {
            self.truncated.push(self.write as u32);
        }
        *self.joined |= self.held.lines > 1;
        // There are never more ends written than lines read.
        self.ends[self.write] = self.start as u32;
        self.write += 1;
        self.held = Held::default();
    }
}

#[cfg(test)]
mod tests;
