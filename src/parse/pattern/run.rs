//! Matching a line against a program: spans for its captures.
//!
//! There is no backtracking: every step either takes what it must or fails
//! its group, so a line costs one pass, whatever is in it.

use std::net::IpAddr;

use super::super::scan;
use super::compile::{Group, Op, Program, Step, Stop};
use crate::event::time::Memo;
use crate::event::{Field, FieldKind, Level, Timestamp};

/// The longest run of letters that can be a level.
const LEVEL_BYTES_MAX: usize = 13;
/// The longest run of bytes that can be an address.
const IP_BYTES_MAX: usize = 45;

/// The scratch of one matcher.
#[derive(Clone, Debug)]
pub(super) struct State {
    /// What was taken into each slot, and what nobody wants into one more.
    pub(super) fields: Box<[Field]>,
    /// One for each time, once one is read: most candidates of a stream never
    /// get to one.
    pub(super) memos: Vec<Memo>,
    /// How many times there are.
    times: usize,
    pub(super) reference: Timestamp,
}

impl State {
    pub(super) fn new(program: &Program) -> State {
        State {
            fields: vec![Field::ABSENT; program.slots + 1].into(),
            memos: Vec::new(),
            times: program.times,
            reference: Timestamp(0),
        }
    }

    pub(super) fn memo(&mut self, time: usize) -> &mut Memo {
        if self.memos.is_empty() {
            self.memos.resize(self.times, Memo::EMPTY);
        }
        &mut self.memos[time]
    }

    fn clear(&mut self, group: &Group) {
        for &slot in &group.slots {
            self.fields[slot] = Field::ABSENT;
        }
    }
}

/// Matches `steps` at `text[at..end]`; where they end.
pub(super) fn run(
    steps: &[Step],
    text: &[u8],
    mut at: usize,
    end: usize,
    state: &mut State,
) -> Option<usize> {
    for step in steps {
        let def = step.def;
        let text_to = |to: usize| Field::new(def, FieldKind::Text, at, to);
        let (field, after) = match &step.op {
            Op::Byte { byte, padded } => {
                (at < end && text[at] == *byte).then_some(())?;
                at += 1;
                if *padded {
                    at = scan::skip_spaces(text, at, end);
                }
                continue;
            }
            Op::Literal(literal) => {
                at = literal.pass(text, at, end)?;
                continue;
            }
            Op::Optional(group) => {
                // What is not there is mostly told by one byte.
                let may_be = at >= end || group.firsts.contains(text[at]);
                let after = may_be.then(|| run(&group.steps, text, at, end, state));
                match after.flatten() {
                    Some(after) => at = after,
                    None => state.clear(group),
                }
                continue;
            }
            Op::Text(stop) => {
                let stop = stop.find(text, at, end)?;
                (trimmed(def, text, at, stop), stop)
            }
            Op::TextUntil(until) => {
                let stop = first_stop(until, text, at, end)?;
                (trimmed(def, text, at, stop), stop)
            }
            Op::Word => word(def, text, at, scan::blank(text, at, end))?,
            Op::WordTo(stop) => {
                let found = scan::find_in_word(text, at, end, *stop)?;
                word(def, text, at, found)?
            }
            Op::WordUntil(until) => word(def, text, at, word_end(until, text, at, end)?)?,
            Op::Most(until) => {
                let stop = last_stop(until, text, at, end)?;
                (trimmed(def, text, at, stop), stop)
            }
            Op::Int => number(def, text, at, end)?,
            Op::Float => float(def, text, at, end)?,
            Op::Quoted => quoted(def, text, at, end)?,
            Op::Time(layout, time) => {
                let reference = state.reference;
                let len = state.memo(*time).read(layout, &text[at..end], reference)?;
                (Field::new(def, FieldKind::Time, at, at + len), at + len)
            }
            Op::Rest => (trimmed(def, text, at, end), end),
            Op::Raw => (text_to(end), end),
            Op::Name => {
                let after = name(text, at, end)?;
                (text_to(after), after)
            }
            Op::Stream => {
                let streams = [&b"stdout"[..], b"stderr"];
                let name = streams.into_iter().find(|s| text[at..end].starts_with(s))?;
                (text_to(at + name.len()), at + name.len())
            }
            Op::Ip => ip(def, text, at, end)?,
            Op::Level => {
                let after = level(text, at, end)?;
                (text_to(after), after)
            }
            Op::Mark => (Field::level(def, mark(text, at, end)?), at + 1),
        };
        state.fields[step.slot] = field;
        if let Some(inside) = &step.inside {
            run_inside(inside, text, field, state);
        }
        at = after;
    }
    Some(at)
}

/// Matches the parts of a capture, which may have them or not.
fn run_inside(group: &Group, text: &[u8], outer: Field, state: &mut State) {
    let start = outer.start as usize;
    let end = start + outer.len as usize;
    let matched = !outer.is_absent() && run(&group.steps, text, start, end, state) == Some(end);
    if !matched {
        state.clear(group);
    }
}

/// Text without the spaces around it; nothing or `-` is absent.
#[inline]
fn trimmed(def: u32, text: &[u8], mut start: usize, mut end: usize) -> Field {
    while start < end && text[start] == b' ' {
        start += 1;
    }
    while start < end && text[end - 1] == b' ' {
        end -= 1;
    }
    dashed(def, text, start, end)
}

