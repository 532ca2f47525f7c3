//! How the values that one field has in several events become one.

use std::collections::HashSet;

use xxhash_rust::xxh3::xxh3_64;

use super::super::TransformError;
use super::super::scan::{skip_space, value_end};
use crate::event::Level;
use crate::event::escape::{escape_json, unescape_json};

/// How values are merged. A value that is null is as good as absent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Merge {
    /// The first stays.
    First,
    /// The last stays.
    Last,
    /// The least of numbers, levels or texts.
    Min,
    /// The greatest of them.
    Max,
    /// Numbers are added up; what is none is passed over.
    Sum,
    /// Texts with a space between.
    Concat,
    /// Texts, each a line.
    ConcatNewline,
    /// All of them, in an array.
    Array,
    /// Those that are not alike, in an array; arrays by their elements.
    Unique,
}

/// Every way to merge, by its name.
const ALL: [(&str, Merge); 9] = [
    ("first", Merge::First),
    ("last", Merge::Last),
    ("min", Merge::Min),
    ("max", Merge::Max),
    ("sum", Merge::Sum),
    ("concat", Merge::Concat),
    ("concat_newline", Merge::ConcatNewline),
    ("array", Merge::Array),
    ("unique", Merge::Unique),
];

/// What others call them.
const KNOWN_AS: [(&str, &str); 4] = [
    ("discard", "first"),
    ("retain", "last"),
    ("flat_unique", "unique"),
    ("concat_raw", "concat"),
];

impl Merge {
    /// The way of this name.
    pub fn parse(name: &str) -> Result<Merge, TransformError> {
        if let Some((_, merge)) = ALL.iter().find(|(known, _)| *known == name) {
            return Ok(*merge);
        }
        let names: Vec<_> = ALL.iter().map(|(name, _)| *name).collect();
        let near = KNOWN_AS.iter().find(|(known, _)| *known == name);
        let near = near.map_or(String::new(), |(_, near)| format!("write `{near}`; "));
        Err(TransformError::new(
            format!("there is no way `{name}` to merge values"),
            format!("{near}there are {}", names.join(", ")),
        ))
    }
}

/// The values of one field so far.
#[derive(Debug, Default)]
pub(super) struct Merged {
    any: bool,
    /// JSON; of texts that are put together, without the quotes.
    text: Vec<u8>,
    /// Hashes of the values in it.
    seen: HashSet<u64>,
    integer: i128,
    /// Of numbers that are no integers.
    float: Option<f64>,
}

impl Merged {
    /// Adds a value, given as JSON; `level`: of severities.
    pub(super) fn add(&mut self, merge: Merge, level: bool, value: &[u8]) {
        if value == b"null" {
            return;
        }
        match merge {
            Merge::First if self.any => {}
            Merge::Min if self.any && !is_before(level, value, &self.text) => {}
            Merge::Max if self.any && !is_before(level, &self.text, value) => {}
            Merge::First | Merge::Last | Merge::Min | Merge::Max => self.replace(value),
            Merge::Sum => self.sum(value),
            Merge::Concat => self.concat(b" ", value),
            Merge::ConcatNewline => self.concat(b"\\n", value),
            Merge::Array => self.push(value),
            Merge::Unique => {
                let mut elements = Elements::new(value);
                match &mut elements {
                    None => self.push_new(value),
                    Some(elements) => elements.for_each(|element| self.push_new(element)),
                }
            }
        }
    }

    fn replace(&mut self, value: &[u8]) {
        self.any = true;
        self.text.clear();
        self.text.extend_from_slice(value);
    }

    fn sum(&mut self, value: &[u8]) {
        let text = std::str::from_utf8(inside(value)).unwrap_or_default();
        if let Ok(integer) = text.parse::<i64>() {
            // As many as would overflow cannot be held.
            self.integer = self.integer.saturating_add(integer.into());
        } else if let Ok(float) = text.parse::<f64>()
            && (self.float.unwrap_or(0.0) + float).is_finite()
        {
            self.float = Some(self.float.unwrap_or(0.0) + float);
        } else {
            return;
        }
        self.any = true;
    }

    fn concat(&mut self, separator: &[u8], value: &[u8]) {
        if self.any {
            self.text.extend_from_slice(separator);
        }
        self.any = true;
        if value.starts_with(b"\"") {
            self.text.extend_from_slice(inside(value));
        } else {
            escape_json(value, &mut self.text);
        }
    }

    fn push(&mut self, value: &[u8]) {
        if self.any {
            self.text.push(b',');
        }
        self.any = true;
        self.text.extend_from_slice(value);
    }

    fn push_new(&mut self, value: &[u8]) {
        if self.seen.insert(xxh3_64(value)) {
            self.push(value);
        }
    }

