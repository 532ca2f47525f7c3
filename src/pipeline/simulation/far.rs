//! Far ends: they know what they have, and answer as their mood is.

use std::collections::HashSet;
use std::panic::resume_unwind;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

use super::faults::{Fault, Mood};
use super::items::Item;
use super::outside::{Outside, State};
use crate::event::EventId;
use crate::sink::{Concurrency, Load, Partial, Sink, SinkError, SinkFuture, Written};

/// The far end of one sink.
pub(super) struct Far {
    mood: Mood,
    pub(super) closed: bool,
    down_until: Option<Instant>,
    away: watch::Sender<Option<String>>,
    in_flight: usize,
    /// What it has, where it knows ids.
    pub(super) ids: HashSet<EventId>,
    /// By source: the last event that came for the first time.
    pub(super) last: Vec<Option<usize>>,
    /// Told in this life: copies confirmed, and those that it had already.
    pub(super) reported: u64,
    pub(super) present: u64,
}

impl Far {
    pub(super) fn new() -> Far {
        Far {
            mood: Mood::default(),
            closed: false,
            down_until: None,
            away: watch::Sender::new(None),
            in_flight: 0,
            ids: HashSet::new(),
            last: Vec::new(),
            reported: 0,
            present: 0,
        }
    }

    /// A new process comes.
    pub(super) fn begin(&mut self, mood: Mood) {
        self.mood = mood;
        self.closed = false;
        self.last.clear();
        self.down_until = None;
        self.away.send_replace(None);
        (self.in_flight, self.reported, self.present) = (0, 0, 0);
    }

    pub(super) fn has(&self, id: EventId) -> bool {
        self.ids.contains(&id)
    }
}

/// What becomes of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Act {
    Take,
    /// Takes a part of the load: so many events, and the rest is to come again.
    TakeFirst(usize),
    Retry(Option<Duration>),
    /// Refuses all of it.
    Reject,
    /// Refuses the poisoned ones.
    RejectItems,
    Denied,
    LoseReply,
    Panic,
    PanicAfter,
    Closed,
}

/// When it answers, and what.
struct Answer {
    act: Act,
    /// Whether it takes the load before the time is over.
    early: bool,
    at: Option<Instant>,
}

impl State {
    /// What the far end of a sink does with these.
    fn answer(&mut self, place: usize, items: &[Item]) -> Answer {
        let now = Instant::now();
        let mut answer = Answer {
            act: Act::Take,
            early: self.dice.chance(30),
            at: self.dice.chance(60).then(|| now + self.dice.time(1, 100)),
        };
        if self.far[place].closed {
            answer.act = Act::Closed;
        } else if !self.is_faulty() {
            answer.act = self.refusal(place, items);
        } else if self.far[place].down_until.is_some_and(|until| now < until) {
            answer.act = Act::Retry(None);
        } else if items.iter().any(|item| self.is_toxic(item)) {
            self.hit(Fault::Toxic);
            answer.act = Act::Retry(None);
        } else if let Some(fault) = self.far[place].mood.strike(&self.dice) {
            self.strike(place, items, fault, &mut answer);
        } else {
            answer.act = self.refusal(place, items);
        }
        answer
    }

    fn is_toxic(&self, item: &Item) -> bool {
        !item.dead && item.numbers.iter().any(|&at| self.events[at].toxic)
    }

    fn is_poison(&self, item: &Item) -> bool {
        !item.dead && item.numbers.iter().any(|&at| self.events[at].poison)
    }

    /// Takes it, but for what is wrong with the events themselves.
    fn refusal(&mut self, place: usize, items: &[Item]) -> Act {
        let spec = &self.topology.sinks[place];
        // Where nobody takes what is refused it is held, until people mend it.
        let stands = self.is_faulty() || spec.dead_letter.is_some() || !spec.required;
        let by_item = spec.by_item;
        if !spec.strict || !stands || !items.iter().any(|item| self.is_poison(item)) {
            return Act::Take;
        }
        self.hit(if by_item {
            Fault::RejectItems
        } else {
            Fault::Reject
        });
        if by_item {
            Act::RejectItems
        } else {
            Act::Reject
        }
    }

