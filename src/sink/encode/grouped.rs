//! The slow way to a row's JSON object: for field lists whose objects lie in
//! objects, or whose fields of one object do not stand together.

use super::keys::part_key;
use super::value::Values;
use crate::event::{Defs, Field, FieldDef, FieldKind};

/// Writes grouped fields; keeps its buffer between rows.
#[derive(Clone, Default)]
pub(super) struct Grouping {
    done: Vec<bool>,
}

/// What stays the same for one row.
struct Row<'a> {
    text: &'a [u8],
    fields: &'a [Field],
    defs: &'a Defs,
}

impl Grouping {
    /// Writes the fields, each key with a comma before it, an object at the
    /// place of its first field.
    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        text: &[u8],
        fields: &[Field],
        defs: &Defs,
        values: &mut Values,
    ) {
        self.done.clear();
        self.done.resize(fields.len(), false);
        let row = Row { text, fields, defs };
        self.write_object(&row, 0, &[], values, out);
    }

    /// Writes what has the parents `prefix`, from the entry `from` on. Its depth
    /// is that of the definitions, not of the data.
    fn write_object(
        &mut self,
        row: &Row,
        from: usize,
        prefix: &[Box<str>],
        values: &mut Values,
        out: &mut Vec<u8>,
    ) {
        for (i, &field) in row.fields.iter().enumerate().skip(from) {
            if self.done[i] {
                continue;
            }
            if field.kind() == FieldKind::Object {
                if prefix.is_empty() {
                    self.write_members(row, i, values, out);
                }
            } else if field.def() == Field::KEYED {
                if prefix.is_empty() {
                    write_keyed(row, i, values, out);
                }
            } else if let Some(def) = row.defs.get(field.def())
                && !is_key(field)
                && def.parts.len() > prefix.len()
                && def.parts.starts_with(prefix)
            {
                out.extend_from_slice(&part_key(&def.parts[prefix.len()]));
                if def.parts.len() == prefix.len() + 1 {
                    self.done[i] = true;
                    write_value(row, field, Some(def), values, out);
                } else {
                    let comma = out.len();
                    self.write_object(row, i, &def.parts[..=prefix.len()], values, out);
                    out[comma] = b'{';
                    out.push(b'}');
                }
            }
        }
    }

    /// Writes the object entry `at` with the entries that belong to it. An
    /// object in an object does not occur; its members would be written here.
    fn write_members(&mut self, row: &Row, at: usize, values: &mut Values, out: &mut Vec<u8>) {
        let object = row.fields[at];
        write_key(row, object, values, out);
        let start = out.len();
        let end = row.fields.len().min(at + 1 + object.def() as usize);
        for i in at + 1..end {
            self.done[i] = true;
            let field = row.fields[i];
            if field.def() == Field::KEYED {
                write_keyed(row, i, values, out);
            } else if let Some(def) = row.defs.get(field.def())
                && !is_key(field)
                && field.kind() != FieldKind::Object
            {
                out.extend_from_slice(&part_key(&def.parts[def.parts.len() - 1]));
                write_value(row, field, Some(def), values, out);
            }
        }
        match out.get_mut(start) {
            Some(comma) => *comma = b'{',
            None => out.push(b'{'),
        }
        out.push(b'}');
    }
}

fn is_key(field: Field) -> bool {
    matches!(field.kind(), FieldKind::Key | FieldKind::EscapedKey)
}

/// Writes the entry `at` if the one before it is its key.
fn write_keyed(row: &Row, at: usize, values: &mut Values, out: &mut Vec<u8>) {
    let key = at.checked_sub(1).map(|before| row.fields[before]);
    let field = row.fields[at];
    if let Some(key) = key.filter(|&k| is_key(k))
        && !is_key(field)
        && field.kind() != FieldKind::Object
    {
        write_key(row, key, values, out);
        write_value(row, field, None, values, out);
    }
}

fn write_key(row: &Row, key: Field, values: &mut Values, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    values.string(key.bytes(row.text), key.kind(), out);
    out.extend_from_slice(b"\":");
}

fn write_value(
    row: &Row,
    field: Field,
    def: Option<&FieldDef>,
    values: &mut Values,
    out: &mut Vec<u8>,
) {
    let layout = def.and_then(|d| d.layout.as_ref());
    values.write(out, row.text, field, layout);
}
