//! One load: into the producer, then the wait for its reports.

use std::collections::HashSet;
use std::ffi::CString;
use std::sync::Arc;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::time::{Instant, sleep, timeout};

use super::enqueue::{MESSAGES_MAX, enqueue};
use super::outcome::{End, Failure, conclude};
use super::producer::Producer;
use super::{Kafka, Shared};
use crate::event::Batch;
use crate::sink::{Load, SinkError, Written};

/// The first pause for a full queue: about what a broker takes for a request.
const FULL_MIN: Duration = Duration::from_millis(1);
/// The longest one.
const FULL_MAX: Duration = Duration::from_millis(50);
/// A refusal counts when nothing was delivered for so long: one of several
/// brokers may refuse while it starts.
const DENIED_AFTER: Duration = Duration::from_secs(1);
/// Brokers that confirm nothing for so long and fail are away: a crash of a
/// partition's leader is noticed, and another chosen, in 9 s by default.
const AWAY_AFTER: Duration = Duration::from_secs(10);
/// How often writers look whether to wait on.
const LOOK: Duration = Duration::from_millis(500);
/// How often they look for what ends soon.
const SOON: Duration = Duration::from_millis(10);

impl Kafka {
    /// Delivers a load; see [`crate::sink::Sink::write`].
    pub(super) async fn deliver(&mut self, load: &Load) -> Result<Written, SinkError> {
        let ticket = self.shared.order.queue(self.ticket.take());
        let number = ticket.number();
        let producer = loop {
            ticket.turn().await;
            match self.shared.producer() {
                Ok(Some(producer)) => break producer,
                // Writers with earlier loads may yet come back.
                Ok(None) => sleep(SOON).await,
                Err(error) => {
                    self.ticket = Some(ticket.keep());
                    return Err(error);
                }
            }
        };
        let mut written = Written::default();
        let mut failures = self.enqueue(&producer, load, &mut written).await;
        drop(ticket);
        self.settled(&producer).await;
        let reported = self.waiting.failures();
        failures.extend(reported.into_iter().map(|(i, code)| (i, Failure::of(code))));
        failures.sort_unstable_by_key(|(item, _)| *item);
        self.send_alone(&producer, load, number, &mut failures)
            .await;
        self.take_back(load, &failures, &mut written);
        let end = if failures.is_empty() {
            None
        } else {
            end_of(&producer)
        };
        let place = &self.shared.place;
        let result = conclude(place, load.events, &failures, end, written);
        if matches!(
            result,
            Err(SinkError::Retry { .. } | SinkError::Denied { .. })
        ) {
            // While this still holds the producer: a new one begins with the
            // loads that the old one did not deliver.
            self.shared.order.keep(number);
            self.ticket = Some(number);
        }
        result
    }

    /// Gives all messages to the producer; the ones that it did not take.
    async fn enqueue(
        &mut self,
        producer: &Producer,
        load: &Load,
        written: &mut Written,
    ) -> Vec<(u32, Failure)> {
        let shared = self.shared.clone();
        let mut failures = Vec::new();
        self.waiting.begin(load.events as u32);
        let form = &shared.form;
        let mut item = 0;
        for part in &load.parts {
            self.records.prepare(form, part, written);
            let mut at = 0;
            while at < self.records.len() {
                let failure = match shared.admit(&mut self.topics, self.records.topic(form, at)) {
                    Err(failure) => Some(failure),
                    // Messages with headers are taken one at a time only.
                    Ok(()) if form.has_headers() => {
                        let number = self.waiting.number(item);
                        let record = self.records.get(form, &part.batch, at, number);
                        shared.send(producer, record).await
                    }
                    Ok(()) => {
                        let failed = &mut failures;
                        let sent = self.send_run(producer, &part.batch, at, item, failed).await;
                        at += sent;
                        item += sent as u32;
                        continue;
                    }
                };
                if let Some(failure) = failure {
                    self.waiting.unsent();
                    failures.push((item, failure));
                }
                at += 1;
                item += 1;
            }
        }
        failures
    }

    /// Gives messages of one topic from `at` on to the producer, which stand
    /// for the load's items from `item` on, waiting for room for the first; how
    /// many.
    async fn send_run(
        &self,
        producer: &Producer,
        batch: &Batch,
        at: usize,
        item: u32,
        failures: &mut Vec<(u32, Failure)>,
    ) -> usize {
        let (form, records) = (&self.shared.form, &self.records);
        let end = at + records.run(form, at, MESSAGES_MAX);
        // No name has a NUL in it.
        let topic = CString::new(records.topic(form, at)).unwrap_or_default();
        let (mut pause, start) = (FULL_MIN, Instant::now());
        loop {
            let number = |of: usize| self.waiting.number(item + (of - at) as u32);
            let messages = (at..end).map(|of| records.message(batch, of, number(of)));
            let sent = enqueue(producer, &topic, messages, |place, code| {
                self.waiting.unsent();
                failures.push((item + place as u32, Failure::alone(code)));
            });
            if sent > 0 {
                return sent;
            }
            sleep(pause).await;
            pause = (pause * 2).min(FULL_MAX);
            self.shared.judge(producer, start);
        }
    }

    /// Waits for all reports.
    async fn settled(&self, producer: &Producer) {
        let start = Instant::now();
        loop {
            tokio::select! {
                biased;
                () = self.waiting.done() => return,
                () = sleep(LOOK) => self.shared.judge(producer, start),
            }
        }
    }

