//! Templates of file paths, in which an event's values can neither leave the
//! directory nor meet another's.
//!
//! The text up to the last `/` before the first value is the root. Below it a
//! value is always within one component, whatever it holds: `/`, `%`, control
//! bytes, a leading dot and bytes that are no UTF-8 are written `%XX`, an empty
//! value `%empty`, and a long one is cut and ends in `%~` and a hash of it all.
//! Where another value follows in the same component, the character between
//! them is written `%XX` in the first, so that different values never make one
//! name. Times are the operator's own layout and may hold a `/`.

use std::path::{Path, PathBuf};

use super::{Found, MISSING, Segment, Template, TemplateError};
use crate::event::{Batch, Needs};

/// Bytes of one component: 255 is what file systems take, less what rotation
/// appends.
const COMPONENT_BYTES_MAX: usize = 220;
/// `%~` and 128 bits in hex.
const HASH_BYTES: usize = 2 + 32;
/// The longest time, with names and a fraction.
const TIME_BYTES_MAX: usize = 40;
/// A value that is cut must keep enough to be recognised.
const VALUE_BYTES_MIN: usize = HASH_BYTES + 6;

/// A compiled path.
pub struct PathTemplate {
    root: PathBuf,
    template: Template,
    /// For each segment, how its value is escaped.
    rules: Vec<Rule>,
}

/// How one value is escaped.
#[derive(Clone, Copy, Default)]
struct Rule {
    bytes_max: usize,
    /// What follows it, if a value follows that.
    separator: Option<u8>,
}

impl PathTemplate {
    /// Compiles a path; what it needs of the rows is added to `needs`.
    pub fn compile(text: &str, needs: &mut Needs) -> Result<PathTemplate, TemplateError> {
        let values_start = first_value(text).unwrap_or(text.len());
        let split = text[..values_start].rfind('/').map_or(0, |slash| slash + 1);
        let (root, below) = text.split_at(split);
        let moved = |mut error: TemplateError| {
            error.offset += split;
            error
        };
        let template = Template::compile(below, needs).map_err(moved)?;
        let rules = template.rules().map_err(moved)?;
        Ok(PathTemplate {
            root: root.into(),
            template,
            rules,
        })
    }

    /// The directory that every path is below.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Whether every event has the same path.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        self.template.is_constant()
    }

    /// The plain text that every path ends in.
    #[must_use]
    pub fn ending(&self) -> &[u8] {
        match self.template.0.last() {
            Some(Segment::Literal(text)) => text,
            _ => b"",
        }
    }

    /// Appends a row's path below the root; how many values were missing.
    pub fn render(&self, batch: &Batch, row: usize, out: &mut Vec<u8>) -> u64 {
        let mut missing = 0;
        for (segment, rule) in self.template.0.iter().zip(&self.rules) {
            let slot = match segment {
                Segment::Literal(text) => {
                    out.extend_from_slice(text);
                    continue;
                }
                Segment::Value(slot) => slot,
            };
            match slot.find(batch, row) {
                Found::Value(value) => escape(&value, *rule, out),
                Found::Time(time, layout) => layout.write(time, out),
                Found::Default(text) => escape(text, *rule, out),
                Found::Missing => {
                    escape(MISSING, *rule, out);
                    missing += 1;
                }
            }
        }
        missing
    }
}

/// Where the first `{` is that is not `{{`.
fn first_value(text: &str) -> Option<usize> {
    let mut at = 0;
    while let Some(brace) = text[at..].find('{').map(|found| at + found) {
        if !text[brace + 1..].starts_with('{') {
            return Some(brace);
        }
        at = brace + 2;
    }
    None
}