    fn strike(&mut self, place: usize, items: &[Item], fault: Fault, answer: &mut Answer) {
        let now = Instant::now();
        let one = self.topology.sinks[place].keeps_order();
        let (dice, heals_at) = (self.dice.clone(), self.heals_at);
        answer.act = match fault {
            Fault::RetryAfter => Act::Retry(Some(dice.time(500, 20_000))),
            Fault::Partial if items.len() > 1 => {
                Act::TakeFirst(dice.below(items.len() as u64) as usize)
            }
            Fault::Denied => Act::Denied,
            Fault::Hang => {
                answer.at = Some(heals_at + dice.time(0, 1000));
                dice.pick(&[Act::Take, Act::Retry(None)])
            }
            Fault::Slow => {
                answer.at = Some(now + dice.time(1000, 30_000));
                Act::Take
            }
            Fault::PanicBefore => Act::Panic,
            Fault::PanicAfter => Act::PanicAfter,
            Fault::ReplyLost => Act::LoseReply,
            Fault::Down => {
                self.far[place].down_until = Some(now + dice.time(100, 60_000));
                Act::Retry(None)
            }
            Fault::Away if !one => {
                let until = (now + dice.time(100, 60_000)).min(heals_at);
                answer.at = Some(until);
                answer.early = false;
                let away = Some("the far end is away".to_owned());
                self.far[place].away.send_replace(away);
                Act::Take
            }
            Fault::Closed if one && dice.chance(15) => {
                self.far[place].closed = true;
                self.now.closed = true;
                Act::Closed
            }
            _ => {
                self.hit(Fault::Retry);
                answer.act = Act::Retry(None);
                return;
            }
        };
        self.hit(fault);
    }
}

/// A sink with a far end of this simulation.
pub(super) struct Fake {
    pub(super) outside: Outside,
    pub(super) place: usize,
    /// When the far end wants to be asked again about which events.
    not_before: Option<(Instant, Vec<usize>)>,
}

impl Fake {
    pub(super) fn new(outside: &Outside, place: usize) -> Fake {
        Fake {
            outside: outside.clone(),
            place,
            not_before: None,
        }
    }

    async fn attempt(&mut self, load: &Load) -> Result<Written, SinkError> {
        let place = self.place;
        let (items, answer) = {
            let mut state = self.outside.lock();
            let items = state.items(place, load);
            let answer = state.answer(place, &items);
            let numbers: Vec<_> = items.iter().flat_map(|item| item.numbers.clone()).collect();
            state.note(|| format!("sink {place} gets {numbers:?}: {:?}", answer.act));
            if let Some((until, same)) = self.not_before.take()
                && same == numbers
                && Instant::now() < until
            {
                state.wrong(format!("sink {place} was to be left alone"));
            }
            if let Act::Retry(Some(after)) = answer.act {
                self.not_before = Some((answer.at.unwrap_or_else(Instant::now) + after, numbers));
            }
            (items, answer)
        };
        let _busy = Busy::enter(&self.outside, place);
        let takes = match answer.act {
            Act::Take | Act::LoseReply | Act::PanicAfter => items.len(),
            Act::TakeFirst(count) => count,
            _ => 0,
        };
        if answer.early {
            self.outside.lock().take(place, &items[..takes]);
        }
        if let Some(at) = answer.at {
            sleep_until(at).await;
        }
        if !answer.early {
            self.outside.lock().take(place, &items[..takes]);
        }
        self.reply(&items, answer.act)
    }

    fn reply(&self, items: &[Item], act: Act) -> Result<Written, SinkError> {
        let mut state = self.outside.lock();
        let place = self.place;
        state.far[place]
            .away
            .send_if_modified(|away| away.take().is_some());
        let message = "a fault of the simulation".to_owned();
        let (part, again) = match act {
            Act::TakeFirst(count) => items.split_at(count),
            _ => (items, &items[..0]),
        };
        match act {
            Act::Take => Ok(state.confirm(place, items)),
            Act::TakeFirst(_) => {
                let written = state.confirm(place, part);
                let all = part.len() as u32..items.len() as u32;
                debug_assert_eq!(all.len(), again.len());
                Err(SinkError::Partial(Box::new(Partial {
                    written,
                    retry: all.collect(),
                    message,
                    ..Partial::default()
                })))
            }
            Act::Retry(after) => Err(SinkError::Retry { message, after }),
            Act::LoseReply => Err(SinkError::Retry {
                message,
                after: None,
            }),
            Act::Reject => {
                if items.len() == 1 {
                    state.refuse(place, items);
                }
                Err(SinkError::Reject { message })
            }
            Act::RejectItems => Err(state.reject_items(place, items, &message)),
            Act::Denied => Err(SinkError::Denied { message }),
            Act::Closed => Err(SinkError::Closed),
            Act::Panic | Act::PanicAfter => {
                drop(state);
                // Nothing is printed: it is meant.
                resume_unwind(Box::new("a fault of the simulation"))
            }
        }
    }
}

