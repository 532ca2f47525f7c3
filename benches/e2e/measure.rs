//! Runs processes and says how long they took.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::free_address::free_address;

/// Longer than any run takes: who waits so long gives up.
const PATIENCE: Duration = Duration::from_mins(1);
/// How often it is asked how much has arrived: often enough for runs of a third of
/// a second, seldom enough to leave the processors to those that are measured.
const POLL: Duration = Duration::from_millis(1);

/// One run.
pub(crate) struct Run {
    /// Wall time, from start to end.
    pub(crate) seconds: f64,
    /// CPU time of the measured process.
    pub(crate) cpu_seconds: f64,
    /// Its peak resident memory.
    pub(crate) peak_bytes: u64,
}

/// The middle of some figures.
pub(crate) fn median(figures: impl Iterator<Item = f64>) -> f64 {
    let mut sorted: Vec<f64> = figures.collect();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// `cat input | program arguments > out`.
pub(crate) fn pipe_through(input: &Path, program: &Path, arguments: &[String], out: &Path) -> Run {
    let start = Instant::now();
    let mut cat = Command::new("cat")
        .arg(input)
        .stdout(Stdio::piped())
        .spawn()
        .expect("cat");
    let pipe = cat.stdout.take().expect("piped");
    let child = Command::new(program)
        .args(arguments)
        .stdin(pipe)
        .stdout(File::create(out).expect("out"))
        .spawn()
        .expect("the program starts");
    let run = watch(child, start);
    cat.wait().expect("cat ends");
    run
}

/// tflog listens; one connection sends the input; done when all is in `out`.
pub(crate) fn tcp_through(input: &Path, program: &Path, to: &str, out: &Path) -> Run {
    let address = free_address();
    let child = Command::new(program)
        .args([
            "--from",
            &format!("tcp://{address}"),
            "--to",
            to,
            "-o",
            "raw",
            "--http",
            "none",
        ])
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let pid = Pid::from_child(&child);
    let start = send(input, address);
    let all = std::fs::metadata(input).expect("input").len();
    while std::fs::metadata(out).map_or(0, |m| m.len()) < all {
        std::thread::sleep(POLL);
    }
    let seconds = start.elapsed().as_secs_f64();
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    Run {
        seconds,
        ..watch(child, start)
    }
}

/// A bare copier from one connection to a file with a buffer of `bytes`.
pub(crate) fn copier_over_tcp(input: &Path, out: &Path, bytes: usize) -> Run {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("bound");
    let out = out.to_owned();
    let copier = std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().expect("a connection");
        let mut file = File::create(out).expect("out");
        let mut buffer = vec![0; bytes];
        loop {
            match connection.read(&mut buffer).expect("data") {
                0 => return,
                read => file.write_all(&buffer[..read]).expect("room"),
            }
        }
    });
    let start = send(input, address);
    copier.join().expect("the copier ends");
    Run {
        seconds: start.elapsed().as_secs_f64(),
        cpu_seconds: 0.0,
        peak_bytes: 0,
    }
}

/// Sends the file from a process of its own over one connection, as soon as
/// somebody listens; the start is when the connection was made.
fn send(input: &Path, address: SocketAddr) -> Instant {
    let connection = wait_for(address);
    let start = Instant::now();
    let out = std::os::fd::OwnedFd::from(connection);
    let mut cat = Command::new("cat")
        .arg(input)
        .stdout(out)
        .spawn()
        .expect("cat");
    std::thread::spawn(move || cat.wait());
    start
}

/// A connection, as soon as somebody listens.
pub(crate) fn wait_for(address: SocketAddr) -> TcpStream {
    let end = Instant::now() + PATIENCE;
    loop {
        match TcpStream::connect(address) {
            Ok(connection) => return connection,
            Err(error) => assert!(Instant::now() < end, "{address}: {error}"),
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Ends a service; its CPU time and memory.
pub(crate) fn end(mut child: Child, start: Instant) -> Run {
    let pid = Pid::from_child(&child);
    let peak_bytes = peak(pid);
    let cpu_seconds = cpu(pid);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).expect("it runs");
    let end = Instant::now() + PATIENCE;
    while child.try_wait().expect("a child").is_none() {
        give_up_after(end, &mut child);
        std::thread::sleep(Duration::from_millis(1));
    }
    Run {
        seconds: start.elapsed().as_secs_f64(),
        cpu_seconds,
        peak_bytes,
    }
}

/// Ends a child that has taken too long, and the bench with it.
fn give_up_after(end: Instant, child: &mut Child) {
    if Instant::now() > end {
        let _ = child.kill();
        panic!("it took longer than {PATIENCE:?}");
    }
}

/// Waits for the child, noting its peak memory on the way and its CPU time
/// while it is a zombie.
fn watch(mut child: Child, start: Instant) -> Run {
    let pid = Pid::from_child(&child);
    let mut peak_bytes = 0;
    loop {
        peak_bytes = peak_bytes.max(peak(pid));
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        if waitid(WaitId::Pid(pid), options)
            .expect("a child")
            .is_some()
        {
            break;
        }
        give_up_after(start + PATIENCE, &mut child);
        std::thread::sleep(Duration::from_millis(1));
    }
    let seconds = start.elapsed().as_secs_f64();
    let cpu_seconds = cpu(pid);
    let status = child.wait().expect("a child");
    assert!(status.success(), "{status}");
    Run {
        seconds,
        cpu_seconds,
        peak_bytes,
    }
}

fn peak(pid: Pid) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", pid.as_raw_nonzero()));
    let status = status.unwrap_or_default();
    let line = status.lines().find_map(|l| l.strip_prefix("VmHWM:"));
    let kib = line.and_then(|l| l.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}

fn cpu(pid: Pid) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero()));
    let stat = stat.unwrap_or_default();
    // Fields 14 and 15; the name in parentheses may have spaces.
    let rest = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks: u64 = rest
        .split(' ')
        .skip(12)
        .take(2)
        .filter_map(|t| t.parse::<u64>().ok())
        .sum();
    ticks as f64 / 100.0
}
