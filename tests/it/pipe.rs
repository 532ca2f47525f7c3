//! A local pipe: any format in, JSON lines or the same bytes out.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use proptest::prelude::*;
use serde_json::{Value, json};
use tflog::event::Pool;

use crate::harness::{Running, connect, free_address, lines, pipe, run, tflog, wait_for};

/// Three formats in one stream: JSON leaves byte for byte, the others as
/// objects with the format's fields, typed.
#[test]
fn any_format_becomes_json_lines() {
    let json_line = r#"{"level":"error","msg":"boom","http":{"status":503}}"#;
    let access = r#"10.0.0.1 - - [23/Nov/2026:13:32:42 +0000] "GET / HTTP/1.1" 200 5 "-" "curl/8""#;
    let input = format!("{json_line}\nplain words\n{access}\n");
    let output = String::from_utf8(pipe(&["--output", "json"], input.as_bytes())).unwrap();
    let lines: Vec<_> = output.lines().collect();
    assert_eq!(lines.len(), 3, "{output}");
    assert_eq!(lines[0], json_line);
    assert_eq!(
        serde_json::from_str::<Value>(lines[1]).unwrap(),
        json!({"message": "plain words"})
    );
    let third: Value = serde_json::from_str(lines[2]).unwrap();
    assert_eq!(third["client"], "10.0.0.1");
    assert_eq!(third["timestamp"], "2026-11-23T13:32:42Z");
    assert_eq!(third["user_agent"], "curl/8");
    assert_eq!(third["http"]["method"], "GET");
    assert_eq!(third["http"]["path"], "/");
    assert_eq!(third["http"]["status"], json!(200));
    assert_eq!(third["http"]["bytes"], json!(5));
    assert_eq!(third.get("referrer"), None, "`-` is absent");
}

/// Raw output is the input, byte for byte.
#[test]
fn raw_is_byte_exact() {
    for input in [
        &b""[..],
        b"\n",
        b"a",
        b"a\r\nb\r\n\r\n",
        b"\0\0\n\0",
        b"\xff\xfe\n\xc3\x28",
        b"no last newline",
        b"\n\n\n",
    ] {
        assert_eq!(pipe(&["-o", "raw"], input), input);
    }
}

/// Lines that straddle chunks, in every size up to 100 kB.
#[test]
fn raw_is_byte_exact_across_chunks() {
    let mut state = 1u64;
    let mut random = move || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    for len in [
        0, 1, 4095, 4096, 65_535, 65_536, 65_537, 100_000, 262_143, 262_145, 700_001,
    ] {
        // Newlines are rare in one half and common in the other.
        let input: Vec<u8> = (0..len)
            .map(|i| {
                if i % 2 == 0 && random() < 8 {
                    b'\n'
                } else {
                    random()
                }
            })
            .collect();
        assert!(pipe(&["-o", "raw"], &input) == input, "{len} bytes");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    #[test]
    fn raw_is_byte_exact_on_random_bytes(input in prop::collection::vec(any::<u8>(), 0..100_000)) {
        prop_assert!(pipe(&["-o", "raw"], &input) == input);
    }

    /// What leaves as JSON is valid JSON, one object a line, whatever came in.
    #[test]
    fn json_output_is_always_json(
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..200), 0..50),
    ) {
        let input = lines.join(&b'\n');
        let output = pipe(&["-o", "json"], &input);
        let events = input.split(|b| *b == b'\n').count() - usize::from(input.is_empty() || input.ends_with(b"\n"));
        let objects: Vec<Value> = output
            .split_inclusive(|b| *b == b'\n')
            .map(|line| serde_json::from_slice(line).expect("valid JSON"))
            .collect();
        prop_assert_eq!(objects.len(), events);
        prop_assert!(objects.iter().all(Value::is_object));
    }
}

/// The longest line unless configured.
const LINE_BYTES_MAX: usize = 1 << 20;

/// Sends a short line, 1 GiB without a newline, and a short line. Returns what
/// comes out, and by how much memory grew over what it was after the first.
fn send_a_huge_line(
    running: &mut Running,
    mut to: impl Write,
    end: impl FnOnce(&Running),
) -> (Vec<Vec<u8>>, u64) {
    let mut stdout = BufReader::new(running.child.stdout.take().unwrap());
    to.write_all(b"first\n").unwrap();
    let mut first = Vec::new();
    stdout.read_until(b'\n', &mut first).unwrap();
    let base = running.memory_bytes();
    let reader = std::thread::spawn(move || {
        let mut output = first;
        stdout.read_to_end(&mut output).unwrap();
        output
    });
    let piece = vec![b'x'; 1 << 20];
    let mut most = 0;
    for _ in 0..1024 {
        to.write_all(&piece).unwrap();
        most = most.max(running.memory_bytes());
    }
    to.write_all(b"\nlast\n").unwrap();
    drop(to);
    end(running);
    let output = reader.join().unwrap();
    let lines = output.split_inclusive(|b| *b == b'\n').map(<[u8]>::to_vec);
    (lines.collect(), most.saturating_sub(base))
}

