//! Batches and loads for the tests of sinks and encoders.

use std::sync::Arc;

use super::{Load, Part};
use crate::component::Definition;
use crate::event::{
    Batch, Cell, Chunk, Columns, Defs, Field, FieldKind, Needs, Pool, Rows, Stream, Timestamp,
};

/// A definition of the sink `out`.
pub(crate) fn definition(scheme: &str, target: &str, options: serde_json::Value) -> Definition {
    Definition {
        name: "out".into(),
        scheme: scheme.to_owned(),
        tls: false,
        target: target.to_owned(),
        options: serde_json::from_value(options).unwrap(),
    }
}

/// A batch of the lines of `text`, filled by `fill`.
pub(crate) fn batch(
    text: &[u8],
    needs: &Needs,
    defs: Defs,
    fill: impl FnOnce(&[u8], &mut Columns),
) -> Batch {
    let mut chunk = Box::new(Chunk::default());
    chunk.text = text.to_vec();
    for line in text.split_inclusive(|&b| b == b'\n') {
        chunk.ends.push((chunk.framed() + line.len()) as u32);
    }
    of_chunk(chunk, needs, defs, fill)
}

/// As [`batch`] for a chunk that is framed already.
pub(crate) fn of_chunk(
    chunk: Box<Chunk>,
    needs: &Needs,
    defs: Defs,
    fill: impl FnOnce(&[u8], &mut Columns),
) -> Batch {
    let stream = Stream {
        source: 0,
        origin: 1,
        meta: Vec::new(),
    };
    let mut batch = Batch::new(
        Arc::new(stream),
        0,
        Timestamp(0),
        chunk,
        Arc::new(Pool::default()),
    );
    batch.parse_with(|text, ends, columns| {
        columns.reset(needs, ends.len(), &Arc::new(defs));
        fill(text, columns);
    });
    batch
}

/// A part of plain lines that nothing was parsed of.
pub(crate) fn lines(text: &str) -> Part {
    part(batch(
        text.as_bytes(),
        &Needs::default(),
        Defs::default(),
        |_, _| {},
    ))
}

/// A part of lines `key rest`, whose first word is put into slot 0.
pub(crate) fn keyed(text: &str, needs: &Needs) -> Part {
    part(batch(
        text.as_bytes(),
        needs,
        Defs::default(),
        |text, columns| {
            let mut start = 0;
            for (row, line) in text.split_inclusive(|&b| b == b'\n').enumerate() {
                if let Some(key) = memchr::memchr(b' ', line)
                    && !needs.columns.is_empty()
                {
                    columns.put(0, row, text, Cell::string(start, start + key, false));
                }
                start += line.len();
            }
        },
    ))
}

/// A part of lines that are all JSON objects.
pub(crate) fn objects(text: &str, needs: &Needs) -> Part {
    part(batch(
        text.as_bytes(),
        needs,
        Defs::default(),
        |text, columns| {
            for row in 0..text.split_inclusive(|&b| b == b'\n').count() {
                columns.set_json(row);
                columns.end_row();
            }
        },
    ))
}

/// All rows of a batch.
pub(crate) fn part(batch: Batch) -> Part {
    Part {
        batch: Arc::new(batch),
        rows: Rows::All,
    }
}

/// A load of parts.
pub(crate) fn load(parts: Vec<Part>, wait: bool) -> Load {
    let events = parts.iter().map(|p| p.rows.count(p.batch.rows())).sum();
    Load {
        parts,
        events,
        wait,
    }
}

/// The field `def` for the first `value` in `text`.
pub(crate) fn field(text: &[u8], value: &str, def: u32, kind: FieldKind) -> Field {
    let at = memchr::memmem::find(text, value.as_bytes()).unwrap();
    Field::new(def, kind, at, at + value.len())
}
