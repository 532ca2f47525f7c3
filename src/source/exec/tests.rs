//! Children: what they write, how they end, how they are ended.

use serde_json::json;

use super::*;
use crate::seam::{Stage, World};
use crate::source::Stopper;
use crate::source::record::{Recorder, definition};

struct Run {
    recorder: Arc<Recorder>,
    stopper: Stopper,
    child: Child,
    done: Stage<Result<(), SourceError>>,
}

fn start(exec: Exec) -> Run {
    let recorder = Recorder::new();
    let world = World::real(tokio::runtime::Handle::current());
    let (stopper, stop) = Stop::new().expect("pipe");
    let child = exec.child();
    let run = Box::new(exec).run(recorder.outlet(world.clone()), stop);
    Run {
        recorder,
        stopper,
        child,
        done: world.spawn.stage("exec", run).expect("thread"),
    }
}

fn shell(script: &str, restart: &str) -> Exec {
    let options = json!({ "command": ["sh", "-c", script], "restart": restart });
    Exec::build(&definition("exec", "", options)).expect("valid")
}

fn attached(command: &[&str]) -> Exec {
    let command = command.iter().map(OsString::from).collect();
    Exec::command(
        "app".into(),
        command,
        Framer::new(frame::Framing::Newline, frame::Limits::default()),
    )
}

async fn ended(run: Run) -> (Arc<Recorder>, Child, Result<(), SourceError>) {
    (run.recorder, run.child, run.done.await.expect("no panic"))
}

fn far() -> Instant {
    Instant::now() + Duration::from_hours(1)
}

#[tokio::test]
async fn both_outputs_are_read_as_streams_of_their_own() {
    let exec = definition(
        "exec",
        "sh -c 'echo out; echo err >&2; echo \"two words\"'",
        json!({}),
    );
    let (recorder, child, result) = ended(start(Exec::build(&exec).expect("valid"))).await;
    result.expect("ended well");
    assert_eq!(recorder.text_of("stream", "stdout"), "out\ntwo words\n");
    assert_eq!(recorder.text_of("stream", "stderr"), "err\n");
    assert_eq!(child.exit_code(), Some(0));
}

#[tokio::test]
async fn exit_codes_are_kept_as_shells_keep_them() {
    let directory = tempfile::tempdir().expect("directory");
    let plain = directory.path().join("plain");
    std::fs::write(&plain, "text").expect("write");
    let plain = plain.display().to_string();
    let cases: [(&[&str], u8, bool); 5] = [
        (&["true"], 0, true),
        (&["sh", "-c", "exit 7"], 7, true),
        (&["sh", "-c", "kill -9 $$"], 137, true),
        (&[&plain], 126, false),
        (&["/nonexistent/command"], 127, false),
    ];
    for (command, code, ran) in cases {
        let (_, child, result) = ended(start(attached(command))).await;
        assert_eq!(child.exit_code(), Some(code), "{command:?}");
        assert_eq!(result.is_ok(), ran, "{command:?}");
    }
}

#[tokio::test]
async fn a_configured_command_that_fails_is_an_error() {
    let (_, _, result) = ended(start(shell("exit 3", "never"))).await;
    let error = result.expect_err("it failed").to_string();
    assert_eq!(error, "test: sh: ended with exit status: 3");
}

#[tokio::test]
async fn signals_are_passed_on_to_the_whole_group() {
    // Its child takes the signal, so that the shell's wait is over.
    let run = start(attached(&[
        "sh",
        "-c",
        "trap 'echo caught; exit 5' USR1; echo up; sleep 1000 & wait",
    ]));
    run.recorder.wait_lines(1).await;
    assert!(run.child.signal(rustix::process::Signal::USR1));
    let (recorder, child, result) = ended(run).await;
    result.expect("its code is its user's affair");
    assert_eq!(recorder.text(), "up\ncaught\n");
    assert_eq!(child.exit_code(), Some(5));
    assert!(!child.signal(rustix::process::Signal::USR1));
}

#[tokio::test]
async fn stopping_asks_and_reads_the_last_words() {
    let run = start(shell(
        "trap 'echo bye; exit 0' TERM; echo up; sleep 1000 & wait",
        "always",
    ));
    run.recorder.wait_lines(1).await;
    run.stopper.stop(far());
    let (recorder, _, result) = ended(run).await;
    result.expect("stopped");
    assert_eq!(recorder.text(), "up\nbye\n");
}

#[tokio::test]
async fn the_deadline_kills_a_child_that_ignores_the_request() {
    let run = start(shell(
        "trap '' TERM; echo up; while :; do sleep 1000; done",
        "always",
    ));
    run.recorder.wait_lines(1).await;
    run.stopper.stop(Instant::now());
    let (_, child, result) = ended(run).await;
    result.expect("stopped");
    assert_eq!(child.exit_code(), Some(137));
}

#[tokio::test]
async fn a_failing_child_is_started_again_until_it_succeeds() {
    let directory = tempfile::tempdir().expect("directory");
    let mark = directory.path().join("mark");
    let script = format!(
        "echo run; test -e '{0}' || {{ touch '{0}'; exit 1; }}",
        mark.display()
    );
    let (recorder, _, result) = ended(start(shell(&script, "on_failure"))).await;
    result.expect("the second run succeeds");
    assert_eq!(recorder.text(), "run\nrun\n");
    assert_eq!(recorder.noticed(Notice::ChildRestarted), 1);
}

#[tokio::test]
async fn a_grandchild_that_keeps_the_pipes_does_not_hold_the_source() {
    let run = start(shell("sleep 1000 & echo $!", "never"));
    let (recorder, _, result) = ended(run).await;
    result.expect("ended well");
    let pid: i32 = recorder.text().trim().parse().expect("a pid");
    let pid = rustix::process::Pid::from_raw(pid).expect("a pid");
    // Still there: the pipes were open when reading ended.
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("still there");
}

#[tokio::test]
async fn all_that_a_dead_child_left_in_its_pipe_is_read() {
    let script = "i=0; while [ $i -lt 4000 ]; do echo 'a line of forty bytes, or thereabouts'; i=$((i+1)); done";
    let (recorder, _, result) = ended(start(shell(script, "never"))).await;
    result.expect("ended well");
    assert_eq!(recorder.lines(), 4000);
}

#[test]
fn commands_are_checked() {
    for (target, options) in [
        ("", json!({})),
        ("sh -c 'unclosed", json!({})),
        ("true", json!({ "command": ["true"] })),
        ("true", json!({ "restart": "sometimes" })),
        ("true", json!({ "shell": true })),
    ] {
        assert!(
            Exec::build(&definition("exec", target, options)).is_err(),
            "{target}"
        );
    }
}

#[test]
fn pauses_stay_in_bounds() {
    let random = Random::seeded(1);
    for _ in 0..1000 {
        let pause = jittered(PAUSE_MAX, &random);
        assert!(pause >= PAUSE_MAX / 2 && pause <= PAUSE_MAX);
    }
}
