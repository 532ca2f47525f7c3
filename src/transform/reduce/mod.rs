//! `reduce: 30s`: events that belong together become one.
//!
//! Events with the same values of some fields are a group. A group ends when
//! its time is over, when an event says that it is the last of it or the first
//! of the next, or at a bound; then it is one event in the place of all, made
//! of the fields of each. Until then its events are held: their source does not
//! hear of them, and they end as the merged event does.
//!
//! A group holds the text of its fields and an ack for each event, no batch. The
//! time is the machine's, since the events came, not what stands in them.

mod groups;
mod merge;

use std::sync::Arc;
use std::time::Duration;

use super::document::Document;
use super::name::{Name, Value, hash_all};
use super::{Ended, Events, Rule, Tools, Transform, wants_fields};
use crate::event::{Batch, Bits, Chunk, Needs, Path, Pool, Role, Timestamp};

pub use groups::Groups;
use groups::{End, Joining};
pub use merge::Merge;
use merge::Merged;

/// Groups at a time, unless `keys_max` says otherwise.
pub const KEYS_MAX_DEFAULT: usize = 10_000;
/// Bytes that they hold, unless `bytes_max` says otherwise: as much as four
/// sources' windows.
pub const BYTES_MAX_DEFAULT: usize = 16 << 20;
/// What one group may hold: as much as a line may.
const GROUP_BYTES_MAX: usize = 1 << 20;

/// Merges events by key.
pub struct Reduce {
    options: Arc<Options>,
    starts: Option<Box<dyn Rule>>,
    ends: Option<Box<dyn Rule>>,
    groups: Groups,
    starting: Bits,
    ending: Bits,
}

/// What is merged, and for how long.
pub(super) struct Options {
    by: Box<[Value]>,
    within: Duration,
    idle: Option<Duration>,
    merges: Box<[MergeOf]>,
    events_max: Option<u64>,
    keys_max: usize,
    bytes_max: usize,
}

/// How one field is merged.
struct MergeOf {
    name: Name,
    merge: Merge,
    /// Whether it is a severity.
    level: bool,
}

/// The bounds of a [`Reduce`].
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// From a group's first event to its end at the latest.
    pub within: Duration,
    /// From its last event to its end, if that is sooner.
    pub idle: Option<Duration>,
    /// Events of a group.
    pub events_max: Option<u64>,
    /// Groups at a time.
    pub keys_max: usize,
    /// Bytes of all groups.
    pub bytes_max: usize,
}

impl Reduce {
    /// The verb's name.
    pub const NAME: &'static str = "reduce";

    /// Merges the events with the same values `by`; an event without one of
    /// them goes on as it is. `merges` says how fields become one: of a level the
    /// worst stays, of others the first. An event for which `starts` holds is
    /// the first of a group, one for which `ends` does the last.
    #[must_use]
    pub fn new(
        by: &[Path],
        bounds: Bounds,
        merges: &[(Path, Merge)],
        starts: Option<Box<dyn Rule>>,
        ends: Option<Box<dyn Rule>>,
        needs: &mut Needs,
    ) -> Reduce {
        wants_fields(needs);
        let level = |path: &Path| path.role() == Some(Role::Level);
        let mut merges: Vec<_> = merges.iter().map(|(p, m)| (p.clone(), *m)).collect();
        if !merges.iter().any(|(path, _)| level(path)) {
            merges.push((Path::of("level"), Merge::Max));
        }
        let merges = merges.iter().filter(|(_, merge)| *merge != Merge::First);
        let merges = merges.map(|(path, merge)| MergeOf {
            name: Name::new(path),
            merge: *merge,
            level: level(path),
        });
        let options = Options {
            by: Value::all(by, needs),
            within: bounds.within,
            idle: bounds.idle,
            merges: merges.collect(),
            events_max: bounds.events_max,
            keys_max: bounds.keys_max,
            bytes_max: bounds.bytes_max,
        };
        Reduce::with(Arc::new(options), starts, ends)
    }

