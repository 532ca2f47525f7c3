//! Logs that are rotated in every way, and what has come of their lines.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fmt::Write;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use crate::harness::{Running, wait_for};
use crate::tail::{Place, append};

/// A log and what has been written to it.
pub(crate) struct Log {
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// Numbers of all lines so far are below.
    pub(crate) next: u64,
    /// The first line of the file that is there now.
    pub(crate) since: u64,
    /// Once this line has come, a tflog that was started again has the file open.
    pub(crate) opened: u64,
    pub(crate) rotations: u32,
    pub(crate) is_link: bool,
    /// How often each line has come, as far as the output has been read.
    pub(crate) seen: Vec<u8>,
    /// How often each line may come again: once for each kill that it had not
    /// settled at.
    pub(crate) again: Vec<u8>,
    /// All lines before it have.
    pub(crate) whole: u64,
}

/// What is done to a log, from the least to the most: only the first few while
/// tflog is down, or lines would be lost that nobody could have read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Harm {
    /// Renamed out of the pattern.
    Away,
    /// Renamed within it.
    Within,
    /// Copied and truncated, the copy in the pattern.
    Copied,
    /// Removed while it is open.
    Removed,
    /// The same, and its inode used again at once.
    Reused,
    /// Truncated once it was read, and written to at once.
    Truncated,
    /// A symbolic link that leads elsewhere.
    Swapped,
}

impl Harm {
    pub(crate) const KINDS: usize = 7;
}

pub(crate) struct Torture {
    pub(crate) place: Place,
    pub(crate) logs: Vec<Log>,
    pub(crate) random: u64,
    pub(crate) output_read: u64,
    pub(crate) done: BTreeMap<Harm, u32>,
    /// What was done, in order: to which log, or to tflog.
    pub(crate) story: Vec<(Option<usize>, String)>,
}

impl Torture {
    pub(crate) fn new(files: usize) -> Torture {
        let place = Place::new();
        std::fs::create_dir(place.path("targets")).unwrap();
        let logs = (0..files).map(|number| Log {
            name: format!("f{number:03}"),
            path: place.path(&format!("logs/f{number:03}.log")),
            next: 0,
            since: 0,
            opened: 0,
            rotations: 0,
            is_link: number % 5 == 4,
            seen: Vec::new(),
            again: Vec::new(),
            whole: 0,
        });
        Torture {
            logs: logs.collect(),
            place,
            random: 0x9e37_79b9_7f4a_7c15,
            output_read: 0,
            done: BTreeMap::new(),
            story: Vec::new(),
        }
    }

