//! CSV (RFC 4180) and TSV (IANA text/tab-separated-values), with a header.
//!
//! The header is the first line of a stream, or named in the format:
//! `csv: time,level,message`. The header line itself stays an event with the
//! line as message. Names have roles as elsewhere; a bare value of digits is a
//! number, an empty one absent. A value in quotes may hold separators, and
//! doubled quotes, which stay doubled; a line break in one is not supported.
//! A line with more values than names, or with an open quote, is no CSV.

use std::ops::Range;
use std::sync::Arc;

use super::Parser;
use super::output::{Output, Value, values};
use crate::event::batch::trim_terminator;
use crate::event::{Columns, Defs, Needs, Role, Timestamp};

/// More columns than this are no log; bounds what a header can ask for.
const COLUMNS_MAX: usize = 256;

/// Reads separated values.
#[derive(Clone, Debug)]
pub(super) struct Separated {
    name: &'static str,
    delimiter: u8,
    needs: Needs,
    /// The names known at start-up, to which a stream's header adds its own.
    defs: Defs,
    message: Output,
    /// The columns in output order, by their place in a line.
    columns: Arc<[(usize, Value)]>,
    /// How many columns there are; none until a header was read.
    count: usize,
    /// Whether the next line is the header.
    at_header: bool,
    spans: Vec<(Range<usize>, bool)>,
    reference: Timestamp,
}

impl Separated {
    /// `header` holds the names, separated as the lines are, or nothing.
    pub(super) fn build(
        name: &'static str,
        delimiter: u8,
        header: &str,
        needs: &Needs,
        defs: &mut Defs,
    ) -> Separated {
        let message = Output::new("message", Some(Role::Message), None, needs, defs);
        let mut parser = Separated {
            name,
            delimiter,
            needs: needs.clone(),
            defs: Defs::default(),
            message,
            columns: Arc::new([]),
            count: 0,
            at_header: false,
            spans: Vec::new(),
            reference: Timestamp(0),
        };
        if !header.trim().is_empty() {
            // People separate names by commas in either.
            let given = Separated {
                delimiter: b',',
                ..parser.clone()
            };
            parser.set_header(&given, header.as_bytes(), defs);
        }
        parser.defs = defs.clone();
        parser
    }

    fn set_header(&mut self, reader: &Separated, line: &[u8], defs: &mut Defs) {
        let mut spans = Vec::new();
        let known = reader.split(line, 0..line.len(), COLUMNS_MAX, &mut spans);
        if known.is_none() || spans.is_empty() {
            return;
        }
        let names: Vec<String> = spans
            .iter()
            .map(|(span, _)| {
                String::from_utf8_lossy(&line[span.clone()])
                    .trim()
                    .to_owned()
            })
            .collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        if names.iter().all(|name| name.is_empty()) {
            return;
        }
        self.columns = values(&names, &self.needs, defs).into();
        self.count = names.len();
    }

    /// Splits a line into at most `max` spans, each with whether it was quoted.
    fn split(
        &self,
        text: &[u8],
        line: Range<usize>,
        max: usize,
        spans: &mut Vec<(Range<usize>, bool)>,
    ) -> Option<()> {
        spans.clear();
        let mut at = line.start;
        loop {
            let quoted = self.delimiter != b'\t' && text[at..line.end].first() == Some(&b'"');
            let (span, stop) = if quoted {
                let close = closing(text, at + 1, line.end)?;
                (at + 1..close, close + 1)
            } else {
                let found = memchr::memchr(self.delimiter, &text[at..line.end]);
                let stop = found.map_or(line.end, |found| at + found);
                (at..stop, stop)
            };
            spans.push((span, quoted));
            (spans.len() <= max).then_some(())?;
            if stop == line.end {
                return Some(());
            }
            (text[stop] == self.delimiter).then_some(())?;
            at = stop + 1;
        }
    }
}

/// Where the quote is that ends a value; two in a row are one of the value.
fn closing(text: &[u8], mut at: usize, end: usize) -> Option<usize> {
    loop {
        let quote = at + memchr::memchr(b'"', &text[at..end])?;
        if text[..end].get(quote + 1) != Some(&b'"') {
            return Some(quote);
        }
        at = quote + 2;
    }
}

impl Parser for Separated {
    fn name(&self) -> &'static str {
        self.name
    }

    fn begin(&mut self, observed: Timestamp) {
        self.reference = observed;
    }

    fn learn(&mut self, text: &[u8], ends: &[u32]) -> Option<Arc<Defs>> {
        if self.count > 0 {
            return None;
        }
        let end = *ends.first()? as usize;
        let first = &text[trim_terminator(text, 0..end)];
        // A mark of the byte order is no part of the first name.
        let names = first.strip_prefix(b"\xef\xbb\xbf").unwrap_or(first);
        let mut defs = self.defs.clone();
        let reader = self.clone();
        self.set_header(&reader, names, &mut defs);
        self.at_header = self.count > 0;
        self.at_header.then(|| Arc::new(defs))
    }

    fn parse_line(
        &mut self,
        text: &[u8],
        line: Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        if std::mem::take(&mut self.at_header) {
            self.message.text(out, row, text, line.start, line.end);
            return true;
        }
        let mut spans = std::mem::take(&mut self.spans);
        let split = self.split(text, line, self.count, &mut spans);
        if split.is_some() {
            for (place, value) in &*self.columns {
                if let Some((span, quoted)) = spans.get(*place)
                    && !span.is_empty()
                {
                    value.put(out, row, text, span.clone(), *quoted, self.reference);
                }
            }
        }
        self.spans = spans;
        split.is_some()
    }
}
