//! A wall clock that is set back and forward by hours: everything goes on as if
//! it had not been.

use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tflog::event::{Chunk, Settled, Tally, Timestamp};
use tflog::pipeline::{Pipeline, Plan};
use tflog::seam::{Clock, FaultyDisk, World};
use tflog::sink::{Load, Sink, SinkError, SinkFuture, Written};
use tflog::source::{Outlet, Source, SourceFuture, Stop};
use tflog::telemetry::Snapshot;

use crate::accounting::plan_of;

/// 2026-11-23 13:32:42 UTC.
const START: Timestamp = Timestamp(1_795_440_762_000_000_000);
/// Events, one every 100 ms: ten minutes.
const EVENTS: u64 = 6_000;
const EVERY: Duration = Duration::from_millis(100);
const AWAITED_EVERY: u64 = 50;
/// The clock jumps so often, by as much as five hours.
const JUMP_EVERY: Duration = Duration::from_secs(17);
const JUMP_MINUTES_MAX: u64 = 5 * 60;

/// Lists and sinks that have to do with time. `file` is rotated by it.
const CONFIG: &str = "
state: /state
sources: { app: stdin }
sinks:
  file: { url: 'file:///logs/all.log', encode: raw, rotate: { time: 1m } }
  kept: { url: 'blackhole:', encode: raw, buffer: { disk: 8MiB } }
  limited: { url: 'blackhole:', encode: raw, with: [ { limit: 5/s } ] }
  by_key: { url: 'blackhole:', encode: raw, with: [ { limit: 30/m, by: key, keys_max: 3 } ] }
  deduped: { url: 'blackhole:', encode: raw, with: [ { dedupe: 10s, by: key } ] }
  reduced: { url: 'blackhole:', encode: raw, with: [ { reduce: 3s, by: key, merge: { n: max } } ] }
";

/// How often a batch ended, and how many events of them were kept.
#[derive(Debug, Default)]
struct Heard(Mutex<(u64, u64)>);

impl Settled for Heard {
    fn settled(&self, tally: Tally) {
        let mut heard = self.0.lock().unwrap();
        heard.0 += 1;
        heard.1 += u64::from(tally.is_kept());
    }
}

/// An event every 100 ms; of some it hears the end.
struct Ticking(Arc<Heard>);

impl Source for Ticking {
    fn run(self: Box<Self>, outlet: Outlet, _stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            let stream = outlet.stream(Vec::new());
            for n in 0..EVENTS {
                let mut chunk = Box::new(Chunk::default());
                let line = format!("{{\"n\":{n},\"key\":\"k{}\"}}\n", n / 7 % 13);
                chunk.text.extend_from_slice(line.as_bytes());
                chunk.ends.push(line.len() as u32);
                // What somebody waits for is not held: most are nobody's.
                if n % AWAITED_EVERY == 0 {
                    let heard = self.0.clone();
                    outlet.send_awaited(&stream, n * 100, chunk, heard).await?;
                } else {
                    outlet.send(&stream, n * 100, chunk).await?;
                }
                tokio::time::sleep(EVERY).await;
            }
            Ok(())
        })
    }
}

/// Records what it gets, and fails now and then.
struct Recorder {
    got: Arc<Mutex<String>>,
    attempts: u64,
}

impl Sink for Recorder {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(async move {
            self.attempts += 1;
            if self.attempts.is_multiple_of(50) {
                return Err(SinkError::Retry {
                    message: "not now".into(),
                    after: None,
                });
            }
            let mut got = self.got.lock().unwrap();
            load.for_each(|_, batch, row| {
                got.push_str(&String::from_utf8_lossy(batch.line(row)));
                got.push('\n');
            });
            Ok(Written::default())
        })
    }
}

fn planned(world: &World, heard: Arc<Heard>) -> (Plan, Vec<Arc<Mutex<String>>>) {
    let mut plan = plan_of(CONFIG, Ticking(heard), world);
    let recorded = plan
        .sinks
        .iter_mut()
        .filter(|sink| &*sink.labels.id != "file");
    let got = recorded.map(|sink| {
        let got = Arc::new(Mutex::new(String::new()));
        sink.sink = Box::new(Recorder {
            got: got.clone(),
            attempts: 0,
        });
        got
    });
    let got = got.collect();
    (plan, got)
}

