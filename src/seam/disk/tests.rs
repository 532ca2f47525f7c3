//! The disks, real and faulty, do as the traits say.

use std::os::unix::fs::symlink;

use super::*;

#[test]
fn files_and_their_directories_are_made_beneath_the_root() {
    let dir = tempfile::tempdir().unwrap();
    let root = RealDisk.root(&dir.path().join("new/root")).unwrap();
    for _ in 0..2 {
        let mut file = root.open_append(Path::new("a/b/c.log")).unwrap();
        assert_eq!(file.write(b"xy").unwrap(), 2);
        file.sync_data().unwrap();
    }
    root.sync_names(Path::new("a/b/c.log")).unwrap();
    let file = root.open_append(Path::new("a/b/c.log")).unwrap();
    assert_eq!(file.size().unwrap(), 4);
    let mut tail = [0; 8];
    assert_eq!(file.read_at(3, &mut tail).unwrap(), 1);
    assert_eq!(
        std::fs::read(dir.path().join("new/root/a/b/c.log")).unwrap(),
        b"xyxy"
    );
}

#[test]
fn nothing_leads_out_of_the_root() {
    let dir = tempfile::tempdir().unwrap();
    let outside = dir.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    let inside = dir.path().join("inside");
    std::fs::create_dir(&inside).unwrap();
    symlink(&outside, inside.join("link")).unwrap();
    symlink(outside.join("target"), inside.join("file")).unwrap();
    let root = RealRoot(
        fs::open(&inside, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()).unwrap(),
        LOGS,
    );
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::NOFOLLOW;
    for path in [
        "../outside/x",
        "link/x",
        "file",
        "link/new/x",
        "a/../../outside/x",
    ] {
        assert!(root.open_append(Path::new(path)).is_err(), "{path}");
        // The way of old kernels refuses the same.
        assert!(
            root.walk(Path::new(path), flags, LOGS.file).is_err(),
            "{path}"
        );
    }
    assert_eq!(std::fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn a_rename_never_replaces() {
    let dir = tempfile::tempdir().unwrap();
    let root = RealDisk.root(dir.path()).unwrap();
    for name in ["a", "b"] {
        root.open_append(Path::new(name)).unwrap();
    }
    let refused = root.rename(Path::new("a"), Path::new("b")).unwrap_err();
    assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    root.rename(Path::new("a"), Path::new("c")).unwrap();
    root.remove(Path::new("b")).unwrap();
    let names = root.list(Path::new("")).unwrap();
    assert!(names.contains(&"c".into()) && !names.contains(&"a".into()));
}

#[test]
fn a_crash_forgets_what_was_not_synced() {
    let disk = FaultyDisk::default();
    let root = disk.root(Path::new("/r")).unwrap();
    let mut file = root.open_append(Path::new("f")).unwrap();
    root.sync_names(Path::new("f")).unwrap();
    file.write(b"kept").unwrap();
    file.sync_data().unwrap();
    file.write(b"lost").unwrap();
    disk.fail_syncs(1);
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    disk.crash();
    assert_eq!(disk.read("/r/f").unwrap(), b"kept");
}

#[test]
fn a_new_file_is_new_and_another_is_written_in_place() {
    let dir = tempfile::tempdir().unwrap();
    for disk in [&RealDisk as &dyn Disk, &FaultyDisk::default()] {
        let root = disk.root(dir.path()).unwrap();
        let missing = root.open(Path::new("d/new")).err().unwrap();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
        root.create(Path::new("d/new"))
            .unwrap()
            .write(b"x")
            .unwrap();
        let exists = root.create(Path::new("d/new")).err().unwrap();
        assert_eq!(exists.kind(), io::ErrorKind::AlreadyExists);
        let mut file = root.open_in_place(Path::new("d/slots")).unwrap();
        file.write_at(4, b"bb").unwrap();
        file.duplicate().unwrap().write_at(0, b"aa").unwrap();
        file.write_at(4, b"cc").unwrap();
        let mut content = [7; 9];
        let file = root.open(Path::new("d/slots")).unwrap();
        assert_eq!(file.read_at(0, &mut content).unwrap(), 6);
        assert_eq!(&content[..6], b"aa\0\0cc");
    }
}

#[test]
fn a_crash_forgets_names_that_were_not_synced() {
    let disk = FaultyDisk::default();
    let root = disk.root(Path::new("/r")).unwrap();
    for name in ["a", "b"] {
        let mut file = root.open_append(Path::new(name)).unwrap();
        file.write(b"x").unwrap();
        file.sync_data().unwrap();
        if name == "a" {
            root.sync_names(Path::new(name)).unwrap();
        }
    }
    root.rename(Path::new("a"), Path::new("c")).unwrap();
    disk.crash();
    assert_eq!(disk.paths(), [Path::new("/r/a")]);
}

#[test]
fn any_part_of_what_is_not_synced_may_survive() {
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let disk = FaultyDisk::default();
        let root = disk.root(Path::new("")).unwrap();
        let mut file = root.create(Path::new("f")).unwrap();
        root.sync_names(Path::new("f")).unwrap();
        file.write(b"kept").unwrap();
        file.sync_data().unwrap();
        file.write(&[1; 1024]).unwrap();
        root.create(Path::new("g")).unwrap();
        disk.lose_power(seed);
        let content = disk.read("f").unwrap();
        assert!(content.starts_with(b"kept"));
        let hole = content[4..].contains(&0);
        seen.insert((content.len() > 4, hole, disk.paths().len()));
    }
    let some: Vec<_> = seen.iter().map(|&(more, hole, _)| (more, hole)).collect();
    for kind in [(false, false), (true, false), (true, true)] {
        assert!(some.contains(&kind), "{kind:?}");
    }
    assert!(seen.iter().any(|s| s.2 == 1) && seen.iter().any(|s| s.2 == 2));
}

#[test]
fn the_operation_that_is_asked_for_fails() {
    let disk = FaultyDisk::default();
    let root = disk.root(Path::new("")).unwrap();
    let mut file = root.create(Path::new("f")).unwrap();
    disk.fault_at(2, DiskFault::NoSpace);
    disk.fault_at(4, DiskFault::Stop);
    let full = file.write(b"a").unwrap_err();
    assert_eq!(full.kind(), io::ErrorKind::StorageFull);
    file.write(b"b").unwrap();
    assert!(file.write(b"cc").is_err());
    assert!(file.sync_data().is_err() && root.remove(Path::new("f")).is_err());
    disk.restart();
    file.write(b"d").unwrap();
    let content = disk.read("f").unwrap();
    assert!(content.starts_with(b"b") && content.ends_with(b"d") && content.len() <= 4);
    assert_eq!(disk.operations(), 5);
}
