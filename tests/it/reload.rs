//! A changed config is put in force while events flow: none is lost, none comes
//! twice, and what is not changed is not touched.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::answer::Answer;
use crate::harness::{
    Running, assert_balanced, connect, free_address, get, ledger, lines, metric, tflog, wait_for,
};
use crate::shutdown::{assert_routing_balances, scrape};

/// How many reloads there are, if not so many.
const LONG: &str = "TFLOG_TEST_RELOADS";
const RELOADS: u64 = 100;
/// Lines a second of a producer; where no more is said, few enough that the test
/// is of reloads and not of how fast two cores are.
const RATE: u64 = 5_000;
/// Of the two TCP producers of the test under load: with two that post, each of
/// which waits for answers, 50,000 a second.
const HIGH_RATE: u64 = 20_000;
/// A producer sends what is due so often.
const TICK: Duration = Duration::from_millis(2);
/// Lines of a burst at most, where it was held up.
const BURST_MAX: u64 = 200;

/// A tflog with a config file that changes.
pub(crate) struct Service {
    running: Running,
    pub(crate) directory: tempfile::TempDir,
    config: PathBuf,
    pub(crate) http: SocketAddr,
    reloads: [u64; 2],
}

impl Service {
    pub(crate) fn start(config: impl Fn(&Path) -> String) -> Service {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tflog.yaml");
        std::fs::write(&path, config(directory.path())).unwrap();
        let http = free_address();
        let mut command = tflog(&["-c", path.to_str().unwrap(), "--http", &http.to_string()]);
        let command = command.stdin(Stdio::null()).stderr(Stdio::piped());
        // Some hundred reloads fill the pipe.
        let running = Running::start(command).listen();
        connect(http);
        // It answers once all sources are open.
        get(http, "/health");
        Service {
            running,
            config: path,
            directory,
            http,
            reloads: [0, 0],
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Reloads as the config now says; whether it was put in force.
    pub(crate) fn reload(&mut self, config: &str, good: bool) {
        std::fs::write(&self.config, config).unwrap();
        self.running.signal("HUP");
        self.reloads[usize::from(!good)] += 1;
        let result = ["success", "failure"][usize::from(!good)];
        let series = format!("tflog_config_reloads_total{{result=\"{result}\"}}");
        let wanted = self.reloads[usize::from(!good)];
        wait_for("the reload", || {
            let page = get(self.http, "/metrics").1;
            assert_routing_balances(&page);
            let count = metric(&page, &series);
            assert!(count <= wanted, "{page}");
            (count == wanted).then_some(())
        });
    }

    /// Stops it; what it wrote to stderr.
    pub(crate) fn stop(self) -> (String, tempfile::TempDir) {
        self.running.signal("TERM");
        let (status, stderr) = self.running.finish();
        assert_eq!(status.code(), Some(0), "{stderr}");
        assert_balanced(&ledger(&stderr));
        (stderr, self.directory)
    }
}

/// Passes numbered lines on at a rate until told to stop; how many.
fn produce(
    (name, rate): (&str, u64),
    stop: &Arc<AtomicBool>,
    mut give: impl FnMut(&str) + Send + 'static,
) -> JoinHandle<u64> {
    let (name, stop) = (name.to_owned(), stop.clone());
    std::thread::spawn(move || {
        let (start, mut sent, mut text) = (Instant::now(), 0, String::new());
        while !stop.load(Ordering::Relaxed) {
            let due = (start.elapsed().as_secs_f64() * rate as f64) as u64;
            let end = due.min(sent + BURST_MAX);
            if sent < end {
                text.clear();
                for n in sent..end {
                    writeln!(text, "{name} {n}").unwrap();
                }
                give(&text);
                sent = end;
            }
            if sent >= due {
                std::thread::park_timeout(TICK);
            }
        }
        sent
    })
}

/// Sends numbered lines over one TCP connection until told to stop; how many.
fn tcp_producer(address: SocketAddr, name: (&str, u64), stop: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let mut stream = connect(address);
    produce(name, stop, move |text| {
        let written = stream.write_all(text.as_bytes());
        written.expect("the connection stays");
    })
}

/// Posts numbered lines until told to stop; how many were accepted.
fn http_producer(address: SocketAddr, name: &str, stop: &Arc<AtomicBool>) -> JoinHandle<u64> {
    let mut stream = connect(address);
    produce((name, RATE), stop, move |text| {
        let answer = post(&mut stream, text);
        assert_eq!(answer.status, 200, "{answer:?}");
    })
}

fn post(stream: &mut TcpStream, body: &str) -> Answer {
    let length = body.len();
    let request = format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(request.as_bytes()).expect("open");
    let mut reply = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).expect("open");
        assert!(read > 0, "closed in the middle of a request");
        reply.extend_from_slice(&buffer[..read]);
        if let Some(answer) = Answer::of(&reply) {
            return answer;
        }
    }
}

