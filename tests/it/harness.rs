//! Starts tflog, feeds it, waits for conditions.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::{Duration, Instant};

pub(crate) use free_address::free_address;

#[path = "free_address.rs"]
mod free_address;

/// How long any condition may take before a test fails: only reached by bugs.
const PATIENCE: Duration = Duration::from_mins(1);

/// A command of tflog, or of the one that `IT_TFLOG` names, with an environment of
/// its own.
pub(crate) fn tflog(arguments: &[&str]) -> Command {
    let other = std::env::var_os("IT_TFLOG");
    let program = other.unwrap_or_else(|| env!("CARGO_BIN_EXE_tflog").into());
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// Runs tflog on `input` to its end.
pub(crate) fn run(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = tflog(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("tflog starts");
    let mut stdin = child.stdin.take().expect("piped");
    let input = input.to_vec();
    let feeder = std::thread::spawn(move || {
        // tflog may end before it has read everything.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("tflog ends");
    feeder.join().expect("the feeder ends");
    output
}

/// As [`run`]; tflog must succeed. What it wrote to stdout.
pub(crate) fn pipe(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let output = run(arguments, input);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{arguments:?}: {}: {stderr}",
        output.status
    );
    output.stdout
}

/// A running tflog that is killed when the test ends.
pub(crate) struct Running {
    pub(crate) child: Child,
    /// Reads what it writes to stderr.
    listener: Option<std::thread::JoinHandle<String>>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Running {
        Running {
            child: command.spawn().expect("tflog starts"),
            listener: None,
        }
    }

    /// Reads stderr while it runs: of one that writes much, the pipe would fill.
    pub(crate) fn listen(mut self) -> Running {
        if let Some(pipe) = self.child.stderr.take() {
            self.listener = Some(std::thread::spawn(|| text(pipe)));
        }
        self
    }

    /// Sends a signal by its name, as `kill` does.
    pub(crate) fn signal(&self, name: &str) {
        let pid = self.child.id().to_string();
        let status = Command::new("kill")
            .args(["-s", name, &pid])
            .status()
            .expect("kill runs");
        assert!(status.success());
    }

    /// Waits for the end; the exit status and what was written to stderr.
    pub(crate) fn finish(mut self) -> (ExitStatus, String) {
        let stderr = match (self.listener.take(), self.child.stderr.take()) {
            (Some(listener), _) => listener.join().expect("it reads"),
            (None, pipe) => pipe.map(text).unwrap_or_default(),
        };
        (self.child.wait().expect("tflog ends"), stderr)
    }

    /// Says what it wrote to stderr, as far as nobody has read that: why a test
    /// waited in vain.
    #[expect(clippy::print_stderr, reason = "for people")]
    fn tell(&mut self) {
        let Some(mut pipe) = self.child.stderr.take() else {
            return;
        };
        // A child of its own may have the pipe open still.
        let _ = rustix::fs::fcntl_setfl(&pipe, rustix::fs::OFlags::NONBLOCK);
        let mut said = Vec::new();
        let _ = pipe.read_to_end(&mut said);
        eprintln!("its stderr:\n{}", String::from_utf8_lossy(&said));
    }

    /// Resident memory now, in bytes.
    pub(crate) fn memory_bytes(&self) -> u64 {
        memory_bytes(self.child.id())
    }

    /// The most resident memory that it ever had, in bytes.
    pub(crate) fn peak_bytes(&self) -> u64 {
        memory(self.child.id(), "VmHWM:")
    }
}

/// Resident memory of a process now, in bytes.
pub(crate) fn memory_bytes(process: u32) -> u64 {
    memory(process, "VmRSS:")
}

fn memory(process: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{process}/status"));
    let status = status.expect("it runs");
    let line = status
        .lines()
        .find_map(|l| l.strip_prefix(name))
        .expect(name);
    line.trim()
        .trim_end_matches(" kB")
        .parse::<u64>()
        .expect("a number")
        * 1024
}

/// Runs a test again, in a process of its own, whose memory is that of nothing
/// else; true in that process.
pub(crate) fn alone(test: &str) -> bool {
    const ALONE: &str = "TFLOG_TEST_ALONE";
    if std::env::var_os(ALONE).is_some() {
        return true;
    }
    let mut command = Command::new(std::env::current_exe().expect("a test"));
    command.args([test, "--exact", "--nocapture", "--test-threads=1"]);
    let status = command.env(ALONE, "1").status().expect("it starts");
    assert!(status.success(), "{test}: {status}");
    false
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        if std::thread::panicking() {
            self.tell();
        }
    }
}

fn text(mut from: impl Read) -> String {
    let mut text = String::new();
    from.read_to_string(&mut text).expect("it is text");
    text
}

/// Waits until `condition` gives a value.
pub(crate) fn wait_for<T>(what: &str, condition: impl FnMut() -> Option<T>) -> T {
    wait_at_most(PATIENCE, what, condition)
}

/// As [`wait_for`], for what may take longer.
pub(crate) fn wait_at_most<T>(
    patience: Duration,
    what: &str,
    mut condition: impl FnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + patience;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "waited in vain for {what}");
        std::thread::park_timeout(Duration::from_millis(2));
    }
}

