//! A disk in memory that fails on demand.
//!
//! It keeps apart what programs see and what is durable: a write is durable
//! after `sync_data`, a name after `sync_names`. A crash of the process
//! ([`DiskFault::Stop`], then [`FaultyDisk::restart`]) keeps what programs
//! saw; a loss of power keeps what is durable and, if so asked, any part of the
//! rest, in units of sectors and in any order.

mod change;
mod inode;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::{Disk, DiskFile, DiskLock, DiskRoot};
use crate::event::Timestamp;
use crate::seam::Random;
use change::Change;
use inode::Inode;

/// Files in memory. Clones are the same disk. It writes short when told to,
/// fills up, fails any operation, and forgets in a crash what was not synced.
#[derive(Clone, Default)]
pub struct FaultyDisk(Arc<Mutex<State>>);

/// What happens to an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskFault {
    /// It fails with EIO.
    Io,
    /// It fails with ENOSPC.
    NoSpace,
    /// The process ends in it: a write may have been done in part, and all that
    /// follows fails until [`FaultyDisk::restart`].
    Stop,
}

#[derive(Default)]
struct State {
    /// What programs see.
    names: BTreeMap<PathBuf, usize>,
    /// What a loss of power leaves.
    durable_names: BTreeMap<PathBuf, usize>,
    /// Changes of names since they were synced, in order.
    changes: Vec<Change>,
    inodes: Vec<Inode>,
    room: Option<usize>,
    write_bytes_max: Option<usize>,
    failing_writes: u32,
    failing_syncs: u32,
    failing_reads: u32,
    writes: u32,
    locked: BTreeSet<PathBuf>,
    operations: u64,
    planned: BTreeMap<u64, DiskFault>,
    syncs: u64,
    planned_syncs: BTreeMap<u64, DiskFault>,
    stopped: bool,
}

impl State {
    /// Counts an operation that changes something, and lets it fail.
    fn operate(&mut self) -> Result<Option<DiskFault>, Errno> {
        if self.stopped {
            return Err(Errno::IO);
        }
        self.operations += 1;
        match self.planned.remove(&self.operations) {
            Some(DiskFault::Io) => Err(Errno::IO),
            Some(DiskFault::NoSpace) => Err(Errno::NOSPC),
            Some(DiskFault::Stop) => {
                self.stopped = true;
                Ok(Some(DiskFault::Stop))
            }
            None => Ok(None),
        }
    }

    /// As [`State::whole`], of the content of a file.
    fn sync(&mut self) -> Result<(), Errno> {
        self.syncs += 1;
        if let Some(fault) = self.planned_syncs.remove(&self.syncs) {
            self.planned.insert(self.operations + 1, fault);
        }
        self.whole()
    }

    /// As [`State::operate`], of what is done wholly or not at all.
    fn whole(&mut self) -> Result<(), Errno> {
        match self.operate()? {
            None => Ok(()),
            Some(_) => Err(Errno::IO),
        }
    }

    fn change(&mut self, change: Change) {
        change.clone().apply(&mut self.names);
        self.changes.push(change);
    }

    fn link(&mut self, path: PathBuf) -> Result<usize, Errno> {
        self.whole()?;
        self.inodes.push(Inode::default());
        let inode = self.inodes.len() - 1;
        self.change(Change::Link(path, inode));
        Ok(inode)
    }

    /// How much of a write is done, and how it ends.
    fn write(&mut self, len: usize) -> (usize, Result<(), Errno>) {
        self.writes += 1;
        let fault = match self.operate() {
            Ok(fault) => fault,
            Err(error) => return (0, Err(error)),
        };
        if fault.is_some() {
            // Any part is as good a place to end as any other.
            let part = Random::seeded(self.operations).u64() as usize % (len + 1);
            return (part, Err(Errno::IO));
        }
        if self.failing_writes > 0 {
            self.failing_writes -= 1;
            return (0, Err(Errno::IO));
        }
        let mut len = len.min(self.write_bytes_max.unwrap_or(usize::MAX));
        if let Some(room) = &mut self.room {
            len = len.min(*room);
            *room -= len;
            if len == 0 {
                return (0, Err(Errno::NOSPC));
            }
        }
        (len, Ok(()))
    }
}

