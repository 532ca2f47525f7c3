//! What is appended is read as it was.

use super::fixture::{Op, append, batch, open, options, run};
use crate::buffer::disk::{Compression, Entry, LogError, Read, Record};
use crate::event::{Bits, Rows};
use crate::seam::FaultyDisk;

const SMALL: Op = Op::Append {
    events: 2,
    bytes: 300,
};

#[test]
fn a_batch_comes_back_with_its_rows_ids_and_flags() {
    for compression in [Compression::None, Compression::Zstd] {
        let disk = FaultyDisk::default();
        let mut options = options(1 << 20, 1 << 16);
        options.compression = compression;
        let (mut log, _) = open(&disk, options).unwrap();
        let original = batch(3, 4, 400);
        let mut some = Bits::default();
        some.clear(4);
        some.insert(1);
        some.insert(3);
        let some = some.to_rows();
        let copied = original.copy_rows(&some);
        for (batch, rows) in [
            (&original, &Rows::All),
            (&original, &some),
            (&copied, &Rows::All),
        ] {
            let record = Record {
                batch,
                rows,
                source: "app",
            };
            log.append(&record).unwrap();
        }
        let mut reader = log.reader().unwrap();
        for rows in [&Rows::All, &some, &some] {
            let Read::Record(stored) = reader.read().unwrap() else {
                panic!("a record")
            };
            assert_eq!(
                (stored.source(), stored.origin()),
                ("app", original.stream.origin)
            );
            let batch = stored.batch(stored.stream(0).into(), &std::sync::Arc::default());
            assert_eq!(batch.stream.meta, original.stream.meta);
            assert_eq!(batch.observed, original.observed);
            let mut at = 0;
            rows.for_each(4, |row| {
                assert_eq!(batch.line(at), original.line(row));
                assert_eq!(batch.id(at), original.id(row));
                at += 1;
            });
            assert_eq!(batch.rows(), at);
        }
        assert!(matches!(reader.read().unwrap(), Read::End));
    }
}

#[test]
fn what_is_full_has_room_again_when_records_are_settled() {
    let disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, options(40 << 10, 3 << 10)).unwrap();
    let mut entries = Vec::new();
    let full = loop {
        match append(&mut log, &batch(entries.len() as u64, 1, 900)) {
            Ok(entry) => entries.push(entry),
            Err(error) => break error,
        }
    };
    assert!(
        matches!(full, LogError::Full { .. }) && full.is_space(),
        "{full}"
    );
    assert!(entries.len() > 5);
    let settlement = log.settlement();
    for entry in entries.drain(..) {
        settlement.settle(entry);
    }
    for key in 0..50 {
        settlement.settle(append(&mut log, &batch(key, 1, 900)).unwrap());
    }
    let large = append(&mut log, &batch(9, 1, 30_000)).unwrap_err();
    assert!(matches!(large, LogError::TooLarge { .. }), "{large}");
    assert!(large.to_string().contains("buffer.disk"));
}

#[test]
fn a_full_disk_refuses_and_goes_on_when_space_returns() {
    let disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, options(1 << 20, 1 << 16)).unwrap();
    append(&mut log, &batch(0, 1, 500)).unwrap();
    disk.set_room(Some(200));
    let full = append(&mut log, &batch(1, 1, 500)).unwrap_err();
    assert!(
        matches!(full, LogError::NoSpace { .. }) && full.is_space(),
        "{full}"
    );
    disk.set_room(None);
    let entry = append(&mut log, &batch(2, 1, 500)).unwrap();
    assert_eq!(
        (entry, log.sync().unwrap()),
        (Entry { seq: 2, events: 1 }, 2)
    );
    assert_eq!(log.stats().segments, 1);
}

#[test]
fn a_sync_that_fails_is_not_tried_again_on_the_same_data() {
    let ops = [
        SMALL,
        Op::Sync,
        SMALL,
        SMALL,
        Op::Read(2),
        Op::FailSync,
        Op::Sync,
        SMALL,
    ];
    let more = [Op::Read(9), Op::Sync, Op::Settle(1), Op::Power(None)];
    run(&[&ops[..], &more].concat(), options(1 << 20, 1 << 16)).unwrap();
}

#[test]
fn what_a_process_left_that_cannot_be_synced_is_written_again() {
    let disk = FaultyDisk::default();
    let start = || open(&disk, options(1 << 20, 1 << 16)).unwrap();
    let (mut log, _) = start();
    append(&mut log, &batch(0, 1, 500)).unwrap();
    log.sync().unwrap();
    append(&mut log, &batch(1, 2, 500)).unwrap();
    append(&mut log, &batch(2, 1, 500)).unwrap();
    drop(log);
    disk.fail_syncs(1);
    let (mut log, backlog) = start();
    assert_eq!((backlog.records, log.durable(), log.last()), (3, 1, 3));
    assert_eq!(log.stats().failed_syncs, 1);
    assert_eq!(log.sync().unwrap(), 3);
    append(&mut log, &batch(3, 1, 500)).unwrap();
    drop(log);
    // Power is lost before it could be.
    disk.fail_syncs(1);
    drop(start());
    disk.crash();
    let (log, backlog) = start();
    assert_eq!((backlog.records, backlog.events), (3, 4));
    let mut reader = log.reader().unwrap();
    for seq in 1..=3 {
        let Read::Record(stored) = reader.read().unwrap() else {
            panic!("record {seq}")
        };
        assert_eq!(stored.entry.seq, seq);
    }
    assert!(matches!(reader.read().unwrap(), Read::End));
    assert_eq!(log.stats().corrupt_records, 0);
}

