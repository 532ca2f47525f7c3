//! Edits: other lines for some rows of a batch, and the batch that they make.
//!
//! A batch is immutable, so that one sink can get an event edited and another
//! gets it whole. What has edits is a batch of its own: the same rows under the
//! same numbers, so that sets of rows and acks stay valid, with the text as it
//! is now. Its text is all there is of the events: encoders, templates, rules
//! and dead letters need not know that there were edits, and nothing that was
//! taken out can be found anywhere.
//!
//! An edited row is either one JSON object, whose columns are read again before
//! anybody looks at them ([`Batch::refresh`]), or the line that it was with
//! pieces replaced in place, whose cells and fields move along.

use std::ops::Range;

use super::batch::{Batch, Chunk};
use super::{Bits, Columns, EventId, Timestamp};

/// New lines for some rows, ascending, in one buffer. Recycled.
#[derive(Debug, Default)]
pub struct Edits {
    text: Vec<u8>,
    lines: Vec<Line>,
    pieces: Vec<Piece>,
}

/// One edited row.
#[derive(Debug)]
struct Line {
    row: u32,
    /// In `Edits::text`, of a row that is a new JSON object.
    json: Range<u32>,
    /// In `Edits::pieces`, of a row that is not.
    pieces: Range<u32>,
}

/// A piece of a line and what stands there now.
#[derive(Debug)]
struct Piece {
    /// From the line's start.
    old: Range<u32>,
    /// In `Edits::text`.
    new: Range<u32>,
}

impl Edits {
    /// Forgets all of it, keeping the memory.
    pub fn clear(&mut self) {
        self.text.clear();
        self.lines.clear();
        self.pieces.clear();
    }

    /// Whether no row is edited.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// Makes a row the JSON object that `write` appends, without a line end.
    /// If it returns false, the row stays as it is.
    pub fn json(&mut self, row: usize, write: impl FnOnce(&mut Vec<u8>) -> bool) {
        let start = self.text.len();
        if !write(&mut self.text) {
            self.text.truncate(start);
            return;
        }
        let pieces = self.pieces.len() as u32;
        self.lines.push(Line {
            row: row as u32,
            json: start as u32..self.text.len() as u32,
            pieces: pieces..pieces,
        });
    }

    /// Replaces the bytes `old` of a row's line by what `write` appends. Called
    /// row by row and from left to right.
    pub fn replace(&mut self, row: usize, old: Range<usize>, write: impl FnOnce(&mut Vec<u8>)) {
        let start = self.text.len() as u32;
        write(&mut self.text);
        let at = self.pieces.len() as u32;
        self.pieces.push(Piece {
            old: old.start as u32..old.end as u32,
            new: start..self.text.len() as u32,
        });
        match self.lines.last_mut() {
            Some(line) if line.row == row as u32 => line.pieces.end = at + 1,
            _ => self.lines.push(Line {
                row: row as u32,
                json: start..start,
                pieces: at..at + 1,
            }),
        }
    }

    /// Adds the rows that are new JSON objects to `rows`.
    pub fn mark_json(&self, rows: &mut Bits) {
        for line in self.lines.iter().filter(|l| l.pieces.is_empty()) {
            rows.insert(line.row as usize);
        }
    }

    fn bytes(&self, range: &Range<u32>) -> &[u8] {
        &self.text[range.start as usize..range.end as usize]
    }
}

impl Batch {
    /// A batch of the rows `left` with their edits; the others are empty.
    /// `stale` are the rows whose columns are not read yet.
    #[must_use]
    pub fn edited(&self, edits: &Edits, left: &Bits, stale: &Bits) -> Batch {
        let new = edits.lines.iter().filter(|line| line.pieces.is_empty());
        let gone: usize = new.map(|line| self.span(line.row as usize).len()).sum();
        // Objects get a line end each.
        let bytes = self.text().len() - gone + edits.text.len() + edits.lines.len();
        let mut copy = Copy::new(self, bytes);
        let mut lines = edits.lines.iter().peekable();
        for row in 0..self.rows() {
            let edit = lines.next_if(|line| line.row as usize == row);
            match edit {
                _ if !left.contains(row) => copy.nothing(),
                None => copy.row(self, row, !stale.contains(row)),
                Some(line) if line.pieces.is_empty() => {
                    copy.json(self, row, edits.bytes(&line.json));
                }
                Some(line) => {
                    let pieces = line.pieces.start as usize..line.pieces.end as usize;
                    copy.pieces(self, row, edits, &edits.pieces[pieces]);
                }
            }
        }
        copy.finish(self)
    }

    /// Reads the columns of the rows `stale`, whose lines are JSON objects, by
    /// `read`, which resets the columns that it is given and fills them.
    pub fn refresh(
        &mut self,
        stale: &Bits,
        scratch: &mut Chunk,
        mut read: impl FnMut(Timestamp, &[u8], &[u32], &mut Columns),
    ) {
        let observed = self.observed;
        scratch.columns.take_same(self.columns());
        if stale.count() == self.rows() {
            self.parse_with(|text, ends, columns| read(observed, text, ends, columns));
            self.columns_mut().take_same(&scratch.columns);
            return;
        }
        scratch.text.clear();
        scratch.ends.clear();
        for row in stale.iter() {
            scratch.text.extend_from_slice(&self.text()[self.span(row)]);
            scratch.ends.push(scratch.text.len() as u32);
        }
        read(observed, &scratch.text, &scratch.ends, &mut scratch.columns);
        let mut start = 0;
        for (at, row) in stale.iter().enumerate() {
            let by = (self.span(row).start as u32).wrapping_sub(start);
            start = scratch.ends[at];
            let moved = shifted(by);
            self.columns_mut()
                .copy_values(row, &scratch.columns, at, moved);
        }
    }
}

