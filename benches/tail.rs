//! A node's pods to a service: 100 CRI files of JSON lines of 216 bytes, followed
//! by `kubernetes`, delivered to an HTTP server that checks every line.
//!
//! `cargo bench --bench tail [-- peak|rate|idle]`. tflog is held to one core
//! (`taskset`), writers and server use the others. `peak` is how fast what is
//! there is delivered; `rate` is what 10,000 lines a second cost while they are
//! written, and how late they come; `idle` is what 5,000 files cost to which nobody
//! writes any more. Nothing may be missing and nothing come twice. `TAIL_LINES`
//! (2,000,000) and `TAIL_SECONDS` (20) change the lengths, `TAIL_BINARY` the tflog.

// What it finds out is printed.
#![allow(clippy::print_stdout)]

use std::fs::File;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

const PODS: usize = 100;
const PODS_IDLE: usize = 5_000;
const RATE: u64 = 10_000;
const LINE_BYTES: usize = 216;
/// Longer than any run takes.
const PATIENCE: Duration = Duration::from_secs(50);

fn main() {
    let filter: Vec<String> = std::env::args()
        .skip(1)
        .filter(|a| !a.starts_with('-'))
        .collect();
    let wanted = |name: &str| filter.is_empty() || filter.iter().any(|f| f == name);
    if wanted("peak") {
        peak(setting("TAIL_LINES", 2_000_000));
    }
    if wanted("rate") {
        rate(setting("TAIL_SECONDS", 20));
    }
    if wanted("idle") {
        idle(setting("TAIL_SECONDS", 20));
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let value = std::env::var(name).ok();
    value.and_then(|v| v.parse().ok()).unwrap_or(default)
}

fn peak(lines: u64) {
    let run = Bench::new(PODS);
    for pod in 0..PODS {
        run.write(pod, 0, lines / PODS as u64);
    }
    let lines = lines / PODS as u64 * PODS as u64;
    let start = Instant::now();
    let tflog = run.start();
    run.wait(lines);
    let seconds = start.elapsed().as_secs_f64();
    let (cpu, memory) = usage(&tflog);
    run.finish(tflog, lines);
    println!(
        "peak: {:.0} lines/s ({lines} lines in {seconds:.2} s), {cpu:.2} CPU s, {} MiB at most",
        lines as f64 / seconds,
        memory >> 20
    );
}

fn rate(seconds: u64) {
    let run = Bench::new(PODS);
    let tflog = run.start();
    let (start, mut written) = (Instant::now(), [0; PODS]);
    let total = RATE * seconds;
    let mut sent = 0;
    while sent < total {
        let due = ((start.elapsed().as_secs_f64() * RATE as f64) as u64).min(total);
        while sent < due {
            let pod = (sent % PODS as u64) as usize;
            run.write(pod, written[pod], written[pod] + 1);
            written[pod] += 1;
            sent += 1;
        }
        std::thread::park_timeout(Duration::from_millis(1));
    }
    run.wait(total);
    let wall = start.elapsed().as_secs_f64();
    let (cpu, memory) = usage(&tflog);
    let [median, most] = [0.5, 0.99].map(|part| run.server.late(start, part));
    run.finish(tflog, total);
    println!(
        "rate: {RATE} lines/s for {seconds} s: {:.3} cores, {} MiB at most, \
         {median} ms late (99%: {most} ms)",
        cpu / wall,
        memory >> 20
    );
}

fn idle(seconds: u64) {
    let run = Bench::new(PODS_IDLE);
    for pod in 0..PODS_IDLE {
        run.write(pod, 0, 1);
    }
    let tflog = run.start();
    run.wait(PODS_IDLE as u64);
    let before = usage(&tflog).0;
    std::thread::park_timeout(Duration::from_secs(seconds));
    let (cpu, memory) = usage(&tflog);
    run.finish(tflog, PODS_IDLE as u64);
    println!(
        "idle: {PODS_IDLE} files for {seconds} s: {:.4} cores, {} MiB at most",
        (cpu - before) / seconds as f64,
        memory >> 20
    );
}

/// Files, a server and what it got.
struct Bench {
    dir: tempfile::TempDir,
    files: Vec<Mutex<File>>,
    server: Arc<Got>,
    address: std::net::SocketAddr,
}

/// Lines by pod: how often each number came.
struct Got {
    pods: Mutex<Vec<Vec<u8>>>,
    /// When each line came, and its place among all that are written at a rate.
    times: Mutex<Vec<(Instant, u64)>>,
}

impl Bench {
    fn new(pods: usize) -> Bench {
        let dir = tempfile::Builder::new()
            .prefix("tflog-tail-")
            .tempdir_in("/dev/shm")
            .expect("a tmpfs");
        let files = (0..pods).map(|pod| {
            let path = log(dir.path(), pod);
            std::fs::create_dir_all(path.parent().expect("a directory")).expect("made");
            Mutex::new(File::create(path).expect("made"))
        });
        let files = files.collect();
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("a port");
        let server = Arc::new(Got {
            pods: Mutex::new(vec![Vec::new(); pods]),
            times: Mutex::default(),
        });
        let got = server.clone();
        std::thread::spawn(move || {
            for connection in listener.incoming().flatten() {
                let got = got.clone();
                std::thread::spawn(move || serve(connection, &got));
            }
        });
        Bench {
            dir,
            files,
            server,
            address,
        }
    }

    fn start(&self) -> Child {
        let dir = self.dir.path().display();
        let config = format!(
            "state: {dir}/state\n\
             sources: {{ node: {{ url: kubernetes, directory: '{dir}/pods' }} }}\n\
             sinks: {{ out: {{ url: 'http://{}/' }} }}\n",
            self.address
        );
        let path = self.dir.path().join("tflog.yaml");
        std::fs::write(&path, config).expect("written");
        let binary = std::env::var("TAIL_BINARY");
        let binary = binary.unwrap_or_else(|_| env!("CARGO_BIN_EXE_tflog").to_owned());
        Command::new("taskset")
            .args(["-c", "0", &binary])
            .args(["--http", "none", "-c"])
            .arg(path)
            .stderr(Stdio::null())
            .spawn()
            .expect("tflog starts")
    }

    /// Appends the lines of these numbers in one write.
    fn write(&self, pod: usize, from: u64, to: u64) {
        let mut text = Vec::new();
        for number in from..to {
            let start = text.len();
            let _ = write!(
                text,
                "{{\"seq\":\"{pod:04}-{number:09}\",\"level\":\"info\",\"msg\":\"request finished\",\"path\":\"/api/v1/orders\",\"pad\":\""
            );
            text.resize(start + LINE_BYTES - 3, b'x');
            text.extend_from_slice(b"\"}\n");
            let line = text.split_off(start);
            text.extend_from_slice(b"2026-11-23T13:32:42.123456789Z stdout F ");
            text.extend_from_slice(&line);
        }
        let mut file = self.files[pod].lock().expect("not poisoned");
        file.write_all(&text).expect("written");
    }

    fn wait(&self, lines: u64) {
        let deadline = Instant::now() + PATIENCE;
        while self.server.lines() < lines {
            assert!(Instant::now() < deadline, "{} came", self.server.lines());
            std::thread::park_timeout(Duration::from_millis(5));
        }
    }

    fn finish(self, mut tflog: Child, lines: u64) {
        let pid = rustix::process::Pid::from_child(&tflog);
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        assert!(tflog.wait().expect("it ends").success());
        let pods = self.server.pods.lock().expect("not poisoned");
        let all = pods.iter().flatten();
        assert!(all.clone().all(|times| *times == 1), "lost or doubled");
        assert_eq!(all.count() as u64, lines);
    }
}

impl Got {
    fn lines(&self) -> u64 {
        let pods = self.pods.lock().expect("not poisoned");
        pods.iter().map(|pod| pod.len() as u64).sum()
    }

    /// How late a part of the lines came that were due at [`RATE`], in ms.
    fn late(&self, start: Instant, part: f64) -> u64 {
        let times = self.times.lock().expect("not poisoned");
        let late = times.iter().map(|(came, line)| {
            let due = Duration::from_secs_f64(*line as f64 / RATE as f64);
            came.saturating_duration_since(start + due).as_millis() as u64
        });
        let mut late: Vec<u64> = late.collect();
        late.sort_unstable();
        late[(part * (late.len() - 1) as f64) as usize]
    }

    fn take(&self, body: &[u8]) {
        let came = Instant::now();
        let mut times = self.times.lock().expect("not poisoned");
        let mut pods = self.pods.lock().expect("not poisoned");
        for line in body.split(|byte| *byte == b'\n').filter(|l| !l.is_empty()) {
            let at = memchr::memmem::find(line, b"seq").expect("a number");
            let digits = &line[at + 3..];
            let start = digits.iter().position(u8::is_ascii_digit).expect("digits");
            let text = std::str::from_utf8(&digits[start..start + 14]).expect("digits");
            let pod: usize = text[..4].parse().expect("a pod");
            let number: usize = text[5..].parse().expect("a number");
            let counts = &mut pods[pod];
            if counts.len() <= number {
                counts.resize(number + 1, 0);
            }
            counts[number] += 1;
            times.push((came, (number * PODS + pod) as u64));
        }
    }
}

fn log(dir: &Path, pod: usize) -> PathBuf {
    dir.join(format!("pods/default_app-{pod}_{pod:08x}/app/0.log"))
}

/// Answers requests of one connection.
fn serve(connection: TcpStream, got: &Got) {
    let mut answer = connection.try_clone().expect("a socket");
    let mut from = BufReader::new(connection);
    let mut body = Vec::new();
    loop {
        let (mut length, mut line) = (0, String::new());
        loop {
            line.clear();
            if from.read_line(&mut line).unwrap_or(0) == 0 {
                return;
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().expect("a length");
            }
            if line == "\r\n" {
                break;
            }
        }
        body.resize(length, 0);
        if from.read_exact(&mut body).is_err() {
            return;
        }
        got.take(&body);
        let reply = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        if answer.write_all(reply).is_err() {
            return;
        }
    }
}

/// CPU seconds and peak memory of a process so far.
fn usage(child: &Child) -> (f64, u64) {
    let read = |name: &str| std::fs::read_to_string(format!("/proc/{}/{name}", child.id()));
    let stat = read("stat").expect("it runs");
    let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or("").split(' ').collect();
    let ticks = |at: usize| fields[at].parse::<f64>().expect("ticks");
    let status = read("status").expect("it runs");
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    // Linux counts in hundredths of a second.
    ((ticks(11) + ticks(12)) / 100.0, peak.unwrap_or(0) * 1024)
}
