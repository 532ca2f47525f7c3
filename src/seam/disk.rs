//! Files, behind traits so that a simulated disk can stand in.
//!
//! Paths are relative to a root, a directory that is opened once. Nothing
//! below it can lead out of it: `..` is refused and symbolic links are not
//! followed. [`RealDisk`] is the machine's; [`FaultyDisk`] keeps files in
//! memory, fails on demand and forgets in a crash what was not synced.

mod faulty;

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{self, Mode, OFlags, RenameFlags, ResolveFlags};
use rustix::io::Errno;

pub use faulty::{DiskFault, FaultyDisk};

use crate::event::Timestamp;

/// What tflog asks of a file system.
pub trait Disk: Send + Sync {
    /// Opens a directory, created with its parents if it is missing. Symbolic
    /// links up to it are followed: it is the operator's choice.
    fn root(&self, directory: &Path) -> io::Result<Box<dyn DiskRoot>>;

    /// As [`Disk::root`], for what is tflog's alone: directories that it makes
    /// have the mode 0700, files 0600. One that is there stays as it is.
    fn private_root(&self, directory: &Path) -> io::Result<Box<dyn DiskRoot>> {
        self.root(directory)
    }
}

/// What keeps a file locked until it is dropped.
pub type DiskLock = Box<dyn Send + Sync>;

/// A directory that paths are relative to and cannot leave.
pub trait DiskRoot: Send {
    /// Opens a regular file for reading and appending; it and its directories
    /// are created if they are missing.
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// As [`DiskRoot::open_append`], but fails with
    /// [`io::ErrorKind::AlreadyExists`] if the file exists.
    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a regular file that exists, for reading only.
    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Opens a regular file for reading and [`DiskFile::write_at`]; it and its
    /// directories are created if they are missing.
    fn open_in_place(&self, path: &Path) -> io::Result<Box<dyn DiskFile>>;

    /// Gives a file a new name in the same directory; fails with
    /// [`io::ErrorKind::AlreadyExists`] rather than replace another.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;

    /// The names in a directory, in no order. `""` is the root.
    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>>;

    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;

    /// Makes the names on the way to `path` durable, as after creating it.
    fn sync_names(&self, path: &Path) -> io::Result<()>;

    /// Locks a file, created if it is missing, against all who lock it too, in
    /// this process and others; `None` if somebody has. A crash unlocks. A disk
    /// that nobody else can have need not do anything.
    fn lock(&self, _path: &Path) -> io::Result<Option<DiskLock>> {
        Ok(Some(Box::new(())))
    }

    /// Another handle of the same directory, for another thread.
    fn duplicate(&self) -> io::Result<Box<dyn DiskRoot>>;
}

/// An open file that grows at its end.
pub trait DiskFile: Send {
    /// Its length in bytes now.
    fn size(&self) -> io::Result<u64>;

    /// When it was last written.
    fn modified(&self) -> io::Result<Timestamp>;

    /// Reads at `offset`; 0 at the end.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Appends a beginning of `bytes`; how many.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Writes a beginning of `bytes` over what is at `offset`; how many. Only
    /// of files opened in place.
    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize>;

    /// Makes what was written durable. After a failure nobody knows what of it
    /// is; calling again does not tell either.
    fn sync_data(&mut self) -> io::Result<()>;

    /// Cuts it to `size` bytes.
    fn truncate(&mut self, size: u64) -> io::Result<()>;

    /// Another handle of the same opened file, for another thread.
    fn duplicate(&self) -> io::Result<Box<dyn DiskFile>>;
}

/// The machine's file systems.
pub struct RealDisk;

/// An open directory, and the modes of what is made beneath it.
struct RealRoot(OwnedFd, Modes);

#[derive(Clone, Copy)]
struct Modes {
    file: Mode,
    directory: Mode,
}

/// Log files may be read by the group, as /var/log has it.
const LOGS: Modes = Modes {
    file: Mode::from_raw_mode(0o640),
    directory: Mode::from_raw_mode(0o750),
};
const PRIVATE: Modes = Modes {
    file: Mode::from_raw_mode(0o600),
    directory: Mode::from_raw_mode(0o700),
};

impl Disk for RealDisk {
    fn root(&self, directory: &Path) -> io::Result<Box<dyn DiskRoot>> {
        std::fs::create_dir_all(or_here(directory))?;
        RealRoot::of(directory, LOGS)
    }

    fn private_root(&self, directory: &Path) -> io::Result<Box<dyn DiskRoot>> {
        use std::os::unix::fs::DirBuilderExt as _;
        std::fs::DirBuilder::new()
            .recursive(true)
            .mode(PRIVATE.directory.as_raw_mode())
            .create(or_here(directory))?;
        RealRoot::of(directory, PRIVATE)
    }
}

/// System calls do not take an empty path for the current directory.
pub(crate) fn or_here(directory: &Path) -> &Path {
    if directory.as_os_str().is_empty() {
        Path::new(".")
    } else {
        directory
    }
}

