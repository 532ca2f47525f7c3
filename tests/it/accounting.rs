//! The whole pipeline on one thread under a paused clock, and an oracle that
//! can fail.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tflog::config::plan::{Extras, build};
use tflog::config::{Input, Inputs, load};
use tflog::event::{Ack, Chunk, Needs, Timestamp};
use tflog::parse::Formats;
use tflog::pipeline::{Pipeline, Plan, PlannedSink, PlannedSource, Withs};
use tflog::route::{RouteSpec, Table, Target, When};
use tflog::seam::World;
use tflog::sink::driver::LoadLimits;
use tflog::sink::{Load, Sink, SinkError, SinkFuture, Written};
use tflog::source::{Outlet, Source, SourceError, SourceFuture, Stop};
use tflog::telemetry::{Labels, Quota, Snapshot, WhenFull};

/// Sends so many batches of three lines, a second apart.
pub(crate) struct Lines {
    pub(crate) batches: usize,
}

impl Source for Lines {
    fn run(self: Box<Self>, outlet: Outlet, _stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            let stream = outlet.stream(Vec::new());
            for i in 0..self.batches {
                let mut chunk = Box::new(Chunk::default());
                chunk.text.extend_from_slice(b"one\ntwo\nthree\n");
                chunk.ends.extend([4, 8, 14]);
                outlet.send(&stream, i as u64 * 14, chunk).await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(())
        })
    }
}

/// Records what it gets; fails a first attempt out of so many.
#[derive(Default)]
pub(crate) struct Recorder {
    got: Arc<Mutex<Vec<u8>>>,
    attempts: usize,
    fail_every: usize,
}

impl Sink for Recorder {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(async move {
            self.attempts += 1;
            if self.fail_every > 0 && self.attempts % self.fail_every == 1 {
                return Err(SinkError::Retry {
                    message: "not now".into(),
                    after: None,
                });
            }
            let mut got = self.got.lock().unwrap();
            for part in &load.parts {
                part.rows.for_each(part.batch.rows(), |row| {
                    got.extend_from_slice(&part.batch.text()[part.batch.span(row)]);
                });
            }
            Ok(Written::default())
        })
    }
}

/// The plan of a config whose source `app` is this one.
pub(crate) fn plan_of(yaml: &str, source: impl Source + 'static, world: &World) -> Plan {
    let inputs = Inputs {
        files: vec![Input::Text {
            name: "tflog.yaml".into(),
            text: yaml.into(),
        }],
        ..Inputs::default()
    };
    let config = load(&inputs).expect("loads").config;
    let source: Box<dyn Source> = Box::new(source);
    let extras = Extras {
        sources: HashMap::from([("app".to_owned(), source)]),
        ..Extras::default()
    };
    let built = build(&config, extras, world).map_err(|errors| format!("{errors:?}"));
    built.expect("a plan").plan
}

pub(crate) fn plan(source: impl Source + 'static, sink: impl Sink + 'static) -> Plan {
    let mut needs = Needs::default();
    let route = RouteSpec {
        name: "all".into(),
        from: None,
        when: When::Always,
        to: Target::Sinks(vec![0]),
        go_on: false,
    };
    let table = Table::compile(vec![route], None, 1, &mut needs).expect("no rules");
    let labels = |id: &str| Labels {
        id: id.into(),
        scheme: "test".into(),
    };
    let formats = || {
        Formats::build("raw", &needs, |needs| {
            Box::new(tflog::parse::json::Json::build(needs))
        })
    };
    Plan {
        sources: vec![PlannedSource {
            labels: labels("in"),
            source: Box::new(source),
            formats: Arc::new(formats().expect("a format")),
            print: 1,
            format_print: 1,
        }],
        table,
        routes: vec!["all".into()],
        sinks: vec![PlannedSink {
            labels: labels("out"),
            sink: Box::new(sink),
            required: true,
            quota: Quota {
                bytes_max: 1 << 20,
                when_full: WhenFull::Block,
            },
            disk: None,
            limits: LoadLimits {
                bytes_max: 1 << 20,
                events_max: 1000,
                linger: Duration::ZERO,
            },
            dead_letter: None,
            fallback: None,
            print: 1,
        }],
        grace: Duration::from_secs(25),
        needs: Arc::default(),
        with: Withs::default(),
        json: Arc::new(formats().expect("a format")),
        state: None,
    }
}

