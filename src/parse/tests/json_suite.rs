//! The categories of `JSONTestSuite` (github.com/nst/JSONTestSuite, "Parsing JSON
//! is a Minefield"): what must be accepted is, what must be refused is text and
//! counted, what may be either does no harm, and what leaves is JSON.
//!
//! Only objects are events, so each value is tried as the value of a key.

use crate::event::{Columns, Timestamp};
use crate::parse::{Formats, Parser, json};

use super::all_fields;

/// `y_`: values that a parser must accept.
const VALID: &[&str] = &[
    "[]",
    "[ ]",
    "[[]   ]",
    "[\"\"]",
    "[1]",
    "[1,null,true,false]",
    "[null, 1, \"1\", {}]",
    "{}",
    r#"{"a":"b"}"#,
    r#"{"a":"b","a":"b"}"#,
    r#"{"a":"b","a":"c"}"#,
    r#"{"":0}"#,
    r#"{"a\u0000b":1}"#,
    r#"{"min":-1.0e+28,"max":1.0e+28}"#,
    r#"{"x":[{"id":"xxxxxxxxxxxxxxxx"}]}"#,
    "0",
    "-0",
    "0e+1",
    "0e1",
    "4",
    "-0.000000000000000000000000000001",
    "20e1",
    "123",
    "-123",
    "-1",
    "1E22",
    "1E-2",
    "1E+2",
    "123e45",
    "123.456e78",
    "1e-2",
    "1e+2",
    "123.456789",
    "1e0",
    r#""""#,
    r#""a""#,
    r#"" ""#,
    r#""\u0060\u012a\u12AB""#,
    r#""\uD801\udc37""#,
    r#""\ud83d\ude39""#,
    r#""\"\\\/\b\f\n\r\t""#,
    r#""\\u0000""#,
    r#""\"""#,
    r#""a/*b*/c""#,
    r#""\\a""#,
    r#""\\n""#,
    r#""\u0012""#,
    r#""\uFFFF""#,
    r#""asd""#,
    r#""\uDBFF\uDFFF""#,
    r#""\u0821""#,
    r#""\u0123""#,
    "\"\u{2028}\u{2029}\"",
    "\"\u{7f}\"",
    "\"\u{10ffff}\"",
    "\"\u{20ac}\u{1d11e}\"",
    r#""\u0000""#,
    r#""\u0022""#,
    r#""\u005C""#,
    r#""\uA66D""#,
    r#""new\u000Aline""#,
    "true",
    "false",
    "null",
    " [] ",
    "\t1\r",
    "[true ]",
];

/// `n_`: values that a parser must refuse.
const INVALID: &[&str] = &[
    "[1 true]",
    "[\"\": 1]",
    "[\"\"],",
    "[,1]",
    "[1,,2]",
    "[\"x\",,]",
    "[\"x\"]]",
    "[\"\",]",
    "[\"x\"",
    "[x",
    "[3[4]]",
    "[1:2]",
    "[,]",
    "[-]",
    "[   , \"\"]",
    "[1,]",
    "[1,,]",
    "[\"a",
    "[1\u{b}]",
    "[*]",
    "[1,",
    "[",
    "[fals]",
    "[nul]",
    "[tru]",
    "tru",
    "nulL",
    "True",
    "-01",
    "-2.",
    "-1.0.",
    "-",
    "--1",
    "+1",
    "++1",
    ".-1",
    ".2e-3",
    "0.1.2",
    "0.3e+",
    "0.3e",
    "0.e1",
    "0E+",
    "0E",
    "0e+",
    "1.0e+",
    "1.0e-",
    "1.0e",
    "1 000.0",
    "1eE2",
    "2.e+3",
    "2.e3",
    "9.e+",
    "Inf",
    "NaN",
    "-NaN",
    "Infinity",
    "-Infinity",
    "1+2",
    "0x1",
    "0x42",
    "0e",
    "1ea",
    "012",
    "-012",
    "1.",
    "-.123",
    "-foo",
    "1.2a",
    "1.8011670033376514H-308",
    "\u{ff11}",
    "123\u{0}",
    r#"["x", truth]"#,
    "{[",
    r#"{"x", null}"#,
    r#"{"x"::"b"}"#,
    r#"{"a":"a" 123}"#,
    r"{key: 'value'}",
    r#"{"":"#,
    r#"{"a" b}"#,
    r#"{:"b"}"#,
    r#"{"a" "b"}"#,
    r#"{"a":"#,
    r#"{"a""#,
    r"{1:1}",
    r"{9999E9999:1}",
    r"{null:null,null:null}",
    r#"{"id":0,,,,,}"#,
    r"{'a':0}",
    r#"{"id":0,}"#,
    r#"{"a":"b"}/**/"#,
    r#"{"a":"b"}/"#,
    r#"{"a":"b",,"c":"d"}"#,
    r#"{a: "b"}"#,
    r#"{"a":"a"#,
    r#"{ "foo" : "bar", "a" }"#,
    r#"{"a":"b"}#"#,
    r#""\uD800\"#,
    r#""\uD800\u""#,
    r#""\uD800\u1""#,
    r#""\uD800\u1x""#,
    "\u{e9}",
    r#""\x00""#,
    r#""\\\""#,
    "\"\\\u{1f300}\"",
    "\"\\\"",
    r#""\u00A""#,
    r#""\uD834\uDd""#,
    r#""\a""#,
    r#""\uqqqq""#,
    "\u{20}\u{2060}",
    r#"\u0020"asd""#,
    "\\n",
    "\"",
    "'single'",
    "abc",
    "\"\\",
    "\"a\u{0}a\"",
    "\"\t\"",
    r#""\UA66D""#,
    r#""" x"#,
    "<.>",
    "[<null>]",
    "[1]x",
    "[][]",
    "]",
    "\u{feff}",
    "{\"a\":/*c*/\"b\"}",
    "\"\u{1f}\"",
    "1]",
    "[a\u{e5}]",
    "*",
    "{\"a\":\"b\"}#{}",
    "[\u{2060}]",
    "[\\u000A\"\"]",
    "[\"asd]",
    "\u{e5}",
    "[True]",
    "{}}",
    "{\"\":{\"\":",
    "\u{a0}1",
    "[\u{c}]",
    "2@",
];

