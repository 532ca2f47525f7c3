//! `tests:`: lines and where they are expected to go.

use super::diagnostic::Diagnostic;
use super::document::{Entry, Node, Value};
use super::keys;
use super::place::{Place, Spanned};
use super::read::Reader;
use crate::event::Path;

/// A test.
#[derive(Clone, Debug)]
pub struct TestConfig {
    /// What it shows, if that was said.
    pub name: Option<String>,
    /// The source that the line comes from: at most one name. None: the only
    /// source.
    pub source: Vec<Spanned<String>>,
    /// The line, as the parser sees it.
    pub input: String,
    /// Just the sinks that get it, and what is expected of it there.
    pub expect: Vec<(Spanned<String>, Vec<Expected>)>,
    /// Where it was written.
    pub place: Place,
}

/// What is expected of a field.
#[derive(Clone, Debug)]
pub struct Expected {
    /// The field, as rules name it.
    pub path: Path,
    /// Its value as it would stand in a rule, and whether in quotes; none if
    /// it must be absent.
    pub value: Option<(String, bool)>,
    /// Where it was written.
    pub place: Place,
}

impl Reader<'_> {
    /// The tests; those that cannot be read are left out, with an error.
    pub(super) fn tests(&mut self, node: Node) -> Vec<TestConfig> {
        let Value::List(items) = node.value else {
            let message = format!("`tests` must be a list, not {}", node.kind());
            self.error("config::type", message, &node.place);
            return Vec::new();
        };
        let tests = items.into_iter().filter_map(|item| self.test(item));
        tests.collect()
    }

    fn test(&mut self, node: Node) -> Option<TestConfig> {
        let place = node.place.clone();
        let mut fields = self.map("a test", node, keys::TEST)?;
        let mut text = |key| fields.take(key).and_then(|node| self.text(key, &node));
        let (name, source, input) = (text("name"), text("source"), text("input"));
        let Some(input) = input else {
            self.incomplete("input", "write the line that is tested", &place);
            return None;
        };
        let Some(expect) = fields.entries.pop() else {
            let help = "name the sinks that get the line, or write {} if it is dropped";
            self.incomplete("expect", help, &place);
            return None;
        };
        Some(TestConfig {
            name: name.map(|name| name.value),
            source: source.into_iter().collect(),
            input: input.value,
            expect: self.expect(expect.node),
            place,
        })
    }

    fn incomplete(&mut self, key: &str, help: &str, place: &Place) {
        let message = format!("a test has no `{key}`");
        let error = Diagnostic::error("config::missing", message).at(place);
        self.errors.push(error.help(help));
    }

    fn expect(&mut self, node: Node) -> Vec<(Spanned<String>, Vec<Expected>)> {
        let entries = match node.value {
            Value::Map(entries) => entries,
            Value::Null => Vec::new(),
            _ => {
                let message = format!("`expect` must be a map from sinks, not {}", node.kind());
                let error = Diagnostic::error("config::type", message).at(&node.place);
                let help = "write the sink's name and {}: expect: { archive: {} }";
                self.errors.push(error.help(help));
                return Vec::new();
            }
        };
        let each = entries.into_iter().map(|Entry { key, node }| {
            let mut fields = Vec::new();
            match node.value {
                Value::Map(entries) => self.expected(&[], entries, &mut fields),
                Value::Null => {}
                _ => {
                    let message = format!("what `{}` gets must be a map of fields", key.value);
                    let error = Diagnostic::error("config::type", message).at(&node.place);
                    self.errors.push(error.help("write {} if no field matters"));
                }
            }
            (key, fields)
        });
        each.collect()
    }

    /// `http: { status: 503 }` and `http.status: 503` are the same.
    fn expected(&mut self, outer: &[Box<str>], entries: Vec<Entry>, out: &mut Vec<Expected>) {
        for Entry { key, node } in entries {
            let path = match Path::parse(&key.value) {
                Ok(path) => path,
                Err(error) => {
                    let message = format!("`{}` is no field: {error}", key.value);
                    self.error("config::value", message, &key.place);
                    continue;
                }
            };
            let parts = [outer, path.parts()].concat();
            let path = Path::new(parts, path.is_field_only());
            let place = node.place.clone();
            let value = match &node.value {
                Value::Null => None,
                Value::Bool(value) => Some((value.to_string(), true)),
                Value::Number(number) => Some((number.to_string(), false)),
                Value::String { .. } => match self.text(&key.value, &node) {
                    Some(text) => Some((text.value, true)),
                    None => continue,
                },
                Value::List(_) => {
                    let message = "a list cannot be compared";
                    let error = Diagnostic::error("config::type", message).at(&place);
                    self.errors
                        .push(error.help("expect a single value, or {} for the sink"));
                    continue;
                }
                Value::Map(_) => {
                    if let Value::Map(inner) = node.value {
                        self.expected(path.parts(), inner, out);
                    }
                    continue;
                }
            };
            out.push(Expected { path, value, place });
        }
    }
}
