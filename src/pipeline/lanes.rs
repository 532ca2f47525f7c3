//! The readers of one source's streams.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::event::{Batch, Columns, Needs, Stream};
use crate::parse::{Formats, Reader};

/// Streams remembered before those that have ended are forgotten.
const SWEEP_AT_MIN: usize = 64;
/// Readers that detect, of streams that go on: each takes some 50 KiB. Those that
/// have not been needed for longest are let go; their next lines decide anew, as
/// the first ones did.
const DETECTING_MAX: usize = 1024;

/// Parses the batches of one source. A format that is detected is detected for
/// each stream on its own; a named one is read by one reader for all.
pub(super) struct Lanes {
    formats: Arc<Formats>,
    shared: Option<Reader>,
    /// By the stream's address, which cannot be another's as long as the
    /// `Weak` beside it lives.
    streams: HashMap<usize, Lane>,
    sweep_at: usize,
    /// Batches so far.
    turn: u64,
}

struct Lane {
    stream: Weak<Stream>,
    reader: Reader,
    /// The last turn that it had.
    turn: u64,
}

impl Lanes {
    pub(super) fn new(formats: Arc<Formats>) -> Lanes {
        let shared = (!formats.is_detected()).then(|| formats.reader());
        Lanes {
            formats,
            shared,
            streams: HashMap::new(),
            sweep_at: SWEEP_AT_MIN,
            turn: 0,
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
        let own = self.streams.get(&address).map(|lane| &lane.reader);
        self.shared.as_ref().or(own).map_or("auto", Reader::format)
    }

    fn reader_of(&mut self, stream: &Arc<Stream>) -> &mut Reader {
        if self.streams.len() >= self.sweep_at {
            self.sweep();
        }
        self.turn += 1;
        let formats = &self.formats;
        let new = || Lane {
            stream: Arc::downgrade(stream),
            reader: formats.reader(),
            turn: 0,
        };
        let address = Arc::as_ptr(stream) as usize;
        let lane = self.streams.entry(address).or_insert_with(new);
        lane.turn = self.turn;
        &mut lane.reader
    }

    fn sweep(&mut self) {
        let streams = &mut self.streams;
        streams.retain(|_, lane| lane.stream.strong_count() > 0);
        self.sweep_at = SWEEP_AT_MIN.max(streams.len() * 2);
        if self.formats.can_decide_anew() {
            if streams.len() >= DETECTING_MAX {
                let mut turns: Vec<u64> = streams.values().map(|lane| lane.turn).collect();
                let (_, &mut middle, _) = turns.select_nth_unstable(DETECTING_MAX / 2);
                streams.retain(|_, lane| lane.turn > middle);
            }
            self.sweep_at = self.sweep_at.min(DETECTING_MAX);
        }
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parse::Parser;
    use crate::parse::json::Json;

    fn lanes(format: &str) -> Lanes {
        let json = |needs: &Needs| -> Box<dyn Parser> { Box::new(Json::build(needs)) };
        let formats = Formats::build(format, &Needs::default(), json);
        Lanes::new(Arc::new(formats.unwrap()))
    }

    /// However many streams there are, so many readers detect; those that are
    /// needed stay, and headers that were read once are never forgotten.
    #[test]
    fn readers_that_detect_are_bounded() {
        let streams: Vec<_> = (0..3 * DETECTING_MAX)
            .map(|origin| {
                let (source, meta) = (0, Vec::new());
                let origin = origin as u128;
                Arc::new(Stream {
                    source,
                    origin,
                    meta,
                })
            })
            .collect();
        let mut auto = lanes("auto");
        let busy = Arc::as_ptr(&streams[0]) as usize;
        for stream in &streams {
            auto.reader_of(&streams[0]);
            auto.reader_of(stream);
            assert!(auto.streams.len() <= DETECTING_MAX);
            assert!(auto.streams.contains_key(&busy));
        }
        let newest = Arc::as_ptr(&streams[streams.len() - 1]) as usize;
        assert!(auto.streams.contains_key(&newest));

        let mut csv = lanes("csv");
        for stream in &streams {
            csv.reader_of(stream);
        }
        assert_eq!(csv.streams.len(), streams.len());
        drop(streams);
        csv.sweep();
        assert!(csv.streams.is_empty());
    }
}
