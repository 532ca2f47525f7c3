//! JSON values to lines: the elements of arrays, and values that follow one
//! another.
//!
//! It finds where each value ends, and makes it one line: a line break between
//! tokens goes, with the white space after it. It keeps no tree and no value,
//! only the kinds of the brackets that are open. Values are not validated
//! beyond that: what is inside is the parser's.

use memchr::memchr3;

use super::answer::Problem;

/// Brackets that may be open at once, as everywhere in tflog.
const DEPTH_MAX: u32 = 128;

/// Finds values in bytes that come in parts of any size.
#[derive(Debug, Default)]
pub(super) struct Splitter {
    place: Place,
    /// Open brackets inside the value, and of each whether it is a brace, the
    /// innermost in the lowest bit.
    depth: u32,
    braces: u128,
    /// Whether the value is an element of an array.
    within: bool,
    /// A line break was left out; what stood before it.
    gap: Option<u8>,
    /// The last byte written.
    last: u8,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Place {
    /// Before a value, or after the last one.
    #[default]
    Outside,
    /// After `[`.
    First,
    /// After `,`.
    Next,
    /// After an element.
    After,
    /// In an object or array.
    Nested,
    /// In a string.
    Text,
    /// After `\` in a string.
    Escape,
    /// In a number or a word.
    Scalar,
}

/// Why a body is no JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NotJson(pub(super) &'static str);

impl From<NotJson> for Problem {
    fn from(error: NotJson) -> Problem {
        Problem::malformed(error.0)
    }
}

const COMMA: NotJson = NotJson("the body is no JSON: a comma or value is out of place");
const BRACKET: NotJson = NotJson("the body is no JSON: a bracket is out of place");
const DEPTH: NotJson = NotJson("the body's JSON is nested too deeply");
const CONTROL: NotJson = NotJson("the body is no JSON: a line break stands in a string");
const CUT: NotJson = NotJson("the body's JSON ends too early");

impl Splitter {
    /// Appends to `out` what `input` has of values, each ending in a newline:
    /// at most two bytes for each one of `input`.
    pub(super) fn split(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<(), NotJson> {
        let mut rest = input;
        while let Some((&byte, after)) = rest.split_first() {
            match self.place {
                Place::Text => {
                    let end = memchr3(b'"', b'\\', b'\n', rest).unwrap_or(rest.len());
                    out.extend_from_slice(&rest[..end]);
                    rest = &rest[end..];
                    let Some((&byte, after)) = rest.split_first() else {
                        return Ok(());
                    };
                    rest = after;
                    match byte {
                        b'"' => self.end_string(out),
                        b'\\' => {
                            out.push(byte);
                            self.place = Place::Escape;
                        }
                        _ => return Err(CONTROL),
                    }
                    continue;
                }
                Place::Escape if byte == b'\n' => return Err(CONTROL),
                Place::Escape => {
                    out.push(byte);
                    self.place = Place::Text;
                }
                Place::Nested => self.nested(byte, out)?,
                Place::Scalar => {
                    if byte.is_ascii_whitespace() || b",]".contains(&byte) {
                        self.end(out);
                        self.between(byte, out)?;
                    } else if b"{}[\":".contains(&byte) {
                        return Err(COMMA);
                    } else {
                        out.push(byte);
                    }
                }
                _ => self.between(byte, out)?,
            }
            rest = after;
        }
        Ok(())
    }

    /// Ends the body.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) -> Result<(), NotJson> {
        if self.place == Place::Scalar {
            self.end(out);
        }
        if self.place == Place::Outside {
            Ok(())
        } else {
            Err(CUT)
        }
    }

    /// A byte that is in no value, or begins one.
    fn between(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), NotJson> {
        if byte.is_ascii_whitespace() {
            return Ok(());
        }
        match (self.place, byte) {
            (Place::Outside, b'[') => {
                self.within = true;
                self.place = Place::First;
            }
            (Place::First | Place::After, b']') => {
                self.within = false;
                self.place = Place::Outside;
            }
            (Place::After, b',') => self.place = Place::Next,
            (Place::After, _) | (_, b',' | b':') => return Err(COMMA),
            (_, b']' | b'}') => return Err(BRACKET),
            _ => self.begin(byte, out)?,
        }
        Ok(())
    }

    fn begin(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), NotJson> {
        self.depth = 0;
        self.gap = None;
        match byte {
            b'{' | b'[' => {
                self.place = Place::Nested;
                self.open(byte)?;
            }
            b'"' => self.place = Place::Text,
            _ => self.place = Place::Scalar,
        }
        self.write(byte, out);
        Ok(())
    }

    fn nested(&mut self, byte: u8, out: &mut Vec<u8>) -> Result<(), NotJson> {
        if self.gap.is_some() && byte.is_ascii_whitespace() {
            return Ok(());
        }
        if matches!(byte, b'\n' | b'\r') {
            self.gap = Some(self.last);
            return Ok(());
        }
        if let Some(before) = self.gap.take()
            && !b"{}[],: \t".contains(&before)
            && !b"{}[],:".contains(&byte)
        {
            // Two tokens that would be one without the line break.
            out.push(b' ');
        }
        self.write(byte, out);
        match byte {
            b'{' | b'[' => self.open(byte)?,
            b'}' | b']' => {
                let brace = self.braces & 1 == 1;
                if brace != (byte == b'}') {
                    return Err(BRACKET);
                }
                self.braces >>= 1;
                self.depth -= 1;
                if self.depth == 0 {
                    self.end(out);
                }
            }
            b'"' => self.place = Place::Text,
            _ => {}
        }
        Ok(())
    }

