//! The unit of work: lines that arrived together and are settled together.

use std::sync::{Arc, Mutex};

use super::{Columns, EventId, Mark, Rows, Settled, Tally, Timestamp, id};

/// Where a batch came from: one stream of one source. Metadata is constant
/// for the stream and content cannot overwrite it.
#[derive(Debug)]
pub struct Stream {
    /// The source's place in the plan.
    pub source: usize,
    /// What makes ids of this stream unique: random per run and connection, or
    /// saved with a file at first sight.
    pub origin: u128,
    /// Names and values that rules see: `stream`, `peer` …
    pub meta: Vec<(Box<str>, Arc<str>)>,
}

impl Stream {
    /// The name of a value that says in which format its lines are, where
    /// whoever writes them has said so.
    pub const FORMAT: &'static str = "tflog.format";

    /// A metadata value by its name.
    #[must_use]
    pub fn meta(&self, name: &str) -> Option<&Arc<str>> {
        self.meta.iter().find(|(n, _)| **n == *name).map(|(_, v)| v)
    }
}

/// The recycled vectors of one batch.
///
/// `text[..ends.last()]` holds whole lines, each with its terminator (only the
/// last line of a stream may lack it); what follows is the beginning of the
/// next line, still being read. `ends[i]` is one past line `i`'s terminator.
#[derive(Debug, Default)]
pub struct Chunk {
    /// The bytes as read (framings other than newline are normalised to it).
    pub text: Vec<u8>,
    /// One past each line's terminator, ascending.
    pub ends: Vec<u32>,
    /// Rows whose line was cut at the line limit, ascending.
    pub truncated: Vec<u32>,
    /// Whether `multiline` has put several lines together in some row. Framings
    /// that let newlines into a line (NUL, octet count) do not set it.
    pub joined: bool,
    /// Whether every row is known to be a line that ends in just a line feed (the
    /// last one may lack it): none in it, no carriage return at its end. Text can
    /// then leave as it is. Newline framing knows.
    pub plain: bool,
    /// Where the text stood in the input, for sources that need to know; else
    /// empty. Ascending by place, the first for the first byte.
    pub marks: Vec<Mark>,
    /// What the parser found.
    pub columns: Columns,
}

impl Chunk {
    /// Bytes of `text` that belong to whole lines.
    #[must_use]
    pub fn framed(&self) -> usize {
        self.ends.last().map_or(0, |&end| end as usize)
    }

    /// Its whole lines in vectors that hold no more than them.
    #[must_use]
    pub fn compact(&self) -> Box<Chunk> {
        Box::new(Chunk {
            text: self.text[..self.framed()].to_vec(),
            ends: self.ends.as_slice().to_vec(),
            truncated: self.truncated.as_slice().to_vec(),
            joined: self.joined,
            plain: self.plain,
            marks: self.marks.as_slice().to_vec(),
            columns: Columns::default(),
        })
    }

    /// Moves what follows the last whole line to the start of `next`.
    pub fn carry_into(&mut self, next: &mut Chunk) {
        let framed = self.framed();
        self.carry_marks(framed, next);
        next.text.extend_from_slice(&self.text[framed..]);
        self.text.truncate(framed);
    }

    fn clear(&mut self) {
        self.text.clear();
        self.ends.clear();
        self.truncated.clear();
        (self.joined, self.plain) = (false, false);
        self.marks.clear();
    }
}

/// Recycles the vectors of batches: a fresh 256 KiB buffer costs 30 times a
/// recycled one in page faults.
#[derive(Debug, Default)]
pub struct Pool {
    free: Mutex<Vec<Box<Chunk>>>,
}

impl Pool {
    /// Bytes that a chunk aims at; measured best between 128 KiB and 1 MiB.
    pub const CHUNK_BYTES: usize = 256 * 1024;
    /// Less text than this has vectors of its own: it would pin a chunk.
    pub const SMALL_BYTES_MAX: usize = 64 * 1024;
    /// A chunk grown past this (by long lines) is let go, not kept.
    const KEEP_BYTES_MAX: usize = 2 * 1024 * 1024;
    /// Chunks kept at most; more than a busy pipeline has in flight.
    const KEEP_MAX: usize = 16;