    /// Appends what they are together, as JSON; false if that is nothing.
    pub(super) fn write(&self, merge: Merge, out: &mut Vec<u8>) -> bool {
        let (open, close): (&[u8], &[u8]) = match merge {
            Merge::First | Merge::Last | Merge::Min | Merge::Max | Merge::Sum => (b"", b""),
            Merge::Concat | Merge::ConcatNewline => (b"\"", b"\""),
            Merge::Array | Merge::Unique => (b"[", b"]"),
        };
        if !self.any {
            return false;
        }
        out.extend_from_slice(open);
        match (merge, self.float) {
            (Merge::Sum, None) => out.extend_from_slice(self.integer.to_string().as_bytes()),
            (Merge::Sum, Some(float)) => {
                // Finite, so it has a number in JSON.
                let sum = serde_json::Value::from(self.integer as f64 + float);
                out.extend_from_slice(sum.to_string().as_bytes());
            }
            _ => out.extend_from_slice(&self.text),
        }
        out.extend_from_slice(close);
        true
    }

    /// The heap that it holds, in bytes.
    pub(super) fn size(&self) -> usize {
        self.text.capacity() + self.seen.capacity() * 2 * size_of::<u64>()
    }
}

/// Whether a value is less than another that it can be compared with.
fn is_before(level: bool, a: &[u8], b: &[u8]) -> bool {
    let number = |value: &[u8]| std::str::from_utf8(value).ok()?.parse::<f64>().ok();
    if level {
        return match (Level::parse(inside(a)), Level::parse(inside(b))) {
            (Some(a), Some(b)) => a < b,
            _ => false,
        };
    }
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return a < b;
    }
    let texts = a.starts_with(b"\"") && b.starts_with(b"\"");
    texts && unescape_json(inside(a)) < unescape_json(inside(b))
}

/// A string without its quotes, or any other value.
fn inside(value: &[u8]) -> &[u8] {
    match value {
        [b'"', inside @ .., b'"'] => inside,
        _ => value,
    }
}

/// The elements of an array.
struct Elements<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Elements<'a> {
    fn new(value: &'a [u8]) -> Option<Elements<'a>> {
        value
            .starts_with(b"[")
            .then_some(Elements { text: value, at: 1 })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = skip_space(self.text, self.at);
        let end = value_end(self.text, start)?;
        self.at = skip_space(self.text, end) + 1;
        Some(&self.text[start..end])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(name: &str, level: bool, values: &[&str]) -> Option<String> {
        let merge = Merge::parse(name).unwrap();
        let mut merged = Merged::default();
        for value in values {
            merged.add(merge, level, value.as_bytes());
        }
        let mut out = Vec::new();
        merged
            .write(merge, &mut out)
            .then(|| String::from_utf8(out).unwrap())
    }

    #[test]
    fn values_are_merged_as_their_name_says() {
        let values = [
            r#""b""#,
            "null",
            "2",
            r#""\"a\"""#,
            "10",
            "[2, {\"x\":[1]}]",
        ];
        for (name, expected) in [
            ("first", r#""b""#),
            ("last", r#"[2, {"x":[1]}]"#),
            ("min", r#""\"a\"""#),
            ("max", r#""b""#),
            ("sum", "12"),
            ("concat", r#""b 2 \"a\" 10 [2, {\"x\":[1]}]""#),
            ("concat_newline", r#""b\n2\n\"a\"\n10\n[2, {\"x\":[1]}]""#),
            ("array", r#"["b",2,"\"a\"",10,[2, {"x":[1]}]]"#),
            ("unique", r#"["b",2,"\"a\"",10,{"x":[1]}]"#),
        ] {
            let merged = merged(name, false, &values).unwrap();
            serde_json::from_str::<serde_json::Value>(&merged).unwrap();
            assert_eq!(merged, expected, "{name}");
        }
    }

    #[test]
    fn numbers_and_levels_are_compared_as_such() {
        assert_eq!(merged("max", false, &["9", "10", "-1"]).unwrap(), "10");
        assert_eq!(merged("min", false, &["9", "1e1", "-1"]).unwrap(), "-1");
        let levels = [r#""info""#, r#""ERROR""#, r#""warn""#, r#""?""#];
        assert_eq!(merged("max", true, &levels).unwrap(), r#""ERROR""#);
        assert_eq!(merged("min", true, &levels).unwrap(), r#""info""#);
        assert_eq!(merged("max", true, &["30", "50", "20"]).unwrap(), "50");
    }

    #[test]
    fn sums_are_exact_as_long_as_they_can_be() {
        let big = i64::MAX.to_string();
        assert_eq!(
            merged("sum", false, &[&big, &big]).unwrap(),
            "18446744073709551614"
        );
        assert_eq!(
            merged("sum", false, &["1", "0.5", r#""2""#]).unwrap(),
            "3.5"
        );
        assert_eq!(merged("sum", false, &[r#""x""#, "true", "[]"]), None);
        // What would make it infinite is passed over.
        assert_eq!(merged("sum", false, &["1e308", "1e308"]).unwrap(), "1e+308");
        assert_eq!(merged("sum", false, &[r#""inf""#, r#""nan""#]), None);
    }

    #[test]
    fn what_others_call_it_is_told() {
        let error = Merge::parse("retain").unwrap_err();
        assert!(error.help.unwrap().starts_with("write `last`; "));
        assert!(Merge::parse("nothing").is_err());
    }
}
