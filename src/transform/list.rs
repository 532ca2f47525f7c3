//! A list of verbs, run one after the other on what is left.

use std::sync::Arc;

use tokio::time::Instant;

use super::events::{Current, Events, Memory};
use super::{Ended, Groups, Rule, Tools, Transform};
use crate::event::{Batch, Bits, Settled, Timestamp};
use crate::telemetry::WithTerms;

/// A compiled `with` list, for one thread.
#[derive(Default)]
pub struct List {
    items: Vec<Item>,
    /// The places of the items that hold events.
    holders: Vec<usize>,
}

struct Item {
    when: Option<Box<dyn Rule>>,
    verb: Box<dyn Transform>,
}

/// What one thread's lists work with: tools and memory, recycled.
pub struct Workspace {
    tools: Box<dyn Tools>,
    memory: Memory,
    now: Instant,
}

impl Workspace {
    /// A workspace with the tools of other stages.
    #[must_use]
    pub fn new(tools: Box<dyn Tools>, now: Instant) -> Workspace {
        Workspace {
            tools,
            memory: Memory::default(),
            now,
        }
    }

    /// Says what time it is, for verbs to which it matters.
    pub fn set_now(&mut self, now: Instant) {
        self.now = now;
    }

    /// Has no verb hold an event: it becomes what it would alone, and counts as
    /// made and merged. Nor is one taken out by chance (see [`Sample`](super::Sample)).
    pub fn show_alone(&mut self) {
        self.memory.alone = true;
    }

    /// Takes over who wants to hear of the end of the batches since the last call.
    pub fn take_hooks(&mut self) -> Vec<Arc<dyn Settled>> {
        std::mem::take(&mut self.memory.hooks)
    }
}

impl List {
    /// Adds a verb, for the events for which `when` holds.
    pub fn push(&mut self, when: Option<Box<dyn Rule>>, mut verb: Box<dyn Transform>) {
        if verb.groups().is_some() {
            self.holders.push(self.items.len());
        }
        self.items.push(Item { when, verb });
    }

    /// Whether a verb of it holds events.
    #[must_use]
    pub fn holds(&self) -> bool {
        !self.holders.is_empty()
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
            holders: self.holders.clone(),
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
        terms.entered += rows.count() as u64;
        self.run_from(0, batch, rows, work, terms)
    }

    /// As [`List::run`], of events that the item before the place `from` has
    /// made: the caller counts these.
    pub fn run_from(
        &mut self,
        from: usize,
        batch: &Batch,
        rows: &mut Bits,
        work: &mut Workspace,
        terms: &mut WithTerms,
    ) -> Option<Batch> {
        let Workspace { tools, memory, now } = work;
        memory.left.copy_from(rows);
        memory.stale.clear(batch.rows());
        let mut events = Events {
            current: Current::Whole(batch),
            memory,
            tools: &mut **tools,
            terms,
            now: *now,
        };
        for item in self.items.iter_mut().skip(from) {
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

    fn groups(&mut self) -> impl Iterator<Item = (usize, &mut Groups)> {
        let holders = &self.holders;
        let items = self.items.iter_mut().enumerate();
        let items = items.filter(|(at, _)| holders.contains(at));
        items.filter_map(|(at, item)| item.verb.groups().map(|groups| (at, groups)))
    }

    /// Calls `each` with what each verb holds.
    pub fn for_each_group(&mut self, mut each: impl FnMut(&mut Groups)) {
        self.groups().for_each(|(_, groups)| each(groups));
    }

    /// Takes events that a verb has made, and the place of the item to go on
    /// with, until there are none.
    pub fn take_ended(
        &mut self,
        observed: Timestamp,
        work: &mut Workspace,
    ) -> Option<(usize, Ended)> {
        let tools = &mut *work.tools;
        self.groups()
            .find_map(|(at, groups)| Some((at + 1, groups.take(observed, tools)?)))
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
