//! The open files of one sink: which there are, what each is still to get,
//! and how much of it has been written.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::io::Errno;
use tokio::time::Instant;

use super::repair::{self, Content};
use super::rotate::Rotate;
use super::{Config, PathTemplate};
use crate::event::Timestamp;
use crate::seam::{Clock, Disk, DiskFile, DiskRoot, World};
use crate::sink::encode::ends_open;

/// What went wrong with which file.
#[derive(Debug)]
pub(super) struct Failure {
    path: PathBuf,
    what: &'static str,
    error: io::Error,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}: {}", self.path.display(), self.what, self.error)?;
        f.write_str(match self.error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => " (free some space)",
            io::ErrorKind::PermissionDenied => " (give tflog the right to write there)",
            _ if self.error.raw_os_error() == Some(Errno::LOOP.raw_os_error()) => {
                " (symbolic links below the fixed part of a path are not followed)"
            }
            _ => "",
        })
    }
}

/// Every file with something to write, and those that are still open.
pub(super) struct Files {
    name: Arc<str>,
    disk: Arc<dyn Disk>,
    clock: Clock,
    directory: PathBuf,
    root: Option<Box<dyn DiskRoot>>,
    content: Content,
    config: Config,
    entries: Vec<OneFile>,
    by_path: HashMap<Arc<[u8]>, usize>,
    /// The file of the last [`Files::touch`]: mostly the next one's too.
    last: usize,
    /// Files with rows in the load, in order of their first one.
    touched: Vec<usize>,
    /// Open ones, the one not used for longest first.
    open: Vec<usize>,
}

struct OneFile {
    path: Arc<[u8]>,
    open: Option<Open>,
    /// The load's bytes for it.
    buffer: Vec<u8>,
    written: usize,
    touched: bool,
    /// Where the load's bytes start, once they do.
    start: Option<u64>,
    used: Instant,
}

struct Open {
    file: Box<dyn DiskFile>,
    size: u64,
    /// Whether the last line lacks its line feed and more is not to join it.
    line_open: bool,
    unsynced: bool,
    names_unsynced: bool,
    /// When what is in it was begun, for rotation by time.
    since: Timestamp,
}

impl OneFile {
    fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(&self.path))
    }
}

impl Files {
    pub(super) fn new(
        name: Arc<str>,
        template: &PathTemplate,
        content: Content,
        config: Config,
        world: &World,
    ) -> Files {
        Files {
            name,
            disk: world.disk.clone(),
            clock: world.clock.clone(),
            directory: template.root().to_path_buf(),
            root: None,
            content,
            config,
            entries: Vec::new(),
            by_path: HashMap::new(),
            last: 0,
            touched: Vec::new(),
            open: Vec::new(),
        }
    }

    /// The buffer of a path, which the load has something for.
    pub(super) fn touch(&mut self, path: &[u8]) -> &mut Vec<u8> {
        let known = self
            .entries
            .get(self.last)
            .is_some_and(|f| *f.path == *path);
        if !known {
            self.last = self.by_path.get(path).copied().unwrap_or_else(|| {
                let path: Arc<[u8]> = path.into();
                self.by_path.insert(path.clone(), self.entries.len());
                self.entries.push(OneFile {
                    path,
                    open: None,
                    buffer: Vec::new(),
                    written: 0,
                    touched: false,
                    start: None,
                    used: Instant::now(),
                });
                self.entries.len() - 1
            });
        }
        let file = &mut self.entries[self.last];
        if !file.touched {
            file.touched = true;
            self.touched.push(self.last);
        }
        &mut file.buffer
    }

    /// Lets `change` have the buffer of every touched file; how many bytes
    /// they held before.
    pub(super) fn each_buffer(
        &mut self,
        mut change: impl FnMut(&mut Vec<u8>) -> io::Result<()>,
    ) -> Result<u64, Failure> {
        let mut bytes = 0;
        for &i in &self.touched {
            let file = &mut self.entries[i];
            bytes += file.buffer.len() as u64;
            change(&mut file.buffer).map_err(|error| Failure {
                path: self.directory.join(file.path()),
                what: "cannot compress",
                error,
            })?;
        }
        Ok(bytes)
    }

