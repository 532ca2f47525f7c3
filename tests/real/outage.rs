//! Services that go away in the middle: nothing is lost, and in a fixed index
//! each event is one document.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::harness::connect;
use crate::oracle::{Received, lines, names};
use crate::servers::{Kafka, OpenSearch};
use crate::service::Service;
use crate::{search, topic};

/// Lines of one write.
const STEP: u64 = 1000;

const CONFIG: &str = "
sources: { net: 'tcp://INPUT' }
sinks:
  stream: { url: 'kafka://KAFKA/outage' }
  search: { url: 'opensearch://SEARCH/outage' }
";

/// `IT_EVENTS` says how many.
fn events() -> u64 {
    std::env::var("IT_EVENTS").map_or(200_000, |n| n.parse().expect("IT_EVENTS is a number"))
}

/// A broker that is restarted, a broker that is killed, a search server that is
/// killed, while events flow: every event is in both, and in the index once.
#[test]
fn restarted_and_killed_services_get_everything() {
    let (Some(kafka), Some(opensearch)) = (Kafka::start("num.partitions=3"), OpenSearch::start())
    else {
        return;
    };
    let events = events();
    let brokers = kafka.address().to_string();
    let config = CONFIG
        .replace("KAFKA", &brokers)
        .replace("SEARCH", &opensearch.address().to_string());
    let service = Service::start(&config);
    let sent = Arc::new(AtomicU64::new(0));
    let count = sent.clone();
    let mut connection = connect(service.input);
    let producer = std::thread::spawn(move || {
        for from in (0..events).step_by(STEP as usize) {
            let text = lines("p", from..events.min(from + STEP));
            std::io::Write::write_all(&mut connection, text.as_bytes()).expect("tflog reads");
            count.fetch_add(STEP, Ordering::Relaxed);
        }
    });
    // 1 ms an event is far more than it takes.
    let patience = Duration::from_mins(3) + Duration::from_millis(events);
    let wait_until_sent = |part: u64| {
        service.wait_long(patience, "a part to be sent", || {
            (sent.load(Ordering::Relaxed) >= events * part / 100).then_some(())
        });
    };
    wait_until_sent(10);
    kafka.stop();
    kafka.restart();
    wait_until_sent(40);
    opensearch.kill9();
    // It is noticed before it is mended.
    service.wait_long(patience, "a retry", || {
        let retries = service.metric("tflog_sink_retries_total{component_id=\"search\"");
        (retries > 0).then_some(())
    });
    opensearch.restart();
    wait_until_sent(70);
    kafka.kill9();
    kafka.restart();
    producer.join().unwrap();
    service.wait_until_settled(events, patience);

    let wanted = names("p", 0..events);
    let found = search::documents(opensearch.address(), "outage");
    found.assert_once("search", &wanted);
    assert_eq!(search::count(opensearch.address(), "outage"), events);
    let mut streamed = Received::default();
    for message in topic::messages(&brokers, "outage") {
        streamed.take_line(&String::from_utf8(message).unwrap());
    }
    streamed.assert_all("stream", &wanted);

    service.send(&lines("fresh", 0..1));
    service.wait_until_settled(events + 1, patience);
    assert!(search::documents(opensearch.address(), "outage").has("fresh", 0));
    let ended = service.finish();
    assert_eq!(ended.source("net", "accepted"), events + 1);
    for sink in ["stream", "search"] {
        assert_eq!(ended.sink(sink, "delivered"), events + 1, "{sink}");
    }
}
