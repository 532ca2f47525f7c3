//! Disk buffers: what was answered 200 is delivered, whatever happens to tflog
//! and to the sink in between.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::mpsc;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::answer::Answer;
use crate::harness::{assert_balanced, connect, free_address, get, lines, metric, tflog, wait_for};
use crate::http_source::{post, start, stop};

/// A config with an HTTP source and one sink.
fn config(dir: &Path, own: SocketAddr, http: SocketAddr, sink: &str) -> String {
    format!(
        "state: {}\ngrace: 2s\nhttp: '{http}'\nsources: {{ push: {{ url: 'http://{own}', ack_timeout: 5s }} }}\n\
         sinks: {{ {sink} }}\n",
        dir.join("state").display()
    )
}

fn to_tcp(address: SocketAddr, more: &str) -> String {
    format!("out: {{ url: 'tcp://{address}', encode: raw, buffer: {{ disk: 64MiB }}{more} }}")
}

/// Collects lines of all connections.
pub(crate) fn collect(address: SocketAddr) -> Arc<Mutex<Vec<String>>> {
    let all = Arc::new(Mutex::new(Vec::new()));
    let listener = TcpListener::bind(address).unwrap();
    let into = all.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let into = into.clone();
            std::thread::spawn(move || {
                for line in BufReader::new(stream.unwrap()).lines() {
                    // A torn last line of a killed tflog is sent again.
                    let Ok(line) = line else { return };
                    into.lock().unwrap().push(line);
                }
            });
        }
    });
    all
}

pub(crate) fn buffer(verb: &str, config: &Path) -> (Option<i32>, String) {
    let output = tflog(&["buffer", verb, "-c", config.to_str().unwrap()])
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(stderr.is_empty(), "{verb}: {stderr}");
    let stdout = String::from_utf8(output.stdout).unwrap();
    (output.status.code(), stdout)
}

/// The status of the answer; none if tflog is gone, or goes before it has answered.
fn try_post(address: SocketAddr, body: &[u8]) -> Option<u16> {
    let mut stream = TcpStream::connect(address).ok()?;
    let head = format!(
        "POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let (mut all, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(answer) = Answer::of(&all) {
            return Some(answer.status);
        }
        match stream.read(&mut buffer) {
            Ok(0) | Err(_) => return None,
            Ok(read) => all.extend_from_slice(&buffer[..read]),
        }
    }
}

fn sink<'a>(ledger: &'a serde_json::Value, name: &str) -> &'a serde_json::Value {
    &ledger["sinks"][name]
}

