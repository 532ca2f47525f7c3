//! Conditions over batches, column by column, into sets of rows.
//!
//! `and` looks only at rows that are still true, `or` only at rows that are
//! not yet. Typed columns are compared 64 rows at a time without branches, in
//! a form that the compiler turns into vector instructions. In steady state
//! nothing is allocated; only text with escapes is copied, to undo them.

use memchr::memmem::Finder;

use super::Condition;
use super::condition::Node;
use super::fields;
use super::ranges::{Ranges, Scale};
use super::text::TextTest;
use super::verdict::Typed;
use crate::event::{Batch, Bits, Cell, Column, ColumnKind, convert};

/// Up to so many ranges are compared one after the other for all rows; more
/// are searched row by row.
const LINEAR_RANGES_MAX: usize = 8;

/// Below one wanted row in so many, a text is looked for line by line, not in
/// the batch as a whole.
const SPARSE: usize = 8;

/// Sets of rows for intermediate results, recycled.
#[derive(Debug, Default)]
pub struct Scratch {
    free: Vec<Bits>,
}

impl Scratch {
    fn take(&mut self) -> Bits {
        self.free.pop().unwrap_or_default()
    }

    fn give(&mut self, bits: Bits) {
        self.free.push(bits);
    }
}

impl Condition {
    /// Makes `out` the rows of `candidates` for which the condition holds.
    /// `candidates` is over the batch's rows.
    pub fn evaluate(
        &self,
        batch: &Batch,
        candidates: &Bits,
        scratch: &mut Scratch,
        out: &mut Bits,
    ) {
        debug_assert_eq!(candidates.len(), batch.rows());
        evaluate(&self.root, batch, candidates, scratch, out);
    }
}

fn evaluate(node: &Node, batch: &Batch, wanted: &Bits, scratch: &mut Scratch, out: &mut Bits) {
    match node {
        Node::And(all) => {
            let mut next = scratch.take();
            out.copy_from(wanted);
            for part in all {
                if out.none() {
                    break;
                }
                evaluate(part, batch, out, scratch, &mut next);
                std::mem::swap(out, &mut next);
            }
            scratch.give(next);
        }
        Node::Or(all) => {
            let mut found = scratch.take();
            let mut open = scratch.take();
            out.clear(wanted.len());
            open.copy_from(wanted);
            for part in all {
                if open.none() {
                    break;
                }
                evaluate(part, batch, &open, scratch, &mut found);
                out.union(&found);
                open.subtract(&found);
            }
            scratch.give(found);
            scratch.give(open);
        }
        Node::Not(inner) => {
            let mut found = scratch.take();
            evaluate(inner, batch, wanted, scratch, &mut found);
            out.copy_from(wanted);
            out.subtract(&found);
            scratch.give(found);
        }
        Node::Line(finder) => {
            out.clear(wanted.len());
            lines(finder, batch, wanted, out);
        }
        leaf => {
            out.clear(wanted.len());
            // Without a parser's columns every field is missing.
            if batch.columns().rows() == batch.rows() {
                column(leaf, batch, wanted, out);
            }
        }
    }
}

/// A test of one column, or of two.
fn column(node: &Node, batch: &Batch, wanted: &Bits, out: &mut Bits) {
    let slot = match node {
        Node::Level(slot, _)
        | Node::Number(slot, ..)
        | Node::Time(slot, _)
        | Node::Text(slot, _) => *slot,
        Node::Fields(test) => return fields::select(test, batch, wanted, out),
        // The caller's.
        Node::And(_) | Node::Or(_) | Node::Not(_) | Node::Line(_) => return,
    };
    match (node, batch.columns().column(slot)) {
        (Node::Level(_, ranges), Column::Level(values)) => within(ranges, values, wanted, out),
        (Node::Number(_, _, ranges), Column::Number(values)) => within(ranges, values, wanted, out),
        (Node::Time(_, ranges), Column::Time(values)) => within(ranges, values, wanted, out),
        (Node::Text(_, test), Column::Text(cells)) => {
            test.select(cells, batch.text(), wanted, out);
        }
        (node, Column::Same(value)) if same(node, value.as_bytes()) => {
            out.copy_from(wanted);
        }
        // One value for all rows that does not hold.
        _ => {}
    }
}

/// What a value that all rows have is for a term that reads it as `kind`.
pub(super) fn typed(kind: ColumnKind, value: &[u8]) -> Option<Typed> {
    let cell = Cell::new(0, value.len());
    match kind {
        ColumnKind::Level => convert::level(cell, value).map(Typed::Level),
        ColumnKind::Number | ColumnKind::Duration | ColumnKind::Size => {
            convert::number(kind, cell, value).map(Typed::Number)
        }
        ColumnKind::Time => convert::time(cell, value).map(Typed::Time),
        ColumnKind::Text => Some(Typed::Text),
    }
}

