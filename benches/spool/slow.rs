//! The machine's disk, with syncs that take longer than they do.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::time::Duration;

use tflog::event::Timestamp;
use tflog::seam::{Disk, DiskFile, DiskLock, DiskRoot, RealDisk};

/// Its syncs take so much longer.
pub(crate) struct SlowDisk(pub(crate) Duration);

struct SlowRoot(Box<dyn DiskRoot>, Duration);

struct SlowFile(Box<dyn DiskFile>, Duration);

impl Disk for SlowDisk {
    fn root(&self, directory: &Path) -> io::Result<Box<dyn DiskRoot>> {
        Ok(Box::new(SlowRoot(RealDisk.root(directory)?, self.0)))
    }

    fn private_root(&self, directory: &Path) -> io::Result<Box<dyn DiskRoot>> {
        let root = RealDisk.private_root(directory)?;
        Ok(Box::new(SlowRoot(root, self.0)))
    }
}

impl SlowRoot {
    fn file(&self, file: io::Result<Box<dyn DiskFile>>) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SlowFile(file?, self.1)))
    }
}

impl DiskRoot for SlowRoot {
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.file(self.0.open_append(path))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.file(self.0.create(path))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.file(self.0.open(path))
    }

    fn open_in_place(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.file(self.0.open_in_place(path))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.0.rename(from, to)
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        self.0.list(directory)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.0.remove(path)
    }

    fn sync_names(&self, path: &Path) -> io::Result<()> {
        std::thread::sleep(self.1);
        self.0.sync_names(path)
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        self.0.lock(path)
    }

    fn duplicate(&self) -> io::Result<Box<dyn DiskRoot>> {
        Ok(Box::new(SlowRoot(self.0.duplicate()?, self.1)))
    }
}

impl DiskFile for SlowFile {
    fn size(&self) -> io::Result<u64> {
        self.0.size()
    }

    fn modified(&self) -> io::Result<Timestamp> {
        self.0.modified()
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.0.read_at(offset, into)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        self.0.write_at(offset, bytes)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        std::thread::sleep(self.1);
        self.0.sync_data()
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        self.0.truncate(size)
    }

    fn duplicate(&self) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(SlowFile(self.0.duplicate()?, self.1)))
    }
}
