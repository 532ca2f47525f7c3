//! Bodies of records, compressed or not.

use std::io;

use super::Compression;
use super::format::RecordHeader;

const PLAIN: u8 = 0;
const ZSTD: u8 = 1;
/// The fastest of the usual levels: the disk is mostly faster than any other.
const ZSTD_LEVEL: i32 = 1;

/// Compresses bodies.
pub(super) enum Encoder {
    Plain,
    Zstd {
        compressor: zstd::bulk::Compressor<'static>,
        body: Vec<u8>,
    },
}

impl Encoder {
    pub(super) fn new(compression: Compression) -> io::Result<Encoder> {
        Ok(match compression {
            Compression::None => Encoder::Plain,
            Compression::Zstd => Encoder::Zstd {
                compressor: zstd::bulk::Compressor::new(ZSTD_LEVEL)?,
                body: Vec::new(),
            },
        })
    }

    /// Appends what `write` appends, compressed if that is smaller; its coding.
    pub(super) fn append(&mut self, into: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) -> u8 {
        let Encoder::Zstd { compressor, body } = self else {
            write(into);
            return PLAIN;
        };
        body.clear();
        write(body);
        let start = into.len();
        into.resize(start + body.len(), 0);
        let compressed = compressor.compress_to_buffer(body.as_slice(), &mut into[start..]);
        if let Ok(bytes) = compressed {
            into.truncate(start + bytes);
            return ZSTD;
        }
        // It would be larger.
        into[start..].copy_from_slice(body);
        PLAIN
    }
}

/// Decompresses bodies.
#[derive(Default)]
pub(super) struct Decoder {
    decompressor: Option<zstd::bulk::Decompressor<'static>>,
    body: Vec<u8>,
}

impl Decoder {
    /// The body of a record, whose checksum was right; `None` if it cannot be
    /// decompressed.
    pub(super) fn body<'a>(
        &'a mut self,
        header: &RecordHeader,
        stored: &'a [u8],
    ) -> Option<&'a [u8]> {
        let len = header.body_bytes as usize;
        match header.coding {
            PLAIN => (stored.len() == len).then_some(stored),
            ZSTD => {
                if self.decompressor.is_none() {
                    self.decompressor = zstd::bulk::Decompressor::new().ok();
                }
                self.body.resize(len, 0);
                let decompressor = self.decompressor.as_mut()?;
                let bytes = decompressor.decompress_to_buffer(stored, &mut self.body[..]);
                (bytes.ok()? == len).then_some(&self.body[..])
            }
            _ => None,
        }
    }
}