impl State {
    /// Tells the pipeline of what was taken.
    fn confirm(&mut self, place: usize, items: &[Item]) -> Written {
        let had = items.iter().filter(|item| item.had).count() as u64;
        self.tell(place, items, had)
    }

    /// Takes the good ones and refuses the others.
    fn reject_items(&mut self, place: usize, items: &[Item], message: &str) -> SinkError {
        let (bad, good): (Vec<_>, Vec<_>) =
            (0..items.len()).partition(|&at| self.is_poison(&items[at]));
        let pick = |places: &[usize]| {
            places
                .iter()
                .map(|&at| items[at].clone())
                .collect::<Vec<_>>()
        };
        let (refused, taken) = (pick(&bad), pick(&good));
        self.take(place, &taken);
        let written = self.confirm(place, &taken);
        self.refuse(place, &refused);
        let rejected = bad.iter().map(|&at| (at as u32, message.to_owned()));
        SinkError::Partial(Box::new(Partial {
            written,
            rejected: rejected.collect(),
            ..Partial::default()
        }))
    }
}

impl Sink for Fake {
    fn write<'a>(&'a mut self, load: &'a Load) -> SinkFuture<'a, Written> {
        Box::pin(self.attempt(load))
    }

    fn concurrency(&self) -> Concurrency {
        self.outside.lock().topology.sinks[self.place].concurrency
    }

    fn another(&self) -> Option<Box<dyn Sink>> {
        Some(Box::new(Fake::new(&self.outside, self.place)))
    }

    fn away(&self) -> Option<watch::Receiver<Option<String>>> {
        Some(self.outside.lock().far[self.place].away.subscribe())
    }

    fn close(&mut self) -> SinkFuture<'_, ()> {
        let fails = {
            let mut state = self.outside.lock();
            let fails = state.is_faulty() && state.dice.chance(20);
            if fails {
                state.hit(Fault::CloseFails);
            }
            fails
        };
        Box::pin(async move {
            if !fails {
                return Ok(());
            }
            sleep(Duration::from_millis(10)).await;
            Err(SinkError::Retry {
                message: "a fault of the simulation".to_owned(),
                after: None,
            })
        })
    }

    fn check(&mut self) -> SinkFuture<'_, ()> {
        let hangs = self.outside.lock().dice.chance(10);
        Box::pin(async move {
            if hangs {
                std::future::pending::<()>().await;
            }
            Ok(())
        })
    }
}

/// An attempt under way: no more of them than the sink takes at once.
struct Busy {
    outside: Outside,
    place: usize,
}

impl Busy {
    fn enter(outside: &Outside, place: usize) -> Busy {
        let mut state = outside.lock();
        state.far[place].in_flight += 1;
        let max = match state.topology.sinks[place].concurrency {
            Concurrency::One => 1,
            Concurrency::Fixed(max) | Concurrency::Adaptive(max) => max,
        };
        let now = state.far[place].in_flight;
        if now > max {
            state.wrong(format!("sink {place} gets {now} loads at once, not {max}"));
        }
        drop(state);
        Busy {
            outside: outside.clone(),
            place,
        }
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.outside.lock();
        let far = &mut state.far[self.place];
        far.in_flight = far.in_flight.saturating_sub(1);
    }
}

/// The fake sinks of a plan.
pub(super) fn fakes(outside: &Outside) -> Vec<Box<dyn Sink>> {
    let sinks = outside.lock().topology.sinks.len();
    let fake = |place| Box::new(Fake::new(outside, place)) as Box<dyn Sink>;
    (0..sinks).map(fake).collect()
}
