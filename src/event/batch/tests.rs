//! Batches: rows copied out, lines, recycled vectors.

use super::*;
use crate::event::{Bits, Cell, Column, ColumnKind, Defs, Needs, Path};

fn batch(lines: &[&str]) -> Batch {
    let mut chunk = Box::new(Chunk::default());
    for line in lines {
        chunk.text.extend_from_slice(line.as_bytes());
        chunk.ends.push(chunk.text.len() as u32);
    }
    chunk.truncated.push(2);
    let stream = Stream {
        source: 0,
        origin: 7,
        meta: Vec::new(),
    };
    Batch::new(Arc::new(stream), 1000, Timestamp(0), chunk, Arc::default())
}

#[test]
fn copied_rows_keep_ids_spans_and_flags() {
    let mut original = batch(&["a=1\n", "a=22\r\n", "a=333"]);
    let mut needs = Needs::default();
    let slot = needs.slot(&Path::of("a"), ColumnKind::Text);
    original.parse_with(|text, ends, columns| {
        columns.reset(&needs, ends.len(), &Arc::new(Defs::default()));
        columns.put(slot, 0, text, Cell::new(2, 3));
        columns.put(slot, 2, text, Cell::new(12, 15));
        columns.set_json(2);
    });
    let mut rows = Bits::default();
    rows.clear(3);
    rows.insert(0);
    rows.insert(2);
    let copy = original.copy_rows(&rows.to_rows());
    assert_eq!(copy.text(), b"a=1\na=333");
    assert_eq!((copy.id(0), copy.id(1)), (original.id(0), original.id(2)));
    assert_eq!(copy.truncated(), [1]);
    assert!(copy.columns().json().contains(1) && !copy.columns().json().contains(0));
    let Column::Text(cells) = copy.columns().column(slot) else {
        panic!("a text column")
    };
    assert_eq!(cells[1].bytes(copy.text()), b"333");
    assert_eq!(copy.copy_rows(&Rows::All).id(1), original.id(2));
}

#[test]
fn a_line_is_its_span_without_the_terminator() {
    let batch = batch(&["a\n", "b\r\n", "c"]);
    assert_eq!(
        (batch.line(0), batch.line(1), batch.line(2)),
        (&b"a"[..], &b"b"[..], &b"c"[..])
    );
}

#[test]
fn vectors_are_recycled_unless_grown() {
    let pool = Pool::default();
    let mut chunk = pool.take(Pool::CHUNK_BYTES);
    chunk.text.extend_from_slice(b"x");
    let place = chunk.text.as_ptr();
    pool.give(chunk);
    let again = pool.take(10);
    assert_eq!((again.text.as_ptr(), again.text.len()), (place, 0));
    pool.give(pool.take(3 << 20));
    assert!(pool.take(0).text.capacity() < 3 << 20);
}
