//! A backlog that is far larger than memory: kept while the far end is away,
//! there again at once after a kill and after a stop, delivered whole when the
//! far end is there, in bounded memory all along.
//!
//! `TFLOG_BACKLOG_GIB` is how large it is (1).

use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::harness::{Running, connect, free_address, get, metric, tflog, wait_at_most, wait_for};
use crate::producers::post;
use crate::setting;

/// A line with its end: long, so that the lines are few and bytes what counts.
const LINE_BYTES: usize = 4096;
/// Lines of a request: 1 MiB.
const REQUEST_LINES: u64 = 256;
/// Clients at once: enough that one sync is for several requests.
const CLIENTS: u64 = 8;
/// What tflog may take beyond what it takes without a backlog.
const MEMORY_BYTES_MAX: u64 = 64 << 20;
/// A backlog is drained by then, or never.
const PATIENCE: Duration = Duration::from_mins(10);

/// What lines are filled with, from a place in it that each line has of its own.
fn filler() -> Vec<u8> {
    let digits =
        (0..2 * LINE_BYTES as u32).map(|i| b'a' + (i.wrapping_mul(2_654_435_761) >> 27) as u8 % 26);
    digits.collect()
}

/// The line of this number, without its end.
fn push_line(number: u64, filler: &[u8], into: &mut Vec<u8>) {
    let start = into.len();
    into.extend_from_slice(format!("{number:012} ").as_bytes());
    let rest = LINE_BYTES - 1 - (into.len() - start);
    let from = number as usize % LINE_BYTES;
    into.extend_from_slice(&filler[from..from + rest]);
}

/// Posts lines until `lines` are answered 200.
fn fill(address: SocketAddr, lines: u64) {
    let next = AtomicU64::new(0);
    let client = || {
        let (filler, mut stream) = (filler(), connect(address));
        loop {
            let first = next.fetch_add(REQUEST_LINES, Ordering::Relaxed);
            if first >= lines {
                return;
            }
            let mut body = Vec::with_capacity(REQUEST_LINES as usize * LINE_BYTES);
            for number in first..lines.min(first + REQUEST_LINES) {
                push_line(number, &filler, &mut body);
                body.push(b'\n');
            }
            loop {
                match post(&mut stream, &body) {
                    Some(200) => break,
                    // Nothing was taken, and the connection may be closed.
                    Some(429) => stream = connect(address),
                    other => panic!("{other:?}"),
                }
            }
        }
    };
    std::thread::scope(|scope| {
        (0..CLIENTS).for_each(|_| drop(scope.spawn(client)));
    });
}

/// Takes lines until all have come; each once and as it was sent. How long it
/// took from the first byte.
fn drain(listener: &TcpListener, lines: u64) -> Duration {
    let (filler, mut seen) = (filler(), vec![false; lines as usize]);
    let (stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut stream = BufReader::with_capacity(1 << 20, stream);
    stream.fill_buf().unwrap();
    let start = Instant::now();
    let (mut line, mut expected) = (Vec::new(), Vec::new());
    for _ in 0..lines {
        line.clear();
        stream.read_until(b'\n', &mut line).unwrap();
        let number = std::str::from_utf8(&line[..12]).unwrap().parse().unwrap();
        expected.clear();
        push_line(number, &filler, &mut expected);
        expected.push(b'\n');
        assert!(line == expected, "line {number} was altered");
        let twice = std::mem::replace(&mut seen[number as usize], true);
        assert!(!twice, "line {number} came twice");
    }
    start.elapsed()
}

/// A config, and where to ask.
struct Setup<'a> {
    dir: &'a Path,
    own: SocketAddr,
    http: SocketAddr,
}

impl Setup<'_> {
    fn write(&self, far: SocketAddr, gib: u64) {
        let text = format!(
            "state: {}\ngrace: 1s\nhttp: '{}'\nsources: {{ push: {{ url: 'http://{}', ack_timeout: 15s }} }}\n\
             sinks: {{ out: {{ url: 'tcp://{far}', encode: raw, buffer: {{ disk: {}GiB }} }} }}\n",
            self.dir.join("state").display(),
            self.http,
            self.own,
            gib + 1,
        );
        std::fs::write(self.dir.join("tflog.yaml"), text).unwrap();
    }

    /// tflog, once it is ready for events, and how long that took.
    fn start(&self) -> (Running, Duration) {
        let config = self.dir.join("tflog.yaml");
        let mut command = tflog(&["-c", config.to_str().unwrap()]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        let start = Instant::now();
        let running = Running::start(&mut command);
        wait_for("a listener", || TcpStream::connect(self.http).ok());
        wait_for("readiness", || {
            (get(self.http, "/health/ready?accept").0 == 200).then_some(())
        });
        (running, start.elapsed())
    }

    /// Events that wait for the far end.
    fn waiting(&self) -> u64 {
        let page = get(self.http, "/metrics").1;
        metric(&page, "tflog_buffer_size_events") + metric(&page, "tflog_sink_sending_events")
    }
}

/// The most memory that it ever had, beyond `idle`, printed and held against the
/// limit.
fn held(running: &Running, idle: u64, when: &str) {
    let more = running.peak_bytes().saturating_sub(idle);
    println!("backlog, {when}: {} MiB over idle at most", more >> 20);
    assert!(more < MEMORY_BYTES_MAX, "{when}: {more} bytes over idle");
}

/// A backlog of a gibibyte survives a kill and a stop, costs neither memory nor
/// time to start, and is delivered whole.
#[test]
fn a_large_backlog_costs_neither_memory_nor_time_to_start() {
    let gib = setting("TFLOG_BACKLOG_GIB", 1);
    let lines = (gib << 30) / LINE_BYTES as u64;
    // Not in a file system in memory: a backlog is as large as it likes.
    let dir = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (own, http, far) = (free_address(), free_address(), free_address());
    let setup = Setup {
        dir: dir.path(),
        own,
        http,
    };
    setup.write(far, gib);
    let (running, ready) = setup.start();
    let idle = running.memory_bytes();
    println!("no backlog: ready in {ready:.2?}, {} MiB", idle >> 20);
    let rate = |took: Duration| (gib << 30) as f64 / took.as_secs_f64() / 1e6;
    let start = Instant::now();
    fill(own, lines);
    let took = start.elapsed();
    println!(
        "backlog of {gib} GiB taken in {took:.1?}: {:.0} MB/s",
        rate(took)
    );
    held(&running, idle, "taking it");
    running.signal("KILL");
    drop(running);
    let (running, ready) = setup.start();
    println!("with the backlog, ready in {ready:.2?} after a kill");
    assert_eq!(setup.waiting(), lines, "as soon as it answers");
    running.signal("TERM");
    let (status, _) = running.finish();
    assert_eq!(status.code(), Some(0));
    let (running, ready) = setup.start();
    println!("with the backlog, ready in {ready:.2?} after a stop");
    assert_eq!(setup.waiting(), lines, "as soon as it answers");
    held(&running, idle, "holding it");
    let took = drain(&TcpListener::bind(far).unwrap(), lines);
    println!(
        "backlog of {gib} GiB drained in {took:.1?}: {:.0} MB/s",
        rate(took)
    );
    wait_at_most(PATIENCE, "an empty buffer", || {
        (setup.waiting() == 0).then_some(())
    });
    held(&running, idle, "draining it");
    running.signal("TERM");
    assert_eq!(running.finish().0.code(), Some(0));
}
