//! A tflog that listens on TCP, beside what it writes: its dead letters, its log.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use crate::harness::{
    Running, assert_balanced, connect, free_address, get, ledger, metric, tflog, wait_at_most,
};
use crate::oracle::Received;

/// How long a service may take to deliver a test's events, faults included.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// A running tflog.
pub(crate) struct Service {
    pub(crate) running: Running,
    pub(crate) dir: TempDir,
    /// Where it takes lines.
    pub(crate) input: SocketAddr,
    /// Where it says how it is.
    pub(crate) http: SocketAddr,
}

impl Service {
    /// Starts one with this config: `DIR` in it is a directory of its own, `INPUT`
    /// the address of its TCP source.
    pub(crate) fn start(config: &str) -> Service {
        Service::start_with(config, Stdio::null())
    }

    /// As [`Service::start`], with a stdin.
    pub(crate) fn start_with(config: &str, stdin: Stdio) -> Service {
        let dir = tempfile::tempdir().unwrap();
        let (input, http) = (free_address(), free_address());
        let config = config
            .replace("DIR", dir.path().to_str().unwrap())
            .replace("INPUT", &input.to_string());
        let path = dir.path().join("tflog.yaml");
        std::fs::write(&path, config).unwrap();
        let mut command = tflog(&["-c", path.to_str().unwrap(), "--http", &http.to_string()]);
        // A file, since a pipe that nobody empties would stop tflog.
        let log = File::create(dir.path().join("log")).unwrap();
        let running = Running::start(command.stdin(stdin).stderr(log));
        let mut service = Service {
            running,
            dir,
            input,
            http,
        };
        service.wait_until_up();
        service
    }

    fn wait_until_up(&mut self) {
        wait_at_most(PATIENCE, "tflog's own listener", || {
            let ended = self.running.child.try_wait().unwrap();
            assert!(ended.is_none(), "tflog ended: {}", self.log());
            TcpStream::connect(self.http).ok()
        });
    }

    /// What it has logged.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    /// Sends text over a connection of its own.
    pub(crate) fn send(&self, text: &str) {
        connect(self.input).write_all(text.as_bytes()).unwrap();
    }

    /// A metric, summed over the series that contain `part`.
    pub(crate) fn metric(&self, part: &str) -> u64 {
        metric(&get(self.http, "/metrics").1, part)
    }

    /// Waits for something; shows the log if it does not come.
    pub(crate) fn wait<T>(&self, what: &str, condition: impl FnMut() -> Option<T>) -> T {
        self.wait_long(PATIENCE, what, condition)
    }

    /// As [`Service::wait`], for what may take longer.
    pub(crate) fn wait_long<T>(
        &self,
        patience: Duration,
        what: &str,
        mut condition: impl FnMut() -> Option<T>,
    ) -> T {
        let started = std::time::Instant::now();
        wait_at_most(patience * 2, what, || {
            let late = started.elapsed() > patience;
            assert!(!late, "waited in vain for {what}; its log: {}", self.log());
            condition()
        })
    }

    /// Waits until all that was read is settled.
    pub(crate) fn wait_until_settled(&self, events: u64, patience: Duration) {
        self.wait_long(patience, "everything to be settled", || {
            let page = get(self.http, "/metrics").1;
            let received = metric(&page, "tflog_component_received_events_total");
            let open = metric(&page, "tflog_source_open_events");
            (received >= events && open == 0).then_some(())
        });
    }

    /// Ends it by SIGTERM: nothing lost, and the ledger adds up.
    pub(crate) fn finish(self) -> Ended {
        self.running.signal("TERM");
        let Service { running, dir, .. } = self;
        let (status, _) = running.finish();
        let log = std::fs::read_to_string(dir.path().join("log")).unwrap();
        assert_eq!(status.code(), Some(0), "{log}");
        let ledger = ledger(&log);
        assert_balanced(&ledger);
        Ended { dir, ledger, log }
    }
}

/// A tflog that has ended.
pub(crate) struct Ended {
    pub(crate) dir: TempDir,
    pub(crate) ledger: Value,
    pub(crate) log: String,
}

impl Ended {
    /// A term of a sink in the ledger.
    pub(crate) fn sink(&self, name: &str, term: &str) -> u64 {
        number(&self.ledger["sinks"][name][term])
    }

    /// A term of a source in the ledger.
    pub(crate) fn source(&self, name: &str, term: &str) -> u64 {
        number(&self.ledger["sources"][name][term])
    }

    /// The dead letters of the file sink `DIR/dead.jsonl`, and the reasons.
    pub(crate) fn dead_letters(&self) -> (Received, Vec<String>) {
        let mut received = Received::default();
        let mut reasons = Vec::new();
        for line in read(&self.dir.path().join("dead.jsonl")).lines() {
            let letter: Value = serde_json::from_str(line).expect("dead letters are JSON");
            reasons.push(letter["reason"].as_str().expect("a reason").to_owned());
            match &letter["event"] {
                Value::String(text) => received.take_line(text),
                event => received.take(event),
            }
        }
        (received, reasons)
    }
}

/// The text of a file; none if there is no file.
pub(crate) fn read(path: &Path) -> String {
    let mut text = String::new();
    if let Ok(mut file) = File::open(path) {
        file.read_to_string(&mut text).unwrap();
    }
    text
}

fn number(term: &Value) -> u64 {
    term.as_u64().expect("a term of the ledger")
}
