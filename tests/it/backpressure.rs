//! A slow sink stops nobody until its buffer is full; then only those that
//! have rows for it wait, and nothing is lost.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::ops::Range;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::harness::{Running, free_address, get, metric, tflog, wait_for};

/// Waits until a counter has stopped moving: the writer is blocked.
fn wait_until_still(counter: &AtomicU64) -> u64 {
    let mut last = (counter.load(Ordering::Relaxed), 0);
    wait_for("the writer to block", || {
        std::thread::park_timeout(Duration::from_millis(20));
        let now = counter.load(Ordering::Relaxed);
        last = if now == last.0 {
            (now, last.1 + 1)
        } else {
            (now, 0)
        };
        (last.1 > 25 && now > 0).then_some(now)
    })
}

/// Writes numbered lines until told to stop, counting bytes.
fn flood(
    mut to: impl Write + Send + 'static,
    bytes: Arc<AtomicU64>,
    lines: u64,
) -> std::thread::JoinHandle<()> {
    std::thread::spawn(move || {
        for i in 0..lines {
            let line = format!("{i:0>120}\n");
            if to.write_all(line.as_bytes()).is_err() {
                return;
            }
            bytes.fetch_add(line.len() as u64, Ordering::Relaxed);
        }
    })
}

fn assert_all_arrive(mut from: impl Read, lines: Range<u64>) {
    let mut all = Vec::new();
    from.read_to_end(&mut all).unwrap();
    let mut expected = lines.start;
    for line in all.split_inclusive(|b| *b == b'\n') {
        assert_eq!(line, format!("{expected:0>120}\n").as_bytes());
        expected += 1;
    }
    assert_eq!(expected, lines.end);
}

/// A reader of stdout that stops reading blocks the pipe's writer, in bounded
/// memory; when it goes on, everything arrives.
#[test]
fn a_stopped_reader_blocks_the_pipe() {
    let mut command = tflog(&["-o", "raw"]);
    let mut running = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let stdout = running.child.stdout.take().unwrap();
    let written = Arc::new(AtomicU64::new(0));
    let lines = 600_000;
    let writer = flood(running.child.stdin.take().unwrap(), written.clone(), lines);
    let blocked_at = wait_until_still(&written);
    assert!(blocked_at < lines * 121, "the writer was never blocked");
    assert!(
        running.memory_bytes() < 64 << 20,
        "{}",
        running.memory_bytes()
    );
    assert_all_arrive(stdout, 0..lines);
    writer.join().unwrap();
    assert!(running.finish().0.success());
}

/// The same over TCP: the window closes.
#[test]
fn a_stopped_reader_closes_the_tcp_window() {
    let address = free_address();
    let from = format!("tcp://{address}");
    let mut command = tflog(&["--from", &from, "-o", "raw", "--http", "none"]);
    let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let stdout = running.child.stdout.take().unwrap();
    let written = Arc::new(AtomicU64::new(0));
    let connection: TcpStream = crate::harness::connect(address);
    let lines = 600_000;
    let writer = flood(connection, written.clone(), lines);
    let blocked_at = wait_until_still(&written);
    assert!(blocked_at < lines * 121, "the window never closed");
    assert!(
        running.memory_bytes() < 64 << 20,
        "{}",
        running.memory_bytes()
    );
    let reader = std::thread::spawn(move || assert_all_arrive(stdout, 0..lines));
    writer.join().unwrap();
    running.signal("TERM");
    reader.join().unwrap();
    assert_eq!(running.finish().0.code(), Some(0));
}

/// A best-effort sink that stops holds nobody: the others get everything, and
/// what it missed is counted exactly.
#[test]
fn a_best_effort_sink_holds_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let (lost, http) = (free_address(), free_address());
    let listener = std::net::TcpListener::bind(lost).unwrap();
    let config = dir.path().join("tflog.yaml");
    let text = format!(
        "sources: {{ in: stdin }}\nhttp: '{http}'\nsinks:\n  keep: {{ url: 'file://{}/keep.log', encode: raw }}\n  \
         lose: {{ url: 'tcp://{lost}', encode: raw, required: false, buffer: {{ memory: 1MiB }} }}\ngrace: 1s\n",
        dir.path().display()
    );
    std::fs::write(&config, text).unwrap();
    let mut command = tflog(&["-c", config.to_str().unwrap()]);
    let mut running = Running::start(command.stdin(Stdio::piped()).stderr(Stdio::piped()));
    let mut stdin = running.child.stdin.take().unwrap();
    // Accepted, and never read from.
    let (_stuck, _) = {
        stdin.write_all(b"first\n").unwrap();
        listener.accept().unwrap()
    };
    let lines = 300_000u64;
    for i in 1..lines {
        writeln!(stdin, "{i:0>120}").unwrap();
    }
    let keep = dir.path().join("keep.log");
    let all = 6 + (lines - 1) * 121;
    wait_for("the kept copy", || {
        (std::fs::metadata(&keep).ok()?.len() == all).then_some(())
    });
    let page = wait_for("the counts", || {
        let page = get(http, "/metrics").1;
        (metric(
            &page,
            "tflog_sink_entered_events_total{component_id=\"lose\"",
        ) == lines)
            .then_some(page)
    });
    let of = |name: &str| metric(&page, &format!("{name}{{component_id=\"lose\""));
    let dropped = metric(
        &page,
        "component_id=\"lose\",component_kind=\"sink\",component_type=\"tcp\",intentional=\"true\",reason=\"buffer_full\"",
    );
    assert!(dropped > 0);
    let rest = of("tflog_component_sent_events_total")
        + of("tflog_buffer_size_events")
        + of("tflog_sink_sending_events");
    assert_eq!(rest + dropped, lines, "{page}");
    drop(stdin);
    running.signal("TERM");
    assert_eq!(
        running.finish().0.code(),
        Some(0),
        "best effort is meant to be lost"
    );
}

/// Lines that come one by one wait as what they are, not as the chunks they were
/// read into: hundreds fit a buffer that a dozen chunks would fill.
#[test]
fn slow_lines_fill_a_buffer_by_their_size() {
    let (away, http) = (free_address(), free_address());
    let text = format!(
        "sources: {{ in: stdin }}\nhttp: '{http}'\n\
         sinks: {{ out: {{ url: 'tcp://{away}', encode: raw, buffer: {{ memory: 4MiB }} }} }}\n"
    );
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("tflog.yaml");
    std::fs::write(&config, text).unwrap();
    let mut command = tflog(&["-c", config.to_str().unwrap()]);
    let mut running = Running::start(command.stdin(Stdio::piped()).stderr(Stdio::piped()));
    let mut stdin = running.child.stdin.take().unwrap();
    let lines = 300;
    for i in 1..=lines {
        writeln!(stdin, "{i:0>120}").unwrap();
        wait_for("the line to wait at the sink", || {
            let page = get(http, "/metrics").1;
            let waits = metric(&page, "tflog_buffer_size_events") + metric(&page, "sending_events");
            (waits == i).then_some(())
        });
    }
    // All of it is still sent once somebody listens.
    let listener = std::net::TcpListener::bind(away).unwrap();
    drop(stdin);
    let (connection, _) = listener.accept().unwrap();
    assert_all_arrive(connection, 1..lines + 1);
    assert!(running.finish().0.success());
}
