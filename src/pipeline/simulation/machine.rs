//! The files of the programs whose logs are followed: names, inodes that are used
//! again, descriptors that outlive names.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rustix::io::Errno;
use tokio::time::Instant;

use crate::event::Timestamp;
use crate::seam::{Facts, Files, Kind, Opened};

/// Between two processes.
const DOWN: Duration = Duration::from_secs(3);

/// The file system of the machine, and its clock; clones are the same.
#[derive(Clone, Default)]
pub(super) struct Machine(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    names: BTreeMap<PathBuf, u64>,
    nodes: BTreeMap<u64, Node>,
    directories: BTreeSet<PathBuf>,
    /// The time when a process began last, or ended, and since when it runs.
    nanos: i64,
    began: Option<Instant>,
    /// Writes so far: each is at a time of its own.
    writes: i64,
    /// The events of files that are there no more.
    gone: Vec<usize>,
}

/// One file.
#[derive(Clone, Default)]
pub(super) struct Node {
    pub(super) content: Vec<u8>,
    /// The events in it, and where each ends.
    pub(super) lines: Vec<(usize, u64)>,
    changed: i64,
    /// Descriptors that tflog and the program have.
    readers: u64,
    writers: u64,
}

impl Machine {
    /// One whose clock shows this.
    pub(super) fn at(time: Timestamp) -> Machine {
        let machine = Machine::default();
        machine.state().nanos = time.0;
        machine
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A process begins; the time.
    pub(super) fn begin(&self) -> Timestamp {
        let mut state = self.state();
        state.began = Some(Instant::now());
        Timestamp(state.nanos)
    }

    /// It has ended.
    pub(super) fn end(&self, at: Instant) {
        let mut state = self.state();
        if let Some(began) = state.began.take() {
            let lived = at.saturating_duration_since(began) + DOWN;
            state.nanos += lived.as_nanos() as i64;
        }
    }

    pub(super) fn make_directory(&self, path: &Path) {
        self.state().directories.insert(path.to_path_buf());
    }

    /// Makes a file that a program has open; its inode, the least that is free.
    pub(super) fn create(&self, path: &Path) -> u64 {
        let mut state = self.state();
        let inode = (1..u64::MAX).find(|inode| !state.nodes.contains_key(inode));
        let inode = inode.unwrap_or_default();
        let node = Node {
            writers: 1,
            changed: state.write(),
            ..Node::default()
        };
        state.nodes.insert(inode, node);
        state.names.insert(path.to_path_buf(), inode);
        inode
    }

    /// The program has it open no more.
    pub(super) fn close(&self, inode: u64) {
        let mut state = self.state();
        if let Some(node) = state.nodes.get_mut(&inode) {
            node.writers = 0;
        }
        state.forget(inode);
    }

    /// Appends, and says which event ends with it.
    pub(super) fn append(&self, inode: u64, bytes: &[u8], event: Option<usize>) {
        let mut state = self.state();
        let now = state.write();
        if let Some(node) = state.nodes.get_mut(&inode) {
            node.content.extend_from_slice(bytes);
            let end = node.content.len() as u64;
            node.lines.extend(event.map(|event| (event, end)));
            node.changed = now;
        }
    }

    /// Says which events are in a file.
    pub(super) fn set_lines(&self, inode: u64, lines: Vec<(usize, u64)>) {
        if let Some(node) = self.state().nodes.get_mut(&inode) {
            node.lines = lines;
        }
    }

    /// The events of files that are there no more, since the last time.
    pub(super) fn take_gone(&self) -> Vec<usize> {
        std::mem::take(&mut self.state().gone)
    }

    /// The files that have no name any more.
    pub(super) fn unnamed(&self) -> Vec<u64> {
        let state = self.state();
        let named = |inode: &u64| state.names.values().any(|named| named == inode);
        let nodes = state.nodes.keys().copied();
        nodes.filter(|inode| !named(inode)).collect()
    }

    pub(super) fn rename(&self, from: &Path, to: &Path) {
        let mut state = self.state();
        if let Some(inode) = state.names.remove(from) {
            state.names.insert(to.to_path_buf(), inode);
        }
    }

    pub(super) fn remove(&self, path: &Path) {
        let mut state = self.state();
        if let Some(inode) = state.names.remove(path) {
            state.forget(inode);
        }
    }

    pub(super) fn truncate(&self, inode: u64) {
        let mut state = self.state();
        let now = state.write();
        if let Some(node) = state.nodes.get_mut(&inode) {
            node.content.clear();
            node.lines.clear();
            node.changed = now;
        }
    }

    /// A file as it is now.
    pub(super) fn node(&self, inode: u64) -> Node {
        self.state().nodes.get(&inode).cloned().unwrap_or_default()
    }

    /// Whether tflog has it open.
    pub(super) fn is_read(&self, inode: u64) -> bool {
        self.state()
            .nodes
            .get(&inode)
            .is_some_and(|n| n.readers > 0)
    }

    /// The files of a directory: names and inodes.
    pub(super) fn files(&self, directory: &Path) -> Vec<(PathBuf, u64)> {
        let state = self.state();
        let names = state
            .names
            .iter()
            .map(|(path, inode)| (path.clone(), *inode));
        names
            .filter(|(path, _)| path.starts_with(directory))
            .collect()
    }
}

impl State {
    /// When something is written now: no two writes are at the same time.
    fn write(&mut self) -> i64 {
        self.writes += 1;
        let lived = self.began.map_or(Duration::ZERO, |began| began.elapsed());
        self.nanos + lived.as_nanos() as i64 + self.writes
    }

