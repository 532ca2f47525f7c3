//! What a parser found in a batch: columns, which rows are JSON objects, and
//! the field lists of the others.

use std::ops::Range;
use std::sync::Arc;

use super::{Bits, Cell, Column, ColumnKind, Defs, Field, Level, Needs, Rows, Timestamp, convert};

/// The parsed side of a batch. Empty (no columns, no lists) until a parser
/// ran, and for ever if the plan needs nothing.
#[derive(Clone, Debug, Default)]
pub struct Columns {
    rows: usize,
    columns: Vec<Column>,
    kinds: Vec<ColumnKind>,
    /// Metadata that stands in front of a column, by slot.
    same: Vec<Option<Column>>,
    wants_fields: bool,
    joined: bool,
    json: Bits,
    failed: Bits,
    fields: Vec<Field>,
    field_ends: Vec<u32>,
    defs: Arc<Defs>,
}

impl Columns {
    /// Makes every value of `rows` rows absent, for the columns of `needs`,
    /// keeping allocations. `defs` names the fields that the parser will list.
    pub fn reset(&mut self, needs: &Needs, rows: usize, defs: &Arc<Defs>) {
        self.rows = rows;
        self.wants_fields = needs.fields;
        let kinds = needs.columns.iter().map(|n| n.kind);
        if !kinds.clone().eq(self.kinds.iter().copied()) {
            self.kinds = kinds.collect();
            self.columns = self.kinds.iter().map(|&k| Column::new(k)).collect();
        }
        self.same.clear();
        self.same.resize(self.kinds.len(), None);
        for column in &mut self.columns {
            column.reset(rows);
        }
        self.json.clear(rows);
        self.failed.clear(rows);
        self.fields.clear();
        self.field_ends.clear();
        if !Arc::ptr_eq(&self.defs, defs) {
            self.defs = defs.clone();
        }
    }

    /// As [`Columns::reset`], for the columns and names that `other` has, with
    /// its metadata.
    pub(super) fn reset_like(&mut self, other: &Columns, rows: usize) {
        self.rows = rows;
        self.wants_fields = other.wants_fields;
        if self.kinds != other.kinds {
            self.kinds.clone_from(&other.kinds);
            self.columns = self.kinds.iter().map(|&k| Column::new(k)).collect();
        }
        self.same.clone_from(&other.same);
        for column in &mut self.columns {
            column.reset(rows);
        }
        self.json.clear(rows);
        self.failed.clear(rows);
        self.fields.clear();
        self.field_ends.clear();
        self.defs.clone_from(&other.defs);
    }

    /// Copies what row `from` of `other` has in columns, and whether it is
    /// JSON, to row `to`; `moved` says where spans are now.
    pub(super) fn copy_values(
        &mut self,
        to: usize,
        other: &Columns,
        from: usize,
        moved: impl Fn(Range<u32>) -> Range<u32>,
    ) {
        for (column, known) in self.columns.iter_mut().zip(&other.columns) {
            column.copy_row(to, known, from, &moved);
        }
        if other.json.contains(from) {
            self.json.insert(to);
        }
        if other.failed.contains(from) {
            self.failed.insert(to);
        }
    }

    /// Adds the fields of row `from` of `other` to the row being filled.
    pub(super) fn copy_fields(
        &mut self,
        other: &Columns,
        from: usize,
        moved: impl Fn(Range<u32>) -> Range<u32>,
    ) {
        // Of other names they would be other fields.
        if Arc::ptr_eq(&self.defs, &other.defs) {
            let fields = other.fields(from).iter().map(|f| f.moved(&moved));
            self.fields.extend(fields);
        }
    }

    /// Takes the metadata of `other`, after a parser has reset it.
    pub(super) fn take_same(&mut self, other: &Columns) {
        self.same.clone_from(&other.same);
    }

    /// How many rows were reset for; 0 when no parser ran.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Whether a batch of `rows` rows was read for these needs, or for more that
    /// begin with them.
    #[must_use]
    pub fn has(&self, needs: &Needs, rows: usize) -> bool {
        let fields = self.wants_fields || !needs.fields;
        let read = self.rows == rows && self.kinds.len() >= needs.columns.len() && fields;
        read || needs.is_empty()
    }

    /// A column by its slot.
    #[must_use]
    pub fn column(&self, slot: usize) -> &Column {
        self.same[slot].as_ref().unwrap_or(&self.columns[slot])
    }

    /// A column for a parser's own typed loop.
    pub fn column_mut(&mut self, slot: usize) -> &mut Column {
        &mut self.columns[slot]
    }

    /// Puts one value for all rows in front of a column: metadata of the
    /// stream, whatever the parser has found or will find.
    pub fn set_same(&mut self, slot: usize, value: Arc<str>) {
        self.same[slot] = Some(Column::Same(value));
    }

    /// Writes one value, converted to what the column wants. `text` is the
    /// batch's; a value that does not convert stays absent.
    pub fn put(&mut self, slot: usize, row: usize, text: &[u8], cell: Cell) {
        let kind = self.kinds[slot];
        match &mut self.columns[slot] {
            Column::Text(values) => values[row] = cell,
            Column::Level(values) => {
                values[row] = convert::level(cell, text).unwrap_or(Level::ABSENT).0;
            }
            Column::Number(values) => {
                values[row] = convert::number(kind, cell, text).unwrap_or(f64::NAN);
            }
            Column::Time(values) => {
                values[row] = convert::time(cell, text).unwrap_or(Timestamp::ABSENT).0;
            }
            Column::Same(_) => {}
        }
    }

