//! Event ids: fixed when an event is read, the same on every retry.

use std::fmt;

/// 128 bits that name one event: a hash of origin, position and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EventId(pub u128);

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:032x}", self.0)
    }
}

/// The id of the event `line` at byte `position` of the stream `origin`.
#[must_use]
pub fn event_id(origin: u128, position: u64, line: &[u8]) -> EventId {
    let mut hash = xxhash_rust::xxh3::Xxh3::new();
    hash.update(&origin.to_le_bytes());
    hash.update(&position.to_le_bytes());
    hash.update(line);
    EventId(hash.digest128())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_depends_on_origin_position_and_content() {
        let id = event_id(1, 2, b"x");
        assert_eq!(id, event_id(1, 2, b"x"));
        assert_ne!(id, event_id(2, 2, b"x"));
        assert_ne!(id, event_id(1, 3, b"x"));
        assert_ne!(id, event_id(1, 2, b"y"));
        assert_eq!(id.to_string().len(), 32);
    }
}
