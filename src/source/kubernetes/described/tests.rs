//! A `kubernetes` source with `enrich`, on files of its own and against a
//! scripted watch API.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::super::of_containers;
use super::super::scripted_api::{ScriptedApi, Watch, pod};
use super::*;
use crate::seam::{FaultyDisk, Stage, StateDirectory};
use crate::source::record::{Recorder, definition};
use crate::source::{Source, Stop, Stopper};
use crate::telemetry::Gauges;

mod failures;
mod reading;

/// As long as a test may wait for what must happen.
const PATIENCE: Duration = Duration::from_mins(1);

/// A source that runs.
struct Running {
    directory: tempfile::TempDir,
    described: Arc<Described>,
    gauges: Arc<dyn Gauges>,
    recorder: Arc<Recorder>,
    stopper: Stopper,
    stage: Stage<Result<(), SourceError>>,
}

fn formats(name: &str) -> Result<(), String> {
    match name {
        "json" | "combined" => Ok(()),
        _ => Err(format!("`{name}` is no format")),
    }
}

impl Running {
    /// Asks the API at `url`, and waits for pods as long as it is told.
    async fn start(url: &str, wait: &str) -> Running {
        let options =
            json!({ "api": url, "node": "node-1", "wait": wait, "annotations": ["team"] });
        Running::start_with(options).await
    }

    async fn start_with(options: Value) -> Running {
        let directory = tempfile::tempdir().expect("directory");
        let definition = definition("kubernetes", "", json!({ "directory": directory.path() }));
        let options = Options::read(&definition, options).expect("valid");
        let judge = Judge::new(&definition, formats).expect("valid");
        let judge = options.hints.then_some(judge);
        let paths = Paths { own: None };
        let mut described = Described::new(&definition, options, paths, judge);
        described.pace = Pace {
            pause_min: Duration::from_millis(2),
            pause_max: Duration::from_millis(8),
            well: Duration::from_secs(5),
        };
        let described = Arc::new(described);
        let tail = of_containers(&definition, "", "*/*/*.log", described.clone());
        let mut tail = tail.expect("valid");
        tail.keep(StateDirectory::new(
            "/state",
            Arc::new(FaultyDisk::default()),
        ));
        tail.open().await.expect("opened");
        let (recorder, gauges) = (Recorder::new(), tail.gauges());
        let world = World::real(tokio::runtime::Handle::current());
        let (stopper, stop) = Stop::new().expect("pipe");
        let run = Box::new(tail).run(recorder.outlet(world.clone()), stop);
        Running {
            stage: world.spawn.stage("tail", run).expect("thread"),
            directory,
            described,
            gauges: gauges.expect("it has some"),
            recorder,
            stopper,
        }
    }

    /// Writes lines as the runtime would for the container `app`.
    fn write(&self, uid: &str, lines: &[&str]) {
        self.write_to(uid, "app", lines);
    }

    fn write_to(&self, uid: &str, container: &str, lines: &[&str]) {
        let directory = self.directory.path();
        let directory = directory.join(format!("default_pod-{uid}_{uid}/{container}"));
        std::fs::create_dir_all(&directory).expect("made");
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(directory.join("0.log"));
        let mut file = file.expect("opened");
        for line in lines {
            writeln!(file, "2026-11-23T13:32:42.1Z stdout F {line}").expect("written");
        }
    }

    /// What is known of the lines that hold `text`.
    fn known(&self, text: &str, name: &str) -> Option<String> {
        self.recorder.with(|batches| {
            let has = |lines: &[u8]| memchr::memmem::find(lines, text.as_bytes()).is_some();
            let batch = batches.iter().find(|batch| has(&batch.text));
            let batch = batch.unwrap_or_else(|| panic!("no line has {text}"));
            batch.stream.meta(name).map(ToString::to_string)
        })
    }

    fn gauge(&self, name: &str) -> u64 {
        let gauges = self.gauges.read();
        let gauge = gauges.iter().find(|gauge| gauge.name == name);
        gauge.unwrap_or_else(|| panic!("no {name}")).value
    }

    /// Waits until a gauge has that value.
    async fn until(&self, name: &str, value: u64) {
        let end = Instant::now() + PATIENCE;
        while self.gauge(name) != value {
            assert!(Instant::now() < end, "{name} is {}", self.gauge(name));
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    }

    /// Stops; what it keeps of itself is still there.
    async fn stop(self) -> Arc<Described> {
        self.stopper.stop(Instant::now() + PATIENCE);
        self.stage.await.expect("no panic").expect("stopped");
        self.described
    }
}

fn app(name: &str) -> Value {
    json!({ "app": name })
}

/// A source whose API has told of these pods, as of version 10.
async fn watched(pods: &[Value], wait: &str) -> (ScriptedApi, Watch, Running) {
    let mut api = ScriptedApi::start().await;
    let running = Running::start(&api.url(), wait).await;
    api.list().await.pods("10", "", pods).await;
    let watch = api.watch("10").await.begin().await;
    (api, watch, running)
}
