//! Plain text: a time and a level at its beginning or in brackets, and the
//! message without them. Takes any line.

use std::ops::Range;
use std::sync::Arc;

use super::{
    Parser,
    output::{self, Output},
    scan,
};
use crate::event::time::{COMMON_LAYOUTS, Layout};
use crate::event::{Cell, Columns, Defs, FieldKind, Level, Needs, Role, Timestamp};

/// How far into a line a bracketed time or level is looked for.
const HEAD_BYTES_MAX: usize = 128;
/// Where `%+` is in [`COMMON_LAYOUTS`], after those that it is the beginning of.
const RFC3339: usize = 2;
/// The longest word that can be a level.
const LEVEL_BYTES_MAX: usize = 13;

/// Reads any line.
#[derive(Clone, Debug)]
pub(super) struct Text {
    times: Box<[(Arc<Layout>, Output)]>,
    level: Output,
    message: Output,
    reference: Timestamp,
}

/// The layout's index, the span and the time.
type FoundTime = (usize, Range<usize>, Timestamp);

#[derive(Default)]
struct Found {
    time: Option<FoundTime>,
    level: Option<Range<usize>>,
}

impl Text {
    pub(super) fn build(needs: &Needs, defs: &mut Defs) -> Text {
        let times = output::times(&COMMON_LAYOUTS, needs, defs);
        let mut output = |role: Role| Output::new(role.name(), Some(role), None, needs, defs);
        Text {
            times,
            level: output(Role::Level),
            message: output(Role::Message),
            reference: Timestamp(0),
        }
    }

    /// A time at `at` that ends where a word ends.
    fn time(&self, text: &[u8], at: usize, end: usize) -> Option<FoundTime> {
        let window = &text[at..end];
        let first = window.first()?;
        if !first.is_ascii_digit() && !b"JFMASONDTWjfmasondtw".contains(first) {
            return None;
        }
        let read = |i: usize| {
            let (time, len) = self.times[i].0.parse_prefix_in(window, self.reference)?;
            let goes_on = window.get(len).is_some_and(u8::is_ascii_alphanumeric);
            (!goes_on).then_some((i, at..at + len, time))
        };
        // The most common time by far is not read by layout after layout.
        if window.get(4) == Some(&b'-') {
            let plain = read(RFC3339)?;
            let zoned = text[plain.1.end..end].first_chunk();
            if !matches!(zoned, Some([b' ', b'+' | b'-' | b'U' | b'G' | b'Z'])) {
                return Some(plain);
            }
            return (0..RFC3339).find_map(read).or(Some(plain));
        }
        (RFC3339 + 1..self.times.len()).find_map(read)
    }

    /// Takes times and levels off the beginning; where the message starts.
    fn head(&self, text: &[u8], line: &Range<usize>, found: &mut Found) -> usize {
        let mut message = line.start;
        let mut at = scan::skip_spaces(text, line.start, line.end);
        while at < line.end && (found.time.is_none() || found.level.is_none()) {
            let bracket = closing(text[at]);
            let start = if bracket.is_some() { at + 1 } else { at };
            let Some(stop) = self.item(text, start, line.end, bracket, found) else {
                break;
            };
            at = separators(text, stop, line.end);
            message = at;
        }
        message
    }

    /// One time or level at `start`, closed by `bracket` if it was opened;
    /// where it ends.
    fn item(
        &self,
        text: &[u8],
        start: usize,
        end: usize,
        bracket: Option<u8>,
        found: &mut Found,
    ) -> Option<usize> {
        let closed = |stop: usize| match bracket {
            Some(close) => (text[..end].get(stop) == Some(&close)).then_some(stop + 1),
            None => Some(stop),
        };
        if found.time.is_none()
            && let Some(time) = self.time(text, start, end)
        {
            // `[2026-11-23 13:32:42 INFO]` goes on inside of its bracket.
            let stop = time.1.end;
            let after = closed(stop).unwrap_or(stop);
            found.time = Some(time);
            return Some(after);
        }
        if found.level.is_some() {
            return None;
        }
        let stop = word_end(text, start, end);
        let word = &text[start..stop];
        let follows = text[..end].get(stop).copied();
        let known = Level::parse(word).is_some() && !word[0].is_ascii_digit();
        let sure = match follows {
            Some(b']' | b')' | b'>') => bracket.is_some() || found.time.is_some(),
            Some(b':' | b'|') => word.len() > 1,
            Some(b' ' | b'\t') | None => {
                word.len() > 1 && is_plain_level(word, found.time.is_some())
            }
            _ => false,
        };
        if !known || !sure {
            return None;
        }
        found.level = Some(start..stop);
        Some(closed(stop).unwrap_or(stop))
    }

