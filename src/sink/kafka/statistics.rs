//! What librdkafka says of itself every few seconds.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use serde::Deserialize;

use crate::telemetry::{Gauge, Gauges};

/// The last numbers; those "since the start" are counters.
#[derive(Debug, Default)]
pub(super) struct Statistics {
    /// Messages in librdkafka's queue and on their way.
    pub(super) queued_messages: AtomicU64,
    /// Their bytes.
    pub(super) queued_bytes: AtomicU64,
    /// Mean time from request to answer, of the slowest broker, in microseconds.
    pub(super) round_trip_us: AtomicU64,
    /// Brokers that are connected.
    pub(super) brokers_up: AtomicU64,
    /// Requests that failed, of the current producer since its start.
    pub(super) request_errors: AtomicU64,
    /// Requests that were tried again, of the current producer since its start.
    pub(super) request_retries: AtomicU64,
    /// Producers that were replaced since the start.
    pub(super) rebuilt: AtomicU64,
}

/// The part of librdkafka's STATISTICS.md that is looked at.
#[derive(Deserialize)]
struct Report {
    msg_cnt: u64,
    msg_size: u64,
    brokers: HashMap<String, Broker>,
}

#[derive(Deserialize)]
struct Broker {
    nodeid: i64,
    state: String,
    txerrs: u64,
    txretries: u64,
    rtt: Window,
}

#[derive(Deserialize)]
struct Window {
    avg: i64,
}

impl Statistics {
    /// Takes over a report; one that cannot be read changes nothing.
    pub(super) fn take(&self, json: &[u8]) {
        let Ok(report) = serde_json::from_slice::<Report>(json) else {
            return;
        };
        let sum = |of: fn(&Broker) -> u64| report.brokers.values().map(of).sum::<u64>();
        let slowest = report.brokers.values().map(|b| b.rtt.avg.max(0)).max();
        // Bootstrap entries have negative ids and stand for the same brokers.
        let up = sum(|b| u64::from(b.nodeid >= 0 && b.state == "UP"));
        for (place, value) in [
            (&self.queued_messages, report.msg_cnt),
            (&self.queued_bytes, report.msg_size),
            (&self.round_trip_us, slowest.unwrap_or(0) as u64),
            (&self.brokers_up, up),
            (&self.request_errors, sum(|b| b.txerrs)),
            (&self.request_retries, sum(|b| b.txretries)),
        ] {
            place.store(value, Ordering::Relaxed);
        }
    }
}

impl Gauges for Statistics {
    fn read(&self) -> Vec<Gauge> {
        let gauge = |name, help, value: &AtomicU64| Gauge {
            name,
            help,
            value: value.load(Ordering::Relaxed),
        };
        vec![
            gauge(
                "tflog_kafka_queue_messages",
                "messages in librdkafka's queue and on their way",
                &self.queued_messages,
            ),
            gauge("tflog_kafka_queue_bytes", "their bytes", &self.queued_bytes),
            gauge(
                "tflog_kafka_round_trip_microseconds",
                "mean time from request to answer of the slowest broker",
                &self.round_trip_us,
            ),
            gauge(
                "tflog_kafka_brokers_up",
                "brokers that are connected",
                &self.brokers_up,
            ),
            gauge(
                "tflog_kafka_request_errors_total",
                "requests that failed, of the current producer",
                &self.request_errors,
            ),
            gauge(
                "tflog_kafka_request_retries_total",
                "requests that were tried again, of the current producer",
                &self.request_retries,
            ),
            gauge(
                "tflog_kafka_producers_rebuilt_total",
                "producers that were replaced after a fatal error",
                &self.rebuilt,
            ),
        ]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_is_read_and_nonsense_is_not() {
        let statistics = Statistics::default();
        let broker = |id: i64, state: &str, rtt: i64| {
            format!(
                r#""b{id}":{{"nodeid":{id},"state":"{state}","txerrs":1,"txretries":2,"rtt":{{"avg":{rtt},"p99":1}}}}"#
            )
        };
        let json = format!(
            r#"{{"msg_cnt":3,"msg_size":40,"more":[],"brokers":{{{},{},{}}}}}"#,
            broker(1, "UP", 700),
            broker(2, "DOWN", 900),
            broker(-1, "UP", 0)
        );
        statistics.take(json.as_bytes());
        statistics.take(b"{\"msg_cnt\":\"x\"}");
        let get = |place: &AtomicU64| place.load(Ordering::Relaxed);
        assert_eq!(get(&statistics.queued_messages), 3);
        assert_eq!(get(&statistics.queued_bytes), 40);
        assert_eq!(get(&statistics.round_trip_us), 900);
        assert_eq!(get(&statistics.brokers_up), 1);
        assert_eq!(get(&statistics.request_errors), 3);
        assert_eq!(get(&statistics.request_retries), 6);
    }
}
