//! Bytes that are not as they were written.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proptest::prelude::*;

use super::fixture::{DIRECTORY, STATE, append, batch, open, options};
use crate::buffer::disk::{Damage, Found, Log, Lost, Read, verify};
use crate::seam::FaultyDisk;

type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Records that were synced, and those that were settled then.
const SYNCED: u64 = 8;
const SETTLED: [u64; 2] = [0, 2];
/// Those after them, which were not synced.
const LAST: u64 = 10;

fn events(key: u64) -> u64 {
    key % 3 + 1
}

fn files(disk: &FaultyDisk) -> Files {
    let paths = disk.paths().into_iter();
    paths
        .filter_map(|path| Some((path.clone(), disk.read(path)?)))
        .collect()
}

fn disk(files: &Files) -> FaultyDisk {
    let disk = FaultyDisk::default();
    for (path, content) in files {
        disk.put(path, content);
    }
    disk
}

/// A log in three segments, as a process leaves it that is killed.
fn sample() -> Files {
    let disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, options(48 << 10, 2 << 10)).unwrap();
    for key in 0..SYNCED {
        let batch = batch(key, events(key) as usize, 90);
        let entry = append(&mut log, &batch).unwrap();
        if SETTLED.contains(&key) {
            log.settlement().settle(entry);
        }
    }
    log.maintain().unwrap();
    log.sync().unwrap();
    for key in SYNCED..LAST {
        append(&mut log, &batch(key, events(key) as usize, 90)).unwrap();
    }
    drop(log);
    files(&disk)
}

fn damages(disk: &FaultyDisk) -> Result<Vec<Damage>, String> {
    let mut all = Vec::new();
    verify(disk, Path::new(STATE), Path::new(DIRECTORY), &mut |found| {
        if let Found::Damage(damage) = found {
            all.push(damage);
        }
        true
    })
    .map_err(|error| error.to_string())?;
    Ok(all)
}

struct Survived {
    keys: Vec<u64>,
    lost: Lost,
    /// Whether anything was said about it.
    noticed: bool,
}

/// Opens it and reads all; an error if what is read is not as it was.
fn survive(files: &Files) -> Result<Survived, String> {
    let disk = disk(files);
    let damages = damages(&disk)?;
    let (log, backlog) = open(&disk, options(48 << 10, 2 << 10))?;
    let mut reader = log.reader().unwrap();
    let (mut keys, mut lost, mut read) = (Vec::new(), Lost::default(), 0);
    loop {
        match reader.read().map_err(|error| error.to_string())? {
            Read::End => break,
            Read::Lost(more) => {
                lost.records += more.records;
                lost.events += more.events;
            }
            Read::Record(stored) => {
                let whole = (0..LAST)
                    .find(|&key| batch(key, events(key) as usize, 90).text() == stored.text());
                keys.push(whole.ok_or("a record that nobody wrote")?);
                read += u64::from(stored.entry.events);
            }
        }
    }
    if backlog.events != read + lost.events {
        return Err(format!("{backlog:?}, {read} events read, {lost:?}"));
    }
    let stats = log.stats();
    let counted = (stats.corrupt_records, stats.corrupt_events);
    if counted != (lost.records, lost.events) {
        return Err(format!("{stats:?} and {lost:?}"));
    }
    let noticed = !damages.is_empty()
        && lost.records
            == damages
                .iter()
                .filter(|d| d.synced)
                .map(|d| d.records)
                .sum::<u64>();
    Ok(Survived {
        keys,
        lost,
        noticed,
    })
}

fn missing(keys: &[u64], wanted: std::ops::Range<u64>) -> Vec<u64> {
    let wanted = wanted.filter(|key| !SETTLED.contains(key));
    wanted.filter(|key| !keys.contains(key)).collect()
}

/// Flips a bit of every `step`th byte in turn.
pub(super) fn bytes(step: usize) -> Result<(), String> {
    let sample = sample();
    for (path, content) in &sample {
        let marks = path.ends_with("marks");
        for at in (0..content.len()).step_by(step) {
            // Most of a slot is filled up with zeros: some of them will do.
            if marks && at % 4096 > 128 && at % 4096 < 4088 && at % 64 != 0 {
                continue;
            }
            let mut files = sample.clone();
            files.get_mut(path).unwrap()[at] ^= 1 << (at % 8);
            let wrong = |what: String| format!("{} at {at}: {what}", path.display());
            let survived = survive(&files).map_err(wrong)?;
            let gone = missing(&survived.keys, 0..SYNCED);
            let events: u64 = gone.iter().copied().map(events).sum();
            let known = (survived.lost.records, survived.lost.events);
            if gone.len() > 1 || known != (gone.len() as u64, events) || !survived.noticed {
                return Err(wrong(format!("{gone:?} gone, {known:?} known")));
            }
            if missing(&survived.keys, SYNCED..LAST).len() > 1 {
                return Err(wrong("more than one not synced is gone".into()));
            }
            if !marks && survived.keys.iter().any(|key| SETTLED.contains(key)) {
                return Err(wrong("what was settled comes again".into()));
            }
        }
    }
    Ok(())
}

