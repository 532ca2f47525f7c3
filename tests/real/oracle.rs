//! Events that tell what happened to them: each has its producer, its number and
//! a hash of both and of its message. Who has received some can say which are
//! missing, which came twice, and which nobody sent.

use std::collections::BTreeMap;
use std::fmt::Write;

use serde_json::Value;
use xxhash_rust::xxh3::xxh3_64;

/// The lines of events `numbers` of a producer: JSON objects of about 200 bytes.
/// Every tenth is a probe, every seventh an error.
pub(crate) fn lines(producer: &str, numbers: std::ops::Range<u64>) -> String {
    let mut text = String::new();
    for number in numbers {
        text.push_str(&line(producer, number));
        text.push('\n');
    }
    text
}

/// One of them, without its newline.
pub(crate) fn line(producer: &str, number: u64) -> String {
    let level = if number.is_multiple_of(7) {
        "error"
    } else {
        "info"
    };
    let path = if number.is_multiple_of(10) {
        "/healthz"
    } else {
        "/orders"
    };
    event(producer, number, level, path, &message(producer, number))
}

/// The line of an event with a message of so many bytes.
pub(crate) fn long_line(producer: &str, number: u64, bytes: usize) -> String {
    event(producer, number, "info", "/orders", &"x".repeat(bytes))
}

fn event(producer: &str, number: u64, level: &str, path: &str, message: &str) -> String {
    let hash = hash(producer, number, message);
    format!(
        "{{\"level\":\"{level}\",\"message\":\"{message}\",\"http\":{{\"path\":\"{path}\"}},\"producer\":\"{producer}\",\"seq\":{number},\"hash\":\"{hash:016x}\"}}"
    )
}

fn message(producer: &str, number: u64) -> String {
    let mut message = format!("order {number} of {producer} ");
    // A word of each event's own, so that compression does not make it nothing.
    let _ = write!(message, "{:016x}", xxh3_64(&number.to_le_bytes()));
    message
}

fn hash(producer: &str, number: u64, message: &str) -> u64 {
    xxh3_64(format!("{producer}/{number}/{message}").as_bytes())
}

/// Who an event is: its producer and its number.
pub(crate) type Name = (String, u64);

/// Who a received event is; `Err` if nobody sent it like that.
pub(crate) fn name(event: &Value) -> Result<Name, String> {
    let parts = (
        event["producer"].as_str(),
        event["seq"].as_u64(),
        event["message"].as_str(),
        event["hash"].as_str(),
    );
    let (Some(producer), Some(number), Some(message), Some(stated)) = parts else {
        return Err(format!("nobody sent {event}"));
    };
    if stated != format!("{:016x}", hash(producer, number, message)) {
        return Err(format!("altered: {event}"));
    }
    Ok((producer.to_owned(), number))
}

/// What somebody has received.
#[derive(Clone, Debug, Default)]
pub(crate) struct Received {
    /// How often each came.
    times: BTreeMap<Name, u32>,
    strange: Vec<String>,
}

impl Received {
    /// The events of lines of JSON.
    pub(crate) fn of_lines(text: &str) -> Received {
        let mut received = Received::default();
        for line in text.lines() {
            received.take_line(line);
        }
        received
    }

    /// One more event.
    pub(crate) fn take(&mut self, event: &Value) {
        match name(event) {
            Ok(name) => *self.times.entry(name).or_default() += 1,
            Err(what) => self.strange.push(what),
        }
    }

    /// One more event, as a line of JSON.
    pub(crate) fn take_line(&mut self, line: &str) {
        match serde_json::from_str(line) {
            Ok(event) => self.take(&event),
            Err(e) => self.strange.push(format!("{e}: {line:?}")),
        }
    }

    /// Whether an event came.
    pub(crate) fn has(&self, producer: &str, number: u64) -> bool {
        self.times.contains_key(&(producer.to_owned(), number))
    }

    /// Copies beyond the first of each event.
    pub(crate) fn duplicates(&self) -> u64 {
        self.times.values().map(|&times| u64::from(times) - 1).sum()
    }

    /// What is wrong, if these and no others were to come; nothing if all is well.
    pub(crate) fn faults(&self, wanted: &[Name]) -> Vec<String> {
        let mut faults = self.strange.clone();
        let wanted: std::collections::BTreeSet<&Name> = wanted.iter().collect();
        let missing = wanted
            .iter()
            .filter(|name| !self.times.contains_key(**name));
        faults.extend(missing.map(|name| format!("missing: {name:?}")));
        let foreign = self.times.keys().filter(|name| !wanted.contains(name));
        faults.extend(foreign.map(|name| format!("not to come here: {name:?}")));
        // The first few say it all.
        let more = faults.len().saturating_sub(10);
        faults.truncate(10);
        if more > 0 {
            faults.push(format!("and {more} more"));
        }
        faults
    }

    /// These came, and no others; how often does not matter.
    pub(crate) fn assert_all(&self, what: &str, wanted: &[Name]) {
        assert_eq!(self.faults(wanted), [""; 0], "{what}");
    }

    /// These came, each once, and no others.
    pub(crate) fn assert_once(&self, what: &str, wanted: &[Name]) {
        self.assert_all(what, wanted);
        assert_eq!(self.duplicates(), 0, "{what}: some came twice");
    }
}

/// The names of a producer's events.
pub(crate) fn names(producer: &str, numbers: impl Iterator<Item = u64>) -> Vec<Name> {
    numbers.map(|n| (producer.to_owned(), n)).collect()
}

/// The oracle can fail: it notices what is missing, altered, foreign or double.
#[test]
fn the_oracle_notices_every_kind_of_harm() {
    let wanted = names("p", 0..3);
    let faults = |text: &str| Received::of_lines(text).faults(&wanted);
    let all = lines("p", 0..3);
    assert_eq!(faults(&all), [""; 0]);
    assert_eq!(faults(&lines("p", 0..2)), ["missing: (\"p\", 2)"]);
    assert_eq!(faults(&lines("p", 0..4)), ["not to come here: (\"p\", 3)"]);
    let altered = all.replacen("order 1 of", "order 2 of", 1);
    assert!(faults(&altered)[0].starts_with("altered"));
    assert!(faults(&(all.clone() + "{\"level\":\"info\"}\n"))[0].starts_with("nobody sent"));
    assert!(faults(&all[..all.len() - 5])[0].contains("EOF"));
    let twice = Received::of_lines(&(all.clone() + &all));
    assert_eq!((twice.faults(&wanted).len(), twice.duplicates()), (0, 3));
}
