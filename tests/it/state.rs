//! The state directory: one tflog at a time, and nobody else's to read.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Stdio;

use crate::harness::{Running, free_address, run, tflog, wait_for};

/// A config of which something keeps state: the dead letters of a service.
fn config(dir: &Path) -> String {
    let path = dir.join("tflog.yaml");
    let text = format!(
        "http: none:0\nsources: {{ net: 'tcp://{}' }}\nsinks: {{ gone: 'http://{}/' }}\n",
        free_address(),
        free_address()
    );
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A second tflog on the same directory is refused and says why; verbs that
/// only look do not mind the first one.
#[test]
fn one_tflog_runs_on_a_state_directory() {
    let dir = tempfile::tempdir().unwrap();
    let (config, state) = (config(dir.path()), dir.path().join("state"));
    let mut first = tflog(&["-c", &config]);
    first.env("TFLOG_STATE", &state).stderr(Stdio::piped());
    let first = Running::start(&mut first);
    wait_for("the version", || {
        (std::fs::read(state.join("version")).ok()? == b"1\n").then_some(())
    });
    let again = |arguments: &[&str]| {
        let mut command = tflog(arguments);
        let output = command.env("STATE_DIRECTORY", &state).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
        (output.status.code(), stderr)
    };
    let (code, stderr) = again(&["-c", &config]);
    assert_eq!(code, Some(1), "{stderr}");
    assert!(
        stderr.contains("another tflog is running on it"),
        "{stderr}"
    );
    for arguments in [
        &["check", "-c", &config][..],
        &["explain", "-c", &config, "x"],
    ] {
        let (code, stderr) = again(arguments);
        assert_eq!(code, Some(0), "{arguments:?}: {stderr}");
    }
    let mode = std::fs::metadata(&state).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
    first.signal("TERM");
    assert_eq!(first.finish().0.code(), Some(0));
}

/// A plan that keeps no state leaves the directory alone.
#[test]
fn a_pipe_does_not_touch_the_state_directory() {
    let dir = tempfile::tempdir().unwrap();
    let state = dir.path().join("state");
    let config = dir.path().join("tflog.yaml");
    std::fs::write(&config, format!("state: {}\n", state.display())).unwrap();
    let output = run(&["-c", config.to_str().unwrap(), "-o", "raw"], b"x\n");
    assert_eq!(output.stdout, b"x\n");
    assert!(!state.exists());
}