/// Killed with SIGKILL amid requests, again and again, with a sink that is
/// down: each event that was answered 200 is delivered once it is up.
#[test]
#[expect(clippy::print_stdout, reason = "figures for people")]
fn what_was_answered_200_survives_kill_9() {
    let rounds = std::env::var("TFLOG_TEST_KILLS").map_or(3, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let (down, mut answered) = (free_address(), Vec::new());
    for round in 0..rounds {
        let (own, http) = (free_address(), free_address());
        let text = config(dir.path(), own, http, &to_tcp(down, ""));
        let running = start(dir.path(), &text);
        drop(connect(own));
        let (tell, told) = mpsc::sync_channel(4096);
        let posters: Vec<_> = (0..4)
            .map(|poster| {
                let tell = tell.clone();
                std::thread::spawn(move || {
                    for i in 0.. {
                        let line = format!("round {round} poster {poster} event {i}");
                        let body = format!("{line}\nagain {line}\n");
                        // Killed amid the request, or before it.
                        if try_post(own, body.as_bytes()) != Some(200) {
                            return;
                        }
                        let _ = tell.send(line);
                    }
                })
            })
            .collect();
        for _ in 0..40 {
            answered.push(told.recv_timeout(Duration::from_mins(1)).unwrap());
        }
        running.signal("KILL");
        drop(running);
        drop(tell);
        answered.extend(told.iter());
        for poster in posters {
            poster.join().unwrap();
        }
    }
    let all = collect(down);
    let (own, http) = (free_address(), free_address());
    let text = config(dir.path(), own, http, &to_tcp(down, ""));
    let running = start(dir.path(), &text);
    wait_for("the backlog to be delivered", || {
        let page = get(http, "/metrics").1;
        let waits = metric(&page, "tflog_buffer_size_events") + metric(&page, "sending_events");
        (waits == 0).then_some(())
    });
    let (code, ledger) = stop(running);
    assert_eq!(code, Some(0));
    assert_balanced(&ledger);
    assert!(sink(&ledger, "out")["recovered"].as_u64() >= Some(2 * answered.len() as u64));
    wait_for("the last lines", || {
        let all = all.lock().unwrap();
        let missing = answered.iter().find(|line| !all.contains(line));
        missing.is_none().then_some(())
    });
    println!(
        "{rounds} kills amid requests, {} acknowledged, none lost",
        answered.len()
    );
}

/// SIGTERM with a sink that hangs: the backlog stays, tflog exits with 0 within
/// the grace period, and the next run delivers it, in order, each event once,
/// although it is far more than the sink's memory; the sink has another URL now.
#[test]
fn a_backlog_outlives_sigterm_and_is_delivered_in_order() {
    const REQUESTS: usize = 120;
    let dir = tempfile::tempdir().unwrap();
    let (own, http) = (free_address(), free_address());
    let hung = TcpListener::bind("127.0.0.1:0").unwrap();
    let out = to_tcp(hung.local_addr().unwrap(), "").replace("disk:", "memory: 1MiB, disk:");
    let text = config(dir.path(), own, http, &out);
    let running = start(dir.path(), &text);
    let mut sent = Vec::new();
    for request in 0..REQUESTS {
        let lines: Vec<_> = (0..200)
            .map(|i| format!("request {request} line {i} {}", "x".repeat(500)))
            .collect();
        let answer = post(own, "", (lines.join("\n") + "\n").as_bytes());
        assert_eq!(answer.status, 200, "{}", answer.body);
        sent.extend(lines);
    }
    let page = get(http, "/metrics").1;
    let of = |part: &str| metric(&page, part);
    assert!(
        of(
            "tflog_buffer_size_bytes{component_id=\"out\",component_kind=\"sink\",component_type=\"tcp\",kind=\"memory\"}"
        ) <= 3 << 20,
        "{page}"
    );
    let waits = of("tflog_buffer_size_events") + of("tflog_sink_sending_events");
    // What is in the socket's own buffers may count as handed over.
    assert!(waits > sent.len() as u64 / 3, "{page}");
    let (_, ls) = buffer("ls", &dir.path().join("tflog.yaml"));
    assert!(ls.contains("out"), "{ls}");
    let asked = std::time::Instant::now();
    let (code, ledger) = stop(running);
    assert!(asked.elapsed() < Duration::from_secs(10));
    assert_eq!(code, Some(0), "{ledger}");
    let source = &ledger["sources"]["push"];
    assert_eq!(source["accepted"], sent.len(), "{ledger}");
    let kept = sink(&ledger, "out")["queued_disk"].as_u64().unwrap();
    let handed_over = sink(&ledger, "out")["delivered"].as_u64().unwrap();
    assert_eq!(kept + handed_over, sent.len() as u64, "{ledger}");
    drop(hung);
    let file = dir.path().join("out.log");
    let out = format!(
        "out: {{ url: 'file://{}', encode: raw, buffer: {{ memory: 1MiB, disk: 64MiB }} }}",
        file.display()
    );
    let text = config(dir.path(), own, http, &out);
    let running = start(dir.path(), &text);
    wait_for("the backlog to be delivered", || {
        let page = get(http, "/metrics").1;
        let waits =
            metric(&page, "tflog_buffer_size_events") + metric(&page, "tflog_sink_sending_events");
        (waits == 0).then_some(())
    });
    assert_eq!(post(own, "", b"the last one\n").status, 200);
    let (code, ledger) = stop(running);
    assert_eq!(code, Some(0));
    assert_balanced(&ledger);
    sent.push("the last one".to_owned());
    let got = lines(&file);
    // A record of which a part was handed over is delivered whole.
    assert!(got.len() as u64 > kept, "{} of {kept}", got.len());
    assert!(got == sent[sent.len() - got.len()..], "in order, each once");
    let (code, verified) = buffer("verify", &dir.path().join("tflog.yaml"));
    assert_eq!(code, Some(0), "{verified}");
    assert!(
        verified.contains("out: ok: 0 events in 0 records wait"),
        "{verified}"
    );
}

/// A disk buffer that is full: 429, in bounded memory, and 200 again when the
/// sink is back.
#[test]
fn a_full_disk_buffer_refuses_requests() {
    let dir = tempfile::tempdir().unwrap();
    let (own, http, down) = (free_address(), free_address(), free_address());
    let out = to_tcp(down, "").replace("disk: 64MiB", "memory: 1MiB, disk: 8MiB");
    let running = start(dir.path(), &config(dir.path(), own, http, &out));
    let body = format!("{}\n", "x".repeat(999)).repeat(300);
    let (mut taken, mut refused) = (0_u64, 0);
    // Refused for want of memory, too, when the disk is slow.
    let is_full = || metric(&get(http, "/metrics").1, "tflog_buffer_disk_full") == 1;
    while refused < 3 || !is_full() {
        match post(own, "", body.as_bytes()).status {
            200 => taken += 1,
            429 => refused += 1,
            // Admitted at the head, and then there was no room.
            503 => {}
            other => panic!("{other}"),
        }
        assert!(taken < 100, "the buffer never fills");
    }
    assert!(taken > 10, "{taken} requests fit into 8 MiB");
    assert!(running.peak_bytes() < 64 << 20);
    let (status, reasons) = get(http, "/health/ready?accept");
    assert_eq!(status, 503, "{reasons}");
    let all = collect(down);
    wait_for("room", || {
        (post(own, "", b"after\n").status == 200).then_some(())
    });
    wait_for("all that was answered 200", || {
        (all.lock().unwrap().len() as u64 > taken * 300).then_some(())
    });
    let (code, ledger) = stop(running);
    assert_eq!(code, Some(0), "{ledger}");
}

/// The backlog of a sink that is gone from the config is kept and named, and
/// delivered when the sink is back.
#[test]
fn a_removed_sinks_backlog_is_kept() {
    let dir = tempfile::tempdir().unwrap();
    let (own, http, down) = (free_address(), free_address(), free_address());
    let text = config(dir.path(), own, http, &to_tcp(down, ""));
    let running = start(dir.path(), &text);
    assert_eq!(post(own, "", b"{\"a\":1}\nplain\n").status, 200);
    assert_eq!(stop(running).0, Some(0));
    let path = dir.path().join("tflog.yaml");
    let file = dir.path().join("other.log");
    let other = format!(
        "other: {{ url: 'file://{}', encode: raw, buffer: {{ disk: 8MiB }} }}",
        file.display()
    );
    let running = start(dir.path(), &config(dir.path(), own, http, &other));
    assert_eq!(post(own, "", b"for the other\n").status, 200);
    let (_, ls) = buffer("ls", &path);
    assert!(ls.contains("kept: no sink of the config takes it"), "{ls}");
    let (_, dump) = buffer("dump", &path);
    let events: Vec<serde_json::Value> = dump
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .filter(|line: &serde_json::Value| line["sink"] == "out")
        .collect();
    assert_eq!(events.len(), 2, "{dump}");
    assert_eq!(events[0]["event"]["a"], 1);
    assert_eq!(events[1]["event"], "plain");
    assert_eq!(events[1]["source"], "push");
    running.signal("TERM");
    let (status, stderr) = running.finish();
    assert_eq!(status.code(), Some(0));
    assert!(
        stderr.contains("no sink `out` has a disk buffer: they are kept"),
        "{stderr}"
    );
    assert_eq!(lines(&file), ["for the other"]);
    // Nothing of this config keeps state: the backlog is named all the same.
    let output = tflog(&["--to", "blackhole"])
        .env("TFLOG_STATE", dir.path().join("state"))
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("no sink `out` has a disk buffer"),
        "{stderr}"
    );
    let all = collect(down);
    let running = start(dir.path(), &text);
    wait_for("the backlog", || {
        (all.lock().unwrap().len() == 2).then_some(())
    });
    assert_eq!(stop(running).0, Some(0));
    assert_eq!(*all.lock().unwrap(), ["{\"a\":1}", "plain"]);
}

