//! What annotations of a pod say of how its lines are read.
//!
//! | annotation | says |
//! |---|---|
//! | `tflog.dev/parse` | the format of what is written, as `parse:` takes it |
//! | `tflog.dev/multiline` | which lines are one event, as `multiline:` takes it; a map as JSON |
//! | `tflog.dev/exclude` | `true`: nothing of it is read |
//!
//! `tflog.dev/parse.CONTAINER` is for one container, and goes before. What users
//! of other agents have written counts too, after these: `fluentbit.io/parser`
//! and `fluentbit.io/exclude` (one container: `-CONTAINER`), with Fluent Bit's
//! names of formats, and the label `vector.dev/exclude`. What Fluent Bit is told of
//! stdout or stderr alone (`parser_stdout`) cannot be done here, and is said.
//!
//! Whoever may make pods writes them: what is wrong or long is left out and
//! said, and changes nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Value;

use super::FormatCheck;
use crate::component::{BuildError, Definition};
use crate::frame::multiline::Multiline;
use crate::frame::{self, Framer};

/// Longer than any pattern that is meant to be read.
const VALUE_BYTES_MAX: usize = 4096;
/// Hints of one pod: some for each of its containers.
const HINTS_MAX: usize = 64;

/// Names of Fluent Bit's stock parsers, and the formats that they are.
const FLUENT_BIT: [(&str, &str); 7] = [
    ("apache", "combined"),
    ("apache2", "combined"),
    ("docker", "json"),
    ("nginx", "combined"),
    ("syslog-rfc3164", "syslog3164"),
    ("syslog-rfc3164-local", "syslog3164"),
    ("syslog-rfc5424", "syslog5424"),
];

/// What is said, and of which container; none: of all that nothing else is said of.
#[derive(Clone, Debug, PartialEq)]
struct Hint<T> {
    container: Option<Box<str>>,
    value: T,
}

/// A way to frame, and what was written.
#[derive(Clone, Debug)]
struct Framed {
    multiline: Multiline,
    framer: Arc<Framer>,
}

impl PartialEq for Framed {
    fn eq(&self, other: &Framed) -> bool {
        self.multiline == other.multiline
    }
}

/// The hints of a pod.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Hints {
    formats: Vec<Hint<Arc<str>>>,
    framers: Vec<Hint<Framed>>,
    excluded: Vec<Hint<bool>>,
    /// What was not understood.
    pub(super) faults: Vec<Fault>,
}

/// An annotation that was not understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    pub(super) key: Box<str>,
    value: Box<str>,
    pub(super) message: String,
}

impl Hints {
    /// The format of a container's lines.
    pub(super) fn format(&self, container: &str) -> Option<Arc<str>> {
        of(&self.formats, container).cloned()
    }

    /// How a container's lines are framed.
    pub(super) fn framer(&self, container: &str) -> Option<Arc<Framer>> {
        of(&self.framers, container).map(|framed| framed.framer.clone())
    }

    /// Whether nothing of a container is read.
    pub(super) fn is_excluded(&self, container: &str) -> bool {
        of(&self.excluded, container).is_some_and(|excluded| *excluded)
    }

    /// Keeps the very framers of the same pod as it was before: files that are
    /// read with them go on so.
    pub(super) fn inherit(&mut self, before: &Hints) {
        for hint in &mut self.framers {
            if let Some(same) = before.framers.iter().find(|other| *other == hint) {
                *hint = same.clone();
            }
        }
    }

    fn fault(&mut self, key: &str, value: &str, message: String) {
        if self.len() < HINTS_MAX {
            // It is only compared.
            let value = value.chars().take(VALUE_BYTES_MAX).collect::<String>();
            self.faults.push(Fault {
                key: key.into(),
                value: value.into(),
                message,
            });
        }
    }

    fn len(&self) -> usize {
        self.formats.len() + self.framers.len() + self.excluded.len() + self.faults.len()
    }
}

fn of<'a, T>(hints: &'a [Hint<T>], container: &str) -> Option<&'a T> {
    let own = hints
        .iter()
        .find(|hint| hint.container.as_deref() == Some(container));
    let common = || hints.iter().find(|hint| hint.container.is_none());
    own.or_else(common).map(|hint| &hint.value)
}

