//! What is kept of files between runs: which they are, and how far each has
//! been read and settled.
//!
//! A journal of JSON lines, each followed by its checksum: a header, files, and
//! how far they got. It grows by what changes and is written anew, as the next
//! generation, when it is much larger than what it says. A generation counts
//! once it says that it is whole; until then the one before it does.
//!
//! ```text
//! {"format":"tflog tail","version":1} 6f0c1b2a
//! {"file":"0f…","device":64,"inode":7,"bytes":1024,"hash":"1f…","path":"/a/b","offset":0} …
//! {"whole":true} …
//! {"file":"0f…","offset":812,"trail_bytes":256,"trail":"2a…"} …
//! {"file":"0f…","gone":true} …
//! ```
//!
//! Lines that do not fit their checksums are skipped: their files are taken for
//! as far as the lines before them say. What a crash loses was read again.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt::Write as _;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::identity::{Identity, Print};
use crate::seam::{DiskFile, DiskRoot, Opened};

const FORMAT: &str = "tflog tail";
const VERSION: u64 = 1;
/// Names are this and the number of the generation.
const NAME: &str = "positions.";
/// A journal smaller than this is not worth writing anew.
const COMPACT_BYTES_MIN: u64 = 1 << 20;
/// Larger than any that tflog writes for a million files.
const BYTES_MAX: u64 = 1 << 30;

/// What is known of one file.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Saved {
    pub(super) identity: Identity,
    pub(super) print: Print,
    pub(super) path: PathBuf,
    /// Where the path led, if it was a symbolic link.
    pub(super) real: Option<PathBuf>,
    pub(super) offset: u64,
    /// What stands before that, if it is known: beginnings may be alike.
    pub(super) trail: Print,
    /// The day on which it was last there, from 1970 on.
    pub(super) seen: u64,
}

/// Why positions cannot be used; what to do is for the caller to say.
#[derive(Debug, thiserror::Error)]
pub(super) enum StoreError {
    #[error("{name} was written by a later tflog (version {version}, this one knows {VERSION})")]
    Newer { name: String, version: u64 },
    #[error("{name} holds no positions of tflog")]
    Foreign { name: String },
    #[error("{0}")]
    Io(#[from] io::Error),
}

/// A line of the journal: which of these it has says what it is.
#[derive(Default, Serialize, Deserialize)]
#[serde(default)]
struct Line {
    #[serde(skip_serializing_if = "Option::is_none")]
    format: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    file: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    identity: Option<Identity>,
    #[serde(skip_serializing_if = "Option::is_none")]
    bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    hash: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    /// In the place of a path that is not UTF-8: its bytes in hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    path_bytes: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    real: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    /// Of what stands before it, which older versions do not know.
    #[serde(skip_serializing_if = "Option::is_none")]
    trail_bytes: Option<usize>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trail: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seen: Option<u64>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    gone: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    whole: bool,
}

/// The positions of one source's files.
pub(super) struct Store {
    root: Box<dyn DiskRoot>,
    journal: Option<Box<dyn DiskFile>>,
    generation: u64,
    files: BTreeMap<u128, Saved>,
    /// Written and to be written since the journal was begun.
    bytes: u64,
    /// What it took when it was begun.
    bytes_first: u64,
    pending: Vec<u8>,
    /// Written, but perhaps not durable.
    unsynced: bool,
    /// Whether nothing was kept before.
    pub(super) is_new: bool,
    /// Lines that could not be read.
    pub(super) damaged: u64,
    /// Whether the last try to write failed.
    pub(super) is_failing: bool,
}

impl Store {
    /// Opens what `root` keeps, or begins anew.
    pub(super) fn open(root: Box<dyn DiskRoot>) -> Result<Store, StoreError> {
        let mut store = Store::read(root)?;
        store.begin()?;
        Ok(store)
    }

    /// Reads what another writes, and changes nothing.
    pub(super) fn read(root: Box<dyn DiskRoot>) -> Result<Store, StoreError> {
        let mut store = Store {
            root,
            journal: None,
            generation: 0,
            files: BTreeMap::new(),
            bytes: 0,
            bytes_first: 0,
            pending: Vec::new(),
            unsynced: false,
            is_new: true,
            damaged: 0,
            is_failing: false,
        };
        let mut generations: Vec<u64> = store.generations()?;
        generations.sort_unstable();
        for &generation in generations.iter().rev() {
            store.generation = store.generation.max(generation);
            if store.is_new && store.load(generation)? {
                store.is_new = false;
            }
        }
        Ok(store)
    }

    /// What is kept, by the ids of files.
    pub(super) fn files(&self) -> &BTreeMap<u128, Saved> {
        &self.files
    }

    /// Keeps a file, or what is new about it.
    pub(super) fn put(&mut self, id: u128, saved: Saved) {
        self.append(&file_line(id, &saved));
        self.files.insert(id, saved);
    }

