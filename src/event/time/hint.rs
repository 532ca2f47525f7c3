//! Whether a text may begin with a time: what nearly all words and numbers of a
//! message fail, told by a few of their bytes.

/// Whether [`any_prefix`](super::any_prefix) may find a time. Where this says no
/// there is none.
#[inline]
#[must_use]
pub fn may_begin(text: &[u8]) -> bool {
    match text {
        [b'0'..=b'9', ..] => may_be_number(text),
        _ => begins_name(text),
    }
}

/// How many digits tell that they are no time, whatever follows.
const DIGITS_MAX: usize = 20;

fn may_be_number(text: &[u8]) -> bool {
    let digits = text.iter().take(DIGITS_MAX);
    let run = digits.take_while(|b| b.is_ascii_digit()).count();
    let next = text.get(run).copied().unwrap_or(0);
    match run {
        1 | 2 => match next {
            b':' => true,
            // `23 Nov`, `23/11`.
            b'-' | b'/' | b'.' | b' ' => {
                let rest = &text[run + 1..];
                let is_digit = rest.first().is_some_and(u8::is_ascii_digit);
                is_digit && next != b' ' || begins_name(rest)
            }
            _ => false,
        },
        4 => {
            let rest = text.get(run + 1..).unwrap_or_default();
            let follows = rest.first().is_some_and(u8::is_ascii_digit) || begins_name(rest);
            matches!(next, b'-' | b'/' | b'.' | b' ') && follows
        }
        6 | 8 => matches!(next, b' ' | b'T' | b't' | b'_' | b'-' | b':' | b'|' | b','),
        10 | 13 | 14 | 16 | 19 => true,
        _ => false,
    }
}

/// Whether a text begins as the name of a month or of a weekday does, in any case.
fn begins_name(text: &[u8]) -> bool {
    text.first_chunk::<3>().is_some_and(|letters| {
        matches!(
            &letters.map(|b| b | 0x20),
            b"jan"
                | b"feb"
                | b"mar"
                | b"apr"
                | b"may"
                | b"jun"
                | b"jul"
                | b"aug"
                | b"sep"
                | b"oct"
                | b"nov"
                | b"dec"
                | b"sun"
                | b"mon"
                | b"tue"
                | b"wed"
                | b"thu"
                | b"fri"
                | b"sat"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Timestamp;
    use crate::event::time::any_prefix;
    use proptest::prelude::*;

    const REFERENCE: Timestamp = Timestamp(1_795_440_762_000_000_000);

    #[test]
    fn words_and_numbers_of_messages_are_none() {
        for text in [
            "",
            "The",
            "WARN",
            "java",
            "3 of them",
            "12",
            "503 ",
            "7%",
            "12345",
            "99: no",
            "1. A",
            "2026 of",
        ] {
            let may = may_begin(text.as_bytes());
            assert_eq!(may, text == "99: no", "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_time_is_missed(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::sample::select(vec![
                        "2026", "11", "23", "1", "13:32:42", "13", "32", "42", "Nov", "nov", "November",
                        "Mon", "MONDAY", "20261123", "133242", "261123", "1795440762", "1795440762123",
                        "1123", "-", "/", ".", " ", ":", "T", "t", ",", "_", "|", "at ", "PM", "Z",
                    ]).prop_map(|p| p.as_bytes().to_vec()),
                    prop::collection::vec(any::<u8>(), 1..3),
                ],
                1..9,
            ),
        ) {
            let text = pieces.concat();
            if any_prefix(&text, REFERENCE).is_some() {
                prop_assert!(may_begin(&text));
            }
        }
    }
}
