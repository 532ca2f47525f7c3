//! Real traces between ordinary lines, patterns, limits; and that no byte
//! moves, however the input comes.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::component::Definition;
use crate::frame::{Framer, Framing, Options};

fn framer(multiline: serde_json::Value) -> Framer {
    framer_of(Framing::Newline, multiline)
}

fn framer_of(framing: Framing, multiline: serde_json::Value) -> Framer {
    let options = Options {
        framing,
        line_max: None,
        oversize: crate::frame::Oversize::Truncate,
        multiline: serde_json::from_value(multiline).expect("valid"),
    };
    let definition = Definition {
        name: "test".into(),
        scheme: "stdin".into(),
        tls: false,
        target: String::new(),
        options: serde_json::Map::new(),
    };
    options.framer(&definition).expect("valid")
}

/// The events of `input`, read by reads of the given sizes, with a new chunk
/// after each `chunk_bytes`; and how many ended at a limit.
fn events_by(
    mut framer: Framer,
    input: &[u8],
    reads: &[usize],
    chunk_bytes: usize,
) -> (Vec<String>, u64) {
    fn collect(chunk: &mut Chunk, events: &mut Vec<String>) {
        let mut start = 0;
        let mut several = false;
        for &end in &chunk.ends {
            let event = &chunk.text[start..end as usize];
            several |= event[..event.len() - 1].contains(&b'\n');
            events.push(String::from_utf8_lossy(event).into_owned());
            start = end as usize;
        }
        assert_eq!(chunk.joined, several);
        let mut next = Chunk::default();
        chunk.carry_into(&mut next);
        *chunk = next;
    }
    let (mut events, mut chunk, mut split) = (Vec::new(), Chunk::default(), 0);
    let mut rest = input;
    for &size in reads.iter().cycle() {
        let (read, left) = rest.split_at(size.min(rest.len()));
        rest = left;
        chunk.text.extend_from_slice(read);
        split += framer.frame(&mut chunk).expect("framed").split;
        if chunk.text.len() >= chunk_bytes {
            collect(&mut chunk, &mut events);
        }
        if rest.is_empty() {
            break;
        }
    }
    split += framer.finish(&mut chunk).split;
    assert_eq!(framer.held(), 0);
    collect(&mut chunk, &mut events);
    (events, split)
}

fn events(multiline: serde_json::Value, input: &str) -> Vec<String> {
    events_by(framer(multiline), input.as_bytes(), &[1 << 20], 1 << 20).0
}

/// Events of a file that has `====` between them.
fn expected(file: &str) -> Vec<String> {
    file.split("====\n").map(str::to_owned).collect()
}

const TRACES: [(&str, &str); 9] = [
    ("java", include_str!("testdata/java.txt")),
    ("python", include_str!("testdata/python.txt")),
    ("go", include_str!("testdata/go.txt")),
    ("ruby", include_str!("testdata/ruby.txt")),
    ("node", include_str!("testdata/node.txt")),
    ("dotnet", include_str!("testdata/dotnet.txt")),
    ("php", include_str!("testdata/php.txt")),
    ("rust", include_str!("testdata/rust.txt")),
    ("indented", include_str!("testdata/indented.txt")),
];

#[test]
fn traces_of_every_language_are_events_among_others() {
    for (language, file) in TRACES {
        let expected = expected(file);
        let found = events(json!("auto"), &expected.concat());
        assert_eq!(found, expected, "{language}");
        let returns = |event: &String| event.replace('\n', "\r\n");
        let windows: Vec<_> = expected.iter().map(returns).collect();
        let found = events(json!("auto"), &windows.concat());
        assert_eq!(found, windows, "{language} with CRLF");
    }
}

#[test]
fn a_last_line_without_newline_belongs_to_its_trace() {
    let text = "panic: boom\n\ngoroutine 1 [running]:\nmain.main()\n\t/app/main.go:5 +0x1d";
    assert_eq!(events(json!("auto"), text), [text]);
}

#[test]
fn off_and_lines_are_what_they_were() {
    let text = "a\n b\nc\n";
    assert_eq!(events(json!("off"), text), ["a\n", " b\n", "c\n"]);
    let of_lines = framer(json!("auto")).of_lines();
    assert_eq!(events_by(of_lines, text.as_bytes(), &[100], 100).0.len(), 3);
}

