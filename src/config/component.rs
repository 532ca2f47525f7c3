//! One source or sink: a URL, or a map with `url` and the same keys, to a
//! definition and the keys that all components share.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::Map;

use super::diagnostic::Diagnostic;
use super::document::{Entry, Node, Value};
use super::env::typed;
use super::keys::{self, Key, Takes};
use super::place::{Origin, Place, Spanned};
use super::read::{Fields, Reader};
use super::url::{self, Side, Url};
use crate::component::{BuildError, Definition};

/// Where the keys of a component were written.
#[derive(Clone, Debug)]
pub struct Places {
    whole: Place,
    values: BTreeMap<String, Place>,
    keys: BTreeMap<String, Place>,
}

impl Places {
    /// The place of a dotted key, of the nearest key that it is in, or of the
    /// whole component.
    #[must_use]
    pub fn of(&self, key: Option<&str>) -> &Place {
        let mut key = key;
        while let Some(name) = key {
            if let Some(place) = self.values.get(name) {
                return place;
            }
            key = name.rsplit_once('.').map(|(outer, _)| outer);
        }
        &self.whole
    }

    fn note(&mut self, entries: &[Entry], prefix: &str) {
        for entry in entries {
            let key = format!("{prefix}{}", entry.key.value);
            if let Value::Map(inner) = &entry.node.value {
                self.note(inner, &format!("{key}."));
            }
            self.values.insert(key.clone(), entry.node.place.clone());
            self.keys.insert(key, entry.key.place.clone());
        }
    }
}

/// A component with what is still to be read of its shared keys.
pub(super) struct Component {
    pub(super) definition: Definition,
    pub(super) shared: Fields,
    pub(super) places: Places,
}

impl Reader<'_> {
    /// Reads the component `name`; none if an error kept it from being read.
    pub(super) fn component(
        &mut self,
        name: &Spanned<String>,
        node: Node,
        side: Side,
    ) -> Option<Component> {
        let (url_node, mut options) = self.url_and_options(name, node, side)?;
        let masked = self.mask(&url_node)?;
        let url = match url::parse(&masked, &url_node.place, side) {
            Ok(url) => url,
            Err(error) => {
                self.errors.push(error);
                return None;
            }
        };
        for secret in &url.secrets {
            self.secrets.add(secret);
        }
        if url
            .secrets
            .iter()
            .any(|s| !s.is_empty() && masked.text.contains(s.as_str()))
        {
            self.in_plain_text("this URL holds a secret in plain text", &url_node.place);
        }
        self.plain_secrets("", &options);
        self.add_query(&url, &url_node.place, &mut options);
        let mut places = Places {
            whole: url_node.place.clone(),
            values: BTreeMap::new(),
            keys: BTreeMap::new(),
        };
        places.note(&options, "");
        let table = shared_keys(side);
        let (shared, own): (Vec<_>, Vec<_>) = options
            .into_iter()
            .partition(|entry| keys::find(table, &entry.key.value).is_some());
        let what = format!("{} `{}`", side.name(), name.value);
        let shared = self.fields(&what, shared, table);
        let options = own.into_iter().filter_map(|entry| {
            let key = entry.key.value;
            let value = self.json(&key, entry.node)?;
            Some((key, value))
        });
        let options: Map<_, _> = options.collect();
        Some(Component {
            definition: Definition {
                name: Arc::from(name.value.as_str()),
                scheme: url.scheme.to_owned(),
                target: url.target,
                tls: url.tls || url.scheme == "https",
                options,
            },
            shared,
            places,
        })
    }

    /// Looks for secrets that are written out among keys beside the URL.
    fn plain_secrets(&mut self, prefix: &str, entries: &[Entry]) {
        for entry in entries {
            let path = format!("{prefix}{}", entry.key.value);
            match &entry.node.value {
                Value::Map(inner) => self.plain_secrets(&format!("{path}."), inner),
                // `token: none` says that there is none.
                Value::String { text, .. }
                    if super::secret::is_secret_key(&path)
                        && !text.contains("${")
                        && !matches!(text.as_str(), "" | "none") =>
                {
                    let message = format!("the `{path}` is written in plain text");
                    self.in_plain_text(&message, &entry.node.place);
                }
                _ => {}
            }
        }
    }

    /// Says that a secret stands in a config file.
    fn in_plain_text(&mut self, message: &str, place: &Place) {
        let said = self
            .warnings
            .iter()
            .any(|w| w.place.as_ref() == Some(place));
        if !said && matches!(&*place.origin, Origin::File { .. }) {
            let warning = Diagnostic::warning("config::secret", message).at(place);
            self.warnings.push(warning.help(
                "write ${VAR} or ${file:/run/secrets/…} there, so that it is not kept with the config",
            ));
        }
    }

    fn url_and_options(
        &mut self,
        name: &Spanned<String>,
        node: Node,
        side: Side,
    ) -> Option<(Node, Vec<Entry>)> {
        let what = format!("{} `{}`", side.name(), name.value);
        match node.value {
            Value::String { .. } => Some((node, Vec::new())),
            Value::Map(mut entries) => {
                let Some(at) = entries.iter().position(|entry| entry.key.value == "url") else {
                    let error =
                        Diagnostic::error("config::missing", format!("{what} has no `url`"));
                    self.errors.push(
                        error
                            .at(&name.place)
                            .help("write `url: SCHEME:…`, or check the name for a typing error"),
                    );
                    return None;
                };
                Some((entries.remove(at).node, entries))
            }
            _ => {
                let message = format!(
                    "{what} must be a URL or a map with `url`, not {}",
                    node.kind()
                );
                self.errors
                    .push(Diagnostic::error("config::type", message).at(&node.place));
                None
            }
        }
    }

    /// Puts the query's keys among the map's; a key in both is an error.
    fn add_query(&mut self, url: &Url, place: &Place, options: &mut Vec<Entry>) {
        for option in &url.options {
            let text = || Value::String {
                // Values are in already: what looks like a reference now is text.
                text: option.text.replace("${", "$${"),
                quoted: true,
            };
            let value = option.plain.then(|| typed(&option.text)).flatten();
            let node = Node {
                value: value.unwrap_or_else(text),
                place: place.clone(),
            };
            if option.key.split('.').next() == Some("url") {
                self.error(
                    "config::url",
                    "a URL cannot have a `url` in its query",
                    place,
                );
            } else if let Err(taken) = insert(options, &option.key, node) {
                let message = format!("`{}` is both in the URL and beside it", option.key);
                self.errors.push(
                    Diagnostic::error("config::twice", message)
                        .at(&taken)
                        .help("keep one of them"),
                );
            }
        }
    }

    /// A component's own option as JSON, variables expanded.
    pub(super) fn json(&mut self, path: &str, node: Node) -> Option<serde_json::Value> {
        Some(match node.value {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => value.into(),
            Value::Number(value) => value.into(),
            Value::String { quoted, .. } => {
                let masked = self.mask(&node)?;
                let filled = masked.all();
                if super::secret::is_secret_key(path) {
                    self.secrets.add(&filled.text);
                } else if filled.whole && !quoted && !filled.secret {
                    match typed(&filled.text) {
                        Some(Value::Bool(value)) => return Some(value.into()),
                        Some(Value::Number(value)) => return Some(value.into()),
                        _ => {}
                    }
                }
                filled.text.into()
            }
            Value::List(items) => items
                .into_iter()
                .filter_map(|item| self.json(path, item))
                .collect::<Vec<_>>()
                .into(),
            Value::Map(entries) => entries
                .into_iter()
                .filter_map(|entry| {
                    let value = self.json(&format!("{path}.{}", entry.key.value), entry.node)?;
                    Some((entry.key.value, value))
                })
                .collect::<Map<_, _>>()
                .into(),
        })
    }
}

