//! What is done to a file on reopening, should a crash have torn its end.
//!
//! Raw files are never cut: a last line without line feed gets one before more
//! is written. In files of lines (JSON and the like) a torn last line is cut,
//! in compressed files a torn last frame. What tflog cannot have written is
//! left alone.

use std::io::{self, BufRead, Read};

use super::compress::{Codec, GZIP_HEADER, GZIP_HEADER_BYTES};
use crate::seam::DiskFile;

/// What a file holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    /// Raw output.
    Bytes,
    /// Whole lines, each with its line feed.
    Lines,
    /// Compressed frames.
    Frames(Codec),
}

impl Content {
    pub(super) fn codec(self) -> Option<Codec> {
        match self {
            Content::Frames(codec) => Some(codec),
            Content::Bytes | Content::Lines => None,
        }
    }
}

/// What was found and done.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Mended {
    /// Bytes cut off.
    pub(super) cut: u64,
    /// Whether the last line still lacks its line feed.
    pub(super) open_line: bool,
}

/// A torn line or frame is no longer: above any line limit and any load. What
/// is more is damage that is not of our making, and not cut.
const TORN_BYTES_MAX: u64 = 64 * 1024 * 1024;
const READ_BYTES: usize = 64 * 1024;

/// Mends the end of a file that was just opened.
pub(super) fn mend(file: &mut dyn DiskFile, content: Content) -> io::Result<Mended> {
    let size = file.size()?;
    let mut last = [0];
    if size == 0 {
        return Ok(Mended::default());
    }
    if let Content::Frames(codec) = content {
        let whole = frames_end(file, size, codec)?;
        return cut(file, size, whole);
    }
    read_exact(file, size - 1, &mut last)?;
    if last == *b"\n" {
        return Ok(Mended::default());
    }
    if content == Content::Lines
        && let Some(whole) = last_line_feed(file, size)?
    {
        return cut(file, size, whole);
    }
    Ok(Mended {
        cut: 0,
        open_line: true,
    })
}

fn cut(file: &mut dyn DiskFile, size: u64, whole: u64) -> io::Result<Mended> {
    if whole < size {
        file.truncate(whole)?;
    }
    Ok(Mended {
        cut: size - whole,
        open_line: false,
    })
}

/// One past the last line feed; `None` if the line is longer than any of ours.
fn last_line_feed(file: &dyn DiskFile, size: u64) -> io::Result<Option<u64>> {
    let mut block = vec![0; READ_BYTES];
    let mut end = size;
    while end > 0 {
        if size - end > TORN_BYTES_MAX {
            return Ok(None);
        }
        let start = end.saturating_sub(READ_BYTES as u64);
        let block = &mut block[..(end - start) as usize];
        read_exact(file, start, block)?;
        if let Some(at) = memchr::memrchr(b'\n', block) {
            return Ok(Some(start + at as u64 + 1));
        }
        end = start;
    }
    Ok(Some(0))
}

/// Where the last whole frame ends. Fails if the file does not begin with one
/// and so is not ours to cut.
fn frames_end(file: &dyn DiskFile, size: u64, codec: Codec) -> io::Result<u64> {
    let (mut at, mut last) = (0, 0);
    while at < size {
        match skip_frame(file, at, codec)? {
            Some(end) if end <= size => (last, at) = (at, end),
            Some(_torn) => break,
            None if at > 0 || size < GZIP_HEADER_BYTES as u64 => break,
            None => {
                let message = format!("has the ending {} and other content", codec.ending());
                return Err(io::Error::other(message + ": move it away"));
            }
        }
    }
    // After a power loss a frame can have its length and not its content.
    if at > last && decode_frame(file, last, codec).is_err() {
        at = last;
    }
    if size - at > TORN_BYTES_MAX {
        let message = format!("is damaged from byte {at} on: move it away");
        return Err(io::Error::other(message));
    }
    Ok(at)
}

