//! An inlet that records what it is sent, for the tests of sources.

use std::collections::HashMap;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use tokio::sync::{Semaphore, watch};

use super::{Inlet, Notice, Outlet, SourceError};
use crate::component::Definition;
use crate::event::{Batch, Stream, Tally};
use crate::seam::World;

/// What one batch was.
pub(super) struct Recorded {
    pub(super) stream: Arc<Stream>,
    pub(super) position: u64,
    /// Where each row began in a marked chunk's input.
    pub(super) positions: Vec<u64>,
    pub(super) text: Vec<u8>,
    pub(super) ends: Vec<u32>,
    pub(super) truncated: Vec<u32>,
    pub(super) pinned_bytes: usize,
}

/// Records batches; may hold them back or refuse them.
pub(super) struct Recorder {
    batches: Mutex<Vec<Recorded>>,
    notices: Mutex<HashMap<Notice, u64>>,
    lines: watch::Sender<usize>,
    /// Sends that were begun.
    begun: watch::Sender<usize>,
    /// Sends that are still let through.
    gate: Semaphore,
    idle: AtomicBool,
    closed: AtomicBool,
    /// Whether batches are given up.
    failing: AtomicBool,
}

impl Recorder {
    pub(super) fn new() -> Arc<Recorder> {
        let recorder = Recorder::holding();
        recorder.let_through(Semaphore::MAX_PERMITS);
        recorder
    }

    /// Lets nothing through until told to.
    pub(super) fn holding() -> Arc<Recorder> {
        Arc::new(Recorder {
            batches: Mutex::default(),
            notices: Mutex::default(),
            lines: watch::Sender::new(0),
            begun: watch::Sender::new(0),
            gate: Semaphore::new(0),
            idle: AtomicBool::new(true),
            closed: AtomicBool::new(false),
            failing: AtomicBool::new(false),
        })
    }

    pub(super) fn let_through(&self, sends: usize) {
        self.gate.add_permits(sends);
    }

    pub(super) fn set_idle(&self, idle: bool) {
        self.idle.store(idle, Ordering::SeqCst);
    }

    pub(super) fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::SeqCst);
    }

    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    pub(super) fn outlet(self: &Arc<Self>, world: World) -> Outlet {
        Outlet::new(7, Arc::default(), world, self.clone())
    }

    /// Waits until so many lines have arrived.
    pub(super) async fn wait_lines(&self, lines: usize) {
        let mut seen = self.lines.subscribe();
        seen.wait_for(|&seen| seen >= lines)
            .await
            .expect("the recorder lives");
    }

    /// Waits until a line has arrived.
    pub(super) async fn wait_line(&self, line: &str) {
        let mut seen = self.lines.subscribe();
        seen.wait_for(|_| self.events().iter().any(|event| event == line))
            .await
            .expect("the recorder lives");
    }

    /// Waits until so many sends have begun, let through or not.
    pub(super) async fn wait_begun(&self, sends: usize) {
        let mut begun = self.begun.subscribe();
        begun
            .wait_for(|&begun| begun >= sends)
            .await
            .expect("the recorder lives");
    }

    pub(super) fn lines(&self) -> usize {
        *self.lines.borrow()
    }

    pub(super) fn noticed(&self, notice: Notice) -> u64 {
        let notices = self.notices.lock().expect("not poisoned");
        notices.get(&notice).copied().unwrap_or_default()
    }

    /// Looks at the batches so far.
    pub(super) fn with<T>(&self, look: impl FnOnce(&[Recorded]) -> T) -> T {
        look(&self.batches.lock().expect("not poisoned"))
    }

    /// The text of all batches in order of arrival.
    pub(super) fn text(&self) -> String {
        self.with(|batches| {
            let text: Vec<u8> = batches.iter().flat_map(|b| b.text.clone()).collect();
            String::from_utf8(text).expect("test input is text")
        })
    }

    /// All events in order of arrival.
    pub(super) fn events(&self) -> Vec<String> {
        self.with(|batches| {
            let mut events = Vec::new();
            for batch in batches {
                let mut start = 0;
                for end in batch.ends.iter().map(|&end| end as usize) {
                    events.push(String::from_utf8_lossy(&batch.text[start..end]).into_owned());
                    start = end;
                }
            }
            events
        })
    }

    /// The text of the streams with this metadata value.
    pub(super) fn text_of(&self, name: &str, value: &str) -> String {
        self.with(|batches| {
            let of = |b: &&Recorded| b.stream.meta(name).is_some_and(|meta| **meta == *value);
            let text: Vec<u8> = batches
                .iter()
                .filter(of)
                .flat_map(|b| b.text.clone())
                .collect();
            String::from_utf8(text).expect("test input is text")
        })
    }
}

impl Inlet for Recorder {
    fn send(
        &self,
        batch: Batch,
    ) -> Pin<Box<dyn Future<Output = Result<(), SourceError>> + Send + '_>> {
        Box::pin(async move {
            self.begun.send_modify(|begun| *begun += 1);
            self.gate.acquire().await.expect("never closed").forget();
            if self.closed.load(Ordering::SeqCst) {
                return Err(SourceError::Closed);
            }
            let mut batch = batch;
            let waiter = batch.take_waiter();
            let rows = batch.rows();
            self.batches.lock().expect("not poisoned").push(Recorded {
                stream: batch.stream.clone(),
                position: batch.position,
                positions: (0..rows).map(|row| batch.row_position(row)).collect(),
                text: batch.text().to_vec(),
                ends: batch.ends().to_vec(),
                truncated: batch.truncated().to_vec(),
                pinned_bytes: batch.pinned_bytes(),
            });
            if let Some(waiter) = waiter {
                let fails = self.failing.load(Ordering::SeqCst);
                waiter.settled(Tally {
                    accepted: if fails { 0 } else { rows as u64 },
                    returned: if fails { rows as u64 } else { 0 },
                    ..Tally::default()
                });
            }
            self.lines.send_modify(|lines| *lines += rows);
            Ok(())
        })
    }

    fn is_idle(&self) -> bool {
        self.idle.load(Ordering::SeqCst)
    }

    fn count(&self, notice: Notice, times: u64) {
        *self
            .notices
            .lock()
            .expect("not poisoned")
            .entry(notice)
            .or_default() += times;
    }
}

/// A definition named `test`.
pub(super) fn definition(scheme: &str, target: &str, options: serde_json::Value) -> Definition {
    let serde_json::Value::Object(options) = options else {
        panic!("options are an object");
    };
    Definition {
        name: "test".into(),
        scheme: scheme.into(),
        tls: false,
        target: target.into(),
        options,
    }
}
