//! A disk in memory that fails on demand.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustix::io::Errno;

use super::{Disk, DiskFile, DiskLock, DiskRoot};
use crate::event::Timestamp;

/// Files in memory. Clones are the same disk. It writes short when told to,
/// fills up, fails to write or sync, and forgets in a crash what was not synced.
#[derive(Clone, Default)]
pub struct FaultyDisk(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// What a crash leaves.
    durable: BTreeMap<PathBuf, Vec<u8>>,
    room: Option<usize>,
    write_bytes_max: Option<usize>,
    failing_writes: u32,
    failing_syncs: u32,
    writes: u32,
    locked: BTreeSet<PathBuf>,
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

    /// Power is lost: only what was synced is left.
    pub fn crash(&self) {
        let mut state = self.state();
        state.files = state.durable.clone();
    }

    /// A file's content as programs see it.
    #[must_use]
    pub fn read(&self, path: impl AsRef<Path>) -> Option<Vec<u8>> {
        self.state().files.get(path.as_ref()).cloned()
    }

    /// Puts a file there, durable.
    pub fn put(&self, path: impl Into<PathBuf>, content: &[u8]) {
        let (mut state, path) = (self.state(), path.into());
        state.files.insert(path.clone(), content.to_vec());
        state.durable.insert(path, content.to_vec());
    }

    /// Every file's path.
    #[must_use]
    pub fn paths(&self) -> Vec<PathBuf> {
        self.state().files.keys().cloned().collect()
    }

    /// How many writes were asked for.
    #[must_use]
    pub fn writes(&self) -> u32 {
        self.state().writes
    }
}

struct FaultyRoot {
    disk: FaultyDisk,
    directory: PathBuf,
}

struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    /// Bytes at the start that a failed sync did not leave in doubt, if one did.
    in_doubt_from: Option<usize>,
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
        self.disk.state().files.entry(path.clone()).or_default();
        Ok(Box::new(FaultyFile {
            disk: self.disk.clone(),
            path,
            in_doubt_from: None,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let (from, to) = (self.directory.join(from), self.directory.join(to));
        let mut state = self.disk.state();
        if state.files.contains_key(&to) {
            return Err(Errno::EXIST.into());
        }
        let content = state.files.remove(&from).ok_or(Errno::NOENT)?;
        state.files.insert(to.clone(), content);
        // Names are durable at once here: what is tested is data.
        if let Some(durable) = state.durable.remove(&from) {
            state.durable.insert(to, durable);
        }
        Ok(())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<OsString>> {
        let directory = self.directory.join(directory);
        let state = self.disk.state();
        let inside = state
            .files
            .keys()
            .filter(|p| p.parent() == Some(&directory));
        Ok(inside
            .filter_map(|p| p.file_name().map(OsString::from))
            .collect())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let path = self.directory.join(path);
        let mut state = self.disk.state();
        state.durable.remove(&path);
        state.files.remove(&path).ok_or(Errno::NOENT)?;
        Ok(())
    }

    fn sync_names(&self, _path: &Path) -> io::Result<()> {
        Ok(())
    }

    fn lock(&self, path: &Path) -> io::Result<Option<DiskLock>> {
        let path = self.directory.join(path);
        let disk = self.disk.clone();
        let is_first = disk.state().locked.insert(path.clone());
        Ok(is_first.then(|| Box::new(FaultyLock { disk, path }) as DiskLock))
    }
}

impl DiskFile for FaultyFile {
    fn size(&self) -> io::Result<u64> {
        let state = self.disk.state();
        Ok(state.files.get(&self.path).map_or(0, Vec::len) as u64)
    }

    fn modified(&self) -> io::Result<Timestamp> {
        Ok(Timestamp::ABSENT)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.disk.state();
        let content = state.files.get(&self.path).map_or(&[][..], Vec::as_slice);
        let rest = content.get(offset as usize..).unwrap_or_default();
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.disk.state();
        state.writes += 1;
        if state.failing_writes > 0 {
            state.failing_writes -= 1;
            return Err(Errno::IO.into());
        }
        let mut len = bytes.len().min(state.write_bytes_max.unwrap_or(usize::MAX));
        if let Some(room) = &mut state.room {
            len = len.min(*room);
            *room -= len;
            if len == 0 {
                return Err(Errno::NOSPC.into());
            }
        }
        let content = state.files.entry(self.path.clone()).or_default();
        content.extend_from_slice(&bytes[..len]);
        Ok(len)
    }

    fn sync_data(&mut self) -> io::Result<()> {
        let mut state = self.disk.state();
        let durable = state.durable.get(&self.path).map_or(0, Vec::len);
        if state.failing_syncs > 0 {
            state.failing_syncs -= 1;
            self.in_doubt_from.get_or_insert(durable);
            return Err(Errno::IO.into());
        }
        let content = state.files.get(&self.path).cloned().unwrap_or_default();
        // Pages of a failed sync are marked clean: a later one skips them.
        let synced = self
            .in_doubt_from
            .map_or(content.len(), |from| from.min(content.len()));
        let mut kept = content;
        kept.truncate(synced);
        state.durable.insert(self.path.clone(), kept);
        Ok(())
    }

    fn truncate(&mut self, size: u64) -> io::Result<()> {
        if self.in_doubt_from.is_some_and(|from| size <= from as u64) {
            self.in_doubt_from = None;
        }
        let mut state = self.disk.state();
        if let Some(content) = state.files.get_mut(&self.path) {
            content.truncate(size as usize);
        }
        Ok(())
    }
}
