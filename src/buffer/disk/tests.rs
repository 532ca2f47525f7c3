//! What a log on disk promises, under faults.

mod basics;
mod crash;
mod damage;
mod fixture;
mod model;
mod mutants;
