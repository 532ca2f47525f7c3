//! What can be found: each detector a bounded, linear search.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::ops::Range;
use std::sync::LazyLock;

use regex::bytes::{Regex, RegexBuilder};

use super::TransformError;
use crate::component::regex_fault;

/// What a pattern of the config's may take when compiled, as in rules.
const PATTERN_BYTES_MAX: usize = 1 << 20;

/// Finds one kind of thing. A clone has caches of its own.
#[derive(Clone, Debug)]
pub struct Detector {
    kind: &'static str,
    search: Search,
}

#[derive(Clone, Debug)]
enum Search {
    /// A pattern, and a byte without which it cannot match.
    Known(Regex, u8),
    /// A pattern of the config's.
    Custom(Regex),
    Card,
    Ipv4,
    Ipv6,
}

type Emit<'a> = &'a mut dyn FnMut(Range<usize>);

impl Detector {
    /// The names that [`Detector::build`] takes.
    pub const NAMES: [&'static str; 7] = ["email", "card", "ipv4", "ipv6", "jwt", "aws", "bearer"];

    /// A detector by its name, or by a pattern as `/regex/`. If the pattern has
    /// a group, only that is masked.
    pub fn build(name: &str) -> Result<Detector, TransformError> {
        let pattern = name
            .strip_prefix('/')
            .and_then(|rest| rest.strip_suffix('/'));
        if let Some(pattern) = pattern {
            let regex = RegexBuilder::new(pattern)
                .size_limit(PATTERN_BYTES_MAX)
                .build();
            let regex = regex.map_err(|error| {
                let reason = regex_fault(&error);
                TransformError::new(format!("/{pattern}/ is no pattern: {reason}"), "mend it")
            })?;
            return Ok(Detector {
                kind: "redacted",
                search: Search::Custom(regex),
            });
        }
        let kind = Self::NAMES.into_iter().find(|known| *known == name);
        let kind = kind.ok_or_else(|| {
            let message = format!("`{name}` is nothing that can be redacted");
            let help = format!("use {}, or a pattern as '/regex/'", Self::NAMES.join(", "));
            TransformError::new(message, help)
        })?;
        let search = match kind {
            "email" => Search::Known(EMAIL.clone(), b'@'),
            "jwt" => Search::Known(JWT.clone(), b'.'),
            "aws" => Search::Known(AWS.clone(), b'A'),
            "bearer" => Search::Known(BEARER.clone(), b' '),
            "card" => Search::Card,
            "ipv4" => Search::Ipv4,
            _ => Search::Ipv6,
        };
        Ok(Detector { kind, search })
    }

    /// What a mask calls it.
    pub(super) fn kind(&self) -> &'static str {
        self.kind
    }

    /// Whether it is a pattern of the config's, which may be anchored.
    pub(super) fn is_custom(&self) -> bool {
        matches!(self.search, Search::Custom(_))
    }

    /// Calls `emit` with everything it finds.
    pub(super) fn find(&self, value: &[u8], emit: Emit<'_>) {
        match &self.search {
            Search::Known(regex, byte) => {
                if memchr::memchr(*byte, value).is_some() {
                    find_regex(regex, value, emit);
                }
            }
            Search::Custom(regex) => find_regex(regex, value, emit),
            Search::Card => cards(value, emit),
            Search::Ipv4 => {
                if memchr::memchr(b'.', value).is_some() {
                    ipv4(value, emit);
                }
            }
            Search::Ipv6 => {
                if memchr::memchr(b':', value).is_some() {
                    ipv6(value, emit);
                }
            }
        }
    }
}

fn known(pattern: &str) -> Regex {
    // Tests compile every one.
    Regex::new(pattern).expect("a valid pattern")
}

static EMAIL: LazyLock<Regex> = LazyLock::new(|| {
    known(r"[\p{L}\p{N}.!#$%&'*+/=?^_`{|}~-]+@[\p{L}\p{N}-]+(?:\.[\p{L}\p{N}-]+)+")
});
/// RFC 7519: three parts of base64url, the first an object.
static JWT: LazyLock<Regex> =
    LazyLock::new(|| known(r"\beyJ[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]{5,}\.[A-Za-z0-9_-]*"));
/// Access key ids, and what stands as secret key behind its name.
static AWS: LazyLock<Regex> = LazyLock::new(|| {
    known(concat!(
        r"\b((?:AKIA|ASIA|AROA|AIDA|AGPA|AIPA|ANPA|ANVA)[A-Z0-9]{16})\b",
        r#"|(?i:aws_?secret_?access_?key|SecretAccessKey)['"]?\s*[=:]\s*['"]?([A-Za-z0-9/+=]{40})"#,
    ))
});
/// RFC 6750.
static BEARER: LazyLock<Regex> = LazyLock::new(|| known(r"(?i)\bbearer\s+([A-Za-z0-9._~+/-]+=*)"));

