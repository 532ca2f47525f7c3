//! A dead letter that its sink lets go for want of room is done with: what is on
//! disk of it is not delivered again.

use std::sync::Arc;
use std::time::Duration;

use tflog::event::{Chunk, Timestamp};
use tflog::pipeline::Pipeline;
use tflog::seam::{FaultyDisk, World};
use tflog::sink::{Load, Sink, SinkError, SinkFuture, Written};
use tflog::source::{Outlet, Source, SourceFuture, Stop};
use tflog::telemetry::Snapshot;

use crate::accounting::plan_of;

const CONFIG: &str = "
state: /state
sources: { app: stdin }
routes: [ { when: 'to == k', to: kept }, { to: dead } ]
sinks:
  kept: { url: 'blackhole:', required: false, dead_letter: dead, buffer: { disk: 8MiB } }
  dead: { url: 'blackhole:', required: false, when_full: drop_oldest, buffer: { memory: 1KiB } }
";

/// One event a second.
struct Lines(Vec<String>);

impl Source for Lines {
    fn run(self: Box<Self>, outlet: Outlet, _stop: Stop) -> SourceFuture<'static> {
        Box::pin(async move {
            let stream = outlet.stream(Vec::new());
            for (at, line) in self.0.iter().enumerate() {
                let mut chunk = Box::new(Chunk::default());
                chunk.text.extend_from_slice(line.as_bytes());
                chunk.ends.push(line.len() as u32);
                outlet.send(&stream, at as u64 * 1000, chunk).await?;
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
            Ok(())
        })
    }
}

/// Refuses what it gets.
struct Refuses;

impl Sink for Refuses {
    fn write<'a>(&'a mut self, _load: &'a Load) -> SinkFuture<'a, Written> {
        let message = "no".into();
        Box::pin(async move { Err(SinkError::Reject { message }) })
    }
}

/// Takes an hour for each load.
struct Slow;

impl Sink for Slow {
    fn write<'a>(&'a mut self, _load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_hours(1)).await;
            Ok(Written::default())
        })
    }
}

/// A run with these lines, on a disk that outlives it.
async fn run(disk: &FaultyDisk, lines: Vec<String>) -> Snapshot {
    let world = World {
        disk: Arc::new(disk.clone()),
        ..World::simulated(Timestamp(0), 7)
    };
    let mut plan = plan_of(CONFIG, Lines(lines), &world);
    plan.sinks[0].sink = Box::new(Refuses);
    plan.sinks[1].sink = Box::new(Slow);
    let pipeline = Pipeline::start(plan, &world).await.expect("it starts");
    let report = pipeline.finish().await;
    assert_eq!(report.failures, [""; 0]);
    assert_eq!(report.snapshot.violations_at_end(), [""; 0]);
    report.snapshot
}

/// The dead letter of a record waits behind what its sink is busy with, and is
/// dropped as the oldest there: the next run finds no record.
#[tokio::test(start_paused = true)]
async fn a_dead_letter_that_is_dropped_is_not_sent_again() {
    let disk = FaultyDisk::default();
    let filler = |n: u32| format!("{{\"n\":{n},\"text\":\"{:=<80}\"}}\n", "");
    let mut lines: Vec<String> = (0..3).map(filler).collect();
    lines.push("{\"to\":\"k\"}\n".to_owned());
    lines.extend((3..30).map(filler));
    let first = run(&disk, lines).await;
    assert_eq!(first.sinks[0].dead_lettered, 1);
    assert!(first.sinks[1].dropped.buffer_full > 10);
    let second = run(&disk, Vec::new()).await;
    assert_eq!(second.sinks[0].recovered, 0, "{:?}", second.sinks[0]);
}
