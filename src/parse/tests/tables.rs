//! Every format by a table of lines and the fields they must give.

use super::{ACCESS, all_fields, check, read};

#[test]
fn access_logs() {
    check(
        "combined",
        true,
        ACCESS,
        &[
            "timestamp=2026-11-23T13:32:42Z",
            "message='GET / HTTP/1.1'",
            "client='10.0.0.1'",
            "http.method='GET'",
            "http.path='/'",
            "http.protocol='HTTP/1.1'",
            "http.status=200",
            "http.bytes=5",
            "user_agent='curl/8'",
        ],
    );
    check(
        "combined",
        true,
        r#"::1 id ann lee [23/Nov/2026:13:32:42 +0100] "\x16\x03\x01" 400 - "http://x/?a=\"b\"" "" "1.2.3.4, 5.6.7.8""#,
        &[
            "timestamp=2026-11-23T12:32:42Z",
            r"message=hex:\x16\x03\x01",
            "client='::1'",
            "ident='id'",
            "user='ann lee'",
            "http.status=400",
            r#"referrer=hex:http://x/?a=\"b\""#,
            "user_agent=''",
            "forwarded_for='1.2.3.4, 5.6.7.8'",
        ],
    );
    check(
        "clf",
        true,
        r#"host.example - frank [23/Nov/2026:13:32:42 +0000] "-" 408 0"#,
        &[
            "timestamp=2026-11-23T13:32:42Z",
            "client='host.example'",
            "user='frank'",
            "http.status=408",
            "http.bytes=0",
        ],
    );
}

#[test]
fn server_logs() {
    check(
        "nginx_error",
        true,
        "2026/11/23 13:32:42 [error] 31#7: *5 open() failed, client: 1.2.3.4",
        &[
            "timestamp=2026-11-23T13:32:42Z",
            "level='error'",
            "message='open() failed, client: 1.2.3.4'",
            "pid=31",
            "tid=7",
            "connection=5",
        ],
    );
    check(
        "apache_error",
        true,
        "[Mon Nov 23 13:32:42.000123 2026] [core:warn] [pid 7:tid 99] [client ::1:80] AH1: x",
        &[
            "timestamp=2026-11-23T13:32:42.000123Z",
            "level='warn'",
            "message='AH1: x'",
            "module='core'",
            "pid=7",
            "tid=99",
            "client='::1:80'",
        ],
    );
    check(
        "klog",
        true,
        "W1123 13:32:42.000100    1234 pod.go:42] evicted",
        &[
            "timestamp=2026-11-23T13:32:42.000100Z",
            "level='W'",
            "message='evicted'",
            "pid=1234",
            "caller='pod.go:42'",
        ],
    );
    check(
        "redis",
        true,
        "1:M 23 Nov 2026 13:32:42.100 * Ready",
        &[
            "timestamp=2026-11-23T13:32:42.100Z",
            "level=info",
            "message='Ready'",
            "pid=1",
            "process='M'",
        ],
    );
    for (who, rest) in [
        ("", &[][..]),
        ("ann@shop ", &["user='ann'", "database='shop'"]),
    ] {
        let line = format!("2026-11-23 13:32:42.001 UTC [31] {who}FATAL:  no such role");
        let head = [
            "timestamp=2026-11-23T13:32:42.001Z",
            "level='FATAL'",
            "message='no such role'",
            "pid=31",
        ];
        check("postgresql", true, &line, &[&head, rest].concat());
    }
}