    /// Writes a level that the parser knows better than the text tells, such
    /// as a syslog priority; any other kind of column is left alone.
    pub fn put_level(&mut self, slot: usize, row: usize, level: Level) {
        if let Column::Level(values) = &mut self.columns[slot] {
            values[row] = level.0;
        }
    }

    /// Writes a time that the parser has read by its own layout.
    pub fn put_time(&mut self, slot: usize, row: usize, time: Timestamp) {
        if let Column::Time(values) = &mut self.columns[slot] {
            values[row] = time.0;
        }
    }

    /// Takes back every value of one row, and the fields listed for it so far:
    /// its line proved invalid after some were written.
    pub fn reset_row(&mut self, row: usize) {
        for column in &mut self.columns {
            column.reset_row(row);
        }
        let start = self.field_ends.last().copied().unwrap_or(0);
        self.fields.truncate(start as usize);
    }

    /// Whether field lists and the JSON set are wanted at all.
    #[must_use]
    pub fn wants_fields(&self) -> bool {
        self.wants_fields
    }

    /// Says, before the rows are parsed, whether some have several lines.
    pub fn set_joined(&mut self, joined: bool) {
        self.joined = joined;
    }

    /// Whether some rows have several lines.
    #[must_use]
    pub fn joined(&self) -> bool {
        self.joined
    }

    /// Says that a row's line is one valid JSON object.
    pub fn set_json(&mut self, row: usize) {
        self.json.insert(row);
    }

    /// The rows whose line is one valid JSON object.
    #[must_use]
    pub fn json(&self) -> &Bits {
        &self.json
    }

    /// Says that a row did not have the format that its source names; it
    /// stays an event with its line as message.
    pub fn set_failed(&mut self, row: usize) {
        self.failed.insert(row);
    }

    /// The rows that did not have the format that their source names.
    #[must_use]
    pub fn failed(&self) -> &Bits {
        &self.failed
    }

    /// Adds one entry to the list of the row being parsed.
    pub fn push_field(&mut self, field: Field) {
        self.fields.push(field);
    }

    /// Adds those of `fields` to the list of the row being parsed that are there.
    #[inline]
    pub fn push_present(&mut self, fields: &[Field]) {
        // Which of them are there varies from line to line: no branch depends on it.
        let start = self.fields.len();
        self.fields.extend_from_slice(fields);
        let mut end = start;
        for &field in fields {
            self.fields[end] = field;
            end += usize::from(!field.is_absent());
        }
        self.fields.truncate(end);
    }

    /// The entries of the row being parsed.
    pub fn fields_of_row(&mut self) -> &mut [Field] {
        let start = self.field_ends.last().copied().unwrap_or(0);
        &mut self.fields[start as usize..]
    }

    /// Ends the list of the row being parsed. The parse loop calls it once a
    /// row, in order.
    pub fn end_row(&mut self) {
        self.field_ends.push(self.fields.len() as u32);
    }

    /// The entries of one row; empty for JSON rows and where lists are not wanted.
    #[must_use]
    pub fn fields(&self, row: usize) -> &[Field] {
        let Some(&end) = self.field_ends.get(row) else {
            return &[];
        };
        let start = row
            .checked_sub(1)
            .map_or(0, |before| self.field_ends[before]);
        &self.fields[start as usize..end as usize]
    }

    /// The names that the entries of [`Columns::fields`] refer to.
    #[must_use]
    pub fn defs(&self) -> &Arc<Defs> {
        &self.defs
    }

    /// The given rows, for a batch whose text holds only their lines.
    /// `shifts[i]` is what to add (wrapping) to spans of the `i`th of them.
    #[must_use]
    pub fn copy_rows(&self, rows: &Rows, shifts: &[u32]) -> Columns {
        let picked = self.picked(rows);
        let mut copy = Columns {
            rows: picked.len(),
            columns: self
                .columns
                .iter()
                .map(|c| c.copy_rows(&picked, shifts))
                .collect(),
            kinds: self.kinds.clone(),
            same: self.same.clone(),
            wants_fields: self.wants_fields,
            defs: self.defs.clone(),
            ..Columns::default()
        };
        copy.json.clear(picked.len());
        copy.failed.clear(picked.len());
        let fields = picked.iter().map(|&row| self.fields(row).len()).sum();
        copy.fields.reserve_exact(fields);
        copy.field_ends.reserve_exact(picked.len());
        for (i, &row) in picked.iter().enumerate() {
            if self.json.contains(row) {
                copy.json.insert(i);
            }
            if self.failed.contains(row) {
                copy.failed.insert(i);
            }
            let fields = self.fields(row).iter().map(|f| f.shifted(shifts[i]));
            copy.fields.extend(fields);
            copy.field_ends.push(copy.fields.len() as u32);
        }
        copy
    }

    fn picked(&self, rows: &Rows) -> Vec<usize> {
        let mut picked = Vec::with_capacity(rows.count(self.rows));
        rows.for_each(self.rows, |row| picked.push(row));
        picked
    }

    /// The heap that the vectors hold, in bytes; for recycling.
    #[must_use]
    pub fn capacity_bytes(&self) -> usize {
        let columns: usize = self
            .columns
            .iter()
            .map(|c| match c {
                Column::Level(v) => v.capacity(),
                Column::Number(v) => v.capacity() * 8,
                Column::Time(v) => v.capacity() * 8,
                Column::Text(v) => v.capacity() * size_of::<Cell>(),
                Column::Same(_) => 0,
            })
            .sum();
        columns + self.fields.capacity() * size_of::<Field>() + self.field_ends.capacity() * 4
    }
}
