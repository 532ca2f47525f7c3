//! `pattern:` — formats written as a readable template.
//!
//! ```text
//! {client:ip} {ident} {user} [{timestamp:%d/%b/%Y:%H:%M:%S %z}] {message:quoted} {http.status:int}
//! ```
//!
//! `{name}` takes the text up to what follows it in the template, without the
//! spaces around it; a lone `-` or nothing is absent. A dotted name nests. `{}`
//! and `{_}` skip. `{name:kind}` says what the text must be:
//!
//! | kind | takes |
//! |---|---|
//! | `int`, `float` | a number, or `-` |
//! | `ip` | an IPv4 or IPv6 address, or `-` |
//! | `word` | text without white space, not empty |
//! | `name` | a path of identifiers: `a.b`, `a::b`, of two parts at least |
//! | `most` | text up to the last place where what follows it is |
//! | `level` | a severity, spelled or one letter |
//! | `mark` | Redis's mark of a severity: `.`, `-`, `*` or `#` |
//! | `quoted` | `"…"` with backslash escapes; the value is the inside |
//! | `rest` | the rest of the line |
//! | `raw` | the rest of the line as it stands, with its spaces |
//! | `stream` | `stdout` or `stderr` |
//! | `%…` | a time in that strftime layout; `%+` is RFC 3339 and its relatives |
//!
//! `{? … ?}` is optional: there as a whole or not at all. `{name=[…]}` takes
//! `name` and its parts, which are absent if it does not have them: a broken
//! request line stays a message. A space of literal text matches several, but
//! for one at its end before `rest`. `\{` is a brace, `\\` a backslash. The whole line must match.
//!
//! The names `timestamp`, `level`, `message`, `service`, `host` and their
//! aliases have that role.

mod compile;
mod literal;
mod run;
mod template;

use std::ops::Range;
use std::sync::Arc;

use super::{
    Parser,
    detect::{AsciiSet, ByteSet},
    scan,
};
use crate::event::time::{Layout, Memo};
use crate::event::{Cell, Columns, Defs, FieldKind, Level, Needs, Timestamp};
use compile::{Op, Program};
use run::State;
pub use template::TemplateError;

/// A compiled template with the scratch of one stream.
#[derive(Clone, Debug)]
pub(super) struct Pattern {
    name: &'static str,
    program: Arc<Program>,
    state: State,
}

impl Pattern {
    /// Compiles `template` for the plan's needs; its field names go to `defs`.
    pub(super) fn build(
        name: &'static str,
        template: &str,
        needs: &Needs,
        defs: &mut Defs,
    ) -> Result<Pattern, TemplateError> {
        let parts = template::parse(template)?;
        let program = compile::program(template, &parts, needs, defs)?;
        let state = State::new(&program);
        Ok(Pattern {
            name,
            program: Arc::new(program),
            state,
        })
    }

    /// The time that a line must begin with, if it must: its layout and which
    /// of the program's times it is.
    fn first_time(&self) -> Option<(&Arc<Layout>, usize)> {
        let first = self.program.steps.first()?;
        match &first.op {
            Op::Time(layout, time) if first.lead.bytes().is_empty() => Some((layout, *time)),
            _ => None,
        }
    }

    /// The layout of the time that a line must begin with, if it must.
    pub(super) fn lead(&self) -> Option<&Arc<Layout>> {
        self.first_time().map(|(layout, _)| layout)
    }

    /// How much it asks of a line: its captures and its literal text.
    pub(super) fn weight(&self) -> u32 {
        compile::weight(&self.program.steps)
    }

    /// Bytes that all its lines have, behind their time if they begin with one.
    pub(super) fn required(&self) -> AsciiSet {
        compile::required(&self.program.steps)
    }

    /// The bytes that its lines can begin with.
    pub(super) fn firsts(&self) -> ByteSet {
        compile::firsts(&self.program.steps)
    }

    /// Tells the time that the next line begins with, so that it is not read
    /// again.
    pub(super) fn set_lead(&mut self, text: &[u8], at: Timestamp) {
        if let Some((_, time)) = self.first_time() {
            self.state.memo(time).set(text, at);
        }
    }

    fn emit(&self, text: &[u8], row: usize, out: &mut Columns) {
        for wanted in &self.program.columns {
            let field = self.state.fields[wanted.slot];
            if field.is_absent() {
                continue;
            }
            let start = field.start as usize;
            let end = start + field.len as usize;
            let output = &wanted.output;
            match field.kind() {
                FieldKind::Time => {
                    let memo = wanted.time.and_then(|time| self.state.memos.get(time));
                    let time = memo.map_or(Timestamp::ABSENT, Memo::time);
                    output.put_time(out, row, text, Cell::new(start, end), time);
                }
                FieldKind::Level => output.put_level(out, row, Level(field.computed() as u8)),
                FieldKind::HexEscaped => {
                    output.put(out, row, text, Cell::string(start, end, true));
                }
                _ => output.put(out, row, text, Cell::new(start, end)),
            }
        }
        if out.wants_fields() {
            out.push_present(&self.state.fields[..self.program.slots]);
        }
    }
}

impl Parser for Pattern {
    fn name(&self) -> &'static str {
        self.name
    }

    fn begin(&mut self, observed: Timestamp) {
        self.state.reference = observed;
        self.state.memos.iter_mut().for_each(Memo::forget);
    }

    fn parse_line(
        &mut self,
        text: &[u8],
        line: Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        let end = run::run(
            &self.program.steps,
            text,
            line.start,
            line.end,
            &mut self.state,
        );
        let matched = end.is_some_and(|at| scan::skip_spaces(text, at, line.end) == line.end);
        if matched {
            self.emit(text, row, out);
        }
        matched
    }
}

#[cfg(test)]
mod tests;
