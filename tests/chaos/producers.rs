//! Clients that post events over HTTP for as long as they are told to, and know
//! what they were answered.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::answer::Answer;
use crate::oracle::{self, Name, Received, names};

/// Events of a request.
const EVENTS: u64 = 20;
/// How long an answer may take; the source's `ack_timeout` is shorter.
const PATIENCE: Duration = Duration::from_secs(20);
/// Between attempts to connect to a process that is not there.
const PAUSE: Duration = Duration::from_millis(2);

/// Running clients.
pub(crate) struct Producers {
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Sent>>,
}

/// What clients sent.
#[derive(Default)]
pub(crate) struct Sent {
    /// Answered 200.
    pub(crate) acknowledged: Vec<Name>,
    /// Whatever the answer, if there was one.
    pub(crate) all: Vec<Name>,
}

impl Producers {
    /// Starts `count` clients of `address` whose names begin with `name`, each
    /// sending one request after the other and none of them twice.
    pub(crate) fn start(address: SocketAddr, name: &str, count: usize) -> Producers {
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..count).map(|client| {
            let (stop, name) = (stop.clone(), format!("{name}{client}"));
            std::thread::spawn(move || produce(address, &name, &stop))
        });
        Producers {
            threads: threads.collect(),
            stop,
        }
    }

    /// Ends them.
    pub(crate) fn finish(self) -> Sent {
        self.stop.store(true, Ordering::SeqCst);
        let mut all = Sent::default();
        for thread in self.threads {
            let mut sent = thread.join().unwrap();
            all.acknowledged.append(&mut sent.acknowledged);
            all.all.append(&mut sent.all);
        }
        all
    }
}

impl Sent {
    /// What is acknowledged was received, and nothing was that nobody sent or
    /// that was altered on the way; how many came twice.
    pub(crate) fn judge(&self, what: &str, received: &Received) -> u64 {
        let missing: Vec<_> = self
            .acknowledged
            .iter()
            .filter(|(producer, number)| !received.has(producer, *number))
            .collect();
        assert!(
            missing.is_empty(),
            "{what}: {} of {} acknowledged events are missing: {:?} …",
            missing.len(),
            self.acknowledged.len(),
            &missing[..missing.len().min(5)]
        );
        // What was not acknowledged may have come or not.
        let came: Vec<_> = self
            .all
            .iter()
            .filter(|(producer, number)| received.has(producer, *number))
            .cloned()
            .collect();
        received.assert_all(what, &came);
        received.duplicates()
    }
}

fn produce(address: SocketAddr, name: &str, stop: &AtomicBool) -> Sent {
    let mut sent = Sent::default();
    let mut connection = None;
    let mut next = 0;
    while !stop.load(Ordering::SeqCst) {
        let stream = connection
            .take()
            .or_else(|| TcpStream::connect(address).ok());
        let Some(mut stream) = stream else {
            std::thread::park_timeout(PAUSE);
            continue;
        };
        let numbers = next..next + EVENTS;
        next += EVENTS;
        let mut events = names(name, numbers.clone());
        sent.all.extend(events.iter().cloned());
        let body = oracle::lines(name, numbers);
        match post(&mut stream, body.as_bytes()) {
            Some(200) => sent.acknowledged.append(&mut events),
            Some(429 | 503) => std::thread::park_timeout(PAUSE),
            Some(status) => panic!("{name}: status {status}"),
            // It died, or the connection was one of a process before.
            None => continue,
        }
        connection = Some(stream);
    }
    sent
}

/// The status of the answer; `None` if none came.
pub(crate) fn post(stream: &mut TcpStream, body: &[u8]) -> Option<u16> {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: t\r\ncontent-type: application/x-ndjson\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    stream.write_all(&[head.as_bytes(), body].concat()).ok()?;
    let mut all = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        if let Some(answer) = Answer::of(&all) {
            return Some(answer.status);
        }
        match stream.read(&mut buffer) {
            Ok(0) => return None,
            Ok(read) => all.extend_from_slice(&buffer[..read]),
            Err(error) => {
                let late = error.kind() == std::io::ErrorKind::WouldBlock;
                assert!(!late, "no answer within {PATIENCE:?}");
                return None;
            }
        }
    }
}
