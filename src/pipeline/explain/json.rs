//! An explanation for programs: one JSON object, whose keys stay as they are.
//!
//! | key | what |
//! |---|---|
//! | `line`, `truncated` | the line, and whether it was cut at the limit |
//! | `source`, `scheme`, `metadata` | where it came from |
//! | `format` | `name`, `detected`, `confidence` (`certain high medium low failed`), `also` |
//! | `fields` | `name`, `value`, `type`, `span` (bytes of the line, or null) |
//! | `roles` | `name`, `value`, `from` (`field metadata format`), `field` |
//! | `edits` | what the source's `with` changed: `field`, `from`, `to` (null: not there) |
//! | `routes` | `name`, `when`, `to` (null: drops), `continue`, `verdict` (`match no_match taken other_source filtered_out`), `taken_by`, `terms` |
//! | `terms` | `term`, `holds`, `saw`: `field`, `reads` (`level number duration size time text`), `text`, `value`; null where there is none |
//! | `outcome` | `sent`, `dropped`, `unrouted` |
//! | `sinks` | `name`, `scheme`, `route`, `edits` (of the route and the sink), `encoding`, `output` |
//! | `held` | whose `with` lists hold it to merge it with others; all else is what it becomes alone |
//! | `sampled` | whose `sample` goes by an id that only a run gives; all else is what becomes of an event that it keeps |
//! | `left_out` | sinks that a `with` list kept it from |

use serde_json::{Map, Value, json};

use super::{Change, Confidence, Explanation, FieldSeen, Origin, RoleSeen, RouteSeen};
use crate::event::{ColumnKind, Timestamp};
use crate::route::{Seen, State, TermVerdict, Typed};

impl Explanation {
    /// The explanation as a JSON object.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let metadata = self.meta.iter();
        let metadata: Map<_, _> = metadata
            .map(|(name, value)| (name.clone(), value.as_str().into()))
            .collect();
        let sinks = self.sinks.iter().map(|copy| {
            json!({
                "name": copy.sink, "scheme": copy.scheme, "route": copy.route,
                "edits": copy.edits.iter().map(change).collect::<Vec<_>>(),
                "encoding": copy.encoding, "output": text(&copy.output),
            })
        });
        json!({
            "line": text(&self.line),
            "truncated": self.truncated,
            "source": self.source.0,
            "scheme": self.source.1,
            "metadata": metadata,
            "format": {
                "name": self.format.name, "detected": self.format.detected,
                "confidence": self.format.confidence.name(), "also": self.format.also,
            },
            "fields": self.fields.iter().map(field).collect::<Vec<_>>(),
            "roles": self.roles.iter().map(role).collect::<Vec<_>>(),
            "edits": self.edits.iter().map(change).collect::<Vec<_>>(),
            "routes": self.routes.iter().map(|r| self.route_json(r)).collect::<Vec<_>>(),
            "outcome": self.outcome(),
            "sinks": sinks.collect::<Vec<_>>(),
            "held": self.held,
            "sampled": self.sampled,
            "left_out": self.left_out,
        })
    }

    /// What became of the event: `sent`, `dropped` or `unrouted`.
    #[must_use]
    pub fn outcome(&self) -> &'static str {
        let matched = |route: &RouteSeen| route.verdict.state == State::Matched;
        if !self.sinks.is_empty() {
            "sent"
        } else if self.routes.iter().any(matched) || self.is_left_out() {
            "dropped"
        } else {
            "unrouted"
        }
    }

    /// Whether a filter or the source's `with` list took it out before all routes.
    pub(super) fn is_left_out(&self) -> bool {
        let out = |route: &RouteSeen| route.verdict.state == State::FilteredOut;
        self.routes.iter().any(out)
    }

    fn route_json(&self, route: &RouteSeen) -> Value {
        let (verdict, by) = match route.verdict.state {
            State::Matched => ("match", None),
            State::Missed => ("no_match", None),
            State::Taken { by } => ("taken", Some(by)),
            State::OtherSource => ("other_source", None),
            State::FilteredOut => ("filtered_out", None),
        };
        let terms = route.verdict.terms.iter().map(term);
        json!({
            "name": route.name,
            "when": route.when,
            "to": route.to,
            "continue": route.go_on,
            "verdict": verdict,
            "taken_by": by.map(|by| self.routes[by].name.clone()),
            "terms": terms.collect::<Vec<_>>(),
        })
    }
}

impl Confidence {
    /// Its name in JSON.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Confidence::Certain => "certain",
            Confidence::High => "high",
            Confidence::Medium => "medium",
            Confidence::Low => "low",
            Confidence::Failed => "failed",
        }
    }
}

impl FieldSeen {
    /// The type of its value.
    #[must_use]
    pub fn type_name(&self) -> &'static str {
        match self.value {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "text",
            Value::Array(_) => "list",
            Value::Object(_) => "map",
        }
    }
}

fn text(bytes: &[u8]) -> Value {
    let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
    String::from_utf8_lossy(bytes).into()
}

fn field(field: &FieldSeen) -> Value {
    let span = field.span.as_ref().map(|span| [span.start, span.end]);
    json!({
        "name": field.name, "value": field.value, "type": field.type_name(), "span": span,
    })
}

fn change(change: &Change) -> Value {
    json!({ "field": change.field, "from": change.from, "to": change.to })
}

fn role(role: &RoleSeen) -> Value {
    let (from, field) = match &role.origin {
        Origin::Field(field) => ("field", Some(field)),
        Origin::Metadata => ("metadata", None),
        Origin::Format => ("format", None),
    };
    json!({ "name": role.role.name(), "value": role.value, "from": from, "field": field })
}

fn term(term: &TermVerdict) -> Value {
    let saw: Vec<_> = term.saw.iter().map(seen).collect();
    json!({ "term": term.term, "holds": term.holds, "saw": saw })
}

fn seen(seen: &Seen) -> Value {
    let value: Value = match seen.value {
        None => Value::Null,
        Some(Typed::Level(level)) => level.name().into(),
        Some(Typed::Number(number)) => number.into(),
        Some(Typed::Time(time)) => rfc3339(time).into(),
        Some(Typed::Text) => seen.text.as_deref().map_or(Value::Null, text),
    };
    let written = seen.text.as_deref().map(text);
    json!({ "field": seen.path, "reads": reads(seen.kind), "text": written, "value": value })
}

/// As what a term reads a value.
pub(super) fn reads(kind: ColumnKind) -> &'static str {
    match kind {
        ColumnKind::Level => "level",
        ColumnKind::Number => "number",
        ColumnKind::Duration => "duration",
        ColumnKind::Size => "size",
        ColumnKind::Time => "time",
        ColumnKind::Text => "text",
    }
}

pub(super) fn rfc3339(time: Timestamp) -> String {
    let mut text = Vec::new();
    time.write_rfc3339(&mut text);
    String::from_utf8_lossy(&text).into_owned()
}