#[test]
fn a_start_pattern_begins_events() {
    let start = json!({ "start": r"^\d{4}-" });
    let text = "lost\n2026-11-23 one\nmore\n\n2026-11-23 two\n";
    let expected = ["lost\n", "2026-11-23 one\nmore\n\n", "2026-11-23 two\n"];
    // What stands before the first start is an event too.
    assert_eq!(events(start, text), expected);
}

#[test]
fn a_continue_pattern_goes_on() {
    let go_on = json!({ "continue": r"^(\s|\|)" });
    let text = "one\n| more\n  more\ntwo\n";
    assert_eq!(events(go_on, text), ["one\n| more\n  more\n", "two\n"]);
}

#[test]
fn both_patterns_must_agree() {
    let both = json!({ "start": "^BEGIN", "continue": "^[A-Z]" });
    let text = "BEGIN\nMORE\nless\nMORE\nBEGIN\n";
    assert_eq!(
        events(both, text),
        ["BEGIN\nMORE\n", "less\nMORE\n", "BEGIN\n"]
    );
}

#[test]
fn limits_end_events_and_are_counted_and_lose_nothing() {
    let text = "head\n a\n b\n c\n d\nnext\n";
    let (by_lines, split) = events_by(
        framer(json!({ "lines_max": 3 })),
        text.as_bytes(),
        &[100],
        100,
    );
    assert_eq!(by_lines, ["head\n a\n b\n", " c\n d\n", "next\n"]);
    assert_eq!(split, 1);
    let (by_bytes, split) = events_by(
        framer(json!({ "bytes_max": 8 })),
        text.as_bytes(),
        &[100],
        100,
    );
    assert_eq!(by_bytes, ["head\n a\n", " b\n c\n", " d\n", "next\n"]);
    assert_eq!(split, 2);
}

#[test]
fn an_endless_event_holds_bounded_memory() {
    let mut framer = framer(json!({ "bytes_max": "64KiB", "lines_max": 1_000_000 }));
    let mut chunk = Chunk::default();
    let mut held_max = 0;
    for _ in 0..1000 {
        chunk.text.extend_from_slice(&b" indented\n".repeat(1000));
        framer.frame(&mut chunk).expect("framed");
        held_max = held_max.max(framer.held());
        assert_eq!(chunk.text.len() - chunk.framed(), framer.held());
        let mut next = Chunk::default();
        chunk.carry_into(&mut next);
        chunk = next;
    }
    assert!(held_max <= 64 * 1024);
}

#[test]
fn a_held_event_can_be_ended_and_the_beginning_of_a_line_stays() {
    let mut framer = framer(json!("auto"));
    let mut chunk = Chunk::default();
    chunk
        .text
        .extend_from_slice(b"one\nERROR two\n\tat x\n\tat");
    framer.frame(&mut chunk).expect("framed");
    assert_eq!((&chunk.ends[..], framer.held()), (&[4][..], 16));
    framer.flush(&mut chunk);
    assert_eq!((&chunk.ends[..], framer.held()), (&[4, 20][..], 0));
    chunk.text.extend_from_slice(b" y\n");
    framer.frame(&mut chunk).expect("framed");
    framer.flush(&mut chunk);
    assert_eq!(chunk.ends, [4, 20, 26]);
}

#[test]
fn an_undecided_line_ends_as_an_event_of_its_own() {
    for last in ["\n", "Error: boom\n"] {
        let mut framer = framer(json!("auto"));
        let mut chunk = Chunk::default();
        let event = "2026-11-23 13:32:42 ERROR x\njava.lang.Error: x\n\tat x\n";
        let event = if last == "\n" { event } else { &event[..28] };
        chunk.text.extend_from_slice(event.as_bytes());
        chunk.text.extend_from_slice(last.as_bytes());
        framer.frame(&mut chunk).expect("framed");
        assert!(chunk.ends.is_empty());
        framer.flush(&mut chunk);
        let ends = [event.len() as u32, (event.len() + last.len()) as u32];
        assert_eq!(chunk.ends, ends);
    }
}

