//! The keys of one source's fields, ready to be copied into JSON.

use std::sync::Arc;

use super::room::{HEAD_BLOCK, Head, within};
use super::shape::Shapes;
use crate::event::time::Layout;
use crate::event::{Defs, Field, FieldDef};

/// One definition's key.
#[derive(Clone)]
pub(super) struct Key {
    /// `,"name":`
    pub(super) next: Piece,
    /// As it begins the object that it is in: `,"parent":{"name":`.
    pub(super) first: Piece,
    /// Which object it is in; equal numbers, equal objects.
    pub(super) parent: u32,
    /// How many objects it is in: 0 at the top.
    pub(super) depth: usize,
    /// How its times are read.
    pub(super) layout: Option<Arc<Layout>>,
}

impl Key {
    fn new(def: &FieldDef) -> Key {
        let key = def.json_key.as_bytes();
        Key {
            next: Piece::new([b",", key].concat()),
            first: Piece::new([&part_key(&def.parts[0]), &b"{"[..], key].concat()),
            parent: def.parent,
            depth: def.parts.len() - 1,
            layout: def.layout.clone(),
        }
    }
}

/// Text to be copied as a block.
#[derive(Clone)]
pub(super) struct Piece {
    /// Padded with zeros; unused if the text is longer.
    block: [u8; HEAD_BLOCK],
    text: Box<[u8]>,
}

impl Piece {
    pub(super) fn new(text: Vec<u8>) -> Piece {
        let mut block = [0; HEAD_BLOCK];
        if let Some(room) = block.get_mut(..text.len()) {
            room.copy_from_slice(&text);
        }
        Piece {
            block,
            text: text.into(),
        }
    }

    /// As it stands before a value.
    #[inline]
    pub(super) fn head(&self) -> Head<'_> {
        Head::new(&self.block, self.text.len())
    }

    #[inline]
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if !within(out, |room| room.head(self.head())) {
            out.extend_from_slice(&self.text);
        }
    }
}

/// `,"part":`
pub(super) fn part_key(part: &str) -> Vec<u8> {
    format!(",{}:", serde_json::Value::from(part)).into_bytes()
}

/// Why fields cannot be written as they come: those of one object do not stand
/// together, or lie deeper.
pub(super) struct Scattered;

/// Which object fields are being written to: the row's or one in it.
pub(super) struct Objects {
    /// As in [`Key::parent`]; `u32::MAX` is no definition's.
    parent: u32,
    inside: bool,
    /// The objects that have been written, by parent.
    opened: u64,
}

impl Default for Objects {
    fn default() -> Objects {
        Objects {
            parent: u32::MAX,
            inside: false,
            opened: 0,
        }
    }
}

impl Objects {
    /// Writes a key with what ends and begins objects before it.
    #[inline]
    pub(super) fn write_key(&mut self, out: &mut Vec<u8>, key: &Key) -> Result<(), Scattered> {
        let first = key.parent != self.parent && self.enter(out, key)?;
        let piece = if first { &key.first } else { &key.next };
        piece.write(out);
        Ok(())
    }

    /// Goes on in the object of `key`; says whether it begins with this key.
    fn enter(&mut self, out: &mut Vec<u8>, key: &Key) -> Result<bool, Scattered> {
        self.leave(out);
        (self.parent, self.inside) = (key.parent, key.depth > 0);
        if self.inside {
            let bit = 1u64.checked_shl(key.parent).ok_or(Scattered)?;
            if key.depth > 1 || self.opened & bit != 0 {
                return Err(Scattered);
            }
            self.opened |= bit;
        }
        Ok(self.inside)
    }

    /// Goes back to the row's object.
    pub(super) fn leave(&mut self, out: &mut Vec<u8>) {
        if self.inside {
            out.push(b'}');
            (self.parent, self.inside) = (u32::MAX, false);
        }
    }
}

/// What is known of one set of definitions.
#[derive(Clone)]
pub(super) struct Table {
    defs: Arc<Defs>,
    /// By definition index.
    pub(super) keys: Box<[Key]>,
    pub(super) shapes: Shapes,
}

impl Table {
    /// Remembers the shape of a row with these fields, if it has one.
    pub(super) fn learn(&mut self, fields: &[Field]) {
        self.shapes.learn(fields, &self.keys);
    }
}

/// The tables of every set of definitions seen; one set a source.
#[derive(Clone, Default)]
pub(super) struct KeyTables(Vec<Table>);

impl KeyTables {
    /// Sets kept at most; more than a config has sources of different formats.
    const KEEP_MAX: usize = 64;

    /// The table of `defs`.
    pub(super) fn of(&mut self, defs: &Arc<Defs>) -> &mut Table {
        let found = self.0.iter().position(|t| Arc::ptr_eq(&t.defs, defs));
        let at = found.unwrap_or_else(|| {
            if self.0.len() == Self::KEEP_MAX {
                self.0.remove(0);
            }
            self.0.push(Table {
                defs: defs.clone(),
                keys: defs.all().iter().map(Key::new).collect(),
                shapes: Shapes::default(),
            });
            self.0.len() - 1
        });
        &mut self.0[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_of_every_length_are_written_whole() {
        for len in 1..50 {
            let (parent, name) = ("p".repeat(len), "n".repeat(len));
            let mut defs = Defs::default();
            defs.add(&format!("{parent}.{name}"), None, None);
            let key = Key::new(&defs.all()[0]);
            let mut out = Vec::new();
            key.first.write(&mut out);
            key.next.write(&mut out);
            let expected = format!(",\"{parent}\":{{\"{name}\":,\"{name}\":");
            assert_eq!(out, expected.as_bytes());
        }
    }
}