/// Sets the clock back and forward, for as long as there are events.
async fn tamper(clock: Clock) {
    let mut random = 7_u64;
    loop {
        tokio::time::sleep(JUMP_EVERY).await;
        random = random
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        let minutes = (random >> 33) % (2 * JUMP_MINUTES_MAX);
        let minutes = minutes as i64 - JUMP_MINUTES_MAX as i64;
        clock.jump(minutes * 60_000_000_000);
    }
}

/// The contents of the file and of those that were put aside, in the order of
/// their names, and how many there are.
fn file(disk: &FaultyDisk) -> (String, usize) {
    let order = |path: &Path| {
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        let mut parts = name.strip_prefix("all.log").unwrap().split('.').skip(1);
        // What is not put aside comes last.
        let time = parts.next().unwrap_or("current").to_owned();
        (time, parts.next().map_or(0, |n| n.parse::<u32>().unwrap()))
    };
    let paths = disk.paths().into_iter();
    let mut paths: Vec<_> = paths.filter(|path| path.starts_with("/logs")).collect();
    paths.sort_by_key(|path| order(path));
    let text = paths.iter().map(|path| disk.read(path).unwrap());
    (
        String::from_utf8(text.flatten().collect()).unwrap(),
        paths.len(),
    )
}

/// What all sinks have, the file's last, and in how many files that is.
async fn run(tampered: bool) -> (Vec<String>, usize, Snapshot) {
    let (disk, heard) = (FaultyDisk::default(), Arc::new(Heard::default()));
    let world = World {
        disk: Arc::new(disk.clone()),
        ..World::simulated(START, 7)
    };
    let (plan, got) = planned(&world, heard.clone());
    let pipeline = Pipeline::start(plan, &world).await.expect("it starts");
    let tampering = async {
        if tampered {
            tamper(world.clock.clone()).await;
        }
        std::future::pending::<()>().await;
    };
    let report = tokio::select! {
        report = pipeline.finish() => report,
        () = tampering => unreachable!("it has no end"),
    };
    assert_eq!(report.failures, [""; 0]);
    let awaited = EVENTS / AWAITED_EVERY;
    assert_eq!(*heard.0.lock().unwrap(), (awaited, awaited));
    assert_eq!(report.snapshot.violations_at_end(), [""; 0]);
    let (file, files) = file(&disk);
    let got = got.iter().map(|got| got.lock().unwrap().clone());
    (got.chain([file]).collect(), files, report.snapshot)
}

/// Ten minutes with a clock that jumps every 17 seconds are as ten minutes
/// with one that does not: the same events pass limits, `dedupe` and `reduce`,
/// retries go on, every batch is settled as kept, and files are put aside as
/// often at least, under names that are in the order of what is in them.
#[tokio::test(start_paused = true)]
async fn a_clock_that_jumps_changes_nothing() {
    let (steady, files, _) = run(false).await;
    let (jumping, files_jumping, snapshot) = run(true).await;
    let names = ["kept", "limited", "by_key", "deduped", "reduced", "file"];
    for ((name, steady), jumping) in names.iter().zip(&steady).zip(&jumping) {
        let (lines, wanted) = (jumping.lines().count(), steady.lines().count());
        assert!(
            steady == jumping,
            "{name}: {lines} lines, {wanted} with a steady clock"
        );
    }
    let lines: Vec<_> = steady
        .iter()
        .map(|text| text.lines().count() as u64)
        .collect();
    assert_eq!((lines[0], lines[5]), (EVENTS, EVENTS));
    for (name, lines) in names[1..5].iter().zip(&lines[1..]) {
        assert!((200..EVENTS * 3 / 4).contains(lines), "{name}: {lines}");
    }
    assert!(
        files >= 10 && files_jumping >= files,
        "{files_jumping} files, {files}"
    );
    assert!(snapshot.sinks.iter().any(|sink| sink.retries > 100));
}
