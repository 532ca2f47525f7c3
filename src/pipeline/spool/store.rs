//! New shares onto the disk, and what to do when that does not work.

use super::{Fsync, Phase, Spool, turn_away};
use crate::buffer::disk::{Entry, LogError, Read, Record};
use crate::event::{Outcome, Share};
use crate::telemetry::{Demand, WhenFull};

/// Shares that one sync is for at most: their sources wait for it.
const GROUP_MAX: usize = 256;
/// Of a best-effort sink, how many of the oldest shares make room for one: if
/// these do not, the disk is not full for want of them.
const EVICT_MAX: usize = 1024;

impl Spool {
    /// Stores a share and what else waits, with one sync.
    pub(super) fn take(&mut self, share: Share, demand: Demand) {
        let mut next = Some((share, demand));
        while let Some((share, demand)) = next {
            self.append(share, demand);
            next = if self.pending.is_some() || self.group.len() >= GROUP_MAX {
                None
            } else {
                self.inbox.try_pop()
            };
        }
        self.commit();
        self.give_up_late();
        self.touch();
        self.show();
    }

    /// Tries again to append what there was no room for.
    pub(super) fn store_pending(&mut self) {
        if let Some((share, demand)) = self.pending.take() {
            self.append(share, demand);
        }
    }

    fn append(&mut self, share: Share, demand: Demand) {
        if self.phase == Phase::Ending {
            // Its sink is in memory, and time is up.
            turn_away(&self.ledger, self.sink, share, demand);
            return;
        }
        let error = match self.try_append(&share) {
            Ok(entry) => {
                self.group.push((share, demand, entry));
                return;
            }
            Err(error) => error,
        };
        self.say(&error.to_string());
        if self.is_required() {
            match error {
                // Through memory only: its source hears when it is delivered.
                LogError::TooLarge { .. } => self.bypass(share, demand),
                _ => self.pending = Some((share, demand)),
            }
        } else if error.is_space()
            && let Some(entry) = self.make_room(&share)
        {
            self.group.push((share, demand, entry));
        } else {
            self.ledger.evicted(self.sink, demand);
            share.ack.settle(Outcome::Delivered);
        }
    }

    fn try_append(&mut self, share: &Share) -> Result<Entry, LogError> {
        let source = share.batch.stream.source;
        if source >= self.parsers.names.len() {
            // Of a source that came with an order which was not heeded yet.
            self.parsers = self.ordered.borrow().parsers.clone();
        }
        let source = self.parsers.names.get(source);
        self.log.append(&Record {
            batch: &share.batch,
            rows: &share.rows,
            source: source.map_or("", String::as_str),
        })
    }

    /// For a best-effort sink that would rather lose the oldest: makes room and
    /// appends, if that works. It does not while the sink has older shares in its
    /// hands: the disk comes free from its oldest record on.
    fn make_room(&mut self, share: &Share) -> Option<Entry> {
        if self.when_full != WhenFull::DropOldest {
            return None;
        }
        // What was appended is older than what is to come.
        self.commit();
        for _ in 0..EVICT_MAX {
            if self.ledger.is_sending(self.sink) || !self.evict() {
                return None;
            }
            match self.try_append(share) {
                Ok(entry) => return Some(entry),
                Err(error) if error.is_space() => {}
                Err(_) => return None,
            }
        }
        None
    }

    /// Lets go of the oldest share that the driver does not have; whether there
    /// was one.
    fn evict(&mut self) -> bool {
        if let Some((share, demand)) = self.outbox.try_pop() {
            self.ledger.drop_stored(self.sink, demand.events, demand);
            share.ack.settle(Outcome::Delivered);
            return true;
        }
        while self.is_behind() {
            self.seek();
            match self.reader.read() {
                Ok(Read::Record(stored)) if stored.entry.seq <= self.committed => {
                    let entry = stored.entry;
                    self.next = entry.seq + 1;
                    self.settlements.settle(entry);
                    let events = u64::from(entry.events);
                    let nothing = Demand::default();
                    self.ledger.drop_stored(self.sink, events, nothing);
                    return true;
                }
                Ok(Read::Lost(lost)) => self.ledger.lose(self.sink, lost.events),
                Ok(_) => self.caught_up(),
                Err(error) => {
                    self.say(&error.to_string());
                    return false;
                }
            }
        }
        false
    }

    /// Makes what was appended durable, settles it for its sources and gives it
    /// to the driver. What does not work is tried again later.
    pub(super) fn commit(&mut self) {
        if self.group.is_empty() {
            return;
        }
        if self.disk.fsync == Fsync::Ack
            && let Err(error) = self.log.sync()
        {
            self.say(&error.to_string());
            return;
        }
        self.said = None;
        let mut group = std::mem::take(&mut self.group);
        for (share, demand, entry) in group.drain(..) {
            self.stored(share, demand, entry);
        }
        // Its memory serves again.
        self.group = group;
    }
}
