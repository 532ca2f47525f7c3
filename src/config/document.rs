//! Config text to a tree whose every node knows where it was written.
//!
//! YAML (1.2 booleans, duplicate keys are errors, anchors and `<<` expanded),
//! TOML and JSON. Hostile text is bounded in size, depth and in what aliases
//! may grow to. What the keys mean is for others.

use std::ops::Range;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};

use super::diagnostic::Diagnostic;
use super::place::{Origin, Place, Spanned};
use super::point;

/// The largest config text: a thousand times a large one, and small enough to
/// be read whole without thought.
pub(super) const TEXT_BYTES_MAX: usize = 4 << 20;
/// Deepest nesting: the config itself needs 6, and every level costs stack.
pub(super) const DEPTH_MAX: usize = 32;
/// Most nodes, aliases expanded: bounds what a small text can grow to.
pub(super) const NODES_MAX: usize = 50_000;

/// How a config text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// YAML, the documented one.
    Yaml,
    /// TOML, by the ending `.toml`.
    Toml,
    /// JSON, by the ending `.json`.
    Json,
}

impl Format {
    /// The format of a file by its name.
    #[must_use]
    pub(super) fn of(name: &str) -> Format {
        match name.rsplit_once('.') {
            Some((_, "toml")) => Format::Toml,
            Some((_, "json")) => Format::Json,
            _ => Format::Yaml,
        }
    }
}

/// A value and where it was written.
#[derive(Clone, Debug)]
pub(super) struct Node {
    /// The value.
    pub(super) value: Value,
    /// Where it was written; for an alias, where the anchor is.
    pub(super) place: Place,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number.
    Number(serde_json::Number),
    /// Text.
    String {
        /// Its value; variables not yet expanded.
        text: String,
        /// Whether it was quoted, so that a variable in it stays text.
        quoted: bool,
    },
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order written, keys unique.
    Map(Vec<Entry>),
}

/// A key and its value.
#[derive(Clone, Debug)]
pub(super) struct Entry {
    /// The key and where it was written.
    pub(super) key: Spanned<String>,
    /// The value.
    pub(super) node: Node,
}

impl Node {
    /// A quoted string.
    #[must_use]
    pub(super) fn string(text: String, place: Place) -> Node {
        let value = Value::String { text, quoted: true };
        Node { value, place }
    }

    /// What it is, for messages: never its content, which may be secret.
    #[must_use]
    pub(super) fn kind(&self) -> &'static str {
        match self.value {
            Value::Null => "nothing",
            Value::Bool(_) => "a boolean",
            Value::Number(_) => "a number",
            Value::String { .. } => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Reads a config file's text.
pub(super) fn parse(name: &str, text: &str, format: Format) -> Result<Node, Diagnostic> {
    let place = Place::of(Origin::File {
        name: name.to_owned(),
        text: text.to_owned(),
    });
    match format {
        Format::Yaml => yaml(text, &place),
        Format::Json => json(text, &place),
        Format::Toml => toml(text, &place),
    }
}

/// Reads YAML that stands in a variable or flag: all of it is at `place`.
pub(super) fn parse_value(text: &str, place: &Place) -> Result<Node, Diagnostic> {
    yaml(text, place)
}

fn check_size(text: &str, place: &Place) -> Result<(), Diagnostic> {
    if text.len() <= TEXT_BYTES_MAX {
        return Ok(());
    }
    let message = format!("the config is larger than {} MiB", TEXT_BYTES_MAX >> 20);
    Err(Diagnostic::error("config::too_large", message).at(place))
}

fn syntax(message: impl Into<String>, place: &Place) -> Diagnostic {
    Diagnostic::error("config::syntax", message).at(place)
}

fn yaml(text: &str, place: &Place) -> Result<Node, Diagnostic> {
    check_size(text, place)?;
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_depth: DEPTH_MAX,
            flow_nesting_limit: DEPTH_MAX,
            max_nodes: NODES_MAX,
            max_events: 4 * NODES_MAX,
            max_aliases: NODES_MAX,
            max_total_scalar_bytes: TEXT_BYTES_MAX,
            max_recorded_anchor_events: 4 * NODES_MAX,
            max_recorded_anchor_bytes: TEXT_BYTES_MAX,
        },
        alias_limits: serde_saphyr::alias_limits! {
            max_total_replayed_events: 4 * NODES_MAX,
        },
        strict_booleans: true,
        leading_zero_numbers_as_strings: true,
        underscored_numbers_as_strings: true,
        with_snippet: false,
    };
    let tree: Tree = serde_saphyr::from_str_with_options(text, options)
        .map_err(|error| yaml_error(&error, text, place))?;
    Ok(tree.into_node(text, place))
}