impl RealRoot {
    fn of(directory: &Path, modes: Modes) -> io::Result<Box<dyn DiskRoot>> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let opened = fs::open(or_here(directory), flags, Mode::empty())?;
        Ok(Box::new(RealRoot(opened, modes)))
    }

    fn open(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NOCTTY;
        let beneath = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS;
        match fs::openat2(&self.0, path, flags, mode, beneath) {
            // No such call before Linux 5.6, and sandboxes that forbid it.
            Err(Errno::NOSYS | Errno::PERM) => self.walk(path, flags, mode),
            other => Ok(other?),
        }
    }

    /// What `openat2` does, one component at a time.
    fn walk(&self, path: &Path, flags: OFlags, mode: Mode) -> io::Result<OwnedFd> {
        let mut names = path.components().peekable();
        let mut at: Option<OwnedFd> = None;
        while let Some(name) = names.next() {
            let Component::Normal(name) = name else {
                return Err(Errno::XDEV.into());
            };
            let directory = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let (flags, mode) = match names.peek() {
                Some(_) => (directory, Mode::empty()),
                None => (flags, mode),
            };
            at = Some(fs::openat(
                at.as_ref().unwrap_or(&self.0),
                name,
                flags,
                mode,
            )?);
        }
        at.ok_or_else(|| Errno::NOENT.into())
    }

    fn directory(&self, path: &Path) -> io::Result<OwnedFd> {
        if path.as_os_str().is_empty() {
            return self.0.try_clone();
        }
        self.open(path, OFlags::DIRECTORY | OFlags::RDONLY, Mode::empty())
    }

    fn open_or_create(&self, path: &Path, flags: OFlags) -> io::Result<File> {
        let opened = match self.open(path, flags, self.1.file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.create_directories(path.parent().unwrap_or(Path::new("")))?;
                self.open(path, flags, self.1.file)
            }
            other => other,
        };
        regular(opened?)
    }

    fn create_directories(&self, path: &Path) -> io::Result<()> {
        let Some((parent, name)) = path.parent().zip(path.file_name()) else {
            return Ok(());
        };
        let inside = match self.directory(parent) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.create_directories(parent)?;
                self.directory(parent)?
            }
            other => other?,
        };
        match fs::mkdirat(&inside, name, self.1.directory) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

fn regular(opened: OwnedFd) -> io::Result<File> {
    let file = File::from(opened);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other("not a regular file"));
    }
    Ok(file)
}

impl DiskRoot for RealRoot {
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE;
        Ok(Box::new(self.open_or_create(path, flags)?))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let flags = OFlags::RDWR | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL;
        Ok(Box::new(self.open_or_create(path, flags)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let opened = self.open(path, OFlags::RDONLY | OFlags::NONBLOCK, Mode::empty())?;
        Ok(Box::new(regular(opened)?))
    }

    fn open_in_place(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(
            self.open_or_create(path, OFlags::RDWR | OFlags::CREATE)?,
        ))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let directory = self.directory(from.parent().unwrap_or(Path::new("")))?;
        let (Some(from), Some(to)) = (from.file_name(), to.file_name()) else {
            return Err(Errno::INVAL.into());
        };
        match fs::renameat_with(&directory, from, &directory, to, RenameFlags::NOREPLACE) {
            // Some file systems cannot; a hard link does not replace either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                fs::linkat(&directory, from, &directory, to, fs::AtFlags::empty())?;
                Ok(fs::unlinkat(&directory, from, fs::AtFlags::empty())?)
            }
            other => Ok(other?),
        }
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        use std::os::unix::ffi::OsStringExt as _;
        let directory = self.directory(directory)?;
        fs::Dir::read_from(&directory)?
            .map(|entry| Ok(OsString::from_vec(entry?.file_name().to_bytes().to_vec())))
            .collect()
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let directory = self.directory(path.parent().unwrap_or(Path::new("")))?;
        let name = path.file_name().ok_or(Errno::INVAL)?;
        Ok(fs::unlinkat(&directory, name, fs::AtFlags::empty())?)
    }

    fn sync_names(&self, path: &Path) -> io::Result<()> {
        for directory in path.ancestors().skip(1) {
            fs::fsync(self.directory(directory)?)?;
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        let file = self.open_or_create(path, OFlags::RDWR | OFlags::CREATE)?;
        match fs::flock(&file, fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Box::new(file))),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn duplicate(&self) -> io::Result<Box<dyn DiskRoot>> {
        Ok(Box::new(RealRoot(self.0.try_clone()?, self.1)))
    }
}

impl DiskFile for File {
    fn size(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn modified(&self) -> io::Result<Timestamp> {
        let since = self
            .metadata()?
            .modified()?
            .duration_since(std::time::UNIX_EPOCH);
        Ok(Timestamp(since.unwrap_or_default().as_nanos() as i64))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::read_at(self, into, offset)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        (&*self).write(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        std::os::unix::fs::FileExt::write_at(self, bytes, offset)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        File::sync_data(self)
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        self.set_len(size)
    }

    fn duplicate(&self) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(self.try_clone()?))
    }
}

#[cfg(test)]
mod tests;
