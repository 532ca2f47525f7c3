//! Several formats for one stream: which one its lines have.
//!
//! The first lines decide. Every candidate tries them, and each line that it
//! reads counts as much as the format asks of a line; the best is tried first
//! from then on, and a stream of one format costs one try a line. A line that it
//! does not read is read by the format that read the last such line, or the
//! first of the others that can, so that interleaved formats are told apart
//! line by line. Where many lines are not the stream's format, those of the
//! next batch decide anew.
//!
//! Of the others only those are tried whose lines begin with the line's first
//! byte and have in them what the line has, and those that begin with a time share
//! its reading. On plain text they are tried on some lines only (see [`runs`]),
//! but for JSON, which one byte tells.
//!
//! Rows that need no look at other formats are left to the loop of the one that
//! reads them, so that a stream of one format costs what naming it would.

mod bytes;
mod candidate;
mod runs;

use std::ops::Range;
use std::sync::Arc;

use super::json::may_be_object;
use super::{Parser, line_of, parse_row};
use crate::event::batch::trim_terminator;
use crate::event::time::Layout;
use crate::event::{Columns, Defs, Needs, Timestamp};
pub(super) use bytes::{AsciiSet, ByteSet};
pub(super) use candidate::{Candidate, Stock};
use runs::{Kind, Runs};

/// How many lines decide: enough that one odd line does not.
const SAMPLE_LINES: usize = 16;
/// What a line that is not the stream's format counts; one that is counts one
/// back. Lines are decided anew when more than a fifth are not, …
const MISS: u32 = 4;
/// … and the count reaches this, which doubles each time that the answer is
/// the same: interleaved formats are not decided again and again.
const MISSES_MIN: u32 = 64;
const MISSES_MAX: u32 = 1 << 16;
/// What a line must look like for a candidate to be worth a try.
struct Gate {
    /// The bytes that it can begin with.
    firsts: ByteSet,
    /// Bytes that it has (see [`Candidate::required`]).
    required: AsciiSet,
}

impl Gate {
    fn of(candidate: &Candidate) -> Gate {
        Gate {
            firsts: candidate.firsts(),
            required: candidate.required(),
        }
    }
}

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

/// What the lines of one stream have said of its format so far.
pub struct Decision {
    /// The stream's format.
    chosen: Option<usize>,
    /// What read the last line that was not the stream's format.
    second: Option<usize>,
    /// What read the last line.
    last: Option<usize>,
    undecided: bool,
    /// What the lines that decide count for each candidate, and how many they are.
    totals: Box<[u32]>,
    sampled: usize,
    misses: u32,
    misses_limit: u32,
    /// Lines in a row that only plain text took.
    runs: Runs,
}

impl Decision {
    /// Nothing yet, of so many candidates.
    fn of(candidates: usize) -> Decision {
        Decision {
            chosen: None,
            second: None,
            last: None,
            undecided: true,
            totals: vec![0; candidates].into(),
            sampled: 0,
            misses: 0,
            misses_limit: MISSES_MIN,
            runs: Runs::NONE,
        }
    }
}

impl Default for Decision {
    fn default() -> Decision {
        Decision::of(0)
    }
}

/// Tries its candidates line by line.
pub(super) struct Detect {
    needs: Needs,
    candidates: Box<[Candidate]>,
    /// One for each candidate.
    gates: Box<[Gate]>,
    /// For each candidate, the index in `leads` of what its lines begin with.
    lead_of: Box<[Option<usize>]>,
    leads: Box<[Lead]>,
    /// What bytes the line has …
    seen: AsciiSet,
    /// … and what it has behind a time of so many bytes.
    seen_behind: Option<(usize, AsciiSet)>,
    /// The candidates that are tried on every line that is not the stream's format.
    always: Box<[usize]>,
    /// Plain text, if it is among them.
    text: Option<usize>,
    stream: Decision,
    observed: Timestamp,
}

impl Detect {
    pub(super) fn new(candidates: Box<[Candidate]>, needs: &Needs) -> Detect {
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
        let any_line = |c: &Candidate| matches!(c, Candidate::Json(_) | Candidate::Text(_));
        let all = candidates.iter().enumerate();
        let is_text = |c: &Candidate| matches!(c, Candidate::Text(_));
        Detect {
            text: candidates.iter().position(is_text),
            always: all.filter(|(_, c)| any_line(c)).map(|(i, _)| i).collect(),
            gates: candidates.iter().map(Gate::of).collect(),
            seen: AsciiSet::default(),
            seen_behind: None,
            lead_of,
            leads: leads.into(),
            stream: Decision::of(candidates.len()),
            candidates,
            needs: needs.clone(),
            observed: Timestamp(0),
        }
    }

