//! What becomes one event, when, and what its acks say.

use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use tokio::time::Instant;

use super::super::Workspace;
use super::super::fixture::{Bench, Is, Plain, paths};
use super::*;
use crate::event::{Ack, ColumnKind, Late, Outcome, Receipt, Settled, Tally};
use crate::telemetry::WithTerms;

/// Every batch's end.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Tally>>);

impl Settled for Heard {
    fn settled(&self, tally: Tally) {
        self.0.lock().unwrap().push(tally);
    }
}

/// A list with one `reduce`, as a router runs it.
struct Router {
    bench: Bench,
    work: Workspace,
    now: Instant,
    heard: Arc<Heard>,
    terms: WithTerms,
}

fn bounds(within: u64, idle: Option<u64>) -> Bounds {
    Bounds {
        within: Duration::from_secs(within),
        idle: idle.map(Duration::from_secs),
        events_max: None,
        keys_max: 100,
        bytes_max: 1 << 20,
    }
}

/// Events with the same `k`; `edge: start` and `edge: end` are a group's.
fn router(bounds: Bounds, merges: &[(&str, Merge)]) -> Router {
    let merges: Vec<_> = merges.iter().map(|(n, m)| (Path::of(n), *m)).collect();
    let bench = Bench::default().with(|needs| {
        let edge = needs.slot(&Path::of("edge"), ColumnKind::Text);
        let rule = |value| Some(Box::new(Is(edge, value)) as Box<dyn Rule>);
        let (starts, ends) = (rule("start"), rule("end"));
        Reduce::new(&paths(&["k"]), bounds, &merges, starts, ends, needs)
    });
    let now = Instant::now();
    Router {
        work: Workspace::new(Box::new(Plain(bench.needs.clone())), now),
        bench,
        now,
        heard: Arc::default(),
        terms: WithTerms::default(),
    }
}

impl Router {
    /// Runs a batch; what goes on as it is.
    fn feed(&mut self, lines: &[&str]) -> Vec<String> {
        let batch = self.bench.batch(lines);
        let (mut rows, mut held) = (Bits::default(), Bits::default());
        rows.fill(lines.len());
        held.clear(lines.len());
        self.work.set_now(self.now);
        let mut terms = WithTerms::default();
        let list = &mut self.bench.list;
        assert!(
            list.run(&batch, &mut rows, &mut self.work, &mut terms)
                .is_none()
        );
        assert!(terms.balances(), "{terms:?}");
        list.for_each_group(|groups| groups.mark(&mut held));
        assert_eq!(held.count() as u64, terms.held);
        let late = Late {
            held: held.to_rows(),
            any: rows.to_rows(),
        };
        let report = self.heard.clone();
        let receipt = Receipt::late(lines.len(), rows.to_rows(), late, Vec::new(), report, None);
        list.for_each_group(|groups| groups.own(&receipt));
        receipt.ack(rows.to_rows()).settle(Outcome::Delivered);
        self.terms.entered += terms.entered;
        self.terms.held += terms.held;
        self.terms.out += terms.out;
        let text = |row| String::from_utf8_lossy(batch.line(row)).into_owned();
        rows.iter().map(text).collect()
    }

    /// What is complete now, with the acks; with no time said, all.
    fn take(&mut self, all: bool) -> Vec<(String, Vec<Ack>)> {
        let now = self.now;
        self.bench.list.for_each_group(|groups| {
            if all {
                groups.end_all();
            }
            groups.expire(now);
            groups.arrange();
        });
        let mut made = Vec::new();
        while let Some((from, ended)) = self.bench.list.take_ended(Timestamp(0), &mut self.work) {
            assert_eq!(from, 1);
            let rows = ended.batch.rows();
            assert_eq!(
                (rows, rows),
                (ended.merged.len(), ended.batch.columns().json().count())
            );
            self.terms.made += rows as u64;
            self.terms.cut += ended.cut;
            self.terms.out += rows as u64;
            let merged = ended.merged.iter().flatten().count() as u64;
            self.terms.merged += merged;
            self.terms.held -= merged;
            for (row, acks) in ended.merged.into_iter().enumerate() {
                let line = String::from_utf8_lossy(ended.batch.line(row)).into_owned();
                made.push((line, acks));
            }
        }
        assert!(self.terms.balances(), "{:?}", self.terms);
        made
    }

