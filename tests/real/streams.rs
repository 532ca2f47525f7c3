//! What the sink `tcp://` passes of what every network sink passes: it hands
//! over and hears no answer, so there is nothing to refuse.

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::harness::free_address;
use crate::oracle::{Received, lines, names};
use crate::service::{PATIENCE, Service};

const EVENTS: u64 = 1000;

fn config(to: SocketAddr) -> String {
    format!("sources: {{ net: 'tcp://INPUT' }}\nsinks: {{ out: 'tcp://{to}' }}\n")
}

fn reader(listener: &TcpListener) -> BufReader<TcpStream> {
    BufReader::new(listener.accept().unwrap().0)
}

/// Takes lines until an event has come.
fn read_until(from: &mut impl BufRead, received: &mut Received, producer: &str, number: u64) {
    let mut line = String::new();
    while !received.has(producer, number) {
        line.clear();
        assert!(from.read_line(&mut line).unwrap() > 0, "it ended");
        received.take_line(&line);
    }
}

/// Nobody listens at first: everything arrives once somebody does.
#[test]
fn a_far_end_that_comes_late_gets_everything() {
    let to = free_address();
    let service = Service::start(&config(to));
    service.send(&lines("p", 0..EVENTS));
    service.wait("a retry", || {
        (service.metric("tflog_sink_retries_total") > 0).then_some(())
    });
    let listener = TcpListener::bind(to).unwrap();
    let mut far = reader(&listener);
    let mut received = Received::default();
    read_until(&mut far, &mut received, "p", EVENTS - 1);
    service.send(&lines("fresh", 0..1));
    read_until(&mut far, &mut received, "fresh", 0);
    let mut wanted = names("p", 0..EVENTS);
    wanted.extend(names("fresh", 0..1));
    received.assert_once("tcp", &wanted);
    let ended = service.finish();
    assert_eq!(ended.sink("out", "delivered"), EVENTS + 1);
}

/// A far end that does not read holds tflog up and loses nothing.
#[test]
fn a_far_end_that_stops_reading_loses_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let service = Service::start(&config(listener.local_addr().unwrap()));
    // More than the sockets between hold.
    let many = 100_000;
    service.send(&lines("p", 0..many));
    let mut far = reader(&listener);
    service.wait("it to be held up", || {
        (service.metric("tflog_source_open_events") > 0).then_some(())
    });
    let mut received = Received::default();
    read_until(&mut far, &mut received, "p", many - 1);
    service.wait_until_settled(many, PATIENCE);
    received.assert_once("tcp", &names("p", 0..many));
    service.finish();
}

/// A far end that leaves: what was handed over to it may be lost with it, but no
/// line is torn and a fresh event arrives.
#[test]
fn a_far_end_that_leaves_gets_whole_lines_when_it_is_back() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let service = Service::start(&config(listener.local_addr().unwrap()));
    service.send(&lines("p", 0..EVENTS));
    let mut received = Received::default();
    let mut far = reader(&listener);
    read_until(&mut far, &mut received, "p", 10);
    drop(far);
    let mut fresh = 0;
    let accepting = std::thread::spawn(move || reader(&listener));
    // Only a further write tells that the other end has left.
    service.wait("a second connection", || {
        service.send(&lines("fresh", fresh..fresh + 1));
        fresh += 1;
        accepting.is_finished().then_some(())
    });
    let mut far = accepting.join().unwrap();
    service.send(&lines("last", 0..1));
    let mut after = Received::default();
    read_until(&mut far, &mut after, "last", 0);
    let mut wanted = names("p", 0..EVENTS);
    wanted.extend(names("fresh", 0..fresh));
    wanted.extend(names("last", 0..1));
    let torn = after.faults(&wanted);
    assert!(
        torn.iter()
            .all(|f| !f.contains("EOF") && !f.contains("altered"))
    );
    service.finish();
}
