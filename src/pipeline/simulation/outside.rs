//! What is outside of the process and outlives it: the events that producers
//! have, what they were told, what far ends have, and what was seen to be wrong.

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::dice::Dice;
use super::far::Far;
use super::faults::{Fault, Hits, Mood};
use super::machine::Machine;
use super::model::{LEVELS, SERVICES, Traits};
use super::programs::Program;
use super::topology::Topology;
use crate::event::{Settled, Tally, Timestamp};
use crate::seam::FaultyDisk;

/// When the first life begins, in simulated time.
const START: Timestamp = Timestamp(1_700_000_000_000_000_000);
/// Events that are refused wherever a far end is strict, of a hundred.
const POISON_PERCENT: u64 = 4;
/// Events that make every load with them fail as long as there are faults.
const TOXIC_PERCENT: u64 = 1;

/// Shared by all that plays a part. One thread: the lock is never waited for.
#[derive(Clone)]
pub(super) struct Outside(Arc<Mutex<State>>);

#[expect(
    clippy::struct_excessive_bools,
    reason = "as many things are so or not"
)]
pub(super) struct State {
    pub(super) dice: Dice,
    pub(super) topology: Arc<Topology>,
    pub(super) events: Vec<Event>,
    /// By sink.
    pub(super) far: Vec<Far>,
    /// By source: events to be sent again.
    pub(super) again: Vec<VecDeque<usize>>,
    /// What a source waits for in this life, by its number.
    pub(super) batches: Vec<Sent>,
    /// Under the state directory.
    pub(super) disk: FaultyDisk,
    /// The files of programs, and by source the program whose logs it follows.
    pub(super) machine: Machine,
    pub(super) programs: Vec<Option<Program>>,
    /// Processes that ended before everything was: a record on disk of which a
    /// part was delivered comes again as a whole, and after a death what was
    /// settled shortly before it.
    pub(super) early_ends: u32,
    /// Times that a sink was taken out, and what it gave up of a file's lines has the
    /// tail begin again there; or that a tail was replaced while the disk failed.
    pub(super) rereads: u32,
    /// Whether nothing has failed there so far, nor was lost with the power.
    pub(super) is_disk_certain: bool,
    /// Whether marks tell of all that is synced, so that what rots is no torn end.
    pub(super) is_marked: bool,
    /// Whether a sync may have failed that a later process knows nothing of; and
    /// whether power was lost since.
    pub(super) is_doubtful: bool,
    pub(super) may_be_gone: bool,
    /// By sink: bits of its buffer that have changed.
    pub(super) rots: Vec<u64>,
    /// Sinks of which that was since a process has opened their buffers well.
    pub(super) rotten: Vec<usize>,
    /// By sink: events that were counted as corrupt in the lives before.
    pub(super) corrupt: Vec<u64>,
    pub(super) hits: Hits,
    /// What must not be, in words.
    pub(super) wrong: Vec<String>,
    /// Whether the process lives: a dead one can neither send nor hear.
    pub(super) alive: bool,
    /// When everything goes well again, in this life.
    pub(super) heals_at: Instant,
    /// When this life began.
    began: Instant,
    pub(super) now: Counts,
    trace: Option<Vec<String>>,
}

/// Counts of this life that the ledger must agree with.
#[derive(Debug, Default)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "as many things are so or not"
)]
pub(super) struct Counts {
    /// By source: events sent.
    pub(super) sent: Vec<u64>,
    pub(super) stopped: bool,
    /// A source has panicked or failed, a reader has gone away.
    pub(super) failed: u64,
    pub(super) closed: bool,
    /// Sinks that a plan of this life was without.
    pub(super) missing: Vec<usize>,
    /// Sinks whose buffer on disk may have been opened again in this life.
    pub(super) reopened: Vec<usize>,
    /// Tells of a log that is removed while it is read; and the source that reads it.
    pub(super) removal: Arc<Notify>,
    pub(super) removed: Option<usize>,
    /// Sources that have not come to their end.
    pub(super) producing: usize,
    /// What is settled may not have been noted.
    pub(super) disk_harmed: bool,
    /// Whether records wait on disk for the next one.
    pub(super) leaves_records: bool,
    /// Whether power was lost at its end.
    pub(super) unpowered: bool,
    /// Whether it came so far as to run.
    pub(super) started: bool,
    /// By sink: events that it counts as corrupt.
    pub(super) corrupt: Vec<u64>,
}

