//! Typed columns: the fields that the compiled plan asked for, a value a row.
//!
//! What is needed is decided at start-up ([`Needs`]) and handed to the
//! parsers; a plan that needs no field parses nothing. Cells are spans into
//! the batch's text, numbers and levels are converted once by the parser.

use std::ops::Range;
use std::sync::Arc;

use super::{Level, Path, Timestamp};

/// The type a column's values are converted to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ColumnKind {
    /// A severity.
    Level,
    /// A number, as `f64`.
    Number,
    /// A duration in seconds (`1.5s`, `300ms`; a bare number is seconds).
    Duration,
    /// A size in bytes (`10KiB`, `2MB`; a bare number is bytes).
    Size,
    /// A time.
    Time,
    /// Text as it stands in the line.
    Text,
}

/// One column that the plan wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// Which value.
    pub path: Path,
    /// As what.
    pub kind: ColumnKind,
}

/// Everything that the plan wants of the parsers. Slot numbers are indices
/// into `columns` and are the same for every source.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// The columns, without duplicates.
    pub columns: Vec<Need>,
    /// Whether some sink writes whole events in a structured form: then a
    /// parser says which rows are JSON objects and lists the fields of others.
    pub fields: bool,
}

impl Needs {
    /// The slot of a column, added if it is new.
    pub fn slot(&mut self, path: &Path, kind: ColumnKind) -> usize {
        let found = self
            .columns
            .iter()
            .position(|n| n.kind == kind && n.path == *path);
        found.unwrap_or_else(|| {
            self.columns.push(Need {
                path: path.clone(),
                kind,
            });
            self.columns.len() - 1
        })
    }

    /// Whether a parser has nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.columns.is_empty() && !self.fields
    }
}

/// A span of the batch's text with flags. The default is "absent".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    start: u32,
    /// Length in the low 29 bits, flags above.
    bits: u32,
}

impl Cell {
    const PRESENT: u32 = 1 << 31;
    const ESCAPED: u32 = 1 << 30;
    const STRING: u32 = 1 << 29;
    /// The longest span a cell can hold, in bytes; frame limits stay below it.
    pub const LEN_MAX: usize = Self::STRING as usize - 1;

    /// A plain span, `text[start..end]`.
    #[must_use]
    pub fn new(start: usize, end: usize) -> Cell {
        debug_assert!(end >= start && end - start <= Self::LEN_MAX);
        Cell {
            start: start as u32,
            bits: (end - start) as u32 | Self::PRESENT,
        }
    }

    /// The inside of a quoted string. `escaped` says that it has JSON
    /// backslash escapes, so that its bytes are not its value.
    #[must_use]
    pub fn string(start: usize, end: usize, escaped: bool) -> Cell {
        let mut cell = Cell::new(start, end);
        cell.bits |= Self::STRING | if escaped { Self::ESCAPED } else { 0 };
        cell
    }

    /// Whether there is a value.
    #[must_use]
    pub fn is_present(self) -> bool {
        self.bits & Self::PRESENT != 0
    }

    /// Whether the span must be unescaped (JSON rules) to be the value.
    #[must_use]
    pub fn is_escaped(self) -> bool {
        self.bits & Self::ESCAPED != 0
    }

    /// Whether the value stood in quotes.
    #[must_use]
    pub fn is_string(self) -> bool {
        self.bits & Self::STRING != 0
    }

    /// The span's bytes; empty if absent. Still escaped if [`Cell::is_escaped`].
    #[must_use]
    pub fn bytes(self, text: &[u8]) -> &[u8] {
        let start = self.start as usize;
        &text[start..start + (self.bits & (Self::STRING - 1)) as usize]
    }

    /// The same span in a text where it starts `by` bytes later (wrapping).
    #[must_use]
    pub fn shifted(self, by: u32) -> Cell {
        if !self.is_present() {
            return self;
        }
        Cell {
            start: self.start.wrapping_add(by),
            ..self
        }
    }