    /// Writes what is left of every buffer.
    pub(super) fn deliver_buffers(&mut self) -> Result<(), Failure> {
        for at in 0..self.touched.len() {
            let i = self.touched[at];
            if self.entries[i].written == self.entries[i].buffer.len() {
                continue;
            }
            self.begin(i, self.entries[i].buffer.len() as u64)?;
            let mut buffer = std::mem::take(&mut self.entries[i].buffer);
            let mut result = Ok(());
            while result.is_ok() && self.entries[i].written < buffer.len() {
                let from = self.entries[i].written;
                result = self.write(i, &buffer[from..]).map(|_| ());
            }
            std::mem::swap(&mut self.entries[i].buffer, &mut buffer);
            result?;
            let raw = self.content == Content::Bytes;
            let open_line = raw && ends_open(&self.entries[i].buffer);
            self.set_open_line(i, open_line);
        }
        Ok(())
    }

    /// Opens a file, rotates it and ends its last line as needed, once a load.
    pub(super) fn begin(&mut self, i: usize, bytes: u64) -> Result<(), Failure> {
        self.ensure_open(i)?;
        if self.entries[i].start.is_some() {
            return Ok(());
        }
        if self.is_due(i, bytes) {
            self.rotate(i)?;
            self.ensure_open(i)?;
        }
        if self.entries[i].open.as_ref().is_some_and(|o| o.line_open) {
            while self.write(i, b"\n")? == 0 {}
            self.entries[i].written = 0;
            self.set_open_line(i, false);
        }
        let file = &mut self.entries[i];
        file.start = file.open.as_ref().map(|open| open.size);
        Ok(())
    }

