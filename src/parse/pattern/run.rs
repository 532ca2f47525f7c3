//! Matching a line against a program: spans for its captures.
//!
//! There is no backtracking: every step either takes what it must or fails
//! its group, so a line costs one pass, whatever is in it.

use std::net::IpAddr;

use super::super::scan;
use super::compile::{Group, Op, Stop};
use super::template::Kind;
use crate::event::time::Memo;
use crate::event::{FieldKind, Level, Timestamp};

/// The longest run of letters that can be a level.
const LEVEL_BYTES_MAX: usize = 13;
/// The longest run of bytes that can be an address.
const IP_BYTES_MAX: usize = 45;

/// What a capture took.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span {
    pub(super) start: u32,
    pub(super) end: u32,
    pub(super) kind: FieldKind,
    pub(super) present: bool,
}

impl Span {
    pub(super) const ABSENT: Span = Span {
        start: 0,
        end: 0,
        kind: FieldKind::Text,
        present: false,
    };

    fn new(start: usize, end: usize, kind: FieldKind) -> Span {
        Span {
            start: start as u32,
            end: end as u32,
            kind,
            present: true,
        }
    }

    /// Of text: without the spaces around it; nothing or `-` is absent.
    fn trimmed(text: &[u8], mut start: usize, mut end: usize) -> Span {
        while start < end && text[start] == b' ' {
            start += 1;
        }
        while start < end && text[end - 1] == b' ' {
            end -= 1;
        }
        if start == end || (end - start == 1 && text[start] == b'-') {
            return Span::ABSENT;
        }
        Span::new(start, end, FieldKind::Text)
    }
}

/// The scratch of one matcher.
#[derive(Clone, Debug)]
pub(super) struct State {
    pub(super) spans: Box<[Span]>,
    /// One for each slot, once a time is read: most candidates of a stream never
    /// get to one.
    pub(super) memos: Vec<Memo>,
    pub(super) reference: Timestamp,
}

impl State {
    pub(super) fn memo(&mut self, slot: usize) -> &mut Memo {
        if self.memos.is_empty() {
            self.memos.resize(self.spans.len(), Memo::EMPTY);
        }
        &mut self.memos[slot]
    }
}

/// Matches `ops` at `text[at..end]`; where they end.
pub(super) fn run(
    ops: &[Op],
    text: &[u8],
    mut at: usize,
    end: usize,
    state: &mut State,
) -> Option<usize> {
    for op in ops {
        at = match op {
            Op::Literal { bytes, padded } => {
                at = if is_at(text, at, end, bytes) {
                    at + bytes.len()
                } else {
                    loosely(text, at, end, bytes)?
                };
                if *padded {
                    scan::skip_spaces(text, at, end)
                } else {
                    at
                }
            }
            Op::Capture {
                kind,
                slot,
                until,
                inside,
            } => {
                let after = capture(kind, *slot, until, text, at, end, state)?;
                if let Some(inside) = inside {
                    run_inside(inside, text, state.spans[*slot], state);
                }
                after
            }
            Op::Optional(group) => {
                // What is not there is mostly told by one byte.
                let may_be = at >= end || group.firsts.contains(text[at]);
                let after = may_be.then(|| run(&group.ops, text, at, end, state));
                after.flatten().unwrap_or_else(|| {
                    state.spans[group.slots.clone()].fill(Span::ABSENT);
                    at
                })
            }
        };
    }
    Some(at)
}

/// Whether a literal is at `at`: most are one byte long.
#[inline]
fn is_at(text: &[u8], at: usize, end: usize, literal: &[u8]) -> bool {
    match literal {
        [byte] => at < end && text[at] == *byte,
        _ => scan::starts_with(text, at, end, literal),
    }
}

/// Past `bytes` at `at`, each space of which may be several.
fn loosely(text: &[u8], mut at: usize, end: usize, bytes: &[u8]) -> Option<usize> {
    for byte in bytes {
        (text[..end].get(at) == Some(byte)).then_some(())?;
        at = if *byte == b' ' {
            scan::skip_spaces(text, at, end)
        } else {
            at + 1
        };
    }
    Some(at)
}

/// Matches the parts of a capture, which may have them or not.
fn run_inside(group: &Group, text: &[u8], outer: Span, state: &mut State) {
    let (start, end) = (outer.start as usize, outer.end as usize);
    let matched = outer.present && run(&group.ops, text, start, end, state) == Some(end);
    if !matched {
        // The capture's own slot is the first of the group.
        state.spans[group.slots.clone()].fill(Span::ABSENT);
    }
}

