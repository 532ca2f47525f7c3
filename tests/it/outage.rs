//! A sink that is away for an hour: what is read meanwhile is on disk, memory
//! stays as it is, and all of it is delivered afterwards.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::time::Instant;

use tflog::buffer::disk::Compression;
use tflog::event::{Chunk, Timestamp};
use tflog::pipeline::{DiskBuffer, Fsync, Pipeline};
use tflog::seam::{StateDirectory, World};
use tflog::sink::{Load, Sink, SinkError, SinkFuture, Written};
use tflog::source::{Outlet, Source, SourceFuture, Stop};

use crate::accounting::plan;
use crate::harness::{alone, assert_balanced, connect, free_address, memory_bytes};
use crate::http_source;

/// How long the sink is away, and how long events come in all.
const OUTAGE: Duration = Duration::from_hours(1);
const EVENTS_FOR: Duration = Duration::from_mins(62);
/// Events a second: a batch of so many, every so often.
const BATCH_EVENTS: u64 = 1000;
const BATCH_EVERY: Duration = Duration::from_millis(100);
/// The buffer on disk is full before the sink is back. Less than what containers
/// have of `/dev/shm`.
const DISK_BYTES: u64 = 48 << 20;
const MEMORY_BYTES: u64 = 4 << 20;
/// What the process may hold more at any time than it did after a minute.
const GROWTH_BYTES_MAX: u64 = 16 << 20;

/// The lines of a batch: the first says which it is.
fn batch(number: u64, into: &mut Vec<u8>, rest: &[u8]) {
    into.extend_from_slice(format!("batch {number:>12}\n").as_bytes());
    into.extend_from_slice(rest);
}

/// Its other lines.
fn rest() -> Vec<u8> {
    let line = |n| format!("a line like any other, number {n:>3}\n");
    (1..BATCH_EVENTS)
        .flat_map(|n| line(n).into_bytes())
        .collect()
}

/// Sends batches at a steady rate, as far as there is room.
struct Steady {
    sent: Arc<AtomicU64>,
}

impl Source for Steady {
    fn run(self: Box<Self>, outlet: Outlet, _stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            let (stream, rest) = (outlet.stream(Vec::new()), rest());
            let (start, mut position) = (Instant::now(), 0);
            let mut due = start;
            while due < start + EVENTS_FOR {
                tokio::time::sleep_until(due).await;
                let mut chunk: Box<Chunk> = outlet.pool.take(256 << 10);
                batch(self.sent.load(Ordering::Relaxed), &mut chunk.text, &rest);
                let ends = memchr::memchr_iter(b'\n', &chunk.text).map(|at| at as u32 + 1);
                chunk.ends = ends.collect();
                let bytes = chunk.text.len() as u64;
                outlet.send(&stream, position, chunk).await?;
                self.sent.fetch_add(1, Ordering::Relaxed);
                position += bytes;
                // Whoever is held up does not hurry afterwards.
                due = (due + BATCH_EVERY).max(Instant::now());
            }
            Ok(())
        })
    }
}

/// Away until a time; then takes the batches, which come in order and whole.
struct Away {
    until: Instant,
    taken: Arc<AtomicU64>,
    rest: Vec<u8>,
}

impl Sink for Away {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(async move {
            if Instant::now() < self.until {
                return Err(SinkError::Retry {
                    message: "connection refused".into(),
                    after: None,
                });
            }
            for part in &load.parts {
                let mut wanted = Vec::new();
                batch(self.taken.load(Ordering::Relaxed), &mut wanted, &self.rest);
                assert_eq!(part.rows.count(part.batch.rows()), BATCH_EVENTS as usize);
                assert!(part.batch.text() == wanted, "another batch, or altered");
                self.taken.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Written::default())
        })
    }
}