    fn texts(&mut self, all: bool) -> Vec<String> {
        self.take(all)
            .into_iter()
            .map(|(line, acks)| {
                acks.into_iter()
                    .for_each(|ack| ack.settle(Outcome::Delivered));
                line
            })
            .collect()
    }

    fn pass(&mut self, seconds: u64) {
        self.now += Duration::from_secs(seconds);
    }
}

#[test]
fn events_with_one_key_become_one() {
    let merges = [("n", Merge::Sum), ("message", Merge::ConcatNewline)];
    let mut router = router(bounds(30, None), &merges);
    let passed = router.feed(&[
        r#"{"k":"a", "level":"info","message":"one","n":1,"o":{"x":1}}"#,
        r#"{"k":"b","level":"info"}"#,
        "a line without the field",
        r#"{"k":"a","level":"ERROR","message":"two","n":2,"o":{"x":2,"y":3}}"#,
    ]);
    assert_eq!(passed, ["a line without the field"]);
    assert_eq!(router.feed(&[r#"{"k":"a","late":true}"#]), [""; 0]);
    assert_eq!(router.texts(false), [""; 0]);
    assert!(router.heard.0.lock().unwrap().is_empty(), "not settled yet");
    assert_eq!(
        router.texts(true),
        [
            r#"{"k":"a", "level":"ERROR","message":"one\ntwo","n":3,"o":{"x":1,"y":3},"late":true}"#,
            r#"{"k":"b","level":"info"}"#,
        ]
    );
    let heard: Vec<_> = router
        .heard
        .0
        .lock()
        .unwrap()
        .iter()
        .map(|t| t.accepted)
        .collect();
    assert_eq!(heard, [1, 4], "each batch once");
}

#[test]
fn a_group_ends_by_its_time_or_when_it_is_idle() {
    let mut router = router(bounds(10, Some(4)), &[("n", Merge::Array)]);
    router.feed(&[r#"{"k":"a","n":1}"#, r#"{"k":"b","n":1}"#]);
    router.pass(3);
    router.feed(&[r#"{"k":"a","n":2}"#]);
    router.pass(1);
    assert_eq!(router.texts(false), [r#"{"k":"b","n":[1]}"#]);
    for _ in 0..2 {
        router.pass(2);
        router.feed(&[r#"{"k":"a","n":3}"#]);
    }
    // Eight seconds after the first: two more, whatever comes.
    let mut due = None;
    router
        .bench
        .list
        .for_each_group(|groups| due = groups.due());
    assert!(due.unwrap() <= router.now + Duration::from_secs(2));
    router.pass(2);
    assert_eq!(router.texts(false), [r#"{"k":"a","n":[1,2,3,3]}"#]);
    // Its time was over before this one came, though nobody had looked.
    router.feed(&[r#"{"k":"a","n":4}"#]);
    router.pass(10);
    router.feed(&[r#"{"k":"a","n":5}"#]);
    assert_eq!(router.texts(false), [r#"{"k":"a","n":[4]}"#]);
    assert_eq!(router.terms.cut, 0);
}

#[test]
fn a_group_ends_where_an_event_says_so() {
    let mut router = router(bounds(30, None), &[("n", Merge::Array)]);
    router.feed(&[
        r#"{"k":"a","n":1}"#,
        r#"{"k":"a","n":2,"edge":"end"}"#,
        r#"{"k":"a","n":3,"edge":"end"}"#,
        r#"{"k":"a","n":4}"#,
        r#"{"k":"a","n":5,"edge":"start"}"#,
        r#"{"k":"a","n":6}"#,
    ]);
    assert_eq!(
        router.texts(false),
        [
            r#"{"k":"a","n":[1,2],"edge":"end"}"#,
            r#"{"k":"a","n":[3],"edge":"end"}"#,
            r#"{"k":"a","n":[4]}"#,
        ]
    );
    assert_eq!(
        router.texts(true),
        [r#"{"k":"a","n":[5,6],"edge":"start"}"#]
    );
}

#[test]
fn groups_leave_as_they_ended_those_of_a_stream_together() {
    let mut router = router(bounds(30, None), &[]);
    // Each batch is of a stream of its own.
    router.feed(&[r#"{"k":"a1"}"#, r#"{"k":"a2"}"#]);
    router.feed(&[r#"{"k":"b"}"#]);
    router.feed(&[r#"{"k":"c"}"#]);
    for key in ["b", "a1", "c", "a2"] {
        router.feed(&[&format!(r#"{{"k":"{key}","edge":"end"}}"#)]);
    }
    let keys: Vec<_> = router
        .texts(false)
        .iter()
        .map(|text| text.split('"').nth(3).map(str::to_owned))
        .collect();
    let expected = ["b", "a1", "a2", "c"].map(|key| Some(key.to_owned()));
    assert_eq!(keys, expected);
}

#[test]
fn bounds_end_the_oldest_and_are_counted() {
    let mut few = bounds(30, None);
    (few.keys_max, few.events_max) = (2, Some(3));
    let mut router = router(few, &[("n", Merge::Sum)]);
    let line = |k: &str| format!(r#"{{"k":"{k}","n":1}}"#);
    let lines: Vec<_> = ["a", "b", "b", "b", "c", "d"].map(line).into();
    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
    router.feed(&lines);
    assert_eq!(
        router.texts(false),
        [r#"{"k":"b","n":3}"#, r#"{"k":"a","n":1}"#]
    );
    assert_eq!(router.terms.cut, 2);
    assert_eq!(router.texts(true).len(), 2);

    let mut small = bounds(30, None);
    small.bytes_max = 64 << 10;
    let mut router = self::router(small, &[("n", Merge::Concat)]);
    let long = format!(r#"{{"k":"a","n":"{}"}}"#, "x".repeat(10_000));
    for _ in 0..20 {
        router.feed(&[&long]);
    }
    let made = router.texts(true);
    assert!((2..10).contains(&made.len()), "{}", made.len());
    assert_eq!(
        made.iter()
            .map(|line| line.matches("xx ").count())
            .sum::<usize>()
            + made.len(),
        20
    );
}

/// What waits for its source's request ends with the batch.
#[test]
fn what_somebody_waits_for_ends_with_its_batch() {
    let mut router = router(bounds(30, None), &[]);
    router.feed(&[r#"{"k":"a"}"#]);
    let batch = router.bench.batch(&[r#"{"k":"b"}"#, r#"{"k":"b"}"#]);
    let mut rows = Bits::default();
    rows.fill(2);
    let mut terms = WithTerms::default();
    let list = &mut router.bench.list;
    list.run(&batch, &mut rows, &mut router.work, &mut terms);
    list.for_each_group(Groups::end_touched);
    let (_, ended) = list.take_ended(Timestamp(0), &mut router.work).unwrap();
    assert_eq!(ended.batch.line(0), br#"{"k":"b"}"#);
    assert!(list.take_ended(Timestamp(0), &mut router.work).is_none());
}

/// Nobody settles what is held: its holder is gone.
#[test]
fn what_is_held_when_the_list_goes_is_abandoned() {
    let mut router = router(bounds(30, None), &[]);
    router.feed(&[r#"{"k":"a"}"#, "passes", r#"{"k":"b"}"#]);
    let heard = router.heard.clone();
    let mut held = 0;
    router
        .bench
        .list
        .for_each_group(|groups| held += groups.acks().count());
    assert_eq!(held, 2);
    drop(router);
    let expected = Tally {
        accepted: 1,
        abandoned: 2,
        ..Tally::default()
    };
    assert_eq!(*heard.0.lock().unwrap(), [expected]);
}

#[test]
fn an_event_alone_becomes_what_it_would() {
    let merges = [("n", Merge::Array), ("missing", Merge::Sum)];
    let mut router = router(bounds(30, None), &merges);
    let batch = router.bench.batch(&[r#"{"k":"a","n":1}"#, "no key"]);
    let mut rows = Bits::default();
    rows.fill(2);
    let mut terms = WithTerms::default();
    router.work.show_alone();
    let list = &mut router.bench.list;
    let shown = list
        .run(&batch, &mut rows, &mut router.work, &mut terms)
        .unwrap();
    assert_eq!(shown.line(0), br#"{"k":"a","n":[1]}"#);
    assert_eq!(shown.line(1), b"no key");
    assert!(
        terms.balances() && terms.made == 1 && terms.held == 0,
        "{terms:?}"
    );
}

#[derive(Clone, Debug)]
enum Step {
    Feed(Vec<(u8, u8)>),
    Pass(u8),
    Take,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => prop::collection::vec((0..6u8, 0..8u8), 1..20).prop_map(Step::Feed),
        2 => (0..8u8).prop_map(Step::Pass),
        2 => Just(Step::Take),
    ]
}

proptest! {
    /// No event is lost or told of twice, whatever ends its group.
    #[test]
    fn every_event_is_in_one_group_and_settled_once(
        steps in prop::collection::vec(step(), 1..30),
        idle in prop::option::of(1..6u64),
        events_max in prop::option::of(1..5u64),
        keys_max in 1..5usize,
        bytes_max in 1_000..20_000usize,
    ) {
        let bounds = Bounds { events_max, keys_max, bytes_max, ..bounds(8, idle) };
        let mut router = router(bounds, &[("n", Merge::Sum), ("id", Merge::Unique)]);
        let (mut fed, mut batches, mut passed, mut id) = (0u64, 0, 0, 0);
        let mut made = Vec::new();
        for step in steps {
            match step {
                Step::Feed(events) => {
                    let lines: Vec<_> = events.iter().map(|(key, edge)| {
                        id += 1;
                        let edge = ["", r#","edge":"start""#, r#","edge":"end""#][usize::from(*edge % 5 % 3)];
                        match key {
                            0 => "no key".to_owned(),
                            _ => format!(r#"{{"k":"{key}","n":1,"id":{id}{edge}}}"#),
                        }
                    }).collect();
                    let lines: Vec<_> = lines.iter().map(String::as_str).collect();
                    passed += router.feed(&lines).len() as u64;
                    fed += lines.len() as u64;
                    batches += 1;
                }
                Step::Pass(seconds) => router.pass(seconds.into()),
                Step::Take => made.extend(router.take(false)),
            }
        }
        made.extend(router.take(true));
        prop_assert_eq!(router.terms.held, 0);
        let mut ids = std::collections::HashSet::new();
        let mut events = 0;
        for (line, acks) in made {
            let event: serde_json::Value = serde_json::from_str(&line).unwrap();
            prop_assert_eq!(event["n"].as_u64(), Some(acks.len() as u64));
            prop_assert!(events_max.is_none_or(|max| acks.len() as u64 <= max));
            for id in event["id"].as_array().unwrap() {
                prop_assert!(ids.insert(id.as_u64()), "{} twice", id);
                events += 1;
            }
            acks.into_iter().for_each(|ack| ack.settle(Outcome::Delivered));
        }
        prop_assert_eq!(events + passed, fed);
        let heard = router.heard.0.lock().unwrap();
        prop_assert_eq!(heard.len(), batches);
        prop_assert_eq!(heard.iter().map(|t| t.accepted).sum::<u64>(), fed);
    }
}
