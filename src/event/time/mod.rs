//! Times as log lines write them, to nanoseconds since the epoch and back.
//!
//! A [`Layout`] is a strftime string compiled once; it reads times off the
//! start of a text and writes them. [`any_prefix`] and [`parse_any`] read every
//! common layout.
//! Nothing here reads a clock: what lacks a year takes a reference time from
//! the caller.

mod any;
mod civil;
mod clock;
mod hint;
mod layout;
mod memo;
mod read;
mod recent;
mod write;
mod zone;

pub use any::{Form, any_prefix, parse_any};
pub use hint::may_begin;
pub use layout::{Layout, LayoutError};
pub use memo::Memo;
pub use recent::Recent;
pub use write::Rfc3339Writer;

/// Nanoseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// No time was found.
    pub const ABSENT: Timestamp = Timestamp(i64::MIN);

    /// Appends the time as RFC 3339 in UTC, with as many digits of a fraction
    /// as it needs: 0, 3, 6 or 9.
    pub fn write_rfc3339(self, out: &mut Vec<u8>) {
        Rfc3339Writer::default().write_time(self, out);
    }

    /// The same as text.
    #[must_use]
    pub fn to_rfc3339(self) -> String {
        let mut text = Vec::new();
        self.write_rfc3339(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    }
}

#[cfg(test)]
mod tests;
