//! Files that are copied and truncated while nobody reads them.

use std::ffi::OsString;
use std::time::SystemTime;

use super::*;
use crate::event::Timestamp;
use crate::seam::{Facts, Files, Opened, RealFiles};

const HOUR: Duration = Duration::from_hours(1);

/// Files that nobody can be told of, so that a tail needs no thread to wait in.
struct Unwatched;

impl Files for Unwatched {
    fn open(&self, path: &Path) -> std::io::Result<Box<dyn Opened>> {
        RealFiles.open(path)
    }

    fn facts(&self, path: &Path) -> std::io::Result<Facts> {
        RealFiles.facts(path)
    }

    fn list(&self, directory: &Path) -> std::io::Result<Vec<(OsString, bool)>> {
        RealFiles.list(directory)
    }

    fn real(&self, path: &Path) -> std::io::Result<PathBuf> {
        RealFiles.real(path)
    }

    fn is_real_directory(&self, path: &Path) -> bool {
        RealFiles.is_real_directory(path)
    }
}

/// One thread, where time passes as a test says.
fn unwatched() -> World {
    World {
        files: Arc::new(Unwatched),
        ..World::simulated(Timestamp(0), 1)
    }
}

impl Place {
    /// Follows all logs there, with so many files open, on the thread of the test.
    pub(super) async fn start_unwatched(
        &self,
        open_max: usize,
        recorder: Arc<Recorder>,
    ) -> Running {
        let mut tail = self.tail("*.log", serde_json::json!({ "open_max": open_max }));
        tail.open().await.expect("opened");
        Running::begin(&unwatched(), tail, recorder)
    }

    /// Takes a file for written so long ago.
    fn set_age(&self, name: &str, age: Duration) {
        let file = std::fs::File::open(self.path(name)).expect("there");
        file.set_modified(SystemTime::now() - age).expect("set");
    }

    fn copy(&self, name: &str, copy: &str) {
        std::fs::copy(self.path(name), self.path(copy)).expect("copied");
    }

    fn truncate(&self, name: &str) {
        std::fs::File::create(self.path(name)).expect("truncated");
    }

    fn compress(&self, name: &str) {
        let content = std::fs::read(self.path(name)).expect("read");
        let file = std::fs::File::create(self.path(&format!("{name}.gz"))).expect("created");
        let mut gzip = flate2::write::GzEncoder::new(file, flate2::Compression::fast());
        gzip.write_all(&content).expect("written");
        gzip.finish().expect("written");
        std::fs::remove_file(self.path(name)).expect("removed");
    }

    /// A tail that was held up behind the first line of a file, written two hours
    /// ago.
    async fn held_up(&self, pattern: &str, first: &str) -> Running {
        self.append("a.log", first);
        self.set_age("a.log", 2 * HOUR);
        let running = self
            .start_into(self.tail(pattern, none()), Recorder::holding())
            .await;
        running.recorder.wait_begun(1).await;
        running
    }
}

impl Running {
    /// Reads a line that is there and one of `other`, and has no room for that of
    /// `last`.
    async fn hold_up_behind(&self, place: &Place, other: &str, last: &str) {
        self.recorder.let_through(1);
        self.recorder.wait_lines(1).await;
        place.append(other, "1 other\n");
        self.recorder.let_through(1);
        self.recorder.wait_lines(2).await;
        place.append(last, "0 held up\n");
        self.recorder.wait_begun(3).await;
    }

    /// All events up to this one, in the order of their text.
    async fn events_to(self, last: &str) -> Vec<String> {
        self.recorder.wait_line(last).await;
        let mut events = self.stop().await.events();
        events.sort_unstable();
        events
    }
}

/// The pipeline had no room for longer than anybody remembers what a file was: its
/// copy is read on all the same, whatever its name, compressed or not.
#[tokio::test]
async fn a_copy_is_read_on_however_late_its_original_is_looked_at() {
    for (pattern, is_compressed) in [("a.log", false), ("a.log*", false), ("a.log", true)] {
        let place = Place::new();
        let running = place.held_up(pattern, "1 one\n").await;
        place.append("a.log", "2 two\n");
        place.copy("a.log", "a.log.1");
        if is_compressed {
            place.compress("a.log.1");
        }
        let copy = if is_compressed {
            "a.log.1.gz"
        } else {
            "a.log.1"
        };
        place.set_age(copy, HOUR);
        place.truncate("a.log");
        place.append("a.log", "3 three\n");
        running.recorder.let_through(1000);
        let events = running.events_to("3 three\n").await;
        assert_eq!(events, ["1 one\n", "2 two\n", "3 three\n"], "{copy}");
    }
}

