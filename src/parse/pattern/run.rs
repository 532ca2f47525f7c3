//! Matching a line against a program: spans for its captures.
//!
//! There is no backtracking: every step either takes what it must or fails
//! its group, so a line costs one pass, whatever is in it.

// What `run` takes itself must not be calls, though `rare` takes it too.
#![allow(clippy::inline_always)]

use std::net::IpAddr;

use super::super::scan;
use super::compile::{Group, Op, Program, Quick, Step, Stop};
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

    /// Puts `text[start..end]` where `step` has it.
    #[inline(always)]
    fn put(&mut self, step: &Step, kind: FieldKind, start: usize, end: usize) {
        self.fields[step.slot] = Field::new(step.def, kind, start, end);
    }

    /// As [`State::put`], but a lone `-` is nothing: whether it is one varies from
    /// line to line, so no branch depends on it.
    #[inline(always)]
    fn put_value(&mut self, step: &Step, kind: FieldKind, text: &[u8], start: usize, end: usize) {
        let absent = (end - start == 1) & (text.get(start) == Some(&b'-'));
        self.fields[step.slot] = Field::new(step.def, kind, start, end).unless(absent);
    }

    /// Says that there is nothing for `step`.
    #[inline]
    fn leave(&mut self, step: &Step) {
        self.fields[step.slot] = Field::ABSENT;
    }

    fn clear(&mut self, group: &Group) {
        for &slot in &group.slots {
            self.fields[slot] = Field::ABSENT;
        }
    }
}

/// Matches `steps` at `text[at..end]`; where they end.
///
/// Only what is taken most often is here, so that it has the registers.
pub(super) fn run(
    steps: &[Step],
    text: &[u8],
    mut at: usize,
    end: usize,
    state: &mut State,
) -> Option<usize> {
    for step in steps {
        let start = step.lead.pass(text, at, end)?;
        at = match step.quick {
            Quick::Word => word(step, text, start, scan::blank(text, start, end), state)?,
            Quick::TextTo(byte) => {
                let found = scan::find(text, start, end, byte)?;
                trimmed(step, text, start, found, state);
                found
            }
            Quick::Int => number(step, text, start, end, state)?,
            Quick::Quoted => {
                let after = quoted(step, text, start, end, state)?;
                if let Some(inside) = &step.inside {
                    run_inside(inside, text, step.slot, state);
                }
                after
            }
            Quick::Time => time(step, text, start, end, state)?,
            Quick::Optional => optional(step, text, start, end, state)?,
            Quick::Other => other(step, text, start, end, state)?,
        };
    }
    Some(at)
}

#[inline(never)]
fn time(step: &Step, text: &[u8], at: usize, end: usize, state: &mut State) -> Option<usize> {
    let Op::Time(layout, time) = &step.op else {
        return None;
    };
    let now = state.reference;
    let after = state.memo(*time).read_at(layout, text, at, end, now)?;
    state.put(step, FieldKind::Time, at, after);
    if let Some(inside) = &step.inside {
        run_inside(inside, text, step.slot, state);
    }
    Some(after)
}

#[inline(never)]
fn optional(step: &Step, text: &[u8], at: usize, end: usize, state: &mut State) -> Option<usize> {
    let Op::Optional(group) = &step.op else {
        return None;
    };
    // What is not there is mostly told by one byte.
    let next = text.get(at..end)?.first().unwrap_or(&b'\n');
    if group.firsts.contains(*next)
        && let Some(after) = run(&group.steps, text, at, end, state)
    {
        return Some(after);
    }
    state.clear(group);
    Some(at)
}

/// Takes what is none of the quick ones, by a call that needs nothing of its own.
#[inline(never)]
fn other(step: &Step, text: &[u8], at: usize, end: usize, state: &mut State) -> Option<usize> {
    if at > end {
        return None;
    }
    match &step.op {
        Op::Nothing => Some(at),
        Op::Text(_) => up_to(step, text, at, end, state),
        _ => rare(step, text, at, end, state),
    }
}

/// Takes the text up to a literal.
#[inline(never)]
fn up_to(step: &Step, text: &[u8], at: usize, end: usize, state: &mut State) -> Option<usize> {
    let Op::Text(literal) = &step.op else {
        return None;
    };
    let found = literal.find(text, at, end)?;
    trimmed(step, text, at, found, state);
    if let Some(inside) = &step.inside {
        run_inside(inside, text, step.slot, state);
    }
    Some(found)
}

#[inline(never)]
fn rare(step: &Step, text: &[u8], at: usize, end: usize, state: &mut State) -> Option<usize> {
    let after = match &step.op {
        Op::Nothing | Op::Optional(_) | Op::Time(..) | Op::Text(_) | Op::Quoted => return None,
        Op::TextUntil(until) => {
            let found = first_stop(until, text, at, end)?;
            trimmed(step, text, at, found, state);
            found
        }
        Op::Most(until) => {
            let found = last_stop(until, text, at, end)?;
            trimmed(step, text, at, found, state);
            found
        }
        Op::Rest => {
            trimmed(step, text, at, end, state);
            end
        }
        Op::Word => word(step, text, at, scan::blank(text, at, end), state)?,
        Op::WordTo(byte) => {
            let found = scan::find_in_word(text, at, end, *byte)?;
            word(step, text, at, found, state)?
        }
        Op::WordUntil(until) => {
            let found = word_end(until, text, at, end)?;
            word(step, text, at, found, state)?
        }
        Op::Int => number(step, text, at, end, state)?,
        Op::Float => float(step, text, at, end, state)?,
        Op::Ip => ip(step, text, at, end, state)?,
        Op::Mark => {
            state.fields[step.slot] = Field::level(step.def, mark(text, at, end)?);
            // It stands in no span that could have parts.
            return Some(at + 1);
        }
        Op::Raw | Op::Name | Op::Level | Op::Stream => {
            let after = plain(&step.op, text, at, end)?;
            state.put(step, FieldKind::Text, at, after);
            after
        }
    };
    if let Some(inside) = &step.inside {
        run_inside(inside, text, step.slot, state);
    }
    Some(after)
}

