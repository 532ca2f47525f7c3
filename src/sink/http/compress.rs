//! Bodies of requests, compressed.

use std::io::{self, Write as _};

use bytes::Bytes;
use flate2::write::GzEncoder;
use serde::Deserialize;

/// `compression:` the content coding of requests (RFC 9110 §8.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Compression {
    /// As it is.
    None,
    /// RFC 1952.
    Gzip,
    /// RFC 8878.
    Zstd,
}

impl Compression {
    /// What `Content-Encoding` says, if it is sent.
    pub(in crate::sink) fn coding(self) -> Option<&'static str> {
        match self {
            Compression::None => None,
            Compression::Gzip => Some("gzip"),
            Compression::Zstd => Some("zstd"),
        }
    }

    /// Compresses a body. The fast levels: what they leave is a few per cent
    /// larger, and a core is dearer than that.
    pub(in crate::sink) fn apply(self, body: Vec<u8>) -> io::Result<Bytes> {
        Ok(match self {
            Compression::None => body.into(),
            Compression::Gzip => {
                let room = Vec::with_capacity(body.len() / 4);
                let mut encoder = GzEncoder::new(room, flate2::Compression::fast());
                encoder.write_all(&body)?;
                encoder.finish()?.into()
            }
            Compression::Zstd => zstd::bulk::compress(&body, 1)?.into(),
        })
    }
}

#[cfg(test)]
pub(in crate::sink) fn decompress(coding: Option<&str>, body: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    match coding {
        None => plain.extend_from_slice(body),
        Some("gzip") => {
            io::copy(&mut flate2::read::GzDecoder::new(body), &mut plain).unwrap();
        }
        Some("zstd") => zstd::stream::copy_decode(body, &mut plain).unwrap(),
        Some(other) => panic!("unknown coding {other}"),
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_coding_comes_back_the_same() {
        for body in [Vec::new(), b"{\"a\":1}\n".repeat(10_000)] {
            for compression in [Compression::None, Compression::Gzip, Compression::Zstd] {
                let sent = compression.apply(body.clone()).unwrap();
                assert_eq!(decompress(compression.coding(), &sent), body);
                assert!(compression == Compression::None || body.is_empty() || sent.len() < 4000);
            }
        }
    }
}