/// The YAML reader's error, without the position that the place says, and
/// without the advice that is for its programmers.
fn yaml_error(error: &serde_saphyr::Error, text: &str, place: &Place) -> Diagnostic {
    let at = error.location().map_or(0, |at| {
        line_offset(text, at.line() as usize, at.column() as usize)
    });
    let place = in_text(place, at..at);
    match error.without_snippet() {
        serde_saphyr::Error::DuplicateMappingKey { key, .. } => {
            let name = key.as_deref().unwrap_or("this one");
            syntax(format!("the key `{name}` is written twice"), &place)
                .help("keep one; a key in a later file or variable overrides this one")
        }
        serde_saphyr::Error::MultipleDocuments { .. } => {
            syntax("a config is one YAML document", &place)
                .help("remove the `---`, or give each document as a file of its own with -c")
        }
        other => {
            let message = other.to_string();
            let message = message.lines().next().unwrap_or_default();
            let message = message.split(" at line ").next().unwrap_or_default();
            let error = syntax(message, &place);
            match super::traps::hint(message, &text[at..]) {
                Some(hint) => error.help(hint),
                None => error,
            }
        }
    }
}

/// The byte at a line and a column of characters, both counted from 1.
fn line_offset(text: &str, line: usize, column: usize) -> usize {
    let lines = text.split_inclusive('\n');
    let start: usize = lines.take(line.saturating_sub(1)).map(str::len).sum();
    let before = text[start..].chars().take(column.saturating_sub(1));
    start + before.map(char::len_utf8).sum::<usize>()
}

/// JSON is YAML, once it is known to be JSON: so places come the same way.
fn json(text: &str, place: &Place) -> Result<Node, Diagnostic> {
    check_size(text, place)?;
    if let Err(error) = serde_json::from_str::<serde::de::IgnoredAny>(text) {
        let at = line_offset(text, error.line(), error.column());
        let message = error.to_string();
        let message = message.split(" at line ").next().unwrap_or_default();
        return Err(syntax(message, &in_text(place, at..at)));
    }
    yaml(text, place)
}

fn toml(text: &str, place: &Place) -> Result<Node, Diagnostic> {
    check_size(text, place)?;
    let table = toml::de::DeTable::parse(text).map_err(|error| {
        let span = error.span().unwrap_or(0..0);
        syntax(error.message().to_owned(), &in_text(place, span))
    })?;
    let span = table.span();
    toml_table(table.into_inner(), span, place)
}

fn toml_table(
    table: toml::de::DeTable<'_>,
    span: Range<usize>,
    place: &Place,
) -> Result<Node, Diagnostic> {
    let entries = table.into_iter().map(|(key, value)| {
        let key_place = in_text(place, key.span());
        let span = value.span();
        let node = toml_value(value.into_inner(), span, place)?;
        let key = Spanned {
            value: key.into_inner().into_owned(),
            place: key_place,
        };
        Ok(Entry { key, node })
    });
    Ok(Node {
        value: Value::Map(entries.collect::<Result<_, Diagnostic>>()?),
        place: in_text(place, span),
    })
}

