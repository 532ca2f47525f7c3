//! Severity, as OpenTelemetry's severity number, whatever the spelling was.
//!
//! Specification: OpenTelemetry Logs Data Model, "Severity Fields" and its
//! appendix B with the mapping from syslog, log4j and others.

/// A severity number: 1–4 trace, 5–8 debug, 9–12 info, 13–16 warn,
/// 17–20 error, 21–24 fatal. `ABSENT` (0) stands for "no level".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Level(pub u8);

/// Every spelling of up to [`SHORT_BYTES_MAX`] bytes, …
const SHORT: [(&[&str], Level); 9] = [
    (
        &["info", "i", "inf", "log", "system", "6", "30"],
        Level::INFO,
    ),
    (
        &["error", "e", "err", "eror", "erro", "severe", "3", "50"],
        Level::ERROR,
    ),
    (&["warn", "w", "warning", "wrn", "4", "40"], Level::WARN),
    (
        &["debug", "d", "dbg", "debu", "fine", "config", "7", "20"],
        Level::DEBUG,
    ),
    (
        &["trace", "t", "trc", "v", "verbose", "finer", "finest", "10"],
        Level::TRACE,
    ),
    (
        &["fatal", "f", "ftl", "fata", "panic", "emerg", "0", "60"],
        Level::FATAL,
    ),
    (&["notice", "note", "n", "5"], Level::NOTICE),
    (&["c", "crit", "2"], Level::CRITICAL),
    (&["alert", "1"], Level::ALERT),
];

/// … and the longer ones.
const LONG: [(&str, Level); 4] = [
    ("critical", Level::CRITICAL),
    ("information", Level::INFO),
    ("informational", Level::INFO),
    ("emergency", Level::FATAL),
];

/// What fits into a [`key`] beside its length.
const SHORT_BYTES_MAX: usize = 7;
/// A power of two, about twice as many as there are spellings.
const SLOTS: usize = 128;

/// The spellings in [`SHORT`] by their keys: each in its [`slot`] or the next
/// that was empty.
static TABLE: [(u64, Level); SLOTS] = table();

/// How long a word can be that is a level: bit `n` for `n` bytes, by its first
/// byte, …
static FIRST: [u16; 256] = lengths(true);
/// … and by its last.
static LAST: [u16; 256] = lengths(false);

const fn lengths(by_first: bool) -> [u16; 256] {
    let mut lengths = [0; 256];
    let mut i = 0;
    while i < SHORT.len() {
        let mut j = 0;
        while j < SHORT[i].0.len() {
            lengths = with_spelling(lengths, SHORT[i].0[j].as_bytes(), by_first);
            j += 1;
        }
        i += 1;
    }
    i = 0;
    while i < LONG.len() {
        lengths = with_spelling(lengths, LONG[i].0.as_bytes(), by_first);
        i += 1;
    }
    lengths
}

const fn with_spelling(mut lengths: [u16; 256], word: &[u8], by_first: bool) -> [u16; 256] {
    let (len, graded) = (1 << word.len(), 1 << (word.len() + 1));
    let byte = word[if by_first { 0 } else { word.len() - 1 }];
    lengths[byte as usize] |= len;
    if byte.is_ascii_alphabetic() {
        lengths[byte.to_ascii_uppercase() as usize] |= len;
    }
    // With a digit for its grade.
    let mut grade = b'1';
    while grade <= b'5' && word.len() > 1 {
        let byte = if by_first { byte } else { grade };
        lengths[byte as usize] |= graded;
        lengths[byte.to_ascii_uppercase() as usize] |= graded;
        grade += 1;
    }
    lengths
}

const fn table() -> [(u64, Level); SLOTS] {
    let mut table = [(0, Level::ABSENT); SLOTS];
    let mut i = 0;
    while i < SHORT.len() {
        let (words, level) = SHORT[i];
        let mut j = 0;
        while j < words.len() {
            let key = key(words[j].as_bytes());
            let mut at = slot(key);
            while table[at].0 != 0 {
                at = (at + 1) % SLOTS;
            }
            table[at] = (key, level);
            j += 1;
        }
        i += 1;
    }
    table
}

/// A word of up to [`SHORT_BYTES_MAX`] bytes as a number, in small letters and
/// with its length; 0 if it is empty.
#[inline]
const fn key(word: &[u8]) -> u64 {
    let len = word.len();
    let bytes = match (word.first_chunk(), word.last_chunk()) {
        // What the two have in common is the same in both.
        (Some(first), Some(last)) => {
            u32::from_le_bytes(*first) as u64
                | (u32::from_le_bytes(*last) as u64) << (8 * (len - 4))
        }
        _ if len > 0 => {
            word[0] as u64
                | (word[len / 2] as u64) << (8 * (len / 2))
                | (word[len - 1] as u64) << (8 * (len - 1))
        }
        _ => 0,
    };
    // Letters, and nothing that is in a spelling but them, have the bit 0x40.
    bytes | (bytes & 0x4040_4040_4040_4040) >> 1 | (len as u64) << 56
}

/// Where a key belongs: the top bits of a product with the golden ratio.
#[inline]
const fn slot(key: u64) -> usize {
    (key.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - SLOTS.trailing_zeros())) as usize
}

