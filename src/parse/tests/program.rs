//! Libraries of Python, Go, Rust, Ruby and Node.

use super::{all_fields, check, read};

#[test]
fn python() {
    let time = "timestamp=2026-11-23T13:32:42.123Z";
    let second = "timestamp=2026-11-23T13:32:42Z";
    for (auto, line, expected) in [
        (
            true,
            "2026-11-23 13:32:42,123 INFO app.db connected",
            &[
                time,
                "level='INFO'",
                "message='connected'",
                "logger='app.db'",
            ][..],
        ),
        (
            false,
            "2026-11-23 13:32:42,123 INFO root connected",
            &[time, "level='INFO'", "message='connected'", "logger='root'"],
        ),
        (
            true,
            "2026-11-23 13:32:42,123 - WARNING - low",
            &[time, "level='WARNING'", "message='low'"],
        ),
        (
            true,
            "[2026-11-23 13:32:42,123: INFO/MainProcess] Task x",
            &[
                time,
                "level='INFO'",
                "message='Task x'",
                "process='MainProcess'",
            ],
        ),
        (
            true,
            "[2026-11-23 14:32:42 +0100] [1234] [INFO] Starting gunicorn",
            &[
                second,
                "level='INFO'",
                "message='Starting gunicorn'",
                "pid=1234",
            ],
        ),
        (
            true,
            "[2026-11-23 13:32:42,123] ERROR in app: Exception",
            &[time, "level='ERROR'", "message='Exception'", "logger='app'"],
        ),
    ] {
        check("python", auto, line, expected);
    }
}

#[test]
fn go_and_rust() {
    check(
        "zap",
        true,
        "2026-11-23T13:32:42.123Z\tINFO\tapp/main.go:10\tup now\t{\"k\": \"v\"}",
        &[
            "timestamp=2026-11-23T13:32:42.123Z",
            "level='INFO'",
            "message='up now'",
            "caller='app/main.go:10'",
            "context='{\"k\": \"v\"}'",
        ],
    );
    check(
        "slog",
        true,
        "2026/11/23 13:32:42 INFO hello count=3",
        &[
            "timestamp=2026-11-23T13:32:42Z",
            "level='INFO'",
            "message='hello count=3'",
        ],
    );
    check(
        "hadoop",
        true,
        "2026-11-23T13:32:42.123456Z  WARN app::db: slow n=3",
        &[
            "timestamp=2026-11-23T13:32:42.123456Z",
            "level='WARN'",
            "message='slow n=3'",
            "logger='app::db'",
        ],
    );
}

#[test]
fn libraries_that_write_json_are_json() {
    for (format, line) in [
        (
            "pino",
            r#"{"level":30,"time":1795440762123,"pid":7,"msg":"up"}"#,
        ),
        (
            "bunyan",
            r#"{"v":0,"level":50,"name":"shop","msg":"no","time":"2026-11-23T13:32:42Z"}"#,
        ),
        ("winston", r#"{"level":"info","message":"up"}"#),
        (
            "gelf",
            r#"{"version":"1.1","host":"a","short_message":"b","timestamp":1795440762.1,"level":3}"#,
        ),
        (
            "mongodb",
            r#"{"t":{"$date":"2026-11-23T13:32:42Z"},"s":"I","c":"NETWORK","msg":"up"}"#,
        ),
        (
            "traefik",
            r#"{"ClientAddr":"10.0.0.1:80","level":"info","msg":"","time":"2026-11-23T13:32:42Z"}"#,
        ),
    ] {
        let text = format!("{line}\nno json\n");
        let columns = read(format, &all_fields(), text.as_bytes());
        assert!(columns.json().contains(0), "{format}");
        assert!(
            !columns.json().contains(1) && columns.failed().contains(1),
            "{format}"
        );
    }
}
