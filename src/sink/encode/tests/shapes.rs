//! Rows of known shapes and of others are written alike.

use super::*;

/// More shapes than are kept, some of very many fields, over and over.
#[test]
fn rows_of_very_many_shapes_are_written_as_by_a_new_encoder() {
    let (mut json, needs) = encoder("json");
    let mut defs = Defs::default();
    let name = |i: usize| {
        if i % 3 == 2 {
            format!("o.f{i}")
        } else {
            format!("f{i}")
        }
    };
    let ids: Vec<_> = (0..1100).map(|i| defs.add(&name(i), None, None)).collect();
    let text = "7 and the text of a value that is longer than most, said once more\n".repeat(9000);
    let kinds = [FieldKind::Text, FieldKind::Number, FieldKind::Text];
    let mut coin = 1_u64;
    let all = part(batch(text.as_bytes(), &needs, defs, |_, columns| {
        for row in 0..9000 {
            coin = coin.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let wide = row % 1000 == 0;
            for (i, &id) in ids.iter().enumerate() {
                let there = if wide {
                    i < 1090 + row / 1000
                } else {
                    i < 12 && coin >> (i + 40) & 1 == 1
                };
                if there {
                    let len = if i % 3 == 1 {
                        1
                    } else {
                        (coin >> (i % 40)) as usize % 66
                    };
                    columns.push_field(Field::new(id, kinds[i % 3], row * 67, row * 67 + len));
                }
            }
            columns.end_row();
        }
    }));
    let mut lines = Vec::new();
    json.encode(&all, &mut lines);
    let (mut line, mut rest) = (Vec::new(), &lines[..]);
    for row in 0..9000 {
        line.clear();
        encoder("json").0.encode_row(&all.batch, row, &mut line);
        assert!(rest.starts_with(&line), "row {row}");
        rest = &rest[line.len()..];
    }
    assert!(rest.is_empty());
}

/// Rows of a source: what the row before had is no reason to write it again.
#[test]
fn rows_of_other_shapes_and_times_stand_for_themselves() {
    let (mut json, needs) = encoder("json");
    let mut defs = Defs::default();
    let layout = |format| Layout::compile(format).ok().map(Arc::new);
    let day = defs.add("day", None, layout("%Y-%m-%d"));
    let back = defs.add("back", None, layout("%d-%m-%Y"));
    let ids = ["a", "b", "c"].map(|name| defs.add(name, None, None));
    let text: &[u8] = b"2026-11-23 2026-11-24 23-11-2026 2026-11-2 \xff 17 0.5 x \
        and more behind, so that whole blocks can be copied of all values";
    let time = |def, value| field(text, value, def, FieldKind::Time);
    let bad = |def| {
        let at = text.iter().position(|&b| b == 0xff).unwrap();
        Field::new(def, FieldKind::Text, at, at + 1)
    };
    let plain = |def, value| field(text, value, def, FieldKind::Text);
    let number = |def, value| field(text, value, def, FieldKind::Number);
    let [a, b, c] = ids;
    let rows = [
        (
            vec![time(day, "2026-11-23")],
            r#""day":"2026-11-23T00:00:00Z""#,
        ),
        (
            vec![time(day, "2026-11-24")],
            r#""day":"2026-11-24T00:00:00Z""#,
        ),
        (vec![time(day, "2026-11-2")], r#""day":"2026-11-2""#),
        (vec![time(back, "2026-11-24")], r#""back":"2026-11-24""#),
        (
            vec![time(back, "23-11-2026")],
            r#""back":"2026-11-23T00:00:00Z""#,
        ),
        (vec![time(day, "23-11-2026")], r#""day":"23-11-2026""#),
        (
            vec![bad(a), plain(b, "x"), number(c, "17")],
            "\"a\":\"\u{fffd}\",\"b\":\"x\",\"c\":17",
        ),
        (
            vec![bad(a), plain(c, "x"), number(b, "0.5")],
            "\"a\":\"\u{fffd}\",\"c\":\"x\",\"b\":0.5",
        ),
        (
            vec![bad(a), plain(b, "x"), plain(c, "17")],
            "\"a\":\"\u{fffd}\",\"b\":\"x\",\"c\":\"17\"",
        ),
        (
            vec![bad(a), number(b, "x"), plain(c, "")],
            "\"a\":\"\u{fffd}\",\"b\":\"x\",\"c\":\"\"",
        ),
    ];
    let mut chunk = Box::new(Chunk::default());
    chunk.text = text.to_vec();
    chunk.ends = (1..2 * rows.len() as u32).collect();
    chunk.ends.push(text.len() as u32);
    let all = part(of_chunk(chunk, &needs, defs, |_, columns| {
        for (fields, _) in rows.iter().chain(&rows) {
            for field in fields {
                columns.push_field(*field);
            }
            columns.end_row();
        }
    }));
    let lines: Vec<_> = rows.iter().map(|row| format!("{{{}}}\n", row.1)).collect();
    assert_eq!(encode(&mut json, &all), lines.concat().repeat(2));
    // Each once as the part and once by rows.
    assert_eq!(json.take_replaced(), 2 * 2 * 4);
}
