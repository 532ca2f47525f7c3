//! `tflog exec -- CMD`: its streams are routed, its end is ours.

use std::process::Stdio;

use crate::harness::{Running, run, tflog, wait_for};

/// The child's exit code is kept: its own, 126, 127, 128+signal.
#[test]
fn the_exit_code_is_the_childs() {
    for (command, code) in [
        (&["sh", "-c", "exit 7"][..], 7),
        (&["true"], 0),
        (&["/no/such/program"], 127),
        (&["/etc"], 126),
        (&["sh", "-c", "kill -KILL $$"], 128 + 9),
    ] {
        let arguments = [&["exec", "--"][..], command].concat();
        assert_eq!(
            run(&arguments, b"").status.code(),
            Some(code),
            "{command:?}"
        );
    }
}

/// stdout and stderr are streams of their own, with metadata that content
/// cannot overwrite.
#[test]
fn both_streams_are_routed() {
    let dir = tempfile::tempdir().unwrap();
    let config = dir.path().join("tflog.yaml");
    let text = "
routes:
  - { name: err, when: 'stream == stderr', to: err }
  - { name: out, to: out }
sinks: { out: file://DIR/out.jsonl, err: file://DIR/err.jsonl }
";
    std::fs::write(&config, text.replace("DIR", dir.path().to_str().unwrap())).unwrap();
    let script = r#"echo '{"stream":"stderr","n":1}'; echo '{"n":2}' >&2"#;
    let output = run(
        &[
            "exec",
            "-c",
            config.to_str().unwrap(),
            "--",
            "sh",
            "-c",
            script,
        ],
        b"",
    );
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let read = |name: &str| std::fs::read_to_string(dir.path().join(name)).unwrap();
    assert_eq!(read("out.jsonl"), "{\"stream\":\"stderr\",\"n\":1}\n");
    assert_eq!(read("err.jsonl"), "{\"n\":2}\n");
}

/// Signals reach the child, and what it says on its way out is still routed.
#[test]
fn signals_are_passed_on() {
    let script = "trap 'echo bye; exit 5' TERM; echo up; while :; do :; done";
    let mut command = tflog(&["exec", "-o", "raw", "--", "sh", "-c", script]);
    let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::piped()));
    let mut stdout = running.child.stdout.take().unwrap();
    let mut up = [0; 3];
    std::io::Read::read_exact(&mut stdout, &mut up).unwrap();
    running.signal("TERM");
    let mut rest = String::new();
    std::io::Read::read_to_string(&mut stdout, &mut rest).unwrap();
    assert_eq!(rest, "bye\n");
    assert_eq!(running.finish().0.code(), Some(5));
}

/// A grandchild that keeps the pipe open does not keep tflog.
#[test]
fn a_forgotten_grandchild_does_not_hold_it() {
    let mut command = tflog(&[
        "exec",
        "-o",
        "raw",
        "--",
        "sh",
        "-c",
        "sleep 600 & echo done",
    ]);
    let mut running = Running::start(command.stdout(Stdio::piped()).stderr(Stdio::null()));
    let status = wait_for("the end", || running.child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}