/// A copy waits for the truncation of its original to be seen, though the pipeline had
/// no room for longer than one may take: it would come twice.
#[tokio::test(start_paused = true)]
async fn a_copy_waits_as_long_as_nobody_could_look_at_its_original() {
    let place = Place::new();
    place.append("a.log", "1 one\n");
    let mut tail = place.tail("*.log*", none());
    tail.open().await.expect("opened");
    let world = unwatched();
    let recorder = Recorder::holding();
    recorder.let_through(1);
    let (stopper, stop) = Stop::new().expect("pipe");
    let run = Box::new(tail).run(recorder.outlet(world.clone()), stop);
    let stage = world.spawn.stage("tail", run).expect("a task");
    recorder.wait_lines(1).await;
    place.copy("a.log", "a.log.1");
    place.append("b.log", "0 held up\n");
    recorder.wait_begun(2).await;
    place.truncate("a.log");
    place.append("a.log", "2 two\n");
    tokio::time::sleep(Duration::from_mins(5)).await;
    recorder.let_through(1000);
    recorder.wait_line("2 two\n").await;
    // What is suspected is decided by then.
    tokio::time::sleep(Duration::from_mins(5)).await;
    stopper.stop(Instant::now() + Duration::from_mins(1));
    stage.await.expect("no panic").expect("stopped");
    let mut events = recorder.events();
    events.sort_unstable();
    assert_eq!(events, ["0 held up\n", "1 one\n", "2 two\n"]);
}

/// Though the file was closed meanwhile, since others have their turn.
#[tokio::test]
async fn a_copy_of_a_file_that_is_not_open_is_read_on() {
    let place = Place::new();
    place.append("a.log", "1 one\n");
    let mut tail = place.tail("*.log", serde_json::json!({ "open_max": 1 }));
    tail.open().await.expect("opened");
    // Its name is looked at before it is.
    let world = World {
        files: Arc::new(Unwatched),
        ..World::real(tokio::runtime::Handle::current())
    };
    let running = Running::begin(&world, tail, Recorder::holding());
    running.hold_up_behind(&place, "b.log", "b.log").await;
    place.append("a.log", "2 two\n");
    place.copy("a.log", "a.log.1");
    place.truncate("a.log");
    place.append("a.log", "3 three\n");
    running.recorder.let_through(1000);
    let events = running.events_to("3 three\n").await;
    assert_eq!(
        events,
        [
            "0 held up\n",
            "1 one\n",
            "1 other\n",
            "2 two\n",
            "3 three\n"
        ]
    );
}

/// Though it was renamed then, and compressed before anybody looked.
#[tokio::test(start_paused = true)]
async fn the_rest_of_a_file_that_was_closed_is_read_where_it_was_compressed() {
    let place = Place::new();
    place.append("a.log", "1 one\n");
    let running = place.start_unwatched(1, Recorder::holding()).await;
    running.hold_up_behind(&place, "b.log", "b.log").await;
    place.append("a.log", "2 two\n");
    std::fs::rename(place.path("a.log"), place.path("a.log.1")).expect("renamed");
    // Before it could have the inode of the old one.
    place.append("a.log", "3 three\n");
    place.compress("a.log.1");
    running.recorder.let_through(1000);
    running.recorder.wait_line("3 three\n").await;
    // Until then it might have been renamed once more.
    tokio::time::sleep(Duration::from_mins(1)).await;
    let events = running.events_to("3 three\n").await;
    let expected = [
        "0 held up\n",
        "1 one\n",
        "1 other\n",
        "2 two\n",
        "3 three\n",
    ];
    assert_eq!(events, expected);
}

/// Though it has the inode of a copy that was read before, and was removed since.
#[tokio::test]
async fn a_copy_in_the_place_of_another_is_read_on() {
    let place = Place::new();
    place.append("a.log", "1 one\n");
    let tail = place.tail("a.log*", serde_json::json!({ "open_max": 1 }));
    let running = place.start_into(tail, Recorder::holding()).await;
    // A copy that is known, and not open.
    running.hold_up_behind(&place, "a.log.1", "a.log").await;
    place.append("a.log", "2 two\n3 th");
    let content = std::fs::read(place.path("a.log")).expect("read");
    // In the same inode, as a file system uses it again.
    std::fs::write(place.path("a.log.1"), [&content[..], b"ree\n"].concat()).expect("written");
    place.truncate("a.log");
    place.append("a.log", "4 four\n");
    running.recorder.let_through(1000);
    let events = running.events_to("4 four\n").await;
    let expected = [
        "0 held up\n",
        "1 one\n",
        "1 other\n",
        "2 two\n",
        "3 three\n",
        "4 four\n",
    ];
    assert_eq!(events, expected);
}

