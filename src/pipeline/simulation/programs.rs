//! Programs that write logs, and what rotates them: files grow, are renamed, copied
//! and truncated, removed and made anew, while tflog runs and while it does not.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::dice::Dice;
use super::faults::Fault;
use super::outside::{Outside, State};

/// What a program has at least written to a file before that is rotated: tflog
/// knows of it, or it could not find it again under another name.
const WRITES_MAX: u64 = 8;
/// A program goes on writing to a file that was renamed or removed for a moment,
/// until it opens the new one: less than tflog waits for it.
const LINGER: Duration = Duration::from_secs(2);

/// One program with its log.
pub(super) struct Program {
    directory: PathBuf,
    /// The file that it writes to.
    at: Option<u64>,
    /// Since when that is not under its name any more.
    moved: Option<Instant>,
    /// Whether nobody had it open when it lost its only name.
    is_lost: bool,
    /// The rest of a line of which a part is written, and its event.
    rest: Option<(Vec<u8>, usize)>,
    /// What it is being copied to, before it is truncated.
    copy: Option<u64>,
    rotations: u64,
    /// Whether rotated files are followed by their names too.
    pub(super) is_wide: bool,
    /// Events that it is to write in this life.
    left: u64,
    pub(super) written: Option<Instant>,
}

impl Program {
    pub(super) fn new(name: &str, is_wide: bool) -> Program {
        Program {
            directory: Path::new("/logs").join(name),
            at: None,
            moved: None,
            is_lost: false,
            rest: None,
            copy: None,
            rotations: 0,
            is_wide,
            left: 0,
            written: None,
        }
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    fn path(&self) -> PathBuf {
        self.directory.join("app.log")
    }

    /// Whether a file is one that tflog looks for.
    pub(super) fn is_meant(&self, path: &Path) -> bool {
        self.is_wide || path == self.path()
    }

    pub(super) fn is_done(&self) -> bool {
        self.left == 0 && self.rest.is_none()
    }
}

/// What a program does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Write,
    Rename,
    Remove,
    CopyTruncate,
    Truncate,
    /// What is old goes.
    Clean,
}

/// Lets the program of a source write so many events while tflog runs.
pub(super) async fn run(outside: Outside, source: usize, dice: Dice, events: u64) {
    outside.lock().program(source).left = events;
    loop {
        let lingers = outside.lock().program(source).moved.is_some();
        let pause = if lingers && dice.chance(50) {
            // Time for tflog to look at what has lost its name.
            Duration::from_millis(dice.between(500, LINGER.as_millis() as u64))
        } else {
            dice.time(1, 6000)
        };
        sleep(pause).await;
        let act = {
            let mut state = outside.lock();
            if state.program(source).is_done() {
                break;
            }
            state.choose(source, &dice)
        };
        if act == Act::CopyTruncate {
            copy_and_truncate(&outside, source, &dice).await;
        } else {
            outside.lock().act(source, &dice, act);
        }
    }
}

/// Copies a log, and truncates it a moment later.
async fn copy_and_truncate(outside: &Outside, source: usize, dice: &Dice) {
    let Some(copy) = outside.lock().begin_copy(source, dice) else {
        return;
    };
    if dice.chance(50) {
        sleep(dice.time(0, 1000)).await;
    }
    outside.lock().end_copy(source, copy);
    // What comes between the copy and the truncation is in neither.
    if dice.chance(50) {
        sleep(dice.time(0, 1000)).await;
        if dice.chance(50) {
            outside.lock().write(source, dice, false);
        }
    }
    outside.lock().truncate_copied(source, copy);
}

