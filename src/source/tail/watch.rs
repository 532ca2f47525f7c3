//! Hints that files have changed: inotify, as long as the machine has watches.
//!
//! Hints only save time. What there is to read is found by looking, and a look
//! at everything comes now and then whatever is watched: see [`super`].

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::io::Errno;

use super::find::Place;
use crate::seam::{Opened, or_here};

/// Room for the hints of one read: some hundred names.
const BUFFER_BYTES: usize = 32 * 1024;

/// Hints that are taken at once: files have their turns in between.
const HINTS_MAX: usize = 10_000;

/// What may have happened.
#[derive(Debug)]
pub(super) enum Hint {
    /// A watched file was written to.
    Changed(usize),
    /// A watched file was renamed or unlinked.
    Moved(usize),
    /// A name in a watched directory came or went.
    Named {
        /// Where, and for the sake of which parts of patterns.
        directory: PathBuf,
        places: Vec<Place>,
        name: OsString,
    },
    /// Anything: hints were lost.
    Lost,
}

/// The watches.
pub(super) struct Watch {
    /// None once there are no more watches to be had.
    inotify: Option<OwnedFd>,
    directories: HashMap<i32, (PathBuf, Vec<Place>)>,
    files: HashMap<i32, usize>,
    buffer: Vec<MaybeUninit<u8>>,
    label: String,
}

impl Watch {
    /// For a source named `label`; without `wanted` it gives no hints.
    pub(super) fn new(label: &str, wanted: bool) -> Watch {
        let mut watch = Watch {
            inotify: None,
            directories: HashMap::new(),
            files: HashMap::new(),
            buffer: Vec::new(),
            label: label.to_owned(),
        };
        if wanted {
            match inotify::init(CreateFlags::NONBLOCK | CreateFlags::CLOEXEC) {
                Ok(inotify) => watch.inotify = Some(inotify),
                Err(error) => watch.give_up(error),
            }
        }
        watch
    }

    /// Readable when there are hints.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// Whether there are none to be had.
    pub(super) fn is_blind(&self) -> bool {
        self.inotify.is_none()
    }

    fn give_up(&mut self, error: Errno) {
        let remedy = match error {
            Errno::NOSPC => ": raise fs.inotify.max_user_watches",
            Errno::MFILE => ": raise fs.inotify.max_user_instances",
            _ => "",
        };
        tracing::warn!(
            "{}: cannot watch files ({error}), looking at them every {:?} instead{remedy}",
            self.label,
            super::LOOK_BLIND
        );
        self.inotify = None;
        self.directories.clear();
        self.files.clear();
    }

    pub(super) fn directory(&mut self, path: &Path, place: Place) {
        let Some(inotify) = &self.inotify else { return };
        let flags = WatchFlags::CREATE
            | WatchFlags::MOVED_TO
            | WatchFlags::MOVED_FROM
            | WatchFlags::DELETE
            | WatchFlags::ONLYDIR;
        match inotify::add_watch(inotify, or_here(path), flags) {
            Ok(descriptor) => {
                let known = self.directories.entry(descriptor).or_default();
                // Its path may be another one than last time.
                known.0 = path.to_path_buf();
                if !known.1.contains(&place) {
                    known.1.push(place);
                }
            }
            // The next look at everything says what is wrong, if it still is.
            Err(Errno::NOENT | Errno::NOTDIR | Errno::ACCESS) => {}
            Err(error) => self.give_up(error),
        }
    }

    /// Watches an open file, whatever its name is now.
    pub(super) fn file(&mut self, file: &dyn Opened, key: usize) -> Option<i32> {
        let inotify = self.inotify.as_ref()?;
        let path = format!("/proc/self/fd/{}", file.descriptor()?.as_raw_fd());
        let flags = WatchFlags::MODIFY | WatchFlags::ATTRIB | WatchFlags::MOVE_SELF;
        match inotify::add_watch(inotify, path, flags) {
            Ok(descriptor) => {
                self.files.insert(descriptor, key);
                Some(descriptor)
            }
            Err(error) => {
                self.give_up(error);
                None
            }
        }
    }

    pub(super) fn forget_file(&mut self, descriptor: i32) {
        self.files.remove(&descriptor);
        if let Some(inotify) = &self.inotify {
            // It may be gone with its file.
            let _ = inotify::remove_watch(inotify, descriptor);
        }
    }

    /// Takes all hints that are there.
    pub(super) fn hints(&mut self, hints: &mut Vec<Hint>) {
        let Some(inotify) = &self.inotify else { return };
        self.buffer.resize(BUFFER_BYTES, MaybeUninit::uninit());
        let mut reader = Reader::new(inotify, &mut self.buffer);
        let failed = loop {
            if hints.len() >= HINTS_MAX {
                return;
            }
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(error) => break error,
            };
            let (descriptor, events) = (event.wd(), event.events());
            if events.contains(ReadFlags::QUEUE_OVERFLOW) {
                hints.push(Hint::Lost);
            } else if events.contains(ReadFlags::IGNORED) {
                self.directories.remove(&descriptor);
                self.files.remove(&descriptor);
            } else if let Some(&key) = self.files.get(&descriptor) {
                let written = events.contains(ReadFlags::MODIFY);
                hints.push(if written {
                    Hint::Changed(key)
                } else {
                    Hint::Moved(key)
                });
            } else if let Some((directory, places)) = self.directories.get(&descriptor)
                && let Some(name) = event.file_name()
            {
                hints.push(Hint::Named {
                    directory: directory.clone(),
                    places: places.clone(),
                    name: OsStr::from_bytes(name.to_bytes()).to_owned(),
                });
            }
        };
        if failed != Errno::AGAIN {
            self.give_up(failed);
        }
    }
}
