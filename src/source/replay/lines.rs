//! The lines of a file as long as it was when it was opened, plain or
//! compressed, however long they are.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flate2::bufread::MultiGzDecoder;

use super::Progress;

/// The longest letter: a line of 1 MiB in which every byte is escaped as six,
/// twice over.
const LINE_BYTES_MAX: usize = 12 << 20;
const READ_BYTES: usize = 256 * 1024;

/// What was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A line, without its end.
    Whole,
    /// A line that was too long; it is passed.
    TooLong,
    /// The file's last line, without an end; it is not passed.
    Torn,
    /// There are no more.
    End,
}

/// Reads lines.
pub(super) struct Lines {
    reader: Box<dyn BufRead + Send>,
    /// A plain file can be read from anywhere.
    plain: Option<(File, u64)>,
    progress: Arc<Progress>,
    /// What had been read of other files before.
    read_before: u64,
    offset: u64,
    number: u64,
}

/// Counts what is read of a file.
struct Counted<R> {
    inner: R,
    progress: Arc<Progress>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(into)?;
        self.progress
            .bytes
            .fetch_add(read as u64, Ordering::Relaxed);
        Ok(read)
    }
}

impl Lines {
    /// Opens `path`, as it is now: what is appended later is not read.
    pub(super) fn open(path: &Path, progress: &Arc<Progress>) -> io::Result<Lines> {
        let file = File::open(path)?;
        let found = file.metadata()?;
        if !found.is_file() {
            return Err(io::Error::other("not a regular file"));
        }
        let size = found.len();
        let read_before = progress.bytes.load(Ordering::Relaxed);
        progress.bytes_total.fetch_add(size, Ordering::Relaxed);
        let plain = file.try_clone()?;
        let counted = Counted {
            inner: file.take(size),
            progress: progress.clone(),
        };
        let raw = BufReader::with_capacity(READ_BYTES, counted);
        let ending = path.extension().and_then(|e| e.to_str());
        let (reader, plain): (Box<dyn BufRead + Send>, _) = match ending {
            Some("gz") => (Box::new(buffered(MultiGzDecoder::new(raw))), None),
            Some("zst") => {
                let decoder = zstd::stream::read::Decoder::with_buffer(raw)?;
                (Box::new(buffered(decoder)), None)
            }
            _ => (Box::new(raw), Some((plain, size))),
        };
        Ok(Lines {
            reader,
            plain,
            progress: progress.clone(),
            read_before,
            offset: 0,
            number: 0,
        })
    }

    /// Bytes of (decompressed) text before the next line.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    /// The number of the line that was read last, from 1 where the reading
    /// began.
    pub(super) fn number(&self) -> u64 {
        self.number
    }

    /// Reads a line into `line`.
    pub(super) fn next(&mut self, line: &mut Vec<u8>) -> io::Result<Line> {
        line.clear();
        let mut too_long = false;
        let mut bytes = 0;
        self.number += 1;
        loop {
            let found = match self.reader.fill_buf() {
                Ok(found) => found,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if found.is_empty() {
                return Ok(if bytes == 0 { Line::End } else { Line::Torn });
            }
            let end = memchr::memchr(b'\n', found);
            let part = &found[..end.unwrap_or(found.len())];
            too_long |= line.len() + part.len() > LINE_BYTES_MAX;
            if !too_long {
                line.extend_from_slice(part);
            }
            let used = part.len() + usize::from(end.is_some());
            self.reader.consume(used);
            bytes += used as u64;
            if end.is_some() {
                self.offset += bytes;
                return Ok(if too_long { Line::TooLong } else { Line::Whole });
            }
        }
    }

    /// The first `bytes` of the text; fewer if there are no more. Only before
    /// the first line.
    pub(super) fn head(&mut self, bytes: u64) -> io::Result<Vec<u8>> {
        let mut head = Vec::new();
        self.reader.by_ref().take(bytes).read_to_end(&mut head)?;
        Ok(head)
    }

    /// Goes on behind `bytes` of text of which [`Lines::head`] has read `head`;
    /// whether there are as many.
    pub(super) fn pass(&mut self, bytes: u64, head: u64) -> io::Result<bool> {
        let rest = bytes - head;
        match &mut self.plain {
            Some((_, size)) if *size < bytes => return Ok(false),
            Some((file, size)) => {
                let mut file = file.try_clone()?;
                file.seek(SeekFrom::Start(bytes))?;
                let read = self.read_before + bytes;
                self.progress.bytes.store(read, Ordering::Relaxed);
                let counted = Counted {
                    inner: file.take(*size - bytes),
                    progress: self.progress.clone(),
                };
                self.reader = Box::new(BufReader::with_capacity(READ_BYTES, counted));
            }
            None => {
                let passed = io::copy(&mut self.reader.by_ref().take(rest), &mut io::sink())?;
                if passed < rest {
                    return Ok(false);
                }
            }
        }
        self.offset = bytes;
        Ok(true)
    }
}

fn buffered<R: Read>(reader: R) -> BufReader<R> {
    BufReader::with_capacity(READ_BYTES, reader)
}
