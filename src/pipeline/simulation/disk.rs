//! The disk under the state directory: what goes wrong with it in a life, and what
//! an end of the process leaves on it.

use std::path::PathBuf;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::dice::Dice;
use super::faults::Fault;
use super::life::Ending;
use super::outside::{Outside, State};
use crate::seam::{DiskFault, FaultyDisk};

/// Where segments of a buffer have records, at the earliest: behind their headers,
/// which are there twice.
const RECORDS_FROM: usize = 1024;
/// What is synced now and then only is synced so often; nothing waits as long.
const INTERVAL: Duration = Duration::from_millis(1001);

/// What may go wrong with the disk in this life.
pub(super) fn harm(outside: &Outside, dice: &Dice, ending: Ending) {
    let mut state = outside.lock();
    if !state.topology.has_state() {
        return;
    }
    let disk = state.disk.clone();
    let first = disk.operations() + 1;
    let first_sync = disk.syncs() + 1;
    let dies = matches!(ending, Ending::Crashed | Ending::PowerLost);
    let fault = match dice.below(12) {
        0..2 => {
            for _ in 0..dice.between(1, 3) {
                let fault = dice.pick(&[DiskFault::Io, DiskFault::NoSpace]);
                disk.fault_at(first + dice.below(60), fault);
            }
            Fault::DiskFails
        }
        2..5 => {
            for _ in 0..dice.between(1, 3) {
                disk.fault_at_sync(first_sync + dice.below(10), DiskFault::Io);
            }
            Fault::SyncFails
        }
        5 => {
            disk.set_room(Some(dice.below(16_000) as usize));
            Fault::DiskFull
        }
        6 => {
            disk.set_write_bytes_max(dice.between(1, 300) as usize);
            Fault::ShortWrites
        }
        7..9 if dies => {
            disk.fault_at(first + dice.below(40), DiskFault::Stop);
            return;
        }
        9..11 if dies => {
            disk.fault_at_sync(first_sync + dice.below(12), DiskFault::Stop);
            return;
        }
        _ => return,
    };
    state.hit(fault);
    state.now.disk_harmed = true;
    state.note(|| format!("the disk: {fault:?}"));
}

/// The disk is well again when all is.
pub(super) async fn heal(outside: Outside) {
    let heals_at = outside.lock().heals_at;
    sleep_until(heals_at).await;
    let state = outside.lock();
    if !state.disk.has_stopped() {
        mend(&state.disk);
    }
}

fn mend(disk: &FaultyDisk) {
    disk.restart();
    disk.set_room(None);
    disk.set_write_bytes_max(usize::MAX);
}

/// What is left of a process that has ended, by itself or not.
pub(super) fn bury(outside: &Outside, dice: &Dice, ending: Ending, (died, ended): (bool, Instant)) {
    let mut state = outside.lock();
    let is_early = died || state.now.stopped || state.now.closed || state.now.disk_harmed;
    // What ends because tails are told to may have records that nobody takes.
    state.early_ends += u32::from(is_early || state.now.leaves_records);
    state.is_disk_certain &= !state.now.disk_harmed;
    let is_well = !state.now.disk_harmed && !state.disk.has_stopped();
    state.is_marked = is_well && (state.is_marked || !died);
    if state.now.started && !state.now.disk_harmed {
        state.rotten.clear();
    }
    if died && ending == Ending::PowerLost {
        state.write_back();
        state.hit(Fault::PowerLoss);
        (state.is_disk_certain, state.is_marked) = (false, false);
        state.excuse_unsynced(ended);
        state.may_be_gone |= state.is_doubtful;
        state.now.unpowered = true;
        if dice.chance(50) {
            state.disk.crash();
        } else {
            state.disk.lose_power(dice.below(u64::MAX));
        }
    }
    state.is_doubtful |= state.now.disk_harmed;
    mend(&state.disk);
    state.excuse_closed();
    state.judge_positions(is_early, ended);
    for place in 0..state.corrupt.len() {
        state.corrupt[place] += state.now.corrupt[place];
    }
    // Where a sync or its mark may be missing, what rots may be taken for torn.
    if state.is_marked && dice.chance(40) {
        state.rot(dice);
    }
}

impl State {
    /// Of a stream whose reader went away nothing is sent again.
    fn excuse_closed(&mut self) {
        let topology = self.topology.clone();
        let closed: Vec<bool> = self.far.iter().map(|far| far.closed).collect();
        for event in &mut self.events {
            if !topology.tails(event.source) {
                continue;
            }
            for (owner, copy) in event.copies.iter_mut().enumerate() {
                if let Some(copy) = copy
                    && copy.ends.kept() == 0
                    && topology.ways(owner).iter().any(|&way| closed[way])
                {
                    copy.excused = true;
                }
            }
        }
    }

    /// What a loss of power may cost where it is synced now and then only.
    fn excuse_unsynced(&mut self, died: Instant) {
        let all = self.now.disk_harmed || !self.now.started || self.is_doubtful;
        let topology = self.topology.clone();
        for event in &mut self.events {
            let young = event.acked_at.is_some_and(|at| died - at < INTERVAL);
            if event.acks == 0 || !(all || young) {
                continue;
            }
            for (owner, copy) in event.copies.iter_mut().enumerate() {
                if let Some(copy) = copy
                    && topology.keeps_loosely(owner)
                    && copy.ends.kept() == 0
                {
                    copy.excused = true;
                }
            }
        }
    }

    /// What rots was on the disk for long, and what was noted about it is there too by
    /// then: no system keeps it for itself for more than half a minute. A process
    /// that opens the buffer need not rely on that.
    fn write_back(&mut self) {
        for place in std::mem::take(&mut self.rotten) {
            let path = format!("/state/buffer/{}/marks", self.topology.sinks[place].name);
            if let Some(marks) = self.disk.read(&path) {
                self.disk.put(path, &marks);
            }
        }
    }

    /// A bit of a buffer changes while nobody looks.
    fn rot(&mut self, dice: &Dice) {
        let sinks = self.topology.sinks.iter().enumerate();
        // What is not synced may be taken for torn.
        let synced = sinks.filter(|(_, sink)| sink.disk.is_some_and(|disk| !disk.interval));
        let names = synced.map(|(place, sink)| (place, sink.name.clone()));
        let places: Vec<(usize, PathBuf)> = names
            .flat_map(|(place, name)| {
                let directory = format!("/state/buffer/{name}");
                let paths = self.disk.paths().into_iter();
                let inside = paths.filter(move |path| path.starts_with(&directory));
                inside.map(move |path| (place, path))
            })
            .filter(|(_, path)| path.extension().is_some_and(|ending| ending == "segment"))
            .filter(|(_, path)| self.disk.read(path).is_some_and(|c| c.len() > RECORDS_FROM))
            .collect();
        if places.is_empty() {
            return;
        }
        let (place, path) = dice.pick(&places);
        let mut content = self.disk.read(&path).unwrap_or_default();
        // The last ones are those that are not delivered, if any is.
        let any = || dice.between(RECORDS_FROM as u64, content.len() as u64 - 1);
        let at = any().max(any()).max(any()) as usize;
        content[at] ^= 1 << dice.below(8);
        self.disk.put(&path, &content);
        self.rots[place] += 1;
        self.rotten.push(place);
        self.hit(Fault::Rot);
        self.note(|| format!("a bit of byte {at} of {} changes", path.display()));
    }
}