/// What happens to logs while tflog does not run.
pub(super) fn meanwhile(outside: &Outside, dice: &Dice) {
    let mut state = outside.lock();
    for source in 0..state.programs.len() {
        if state.programs[source].is_none() {
            continue;
        }
        if let Some(copy) = state.program(source).copy {
            state.end_copy(source, copy);
            state.truncate_copied(source, copy);
        }
        state.reopen(source);
        for _ in 0..dice.below(4) {
            let act = state.choose(source, dice);
            state.program(source).left += u64::from(act == Act::Write) * WRITES_MAX;
            if act == Act::CopyTruncate {
                if let Some(copy) = state.begin_copy(source, dice) {
                    state.end_copy(source, copy);
                    state.truncate_copied(source, copy);
                }
            } else {
                state.act(source, dice, act);
            }
        }
        state.reopen(source);
        state.program(source).left = 0;
    }
}

impl State {
    pub(super) fn program(&mut self, source: usize) -> &mut Program {
        let program = self.programs[source].as_mut();
        program.expect("the source follows a program's logs")
    }

    fn choose(&mut self, source: usize, dice: &Dice) -> Act {
        let (at, moved, torn) = {
            let program = self.program(source);
            (program.at, program.moved, program.rest.is_some())
        };
        let Some(inode) = at.filter(|_| moved.is_none()) else {
            return Act::Write;
        };
        // Whoever never saw a file cannot find it under another name.
        let node = self.machine.node(inode);
        let come = |&(event, _): &(usize, u64)| self.has_come(event);
        let known = node.lines.iter().any(come);
        let all_known = node.lines.iter().all(come);
        if !known || self.now.disk_harmed || torn {
            return Act::Write;
        }
        match dice.below(20) {
            0..3 => Act::Rename,
            3..5 => Act::Remove,
            5..7 => Act::CopyTruncate,
            // Of a line that was read in part the rest would not come.
            7 if all_known => Act::Truncate,
            8 => Act::Clean,
            _ => Act::Write,
        }
    }

    fn has_come(&self, event: usize) -> bool {
        let mut copies = self.events[event].copies.iter().flatten();
        copies.any(|copy| copy.ends.all() > 0)
    }

    fn act(&mut self, source: usize, dice: &Dice, act: Act) {
        let machine = self.machine.clone();
        let path = self.program(source).path();
        if act != Act::Write {
            self.note(|| format!("the log of source {source}: {act:?}"));
        }
        match act {
            Act::Write => self.write(source, dice, true),
            Act::Rename => {
                self.hit(Fault::Renamed);
                let to = self.rotated(source);
                machine.rename(&path, &to);
                self.program(source).moved = Some(Instant::now());
                self.program(source).is_lost = false;
            }
            Act::Remove => {
                self.hit(Fault::Removed);
                let inode = self.program(source).at.unwrap_or_default();
                self.program(source).is_lost = self.remove(source, &path, inode);
                self.program(source).moved = Some(Instant::now());
            }
            Act::Truncate => {
                self.hit(Fault::Truncated);
                let inode = self.program(source).at.unwrap_or_default();
                self.excuse(inode);
                machine.truncate(inode);
            }
            Act::Clean => {
                let directory = self.program(source).directory.clone();
                for (old, inode) in machine.files(&directory) {
                    if old != path {
                        self.remove(source, &old, inode);
                    }
                }
            }
            Act::CopyTruncate => {}
        }
    }

    /// Removes a file; whether it is lost: who has it open reads it to its end.
    fn remove(&mut self, source: usize, path: &Path, inode: u64) -> bool {
        let is_lost = !self.alive || !self.machine.is_read(inode);
        if is_lost {
            self.excuse(inode);
        } else {
            self.now.removed = Some(source);
            self.now.removal.notify_one();
        }
        self.machine.remove(path);
        is_lost
    }

    /// A name that rotation gives.
    fn rotated(&mut self, source: usize) -> PathBuf {
        let program = self.program(source);
        program.rotations += 1;
        let name = format!("app.log.{}", program.rotations);
        program.directory.join(name)
    }