/// `i_`: values that a parser may take or leave.
const EITHER: &[&str] = &[
    "123123e100000",
    "0.4e00669999999999999999999999999999999999999999999999999999999969999999006",
    "-1e+9999",
    "1.5e+9999",
    "-123123e100000",
    "123.456e-789",
    "-123123123123123123123123123123",
    "100000000000000000000",
    r#""\uDADA""#,
    r#""\uD888\u1234""#,
    r#""\uD800\n""#,
    r#""\uDd1ea""#,
    r#""\uD800\uD800\n""#,
    r#""\ud800""#,
    r#""\ud800abc""#,
    r#""\uDd1e\uD834""#,
    r#""\uDFAA""#,
];

/// Bytes that are no UTF-8: also `i_`.
const BYTES: &[&[u8]] = &[
    b"\"\xff\"",
    b"\"\xe0\xff\"",
    b"\"\xfc\x80\x80\x80\x80\x80\"",
    b"\"\xfc\x83\xbf\xbf\xbf\xbf\"",
    b"\"\xc0\xaf\"",
    b"\"\xf4\xbf\xbf\xbf\"",
    b"\"\x81\"",
    b"\"\xed\xa0\x80\"",
    b"\"\xe6\x97\xa5\xd1\x88\xfa\"",
    b"[\xff]",
    b"\"\\u\xe5\"",
    b"1e1\xe5",
    b"0\xe5",
    b"-123.123foo\xe5",
    b"\"\\\xe5\"",
];

fn parser(needs: &crate::event::Needs) -> Box<dyn Parser> {
    Box::new(json::Json::build(needs))
}

/// Whether `line` is taken for JSON; if not it must be text, and counted where
/// the format was named.
fn accepted(line: &[u8]) -> bool {
    let text = [line, b"\n"].concat();
    let mut taken = Vec::new();
    for format in ["json", "auto"] {
        let formats = Formats::build(format, &all_fields(), parser).unwrap();
        let mut columns = Columns::default();
        let ends = [text.len() as u32];
        formats
            .reader()
            .read(Timestamp(0), &text, &ends, &mut columns);
        let json = columns.json().contains(0);
        if format == "json" {
            assert_ne!(columns.failed().contains(0), json);
        }
        assert_eq!(columns.fields(0).is_empty(), json || line.is_empty());
        taken.push(json);
    }
    assert_eq!(taken[0], taken[1], "{}", String::from_utf8_lossy(line));
    taken[0]
}

fn member(value: &[u8]) -> Vec<u8> {
    [b"{\"k\":", value, b"}"].concat()
}

#[test]
fn valid_values_are_accepted() {
    for value in VALID {
        assert!(accepted(&member(value.as_bytes())), "{value}");
    }
}

#[test]
fn invalid_values_are_text() {
    for value in INVALID {
        assert!(!accepted(&member(value.as_bytes())), "{value}");
        // By itself it is no object, whatever else.
        assert!(!accepted(value.as_bytes()), "{value}");
    }
    for line in [
        "{\"k\":1}}",
        "{\"k\":1} x",
        "{\"k\":1},",
        "{\"k\":1}{\"k\":1}",
        "{\"k\":1",
        "{",
        "}",
        "\u{feff}{\"k\":1}",
    ] {
        assert!(!accepted(line.as_bytes()), "{line}");
    }
}

#[test]
fn what_is_accepted_is_json_to_others_too() {
    let either = EITHER
        .iter()
        .map(|v| v.as_bytes())
        .chain(BYTES.iter().copied());
    let all = either.chain(VALID.iter().map(|v| v.as_bytes()));
    for value in all {
        let line = member(value);
        if accepted(&line) {
            let read = serde_json::from_slice::<serde_json::Value>(&line);
            assert!(read.is_ok(), "{}", String::from_utf8_lossy(&line));
        }
    }
}

#[test]
fn depth_is_bounded_and_costs_no_stack() {
    for open in ["[", "{\"\":", "[{\"\":"] {
        let deep = open.repeat(100_000);
        assert!(!accepted(deep.as_bytes()));
        assert!(!accepted(&member(deep.as_bytes())));
    }
    let nested = |depth: usize| "[".repeat(depth) + &"]".repeat(depth);
    assert!(accepted(&member(nested(100).as_bytes())));
    assert!(!accepted(&member(nested(500).as_bytes())));
}

#[test]
fn other_values_are_no_events() {
    for line in ["[1]", "1", "\"a\"", "true", "null", " ", "[{\"a\":1}]"] {
        assert!(!accepted(line.as_bytes()), "{line}");
    }
    for line in ["{}", " {\"a\":1} ", "{\"a\":1}\r"] {
        assert!(accepted(line.as_bytes()), "{line:?}");
    }
}
