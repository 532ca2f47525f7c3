//! Stops a running pipeline, or parts of it that a reload has removed.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::Instant;

use crate::source::Stopper;

/// Of the grace period, how much is kept for the sinks once the sources have
/// stopped reading.
const SINKS_SHARE_OF_GRACE: Duration = Duration::from_secs(5);

/// Stops a running pipeline, from wherever a signal is heard.
#[derive(Clone)]
pub struct Control(Arc<Inner>);

struct Inner {
    brakes: Mutex<Brakes>,
    cut_off: watch::Sender<Option<Instant>>,
    stopping: watch::Sender<bool>,
}

/// What stops each source and each driver.
struct Brakes {
    grace: Duration,
    sources: Vec<Weak<Stopper>>,
    sinks: Vec<watch::Sender<Option<Instant>>>,
    /// Until when sources may read, once they were stopped.
    reading: Option<Instant>,
}

/// Until when a part that is stopped may go on.
#[derive(Clone, Copy)]
pub(super) struct Deadlines {
    /// A source that reads what is still coming.
    pub(super) reading: Instant,
    /// A sink that delivers.
    pub(super) cut_off: Instant,
}

impl Control {
    pub(super) fn new(grace: Duration) -> Control {
        Control(Arc::new(Inner {
            brakes: Mutex::new(Brakes {
                grace,
                sources: Vec::new(),
                sinks: Vec::new(),
                reading: None,
            }),
            cut_off: watch::Sender::new(None),
            stopping: watch::Sender::new(false),
        }))
    }

    fn brakes(&self) -> MutexGuard<'_, Brakes> {
        self.0.brakes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins to stop: sources read what is still coming, sinks drain, both
    /// within the grace period.
    pub fn stop(&self) {
        if self.0.stopping.send_replace(true) {
            // A later deadline would not be everybody's.
            return;
        }
        let mut brakes = self.brakes();
        let deadlines = brakes.deadlines();
        brakes.stop_reading(deadlines.reading);
        let cut_off = Some(deadlines.cut_off);
        self.0.cut_off.send_replace(cut_off);
        for sink in &brakes.sinks {
            sink.send_if_modified(|own| {
                let sooner = own.is_none_or(|own| own > deadlines.cut_off);
                if sooner {
                    *own = cut_off;
                }
                sooner
            });
        }
    }

    /// Stops reading at once; what was read is still delivered, without a
    /// deadline.
    pub(super) fn stop_reading(&self) {
        self.brakes().stop_reading(Instant::now());
    }

    /// Until when what a reload removes may go on.
    pub(super) fn deadlines(&self) -> Deadlines {
        self.brakes().deadlines()
    }

    pub(super) fn set_grace(&self, grace: Duration) {
        self.brakes().grace = grace;
    }

    /// A source that is to be stopped with the others.
    pub(super) fn add_source(&self, stopper: &Arc<Stopper>) {
        let mut brakes = self.brakes();
        brakes.sources.retain(|source| source.strong_count() > 0);
        brakes.sources.push(Arc::downgrade(stopper));
        if let Some(deadline) = brakes.reading {
            stopper.stop(deadline);
        }
    }

    /// The deadline of a driver that is to be stopped with the others.
    pub(super) fn add_sink(&self) -> watch::Sender<Option<Instant>> {
        let mut brakes = self.brakes();
        brakes.sinks.retain(|sink| !sink.is_closed());
        let sink = watch::Sender::new(*self.0.cut_off.borrow());
        brakes.sinks.push(sink.clone());
        sink
    }

    pub(super) fn stopping(&self) -> watch::Receiver<bool> {
        self.0.stopping.subscribe()
    }

    /// When everything must have ended, once that is known.
    pub(super) fn cut_off(&self) -> watch::Receiver<Option<Instant>> {
        self.0.cut_off.subscribe()
    }
}

impl Brakes {
    fn deadlines(&self) -> Deadlines {
        let now = Instant::now();
        let reading = self.grace.saturating_sub(SINKS_SHARE_OF_GRACE);
        Deadlines {
            reading: now + reading.max(self.grace / 2),
            cut_off: now + self.grace,
        }
    }

    fn stop_reading(&mut self, deadline: Instant) {
        self.reading = Some(deadline);
        for stopper in self.sources.iter().filter_map(Weak::upgrade) {
            stopper.stop(deadline);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A signal that comes after a stage has failed finds it stopping.
    #[tokio::test(start_paused = true)]
    async fn whoever_is_told_twice_to_stop_keeps_the_first_deadline() {
        let control = Control::new(Duration::from_secs(10));
        let sink = control.add_sink();
        let start = Instant::now();
        control.stop();
        tokio::time::advance(Duration::from_secs(1)).await;
        control.stop();
        let deadline = Some(start + Duration::from_secs(10));
        assert_eq!(*control.cut_off().borrow(), deadline);
        assert_eq!(*sink.borrow(), deadline);
        assert_eq!(
            *control.add_sink().borrow(),
            deadline,
            "one that comes late"
        );
    }
}
