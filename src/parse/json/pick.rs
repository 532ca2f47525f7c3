//! From the values found in a line to the plan's columns.
//!
//! A column is served from the first of its *candidates* that the line has.
//! A field has two, nested and flat (`{"http":{"status":1}}`, then
//! `{"http.status":1}`); a role has those of all its aliases, the strongest
//! first. For a role, objects and arrays rank behind every scalar: the service
//! of `{"service":{"name":"pay"}}` is `pay`.

use super::keys::Keys;
use crate::event::{Cell, Column, ColumnKind, Columns, Level, Need, Path};

/// The columns of one path.
#[derive(Debug)]
struct Pick {
    /// The candidates' leaves, the strongest first.
    leaves: Box<[u32]>,
    scalars_first: bool,
    /// The columns to fill, with their kinds.
    slots: Vec<(usize, ColumnKind)>,
}

/// What is wanted of every line.
#[derive(Debug)]
pub(super) struct Picks(Vec<Pick>);

/// Compiles the needs into the keys to look for and what to do with the values.
pub(super) fn compile(needs: &[Need]) -> (Keys, Picks) {
    let mut wanted: Vec<(&Path, Vec<(usize, ColumnKind)>)> = Vec::new();
    for (slot, need) in needs.iter().enumerate() {
        match wanted.iter_mut().find(|(path, _)| **path == need.path) {
            Some((_, slots)) => slots.push((slot, need.kind)),
            None => wanted.push((&need.path, vec![(slot, need.kind)])),
        }
    }
    let candidates: Vec<_> = wanted.iter().map(|(path, _)| candidates(path)).collect();
    let keys = Keys::build(candidates.iter().flatten().map(|c| &**c));
    let pick = |((path, slots), candidates): ((&Path, _), &Vec<Vec<Box<str>>>)| Pick {
        leaves: candidates.iter().map(|c| keys.leaf(c)).collect(),
        scalars_first: path.role().is_some(),
        slots,
    };
    let picks = wanted.into_iter().zip(&candidates).map(pick).collect();
    (keys, Picks(picks))
}

/// The key paths that can hold a value, the strongest first.
fn candidates(path: &Path) -> Vec<Vec<Box<str>>> {
    let both = |parts: Vec<Box<str>>, dotted: &str| {
        let flat = (parts.len() > 1).then(|| vec![Box::from(dotted)]);
        std::iter::once(parts).chain(flat)
    };
    match path.role() {
        Some(role) => role
            .aliases()
            .iter()
            .flat_map(|name| both(name.split('.').map(Box::from).collect(), name))
            .collect(),
        None => both(path.parts().to_vec(), path.dotted()).collect(),
    }
}

impl Picks {
    /// Writes the columns of one row.
    #[inline(always)]
    pub(super) fn put(&self, found: &[Cell], text: &[u8], row: usize, out: &mut Columns) {
        for pick in &self.0 {
            let cell = pick.choose(found, text);
            if !cell.is_present() {
                continue;
            }
            for &(slot, kind) in &pick.slots {
                put(slot, kind, cell, text, row, out);
            }
        }
    }
}

impl Pick {
    #[inline(always)]
    fn choose(&self, found: &[Cell], text: &[u8]) -> Cell {
        let mut second = Cell::default();
        for &leaf in &self.leaves {
            let cell = found[leaf as usize];
            if !cell.is_present() {
                continue;
            }
            if !self.scalars_first || is_scalar(cell, text) {
                return cell;
            }
            if !second.is_present() {
                second = cell;
            }
        }
        second
    }
}

fn is_scalar(cell: Cell, text: &[u8]) -> bool {
    cell.is_string() || !matches!(cell.bytes(text).first(), Some(b'{' | b'['))
}

/// Writes one value: the common ones of the hot kinds here, the rest by the
/// general conversions.
#[inline(always)]
fn put(slot: usize, kind: ColumnKind, cell: Cell, text: &[u8], row: usize, out: &mut Columns) {
    match (out.column_mut(slot), kind) {
        (Column::Text(values), _) => values[row] = cell,
        (Column::Level(values), _) if let Some(level) = usual_level(cell.bytes(text)) => {
            values[row] = level.0;
        }
        (Column::Number(values), ColumnKind::Number)
            if let Some(number) = short_number(cell.bytes(text)) =>
        {
            values[row] = number;
        }
        _ => out.put(slot, row, text, cell),
    }
}

/// The levels that nearly every line has, in any case.
#[inline(always)]
fn usual_level(name: &[u8]) -> Option<Level> {
    let word = |bytes: &[u8]| bytes.iter().rev().fold(0u64, |w, b| w << 8 | u64::from(*b));
    let lower = 0x2020_2020_2020_2020;
    // No byte but a letter becomes a letter by this bit.
    match name.len() {
        4 if word(name) | lower == word(b"info    ") => Some(Level::INFO),
        4 if word(name) | lower == word(b"warn    ") => Some(Level::WARN),
        5 if word(name) | lower == word(b"error   ") => Some(Level::ERROR),
        5 if word(name) | lower == word(b"debug   ") => Some(Level::DEBUG),
        _ => None,
    }
}

/// Digits that are few enough for a number without rounding; a status, a count.
#[inline(always)]
fn short_number(digits: &[u8]) -> Option<f64> {
    if !matches!(digits.len(), 1..=8) {
        return None;
    }
    digits
        .iter()
        .try_fold(0u32, |n, d| {
            d.is_ascii_digit().then(|| n * 10 + u32::from(d - b'0'))
        })
        .map(f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::convert;

    #[test]
    fn the_short_ways_agree_with_the_general_ones() {
        for text in [
            "info", "WARN", "Error", "debug", "inf", "", "infos", "\u{9}nfo", "30", "wArN",
        ] {
            if let Some(level) = usual_level(text.as_bytes()) {
                assert_eq!(Some(level), Level::parse(text.as_bytes()), "{text}");
            } else {
                assert!(!["info", "WARN", "Error", "debug", "wArN"].contains(&text));
            }
        }
        for text in ["0", "503", "12345678", "007", "", "-1", "1.5", "123456789"] {
            let cell = Cell::new(0, text.len());
            let general = convert::number(ColumnKind::Number, cell, text.as_bytes());
            let short = short_number(text.as_bytes());
            assert!(short.is_none() || short == general, "{text}");
        }
        assert_eq!(short_number(b"503"), Some(503.0));
    }

    #[test]
    fn a_field_is_nested_before_flat() {
        let parts = candidates(&Path::of("http.status"));
        let plain: Vec<String> = parts.iter().map(|p| p.join("|")).collect();
        assert_eq!(plain, ["http|status", "http.status"]);
        assert_eq!(candidates(&Path::of("duration")).len(), 1);
        let levels = candidates(&Path::of("level"));
        assert_eq!(&*levels[0], [Box::from("level")]);
        assert!(levels.contains(&vec!["log".into(), "level".into()]));
    }
}
