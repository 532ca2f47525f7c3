//! Files that grow: what is followed, what is kept, what is said.

use std::io::Write;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::harness::{Running, free_address, get, ledger, lines, metric, run, tflog, wait_for};

/// A directory with logs, a state directory and an output.
pub(crate) struct Place {
    pub(crate) directory: tempfile::TempDir,
}

impl Place {
    pub(crate) fn new() -> Place {
        let directory = tempfile::tempdir().unwrap();
        std::fs::create_dir(directory.path().join("logs")).unwrap();
        Place { directory }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn append(&self, name: &str, text: &str) {
        append(&self.path(name), text);
    }

    /// A tflog that follows `logs/PATTERN` into `out`.
    pub(crate) fn command(&self, pattern: &str) -> Command {
        let from = format!("in={}/logs/{pattern}", self.directory.path().display());
        let to = format!("file://{}?encode=json", self.path("out").display());
        let mut command = tflog(&["--http", "none", "--from", &from, "--to", &to]);
        command
            .env("TFLOG_STATE", self.path("state"))
            .env("TFLOG_LOG", "info")
            .stderr(Stdio::piped());
        command
    }

    /// The messages in `out`.
    pub(crate) fn messages(&self) -> Vec<String> {
        let text = lines(&self.path("out"));
        // The last line may be on its way.
        let parsed = text
            .iter()
            .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok());
        parsed
            .map(|line| line["message"].as_str().unwrap().to_owned())
            .collect()
    }

    pub(crate) fn wait_messages(&self, count: usize) -> Vec<String> {
        wait_for("the lines", || {
            let messages = self.messages();
            (messages.len() >= count).then_some(messages)
        })
    }
}

pub(crate) fn append(path: &Path, text: &str) {
    let file = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(path);
    file.and_then(|mut file| file.write_all(text.as_bytes()))
        .unwrap();
}

/// Stops a tflog; it must end well and have lost nothing.
pub(crate) fn stop(running: Running) -> String {
    running.signal("TERM");
    let (status, stderr) = running.finish();
    assert!(status.success(), "{status}: {stderr}");
    let ledger = ledger(&stderr);
    let source = &ledger["sources"]["in"];
    assert_eq!(source["received"], source["accepted"], "{stderr}");
    stderr
}

/// `-f` shows what is there and what comes, through rotation, and keeps nothing.
#[test]
fn follow_shows_what_comes() {
    let place = Place::new();
    place.append("logs/a.log", "one\n");
    let path = place.path("logs/a.log");
    let out = place.path("out");
    let to = format!("file://{}?encode=raw", out.display());
    let mut command = tflog(&["-f", path.to_str().unwrap(), "--to", &to]);
    let running = Running::start(command.stderr(Stdio::piped()).current_dir(&place.directory));
    wait_for("a line", || (lines(&out).len() == 1).then_some(()));
    place.append("logs/a.log", "two\n");
    std::fs::rename(&path, place.path("logs/a.log.1")).unwrap();
    place.append("logs/a.log.1", "three\n");
    place.append("logs/a.log", "four\nfi");
    wait_for("four lines", || (lines(&out).len() == 4).then_some(()));
    place.append("logs/a.log", "ve");
    running.signal("INT");
    let (status, stderr) = running.finish();
    assert!(status.success(), "{stderr}");
    assert_eq!(stderr, "", "it is no service");
    // Nobody would read the last line later.
    let mut got = lines(&out);
    got.sort_unstable();
    assert_eq!(got, ["five", "four", "one", "three", "two"]);
    let names = std::fs::read_dir(&place.directory).unwrap().flatten();
    let names: Vec<_> = names.map(|entry| entry.file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
}

#[test]
fn follow_says_what_is_missing() {
    let output = run(&["-f", "/nonexistent/a.log"], b"");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr.contains("files: /nonexistent/a.log: cannot open: No such file"),
        "{stderr}"
    );
    let output = run(&["-f"], b"");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("--follow needs a FILE"), "{stderr}");
    let output = run(&["--from", "/var/log/*.log"], b"");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(stderr.contains("TFLOG_STATE"), "{stderr}");
}

/// A directory that is not there yet, names that are no text, names that look
/// like patterns: each file is read once.
#[test]
fn whatever_the_names_are() {
    let place = Place::new();
    let mut command = place.command("later/**/*.log");
    let running = Running::start(&mut command);
    std::fs::create_dir_all(place.path("logs/later/a/b")).unwrap();
    let names: [&[u8]; 7] = [
        b"x.log",
        b"a/b/line\nfeed.log",
        b"a/b/\xff\xfe.log",
        b"a/*.log",
        b"a/[a-z].log",
        b"a/b/ %41 {x}.log",
        b"a/.hidden.log",
    ];
    let later = place.path("logs/later");
    for (number, name) in names.iter().enumerate() {
        append(
            &later.join(std::ffi::OsStr::from_bytes(name)),
            &format!("{number}\n"),
        );
    }
    // Two names of one file, one of them a symbolic link.
    std::os::unix::fs::symlink(later.join("x.log"), later.join("a/link.log")).unwrap();
    let mut messages = place.wait_messages(6);
    append(&later.join("x.log"), "last\n");
    messages = wait_for("the last line", || {
        messages = place.messages();
        messages
            .contains(&"last".to_owned())
            .then(|| messages.clone())
    });
    stop(running);
    messages.sort_unstable();
    assert_eq!(messages, ["0", "1", "2", "3", "4", "5", "last"]);
}