/// Reads hints.
pub(super) struct Judge {
    formats: FormatCheck,
    frame: frame::Options,
    definition: Definition,
}

impl Judge {
    /// For the lines of a source.
    pub(super) fn new(definition: &Definition, formats: FormatCheck) -> Result<Judge, BuildError> {
        let framing = definition
            .options
            .iter()
            .filter(|(key, _)| matches!(key.as_str(), "framing" | "line_max" | "oversize"));
        let options = framing.map(|(key, value)| (key.clone(), value.clone()));
        let definition = Definition {
            options: options.collect(),
            ..definition.clone()
        };
        Ok(Judge {
            formats,
            frame: definition.decode()?,
            definition,
        })
    }

    /// The hints of a pod with these labels and annotations.
    pub(super) fn read(
        &self,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Hints {
        let mut hints = Hints::default();
        let all = || annotations.iter();
        let own = all().filter_map(|(key, value)| {
            let name = key.strip_prefix("tflog.dev/")?;
            let (name, container) = split(name, '.');
            Some((key, name, container, value))
        });
        for (key, name, container, value) in own {
            self.read_one(&mut hints, key, name, container, value);
        }
        let fluent_bit = all().filter_map(|(key, value)| {
            let name = key.strip_prefix("fluentbit.io/")?;
            let (name, container) = split(name, '-');
            Some((key, name, container, value))
        });
        for (key, name, container, value) in fluent_bit {
            let named = FLUENT_BIT.iter().find(|(name, _)| name == value);
            match name {
                "parser" => {
                    let value = named.map_or(value.as_str(), |(_, format)| format);
                    self.read_one(&mut hints, key, "parse", container, value);
                }
                "exclude" => self.read_one(&mut hints, key, name, container, value),
                "parser_stdout" | "parser_stderr" | "exclude_stdout" | "exclude_stderr" => {
                    let message = "is for one stream, and both of a container are read alike; \
                                   route by `stream`, or use it without the ending";
                    hints.fault(key, value, message.to_owned());
                }
                // Others are Fluent Bit's own affair.
                _ => {}
            }
        }
        if let Some(value) = labels.get("vector.dev/exclude") {
            self.read_one(&mut hints, "vector.dev/exclude", "exclude", None, value);
        }
        hints
    }

    fn read_one(
        &self,
        hints: &mut Hints,
        key: &str,
        name: &str,
        container: Option<&str>,
        value: &str,
    ) {
        if hints.len() >= HINTS_MAX {
            return;
        }
        let container = container.map(Box::from);
        let read = match name {
            _ if value.len() > VALUE_BYTES_MAX => {
                Err(format!("longer than {VALUE_BYTES_MAX} bytes"))
            }
            "parse" => (self.formats)(value).map(|()| {
                let value = value.into();
                hints.formats.push(Hint { container, value });
            }),
            "multiline" => self.framed(value).map(|value| {
                hints.framers.push(Hint { container, value });
            }),
            "exclude" => match value {
                "true" | "false" => {
                    let value = value == "true";
                    hints.excluded.push(Hint { container, value });
                    Ok(())
                }
                _ => Err("must be \"true\" or \"false\"".to_owned()),
            },
            _ => Err("says nothing; use parse, multiline or exclude".to_owned()),
        };
        if let Err(message) = read {
            hints.fault(key, value, message);
        }
    }

    fn framed(&self, value: &str) -> Result<Framed, String> {
        let value = if value.trim_start().starts_with('{') {
            let map: Result<Value, _> = serde_json::from_str(value);
            map.map_err(|error| format!("is no JSON: {error}"))?
        } else {
            value.into()
        };
        let multiline = Multiline::try_from(value)?;
        let frame = frame::Options {
            multiline: multiline.clone(),
            ..self.frame.clone()
        };
        let framer = frame.framer(&self.definition);
        let framer = framer.map_err(|error| match &error.key {
            Some(key) => format!("{key}: {}", error.message),
            None => error.message,
        })?;
        let framer = Arc::new(framer);
        Ok(Framed { multiline, framer })
    }
}

/// The name of a hint, and the container behind it.
fn split(name: &str, separator: char) -> (&str, Option<&str>) {
    match name.split_once(separator) {
        Some((name, container)) => (name, Some(container)),
        None => (name, None),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::source::record::definition;

    fn read(annotations: &[(&str, &str)], labels: &[(&str, &str)]) -> Hints {
        let known = |name: &str| match name {
            "json" | "combined" => Ok(()),
            _ => Err(format!("`{name}` is no format")),
        };
        let judge = Judge::new(&definition("kubernetes", "", json!({})), known).expect("valid");
        let map = |pairs: &[(&str, &str)]| {
            let pairs = pairs.iter();
            pairs
                .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
                .collect()
        };
        judge.read(&map(labels), &map(annotations))
    }

    #[test]
    fn one_containers_hints_go_before_the_pods() {
        let hints = read(
            &[
                ("tflog.dev/parse", "json"),
                ("tflog.dev/parse.web", "combined"),
                ("tflog.dev/exclude.side", "true"),
                ("tflog.dev/multiline.web", r#"{"start":"^\\d"}"#),
                ("tflog.dev/multiline", "auto"),
                ("other.dev/parse", "what?"),
            ],
            &[],
        );
        assert_eq!(hints.faults, []);
        assert_eq!(hints.format("web").as_deref(), Some("combined"));
        assert_eq!(hints.format("side").as_deref(), Some("json"));
        assert!(hints.is_excluded("side") && !hints.is_excluded("web"));
        let framers = ["web", "side"].map(|name| hints.framer(name).expect("said"));
        assert!(!Arc::ptr_eq(&framers[0], &framers[1]));
    }

    #[test]
    fn what_other_agents_are_told_counts_after_ours() {
        let hints = read(
            &[
                ("fluentbit.io/parser", "nginx"),
                ("fluentbit.io/parser-side", "json"),
                ("fluentbit.io/exclude", "true"),
                ("fluentbit.io/other", "?"),
                ("tflog.dev/exclude", "false"),
            ],
            &[("vector.dev/exclude", "true")],
        );
        assert_eq!(hints.faults, []);
        assert_eq!(hints.format("web").as_deref(), Some("combined"));
        assert_eq!(hints.format("side").as_deref(), Some("json"));
        assert!(!hints.is_excluded("web"));
        assert!(read(&[], &[("vector.dev/exclude", "true")]).is_excluded("web"));
    }

    #[test]
    fn what_is_wrong_is_left_out_and_said() {
        let long = "x".repeat(VALUE_BYTES_MAX + 1);
        for (key, value, expected) in [
            ("tflog.dev/parse", "jsno", "`jsno` is no format"),
            ("tflog.dev/parse", &long, "longer than"),
            ("tflog.dev/exclude", "yes", "must be \"true\" or \"false\""),
            (
                "tflog.dev/multiline",
                "lines",
                "must be auto, partials, off",
            ),
            ("tflog.dev/multiline", "{", "is no JSON"),
            (
                "tflog.dev/multiline",
                r#"{"start":"("}"#,
                "multiline.start: ",
            ),
            ("tflog.dev/prase", "json", "use parse, multiline or exclude"),
            ("fluentbit.io/parser", "own", "`own` is no format"),
            ("fluentbit.io/parser_stdout-c", "json", "is for one stream"),
            ("fluentbit.io/exclude_stderr", "true", "is for one stream"),
        ] {
            let hints = read(&[(key, value)], &[]);
            let [fault] = &*hints.faults else {
                panic!("{key}: {:?}", hints.faults);
            };
            assert_eq!(&*fault.key, key);
            assert!(fault.message.contains(expected), "{}", fault.message);
            assert_eq!((hints.format("c"), hints.is_excluded("c")), (None, false));
            assert!(hints.framer("c").is_none());
        }
    }

    #[test]
    fn there_are_so_many_at_most() {
        let keys: Vec<_> = (0..500).map(|n| format!("tflog.dev/parse.c{n}")).collect();
        let pairs: Vec<_> = keys.iter().map(|key| (key.as_str(), "json")).collect();
        assert_eq!(read(&pairs, &[]).len(), HINTS_MAX);
    }
}
