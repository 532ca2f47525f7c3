//! Spans to typed values, once, in the parser.

use std::borrow::Cow;

use super::{Cell, ColumnKind, Level, Timestamp, escape, time};

/// The cell's value as bytes: borrowed unless it has escapes to undo.
#[must_use]
pub fn value(cell: Cell, text: &[u8]) -> Cow<'_, [u8]> {
    let raw = cell.bytes(text);
    if cell.is_escaped() {
        Cow::Owned(escape::unescape_json(raw))
    } else {
        Cow::Borrowed(raw)
    }
}

/// The cell as a severity, if it is one. Numbers that are neither syslog's nor
/// pino's are taken as `OTel` severity numbers.
#[must_use]
pub fn level(cell: Cell, text: &[u8]) -> Option<Level> {
    let value = value(cell, text);
    Level::parse(&value).or_else(|| {
        let number: u8 = std::str::from_utf8(&value).ok()?.parse().ok()?;
        (1..=24).contains(&number).then_some(Level(number))
    })
}

/// The cell as the `f64` that a column of `kind` holds.
#[must_use]
pub fn number(kind: ColumnKind, cell: Cell, text: &[u8]) -> Option<f64> {
    let value = value(cell, text);
    if kind == ColumnKind::Number {
        return decimal(&value);
    }
    let text = std::str::from_utf8(&value).ok()?.trim();
    let split = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.' || c == '-'))
        .unwrap_or(text.len());
    let (digits, unit) = text.split_at(split);
    let number: f64 = digits.parse().ok()?;
    let scale = match kind {
        ColumnKind::Duration => duration_unit_secs(unit.trim_start())?,
        _ => size_unit_bytes(unit.trim_start())?,
    };
    Some(number * scale)
}

/// Seconds in one `unit` (`ns us µs ms s m h d`; none is seconds).
#[must_use]
pub fn duration_unit_secs(unit: &str) -> Option<f64> {
    Some(match unit {
        "ns" => 1e-9,
        "us" | "µs" | "μs" => 1e-6,
        "ms" => 1e-3,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86400.0,
        _ => return None,
    })
}

/// Bytes in one `unit` (`B kB KB MB GB TB KiB MiB GiB TiB`; none is bytes).
#[must_use]
pub fn size_unit_bytes(unit: &str) -> Option<f64> {
    Some(match unit {
        "" | "B" => 1.0,
        "kB" | "KB" => 1e3,
        "MB" => 1e6,
        "GB" => 1e9,
        "TB" => 1e12,
        "KiB" => 1024.0,
        "MiB" => 1024.0 * 1024.0,
        "GiB" => 1024.0 * 1024.0 * 1024.0,
        "TiB" => 1024.0 * 1024.0 * 1024.0 * 1024.0,
        _ => return None,
    })
}

/// The cell as a time in any common layout.
#[must_use]
pub fn time(cell: Cell, text: &[u8]) -> Option<Timestamp> {
    time::parse_any(&value(cell, text))
}

/// A decimal number; short integers, the common case, without the detour over
/// a string.
fn decimal(bytes: &[u8]) -> Option<f64> {
    let (negative, digits) = match bytes {
        [b'-', rest @ ..] => (true, rest),
        _ => (false, bytes),
    };
    if matches!(digits.len(), 1..=15) && digits.iter().all(u8::is_ascii_digit) {
        let whole = digits
            .iter()
            .fold(0u64, |n, d| n * 10 + u64::from(d - b'0'));
        let whole = whole as f64;
        return Some(if negative { -whole } else { whole });
    }
    // `parse` would take "inf", "nan" and "+1" too: not numbers in any log format.
    if !digits.first()?.is_ascii_digit() {
        return None;
    }
    std::str::from_utf8(bytes).ok()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn as_number(kind: ColumnKind, text: &str) -> Option<f64> {
        number(kind, Cell::new(0, text.len()), text.as_bytes())
    }

    #[test]
    fn numbers_are_plain_decimals() {
        assert_eq!(as_number(ColumnKind::Number, "503"), Some(503.0));
        assert_eq!(as_number(ColumnKind::Number, "-1.5e3"), Some(-1500.0));
        assert_eq!(
            as_number(ColumnKind::Number, "12345678901234567890"),
            Some(12_345_678_901_234_567_890.0)
        );
        for not in ["", "-", "nan", "inf", "+1", "0x10", "1 2", "abc"] {
            assert_eq!(as_number(ColumnKind::Number, not), None, "{not:?}");
        }
    }

    #[test]
    fn units_scale() {
        assert_eq!(as_number(ColumnKind::Duration, "250ms"), Some(0.25));
        assert_eq!(as_number(ColumnKind::Duration, "1.5"), Some(1.5));
        assert_eq!(as_number(ColumnKind::Duration, "2 parsecs"), None);
        assert_eq!(as_number(ColumnKind::Size, "10 KiB"), Some(10240.0));
    }

    #[test]
    fn escaped_text_is_compared_by_its_value() {
        let text = br"w\u0061rn";
        assert_eq!(
            level(Cell::string(0, text.len(), true), text),
            Some(Level::WARN)
        );
    }
}
