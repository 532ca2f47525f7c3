//! The groups of one list: found by their key, ended by their time or a bound,
//! and kept until they are taken.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;

use super::super::document::Document;
use super::merge::Merged;
use super::{GROUP_BYTES_MAX, Options};
use crate::event::{Ack, Batch, Bits, EventId, Receipt, Stream};

/// What a group takes up beside its fields: itself and its places in the maps.
const GROUP_OVERHEAD_BYTES: usize = size_of::<Group>() + 160;

/// Events that are becoming one.
pub(super) struct Group {
    key: u128,
    /// Of its first event.
    pub(super) stream: Arc<Stream>,
    pub(super) id: EventId,
    /// Whether a line of it was cut and does not say so itself.
    pub(super) truncated: bool,
    /// Whether it may have several lines.
    pub(super) joined: bool,
    pub(super) document: Document,
    /// By the options' place.
    pub(super) merged: Box<[Merged]>,
    first: Instant,
    last: Instant,
    /// When to look whether its time is over; its place in `Groups::times`.
    look: Instant,
    pub(super) events: u64,
    /// Why it is complete, if it is.
    pub(super) end: Option<End>,
    bytes: usize,
    /// Rows of the batch at hand.
    rows: Vec<u32>,
    /// Of the batches before.
    pub(super) acks: Vec<Ack>,
    /// What its router has noted of where it goes.
    pub(super) tags: Vec<u32>,
}

/// Why a group is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// Its time is over, an event ends it, or nothing more may come.
    Meant,
    /// A bound has ended it.
    Cut,
}

/// The events that a verb holds.
pub struct Groups {
    options: Arc<Options>,
    slots: Vec<Option<Box<Group>>>,
    free: Vec<usize>,
    /// The slots of those that go on.
    by_key: HashMap<u128, usize>,
    times: BTreeSet<(Instant, usize)>,
    bytes: usize,
    /// The slots of those with rows of the batch at hand.
    touched: Vec<usize>,
    /// The slots of those that are complete, in the order in which they came to
    /// be so.
    ended: VecDeque<usize>,
}

/// One event that joins a group.
pub(super) struct Joining<'a> {
    pub(super) batch: &'a Batch,
    pub(super) row: usize,
    pub(super) document: &'a mut Document,
    pub(super) now: Instant,
}

impl Groups {
    pub(super) fn new(options: Arc<Options>) -> Groups {
        Groups {
            options,
            slots: Vec::new(),
            free: Vec::new(),
            by_key: HashMap::new(),
            times: BTreeSet::new(),
            bytes: 0,
            touched: Vec::new(),
            ended: VecDeque::new(),
        }
    }

    pub(super) fn options(&self) -> &Arc<Options> {
        &self.options
    }