#[inline]
fn capture(
    kind: &Kind,
    slot: usize,
    until: &[Stop],
    text: &[u8],
    at: usize,
    end: usize,
    state: &mut State,
) -> Option<usize> {
    let (span, after) = match kind {
        Kind::Text => {
            let stop = stop(until, text, at, end)?;
            (Span::trimmed(text, at, stop), stop)
        }
        Kind::Word => word(until, text, at, end)?,
        Kind::Name => name(text, at, end)?,
        Kind::Most => {
            let stop = last_stop(until, text, at, end)?;
            (Span::trimmed(text, at, stop), stop)
        }
        Kind::Rest => (Span::trimmed(text, at, end), end),
        Kind::Raw => (Span::new(at, end, FieldKind::Text), end),
        Kind::Stream => {
            let streams = [&b"stdout"[..], b"stderr"];
            let name = streams.into_iter().find(|s| text[at..end].starts_with(s))?;
            (
                Span::new(at, at + name.len(), FieldKind::Text),
                at + name.len(),
            )
        }
        Kind::Int | Kind::Float => number(matches!(kind, Kind::Float), text, at, end)?,
        Kind::Ip => ip(text, at, end)?,
        Kind::Level => level(text, at, end)?,
        Kind::Mark => mark(text, at, end)?,
        Kind::Quoted => quoted(text, at, end)?,
        Kind::Time(layout) => {
            let reference = state.reference;
            let len = state.memo(slot).read(layout, &text[at..end], reference)?;
            (Span::new(at, at + len, FieldKind::Time), at + len)
        }
    };
    state.spans[slot] = span;
    Some(after)
}

/// Where the first of the stops is.
#[inline]
fn stop(until: &[Stop], text: &[u8], at: usize, end: usize) -> Option<usize> {
    let mut first = None;
    let mut bound = end;
    for stop in until {
        let found = match stop {
            Stop::Literal(bytes) => {
                scan::find_literal(text, at, end.min(bound + bytes.len() - 1), bytes)
            }
            Stop::End => Some(bound),
        };
        if let Some(found) = found {
            first = Some(found);
            // A further stop counts only if it begins before this one.
            bound = found;
        }
    }
    first
}

/// Where the last of the stops is.
fn last_stop(until: &[Stop], text: &[u8], at: usize, end: usize) -> Option<usize> {
    let literals = until.iter().filter_map(|stop| match stop {
        Stop::Literal(bytes) => memchr::memmem::rfind(&text[at..end], bytes),
        Stop::End => None,
    });
    let last = literals.max().map(|found| at + found);
    last.or_else(|| until.contains(&Stop::End).then_some(end))
}

/// A path of two or more identifiers, joined by `.` or `::`: the name of a
/// logger, a module or a class, and of few other words.
fn name(text: &[u8], start: usize, end: usize) -> Option<(Span, usize)> {
    let identifier = |at: usize| {
        let first = text[..end].get(at)?;
        (first.is_ascii_alphabetic() || *first == b'_').then_some(())?;
        let inside = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'$' | b'-');
        let len = text[at..end].iter().position(|b| !inside(b));
        Some(len.map_or(end, |len| at + len))
    };
    let mut after = identifier(start)?;
    let mut parts = 1;
    loop {
        let joint = match &text[after..end] {
            [b'.', ..] => 1,
            [b':', b':', ..] => 2,
            _ => 0,
        };
        let Some(next) = identifier(after + joint).filter(|_| joint > 0) else {
            break;
        };
        after = next;
        parts += 1;
    }
    (parts > 1).then(|| (Span::new(start, after, FieldKind::Text), after))
}

#[inline]
fn word(until: &[Stop], text: &[u8], at: usize, end: usize) -> Option<(Span, usize)> {
    let mut word_end = scan::blank(text, at, end);
    let mut found = false;
    for stop in until {
        match stop {
            // What follows decides whether this was right.
            Stop::End => found = true,
            Stop::Literal(bytes) => {
                let bound = end.min(word_end + bytes.len() - 1);
                if let Some(stop) = scan::find_literal(text, at, bound, bytes) {
                    word_end = stop;
                    found = true;
                }
            }
        }
    }
    if !found {
        return None;
    }
    (word_end > at).then(|| {
        let dash = word_end - at == 1 && text[at] == b'-';
        let span = if dash {
            Span::ABSENT
        } else {
            Span::new(at, word_end, FieldKind::Text)
        };
        (span, word_end)
    })
}

