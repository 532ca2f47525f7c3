//! Positions on a disk that tears, fills up and forgets.

use super::*;
use crate::seam::{Disk, FaultyDisk};

fn open(disk: &FaultyDisk) -> Result<Store, StoreError> {
    Store::open(disk.root(Path::new("/s")).unwrap())
}

fn saved(inode: u64, offset: u64) -> Saved {
    Saved {
        identity: Identity { device: 1, inode },
        print: Print::of(b"the beginning"),
        path: format!("/var/log/{inode}.log").into(),
        real: Some("/elsewhere".into()),
        offset,
        trail: trail(offset),
        seen: 20_000,
    }
}

/// What stands before a position.
fn trail(offset: u64) -> Print {
    Print::of(&offset.to_le_bytes())
}

fn journal(disk: &FaultyDisk) -> (PathBuf, Vec<u8>) {
    let mut paths = disk.paths();
    assert_eq!(paths.len(), 1, "{paths:?}");
    let path = paths.remove(0);
    let text = disk.read(&path).unwrap();
    (path, text)
}

#[test]
fn positions_are_there_again_after_a_crash() {
    let disk = FaultyDisk::default();
    let mut store = open(&disk).unwrap();
    assert!(store.is_new);
    for id in 1..=3 {
        store.put(id, saved(id as u64, 0));
    }
    let odd = Saved {
        path: PathBuf::from(OsString::from_vec(b"/a/\xff\n\"x".to_vec())),
        ..saved(9, 4)
    };
    store.put(u128::MAX, odd.clone());
    store.advance(1, 100, trail(100));
    store.advance(2, 200, trail(200));
    store.remove(3);
    store.sync().unwrap();
    store.advance(1, 999, trail(999));
    store.write().unwrap();
    drop(store);
    let store = open(&disk).unwrap();
    assert_eq!(store.files()[&1].offset, 999, "tflog crashed");
    disk.crash();
    let store = open(&disk).unwrap();
    assert!(!store.is_new && store.damaged == 0);
    assert_eq!(store.files().len(), 3);
    assert_eq!(store.files()[&2], saved(2, 200));
    assert_eq!(store.files()[&u128::MAX], odd);
    // Opening wrote a whole generation, so that this held what was only written.
    assert_eq!(store.files()[&1].offset, 999);
}

/// Versions before wrote no trails, and read over those of later ones.
#[test]
fn positions_without_a_trail_are_as_they_were() {
    let old = Saved {
        trail: Print::default(),
        ..saved(1, 10)
    };
    let disk = FaultyDisk::default();
    let mut store = open(&disk).unwrap();
    store.put(1, old.clone());
    store.put(2, saved(2, 10));
    store.advance(2, 20, Print::default());
    store.sync().unwrap();
    let (_, text) = journal(&disk);
    let text = String::from_utf8(text).unwrap();
    let with = |text: &str| text.lines().filter(|line| line.contains("trail")).count();
    assert_eq!(with(&text), 1, "{text}");
    let store = open(&disk).unwrap();
    assert_eq!(store.files()[&1], old);
    assert_eq!(store.files()[&2].trail, Print::default());
}

#[test]
fn a_journal_is_taken_as_far_as_it_is_whole() {
    let disk = FaultyDisk::default();
    let mut store = open(&disk).unwrap();
    store.put(1, saved(1, 0));
    for offset in [10, 20, 30] {
        store.advance(1, offset, trail(offset));
    }
    store.sync().unwrap();
    let (path, text) = journal(&disk);
    let lines: Vec<usize> = text
        .iter()
        .enumerate()
        .filter(|(_, b)| **b == b'\n')
        .map(|(at, _)| at + 1)
        .collect();
    for len in 0..=text.len() {
        let disk = FaultyDisk::default();
        disk.put(&path, &text[..len]);
        let store = open(&disk).unwrap_or_else(|error| panic!("{len} bytes: {error}"));
        let whole = lines.iter().filter(|end| **end <= len).count();
        // Header, whole, file, three advances.
        assert_eq!(store.is_new, whole < 2, "{len} bytes");
        let offset = store.files().get(&1).map(|saved| saved.offset);
        let expected = [None, None, None, Some(0), Some(10), Some(20), Some(30)][whole];
        assert_eq!(offset, expected, "{len} bytes");
    }
    // A line that rotted is left out, and counted.
    let mut rotten = text.clone();
    rotten[lines[4] + 3] ^= 1;
    disk.put(&path, &rotten);
    let store = open(&disk).unwrap();
    assert_eq!((store.files()[&1].offset, store.damaged), (20, 1));
}

#[test]
fn files_of_others_and_of_later_versions_are_refused() {
    let of = |text: &[u8]| {
        let disk = FaultyDisk::default();
        disk.put("/s/positions.4", text);
        let refused = open(&disk).err().map(|error| error.to_string());
        assert_eq!(
            disk.read("/s/positions.4").as_deref(),
            refused.as_ref().map(|_| text)
        );
        refused
    };
    let mut later = Vec::new();
    let header = |version| Line {
        format: Some(FORMAT.into()),
        version: Some(version),
        ..Line::default()
    };
    encode(&header(2), &mut later);
    let refused = of(&later).unwrap();
    assert!(
        refused.contains("positions.4 was written by a later tflog (version 2"),
        "{refused}"
    );
    let mut none = Vec::new();
    encode(&header(0), &mut none);
    for foreign in [&b"hello\n"[..], b"{}\n", &none, b"\0\0hi\n", b"hi"] {
        let refused = of(foreign).unwrap();
        assert!(refused.contains("holds no positions of tflog"), "{refused}");
    }
    assert_eq!(of(b""), None, "created, and then a crash");
    assert_eq!(of(&[0; 100]), None, "and of what was written nothing came");
    let mut part = super::header();
    part[4..20].fill(0);
    part.extend([0; 50]);
    assert_eq!(of(&part), None, "or a part of it");
}

#[test]
fn a_disk_that_fails_loses_nothing_that_was_synced() {
    let disk = FaultyDisk::default();
    let mut store = open(&disk).unwrap();
    store.put(1, saved(1, 0));
    store.sync().unwrap();
    disk.set_room(Some(10));
    store.advance(1, 500, trail(500));
    assert!(store.sync().is_err(), "full");
    assert!(store.sync().is_err(), "still full");
    disk.set_room(None);
    store.sync().unwrap();
    disk.crash();
    assert_eq!(open(&disk).unwrap().files()[&1].offset, 500);
    let mut store = open(&disk).unwrap();
    store.advance(1, 600, trail(600));
    disk.fail_syncs(1);
    assert!(store.sync().is_err());
    store.sync().unwrap();
    disk.crash();
    assert_eq!(open(&disk).unwrap().files()[&1].offset, 600);
}

#[test]
fn a_journal_stays_in_proportion() {
    let disk = FaultyDisk::default();
    let mut store = open(&disk).unwrap();
    store.put(1, saved(1, 0));
    for offset in 1..100_000 {
        store.advance(1, offset, trail(offset));
        if offset % 100 == 0 {
            store.write().unwrap();
        }
    }
    store.sync().unwrap();
    let (_, text) = journal(&disk);
    assert!(
        (text.len() as u64) < 2 * COMPACT_BYTES_MIN,
        "{}",
        text.len()
    );
    assert_eq!(open(&disk).unwrap().files()[&1].offset, 99_999);
}
