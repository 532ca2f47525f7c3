//! Which file a file is: device, inode, and how it begins.
//!
//! Names change with rotation, and inodes are used again. A file whose beginning
//! is another than before is another file, or was written anew.

use std::io;

use serde::{Deserialize, Serialize};

use crate::seam::{Facts, Opened};

/// Bytes of the beginning that are compared: the first lines, with their times.
pub(super) const PRINT_BYTES: usize = 1024;
/// Bytes right before a position that are compared: mostly a line, with its time.
const TRAIL_BYTES: usize = 256;

/// One file of the machine, as long as it is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(super) struct Identity {
    pub(super) device: u64,
    pub(super) inode: u64,
}

impl Identity {
    pub(super) fn of(facts: &Facts) -> Identity {
        Identity {
            device: facts.device,
            inode: facts.inode,
        }
    }
}

/// The hash of a file's first bytes, as many as there were to be hashed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Print {
    pub(super) bytes: usize,
    pub(super) hash: u64,
}

impl Print {
    /// Of a file that begins with `bytes`.
    pub(super) fn of(bytes: &[u8]) -> Print {
        let bytes = &bytes[..bytes.len().min(PRINT_BYTES)];
        Print {
            bytes: bytes.len(),
            hash: xxhash_rust::xxh3::xxh3_64(bytes),
        }
    }

    /// Of a file's bytes before `limit`.
    pub(super) fn before(file: &dyn Opened, limit: u64) -> io::Result<Print> {
        let mut buffer = [0; PRINT_BYTES];
        let bytes = PRINT_BYTES.min(usize::try_from(limit).unwrap_or(PRINT_BYTES));
        Ok(Print::of(read_there(file, 0, &mut buffer[..bytes])?))
    }

    /// Whether a file still begins so.
    pub(super) fn matches(self, file: &dyn Opened) -> io::Result<bool> {
        #[cfg(test)]
        if crate::seam::mutant::Mutant::PrintIgnored.is_on() {
            return Ok(true);
        }
        Ok(Print::before(file, self.bytes as u64)? == self)
    }

    /// Whether this is what stands right before a position of a file; of no bytes it
    /// says nothing against it.
    pub(super) fn stands_before(self, file: &dyn Opened, end: u64) -> io::Result<bool> {
        let mut buffer = [0; TRAIL_BYTES];
        let bytes = self.bytes.min(TRAIL_BYTES);
        let Some(start) = end.checked_sub(bytes as u64) else {
            return Ok(false);
        };
        let there = read_there(file, start, &mut buffer[..bytes])?;
        Ok(self.bytes == 0 || Print::of(there) == self)
    }

    /// Whether there is more to be hashed, of a file that has `bytes`.
    pub(super) fn can_grow(self, bytes: u64) -> bool {
        self.bytes < PRINT_BYTES && bytes > self.bytes as u64
    }
}

/// What stands right before a position. With the beginning it says whose copy a
/// file is: beginnings may be alike, of one program that was started again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Trail {
    end: u64,
    bytes: Vec<u8>,
}

impl Trail {
    /// Of a file that is read from `end` on.
    pub(super) fn before(file: &dyn Opened, end: u64) -> io::Result<Trail> {
        let mut bytes = vec![0; TRAIL_BYTES.min(usize::try_from(end).unwrap_or(TRAIL_BYTES))];
        let start = end - bytes.len() as u64;
        let there = read_there(file, start, &mut bytes)?.len();
        bytes.truncate(there);
        let end = start + there as u64;
        Ok(Trail { end, bytes })
    }

    /// Goes on with what was read at `at`.
    pub(super) fn follow(&mut self, at: u64, read: &[u8]) {
        if at != self.end {
            self.bytes.clear();
        }
        self.end = at + read.len() as u64;
        let last = &read[read.len().saturating_sub(TRAIL_BYTES)..];
        let stays = TRAIL_BYTES - last.len();
        let goes = self.bytes.len().saturating_sub(stays);
        self.bytes.drain(..goes);
        self.bytes.extend_from_slice(last);
    }