/// The test of a value that all rows have.
fn same(node: &Node, value: &[u8]) -> bool {
    let cell = Cell::new(0, value.len());
    match node {
        Node::Level(_, ranges) => {
            convert::level(cell, value).is_some_and(|level| ranges.contains(level.0))
        }
        Node::Number(_, kind, ranges) => {
            convert::number(*kind, cell, value).is_some_and(|number| ranges.contains(number))
        }
        Node::Time(_, ranges) => {
            convert::time(cell, value).is_some_and(|time| ranges.contains(time.0))
        }
        Node::Text(_, test) => TextTest::holds(test, value),
        _ => false,
    }
}

fn within<T: Scale>(ranges: &Ranges<T>, values: &[T], wanted: &Bits, out: &mut Bits) {
    let all = ranges.as_slice();
    if all.len() > LINEAR_RANGES_MAX {
        return matching(
            values,
            |_| true,
            |row| ranges.contains(values[row]),
            wanted,
            out,
        );
    }
    for &(low, high) in all {
        // Not `&&`: both sides are cheap, and a branch would stop vectorising.
        #[allow(clippy::needless_bitwise_bool)]
        test(values, |v| (low <= v) & (v <= high), wanted, out);
    }
}

/// Adds the rows of `wanted` whose value passes to `out`.
fn test<T: Copy>(values: &[T], passes: impl Fn(T) -> bool, wanted: &Bits, out: &mut Bits) {
    let (chunks, tail) = values.as_chunks::<64>();
    let mut words = out.words_mut().iter_mut().zip(wanted.words());
    for (chunk, (word, wanted)) in chunks.iter().zip(&mut words) {
        if *wanted != 0 {
            *word |= pack(chunk, &passes) & wanted;
        }
    }
    // `zip` above asked for a word only while there were chunks.
    if let Some((word, wanted)) = words.next() {
        for (bit, &value) in tail.iter().enumerate() {
            *word |= u64::from(passes(value)) << bit & wanted;
        }
    }
}

/// One bit a value. Bytes first, then eight of them to eight bits by a
/// multiplication: variable shifts would keep the loop from being vectorised.
fn pack<T: Copy>(values: &[T; 64], passes: impl Fn(T) -> bool) -> u64 {
    /// Moves the lowest bit of byte i to bit 56 + i.
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let mut hits = [0u8; 64];
    for (hit, &value) in hits.iter_mut().zip(values) {
        *hit = u8::from(passes(value));
    }
    let eights = hits.as_chunks::<8>().0.iter().enumerate();
    eights.fold(0, |word, (i, eight)| {
        let bits = u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56;
        word | bits << (8 * i)
    })
}

/// Adds the rows of `wanted` to `out` whose value fits, tested for all rows
/// without branches, and for which `check` holds, asked only then.
pub(super) fn matching<T: Copy>(
    values: &[T],
    fits: impl Fn(T) -> bool,
    check: impl Fn(usize) -> bool,
    wanted: &Bits,
    out: &mut Bits,
) {
    let words = out.words_mut().iter_mut().zip(wanted.words());
    for (i, (word, &wanted)) in words.enumerate() {
        if wanted == 0 {
            continue;
        }
        let chunk = &values[i * 64..values.len().min(i * 64 + 64)];
        let mut rest = match chunk.as_array::<64>() {
            Some(chunk) => pack(chunk, &fits) & wanted,
            None => ones(wanted)
                .filter(|&bit| fits(chunk[bit]))
                .fold(0, |w, bit| w | 1 << bit),
        };
        let mut hits = 0;
        while rest != 0 {
            let bit = rest.trailing_zeros() as usize;
            hits |= u64::from(check(i * 64 + bit)) << bit;
            rest &= rest - 1;
        }
        *word |= hits;
    }
}

fn ones(mut word: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (word != 0).then(|| word.trailing_zeros() as usize)?;
        word &= word - 1;
        Some(bit)
    })
}

/// Rows whose raw line contains the text. Where most rows are wanted the
/// batch is searched as a whole: one search, not one a row.
fn lines(finder: &Finder, batch: &Batch, wanted: &Bits, out: &mut Bits) {
    if finder.needle().is_empty() {
        out.copy_from(wanted);
        return;
    }
    if wanted.count() * SPARSE < wanted.len() {
        for row in wanted
            .iter()
            .filter(|&row| finder.find(batch.line(row)).is_some())
        {
            out.insert(row);
        }
        return;
    }
    let (text, ends) = (batch.text(), batch.ends());
    let mut from = 0;
    let mut row = 0;
    while let Some(found) = finder.find(&text[from..]) {
        let at = from + found;
        row += ends[row..].partition_point(|&end| end as usize <= at);
        if row == ends.len() {
            break;
        }
        let span = batch.span(row);
        // A hit may reach into the terminator, or beyond.
        if at + finder.needle().len() <= span.start + batch.line(row).len() {
            if wanted.contains(row) {
                out.insert(row);
            }
            from = span.end;
        } else {
            from = at + 1;
        }
    }
}
