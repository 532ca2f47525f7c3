//! The oracle can fail: what it must notice is done to it, one thing at a time.

use std::sync::Arc;
use std::time::Duration;

use super::dice::Dice;
use super::outside::{Outside, Sent};
use crate::event::{Batch, Chunk, Pool, Rows, Stream, Tally, Timestamp};
use crate::sink::{Load, Part};
use crate::telemetry::Snapshot;

/// An outside whose first event is on its way to a required sink, and that sink.
fn outside() -> (Outside, usize) {
    for seed in 0.. {
        let outside = Outside::new(&Dice::new(seed), false);
        let mut state = outside.lock();
        let topology = state.topology.clone();
        // One plain way: nothing that edits or takes out.
        if topology.loses() || topology.has_disk() || !topology.waits(0) {
            continue;
        }
        state.begin(Some(Duration::ZERO), false);
        state.event(0);
        state.events[0].sends = 1;
        state.events[0].sends_now = 1;
        state.now.sent[0] = 1;
        state.batches.push(Sent {
            source: 0,
            events: vec![0],
            told: false,
            heard: true,
        });
        let plain = |place: &usize| {
            let event = &state.events[0];
            let from = (event.source, &event.traits);
            event.copies[*place].as_ref().is_some_and(|copy| {
                let looks = topology.looks(from, &event.text, *place, copy.route);
                topology.sinks[*place].required && looks.is_none()
            })
        };
        if let Some(sink) = (0..topology.sinks.len()).find(plain) {
            drop(state);
            return (outside, sink);
        }
    }
    unreachable!("some seed is such");
}

fn load(lines: &[&str]) -> Load {
    let mut chunk = Box::new(Chunk::default());
    for line in lines {
        chunk.text.extend_from_slice(line.as_bytes());
        chunk.text.push(b'\n');
        chunk.ends.push(chunk.text.len() as u32);
    }
    let stream = Stream {
        source: 0,
        origin: 1,
        meta: Vec::new(),
    };
    let pool = Arc::new(Pool::default());
    let batch = Batch::new(Arc::new(stream), 0, Timestamp(0), chunk, pool);
    Load {
        events: batch.rows(),
        parts: vec![Part {
            batch: Arc::new(batch),
            rows: Rows::All,
        }],
        wait: false,
    }
}

fn kept() -> Tally {
    Tally {
        accepted: 1,
        ..Tally::default()
    }
}

/// What the oracle says after this; the first of it.
fn says(harm: impl FnOnce(&Outside, usize)) -> String {
    let (outside, sink) = outside();
    harm(&outside, sink);
    let state = outside.lock();
    state.wrong.first().cloned().unwrap_or_default()
}

fn deliver(outside: &Outside, sink: usize, lines: &[&str]) {
    let mut state = outside.lock();
    let items = state.items(sink, &load(lines));
    state.take(sink, &items);
    state.tell(sink, &items, 0);
}

fn line(outside: &Outside) -> String {
    outside.lock().events[0].text.clone()
}

#[test]
fn what_is_well_is_not_blamed() {
    let nothing = says(|outside, sink| {
        let text = line(outside);
        let sinks = outside.lock().events[0].copies.len();
        for place in 0..sinks {
            if place == sink {
                deliver(outside, sink, &[&text]);
            }
            // The others have it as they are to have it.
            let mut state = outside.lock();
            if let Some(copy) = state.events[0].copies[place]
                .as_mut()
                .filter(|_| place != sink)
            {
                copy.ends.confirmed = 1;
            }
        }
        outside.waiter(0).settled(kept());
    });
    assert_eq!(nothing, "");
}

#[test]
fn an_ack_of_what_no_sink_has_is_noticed() {
    let what = says(|outside, _| outside.waiter(0).settled(kept()));
    assert!(what.contains("is acknowledged"), "{what}");
}

#[test]
fn an_end_that_is_told_twice_or_never_is_noticed() {
    let twice = says(|outside, _| {
        let back = Tally {
            returned: 1,
            ..Tally::default()
        };
        outside.waiter(0).settled(back);
        outside.waiter(0).settled(back);
    });
    assert!(twice.contains("told twice"), "{twice}");
    let never = says(|outside, _| {
        let mut state = outside.lock();
        let sources = vec![crate::telemetry::SourceTerms::default(); state.topology.sources.len()];
        let sinks = vec![crate::telemetry::SinkTerms::default(); state.topology.sinks.len()];
        state.judge(&Snapshot {
            sources,
            sinks,
            ..Snapshot::default()
        });
    });
    assert!(never.contains("never told"), "{never}");
}

#[test]
fn what_was_never_sent_or_is_altered_is_noticed() {
    let foreign = says(|outside, sink| deliver(outside, sink, &["{\"k\":7,\"level\":\"info\"}"]));
    assert!(foreign.contains("nobody has sent this"), "{foreign}");
    let altered = says(|outside, sink| {
        let text = line(outside).replace("\"n\":", "\"n\":1");
        deliver(outside, sink, &[&text]);
    });
    assert!(altered.contains("altered"), "{altered}");
    let garbage = says(|outside, sink| deliver(outside, sink, &["garbage"]));
    assert!(garbage.contains("no JSON"), "{garbage}");
    let elsewhere = says(|outside, sink| {
        outside.lock().events[0].copies[sink] = None;
        let text = line(outside);
        deliver(outside, sink, &[&text]);
    });
    assert!(elsewhere.contains("not for this sink"), "{elsewhere}");
}

#[test]
fn a_copy_that_ends_twice_is_noticed() {
    let what = says(|outside, sink| {
        let text = line(outside);
        deliver(outside, sink, &[&text]);
        deliver(outside, sink, &[&text]);
    });
    assert!(
        what.contains("ended more often") || what.contains("under two ids"),
        "{what}"
    );
}

#[test]
fn a_ledger_that_says_otherwise_is_noticed() {
    let what = says(|outside, sink| {
        let text = line(outside);
        deliver(outside, sink, &[&text]);
        let mut state = outside.lock();
        state.batches[0].told = true;
        let sources = vec![crate::telemetry::SourceTerms::default(); state.topology.sources.len()];
        let sinks = vec![crate::telemetry::SinkTerms::default(); state.topology.sinks.len()];
        state.judge(&Snapshot {
            sources,
            sinks,
            ..Snapshot::default()
        });
    });
    assert!(what.contains("the ledger has"), "{what}");
}

#[test]
fn an_event_that_never_arrives_is_noticed() {
    let what = says(|outside, _| outside.lock().judge_all());
    assert!(what.contains("was never acknowledged"), "{what}");
}