    /// Writes some events, the last one perhaps in part if it may be torn.
    fn write(&mut self, source: usize, dice: &Dice, may_tear: bool) {
        let machine = self.machine.clone();
        let program = self.program(source);
        let over = |moved: Instant| moved.elapsed() > LINGER || dice.chance(50);
        let over = program.moved.is_some_and(over);
        if over && let Some(old) = program.at.take() {
            machine.close(old);
            program.moved = None;
        }
        let program = self.program(source);
        let path = program.path();
        let at = *program.at.get_or_insert_with(|| machine.create(&path));
        // A file that is removed is read as long as it is written to.
        let is_lost = program.is_lost && !machine.is_read(at) && machine.unnamed().contains(&at);
        let mut written = Vec::new();
        if let Some((rest, event)) = program.rest.take() {
            machine.append(at, &rest, Some(event));
            written.push(event);
        }
        let count = dice.between(1, WRITES_MAX).min(program.left);
        program.left -= count;
        // What is torn goes on in the same file.
        let last_is_torn = may_tear && program.moved.is_none() && dice.chance(25);
        for nth in 0..count {
            let event = self.event(source);
            self.events[event].sends = 1;
            self.events[event].sends_now = 1;
            let mut line = self.events[event].text.clone().into_bytes();
            line.push(b'\n');
            if last_is_torn && nth + 1 == count {
                let rest = line.split_off(dice.below(line.len() as u64) as usize);
                machine.append(at, &line, None);
                self.program(source).rest = Some((rest, event));
            } else {
                machine.append(at, &line, Some(event));
                written.push(event);
            }
        }
        let now = Instant::now();
        self.program(source).written = Some(now);
        self.note(|| format!("the log of source {source}: {written:?} in inode {at}"));
        if is_lost {
            for event in written {
                self.excuse_event(event);
            }
        }
    }

    /// Begins a copy beside a log; its inode.
    fn begin_copy(&mut self, source: usize, dice: &Dice) -> Option<u64> {
        let machine = self.machine.clone();
        let program = self.program(source);
        let from = program.at.filter(|_| program.moved.is_none())?;
        self.hit(Fault::CopyTruncated);
        let copy = machine.create(&self.rotated(source));
        let node = machine.node(from);
        let part = dice.below(node.content.len() as u64 + 1) as usize;
        machine.append(copy, &node.content[..part], None);
        self.program(source).copy = Some(copy);
        self.note(|| format!("the log of source {source} is copied to inode {copy}"));
        Some(copy)
    }

    /// Copies the rest.
    fn end_copy(&mut self, source: usize, copy: u64) {
        let machine = self.machine.clone();
        let node = machine.node(self.program(source).at.unwrap_or_default());
        let had = machine.node(copy).content.len();
        let part = node.content.get(had..).unwrap_or_default();
        machine.append(copy, part, None);
        machine.set_lines(copy, node.lines);
        machine.close(copy);
    }

    /// Truncates what was copied.
    fn truncate_copied(&mut self, source: usize, copy: u64) {
        let machine = self.machine.clone();
        let from = self.program(source).at.unwrap_or_default();
        let copied = machine.node(copy).lines.len();
        for (event, _) in machine.node(from).lines.into_iter().skip(copied) {
            self.excuse_event(event);
        }
        machine.truncate(from);
        self.program(source).copy = None;
        self.note(|| format!("the log of source {source} is truncated"));
    }

    /// The program opens its log anew, if that has another name by now.
    fn reopen(&mut self, source: usize) {
        let machine = self.machine.clone();
        let program = self.program(source);
        if program.moved.take().is_some()
            && let Some(old) = program.at.take()
        {
            machine.close(old);
        }
    }

    /// What of a file has not come need not come.
    pub(super) fn excuse(&mut self, inode: u64) {
        for (event, _) in self.machine.node(inode).lines {
            self.excuse_event(event);
        }
    }

    pub(super) fn excuse_event(&mut self, event: usize) {
        for copy in self.events[event].copies.iter_mut().flatten() {
            copy.excused |= copy.ends.kept() == 0;
        }
    }
}
