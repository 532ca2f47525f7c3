//! A record: the rows of a batch that one sink must deliver, as they are kept.
//!
//! What is needed to make the batch again, and no columns: those depend on the
//! plan, which may be another after a restart.

use std::sync::Arc;

use super::Entry;
use super::format::{Fields, Writer};
use crate::event::batch::{Identity, Kept};
use crate::event::{Batch, EventId, Pool, Rows, Stream, Timestamp};

/// Bytes of a body before its parts of varying length.
const HEAD_BYTES: usize = 64;

const BY_POSITION: u8 = 0;
const BY_POSITIONS: u8 = 1;
const BY_IDS: u8 = 2;

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

impl Record<'_> {
    pub(super) fn events(&self) -> usize {
        self.rows.count(self.batch.rows())
    }

    fn is_all(&self) -> bool {
        self.events() == self.batch.rows()
    }

    /// How its ids are kept, and bytes of that for each row.
    fn kind(&self) -> (u8, usize) {
        match self.batch.identity() {
            Identity::Ids(_) => (BY_IDS, 16),
            Identity::Position if self.is_all() => (BY_POSITION, 0),
            Identity::Position | Identity::Positions => (BY_POSITIONS, 8),
        }
    }

    fn text_bytes(&self) -> usize {
        if self.is_all() {
            return self.batch.text().len();
        }
        let mut bytes = 0;
        self.rows
            .for_each(self.batch.rows(), |row| bytes += self.batch.span(row).len());
        bytes
    }

    /// Bytes of its body.
    pub(super) fn body_bytes(&self) -> usize {
        let meta = &self.batch.stream.meta;
        let meta: usize = meta.iter().map(|(n, v)| 8 + n.len() + v.len()).sum();
        let row_bytes = 4 + self.kind().1;
        // A bit each of rows cut at the limit, and of JSON objects.
        let bits = 2 * self.events().div_ceil(8);
        HEAD_BYTES + self.source.len() + meta + self.events() * row_bytes + bits + self.text_bytes()
    }

    /// Appends its body, which is `body_bytes` long.
    pub(super) fn encode(&self, body_bytes: usize, into: &mut Vec<u8>) {
        let text_bytes = self.text_bytes();
        let start = into.len();
        // The text is last and is not cleared before.
        into.reserve(body_bytes);
        into.resize(start + body_bytes - text_bytes, 0);
        let mut out = Writer(&mut into[start..], 0);
        self.encode_head(text_bytes as u32, &mut out);
        let (batch, rows) = (self.batch, self.batch.rows());
        match batch.identity() {
            Identity::Ids(ids) => self
                .rows
                .for_each(rows, |row| out.put(&ids[row].0.to_le_bytes())),
            _ if self.kind().0 == BY_POSITION => {}
            _ => self.rows.for_each(rows, |row| {
                out.put(&batch.row_position(row).to_le_bytes());
            }),
        }
        let mut end = 0;
        self.rows.for_each(rows, |row| {
            end += batch.span(row).len() as u32;
            out.put(&end.to_le_bytes());
        });
        let (cut, json) = (batch.truncated(), batch.columns().json());
        let bits = &mut out.0[out.1..];
        let (cuts, jsons) = bits.split_at_mut(self.events().div_ceil(8));
        let mut at = 0;
        self.rows.for_each(rows, |row| {
            let (byte, bit) = (at / 8, 1 << (at % 8));
            if !cut.is_empty() && cut.binary_search(&(row as u32)).is_ok() {
                cuts[byte] |= bit;
            }
            if json.contains(row) {
                jsons[byte] |= bit;
            }
            at += 1;
        });
        if self.is_all() {
            into.extend_from_slice(batch.text());
        } else {
            self.rows.for_each(rows, |row| {
                into.extend_from_slice(&batch.text()[batch.span(row)]);
            });
        }
    }

    fn encode_head(&self, text_bytes: u32, out: &mut Writer<'_>) {
        let stream = &self.batch.stream;
        let flags = u8::from(self.batch.joined());
        out.put(&stream.origin.to_le_bytes());
        out.put(&self.batch.position.to_le_bytes());
        out.put(&self.batch.observed.0.to_le_bytes());
        out.put(&(self.events() as u32).to_le_bytes());
        out.put(&text_bytes.to_le_bytes());
        out.put(&(self.source.len() as u32).to_le_bytes());
        out.put(&(stream.meta.len() as u32).to_le_bytes());
        out.put(&[self.kind().0, flags]);
        out.put(&[0; HEAD_BYTES - 50]);
        out.put(self.source.as_bytes());
        for (name, value) in &stream.meta {
            out.put(&(name.len() as u32).to_le_bytes());
            out.put(&(value.len() as u32).to_le_bytes());
            out.put(name.as_bytes());
            out.put(value.as_bytes());
        }
    }
}

/// A record that was read. It borrows the reader's buffer.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    /// Its place in the log.
    pub entry: Entry,
    origin: u128,
    position: u64,
    observed: Timestamp,
    joined: bool,
    source: &'a str,
    meta: &'a [u8],
    kind: u8,
    identity: &'a [u8],
    ends: &'a [u8],
    cut: &'a [u8],
    json: &'a [u8],
    text: &'a [u8],
}

