//! What every sink over HTTP passes: whatever the far end does, each event is
//! delivered or dead-lettered exactly as the script says, the ledger adds up,
//! and a fresh event still arrives.

use crate::far::{Call, Far, Kind, Verdict};
use crate::oracle::{Name, lines, names};
use crate::scripted::{Gate, Reply};
use crate::service::{Ended, Service};

/// Events of each case.
pub(crate) const EVENTS: u64 = 1000;

/// Sends the events, runs `meanwhile` once the far end has heard of them, waits
/// until all are settled, sends a fresh one, ends tflog. What was to arrive did,
/// what was to be dead did not.
pub(crate) struct Case<'a> {
    pub(crate) kind: Kind,
    pub(crate) far: &'a Far,
    pub(crate) options: &'a str,
    /// Numbers of the events that nobody wants.
    pub(crate) dead: &'a [u64],
}

impl Case<'_> {
    pub(crate) fn run(&self, meanwhile: impl FnOnce(&Service)) -> Ended {
        let config = self.kind.config(self.far.address(), self.options);
        let service = Service::start(&config);
        service.send(&lines("p", 0..EVENTS));
        service.wait("the first request", || (self.far.calls() > 0).then_some(()));
        meanwhile(&service);
        service.wait_until_settled(EVENTS, crate::service::PATIENCE);
        service.send(&lines("fresh", 0..1));
        service.wait("a fresh event", || {
            self.far.received().has("fresh", 0).then_some(())
        });
        let ended = service.finish();
        self.judge(&ended);
        ended
    }

    fn judge(&self, ended: &Ended) {
        let kind = self.kind;
        // No request was malformed.
        self.far.requests();
        let alive = (0..EVENTS).filter(|n| !self.dead.contains(n));
        let mut wanted: Vec<Name> = names("p", alive);
        wanted.push(("fresh".to_owned(), 0));
        self.far
            .received()
            .assert_all(&format!("{kind:?}"), &wanted);
        let (dead, reasons) = ended.dead_letters();
        let unwanted = names("p", self.dead.iter().copied());
        dead.assert_once(&format!("{kind:?}: dead letters"), &unwanted);
        assert!(reasons.iter().all(|reason| !reason.is_empty()));
        let dead = self.dead.len() as u64;
        assert_eq!(ended.source("net", "received"), EVENTS + 1);
        assert_eq!(ended.source("net", "dead_lettered"), dead);
        assert_eq!(ended.source("net", "accepted"), EVENTS + 1 - dead);
        assert_eq!(ended.sink("out", "entered"), EVENTS + 1);
        assert_eq!(ended.sink("out", "delivered"), EVENTS + 1 - dead);
        assert_eq!(ended.sink("out", "dead_lettered"), dead);
        assert_eq!(ended.sink("dead", "entered"), dead);
        assert_eq!(ended.sink("dead", "delivered"), dead);
    }

    /// No event reached the far end twice.
    pub(crate) fn assert_no_duplicates(&self) {
        assert_eq!(self.far.received().duplicates(), 0, "{:?}", self.kind);
    }
}

/// A script whose first two requests are refused like that.
fn refuses_two(reply: fn() -> Reply) -> impl FnMut(&Call) -> Verdict + Send + 'static {
    move |call| {
        if call.number < 2 {
            Verdict::Refuse(reply())
        } else {
            Verdict::Accept
        }
    }
}

/// A script that takes the first two requests and does not say so like that.
fn loses_two(reply: fn() -> Reply) -> impl FnMut(&Call) -> Verdict + Send + 'static {
    move |call| {
        if call.number < 2 {
            Verdict::Lose(reply())
        } else {
            Verdict::Accept
        }
    }
}

/// Every sink, with a far end that refuses two requests: all arrive, each once.
fn all_arrive_once_after(reply: fn() -> Reply, options: &str) {
    for kind in Kind::ALL {
        let far = Far::start(kind, refuses_two(reply));
        let case = Case {
            kind,
            far: &far,
            options,
            dead: &[],
        };
        let ended = case.run(|_| ());
        case.assert_no_duplicates();
        assert!(ended.sink("out", "retries") > 0, "{kind:?}");
        assert_eq!(ended.sink("out", "already_present"), 0, "{kind:?}");
    }
}

