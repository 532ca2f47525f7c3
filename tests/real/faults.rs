//! What sinks over HTTP must survive, fault by fault: beyond what every sink
//! passes in `conformance.rs`.

use std::collections::HashSet;
use std::io::Read;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::conformance::{Case, EVENTS, all_arrive_though_unsaid};
use crate::far::{Far, Kind, Verdict};
use crate::harness::free_address;
use crate::oracle::{Received, lines, long_line, names};
use crate::scripted::Reply;
use crate::service::{PATIENCE, Service, read};

/// Of the items of a bulk reply, only 429 is tried again, 400 is a dead letter,
/// 409 is there already.
#[test]
fn a_partial_bulk_reply_is_taken_item_by_item() {
    let mut put_off = HashSet::new();
    let far = Far::start(Kind::Bulk, move |call| {
        let statuses = call.items.iter().map(|item| match item.number() % 5 {
            1 if put_off.insert(item.number()) => 429,
            2 => 400,
            3 => 409,
            _ => 201,
        });
        Verdict::Items(statuses.collect())
    });
    let dead: Vec<u64> = (0..EVENTS).filter(|n| n % 5 == 2).collect();
    let case = Case {
        kind: Kind::Bulk,
        far: &far,
        options: "",
        dead: &dead,
    };
    let ended = case.run(|_| ());
    case.assert_no_duplicates();
    assert_eq!(ended.sink("out", "already_present"), EVENTS / 5);
    let (_, reasons) = ended.dead_letters();
    assert!(
        reasons[0].contains("mapper_parsing_exception"),
        "{reasons:?}"
    );
}

/// The far end says when to come back, and is not asked before.
#[test]
fn retry_after_is_honoured() {
    for kind in Kind::ALL {
        let far = Far::start(kind, |call| {
            if call.number == 0 {
                Verdict::Refuse(Reply::status(429).with("Retry-After", "2"))
            } else {
                Verdict::Accept
            }
        });
        let case = Case {
            kind,
            far: &far,
            options: "concurrency: 1",
            dead: &[],
        };
        case.run(|_| ());
        case.assert_no_duplicates();
        let requests = far.requests();
        let pause = requests[1].at - requests[0].at;
        assert!(pause >= Duration::from_secs(2), "{kind:?}: {pause:?}");
        assert!(pause < Duration::from_secs(8), "{kind:?}: {pause:?}");
    }
}

/// 500, 502, 503, 504 are no fault of the events.
#[test]
fn server_errors_are_tried_again() {
    for kind in Kind::ALL {
        let far = Far::start(kind, |call| match [500, 502, 503, 504].get(call.number) {
            Some(&status) => Verdict::Refuse(Reply::status(status)),
            None => Verdict::Accept,
        });
        let case = Case {
            kind,
            far: &far,
            options: "",
            dead: &[],
        };
        case.run(|_| ());
        case.assert_no_duplicates();
    }
}

/// 413: halved until it fits; one event that never fits is a dead letter.
#[test]
fn what_is_too_large_is_halved() {
    for kind in Kind::ALL {
        let far = Far::start(kind, |call| {
            if call.request.body.len() > 20_000 {
                Verdict::Refuse(Reply::status(413))
            } else {
                Verdict::Accept
            }
        });
        let config = kind.config(far.address(), "");
        let service = Service::start(&config);
        service.send(&(lines("p", 0..EVENTS) + &long_line("long", 0, 30_000) + "\n"));
        service.wait_until_settled(EVENTS + 1, PATIENCE);
        let ended = service.finish();
        far.received()
            .assert_once("fitting", &names("p", 0..EVENTS));
        let (dead, reasons) = ended.dead_letters();
        dead.assert_once("too long", &names("long", 0..1));
        assert!(reasons[0].contains("413"), "{reasons:?}");
    }
}

/// A far end that answers 500 for one event for ever, and well for all others:
/// the event is found and becomes a dead letter, the rest flows.
#[test]
fn endless_errors_for_one_event_are_found_by_halving() {
    for kind in Kind::ALL {
        let far = Far::start(kind, |call| {
            if call.items.iter().any(|item| item.is("p", 417)) {
                Verdict::Refuse(Reply::status(500))
            } else {
                Verdict::Accept
            }
        });
        let service = Service::start(&kind.config(far.address(), ""));
        service.send(&lines("p", 400..450));
        let mut others = 0;
        let patience = Duration::from_mins(5);
        // Others go on meanwhile: that is what shows whose fault it is.
        service.wait_long(patience, "the dead letter", || {
            service.send(&lines("other", others..others + 1));
            others += 1;
            std::thread::park_timeout(Duration::from_millis(50));
            let dead = read(&service.dir.path().join("dead.jsonl"));
            dead.ends_with('\n').then_some(())
        });
        service.wait_long(patience, "the rest", || {
            let received = far.received();
            (400..450)
                .filter(|&n| n != 417)
                .all(|n| received.has("p", n))
                .then_some(())
        });
        let ended = service.finish();
        let (dead, _) = ended.dead_letters();
        dead.assert_once("the guilty one", &names("p", 417..418));
        assert_eq!(far.received().duplicates(), 0);
    }
}

