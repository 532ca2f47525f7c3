//! What tflog says about itself: the ledger and every metric's name.

mod ledger;
mod metrics;
mod series;
mod terms;
mod with;

pub use ledger::{Demand, Entry, Ledger, Passing, Quota, Sent, SourceReport, Transfer, WhenFull};
pub use metrics::{Gauge, Gauges, Labels, render, render_gauges, render_listener};
pub use series::{Recorder, Series, SeriesKind, render_series};
pub use terms::{Dropped, RouteTerms, SinkTerms, Snapshot, SourceTerms};
pub use with::{Owner, Reason, WithTerms};