/// By producer, how often each number came.
fn seen(files: &[PathBuf]) -> HashMap<String, HashMap<u64, u32>> {
    let mut seen: HashMap<String, HashMap<u64, u32>> = HashMap::new();
    for line in files.iter().flat_map(|file| lines(file)) {
        let (producer, number) = line.split_once(' ').unwrap_or_else(|| panic!("{line:?}"));
        let number = number.parse().unwrap_or_else(|_| panic!("torn: {line:?}"));
        *seen
            .entry(producer.to_owned())
            .or_default()
            .entry(number)
            .or_default() += 1;
    }
    seen
}

fn assert_all(seen: &HashMap<String, HashMap<u64, u32>>, producer: &str, sent: u64) {
    let numbers = seen
        .get(producer)
        .unwrap_or_else(|| panic!("nothing of {producer}"));
    let missing: Vec<_> = (0..sent).filter(|n| !numbers.contains_key(n)).collect();
    assert!(missing.is_empty(), "{producer} of {sent}: {missing:?}");
    let twice: Vec<_> = numbers.iter().filter(|(_, times)| **times > 1).collect();
    assert!(twice.is_empty(), "{producer}: {twice:?}");
}

/// Measures the longest time between two arrivals at any of some files, as far
/// as looking every millisecond tells: in microseconds, since it was last taken
/// out of what this gives.
fn watch_gaps<const N: usize>(files: [PathBuf; N], stop: &Arc<AtomicBool>) -> Arc<AtomicU64> {
    let longest = Arc::new(AtomicU64::new(0));
    let (stop, into) = (stop.clone(), longest.clone());
    std::thread::spawn(move || {
        let sizes = || {
            files
                .each_ref()
                .map(|f| f.metadata().map_or(0, |m| m.len()))
        };
        let (mut before, mut since) = (sizes(), [Instant::now(); N]);
        while !stop.load(Ordering::Relaxed) {
            let now = sizes();
            for at in (0..N).filter(|&at| now[at] != before[at]) {
                let gap = since[at].elapsed().as_micros() as u64;
                into.fetch_max(gap, Ordering::Relaxed);
                since[at] = Instant::now();
            }
            before = now;
            std::thread::park_timeout(Duration::from_millis(1));
        }
    });
    longest
}

