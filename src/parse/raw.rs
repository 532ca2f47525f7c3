//! The line as message, unread: the format `raw`, and what is left of a line
//! that does not have the format its source names.

use std::ops::Range;

use super::{Parser, output::Output};
use crate::event::{Cell, Column, Columns, Defs, FieldKind, Needs, Role};

/// Takes any line whole.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    message: Output,
    /// The further lines of an event whose message does not reach them.
    stack_trace: Output,
}

impl Raw {
    pub(super) fn new(needs: &Needs, defs: &mut Defs) -> Raw {
        Raw {
            message: Output::new("message", Some(Role::Message), None, needs, defs),
            stack_trace: Output::new("stack_trace", None, None, needs, defs),
        }
    }

    /// Lets the row's message, if it reaches up to `behind`, go on to `end`;
    /// false if there is none that does.
    fn extend(
        &self,
        text: &[u8],
        behind: usize,
        end: usize,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        let mut extended = false;
        for &slot in self.message.slots() {
            if let Column::Text(cells) = out.column_mut(slot)
                && let Some(longer) = reaching(text, cells[row], behind, end)
            {
                cells[row] = longer;
                extended = true;
            }
        }
        let defs = out.defs().clone();
        for field in out.fields_of_row() {
            let def = defs.get(field.def());
            if def.is_some_and(|def| def.role == Some(Role::Message))
                && field.kind() == FieldKind::Text
                && text
                    .get((field.start + field.len) as usize..behind)
                    .is_some_and(|between| between.trim_ascii().is_empty())
            {
                field.len = end as u32 - field.start;
                extended = true;
            }
        }
        extended
    }
}

fn reaching(text: &[u8], cell: Cell, behind: usize, end: usize) -> Option<Cell> {
    let range = cell.range();
    let plain = cell.is_present() && !cell.is_string();
    (plain && text.get(range.end..behind)?.trim_ascii().is_empty())
        .then(|| Cell::new(range.start, end))
}

impl Parser for Raw {
    fn name(&self) -> &'static str {
        "raw"
    }

    fn parse_line(
        &mut self,
        text: &[u8],
        line: Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        self.message.text(out, row, text, line.start, line.end);
        true
    }

    fn further_lines(
        &mut self,
        text: &[u8],
        first: Range<usize>,
        end: usize,
        row: usize,
        out: &mut Columns,
    ) {
        if self.extend(text, first.end, end, row, out) {
            return;
        }
        // Behind the newline of the first line.
        let newline = memchr::memchr(b'\n', &text[first.end..end]);
        let start = first.end + newline.map_or(0, |at| at + 1);
        self.stack_trace.text(out, row, text, start, end);
    }
}