/// A batch of rows of several batches that have the same rows: each row is in
/// at most one of the sets. `base` is what the others were made of.
#[must_use]
pub fn weave(base: &Batch, parts: &[(&Batch, &Bits)]) -> Batch {
    let mut copy = Copy::new(base, base.text().len());
    for row in 0..base.rows() {
        match parts.iter().find(|(_, rows)| rows.contains(row)) {
            Some((batch, _)) => copy.row(batch, row, true),
            None => copy.nothing(),
        }
    }
    copy.finish(base)
}

/// A batch being made of the rows of others, row by row.
struct Copy {
    chunk: Box<Chunk>,
    ids: Vec<EventId>,
    /// Whether rows have been parsed at all.
    parsed: bool,
}

impl Copy {
    fn new(like: &Batch, bytes: usize) -> Copy {
        let mut chunk = like.blank(bytes);
        let parsed = like.columns().rows() == like.rows();
        let rows = if parsed { like.rows() } else { 0 };
        chunk.columns.reset_like(like.columns(), rows);
        chunk.ends.reserve(like.rows());
        Copy {
            chunk,
            ids: Vec::with_capacity(like.rows()),
            parsed,
        }
    }

    /// A row that has no event here.
    fn nothing(&mut self) {
        self.end(EventId(0));
    }

    /// A row as it is; its columns too if they are `fresh`.
    fn row(&mut self, batch: &Batch, row: usize, fresh: bool) {
        let span = batch.span(row);
        let moved = shifted((self.chunk.text.len() as u32).wrapping_sub(span.start as u32));
        self.chunk.text.extend_from_slice(&batch.text()[span]);
        self.truncated(batch, row);
        if self.parsed && fresh {
            let to = self.chunk.ends.len();
            self.chunk
                .columns
                .copy_values(to, batch.columns(), row, &moved);
            self.chunk.columns.copy_fields(batch.columns(), row, &moved);
        }
        self.end(batch.id(row));
    }

    /// A row that is a JSON object now.
    fn json(&mut self, batch: &Batch, row: usize, line: &[u8]) {
        // Of what was none before, the flag is in the object now.
        if self.parsed && batch.columns().json().contains(row) {
            self.truncated(batch, row);
        }
        self.chunk.text.extend_from_slice(line);
        self.chunk.text.push(b'\n');
        self.end(batch.id(row));
    }

    /// A row of which pieces are replaced.
    fn pieces(&mut self, batch: &Batch, row: usize, edits: &Edits, pieces: &[Piece]) {
        let span = batch.span(row);
        let start = self.chunk.text.len() as u32;
        let line = &batch.text()[span.clone()];
        let mut at = 0;
        for piece in pieces {
            self.chunk
                .text
                .extend_from_slice(&line[at..piece.old.start as usize]);
            self.chunk.text.extend_from_slice(edits.bytes(&piece.new));
            at = piece.old.end as usize;
        }
        self.chunk.text.extend_from_slice(&line[at..]);
        self.truncated(batch, row);
        if self.parsed {
            let old_start = span.start as u32;
            let moved = |range: Range<u32>| {
                let from = place(pieces, range.start.wrapping_sub(old_start), false);
                let to = place(pieces, range.end.wrapping_sub(old_start), true);
                start + from..start + to
            };
            let to = self.chunk.ends.len();
            self.chunk
                .columns
                .copy_values(to, batch.columns(), row, moved);
            self.chunk.columns.copy_fields(batch.columns(), row, moved);
        }
        self.end(batch.id(row));
    }

    fn truncated(&mut self, batch: &Batch, row: usize) {
        let row = row as u32;
        if batch.truncated().binary_search(&row).is_ok() {
            self.chunk.truncated.push(row);
        }
    }

    fn end(&mut self, id: EventId) {
        self.chunk.ends.push(self.chunk.text.len() as u32);
        self.ids.push(id);
        if self.parsed {
            self.chunk.columns.end_row();
        }
    }

    fn finish(self, like: &Batch) -> Batch {
        like.with_lines(self.chunk, self.ids)
    }
}

fn shifted(by: u32) -> impl Fn(Range<u32>) -> Range<u32> {
    move |range| range.start.wrapping_add(by)..range.end.wrapping_add(by)
}

/// Where the byte `at` of a line is after its pieces were replaced. What is
/// inside of a replaced piece goes to its start, or to its end.
fn place(pieces: &[Piece], at: u32, to_end: bool) -> u32 {
    let mut by = 0u32;
    for Piece { old, new } in pieces {
        if at >= old.end {
            by = by
                .wrapping_add(new.end - new.start)
                .wrapping_sub(old.end - old.start);
        } else if at > old.start {
            let inside = if to_end { new.end - new.start } else { 0 };
            return old.start.wrapping_add(by).wrapping_add(inside);
        } else {
            break;
        }
    }
    at.wrapping_add(by)
}

#[cfg(test)]
mod tests;
