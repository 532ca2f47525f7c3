//! The keys of one source's fields, ready to be copied into JSON.

use std::sync::Arc;

use super::cursor::{Cursor, KEY_BLOCK};
use crate::event::time::Layout;
use crate::event::{Defs, FieldDef};

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
    block: [u8; KEY_BLOCK],
    len: usize,
    long: Box<[u8]>,
}

impl Piece {
    fn new(text: Vec<u8>) -> Piece {
        let mut block = [0; KEY_BLOCK];
        if let Some(room) = block.get_mut(..text.len()) {
            room.copy_from_slice(&text);
        }
        Piece {
            block,
            len: text.len(),
            long: text.into(),
        }
    }

    /// Writes it, making room.
    #[expect(
        clippy::inline_always,
        reason = "measured: called once a field, from a loop that would spill its registers"
    )]
    #[inline(always)]
    pub(super) fn write(&self, cursor: &mut Cursor) {
        if self.len <= KEY_BLOCK {
            cursor.reserve(KEY_BLOCK);
            cursor.key(&self.block, self.len);
        } else {
            cursor.bytes(&self.long);
        }
    }
}

/// `,"part":`
pub(super) fn part_key(part: &str) -> Vec<u8> {
    format!(",{}:", serde_json::Value::from(part)).into_bytes()
}

/// The keys of every set of definitions seen; one set a source.
#[derive(Clone, Default)]
pub(super) struct KeyTables(Vec<(Arc<Defs>, Box<[Key]>)>);

impl KeyTables {
    /// Sets kept at most; more than a config has sources of different formats.
    const KEEP_MAX: usize = 64;

    /// The keys of `defs`, by definition index.
    pub(super) fn of(&mut self, defs: &Arc<Defs>) -> &[Key] {
        let found = self
            .0
            .iter()
            .position(|(known, _)| Arc::ptr_eq(known, defs));
        let at = found.unwrap_or_else(|| {
            if self.0.len() == Self::KEEP_MAX {
                self.0.remove(0);
            }
            self.0
                .push((defs.clone(), defs.all().iter().map(Key::new).collect()));
            self.0.len() - 1
        });
        &self.0[at].1
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
            let mut cursor = Cursor::new(&mut out);
            key.first.write(&mut cursor);
            key.next.write(&mut cursor);
            drop(cursor);
            let expected = format!(",\"{parent}\":{{\"{name}\":,\"{name}\":");
            assert_eq!(out, expected.as_bytes());
        }
    }
}
