//! Layouts whose lines were captured from the programs themselves.

use super::{all_fields, check, fields, read};

const TIME: &str = "timestamp=2026-11-23T13:32:42.123Z";
const SECOND: &str = "timestamp=2026-11-23T13:32:42Z";

#[test]
fn servers() {
    let logger = "logger='a.b.C'";
    for (format, line, expected) in [
        (
            "bind",
            "23-Nov-2026 13:32:42.123 general: debug 1: zone a/IN: enter",
            &[
                TIME,
                "level='debug'",
                "message='zone a/IN: enter'",
                "category='general'",
            ][..],
        ),
        (
            "tomcat",
            "23-Nov-2026 13:32:42.123 SEVERE [main] a.b.C.log Failed: x",
            &[
                TIME,
                "level='SEVERE'",
                "message='Failed: x'",
                "thread='main'",
                "logger='a.b.C.log'",
            ],
        ),
        (
            "elasticsearch",
            "[2026-11-23T13:32:42,123][INFO ][a.b.C    ] [n1] [x] started",
            &[
                TIME,
                "level='INFO'",
                "message='[x] started'",
                logger,
                "node='n1'",
            ],
        ),
        (
            "syslog_ng",
            "2026-11-23T13:32:42+00:00 web-1 err shop[71]: declined",
            &[
                SECOND,
                "level='err'",
                "message='declined'",
                "host='web-1'",
                "service='shop'",
                "pid=71",
            ],
        ),
        (
            "quarkus",
            "2026-11-23 13:32:42,123 WARN  [a.b.C] (main) low",
            &[
                TIME,
                "level='WARN'",
                "message='low'",
                logger,
                "thread='main'",
            ],
        ),
        (
            "java",
            "2026-11-23 13:32:42,123 INFO  [main] a.b.C (C.java:4) - up",
            &[
                TIME,
                "level='INFO'",
                "message='up'",
                "thread='main'",
                logger,
                "caller='C.java:4'",
            ],
        ),
        (
            "java",
            "2026-11-23 13:32:42,123 INFO [main] a.b.C [C.java:4] up",
            &[
                TIME,
                "level='INFO'",
                "message='up'",
                "thread='main'",
                logger,
                "caller='C.java:4'",
            ],
        ),
    ] {
        check(format, true, line, expected);
    }
}

#[test]
fn libraries() {
    let logger = "logger='shop'";
    for (format, line, expected) in [
        (
            "charm",
            "2026/11/23 13:32:42 ERRO shop: declined: x",
            &[SECOND, "level='ERRO'", "message='declined: x'", logger][..],
        ),
        (
            "hclog",
            "2026-11-23T13:32:42.123Z [INFO]  shop: placed: order=1",
            &[TIME, "level='INFO'", "message='placed: order=1'", logger],
        ),
        (
            "loguru",
            "2026-11-23 13:32:42.123 | INFO     | a:<lambda>:62 - up - now",
            &[
                TIME,
                "level='INFO'",
                "message='up - now'",
                "caller='a:<lambda>:62'",
            ],
        ),
        (
            "monolog",
            "[2026-11-23T13:32:42.123+00:00] shop.NOTICE: up {} []",
            &[TIME, "level='NOTICE'", "message='up {} []'", logger],
        ),
        (
            "log4js",
            "[2026-11-23T13:32:42.123] [DEBUG] shop - miss",
            &[TIME, "level='DEBUG'", "message='miss'", logger],
        ),
        (
            "log4perl",
            "2026/11/23 13:32:42 WARN> a.pl:7 main:: - low",
            &[
                SECOND,
                "level='WARN'",
                "message='low'",
                "caller='a.pl:7'",
                "logger='main::'",
            ],
        ),
        (
            "python",
            "2026-11-23 13:32:42,123 INFO     [35] [MainThread] a:27 - up",
            &[
                TIME,
                "level='INFO'",
                "message='up'",
                "pid=35",
                "thread='MainThread'",
                "logger='a:27'",
            ],
        ),
        (
            "tracing",
            "2026-11-23T13:32:42.123Z  INFO place{order=2}:pay: shop: done: 3",
            &[
                TIME,
                "level='INFO'",
                "message='done: 3'",
                "span='place{order=2}:pay'",
                logger,
            ],
        ),
    ] {
        check(format, true, line, expected);
    }
}

/// Plain text: colours are skipped, and so is what names the line's writer.
#[test]
fn text_without_its_writer() {
    let coloured = concat!(
        "\u{1b}[2m2026-11-23T13:32:42.123Z\u{1b}[0m \u{1b}[32m INFO\u{1b}[0m ",
        "\u{1b}[2mshop\u{1b}[0m\u{1b}[2m:\u{1b}[0m done: 3",
    );
    for (line, message) in [
        (coloured, "message='done: 3'"),
        ("[main] INFO a.b.C - up - now", "message='up - now'"),
        (
            "2026/11/23 13:32:42 main.go:87: cache: miss",
            "message='cache: miss'",
        ),
        (
            "2026/11/23 13:32:42 main.go:87: stock is low: ERROR margin 2",
            "message='stock is low: ERROR margin 2'",
        ),
        (
            "2026/11/23 13:32:42 main.go:87: ERROR: margin is 2",
            "message='margin is 2'",
        ),
        (
            "2026/11/23 13:32:42 e.g. - a case",
            "message='e.g. - a case'",
        ),
        (
            "2026/11/23 13:32:42 10.0.0.1:87: refused",
            "message='10.0.0.1:87: refused'",
        ),
    ] {
        let text = format!("{line}\n");
        let columns = read("text", &all_fields(), text.as_bytes());
        let fields = fields(&columns, text.as_bytes(), 0);
        assert!(fields.iter().any(|f| f == message), "{line}: {fields:?}");
    }
}

/// Of a format's variants the first that reads a line has it, though the last
/// reads more lines.
#[test]
fn the_first_variant_is_tried_first() {
    let head = "2026-11-23 13:32:42.123 UTC [7]";
    let text = format!("{head} STATEMENT:  a\n{head} LOG:  b\n{head} DETAIL:  c\n");
    let columns = read("auto", &all_fields(), text.as_bytes());
    let log = fields(&columns, text.as_bytes(), 1);
    assert_eq!(log, [TIME, "level='LOG'", "message='b'", "pid=7"]);
}

/// rsyslog's lines without a process id look like others' until one with it
/// has told the host.
#[test]
fn a_host_is_known_by_its_lines_with_a_process_id() {
    let line = "2026-11-23T13:32:42+00:00 web-1 backup: done: 3\n";
    let sure = "2026-11-23T13:32:42+00:00 web-1 cron[7]: ran\n";
    let other = "2026-11-23T13:32:42+00:00 web-2 backup: done: 3\n";
    for (text, told) in [
        ([line, line].concat(), [false, false]),
        ([sure, line].concat(), [false, true]),
        ([sure, other].concat(), [false, false]),
    ] {
        let columns = read("auto", &all_fields(), text.as_bytes());
        let is_told = |row| {
            let fields = fields(&columns, text.as_bytes(), row);
            fields.iter().any(|f| f == "service='backup'")
        };
        assert_eq!([0, 1].map(is_told), told, "{text}");
    }
}
