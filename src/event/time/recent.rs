//! The second that was read last, of times whose layout nobody named: lines
//! come many a second.

use super::hint::may_begin;
use super::read::{Cursor, Parts};
use super::{Form, Timestamp, any_prefix};

/// Reads times in any common layout, and remembers the last second of the most
/// common one, `2026-11-23T13:32:42`.
#[derive(Clone, Copy, Debug)]
pub struct Recent {
    text: [u8; Recent::BYTES],
    /// The second in UTC.
    second: Timestamp,
}

impl Recent {
    const BYTES: usize = 19;
    /// Remembers nothing.
    pub const EMPTY: Recent = Recent {
        text: [0; Recent::BYTES],
        second: Timestamp::ABSENT,
    };

    /// Reads a time as [`any_prefix`] does.
    #[inline]
    pub fn any_prefix(
        &mut self,
        text: &[u8],
        reference: Timestamp,
    ) -> Option<(Timestamp, usize, Form)> {
        let head = text.first_chunk();
        if let Some(found) = head
            .filter(|h| **h == self.text)
            .and_then(|_| self.again(text))
        {
            return Some(found);
        }
        // Nearly all that is asked about in messages is none.
        if !may_begin(text) {
            return None;
        }
        if let Some(head) = head {
            self.learn(head);
        }
        any_prefix(text, reference)
    }

    /// What follows the second that was read last; `None` if it must be read
    /// with it.
    #[inline]
    fn again(&self, text: &[u8]) -> Option<(Timestamp, usize, Form)> {
        let mut cursor = Cursor::new(text);
        let mut parts = Parts::default();
        cursor.at = Self::BYTES;
        let nanos = cursor.fraction();
        (!cursor.may_be_half_day()).then_some(())?;
        cursor.zone_or_none(&mut parts);
        let offset = i64::from(parts.offset_secs) * 1_000_000_000;
        let time = self.second.0.checked_sub(offset)?;
        let time = Timestamp(time.checked_add(i64::from(nanos))?);
        Some((time, cursor.at, Form::Full))
    }

    #[cold]
    fn learn(&mut self, head: &[u8; Self::BYTES]) {
        let mut parts = Parts::default();
        let is_second = Cursor::new(head).date_time(&mut parts).is_some();
        if let Some(second) = parts.resolve(None).filter(|_| is_second) {
            self.text = *head;
            self.second = second;
        }
    }
}
