//! What tflog says about itself: the ledger and every metric's name.

mod ledger;
mod metrics;
mod series;
mod settle;
mod terms;
mod with;

pub use ledger::{Demand, Entry, Ledger, Passing, Places, Quota, Sent, Transfer, WhenFull};
pub use metrics::{
    Gauge, Gauges, Labels, render, render_gauges, render_listener, render_log, render_reloads,
};
pub use series::{Recorder, Series, SeriesKind, render_series};
pub use settle::SourceReport;
pub use terms::{DiskTerms, Dropped, RouteTerms, SinkTerms, Snapshot, SourceTerms};
pub use with::{Owner, Reason, WithTerms};
