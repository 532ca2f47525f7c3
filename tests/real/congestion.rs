//! Far ends that cannot keep up, and dead-letter sinks that are full.

use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU16, Ordering};

use crate::far::{Far, Kind, Verdict};
use crate::harness::{get, metric};
use crate::oracle::{Received, lines, long_line, names};
use crate::scripted::Reply;
use crate::service::{PATIENCE, Service};

/// 429 and 5xx lower the number of requests at once; when it goes well again,
/// it rises again; nothing is lost or doubled meanwhile.
#[test]
fn concurrency_falls_while_the_far_end_fails_and_recovers() {
    for kind in Kind::ALL {
        let status = Arc::new(AtomicU16::new(200));
        let said = status.clone();
        let far = Far::start(kind, move |_| match said.load(Ordering::Relaxed) {
            200 => Verdict::Accept,
            status => Verdict::Refuse(Reply::status(status)),
        });
        let service = Service::start(&kind.config(far.address(), "concurrency: 4"));
        let limit = || service.metric("tflog_sink_concurrency_limit{component_id=\"out\"");
        let mut sent = 0;
        let mut send_until = |wanted: u64| {
            service.wait("the limit", || {
                // Each is a load of its own, once the last one has left.
                service.send(&lines("p", sent..sent + 1));
                sent += 1;
                std::thread::park_timeout(std::time::Duration::from_millis(50));
                (limit() == wanted).then_some(())
            });
        };
        for failing in [429, 503] {
            send_until(4);
            status.store(failing, Ordering::Relaxed);
            send_until(1);
            status.store(200, Ordering::Relaxed);
        }
        send_until(4);
        service.wait_until_settled(sent, PATIENCE);
        let ended = service.finish();
        far.received()
            .assert_once(&format!("{kind:?}"), &names("p", 0..sent));
        assert_eq!(ended.sink("out", "delivered"), sent);
    }
}

/// A dead-letter sink without room: who has dead letters waits, nothing is
/// dropped, and all of them are there once it is read from.
#[test]
fn a_dead_letter_sink_that_is_full_holds_its_feeder() {
    const LETTERS: u64 = 2000;
    let far = Far::start(Kind::Bulk, |call| {
        Verdict::Items(vec![400; call.items.len()])
    });
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 16 << 10).unwrap();
    let dead = format!(
        "{{ url: 'tcp://{}', buffer: {{ memory: 1MiB }} }}",
        listener.local_addr().unwrap()
    );
    let config = Kind::Bulk
        .config(far.address(), "")
        .replace("file://DIR/dead.jsonl", &dead);
    let service = Service::start(&config);
    // 20 MB: more than the sink's buffer and the kernel's hold.
    for number in 0..LETTERS {
        service.send(&(long_line("p", number, 10_000) + "\n"));
    }
    service.wait("a feeder that waits", || {
        let page = get(service.http, "/metrics").1;
        let full = metric(&page, "tflog_buffer_size_bytes{component_id=\"dead\"") > 900 << 10;
        let read = metric(&page, "tflog_component_received_events_total") == LETTERS;
        (full && read).then_some(())
    });
    assert!(service.metric("tflog_source_open_events") > 0);
    let is_done = Arc::new(AtomicBool::new(false));
    let done = is_done.clone();
    let reader = std::thread::spawn(move || {
        let mut text = String::new();
        let (mut connection, _) = listener.accept().unwrap();
        connection.read_to_string(&mut text).unwrap();
        done.store(true, Ordering::Relaxed);
        text
    });
    service.wait_until_settled(LETTERS, PATIENCE);
    assert!(!is_done.load(Ordering::Relaxed));
    let ended = service.finish();
    let mut received = Received::default();
    for line in reader.join().unwrap().lines() {
        let letter: serde_json::Value = serde_json::from_str(line).unwrap();
        received.take(&letter["event"]);
    }
    received.assert_once("dead letters", &names("p", 0..LETTERS));
    assert_eq!(ended.source("net", "dead_lettered"), LETTERS);
    assert_eq!(ended.sink("dead", "delivered"), LETTERS);
}
