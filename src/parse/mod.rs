//! Lines to fields: what each format's parser is and how a batch is parsed.
//!
//! A parser is built for the plan's [`Needs`] and writes spans; it never
//! copies text. A line that it cannot read is never lost: the row keeps its
//! line as message and is counted as failed.
//!
//! [`Formats::build`] turns the name of a format into [`Formats`], once a
//! source; [`Formats::reader`] makes a [`Reader`] for each of its streams.

mod csv;
mod detect;
mod formats;
mod output;
mod pairs;
mod pattern;
mod raw;
mod regex;
mod scan;
mod syslog;
mod table;
mod text;

pub mod json;

use std::ops::Range;
use std::sync::Arc;

use crate::event::{Columns, Defs, Timestamp, batch::trim_terminator};

pub use detect::Decision;
pub use formats::{FormatError, Formats, JsonParser, Reader};
pub use pattern::TemplateError;

/// Reads the lines of one stream.
///
/// Built for the plan's needs, so that it knows before the first line which
/// values go to which columns. Implementations promise: no panic and no
/// recursion on any input, no allocation per line, spans within the line.
pub trait Parser: Send {
    /// The format's name, as `parse:` takes it.
    fn name(&self) -> &'static str;

    /// Tells when the lines that come next were read: what a time without a
    /// year is close to.
    fn begin(&mut self, _observed: Timestamp) {}

    /// Reads another stream from here on: takes up what is known of its format, and
    /// leaves what was known of the one before.
    fn turn_to(&mut self, _stream: &mut Decision) {}

    /// Looks at a batch before any line is read; the names of fields, if its
    /// first line says how the lines are laid out.
    fn learn(&mut self, _text: &[u8], _ends: &[u32]) -> Option<Arc<Defs>> {
        None
    }

    /// Reads the line `text[line]` (without its terminator) into row `row`:
    /// puts the columns that the plan needs and, where `out.wants_fields()`,
    /// pushes the row's fields in output order or calls `out.set_json(row)`.
    ///
    /// Returns false if the line does not have this format; then the row has
    /// been reset (`Columns::reset_row`). Never calls `out.end_row()`: the
    /// loop does.
    fn parse_line(
        &mut self,
        text: &[u8],
        line: Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool;

    /// Reads every line of a batch; `out` is freshly reset for `ends.len()`
    /// rows. Rows that fail are read by `fallback`, which takes any line.
    fn parse(&mut self, text: &[u8], ends: &[u32], out: &mut Columns, fallback: &mut dyn Parser) {
        let mut row = 0;
        loop {
            row = self.parse_rows(text, ends, row..ends.len(), out, fallback);
            if row == ends.len() {
                return;
            }
            out.set_failed(row);
            fallback.parse_line(text, line_of(text, ends, row), row, out);
            out.end_row();
            row += 1;
        }
    }

    /// Reads rows from the first of `rows` on, as long as they have this format:
    /// the first that does not, or the end of `rows`. What follows the first
    /// line of an event is for `fallback`.
    ///
    /// Each parser has its own copy of this loop, so that only its call goes
    /// through a table.
    fn parse_rows(
        &mut self,
        text: &[u8],
        ends: &[u32],
        rows: Range<usize>,
        out: &mut Columns,
        fallback: &mut dyn Parser,
    ) -> usize {
        for row in rows.clone() {
            let read = |line, out: &mut Columns| self.parse_line(text, line, row, out);
            if !parse_row(text, ends, row, out, fallback, read) {
                return row;
            }
        }
        rows.end
    }

    /// Takes what follows the first line of an event, up to `end`, into a row
    /// whose first line has been read. Only what reads any line is asked.
    fn further_lines(
        &mut self,
        _text: &[u8],
        _first: Range<usize>,
        _end: usize,
        _row: usize,
        _out: &mut Columns,
    ) {
    }
}

/// Reads one row by `read`, which is asked for the first line of the event;
/// whether it could.
// What is compiled for wider chunks must not be left by a call.
#[allow(clippy::inline_always)]
#[inline(always)]
fn parse_row(
    text: &[u8],
    ends: &[u32],
    row: usize,
    out: &mut Columns,
    fallback: &mut dyn Parser,
    read: impl FnOnce(Range<usize>, &mut Columns) -> bool,
) -> bool {
    let line = line_of(text, ends, row);
    let first = if out.joined() {
        first_line(text, &line)
    } else {
        line.clone()
    };
    if !read(first.clone(), out) {
        return false;
    }
    if first.end < line.end {
        fallback.further_lines(text, first, line.end, row, out);
    }
    out.end_row();
    true
}

/// A row without its terminator.
// What is compiled for wider chunks must not be left by a call.
#[allow(clippy::inline_always)]
#[inline(always)]
fn line_of(text: &[u8], ends: &[u32], row: usize) -> Range<usize> {
    let start = row.checked_sub(1).map_or(0, |before| ends[before] as usize);
    trim_terminator(text, start..ends[row] as usize)
}

/// The first line of an event of several, which is what formats are about; all
/// of it where it can be JSON.
fn first_line(text: &[u8], event: &Range<usize>) -> Range<usize> {
    let event = event.clone();
    if text[event.clone()].first() == Some(&b'{') {
        return event;
    }
    match memchr::memchr(b'\n', &text[event.clone()]) {
        Some(at) => trim_terminator(text, event.start..event.start + at + 1),
        None => event,
    }
}

#[cfg(test)]
mod tests;
