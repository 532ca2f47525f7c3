//! The sink against librdkafka's mock cluster.

mod absence;

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey as Api, RDKafkaRespErr as Refusal};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use serde_json::{Value, json};

use super::enqueue::MESSAGES_MAX;
use super::*;
use crate::sink::encode::Options;
use crate::sink::fixture::{definition, keyed, load, objects};

type Mock = MockCluster<'static, DefaultProducerContext>;

/// How long anything may take: only reached by bugs.
const PATIENCE: Duration = Duration::from_mins(1);

struct Message1 {
    partition: i32,
    key: Option<Vec<u8>>,
    payload: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

fn cluster(partitions: i32) -> Mock {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("logs", partitions, 1).unwrap();
    mock
}

fn try_sink(
    target: &str,
    tls: bool,
    options: Value,
    needs: &mut Needs,
) -> Result<Kafka, BuildError> {
    let mut definition = definition(NAME, target, options);
    definition.tls = tls;
    let encoder = Encoder::build("raw", Options::default(), needs).unwrap();
    let world = World::real(tokio::runtime::Handle::current());
    build(&definition, encoder, &world, needs)
}

/// A sink whose librdkafka does not wait long between attempts.
fn sink(mock: &Mock, topic: &str, mut options: Value, needs: &mut Needs) -> Kafka {
    for (name, value) in [
        ("reconnect.backoff.ms", 10),
        ("reconnect.backoff.max.ms", 50),
        ("retry.backoff.ms", 10),
        ("topic.metadata.refresh.interval.ms", 50),
    ] {
        options["settings"][name] = value.into();
    }
    let target = format!("{}/{topic}", mock.bootstrap_servers());
    try_sink(&target, false, options, needs).unwrap()
}

/// Everything in the topics, at least `count` messages, in offset order of each
/// partition; and nothing more.
fn consume(mock: &Mock, topics: &[&str], count: usize) -> Vec<Message1> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", mock.bootstrap_servers())
        .set("group.id", "test")
        .set("enable.partition.eof", "true")
        .create()
        .unwrap();
    let mut wanted = TopicPartitionList::new();
    for topic in topics {
        let metadata = consumer.fetch_metadata(Some(topic), PATIENCE).unwrap();
        for partition in metadata.topics()[0].partitions() {
            wanted
                .add_partition_offset(topic, partition.id(), Offset::Beginning)
                .unwrap();
        }
    }
    consumer.assign(&wanted).unwrap();
    let (mut all, mut ends) = (Vec::new(), 0);
    let start = std::time::Instant::now();
    while all.len() < count || ends < wanted.count() {
        assert!(start.elapsed() < PATIENCE, "{} of {count}", all.len());
        match consumer.poll(PATIENCE) {
            Some(Ok(message)) => {
                let headers = message.headers().into_iter().flat_map(Headers::iter);
                all.push(Message1 {
                    partition: message.partition(),
                    key: message.key().map(<[u8]>::to_vec),
                    payload: message.payload().unwrap().to_vec(),
                    headers: headers
                        .map(|h| (h.key.to_owned(), h.value.unwrap().to_vec()))
                        .collect(),
                });
            }
            // The end of a partition.
            Some(Err(_)) => ends += 1,
            None => {}
        }
    }
    all
}

fn payloads(messages: &[Message1]) -> Vec<&str> {
    let text = |m: &'_ Message1| std::str::from_utf8(&m.payload).unwrap().to_owned().leak() as &str;
    messages.iter().map(text).collect()
}

/// `count` lines `kN SEQ` from `start` on, of seven keys.
fn lines(start: usize, count: usize) -> String {
    (start..start + count).fold(String::new(), |all, n| {
        all + &format!("k{} {n:05}\n", n % 7)
    })
}

fn one(text: &str, needs: &Needs) -> Load {
    load(vec![keyed(text, needs)], false)
}