/// Text, of which nothing or `-` is absent.
#[inline]
fn dashed(def: u32, text: &[u8], start: usize, end: usize) -> Field {
    if start == end || (end - start == 1 && text[start] == b'-') {
        return Field::ABSENT;
    }
    Field::new(def, FieldKind::Text, start, end)
}

/// Where the first of the stops is.
fn first_stop(until: &[Stop], text: &[u8], at: usize, end: usize) -> Option<usize> {
    let mut first = None;
    let mut bound = end;
    for stop in until {
        let found = match stop {
            Stop::Literal(literal) => {
                literal.find(text, at, end.min(bound + literal.bytes().len() - 1))
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
        Stop::Literal(literal) => literal.find_last(text, at, end),
        Stop::End => None,
    });
    let last = literals.max();
    last.or_else(|| until.contains(&Stop::End).then_some(end))
}

/// A path of two or more identifiers, joined by `.` or `::`: the name of a
/// logger, a module or a class, and of few other words.
fn name(text: &[u8], start: usize, end: usize) -> Option<usize> {
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
    (parts > 1).then_some(after)
}

/// Where the word at `at` ends: at white space or at the first of the stops,
/// if one is before that.
fn word_end(until: &[Stop], text: &[u8], at: usize, end: usize) -> Option<usize> {
    let mut word_end = scan::blank(text, at, end);
    let mut found = false;
    for stop in until {
        match stop {
            // What follows decides whether this was right.
            Stop::End => found = true,
            Stop::Literal(literal) => {
                let bound = end.min(word_end + literal.bytes().len() - 1);
                if let Some(stop) = literal.find(text, at, bound) {
                    word_end = stop;
                    found = true;
                }
            }
        }
    }
    found.then_some(word_end)
}

#[inline]
fn word(def: u32, text: &[u8], at: usize, end: usize) -> Option<(Field, usize)> {
    (end > at).then(|| (dashed(def, text, at, end), end))
}

#[inline]
fn number(def: u32, text: &[u8], start: usize, end: usize) -> Option<(Field, usize)> {
    let after = scan::non_digit(text, start, end);
    // JSON has no leading zeros, and a number is not a lone dash.
    if after == start || (text[start] == b'0' && after > start + 1) {
        return odd_number(def, text, start, end);
    }
    Some((Field::new(def, FieldKind::Number, start, after), after))
}

/// A number that is negative, absent or has leading zeros.
fn odd_number(def: u32, text: &[u8], start: usize, end: usize) -> Option<(Field, usize)> {
    let first = start + usize::from(text[start..end].starts_with(b"-"));
    let after = scan::non_digit(text, first, end);
    if after == first {
        // A lone dash: no value.
        return (first > start).then_some((Field::ABSENT, first));
    }
    // What begins with zeros stays text; `-0500` is a zone.
    let canonical = text[first] != b'0' || after == first + 1;
    (canonical || first == start).then_some(())?;
    let kind = if canonical {
        FieldKind::Number
    } else {
        FieldKind::Text
    };
    Some((Field::new(def, kind, start, after), after))
}

fn float(def: u32, text: &[u8], start: usize, end: usize) -> Option<(Field, usize)> {
    let (field, mut after) = number(def, text, start, end)?;
    if !field.is_absent() && matches!(text[after..end], [b'.', b'0'..=b'9', ..]) {
        after = scan::non_digit(text, after + 1, end);
        return Some((Field::new(def, field.kind(), start, after), after));
    }
    Some((field, after))
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

fn ip(def: u32, text: &[u8], at: usize, end: usize) -> Option<(Field, usize)> {
    let address = |len| (Field::new(def, FieldKind::Text, at, at + len), at + len);
    if let Some(len) = ipv4(&text[at..end])
        && !matches!(
            text[at..end].get(len),
            Some(b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')
        )
    {
        return Some(address(len));
    }
    let window = &text[at..end.min(at + IP_BYTES_MAX + 1)];
    let len = window
        .iter()
        .position(|b| !(b.is_ascii_hexdigit() || matches!(b, b'.' | b':')))
        .unwrap_or(window.len());
    if len == 0 && window.first() == Some(&b'-') {
        return Some((Field::ABSENT, at + 1));
    }
    let name = std::str::from_utf8(&window[..len]).ok()?;
    name.parse::<IpAddr>().ok()?;
    Some(address(len))
}

fn level(text: &[u8], at: usize, end: usize) -> Option<usize> {
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
    Some(at + len)
}

/// The marks of Redis's log (`serverLogRaw`): debug, verbose, notice, warning.
fn mark(text: &[u8], at: usize, end: usize) -> Option<Level> {
    Some(match text[..end].get(at)? {
        b'.' | b'-' => Level::DEBUG,
        b'*' => Level::NOTICE,
        b'#' => Level::WARN,
        _ => return None,
    })
}

#[inline]
fn quoted(def: u32, text: &[u8], at: usize, end: usize) -> Option<(Field, usize)> {
    if at >= end || text[at] != b'"' {
        return None;
    }
    let (close, escaped) = scan::quoted(text, at + 1, end)?;
    if close - at == 2 && text[at + 1] == b'-' {
        return Some((Field::ABSENT, close + 1));
    }
    let kind = if escaped {
        FieldKind::HexEscaped
    } else {
        FieldKind::Text
    };
    Some((Field::new(def, kind, at + 1, close), close + 1))
}