impl FaultyDisk {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets `bytes` more be written before the disk is full; `None`: no end.
    pub fn set_room(&self, bytes: Option<usize>) {
        self.state().room = bytes;
    }

    /// Lets one write take at most so many bytes.
    pub fn set_write_bytes_max(&self, bytes: usize) {
        self.state().write_bytes_max = Some(bytes);
    }

    /// Fails the next `count` writes with EIO.
    pub fn fail_writes(&self, count: u32) {
        self.state().failing_writes = count;
    }

    /// Fails the next `count` syncs with EIO; what they were to make durable
    /// is lost in a crash unless it is written again, as on Linux.
    pub fn fail_syncs(&self, count: u32) {
        self.state().failing_syncs = count;
    }

    /// Fails the next `count` reads with EIO.
    pub fn fail_reads(&self, count: u32) {
        self.state().failing_reads = count;
    }

    /// How many operations that change something were asked for: writes, syncs
    /// and changes of names.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.state().operations
    }

    /// What is to happen to the `nth` such operation, counted from 1.
    pub fn fault_at(&self, nth: u64, fault: DiskFault) {
        self.state().planned.insert(nth, fault);
    }

    /// How many syncs of files were asked for.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }

    /// What is to happen to the `nth` sync of a file, counted from 1.
    pub fn fault_at_sync(&self, nth: u64, fault: DiskFault) {
        self.state().planned_syncs.insert(nth, fault);
    }

    /// Forgets the faults planned, and lets a new process go on.
    pub fn restart(&self) {
        let mut state = self.state();
        state.planned.clear();
        state.planned_syncs.clear();
        state.stopped = false;
        state.failing_writes = 0;
        state.failing_syncs = 0;
        state.failing_reads = 0;
    }

    /// Whether the process has ended in an operation, by [`DiskFault::Stop`].
    #[must_use]
    pub fn has_stopped(&self) -> bool {
        self.state().stopped
    }

    /// Power is lost: only what was synced is left.
    pub fn crash(&self) {
        let mut state = self.state();
        state.changes.clear();
        state.names = state.durable_names.clone();
        for inode in &mut state.inodes {
            inode.lose(None);
        }
    }

    /// Power is lost: what was synced is left, and of the rest what `seed` says.
    pub fn lose_power(&self, seed: u64) {
        let random = Random::seeded(seed);
        let mut state = self.state();
        let changes = std::mem::take(&mut state.changes);
        // A journal keeps the order; other file systems keep any of them.
        let ordered = random.u64().is_multiple_of(2);
        let first = random.u64() as usize % (changes.len() + 1);
        for (at, change) in changes.into_iter().enumerate() {
            if (ordered && at < first) || (!ordered && random.u64().is_multiple_of(2)) {
                change.apply(&mut state.durable_names);
            }
        }
        state.names = state.durable_names.clone();
        for inode in &mut state.inodes {
            inode.lose(Some(&random));
        }
    }

    /// A file's content as programs see it.
    #[must_use]
    pub fn read(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        let state = self.state();
        let inode = state.names.get(path.as_ref())?;
        Some(state.inodes[*inode].content().to_vec())
    }

    /// Puts a file there, durable.
    pub fn put(&self, path: impl Into<PathBuf>, content: &[u8]) {
        let (mut state, path) = (self.state(), path.into());
        state.inodes.push(Inode::durable(content));
        let inode = state.inodes.len() - 1;
        state.names.insert(path.clone(), inode);
        state.durable_names.insert(path, inode);
    }

    /// Every file's path.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().names.keys().cloned().collect()
    }

    /// How many writes were asked for.
    #[must_use]
    pub fn writes(&self) -> u32 {
        self.state().writes
    }
}

/// A lock; dropping it unlocks.
struct FaultyLock {
    disk: FaultyDisk,
    path: PathBuf,
}

impl Drop for FaultyLock {
    fn drop(&mut self) {
        self.disk.state().locked.remove(&self.path);
    }
}

struct FaultyRoot {
    disk: FaultyDisk,
    directory: PathBuf,
}

struct FaultyFile {
    disk: FaultyDisk,
    inode: usize,
}

impl FaultyRoot {
    fn file(&self, inode: usize) -> Box<dyn DiskFile> {
        let disk = self.disk.clone();
        Box::new(FaultyFile { disk, inode })
    }
}

