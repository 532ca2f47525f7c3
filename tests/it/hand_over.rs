//! Sockets outlive processes: systemd's are taken over, and one tflog hands its
//! own over to the next, without a refused connection.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use crate::harness::{Running, connect, free_address, get, lines, metric, tflog, wait_for};

/// How often it hands over, if not so often.
const LONG: &str = "TFLOG_TEST_HAND_OVERS";
const TURNS: usize = 20;

/// Ends a process that is no child of the test's, when the test ends.
struct Stranger(u64);

impl Stranger {
    fn signal(&self, name: &str) -> bool {
        let pid = self.0.to_string();
        let mut kill = Command::new("kill");
        let kill = kill.args(["-s", name, &pid]).stderr(Stdio::null());
        kill.status().expect("kill runs").success()
    }

    /// Whether it runs: what has ended may still have to be collected.
    fn runs(&self) -> bool {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.0));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    }
}

impl Drop for Stranger {
    fn drop(&mut self) {
        self.signal("KILL");
    }
}

fn count(log: &Path, part: &str) -> usize {
    lines(log).iter().filter(|line| line.contains(part)).count()
}

/// The processes that were handed over to, in order.
fn successors(log: &Path) -> Vec<u64> {
    let lines = lines(log)
        .into_iter()
        .filter(|l| l.contains("\"handing over\""));
    lines
        .map(|line| {
            let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
            line["process"].as_u64().expect("a process")
        })
        .collect()
}

fn config(directory: &Path, net: SocketAddr) -> PathBuf {
    let path = directory.join("tflog.yaml");
    let at = directory.display();
    let text = format!(
        "state: {at}/state\nsources:\n  net: tcp://{net}\n  local: 'unix://{at}/local'\nsinks:\n  out: {{ url: 'file://{at}/out', encode: raw }}\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// While connections come in all the time, one tflog after the other takes over:
/// every connection is accepted by one of them, and every line arrives.
#[test]
#[expect(clippy::print_stdout, reason = "figures for people")]
fn handing_over_refuses_nobody() {
    let turns = std::env::var(LONG).map_or(TURNS, |n| n.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let (net, http, log) = (free_address(), free_address(), at.join("log"));
    let path = config(at, net);
    let mut command = tflog(&["-c", path.to_str().unwrap(), "--http", &http.to_string()]);
    let stderr = std::fs::File::create(&log).unwrap();
    let mut first = Running::start(command.stdin(Stdio::null()).stderr(stderr));
    connect(net);
    let stop = Arc::new(AtomicBool::new(false));
    let sent = Arc::new(AtomicU64::new(0));
    let knocking = {
        let (stop, sent) = (stop.clone(), sent.clone());
        std::thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                let mut stream = TcpStream::connect(net).expect("somebody always listens");
                let number = sent.fetch_add(1, Ordering::Relaxed);
                stream.write_all(format!("{number}\n").as_bytes()).unwrap();
                std::thread::park_timeout(Duration::from_millis(2));
            }
        })
    };
    let mut all: Vec<Stranger> = Vec::new();
    for turn in 0..turns {
        match all.last() {
            None => first.signal("USR2"),
            Some(running) => assert!(running.signal("USR2")),
        }
        let process = wait_for("a successor", || successors(&log).get(turn).copied());
        all.push(Stranger(process));
        wait_for("it to listen", || {
            (count(&log, "http listener open") == turn + 2).then_some(())
        });
    }
    stop.store(true, Ordering::Relaxed);
    knocking.join().expect("nobody was refused");
    assert!(first.child.wait().unwrap().success());
    let last = all.pop().expect("there were some");
    assert!(
        at.join("local").exists(),
        "the socket's file is still there"
    );
    assert!(last.signal("TERM"));
    wait_for("the end", || (!last.runs()).then_some(()));
    let mut numbers: Vec<u64> = lines(&at.join("out"))
        .iter()
        .map(|l| l.parse().unwrap())
        .collect();
    numbers.sort_unstable();
    let sent = sent.load(Ordering::Relaxed);
    assert_eq!(numbers, (0..sent).collect::<Vec<_>>());
    println!("{turns} hand-overs, {sent} connections, none refused");
    assert!(!at.join("local").exists());
    assert!(all.iter().all(|stranger| !stranger.runs()));
}

/// A new one that cannot start leaves the old one as it was.
#[test]
fn a_successor_that_does_not_come_up_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (net, log) = (free_address(), directory.path().join("log"));
    let path = config(directory.path(), net);
    let http = free_address().to_string();
    let mut command = tflog(&["-c", path.to_str().unwrap(), "--http", &http]);
    let stderr = std::fs::File::create(&log).unwrap();
    let mut running = Running::start(command.stdin(Stdio::null()).stderr(stderr));
    let mut stream = connect(net);
    std::fs::write(&path, "sources: [").unwrap();
    running.signal("USR2");
    wait_for("the refusal", || {
        (count(&log, "this one goes on") == 1).then_some(())
    });
    stream.write_all(b"1\n").unwrap();
    drop(connect(net));
    wait_for("the line", || {
        (lines(&directory.path().join("out")).len() == 1).then_some(())
    });
    drop(stream);
    running.signal("TERM");
    assert!(running.child.wait().unwrap().success());
}

