//! Whether a word is meant as a level.
//!
//! `ERROR` is one nearly everywhere at the head of a line, `error` only where
//! a column, a bracket or a colon says so, `E` only next to a time or in
//! brackets. A message may use all of these words.

use std::ops::Range;

use crate::event::Level;
use crate::event::time::may_begin;

/// What stands around a word.
pub(super) struct Around {
    /// The byte before, 0 at the beginning of the line.
    pub(super) before: u8,
    /// The byte behind, 0 at the end of the line.
    pub(super) after: u8,
    /// How many words come before it.
    pub(super) nth: usize,
    /// Whether it is alone in brackets or in a column.
    pub(super) enclosed: bool,
    /// How many words, but for numbers, stand between the time and it.
    pub(super) since_time: Option<usize>,
    /// Whether a key such as `level=` stands before it.
    pub(super) keyed: bool,
}

/// Words that are levels and mostly nothing else, in the letters of a shout.
const PLAIN: [&str; 22] = [
    "TRACE", "DEBUG", "INFO", "NOTICE", "WARN", "WARNING", "ERROR", "FATAL", "CRITICAL", "SEVERE",
    "TRC", "DBG", "INF", "WRN", "ERR", "FTL", "CRIT", "EMERG", "ALERT", "VERBOSE", "PANIC", "FINE",
];

/// Those of them that are levels in small letters too, next to a time.
const SMALL: [&str; 14] = [
    "trace", "debug", "info", "notice", "warn", "warning", "error", "fatal", "critical", "inf",
    "wrn", "dbg", "trc", "err",
];

/// Keys whose value is a level.
const KEYS: [&str; 8] = [
    "level",
    "lvl",
    "severity",
    "loglevel",
    "log_level",
    "levelname",
    "sev",
    "priority",
];

/// What ends a word.
#[inline]
pub(super) fn is_delimiter(byte: u8) -> bool {
    DELIMITERS[usize::from(byte)]
}

static DELIMITERS: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0;
    while byte <= b' ' {
        table[byte as usize] = true;
        byte += 1;
    }
    let signs = b"[]()<>{}|,;:\"'=/";
    let mut i = 0;
    while i < signs.len() {
        table[signs[i] as usize] = true;
        i += 1;
    }
    table
};

/// Whether a time can begin with this byte: a digit, or the first letter of a
/// month or weekday.
pub(super) const fn begins_time(byte: u8) -> bool {
    byte.is_ascii_digit()
        || matches!(
            byte,
            b'J' | b'F' | b'M' | b'A' | b'S' | b'O' | b'N' | b'D' | b'T' | b'W'
        )
}

/// What is no part of a word that it stands beside.
pub(super) fn is_trailer(byte: u8) -> bool {
    matches!(byte, b'-' | b'*' | b'!')
}

/// What is looked for in words still: the bits of [`KINDS`] that matter.
#[derive(Clone, Copy)]
pub(super) struct Wanted(u8);

/// What a byte says of the word that it begins …
const TIME: u8 = 1;
const NUMBER: u8 = 2;
const SIGN: u8 = 4;
/// … or ends.
const TRAILER: u8 = 8;
const LEVEL: u8 = NUMBER | SIGN | TRAILER;

static KINDS: [u8; 256] = {
    let mut kinds = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        kinds[byte as usize] = match byte {
            b'0'..=b'9' => TIME | NUMBER,
            b'-' | b'*' | b'!' => SIGN | TRAILER,
            b'#' => SIGN,
            _ if begins_time(byte) => TIME,
            _ => 0,
        };
        byte += 1;
    }
    kinds
};

pub(super) fn wanted(time: bool, level: bool) -> Wanted {
    Wanted(if time { TIME } else { 0 } | if level { LEVEL } else { 0 })
}

impl Wanted {
    /// Whether a word of the line can be the beginning of a time or a level, or
    /// is to be looked at for another reason: nearly all words are not.
    #[inline]
    pub(super) fn may_be(self, text: &[u8], word: &Range<usize>, line_end: usize) -> bool {
        let word_text = &text[word.clone()];
        let (Some(&first), Some(&last)) = (word_text.first(), word_text.last()) else {
            return false;
        };
        let kinds = KINDS[usize::from(first)] | KINDS[usize::from(last)] & TRAILER;
        // Two questions and one branch.
        let may_be_level = Level::may_be(word_text) & (self.0 & LEVEL != 0);
        ((kinds & self.0 != 0) | may_be_level)
            && (may_be_level || self.needs_a_look(text, word, line_end))
    }