    /// Keeps how far a file got.
    pub(super) fn advance(&mut self, id: u128, offset: u64, trail: Print) {
        let Some(saved) = self.files.get_mut(&id) else {
            return;
        };
        if saved.offset != offset {
            (saved.offset, saved.trail) = (offset, trail);
            self.append(&Line {
                file: Some(hex(id)),
                ..Line::at(offset, trail)
            });
        }
    }

    /// Forgets a file.
    pub(super) fn remove(&mut self, id: u128) {
        if self.files.remove(&id).is_some() {
            self.append(&Line {
                file: Some(hex(id)),
                gone: true,
                ..Line::default()
            });
        }
    }

    /// Writes what is new; a crash of tflog loses nothing of it, one of the
    /// machine may.
    pub(super) fn write(&mut self) -> io::Result<()> {
        if self.journal.is_none() || self.bytes > COMPACT_BYTES_MIN.max(4 * self.bytes_first) {
            return self.begin();
        }
        if self.pending.is_empty() {
            return Ok(());
        }
        self.unsynced = true;
        let pending = std::mem::take(&mut self.pending);
        let journal = self.journal.as_mut();
        let written = journal.map_or(Ok(()), |journal| write_all(&mut **journal, &pending));
        if written.is_err() {
            // Perhaps a part of it: the next try begins anew.
            self.journal = None;
        }
        self.pending = pending;
        self.pending.clear();
        written
    }

    /// Makes everything durable.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        self.write()?;
        if !std::mem::take(&mut self.unsynced) {
            return Ok(());
        }
        #[cfg(test)]
        if crate::seam::mutant::Mutant::PositionUnsynced.is_on() {
            return Ok(());
        }
        let synced = self.journal.as_mut().map_or(Ok(()), |j| j.sync_data());
        if synced.is_err() {
            // What of it is durable, nobody knows.
            self.journal = None;
        }
        synced
    }

    fn append(&mut self, line: &Line) {
        let before = self.pending.len();
        encode(line, &mut self.pending);
        self.bytes += (self.pending.len() - before) as u64;
    }

    fn generations(&self) -> io::Result<Vec<u64>> {
        let names = self.root.list(Path::new(""))?;
        let numbers = names.iter().filter_map(|name| {
            let number = name.to_str()?.strip_prefix(NAME)?;
            number.parse().ok()
        });
        Ok(numbers.collect())
    }

    /// Writes the next generation, durable, and removes those before it.
    fn begin(&mut self) -> io::Result<()> {
        let before = self.generations()?;
        let generation = self.generation + 1;
        let name = format!("{NAME}{generation}");
        let mut text = header();
        for (id, saved) in &self.files {
            encode(&file_line(*id, saved), &mut text);
        }
        let whole = Line {
            whole: true,
            ..Line::default()
        };
        encode(&whole, &mut text);
        // A number is not used again, even if this fails.
        self.generation = generation;
        let mut journal = self.root.open_append(Path::new(&name))?;
        write_all(&mut *journal, &text)?;
        journal.sync_data()?;
        self.root.sync_names(Path::new(&name))?;
        self.journal = Some(journal);
        (self.bytes, self.bytes_first) = (text.len() as u64, text.len() as u64);
        self.pending.clear();
        self.unsynced = false;
        for old in before {
            // If it stays, the next start removes it.
            let _ = self.root.remove(Path::new(&format!("{NAME}{old}")));
        }
        Ok(())
    }

    /// Reads a generation; false if it is not whole.
    fn load(&mut self, generation: u64) -> Result<bool, StoreError> {
        let name = format!("{NAME}{generation}");
        let file = self.root.open_append(Path::new(&name))?;
        let size = file.size()?;
        if size > BYTES_MAX {
            return Err(StoreError::Foreign { name });
        }
        let mut text = vec![0; size as usize];
        let mut len = 0;
        while len < text.len() {
            match file.read_at(len as u64, &mut text[len..])? {
                0 => break,
                read => len += read,
            }
        }
        let mut lines = text[..len].split_inclusive(|byte| *byte == b'\n');
        let Some(first) = lines.next() else {
            return Ok(false);
        };
        match decode(first) {
            Some(Line {
                format: Some(format),
                version: Some(version),
                ..
            }) if format == FORMAT && version > 0 => {
                if version > VERSION {
                    return Err(StoreError::Newer { name, version });
                }
            }
            // Torn when it was begun: the one before it counts. A loss of power leaves
            // zeros for what did not come to the disk.
            None if text[..len]
                .iter()
                .zip(header())
                .all(|(&b, h)| b == h || b == 0) =>
            {
                return Ok(false);
            }
            _ => return Err(StoreError::Foreign { name }),
        }
        let (mut whole, mut damaged) = (false, 0);
        self.files.clear();
        for line in lines {
            match decode(line) {
                Some(line) => {
                    whole |= line.whole;
                    self.apply(&line);
                }
                // The last one is torn where a crash was.
                None if line.ends_with(b"\n") => damaged += 1,
                None => {}
            }
        }
        if !whole {
            self.files.clear();
            return Ok(false);
        }
        self.damaged = damaged;
        Ok(true)
    }

