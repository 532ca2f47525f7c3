//! What a reload may not change while buffers are on disk.
//!
//! A [`Spool`](super::Spool) names sources, and reads their lines again, by the
//! plan that it was started with. Its sink, the sources and what is wanted of
//! events stay as they are while it runs; anything else may change.

use super::{Buffers, DiskBuffer};
use crate::pipeline::diff::Fate;
use crate::pipeline::reload::Fates;
use crate::pipeline::start::Phase;
use crate::pipeline::{Pipeline, Plan, PlannedSink, StartError};
use crate::telemetry::WhenFull;

/// A buffer on disk, and whether its sink holds up its sources.
pub(in crate::pipeline) type Stored = (DiskBuffer, WhenFull);

pub(in crate::pipeline) fn stored(sink: &PlannedSink) -> Option<Stored> {
    Some((sink.disk?, sink.quota.when_full))
}

impl Pipeline {
    /// Opens the logs of the first plan; none is added later.
    pub(in crate::pipeline) fn open_disks(&self, plan: &Plan) -> Result<Buffers, StartError> {
        if self.standing.is_first() {
            Buffers::open(plan, &self.world)
        } else {
            Ok(Buffers::default())
        }
    }

    /// Whether the plan leaves alone what buffers on disk rely on.
    pub(in crate::pipeline) fn check_spools(
        &self,
        plan: &Plan,
        fates: &Fates,
    ) -> Result<(), StartError> {
        if self.standing.is_first() {
            return Ok(());
        }
        let refuse = |what: String, sink: &str| {
            let sink = sink.to_owned();
            Err(StartError::Spooled { what, sink })
        };
        for (sink, fate) in plan.sinks.iter().zip(&fates.sinks) {
            let before = match *fate {
                Fate::Kept(at) | Fate::Replaces(at) => self.sinks[at].disk,
                Fate::Added => None,
            };
            let planned = stored(sink);
            let same = before == planned && fate.kept().is_some();
            if before.or(planned).is_some() && !same {
                let name = &sink.labels.id;
                return refuse(format!("sink {name}"), name);
            }
        }
        let mut removed = fates.removed_sinks.iter().map(|&at| &self.sinks[at]);
        if let Some(sink) = removed.find(|sink| sink.disk.is_some()) {
            return refuse(format!("sink {}", sink.name), &sink.name);
        }
        let Some(stored) = self.sinks.iter().find(|sink| sink.disk.is_some()) else {
            return Ok(());
        };
        match self.changed_source(plan, fates) {
            Some(source) => refuse(format!("source {source}"), &stored.name),
            None if self.standing.needs_differ(plan) => {
                refuse("which fields are wanted".to_owned(), &stored.name)
            }
            None => Ok(()),
        }
    }

    /// A source that is written otherwise, new, or gone.
    fn changed_source<'a>(&'a self, plan: &'a Plan, fates: &Fates) -> Option<&'a str> {
        let mut planned = plan.sources.iter().zip(&fates.sources);
        let changed = planned.find(|(source, fate)| {
            let running = fate.kept().map(|at| &self.sources[at]);
            running.is_none_or(|running| running.format_print != source.format_print)
        });
        let removed = fates.removed_sources.iter().map(|&at| &self.sources[at]);
        let removed = removed.filter(|source| source.phase != Phase::Leaving);
        let changed = changed.map(|(source, _)| source.labels.id.as_str());
        changed.or_else(|| removed.map(|source| source.name.as_str()).next())
    }
}
