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

fn batch(line: Line) -> (Vec<u8>, Vec<u32>) {
    let mut text = Vec::new();
    let mut ends = Vec::new();
    while text.len() < BATCH_BYTES {
        text.extend_from_slice(line(ends.len()).as_bytes());
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

fn parse(c: &mut Criterion) {
    let mut columns = Needs::default();
    columns.slot(&Path::of("level"), ColumnKind::Level);
    columns.slot(&Path::of("http.status"), ColumnKind::Number);
    let fields = Needs {
        fields: true,
        ..columns.clone()
    };
    let formats: [(&str, &[&str], Line); 4] = [
        ("combined", &["combined", "auto"], combined),
        ("logfmt", &["logfmt", "auto"], logfmt),
        ("syslog5424", &["syslog5424", "auto"], syslog),
        ("text", &["text", "auto"], plain),
    ];
    for (group, names, line) in formats {
        let (text, ends) = batch(line);
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
                group.bench_function(BenchmarkId::new(*name, what), |b| {
                    b.iter(|| reader.read(OBSERVED, black_box(&text), &ends, &mut out));
                });
                assert!(out.failed().none());
            }
        }
    }
}

criterion_group!(benches, parse);
criterion_main!(benches);
