//! The loop: hints, looks, turns, checkpoints.
//!
//! One thread for all files. It blocks where there is nothing to do, in a
//! `poll` that a hint, a stop or the next deadline ends, and in `send` where
//! the pipeline has no room. Files that give no hints are waited for without a
//! `poll`, which lets a tail run under simulation.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use tokio::time::{Instant, timeout};

use super::catch_up::{Past, Suspect};
use super::entry::{Entry, Turn};
use super::identity::{Identity, Print};
use super::legacy::Part;
use super::numbers::{Extent, Numbers};
use super::settle::{Open, Progress};
use super::store::{Saved, Store};
use super::watch::{Hint, Watch};
use super::{LOOK, LOOK_BLIND, Settings};
use crate::source::{Outlet, SourceError, Stop};

/// A round of turns is behind the one before by so many times what that one took,
/// within bounds: where many files trickle, what is written meanwhile makes one
/// batch of a file rather than many. After a silence it begins at once.
const ROUND_SHARE: u32 = 50;
/// The least: lines of one event are mostly written together.
const ROUND_MIN: Duration = Duration::from_millis(20);
/// The most: what people who look on would not call late.
const ROUND_MAX: Duration = Duration::from_millis(250);
/// How long what has settled is not written down: a kill of tflog doubles no
/// more.
pub(super) const CHECKPOINT: Duration = Duration::from_millis(200);
/// How often it is made durable, and files are seen to that rest.
const SWEEP: Duration = Duration::from_secs(1);
/// A look at everything takes at most this part of the time.
const LOOK_SHARE: u32 = 20;
/// How long nothing is read again that was given up.
const REWIND_PAUSE: Duration = Duration::from_secs(1);
/// Unfinished lines of all files together: they can be read again.
const REST_BYTES_MAX: usize = 2 << 20;

const DAY_NANOS: u64 = 86_400_000_000_000;

/// A file that is no longer read, until its batches have settled.
pub(super) struct Leaving {
    pub(super) id: u128,
    pub(super) progress: Arc<Progress>,
}

/// All files of a source.
pub(super) struct Tailer {
    pub(super) settings: Settings,
    pub(super) store: Option<Store>,
    pub(super) outlet: Outlet,
    pub(super) stop: Stop,
    pub(super) legacy: Part,
    pub(super) watch: Watch,
    /// In an order of their own, so that a run can be played again.
    pub(super) entries: BTreeMap<usize, Entry>,
    pub(super) by_identity: HashMap<Identity, usize>,
    /// Only of files that are at their paths.
    pub(super) by_path: HashMap<PathBuf, usize>,
    pub(super) next_key: usize,
    queue: VecDeque<usize>,
    /// Files that may be open, the one that has been for longest first.
    pub(super) opened: VecDeque<usize>,
    pub(super) open_files: usize,
    /// Files with events that may go on.
    holding: Vec<usize>,
    /// Files that have their turns no sooner.
    pub(super) paused: Vec<(Instant, usize)>,
    pub(super) leaving: Vec<Leaving>,
    pub(super) past: Vec<Past>,
    pub(super) suspects: Vec<Suspect>,
    /// Kept files that have not been found yet.
    pub(super) orphans: BTreeMap<u128, Saved>,
    /// Which those are.
    pub(super) kept: HashMap<Identity, Vec<u128>>,
    /// The day on which the run began, from 1970 on.
    pub(super) today: u64,
    /// Whether this is the first look.
    pub(super) first: bool,
    /// Paths that could not be opened or looked into, said once.
    pub(super) refused: HashSet<PathBuf>,
    pub(super) open: Arc<Open>,
    /// Whether a new file's id must become durable before it is read.
    pub(super) unsaved: bool,
    /// Whether positions may have moved since they were written down.
    moved: bool,
    /// The number of the last look at everything.
    pub(super) looks: u64,
    rest_bytes: usize,
    numbers: Arc<Numbers>,
    pub(super) extent: Arc<Extent>,
}

/// When the next round may begin, from the beginning of one that took so long.
fn round_pause(took: Duration) -> Duration {
    (took * ROUND_SHARE).clamp(ROUND_MIN, ROUND_MAX)
}

/// What is due when.
struct Due {
    look: Instant,
    checkpoint: Instant,
    sweep: Instant,
    round: Instant,
}

impl Tailer {
    pub(super) fn new(
        settings: Settings,
        store: Option<Store>,
        outlet: Outlet,
        stop: Stop,
        (numbers, legacy): (Arc<Numbers>, Part),
    ) -> Tailer {
        let orphans = store.as_ref().map(|store| store.files().clone());
        let orphans = orphans.unwrap_or_default();
        let mut kept: HashMap<Identity, Vec<u128>> = HashMap::new();
        for (id, saved) in &orphans {
            kept.entry(saved.identity).or_default().push(*id);
        }
        let can_watch = !settings.once && outlet.world.files.can_be_watched();
        Tailer {
            kept,
            orphans,
            first: false,
            today: outlet.world.clock.now().0 as u64 / DAY_NANOS,
            watch: Watch::new(&settings.name, can_watch),
            settings,
            store,
            outlet,
            stop,
            legacy,
            entries: BTreeMap::new(),
            by_identity: HashMap::new(),
            by_path: HashMap::new(),
            next_key: 0,
            queue: VecDeque::new(),
            opened: VecDeque::new(),
            open_files: 0,
            holding: Vec::new(),
            paused: Vec::new(),
            leaving: Vec::new(),
            past: Vec::new(),
            suspects: Vec::new(),
            refused: HashSet::new(),
            open: Arc::default(),
            unsaved: false,
            moved: false,
            looks: 0,
            rest_bytes: 0,
            numbers,
            extent: Arc::default(),
        }
    }

