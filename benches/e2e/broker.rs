//! A pipe to a Kafka topic, at least 0.9 of librdkafka's own producer: a bare
//! program that reads the same lines from the same pipe, with the same
//! settings, to the same brokers (librdkafka's mock ones). Both begin with the
//! half second after which librdkafka asks for a producer id again when its
//! brokers were not yet connected: small inputs measure little else.

use std::io::BufRead;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseRecord, Producer, ProducerContext, ThreadedProducer};
use rdkafka::types::RDKafkaErrorCode;

use crate::measure::{self, Run};
use crate::services::alternate;

/// The argument that makes this program the bare producer.
pub(crate) const BARE_PRODUCER: &str = "bare-producer";
/// Longer than any run takes: who waits so long gives up.
const PATIENCE: Duration = Duration::from_mins(1);
/// For a queue that is full: about what a broker takes for a request.
const FULL_PAUSE: Duration = Duration::from_millis(1);

#[derive(Default)]
struct Counting {
    delivered: AtomicU64,
    failed: AtomicU64,
}

impl ClientContext for Counting {
    fn stats_raw(&self, _: &[u8]) {}
}

impl ProducerContext for Counting {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        let count = if result.is_ok() {
            &self.delivered
        } else {
            &self.failed
        };
        count.fetch_add(1, Ordering::Relaxed);
    }
}

/// The runs of the bare producer, of it again, of tflog.
pub(crate) fn kafka(input: &Path, program: &Path, out: &Path, runs: usize) -> [Vec<Run>; 3] {
    let mock = MockCluster::<rdkafka::producer::DefaultProducerContext>::new(1).expect("brokers");
    mock.create_topic("e2e", 3, 1).expect("a topic");
    let brokers = mock.bootstrap_servers();
    let this = std::env::current_exe().expect("a program");
    let bare = [BARE_PRODUCER.to_owned(), brokers.clone(), "e2e".to_owned()];
    let tflog = ["--to".to_owned(), format!("kafka://{brokers}/e2e")];
    alternate(
        runs,
        || measure::pipe_through(input, &this, &bare, out),
        || measure::pipe_through(input, program, &tflog, out),
    )
}

/// The bare producer: each line of stdin is a message; ends when all are
/// delivered.
pub(crate) fn produce_bare(brokers: &str, topic: &str) {
    // As the sink's own defaults.
    let producer: ThreadedProducer<Counting> = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("enable.idempotence", "true")
        .set("acks", "all")
        .set("message.timeout.ms", "0")
        .set("compression.type", "lz4")
        .set("partitioner", "murmur2_random")
        .set("queue.buffering.max.kbytes", "32768")
        .set("queue.buffering.max.messages", "100000")
        .set("socket.keepalive.enable", "true")
        .set("topic.metadata.refresh.interval.ms", "30000")
        .set("statistics.interval.ms", "5000")
        .create_with_context(Counting::default())
        .expect("a producer");
    let mut input = std::io::BufReader::with_capacity(256 << 10, std::io::stdin().lock());
    let (mut line, mut sent) = (Vec::new(), 0);
    while input.read_until(b'\n', &mut line).expect("lines") > 0 {
        let payload = line.strip_suffix(b"\n").unwrap_or(&line);
        let mut record = BaseRecord::<(), [u8]>::to(topic).payload(payload);
        while let Err((error, back)) = producer.send(record) {
            let full = KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull);
            assert_eq!(error, full);
            std::thread::sleep(FULL_PAUSE);
            record = back;
        }
        sent += 1;
        line.clear();
    }
    producer.flush(PATIENCE).expect("delivered");
    let counts = producer.context();
    assert_eq!(counts.failed.load(Ordering::Relaxed), 0);
    assert_eq!(counts.delivered.load(Ordering::Relaxed), sent);
}
