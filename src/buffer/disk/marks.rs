//! The file of marks: up to where the log is synced and settled.
//!
//! Three slots, each a block of its own on any disk. The first two are written
//! in turn and synced, so that one of them is whole whatever happens; the third
//! is written after each sync of records without waiting for the disk, and
//! outlives the process. The newest whole slot counts: what it says was true
//! when it was written.

use std::io;
use std::path::{Path, PathBuf};

use super::OpenError;
use super::format::{Checked, Fields, Place, VERSION, Writer, seal, unseal};
use super::mutant::{self, Mutant};
use super::segments::version_error;
use crate::seam::{DiskFile, DiskRoot};

const MAGIC: [u8; 8] = *b"tflogmrk";
pub(super) const NAME: &str = "marks";
/// The largest sector of disks in use: a write in progress spoils no other slot.
pub(super) const SLOT_BYTES: usize = 4096;
const DURABLE_SLOTS: usize = 2;
const SLOTS: usize = DURABLE_SLOTS + 1;
/// Records settled out of order that a slot has room for; those beyond are
/// delivered again after a restart. A driver has a hundred in flight at most.
pub(super) const OUT_OF_ORDER_MAX: usize = 480;

/// What a slot says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Mark {
    pub(super) generation: u64,
    /// Up to where records are synced.
    pub(super) synced: Place,
    /// The segment that ends there, and where in it.
    pub(super) segment: u64,
    pub(super) offset: u64,
    /// Up to where all is settled.
    pub(super) settled: Place,
    /// Records settled beyond, with their events, ascending.
    pub(super) out_of_order: Vec<(u64, u32)>,
}

impl Mark {
    fn encode(&self) -> Vec<u8> {
        let mut block = vec![0; SLOT_BYTES];
        let mut out = Writer(&mut block, 12);
        let places = [self.synced, self.settled];
        let numbers = [self.generation, self.segment, self.offset];
        for number in numbers
            .into_iter()
            .chain(places.into_iter().flat_map(|p| [p.seq, p.event]))
        {
            out.put(&number.to_le_bytes());
        }
        let near = |&&(seq, _): &&(u64, u32)| u32::try_from(seq - self.settled.seq).is_ok();
        let listed = self.out_of_order.iter().take(OUT_OF_ORDER_MAX);
        let listed: Vec<_> = listed.take_while(near).collect();
        out.put(&(listed.len() as u32).to_le_bytes());
        for (seq, events) in listed {
            out.put(&((seq - self.settled.seq) as u32).to_le_bytes());
            out.put(&events.to_le_bytes());
        }
        seal(&mut block, MAGIC);
        block
    }

    fn decode(fields: &mut Fields<'_>) -> Option<Mark> {
        let (generation, segment, offset) = (fields.u64()?, fields.u64()?, fields.u64()?);
        let (synced, settled) = (fields.place()?, fields.place()?);
        let out_of_order = (0..fields.u32()?)
            .map(|_| {
                let seq = settled.seq.checked_add(u64::from(fields.u32()?))?;
                Some((seq, fields.u32()?))
            })
            .collect::<Option<_>>()?;
        Some(Mark {
            generation,
            synced,
            segment,
            offset,
            settled,
            out_of_order,
        })
    }
}

/// The newest mark in a directory, and how its slots are.
#[derive(Debug, Default)]
pub(super) struct Marked {
    pub(super) mark: Option<Mark>,
    /// The slot of the newest mark that was synced.
    good: usize,
    /// Slots that were not written whole, or spoilt since.
    pub(super) damaged: Vec<usize>,
}

impl Marked {
    /// Whether the last mark that was made durable is among those read.
    pub(super) fn is_certain(&self) -> bool {
        self.damaged.iter().all(|&slot| slot >= DURABLE_SLOTS)
    }
}

