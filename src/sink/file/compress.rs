//! Compression: one gzip member or zstd frame for each write.
//!
//! Members and frames follow each other in a file (RFC 1952 §2.2, RFC 8878
//! §3.1), so that everything written can be read at any time, a crash tears at
//! most the last one, and a reader needs nothing special. One long frame with
//! flushes would be smaller where loads are small, but a crash would leave it
//! without an end, and what is appended behind that cannot be read.
//!
//! A gzip member carries its own length in an extra field, as BGZF does: the
//! last whole member is found without inflating the file.

use std::io;

use flate2::{Compress, Compression, Crc, FlushCompress, Status};

/// How a file is compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Zstd,
}

impl Codec {
    /// By the end of a path.
    pub(super) fn of(ending: &[u8]) -> Option<Codec> {
        [Codec::Gzip, Codec::Zstd]
            .into_iter()
            .find(|codec| ending.ends_with(codec.ending().as_bytes()))
    }

    pub(super) fn ending(self) -> &'static str {
        match self {
            Codec::Gzip => ".gz",
            Codec::Zstd => ".zst",
        }
    }
}

/// Bytes of a member's header: the fixed ones and the extra field.
pub(super) const GZIP_HEADER_BYTES: usize = 20;
/// A header up to the member's length: deflate, extra field of 8 bytes, no
/// time, unknown system; subfield `TF` of 4 bytes.
pub(super) const GZIP_HEADER: [u8; 16] =
    [0x1f, 0x8b, 8, 4, 0, 0, 0, 0, 0, 255, 8, 0, b'T', b'F', 4, 0];

/// Turns buffers into frames; keeps its state between them.
pub(super) struct Compressor {
    codec: Option<Engine>,
    scratch: Vec<u8>,
}

enum Engine {
    Gzip(Compress),
    Zstd(zstd::bulk::Compressor<'static>),
}

impl Compressor {
    pub(super) fn new(codec: Option<Codec>) -> io::Result<Compressor> {
        let codec = match codec {
            None => None,
            // Raw deflate: header and trailer are written here.
            Some(Codec::Gzip) => Some(Engine::Gzip(Compress::new(Compression::fast(), false))),
            Some(Codec::Zstd) => {
                let mut engine = zstd::bulk::Compressor::new(zstd::DEFAULT_COMPRESSION_LEVEL)?;
                engine.include_checksum(true)?;
                Some(Engine::Zstd(engine))
            }
        };
        Ok(Compressor {
            codec,
            scratch: Vec::new(),
        })
    }

    pub(super) fn is_on(&self) -> bool {
        self.codec.is_some()
    }

    /// Replaces what `buffer` holds by one frame of it.
    pub(super) fn frame(&mut self, buffer: &mut Vec<u8>) -> io::Result<()> {
        self.scratch.clear();
        match &mut self.codec {
            None => return Ok(()),
            Some(Engine::Gzip(engine)) => gzip_member(engine, buffer, &mut self.scratch)?,
            Some(Engine::Zstd(engine)) => {
                self.scratch
                    .reserve(zstd::zstd_safe::compress_bound(buffer.len()));
                engine.compress_to_buffer(&buffer[..], &mut self.scratch)?;
            }
        }
        std::mem::swap(buffer, &mut self.scratch);
        Ok(())
    }
}

fn gzip_member(engine: &mut Compress, plain: &[u8], out: &mut Vec<u8>) -> io::Result<()> {
    /// Room that the output grows by while deflating.
    const STEP_BYTES: usize = 64 * 1024;
    out.extend_from_slice(&GZIP_HEADER);
    out.extend_from_slice(&[0; 4]);
    engine.reset();
    loop {
        out.reserve(STEP_BYTES);
        let read = engine.total_in() as usize;
        match engine.compress_vec(&plain[read..], out, FlushCompress::Finish)? {
            Status::StreamEnd => break,
            Status::Ok | Status::BufError => {}
        }
    }
    let mut crc = Crc::new();
    crc.update(plain);
    out.extend_from_slice(&crc.sum().to_le_bytes());
    out.extend_from_slice(&crc.amount().to_le_bytes());
    let len = out.len() as u32;
    out[GZIP_HEADER.len()..GZIP_HEADER_BYTES].copy_from_slice(&len.to_le_bytes());
    Ok(())
}
