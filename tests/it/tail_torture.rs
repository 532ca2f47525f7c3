//! Rotation of every kind at once, stops and kills: no line is lost, and none
//! comes twice but for those that a kill left unsettled.
//!
//! `TFLOG_TORTURE=SECONDS` runs the long form: 200 files at 50,000 lines a
//! second.

use std::collections::{HashMap, HashSet};
use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::harness::{Running, wait_for};
use crate::tail::{Place, append, stop};

/// A log and what has been written to it.
struct Log {
    name: String,
    path: PathBuf,
    /// Numbers of all lines so far are below.
    next: u64,
    /// The first line of the file that is there now.
    since: u64,
    rotations: u32,
    is_link: bool,
}

struct Torture {
    place: Place,
    logs: Vec<Log>,
    random: u64,
    /// Messages by log, how often each, as far as the output has been read.
    seen: HashMap<String, HashMap<u64, u32>>,
    output_read: u64,
}

impl Torture {
    fn new(files: usize) -> Torture {
        let place = Place::new();
        std::fs::create_dir(place.path("targets")).unwrap();
        let logs = (0..files).map(|number| Log {
            name: format!("f{number:03}"),
            path: place.path(&format!("logs/f{number:03}.log")),
            next: 0,
            since: 0,
            rotations: 0,
            is_link: number % 5 == 4,
        });
        Torture {
            logs: logs.collect(),
            place,
            random: 0x9e37_79b9_7f4a_7c15,
            seen: HashMap::new(),
            output_read: 0,
        }
    }

    fn dice(&mut self, sides: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % sides
    }

    fn write(&mut self, log: usize, lines: u64) {
        let log = &mut self.logs[log];
        if log.is_link && !log.path.exists() {
            log.swap(&self.place);
        }
        let mut text = String::new();
        for number in log.next..log.next + lines {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{} {number} {:=<40}", log.name, "");
        }
        log.next += lines;
        append(&log.path, &text);
    }

    /// Reads what has come since the last time.
    fn read_output(&mut self) {
        use std::io::{Read, Seek, SeekFrom};
        let Ok(mut file) = std::fs::File::open(self.place.path("out")) else {
            return;
        };
        file.seek(SeekFrom::Start(self.output_read)).unwrap();
        let mut text = Vec::new();
        file.read_to_end(&mut text).unwrap();
        let whole = text
            .iter()
            .rposition(|b| *b == b'\n')
            .map_or(0, |at| at + 1);
        self.output_read += whole as u64;
        for line in text[..whole]
            .split(|b| *b == b'\n')
            .filter(|l| !l.is_empty())
        {
            let line: serde_json::Value = serde_json::from_slice(line).unwrap();
            let message = line["message"].as_str().unwrap();
            let mut parts = message.split(' ');
            let name = parts.next().unwrap().to_owned();
            let number: u64 = parts.next().unwrap().parse().unwrap();
            assert_eq!(parts.next().map(str::len), Some(40), "torn: {message}");
            *self
                .seen
                .entry(name)
                .or_default()
                .entry(number)
                .or_default() += 1;
        }
    }

    fn has(&self, log: usize, number: u64) -> bool {
        let seen = self.seen.get(&self.logs[log].name);
        seen.is_some_and(|seen| seen.contains_key(&number))
    }

    /// Waits until a line has come.
    fn wait_line(&mut self, log: usize, number: u64) {
        let what = format!("line {number} of {}", self.logs[log].name);
        wait_for(&what, || {
            self.read_output();
            self.has(log, number).then_some(())
        });
    }

    /// Waits until all lines of a log have come.
    fn wait_all(&mut self, log: usize) {
        for number in (0..self.logs[log].next).rev() {
            if !self.has(log, number) {
                self.wait_line(log, number);
            }
        }
    }

    /// Rotates a log in some way. What nobody could know of is waited for: a
    /// file that was never seen, lines that are removed.
    fn rotate(&mut self, at: usize, running: bool) {
        if self.logs[at].next == self.logs[at].since {
            return;
        }
        let kind = self.dice(if running { 7 } else { 3 });
        if running {
            let since = self.logs[at].since;
            self.wait_line(at, since);
        }
        if self.logs[at].is_link {
            let log = &mut self.logs[at];
            log.swap(&self.place);
            log.since = log.next;
            return;
        }
        if matches!(kind, 4 | 5) {
            self.wait_all(at);
        }
        let log = &mut self.logs[at];
        log.rotations += 1;
        let beside = |name: String| log.path.with_file_name(name);
        let (name, turn) = (&log.name, log.rotations);
        match kind {
            // Out of the pattern, and in it.
            0 => std::fs::rename(&log.path, beside(format!("{name}.log.{turn}"))).unwrap(),
            1 => std::fs::rename(&log.path, beside(format!("{name}-{turn}.log"))).unwrap(),
            // Copied and truncated, the copy in the pattern.
            2 => {
                std::fs::copy(&log.path, beside(format!("{name}-{turn}.log"))).unwrap();
                std::fs::File::create(&log.path).unwrap();
            }
            // Removed while it is open, and its inode used again at once.
            3 | 6 => {
                std::fs::remove_file(&log.path).unwrap();
                if kind == 6 {
                    std::fs::File::create(&log.path).unwrap();
                }
            }
            // Truncated once it was read, and written to at once.
            _ => drop(std::fs::File::create(&log.path).unwrap()),
        }
        log.since = log.next;
    }

