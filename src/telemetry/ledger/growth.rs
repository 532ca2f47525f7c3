//! The ledger of a plan that changes: further places, and copies that go back.
//!
//! A place belongs to a name for the whole run. What was counted under a name
//! that is gone stays, so that totals never go back and the equations hold.

use super::{Ledger, Quota, RouteTerms, SinkTerms, SourceTerms};

impl Ledger {
    /// A place for one more source.
    pub fn add_source(&self) -> usize {
        let sources = &mut self.lock().sources;
        sources.push(SourceTerms::default());
        sources.len() - 1
    }

    /// A place for one more route.
    pub fn add_route(&self) -> usize {
        let routes = &mut self.lock().routes;
        routes.push(RouteTerms::default());
        routes.len() - 1
    }

    /// A place for one more sink.
    pub fn add_sink(&self, quota: Quota) -> usize {
        let sinks = &mut self.lock().sinks;
        sinks.push(SinkTerms::of(quota));
        sinks.len() - 1
    }

    /// A sink is to get no more: that it has no room stops nobody from reading.
    pub fn leave(&self, sink: usize) {
        self.lock().sinks[sink].leaving = true;
    }

    /// A sink that is in the plan, with another quota; what is queued stays.
    pub fn set_quota(&self, sink: usize, quota: Quota) {
        {
            let terms = &mut self.lock().sinks[sink];
            terms.quota = quota;
            terms.leaving = false;
        }
        self.room.notify_waiters();
    }

    /// Copies went back from the sink's hands into its queue.
    pub fn unsend(&self, sink: usize, events: u64) {
        let mut state = self.lock();
        let terms = &mut state.sinks[sink];
        terms.sending -= events;
        *terms.waiting() += events;
    }
}