/// A file that must not be read is named once; when it may be, it is read.
#[test]
fn what_cannot_be_read_is_said_and_waited_for() {
    if rustix_is_root() {
        return;
    }
    let place = Place::new();
    place.append("logs/secret.log", "secret\n");
    let set = |mode| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(place.path("logs/secret.log"), permissions).unwrap();
    };
    set(0);
    place.append("logs/a.log", "open\n");
    let running = Running::start(&mut place.command("*.log"));
    place.wait_messages(1);
    set(0o600);
    place.append("logs/secret.log", "more\n");
    place.wait_messages(3);
    let stderr = stop(running);
    let said = stderr.matches("secret.log: cannot read").count();
    assert_eq!(said, 1, "{stderr}");
}

/// Root may read everything.
fn rustix_is_root() -> bool {
    std::fs::read_to_string("/proc/self/status")
        .unwrap()
        .lines()
        .any(|line| line.starts_with("Uid:\t0\t"))
}

/// Rotation while tflog is down: the old file is read from where it was, renamed
/// or compressed, and the new one from its start.
#[test]
fn what_was_rotated_while_tflog_was_down_is_read_to_its_end() {
    let place = Place::new();
    for name in ["a", "b", "c"] {
        place.append(
            &format!("logs/{name}.log"),
            &format!("{name} 1\n{name} 2\n"),
        );
    }
    let running = Running::start(&mut place.command("*.log"));
    place.wait_messages(6);
    stop(running);
    for name in ["a", "b", "c"] {
        place.append(&format!("logs/{name}.log"), &format!("{name} 3\n{name} 4"));
    }
    let log = |name: &str| place.path(&format!("logs/{name}"));
    std::fs::rename(log("a.log"), log("a.log.1")).unwrap();
    let content = std::fs::read(log("b.log")).unwrap();
    let file = std::fs::File::create(log("b.log-20260101.gz")).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gzip.write_all(&content).unwrap();
    gzip.finish().unwrap();
    std::fs::remove_file(log("b.log")).unwrap();
    std::fs::copy(log("c.log"), log("c.log.1")).unwrap();
    std::fs::File::create(log("c.log")).unwrap();
    for name in ["a", "b", "c"] {
        place.append(&format!("logs/{name}.log"), &format!("{name} 5\n"));
    }
    let running = Running::start(&mut place.command("*.log"));
    // The last lines of files that rest are whole once these are let go.
    let mut messages = place.wait_messages(15);
    stop(running);
    messages.sort_unstable();
    let expected = ["a", "b", "c"].map(|name| [1, 2, 3, 4, 5].map(|n| format!("{name} {n}")));
    assert_eq!(messages, expected.as_flattened());
}

/// A thousand rotations leave no descriptor open, and no position behind.
#[test]
fn descriptors_come_back() {
    let place = Place::new();
    let running = Running::start(&mut place.command("*.log"));
    let descriptors = || {
        let path = format!("/proc/{}/fd", running.child.id());
        std::fs::read_dir(path).unwrap().count()
    };
    place.append("logs/a.log", "0\n");
    place.wait_messages(1);
    let before = descriptors();
    let path = place.path("logs/a.log");
    for number in 1..=1000 {
        // What was never seen could not be read.
        let rotated = place.path("logs/a.log.1");
        std::fs::rename(&path, &rotated).unwrap();
        place.append("logs/a.log", &format!("{number}\n"));
        if number % 50 == 0 {
            place.wait_messages(number / 50);
        }
        std::fs::remove_file(&rotated).unwrap();
    }
    wait_for("the last line", || {
        place.messages().contains(&"1000".to_owned()).then_some(())
    });
    wait_for("descriptors to be closed", || {
        (descriptors() <= before).then_some(())
    });
    stop(running);
}

/// Positions of a later tflog, or of somebody else, are not taken for nothing.
#[test]
fn positions_of_others_are_refused() {
    let place = Place::new();
    place.append("logs/a.log", "one\n");
    let running = Running::start(&mut place.command("*.log"));
    place.wait_messages(1);
    stop(running);
    let kept = place.path("state/tail/in");
    let journal = std::fs::read_dir(&kept).unwrap().next().unwrap();
    let journal = journal.unwrap().path();
    std::fs::write(&journal, "somebody's notes\n").unwrap();
    let output = place.command("*.log").output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{stderr}");
    assert!(
        stderr.contains("holds no positions of tflog; remove it"),
        "{stderr}"
    );
    // Removed, files are read anew.
    std::fs::remove_dir_all(&kept).unwrap();
    let running = Running::start(&mut place.command("*.log"));
    assert_eq!(place.wait_messages(2), ["one", "one"]);
    stop(running);
}

