//! Steps over JSON that a parser has already found valid, without reading it
//! in: where a string or value ends. Linear, no recursion; text that is not
//! JSON after all ends a step with `None`.

use std::borrow::Cow;

use crate::event::escape::{escape_json, unescape_json};

/// The first byte at or after `at` that is no white space.
pub(super) fn skip_space(text: &[u8], mut at: usize) -> usize {
    while matches!(text.get(at), Some(b' ' | b'\t' | b'\n' | b'\r')) {
        at += 1;
    }
    at
}

/// Where the quote is that ends the string whose inside begins at `at`.
pub(super) fn string_end(text: &[u8], mut at: usize) -> Option<usize> {
    loop {
        at += memchr::memchr2(b'"', b'\\', text.get(at..)?)?;
        if text[at] == b'"' {
            return Some(at);
        }
        at += 2;
    }
}

/// One past the value that begins at `at`.
pub(super) fn value_end(text: &[u8], at: usize) -> Option<usize> {
    match text.get(at)? {
        b'"' => Some(string_end(text, at + 1)? + 1),
        b'{' | b'[' => container_end(text, at),
        _ => {
            let ends = |b: &u8| matches!(b, b',' | b'}' | b']' | b' ' | b'\t' | b'\n' | b'\r');
            let rest = &text[at..];
            let len = rest.iter().position(ends).unwrap_or(rest.len());
            (len > 0).then_some(at + len)
        }
    }
}

fn container_end(text: &[u8], mut at: usize) -> Option<usize> {
    let mut depth = 0u32;
    loop {
        match text.get(at)? {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth -= 1;
                if depth == 0 {
                    return Some(at + 1);
                }
            }
            b'"' => at = string_end(text, at + 1)?,
            _ => {}
        }
        at += 1;
    }
}

/// A string or number among the values of a JSON text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Scalar {
    /// Its first byte; of a string, the first one inside the quotes.
    pub(super) start: usize,
    /// One past its last.
    pub(super) end: usize,
    /// Whether it is a string.
    pub(super) string: bool,
}

/// The strings and numbers of a JSON text that are values, from left to right;
/// keys and literals are passed over.
pub(super) struct Scalars<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Scalars<'a> {
    pub(super) fn new(text: &'a [u8]) -> Scalars<'a> {
        Scalars { text, at: 0 }
    }
}

impl Iterator for Scalars<'_> {
    type Item = Scalar;

    fn next(&mut self) -> Option<Scalar> {
        loop {
            let start = self.at;
            match self.text.get(start)? {
                b'"' => {
                    let end = string_end(self.text, start + 1)?;
                    self.at = end + 1;
                    if self.text.get(skip_space(self.text, end + 1)) == Some(&b':') {
                        continue;
                    }
                    return Some(Scalar {
                        start: start + 1,
                        end,
                        string: true,
                    });
                }
                b'-' | b'0'..=b'9' => {
                    let end = value_end(self.text, start)?;
                    self.at = end;
                    return Some(Scalar {
                        start,
                        end,
                        string: false,
                    });
                }
                b't' | b'f' | b'n' => self.at = value_end(self.text, start)?,
                _ => self.at += 1,
            }
        }
    }
}

/// Appends a JSON text with some of its values changed; whether any was.
///
/// `change` gets each value, without escapes, with whether it is a string, and
/// appends what stands in its place, which is a string then; if it appends
/// nothing it returns false. The rest is copied byte for byte.
pub(super) fn rewrite(
    json: &[u8],
    out: &mut Vec<u8>,
    scratch: &mut Vec<u8>,
    mut change: impl FnMut(&[u8], bool, &mut Vec<u8>) -> bool,
) -> bool {
    let mut at = 0;
    for scalar in Scalars::new(json) {
        let raw = &json[scalar.start..scalar.end];
        let escaped = scalar.string && memchr::memchr(b'\\', raw).is_some();
        let value: Cow<[u8]> = if escaped {
            unescape_json(raw).into()
        } else {
            raw.into()
        };
        scratch.clear();
        if !change(&value, scalar.string, scratch) {
            continue;
        }
        out.extend_from_slice(&json[at..scalar.start]);
        let quotes: &[u8] = if scalar.string { b"" } else { b"\"" };
        out.extend_from_slice(quotes);
        escape_json(scratch, out);
        out.extend_from_slice(quotes);
        at = scalar.end;
    }
    out.extend_from_slice(&json[at..]);
    at > 0
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn scalars_are_values_and_not_keys() {
        let text = br#"{"a" : "x\"y", "b":[1,-2e3,true,{"c":null,"d":""}]}"#;
        let found: Vec<_> = Scalars::new(text)
            .map(|s| String::from_utf8_lossy(&text[s.start..s.end]).into_owned())
            .collect();
        assert_eq!(found, ["x\\\"y", "1", "-2e3", ""]);
    }

    proptest! {
        #[test]
        fn nothing_makes_a_step_panic(text in "[{}\\[\\]\",:\\\\a1 ]{0,40}") {
            let text = text.as_bytes();
            for at in 0..=text.len() {
                for end in [value_end(text, at), string_end(text, at)].into_iter().flatten() {
                    prop_assert!(end <= text.len());
                }
            }
            prop_assert!(Scalars::new(text).count() <= text.len());
        }
    }
}
