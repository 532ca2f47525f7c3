//! Records to batches: parsed again, for the plan of today.

use std::collections::HashMap;
use std::sync::Arc;

use super::super::parsers::{Parsers, Readers};
use crate::buffer::disk::Stored;
use crate::event::{Batch, Bits, Chunk, Pool, Stream};
use crate::parse::Reader;

/// Streams remembered before all are forgotten: those that still have batches
/// in memory are few.
const STREAMS_MAX: usize = 1024;
/// Smaller texts get vectors of their own size: a recycled one would pin a
/// whole chunk for each.
const RECYCLE_BYTES_MIN: usize = Pool::CHUNK_BYTES / 2;

/// The place of a source that this run has not had: none that comes later gets it.
const NO_SOURCE: usize = usize::MAX;

/// Makes batches of records.
pub(super) struct Restore {
    parsers: Arc<Parsers>,
    readers: Readers,
    /// For rows that are JSON objects by an edit.
    json: Reader,
    streams: HashMap<(u128, usize), Arc<Stream>>,
    recycled: Arc<Pool>,
    fresh: Arc<Pool>,
    scratch: Chunk,
    edited: Bits,
}

impl Restore {
    pub(super) fn new(parsers: Arc<Parsers>) -> Restore {
        Restore {
            readers: Readers::new(parsers.clone()),
            json: parsers.json.reader(),
            parsers,
            streams: HashMap::new(),
            recycled: Arc::default(),
            fresh: Arc::default(),
            scratch: Chunk::default(),
            edited: Bits::default(),
        }
    }

    /// The batch of a record, with the columns that the plan needs.
    pub(super) fn batch(&mut self, stored: &Stored<'_>) -> Batch {
        let name = stored.source();
        let source = self.parsers.place(name).unwrap_or(NO_SOURCE);
        if self.streams.len() >= STREAMS_MAX {
            self.streams.clear();
        }
        let stream = self
            .streams
            .entry((stored.origin(), source))
            .or_insert_with(|| Arc::new(stored.stream(source)))
            .clone();
        let pool = if stored.text().len() < RECYCLE_BYTES_MIN {
            &self.fresh
        } else {
            &self.recycled
        };
        let mut batch = stored.batch(stream, pool);
        self.readers.parse(&mut batch);
        self.read_edited(&mut batch, stored);
        batch
    }

    /// An edited row is a JSON object whatever its source's format is.
    fn read_edited(&mut self, batch: &mut Batch, stored: &Stored<'_>) {
        if batch.columns().rows() != batch.rows() {
            return;
        }
        self.edited.clear(batch.rows());
        for row in 0..batch.rows() {
            if stored.is_json(row) && !batch.columns().json().contains(row) {
                self.edited.insert(row);
            }
        }
        if self.edited.count() > 0 {
            let Restore {
                json,
                edited,
                scratch,
                ..
            } = self;
            batch.refresh(edited, scratch, |observed, text, ends, columns| {
                json.read(observed, text, ends, columns);
            });
        }
    }
}
