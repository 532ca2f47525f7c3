//! Events over HTTP: 200 means kept, 429 means that nothing was taken, and
//! hostile requests cost no memory.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::answer::Answer;
use crate::harness::{
    Running, assert_balanced, connect, free_address, get, ledger, lines, metric, run, tflog,
    wait_for,
};

/// Reads one answer and leaves the connection as it is.
pub(crate) fn answer(stream: &mut TcpStream) -> Answer {
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(answer) = Answer::of(&all) {
            return answer;
        }
        let read = stream.read(&mut buffer).expect("open");
        assert!(read > 0, "closed after {all:?}");
        all.extend_from_slice(&buffer[..read]);
    }
}

pub(crate) fn send(stream: &mut TcpStream, path: &str, headers: &str, body: &[u8]) {
    let length = body.len();
    let head =
        format!("POST {path} HTTP/1.1\r\nhost: t\r\ncontent-length: {length}\r\n{headers}\r\n");
    stream.write_all(head.as_bytes()).expect("open");
    // Whoever is refused may be cut off while sending.
    let _ = stream.write_all(body);
}

pub(crate) fn post(address: SocketAddr, headers: &str, body: &[u8]) -> Answer {
    let mut stream = connect(address);
    send(&mut stream, "/", headers, body);
    answer(&mut stream)
}

pub(crate) fn start(dir: &Path, config: &str) -> Running {
    let path = dir.join("tflog.yaml");
    std::fs::write(&path, config).unwrap();
    let mut command: Command = tflog(&["-c", path.to_str().unwrap()]);
    Running::start(command.stderr(Stdio::piped()))
}

pub(crate) fn stop(running: Running) -> (Option<i32>, serde_json::Value) {
    running.signal("TERM");
    let (status, stderr) = running.finish();
    (status.code(), ledger(&stderr))
}

/// As [`assert_balanced`] for the source alone, where events are given up: each
/// has one end, and none was lost unheard.
fn assert_accounted(source: &serde_json::Value) {
    let number = |name: &str| source[name].as_u64().unwrap();
    let dropped = source["dropped"].as_object().unwrap().values();
    let dropped: u64 = dropped.map(|n| n.as_u64().unwrap()).sum();
    let ends = [
        "accepted",
        "filtered",
        "best_effort",
        "dead_lettered",
        "returned",
    ];
    let sum: u64 = ends.map(number).iter().sum();
    assert_eq!(number("received"), sum + dropped, "{source}");
    assert_eq!((number("open"), dropped), (0, 0), "{source}");
}

fn gzip(text: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(text).unwrap();
    encoder.finish().unwrap()
}

/// 200 only once the file has the event; on a listener of its own and on
/// tflog's, whatever the format.
#[test]
fn an_answer_of_200_means_that_the_file_has_it() {
    let dir = tempfile::tempdir().unwrap();
    let (own, http) = (free_address(), free_address());
    let out = dir.path().join("out.log");
    let config = format!(
        "http: '{http}'\nsources:\n  push: http\n  devices: {{ url: 'http://{own}/events', token: s3cret }}\n\
         sinks: {{ out: {{ url: 'file://{}', encode: raw }} }}\n",
        out.display()
    );
    let running = start(dir.path(), &config);
    let mut stream = connect(http);
    for i in 0..50 {
        let line = format!("line {i}");
        send(&mut stream, "/ingest", "", line.as_bytes());
        let answer = answer(&mut stream);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "{\"accepted\":1}")
        );
        assert_eq!(lines(&out).pop().as_deref(), Some(line.as_str()));
    }
    let mut device = connect(own);
    send(&mut device, "/events", "", b"unknown\n");
    let refused = answer(&mut device);
    assert_eq!(refused.status, 401);
    assert!(refused.head.contains("problem+json"), "{}", refused.head);
    let headers = "authorization: Bearer s3cret\r\ncontent-type: application/json\r\ncontent-encoding: gzip\r\n";
    send(
        &mut device,
        "/events",
        headers,
        &gzip(b"[{\"a\":\n1},\n{\"b\":\"]\"}]"),
    );
    assert_eq!(answer(&mut device).status, 200);
    assert_eq!(lines(&out)[50..], ["{\"a\":1}", "{\"b\":\"]\"}"]);
    send(&mut device, "/", headers, b"");
    assert_eq!(answer(&mut device).status, 404);
    let page = get(http, "/metrics").1;
    assert_eq!(get(http, "/nothing").0, 404);
    assert_eq!(
        metric(&page, "tflog_component_received_events_total"),
        52,
        "{page}"
    );
    let (code, ledger) = stop(running);
    assert_eq!(code, Some(0));
    assert_balanced(&ledger);
    assert_eq!(ledger["sources"]["push"]["accepted"], 50);
    assert_eq!(ledger["sources"]["devices"]["accepted"], 2);
}

