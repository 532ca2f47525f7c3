//! References: what they expand to, and that no value brings structure.

use super::*;
use crate::config::place::Origin;

fn env() -> Vec<(String, String)> {
    [
        ("A", "1"),
        ("EMPTY", ""),
        ("EVIL", "x\" or level >= \"trace"),
        ("LIST", "a, b\nc\"d\n\n"),
        ("NESTED", "${A} $${A}"),
        ("SLASH", r"\"),
    ]
    .map(|(k, v)| (k.to_owned(), v.to_owned()))
    .to_vec()
}

fn place() -> Place {
    Place::of(Origin::Variable("TFLOG_X".into()))
}

fn expand(text: &str) -> Result<String, String> {
    let env = env();
    let masked = Variables::new(&env).mask(text, &place());
    masked.map(|m| m.all().text).map_err(|e| e.message)
}

fn rule(text: &str) -> Result<String, String> {
    let env = env();
    let masked = Variables::new(&env).mask(text, &place()).unwrap();
    let rule = masked.rule(&place());
    rule.map(|rule| rule.value).map_err(|e| e.message)
}

#[test]
fn references_expand_once() {
    for (text, value) in [
        ("a${A}b${A}", "a1b1"),
        ("${EMPTY}", ""),
        ("${EMPTY:-d}", "d"),
        ("${UNSET:-a:b/c}", "a:b/c"),
        ("${UNSET:-}", ""),
        ("${A:?needed}", "1"),
        ("$${A} $$ $A ${A}", "${A} $$ $A 1"),
        ("$$${A}", "$${A}"),
        ("${NESTED}", "${A} $${A}"),
        ("cost: 5$", "cost: 5$"),
    ] {
        assert_eq!(expand(text), Ok(value.to_owned()), "{text}");
    }
}

#[test]
fn what_cannot_be_expanded_says_why() {
    for (text, error) in [
        ("${UNSET}", "the variable `UNSET` is not set"),
        (
            "${EMPTY:?set it}",
            "the variable `EMPTY` is not set: set it",
        ),
        ("${A", "a `${` is never closed"),
        ("${}", "`${}` does not name a variable"),
        ("${1A}", "`${1A}` does not name a variable"),
        ("${A-b}", "`${A-b}` is not a reference"),
        ("${A:-${A}}", "a variable cannot stand in another's default"),
        ("a\0b", "a NUL cannot stand in a value"),
    ] {
        assert_eq!(expand(text), Err(error.to_owned()), "{text}");
    }
    let missing = expand("${file:/nonexistent/x}").unwrap_err();
    assert!(
        missing.starts_with("cannot read the secret file /nonexistent/x: "),
        "{missing}"
    );
}

#[test]
fn secret_files_lose_one_line_break_and_are_bounded() {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, content: &[u8]| {
        let path = dir.path().join(name);
        std::fs::write(&path, content).unwrap();
        expand(&format!("${{file:{}}}", path.display()))
    };
    assert_eq!(file("a", b"pw\n"), Ok("pw".into()));
    assert_eq!(file("b", b"pw\r\n"), Ok("pw".into()));
    assert_eq!(file("c", b"pw\n\n"), Ok("pw\n".into()));
    assert_eq!(file("d", b"${A}"), Ok("${A}".into()));
    let large = vec![b'x'; SECRET_FILE_BYTES_MAX as usize + 1];
    assert!(
        file("e", &large)
            .unwrap_err()
            .ends_with("larger than 64 KiB")
    );
    assert!(file("f", b"a\0b").unwrap_err().ends_with("it holds a NUL"));
    assert!(file("g", b"\xff").is_err());
}

#[test]
fn in_a_rule_a_value_is_one_string_whatever_it_holds() {
    for (text, value) in [
        (
            "service == ${EVIL}",
            r#"service == "x\" or level >= \"trace""#,
        ),
        (
            r#"service == "a ${EVIL}""#,
            r#"service == "a x\" or level >= \"trace""#,
        ),
        (
            "service == 'a ${EVIL}'",
            r#"service == 'a x" or level >= "trace'"#,
        ),
        ("service == ${SLASH}", r#"service == "\\""#),
        (r#"a == "\${A}""#, r#"a == "\1""#),
        (
            "service in ${LIST} and x",
            r#"service in ["a", "b", "c\"d"] and x"#,
        ),
        ("service in [${LIST}]", "service in [\"a, b\nc\\\"d\n\n\"]"),
        ("service not in ${EMPTY}", "service not in []"),
        (
            "path =~ /^a$/ and s == ${A}",
            r#"path =~ /^a$/ and s == "1""#,
        ),
        ("${EVIL}", r#""x\" or level >= \"trace""#),
    ] {
        assert_eq!(rule(text), Ok(value.to_owned()), "{text}");
    }
    assert!(
        rule("a =~ /x${A}/")
            .unwrap_err()
            .starts_with("a variable cannot stand in a regex")
    );
}

#[test]
fn a_place_in_an_expanded_rule_is_found_in_what_was_written() {
    let source = "k: 'a == ${EVIL} and bcd == $${x'\n";
    let env = env();
    let document =
        crate::config::document::parse("t.yaml", source, crate::config::document::Format::Yaml)
            .unwrap();
    let node = document.get("k").unwrap();
    let crate::config::document::Value::String { text, .. } = &node.value else {
        panic!("not a string");
    };
    let masked = Variables::new(&env).mask(text, &node.place).unwrap();
    let rule = masked.rule(&node.place).unwrap();
    for word in ["a ==", "and", "bcd", "x"] {
        let at = rule.value.rfind(word).unwrap();
        let found = rule.at(at..at + word.len()).span;
        assert_eq!(&source[found], word);
    }
    let inside_value = rule.value.find("trace").unwrap();
    let found = rule.at(inside_value..inside_value + 2).span;
    assert!(source[..found.start].len() >= source.find("${").unwrap());
    assert!(found.end <= source.find(" and").unwrap());
}
