//! Disk buffers on a disk that fails and loses power, on one thread under a
//! paused clock.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tflog::buffer::disk::Compression;
use tflog::event::{Chunk, EventId, Settled, Tally, Timestamp};
use tflog::pipeline::{DiskBuffer, Fsync, Pipeline, Plan};
use tflog::seam::{FaultyDisk, StateDirectory, World};
use tflog::sink::{Load, Sink, SinkError, SinkFuture, Written};
use tflog::source::{Outlet, Source, SourceFuture, Stop};
use tflog::telemetry::{Snapshot, WhenFull};

use crate::accounting::plan;

/// What a source heard of its batches.
#[derive(Debug, Default)]
struct Heard(Mutex<Tally>);

impl Settled for Heard {
    fn settled(&self, tally: Tally) {
        let mut all = self.0.lock().unwrap();
        all.accepted += tally.accepted;
        all.returned += tally.returned;
    }
}

impl Heard {
    fn accepted(&self) -> u64 {
        self.0.lock().unwrap().accepted
    }
}

/// Sends batches of three lines and waits for their ends.
struct Awaited {
    batches: usize,
    heard: Arc<Heard>,
}

impl Source for Awaited {
    fn run(self: Box<Self>, outlet: Outlet, _stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            let stream = outlet.stream(Vec::new());
            for i in 0..self.batches {
                let mut chunk = Box::new(Chunk::default());
                for line in 0..3 {
                    let text = format!("batch {i} line {line}\n");
                    chunk.text.extend_from_slice(text.as_bytes());
                    chunk.ends.push(chunk.text.len() as u32);
                }
                let heard = self.heard.clone();
                outlet
                    .send_awaited(&stream, i as u64 * 1000, chunk, heard)
                    .await?;
            }
            Ok(())
        })
    }
}

type Got = Arc<Mutex<Vec<(EventId, String)>>>;

/// Records what it gets, or is down.
struct Far {
    got: Got,
    down: bool,
}

impl Sink for Far {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(async move {
            if self.down {
                return Err(SinkError::Retry {
                    message: "down".into(),
                    after: None,
                });
            }
            assert!(load.wait, "what settles a record is to be durable");
            load.for_each(|_, batch, row| {
                let line = String::from_utf8_lossy(batch.line(row)).into_owned();
                self.got.lock().unwrap().push((batch.id(row), line));
            });
            Ok(Written::default())
        })
    }
}

fn buffered(source: impl Source + 'static, sink: impl Sink + 'static, disk: &FaultyDisk) -> Plan {
    let mut plan = plan(source, sink);
    plan.state = Some(StateDirectory::new("/state", Arc::new(disk.clone())));
    plan.sinks[0].disk = Some(DiskBuffer {
        bytes_max: 8 << 20,
        fsync: Fsync::Ack,
        compression: Compression::None,
    });
    plan.grace = Duration::from_secs(10);
    plan
}

/// Runs a plan; stops it after `stop`, if that is said.
async fn run(plan: Plan, disk: &FaultyDisk, stop: Option<Duration>) -> Snapshot {
    let world = World {
        disk: Arc::new(disk.clone()),
        ..World::simulated(Timestamp(0), 7)
    };
    let pipeline = Pipeline::start(plan, &world).await.expect("it starts");
    let control = pipeline.control();
    if let Some(after) = stop {
        tokio::spawn(async move {
            tokio::time::sleep(after).await;
            control.stop();
        });
    }
    let report = pipeline.finish().await;
    assert_eq!(report.failures, [""; 0]);
    assert_eq!(report.snapshot.violations_at_end(), [""; 0]);
    report.snapshot
}

fn far(down: bool) -> (Far, Got) {
    let got = Got::default();
    (
        Far {
            got: got.clone(),
            down,
        },
        got,
    )
}

/// What a source heard to be kept outlives failed syncs, a stop and a loss of
/// power, and is delivered once, in order, by the next run.
#[tokio::test(start_paused = true)]
async fn what_is_kept_outlives_failed_syncs_and_a_loss_of_power() {
    const BATCHES: usize = 500;
    for failing in [0, 1, 7] {
        let disk = FaultyDisk::default();
        let heard = Arc::new(Heard::default());
        let source = Awaited {
            batches: BATCHES,
            heard: heard.clone(),
        };
        let (down, _) = far(true);
        let plan = buffered(source, down, &disk);
        let faults = disk.clone();
        let telling = heard.clone();
        tokio::spawn(async move {
            // Amid the stream: some batches are kept already.
            while telling.accepted() < 300 {
                tokio::task::yield_now().await;
            }
            faults.fail_syncs(failing);
        });
        let snapshot = run(plan, &disk, Some(Duration::from_mins(1))).await;
        assert_eq!(heard.accepted(), 3 * BATCHES as u64);
        let terms = &snapshot.sinks[0];
        assert_eq!(terms.queued_disk, 3 * BATCHES as u64, "{terms:?}");
        assert_eq!(terms.dropped.total(), 0, "{terms:?}");
        assert_eq!(snapshot.lost(), 0);
        assert_eq!(
            terms.disk.unwrap().failures > 0,
            failing > 0,
            "{failing}: {terms:?}"
        );
        disk.crash();
        let nothing = Awaited {
            batches: 0,
            heard: Arc::default(),
        };
        let (up, got) = far(false);
        let snapshot = run(buffered(nothing, up, &disk), &disk, None).await;
        assert_eq!(snapshot.sinks[0].recovered, 3 * BATCHES as u64);
        assert_eq!(snapshot.sinks[0].delivered, 3 * BATCHES as u64);
        let got = got.lock().unwrap();
        let lines: Vec<_> = got.iter().map(|(_, line)| line.clone()).collect();
        let sent: Vec<_> = (0..3 * BATCHES)
            .map(|i| format!("batch {} line {}", i / 3, i % 3))
            .collect();
        assert_eq!(lines, sent);
        let mut ids: Vec<_> = got.iter().map(|(id, _)| *id).collect();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), 3 * BATCHES, "an id each");
    }
}

