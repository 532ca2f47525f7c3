//! The Kafka sink against a bare loop over librdkafka's producer: the same
//! lines and settings, on librdkafka's own mock cluster, in turns, from when the
//! first message is confirmed: until then it waits half a second for a producer
//! id, or does not. Prints seconds and the ratio of the medians; above 1, the
//! sink is faster.
//!
//! `cargo bench --bench kafka -- [COMPRESSION]`

// What a benchmark is for is to print.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;
use tflog::component::Definition;
use tflog::event::{Batch, Chunk, Needs, Pool, Rows, Stream, Timestamp};
use tflog::seam::World;
use tflog::sink::encode::{Encoder, Options};
use tflog::sink::{Concurrency, Load, Part, Sink, kafka};

const EVENTS: usize = 1_000_000;
const RUNS: usize = 7;
/// As many parts as make the driver's loads of 10,000 events.
const PARTS: usize = 10;

/// JSON lines of about 250 bytes, as a service writes them.
fn lines(from: usize, count: usize) -> Arc<Batch> {
    let mut chunk = Box::new(Chunk::default());
    for n in from..from + count {
        let line = format!(
            "{{\"timestamp\":\"2026-11-23T13:{:02}:{:02}.{:03}Z\",\"level\":\"{}\",\"service\":\"checkout\",\"message\":\"order {} placed\",\"http\":{{\"method\":\"POST\",\"path\":\"/api/v1/orders\",\"status\":{},\"bytes\":{}}},\"trace_id\":\"{:032x}\",\"user\":\"u{}\"}}\n",
            n / 60_000 % 60,
            n / 1000 % 60,
            n % 1000,
            ["info", "info", "warn", "debug"][n % 4],
            n * 7919,
            [200, 201, 404, 503][n * 31 % 4],
            n * 7 % 90_000,
            (n as u128).wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835),
            n * 13 % 5000,
        );
        chunk.text.extend_from_slice(line.as_bytes());
        chunk.ends.push(chunk.text.len() as u32);
    }
    let stream = Stream {
        source: 0,
        origin: 1,
        meta: Vec::new(),
    };
    let pool = Arc::new(Pool::default());
    Arc::new(Batch::new(Arc::new(stream), 0, Timestamp(0), chunk, pool))
}

fn loads() -> Vec<Load> {
    let batches: Vec<_> = (0..EVENTS / 1000).map(|n| lines(n * 1000, 1000)).collect();
    let load = |batches: &[Arc<Batch>]| Load {
        parts: batches
            .iter()
            .map(|batch| Part {
                batch: batch.clone(),
                rows: Rows::All,
            })
            .collect(),
        events: batches.len() * 1000,
        wait: false,
    };
    batches.chunks(PARTS).map(load).collect()
}

struct Counting(AtomicU64);

impl ClientContext for Counting {
    fn stats_raw(&self, _: &[u8]) {}
}

impl ProducerContext for Counting {
    type DeliveryOpaque = usize;
    fn delivery(&self, result: &DeliveryResult<'_>, _: usize) {
        assert!(result.is_ok());
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

/// The plainest program there is: send, wait when the queue is full, flush.
fn bare(brokers: &str, compression: &str, loads: &[Load]) -> Duration {
    let producer: ThreadedProducer<Counting> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", "0")
        .set("compression.type", compression)
        .set("partitioner", "murmur2_random")
        .set("queue.buffering.max.kbytes", "32768")
        .set("queue.buffering.max.messages", "100000")
        .set("statistics.interval.ms", "5000")
        .create_with_context(Counting(AtomicU64::new(0)))
        .unwrap();
    let first = BaseRecord::<[u8], [u8], usize>::with_opaque_to("logs", 0).payload(b"first");
    producer.send(first).unwrap();
    producer.flush(Duration::from_mins(1)).unwrap();
    let start = Instant::now();
    let mut number = 0;
    for part in loads.iter().flat_map(|load| &load.parts) {
        for row in 0..part.batch.rows() {
            let payload = part.batch.line(row);
            let mut record =
                BaseRecord::<[u8], [u8], usize>::with_opaque_to("logs", number).payload(payload);
            number += 1;
            while let Err((error, back)) = producer.send(record) {
                let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
                assert_eq!(error, full);
                record = back;
                std::thread::sleep(Duration::from_millis(1));
            }
        }
    }
    producer.flush(Duration::from_mins(1)).unwrap();
    assert_eq!(
        producer.context().0.load(Ordering::Relaxed),
        EVENTS as u64 + 1
    );
    start.elapsed()
}

/// The sink with as many writers as it wants, as the driver uses them.
async fn sink(brokers: &str, compression: &str, loads: &[Load]) -> Duration {
    let options = serde_json::json!({ "compression": compression });
    let definition = Definition {
        name: "out".into(),
        scheme: "kafka".into(),
        tls: false,
        target: format!("{brokers}/logs"),
        options: serde_json::from_value(options).unwrap(),
    };
    let mut needs = Needs::default();
    let encoder = Encoder::build("raw", Options::default(), &mut needs).unwrap();
    let world = World::real(tokio::runtime::Handle::current());
    let first = kafka::build(&definition, encoder, &world, &mut needs).unwrap();
    let Concurrency::Fixed(writers) = first.concurrency() else {
        panic!("it takes so many loads at once");
    };
    let mut idle: Vec<_> = (1..writers).map(|_| first.another().unwrap()).collect();
    idle.push(Box::new(first));
    let warm = Load {
        parts: vec![Part {
            batch: lines(0, 1),
            rows: Rows::All,
        }],
        events: 1,
        wait: false,
    };
    idle[0].write(&warm).await.unwrap();
    let start = Instant::now();
    let mut running = futures_util::stream::FuturesOrdered::new();
    for load in loads {
        let mut writer = match idle.pop() {
            Some(writer) => writer,
            None => futures_util::StreamExt::next(&mut running).await.unwrap(),
        };
        running.push_back(async move {
            writer.write(load).await.unwrap();
            writer
        });
    }
    while futures_util::StreamExt::next(&mut running).await.is_some() {}
    start.elapsed()
}

fn median(times: &mut [Duration]) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64()
}

fn main() {
    let compression = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let compression = compression.as_deref().unwrap_or("lz4");
    let loads = loads();
    let texts = loads.iter().flat_map(|load| &load.parts);
    let bytes: usize = texts.map(|part| part.batch.text().len()).sum();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for run in 0..=RUNS {
        // A fresh cluster each, since it keeps what it is sent.
        for first in [run % 2 == 0, run % 2 != 0] {
            let mock = MockCluster::new(1).unwrap();
            mock.create_topic("logs", 4, 1).unwrap();
            let brokers = mock.bootstrap_servers();
            let (name, times, time) = if first {
                let time = runtime.block_on(sink(&brokers, compression, &loads));
                ("sink", &mut ours, time)
            } else {
                ("bare", &mut theirs, bare(&brokers, compression, &loads))
            };
            println!("{name} {:.3} s", time.as_secs_f64());
            // The first of each warms up.
            if run > 0 {
                times.push(time);
            }
        }
    }
    let (ours, theirs) = (median(&mut ours), median(&mut theirs));
    println!(
        "{compression}, {EVENTS} events, {} MB: sink {:.0} MB/s, bare producer {:.0} MB/s, ratio {:.3}",
        bytes / 1_000_000,
        bytes as f64 / ours / 1e6,
        bytes as f64 / theirs / 1e6,
        theirs / ours
    );
}
