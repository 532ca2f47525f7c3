//! LTSV (ltsv.org): `label:value` pairs, apart by tabs.
//!
//! The labels that ltsv.org proposes for access logs have the names of the
//! other access formats; `-` is absent. A line needs two pairs at least.

use std::ops::Range;

use super::{Pair, Pairs, hash, is_number};
use crate::event::FieldKind;

/// ltsv.org, "Labels for Web server's Log".
pub(super) const NAMES: [(&str, &str); 16] = [
    ("time", "timestamp"),
    ("host", "client"),
    ("forwardedfor", "forwarded_for"),
    ("ident", "ident"),
    ("user", "user"),
    ("req", "message"),
    ("method", "http.method"),
    ("uri", "http.path"),
    ("protocol", "http.protocol"),
    ("status", "http.status"),
    ("size", "http.bytes"),
    ("reqsize", "http.request_bytes"),
    ("referer", "referrer"),
    ("ua", "user_agent"),
    ("vhost", "http.host"),
    ("reqtime", "duration_s"),
];

impl Pairs {
    /// Reads the line into `pairs`; `None` if it is not LTSV.
    pub(super) fn scan_ltsv(&mut self, text: &[u8], line: Range<usize>) -> Option<()> {
        self.pairs.clear();
        let mut seen = 0u128;
        let mut count = 0;
        let mut start = line.start;
        while start <= line.end {
            let stop = memchr::memchr(b'\t', &text[start..line.end]);
            let stop = stop.map_or(line.end, |at| start + at);
            let field = &text[start..stop];
            // A tab at the end of the line ends nothing.
            if !field.is_empty() || stop < line.end {
                let colon = field.iter().position(|&b| b == b':')?;
                let label = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
                let plain = colon > 0 && field[..colon].iter().all(label);
                plain.then_some(())?;
                count += 1;
                self.value(text, start..stop, start + colon, &mut seen)?;
            }
            start = stop + 1;
        }
        (count > 1).then_some(())
    }

    /// Adds the pair `text[field]` with its colon at `colon`, unless it is absent.
    fn value(
        &mut self,
        text: &[u8],
        field: Range<usize>,
        colon: usize,
        seen: &mut u128,
    ) -> Option<()> {
        let key = &text[field.start..colon];
        let (mut from, mut to) = (colon + 1, field.end);
        let value = &text[from..to];
        if value == b"-" {
            return Some(());
        }
        if key == b"time" && value.first() == Some(&b'[') && value.last() == Some(&b']') {
            (from, to) = (from + 1, to - 1);
        }
        let hash = hash(key);
        let kind = if is_number(&text[from..to]) {
            FieldKind::Number
        } else {
            FieldKind::Text
        };
        let pair = Pair {
            key: (field.start as u32, colon as u32),
            value: (from as u32, to as u32),
            kind,
            hash,
            known: self.lookup(key, hash),
        };
        self.add(text, pair, seen)
    }
}
