//! The file sink: paths, rotation, compression, repair, full disks.

use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use serde_json::{Value, json};

use super::*;
use crate::event::Timestamp;
use crate::seam::{Clock, FaultyDisk};
use crate::sink::encode::Options;
use crate::sink::fixture::{definition, keyed, lines, load, objects};

/// 2026-11-23 13:32:42 UTC.
const NOW: Timestamp = Timestamp(1_795_440_762_000_000_000);

struct Fixture {
    disk: FaultyDisk,
    clock: Clock,
    sink: File,
    needs: Needs,
}

fn try_build(
    disk: &FaultyDisk,
    path: &str,
    encode: &str,
    options: Value,
) -> Result<Fixture, BuildError> {
    let mut needs = Needs::default();
    let encoder = Encoder::build(encode, Options::default(), &mut needs).unwrap();
    let mut world = World::simulated(NOW, 1);
    world.disk = Arc::new(disk.clone());
    let definition = definition(NAME, path, options);
    let sink = build(&definition, encoder, &world, &mut needs)?;
    Ok(Fixture {
        disk: disk.clone(),
        clock: world.clock,
        sink,
        needs,
    })
}

fn fixture(path: &str, encode: &str, options: Value) -> Fixture {
    try_build(&FaultyDisk::default(), path, encode, options).unwrap()
}

impl Fixture {
    fn reopened(self, path: &str, encode: &str, options: Value) -> Fixture {
        try_build(&self.disk, path, encode, options).unwrap()
    }

    async fn write(&mut self, load: &Load) -> Written {
        self.sink.write(load).await.unwrap()
    }

    /// Attempts until it works, as the driver does.
    async fn persist(&mut self, load: &Load) -> u32 {
        for attempt in 0..1000 {
            if self.sink.write(load).await.is_ok() {
                return attempt;
            }
            self.disk.set_room(Some(3));
        }
        panic!("never written");
    }

    fn text(&self, path: &str) -> String {
        String::from_utf8(self.disk.read(path).unwrap()).unwrap()
    }

    fn names(&self) -> Vec<String> {
        let paths = self.disk.paths();
        paths.iter().map(|p| p.display().to_string()).collect()
    }
}

fn inflate(path: &str, bytes: &[u8]) -> String {
    let mut text = String::new();
    if Codec::of(path.as_bytes()) == Some(Codec::Gzip) {
        let mut decoder = flate2::read::MultiGzDecoder::new(bytes);
        decoder.read_to_string(&mut text).unwrap();
    } else {
        let mut decoder = zstd::stream::read::Decoder::new(bytes).unwrap();
        decoder.read_to_string(&mut text).unwrap();
    }
    text
}

#[tokio::test]
async fn one_plain_file_is_one_write_a_part() {
    let mut f = fixture("/logs/app.log", "raw", json!({}));
    let written = f.write(&load(vec![lines("a\nb\n")], false)).await;
    assert_eq!((written.bytes, f.disk.writes()), (4, 1));
    f.write(&load(vec![lines("open")], false)).await;
    f.write(&load(vec![lines("c\n"), lines("")], false)).await;
    assert_eq!(f.text("/logs/app.log"), "a\nb\nopen\nc\n");
}

#[tokio::test]
async fn rows_of_one_path_are_one_write() {
    let mut f = fixture("/logs/{service}.log", "raw", json!({}));
    let rows = keyed("pay 1\ncart 2\npay 3\n4\n../x 5", &f.needs);
    let written = f.write(&load(vec![rows.clone(), rows], false)).await;
    assert_eq!((written.missing, f.disk.writes()), (2, 4));
    assert_eq!(f.text("/logs/pay.log"), "pay 1\npay 3\npay 1\npay 3\n");
    assert_eq!(f.text("/logs/unknown.log"), "4\n4\n");
    assert_eq!(f.text("/logs/%2E.%2Fx.log"), "../x 5\n../x 5");
    assert_eq!(written.bytes, 2 * 27 + 1, "with the line feed between");
}

#[tokio::test]
async fn no_more_files_are_open_than_allowed() {
    let mut f = fixture("/logs/{service}.log", "raw", json!({ "open_max": 2 }));
    for _ in 0..2 {
        let rows = keyed("a 1\nb 2\nc 3\nd 4\na 5\n", &f.needs);
        f.write(&load(vec![rows], false)).await;
        assert_eq!(f.sink.files.open_count(), 2);
    }
    assert_eq!(f.text("/logs/a.log"), "a 1\na 5\na 1\na 5\n");
    f.disk.crash();
    assert_eq!(
        f.text("/logs/a.log"),
        "a 1\na 5\na 1\na 5\n",
        "closed means synced"
    );
}

#[tokio::test(start_paused = true)]
async fn an_idle_file_is_closed() {
    let mut f = fixture("/logs/{service}.log", "raw", json!({ "idle": "10s" }));
    let rows = keyed("a 1\nb 2\n", &f.needs);
    f.write(&load(vec![rows], false)).await;
    tokio::time::advance(Duration::from_secs(11)).await;
    let rows = keyed("b 3\n", &f.needs);
    f.write(&load(vec![rows], false)).await;
    assert_eq!(f.sink.files.open_count(), 1);
    f.disk.crash();
    assert_eq!(f.disk.read("/logs/a.log").unwrap(), b"a 1\n");
}

