//! How far the letters of a file are settled, kept beside it.
//!
//! `FILE.replayed` holds one JSON object: `version`, `offset` (bytes of text
//! whose letters are settled, all before them too) and `head` (a hash of the
//! first of these bytes, at most 4096), so that the mark of another file is
//! not taken for this one's. It is replaced as a whole, never written over.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::Xxh3;

use super::lines::Lines;
use crate::event::{Settled, Tally};

/// The layout of the file.
const VERSION: u64 = 1;
/// What marks' names end with.
const ENDING: &str = "replayed";
/// Bytes of text that tell one file from another: more than a letter.
const HEAD_BYTES_MAX: u64 = 4096;
/// No mark is longer.
const FILE_BYTES_MAX: u64 = 4096;

#[derive(Debug, Deserialize, Serialize)]
struct Written {
    version: u64,
    offset: u64,
    head: String,
}

/// A file's mark.
#[derive(Debug)]
pub struct Mark {
    /// Where it is kept, and the file that it is of; nowhere: not at all.
    kept: Option<(PathBuf, PathBuf)>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Bytes whose letters are settled.
    offset: u64,
    /// What was last saved.
    saved: u64,
    /// Where each batch on its way ends, and whether it is settled.
    sent: VecDeque<(u64, bool)>,
    /// The number of the first of them.
    first: u64,
    /// Events by how they ended.
    ended: Tally,
}

/// Hears of one batch's end.
#[derive(Debug)]
struct Batch {
    mark: Arc<Mark>,
    number: u64,
}

impl Settled for Batch {
    fn settled(&self, tally: Tally) {
        let mut state = self.mark.lock();
        let ended = &mut state.ended;
        ended.accepted += tally.accepted;
        ended.dead_lettered += tally.dead_lettered;
        ended.closed += tally.closed;
        ended.returned += tally.returned;
        if tally.is_kept() {
            state.settle(self.number);
        }
    }
}

impl State {
    fn settle(&mut self, number: u64) {
        let at = (number - self.first) as usize;
        if let Some((_, settled)) = self.sent.get_mut(at) {
            *settled = true;
        }
        while let Some(&(end, true)) = self.sent.front() {
            self.offset = end;
            self.first += 1;
            self.sent.pop_front();
        }
    }
}

impl Mark {
    /// One that is not kept.
    pub(super) fn none() -> Mark {
        Mark {
            kept: None,
            state: Mutex::default(),
        }
    }

    /// One that begins anew.
    pub(super) fn new(file: &Path) -> Mark {
        Mark {
            kept: Some((path_of(file), file.to_owned())),
            state: Mutex::default(),
        }
    }

    /// Reads the mark of `file`, and passes what it says is settled.
    ///
    /// # Errors
    /// In words: it is there but cannot be trusted.
    pub(super) fn load(file: &Path, lines: &mut Lines) -> Result<Mark, String> {
        let mut mark = Mark::new(file);
        let path = path_of(file);
        let failed = |error: io::Error| format!("{}: cannot read: {error}", path.display());
        let written = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(failed(error)),
            Ok(found) if found.len() > FILE_BYTES_MAX => Some(Vec::new()),
            Ok(_) => Some(fs::read(&path).map_err(failed)?),
        };
        if let Some(written) = written {
            let offset = read(&path, &written)?;
            let of_file = passes(lines, &offset)
                .map_err(|error| format!("{}: cannot read: {error}", file.display()))?;
            if !of_file {
                return Err(format!(
                    "{}: this is the mark of another file than {} is now; remove it, or replay all with --again",
                    path.display(),
                    file.display()
                ));
            }
            let state = mark.state.get_mut().unwrap_or_else(PoisonError::into_inner);
            (state.offset, state.saved) = (offset.offset, offset.offset);
        }
        Ok(mark)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who is to hear of the end of a batch; with it, all before `end` is done.
    pub(super) fn begin(mark: &Arc<Mark>, end: u64) -> Arc<dyn Settled> {
        let mut state = mark.lock();
        let number = state.first + state.sent.len() as u64;
        state.sent.push_back((end, false));
        Arc::new(Batch {
            mark: mark.clone(),
            number,
        })
    }

    /// Says that nothing before `end` is to be sent any more.
    pub(super) fn pass(&self, end: u64) {
        let mut state = self.lock();
        let number = state.first + state.sent.len() as u64;
        state.sent.push_back((end, false));
        state.settle(number);
    }

    /// How the events of the file's letters ended so far.
    #[must_use]
    pub fn ended(&self) -> Tally {
        self.lock().ended
    }

    /// Bytes of text whose letters are settled.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.lock().offset
    }

    /// Saves it. A failure is said and is none of the replay: at worst the next
    /// one sends again what this one has.
    pub fn save(&self) {
        let mut state = self.lock();
        let Some((path, file)) = &self.kept else {
            return;
        };
        if state.offset == state.saved {
            return;
        }
        match write(path, file, state.offset) {
            Ok(()) => state.saved = state.offset,
            Err(error) => tracing::warn!(
                "{}: cannot write: {error}; the next replay will send the same letters again",
                path.display()
            ),
        }
    }
}

fn path_of(file: &Path) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(".");
    name.push(ENDING);
    name.into()
}

fn read(path: &Path, text: &[u8]) -> Result<Written, String> {
    let remedy = "remove it, or replay all with --again";
    let written: Written = serde_json::from_slice(text)
        .map_err(|_| format!("{}: not the mark of a replay; {remedy}", path.display()))?;
    if written.version != VERSION {
        return Err(format!(
            "{}: written by another version of tflog (layout {}, this one knows {VERSION}); {remedy}",
            path.display(),
            written.version
        ));
    }
    Ok(written)
}

/// Whether the text begins as the mark's file did, and is as long.
fn passes(lines: &mut Lines, written: &Written) -> io::Result<bool> {
    let head = lines.head(written.offset.min(HEAD_BYTES_MAX))?;
    if hash(&head) != written.head {
        return Ok(false);
    }
    lines.pass(written.offset, head.len() as u64)
}

fn hash(head: &[u8]) -> String {
    let mut hash = Xxh3::new();
    hash.update(head);
    format!("{:032x}", hash.digest128())
}

fn write(path: &Path, file: &Path, offset: u64) -> io::Result<()> {
    let mut lines = Lines::open(file, &Arc::default())?;
    let head = hash(&lines.head(offset.min(HEAD_BYTES_MAX))?);
    let written = Written {
        version: VERSION,
        offset,
        head,
    };
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let mut out = File::create(&new)?;
    serde_json::to_writer(&mut out, &written)?;
    out.write_all(b"\n")?;
    out.sync_all()?;
    fs::rename(&new, path)?;
    let directory = path.parent().filter(|d| !d.as_os_str().is_empty());
    File::open(directory.unwrap_or(Path::new(".")))?.sync_all()
}
