//! What a reply means: delivered, later, never, or "not you".
//!
//! Statuses are RFC 9110's §15. What says something of tflog's configuration
//! and not of the events (a wrong path, a redirect, an unknown media type) is
//! held and said loudly: taking it for a refusal of the events would send all
//! of them to the dead letters.

use std::time::Duration;

use hyper::StatusCode;
use hyper::header::{HeaderMap, RETRY_AFTER};

use crate::event::Timestamp;
use crate::event::time::parse_any;

/// What a status means for what was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::sink) enum Class {
    /// It has it.
    Delivered,
    /// It may have it later.
    Retry,
    /// People must mend something.
    Denied,
    /// It will never have it.
    Reject,
}

impl Class {
    /// The class of a final status.
    pub(in crate::sink) fn of(status: StatusCode) -> Class {
        match status.as_u16() {
            200..=299 => Class::Delivered,
            408 | 425 | 429 | 500.. => Class::Retry,
            // Redirects are not followed: the URL is wrong. So it is, or the
            // encoding, for 404, 405, 406, 410, 411, 415 and 421.
            300..=399 | 401..=407 | 410 | 411 | 415 | 421 | 426 => Class::Denied,
            400..=499 => Class::Reject,
            // No final status at all.
            _ => Class::Retry,
        }
    }
}

/// What to do about a status, for messages.
pub(in crate::sink) fn remedy(status: StatusCode) -> &'static str {
    match status.as_u16() {
        401 | 403 | 407 => "check `auth`; will try again",
        404 | 405 | 410 => "check the URL; will try again",
        300..=399 => "redirects are not followed: write the final URL; will try again",
        406 | 411 | 415 => "check `compression` and the format; will try again",
        _ => "will try again",
    }
}

/// When to try again, by `Retry-After` in seconds or as a date (RFC 9110
/// §10.2.3), however long that is: the driver has a limit.
pub(in crate::sink) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.as_bytes().trim_ascii();
    let after = if !value.is_empty() && value.iter().all(u8::is_ascii_digit) {
        // Too long for a number is past the maximum too.
        let seconds = std::str::from_utf8(value).ok()?.parse();
        Duration::from_secs(seconds.unwrap_or(u64::MAX))
    } else {
        // A date begins with the day's name; `parse_any` takes bare numbers too.
        value.first().filter(|b| b.is_ascii_alphabetic())?;
        let nanos = parse_any(value)?.0.saturating_sub(now.0);
        Duration::from_nanos(nanos.max(0) as u64)
    };
    Some(after)
}

/// Bytes of a reply that a message holds.
const EXCERPT_BYTES_MAX: usize = 300;
/// Bytes of a reply that are looked at for it.
const EXCERPT_LOOK_MAX: usize = 4096;

/// Values that are taken out of what far ends say: some say back what they got.
#[derive(Clone, Default)]
pub(in crate::sink) struct Secrets(Vec<String>);

impl Secrets {
    /// Shorter ones would star half the text and tell more than they hide.
    const BYTES_MIN: usize = 4;

    /// Remembers a value.
    pub(in crate::sink) fn add(&mut self, value: &str) {
        if value.len() >= Self::BYTES_MIN {
            self.0.push(value.to_owned());
            // The longest first: one may be part of another.
            self.0.sort_by_key(|s| std::cmp::Reverse(s.len()));
        }
    }

    /// The beginning of a reply: no secrets, no control characters, bounded.
    pub(in crate::sink) fn excerpt(&self, reply: &[u8]) -> String {
        let look = &reply[..reply.len().min(EXCERPT_LOOK_MAX)];
        let mut text = String::from_utf8_lossy(look).into_owned();
        for secret in &self.0 {
            text = text.replace(secret, "***");
        }
        if reply.len() > look.len() {
            // The end may be the beginning of a secret.
            let longest = self.0.first().map_or(0, String::len);
            let keep = text.floor_char_boundary(text.len().saturating_sub(longest));
            text.truncate(keep);
        }
        let mut excerpt = String::new();
        for c in text.trim().chars() {
            let before = excerpt.len();
            if c.is_control() || is_invisible(c) {
                excerpt.extend(c.escape_default());
            } else {
                excerpt.push(c);
            }
            if excerpt.len() > EXCERPT_BYTES_MAX {
                excerpt.truncate(before);
                excerpt.push('…');
                break;
            }
        }
        excerpt
    }
}

/// Characters that would change how the text around them is shown.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn statuses_have_their_class() {
        for (statuses, class) in [
            (&[200, 201, 202, 204, 299][..], Class::Delivered),
            (&[408, 425, 429, 500, 502, 503, 504, 599, 999], Class::Retry),
            (
                &[301, 302, 307, 308, 401, 403, 404, 407, 415],
                Class::Denied,
            ),
            (&[400, 409, 412, 413, 414, 422, 431, 451], Class::Reject),
        ] {
            for &status in statuses {
                let status = StatusCode::from_u16(status).unwrap();
                assert_eq!(Class::of(status), class, "{status}");
            }
        }
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp(784_111_777_000_000_000);
        for (value, seconds) in [
            ("0", Some(0)),
            (" 120 ", Some(120)),
            ("99999", Some(99_999)),
            ("99999999999999999999999999", Some(u64::MAX)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10)),
            ("Sun, 06 Nov 1994 08:00:00 GMT", Some(0)),
            ("Sun, 06 Nov 2094 08:00:00 GMT", Some(3_155_757_023)),
            ("soon", None),
            ("-5", None),
            ("", None),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, value.parse().unwrap());
            let after = retry_after(&headers, now);
            assert_eq!(after.map(|a| a.as_secs()), seconds, "{value}");
        }
    }

    #[test]
    fn an_excerpt_is_short_and_tells_no_secret() {
        let mut secrets = Secrets::default();
        secrets.add("hunter22");
        secrets.add("hunter22-long");
        secrets.add("a");
        let reply = b" bad\r\n\x1b[31mhunter22-long hunter22 \xff\xe2\x80\xae ";
        let excerpt = secrets.excerpt(reply);
        assert_eq!(excerpt, "bad\\r\\n\\u{1b}[31m*** *** \u{fffd}\\u{202e}");
        let long = secrets.excerpt("é".repeat(5000).as_bytes());
        assert!(long.len() <= 303 && long.ends_with('…'), "{}", long.len());
        // One that stands across the end of an excerpt is no less a secret.
        let across = format!("{}hunter22", "x".repeat(296));
        assert!(!secrets.excerpt(across.as_bytes()).contains("hunt"));
        let many = "hunter22-".repeat(1000);
        assert!(
            !secrets
                .excerpt(many.as_bytes())
                .ends_with(['h', 'u', 'n', 't'])
        );
    }
}
