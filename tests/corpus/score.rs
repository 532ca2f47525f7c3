//! What `auto` reads in the corpus, counted against the truth files.
//!
//! `tests/corpus/README.md` says what the corpus is and what counts as right.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path as FilePath, PathBuf};

use tflog::event::{Cell, Column, ColumnKind, Columns, Level, Needs, Path, Timestamp};
use tflog::parse::json::Json;
use tflog::parse::{Formats, Reader};

/// 2026-11-26T00:00:00Z, shortly after the captures: what a time without a
/// year is close to.
const OBSERVED: Timestamp = Timestamp(1_795_651_200_000_000_000);
/// Times that programs write as a floating-point number of seconds are exact
/// to less than this.
const TIME_TOLERANCE_NANOS: u64 = 1_000;

/// How many lines that have a value were read right.
#[derive(Clone, Copy, Default)]
pub(crate) struct Share {
    right: u32,
    all: u32,
}

impl Share {
    fn count(&mut self, right: bool) {
        self.all += 1;
        self.right += u32::from(right);
    }

    fn add(&mut self, other: Share) {
        self.right += other.right;
        self.all += other.all;
    }

    /// In per cent; all of nothing is 100.
    pub(crate) fn percent(self) -> f64 {
        if self.all == 0 {
            return 100.0;
        }
        f64::from(self.right) * 100.0 / f64::from(self.all)
    }

    /// In the table: nothing to read is a dash, and only all is 100.
    fn cell(self) -> String {
        if self.all == 0 {
            return "–".into();
        }
        format!("{:.1}", (self.percent() * 10.0).floor() / 10.0)
    }
}

/// The figures of one half of a sample.
#[derive(Clone, Default)]
pub(crate) struct Tally {
    lines: u32,
    pub(crate) time: Share,
    pub(crate) level: Share,
    pub(crate) message: Share,
    /// Times and levels that were found and are not there.
    pub(crate) invented: u32,
    /// The formats that lines were taken for, the most frequent first.
    formats: Vec<(&'static str, u32)>,
}

impl Tally {
    fn add(&mut self, other: &Tally) {
        self.lines += other.lines;
        self.time.add(other.time);
        self.level.add(other.level);
        self.message.add(other.message);
        self.invented += other.invented;
    }

    fn took(&mut self, format: &'static str) {
        match self.formats.iter_mut().find(|(name, _)| *name == format) {
            Some((_, count)) => *count += 1,
            None => self.formats.push((format, 1)),
        }
        self.formats
            .sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    }

    fn line(&mut self, truth: &Truth<'_>, found: &Found) {
        self.lines += 1;
        if truth.time == "-" {
            self.invented += u32::from(found.time.is_some());
        } else if truth.time != "?" {
            self.time.count(truth.is_time(found.time));
        }
        if truth.level == "-" {
            self.invented += u32::from(!found.level.is_empty());
        } else if truth.level != "?" {
            self.level
                .count(truth.level.split('|').any(|l| l == found.level));
        }
        if !truth.messages.is_empty() {
            let message = found.message.trim();
            self.message
                .count(truth.messages.iter().any(|m| m == message));
        }
    }
}

/// What a line of a truth file says.
struct Truth<'a> {
    time: &'a str,
    level: &'a str,
    messages: Vec<String>,
}

impl Truth<'_> {
    /// `None` for a line that belongs to the record above it.
    fn read(line: &str) -> Option<Truth<'_>> {
        let mut fields = line.split('\t');
        let time = fields.next().filter(|first| *first != "+")?;
        let level = fields.next().unwrap_or_else(|| panic!("no level: {line}"));
        let message = |m| serde_json::from_str(m).unwrap_or_else(|e| panic!("{e}: {line}"));
        Some(Truth {
            time,
            level,
            messages: fields.map(message).collect(),
        })
    }

    fn is_time(&self, found: Option<Timestamp>) -> bool {
        let nanos = |t: &str| {
            let time: jiff::Timestamp = t.parse().unwrap_or_else(|e| panic!("{e}: {t}"));
            i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
        };
        let near = |t: &str, found: i64| nanos(t).abs_diff(found) < TIME_TOLERANCE_NANOS;
        found.is_some_and(|found| self.time.split('|').any(|t| near(t, found.0)))
    }
}

/// What was read in a line.
struct Found {
    time: Option<Timestamp>,
    level: &'static str,
    message: String,
}

/// Reads lines as a stream of `auto`.
struct Auto {
    reader: Reader,
    columns: Columns,
}

impl Auto {
    fn new() -> Auto {
        let mut needs = Needs::default();
        // The slots that `read` uses are in this order.
        needs.slot(&Path::of("timestamp"), ColumnKind::Time);
        needs.slot(&Path::of("level"), ColumnKind::Level);
        needs.slot(&Path::of("message"), ColumnKind::Text);
        let formats = Formats::build("auto", &needs, |needs| Box::new(Json::build(needs)))
            .unwrap_or_else(|e| panic!("{e}"));
        Auto {
            reader: formats.reader(),
            columns: Columns::default(),
        }
    }