    /// Reads until a stop, or, once, to the end of all files.
    pub(super) async fn run(mut self, extent: Arc<Extent>) -> Result<(), SourceError> {
        self.extent = extent;
        let ended = self.follow().await;
        if !matches!(ended, Err(SourceError::Closed)) {
            self.end().await?;
        }
        ended
    }

    async fn follow(&mut self) -> Result<(), SourceError> {
        self.look_first();
        let now = Instant::now();
        let mut due = Due {
            look: now + self.look_pause(Duration::ZERO),
            checkpoint: now + CHECKPOINT,
            sweep: now + SWEEP,
            round: now,
        };
        let mut hints = Vec::new();
        while self.stop.deadline().is_none() {
            let began = Instant::now();
            self.round().await?;
            self.end_waits().await?;
            let now = Instant::now();
            if due.look <= now {
                self.look_at_all();
                due.look = Instant::now() + self.look_pause(now.elapsed());
            }
            if due.checkpoint <= now {
                self.checkpoint();
                due.checkpoint = now + CHECKPOINT;
            }
            if due.sweep <= now {
                self.sweep().await?;
                due.sweep = now + SWEEP;
            }
            if self.is_done() {
                break;
            }
            due.round = began + round_pause(began.elapsed());
            self.wait(&due).await;
            self.watch.hints(&mut hints);
            for hint in hints.drain(..) {
                if matches!(hint, Hint::Lost) {
                    due.look = now;
                } else {
                    self.heed(hint);
                }
            }
        }
        Ok(())
    }

    /// Whether there is no more to be read, ever.
    fn is_done(&self) -> bool {
        self.settings.once && self.queue.is_empty() && self.paused.is_empty()
    }

    fn look_pause(&self, took: Duration) -> Duration {
        let pause = if self.settings.once {
            Duration::MAX / 4
        } else if self.watch.is_blind() {
            LOOK_BLIND
        } else {
            LOOK
        };
        pause.max(took * LOOK_SHARE)
    }

    /// A turn for each file that waits for one.
    async fn round(&mut self) -> Result<(), SourceError> {
        if !self.queue.is_empty() && std::mem::take(&mut self.unsaved) {
            self.save(true);
        }
        for _ in 0..self.queue.len() {
            if self.stop.deadline().is_some() {
                break;
            }
            let Some(key) = self.queue.pop_front() else {
                break;
            };
            if let Some(entry) = self.entries.get_mut(&key) {
                entry.queued = false;
                self.turn(key).await?;
            }
        }
        Ok(())
    }

    /// Gives a file its turn soon.
    pub(super) fn enqueue(&mut self, key: usize) {
        if let Some(entry) = self.entries.get_mut(&key)
            && !std::mem::replace(&mut entry.queued, true)
        {
            self.queue.push_back(key);
        }
    }

