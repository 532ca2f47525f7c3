//! What `auto` decides: by the first lines, line by line, and anew.

use super::{ACCESS, all_fields, build, fields, read};
use crate::event::Columns;

const HAPROXY: &str = "Feb  6 12:14:14 lb haproxy[14389]: 10.0.1.2:33317 [06/Feb/2009:12:14:14.655] in be/s1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 \"GET / HTTP/1.1\"";

/// The names of the formats that read lines, one after the other.
fn formats_of(lines: &[&str]) -> Vec<&'static str> {
    let formats = build("auto", &all_fields());
    let mut reader = formats.reader();
    let mut columns = Columns::default();
    let read = lines.iter().map(|line| {
        let text = format!("{line}\n");
        reader.read(
            super::OBSERVED,
            text.as_bytes(),
            &[text.len() as u32],
            &mut columns,
        );
        reader.format()
    });
    read.collect()
}

#[test]
fn a_particular_format_is_not_lost_to_a_general_one() {
    // Both lines are syslog, but one of them is more.
    let plain = "Feb  6 12:14:15 lb cron[7]: job done";
    let found = formats_of(&[plain, HAPROXY, plain, HAPROXY]);
    assert_eq!(found, ["syslog", "haproxy", "syslog", "haproxy"]);
}

#[test]
fn interleaved_formats_are_told_apart_line_by_line() {
    let logfmt = "level=info msg=up";
    let klog = "W1123 13:32:42.000100    1234 pod.go:42] evicted";
    let lines = [ACCESS, logfmt, "{\"a\":1}", klog, "plain words", ACCESS];
    let once = ["combined", "logfmt", "json", "klog", "text", "combined"];
    let lines: Vec<&str> = lines.iter().cycle().take(600).copied().collect();
    let expected: Vec<&str> = once.iter().cycle().take(600).copied().collect();
    assert_eq!(formats_of(&lines), expected);
}

#[test]
fn one_odd_line_at_the_start_decides_nothing() {
    let java = "2026-11-23 13:32:42,123 INFO a.B - up\n";
    let text = format!("Starting the server\n{}", java.repeat(40));
    let columns = read("auto", &all_fields(), text.as_bytes());
    let logger = |row| fields(&columns, text.as_bytes(), row).contains(&"logger='a.B'".to_owned());
    assert!((1..41).all(logger));
}

#[test]
fn a_stream_that_changes_its_format_is_decided_anew() {
    let other = "2026-11-23 13:32:42,123 - app - INFO - up";
    for many in [10, 100, 5000] {
        let mut lines = vec![ACCESS; many];
        lines.extend(std::iter::repeat_n(other, many));
        let found = formats_of(&lines);
        assert!(found[..many].iter().all(|f| *f == "combined"));
        assert!(found[many..].iter().all(|f| *f == "python"));
    }
}

#[test]
fn another_format_is_noticed_after_much_plain_text() {
    let plain = "2026-11-23 13:32:42 worker is done\n\tall of it\n";
    let python = "2026-11-23 13:32:42,123 - app - INFO - up\n";
    let klog = "W1123 13:32:42.000100    1234 pod.go:42] evicted\n";
    let text = [plain.repeat(6000), klog.repeat(2), python.repeat(1100)].concat();
    let columns = read("auto", &all_fields(), text.as_bytes());
    let has = |row, field: &str| {
        fields(&columns, text.as_bytes(), row)
            .iter()
            .any(|f| f == field)
    };
    // What begins differently is tried at once; what begins alike in a while.
    assert!((12_000..12_002).all(|row| has(row, "level='W'") && !has(row, "prefix='W'")));
    assert!((13_050..13_102).all(|row| has(row, "logger='app'")));
    assert!((0..12_000).all(|row| !has(row, "logger='app'")));
}
