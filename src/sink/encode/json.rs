//! Rows to JSON lines: always one valid object a line, whatever came in.
//!
//! A row whose line is a JSON object leaves as it came. Any other row is an
//! object of its field list, in its order, fields of one parent together; a
//! row without a list is `{"message": line}`.

use std::ops::Range;

use super::grouped::Grouping;
use super::keys::{KeyTables, Objects, Scattered, Table};
use super::pick::Pick;
use super::room::{Head, padded, within};
use super::shape::LINE_END;
use super::value::Values;
use crate::event::{Batch, Field, FieldKind, Rows};
use crate::sink::Part;

/// Writes JSON lines.
#[derive(Clone, Default)]
pub(super) struct Json {
    tables: KeyTables,
    pub(super) values: Values,
    grouping: Grouping,
    pick: Option<Pick>,
    /// Recycled: the fields of a row but one.
    fields: Vec<Field>,
}

impl Json {
    pub(super) fn new(pick: Option<Pick>) -> Json {
        Json {
            pick,
            ..Json::default()
        }
    }

    /// The whole text if every line of it may leave as it is.
    pub(super) fn verbatim<'a>(&self, part: &'a Part) -> Option<&'a [u8]> {
        let batch = &part.batch;
        let rows = batch.rows();
        let as_it_is = self.pick.is_none()
            && part.rows == Rows::All
            && batch.columns().rows() == rows
            && batch.columns().json().count() == rows;
        if as_it_is {
            plain_lines(batch, 0..rows)
        } else {
            None
        }
    }

    pub(super) fn encode(&mut self, part: &Part, out: &mut Vec<u8>) {
        let batch = &*part.batch;
        let all_json = batch.columns().json().count() == batch.rows();
        if all_json && self.pick.is_none() {
            append_json_lines(part, out);
            return;
        }
        self.values.near(batch.observed);
        let mut writer = RowWriter {
            table: self.tables.of(batch.columns().defs()),
            values: &mut self.values,
            grouping: &mut self.grouping,
            pick: self.pick.as_ref(),
        };
        part.rows.for_each(batch.rows(), |row| {
            writer.write(out, batch, row);
        });
    }

    pub(super) fn encode_row(&mut self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        if self.pick.is_none() && batch.columns().json().contains(row) {
            append_json_line(batch.line(row), out);
            return;
        }
        self.values.near(batch.observed);
        let mut writer = RowWriter {
            table: self.tables.of(batch.columns().defs()),
            values: &mut self.values,
            grouping: &mut self.grouping,
            pick: self.pick.as_ref(),
        };
        writer.write(out, batch, row);
    }

    /// Writes a row as it would be without its field `name`, if it is a row of a
    /// field list with that one at its top and others; else false.
    pub(super) fn encode_row_but(
        &mut self,
        batch: &Batch,
        row: usize,
        name: &str,
        out: &mut Vec<u8>,
    ) -> bool {
        let columns = batch.columns();
        if self.pick.is_some() || columns.json().contains(row) {
            return false;
        }
        let (mut gone, mut free_keys) = (0, false);
        self.fields.clear();
        for &field in columns.fields(row) {
            let def = columns.defs().get(field.def());
            free_keys |= matches!(
                field.kind(),
                FieldKind::Key | FieldKind::EscapedKey | FieldKind::Object
            );
            if def.is_some_and(|def| matches!(&*def.parts, [part] if **part == *name)) {
                gone += 1;
            } else {
                self.fields.push(field);
            }
        }
        if gone != 1 || free_keys || self.fields.is_empty() {
            return false;
        }
        self.values.near(batch.observed);
        let mut writer = RowWriter {
            table: self.tables.of(columns.defs()),
            values: &mut self.values,
            grouping: &mut self.grouping,
            pick: None,
        };
        let fields = &self.fields;
        let written =
            writer.write_known(out, batch, fields) || writer.write_afresh(out, batch, fields);
        if written {
            end_truncated(out, batch, row);
        }
        written
    }
}

struct RowWriter<'a> {
    table: &'a mut Table,
    values: &'a mut Values,
    grouping: &'a mut Grouping,
    pick: Option<&'a Pick>,
}