impl Template {
    /// The rule of each segment; refuses paths that could not be kept apart.
    fn rules(&self) -> Result<Vec<Rule>, TemplateError> {
        let mut rules = vec![Rule::default(); self.0.len()];
        let mut part = Part::default();
        for (i, segment) in self.0.iter().enumerate() {
            match segment {
                Segment::Value(slot) if slot.layout.is_some() => {
                    part.text.push('0');
                    part.plain += TIME_BYTES_MAX;
                }
                Segment::Value(_) => part.add_value(i, &mut rules)?,
                Segment::Literal(text) => {
                    let text = String::from_utf8_lossy(text);
                    for (n, piece) in text.split('/').enumerate() {
                        if n > 0 {
                            std::mem::take(&mut part).end(&mut rules)?;
                        }
                        part.text.push_str(piece);
                        part.plain += piece.len();
                        part.separator = part.separator.or(piece.bytes().next());
                    }
                }
            }
        }
        part.end(&mut rules)?;
        Ok(rules)
    }
}

/// A component that is being read.
#[derive(Default)]
struct Part {
    /// It with `0` for each value.
    text: String,
    /// Its values' segments.
    values: Vec<usize>,
    /// Bytes that are not of values.
    plain: usize,
    /// The first byte of plain text after the last value.
    separator: Option<u8>,
}

impl Part {
    fn add_value(&mut self, segment: usize, rules: &mut [Rule]) -> Result<(), TemplateError> {
        if let Some(&before) = self.values.last() {
            let separator = self.separator.filter(|s| s.is_ascii() && *s != b'%');
            if separator.is_none() {
                return Err(TemplateError::new(
                    0,
                    "two values side by side would mix; put a character such as `-` between them",
                ));
            }
            rules[before].separator = separator;
        }
        self.text.push('0');
        self.values.push(segment);
        self.separator = None;
        Ok(())
    }

    /// Checks it and shares the bytes of a name among its values.
    fn end(self, rules: &mut [Rule]) -> Result<(), TemplateError> {
        if matches!(self.text.as_str(), "" | "." | "..") {
            let message = format!("{:?} as part of a path leads nowhere below it", self.text);
            return Err(TemplateError::new(0, message));
        }
        let room = COMPONENT_BYTES_MAX.saturating_sub(self.plain);
        let each = room / self.values.len().max(1);
        if each < VALUE_BYTES_MIN && (room == 0 || !self.values.is_empty()) {
            let message = "a part of the path is too long for a file name";
            return Err(TemplateError::new(0, message));
        }
        self.values.iter().for_each(|&i| rules[i].bytes_max = each);
        Ok(())
    }
}

/// Appends a value so that it is part of one component and of no other's.
fn escape(value: &[u8], rule: Rule, out: &mut Vec<u8>) {
    if value.is_empty() {
        out.extend_from_slice(b"%empty");
        return;
    }
    let start = out.len();
    for chunk in value.utf8_chunks() {
        for c in chunk.valid().chars() {
            let first = out.len() == start;
            let separates = rule.separator.map(char::from) == Some(c);
            let special = matches!(c, '/' | '%') || (first && c == '.');
            let plain = !(c.is_control() || special || separates);
            let mut utf8 = [0; 4];
            let bytes = c.encode_utf8(&mut utf8).as_bytes();
            if plain {
                out.extend_from_slice(bytes);
            } else {
                for &byte in bytes {
                    percent(byte, out);
                }
            }
        }
        for &byte in chunk.invalid() {
            percent(byte, out);
        }
        // The rest would be cut off, and the line limit is far above.
        if out.len() - start > rule.bytes_max + 16 {
            break;
        }
    }
    if out.len() - start > rule.bytes_max {
        cut(start, rule.bytes_max - HASH_BYTES, out);
        let hash = xxhash_rust::xxh3::xxh3_128(value);
        out.extend_from_slice(b"%~");
        for byte in hash.to_be_bytes() {
            out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]));
        }
    }
}

fn percent(byte: u8, out: &mut Vec<u8>) {
    out.push(b'%');
    out.extend([byte >> 4, byte & 15].map(|digit| b"0123456789ABCDEF"[usize::from(digit)]));
}

/// Cuts what was written from `start` on to at most `len` bytes, between
/// characters and not within a `%XX`.
fn cut(start: usize, len: usize, out: &mut Vec<u8>) {
    let mut end = start + len;
    while out[end] & 0xc0 == 0x80 {
        end -= 1;
    }
    if let Some(percent) = (end.saturating_sub(2).max(start)..end).find(|&i| out[i] == b'%') {
        end = percent;
    }
    out.truncate(end);
}

