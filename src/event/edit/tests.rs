//! Edited batches: text, ids, spans.

use std::sync::Arc;

use super::*;
use crate::event::{Cell, Column, ColumnKind, Defs, Field, FieldKind, Needs, Path, Stream};

/// A batch of `k=value` lines with the value in a text column and a field.
fn batch(lines: &[&str]) -> Batch {
    let mut chunk = Box::new(Chunk::default());
    for line in lines {
        chunk.text.extend_from_slice(line.as_bytes());
        chunk.ends.push(chunk.text.len() as u32);
    }
    let stream = Stream {
        source: 0,
        origin: 7,
        meta: Vec::new(),
    };
    let mut batch = Batch::new(Arc::new(stream), 0, Timestamp(0), chunk, Arc::default());
    let mut needs = Needs {
        fields: true,
        ..Needs::default()
    };
    let slot = needs.slot(&Path::of("k"), ColumnKind::Text);
    let mut defs = Defs::default();
    defs.add("k", None, None);
    batch.parse_with(|text, ends, columns| {
        columns.reset(&needs, ends.len(), &Arc::new(defs));
        let mut start = 0;
        for (row, &end) in ends.iter().enumerate() {
            let line = super::super::batch::trim_terminator(text, start..end as usize);
            start = end as usize;
            columns.put(slot, row, text, Cell::new(line.start + 2, line.end));
            columns.push_field(Field::new(0, FieldKind::Text, line.start + 2, line.end));
            columns.end_row();
        }
    });
    batch
}

fn all(batch: &Batch) -> Bits {
    let mut bits = Bits::default();
    bits.fill(batch.rows());
    bits
}

fn none(batch: &Batch) -> Bits {
    let mut bits = Bits::default();
    bits.clear(batch.rows());
    bits
}

fn value(batch: &Batch, row: usize) -> String {
    let Column::Text(cells) = batch.columns().column(0) else {
        panic!("a text column")
    };
    let cell = String::from_utf8_lossy(cells[row].bytes(batch.text())).into_owned();
    let field = batch.columns().fields(row)[0].bytes(batch.text());
    assert_eq!(cell.as_bytes(), field);
    cell
}

#[test]
fn replaced_pieces_move_what_stands_behind_them() {
    let batch = batch(&["k=abcdef\n", "k=xyz\r\n", "k=last"]);
    let mut edits = Edits::default();
    edits.replace(0, 3..5, |out| out.extend_from_slice(b"-----"));
    edits.replace(0, 7..8, |_| {});
    edits.replace(2, 0..3, |out| out.extend_from_slice(b"K"));
    let edited = batch.edited(&edits, &all(&batch), &none(&batch));
    assert_eq!(edited.text(), b"k=a-----de\nk=xyz\r\nKast");
    assert_eq!(value(&edited, 0), "a-----de");
    assert_eq!(value(&edited, 1), "xyz");
    assert_eq!(
        value(&edited, 2),
        "Kast",
        "a torn span covers what is there now"
    );
    for row in 0..3 {
        assert_eq!(edited.id(row), batch.id(row));
    }
    let mut one = none(&batch);
    one.insert(1);
    assert_eq!(edited.copy_rows(&one.to_rows()).id(0), batch.id(1));
}

#[test]
fn rows_that_are_not_left_are_empty_and_the_others_keep_their_numbers() {
    let batch = batch(&["k=1\n", "k=2\n", "k=3\n"]);
    let mut edits = Edits::default();
    edits.json(1, |out| {
        out.extend_from_slice(b"never");
        false
    });
    assert!(edits.is_empty());
    edits.json(2, |out| {
        out.extend_from_slice(b"{\"k\":\"4\"}");
        true
    });
    let mut left = all(&batch);
    left.remove(0);
    let mut stale = none(&batch);
    let mut edited = batch.edited(&edits, &left, &stale);
    assert_eq!(edited.text(), b"k=2\n{\"k\":\"4\"}\n");
    edits.mark_json(&mut stale);
    let mut scratch = Chunk::default();
    edited.refresh(&stale, &mut scratch, |_, text, ends, columns| {
        assert_eq!((text, ends), (&b"{\"k\":\"4\"}\n"[..], &[10][..]));
        let mut needs = Needs::default();
        needs.slot(&Path::of("k"), ColumnKind::Text);
        columns.reset(&needs, 1, &Arc::new(Defs::default()));
        columns.put(0, 0, text, Cell::string(6, 7, false));
        columns.set_json(0);
        columns.end_row();
    });
    let Column::Text(cells) = edited.columns().column(0) else {
        panic!("a text column")
    };
    assert_eq!(cells[2].bytes(edited.text()), b"4");
    assert!(edited.columns().json().contains(2) && !edited.columns().json().contains(1));
    assert_eq!(
        (value(&edited, 1), edited.line(0)),
        ("2".to_owned(), &b""[..])
    );

    let woven = weave(
        &batch,
        &[
            (&edited, &stale),
            (&batch, &{
                let mut first = none(&batch);
                first.insert(0);
                first
            }),
        ],
    );
    assert_eq!(woven.text(), b"k=1\n{\"k\":\"4\"}\n");
    assert_eq!(
        (value(&woven, 0), woven.id(2)),
        ("1".to_owned(), batch.id(2))
    );
}