    /// An empty chunk with room for at least `bytes` bytes of text.
    #[must_use]
    pub fn take(&self, bytes: usize) -> Box<Chunk> {
        let recycled = self.free.lock().ok().and_then(|mut free| free.pop());
        let mut chunk = recycled.unwrap_or_default();
        if chunk.text.capacity() < bytes {
            // Not twice as much: what is recycled would grow from use to use.
            chunk.text = Vec::with_capacity(bytes);
        }
        chunk
    }

    /// The chunk, or its whole lines in vectors of their own if they are no more
    /// than `bytes`: while they wait at a sink they would pin all of it.
    #[must_use]
    pub fn shrink(&self, chunk: Box<Chunk>, bytes: usize) -> Box<Chunk> {
        if chunk.framed() > bytes || chunk.text.capacity() <= bytes {
            return chunk;
        }
        let small = chunk.compact();
        self.give(chunk);
        small
    }

    /// Gives a chunk back.
    pub fn give(&self, mut chunk: Box<Chunk>) {
        let grown = chunk.text.capacity() + chunk.columns.capacity_bytes();
        // A small chunk (an interactive connection's) is not worth keeping.
        if grown > Self::KEEP_BYTES_MAX || chunk.text.capacity() < Self::CHUNK_BYTES {
            return;
        }
        chunk.clear();
        if let Ok(mut free) = self.free.lock()
            && free.len() < Self::KEEP_MAX
        {
            free.push(chunk);
        }
    }
}

/// What the ids of a batch's rows are made of.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Identity<'a> {
    /// The batch's position and the places of the lines in its text.
    Position,
    /// A position for each row, [`Batch::row_position`].
    Positions,
    /// An id for each row.
    Ids(&'a [EventId]),
}

/// An [`Identity`] that was kept.
#[derive(Debug)]
pub(crate) enum Kept {
    /// As [`Identity::Position`].
    Position,
    /// As [`Identity::Positions`].
    Positions(Box<[u64]>),
    /// As [`Identity::Ids`].
    Ids(Box<[EventId]>),
}

/// Lines that arrived together; immutable once parsed. Dropping it recycles
/// its vectors.
#[derive(Debug)]
pub struct Batch {
    /// Where it came from.
    pub stream: Arc<Stream>,
    /// Position of its first byte in the stream, for ids: in the input where the
    /// chunk is marked, else in the text that framing made of it.
    pub position: u64,
    /// Of each row, where rows before it were left out by `copy_rows`.
    positions: Option<Box<[u64]>>,
    /// Of each row, where lines were edited since they were read.
    ids: Option<Box<[EventId]>>,
    /// When it was read.
    pub observed: Timestamp,
    chunk: Option<Box<Chunk>>,
    pool: Arc<Pool>,
    waiter: Option<Arc<dyn Settled>>,
}

impl Batch {
    /// A batch of the whole lines of `chunk`, whose text must end with the
    /// last of them.
    #[must_use]
    pub fn new(
        stream: Arc<Stream>,
        position: u64,
        observed: Timestamp,
        chunk: Box<Chunk>,
        pool: Arc<Pool>,
    ) -> Batch {
        debug_assert_eq!(chunk.framed(), chunk.text.len());
        Batch {
            stream,
            position,
            positions: None,
            ids: None,
            observed,
            chunk: Some(chunk),
            pool,
            waiter: None,
        }
    }

    /// The same lines as events that have these ids.
    #[must_use]
    pub fn with_ids(mut self, ids: Vec<EventId>) -> Batch {
        debug_assert_eq!(ids.len(), self.rows());
        self.ids = Some(ids.into());
        self
    }

    /// A batch of the same rows with other lines, `chunk`, and the ids that
    /// the events had when they were read.
    pub(super) fn with_lines(&self, chunk: Box<Chunk>, ids: Vec<EventId>) -> Batch {
        debug_assert_eq!(chunk.ends.len(), self.rows());
        Batch {
            stream: self.stream.clone(),
            position: self.position,
            positions: None,
            ids: Some(ids.into()),
            observed: self.observed,
            chunk: Some(chunk),
            pool: self.pool.clone(),
            waiter: None,
        }
    }

