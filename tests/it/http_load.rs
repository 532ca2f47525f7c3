//! HTTP under load: what a client was answered is what became of its lines.
//!
//! Every attempt to send a request has lines of its own, which say producer,
//! request and attempt: so the sinks tell which attempts were taken.

use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::answer::Answer;
use crate::harness::{Running, assert_balanced, connect, free_address};
use crate::http_source::{start, stop};

/// Lines of a request.
const LINES: u64 = 20;
/// When a refused request is sent again: sooner than its answer asks.
const AGAIN: Duration = Duration::from_millis(100);
/// What a run that uses 20 MiB may use, and far less than what 1,000
/// connections could hold at one chunk each.
const MEMORY_BYTES_MAX: u64 = 64 << 20;

/// Producer, request and attempt.
type Attempt = (usize, u64, u64);

/// A connection that sends one request after the other.
struct Client {
    stream: TcpStream,
    unread: Vec<u8>,
    attempt: Attempt,
    state: State,
}

enum State {
    /// An answer is due.
    Waits,
    /// To be sent then.
    Sends(Instant),
    Done,
}

impl Client {
    fn send(&mut self, padding: &str) {
        let (producer, seq, attempt) = self.attempt;
        let line = |line| {
            format!(
                "{{\"producer\":{producer},\"seq\":{seq},\"attempt\":{attempt},\"line\":{line},\"pad\":\"{padding}\"}}\n"
            )
        };
        let body = (0..LINES).map(line).collect::<Vec<_>>().concat();
        let length = body.len();
        let head = format!(
            "POST / HTTP/1.1\r\nhost: t\r\ncontent-type: application/x-ndjson\r\ncontent-length: {length}\r\n\r\n"
        );
        let request = head + &body;
        self.stream.write_all(request.as_bytes()).expect("open");
        self.state = State::Waits;
    }

    /// Reads what is there: status and body, once the answer is whole.
    fn answer(&mut self) -> Option<(u16, String)> {
        let mut buffer = [0; 4096];
        let read = self.stream.read(&mut buffer).expect("open");
        assert!(read > 0, "an answer never closes the connection");
        self.unread.extend_from_slice(&buffer[..read]);
        let answer = Answer::of(&self.unread)?;
        self.unread.clear();
        if answer.status == 200 {
            assert_eq!(answer.body, format!("{{\"accepted\":{LINES}}}"));
        } else {
            assert!(answer.head.contains("retry-after: "), "{answer:?}");
        }
        Some((answer.status, answer.body))
    }
}

/// The status of every attempt.
type Answers = HashMap<Attempt, u16>;

fn count(answers: &Answers, status: u16) -> u64 {
    answers.values().filter(|s| **s == status).count() as u64
}

/// Sends `requests` requests on each of so many connections, and again what is
/// answered 429 or 503, until all are answered 200. `look` sees each answer's body.
fn drive(
    address: SocketAddr,
    connections: usize,
    requests: u64,
    padding: &str,
    mut look: impl FnMut(&str),
) -> Answers {
    let now = Instant::now();
    let mut clients: Vec<_> = (0..connections)
        .map(|producer| Client {
            stream: connect(address),
            unread: Vec::new(),
            attempt: (producer, 0, 0),
            state: State::Sends(now),
        })
        .collect();
    let mut answers = Answers::new();
    loop {
        let now = Instant::now();
        for client in &mut clients {
            if matches!(client.state, State::Sends(due) if due <= now) {
                client.send(padding);
            }
        }
        let mut waiting: Vec<_> = clients
            .iter_mut()
            .filter(|c| matches!(c.state, State::Waits))
            .collect();
        let mut fds: Vec<_> = waiting
            .iter()
            .map(|c| PollFd::from_borrowed_fd(std::os::fd::AsFd::as_fd(&c.stream), PollFlags::IN))
            .collect();
        let pause = Timespec::try_from(AGAIN / 10).expect("short");
        poll(&mut fds, Some(&pause)).expect("poll");
        let ready: Vec<_> = fds.iter().map(|fd| !fd.revents().is_empty()).collect();
        drop(fds);
        for (client, _) in waiting.iter_mut().zip(ready).filter(|(_, ready)| *ready) {
            let Some((status, body)) = client.answer() else {
                continue;
            };
            look(&body);
            answers.insert(client.attempt, status);
            let (producer, seq, attempt) = client.attempt;
            (client.attempt, client.state) = match status {
                200 if seq + 1 == requests => (client.attempt, State::Done),
                200 => ((producer, seq + 1, 0), State::Sends(now)),
                429 | 503 => ((producer, seq, attempt + 1), State::Sends(now + AGAIN)),
                other => panic!("status {other}"),
            };
        }
        if clients.iter().all(|c| matches!(c.state, State::Done)) {
            return answers;
        }
    }
}

