//! A driver on a paused clock: a scripted sink, queues, and a ledger.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use super::super::*;
use crate::event::{Haste, Needs, Receipt, Rows, Settled, Tally};
use crate::seam::Clock;
use crate::sink::encode::{Encoder, Options};
use crate::sink::fixture::lines;
use crate::sink::{Load, SinkError, SinkFuture, Written};
use crate::telemetry::{Quota, SourceReport, Transfer, WhenFull};

#[derive(Default)]
pub(super) struct Queue {
    shares: Mutex<VecDeque<(Share, Demand)>>,
    closed: Mutex<bool>,
    changed: Notify,
}

impl Queue {
    pub(super) fn close(&self) {
        *self.closed.lock().unwrap() = true;
        self.changed.notify_waiters();
        self.changed.notify_one();
    }
}

impl Feed for Queue {
    async fn pop(&self) -> Option<(Share, Demand)> {
        loop {
            if let Some(share) = self.try_pop() {
                return Some(share);
            }
            if *self.closed.lock().unwrap() {
                return None;
            }
            self.changed.notified().await;
        }
    }

    fn try_pop(&self) -> Option<(Share, Demand)> {
        self.shares.lock().unwrap().pop_front()
    }

    fn push(&self, share: Share, demand: Demand) {
        self.shares.lock().unwrap().push_back((share, demand));
        self.changed.notify_one();
    }

    fn put_back(&self, share: Share, demand: Demand) {
        self.shares.lock().unwrap().push_front((share, demand));
        self.changed.notify_one();
    }
}

pub(super) type Reply = Result<Written, SinkError>;
type Script = Arc<Mutex<dyn FnMut(Vec<String>) -> Reply + Send>>;

/// Answers by a script; takes a second for each load, or as long as it is stuck.
struct Scripted {
    script: Script,
    concurrency: Concurrency,
    in_flight: Arc<Mutex<(usize, usize)>>,
    away: watch::Sender<Option<String>>,
    stuck: watch::Sender<bool>,
    check_hangs: bool,
}

impl Sink for Scripted {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(async {
            {
                let mut in_flight = self.in_flight.lock().unwrap();
                in_flight.0 += 1;
                in_flight.1 = in_flight.1.max(in_flight.0);
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
            let mut stuck = self.stuck.subscribe();
            let _ = stuck.wait_for(|stuck| !stuck).await;
            self.in_flight.lock().unwrap().0 -= 1;
            let mut texts = Vec::new();
            load.for_each(|_, batch, row| {
                texts.push(String::from_utf8_lossy(batch.line(row)).into_owned());
            });
            assert_eq!(texts.len(), load.events);
            (self.script.lock().unwrap_or_else(PoisonError::into_inner))(texts)
        })
    }

    fn concurrency(&self) -> Concurrency {
        self.concurrency
    }

    fn another(&self) -> Option<Box<dyn Sink>> {
        Some(Box::new(Scripted {
            script: self.script.clone(),
            concurrency: self.concurrency,
            in_flight: self.in_flight.clone(),
            away: self.away.clone(),
            stuck: self.stuck.clone(),
            check_hangs: self.check_hangs,
        }))
    }

    fn check(&mut self) -> SinkFuture<'_, ()> {
        let hangs = self.check_hangs;
        Box::pin(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }

    fn away(&self) -> Option<watch::Receiver<Option<String>>> {
        Some(self.away.subscribe())
    }
}

#[derive(Debug, Default)]
pub(super) struct Heard(pub(super) Mutex<Tally>);

impl Settled for Heard {
    fn settled(&self, tally: Tally) {
        let mut sum = self.0.lock().unwrap();
        sum.accepted += tally.accepted;
        sum.dead_lettered += tally.dead_lettered;
        sum.shutdown += tally.shutdown;
        sum.abandoned += tally.abandoned;
        sum.returned += tally.returned;
    }
}

/// A source that goes on while it waits.
#[derive(Debug)]
struct GoingOn(Arc<Heard>);

impl Settled for GoingOn {
    fn settled(&self, tally: Tally) {
        self.0.settled(tally);
    }

    fn haste(&self) -> Haste {
        Haste::Some
    }
}

/// A driver of sink 0, whose dead letters go to sink 1 and whose fallback is
/// sink 2, which nobody drives.
#[allow(clippy::struct_excessive_bools, reason = "each is set by one test")]
pub(super) struct Bench {
    pub(super) ledger: Arc<Ledger>,
    pub(super) feed: Arc<Queue>,
    pub(super) dead: Arc<Queue>,
    pub(super) fallback: Arc<Queue>,
    pub(super) cut_off: watch::Sender<Option<Instant>>,
    pub(super) relieved: watch::Sender<Option<Instant>>,
    pub(super) report: Arc<SourceReport>,
    pub(super) heard: Arc<Heard>,
    pub(super) in_flight: Arc<Mutex<(usize, usize)>>,
    pub(super) status: Arc<Status>,
    pub(super) away: watch::Sender<Option<String>>,
    pub(super) stuck: watch::Sender<bool>,
    pub(super) linger: Duration,
    /// Whether sources that wait go on meanwhile.
    pub(super) goes_on: bool,
    pub(super) with_dead_letters: bool,
    pub(super) with_fallback: bool,
    pub(super) check_hangs: bool,
    pub(super) ask: mpsc::Sender<oneshot::Sender<Result<(), String>>>,
    pub(super) checks: Mutex<Option<Checks>>,
}

