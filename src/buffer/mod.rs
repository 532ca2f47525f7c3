//! Where shares wait for their sink.
//!
//! How much may wait is not decided here: the ledger reserves room before a
//! share is pushed, so a push never waits and the queue is bounded by the
//! sink's quota.

pub mod disk;

mod memory;

pub use memory::Memory;
