//! Raw output is the input, byte for byte, whatever its length.
//!
//! Every length of a stream from 0 to 100,000 bytes goes through the file
//! source, the framer, the pipeline and the raw encoder in this process; every
//! length of a line up to 100,000 bytes, and those around the sizes of pages,
//! pipes and chunks up to 1 MiB, through the binary in one stream; and streams
//! of these sizes through the binary one by one, from a pipe and from a file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{Read, Write};
use std::ops::RangeInclusive;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tflog::component::Definition;
use tflog::event::Needs;
use tflog::sink::encode::{Encoder, Options};
use tflog::sink::{Load, Sink, SinkFuture, Written};

use crate::accounting::{plan, run};
use crate::harness::{Running, pipe, tflog};

const STREAM_BYTES_MAX: usize = 100_000;
/// Files that one run reads.
const FILES: usize = 100;
const LINE_BYTES_MAX: usize = 100_000;
/// Pages, pipes, chunks and when they are full, and the longest line.
const SIZES: [usize; 8] = [
    4096,
    16 << 10,
    64 << 10,
    100_000,
    192 << 10,
    256 << 10,
    512 << 10,
    1 << 20,
];

/// Bytes without any pattern; newlines as often as any other.
fn random_bytes(bytes: usize) -> Vec<u8> {
    let mut state = 1_u64;
    let mut random = || {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (state >> 33) as u8
    };
    (0..bytes).map(|_| random()).collect()
}

/// What sinks that write a stream of bytes write, for each file that was read.
struct Raw {
    encoder: Encoder,
    got: Arc<Mutex<HashMap<Arc<str>, Vec<u8>>>>,
}

impl Sink for Raw {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(async move {
            let mut got = self.got.lock().unwrap();
            for part in &load.parts {
                let path = part.batch.stream.meta("path").unwrap();
                let got = got.entry(path.clone()).or_default();
                match self.encoder.verbatim(part) {
                    Some(text) => got.extend_from_slice(text),
                    None => self.encoder.encode(part, got),
                }
            }
            Ok(Written::default())
        })
    }
}

/// Files of lengths that follow each other, which grow between runs until
/// each length was read.
async fn read_at_every_length(lengths: RangeInclusive<usize>, bytes: &[u8]) {
    let dir = tempfile::tempdir().unwrap();
    let paths: Vec<String> = (0..FILES)
        .map(|at| dir.path().join(at.to_string()).to_str().unwrap().into())
        .collect();
    let mut files: Vec<_> = paths
        .iter()
        .map(|path| (File::create(path).unwrap(), 0))
        .collect();
    let encoder = Encoder::build("raw", Options::default(), &mut Needs::default()).unwrap();
    let (mut first, last) = lengths.into_inner();
    while first <= last {
        for (at, (file, written)) in files.iter_mut().enumerate() {
            file.write_all(&bytes[*written..first + at]).unwrap();
            *written = first + at;
        }
        let options = serde_json::json!({ "paths": &paths });
        let definition = Definition {
            name: "in".into(),
            scheme: "file".into(),
            tls: false,
            target: String::new(),
            options: options.as_object().unwrap().clone(),
        };
        let got = Arc::default();
        let sink = Raw {
            encoder: encoder.clone(),
            got: Arc::clone(&got),
        };
        let source = tflog::source::File::build(&definition).unwrap();
        let snapshot = run(plan(source, sink)).await;
        assert_eq!(snapshot.violations_at_end(), [""; 0]);
        let got = got.lock().unwrap();
        for (path, (_, length)) in paths.iter().zip(&files) {
            let got = got.get(path.as_str()).map_or(&[][..], Vec::as_slice);
            assert!(*got == bytes[..*length], "{length} bytes");
        }
        first += FILES;
    }
}

/// Every length of a stream.
#[test]
fn every_length_of_a_stream_is_byte_exact() {
    let half = STREAM_BYTES_MAX / 2;
    let bytes = random_bytes(STREAM_BYTES_MAX + FILES);
    std::thread::scope(|threads| {
        for lengths in [0..=half, half + 1..=STREAM_BYTES_MAX] {
            let bytes = &bytes;
            threads.spawn(move || {
                tokio::runtime::Builder::new_current_thread()
                    .enable_all()
                    .start_paused(true)
                    .build()
                    .unwrap()
                    .block_on(read_at_every_length(lengths, bytes));
            });
        }
    });
}

/// Lengths within two bytes of `SIZES`, as far as lines may be that long.
fn edges() -> impl Iterator<Item = usize> {
    let around = SIZES.into_iter().flat_map(|size| size - 2..=size + 2);
    around.filter(|bytes| *bytes <= 1 << 20)
}

/// Every length of a line, in one stream through the binary.
#[test]
fn every_length_of_a_line_is_byte_exact() {
    let mut bytes = random_bytes((1 << 20) + 4096);
    for byte in &mut bytes {
        *byte = if *byte == b'\n' { b'\r' } else { *byte };
    }
    // Each line begins elsewhere, so that no two neighbours are alike.
    let line = |length: usize| &bytes[length % 4096..][..length];
    let lengths = || (0..=LINE_BYTES_MAX).chain(edges());
    let mut command = tflog(&["-o", "raw"]);
    let mut running = Running::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()));
    let mut stdin = running.child.stdin.take().unwrap();
    let mut stdout = running.child.stdout.take().unwrap();
    std::thread::scope(|threads| {
        threads.spawn(move || {
            for length in lengths() {
                stdin.write_all(line(length)).unwrap();
                stdin.write_all(b"\n").unwrap();
            }
        });
        let mut got = Vec::new();
        for length in lengths() {
            got.resize(length + 1, 0);
            stdout.read_exact(&mut got).unwrap();
            let (terminator, text) = got.split_last().unwrap();
            assert!(text == line(length), "a line of {length} bytes");
            assert_eq!(*terminator, b'\n', "a line of {length} bytes");
        }
        assert_eq!(stdout.read(&mut [0]).unwrap(), 0, "nothing follows");
    });
    assert!(running.finish().0.success());
}

/// Streams through the binary, from a pipe and from a file.
#[test]
fn streams_around_sizes_are_byte_exact_through_the_binary() {
    let bytes = random_bytes((1 << 20) + 2);
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("input");
    for length in (0..=64).chain(edges()) {
        let input = &bytes[..length];
        assert!(pipe(&["-o", "raw"], input) == input, "{length} bytes");
        File::create(&path).unwrap().write_all(input).unwrap();
        let output = pipe(&["-o", "raw", path.to_str().unwrap()], b"");
        assert!(output == input, "{length} bytes of a file");
    }
}
