//! The time of the day where its layout is not named: hours to fraction, half
//! of the day, zone.

use super::read::{Cursor, Parts};
use super::zone;

impl Cursor<'_> {
    /// The time of the day with fraction, half of the day and zone.
    pub(super) fn clock(&mut self, parts: &mut Parts) -> Option<()> {
        if self.digit_run(7) == 6 {
            self.compact_clock(parts)?;
        } else {
            parts.hour = self.one_or_two()? as u8;
            let separator = self.byte(b":.")?;
            parts.minute = self.digits(2)? as u8;
            let seconds = self.byte(&[separator]).is_some();
            if seconds {
                parts.second = self.digits(2)? as u8;
                parts.nanos = self.fraction();
                if parts.nanos == 0 && self.peek() == Some(b':') {
                    self.colon_fraction(parts);
                }
            } else if separator == b'.' {
                return None;
            }
        }
        self.afternoon(parts);
        self.zone_or_none(parts);
        Some(())
    }

    pub(super) fn compact_clock(&mut self, parts: &mut Parts) -> Option<()> {
        parts.hour = self.digits(2)? as u8;
        parts.minute = self.digits(2)? as u8;
        parts.second = self.digits(2)? as u8;
        parts.nanos = self.fraction();
        Some(())
    }

    /// `13:32:42:123`.
    fn colon_fraction(&mut self, parts: &mut Parts) {
        let start = self.at;
        self.at += 1;
        match self.digits(3).filter(|_| self.is_word_end()) {
            Some(millis) => parts.nanos = millis * 1_000_000,
            None => self.at = start,
        }
    }

    /// Whether AM or PM may be next: not after a space with another letter behind
    /// it, nor at a bracket.
    pub(super) fn may_be_half_day(&self) -> bool {
        let half = |b: u8| matches!(b, b'A' | b'a' | b'P' | b'p' | 0xe2);
        match self.text[self.at..] {
            [b' ', next, ..] | [next, ..] => half(next),
            [] => false,
        }
    }

    /// AM or PM, if it is there.
    pub(super) fn afternoon(&mut self, parts: &mut Parts) {
        let start = self.at;
        if !self.may_be_half_day() {
            return;
        }
        let pm = self.half_day().filter(|_| self.is_word_end());
        match pm {
            Some(pm) if (1..=12).contains(&parts.hour) => {
                parts.hour %= 12;
                parts.pm = Some(pm);
            }
            _ => self.at = start,
        }
    }

    /// A zone, if it is there: next to the time, or apart and then unmistakable.
    pub(super) fn zone_or_none(&mut self, parts: &mut Parts) {
        let start = self.at;
        let apart = self.byte(b" ").is_some();
        match self.peek() {
            Some(b'+' | b'-') => {
                let sign_at = self.at;
                let offset = self.offset().filter(|_| self.is_word_end());
                let len = self.at - sign_at;
                match offset {
                    // `- 12` and `-12` after a space are other things than a zone.
                    Some(offset) if !apart || len >= 5 => parts.offset_secs = offset,
                    _ => self.at = start,
                }
            }
            Some(b'A'..=b'Z' | b'z') => {
                let rest = &self.text[self.at..];
                let lower = !apart && rest[0] == b'z';
                let found = zone::prefix(rest).or_else(|| lower.then_some((0, 1)));
                let Some((offset, len)) = found else {
                    self.at = start;
                    return;
                };
                self.at += len;
                parts.offset_secs = offset;
                if !self.is_word_end() {
                    parts.offset_secs = 0;
                    self.at = start;
                    return;
                }
                self.beyond_utc(parts);
            }
            _ => self.at = start,
        }
        self.zone_id();
    }

    /// `UTC+2`, `GMT+02:00`.
    fn beyond_utc(&mut self, parts: &mut Parts) {
        let start = self.at;
        let sign = match self.byte(b"+-") {
            Some(b'-') => -1,
            Some(_) => 1,
            None => return,
        };
        let hours = self.one_or_two();
        let _ = self.byte(b":");
        let minutes = self.digits(2).unwrap_or(0);
        match hours.filter(|_| self.is_word_end()) {
            Some(hours) if hours < 15 && minutes < 60 => {
                parts.offset_secs = sign * (hours * 3600 + minutes * 60) as i32;
            }
            _ => self.at = start,
        }
    }

    /// Java's `[Europe/Berlin]` behind an offset says nothing more.
    fn zone_id(&mut self) {
        let rest = &self.text[self.at..];
        if rest.first() != Some(&b'[') || !rest.get(1).is_some_and(u8::is_ascii_uppercase) {
            return;
        }
        let inside = |b: &u8| b.is_ascii_alphabetic() || matches!(b, b'/' | b'_');
        let len = 1 + rest[1..].iter().take_while(|b| inside(b)).count();
        if rest[..len].contains(&b'/') && rest.get(len) == Some(&b']') {
            self.at += len + 1;
        }
    }
}
