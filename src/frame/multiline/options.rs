//! What `multiline` says: `auto`, patterns, limits.

use std::borrow::Cow;
use std::time::Duration;

use regex::bytes::{Regex, RegexBuilder};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Deserialize;

use super::traces::Traces;
use super::{Held, Joiner, Verdict};
use crate::component::{ByteSize, Period, regex_fault};

/// Twice the frames that a JVM prints of one stack. A start pattern that never
/// matches is seen after as many lines.
const LINES_MAX: usize = 2000;
/// As long as a line may be.
const BYTES_MAX: usize = 1024 * 1024;
/// Line ends are 32-bit offsets into a chunk that holds an event, a line and a
/// read.
const BYTES_MAX_MAX: u64 = 1 << 30;
/// A program writes a trace in one go: what comes later than this is hardly
/// part of it, and nobody waits long for a stream's last line.
const TIMEOUT: Duration = Duration::from_millis(500);
const TIMEOUT_MAX: Duration = Duration::from_mins(1);
/// A pattern sees so much of a line: what is no start within it is none.
const PATTERN_BYTES_MAX: usize = 1024;
/// The largest compiled pattern.
const PATTERN_SIZE_MAX: usize = 1 << 20;

/// The option `multiline` of a source.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "serde_json::Value")]
pub enum Multiline {
    /// Each line is an event.
    #[default]
    Off,
    /// Each line is an event, but for those that a container runtime has cut.
    Partials,
    /// Stack traces and indented lines are parts of the event before them.
    Auto(Bounds),
    /// What patterns say.
    Patterns(Patterns),
}

/// How large an event of several lines may be, and how long it is waited for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Bounds {
    lines_max: Option<usize>,
    bytes_max: Option<ByteSize>,
    timeout: Option<Period>,
}

/// Patterns of lines. A line goes on from the one before it if it matches
/// `continue` and does not match `start`; one that is not given says nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Patterns {
    /// What the first line of an event matches.
    start: Option<String>,
    /// What every other line matches.
    r#continue: Option<String>,
    lines_max: Option<usize>,
    bytes_max: Option<ByteSize>,
    timeout: Option<Period>,
}

impl TryFrom<serde_json::Value> for Multiline {
    type Error = String;

    fn try_from(value: serde_json::Value) -> Result<Multiline, String> {
        let expected = "multiline must be auto, partials, off, or a map with `start`, `continue`, \
             `lines_max`, `bytes_max` or `timeout`";
        match &value {
            serde_json::Value::String(word) if word == "auto" => {
                Ok(Multiline::Auto(Bounds::default()))
            }
            serde_json::Value::String(word) if word == "off" => Ok(Multiline::Off),
            serde_json::Value::String(word) if word == "partials" => Ok(Multiline::Partials),
            serde_json::Value::Object(_) => {
                let patterns: Patterns = serde_json::from_value(value)
                    .map_err(|error| format!("{expected}: {error}"))?;
                Ok(
                    if patterns.start.is_none() && patterns.r#continue.is_none() {
                        Multiline::Auto(patterns.bounds())
                    } else {
                        Multiline::Patterns(patterns)
                    },
                )
            }
            other => Err(format!("{expected}, not {other}")),
        }
    }
}

impl JsonSchema for Multiline {
    fn schema_name() -> Cow<'static, str> {
        "Multiline".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let patterns = generator.subschema_for::<Patterns>();
        schemars::json_schema!({ "anyOf": [{ "enum": ["auto", "partials", "off"] }, patterns] })
    }
}

