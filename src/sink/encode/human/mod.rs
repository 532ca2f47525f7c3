//! Rows for people at a terminal: `13:32:42.123 ERROR message  key=value`.
//!
//! Time (UTC), level and message come from the roles and stand in columns; the
//! rest follows dimmed. Lines of a stack trace stand below, and so does a
//! field of several lines. Content cannot steer the terminal: see [`shown`].
//!
//! On a terminal ([`Screen`]) lines are broken where it ends, long traces are
//! folded, and a change of the day is told.

mod canvas;
mod shown;
mod trace;

use super::pick::Pick;
use super::walk::{self, Value};
use crate::event::{Batch, Column, ColumnKind, Level, Needs, Path, Role, Timestamp, convert};
use canvas::{Canvas, Style};

/// A terminal that lines are laid out for.
#[derive(Clone, Copy, Debug)]
pub struct Screen {
    /// Its columns now, where it tells.
    pub columns: fn() -> Option<u16>,
}

/// `13:32:42.123 `.
const TIME_COLUMNS: usize = 13;
/// `ERROR `.
const LEVEL_COLUMNS: usize = 6;
/// Parts of an access log's message that are fields too.
const REQUEST_LINE: [&str; 3] = ["http.method", "http.path", "http.protocol"];
/// Lines of a trace, and of values below, are indented by so much.
const BELOW_COLUMNS: usize = 4;

/// Writes lines for people.
#[derive(Clone)]
pub(super) struct Human {
    pick: Option<Pick>,
    color: bool,
    screen: Option<Screen>,
    time_slot: usize,
    level_slot: usize,
    message_slot: usize,
    /// Whether some row had a time, a level: from then on all leave room for it.
    has_time: bool,
    has_level: bool,
    /// The day of the last time that was shown, in days since 1970.
    day: Option<i64>,
    row: Row,
    pub(super) replaced: u64,
}

/// What is shown of the row being written.
#[derive(Clone, Default)]
struct Row {
    message: Vec<u8>,
    /// Names and values, one after the other, of which `pairs` tells the ends.
    text: Vec<u8>,
    pairs: Vec<Pair>,
}

/// Ends in [`Row::text`].
#[derive(Clone, Copy)]
struct Pair {
    name: usize,
    value: usize,
}

impl Row {
    fn clear(&mut self) {
        self.message.clear();
        self.text.clear();
        self.pairs.clear();
    }

    fn push(&mut self, name: &str, value: &Value) {
        self.text.extend_from_slice(name.as_bytes());
        let name = self.text.len();
        self.text.extend_from_slice(match value {
            Value::Text(text) => text,
            Value::Bare(json) => json,
        });
        let value = self.text.len();
        self.pairs.push(Pair { name, value });
    }

    /// Names and values.
    fn pairs(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        let starts = std::iter::once(0).chain(self.pairs.iter().map(|pair| pair.value));
        let pairs = starts.zip(&self.pairs);
        pairs.map(|(start, pair)| {
            (
                &self.text[start..pair.name],
                &self.text[pair.name..pair.value],
            )
        })
    }
}

impl Human {
    pub(super) fn new(
        pick: Option<Pick>,
        color: bool,
        screen: Option<Screen>,
        needs: &mut Needs,
    ) -> Human {
        let mut slot = |role: Role, kind| needs.slot(&Path::of(role.name()), kind);
        Human {
            pick,
            color,
            screen,
            time_slot: slot(Role::Timestamp, ColumnKind::Time),
            level_slot: slot(Role::Level, ColumnKind::Level),
            message_slot: slot(Role::Message, ColumnKind::Text),
            has_time: false,
            has_level: false,
            day: None,
            row: Row::default(),
            replaced: 0,
        }
    }

    /// Appends rows of one batch; asks for the width of the screen once.
    pub(super) fn encode(
        &mut self,
        batch: &Batch,
        rows: impl FnOnce(&mut dyn FnMut(usize)),
        out: &mut Vec<u8>,
    ) {
        let width = self.screen.and_then(|screen| (screen.columns)());
        rows(&mut |row| self.encode_row(batch, row, width, out));
    }

    fn encode_row(&mut self, batch: &Batch, row: usize, width: Option<u16>, out: &mut Vec<u8>) {
        let (time, level) = self.head(batch, row);
        self.collect(batch, row, time, level);
        self.has_time |= time.is_some();
        self.has_level |= level.is_some();
        let mut canvas = Canvas::new(out, self.color, width);
        if let Some(time) = time {
            self.tell_day(time, &mut canvas);
        }
        self.write_head(time, level, &mut canvas);
        let mut lines = trace::lines(&self.row.message);
        // Lines below a bare one stand with it, others at the left.
        let bare = time.is_none() && level.is_none();
        let below = if bare { canvas.column() } else { 0 };
        let grave = level.is_some_and(|level| level >= Level::ERROR);
        let style = if grave { Style::Bold } else { Style::Plain };
        canvas.hang(style);
        canvas.text(lines.next().unwrap_or_default());
        self.write_pairs(&mut canvas);
        let fold = self.screen.is_some();
        canvas.below(below.max(BELOW_COLUMNS));
        trace::write(lines, fold, &mut canvas);
        self.write_blocks(fold, &mut canvas);
        canvas.end();
        self.replaced += canvas.replaced;
    }