/// What is read back is parsed as its source says, with the edits that it had,
/// for a sink that needs other fields than before.
#[test]
fn a_backlog_is_parsed_again_for_the_plan_of_today() {
    let dir = tempfile::tempdir().unwrap();
    let (own, http, down) = (free_address(), free_address(), free_address());
    let config = |sink: &str| {
        config(dir.path(), own, http, sink).replace(
            "ack_timeout",
            "parse: logfmt, with: [ { set: { env: dev }, when: 'level >= error' } ], ack_timeout",
        )
    };
    let running = start(dir.path(), &config(&to_tcp(down, "")));
    let body = b"service=pay level=info msg=one\nservice=web level=error msg=two\n";
    assert_eq!(post(own, "", body).status, 200);
    assert_eq!(stop(running).0, Some(0));
    let out = format!(
        "out: {{ url: 'file://{}/{{service}}.jsonl', buffer: {{ disk: 8MiB }} }}",
        dir.path().display()
    );
    let running = start(dir.path(), &config(&out));
    wait_for("both files", || {
        let there = |name: &str| dir.path().join(name).exists();
        (there("pay.jsonl") && there("web.jsonl")).then_some(())
    });
    assert_eq!(stop(running).0, Some(0));
    let event = |name: &str| -> serde_json::Value {
        serde_json::from_str(&lines(&dir.path().join(name))[0]).unwrap()
    };
    assert_eq!(event("pay.jsonl")["msg"], "one");
    assert_eq!(event("pay.jsonl")["env"], serde_json::Value::Null);
    assert_eq!(event("web.jsonl")["env"], "dev");
    assert_eq!(event("web.jsonl")["level"], "error");
}