    fn needs_a_look(self, text: &[u8], word: &Range<usize>, line_end: usize) -> bool {
        let (first, last) = (text[word.start], text[word.end - 1]);
        let wants_time = self.0 & TIME != 0;
        if wants_time && begins_time(first) && may_begin(&text[word.start..line_end]) {
            return true;
        }
        if self.0 & LEVEL == 0 {
            return false;
        }
        // A number of two digits may be a level, `main.go:87:` says where the
        // message is, and numbers are not counted.
        let next = || text[..line_end].get(word.end);
        let number =
            first.is_ascii_digit() && (word.len() <= 2 || !wants_time || next() == Some(&b':'));
        number || is_trailer(last) || is_trailer(first) || first == b'#'
    }
}

/// The bracket that closes another.
pub(super) fn closing(open: u8) -> Option<u8> {
    match open {
        b'[' => Some(b']'),
        b'(' => Some(b')'),
        b'<' => Some(b'>'),
        b'{' => Some(b'}'),
        _ => None,
    }
}

/// Whether `head` ends in a key whose value is a level: `level=`, `"level":"`,
/// `severity: `.
pub(super) fn has_key(head: &[u8]) -> bool {
    let Some((value, rest)) = head
        .split_last_chunk::<1>()
        .map(|(rest, last)| (last[0], rest))
    else {
        return false;
    };
    if !matches!(value, b'=' | b':' | b'"' | b' ') {
        return false;
    }
    let mut key = rest;
    if value != b'=' {
        // At most `": "` lies between a key and its value.
        let signs = |b: &u8| matches!(b, b'"' | b' ' | b':' | b'=');
        let count = head.iter().rev().take(5).take_while(|b| signs(b)).count();
        key = &head[..head.len() - count];
        if !head[key.len()..].iter().any(|b| matches!(b, b':' | b'=')) {
            return false;
        }
    }
    KEYS.iter().any(|name| {
        let start = key.len().checked_sub(name.len());
        start.is_some_and(|start| {
            key[start..].eq_ignore_ascii_case(name.as_bytes())
                && (start == 0 || !key[start - 1].is_ascii_alphanumeric())
        })
    })
}

/// The level that a number tells if a key stands before it, at the end of `head`.
pub(super) fn number(digits: &[u8], head: &[u8]) -> Option<Level> {
    // Most numbers are none.
    let level = Level::parse(digits)?;
    (digits.iter().all(u8::is_ascii_digit) && has_key(head)).then_some(level)
}

/// Whether a word that is a level may be meant as one at the beginning of a
/// line, if a time follows: other single letters than those are none.
pub(super) fn may_be_level(word: &[u8]) -> bool {
    word.len() > 1 || is_letter(word)
}

fn is_letter(word: &[u8]) -> bool {
    matches!(
        word,
        [b'T' | b'V' | b'D' | b'I' | b'N' | b'W' | b'E' | b'C' | b'F']
    )
}

/// Whether a word that is a level is meant as one.
pub(super) fn is_level(word: &[u8], around: &Around) -> bool {
    if word.len() == 1 {
        let spaced = matches!(
            around.after,
            b' ' | b'\t' | b'/' | b'|' | b':' | b',' | b']'
        );
        let apart = around.enclosed && (around.since_time.is_some() || around.nth == 0);
        let next = around.since_time == Some(0) && spaced;
        return is_letter(word) && (apart || next || around.keyed);
    }
    if around.enclosed || around.keyed {
        return true;
    }
    // `[error code]` and `error=5` are something else.
    let ended = matches!(
        around.after,
        0 | b' ' | b'\t' | b':' | b'|' | b',' | b';' | b']' | b')' | b'>' | b'}' | b'/'
    );
    if !ended || around.before == b'=' || around.before == b'/' {
        return false;
    }
    let near = around.nth == 0 || around.since_time == Some(0);
    let told = matches!(around.after, b':' | b'|') || around.before == b'|';
    if is_shouted(word) {
        let plain = || PLAIN.iter().any(|p| p.as_bytes() == word);
        // A digit of its own: `DEBUG1`.
        let graded = word[word.len() - 1].is_ascii_digit();
        let in_head = around.nth < 4 || around.since_time.is_some_and(|words| words < 8);
        return near || in_head && (told || graded || plain());
    }
    let small = || {
        let mut words = SMALL.iter();
        words.any(|s| s.as_bytes().eq_ignore_ascii_case(word))
    };
    let in_head = near || around.since_time.is_some_and(|words| words < 4);
    (told && in_head) || (around.since_time == Some(0) && small())
}

fn is_shouted(word: &[u8]) -> bool {
    word.iter()
        .all(|b| b.is_ascii_uppercase() || b.is_ascii_digit())
}