/// Bytes of the files below a directory.
fn tree_bytes(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else {
        return 0;
    };
    // What is removed meanwhile takes nothing.
    let bytes = entries.flatten().map(|entry| match entry.metadata() {
        Ok(found) if found.is_dir() => tree_bytes(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    });
    bytes.sum()
}

/// An hour at 10,000 events a second without the sink, whose buffer is full
/// before it is back: the process holds no more than it did after a minute, the
/// disk is within its cap, and every event is delivered, in order, once.
#[tokio::test(start_paused = true)]
#[expect(clippy::print_stdout, reason = "figures for people")]
async fn an_hour_without_the_sink_takes_the_disk_and_no_memory() {
    if !alone("outage::an_hour_without_the_sink_takes_the_disk_and_no_memory") {
        return;
    }
    // In memory, where there is such a disk: 36,000 syncs are not what is tested.
    let disk = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir());
    let disk = disk.expect("a directory");
    let (sent, taken) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let sink = Away {
        until: Instant::now() + OUTAGE,
        taken: taken.clone(),
        rest: rest(),
    };
    let world = World::simulated(Timestamp(0), 7);
    let mut plan = plan(Steady { sent: sent.clone() }, sink);
    plan.state = Some(StateDirectory::new(disk.path(), world.disk.clone()));
    plan.sinks[0].quota.bytes_max = MEMORY_BYTES;
    plan.sinks[0].disk = Some(DiskBuffer {
        bytes_max: DISK_BYTES,
        fsync: Fsync::Ack,
        compression: Compression::Zstd,
    });
    let pipeline = Pipeline::start(plan, &world).await.expect("it starts");
    let monitor = pipeline.monitor();
    let looking = async {
        let (mut first, mut most, mut full) = (None, 0, 0);
        for minute in 1..60 {
            tokio::time::sleep(Duration::from_mins(1)).await;
            let sink = monitor.snapshot().sinks.swap_remove(0);
            assert!(sink.queued_bytes <= MEMORY_BYTES, "{sink:?}");
            let (terms, bytes) = (sink.disk.expect("a disk"), tree_bytes(disk.path()));
            assert!(
                bytes <= DISK_BYTES && terms.bytes <= DISK_BYTES,
                "{bytes}, {terms:?}"
            );
            full += u32::from(terms.full);
            let held = memory_bytes(std::process::id());
            let first = *first.get_or_insert(held);
            assert!(
                held < first + GROWTH_BYTES_MAX,
                "minute {minute}: {held}, {first} at first"
            );
            most = most.max(held);
        }
        (first.unwrap_or_default(), most, full)
    };
    let (report, (first, most, full)) = tokio::join!(pipeline.finish(), looking);
    assert_eq!(report.failures, [""; 0]);
    assert!((10..50).contains(&full), "full for {full} minutes");
    let sent = sent.load(Ordering::Relaxed);
    assert_eq!(taken.load(Ordering::Relaxed), sent);
    assert_eq!(report.snapshot.violations_at_end(), [""; 0]);
    assert_eq!(report.snapshot.sources[0].accepted, sent * BATCH_EVENTS);
    assert_eq!(report.snapshot.sinks[0].delivered, sent * BATCH_EVENTS);
    println!(
        "an hour without the sink, {} events, {full} minutes with a full disk; memory {:.1} MiB at first, {:.1} at most",
        sent * BATCH_EVENTS,
        mib(first),
        mib(most)
    );
}

fn mib(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}

/// How long the far end of a real one is away, in seconds, if not so long.
const LONG: &str = "SOAK_OUTAGE_SECONDS";
const SECONDS: u64 = 5;
/// Events a second, in requests of so many from so many clients.
const RATE: u64 = 10_000;
const REQUEST_EVENTS: u64 = 250;
const CLIENTS: u64 = 2;