/// Its source heard of it before it was synced, as `fsync: interval` has it.
#[test]
fn what_needs_no_writing_again_holds_no_space_on_a_full_disk() {
    let disk = FaultyDisk::default();
    let start = || open(&disk, options(1 << 20, 1 << 16)).unwrap();
    let (mut log, _) = start();
    append(&mut log, &batch(0, 1, 500)).unwrap();
    log.sync().unwrap();
    let entries = [1, 2].map(|key| append(&mut log, &batch(key, 1, 4000)).unwrap());
    disk.fail_syncs(1);
    log.sync().unwrap_err();
    disk.set_room(Some(2000));
    assert!(log.sync().unwrap_err().is_space());
    let settlement = log.settlement();
    settlement.settle(Entry { seq: 1, events: 1 });
    settlement.settle(entries[0]);
    assert_eq!(log.stats().segments, 1, "one is open");
    settlement.settle(entries[1]);
    // For a mark, which takes the place of another on most disks.
    disk.set_room(Some(4096));
    let freed = log.maintain().unwrap();
    assert!(freed > 8000, "{freed}");
    assert_eq!((log.stats().segments, log.durable()), (0, 3));
    disk.set_room(None);
    let entry = append(&mut log, &batch(3, 1, 500)).unwrap();
    assert_eq!((entry.seq, log.sync().unwrap()), (4, 4));
    drop(log);
    disk.crash();
    let (log, backlog) = start();
    assert_eq!((backlog.records, backlog.events), (1, 1));
    let mut reader = log.reader().unwrap();
    assert!(matches!(reader.read().unwrap(), Read::Record(r) if r.entry.seq == 4));
    assert!(matches!(reader.read().unwrap(), Read::End));
}

#[test]
fn others_append_while_a_sync_runs() {
    let disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, options(1 << 20, 1 << 16)).unwrap();
    append(&mut log, &batch(0, 1, 500)).unwrap();
    let syncing = log.start_sync().unwrap().unwrap();
    append(&mut log, &batch(1, 1, 500)).unwrap();
    let synced = std::thread::spawn(|| syncing.run()).join().unwrap();
    assert_eq!(
        (log.finish_sync(synced).unwrap(), log.durable(), log.last()),
        (1, 1, 2)
    );
    let failing = log.start_sync().unwrap().unwrap();
    append(&mut log, &batch(2, 1, 500)).unwrap();
    disk.fail_syncs(1);
    assert!(log.finish_sync(failing.run()).is_err());
    assert_eq!((log.sync().unwrap(), log.unsynced_bytes()), (3, 0));
    assert_eq!(log.stats().segments, 2);
    drop(log);
    disk.crash();
    let (_, backlog) = open(&disk, options(1 << 20, 1 << 16)).unwrap();
    assert_eq!((backlog.records, backlog.events), (3, 3));
}

#[test]
fn every_reader_gets_everything_and_can_go_back() {
    let disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, options(1 << 20, 2 << 10)).unwrap();
    let mut readers = [log.reader().unwrap(), log.reader().unwrap()];
    for key in 0..6 {
        append(&mut log, &batch(key, 1, 500)).unwrap();
        for reader in &mut readers {
            let Read::Record(stored) = reader.read().unwrap() else {
                panic!("a record")
            };
            assert_eq!(stored.entry.seq, key + 1);
        }
    }
    for seq in [3, 1, 6, 5] {
        readers[0].seek(seq);
        let Read::Record(stored) = readers[0].read().unwrap() else {
            panic!("a record")
        };
        assert_eq!(stored.entry.seq, seq);
    }
    readers[0].seek(7);
    assert!(matches!(readers[0].read().unwrap(), Read::End));
}

#[test]
fn a_start_reads_no_more_than_headers_and_a_tail() {
    let disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, options(1 << 20, 2 << 10)).unwrap();
    for key in 0..60 {
        append(&mut log, &batch(key, 3, 500)).unwrap();
    }
    log.sync().unwrap();
    drop(log);
    disk.fail_reads(0);
    let (log, backlog) = open(&disk, options(1 << 20, 2 << 10)).unwrap();
    assert_eq!((backlog.records, backlog.events), (60, 180));
    assert!(log.stats().segments > 15);
}

#[test]
fn a_log_goes_on_under_other_settings() {
    let disk = FaultyDisk::default();
    let (mut log, _) = open(&disk, options(1 << 20, 1 << 16)).unwrap();
    let batch = batch(1, 4, 400);
    let record = Record {
        batch: &batch,
        rows: &Rows::All,
        source: "app",
    };
    log.append(&record).unwrap();
    let small = log.stats().bytes;
    log.set(small, Compression::Zstd).unwrap();
    assert!(matches!(log.append(&record), Err(LogError::Full { .. })));
    log.set(1 << 20, Compression::Zstd).unwrap();
    log.append(&record).unwrap();
    assert!(log.stats().bytes < small + small / 2, "it is compressed");
    log.set(1 << 20, Compression::None).unwrap();
    log.append(&record).unwrap();
    let mut reader = log.reader().unwrap();
    for seq in 1..=3 {
        let Read::Record(stored) = reader.read().unwrap() else {
            panic!("a record")
        };
        assert_eq!(stored.entry.seq, seq);
        assert_eq!(stored.text(), batch.text());
    }
}
