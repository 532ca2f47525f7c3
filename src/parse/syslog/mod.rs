//! syslog: RFC 5424, and RFC 3164 as it is found in the wild.
//!
//! The priority gives `level` and `facility`. `host`, `service` (the app name
//! or tag), `pid`, `msgid` and `message` are as in the line, `-` is absent.
//! Each element of structured data is an object named by its SD-ID.

mod structured;

use std::ops::Range;
use std::sync::Arc;

use super::{
    Parser,
    output::{self, Output},
    scan,
};
use crate::event::time::{Layout, Memo};
use crate::event::{Cell, Columns, Defs, FieldKind, Level, Needs, Role, Timestamp};
use structured::Structured;

/// The longest RFC 3164 tag taken; the RFC says 32, programs say more.
const TAG_BYTES_MAX: usize = 128;

/// Which syslog is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Variant {
    /// Either RFC.
    Any,
    /// Either, for `auto`: without a priority only what cannot be another format.
    Sure,
    Rfc3164,
    Rfc5424,
}

/// The times of RFC 3164 lines: the RFC's, with the year that Cisco and others
/// add, and rsyslog's.
const TIMES_3164: [&str; 4] = [
    "%b %e %H:%M:%S%f",
    "%b %e %Y %H:%M:%S%f",
    "%Y %b %e %H:%M:%S%f",
    "%+",
];

/// Reads syslog lines.
#[derive(Clone, Debug)]
pub(super) struct Syslog {
    variant: Variant,
    /// RFC 5424's time, which is the last of [`TIMES_3164`] too.
    times: Box<[(Arc<Layout>, Output)]>,
    /// The last time in each layout.
    memos: Box<[Memo]>,
    level: Output,
    facility: Output,
    message: Output,
    host: Output,
    service: Output,
    pid: Output,
    msgid: Output,
    structured: Structured,
    /// The host of the last line that was sure by its process id, so that others
    /// of that host are too; empty if none was.
    sure_host: Vec<u8>,
    reference: Timestamp,
}

/// The longest host name (RFC 1035 §2.3.4): a longer word is none.
const HOST_BYTES_MAX: usize = 255;

/// What a line's parts are; a span is empty if its part is absent.
#[derive(Default)]
struct Found {
    priority: Option<u8>,
    /// The layout's index, the span and the time.
    time: Option<(usize, Range<usize>, Timestamp)>,
    host: Range<usize>,
    service: Range<usize>,
    pid: Range<usize>,
    msgid: Range<usize>,
    message: Range<usize>,
}

impl Syslog {
    pub(super) fn build(variant: Variant, needs: &Needs, defs: &mut Defs) -> Syslog {
        let times = output::times(&TIMES_3164, needs, defs);
        let mut output = |name, role| Output::new(name, role, None, needs, defs);
        Syslog {
            variant,
            memos: vec![Memo::EMPTY; times.len()].into(),
            times,
            level: output("level", Some(Role::Level)),
            facility: output("facility", None),
            message: output("message", Some(Role::Message)),
            host: output("host", Some(Role::Host)),
            service: output("service", Some(Role::Service)),
            pid: output("pid", None),
            msgid: output("msgid", None),
            structured: Structured::build(needs),
            sure_host: Vec::with_capacity(HOST_BYTES_MAX),
            reference: Timestamp(0),
        }
    }

    /// RFC 5424, after `<PRI>`.
    fn rfc5424(&mut self, text: &[u8], at: usize, end: usize, found: &mut Found) -> Option<()> {
        if !text[at..end].starts_with(b"1 ") {
            return None;
        }
        let (time, at) = token(text, at + 2, end)?;
        if !time.is_empty() {
            let last = self.times.len() - 1;
            let memo = &mut self.memos[last];
            let len = memo.read(&self.times[last].0, &text[time.clone()], self.reference)?;
            (len == time.len()).then_some(())?;
            found.time = Some((last, time, memo.time()));
        }
        let (host, at) = token(text, at, end)?;
        let (service, at) = token(text, at, end)?;
        let (pid, at) = token(text, at, end)?;
        let (msgid, at) = token(text, at, end)?;
        (found.host, found.service, found.pid, found.msgid) = (host, service, pid, msgid);
        let mut at = self.structured.scan(text, at, end)?;
        if at < end {
            (text[at] == b' ').then_some(())?;
            at += 1;
        }
        if text[at..end].starts_with(b"\xef\xbb\xbf") {
            at += 3;
        }
        found.message = at..end;
        Some(())
    }

