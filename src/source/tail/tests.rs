//! Files on a real directory, batches recorded and settled as told.

mod copies;
mod successors;

use std::io::Write;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::*;
use crate::seam::{Disk, FaultyDisk, RealDisk, Stage, World};
use crate::source::record::{Recorder, definition};
use crate::source::{Notice, Stopper};

/// A tail that runs on files of a directory of its own.
struct Running {
    recorder: Arc<Recorder>,
    stopper: Stopper,
    stage: Stage<Result<(), SourceError>>,
}

struct Place {
    directory: tempfile::TempDir,
    disk: Arc<dyn Disk>,
}

impl Place {
    fn new() -> Place {
        Place {
            directory: tempfile::tempdir().expect("directory"),
            disk: Arc::new(FaultyDisk::default()),
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn append(&self, name: &str, text: &str) {
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.path(name));
        file.and_then(|mut file| file.write_all(text.as_bytes()))
            .expect("written");
    }

    fn tail(&self, pattern: &str, options: serde_json::Value) -> Tail {
        let pattern = self.path(pattern).display().to_string();
        let mut tail = Tail::build(&definition("file", &pattern, options)).expect("valid");
        if tail.keeps_state() {
            tail.keep(StateDirectory::new("/state", self.disk.clone()));
        }
        tail
    }

    async fn start(&self, pattern: &str, options: serde_json::Value) -> Running {
        self.start_into(self.tail(pattern, options), Recorder::new())
            .await
    }

    async fn start_into(&self, mut tail: Tail, recorder: Arc<Recorder>) -> Running {
        tail.open().await.expect("opened");
        let world = World::real(tokio::runtime::Handle::current());
        Running::begin(&world, tail, recorder)
    }
}

impl Running {
    /// Starts a tail that has been opened.
    fn begin(world: &World, tail: Tail, recorder: Arc<Recorder>) -> Running {
        let (stopper, stop) = Stop::new().expect("pipe");
        let run = Box::new(tail).run(recorder.outlet(world.clone()), stop);
        let stage = world.spawn.stage("tail", run).expect("thread");
        Running {
            recorder,
            stopper,
            stage,
        }
    }

