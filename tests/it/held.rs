//! Events that lists hold: none is lost or settled twice, the equations hold at
//! every moment, and nobody waits for ever.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use proptest::prelude::*;
use tflog::event::{Chunk, Settled, Tally, Timestamp};
use tflog::pipeline::{Pipeline, Plan};
use tflog::seam::World;
use tflog::sink::{Load, Sink, SinkError, SinkFuture, Written};
use tflog::source::{Outlet, Source, SourceFuture, Stop};
use tflog::telemetry::Snapshot;

use crate::accounting::plan_of;

/// Every batch's end.
#[derive(Debug, Default)]
struct Waiter(Mutex<Vec<Tally>>);

impl Settled for Waiter {
    fn settled(&self, tally: Tally) {
        self.0.lock().unwrap().push(tally);
    }
}

#[derive(Clone, Debug)]
enum Step {
    /// Events with these keys, on the stream of this number.
    Send(u8, Vec<u8>),
    /// Milliseconds.
    Sleep(u16),
}

/// Sends what a script says; waits for no answer, or hears of every batch.
struct Scripted {
    steps: Vec<Step>,
    waiter: Option<Arc<Waiter>>,
}

impl Source for Scripted {
    fn run(self: Box<Self>, outlet: Outlet, _stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            let streams = [outlet.stream(Vec::new()), outlet.stream(Vec::new())];
            for step in &self.steps {
                let (stream, keys) = match step {
                    Step::Sleep(millis) => {
                        tokio::time::sleep(Duration::from_millis((*millis).into())).await;
                        continue;
                    }
                    Step::Send(stream, keys) => (&streams[usize::from(*stream % 2)], keys),
                };
                let mut chunk = Box::new(Chunk::default());
                for key in keys {
                    let line = match key {
                        0 => "no key\n".to_owned(),
                        9 => "{\"k\":9,\"n\":1,\"end\":true}\n".to_owned(),
                        key => format!("{{\"k\":{key},\"n\":1}}\n"),
                    };
                    chunk.text.extend_from_slice(line.as_bytes());
                    chunk.ends.push(chunk.text.len() as u32);
                }
                match &self.waiter {
                    None => outlet.send(stream, 0, chunk).await?,
                    Some(waiter) => {
                        outlet
                            .send_awaited(stream, 0, chunk, waiter.clone())
                            .await?;
                    }
                }
            }
            Ok(())
        })
    }
}

/// What a sink got, and when.
type Got = Arc<Mutex<Vec<(Duration, String)>>>;

/// Records what it gets; every third attempt fails, what has `poison` is refused.
struct Recorder {
    got: Got,
    started: tokio::time::Instant,
    attempts: usize,
    poison: &'static str,
}

impl Sink for Recorder {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(async move {
            self.attempts += 1;
            if self.attempts % 3 == 1 {
                let message = "not now".into();
                return Err(SinkError::Retry {
                    message,
                    after: None,
                });
            }
            let mut lines = Vec::new();
            for part in &load.parts {
                part.rows.for_each(part.batch.rows(), |row| {
                    lines.push(String::from_utf8_lossy(part.batch.line(row)).into_owned());
                });
            }
            if !self.poison.is_empty() && lines.iter().any(|line| line.contains(self.poison)) {
                return Err(SinkError::Reject {
                    message: "poison".into(),
                });
            }
            let at = self.started.elapsed();
            let lines = lines.into_iter().map(|line| (at, line));
            self.got.lock().unwrap().extend(lines);
            Ok(Written::default())
        })
    }
}

/// The plan of a config with a source `app`, whose sinks record.
fn planned(yaml: &str, source: Scripted, poison: &'static str) -> (Plan, Vec<Got>, World) {
    let world = World::simulated(Timestamp(0), 7);
    let mut plan = plan_of(yaml, source, &world);
    let mut all = Vec::new();
    for sink in &mut plan.sinks {
        let got = Got::default();
        all.push(got.clone());
        sink.sink = Box::new(Recorder {
            got,
            started: tokio::time::Instant::now(),
            attempts: 0,
            poison,
        });
    }
    (plan, all, world)
}