fn number(float: bool, text: &[u8], start: usize, end: usize) -> Option<(Span, usize)> {
    let digits = |at| scan::non_digit(text, at, end);
    let first = if text[start..end].starts_with(b"-") {
        start + 1
    } else {
        start
    };
    let mut after = digits(first);
    if after == first {
        // A lone dash: no value.
        return (first > start).then_some((Span::ABSENT, first));
    }
    // JSON has no leading zeros; such a number stays text.
    let canonical = text[first] != b'0' || after == first + 1;
    // `-0500` is a zone.
    (canonical || first == start).then_some(())?;
    if float && after + 1 < end && text[after] == b'.' && text[after + 1].is_ascii_digit() {
        after = digits(after + 1);
    }
    let kind = if canonical {
        FieldKind::Number
    } else {
        FieldKind::Text
    };
    Some((Span::new(start, after, kind), after))
}

/// How many bytes a dotted IPv4 address at the start of `text` takes; leading
/// zeros are refused, as everywhere.
fn ipv4(text: &[u8]) -> Option<usize> {
    let mut at = 0;
    for octet in 0..4 {
        if octet > 0 {
            (*text.get(at)? == b'.').then_some(())?;
            at += 1;
        }
        let start = at;
        let mut value = 0u32;
        while let Some(digit) = text
            .get(at)
            .filter(|b| b.is_ascii_digit() && at < start + 3)
        {
            value = value * 10 + u32::from(digit - b'0');
            at += 1;
        }
        let leading_zero = at > start + 1 && text[start] == b'0';
        if at == start || value > 255 || leading_zero {
            return None;
        }
    }
    Some(at)
}

fn ip(text: &[u8], at: usize, end: usize) -> Option<(Span, usize)> {
    if let Some(len) = ipv4(&text[at..end])
        && !matches!(
            text[at..end].get(len),
            Some(b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')
        )
    {
        return Some((Span::new(at, at + len, FieldKind::Text), at + len));
    }
    let window = &text[at..end.min(at + IP_BYTES_MAX + 1)];
    let len = window
        .iter()
        .position(|b| !(b.is_ascii_hexdigit() || matches!(b, b'.' | b':')))
        .unwrap_or(window.len());
    if len == 0 && window.first() == Some(&b'-') {
        return Some((Span::ABSENT, at + 1));
    }
    let address = std::str::from_utf8(&window[..len]).ok()?;
    address.parse::<IpAddr>().ok()?;
    Some((Span::new(at, at + len, FieldKind::Text), at + len))
}

fn level(text: &[u8], at: usize, end: usize) -> Option<(Span, usize)> {
    let window = &text[at..end.min(at + LEVEL_BYTES_MAX + 1)];
    let len = window
        .iter()
        .position(|b| !b.is_ascii_alphabetic())
        .unwrap_or(window.len());
    // Most lines that are none of ours fail here: before the search for a name.
    if len == 0 {
        return None;
    }
    Level::parse(&window[..len])?;
    // `DEBUG1`, `INFO2`: a digit of its own at a word.
    let is_digit = |i: usize| window.get(i).is_some_and(u8::is_ascii_digit);
    let graded = len > 1 && is_digit(len) && !is_digit(len + 1);
    let len = len + usize::from(graded && Level::parse(&window[..=len]).is_some());
    Some((Span::new(at, at + len, FieldKind::Text), at + len))
}

/// The marks of Redis's log (`serverLogRaw`): debug, verbose, notice, warning.
fn mark(text: &[u8], at: usize, end: usize) -> Option<(Span, usize)> {
    let level = match text[..end].get(at)? {
        b'.' | b'-' => Level::DEBUG,
        b'*' => Level::NOTICE,
        b'#' => Level::WARN,
        _ => return None,
    };
    // The level stands in no span: it takes the place of one.
    let value = usize::from(level.0);
    Some((Span::new(value, value, FieldKind::Level), at + 1))
}

fn quoted(text: &[u8], at: usize, end: usize) -> Option<(Span, usize)> {
    if at >= end || text[at] != b'"' {
        return None;
    }
    let (close, escaped) = scan::quoted(text, at + 1, end)?;
    let dash = close - at == 2 && text[at + 1] == b'-';
    let kind = if escaped {
        FieldKind::HexEscaped
    } else {
        FieldKind::Text
    };
    let span = if dash {
        Span::ABSENT
    } else {
        Span::new(at + 1, close, kind)
    };
    Some((span, close + 1))
}
