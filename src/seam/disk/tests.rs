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
    file.write(b"kept").unwrap();
    file.sync_data().unwrap();
    file.write(b"lost").unwrap();
    disk.fail_syncs(1);
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    disk.crash();
    assert_eq!(disk.read("/r/f").unwrap(), b"kept");
}