    async fn turn(&mut self, key: usize) -> Result<(), SourceError> {
        if !self.make_ready(key).await? {
            return Ok(());
        }
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(());
        };
        let (before, read, events) = (entry.rest_bytes(), entry.read, entry.events);
        let turn = entry.turn(&self.outlet).await?;
        self.moved = true;
        let extent = &self.extent;
        let bytes = entry.read - read;
        extent.bytes.fetch_add(bytes, Ordering::Relaxed);
        let events = entry.events - events;
        if entry.known.is_bare() {
            self.settings.describe.count_bare(events);
        }
        extent.events.fetch_add(events, Ordering::Relaxed);
        self.rest_bytes = self.rest_bytes + entry.rest_bytes() - before.min(self.rest_bytes);
        if self.rest_bytes > REST_BYTES_MAX {
            self.shed(key).await?;
        }
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(());
        };
        if entry.hold.until.is_some() && !self.holding.contains(&key) {
            self.holding.push(key);
        }
        if std::mem::take(&mut entry.print_grew) {
            self.keep(key);
        }
        match turn {
            Turn::More => self.enqueue(key),
            Turn::End if self.settings.once => self.retire(key, true).await?,
            Turn::End => {}
        }
        Ok(())
    }

    /// Keeps less of what is unfinished than there is room for.
    async fn shed(&mut self, key: usize) -> Result<(), SourceError> {
        let Some(entry) = self.entries.get_mut(&key) else {
            return Ok(());
        };
        let before = entry.rest_bytes();
        if entry.hold.until.is_some() {
            entry.flush(&self.outlet).await?;
        }
        entry.let_go();
        self.rest_bytes = self.rest_bytes + entry.rest_bytes() - before.min(self.rest_bytes);
        Ok(())
    }

    /// Ends waits that are over: for events that may go on, and after something
    /// was given up.
    async fn end_waits(&mut self) -> Result<(), SourceError> {
        let now = Instant::now();
        for key in std::mem::take(&mut self.holding) {
            let Some(entry) = self.entries.get_mut(&key) else {
                continue;
            };
            match entry.hold.until {
                Some(until) if until <= now && !entry.queued => {
                    self.moved = true;
                    entry.flush(&self.outlet).await?;
                }
                Some(_) => self.holding.push(key),
                None => {}
            }
        }
        for (until, key) in std::mem::take(&mut self.paused) {
            if until <= now {
                self.enqueue(key);
            } else {
                self.paused.push((until, key));
            }
        }
        Ok(())
    }

    /// Waits for a hint, a stop, or until something is due.
    async fn wait(&mut self, due: &Due) {
        let now = Instant::now();
        if self.queue.is_empty() {
            let waits = self.holding.iter().filter_map(|key| self.entries.get(key));
            let waits = waits.filter_map(|entry| entry.hold.until);
            let checkpoint = self.moved.then_some(due.checkpoint);
            let until = waits
                .chain(self.paused.iter().map(|(until, _)| *until))
                .chain(checkpoint)
                .chain([due.look, due.sweep])
                .min()
                .unwrap_or(now);
            self.pause(until.saturating_duration_since(now), true).await;
        }
        // Whatever came: what comes with it is read with it.
        let pause = due.round.saturating_duration_since(Instant::now());
        if !pause.is_zero() && self.queue.is_empty() && !self.settings.once {
            self.pause(pause, false).await;
        }
    }

    /// Waits for a stop, and for a hint if it is wanted. Without watches there is
    /// nothing to block in.
    async fn pause(&mut self, time: Duration, hints: bool) {
        let Some(watch) = self.watch.descriptor() else {
            // Either will do.
            let _ = timeout(time, self.stop.stopping()).await;
            return;
        };
        let time = Timespec::try_from(time).unwrap_or_default();
        let mut fds = vec![PollFd::from_borrowed_fd(
            self.stop.descriptor(),
            PollFlags::IN,
        )];
        if hints {
            fds.push(PollFd::from_borrowed_fd(watch, PollFlags::IN));
        }
        // A signal ends it early, which does no harm.
        let _ = poll(&mut fds, Some(&time));
    }

    /// Writes down what has settled since the last time, and begins again where
    /// something was given up.
    pub(super) fn checkpoint(&mut self) {
        if !std::mem::take(&mut self.moved) {
            return;
        }
        let stopping = self.stop.deadline().is_some();
        let pause = Instant::now() + REWIND_PAUSE;
        for (key, entry) in &mut self.entries {
            if !stopping && let Some(offset) = entry.progress.rewind() {
                let path = entry.path.display();
                tracing::warn!(
                    "{}: {path}: events were given up, reading again from byte {offset}",
                    self.settings.name
                );
                let framer = entry.known.framer(&self.settings.framer);
                entry.rewind(offset, framer);
                self.paused.push((pause, *key));
                self.open_files -= usize::from(entry.close_compressed());
            }
            // Asked first: what settles in between is seen the next time.
            self.moved |= !entry.progress.is_done();
            let settled = entry.progress.settled();
            if settled != entry.saved {
                entry.saved = settled;
                if let Some(store) = &mut self.store {
                    let trail = entry.trail.print_before(settled);
                    store.advance(entry.stream.origin, settled, trail);
                }
            }
        }
        let store = &mut self.store;
        self.leaving.retain(|leaving| {
            let done = leaving.progress.is_done();
            if let Some(store) = store {
                if done {
                    store.remove(leaving.id);
                } else {
                    let settled = leaving.progress.settled();
                    store.advance(leaving.id, settled, Print::default());
                }
            }
            !done
        });
        self.moved |= !self.leaving.is_empty();
        self.save(false);
    }

    /// Writes positions, durable or not yet. What fails is tried again.
    pub(super) fn save(&mut self, durable: bool) {
        let Some(store) = &mut self.store else {
            return;
        };
        let saved = if durable { store.sync() } else { store.write() };
        let failed_before = std::mem::replace(&mut store.is_failing, saved.is_err());
        if let Err(error) = saved
            && !failed_before
        {
            tracing::error!(
                "{}: cannot keep positions, a restart would read lines again: {error}",
                self.settings.name
            );
        }
    }

    /// Says that positions have moved.
    pub(super) fn note_moved(&mut self) {
        self.moved = true;
    }

    /// What is due now and then: files that rest, numbers, the disk.
    async fn sweep(&mut self) -> Result<(), SourceError> {
        self.save(true);
        self.settle_suspects();
        self.see_to_gone().await?;
        self.past.retain(Past::is_recent);
        let lag_bytes = self.entries.values().map(Entry::lag).sum();
        self.numbers
            .set(self.entries.len(), self.open_files, lag_bytes);
        self.rest_bytes = self.entries.values().map(Entry::rest_bytes).sum();
        Ok(())
    }
}