    async fn stop(self) -> Arc<Recorder> {
        self.stopper.stop(Instant::now() + Duration::from_mins(1));
        self.stage.await.expect("no panic").expect("stopped");
        self.recorder
    }
}

fn none() -> serde_json::Value {
    serde_json::json!({})
}

#[tokio::test]
async fn a_stopped_tail_goes_on_where_it_was() {
    let place = Place::new();
    place.append("a.log", "one\ntwo\nthr");
    let first = place.start("*.log", none()).await;
    first.recorder.wait_lines(2).await;
    let first = first.stop().await;
    // The line that is still being written is the next run's.
    assert_eq!(first.text(), "one\ntwo\n");
    place.append("a.log", "ee\n");
    place.append("b.log", "new\n");
    let second = place.start("*.log", none()).await;
    second.recorder.wait_lines(2).await;
    let second = second.stop().await;
    let path = |name: &str| place.path(name).display().to_string();
    assert_eq!(second.text_of("path", &path("a.log")), "three\n");
    assert_eq!(second.text_of("path", &path("b.log")), "new\n");
    // Ids are hashes of these: the same whoever reads the line.
    let origin = |recorder: &Recorder| recorder.with(|b| b[0].stream.origin);
    second.with(|batches| {
        let again = batches.iter().find(|b| b.text.starts_with(b"three"));
        let again = again.expect("it was read");
        assert_eq!((again.stream.origin, again.position), (origin(&first), 8));
    });
}

#[tokio::test]
async fn what_was_given_up_is_read_again() {
    let place = Place::new();
    place.append("a.log", "one\n");
    let recorder = Recorder::new();
    recorder.set_failing(true);
    let running = place
        .start_into(place.tail("a.log", none()), recorder)
        .await;
    running.recorder.wait_lines(1).await;
    running.recorder.set_failing(false);
    place.append("a.log", "two\n");
    running.recorder.wait_lines(3).await;
    let recorder = running.stop().await;
    assert!(recorder.text().ends_with("one\ntwo\n"));
    let again = place.start("a.log", none()).await;
    place.append("a.log", "three\n");
    again.recorder.wait_lines(1).await;
    assert_eq!(again.stop().await.text(), "three\n");
}

#[tokio::test]
async fn a_batch_that_is_not_settled_when_tflog_ends_is_the_next_ones() {
    let place = Place::new();
    place.append("a.log", "one\n");
    let recorder = Recorder::new();
    recorder.set_failing(true);
    let running = place
        .start_into(place.tail("a.log", none()), recorder)
        .await;
    running.recorder.wait_lines(1).await;
    running.stop().await;
    let again = place.start("a.log", none()).await;
    again.recorder.wait_lines(1).await;
    assert_eq!(again.stop().await.text(), "one\n");
}

#[tokio::test]
async fn where_reading_begins_is_as_configured() {
    let place = Place::new();
    place.append("a.log", "before\n");
    let options = serde_json::json!({ "start": "end", "exclude": ["*.tmp.log"] });
    let tail = place.tail("*.log", options.clone());
    let numbers = tail.gauges().expect("it has some");
    let running = place.start_into(tail, Recorder::new()).await;
    // Files that are there at the first look are another matter.
    while numbers.read().iter().all(|gauge| gauge.value == 0) {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    place.append("b.tmp.log", "left out\n");
    place.append("c.log", "appeared\n");
    running.recorder.wait_lines(1).await;
    place.append("a.log", "behind\n");
    running.recorder.wait_lines(2).await;
    assert_eq!(running.stop().await.text(), "appeared\nbehind\n");
    // What appears while tflog is down is not passed over.
    place.append("d.log", "meanwhile\n");
    let running = place.start("*.log", options).await;
    running.recorder.wait_lines(1).await;
    assert_eq!(running.stop().await.text(), "meanwhile\n");
}

#[tokio::test]
async fn once_reads_what_is_there_and_ends() {
    let place = Place::new();
    place.append("b.log", "three\nfour");
    place.append("a.log", "one\ntwo\n");
    let file = std::fs::File::create(place.path("c.log.gz")).expect("created");
    let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
    gzip.write_all(b"five\n").expect("written");
    gzip.finish().expect("written");
    place.append("d.log", "old\n");
    let old = std::fs::File::open(place.path("d.log")).expect("there");
    old.set_modified(std::time::SystemTime::UNIX_EPOCH)
        .expect("set");
    let options = serde_json::json!({ "once": true, "ignore_older": "1d" });
    let tail = place.tail("*", options);
    assert!(!tail.is_service() && !tail.keeps_state());
    let running = place.start_into(tail, Recorder::new()).await;
    running.stage.await.expect("no panic").expect("read");
    assert_eq!(running.recorder.text(), "one\ntwo\nthree\nfourfive\n");
}

#[tokio::test]
async fn rows_have_the_positions_that_their_lines_had() {
    let place = Place::new();
    let cri = |flag: &str, text: &str| format!("2026-11-23T13:32:42.1Z stdout {flag} {text}\n");
    let lines = [
        cri("F", "one"),
        cri("P", "tw"),
        cri("F", "o"),
        cri("F", "3"),
    ];
    place.append("a.log", &lines.concat());
    let options = serde_json::json!({ "multiline": "partials", "once": true });
    let running = place
        .start_into(place.tail("a.log", options), Recorder::new())
        .await;
    running.stage.await.expect("no panic").expect("read");
    let start = |n: usize| lines[..n].concat().len() as u64;
    let positions = running.recorder.with(|b| b[0].positions.clone());
    assert_eq!(positions, [0, 1, 3].map(start));
}

#[tokio::test]
async fn long_lines_are_cut_and_read_on_behind() {
    let place = Place::new();
    let options = serde_json::json!({ "line_max": "10B" });
    let running = place.start("a.log", options.clone()).await;
    place.append("a.log", "short\n0123456789abcdef");
    running.recorder.wait_lines(2).await;
    place.append("a.log", "gh\nnext\n");
    running.recorder.wait_lines(3).await;
    let recorder = running.stop().await;
    assert_eq!(recorder.text(), "short\n0123456789\nnext\n");
    assert_eq!(recorder.noticed(Notice::LineTruncated), 1);
}

#[tokio::test]
async fn positions_that_cannot_be_read_are_refused() {
    let place = Place {
        directory: tempfile::tempdir().expect("directory"),
        disk: Arc::new(RealDisk),
    };
    let state = place.path("state");
    std::fs::create_dir_all(state.join("tail/test")).expect("made");
    std::fs::write(state.join("tail/test/positions.1"), "what is this?\n").expect("written");
    let pattern = place.path("*.log").display().to_string();
    let mut tail = Tail::build(&definition("file", &pattern, none())).expect("valid");
    tail.keep(StateDirectory::new(&state, place.disk.clone()));
    let error = tail.open().await.expect_err("refused").to_string();
    let expected = format!(
        "test: positions in {}: positions.1 holds no positions of tflog; remove it",
        state.join("tail/test").display()
    );
    assert!(error.starts_with(&expected), "{error}");
}

#[test]
fn options_that_make_no_sense_are_refused() {
    for (options, key) in [
        (serde_json::json!({ "framing": "octet" }), Some("framing")),
        (serde_json::json!({ "open_max": 0 }), Some("open_max")),
        (serde_json::json!({ "exclude": ["/"] }), Some("exclude")),
        (serde_json::json!({ "paths": ["a/"] }), Some("paths")),
        (serde_json::json!({ "line_max": 0 }), Some("line_max")),
        (serde_json::json!({ "onec": true }), None),
    ] {
        let error = Tail::build(&definition("file", "/a/*.log", options));
        assert_eq!(error.err().expect("refused").key.as_deref(), key);
    }
}
