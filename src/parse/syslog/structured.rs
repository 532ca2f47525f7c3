//! RFC 5424 structured data (§6.3): `[id name="value" …][id …]` or `-`.

use super::super::scan;
use crate::event::{Cell, Columns, Field, FieldKind, Needs};

/// More entries than this are no log line; bounds what one line can list.
const ENTRIES_MAX: usize = 256;

/// An element's id or a parameter of it.
#[derive(Clone, Copy, Debug)]
struct Entry {
    name: (u32, u32),
    /// `None` for an element.
    value: Option<(u32, u32, bool)>,
    /// An element's parameters.
    count: u32,
}

/// The structured data of the line being read, and the columns that want it.
#[derive(Clone, Debug)]
pub(super) struct Structured {
    /// Slots whose path could be `id.name`, with that name.
    wanted: Box<[(usize, Box<str>)]>,
    entries: Vec<Entry>,
}

impl Structured {
    pub(super) fn build(needs: &Needs) -> Structured {
        let columns = needs.columns.iter().enumerate();
        let nested = columns.filter(|(_, n)| n.path.dotted().contains('.'));
        Structured {
            wanted: nested
                .map(|(slot, n)| (slot, n.path.dotted().into()))
                .collect(),
            entries: Vec::new(),
        }
    }

    pub(super) fn clear(&mut self) {
        self.entries.clear();
    }

    /// Reads structured data at `at`; where it ends.
    pub(super) fn scan(&mut self, text: &[u8], mut at: usize, end: usize) -> Option<usize> {
        if at < end && text[at] == b'-' {
            return Some(at + 1);
        }
        let start = at;
        while at < end && text[at] == b'[' {
            at = self.element(text, at + 1, end)?;
        }
        (at > start).then_some(at)
    }

    fn element(&mut self, text: &[u8], at: usize, end: usize) -> Option<usize> {
        let mut stop = name_end(text, at, end)?;
        let index = self.entries.len();
        self.entries.push(Entry {
            name: (at as u32, stop as u32),
            value: None,
            count: 0,
        });
        loop {
            let next = scan::skip_spaces(text, stop, end);
            if next >= end {
                return None;
            }
            if text[next] == b']' {
                return Some(next + 1);
            }
            // A parameter is apart from what is before it.
            if next == stop || self.entries.len() >= ENTRIES_MAX {
                return None;
            }
            let name = name_end(text, next, end)?;
            if !text[name..end].starts_with(b"=\"") {
                return None;
            }
            let (close, escaped) = scan::quoted(text, name + 2, end)?;
            self.entries.push(Entry {
                name: (next as u32, name as u32),
                value: Some((name as u32 + 2, close as u32, escaped)),
                count: 0,
            });
            self.entries[index].count += 1;
            stop = close + 1;
        }
    }

    /// Writes what was read to columns and the field list.
    pub(super) fn emit(&self, text: &[u8], row: usize, out: &mut Columns) {
        let mut element: &[u8] = &[];
        for entry in &self.entries {
            let (start, end) = (entry.name.0 as usize, entry.name.1 as usize);
            let name = &text[start..end];
            let Some((from, to, escaped)) = entry.value else {
                element = name;
                if out.wants_fields() {
                    out.push_field(Field::new(entry.count, FieldKind::Object, start, end));
                }
                continue;
            };
            let (from, to) = (from as usize, to as usize);
            for (slot, wanted) in &self.wanted {
                let rest = wanted.as_bytes().strip_prefix(element);
                if rest.and_then(|r| r.strip_prefix(b".")) == Some(name) {
                    out.put(*slot, row, text, Cell::string(from, to, escaped));
                }
            }
            if out.wants_fields() {
                // `\]`, `\"` and `\\` are escapes (§6.3.3); `\]` is no JSON escape.
                let kind = if escaped {
                    FieldKind::HexEscaped
                } else {
                    FieldKind::Text
                };
                out.push_field(Field::new(0, FieldKind::Key, start, end));
                out.push_field(Field::new(Field::KEYED, kind, from, to));
            }
        }
    }
}

/// The end of an SD-NAME at `at`.
fn name_end(text: &[u8], at: usize, end: usize) -> Option<usize> {
    let is_end = |b: &u8| *b <= b' ' || matches!(b, b'=' | b']' | b'"');
    let len = text[at..end].iter().position(is_end)?;
    (len > 0).then_some(at + len)
}
