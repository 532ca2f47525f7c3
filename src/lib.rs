//! tflog: the log router of a twelve-factor app.
//!
//! Data flows in the order of these modules, and dependencies point one way:
//! `event`, `component`, `seam`, `telemetry` ← `frame` ← `source`, `parse`,
//! `route`, `transform`, `sink` ← `config`, `pipeline`, `admin` ← `cli` ← `main`. Stages
//! never import each other; only `pipeline` joins them.

pub mod component;
pub mod event;
pub mod seam;
pub mod telemetry;

pub mod buffer;
pub mod frame;
pub mod parse;
pub mod route;
pub mod sink;
pub mod source;
pub mod transform;

pub mod config;
pub mod pipeline;

pub mod admin;
pub mod cli;