fn toml_value(
    value: toml::de::DeValue<'_>,
    span: Range<usize>,
    place: &Place,
) -> Result<Node, Diagnostic> {
    use toml::de::DeValue;
    let here = in_text(place, span.clone());
    let value = match value {
        DeValue::String(text) => Value::String {
            text: text.into_owned(),
            quoted: false,
        },
        DeValue::Boolean(value) => Value::Bool(value),
        DeValue::Integer(number) => number
            .to_string()
            .parse()
            .ok()
            .filter(|_| number.radix() == 10)
            .map(Value::Number)
            .ok_or_else(|| syntax("a number must be decimal and fit 64 bits", &here))?,
        DeValue::Float(number) => number
            .to_string()
            .parse()
            .ok()
            .and_then(serde_json::Number::from_f64)
            .map(Value::Number)
            .ok_or_else(|| syntax("a number must be finite", &here))?,
        DeValue::Datetime(time) => Value::String {
            text: time.to_string(),
            quoted: true,
        },
        DeValue::Array(items) => {
            let items = items.into_iter().map(|item| {
                let span = item.span();
                toml_value(item.into_inner(), span, place)
            });
            Value::List(items.collect::<Result<_, _>>()?)
        }
        DeValue::Table(table) => return toml_table(table, span, place),
    };
    Ok(Node { value, place: here })
}

/// A span of the text at `place`; variables and flags have one place only.
fn in_text(place: &Place, span: Range<usize>) -> Place {
    match &*place.origin {
        Origin::File { text, .. } => {
            place.with_span(span.start.min(text.len())..span.end.min(text.len()))
        }
        _ => place.clone(),
    }
}

/// What serde builds: as `Node`, but with the YAML reader's places.
#[derive(serde::Deserialize)]
#[serde(transparent)]
struct Tree(serde_saphyr::Spanned<Raw>);

enum Raw {
    Null,
    Bool(bool),
    Number(serde_json::Number),
    String(String),
    List(Vec<Tree>),
    Map(Vec<(serde_saphyr::Spanned<String>, Tree)>),
}

impl Tree {
    fn into_node(self, text: &str, place: &Place) -> Node {
        let span = bytes(self.0.defined);
        let value = match self.0.value {
            Raw::Null => Value::Null,
            Raw::Bool(value) => Value::Bool(value),
            Raw::Number(value) => Value::Number(value),
            Raw::String(value) => Value::String {
                text: value,
                quoted: point::style(text, span.start) != Some(point::Style::Plain),
            },
            Raw::List(items) => Value::List(
                items
                    .into_iter()
                    .map(|item| item.into_node(text, place))
                    .collect(),
            ),
            Raw::Map(entries) => Value::Map(
                entries
                    .into_iter()
                    .map(|(key, tree)| Entry {
                        key: Spanned {
                            place: in_text(place, bytes(key.defined)),
                            value: key.value,
                        },
                        node: tree.into_node(text, place),
                    })
                    .collect(),
            ),
        };
        Node {
            value,
            place: in_text(place, span),
        }
    }
}

fn bytes(location: serde_saphyr::Location) -> Range<usize> {
    let span = location.span();
    let start = span.byte_offset().unwrap_or(0) as usize;
    start..start + span.byte_len().unwrap_or(0) as usize
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Raw, D::Error> {
        struct Any;
        impl<'de> Visitor<'de> for Any {
            type Value = Raw;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a value")
            }
            fn visit_unit<E>(self) -> Result<Raw, E> {
                Ok(Raw::Null)
            }
            fn visit_bool<E>(self, value: bool) -> Result<Raw, E> {
                Ok(Raw::Bool(value))
            }
            fn visit_i64<E>(self, value: i64) -> Result<Raw, E> {
                Ok(Raw::Number(value.into()))
            }
            fn visit_u64<E>(self, value: u64) -> Result<Raw, E> {
                Ok(Raw::Number(value.into()))
            }
            fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Raw, E> {
                serde_json::Number::from_f64(value)
                    .map(Raw::Number)
                    .ok_or_else(|| E::custom("a number must be finite"))
            }
            fn visit_str<E>(self, value: &str) -> Result<Raw, E> {
                Ok(Raw::String(value.to_owned()))
            }
            fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Raw, A::Error> {
                let mut list = Vec::new();
                while let Some(item) = items.next_element()? {
                    list.push(item);
                }
                Ok(Raw::List(list))
            }
            fn visit_map<A: MapAccess<'de>>(self, mut entries: A) -> Result<Raw, A::Error> {
                let mut map = Vec::new();
                while let Some(entry) = entries.next_entry()? {
                    map.push(entry);
                }
                Ok(Raw::Map(map))
            }
        }
        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests;