/// Reads the marks in `directory`.
pub(super) fn read(root: &dyn DiskRoot, directory: &Path) -> Result<Marked, OpenError> {
    let path = directory.join(NAME);
    let io = |source| OpenError::Io {
        path: path.clone(),
        source,
    };
    let file = match root.open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Marked::default()),
        other => other.map_err(io)?,
    };
    let mut bytes = vec![0; SLOTS * SLOT_BYTES];
    let mut len = 0;
    loop {
        match file.read_at(len as u64, &mut bytes[len..]) {
            Ok(0) => break,
            Ok(more) => len += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // A mark that cannot be read is as good as none.
            Err(_) => break,
        }
    }
    let mut marked = Marked::default();
    let mut durable = None;
    let (mut ours, mut foreign) = (0, 0);
    for (slot, block) in bytes.chunks_exact(SLOT_BYTES).enumerate() {
        match unseal(block, MAGIC) {
            Checked::Version(found) => return Err(version_error(&path, found, VERSION)),
            Checked::Whole(mut fields) => {
                let Some(mark) = Mark::decode(&mut fields) else {
                    marked.damaged.push(slot);
                    continue;
                };
                ours += 1;
                if slot < DURABLE_SLOTS && durable.is_none_or(|g| g < mark.generation) {
                    (durable, marked.good) = (Some(mark.generation), slot);
                }
                let newest = marked.mark.as_ref().map_or(0, |m| m.generation);
                if mark.generation > newest {
                    marked.mark = Some(mark);
                }
            }
            Checked::Damaged => {
                ours += 1;
                marked.damaged.push(slot);
            }
            Checked::Foreign => {
                foreign += 1;
                marked.damaged.push(slot);
            }
            Checked::Blank if block.iter().any(|&b| b != 0) => marked.damaged.push(slot),
            Checked::Blank => {}
        }
    }
    if ours == 0 && foreign > 0 {
        return Err(OpenError::Foreign { path });
    }
    Ok(marked)
}

/// Writes marks.
pub(super) struct Marks {
    path: PathBuf,
    file: Option<Box<dyn DiskFile>>,
    generation: u64,
    good: usize,
    written: bool,
}

impl Marks {
    /// Goes on where another process stopped.
    pub(super) fn new(directory: &Path, read: &Marked) -> Marks {
        Marks {
            path: directory.join(NAME),
            file: None,
            generation: read.mark.as_ref().map_or(0, |m| m.generation),
            good: read.good,
            written: read.mark.is_some(),
        }
    }

    /// Whether there may be marks on disk.
    pub(super) fn is_written(&self) -> bool {
        self.written
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a mark that outlives the process.
    pub(super) fn note(&mut self, root: &dyn DiskRoot, mark: Mark) -> io::Result<()> {
        self.put(root, DURABLE_SLOTS, mark)
    }

    /// Writes a mark that outlives a loss of power.
    pub(super) fn keep(&mut self, root: &dyn DiskRoot, mark: Mark) -> io::Result<()> {
        // After a failure the same slot again: the other is the one that counts.
        let slot = (self.good + 1) % DURABLE_SLOTS;
        let slot = if mutant::on(Mutant::OneSlot) { 0 } else { slot };
        self.put(root, slot, mark)?;
        if let Some(file) = &mut self.file {
            file.sync_data()?;
        }
        self.good = slot;
        Ok(())
    }

    /// Makes durable what an earlier process left: it may have ended before it did.
    pub(super) fn secure(&mut self, root: &dyn DiskRoot) -> io::Result<()> {
        if self.written {
            self.file(root)?.sync_data()?;
        }
        Ok(())
    }

    fn file(&mut self, root: &dyn DiskRoot) -> io::Result<&mut Box<dyn DiskFile>> {
        let file = if let Some(file) = self.file.take() {
            file
        } else {
            let file = root.open_in_place(&self.path)?;
            root.sync_names(&self.path)?;
            file
        };
        Ok(self.file.insert(file))
    }

    fn put(&mut self, root: &dyn DiskRoot, slot: usize, mut mark: Mark) -> io::Result<()> {
        self.generation += 1;
        mark.generation = self.generation;
        let block = mark.encode();
        let file = self.file(root)?;
        let (mut at, offset) = (0, (slot * SLOT_BYTES) as u64);
        while at < block.len() {
            match file.write_at(offset + at as u64, &block[at..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(more) => at += more,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.written = true;
        Ok(())
    }
}
