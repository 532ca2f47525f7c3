//! Encoding alone: access log lines with field lists to JSON objects, and
//! strings to JSON. The lists are made by the cheapest scanner there could be,
//! once per iteration, so that what it costs to have them in the cache counts.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use tflog::event::escape::escape_json;
use tflog::event::time::Layout;
use tflog::event::{
    Batch, Chunk, Columns, Defs, Field, FieldKind, Needs, Pool, Rows, Stream, Timestamp,
};
use tflog::sink::Part;
use tflog::sink::encode::{Encoder, Options};

const TEXT_BYTES: usize = Pool::CHUNK_BYTES;

/// Combined log lines as a busy site has them: several a second.
fn access_log() -> Vec<u8> {
    let agents = [
        "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0",
        "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 Version/17.5",
        "curl/8.9.1",
    ];
    let mut text = Vec::with_capacity(TEXT_BYTES);
    for n in 0.. {
        let line = format!(
            "10.{}.{}.7 - - [23/Nov/2026:13:{:02}:{:02} +0000] \"GET /api/v1/items/{n}?page={} HTTP/1.1\" {} {} \"https://shop.example.com/cart\" \"{}\"\n",
            n % 251,
            n % 13,
            n / 600 % 60,
            n / 10 % 60,
            n % 7,
            [200, 200, 304, 404][n % 4],
            100 + n * 7 % 90000,
            agents[n % 3],
        );
        if text.len() + line.len() > TEXT_BYTES {
            return text;
        }
        text.extend_from_slice(line.as_bytes());
    }
    text
}

fn defs() -> Arc<Defs> {
    let mut defs = Defs::default();
    let layout = Layout::compile("%d/%b/%Y:%H:%M:%S %z").ok().map(Arc::new);
    defs.add("timestamp", None, layout);
    for name in [
        "message",
        "client",
        "http.method",
        "http.path",
        "http.status",
        "http.bytes",
        "referrer",
        "user_agent",
    ] {
        defs.add(name, None, None);
    }
    Arc::new(defs)
}

/// Lists the fields of combined log lines; knows nothing of bad ones.
fn scan(text: &[u8], ends: &[u32], columns: &mut Columns) {
    let mut start = 0;
    for &end in ends {
        let end = end as usize;
        let find = |byte, from| from + memchr::memchr(byte, &text[from..end]).unwrap_or(0);
        let client = find(b' ', start);
        let time = find(b'[', client) + 1;
        let time_end = time + 26;
        let request = time_end + 3;
        let method = find(b' ', request);
        let path = find(b' ', method + 1);
        let request_end = find(b'"', path);
        let status = request_end + 2;
        let bytes_end = find(b' ', status + 4);
        let referrer_end = find(b'"', bytes_end + 2);
        let mut push = |def, kind, from, to| columns.push_field(Field::new(def, kind, from, to));
        push(0, FieldKind::Time, time, time_end);
        push(1, FieldKind::Text, request, request_end);
        push(2, FieldKind::Text, start, client);
        push(3, FieldKind::Text, request, method);
        push(4, FieldKind::Text, method + 1, path);
        push(5, FieldKind::Number, status, status + 3);
        push(6, FieldKind::Number, status + 4, bytes_end);
        push(7, FieldKind::Text, bytes_end + 2, referrer_end);
        push(8, FieldKind::Text, referrer_end + 3, end - 2);
        columns.end_row();
        start = end;
    }
}

fn combined_to_json(criterion: &mut Criterion) {
    let mut needs = Needs::default();
    let Ok(mut json) = Encoder::build("json", Options::default(), &mut needs) else {
        return;
    };
    let mut chunk = Box::new(Chunk::default());
    chunk.text = access_log();
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
    let (defs, mut out) = (defs(), Vec::new());
    let parse = |part: &mut Part| {
        if let Some(batch) = Arc::get_mut(&mut part.batch) {
            batch.parse_with(|text, ends, columns| {
                columns.reset(&needs, ends.len(), &defs);
                scan(text, ends, columns);
            });
        }
    };
    let mut group = criterion.benchmark_group("combined");
    group.throughput(Throughput::Bytes(bytes));
    group.bench_function("scan", |b| b.iter(|| parse(black_box(&mut part))));
    group.bench_function("scan and encode", |b| {
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

criterion_group!(benches, combined_to_json, strings);
criterion_main!(benches);