    /// What [`Batch::id`] is made of, to be kept with the lines.
    pub(crate) fn identity(&self) -> Identity<'_> {
        match (&self.ids, &self.positions) {
            (Some(ids), _) => Identity::Ids(ids),
            (None, Some(_)) => Identity::Positions,
            // Text and input may differ, but for where they begin.
            (None, None) if self.chunk().marks.len() > 1 => Identity::Positions,
            (None, None) => Identity::Position,
        }
    }

    /// A batch of lines that were kept, with the identity they had.
    pub(crate) fn restored(
        stream: Arc<Stream>,
        position: u64,
        identity: Kept,
        observed: Timestamp,
        chunk: Box<Chunk>,
        pool: Arc<Pool>,
    ) -> Batch {
        let mut batch = Batch::new(stream, position, observed, chunk, pool);
        match identity {
            Kept::Position => {}
            Kept::Positions(positions) => batch.positions = Some(positions),
            Kept::Ids(ids) => batch.ids = Some(ids),
        }
        batch
    }

    /// An empty chunk with room for `bytes` bytes of text.
    pub(super) fn blank(&self, bytes: usize) -> Box<Chunk> {
        if bytes > Pool::SMALL_BYTES_MAX {
            return self.pool.take(bytes);
        }
        // It would pin a large chunk.
        Box::new(Chunk {
            text: Vec::with_capacity(bytes),
            ..Chunk::default()
        })
    }

    /// Gives every event the id that it had when it was first read.
    #[must_use]
    pub fn identified(mut self, ids: Vec<EventId>) -> Batch {
        debug_assert_eq!(ids.len(), self.rows());
        self.ids = Some(ids.into());
        self
    }

    /// Says who waits for the batch and sends it again if it is given up.
    #[must_use]
    pub fn awaited_by(mut self, waiter: Arc<dyn Settled>) -> Batch {
        self.waiter = Some(waiter);
        self
    }

    /// Whether somebody waits for the batch.
    #[must_use]
    pub fn is_awaited(&self) -> bool {
        self.waiter.is_some()
    }

    /// Takes over the duty to tell who waits. A batch dropped with it says
    /// that all its events were given up.
    #[must_use]
    pub fn take_waiter(&mut self) -> Option<Arc<dyn Settled>> {
        self.waiter.take()
    }

    fn chunk(&self) -> &Chunk {
        // Only `drop` takes it.
        self.chunk.as_deref().expect("chunk present until drop")
    }

    /// The number of events.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.chunk().ends.len()
    }

    /// All lines with their terminators.
    #[must_use]
    pub fn text(&self) -> &[u8] {
        &self.chunk().text
    }

    /// One past each line's terminator.
    #[must_use]
    pub fn ends(&self) -> &[u32] {
        &self.chunk().ends
    }

    /// Rows cut at the line limit, ascending.
    #[must_use]
    pub fn truncated(&self) -> &[u32] {
        &self.chunk().truncated
    }

    /// What the parser found.
    #[must_use]
    pub fn columns(&self) -> &Columns {
        &self.chunk().columns
    }

    /// A row's span in [`Batch::text`], with its terminator.
    #[must_use]
    pub fn span(&self, row: usize) -> std::ops::Range<usize> {
        let ends = &self.chunk().ends;
        let start = row.checked_sub(1).map_or(0, |before| ends[before]);
        start as usize..ends[row] as usize
    }

    /// A row's line without its terminator.
    #[must_use]
    pub fn line(&self, row: usize) -> &[u8] {
        let span = self.span(row);
        &self.text()[trim_terminator(self.text(), span)]
    }

    /// The row's id, the same wherever and whenever it is asked for.
    #[must_use]
    pub fn id(&self, row: usize) -> EventId {
        if let Some(ids) = &self.ids {
            return ids[row];
        }
        let line = &self.text()[self.span(row)];
        id::event_id(self.stream.origin, self.row_position(row), line)
    }

    /// Gives a parser the text, the line ends and the columns to fill.
    /// Only before the batch is shared.
    pub fn parse_with(&mut self, parse: impl FnOnce(&[u8], &[u32], &mut Columns)) {
        let chunk = self.chunk.as_deref_mut().expect("chunk present until drop");
        chunk.columns.set_joined(chunk.joined);
        parse(&chunk.text, &chunk.ends, &mut chunk.columns);
    }

    /// The columns, to be corrected. Only before the batch is shared.
    pub(super) fn columns_mut(&mut self) -> &mut Columns {
        &mut self
            .chunk
            .as_deref_mut()
            .expect("chunk present until drop")
            .columns
    }

    /// The heap it pins, in bytes.
    #[must_use]
    pub fn pinned_bytes(&self) -> usize {
        let chunk = self.chunk();
        chunk.text.capacity() + chunk.ends.capacity() * 4 + chunk.columns.capacity_bytes()
    }

    /// A batch of only the given rows, in vectors of its own that are no
    /// larger than needed: lets go of the original where a small share would
    /// pin all of it. Ids stay the same.
    #[must_use]
    pub fn copy_rows(&self, rows: &Rows) -> Batch {
        let count = rows.count(self.rows());
        let mut bytes = 0;
        rows.for_each(self.rows(), |row| bytes += self.span(row).len());
        let mut chunk = Box::new(Chunk::default());
        chunk.text.reserve_exact(bytes);
        chunk.ends.reserve_exact(count);
        let (mut shifts, mut positions) = (Vec::with_capacity(count), Vec::with_capacity(count));
        let mut ids = self.ids.as_ref().map(|_| Vec::with_capacity(count));
        rows.for_each(self.rows(), |row| {
            let span = self.span(row);
            shifts.push((chunk.text.len() as u32).wrapping_sub(span.start as u32));
            positions.push(self.row_position(row));
            if let Some(ids) = &mut ids {
                ids.push(self.id(row));
            }
            chunk.text.extend_from_slice(&self.text()[span]);
            if self.truncated().binary_search(&(row as u32)).is_ok() {
                chunk.truncated.push(chunk.ends.len() as u32);
            }
            chunk.ends.push(chunk.text.len() as u32);
        });
        (chunk.joined, chunk.plain) = (self.chunk().joined, self.chunk().plain);
        if self.columns().rows() == self.rows() {
            chunk.columns = self.columns().copy_rows(rows, &shifts);
        }
        Batch {
            stream: self.stream.clone(),
            position: self.position,
            positions: Some(positions.into()),
            ids: ids.map(Into::into),
            observed: self.observed,
            chunk: Some(chunk),
            pool: self.pool.clone(),
            waiter: None,
        }
    }

    /// Whether lines were joined, see [`Chunk::joined`].
    pub(crate) fn joined(&self) -> bool {
        self.chunk().joined
    }

    /// See [`Chunk::plain`].
    pub(crate) fn is_plain(&self) -> bool {
        self.chunk().plain
    }

    /// Where a row was in its stream.
    pub(crate) fn row_position(&self, row: usize) -> u64 {
        match &self.positions {
            Some(positions) => positions[row],
            None if self.chunk().is_marked() => self.chunk().input_at(self.span(row).start),
            None => self.position + self.span(row).start as u64,
        }
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            waiter.settled(Tally {
                returned: self.rows() as u64,
                ..Tally::default()
            });
        }
        if let Some(chunk) = self.chunk.take() {
            self.pool.give(chunk);
        }
    }
}

/// A line's span without its `\n` or `\r\n`.
#[must_use]
pub fn trim_terminator(text: &[u8], span: std::ops::Range<usize>) -> std::ops::Range<usize> {
    let mut end = span.end;
    if end > span.start && text[end - 1] == b'\n' {
        end -= 1;
        if end > span.start && text[end - 1] == b'\r' {
            end -= 1;
        }
    }
    span.start..end
}

#[cfg(test)]
mod tests;
