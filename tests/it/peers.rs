//! Peers of listeners: none has all connections, and none that has vanished
//! keeps its own for ever.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::harness::{alone, connect, free_address, get, lines, metric, wait_for};
use crate::http_source::{answer, send, start, stop};

/// Idle connections, and what each may cost: a task, and what hyper reads into.
const IDLE: u64 = 10_000;
const IDLE_BYTES_MAX: u64 = 20 << 10;

/// One peer with too many connections is turned away and counted; who is in
/// goes on, and there is a place again once one of them leaves.
#[test]
fn one_peer_has_so_many_connections() {
    let dir = tempfile::tempdir().unwrap();
    let (own, http) = (free_address(), free_address());
    let config = format!(
        "http: '{http}'\nsources: {{ push: {{ url: 'http://{own}', connections_per_peer: 3 }} }}\n\
         sinks: {{ out: blackhole }}\n"
    );
    let running = start(dir.path(), &config);
    let request = b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 2\r\n\r\nx\n";
    let mut three = [connect(own), connect(own), connect(own)];
    let mut ask = |at: usize| {
        three[at].write_all(request).unwrap();
        let mut answer = [0; 15];
        three[at].read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"HTTP/1.1 200 OK");
    };
    (0..3).for_each(&mut ask);
    let mut fourth = connect(own);
    let mut heard = Vec::new();
    // Closed, or reset.
    let _ = fourth.read_to_end(&mut heard);
    assert_eq!(heard, b"");
    let page = get(http, "/metrics").1;
    assert_eq!(metric(&page, "tflog_source_refused_requests_total"), 1);
    drop(three);
    wait_for("a place", || {
        let mut stream = connect(own);
        let mut answer = Vec::new();
        let close =
            b"POST / HTTP/1.1\r\nhost: t\r\nconnection: close\r\ncontent-length: 2\r\n\r\nx\n";
        let _ = stream.write_all(close);
        let _ = stream.read_to_end(&mut answer);
        answer.starts_with(b"HTTP/1.1 200").then_some(())
    });
    assert_eq!(stop(running).0, Some(0));
}

/// tflog's own listener has a limit of its own, and counts whom it turns away.
#[test]
fn tflogs_own_listener_has_its_limit() {
    let dir = tempfile::tempdir().unwrap();
    let http = free_address();
    let config = format!(
        "http: {{ listen: '{http}', connections_per_peer: 2 }}\nsources: {{ push: http }}\n\
         sinks: {{ out: blackhole }}\n"
    );
    let running = start(dir.path(), &config);
    let (mut first, _second) = (connect(http), connect(http));
    let mut third = connect(http);
    let mut heard = Vec::new();
    // Closed, or reset.
    let _ = third.read_to_end(&mut heard);
    assert_eq!(heard, b"");
    let close = b"GET /metrics HTTP/1.1\r\nhost: t\r\nconnection: close\r\n\r\n";
    first.write_all(close).unwrap();
    let mut page = String::new();
    first.read_to_string(&mut page).unwrap();
    assert_eq!(metric(&page, "tflog_http_refused_connections_total"), 1);
    assert_eq!(metric(&page, "tflog_source_refused_requests_total"), 0);
    assert_eq!(stop(running).0, Some(0));
}

/// Ten thousand connections that have said something and say no more cost
/// little, and are heard when they go on. (Where the format of each is found out,
/// what does so is each one's own.)
#[test]
#[expect(clippy::print_stdout, reason = "figures for people")]
fn ten_thousand_idle_connections_cost_little() {
    if !alone("peers::ten_thousand_idle_connections_cost_little") {
        return;
    }
    // This process and tflog, which inherits it, need a descriptor for each.
    let limit = getrlimit(Resource::Nofile);
    let current = limit.maximum;
    setrlimit(Resource::Nofile, Rlimit { current, ..limit }).unwrap();
    let each = IDLE.min(current.map_or(IDLE, |max| max.saturating_sub(200))) / 2;
    let dir = tempfile::tempdir().unwrap();
    let (push, net) = (free_address(), free_address());
    let config = format!(
        "http: none:0\nsources:\n  push: {{ url: 'http://{push}', connections_max: {each}, connections_per_peer: {each}, idle: 1h, parse: json }}\n\
         \x20 net: {{ url: 'tcp://{net}', connections: {each}, parse: json }}\n\
         routes: [ {{ from: push, to: nowhere }}, {{ to: out }} ]\n\
         sinks: {{ out: {{ url: 'file://{}/out' }}, nowhere: 'blackhole:' }}\n",
        dir.path().display()
    );
    let running = start(dir.path(), &config);
    // Once everything has been in use.
    connect(net).write_all(b"{\"a\":0}\n").unwrap();
    let arrived = |count: u64| {
        wait_for("the lines", || {
            (lines(&dir.path().join("out")).len() as u64 == count).then_some(())
        });
    };
    arrived(1);
    let before = running.memory_bytes();
    let mut all: Vec<[TcpStream; 2]> = Vec::new();
    let say_something = |[request, stream]: &mut [TcpStream; 2]| {
        stream.write_all(b"{\"a\":1}\n").unwrap();
        send(request, "/", "", b"{\"b\":2}\n");
        let answer = answer(request);
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    for _ in 0..each {
        let mut two = [connect(push), connect(net)];
        say_something(&mut two);
        all.push(two);
    }
    arrived(1 + each);
    let cost = running.memory_bytes().saturating_sub(before) / (2 * each);
    println!("{} idle connections, {cost} bytes each", 2 * each);
    assert!(cost < IDLE_BYTES_MAX, "{cost} bytes each");
    all.iter_mut().step_by(50).for_each(say_something);
    arrived(1 + each + each.div_ceil(50));
    drop(all);
    assert_eq!(stop(running).0, Some(0));
}

/// The kernel asks silent peers of every listener whether they are still there:
/// that is what ends half-open connections.
#[cfg(target_os = "linux")]
#[test]
fn silent_connections_are_probed() {
    let dir = tempfile::tempdir().unwrap();
    let (push, net, http) = (free_address(), free_address(), free_address());
    let config = format!(
        "http: '{http}'\nsources: {{ push: 'http://{push}', net: 'tcp://{net}' }}\n\
         sinks: {{ out: blackhole }}\n"
    );
    let running = start(dir.path(), &config);
    for listener in [push, net, http] {
        let silent = connect(listener);
        let peer = silent.local_addr().unwrap();
        wait_for("a keepalive timer", || {
            (timer(listener, peer)? == "02").then_some(())
        });
    }
    assert_eq!(stop(running).0, Some(0));
}

/// Which timer the kernel runs for a connection; `02` is keepalive's.
fn timer(local: SocketAddr, peer: SocketAddr) -> Option<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let end = |address: SocketAddr| format!("0100007F:{:04X}", address.port());
    let (local, peer) = (end(local), end(peer));
    let mut rows = table
        .lines()
        .map(|row| row.split_whitespace().collect::<Vec<_>>());
    let row = rows.find(|row| row.get(1) == Some(&&*local) && row.get(2) == Some(&&*peer))?;
    Some(row[5].split(':').next()?.to_owned())
}
