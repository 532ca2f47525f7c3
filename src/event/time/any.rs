//! Times whose layout nobody named.
//!
//! One reader for all: a date in any order that can be told apart, what stands
//! between date and time, the time of day, a fraction, half of the day, a zone,
//! and the year where it comes last. What could be read two ways is read as
//! most logs mean it: `1/2/2026` with the month first, `1.2.2026` with the day.

use super::Timestamp;
use super::read::{Cursor, Parts};

/// How sure it is that a text is a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// A day and a time of the day.
    Full,
    /// A day.
    Day,
    /// A time of the day, on the day that is closest to the reference.
    Clock,
    /// Digits that are seconds, milli-, micro- or nanoseconds since the epoch.
    Epoch,
}

/// Reads the time in any common layout that `text` begins with: the time, how
/// many bytes it took, and what it looked like. What lacks a year, or a day, is
/// taken to be close to `reference`.
#[must_use]
pub fn any_prefix(text: &[u8], reference: Timestamp) -> Option<(Timestamp, usize, Form)> {
    prefix(text, Some(reference))
}

/// Reads a time in any common layout: RFC 3339 and its relatives, dates in
/// other orders, the access logs', mail's and HTTP's, and epoch seconds, milli-,
/// micro- or nanoseconds by magnitude.
///
/// `None` for times without year, such as syslog's `Nov 23 13:32:42`: their
/// parser knows when the line was read, see [`any_prefix`].
#[must_use]
pub fn parse_any(text: &[u8]) -> Option<Timestamp> {
    let text = text.trim_ascii();
    if let Some(time) = epoch(text) {
        return Some(time);
    }
    let (time, len, _) = prefix(text, None)?;
    (len == text.len()).then_some(time)
}

