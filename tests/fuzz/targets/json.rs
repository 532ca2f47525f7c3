//! JSON: what is valid, and what the columns hold, is what a parsed value of
//! `serde_json` says; lines of a known shape are no exception.

use serde_json::Value;
use tflog::event::{Column, ColumnKind, Columns, Needs, Path, convert};

use super::events::{How, OBSERVED, build};

/// Roles, nested and flat fields, all with some in common.
const PATHS: [&str; 8] = [
    "level",
    "service",
    "http.status",
    "http",
    "a.b",
    "a",
    "log.level",
    "x",
];

/// Lines that may be objects.
pub(super) fn projection(data: &[u8]) {
    let mut needs = Needs {
        fields: true,
        ..Needs::default()
    };
    for path in PATHS {
        needs.slot(&Path::of(path), ColumnKind::Text);
    }
    let mut reader = build("json", &needs).unwrap().reader();
    let chunk = How::Lines.frame(data);
    // Again, when the lines' shapes are known.
    for _ in 0..2 {
        let mut columns = Columns::default();
        reader.read(OBSERVED, &chunk.text, &chunk.ends, &mut columns);
        let mut start = 0;
        for (row, &end) in chunk.ends.iter().enumerate() {
            let line = &chunk.text[start..end as usize];
            start = end as usize;
            let value = serde_json::from_slice(line).ok().filter(Value::is_object);
            let shown = String::from_utf8_lossy(line);
            assert_eq!(columns.json().contains(row), value.is_some(), "{shown}");
            assert_eq!(columns.failed().contains(row), value.is_none(), "{shown}");
            for (slot, need) in needs.columns.iter().enumerate() {
                let Column::Text(cells) = columns.column(slot) else {
                    panic!("a text column");
                };
                let cell = cells[row].is_present().then_some(cells[row]);
                let found = cell.map(|cell| convert::value(cell, &chunk.text));
                // A line that is no object is its own message, and has no other value.
                let expected = value.as_ref().and_then(|value| expected(value, &need.path));
                assert!(
                    same(found.as_deref(), expected.as_deref()),
                    "{}: {found:?} is not {expected:?} in {shown}",
                    need.path
                );
            }
        }
    }
}

/// What a parsed value says that a path's column must hold.
fn expected(value: &Value, path: &Path) -> Option<String> {
    let nested = |name: &str| {
        let mut parts = name.split('.');
        parts.try_fold(value, |value, part| value.as_object()?.get(part))
    };
    let either = |name: &str| [nested(name), value.get(name)];
    let names = match path.role() {
        Some(role) => role.aliases().to_vec(),
        None => vec![path.dotted()],
    };
    let all = names.into_iter().flat_map(either).flatten();
    let mut all: Vec<_> = all.filter(|value| !value.is_null()).collect();
    if path.role().is_some() {
        // A role is a scalar, if one of its names is.
        all.sort_by_key(|value| value.is_object() || value.is_array());
    }
    all.first().map(|value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    })
}

/// Numbers, objects and arrays are the same if they are the same value: spacing
/// and spelling are the line's own.
fn same(found: Option<&[u8]>, expected: Option<&str>) -> bool {
    let (Some(found), Some(expected)) = (found, expected) else {
        return found.is_none() && expected.is_none();
    };
    let spelled = serde_json::from_slice(found).map(|value: Value| value.to_string());
    found == expected.as_bytes() || spelled.is_ok_and(|spelled| spelled == expected)
}
