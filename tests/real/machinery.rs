//! The tests' own servers do as they are told: without that, the other tests
//! would show nothing.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};

use crate::harness::get;
use crate::scripted::{Gate, Reply, Scripted};
use crate::servers::{Elasticsearch, Kafka, OpenSearch, Server, VictoriaLogs};

fn post(address: SocketAddr, head: &str, body: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(
        stream,
        "POST /x HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{head}\r\n"
    )
    .unwrap();
    stream.write_all(body).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut reply = Vec::new();
    // A reply that is cut off may end in a reset.
    let _ = stream.read_to_end(&mut reply);
    reply
}

/// Each kind of reply is what goes out, and what came in is recorded decoded.
#[test]
fn the_scripted_server_does_as_told() {
    let gate = Gate::default();
    let opened = gate.clone();
    let mut replies = [
        Reply::status(503).with("Retry-After", "2"),
        Reply::json(200, "{}"),
        Reply::After(gate, Box::new(Reply::status(204))),
        Reply::Close,
        Reply::Cut(200),
        Reply::Garbage(b"\0\xffnot http".to_vec()),
    ]
    .into_iter();
    let server = Scripted::start(move |_| replies.next().unwrap_or(Reply::Hang));
    let at = server.address();
    let text = |reply: Vec<u8>| String::from_utf8_lossy(&reply).into_owned();
    let first = text(post(at, "Content-Length: 3\r\n", b"abc"));
    assert!(first.starts_with("HTTP/1.1 503 "), "{first}");
    assert!(first.contains("Retry-After: 2\r\n"), "{first}");
    let packed = zstd::stream::encode_all(&b"packed\n"[..], 1).unwrap();
    let head = format!(
        "Content-Encoding: zstd\r\nContent-Length: {}\r\n",
        packed.len()
    );
    assert!(text(post(at, &head, &packed)).ends_with("\r\n\r\n{}"));
    let waiting = std::thread::spawn(move || {
        post(
            at,
            "Transfer-Encoding: chunked\r\n",
            b"2\r\nhi\r\n0\r\n\r\n",
        )
    });
    crate::harness::wait_for("the request", || server.requests().get(2).map(|_| ()));
    assert!(!waiting.is_finished());
    opened.open();
    assert!(text(waiting.join().unwrap()).starts_with("HTTP/1.1 204 "));
    assert_eq!(post(at, "", b""), b"");
    let cut = text(post(at, "", b""));
    assert!(cut.contains("Content-Length: 64") && cut.ends_with("\"took\":1,"));
    assert_eq!(post(at, "", b""), b"\0\xffnot http");
    // A hanging server is left by its client.
    assert_eq!(post(at, "", b""), b"");
    let bodies: Vec<_> = server.requests().into_iter().map(|r| r.body).collect();
    assert_eq!(bodies[..3], [&b"abc"[..], b"packed\n", b"hi"]);
    drop(server);
    assert!(TcpStream::connect(at).is_err(), "it must close its port");
}

/// A body without end is one.
#[test]
fn an_endless_body_goes_on_until_the_client_leaves() {
    let server = Scripted::start(|_| Reply::Endless(200));
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream
        .write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut much = vec![0; 8 << 20];
    stream.read_exact(&mut much).unwrap();
}

fn survives_a_crash(server: &Server, answers: impl Fn(&Server)) {
    answers(server);
    server.kill9();
    assert!(TcpStream::connect(server.address()).is_err());
    server.restart();
    answers(server);
    server.stop();
    assert!(TcpStream::connect(server.address()).is_err());
}

/// The real servers start, crash, come back on the same port, stop.
#[test]
fn kafka_survives_a_crash() {
    if let Some(server) = Kafka::start("num.partitions=3") {
        survives_a_crash(&server, |s| drop(TcpStream::connect(s.address()).unwrap()));
    }
}

#[test]
fn search_servers_survive_a_crash() {
    let servers = [OpenSearch::start(), Elasticsearch::start()];
    for server in servers.into_iter().flatten() {
        survives_a_crash(&server, |s| {
            let (status, body) = get(s.address(), "/");
            assert_eq!(status, 200);
            assert!(body.contains("\"number\""), "{body}");
        });
    }
}

#[test]
fn victorialogs_survives_a_crash() {
    if let Some(server) = VictoriaLogs::start() {
        survives_a_crash(&server, |s| assert_eq!(get(s.address(), "/health").0, 200));
    }
}
