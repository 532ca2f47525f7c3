//! Reading times: text to [`Timestamp`] by a layout.

use super::civil::{DAY_SECS, civil_from_days, days_from_civil, days_in_month};
use super::layout::{Item, Layout};
use super::{Timestamp, write, zone};

/// What was read so far.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) year: Option<i64>,
    pub(super) month: u8,
    pub(super) day: u8,
    pub(super) day_of_year: u16,
    pub(super) hour: u8,
    pub(super) pm: Option<bool>,
    pub(super) minute: u8,
    pub(super) second: u8,
    pub(super) nanos: u32,
    pub(super) offset_secs: i32,
    /// `%s`; the rest is ignored then.
    pub(super) epoch: Option<Timestamp>,
}

/// A place in the text being read.
pub(super) struct Cursor<'a> {
    pub(super) text: &'a [u8],
    pub(super) at: usize,
}

impl Layout {
    /// Reads a time at the start of `text`: the time and how many bytes it
    /// took. `None` too if the layout has no year.
    #[must_use]
    pub fn parse_prefix(&self, text: &[u8]) -> Option<(Timestamp, usize)> {
        self.read(text, None)
    }

    /// As [`Layout::parse_prefix`]; a layout without year or without day takes
    /// the one that puts the time closest to `reference`.
    #[must_use]
    pub fn parse_prefix_in(&self, text: &[u8], reference: Timestamp) -> Option<(Timestamp, usize)> {
        self.read(text, Some(reference))
    }

    pub(super) fn read(&self, text: &[u8], near: Option<Timestamp>) -> Option<(Timestamp, usize)> {
        let mut cursor = Cursor { text, at: 0 };
        let mut parts = Parts::default();
        for item in &self.items {
            cursor.item(item, &mut parts)?;
        }
        Some((parts.resolve(near)?, cursor.at))
    }
}

impl Cursor<'_> {
    fn item(&mut self, item: &Item, parts: &mut Parts) -> Option<()> {
        match item {
            Item::Literal(bytes) => self.literal(bytes)?,
            Item::Year => parts.year = Some(i64::from(self.digits(4)?)),
            Item::YearShort => {
                let year = i64::from(self.digits(2)?);
                parts.year = Some(if year < 69 { 2000 + year } else { 1900 + year });
            }
            Item::Month => parts.month = self.digits(2)? as u8,
            Item::MonthName { .. } => parts.month = self.name(&write::MONTHS)? + 1,
            Item::Day => parts.day = self.digits(2)? as u8,
            Item::DaySpaced => parts.day = self.day_spaced()?,
            Item::DayOfYear => parts.day_of_year = self.digits(3)? as u16,
            Item::Weekday { .. } => {
                self.name(&write::WEEKDAYS)?;
            }
            Item::Hour => parts.hour = self.digits(2)? as u8,
            Item::HourSpaced => parts.hour = self.day_spaced()?,
            Item::Hour12 => {
                let two = self.digits(2);
                parts.hour = two.or_else(|| self.digits(1))? as u8;
                (1..=12).contains(&parts.hour).then_some(())?;
                // Noon and midnight are 12; `%p` adds the half day.
                parts.hour %= 12;
            }
            Item::HalfDay => parts.pm = Some(self.half_day()?),
            Item::Minute => parts.minute = self.digits(2)? as u8,
            Item::Second => parts.second = self.digits(2)? as u8,
            Item::Fraction { optional: false } => parts.nanos = self.nanos()?,
            Item::Fraction { optional: true } => parts.nanos = self.fraction(),
            Item::Offset { .. } => parts.offset_secs = self.offset()?,
            Item::Zone => parts.offset_secs = self.zone()?,
            Item::Epoch => parts.epoch = Some(self.epoch()?),
            Item::Rfc3339 => self.rfc3339(parts)?,
            Item::Any => {
                self.any(parts)?;
            }
        }
        Some(())
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    fn literal(&mut self, bytes: &[u8]) -> Option<()> {
        self.text[self.at..]
            .starts_with(bytes)
            .then(|| self.at += bytes.len())
    }

    pub(super) fn byte(&mut self, allowed: &[u8]) -> Option<u8> {
        let byte = self.peek().filter(|b| allowed.contains(b))?;
        self.at += 1;
        Some(byte)
    }

    /// Exactly `count` digits.
    #[inline]
    pub(super) fn digits(&mut self, count: usize) -> Option<u32> {
        let mut number = 0;
        for &byte in self.text.get(self.at..self.at + count)? {
            let digit = byte.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            number = number * 10 + u32::from(digit);
        }
        self.at += count;
        Some(number)
    }

    pub(super) fn day_spaced(&mut self) -> Option<u8> {
        if self.peek() == Some(b' ') {
            self.at += 1;
        }
        self.digits(2).or_else(|| self.digits(1)).map(|d| d as u8)
    }

    /// A name of which three letters tell which it is; taken whole if it is
    /// written out.
    pub(super) fn name(&mut self, names: &[&str]) -> Option<u8> {
        let short = self.text.get(self.at..)?.first_chunk::<3>()?;
        // Letters differ from their other case, and from nothing else, by this bit.
        let same = |a: u8, b: u8| (a ^ b) & !0x20 == 0;
        let index = names.iter().position(|name| {
            let name = name.as_bytes();
            same(name[0], short[0]) && same(name[1], short[1]) && same(name[2], short[2])
        })?;
        let full = names[index].as_bytes();
        let is_full = self
            .text
            .get(self.at..self.at + full.len())
            .is_some_and(|t| t.eq_ignore_ascii_case(full));
        self.at += if is_full { full.len() } else { 3 };
        Some(index as u8)
    }

    pub(super) fn half_day(&mut self) -> Option<bool> {
        // Locales put a space there, since Java 20 a narrow one (U+202F).
        let _ = self.byte(b" ");
        let _ = self.literal("\u{202f}".as_bytes());
        let pm = self.byte(b"AaPp")?.eq_ignore_ascii_case(&b'p');
        self.byte(b"Mm")?;
        Some(pm)
    }

    /// Digits of a fraction, as nanoseconds; what is finer is cut.
    fn nanos(&mut self) -> Option<u32> {
        let mut nanos = 0;
        let mut scale = 100_000_000;
        let start = self.at;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            nanos += u32::from(digit - b'0') * scale;
            scale /= 10;
            self.at += 1;
        }
        (self.at > start).then_some(nanos)
    }

    /// A separator and a fraction, if they are there.
    pub(super) fn fraction(&mut self) -> u32 {
        let start = self.at;
        let nanos = self.byte(b".,").and_then(|_| self.nanos());
        nanos.unwrap_or_else(|| {
            self.at = start;
            0
        })
    }

    pub(super) fn offset(&mut self) -> Option<i32> {
        let sign = match self.byte(b"+-Zz")? {
            b'+' => 1,
            b'-' => -1,
            _ => return Some(0),
        };
        let hours = self.digits(2)? as i32;
        let after_hours = self.at;
        let _ = self.byte(b":");
        let minutes = self.digits(2).unwrap_or_else(|| {
            self.at = after_hours;
            0
        }) as i32;
        (hours < 24 && minutes < 60).then_some(sign * (hours * 3600 + minutes * 60))
    }

    fn zone(&mut self) -> Option<i32> {
        let (offset, len) = zone::prefix(&self.text[self.at..])?;
        self.at += len;
        Some(offset)
    }

    fn epoch(&mut self) -> Option<Timestamp> {
        let negative = self.byte(b"-").is_some();
        let start = self.at;
        let mut secs = 0i64;
        while let Some(digit) = self.peek().filter(u8::is_ascii_digit) {
            secs = secs.checked_mul(10)?.checked_add(i64::from(digit - b'0'))?;
            self.at += 1;
        }
        if self.at == start {
            return None;
        }
        let nanos = secs
            .checked_mul(1_000_000_000)?
            .checked_add(i64::from(self.fraction()))?;
        Some(Timestamp(if negative { -nanos } else { nanos }))
    }

    /// `2026-11-23T13:32:42.123`.
    #[inline]
    pub(super) fn date_time(&mut self, parts: &mut Parts) -> Option<()> {
        parts.year = Some(i64::from(self.digits(4)?));
        self.byte(b"-")?;
        parts.month = self.digits(2)? as u8;
        self.byte(b"-")?;
        parts.day = self.digits(2)? as u8;
        self.byte(b"T t")?;
        parts.hour = self.digits(2)? as u8;
        self.byte(b":")?;
        parts.minute = self.digits(2)? as u8;
        self.byte(b":")?;
        parts.second = self.digits(2)? as u8;
        parts.nanos = self.fraction();
        Some(())
    }

    fn rfc3339(&mut self, parts: &mut Parts) -> Option<()> {
        self.date_time(parts)?;
        let end = self.at;
        parts.offset_secs = self.offset().unwrap_or_else(|| {
            self.at = end;
            0
        });
        Some(())
    }
}

