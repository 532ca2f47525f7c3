//! Layouts that nobody has documented: time and level must be found in lines
//! whose order, brackets, separators, spellings and zones are drawn at random.
//!
//! The generator knows what it put into a line, which is the oracle; times are
//! written by jiff.

use super::{OBSERVED, all_fields, build};
use crate::event::{Column, ColumnKind, Columns, Level, Path};

/// Lines that are drawn; at 95% found, the error is about one percent.
const LINES: usize = 2000;

/// A generator of random numbers (splitmix64), so that the lines are the same
/// each time.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }
}

/// Layouts as jiff writes them, and the unit in which they tell the time.
const TIMES: [(&str, i64); 34] = [
    ("%Y-%m-%dT%H:%M:%S%.3f%:z", MILLI),
    ("%Y-%m-%dT%H:%M:%S%.6f%:z", MICRO),
    ("%Y-%m-%dT%H:%M:%S%.9f%:z", 1),
    ("%Y-%m-%dT%H:%M:%S%z", SECOND),
    ("%Y-%m-%d %H:%M:%S", SECOND),
    ("%Y-%m-%d %H:%M:%S%.3f", MILLI),
    ("%Y-%m-%d %H:%M:%S,%3f", MILLI),
    ("%Y-%m-%d %H:%M:%S %z", SECOND),
    ("%Y-%m-%d %H:%M:%S%.3f %:z", MILLI),
    ("%Y-%m-%d %H:%M:%S UTC", SECOND),
    ("%Y-%m-%d_%H:%M:%S", SECOND),
    ("%Y/%m/%d %H:%M:%S", SECOND),
    ("%Y/%m/%d %H:%M:%S%.6f", MICRO),
    ("%Y.%m.%d %H:%M:%S", SECOND),
    ("%d.%m.%Y %H:%M:%S", SECOND),
    ("%d.%m.%Y %H:%M:%S%.3f", MILLI),
    ("%d/%b/%Y:%H:%M:%S %z", SECOND),
    ("%d/%b/%Y %H:%M:%S", SECOND),
    ("%d-%b-%Y %H:%M:%S%.3f", MILLI),
    ("%d %b %Y %H:%M:%S", SECOND),
    ("%d %b %Y %H:%M:%S%.3f", MILLI),
    ("%a, %d %b %Y %H:%M:%S %z", SECOND),
    ("%a %b %e %H:%M:%S %Y", SECOND),
    ("%b %e %H:%M:%S", SECOND),
    ("%b %d %Y %H:%M:%S", SECOND),
    ("%b %d, %Y %I:%M:%S %p", SECOND),
    ("%m/%d/%Y %I:%M:%S %p", SECOND),
    ("%m-%d %H:%M:%S%.3f", MILLI),
    ("%Y%m%d %H:%M:%S", SECOND),
    ("%Y%m%dT%H%M%S%z", SECOND),
    ("epoch", SECOND),
    ("epoch", MILLI),
    ("epoch", MICRO),
    ("epoch", 1),
];
const SECOND: i64 = 1_000_000_000;
const MILLI: i64 = 1_000_000;
const MICRO: i64 = 1000;

const LEVELS: [(&str, Level); 12] = [
    ("trace", Level::TRACE),
    ("debug", Level::DEBUG),
    ("info", Level::INFO),
    ("info", Level::INFO),
    ("warn", Level::WARN),
    ("warning", Level::WARN),
    ("error", Level::ERROR),
    ("error", Level::ERROR),
    ("critical", Level::CRITICAL),
    ("fatal", Level::FATAL),
    ("notice", Level::NOTICE),
    ("err", Level::ERROR),
];

const OTHERS: [&str; 16] = [
    "web-1",
    "checkout",
    "1234",
    "[1234]",
    "[main]",
    "(worker-3)",
    "app.db.pool",
    "src/main.rs:42",
    "req-7f3a91",
    "<0.312.0>",
    "pid=77",
    "[http-nio-8080-exec-3]",
    "com.example.Shop",
    "10.0.0.7",
    "{tenant-9}",
    "#12",
];

const MESSAGES: [&str; 12] = [
    "connected to upstream in 35 ms",
    "user 42 logged in from 10.0.0.9",
    "request failed: connection refused",
    "Started worker pool with 8 threads",
    "error while reading the response",
    "disk usage at 91% on /var",
    "retry 3 of 5 for job 8812",
    "GET /api/v1/orders 200 12ms",
    "cache miss for key user:17",
    "no warnings were found",
    "shutting down",
    "payload was {\"a\": 1}",
];

struct Case {
    line: String,
    time: i64,
    level: Level,
    message: &'static str,
}