#[test]
fn program_logs() {
    let common = [
        "timestamp=2026-11-23T13:32:42.123Z",
        "level='INFO'",
        "message='up  now'",
    ];
    for (format, auto, line, rest) in [
        (
            "java",
            true,
            "2026-11-23 13:32:42,123 [main] INFO  a.B - up  now",
            &["thread='main'", "logger='a.B'"][..],
        ),
        (
            "java",
            true,
            "2026-11-23 13:32:42.123 INFO [main] a.B - up  now",
            &["thread='main'", "logger='a.B'"],
        ),
        (
            "java",
            true,
            "2026-11-23T13:32:42.123Z INFO a.B - up  now",
            &["logger='a.B'"],
        ),
        (
            "spring",
            true,
            "2026-11-23T13:32:42.123Z  INFO 7 --- [shop] [      main] c.e.Shop    : up  now",
            &[
                "pid=7",
                "service='shop'",
                "thread='main'",
                "logger='c.e.Shop'",
            ],
        ),
        (
            "spring",
            true,
            "2026-11-23 13:32:42.123  INFO 7 --- [      main] c.e.Shop    : up  now",
            &["pid=7", "thread='main'", "logger='c.e.Shop'"],
        ),
        (
            "python",
            true,
            "2026-11-23 13:32:42,123 - app.db - INFO - up  now",
            &["logger='app.db'"],
        ),
        (
            "ruby",
            true,
            "I, [2026-11-23T13:32:42.123 #9]  INFO -- shop: up  now",
            &["pid=9", "service='shop'"],
        ),
        (
            "ruby",
            true,
            "I, [2026-11-23T13:32:42.123 #9]  INFO -- : up  now",
            &["pid=9"],
        ),
        (
            "env_logger",
            true,
            "[2026-11-23T13:32:42.123Z INFO  a::b] up  now",
            &["logger='a::b'"],
        ),
        (
            "tracing",
            false,
            "2026-11-23T13:32:42.123Z  INFO a::b: up  now",
            &["logger='a::b'"],
        ),
    ] {
        // Names with a role of their own are no different in order.
        check(format, auto, line, &[&common, rest].concat());
    }
    check(
        "python",
        true,
        "WARNING:root:careful",
        &["level='WARNING'", "message='careful'", "logger='root'"],
    );
    check(
        "go",
        false,
        "2026/11/23 13:32:42.000001 main.go:7: hello",
        &[
            "timestamp=2026-11-23T13:32:42.000001Z",
            "message='hello'",
            "caller='main.go:7'",
        ],
    );
    check(
        "go",
        false,
        "2026/11/23 13:32:42 hello: you",
        &[
            "timestamp=2026-11-23T13:32:42Z",
            "message='you'",
            "caller='hello'",
        ],
    );
}

#[test]
fn logfmt_lines() {
    check(
        "logfmt",
        true,
        r#"svc=pay msg="a \"b\" c" level=info ts=2026-11-23T13:32:42Z n=-1.5 ok=true id=0017 e= x="\x41" lvl=7"#,
        &[
            "ts='2026-11-23T13:32:42Z'",
            "level='info'",
            r#"msg=escaped:a \"b\" c"#,
            "svc='pay'",
            "n=-1.5",
            "ok=true",
            "id='0017'",
            "e=''",
            r"x=hex:\x41",
            "lvl=7",
        ],
    );
    check(
        "logfmt",
        false,
        "cached a=1  b=2 a=3 big=1234567890123456",
        &["cached=true", "a=3", "b=2", "big='1234567890123456'"],
    );
    for not in ["plain words", "", "=x", "a=\"open", "a=\"b\"c", "k\"=1"] {
        let text = format!("{not}\n");
        assert!(
            read("logfmt", &all_fields(), text.as_bytes())
                .failed()
                .contains(0),
            "{not}"
        );
    }
    let many: String = (0..300u32)
        .flat_map(|i| ["k", &i.to_string(), "=1 "].concat().into_bytes())
        .map(char::from)
        .chain(['\n'])
        .collect();
    assert!(
        read("logfmt", &all_fields(), many.as_bytes())
            .failed()
            .contains(0)
    );
}