fn find_regex(regex: &Regex, value: &[u8], emit: Emit<'_>) {
    if regex.captures_len() == 1 {
        regex.find_iter(value).for_each(|found| emit(found.range()));
        return;
    }
    for groups in regex.captures_iter(value) {
        let group = groups.iter().skip(1).flatten().next();
        if let Some(found) = group.or_else(|| groups.get(0)) {
            emit(found.range());
        }
    }
}

/// Digits of a card number, shortest and longest.
const CARD_DIGITS: std::ops::RangeInclusive<usize> = 13..=19;

/// Card numbers: digits, in groups or not, of a known issuer, that pass Luhn's
/// check. Looked for from each group of digits on.
fn cards(value: &[u8], emit: Emit<'_>) {
    let mut at = 0;
    while let Some(start) = value[at..].iter().position(u8::is_ascii_digit) {
        let start = at + start;
        if let Some(end) = card_at(value, start) {
            emit(start..end);
            at = end;
        } else {
            let digits = value[start..].iter().take_while(|b| b.is_ascii_digit());
            at = start + digits.count();
        }
    }
}

/// The longest card number that begins at `start`; where it ends.
fn card_at(value: &[u8], start: usize) -> Option<usize> {
    // Neither in a word nor behind a decimal point.
    match &value[..start] {
        [.., last] if last.is_ascii_alphanumeric() => return None,
        [.., digit, b'.'] if digit.is_ascii_digit() => return None,
        _ => {}
    }
    let mut digits = [0u8; *CARD_DIGITS.end()];
    let (mut count, mut at, mut found) = (0, start, None);
    while count < digits.len() {
        match value.get(at) {
            Some(digit) if digit.is_ascii_digit() => {
                digits[count] = digit - b'0';
                count += 1;
                at += 1;
                let goes_on = value.get(at).is_some_and(u8::is_ascii_alphanumeric);
                if !goes_on && is_card(&digits[..count]) {
                    found = Some(at);
                }
            }
            // One separator between digits.
            Some(b' ' | b'-') if value.get(at + 1).is_some_and(u8::is_ascii_digit) => at += 1,
            _ => break,
        }
    }
    found
}

fn is_card(digits: &[u8]) -> bool {
    if !CARD_DIGITS.contains(&digits.len()) {
        return false;
    }
    // Visa and others, American Express, Diners, JCB, Mastercard, Maestro,
    // Discover, UnionPay: no issuer has another first digit but airlines.
    let issuer = match digits[0] {
        2 => digits.len() == 16 && (2..=7).contains(&digits[1]),
        3..=6 => true,
        _ => false,
    };
    issuer && luhn(digits)
}

fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| {
            let digit = u32::from(digit);
            if place % 2 == 0 {
                digit
            } else {
                digit * 2 / 10 + digit * 2 % 10
            }
        })
        .sum();
    sum.is_multiple_of(10)
}

/// Runs of the bytes that `of` takes, between bytes that are no part of words.
fn runs(value: &[u8], of: fn(u8) -> bool, emit: &mut dyn FnMut(Range<usize>)) {
    let mut at = 0;
    while let Some(start) = value[at..].iter().position(|b| of(*b)) {
        let start = at + start;
        let len = value[start..].iter().position(|b| !of(*b));
        let end = len.map_or(value.len(), |len| start + len);
        let word = |b: Option<&u8>| b.is_some_and(|b| b.is_ascii_alphanumeric() || *b == b'_');
        let before = start.checked_sub(1).and_then(|i| value.get(i));
        if !word(before) && !word(value.get(end)) {
            emit(start..end);
        }
        at = end;
    }
}

fn ipv4(value: &[u8], emit: Emit<'_>) {
    runs(value, |b| b.is_ascii_digit() || b == b'.', &mut |run| {
        emit_if(value, run, emit, |text| text.parse::<Ipv4Addr>().is_ok());
    });
}

fn ipv6(value: &[u8], emit: Emit<'_>) {
    let of = |b: u8| b.is_ascii_hexdigit() || b == b':' || b == b'.';
    runs(value, of, &mut |run| {
        emit_if(value, run, emit, |text| {
            text.len() > 2 && text.parse::<Ipv6Addr>().is_ok()
        });
    });
}

/// Emits a run without the punctuation of a sentence around it, if it is one.
fn emit_if(value: &[u8], run: Range<usize>, emit: Emit<'_>, is: impl Fn(&str) -> bool) {
    let Ok(text) = std::str::from_utf8(&value[run.clone()]) else {
        return;
    };
    let bare = text.trim_start_matches('.');
    let start = run.start + text.len() - bare.len();
    for candidate in [bare, bare.trim_end_matches(['.', ':'])] {
        if is(candidate) {
            emit(start..start + candidate.len());
            return;
        }
    }
}

#[cfg(test)]
mod tests;
