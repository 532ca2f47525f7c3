//! The tflog binary as users run it. Each test is headed by the guarantee that
//! it holds.

// Tests may panic anywhere: that is how they fail.
#![allow(clippy::unwrap_used)]

mod harness;

mod accounting;
mod backpressure;
mod children;
mod http;
mod json;
mod pipe;
mod routing;
mod shutdown;
