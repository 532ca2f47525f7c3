//! Rows of one shape: what their objects have beside the values, ready to be
//! copied.
//!
//! The lines of a format mostly have the same fields in the same order. What
//! stands between two values of theirs (a closing quote, the ends and beginnings
//! of objects, a key) is worked out once and then copied as one block a field.

use std::sync::Arc;

use super::cursor::Cursor;
use super::keys::{Key, Objects, Piece};
use super::value::Values;
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
    /// What closes the last value and its object, but not the row's.
    close: Piece,
}

/// One field.
#[derive(Clone)]
struct Step {
    /// From the end of the value before to the beginning of this one.
    piece: Piece,
    /// Whether the quotes around it are in the pieces.
    quoted: bool,
    layout: Option<Arc<Layout>>,
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
        let tags = self.tags.iter().zip(fields);
        self.tags.len() == fields.len() && tags.fold(0, |d, (tag, f)| d | (tag ^ f.tag())) == 0
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
            let quoted = matches!(field.kind(), FieldKind::Text);
            if matches!(
                field.kind(),
                FieldKind::Key | FieldKind::EscapedKey | FieldKind::Object
            ) {
                return None;
            }
            let start = cursor.position();
            if open {
                cursor.bytes(b"\"");
            }
            objects.write_key(&mut cursor, key).ok()?;
            if quoted {
                cursor.bytes(b"\"");
            }
            open = quoted;
            steps.push((start, quoted, key.layout.clone()));
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
        Some(Shape {
            tags: fields.iter().map(|f| f.tag()).collect(),
            steps: steps
                .map(|((_, quoted, layout), piece)| Step {
                    piece: Piece::new(piece),
                    quoted,
                    layout,
                })
                .collect(),
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
        for (step, &field) in self.steps.iter().zip(fields) {
            cursor.reserve(step.piece.room() + field.len as usize + Values::ROOM);
            step.piece.write_reserved(cursor);
            if step.quoted {
                values.inside(cursor, text, field);
            } else {
                values.write(cursor, text, field, step.layout.as_ref());
            }
        }
        self.close.write(cursor);
    }
}
