//! A record: the rows of a batch that one sink must deliver, as they are kept.

use std::sync::Arc;

use super::Entry;
use crate::event::{Batch, Pool, Rows, Stream, Timestamp};

/// What is appended: rows of a batch, as their sink is to get them.
#[derive(Clone, Copy, Debug)]
pub struct Record<'a> {
    /// The lines, edited already.
    pub batch: &'a Batch,
    /// Which of them.
    pub rows: &'a Rows,
    /// The name of the source that they came from.
    pub source: &'a str,
}

/// A record that was read. It borrows the reader's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Its place in the log.
    pub entry: Entry,
    body: &'a [u8],
}

impl<'a> Stored<'a> {
    /// The name of the source that it came from.
    #[must_use]
    pub fn source(&self) -> &'a str {
        ""
    }

    /// What makes ids of its stream unique.
    #[must_use]
    pub fn origin(&self) -> u128 {
        0
    }

    /// When it was read from its source.
    #[must_use]
    pub fn observed(&self) -> Timestamp {
        Timestamp::ABSENT
    }

    /// Names and values of its stream's metadata, in order.
    pub fn meta(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        std::iter::empty()
    }

    /// All lines with their terminators.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        self.body
    }

    /// The stream that it came from, if its source has the place `source` in
    /// the plan. Streams are worth keeping by [`Stored::origin`]: records of
    /// one connection follow each other.
    #[must_use]
    pub fn stream(&self, source: usize) -> Stream {
        Stream {
            source,
            origin: self.origin(),
            meta: self.meta().map(|(n, v)| (n.into(), v.into())).collect(),
        }
    }

    /// The batch again, with all of its rows (those that were appended), the
    /// same ids and no columns: it wants to be parsed.
    #[must_use]
    pub fn batch(&self, stream: Arc<Stream>, pool: &Arc<Pool>) -> Batch {
        let chunk = pool.take(self.body.len());
        Batch::new(stream, 0, self.observed(), chunk, pool.clone())
    }
}
