//! What tflog says about itself: the ledger and every metric's name.

mod ledger;
mod metrics;
mod terms;

pub use ledger::{Demand, Entry, Ledger, Passing, Quota, Sent, SourceReport, Transfer, WhenFull};
pub use metrics::{Gauge, Gauges, Labels, render, render_gauges};
pub use terms::{Dropped, RouteTerms, SinkTerms, Snapshot, SourceTerms};
