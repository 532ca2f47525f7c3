//! A router as its stage and its source's readers share it.
//!
//! A batch whose lines nobody asks about costs less to route than to hand to
//! another thread: its reader routes it itself, as long as nothing that came
//! before waits and all required sinks have room. All others queue for the stage;
//! with few processors only those for whose events there are lists, or no room.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::sync::{Mutex, mpsc};
use tokio::time::{Instant, sleep_until};

use super::entrance::Arrival;
use super::router::{Router, Turn};

/// The router, and what is before it.
pub(super) struct Shortcut {
    router: Mutex<Router>,
    /// Whether the plan wants anything of what lines say.
    parses: AtomicBool,
    behind: Arc<AtomicUsize>,
}

/// Held by an arrival that is not in the router's hands yet.
pub(super) struct Queued(Arc<AtomicUsize>);

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Release);
    }
}

impl Shortcut {
    pub(super) fn new(router: Router) -> Arc<Shortcut> {
        Arc::new(Shortcut {
            parses: AtomicBool::new(router.parses()),
            router: Mutex::new(router),
            behind: Arc::default(),
        })
    }

    /// Whether arrivals have to be parsed.
    pub(super) fn parses(&self) -> bool {
        self.parses.load(Ordering::Relaxed)
    }

    /// Routes an arrival on this thread, or hands it back to be queued.
    pub(super) fn take(&self, arrival: Arrival) -> Option<Arrival> {
        // What came before on its stream was counted by this thread, and keeps the
        // lock from when it is no longer until it is routed.
        let free = self.behind.load(Ordering::Acquire) == 0;
        let rest = match self.router.try_lock() {
            Ok(mut router) if free => router.route_now(arrival)?,
            _ => arrival,
        };
        Some(self.queued(rest))
    }

    /// Notes that an arrival waits for the stage.
    pub(super) fn queued(&self, mut arrival: Arrival) -> Arrival {
        self.behind.fetch_add(1, Ordering::Relaxed);
        arrival.note_queued(Queued(self.behind.clone()));
        arrival
    }

    /// The stage: routes what queues until the source has ended and everything it
    /// sent is queued at sinks.
    pub(super) async fn run(
        self: Arc<Shortcut>,
        mut arrivals: mpsc::Receiver<Arrival>,
        mut turns: mpsc::Receiver<Turn>,
    ) {
        let mut due = self.router.lock().await.due();
        loop {
            tokio::select! {
                biased;
                Some(turn) = turns.recv() => {
                    let mut router = self.router.lock().await;
                    router.turn(turn).await;
                    self.parses.store(router.parses(), Ordering::Relaxed);
                    due = router.due();
                }
                arrival = arrivals.recv() => {
                    let Some(arrival) = arrival else { break };
                    let mut router = self.router.lock().await;
                    router.route(arrival).await;
                    due = router.due();
                }
                () = at(due) => {
                    let mut router = self.router.lock().await;
                    router.hand_over_made(false).await;
                    due = router.due();
                }
            }
        }
        self.router.lock().await.hand_over_made(true).await;
    }
}

/// Waits until then, or for ever.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
