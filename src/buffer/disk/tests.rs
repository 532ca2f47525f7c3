//! What a log on disk promises, under faults.

mod basics;
mod fixture;
