//! Scalars, lists of names and maps of known keys, read with their errors.

use super::component::is_later;
use super::diagnostic::Diagnostic;
use super::document::{Entry, Node, Value};
use super::interpolate::Masked;
use super::keys::{self, Key, nearest};
use super::place::{Place, RuleText, Spanned};
use super::read::{Fields, Reader};
use super::secret::is_secret_key;
use crate::component::{ByteSize, Period};

impl Reader<'_> {
    pub(super) fn error(&mut self, code: &'static str, message: impl Into<String>, place: &Place) {
        self.errors.push(Diagnostic::error(code, message).at(place));
    }

    fn wrong_type(&mut self, key: &str, wanted: &str, node: &Node) {
        let message = format!("`{key}` must be {wanted}, not {}", node.kind());
        self.error("config::type", message, &node.place);
    }

    /// A map's keys, without those that are unknown or not supported: those
    /// are errors.
    pub(super) fn map(&mut self, what: &str, node: Node, table: &'static [Key]) -> Option<Fields> {
        let kind = node.kind();
        let Value::Map(entries) = node.value else {
            let message = format!("{what} must be a map, not {kind}");
            self.error("config::type", message, &node.place);
            return None;
        };
        Some(self.fields(what, entries, table))
    }

    /// As `map`, of entries.
    pub(super) fn fields(
        &mut self,
        what: &str,
        mut entries: Vec<Entry>,
        table: &'static [Key],
    ) -> Fields {
        entries.retain(|entry| self.is_usable(what, &entry.key, table));
        Fields { entries }
    }

    fn is_usable(&mut self, what: &str, key: &Spanned<String>, table: &'static [Key]) -> bool {
        let name = &key.value;
        match keys::find(table, name) {
            Some(known) if is_later(known) => {
                let message = format!("`{name}` of {what} is not supported by this version");
                let error = Diagnostic::error("config::unsupported", message).at(&key.place);
                self.errors.push(error.help("remove it"));
                false
            }
            Some(_) => true,
            None => {
                let near = nearest(name, table.iter().map(|key| key.name));
                let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
                let message = format!("{what} has no key `{name}`");
                let error = Diagnostic::error("config::unknown_key", message).at(&key.place);
                let help = format!("{near}valid keys are {}", keys::list(table));
                self.errors.push(error.help(help));
                false
            }
        }
    }

    /// A text's references, taken out.
    pub(super) fn mask(&mut self, node: &Node) -> Option<Masked> {
        let Value::String { text, .. } = &node.value else {
            let message = format!("this must be text, not {}", node.kind());
            let error = Diagnostic::error("config::type", message).at(&node.place);
            self.errors.push(error.help("put it in quotes"));
            return None;
        };
        match self.variables.mask(text, &node.place) {
            Ok(masked) => {
                for secret in masked.secrets() {
                    self.secrets.add(secret);
                }
                Some(masked)
            }
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    /// Text with its variables in.
    pub(super) fn text(&mut self, key: &str, node: &Node) -> Option<Spanned<String>> {
        if !matches!(node.value, Value::String { .. }) {
            self.wrong_type(key, "text", node);
            return None;
        }
        let text = self.mask(node)?.all().text;
        if is_secret_key(key) {
            self.secrets.add(&text);
        }
        Some(Spanned {
            value: text,
            place: node.place.clone(),
        })
    }

    /// A rule with its variables in, each as a string.
    pub(super) fn rule(&mut self, node: &Node) -> Option<RuleText> {
        if let Value::Bool(_) | Value::Number(_) = node.value {
            self.wrong_type("when", "a rule in text", node);
            return None;
        }
        match self.mask(node)?.rule(&node.place) {
            Ok(rule) => Some(rule),
            Err(error) => {
                self.errors.push(error);
                None
            }
        }
    }

    /// A size, variables in.
    pub(super) fn size(&mut self, fields: &mut Fields, key: &str) -> Option<ByteSize> {
        let node = fields.take(key)?;
        let text = self.number_or_text(key, "a size", &node)?;
        let size = ByteSize::parse(&text.value);
        self.parsed(size, &text.place)
    }

    /// A duration, variables in.
    pub(super) fn period(&mut self, key: &str, node: &Node) -> Option<Period> {
        let text = self.number_or_text(key, "a duration", node)?;
        let period = Period::parse(&text.value);
        self.parsed(period, &text.place)
    }

    /// A number of things, variables in.
    pub(super) fn count(&mut self, key: &str, node: &Node) -> Option<usize> {
        let text = self.number_or_text(key, "a number", node)?;
        let count = text.value.parse().ok().filter(|count| *count > 0);
        let message = || format!("`{key}` must be a number, at least 1");
        self.parsed(count.ok_or_else(message), &text.place)
    }

    fn number_or_text(&mut self, key: &str, wanted: &str, node: &Node) -> Option<Spanned<String>> {
        match &node.value {
            Value::Number(number) => Some(Spanned {
                value: number.to_string(),
                place: node.place.clone(),
            }),
            Value::String { .. } => self.text(key, node),
            _ => {
                self.wrong_type(key, wanted, node);
                None
            }
        }
    }

    fn parsed<T>(&mut self, value: Result<T, String>, place: &Place) -> Option<T> {
        match value {
            Ok(value) => Some(value),
            Err(message) => {
                self.error("config::value", message, place);
                None
            }
        }
    }

    /// A boolean; text only where a variable says it.
    pub(super) fn flag(&mut self, fields: &mut Fields, key: &str) -> Option<bool> {
        let node = fields.take(key)?;
        let text = match &node.value {
            Value::Bool(value) => return Some(*value),
            Value::String { quoted: false, .. } => self.text(key, &node)?.value,
            _ => String::new(),
        };
        match text.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            _ => {
                let message = format!("`{key}` must be `true` or `false`");
                let error = Diagnostic::error("config::type", message).at(&node.place);
                let help = "YAML 1.2 has no other booleans: `yes`, `no`, `on` and `off` are text";
                self.errors.push(error.help(help));
                None
            }
        }
    }

    /// One name or a list of at least one.
    pub(super) fn names(&mut self, key: &str, node: Node) -> Vec<Spanned<String>> {
        let place = node.place.clone();
        let items = match node.value {
            Value::List(items) => items,
            _ => vec![node],
        };
        if items.is_empty() {
            self.error("config::value", format!("`{key}` names nothing"), &place);
        }
        let names = items.iter().map(|item| self.text(key, item));
        names.collect::<Vec<_>>().into_iter().flatten().collect()
    }
}