/// Which attempts `text` holds: each whole and once. Returns the lines.
fn taken(text: &[u8]) -> (HashMap<Attempt, u64>, u64) {
    let mut taken = HashMap::<Attempt, u64>::new();
    let mut all = 0;
    for line in text.split_inclusive(|b| *b == b'\n') {
        let line: serde_json::Value = serde_json::from_slice(line).expect("a line as sent");
        let number = |name: &str| line[name].as_u64().expect("a number");
        let attempt = (
            number("producer") as usize,
            number("seq"),
            number("attempt"),
        );
        let bit = 1 << number("line");
        let seen = taken.entry(attempt).or_default();
        assert_eq!(*seen & bit, 0, "twice: {line}");
        *seen |= bit;
        all += 1;
    }
    (taken, all)
}

/// A sink has each line of a 2xx once and none of a 429; of a 503 all or none.
/// Returns how many lines it has.
fn assert_as_answered(answers: &Answers, text: &[u8]) -> u64 {
    let (taken, lines) = taken(text);
    for (attempt, status) in answers {
        let seen = taken.get(attempt).copied().unwrap_or_default();
        let whole = seen == (1 << LINES) - 1;
        match status {
            200 => assert!(whole, "{attempt:?}: 200, but the sink has {seen:b}"),
            429 => assert_eq!(seen, 0, "{attempt:?}: 429, but the sink has lines of it"),
            _ => assert!(whole || seen == 0, "{attempt:?}: {status}, torn: {seen:b}"),
        }
    }
    assert!(taken.keys().all(|attempt| answers.contains_key(attempt)));
    lines
}

/// The ledger of a run in which nothing was refused but with 429.
fn assert_ledger(ledger: &serde_json::Value, answers: &Answers, kept: u64) {
    assert_balanced(ledger);
    let source = &ledger["sources"]["push"];
    assert_eq!(source["refused"], count(answers, 429), "{source}");
    assert_eq!(source["accepted"], kept, "{source}");
    let returned = source["returned"].as_u64().expect("a number");
    assert_eq!(source["received"], kept + returned, "{source}");
    let unsure = count(answers, 503) * LINES;
    let sure = count(answers, 200) * LINES;
    assert!(kept - sure + returned <= unsure, "{source}");
}

fn assert_memory(running: &Running, most: u64) {
    let most = most.max(running.memory_bytes());
    assert!(most < MEMORY_BYTES_MAX, "{most} bytes");
}

fn load_a_file(connections: usize, requests: u64) {
    let dir = tempfile::tempdir().unwrap();
    let own = free_address();
    let out = dir.path().join("out.log");
    let config = format!(
        "http: none:0\nsources: {{ push: 'http://{own}?connections_per_peer=1000' }}\n\
         sinks: {{ out: {{ url: 'file://{}', encode: raw }} }}\n",
        out.display()
    );
    let running = start(dir.path(), &config);
    let mut most = 0;
    let mut seen = 0;
    let answers = drive(own, connections, requests, "", |_| {
        seen += 1;
        if seen % 100 == 0 {
            most = most.max(running.memory_bytes());
        }
    });
    assert_memory(&running, most);
    let (code, ledger) = stop(running);
    assert_eq!(code, Some(0));
    assert_eq!(count(&answers, 503), 0);
    let all = connections as u64 * requests;
    assert_eq!(count(&answers, 200), all);
    let kept = assert_as_answered(&answers, &std::fs::read(&out).unwrap());
    assert_eq!(kept, all * LINES);
    assert_ledger(&ledger, &answers, kept);
    assert_eq!(ledger["sources"]["push"]["received"], kept);
}

