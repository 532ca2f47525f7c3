//! Names in a `with` list: which fields and which columns they mean.

use std::borrow::Cow;

use crate::event::{Batch, Column, ColumnKind, Level, Needs, Path, Role, convert};

/// A name of fields: a role is the strongest of its names that an event has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(Box<[Path]>);

impl Name {
    pub(super) fn new(path: &Path) -> Name {
        let aliases = |role: Role| role.aliases().iter().map(|alias| Path::of(alias)).collect();
        Name(path.role().map_or_else(|| [path.clone()].into(), aliases))
    }

    pub(super) fn all(paths: &[Path]) -> Box<[Name]> {
        paths.iter().map(Name::new).collect()
    }

    /// The fields it can be, the strongest first.
    pub(super) fn fields(&self) -> &[Path] {
        &self.0
    }
}

/// A value read from a column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value {
    slot: usize,
}

impl Value {
    pub(super) fn new(path: &Path, needs: &mut Needs) -> Value {
        let kind = match path.role() {
            // By severity, however it is spelt.
            Some(Role::Level) => ColumnKind::Level,
            _ => ColumnKind::Text,
        };
        Value {
            slot: needs.slot(path, kind),
        }
    }

    pub(super) fn all(paths: &[Path], needs: &mut Needs) -> Box<[Value]> {
        paths.iter().map(|path| Value::new(path, needs)).collect()
    }

    /// What the row has.
    pub(super) fn of(self, batch: &Batch, row: usize) -> Option<Cow<'_, [u8]>> {
        if batch.columns().rows() != batch.rows() {
            return None;
        }
        match batch.columns().column(self.slot) {
            Column::Text(cells) => cells[row]
                .is_present()
                .then(|| convert::value(cells[row], batch.text())),
            Column::Level(levels) => (levels[row] != Level::ABSENT.0)
                .then(|| Level(levels[row]).name().as_bytes().into()),
            Column::Same(value) => Some(value.as_bytes().into()),
            _ => None,
        }
    }
}

/// A hash of several values of a row; what is missing is a value of its own.
pub(super) fn hash(values: &[Value], batch: &Batch, row: usize) -> u64 {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for value in values {
        match value.of(batch, row) {
            Some(bytes) => {
                hash.update(&(bytes.len() as u64 + 1).to_le_bytes());
                hash.update(&bytes);
            }
            None => hash.update(&[0; 8]),
        }
    }
    hash.digest()
}

/// A hash of several values of a row, by which rows are taken to be alike; none
/// if one is missing.
pub(super) fn hash_all(values: &[Value], batch: &Batch, row: usize) -> Option<u128> {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    for value in values {
        let bytes = value.of(batch, row)?;
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(&bytes);
    }
    Some(hash.digest128())
}
