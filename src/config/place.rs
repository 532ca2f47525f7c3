//! Where something in the config was written: a file, a variable, a flag.

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use super::point;

/// What a part of the config was read from.
#[derive(PartialEq, Eq)]
pub enum Origin {
    /// A config file, or text given as one.
    File {
        /// As it was named on the command line.
        name: String,
        /// All of it; secrets are blanked only when it is shown.
        text: String,
    },
    /// An environment variable, by name.
    Variable(String),
    /// A flag, as `--to` or `--to archive`.
    Flag(String),
    /// Nothing was written: a default.
    Default,
}

/// A place in the config. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Place {
    /// What it was read from.
    pub origin: Arc<Origin>,
    /// Bytes of the file's text; empty for everything that is not a file.
    pub span: Range<usize>,
}

impl Place {
    /// A place that is a whole variable, flag or default.
    #[must_use]
    pub fn of(origin: Origin) -> Place {
        Place {
            origin: Arc::new(origin),
            span: 0..0,
        }
    }

    /// A part of the same file.
    #[must_use]
    pub fn with_span(&self, span: Range<usize>) -> Place {
        Place {
            origin: self.origin.clone(),
            span,
        }
    }

    /// Line and column, counted from 1 in characters, if it is in a file.
    #[must_use]
    pub fn line_column(&self) -> Option<(usize, usize)> {
        let Origin::File { text, .. } = &*self.origin else {
            return None;
        };
        let before = text.get(..self.span.start)?;
        let line_start = before.rfind('\n').map_or(0, |at| at + 1);
        let line = before.matches('\n').count() + 1;
        Some((line, before[line_start..].chars().count() + 1))
    }

    /// The place of `range`, byte offsets into the value of the scalar that is
    /// written here; the scalar's start where that cannot be told.
    #[must_use]
    pub fn inside(&self, range: Range<usize>) -> Place {
        let Origin::File { text, .. } = &*self.origin else {
            return self.clone();
        };
        let Some(start) = point::source_offset(text, &self.span, range.start) else {
            return self.with_span(self.span.start..self.span.start);
        };
        let end = point::source_offset(text, &self.span, range.end)
            .filter(|end| *end >= start)
            .unwrap_or(start);
        self.with_span(start..end)
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &*self.origin {
            Origin::File { name, .. } => match self.line_column() {
                Some((line, column)) => write!(f, "{name}:{line}:{column}"),
                None => f.write_str(name),
            },
            Origin::Variable(name) | Origin::Flag(name) => f.write_str(name),
            Origin::Default => f.write_str("default"),
        }
    }
}

/// Only where it is: the text of a file may hold secrets.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it was written.
    pub place: Place,
}

/// A rule as it is to be parsed, with variables already put in, that knows
/// where each of its bytes was written.
#[derive(Clone, Debug)]
pub struct RuleText {
    /// The rule.
    pub value: String,
    /// Where the scalar that holds it was written.
    pub place: Place,
    /// For each run of literal text: its offset in `value` and in the scalar
    /// as written. Ascending; empty if nothing was put in.
    pub(super) runs: Vec<(usize, usize)>,
}

impl RuleText {
    /// A rule that nobody wrote.
    #[must_use]
    pub fn of(value: String) -> RuleText {
        RuleText {
            value,
            place: Place::of(Origin::Default),
            runs: Vec::new(),
        }
    }

    /// The place of the bytes `range` of the rule.
    #[must_use]
    pub fn at(&self, range: Range<usize>) -> Place {
        self.place
            .inside(self.written(range.start)..self.written(range.end))
    }

    fn written(&self, offset: usize) -> usize {
        let run = self.runs.partition_point(|(value, _)| *value <= offset);
        let Some((value, written)) = run.checked_sub(1).map(|run| self.runs[run]) else {
            return offset;
        };
        let moved = written + (offset - value);
        // What was put in has no text of its own: point at the next run, after it.
        self.runs
            .get(run)
            .map_or(moved, |(_, next_written)| moved.min(*next_written))
    }
}
