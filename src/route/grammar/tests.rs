//! What parses, as what, and what is said of what does not.

use proptest::prelude::*;

use super::super::Expression;

/// Rules and the canonical form they are read as.
const RULES: &[(&str, &str)] = &[
    ("level >= warn", "level >= warn"),
    ("level == 'ERR'", "level == error"),
    ("level in [warn, fatal]", "level in [warn, fatal]"),
    ("level in warn..error", "level in [warn..error]"),
    ("service==pay", "service == \"pay\""),
    ("service =~ /^pay/i", "service =~ /^pay/i"),
    (r"path !~ /a\/b\\/", r"path !~ /a\/b\\/"),
    (r"path =~ 'a/b'", r"path =~ /a\/b/"),
    ("http.status in 200..399", "http.status in [200..399]"),
    (
        "a not in [1, 'x', 5s, 10KiB, -1.5..2]",
        "a not in [1, \"x\", 5s, 10240B, -1.5..2]",
    ),
    ("a in []", "a in []"),
    ("a in ['x',]", "a in [\"x\"]"),
    ("a in 'x, 7\n10.0.0.0/8'", "a in [\"x\", 7, 10.0.0.0/8]"),
    ("client in 10.0.0.0/8", "client in [10.0.0.0/8]"),
    ("client in fe80::/10", "client in [fe80::/10]"),
    ("took > 500ms", "took > 0.5s"),
    ("size <= 10MiB", "size <= 10485760B"),
    (
        "at > 2026-11-23T13:32:42+01:00",
        "at > 2026-11-23T12:32:42Z",
    ),
    (
        "timestamp > '2026-11-23T13:32:42Z'",
        "timestamp > 2026-11-23T13:32:42Z",
    ),
    ("day == 2026-11-23", "day == \"2026-11-23\""),
    ("id == 9007199254740993", "id == 9007199254740993"),
    ("id == 1e20", "id == 1e20"),
    ("id == 550e8400-e29b", "id == \"550e8400-e29b\""),
    ("a == .b.c", "a == .b.c"),
    (".level == '5'", ".level == \"5\""),
    (
        "k8s.labels.\"app.io/name\" == x",
        "k8s.labels.\"app.io/name\" == \"x\"",
    ),
    ("'odd name' == 1", "\"odd name\" == 1"),
    ("message contains 500", "message contains \"500\""),
    (
        "a startswith \"\\u{e9}\\n\" or b endswith 'it\\'s'",
        "a startswith \"é\\n\" or b endswith \"it's\"",
    ),
    ("'boom'", "\"boom\""),
    ("not exists( a )", "not exists(a)"),
    ("nothing == 1 and order == 2", "nothing == 1 and order == 2"),
    ("'in' == 1", "\"in\" == 1"),
    ("'5'.x == 1", "\"5\".x == 1"),
    (".not == 1", ".not == 1"),
    ("order.in == 1", "order.in == 1"),
    (
        "a == 1 or b == 2 and not c == 3",
        "a == 1 or (b == 2 and not c == 3)",
    ),
    (
        "((a == 1)) and (b == 2 or 'x')",
        "a == 1 and (b == 2 or \"x\")",
    ),
    ("not not a == true", "not not a == \"true\""),
    ("not(a == 1)and(b == 2)", "not a == 1 and b == 2"),
];

#[test]
fn rules_are_read() {
    for (text, canonical) in RULES {
        let expression = Expression::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
        if let Ok(inner) = Expression::parse(canonical) {
            assert_eq!(expression, inner, "{text}");
        }
        // A term in parentheses alone is shown without them.
        assert_eq!(expression.to_string(), *canonical, "{text}");
        assert!(Expression::parse(text).is_ok());
    }
}

#[test]
fn terms_know_where_they_stand() {
    let text = "  level >= warn and not ( exists(a) or b in [1, 2] ) ";
    let expression = Expression::parse(text).unwrap();
    let terms = expression.terms();
    let written: Vec<_> = terms.iter().map(|t| &text[t.span.clone()]).collect();
    assert_eq!(written, ["level >= warn", "exists(a)", "b in [1, 2]"]);
}

