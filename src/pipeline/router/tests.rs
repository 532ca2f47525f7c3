//! A router that fails while its lists hold events.

use std::time::Duration;

use futures_util::FutureExt;

use super::super::entrance::Entrance;
use super::super::shortcut::Shortcut;
use super::*;
use crate::event::{Chunk, Needs, Path, Stream, Timestamp};
use crate::parse::Formats;
use crate::parse::json::Json;
use crate::pipeline::{Editor, Withs};
use crate::seam::World;
use crate::sink::encode::{Encoder, Options};
use crate::source::Inlet;
use crate::telemetry::SourceReport;
use crate::transform::reduce::Bounds;
use crate::transform::{List, Reduce};

/// What is held is abandoned with its holder, once, and the equations hold.
#[tokio::test(start_paused = true)]
async fn what_is_held_when_a_router_goes_is_abandoned() {
    let ledger = Ledger::new(1, 0, Vec::new());
    let mut needs = Needs::default();
    let bounds = Bounds {
        within: Duration::from_secs(10),
        idle: None,
        events_max: None,
        keys_max: 10,
        bytes_max: 1 << 20,
    };
    let mut list = List::default();
    let reduce = Reduce::new(&[Path::of("k")], bounds, &[], None, None, &mut needs);
    list.push(None, Box::new(reduce));
    let table = Table::compile(Vec::new(), None, 0, &mut needs).unwrap();
    let encoder = Encoder::build("json", Options::default(), &mut needs).unwrap();
    let formats = || Formats::build("json", &needs, |needs| Box::new(Json::build(needs))).unwrap();
    let withs = Withs {
        sources: vec![list],
        editor: Some(Editor {
            formats: formats(),
            encoder,
        }),
        ..Withs::default()
    };
    let router = Router {
        source: 0,
        place: 0,
        lanes: Lanes::new(Arc::new(formats())),
        plan: Arc::new(InForce {
            table: Arc::new(table),
            sinks: Box::default(),
            places: Arc::default(),
        }),
        ledger: ledger.clone(),
        report: Arc::new(SourceReport {
            ledger: ledger.clone(),
            source: 0,
        }),
        lists: withs.lists(0),
        clock: World::simulated(Timestamp(0), 7).clock,
        parses_at_once: false,
        scratch: Scratch::default(),
    };
    let shortcut = Shortcut::new(router);
    let (entrance, arrivals) = Entrance::new(0, ledger.clone(), &shortcut);
    let mut chunk = Box::new(Chunk::default());
    chunk
        .text
        .extend_from_slice(b"{\"k\":1}\n{\"k\":2}\n{\"k\":1}\n");
    chunk.ends.extend([8, 16, 24]);
    let stream = Stream {
        source: 0,
        origin: 1,
        meta: Vec::new(),
    };
    let batch = Batch::new(Arc::new(stream), 0, Timestamp(0), chunk, Arc::default());
    assert!(entrance.try_send(batch).is_ok());
    let mut run = Box::pin(shortcut.run(arrivals, tokio::sync::mpsc::channel(1).1));
    assert!(run.as_mut().now_or_never().is_none());
    let snapshot = ledger.snapshot();
    assert_eq!(snapshot.violations(), [""; 0]);
    assert_eq!(
        (snapshot.sources[0].with.held, snapshot.sources[0].open),
        (3, 3)
    );
    drop(run);
    let snapshot = ledger.snapshot();
    assert_eq!(snapshot.violations_at_end(), [""; 0]);
    let source = &snapshot.sources[0];
    assert_eq!((source.with.dropped, source.dropped.abandoned), (3, 3));
}
