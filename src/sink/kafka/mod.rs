//! The sink `kafka://broker:9092,broker:9092/topic`, and `kafka+tls://`.
//!
//! An event is confirmed when all in-sync replicas have it (`acks=all`). The
//! producer is idempotent and messages never expire: librdkafka retries what
//! can be retried, without duplicates and in order within a partition, for as
//! long as brokers are away. What it gives up (the topic is unknown, tflog may
//! not write, the producer failed for good and is replaced) goes back to the
//! driver, and keeps its place before later loads (`order.rs`). An event that
//! is refused for what is in it is rejected alone: since brokers refuse whole
//! requests, the events of a refused one are each sent again by themselves.
//!
//! librdkafka holds what was sent and not confirmed, 32 MiB at most by default;
//! a full queue is waited for. Its connections and threads are its own, apart
//! from the seams: this sink cannot run in a simulation.
//!
//! The topic is a template; brokers are not, so that no event chooses where it
//! goes. Without a key, librdkafka spreads events over the partitions.

mod enqueue;
mod order;
mod outcome;
mod producer;
mod records;
mod reports;
mod settings;
mod statistics;
mod topic;
mod write;

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rdkafka::config::ClientConfig;
use rdkafka::producer::Producer as _;
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use self::order::Order;
use self::producer::Producer;
use self::records::{Form, Records};
use self::reports::{Reports, Waiting};
pub use self::settings::{Compression, Config, Partitioner};
use self::statistics::Statistics;
use self::topic::Topic;
use super::encode::Encoder;
use super::{Concurrency, Load, Sink, SinkError, SinkFuture, Written};
use crate::component::{BuildError, Definition};
use crate::event::Needs;
use crate::seam::{Spawn, World};
use crate::telemetry::Gauges;

/// The URL scheme.
pub const NAME: &str = "kafka";

/// Loads at once: of 10,000 events, so many fill librdkafka's queue. With fewer,
/// its thread that compresses runs dry while loads wait for their last reports
/// (it takes partitions in turn, so that loads end together).
const LOADS: usize = 10;
/// How long the brokers may take to tell whether the topic is there: below what
/// the driver gives a check.
const CHECK: Duration = Duration::from_millis(1500);
/// How long closing waits for messages that nobody waits for any more.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Writes to Kafka.
pub struct Kafka {
    shared: Arc<Shared>,
    records: Records,
    waiting: Waiting,
    /// The place of the load that is to be tried again.
    ticket: Option<u64>,
    /// Topics that may be written to, as far as this writer knows.
    topics: HashSet<Box<str>>,
}

/// What all writers of one sink share.
struct Shared {
    name: Arc<str>,
    /// The name, brokers and topic, for messages.
    place: String,
    client: ClientConfig,
    form: Form,
    spawn: Spawn,
    reports: Arc<Reports>,
    order: Arc<Order>,
    statistics: Arc<Statistics>,
    producer: Mutex<Option<Arc<Producer>>>,
    topics: Mutex<HashSet<Box<str>>>,
    topics_max: usize,
    /// Why the brokers are away, while messages wait for them.
    away: watch::Sender<Option<String>>,
    /// Whether it was said that requests are refused as a whole.
    warned_of_requests: AtomicBool,
}

/// Builds the sink. librdkafka checks its settings; it connects when the sink
/// is first used.
pub fn build(
    definition: &Definition,
    encoder: Encoder,
    world: &World,
    needs: &mut Needs,
) -> Result<Kafka, BuildError> {
    let config: Config = definition.decode()?;
    let (brokers, topic) = settings::split_target(definition)?;
    let place = format!("{}: {brokers}/{topic}", definition.name);
    let topic = Topic::compile(topic, needs)
        .map_err(|error| definition.error(format!("topic {topic:?}: {error}")))?;
    if config.topics_max == 0 {
        return Err(definition.error("must be at least 1").at("topics_max"));
    }
    if config
        .headers
        .keys()
        .any(|name| name.is_empty() || name.contains('\0'))
    {
        let error = definition.error("a header needs a name without NUL");
        return Err(error.at("headers"));
    }
    let client = settings::client(definition, &config, &brokers)?;
    if let Some(broker) = settings::exposed(&config, definition.tls, &brokers) {
        tracing::warn!(
            sink = &*definition.name,
            "user and password go to {broker} without TLS: use kafka+tls://"
        );
    }
    let form = Form::compile(topic, config.key.as_deref(), config.headers, needs)
        .map_err(|(key, error)| definition.error(error.to_string()).at(&key))?;
    let reports = Reports::new();
    let waiting = reports
        .seat()
        .ok_or_else(|| definition.error("no writer is free"))?;
    let shared = Arc::new(Shared {
        name: definition.name.clone(),
        place,
        client,
        form,
        spawn: world.spawn.clone(),
        reports,
        order: Arc::default(),
        statistics: Arc::default(),
        producer: Mutex::default(),
        topics: Mutex::default(),
        topics_max: config.topics_max,
        away: watch::Sender::new(None),
        warned_of_requests: AtomicBool::new(false),
    });
    Ok(Kafka::new(shared, encoder, waiting))
}