/// What is answered 200 is in the file exactly once, what is answered 429 is
/// not, on one connection that is used again and again.
#[test]
fn one_connection_under_load_is_answered_truly() {
    load_a_file(1, 1000);
}

/// The same on fifty.
#[test]
fn fifty_connections_under_load_are_answered_truly() {
    load_a_file(50, 60);
}

/// The same on a thousand, in bounded memory.
#[test]
fn a_thousand_connections_under_load_are_answered_truly() {
    load_a_file(1000, 5);
}

/// A TCP reader with a small window that reads nothing until told to.
struct Stalled {
    address: SocketAddr,
    resume: mpsc::SyncSender<()>,
    reader: JoinHandle<Vec<u8>>,
}

impl Stalled {
    fn listen() -> Stalled {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        rustix::net::sockopt::set_socket_recv_buffer_size(&listener, 16 << 10).unwrap();
        let address = listener.local_addr().unwrap();
        let (resume, resumed) = mpsc::sync_channel(1);
        let reader = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            // Gone without a word: the test has failed already.
            let _ = resumed.recv();
            let mut all = Vec::new();
            stream.read_to_end(&mut all).unwrap();
            all
        });
        Stalled {
            address,
            resume,
            reader,
        }
    }
}

/// A file, and a second sink that stands still until so many answers said
/// `detail`. Returns the answers and how many lines both sinks have.
fn load_a_stalled_sink(source: &str, detail: &str, said: u64) -> (Answers, u64) {
    let dir = tempfile::tempdir().unwrap();
    let dir = dir.path();
    let own = free_address();
    let out = dir.join("out.log");
    let stalled = Stalled::listen();
    let config = format!(
        "http: none:0\nsources: {{ push: {{ url: 'http://{own}', connections_per_peer: 400, {source} }} }}\nsinks:\n  \
         file: {{ url: 'file://{}', encode: raw }}\n  \
         slow: {{ url: 'tcp://{}', encode: raw, buffer: {{ memory: 1MiB }} }}\n",
        out.display(),
        stalled.address
    );
    let running = start(dir, &config);
    let (mut seen, mut most) = (0, 0);
    let answers = drive(own, 400, 5, &"x".repeat(300), |answer| {
        if answer.contains(detail) {
            seen += 1;
            if seen == said {
                most = running.memory_bytes();
                stalled.resume.send(()).expect("the reader waits");
            }
        }
    });
    assert_memory(&running, most);
    let (code, ledger) = stop(running);
    assert_eq!(code, Some(0));
    assert_eq!(count(&answers, 200), 400 * 5);
    let kept = assert_as_answered(&answers, &std::fs::read(&out).unwrap());
    let sent = stalled.reader.join().unwrap();
    assert_eq!(assert_as_answered(&answers, &sent), kept);
    assert_ledger(&ledger, &answers, kept);
    assert!(seen >= said);
    (answers, kept)
}

/// A sink that is full refuses requests whole; once it is read from again all
/// of them get through, and no line is there twice.
#[test]
fn a_full_sink_refuses_whole_requests_until_it_has_room() {
    let full = "a sink's buffer is full";
    let (answers, kept) = load_a_stalled_sink("ack_timeout: 50s", full, 1000);
    assert!(count(&answers, 429) >= 1000);
    assert_eq!(count(&answers, 503), 0);
    assert_eq!(kept, count(&answers, 200) * LINES);
}

/// A sink that confirms late: the client hears 503, and the lines of that
/// request arrive all the same, whole and once, or not at all.
#[test]
fn what_is_confirmed_late_stands_by_its_real_outcome() {
    let late = "were not confirmed in time";
    let (answers, kept) = load_a_stalled_sink("ack_timeout: 500ms", late, 50);
    // Those were in the sinks' hands already.
    assert!(kept >= (count(&answers, 200) + 50) * LINES, "{kept}");
}
