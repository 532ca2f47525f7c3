//! The readers of one source's streams.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::event::{Batch, Columns, Needs, Stream};
use crate::parse::{Formats, Reader};

/// Streams remembered before those that have ended are forgotten.
const SWEEP_AT_MIN: usize = 64;

/// Parses the batches of one source. A format that is detected is detected for
/// each stream on its own; a named one is read by one reader for all.
pub(super) struct Lanes {
    formats: Arc<Formats>,
    shared: Option<Reader>,
    /// By the stream's address, which cannot be another's as long as the
    /// `Weak` beside it lives.
    streams: HashMap<usize, (Weak<Stream>, Reader)>,
    sweep_at: usize,
}

impl Lanes {
    pub(super) fn new(formats: Arc<Formats>) -> Lanes {
        let shared = (!formats.is_detected()).then(|| formats.reader());
        Lanes {
            formats,
            shared,
            streams: HashMap::new(),
            sweep_at: SWEEP_AT_MIN,
        }
    }

    /// Whether the plan wants anything of what lines say.
    pub(super) fn read_any(&self) -> bool {
        !self.formats.needs().is_empty()
    }

    /// Fills the batch's columns; does nothing for a plan that needs none.
    pub(super) fn parse(&mut self, batch: &mut Batch) {
        if !self.read_any() {
            return;
        }
        let stream = batch.stream.clone();
        let observed = batch.observed;
        let reader = match &mut self.shared {
            Some(reader) => reader,
            None => self.reader_of(&stream),
        };
        batch.parse_with(|text, ends, columns| reader.read(observed, text, ends, columns));
        if !stream.meta.is_empty() {
            let needs = self.formats.needs();
            batch.parse_with(|_, _, columns| describe(needs, &stream, columns));
        }
    }

    /// The format that the stream's last line had.
    pub(super) fn format(&self, stream: &Arc<Stream>) -> &'static str {
        let address = Arc::as_ptr(stream) as usize;
        let own = self.streams.get(&address).map(|(_, reader)| reader);
        self.shared.as_ref().or(own).map_or("auto", Reader::format)
    }

    fn reader_of(&mut self, stream: &Arc<Stream>) -> &mut Reader {
        if self.streams.len() >= self.sweep_at {
            self.streams
                .retain(|_, (stream, _)| stream.strong_count() > 0);
            self.sweep_at = SWEEP_AT_MIN.max(self.streams.len() * 2);
        }
        let formats = &self.formats;
        let new = || (Arc::downgrade(stream), formats.reader());
        let address = Arc::as_ptr(stream) as usize;
        &mut self.streams.entry(address).or_insert_with(new).1
    }
}

/// Puts a stream's metadata into columns that were read for `needs`.
pub(super) fn describe(needs: &Needs, stream: &Stream, columns: &mut Columns) {
    for (slot, need) in needs.columns.iter().enumerate() {
        if need.path.is_field_only() {
            continue;
        }
        if let Some(value) = stream.meta(need.path.dotted()) {
            columns.set_same(slot, value.clone());
        }
    }
}
