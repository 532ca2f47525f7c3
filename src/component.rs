//! What every component is: a name, a scheme and options, decoded into a typed
//! config of its own.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};

use crate::event::convert::{duration_unit_secs, size_unit_bytes};

/// A source or sink as configured, with variables expanded and the options
/// that all components share (`parse`, `encode`, `buffer` …) taken out.
#[derive(Clone)]
pub struct Definition {
    /// The component's name in the config.
    pub name: Arc<str>,
    /// The URL's scheme, lower case, without `+tls`.
    pub scheme: String,
    /// Whether to encrypt: `+tls`, or the scheme means it.
    pub tls: bool,
    /// What follows `scheme://` or `scheme:` up to the query: an address, a
    /// path, a command. Percent-decoded where it is a path.
    pub target: String,
    /// The query and the map form's keys, merged; nested keys are objects.
    pub options: serde_json::Map<String, serde_json::Value>,
}

/// Without values: a target or an option may hold a secret.
impl fmt::Debug for Definition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Definition")
            .field("name", &self.name)
            .field("scheme", &self.scheme)
            .field("options", &self.options.keys().collect::<Vec<_>>())
            .finish_non_exhaustive()
    }
}

impl Definition {
    /// Decodes the options into a component's own config. Unknown keys must be
    /// errors there (`deny_unknown_fields`).
    pub fn decode<C: DeserializeOwned>(&self) -> Result<C, BuildError> {
        serde_json::from_value(self.options.clone().into())
            .map_err(|error| self.error(error.to_string()))
    }

    /// An error of this component's config.
    #[must_use]
    pub fn error(&self, message: impl Into<String>) -> BuildError {
        BuildError {
            component: self.name.clone(),
            key: None,
            message: message.into(),
            help: None,
        }
    }
}

/// Why a component could not be built.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError {
    /// The component's name.
    pub component: Arc<str>,
    /// The option at fault, dotted, if it is one.
    pub key: Option<String>,
    /// What is wrong, lower case.
    pub message: String,
    /// What to do about it.
    pub help: Option<String>,
}

impl BuildError {
    /// Names the option at fault.
    #[must_use]
    pub fn at(mut self, key: &str) -> BuildError {
        self.key = Some(key.to_owned());
        self
    }

    /// Says what to do.
    #[must_use]
    pub fn help(mut self, help: impl Into<String>) -> BuildError {
        self.help = Some(help.into());
        self
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.component)?;
        if let Some(key) = &self.key {
            write!(f, ".{key}")?;
        }
        write!(f, ": {}", self.message)?;
        if let Some(help) = &self.help {
            write!(f, " ({help})")?;
        }
        Ok(())
    }
}

impl std::error::Error for BuildError {}

/// A size in a config: `4096`, `64KiB`, `2GB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ByteSize(pub u64);

impl ByteSize {
    /// Reads a size.
    pub fn parse(text: &str) -> Result<ByteSize, String> {
        scaled(text, size_unit_bytes)
            .map(|bytes| ByteSize(bytes as u64))
            .ok_or_else(|| {
                format!("{text:?} is not a size: write a number with B, KiB, MiB or GiB")
            })
    }
}

/// A duration in a config: `500ms`, `8s`, `1h`; a bare number is seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Period(pub Duration);

impl Period {
    /// Reads a duration.
    pub fn parse(text: &str) -> Result<Period, String> {
        scaled(text, duration_unit_secs)
            .and_then(|secs| Duration::try_from_secs_f64(secs).ok())
            .map(Period)
            .ok_or_else(|| format!("{text:?} is not a duration: write a number with ms, s, m or h"))
    }
}

fn scaled(text: &str, unit: fn(&str) -> Option<f64>) -> Option<f64> {
    let text = text.trim();
    let split = text
        .find(|c: char| !(c.is_ascii_digit() || c == '.'))
        .unwrap_or(text.len());
    let number: f64 = text[..split].parse().ok()?;
    Some(number * unit(text[split..].trim_start())?)
}

/// A number or a string, as both YAML and URLs write sizes and durations.
fn scalar<'de, D: Deserializer<'de>>(deserializer: D) -> Result<String, D::Error> {
    match serde_json::Value::deserialize(deserializer)? {
        serde_json::Value::String(text) => Ok(text),
        serde_json::Value::Number(number) => Ok(number.to_string()),
        other => Err(D::Error::custom(format!(
            "expected a number or text, found {other}"
        ))),
    }
}

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        ByteSize::parse(&scalar(deserializer)?).map_err(D::Error::custom)
    }
}

impl<'de> Deserialize<'de> for Period {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Period::parse(&scalar(deserializer)?).map_err(D::Error::custom)
    }
}

macro_rules! schema_as_text {
    ($type:ty, $name:literal, $pattern:literal) => {
        impl schemars::JsonSchema for $type {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                $name.into()
            }
            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({ "type": ["string", "number"], "pattern": $pattern })
            }
        }
    };
}
schema_as_text!(ByteSize, "ByteSize", r"^[0-9.]+ *([kKMGT]i?B|B)?$");
schema_as_text!(Period, "Period", r"^[0-9.]+ *(ns|us|ms|s|m|min|h|d)?$");

/// What is wrong with a regex, in one line. Most errors are drawings of several
/// lines, of which the last is the reason.
#[must_use]
pub fn regex_fault(error: &regex::Error) -> String {
    let drawn = error.to_string();
    let reason = drawn.lines().last().unwrap_or_default();
    reason.strip_prefix("error: ").unwrap_or(reason).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_of_a_regex_have_one_line() {
        let fault = |pattern: &str| regex_fault(&regex::Error::Syntax(pattern.to_owned()));
        assert_eq!(
            fault("drawn:\n  a)\n   ^\nerror: unopened group"),
            "unopened group"
        );
        for pattern in ["a)", "(?<", "[b-a]", "x{2,1}", "\0?P<level>[A-Z]+)"] {
            let error = regex::Regex::new(pattern).expect_err(pattern);
            let fault = regex_fault(&error);
            assert!(!fault.is_empty() && !fault.contains(['\n', '^']), "{fault}");
        }
        let large = regex::RegexBuilder::new(r"\w{900}")
            .size_limit(1000)
            .build();
        assert!(regex_fault(&large.expect_err("it is large")).contains("size limit"));
    }

    #[test]
    fn sizes_and_durations_are_read_as_people_write_them() {
        assert_eq!(ByteSize::parse("64MiB"), Ok(ByteSize(64 << 20)));
        assert_eq!(ByteSize::parse("4096"), Ok(ByteSize(4096)));
        assert_eq!(
            Period::parse("250 ms"),
            Ok(Period(Duration::from_millis(250)))
        );
        assert!(ByteSize::parse("-1").is_err());
        assert!(ByteSize::parse("1 parsec").is_err());
        assert!(Period::parse("99999999999999999999999999").is_err());
    }
}
