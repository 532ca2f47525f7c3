//! Faults at single system calls, by strace: a kill at the very call, and an
//! error of it.

use std::process::{Command, Stdio};
use std::time::Duration;

use crate::harness::{Running, connect, wait_for};
use crate::kills::Setup;
use crate::oracle::Received;
use crate::producers::{Producers, Sent};
use crate::skip::skip;

/// Starts tflog, traced by a strace of no process of ours (`-D`), with this
/// injection, once it listens; `None` if it
/// cannot be.
fn start(setup: &Setup, inject: &str) -> Option<Running> {
    if Command::new("strace").arg("-V").output().is_err() {
        skip("strace is not installed");
        return None;
    }
    let mut command = Command::new("strace");
    command
        .args(["-D", "-f", "-qq", "-o", "/dev/null", "-e"])
        .arg(format!("inject={inject}"))
        .arg(env!("CARGO_BIN_EXE_tflog"))
        .arg("-c")
        .arg(&setup.config)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    let running = Running::start(&mut command);
    drop(connect(setup.address));
    Some(running)
}

/// Sends events to a tflog with the injection until it dies of it, or for a
/// while; then to one without.
fn survive(setup: &Setup, inject: &str, dies: bool) -> Option<Sent> {
    let mut injected = start(setup, inject)?;
    let producers = Producers::start(setup.address, "client", 2);
    if dies {
        wait_for("the call that kills it", || {
            injected.child.try_wait().unwrap()
        });
    } else {
        std::thread::park_timeout(Duration::from_millis(500));
        injected.signal("TERM");
        injected.child.wait().unwrap();
    }
    drop(injected);
    let running = setup.start();
    std::thread::park_timeout(Duration::from_millis(100));
    let sent = producers.finish();
    running.signal("TERM");
    assert_eq!(running.finish().0.code(), Some(0));
    Some(sent)
}

/// A kill at the n-th write, sync or opening of a file loses nothing that was
/// acknowledged.
#[test]
fn a_kill_at_a_call_loses_nothing() {
    for inject in [
        "fdatasync:signal=KILL:when=1",
        "fdatasync:signal=KILL:when=7",
        "fdatasync:signal=KILL:when=30",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out.jsonl");
        let setup = Setup::new(
            dir.path(),
            &format!("{{ out: 'file://{}' }}", out.display()),
        );
        let Some(sent) = survive(&setup, inject, true) else {
            return;
        };
        let text = std::fs::read_to_string(&out).unwrap();
        assert_eq!(sent.judge(inject, &Received::of_lines(&text)), 0);
    }
}

/// A sync that fails is no acknowledgement, and not tried again on the same data
/// as if nothing had been: the events come again by another way.
#[test]
fn a_failed_sync_acknowledges_nothing() {
    for inject in [
        "fdatasync:error=EIO:when=3",
        "fdatasync:error=EIO:when=2+5",
        "fdatasync:error=ENOSPC:when=4+9",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out.jsonl");
        let setup = Setup::new(
            dir.path(),
            &format!("{{ out: 'file://{}' }}", out.display()),
        );
        let Some(sent) = survive(&setup, inject, false) else {
            return;
        };
        assert!(!sent.acknowledged.is_empty(), "{inject}");
        let text = std::fs::read_to_string(&out).unwrap();
        sent.judge(inject, &Received::of_lines(&text));
    }
}

/// A kill at any call by which a buffer on disk is kept loses nothing that was
/// acknowledged: what was not delivered is in the buffer, and the next process
/// delivers it.
#[test]
fn a_kill_at_a_call_of_a_disk_buffer_loses_nothing() {
    for inject in [
        "fdatasync,fsync:signal=KILL:when=2",
        "fdatasync,fsync:signal=KILL:when=9",
        "pwrite64:signal=KILL:when=3",
        // By the thread that keeps the buffer: the second segment is made, its
        // name is synced; the first two are removed.
        "openat2:signal=KILL:when=10",
        "openat2:signal=KILL:when=11",
        "unlinkat:signal=KILL:when=1",
        "unlinkat:signal=KILL:when=2",
        "fdatasync,fsync:error=EIO:when=3",
        "fdatasync,fsync:error=EIO:when=4+5",
    ] {
        let dir = tempfile::tempdir().unwrap();
        let out = dir.path().join("out.jsonl");
        let sinks = format!(
            "{{ out: {{ url: 'file://{}', buffer: {{ disk: 8MiB }} }} }}",
            out.display()
        );
        let setup = Setup::new(dir.path(), &sinks);
        let Some(sent) = survive(&setup, inject, inject.contains("KILL")) else {
            return;
        };
        let text = std::fs::read_to_string(&out).unwrap();
        let twice = sent.judge(inject, &Received::of_lines(&text));
        println!(
            "{inject}: {} acknowledged, {twice} twice",
            sent.acknowledged.len()
        );
    }
}
