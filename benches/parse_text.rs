//! Text formats to spans and columns, in bytes a second, next to counting the
//! newlines of the same text.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tflog::event::{ColumnKind, Columns, Needs, Path, Timestamp};
use tflog::parse::{Formats, Parser};

/// As much as a batch aims at.
const BATCH_BYTES: usize = 256 * 1024;
const OBSERVED: Timestamp = Timestamp(1_795_440_762_000_000_000);

struct NoJson;

impl Parser for NoJson {
    fn name(&self) -> &'static str {
        "json"
    }
    fn parse_line(
        &mut self,
        _: &[u8],
        _: std::ops::Range<usize>,
        _: usize,
        _: &mut Columns,
    ) -> bool {
        false
    }
}

/// Makes the line of a number.
type Line = fn(usize) -> String;

/// Where the lines of a benchmark come from.
enum Source {
    Made(Line),
    /// The same line with other seconds and numbers: `%s` is two digits, `%n` six.
    Line(&'static str),
}

impl Source {
    fn line(&self, i: usize) -> String {
        match self {
            Source::Made(line) => line(i),
            Source::Line(line) => line
                .replace("%s", &format!("{:02}", i / 300 % 60))
                .replace("%n", &format!("{:06}", 100_000 + i * 7919 % 900_000)),
        }
    }
}

/// A line of each format that is not made by a function of its own.
const SAMPLES: [(&str, &str); 24] = [
    (
        "haproxy",
        "10.0.1.2:33317 [23/Nov/2026:13:32:%s.655] http-in static/srv1 10/0/30/69/109 200 2750 - - ---- 1/1/1/1/0 0/0 {shop} {} \"GET /orders/%n HTTP/1.1\"",
    ),
    (
        "envoy",
        "[2026-11-23T13:32:%s.310Z] \"POST /api/v1/orders/%n HTTP/2\" 204 - 154 0 226 100 \"10.0.35.28\" \"curl/8\" \"cc21d9b0-cf5c\" \"shop\" \"10.0.2.1:80\"",
    ),
    (
        "traefik",
        "10.0.0.1 - - [23/Nov/2026:13:32:%s +0000] \"GET /%n HTTP/1.1\" 200 5 \"-\" \"curl/8\" 47 \"web@docker\" \"http://10.0.2.1:80\" 12ms",
    ),
    (
        "alb",
        "https 2026-11-23T13:32:%s.186641Z app/lb/50dc6c 192.168.131.39:2817 10.0.0.1:80 0.001 0.002 0.003 200 200 34 366 \"GET https://x.org:443/%n HTTP/1.1\" \"curl/8\" ECDHE TLSv1.2",
    ),
    (
        "heroku",
        "at=info method=GET path=\"/orders/%n\" host=shop.example.com request_id=8601b555 fwd=\"10.0.0.1\" dyno=web.1 connect=1ms service=18ms status=200 bytes=13 protocol=https",
    ),
    (
        "nginx_error",
        "2026/11/23 13:32:%s [error] 31#7: *%n open() \"/x\" failed, client: 10.0.0.1, server: shop, request: \"GET /x HTTP/1.1\", host: \"shop\"",
    ),
    (
        "apache_error",
        "[Mon Nov 23 13:32:%s.%n 2026] [core:error] [pid 7:tid 99] [client 10.0.0.1:4321] AH00128: File does not exist: /x",
    ),
    (
        "klog",
        "I1123 13:32:%s.%n    1234 reconciler.go:224] \"operation started\" pod=\"shop/web-1\"",
    ),
    (
        "redis",
        "1:M 23 Nov 2026 13:32:%s.123 * %n changes in 60 seconds. Saving...",
    ),
    (
        "postgresql",
        "2026-11-23 13:32:%s.123 UTC [31] shop@orders LOG:  duration: 12.%n ms  statement: select 1",
    ),
    (
        "mysql",
        "2026-11-23T13:32:%s.%nZ 0 [Note] [MY-012487] [InnoDB] DDL log recovery : begin",
    ),
    (
        "openstack",
        "2026-11-23 13:32:%s.008 25746 INFO nova.osapi.server [req-%n 113d 54fa - - -] the request was served in time",
    ),
    (
        "spring",
        "2026-11-23T13:32:%s.123Z  INFO 7 --- [shop] [exec-1] c.e.shop.OrderController : order %n served",
    ),
    (
        "zookeeper",
        "2026-11-23 13:32:%s,123 - INFO  [main:QuorumPeer@774] - notification time out: %n",
    ),
    (
        "kafka",
        "[2026-11-23 13:32:%s,123] INFO [Log partition=orders-0] Rolled new segment at %n (kafka.log.Log)",
    ),
    (
        "hadoop",
        "2026-11-23 13:32:%s,123 INFO [main] org.apache.hadoop.mapreduce.MRAppMaster: created block %n",
    ),
    (
        "java",
        "2026-11-23 13:32:%s,123 [main] INFO  com.example.shop.Orders - order %n served",
    ),
    (
        "python",
        "2026-11-23 13:32:%s,123 - shop.orders - INFO - order %n served in time",
    ),
    (
        "ruby",
        "I, [2026-11-23T13:32:%s.%n #9]  INFO -- shop: order served in time",
    ),
    (
        "env_logger",
        "[2026-11-23T13:32:%sZ INFO  shop::orders] order %n served in time",
    ),
    (
        "zap",
        "2026-11-23T13:32:%s.123Z\tINFO\tshop/main.go:10\torder served\t{\"id\": %n}",
    ),
    (
        "cri",
        "2026-11-23T13:32:%s.%n123Z stdout F order served in time, all is well",
    ),
    (
        "ltsv",
        "time:2026-11-23T13:32:%sZ\thost:10.0.0.1\tmethod:GET\turi:/orders/%n\tstatus:200\tsize:1234\tua:curl/8",
    ),
    (
        "syslog3164",
        "<134>Nov 23 13:32:%s web1 shop[77]: order %n served in time, all is well",
    ),
];

fn batch(line: &Source) -> (Vec<u8>, Vec<u32>) {
    let mut text = Vec::new();
    let mut ends = Vec::new();
    while text.len() < BATCH_BYTES {
        text.extend_from_slice(line.line(ends.len()).as_bytes());
        text.push(b'\n');
        ends.push(text.len() as u32);
    }
    (text, ends)
}

fn combined(i: usize) -> String {
    format!(
        "10.{}.{}.7 - - [23/Nov/2026:13:32:{:02} +0000] \"GET /api/v1/orders/{}?page={} HTTP/1.1\" {} {} \"https://shop.example.com/cart\" \"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36\"",
        i % 256,
        i / 7 % 256,
        i / 300 % 60,
        i * 7919 % 100_000,
        i % 30,
        [200, 200, 200, 404, 503][i % 5],
        i * 31 % 50_000
    )
}

fn logfmt(i: usize) -> String {
    format!(
        "time=2026-11-23T13:32:{:02}.{:03}Z level={} msg=\"request served\" service=checkout method=GET path=/api/v1/orders/{} status={} duration=0.{:03} trace_id={:032x}",
        i / 300 % 60,
        i % 1000,
        ["info", "info", "warn", "error"][i % 4],
        i * 7919 % 100_000,
        [200, 404, 503][i % 3],
        i % 997,
        i * 7919
    )
}

fn syslog(i: usize) -> String {
    format!(
        "<{}>1 2026-11-23T13:32:{:02}.{:03}Z web{}.example.com checkout {} REQ{} [origin@32473 ip=\"10.0.0.{}\" zone=\"eu-1\"] request for order {} served in {} ms",
        [134, 134, 132, 131][i % 4],
        i / 300 % 60,
        i % 1000,
        i % 20,
        1000 + i % 50,
        i % 9,
        i % 256,
        i * 7919 % 100_000,
        i % 400
    )
}

fn plain(i: usize) -> String {
    format!(
        "2026-11-23 13:32:{:02}.{:03} INFO worker {} finished job {} of the nightly run",
        i / 300 % 60,
        i % 1000,
        i % 8,
        i
    )
}

/// Lines without a time, one in four with a level: stack traces and banners.
fn words(i: usize) -> String {
    match i % 4 {
        0 => format!(
            "    at com.example.shop.Orders.find(Orders.java:{})",
            i % 900
        ),
        1 => format!("Listening for connections on every address, worker {i} of the pool"),
        2 => format!("WARN the stock of {i} is low, ordering more of it from the supplier"),
        _ => format!("  loaded the settings of shop {i} from /etc/shop/settings.yaml in time"),
    }
}

fn parse(c: &mut Criterion) {
    let mut columns = Needs::default();
    columns.slot(&Path::of("level"), ColumnKind::Level);
    columns.slot(&Path::of("http.status"), ColumnKind::Number);
    let fields = Needs {
        fields: true,
        ..columns.clone()
    };
    let made: [(&str, Line); 5] = [
        ("combined", combined),
        ("logfmt", logfmt),
        ("syslog5424", syslog),
        ("text", plain),
        ("words", words),
    ];
    let repeated = SAMPLES
        .iter()
        .map(|&(name, line)| (name, Source::Line(line)));
    let made = made
        .into_iter()
        .map(|(name, line)| (name, Source::Made(line)));
    for (group, line) in made.chain(repeated) {
        let format = if group == "words" { "text" } else { group };
        let names = [format, "auto"];
        let (text, ends) = batch(&line);
        let mut group = c.benchmark_group(group);
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function("newlines", |b| {
            b.iter(|| memchr::memchr_iter(b'\n', black_box(&text)).count());
        });
        for name in names {
            for (what, needs) in [("columns", &columns), ("fields", &fields)] {
                let formats = Formats::build(name, needs, |_| Box::new(NoJson)).expect("a format");
                let mut reader = formats.reader();
                let mut out = Columns::default();
                // The first lines, from which `auto` chooses, are not what is measured.
                reader.read(OBSERVED, &text, &ends, &mut out);
                group.bench_function(BenchmarkId::new(name, what), |b| {
                    b.iter(|| reader.read(OBSERVED, black_box(&text), &ends, &mut out));
                });
                assert!(out.failed().none());
            }
        }
    }
}

criterion_group!(benches, parse);
criterion_main!(benches);