    /// Whether a line that another format could have is syslog's: it has a process
    /// id, or comes from where one came from that had.
    fn is_sure(&mut self, host: &[u8], has_pid: bool) -> bool {
        if has_pid && self.sure_host != host && host.len() <= HOST_BYTES_MAX {
            self.sure_host.clear();
            self.sure_host.extend_from_slice(host);
        }
        has_pid || self.sure_host == host
    }

    /// RFC 3164, after `<PRI>` if there was one.
    fn rfc3164(&mut self, text: &[u8], at: usize, end: usize, found: &mut Found) -> Option<()> {
        let window = &text[at..end];
        let reference = self.reference;
        let memos = self.memos.iter_mut();
        let mut layouts = self.times.iter().zip(memos).enumerate();
        let time = layouts.find_map(|(i, ((layout, _), memo))| {
            let len = memo.read(layout, window, reference)?;
            matches!(window.get(len), Some(b' ' | b':')).then_some((i, at..at + len, memo.time()))
        });
        let has_priority = found.priority.is_some();
        let Some((layout, span, value)) = time else {
            // Anything may follow a priority (RFC 3164 §4.3.3); without one the
            // time is all that tells syslog from other text.
            has_priority.then_some(())?;
            self.tag(text, at, end, found);
            return Some(());
        };
        let rfc3339 = layout == self.times.len() - 1;
        let mut at = span.end;
        found.time = Some((layout, span, value));
        if text[at] == b':' {
            at += 1;
        }
        at = scan::skip_spaces(text, at, end);
        let host_end = scan::blank(text, at, end);
        let host = at..host_end;
        let is_tag = text[host.clone()].iter().any(|b| matches!(b, b'[' | b']'))
            || text[host.clone()].ends_with(b":");
        if !is_tag && host_end < end {
            found.host = host.clone();
            at = scan::skip_spaces(text, host_end, end);
        }
        let tagged = self.tag(text, at, end, found);
        if has_priority || self.variant != Variant::Sure {
            return Some(());
        }
        // Other formats begin with such a time too, with a level where the host is.
        let sure = tagged
            && !found.host.is_empty()
            && Level::parse(&text[host.clone()]).is_none()
            // `level=warn:` is no program.
            && !text[found.service.clone()].contains(&b'=')
            && (!rfc3339 || self.is_sure(&text[host], !found.pid.is_empty()));
        sure.then_some(())
    }

    /// Takes `tag[pid]:` off the message; whether there was one.
    #[allow(clippy::unused_self)]
    fn tag(&self, text: &[u8], at: usize, end: usize, found: &mut Found) -> bool {
        found.message = at..end;
        let limit = end.min(at + TAG_BYTES_MAX);
        let stop = text[at..limit]
            .iter()
            .position(|&b| matches!(b, b'[' | b':') || b <= b' ')
            .map_or(limit, |i| at + i);
        if stop == at || stop == limit {
            return false;
        }
        let mut after = stop;
        let mut pid = 0..0;
        if text[stop] == b'[' {
            let Some(close) = scan::find(text, stop, limit, b']') else {
                return false;
            };
            pid = stop + 1..close;
            after = close + 1;
        }
        if !text[after..end].starts_with(b":") {
            return false;
        }
        found.service = at..stop;
        found.pid = pid;
        found.message = scan::skip_spaces(text, after + 1, end)..end;
        true
    }

