//! What a tail has written down of how far it got, read by other means than its
//! own, and held against what has come.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde_json::Value;
use tokio::time::Instant;

use super::outside::State;

/// A tail that nothing holds up writes down within this time what has settled, and
/// makes it durable.
const KEPT_WITHIN: Duration = Duration::from_secs(3);
/// Nothing may have been written for so long, or it could be held up by that.
const QUIET: Duration = Duration::from_secs(5);

/// One file, as the tail knows it.
struct Position {
    inode: u64,
    bytes: usize,
    hash: u64,
    offset: u64,
}

impl State {
    /// Looks at the positions that are left of a life that ended then.
    pub(super) fn judge_positions(&mut self, is_early: bool, ended: Instant) {
        self.firm_up();
        let gone = self.machine.take_gone();
        if is_early {
            // Nobody will find them again.
            for inode in self.machine.unnamed() {
                self.excuse(inode);
            }
            for event in gone {
                self.excuse_event(event);
            }
        }
        for source in 0..self.programs.len() {
            if self.programs[source].is_some() {
                let is_quiet = self.is_quiet(source, ended);
                self.judge_position(source, is_quiet);
            }
        }
    }

    /// What one process writes down and the next one reads, that makes durable before
    /// it does anything. If it did not come so far, and power is lost, the
    /// positions are those before: what was delivered since comes again.
    fn firm_up(&mut self) {
        if self.now.started {
            self.events.iter_mut().for_each(|e| e.firm |= e.frozen);
        } else if self.now.unpowered {
            self.events.iter_mut().for_each(|e| e.frozen &= e.firm);
        }
    }

    fn judge_position(&mut self, source: usize, is_quiet: bool) {
        let positions = self.positions(source);
        let machine = self.machine.clone();
        let directory = self.program(source).directory().to_path_buf();
        let mut in_sight = BTreeSet::new();
        for (path, inode) in machine.files(&directory) {
            let node = machine.node(inode);
            let is_meant = self.program(source).is_meant(&path);
            let begins_so = |position: &&Position| {
                let begins = node.content.get(..position.bytes);
                position.bytes > 0
                    && begins.is_some_and(|b| xxhash_rust::xxh3::xxh3_64(b) == position.hash)
            };
            let alike = positions.iter().filter(begins_so);
            let of_it = alike.clone().filter(|position| position.inode == inode);
            let offset = of_it.map(|p| p.offset).max();
            // A copy is read on from where its original had been read.
            let copied = alike.map(|p| p.offset).max().unwrap_or_default();
            let is_known = is_meant || offset.is_some();
            let offset = offset.unwrap_or_default();
            for &(event, end) in &node.lines {
                if is_known && end > copied {
                    in_sight.insert(event);
                }
                self.events[event].out_of_sight = !in_sight.contains(&event);
                if end <= offset {
                    self.note_kept(event);
                } else if is_quiet && is_meant && !self.events[event].frozen {
                    let path = path.display();
                    return self.wrong(format!(
                        "{path} was delivered up to event {event}, and is kept up to byte {offset}"
                    ));
                }
            }
        }
    }

    /// An event will not be read again: it must be where it is to be.
    fn note_kept(&mut self, number: usize) {
        let topology = self.topology.clone();
        let event = &mut self.events[number];
        // It may have been taken a moment before power was lost.
        let is_young = !event.frozen && self.now.unpowered;
        event.frozen = true;
        event.firm |= self.now.unpowered;
        for (sink, copy) in event.copies.iter_mut().enumerate() {
            let Some(copy) = copy else { continue };
            copy.excused |= is_young && copy.ends.kept() == 0 && topology.keeps_loosely(sink);
            let spec = &topology.sinks[sink];
            let counts = spec.required && !copy.may_miss() && !topology.keeps(sink);
            if counts && copy.ends.kept() == 0 {
                let name = &spec.name;
                let what = format!(
                    "the position behind event {number} is kept, but {name} does not have it"
                );
                return self.wrong(what);
            }
        }
    }

    /// Whether all that a program wrote has come a while ago, so that it must be
    /// kept how far it was read.
    fn is_quiet(&self, source: usize, ended: Instant) -> bool {
        let program = self.programs[source].as_ref();
        let written = program.and_then(|program| program.written);
        let recent = written.is_some_and(|at| ended - at < QUIET);
        if recent || self.now.disk_harmed || !self.now.started {
            return false;
        }
        let mut events = self.events.iter();
        !events.any(|event| {
            let late = event.told_at.is_none_or(|at| ended - at < KEPT_WITHIN);
            let mut copies = event.copies.iter().flatten();
            let open = copies.any(|copy| copy.ends_now.all() == 0);
            event.source == source && !event.frozen && (late || open)
        })
    }

    /// Whether all that programs wrote has come.
    pub(super) fn logs_have_come(&self) -> bool {
        let topology = &self.topology;
        self.events.iter().all(|event| {
            let copies = event.copies.iter().zip(&topology.sinks);
            let mut wanted = copies.filter(|(_, spec)| spec.required);
            !topology.tails(event.source)
                || wanted.all(|(copy, _)| {
                    copy.as_ref()
                        .is_none_or(|c| c.may_miss() || c.ends.kept() > 0)
                })
        })
    }

    fn positions(&self, source: usize) -> Vec<Position> {
        let name = &self.topology.sources[source].name;
        let prefix = format!("/state/tail/{name}/positions.");
        let paths = self.disk.paths().into_iter();
        let mut generations: Vec<(u64, String)> = paths
            .filter_map(|path| {
                let generation = path.to_str()?.strip_prefix(&prefix)?.parse().ok()?;
                let text = self.disk.read(&path)?;
                Some((generation, String::from_utf8_lossy(&text).into_owned()))
            })
            .collect();
        generations.sort_unstable();
        let mut newest = generations.iter().rev();
        newest
            .find_map(|(_, text)| generation(text))
            .unwrap_or_default()
    }
}

/// What a generation says, if it is whole.
fn generation(text: &str) -> Option<Vec<Position>> {
    let mut positions = BTreeMap::new();
    let mut is_whole = false;
    for line in text.split_inclusive('\n') {
        let Some((json, sum)) = line.strip_suffix('\n').and_then(|l| l.rsplit_once(' ')) else {
            continue;
        };
        let expected = xxhash_rust::xxh3::xxh3_64(json.as_bytes()) as u32;
        if u32::from_str_radix(sum, 16) != Ok(expected) {
            continue;
        }
        if let Ok(line) = serde_json::from_str::<Value>(json) {
            is_whole |= line["whole"] == true;
            apply(&mut positions, &line);
        }
    }
    is_whole.then(|| positions.into_values().collect())
}

fn apply(positions: &mut BTreeMap<String, Position>, line: &Value) {
    let Some(file) = line["file"].as_str() else {
        return;
    };
    if line["gone"] == true {
        positions.remove(file);
    } else if let (Some(inode), Some(hash)) = (line["inode"].as_u64(), line["hash"].as_str()) {
        let position = Position {
            inode,
            bytes: line["bytes"].as_u64().unwrap_or_default() as usize,
            hash: u64::from_str_radix(hash, 16).unwrap_or_default(),
            offset: line["offset"].as_u64().unwrap_or_default(),
        };
        positions.insert(file.to_owned(), position);
    } else if let (Some(known), Some(offset)) = (positions.get_mut(file), line["offset"].as_u64()) {
        known.offset = offset;
    }
}
