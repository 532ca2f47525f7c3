//! The line as message, unread: the format `raw`, and what is left of a line
//! that does not have the format its source names.

use std::ops::Range;

use super::{Parser, output::Output};
use crate::event::{Columns, Defs, Needs, Role};

/// Takes any line whole.
#[derive(Clone, Debug)]
pub(super) struct Raw {
    message: Output,
}

impl Raw {
    pub(super) fn new(needs: &Needs, defs: &mut Defs) -> Raw {
        Raw {
            message: Output::new("message", Some(Role::Message), None, needs, defs),
        }
    }
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
}
