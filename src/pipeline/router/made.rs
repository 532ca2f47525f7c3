//! What a router does with events that its lists have made of others.

use std::sync::Arc;

use tokio::time::Instant;

use super::super::with::Made;
use super::{Router, Scratch};
use crate::event::{Ack, Settled, Tally};
use crate::telemetry::{Ledger, Owner, WithTerms};
use crate::transform::Ended;

/// Hears of the end of merged events: those that are in them hear of it through
/// their acks.
#[derive(Debug)]
struct Nobody;

impl Settled for Nobody {
    fn settled(&self, _tally: Tally) {}
}

pub(super) fn nobody() -> Arc<dyn Settled> {
    Arc::new(Nobody)
}

/// The acks of what was merged, until it is routed. Dropped before that (a
/// stage failed), it is no longer held and was abandoned. Its owner is by place in
/// the ledger.
struct Merged {
    acks: Vec<Vec<Ack>>,
    ledger: Arc<Ledger>,
    source: usize,
    owner: Owner,
}

impl Drop for Merged {
    fn drop(&mut self) {
        let awaited = self.acks.iter().flatten().filter(|ack| ack.is_awaited());
        let (events, awaited) = (self.acks.iter().flatten().count(), awaited.count());
        if events > 0 {
            self.ledger
                .let_go(self.source, self.owner, events as u64, awaited as u64);
        }
    }
}

impl Drop for Router {
    fn drop(&mut self) {
        let Router {
            lists,
            ledger,
            source,
            plan,
            ..
        } = self;
        if lists.holds() {
            lists.let_go(|owner, events, awaited| {
                ledger.let_go(*source, plan.places.owner(owner), events, awaited);
            });
        }
    }
}

impl Router {
    /// Routes the events that are complete; everything held is, at the end.
    pub(in crate::pipeline) async fn hand_over_made(&mut self, at_end: bool) {
        if !self.lists.holds() {
            return;
        }
        let now = Instant::now();
        self.lists.complete((!at_end).then_some(now));
        while let Some(made) = self.lists.next_made(self.clock.now()) {
            self.route_made(made, at_end).await;
        }
    }

    async fn route_made(&mut self, made: Made, at_end: bool) {
        let Made { owner, from, ended } = made;
        let Ended {
            mut batch,
            merged,
            tags,
            cut,
        } = ended;
        let merged = Merged {
            acks: merged,
            ledger: self.ledger.clone(),
            source: self.source,
            owner: self.plan.places.owner(owner),
        };
        let terms = WithTerms {
            made: batch.rows() as u64,
            cut,
            merged: merged.acks.iter().flatten().count() as u64,
            ..WithTerms::default()
        };
        let Scratch {
            routed,
            transfer,
            edited,
            ..
        } = &mut self.scratch;
        transfer.unparsed = 0;
        transfer.lists.clear();
        self.lists.set_now();
        let left = self
            .lists
            .resume((owner, from), &tags, &mut batch, terms, transfer);
        let table = &self.plan.table;
        match owner {
            Owner::Source => table.route_rows(self.place, &batch, Some(left), routed),
            Owner::Route(_) => table.send(&tags, left, routed),
            Owner::Sink(sink) => table.send_to(sink, left, routed),
        }
        if let Owner::Sink(_) = owner {
            edited.clear();
            edited.resize(routed.sinks.len(), None);
        } else {
            self.lists.behind_routes(&batch, routed, transfer, edited);
        }
        let awaited = merged.acks.iter().flatten().any(Ack::is_awaited);
        self.lists.note_held(batch.rows(), awaited || at_end);
        self.prepare(&batch);
        self.admit().await;
        self.distribute(batch, Some(merged.take()));
    }
}

impl Merged {
    fn take(mut self) -> Vec<Vec<Ack>> {
        std::mem::take(&mut self.acks)
    }
}
