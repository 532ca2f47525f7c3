//! Rows of one shape: what their objects have beside the values, ready to be
//! copied.
//!
//! The lines of a format mostly have the same fields in the same order. What
//! stands between two values of theirs (a closing quote, the ends and beginnings
//! of objects, a key) is worked out once and then copied as one block a field.

use std::sync::Arc;

use super::cursor::{Cursor, Room};
use super::keys::{Key, Objects, Piece};
use super::value::{Values, is_short_integer};
use crate::event::time::Layout;
use crate::event::{Field, FieldKind};

/// The shapes of one source's rows.
#[derive(Clone, Default)]
pub(super) struct Shapes {
    known: Vec<Shape>,
    /// The one that was found last.
    recent: usize,
    /// Rows whose shape was not known, since there is no room for more.
    missed: u32,
}

/// One sequence of fields.
#[derive(Clone)]
pub(super) struct Shape {
    tags: Box<[u32]>,
    steps: Box<[Step]>,
    /// What a row takes at most beside its spans.
    room: usize,
    /// What closes the last value and its object, but not the row's.
    close: Piece,
}

/// One field.
#[derive(Clone)]
struct Step {
    /// From the end of the value before to the beginning of this one.
    piece: Piece,
    value: Value,
    layout: Option<Arc<Layout>>,
}

/// How a value is mostly written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Value {
    /// As its span, if nothing in it needs an escape: the quotes around it are
    /// in the pieces.
    Text,
    /// As its span, if that is short.
    Number,
    Other,
}

impl Shapes {
    /// More than a format has that is worth it: each optional field doubles them.
    const KEEP_MAX: usize = 16;
    /// After so many rows of other shapes, one of them takes the place of one
    /// that is known: to work it out costs as much as a dozen rows.
    const MISSED_MAX: u32 = 256;

    /// The shape of a row with these fields, if it is known.
    #[inline]
    pub(super) fn find(&mut self, fields: &[Field]) -> Option<&Shape> {
        if !self.known.get(self.recent)?.is_of(fields) {
            self.recent = self.known.iter().position(|shape| shape.is_of(fields))?;
        }
        self.known.get(self.recent)
    }

    /// Works out the shape of a row that has just been written field by field.
    #[cold]
    pub(super) fn learn(&mut self, fields: &[Field], keys: &[Key]) {
        let is_full = self.known.len() == Self::KEEP_MAX;
        if is_full {
            self.missed += 1;
            if self.missed < Self::MISSED_MAX {
                return;
            }
        }
        let Some(shape) = Shape::of(fields, keys) else {
            return;
        };
        self.missed = 0;
        if is_full {
            self.known.remove(0);
        }
        self.recent = self.known.len();
        self.known.push(shape);
    }
}

impl Shape {
    #[inline]
    fn is_of(&self, fields: &[Field]) -> bool {
        let mut tags = self.tags.iter().zip(fields);
        self.tags.len() == fields.len() && tags.all(|(tag, field)| *tag == field.tag())
    }

    /// `None` if it has keys of its own, or fields of one object do not stand
    /// together.
    fn of(fields: &[Field], keys: &[Key]) -> Option<Shape> {
        let mut between = Vec::new();
        let mut cursor = Cursor::new(&mut between);
        let mut objects = Objects::default();
        let mut steps = Vec::new();
        let mut open = false;
        for field in fields {
            let key = keys.get(field.def() as usize)?;
            let value = match field.kind() {
                FieldKind::Text => Value::Text,
                FieldKind::Number => Value::Number,
                FieldKind::Key | FieldKind::EscapedKey | FieldKind::Object => return None,
                _ => Value::Other,
            };
            let quoted = value == Value::Text;
            let start = cursor.position();
            if open {
                cursor.bytes(b"\"");
            }
            objects.write_key(&mut cursor, key).ok()?;
            if quoted {
                cursor.bytes(b"\"");
            }
            open = quoted;
            steps.push((start, value, key.layout.clone()));
        }
        let end = cursor.position();
        if open {
            cursor.bytes(b"\"");
        }
        objects.leave(&mut cursor);
        drop(cursor);
        // Every key is written with the comma before it.
        *between.first_mut()? = b'{';
        let ends = steps.iter().skip(1).map(|step| step.0).chain([end]);
        let pieces: Vec<Vec<u8>> = steps
            .iter()
            .zip(ends)
            .map(|(step, end)| between[step.0..end].to_vec())
            .collect();
        let steps = steps.into_iter().zip(pieces);
        let steps = steps.map(|((_, value, layout), piece)| Step {
            piece: Piece::new(piece),
            value,
            layout,
        });
        let steps: Box<[Step]> = steps.collect();
        Some(Shape {
            tags: fields.iter().map(|f| f.tag()).collect(),
            room: steps.iter().map(|s| s.piece.room() + Values::ROOM).sum(),
            steps,
            close: Piece::new(between[end..].to_vec()),
        })
    }

    /// Writes a row of this shape, up to the end of its object.
    pub(super) fn write(
        &self,
        cursor: &mut Cursor,
        text: &[u8],
        fields: &[Field],
        values: &mut Values,
    ) {
        let spans: usize = fields.iter().map(|field| field.len as usize).sum();
        let mut rest = self.steps.iter().zip(fields);
        while let Some((step, &field)) = cursor.within(self.room + spans, |room| {
            rest.find(|(step, field)| !step.write_plain(room, text, **field))
        }) {
            match step.value {
                Value::Text => values.write_unclean(cursor, field.bytes(text)),
                _ => values.write_other(cursor, text, field, step.layout.as_ref()),
            }
        }
        self.close.write(cursor);
    }
}

impl Step {
    /// Writes a field that is as most are; else only what stands before its
    /// value, and false.
    #[inline]
    fn write_plain(&self, room: &mut Room, text: &[u8], field: Field) -> bool {
        self.piece.write_to(room);
        let (start, len) = (field.start as usize, field.len as usize);
        match self.value {
            Value::Text => room.clean(text, start, len),
            Value::Number => match text[start..].first_chunk() {
                Some(word) if is_short_integer(*word, len) => {
                    room.block(word, len);
                    true
                }
                _ => false,
            },
            Value::Other => false,
        }
    }
}