    /// Waits until everything has come and its positions are kept.
    fn settle(&mut self) {
        for log in 0..self.logs.len() {
            self.wait_all(log);
        }
        wait_for("positions", || {
            let kept = self.kept();
            let files = std::fs::read_dir(self.place.path("logs")).unwrap();
            let all = files.flatten().all(|file| {
                let Ok(metadata) = std::fs::metadata(file.path()) else {
                    return true;
                };
                let at = |offset| kept.contains(&(metadata.ino(), offset));
                let known = kept.iter().any(|(inode, _)| *inode == metadata.ino());
                !known || at(metadata.len())
            });
            all.then_some(())
        });
    }

    /// Inodes and offsets that are kept.
    fn kept(&self) -> HashSet<(u64, u64)> {
        let mut files: HashMap<String, (u64, u64)> = HashMap::new();
        let Ok(journals) = std::fs::read_dir(self.place.path("state/tail/in")) else {
            return HashSet::new();
        };
        for journal in journals.flatten() {
            let text = std::fs::read_to_string(journal.path()).unwrap_or_default();
            for line in text.lines() {
                let json = line.rsplit_once(' ').map_or("", |(json, _)| json);
                let Ok(line) = serde_json::from_str::<serde_json::Value>(json) else {
                    continue;
                };
                let (Some(id), Some(offset)) = (line["file"].as_str(), line["offset"].as_u64())
                else {
                    continue;
                };
                let kept = files.entry(id.to_owned()).or_default();
                *kept = (line["inode"].as_u64().unwrap_or(kept.0), offset);
            }
        }
        files.into_values().collect()
    }

    fn start(&self) -> Running {
        Running::start(&mut self.place.command("*.log"))
    }

    /// Every line has come; which came more than once.
    fn doubled(&mut self) -> HashSet<(usize, u64)> {
        let mut doubled = HashSet::new();
        self.read_output();
        for (at, log) in self.logs.iter().enumerate() {
            let seen = &self.seen[&log.name];
            for number in 0..log.next {
                let times = seen.get(&number).copied().unwrap_or_default();
                assert!(times > 0, "line {number} of {} is lost", log.name);
                if times > 1 {
                    doubled.insert((at, number));
                }
            }
            assert_eq!(seen.len() as u64, log.next, "lines that nobody wrote");
        }
        doubled
    }
}

impl Log {
    /// Points the link to a new file.
    fn swap(&mut self, place: &Place) {
        self.rotations += 1;
        let target = place.path(&format!("targets/{}.{}", self.name, self.rotations));
        std::fs::File::create(&target).unwrap();
        let link = place.path(&format!("targets/link-{}", self.name));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        std::fs::rename(&link, &self.path).unwrap();
    }
}

/// Stops and starts: every line comes just once.
#[test]
fn rotation_and_restarts_lose_and_double_nothing() {
    let mut torture = Torture::new(20);
    let mut running = torture.start();
    for round in 0..30 {
        for log in 0..torture.logs.len() {
            let lines = torture.dice(40);
            torture.write(log, lines);
            if torture.dice(4) == 0 {
                torture.rotate(log, true);
            }
        }
        if round % 10 == 9 {
            // Removed or out of sight, what is not read would be lost.
            torture.settle();
            stop(running);
            for log in 0..torture.logs.len() {
                // What was never seen cannot be looked for.
                let is_seen = torture.logs[log].next > torture.logs[log].since;
                torture.write(log, 5);
                if is_seen {
                    torture.rotate(log, false);
                }
                torture.write(log, 5);
            }
            running = torture.start();
            // What is removed before tflog has opened it again is lost.
            torture.settle();
        }
    }
    torture.settle();
    stop(running);
    assert_eq!(torture.doubled(), HashSet::new());
}

/// Kills: nothing is lost, and only lines come twice that were written after
/// everything before had settled.
#[test]
fn kills_double_no_more_than_what_had_not_settled() {
    let mut torture = Torture::new(20);
    let mut may_double = HashSet::new();
    for _ in 0..4 {
        let mut running = torture.start();
        torture.settle();
        for log in 0..torture.logs.len() {
            torture.write(log, 20);
            if torture.dice(3) == 0 {
                torture.rotate(log, true);
                torture.write(log, 20);
            }
        }
        torture.settle();
        let before: Vec<u64> = torture.logs.iter().map(|log| log.next).collect();
        for log in 0..torture.logs.len() {
            torture.write(log, 200);
        }
        // Somewhere in the midst of it.
        torture.wait_line(3, before[3]);
        running.child.kill().unwrap();
        running.child.wait().unwrap();
        for (log, before) in before.into_iter().enumerate() {
            may_double.extend((before..torture.logs[log].next).map(|number| (log, number)));
            torture.rotate(log, false);
            torture.write(log, 3);
        }
    }
    let running = torture.start();
    torture.settle();
    stop(running);
    let doubled = torture.doubled();
    let wrongly: Vec<_> = doubled.difference(&may_double).collect();
    assert!(wrongly.is_empty(), "{wrongly:?}");
}

/// The long form.
#[test]
fn a_long_torture() {
    let Some(seconds) = std::env::var("TFLOG_TORTURE").ok() else {
        return;
    };
    let length = Duration::from_secs(seconds.parse().unwrap());
    let mut torture = Torture::new(200);
    let mut running = torture.start();
    let start = Instant::now();
    let mut written = 0;
    while start.elapsed() < length {
        for log in 0..torture.logs.len() {
            let lines = torture.dice(500);
            torture.write(log, lines);
            written += lines;
            if torture.dice(200) == 0 {
                torture.rotate(log, true);
            }
        }
        torture.read_output();
        let due = Duration::from_secs_f64(written as f64 / 50_000.0);
        std::thread::park_timeout(due.saturating_sub(start.elapsed()));
        if torture.dice(100) == 0 {
            torture.settle();
            stop(running);
            running = torture.start();
        }
    }
    torture.settle();
    stop(running);
    assert_eq!(torture.doubled(), HashSet::new());
}
