//! Topics, of which a template's values can make only legal ones.
//!
//! Kafka's names have letters, digits, `.`, `_` and `-`, at most 249, and are
//! neither `.` nor `..`; whatever else a value holds becomes `_`. Two values can
//! so meet in one topic, which is no harm: a topic is no boundary.

use crate::event::{Batch, Needs};
use crate::sink::template::Template;

/// Kafka's own limit.
const BYTES_MAX: usize = 249;

/// A topic's name, or one for each event.
pub(super) struct Topic {
    template: Template,
    fixed: Option<String>,
}

impl Topic {
    /// Compiles it; `Err` says what is wrong.
    pub(super) fn compile(text: &str, needs: &mut Needs) -> Result<Topic, String> {
        if text.contains("{{") {
            return Err("`{{` cannot be in a topic".to_owned());
        }
        let mut depth = 0_usize;
        for c in text.chars() {
            match c {
                '{' => depth += 1,
                '}' if depth > 0 => depth -= 1,
                c if depth > 0 || c.is_ascii() && is_legal(c as u8) => {}
                c => {
                    return Err(format!(
                        "{c:?} cannot be in a topic: it takes letters, digits, `.`, `_` and `-`"
                    ));
                }
            }
        }
        let template = Template::compile(text, needs).map_err(|error| error.to_string())?;
        let fixed = template.is_constant().then(|| text.to_owned());
        if let Some(name) = &fixed
            && (name.len() > BYTES_MAX || matches!(name.as_str(), "" | "." | ".."))
        {
            return Err(format!(
                "{name:?} is no topic: it must have 1 to {BYTES_MAX} characters and not be `.` or `..`"
            ));
        }
        Ok(Topic { template, fixed })
    }

    /// The name, if all events have the same.
    pub(super) fn fixed(&self) -> Option<&str> {
        self.fixed.as_deref()
    }

    /// Appends an event's topic; how many values were missing.
    pub(super) fn render(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) -> u64 {
        let start = out.len();
        let missing = self
            .template
            .render(batch, row, out, |value, out| out.extend_from_slice(value));
        out.truncate(start + BYTES_MAX);
        for byte in &mut out[start..] {
            if !is_legal(*byte) {
                *byte = b'_';
            }
        }
        match &out[start..] {
            b"" => out.extend_from_slice(b"unknown"),
            b"." | b".." => out[start..].fill(b'_'),
            _ => {}
        }
        missing
    }
}

fn is_legal(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::fixture::keyed;

    #[test]
    fn whatever_a_value_holds_makes_a_legal_topic() {
        let long = "x".repeat(300);
        for (template, value, topic) in [
            ("logs-{service}", "pay", "logs-pay"),
            ("logs-{service}", "../b1:9092/ä?", "logs-.._b1_9092____"),
            ("{service}", "..", "__"),
            ("{service}", "", "unknown"),
            ("{service}", long.as_str(), &long[..249]),
            ("{other:-a/b}", "x", "a_b"),
        ] {
            let mut needs = Needs::default();
            let compiled = Topic::compile(template, &mut needs).unwrap();
            assert_eq!(compiled.fixed(), None);
            let part = if template.contains("other") {
                keyed("line\n", &needs)
            } else {
                keyed(&format!("{value} line\n"), &needs)
            };
            let mut out = b"before".to_vec();
            assert_eq!(compiled.render(&part.batch, 0, &mut out), 0);
            assert_eq!(std::str::from_utf8(&out[6..]), Ok(topic), "{value}");
        }
    }

    #[test]
    fn illegal_names_are_refused_at_start() {
        let mut needs = Needs::default();
        for text in ["", ".", "..", "a b", "a/b", "ä", "a{{b", &"x".repeat(250)] {
            assert!(Topic::compile(text, &mut needs).is_err(), "{text}");
        }
        assert_eq!(
            Topic::compile("a.b-c_1", &mut needs).unwrap().fixed(),
            Some("a.b-c_1")
        );
    }
}
