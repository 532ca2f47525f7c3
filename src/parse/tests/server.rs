//! Servers and databases: what they write about themselves.

use super::check;

const SECOND: &str = "timestamp=2026-11-23T13:32:42Z";

#[test]
fn nginx_and_apache() {
    check(
        "nginx_error",
        true,
        r#"2026/11/23 13:32:42 [error] 31#7: *5 open() "/x" failed, client: 1.2.3.4, server: www.x.org, request: "GET /x HTTP/1.1", upstream: "http://10.0.0.2/x", host: "x.org", referrer: "http://x.org/""#,
        &[
            SECOND,
            "level='error'",
            r#"message='open() "/x" failed, client: 1.2.3.4, server: www.x.org, request: "GET /x HTTP/1.1", upstream: "http://10.0.0.2/x", host: "x.org", referrer: "http://x.org/"'"#,
            "pid=31",
            "tid=7",
            "connection=5",
            "client='1.2.3.4'",
            "server='www.x.org'",
            "http.method='GET'",
            "http.path='/x'",
            "http.protocol='HTTP/1.1'",
            "http.host='x.org'",
            "upstream='http://10.0.0.2/x'",
            "referrer='http://x.org/'",
        ],
    );
    check(
        "apache_error",
        true,
        "[Mon Nov 23 13:32:42 2026] [error] [client 127.0.0.1] File does not exist: /x",
        &[
            SECOND,
            "level='error'",
            "message='File does not exist: /x'",
            "client='127.0.0.1'",
        ],
    );
    check(
        "apache_error",
        true,
        "[Mon Nov 23 13:32:42.000000 2026] [ssl:info] [pid 7] [client 10.0.0.9:4321] AH1: x",
        &[
            SECOND,
            "level='info'",
            "message='AH1: x'",
            "module='ssl'",
            "pid=7",
            "client='10.0.0.9'",
            "client_port=4321",
        ],
    );
}

#[test]
fn databases() {
    check(
        "postgresql",
        true,
        "2026-11-23 14:32:42 CET [31]: [3-1] user=ann,db=shop,app=psql,client=10.0.0.9 DEBUG1:  x",
        &[
            SECOND,
            "level='DEBUG1'",
            "message='x'",
            "pid=31",
            "line=3",
            "user='ann'",
            "database='shop'",
            "application='psql'",
            "client='10.0.0.9'",
        ],
    );
    check(
        "postgresql",
        true,
        "2026-11-23 13:32:42.000 UTC [31] STATEMENT:  select 1",
        &[SECOND, "message='select 1'", "pid=31", "part='STATEMENT'"],
    );
    check(
        "mysql",
        true,
        "2026-11-23T13:32:42.000000Z 0 [System] [MY-010931] [Server] ready",
        &[
            SECOND,
            "level='System'",
            "message='ready'",
            "tid=0",
            "code='MY-010931'",
            "subsystem='Server'",
        ],
    );
    check(
        "mysql",
        true,
        "2026-11-23 13:32:42 2133 [Note] InnoDB: up",
        &[SECOND, "level='Note'", "message='InnoDB: up'", "tid=2133"],
    );
    check(
        "mysql",
        true,
        "261123  1:32:42 [Warning] old",
        &[
            "timestamp=2026-11-23T01:32:42Z",
            "level='Warning'",
            "message='old'",
        ],
    );
    check(
        "mongodb",
        true,
        "2026-11-23T14:32:42.000+0100 I NETWORK  [initandlisten] waiting",
        &[
            SECOND,
            "level='I'",
            "message='waiting'",
            "component='NETWORK'",
            "context='initandlisten'",
        ],
    );
    check(
        "redis",
        true,
        "[7] 23 Nov 13:32:42.000 # WARNING overcommit",
        &[
            SECOND,
            "level=warn",
            "message='WARNING overcommit'",
            "pid=7",
        ],
    );
}

#[test]
fn platforms() {
    check(
        "klog",
        true,
        "E20261123 13:32:42.000000    7 a.cc:9] x",
        &[
            SECOND,
            "level='E'",
            "message='x'",
            "pid=7",
            "caller='a.cc:9'",
        ],
    );
    check(
        "openstack",
        true,
        r#"2026-11-23 13:32:42.000 25746 INFO nova.osapi.server [req-38 113d 54fa - - -] 10.11.10.1 "GET /v2/x HTTP/1.1" status: 200 len: 1893 time: 0.25"#,
        &[
            SECOND,
            "level='INFO'",
            r#"message='10.11.10.1 "GET /v2/x HTTP/1.1" status: 200 len: 1893 time: 0.25'"#,
            "pid=25746",
            "logger='nova.osapi.server'",
            "context='req-38 113d 54fa - - -'",
            "request_id='req-38'",
            "user='113d'",
            "project='54fa'",
            "client='10.11.10.1'",
            "http.method='GET'",
            "http.path='/v2/x'",
            "http.protocol='HTTP/1.1'",
            "http.status=200",
            "http.bytes=1893",
            "duration_s=0.25",
        ],
    );
    check(
        "openstack",
        true,
        "2026-11-23 13:32:42.000 2931 INFO nova.compute.manager [-] started",
        &[
            SECOND,
            "level='INFO'",
            "message='started'",
            "pid=2931",
            "logger='nova.compute.manager'",
        ],
    );
    check(
        "logcat",
        true,
        "11-23 13:32:42.000  1702  2395 D WindowManager: printing",
        &[
            SECOND,
            "level='D'",
            "message='printing'",
            "pid=1702",
            "tid=2395",
            "logger='WindowManager'",
        ],
    );
}

#[test]
fn containers() {
    for (line, flag, message) in [
        (
            "2026-11-23T13:32:42Z stdout F   at a.b(C.java:7)",
            "F",
            Some("  at a.b(C.java:7)"),
        ),
        ("2026-11-23T13:32:42Z stdout P half", "P", Some("half")),
        ("2026-11-23T13:32:42Z stdout F ", "F", Some("")),
        ("2026-11-23T13:32:42Z stdout F", "F", None),
    ] {
        let message = message.map(|m| format!("message='{m}'"));
        let flag = format!("flag='{flag}'");
        let expected: Vec<&str> = [SECOND]
            .into_iter()
            .chain(message.as_deref())
            .chain(["stream='stdout'", &flag])
            .collect();
        check("cri", true, line, &expected);
    }
}