/// 401 and 403 are no fault of the events: they are held, people are told, the
/// secret is not.
#[test]
fn refused_credentials_hold_the_events() {
    for kind in Kind::ALL {
        let far = Far::start(kind, |call| match [401, 403].get(call.number) {
            Some(&status) => Verdict::Refuse(Reply::status(status)),
            None => Verdict::Accept,
        });
        let case = Case {
            kind,
            far: &far,
            options: "auth: { user: tflog, password: never-say-this }, concurrency: 1",
            dead: &[],
        };
        let ended = case.run(|service| {
            assert!(service.metric("tflog_source_open_events") > 0);
        });
        case.assert_no_duplicates();
        for request in far.requests() {
            // tflog:never-say-this
            let expected = Some("Basic dGZsb2c6bmV2ZXItc2F5LXRoaXM=");
            assert_eq!(request.header("authorization"), expected);
        }
        assert!(ended.log.contains("401") && ended.log.contains("auth"));
        assert!(!ended.log.contains("never-say-this"));
    }
}

/// The far end has it, and its reply is lost: one document by id.
#[test]
fn a_lost_reply_makes_no_second_document() {
    all_arrive_though_unsaid(|| Reply::Close, "");
}

/// A far end that comes and goes.
#[test]
fn a_flapping_far_end_gets_everything() {
    for kind in Kind::ALL {
        let mut far = Far::start(kind, |_| Verdict::Accept);
        let service = Service::start(&kind.config(far.address(), ""));
        for round in 0..5 {
            far.down();
            service.send(&lines("p", round * EVENTS..(round + 1) * EVENTS));
            service.wait("retries", || {
                let page = crate::harness::get(service.http, "/metrics").1;
                let retries = crate::harness::metric(&page, "tflog_sink_retries_total");
                (retries > round).then_some(())
            });
            far.up();
            let wanted = (round + 1) * EVENTS;
            // What is on its way when the far end goes down may come twice.
            service.wait_until_settled(wanted, PATIENCE);
        }
        let ended = service.finish();
        let received = far.received();
        received.assert_once(&format!("{kind:?}"), &names("p", 0..5 * EVENTS));
        assert_eq!(ended.sink("out", "delivered"), 5 * EVENTS);
    }
}

/// Dead letters that cannot be delivered hold those who have them; none is
/// dropped.
#[test]
fn a_dead_letter_sink_that_is_down_holds_its_feeder() {
    let far = Far::start(Kind::Bulk, |call| {
        Verdict::Items(vec![400; call.items.len()])
    });
    let dead = free_address();
    let config = Kind::Bulk
        .config(far.address(), "")
        .replace("file://DIR/dead.jsonl", &format!("tcp://{dead}"));
    let service = Service::start(&config);
    service.send(&lines("p", 0..EVENTS));
    service.wait("a refusal", || (far.calls() > 0).then_some(()));
    assert!(service.metric("tflog_source_open_events") > 0);
    let listener = TcpListener::bind(dead).unwrap();
    let is_done = Arc::new(AtomicBool::new(false));
    let done = is_done.clone();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        listener
            .accept()
            .unwrap()
            .0
            .read_to_string(&mut text)
            .unwrap();
        done.store(true, Ordering::Relaxed);
        text
    });
    service.wait_until_settled(EVENTS, PATIENCE);
    assert!(!is_done.load(Ordering::Relaxed));
    let ended = service.finish();
    let mut received = Received::default();
    for line in reader.join().unwrap().lines() {
        let letter: serde_json::Value = serde_json::from_str(line).unwrap();
        match &letter["event"] {
            serde_json::Value::String(text) => received.take_line(text),
            event => received.take(event),
        }
    }
    received.assert_once("dead letters", &names("p", 0..EVENTS));
    assert_eq!(ended.source("net", "dead_lettered"), EVENTS);
    assert_eq!(ended.sink("dead", "delivered"), EVENTS);
}
