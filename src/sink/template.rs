//! Text with values of the event in it: `logs/{service}/{timestamp:%F}.log`.
//!
//! `{path}` is the value; `{path:%F}` a time in a strftime layout, UTC;
//! `{path:-none}` has a default. A value that an event lacks is `unknown` and
//! counted. `{{` and a `}` by itself are plain text, so that templates of
//! other tools pass through. Compiled once; what it needs of events is added
//! to the plan's needs.

mod path;

use std::borrow::Cow;

pub use path::PathTemplate;

use crate::event::time::Layout;
use crate::event::{Batch, Column, ColumnKind, Level, Needs, Path, Role, Timestamp, convert};

/// What a missing value is written as.
const MISSING: &[u8] = b"unknown";

/// Why a template was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message} at byte {offset}")]
pub struct TemplateError {
    /// Where in the template, in bytes.
    pub offset: usize,
    /// What is wrong, and what to write.
    pub message: String,
}

impl TemplateError {
    fn new(offset: usize, message: impl Into<String>) -> TemplateError {
        TemplateError {
            offset,
            message: message.into(),
        }
    }
}

/// A compiled template.
pub struct Template(Vec<Segment>);

enum Segment {
    Literal(Box<[u8]>),
    Value(Slot),
}

/// A value's column and what stands in for it.
struct Slot {
    column: usize,
    layout: Option<Layout>,
    default: Option<Box<[u8]>>,
    /// Whether it is when the event was read, where it has no such field.
    observed: bool,
}

