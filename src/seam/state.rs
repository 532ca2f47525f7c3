//! The state directory: all that tflog keeps between runs.
//!
//! ```text
//! STATE/lock          held by the tflog that runs
//! STATE/version       the layout of all below, as a number and a line feed
//! STATE/dead/         dead letters
//! STATE/buffer/SINK/  disk buffers
//! ```
//!
//! Every part is a directory of its own, opened with [`StateDirectory::part`].
//! What writes there does so only while a [`StateLock`] is held, which the
//! pipeline takes before it opens anything; verbs that only look take none.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::{Disk, DiskLock, DiskRoot};

/// The layout that this tflog reads and writes. A change that an older one
/// would not understand raises it.
const VERSION: u64 = 1;
/// The longest version file worth reading.
const VERSION_BYTES_MAX: usize = 32;

/// Where the state is; nothing is opened or locked yet.
#[derive(Clone)]
pub struct StateDirectory {
    path: PathBuf,
    disk: Arc<dyn Disk>,
}

/// The right to write to a state directory, until it is dropped.
pub struct StateLock(#[expect(dead_code, reason = "dropping it unlocks")] DiskLock);

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// Another tflog runs on it.
    #[error(
        "state directory {}: another tflog is running on it; stop that one, or give this one a `state` of its own",
        .0.display()
    )]
    InUse(PathBuf),
    /// Its layout is a later tflog's.
    #[error(
        "state directory {}: its layout is version {found}, this tflog knows {VERSION}; run the tflog that wrote it, or give this one a `state` of its own",
        .path.display()
    )]
    Newer {
        /// Which directory.
        path: PathBuf,
        /// What it says.
        found: u64,
    },
    /// The version file holds no number.
    #[error(
        "state directory {}: its file `version` holds no version: this is no state directory of tflog, or it is damaged",
        .0.display()
    )]
    Unreadable(PathBuf),
    /// It cannot be created, read or written.
    #[error(
        "state directory {}: {error}; create it for this user, or name another with `state`",
        .path.display()
    )]
    Io {
        /// Which directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl StateDirectory {
    /// The part with dead letters, in files by their sinks' names.
    pub const DEAD_LETTERS: &str = "dead";
    /// The part with disk buffers, in directories by their sinks' names.
    pub const BUFFERS: &str = "buffer";

    /// The state directory `path` of `disk`.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>, disk: Arc<dyn Disk>) -> StateDirectory {
        let path = path.into();
        StateDirectory { path, disk }
    }

    /// Its path, for messages.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its disk, for who opens files by whole paths: what is made there is
    /// as private as below [`StateDirectory::part`].
    #[must_use]
    pub fn disk(&self) -> Arc<dyn Disk> {
        Arc::new(Private(self.disk.clone()))
    }

    /// Opens the directory `name` in it, created with mode 0700 if it is
    /// missing; files in it have mode 0600. To write there, hold the lock.
    pub fn part(&self, name: impl AsRef<Path>) -> io::Result<Box<dyn DiskRoot>> {
        self.disk.private_root(&self.path.join(name))
    }

    /// Takes the lock, and makes sure that this tflog knows the layout. Creates
    /// the directory if it is missing.
    pub fn lock(&self) -> Result<StateLock, StateError> {
        let failed = |error| StateError::Io {
            path: self.path.clone(),
            error,
        };
        let root = self.part("").map_err(failed)?;
        let lock = root.lock(Path::new("lock")).map_err(failed)?;
        let lock = lock.ok_or_else(|| StateError::InUse(self.path.clone()))?;
        self.check_version(&*root)?;
        Ok(StateLock(lock))
    }

    /// Writes the version into a new directory, and compares it in an old one.
    fn check_version(&self, root: &dyn DiskRoot) -> Result<(), StateError> {
        let failed = |error| StateError::Io {
            path: self.path.clone(),
            error,
        };
        let name = Path::new("version");
        let mut file = root.open_append(name).map_err(failed)?;
        let mut text = [0; VERSION_BYTES_MAX];
        let mut len = 0;
        while len < text.len() {
            match file.read_at(len as u64, &mut text[len..]).map_err(failed)? {
                0 => break,
                read => len += read,
            }
        }
        if text[..len].ends_with(b"\n") {
            let found = std::str::from_utf8(&text[..len]).ok();
            let found = found.and_then(|text| text.trim_end().parse().ok());
            return match found {
                Some(found) if found > VERSION => Err(StateError::Newer {
                    path: self.path.clone(),
                    found,
                }),
                Some(_) => Ok(()),
                None => Err(StateError::Unreadable(self.path.clone())),
            };
        }
        if !text[..len].iter().all(u8::is_ascii_digit) {
            return Err(StateError::Unreadable(self.path.clone()));
        }
        // New, or torn by a crash while it was: before anything else was written.
        let whole = format!("{VERSION}\n");
        file.truncate(0).map_err(failed)?;
        let mut rest = whole.as_bytes();
        while !rest.is_empty() {
            let written = file.write(rest).map_err(failed)?;
            rest = &rest[written..];
        }
        file.sync_data().map_err(failed)?;
        root.sync_names(name).map_err(failed)
    }
}

/// A disk on which everything that is made is tflog's alone.
struct Private(Arc<dyn Disk>);

impl Disk for Private {
    fn root(&self, directory: &Path) -> io::Result<Box<dyn DiskRoot>> {
        self.0.private_root(directory)
    }
}

impl fmt::Debug for StateDirectory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StateDirectory").field(&self.path).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::seam::{FaultyDisk, RealDisk};

    #[test]
    fn one_holds_the_lock_and_what_is_made_is_private() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("new/state");
        let state = StateDirectory::new(&path, Arc::new(RealDisk));
        let lock = state.lock().unwrap();
        let refused = state.lock().err().unwrap().to_string();
        assert!(
            refused.contains("another tflog is running on it") && refused.contains("new/state"),
            "{refused}"
        );
        state
            .part("dead")
            .unwrap()
            .open_append(Path::new("x.jsonl"))
            .unwrap();
        let mode = |path: &str| {
            let metadata = std::fs::metadata(dir.path().join("new").join(path)).unwrap();
            metadata.permissions().mode() & 0o777
        };
        for directory in ["state", "state/dead"] {
            assert_eq!(mode(directory), 0o700, "{directory}");
        }
        for file in ["state/lock", "state/version", "state/dead/x.jsonl"] {
            assert_eq!(mode(file), 0o600, "{file}");
        }
        drop(lock);
        drop(state.lock().unwrap());
    }

    #[test]
    fn a_later_layout_is_refused_and_a_torn_version_is_mended() {
        let disk = FaultyDisk::default();
        let state = StateDirectory::new("/s", Arc::new(disk.clone()));
        for (before, ok) in [
            (&b""[..], true),
            (b"1", true),
            (b"1\n", true),
            (b"2\n", false),
            (b"my notes\n", false),
            (b"my notes", false),
        ] {
            disk.put("/s/version", before);
            let locked = state.lock();
            assert_eq!(locked.is_ok(), ok, "{before:?}: {:?}", locked.err());
            drop(locked);
            let kept = if ok { b"1\n" } else { before };
            disk.crash();
            assert_eq!(disk.read("/s/version").unwrap(), kept);
        }
    }
}
