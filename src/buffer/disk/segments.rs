//! The segments of a directory, by their headers.

use std::collections::VecDeque;
use std::ffi::OsStr;
use std::io;
use std::path::{Path, PathBuf};

use super::OpenError;
use super::format::{Checked, Place, SECTOR_BYTES, SEGMENT_HEADER_BYTES, SegmentHeader, VERSION};
use super::marks::{self, Marked};
use crate::seam::{DiskFile, DiskRoot};

const SUFFIX: &str = ".segment";
/// Of what was a segment and cannot be read.
const DAMAGED: &str = "damaged";

/// One segment.
#[derive(Clone, Debug)]
pub(super) struct Segment {
    pub(super) id: u64,
    pub(super) salt: u32,
    /// Its first record.
    pub(super) first: Place,
    /// One past its last record. What it holds beyond does not count.
    pub(super) end: Place,
    /// One past the last byte that counts.
    pub(super) bytes: u64,
    /// Bytes that its file has.
    pub(super) file_bytes: u64,
}

impl Segment {
    /// Where it is, beneath the state directory.
    pub(super) fn path(&self, directory: &Path) -> PathBuf {
        path(directory, self.id)
    }
}

/// Where the segment `id` is.
pub(super) fn path(directory: &Path, id: u64) -> PathBuf {
    directory.join(format!("{id:016x}{SUFFIX}"))
}

fn id(name: &OsStr) -> Option<u64> {
    let digits = name.to_str()?.strip_suffix(SUFFIX)?;
    let ours = digits.len() == 16 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    u64::from_str_radix(digits, 16).ok().filter(|_| ours)
}

/// What a segment that cannot be read is put away as.
pub(super) fn put_away(path: &Path) -> PathBuf {
    path.with_extension(DAMAGED)
}

fn is_put_away(name: &OsStr) -> bool {
    let name = Path::new(name);
    let digits = name.file_stem().and_then(OsStr::to_str);
    name.extension().is_some_and(|ending| ending == DAMAGED)
        && digits.is_some_and(|digits| id(format!("{digits}{SUFFIX}").as_ref()).is_some())
}

/// What is in a directory.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// Segments that hold records by their headers, in order. Of the last,
    /// `end` and `bytes` say how far it could go.
    pub(super) segments: VecDeque<Segment>,
    pub(super) marked: Marked,
    /// The highest number of a segment that is there or was marked.
    pub(super) last_id: u64,
    /// Segments that hold nothing: cut off while they were made, or replaced.
    pub(super) void: Vec<(PathBuf, u64)>,
    /// Segments whose header cannot be read.
    pub(super) unreadable: Vec<(PathBuf, u64)>,
    /// Such as earlier starts have put away, the oldest first.
    pub(super) put_away: Vec<(PathBuf, u64)>,
    /// Segments of which one copy of the header is damaged.
    pub(super) damaged: Vec<PathBuf>,
    /// Up to where all was settled by the newest header.
    pub(super) settled: Place,
}

/// Reads the marks and all headers. Changes nothing.
pub(super) fn survey(root: &dyn DiskRoot, directory: &Path) -> Result<Survey, OpenError> {
    let mut survey = Survey {
        marked: marks::read(root, directory)?,
        settled: Place::START,
        ..Survey::default()
    };
    let names = match root.list(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
        other => other.map_err(|source| OpenError::Io {
            path: directory.to_path_buf(),
            source,
        })?,
    };
    let mut ids: Vec<u64> = names.iter().filter_map(|name| id(name)).collect();
    ids.sort_unstable();
    // A mark speaks of the segment that had the number.
    let marked = survey.marked.mark.as_ref().map_or(0, |mark| mark.segment);
    survey.last_id = ids.last().copied().unwrap_or_default().max(marked);
    for id in ids {
        survey.header(root, directory, id)?;
    }
    let mut remains: Vec<_> = names.iter().filter(|name| is_put_away(name)).collect();
    remains.sort_unstable();
    for name in remains {
        let path = directory.join(name);
        // What cannot be looked at takes no part.
        if let Ok(bytes) = root.open(&path).and_then(|file| file.size()) {
            survey.put_away.push((path, bytes));
        }
    }
    // A segment ends where a later one begins: after a failed sync the next one
    // begins before the end of the one that failed.
    let mut end = Place {
        seq: u64::MAX,
        event: u64::MAX,
    };
    for segment in survey.segments.iter_mut().rev() {
        segment.end = end;
        end = end.min(segment.first);
    }
    let void = &mut survey.void;
    survey.segments.retain(|segment| {
        let holds = segment.end > segment.first;
        if !holds {
            void.push((segment.path(directory), segment.file_bytes));
        }
        holds
    });
    Ok(survey)
}

impl Survey {
    fn header(&mut self, root: &dyn DiskRoot, dir: &Path, id: u64) -> Result<(), OpenError> {
        let path = path(dir, id);
        let io = |source| OpenError::Io {
            path: path.clone(),
            source,
        };
        let file = root.open(&path).map_err(io)?;
        let file_bytes = file.size().map_err(io)?;
        let start = beginning(&*file, file_bytes);
        let (checked, both) = SegmentHeader::check(&start);
        let synced = self.marked.mark.as_ref().map(|mark| mark.segment);
        match checked {
            Checked::Whole(header) if header.id == id => {
                if !both {
                    self.damaged.push(path);
                }
                self.settled = self.settled.max(header.settled);
                self.segments.push_back(Segment {
                    id,
                    salt: header.salt,
                    first: header.first,
                    end: header.first,
                    bytes: file_bytes,
                    file_bytes,
                });
            }
            // A copy of another under this name.
            Checked::Whole(_) | Checked::Foreign => return Err(OpenError::Foreign { path }),
            Checked::Version(found) => return Err(version_error(&path, found, VERSION)),
            Checked::Blank if synced.is_none_or(|synced| synced < id) => {
                self.void.push((path, file_bytes));
            }
            Checked::Damaged if synced.is_some_and(|synced| synced < id) => {
                self.void.push((path, file_bytes));
            }
            Checked::Blank | Checked::Damaged => self.unreadable.push((path, file_bytes)),
        }
        Ok(())
    }
}

/// The first bytes of a file, with zeros for what cannot be read.
fn beginning(file: &dyn DiskFile, file_bytes: u64) -> Vec<u8> {
    let mut bytes = vec![0; SEGMENT_HEADER_BYTES.min(file_bytes as usize)];
    for (sector, into) in bytes.chunks_mut(SECTOR_BYTES).enumerate() {
        let mut at = 0;
        while at < into.len() {
            match file.read_at((sector * SECTOR_BYTES + at) as u64, &mut into[at..]) {
                Ok(more) if more > 0 => at += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                _ => break,
            }
        }
    }
    bytes
}

/// Why a file of version `found` is not read.
pub(super) fn version_error(path: &Path, found: u16, known: u16) -> OpenError {
    let path = path.to_path_buf();
    if found > known {
        OpenError::Newer { path, found, known }
    } else {
        OpenError::Older { path, found, known }
    }
}