/// What everybody could send to, and what nobody could, are errors before
/// anything is accepted.
#[test]
fn an_open_port_must_be_meant() {
    let port = free_address().port();
    let everywhere = format!("0.0.0.0:{port}");
    let own = format!("http://{everywhere}");
    for (arguments, message) in [
        (vec!["--from", "http", "--http", &everywhere], "token: none"),
        (vec!["--from", "http", "--http", "none"], "--http"),
        (vec!["--from", &own], "token: none"),
        (vec!["--from", "a=http", "--from", "b=http"], "same path"),
    ] {
        let output = run(&arguments, b"");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {stderr}");
        assert!(stderr.contains(message), "{arguments:?}: {stderr}");
    }
}

/// A full sink turns requests away at the head: 429, counted, and nothing of
/// them is received.
#[test]
fn a_full_sink_refuses_requests_whole() {
    let dir = tempfile::tempdir().unwrap();
    let (own, http) = (free_address(), free_address());
    let reader = TcpListener::bind("127.0.0.1:0").unwrap();
    let config = format!(
        "http: '{http}'\nsources: {{ push: {{ url: 'http://{own}', ack_timeout: 200ms }} }}\n\
         sinks: {{ stuck: {{ url: 'tcp://{}', encode: raw, buffer: {{ memory: 1MiB }} }} }}\ngrace: 1s\n",
        reader.local_addr().unwrap()
    );
    let running = start(dir.path(), &config);
    let body = format!("{}\n", "x".repeat(999)).repeat(300);
    let (mut taken, mut refused) = (0_u64, 0_u64);
    let mut stuck = None;
    while refused < 5 {
        let answer = post(own, "", body.as_bytes());
        match answer.status {
            200 | 503 => taken += 1,
            429 => {
                assert!(answer.head.contains("retry-after: 1"), "{}", answer.head);
                refused += 1;
            }
            other => panic!("{other}: {}", answer.body),
        }
        // Accepted, and never read from.
        stuck = stuck.or_else(|| Some(reader.accept().unwrap()));
        assert!(taken < 100, "the sink never fills");
    }
    assert!(
        running.memory_bytes() < 64 << 20,
        "{}",
        running.memory_bytes()
    );
    let page = get(http, "/metrics").1;
    let received = metric(&page, "tflog_component_received_events_total");
    // A request that waited in vain for room may have been taken in part.
    assert!(received <= taken * 300, "{received} of {taken} requests");
    assert!(received + 8 * 300 > taken * 300, "{received} of {taken}");
    let (_, ledger) = stop(running);
    let source = &ledger["sources"]["push"];
    assert_eq!(source["refused"], refused);
    assert_eq!(source["received"], received, "no 429 was received");
    assert_accounted(source);
}

/// A sink that confirms nothing: 503 after `ack_timeout`, and the events count
/// as returned, since the client sends them again.
#[test]
fn what_is_not_confirmed_in_time_is_503() {
    let dir = tempfile::tempdir().unwrap();
    let (own, nobody) = (free_address(), free_address());
    let config = format!(
        "http: none:0\nsources: {{ push: {{ url: 'http://{own}', ack_timeout: 300ms }} }}\n\
         sinks: {{ gone: 'tcp://{nobody}' }}\ngrace: 1s\n"
    );
    let running = start(dir.path(), &config);
    let begun = std::time::Instant::now();
    let answer = post(own, "", b"one\ntwo\n");
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(answer.head.contains("retry-after"), "{}", answer.head);
    assert!(begun.elapsed().as_millis() >= 300);
    let (_, ledger) = stop(running);
    let source = &ledger["sources"]["push"];
    assert_eq!(source["returned"], 2, "{source}");
    assert_accounted(source);
}

