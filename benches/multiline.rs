//! Lines to events, in bytes a second: with and without `multiline`, next to
//! counting the newlines of the same text.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use tflog::component::Definition;
use tflog::event::Chunk;
use tflog::frame::{Framer, Options};

/// As much as a batch aims at.
const BATCH_BYTES: usize = 256 * 1024;

const TRACE: &str = "\
2026-11-23 13:32:42.123 ERROR [http-nio-8080-exec-4] com.example.shop.Checkout - payment failed
java.lang.IllegalStateException: card service does not answer
\tat com.example.shop.Checkout.pay(Checkout.java:88)
\tat java.base/java.util.concurrent.ThreadPoolExecutor.runWorker(ThreadPoolExecutor.java:1136)
\tat java.base/java.lang.Thread.run(Thread.java:842)
Caused by: java.net.ConnectException: Connection refused
\tat java.base/sun.nio.ch.Net.pollConnect(Native Method)
\t... 23 more
";
const LOG: &str = "2026-11-23 13:32:42.123  INFO [http-nio-8080-exec-4] com.example.shop.Checkout - order 8812 placed by customer 17 in 12 ms\n";
const WORDS: &str =
    "worker 17 took job 8812 from queue mail and will be done with it in a moment, hopefully\n";
const JSON: &str = "{\"time\":\"2026-11-23T13:32:42.017Z\",\"level\":\"info\",\"msg\":\"order placed\",\"order\":8812,\"customer\":17,\"took_ms\":12}\n";

fn batch(lines: &str) -> Vec<u8> {
    lines.repeat(BATCH_BYTES / lines.len()).into_bytes()
}

fn framer(multiline: &serde_json::Value) -> Framer {
    let definition = Definition {
        name: "bench".into(),
        scheme: "stdin".into(),
        tls: false,
        target: String::new(),
        options: serde_json::Map::new(),
    };
    let options = serde_json::json!({ "multiline": multiline });
    let options: Options = serde_json::from_value(options).expect("valid");
    options.framer(&definition).expect("valid")
}

/// Frames a batch as a reader does, in reads of 64 KiB.
fn frame(framer: &mut Framer, text: &[u8], chunk: &mut Chunk) -> usize {
    chunk.text.clear();
    chunk.ends.clear();
    for read in text.chunks(64 * 1024) {
        chunk.text.extend_from_slice(read);
        let _ = black_box(framer.frame(chunk));
    }
    framer.finish(chunk);
    chunk.ends.len()
}

fn multiline(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("multiline");
    let mixed = [&LOG.repeat(20), TRACE].concat();
    let texts = [
        ("log", batch(LOG)),
        ("words", batch(WORDS)),
        ("json", batch(JSON)),
        ("traces", batch(TRACE)),
        ("mixed", batch(&mixed)),
    ];
    for (name, text) in &texts {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(BenchmarkId::new("count", name), |b| {
            b.iter(|| memchr::memchr_iter(b'\n', black_box(text)).count());
        });
        for (rule, option) in [
            ("off", serde_json::json!("off")),
            ("auto", serde_json::json!("auto")),
            ("start", serde_json::json!({ "start": r"^\d{4}-\d\d-\d\d" })),
        ] {
            let (mut framer, mut chunk) = (framer(&option), Chunk::default());
            group.bench_function(BenchmarkId::new(rule, name), |b| {
                b.iter(|| frame(&mut framer, black_box(text), &mut chunk));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, multiline);
criterion_main!(benches);
