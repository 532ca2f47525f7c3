//! Opening a log: headers, marks and the end of the last segment.

use std::collections::VecDeque;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::codec::Encoder;
use super::format::Place;
use super::log::{Active, Backlog, Log, Stats};
use super::marks::{Mark, Marks};
use super::scan::{Scan, Step, Window};
use super::segments::{Segment, Survey, put_away, survey};
use super::settlement::Settled;
use super::state::{FIRST_OFFSET, Shared, State};
use super::sync::{Reached, SyncHandle};
use super::{OpenError, Options};
use crate::seam::{Disk, DiskRoot};

/// What the end of the last segment is found to be.
#[derive(Debug, Default)]
pub(super) struct Tail {
    /// Where the log goes on.
    pub(super) reached: Reached,
    /// Records that were not written whole, from and to.
    pub(super) torn: Vec<(Place, Place)>,
    /// Bytes of them and of what follows the last record.
    pub(super) torn_bytes: u64,
    /// All records before this one were synced, by what later ones say.
    pub(super) durable: u64,
    /// Up to where it is known as synced, and whether there are records beyond.
    synced: Reached,
    unsynced: bool,
}

impl Log {
    /// Opens the log in `directory` beneath the directory `state`, made if it
    /// is missing. Takes as long as there are segments and as the end of the
    /// last one is long, not as long as the backlog is.
    pub fn open(
        disk: &dyn Disk,
        state: &Path,
        directory: &Path,
        options: Options,
    ) -> Result<(Log, Backlog), OpenError> {
        let failed = |source| OpenError::Io {
            path: state.join(directory),
            source,
        };
        let root = disk.private_root(state).map_err(failed)?;
        let encoder = Encoder::new(options.compression).map_err(failed)?;
        let mut survey = survey(&*root, directory)?;
        let mut tail = tail(&*root, directory, &mut survey)?;
        let remains = tidy(&*root, &mut survey);
        let left = match survey.segments.back() {
            Some(last) if tail.unsynced => left(&*root, directory, last, &tail).map_err(failed)?,
            _ => None,
        };
        let mut settled = settled(&survey, tail.reached.place);
        for &(from, to) in &tail.torn {
            settled.lose(from, to);
        }
        let next = settled.reach(tail.reached.place);
        let torn = next > tail.reached.place || !tail.torn.is_empty();
        tail.reached.place = next;
        let marks = Marks::new(directory, &survey.marked);
        let is_empty = survey.segments.is_empty() && survey.marked.mark.is_none();
        let damaged = survey.damaged.len() + survey.unreadable.len();
        let counted = Stats {
            damaged_headers: (damaged + survey.marked.damaged.len()) as u64,
            torn_bytes: tail.torn_bytes,
            failed_syncs: u64::from(left.is_some()),
            ..Stats::default()
        };
        let state = State {
            segments: survey.segments,
            next,
            settled,
            active: 0,
            remains: remains.iter().map(|(_, bytes)| bytes).sum(),
            counted,
        };
        let backlog = backlog(&state.stats());
        let mut log = Log {
            shared: Arc::new(Shared::new(directory, state)),
            root,
            options,
            encoder,
            remains,
            marks,
            kept: Mark::default(),
            last_id: survey.last_id,
            torn,
            active: None,
            broken: false,
            synced: tail.reached,
            unsynced: Vec::new(),
            salt: 0,
        };
        if let Some(left) = left {
            log.take_over(left, tail.synced);
        }
        if !is_empty {
            log.secure();
        }
        Ok((log, backlog))
    }

    /// Makes a mark of what was found: a loss of power takes back what was merely
    /// noted, or written in vain, and then nobody could tell what rotted from what
    /// was torn. A disk that fails is no reason not to begin; it is tried again
    /// with the next mark.
    fn secure(&mut self) {
        if self.marks.secure(&*self.root).is_err() {
            self.shared.lock().counted.failed_writes += 1;
            return;
        }
        if self.keep().is_ok() {
            self.torn = false;
        }
    }

    /// Goes on as if this process had written them.
    fn take_over(&mut self, left: Left, synced: Reached) {
        self.shared.lock().active = left.active.id;
        self.active = Some(left.active);
        (self.unsynced, self.salt) = (left.records, left.salt);
        self.synced = synced;
        self.broken = true;
    }
}

fn backlog(found: &Stats) -> Backlog {
    Backlog {
        records: found.records,
        events: found.events,
        bytes: found.bytes,
        torn_bytes: found.torn_bytes,
    }
}

/// Records of a process that ended before it synced them, and a disk that will
/// not sync them now: what it holds of them must not be trusted, they are to be
/// written again as after any failed sync.
struct Left {
    active: Active,
    records: Vec<u8>,
    salt: u32,
}

/// Syncs what a process left behind, so that the watermark can move on; what
/// could not be.
fn left(
    root: &dyn DiskRoot,
    directory: &Path,
    last: &Segment,
    tail: &Tail,
) -> io::Result<Option<Left>> {
    let path = last.path(directory);
    let synced = root.open_append(&path).and_then(|mut f| f.sync_data());
    if synced.is_ok() {
        return Ok(None);
    }
    let file = root.open(&path)?;
    let mut window = Window::new(root.open(&path)?, 0);
    let (mut records, mut again) = (Vec::new(), Tail::default());
    walk(
        &mut window,
        last,
        tail.synced,
        &mut again,
        Some(&mut records),
    )?;
    Ok(Some(Left {
        active: Active {
            handle: SyncHandle::new(file.duplicate()?),
            file,
            id: last.id,
            offset: tail.reached.offset,
            synced_offset: tail.synced.offset,
        },
        records,
        salt: last.salt,
    }))
}

