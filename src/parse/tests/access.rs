//! Logs of requests: the lines of the formats' documentation.

use super::check;

#[test]
fn web_servers() {
    check(
        "vhost_combined",
        true,
        r#"www.example.com:443 203.0.113.9 - ann [23/Nov/2026:13:32:42 +0000] "GET /a b HTTP/2" 304 - "-" "curl/8""#,
        &[
            "timestamp=2026-11-23T13:32:42Z",
            "message='GET /a b HTTP/2'",
            "http.host='www.example.com'",
            "http.port=443",
            "http.status=304",
            "client='203.0.113.9'",
            "user='ann'",
            "user_agent='curl/8'",
        ],
    );
    check(
        "traefik",
        true,
        r#"10.0.0.1 - - [23/Nov/2026:13:32:42 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8" 47 "web@docker" "http://10.0.2.1:80" 12ms"#,
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
            "requests=47",
            "router='web@docker'",
            "upstream='http://10.0.2.1:80'",
            "duration_ms=12",
        ],
    );
    check(
        "uvicorn",
        true,
        r#"INFO:     127.0.0.1:34567 - "GET /docs HTTP/1.1" 200 OK"#,
        &[
            "level='INFO'",
            "message='GET /docs HTTP/1.1'",
            "client='127.0.0.1'",
            "client_port=34567",
            "http.method='GET'",
            "http.path='/docs'",
            "http.protocol='HTTP/1.1'",
            "http.status=200",
            "reason='OK'",
        ],
    );
    check(
        "django",
        true,
        r#"[23/Nov/2026 13:32:42] "GET /admin/ HTTP/1.1" 302 0"#,
        &[
            "timestamp=2026-11-23T13:32:42Z",
            "message='GET /admin/ HTTP/1.1'",
            "http.method='GET'",
            "http.path='/admin/'",
            "http.protocol='HTTP/1.1'",
            "http.status=302",
            "http.bytes=0",
        ],
    );
}

const HAPROXY: &str = r#"10.0.1.2:33317 [06/Feb/2009:12:14:14.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {1wt.eu} {} "GET /index.html HTTP/1.1""#;

#[test]
fn haproxy() {
    let parsed = [
        "client='10.0.1.2'",
        "client_port=33317",
        "frontend='http-in'",
        "backend='static'",
        "server='srv1'",
        "timers.request=10",
        "timers.queue=0",
        "timers.connect=30",
        "timers.response=69",
        "duration_ms=109",
        "http.status=200",
        "http.bytes=2750",
        "http.method='GET'",
        "http.path='/index.html'",
        "http.protocol='HTTP/1.1'",
        "termination='----'",
        "connections='1/1/1/1/0'",
        "queues='0/0'",
        "request_headers='1wt.eu'",
    ];
    let head = [
        "timestamp=2009-02-06T12:14:14.655Z",
        "message='GET /index.html HTTP/1.1'",
    ];
    check("haproxy", true, HAPROXY, &[&head[..], &parsed].concat());
    let line = format!("Feb  6 12:14:14 localhost haproxy[14389]: {HAPROXY}");
    let host = ["host='localhost'", "service='haproxy'", "pid=14389"];
    check(
        "haproxy",
        true,
        &line,
        &[&head[..], &host, &parsed].concat(),
    );
    check(
        "haproxy",
        true,
        "10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt bck/srv1 0/0/5007 212 -- 0/0/0/0/3 0/0",
        &[
            "timestamp=2009-02-06T12:12:51.443Z",
            "client='10.0.1.2'",
            "client_port=33313",
            "frontend='fnt'",
            "backend='bck'",
            "server='srv1'",
            "timers.queue=0",
            "timers.connect=0",
            "duration_ms=5007",
            "bytes=212",
            "termination='--'",
            "connections='0/0/0/0/3'",
            "queues='0/0'",
        ],
    );
    check(
        "haproxy",
        false,
        "10.0.1.2:33313 [06/Feb/2009:12:12:51.443] fnt/1: SSL handshake failure",
        &[
            "timestamp=2009-02-06T12:12:51.443Z",
            "message='SSL handshake failure'",
            "client='10.0.1.2'",
            "client_port=33313",
            "frontend='fnt/1:'",
        ],
    );
}