/// As [`send_a_huge_line`], by way of stdin and of TCP.
fn assert_a_huge_line_is_cut(format: &str, growth_max: u64, check: impl Fn(&[Vec<u8>])) {
    let mut command = tflog(&["-o", format]);
    let mut running = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let stdin = running.child.stdin.take().unwrap();
    let (lines, growth) = send_a_huge_line(&mut running, stdin, |_| {});
    check(&lines);
    assert!(growth <= growth_max, "stdin: grew by {growth}");
    assert!(running.finish().0.success());

    let address = free_address();
    let from = format!("tcp://{address}");
    let mut command = tflog(&["--from", &from, "-o", format, "--http", "none"]);
    let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let connection = connect(address);
    let (lines, growth) = send_a_huge_line(&mut running, connection, |r| r.signal("TERM"));
    check(&lines);
    assert!(growth <= growth_max, "tcp: grew by {growth}");
    assert_eq!(running.finish().0.code(), Some(0));
}

/// A line over the limit is cut, and costs less than twice the limit.
#[test]
fn a_huge_line_is_cut_in_bounded_memory() {
    assert_a_huge_line_is_cut("raw", 2 * LINE_BYTES_MAX as u64, |lines| {
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], b"first\n");
        let (terminator, cut) = lines[1].split_last().unwrap();
        assert_eq!((*terminator, cut.len()), (b'\n', LINE_BYTES_MAX));
        assert!(cut.iter().all(|b| *b == b'x'));
        assert_eq!(lines[2], b"last\n");
    });
}

/// As JSON it is flagged too. The line and the JSON of it are twice the limit
/// already; then there are the chunk that the rest is read into, one read, and
/// code that ran for the first time, as did some threads, each with a stack and a
/// heap of its own.
#[test]
fn a_huge_line_is_flagged_in_bounded_memory() {
    let growth_max = 2 * LINE_BYTES_MAX + 5 * Pool::CHUNK_BYTES;
    assert_a_huge_line_is_cut("json", growth_max as u64, |lines| {
        let lines: Vec<Value> = lines
            .iter()
            .map(|l| serde_json::from_slice(l).unwrap())
            .collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(lines[0], json!({"message": "first"}));
        assert_eq!(lines[1]["truncated"], json!(true));
        assert_eq!(lines[1]["message"].as_str().unwrap().len(), LINE_BYTES_MAX);
        assert_eq!(lines[2], json!({"message": "last"}));
    });
}

/// The reader of stdout went away: quiet, and no failure.
#[test]
fn a_closed_reader_ends_it_quietly() {
    let mut command = tflog(&["-o", "raw"]);
    let mut running = Running::start(
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped()),
    );
    drop(running.child.stdout.take());
    let mut stdin = running.child.stdin.take().unwrap();
    wait_for("a broken pipe", || stdin.write_all(&[b'\n'; 4096]).err());
    let (status, stderr) = running.finish();
    assert_eq!((status.code(), stderr.as_str()), (Some(0), ""));
}

/// What arrives on an idle pipe leaves at once, without waiting for more.
#[test]
fn an_idle_pipe_holds_nothing_back() {
    let mut command = tflog(&["-o", "raw"]);
    let mut running = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut stdin = running.child.stdin.take().unwrap();
    let mut stdout = running.child.stdout.take().unwrap();
    for line in [&b"one\n"[..], b"two\n"] {
        stdin.write_all(line).unwrap();
        let mut seen = [0; 4];
        stdout.read_exact(&mut seen).unwrap();
        assert_eq!(seen, line);
    }
}

/// FILTER, `-l` and files on the command line.
#[test]
fn filters_and_files() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("app.log");
    std::fs::write(&file, "{\"level\":\"info\"}\n{\"level\":\"error\"}\n").unwrap();
    let file = file.to_str().unwrap();
    assert_eq!(
        pipe(&["level >= warn", file], b""),
        b"{\"level\":\"error\"}\n"
    );
    assert_eq!(pipe(&["-l", "warn", file], b""), b"{\"level\":\"error\"}\n");
    assert_eq!(
        pipe(&["'info'", file, "-"], b"info too\n-\n").len(),
        17 + 23
    );
    let missing = run(&["no-such-file.log"], b"");
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("no-such-file.log"));
}

/// Stdin cannot be opened a second time: it goes on as before, and that is said.
#[test]
fn stdin_goes_on_as_before() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("tflog.yaml");
    let config = |line_max: &str, out: &str| {
        let at = directory.path().display();
        format!(
            "sources:\n  in: {{ url: stdin, line_max: {line_max} }}\nsinks:\n  out: {{ url: 'file://{at}/{out}', encode: raw }}\n"
        )
    };
    std::fs::write(&path, config("1KiB", "one")).unwrap();
    let mut command = tflog(&["-c", path.to_str().unwrap()]);
    let command = command.stdin(Stdio::piped()).stderr(Stdio::piped());
    let mut running = Running::start(command.env("TFLOG_LOG", "info"));
    let mut stdin = running.child.stdin.take().unwrap();
    let [one, two] = ["one", "two"].map(|name| directory.path().join(name));
    stdin.write_all(b"first\n").unwrap();
    wait_for("the first", || (lines(&one).len() == 1).then_some(()));
    std::fs::write(&path, config("2KiB", "two")).unwrap();
    running.signal("HUP");
    let mut sent = 0;
    wait_for("the second sink", || {
        stdin.write_all(b"more\n").unwrap();
        sent += 1;
        (!lines(&two).is_empty()).then_some(())
    });
    drop(stdin);
    let (status, stderr) = running.finish();
    assert_eq!(status.code(), Some(0), "{stderr}");
    assert!(
        stderr.contains("cannot be opened a second time"),
        "{stderr}"
    );
    assert_eq!(lines(&one).len() + lines(&two).len(), 1 + sent);
}
