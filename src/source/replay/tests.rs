//! Letters from files into a recorder: what is sent, passed over and kept in mind.

use std::path::PathBuf;

use super::*;
use crate::seam::World;
use crate::source::record::Recorder;

fn letter(sink: &str, n: usize, more: &str) -> String {
    format!(
        "{{\"id\":\"{n:032x}\",\"sink\":\"{sink}\",\"reason\":\"no\",\"attempts\":1,\"time\":\"2026-11-26T00:00:{:02}Z\"{more},\"event\":{{\"n\":{n}}}}}\n",
        n % 60
    )
}

struct Sent {
    events: Vec<String>,
    progress: Arc<Progress>,
    marks: Vec<Arc<Mark>>,
}

async fn replay(selection: Selection) -> Result<Sent, String> {
    replay_to(&Recorder::new(), selection).await
}

async fn replay_to(recorder: &Arc<Recorder>, selection: Selection) -> Result<Sent, String> {
    let replay = Replay::open(selection)?;
    let (progress, marks) = (replay.progress(), replay.marks());
    let (_stopper, stop) = Stop::new().expect("pipe");
    let outlet = recorder.outlet(World::simulated(Timestamp(0), 1));
    Box::new(replay).run(outlet, stop).await.expect("read");
    Ok(Sent {
        events: recorder.events(),
        progress,
        marks,
    })
}

fn file(directory: &tempfile::TempDir, name: &str, text: &[u8]) -> PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, text).expect("write");
    path
}

fn of(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

#[tokio::test]
async fn letters_are_chosen_and_what_is_left_out_is_counted() {
    let directory = tempfile::tempdir().expect("directory");
    let mut text = [
        letter("a", 1, ""),
        letter("b", 20, ""),
        letter("a", 30, ""),
        letter("a", 31, ",\"returns\":2"),
        letter("a", 32, ",\"returns\":3"),
        "not one\n".to_owned(),
    ]
    .concat();
    text.push_str(letter("a", 33, "").trim_end());
    let path = file(&directory, "a.jsonl", text.as_bytes());
    let sent = replay(Selection {
        files: vec![path],
        sinks: Some(HashSet::from(["a".to_owned()])),
        since: parse_time("2026-11-26T00:00:10Z"),
        ..Selection::default()
    })
    .await
    .expect("opened");
    assert_eq!(sent.events, ["{\"n\":30}\n", "{\"n\":31}\n"]);
    let p = &sent.progress;
    assert_eq!((of(&p.sent), of(&p.older), of(&p.strange)), (2, 1, 1));
    // The last line has no end: it may still be being written.
    assert_eq!((of(&p.exhausted), of(&p.malformed)), (1, 2));
    assert_eq!(of(&p.bytes), of(&p.bytes_total));
}

fn parse_time(text: &str) -> Option<Timestamp> {
    crate::event::time::parse_any(text.as_bytes())
}

#[tokio::test]
async fn compressed_files_and_lines_past_the_limit() {
    use std::io::Write as _;
    let directory = tempfile::tempdir().expect("directory");
    let text = [letter("a", 1, ""), letter("a", 2, "")].concat();
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(text.as_bytes()).expect("compressed");
    let gz = gz.finish().expect("compressed");
    let zst = zstd::encode_all(letter("a", 3, "").as_bytes(), 1).expect("compressed");
    let mut long = vec![b'x'; 13 << 20];
    long.push(b'\n');
    long.extend_from_slice(letter("a", 4, "").as_bytes());
    let files = vec![
        file(&directory, "1.jsonl.gz", &gz),
        // Several frames, as appending writers leave them.
        file(&directory, "2.jsonl.zst", &[zst.clone(), zst].concat()),
        file(&directory, "3.jsonl", &long),
    ];
    let sent = replay(Selection {
        files,
        ..Selection::default()
    })
    .await
    .expect("opened");
    let numbers = ["1", "2", "3", "3", "4"].map(|n| format!("{{\"n\":{n}}}\n"));
    assert_eq!(sent.events, numbers);
    assert_eq!(of(&sent.progress.malformed), 1);
}

#[tokio::test]
async fn what_is_not_settled_is_sent_again() {
    let directory = tempfile::tempdir().expect("directory");
    let path = file(&directory, "a.jsonl", letter("a", 1, "").as_bytes());
    let selection = Selection {
        files: vec![path.clone()],
        marks: true,
        ..Selection::default()
    };
    let failing = Recorder::new();
    failing.set_failing(true);
    let sent = replay_to(&failing, selection.clone()).await;
    let sent = sent.expect("opened");
    assert_eq!((sent.events.len(), sent.marks[0].offset()), (1, 0));
    assert_eq!(sent.marks[0].ended().returned, 1);
    sent.marks[0].save();
    assert!(!directory.path().join("a.jsonl.replayed").exists());

    let mark = Arc::new(Mark::load(&path, &mut lines(&path)).expect("none yet"));
    let size = std::fs::metadata(&path).expect("there").len();
    let [first, second] = [size / 2, size].map(|end| Mark::begin(&mark, end));
    let kept = crate::event::Tally {
        accepted: 1,
        ..crate::event::Tally::default()
    };
    second.settled(kept);
    assert_eq!(mark.offset(), 0, "what is before it is still open");
    first.settled(kept);
    assert_eq!(mark.offset(), size);
    mark.save();
    let mut more = std::fs::read(&path).expect("there");
    more.extend_from_slice(letter("a", 2, "").as_bytes());
    std::fs::write(&path, more).expect("write");
    let sent = replay(selection).await.expect("opened");
    assert_eq!(sent.events, ["{\"n\":2}\n"]);
}

fn lines(path: &std::path::Path) -> Lines {
    Lines::open(path, &Arc::default()).expect("there")
}

#[tokio::test]
async fn a_mark_that_cannot_be_trusted_is_refused() {
    let directory = tempfile::tempdir().expect("directory");
    let path = file(&directory, "a.jsonl", letter("a", 1, "").as_bytes());
    let head = "\"head\":\"00000000000000000000000000000000\"";
    for (text, why) in [
        (String::new(), "not the mark"),
        ("{}".to_owned(), "not the mark"),
        ("x".repeat(5000), "not the mark"),
        (
            format!("{{\"version\":2,\"offset\":1,{head}}}"),
            "another version",
        ),
        (
            format!("{{\"version\":1,\"offset\":9,{head}}}"),
            "another file",
        ),
        (
            format!("{{\"version\":1,\"offset\":999999,{head}}}"),
            "another file",
        ),
    ] {
        file(&directory, "a.jsonl.replayed", text.as_bytes());
        let selection = Selection {
            files: vec![path.clone()],
            marks: true,
            ..Selection::default()
        };
        let error = replay(selection).await.err().expect("refused");
        assert!(error.contains(why) && error.contains("--again"), "{error}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_rate_is_kept() {
    let directory = tempfile::tempdir().expect("directory");
    let text: String = (0..101).map(|n| letter("a", n, "")).collect();
    let path = file(&directory, "a.jsonl", text.as_bytes());
    let start = Instant::now();
    let sent = replay(Selection {
        files: vec![path],
        rate: Some(10.0),
        ..Selection::default()
    })
    .await
    .expect("opened");
    assert_eq!(sent.events.len(), 101);
    let took = start.elapsed().as_secs_f64();
    assert!((9.8..=10.2).contains(&took), "{took}");
}
