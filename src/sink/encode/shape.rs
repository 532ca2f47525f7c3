//! Rows of one shape: what their objects have beside the values, ready to be
//! copied.
//!
//! The lines of a format mostly have the same fields in the same order. What
//! stands between two values of theirs (a closing quote, the ends and beginnings
//! of objects, a key) is worked out once and then copied as one block a field.

use std::sync::Arc;

use super::keys::{Key, Objects, Piece};
use super::room::{Room, within};
use super::value::{Values, is_quoted};
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

/// What every row ends with.
pub(super) const LINE_END: &[u8] = b"}\n";

/// One sequence of fields.
#[derive(Clone)]
pub(super) struct Shape {
    steps: Box<[Step]>,
    /// What ends the last value and the line.
    close: Piece,
}

/// One field.
#[derive(Clone)]
struct Step {
    /// What fields it is for.
    tag: u32,
    /// From the end of the value before to the beginning of this one.
    piece: Piece,
    /// Of a time.
    layout: Option<Arc<Layout>>,
}

impl Shapes {
    /// More than a format has that is worth it: each optional field doubles them.
    const KEEP_MAX: usize = 16;
    /// After so many rows of other shapes, one of them takes the place of one
    /// that is known: to work it out costs as much as a dozen rows.
    const MISSED_MAX: u32 = 256;

    /// Writes the line of a row, if the shape of its fields is known.
    #[inline]
    pub(super) fn write(
        &mut self,
        out: &mut Vec<u8>,
        text: &[u8],
        fields: &[Field],
        values: &mut Values,
    ) -> bool {
        let recent = self.known.get(self.recent);
        let recent = recent.filter(|shape| shape.steps.len() == fields.len());
        recent.is_some_and(|shape| shape.write(out, text, fields, values))
            || self.write_other(out, text, fields, values)
    }

    /// As [`Shapes::write`] where the shape is not that of the row before.
    #[inline(never)]
    fn write_other(
        &mut self,
        out: &mut Vec<u8>,
        text: &[u8],
        fields: &[Field],
        values: &mut Values,
    ) -> bool {
        let Some(found) = self.known.iter().position(|shape| shape.is_of(fields)) else {
            return false;
        };
        self.recent = found;
        self.known[found].write(out, text, fields, values)
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
    fn is_of(&self, fields: &[Field]) -> bool {
        let mut both = self.steps.iter().zip(fields);
        self.steps.len() == fields.len() && both.all(|(step, field)| step.tag == field.tag())
    }

    /// `None` if it has no fields, has keys of its own, or fields of one object do
    /// not stand together.
    fn of(fields: &[Field], keys: &[Key]) -> Option<Shape> {
        if fields.is_empty() || fields.iter().any(|field| has_key_of_its_own(*field)) {
            return None;
        }
        let mut between = Vec::new();
        let mut objects = Objects::default();
        let mut steps = Vec::new();
        let mut open = false;
        for field in fields {
            let key = keys.get(field.def() as usize)?;
            let kind = field.kind();
            let start = between.len();
            if open {
                between.push(b'"');
            }
            objects.write_key(&mut between, key).ok()?;
            open = is_quoted(kind);
            if open {
                between.push(b'"');
            }
            let layout = key.layout.clone().filter(|_| kind == FieldKind::Time);
            steps.push((field.tag(), start, layout));
        }
        let end = between.len();
        if open {
            between.push(b'"');
        }
        objects.leave(&mut between);
        between.extend_from_slice(LINE_END);
        // Every key is written with the comma before it.
        *between.first_mut()? = b'{';
        let ends = steps.iter().skip(1).map(|step| step.1).chain([end]);
        let pieces: Vec<Piece> = steps
            .iter()
            .zip(ends)
            .map(|(step, end)| Piece::new(between[step.1..end].to_vec()))
            .collect();
        let steps = steps.into_iter().zip(pieces);
        let steps = steps.map(|((tag, _, layout), piece)| Step { tag, piece, layout });
        Some(Shape {
            steps: steps.collect(),
            close: Piece::new(between[end..].to_vec()),
        })
    }

    /// Writes the line of a row with as many fields, if it is one of this shape.
    /// That shows as it is written: mostly it is.
    ///
    /// Not inlined, so that what the loop needs stays in registers.
    #[inline(never)]
    fn write(&self, out: &mut Vec<u8>, text: &[u8], fields: &[Field], values: &mut Values) -> bool {
        let (start, replaced) = (out.len(), values.replaced);
        let (mut steps, mut fields) = (self.steps.iter(), fields.iter());
        loop {
            let written = within(out, |room| {
                while let (Some(step), Some(field)) = (steps.next(), fields.next()) {
                    if !step.write_plain(room, text, field, values) {
                        return Err(Some((step, field)));
                    }
                }
                let closed = room.head(self.close.head());
                if closed { Ok(()) } else { Err(None) }
            });
            match written {
                Ok(()) => return true,
                Err(Some((step, field))) => {
                    if !step.write_slowly(out, text, *field, values) {
                        out.truncate(start);
                        values.replaced = replaced;
                        return false;
                    }
                }
                Err(None) => {
                    self.close.write(out);
                    return true;
                }
            }
        }
    }
}

/// Whether an entry is a key that stands in the line.
fn has_key_of_its_own(field: Field) -> bool {
    matches!(
        field.kind(),
        FieldKind::Key | FieldKind::EscapedKey | FieldKind::Object
    )
}

impl Step {
    /// Room for a row or so: short of less, a buffer grows.
    const ROOM_BYTES: usize = 1024;

    /// Writes a field that is as most are: text as its span, if nothing in it needs
    /// an escape, a number as its span, if it is one, a time as the one
    /// before, if it is the same. Else nothing, and false.
    #[inline]
    fn write_plain(&self, room: &mut Room, text: &[u8], field: &Field, values: &Values) -> bool {
        if self.tag != field.tag() {
            return false;
        }
        let (start, len) = (field.start as usize, field.len as usize);
        let head = self.piece.head();
        if field.kind() == FieldKind::Text {
            return room.text(head, text, start, len);
        }
        if field.kind() == FieldKind::Number {
            return room.number(head, text, start, len);
        }
        let layout = self.layout.as_ref();
        match layout.and_then(|layout| values.same_time(text, start, len, layout)) {
            Some((written, len)) => room.ready(head, written, len),
            None => false,
        }
    }

    /// Writes a field, if it is one that the step is for.
    #[inline(never)]
    fn write_slowly(
        &self,
        out: &mut Vec<u8>,
        text: &[u8],
        field: Field,
        values: &mut Values,
    ) -> bool {
        if self.tag != field.tag() {
            return false;
        }
        out.reserve(Self::ROOM_BYTES);
        self.piece.write(out);
        values.write_unquoted(out, text, field, self.layout.as_ref());
        true
    }
}
