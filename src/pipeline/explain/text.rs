//! An explanation for people at a terminal.
//!
//! What comes from events is shown, not sent: control characters are escaped,
//! so that content cannot steer the terminal.

use std::fmt::Write;

use super::json::{reads, rfc3339};
use super::{Change, Confidence, Explanation, FieldSeen, FormatSeen, Origin, RoleSeen, RouteSeen};
use crate::route::{Seen, State, TermVerdict, Typed};

/// Longest name that others are aligned with.
const NAME_WIDTH_MAX: usize = 24;
/// Characters of a value that are shown; JSON output has all of it.
const VALUE_CHARS_MAX: usize = 200;

/// How it is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Style {
    /// Whether to colour.
    pub color: bool,
}

#[derive(Clone, Copy)]
enum Ink {
    Good,
    Bad,
    Dim,
    Bold,
}

impl Style {
    fn paint(self, ink: Ink, text: &str) -> String {
        if !self.color {
            return text.to_owned();
        }
        let code = match ink {
            Ink::Good => "32",
            Ink::Bad => "31",
            Ink::Dim => "2",
            Ink::Bold => "1",
        };
        format!("\x1b[{code}m{text}\x1b[0m")
    }

    fn mark(self, good: bool) -> String {
        if good {
            self.paint(Ink::Good, "✓")
        } else {
            self.paint(Ink::Bad, "✗")
        }
    }
}

impl Explanation {
    /// The explanation as lines of text.
    #[must_use]
    pub fn to_text(&self, style: Style) -> String {
        let mut out = String::new();
        let head = |out: &mut String, name: &str, value: &str| {
            let name = style.paint(Ink::Bold, &format!("{name:<8}"));
            push(out, &format!("{name}{value}"));
        };
        let cut = if self.truncated {
            " (cut at line_max)"
        } else {
            ""
        };
        head(&mut out, "line", &format!("{}{cut}", shown(&self.line)));
        let mut source = format!("{} ({})", self.source.0, self.source.1);
        for (name, value) in &self.meta {
            let _ = write!(source, ", {name} = {}", shown(value.as_bytes()));
        }
        head(&mut out, "source", &source);
        head(&mut out, "format", &format(&self.format));
        push(&mut out, &style.paint(Ink::Bold, "fields"));
        self.fields_text(style, &mut out);
        if !self.edits.is_empty() {
            push(&mut out, &style.paint(Ink::Bold, "edits of the source"));
            diff(&self.edits, "  ", style, &mut out);
        }
        if !self.held.is_empty() {
            let lists = self.held.join(", ");
            let by = format!("by `reduce` of {lists}, until others are merged with it");
            head(&mut out, "held", &by);
            push(
                &mut out,
                "        what follows is what it becomes if none comes",
            );
        }
        if !self.sampled.is_empty() {
            let lists = self.sampled.join(", ");
            let by = format!(
                "by `sample` of {lists}: without `by` it goes by an id that only a run gives"
            );
            head(&mut out, "sampled", &by);
            push(
                &mut out,
                "        what follows is what becomes of an event that it keeps",
            );
        }
        push(&mut out, &style.paint(Ink::Bold, "routes"));
        self.routes_text(style, &mut out);
        push(&mut out, &style.paint(Ink::Bold, "sinks"));
        self.sinks_text(style, &mut out);
        out
    }

    fn fields_text(&self, style: Style, out: &mut String) {
        let roles = self.roles.iter().map(|role| role.role.name());
        let width = width(self.fields.iter().map(|f| f.name.as_str()).chain(roles));
        for field in &self.fields {
            let mut notes = vec![field.type_name().to_owned()];
            notes.extend(
                field
                    .span
                    .as_ref()
                    .map(|s| format!("bytes {}..{}", s.start, s.end)),
            );
            for role in &self.roles {
                if is_of_format(field, role) {
                    notes.push("known by the format".to_owned());
                }
                if role.origin == Origin::Field(field.name.clone()) {
                    let same = field.value.as_str() == Some(&role.value);
                    let value = if same {
                        String::new()
                    } else {
                        format!(" = {}", role.value)
                    };
                    notes.push(format!("is {}{value}", role.role.name()));
                }
            }
            let notes = style.paint(Ink::Dim, &notes.join(", "));
            push(
                out,
                &format!("  {:<width$}  {}  {notes}", field.name, value(field)),
            );
        }
        let listed = |role: &&RoleSeen| self.fields.iter().any(|f| is_of_format(f, role));
        for role in self.roles.iter().filter(|role| !listed(role)) {
            let from = match role.origin {
                Origin::Field(_) => continue,
                Origin::Metadata => "from the source",
                Origin::Format => "from the format",
            };
            let notes = style.paint(Ink::Dim, from);
            let value = quoted(role.value.as_bytes());
            push(
                out,
                &format!("  {:<width$}  {value}  {notes}", role.role.name()),
            );
        }
    }

    fn routes_text(&self, style: Style, out: &mut String) {
        let width = width(self.routes.iter().map(|r| r.name.as_str()));
        for route in &self.routes {
            let mark = match route.verdict.state {
                State::Matched => style.mark(true),
                State::Missed => style.mark(false),
                _ => style.paint(Ink::Dim, "-"),
            };
            let when = route.when.as_deref().unwrap_or("every event");
            let then = self.then(route);
            push(
                out,
                &format!("  {mark} {:<width$}  {when}{then}", route.name),
            );
            if let [only] = &route.verdict.terms[..]
                && only.term == when
            {
                push(out, &format!("      {}", style.paint(Ink::Dim, &why(only))));
                continue;
            }
            for term in &route.verdict.terms {
                let mark = style.mark(term.holds);
                let why = style.paint(Ink::Dim, &why(term));
                push(out, &format!("      {mark} {}  {why}", term.term));
            }
        }
    }