#[test]
fn envoy() {
    check(
        "envoy",
        true,
        r#"[2016-04-15T20:17:00.310Z] "POST /api/v1/locations HTTP/2" 204 - 154 0 226 100 "10.0.35.28" "nsq2http" "cc21d9b0-cf5c" "locations" "tcp://10.0.2.1:80""#,
        &[
            "timestamp=2016-04-15T20:17:00.310Z",
            "message='POST /api/v1/locations HTTP/2'",
            "http.method='POST'",
            "http.path='/api/v1/locations'",
            "http.protocol='HTTP/2'",
            "http.status=204",
            "http.request_bytes=154",
            "http.bytes=0",
            "http.host='locations'",
            "duration_ms=226",
            "upstream_ms=100",
            "forwarded_for='10.0.35.28'",
            "user_agent='nsq2http'",
            "request_id='cc21d9b0-cf5c'",
            "upstream='tcp://10.0.2.1:80'",
        ],
    );
    check(
        "envoy",
        true,
        r#"[2019-03-06T09:31:27.360Z] "GET /status/418 HTTP/1.1" 418 - via_upstream - "-" 0 135 5 2 "-" "curl/7.60.0" "d209e46f" "httpbin:8000" "127.0.0.1:80" inbound|8000|http 127.0.0.1:1 10.0.0.2:80 10.0.0.3:4 - default"#,
        &[
            "timestamp=2019-03-06T09:31:27.360Z",
            "message='GET /status/418 HTTP/1.1'",
            "http.method='GET'",
            "http.path='/status/418'",
            "http.protocol='HTTP/1.1'",
            "http.status=418",
            "http.request_bytes=0",
            "http.bytes=135",
            "http.host='httpbin:8000'",
            "response_details='via_upstream'",
            "duration_ms=5",
            "upstream_ms=2",
            "user_agent='curl/7.60.0'",
            "request_id='d209e46f'",
            "upstream='127.0.0.1:80'",
            "upstream_cluster='inbound|8000|http'",
            "upstream_local='127.0.0.1:1'",
            "downstream_local='10.0.0.2:80'",
            "downstream_remote='10.0.0.3:4'",
            "route='default'",
        ],
    );
    check(
        "envoy",
        true,
        "[2026-11-23 13:32:42.123][1][info][main] [source/server/server.cc:100] starting",
        &[
            "timestamp=2026-11-23T13:32:42.123Z",
            "level='info'",
            "message='starting'",
            "tid=1",
            "logger='main'",
            "caller='source/server/server.cc:100'",
        ],
    );
}

#[test]
fn alb() {
    let head = r#"http 2018-07-02T22:23:00.186641Z app/lb/50dc6c 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 -1 200 200 34 366 "GET http://www.example.com:80/ HTTP/1.1" "curl/7.46.0" - -"#;
    let fields = [
        "timestamp=2018-07-02T22:23:00.186641Z",
        "message='GET http://www.example.com:80/ HTTP/1.1'",
        "scheme='http'",
        "balancer='app/lb/50dc6c'",
        "client='192.168.131.39'",
        "client_port=2817",
        "upstream='10.0.0.1:80'",
        "request_processing_time=0.000",
        "target_processing_time=0.001",
        "response_processing_time=-1",
        "http.status=200",
        "http.request_bytes=34",
        "http.bytes=366",
        "http.method='GET'",
        "http.path='http://www.example.com:80/'",
        "http.protocol='HTTP/1.1'",
    ];
    let short = [
        &fields[..],
        &["target_status=200", "user_agent='curl/7.46.0'"],
    ]
    .concat();
    check("alb", true, head, &short);
    let line = format!(
        r#"{head} arn:aws:tg "Root=1-58337262" "-" "-" 0 2018-07-02T22:22:48.364000Z "forward" "-" "-" "10.0.0.1:80" "200" "-" "-""#
    );
    let long = [
        "target_group='arn:aws:tg'",
        "request_id='Root=1-58337262'",
        "rule_priority='0'",
        "request_created='2018-07-02T22:22:48.364000Z'",
        "actions='forward'",
        "targets='10.0.0.1:80'",
        "target_statuses='200'",
    ];
    check("alb", true, &line, &[&short[..], &long].concat());
}

#[test]
fn heroku() {
    check(
        "heroku",
        true,
        r#"2012-10-11T03:47:20+00:00 heroku[router]: at=error code=H12 desc="Request timeout" method=GET path="/" host=myapp.herokuapp.com request_id=8601b555 fwd="204.204.204.204" dyno=web.1 connect=6ms service=30001ms status=503 bytes=0 protocol=https"#,
        &[
            "timestamp=2012-10-11T03:47:20Z",
            "level='error'",
            r#"message='method=GET path="/"'"#,
            "source='heroku'",
            "process='router'",
            "code='H12'",
            "desc='Request timeout'",
            "http.method='GET'",
            "http.path='/'",
            "http.host='myapp.herokuapp.com'",
            "http.status=503",
            "http.bytes=0",
            "request_id='8601b555'",
            "client='204.204.204.204'",
            "dyno='web.1'",
            "connect_ms=6",
            "duration_ms=30001",
            "scheme='https'",
        ],
    );
}

#[test]
fn rails() {
    check(
        "rails",
        true,
        r#"Started GET "/posts?page=2" for 127.0.0.1 at 2026-11-23 14:32:42 +0100"#,
        &[
            "timestamp=2026-11-23T13:32:42Z",
            r#"message='GET "/posts?page=2"'"#,
            "http.method='GET'",
            "http.path='/posts?page=2'",
            "client='127.0.0.1'",
        ],
    );
    check(
        "rails",
        true,
        "[f00-ba7] Completed 200 OK in 79ms (Views: 78.8ms | ActiveRecord: 0.0ms)",
        &[
            "message='200 OK'",
            "request_id='f00-ba7'",
            "http.status=200",
            "reason='OK'",
            "duration_ms=79",
            "timings='Views: 78.8ms | ActiveRecord: 0.0ms'",
        ],
    );
}
