//! The tflog binary as users run it. Each test is headed by the guarantee that
//! it holds.

// Tests may panic anywhere: that is how they fail.
#![allow(clippy::unwrap_used)]

mod evicted;
mod explain;
mod hand_over;
mod harness;
mod torture;

mod accounting;
mod addresses;
mod answer;
mod backpressure;
mod children;
mod clock;
mod descriptors;
mod disk;
#[cfg(feature = "kubernetes-api")]
mod enrich;
mod held;
mod http;
mod http_load;
mod http_source;
mod http_tls;
mod json;
mod lengths;
mod metrics;
mod multiline;
mod names;
mod outage;
mod own_log;
mod peers;
mod pipe;
mod reduce;
mod reload;
mod reload_disk;
mod reload_kept;
mod replay;
mod routing;
// A part of it is used here.
#[allow(dead_code)]
#[path = "../real/scripted.rs"]
mod scripted;
mod shutdown;
mod spool;
mod state;
mod tail;
mod tail_containers;
mod tail_torture;
mod transforms;