/// A rule, where it is wrong, and what the message or the help says.
const WRONG: &[(&str, usize, &str)] = &[
    ("", 0, "expected a field's name"),
    ("   ", 3, "the end of the rule"),
    ("name", 0, "write exists(name)"),
    (
        "app.log",
        0,
        "expected an operator after the name `app.log`",
    ),
    ("in == 1", 0, "with a leading dot"),
    ("a = 1", 2, "write `==`"),
    ("a == 1 && b == 2", 7, "write `and`"),
    ("a == 1 || b == 2", 7, "write `or`"),
    ("a == 1 AND b == 2", 7, "write `and`"),
    ("!exists(a)", 0, "write `not`"),
    ("NOT a == 1", 0, "keywords are lower case"),
    ("level >= errro", 9, "did you mean error?"),
    ("level > \"abc\"", 8, "the levels are trace"),
    ("timestamp > yesterday", 12, "expected a time"),
    ("(a == 1", 7, "the parenthesis at column 1 is not closed"),
    ("a == 1)", 6, "never opened"),
    ("a == (1", 5, "expected a value, found `(`"),
    ("a =~ /(/", 5, "unclosed group"),
    ("a =~ /x", 5, "expected a closing `/`"),
    ("a =~ /x/g", 8, "the flag i"),
    ("a =~ /(\\w{1000}){1000}/", 5, "larger than"),
    ("a == /x/", 5, "a regex goes after"),
    ("a == [1]", 5, "write `in` before a list"),
    ("a in 5", 5, "write `==`"),
    ("a in [1 2]", 8, "`,` or `]`"),
    ("a in [1,", 8, "expected a value"),
    ("a in 1..x", 5, "expected two numbers"),
    ("a in x..y", 5, "expected two numbers"),
    ("a in 10.0.0.0/33", 5, "prefix length from 0 to 32"),
    ("a == 10.0.0.0/8", 5, "write `in`"),
    ("a != 1..2", 5, "write `not in`"),
    ("a == null", 5, "write not exists(a)"),
    ("a == and", 5, "in quotes"),
    ("a == 'x", 5, "closing quote"),
    (r"a == 'x\d'", 7, "expected one of the escapes"),
    ("5 < x", 0, "the field stands left"),
    ("a not contains x", 2, "write `not a …`"),
    ("a startsWith x", 2, "write `startswith`"),
    ("a IN [1]", 2, "write `in`"),
    ("a like x", 2, "write `=~ /re/`"),
    ("1 < a < 3", 0, "left"),
    ("a < b < 3", 6, "one operator"),
    ("exists(a", 8, "`)` after the name"),
    ("a. == 1", 2, "expected a name"),
    ("not", 3, "expected"),
    ("a == 1 and", 10, "the end of the rule"),
];

#[test]
fn errors_point_and_help() {
    for (text, offset, says) in WRONG {
        let error = Expression::parse(text).expect_err(text);
        let said = error.to_string();
        assert_eq!(error.offset, *offset, "{text}: {said}");
        assert!(said.contains(says), "{text}: {said}");
        assert!(error.offset + error.len <= text.len(), "{text}: {said}");
        assert!(Expression::parse(text).is_err());
    }
}

#[test]
fn hostile_depth_and_length_are_refused() {
    for open in ["(", "not ", "not (", "(("] {
        let deep = format!("{}a == 1", open.repeat(Expression::LEN_MAX / 8));
        let error = Expression::parse(&deep).unwrap_err();
        assert!(error.message.contains("nesting"), "{error}");
    }
    let open = "(".repeat(Expression::DEPTH_MAX);
    let close = ")".repeat(Expression::DEPTH_MAX);
    assert!(Expression::parse(&format!("{open}a == 1{close}")).is_ok());
    let long = format!("a == {}", "x".repeat(Expression::LEN_MAX));
    assert!(
        Expression::parse(&long)
            .unwrap_err()
            .message
            .contains("at most")
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_text_is_read_or_refused(text in "\\PC{0,60}") {
        if let Err(error) = Expression::parse(&text) {
            prop_assert!(text.is_char_boundary(error.offset));
            prop_assert!(text.is_char_boundary(error.offset + error.len));
            prop_assert!(!error.message.is_empty());
        }
    }

    /// Near misses: tokens of the language in any order.
    #[test]
    fn any_tokens_are_read_or_refused(
        tokens in prop::collection::vec(prop::sample::select(&[
            "a", ".b", "level", "==", "!=", ">=", "=~", "in", "not", "and", "or", "(", ")", "[",
            "]", ",", "..", "1", "5ms", "9007199254740993", "'x'", "\"", "/x/", "/", "warn",
            "exists(", "contains", "10.0.0.0/8", "null", "é", "\\", "\n",
        ][..]), 0..14),
        glue in prop::sample::select(&["", " "][..]),
    ) {
        let text = tokens.join(glue);
        match Expression::parse(&text) {
            Ok(expression) => {
                let shown = expression.to_string();
                let again = Expression::parse(&shown).map_err(|e| e.to_string());
                prop_assert_eq!(again, Ok(expression), "{}", shown);
            }
            Err(error) => {
                prop_assert!(text.is_char_boundary(error.offset));
                prop_assert!(text.is_char_boundary(error.offset + error.len));
                prop_assert!(!error.message.is_empty());
            }
        }
    }
}
