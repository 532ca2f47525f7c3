//! Reading times: text to [`Timestamp`] by a layout.

use std::ops::Range;

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
    /// Where the digits of the last fraction are.
    fraction: Range<usize>,
    /// How many fractions were read.
    fractions: usize,
}

impl Cursor<'_> {
    pub(super) fn new(text: &[u8]) -> Cursor<'_> {
        Cursor {
            text,
            at: 0,
            fraction: 0..0,
            fractions: 0,
        }
    }
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
        let (time, len, _) = self.read_with_fraction(text, near)?;
        Some((time, len))
    }

    /// As [`Layout::parse_prefix_in`], with where the digits of the second's
    /// fraction are: others there make another fraction of the same time. `None`
    /// if there are none or several.
    pub(super) fn read_with_fraction(
        &self,
        text: &[u8],
        near: Option<Timestamp>,
    ) -> Option<(Timestamp, usize, Option<Range<usize>>)> {
        let mut cursor = Cursor::new(text);
        let mut parts = Parts::default();
        for item in &self.items {
            cursor.item(item, &mut parts)?;
        }
        let has_fraction = cursor.fractions == 1 && parts.epoch.is_none();
        let fraction = has_fraction.then_some(cursor.fraction);
        Some((parts.resolve(near)?, cursor.at, fraction))
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
        let start = self.at;
        let (nanos, len) = fraction_digits(self.text.get(start..)?);
        self.at += len;
        self.fraction = start..self.at;
        self.fractions += 1;
        (len > 0).then_some(nanos)
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
        let text = self.text.get(self.at..)?.first_chunk::<19>()?;
        let date = digits_of(*text.first_chunk()?, *b"0000-00-")?;
        let mut clock = *text[8..].first_chunk()?;
        matches!(clock[2], b'T' | b' ' | b't').then_some(())?;
        clock[2] = b' ';
        let clock = digits_of(clock, *b"00 00:00")?;
        let seconds = [
            text[16] ^ b':',
            text[17].wrapping_sub(b'0'),
            text[18].wrapping_sub(b'0'),
        ];
        (seconds[0] == 0 && seconds[1] < 10 && seconds[2] < 10).then_some(())?;
        let year = date[..4]
            .iter()
            .fold(0, |year, d| year * 10 + i64::from(*d));
        parts.year = Some(year);
        parts.month = date[5] * 10 + date[6];
        parts.day = clock[0] * 10 + clock[1];
        parts.hour = clock[3] * 10 + clock[4];
        parts.minute = clock[6] * 10 + clock[7];
        parts.second = seconds[1] * 10 + seconds[2];
        self.at += text.len();
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

/// The digits of `text`, which must be where `shape` has `0`, and the bytes of
/// `shape` everywhere else: all eight at once.
#[inline]
fn digits_of(text: [u8; 8], shape: [u8; 8]) -> Option<[u8; 8]> {
    let shape = u64::from_le_bytes(shape);
    // Digits become their values, bytes that are as they must be zero.
    let values = u64::from_le_bytes(text) ^ shape;
    // In bytes of digits what is over 9, in others what is not 0, reaches the top
    // bit; what has that bit already may carry into others, and is refused too.
    let is_digit = (shape >> 4) & !(shape >> 3) & !(shape >> 2) & LOW_BITS;
    let excess = values.wrapping_add(0x7f * LOW_BITS - 9 * is_digit);
    ((values | excess) & (0x80 * LOW_BITS) == 0).then(|| values.to_le_bytes())
}

/// The lowest bit of each byte.
const LOW_BITS: u64 = 0x0101_0101_0101_0101;

/// The digits that `text` begins with, as a fraction in nanoseconds, and how
/// many they are; what is finer is cut.
#[inline]
pub(super) fn fraction_digits(text: &[u8]) -> (u32, usize) {
    let mut nanos = 0;
    let mut scale = 100_000_000;
    let mut len = 0;
    while let Some(digit) = text
        .get(len)
        .map(|b| b.wrapping_sub(b'0'))
        .filter(|d| *d < 10)
    {
        nanos += u32::from(digit) * scale;
        scale /= 10;
        len += 1;
    }
    (nanos, len)
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
        // Mostly it is the reference's own: what is this close in it is further in others.
        if let Some(time) = in_year(year).filter(|t| t.0.abs_diff(near.0) < HALF_YEAR_NANOS) {
            return Some(time);
        }
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

/// Half of the shortest year.
const HALF_YEAR_NANOS: u64 = 365 / 2 * 86_400 * 1_000_000_000;

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
