//! Layers of config into one tree: maps merge, lists and scalars replace.

use super::document::{Entry, Node, Value};
use super::place::Spanned;

/// Lays `over` on `base`. A component or listener that is a URL or address in
/// one layer and a map in a later one is the map with that URL in it.
pub(super) fn merge(base: &mut Node, over: Node) {
    merge_at(base, over, &mut Vec::new());
}

fn merge_at(base: &mut Node, over: Node, path: &mut Vec<String>) {
    lift(base, &over, path);
    let Value::Map(over_entries) = over.value else {
        *base = over;
        return;
    };
    let Value::Map(entries) = &mut base.value else {
        base.value = Value::Map(over_entries);
        base.place = over.place;
        return;
    };
    for Entry { key, node } in over_entries {
        let known = entries
            .iter_mut()
            .find(|entry| entry.key.value == key.value);
        if let Some(entry) = known {
            path.push(key.value);
            merge_at(&mut entry.node, node, path);
            path.pop();
        } else {
            entries.push(Entry { key, node });
        }
    }
}

/// Makes a map of `base` if it is the short form of one and `over` is a map.
fn lift(base: &mut Node, over: &Node, path: &[String]) {
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let key = match path[..] {
        ["http"] => "listen",
        ["sources" | "sinks", _] => "url",
        _ => return,
    };
    if matches!(over.value, Value::Map(_)) && matches!(base.value, Value::String { .. }) {
        let key = Spanned {
            value: key.to_owned(),
            place: base.place.clone(),
        };
        let node = base.clone();
        base.value = Value::Map(vec![Entry { key, node }]);
    }
}

/// `node` as the value of a dotted path: `{a: {b: node}}`.
pub(super) fn nest<'a>(path: impl DoubleEndedIterator<Item = &'a str>, node: Node) -> Node {
    path.rev().fold(node, |node, key| {
        let place = node.place.clone();
        let key = Spanned {
            value: key.to_owned(),
            place: place.clone(),
        };
        let value = Value::Map(vec![Entry { key, node }]);
        Node { value, place }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::document::{Format, parse};

    /// A tree in one line; keys in their order.
    fn flat(node: &Node) -> String {
        match &node.value {
            Value::Null => "null".into(),
            Value::Bool(value) => value.to_string(),
            Value::Number(value) => value.to_string(),
            Value::String { text, .. } => text.clone(),
            Value::List(items) => {
                format!("[{}]", items.iter().map(flat).collect::<Vec<_>>().join(" "))
            }
            Value::Map(entries) => {
                let entries = entries
                    .iter()
                    .map(|entry| format!("{}={}", entry.key.value, flat(&entry.node)));
                format!("{{{}}}", entries.collect::<Vec<_>>().join(" "))
            }
        }
    }

    #[test]
    fn maps_merge_and_the_rest_is_replaced() {
        for (base, over, merged) in [
            ("a: 1\nb: 2", "b: 3\nc: 4", "{a=1 b=3 c=4}"),
            (
                "a: {b: {c: 1, d: 2}}",
                "a: {b: {d: 3}}",
                "{a={b={c=1 d=3}}}",
            ),
            ("a: [1, 2]", "a: [3]", "{a=[3]}"),
            ("a: {b: 1}", "a: 2", "{a=2}"),
            ("a: 1", "a: {b: 2}", "{a={b=2}}"),
            ("a: 1", "", "null"),
            (
                "sinks: {x: stdout}",
                "sinks: {x: {required: false}}",
                "{sinks={x={url=stdout required=false}}}",
            ),
            (
                "sinks: {x: {url: stdout}}",
                "sinks: {x: stderr}",
                "{sinks={x=stderr}}",
            ),
            (
                "http: ':1'",
                "http: {token: x}",
                "{http={listen=:1 token=x}}",
            ),
            ("a: {x: stdout}", "a: {x: {b: 1}}", "{a={x={b=1}}}"),
        ] {
            let mut node = parse("base", base, Format::Yaml).unwrap();
            merge(&mut node, parse("over", over, Format::Yaml).unwrap());
            assert_eq!(flat(&node), merged, "{base:?} and {over:?}");
        }
    }
}