#[test]
fn syslog_5424() {
    for format in ["syslog5424", "syslog"] {
        check(
            format,
            true,
            "<165>1 2026-11-23T13:32:42.003Z web1 shop 77 ID47 [ex@32473 iut=\"3\" t=\"a\\]b\"][two@1 k=\"\"] \u{feff}up: now",
            &[
                "timestamp=2026-11-23T13:32:42.003Z",
                "level=info",
                "message='up: now'",
                "host='web1'",
                "service='shop'",
                "pid='77'",
                "msgid='ID47'",
                "facility=20",
                "ex@32473>iut='3'",
                r"ex@32473>t=hex:a\]b",
                "two@1>k=''",
            ],
        );
        check(
            format,
            true,
            "<0>1 - - - - - -",
            &["level=fatal", "facility=0"],
        );
    }
    for not in [
        "<192>1 - - - - - - x",
        "<01>1 - - - - - - x",
        "<>1 - - - - - - x",
        "<1>2 - - - - - - x",
        "<1>1 23:59 - - - - - x",
        "<1>1 - - - - - [a x",
        "<1>1 - - - - - [a b=c]",
        "<1>1 - - - - -",
        "",
    ] {
        let text = format!("{not}\n");
        let columns = read("syslog5424", &all_fields(), text.as_bytes());
        assert!(columns.failed().contains(0), "{not}");
    }
}

#[test]
fn syslog_3164() {
    let head = ["timestamp=2026-11-23T13:32:42Z"];
    for (auto, line, rest) in [
        (
            true,
            "<34>Nov 23 13:32:42 web1 su[77]: failed: x",
            &[
                "level=error",
                "message='failed: x'",
                "host='web1'",
                "service='su'",
                "pid='77'",
                "facility=4",
            ][..],
        ),
        (
            true,
            "Nov 23 13:32:42 web1 cron: hi",
            &["message='hi'", "host='web1'", "service='cron'"],
        ),
        (
            true,
            "<13>Nov 23 2026 13:32:42 fw1 : %ASA-1: down",
            &[
                "level=info",
                "message=': %ASA-1: down'",
                "host='fw1'",
                "facility=1",
            ],
        ),
        (
            true,
            "<13>Nov 23 13:32:42 app[9]: x",
            &[
                "level=info",
                "message='x'",
                "service='app'",
                "pid='9'",
                "facility=1",
            ],
        ),
        (
            true,
            "2026-11-23T13:32:42.000000+00:00 web1 sshd[9]: x",
            &["message='x'", "host='web1'", "service='sshd'", "pid='9'"],
        ),
        (
            false,
            "Nov 23 13:32:42 web1 free text",
            &["message='free text'", "host='web1'"],
        ),
    ] {
        check("syslog3164", auto, line, &[&head, rest].concat());
    }
    check(
        "syslog",
        true,
        "<11>it broke",
        &["level=error", "message='it broke'", "facility=1"],
    );
    assert!(
        read("syslog", &all_fields(), b"it broke\n")
            .failed()
            .contains(0)
    );
}

#[test]
fn plain_text() {
    let time = "timestamp=2026-11-23T13:32:42Z";
    for (line, expected) in [
        ("plain words", &["message='plain words'"][..]),
        (
            "2026-11-23 13:32:42 INFO started",
            &[time, "level='INFO'", "message='started'"],
        ),
        (
            "[2026-11-23T13:32:42Z] [warn] disk: full",
            &[time, "level='warn'", "message='disk: full'"],
        ),
        (
            "Nov 23 13:32:42 kernel panic",
            &[time, "message='kernel panic'"],
        ),
        ("ERROR: no route", &["level='ERROR'", "message='no route'"]),
        (
            "[E] 2026-11-23 13:32:42 no",
            &[time, "level='E'", "message='no'"],
        ),
        ("error connecting", &["message='error connecting'"]),
        ("I went home", &["message='I went home'"]),
        ("404 not found", &["message='404 not found'"]),
        (
            "app [DEBUG] x [2026-11-23 13:32:42]",
            &[time, "level='DEBUG'", "message='x'", "prefix='app'"],
        ),
        ("2026-11-23 13:32:42 Zebra", &[time, "message='Zebra'"]),
        (
            "2026-11-23 13:32:42 +0000 | WARN | x",
            &[time, "level='WARN'", "message='x'"],
        ),
        (
            "  at com.example.Main",
            &["message='  at com.example.Main'"],
        ),
        ("WARN", &["level='WARN'"]),
    ] {
        check("text", true, line, expected);
    }
    check(
        "raw",
        false,
        "2026-11-23 13:32:42 INFO x",
        &["message='2026-11-23 13:32:42 INFO x'"],
    );
}