/// What begins as the file did is no copy of it if it was written before that was
/// looked at last, or reads otherwise where reading stands.
#[tokio::test]
async fn what_only_begins_the_same_is_no_copy() {
    let place = Place::new();
    let banner = "0 the same in each\n".repeat(100);
    place.append("a.log.3", &format!("{banner}1 one\n2 before\n"));
    place.set_age("a.log.3", 3 * HOUR);
    let running = place.held_up("a.log", &format!("{banner}1 one\n")).await;
    place.append("a.log", "2 two\n");
    place.copy("a.log", "a.log.1");
    place.set_age("a.log.1", HOUR);
    place.append("a.log.save", &format!("{banner}1 other\n2 elsewhere\n"));
    place.truncate("a.log");
    place.append("a.log", "3 three\n");
    running.recorder.let_through(1000);
    let events = running.events_to("3 three\n").await;
    assert_eq!(events[100..], ["1 one\n", "2 two\n", "3 three\n"]);
}

/// A start between a copy and the truncation of its original: what is in both
/// comes once, whether or not copies are followed by their names.
#[tokio::test]
async fn a_start_between_copy_and_truncation_reads_each_line_once() {
    for pattern in ["a.log", "a.log*"] {
        let place = Place::new();
        place.append("a.log", "1 one\n");
        let running = place.start(pattern, none()).await;
        running.recorder.wait_lines(1).await;
        running.stop().await;
        // Its last line is not whole, which only the copy's is.
        place.append("a.log", "2 two\n3 th");
        place.copy("a.log", "a.log.1");
        place.append("a.log.1", "ree\n");
        let tail = place.tail(pattern, none());
        let numbers = tail.gauges().expect("it has some");
        let running = place.start_into(tail, Recorder::new()).await;
        running.recorder.wait_lines(1).await;
        place.truncate("a.log");
        place.append("a.log", "4 four\n");
        running.recorder.wait_line("4 four\n").await;
        running.recorder.wait_line("3 three\n").await;
        while numbers.read()[0].value < 2 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        let mut events = running.stop().await.events();
        events.sort_unstable();
        assert_eq!(events, ["2 two\n", "3 three\n", "4 four\n"], "{pattern}");
        place.append("a.log", "5 five\n");
        let running = place.start(pattern, none()).await;
        assert_eq!(running.events_to("5 five\n").await, ["5 five\n"]);
    }
}

/// After a start too a copy is known by what stands before where reading stood, and a
/// file that was truncated by that not standing there.
#[tokio::test]
async fn what_only_begins_the_same_is_no_rest() {
    let banner = "0 the same in each\n".repeat(100);
    for is_compressed in [false, true] {
        let place = Place::new();
        place.append("a.log", &format!("{banner}1 one\n"));
        let running = place.start("a.log", none()).await;
        running.recorder.wait_line("1 one\n").await;
        running.stop().await;
        place.append("a.log.1", &format!("{banner}1 before\n2 delivered\n"));
        place.append("a.log", "2 two\n");
        place.copy("a.log", "a.log.2");
        if is_compressed {
            place.compress("a.log.1");
            place.compress("a.log.2");
        }
        place.truncate("a.log");
        place.append("a.log", &format!("{banner}3 three\n4 four\n"));
        let running = place.start("a.log", none()).await;
        running.recorder.wait_line("2 two\n").await;
        let events = running.events_to("4 four\n").await;
        assert_eq!(events[..100].concat(), banner);
        assert_eq!(events[100..], ["2 two\n", "3 three\n", "4 four\n"]);
    }
}

/// The rest of a file that was compressed while tflog was down is read to its end,
/// though the first to try ends before it, or what was read is given up.
#[tokio::test]
async fn a_compressed_rest_is_read_again_until_it_is_kept() {
    for ends in [true, false] {
        let place = Place::new();
        place.append("a.log", "1 one\n");
        let running = place.start("a.log", none()).await;
        running.recorder.wait_lines(1).await;
        running.stop().await;
        place.append("a.log", "2 two\n3 three\n");
        std::fs::rename(place.path("a.log"), place.path("a.log.1")).expect("renamed");
        place.compress("a.log.1");
        let recorder = Recorder::new();
        recorder.set_failing(true);
        let tail = place.tail("a.log", none());
        let mut running = place.start_into(tail, recorder).await;
        running.recorder.wait_lines(2).await;
        if ends {
            running.stop().await;
            running = place.start("a.log", none()).await;
            running.recorder.wait_lines(2).await;
        } else {
            running.recorder.set_failing(false);
            running.recorder.wait_lines(4).await;
        }
        let mut events = running.stop().await.events();
        assert_eq!(events.split_off(events.len() - 2), ["2 two\n", "3 three\n"]);
    }
}
