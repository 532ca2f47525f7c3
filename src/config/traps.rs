//! YAML that means something else than it looks like.
//!
//! Found in the tree as written, where the text around a value can still be
//! looked at. Only what is hardly ever meant is told.

use super::diagnostic::Diagnostic;
use super::document::{Node, Value};
use super::place::{Origin, Place, Spanned};
use super::point;
use super::secret::is_secret_key;

/// Words that YAML 1.1 took for booleans.
const NO_BOOLEANS: [&str; 4] = ["yes", "no", "on", "off"];
/// Keys whose values are checked to be booleans: these errors say it all.
const FLAGS: [&str; 3] = ["drop", "continue", "required"];
/// Keys whose values are free text, names that were chosen freely, or one of
/// these very words.
const FREE: [&str; 7] = ["name", "from", "to", "when", "input", "expect", "multiline"];

/// What in a file's tree is not what it looks like.
pub(super) fn find(root: &Node) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    walk(root, &mut found);
    found
}

fn walk(node: &Node, found: &mut Vec<Diagnostic>) {
    match &node.value {
        Value::Map(entries) => {
            for entry in entries {
                entry_traps(&entry.key, &entry.node, found);
                // What tests expect is data: it may hold anything.
                if entry.key.value != "tests" {
                    walk(&entry.node, found);
                }
            }
        }
        Value::List(items) => items.iter().for_each(|item| walk(item, found)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String { .. } => {}
    }
}

fn entry_traps(key: &Spanned<String>, node: &Node, found: &mut Vec<Diagnostic>) {
    let name = key.value.as_str();
    match &node.value {
        Value::Map(entries) => {
            if let [only] = &entries[..]
                && matches!(only.node.value, Value::Null)
                && after(&node.place).is_some_and(|text| is_template(text, &only.key.value))
            {
                found.push(template(name, &only.key.value, &node.place));
            }
        }
        Value::Null if name == "when" => found.push(empty_rule(key)),
        Value::String {
            text,
            quoted: false,
        } => {
            found.extend(comment(name, &node.place));
            let lower = text.to_ascii_lowercase();
            if NO_BOOLEANS.contains(&&*lower) && !FLAGS.contains(&name) && !FREE.contains(&name) {
                let message = format!("`{text}` is text in YAML 1.2, not a boolean");
                let warning = Diagnostic::warning("yaml::boolean", message).at(&node.place);
                let help =
                    format!("write true or false; '{text}' in quotes if it is meant as text");
                found.push(warning.help(help));
            }
        }
        _ => {}
    }
}

/// The file's text from where a value begins.
fn after(place: &Place) -> Option<&str> {
    match &*place.origin {
        Origin::File { text, .. } => text.get(place.span.start..),
        _ => None,
    }
}

/// `{service}`: in YAML a map with a key and no value.
fn is_template(text: &str, key: &str) -> bool {
    let inner = text
        .strip_prefix('{')
        .and_then(|rest| rest.split('}').next());
    inner.is_some_and(|inner| inner.trim() == key)
}

fn template(name: &str, key: &str, place: &Place) -> Diagnostic {
    let message = format!("{{{key}}} is a map in YAML here, not the value of `{name}`");
    let error = Diagnostic::error("yaml::braces", message).at(place);
    error.help(format!("put it in quotes: {name}: '{{{key}}}'"))
}

/// `when:` with nothing after it takes every event, which hardly anybody means.
fn empty_rule(key: &Spanned<String>) -> Diagnostic {
    let rest = after(&key.place).unwrap_or_default();
    let rest = rest.lines().next().unwrap_or_default();
    let rest = rest.split_once(':').map_or("", |(_, rest)| rest.trim());
    let (message, help) = if rest.starts_with('!') {
        let message = "this rule is a tag in YAML, and the route takes every event";
        (message, "write `not`, and put the rule in quotes")
    } else if rest.starts_with('#') {
        let message = "this rule is a comment in YAML, and the route takes every event";
        (message, "put the rule in quotes")
    } else {
        let message = "`when` is empty, so that the route takes every event";
        (
            message,
            "write a rule, or remove the key if every event is meant",
        )
    };
    Diagnostic::warning("yaml::empty", message)
        .at(&key.place)
        .help(help)
}

/// ` #tag` after a plain value: a comment, although it does not look like one.
fn comment(name: &str, place: &Place) -> Option<Diagnostic> {
    let text = after(place)?;
    let Origin::File { text: all, .. } = &*place.origin else {
        return None;
    };
    let relevant = name == "when" || name == "url" || is_secret_key(name);
    if !relevant || point::style(all, place.span.start) != Some(point::Style::Plain) {
        return None;
    }
    let line = text.lines().next()?;
    let at = line.find(" #")?;
    let word = &line[at + 1..];
    let is_comment = word[1..].starts_with(|c: char| c.is_whitespace() || c == '#');
    if is_comment || word.len() == 1 {
        return None;
    }
    let start = place.span.start + at + 1;
    let place = place.with_span(start..start + word.len());
    let message = format!("this is a comment in YAML, not a part of `{name}`");
    Some(
        Diagnostic::warning("yaml::comment", message)
            .at(&place)
            .help("put the whole value in quotes; a comment has a space after the `#`"),
    )
}

/// What to do about YAML that could not be read: `message` is the reader's,
/// `rest` the text from the place of the error.
pub(super) fn hint(message: &str, rest: &str) -> Option<&'static str> {
    let first = rest.chars().next().unwrap_or('\n');
    if message.starts_with("tabs") {
        return Some("indent with spaces");
    }
    if message.contains("escape") {
        return Some("in double quotes a backslash is YAML's own: put the value in single quotes");
    }
    if message.contains("trailing content") {
        return Some("put the whole value in quotes of the other kind: 'it has \"text\" in it'");
    }
    if message.contains("mapping values are not allowed") {
        return Some("put the value in quotes: a colon and a space in it begin a map");
    }
    if message.contains("alias") {
        return Some("put the value in quotes: a `*` at its beginning refers to an anchor");
    }
    if message.contains("flow") && matches!(first, '{' | '[') {
        return Some("put the value in quotes: inside { } and [ ] a plain value ends at a bracket");
    }
    None
}

