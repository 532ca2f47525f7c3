//! `with:` lists as written: one verb an item, its options beside it.

use serde_json::Map;

use super::diagnostic::Diagnostic;
use super::document::{Entry, Node, Value};
use super::keys;
use super::place::{Place, RuleText, Spanned};
use super::read::Reader;

/// One item of a `with` list.
#[derive(Clone, Debug)]
pub struct WithItem {
    /// What it does.
    pub verb: Spanned<String>,
    /// The verb's own value and the options beside it, variables expanded.
    pub options: Map<String, serde_json::Value>,
    /// Which events it is for; none: all that are left.
    pub when: Option<RuleText>,
    /// Options that are rules; in `options` they are only named.
    pub rules: Vec<(String, RuleText)>,
    /// Where the values were written.
    pub(super) places: Vec<(String, Place)>,
    /// Whether what a stream says of itself goes before.
    pub(super) heeds_stream: bool,
}

impl WithItem {
    /// An option that is a rule.
    #[must_use]
    pub fn rule(&self, option: &str) -> Option<&RuleText> {
        let found = self.rules.iter().find(|(name, _)| name == option);
        found.map(|(_, rule)| rule)
    }

    /// Where an option was written; the verb itself for any other name.
    #[must_use]
    pub fn place(&self, option: &str) -> &Place {
        let found = self.places.iter().find(|(name, _)| name == option);
        found.map_or(&self.verb.place, |(_, place)| place)
    }
}

impl Reader<'_> {
    /// Reads a `with` list.
    pub(super) fn with(&mut self, node: Option<Node>) -> Vec<WithItem> {
        let Some(node) = node else {
            return Vec::new();
        };
        let kind = node.kind();
        let Value::List(items) = node.value else {
            let message = format!("`with` must be a list of verbs, not {kind}");
            let error = Diagnostic::error("config::type", message).at(&node.place);
            let help = "write each as `- verb: value`";
            self.errors.push(error.help(help));
            return Vec::new();
        };
        items
            .into_iter()
            .filter_map(|item| self.item(item))
            .collect()
    }

    fn item(&mut self, node: Node) -> Option<WithItem> {
        let (kind, place) = (node.kind(), node.place.clone());
        let Value::Map(entries) = node.value else {
            let message = format!("an item of `with` must be a map with a verb, not {kind}");
            self.error("config::type", message, &place);
            return None;
        };
        let verbs: Vec<_> = entries
            .iter()
            .filter(|entry| keys::VERBS.contains(&&*entry.key.value))
            .map(|entry| entry.key.clone())
            .collect();
        let [verb] = &*verbs else {
            self.verb_count(&verbs, &entries, &place);
            return None;
        };
        let mut item = WithItem {
            verb: verb.clone(),
            options: Map::new(),
            when: None,
            rules: Vec::new(),
            places: Vec::new(),
            heeds_stream: false,
        };
        for Entry { key, node } in entries {
            if key.value == "when" {
                item.when = self.rule(&node);
                continue;
            }
            item.places.push((key.value.clone(), node.place.clone()));
            if keys::VERB_RULES.contains(&&*key.value) {
                let rule = self.rule(&node);
                item.rules
                    .extend(rule.map(|rule| (key.value.clone(), rule)));
                item.options.insert(key.value, true.into());
                continue;
            }
            if let Some(value) = self.json(&key.value, node) {
                item.options.insert(key.value, value);
            }
        }
        Some(item)
    }

    /// An item has one verb.
    fn verb_count(&mut self, verbs: &[Spanned<String>], entries: &[Entry], place: &Place) {
        let valid = keys::VERBS.join(", ");
        if let [first, second, ..] = verbs {
            let message = format!("`{}` and `{}` are two verbs", first.value, second.value);
            let error = Diagnostic::error("config::with", message).at(&second.place);
            self.errors
                .push(error.help("make each an item of its own: they run in order"));
            return;
        }
        let written = entries.first().map(|entry| &entry.key);
        let near = written.and_then(|key| keys::nearest(&key.value, keys::VERBS.iter().copied()));
        let near = near.map_or(String::new(), |near| format!("did you mean `{near}`? "));
        let message = match written {
            Some(key) => format!("`{}` is no verb of `with`", key.value),
            None => "this item of `with` has no verb".to_owned(),
        };
        let place = written.map_or(place, |key| &key.place);
        let error = Diagnostic::error("config::with", message).at(place);
        self.errors
            .push(error.help(format!("{near}verbs are {valid}")));
    }
}