    fn open(&mut self, byte: u8) -> Result<(), NotJson> {
        if self.depth == DEPTH_MAX {
            return Err(DEPTH);
        }
        self.depth += 1;
        self.braces = self.braces << 1 | u128::from(byte == b'{');
        Ok(())
    }

    fn write(&mut self, byte: u8, out: &mut Vec<u8>) {
        self.last = byte;
        out.push(byte);
    }

    fn end_string(&mut self, out: &mut Vec<u8>) {
        self.write(b'"', out);
        if self.depth == 0 {
            self.end(out);
        } else {
            self.place = Place::Nested;
        }
    }

    /// Ends the value.
    fn end(&mut self, out: &mut Vec<u8>) {
        out.push(b'\n');
        self.place = if self.within {
            Place::After
        } else {
            Place::Outside
        };
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn split_by(body: &str, step: usize) -> Result<String, NotJson> {
        let (mut splitter, mut out) = (Splitter::default(), Vec::new());
        for part in body.as_bytes().chunks(step) {
            let before = out.len();
            splitter.split(part, &mut out)?;
            assert!(out.len() - before <= 2 * part.len());
        }
        splitter.finish(&mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    fn split(body: &str) -> Result<String, NotJson> {
        let whole = split_by(body, body.len().max(1));
        assert_eq!(split_by(body, 1), whole, "{body}");
        assert_eq!(split_by(body, 3), whole, "{body}");
        whole
    }

    #[test]
    fn each_element_is_a_line() {
        let cases = [
            ("", ""),
            (" [ ] ", ""),
            (r#"[{"a":1},{"b":[2,{}]}]"#, "{\"a\":1}\n{\"b\":[2,{}]}\n"),
            (
                r#"[{"a":"]}\"[{"},"x,y"]"#,
                "{\"a\":\"]}\\\"[{\"}\n\"x,y\"\n",
            ),
            (
                r#"[1 , true,null,[],"\\"]"#,
                "1\ntrue\nnull\n[]\n\"\\\\\"\n",
            ),
            ("{\"a\":1}", "{\"a\":1}\n"),
            (
                "{\"a\":1}\n{\"b\": 2}\r\n\n[{\"c\":3},4]\n5",
                "{\"a\":1}\n{\"b\": 2}\n{\"c\":3}\n4\n5\n",
            ),
            (
                "[\n  {\n    \"a\": [\n      1,\n      2\n    ],\r\n\t\"b\": \"x y\"\n  }\n]\n",
                "{\"a\": [1,2],\"b\": \"x y\"}\n",
            ),
            // No token is made of two.
            ("[{\"a\": tr\nue}]", "{\"a\": tr ue}\n"),
        ];
        for (body, lines) in cases {
            assert_eq!(split(body).as_deref(), Ok(lines), "{body}");
        }
    }

    #[test]
    fn what_is_no_json_is_an_error() {
        let deep = |depth: usize| format!("[{}{}]", "[".repeat(depth), "]".repeat(depth));
        assert!(split(&deep(DEPTH_MAX as usize)).is_ok());
        let cases = [
            ("[1 2]", COMMA),
            ("[1,,2]", COMMA),
            ("[,1]", COMMA),
            ("1,2", COMMA),
            ("[1{}]", COMMA),
            ("[1,]", BRACKET),
            ("[{]}]", BRACKET),
            ("[1]]", BRACKET),
            ("}", BRACKET),
            ("[\"a\nb\"]", CONTROL),
            ("[\"a\\\nb\"]", CONTROL),
            ("[1", CUT),
            ("[1,", CUT),
            ("[", CUT),
            ("{\"a\":1", CUT),
            ("\"a", CUT),
            (&deep(DEPTH_MAX as usize + 1), DEPTH),
        ];
        for (body, error) in cases {
            assert_eq!(split(body), Err(error), "{body}");
        }
    }

    fn json() -> impl Strategy<Value = serde_json::Value> {
        let leaf = prop_oneof![
            Just(serde_json::Value::Null),
            any::<bool>().prop_map(Into::into),
            any::<i64>().prop_map(Into::into),
            ".*".prop_map(Into::into),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Into::into),
                prop::collection::hash_map(".*", inner, 0..5)
                    .prop_map(|map| { serde_json::Value::Object(map.into_iter().collect()) }),
            ]
        })
    }

    proptest! {
        #[test]
        fn values_are_kept_however_they_are_written(
            values in prop::collection::vec(json(), 0..6), pretty: bool, step in 1_usize..20,
        ) {
            let all = serde_json::Value::Array(values.clone());
            let body = if pretty { serde_json::to_string_pretty(&all) } else { serde_json::to_string(&all) };
            let lines = split_by(&body.unwrap(), step).unwrap();
            prop_assert_eq!(lines.lines().count(), values.len());
            for (line, value) in lines.lines().zip(&values) {
                prop_assert_eq!(&serde_json::from_str::<serde_json::Value>(line).unwrap(), value);
            }
        }

        #[test]
        fn any_bytes_end_in_lines_or_an_error(body in prop::collection::vec(any::<u8>(), 0..60)) {
            let (mut splitter, mut out) = (Splitter::default(), Vec::new());
            if splitter.split(&body, &mut out).is_ok() && splitter.finish(&mut out).is_ok() {
                prop_assert!(out.is_empty() || out.ends_with(b"\n"));
            }
        }
    }
}
