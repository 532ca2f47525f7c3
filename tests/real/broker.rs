//! The Kafka sink against a real broker, read back with a consumer.

use std::collections::BTreeMap;
use std::io::Write;
use std::net::SocketAddr;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};

use crate::harness::{Running, tflog, wait_for};
use crate::servers::Kafka;

/// How long anything may take: only reached by bugs.
const PATIENCE: Duration = Duration::from_mins(2);

/// `k3 000017`: one of seven keys, and the event's number.
pub(crate) fn lines(numbers: std::ops::Range<usize>) -> String {
    let line = |n: usize| {
        format!(
            "{{\"service\":\"k{}\",\"seq\":{n},\"text\":\"order {n} was placed\"}}\n",
            n % 7
        )
    };
    numbers.map(line).collect()
}

pub(crate) fn consumer(address: SocketAddr) -> BaseConsumer {
    ClientConfig::new()
        .set("bootstrap.servers", address.to_string())
        .set("group.id", "test")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap()
}

fn partitions(consumer: &BaseConsumer, topic: &str) -> Vec<i32> {
    let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
    let topic = &metadata.topics()[0];
    topic
        .partitions()
        .iter()
        .map(rdkafka::metadata::MetadataPartition::id)
        .collect()
}

/// How many messages a topic has.
pub(crate) fn count(consumer: &BaseConsumer, topic: &str) -> i64 {
    let end = |p| consumer.fetch_watermarks(topic, p, PATIENCE).unwrap().1;
    partitions(consumer, topic).into_iter().map(end).sum()
}

/// Every message of a topic as key, payload and number of headers, each
/// partition in its order.
pub(crate) fn consume(address: SocketAddr, topic: &str) -> Vec<(Vec<u8>, String, usize)> {
    let consumer = consumer(address);
    let mut wanted = TopicPartitionList::new();
    for partition in partitions(&consumer, topic) {
        wanted
            .add_partition_offset(topic, partition, Offset::Beginning)
            .unwrap();
    }
    consumer.assign(&wanted).unwrap();
    let (mut all, mut ends) = (Vec::new(), 0);
    let start = Instant::now();
    while ends < wanted.count() {
        assert!(start.elapsed() < PATIENCE, "{} so far", all.len());
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => all.push((
                message.key().unwrap_or_default().to_vec(),
                String::from_utf8(message.payload().unwrap().to_vec()).unwrap(),
                message.headers().map_or(0, Headers::count),
            )),
            Some(Err(_)) => ends += 1,
            None => {}
        }
    }
    all
}

/// Every line once, each key's in order, under its key.
pub(crate) fn assert_complete(messages: &[(Vec<u8>, String, usize)], sent: &str) {
    let mut expected = BTreeMap::<&str, Vec<&str>>::new();
    for line in sent.lines() {
        expected.entry(&line[12..14]).or_default().push(line);
    }
    let mut got = BTreeMap::<&str, Vec<&str>>::new();
    for (key, line, _) in messages {
        let key = std::str::from_utf8(key).unwrap();
        got.entry(key).or_default().push(line);
    }
    for (key, lines) in &expected {
        let mine = got.get(key).map_or(&[][..], |all| all);
        let differs = lines.iter().zip(mine).position(|(a, b)| a != b);
        assert_eq!(differs, None, "{key}: first difference");
        assert_eq!(mine.len(), lines.len(), "{key}");
    }
    assert_eq!(got.len(), expected.len());
}

pub(crate) fn start(arguments: &[&str]) -> Running {
    Running::start(
        tflog(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped()),
    )
}

/// A broker that crashes and comes back loses nothing, doubles nothing, and
/// does not change the order of a key.
#[test]
fn a_broker_that_crashes_in_the_middle_loses_nothing() {
    let Some(server) = Kafka::start("num.partitions=3") else {
        return;
    };
    let to = format!(
        "kafka://{}/logs?key={{service}}&headers.app=tflog",
        server.address()
    );
    let (first, second) = (lines(0..100_000), lines(100_000..200_000));
    let mut running = start(&["--to", &to]);
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(first.as_bytes()).unwrap();
    let consumer = consumer(server.address());
    wait_for("the first events", || {
        (count(&consumer, "logs") > 20_000).then_some(())
    });
    server.kill9();
    let rest = second.clone();
    let feeder = std::thread::spawn(move || stdin.write_all(rest.as_bytes()).unwrap());
    server.restart();
    feeder.join().unwrap();
    let (status, stderr) = running.finish();
    assert!(status.success(), "{stderr}");
    let messages = consume(server.address(), "logs");
    assert_complete(&messages, &(first + &second));
    assert!(messages.iter().all(|(.., headers)| *headers == 1));
}
