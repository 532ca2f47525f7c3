//! A list of verbs, run one after the other on what is left.

use std::sync::Arc;

use super::events::{Current, Events, Memory};
use super::{Rule, Tools, Transform};
use crate::event::{Batch, Bits, Settled};
use crate::telemetry::WithTerms;

/// A compiled `with` list, for one thread.
#[derive(Default)]
pub struct List {
    items: Vec<Item>,
}

struct Item {
    when: Option<Box<dyn Rule>>,
    verb: Box<dyn Transform>,
}

/// What one thread's lists work with: tools and memory, recycled.
pub struct Workspace {
    tools: Box<dyn Tools>,
    memory: Memory,
}

impl Workspace {
    /// A workspace with the tools of other stages.
    #[must_use]
    pub fn new(tools: Box<dyn Tools>) -> Workspace {
        Workspace {
            tools,
            memory: Memory::default(),
        }
    }

    /// Takes over who wants to hear of the end of the batches since the last call.
    pub fn take_hooks(&mut self) -> Vec<Arc<dyn Settled>> {
        std::mem::take(&mut self.memory.hooks)
    }
}

impl List {
    /// Adds a verb, for the events for which `when` holds.
    pub fn push(&mut self, when: Option<Box<dyn Rule>>, verb: Box<dyn Transform>) {
        self.items.push(Item { when, verb });
    }

    /// Whether it does nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// The same list for another thread.
    #[must_use]
    pub fn another(&self) -> List {
        let items = self.items.iter().map(|item| Item {
            when: item.when.as_ref().map(|rule| rule.another()),
            verb: item.verb.another(),
        });
        List {
            items: items.collect(),
        }
    }

    /// Runs on the events `rows` of a batch, of which it leaves those that go
    /// on. The batch with their edits, if there are any: the same rows by the
    /// same numbers, those that are not in `rows` empty.
    pub fn run(
        &mut self,
        batch: &Batch,
        rows: &mut Bits,
        work: &mut Workspace,
        terms: &mut WithTerms,
    ) -> Option<Batch> {
        let Workspace { tools, memory } = work;
        terms.entered += rows.count() as u64;
        memory.left.copy_from(rows);
        memory.stale.clear(batch.rows());
        let mut events = Events {
            current: Current::Whole(batch),
            memory,
            tools: &mut **tools,
            terms,
        };
        for item in &mut self.items {
            if events.memory.left.none() {
                break;
            }
            item.run(&mut events);
        }
        events.refresh();
        rows.copy_from(&events.memory.left);
        events.terms.out += rows.count() as u64;
        match events.current {
            Current::Whole(_) => None,
            Current::Edited(batch) => Some(batch),
        }
    }
}

impl Item {
    fn run(&mut self, events: &mut Events<'_>) {
        match &mut self.when {
            None => {
                let memory = &mut *events.memory;
                memory.chosen.copy_from(&memory.left);
            }
            Some(rule) => {
                events.refresh();
                let Events {
                    current, memory, ..
                } = events;
                let Memory { left, chosen, .. } = &mut **memory;
                rule.select(current.get(), left, chosen);
            }
        }
        if !events.memory.chosen.none() {
            self.verb.apply(events);
        }
    }
}

#[cfg(test)]
mod tests;
