//! The blocking reader against pipes and files.

use std::io::{PipeReader, PipeWriter, Write};
use std::os::fd::AsFd;
use std::time::Duration;

use super::*;
use crate::frame::{Framing, Limits, Oversize};
use crate::seam::World;
use crate::source::record::Recorder;
use crate::source::{Notice, Stopper};

struct Run {
    recorder: Arc<Recorder>,
    stopper: Stopper,
    done: crate::seam::Stage<Result<(), SourceError>>,
}

fn start(reader: PipeReader, recorder: Arc<Recorder>, limits: Limits) -> Run {
    start_with(reader, recorder, Framer::new(Framing::Newline, limits))
}

fn start_with(reader: PipeReader, recorder: Arc<Recorder>, framer: Framer) -> Run {
    let world = World::real(tokio::runtime::Handle::current());
    let outlet = recorder.outlet(world.clone());
    let (stopper, stop) = Stop::new().expect("pipe");
    let run = async move {
        let stream = outlet.stream(Vec::new());
        let input = Input {
            fd: reader.as_fd(),
            label: "test",
            held_open: None,
            leftover: 0,
        };
        pump(input, framer, &outlet, &stream, &stop).await
    };
    Run {
        recorder,
        stopper,
        done: world.spawn.stage("pump", run).expect("thread"),
    }
}

fn pipe() -> (PipeReader, PipeWriter) {
    std::io::pipe().expect("pipe")
}

#[tokio::test]
async fn lines_arrive_while_the_writer_lives_and_in_order() {
    let (reader, mut writer) = pipe();
    let run = start(reader, Recorder::new(), Limits::default());
    writer.write_all(b"one\ntw").expect("write");
    run.recorder.wait_lines(1).await;
    assert_eq!(run.recorder.text(), "one\n");
    writer.write_all(b"o\nthree").expect("write");
    run.recorder.wait_lines(2).await;
    drop(writer);
    run.done.await.expect("no panic").expect("end of input");
    assert_eq!(run.recorder.text(), "one\ntwo\nthree");
    let positions = run
        .recorder
        .with(|b| b.iter().map(|b| b.position).collect::<Vec<_>>());
    assert_eq!(positions, [0, 4, 8]);
}

#[tokio::test]
async fn a_busy_pipeline_gets_full_chunks_and_every_byte() {
    let (reader, mut writer) = pipe();
    let recorder = Recorder::new();
    recorder.set_idle(false);
    let lines = "a line\n".repeat(100_000);
    let sent = lines.clone();
    let writing = std::thread::spawn(move || writer.write_all(sent.as_bytes()));
    let run = start(reader, recorder, Limits::default());
    run.done.await.expect("no panic").expect("end of input");
    writing.join().expect("no panic").expect("all written");
    assert_eq!(run.recorder.lines(), 100_000);
    assert!(run.recorder.text() == lines);
    let largest = run.recorder.with(|b| b.iter().map(|b| b.text.len()).max());
    assert!(largest <= Some(PARSED_BYTES));
}

#[tokio::test]
async fn held_lines_are_sent_when_nothing_more_is_there() {
    let (reader, mut writer) = pipe();
    let recorder = Recorder::new();
    recorder.set_idle(false);
    let run = start(reader, recorder, Limits::default());
    writer.write_all(b"alone\n").expect("write");
    run.recorder.wait_lines(1).await;
    drop(writer);
    run.done.await.expect("no panic").expect("end of input");
}

#[tokio::test]
async fn after_a_stop_it_reads_to_the_end_of_input() {
    let (reader, mut writer) = pipe();
    let run = start(reader, Recorder::new(), Limits::default());
    writer.write_all(b"before\n").expect("write");
    run.recorder.wait_lines(1).await;
    run.stopper.stop(Instant::now() + Duration::from_hours(1));
    writer.write_all(b"after\n").expect("write");
    run.recorder.wait_lines(2).await;
    drop(writer);
    run.done.await.expect("no panic").expect("end of input");
    assert_eq!(run.recorder.text(), "before\nafter\n");
}

#[tokio::test]
async fn the_deadline_ends_it_with_what_it_has() {
    let (reader, mut writer) = pipe();
    let run = start(reader, Recorder::new(), Limits::default());
    writer.write_all(b"whole\nhalf").expect("write");
    run.recorder.wait_lines(1).await;
    run.stopper.stop(Instant::now());
    run.done.await.expect("no panic").expect("stopped");
    assert_eq!(run.recorder.text(), "whole\nhalf");
    drop(writer);
}

#[tokio::test]
async fn a_pipeline_that_is_gone_ends_it() {
    let (reader, mut writer) = pipe();
    let recorder = Recorder::new();
    recorder.close();
    let run = start(reader, recorder, Limits::default());
    writer.write_all(b"line\n").expect("write");
    let ended = run.done.await.expect("no panic");
    assert!(matches!(ended, Err(SourceError::Closed)));
}

#[tokio::test]
async fn an_endless_line_is_cut_and_holds_bounded_memory() {
    let (reader, mut writer) = pipe();
    let limits = Limits {
        line_max: 64 * 1024,
        oversize: Oversize::Truncate,
    };
    let run = start(reader, Recorder::new(), limits);
    let writing = std::thread::spawn(move || {
        for _ in 0..16 * 1024 {
            writer.write_all(&[b'x'; 4096])?;
        }
        writer.write_all(b"\nnext\n")
    });
    run.done.await.expect("no panic").expect("end of input");
    writing.join().expect("no panic").expect("all written");
    assert_eq!(run.recorder.noticed(Notice::LineTruncated), 1);
    run.recorder.with(|batches| {
        assert_eq!(batches[0].text.len(), limits.line_max + 1);
        assert_eq!(batches[0].truncated, [0]);
        assert!(
            batches
                .iter()
                .all(|b| b.pinned_bytes < 2 * limits.line_max + 2 * PARSED_BYTES)
        );
        let last = batches.last().expect("a batch");
        assert!(last.text.ends_with(b"next\n"));
    });
}

