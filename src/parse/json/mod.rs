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
mod pick;
mod scalar;
mod scan;
mod shape;
#[cfg(test)]
mod tests;

use std::ops::Range;

use super::Parser;
use crate::event::{Cell, Columns, Needs};
use keys::Keys;
use pick::Picks;
use scan::{Open, Scanner};
use shape::Shapes;

/// Reads lines that are JSON objects.
#[derive(Debug)]
pub struct Json {
    keys: Keys,
    picks: Picks,
    shapes: Shapes,
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
            cached: true,
        }
    }

    /// Reads a line into `found`; whether it is one valid JSON object.
    #[inline(always)]
    fn read(&mut self, text: &[u8], line: &Range<usize>) -> bool {
        self.found.fill(Cell::default());
        if !self.cached || !self.shapes.awake() {
            return self.scan(text, line);
        }
        let hit = self
            .shapes
            .walk(text, line.start, line.end, &mut self.found);
        let valid = hit || self.scan_and_learn(text, line);
        self.shapes.count(hit);
        valid
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
        if !self.read(text, &line) {
            out.reset_row(row);
            return false;
        }
        self.picks.put(&self.found, text, row, out);
        if out.wants_fields() {
            out.set_json(row);
        }
        true
    }
}
