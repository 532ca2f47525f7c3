//! LTSV (ltsv.org): `label:value` pairs, apart by tabs.
//!
//! The labels that ltsv.org proposes for access logs have the names of the
//! other access formats; `-` is absent. A line needs two pairs at least.

use std::ops::Range;

use super::super::scan;
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

/// The bytes that labels have.
static LABELS: [bool; 256] = {
    let mut labels = [false; 256];
    let mut byte = 0u8;
    while byte < u8::MAX {
        let sign = matches!(byte, b'_' | b'.' | b'-');
        labels[byte as usize] = byte.is_ascii_alphanumeric() || sign;
        byte += 1;
    }
    labels
};

impl Pairs {
    /// Reads the line into `pairs`; `None` if it is not LTSV.
    pub(super) fn scan_ltsv(&mut self, text: &[u8], line: Range<usize>) -> Option<()> {
        self.pairs.clear();
        let mut seen = 0u128;
        let mut count = 0;
        let mut start = line.start;
        // A tab at the end of the line ends nothing.
        while start < line.end {
            let label = text[start..line.end].iter();
            let colon = start + label.take_while(|b| LABELS[usize::from(**b)]).count();
            let is_label = colon > start && text[..line.end].get(colon) == Some(&b':');
            is_label.then_some(())?;
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
