//! What a line looks like from its first bytes: a log line with a level, the
//! name of an exception, a frame of a stack. Nothing here looks further than
//! [`HEAD_BYTES_MAX`], however long a line is.

use crate::event::Level;

/// Time, level, thread and logger stand within so many bytes.
const HEAD_BYTES_MAX: usize = 160;
/// Words longer than this name no exception and no place in a file.
const WORD_BYTES_MAX: usize = 200;

/// A line without its terminator.
pub(super) fn content(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// A line behind its indentation.
pub(super) fn unindented(line: &[u8]) -> &[u8] {
    let indentation = line.iter().position(|b| !matches!(b, b' ' | b'\t'));
    content(&line[indentation.unwrap_or(line.len())..])
}

/// What stands before the first blank of a line; empty if that is far away.
pub(super) fn first_word(line: &[u8]) -> &[u8] {
    let window = &line[..line.len().min(WORD_BYTES_MAX)];
    let end = window.iter().position(u8::is_ascii_whitespace);
    &line[..end.unwrap_or(if window.len() == line.len() {
        line.len()
    } else {
        0
    })]
}

/// Whether a line is one JSON object, as far as its ends tell.
pub(super) fn is_object(line: &[u8]) -> bool {
    let line = content(line);
    line.starts_with(b"{") && line.ends_with(b"}") && line.len() > 2
}

/// `java.lang.IllegalStateException: boom`, `TypeError [ERR_X]: boom`,
/// `KeyboardInterrupt`-like names only with a package: whether a line can be
/// the head of a trace whose frames follow.
pub(super) fn names_exception(line: &[u8]) -> bool {
    let word = first_word(line);
    let name = word.strip_suffix(b":").unwrap_or(word);
    let rest = content(&line[word.len()..]);
    let ends = name.len() < word.len()
        || rest.is_empty()
        || rest.starts_with(b" [")
        || rest.starts_with(b" (");
    let is_part =
        |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'$' | b'\\' | b':');
    if !ends || name.is_empty() || !name.iter().all(is_part) {
        return false;
    }
    let last = name
        .rsplit(|b| matches!(b, b'.' | b'\\' | b':'))
        .next()
        .unwrap_or(name);
    let qualified = last.len() < name.len() && last.first().is_some_and(u8::is_ascii_uppercase);
    qualified
        || [&b"Exception"[..], b"Error", b"Throwable"]
            .iter()
            .any(|end| last.ends_with(end))
}

/// A frame of a Ruby backtrace: ``app.rb:3:in `run'``.
pub(super) fn is_ruby_frame(line: &[u8]) -> bool {
    let word = first_word(line);
    let Some(place) = word.strip_suffix(b":in") else {
        return false;
    };
    let digits = place
        .iter()
        .rev()
        .take_while(|b| b.is_ascii_digit())
        .count();
    digits > 0 && place[..place.len() - digits].ends_with(b":")
}

/// The call in a frame of a Go stack: `main.(*T).run(0xc000012345, {0x4a, 0x1})`.
pub(super) fn is_go_call(line: &[u8]) -> bool {
    let line = content(line);
    let name = line.iter().position(|b| matches!(b, b'(' | b' '));
    name.is_some_and(|at| at > 0 && line[at] == b'(') && line.ends_with(b")")
}

/// A register as Go dumps it: `rax    0x0`.
pub(super) fn is_go_register(line: &[u8]) -> bool {
    let word = first_word(line);
    (2..=6).contains(&word.len()) && unindented(&line[word.len()..]).starts_with(b"0x")
}

/// `thread 'main' panicked at src/main.rs:5:9:`, as far as the verb.
pub(super) fn panics(line: &[u8]) -> bool {
    let head = &line[..line.len().min(HEAD_BYTES_MAX)];
    memchr::memmem::find(head, b" panicked at ").is_some()
}

/// Whether only carets mark a place in the line above.
pub(super) fn is_caret(line: &[u8]) -> bool {
    let line = unindented(line);
    !line.is_empty() && line.iter().all(|b| matches!(b, b'^' | b'~'))
}

/// Whether an indented line is a log line of its own all the same: aligned
/// output begins with a time or, in capitals, a level.
pub(super) fn is_entry(line: &[u8]) -> bool {
    let line = unindented(line);
    is_dated(line) || shouts_level(line) || line.starts_with(b"{\"") && is_object(line)
}

/// Whether a line begins with a date or a time of day.
pub(super) fn is_dated(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"[").unwrap_or(line);
    let digits = |from: usize, n: usize| {
        line.get(from..from + n)
            .is_some_and(|d| d.iter().all(u8::is_ascii_digit))
    };
    (digits(0, 4) && matches!(line.get(4), Some(b'-' | b'/')) && digits(5, 2))
        || (digits(0, 2) && line.get(2) == Some(&b':') && digits(3, 2))
}

fn shouts_level(line: &[u8]) -> bool {
    let line = line.strip_prefix(b"[").unwrap_or(line);
    let end = line.iter().position(|b| !b.is_ascii_uppercase());
    let word = &line[..end.unwrap_or(line.len())];
    (4..=8).contains(&word.len())
        && Level::parse(word).is_some()
        && matches!(
            line.get(word.len()),
            None | Some(b' ' | b'\t' | b':' | b']' | b'|')
        )
}

/// Whether a trace that begins at the margin may belong to the log line
/// before it: that line says that something went wrong, or it has a time and
/// does not say how bad it is.
pub(super) fn announces_trace(event: &[u8]) -> bool {
    let end = memchr::memchr(b'\n', &event[..event.len().min(HEAD_BYTES_MAX)]);
    let head = &event[..end.unwrap_or(event.len().min(HEAD_BYTES_MAX))];
    match level(head) {
        Some(level) => level >= Level::WARN,
        None => has_time_of_day(head),
    }
}

/// The first word that is a level: spelled out, or the letter that klog
/// (`E1123 …`) and Ruby (`E, […`) begin with.
fn level(head: &[u8]) -> Option<Level> {
    // Of the spellings, those that are words of any text.
    const PROSE: [&[u8]; 6] = [
        b"log",
        b"fine",
        b"finer",
        b"finest",
        b"verbose",
        b"information",
    ];
    if let [letter @ b'A'..=b'Z', b'0'..=b'9' | b',', ..] = head {
        return Level::parse(&[*letter]);
    }
    let words = head
        .split(|b| !b.is_ascii_alphabetic())
        .filter(|word| word.len() > 2);
    words
        .filter(|word| !PROSE.iter().any(|prose| word == prose))
        .find_map(Level::parse)
}

fn has_time_of_day(head: &[u8]) -> bool {
    head.windows(5).any(|w| {
        let digit = |at: usize| w[at].is_ascii_digit();
        digit(0) && digit(1) && w[2] == b':' && digit(3) && digit(4)
    })
}
