//! SIGTERM in the middle of a load: nothing torn, everything accounted for.

use std::collections::HashMap;
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::harness::{
    Running, assert_balanced, connect, free_address, get, ledger, metric, tflog, wait_for,
};

/// Every page's numbers add up, whenever it was taken.
pub(crate) fn assert_page_balances(page: &str) {
    let received = metric(page, "tflog_component_received_events_total");
    let settled = metric(page, "tflog_source_events_total");
    let open = metric(page, "tflog_source_open_events");
    assert_eq!(received, settled + open, "{page}");
    let entered = metric(page, "tflog_sink_entered_events_total");
    let sent = metric(page, "tflog_component_sent_events_total");
    let held = metric(page, "tflog_buffer_size_events") + metric(page, "tflog_sink_sending_events");
    let dropped = page.lines().filter(|l| {
        l.starts_with("tflog_component_discarded_events_total")
            && l.contains("component_kind=\"sink\"")
    });
    let dropped: u64 = dropped.map(|l| metric(l, "")).sum();
    assert_eq!(entered, sent + held + dropped, "{page}");
    assert_routing_balances(page);
}

/// Every event that was routed was routed by a route that the page names.
pub(crate) fn assert_routing_balances(page: &str) {
    let evaluated = metric(page, "tflog_evaluated_events_total");
    let first = metric(page, "tflog_route_first_events_total");
    assert_eq!(
        evaluated,
        first + metric(page, "tflog_filtered_events_total"),
        "{page}"
    );
}

/// Scrapes until told to stop; every page must balance.
pub(crate) fn scrape(http: SocketAddr, stop: Arc<AtomicBool>) -> std::thread::JoinHandle<u32> {
    std::thread::spawn(move || {
        let mut pages = 0;
        // At least one page, however soon it is over.
        loop {
            let page = get(http, "/metrics").1;
            assert_page_balances(&page);
            pages += 1;
            if stop.load(Ordering::Relaxed) {
                return pages;
            }
            std::thread::park_timeout(std::time::Duration::from_millis(10));
        }
    })
}

/// Whole numbered lines of each producer, each once, none torn.
fn assert_whole(file: &std::path::Path, per_producer: u64) -> u64 {
    let text = std::fs::read_to_string(file).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    let mut seen: HashMap<&str, u64> = HashMap::new();
    for line in text.lines() {
        let (producer, number) = line
            .split_once(' ')
            .unwrap_or_else(|| panic!("torn: {line:?}"));
        let next = seen.entry(producer).or_default();
        assert_eq!(
            number.parse::<u64>().ok(),
            Some(*next),
            "of {producer}: {line:?}"
        );
        assert_eq!(number.len(), 40, "torn: {line:?}");
        *next += 1;
    }
    assert!(seen.values().all(|n| *n <= per_producer));
    seen.values().sum()
}

fn producers(
    address: SocketAddr,
    connections: u64,
    lines: u64,
) -> Vec<std::thread::JoinHandle<()>> {
    // A few threads for many connections.
    let threads = connections.min(50);
    let produce = move |t: u64| {
        for producer in (t..connections).step_by(threads as usize) {
            // tflog may have stopped listening or reading.
            let Ok(connection) = TcpStream::connect(address) else {
                return;
            };
            let mut out = std::io::BufWriter::new(connection);
            for i in 0..lines {
                if writeln!(out, "{producer} {i:0>40}").is_err() {
                    return;
                }
            }
        }
    };
    drop(connect(address));
    (0..threads)
        .map(|t| std::thread::spawn(move || produce(t)))
        .collect()
}

fn tcp_run(connections: u64, lines: u64, stop_after: u64) {
    let dir = tempfile::tempdir().unwrap();
    let (address, http) = (free_address(), free_address());
    let out = dir.path().join("out.log");
    let (from, to) = (
        format!("tcp://{address}?connections=2000"),
        format!("file://{}", out.display()),
    );
    let mut command = tflog(&[
        "--from",
        &from,
        "--to",
        &to,
        "-o",
        "raw",
        "--http",
        &http.to_string(),
    ]);
    let running = Running::start(command.stderr(Stdio::piped()));
    connect(http);
    let stop = Arc::new(AtomicBool::new(false));
    let scraper = scrape(http, stop.clone());
    let producers = producers(address, connections, lines);
    wait_for("some lines", || {
        let page = get(http, "/metrics").1;
        (metric(&page, "tflog_component_received_events_total") >= stop_after).then_some(())
    });
    stop.store(true, Ordering::Relaxed);
    assert!(scraper.join().unwrap() > 0);
    running.signal("TERM");
    let (status, stderr) = running.finish();
    assert_eq!(status.code(), Some(0), "{stderr}");
    for producer in producers {
        // Connections that came after the end were refused.
        let _ = producer.join();
    }
    let ledger = ledger(&stderr);
    assert_balanced(&ledger);
    let written = assert_whole(&out, lines);
    let sink = ledger["sinks"]
        .as_object()
        .unwrap()
        .values()
        .next()
        .unwrap();
    assert_eq!(sink["delivered"].as_u64(), Some(written));
    assert!(written >= stop_after);
}