    /// What a route does with the event.
    fn then(&self, route: &RouteSeen) -> String {
        match route.verdict.state {
            State::Matched => {
                let to = match &route.to {
                    None => "dropped".to_owned(),
                    Some(to) => to.join(", "),
                };
                let on = if route.go_on { ", and goes on" } else { "" };
                format!(" → {to}{on}")
            }
            State::Missed => String::new(),
            State::Taken { by } => format!(" (not reached: {} took it)", self.routes[by].name),
            State::OtherSource => format!(" (not for events of {})", self.source.0),
            State::FilteredOut => " (not reached: taken out before)".to_owned(),
        }
    }

    fn sinks_text(&self, style: Style, out: &mut String) {
        let width = width(self.sinks.iter().map(|c| c.sink.as_str()));
        for copy in &self.sinks {
            let how = format!("({}, {}, by {})", copy.scheme, copy.encoding, copy.route);
            let how = style.paint(Ink::Dim, &how);
            let output = copy.output.strip_suffix(b"\n").unwrap_or(&copy.output);
            push(out, &format!("  {:<width$}  {how}", copy.sink));
            diff(&copy.edits, "    ", style, out);
            push(out, &format!("    {}", shown(output)));
        }
        for sink in &self.left_out {
            push(
                out,
                &format!("  {sink:<width$}  not sent: a `with` list takes it out"),
            );
        }
        match self.outcome() {
            "dropped" if self.is_left_out() => {
                push(
                    out,
                    "  none: the `with` of the source, or a filter, takes it out",
                );
            }
            "dropped" if self.left_out.is_empty() => {
                push(out, "  none: it is dropped, as a route says");
            }
            "unrouted" => push(out, "  none: no route matched"),
            _ => {}
        }
    }
}

/// Changes as a diff.
fn diff(changes: &[Change], indent: &str, style: Style, out: &mut String) {
    for change in changes {
        for (mark, ink, value) in [("-", Ink::Bad, &change.from), ("+", Ink::Good, &change.to)] {
            if let Some(value) = value {
                let value = shown(value.to_string().as_bytes());
                let line = style.paint(ink, &format!("{mark} {}: {value}", change.field));
                push(out, &format!("{indent}{line}"));
            }
        }
    }
}

/// Whether the field is the role's own value, which stands nowhere in the line.
fn is_of_format(field: &FieldSeen, role: &RoleSeen) -> bool {
    role.origin == Origin::Format && field.span.is_none() && field.name == role.role.name()
}

fn push(out: &mut String, line: &str) {
    out.push_str(line.trim_end());
    out.push('\n');
}

fn width<'a>(names: impl Iterator<Item = &'a str>) -> usize {
    let longest = names.map(|name| name.chars().count()).max();
    longest.unwrap_or(0).min(NAME_WIDTH_MAX)
}

fn format(format: &FormatSeen) -> String {
    let name = &format.name;
    match format.confidence {
        Confidence::Certain => format!("{name}, as the config says"),
        Confidence::High => format!("{name}, found: no other format reads the line"),
        Confidence::Medium => {
            format!(
                "{name}, found; {} would read it too",
                format.also.join(", ")
            )
        }
        Confidence::Low => format!("{name}: no other format reads the line"),
        Confidence::Failed => format!(
            "{name}, as the config says, but the line is not {name}: all of it is the message"
        ),
    }
}

/// Why a term holds or does not: what it saw.
fn why(term: &TermVerdict) -> String {
    if term.saw.is_empty() {
        let has = if term.holds { "has" } else { "does not have" };
        return format!("the line {has} it");
    }
    let mut saw: Vec<_> = term.saw.iter().map(saw).collect();
    if term.negated && term.holds && term.saw.iter().any(|seen| seen.value.is_none()) {
        saw.push("so the negation holds".to_owned());
    }
    saw.join(", ")
}

fn saw(seen: &Seen) -> String {
    let path = &seen.path;
    let written = seen.text.as_deref();
    match (seen.value, written) {
        (None, None) => format!("{path} is missing"),
        (None, Some(text)) => {
            let kind = reads(seen.kind);
            format!(
                "{path} is {}, not a {kind}: as good as missing",
                quoted(text)
            )
        }
        (Some(Typed::Level(level)), Some(text)) => {
            format!("{path} is {}, written {}", level.name(), quoted(text))
        }
        (Some(Typed::Level(level)), None) => format!("{path} is {}", level.name()),
        (Some(Typed::Number(_)), Some(text)) => format!("{path} is {}", shown(text)),
        (Some(Typed::Number(number)), None) => format!("{path} is {number}"),
        (Some(Typed::Time(time)), _) => format!("{path} is {}", rfc3339(time)),
        (Some(Typed::Text), text) => format!("{path} is {}", quoted(text.unwrap_or_default())),
    }
}

fn value(field: &FieldSeen) -> String {
    match field.value.as_str() {
        Some(text) => quoted(text.as_bytes()),
        None => shown(field.value.to_string().as_bytes()),
    }
}

fn quoted(bytes: &[u8]) -> String {
    format!("\"{}\"", shown(bytes).replace('"', "\\\""))
}

/// Bytes as a terminal may see them, cut where nobody reads on.
fn shown(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    for (at, c) in text.chars().enumerate() {
        if at == VALUE_CHARS_MAX {
            out.push('…');
            break;
        }
        if c.is_control() {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}