    fn read(&mut self, line: &str) -> Found {
        let text = format!("{line}\n");
        let ends = [text.len() as u32];
        self.reader
            .read(OBSERVED, text.as_bytes(), &ends, &mut self.columns);
        let columns = [0, 1, 2].map(|slot| self.columns.column(slot));
        let [
            Column::Time(time),
            Column::Level(level),
            Column::Text(message),
        ] = columns
        else {
            panic!("columns are of the kinds that were asked for");
        };
        Found {
            time: Some(Timestamp(time[0])).filter(|t| *t != Timestamp::ABSENT),
            level: Level(level[0]).name(),
            message: plain(message[0], text.as_bytes()),
        }
    }
}

/// A cell's text as a reader would see it.
fn plain(cell: Cell, text: &[u8]) -> String {
    let bytes = String::from_utf8_lossy(cell.bytes(text));
    if cell.is_escaped() {
        return serde_json::from_str(&format!("\"{bytes}\"")).unwrap_or_else(|_| bytes.into());
    }
    bytes.into()
}

/// Both halves of a format's sample.
pub(crate) struct Sample {
    name: String,
    dev: Tally,
    held_out: Tally,
}

/// Reads the lines of `log` as one stream and counts them against `truth`;
/// `show` says what was read wrong.
pub(crate) fn tally(log: &str, truth: &str, show: bool) -> Tally {
    assert_eq!(log.lines().count(), truth.lines().count(), "{log}");
    let mut auto = Auto::new();
    let mut tally = Tally::default();
    for (line, truth) in log.split('\n').zip(truth.lines()) {
        let found = auto.read(line);
        if let Some(truth) = Truth::read(truth) {
            tally.line(&truth, &found);
            tally.took(auto.reader.format());
            if show {
                miss(&truth, &found, line);
            }
        }
    }
    tally
}

fn half(dir: &FilePath, name: &str) -> Tally {
    let read = |ending| {
        let path = dir.join(format!("{name}.{ending}"));
        fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
    };
    // Only of the half that may be looked at.
    let show = name == "dev" && std::env::var("CORPUS_MISSES").is_ok_and(|f| dir.ends_with(f));
    tally(&read("log"), &read("truth"), show)
}

/// Says on standard error what was read in another way than the truth says.
fn miss(truth: &Truth<'_>, found: &Found, line: &str) {
    let time = match truth.time {
        "?" => false,
        "-" => found.time.is_some(),
        _ => !truth.is_time(found.time),
    };
    let level = match truth.level {
        "?" => false,
        "-" => !found.level.is_empty(),
        levels => !levels.split('|').any(|l| l == found.level),
    };
    let message = !truth.messages.iter().any(|m| *m == found.message.trim());
    if time || level || (message && !truth.messages.is_empty()) {
        let wrong = [(time, "time"), (level, "level"), (message, "message")];
        let wrong: Vec<_> = wrong.iter().filter(|w| w.0).map(|w| w.1).collect();
        let text = format!(
            "{line}\n  wrong: {}; read {:?} `{}` {:?}\n",
            wrong.join(", "),
            found.time,
            found.level,
            found.message
        );
        let _ = std::io::Write::write_all(&mut std::io::stderr(), text.as_bytes());
    }
}

/// Reads the whole corpus.
pub(crate) fn samples() -> Vec<Sample> {
    let corpus = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let entries = fs::read_dir(&corpus).unwrap_or_else(|e| panic!("{}: {e}", corpus.display()));
    let mut dirs: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.join("dev.log").exists())
        .collect();
    dirs.sort();
    let sample = |dir: &PathBuf| Sample {
        name: dir
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned(),
        dev: half(dir, "dev"),
        held_out: half(dir, "held_out"),
    };
    dirs.iter().map(sample).collect()
}

/// The figures of all held-out halves (`true`) or all dev halves together.
pub(crate) fn total(samples: &[Sample], held_out: bool) -> Tally {
    let mut all = Tally::default();
    for sample in samples {
        all.add(if held_out {
            &sample.held_out
        } else {
            &sample.dev
        });
    }
    all
}

fn cells(tally: &Tally) -> String {
    format!(
        "{} | {} | {} | {} | {}",
        tally.lines,
        tally.time.cell(),
        tally.level.cell(),
        tally.message.cell(),
        tally.invented,
    )
}

/// A Markdown table with a row a format.
pub(crate) fn table(samples: &[Sample]) -> String {
    let mut text = String::from(concat!(
        "| log | lines | time % | level % | message % | made up | read as | dev: lines | time % | level % | message % | made up |\n",
        "|---|--:|--:|--:|--:|--:|---|--:|--:|--:|--:|--:|\n",
    ));
    for Sample {
        name,
        dev,
        held_out,
    } in samples
    {
        let formats: Vec<&str> = held_out.formats.iter().map(|(name, _)| *name).collect();
        let (held_out, dev) = (cells(held_out), cells(dev));
        let _ = writeln!(
            text,
            "| {name} | {held_out} | {} | {dev} |",
            formats.join(", ")
        );
    }
    let all = [true, false].map(|held_out| cells(&total(samples, held_out)));
    let _ = writeln!(
        text,
        "| **{} logs** | {} | | {} |",
        samples.len(),
        all[0],
        all[1]
    );
    text
}