pub(crate) async fn run(plan: Plan) -> Snapshot {
    let world = World::simulated(Timestamp(0), 7);
    let pipeline = Pipeline::start(plan, &world).await.expect("it starts");
    let report = pipeline.finish().await;
    assert_eq!(report.failures, [""; 0]);
    report.snapshot
}

/// An hour of events and a sink that fails every other attempt, in no time.
#[tokio::test(start_paused = true)]
async fn an_hour_passes_on_one_thread() {
    let got = Arc::new(Mutex::new(Vec::new()));
    let sink = Recorder {
        got: got.clone(),
        fail_every: 2,
        ..Recorder::default()
    };
    let started = tokio::time::Instant::now();
    let snapshot = run(plan(Lines { batches: 3600 }, sink)).await;
    assert!(started.elapsed() >= Duration::from_hours(1));
    assert_eq!(*got.lock().unwrap(), b"one\ntwo\nthree\n".repeat(3600));
    assert_eq!(snapshot.violations_at_end(), [""; 0]);
    assert_eq!(snapshot.sources[0].accepted, 3 * 3600);
    assert!(snapshot.sinks[0].retries > 1000);
}

/// The oracle can fail: an ack that leaks is an event that is never settled.
#[tokio::test(start_paused = true)]
async fn a_leaked_ack_breaks_the_equations() {
    use tflog::event::{Receipt, Rows};
    use tflog::telemetry::{Ledger, SourceReport};
    let ledger = Ledger::new(1, 0, Vec::new());
    ledger.receive(0, 2, 8, 0);
    let report = Arc::new(SourceReport {
        ledger: ledger.clone(),
        source: 0,
    });
    let receipt = Receipt::new(2, Rows::All, report, None);
    let ack: Ack = receipt.ack(Rows::All);
    drop(receipt);
    std::mem::forget(ack);
    assert_eq!(ledger.snapshot().violations(), [""; 0]);
    assert_eq!(
        ledger.snapshot().violations_at_end(),
        ["source 0: 2 events were never settled"]
    );
}

/// Sends more than there is room for, and fails.
struct Fails;

impl Source for Fails {
    fn run(self: Box<Self>, outlet: Outlet, stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            Box::new(Lines { batches: 4 }).run(outlet, stop).await?;
            Err(SourceError::Failed("on purpose".into()))
        })
    }
}

/// What a source failed of is in the report, also where its router still waits
/// for a sink that hangs when time is up.
#[tokio::test(start_paused = true)]
async fn a_source_that_fails_behind_a_hung_sink_is_reported() {
    struct Hangs;
    impl Sink for Hangs {
        fn write<'a>(&'a mut self, _load: &'a Load) -> SinkFuture<'a, Written> {
            Box::pin(std::future::pending())
        }
    }
    let mut plan = plan(Fails, Hangs);
    plan.sinks[0].quota.bytes_max = 16;
    let world = World::simulated(Timestamp(0), 7);
    let pipeline = Pipeline::start(plan, &world).await.expect("it starts");
    let (control, monitor) = (pipeline.control(), pipeline.monitor());
    let stopping = async {
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert!(
            monitor.snapshot().sinks[0].waited_for > 0,
            "it waits for room"
        );
        control.stop();
    };
    let (report, ()) = tokio::join!(pipeline.finish(), stopping);
    assert_eq!(report.failures, ["source in: on purpose"]);
    assert_eq!(report.snapshot.violations_at_end(), [""; 0]);
}

/// A source that panics is a failure that is reported, and a sink that panics
/// is a failed attempt: its events are not delivered twice or lost.
#[tokio::test(start_paused = true)]
async fn a_panicking_sink_is_a_failed_attempt() {
    struct Panics(Recorder, bool);
    impl Sink for Panics {
        fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
            Box::pin(async move {
                assert!(std::mem::replace(&mut self.1, true), "on purpose");
                self.0.write(load).await
            })
        }
    }
    let got = Arc::new(Mutex::new(Vec::new()));
    let sink = Panics(
        Recorder {
            got: got.clone(),
            ..Recorder::default()
        },
        false,
    );
    let snapshot = run(plan(Lines { batches: 2 }, sink)).await;
    assert_eq!(*got.lock().unwrap(), b"one\ntwo\nthree\n".repeat(2));
    assert_eq!(snapshot.violations_at_end(), [""; 0]);
    assert_eq!(snapshot.sinks[0].retries, 1);
}