#[cfg(test)]
mod tests {
    use super::super::document::{Format, parse};
    use super::*;

    fn codes(yaml: &str) -> Vec<&'static str> {
        let root = parse("t.yaml", yaml, Format::Yaml).unwrap();
        find(&root).into_iter().map(|d| d.code).collect()
    }

    #[test]
    fn traps_are_found() {
        for (yaml, code) in [
            ("key: {field}", "yaml::braces"),
            ("a: { key: {timestamp:%Y} }", "yaml::braces"),
            ("when: !exists(a)", "yaml::empty"),
            ("when: #tag", "yaml::empty"),
            ("when:\nto: out", "yaml::empty"),
            ("when: message contains #tag", "yaml::comment"),
            ("a: { password: abc #def\n }", "yaml::comment"),
            ("compress: yes", "yaml::boolean"),
            ("a: { b: [], tls: Off }", "yaml::boolean"),
        ] {
            assert_eq!(codes(yaml), [code], "{yaml}");
        }
    }

    #[test]
    fn what_is_meant_is_left_alone() {
        for yaml in [
            "key: '{field}'",
            "headers: { level: }",
            "a: { b: }",
            "when: a == 1 # a comment",
            "when: 'a contains #tag'",
            "url: http://h/#part",
            "path: /x #y",
            "restart: 'no'",
            "drop: yes",
            "multiline: off",
            "name: on",
            "to: [on, off]",
            "when: a == 1 #",
            "tests: [{ expect: { a: { b: yes } } }]",
        ] {
            assert_eq!(codes(yaml), [""; 0], "{yaml}");
        }
    }
}