#[test]
fn a_flipped_bit_is_noticed_and_costs_one_record_at_most() {
    assert!(sample().len() > 3);
    let whole = survive(&sample()).unwrap();
    assert_eq!((whole.keys.len(), whole.noticed), (8, false));
    if let Err(error) = bytes(1) {
        panic!("{error}");
    }
}

/// A process is killed, a bit rots, another one starts, and power is lost: a note
/// of what was synced would be lost with it.
pub(super) fn after_a_loss_of_power() -> Result<(), String> {
    let disk = FaultyDisk::default();
    let start = || open(&disk, options(48 << 10, 16 << 10)).unwrap();
    let (mut log, _) = start();
    for key in 0..3 {
        append(&mut log, &batch(key, 2, 90)).unwrap();
    }
    log.sync().unwrap();
    drop(log);
    rot(&disk, 2);
    drop(start());
    disk.crash();
    let (log, _) = start();
    match lost(&log) {
        (1, 2) => Ok(()),
        other => Err(format!("{other:?} are counted as lost")),
    }
}

#[test]
fn what_a_start_found_durable_is_known_after_a_loss_of_power() {
    after_a_loss_of_power().unwrap();
}

/// No mark tells of it, the records behind it do.
#[test]
fn what_was_durable_when_later_records_were_written_is_no_torn_end() {
    for (syncs, expected) in [(3, (1, 2)), (1, (0, 0))] {
        let disk = FaultyDisk::default();
        let start = || open(&disk, options(48 << 10, 16 << 10)).unwrap();
        let (mut log, _) = start();
        for key in 0..3 {
            append(&mut log, &batch(key, 2, 90)).unwrap();
            if key < syncs {
                log.sync().unwrap();
            }
        }
        drop(log);
        // As the disk has it: blocks that nobody synced come to it too.
        rot(&disk, 1);
        disk.crash();
        let (log, backlog) = start();
        assert_eq!(lost(&log), expected, "{syncs} syncs");
        assert_eq!(backlog.torn_bytes > 0, expected == (0, 0));
        assert_eq!(log.last(), 3);
    }
}

/// Changes a bit of the text of a record in the first segment, and has that on
/// the disk.
fn rot(disk: &FaultyDisk, key: u64) {
    let path = Path::new(STATE)
        .join(DIRECTORY)
        .join(format!("{:016x}.segment", 1));
    let mut content = disk.read(&path).unwrap();
    let text = batch(key, 2, 90).text().to_vec();
    let at = content.windows(text.len()).position(|found| found == text);
    content[at.unwrap() + 5] ^= 1;
    disk.put(path, &content);
}

/// Records that a reader finds lost, and their events.
fn lost(log: &Log) -> (u64, u64) {
    let mut reader = log.reader().unwrap();
    while !matches!(reader.read().unwrap(), Read::End) {}
    let stats = log.stats();
    (stats.corrupt_records, stats.corrupt_events)
}

#[test]
fn a_file_cut_short_loses_what_was_cut() {
    let sample = sample();
    for (path, content) in &sample {
        if path.ends_with("marks") {
            continue;
        }
        for len in (0..content.len()).step_by(5) {
            let mut files = sample.clone();
            files.get_mut(path).unwrap().truncate(len);
            let survived = survive(&files).unwrap_or_else(|e| panic!("{path:?} {len}: {e}"));
            let gone = missing(&survived.keys, 0..SYNCED);
            assert_eq!(survived.lost.records, gone.len() as u64, "{path:?} {len}");
        }
    }
}

#[test]
fn a_missing_file_is_made_up_for_or_counted() {
    let sample = sample();
    for path in sample.keys() {
        let mut files = sample.clone();
        files.remove(path);
        let disk = disk(&files);
        let (log, _) = open(&disk, options(48 << 10, 2 << 10)).unwrap();
        let mut reader = log.reader().unwrap();
        let (mut read, mut lost) = (0, 0);
        loop {
            match reader.read().unwrap() {
                Read::End => break,
                Read::Lost(more) => lost += more.records,
                Read::Record(_) => read += 1,
            }
        }
        if path.ends_with("marks") {
            // What the newest header says is settled is not read again.
            assert!(read >= 8 && lost == 0, "{read} {lost}");
        } else {
            // Nobody knows of the two at the end that were not synced.
            let newest = sample.keys().rfind(|p| !p.ends_with("marks"));
            let known = if Some(path) == newest { 6 } else { 8 };
            assert_eq!(read + lost, known, "{path:?}");
            assert!(read < known || Some(path) == newest);
        }
    }
}

