//! Reloads beside and of disk buffers: a buffer belongs to the name of its sink,
//! and outlives whatever else changes, with what is in it.

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Mutex;

use crate::disk::{buffer, collect};
use crate::harness::{connect, free_address, get, lines, metric, wait_for};
use crate::reload::Service;

/// More than a buffer of [`SMALL`] has in memory.
const BACKLOG: usize = 300;
const SMALL: &str = "memory: 16KiB, disk: 64MiB";

/// Where things are in these tests.
struct Scene {
    net: SocketAddr,
    far: SocketAddr,
    sent: usize,
}

impl Scene {
    fn new() -> Scene {
        Scene {
            net: free_address(),
            far: free_address(),
            sent: 0,
        }
    }

    /// A config with one sink, and `more` on top of it.
    fn config(&self, directory: &Path, sink: &str, more: &str) -> String {
        let (state, net) = (directory.join("state"), self.net);
        let state = state.display();
        format!(
            "state: {state}\ngrace: 2s\n{more}\nsources:\n  net: {{ url: 'tcp://{net}', parse: json }}\n\
             sinks:\n  {sink}\n"
        )
    }

    /// A sink whose far end is not there until a test says so.
    fn away(&self, buffer: &str) -> String {
        let far = self.far;
        format!("out: {{ url: 'tcp://{far}', encode: raw, buffer: {{ {buffer} }} }}")
    }

    /// Sends so many numbered lines, in many batches.
    fn send(&mut self, stream: &mut TcpStream, count: usize) {
        for _ in 0..count {
            stream.write_all(line(self.sent).as_bytes()).unwrap();
            stream.write_all(b"\n").unwrap();
            self.sent += 1;
        }
    }

    /// All that was sent is there, once and in order.
    fn wait_for_all(&self, got: &Mutex<Vec<String>>) {
        wait_for("the lines", || {
            (got.lock().unwrap().len() >= self.sent).then_some(())
        });
        let wanted: Vec<_> = (0..self.sent).map(line).collect();
        assert_eq!(*got.lock().unwrap(), wanted);
    }
}

fn line(n: usize) -> String {
    let pad = "x".repeat(400);
    let user = ["ann", "bob"][n % 2];
    format!("{{\"n\":{n},\"user\":\"{user}\",\"pad\":\"{pad}\"}}")
}

/// Copies of `out` that wait in memory and on disk, those in its hands among them.
fn waiting(service: &Service) -> (u64, u64) {
    let page = get(service.http, "/metrics").1;
    let out = page.lines().filter(|l| l.contains("component_id=\"out\""));
    let out = out.collect::<Vec<_>>().join("\n");
    let of = |kind: &str| {
        let sizes = out
            .lines()
            .filter(|l| l.starts_with("tflog_buffer_size_events"));
        let sizes = sizes.filter(|l| l.contains(kind));
        metric(&sizes.collect::<Vec<_>>().join("\n"), "")
    };
    let sending = metric(&out, "tflog_sink_sending_events");
    (of("memory"), of("disk") + sending)
}

/// Waits until so many events are on disk.
fn wait_on_disk(service: &Service, events: usize) {
    wait_for("the disk", || {
        (waiting(service) == (0, events as u64)).then_some(())
    });
}

/// Whatever changes beside it, a buffer lives on with what is in it; its own
/// settings change under it.
#[test]
fn a_disk_buffer_lives_on_beside_whatever_changes() {
    let mut scene = Scene::new();
    let other = free_address();
    let away = scene.away(SMALL);
    let mut service = Service::start(|directory| scene.config(directory, &away, ""));
    let directory = service.directory.path().to_owned();
    let mut stream = connect(scene.net);
    let first = scene.config(&directory, &away, "");
    let none = free_address();
    let changes = [
        // A route, and fields that nobody has wanted before.
        (
            "sinks:",
            "routes: [ { when: user == 'zoe', drop: true }, { to: out } ]\nsinks:".to_owned(),
        ),
        // Sources come, change and go.
        ("sinks:", format!("  other: tcp://{other}\nsinks:")),
        (
            "sinks:",
            format!("  other: {{ url: 'tcp://{other}', parse: logfmt }}\nsinks:"),
        ),
        ("parse: json", "parse: auto".to_owned()),
        // Another sink, with and without a buffer of its own.
        (
            "sinks:",
            format!("sinks:\n  plain: {{ url: 'tcp://{none}', required: false }}"),
        ),
        (
            "sinks:",
            format!(
                "sinks:\n  plain: {{ url: 'tcp://{none}', required: false, buffer: {{ disk: 8MiB }} }}"
            ),
        ),
        // The buffer itself, which stays where it is.
        (
            "disk: 64MiB",
            "disk: 32MiB, fsync: interval, compression: zstd".to_owned(),
        ),
        ("disk: 64MiB", "disk: 8MiB".to_owned()),
        ("memory: 16KiB", "memory: 1MiB".to_owned()),
    ];
    scene.send(&mut stream, BACKLOG);
    wait_on_disk(&service, scene.sent);
    for (from, to) in &changes {
        assert!(first.contains(from), "{from}");
        service.reload(&first.replacen(from, to, 1), true);
        scene.send(&mut stream, 10);
        wait_on_disk(&service, scene.sent);
        if to.contains("32MiB") {
            wait_for("the new size", || {
                let page = get(service.http, "/metrics").1;
                let max = page.lines().find(|l| {
                    l.starts_with("tflog_buffer_max_size_bytes")
                        && l.contains("component_id=\"out\"")
                        && l.contains("disk")
                });
                max.filter(|l| l.ends_with(&format!(" {}", 32 << 20)))
                    .map(drop)
            });
        }
    }
    let got = collect(scene.far);
    scene.wait_for_all(&got);
    scene.send(&mut stream, 10);
    scene.wait_for_all(&got);
    let (stderr, _directory) = service.stop();
    assert!(!stderr.contains("panicked"), "{stderr}");
}