/// A component's own error, with the place of its key. What serde says of an
/// unknown key lists the component's keys; the shared ones may have been meant.
pub(super) fn diagnostic(error: &BuildError, component: Option<(Side, &Places)>) -> Diagnostic {
    let message = error.message.as_str();
    let unknown = message.strip_prefix("unknown field `");
    let unknown = unknown.and_then(|rest| rest.split('`').next());
    let key = error.key.as_deref().or(unknown);
    let name = &error.component;
    let (message, mut help) = match (unknown, component) {
        (Some(unknown), Some((side, _))) => {
            // "…, expected one of `a`, `b`": every second part is a key.
            let own = message.split('`').skip(3).step_by(2);
            let shared = shared_keys(side).iter().filter(|key| !is_later(key));
            let valid: Vec<_> = shared.map(|key| key.name).chain(own).collect();
            let near = keys::nearest(unknown, valid.iter().copied());
            let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
            let help = format!("{near}valid keys are {}", valid.join(", "));
            let message = format!("{} `{name}` has no key `{unknown}`", side.name());
            (message, Some(help))
        }
        _ => match key {
            Some(key) => (format!("{name}.{key}: {message}"), None),
            None => (format!("{name}: {message}"), None),
        },
    };
    if error.help.is_some() {
        help.clone_from(&error.help);
    }
    let mut diagnostic = Diagnostic::error("config::component", message);
    diagnostic.place = component.map(|(_, places)| {
        let written = unknown.and_then(|key| places.keys.get(key));
        written.unwrap_or_else(|| places.of(key)).clone()
    });
    diagnostic.help = help.map(Into::into);
    diagnostic
}

/// The keys that every component of a side has.
pub(super) fn shared_keys(side: Side) -> &'static [Key] {
    match side {
        Side::Source => keys::SOURCE,
        Side::Sink => keys::SINK,
    }
}

/// Inserts at a dotted key; if something is there, where that was written.
fn insert(entries: &mut Vec<Entry>, key: &str, node: Node) -> Result<(), Place> {
    let (first, rest) = key.split_once('.').unwrap_or((key, ""));
    let known = entries.iter_mut().find(|entry| entry.key.value == first);
    match (known, rest) {
        (None, _) => {
            let place = node.place.clone();
            let node = match rest {
                "" => node,
                rest => super::merge::nest(rest.split('.'), node),
            };
            let key = Spanned {
                value: first.to_owned(),
                place,
            };
            entries.push(Entry { key, node });
            Ok(())
        }
        (Some(entry), rest) => match &mut entry.node.value {
            Value::Map(inner) if !rest.is_empty() => insert(inner, rest, node),
            _ => Err(entry.key.place.clone()),
        },
    }
}

/// Whether a key is planned and cannot be used yet.
pub(super) fn is_later(key: &Key) -> bool {
    key.takes == Takes::Later
}