/// A connection to a tflog that is starting.
pub(crate) fn connect(address: SocketAddr) -> TcpStream {
    wait_for("the listener", || TcpStream::connect(address).ok())
}

/// `GET path`: the status and the body.
pub(crate) fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let mut stream = connect(address);
    let request = format!("GET {path} HTTP/1.1\r\nHost: tflog\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).expect("sent");
    let mut reply = String::new();
    stream.read_to_string(&mut reply).expect("a reply");
    let status = reply
        .split(' ')
        .nth(1)
        .and_then(|s| s.parse().ok())
        .expect("a status");
    let body = reply.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    (status, body.to_owned())
}

/// One series of a page of metrics, summed over the series that contain `part`.
pub(crate) fn metric(page: &str, part: &str) -> u64 {
    let lines = page
        .lines()
        .filter(|l| !l.starts_with('#') && l.contains(part));
    lines
        .map(|l| {
            l.rsplit(' ')
                .next()
                .and_then(|v| v.parse::<u64>().ok())
                .expect("a number")
        })
        .sum()
}

/// The lines of a file; none if there is no file yet.
pub(crate) fn lines(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// The ledger that a run reported on stderr as a JSON line.
pub(crate) fn ledger(stderr: &str) -> serde_json::Value {
    let line = stderr
        .lines()
        .rev()
        .find(|l| l.contains("\"ledger\""))
        .unwrap_or_else(|| {
            panic!("no ledger in {stderr}");
        });
    let line: serde_json::Value = serde_json::from_str(line).expect("JSON lines on stderr");
    serde_json::from_str(line["ledger"].as_str().expect("a string")).expect("a JSON ledger")
}

/// The ledger's equations at the end of a run: everything read is settled.
pub(crate) fn assert_balanced(ledger: &serde_json::Value) {
    let number = |v: &serde_json::Value| v.as_u64().unwrap_or_else(|| panic!("{v} in {ledger}"));
    let dropped = |v: &serde_json::Value| -> u64 {
        v["dropped"]
            .as_object()
            .expect("reasons")
            .values()
            .map(&number)
            .sum()
    };
    let mut evaluated = 0;
    for (name, s) in ledger["sources"].as_object().expect("sources") {
        let sum: u64 = [
            "accepted",
            "filtered",
            "best_effort",
            "dead_lettered",
            "returned",
        ]
        .iter()
        .map(|term| number(&s[term]))
        .sum();
        assert_eq!(
            number(&s["received"]),
            sum + dropped(s),
            "source {name}: {s}"
        );
        assert_eq!(number(&s["open"]), 0, "source {name}: {s}");
        evaluated += number(&s["received"]);
    }
    let routes = ledger["routes"].as_object().expect("routes");
    let first: u64 = routes.values().map(|r| number(&r["first"])).sum();
    assert_eq!(
        number(&ledger["evaluated"]),
        first + number(&ledger["filtered_out"]),
        "{ledger}"
    );
    assert!(evaluated >= number(&ledger["evaluated"]), "{ledger}");
    for (name, k) in ledger["sinks"].as_object().expect("sinks") {
        let sum: u64 = [
            "delivered",
            "dead_lettered",
            "diverted",
            "filtered",
            "returned",
        ]
        .iter()
        .map(|term| number(&k[term]))
        .sum();
        let sum = sum + dropped(k);
        let came = number(&k["recovered"]) + number(&k["entered"]);
        assert_eq!(came, sum + number(&k["queued_disk"]), "sink {name}: {k}");
        assert_eq!(
            number(&k["queued"]) + number(&k["sending"]),
            0,
            "sink {name}: {k}"
        );
    }
}