    /// Lines that follow one another within a day leave the date out.
    fn tell_day(&mut self, time: Timestamp, canvas: &mut Canvas) {
        const DAY_NANOS: i64 = 24 * 60 * 60 * 1_000_000_000;
        let day = time.0.div_euclid(DAY_NANOS);
        if self.screen.is_some() && self.day != Some(day) {
            self.day = Some(day);
            let mut date = Vec::new();
            time.write_rfc3339(&mut date);
            date.truncate("2026-11-23".len());
            canvas.style(Style::Dim);
            canvas.bytes(&date);
            canvas.bytes(b" UTC");
            canvas.end();
        }
    }

    fn write_head(&self, time: Option<Timestamp>, level: Option<Level>, canvas: &mut Canvas) {
        match time {
            Some(time) => {
                canvas.style(Style::Dim);
                canvas.bytes(&clock(time));
                canvas.style(Style::Plain);
                canvas.spaces(1);
            }
            None if self.has_time => canvas.spaces(TIME_COLUMNS),
            None => {}
        }
        match level {
            Some(level) => {
                let name = level.name().to_ascii_uppercase();
                canvas.style(Style::Level(level));
                canvas.bytes(name.as_bytes());
                canvas.style(Style::Plain);
                canvas.spaces(LEVEL_COLUMNS.saturating_sub(name.len()));
            }
            None if self.has_level => canvas.spaces(LEVEL_COLUMNS),
            None => {}
        }
    }

    /// The fields that are one line each.
    fn write_pairs(&self, canvas: &mut Canvas) {
        let mut gap = if self.row.message.is_empty() { 0 } else { 2 };
        let on_a_line = |value: &[u8]| memchr::memchr(b'\n', value).is_none();
        for (name, value) in self.row.pairs().filter(|(_, value)| on_a_line(value)) {
            canvas.pair(gap, name, value);
            gap = 1;
        }
    }

    /// The fields of several lines, such as a stack trace within JSON.
    fn write_blocks(&self, fold: bool, canvas: &mut Canvas) {
        let lines = |value: &[u8]| memchr::memchr(b'\n', value).is_some();
        for (name, value) in self.row.pairs().filter(|(_, value)| lines(value)) {
            canvas.style(Style::Plain);
            canvas.below(BELOW_COLUMNS);
            canvas.line();
            canvas.style(Style::Name);
            canvas.text(name);
            canvas.bytes(b":");
            canvas.below(2 * BELOW_COLUMNS);
            trace::write(trace::lines(value), fold, canvas);
        }
    }

    fn head(&self, batch: &Batch, row: usize) -> (Option<Timestamp>, Option<Level>) {
        let columns = batch.columns();
        if columns.rows() != batch.rows() {
            return (None, None);
        }
        let time = match columns.column(self.time_slot) {
            Column::Time(times) => Some(Timestamp(times[row])),
            _ => None,
        };
        let level = match columns.column(self.level_slot) {
            Column::Level(levels) => Some(Level(levels[row])),
            _ => None,
        };
        (
            time.filter(|&t| t != Timestamp::ABSENT),
            level.filter(|&l| l != Level::ABSENT),
        )
    }

    /// Puts the row's message and its pairs into their buffers. What the head
    /// shows is not repeated among the pairs.
    fn collect(
        &mut self,
        batch: &Batch,
        row: usize,
        time: Option<Timestamp>,
        level: Option<Level>,
    ) {
        self.row.clear();
        let columns = batch.columns();
        let mut has_message = false;
        if columns.rows() == batch.rows()
            && let Column::Text(cells) = columns.column(self.message_slot)
            && cells[row].is_present()
        {
            has_message = true;
            let message = convert::value(cells[row], batch.text());
            self.row.message.extend_from_slice(message.trim_ascii_end());
        }
        // What was asked for by name is shown, repeated or not.
        let whole = self.screen.is_some() && self.pick.is_none();
        let shown_row = &mut self.row;
        let mut shown = [time.is_some(), level.is_some(), has_message];
        let mut each = |name: &str, value: Value| {
            for (shown, role) in shown
                .iter_mut()
                .zip([Role::Timestamp, Role::Level, Role::Message])
            {
                if *shown && role.aliases().contains(&name) {
                    // Only its first name is the role's; others are fields.
                    *shown = false;
                    return;
                }
            }
            if let ("message", Value::Text(text), false) = (name, &value, has_message) {
                shown_row.message.extend_from_slice(text.trim_ascii_end());
                return;
            }
            if whole
                && REQUEST_LINE.contains(&name)
                && let Value::Text(text) = &value
                && memchr::memmem::find(&shown_row.message, text).is_some()
            {
                return;
            }
            shown_row.push(name, &value);
        };
        match &self.pick {
            Some(pick) => pick.for_each(batch, row, each),
            None => walk::for_each(batch, row, &mut each),
        }
    }
}

/// `13:32:42.123`, UTC.
fn clock(time: Timestamp) -> [u8; 12] {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let ms = time.0.div_euclid(1_000_000).rem_euclid(DAY_MS) as u32;
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let digit = |n: u32| b'0' + (n % 10) as u8;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    [
        digit(hours / 10),
        digit(hours),
        b':',
        digit(minutes / 10),
        digit(minutes),
        b':',
        digit(seconds / 10),
        digit(seconds),
        b'.',
        digit(ms / 100),
        digit(ms / 10),
        digit(ms),
    ]
}
