//! Comparisons of two fields, row by row: the rare kind of term, for which no
//! column loop is worth its code.

use super::condition::{FieldSlots, Fields};
use super::text::{exact_integer, ordered};
use crate::event::{Batch, Bits, Cell, Column, ColumnKind, Level, Timestamp, convert};

/// From here on two different whole numbers can be the same `f64`.
const EXACT_FROM: f64 = 9_007_199_254_740_992.0;

/// One side of a comparison of two fields.
enum Side<'a, T> {
    Each(&'a [T]),
    Same(T),
}

impl<T: Copy> Side<'_, T> {
    fn at(&self, row: usize) -> T {
        match self {
            Side::Each(values) => values[row],
            Side::Same(value) => *value,
        }
    }
}

/// Text of one side.
enum TextSide<'a> {
    Each(&'a [Cell]),
    Same(&'a [u8]),
}

impl TextSide<'_> {
    fn with<R>(&self, row: usize, text: &[u8], read: impl FnOnce(&[u8]) -> R) -> Option<R> {
        match self {
            TextSide::Each(cells) => {
                let cell = cells.get(row).copied().unwrap_or_default();
                cell.is_present().then(|| read(&convert::value(cell, text)))
            }
            TextSide::Same(value) => Some(read(value)),
        }
    }
}

/// Adds the rows of `wanted` for which the comparison holds to `out`.
pub(super) fn select(test: &Fields, batch: &Batch, wanted: &Bits, out: &mut Bits) {
    let holds = |ordering| ordered(test.operator, ordering);
    let mut keep = |hit: &dyn Fn(usize) -> bool| {
        for row in wanted.iter().filter(|&row| hit(row)) {
            out.insert(row);
        }
    };
    match test.slots {
        FieldSlots::Level(left, right) => {
            let (left, right) = (level_side(batch, left), level_side(batch, right));
            keep(&|row| {
                let (a, b) = (left.at(row), right.at(row));
                a != Level::ABSENT.0 && b != Level::ABSENT.0 && holds(a.cmp(&b))
            });
        }
        FieldSlots::Time(left, right) => {
            let (left, right) = (time_side(batch, left), time_side(batch, right));
            keep(&|row| {
                let (a, b) = (left.at(row), right.at(row));
                a != Timestamp::ABSENT.0 && b != Timestamp::ABSENT.0 && holds(a.cmp(&b))
            });
        }
        FieldSlots::Any { numbers, texts } => {
            let (a, b) = (number_side(batch, numbers.0), number_side(batch, numbers.1));
            let (left, right) = (text_side(batch, texts.0), text_side(batch, texts.1));
            let bytes = |row, compare: &dyn Fn(&[u8], &[u8]) -> std::cmp::Ordering| {
                let all = batch.text();
                left.with(row, all, |x| right.with(row, all, |y| compare(x, y)))
                    .flatten()
            };
            keep(&|row| {
                let (x, y) = (a.at(row), b.at(row));
                let ordering = match x.partial_cmp(&y) {
                    Some(equal) if equal.is_eq() && x.abs() >= EXACT_FROM => {
                        bytes(row, &|x, y| match (exact_integer(x), exact_integer(y)) {
                            (Some(x), Some(y)) => x.cmp(&y),
                            _ => equal,
                        })
                    }
                    Some(ordering) => Some(ordering),
                    None => bytes(row, &|x, y| x.cmp(y)),
                };
                ordering.is_some_and(holds)
            });
        }
    }
}

fn level_side(batch: &Batch, slot: usize) -> Side<'_, u8> {
    match batch.columns().column(slot) {
        Column::Level(values) => Side::Each(values),
        Column::Same(value) => {
            let cell = Cell::new(0, value.len());
            Side::Same(
                convert::level(cell, value.as_bytes())
                    .unwrap_or(Level::ABSENT)
                    .0,
            )
        }
        _ => Side::Same(Level::ABSENT.0),
    }
}

fn time_side(batch: &Batch, slot: usize) -> Side<'_, i64> {
    match batch.columns().column(slot) {
        Column::Time(values) => Side::Each(values),
        Column::Same(value) => {
            let cell = Cell::new(0, value.len());
            Side::Same(
                convert::time(cell, value.as_bytes())
                    .unwrap_or(Timestamp::ABSENT)
                    .0,
            )
        }
        _ => Side::Same(Timestamp::ABSENT.0),
    }
}

fn number_side(batch: &Batch, slot: usize) -> Side<'_, f64> {
    match batch.columns().column(slot) {
        Column::Number(values) => Side::Each(values),
        Column::Same(value) => {
            let cell = Cell::new(0, value.len());
            let number = convert::number(ColumnKind::Number, cell, value.as_bytes());
            Side::Same(number.unwrap_or(f64::NAN))
        }
        _ => Side::Same(f64::NAN),
    }
}

fn text_side(batch: &Batch, slot: usize) -> TextSide<'_> {
    match batch.columns().column(slot) {
        Column::Text(cells) => TextSide::Each(cells),
        Column::Same(value) => TextSide::Same(value.as_bytes()),
        _ => TextSide::Each(&[]),
    }
}