/// A sink that is written otherwise takes over the log of the one before: what it
/// needs of events is read from what is there, in memory and on disk.
#[test]
fn a_changed_sink_takes_over_the_log() {
    let mut scene = Scene::new();
    let mut service = Service::start(|directory| scene.config(directory, &scene.away(SMALL), ""));
    let directory = service.directory.path().to_owned();
    let mut stream = connect(scene.net);
    scene.send(&mut stream, BACKLOG);
    wait_on_disk(&service, scene.sent);
    let to_files = format!(
        "out: {{ url: 'file://{}/{{user}}', encode: raw, buffer: {{ {SMALL} }} }}",
        directory.display()
    );
    service.reload(&scene.config(&directory, &to_files, ""), true);
    scene.send(&mut stream, 10);
    let wait_for_files = |service: &Service, scene: &Scene| {
        for (which, user) in ["ann", "bob"].into_iter().enumerate() {
            let wanted: Vec<_> = (which..scene.sent).step_by(2).map(line).collect();
            wait_for("the lines", || {
                (lines(&service.path(user)).len() >= wanted.len()).then_some(())
            });
            assert_eq!(lines(&service.path(user)), wanted);
        }
    };
    wait_for_files(&service, &scene);
    // It lives on when other fields are wanted before its own.
    let routes = "routes: [ { when: n == -1, drop: true }, { to: out } ]";
    service.reload(&scene.config(&directory, &to_files, routes), true);
    scene.send(&mut stream, 10);
    wait_for_files(&service, &scene);
    wait_on_disk(&service, 0);
    service.stop();
}

/// From memory onto the disk, back into memory, and onto the disk again: what
/// waits comes along, in order and once.
#[test]
fn a_buffer_moves_onto_the_disk_and_off_it() {
    let mut scene = Scene::new();
    // However the lines are batched: a batch of a few kilobytes keeps its chunk.
    let in_memory = scene.away("memory: 16MiB");
    let mut service = Service::start(|directory| scene.config(directory, &in_memory, ""));
    let directory = service.directory.path().to_owned();
    let mut stream = connect(scene.net);
    scene.send(&mut stream, BACKLOG);
    wait_for("memory", || {
        let (memory, sending) = waiting(&service);
        (memory + sending == BACKLOG as u64).then_some(())
    });
    let on_disk = scene.away(SMALL);
    service.reload(&scene.config(&directory, &on_disk, ""), true);
    wait_on_disk(&service, BACKLOG);
    let config = directory.join("tflog.yaml");
    let (code, listed) = buffer("verify", &config);
    assert_eq!(code, Some(0), "{listed}");
    // Back into memory with a backlog on disk, and lines that come behind it.
    service.reload(&scene.config(&directory, &in_memory, ""), true);
    scene.send(&mut stream, BACKLOG);
    // It has not ended: the same goes on.
    service.reload(&scene.config(&directory, &on_disk, ""), true);
    wait_on_disk(&service, scene.sent);
    service.reload(&scene.config(&directory, &in_memory, ""), true);
    scene.send(&mut stream, BACKLOG);
    let got = collect(scene.far);
    scene.wait_for_all(&got);
    // By now it has: another follows.
    scene.send(&mut stream, 10);
    scene.wait_for_all(&got);
    service.reload(&scene.config(&directory, &on_disk, ""), true);
    scene.send(&mut stream, 10);
    scene.wait_for_all(&got);
    let (_stderr, directory) = service.stop();
    std::fs::write(&config, scene.config(directory.path(), &on_disk, "")).unwrap();
    let (_, listed) = buffer("ls", &config);
    assert!(listed.contains("out"), "{listed}");
}

/// What is in the buffer of a sink that is removed and cannot be reached stays on
/// disk, the log says so, and the sink gets it when it is back.
#[test]
fn the_backlog_of_a_removed_sink_is_kept_until_it_is_back() {
    let mut scene = Scene::new();
    let away = scene.away(SMALL);
    let both = |directory: &Path, scene: &Scene| {
        let to = format!(
            "{away}\n  plain: 'file://{}/plain?encode=raw'",
            directory.display()
        );
        scene.config(directory, &to, "")
    };
    let mut service = Service::start(|directory| both(directory, &scene));
    let directory = service.directory.path().to_owned();
    let mut stream = connect(scene.net);
    scene.send(&mut stream, BACKLOG);
    wait_on_disk(&service, BACKLOG);
    let plain = format!("plain: 'file://{}/plain?encode=raw'", directory.display());
    service.reload(&scene.config(&directory, &plain, ""), true);
    stream.write_all(b"not for out\n").unwrap();
    wait_for("plain", || {
        (lines(&service.path("plain")).len() > BACKLOG).then_some(())
    });
    // While the one before has not let go yet, and again later.
    service.reload(&both(&directory, &scene), true);
    scene.send(&mut stream, 10);
    wait_on_disk(&service, scene.sent);
    let got = collect(scene.far);
    scene.wait_for_all(&got);
    let (stderr, _directory) = service.stop();
    assert!(
        stderr.contains("its disk buffer still holds events"),
        "{stderr}"
    );
    assert!(
        stderr.contains("delivering what an earlier run left"),
        "{stderr}"
    );
}