impl Default for Bench {
    fn default() -> Bench {
        let quota = Quota {
            bytes_max: 1 << 20,
            when_full: WhenFull::Block,
        };
        let ledger = Ledger::new(1, 1, vec![quota; 3]);
        let (ask, checks) = mpsc::channel(1);
        let report = SourceReport {
            ledger: ledger.clone(),
            source: 0,
        };
        Bench {
            ledger,
            feed: Arc::default(),
            dead: Arc::default(),
            fallback: Arc::default(),
            cut_off: watch::Sender::new(None),
            relieved: watch::Sender::new(None),
            report: Arc::new(report),
            heard: Arc::default(),
            in_flight: Arc::default(),
            status: Arc::default(),
            away: watch::Sender::new(None),
            stuck: watch::Sender::new(false),
            linger: Duration::ZERO,
            goes_on: false,
            with_dead_letters: true,
            with_fallback: false,
            check_hangs: false,
            ask,
            checks: Mutex::new(Some(checks)),
        }
    }
}

impl Bench {
    /// Queues the lines of a batch; `awaited`: its source waits.
    pub(super) async fn send(&self, text: &str, awaited: bool) {
        let part = lines(text);
        let events = part.batch.rows() as u64;
        let demand = Demand { events, bytes: 100 };
        let transfer = Transfer {
            evaluated: events,
            first: vec![events],
            matched: vec![events],
            demands: vec![demand],
            ..Transfer::default()
        };
        self.ledger.receive(0, events, 0, 0);
        let mut entries = Vec::new();
        self.ledger
            .admit(0, &transfer, &mut entries, |_| None)
            .await;
        let waiter = awaited.then(|| -> Arc<dyn Settled> {
            let heard = self.heard.clone();
            if self.goes_on {
                Arc::new(GoingOn(heard))
            } else {
                heard
            }
        });
        let rows = part.batch.rows();
        let receipt = Receipt::new(rows, Rows::All, self.report.clone(), waiter);
        let share = Share {
            batch: part.batch,
            rows: Rows::All,
            ack: receipt.ack(Rows::All),
        };
        self.feed.push(share, demand);
    }

    pub(super) fn start(
        &self,
        concurrency: Concurrency,
        script: impl FnMut(Vec<String>) -> Reply + Send + 'static,
    ) -> tokio::task::JoinHandle<Ended> {
        let passage = |sink, queue: &Arc<Queue>| Passage {
            sink,
            queue: queue.clone(),
        };
        let raw = Encoder::build("raw", Options::default(), &mut Needs::default()).unwrap();
        // A successor is asked by nobody here.
        let checks = self.checks.lock().unwrap().take();
        let checks = checks.unwrap_or_else(|| mpsc::channel(1).1);
        let random = Random::seeded(7);
        let driver = Driver {
            index: 0,
            name: "out".into(),
            sink: Box::new(Scripted {
                script: Arc::new(Mutex::new(script)),
                concurrency,
                in_flight: self.in_flight.clone(),
                away: self.away.clone(),
                stuck: self.stuck.clone(),
                check_hangs: self.check_hangs,
            }),
            required: true,
            feed: self.feed.clone(),
            ledger: self.ledger.clone(),
            status: self.status.clone(),
            checks,
            limits: LoadLimits {
                bytes_max: 1 << 20,
                events_max: 8,
                linger: self.linger,
            },
            random: random.clone(),
            cut_off: self.cut_off.subscribe(),
            relieved: self.relieved.subscribe(),
            reader_gone: watch::Sender::new(false),
            dead_letters: self.with_dead_letters.then(|| DeadLetters {
                to: passage(1, &self.dead),
                encoder: Mutex::new(raw),
                needs: Arc::default(),
                clock: Clock::simulated(crate::event::Timestamp(0)),
                random,
            }),
            fallback: self.with_fallback.then(|| passage(2, &self.fallback)),
        };
        tokio::spawn(driver.run())
    }

    /// Delivers what a queue of another sink holds, as its driver would; its lines.
    pub(super) fn deliver_rest(&self, sink: usize, queue: &Queue) -> Vec<String> {
        let mut texts = Vec::new();
        while let Some((share, demand)) = queue.try_pop() {
            share.rows.for_each(share.batch.rows(), |row| {
                texts.push(String::from_utf8_lossy(share.batch.line(row)).into_owned());
            });
            self.ledger.send(sink, demand.events);
            self.ledger
                .deliver(sink, demand, crate::telemetry::Sent::default());
            share.ack.settle(Outcome::Delivered);
        }
        texts
    }
}
