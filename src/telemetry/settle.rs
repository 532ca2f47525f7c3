//! What leaves the ledger's `open` and `held`: batches that settle, and events
//! whose holder is gone.

use std::sync::Arc;

use super::ledger::Ledger;
use super::with::Owner;
use crate::event::{Settled, Tally};

impl Ledger {
    /// The `with` list of `owner`, for `source`, is gone with events that it
    /// held, of which their source sends `returned` again.
    pub fn let_go(&self, source: usize, owner: Owner, events: u64, returned: u64) {
        let mut state = self.lock();
        let terms = match owner {
            Owner::Source => &mut state.sources[source].with,
            Owner::Route(route) => &mut state.routes[route].with,
            Owner::Sink(sink) => &mut state.sinks[sink].with,
        };
        terms.let_go(events, returned);
    }
}

/// Moves a batch's events out of `open` when it settles.
#[derive(Debug)]
pub struct SourceReport {
    /// Where to count.
    pub ledger: Arc<Ledger>,
    /// The source's place in the plan.
    pub source: usize,
}

impl Settled for SourceReport {
    fn settled(&self, tally: Tally) {
        let mut state = self.ledger.lock();
        let terms = &mut state.sources[self.source];
        let Tally {
            accepted,
            dead_lettered,
            closed,
            shutdown,
            abandoned,
            returned,
            filtered,
            best_effort,
        } = tally;
        let given_up = closed + shutdown + abandoned + returned;
        terms.open -= accepted + dead_lettered + given_up + filtered + best_effort;
        terms.accepted += accepted;
        terms.dead_lettered += dead_lettered;
        terms.returned += returned;
        terms.filtered += filtered;
        terms.best_effort += best_effort;
        terms.dropped.reader_closed += closed;
        terms.dropped.shutdown += shutdown;
        terms.dropped.abandoned += abandoned;
    }
}
