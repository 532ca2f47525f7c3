//! Looks at every byte of a log without changing any, for `tflog buffer`.

use std::path::{Path, PathBuf};

use super::codec::Decoder;
use super::format::{Place, SEGMENT_HEADER_BYTES};
use super::marks::{self, SLOT_BYTES};
use super::open::{settled, tail};
use super::scan::{Scan, Step, Window};
use super::segments::{Segment, Survey, survey};
use super::settlement::Settled;
use super::state::FIRST_OFFSET;
use super::{Entry, OpenError, Stored};
use crate::seam::{Disk, DiskRoot};

/// What [`verify`] comes across.
#[derive(Debug)]
pub enum Found<'a> {
    /// A segment begins.
    Segment {
        /// Its file, beneath the state directory.
        path: &'a Path,
        /// Its size.
        bytes: u64,
        /// Its first record.
        first_seq: u64,
    },
    /// A record that is whole.
    Record {
        /// The record.
        record: Stored<'a>,
        /// Where it begins in its segment.
        offset: u64,
        /// Whether it was settled by the last mark.
        settled: bool,
    },
    /// Something that is not as it was written.
    Damage(Damage),
}

/// A place that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Damage {
    /// The file, beneath the state directory.
    pub path: PathBuf,
    /// Where in it.
    pub offset: u64,
    /// How many bytes.
    pub bytes: u64,
    /// Whether it had been synced: corruption, not a torn end.
    pub synced: bool,
    /// Unsettled records lost by it.
    pub records: u64,
    /// The events in them.
    pub events: u64,
    /// What is wrong with it.
    pub what: &'static str,
}

/// Reads the log in `directory` beneath `state` from its first byte to its
/// last and tells `each`, which says whether to go on. What is being written
/// meanwhile looks like a torn end.
pub fn verify(
    disk: &dyn Disk,
    state: &Path,
    directory: &Path,
    each: &mut dyn FnMut(Found<'_>) -> bool,
) -> Result<(), OpenError> {
    let root = disk.root(state).map_err(|source| OpenError::Io {
        path: state.to_path_buf(),
        source,
    })?;
    let mut survey = survey(&*root, directory)?;
    let tail = tail(&*root, directory, &mut survey)?;
    if !headers(&survey, directory, each) {
        return Ok(());
    }
    let mut walk = Walk {
        root: &*root,
        directory,
        durable: survey
            .marked
            .mark
            .as_ref()
            .map_or(0, |m| m.synced.seq)
            .max(tail.durable),
        settled: settled(&survey, tail.reached.place),
        decoder: Decoder::default(),
        each,
    };
    let last = survey.segments.back().map(|s| s.id);
    for segment in &survey.segments {
        if !walk.segment(segment, Some(segment.id) == last)? {
            return Ok(());
        }
    }
    Ok(())
}

/// Tells of headers and marks that are damaged; whether to go on.
fn headers(survey: &Survey, directory: &Path, each: &mut dyn FnMut(Found<'_>) -> bool) -> bool {
    let whole = |path: &Path, bytes, synced, what| Damage {
        path: path.to_path_buf(),
        offset: 0,
        bytes,
        synced,
        records: 0,
        events: 0,
        what,
    };
    let slots = survey.marked.damaged.iter().map(|slot| Damage {
        offset: (slot * SLOT_BYTES) as u64,
        ..whole(
            &directory.join(marks::NAME),
            SLOT_BYTES as u64,
            false,
            "a mark that is torn or damaged; an older one is used",
        )
    });
    let copies = survey.damaged.iter().map(|path| {
        let bytes = SEGMENT_HEADER_BYTES as u64;
        whole(path, bytes, true, "one copy of the header is damaged")
    });
    let void = survey.void.iter().map(|(path, bytes)| {
        let what = "a segment that was not written, or was written again";
        whole(path, *bytes, false, what)
    });
    let unreadable = survey.unreadable.iter().map(|(path, bytes)| {
        let what = "both copies of the header are damaged";
        whole(path, *bytes, true, what)
    });
    let mut all = slots.chain(copies).chain(void).chain(unreadable);
    all.all(|damage| each(Found::Damage(damage)))
}

struct Walk<'a> {
    root: &'a dyn DiskRoot,
    directory: &'a Path,
    /// Records before this one were synced.
    durable: u64,
    settled: Settled,
    decoder: Decoder,
    each: &'a mut dyn FnMut(Found<'_>) -> bool,
}

impl Walk<'_> {
    fn segment(&mut self, segment: &Segment, is_last: bool) -> Result<bool, OpenError> {
        let path = segment.path(self.directory);
        let failed = |source| OpenError::Io {
            path: path.clone(),
            source,
        };
        let begins = Found::Segment {
            path: &path,
            bytes: segment.file_bytes,
            first_seq: segment.first.seq,
        };
        if !(self.each)(begins) {
            return Ok(false);
        }
        let file = self.root.open(&path).map_err(failed)?;
        let mut window = Window::new(file, 0);
        let scan = Scan {
            salt: segment.salt,
            limit: segment.file_bytes,
        };
        let (mut at, mut offset) = (segment.first, FIRST_OFFSET);
        // Where what is bad begins.
        let mut bad = None;
        loop {
            let header = match scan.step(&mut window, offset).map_err(failed)? {
                Step::End => break,
                Step::Bad(end) => {
                    bad.get_or_insert(offset);
                    offset = end;
                    continue;
                }
                Step::Record(header) => header,
            };
            let start = offset;
            offset += header.bytes();
            if header.place >= segment.end && !is_last {
                // Written again in a later segment.
                bad = None;
                break;
            }
            let stored = scan.stored(&mut window, start, &header).map_err(failed)?;
            let body = stored.and_then(|stored| self.decoder.body(&header, stored));
            let entry = Entry {
                seq: header.place.seq,
                events: header.events,
            };
            let Some(record) = body.and_then(|body| Stored::decode(entry, body)) else {
                bad.get_or_insert(start);
                continue;
            };
            let settled = self.settled.contains(entry.seq);
            let found = Found::Record {
                record,
                offset: start,
                settled,
            };
            let before = bad.take().or((header.place > at).then_some(start));
            if let Some(from) = before {
                let damage = damage(
                    &mut self.settled,
                    self.durable,
                    (&path, from, start),
                    (at, header.place),
                );
                if !(self.each)(Found::Damage(damage)) {
                    return Ok(false);
                }
            }
            at = header.place.after(header.events);
            if !(self.each)(found) {
                return Ok(false);
            }
        }
        // What an abandoned segment has behind its end does not count.
        let beyond = bad.filter(|_| is_last || at < segment.end);
        if let Some(from) = beyond.or((at < segment.end).then_some(offset)) {
            let places = (at, segment.end);
            let damage = damage(
                &mut self.settled,
                self.durable,
                (&path, from, offset),
                places,
            );
            return Ok((self.each)(Found::Damage(damage)));
        }
        Ok(true)
    }
}

/// What is bad between two bytes and two places.
fn damage(
    settled: &mut Settled,
    durable: u64,
    (path, from, to): (&Path, u64, u64),
    (first, end): (Place, Place),
) -> Damage {
    let lost = settled.lose(first, end);
    let was_synced = first.seq < durable;
    Damage {
        path: path.to_path_buf(),
        offset: from,
        bytes: to - from,
        synced: was_synced,
        records: lost.records,
        events: lost.events,
        what: if was_synced {
            "not as it was written"
        } else {
            "not written whole"
        },
    }
}
