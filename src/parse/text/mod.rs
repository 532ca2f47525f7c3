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

use std::ops::Range;
use std::sync::Arc;

use super::{
    Parser,
    output::{self, Output},
};
use crate::event::time::Layout;
use crate::event::{Cell, Columns, Defs, FieldKind, Needs, Role, Timestamp};
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
            Some(Severity::Word(span)) => {
                self.level.text(out, row, text, span.start, span.end);
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
    Division {
        prefix,
        context: between,
        message: rest,
    }
}

/// Past what stands between a time, a level and the message.
fn separators(text: &[u8], mut at: usize, end: usize) -> usize {
    while at < end && is_separator(text, at, end) {
        at += 1;
    }
    at
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
        let found = Finder::new(text, &line, self.reference).run();
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