    fn read(&mut self, text: &[u8], line: Range<usize>) -> Option<Found> {
        let mut found = Found::default();
        self.structured.clear();
        let (priority, at) = match priority(&text[line.clone()]) {
            Some((priority, len)) => (Some(priority), line.start + len),
            None => (None, line.start),
        };
        found.priority = priority;
        let may_5424 = self.variant != Variant::Rfc3164 && priority.is_some();
        if may_5424 && self.rfc5424(text, at, line.end, &mut found).is_some() {
            return Some(found);
        }
        if self.variant == Variant::Rfc5424 {
            return None;
        }
        // What the first attempt left behind is not this line's.
        self.structured.clear();
        let mut found = Found {
            priority,
            ..Found::default()
        };
        self.rfc3164(text, at, line.end, &mut found)?;
        Some(found)
    }

    fn emit(&self, found: &Found, text: &[u8], row: usize, out: &mut Columns) {
        let lists = out.wants_fields();
        if let Some((layout, span, time)) = &found.time {
            let output = &self.times[*layout].1;
            let cell = Cell::new(span.start, span.end);
            output.put_time(out, row, text, cell, *time);
            if lists {
                out.push_field(output.field(FieldKind::Time, span.start, span.end));
            }
        }
        if let Some(priority) = found.priority {
            let level = severity(priority);
            self.level.put_level(out, row, level);
            self.facility.put_number(out, row, u32::from(priority >> 3));
            if lists {
                out.push_field(self.level.level_field(level));
            }
        }
        let mut text_of = |output: &Output, span: &Range<usize>| {
            if !span.is_empty() {
                output.text(out, row, text, span.start, span.end);
            }
        };
        text_of(&self.message, &found.message);
        text_of(&self.host, &found.host);
        text_of(&self.service, &found.service);
        text_of(&self.pid, &found.pid);
        text_of(&self.msgid, &found.msgid);
        if lists && let Some(priority) = found.priority {
            out.push_field(self.facility.integer_field(u32::from(priority >> 3)));
        }
        self.structured.emit(text, row, out);
    }
}

/// `<PRI>` with its range check (RFC 5424 §6.2.1): the value and its length.
fn priority(line: &[u8]) -> Option<(u8, usize)> {
    let rest = line.strip_prefix(b"<")?;
    let len = rest.iter().take(4).position(|&b| b == b'>')?;
    if len == 0 || (len > 1 && rest[0] == b'0') || !rest[..len].iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = rest[..len]
        .iter()
        .fold(0, |n: u32, d| n * 10 + u32::from(d - b'0'));
    // Facilities are 0 to 23, severities 0 to 7.
    (value <= 191).then_some((value as u8, len + 2))
}

/// OpenTelemetry's mapping of syslog severities.
fn severity(priority: u8) -> Level {
    match priority & 7 {
        0 => Level::FATAL,
        1 => Level::ALERT,
        2 => Level::CRITICAL,
        3 => Level::ERROR,
        4 => Level::WARN,
        5 => Level::NOTICE,
        6 => Level::INFO,
        _ => Level::DEBUG,
    }
}

/// A word and the place after the space behind it; empty for the nil value.
#[inline]
fn token(text: &[u8], at: usize, end: usize) -> Option<(Range<usize>, usize)> {
    let stop = scan::blank(text, at, end);
    if stop == at || stop == end || text[stop] != b' ' {
        return None;
    }
    let nil = stop - at == 1 && text[at] == b'-';
    Some((if nil { at..at } else { at..stop }, stop + 1))
}

impl Parser for Syslog {
    fn name(&self) -> &'static str {
        match self.variant {
            Variant::Any | Variant::Sure => "syslog",
            Variant::Rfc3164 => "syslog3164",
            Variant::Rfc5424 => "syslog5424",
        }
    }

    fn begin(&mut self, observed: Timestamp) {
        self.reference = observed;
        self.memos.iter_mut().for_each(Memo::forget);
    }

    fn parse_line(
        &mut self,
        text: &[u8],
        line: Range<usize>,
        row: usize,
        out: &mut Columns,
    ) -> bool {
        let found = self.read(text, line);
        if let Some(found) = &found {
            self.emit(found, text, row, out);
        }
        found.is_some()
    }
}
