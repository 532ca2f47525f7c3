//! Passing over words changes nothing of what is found.

use super::super::colour;
use super::*;
use proptest::prelude::*;

const REFERENCE: Timestamp = Timestamp(1_795_440_762_000_000_000);

/// The plain form of [`Finder::run`]: looks at each word, whatever it is.
fn every_word(mut finder: Finder) -> Found {
    let (text, end) = (finder.text, finder.end);
    let mut at = finder.priority();
    let mut count = 0;
    while count < WORDS_MAX && !finder.is_done() {
        while at < end && word::is_delimiter(text[at]) {
            at = colour(text, at, end).unwrap_or(at + 1);
        }
        if at >= end {
            break;
        }
        at = finder.time(at).unwrap_or_else(|| {
            let window = text[at..end].iter();
            let stop = at + window.take_while(|b| !word::is_delimiter(**b)).count();
            finder.word(at..stop, count);
            stop
        });
        count += 1;
    }
    finder.finish(at, count);
    finder.found
}

fn lines() -> impl Strategy<Value = Vec<u8>> {
    let pieces = prop::sample::select(vec![
        "2026-11-23T13:32:42Z",
        "2026-11-23 13:32:42.123",
        "Nov 23 13:32:42",
        "13:32:42",
        "1123 13:32:42",
        "1795440762",
        "Monday",
        "Mar",
        "The",
        "<3>",
        "[",
        "]",
        "(",
        ")",
        "{",
        "}",
        "\"",
        "'",
        "=",
        ":",
        ": ",
        " - ",
        "-",
        "--",
        "*",
        "#",
        "!",
        "|",
        " | ",
        " :: ",
        "\t",
        ",",
        "/",
        " ",
        " ",
        " ",
        "    ",
        "\x1b[32m",
        "\x1b[0m",
        "\x1b",
        "INFO",
        "info",
        "ERROR",
        "error",
        "err",
        "E",
        "W",
        "WARN",
        "DEBUG1",
        "notice",
        "level=",
        "level=30",
        "lvl: ",
        "severity",
        "main.go:87: ",
        "a.b.C",
        "com.x.Y - ",
        "word",
        "to",
        "the",
        "some words of a message that goes on",
        "12",
        "7",
        "30",
        "2026",
        "\u{e9}",
        "\u{4e2d}\u{6587}",
        "[info]",
        "[E]",
        "[ error ]",
        "a-longer-word-of-forty-bytes-or-some-more",
    ]);
    let piece = prop_oneof![
        12 => pieces.prop_map(|p| p.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 1..3),
    ];
    prop::collection::vec(piece, 0..40).prop_map(|p| p.concat())
}

#[test]
fn a_letter_behind_an_epoch_is_its_level() {
    for (line, has_level) in [
        ("job 1795440762 [E] failed", true),
        ("job 1795440762 E failed", false),
    ] {
        let range = 0..line.len();
        let mut recent = Recent::EMPTY;
        let found = Finder::new(line.as_bytes(), &range, REFERENCE, &mut recent).run();
        assert_eq!(found.time.map(|(span, _)| span), Some(4..14), "{line}");
        assert_eq!(found.level.is_some(), has_level, "{line}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn what_is_passed_over_is_no_time_and_no_level(
        text in lines(),
        before in 0usize..4,
        behind in 0usize..4,
    ) {
        let start = before.min(text.len());
        let line = start..text.len().saturating_sub(behind).max(start);
        let (mut one, mut other) = (Recent::EMPTY, Recent::EMPTY);
        let found = Finder::new(&text, &line, REFERENCE, &mut one).run();
        let expected = every_word(Finder::new(&text, &line, REFERENCE, &mut other));
        prop_assert_eq!(format!("{found:?}"), format!("{expected:?}"));
    }
}