#[test]
fn cut_lines_flag_the_event_that_they_are_in() {
    let options = Options {
        line_max: Some(crate::component::ByteSize(8)),
        multiline: Multiline::Auto(Bounds::default()),
        ..Options::default()
    };
    let definition = Definition {
        name: "test".into(),
        scheme: "stdin".into(),
        tls: false,
        target: String::new(),
        options: serde_json::Map::new(),
    };
    let mut framer = options.framer(&definition).expect("valid");
    let mut chunk = Chunk::default();
    for part in [
        "a\nhead\n  a line that is too long",
        "\n  b\nc\n",
        "long enough\n x\nd\n",
    ] {
        chunk.text.extend_from_slice(part.as_bytes());
        framer.frame(&mut chunk).expect("framed");
    }
    framer.finish(&mut chunk);
    let text = String::from_utf8_lossy(&chunk.text);
    assert_eq!(text, "a\nhead\n  a line\n  b\nc\nlong eno\n x\nd\n");
    assert_eq!(chunk.ends, [2, 20, 22, 34, 36]);
    assert_eq!(chunk.truncated, [1, 3]);
}

#[test]
fn other_framings_join_too() {
    let nul = b"ERROR x\0\tat y\0next\0";
    let framer = framer_of(Framing::Nul, json!("auto"));
    let (by_nul, _) = events_by(framer, nul, &[3], 8);
    assert_eq!(by_nul, ["ERROR x\n\tat y\n", "next\n"]);
    let framer = framer_of(Framing::Octet, json!("auto"));
    let (by_count, _) = events_by(framer, b"7 ERROR x5 \tat y4 next", &[3], 8);
    assert_eq!(by_count, ["ERROR x\n\tat y\n", "next\n"]);
}