    /// Writes a beginning of `bytes`; how many, which can be none.
    pub(super) fn write(&mut self, i: usize, bytes: &[u8]) -> Result<usize, Failure> {
        let file = &mut self.entries[i];
        let Some(open) = &mut file.open else {
            return Err(self.failure(i, "not open", io::ErrorKind::NotFound.into()));
        };
        let result = match open.file.write(bytes) {
            Ok(0) => Err(io::ErrorKind::WriteZero.into()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(0),
            other => other,
        };
        match result {
            Ok(taken) => {
                file.written += taken;
                open.size += taken as u64;
                open.unsynced = true;
                Ok(taken)
            }
            Err(error) => Err(self.failure(i, "cannot write", error)),
        }
    }

    fn set_open_line(&mut self, i: usize, open_line: bool) {
        if let Some(open) = &mut self.entries[i].open {
            open.line_open = open_line;
        }
    }

    /// Makes every touched file durable. Where that fails, the load's bytes
    /// are taken back, to be written again.
    pub(super) fn sync_touched(&mut self) -> Result<(), Failure> {
        for at in 0..self.touched.len() {
            self.sync(self.touched[at])?;
        }
        Ok(())
    }

    fn sync(&mut self, i: usize) -> Result<(), Failure> {
        let file = &mut self.entries[i];
        let Some(open) = &mut file.open else {
            return Ok(());
        };
        if open.names_unsynced
            && let Some(root) = &self.root
        {
            if let Err(error) = root.sync_names(file.path()) {
                return Err(self.failure(i, "cannot sync its directory", error));
            }
            if let Some(open) = &mut self.entries[i].open {
                open.names_unsynced = false;
            }
        }
        let file = &mut self.entries[i];
        let Some(open) = file.open.as_mut().filter(|o| o.unsynced) else {
            return Ok(());
        };
        let Err(error) = open.file.sync_data() else {
            open.unsynced = false;
            return Ok(());
        };
        if let Some(start) = file.start
            && file.written > 0
        {
            // Unless somebody else has appended too: then better twice than cut.
            let ours = open.file.size().is_ok_and(|size| size == open.size);
            if ours && open.file.truncate(start).is_ok() {
                open.size = start;
            } else {
                file.start = None;
            }
            file.written = 0;
        }
        Err(self.failure(i, "cannot sync", error))
    }

    /// Ends the load: forgets its bytes, closes what was idle. `open_line` is
    /// that of a single file that was written to directly.
    pub(super) fn finish(&mut self, open_line: bool) {
        /// A buffer grown past this by one large load is let go.
        const KEEP_BYTES_MAX: usize = 1024 * 1024;
        if open_line && self.content == Content::Bytes {
            self.set_open_line(0, true);
        }
        let now = Instant::now();
        for i in self.touched.drain(..) {
            let file = &mut self.entries[i];
            file.buffer.clear();
            file.buffer.shrink_to(KEEP_BYTES_MAX);
            (file.written, file.touched, file.start, file.used) = (0, false, None, now);
        }
        self.close_idle(now);
        if self.open.len() < self.entries.len() {
            self.forget_closed();
        }
    }

    fn close_idle(&mut self, now: Instant) {
        while let Some(&i) = self.open.first() {
            if now.duration_since(self.entries[i].used) < self.config.idle.0 {
                return;
            }
            if let Err(failure) = self.close(i) {
                tracing::warn!(sink = &*self.name, "closing an idle file: {failure}");
            }
        }
    }

    fn forget_closed(&mut self) {
        self.entries.retain(|file| file.open.is_some());
        self.by_path.clear();
        self.open.clear();
        let paths = self.entries.iter().enumerate();
        self.by_path.extend(paths.map(|(i, f)| (f.path.clone(), i)));
        self.open.extend(0..self.entries.len());
        self.open.sort_by_key(|&i| self.entries[i].used);
        self.last = 0;
    }

    /// Syncs and closes a file. It is closed even if the sync fails.
    fn close(&mut self, i: usize) -> Result<(), Failure> {
        let result = self.sync(i);
        self.entries[i].open = None;
        self.open.retain(|&open| open != i);
        result
    }

    pub(super) fn close_all(&mut self) -> Result<(), Failure> {
        let mut result = Ok(());
        while let Some(&i) = self.open.first() {
            result = result.and(self.close(i));
        }
        result
    }

    /// Whether the root can be opened.
    pub(super) fn check(&mut self) -> Result<(), Failure> {
        if self.root.is_none() {
            let root = self.disk.root(&self.directory).map_err(|error| Failure {
                path: self.directory.clone(),
                what: "cannot open the directory",
                error,
            })?;
            self.root = Some(root);
        }
        Ok(())
    }

    /// How many files are open.
    #[cfg(test)]
    pub(super) fn open_count(&self) -> usize {
        self.entries.iter().filter(|f| f.open.is_some()).count()
    }

    fn ensure_open(&mut self, i: usize) -> Result<(), Failure> {
        self.open.retain(|&open| open != i);
        if self.entries[i].open.is_none() {
            self.check()?;
            while self.open.len() >= self.config.open_max {
                self.close(self.open[0])?;
            }
            let opened = self.open_file(self.entries[i].path());
            let opened = opened.map_err(|error| self.failure(i, "cannot open", error))?;
            self.entries[i].open = Some(opened);
        }
        self.open.push(i);
        Ok(())
    }

    fn open_file(&self, path: &Path) -> io::Result<Open> {
        let root = self.root.as_ref().ok_or(io::ErrorKind::NotFound)?;
        let mut file = root.open_append(path)?;
        let mended = repair::mend(&mut *file, self.content)?;
        if mended.cut > 0 {
            tracing::warn!(
                sink = &*self.name,
                path = %self.directory.join(path).display(),
                bytes = mended.cut,
                "cut off what a crash had torn"
            );
        }
        let size = file.size()?;
        let modified = file.modified()?;
        let since = if size > 0 && modified != Timestamp::ABSENT {
            modified
        } else {
            self.clock.now()
        };
        Ok(Open {
            file,
            size,
            line_open: mended.open_line,
            unsynced: mended.cut > 0,
            names_unsynced: size == 0,
            since,
        })
    }

    fn is_due(&self, i: usize, bytes: u64) -> bool {
        match (&self.config.rotate, &self.entries[i].open) {
            (Some(rotate), Some(open)) => {
                open.size > 0 && rotate.is_due(open.size, bytes, open.since, self.clock.now())
            }
            _ => false,
        }
    }

    /// Puts the file aside under a name that says when.
    fn rotate(&mut self, i: usize) -> Result<(), Failure> {
        self.close(i)?;
        let (Some(root), Some(rotate)) = (&self.root, &self.config.rotate) else {
            return Ok(());
        };
        let codec = self.content.codec();
        let path = self.entries[i].path();
        if let Err(error) = Rotate::put_aside(&**root, path, codec, self.clock.now()) {
            return Err(self.failure(i, "cannot rotate", error));
        }
        if let Err(error) = rotate.remove_old(&**root, path, codec) {
            // The new file matters more than the oldest one.
            let path = self.directory.join(path);
            tracing::warn!(sink = &*self.name, path = %path.display(), "cannot remove old files: {error}");
        }
        Ok(())
    }

    fn failure(&self, i: usize, what: &'static str, error: io::Error) -> Failure {
        Failure {
            path: self.directory.join(self.entries[i].path()),
            what,
            error,
        }
    }
}
