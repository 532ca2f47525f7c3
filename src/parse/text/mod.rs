//! Plain text: a time and a level wherever a program puts them at the head of
//! its lines, and the message without them. Takes any line.
//!
//! [`find`] says where they are. Text that stands before the first of them is
//! the field `prefix`, text between them `context`, so that nothing of the
//! line is lost and the message is what follows. Where time and level are at
//! the end of a line the message is what comes before, and a line that tells
//! them by key (`level=…`) is its message as a whole.

mod find;
mod word;
mod words;

use std::ops::Range;
use std::sync::Arc;

use super::{
    Parser,
    output::{self, Output},
    scan,
};
use crate::event::time::{Layout, Recent};
use crate::event::{Cell, Column, Columns, Defs, FieldKind, Level, Needs, Role, Timestamp};
use find::{Finder, Found, Severity};

/// A line's text but for its time and level.
#[derive(Debug, Default, PartialEq, Eq)]
struct Division {
    prefix: Range<usize>,
    context: Range<usize>,
    message: Range<usize>,
}

/// Reads any line.
#[derive(Clone, Debug)]
pub(super) struct Text {
    time: Box<[(Arc<Layout>, Output)]>,
    level: Output,
    message: Output,
    prefix: Output,
    context: Output,
    reference: Timestamp,
    recent: Recent,
}

impl Text {
    pub(super) fn build(needs: &Needs, defs: &mut Defs) -> Text {
        let mut output = |name, role| Output::new(name, role, None, needs, defs);
        Text {
            level: output("level", Some(Role::Level)),
            message: output("message", Some(Role::Message)),
            prefix: output("prefix", None),
            context: output("context", None),
            time: output::times(&["%*"], needs, defs),
            reference: Timestamp(0),
            recent: Recent::EMPTY,
        }
    }

    /// Writes a level that was read already.
    #[inline]
    fn put_level(
        &self,
        level: Level,
        span: &Range<usize>,
        text: &[u8],
        row: usize,
        out: &mut Columns,
    ) {
        for &slot in self.level.slots() {
            match out.column_mut(slot) {
                Column::Level(levels) => levels[row] = level.0,
                _ => out.put(slot, row, text, Cell::new(span.start, span.end)),
            }
        }
    }

    fn emit(&self, found: &Found, parts: &Division, text: &[u8], row: usize, out: &mut Columns) {
        let lists = out.wants_fields();
        if let (Some((span, time)), [(_, output)]) = (&found.time, &*self.time) {
            output.put_time(out, row, text, Cell::new(span.start, span.end), *time);
            if lists {
                out.push_field(output.field(FieldKind::Time, span.start, span.end));
            }
        }
        match &found.level {
            Some(Severity::Word(span, level)) => {
                self.put_level(*level, span, text, row, out);
                if lists {
                    out.push_field(self.level.field(FieldKind::Text, span.start, span.end));
                }
            }
            Some(Severity::Number(level)) => {
                self.level.put_level(out, row, *level);
                if lists {
                    out.push_field(self.level.level_field(*level));
                }
            }
            None => {}
        }
        let mut put = |output: &Output, span: &Range<usize>| {
            if !span.is_empty() {
                output.text(out, row, text, span.start, span.end);
            }
        };
        put(&self.message, &parts.message);
        put(&self.prefix, &parts.prefix);
        put(&self.context, &parts.context);
    }
}

/// How much text before or between time and level can be a head; more is a
/// message that happens to have them in it.
const HEAD_PART_BYTES_MAX: usize = 64;

fn divide(found: &Found, text: &[u8], line: &Range<usize>) -> Division {
    let whole = Division {
        message: line.clone(),
        ..Division::default()
    };
    let Some((first, last)) = found.items() else {
        return whole;
    };
    if found.keyed {
        return whole;
    }
    let prefix = trim(text, line.start..first.start);
    let mut between = trim(text, first.end.min(last.start)..last.start);
    let mut rest = separators(text, last.end, line.end)..line.end;
    if let Some(close) = found.encloser(text, &last, line) {
        // `[time|level|thread] message`: the rest of the bracket is no message.
        let inside = trim(text, last.end..close);
        if between.is_empty() {
            between = inside;
        } else if !inside.is_empty() {
            between = between.start..inside.end;
        }
        rest = separators(text, close + 1, line.end)..line.end;
    }
    if rest.is_empty() {
        // At the end of the line, or on both sides of the message.
        let (prefix, message) = if between.is_empty() {
            (0..0, prefix)
        } else {
            (prefix, between)
        };
        return Division {
            prefix,
            message,
            ..Division::default()
        };
    }
    let alone = found.time.is_none() || found.level.is_none();
    let words = |span: &Range<usize>| text[span.clone()].contains(&b' ');
    if prefix.len() > HEAD_PART_BYTES_MAX || (alone && words(&prefix)) {
        return whole;
    }
    if between.len() > HEAD_PART_BYTES_MAX {
        // What was found later belongs to the message.
        let message = separators(text, first.end, line.end)..line.end;
        return Division {
            prefix,
            message,
            ..Division::default()
        };
    }
    let message = writer(text, rest.clone())..rest.end;
    if message.start > rest.start {
        between.start = if between.is_empty() {
            rest.start
        } else {
            between.start
        };
        between.end = trim(text, rest.start..message.start).end;
    }
    Division {
        prefix,
        context: between,
        message,
    }
}