/// One event, and everything that happened to it.
#[expect(
    clippy::struct_excessive_bools,
    reason = "as many things are so or not"
)]
pub(super) struct Event {
    pub(super) source: usize,
    pub(super) traits: Traits,
    /// Its line, without the newline.
    pub(super) text: String,
    pub(super) poison: bool,
    pub(super) toxic: bool,
    /// Times that it was sent, in all and in this life.
    pub(super) sends: u32,
    pub(super) sends_now: u32,
    /// Times that its source heard that it is kept.
    pub(super) acks: u32,
    /// When it heard so last, in this life.
    pub(super) acked_at: Option<Instant>,
    /// When a sink told last that it has it, in this life.
    pub(super) told_at: Option<Instant>,
    /// Whether it stands before a position of its file that is kept: it is not read
    /// again.
    pub(super) frozen: bool,
    /// Whether a loss of power cannot take that position back.
    pub(super) firm: bool,
    /// Whether its file has a name that nobody looks for, and no position: it is not
    /// read again either.
    pub(super) out_of_sight: bool,
    /// By the sink that it is for.
    pub(super) copies: Vec<Option<Copy>>,
}

/// One event's copy for one sink.
pub(super) struct Copy {
    pub(super) route: usize,
    /// Whether a list may take it out.
    pub(super) listed: bool,
    /// Whether a plan was without its sink while it was on its way there.
    pub(super) missing: bool,
    /// Whether something that costs it has happened to its line or its record.
    pub(super) excused: bool,
    /// Times that the far end took it that it is for.
    pub(super) taken: u32,
    /// Of these, those that nobody told the pipeline about.
    pub(super) untold: u32,
    /// How it ended, in all and in this life.
    pub(super) ends: Ends,
    pub(super) ends_now: Ends,
}

impl Copy {
    /// Whether it need not come.
    pub(super) fn may_miss(&self) -> bool {
        self.listed || self.missing || self.excused
    }
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Ends {
    /// Confirmed by the sink or its fallback.
    pub(super) confirmed: u32,
    /// Confirmed by a dead-letter sink.
    pub(super) dead: u32,
    /// Refused where nobody wants it then.
    pub(super) refused: u32,
}

impl Ends {
    pub(super) fn kept(&self) -> u32 {
        self.confirmed + self.dead
    }

    pub(super) fn all(&self) -> u32 {
        self.kept() + self.refused
    }
}

/// A batch that its source waits for.
pub(super) struct Sent {
    pub(super) source: usize,
    pub(super) events: Vec<usize>,
    /// Whether its end was told.
    pub(super) told: bool,
    /// Whether the source still listens.
    pub(super) heard: bool,
}

impl Outside {
    pub(super) fn new(dice: &Dice, traced: bool) -> Outside {
        let topology = Arc::new(Topology::new(dice));
        let machine = Machine::at(START);
        let programs = topology.programs();
        for program in programs.iter().flatten() {
            machine.make_directory(program.directory());
        }
        let state = State {
            machine,
            programs,
            dice: dice.other(),
            events: Vec::new(),
            far: topology.sinks.iter().map(|_| Far::new()).collect(),
            again: vec![VecDeque::new(); topology.sources.len()],
            batches: Vec::new(),
            disk: FaultyDisk::default(),
            early_ends: 0,
            rereads: 0,
            is_disk_certain: true,
            is_marked: true,
            is_doubtful: false,
            may_be_gone: false,
            rots: vec![0; topology.sinks.len()],
            rotten: Vec::new(),
            corrupt: vec![0; topology.sinks.len()],
            hits: Hits::default(),
            wrong: Vec::new(),
            alive: false,
            heals_at: Instant::now(),
            began: Instant::now(),
            now: Counts::default(),
            trace: traced.then(Vec::new),
            topology,
        };
        Outside(Arc::new(Mutex::new(state)))
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        // A panic is a fault here like any other.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Who hears of the end of a batch.
    pub(super) fn waiter(&self, batch: usize) -> Arc<dyn Settled> {
        let outside = self.clone();
        Arc::new(Waiter { outside, batch })
    }
}

impl fmt::Debug for Outside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Outside")
    }
}

impl State {
    /// Begins a life of the process, which has faults for so long.
    pub(super) fn begin(&mut self, faults: Option<Duration>, outage: bool) {
        self.alive = true;
        self.began = Instant::now();
        self.heals_at = Instant::now() + faults.unwrap_or_default();
        self.batches.clear();
        self.now = Counts {
            sent: vec![0; self.topology.sources.len()],
            corrupt: vec![0; self.topology.sinks.len()],
            ..Counts::default()
        };
        for far in &mut self.far {
            far.begin(match faults {
                None => Mood::default(),
                Some(_) if outage && self.dice.chance(70) => Mood::outage(),
                Some(_) => Mood::new(&self.dice),
            });
        }
        for program in self.programs.iter_mut().flatten() {
            program.written = None;
        }
        for event in &mut self.events {
            event.sends_now = 0;
            (event.acked_at, event.told_at) = (None, None);
            // It may be read again.
            event.sends += u32::from(self.topology.tails(event.source) && !event.frozen);
            for copy in event.copies.iter_mut().flatten() {
                copy.ends_now = Ends::default();
                // What is to be sent again comes to every sink that there is now.
                copy.missing &= event.acks > 0 || event.frozen || event.out_of_sight;
            }
        }
        self.again_all();
    }

