//! What a far end gets, recognised: which event it is, and whether it looks as
//! it is to look.

use serde_json::Value;

use super::model::LEVELS;
use super::outside::{Copy, State};
use crate::event::EventId;
use crate::sink::Load;

/// One event of a load.
#[derive(Clone, Debug)]
pub(super) struct Item {
    /// Which it is; more than one were merged.
    pub(super) numbers: Vec<usize>,
    /// The sink that the copy was for at first.
    pub(super) owner: usize,
    /// Whether it is a dead letter.
    pub(super) dead: bool,
    /// Its id, for a far end that knows ids.
    pub(super) id: Option<EventId>,
    /// Whether the far end had it before this load.
    pub(super) had: bool,
}

impl Item {
    /// The first of those that it is.
    pub(super) fn number(&self) -> usize {
        self.numbers[0]
    }
}

impl State {
    /// The events of a load; what is strange about it is noted.
    pub(super) fn items(&mut self, place: usize, load: &Load) -> Vec<Item> {
        let mut items = Vec::with_capacity(load.events);
        let knows_ids = self.topology.sinks[place].knows_ids;
        let mut seen = 0;
        load.for_each(|_, batch, row| {
            seen += 1;
            match self.item(place, batch.line(row)) {
                Ok(item) => {
                    let id = knows_ids.then(|| batch.id(row));
                    items.push(Item {
                        id,
                        had: id.is_some_and(|id| self.far[place].has(id)),
                        ..item
                    });
                }
                Err(what) => {
                    let line = String::from_utf8_lossy(batch.line(row)).into_owned();
                    self.wrong(format!("sink {place}: {what}: {line}"));
                }
            }
        });
        if seen != load.events {
            let events = load.events;
            self.wrong(format!(
                "sink {place}: a load of {events} events has {seen}"
            ));
        }
        items
    }

    fn item(&self, place: usize, line: &[u8]) -> Result<Item, &'static str> {
        let text = std::str::from_utf8(line).map_err(|_| "not UTF-8")?;
        let dead = !text.starts_with("{\"k\":");
        let (owner, event) = if dead {
            let mut record: Value = serde_json::from_str(text).map_err(|_| "no JSON")?;
            let from = self.refuser(place, &record)?;
            let event = match record["event"].take() {
                Value::String(text) => text,
                event => event.to_string(),
            };
            (self.topology.owners[from], event)
        } else {
            (self.topology.owners[place], text.to_owned())
        };
        let digits = event.strip_prefix("{\"k\":").ok_or("no event of ours")?;
        let numbers = if digits.starts_with('[') {
            self.merged(owner, &event)?
        } else {
            let digits = digits.split(',').next().unwrap_or_default();
            vec![digits.parse().map_err(|_| "an event without a number")?]
        };
        if digits.starts_with('[') {
            for &number in &numbers {
                self.copy_of(number, owner)?;
            }
        } else {
            self.check(numbers[0], owner, &event)?;
        }
        Ok(Item {
            numbers,
            owner,
            dead,
            id: None,
            had: false,
        })
    }

    /// The sink that refused what a record holds.
    fn refuser(&self, place: usize, record: &Value) -> Result<usize, &'static str> {
        let name = record["sink"].as_str().ok_or("no dead letter")?;
        let mut sinks = self.topology.sinks.iter();
        let from = sinks.position(|sink| sink.name == name);
        let from = from.ok_or("a dead letter of nobody")?;
        let whole = record["attempts"].as_u64() > Some(0) && record["reason"].is_string();
        if self.topology.sinks[from].dead_letter != Some(place) {
            return Err("a dead letter that is not for this sink");
        }
        if whole {
            Ok(from)
        } else {
            Err("a dead letter that lacks something")
        }
    }

    /// The copy of an event for a sink, which somebody has sent.
    fn copy_of(&self, number: usize, owner: usize) -> Result<&Copy, &'static str> {
        let event = self.events.get(number).ok_or("nobody has sent this")?;
        if event.sends == 0 {
            return Err("nobody has sent this yet");
        }
        let copy = event.copies.get(owner).and_then(Option::as_ref);
        copy.ok_or("not for this sink")
    }

    /// The events that were merged into one, which looks as the first of them did
    /// but for its level, which is the worst.
    fn merged(&self, owner: usize, text: &str) -> Result<Vec<usize>, &'static str> {
        let merged: Value = serde_json::from_str(text).map_err(|_| "no JSON")?;
        let numbers = merged["k"].as_array().ok_or("no numbers")?.iter();
        let numbers = numbers.map(|k| k.as_u64().map(|k| k as usize));
        let numbers: Option<Vec<usize>> = numbers.collect();
        let numbers = numbers.filter(|n| !n.is_empty()).ok_or("no numbers")?;
        if !self.topology.sinks[owner].merges() {
            return Err("merged for a sink that does not");
        }
        let known = numbers.iter().map(|&number| self.events.get(number));
        let known: Option<Vec<_>> = known.collect();
        let known = known.ok_or("nobody has sent this")?;
        let worst = known.iter().map(|event| event.traits.level).max();
        let first: Value = serde_json::from_str(&known[0].text).map_err(|_| "no JSON")?;
        let same = |key: &str| merged[key] == first[key];
        let alike = known.iter().all(|event| {
            let first = &known[0];
            (event.source, event.traits.service) == (first.source, first.traits.service)
        });
        let level = worst.map(|level| LEVELS[level]);
        if same("service")
            && same("n")
            && same("message")
            && alike
            && merged["level"].as_str() == level
        {
            Ok(numbers)
        } else {
            Err("altered by merging")
        }
    }

    /// Whether this event is for this sink, and looks so.
    fn check(&self, number: usize, owner: usize, text: &str) -> Result<(), &'static str> {
        let copy = self.copy_of(number, owner)?;
        let event = &self.events[number];
        let from = (event.source, &event.traits);
        let same = match self.topology.looks(from, &event.text, owner, copy.route) {
            None => text == event.text,
            Some(looks) => serde_json::from_str(text).is_ok_and(|value: Value| value == looks),
        };
        if same { Ok(()) } else { Err("altered") }
    }
}
