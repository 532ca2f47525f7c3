//! How sources are told to stop.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use tokio::sync::watch;
use tokio::time::Instant;

/// Tells sources to stop: listeners close at once; pipes, children and open
/// connections are read until end of input or the deadline.
#[derive(Clone)]
pub struct Stop {
    state: watch::Receiver<Option<Instant>>,
    /// Readable once stopping: for blocking readers' `poll`.
    wake: Arc<OwnedFd>,
}

/// The other end of [`Stop`]. Dropping it stops at once.
pub struct Stopper {
    // Dropped before `wake`: who wakes up finds the deadline.
    state: watch::Sender<Option<Instant>>,
    wake: OwnedFd,
}

impl Stop {
    /// A stop signal that has not been given yet.
    pub fn new() -> std::io::Result<(Stopper, Stop)> {
        let (sender, receiver) = watch::channel(None);
        let (read, write) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let stop = Stop {
            state: receiver,
            wake: Arc::new(read),
        };
        Ok((
            Stopper {
                state: sender,
                wake: write,
            },
            stop,
        ))
    }

    /// The deadline for reading what is still coming; `None` while running.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        let deadline = *self.state.borrow();
        if deadline.is_none() && self.state.has_changed().is_err() {
            // The stopper was dropped: the pipeline is gone.
            return Some(Instant::now());
        }
        deadline
    }

    /// Waits until stopping begins; then the deadline.
    pub async fn stopping(&self) -> Instant {
        let mut state = self.state.clone();
        // A dropped stopper means that the pipeline is gone: stop now.
        let deadline = state.wait_for(Option::is_some).await.ok().and_then(|d| *d);
        deadline.unwrap_or_else(Instant::now)
    }

    /// Waits until stopping has begun and its deadline has passed.
    pub async fn expired(&self) {
        tokio::time::sleep_until(self.stopping().await).await;
    }

    /// A descriptor that polls readable (hang-up) once stopping begins.
    #[must_use]
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        AsFd::as_fd(&*self.wake)
    }
}

impl Stopper {
    /// Begins stopping; input is read until `deadline` at most.
    pub fn stop(&self, deadline: Instant) {
        self.state.send_replace(Some(deadline));
        // One byte in an empty pipe: cannot block, and failure means all readers are gone.
        let _ = rustix::io::write(&self.wake, b"!");
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use rustix::event::{PollFd, PollFlags, Timespec, poll};

    use super::*;

    fn wakes(stop: &Stop) -> bool {
        let now = Timespec::default();
        let mut fds = [PollFd::new(&stop.wake, PollFlags::IN)];
        poll(&mut fds, Some(&now)).expect("poll") == 1
    }

    #[tokio::test(start_paused = true)]
    async fn a_stop_reaches_blocked_and_waiting_readers() {
        let (stopper, stop) = Stop::new().expect("pipe");
        assert!(!wakes(&stop));
        assert_eq!(stop.deadline(), None);
        let deadline = Instant::now() + Duration::from_secs(3);
        stopper.stop(deadline);
        assert!(wakes(&stop));
        assert_eq!(stop.deadline(), Some(deadline));
        assert_eq!(stop.stopping().await, deadline);
        stop.expired().await;
        assert!(Instant::now() >= deadline);
    }

    #[tokio::test(start_paused = true)]
    async fn a_dropped_stopper_stops_at_once() {
        let (stopper, stop) = Stop::new().expect("pipe");
        drop(stopper);
        assert!(wakes(&stop));
        assert_eq!(stop.deadline(), Some(Instant::now()));
        assert_eq!(stop.stopping().await, Instant::now());
    }
}
