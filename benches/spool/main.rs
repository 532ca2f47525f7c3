//! Whole pipelines through a buffer on disk, in this process, so that its disk
//! can be made slower than it is: `cargo bench --bench spool [-- FILTER]`.
//!
//! - `fsync`: a file or clients of HTTP to a TCP server through a disk buffer that
//!   syncs before each ack, at least 0.5 of one that syncs each second; with syncs
//!   as they are here, and with 2 and 10 ms more for each.
//! - `drain`: a backlog that an earlier run left to the same server, at least 0.5 of
//!   the file through the buffer in memory.
//!
//! Variants alternate; medians of their rates and the ratio to the baseline, beside
//! the spread of the baseline against itself. `SPOOL_MIB` and `SPOOL_RUNS` change the
//! size of the data (256) and the number of runs (5), `SPOOL_DIR` where the disk is.

// A bench may panic anywhere, and prints what it found.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

#[path = "../e2e/data.rs"]
#[allow(dead_code)]
mod data;
#[path = "../../tests/it/free_address.rs"]
mod free_address;
mod slow;

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use free_address::free_address;
use slow::SlowDisk;
use tflog::config::plan::{self, Extras};
use tflog::config::{Input, Inputs, load};
use tflog::pipeline::{Pipeline, Report};
use tflog::seam::World;
use tokio::runtime::Runtime;

/// Clients of HTTP at once, and bytes of what each sends at once.
const CLIENTS: usize = 8;
const BODY_BYTES: usize = 1 << 20;
/// What every variant is held to.
const BAR: f64 = 0.5;

/// Everything that runs share.
struct Bench {
    runtime: Runtime,
    input: PathBuf,
    text: Vec<u8>,
    lines: u64,
    disk: PathBuf,
    /// A server that takes everything.
    far: SocketAddr,
}

fn setting(name: &str, default: usize) -> usize {
    let said = std::env::var(name).ok().and_then(|said| said.parse().ok());
    said.unwrap_or(default)
}

/// Reads and forgets whatever comes over any connection.
fn start_far() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            std::thread::spawn(move || {
                let (mut stream, mut buffer) = (stream.unwrap(), vec![0; 1 << 20]);
                while stream.read(&mut buffer).is_ok_and(|read| read > 0) {}
            });
        }
    });
    address
}

impl Bench {
    /// A pipeline of this config.
    async fn start(&self, delay: Duration, text: String) -> Pipeline {
        let name = "bench.yaml".to_owned();
        let files = vec![Input::Text { name, text }];
        let inputs = Inputs {
            files,
            ..Inputs::default()
        };
        let loaded = load(&inputs)
            .map_err(|errors| format!("{errors:?}"))
            .unwrap();
        let world = World {
            disk: Arc::new(SlowDisk(delay)),
            ..World::real(self.runtime.handle().clone())
        };
        let built = plan::build(&loaded.config, Extras::default(), &world);
        let built = built.map_err(|errors| format!("{errors:?}")).unwrap();
        Pipeline::start(built.plan, &world).await.unwrap()
    }

    fn config(&self, source: &str, to: SocketAddr, buffer: &str) -> String {
        format!(
            "state: {}\ngrace: 1s\nsources: {{ in: {source} }}\n\
             sinks: {{ out: {{ url: 'tcp://{to}', encode: raw, buffer: {buffer} }} }}\n",
            self.disk.join("state").display()
        )
    }

    fn the_file(&self) -> String {
        format!("{{ url: 'file://{}', once: true }}", self.input.display())
    }

    fn check(&self, report: &Report) {
        assert_eq!(report.failures, [""; 0]);
        let sink = &report.snapshot.sinks[0];
        assert_eq!(sink.delivered, self.lines, "{sink:?}");
    }

    /// Seconds from the start of a pipeline to its end.
    fn run(&self, delay: Duration, source: &str, buffer: &str) -> f64 {
        let config = self.config(source, self.far, buffer);
        self.runtime.block_on(async {
            let start = Instant::now();
            let report = self.start(delay, config).await.finish().await;
            let seconds = start.elapsed().as_secs_f64();
            self.check(&report);
            seconds
        })
    }