    /// Decides by the first lines of a batch, and those that decided before if
    /// they were too few.
    #[cold]
    fn decide(&mut self, text: &[u8], ends: &[u32]) {
        let mut scratch = Columns::default();
        scratch.reset(&self.needs, 1, &Arc::default());
        let mut start = 0;
        for &end in ends.iter().take(SAMPLE_LINES - self.stream.sampled) {
            let line = trim_terminator(text, start..end as usize);
            // Of an event of several lines the first tells its format.
            let newline = memchr::memchr(b'\n', &text[line.clone()]);
            let line = line.start..newline.map_or(line.end, |at| line.start + at);
            start = end as usize;
            self.stream.sampled += 1;
            self.look(&text[line.clone()]);
            for i in 0..self.candidates.len() {
                let reads = match self.candidates[i] {
                    // It learns of what it reads; its lines are no other's.
                    Candidate::Json(_) => text[line.clone()].starts_with(b"{"),
                    Candidate::Text(_) => false,
                    _ => self.reads(i, text, &line, 0, &mut scratch),
                };
                if reads {
                    self.stream.totals[i] += self.candidates[i].weight();
                }
                scratch.reset_row(0);
            }
        }
        let best = self
            .stream
            .totals
            .iter()
            .copied()
            .max()
            .filter(|&best| best > 0);
        // Of equals the first, which is the more particular one.
        let chosen =
            best.and_then(|best| self.stream.totals.iter().position(|&total| total == best));
        // The variants of one format in their order: the first that reads any.
        let chosen = chosen.and_then(|best| {
            let name = self.candidates[best].name();
            let reads =
                |i: &usize| self.stream.totals[*i] > 0 && self.candidates[*i].name() == name;
            (0..=best).find(reads)
        });
        self.stream.misses = 0;
        self.stream.misses_limit = if chosen == self.stream.chosen {
            (self.stream.misses_limit * 2).min(MISSES_MAX)
        } else {
            MISSES_MIN
        };
        self.stream.chosen = chosen;
        self.stream.second = None;
        self.stream.undecided = false;
    }

    /// Forgets what the last line began with and looks at what `line` has in it.
    fn look(&mut self, line: &[u8]) {
        for lead in &mut self.leads {
            lead.reading = Reading::Unread;
        }
        self.seen = AsciiSet::of_short(line);
        self.seen_behind = None;
    }

    /// Whether candidate `i` reads the line that was looked at, into row `row`.
    #[inline]
    fn reads(
        &mut self,
        i: usize,
        text: &[u8],
        line: &Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        let first = first_of(&text[line.clone()]);
        // Most lines of other formats fail here, before anything is read.
        let gate = &self.gates[i];
        gate.firsts.contains(first)
            && gate.required.is_within(self.seen)
            && self.may_be(i, &text[line.clone()])
            && self.candidates[i].parse_line(text, line.clone(), row, out)
    }