    pub(crate) fn dice(&mut self, sides: u64) -> u64 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 11) % sides
    }

    pub(crate) fn write(&mut self, log: usize, lines: u64) {
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
        log.seen.resize(log.next as usize, 0);
        log.again.resize(log.next as usize, 0);
        append(&log.path, &text);
    }

    /// Reads what has come since the last time.
    pub(crate) fn read_output(&mut self) {
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
        for line in text[..whole].split(|b| *b == b'\n') {
            if line.is_empty() {
                continue;
            }
            let key = b"\"message\":\"";
            let message = line.windows(key.len()).position(|at| at == key);
            let message = &line[message.expect("a message") + key.len()..];
            let end = message.iter().position(|b| *b == b'"').expect("its end");
            let (log, number) = numbered(&message[..end]);
            let seen = &mut self.logs[log].seen;
            let times = seen.get_mut(number as usize).expect("it was written");
            *times += 1;
        }
    }

    pub(crate) fn has(&self, log: usize, number: u64) -> bool {
        self.logs[log].seen[number as usize] > 0
    }

    /// Whether all lines of a log before `end` have come.
    pub(crate) fn has_all(&mut self, log: usize, end: u64) -> bool {
        while self.logs[log].whole < end && self.has(log, self.logs[log].whole) {
            self.logs[log].whole += 1;
        }
        self.logs[log].whole >= end
    }

    /// Waits until a line has come.
    pub(crate) fn wait_line(&mut self, log: usize, number: u64) {
        let own = self
            .story
            .iter()
            .filter(|(of, _)| of.is_none_or(|of| of == log));
        let story: Vec<&str> = own.map(|(_, what)| &**what).collect();
        let what = format!("line {number} of {}: {story:?}", self.logs[log].name);
        wait_for(&what, || {
            self.read_output();
            self.has(log, number).then_some(())
        });
    }

    /// Waits until all lines of a log have come that are before `end`.
    pub(crate) fn wait_all(&mut self, log: usize, end: u64) {
        while !self.has_all(log, end) {
            self.wait_line(log, self.logs[log].whole);
        }
    }

    /// Rotates a log in some way. What nobody could know of is waited for: a
    /// file that was never seen, lines that are removed.
    pub(crate) fn rotate(&mut self, at: usize, running: bool) {
        let Some(harm) = self.choose(at, running) else {
            return;
        };
        if running {
            self.wait_line(at, self.logs[at].since);
        }
        if harm == Harm::Truncated {
            self.wait_all(at, self.logs[at].next);
        }
        self.harm(at, harm);
    }

    /// What to do to a log, if something has been written to it.
    pub(crate) fn choose(&mut self, at: usize, running: bool) -> Option<Harm> {
        let log = &self.logs[at];
        if log.next == log.since {
            return None;
        }
        let is_link = log.is_link;
        let kind = self.dice(if running { 7 } else { 3 });
        Some(match kind {
            _ if is_link => Harm::Swapped,
            0 => Harm::Away,
            1 => Harm::Within,
            2 => Harm::Copied,
            3 => Harm::Removed,
            4 => Harm::Reused,
            _ => Harm::Truncated,
        })
    }

    pub(crate) fn harm(&mut self, at: usize, harm: Harm) {
        *self.done.entry(harm).or_default() += 1;
        let what = format!("{harm:?} before {}", self.logs[at].next);
        self.story.push((Some(at), what));
        let log = &mut self.logs[at];
        log.since = log.next;
        if harm == Harm::Swapped {
            return log.swap(&self.place);
        }
        log.rotations += 1;
        let beside = |name: String| log.path.with_file_name(name);
        let (name, turn) = (&log.name, log.rotations);
        let anew = || drop(std::fs::File::create(&log.path).unwrap());
        match harm {
            Harm::Away => {
                std::fs::rename(&log.path, beside(format!("{name}.log.{turn}"))).unwrap();
            }
            Harm::Within => {
                std::fs::rename(&log.path, beside(format!("{name}-{turn}.log"))).unwrap();
            }
            Harm::Copied => {
                std::fs::copy(&log.path, beside(format!("{name}-{turn}.log"))).unwrap();
                anew();
            }
            Harm::Removed | Harm::Reused => {
                std::fs::remove_file(&log.path).unwrap();
                if harm == Harm::Reused {
                    anew();
                }
            }
            Harm::Truncated => anew(),
            Harm::Swapped => {}
        }
    }

    /// Waits until everything has come and its positions are kept.
    pub(crate) fn settle(&mut self) {
        for log in 0..self.logs.len() {
            self.wait_all(log, self.logs[log].next);
        }
        wait_for("positions", || {
            let kept = self.kept();
            let files = std::fs::read_dir(self.place.path("logs")).unwrap();
            let all = files.flatten().all(|file| {
                let Ok(metadata) = std::fs::metadata(file.path()) else {
                    return true;
                };
                let kept = kept.get(&metadata.ino());
                kept.is_none_or(|kept| kept.iter().any(|kept| kept.offset == metadata.len()))
            });
            all.then_some(())
        });
    }

    /// What is kept, by inodes.
    pub(crate) fn kept(&self) -> HashMap<u64, Vec<Kept>> {
        let directory = self.place.path("state/tail/in");
        let mut files: HashMap<String, (u64, Kept)> = HashMap::new();
        let names = std::fs::read_dir(&directory)
            .into_iter()
            .flatten()
            .flatten();
        let generation = |name: &str| name.strip_prefix("positions.")?.parse::<u64>().ok();
        let names = names.filter_map(|entry| generation(entry.file_name().to_str()?));
        let mut generations: Vec<_> = names.collect();
        generations.sort_unstable();
        for generation in generations {
            let path = directory.join(format!("positions.{generation}"));
            let text = std::fs::read_to_string(path).unwrap_or_default();
            for line in text.lines() {
                let json = line.rsplit_once(' ').map_or("", |(json, _)| json);
                let Ok(line) = serde_json::from_str::<serde_json::Value>(json) else {
                    continue;
                };
                let Some(id) = line["file"].as_str() else {
                    continue;
                };
                if line["gone"] == true {
                    files.remove(id);
                } else if let Some(offset) = line["offset"].as_u64() {
                    let (inode, kept) = files.entry(id.to_owned()).or_default();
                    kept.offset = offset;
                    if let (Some(number), Some(hash)) =
                        (line["inode"].as_u64(), line["hash"].as_str())
                    {
                        *inode = number;
                        kept.bytes = line["bytes"].as_u64().unwrap() as usize;
                        kept.hash = u64::from_str_radix(hash, 16).unwrap();
                    }
                }
            }
        }
        let mut by_inode: HashMap<u64, Vec<Kept>> = HashMap::new();
        for (inode, kept) in files.into_values() {
            by_inode.entry(inode).or_default().push(kept);
        }
        by_inode
    }

    /// Every file that there is.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let directories = ["logs", "targets"].map(|name| self.place.path(name));
        let entries = directories.iter().flat_map(std::fs::read_dir);
        let files = entries.flatten().flatten();
        let files = files.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()));
        files.map(|entry| entry.path()).collect()
    }

    /// After a kill: what has come and stands behind the positions that are kept may
    /// come again.
    pub(crate) fn note_unsettled(&mut self) {
        let kept = self.kept();
        let mut unsettled = HashSet::new();
        for path in self.files() {
            let text = std::fs::read(&path).unwrap();
            let inode = std::fs::metadata(&path).unwrap().ino();
            // An inode may have been another file's.
            let kept = kept.get(&inode).into_iter().flatten();
            let kept = kept.filter(|kept| kept.is_of(&text));
            let offset = kept.map(|kept| kept.offset).min().unwrap_or(0);
            let lines = text[offset as usize..].split(|b| *b == b'\n');
            let numbers = lines.filter(|line| !line.is_empty()).map(numbered);
            unsettled.extend(numbers.filter(|(log, number)| self.has(*log, *number)));
        }
        for (log, number) in unsettled {
            self.logs[log].again[number as usize] += 1;
        }
    }

    /// Removes what was rotated; all of it has settled.
    pub(crate) fn clear(&self) {
        let paths = self.logs.iter().map(|log| log.path.canonicalize());
        let current: HashSet<PathBuf> = paths.flatten().collect();
        for path in self.files() {
            if !current.contains(&path.canonicalize().unwrap()) {
                std::fs::remove_file(path).unwrap();
            }
        }
    }

    pub(crate) fn start(&self) -> Running {
        Running::start(&mut self.place.command("*.log")).listen()
    }

    /// Every line has come; which came more often than they may.
    pub(crate) fn doubled(&mut self) -> HashSet<(usize, u64)> {
        let mut doubled = HashSet::new();
        self.read_output();
        for (at, log) in self.logs.iter().enumerate() {
            for (number, (times, again)) in log.seen.iter().zip(&log.again).enumerate() {
                assert!(*times > 0, "line {number} of {} is lost", log.name);
                if *times > 1 + again {
                    doubled.insert((at, number as u64));
                }
            }
        }
        doubled
    }
}