/// Runs it to its end, and looks at the equations all the while.
async fn watched(plan: Plan, world: &World) -> Snapshot {
    let pipeline = Pipeline::start(plan, world).await.expect("it starts");
    let monitor = pipeline.monitor();
    let finish = pipeline.finish();
    tokio::pin!(finish);
    let mut looks = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            report = &mut finish => {
                assert_eq!(report.failures, [""; 0]);
                return report.snapshot;
            }
            _ = looks.tick() => assert_eq!(monitor.snapshot().violations(), [""; 0]),
        }
    }
}

/// The values of `n`, added up.
fn events_in(got: &Got) -> u64 {
    let got = got.lock().unwrap();
    let n = |line: &str| -> u64 {
        let event: Result<serde_json::Value, _> = serde_json::from_str(line);
        event.map_or(1, |event| event["n"].as_u64().unwrap())
    };
    got.iter().map(|(_, line)| n(line)).sum()
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        3 => (0..2u8, prop::collection::vec(0..10u8, 1..12)).prop_map(|(s, keys)| Step::Send(s, keys)),
        1 => (0..4000u16).prop_map(Step::Sleep),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    /// Whatever lists hold events, wherever they stand.
    #[test]
    fn every_event_held_is_settled_once(
        steps in prop::collection::vec(step(), 1..20),
        (in_source, in_route, in_sink) in any::<(bool, bool, bool)>(),
        (awaited, best_effort, drops) in any::<(bool, bool, bool)>(),
        keys_max in 1..6usize,
    ) {
        let reduce = |here: bool, options: &str| if here {
            format!("with: [ {{ reduce: 3s, by: k, merge: {{ n: sum }}, ends_when: 'end == true', {options} }} ]")
        } else {
            "with: []".to_owned()
        };
        let bounded = format!("keys_max: {keys_max}");
        let yaml = format!("
sources: {{ app: {{ url: stdin, parse: auto, {} }} }}
routes:
  - {{ name: some, when: 'k in [2, 3]', {}, to: [one, two], continue: true }}
  - {{ name: none, when: 'k == 4 and n > {}', {}, drop: true }}
  - {{ name: rest, {}, to: [two] }}
sinks:
  one: {{ url: 'file:///dev/null', required: {} }}
  two: {{ url: 'file:///dev/null', {} }}
", reduce(in_source, &bounded), reduce(in_route, "idle: 1s"), if drops { 0 } else { 99 },
            reduce(in_route, ""), reduce(in_route, &bounded), !best_effort, reduce(in_sink, "events_max: 3"));
        let events: usize = steps.iter().map(|step| match step {
            Step::Send(_, keys) => keys.len(),
            Step::Sleep(_) => 0,
        }).sum();
        let batches = steps.iter().filter(|step| matches!(step, Step::Send(..))).count();
        let waiter = Arc::new(Waiter::default());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all().start_paused(true).build().unwrap();
        let (snapshot, got) = runtime.block_on(async {
            let source = Scripted { steps, waiter: awaited.then(|| waiter.clone()) };
            let (plan, got, world) = planned(&yaml, source, "");
            (watched(plan, &world).await, got)
        });
        prop_assert_eq!(snapshot.violations_at_end(), [""; 0]);
        let source = &snapshot.sources[0];
        let kept = source.accepted + source.filtered + source.best_effort;
        prop_assert_eq!((source.received, kept), (events as u64, events as u64));
        // Nothing was dropped, so that all that is counted as sent to `two` is there:
        // what was filtered is not, nor what `one` alone could have got.
        let filtered = source.filtered;
        prop_assert_eq!(events_in(&got[1]), events as u64 - filtered);
        if !drops {
            prop_assert_eq!(filtered, 0);
        }
        if awaited {
            let heard = waiter.0.lock().unwrap();
            prop_assert_eq!(heard.len(), batches);
            prop_assert!(heard.iter().all(Tally::is_kept));
        }
    }
}

