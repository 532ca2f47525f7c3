//! Layouts and [`parse_any`] against tables and against jiff.

use super::*;
use proptest::prelude::*;

mod any;
mod memo;

/// Layouts that read what they write.
const LAYOUTS: [&str; 9] = [
    "%+",
    "%*",
    "%Y/%m/%d %H:%M:%S%f %z",
    "%d/%b/%Y:%H:%M:%S %z",
    "%a, %e %b %Y %H:%M:%S %Z",
    "%a %b %e %H:%M:%S%f %Y",
    "%d.%m.%Y %I:%M:%S %p",
    "%Y%m%d %k:%M:%S",
    "%b %e %H:%M:%S%f",
];

/// 2026-11-23T13:32:42Z.
const SECOND: i64 = 1_795_440_762;

fn nanos(secs: i64, nanos: i64) -> Timestamp {
    Timestamp(secs * 1_000_000_000 + nanos)
}

fn layout(text: &str) -> Layout {
    Layout::compile(text).unwrap()
}

#[test]
fn layouts_read_a_prefix() {
    for (directives, text, fraction, rest) in [
        (
            "%d/%b/%Y:%H:%M:%S %z",
            "23/Nov/2026:14:32:42 +0100] x",
            0,
            "] x",
        ),
        (
            "%Y-%m-%d %H:%M:%S,%f",
            "2026-11-23 13:32:42,123 - x",
            123_000_000,
            " - x",
        ),
        ("%F %T%f", "2026-11-23 13:32:42.5 x", 500_000_000, " x"),
        ("%F %T%f", "2026-11-23 13:32:42. x", 0, ". x"),
        (
            "%a %b %e %H:%M:%S.%f %Y",
            "Mon Nov 23 13:32:42.000001 2026",
            1000,
            "",
        ),
        (
            "%A, %d %B %Y %I:%M:%S %p",
            "monday, 23 November 2026 01:32:42 PM.",
            0,
            ".",
        ),
        ("%D %T", "11/23/26 13:32:42", 0, ""),
        ("%Y %j %T", "2026 327 13:32:42", 0, ""),
        ("%s", "1795440762.25 x", 250_000_000, " x"),
        ("%d.%m.%Y %T %Z", "23.11.2026 13:32:42 GMT", 0, ""),
        ("%+", "2026-11-23T13:32:42Z x", 0, " x"),
        (
            "%+",
            "2026-11-23 13:32:42.123456789012 x",
            123_456_789,
            " x",
        ),
        ("%+", "2026-11-23T15:02:42,5+01:30]", 500_000_000, "]"),
        ("%+", "2026-11-23T13:32:42-info", 0, "-info"),
        ("%Y%%%m%%%d %T", "2026%11%23 13:32:42", 0, ""),
    ] {
        let (time, len) = layout(directives)
            .parse_prefix(text.as_bytes())
            .expect(text);
        assert_eq!(
            (time, &text[len..]),
            (nanos(SECOND, fraction), rest),
            "{directives} {text}"
        );
    }
}

#[test]
fn what_is_no_time_is_refused() {
    for text in [
        "2026-13-23T13:32:42Z",
        "2026-00-23T13:32:42Z",
        "2026-02-30T13:32:42Z",
        "2026-02-29T13:32:42Z",
        "2026-11-23T25:00:00Z",
        "2026-11-23T13:60:42Z",
        "2026-11-23T13:32:61Z",
        "2026-11-23T13:32:4",
        "9999-11-23T13:32:42Z",
        "",
    ] {
        assert_eq!(layout("%+").parse_prefix(text.as_bytes()), None, "{text}");
    }
    assert!(layout("%+").parse_prefix(b"2028-02-29T13:32:42Z").is_some());
    assert_eq!(layout("%Y %j").parse_prefix(b"2026 366"), None);
    assert_eq!(layout("%F %I").parse_prefix(b"2026-11-23 13"), None);
}

#[test]
fn a_leap_second_is_the_next_minute() {
    let at = |text: &str| layout("%+").parse_prefix(text.as_bytes()).unwrap().0;
    assert_eq!(at("2016-12-31T23:59:60Z"), at("2017-01-01T00:00:00Z"));
}

