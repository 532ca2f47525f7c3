//! Files that other programs write, looked at and read as they change.
//!
//! Unlike [`super::Disk`], which holds what is tflog's own, this only looks: at
//! what is in a directory, which file a name leads to, and what stands in it.

use std::ffi::OsString;
use std::fs::{File, Metadata, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::OFlags;
use rustix::io::Errno;

use super::disk::or_here;
use crate::event::Timestamp;

/// What tflog asks about the files of others.
pub trait Files: Send + Sync {
    /// Opens a file to be read. A FIFO in its place does not block.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Opened>>;

    /// What a path leads to, through symbolic links.
    fn facts(&self, path: &Path) -> io::Result<Facts>;

    /// The names in a directory, in no order; whether each is a directory itself,
    /// not a link to one.
    fn list(&self, directory: &Path) -> io::Result<Vec<(OsString, bool)>>;

    /// Where a path leads, without symbolic links.
    fn real(&self, path: &Path) -> io::Result<PathBuf>;

    /// Whether a name is a directory, and not a link to one.
    fn is_real_directory(&self, path: &Path) -> bool;

    /// Whether the machine can tell of changes, by their descriptors.
    fn can_be_watched(&self) -> bool {
        false
    }
}

/// A file that is open to be read, whatever its name is by now.
pub trait Opened: Send + Sync {
    /// What it is now.
    fn facts(&self) -> io::Result<Facts>;

    /// Reads at `offset`; 0 at the end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Appends what stands at `offset` to `text`, as far as there is room; how
    /// many bytes.
    fn append_at(&self, offset: u64, text: &mut Vec<u8>) -> io::Result<usize>;

    /// The name that it has now, as far as the machine knows.
    fn name(&self) -> Option<PathBuf>;

    /// To watch it by.
    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// What is known of a file without reading it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The device that it is on.
    pub device: u64,
    /// Which file of that device it is, as long as it is there.
    pub inode: u64,
    /// Its length in bytes.
    pub bytes: u64,
    /// When it was last written.
    pub changed: Timestamp,
    /// How many names it has.
    pub names: u64,
    /// What stands there.
    pub kind: Kind,
}

/// What stands under a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// Anything else.
    Other,
}

impl Facts {
    /// Whether it is a regular file.
    #[must_use]
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    /// Whether it is a directory.
    #[must_use]
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    fn of(metadata: &Metadata) -> Facts {
        let seconds = metadata.mtime().saturating_mul(1_000_000_000);
        Facts {
            device: metadata.dev(),
            inode: metadata.ino(),
            bytes: metadata.len(),
            changed: Timestamp(seconds.saturating_add(metadata.mtime_nsec())),
            names: metadata.nlink(),
            kind: if metadata.is_file() {
                Kind::File
            } else if metadata.is_dir() {
                Kind::Directory
            } else {
                Kind::Other
            },
        }
    }
}

/// The machine's files.
pub struct RealFiles;

impl Files for RealFiles {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Opened>> {
        let flags = OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits() as i32)
            .open(path)?;
        Ok(Box::new(file))
    }

    fn facts(&self, path: &Path) -> io::Result<Facts> {
        Ok(Facts::of(&std::fs::metadata(path)?))
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<(OsString, bool)>> {
        let entries = std::fs::read_dir(or_here(directory))?.flatten();
        let named = entries.map(|entry| {
            let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
            (entry.file_name(), is_directory)
        });
        Ok(named.collect())
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        std::fs::canonicalize(path)
    }

    fn is_real_directory(&self, path: &Path) -> bool {
        std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
    }

    fn can_be_watched(&self) -> bool {
        true
    }
}

impl Opened for File {
    fn facts(&self) -> io::Result<Facts> {
        Ok(Facts::of(&self.metadata()?))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        loop {
            match FileExt::read_at(self, into, offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => return other,
            }
        }
    }

    fn append_at(&self, offset: u64, text: &mut Vec<u8>) -> io::Result<usize> {
        loop {
            let spare = rustix::buffer::spare_capacity(text);
            match rustix::io::pread(self, spare, offset) {
                Ok(read) => return Ok(read),
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn name(&self) -> Option<PathBuf> {
        std::fs::read_link(format!("/proc/self/fd/{}", self.as_raw_fd())).ok()
    }

    fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}
