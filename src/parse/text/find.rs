//! Where a line has its time and its level.
//!
//! The head of a line is read word by word. A time is tried where a word can
//! be the beginning of one; whether a word is meant as a level depends on what
//! stands around it (see [`word`](super::word)).

use std::ops::Range;

use super::word::{self, Around};
use super::words::Words;
use crate::event::time::{Form, Recent};
use crate::event::{Level, Timestamp};

/// How far into a line time and level are looked for.
const HEAD_BYTES_MAX: usize = 160;
/// How many words are looked at: heads have fewer.
const WORDS_MAX: usize = 16;

/// A level as it stands in the line.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Severity {
    Word(Range<usize>, Level),
    /// Told by a number: systemd's `<3>`, `level=30`.
    Number(Level),
}

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) time: Option<(Range<usize>, Timestamp)>,
    pub(super) level: Option<Severity>,
    /// Where the level stands, with its brackets.
    level_at: Range<usize>,
    /// Where the time stands, with its brackets.
    time_at: Range<usize>,
    /// Whether one of them is the value of a key.
    pub(super) keyed: bool,
}

impl Found {
    /// Where the first and the last of the two stand; the same if there is one.
    pub(super) fn items(&self) -> Option<(Range<usize>, Range<usize>)> {
        let time = self.time.as_ref().map(|_| self.time_at.clone());
        let level = self.level.as_ref().map(|_| self.level_at.clone());
        match (time, level) {
            (Some(time), Some(level)) if time.start <= level.start => Some((time, level)),
            (Some(time), Some(level)) => Some((level, time)),
            (Some(only), None) | (None, Some(only)) => Some((only.clone(), only)),
            (None, None) => None,
        }
    }

    /// Where the bracket closes that was opened right before an item and holds
    /// more than it.
    pub(super) fn encloser(
        &self,
        text: &[u8],
        last: &Range<usize>,
        line: &Range<usize>,
    ) -> Option<usize> {
        let (first, _) = self.items()?;
        let open = [first.start, last.start].into_iter().find_map(|start| {
            let before = start.checked_sub(1).filter(|&b| b >= line.start)?;
            let close = word::closing(text[before])?;
            let inside = &text[start..last.end];
            (!inside.contains(&close)).then_some(close)
        })?;
        let window = &text[last.end..line.end.min(last.end + HEAD_BYTES_MAX)];
        let at = window
            .iter()
            .position(|b| *b == open || word::closing(*b).is_some())?;
        (window[at] == open).then_some(last.end + at)
    }
}

/// The reading of one line.
pub(super) struct Finder<'a> {
    text: &'a [u8],
    line: &'a Range<usize>,
    /// Where the head ends.
    end: usize,
    reference: Timestamp,
    recent: &'a mut Recent,
    found: Found,
    /// Digits that are a time if nothing else is.
    epoch: Option<(Range<usize>, Timestamp)>,
    /// A level if a time follows it: next to it, or anywhere if the level is
    /// alone in brackets.
    pending: Option<(Range<usize>, Level)>,
    /// Words since the time that are more than numbers.
    words_since_time: usize,
    /// Where the message begins, if a source file and its line say so.
    message: Option<usize>,
}

