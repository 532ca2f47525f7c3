//! Peers of listeners: none has all connections, and none that has vanished
//! keeps its own for ever.

use std::io::{Read, Write};
use std::net::SocketAddr;

use crate::harness::{connect, free_address, get, metric, wait_for};
use crate::http_source::{start, stop};

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
