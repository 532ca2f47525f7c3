//! Dead letters: what a sink refused for good, as records for another sink.

use std::sync::{Arc, Mutex, PoisonError};

use super::Feed;
use crate::event::{Batch, Chunk, Needs, Pool, Stream, Verbatim};
use crate::seam::{Clock, Random};
use crate::sink::Part;
use crate::sink::encode::Encoder;

/// A way from one sink's driver to another sink's queue.
pub struct Passage<F> {
    /// The other sink's place in the plan.
    pub sink: usize,
    /// Its queue.
    pub queue: Arc<F>,
}

/// What a driver needs to write dead letters.
pub struct DeadLetters<F> {
    /// Where they go.
    pub to: Passage<F>,
    /// Writes an event as the sink would have got it.
    pub encoder: Mutex<Encoder>,
    /// What the plan wants of events: the records' own are absent.
    pub needs: Arc<Needs>,
    /// For their time.
    pub clock: Clock,
    /// For the ids of the records.
    pub random: Random,
}

/// How the events of one part were refused.
pub(super) struct Refused<'a> {
    pub(super) part: &'a Part,
    /// The reason of each event, in order.
    pub(super) reasons: &'a [String],
    pub(super) attempts: u32,
}

/// One line of JSON a dead letter: `{"id", "sink", "reason", "attempts",
/// "time", "event"}`. The event is an object where the sink would have got
/// JSON, else text, or `event_base64` where it is not UTF-8. An event that was
/// replayed and is refused again says how often so far: `"returns"`.
#[derive(serde::Serialize)]
struct Record<'a> {
    id: String,
    sink: &'a str,
    reason: &'a str,
    attempts: u32,
    time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    returns: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event: Option<Verbatim<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    event_base64: Option<String>,
}

impl<F: Feed> DeadLetters<F> {
    /// The records of a part's events.
    pub(super) fn records(&self, sink: &str, refused: &Refused<'_>) -> Batch {
        let batch = &refused.part.batch;
        let time = self.clock.now();
        let mut chunk = Box::new(Chunk::default());
        let mut reasons = refused.reasons.iter();
        let mut line = Vec::new();
        let mut encoder = self.encoder.lock().unwrap_or_else(PoisonError::into_inner);
        let is_json = encoder.is_json();
        let returns = batch.stream.meta("replay.returns");
        let returns = returns.map(|returns| returns.parse().unwrap_or(0_u32).saturating_add(1));
        refused.part.rows.for_each(batch.rows(), |row| {
            line.clear();
            encoder.encode_row(batch, row, &mut line);
            let reason = reasons.next().map_or("", String::as_str);
            #[cfg(test)]
            if crate::seam::mutant::Mutant::DeadLetterLost.is_on() && line.len() % 2 == 0 {
                return;
            }
            let line = line.strip_suffix(b"\n").unwrap_or(&line);
            let (event, event_base64) = Verbatim::of(line, is_json);
            let record = Record {
                id: batch.id(row).to_string(),
                sink,
                reason,
                attempts: refused.attempts,
                time: time.to_rfc3339(),
                returns,
                event,
                event_base64,
            };
            // Strings and raw JSON: nothing in a record can fail to be written.
            let _ = serde_json::to_writer(&mut chunk.text, &record);
            chunk.text.push(b'\n');
            chunk.ends.push(chunk.text.len() as u32);
        });
        let stream = Stream {
            source: batch.stream.source,
            origin: self.random.u128(),
            meta: Vec::new(),
        };
        let mut records = Batch::new(Arc::new(stream), 0, time, chunk, Arc::new(Pool::default()));
        records.parse_with(|_, ends, columns| {
            columns.reset(&self.needs, ends.len(), &Arc::default());
            for row in 0..ends.len() {
                columns.set_json(row);
                columns.end_row();
            }
        });
        records
    }
}
