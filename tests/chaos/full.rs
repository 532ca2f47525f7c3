//! A full file system: a required sink waits, loses nothing, and goes on when
//! there is room again.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use crate::harness::wait_for;
use crate::kills::Setup;
use crate::oracle::Received;
use crate::producers::Producers;
use crate::skip::skip;

/// A file system of 4 MiB in memory, until it is dropped.
struct Small<'a>(&'a Path);

impl Small<'_> {
    fn mount(at: &Path) -> Option<Small<'_>> {
        std::fs::create_dir_all(at).unwrap();
        let mut mount = Command::new("mount");
        mount
            .args(["-t", "tmpfs", "-o", "size=4m", "tmpfs"])
            .arg(at);
        match mount.output() {
            Ok(output) if output.status.success() => Some(Small(at)),
            Ok(output) => {
                skip(&String::from_utf8_lossy(&output.stderr));
                None
            }
            Err(error) => {
                skip(&format!("mount: {error}"));
                None
            }
        }
    }
}

impl Drop for Small<'_> {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.0).status();
    }
}

/// Fills what is left of it.
fn fill(path: &Path) {
    use std::io::Write as _;
    let mut file = std::fs::File::create(path).unwrap();
    while file.write_all(&[b'x'; 4096]).is_ok() {}
}

fn size(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |found| found.len())
}

/// A file sink whose disk is full answers no 200; with room it goes on, and all
/// that was acknowledged is there, each once.
#[test]
fn a_full_disk_is_waited_for() {
    let dir = tempfile::tempdir().unwrap();
    let small = dir.path().join("small");
    let Some(_mounted) = Small::mount(&small) else {
        return;
    };
    let (out, filler) = (small.join("out.jsonl"), small.join("filler"));
    let setup = Setup::new(
        dir.path(),
        &format!("{{ out: 'file://{}' }}", out.display()),
    );
    let running = setup.start();
    let producers = Producers::start(setup.address, "client", 2);
    wait_for("something in the file", || {
        (size(&out) > 100_000).then_some(())
    });
    fill(&filler);
    // However long it is full: it grows no more.
    let full = wait_for("a full disk", || {
        let before = size(&out);
        std::thread::park_timeout(Duration::from_millis(200));
        (size(&out) == before).then_some(before)
    });
    std::fs::remove_file(&filler).unwrap();
    wait_for("the file to grow again", || {
        (size(&out) > full + 50_000).then_some(())
    });
    let sent = producers.finish();
    running.signal("TERM");
    assert_eq!(running.finish().0.code(), Some(0));
    let text = std::fs::read_to_string(&out).unwrap();
    let twice = sent.judge("a full disk", &Received::of_lines(&text));
    assert_eq!(twice, 0);
}
