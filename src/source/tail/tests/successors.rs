//! Tails that take the place of others: what those had open goes over to them.

use std::fs::File;

use super::*;

impl Place {
    /// A file that is kept open to be written to.
    fn writer(&self, name: &str) -> File {
        let options = File::options().create(true).append(true).clone();
        options.open(self.path(name)).expect("opened")
    }
}

fn write(mut file: &File, text: &str) {
    file.write_all(text.as_bytes()).expect("written");
}

/// Removed, renamed out of sight, or removed while the one before waits for its
/// last batches: whoever writes goes on for a while, and nothing of it is lost.
#[tokio::test]
async fn files_without_a_name_go_over_to_the_next_tail() {
    let place = Place::new();
    let [removed, moved, late] = ["a.log", "b.log", "c.log"].map(|name| place.writer(name));
    for file in [&removed, &moved, &late] {
        write(file, "one\n");
    }
    let first = place.tail("*.log", none());
    let legacy = first.legacy().expect("it has one");
    let first = place.start_into(first, Recorder::new()).await;
    first.recorder.wait_lines(3).await;
    std::fs::remove_file(place.path("a.log")).expect("removed");
    std::fs::create_dir(place.path("old")).expect("made");
    std::fs::rename(place.path("b.log"), place.path("old/b")).expect("renamed");
    write(&removed, "two\nth");
    write(&moved, "two\nth");
    first.recorder.wait_lines(5).await;

    let mut second = place.tail("*.log", serde_json::json!({ "open_max": 1 }));
    second.inherit(legacy.clone());
    first.stop().await;
    std::fs::remove_file(place.path("c.log")).expect("removed");
    for file in [&removed, &moved, &late] {
        write(file, "ree\n");
    }
    // One that nobody lets come so far passes it on.
    let mut third = place.tail("*.log", none());
    third.inherit(legacy);
    drop(second);
    let third = place.start_into(third, Recorder::new()).await;
    third.recorder.wait_lines(3).await;
    let third = third.stop().await;
    let mut events = third.events();
    events.sort_unstable();
    assert_eq!(events, ["ree\n", "three\n", "three\n"]);
    let path = place.path("a.log").display().to_string();
    assert_eq!(third.text_of("path", &path), "three\n");
}

/// What the next one has no wish for is let go, and what it finds by its name is
/// read once.
#[tokio::test]
async fn only_what_is_still_wanted_goes_over() {
    let place = Place::new();
    let [unwanted, named] = ["a.txt", "a.log"].map(|name| place.writer(name));
    write(&unwanted, "one\n");
    write(&named, "one\n");
    let first = place.tail("a.*", none());
    let legacy = first.legacy().expect("it has one");
    let first = place.start_into(first, Recorder::new()).await;
    first.recorder.wait_lines(2).await;
    let mut second = place.tail("*.log", none());
    second.inherit(legacy);
    first.stop().await;
    std::fs::remove_file(place.path("a.txt")).expect("removed");
    write(&unwanted, "two\n");
    write(&named, "three\n");
    let second = place.start_into(second, Recorder::new()).await;
    second.recorder.wait_lines(1).await;
    assert_eq!(second.stop().await.text(), "three\n");
}

/// Though another file that is found in the same look is to have its descriptor.
#[tokio::test(start_paused = true)]
async fn a_file_that_was_just_removed_is_not_closed_for_another() {
    let place = Place::new();
    let file = place.writer("b.log");
    write(&file, "one\n");
    let running = place.start_unwatched(1, Recorder::new()).await;
    running.recorder.wait_line("one\n").await;
    std::fs::remove_file(place.path("b.log")).expect("removed");
    write(&file, "two\n");
    place.append("a.log", "other\n");
    running.recorder.wait_line("other\n").await;
    // Long enough for it to be let go.
    tokio::time::sleep(Duration::from_mins(1)).await;
    let recorder = running.stop().await;
    let mut events = recorder.events();
    events.sort_unstable();
    assert_eq!(events, ["one\n", "other\n", "two\n"]);
}

/// Of two files the one that still grows stays open, though it was opened before.
#[tokio::test(start_paused = true)]
async fn a_file_that_grows_is_not_closed_while_another_rests() {
    let place = Place::new();
    let file = place.writer("a.log");
    write(&file, "a one\n");
    let running = place.start_unwatched(2, Recorder::new()).await;
    running.recorder.wait_line("a one\n").await;
    place.append("b.log", "b one\n");
    running.recorder.wait_line("b one\n").await;
    tokio::time::sleep(Duration::from_mins(1)).await;
    write(&file, "a two\n");
    running.recorder.wait_line("a two\n").await;
    place.append("c.log", "c one\n");
    running.recorder.wait_line("c one\n").await;
    // It cannot be opened again.
    write(&file, "a three\n");
    std::fs::remove_file(place.path("a.log")).expect("removed");
    let read = running.recorder.wait_line("a three\n");
    let read = tokio::time::timeout(Duration::from_mins(1), read).await;
    read.expect("it is still open");
    running.stop().await;
}

/// Nobody comes after it: what only it can read is read at once.
#[tokio::test]
async fn removed_files_are_read_to_their_end_at_a_stop() {
    let place = Place::new();
    let file = place.writer("a.log");
    write(&file, "one\n");
    let recorder = Recorder::holding();
    let running = place
        .start_into(place.tail("a.log", none()), recorder)
        .await;
    running.recorder.wait_begun(1).await;
    std::fs::remove_file(place.path("a.log")).expect("removed");
    write(&file, "two\nthree");
    // It is still held up.
    running
        .stopper
        .stop(Instant::now() + Duration::from_mins(1));
    running.recorder.let_through(10);
    assert_eq!(running.stop().await.text(), "one\ntwo\nthree");
}

/// A file that was renamed to another directory is found there by the next start.
#[tokio::test]
async fn files_that_were_seen_to_move_are_found_again() {
    let place = Place::new();
    let file = place.writer("a.log");
    write(&file, "one\n");
    let running = place.start("*.log", none()).await;
    running.recorder.wait_lines(1).await;
    std::fs::create_dir(place.path("old")).expect("made");
    std::fs::rename(place.path("a.log"), place.path("old/1")).expect("renamed");
    write(&file, "two\n");
    running.recorder.wait_lines(2).await;
    running.stop().await;
    write(&file, "three\n");
    let running = place.start("*.log", none()).await;
    running.recorder.wait_lines(1).await;
    assert_eq!(running.stop().await.text(), "three\n");
}
