//! `with:` lists: what is done to events between parsing and encoding.
//!
//! A [`List`] belongs to a source, a route or a sink; each of its items is one
//! verb, a [`Transform`], with an optional rule for which events it is. It runs
//! on whole batches: what takes events out works on sets of rows, what changes
//! them collects sparse [`Edits`](crate::event::Edits), of which a new batch is
//! made beside the old one. So a list never changes what another route or sink
//! gets, and costs nothing where it changes nothing.
//!
//! An event whose fields change is a JSON object from then on. A JSON line is
//! spliced: members that no verb touches stay byte for byte. A line of another
//! format is first written as the object that JSON output would have made of
//! it. Only `redact` and `truncate` change such lines in place, so that raw
//! output keeps its format.
//!
//! A verb may hold events, [`Groups`], and make others of them: batches of their
//! own, [`Ended`], which go on behind the verb. Who runs a list asks for them, and
//! hands in the acks of what is held.
//!
//! Rules, templates, the JSON reader and writer belong to other stages; who
//! builds a list puts them in through [`Rule`], [`Text`] and [`Tools`].

pub mod dedupe;
pub mod histogram;
pub mod limit;
pub mod reduce;

mod count;
mod document;
mod events;
mod flatten;
mod keep;
mod list;
mod name;
mod parse;
mod redact;
mod remove;
mod rename;
mod sample;
mod scan;
mod set;
mod truncate;

use crate::event::{Ack, Batch, Bits, Columns, Needs, Stream, Timestamp};

pub use count::Count;
pub use dedupe::Dedupe;
pub use events::Events;
pub use flatten::Flatten;
pub use histogram::Histogram;
pub use keep::Keep;
pub use limit::Limit;
pub use list::{List, Workspace};
pub use parse::Parse;
pub use redact::{Detector, Mask, Redact};
pub use reduce::{Groups, Merge, Reduce};
pub use remove::Remove;
pub use rename::Rename;
pub use sample::Sample;
pub use set::{Set, SetTo};
pub use truncate::Truncate;

/// One verb of a `with` list.
pub trait Transform: Send {
    /// Does its work on the events it is for.
    fn apply(&mut self, events: &mut Events<'_>);

    /// The events that it holds, if it is a verb that does.
    fn groups(&mut self) -> Option<&mut Groups> {
        None
    }

    /// The same verb for another thread. What it remembers across events (a
    /// rate, a count) is common to all of them.
    fn another(&self) -> Box<dyn Transform>;
}

/// Events that a verb has made of those that it held.
pub struct Ended {
    /// The events, parsed.
    pub batch: Batch,
    /// By row: the acks of the events that are in it.
    pub merged: Vec<Vec<Ack>>,
    /// By row: what [`Groups::tag`] has noted of them.
    pub tags: Vec<Vec<u32>>,
    /// Of the rows, those that a bound made complete.
    pub cut: u64,
}

/// Which events an item is for: a compiled rule.
pub trait Rule: Send {
    /// Makes `out` the rows of `among` for which it holds.
    fn select(&mut self, batch: &Batch, among: &Bits, out: &mut Bits);

    /// The same rule for another thread.
    fn another(&self) -> Box<dyn Rule>;
}

/// Text with values of the event in it: a compiled template.
pub trait Text: Send + Sync {
    /// Appends the text for a row.
    fn render(&self, batch: &Batch, row: usize, out: &mut Vec<u8>);
}

/// A format that text is read by: a compiled parser.
pub trait Fields: Send {
    /// Reads the lines of `text` and calls `each` for every one, in order, with
    /// the JSON object that it is; `None` if it has not the format.
    fn read(
        &mut self,
        observed: Timestamp,
        text: &[u8],
        ends: &[u32],
        each: &mut dyn FnMut(Option<&[u8]>),
    );

    /// Reads what follows by another format that a stream is said to have, if
    /// it is one; by its own from `None` on.
    fn choose(&mut self, _format: Option<&str>) {}

    /// The same format for another thread.
    fn another(&self) -> Box<dyn Fields>;
}

/// How events become JSON and are read again. One a thread.
pub trait Tools: Send {
    /// Resets `columns` and fills them with what the JSON lines of `text` have.
    fn read(&mut self, observed: Timestamp, text: &[u8], ends: &[u32], columns: &mut Columns);

    /// Appends a row as one JSON object, without a line end.
    fn write(&mut self, batch: &Batch, row: usize, out: &mut Vec<u8>);

    /// As [`Tools::write`] but for the field `name`, where that is simple; else
    /// false.
    fn write_but(&mut self, batch: &Batch, row: usize, name: &str, out: &mut Vec<u8>) -> bool;

    /// Puts a stream's metadata into columns that were read.
    fn describe(&mut self, stream: &Stream, columns: &mut Columns);
}

/// Why a verb was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct TransformError {
    /// What is wrong, lower case.
    pub message: String,
    /// What to write instead.
    pub help: Option<String>,
}

impl TransformError {
    fn new(message: impl Into<String>, help: impl Into<String>) -> TransformError {
        TransformError {
            message: message.into(),
            help: Some(help.into()),
        }
    }
}

/// What every verb that changes events wants to know of them: which rows are
/// JSON, and the fields of the others.
fn wants_fields(needs: &mut Needs) {
    needs.fields = true;
}

#[cfg(test)]
mod fixture;