impl Shared {
    /// The producer; a new one if there is none or it was given up, and `None`
    /// while writers still wait for the old one's last reports.
    fn producer(&self) -> Result<Option<Arc<Producer>>, SinkError> {
        let mut slot = self.producer.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(producer) = &*slot {
            if !producer.context().is_condemned() {
                return Ok(Some(producer.clone()));
            }
            if !producer::is_idle(producer) {
                return Ok(None);
            }
            self.statistics.rebuilt.fetch_add(1, Ordering::Relaxed);
            *slot = None;
        }
        let started = producer::start(
            &self.client,
            &self.name,
            &self.spawn,
            &self.reports,
            &self.statistics,
            &self.away,
        );
        let producer = started.map_err(|error| self.retry(&error))?;
        *slot = Some(producer.clone());
        Ok(Some(producer))
    }

    fn retry(&self, cause: &str) -> SinkError {
        SinkError::Retry {
            message: format!("{}: {cause}; will try again", self.place),
            after: None,
        }
    }
}

impl Kafka {
    fn new(shared: Arc<Shared>, encoder: Encoder, waiting: Waiting) -> Kafka {
        Kafka {
            shared,
            records: Records::new(encoder),
            waiting,
            ticket: None,
            topics: HashSet::new(),
        }
    }

    /// Asks the brokers for the topic, or for themselves.
    async fn reach(&self) -> Result<(), SinkError> {
        let shared = &self.shared;
        let Some(producer) = shared.producer()? else {
            return Err(shared.retry("the producer is being replaced"));
        };
        let denied = |reason: &str| SinkError::Denied {
            message: format!("{}: {reason}; check auth", shared.place),
        };
        if let Some(reason) = producer.context().denied(Duration::ZERO) {
            return Err(denied(&reason));
        }
        let topic = shared.form.topic.fixed().map(str::to_owned);
        let asked = producer.clone();
        // It blocks its thread.
        let stage = shared.spawn.stage("kafka-check", async move {
            let metadata = asked.client().fetch_metadata(topic.as_deref(), CHECK);
            metadata.map(|metadata| {
                let mut topics = metadata.topics().iter();
                topics.find_map(|topic| topic.error().map(Code::from))
            })
        });
        let stage = stage.map_err(|error| shared.retry(&error.to_string()))?;
        let context = producer.context();
        match stage.await {
            Some(Ok(None)) => Ok(()),
            Some(Ok(Some(_))) if shared.form.topic.fixed().is_none() => Ok(()),
            Some(Ok(Some(code))) => Err(shared.retry(&code.to_string())),
            Some(Err(error)) => Err(match context.denied(Duration::ZERO) {
                Some(reason) => denied(&reason),
                None => shared.retry(&context.last_error().unwrap_or_else(|| error.to_string())),
            }),
            None => Err(shared.retry("the check failed; this is a bug in tflog")),
        }
    }
}

impl Sink for Kafka {
    fn gauges(&self) -> Option<Arc<dyn Gauges>> {
        Some(self.shared.statistics.clone())
    }

    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(self.deliver(load))
    }

    fn concurrency(&self) -> Concurrency {
        Concurrency::Fixed(LOADS)
    }

    fn another(&self) -> Option<Box<dyn Sink>> {
        let waiting = self.shared.reports.seat()?;
        let encoder = self.records.encoder().clone();
        Some(Box::new(Kafka::new(self.shared.clone(), encoder, waiting)))
    }

    fn away(&self) -> Option<watch::Receiver<Option<String>>> {
        Some(self.shared.away.subscribe())
    }

    /// Waits for messages of writes that were cut off; all others are settled.
    fn close(&mut self) -> SinkFuture<'_, ()> {
        Box::pin(async move {
            let slot = &self.shared.producer;
            let producer = slot.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let start = Instant::now();
            while let Some(producer) = &producer
                && producer.in_flight_count() > 0
            {
                if start.elapsed() > CLOSE_MAX {
                    let left = producer.in_flight_count();
                    return Err(self
                        .shared
                        .retry(&format!("{left} messages are not confirmed")));
                }
                sleep(Duration::from_millis(10)).await;
            }
            Ok(())
        })
    }

    fn check(&mut self) -> SinkFuture<'_, ()> {
        Box::pin(self.reach())
    }
}

impl Drop for Kafka {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            self.shared.order.give_up(ticket);
        }
    }
}

#[cfg(test)]
mod tests;
