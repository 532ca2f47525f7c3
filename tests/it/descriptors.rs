//! Out of descriptors: tflog waits for some without spinning, keeps what it has,
//! and goes on when there are.

use std::collections::HashSet;
use std::io::Write as _;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::answer::Answer;
use crate::harness::{
    Running, assert_balanced, connect, free_address, get, ledger, lines, wait_for,
};
use crate::http_source;

/// Descriptors that it may have: a few more than it needs to start.
const DESCRIPTORS: usize = 48;
/// Connections that want one, by source.
const CONNECTIONS: usize = 60;
/// How long it is watched.
const WATCHED: Duration = Duration::from_secs(1);

/// tflog with few descriptors, once it listens.
fn start(directory: &Path, config: &str, first: SocketAddr) -> Running {
    let path = directory.join("tflog.yaml");
    std::fs::write(&path, config).unwrap();
    let script = format!("ulimit -n {DESCRIPTORS}; exec \"$0\" -c \"$1\"");
    let mut command = Command::new("sh");
    command
        .args(["-c", &script, env!("CARGO_BIN_EXE_tflog")])
        .arg(&path);
    let path = std::env::var_os("PATH").unwrap_or_default();
    command.env_clear().env("PATH", path).stdin(Stdio::null());
    let log = std::fs::File::create(directory.join("log")).unwrap();
    let running = Running::start(command.stderr(log));
    drop(connect(first));
    running
}

/// Processor time that it has used, in hundredths of a second.
fn ticks(running: &Running) -> u64 {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", running.child.id()));
    let stat = stat.expect("it runs");
    // Behind the name, which may hold anything: utime and stime are 14 and 15.
    let (_, fields) = stat.rsplit_once(')').expect("a name");
    let fields: Vec<&str> = fields.split_whitespace().collect();
    [11, 12]
        .map(|at: usize| fields[at].parse::<u64>().unwrap())
        .iter()
        .sum()
}

fn failures(log: &Path) -> usize {
    lines(log)
        .iter()
        .filter(|line| line.contains("cannot accept"))
        .count()
}

/// More connections than there are descriptors, to a TCP and to an HTTP source:
/// whoever is in is heard, the others wait without costing anything, and all are
/// heard once there is room again.
#[test]
fn more_connections_than_descriptors_wait_and_are_heard() {
    let directory = tempfile::tempdir().unwrap();
    let (net, push, http) = (free_address(), free_address(), free_address());
    let at = directory.path().display();
    let config = format!(
        "http: '{http}'\nsources:\n  net: tcp://{net}\n  push: {{ url: 'http://{push}' }}\n\
         sinks: {{ out: {{ url: 'file://{at}/out', encode: raw }} }}\n"
    );
    let running = start(directory.path(), &config, net);
    let log = directory.path().join("log");
    // The file is open before descriptors are scarce.
    assert_eq!(http_source::post(push, "", b"first\n").status, 200);
    let mut streams = Vec::new();
    for n in 0..CONNECTIONS {
        let mut stream = TcpStream::connect(net).expect("the backlog has room");
        stream.write_all(format!("t{n}\n").as_bytes()).unwrap();
        let mut request = TcpStream::connect(push).expect("the backlog has room");
        http_source::send(&mut request, "/", "", format!("h{n}\n").as_bytes());
        streams.push((stream, request));
    }
    wait_for("it to run out of descriptors", || {
        (failures(&log) > 2).then_some(())
    });
    let (used, failed) = (ticks(&running), failures(&log));
    std::thread::sleep(WATCHED);
    let (used, failed) = (ticks(&running) - used, failures(&log) - failed);
    // Two listeners and tflog's own that try again after 50 ms at the earliest,
    // and less and less often; who spins takes all the time there is.
    assert!(failed <= 60, "{failed} failures to accept in {WATCHED:?}");
    assert!(used < 50, "{used} hundredths of a second in {WATCHED:?}");
    // TCP's have said what they had to say; answers are still waited for.
    let (streams, requests): (Vec<_>, Vec<_>) = streams.into_iter().unzip();
    drop(streams);
    for mut request in requests {
        let answer: Answer = http_source::answer(&mut request);
        assert_eq!(answer.status, 200, "{}", answer.body);
    }
    let all = (0..CONNECTIONS).flat_map(|n| [format!("t{n}"), format!("h{n}")]);
    let wanted: HashSet<String> = all.chain(["first".to_owned()]).collect();
    let got = wait_for("all lines", || {
        let got = lines(&directory.path().join("out"));
        (got.len() >= wanted.len()).then_some(got)
    });
    assert_eq!(got.len(), wanted.len());
    assert_eq!(got.into_iter().collect::<HashSet<_>>(), wanted);
    assert_eq!(get(http, "/health").0, 200);
    running.signal("TERM");
    assert!(running.finish().0.success());
    assert_balanced(&ledger(&std::fs::read_to_string(&log).unwrap()));
}