/// More files than may be open, all of them read, and metrics without their
/// names.
#[test]
fn many_files_and_few_descriptors() {
    let place = Place::new();
    for number in 0..300 {
        place.append(&format!("logs/{number}.log"), "first\n");
    }
    let http = free_address();
    let config = format!(
        "http: '{http}'\nstate: {0}/state\n\
         sources: {{ in: {{ url: 'file://{0}/logs/*.log', open_max: 10 }} }}\n\
         sinks: {{ out: {{ url: 'file://{0}/out', encode: json }} }}\n",
        place.directory.path().display()
    );
    std::fs::write(place.path("tflog.yaml"), config).unwrap();
    let path = place.path("tflog.yaml");
    let mut command = tflog(&["-c", path.to_str().unwrap()]);
    let running = Running::start(command.stderr(Stdio::piped()));
    place.wait_messages(300);
    for number in 0..300 {
        place.append(&format!("logs/{number}.log"), "second\n");
    }
    place.wait_messages(600);
    let page = wait_for("the numbers", || {
        let page = get(http, "/metrics").1;
        (metric(&page, "tflog_source_files{") == 300
            && metric(&page, "tflog_source_lag_bytes{") == 0)
            .then_some(page)
    });
    assert!(metric(&page, "tflog_source_open_files{") <= 10, "{page}");
    assert!(!page.contains("299.log"));
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", running.child.id()));
    assert!(descriptors.unwrap().count() < 60);
    stop(running);
    assert_eq!(place.messages().len(), 600);
}

/// Copying and truncating has a race of its own: what is written between the two is
/// in no file afterwards. No more than that is lost, and nothing comes twice.
#[test]
fn copytruncate_loses_only_what_is_written_between() {
    let place = Place::new();
    let numbers = |numbers: std::ops::Range<u32>| -> String {
        let lines: Vec<_> = numbers.map(|number| format!("{number}\n")).collect();
        lines.concat()
    };
    place.append("logs/a.log", &numbers(0..1000));
    let running = Running::start(&mut place.command("*.log"));
    place.wait_messages(1);
    place.append("logs/a.log", &numbers(1000..2000));
    std::fs::copy(place.path("logs/a.log"), place.path("logs/a.log.1")).unwrap();
    place.append("logs/a.log", &numbers(2000..2010));
    std::fs::File::create(place.path("logs/a.log")).unwrap();
    place.append("logs/a.log", &numbers(3000..3010));
    let kept: Vec<u32> = (0..2000).chain(3000..3010).collect();
    let came = || -> Vec<u32> {
        let mut came: Vec<u32> = place
            .messages()
            .iter()
            .map(|number| number.parse().unwrap())
            .collect();
        came.sort_unstable();
        came
    };
    wait_for("the lines", || {
        let came = came();
        let has = |number: &u32| came.binary_search(number).is_ok();
        kept.iter().all(has).then_some(())
    });
    stop(running);
    let mut came = came();
    came.retain(|number| !(2000..2010).contains(number));
    assert_eq!(came, kept);
}

/// Five thousand files to which nobody writes any more: descriptors and memory
/// stay bounded. What they cost is printed.
#[test]
#[expect(clippy::print_stdout, reason = "figures for people")]
fn files_that_rest_cost_little() {
    const FILES: usize = 5_000;
    let place = Place::new();
    for number in 0..FILES {
        place.append(&format!("logs/{number}.log"), "a line\n");
    }
    let running = Running::start(&mut place.command("*.log"));
    // Each look at so many lines costs more than what is waited for.
    let wait_lines = |count: usize| {
        let came = || Some(std::fs::metadata(place.path("out")).ok()?.len());
        let bytes = (FILES * 21 + (count - FILES) * 27) as u64;
        wait_for("the lines", || came().filter(|came| *came >= bytes));
    };
    wait_lines(FILES);
    let process = format!("/proc/{}", running.child.id());
    let ticks = || {
        let stat = std::fs::read_to_string(format!("{process}/stat")).unwrap();
        let fields = stat.rsplit(") ").next().unwrap().split(' ');
        let times = fields.skip(11).take(2);
        times
            .map(|ticks| ticks.parse::<u64>().unwrap())
            .sum::<u64>()
    };
    let (before, start) = (ticks(), std::time::Instant::now());
    // One file that is written to, as a clock: rounds go on.
    for number in 1..=20 {
        place.append("logs/0.log", "another line\n");
        wait_lines(FILES + number);
    }
    let seconds = start.elapsed().as_secs_f64();
    // Linux counts in hundredths of a second.
    let cores = (ticks() - before) as f64 / 100.0 / seconds;
    let memory_mib = running.memory_bytes() >> 20;
    let descriptors = std::fs::read_dir(format!("{process}/fd")).unwrap().count();
    println!("{FILES} files: {memory_mib} MiB, {cores:.3} cores, {descriptors} descriptors");
    assert!(descriptors < 560, "{descriptors} descriptors");
    // A debug build measured 93, a release build 78; unbounded readers take 283.
    assert!(memory_mib < 140, "{memory_mib} MiB");
    stop(running);
}
