//! Changes of names, which are durable once their directory is synced.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One change.
#[derive(Clone)]
pub(super) enum Change {
    Link(PathBuf, usize),
    Unlink(PathBuf),
    Rename(PathBuf, PathBuf, usize),
}

impl Change {
    /// The directory whose sync makes it durable.
    pub(super) fn directory(&self) -> Option<&Path> {
        match self {
            Change::Link(path, _) | Change::Unlink(path) | Change::Rename(path, _, _) => {
                path.parent()
            }
        }
    }

    /// Makes it among the names of a disk.
    pub(super) fn apply(self, names: &mut BTreeMap<PathBuf, usize>) {
        match self {
            Change::Link(path, inode) => {
                names.insert(path, inode);
            }
            Change::Unlink(path) => {
                names.remove(&path);
            }
            Change::Rename(from, to, inode) => {
                names.remove(&from);
                names.insert(to, inode);
            }
        }
    }
}