    /// The bytes that it may hold.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.options.bytes_max
    }

    /// Puts an event into its group; `starts` and `ends`: it is the first or the
    /// last one of a group.
    pub(super) fn join(&mut self, key: u128, event: Joining<'_>, starts: bool, ends: bool) {
        if let Some(&slot) = self.by_key.get(&key)
            && (starts || self.is_over(slot, event.now))
        {
            self.end(slot, End::Meant);
        }
        let slot = match self.by_key.get(&key) {
            Some(&slot) => slot,
            None => self.begin(key, &event),
        };
        let Some(group) = &mut self.slots[slot] else {
            return;
        };
        let before = group.bytes;
        group.take_in(event, &self.options);
        let (added, full) = (group.bytes - before, group.bytes > GROUP_BYTES_MAX);
        if group.rows.len() == 1 {
            self.touched.push(slot);
        }
        let many = self
            .options
            .events_max
            .is_some_and(|max| group.events >= max);
        self.bytes += added;
        if ends || full || many {
            self.end(slot, if ends { End::Meant } else { End::Cut });
        }
        self.keep_bounds();
    }

    fn begin(&mut self, key: u128, event: &Joining<'_>) -> usize {
        let slot = self.free.pop().unwrap_or(self.slots.len());
        if slot == self.slots.len() {
            self.slots.push(None);
        }
        let group = Box::new(Group::new(key, event, &self.options));
        self.bytes += group.bytes;
        self.times.insert((group.look, slot));
        self.by_key.insert(key, slot);
        self.slots[slot] = Some(group);
        slot
    }

    fn is_over(&self, slot: usize, now: Instant) -> bool {
        let group = self.slots[slot].as_ref();
        group.is_some_and(|group| group.time(&self.options) <= now)
    }

    fn end(&mut self, slot: usize, end: End) {
        let Some(group) = &mut self.slots[slot] else {
            return;
        };
        group.end = Some(end);
        self.times.remove(&(group.look, slot));
        self.by_key.remove(&group.key);
        self.bytes -= group.bytes;
        self.ended.push_back(slot);
    }

    /// Ends those whose time comes first where there are too many.
    fn keep_bounds(&mut self) {
        let Options {
            keys_max,
            bytes_max,
            ..
        } = *self.options;
        while self.by_key.len() > keys_max || self.bytes > bytes_max {
            let Some(&(_, slot)) = self.times.first() else {
                return;
            };
            self.end(slot, End::Cut);
        }
    }

    /// Ends those whose time is over.
    pub fn expire(&mut self, now: Instant) {
        while let Some(&(look, slot)) = self.times.first() {
            if look > now {
                return;
            }
            if self.is_over(slot, now) {
                self.end(slot, End::Meant);
            } else if let Some(group) = &mut self.slots[slot] {
                self.times.remove(&(look, slot));
                group.look = group.time(&self.options);
                self.times.insert((group.look, slot));
            }
        }
    }

    /// Ends all of them.
    pub fn end_all(&mut self) {
        while let Some(&(_, slot)) = self.times.first() {
            self.end(slot, End::Meant);
        }
    }

    /// Ends those with events of the batch at hand.
    pub fn end_touched(&mut self) {
        for at in 0..self.touched.len() {
            let slot = self.touched[at];
            if self.slots[slot]
                .as_ref()
                .is_some_and(|group| group.end.is_none())
            {
                self.end(slot, End::Meant);
            }
        }
    }

    /// When to look for those whose time is over.
    #[must_use]
    pub fn due(&self) -> Option<Instant> {
        self.times.first().map(|(look, _)| *look)
    }

    /// Adds the rows of the batch at hand that are held to `held`.
    pub fn mark(&self, held: &mut Bits) {
        let groups = self
            .touched
            .iter()
            .filter_map(|&slot| self.slots[slot].as_ref());
        let rows = groups.flat_map(|group| &group.rows);
        rows.for_each(|&row| held.insert(row as usize));
    }

    /// Has the router add to what it has noted of the groups with rows of the
    /// batch at hand, for each row.
    pub fn tag(&mut self, mut each: impl FnMut(usize, &mut Vec<u32>)) {
        for &slot in &self.touched {
            if let Some(group) = &mut self.slots[slot] {
                let Group { rows, tags, .. } = &mut **group;
                rows.iter().for_each(|&row| each(row as usize, tags));
            }
        }
    }

    /// Takes the acks of the batch at hand.
    pub fn own(&mut self, receipt: &Receipt) {
        for slot in self.touched.drain(..) {
            if let Some(group) = &mut self.slots[slot] {
                let rows = group.rows.drain(..);
                group
                    .acks
                    .extend(rows.map(|row| receipt.hold(row as usize)));
            }
        }
    }

    /// The acks of all that is held.
    pub fn acks(&self) -> impl Iterator<Item = &Ack> {
        self.slots.iter().flatten().flat_map(|group| &group.acks)
    }

    /// Has those of a stream stand together among those that are complete, where
    /// the first of them stands: in no order that differs from run to run.
    pub fn arrange(&mut self) {
        let slots = &self.slots;
        let stream = |slot: &usize| {
            slots[*slot]
                .as_ref()
                .map(|group| Arc::as_ptr(&group.stream))
        };
        let first = self.ended.front().map(stream);
        if self.ended.iter().all(|slot| Some(stream(slot)) == first) {
            return;
        }
        let places = self.ended.iter().map(stream).zip(0usize..);
        let mut firsts: Vec<_> = places.collect();
        firsts.sort_unstable();
        firsts.dedup_by_key(|(stream, _)| *stream);
        let first = |slot: &usize| {
            let at = firsts.binary_search_by_key(&stream(slot), |(stream, _)| *stream);
            at.map(|at| firsts[at].1)
        };
        self.ended.make_contiguous().sort_by_cached_key(first);
    }

    /// Takes the next one that is complete, if `take` wants it.
    pub(super) fn next_ended(&mut self, take: impl FnOnce(&Group) -> bool) -> Option<Box<Group>> {
        let slot = *self.ended.front()?;
        if !self.slots[slot].as_deref().is_some_and(take) {
            return None;
        }
        self.ended.pop_front();
        self.free.push(slot);
        self.slots[slot].take()
    }
}

impl Group {
    fn new(key: u128, event: &Joining<'_>, options: &Options) -> Group {
        let (batch, now) = (event.batch, event.now);
        let merged = options.merges.iter().map(|_| Merged::default());
        let merged: Box<[Merged]> = merged.collect();
        let mut group = Group {
            key,
            stream: batch.stream.clone(),
            id: batch.id(event.row),
            truncated: false,
            joined: false,
            document: Document::default(),
            first: now,
            last: now,
            look: now,
            events: 0,
            end: None,
            bytes: GROUP_OVERHEAD_BYTES + size_of_val(&*merged),
            rows: Vec::new(),
            acks: Vec::new(),
            tags: Vec::new(),
            merged,
        };
        group.look = group.time(options);
        group
    }

    /// When it is over.
    fn time(&self, options: &Options) -> Instant {
        let whole = self.first + options.within;
        options
            .idle
            .map_or(whole, |idle| whole.min(self.last + idle))
    }

    fn take_in(&mut self, event: Joining<'_>, options: &Options) {
        let Joining {
            batch,
            row,
            document,
            now,
        } = event;
        let size = |group: &Group| {
            let merged: usize = group.merged.iter().map(Merged::size).sum();
            group.document.size() + merged
        };
        let before = size(self);
        for (merged, merge) in self.merged.iter_mut().zip(&options.merges) {
            if let Some(found) = document.find(&merge.name) {
                merged.add(merge.merge, merge.level, document.raw(found));
            }
        }
        if self.events == 0 {
            self.document.copy_from(document);
        } else {
            self.document.absorb(document);
        }
        // Of what is no JSON, the flag is in the object.
        let json = batch.columns().json().contains(row);
        self.truncated |= json && batch.truncated().binary_search(&(row as u32)).is_ok();
        self.joined |= batch.columns().joined();
        self.last = self.last.max(now);
        self.events += 1;
        self.rows.push(row as u32);
        self.bytes += size(self) - before + size_of::<Ack>();
    }
}