    /// What was sent, is not kept and has a source that remembers it is sent again.
    fn again_all(&mut self) {
        self.again.iter_mut().for_each(VecDeque::clear);
        for (number, event) in self.events.iter().enumerate() {
            if self.topology.waits(event.source) && event.acks == 0 {
                self.again[event.source].push_back(number);
            }
        }
    }

    pub(super) fn is_faulty(&self) -> bool {
        Instant::now() < self.heals_at
    }

    /// One more event of a source.
    pub(super) fn event(&mut self, source: usize) -> usize {
        let number = self.events.len();
        let traits = Traits::new(&self.dice);
        let pad = "x".repeat(self.dice.time(1, 300).as_millis() as usize);
        let text = format!(
            "{{\"k\":{number},\"level\":\"{}\",\"service\":\"{}\",\"n\":{},\"message\":\"{pad}\"}}",
            LEVELS[traits.level], SERVICES[traits.service], traits.n
        );
        let copies = self.topology.copies(source, &traits);
        let copies = copies.into_iter().enumerate().map(|(place, meant)| {
            meant.map(|meant| Copy {
                route: meant.route,
                listed: meant.may_miss,
                missing: self.now.missing.contains(&place),
                excused: false,
                taken: 0,
                untold: 0,
                ends: Ends::default(),
                ends_now: Ends::default(),
            })
        });
        self.events.push(Event {
            source,
            traits,
            text,
            poison: self.dice.chance(POISON_PERCENT),
            toxic: self.dice.chance(TOXIC_PERCENT),
            sends: 0,
            sends_now: 0,
            acks: 0,
            acked_at: None,
            told_at: None,
            frozen: false,
            firm: false,
            out_of_sight: false,
            copies: copies.collect(),
        });
        number
    }

    pub(super) fn hit(&mut self, fault: Fault) {
        self.hits.count(fault);
    }

    /// Notes what must not be.
    pub(super) fn wrong(&mut self, what: String) {
        self.note(|| format!("WRONG: {what}"));
        // The first few say it all.
        if self.wrong.len() < 5 {
            self.wrong.push(what);
        }
    }

    /// Notes what happens, for people.
    pub(super) fn note(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            // Between two lives there is no time.
            let life = self.alive.then(|| self.began.elapsed().as_millis());
            let life = life.map_or(String::new(), |life| life.to_string());
            trace.push(format!("{life:>8} {}", what()));
        }
    }

    /// What was noted.
    pub(super) fn trace(&self) -> &[String] {
        self.trace.as_deref().unwrap_or_default()
    }

    /// A batch has ended.
    fn settled(&mut self, batch: usize, tally: Tally) {
        if !self.alive {
            return;
        }
        self.note(|| format!("batch {batch} ends: {tally:?}"));
        if std::mem::replace(&mut self.batches[batch].told, true) {
            return self.wrong(format!("the end of batch {batch} was told twice"));
        }
        let source = self.batches[batch].source;
        let events = self.batches[batch].events.clone();
        if !tally.is_kept() {
            // A reader that went away does not come back in this life.
            if self.batches[batch].heard && tally.closed == 0 {
                self.again[source].extend(events);
            }
            return;
        }
        for number in events {
            let event = &mut self.events[number];
            event.acks += u32::from(self.batches[batch].heard);
            event.acked_at = Some(Instant::now());
            self.check_kept(batch, number);
        }
    }

    /// Every required copy of an event that is acknowledged must be there now.
    fn check_kept(&mut self, batch: usize, number: usize) {
        let topology = self.topology.clone();
        let event = &self.events[number];
        for (sink, copy) in event.copies.iter().enumerate() {
            let Some(copy) = copy else { continue };
            let counts = topology.sinks[sink].required && !copy.may_miss() && !topology.keeps(sink);
            if counts && copy.ends.kept() == 0 {
                let name = &topology.sinks[sink].name;
                let what = format!(
                    "event {number} is acknowledged with batch {batch}, but {name} does not have it"
                );
                return self.wrong(what);
            }
        }
    }
}

#[derive(Debug)]
struct Waiter {
    outside: Outside,
    batch: usize,
}

impl Settled for Waiter {
    fn settled(&self, tally: Tally) {
        self.outside.lock().settled(self.batch, tally);
    }
}