/// Where what stands as it is taken ends.
fn plain(op: &Op, text: &[u8], at: usize, end: usize) -> Option<usize> {
    match op {
        Op::Name => name(text, at, end),
        Op::Level => level(text, at, end),
        Op::Stream => {
            let streams = [&b"stdout"[..], b"stderr"];
            let name = streams.into_iter().find(|s| text[at..end].starts_with(s))?;
            Some(at + name.len())
        }
        _ => Some(end),
    }
}

/// Matches the parts of a capture, which may have them or not.
#[inline(never)]
fn run_inside(group: &Group, text: &[u8], slot: usize, state: &mut State) {
    let outer = state.fields[slot];
    let start = outer.start as usize;
    let end = start + outer.len as usize;
    let matched = !outer.is_absent() && run(&group.steps, text, start, end, state) == Some(end);
    if !matched {
        state.clear(group);
    }
}

/// Takes text without the spaces around it; nothing or `-` is absent.
#[inline(always)]
fn trimmed(step: &Step, text: &[u8], start: usize, end: usize, state: &mut State) {
    match &text[start..end] {
        [first, ..] if *first != b' ' && text[end - 1] != b' ' => {
            state.put_value(step, FieldKind::Text, text, start, end);
        }
        _ => odd_text(step, text, start, end, state),
    }
}

/// Takes text that may be short or between spaces.
#[inline(never)]
fn odd_text(step: &Step, text: &[u8], start: usize, end: usize, state: &mut State) {
    let inside = &text[start..end];
    let first = inside.iter().position(|b| *b != b' ');
    let last = inside.iter().rposition(|b| *b != b' ');
    match first.zip(last) {
        Some((first, last)) if inside[first..=last] != *b"-" => {
            state.put(step, FieldKind::Text, start + first, start + last + 1);
        }
        _ => state.leave(step),
    }
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

/// Takes the word `text[at..end]`, if it is not empty; `-` is absent.
#[inline(always)]
fn word(step: &Step, text: &[u8], at: usize, end: usize, state: &mut State) -> Option<usize> {
    (end > at).then_some(())?;
    state.put_value(step, FieldKind::Text, text, at, end);
    Some(end)
}

#[inline(always)]
fn number(step: &Step, text: &[u8], start: usize, end: usize, state: &mut State) -> Option<usize> {
    let mut after = scan::non_digit(text, start, end);
    // JSON has no leading zeros, and a number is not a lone dash.
    if after <= start || (text[start] == b'0' && after > start + 1) {
        after = odd_number(step, text, start, end, state)?;
    } else {
        state.put(step, FieldKind::Number, start, after);
    }
    Some(after)
}

/// Takes a number that is negative, absent or has leading zeros.
#[inline(never)]
fn odd_number(
    step: &Step,
    text: &[u8],
    start: usize,
    end: usize,
    state: &mut State,
) -> Option<usize> {
    let first = start + usize::from(text.get(start..end)?.starts_with(b"-"));
    let after = scan::non_digit(text, first, end);
    if after == first {
        // A lone dash: no value.
        state.leave(step);
        return (first > start).then_some(first);
    }
    // What begins with zeros stays text; `-0500` is a zone.
    let canonical = text[first] != b'0' || after == first + 1;
    (canonical || first == start).then_some(())?;
    let kind = if canonical {
        FieldKind::Number
    } else {
        FieldKind::Text
    };
    state.put(step, kind, start, after);
    Some(after)
}

fn float(step: &Step, text: &[u8], start: usize, end: usize, state: &mut State) -> Option<usize> {
    let mut after = number(step, text, start, end, state)?;
    let whole = state.fields[step.slot];
    if !whole.is_absent() && matches!(text[after..end], [b'.', b'0'..=b'9', ..]) {
        after = scan::non_digit(text, after + 1, end);
        state.put(step, whole.kind(), start, after);
    }
    Some(after)
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

fn ip(step: &Step, text: &[u8], at: usize, end: usize, state: &mut State) -> Option<usize> {
    let address = |len, state: &mut State| {
        state.put(step, FieldKind::Text, at, at + len);
        at + len
    };
    if let Some(len) = ipv4(&text[at..end])
        && !matches!(
            text[at..end].get(len),
            Some(b'.' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')
        )
    {
        return Some(address(len, state));
    }
    let window = &text[at..end.min(at + IP_BYTES_MAX + 1)];
    let len = window
        .iter()
        .position(|b| !(b.is_ascii_hexdigit() || matches!(b, b'.' | b':')))
        .unwrap_or(window.len());
    if len == 0 && window.first() == Some(&b'-') {
        state.leave(step);
        return Some(at + 1);
    }
    let name = std::str::from_utf8(&window[..len]).ok()?;
    name.parse::<IpAddr>().ok()?;
    Some(address(len, state))
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

/// Takes the inside of a string whose opening quote is before `at`.
#[inline(always)]
fn quoted(step: &Step, text: &[u8], at: usize, end: usize, state: &mut State) -> Option<usize> {
    let (close, escaped) = scan::quoted(text, at, end)?;
    let kind = if escaped {
        FieldKind::HexEscaped
    } else {
        FieldKind::Text
    };
    state.put_value(step, kind, text, at, close);
    Some(close + 1)
}