#[test]
fn a_missing_year_is_the_one_closest_to_the_reference() {
    let syslog = layout("%b %e %H:%M:%S");
    let reference = |text| parse_any(text).unwrap();
    for (text, near, expected) in [
        (
            "Dec 31 23:59:59",
            "2027-01-01T00:00:05Z",
            "2026-12-31T23:59:59Z",
        ),
        (
            "Jan  1 00:00:01",
            "2026-12-31T23:59:59Z",
            "2027-01-01T00:00:01Z",
        ),
        (
            "Feb 29 12:00:00",
            "2027-12-01T00:00:00Z",
            "2028-02-29T12:00:00Z",
        ),
    ] {
        let near = reference(near.as_bytes());
        let (time, _) = syslog.parse_prefix_in(text.as_bytes(), near).unwrap();
        assert_eq!(time, reference(expected.as_bytes()), "{text}");
    }
    assert_eq!(syslog.parse_prefix(b"Dec 31 23:59:59"), None);
}

#[test]
fn rfc3339_has_the_digits_it_needs() {
    for (fraction, expected) in [
        (0, "2026-11-23T13:32:42Z"),
        (120_000_000, "2026-11-23T13:32:42.120Z"),
        (1000, "2026-11-23T13:32:42.000001Z"),
        (1, "2026-11-23T13:32:42.000000001Z"),
    ] {
        let mut out = Vec::new();
        nanos(SECOND, fraction).write_rfc3339(&mut out);
        assert_eq!(String::from_utf8(out).unwrap(), expected);
    }
}

#[test]
fn a_span_is_rewritten_only_if_it_is_all_time() {
    let mut writer = Rfc3339Writer::default();
    let clf = layout("%d/%b/%Y:%H:%M:%S %z");
    let mut out = Vec::new();
    let near = Timestamp(0);
    assert!(writer.write(&clf, b"23/Nov/2026:13:32:42 +0000", near, &mut out));
    assert!(writer.write(&layout("%+"), b"2026-11-23 13:32:42.5", near, &mut out));
    assert!(!writer.write(&clf, b"23/Nov/2026:13:32:42 +0000]", near, &mut out));
    assert!(!writer.write(&clf, b"-", near, &mut out));
    assert_eq!(out, b"2026-11-23T13:32:42Z2026-11-23T13:32:42.500Z");
}

proptest! {
    #[test]
    fn written_times_agree_with_jiff(time in any::<i64>()) {
        let mut out = Vec::new();
        Timestamp(time).write_rfc3339(&mut out);
        let text = String::from_utf8(out).unwrap();
        let jiff: jiff::Timestamp = text.parse().unwrap();
        prop_assert_eq!(jiff.as_nanosecond(), i128::from(time));
        if let Some((back, len)) = layout("%+").parse_prefix(text.as_bytes()) {
            prop_assert_eq!((back, len), (Timestamp(time), text.len()));
        }
        let directives = "%Y-%m-%d %j %y %b %B %a %A %e %H %I %p %M %S %D %F %T %%";
        let mut out = Vec::new();
        layout(directives).write(Timestamp(time), &mut out);
        let expected = jiff::fmt::strtime::format(directives, jiff).unwrap();
        prop_assert_eq!(String::from_utf8(out).unwrap(), expected);
    }

    #[test]
    fn what_is_written_is_read_back(secs in -9_000_000_000i64..9_000_000_000) {
        for directives in LAYOUTS {
            let layout = layout(directives);
            let mut out = Vec::new();
            layout.write(nanos(secs, 0), &mut out);
            let near = nanos(secs, 0);
            prop_assert_eq!(layout.parse_prefix_in(&out, near), Some((near, out.len())));
        }
    }

    #[test]
    fn no_bytes_panic(text in proptest::collection::vec(any::<u8>(), 0..40)) {
        let _ = parse_any(&text);
        for directives in LAYOUTS {
            if let Some((_, len)) = layout(directives).parse_prefix_in(&text, Timestamp(0)) {
                prop_assert!(len <= text.len());
            }
        }
    }
}
