//! The right side of an operator: from the characters that were written to a
//! typed value. The type is the literal's own, except that against the roles
//! `level` and `timestamp` text must be a level's name or a time.

use std::net::IpAddr;

use super::expression::{Network, Pattern, Value};
use crate::component::regex_fault;
use crate::event::{Cell, ColumnKind, Level, Path, Role, Timestamp, convert, is_part_char};

/// From here on `f64` no longer holds every whole number.
const EXACT_FROM: u128 = 1 << 53;

/// Memory that one compiled regex may take, in bytes: what keeps `\w{1000}`
/// from costing every routing thread megabytes.
const REGEX_BYTES_MAX: usize = 1024 * 1024;

/// Words that are operators, and must be quoted to be text.
pub(super) const KEYWORDS: [&str; 8] = [
    "and",
    "or",
    "not",
    "in",
    "contains",
    "startswith",
    "endswith",
    "exists",
];

/// Names to propose for a level that is none.
const LEVELS: [&str; 9] = [
    "trace", "debug", "info", "notice", "warn", "error", "critical", "alert", "fatal",
];

/// Why a literal cannot stand where it does: the message and what to do.
pub(super) type Refusal = (String, Option<String>);

/// The unquoted literal that `text` begins with, possibly empty: names,
/// numbers, times, addresses, and paths that do not begin with a slash. It
/// ends before the `..` of a range.
pub(super) fn run(text: &str) -> &str {
    let end = text.char_indices().find(|&(at, c)| {
        let inside = is_part_char(c) || matches!(c, '.' | ':' | '/' | '+' | '%');
        !inside || text[at..].starts_with("..")
    });
    &text[..end.map_or(text.len(), |(at, _)| at)]
}

/// What an unquoted literal means for the field `path`.
pub(super) fn word(path: &Path, text: &str) -> Result<Value, Refusal> {
    if text == "null" {
        let message = "expected a value, found null: a JSON null is a missing field".to_owned();
        return Err((message, Some(format!("write not exists({path})"))));
    }
    if KEYWORDS.contains(&text) {
        let help = format!("write {text:?} in quotes if it is meant as text");
        return Err((
            format!("expected a value, found the operator {text}"),
            Some(help),
        ));
    }
    match number(text)
        .or_else(|| measure(text))
        .or_else(|| time(text))
    {
        Some(value) => Ok(value),
        None => string(path, text),
    }
}

/// What a quoted literal means for the field `path`: text, if it is no role
/// with a type of its own.
pub(super) fn string(path: &Path, text: &str) -> Result<Value, Refusal> {
    match path.role() {
        Some(Role::Level) => level(text),
        Some(Role::Timestamp) => time(text).ok_or_else(|| {
            let help = "write a time as RFC 3339: 2026-11-23T13:32:42Z";
            (
                format!("expected a time, found {text:?}"),
                Some(help.to_owned()),
            )
        }),
        _ => Ok(Value::Text(text.to_owned())),
    }
}

/// What a test's value means for the field `path`: as in a rule, `quoted` or not.
pub(super) fn expected(path: &Path, text: &str, quoted: bool) -> Result<Value, String> {
    let value = if quoted {
        string(path, text)
    } else {
        word(path, text)
    };
    value.map_err(|(message, help)| match help {
        Some(help) => format!("{message}: {help}"),
        None => message,
    })
}

fn level(text: &str) -> Result<Value, Refusal> {
    if let Some(level) = Level::parse(text.as_bytes()) {
        return Ok(Value::Level(level));
    }
    let lower = text.to_lowercase();
    let nearest = LEVELS
        .into_iter()
        .map(|name| (strsim::damerau_levenshtein(name, &lower), name))
        .min();
    let help = match nearest {
        Some((0..=2, name)) => format!("did you mean {name}?"),
        _ => format!("the levels are {}", LEVELS.join(", ")),
    };
    Err((format!("expected a level, found {text:?}"), Some(help)))
}

/// A number, converted exactly as a field's text is.
fn number(text: &str) -> Option<Value> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    if digits.bytes().all(|b| b.is_ascii_digit())
        && let Ok(integer) = text.parse::<i128>()
        && integer.unsigned_abs() >= EXACT_FROM
    {
        return Some(Value::Integer(integer));
    }
    scaled(ColumnKind::Number, text).map(Value::Number)
}

/// A duration or size: a number and its unit.
fn measure(text: &str) -> Option<Value> {
    // Without a unit it would read as seconds or bytes.
    if text.ends_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    let duration = || scaled(ColumnKind::Duration, text).map(Value::Duration);
    duration().or_else(|| scaled(ColumnKind::Size, text).map(Value::Size))
}

fn scaled(kind: ColumnKind, text: &str) -> Option<f64> {
    convert::number(kind, Cell::new(0, text.len()), text.as_bytes()).filter(|n| n.is_finite())
}

fn time(text: &str) -> Option<Value> {
    // Only full times: a date alone is text.
    if !text.contains(['T', 't']) {
        return None;
    }
    let time: jiff::Timestamp = text.parse().ok()?;
    let nanoseconds = i64::try_from(time.as_nanosecond()).ok()?;
    (nanoseconds != Timestamp::ABSENT.0).then_some(Value::Time(Timestamp(nanoseconds)))
}

/// A network in CIDR notation, or None if it does not look like one.
pub(super) fn network(text: &str) -> Option<Result<Network, Refusal>> {
    let (address, bits) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    let network = bits
        .parse()
        .ok()
        .filter(|&bits| bits <= bits_max)
        .map(|prefix_bits| Network {
            address,
            prefix_bits,
        });
    let message = format!("expected a prefix length from 0 to {bits_max}, found {bits:?}");
    Some(network.ok_or((message, None)))
}

/// Compiles a pattern, within its limits.
pub(super) fn regex(pattern: &Pattern) -> Result<regex::bytes::Regex, Refusal> {
    let built = regex::bytes::RegexBuilder::new(&pattern.regex)
        .case_insensitive(pattern.ignore_case)
        .size_limit(REGEX_BYTES_MAX)
        .build();
    built.map_err(|error| match error {
        regex::Error::CompiledTooBig(_) => (
            format!("the regex is larger than {REGEX_BYTES_MAX} bytes when compiled"),
            Some("use smaller repetition counts, or (?-u) for ASCII classes".to_owned()),
        ),
        error => (format!("bad regex: {}", regex_fault(&error)), None),
    })
}
