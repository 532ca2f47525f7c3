//! tflog against real servers and scripted ones. `tests/README.md` tells which
//! fault is tested where.

// Without Kafka, nobody needs its tests' part of what they share.
#![cfg_attr(not(feature = "kafka"), allow(dead_code))]
// Tests may panic anywhere: that is how they fail.
#![allow(clippy::unwrap_used)]

mod far;
// Each of the two targets uses its part.
#[allow(dead_code)]
#[path = "../it/harness.rs"]
mod harness;
mod oracle;
mod scripted;
mod search;
mod servers;
mod service;
mod skip;
#[cfg(feature = "kafka")]
mod topic;

#[cfg(feature = "kafka")]
mod broker;
mod conformance;
mod congestion;
mod faults;
#[cfg(feature = "kafka")]
mod kafka;
mod machinery;
#[cfg(feature = "kafka")]
mod outage;
#[cfg(feature = "kafka-tls")]
mod secured;
mod streams;
#[cfg(feature = "kafka")]
mod whole;