const CRI: &str = "\
2026-11-23T13:32:42.1Z stdout F started
2026-11-23T13:32:42.2Z stdout P a line that\u{20}
2026-11-23T13:32:42.2Z stderr F ERROR boom
2026-11-23T13:32:42.3Z stdout P was cut\u{20}
2026-11-23T13:32:42.3Z stderr F java.lang.Error: boom
2026-11-23T13:32:42.4Z stdout F twice
2026-11-23T13:32:42.4Z stderr F \tat x
2026-11-23T13:32:42.5Z stderr F {\"json\":1}
not of the runtime
2026-11-23T13:32:42.6+01:00 stdout F\u{20}
";

#[test]
fn cut_lines_of_a_container_are_one_and_traces_within_too() {
    let expected = [
        "2026-11-23T13:32:42.2Z stderr F ERROR boom\njava.lang.Error: boom\n\tat x\n",
        "2026-11-23T13:32:42.5Z stderr F {\"json\":1}\n",
        "not of the runtime\n",
        "2026-11-23T13:32:42.1Z stdout F started\n",
        "2026-11-23T13:32:42.2Z stdout F a line that was cut twice\n",
        "2026-11-23T13:32:42.6+01:00 stdout F \n",
    ];
    let mut found = events(json!("auto"), CRI);
    found.sort_by_key(|event| expected.iter().position(|e| e == event));
    assert_eq!(found, expected);
    let partials = events(json!("partials"), CRI);
    assert_eq!(partials.len(), 8);
    assert!(partials.contains(&expected[4].to_owned()));
}

#[test]
fn cut_lines_of_docker_are_one_and_traces_within_too() {
    let line = |log: &str, stream: &str, time: u32| {
        format!("{{\"log\":\"{log}\",\"stream\":\"{stream}\",\"time\":\"{time}\"}}\n")
    };
    let input = [
        line(r#"a \"long\" "#, "stdout", 1),
        line(r"ERROR boom\n", "stderr", 2),
        line(r"line\\\n", "stdout", 3),
        line(r"\tat x\n", "stderr", 4),
        line(r"\n", "stdout", 5),
        line(r"ends in \\n", "stdout", 6),
    ];
    let mut found = events(json!("auto"), &input.concat());
    let expected = [
        line(r#"a \"long\" line\\\n"#, "stdout", 1),
        line(r"\n", "stdout", 5),
        line(r"ends in \\n", "stdout", 6),
        line(r"ERROR boom\n\tat x\n", "stderr", 2),
    ];
    found.sort_by_key(|event| expected.iter().position(|e| e == event));
    assert_eq!(found, expected);
}

/// What is held comes behind a last line that is not the runtime's.
#[test]
fn a_torn_line_of_a_container_stays_a_line() {
    let text = "2026-11-23T13:32:42.1Z stdout F held\ntorn";
    let expected = ["torn\n", "2026-11-23T13:32:42.1Z stdout F held\n"];
    assert_eq!(events(json!("auto"), text), expected);
}

#[test]
fn lines_cut_without_end_are_bounded() {
    let mut framer = framer(json!({ "bytes_max": 1000 }));
    let mut chunk = Chunk::default();
    let (mut held_max, mut split) = (0, 0);
    for _ in 0..1000 {
        chunk
            .text
            .extend_from_slice(b"2026-11-23T13:32:42.1Z stdout P more and more\n");
        split += framer.frame(&mut chunk).expect("framed").split;
        held_max = held_max.max(framer.held());
    }
    assert!(held_max <= 2 * 1000 + 100 && split > 0);
    framer.flush(&mut chunk);
    assert_eq!(framer.held(), 0);
    let content: usize = chunk
        .text
        .split(|&b| b == b'\n')
        .map(|l| l.len().saturating_sub(32))
        .sum();
    assert_eq!(content, 1000 * "more and more".len());
}

/// Lines of all kinds in any order: whole traces, and parts of them.
fn input() -> impl Strategy<Value = Vec<u8>> {
    let lines: Vec<&str> = TRACES
        .iter()
        .flat_map(|(_, file)| file.split_inclusive('\n'))
        .collect();
    let line = prop_oneof![
        8 => prop::sample::select(lines).prop_map(|line| line.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..30),
        1 => prop::sample::select(vec!["", "\n", "\n\n", " ", "\r\n", "{\n", "}\n", "\0"])
            .prop_map(|line| line.as_bytes().to_vec()),
    ];
    let mixed = prop::collection::vec(line, 0..40).prop_map(|lines| lines.concat());
    let cri = prop::collection::vec(
        prop::sample::select(CRI.split_inclusive('\n').collect::<Vec<_>>()),
        1..30,
    );
    let cri = cri.prop_map(|lines| lines.concat().into_bytes());
    let whole = (0..TRACES.len()).prop_map(|at| expected(TRACES[at].1).concat().into_bytes());
    prop_oneof![3 => mixed, 1 => whole, 1 => cri]
}

fn option() -> impl Strategy<Value = serde_json::Value> {
    prop_oneof![
        4 => Just(json!("auto")),
        1 => Just(json!({ "lines_max": 3 })),
        1 => Just(json!({ "bytes_max": 50 })),
        1 => Just(json!({ "start": r"^\d", "lines_max": 5 })),
        1 => Just(json!({ "continue": r"^\s" })),
    ]
}

proptest! {
    #[test]
    fn only_boundaries_move_and_not_with_reads_or_chunks(
        input in input(),
        option in option(),
        reads in prop::collection::vec(1..60_usize, 1..8),
        chunk_bytes in 1..200_usize,
    ) {
        let (whole, split) = events_by(framer(option.clone()), &input, &[1 << 20], 1 << 20);
        let (pieces, split_in_pieces) = events_by(framer(option.clone()), &input, &reads, chunk_bytes);
        prop_assert_eq!(&pieces, &whole);
        prop_assert_eq!(split_in_pieces, split);
        if input.get(10) == Some(&b'T') {
            // A container's: written anew.
            return Ok(());
        }
        // No byte is lost or moved, and every boundary is one of a line.
        let (lines, _) = events_by(framer(json!("off")), &input, &[1 << 20], 1 << 20);
        prop_assert_eq!(pieces.concat(), lines.concat());
        let ends = |events: &[String]| {
            let mut at = 0;
            events.iter().map(|event| { at += event.len(); at }).collect::<Vec<_>>()
        };
        let line_ends = ends(&lines);
        prop_assert!(ends(&pieces).iter().all(|end| line_ends.contains(end)));
    }
}
