//! Signals: the first begins to stop, the second exits at once; a hang-up may
//! mean to read the config again, and SIGUSR2 to hand over to another tflog.

use tokio::signal::unix::{Signal, SignalKind, signal};

/// The number of a hang-up.
pub(super) const HANG_UP: i32 = SignalKind::hangup().as_raw_value();

/// The number of the signal to hand over.
pub(super) const HAND_OVER: i32 = SignalKind::user_defined2().as_raw_value();

/// The signals that ask tflog to stop, or to read its config again.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
    hand_over: Signal,
}

impl Signals {
    /// Starts listening; from here on the signals no longer kill.
    pub(super) fn listen() -> std::io::Result<Signals> {
        Ok(Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
            hand_over: signal(SignalKind::user_defined2())?,
        })
    }

    /// The next one, by its number.
    pub(super) async fn next(&mut self) -> i32 {
        tokio::select! {
            _ = self.terminate.recv() => SignalKind::terminate().as_raw_value(),
            _ = self.interrupt.recv() => SignalKind::interrupt().as_raw_value(),
            _ = self.hang_up.recv() => HANG_UP,
            _ = self.hand_over.recv() => HAND_OVER,
        }
    }
}