    /// Seconds until all that clients post is answered 200.
    fn post(&self, delay: Duration, buffer: &str) -> f64 {
        let address = free_address();
        let source = format!("{{ url: 'http://{address}' }}");
        let config = self.config(&source, self.far, buffer);
        self.runtime.block_on(async {
            let pipeline = self.start(delay, config).await;
            let (control, monitor) = (pipeline.control(), pipeline.monitor());
            let finished = tokio::spawn(pipeline.finish());
            let start = Instant::now();
            tokio::task::block_in_place(|| post_all(address, &self.text));
            let seconds = start.elapsed().as_secs_f64();
            while monitor.snapshot().sinks[0].delivered < self.lines {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            control.stop();
            self.check(&finished.await.unwrap());
            seconds
        })
    }

    /// Leaves all of the file in the buffer.
    fn leave(&self, buffer: &str) {
        let config = self.config(&self.the_file(), free_address(), buffer);
        self.runtime.block_on(async {
            let pipeline = self.start(Duration::ZERO, config).await;
            let (control, monitor) = (pipeline.control(), pipeline.monitor());
            let finished = tokio::spawn(pipeline.finish());
            while monitor.snapshot().sources[0].accepted < self.lines {
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            control.stop();
            let report = finished.await.unwrap();
            assert_eq!(report.snapshot.sinks[0].queued_disk, self.lines);
        });
    }

    /// Alternates a variant with its baseline and says how they compare.
    fn row(&self, name: &str, mut base: impl FnMut() -> f64, mut variant: impl FnMut() -> f64) {
        let [mut first, mut again, mut varied] = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..setting("SPOOL_RUNS", 5) {
            first.push(base());
            varied.push(variant());
            again.push(base());
        }
        let [first, again, varied] = [first, again, varied].map(median);
        let mb = self.text.len() as f64 / 1e6;
        println!(
            "{name:44} {:4.0} of {:4.0} MB/s: {:.2} (bar {BAR}; baseline against itself {:.2})",
            mb / varied,
            mb / first,
            first / varied,
            first / again
        );
    }
}

fn median(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[seconds.len() / 2]
}

/// Posts the text in bodies of whole lines.
fn post_all(address: SocketAddr, text: &[u8]) {
    let (mut bodies, mut rest) = (Vec::new(), text);
    while !rest.is_empty() {
        let mut whole = rest[..rest.len().min(BODY_BYTES)].iter();
        let end = whole.rposition(|&b| b == b'\n').unwrap() + 1;
        let (body, behind) = rest.split_at(end);
        bodies.push(body);
        rest = behind;
    }
    std::thread::scope(|scope| {
        for client in 0..CLIENTS {
            let bodies = &bodies;
            scope.spawn(move || {
                let mut connection = BufReader::new(TcpStream::connect(address).unwrap());
                for body in bodies.iter().skip(client).step_by(CLIENTS) {
                    while !post(&mut connection, body) {
                        // Refused: there is no room. Sooner than a client would
                        // come back, or pauses would be what is measured.
                        std::thread::sleep(Duration::from_millis(1));
                        connection = BufReader::new(TcpStream::connect(address).unwrap());
                    }
                }
            });
        }
    });
}

/// Whether it was taken.
fn post(connection: &mut BufReader<TcpStream>, body: &[u8]) -> bool {
    let length = body.len();
    let head = format!("POST / HTTP/1.1\r\nhost: t\r\ncontent-length: {length}\r\n\r\n");
    let to = connection.get_mut();
    let sent = to
        .write_all(head.as_bytes())
        .and_then(|()| to.write_all(body));
    let (mut line, mut status, mut length) = (String::new(), String::new(), 0);
    while line != "\r\n" {
        line.clear();
        assert!(connection.read_line(&mut line).unwrap() > 0, "a head");
        if status.is_empty() {
            status.push_str(&line[9..12]);
        }
        let lower = line.to_ascii_lowercase();
        if let Some(value) = lower.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
    }
    std::io::copy(&mut connection.take(length), &mut std::io::sink()).unwrap();
    assert!(
        status == "429" || (status == "200" && sent.is_ok()),
        "{status}"
    );
    status == "200"
}

fn main() {
    let given: Vec<_> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let wanted = |name: &str| given.is_empty() || given.iter().any(|part| name.contains(part));
    let memory = tempfile::tempdir_in("/dev/shm").unwrap();
    let base = std::env::var_os("SPOOL_DIR").unwrap_or(env!("CARGO_TARGET_TMPDIR").into());
    let disk = tempfile::tempdir_in(base).unwrap();
    let input = memory.path().join("input");
    let mib = setting("SPOOL_MIB", 256);
    data::write_json(&input, mib << 20);
    let text = std::fs::read(&input).unwrap();
    let bench = Bench {
        runtime: Runtime::new().unwrap(),
        lines: memchr::memchr_iter(b'\n', &text).count() as u64,
        input,
        text,
        disk: disk.path().to_owned(),
        far: start_far(),
    };
    let [ack, interval] =
        ["ack", "interval"].map(|fsync| format!("{{ disk: 4GiB, fsync: {fsync} }}"));
    for millis in [0, 2, 10] {
        let delay = Duration::from_millis(millis);
        let file = bench.the_file();
        let name = format!("fsync, file to TCP, {millis} ms more a sync");
        if wanted(&name) {
            bench.row(
                &name,
                || bench.run(delay, &file, &interval),
                || bench.run(delay, &file, &ack),
            );
        }
        let name = format!("fsync, HTTP to TCP, {millis} ms more a sync");
        if wanted(&name) {
            bench.row(
                &name,
                || bench.post(delay, &interval),
                || bench.post(delay, &ack),
            );
        }
    }
    let name = "drain, a backlog to TCP";
    if wanted(name) {
        let memory = "{ memory: 32MiB }";
        let none = no_lines(bench.disk.as_path());
        bench.row(
            name,
            || bench.run(Duration::ZERO, &bench.the_file(), memory),
            || {
                bench.leave(&ack);
                bench.run(Duration::ZERO, &none, &ack)
            },
        );
    }
}

/// A source without a line.
fn no_lines(dir: &Path) -> String {
    let path = dir.join("empty");
    std::fs::write(&path, "").unwrap();
    format!("{{ url: 'file://{}', once: true }}", path.display())
}
