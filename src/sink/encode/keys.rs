//! The keys of one source's fields, ready to be copied into JSON.

use std::sync::Arc;

use super::cursor::{Cursor, KEY_BLOCK};
use crate::event::time::Layout;
use crate::event::{Defs, FieldDef};

/// One definition's key.
pub(super) struct Key {
    /// `,"name":` padded to a block; unused if the key is longer.
    block: [u8; KEY_BLOCK],
    len: usize,
    long: Box<[u8]>,
    /// Which object it is in; equal numbers, equal objects.
    pub(super) parent: u32,
    /// How many objects it is in: 0 at the top.
    pub(super) depth: usize,
    /// `,"parent":` for a depth of 1.
    pub(super) container: Box<[u8]>,
    /// How its times are read.
    pub(super) layout: Option<Arc<Layout>>,
}

impl Key {
    fn new(def: &FieldDef) -> Key {
        let text = [b",", def.json_key.as_bytes()].concat();
        let mut block = [0; KEY_BLOCK];
        if let Some(room) = block.get_mut(..text.len()) {
            room.copy_from_slice(&text);
        }
        Key {
            block,
            len: text.len(),
            long: text.into(),
            parent: def.parent,
            depth: def.parts.len() - 1,
            container: part_key(&def.parts[0]).into(),
            layout: def.layout.clone(),
        }
    }

    /// Writes `,"name":`.
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
#[derive(Default)]
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
