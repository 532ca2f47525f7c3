//! Several formats for one stream: the one that read the last line is tried
//! first, then the others in order.
//!
//! A stream of one format costs one try a line, any other line at most one
//! try for each candidate, of which those that begin with a time share its
//! reading. Plain text takes any line, so it can never be sure: after a long
//! run of it the other formats, but for JSON, are tried on some lines only.

use std::ops::Range;
use std::sync::Arc;

use super::Parser;
use super::logfmt::Logfmt;
use super::pattern::Pattern;
use super::syslog::Syslog;
use super::text::Text;
use crate::event::time::Layout;
use crate::event::{Columns, Timestamp};

/// A compiled candidate; each stream gets a copy.
pub(super) enum Stock {
    Json,
    Pattern(Pattern),
    Syslog(Syslog),
    Logfmt(Logfmt),
    Text(Text),
}

impl Stock {
    /// A copy for one stream.
    pub(super) fn parser(&self, json: impl Fn() -> Box<dyn Parser>) -> Candidate {
        match self {
            Stock::Json => Candidate::Json(json()),
            Stock::Pattern(parser) => Candidate::Pattern(parser.clone()),
            Stock::Syslog(parser) => Candidate::Syslog(parser.clone()),
            Stock::Logfmt(parser) => Candidate::Logfmt(parser.clone()),
            Stock::Text(parser) => Candidate::Text(parser.clone()),
        }
    }
}

/// A format that a line may have.
pub(super) enum Candidate {
    Json(Box<dyn Parser>),
    Pattern(Pattern),
    Syslog(Syslog),
    Logfmt(Logfmt),
    Text(Text),
}

impl Candidate {
    fn parser(&mut self) -> &mut dyn Parser {
        match self {
            Candidate::Json(parser) => &mut **parser,
            Candidate::Pattern(parser) => parser,
            Candidate::Syslog(parser) => parser,
            Candidate::Logfmt(parser) => parser,
            Candidate::Text(parser) => parser,
        }
    }

    fn name(&self) -> &'static str {
        match self {
            Candidate::Json(parser) => parser.name(),
            Candidate::Pattern(parser) => parser.name(),
            Candidate::Syslog(parser) => parser.name(),
            Candidate::Logfmt(parser) => parser.name(),
            Candidate::Text(parser) => parser.name(),
        }
    }

    #[inline]
    fn parse_line(
        &mut self,
        text: &[u8],
        line: Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        match self {
            Candidate::Json(parser) => {
                // Other lines must not disturb what it learns of its own.
                let first = text[line.clone()].iter().find(|b| !b.is_ascii_whitespace());
                first == Some(&b'{') && parser.parse_line(text, line, row, out)
            }
            Candidate::Pattern(parser) => parser.parse_line(text, line, row, out),
            Candidate::Syslog(parser) => parser.parse_line(text, line, row, out),
            Candidate::Logfmt(parser) => parser.parse_line(text, line, row, out),
            Candidate::Text(parser) => parser.parse_line(text, line, row, out),
        }
    }
}

/// After so many lines in a row that only plain text took, …
const TEXT_RUN: u64 = 1024;
/// … the other formats are tried on one line in so many: a stream that changes
/// its format is recognised within that many lines.
const TEXT_SAMPLE: u64 = 8;

/// A layout that some candidates' lines begin with: read once a line for all.
struct Lead {
    layout: Arc<Layout>,
    reading: Reading,
}

/// What a line begins with.
#[derive(Clone, Copy)]
enum Reading {
    /// Nobody asked yet.
    Unread,
    /// No time.
    Absent,
    /// A time of so many bytes.
    Time(Timestamp, usize),
}

/// Tries its candidates line by line.
pub(super) struct Detect {
    candidates: Box<[Candidate]>,
    /// For each candidate, the index in `leads` of what its lines begin with.
    lead_of: Box<[Option<usize>]>,
    leads: Box<[Lead]>,
    last: Option<usize>,
    /// Lines in a row that only plain text took.
    text_run: u64,
    observed: Timestamp,
}

impl Detect {
    pub(super) fn new(candidates: Box<[Candidate]>) -> Detect {
        let mut leads: Vec<Lead> = Vec::new();
        let lead_of = candidates.iter().map(|candidate| {
            let Candidate::Pattern(pattern) = candidate else {
                return None;
            };
            let layout = pattern.lead()?;
            let known = leads.iter().position(|l| l.layout == *layout);
            Some(known.unwrap_or_else(|| {
                leads.push(Lead {
                    layout: layout.clone(),
                    reading: Reading::Unread,
                });
                leads.len() - 1
            }))
        });
        let lead_of = lead_of.collect();
        Detect {
            candidates,
            lead_of,
            leads: leads.into(),
            last: None,
            text_run: 0,
            observed: Timestamp(0),
        }
    }

    /// Whether candidate `i` is tried at all.
    fn is_tried(&self, i: usize) -> bool {
        let sampled = self.text_run < TEXT_RUN || self.text_run.is_multiple_of(TEXT_SAMPLE);
        sampled || matches!(self.candidates[i], Candidate::Json(_) | Candidate::Text(_))
    }

    /// Notes which candidate took a line.
    fn took(&mut self, i: usize) {
        self.last = Some(i);
        self.text_run = match self.candidates[i] {
            Candidate::Text(_) => self.text_run + 1,
            _ => 0,
        };
    }

    /// Whether the line may be candidate `i`'s, by the time it begins with.
    fn may_be(&mut self, i: usize, line: &[u8]) -> bool {
        let Some(lead) = self.lead_of[i] else {
            return true;
        };
        let Lead { layout, reading } = &mut self.leads[lead];
        if let Reading::Unread = reading {
            let found = layout.parse_prefix_in(line, self.observed);
            *reading = found.map_or(Reading::Absent, |(time, len)| Reading::Time(time, len));
        }
        let Reading::Time(time, len) = *reading else {
            return false;
        };
        if let Candidate::Pattern(pattern) = &mut self.candidates[i] {
            pattern.set_lead(&line[..len], time);
        }
        true
    }
}

impl Parser for Detect {
    fn name(&self) -> &'static str {
        self.last
            .map_or("auto", |last| self.candidates[last].name())
    }

    fn begin(&mut self, observed: Timestamp) {
        self.observed = observed;
        for candidate in &mut self.candidates {
            candidate.parser().begin(observed);
        }
    }

    fn parse_line(
        &mut self,
        text: &[u8],
        line: Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        // Plain text takes any line: it never keeps another format from its own.
        let sure = self
            .last
            .filter(|&i| !matches!(self.candidates[i], Candidate::Text(_)));
        if let Some(last) = sure
            && self.candidates[last].parse_line(text, line.clone(), row, out)
        {
            return true;
        }
        for lead in &mut self.leads {
            lead.reading = Reading::Unread;
        }
        for i in 0..self.candidates.len() {
            if Some(i) != sure
                && self.is_tried(i)
                && self.may_be(i, &text[line.clone()])
                && self.candidates[i].parse_line(text, line.clone(), row, out)
            {
                self.took(i);
                return true;
            }
        }
        false
    }
}
