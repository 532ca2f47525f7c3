//! The formats that a line may have, behind one type: each call is a jump by a
//! small number rather than through a table of functions.

use std::ops::Range;

use super::super::Parser;
use super::super::pairs::Pairs;
use super::super::pattern::Pattern;
use super::super::syslog::Syslog;
use super::super::text::Text;
use super::bytes::{AsciiSet, ByteSet};
use crate::event::Columns;

/// A compiled candidate; each stream gets a copy.
pub(in super::super) enum Stock {
    Json,
    Pattern(Pattern),
    Syslog(Syslog),
    /// Logfmt or LTSV.
    Pairs(Pairs),
    Text(Text),
}

impl Stock {
    /// A copy for one stream.
    pub(in super::super) fn parser(&self, json: impl Fn() -> Box<dyn Parser>) -> Candidate {
        match self {
            Stock::Json => Candidate::Json(json()),
            Stock::Pattern(parser) => Candidate::Pattern(parser.clone()),
            Stock::Syslog(parser) => Candidate::Syslog(parser.clone()),
            Stock::Pairs(parser) => Candidate::Pairs(parser.clone()),
            Stock::Text(parser) => Candidate::Text(parser.clone()),
        }
    }
}

/// A format that a line may have.
pub(in super::super) enum Candidate {
    Json(Box<dyn Parser>),
    Pattern(Pattern),
    Syslog(Syslog),
    Pairs(Pairs),
    Text(Text),
}

impl Candidate {
    pub(super) fn parser(&mut self) -> &mut dyn Parser {
        match self {
            Candidate::Json(parser) => &mut **parser,
            Candidate::Pattern(parser) => parser,
            Candidate::Syslog(parser) => parser,
            Candidate::Pairs(parser) => parser,
            Candidate::Text(parser) => parser,
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Candidate::Json(parser) => parser.name(),
            Candidate::Pattern(parser) => parser.name(),
            Candidate::Syslog(parser) => parser.name(),
            Candidate::Pairs(parser) => parser.name(),
            Candidate::Text(parser) => parser.name(),
        }
    }

    #[inline]
    pub(super) fn parse_line(
        &mut self,
        text: &[u8],
        line: Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        match self {
            Candidate::Json(parser) => parser.parse_line(text, line, row, out),
            Candidate::Pattern(parser) => parser.parse_line(text, line, row, out),
            Candidate::Syslog(parser) => parser.parse_line(text, line, row, out),
            Candidate::Pairs(parser) => parser.parse_line(text, line, row, out),
            Candidate::Text(parser) => parser.parse_line(text, line, row, out),
        }
    }

    /// Reads rows as long as they have this format, as [`Parser::parse_rows`] does.
    pub(super) fn parse_rows(
        &mut self,
        text: &[u8],
        ends: &[u32],
        rows: Range<usize>,
        out: &mut Columns,
        fallback: &mut dyn Parser,
    ) -> usize {
        match self {
            Candidate::Json(parser) => parser.parse_rows(text, ends, rows, out, fallback),
            Candidate::Pattern(parser) => parser.parse_rows(text, ends, rows, out, fallback),
            Candidate::Syslog(parser) => parser.parse_rows(text, ends, rows, out, fallback),
            Candidate::Pairs(parser) => parser.parse_rows(text, ends, rows, out, fallback),
            Candidate::Text(parser) => parser.parse_rows(text, ends, rows, out, fallback),
        }
    }

    /// What a line says that this format reads: the more a format asks of a
    /// line, the less likely it is to read one by accident. Plain text, which
    /// asks nothing, is worth nothing.
    pub(super) fn weight(&self) -> u32 {
        match self {
            // No other text is an object of JSON.
            Candidate::Json(_) => 1000,
            Candidate::Pattern(parser) => parser.weight(),
            // As much as a template of time, host, tag and message.
            Candidate::Syslog(_) => 20,
            Candidate::Pairs(_) => 12,
            Candidate::Text(_) => 0,
        }
    }

    /// Bytes that all its lines have, behind their time if they begin with one.
    pub(super) fn required(&self) -> AsciiSet {
        match self {
            Candidate::Pattern(parser) => parser.required(),
            _ => AsciiSet::default(),
        }
    }

    /// The bytes that its lines can begin with.
    pub(super) fn firsts(&self) -> ByteSet {
        match self {
            Candidate::Json(_) => ByteSet::of(b"{ \t"),
            Candidate::Pattern(parser) => parser.firsts(),
            // A priority, or a time: a month's name or RFC 3339's digits.
            Candidate::Syslog(_) => ByteSet::where_(|b| b == b'<' || b.is_ascii_alphanumeric()),
            Candidate::Pairs(_) | Candidate::Text(_) => ByteSet::where_(|_| true),
        }
    }
}