impl<'a> Finder<'a> {
    pub(super) fn new(
        text: &'a [u8],
        line: &'a Range<usize>,
        reference: Timestamp,
        recent: &'a mut Recent,
    ) -> Finder<'a> {
        Finder {
            text,
            line,
            end: line.end.min(line.start + HEAD_BYTES_MAX),
            reference,
            recent,
            found: Found::default(),
            epoch: None,
            pending: None,
            words_since_time: 0,
            message: None,
        }
    }

    pub(super) fn run(mut self) -> Found {
        let (text, line_end) = (self.text, self.line.end);
        let start = self.priority();
        let mut words = Words::new(text, start, self.end);
        let (mut nth, mut at) = (0, start);
        // Most lines that have a time begin with it, and the level is next.
        if start < self.end
            && let Some(behind) = self.time(start)
        {
            (nth, at) = (1, behind);
            if let Some(word) = self.word_behind(behind) {
                (nth, at) = (2, word.end);
                self.word(word, 1);
            }
            words.go_on(at);
        }
        while nth < WORDS_MAX && !self.is_done() {
            let wanted = word::wanted(self.found.time.is_none(), self.found.level.is_none());
            let from = nth;
            // What this loop passes over is all but numbers.
            let next = loop {
                match words.next() {
                    Some(word) if nth + 1 < WORDS_MAX && !wanted.may_be(text, &word, line_end) => {
                        nth += 1;
                    }
                    other => break other,
                }
            };
            self.words_since_time += nth - from;
            let Some(word) = next else {
                break;
            };
            at = word.end;
            match self.time(word.start) {
                Some(behind) => {
                    words.go_on(behind);
                    at = behind;
                }
                None => self.word(word, nth),
            }
            nth += 1;
        }
        self.finish(at, nth);
        self.found
    }

    /// Looks behind the last of `count` words, which ends at `at`, if there may be
    /// no more, and takes digits for the time if nothing else is one.
    #[inline]
    fn finish(&mut self, at: usize, count: usize) {
        if count == WORDS_MAX && !self.is_done() {
            self.tail(at);
        }
        if let (None, Some((span, time))) = (&self.found.time, self.epoch.take()) {
            self.confirm(span.start);
            self.found.time_at = self.bracketed(&span);
            self.found.time = Some((span, time));
        }
    }

    /// The word next to a time, if it is short and nothing but a few plain
    /// delimiters is between them: most levels are, and need no stretch looked at.
    #[inline]
    fn word_behind(&self, time_end: usize) -> Option<Range<usize>> {
        const BYTES_MAX: usize = 12;
        self.found.time.as_ref()?;
        let window = &self.text[time_end..self.end.min(time_end + BYTES_MAX).max(time_end)];
        let is_gap = |b: &u8| word::is_delimiter(*b) && *b != super::ESCAPE;
        let gap = window.iter().position(|b| !is_gap(b))?;
        let len = window[gap..].iter().position(|b| word::is_delimiter(*b))?;
        let start = time_end + gap;
        (len > 0).then_some(start..start + len)
    }

    fn is_done(&self) -> bool {
        self.found.time.is_some() && self.found.level.is_some()
    }

    /// systemd's `<3>` (sd-daemon(3)); where it ends.
    fn priority(&mut self) -> usize {
        let start = self.line.start;
        if let [b'<', digit @ b'0'..=b'7', b'>', ..] = self.text[start..self.line.end] {
            self.found.level = Level::parse(&[digit]).map(Severity::Number);
            self.found.level_at = start..start + 3;
            return start + 3;
        }
        start
    }

    /// A time in brackets further on than the head has words: `… [time]`.
    fn tail(&mut self, mut at: usize) {
        while self.found.time.is_none()
            && let Some(open) = super::super::scan::find(self.text, at, self.end, b'[')
        {
            at = open + 1;
            if at < self.end {
                at = self.time(at).unwrap_or(at);
            }
        }
    }

    /// A time at `at`; where it ends.
    fn time(&mut self, at: usize) -> Option<usize> {
        let first = self.text[at];
        if self.found.time.is_some() || !word::begins_time(first) {
            return None;
        }
        let window = &self.text[at..self.line.end];
        let (time, len, form) = self.recent.any_prefix(window, self.reference)?;
        let stop = at + len;
        let span = at..stop;
        let goes_on = |b: &u8| b.is_ascii_alphanumeric() || *b == b'_';
        if self.text[..self.line.end].get(stop).is_some_and(goes_on) {
            return None;
        }
        let before = self.before(at);
        let keyed = matches!(before, b'=' | b'"' | b'\'');
        if form != Form::Full && before != 0 && !keyed && !self.is_enclosed(&span) {
            if form == Form::Epoch && self.epoch.is_none() {
                self.epoch = Some((span, time));
                return Some(stop);
            }
            let follows_level = self.found.level.is_some() && self.is_next_to_level(at);
            if !follows_level {
                return None;
            }
        }
        self.confirm(at);
        self.found.keyed |= keyed;
        self.found.time_at = self.bracketed(&span);
        self.found.time = Some((span, time));
        self.words_since_time = 0;
        Some(stop)
    }

    /// Takes the pending level if it goes with a time at `at`.
    fn confirm(&mut self, at: usize) {
        if let Some((span, level)) = self.pending.take()
            && self.found.level.is_none()
        {
            // Digits that were no time until nothing else was may stand before it.
            let between = self.text.get(span.end..at);
            let is_gap = |b: &u8| word::is_delimiter(*b) || *b == b'-';
            let next = between.is_some_and(|between| between.iter().all(is_gap));
            if next || self.is_enclosed(&span) || self.is_dashed(&span) {
                self.set_level(span, level);
            }
        }
    }

    fn is_next_to_level(&self, at: usize) -> bool {
        let between = &self.text[self.found.level_at.end.min(at)..at];
        between.iter().all(|b| word::is_delimiter(*b) || *b == b'-')
    }

    /// The byte before `at`, 0 at the line's beginning or after its blanks.
    fn before(&self, at: usize) -> u8 {
        let head = &self.text[self.line.start..at];
        if head.iter().all(|b| matches!(b, b' ' | b'\t' | b'*')) {
            0
        } else {
            self.text[at - 1]
        }
    }

    fn is_enclosed(&self, span: &Range<usize>) -> bool {
        span.start > self.line.start
            && word::closing(self.text[span.start - 1])
                .is_some_and(|close| self.text[..self.line.end].get(span.end) == Some(&close))
    }

    /// A span with the brackets around it.
    fn bracketed(&self, span: &Range<usize>) -> Range<usize> {
        if self.is_enclosed(span) {
            span.start - 1..span.end + 1
        } else {
            span.clone()
        }
    }

    /// A word that is no time.
    fn word(&mut self, word: Range<usize>, nth: usize) {
        if self.found.level.is_some() {
            // Words are looked at for the level only.
            return;
        }
        if !self.text[word.start].is_ascii_alphabetic() {
            self.other_word(word, nth);
            return;
        }
        let since = self.words_since_time;
        self.words_since_time += 1;
        let Range { start, mut end } = word;
        while word::is_trailer(self.text[end - 1]) {
            end -= 1;
        }
        if let Some(level) = Level::parse(&self.text[start..end]) {
            self.level(start..end, level, nth, since);
        }
    }

    /// A word that does not begin with a letter.
    fn other_word(&mut self, word: Range<usize>, nth: usize) {
        // A dash or star on both sides is no part of the word.
        let Range { mut start, mut end } = word;
        while start < end && (word::is_trailer(self.text[start]) || self.text[start] == b'#') {
            start += 1;
        }
        while start < end && word::is_trailer(self.text[end - 1]) {
            end -= 1;
        }
        let since = self.words_since_time;
        let inside = &self.text[start..end];
        if !inside.iter().all(u8::is_ascii_digit) {
            self.words_since_time += 1;
            if let Some(level) = Level::parse(inside).filter(|_| inside[0].is_ascii_alphabetic()) {
                self.level(start..end, level, nth, since);
            }
            return;
        }
        if self.text[..self.line.end][word.end..].starts_with(b": ") {
            let head = &self.text[self.line.start..word.end];
            let source = memchr::memrchr(b' ', head).map_or(0, |space| space + 1);
            if super::is_source(&head[source..]) {
                self.message = Some(word.end + 2);
            }
        }
        if let Some(number) = word::number(inside, &self.text[self.line.start..start]) {
            self.found.level = Some(Severity::Number(number));
            self.found.level_at = start..end;
            self.found.keyed = true;
        }
    }

    /// A word that is a level, if it is meant as one.
    fn level(&mut self, span: Range<usize>, level: Level, nth: usize, since_time: usize) {
        let word = &self.text[span.clone()];
        let around = self.around(&span, nth, since_time);
        // `main.go:87: stock is low: ERROR margin 2`: the message says something of an error.
        if self.message.is_some_and(|at| span.start > at) && !around.keyed {
            return;
        }
        if word::is_level(word, &around) {
            self.found.keyed |= around.keyed;
            self.set_level(span, level);
        } else if self.found.time.is_none()
            && (nth == 0 || around.enclosed)
            && word::may_be_level(word)
        {
            self.pending.get_or_insert((span, level));
        }
    }

    fn around(&self, span: &Range<usize>, nth: usize, since_time: usize) -> Around {
        let next = self.text[..self.line.end].get(span.end).copied();
        Around {
            before: self.before(span.start),
            // A colour that ends behind a word is no part of the line's text.
            after: next.map_or(0, |b| if b == super::ESCAPE { b' ' } else { b }),
            nth,
            enclosed: self.is_enclosed(span) || self.is_dashed(span),
            since_time: self.found.time.as_ref().map(|_| since_time),
            keyed: word::has_key(&self.text[self.line.start..span.start]),
        }
    }

    /// Whether a word stands in a column of its own: `- info -`, `| info |`, between tabs.
    fn is_dashed(&self, span: &Range<usize>) -> bool {
        let before = &self.text[self.line.start..span.start];
        let after = &self.text[span.end..self.line.end];
        [
            (&b"- "[..], &b" -"[..]),
            (b"| ", b" |"),
            (b"|", b"|"),
            (b":: ", b" ::"),
            (b"\t", b"\t"),
        ]
        .iter()
        .any(|(open, close)| before.ends_with(open) && after.starts_with(close))
    }

    fn set_level(&mut self, span: Range<usize>, level: Level) {
        self.found.level_at = self.bracketed(&span);
        self.found.level = Some(Severity::Word(span, level));
    }
}

#[cfg(test)]
mod tests;
