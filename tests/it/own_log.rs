//! tflog's own log is never in the way: a stderr that nobody reads holds nothing
//! up, and one that is read gets every line.

use std::io::{PipeReader, PipeWriter, Read, Write};
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use crate::harness::{Running, free_address, get, metric, tflog, wait_for};

/// A pipe that is full.
fn full() -> (PipeReader, PipeWriter) {
    let (reader, mut writer) = std::io::pipe().unwrap();
    rustix::io::ioctl_fionbio(&writer, true).unwrap();
    // To the last byte: a line is longer than that.
    while writer.write(&[b'\n'; 4096]).is_ok() {}
    while writer.write(b"\n").is_ok() {}
    rustix::io::ioctl_fionbio(&writer, false).unwrap();
    (reader, writer)
}

/// A pipe with its reader away delivers everything and ends, whatever it has to
/// say; so does one that cannot even start.
#[test]
fn a_stderr_that_nobody_reads_holds_nothing_up() {
    let (_reader, writer) = full();
    let input: Vec<_> = (0..50_000).map(|n| format!("line {n}\n")).collect();
    let input = input.concat();
    let mut command = tflog(&["--stats", "--output", "raw"]);
    command
        .env("TFLOG_LOG", "trace")
        .stderr(writer.try_clone().unwrap());
    command.stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut running = Running::start(&mut command);
    let mut stdin = running.child.stdin.take().unwrap();
    let mut stdout = running.child.stdout.take().unwrap();
    let fed = input.clone();
    let feeder = std::thread::spawn(move || stdin.write_all(fed.as_bytes()).unwrap());
    let reader = std::thread::spawn(move || {
        let mut output = String::new();
        stdout.read_to_string(&mut output).unwrap();
        output
    });
    wait_for("all of it", || reader.is_finished().then_some(()));
    let output = reader.join().unwrap();
    feeder.join().unwrap();
    assert!(output == input, "{} of {} bytes", output.len(), input.len());
    let mut ended = || running.child.try_wait().unwrap();
    assert!(wait_for("the end", &mut ended).success());

    let mut command = tflog(&["--from", "nonsense://"]);
    command.stdin(Stdio::null()).stderr(writer);
    let mut running = Running::start(&mut command);
    let mut ended = || running.child.try_wait().unwrap();
    assert_eq!(wait_for("the end", &mut ended).code(), Some(2));
}

/// A service whose stderr is not read goes on; lines that were dropped are counted,
/// told once it is read again, and what comes then is complete.
#[test]
fn lines_that_nobody_reads_are_counted_and_told() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let good = format!(
        "sources: {{ in: http }}\nsinks: {{ out: 'file://{}' }}\n",
        at("out").display()
    );
    std::fs::write(at("tflog.yaml"), &good).unwrap();
    let http = free_address();
    let config = at("tflog.yaml");
    let (mut reader, writer) = full();
    let mut command = tflog(&["-c", config.to_str().unwrap(), "--http", &http.to_string()]);
    command.stdin(Stdio::null()).stderr(writer);
    let mut running = Running::start(&mut command);
    let page = || get(http, "/metrics").1;
    assert_eq!(metric(&page(), "tflog_log_dropped_lines_total"), 0);

    // A config that takes a lot of words to refuse, and no time: half of what waits
    // for a reader at most.
    let wrong = format!("{}://", "x".repeat(100_000));
    std::fs::write(&config, good.replacen("http", &wrong, 1)).unwrap();
    let refused = || metric(&page(), "tflog_config_reloads_total{result=\"failure\"}");
    let mut reloads = 0;
    wait_for("lines to be dropped", || {
        running.signal("HUP");
        reloads += 1;
        wait_for("a reload", || (refused() >= reloads).then_some(()));
        let dropped = metric(&page(), "tflog_log_dropped_lines_total");
        (dropped > 0).then_some(())
    });
    std::fs::write(&config, &good).unwrap();

    let text = Arc::new(Mutex::new(Vec::new()));
    let read = text.clone();
    let listener = std::thread::spawn(move || {
        let mut some = [0; 4096];
        while let Ok(bytes @ 1..) = reader.read(&mut some) {
            read.lock().unwrap().extend_from_slice(&some[..bytes]);
        }
    });
    let has = |what: &str| {
        let text = text.lock().unwrap();
        String::from_utf8_lossy(&text).contains(what).then_some(())
    };
    wait_for("what was dropped", || has("lines of this log were dropped"));
    running.signal("TERM");
    let mut ended = || running.child.try_wait().unwrap();
    assert!(wait_for("the end", &mut ended).success());
    drop(command);
    listener.join().unwrap();
    // The exit report, of a log that is read again.
    has("\"ledger\"").expect("the last line");
}