/// How far a file is kept, and how it began.
#[derive(Default)]
pub(crate) struct Kept {
    pub(crate) offset: u64,
    pub(crate) bytes: usize,
    pub(crate) hash: u64,
}

impl Kept {
    fn is_of(&self, text: &[u8]) -> bool {
        let beginning = text.get(..self.bytes);
        let same = beginning.is_some_and(|b| xxhash_rust::xxh3::xxh3_64(b) == self.hash);
        same && text.len() as u64 >= self.offset
    }
}

/// The log and the number of a line.
fn numbered(line: &[u8]) -> (usize, u64) {
    let line = std::str::from_utf8(line).unwrap();
    let mut parts = line.split(' ');
    let log = parts.next().and_then(|name| name.strip_prefix('f'));
    let number = parts.next().map(str::parse);
    assert_eq!(parts.next().map(str::len), Some(40), "torn: {line}");
    let log = log.and_then(|log| log.parse().ok()).expect("a log");
    (log, number.expect("a number").expect("a number"))
}

impl Log {
    /// Points the link to a new file.
    pub(crate) fn swap(&mut self, place: &Place) {
        self.rotations += 1;
        let target = place.path(&format!("targets/{}.{}", self.name, self.rotations));
        std::fs::File::create(&target).unwrap();
        let link = place.path(&format!("targets/link-{}", self.name));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        std::fs::rename(&link, &self.path).unwrap();
    }
}

impl Torture {
    /// Writes a quarter of a second's lines, and harms one file in forty; how many
    /// lines.
    pub(crate) fn pass(&mut self, rate: u64) -> u64 {
        let each = rate / 4 / self.logs.len() as u64;
        let mut written = 0;
        for log in 0..self.logs.len() {
            if self.dice(40) == 0
                && let Some(harm) = self.choose(log, true)
            {
                // What is not ready is left alone rather than waited for.
                let Log {
                    since,
                    next,
                    opened,
                    ..
                } = self.logs[log];
                let is_ready = match harm {
                    Harm::Truncated => self.has_all(log, next),
                    _ => self.has(log, since.max(opened)),
                };
                if is_ready {
                    self.harm(log, harm);
                }
            }
            let lines = self.dice(2 * each + 1);
            self.write(log, lines);
            written += lines;
        }
        written
    }

    /// Waits until everything has come that was removed: nobody could read it
    /// again.
    pub(crate) fn wait_removed(&mut self) {
        for log in 0..self.logs.len() {
            self.wait_all(log, self.logs[log].since);
        }
    }

    /// The output grows without end otherwise. All of it has been read.
    pub(crate) fn begin_output_anew(&mut self) {
        let _ = std::fs::remove_file(self.place.path("out"));
        self.output_read = 0;
    }

    /// Rotates and writes what can be found again.
    pub(crate) fn harm_while_down(&mut self) {
        for log in 0..self.logs.len() {
            let Log { since, next, .. } = self.logs[log];
            let is_known = next > since && self.has(log, since);
            self.write(log, 3);
            if is_known
                && self.dice(10) == 0
                && let Some(harm) = self.choose(log, false)
            {
                self.harm(log, harm);
                self.write(log, 3);
            }
            self.logs[log].opened = self.logs[log].next - 1;
        }
    }
}