/// Reload after reload under load from TCP and HTTP, each of which changes a
/// route, a rule, a sink and a `with` list: no connection breaks, every event
/// arrives once, every page balances. How long nothing was delivered is printed,
/// for the sink that stays and the one that changes.
#[test]
#[expect(clippy::print_stdout, reason = "figures for people")]
fn reloads_under_load_lose_nothing() {
    let reloads = std::env::var(LONG).map_or(RELOADS, |n| n.parse().unwrap());
    let (tcp, push) = (free_address(), free_address());
    let config = |directory: &Path, turn: u64| {
        let directory = directory.display();
        // One sink is always there, one changes each time, one comes and goes.
        let (size, rule) = (100 + turn % 7, turn % 2);
        let third = if turn.is_multiple_of(3) {
            format!("  third: {{ url: 'file://{directory}/third', encode: raw }}\n")
        } else {
            String::new()
        };
        let route = if turn.is_multiple_of(3) {
            format!("  - {{ name: c{turn}, when: 'message endswith \"7\"', to: third }}\n")
        } else {
            String::new()
        };
        format!(
            "sources:\n  net: tcp://{tcp}\n  push: {{ url: 'http://{push}' }}\n\
             routes:\n{route}  - {{ name: r{rule}, when: 'message endswith \"{rule}\"', to: second }}\n  - {{ name: rest, with: [ {{ sample: 100% }}, {{ count: seen_{rule}_total }} ], to: first }}\n\
             sinks:\n  first: {{ url: 'file://{directory}/first', encode: raw }}\n  second: {{ url: 'file://{directory}/second', encode: raw, open_max: {size} }}\n{third}"
        )
    };
    let mut service = Service::start(|directory| config(directory, 1));
    let stop = Arc::new(AtomicBool::new(false));
    let pages = scrape(service.http, stop.clone());
    let watched = ["first", "second"].map(|name| service.path(name));
    let longest = watch_gaps(watched, &stop);
    let tcp = ["a", "b"].map(|name| (name, tcp_producer(tcp, (name, HIGH_RATE), &stop)));
    let http = ["x", "y"].map(|name| (name, http_producer(push, name, &stop)));
    let (start, mut gaps) = (Instant::now(), Vec::new());
    for turn in 0..reloads {
        let text = config(service.directory.path(), turn);
        service.reload(&text, true);
        gaps.push(Duration::from_micros(longest.swap(0, Ordering::Relaxed)));
    }
    let took = start.elapsed();
    stop.store(true, Ordering::Relaxed);
    let sent: Vec<_> = tcp
        .into_iter()
        .chain(http)
        .map(|(name, producer)| (name, producer.join().expect("no connection broke")))
        .collect();
    assert!(pages.join().expect("every page balances") > 0);
    let files = ["first", "second", "third"].map(|name| service.path(name));
    let (stderr, _directory) = service.stop();
    let seen = seen(&files);
    for (name, sent) in &sent {
        assert_all(&seen, name, *sent);
    }
    let total: u64 = sent.iter().map(|(_, sent)| sent).sum();
    let received = &ledger(&stderr)["sources"];
    assert_eq!(
        received["net"]["received"].as_u64().unwrap()
            + received["push"]["received"].as_u64().unwrap(),
        total
    );
    gaps.sort_unstable();
    let at = |part: f64| gaps[((gaps.len() - 1) as f64 * part) as usize];
    println!(
        "{reloads} reloads, {total} events, {:.0} a second; longest gap between deliveries: p50 {:?}, p99 {:?}, at most {:?}",
        total as f64 / took.as_secs_f64(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}

/// A config that cannot work leaves the one before in force, with its
/// diagnostics on stderr, whether it is wrong as text, in its meaning, or only
/// in this place: events flow on, and a good one after it is taken.
#[test]
fn a_bad_config_is_refused_while_events_flow() {
    let net = free_address();
    let config = |directory: &Path, more: &str| {
        let directory = directory.display();
        format!(
            "sources:\n  net: tcp://{net}\n{more}sinks:\n  out: {{ url: 'file://{directory}/out', encode: raw }}\n"
        )
    };
    let occupied = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = occupied.local_addr().unwrap();
    let mut service = Service::start(|directory| config(directory, ""));
    let stop = Arc::new(AtomicBool::new(false));
    let producer = tcp_producer(net, ("a", RATE), &stop);
    let directory = service.directory.path().to_owned();
    service.reload("sources: [", false);
    service.reload(&config(&directory, "  other: tpc://:1\n"), false);
    service.reload(
        &config(&directory, &format!("  other: tcp://{taken}\n")),
        false,
    );
    service.reload(
        &config(&directory, &format!("  other: tcp://{net}\n")),
        false,
    );
    let http = service.http;
    service.reload(
        &config(&directory, &format!("  other: tcp://{http}\n")),
        false,
    );
    let free = free_address();
    service.reload(
        &config(&directory, &format!("  other: tcp://{free}\n")),
        true,
    );
    let other = tcp_producer(free, ("b", RATE), &stop);
    wait_for("events of both", || {
        (seen(&[service.path("out")]).len() == 2).then_some(())
    });
    stop.store(true, Ordering::Relaxed);
    let sent = [producer, other].map(|p| p.join().expect("no connection broke"));
    let out = service.path("out");
    let (stderr, _directory) = service.stop();
    let seen = seen(&[out]);
    assert_all(&seen, "a", sent[0]);
    assert_all(&seen, "b", sent[1]);
    for part in [
        "tpc",
        "cannot listen",
        "both listen at",
        "tflog's own listener is at",
        "stays in force",
    ] {
        assert!(stderr.contains(part), "{part}: {stderr}");
    }
}

/// A sink and a source that are taken out drain; their counts stay, and come back
/// with the name.
#[test]
fn what_is_removed_drains_and_its_counts_stay() {
    let (net, extra) = (free_address(), free_address());
    let config = |directory: &Path, with: bool| {
        let directory = directory.display();
        let (source, sink) = if with {
            (
                format!("  extra: tcp://{extra}\n"),
                format!("  second: {{ url: 'file://{directory}/second', encode: raw }}\n"),
            )
        } else {
            (String::new(), String::new())
        };
        format!(
            "sources:\n  net: tcp://{net}\n{source}sinks:\n  first: {{ url: 'file://{directory}/first', encode: raw }}\n{sink}"
        )
    };
    let mut service = Service::start(|directory| config(directory, true));
    let directory = service.directory.path().to_owned();
    let mut stream = connect(extra);
    stream.write_all(b"e 0\n").unwrap();
    wait_for("the first", || {
        (lines(&service.path("second")).len() == 1).then_some(())
    });
    service.reload(&config(&directory, false), true);
    // Its listener is closed; its connection is read until it ends.
    wait_for("closed", || TcpStream::connect(extra).err());
    stream.write_all(b"e 1\n").unwrap();
    drop(stream);
    wait_for("the second", || {
        (lines(&service.path("first")).len() == 2).then_some(())
    });
    let mut stream = connect(net);
    stream.write_all(b"n 0\n").unwrap();
    wait_for("the third", || {
        (lines(&service.path("first")).len() == 3).then_some(())
    });
    let page = get(service.http, "/metrics").1;
    let entered = |page: &str, sink: &str| {
        metric(
            page,
            &format!("tflog_sink_entered_events_total{{component_id=\"{sink}\""),
        )
    };
    // Of a source that was removed, the plan of its time decides.
    assert_eq!(
        (entered(&page, "first"), entered(&page, "second")),
        (3, 2),
        "{page}"
    );
    service.reload(&config(&directory, true), true);
    stream.write_all(b"n 1\n").unwrap();
    wait_for("the fourth", || {
        (lines(&service.path("second")).len() == 3).then_some(())
    });
    let page = get(service.http, "/metrics").1;
    assert_eq!(
        (entered(&page, "first"), entered(&page, "second")),
        (4, 3),
        "{page}"
    );
    drop(stream);
    service.stop();
}

/// What waits for a sink that cannot be reached goes to the one that the new
/// config puts in its place, with the fields that only this one needs.
#[test]
fn a_changed_sink_inherits_what_waits() {
    let (net, gone) = (free_address(), free_address());
    let mut service = Service::start(|_| {
        format!(
            "sources:\n  net: tcp://{net}\nsinks:\n  out: {{ url: 'tcp://{gone}', encode: raw }}\n"
        )
    });
    let mut stream = connect(net);
    let sent = 1000_u64;
    for n in 0..sent {
        let service = ["pay", "cart"][(n % 2) as usize];
        let line = format!("{{\"service\":\"{service}\",\"n\":{n}}}\n");
        stream.write_all(line.as_bytes()).unwrap();
    }
    wait_for("retries", || {
        let page = get(service.http, "/metrics").1;
        let waits =
            metric(&page, "tflog_buffer_size_events") + metric(&page, "tflog_sink_sending_events");
        (waits == sent && metric(&page, "tflog_sink_retries_total") > 0).then_some(())
    });
    let directory = service.directory.path().display().to_string();
    let text = format!(
        "sources:\n  net: tcp://{net}\nsinks:\n  out: {{ url: 'file://{directory}/{{service}}', encode: raw }}\n"
    );
    service.reload(&text, true);
    let files = ["pay", "cart"].map(|name| service.path(name));
    for file in &files {
        wait_for("all of them", || {
            (lines(file).len() as u64 == sent / 2).then_some(())
        });
    }
    drop(stream);
    let (stderr, _directory) = service.stop();
    let out = &ledger(&stderr)["sinks"]["out"];
    assert_eq!(
        (out["entered"].as_u64(), out["delivered"].as_u64()),
        (Some(sent), Some(sent))
    );
}

/// A listener that is written otherwise keeps its port: whoever connects is
/// heard, before, meanwhile and after, and open connections go on.
#[test]
fn a_changed_listener_refuses_nobody() {
    let net = free_address();
    let config = |directory: &Path, connections: u64| {
        let directory = directory.display();
        format!(
            "sources:\n  net: {{ url: 'tcp://{net}', connections: {connections} }}\nsinks:\n  out: {{ url: 'file://{directory}/out', encode: raw }}\n"
        )
    };
    let mut service = Service::start(|directory| config(directory, 100));
    let directory = service.directory.path().to_owned();
    let stop = Arc::new(AtomicBool::new(false));
    let stays = tcp_producer(net, ("stays", RATE), &stop);
    let count = Arc::new(AtomicU64::new(0));
    let knocking = {
        let (stop, count) = (stop.clone(), count.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let mut stream = TcpStream::connect(net).expect("somebody always listens");
                let number = count.fetch_add(1, Ordering::Relaxed);
                stream
                    .write_all(format!("knock {number}\n").as_bytes())
                    .unwrap();
                std::thread::park_timeout(Duration::from_millis(1));
            }
        })
    };
    for turn in 0..20 {
        service.reload(&config(&directory, 101 + turn), true);
    }
    stop.store(true, Ordering::Relaxed);
    knocking.join().expect("nobody was refused");
    let sent = stays.join().expect("it went on");
    let out = service.path("out");
    let (_, _directory) = service.stop();
    let seen = seen(&[out]);
    assert_all(&seen, "stays", sent);
    assert_all(&seen, "knock", count.load(Ordering::Relaxed));
}