impl Parts {
    pub(super) fn resolve(self, near: Option<Timestamp>) -> Option<Timestamp> {
        if self.epoch.is_some() {
            return self.epoch;
        }
        let hour = self.hour + if self.pm == Some(true) { 12 } else { 0 };
        if !is_time(hour, self.minute, self.second) {
            return None;
        }
        let secs = i64::from(hour) * 3600 + i64::from(self.minute) * 60 + i64::from(self.second)
            - i64::from(self.offset_secs);
        let in_year = |year| at(self.days_in(year)?, secs, self.nanos);
        if let Some(year) = self.year {
            return in_year(year);
        }
        let near = near?;
        if self.month == 0 && self.day_of_year == 0 {
            return on_closest_day(secs, self.nanos, near);
        }
        let (year, _, _) = civil_from_days(near.0.div_euclid(1_000_000_000).div_euclid(DAY_SECS));
        (year - 1..=year + 1)
            .filter_map(in_year)
            .min_by_key(|t| t.0.abs_diff(near.0))
    }

    fn days_in(&self, year: i64) -> Option<i64> {
        if self.day_of_year == 0 {
            return days(year, self.month, self.day);
        }
        let first = days(year, 1, 1)?;
        let length = 337 + u16::from(days_in_month(year, 2));
        (self.day_of_year <= length).then(|| first + i64::from(self.day_of_year) - 1)
    }
}

/// The time of a day on the day that puts it closest to `near`.
fn on_closest_day(secs: i64, nanos: u32, near: Timestamp) -> Option<Timestamp> {
    let today = near.0.div_euclid(1_000_000_000).div_euclid(DAY_SECS);
    (today - 1..=today + 1)
        .filter_map(|day| at(day, secs, nanos))
        .min_by_key(|time| time.0.abs_diff(near.0))
}

fn is_time(hour: u8, minute: u8, second: u8) -> bool {
    hour < 24 && minute < 60 && second <= 60
}

fn days(year: i64, month: u8, day: u8) -> Option<i64> {
    let valid = (1..=12).contains(&month) && (1..=days_in_month(year, month)).contains(&day);
    valid.then(|| days_from_civil(year, month, day))
}

/// A time; `None` beyond the years 1677 to 2262 that nanoseconds can tell.
fn at(days: i64, secs: i64, nanos: u32) -> Option<Timestamp> {
    let secs = days * DAY_SECS + secs;
    Some(Timestamp(
        secs.checked_mul(1_000_000_000)?
            .checked_add(i64::from(nanos))?,
    ))
}