/// Bombs are cut off at the limit, in bounded memory.
#[test]
fn a_bomb_costs_no_memory() {
    let dir = tempfile::tempdir().unwrap();
    let own = free_address();
    let config = format!(
        "http: none:0\nsources: {{ push: 'http://{own}' }}\nsinks: {{ out: 'file://{}' }}\n",
        dir.path().join("out.log").display()
    );
    let running = start(dir.path(), &config);
    let zeros = vec![b' '; 80 << 20];
    let bomb = gzip(&zeros);
    let zstd = zstd::encode_all(zeros.as_slice(), 1).unwrap();
    for _ in 0..3 {
        for (coding, bomb) in [("gzip", &bomb), ("zstd", &zstd)] {
            let headers =
                format!("content-encoding: {coding}\r\ncontent-type: application/json\r\n");
            assert_eq!(post(own, &headers, bomb).status, 413);
            // As one line, which is cut at the limit and never whole.
            let headers = format!("content-encoding: {coding}\r\n");
            assert_eq!(post(own, &headers, bomb).status, 413);
        }
    }
    // Announced, and simply too long: the answer arrives although the client
    // writes first and reads later.
    assert_eq!(post(own, "", &zeros[..20 << 20]).status, 413);
    assert_eq!(
        post(own, "content-encoding: gzip\r\n", b"no gzip").status,
        400
    );
    assert!(
        running.memory_bytes() < 64 << 20,
        "{}",
        running.memory_bytes()
    );
    let (code, ledger) = stop(running);
    assert_eq!(code, Some(0));
    assert_balanced(&ledger);
}

/// A thousand connections that stay open, each used again and again.
#[test]
fn a_thousand_connections_are_kept_alive() {
    const ROUNDS: usize = 3;
    let dir = tempfile::tempdir().unwrap();
    let own = free_address();
    let out = dir.path().join("out.log");
    let config = format!(
        "http: none:0\nsources: {{ push: 'http://{own}?connections_per_peer=1000' }}\n\
         sinks: {{ out: {{ url: 'file://{}', encode: raw }} }}\n",
        out.display()
    );
    let running = start(dir.path(), &config);
    let mut streams: Vec<_> = (0..1000).map(|_| connect(own)).collect();
    for round in 0..ROUNDS {
        for (i, stream) in streams.iter_mut().enumerate() {
            send(
                stream,
                "/",
                "",
                format!("round {round} connection {i}\n").as_bytes(),
            );
        }
        for stream in &mut streams {
            // All of them at once may be more than the window; that is said.
            let answer = answer(stream);
            assert_eq!(answer.status, 200, "{}", answer.body);
            assert!(!answer.head.contains("connection: close"));
        }
    }
    let mut all = lines(&out);
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), ROUNDS * 1000);
    assert!(
        running.memory_bytes() < 96 << 20,
        "{}",
        running.memory_bytes()
    );
    let (code, ledger) = stop(running);
    assert_eq!(code, Some(0));
    assert_balanced(&ledger);
    assert_eq!(ledger["sources"]["push"]["accepted"], ROUNDS * 1000);
}

/// A stop in the middle of a request: it is read to its end and answered, on
/// both listeners; nobody new is let in.
#[test]
fn a_stop_lets_open_requests_end() {
    let dir = tempfile::tempdir().unwrap();
    let (own, http) = (free_address(), free_address());
    let out = dir.path().join("out.log");
    let config = format!(
        "http: '{http}'\nsources: {{ push: http, own: 'http://{own}' }}\n\
         sinks: {{ out: {{ url: 'file://{}', encode: raw }} }}\n",
        out.display()
    );
    let running = start(dir.path(), &config);
    let mut streams = [connect(own), connect(http)];
    for stream in &mut streams {
        stream
            .write_all(b"POST / HTTP/1.1\r\nhost: t\r\ncontent-length: 8\r\n\r\none\n")
            .unwrap();
    }
    wait_for("the first lines", || (lines(&out).len() == 2).then_some(()));
    running.signal("TERM");
    wait_for("the listener to close", || {
        TcpStream::connect(own).is_err().then_some(())
    });
    let late = wait_for("the mount to refuse", || {
        let answer = post(http, "", b"late\n");
        (answer.status != 200).then_some(answer)
    });
    assert_eq!(late.status, 503, "{}", late.body);
    for stream in &mut streams {
        stream.write_all(b"two\n").unwrap();
        let answer = answer(stream);
        assert_eq!(
            (answer.status, answer.body.as_str()),
            (200, "{\"accepted\":2}")
        );
        assert!(answer.head.contains("connection: close"), "{}", answer.head);
    }
    let (status, stderr) = running.finish();
    assert_eq!(status.code(), Some(0));
    let kept = lines(&out);
    assert_eq!(kept.iter().filter(|line| *line == "two").count(), 2);
    let ledger = ledger(&stderr);
    assert_balanced(&ledger);
}