/// A pump by hand, to look at its chunk.
fn by_hand<'a>(
    reader: &'a PipeReader,
    outlet: &'a Outlet,
    stream: &'a Arc<Stream>,
    stop: &'a Stop,
) -> Pump<'a> {
    Pump {
        input: Input {
            fd: reader.as_fd(),
            label: "test",
            held_open: None,
            leftover: 0,
        },
        regular: false,
        framer: Framer::new(Framing::Newline, Limits::default()),
        outlet,
        stream,
        stop,
        chunk: Box::default(),
        position: 0,
        hold: Hold::default(),
    }
}

#[tokio::test]
async fn an_idle_pump_holds_no_more_than_the_beginning_of_a_line() {
    let (reader, _writer) = pipe();
    let (_stopper, stop) = Stop::new().expect("pipe");
    let outlet = Recorder::new().outlet(World::real(tokio::runtime::Handle::current()));
    let stream = outlet.stream(Vec::new());
    let mut pump = by_hand(&reader, &outlet, &stream, &stop);
    pump.make_room();
    assert!(pump.chunk.text.capacity() >= PARSED_BYTES);
    pump.chunk.text.extend_from_slice(b"beginning");
    pump.let_go();
    assert_eq!(pump.chunk.text.capacity(), 9);
    pump.make_room();
    assert_eq!(pump.chunk.text, b"beginning");
    assert!(pump.chunk.text.capacity() >= PARSED_BYTES);
}

#[tokio::test]
async fn chunks_grow_for_long_lines_only_to_the_limit() {
    let (reader, _writer) = pipe();
    let (_stopper, stop) = Stop::new().expect("pipe");
    let outlet = Recorder::new().outlet(World::real(tokio::runtime::Handle::current()));
    let stream = outlet.stream(Vec::new());
    let mut pump = by_hand(&reader, &outlet, &stream, &stop);
    let mut read = 0;
    while read < 64 << 20 {
        pump.make_room();
        let spare = pump.chunk.text.capacity() - pump.chunk.text.len();
        assert!(spare >= READ_BYTES_MIN);
        pump.chunk.text.resize(pump.chunk.text.capacity(), b'x');
        pump.framer.frame(&mut pump.chunk).expect("newline framing");
        pump.send().await.expect("room");
        read += spare;
        let capacity = pump.chunk.text.capacity();
        assert!(
            capacity <= Limits::LINE_MAX + 2 * READ_BYTES_MIN + 1,
            "{capacity}"
        );
    }
}

/// A framer that joins lines, and holds them for so long.
fn joining(timeout: &str) -> Framer {
    let options = serde_json::json!({ "multiline": { "timeout": timeout } });
    let definition = crate::source::record::definition("stdin", "", serde_json::json!({}));
    let options: crate::frame::Options = serde_json::from_value(options).expect("valid");
    options.framer(&definition).expect("valid")
}

#[tokio::test]
async fn an_event_that_may_go_on_is_held_for_a_while_only() {
    let (reader, mut writer) = pipe();
    let run = start_with(reader, Recorder::new(), joining("1ms"));
    writer.write_all(b"ERROR one\n\tat x\n\tat").expect("write");
    run.recorder.wait_lines(1).await;
    assert_eq!(run.recorder.events(), ["ERROR one\n\tat x\n"]);
    writer.write_all(b" y\nlast\n").expect("write");
    run.recorder.wait_lines(3).await;
    assert_eq!(run.recorder.events()[1..], ["\tat y\n", "last\n"]);
    drop(writer);
    run.done.await.expect("no panic").expect("end of input");
}

#[tokio::test]
async fn events_before_the_one_that_may_go_on_are_not_held() {
    let (reader, mut writer) = pipe();
    let run = start_with(reader, Recorder::new(), joining("1m"));
    writer.write_all(b"one\ntwo\n\tat x\n").expect("write");
    run.recorder.wait_lines(1).await;
    writer.write_all(b"\tat y\nlast\n").expect("write");
    run.recorder.wait_lines(2).await;
    drop(writer);
    run.done.await.expect("no panic").expect("end of input");
    let expected = ["one\n", "two\n\tat x\n\tat y\n", "last\n"];
    assert_eq!(run.recorder.events(), expected);
}

/// However long the pipeline makes the reader wait: what is there by then
/// belongs together.
#[tokio::test]
async fn backpressure_does_not_end_an_event() {
    let (reader, mut writer) = pipe();
    let run = start_with(reader, Recorder::holding(), joining("1ms"));
    writer.write_all(b"one\ntwo\n").expect("write");
    while rustix::io::ioctl_fionread(&writer).expect("pipe") > 0 {
        tokio::task::yield_now().await;
    }
    writer.write_all(b"\tat x\n").expect("write");
    run.recorder.let_through(10);
    drop(writer);
    run.done.await.expect("no panic").expect("end of input");
    assert_eq!(run.recorder.events(), ["one\n", "two\n\tat x\n"]);
}