/// What an earlier run left is counted from the first moment on: whoever asks as
/// soon as a listener answers sees no empty buffer.
#[tokio::test(start_paused = true)]
async fn a_backlog_is_counted_before_anybody_can_ask() {
    let disk = FaultyDisk::default();
    let source = Awaited {
        batches: 20,
        heard: Arc::default(),
    };
    let (down, _) = far(true);
    let minute = Some(Duration::from_mins(1));
    run(buffered(source, down, &disk), &disk, minute).await;
    let nothing = Awaited {
        batches: 0,
        heard: Arc::default(),
    };
    let (up, _) = far(false);
    let world = World {
        disk: Arc::new(disk.clone()),
        ..World::simulated(Timestamp(0), 7)
    };
    let plan = buffered(nothing, up, &disk);
    let pipeline = Pipeline::start(plan, &world).await.expect("it starts");
    let terms = pipeline.monitor().snapshot().sinks.swap_remove(0);
    assert_eq!((terms.recovered, terms.queued_disk), (60, 60), "{terms:?}");
    assert!(terms.disk.is_some_and(|disk| disk.bytes > 0), "{terms:?}");
    let report = pipeline.finish().await;
    assert_eq!(report.snapshot.sinks[0].delivered, 60);
}

/// A sync that fails keeps the source waiting, and the disk's recovery frees it.
#[tokio::test(start_paused = true)]
async fn nothing_is_kept_before_it_is_synced() {
    let disk = FaultyDisk::default();
    let heard = Arc::new(Heard::default());
    let source = Awaited {
        batches: 5,
        heard: heard.clone(),
    };
    let (up, got) = far(false);
    let plan = buffered(source, up, &disk);
    let world = World {
        disk: Arc::new(disk.clone()),
        ..World::simulated(Timestamp(0), 7)
    };
    let pipeline = Pipeline::start(plan, &world).await.expect("it starts");
    disk.fail_syncs(u32::MAX);
    let run = tokio::spawn(pipeline.finish());
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(heard.accepted(), 0);
    assert!(got.lock().unwrap().is_empty());
    disk.fail_syncs(0);
    let report = run.await.unwrap();
    assert_eq!(heard.accepted(), 15);
    assert_eq!(got.lock().unwrap().len(), 15);
    assert_eq!(report.snapshot.violations_at_end(), [""; 0]);
}

/// A disk without space holds a required sink's source up, and a best-effort
/// one's not; what was dropped is counted.
#[tokio::test(start_paused = true)]
async fn a_full_disk_blocks_or_drops_as_the_sink_says() {
    for required in [true, false] {
        let disk = FaultyDisk::default();
        let heard = Arc::new(Heard::default());
        let source = Awaited {
            batches: 50,
            heard: heard.clone(),
        };
        let (down, _) = far(true);
        let mut plan = buffered(source, down, &disk);
        plan.sinks[0].required = required;
        if !required {
            plan.sinks[0].quota.when_full = WhenFull::DropNewest;
        }
        let faults = disk.clone();
        tokio::spawn(async move { faults.set_room(Some(4096)) });
        let snapshot = run(plan, &disk, Some(Duration::from_mins(1))).await;
        let (source, terms) = (&snapshot.sources[0], &snapshot.sinks[0]);
        assert_eq!(source.received, 150);
        if required {
            assert!(source.returned > 0, "{source:?}");
            assert_eq!(source.accepted, terms.queued_disk, "{snapshot:?}");
            assert_eq!(terms.returned, source.returned);
            assert_eq!(heard.accepted(), source.accepted);
        } else {
            assert_eq!(source.best_effort, 150);
            assert!(terms.dropped.buffer_full > 0, "{terms:?}");
            assert_eq!(terms.dropped.buffer_full + terms.queued_disk, 150);
        }
    }
}

/// Records that the disk did not keep are a loss that is counted, and the
/// others are delivered.
#[tokio::test(start_paused = true)]
async fn what_the_disk_did_not_keep_is_counted_as_lost() {
    let disk = FaultyDisk::default();
    let source = Awaited {
        batches: 20,
        heard: Arc::default(),
    };
    let (down, _) = far(true);
    run(
        buffered(source, down, &disk),
        &disk,
        Some(Duration::from_secs(5)),
    )
    .await;
    let segment = disk
        .paths()
        .into_iter()
        .find(|path| path.extension().is_some_and(|e| e == "segment"))
        .unwrap();
    let mut bytes = disk.read(&segment).unwrap();
    let at = bytes
        .windows(14)
        .position(|w| w == b"batch 7 line 1")
        .unwrap();
    bytes[at] ^= 1;
    disk.put(segment, &bytes);
    let nothing = Awaited {
        batches: 0,
        heard: Arc::default(),
    };
    let (up, got) = far(false);
    let snapshot = run(buffered(nothing, up, &disk), &disk, None).await;
    let terms = &snapshot.sinks[0];
    assert_eq!((terms.recovered, terms.delivered), (60, 57), "{terms:?}");
    assert_eq!(terms.dropped.corrupt, 3);
    assert_eq!(snapshot.lost(), 3);
    assert!(
        !got.lock()
            .unwrap()
            .iter()
            .any(|(_, l)| l.contains("batch 7 "))
    );
}