/// systemd passes a socket that listens, and hears how it goes: ready, reloading,
/// stopping.
#[test]
fn sockets_of_systemd_are_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let net = listener.local_addr().unwrap();
    let path = config(directory.path(), net);
    let heard = UnixDatagram::bind(directory.path().join("notify")).unwrap();
    heard
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    let heard = || {
        let mut buffer = [0; 64];
        let read = heard.recv(&mut buffer).expect("a word");
        String::from_utf8_lossy(&buffer[..read]).into_owned()
    };
    // The socket is descriptor 3 of the process whose number is in the variable.
    let script = "export LISTEN_PID=$$ LISTEN_FDS=1 LISTEN_FDNAMES=net; exec 3<&0 0</dev/null; exec \"$0\" \"$@\"";
    let mut command = Command::new("sh");
    command.args([
        "-c",
        script,
        env!("CARGO_BIN_EXE_tflog"),
        "-c",
        path.to_str().unwrap(),
    ]);
    command.args(["--http", &free_address().to_string()]);
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("NOTIFY_SOCKET", directory.path().join("notify"));
    // One who connects before it runs waits.
    let mut stream = TcpStream::connect(net).unwrap();
    stream.write_all(b"1\n").unwrap();
    let socket = Stdio::from(OwnedFd::from(listener));
    let running = Running::start(command.stdin(socket).stderr(Stdio::piped()));
    // The command keeps the socket open too.
    drop(command);
    assert_eq!(heard(), "READY=1");
    wait_for("the line", || {
        (lines(&directory.path().join("out")).len() == 1).then_some(())
    });
    running.signal("HUP");
    assert_eq!(heard(), "RELOADING=1");
    assert_eq!(heard(), "READY=1");
    stream.write_all(b"2\n").unwrap();
    wait_for("the line", || {
        (lines(&directory.path().join("out")).len() == 2).then_some(())
    });
    drop(stream);
    running.signal("TERM");
    assert_eq!(heard(), "STOPPING=1");
    let (status, stderr) = running.finish();
    assert!(status.success(), "{stderr}");
    assert!(!stderr.contains("is nobody's"), "{stderr}");
    assert!(TcpStream::connect(net).is_err(), "it is closed");
}

/// What waits on disk, and how far files were read, is the next one's, also where
/// a reload would be refused.
#[test]
fn what_is_kept_on_disk_is_handed_over() {
    let directory = tempfile::tempdir().unwrap();
    let at = directory.path();
    let (net, http, down, log) = (
        free_address(),
        free_address(),
        free_address(),
        at.join("log"),
    );
    let path = at.join("tflog.yaml");
    let config = |more: &str| {
        let at = at.display();
        let text = format!(
            "state: {at}/state\ngrace: 2s\nsources:\n  net: tcp://{net}\n  logs: {{ url: 'file://{at}/*.log', start: beginning }}\n{more}\
             sinks:\n  out: {{ url: 'tcp://{down}', encode: raw, buffer: {{ disk: 64MiB }} }}\n"
        );
        std::fs::write(&path, text).unwrap();
    };
    config("");
    let mut command = tflog(&["-c", path.to_str().unwrap(), "--http", &http.to_string()]);
    let stderr = std::fs::File::create(&log).unwrap();
    let mut first = Running::start(command.stdin(Stdio::null()).stderr(stderr));
    connect(net).write_all(b"net 1\nnet 2\n").unwrap();
    let mut file = std::fs::File::create(at.join("a.log")).unwrap();
    file.write_all(b"file 1\nfile 2\n").unwrap();
    let waiting = "tflog_buffer_size_events{component_id=\"out\",component_kind=\"sink\",component_type=\"tcp\",kind=\"disk\"";
    wait_for("four to be on disk", || {
        let page = get(http, "/metrics").1;
        let held = metric(&page, waiting) + metric(&page, "tflog_sink_sending_events");
        (held == 4).then_some(())
    });
    config(&format!("  other: tcp://{}\n", free_address()));
    first.signal("USR2");
    let process = wait_for("a successor", || successors(&log).first().copied());
    let successor = Stranger(process);
    assert!(first.child.wait().unwrap().success());
    connect(net).write_all(b"net 3\n").unwrap();
    file.write_all(b"file 3\n").unwrap();
    let (stream, _) = TcpListener::bind(down).unwrap().accept().unwrap();
    stream
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    let read = BufReader::new(stream).lines().take(6);
    let mut seen: Vec<String> = read.map(Result::unwrap).collect();
    seen.sort_unstable();
    let wanted = ["file 1", "file 2", "file 3", "net 1", "net 2", "net 3"];
    assert_eq!(seen, wanted);
    assert!(successor.signal("TERM"));
    wait_for("the end", || (!successor.runs()).then_some(()));
}
