//! Appends and syncs records of 256 KiB and reads them back, on a real disk:
//! `cargo bench --bench disk [-- DIR]`, by default in the temporary directory.

// A bench may panic anywhere, and prints what it found.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use tflog::buffer::disk::{Compression, Log, Options, Read, Record};
use tflog::event::{Batch, Chunk, Pool, Rows, Stream, Timestamp};
use tflog::seam::{Random, RealDisk};

const LINE: &[u8] = b"{\"level\":\"info\",\"service\":\"pay\",\"http\":{\"status\":200},\"message\":\"charged the card of a customer\"}\n";
const RECORDS: usize = 2048;

fn batch() -> Batch {
    let mut chunk = Box::new(Chunk::default());
    while chunk.text.len() + LINE.len() <= Pool::CHUNK_BYTES {
        chunk.text.extend_from_slice(LINE);
        chunk.ends.push(chunk.text.len() as u32);
    }
    let stream = Arc::new(Stream {
        source: 0,
        origin: 1,
        meta: Vec::new(),
    });
    Batch::new(stream, 0, Timestamp(0), chunk, Arc::default())
}

fn resident_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|l| l.starts_with("VmHWM")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

fn run(directory: &Path, every: usize, compression: Compression) {
    let options = Options {
        bytes_max: 4 << 30,
        segment_bytes: None,
        compression,
        random: Random::system(),
    };
    let name = Path::new("bench");
    let (mut log, _) = Log::open(&RealDisk, directory, name, options.clone()).unwrap();
    let batch = batch();
    let record = Record {
        batch: &batch,
        rows: &Rows::All,
        source: "app",
    };
    let start = Instant::now();
    for at in 1..=RECORDS {
        log.append(&record).unwrap();
        if at % every == 0 {
            log.sync().unwrap();
        }
    }
    log.sync().unwrap();
    let wrote = start.elapsed();
    drop(log);
    let start = Instant::now();
    let (mut log, backlog) = Log::open(&RealDisk, directory, name, options).unwrap();
    let opened = start.elapsed();
    let (mut reader, pool) = (log.reader().unwrap(), Arc::<Pool>::default());
    let start = Instant::now();
    while let Read::Record(stored) = reader.read().unwrap() {
        let batch = stored.batch(batch.stream.clone(), &pool);
        std::hint::black_box(batch.text());
        log.settlement().settle(stored.entry);
    }
    let read = start.elapsed();
    log.maintain().unwrap();
    let mib = (RECORDS * Pool::CHUNK_BYTES) as f64 / (1 << 20) as f64;
    println!(
        "sync every {every:3}, {compression:?}: wrote {:5.0} MiB/s, {:5.0} us a sync; opened {} records in {opened:.1?}; read {:5.0} MiB/s; at most {} KiB resident",
        mib / wrote.as_secs_f64(),
        wrote.as_micros() as f64 / (RECORDS / every) as f64,
        backlog.records,
        mib / read.as_secs_f64(),
        resident_kib(),
    );
    drop(log);
    std::fs::remove_dir_all(directory.join(name)).unwrap();
}

fn main() {
    let given = std::env::args().skip(1).find(|a| !a.starts_with('-'));
    let base = given.map_or_else(std::env::temp_dir, Into::into);
    let directory = tempfile::tempdir_in(base).unwrap();
    for (every, compression) in [
        (1, Compression::None),
        (16, Compression::None),
        (256, Compression::None),
        (16, Compression::Zstd),
    ] {
        run(directory.path(), every, compression);
    }
}
