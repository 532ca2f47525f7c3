//! How long a reader waits for what an event goes on with (`multiline`).

use tokio::time::Instant;

use crate::frame::Framer;

/// The wait for one event.
#[derive(Default)]
pub(super) struct Hold {
    /// Where in the stream its last whole line ends.
    end: u64,
    /// When it is over; none while nothing is held.
    pub(super) until: Option<Instant>,
}

impl Hold {
    /// Looks at what is held when nothing more is there, `position` being the
    /// stream offset of the chunk, whose whole events have been sent. The wait
    /// begins when the last whole line came: the beginning of another one does
    /// not prolong it.
    pub(super) fn note(&mut self, position: u64, framer: &Framer) {
        let held = framer.held();
        let end = position + held as u64;
        if held == 0 {
            self.until = None;
        } else if self.until.is_none() || self.end != end {
            let until = Some(Instant::now() + framer.hold_time());
            *self = Hold { end, until };
        }
    }
}
