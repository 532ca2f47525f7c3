//! Which file a file is: device, inode, and how it begins.
//!
//! Names change with rotation, and inodes are used again. A file whose beginning
//! is another than before is another file, or was written anew.

use std::io;

use serde::{Deserialize, Serialize};

use crate::seam::{Facts, Opened};

/// Bytes of the beginning that are compared: the first lines, with their times.
pub(super) const PRINT_BYTES: usize = 1024;

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
        Ok(Print::of(beginning(file, &mut buffer[..bytes])?))
    }

    /// Whether a file still begins so.
    pub(super) fn matches(self, file: &dyn Opened) -> io::Result<bool> {
        #[cfg(test)]
        if crate::seam::mutant::Mutant::PrintIgnored.is_on() {
            return Ok(true);
        }
        Ok(Print::before(file, self.bytes as u64)? == self)
    }

    /// Whether there is more to be hashed, of a file that has `bytes`.
    pub(super) fn can_grow(self, bytes: u64) -> bool {
        self.bytes < PRINT_BYTES && bytes > self.bytes as u64
    }
}

/// The first bytes of a file, as many as there are and fit.
pub(super) fn beginning<'a>(file: &dyn Opened, into: &'a mut [u8]) -> io::Result<&'a [u8]> {
    let mut len = 0;
    while len < into.len() {
        match file.read_at(len as u64, &mut into[len..]) {
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
}
