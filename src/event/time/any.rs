//! Times whose layout nobody named.

use std::sync::LazyLock;

use super::{Layout, Timestamp};

/// The layouts that logs use most; of two that read the same beginning the
/// longer comes first.
pub const COMMON_LAYOUTS: [&str; 14] = [
    "%+ %z",
    "%+ %Z",
    "%+",
    "%Y/%m/%d %H:%M:%S%f %z",
    "%Y/%m/%d %H:%M:%S%f",
    "%d/%b/%Y:%H:%M:%S %z",
    "%a, %e %b %Y %H:%M:%S %z",
    "%a, %e %b %Y %H:%M:%S %Z",
    "%a %b %e %H:%M:%S%f %Y",
    "%e %b %Y %H:%M:%S%f %z",
    "%e %b %Y %H:%M:%S%f %Z",
    "%e %b %Y %H:%M:%S%f",
    "%b %e %Y %H:%M:%S%f",
    "%b %e %H:%M:%S%f",
];

static LAYOUTS: LazyLock<Vec<Layout>> = LazyLock::new(|| {
    COMMON_LAYOUTS
        .iter()
        .filter_map(|l| Layout::compile(l).ok())
        .collect()
});

/// Reads a time in any common layout: RFC 3339 and its relatives,
/// `2026/11/23 13:32:42`, the access logs' `23/Nov/2026:13:32:42 +0000`, mail's
/// and HTTP's, and epoch seconds, milli-, micro- or nanoseconds by magnitude.
///
/// `None` for times without year, such as syslog's `Nov 23 13:32:42`: their
/// parser knows when the line was read, see [`Layout::parse_prefix_in`].
#[must_use]
pub fn parse_any(text: &[u8]) -> Option<Timestamp> {
    let text = text.trim_ascii();
    if let Some(time) = epoch(text) {
        return Some(time);
    }
    LAYOUTS.iter().find_map(|layout| {
        let (time, len) = layout.parse_prefix(text)?;
        (len == text.len()).then_some(time)
    })
}

/// An epoch time; its unit is the one that puts it between 1973 and 5138.
fn epoch(text: &[u8]) -> Option<Timestamp> {
    let digits = text.strip_prefix(b"-").unwrap_or(text);
    let whole_len = digits.iter().take_while(|b| b.is_ascii_digit()).count();
    if whole_len == 0
        || !digits[whole_len..]
            .iter()
            .all(|b| b.is_ascii_digit() || *b == b'.')
    {
        return None;
    }
    let number = std::str::from_utf8(text).ok()?;
    if whole_len < digits.len() {
        let number: f64 = number.parse().ok()?;
        // Seconds keep their fraction to the microsecond that an `f64` can tell.
        let micros = (number.abs() < 1e11).then_some((number * 1e6).round())?;
        return (micros as i64).checked_mul(1000).map(Timestamp);
    }
    let number: i64 = number.parse().ok()?;
    let unit_nanos = match number.unsigned_abs() {
        0..100_000_000_000 => 1_000_000_000,
        100_000_000_000..100_000_000_000_000 => 1_000_000,
        100_000_000_000_000..100_000_000_000_000_000 => 1000,
        _ => 1,
    };
    number.checked_mul(unit_nanos).map(Timestamp)
}
