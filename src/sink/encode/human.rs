//! Rows for people at a terminal: `13:32:42.123 ERROR message  key=value`.
//!
//! Time (UTC), level and message come from the roles, the rest follows as
//! logfmt, dimmed. A message of several lines, such as a stack trace, is
//! indented. Control characters are shown, not sent: content cannot steer the
//! terminal.

use std::io::Write as _;

use super::logfmt::write_pair;
use super::pick::Pick;
use super::walk::{self, Value};
use crate::event::escape::escape_json;
use crate::event::{Batch, Column, ColumnKind, Level, Needs, Path, Role, Timestamp, convert};

const RESET: &[u8] = b"\x1b[0m";
const DIM: &[u8] = b"\x1b[2m";

/// Writes lines for people.
#[derive(Clone)]
pub(super) struct Human {
    pick: Option<Pick>,
    color: bool,
    time_slot: usize,
    level_slot: usize,
    message_slot: usize,
    /// The pairs of the row being written.
    pairs: Vec<u8>,
    message: Vec<u8>,
    pub(super) replaced: u64,
}

impl Human {
    pub(super) fn new(pick: Option<Pick>, color: bool, needs: &mut Needs) -> Human {
        let mut slot = |role: Role, kind| needs.slot(&Path::of(role.name()), kind);
        Human {
            pick,
            color,
            time_slot: slot(Role::Timestamp, ColumnKind::Time),
            level_slot: slot(Role::Level, ColumnKind::Level),
            message_slot: slot(Role::Message, ColumnKind::Text),
            pairs: Vec::new(),
            message: Vec::new(),
            replaced: 0,
        }
    }

    pub(super) fn encode_row(&mut self, batch: &Batch, row: usize, out: &mut Vec<u8>) {
        let (time, level) = self.head(batch, row);
        self.collect(batch, row, time, level);
        if let Some(time) = time {
            self.paint(DIM, out);
            write_clock(time, out);
            self.paint(RESET, out);
            out.push(b' ');
        }
        if let Some(level) = level {
            self.paint(level_color(level), out);
            let name = level.name();
            out.extend(name.bytes().map(|b| b.to_ascii_uppercase()));
            out.extend_from_slice(&b"     "[name.len().min(5)..]);
            self.paint(RESET, out);
            out.push(b' ');
        }
        self.replaced += u64::from(write_shown(&self.message, out));
        if !self.pairs.is_empty() {
            out.extend_from_slice(if self.message.is_empty() { b"" } else { b"  " });
            self.paint(DIM, out);
            out.extend_from_slice(&self.pairs);
            self.paint(RESET, out);
        }
        out.push(b'\n');
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
        self.message.clear();
        self.pairs.clear();
        let columns = batch.columns();
        let mut has_message = false;
        if columns.rows() == batch.rows()
            && let Column::Text(cells) = columns.column(self.message_slot)
            && cells[row].is_present()
        {
            has_message = true;
            let message = convert::value(cells[row], batch.text());
            self.message.extend_from_slice(message.trim_ascii_end());
        }
        let (pairs, message, replaced) = (&mut self.pairs, &mut self.message, &mut self.replaced);
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
                message.extend_from_slice(text.trim_ascii_end());
                return;
            }
            if !pairs.is_empty() {
                pairs.push(b' ');
            }
            *replaced += u64::from(write_pair(name, &value, pairs));
        };
        match &self.pick {
            Some(pick) => pick.for_each(batch, row, each),
            None => walk::for_each(batch, row, &mut each),
        }
    }

    fn paint(&self, code: &[u8], out: &mut Vec<u8>) {
        if self.color {
            out.extend_from_slice(code);
        }
    }
}

fn level_color(level: Level) -> &'static [u8] {
    match level.name() {
        "trace" => b"\x1b[2m",
        "debug" => b"\x1b[36m",
        "info" => b"\x1b[32m",
        "warn" => b"\x1b[33m",
        "error" => b"\x1b[31m",
        _ => b"\x1b[1;31m",
    }
}

/// Appends `13:32:42.123`, UTC.
fn write_clock(time: Timestamp, out: &mut Vec<u8>) {
    const DAY_MS: i64 = 24 * 60 * 60 * 1000;
    let ms = time.0.div_euclid(1_000_000).rem_euclid(DAY_MS);
    let (seconds, ms) = (ms / 1000, ms % 1000);
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    // Writing to a vector cannot fail.
    let _ = write!(out, "{hours:02}:{minutes:02}:{seconds:02}.{ms:03}");
}

/// Appends text as a terminal may see it: further lines indented, control
/// characters as JSON escapes, invalid UTF-8 replaced.
fn write_shown(text: &[u8], out: &mut Vec<u8>) -> bool {
    let is_control = |b: &u8| (*b < b' ' && *b != b'\t') || *b == 0x7f || *b >= 0x80;
    if !text.iter().any(is_control) {
        out.extend_from_slice(text);
        return false;
    }
    let mut replaced = false;
    for chunk in text.utf8_chunks() {
        for c in chunk.valid().chars() {
            match c {
                '\n' => out.extend_from_slice(b"\n    "),
                '\r' => {}
                '\t' => out.push(b'\t'),
                c if (c as u32) < 0x20 => {
                    escape_json(&[c as u8], out);
                }
                c if c.is_control() => {
                    let _ = write!(out, "\\u{:04x}", c as u32);
                }
                c => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
        if !chunk.invalid().is_empty() {
            replaced = true;
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    replaced
}
