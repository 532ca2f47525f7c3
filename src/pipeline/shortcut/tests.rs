//! What may take the shortcut, and what may not overtake.

use futures_util::FutureExt;

use super::super::entrance::Entrance;
use super::super::lanes::Lanes;
use super::super::queue::Reservoir;
use super::super::router::{InForce, Lane, Scratch};
use super::super::with::Lists;
use super::*;
use crate::event::{Batch, Chunk, ColumnKind, Needs, Path, Share, Stream, Timestamp};
use crate::parse::Formats;
use crate::parse::json::Json;
use crate::route::{RouteSpec, Table, Target, When};
use crate::seam::World;
use crate::source::Inlet;
use crate::telemetry::{Ledger, Quota, Sent, SourceReport, WhenFull};

/// A router to one sink that has room for one batch at a time, which finds `needs` in
/// its lines.
fn router(ledger: &Arc<Ledger>, sink: &Reservoir, mut needs: Needs) -> Router {
    let everything = RouteSpec {
        name: "all".to_owned(),
        from: None,
        when: When::Always,
        to: Target::Sinks(vec![0]),
        go_on: false,
    };
    let table = Table::compile(vec![everything], None, 1, &mut needs).unwrap();
    let formats = Formats::build("auto", &needs, |needs| Box::new(Json::build(needs))).unwrap();
    let lane = Lane {
        buffer: sink.inbox.clone(),
        required: true,
        _user: sink.user(),
    };
    Router {
        source: 0,
        place: 0,
        lanes: Lanes::new(Arc::new(formats)),
        plan: Arc::new(InForce {
            table: Arc::new(table),
            sinks: Box::new([lane]),
            places: Arc::default(),
        }),
        ledger: ledger.clone(),
        report: Arc::new(SourceReport {
            ledger: ledger.clone(),
            source: 0,
        }),
        lists: Lists::default(),
        clock: World::simulated(Timestamp(0), 7).clock,
        parses_at_once: false,
        scratch: Scratch::default(),
    }
}

fn batch(line: &[u8]) -> Batch {
    let mut chunk = Box::new(Chunk::default());
    chunk.text.extend_from_slice(line);
    chunk.ends.push(line.len() as u32);
    let stream = Stream {
        source: 0,
        origin: 1,
        meta: Vec::new(),
    };
    Batch::new(Arc::new(stream), 0, Timestamp(0), chunk, Arc::default())
}

/// What the sink gets next, delivered; nothing if its queue is empty.
fn deliver(ledger: &Ledger, sink: &Reservoir) -> Option<Vec<u8>> {
    let (share, demand) = sink.buffer.try_pop()?;
    ledger.send(0, demand.events);
    ledger.deliver(0, demand, Sent::default());
    Some(share.batch.text().to_vec())
}

/// The first is routed before its stage has run at all. The second waits for
/// room, and the third, for which there would be room, behind it.
#[tokio::test(start_paused = true)]
async fn what_is_routed_at_once_never_overtakes_what_waits() {
    let room_for_one = Quota {
        bytes_max: 1,
        when_full: WhenFull::Block,
    };
    let ledger = Ledger::new(1, 1, vec![room_for_one]);
    let sink = Reservoir::new(false);
    let shortcut = Shortcut::new(router(&ledger, &sink, Needs::default()));
    let (entrance, arrivals) = Entrance::new(0, ledger.clone(), &shortcut);
    assert!(entrance.try_send(batch(b"a\n")).is_ok());
    assert!(entrance.try_send(batch(b"b\n")).is_ok());
    assert_eq!(deliver(&ledger, &sink).unwrap(), b"a\n");
    assert!(entrance.try_send(batch(b"c\n")).is_ok());
    assert_eq!(deliver(&ledger, &sink), None);

    let (_turns, turns) = mpsc::channel(1);
    let mut stage = Box::pin(shortcut.run(arrivals, turns));
    assert!(stage.as_mut().now_or_never().is_none());
    assert_eq!(deliver(&ledger, &sink).unwrap(), b"b\n");
    assert!(stage.as_mut().now_or_never().is_none());
    // With nothing before it, the next is routed at once again.
    assert_eq!(deliver(&ledger, &sink).unwrap(), b"c\n");
    assert!(entrance.try_send(batch(b"d\n")).is_ok());
    assert_eq!(deliver(&ledger, &sink).unwrap(), b"d\n");
    drop(entrance);
    assert_eq!(stage.now_or_never(), Some(()));
    assert_eq!(ledger.snapshot().violations_at_end(), [""; 0]);
}

/// Only with few processors, and once its turn comes as well.
#[tokio::test(start_paused = true)]
async fn lines_are_parsed_by_who_reads_them_or_by_the_stage() {
    let mut needs = Needs::default();
    needs.slot(&Path::of("level"), ColumnKind::Level);
    let parsed = |share: Share| share.batch.columns().has(&needs, share.batch.rows());
    for parses_at_once in [true, false] {
        let room_for_one = Quota {
            bytes_max: 1,
            when_full: WhenFull::Block,
        };
        let ledger = Ledger::new(1, 1, vec![room_for_one]);
        let sink = Reservoir::new(false);
        let mut router = router(&ledger, &sink, needs.clone());
        router.parses_at_once = parses_at_once;
        let shortcut = Shortcut::new(router);
        let (entrance, arrivals) = Entrance::new(0, ledger.clone(), &shortcut);
        for line in [&b"{\"level\":1}\n"[..], b"{\"level\":2}\n"] {
            assert!(entrance.try_send(batch(line)).is_ok());
        }
        drop(entrance);
        let mut taken = sink.buffer.try_pop();
        assert_eq!(taken.is_some(), parses_at_once);
        let (_turns, turns) = mpsc::channel(1);
        let mut stage = Box::pin(shortcut.run(arrivals, turns));
        let mut ended = None;
        for _ in 0..2 {
            ended = ended.or_else(|| stage.as_mut().now_or_never());
            let (share, demand) = taken.take().or_else(|| sink.buffer.try_pop()).unwrap();
            assert!(parsed(share));
            ledger.send(0, demand.events);
            ledger.deliver(0, demand, Sent::default());
        }
        assert_eq!(ended.or_else(|| stage.now_or_never()), Some(()));
    }
}