fn prefix(text: &[u8], near: Option<Timestamp>) -> Option<(Timestamp, usize, Form)> {
    let mut cursor = Cursor::new(text);
    let mut parts = Parts::default();
    let form = cursor.any(&mut parts)?;
    Some((parts.resolve(near)?, cursor.at, form))
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

/// Years that a number of four digits can be meant as.
fn is_year(number: u32) -> bool {
    (1970..2100).contains(&number)
}

fn short_year(year: u32) -> i64 {
    i64::from(year) + if year < 69 { 2000 } else { 1900 }
}

impl Cursor<'_> {
    /// Reads any time into `parts`.
    pub(super) fn any(&mut self, parts: &mut Parts) -> Option<Form> {
        let first = self.peek()?;
        if !first.is_ascii_digit() {
            return self.named(parts);
        }
        // The most common time by far is told by three bytes.
        if self.text.get(self.at + 4) == Some(&b'-') && self.text.get(self.at + 13) == Some(&b':') {
            let start = self.at;
            if self.usual(parts).is_some() {
                self.zone_or_none(parts);
                return Some(Form::Full);
            }
            self.at = start;
        }
        match self.digit_run(20) {
            4 => self.year_first(parts),
            1 | 2 => self.short_first(parts),
            6 => self.compact_short(parts),
            8 | 14 => self.compact(parts),
            10 | 13 | 16 | 19 => self.since_epoch(parts),
            _ => None,
        }
    }

    /// How many digits there are from here on, up to `max`.
    pub(super) fn digit_run(&self, max: usize) -> usize {
        let rest = self.text.get(self.at..).unwrap_or_default();
        rest.iter()
            .take(max)
            .take_while(|b| b.is_ascii_digit())
            .count()
    }

    /// `2026-11-23T13:32:42.123`.
    fn usual(&mut self, parts: &mut Parts) -> Option<()> {
        self.date_time(parts)?;
        self.afternoon(parts);
        Some(())
    }

    /// `2026/11/23`, `2026-Nov-23`, `2026 Nov 23`, and klog's `1123`.
    fn year_first(&mut self, parts: &mut Parts) -> Option<Form> {
        let number = self.digits(4)?;
        let separator = self.peek();
        if separator == Some(b' ') && self.text.get(self.at + 3) == Some(&b':') {
            parts.month = (number / 100) as u8;
            parts.day = (number % 100) as u8;
            self.at += 1;
            self.clock(parts)?;
            return Some(Form::Full);
        }
        let separator = self.byte(b"-/. ")?;
        is_year(number).then_some(())?;
        parts.year = Some(i64::from(number));
        parts.month = self.month()?;
        self.byte(&[separator])?;
        parts.day = self.one_or_two()? as u8;
        self.after_day(parts)
    }

    /// A date that begins with one or two digits, or a time of the day.
    fn short_first(&mut self, parts: &mut Parts) -> Option<Form> {
        let start = self.at;
        let first = self.one_or_two()?;
        match self.peek()? {
            b':' => {
                self.at = start;
                self.clock(parts)?;
                // Hours and minutes alone are scores and ratios as often.
                let told = self.text[start..self.at].iter().filter(|b| **b == b':');
                return (told.count() == 2 || parts.pm.is_some()).then_some(Form::Clock);
            }
            b'-' | b'/' | b'.' | b' ' => {}
            _ => return None,
        }
        let separator = self.text[self.at];
        self.at += 1;
        if self.peek()?.is_ascii_alphabetic() {
            parts.day = first as u8;
            parts.month = self.month()?;
            let joined = self.byte(&[separator]).or_else(|| self.byte(b" ,"));
            return self.year_after(parts, joined.is_some());
        }
        (separator != b' ').then_some(())?;
        let second = self.one_or_two()?;
        let has_third = self.byte(&[separator]).is_some();
        match self.digit_run(5) {
            4 if has_third => {
                let year = self.digits(4)?;
                is_year(year).then_some(())?;
                parts.year = Some(i64::from(year));
                set_month_and_day(parts, first, second, separator == b'/');
            }
            2 if has_third => {
                let third = self.digits(2)?;
                set_short_date(parts, [first, second, third], separator);
            }
            _ => {
                // `23.11. 13:32:42` has the day first, other dates without year the month.
                let month_first = !(has_third && separator == b'.');
                set_month_and_day(parts, first, second, month_first);
                if has_third && separator != b'.' {
                    return None;
                }
                return self.needs_clock(parts);
            }
        }
        self.after_day(parts)
    }

    /// `20261123T133242`, `20261123 13:32:42`, `20261123133242`.
    fn compact(&mut self, parts: &mut Parts) -> Option<Form> {
        let joined = self.digit_run(14) == 14;
        let year = self.digits(4)?;
        is_year(year).then_some(())?;
        parts.year = Some(i64::from(year));
        parts.month = self.digits(2)? as u8;
        parts.day = self.digits(2)? as u8;
        if joined {
            self.compact_clock(parts)?;
            self.zone_or_none(parts);
            return Some(Form::Full);
        }
        self.needs_clock(parts)
    }

    /// `261123 133242`, `261123 13:32:42`.
    fn compact_short(&mut self, parts: &mut Parts) -> Option<Form> {
        parts.year = Some(short_year(self.digits(2)?));
        parts.month = self.digits(2)? as u8;
        parts.day = self.digits(2)? as u8;
        self.needs_clock(parts)
    }

    /// `1795440762`, `1795440762.123`, and with 13, 16 or 19 digits what is finer.
    fn since_epoch(&mut self, parts: &mut Parts) -> Option<Form> {
        let count = self.digit_run(20);
        let mut number = 0i64;
        for byte in &self.text[self.at..self.at + count] {
            number = number
                .checked_mul(10)?
                .checked_add(i64::from(byte - b'0'))?;
        }
        self.at += count;
        let unit = 10i64.pow(19 - count as u32);
        // 2001 to 2096: other numbers of as many digits are numbers.
        (1_000_000_000..4_000_000_000)
            .contains(&(number / (1_000_000_000 / unit)))
            .then_some(())?;
        let fraction = if count == 10 { self.fraction() } else { 0 };
        parts.epoch = Some(Timestamp(
            number.checked_mul(unit)?.checked_add(i64::from(fraction))?,
        ));
        Some(Form::Epoch)
    }

    /// A time that begins with the name of a weekday or month.
    fn named(&mut self, parts: &mut Parts) -> Option<Form> {
        if self.peek().is_none_or(|b| !b.is_ascii_alphabetic()) {
            return None;
        }
        if let Some(_weekday) = self.name(&super::write::WEEKDAYS) {
            let _ = self.byte(b",");
            self.byte(b" ")?;
            if self.peek()?.is_ascii_digit() {
                return match self.digit_run(5) {
                    1 | 2 => self.short_first(parts),
                    4 => self.year_first(parts),
                    _ => None,
                };
            }
        }
        parts.month = self.month_name()?;
        self.byte(b" -/")?;
        parts.day = self.day_spaced()?;
        let _ = self.byte(b",-/");
        self.year_after(parts, true)
    }

    /// The year, if it follows, and what follows a day; a separator before it
    /// has been read.
    fn year_after(&mut self, parts: &mut Parts, separated: bool) -> Option<Form> {
        let start = self.at;
        if separated {
            self.spaces();
            let run = self.digit_run(5);
            if run == 4 {
                let year = self.digits(4)?;
                is_year(year).then_some(())?;
                parts.year = Some(i64::from(year));
                return self.after_day(parts);
            }
            let next = self.text.get(self.at + 2);
            if run == 2 && !matches!(next, Some(b':' | b'.')) {
                parts.year = Some(short_year(self.digits(2)?));
                return self.after_day(parts);
            }
            if run > 0 {
                self.clock(parts)?;
                self.last_year(parts);
                return Some(Form::Full);
            }
        }
        self.at = start;
        let form = self.needs_clock(parts)?;
        self.last_year(parts);
        Some(form)
    }

    /// The year behind the time: `Nov 23 13:32:42 2026`.
    fn last_year(&mut self, parts: &mut Parts) {
        let start = self.at;
        let year = self.byte(b" ").and_then(|_| self.digits(4));
        match year.filter(|&y| is_year(y) && parts.year.is_none() && self.is_word_end()) {
            Some(year) => parts.year = Some(i64::from(year)),
            None => self.at = start,
        }
    }

    pub(super) fn is_word_end(&self) -> bool {
        self.peek()
            .is_none_or(|b| !b.is_ascii_alphanumeric() && b != b'_')
    }

    /// What follows a whole date: mostly the time of the day.
    fn after_day(&mut self, parts: &mut Parts) -> Option<Form> {
        let end = self.at;
        if self.needs_clock(parts).is_some() {
            return Some(Form::Full);
        }
        self.at = end;
        let day = Parts {
            year: parts.year,
            month: parts.month,
            day: parts.day,
            ..Parts::default()
        };
        *parts = day;
        self.is_word_end().then_some(Form::Day)
    }

    /// What stands between a date and a time, and the time.
    fn needs_clock(&mut self, parts: &mut Parts) -> Option<Form> {
        match self.peek()? {
            b' ' => self.spaces(),
            b'T' | b't' | b'_' | b'-' | b':' | b'|' => self.at += 1,
            b',' => {
                self.at += 1;
                self.spaces();
            }
            _ => return None,
        }
        if self.text[self.at..].starts_with(b"at ") {
            self.at += 3;
        }
        self.clock(parts)?;
        Some(Form::Full)
    }

    /// At most three spaces: more are columns.
    fn spaces(&mut self) {
        for _ in 0..3 {
            let _ = self.byte(b" ");
        }
    }

    pub(super) fn one_or_two(&mut self) -> Option<u32> {
        let two = self.digit_run(3);
        self.digits(if two == 2 { 2 } else { 1 })
            .filter(|_| two < 3)
    }

    /// A month, as a number or by its name.
    fn month(&mut self) -> Option<u8> {
        if self.peek()?.is_ascii_digit() {
            return self.one_or_two().map(|m| m as u8);
        }
        self.month_name()
    }

    /// A month's name, and no longer word that begins like one.
    fn month_name(&mut self) -> Option<u8> {
        let month = self.name(&super::write::MONTHS)? + 1;
        let _ = self.byte(b".");
        self.peek()
            .is_none_or(|b| !b.is_ascii_alphabetic())
            .then_some(month)
    }
}

/// Of two numbers the one that can be a month is; if both can, the first if
/// `month_first`.
fn set_month_and_day(parts: &mut Parts, first: u32, second: u32, month_first: bool) {
    let swapped = if month_first {
        first > 12
    } else {
        second <= 12
    };
    let (month, day) = if swapped {
        (second, first)
    } else {
        (first, second)
    };
    (parts.month, parts.day) = (month as u8, day as u8);
}

/// Three numbers of two digits: the year is first if it can be neither month nor,
/// between dots, day.
fn set_short_date(parts: &mut Parts, [a, b, c]: [u32; 3], separator: u8) {
    let year_first = a > if separator == b'.' { 31 } else { 12 } && b <= 12 && c <= 31;
    if year_first {
        parts.year = Some(short_year(a));
        (parts.month, parts.day) = (b as u8, c as u8);
    } else {
        parts.year = Some(short_year(c));
        set_month_and_day(parts, a, b, separator != b'.');
    }
}