    /// An inode that nobody knows is free.
    fn forget(&mut self, inode: u64) {
        let named = self.names.values().any(|named| *named == inode);
        let node = self.nodes.get(&inode);
        if !named && node.is_some_and(|node| node.readers == 0 && node.writers == 0) {
            let node = self.nodes.remove(&inode).unwrap_or_default();
            self.gone.extend(node.lines.iter().map(|(event, _)| event));
        }
    }

    fn facts(&self, inode: u64) -> Facts {
        let node = self.nodes.get(&inode).cloned().unwrap_or_default();
        let names = self.names.values().filter(|named| **named == inode);
        Facts {
            device: 1,
            inode,
            bytes: node.content.len() as u64,
            changed: Timestamp(node.changed),
            names: names.count() as u64,
            kind: Kind::File,
        }
    }
}

impl Files for Machine {
    fn open(&self, path: &Path) -> io::Result<Box<dyn Opened>> {
        let mut state = self.state();
        let inode = *state.names.get(path).ok_or(Errno::NOENT)?;
        if let Some(node) = state.nodes.get_mut(&inode) {
            node.readers += 1;
        }
        let machine = self.clone();
        Ok(Box::new(Descriptor { machine, inode }))
    }

    fn facts(&self, path: &Path) -> io::Result<Facts> {
        let state = self.state();
        if let Some(inode) = state.names.get(path) {
            return Ok(state.facts(*inode));
        }
        let is_directory = |known: &PathBuf| known.starts_with(path);
        if state.directories.iter().any(is_directory) {
            return Ok(Facts {
                kind: Kind::Directory,
                ..state.facts(0)
            });
        }
        Err(Errno::NOENT.into())
    }

    fn list(&self, directory: &Path) -> io::Result<Vec<(OsString, bool)>> {
        let state = self.state();
        let files = state.names.keys().map(|path| (path, false));
        let directories = state.directories.iter().map(|path| (path, true));
        let all = files.chain(directories);
        let inside = all.filter(|(path, _)| path.parent() == Some(directory));
        Ok(inside
            .filter_map(|(path, is_directory)| Some((path.file_name()?.to_owned(), is_directory)))
            .collect())
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(path.to_path_buf())
    }

    fn is_real_directory(&self, path: &Path) -> bool {
        self.facts(path).is_ok_and(|facts| facts.is_directory())
    }
}

/// A file that tflog has open.
struct Descriptor {
    machine: Machine,
    inode: u64,
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        let mut state = self.machine.state();
        if let Some(node) = state.nodes.get_mut(&self.inode) {
            node.readers -= 1;
        }
        state.forget(self.inode);
    }
}

impl Opened for Descriptor {
    fn facts(&self) -> io::Result<Facts> {
        Ok(self.machine.state().facts(self.inode))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let state = self.machine.state();
        let content = state.nodes.get(&self.inode).map(|node| &*node.content);
        let rest = content.and_then(|content| content.get(offset as usize..));
        let rest = rest.unwrap_or_default();
        let len = rest.len().min(into.len());
        into[..len].copy_from_slice(&rest[..len]);
        Ok(len)
    }

    fn append_at(&self, offset: u64, text: &mut Vec<u8>) -> io::Result<usize> {
        let state = self.machine.state();
        let content = state.nodes.get(&self.inode).map(|node| &*node.content);
        let rest = content.and_then(|content| content.get(offset as usize..));
        let rest = rest.unwrap_or_default();
        let read = rest.len().min(text.capacity() - text.len());
        text.extend_from_slice(&rest[..read]);
        Ok(read)
    }

    fn name(&self) -> Option<PathBuf> {
        let state = self.machine.state();
        let mut names = state.names.iter();
        let found = names.find(|(_, inode)| **inode == self.inode);
        found.map(|(path, _)| path.clone())
    }
}
