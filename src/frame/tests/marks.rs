//! Rows are found in the input, however framing moved them.

use super::*;
use crate::frame::multiline::Multiline;

/// Frames `input` in pieces; each row's text and where the marks say that it
/// began. Chunks change as they do in sources.
fn located(framer: &Framer, input: &[u8], piece: usize) -> Vec<(String, u64)> {
    fn take(chunk: &mut Chunk, rows: &mut Vec<(String, u64)>) {
        let mut next = Chunk::default();
        chunk.carry_into(&mut next);
        let mut start = 0;
        for end in chunk.ends.iter().map(|&end| end as usize) {
            let text = String::from_utf8_lossy(&chunk.text[start..end]).into_owned();
            rows.push((text, chunk.input_at(start) - 1000));
            start = end;
        }
        *chunk = next;
    }
    let mut framer = framer.clone();
    let mut rows = Vec::new();
    let mut chunk = Chunk::default();
    chunk.begins_at(1000);
    for (at, bytes) in input.chunks(piece).enumerate() {
        chunk.text.extend_from_slice(bytes);
        framer.frame(&mut chunk).expect("newlines");
        // Not always: a chunk takes several reads.
        if at % 3 == 2 {
            take(&mut chunk, &mut rows);
        }
    }
    framer.finish(&mut chunk);
    take(&mut chunk, &mut rows);
    rows
}

fn framer(multiline: &Multiline, line_max: usize, oversize: Oversize) -> Framer {
    Framer {
        joiner: multiline.joiner().expect("valid"),
        ..Framer::new(Framing::Newline, limits(line_max, oversize))
    }
}

#[test]
fn rows_behind_long_lines_are_found() {
    let lines = [
        "a\n",
        "0123456789abcdef\n",
        "bb\n",
        "\n",
        "ccccccc\n",
        "dddddddddd\n",
        "e",
    ];
    let input = lines.concat();
    let starts: Vec<usize> = (0..lines.len())
        .map(|n| lines[..n].concat().len())
        .collect();
    for multiline in [
        Multiline::Off,
        Multiline::Auto(crate::frame::multiline::Bounds::default()),
    ] {
        for oversize in [Oversize::Truncate, Oversize::Drop] {
            let framer = framer(&multiline, 7, oversize);
            for piece in 1..=input.len() {
                for (text, at) in located(&framer, input.as_bytes(), piece) {
                    let line = starts.iter().position(|&start| start as u64 == at);
                    let line =
                        line.unwrap_or_else(|| panic!("{text:?} at {at}, pieces of {piece}"));
                    let whole = lines[line].trim_end();
                    assert!(
                        whole.starts_with(text.trim_end()),
                        "{text:?} is no {whole:?}"
                    );
                }
            }
        }
    }
}

#[test]
fn events_of_containers_are_found_at_their_first_lines() {
    let cri = |stream: &str, flag: &str, text: &str| {
        format!("2026-11-23T13:32:42.1Z {stream} {flag} {text}\n")
    };
    let lines = [
        cri("stdout", "F", "one"),
        cri("stdout", "P", "two, "),
        cri("stderr", "F", "three"),
        cri("stdout", "P", "and "),
        cri("stdout", "F", "so on"),
        "not of the runtime\n".to_owned(),
        cri("stdout", "F", "four"),
        cri("stderr", "P", "five"),
    ];
    let input = lines.concat();
    let start = |n: usize| lines[..n].concat().len() as u64;
    let framer = framer(&Multiline::Partials, 1000, Oversize::Truncate);
    for piece in 1..=input.len() {
        let mut rows = located(&framer, input.as_bytes(), piece);
        rows.sort_by_key(|row| row.1);
        let found: Vec<_> = rows.iter().map(|row| row.1).collect();
        let expected = [0, 1, 2, 5, 6, 7].map(start);
        assert_eq!(found, expected, "pieces of {piece}");
        assert!(rows[1].0.ends_with("F two, and so on\n"), "{}", rows[1].0);
    }
}

/// Only what is not whole as it came is written anew: no marks are needed else.
#[test]
fn whole_lines_of_containers_stay_where_they_are() {
    let cri = |text: &str| format!("2026-11-23T13:32:42.1Z stdout {text}\n");
    let whole = [cri("F one"), "odd\n".to_owned(), cri("F "), cri("F four")].concat();
    let docker = "{\"log\":\"a\\n\",\"stream\":\"stdout\",\"time\":\"t\"}\n";
    let mut framer = framer(&Multiline::Partials, 1000, Oversize::Truncate);
    for (text, rows) in [(&whole[..], 4), (&docker.repeat(3), 3)] {
        let mut framer = framer.clone();
        let mut chunk = Chunk::default();
        chunk.begins_at(50);
        chunk.text.extend_from_slice(text.as_bytes());
        chunk.text.extend_from_slice(b"2026");
        framer.frame(&mut chunk).expect("newlines");
        assert_eq!(chunk.text, [text.as_bytes(), b"2026"].concat());
        assert_eq!((chunk.ends.len(), chunk.marks.len()), (rows, 1));
    }
    let mut chunk = Chunk::default();
    chunk.begins_at(50);
    let rest = [cri("P fi"), cri("F ve"), cri("F six")].concat();
    chunk.text.extend_from_slice(whole.as_bytes());
    chunk.text.extend_from_slice(rest.as_bytes());
    framer.frame(&mut chunk).expect("newlines");
    assert!(chunk.text.starts_with(whole.as_bytes()));
    let again = [cri("F five"), cri("F six")].concat();
    assert_eq!(chunk.text[whole.len()..], *again.as_bytes());
    assert_eq!(chunk.ends.len(), 6);
}

#[test]
fn reading_again_begins_before_what_is_held() {
    let mut framer = framer(&Multiline::Partials, 1000, Oversize::Truncate);
    let first = "2026-11-23T13:32:42.1Z stdout P half\n";
    let other = "2026-11-23T13:32:42.1Z stderr F whole\n";
    let mut chunk = Chunk::default();
    chunk.begins_at(50);
    chunk.text.extend_from_slice(first.as_bytes());
    chunk.text.extend_from_slice(other.as_bytes());
    chunk.text.extend_from_slice(b"2026");
    framer.frame(&mut chunk).expect("newlines");
    assert_eq!(framer.resumes_at(&chunk), Some(50));
    framer.flush(&mut chunk);
    let whole = 50 + (first.len() + other.len()) as u64;
    assert_eq!(framer.resumes_at(&chunk), Some(whole));
    // Within a line that was cut there is no place to begin.
    let mut framer = Framer::new(Framing::Newline, limits(3, Oversize::Truncate));
    let mut chunk = Chunk::default();
    chunk.begins_at(7);
    chunk.text.extend_from_slice(b"a\nbcdefgh");
    framer.frame(&mut chunk).expect("newlines");
    assert_eq!(framer.resumes_at(&chunk), None);
    chunk.text.extend_from_slice(b"ij\nk");
    framer.frame(&mut chunk).expect("newlines");
    assert_eq!(framer.resumes_at(&chunk), Some(7 + 12));
}
