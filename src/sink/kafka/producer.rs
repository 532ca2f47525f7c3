//! The connection to the cluster: librdkafka's producer, served by a thread of
//! its own, and what it says besides reports.
//!
//! The thread ends, and with it the producer, when nobody else holds it, so
//! that no writer ever waits for it to close.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::DeliveryResult;
use rdkafka::producer::{BaseProducer, Producer as _, ProducerContext, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode as Code;
use tokio::sync::watch;
use tokio::time::Instant;

use super::reports::Reports;
use super::statistics::Statistics;
use crate::seam::Spawn;

/// How long the thread waits for librdkafka at a time: how late it notices that
/// it is not needed any more. Reports wake it at once.
const POLL: Duration = Duration::from_millis(100);
/// Lines of librdkafka's own log in [`LOG_WINDOW`]; the rest is counted.
const LOG_LINES_MAX: u32 = 10;
/// See [`LOG_LINES_MAX`].
const LOG_WINDOW: Duration = Duration::from_secs(10);

/// A producer and its context.
pub(super) type Producer = BaseProducer<Context>;

/// What librdkafka calls.
pub(super) struct Context {
    name: Arc<str>,
    reports: Arc<Reports>,
    statistics: Arc<Statistics>,
    /// Whether it must be replaced: after a fatal error, or by [`condemn`].
    condemned: AtomicBool,
    /// Whether there may be trouble that the next delivery ends.
    is_troubled: AtomicBool,
    away: watch::Sender<Option<String>>,
    trouble: Mutex<Trouble>,
    log: Mutex<Log>,
}

/// What went wrong since the last delivery.
#[derive(Default)]
struct Trouble {
    /// Who refused tflog, and since when.
    denied: Option<(String, Instant)>,
    /// The last error of a broker or of all.
    error: Option<String>,
    /// When the first one was.
    since: Option<Instant>,
}

#[derive(Default)]
struct Log {
    window: Option<Instant>,
    lines: u32,
    last: String,
}

/// Starts a producer.
pub(super) fn start(
    client: &ClientConfig,
    name: &Arc<str>,
    spawn: &Spawn,
    reports: &Arc<Reports>,
    statistics: &Arc<Statistics>,
    away: &watch::Sender<Option<String>>,
) -> Result<Arc<Producer>, String> {
    if matches!(spawn, Spawn::Inline) {
        return Err("librdkafka has threads of its own and cannot be simulated".to_owned());
    }
    let context = Context {
        name: name.clone(),
        reports: reports.clone(),
        statistics: statistics.clone(),
        condemned: AtomicBool::new(false),
        // The brokers may have been away for the last producer.
        is_troubled: AtomicBool::new(true),
        away: away.clone(),
        trouble: Mutex::default(),
        log: Mutex::default(),
    };
    let producer: Producer = client
        .create_with_context(context)
        .map_err(|error| match error {
            KafkaError::ClientConfig(_, message, ..) | KafkaError::ClientCreation(message) => {
                message
            }
            other => other.to_string(),
        })?;
    let producer = Arc::new(producer);
    let served = producer.clone();
    spawn
        .stage("kafka", async move {
            while Arc::strong_count(&served) > 1 {
                served.poll(POLL);
                if served.context().is_condemned() {
                    // Every message left is reported as purged.
                    served.purge(PurgeConfig::default().queue().inflight().non_blocking());
                }
            }
        })
        .map_err(|error| format!("no thread for the producer: {error}"))?;
    Ok(producer)
}

/// Whether nobody but its thread and one other holds the producer.
pub(super) fn is_idle(producer: &Arc<Producer>) -> bool {
    Arc::strong_count(producer) == 2
}

impl Context {
    /// Says that the producer is to be replaced; what it still has is reported
    /// as not delivered.
    pub(super) fn condemn(&self) {
        self.condemned.store(true, Ordering::Release);
    }

    pub(super) fn is_condemned(&self) -> bool {
        self.condemned.load(Ordering::Acquire)
    }

    fn trouble(&self) -> MutexGuard<'_, Trouble> {
        self.trouble.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Why tflog was refused, if nothing was delivered for `at_least` since.
    pub(super) fn denied(&self, at_least: Duration) -> Option<String> {
        let trouble = self.trouble();
        let (reason, since) = trouble.denied.as_ref()?;
        (since.elapsed() >= at_least).then(|| reason.clone())
    }

    /// The last error since something was delivered.
    pub(super) fn last_error(&self) -> Option<String> {
        self.trouble().error.clone()
    }

    /// Says that the brokers are away, if there was trouble and no delivery
    /// for `at_least`.
    pub(super) fn notice_absence(&self, place: &str, at_least: Duration) {
        let trouble = self.trouble();
        let (Some(since), Some(error)) = (trouble.since, &trouble.error) else {
            return;
        };
        if since.elapsed() >= at_least && self.away.borrow().is_none() {
            let reason = format!("{place}: {error}; what was sent waits for the brokers");
            self.away.send_replace(Some(reason));
        }
    }

    /// Hears that something was delivered.
    fn recover(&self) {
        let mut trouble = self.trouble();
        self.is_troubled.store(false, Ordering::Relaxed);
        *trouble = Trouble::default();
        self.away.send_if_modified(|away| away.take().is_some());
    }

    /// A line of the log, unless there are too many; whether it was written.
    fn may_log(&self, text: &str) -> bool {
        let mut log = self.log.lock().unwrap_or_else(PoisonError::into_inner);
        if log.window.is_none_or(|start| start.elapsed() > LOG_WINDOW) {
            let left_out = log.lines.saturating_sub(LOG_LINES_MAX);
            if left_out > 0 {
                tracing::warn!(
                    sink = &*self.name,
                    "{left_out} lines of librdkafka left out"
                );
            }
            *log = Log {
                window: Some(Instant::now()),
                ..Log::default()
            };
        }
        if log.last == text {
            return false;
        }
        log.last.clear();
        log.last.push_str(text);
        log.lines += 1;
        log.lines <= LOG_LINES_MAX
    }
}

impl ClientContext for Context {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, text: &str) {
        if !self.may_log(text) {
            return;
        }
        let name = &*self.name;
        match level {
            RDKafkaLogLevel::Emerg
            | RDKafkaLogLevel::Alert
            | RDKafkaLogLevel::Critical
            | RDKafkaLogLevel::Error => tracing::error!(sink = name, "{facility}: {text}"),
            RDKafkaLogLevel::Warning => tracing::warn!(sink = name, "{facility}: {text}"),
            RDKafkaLogLevel::Notice | RDKafkaLogLevel::Info => {
                tracing::info!(sink = name, "{facility}: {text}");
            }
            RDKafkaLogLevel::Debug => tracing::debug!(sink = name, "{facility}: {text}"),
        }
    }

    fn stats_raw(&self, json: &[u8]) {
        self.statistics.take(json);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let code = error.rdkafka_error_code();
        if code == Some(Code::Fatal) {
            self.condemn();
        }
        {
            let mut trouble = self.trouble();
            let refused = [Code::Authentication, Code::SaslAuthenticationFailed];
            if code.is_some_and(|code| refused.contains(&code)) {
                let since = trouble.denied.take().map_or_else(Instant::now, |d| d.1);
                trouble.denied = Some((reason.to_owned(), since));
            }
            trouble.error = Some(reason.to_owned());
            trouble.since.get_or_insert_with(Instant::now);
            self.is_troubled.store(true, Ordering::Relaxed);
        }
        if self.may_log(reason) {
            tracing::warn!(sink = &*self.name, "{reason}");
        }
    }
}

impl ProducerContext for Context {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, number: usize) {
        match result {
            Ok(_) => {
                self.reports.delivered(number);
                if self.is_troubled.load(Ordering::Relaxed) {
                    self.recover();
                }
            }
            Err((error, _)) => {
                let code = error.rdkafka_error_code().unwrap_or(Code::Fail);
                self.reports.failed(number, code);
            }
        }
    }
}