    /// What of it stands before a position that is not behind it.
    pub(super) fn print_before(&self, end: u64) -> Print {
        let (start, _) = self.place();
        let bytes = end
            .checked_sub(start)
            .and_then(|len| self.bytes.get(..len as usize));
        match bytes {
            Some(bytes) if !bytes.is_empty() => Print::of(bytes),
            _ => Print::default(),
        }
    }

    /// Where it begins, and how long it is.
    pub(super) fn place(&self) -> (u64, usize) {
        (self.end - self.bytes.len() as u64, self.bytes.len())
    }

    /// Whether a file that has these bytes there, and none behind them if they are
    /// fewer, reads the same as far as it goes.
    pub(super) fn fits(&self, there: &[u8]) -> bool {
        self.bytes.starts_with(there)
    }
}

/// The bytes of a file at a position, as many as there are and fit.
pub(super) fn read_there<'a>(
    file: &dyn Opened,
    at: u64,
    into: &'a mut [u8],
) -> io::Result<&'a [u8]> {
    let mut len = 0;
    while len < into.len() {
        match file.read_at(at + len as u64, &mut into[len..]) {
            Ok(0) => break,
            Ok(read) => len += read,
            Err(error) => return Err(error),
        }
    }
    Ok(&into[..len])
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn a_file_is_known_by_as_much_as_it_had() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "one\n").unwrap();
        let print = Print::before(&File::open(&path).unwrap(), 4).unwrap();
        assert_eq!(print, Print::of(b"one\n"));
        std::fs::write(&path, "one\ntwo\n").unwrap();
        assert!(print.matches(&File::open(&path).unwrap()).unwrap());
        assert!(print.can_grow(8) && !print.can_grow(4));
        for other in ["on", "one", "two\n\n\n"] {
            std::fs::write(&path, other).unwrap();
            assert!(
                !print.matches(&File::open(&path).unwrap()).unwrap(),
                "{other}"
            );
        }
        let long = Print::of(&[b'x'; 5000]);
        assert!(long.bytes == PRINT_BYTES && !long.can_grow(u64::MAX));
    }

    #[test]
    fn a_trail_is_what_stands_before_a_position_however_that_was_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        let content: Vec<u8> = (0..5000u32).map(|n| (n % 251) as u8).collect();
        std::fs::write(&path, &content).unwrap();
        let file = File::open(&path).unwrap();
        for pieces in [1, 7, 255, 256, 257, 3000] {
            let mut trail = Trail::default();
            for (nth, piece) in content.chunks(pieces).enumerate() {
                trail.follow((nth * pieces) as u64, piece);
            }
            assert_eq!(trail, Trail::before(&file, 5000).unwrap());
            assert_eq!(trail.place(), (5000 - 256, 256));
        }
        let mut trail = Trail::before(&file, 10).unwrap();
        assert!(trail.fits(&content[..10]) && trail.fits(&content[..3]) && trail.fits(b""));
        assert!(!trail.fits(&content[1..4]));
        let print = Trail::before(&file, 300).unwrap().print_before(290);
        assert_eq!(print, Print::of(&content[44..290]));
        let stands = |print: Print, end| print.stands_before(&file, end).unwrap();
        assert!(stands(print, 290) && !stands(print, 291) && !stands(print, 100));
        assert!(stands(Print::default(), 100));
        // Of what is not known nothing is said.
        for elsewhere in [5, 10, 11] {
            let trail = Trail {
                end: 20,
                bytes: vec![0; 10],
            };
            let print = trail.print_before(elsewhere);
            assert_eq!(print == Print::default(), elsewhere <= 10);
        }
        // Elsewhere it is another one.
        trail.follow(100, &content[100..103]);
        assert_eq!(trail.place(), (100, 3));
        assert_eq!(Trail::before(&file, 6000).unwrap().place(), (5744, 0));
    }
}