    /// Sends each suspect in a request of its own: the one at fault is known
    /// then, and the others are delivered.
    async fn send_alone(
        &mut self,
        producer: &Producer,
        load: &Load,
        number: u64,
        failures: &mut Vec<(u32, Failure)>,
    ) {
        let suspects = failures.iter().filter_map(|(item, failure)| match failure {
            Failure::Suspect(code) => Some((*item, *code)),
            _ => None,
        });
        let (suspects, codes): (Vec<_>, Vec<_>) = suspects.unzip();
        let Some(first) = codes.first() else { return };
        let shared = self.shared.clone();
        if !shared.warned_of_requests.swap(true, Ordering::Relaxed) {
            tracing::warn!(
                sink = &*shared.name,
                "{}: {first}: a whole request was refused; its events are sent one by one, which \
                 is slow; if that goes on, set settings batch.size below the broker's limit",
                shared.place
            );
        }
        // Nobody else's messages may share a request with them.
        let ticket = shared.order.queue(Some(number));
        while timeout(LOOK, ticket.turn()).await.is_err() {
            // Who is before this one may wait for the producer to be replaced,
            // and that waits for this one.
            if producer.context().is_condemned() {
                for (_, failure) in failures {
                    if matches!(failure, Failure::Suspect(_)) {
                        *failure = Failure::Retry(Code::PurgeQueue);
                    }
                }
                return;
            }
        }
        while shared.reports.outstanding() > 0 {
            sleep(SOON).await;
        }
        let mut scratch = Written::default();
        for (item, part, row) in rows(load, &suspects) {
            let batch = &load.parts[part].batch;
            self.waiting.begin(1);
            let form = &shared.form;
            self.records.prepare_row(form, batch, row, &mut scratch);
            let record = self.records.get(form, batch, 0, self.waiting.number(item));
            let failure = if let Some(failure) = shared.send(producer, record).await {
                self.waiting.unsent();
                Some(failure)
            } else {
                self.settled(producer).await;
                let reported = self.waiting.failures().pop();
                reported.map(|(_, code)| Failure::alone(code))
            };
            let Ok(at) = failures.binary_search_by_key(&item, |(item, _)| *item) else {
                continue;
            };
            match failure {
                Some(failure) => failures[at].1 = failure,
                None => drop(failures.remove(at)),
            }
        }
    }

    /// Takes what was not delivered back from what was.
    fn take_back(&mut self, load: &Load, failures: &[(u32, Failure)], written: &mut Written) {
        if failures.is_empty() {
            return;
        }
        let items: Vec<_> = failures.iter().map(|(item, _)| *item).collect();
        let form = &self.shared.form;
        let mut not = Written::default();
        for (_, part, row) in rows(load, &items) {
            let batch = &load.parts[part].batch;
            self.records.prepare_row(form, batch, row, &mut not);
        }
        written.bytes -= not.bytes;
        written.replaced -= not.replaced;
        written.missing -= not.missing;
    }
}

impl Shared {
    /// Whether the topic may be written to; `known` is what the writer knows.
    fn admit(&self, known: &mut HashSet<Box<str>>, topic: &str) -> Result<(), Failure> {
        if self.form.topic.fixed().is_some() || known.contains(topic) {
            return Ok(());
        }
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if topics.len() >= self.topics_max && !topics.contains(topic) {
            return Err(Failure::Topics(self.topics_max));
        }
        topics.insert(topic.into());
        known.insert(topic.into());
        Ok(())
    }

    /// Gives a message to the producer, waiting for room; why it was not taken.
    async fn send(
        &self,
        producer: &Producer,
        mut record: BaseRecord<'_, [u8], [u8], usize>,
    ) -> Option<Failure> {
        let (mut pause, start) = (FULL_MIN, Instant::now());
        loop {
            match producer.send(record) {
                Ok(()) => return None,
                Err((KafkaError::MessageProduction(Code::QueueFull), back)) => record = back,
                Err((error, _)) => {
                    let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
                    return Some(Failure::alone(code));
                }
            }
            sleep(pause).await;
            pause = (pause * 2).min(FULL_MAX);
            self.judge(producer, start);
        }
    }

    /// Gives a producer up whose brokers all refuse tflog, and says so when
    /// they are away; a writer has waited for them since `start`.
    fn judge(&self, producer: &Producer, start: Instant) {
        let context = producer.context();
        if context.is_condemned() {
            return;
        }
        if context.denied(DENIED_AFTER).is_some() {
            context.condemn();
        } else if start.elapsed() >= AWAY_AFTER {
            context.notice_absence(&self.place, AWAY_AFTER);
        }
    }
}

/// Why a producer was given up, if it was.
fn end_of(producer: &Arc<Producer>) -> Option<End> {
    let context = producer.context();
    if let Some((code, reason)) = producer.client().fatal_error() {
        // Reports can be in before the error is.
        context.condemn();
        return Some(match Failure::of(code) {
            Failure::Denied(_) => End::Denied(reason),
            _ => End::Fatal(reason),
        });
    }
    let denied = context.denied(Duration::ZERO);
    denied.filter(|_| context.is_condemned()).map(End::Denied)
}

/// Where the given items, ascending, are: item, part and row.
fn rows(load: &Load, items: &[u32]) -> Vec<(u32, usize, usize)> {
    let mut found = Vec::with_capacity(items.len());
    let mut wanted = items.iter().peekable();
    let mut item = 0;
    for (at, part) in load.parts.iter().enumerate() {
        part.rows.for_each(part.batch.rows(), |row| {
            if wanted.next_if_eq(&&item).is_some() {
                found.push((item, at, row));
            }
            item += 1;
        });
    }
    found
}