    fn apply(&mut self, line: &Line) {
        let Some(id) = line.file.as_deref().and_then(unhex) else {
            return;
        };
        if line.gone {
            self.files.remove(&id);
        } else if let Some(saved) = saved_of(line) {
            self.files.insert(id, saved);
        } else if let (Some(saved), Some(offset)) = (self.files.get_mut(&id), line.offset) {
            (saved.offset, saved.trail) = (offset, line.trail());
        }
    }
}

impl Saved {
    /// Whether a file reads as this one did, at its beginning and before where it was
    /// read to.
    pub(super) fn is_read_of(&self, file: &dyn Opened) -> io::Result<bool> {
        Ok(self.print.matches(file)? && self.trail.stands_before(file, self.offset)?)
    }
}

impl Line {
    /// How far a file got.
    fn at(offset: u64, trail: Print) -> Line {
        let is_known = trail.bytes > 0;
        Line {
            offset: Some(offset),
            trail_bytes: is_known.then_some(trail.bytes),
            trail: is_known.then(|| hex(trail.hash.into())),
            ..Line::default()
        }
    }

    fn trail(&self) -> Print {
        let hash = self.trail.as_deref().and_then(unhex);
        let known = self.trail_bytes.zip(hash);
        let print = known.map(|(bytes, hash)| Print {
            bytes,
            hash: hash as u64,
        });
        print.unwrap_or_default()
    }
}

/// The first line of a journal.
fn header() -> Vec<u8> {
    let mut text = Vec::new();
    let line = Line {
        format: Some(FORMAT.to_owned()),
        version: Some(VERSION),
        ..Line::default()
    };
    encode(&line, &mut text);
    text
}

fn file_line(id: u128, saved: &Saved) -> Line {
    let path = saved.path.to_str().map(str::to_owned);
    let path_bytes = path.is_none().then(|| {
        let mut text = String::new();
        for byte in saved.path.as_os_str().as_bytes() {
            let _ = write!(text, "{byte:02x}");
        }
        text
    });
    Line {
        file: Some(hex(id)),
        identity: Some(saved.identity),
        bytes: Some(saved.print.bytes),
        hash: Some(hex(saved.print.hash.into())),
        path,
        path_bytes,
        real: saved
            .real
            .as_ref()
            .and_then(|real| Some(real.to_str()?.to_owned())),
        seen: Some(saved.seen),
        ..Line::at(saved.offset, saved.trail)
    }
}

fn saved_of(line: &Line) -> Option<Saved> {
    let path = match (&line.path, &line.path_bytes) {
        (Some(path), _) => PathBuf::from(path),
        (None, Some(bytes)) => {
            let bytes = (0..bytes.len()).step_by(2).map(|at| {
                let pair = bytes.get(at..at + 2)?;
                u8::from_str_radix(pair, 16).ok()
            });
            PathBuf::from(OsString::from_vec(bytes.collect::<Option<_>>()?))
        }
        (None, None) => return None,
    };
    Some(Saved {
        identity: line.identity?,
        print: Print {
            bytes: line.bytes?,
            hash: unhex(line.hash.as_deref()?)? as u64,
        },
        path,
        real: line.real.as_ref().map(PathBuf::from),
        offset: line.offset?,
        trail: line.trail(),
        seen: line.seen?,
    })
}

fn hex(number: u128) -> String {
    format!("{number:x}")
}

fn unhex(text: &str) -> Option<u128> {
    u128::from_str_radix(text, 16).ok()
}

fn encode(line: &Line, out: &mut Vec<u8>) {
    let before = out.len();
    // Plain data into memory: it cannot fail.
    let _ = serde_json::to_writer(&mut *out, line);
    let sum = checksum(&out[before..]);
    out.extend_from_slice(format!(" {sum:08x}\n").as_bytes());
}

fn decode(line: &[u8]) -> Option<Line> {
    let line = line.strip_suffix(b"\n")?;
    let (json, sum) = line.split_at_checked(line.len().checked_sub(9)?)?;
    let sum = std::str::from_utf8(sum.strip_prefix(b" ")?).ok()?;
    if u32::from_str_radix(sum, 16).ok()? != checksum(json) {
        return None;
    }
    serde_json::from_slice(json).ok()
}

fn checksum(bytes: &[u8]) -> u32 {
    xxhash_rust::xxh3::xxh3_64(bytes) as u32
}

fn write_all(file: &mut dyn DiskFile, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        match file.write(bytes)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            written => bytes = &bytes[written..],
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
