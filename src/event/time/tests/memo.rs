//! What is remembered changes nothing that is read.

use super::*;

/// What times without year or day are close to.
const NOW: Timestamp = Timestamp(SECOND * 1_000_000_000);

const LAYOUTS: [&str; 10] = [
    "%+",
    "%d/%b/%Y:%H:%M:%S %z",
    "%b %e %H:%M:%S%f",
    "%a %b %d %H:%M:%S%f %Y",
    "%Y-%m-%d %H:%M:%S%f %Z",
    "%H:%M:%S.%f",
    "%I:%M%p",
    "%k:%M",
    "%s",
    "%*",
];

/// Times in these layouts, whole and without what may be missing, …
const HEADS: [&str; 12] = [
    "2026-11-23T13:32:42",
    "2026-11-23 13:32:42",
    "23/Nov/2026:13:32:42 +0100",
    "Nov 23 13:32:42",
    "Nov  3 13:32:42",
    "Mon Nov 23 13:32:42",
    "13:32:42",
    "01:32PM",
    "1:32",
    "1795440762",
    "1969-12-31T23:59:59",
    "9999-12-31T23:59:59",
];
const FRACTIONS: [&str; 6] = ["", ".5", ".123456", ",250", ".1234567891", "."];
/// … and what may follow them.
const TAILS: [&str; 12] = [
    "", " ", "Z", "Z x", " 2026", " UTC x", " CET", " PM", "] x", "+01:00|", "7 x", ":01",
];

proptest! {
    #[test]
    fn times_are_read_as_without_a_memory_and_begin_as_they_can(
        layout in 0..LAYOUTS.len(),
        lines in proptest::collection::vec(
            (0..HEADS.len(), 0..FRACTIONS.len(), 0..TAILS.len()),
            1..12,
        ),
        repeated: bool,
    ) {
        let layout = Layout::compile(LAYOUTS[layout]).unwrap();
        let mut memo = Memo::EMPTY;
        let mut recent = Recent::EMPTY;
        for (head, fraction, tail) in &lines {
            // Few heads, so that one comes often enough after itself.
            let head = if repeated { lines[0].0 } else { *head };
            let text = [HEADS[head], FRACTIONS[*fraction], TAILS[*tail]].concat();
            let expected = layout.parse_prefix_in(text.as_bytes(), NOW);
            let len = memo.read(&layout, text.as_bytes(), NOW);
            prop_assert_eq!(len.map(|len| (memo.time(), len)), expected, "{}", text);
            let found = recent.any_prefix(text.as_bytes(), NOW);
            prop_assert_eq!(found, any_prefix(text.as_bytes(), NOW), "{}", text);
            let first = text.as_bytes().first();
            let can_begin = first.is_none_or(|first| layout.can_begin_with(*first));
            prop_assert!(can_begin || expected.is_none(), "{}", text);
        }
    }
}