/// 50 connections of 20,000 lines each.
#[test]
fn sigterm_amid_fifty_long_connections() {
    tcp_run(50, 20_000, 300_000);
}

/// 1,000 connections of 100 lines each.
#[test]
fn sigterm_amid_a_thousand_short_connections() {
    tcp_run(1000, 100, 30_000);
}

/// A child that writes 1,000,000 lines is told to stop and read to its end.
#[test]
fn sigterm_amid_a_million_lines_of_a_child() {
    let dir = tempfile::tempdir().unwrap();
    let (out, http) = (dir.path().join("out.log"), free_address());
    let to = format!("file://{}", out.display());
    let script =
        "trap '' TERM; exec awk 'BEGIN { for (i = 0; i < 1000000; i++) printf \"0 %040d\\n\", i }'";
    let http_text = http.to_string();
    let mut command = tflog(&[
        "exec", "--to", &to, "-o", "raw", "--http", &http_text, "--stats", "--", "sh", "-c", script,
    ]);
    let running = Running::start(command.stdout(Stdio::null()).stderr(Stdio::piped()));
    connect(http);
    wait_for("some lines", || {
        (std::fs::metadata(&out).ok()?.len() > 1 << 20).then_some(())
    });
    running.signal("TERM");
    let (_, stderr) = running.finish();
    let written = assert_whole(&out, 1_000_000);
    assert_eq!(
        written, 1_000_000,
        "the child ended well within the grace period"
    );
    assert!(
        stderr.contains(&format!("{written} received, {written} accepted")),
        "{stderr}"
    );
}

/// A sink that never answers cannot keep tflog from ending, and what it could
/// not deliver is reported as lost.
#[test]
fn a_hung_sink_is_cut_off_at_the_deadline() {
    let dir = tempfile::tempdir().unwrap();
    let hung = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let config = dir.path().join("tflog.yaml");
    let to = hung.local_addr().unwrap();
    let text = format!("sources: {{ in: stdin }}\nsinks: {{ hung: 'tcp://{to}' }}\ngrace: 1s\n");
    std::fs::write(&config, text).unwrap();
    let mut command = tflog(&["-c", config.to_str().unwrap(), "-o", "raw"]);
    let mut running = Running::start(command.stdin(Stdio::piped()).stderr(Stdio::piped()));
    let mut stdin = running.child.stdin.take().unwrap();
    let (_connection, _) = {
        stdin.write_all(b"0\n").unwrap();
        hung.accept().unwrap()
    };
    // More than the sockets between can hold, less than the sink's buffer.
    let rest = vec![b'\n'; 1 << 20];
    for _ in 0..8 {
        stdin.write_all(&rest).unwrap();
    }
    running.signal("TERM");
    drop(stdin);
    let (status, stderr) = running.finish();
    assert_eq!(status.code(), Some(3), "{stderr}");
    assert_balanced(&ledger(&stderr));
}

/// A second signal ends it at once.
#[test]
fn a_second_signal_exits_at_once() {
    let mut command = tflog(&["-o", "raw"]);
    let mut running = Running::start(
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    let mut stdin = running.child.stdin.take().unwrap();
    stdin.write_all(b"up\n").unwrap();
    let mut up = [0; 3];
    std::io::Read::read_exact(running.child.stdout.as_mut().unwrap(), &mut up).unwrap();
    // The pipe stays open, so that the first signal alone would wait.
    running.signal("TERM");
    let status = wait_for("the end", || {
        running.signal("TERM");
        running.child.try_wait().unwrap()
    });
    assert_eq!(status.code(), Some(128 + 15));
}
