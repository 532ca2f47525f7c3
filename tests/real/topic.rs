//! Reads back what Kafka's topics hold.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::{ClientConfig, Message, Offset, TopicPartitionList};

/// How long a broker may take to answer.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Every message of a topic: partition by partition, in order.
pub(crate) fn messages(brokers: &str, topic: &str) -> Vec<Vec<u8>> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", brokers)
        .set("group.id", "reader")
        .set("enable.auto.commit", "false")
        .set("enable.partition.eof", "false")
        .create()
        .expect("a consumer");
    let about = consumer.fetch_metadata(Some(topic), TIMEOUT);
    let about = about.expect("the broker answers");
    let partitions: Vec<i32> = about.topics()[0]
        .partitions()
        .iter()
        .map(rdkafka::metadata::MetadataPartition::id)
        .collect();
    let mut all = Vec::new();
    for partition in partitions {
        let ends = consumer.fetch_watermarks(topic, partition, TIMEOUT);
        let (start, end) = ends.expect("watermarks");
        if start == end {
            continue;
        }
        let mut assignment = TopicPartitionList::new();
        assignment
            .add_partition_offset(topic, partition, Offset::Beginning)
            .unwrap();
        consumer.assign(&assignment).expect("assigned");
        let deadline = Instant::now() + 4 * TIMEOUT;
        loop {
            assert!(Instant::now() < deadline, "{topic}/{partition} ends early");
            let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else {
                continue;
            };
            all.push(message.payload().unwrap_or_default().to_owned());
            if message.offset() + 1 >= end {
                break;
            }
        }
    }
    all
}
