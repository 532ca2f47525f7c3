//! The events of one batch on their way through a list.

use std::sync::Arc;

use tokio::time::Instant;

use super::document::Document;
use super::{Rule, Tools};
use crate::event::{Batch, Bits, Chunk, Edits, Settled};
use crate::telemetry::{Reason, WithTerms};

/// A batch as the list leaves it so far.
pub(super) enum Current<'a> {
    /// As it came.
    Whole(&'a Batch),
    /// With edits.
    Edited(Batch),
}

impl Current<'_> {
    pub(super) fn get(&self) -> &Batch {
        match self {
            Current::Whole(batch) => batch,
            Current::Edited(batch) => batch,
        }
    }
}

/// Recycled between batches and lists.
#[derive(Default)]
pub(super) struct Memory {
    /// The rows that the item is for.
    pub(super) chosen: Bits,
    /// The rows that are left in the list.
    pub(super) left: Bits,
    /// Of them, those whose columns are not read again yet.
    pub(super) stale: Bits,
    pub(super) edits: Edits,
    pub(super) document: Document,
    pub(super) chunk: Chunk,
    /// Who wants to hear of the batch's end.
    pub(super) hooks: Vec<Arc<dyn Settled>>,
    /// Nothing is held, nor taken out by chance: an event is shown as what it
    /// becomes alone.
    pub(super) alone: bool,
}

/// What a verb sees and does: the events of one batch that it is for.
pub struct Events<'a> {
    pub(super) current: Current<'a>,
    pub(super) memory: &'a mut Memory,
    pub(super) tools: &'a mut dyn Tools,
    pub(super) terms: &'a mut WithTerms,
    /// The time, which never goes back: when a batch was read is the wall
    /// clock's, which may.
    pub(super) now: Instant,
}

impl Events<'_> {
    /// Reads the columns again where events were edited.
    pub(super) fn refresh(&mut self) {
        if self.memory.stale.none() {
            return;
        }
        if let Current::Edited(batch) = &mut self.current {
            let tools = &mut *self.tools;
            let Memory { stale, chunk, .. } = &mut *self.memory;
            batch.refresh(stale, chunk, |observed, text, ends, columns| {
                tools.read(observed, text, ends, columns);
            });
            let rows = batch.rows();
            stale.clear(rows);
        }
    }

    /// Makes `out` the events for which a rule holds; without one, none.
    pub(super) fn select(&mut self, rule: &mut Option<Box<dyn Rule>>, out: &mut Bits) {
        match rule {
            Some(rule) => rule.select(self.current.get(), &self.memory.chosen, out),
            None => out.clear(self.memory.chosen.len()),
        }
    }

    /// Holds the events that have a key: `take` gets each as a JSON object.
    pub(super) fn hold<K>(
        &mut self,
        key: impl Fn(&Batch, usize) -> Option<K>,
        mut take: impl FnMut(K, &Batch, usize, &mut Document),
    ) {
        let batch = self.current.get();
        let Memory {
            chosen,
            left,
            document,
            ..
        } = &mut *self.memory;
        for row in chosen.iter() {
            let Some(key) = key(batch, row) else {
                continue;
            };
            let loaded = if batch.columns().json().contains(row) {
                document.load(batch.line(row))
            } else {
                document.load_with(|text| self.tools.write(batch, row, text))
            };
            if loaded {
                take(key, batch, row, document);
                left.remove(row);
                self.terms.held += 1;
            }
        }
    }

    /// Has `hook` told how the batch ended, if all of it is kept.
    pub fn when_settled(&mut self, hook: Arc<dyn Settled>) {
        self.memory.hooks.push(hook);
    }

    /// Calls `each` with every event it is for.
    pub fn for_each(&mut self, mut each: impl FnMut(&Batch, usize)) {
        self.refresh();
        let batch = self.current.get();
        self.memory.chosen.iter().for_each(|row| each(batch, row));
    }

    /// Takes out the events for which `keep` is false.
    pub fn retain(&mut self, reason: Reason, mut keep: impl FnMut(&Batch, usize) -> bool) {
        self.refresh();
        let batch = self.current.get();
        let Memory { chosen, left, .. } = &mut *self.memory;
        let mut gone = 0;
        for row in chosen.iter() {
            if !keep(batch, row) {
                left.remove(row);
                gone += 1;
            }
        }
        self.terms.filter(reason, gone);
    }

    /// Edits events as JSON objects; `edit` says whether it changed one. Columns
    /// of the batch are of the event before.
    pub(super) fn edit_objects(
        &mut self,
        mut edit: impl FnMut(&mut Document, &Batch, usize) -> bool,
    ) {
        self.edit_objects_but(
            |_| None,
            |document, batch, row, _| edit(document, batch, row),
        );
    }

    /// As [`Events::edit_objects`], of which `edit` takes out a field first: `but`
    /// names it for a row, or none. Where it is simple it is left out at once, which
    /// `edit` is told: to write it and read it again is most of the work.
    pub(super) fn edit_objects_but<'b>(
        &mut self,
        mut but: impl FnMut(usize) -> Option<&'b str>,
        mut edit: impl FnMut(&mut Document, &Batch, usize, bool) -> bool,
    ) {
        let batch = self.current.get();
        let Memory {
            chosen,
            stale,
            edits,
            document,
            ..
        } = &mut *self.memory;
        for row in chosen.iter() {
            let json = stale.contains(row) || batch.columns().json().contains(row);
            let mut left_out = false;
            let loaded = if json {
                document.load(batch.line(row))
            } else {
                let name = but(row);
                document.load_with(|text| {
                    left_out =
                        name.is_some_and(|name| self.tools.write_but(batch, row, name, text));
                    if !left_out {
                        self.tools.write(batch, row, text);
                    }
                })
            };
            if loaded && edit(document, batch, row, left_out) {
                edits.json(row, |out| {
                    document.write(out);
                    true
                });
            }
        }
        self.apply_edits();
    }

    /// Edits lines as they stand: `edit` gets each with whether it is JSON.
    pub(super) fn edit_lines(
        &mut self,
        mut edit: impl FnMut(Line<'_>, &mut Edits, &mut Document, &mut dyn Tools),
    ) {
        let batch = self.current.get();
        let Memory {
            chosen,
            stale,
            edits,
            document,
            ..
        } = &mut *self.memory;
        for row in chosen.iter() {
            let line = Line {
                batch,
                row,
                json: stale.contains(row) || batch.columns().json().contains(row),
            };
            edit(line, edits, document, self.tools);
        }
        self.apply_edits();
    }

    fn apply_edits(&mut self) {
        let Memory {
            left, stale, edits, ..
        } = &mut *self.memory;
        if edits.is_empty() {
            return;
        }
        let batch = self.current.get().edited(edits, left, stale);
        edits.mark_json(stale);
        edits.clear();
        self.current = Current::Edited(batch);
    }
}

/// One line to be edited.
#[derive(Clone, Copy)]
pub(super) struct Line<'a> {
    pub(super) batch: &'a Batch,
    pub(super) row: usize,
    /// Whether it is a JSON object.
    pub(super) json: bool,
}

impl<'a> Line<'a> {
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.batch.line(self.row)
    }
}