fn time(random: &mut Random) -> (String, i64) {
    let (directives, unit) = random.pick(&TIMES);
    // Up to a hundred days before the line is read: near enough for times without year.
    let before = (random.next() % (100 * 86_400 * SECOND as u64)) as i64;
    let nanos = (OBSERVED.0 - before) / unit * unit;
    if directives == "epoch" {
        return ((nanos / unit).to_string(), nanos);
    }
    let zoned = directives.ends_with('z');
    let minutes = if zoned {
        random.pick(&[0, 60, 120, -300, -480, 330, 540])
    } else {
        0
    };
    let offset = jiff::tz::Offset::from_seconds(minutes * 60).unwrap();
    let time = jiff::Timestamp::from_nanosecond(i128::from(nanos)).unwrap();
    let time = time.to_zoned(offset.to_time_zone());
    let mut text = jiff::fmt::strtime::format(directives, &time).unwrap();
    if text.ends_with("+00:00") && random.below(2) == 0 {
        text.truncate(text.len() - 6);
        text.push('Z');
    }
    (text, nanos)
}

fn wrapped(random: &mut Random, text: &str) -> String {
    match random.below(8) {
        0 | 1 => format!("[{text}]"),
        2 => format!("({text})"),
        3 => format!("<{text}>"),
        _ => text.to_owned(),
    }
}

/// A level as programs spell it; a small word or a letter stands apart.
fn level(random: &mut Random, beside_time: bool) -> (String, Level) {
    let (word, level) = random.pick(&LEVELS);
    let spelled = match random.below(10) {
        0..=4 => word.to_uppercase(),
        5 | 6 => word.to_owned(),
        7 => word[..1].to_uppercase() + &word[1..],
        _ => word[..1].to_uppercase(),
    };
    let told = spelled.len() > 2 && spelled.to_uppercase() == spelled;
    let text = match random.below(8) {
        0 | 1 => format!("[{spelled}]"),
        2 => format!("<{spelled}>"),
        3 if spelled.len() > 1 => format!("level={spelled}"),
        4 if beside_time && spelled.len() > 1 => format!("{spelled}:"),
        _ if told || beside_time => spelled,
        _ => format!("[{spelled}]"),
    };
    (text, level)
}

fn case(random: &mut Random) -> Case {
    let (text, nanos) = time(random);
    let message = random.pick(&MESSAGES);
    let is_epoch = text.bytes().all(|b| b.is_ascii_digit());
    let before = if is_epoch {
        0
    } else {
        random.below(4).saturating_sub(1)
    };
    let between = random.below(5).saturating_sub(2);
    let after = random.below(4).saturating_sub(1);
    let time_first = random.below(4) > 0;
    let (spelled, level) = level(random, between == 0 && (time_first || before == 0));
    let time = wrapped(random, &text);
    let (first, second) = if time_first {
        (time, spelled)
    } else {
        (spelled, time)
    };
    let mut others = |count: usize| -> Vec<String> {
        (0..count)
            .map(|_| random.pick(&OTHERS).to_owned())
            .collect()
    };
    let mut parts = others(before);
    parts.push(first);
    parts.extend(others(between));
    parts.push(second);
    parts.extend(others(after));
    let separator = random.pick(&[" ", " ", " ", " ", "  ", " - ", " | ", "\t", " :: "]);
    let last = random.pick(&[" ", " ", ": ", " - ", " | "]);
    let line = format!("{}{last}{message}", parts.join(separator));
    Case {
        line,
        time: nanos,
        level,
        message,
    }
}

/// How many of the lines, in percent, have what was put into them, and some
/// that do not.
fn score(format: &str) -> ([f64; 3], [Vec<String>; 3]) {
    let mut needs = all_fields();
    let time = needs.slot(&Path::of("timestamp"), ColumnKind::Time);
    let level = needs.slot(&Path::of("level"), ColumnKind::Level);
    let message = needs.slot(&Path::of("message"), ColumnKind::Text);
    let formats = build(format, &needs);
    let mut random = Random(7);
    let mut found = [0usize; 3];
    let mut missed: [Vec<String>; 3] = Default::default();
    for _ in 0..LINES {
        let case = case(&mut random);
        let text = format!("{}\n", case.line);
        let mut columns = Columns::default();
        let ends = [text.len() as u32];
        formats
            .reader()
            .read(OBSERVED, text.as_bytes(), &ends, &mut columns);
        let hits = [
            matches!(columns.column(time), Column::Time(v) if v[0] == case.time),
            matches!(columns.column(level), Column::Level(v) if v[0] == case.level.0),
            matches!(columns.column(message), Column::Text(v)
                if v[0].is_present() && v[0].bytes(text.as_bytes()).ends_with(case.message.as_bytes())),
        ];
        for (i, hit) in hits.into_iter().enumerate() {
            found[i] += usize::from(hit);
            if !hit && missed[i].len() < 25 {
                missed[i].push(case.line.clone());
            }
        }
    }
    (
        found.map(|count| count as f64 * 100.0 / LINES as f64),
        missed,
    )
}

#[test]
fn invented_layouts_have_time_and_level() {
    for format in ["text", "auto"] {
        let (found, missed) = score(format);
        for ((what, percent), lines) in ["time", "level", "message"].iter().zip(found).zip(missed) {
            assert!(
                percent >= 95.0,
                "{format}: {what} in {percent}%, not in {lines:#?}"
            );
        }
    }
}
