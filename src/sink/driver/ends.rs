//! What ends a driver before its queue does: the deadline of a stop, and a
//! successor.

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::delivery::Delivery;

impl<F> Delivery<F> {
    /// Resolves once a deadline is set and has passed.
    pub(super) async fn passed(&self) {
        sleep_until(set(&self.cut_off).await).await;
    }

    /// Resolves once a successor is to take over.
    pub(super) async fn relieved(&self) {
        set(&self.relieved).await;
    }

    /// Resolves once it waits no longer for a write in progress.
    pub(super) async fn relief_due(&self) {
        sleep_until(set(&self.relieved).await).await;
    }
}

/// Waits until a deadline is set.
async fn set(deadline: &watch::Receiver<Option<Instant>>) -> Instant {
    let mut deadline = deadline.clone();
    let set = deadline.wait_for(Option::is_some).await.map(|d| *d);
    match set {
        Ok(Some(deadline)) => deadline,
        // Nobody is left who could set one.
        _ => std::future::pending().await,
    }
}
