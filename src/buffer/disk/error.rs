//! What can go wrong with a log, by what the caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

/// Why a log cannot be opened. Nothing was changed on disk.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// A file was written by a later version of tflog.
    #[error(
        "buffer: {} has format version {found}, this tflog reads {known}: run the version that \
         wrote it until the buffer is drained, or move the directory away", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The version that can be read.
        known: u16,
    },
    /// A file was written by an earlier version that is not read any more.
    #[error(
        "buffer: {} has format version {found}, which this tflog no longer reads (it reads \
         {known}): drain the buffer with the version that wrote it", path.display()
    )]
    Older {
        /// The file.
        path: PathBuf,
        /// Its version.
        found: u16,
        /// The version that can be read.
        known: u16,
    },
    /// A file has the name of one of ours, and is none.
    #[error(
        "buffer: {} is not a file of a tflog buffer: move it away, it was not touched",
        path.display()
    )]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The disk refused.
    #[error("buffer: {}: {source}: check the state directory and its file system", path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What it said.
        source: io::Error,
    },
}

/// Why an append or a sync did not succeed. Nothing that was not synced before
/// may be acknowledged; both can be called again.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The log has reached its cap: wait until records are settled.
    #[error("buffer: {} is full, {bytes_max} bytes: its sink is behind", directory.display())]
    Full {
        /// The log's directory.
        directory: PathBuf,
        /// The cap.
        bytes_max: u64,
    },
    /// The file system is full, or the quota on it: try again when there may
    /// be space.
    #[error("buffer: no space left for {}: {source}: free some", path.display())]
    NoSpace {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The disk failed. What it had not confirmed is kept in memory and goes to
    /// a new file with the next call.
    #[error("buffer: {}: {source}: check the disk", path.display())]
    Failed {
        /// The file.
        path: PathBuf,
        /// What the disk said.
        source: io::Error,
    },
    /// The record cannot fit, however empty the log is.
    #[error(
        "buffer: a record of {bytes} bytes cannot fit into {}, which holds {bytes_max}: \
         make `buffer.disk` larger", directory.display()
    )]
    TooLarge {
        /// The log's directory.
        directory: PathBuf,
        /// What the record takes.
        bytes: u64,
        /// The most that fits.
        bytes_max: u64,
    },
}

impl LogError {
    /// An error of the disk, by whether space would help.
    pub(super) fn disk(path: &Path, source: io::Error) -> LogError {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                LogError::NoSpace { path, source }
            }
            _ => LogError::Failed { path, source },
        }
    }

    /// Whether room would help: the caller of a required sink waits, that of a
    /// best-effort one drops and counts.
    #[must_use]
    pub fn is_space(&self) -> bool {
        matches!(self, LogError::Full { .. } | LogError::NoSpace { .. })
    }
}

/// The disk refused to read. The reader stays where it is and can try again.
#[derive(Debug, thiserror::Error)]
#[error("buffer: cannot read {}: {source}: check the disk", path.display())]
pub struct ReadError {
    /// The file.
    pub path: PathBuf,
    /// What the disk said.
    pub source: io::Error,
}
