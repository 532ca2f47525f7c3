//! The rule language once more, slowly: one event at a time, over strings.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::net::IpAddr;

use super::super::{Comparison, Expression, Item, Test, TextOperator, Value};
use crate::event::{Level, Path};

/// One event: field by dotted name.
pub(super) type Row = BTreeMap<&'static str, String>;

/// A name that every event of the stream has, with this value.
pub(super) const META: (&str, &str) = ("peer", "10.1.2.3:99");

/// A time, read as the columns read it.
pub(super) fn time(text: &str) -> Option<i64> {
    crate::event::time::parse_any(text.as_bytes()).map(|time| time.0)
}

/// What an event has under a name.
fn field<'a>(row: &'a Row, path: &Path) -> Option<&'a str> {
    if path.dotted() == META.0 {
        return Some(META.1);
    }
    row.get(path.dotted()).map(String::as_str)
}

fn level(text: &str) -> Option<u8> {
    let number = text.parse().ok().filter(|n| (1..=24).contains(n));
    Level::parse(text.as_bytes()).map(|l| l.0).or(number)
}

fn number(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn with_unit(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    // The longest unit that fits: `ms` before `s`.
    let unit = units
        .iter()
        .filter(|(unit, _)| text.ends_with(unit))
        .max_by_key(|(u, _)| u.len());
    let (unit, scale) = unit.unwrap_or(&("", 1.0));
    let digits = text.strip_suffix(unit)?;
    let plain = digits
        .bytes()
        .all(|b| b.is_ascii_digit() || b == b'.' || b == b'-');
    Some(digits.parse::<f64>().ok().filter(|_| plain)? * scale)
}

fn duration(text: &str) -> Option<f64> {
    with_unit(
        text,
        &[("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)],
    )
}

fn size(text: &str) -> Option<f64> {
    with_unit(text, &[("B", 1.0), ("KiB", 1024.0), ("MB", 1e6)])
}

/// Compares a field with a value as the value's type says; None if the field
/// cannot be compared so.
fn compared(path: &Path, text: &str, value: &Value, row: &Row) -> Option<Ordering> {
    match value {
        Value::Level(other) => Some(level(text)?.cmp(&other.0)),
        Value::Number(other) => number(text)?.partial_cmp(other),
        Value::Integer(other) => match text.parse::<i128>() {
            Ok(integer) if !text.starts_with('+') => Some(integer.cmp(other)),
            _ => number(text)?.partial_cmp(&(*other as f64)),
        },
        Value::Duration(other) => duration(text)?.partial_cmp(other),
        Value::Size(other) => size(text)?.partial_cmp(other),
        Value::Time(other) => Some(time(text)?.cmp(&other.0)),
        Value::Text(other) => Some(text.as_bytes().cmp(other.as_bytes())),
        Value::Field(other) => {
            let other = field(row, other)?;
            match path.dotted() {
                "level" if !path.is_field_only() => Some(level(text)?.cmp(&level(other)?)),
                "timestamp" if !path.is_field_only() => Some(time(text)?.cmp(&time(other)?)),
                _ => match (text.parse::<i128>(), other.parse::<i128>()) {
                    (Ok(a), Ok(b)) => Some(a.cmp(&b)),
                    _ => match (number(text), number(other)) {
                        (Some(a), Some(b)) => a.partial_cmp(&b),
                        _ => Some(text.as_bytes().cmp(other.as_bytes())),
                    },
                },
            }
        }
    }
}

fn within(item: &Item, path: &Path, text: &str, row: &Row) -> bool {
    let compared = |value| compared(path, text, value, row);
    match item {
        Item::One(value) => compared(value).is_some_and(Ordering::is_eq),
        Item::Range(low, high) => {
            compared(low).is_some_and(Ordering::is_ge)
                && compared(high).is_some_and(Ordering::is_le)
        }
        Item::Network(network) => {
            let text = text.strip_suffix(":99").unwrap_or(text);
            let bits = |ip: IpAddr| match ip {
                IpAddr::V4(v4) => format!("{:0>96}{:032b}", "1".repeat(16), v4.to_bits()),
                IpAddr::V6(v6) => format!("{:0128b}", v6.to_bits()),
            };
            let skip = if network.address.is_ipv4() { 96 } else { 0 };
            let len = skip + usize::from(network.prefix_bits);
            text.parse()
                .is_ok_and(|ip| bits(ip)[..len] == bits(network.address)[..len])
        }
    }
}

pub(super) fn holds(expression: &Expression, row: &Row, line: &str) -> bool {
    let term = match expression {
        Expression::And(all) => return all.iter().all(|e| holds(e, row, line)),
        Expression::Or(all) => return all.iter().any(|e| holds(e, row, line)),
        Expression::Not(inner) => return !holds(inner, row, line),
        Expression::Term(term) => term,
    };
    let value = term.path().map(|path| field(row, path));
    let positive = match (&term.test, value.flatten()) {
        (Test::Line(needle), _) => line.contains(needle.as_str()),
        (_, None) => false,
        (Test::Exists(_), Some(_)) => true,
        (
            Test::Compare {
                path,
                operator,
                value,
            },
            Some(text),
        ) => compared(path, text, value, row).is_some_and(|o| match operator {
            Comparison::Eq | Comparison::Ne => o.is_eq(),
            Comparison::Lt => o.is_lt(),
            Comparison::Le => o.is_le(),
            Comparison::Gt => o.is_gt(),
            Comparison::Ge => o.is_ge(),
        }),
        (Test::In { path, items, .. }, Some(text)) => {
            items.iter().any(|item| within(item, path, text, row))
        }
        (Test::Matches { pattern, .. }, Some(text)) => {
            let flag = if pattern.ignore_case { "(?i)" } else { "" };
            regex::Regex::new(&format!("{flag}{}", pattern.regex))
                .unwrap()
                .is_match(text)
        }
        (
            Test::Text {
                operator, needle, ..
            },
            Some(text),
        ) => match operator {
            TextOperator::Contains => text.contains(needle.as_str()),
            TextOperator::StartsWith => text.starts_with(needle.as_str()),
            TextOperator::EndsWith => text.ends_with(needle.as_str()),
        },
    };
    positive != term.is_negated()
}