#[tokio::test]
async fn a_load_that_is_waited_for_survives_a_crash() {
    for path in ["/logs/app.log", "/logs/{service}.log"] {
        let mut f = fixture(path, "raw", json!({}));
        let rows = keyed("app 1\n", &f.needs);
        f.write(&load(vec![rows.clone()], true)).await;
        f.write(&load(vec![rows], false)).await;
        f.disk.crash();
        assert_eq!(f.text("/logs/app.log"), "app 1\n");
    }
}

#[tokio::test]
async fn a_failed_sync_writes_the_load_again() {
    for path in ["/logs/app.log", "/logs/{service}.log", "/logs/app.log.gz"] {
        let mut f = fixture(path, "raw", json!({}));
        let rows = keyed("app 1\n", &f.needs);
        f.write(&load(vec![rows.clone()], true)).await;
        f.disk.fail_syncs(1);
        let load = load(vec![rows], true);
        let error = f.sink.write(&load).await.unwrap_err().to_string();
        assert!(error.contains("cannot sync"), "{error}");
        f.write(&load).await;
        f.disk.crash();
        let name = path.replace("{service}", "app");
        let content = f.disk.read(&name).unwrap();
        let text = if Codec::of(name.as_bytes()).is_some() {
            inflate(&name, &content)
        } else {
            String::from_utf8(content).unwrap()
        };
        assert_eq!(text, "app 1\napp 1\n", "{path}");
    }
}

#[tokio::test]
async fn a_full_disk_neither_doubles_nor_tears() {
    for path in ["/logs/app.log", "/logs/{service}.log"] {
        let mut f = fixture(path, "raw", json!({}));
        f.disk.set_write_bytes_max(2);
        f.disk.fail_writes(1);
        f.disk.set_room(Some(5));
        let rows = keyed("app 1\napp 2\napp 3", &f.needs);
        let load = load(vec![rows.clone(), rows], true);
        let attempts = f.persist(&load).await;
        assert!(attempts > 5);
        let text = "app 1\napp 2\napp 3\napp 1\napp 2\napp 3";
        assert_eq!(f.text("/logs/app.log"), text);
        let error = f.sink.write(&load).await.unwrap_err().to_string();
        assert!(
            error.starts_with("out: /logs/app.log: cannot write: "),
            "{error}"
        );
        assert!(error.contains("free some space"), "{error}");
    }
}

#[tokio::test]
async fn reopening_never_cuts_raw_and_cuts_torn_json() {
    for (encode, text) in [
        ("raw", "{\"a\":1}\n{\"torn\n{}\n"),
        ("json", "{\"a\":1}\n{}\n"),
    ] {
        let f = fixture("/logs/app.log", encode, json!({}));
        f.disk.put("/logs/app.log", b"{\"a\":1}\n{\"torn");
        let mut f = f.reopened("/logs/app.log", encode, json!({}));
        let rows = objects("{}\n", &f.needs);
        f.write(&load(vec![rows], false)).await;
        assert_eq!(f.text("/logs/app.log"), text);
    }
}

#[tokio::test]
async fn a_torn_frame_is_cut_at_every_length() {
    for path in ["/logs/app.log.gz", "/logs/app.log.zst"] {
        let mut f = fixture(path, "raw", json!({}));
        for text in ["first\n", "second\n"] {
            f.write(&load(vec![lines(text)], false)).await;
        }
        let whole = f.disk.read(path).unwrap();
        assert_eq!(inflate(path, &whole), "first\nsecond\n");
        let mut one = fixture(path, "raw", json!({}));
        one.write(&load(vec![lines("first\n")], false)).await;
        let first = one.disk.read(path).unwrap().len();
        for len in 0..=whole.len() {
            f.disk.put(path, &whole[..len]);
            f = f.reopened(path, "raw", json!({}));
            f.write(&load(vec![lines("new")], false)).await;
            let kept = match len {
                len if len == whole.len() => "first\nsecond\n",
                len if len >= first => "first\n",
                _ => "",
            };
            let content = f.disk.read(path).unwrap();
            assert_eq!(
                inflate(path, &content),
                format!("{kept}new\n"),
                "{path} {len}"
            );
        }
        // The length came to the disk, the content did not.
        let mut zeros = whole.clone();
        zeros[whole.len() - 6..].fill(0);
        f.disk.put(path, &zeros);
        f = f.reopened(path, "raw", json!({}));
        f.write(&load(vec![lines("new\n")], false)).await;
        assert_eq!(inflate(path, &f.disk.read(path).unwrap()), "first\nnew\n");
    }
}