/// Every event once, in order for each key, with exactly its bytes.
fn assert_complete(messages: &[Message1], sent: &str) {
    let mut by_key = BTreeMap::<_, Vec<_>>::new();
    for line in sent.lines() {
        by_key.entry(&line[..2]).or_default().push(line.to_owned());
    }
    let mut got = BTreeMap::<_, Vec<_>>::new();
    for line in payloads(messages) {
        got.entry(&line[..2]).or_default().push(line.to_owned());
    }
    assert_eq!(got, by_key);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_many_loads_arrive_in_order_with_their_keys_and_headers() {
    let mock = cluster(3);
    mock.broker_round_trip_time(-1, Duration::from_millis(5))
        .unwrap();
    let mut needs = Needs::default();
    let options =
        json!({ "key": "{service}", "headers": { "from": "{service}-{none:-x}", "app": "tflog" } });
    let mut first = sink(&mock, "logs", options, &mut needs);
    let mut others: Vec<_> = (0..3).map(|_| first.another().unwrap()).collect();
    let mut sent = String::new();
    for round in 0..3 {
        let texts: Vec<_> = (0..4).map(|n| lines((round * 4 + n) * 500, 500)).collect();
        let loads: Vec<_> = texts.iter().map(|text| one(text, &needs)).collect();
        let mut writes = vec![first.write(&loads[0])];
        for (other, load) in others.iter_mut().zip(&loads[1..]) {
            writes.push(other.write(load));
        }
        let bytes = loads[0].parts[0].batch.text().len() + 500;
        for written in futures_util::future::join_all(writes).await {
            assert_eq!(written.unwrap().bytes as usize, bytes, "payloads and keys");
        }
        sent.extend(texts);
    }
    let messages = consume(&mock, &["logs"], 6000);
    assert_complete(&messages, &sent);
    let mut places = BTreeMap::new();
    for message in &messages {
        let key = message.key.clone().unwrap();
        assert_eq!(key, message.payload[..2]);
        let partition = *places.entry(key.clone()).or_insert(message.partition);
        assert_eq!(partition, message.partition, "a key has one partition");
        let from = [&key[..], b"-x"].concat();
        let expected = [("app".into(), b"tflog".to_vec()), ("from".into(), from)];
        assert_eq!(message.headers, expected);
    }
    first.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payload_is_the_line_without_its_end() {
    let mock = cluster(1);
    let mut needs = Needs::default();
    let mut raw = sink(&mock, "logs", json!({ "key": "{service}" }), &mut needs);
    let written = raw.write(&one("a\r\n\nb c\n  d", &needs)).await.unwrap();
    assert_eq!(written.bytes, 1 + 3 + 3 + 1, "and one key");
    let mut json_needs = Needs::default();
    let encoder = Encoder::build("json", Options::default(), &mut json_needs).unwrap();
    let target = format!("{}/logs", mock.bootstrap_servers());
    let world = World::real(tokio::runtime::Handle::current());
    let made = definition(NAME, &target, json!({}));
    let mut sink = build(&made, encoder, &world, &mut json_needs).unwrap();
    let text = "{\"a\": 1}\r\n{ }\n";
    let load = load(vec![objects(text, &json_needs)], false);
    sink.write(&load).await.unwrap();
    let messages = consume(&mock, &["logs"], 6);
    assert_eq!(
        payloads(&messages),
        ["a", "", "b c", "  d", "{\"a\": 1}", "{ }"]
    );
    let keys: Vec<_> = messages.iter().map(|m| m.key.clone()).collect();
    assert_eq!(
        keys[..4],
        [None, None, Some(b"b".to_vec()), Some(Vec::new())]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_that_is_too_large_is_rejected_alone() {
    let mock = cluster(1);
    let mut needs = Needs::default();
    let options = json!({ "settings": { "message.max.bytes": 2000 } });
    let mut sink = sink(&mock, "logs", options, &mut needs);
    let text = format!("before\n{}\nafter\n", "x".repeat(3000));
    let Err(SinkError::Partial(partial)) = sink.write(&one(&text, &needs)).await else {
        panic!("it is too large")
    };
    assert_eq!(partial.rejected.len(), 1);
    let (item, reason) = &partial.rejected[0];
    assert!(
        *item == 1 && reason.contains("too large"),
        "{item} {reason}"
    );
    assert_eq!((partial.retry.len(), partial.written.bytes), (0, 11));
    assert_eq!(payloads(&consume(&mock, &["logs"], 2)), ["before", "after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_among_many_is_known_and_the_others_keep_their_order() {
    let mock = cluster(1);
    let mut needs = Needs::default();
    let options = json!({ "settings": { "message.max.bytes": 2000 } });
    let mut sink = sink(&mock, "logs", options, &mut needs);
    // At the ends of what enters with one call, and within.
    let large = [0, 5, MESSAGES_MAX - 1, MESSAGES_MAX, 299];
    let texts = (0..300).map(|n| {
        if large.contains(&n) {
            format!("{n} {}", "x".repeat(3000))
        } else {
            n.to_string()
        }
    });
    let texts: Vec<_> = texts.collect();
    let load = one(&(texts.join("\n") + "\n"), &needs);
    let Err(SinkError::Partial(partial)) = sink.write(&load).await else {
        panic!("some are too large")
    };
    let rejected: Vec<_> = partial.rejected.iter().map(|r| r.0 as usize).collect();
    assert_eq!((&rejected[..], partial.retry.len()), (&large[..], 0));
    let kept: Vec<_> = texts.iter().filter(|t| t.len() < 10).collect();
    assert_eq!(payloads(&consume(&mock, &["logs"], 295)), kept);
}

#[tokio::test(flavor = "multi_thread")]
async fn events_of_a_refused_request_are_sent_one_by_one() {
    let mock = cluster(1);
    let mut needs = Needs::default();
    let mut sink = sink(&mock, "logs", json!({}), &mut needs);
    let too_large = Refusal::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE;
    // The request of all three, then the one of the second alone.
    let errors = [too_large, Refusal::RD_KAFKA_RESP_ERR_NO_ERROR, too_large];
    mock.request_errors(Api::Produce, &errors);
    let Err(SinkError::Partial(partial)) = sink.write(&one("a\nb\nc\n", &needs)).await else {
        panic!("one is refused")
    };
    assert_eq!((partial.rejected.len(), partial.rejected[0].0), (1, 1));
    assert_eq!(partial.written.bytes, 2);
    assert_eq!(payloads(&consume(&mock, &["logs"], 2)), ["a", "c"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_brokers_fail_at_for_a_while_is_neither_lost_nor_doubled() {
    let mock = cluster(2);
    let mut needs = Needs::default();
    let mut sink = sink(&mock, "logs", json!({ "key": "{service}" }), &mut needs);
    let replicas = Refusal::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS;
    let broken = Refusal::RD_KAFKA_RESP_ERR__TRANSPORT;
    let leader = Refusal::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    mock.request_errors(Api::Produce, &[replicas, replicas, broken, leader]);
    let text = lines(0, 1000);
    sink.write(&one(&text, &needs)).await.unwrap();
    assert_complete(&consume(&mock, &["logs"], 1000), &text);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_waited_for() {
    let mock = cluster(2);
    let mut needs = Needs::default();
    let settings = json!({ "queue.buffering.max.messages": 20, "linger.ms": 0 });
    let options = json!({ "key": "{service}", "settings": settings });
    let mut first = sink(&mock, "logs", options, &mut needs);
    let mut second = first.another().unwrap();
    let (a, b) = (lines(0, 300), lines(300, 300));
    let (load_a, load_b) = (one(&a, &needs), one(&b, &needs));
    let (one, two) = tokio::join!(first.write(&load_a), second.write(&load_b));
    assert!(one.is_ok() && two.is_ok());
    assert_complete(&consume(&mock, &["logs"], 600), &(a + &b));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_producer_that_failed_for_good_is_replaced_and_order_kept() {
    let mock = cluster(1);
    let mut needs = Needs::default();
    let mut first = sink(&mock, "logs", json!({ "key": "{service}" }), &mut needs);
    let mut second = first.another().unwrap();
    let desynchronised = Refusal::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    mock.request_errors(Api::Produce, &[desynchronised]);
    let (a, b) = (lines(0, 100), lines(100, 100));
    let (load_a, load_b) = (one(&a, &needs), one(&b, &needs));
    let Err(SinkError::Retry { message, .. }) = first.write(&load_a).await else {
        panic!("it failed")
    };
    assert!(message.contains("a new producer"), "{message}");
    // The later load is there first, and lets the failed one go before it.
    let mut later = second.write(&load_b);
    let waited = tokio::time::timeout(Duration::from_millis(50), &mut later).await;
    assert!(waited.is_err(), "it must wait");
    let (one, two) = tokio::join!(first.write(&load_a), later);
    assert!(one.is_ok() && two.is_ok());
    let rebuilt = &first.shared.statistics.rebuilt;
    assert_eq!(rebuilt.load(std::sync::atomic::Ordering::Relaxed), 1);
    assert_complete(&consume(&mock, &["logs"], 200), &(a + &b));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_user_is_denied_until_allowed() {
    let mock = cluster(1);
    let mut needs = Needs::default();
    let mut sink = sink(&mock, "logs", json!({}), &mut needs);
    let cluster = Refusal::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
    mock.request_errors(Api::InitProducerId, &[cluster]);
    let load = one("a\n", &needs);
    let Err(SinkError::Denied { message }) = sink.write(&load).await else {
        panic!("the cluster refuses")
    };
    assert!(
        message.starts_with("out: 127.0.0.1:") && message.contains("auth"),
        "{message}"
    );
    let topic = Refusal::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED;
    mock.request_errors(Api::Produce, &[topic]);
    let Err(SinkError::Denied { message }) = sink.write(&load).await else {
        panic!("the topic refuses")
    };
    assert!(message.contains("grant the user WRITE"), "{message}");
    // Allowed again: librdkafka learns it with the next metadata.
    let start = std::time::Instant::now();
    while sink.write(&load).await.is_err() {
        assert!(start.elapsed() < PATIENCE);
        sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(payloads(&consume(&mock, &["logs"], 1)), ["a"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_made_of_values_is_legal_and_one_of_few() {
    let mock = cluster(1);
    mock.create_topic("logs-pay", 1, 1).unwrap();
    let mut needs = Needs::default();
    let options = json!({ "topics_max": 2 });
    let mut sink = sink(&mock, "logs-{service}", options, &mut needs);
    let text = "pay 1\nb/1:9092 2\nthird 3\npay 4\n";
    let Err(SinkError::Partial(partial)) = sink.write(&one(text, &needs)).await else {
        panic!("one topic is too many")
    };
    assert_eq!(partial.rejected.len(), 1);
    assert!(partial.rejected[0].0 == 2 && partial.rejected[0].1.contains("topics_max"));
    assert_eq!(
        payloads(&consume(&mock, &["logs-pay"], 2)),
        ["pay 1", "pay 4"]
    );
    let messages = consume(&mock, &["logs-b_1_9092"], 1);
    assert_eq!(payloads(&messages), ["b/1:9092 2"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_options_fail_at_start_and_say_why() {
    let user = json!({ "user": "u", "password": "secret" });
    let cases = [
        (
            "b1/t",
            json!({ "settings": { "lingr.ms": 5 } }),
            "out.settings.lingr.ms: librdkafka: No such configuration property",
        ),
        (
            "b1/t",
            json!({ "settings": { "linger": { "ms": "x" } } }),
            "out.settings.linger.ms: librdkafka: ",
        ),
        (
            "b1/t",
            json!({ "settings": { "acks": 1 } }),
            "out.settings.acks: `acks` cannot be set here (it is always all",
        ),
        ("b1/t", json!({ "auth": { "token": "t" } }), "out.auth: "),
        ("b1/t", json!({ "auth": { "user": "u" } }), "out.auth: "),
        (
            "b1/t",
            json!({ "auth": { "user": "u", "password": "p", "sasl": "X" } }),
            "out.auth.sasl: ",
        ),
        (
            "b1/t",
            json!({ "tls": { "ca": "/x" } }),
            "out.tls: TLS is off",
        ),
        ("b1/t", json!({ "key": "{" }), "out.key: "),
        (
            "b1/t",
            json!({ "headers": { "a": "{x" } }),
            "out.headers.a: ",
        ),
        (
            "b1/t",
            json!({ "compression": "rar" }),
            "out: unknown variant `rar`",
        ),
        (
            "b1/t",
            json!({ "topic": "x" }),
            "out: unknown field `topic`",
        ),
        (
            "{host}/t",
            json!({}),
            "out: an event cannot choose its brokers",
        ),
        ("b1,,b2/t", json!({}), "out: a broker is missing"),
        ("b1", json!({}), "out: the topic is missing"),
        (
            "b1/a b",
            json!({}),
            "out: topic \"a b\": ' ' cannot be in a topic",
        ),
    ];
    for (target, options, expected) in cases {
        let made = try_sink(target, false, options, &mut Needs::default());
        let error = made.err().unwrap().to_string();
        assert!(error.starts_with(expected), "{error}");
    }
    assert!(
        try_sink(
            "b1/t",
            false,
            json!({ "auth": user }),
            &mut Needs::default()
        )
        .is_ok()
    );
    if cfg!(feature = "kafka-tls") {
        let missing = json!({ "tls": { "ca": "/nowhere/ca.pem" } });
        let made = try_sink("b1/t", true, missing, &mut Needs::default());
        let error = made.err().unwrap().to_string();
        assert!(error.contains("ssl.ca.location"), "{error}");
        assert!(try_sink("b1/t", true, json!({}), &mut Needs::default()).is_ok());
    } else {
        let made = try_sink("b1/t", true, json!({}), &mut Needs::default());
        assert!(made.err().unwrap().to_string().contains("kafka-tls"));
    }
}

#[test]
fn a_password_in_the_clear_is_noticed_beyond_loopback() {
    let config = Config {
        auth: Some(crate::sink::remote::Auth::default()),
        ..Config::default()
    };
    let near = "localhost:9092,127.0.0.1:1,[::1]:2,127.9.9.9";
    assert_eq!(settings::exposed(&config, false, near), None);
    assert_eq!(
        settings::exposed(&config, false, "localhost,b1:9092"),
        Some("b1:9092")
    );
    assert_eq!(settings::exposed(&config, true, "b1:9092"), None);
    assert_eq!(
        settings::exposed(&Config::default(), false, "b1:9092"),
        None
    );
}