#[cfg(test)]
mod tests {
    use std::path::Component;

    use proptest::prelude::*;

    use super::*;
    use crate::event::{Cell, Defs};
    use crate::sink::fixture::batch;

    fn render(template: &str, values: &[Vec<u8>]) -> Vec<u8> {
        let mut needs = Needs::default();
        let template = PathTemplate::compile(template, &mut needs).unwrap();
        let text = values.concat();
        let mut chunk = Box::new(crate::event::Chunk::default());
        chunk.ends = vec![text.len() as u32];
        chunk.text = text;
        let row = crate::sink::fixture::of_chunk(chunk, &needs, Defs::default(), |text, c| {
            let mut at = 0;
            for (slot, value) in values.iter().enumerate() {
                c.put(slot, 0, text, Cell::string(at, at + value.len(), false));
                at += value.len();
            }
        });
        let mut out = Vec::new();
        template.render(&row, 0, &mut out);
        out
    }

    #[test]
    fn the_root_is_what_no_event_can_change() {
        for (template, root) in [
            ("/var/log/{a}/x.log", "/var/log/"),
            ("/var/log/app-{a}.log", "/var/log/"),
            ("/var/log/app.log", "/var/log/"),
            ("out.log", ""),
            ("/v/{{x/{a}", "/v/{{x/"),
        ] {
            let path = PathTemplate::compile(template, &mut Needs::default()).unwrap();
            assert_eq!(path.root(), Path::new(root), "{template}");
        }
    }

    #[test]
    fn paths_that_cannot_be_kept_apart_are_refused() {
        for template in [
            "/x/",
            "/x/{a}/",
            "/x/{a}{b}",
            "/x/{a}%{b}",
            "/x/{a}{t:%F}{b}",
            "/x/{a}/../y",
            "/x/{a}//y",
            "..",
        ] {
            let refused = PathTemplate::compile(template, &mut Needs::default());
            assert!(refused.is_err(), "{template}");
        }
        let error = PathTemplate::compile("/x/{a:?}", &mut Needs::default());
        assert_eq!(error.err().unwrap().offset, 5);
    }

    #[test]
    fn values_stay_readable() {
        for (value, name) in [
            ("pay", "pay.log"),
            ("../../etc/passwd", "%2E.%2F..%2Fetc%2Fpasswd.log"),
            ("", "%empty.log"),
            ("a\0b%c\u{e9}", "a%00b%25c\u{e9}.log"),
        ] {
            let path = render("/x/{a}.log", &[value.as_bytes().to_vec()]);
            assert_eq!(String::from_utf8(path).unwrap(), name);
        }
        let mut needs = Needs::default();
        let path = PathTemplate::compile("/x/{a}", &mut needs).unwrap();
        let row = batch(b"x", &needs, Defs::default(), |_, _| {});
        let mut out = Vec::new();
        assert_eq!(
            (path.render(&row, 0, &mut out), &*out),
            (1, &b"unknown"[..])
        );
    }

    fn hostile() -> impl Strategy<Value = Vec<u8>> {
        prop_oneof![
            "[./%~a-]{0,4}".prop_map(String::into_bytes),
            prop::collection::vec(any::<u8>(), 0..6),
            "[ax./\u{e9}]{90,300}".prop_map(String::into_bytes),
            Just(b"unknown".to_vec()),
        ]
    }

    proptest! {
        #[test]
        fn content_stays_below_the_root_and_apart(
            a in hostile(), b in hostile(), c in hostile(), d in hostile(),
        ) {
            let template = "/x/{a}-{b}.d/f.log";
            let first = render(template, &[a.clone(), b.clone()]);
            let second = render(template, &[c.clone(), d.clone()]);
            prop_assert_eq!(first == second, (a, b) == (c, d));
            let text = String::from_utf8(first).unwrap();
            let path = Path::new(&text);
            prop_assert_eq!(path.components().count(), 2);
            for part in path.components() {
                prop_assert!(matches!(part, Component::Normal(_)));
                prop_assert!(part.as_os_str().len() <= 255);
            }
            prop_assert!(!text.contains(|c: char| c.is_control()));
        }
    }
}