impl Disk for FaultyDisk {
    fn root(&self, directory: &Path) -> io::Result<Box<dyn DiskRoot>> {
        Ok(Box::new(FaultyRoot {
            disk: self.clone(),
            directory: directory.to_path_buf(),
        }))
    }
}

impl DiskRoot for FaultyRoot {
    fn open_append(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let path = self.directory.join(path);
        let mut state = self.disk.state();
        let known = state.names.get(&path).copied();
        let inode = known.map_or_else(|| state.link(path), Ok)?;
        Ok(self.file(inode))
    }

    fn create(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let path = self.directory.join(path);
        let mut state = self.disk.state();
        if state.names.contains_key(&path) {
            return Err(Errno::EXIST.into());
        }
        Ok(self.file(state.link(path)?))
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        let state = self.disk.state();
        let inode = state.names.get(&self.directory.join(path));
        Ok(self.file(*inode.ok_or(Errno::NOENT)?))
    }

    fn open_in_place(&self, path: &Path) -> io::Result<Box<dyn DiskFile>> {
        self.open_append(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.directory.join(from), self.directory.join(to));
        let mut state = self.disk.state();
        if state.names.contains_key(&to) {
            return Err(Errno::EXIST.into());
        }
        let inode = *state.names.get(&from).ok_or(Errno::NOENT)?;
        state.whole()?;
        state.change(Change::Rename(from, to, inode));
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        let directory = self.directory.join(directory);
        let state = self.disk.state();
        let inside = state
            .names
            .keys()
            .filter(|p| p.parent() == Some(&directory));
        Ok(inside
            .filter_map(|p| p.file_name().map(OsString::from))
            .collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let path = self.directory.join(path);
        let mut state = self.disk.state();
        if !state.names.contains_key(&path) {
            return Err(Errno::NOENT.into());
        }
        state.whole()?;
        state.change(Change::Unlink(path));
        Ok(())
    }

    fn sync_names(&self, path: &Path) -> io::Result<()> {
        let mut state = self.disk.state();
        state.whole()?;
        let path = self.directory.join(path);
        let changes = std::mem::take(&mut state.changes);
        let synced = |change: &Change| {
            path.ancestors()
                .skip(1)
                .any(|d| change.directory() == Some(d))
        };
        for change in changes {
            if synced(&change) {
                change.apply(&mut state.durable_names);
            } else {
                state.changes.push(change);
            }
        }
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        let path = self.directory.join(path);
        let disk = self.disk.clone();
        let is_first = disk.state().locked.insert(path.clone());
        Ok(is_first.then(|| Box::new(FaultyLock { disk, path }) as DiskLock))
    }

    fn duplicate(&self) -> io::Result<Box<dyn DiskRoot>> {
        self.disk.root(&self.directory)
    }
}

impl DiskFile for FaultyFile {
    fn size(&self) -> io::Result<u64> {
        Ok(self.disk.state().inodes[self.inode].content().len() as u64)
    }

    fn modified(&self) -> io::Result<Timestamp> {
        Ok(Timestamp::ABSENT)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let mut state = self.disk.state();
        if state.failing_reads > 0 {
            state.failing_reads -= 1;
            return Err(Errno::IO.into());
        }
        let content = state.inodes[self.inode].content();
        let rest = content.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let offset = self.size()?;
        self.write_at(offset, bytes)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.state();
        let (len, end) = state.write(bytes.len());
        state.inodes[self.inode].write(offset as usize, &bytes[..len]);
        end?;
        Ok(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        let planned = state.sync();
        let failing = state.failing_syncs > 0;
        state.failing_syncs -= u32::from(failing);
        let stopped = state.stopped;
        let inode = &mut state.inodes[self.inode];
        match planned {
            Ok(()) if !failing => {
                inode.sync();
                Ok(())
            }
            // The process is gone, the kernel is not.
            _ if stopped => Err(Errno::IO.into()),
            _ => {
                inode.fail_sync();
                Err(planned.err().unwrap_or(Errno::IO).into())
            }
        }
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        state.whole()?;
        state.inodes[self.inode].truncate(size as usize);
        Ok(())
    }

    fn duplicate(&self) -> io::Result<Box<dyn DiskFile>> {
        Ok(Box::new(FaultyFile {
            disk: self.disk.clone(),
            inode: self.inode,
        }))
    }
}
