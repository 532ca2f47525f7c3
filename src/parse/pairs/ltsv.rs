//! LTSV (ltsv.org): `label:value` pairs, apart by tabs.
//!
//! The labels that ltsv.org proposes for access logs have the names of the
//! other access formats; `-` is absent. A line needs two pairs at least.

use std::ops::Range;

use super::super::scan;
use super::{Pair, Pairs, Seen, hash, is_number};
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
        let mut seen = Seen::default();
        let mut count = 0;
        let mut start = line.start;
        // A tab at the end of the line ends nothing.
        while start < line.end {
            let colon = scan::find(text, start, line.end, b':')?;
            let stop = scan::find(text, colon, line.end, b'\t').unwrap_or(line.end);
            count += 1;
            self.value(text, start..stop, colon, &mut seen)?;
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
        seen: &mut Seen,
    ) -> Option<()> {
        let key = &text[field.start..colon];
        if key.is_empty() {
            return None;
        }
        let hash = hash(key);
        let known = self.lookup(key, hash);
        if !self.is_plain(key, known) {
            return None;
        }
        let (mut from, mut to) = (colon + 1, field.end);
        let value = &text[from..to];
        if value == b"-" {
            return Some(());
        }
        if value.first() == Some(&b'[') && value.last() == Some(&b']') && key == b"time" {
            (from, to) = (from + 1, to - 1);
        }
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
            known,
            has_role: false,
        };
        self.add(text, pair, seen)
    }
}
