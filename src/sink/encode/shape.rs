//! Shapes of rows: what their objects have beside the values, ready to be copied.
//!
//! The lines of a format mostly have the same few sequences of fields. What stands
//! between two values of theirs (a closing quote, the ends and beginnings of
//! objects, a key) depends on the fields before only: it is worked out once for each
//! sequence that a row begins with, in a tree, and then copied as one block a field.

use std::sync::Arc;

use super::keys::{Key, Objects, Piece};
use super::room::{Room, within};
use super::value::{Values, is_quoted};
use crate::event::time::Layout;
use crate::event::{Field, FieldKind};

/// The shapes of one source's rows.
#[derive(Default)]
pub(super) struct Shapes {
    start: Start,
    /// How many there are.
    steps: usize,
    /// Rows whose shape was not known, since there is no room for more.
    missed: u32,
}

impl Clone for Shapes {
    /// None: a clone learns its own.
    fn clone(&self) -> Shapes {
        Shapes::default()
    }
}

/// What every row ends with.
pub(super) const LINE_END: &[u8] = b"}\n";

/// What the first fields of rows ask for.
type Start = Option<Box<Step>>;

/// A field behind certain others.
struct Step {
    /// What fields it is for.
    tag: u32,
    /// Of a field that follows.
    next: Start,
    /// Of another field in this one's place.
    other: Start,
    /// From the end of the value before to the beginning of this one.
    piece: Piece,
    /// Of a time.
    layout: Option<Arc<Layout>>,
    /// What ends the line, if rows end with this field.
    close: Option<Piece>,
}

/// What a row's field asks for, beside its value.
struct Need {
    tag: u32,
    piece: Piece,
    layout: Option<Arc<Layout>>,
}

/// How far a row was written in one go.
enum Stopped<'a> {
    /// There is no such shape.
    Unknown,
    /// This field is not as most are.
    At(&'a Step, &'a Field),
    /// Before its end, for want of room.
    Before(&'a Piece),
}

impl Shapes {
    /// Each optional field doubles what follows it, at worst.
    const STEPS_MAX: usize = 1024;
    /// After so many rows whose shapes have no place, all are learnt anew: to work
    /// one out costs as much as a dozen rows, and there is room for a hundred or so.
    const MISSED_MAX: u32 = 4096;

    /// Writes the line of a row, if its shape is known. That shows as it is written:
    /// mostly it is.
    ///
    /// Not inlined, so that what the loop needs stays in registers.
    #[inline(never)]
    pub(super) fn write(
        &self,
        out: &mut Vec<u8>,
        text: &[u8],
        fields: &[Field],
        values: &mut Values,
    ) -> bool {
        let (start, replaced) = (out.len(), values.replaced);
        let mut fields = fields.iter();
        let (mut next, mut close) = (&self.start, &None);
        loop {
            let written = within(out, |room| {
                for field in fields.by_ref() {
                    let step = Step::find(next, field).ok_or(Stopped::Unknown)?;
                    (next, close) = (&step.next, &step.close);
                    if !step.write_plain(room, text, field, values) {
                        return Err(Stopped::At(step, field));
                    }
                }
                let close = close.as_ref().ok_or(Stopped::Unknown)?;
                let closed = room.head(close.head());
                if closed {
                    Ok(())
                } else {
                    Err(Stopped::Before(close))
                }
            });
            match written {
                Ok(()) => return true,
                Err(Stopped::At(step, field)) => step.write_slowly(out, text, *field, values),
                Err(Stopped::Before(close)) => {
                    close.write(out);
                    return true;
                }
                Err(Stopped::Unknown) => {
                    out.truncate(start);
                    values.replaced = replaced;
                    return false;
                }
            }
        }
    }

    /// Works out the shape of a row that has just been written field by field.
    #[cold]
    pub(super) fn learn(&mut self, fields: &[Field], keys: &[Key]) {
        if self.steps + fields.len() > Self::STEPS_MAX {
            self.missed += 1;
            if self.missed < Self::MISSED_MAX {
                return;
            }
            *self = Shapes::default();
            if fields.len() > Self::STEPS_MAX {
                return;
            }
        }
        let Some((needs, close)) = needs(fields, keys) else {
            return;
        };
        let (mut place, mut last) = (&mut self.start, &mut None);
        for need in needs {
            let (step, is_new) = Step::add(place, need);
            self.steps += usize::from(is_new);
            (place, last) = (&mut step.next, &mut step.close);
        }
        *last = Some(close);
    }
}

/// What the fields of a row ask for, and what ends its line. `None` if it has no
/// fields, has keys of its own, or fields of one object do not stand together.
fn needs(fields: &[Field], keys: &[Key]) -> Option<(Vec<Need>, Piece)> {
    if fields.is_empty() || fields.iter().any(|field| has_key_of_its_own(*field)) {
        return None;
    }
    let mut objects = Objects::default();
    let mut needs = Vec::new();
    let mut open = false;
    for field in fields {
        let key = keys.get(field.def() as usize)?;
        let kind = field.kind();
        let mut between = Vec::new();
        if open {
            between.push(b'"');
        }
        objects.write_key(&mut between, key).ok()?;
        if needs.is_empty() {
            // Every key is written with the comma before it.
            *between.first_mut()? = b'{';
        }
        open = is_quoted(kind);
        if open {
            between.push(b'"');
        }
        needs.push(Need {
            tag: field.tag(),
            piece: Piece::new(between),
            layout: key.layout.clone().filter(|_| kind == FieldKind::Time),
        });
    }
    let mut close = Vec::new();
    if open {
        close.push(b'"');
    }
    objects.leave(&mut close);
    close.extend_from_slice(LINE_END);
    Some((needs, Piece::new(close)))
}

/// Whether an entry is a key that stands in the line.
fn has_key_of_its_own(field: Field) -> bool {
    matches!(
        field.kind(),
        FieldKind::Key | FieldKind::EscapedKey | FieldKind::Object
    )
}

impl Step {
    /// The one for a field, among those that may come next.
    #[inline]
    fn find<'a>(mut next: &'a Start, field: &Field) -> Option<&'a Step> {
        loop {
            let step = next.as_deref()?;
            if step.tag == field.tag() {
                return Some(step);
            }
            next = &step.other;
        }
    }

    /// The one for a field, among those that may come next, and whether it is new.
    fn add(mut next: &mut Start, need: Need) -> (&mut Step, bool) {
        while next.as_ref().is_some_and(|step| step.tag != need.tag) {
            let Some(step) = next else { break };
            next = &mut step.other;
        }
        let is_new = next.is_none();
        let step = next.get_or_insert_with(|| {
            Box::new(Step {
                tag: need.tag,
                next: None,
                other: None,
                piece: need.piece,
                layout: need.layout,
                close: None,
            })
        });
        (step, is_new)
    }

    /// Room for a row or so: short of less, a buffer grows.
    const ROOM_BYTES: usize = 1024;

    /// Writes a field that is as most are: text as its span, if nothing in it needs
    /// an escape, a number as its span, if it is one, a time as the one
    /// before, if it is the same. Else nothing, and false.
    #[inline]
    fn write_plain(&self, room: &mut Room, text: &[u8], field: &Field, values: &Values) -> bool {
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

    /// Writes any field that it is for.
    #[inline(never)]
    fn write_slowly(&self, out: &mut Vec<u8>, text: &[u8], field: Field, values: &mut Values) {
        out.reserve(Self::ROOM_BYTES);
        self.piece.write(out);
        values.write_unquoted(out, text, field, self.layout.as_ref());
    }
}