/// What cannot be read is kept as long as nobody needs its space, whichever start
/// has put it away, and never takes the disk beyond its cap.
#[test]
fn what_cannot_be_read_makes_room_for_what_can() {
    const CAP: u64 = 48 << 10;
    let mut sample = sample();
    let path = sample.keys().find(|path| !path.ends_with("marks")).cloned();
    let path = path.unwrap();
    let put_away = path.with_extension("damaged");
    sample.get_mut(&path).unwrap()[..1024].fill(0);
    let disk = disk(&sample);
    for _ in 0..2 {
        let (log, _) = open(&disk, options(CAP, 2 << 10)).unwrap();
        assert!(disk.read(&put_away).is_some() && disk.read(&path).is_none());
        let bytes: usize = files(&disk).values().map(Vec::len).sum();
        assert_eq!(log.stats().bytes, bytes as u64);
    }
    let (mut log, _) = open(&disk, options(CAP, 2 << 10)).unwrap();
    let kept = |disk: &FaultyDisk| disk.read(&put_away).is_some();
    let mut appended_beside = 0;
    let mut key = LAST;
    while append(&mut log, &batch(key, 3, 90)).is_ok() {
        appended_beside += u64::from(kept(&disk));
        key += 1;
        let bytes: usize = files(&disk).values().map(Vec::len).sum();
        assert!(bytes as u64 <= CAP, "{bytes} bytes");
    }
    assert!(appended_beside > 0 && !kept(&disk));
}

#[test]
fn files_that_are_not_ours_are_refused_and_left_alone() {
    let sample = sample();
    let marks = Path::new(STATE).join(DIRECTORY).join("marks");
    let segment = sample.keys().find(|p| **p != marks).unwrap().clone();
    let version = |path: &Path, blocks: usize, bytes: usize, version: u8| {
        let mut files = sample.clone();
        let content = files.get_mut(path).unwrap();
        for block in content.chunks_exact_mut(bytes).take(blocks) {
            block[8] = version;
            let sum = crc32c::crc32c(&block[..bytes - 4]);
            block[bytes - 4..].copy_from_slice(&sum.to_le_bytes());
        }
        files
    };
    let mut foreign = sample.clone();
    foreign.insert(segment.clone(), vec![b'#'; 5000]);
    let mut foreign_marks = sample.clone();
    foreign_marks.insert(marks.clone(), vec![b'#'; 5000]);
    let mut renamed = sample.clone();
    let copy = renamed[&segment].clone();
    renamed.insert(segment.with_file_name("00000000000000ff.segment"), copy);
    for (files, said) in [
        (
            version(&segment, 2, 512, 2),
            "version 2, this tflog reads 1",
        ),
        (
            version(&segment, 2, 512, 0),
            "version 0, which this tflog no longer reads",
        ),
        (version(&marks, 3, 4096, 2), "version 2, this tflog reads 1"),
        (foreign, "not a file of a tflog buffer"),
        (foreign_marks, "not a file of a tflog buffer"),
        (renamed, "not a file of a tflog buffer"),
    ] {
        let disk = disk(&files);
        let error = open(&disk, options(48 << 10, 2 << 10)).err().unwrap();
        assert!(error.contains(said) && error.contains("search/"), "{error}");
        assert!(super::damage::files(&disk) == files, "{said}");
    }
}

#[test]
fn a_disk_that_cannot_be_read_does_not_hold_up_for_ever() {
    let disk = disk(&sample());
    let (log, _) = open(&disk, options(48 << 10, 2 << 10)).unwrap();
    let mut reader = log.reader().unwrap();
    disk.fail_reads(1);
    let error = reader.read().unwrap_err();
    assert!(error.to_string().contains("cannot read"), "{error}");
    assert!(matches!(reader.read().unwrap(), Read::Record(_)));
    let mut reader = log.reader().unwrap();
    disk.fail_reads(1000);
    let errors = (0..9).map_while(|_| reader.read().err()).count();
    disk.fail_reads(0);
    assert_eq!(errors, 3);
    let mut read = 0;
    while !matches!(reader.read().unwrap(), Read::End) {
        read += 1;
    }
    assert!(read > 0);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_damage_alters_a_record(
        places in proptest::collection::vec((any::<u8>(), any::<u32>(), any::<u8>()), 1..60)
    ) {
        let mut files = sample();
        let paths: Vec<_> = files.keys().cloned().collect();
        let mut hit = Vec::new();
        for (file, at, byte) in places {
            let content = files.get_mut(&paths[file as usize % paths.len()]).unwrap();
            let at = at as usize % content.len();
            hit.push((file as usize % paths.len(), at, content[at], byte));
            content[at] = byte;
        }
        if let Err(error) = survive(&files) {
            let refused = error.contains("not a file of a tflog buffer");
            prop_assert!(refused, "{error} after {hit:?}");
        }
    }
}