    /// Looks for what is still missing in brackets further on.
    fn bracketed(&self, text: &[u8], from: usize, end: usize, found: &mut Found) {
        let end = end.min(from + HEAD_BYTES_MAX);
        let mut at = from;
        while (found.time.is_none() || found.level.is_none())
            && let Some(open) = scan::find(text, at, end, b'[')
        {
            at = open + 1;
            let closes = |stop: usize| text[..end].get(stop) == Some(&b']');
            if found.time.is_none()
                && let Some(time) = self.time(text, at, end)
                && closes(time.1.end)
            {
                found.time = Some(time);
                continue;
            }
            let stop = word_end(text, at, end);
            if found.level.is_none() && stop - at > 1 && closes(stop) {
                let level = Level::parse(&text[at..stop]).filter(|_| !text[at].is_ascii_digit());
                found.level = level.map(|_| at..stop);
            }
        }
    }
}

fn closing(open: u8) -> Option<u8> {
    match open {
        b'[' => Some(b']'),
        b'(' => Some(b')'),
        b'<' => Some(b'>'),
        _ => None,
    }
}

fn word_end(text: &[u8], start: usize, end: usize) -> usize {
    let window = &text[start..end.min(start + LEVEL_BYTES_MAX + 1)];
    start
        + window
            .iter()
            .position(|b| !b.is_ascii_alphabetic())
            .unwrap_or(window.len())
}

/// Whether a bare word is meant as a level: shouted, or after a time one of
/// the words that are nothing else.
fn is_plain_level(word: &[u8], after_time: bool) -> bool {
    const PLAIN: [&str; 8] = [
        "trace", "debug", "info", "warn", "warning", "error", "fatal", "critical",
    ];
    let shouted = word.iter().all(u8::is_ascii_uppercase);
    shouted
        || after_time
            && PLAIN
                .iter()
                .any(|p| p.as_bytes().eq_ignore_ascii_case(word))
}

/// Past what stands between a time, a level and the message.
fn separators(text: &[u8], mut at: usize, end: usize) -> usize {
    while at < end {
        let dash = text[at] == b'-' && matches!(text[..end].get(at + 1), None | Some(b' '));
        if !dash && !matches!(text[at], b' ' | b'\t' | b':' | b'|' | b']' | b')' | b'>') {
            break;
        }
        at += 1;
    }
    at
}

impl Parser for Text {
    fn name(&self) -> &'static str {
        "text"
    }

    fn begin(&mut self, observed: Timestamp) {
        self.reference = observed;
    }

    fn parse_line(
        &mut self,
        text: &[u8],
        line: Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        let mut found = Found::default();
        let start = self.head(text, &line, &mut found);
        self.bracketed(text, start, line.end, &mut found);
        let lists = out.wants_fields();
        if let Some((layout, span, time)) = &found.time {
            let output = &self.times[*layout].1;
            output.put_time(out, row, text, Cell::new(span.start, span.end), *time);
            if lists {
                out.push_field(output.field(FieldKind::Time, span.start, span.end));
            }
        }
        if let Some(span) = &found.level {
            self.level.text(out, row, text, span.start, span.end);
        }
        if start < line.end || line.is_empty() {
            self.message.text(out, row, text, start, line.end);
        }
        true
    }
}