/// What is wrong with an option, and which.
pub(in crate::frame) type Fault = (&'static str, String);

impl Multiline {
    /// What joins lines so; nothing does where each line is an event.
    pub(in crate::frame) fn joiner(&self) -> Result<Option<Box<Joiner>>, Fault> {
        let (rule, bounds) = match self {
            Multiline::Off => return Ok(None),
            Multiline::Partials => (Rule::Lines, Bounds::default()),
            Multiline::Auto(bounds) => (Rule::Traces(Traces::default()), bounds.clone()),
            Multiline::Patterns(patterns) => (patterns.rule()?, patterns.bounds()),
        };
        Ok(Some(Box::new(Joiner {
            rule,
            limits: bounds.limits()?,
            held: Held::default(),
            origin: None,
            ends_before: 0,
            truncated_before: 0,
        })))
    }
}

impl Patterns {
    fn bounds(&self) -> Bounds {
        Bounds {
            lines_max: self.lines_max,
            bytes_max: self.bytes_max,
            timeout: self.timeout,
        }
    }

    fn rule(&self) -> Result<Rule, Fault> {
        let compile = |key, pattern: &Option<String>| {
            let Some(pattern) = pattern else {
                return Ok(None);
            };
            let mut builder = RegexBuilder::new(pattern);
            let regex = builder.size_limit(PATTERN_SIZE_MAX).build();
            regex.map(Some).map_err(|error| (key, regex_fault(&error)))
        };
        Ok(Rule::Patterns {
            start: compile("multiline.start", &self.start)?,
            go_on: compile("multiline.continue", &self.r#continue)?,
        })
    }
}

/// The bounds in force.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) lines_max: usize,
    pub(super) bytes_max: usize,
    pub(super) timeout: Duration,
}

impl Bounds {
    fn limits(&self) -> Result<Limits, Fault> {
        let lines_max = self.lines_max.unwrap_or(LINES_MAX);
        if lines_max == 0 {
            return Err(("multiline.lines_max", "must be at least 1".to_owned()));
        }
        let bytes_max = self.bytes_max.map_or(BYTES_MAX as u64, |size| size.0);
        if !(1..=BYTES_MAX_MAX).contains(&bytes_max) {
            let message = format!("{bytes_max} bytes is not between 1 byte and 1 GiB");
            return Err(("multiline.bytes_max", message));
        }
        let timeout = self.timeout.map_or(TIMEOUT, |period| period.0);
        if timeout.is_zero() || timeout > TIMEOUT_MAX {
            let message = format!("must be longer than nothing and at most {TIMEOUT_MAX:?}");
            return Err(("multiline.timeout", message));
        }
        Ok(Limits {
            lines_max,
            bytes_max: bytes_max as usize,
            timeout,
        })
    }
}

/// How lines are judged.
#[derive(Clone, Debug)]
pub(super) enum Rule {
    Lines,
    Traces(Traces),
    Patterns {
        start: Option<Regex>,
        go_on: Option<Regex>,
    },
}

impl Rule {
    /// Nothing is held any more.
    pub(super) fn restart(&mut self) {
        if let Rule::Traces(traces) = self {
            *traces = Traces::default();
        }
    }

    #[inline]
    pub(super) fn verdict(&mut self, event: &[u8], line: &[u8]) -> Verdict {
        match self {
            Rule::Lines => Verdict::Alone,
            Rule::Traces(traces) => traces.verdict(event, line),
            Rule::Patterns { start, go_on } => {
                let head = super::line::content(&line[..line.len().min(PATTERN_BYTES_MAX)]);
                let starts = start.as_ref().is_some_and(|start| start.is_match(head));
                let joins = !event.is_empty()
                    && !starts
                    && go_on.as_ref().is_none_or(|go_on| go_on.is_match(head));
                if joins {
                    Verdict::Joins
                } else {
                    Verdict::Starts
                }
            }
        }
    }

    /// Whether `line` tells that the undecided line belongs to the event.
    pub(super) fn confirms(&mut self, undecided: &[u8], line: &[u8]) -> bool {
        match self {
            Rule::Traces(traces) => traces.confirms(undecided, line),
            Rule::Lines | Rule::Patterns { .. } => false,
        }
    }

    /// The undecided line did not belong to the event before: it starts one.
    pub(super) fn started(&mut self, line: &[u8]) {
        if let Rule::Traces(traces) = self {
            traces.started(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn joiner(value: serde_json::Value) -> Result<Option<Box<Joiner>>, String> {
        let multiline: Multiline =
            serde_json::from_value(value).map_err(|error| error.to_string())?;
        multiline
            .joiner()
            .map_err(|(key, message)| format!("{key}: {message}"))
    }

    #[test]
    fn words_and_maps_are_read_and_mistakes_named() {
        assert!(joiner(json!("off")).is_ok_and(|joiner| joiner.is_none()));
        assert!(joiner(json!("auto")).is_ok_and(|joiner| joiner.is_some()));
        let timed = joiner(json!({ "timeout": "2s" }))
            .ok()
            .flatten()
            .expect("auto");
        assert_eq!(timed.timeout(), Duration::from_secs(2));
        assert!(matches!(timed.rule, Rule::Traces(_)));
        for (value, expected) in [
            (json!("automatic"), "must be auto, partials, off"),
            (json!({ "begin": "^x" }), "unknown field `begin`"),
            (json!({ "start": "(" }), "multiline.start: "),
            (json!({ "continue": "[" }), "multiline.continue: "),
            (json!({ "lines_max": 0 }), "multiline.lines_max: "),
            (json!({ "bytes_max": "2GiB" }), "multiline.bytes_max: "),
            (json!({ "timeout": 0 }), "multiline.timeout: "),
            (json!({ "timeout": "2h" }), "multiline.timeout: "),
        ] {
            let error = joiner(value.clone()).expect_err("a mistake");
            assert!(error.contains(expected), "{value}: {error}");
        }
    }
}