impl Level {
    /// No level was found.
    pub const ABSENT: Level = Level(0);
    /// `OTel` `TRACE`.
    pub const TRACE: Level = Level(1);
    /// `OTel` `DEBUG`.
    pub const DEBUG: Level = Level(5);
    /// `OTel` `INFO`.
    pub const INFO: Level = Level(9);
    /// `OTel` `INFO2`: syslog's notice.
    pub const NOTICE: Level = Level(10);
    /// `OTel` `WARN`.
    pub const WARN: Level = Level(13);
    /// `OTel` `ERROR`.
    pub const ERROR: Level = Level(17);
    /// `OTel` `ERROR2`: syslog's critical.
    pub const CRITICAL: Level = Level(18);
    /// `OTel` `ERROR3`: syslog's alert.
    pub const ALERT: Level = Level(19);
    /// `OTel` `FATAL`: syslog's emergency.
    pub const FATAL: Level = Level(21);

    /// Reads a level as programs spell it: a word or its common abbreviation
    /// in any case, with a digit for its grade (`DEBUG1`, `INFO2`), one of the
    /// letters `T V D I N W E C F`, a syslog severity (`0`–`7`) or a pino/bunyan
    /// number (`10`, `20` … `60`).
    #[must_use]
    #[inline]
    pub fn parse(text: &[u8]) -> Option<Level> {
        let text = match text {
            [word @ .., last, b'1'..=b'5'] if !word.is_empty() && last.is_ascii_alphabetic() => {
                &text[..text.len() - 1]
            }
            _ => text,
        };
        if Level::may_be(text) {
            Level::spelt(text)
        } else {
            None
        }
    }

    /// Whether [`Level::parse`] may find one: nearly all words of a message fail
    /// here, by their length and the bytes at both ends.
    #[must_use]
    #[inline]
    pub(crate) fn may_be(text: &[u8]) -> bool {
        let (Some(&first), Some(&last)) = (text.first(), text.last()) else {
            return false;
        };
        let lengths = FIRST[usize::from(first)] & LAST[usize::from(last)];
        // Not a branch: words are of any length.
        u32::from(lengths) >> text.len().min(31) & 1 == 1
    }

    /// The level that is spelt like this.
    fn spelt(text: &[u8]) -> Option<Level> {
        if text.len() > SHORT_BYTES_MAX {
            let mut long = LONG.iter();
            let found = long.find(|(word, _)| text.eq_ignore_ascii_case(word.as_bytes()))?;
            return Some(found.1);
        }
        let key = key(text);
        let mut at = slot(key);
        // Half of the slots are empty: mostly it is the first.
        while TABLE[at].0 != key {
            if TABLE[at].0 == 0 {
                return None;
            }
            at = (at + 1) % SLOTS;
        }
        Some(TABLE[at].1)
    }

    /// The short lower-case name of the range the number is in; empty if absent.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self.0 {
            1..=4 => "trace",
            5..=8 => "debug",
            9..=12 => "info",
            13..=16 => "warn",
            17..=20 => "error",
            21..=24 => "fatal",
            _ => "",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_meet_on_one_number() {
        for (text, level) in [
            ("WARN", Level::WARN),
            ("Warning", Level::WARN),
            ("w", Level::WARN),
            ("40", Level::WARN),
            ("ERR", Level::ERROR),
            ("3", Level::ERROR),
            ("informational", Level::INFO),
            ("EMERG", Level::FATAL),
            ("notice", Level::NOTICE),
            ("Note", Level::NOTICE),
            ("DEBUG5", Level::DEBUG),
            ("V", Level::TRACE),
        ] {
            assert_eq!(Level::parse(text.as_bytes()), Some(level), "{text}");
        }
        assert_eq!(Level::parse(b""), None);
        assert_eq!(Level::parse(b"informationally"), None);
        assert_eq!(Level::parse(b"8"), None);
        // A zero is no letter, and `Q` no digit.
        for text in [&b"i\0"[..], b"\x13", b"\x136", b"Q", b"WAR\0", b"\xc9nfo"] {
            assert_eq!(Level::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn every_spelling_is_found_in_any_case() {
        let short = SHORT
            .iter()
            .flat_map(|(words, level)| words.iter().map(move |w| (*w, *level)));
        for (word, level) in short.chain(LONG) {
            let mut mixed = word.as_bytes().to_vec();
            assert_eq!(Level::parse(&mixed), Some(level), "{word}");
            mixed
                .iter_mut()
                .step_by(2)
                .for_each(u8::make_ascii_uppercase);
            assert_eq!(Level::parse(&mixed), Some(level), "{word}");
            assert!(Level::may_be(&mixed), "{word}");
            mixed.push(b'3');
            let graded = Level::parse(&mixed).is_some();
            assert!(!graded || Level::may_be(&mixed), "{word}3");
        }
        for word in ["the", "with", "from", "served", "informations", "", "of"] {
            assert!(!Level::may_be(word.as_bytes()), "{word}");
        }
    }

    #[test]
    fn names_cover_the_sub_levels() {
        assert_eq!(Level::CRITICAL.name(), "error");
        assert_eq!(Level(24).name(), "fatal");
        assert_eq!(Level::ABSENT.name(), "");
        assert!(Level::NOTICE > Level::INFO && Level::NOTICE < Level::WARN);
    }
}
