//! What the Kafka sink passes, against librdkafka's mock brokers, which fail
//! when asked to, and against a real broker where they are no match for it.

use std::time::Duration;

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use crate::oracle::{Received, lines, long_line, names};
use crate::servers::Kafka;
use crate::service::{Ended, PATIENCE, Service, read};
use crate::topic;

type Mock = MockCluster<'static, DefaultProducerContext>;

const EVENTS: u64 = 1000;

fn config(brokers: &str) -> String {
    format!(
        "sources: {{ net: 'tcp://INPUT' }}\n\
         sinks:\n  \
           out: {{ url: 'kafka://{brokers}/events', dead_letter: dead }}\n  \
           dead: file://DIR/dead.jsonl\n"
    )
}

fn mock() -> (Mock, String) {
    let mock = MockCluster::new(1).expect("mock brokers");
    mock.create_topic("events", 3, 1).expect("a topic");
    let brokers = mock.bootstrap_servers();
    (mock, brokers)
}

fn received(brokers: &str) -> Received {
    let mut received = Received::default();
    for message in topic::messages(brokers, "events") {
        received.take_line(&String::from_utf8(message).unwrap());
    }
    received
}

/// Sends events and a fresh one, with something happening in between: each
/// arrives, once.
fn all_arrive_once(brokers: &str, meanwhile: impl FnOnce(&Service)) -> Ended {
    let service = Service::start(&config(brokers));
    service.send(&lines("p", 0..EVENTS));
    meanwhile(&service);
    service.wait_until_settled(EVENTS, PATIENCE);
    service.send(&lines("fresh", 0..1));
    service.wait_until_settled(EVENTS + 1, PATIENCE);
    let mut wanted = names("p", 0..EVENTS);
    wanted.extend(names("fresh", 0..1));
    received(brokers).assert_once("events", &wanted);
    let page = crate::harness::get(service.http, "/metrics").1;
    assert!(page.contains("tflog_kafka_queue_messages{component_id=\"out\""));
    let ended = service.finish();
    assert_eq!(ended.sink("out", "delivered"), EVENTS + 1);
    assert_eq!(ended.sink("out", "dead_lettered"), 0);
    ended
}

/// Errors that pass: another leader, too few replicas, a timeout.
#[test]
fn errors_that_pass_are_tried_again() {
    let (mock, brokers) = mock();
    mock.request_errors(
        RDKafkaApiKey::Produce,
        &[
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
            RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        ],
    );
    all_arrive_once(&brokers, |_| ());
}

/// Not allowed to write is no fault of the events: held until it is.
#[test]
fn missing_rights_hold_the_events() {
    let (mock, brokers) = mock();
    mock.request_errors(
        RDKafkaApiKey::Produce,
        &[RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 2],
    );
    let ended = all_arrive_once(&brokers, |_| ());
    assert!(ended.log.contains("WRITE"), "{}", ended.log);
}

/// A broker that is slow, one that is away.
#[test]
fn a_slow_broker_is_waited_for() {
    let (mock, brokers) = mock();
    mock.broker_round_trip_time(1, Duration::from_millis(500))
        .unwrap();
    all_arrive_once(&brokers, |_| ());
}

#[test]
fn a_broker_that_comes_back_gets_everything() {
    let (mock, brokers) = mock();
    mock.broker_down(1).unwrap();
    all_arrive_once(&brokers, |service| {
        service.wait("the events", || {
            let open = service.metric("tflog_source_open_events");
            (open == EVENTS).then_some(())
        });
        mock.broker_up(1).unwrap();
    });
}

/// While no broker is there, the fallback takes what waits; what is in the
/// producer's hands stays there, and arrives when they are back.
#[test]
fn the_fallback_takes_over_while_brokers_are_away() {
    let (mock, brokers) = mock();
    let config = config(&brokers)
        .replace("dead_letter: dead", "dead_letter: dead, fallback: spare")
        + "  spare: file://DIR/spare.jsonl\n";
    let service = Service::start(&config);
    service.send(&lines("p", 0..EVENTS));
    service.wait_until_settled(EVENTS, PATIENCE);
    mock.broker_down(1).unwrap();
    service.send(&lines("held", 0..10));
    service.wait("the absence to be noticed", || {
        let (status, body) = crate::harness::get(service.http, "/health/ready");
        (status == 503 && body.contains("waits for the brokers")).then_some(())
    });
    service.send(&lines("spare", 0..EVENTS));
    let spare = service.dir.path().join("spare.jsonl");
    service.wait("the fallback", || {
        (read(&spare).lines().count() as u64 == EVENTS).then_some(())
    });
    mock.broker_up(1).unwrap();
    service.wait_until_settled(2 * EVENTS + 10, PATIENCE);
    service.send(&lines("fresh", 0..1));
    service.wait_until_settled(2 * EVENTS + 11, PATIENCE);
    let ended = service.finish();
    let mut wanted = names("p", 0..EVENTS);
    wanted.extend(names("held", 0..10));
    wanted.extend(names("fresh", 0..1));
    received(&brokers).assert_once("events", &wanted);
    let mut taken = Received::default();
    for line in read(&ended.dir.path().join("spare.jsonl")).lines() {
        taken.take_line(line);
    }
    taken.assert_once("spare", &names("spare", 0..EVENTS));
    assert_eq!(ended.sink("out", "diverted"), EVENTS);
}

/// A message that the broker's limit refuses is a dead letter, its neighbours
/// are not.
#[test]
fn a_message_too_large_is_a_dead_letter() {
    let Some(server) = Kafka::start("message.max.bytes=50000") else {
        return;
    };
    let brokers = server.address().to_string();
    // Compressed, the line would be small enough.
    let config =
        config(&brokers).replace("dead_letter: dead", "dead_letter: dead, compression: none");
    let service = Service::start(&config);
    let text = lines("p", 0..EVENTS / 2)
        + &long_line("long", 0, 100_000)
        + "\n"
        + &lines("p", EVENTS / 2..EVENTS);
    service.send(&text);
    service.wait_until_settled(EVENTS + 1, PATIENCE);
    let ended = service.finish();
    received(&brokers).assert_once("events", &names("p", 0..EVENTS));
    let (dead, reasons) = ended.dead_letters();
    dead.assert_once("dead letters", &names("long", 0..1));
    assert!(!reasons[0].is_empty());
    assert_eq!(ended.source("net", "dead_lettered"), 1);
}