/// Up to where the log is settled, by what is newest.
pub(super) fn settled(survey: &Survey, end: Place) -> Settled {
    let mark = survey.marked.mark.as_ref();
    let marked = mark.map_or(Place::START, |m| m.settled);
    let mut upto = survey.settled.max(marked);
    if !(mark.is_some() && survey.marked.is_certain()) {
        // Segments are removed from the first on when they are settled, and
        // after a mark that says so. Without the last mark, what is not there
        // was settled.
        upto = upto.max(survey.segments.front().map_or(end, |s| s.first));
    }
    let beyond = mark.map_or(&[][..], |m| &m.out_of_order);
    Settled::new(upto, beyond)
}

/// Finds the end of the last segment, reading from the last mark on.
pub(super) fn tail(
    root: &dyn DiskRoot,
    directory: &Path,
    survey: &mut Survey,
) -> Result<Tail, OpenError> {
    let mark = survey.marked.mark.clone().unwrap_or_default();
    let mut tail = Tail {
        reached: Reached {
            place: mark.synced.max(Place::START),
            segment: mark.segment,
            offset: mark.offset,
        },
        ..Tail::default()
    };
    let Some(last) = survey.segments.back_mut() else {
        return Ok(tail);
    };
    let failed = |source| OpenError::Io {
        path: last.path(directory),
        source,
    };
    let file = root.open(&last.path(directory)).map_err(failed)?;
    tail.synced = start(last, &mark);
    let mut window = Window::new(file, 0);
    walk(&mut window, last, tail.synced, &mut tail, None).map_err(failed)?;
    last.end = tail.reached.place.max(last.first);
    last.bytes = tail.reached.offset;
    tail.unsynced = tail.reached.place > tail.synced.place;
    tail.reached.place = tail.reached.place.max(mark.synced);
    Ok(tail)
}

/// Up to where the last segment is known as synced.
fn start(last: &Segment, mark: &Mark) -> Reached {
    if mark.segment == last.id && mark.synced >= last.first && mark.offset >= FIRST_OFFSET {
        return Reached {
            place: mark.synced,
            segment: last.id,
            // A file cut shorter has lost records, and its end is here.
            offset: mark.offset.min(last.file_bytes),
        };
    }
    Reached {
        place: last.first,
        segment: last.id,
        offset: FIRST_OFFSET,
    }
}

/// Goes through the whole records behind `from`, and puts them into `records`.
fn walk(
    window: &mut Window,
    last: &Segment,
    from: Reached,
    tail: &mut Tail,
    mut records: Option<&mut Vec<u8>>,
) -> io::Result<()> {
    let scan = Scan {
        salt: last.salt,
        limit: last.file_bytes,
    };
    tail.reached = from;
    let mut at = from.offset;
    let (mut held, mut gaps) = (0, Vec::new());
    loop {
        let header = match scan.step(window, at)? {
            Step::End => break,
            Step::Bad(end) => {
                at = end;
                continue;
            }
            Step::Record(header) => header,
        };
        let expected = tail.reached.place;
        let whole = scan.stored(window, at, &header)?.is_some();
        let start = at;
        at += header.bytes();
        if !whole || header.place < expected {
            continue;
        }
        if let Some(records) = &mut records {
            let record = window.bytes(start, header.bytes() as usize, scan.limit)?;
            records.extend_from_slice(record);
        }
        if header.place > expected {
            gaps.push((expected, header.place, start - tail.reached.offset));
        }
        tail.durable = tail.durable.max(header.durable());
        held += header.bytes();
        tail.reached.place = header.place.after(header.events);
        tail.reached.offset = at;
    }
    // The others are for readers to find and to count.
    let (torn, corrupt): (Vec<_>, Vec<_>) = gaps
        .into_iter()
        .partition(|(first, ..)| first.seq >= tail.durable);
    held += corrupt.iter().map(|(.., bytes)| bytes).sum::<u64>();
    tail.torn = torn
        .into_iter()
        .map(|(first, end, _)| (first, end))
        .collect();
    tail.torn_bytes = (last.file_bytes - from.offset.min(last.file_bytes)) - held;
    Ok(())
}

/// Puts away what holds nothing that can be read, and says what of it takes
/// space, the oldest first. What fails here is tried again with the next start.
fn tidy(root: &dyn DiskRoot, survey: &mut Survey) -> VecDeque<(PathBuf, u64)> {
    for (path, _) in &survey.void {
        let _ = root.remove(path);
    }
    let mut remains = std::mem::take(&mut survey.put_away);
    for (path, bytes) in &survey.unreadable {
        let to = put_away(path);
        let is_there = root.rename(path, &to).is_ok();
        let path = if is_there { to } else { path.clone() };
        remains.push((path, *bytes));
    }
    remains.into()
}