/// Held events go on at their time though nothing else comes.
#[tokio::test(start_paused = true)]
async fn what_is_held_goes_on_at_its_time() {
    let yaml = "
sources: { app: { url: stdin, with: [ { reduce: 5s, by: k, merge: { n: sum } } ] } }
sinks: { out: file:///dev/null }
";
    let source = Scripted {
        steps: vec![
            Step::Send(0, vec![1, 2]),
            Step::Sleep(2000),
            Step::Send(1, vec![1, 3]),
            Step::Sleep(60_000),
        ],
        waiter: None,
    };
    let (plan, got, world) = planned(yaml, source, "");
    let snapshot = watched(plan, &world).await;
    let mut got: Vec<_> = got[0].lock().unwrap().drain(..).collect();
    got.sort();
    let lines: Vec<_> = got.iter().map(|(_, line)| line.as_str()).collect();
    assert_eq!(
        lines,
        [r#"{"k":1,"n":2}"#, r#"{"k":2,"n":1}"#, r#"{"k":3,"n":1}"#]
    );
    let seconds: Vec<_> = got.iter().map(|(at, _)| at.as_secs()).collect();
    assert_eq!(seconds, [5, 5, 7]);
    let with = &snapshot.sources[0].with;
    assert_eq!(
        (with.entered, with.made, with.merged, with.out),
        (4, 3, 4, 3)
    );
}

/// A source that waits for its events hears of them at once, not at their time.
#[tokio::test(start_paused = true)]
async fn nobody_waits_for_what_may_still_come() {
    let yaml = "
sources: { app: { url: stdin, with: [ { reduce: 1h, by: k, merge: { n: sum } } ] } }
routes: [ { name: all, with: [ { reduce: 1h, by: k } ], to: out } ]
sinks: { out: { url: 'file:///dev/null', with: [ { reduce: 1h, by: k } ] } }
";
    let waiter = Arc::new(Waiter::default());
    let source = Scripted {
        steps: vec![
            Step::Send(0, vec![1, 1, 2]),
            Step::Sleep(60_000),
            Step::Send(0, vec![1]),
        ],
        waiter: Some(waiter.clone()),
    };
    let (plan, got, world) = planned(yaml, source, "");
    watched(plan, &world).await;
    let got = got[0].lock().unwrap();
    let lines: Vec<_> = got
        .iter()
        .map(|(at, line)| (at.as_secs() < 30, line.as_str()))
        .collect();
    let (one, two) = (r#"{"k":1,"n":2}"#, r#"{"k":2,"n":1}"#);
    assert_eq!(
        lines,
        [(true, one), (true, two), (false, r#"{"k":1,"n":1}"#)]
    );
    assert_eq!(waiter.0.lock().unwrap().len(), 2);
}

/// A merged event that is refused is a dead letter for all that are in it.
#[tokio::test(start_paused = true)]
async fn a_refused_event_is_refused_for_all_that_are_in_it() {
    let yaml = "
sources: { app: stdin }
sinks:
  out: { url: 'http://localhost:1', dead_letter: dead, with: [ { reduce: 5s, by: k, merge: { n: sum } } ] }
  dead: file:///dev/null
";
    let source = Scripted {
        steps: vec![Step::Send(0, vec![1, 2, 1, 1])],
        waiter: None,
    };
    let (mut plan, got, world) = planned(yaml, source, "\"n\":3");
    let dead = Recorder {
        got: got[1].clone(),
        started: tokio::time::Instant::now(),
        attempts: 0,
        poison: "",
    };
    plan.sinks[1].sink = Box::new(dead);
    let snapshot = watched(plan, &world).await;
    assert_eq!(snapshot.violations_at_end(), [""; 0]);
    let source = &snapshot.sources[0];
    assert_eq!((source.accepted, source.dead_lettered), (1, 3));
    assert_eq!(events_in(&got[0]), 1);
}