/// A best-effort sink with a full disk buffer drops, counts what it drops, and
/// holds nobody up; what it has is delivered.
#[test]
fn a_best_effort_sink_with_a_full_disk_holds_nobody_up() {
    let dir = tempfile::tempdir().unwrap();
    let (own, http, down) = (free_address(), free_address(), free_address());
    let more = ", required: false, when_full: drop_oldest";
    let out = to_tcp(down, more).replace("disk: 64MiB", "memory: 1MiB, disk: 8MiB");
    let running = start(dir.path(), &config(dir.path(), own, http, &out));
    let filler = "x".repeat(999);
    let requests = 60;
    for request in 0..requests {
        let body = format!("{request} {filler}\n").repeat(300);
        assert_eq!(post(own, "", body.as_bytes()).status, 200);
    }
    let (code, ledger) = stop(running);
    assert_eq!(code, Some(0), "{ledger}");
    let terms = sink(&ledger, "out");
    let number = |name: &str| terms[name].as_u64().unwrap();
    let dropped = terms["dropped"]["buffer_full"].as_u64().unwrap();
    assert_eq!(number("entered"), requests * 300);
    assert_eq!(number("queued_disk") + dropped, requests * 300, "{terms}");
    let kept = number("queued_disk");
    assert!(kept > 1000 && dropped > 3000, "{terms}");
    let all = collect(down);
    let running = start(dir.path(), &config(dir.path(), own, http, &out));
    wait_for("what was kept", || {
        (all.lock().unwrap().len() as u64 >= kept).then_some(())
    });
    drop(running);
}

/// A disk buffer without a place for it is refused before anything is accepted.
#[test]
fn a_disk_buffer_needs_a_state_directory() {
    let output = tflog(&["check", "-c", "/dev/null"])
        .env("TFLOG_TO", "out=tcp://127.0.0.1:1?buffer.disk=1GiB")
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{stderr}");
    assert!(
        stderr.contains("there is no state directory for it"),
        "{stderr}"
    );
    assert!(stderr.contains("TFLOG_STATE"), "{stderr}");
}
