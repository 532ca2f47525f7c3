//! Opens the logs of a plan, and says what lies there that no sink takes.

use std::path::Path;
use std::sync::Arc;

use tokio::sync::watch;

use super::record::Settlements;
use super::restore::Restore;
use super::{DiskBuffer, Spool, Spooling, disk_terms};
use crate::buffer::disk::{Backlog, Log, OpenError, Options, Reader};
use crate::event::Needs;
use crate::parse::json::Json;
use crate::parse::{Formats, Parser};
use crate::pipeline::queue::Reservoir;
use crate::pipeline::{Pipeline, Plan, StartError};
use crate::seam::{StateDirectory, World};
use crate::telemetry::WhenFull;

/// What reads the lines of records, source by source.
pub(super) struct Parsers {
    pub(super) names: Arc<[String]>,
    pub(super) formats: Vec<Arc<Formats>>,
    /// For lines of sources that are not in the plan any more.
    pub(super) unknown: Arc<Formats>,
    pub(super) json: Arc<Formats>,
}

impl Parsers {
    fn of(plan: &Plan) -> Parsers {
        let build = |name: &str| {
            let json = |needs: &Needs| -> Box<dyn Parser> { Box::new(Json::build(needs)) };
            // Formats of ours, which `parse`'s tests build.
            Arc::new(Formats::build(name, &plan.needs, json).expect("a format of tflog"))
        };
        let names = plan.sources.iter().map(|s| s.labels.id.clone());
        Parsers {
            names: names.collect(),
            formats: plan.sources.iter().map(|s| s.formats.clone()).collect(),
            unknown: build("auto"),
            json: build("json"),
        }
    }
}

/// The opened logs of a plan, by the place of their sink.
#[derive(Default)]
pub(in crate::pipeline) struct Buffers {
    opened: Vec<Option<Opened>>,
    /// Where there is one.
    parsers: Option<Arc<Parsers>>,
}

struct Opened {
    log: Log,
    reader: Reader,
    backlog: Backlog,
    disk: DiskBuffer,
    when_full: WhenFull,
}

impl Buffers {
    /// Opens the logs of the plan's sinks, whose state directory is locked.
    pub(in crate::pipeline) fn open(plan: &Plan, world: &World) -> Result<Buffers, StartError> {
        let mut opened = Vec::new();
        for sink in &plan.sinks {
            let disk = sink.disk.zip(plan.state.as_ref());
            let log = disk.map(|(disk, state)| {
                let name = &sink.labels.id;
                let opened = open(state, name, disk, world);
                let (log, reader, backlog) = opened.map_err(|error| StartError::Buffer {
                    name: name.clone(),
                    error,
                })?;
                tell(name, &backlog);
                Ok::<_, StartError>(Opened {
                    log,
                    reader,
                    backlog,
                    disk,
                    when_full: sink.quota.when_full,
                })
            });
            opened.push(log.transpose()?);
        }
        let any = opened.iter().any(Option::is_some);
        if let Some(state) = &plan.state {
            tell_of_others(plan, state, world);
        }
        let parsers = any.then(|| Arc::new(Parsers::of(plan)));
        Ok(Buffers { opened, parsers })
    }

    /// Whether the sink at that place in the plan has a log.
    pub(in crate::pipeline) fn has(&self, place: usize) -> bool {
        self.opened.get(place).is_some_and(Option::is_some)
    }

    /// Starts the stage between a sink's inbox and what its driver takes from, if
    /// it has a log. `slot` is its place in the ledger.
    pub(in crate::pipeline) fn start(
        &mut self,
        place: usize,
        slot: usize,
        name: &str,
        reservoir: &Reservoir,
        pipeline: &Pipeline,
    ) -> std::io::Result<Option<Spooling>> {
        let opened = self.opened.get_mut(place).and_then(Option::take);
        let (Some(opened), Some(parsers)) = (opened, &self.parsers) else {
            return Ok(None);
        };
        let ledger = &pipeline.ledger;
        let Opened {
            log,
            reader,
            backlog,
            disk,
            when_full,
        } = opened;
        let terms = disk_terms(&log.stats(), disk.bytes_max);
        ledger.recover(slot, backlog.events, terms);
        let spool = Spool {
            sink: slot,
            name: name.into(),
            settlements: Settlements::new(log.settlement()),
            committed: log.last(),
            log,
            reader,
            restore: Restore::new(parsers.clone()),
            ledger: ledger.clone(),
            inbox: reservoir.inbox.clone(),
            outbox: reservoir.buffer.clone(),
            when_full,
            disk,
            cut_off: pipeline.control.cut_off(),
            sources: parsers.names.clone(),
            group: Vec::new(),
            pending: None,
            said: None,
            next: 1,
            // A new reader stands at the first record that is not settled.
            seeked: true,
            closed: false,
            stopped: false,
            due: None,
        };
        let name: Arc<str> = name.into();
        let (finish, finishing) = watch::channel(false);
        let stage = pipeline
            .world
            .spawn
            .stage(&format!("disk-{name}"), spool.run(finishing))?;
        Ok(Some(Spooling {
            name,
            stage,
            finish,
        }))
    }
}

fn open(
    state: &StateDirectory,
    name: &str,
    disk: DiskBuffer,
    world: &World,
) -> Result<(Log, Reader, Backlog), OpenError> {
    let options = Options {
        bytes_max: disk.bytes_max,
        segment_bytes: None,
        compression: disk.compression,
        random: world.random.clone(),
    };
    let directory = Path::new(StateDirectory::BUFFERS).join(name);
    let (log, backlog) = Log::open(&*state.disk(), state.path(), &directory, options)?;
    let reader = log.reader().map_err(|error| OpenError::Io {
        path: error.path,
        source: error.source,
    })?;
    Ok((log, reader, backlog))
}

/// Says what an earlier run left.
fn tell(sink: &str, backlog: &Backlog) {
    if backlog.events > 0 || backlog.torn_bytes > 0 {
        tracing::info!(
            sink,
            events = backlog.events,
            torn_bytes = backlog.torn_bytes,
            "delivering what an earlier run left on disk"
        );
    }
}

/// Says which buffers no sink of the plan takes: they are kept.
fn tell_of_others(plan: &Plan, state: &StateDirectory, world: &World) {
    // No directory, no buffers.
    let listed = state
        .part("")
        .and_then(|root| root.list(Path::new(StateDirectory::BUFFERS)));
    let Ok(names) = listed else {
        return;
    };
    let taken = |name: &str| {
        let mut sinks = plan.sinks.iter();
        sinks.any(|sink| sink.labels.id == name && sink.disk.is_some())
    };
    for name in names.iter().filter_map(|name| name.to_str()) {
        if taken(name) {
            continue;
        }
        let disk = DiskBuffer {
            bytes_max: u64::MAX,
            fsync: super::Fsync::Ack,
            compression: crate::buffer::disk::Compression::None,
        };
        let directory = state.path().join(StateDirectory::BUFFERS).join(name);
        match open(state, name, disk, world) {
            Ok((_, _, backlog)) if backlog.events == 0 => {}
            Ok((_, _, backlog)) => tracing::warn!(
                sink = name,
                events = backlog.events,
                "{} holds events, and no sink `{name}` has a disk buffer: they are kept; bring the \
                 sink back to deliver them, or remove the directory",
                directory.display()
            ),
            Err(error) => tracing::warn!(sink = name, "{error}"),
        }
    }
}
