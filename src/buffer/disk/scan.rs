//! Walks through the records of one segment, over what is bad.

use std::io;

use memchr::memmem;

use super::format::{RECORD_HEADER_BYTES, RECORD_MAGIC, RecordHeader};
use super::mutant::{self, Mutant};
use crate::seam::DiskFile;

/// Bytes read at once: one system call for most records, and what the next
/// ones need is mostly there.
const WINDOW_BYTES: usize = 256 * 1024;
/// A window grown past this by a large record is let go.
const WINDOW_BYTES_MAX: usize = 4 * 1024 * 1024;
/// What a disk that cannot be read cannot be read in.
const PAGE_BYTES: u64 = 4096;

/// A piece of a file in memory.
pub(super) struct Window {
    file: Box<dyn DiskFile>,
    buffer: Vec<u8>,
    /// Where in the file `buffer[..len]` is.
    start: u64,
    len: usize,
    /// How often one place is tried before it counts as bad.
    patience: u32,
    failures: u32,
}

impl Window {
    pub(super) fn new(file: Box<dyn DiskFile>, patience: u32) -> Window {
        Window {
            file,
            buffer: Vec::new(),
            start: 0,
            len: 0,
            patience,
            failures: 0,
        }
    }

    /// Takes another file, keeping the memory.
    pub(super) fn reopen(&mut self, file: Box<dyn DiskFile>) {
        self.file = file;
        self.len = 0;
        self.failures = 0;
    }

    /// Up to `len` bytes at `offset`, fewer at `limit` or the end. What cannot
    /// be read although it was tried is zeros.
    pub(super) fn bytes(&mut self, offset: u64, len: usize, limit: u64) -> io::Result<&[u8]> {
        let len = (len as u64).min(limit.saturating_sub(offset)) as usize;
        let held = self.start..self.start + self.len as u64;
        if !(held.start <= offset && offset + len as u64 <= held.end) {
            self.fill(offset, len, limit)?;
        }
        let from = (offset - self.start) as usize;
        Ok(&self.buffer[from..self.len.min(from + len)])
    }

    fn fill(&mut self, offset: u64, len: usize, limit: u64) -> io::Result<()> {
        let kept = (self.start + self.len as u64).saturating_sub(offset) as usize;
        let kept = if offset < self.start { 0 } else { kept };
        self.buffer.copy_within(self.len - kept..self.len, 0);
        (self.start, self.len) = (offset, kept);
        let wanted = (limit - offset).min(len.max(WINDOW_BYTES) as u64) as usize;
        if self.buffer.len() > WINDOW_BYTES_MAX && wanted < WINDOW_BYTES_MAX {
            self.buffer.truncate(wanted);
            self.buffer.shrink_to_fit();
        }
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        while self.len < len {
            let at = self.start + self.len as u64;
            match self.file.read_at(at, &mut self.buffer[self.len..wanted]) {
                Ok(0) => break,
                Ok(more) => self.len += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if self.failures < self.patience => {
                    self.failures += 1;
                    return Err(error);
                }
                Err(_) => {
                    let page = (PAGE_BYTES - at % PAGE_BYTES) as usize;
                    let end = wanted.min(self.len + page);
                    self.buffer[self.len..end].fill(0);
                    self.len = end;
                    continue;
                }
            }
            self.failures = 0;
        }
        Ok(())
    }
}

/// What stands at a place of a segment.
pub(super) enum Step {
    /// A record's header; its body is not looked at yet.
    Record(RecordHeader),
    /// Nothing that can be read, up to a place.
    Bad(u64),
    /// The end.
    End,
}

/// Records of one segment, up to a limit.
#[derive(Clone, Copy)]
pub(super) struct Scan {
    pub(super) salt: u32,
    pub(super) limit: u64,
}

impl Scan {
    /// What stands at `offset`.
    pub(super) fn step(&self, window: &mut Window, offset: u64) -> io::Result<Step> {
        if offset >= self.limit {
            return Ok(Step::End);
        }
        if let Some(header) = self.header(window, offset)? {
            return Ok(Step::Record(header));
        }
        if mutant::on(Mutant::SkipResync) {
            return Ok(Step::Bad(self.limit));
        }
        let mut at = offset + 1;
        loop {
            let bytes = window.bytes(at, WINDOW_BYTES, self.limit)?;
            let len = bytes.len() as u64;
            match memmem::find(bytes, &RECORD_MAGIC) {
                Some(found) => {
                    at += found as u64;
                    if self.header(window, at)?.is_some() {
                        return Ok(Step::Bad(at));
                    }
                    at += 1;
                }
                // A magic may lie across the window's end.
                None if len > 3 && at + len < self.limit => at += len - 3,
                None => return Ok(Step::Bad(self.limit)),
            }
        }
    }

    /// The header at `offset`, if there is one with all of its body.
    fn header(&self, window: &mut Window, offset: u64) -> io::Result<Option<RecordHeader>> {
        let bytes = window.bytes(offset, RECORD_HEADER_BYTES, self.limit)?;
        let header = RecordHeader::decode(self.salt, bytes);
        Ok(header.filter(|h| offset + h.bytes() <= self.limit))
    }

    /// The stored body of the record at `offset`, if it is as it was written.
    pub(super) fn stored<'w>(
        &self,
        window: &'w mut Window,
        offset: u64,
        header: &RecordHeader,
    ) -> io::Result<Option<&'w [u8]>> {
        let at = offset + RECORD_HEADER_BYTES as u64;
        let len = header.stored_bytes as usize;
        let body = window.bytes(at, len, self.limit)?;
        let sum = crc32c::crc32c_append(self.salt, body);
        let good = sum == header.body_sum || mutant::on(Mutant::SkipBodyCheck);
        Ok((good && body.len() == len).then_some(body))
    }
}
