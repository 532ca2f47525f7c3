//! The `with` lists of a plan: what each router runs before, between and
//! behind the routes.

mod held;

use std::sync::Arc;

use tokio::time::Instant;

use super::lanes::describe;
use crate::event::{Batch, Bits, Columns, Needs, Settled, Stream, Tally, Timestamp, weave};
use crate::parse::{Formats, Reader};
use crate::route::{Recycled, Routed};
use crate::sink::encode::Encoder;
use crate::telemetry::{Owner, Series, Transfer, WithTerms};
use crate::transform::{List, Tools, Workspace};

pub(super) use held::Made;

/// The compiled `with` lists of a plan; none by default.
#[derive(Default)]
pub struct Withs {
    /// By the source's place in the plan; empty if none has a list.
    pub sources: Vec<List>,
    /// By the route's place.
    pub routes: Vec<List>,
    /// By the sink's place.
    pub sinks: Vec<List>,
    /// The metrics that they keep.
    pub series: Vec<Arc<Series>>,
    /// How events are edited; there if any list is.
    pub editor: Option<Editor>,
    /// What each list says, by the places above.
    pub prints: Prints,
}

/// What is written of `with` lists, as hashes: equal ones do the same.
#[derive(Default)]
pub struct Prints {
    /// Of the sources.
    pub sources: Vec<u128>,
    /// Of the routes.
    pub routes: Vec<u128>,
    /// Of the sinks.
    pub sinks: Vec<u128>,
}

/// By place, where a list that goes on as it is was in the plan before.
#[derive(Default)]
pub(super) struct Kept {
    pub(super) sources: Vec<Option<usize>>,
    pub(super) routes: Vec<Option<usize>>,
    pub(super) sinks: Vec<Option<usize>>,
}

/// What makes events JSON and reads them again.
pub struct Editor {
    /// Of the format `json`, for the plan's needs.
    pub formats: Formats,
    /// Writes whole events as JSON.
    pub encoder: Encoder,
}

impl Editor {
    fn workspace(&self) -> Workspace {
        let editing = Editing {
            needs: self.formats.needs().clone(),
            reader: self.formats.reader(),
            encoder: self.encoder.clone(),
        };
        Workspace::new(Box::new(editing), Instant::now())
    }
}

struct Editing {
    needs: Needs,
    reader: Reader,
    encoder: Encoder,
}

impl Tools for Editing {
    fn read(&mut self, observed: Timestamp, text: &[u8], ends: &[u32], columns: &mut Columns) {
        self.reader.read(observed, text, ends, columns);
    }

    fn write(&mut self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        self.encoder.encode_row(batch, row, out);
        if out.last() == Some(&b'\n') {
            out.pop();
        }
    }

    fn write_but(&mut self, batch: &Batch, row: usize, name: &str, out: &mut Vec<u8>) -> bool {
        let written = self.encoder.encode_row_but(batch, row, name, out);
        if written && out.last() == Some(&b'\n') {
            out.pop();
        }
        written
    }

    fn describe(&mut self, stream: &Stream, columns: &mut Columns) {
        describe(&self.needs, stream, columns);
    }
}

/// The lists of one router, with what they work on.
#[derive(Default)]
pub(super) struct Lists {
    source: List,
    routes: Vec<List>,
    sinks: Vec<List>,
    work: Option<Workspace>,
    /// What the source's list has left.
    left: Bits,
    /// By listed route: what its list has left, and the batch if it was edited.
    outs: Recycled<Out>,
    /// Of one sink: the rows that come through no listed route.
    rest: Bits,
    claimed: Recycled<Bits>,
    /// Whether any list holds events.
    holds: bool,
    /// The rows of the batch at hand that are held.
    held: Bits,
}

#[derive(Default)]
struct Out {
    rows: Bits,
    batch: Option<Arc<Batch>>,
}

impl Withs {
    /// Takes over the lists of the plan before that go on as they are, with
    /// what they remember.
    pub(super) fn inherit(&mut self, before: &mut Withs, kept: &Kept) {
        inherit(&mut self.sources, &mut before.sources, &kept.sources);
        inherit(&mut self.routes, &mut before.routes, &kept.routes);
        inherit(&mut self.sinks, &mut before.sinks, &kept.sinks);
    }

    /// The lists for the router of a source.
    pub(super) fn lists(&self, source: usize) -> Lists {
        let all = |lists: &[List]| lists.iter().map(List::another).collect();
        let own = self.sources.get(source).into_iter();
        let mut each = own.chain(&self.routes).chain(&self.sinks);
        Lists {
            holds: each.any(List::holds),
            source: self
                .sources
                .get(source)
                .map(List::another)
                .unwrap_or_default(),
            routes: all(&self.routes),
            sinks: all(&self.sinks),
            work: self.editor.as_ref().map(Editor::workspace),
            ..Lists::default()
        }
    }
}

/// Tells others that a batch is kept, after its source's report.
#[derive(Debug)]
struct ThenTold {
    report: Arc<dyn Settled>,
    hooks: Vec<Arc<dyn Settled>>,
}

impl Settled for ThenTold {
    fn settled(&self, tally: Tally) {
        self.report.settled(tally);
        if tally.is_kept() {
            self.hooks.iter().for_each(|hook| hook.settled(tally));
        }
    }
}

fn inherit(lists: &mut [List], before: &mut [List], kept: &[Option<usize>]) {
    for (list, from) in lists.iter_mut().zip(kept) {
        if let Some(old) = from.and_then(|from| before.get_mut(from)) {
            *list = std::mem::take(old);
        }
    }
}

