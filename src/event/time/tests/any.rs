//! Times whose layout nobody named, against tables and against jiff.

use super::*;

#[test]
fn any_common_layout_is_read() {
    for text in [
        "2026-11-23T13:32:42Z",
        "2026-11-23 13:32:42",
        "2026-11-23 13:32:42 +0000",
        "2026-11-23 14:32:42 +01:00",
        "2026-11-23 14:32:42+01",
        "2026-11-23T14:32:42+01:00[Europe/Berlin]",
        "2026-11-23 13:32:42 UTC",
        "2026-11-23 14:32:42 CET",
        "2026-11-23 08:32:42 EST",
        "2026-11-23 15:32:42 UTC+2",
        "2026-11-23 15:32:42 GMT+02:00",
        "2026-11-23t13:32:42.000z",
        "2026-11-23_13:32:42",
        "2026-11-23-13.32.42.000000",
        "2026-11-23, 13:32:42",
        "2026-11-23 01:32:42 PM",
        "2026/11/23 13:32:42",
        "2026.11.23 13:32:42",
        "2026-Nov-23 13:32:42",
        "2026 Nov 23 13:32:42",
        "20261123T133242Z",
        "20261123-13:32:42",
        "20261123 133242",
        "20261123133242",
        "261123 133242",
        "261123 13:32:42",
        "23/Nov/2026:13:32:42 +0000",
        "23/Nov/2026 13:32:42",
        "23-Nov-2026 13:32:42",
        "23-Nov-26 13:32:42",
        "23.11.2026 13:32:42",
        "23.11.26 13:32:42",
        "11/23/2026 13:32:42",
        "23/11/2026 13:32:42",
        "11/23/2026 1:32:42 PM",
        "11/23/26 13:32:42",
        "11-23-2026 13:32:42",
        "Mon, 23 Nov 2026 13:32:42 GMT",
        "Mon, 23 Nov 2026 15:32:42 +0200",
        "Monday, 23 November 2026 13:32:42",
        "23 Nov 2026 13:32:42.000",
        "Mon Nov 23 13:32:42 2026",
        "Mon Nov 23 13:32:42 UTC 2026",
        "Mon Nov 23 13:32:42.000000 2026",
        "Nov 23 2026 13:32:42",
        "Nov 23, 2026 1:32:42 PM",
        "Nov 23, 2026 1:32:42\u{202f}PM",
        "November 23, 2026 at 1:32:42 PM",
        "Nov-23-2026 13:32:42",
        "1795440762",
        "1795440762.0",
        "1795440762000",
        "1795440762000000",
        "1795440762000000000",
        " 1795440762 ",
    ] {
        assert_eq!(parse_any(text.as_bytes()), Some(nanos(SECOND, 0)), "{text}");
    }
    for text in [
        "",
        "-",
        "now",
        "12:30",
        "2026-11-23T13:32:42Z tail",
        "1.2.3",
        "10.0.0.1",
        "99999999999999999999",
        "Nov 23 13:32:42",
        "13:32:42",
    ] {
        assert_eq!(parse_any(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn fractions_have_any_separator() {
    for (text, fraction) in [
        ("2026-11-23 13:32:42.5", 500_000_000),
        ("2026-11-23 13:32:42,123", 123_000_000),
        ("20261123-13:32:42:606", 606_000_000),
        ("1795440762.25", 250_000_000),
        ("1795440762001", 1_000_000),
        ("1795440762000001", 1000),
        ("1795440762000000001", 1),
    ] {
        assert_eq!(
            any_prefix(text.as_bytes(), Timestamp(0)).map(|found| found.0),
            Some(nanos(SECOND, fraction)),
            "{text}"
        );
    }
}

#[test]
fn what_lacks_a_part_is_close_to_the_reference() {
    let near = nanos(SECOND, 0);
    for (text, form, taken) in [
        ("Nov 23 13:32:42 web", Form::Full, 15),
        ("Mon Nov 23 13:32:42 web", Form::Full, 19),
        ("23 Nov 13:32:42 web", Form::Full, 15),
        ("11-23 13:32:42.000 1", Form::Full, 18),
        ("11/23 13:32:42", Form::Full, 14),
        ("11.23 13:32:42]", Form::Full, 14),
        ("23.11. 13:32:42", Form::Full, 15),
        ("1123 13:32:42.000000 7", Form::Full, 20),
        ("13:32:42.000 [main]", Form::Clock, 12),
        ("1:32:42 PM x", Form::Clock, 10),
    ] {
        let found = any_prefix(text.as_bytes(), near);
        assert_eq!(found, Some((near, taken, form)), "{text}");
    }
    let midnight = nanos(SECOND - 48_762, 0);
    assert_eq!(
        any_prefix(b"2026-11-23 was", near),
        Some((midnight, 10, Form::Day))
    );
    let late = any_prefix(b"23:59:59", midnight).map(|found| found.0);
    assert_eq!(late, Some(Timestamp(midnight.0 - 1_000_000_000)));
}

#[test]
fn words_and_numbers_are_no_times() {
    for text in [
        "12:30",
        "5 May be",
        "Mayor 5 12:30",
        "Sunset 12",
        "Monday morning",
        "mar 5 7",
        "10.0.0.1 12:30:00",
        "3-5 12",
        "404 not",
        "9999-99-99 99:99:99",
        "123456 12:30",
        "2026",
        "4/5",
    ] {
        let found = any_prefix(text.as_bytes(), nanos(SECOND, 0));
        assert_eq!(found, None, "{text}");
    }
}

proptest! {
    #[test]
    fn any_reads_what_jiff_writes(
        secs in 1_000_000_000i64..3_900_000_000,
        millis in 0i64..1000,
        directives in prop::sample::select(vec![
            "%Y-%m-%dT%H:%M:%S%.3f%:z", "%Y-%m-%d %H:%M:%S%.3f", "%Y/%m/%d %H:%M:%S%.3f %z",
            "%d/%b/%Y:%H:%M:%S%.3f %z", "%d.%m.%Y %H:%M:%S%.3f", "%b %d %Y %H:%M:%S%.3f",
            "%a %b %e %H:%M:%S%.3f %Y", "%a, %d %b %Y %H:%M:%S%.3f %z", "%m/%d/%Y %I:%M:%S%.3f %p",
            "%Y%m%dT%H%M%S%.3f%z", "%B %e, %Y %I:%M:%S%.3f %p",
        ]),
        hours in -12i8..13,
    ) {
        let zone = if directives.ends_with('z') { hours } else { 0 };
        let time = nanos(secs, millis * 1_000_000);
        let instant = jiff::Timestamp::from_nanosecond(i128::from(time.0)).unwrap();
        let zoned = instant.to_zoned(jiff::tz::Offset::constant(zone).to_time_zone());
        let text = jiff::fmt::strtime::format(directives, &zoned).unwrap();
        let found = any_prefix(text.as_bytes(), time);
        prop_assert_eq!(found, Some((time, text.len(), Form::Full)), "{}", text);
    }
}