    /// The same value where `moved` puts its span.
    #[must_use]
    pub(super) fn moved(self, moved: impl FnOnce(Range<u32>) -> Range<u32>) -> Cell {
        if !self.is_present() {
            return self;
        }
        let len = self.bits & (Self::STRING - 1);
        let range = moved(self.start..self.start.wrapping_add(len));
        let len = range.end.wrapping_sub(range.start).min(Self::STRING - 1);
        Cell {
            start: range.start,
            bits: self.bits & !(Self::STRING - 1) | len,
        }
    }

    /// Where the span starts and ends in the batch's text.
    #[must_use]
    pub fn range(self) -> Range<usize> {
        let start = self.start as usize;
        start..start + (self.bits & (Self::STRING - 1)) as usize
    }
}

/// The values of one column. Absent is level 0, NaN, `i64::MIN` or a cell
/// without its present bit, so that comparisons need no second look.
#[derive(Clone, Debug)]
pub enum Column {
    /// Severity numbers, 0 if absent.
    Level(Vec<u8>),
    /// Numbers, seconds or bytes; NaN if absent or not a number.
    Number(Vec<f64>),
    /// Nanoseconds since the epoch; [`Timestamp::ABSENT`] if absent.
    Time(Vec<i64>),
    /// Spans.
    Text(Vec<Cell>),
    /// One value for every row: metadata of the stream, which content cannot
    /// overwrite.
    Same(Arc<str>),
}

impl Column {
    /// An empty column of the storage class that `kind` uses.
    #[must_use]
    pub fn new(kind: ColumnKind) -> Column {
        match kind {
            ColumnKind::Level => Column::Level(Vec::new()),
            ColumnKind::Number | ColumnKind::Duration | ColumnKind::Size => {
                Column::Number(Vec::new())
            }
            ColumnKind::Time => Column::Time(Vec::new()),
            ColumnKind::Text => Column::Text(Vec::new()),
        }
    }

    /// Makes `rows` absent values, keeping the allocation.
    pub fn reset(&mut self, rows: usize) {
        match self {
            Column::Level(v) => refill(v, rows, Level::ABSENT.0),
            Column::Number(v) => refill(v, rows, f64::NAN),
            Column::Time(v) => refill(v, rows, Timestamp::ABSENT.0),
            Column::Text(v) => refill(v, rows, Cell::default()),
            Column::Same(_) => {}
        }
    }

    /// Makes one row absent again, as when its line proves invalid.
    pub fn reset_row(&mut self, row: usize) {
        match self {
            Column::Level(v) => v[row] = Level::ABSENT.0,
            Column::Number(v) => v[row] = f64::NAN,
            Column::Time(v) => v[row] = Timestamp::ABSENT.0,
            Column::Text(v) => v[row] = Cell::default(),
            Column::Same(_) => {}
        }
    }

    /// Copies the value of row `from` of a column of the same kind to row `to`;
    /// `moved` says where spans are now.
    pub(super) fn copy_row(
        &mut self,
        to: usize,
        other: &Column,
        from: usize,
        moved: impl FnOnce(Range<u32>) -> Range<u32>,
    ) {
        match (self, other) {
            (Column::Level(v), Column::Level(o)) => v[to] = o[from],
            (Column::Number(v), Column::Number(o)) => v[to] = o[from],
            (Column::Time(v), Column::Time(o)) => v[to] = o[from],
            (Column::Text(v), Column::Text(o)) => v[to] = o[from].moved(moved),
            _ => {}
        }
    }

    /// The values of the rows `picked`, whose spans move by `shifts` (wrapping).
    #[must_use]
    pub(super) fn copy_rows(&self, picked: &[usize], shifts: &[u32]) -> Column {
        match self {
            Column::Level(v) => Column::Level(picked.iter().map(|&r| v[r]).collect()),
            Column::Number(v) => Column::Number(picked.iter().map(|&r| v[r]).collect()),
            Column::Time(v) => Column::Time(picked.iter().map(|&r| v[r]).collect()),
            Column::Text(v) => {
                let moved = picked.iter().zip(shifts).map(|(&r, &by)| v[r].shifted(by));
                Column::Text(moved.collect())
            }
            Column::Same(value) => Column::Same(value.clone()),
        }
    }
}

fn refill<T: Clone>(values: &mut Vec<T>, rows: usize, absent: T) {
    values.clear();
    values.resize(rows, absent);
}
