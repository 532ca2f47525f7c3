//! JSON lines: one object a line, validated whole, read once.
//!
//! Three parts see a line, the cheap one first:
//!
//! - `shape` walks it along the shapes that earlier lines had;
//! - `scan` reads whatever that does not know, and decides what is valid:
//!   RFC 8259 with UTF-8 checked, escapes that stand for text, numbers in the
//!   range of `f64`, at most 128 levels;
//! - `pick` takes from the values found what the plan's columns want.
//!
//! Values are found by *leaf*: `keys` compiles every key path that some column
//! could be served from into a tree. Which of a column's leaves wins is decided
//! after the line has proved valid, so that the order of keys never matters
//! and an invalid line leaves nothing behind.
//!
//! Semantics are those of a parsed `serde_json::Value`: the last of duplicate
//! keys counts, and replaces an object as a whole; `null` counts as absent.
//! Arrays, strings and numbers by themselves are JSON but no events.

// The hot loops are of small functions in other files that must not be calls.
#![allow(clippy::inline_always)]

mod keys;
mod lesson;
mod pick;
mod scalar;
mod scan;
mod shape;
mod stops;
#[cfg(test)]
mod tests;

use std::ops::Range;

use super::{Parser, parse_row};
use crate::event::simd::{Narrow, Scan, Widest, Width};
use crate::event::{Cell, Columns, Needs};
use keys::Keys;
use pick::Picks;
use scan::{Open, Scanner};
use shape::Shapes;
use stops::Stops;

/// Reads lines that are JSON objects.
#[derive(Debug)]
pub struct Json {
    keys: Keys,
    picks: Picks,
    shapes: Shapes,
    stops: Stops,
    widest: Widest,
    /// Whether lines are looked up in `shapes`.
    cached: bool,
    /// The line's values by leaf, and one cell that nobody reads.
    found: Vec<Cell>,
    /// Wanted objects and arrays that are open.
    open: Vec<Open>,
}

impl Json {
    /// A parser that fills the columns of `needs`.
    #[must_use]
    pub fn build(needs: &Needs) -> Json {
        let (keys, picks) = pick::compile(&needs.columns);
        Json {
            found: vec![Cell::default(); keys.leaves() + 1],
            open: Vec::with_capacity(keys.depth()),
            keys,
            picks,
            shapes: Shapes::default(),
            stops: Stops::default(),
            widest: Widest::get(),
            cached: true,
        }
    }

    /// Reads a line into `found`; whether it is one valid JSON object.
    #[inline(always)]
    fn read<W: Width>(&mut self, width: W, text: &[u8], line: &Range<usize>) -> bool {
        self.found.fill(Cell::default());
        if !self.cached || !self.shapes.awake() {
            return self.scan(text, line);
        }
        let (stops, found) = (&mut self.stops, &mut self.found);
        stops.cover(self.widest, text, line);
        let hit = self.shapes.walk(width, text, line, stops, found);
        let valid = hit || self.scan_and_learn(text, line);
        self.shapes.count(hit);
        valid
    }

    /// Reads a line into a row; whether it could.
    #[inline(always)]
    fn put<W: Width>(
        &mut self,
        width: W,
        text: &[u8],
        line: &Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        if !may_be_object(&text[line.clone()]) || !self.read(width, text, line) {
            out.reset_row(row);
            return false;
        }
        self.picks.put(&self.found, text, row, out);
        if out.wants_fields() {
            out.set_json(row);
        }
        true
    }

    #[inline(never)]
    fn scan(&mut self, text: &[u8], line: &Range<usize>) -> bool {
        let (keys, found, open) = (&mut self.keys, &mut self.found, &mut self.open);
        Scanner::run(text, line, keys, found, open, ())
    }

    #[inline(never)]
    fn scan_and_learn(&mut self, text: &[u8], line: &Range<usize>) -> bool {
        self.found.fill(Cell::default());
        let Some(lesson) = self.shapes.lesson(line.start) else {
            return self.scan(text, line);
        };
        let (keys, found, open) = (&mut self.keys, &mut self.found, &mut self.open);
        let valid = Scanner::run(text, line, keys, found, open, lesson);
        if valid {
            self.shapes.learn(text, line.end, self.keys.no_leaf());
        }
        valid
    }
}

/// Whether a line begins as an object does. Other lines must not disturb what is
/// learned of shapes.
#[inline]
pub(super) fn may_be_object(line: &[u8]) -> bool {
    line.iter().find(|b| !b.is_ascii_whitespace()) == Some(&b'{')
}

impl Parser for Json {
    fn name(&self) -> &'static str {
        "json"
    }

    fn parse_line(
        &mut self,
        text: &[u8],
        line: Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        self.stops.reset();
        self.put(Narrow, text, &line, row, out)
    }

    fn parse_rows(
        &mut self,
        text: &[u8],
        ends: &[u32],
        rows: Range<usize>,
        out: &mut Columns,
        fallback: &mut dyn Parser,
    ) -> usize {
        self.stops.reset();
        self.widest.run(ReadRows {
            json: self,
            text,
            ends,
            rows,
            out,
            fallback,
        })
    }
}

/// Reads rows, as [`Parser::parse_rows`] does.
struct ReadRows<'a> {
    json: &'a mut Json,
    text: &'a [u8],
    ends: &'a [u32],
    rows: Range<usize>,
    out: &'a mut Columns,
    fallback: &'a mut dyn Parser,
}

impl Scan for ReadRows<'_> {
    type Output = usize;

    #[inline(always)]
    fn with<W: Width>(self, width: W) -> usize {
        let (text, json) = (self.text, self.json);
        for row in self.rows.clone() {
            let read =
                |line: Range<usize>, out: &mut Columns| json.put(width, text, &line, row, out);
            if !parse_row(text, self.ends, row, self.out, self.fallback, read) {
                return row;
            }
        }
        self.rows.end
    }
}