/// Where the frame at `at` ends, if one begins there; past the file's end if
/// it is torn.
fn skip_frame(file: &dyn DiskFile, at: u64, codec: Codec) -> io::Result<Option<u64>> {
    match codec {
        Codec::Zstd => skip_zstd(file, at),
        Codec::Gzip => {
            let mut header = [0; GZIP_HEADER_BYTES];
            let read = read_up_to(file, at, &mut header)?;
            if header.starts_with(&GZIP_HEADER) {
                let len: [u8; 4] = header[GZIP_HEADER.len()..].try_into().unwrap_or_default();
                let len = u64::from(u32::from_le_bytes(len)).max(GZIP_HEADER_BYTES as u64);
                return Ok(Some(at + len));
            }
            if !header.starts_with(&GZIP_HEADER[..3]) {
                let torn = read < header.len() && GZIP_HEADER.starts_with(&header[..read.min(3)]);
                return Ok(torn.then_some(u64::MAX));
            }
            // Another program's member: only inflating tells its length.
            Ok(Some(decode_frame(file, at, codec).unwrap_or(u64::MAX)))
        }
    }
}

/// Walks over a zstd frame's blocks (RFC 8878 §3.1.1).
fn skip_zstd(file: &dyn DiskFile, start: u64) -> io::Result<Option<u64>> {
    let mut head = [0; 8];
    let read = read_up_to(file, start, &mut head)?;
    let magic = u32::from_le_bytes([head[0], head[1], head[2], head[3]]);
    if read < head.len() {
        return Ok(Some(u64::MAX));
    }
    if magic & 0xffff_fff0 == 0x184d_2a50 {
        let len = u32::from_le_bytes([head[4], head[5], head[6], head[7]]);
        return Ok(Some(start + 8 + u64::from(len)));
    }
    if magic != 0xfd2f_b528 {
        return Ok(None);
    }
    let flags = head[4];
    let single = flags >> 5 & 1;
    let dictionary = [0, 1, 2, 4][usize::from(flags & 3)];
    let size_bytes = [u64::from(single), 2, 4, 8][usize::from(flags >> 6)];
    let checksum = u64::from(flags >> 2 & 1) * 4;
    let mut at = start + 5 + u64::from(1 - single) + dictionary + size_bytes;
    loop {
        let mut block = [0; 4];
        if read_up_to(file, at, &mut block[..3])? < 3 {
            return Ok(Some(u64::MAX));
        }
        let block = u32::from_le_bytes(block);
        let repeated = block >> 1 & 3 == 1;
        at += 3 + if repeated { 1 } else { u64::from(block >> 3) };
        if block & 1 == 1 {
            return Ok(Some(at + checksum));
        }
    }
}

/// Decompresses the frame at `at`, checking it: where it ends.
fn decode_frame(file: &dyn DiskFile, at: u64, codec: Codec) -> io::Result<u64> {
    let mut input = Window {
        file,
        at,
        block: vec![0; READ_BYTES],
        unread: 0..0,
    };
    match codec {
        Codec::Gzip => {
            io::copy(
                &mut flate2::bufread::GzDecoder::new(&mut input),
                &mut io::sink(),
            )?;
        }
        Codec::Zstd => {
            let decoder = zstd::stream::read::Decoder::with_buffer(&mut input)?;
            io::copy(&mut decoder.single_frame(), &mut io::sink())?;
        }
    }
    Ok(input.at - input.unread.len() as u64)
}

/// Reads a file from some place on, knowing how far its reader came.
struct Window<'a> {
    file: &'a dyn DiskFile,
    /// Where the next block starts.
    at: u64,
    block: Vec<u8>,
    unread: std::ops::Range<usize>,
}

impl Read for Window<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let available = self.fill_buf()?;
        let len = available.len().min(into.len());
        into[..len].copy_from_slice(&available[..len]);
        self.consume(len);
        Ok(len)
    }
}

impl BufRead for Window<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.unread.is_empty() {
            let len = self.file.read_at(self.at, &mut self.block)?;
            self.at += len as u64;
            self.unread = 0..len;
        }
        Ok(&self.block[self.unread.clone()])
    }

    fn consume(&mut self, len: usize) {
        self.unread.start += len;
    }
}

/// Fills `into` as far as the file goes.
fn read_up_to(file: &dyn DiskFile, at: u64, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read_at(at.saturating_add(filled as u64), &mut into[filled..])? {
            0 => break,
            len => filled += len,
        }
    }
    Ok(filled)
}

fn read_exact(file: &dyn DiskFile, at: u64, into: &mut [u8]) -> io::Result<()> {
    if read_up_to(file, at, into)? < into.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    Ok(())
}
