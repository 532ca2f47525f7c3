//! Trees of the three formats, their places, and text that means harm.

use super::*;

impl Node {
    /// The value of `key`, if this is a map that has it.
    pub(in crate::config) fn get(&self, key: &str) -> Option<&Node> {
        let Value::Map(entries) = &self.value else {
            return None;
        };
        let entry = entries.iter().find(|entry| entry.key.value == key)?;
        Some(&entry.node)
    }
}

fn read(name: &str, text: &str) -> Result<Node, Diagnostic> {
    parse(name, text, Format::of(name))
}

fn text(node: Option<&Node>) -> Option<&str> {
    match &node?.value {
        Value::String { text, .. } => Some(text),
        _ => None,
    }
}

#[test]
fn the_three_formats_give_the_same_tree_with_places() {
    for (name, text, place) in [
        ("t.yaml", "a:\n  b: [x, 1, true]\n", "t.yaml:2:6"),
        (
            "t.json",
            "{\"a\":\n\t{\"b\": [\"x\", 1, true]}}",
            "t.json:2:8",
        ),
        ("t.toml", "[a]\nb = ['x', 1, true]\n", "t.toml:2:5"),
    ] {
        let node = read(name, text).expect(name);
        let list = node.get("a").and_then(|a| a.get("b")).expect(name);
        assert_eq!(list.place.to_string(), place);
        let Value::List(items) = &list.value else {
            panic!("{name}: {list:?}");
        };
        assert!(matches!(&items[0].value, Value::String { text, .. } if text == "x"));
        assert!(matches!(&items[1].value, Value::Number(n) if n.as_u64() == Some(1)));
        assert!(matches!(&items[2].value, Value::Bool(true)));
    }
}

#[test]
fn anchors_and_merge_keys_expand_and_keep_their_places() {
    let node = read(
        "t.yaml",
        "x: &x { b: one, c: two }\ny: { <<: *x, c: own }\nz: *x\n",
    );
    let node = node.unwrap();
    let merged = node.get("y").unwrap();
    assert_eq!(text(merged.get("c")), Some("own"));
    assert_eq!(text(merged.get("b")), Some("one"));
    assert_eq!(merged.get("b").unwrap().place.to_string(), "t.yaml:1:12");
    assert_eq!(text(node.get("z").unwrap().get("c")), Some("two"));
}

#[test]
fn booleans_are_strict_and_codes_stay_text() {
    let node = read("t.yaml", "a: yes\nb: 0123\nc: true\nd: 1_000\n").unwrap();
    assert_eq!(text(node.get("a")), Some("yes"));
    assert_eq!(text(node.get("b")), Some("0123"));
    assert_eq!(text(node.get("d")), Some("1_000"));
    assert!(matches!(node.get("c").unwrap().value, Value::Bool(true)));
}

#[test]
fn errors_say_where_and_what() {
    for (name, text, shown) in [
        (
            "t.yaml",
            "a: 1\nb: é\na: 2\n",
            "t.yaml:3:1: the key `a` is written twice",
        ),
        ("t.yaml", "a: [1\n", "t.yaml:1:4: unclosed bracket '['"),
        (
            "t.yaml",
            "a: *no\n",
            "t.yaml:1:4: alias references unknown anchor",
        ),
        (
            "t.yaml",
            "a: 1\n---\nb: 1\n",
            "t.yaml:3:1: a config is one YAML document",
        ),
        (
            "t.json",
            "{\"a\": 1,\n é}",
            "t.json:2:2: key must be a string",
        ),
        (
            "t.json",
            "{\"a\": 1, \"a\": 2}",
            "t.json:1:10: the key `a` is written twice",
        ),
        ("t.toml", "a = 1\na = 2\n", "t.toml:2:1: duplicate key"),
        ("t.toml", "a = nan\n", "t.toml:1:5: a number must be finite"),
    ] {
        let error = read(name, text).expect_err(text).to_string();
        assert!(
            error.starts_with(&format!("error[config::syntax]: {shown}")),
            "{error}"
        );
    }
}

#[test]
fn hostile_text_is_refused_and_never_costs_much() {
    let mut laughs = String::from("a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for n in 1..12 {
        let alias = format!("*a{}, ", n - 1).repeat(10);
        laughs.extend([format!("a{n}: &a{n} [{alias}]\n")]);
    }
    let nodes = format!("a: [{}]", "x, ".repeat(NODES_MAX + 1));
    let large = " ".repeat(TEXT_BYTES_MAX + 1);
    let brackets = "[".repeat(100_000);
    let braces = "{a: ".repeat(100_000);
    let dashes = "- ".repeat(100_000);
    let indented: Vec<_> = (0..200).map(|n| format!("{}a:\n", " ".repeat(n))).collect();
    let indented = indented.concat();
    for text in [
        &laughs, &nodes, &large, &brackets, &braces, &dashes, &indented,
    ] {
        assert!(read("t.yaml", text).is_err(), "{}", &text[..40]);
    }
    for text in [&brackets, &large] {
        assert!(read("t.json", text).is_err());
    }
    let arrays = format!("a = {brackets}");
    assert!(read("t.toml", &arrays).is_err());
    let tables = format!("a = {}", "{a=".repeat(100_000));
    assert!(read("t.toml", &tables).is_err());
}