#[tokio::test]
async fn frames_of_other_programs_are_kept_and_other_content_refused() {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::Write::write_all(&mut gzip, b"theirs\n").unwrap();
    for (path, theirs) in [
        ("/logs/app.log.gz", gzip.finish().unwrap()),
        (
            "/logs/app.log.zst",
            zstd::encode_all(&b"theirs\n"[..], 1).unwrap(),
        ),
    ] {
        let mut f = fixture(path, "raw", json!({}));
        f.disk.put(path, &theirs);
        f.write(&load(vec![lines("ours\n")], false)).await;
        assert_eq!(inflate(path, &f.disk.read(path).unwrap()), "theirs\nours\n");

        let mut f = fixture(path, "raw", json!({}));
        f.disk.put(path, b"plain text that nobody compressed\n");
        let error = f.sink.write(&load(vec![lines("x\n")], false)).await;
        assert!(error.unwrap_err().to_string().contains("move it away"));
        assert_eq!(f.text(path), "plain text that nobody compressed\n");
    }
}

#[tokio::test]
async fn rotation_replaces_nothing_and_keeps_the_newest() {
    let options = json!({ "rotate": { "size": 10, "keep": 2 } });
    let mut f = fixture("/logs/{service}.log", "raw", options);
    for n in 0..5 {
        let rows = keyed(&format!("pay {n}\npay x\n"), &f.needs);
        f.write(&load(vec![rows], false)).await;
    }
    let stamp = "/logs/pay.log.20261123-133242";
    let names = [
        "/logs/pay.log".to_owned(),
        format!("{stamp}.2"),
        format!("{stamp}.3"),
    ];
    assert_eq!(f.names(), names);
    assert_eq!(f.text("/logs/pay.log"), "pay 4\npay x\n");
    assert_eq!(f.text(&names[2]), "pay 3\npay x\n");
}

/// What is put aside after the clock was set back is not taken for the oldest.
#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_costs_no_new_file() {
    let options = json!({ "rotate": { "size": 1, "keep": 2 } });
    let mut f = fixture("/logs/app.log", "raw", options);
    for n in 0..6 {
        if n == 3 {
            f.clock.jump(-3_600_000_000_000);
        }
        f.write(&load(vec![lines(&format!("{n}\n"))], false)).await;
    }
    let stamp = "/logs/app.log.20261123-133242";
    assert_eq!(f.names()[1..], [format!("{stamp}.3"), format!("{stamp}.4")]);
    assert_eq!(f.text(&format!("{stamp}.4")), "4\n");
}

#[tokio::test(start_paused = true)]
async fn rotation_by_time_is_on_the_clock() {
    let mut f = fixture(
        "/logs/app.log",
        "raw",
        json!({ "rotate": { "time": "1m" } }),
    );
    f.write(&load(vec![lines("open")], false)).await;
    // 13:32:59, then 13:33:00.
    for advance in [17, 1] {
        tokio::time::advance(Duration::from_secs(advance)).await;
        f.write(&load(vec![lines("x\n")], false)).await;
    }
    assert_eq!(f.text("/logs/app.log.20261123-133300"), "open\nx\n");
    assert_eq!(f.text("/logs/app.log"), "x\n");
}

#[test]
fn options_that_cannot_work_are_refused() {
    let disk = FaultyDisk::default();
    for (path, options, key) in [
        ("/l/{a}", json!({ "rotate": { "size": 1 } }), Some("rotate")),
        (
            "/l/{a}.7.gz",
            json!({ "rotate": { "size": 1 } }),
            Some("rotate"),
        ),
        ("/l/a", json!({ "rotate": {} }), Some("rotate")),
        ("/l/a", json!({ "open_max": 0 }), Some("open_max")),
        ("/l/a", json!({ "rotate": { "sise": 1 } }), None),
        ("/l/{a", json!({}), None),
        ("/l/", json!({}), None),
    ] {
        let error = try_build(&disk, path, "raw", options).err().unwrap();
        assert_eq!(error.key.as_deref(), key, "{path}: {error}");
    }
    assert!(disk.paths().is_empty());
}

#[tokio::test]
async fn the_real_disk_keeps_paths_beneath_the_root() {
    let dir = tempfile::tempdir().unwrap();
    let outside = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(outside.path(), dir.path().join("evil")).unwrap();
    let mut needs = Needs::default();
    let raw = Encoder::build("raw", Options::default(), &mut needs).unwrap();
    let path = format!("{}/{{service}}/x.log", dir.path().display());
    let world = World::simulated(NOW, 1);
    let mut sink = build(&definition(NAME, &path, json!({})), raw, &world, &mut needs).unwrap();
    let rows = keyed("a/b 1\n", &needs);
    sink.write(&load(vec![rows], true)).await.unwrap();
    sink.close().await.unwrap();
    assert_eq!(
        std::fs::read(dir.path().join("a%2Fb/x.log")).unwrap(),
        b"a/b 1\n"
    );
    let rows = keyed("evil 1\n", &needs);
    let error = sink.write(&load(vec![rows], false)).await.unwrap_err();
    assert!(error.to_string().contains("symbolic links"), "{error}");
    assert!(!Path::new(&outside.path().join("x.log")).exists());
}
