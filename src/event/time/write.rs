//! Writing times: [`Timestamp`] to text, by a layout or as RFC 3339.

use super::Timestamp;
use super::civil::{DAY_SECS, civil_from_days, days_from_civil};
use super::layout::{Item, Layout};

/// English month names; three letters are the short form.
pub(super) const MONTHS: [&str; 12] = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
];

/// English weekday names; three letters are the short form.
pub(super) const WEEKDAYS: [&str; 7] = [
    "Sunday",
    "Monday",
    "Tuesday",
    "Wednesday",
    "Thursday",
    "Friday",
    "Saturday",
];

impl Layout {
    /// Appends `time` in this layout, in UTC. `%f` is written with as many
    /// digits as it needs: 3, 6 or 9.
    pub fn write(&self, time: Timestamp, out: &mut Vec<u8>) {
        let secs = time.0.div_euclid(1_000_000_000);
        let nanos = time.0.rem_euclid(1_000_000_000) as u32;
        let days = secs.div_euclid(DAY_SECS);
        let (year, month, day) = civil_from_days(days);
        let second = secs.rem_euclid(DAY_SECS) as u32;
        let (hour, minute) = (second / 3600, second / 60 % 60);
        for item in &self.items {
            match item {
                Item::Literal(bytes) => out.extend_from_slice(bytes),
                Item::Year => padded(year as u32, 4, out),
                Item::YearShort => padded(year as u32 % 100, 2, out),
                Item::Month => padded(u32::from(month), 2, out),
                Item::MonthName { full } => name(MONTHS[usize::from(month) - 1], *full, out),
                Item::DaySpaced if day < 10 => out.extend_from_slice(&[b' ', b'0' + day]),
                Item::Day | Item::DaySpaced => padded(u32::from(day), 2, out),
                Item::DayOfYear => {
                    padded((days - days_from_civil(year, 1, 1) + 1) as u32, 3, out);
                }
                Item::Weekday { full } => {
                    // 1970-01-01 was a Thursday.
                    name(WEEKDAYS[(days + 4).rem_euclid(7) as usize], *full, out);
                }
                Item::HourSpaced if hour < 10 => {
                    out.extend_from_slice(&[b' ', b'0' + hour as u8]);
                }
                Item::Hour | Item::HourSpaced => padded(hour, 2, out),
                Item::Hour12 => padded((hour + 11) % 12 + 1, 2, out),
                Item::HalfDay => out.extend_from_slice(if hour < 12 { b"AM" } else { b"PM" }),
                Item::Minute => padded(minute, 2, out),
                Item::Second => padded(second % 60, 2, out),
                Item::Fraction { optional: false } => fraction(nanos, out),
                Item::Fraction { optional: true } => separated_fraction(nanos, out),
                Item::Offset { colon: false } => out.extend_from_slice(b"+0000"),
                Item::Offset { colon: true } => out.extend_from_slice(b"+00:00"),
                Item::Zone => out.extend_from_slice(b"UTC"),
                Item::Epoch => out.extend_from_slice(secs.to_string().as_bytes()),
                Item::Rfc3339 | Item::Any => time.write_rfc3339(out),
            }
        }
    }
}

fn padded(mut number: u32, digits: usize, out: &mut Vec<u8>) {
    let start = out.len();
    out.resize(start + digits, b'0');
    for byte in out[start..].iter_mut().rev() {
        *byte = b'0' + (number % 10) as u8;
        number /= 10;
    }
}

fn name(name: &str, full: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if full {
        name.as_bytes()
    } else {
        &name.as_bytes()[..3]
    });
}

fn fraction(nanos: u32, out: &mut Vec<u8>) {
    if nanos.is_multiple_of(1_000_000) {
        padded(nanos / 1_000_000, 3, out);
    } else if nanos.is_multiple_of(1000) {
        padded(nanos / 1000, 6, out);
    } else {
        padded(nanos, 9, out);
    }
}

fn separated_fraction(nanos: u32, out: &mut Vec<u8>) {
    if nanos != 0 {
        out.push(b'.');
        fraction(nanos, out);
    }
}

/// Renders times as RFC 3339 in UTC, and keeps the last second rendered:
/// consecutive lines mostly share it.
#[derive(Clone, Debug)]
pub struct Rfc3339Writer {
    second: i64,
    /// `second` as `YYYY-MM-DDThh:mm:ss`.
    rendered: [u8; 19],
}

impl Default for Rfc3339Writer {
    fn default() -> Rfc3339Writer {
        Rfc3339Writer {
            second: 0,
            rendered: *b"1970-01-01T00:00:00",
        }
    }
}

impl Rfc3339Writer {
    /// Appends the time that `span` holds in `layout`. False, and nothing
    /// appended, if `span` is not exactly such a time. `reference` is for
    /// layouts without year, see [`Layout::parse_prefix_in`].
    pub fn write(
        &mut self,
        layout: &Layout,
        span: &[u8],
        reference: Timestamp,
        out: &mut Vec<u8>,
    ) -> bool {
        match layout.parse_prefix_in(span, reference) {
            Some((time, len)) if len == span.len() => {
                self.write_time(time, out);
                true
            }
            _ => false,
        }
    }

    /// Appends a time; see [`Timestamp::write_rfc3339`].
    pub fn write_time(&mut self, time: Timestamp, out: &mut Vec<u8>) {
        let second = time.0.div_euclid(1_000_000_000);
        if second != self.second {
            self.second = second;
            self.render(second);
        }
        out.extend_from_slice(&self.rendered);
        separated_fraction(time.0.rem_euclid(1_000_000_000) as u32, out);
        out.push(b'Z');
    }

    fn render(&mut self, second: i64) {
        let (year, month, day) = civil_from_days(second.div_euclid(DAY_SECS));
        let of_day = second.rem_euclid(DAY_SECS) as u32;
        let mut two = |at: usize, number: u32| {
            self.rendered[at] = b'0' + (number / 10) as u8;
            self.rendered[at + 1] = b'0' + (number % 10) as u8;
        };
        // An `i64` of nanoseconds stays within the years 1677 to 2262.
        two(0, year as u32 / 100);
        two(2, year as u32 % 100);
        two(5, u32::from(month));
        two(8, u32::from(day));
        two(11, of_day / 3600);
        two(14, of_day / 60 % 60);
        two(17, of_day % 60);
    }
}