    /// Whether the line may be candidate `i`'s, by the time it begins with and
    /// the bytes that it has behind that.
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
        let seen = match self.seen_behind {
            Some((from, seen)) if from == len => seen,
            _ => AsciiSet::of_short(&line[len..]),
        };
        self.seen_behind = Some((len, seen));
        if !self.gates[i].required.is_within(seen) {
            return false;
        }
        if let Candidate::Pattern(pattern) = &mut self.candidates[i] {
            pattern.set_lead(&line[..len], time);
        }
        true
    }

    /// Reads rows that need no look at other formats, up to the first that does.
    fn parse_run(
        &mut self,
        text: &[u8],
        ends: &[u32],
        rows: Range<usize>,
        out: &mut Columns,
        fallback: &mut dyn Parser,
    ) -> usize {
        let (start, mut end) = (rows.start, rows.end);
        let Some(taker) = self.stream.chosen.or(self.text) else {
            return start;
        };
        if self.stream.chosen.is_none() {
            end = self.text_rows(text, ends, rows);
        }
        let read = self.candidates[taker].parse_rows(text, ends, start..end, out, fallback);
        if read > start {
            self.stream.last = Some(taker);
            self.stream.misses = self.stream.misses.saturating_sub((read - start) as u32);
        }
        read
    }

    /// Counts the rows that are taken for plain text, up to the first on which
    /// other formats are to be tried.
    fn text_rows(&mut self, text: &[u8], ends: &[u32], rows: Range<usize>) -> usize {
        let is_other = |row: &usize| {
            let line = &text[line_of(text, ends, *row)];
            let kind = Kind::of(first_of(line));
            let other = self.stream.runs.is_due(kind) || may_be_object(line);
            if !other {
                self.stream.runs.add(kind);
            }
            other
        };
        rows.clone().find(is_other).unwrap_or(rows.end)
    }

    /// Reads a line that is not the stream's format.
    fn read_other(
        &mut self,
        text: &[u8],
        line: &Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        let first = first_of(&text[line.clone()]);
        let kind = Kind::of(first);
        let chosen = self.stream.chosen;
        let taker = if self.stream.runs.is_due(kind) {
            self.look(&text[line.clone()]);
            let mut candidates = self
                .stream
                .second
                .into_iter()
                .chain(0..self.candidates.len());
            candidates.find(|&i| Some(i) != chosen && self.reads(i, text, line, row, out))
        } else {
            let mut always = self.always.iter().copied();
            let candidates = &mut self.candidates;
            always.find(|&i| {
                Some(i) != chosen
                    && self.gates[i].firsts.contains(first)
                    && candidates[i].parse_line(text, line.clone(), row, out)
            })
        };
        if let Some(i) = taker {
            self.took(i, kind);
        }
        taker.is_some()
    }

    /// Notes that candidate `i`, which is not the stream's format, took a line.
    fn took(&mut self, i: usize, kind: Kind) {
        self.stream.last = Some(i);
        if let Candidate::Text(_) = self.candidates[i] {
            self.stream.runs.add(kind);
            // Lines of plain text are in streams of every format.
            if self.stream.chosen.is_none() {
                return;
            }
        } else {
            self.stream.runs.end(kind);
            self.stream.second = Some(i);
        }
        self.stream.misses += MISS;
        if self.stream.misses >= self.stream.misses_limit {
            self.stream.undecided = true;
            self.stream.sampled = 0;
            self.stream.totals.fill(0);
        }
    }
}

/// The byte that a line begins with; an empty one has its end.
#[inline]
fn first_of(line: &[u8]) -> u8 {
    line.first().copied().unwrap_or(b'\n')
}

impl Parser for Detect {
    fn name(&self) -> &'static str {
        self.stream
            .last
            .map_or("auto", |last| self.candidates[last].name())
    }

    fn turn_to(&mut self, stream: &mut Decision) {
        std::mem::swap(&mut self.stream, stream);
        if self.stream.totals.is_empty() {
            self.stream.totals = vec![0; self.candidates.len()].into();
        }
    }

    fn begin(&mut self, observed: Timestamp) {
        self.observed = observed;
        // A stream that begins slowly is decided by several batches.
        self.stream.undecided |= self.stream.sampled < SAMPLE_LINES;
        for candidate in &mut self.candidates {
            candidate.parser().begin(observed);
        }
    }

    fn learn(&mut self, text: &[u8], ends: &[u32]) -> Option<Arc<Defs>> {
        if self.stream.undecided {
            self.decide(text, ends);
        }
        None
    }

    fn parse_line(
        &mut self,
        text: &[u8],
        line: Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        if let Some(chosen) = self.stream.chosen
            && self.candidates[chosen].parse_line(text, line.clone(), row, out)
        {
            self.stream.last = self.stream.chosen;
            self.stream.misses = self.stream.misses.saturating_sub(1);
            return true;
        }
        self.read_other(text, &line, row, out)
    }

    fn parse_rows(
        &mut self,
        text: &[u8],
        ends: &[u32],
        rows: Range<usize>,
        out: &mut Columns,
        fallback: &mut dyn Parser,
    ) -> usize {
        let mut row = rows.start;
        loop {
            row = self.parse_run(text, ends, row..rows.end, out, fallback);
            if row == rows.end {
                return row;
            }
            let read = |line, out: &mut Columns| self.read_other(text, &line, row, out);
            if !parse_row(text, ends, row, out, fallback, read) {
                return row;
            }
            row += 1;
        }
    }
}