/// Posts numbered lines at its part of the rate, for so long; how many were
/// accepted, which is all of them.
fn client(address: SocketAddr, name: u64, seconds: u64) -> JoinHandle<u64> {
    std::thread::spawn(move || {
        let mut stream = connect(address);
        let start = std::time::Instant::now();
        let every = Duration::from_secs(REQUEST_EVENTS * CLIENTS) / RATE as u32;
        let mut sent = 0;
        while start.elapsed() < Duration::from_secs(seconds) {
            let due = every * (sent / REQUEST_EVENTS) as u32;
            std::thread::sleep(due.saturating_sub(start.elapsed()));
            let mut body = String::new();
            for n in sent..sent + REQUEST_EVENTS {
                // Writing to a string cannot fail.
                let _ = writeln!(body, "{name} {n} {:=<80}", "");
            }
            http_source::send(&mut stream, "/", "", body.as_bytes());
            let answer = http_source::answer(&mut stream);
            assert_eq!(answer.status, 200, "{}", answer.body);
            sent += REQUEST_EVENTS;
        }
        sent
    })
}

/// The same for real: with a far end that is away, 10,000 events a second are
/// accepted; memory and disk are as they should be at every look; and when the
/// far end comes, it gets each event once.
#[test]
#[expect(clippy::print_stdout, reason = "figures for people")]
fn a_far_end_that_is_away_takes_the_disk_and_no_memory() {
    const CAP: u64 = 1 << 30;
    let seconds = std::env::var(LONG).map_or(SECONDS, |n| n.parse().unwrap());
    let dir = tempfile::tempdir().unwrap();
    let (own, http, away) = (free_address(), free_address(), free_address());
    let text = format!(
        "state: {}\nhttp: '{http}'\nsources: {{ push: 'http://{own}' }}\n\
         sinks: {{ out: {{ url: 'tcp://{away}', encode: raw, buffer: {{ memory: 8MiB, disk: 1GiB }} }} }}\n",
        dir.path().join("state").display()
    );
    let running = http_source::start(dir.path(), &text);
    // Once everything has been in use.
    let warm = client(own, CLIENTS, 1).join().unwrap();
    let (first, mut most, mut disk) = (running.memory_bytes(), 0, 0);
    let clients: Vec<_> = (0..CLIENTS).map(|n| client(own, n, seconds)).collect();
    while clients.iter().any(|client| !client.is_finished()) {
        most = most.max(running.memory_bytes());
        disk = disk.max(tree_bytes(&dir.path().join("state")));
        assert!(
            most < first + GROWTH_BYTES_MAX,
            "{most} bytes of memory, {first} at first"
        );
        assert!(disk <= CAP, "{disk} bytes on disk");
        std::thread::sleep(Duration::from_millis(100));
    }
    let sent: Vec<u64> = clients
        .into_iter()
        .map(|c| c.join().expect("all answered 200"))
        .collect();
    let all = sent.iter().sum::<u64>() + warm;
    let (stream, _) = TcpListener::bind(away).unwrap().accept().unwrap();
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    let mut seen: Vec<Vec<bool>> = sent
        .iter()
        .chain([&warm])
        .map(|n| vec![false; *n as usize])
        .collect();
    let start = std::time::Instant::now();
    for line in BufReader::new(stream).lines().take(all as usize) {
        let line = line.expect("more lines");
        let parts: Vec<&str> = line.split(' ').collect();
        let [client, number, rest] = parts[..] else {
            panic!("torn: {line}")
        };
        assert_eq!(rest.len(), 80, "torn: {line}");
        let place = &mut seen[client.parse::<usize>().unwrap()][number.parse::<usize>().unwrap()];
        assert!(!std::mem::replace(place, true), "twice: {line}");
    }
    let drained = start.elapsed();
    let memory = running.memory_bytes();
    assert!(
        memory < first + GROWTH_BYTES_MAX,
        "{memory} bytes of memory, {first} at first"
    );
    let (code, ledger) = http_source::stop(running);
    assert_eq!(code, Some(0), "{ledger}");
    assert_balanced(&ledger);
    assert_eq!(ledger["sinks"]["out"]["delivered"], all, "{ledger}");
    println!(
        "{seconds} s without the sink, {:.0} events a second, {:.1} MiB on disk; memory {:.1} MiB at first, {:.1} at most; delivered in {drained:?}",
        sent.iter().sum::<u64>() as f64 / seconds as f64,
        mib(disk),
        mib(first),
        mib(most),
    );
}
