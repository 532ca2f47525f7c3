//! The readers of one source's streams.

use std::collections::HashMap;
use std::sync::{Arc, Weak};

use crate::event::{Batch, Columns, Needs, Stream};
use crate::parse::{Decision, Formats, Reader};

/// Streams remembered before those that have ended are forgotten.
const SWEEP_AT_MIN: usize = 64;
/// Streams that have a reader of their own to detect: each takes some 50 KiB. The
/// others have one together, for which less than 1 KiB says what each has been like
/// so far.
const ALONE_MAX: usize = 1024;

/// Parses the batches of one source. A format that is detected is detected for
/// each stream on its own; a named one is read by one reader for all.
pub(super) struct Lanes {
    formats: Arc<Formats>,
    /// Of all streams whose format is named, or of those that detect together.
    shared: Option<Reader>,
    /// Which of those it reads now.
    turned_to: Option<usize>,
    /// By the stream's address, which cannot be another's as long as the
    /// `Weak` beside it lives.
    streams: HashMap<usize, Lane>,
    alone: usize,
    sweep_at: usize,
}

struct Lane {
    stream: Weak<Stream>,
    reads: Reads,
}

/// What reads a stream.
enum Reads {
    Alone(Reader),
    Together(Box<Decision>),
}

impl Lanes {
    pub(super) fn new(formats: Arc<Formats>) -> Lanes {
        let shared = (!formats.is_detected()).then(|| formats.reader());
        Lanes {
            formats,
            shared,
            turned_to: None,
            streams: HashMap::new(),
            alone: 0,
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
        let reader = if self.formats.is_detected() {
            self.reader_of(&stream)
        } else {
            let formats = &self.formats;
            self.shared.get_or_insert_with(|| formats.reader())
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
        let own = match self.streams.get(&address).map(|lane| &lane.reads) {
            Some(Reads::Alone(reader)) => Some(reader),
            _ => self.shared.as_ref(),
        };
        own.map_or("auto", Reader::format)
    }

    fn reader_of(&mut self, stream: &Arc<Stream>) -> &mut Reader {
        if self.streams.len() >= self.sweep_at {
            self.sweep();
        }
        let formats = &self.formats;
        let address = Arc::as_ptr(stream) as usize;
        let may_be_alone = self.alone < ALONE_MAX || !formats.can_decide_anew();
        let alone = &mut self.alone;
        let lane = self.streams.entry(address).or_insert_with(|| Lane {
            stream: Arc::downgrade(stream),
            reads: if may_be_alone {
                *alone += 1;
                Reads::Alone(formats.reader())
            } else {
                Reads::Together(Box::default())
            },
        });
        if let Reads::Together(_) = lane.reads {
            return self.turn_to(address);
        }
        match self.streams.get_mut(&address).map(|lane| &mut lane.reads) {
            Some(Reads::Alone(reader)) => reader,
            _ => self.shared.get_or_insert_with(|| self.formats.reader()),
        }
    }

    /// The reader of those that detect together, with what is known of one stream.
    fn turn_to(&mut self, address: usize) -> &mut Reader {
        let formats = &self.formats;
        let reader = self.shared.get_or_insert_with(|| formats.reader());
        if self.turned_to != Some(address) {
            let before = self.turned_to.replace(address);
            // First back to where what it knows came from.
            for address in before.into_iter().chain([address]) {
                let lane = self.streams.get_mut(&address);
                if let Some(Reads::Together(decision)) = lane.map(|lane| &mut lane.reads) {
                    reader.turn_to(decision);
                }
            }
        }
        reader
    }

    fn sweep(&mut self) {
        let streams = &mut self.streams;
        streams.retain(|_, lane| lane.stream.strong_count() > 0);
        self.sweep_at = SWEEP_AT_MIN.max(streams.len() * 2);
        let is_alone = |lane: &&Lane| matches!(lane.reads, Reads::Alone(_));
        self.alone = streams.values().filter(is_alone).count();
        self.turned_to = self.turned_to.filter(|at| streams.contains_key(at));
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
    use crate::event::Timestamp;
    use crate::parse::Parser;
    use crate::parse::json::Json;

    fn lanes(format: &str) -> Lanes {
        let json = |needs: &Needs| -> Box<dyn Parser> { Box::new(Json::build(needs)) };
        let needs = Needs {
            fields: true,
            ..Needs::default()
        };
        let formats = Formats::build(format, &needs, json);
        Lanes::new(Arc::new(formats.unwrap()))
    }

    fn streams(count: usize) -> Vec<Arc<Stream>> {
        let stream = |origin| {
            let (source, meta, origin) = (0, Vec::new(), origin as u128);
            Arc::new(Stream {
                source,
                origin,
                meta,
            })
        };
        (0..count).map(stream).collect()
    }

    /// However many streams there are, so many readers detect, and what was decided of
    /// the other streams stays; headers that were read once are never forgotten.
    #[test]
    fn readers_that_detect_are_bounded() {
        let all = streams(3 * ALONE_MAX);
        let alone = |lanes: &Lanes| {
            let lanes = lanes.streams.values();
            lanes.filter(|l| matches!(l.reads, Reads::Alone(_))).count()
        };
        let mut auto = lanes("auto");
        for stream in &all {
            auto.reader_of(stream);
        }
        assert_eq!((alone(&auto), auto.streams.len()), (ALONE_MAX, all.len()));
        let last = all.last().expect("some").clone();
        drop(all);
        auto.sweep();
        assert_eq!((alone(&auto), auto.streams.len()), (0, 1));
        auto.reader_of(&last);
        auto.reader_of(&streams(1)[0]);
        assert_eq!(alone(&auto), 1);

        let all = streams(3 * ALONE_MAX);
        let mut csv = lanes("csv");
        for stream in &all {
            csv.reader_of(stream);
        }
        assert_eq!(alone(&csv), all.len());
        drop(all);
        csv.sweep();
        assert!(csv.streams.is_empty());
    }

    /// Streams that are read together are decided each on its own, by their first
    /// lines, though these come in between each other.
    #[test]
    fn streams_that_share_a_reader_keep_their_formats() {
        let all = streams(ALONE_MAX + 3);
        let mut auto = lanes("auto");
        for stream in &all[..ALONE_MAX] {
            auto.reader_of(stream);
        }
        // What a line alone would not tell: the first lines say that it is logfmt.
        let formats = [
            ("json", "{\"level\":\"info\",\"a\":1}\n", "{\"b\":2}\n"),
            ("logfmt", "level=info msg=hello a=1\n", "level=warn msg=x\n"),
            ("text", "some words\n", "other words\n"),
        ];
        let mut columns = Columns::default();
        let mut read = |stream: &Arc<Stream>, line: &str| {
            let ends = [line.len() as u32];
            let reader = auto.reader_of(stream);
            reader.read(Timestamp(0), line.as_bytes(), &ends, &mut columns);
            (reader.format(), auto.format(stream))
        };
        for turn in 0..40 {
            for (stream, (format, first, later)) in all[ALONE_MAX..].iter().zip(formats) {
                let line = if turn < 20 { first } else { later };
                assert_eq!(read(stream, line), (format, format), "{turn}");
            }
        }
        let decided =
            |stream: &Arc<Stream>| auto.streams.contains_key(&(Arc::as_ptr(stream) as usize));
        assert!(all[ALONE_MAX..].iter().all(decided));
    }
}