fn part<'a>(fields: &mut Fields<'a>) -> Option<(&'a str, &'a str)> {
    let (name, value) = (fields.u32()?, fields.u32()?);
    let name = std::str::from_utf8(fields.take(name as usize)?).ok()?;
    let value = std::str::from_utf8(fields.take(value as usize)?).ok()?;
    Some((name, value))
}

impl<'a> Stored<'a> {
    /// Reads a body; `None` if it is not one.
    pub(super) fn decode(entry: Entry, body: &'a [u8]) -> Option<Stored<'a>> {
        let mut fields = Fields(body);
        let origin = u128::from_le_bytes(fields.array()?);
        let (position, observed) = (fields.u64()?, i64::from_le_bytes(fields.array()?));
        let (rows, text_bytes) = (fields.u32()? as usize, fields.u32()? as usize);
        let (source_bytes, metas) = (fields.u32()? as usize, fields.u32()?);
        let [kind, flags] = fields.array()?;
        fields.take(HEAD_BYTES - 50)?;
        let source = std::str::from_utf8(fields.take(source_bytes)?).ok()?;
        let meta = fields.0;
        for _ in 0..metas {
            part(&mut fields)?;
        }
        let meta = &meta[..meta.len() - fields.0.len()];
        let id_bytes = match kind {
            BY_POSITION => 0,
            BY_POSITIONS => 8,
            BY_IDS => 16,
            _ => return None,
        };
        let identity = fields.take(rows.checked_mul(id_bytes)?)?;
        let ends = fields.take(rows.checked_mul(4)?)?;
        let cut = fields.take(rows.div_ceil(8))?;
        let json = fields.take(rows.div_ceil(8))?;
        let text = fields.take(text_bytes)?;
        let stored = Stored {
            entry,
            origin,
            position,
            observed: Timestamp(observed),
            joined: flags & 1 == 1,
            source,
            meta,
            kind,
            identity,
            ends,
            cut,
            json,
            text,
        };
        let last = stored.ends().last().unwrap_or_default() as usize;
        let lines = stored.ends().is_sorted() && last == text.len();
        let whole = fields.0.is_empty() && rows as u64 == u64::from(entry.events);
        (lines && whole).then_some(stored)
    }

    fn ends(&self) -> impl Iterator<Item = u32> {
        let (ends, _) = self.ends.as_chunks::<4>();
        ends.iter().map(|e| u32::from_le_bytes(*e))
    }

    /// The name of the source that it came from.
    #[must_use]
    pub fn source(&self) -> &'a str {
        self.source
    }

    /// What makes ids of its stream unique.
    #[must_use]
    pub fn origin(&self) -> u128 {
        self.origin
    }

    /// When it was read from its source.
    #[must_use]
    pub fn observed(&self) -> Timestamp {
        self.observed
    }

    /// Names and values of its stream's metadata, in order.
    pub fn meta(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut fields = Fields(self.meta);
        std::iter::from_fn(move || part(&mut fields))
    }

    /// Whether a line was a JSON object by the parser of its source, or by an
    /// edit. Where the plan had no use for that, none is.
    #[must_use]
    pub fn is_json(&self, row: usize) -> bool {
        let byte = self.json.get(row / 8);
        byte.is_some_and(|byte| byte >> (row % 8) & 1 == 1)
    }

    /// All lines with their terminators.
    #[must_use]
    pub fn text(&self) -> &'a [u8] {
        self.text
    }

    /// The stream that it came from, if its source has the place `source` in
    /// the plan. Streams are worth keeping by [`Stored::origin`]: records of
    /// one connection follow each other.
    #[must_use]
    pub fn stream(&self, source: usize) -> Stream {
        Stream {
            source,
            origin: self.origin,
            meta: self.meta().map(|(n, v)| (n.into(), v.into())).collect(),
        }
    }

    /// The batch again, with all of its rows (those that were appended), the
    /// same ids and no columns: it wants to be parsed.
    #[must_use]
    pub fn batch(&self, stream: Arc<Stream>, pool: &Arc<Pool>) -> Batch {
        let mut chunk = pool.take(self.text.len());
        chunk.text.extend_from_slice(self.text);
        chunk.ends.extend(self.ends());
        if self.cut.iter().any(|&bits| bits != 0) {
            let cut = |row: &u32| self.cut[*row as usize / 8] >> (row % 8) & 1 == 1;
            chunk.truncated.extend((0..self.entry.events).filter(cut));
        }
        chunk.joined = self.joined;
        let identity = match self.kind {
            BY_POSITIONS => {
                let (positions, _) = self.identity.as_chunks::<8>();
                Kept::Positions(positions.iter().map(|p| u64::from_le_bytes(*p)).collect())
            }
            BY_IDS => {
                let (ids, _) = self.identity.as_chunks::<16>();
                let ids = ids.iter().map(|id| EventId(u128::from_le_bytes(*id)));
                Kept::Ids(ids.collect())
            }
            _ => Kept::Position,
        };
        let pool = pool.clone();
        Batch::restored(stream, self.position, identity, self.observed, chunk, pool)
    }
}
