//! kill -9 at any moment: no acknowledged event is lost, and none is altered.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

use crate::harness::{Running, connect, free_address, tflog, wait_for};
use crate::oracle::Received;
use crate::producers::Producers;
use crate::scripted::{Reply, Scripted};
use crate::setting;

/// Clients at once.
const CLIENTS: usize = 4;
/// A process lives so long at most, once it listens.
const LIFE_MILLIS: u64 = 150;

/// Random numbers of a seed: `SplitMix64`.
pub(crate) struct Dice(u64);

impl Dice {
    /// From `CHAOS_SEED`, or one of the clock's that is printed.
    pub(crate) fn new() -> Dice {
        let now = std::time::SystemTime::now();
        let now = now.duration_since(std::time::UNIX_EPOCH).unwrap();
        let seed = setting("CHAOS_SEED", u64::from(now.subsec_nanos()));
        println!("CHAOS_SEED={seed}");
        Dice(seed)
    }

    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// A config that was written, and where its source listens.
pub(crate) struct Setup {
    pub(crate) config: PathBuf,
    pub(crate) address: SocketAddr,
}

impl Setup {
    /// A source of HTTP in front of `sinks`, with a state directory.
    pub(crate) fn new(dir: &Path, sinks: &str) -> Setup {
        let address = free_address();
        let config = dir.join("tflog.yaml");
        let text = format!(
            "http: none:0\nstate: {}\nsources: {{ push: 'http://{address}' }}\nsinks: {sinks}\n",
            dir.join("state").display()
        );
        std::fs::write(&config, text).unwrap();
        Setup { config, address }
    }

    /// tflog, once it listens.
    pub(crate) fn start(&self) -> Running {
        let mut command = tflog(&["-c", self.config.to_str().unwrap()]);
        let running = Running::start(command.stdout(Stdio::null()).stderr(Stdio::null()));
        drop(connect(self.address));
        running
    }
}

/// Kills it `kills` times at random moments of its life, then lets it live: a
/// fresh event is acknowledged, and it ends in good order.
fn kill_often(setup: &Setup, kills: u64, dice: &mut Dice) -> crate::producers::Sent {
    let producers = Producers::start(setup.address, "client", CLIENTS);
    for _ in 0..kills {
        let running = setup.start();
        let end = Instant::now() + Duration::from_millis(dice.below(LIFE_MILLIS));
        while let Some(left) = end.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(left);
        }
        running.signal("KILL");
        drop(running);
    }
    let running = setup.start();
    let mut sent = producers.finish();
    let fresh = Producers::start(setup.address, "fresh", 1);
    std::thread::park_timeout(Duration::from_millis(LIFE_MILLIS));
    let mut fresh = fresh.finish();
    assert!(!fresh.acknowledged.is_empty(), "nothing new is taken");
    sent.all.append(&mut fresh.all);
    sent.acknowledged.append(&mut fresh.acknowledged);
    running.signal("TERM");
    let (status, _) = running.finish();
    assert_eq!(status.code(), Some(0));
    sent
}

/// What was answered 200 is in the file, synced; whatever was cut off in the
/// middle of a line is not.
#[test]
fn a_file_has_what_was_acknowledged_before_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let out = dir.path().join("out.jsonl");
    let setup = Setup::new(
        dir.path(),
        &format!("{{ out: 'file://{}' }}", out.display()),
    );
    let kills = setting("CHAOS_KILLS", 100) / 2;
    let sent = kill_often(&setup, kills, &mut Dice::new());
    let text = std::fs::read_to_string(&out).unwrap();
    let twice = sent.judge("file", &Received::of_lines(&text));
    println!(
        "{kills} kills, {} acknowledged, {twice} twice",
        sent.acknowledged.len()
    );
    assert_eq!(twice, 0, "nothing sends a line again");
}

/// What is in a buffer on disk is delivered by a later process, whatever the far
/// end does meanwhile: two of three requests are refused for now.
#[test]
fn a_disk_buffer_keeps_what_was_acknowledged_before_a_kill() {
    let dir = tempfile::tempdir().unwrap();
    let mut requests = 0;
    let far = Scripted::start(move |_| {
        requests += 1;
        Reply::status(if requests % 3 == 0 { 200 } else { 503 })
    });
    let sinks = format!(
        "{{ out: {{ url: 'http://{}/', buffer: {{ disk: 64MiB }} }} }}",
        far.address()
    );
    let setup = Setup::new(dir.path(), &sinks);
    let kills = setting("CHAOS_KILLS", 100) / 2;
    let sent = kill_often(&setup, kills, &mut Dice::new());
    // What was not delivered by then is so by the next one.
    let running = setup.start();
    let received = || {
        let requests = far.requests();
        let taken = requests
            .iter()
            .enumerate()
            .filter(|(at, _)| (at + 1) % 3 == 0);
        let mut received = Received::default();
        for (_, request) in taken {
            let text = String::from_utf8(request.body.clone()).unwrap();
            text.lines().for_each(|line| received.take_line(line));
        }
        received
    };
    let received = wait_for("all that was acknowledged", || {
        let received = received();
        let has = |(producer, number): &(String, u64)| received.has(producer, *number);
        sent.acknowledged.iter().all(has).then_some(received)
    });
    running.signal("TERM");
    assert_eq!(running.finish().0.code(), Some(0));
    let twice = sent.judge("disk", &received);
    println!(
        "{kills} kills, {} acknowledged, {twice} twice",
        sent.acknowledged.len()
    );
}