impl RowWriter<'_> {
    #[inline]
    fn write(&mut self, out: &mut Vec<u8>, batch: &Batch, row: usize) {
        let columns = batch.columns();
        let is_list = self.pick.is_none() && !columns.json().contains(row);
        if is_list && self.write_known(out, batch, columns.fields(row)) {
            end_truncated(out, batch, row);
        } else {
            self.write_other(out, batch, row);
        }
    }

    /// Writes a row that is not just fields of a known shape.
    #[inline(never)]
    fn write_other(&mut self, out: &mut Vec<u8>, batch: &Batch, row: usize) {
        if let Some(pick) = self.pick {
            pick.write_json(batch, row, self.values, out);
            return;
        }
        let columns = batch.columns();
        if columns.json().contains(row) {
            append_json_line(batch.line(row), out);
            return;
        }
        if !self.write_afresh(out, batch, columns.fields(row)) {
            out.extend_from_slice(b"{\"message\":\"");
            self.values.string(batch.line(row), FieldKind::Text, out);
            out.extend_from_slice(b"\"}\n");
        }
        end_truncated(out, batch, row);
    }

    /// Writes the line of fields whose shape is known; else nothing, and false.
    #[inline]
    fn write_known(&mut self, out: &mut Vec<u8>, batch: &Batch, fields: &[Field]) -> bool {
        let shapes = &mut self.table.shapes;
        shapes.write(out, batch.text(), fields, self.values)
    }

    /// Writes the line of fields whose shape is not known; false if none of them
    /// is written.
    #[inline(never)]
    fn write_afresh(&mut self, out: &mut Vec<u8>, batch: &Batch, fields: &[Field]) -> bool {
        let (text, start) = (batch.text(), out.len());
        if self.write_fields(out, text, fields).is_ok() {
            self.table.learn(fields);
        } else {
            out.truncate(start);
            let defs = batch.columns().defs();
            self.grouping.write(out, text, fields, defs, self.values);
        }
        // Every key is written with the comma before it.
        let Some(comma) = out.get_mut(start) else {
            return false;
        };
        *comma = b'{';
        out.extend_from_slice(LINE_END);
        true
    }

    /// Writes the fields as they come, each key with a comma before it. Fails
    /// where fields of one object do not stand together or lie deeper.
    fn write_fields(
        &mut self,
        out: &mut Vec<u8>,
        text: &[u8],
        fields: &[Field],
    ) -> Result<(), Scattered> {
        let mut objects = Objects::default();
        let mut free_key = None;
        for &field in fields {
            match field.kind() {
                FieldKind::Key | FieldKind::EscapedKey => {
                    free_key = Some(field);
                    continue;
                }
                FieldKind::Object => return Err(Scattered),
                _ => {}
            }
            if field.def() == Field::KEYED {
                if let Some(name) = free_key.take() {
                    objects.leave(out);
                    self.write_free(out, text, name, field);
                }
                continue;
            }
            let Some(key) = self.table.keys.get(field.def() as usize) else {
                continue;
            };
            objects.write_key(out, key)?;
            self.values.write(out, text, field, key.layout.as_ref());
        }
        objects.leave(out);
        Ok(())
    }

    /// Writes a field whose key stands in the line.
    fn write_free(&mut self, out: &mut Vec<u8>, text: &[u8], name: Field, field: Field) {
        const KEY: Head = Head::new(&padded(b",\""), 2);
        const STRING: Head = Head::new(&padded(b"\":\""), 3);
        const NUMBER: Head = Head::new(&padded(b"\":"), 2);
        let span = |field: Field| (field.start as usize, field.len as usize);
        let (start, len) = span(name);
        let is_plain = name.kind() == FieldKind::Key;
        if !is_plain || !within(out, |room| room.text(KEY, text, start, len)) {
            out.extend_from_slice(b",\"");
            self.values.string(name.bytes(text), name.kind(), out);
        }
        let (start, len) = span(field);
        let (string, number) = (
            field.kind() == FieldKind::Text,
            field.kind() == FieldKind::Number,
        );
        if string && within(out, |room| room.text(STRING, text, start, len)) {
            out.push(b'"');
        } else if !number || !within(out, |room| room.number(NUMBER, text, start, len)) {
            out.extend_from_slice(b"\":");
            self.values.write(out, text, field, None);
        }
    }
}

/// Says of a row that was just written if it is not all of its event.
#[inline]
fn end_truncated(out: &mut Vec<u8>, batch: &Batch, row: usize) {
    let truncated = batch.truncated();
    if !truncated.is_empty() && truncated.binary_search(&(row as u32)).is_ok() {
        out.truncate(out.len() - LINE_END.len());
        out.extend_from_slice(b",\"truncated\":true}\n");
    }
}

/// The text of some rows if each is one line that ends with just a line feed:
/// no CRLF, no event of several lines, no open end.
fn plain_lines(batch: &Batch, rows: Range<usize>) -> Option<&[u8]> {
    let (text, ends) = (batch.text(), &batch.ends()[rows.clone()]);
    let last = *ends.last()? as usize;
    let lines = &text[batch.span(rows.start).start..last];
    let plain = |end: &u32| {
        let line = &text[..*end as usize];
        line.ends_with(b"\n") && !line.ends_with(b"\r\n")
    };
    let look = || ends.iter().all(plain) && memchr::memchr_iter(b'\n', lines).count() == rows.len();
    let as_it_is = if batch.is_plain() && lines.ends_with(b"\n") {
        debug_assert!(look(), "rows that were said to be plain lines");
        true
    } else {
        look()
    };
    as_it_is.then_some(lines)
}

/// Appends rows that are all JSON, neighbours in one copy.
fn append_json_lines(part: &Part, out: &mut Vec<u8>) {
    let batch = &*part.batch;
    let mut append = |run: Range<usize>| match plain_lines(batch, run.clone()) {
        Some(lines) => out.extend_from_slice(lines),
        None => run.for_each(|row| append_json_line(batch.line(row), out)),
    };
    let mut run = 0..0;
    part.rows.for_each(batch.rows(), |row| {
        if row != run.end {
            append(run.clone());
            run.start = row;
        }
        run.end = row + 1;
    });
    append(run);
}

/// Appends a line that is a JSON object. Line breaks in it (an event of several
/// lines) can only be white space between tokens and become spaces.
fn append_json_line(line: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(line);
    let mut rest = &mut out[start..];
    while let Some(at) = memchr::memchr(b'\n', rest) {
        rest[at] = b' ';
        rest = &mut rest[at + 1..];
    }
    out.push(b'\n');
}