/// Past what stands between a time, a level and the message.
fn separators(text: &[u8], mut at: usize, end: usize) -> usize {
    while at < end {
        match colour(text, at, end) {
            Some(behind) => at = behind,
            None if is_separator(text, at, end) => at += 1,
            None => break,
        }
    }
    at
}

/// What colours of a terminal begin with.
const ESCAPE: u8 = 0x1b;

/// Past the colour (`ESC [ 1 ; 3 2 m`) that begins at `at`, if one does.
fn colour(text: &[u8], at: usize, end: usize) -> Option<usize> {
    if text[at] != ESCAPE {
        return None;
    }
    let parameters = text[at..end].strip_prefix(b"\x1b[")?;
    let len = parameters
        .iter()
        .position(|b| !b.is_ascii_digit() && *b != b';')?;
    (parameters[len] == b'm').then_some(at + len + 3)
}

/// How tracing-subscriber ends a span or a target on a terminal.
const DIM_COLON: &[u8] = b"\x1b[2m:\x1b[0m ";

/// Past the names of what wrote a message: a source file and its line, a
/// logger's path before a dash, the spans and the target of a coloured line.
fn writer(text: &[u8], rest: Range<usize>) -> usize {
    let end = rest.end.min(rest.start + HEAD_PART_BYTES_MAX * 4);
    let head = &text[rest.start..end];
    // Few lines are coloured.
    if scan::find(text, rest.start, end, ESCAPE).is_some()
        && let Some(colon) = memchr::memmem::rfind(head, DIM_COLON)
    {
        return rest.start + colon + DIM_COLON.len();
    }
    let Some(space) = scan::find(text, rest.start, end, b' ').map(|at| at - rest.start) else {
        return rest.start;
    };
    let (token, behind) = head.split_at(space);
    if behind.starts_with(b" - ") && is_path(token) {
        return rest.start + space + 3;
    }
    match token.strip_suffix(b":") {
        Some(source) if is_source(source) => rest.start + space + 1,
        _ => rest.start,
    }
}

/// A logger's name: identifiers joined by dots.
fn is_path(token: &[u8]) -> bool {
    let is_part = |part: &[u8]| {
        part.first().is_some_and(|b| !b.is_ascii_digit())
            && part
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'-'))
    };
    token.contains(&b'.') && token.split(|b| *b == b'.').all(is_part)
}

/// `main.go:87`
fn is_source(token: &[u8]) -> bool {
    let Some(colon) = memchr::memrchr(b':', token) else {
        return false;
    };
    let (file, line) = (&token[..colon], &token[colon + 1..]);
    let ending = memchr::memrchr(b'.', file).map(|dot| &file[dot + 1..]);
    !line.is_empty()
        && line.iter().all(u8::is_ascii_digit)
        && ending.is_some_and(|e| e.first().is_some_and(u8::is_ascii_alphabetic))
}

fn is_separator(text: &[u8], at: usize, end: usize) -> bool {
    match text[at] {
        b' ' | b'\t' | b':' | b'|' | b']' | b')' | b'>' | b'}' | b',' | b';' => true,
        // A sign belongs to its number, an option to its dash.
        b'-' => matches!(text[..end].get(at + 1), None | Some(b' ' | b'\t' | b'-')),
        _ => false,
    }
}

/// A span without the separators around it.
fn trim(text: &[u8], span: Range<usize>) -> Range<usize> {
    let (mut start, mut end) = (span.start, span.end);
    let around = |b: u8| matches!(b, b' ' | b'\t' | b':' | b'|' | b',' | b';' | b'-');
    while start < end && around(text[start]) {
        start += 1;
    }
    while start < end && around(text[end - 1]) {
        end -= 1;
    }
    start..end
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
        let found = Finder::new(text, &line, self.reference, &mut self.recent).run();
        let mut parts = divide(&found, text, &line);
        if parts.message.is_empty() && line.is_empty() {
            parts.message = line;
            self.message
                .text(out, row, text, parts.message.start, parts.message.end);
            return true;
        }
        self.emit(&found, &parts, text, row, out);
        true
    }
}