    fn with(
        options: Arc<Options>,
        starts: Option<Box<dyn Rule>>,
        ends: Option<Box<dyn Rule>>,
    ) -> Reduce {
        Reduce {
            groups: Groups::new(options.clone()),
            options,
            starts,
            ends,
            starting: Bits::default(),
            ending: Bits::default(),
        }
    }

    /// Makes events what they would become if nothing else was merged with them.
    fn apply_alone(&self, events: &mut Events<'_>) {
        let Options { by, merges, .. } = &*self.options;
        let mut single = 0;
        events.edit_objects(|document, batch, row| {
            if hash_all(by, batch, row).is_none() {
                return false;
            }
            single += 1;
            let values: Vec<_> = merges
                .iter()
                .map(|of| {
                    let mut value = Merged::default();
                    if let Some(found) = document.find(&of.name) {
                        value.add(of.merge, of.level, document.raw(found));
                    }
                    value
                })
                .collect();
            finish(document, merges, &values);
            true
        });
        events.terms.made += single;
        events.terms.merged += single;
    }
}

impl Transform for Reduce {
    fn apply(&mut self, events: &mut Events<'_>) {
        events.refresh();
        if events.memory.alone {
            self.apply_alone(events);
            return;
        }
        let Reduce {
            options,
            starts,
            ends,
            groups,
            starting,
            ending,
        } = self;
        events.select(starts, starting);
        events.select(ends, ending);
        let (by, now) = (&options.by, events.now);
        events.hold(
            |batch, row| hash_all(by, batch, row),
            |key, batch, row, document| {
                let event = Joining {
                    batch,
                    row,
                    document,
                    now,
                };
                groups.join(key, event, starting.contains(row), ending.contains(row));
            },
        );
    }

    fn groups(&mut self) -> Option<&mut Groups> {
        Some(&mut self.groups)
    }

    fn another(&self) -> Box<dyn Transform> {
        let another = |rule: &Option<Box<dyn Rule>>| rule.as_ref().map(|rule| rule.another());
        Box::new(Reduce::with(
            self.options.clone(),
            another(&self.starts),
            another(&self.ends),
        ))
    }
}

/// Gives the fields that are merged in a way of their own their values.
fn finish(document: &mut Document, merges: &[MergeOf], values: &[Merged]) {
    for (of, values) in merges.iter().zip(values) {
        let mut any = false;
        let value = document.make(|out| any = values.write(of.merge, out));
        if any {
            document.set_named(&of.name, value);
        }
    }
}

impl Groups {
    /// Takes those that are complete, as a batch of one stream, until there are
    /// none.
    pub(super) fn take(&mut self, observed: Timestamp, tools: &mut dyn Tools) -> Option<Ended> {
        let mut group = self.next_ended(|_| true)?;
        let stream = group.stream.clone();
        let mut chunk = Box::new(Chunk::default());
        let (mut ids, mut merged, mut tags) = (Vec::new(), Vec::new(), Vec::new());
        let mut cut = 0;
        loop {
            finish(&mut group.document, &self.options().merges, &group.merged);
            group.document.write(&mut chunk.text);
            chunk.text.push(b'\n');
            if group.truncated {
                chunk.truncated.push(ids.len() as u32);
            }
            chunk.joined |= group.joined;
            chunk.ends.push(chunk.text.len() as u32);
            ids.push(group.id);
            cut += u64::from(group.end == Some(End::Cut));
            merged.push(group.acks);
            tags.push(group.tags);
            let room = chunk.text.len() < Pool::CHUNK_BYTES;
            match self.next_ended(|next| room && Arc::ptr_eq(&next.stream, &stream)) {
                Some(next) => group = next,
                None => break,
            }
        }
        let mut batch = Batch::new(stream.clone(), 0, observed, chunk, Arc::default());
        batch.parse_with(|text, ends, columns| {
            tools.read(observed, text, ends, columns);
            tools.describe(&stream, columns);
        });
        Some(Ended {
            batch: batch.with_ids(ids),
            merged,
            tags,
            cut,
        })
    }
}

#[cfg(test)]
mod tests;