/// What a row has for a slot.
enum Found<'a> {
    Value(Cow<'a, [u8]>),
    Time(Timestamp, &'a Layout),
    Default(&'a [u8]),
    Missing,
}

impl Template {
    /// Compiles a template; what it needs of the rows is added to `needs`.
    pub fn compile(text: &str, needs: &mut Needs) -> Result<Template, TemplateError> {
        Template::compile_with(text, needs, None)
    }

    /// As [`Template::compile`], where `{host}` is this machine for an event
    /// that names none, and `{observed}` when it was read.
    pub fn compile_at(
        machine: &str,
        text: &str,
        needs: &mut Needs,
    ) -> Result<Template, TemplateError> {
        Template::compile_with(text, needs, Some(machine))
    }

    fn compile_with(
        text: &str,
        needs: &mut Needs,
        machine: Option<&str>,
    ) -> Result<Template, TemplateError> {
        let mut segments = Vec::new();
        let mut literal = String::new();
        let mut at = 0;
        while let Some(brace) = text[at..].find('{').map(|found| at + found) {
            literal.push_str(&text[at..brace]);
            if text[brace + 1..].starts_with('{') {
                literal.push_str("{{");
                at = brace + 2;
                continue;
            }
            if !literal.is_empty() {
                segments.push(Segment::Literal(
                    std::mem::take(&mut literal).into_bytes().into(),
                ));
            }
            let (slot, end) = compile_value(text, brace + 1, needs, machine)?;
            segments.push(Segment::Value(slot));
            at = end;
        }
        literal.push_str(&text[at..]);
        if !literal.is_empty() {
            segments.push(Segment::Literal(literal.into_bytes().into()));
        }
        Ok(Template(segments))
    }

    /// Whether it is the same text for every event.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.0.iter().all(|s| matches!(s, Segment::Literal(_)))
    }

    /// Appends the text for a row, each value through `escape`; how many values
    /// were missing.
    pub fn render(
        &self,
        batch: &Batch,
        row: usize,
        out: &mut Vec<u8>,
        escape: fn(&[u8], &mut Vec<u8>),
    ) -> u64 {
        let mut missing = 0;
        for segment in &self.0 {
            let slot = match segment {
                Segment::Literal(text) => {
                    out.extend_from_slice(text);
                    continue;
                }
                Segment::Value(slot) => slot,
            };
            match slot.find(batch, row) {
                Found::Value(value) => escape(&value, out),
                Found::Time(time, layout) => layout.write(time, out),
                Found::Default(text) => escape(text, out),
                Found::Missing => {
                    escape(MISSING, out);
                    missing += 1;
                }
            }
        }
        missing
    }
}

/// Compiles what follows a `{` at `start`: the slot and where it ends.
fn compile_value(
    text: &str,
    start: usize,
    needs: &mut Needs,
    machine: Option<&str>,
) -> Result<(Slot, usize), TemplateError> {
    let (path, len) = Path::parse_prefix(&text[start..])
        .map_err(|error| TemplateError::new(start + error.offset, error.message))?;
    let options = start + len;
    let end = text[options..]
        .find('}')
        .ok_or_else(|| TemplateError::new(start - 1, "`{` is never closed; write `}`"))?;
    let end = options + end;
    let (mut layout, mut default) = (None, None);
    let mut kind = match path.role() {
        Some(Role::Level) => ColumnKind::Level,
        _ => ColumnKind::Text,
    };
    match &text[options..end] {
        "" => {}
        ":?" => {
            return Err(TemplateError::new(
                options,
                "`:?` is not supported by this version; write `:-` and a default",
            ));
        }
        option => {
            if let Some(text) = option.strip_prefix(":-") {
                default = Some(text.as_bytes().into());
            } else if let Some(text) = option.strip_prefix(':').filter(|t| t.starts_with('%')) {
                kind = ColumnKind::Time;
                layout = Some(
                    Layout::compile(text)
                        .map_err(|error| TemplateError::new(options + 1, error.to_string()))?,
                );
            } else {
                return Err(TemplateError::new(
                    options,
                    "expected `}`, `:%` and a time layout, or `:-` and a default",
                ));
            }
        }
    }
    if path.role() == Some(Role::Host)
        && let Some(machine) = machine
    {
        default = default.or_else(|| Some(machine.as_bytes().into()));
    }
    let observed = machine.is_some() && !path.is_field_only() && path.dotted() == "observed";
    let slot = Slot {
        column: needs.slot(&path, kind),
        layout,
        default,
        observed,
    };
    Ok((slot, end + 1))
}

impl Slot {
    fn find<'a>(&'a self, batch: &'a Batch, row: usize) -> Found<'a> {
        let missing = match (&self.default, &self.layout) {
            (Some(text), _) => Found::Default(text),
            (None, Some(layout)) if self.observed => Found::Time(batch.observed, layout),
            (None, None) if self.observed => {
                let mut text = Vec::new();
                batch.observed.write_rfc3339(&mut text);
                Found::Value(text.into())
            }
            (None, _) => Found::Missing,
        };
        if batch.columns().rows() != batch.rows() {
            return missing;
        }
        match (batch.columns().column(self.column), &self.layout) {
            (Column::Text(cells), _) if cells[row].is_present() => {
                Found::Value(convert::value(cells[row], batch.text()))
            }
            (Column::Level(levels), _) if levels[row] != Level::ABSENT.0 => {
                Found::Value(Level(levels[row]).name().as_bytes().into())
            }
            (Column::Time(times), Some(layout)) if times[row] != Timestamp::ABSENT.0 => {
                Found::Time(Timestamp(times[row]), layout)
            }
            (Column::Same(value), _) => Found::Value(value.as_bytes().into()),
            _ => missing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sink::fixture::batch;

    fn render(template: &str) -> (String, u64) {
        let mut needs = Needs::default();
        let template = Template::compile(template, &mut needs).unwrap();
        let row = batch(
            br"pa\u0079 x",
            &needs,
            crate::event::Defs::default(),
            |text, c| {
                for (slot, need) in needs.columns.iter().enumerate() {
                    match (need.kind, need.path.dotted()) {
                        (ColumnKind::Level, _) => c.put_level(slot, 0, Level::ERROR),
                        (ColumnKind::Time, "timestamp") => {
                            c.put_time(slot, 0, Timestamp(1_795_440_762_000_000_000));
                        }
                        (_, "service") => {
                            c.put(slot, 0, text, crate::event::Cell::string(0, 8, true));
                        }
                        (_, "host") => c.set_same(slot, "h1".into()),
                        _ => {}
                    }
                }
            },
        );
        let mut out = Vec::new();
        let missing = template.render(&row, 0, &mut out, |v, out| out.extend_from_slice(v));
        (String::from_utf8(out).unwrap(), missing)
    }

    #[test]
    fn values_come_from_columns() {
        for (template, text, missing) in [
            ("plain", "plain", 0),
            ("{service}-{host}.{level}", "pay-h1.error", 0),
            ("{timestamp:%Y-%m-%d}/{timestamp:%H}", "2026-11-23/13", 0),
            ("{ts:%Y}{a.b}{.\"c}d\"}", "unknownunknownunknown", 3),
            ("{a.b:-none}{a.b:-}", "none", 0),
            ("{{service}} {service}}", "{{service}} pay}", 0),
        ] {
            assert_eq!(render(template), (text.to_owned(), missing), "{template}");
        }
    }

    #[test]
    fn errors_say_where() {
        for (template, offset) in [
            ("a{", 2),
            ("a{b", 1),
            ("a{}", 2),
            ("a{b:?}", 3),
            ("a{b:x}", 3),
            ("a{b c}", 3),
        ] {
            let error = Template::compile(template, &mut Needs::default())
                .err()
                .unwrap();
            assert_eq!(error.offset, offset, "{template}: {error}");
        }
    }
}
