//! A file's content: as programs see it, and as a loss of power leaves it.

use std::collections::HashSet;

use crate::seam::Random;

/// What a disk writes wholly or not at all.
const SECTOR_BYTES: usize = 512;

#[derive(Default)]
pub(super) struct Inode {
    content: Vec<u8>,
    durable: Vec<u8>,
    /// What is not durable, in order.
    dirty: Vec<Dirty>,
}

enum Dirty {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// Writes over what is there, with zeros up to it if that is farther on.
fn put(into: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if into.len() < end {
        into.resize(end, 0);
    }
    into[offset..end].copy_from_slice(bytes);
}

impl Inode {
    pub(super) fn durable(content: &[u8]) -> Inode {
        Inode {
            content: content.to_vec(),
            durable: content.to_vec(),
            dirty: Vec::new(),
        }
    }

    pub(super) fn content(&self) -> &[u8] {
        &self.content
    }

    pub(super) fn write(&mut self, offset: usize, bytes: &[u8]) {
        put(&mut self.content, offset, bytes);
        self.dirty.push(Dirty::Write(offset, bytes.to_vec()));
    }

    pub(super) fn truncate(&mut self, size: usize) {
        self.content.truncate(size);
        self.dirty.push(Dirty::Truncate(size));
    }

    pub(super) fn sync(&mut self) {
        for dirty in self.dirty.drain(..) {
            match dirty {
                Dirty::Write(offset, bytes) => put(&mut self.durable, offset, &bytes),
                Dirty::Truncate(size) => self.durable.truncate(size),
            }
        }
    }

    /// Pages of a failed sync are marked clean: a later one skips them.
    pub(super) fn fail_sync(&mut self) {
        self.dirty.clear();
    }

    /// Power is lost. Of what is not durable, `random` says what is left:
    /// nothing, a beginning, all, or some sectors.
    pub(super) fn lose(&mut self, random: Option<&Random>) {
        let dirty = std::mem::take(&mut self.dirty);
        if let Some(random) = random {
            let (kind, mut left) = (random.u64() % 4, random.u64() as usize % 4096);
            let mut lost = HashSet::new();
            for dirty in dirty {
                match dirty {
                    _ if kind == 0 => {}
                    Dirty::Truncate(size) => {
                        if random.u64().is_multiple_of(2) {
                            self.durable.truncate(size);
                        }
                    }
                    Dirty::Write(offset, bytes) if kind == 1 => {
                        let len = bytes.len().min(left);
                        put(&mut self.durable, offset, &bytes[..len]);
                        left -= len;
                    }
                    Dirty::Write(offset, bytes) if kind == 2 => {
                        put(&mut self.durable, offset, &bytes);
                    }
                    Dirty::Write(offset, bytes) => {
                        self.keep_sectors(offset, &bytes, random, &mut lost);
                    }
                }
            }
        }
        self.content = self.durable.clone();
    }

    /// Writes to one sector are kept up to one of them: a later state of it has
    /// the earlier ones in it. `lost` are the sectors of which no more is kept.
    fn keep_sectors(
        &mut self,
        offset: usize,
        bytes: &[u8],
        random: &Random,
        lost: &mut HashSet<usize>,
    ) {
        let mut at = 0;
        while at < bytes.len() {
            let sector_end = (offset + at) / SECTOR_BYTES * SECTOR_BYTES + SECTOR_BYTES;
            let end = (sector_end - offset).min(bytes.len());
            let is_kept = random.u64().is_multiple_of(2);
            if !is_kept {
                lost.insert(sector_end);
            }
            if is_kept && !lost.contains(&sector_end) {
                put(&mut self.durable, offset + at, &bytes[at..end]);
            }
            at = end;
        }
    }
}
