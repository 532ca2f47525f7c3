//! Encoding: lines of fields to JSON objects, with their parser and without, and
//! strings to JSON.

// One of the inputs is used.
#[allow(dead_code)]
#[path = "e2e/data.rs"]
mod data;

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tflog::event::escape::escape_json;
use tflog::event::{Batch, Chunk, Needs, Pool, Rows, Stream, Timestamp};
use tflog::parse::{Formats, Parser};
use tflog::sink::Part;
use tflog::sink::encode::{Encoder, Options};

const TEXT_BYTES: usize = Pool::CHUNK_BYTES;

/// As many lines as a chunk has room for.
fn lines(all: impl Iterator<Item = String>) -> Vec<u8> {
    let mut text = Vec::with_capacity(TEXT_BYTES);
    for line in all {
        if text.len() + line.len() > TEXT_BYTES {
            break;
        }
        text.extend_from_slice(line.as_bytes());
    }
    text
}

/// Combined log lines as a busy site has them: several a second.
fn access_log(n: usize) -> String {
    let agents = [
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5",
        "curl/8.9.1",
    ];
    format!(
        "10.{}.{}.7 - - [23/Nov/2026:13:{:02}:{:02} +0000] \"GET /api/v1/items/{n}?page={} HTTP/1.1\" {} {} \"https://shop.example.com/cart\" \"{}\"\n",
        n % 251,
        n % 13,
        n / 600 % 60,
        n / 10 % 60,
        n % 7,
        [200, 200, 304, 404][n % 4],
        100 + n * 7 % 90000,
        agents[n % 3],
    )
}

/// The same with users and without referrers here and there.
fn mixed_log(n: usize) -> String {
    let mut line = access_log(n);
    let coin = n.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 48;
    if coin.is_multiple_of(3) {
        line = line.replacen("- - [", "- alice [", 1);
    }
    if (coin / 3).is_multiple_of(3) {
        line = line.replacen("https://shop.example.com/cart", "-", 1);
    }
    line
}

/// Lines whose keys stand in them.
fn logfmt(n: usize) -> String {
    format!(
        "time=2026-11-23T13:{:02}:{:02}.{:03}Z level={} msg=\"request served\" method=GET path=/api/v1/items/{n} status={} duration=0.{:03} bytes={}\n",
        n / 6000 % 60,
        n / 100 % 60,
        n * 7 % 1000,
        ["info", "info", "warn"][n % 3],
        [200, 200, 304, 404][n % 4],
        n % 1000,
        100 + n * 7 % 90000,
    )
}

/// Lines of the Go library, each at a time of its own.
fn klog(n: usize) -> String {
    format!(
        "I1123 13:{:02}:{:02}.{:06} {} controller.go:{}] Reconciling object default/web-{n} of kind Deployment\n",
        n / 6000 % 60,
        n / 100 % 60,
        n * 7919 % 1_000_000,
        1 + n % 3,
        100 + n % 300,
    )
}

fn to_json(criterion: &mut Criterion) {
    let mut rows = |name: &str, format: &str, text: &[u8]| {
        rows_to_json(criterion, name, format, text);
    };
    rows("combined", "combined", &lines((0..).map(access_log)));
    rows("combined, mixed", "combined", &lines((0..).map(mixed_log)));
    let varied = lines(data::combined_lines());
    rows("combined, varied", "combined", &varied);
    rows("logfmt", "logfmt", &lines((0..).map(logfmt)));
    rows("klog", "klog", &lines((0..).map(klog)));
}

fn rows_to_json(criterion: &mut Criterion, name: &str, format: &str, text: &[u8]) {
    let mut needs = Needs::default();
    let Ok(mut json) = Encoder::build("json", Options::default(), &mut needs) else {
        return;
    };
    let mut chunk = Box::new(Chunk::default());
    chunk.text = text.to_vec();
    let ends = memchr::memchr_iter(b'\n', &chunk.text).map(|at| at as u32 + 1);
    chunk.ends = ends.collect();
    let bytes = chunk.text.len() as u64;
    let stream = Arc::new(Stream {
        source: 0,
        origin: 0,
        meta: Vec::new(),
    });
    let batch = Batch::new(stream, 0, Timestamp(0), chunk, Arc::new(Pool::default()));
    let mut part = Part {
        batch: Arc::new(batch),
        rows: Rows::All,
    };
    let no_json = |_: &Needs| -> Box<dyn Parser> { unreachable!("no JSON lines") };
    let formats = Formats::build(format, &needs, no_json).expect("a format");
    let (mut reader, mut out) = (formats.reader(), Vec::new());
    let mut parse = |part: &mut Part| {
        if let Some(batch) = Arc::get_mut(&mut part.batch) {
            batch.parse_with(|text, ends, columns| {
                reader.read(Timestamp(0), text, ends, columns);
                assert!(columns.failed().none());
            });
        }
    };
    // Rows that run alone have a list of fields, too.
    parse(&mut part);
    let mut group = criterion.benchmark_group(name);
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("parse", |b| b.iter(|| parse(black_box(&mut part))));
    group.bench_function("parse and encode", |b| {
        b.iter(|| {
            parse(black_box(&mut part));
            out.clear();
            json.encode(&part, &mut out);
            out.len()
        });
    });
    group.bench_function("encode", |b| {
        b.iter(|| {
            out.clear();
            json.encode(black_box(&part), &mut out);
            out.len()
        });
    });
    group.finish();
}

fn strings(criterion: &mut Criterion) {
    let clean = "a log message of the usual length, in plain ASCII ".repeat(1000);
    let quotes = "she said \"hello\" and left\n".repeat(2000);
    let accents = "ein Fräulein saß am Meere und seufzte lang und bang ".repeat(1000);
    let mut group = criterion.benchmark_group("escape");
    for (name, text) in [("clean", clean), ("quotes", quotes), ("accents", accents)] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        let mut out = Vec::new();
        group.bench_function(name, |b| {
            b.iter(|| {
                out.clear();
                escape_json(black_box(text.as_bytes()), &mut out)
            });
        });
    }
    group.finish();
}

criterion_group!(benches, to_json, strings);
criterion_main!(benches);