impl Lists {
    /// Who is to hear of the end of the batch at hand.
    pub(super) fn report(&mut self, report: &Arc<dyn Settled>) -> Arc<dyn Settled> {
        let hooks = self.work.as_mut().map(Workspace::take_hooks);
        match hooks {
            Some(hooks) if !hooks.is_empty() => Arc::new(ThenTold {
                report: report.clone(),
                hooks,
            }),
            _ => report.clone(),
        }
    }

    /// Forgets who is to hear of it: the batch at hand goes nowhere.
    pub(super) fn forget(&mut self) {
        if let Some(work) = &mut self.work {
            drop(work.take_hooks());
        }
    }

    /// Whether there is any.
    pub(super) fn run_any(&self) -> bool {
        self.work.is_some()
    }

    /// Runs the source's list on a batch that was just parsed. The rows that
    /// are left; `None` if there is no list.
    pub(super) fn before_routes(
        &mut self,
        batch: &mut Batch,
        transfer: &mut Transfer,
    ) -> Option<&Bits> {
        transfer.lists.clear();
        let work = self.work.as_mut().filter(|_| !self.source.is_empty())?;
        let mut terms = WithTerms::default();
        self.left.fill(batch.rows());
        let edited = self.source.run(batch, &mut self.left, work, &mut terms);
        if let Some(mut edited) = edited {
            if let Some(waiter) = batch.take_waiter() {
                edited = edited.awaited_by(waiter);
            }
            *batch = edited;
        }
        transfer.lists.push((Owner::Source, terms));
        Some(&self.left)
    }

    /// Runs the lists of routes and sinks on a routed batch. `edited` becomes,
    /// by sink, the batch that it gets in the place of `batch`; what a list
    /// took out is taken from the sinks' rows.
    pub(super) fn behind_routes(
        &mut self,
        batch: &Batch,
        routed: &mut Routed,
        transfer: &mut Transfer,
        edited: &mut Vec<Option<Arc<Batch>>>,
    ) {
        edited.clear();
        edited.resize(routed.sinks.len(), None);
        if self.work.is_none() {
            return;
        }
        self.run_routes(batch, routed, transfer);
        if !routed.claims.as_slice().is_empty() {
            for (sink, edited) in edited.iter_mut().enumerate() {
                *edited = self.join(sink, batch, routed);
            }
        }
        // What the routes' batches pin is for the sinks now.
        self.outs
            .as_mut_slice()
            .iter_mut()
            .for_each(|out| out.batch = None);
        self.run_sinks(batch, routed, transfer, edited);
    }

    fn run_routes(&mut self, batch: &Batch, routed: &Routed, transfer: &mut Transfer) {
        let Lists {
            routes, work, outs, ..
        } = self;
        outs.clear();
        let Some(work) = work else { return };
        for (at, listed) in routed.listed.as_slice().iter().enumerate() {
            let mut terms = WithTerms::default();
            let out = outs.add();
            out.rows.copy_from(&listed.rows);
            let list = &mut routes[listed.route];
            let edited = list.run(batch, &mut out.rows, work, &mut terms);
            out.batch = edited.map(Arc::new);
            if list.holds() {
                held::tag_sinks(list, at, routed);
            }
            transfer.lists.push((Owner::Route(listed.route), terms));
        }
    }

    /// Takes from a sink's rows what routes' lists took out; its batch, if it
    /// gets edited events, in the order in which they came.
    fn join(&mut self, sink: usize, batch: &Batch, routed: &mut Routed) -> Option<Arc<Batch>> {
        let Lists {
            outs,
            rest,
            claimed,
            ..
        } = self;
        rest.copy_from(&routed.sinks[sink]);
        claimed.clear();
        let mut edited = Vec::new();
        for claim in routed.claims.as_slice() {
            if claim.sink != sink {
                continue;
            }
            let out = &outs.as_slice()[claim.listed];
            routed.sinks[sink].subtract(&claim.rows);
            let rows = claimed.add();
            rows.copy_from(&claim.rows);
            rows.intersect(&out.rows);
            routed.sinks[sink].union(rows);
            if let Some(batch) = &out.batch {
                rest.subtract(&claim.rows);
                if !rows.none() {
                    edited.push((batch, claimed.as_slice().len() - 1));
                }
            }
        }
        // Of routes that only took events out, the rows are as they came.
        rest.intersect(&routed.sinks[sink]);
        let (first, others) = edited.split_first()?;
        if rest.none() && others.is_empty() {
            return Some(first.0.clone());
        }
        let rows = claimed.as_slice();
        let mut parts: Vec<_> = edited
            .iter()
            .map(|(batch, at)| (&***batch, &rows[*at]))
            .collect();
        parts.push((batch, rest));
        Some(Arc::new(weave(batch, &parts)))
    }

    fn run_sinks(
        &mut self,
        batch: &Batch,
        routed: &mut Routed,
        transfer: &mut Transfer,
        edited: &mut [Option<Arc<Batch>>],
    ) {
        let Lists { sinks, work, .. } = self;
        let Some(work) = work else { return };
        for (sink, list) in sinks.iter_mut().enumerate() {
            let rows = &mut routed.sinks[sink];
            if list.is_empty() || rows.none() {
                continue;
            }
            let mut terms = WithTerms::default();
            let batch = edited[sink].as_deref().unwrap_or(batch);
            if let Some(new) = list.run(batch, rows, work, &mut terms) {
                edited[sink] = Some(Arc::new(new));
            }
            transfer.lists.push((Owner::Sink(sink), terms));
        }
    }
}