/// Every sink, with a far end that takes the first two requests and does not say
/// so: all arrive; what was taken unsaid comes twice at most, and by id once.
pub(crate) fn all_arrive_though_unsaid(reply: fn() -> Reply, options: &str) {
    for kind in Kind::ALL {
        let far = Far::start(kind, loses_two(reply));
        let case = Case {
            kind,
            far: &far,
            options,
            dead: &[],
        };
        let ended = case.run(|_| ());
        if kind == Kind::Bulk {
            case.assert_no_duplicates();
            assert!(ended.sink("out", "already_present") > 0);
        } else {
            // What is sent again says that it is the same.
            let keys = far.requests();
            let key = |i: usize| keys[i].header("idempotency-key").map(str::to_owned);
            let first = key(0).expect("a key");
            assert!((1..keys.len()).any(|i| key(i).as_ref() == Some(&first)));
            assert!(far.received().duplicates() > 0);
        }
    }
}

#[test]
fn unavailable_twice_then_well() {
    all_arrive_once_after(|| Reply::status(503), "");
}

#[test]
fn closed_before_the_reply() {
    all_arrive_once_after(|| Reply::Close, "");
}

#[test]
fn closed_in_the_middle_of_a_refusal() {
    all_arrive_once_after(|| Reply::Cut(503), "");
}

#[test]
fn garbage_instead_of_a_reply() {
    all_arrive_once_after(
        || Reply::Garbage(b"\x16\x03\x01\0\xff SSH-2.0 not HTTP at all\r\n\r\n".to_vec()),
        "",
    );
}

/// The reply's head is as large as the far end likes: it is not kept.
#[test]
fn an_endless_head() {
    all_arrive_once_after(
        || {
            let mut head = b"HTTP/1.1 200 OK\r\nX-Long: ".to_vec();
            head.resize(16 << 20, b'x');
            Reply::Garbage(head)
        },
        "",
    );
}

#[test]
fn an_endless_refusal() {
    all_arrive_once_after(|| Reply::Endless(503), "timeout: 5s");
}

#[test]
fn hanging_twice_then_well() {
    all_arrive_once_after(|| Reply::Hang, "timeout: 2s");
}

/// A yes whose body is nonsense, cut off or endless: the far end may have taken
/// it.
#[test]
fn a_yes_that_is_cut_off() {
    all_arrive_though_unsaid_by_bulk(|| Reply::Cut(200));
}

#[test]
fn a_yes_without_end() {
    all_arrive_though_unsaid_by_bulk(|| Reply::Endless(200));
}

#[test]
fn a_yes_that_is_no_json() {
    all_arrive_though_unsaid_by_bulk(|| Reply::json(200, "<html>welcome</html>"));
}

#[test]
fn a_yes_about_other_items() {
    all_arrive_though_unsaid_by_bulk(|| {
        Reply::json(
            200,
            r#"{"took":1,"errors":true,"items":[{"create":{"status":201}}]}"#,
        )
    });
}

/// Where the body of a yes says what was taken, nonsense is no yes; elsewhere the
/// head is the yes and the body must only do no harm. Either way it is bounded.
fn all_arrive_though_unsaid_by_bulk(reply: fn() -> Reply) {
    for kind in Kind::ALL {
        let far = Far::start(kind, loses_two(reply));
        let case = Case {
            kind,
            far: &far,
            options: "timeout: 5s",
            dead: &[],
        };
        let ended = case.run(|service| {
            let memory = service.running.memory_bytes();
            assert!(memory < 128 << 20, "{kind:?}: {memory}");
        });
        if kind == Kind::Bulk {
            case.assert_no_duplicates();
            assert!(ended.sink("out", "already_present") > 0);
        }
    }
}

/// A far end that refuses whatever has one event in it.
#[test]
fn a_bad_request_is_the_fault_of_one_event() {
    for status in [400, 422] {
        for kind in Kind::ALL {
            let far = Far::start(kind, move |call| {
                let guilty = call.items.iter().any(|item| item.is("p", 417));
                if guilty {
                    Verdict::Refuse(Reply::status(status))
                } else {
                    Verdict::Accept
                }
            });
            let case = Case {
                kind,
                far: &far,
                options: "",
                dead: &[417],
            };
            case.run(|_| ());
            case.assert_no_duplicates();
        }
    }
}

/// Slow, not broken: nothing is sent twice while the answer is awaited, and
/// memory stays where it is.
#[test]
fn a_slow_far_end_is_waited_for() {
    for kind in Kind::ALL {
        let gate = Gate::default();
        let held = gate.clone();
        let far = Far::start(kind, move |_| Verdict::AcceptLater(held.clone()));
        let case = Case {
            kind,
            far: &far,
            options: "concurrency: 1",
            dead: &[],
        };
        case.run(|service| {
            assert_eq!(far.calls(), 1, "{kind:?}");
            assert!(service.metric("tflog_source_open_events") > 0);
            gate.open();
        });
        case.assert_no_duplicates();
    }
}
