//! `${VAR}`, `${VAR:-default}`, `${VAR:?message}` and `${file:/path}` in
//! scalars, expanded once.
//!
//! A scalar is first *masked*: every reference becomes one NUL, its value kept
//! aside. Whoever knows the scalar's structure (a URL, a rule) splits the
//! masked text and only then puts the values in, so that no value can bring
//! structure of its own. `$${` is a literal `${`.

use std::collections::HashMap;
use std::io::Read;
use std::ops::Range;

use super::diagnostic::Diagnostic;
use super::place::{Place, RuleText};
use super::secret::Secret;

/// Stands for a value in masked text; no config scalar holds it otherwise.
pub(super) const MASK: char = '\0';
/// The largest secret file: a key or certificate chain is a few KiB.
const SECRET_FILE_BYTES_MAX: u64 = 64 << 10;

/// A scalar's text with its references taken out.
#[derive(Debug)]
pub(super) struct Masked {
    /// The text, [`MASK`] for every reference.
    pub(super) text: String,
    values: Vec<Put>,
    /// For each run of literal text: its offset in `text` and as written.
    runs: Vec<(usize, usize)>,
}

/// What a reference stands for.
#[derive(Debug)]
struct Put {
    value: Secret,
    secret: bool,
}

/// A part of a scalar with its values in.
pub(super) struct Filled {
    /// The text.
    pub(super) text: String,
    /// Whether a value from a file is in it.
    pub(super) secret: bool,
    /// Whether it is one reference and nothing else.
    pub(super) whole: bool,
}

/// The environment that references are looked up in.
pub(super) struct Variables<'a>(HashMap<&'a str, &'a str>);

impl<'a> Variables<'a> {
    pub(super) fn new(env: &'a [(String, String)]) -> Variables<'a> {
        Variables(env.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect())
    }

    /// Takes the references out of `text`, written at `place`.
    pub(super) fn mask(&self, text: &str, place: &Place) -> Result<Masked, Diagnostic> {
        let mut masked = Masked {
            text: String::with_capacity(text.len()),
            values: Vec::new(),
            runs: vec![(0, 0)],
        };
        if text.contains(MASK) {
            return Err(
                Diagnostic::error("config::nul", "a NUL cannot stand in a value").at(place),
            );
        }
        let mut at = 0;
        while let Some(dollar) = text[at..].find('$').map(|found| at + found) {
            masked.text.push_str(&text[at..dollar]);
            let rest = &text[dollar..];
            if rest.starts_with("$${") {
                masked.text.push_str("${");
                at = dollar + 3;
            } else if let Some(body) = rest.strip_prefix("${") {
                let Some(len) = body.find('}') else {
                    let here = place.inside(dollar..dollar + 2);
                    return Err(
                        Diagnostic::error("config::variable", "a `${` is never closed")
                            .at(&here)
                            .help("close it with `}`, or write `$${` for a literal `${`"),
                    );
                };
                let here = place.inside(dollar..dollar + len + 3);
                masked.values.push(self.reference(&body[..len], &here)?);
                masked.text.push(MASK);
                at = dollar + len + 3;
            } else {
                masked.text.push('$');
                at = dollar + 1;
                continue;
            }
            masked.runs.push((masked.text.len(), at));
        }
        masked.text.push_str(&text[at..]);
        Ok(masked)
    }

    fn reference(&self, body: &str, place: &Place) -> Result<Put, Diagnostic> {
        let error = |message: String| Diagnostic::error("config::variable", message).at(place);
        if body.contains("${") {
            return Err(error("a variable cannot stand in another's default".into()));
        }
        if let Some(path) = body.strip_prefix("file:") {
            let value = read_secret(path)
                .map_err(|cause| error(format!("cannot read the secret file {path}: {cause}")))?;
            return Ok(Put {
                value: Secret::new(value),
                secret: true,
            });
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
        let end = body.find(|c| !is_name(c)).unwrap_or(body.len());
        let (name, rest) = body.split_at(end);
        if name.is_empty() || name.starts_with(|c: char| c.is_ascii_digit()) {
            return Err(error(format!("`${{{body}}}` does not name a variable"))
                .help("write `${NAME}`, `${NAME:-default}`, `${NAME:?message}` or `${file:/path}`; `$${` is a literal `${`"));
        }
        let found = self.0.get(name).copied();
        let value = if rest.is_empty() {
            found.ok_or_else(|| {
                error(format!("the variable `{name}` is not set"))
                    .help(format!("set it, or write `${{{name}:-default}}`"))
            })?
        } else if let Some(default) = rest.strip_prefix(":-") {
            found.filter(|value| !value.is_empty()).unwrap_or(default)
        } else if let Some(message) = rest.strip_prefix(":?") {
            found
                .filter(|value| !value.is_empty())
                .ok_or_else(|| error(format!("the variable `{name}` is not set: {message}")))?
        } else {
            return Err(error(format!("`${{{body}}}` is not a reference"))
                .help("after the name comes `}`, `:-default` or `:?message`"));
        };
        if value.contains(MASK) {
            return Err(error(format!("the variable `{name}` holds a NUL")));
        }
        Ok(Put {
            value: Secret::new(value.to_owned()),
            secret: false,
        })
    }
}

/// A secret's file without its last line break.
fn read_secret(path: &str) -> Result<String, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut text = String::new();
    file.take(SECRET_FILE_BYTES_MAX + 1)
        .read_to_string(&mut text)
        .map_err(|error| error.to_string())?;
    if text.len() as u64 > SECRET_FILE_BYTES_MAX {
        return Err(format!(
            "it is larger than {} KiB",
            SECRET_FILE_BYTES_MAX >> 10
        ));
    }
    if text.contains(MASK) {
        return Err("it holds a NUL".into());
    }
    let end = text.strip_suffix('\n').map_or(text.len(), |line| {
        line.strip_suffix('\r').unwrap_or(line).len()
    });
    text.truncate(end);
    Ok(text)
}

impl Masked {
    /// Text without references.
    pub(super) fn literal(text: String) -> Masked {
        Masked {
            text,
            values: Vec::new(),
            runs: vec![(0, 0)],
        }
    }

    /// The values that came from secret files.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &str> {
        let secret = self.values.iter().filter(|put| put.secret);
        secret.map(|put| put.value.expose())
    }

    /// Whether it is one reference and nothing else.
    pub(super) fn is_reference(&self) -> bool {
        self.text == "\0"
    }

    /// The part `range` of the masked text: literals through `literal`, values
    /// through `value`.
    pub(super) fn fill<E>(
        &self,
        range: Range<usize>,
        literal: impl Fn(&str) -> Result<String, E>,
        value: impl Fn(&str) -> Result<String, E>,
    ) -> Result<Filled, E> {
        let mut next = self.text[..range.start].matches(MASK).count();
        let part = &self.text[range];
        let mut text = String::with_capacity(part.len());
        let mut secret = false;
        for (index, run) in part.split(MASK).enumerate() {
            if index > 0
                && let Some(put) = self.values.get(next)
            {
                text.push_str(&value(put.value.expose())?);
                secret |= put.secret;
                next += 1;
            }
            text.push_str(&literal(run)?);
        }
        Ok(Filled {
            text,
            secret,
            whole: part == "\0",
        })
    }

    /// The part `range` with the values in as they are.
    pub(super) fn raw(&self, range: Range<usize>) -> Filled {
        let filled: Result<_, std::convert::Infallible> = self.fill(
            range,
            |text| Ok(text.to_owned()),
            |value| Ok(value.to_owned()),
        );
        match filled {
            Ok(filled) => filled,
            Err(never) => match never {},
        }
    }

    /// All of it with the values in as they are.
    pub(super) fn all(&self) -> Filled {
        self.raw(0..self.text.len())
    }

    /// The text as a rule: each value is one string literal, or part of the one
    /// that it stands in; after `in` it is a list of them, by line or comma.
    pub(super) fn rule(&self, place: &Place) -> Result<RuleText, Diagnostic> {
        let mut rule = RuleText {
            value: String::with_capacity(self.text.len()),
            place: place.clone(),
            runs: Vec::new(),
        };
        let mut values = self.values.iter();
        let mut context = Context::Terms;
        let mut runs = self.runs.iter().peekable();
        let mut chars = self.text.char_indices().peekable();
        while let Some((offset, c)) = chars.next() {
            while let Some((_, written)) = runs.next_if(|(masked, _)| *masked <= offset) {
                rule.runs.push((rule.value.len(), *written));
            }
            if c == MASK {
                let Some(put) = values.next() else { continue };
                let literal = context.literal(put.value.expose(), &self.text[..offset]);
                rule.value
                    .push_str(&literal.map_err(|error| error.at(place))?);
                continue;
            }
            rule.value.push(c);
            context = match (context, c) {
                (Context::Terms, '"' | '\'') => Context::Quoted(c),
                (Context::Terms, '/') if self.text[..offset].trim_end().ends_with('~') => {
                    Context::Regex
                }
                (Context::Quoted(_) | Context::Regex, '\\') => {
                    if let Some((_, escaped)) = chars.next_if(|(_, next)| *next != MASK) {
                        rule.value.push(escaped);
                    }
                    context
                }
                (Context::Quoted(quote), c) if c == quote => Context::Terms,
                (Context::Regex, '/') => Context::Terms,
                (context, _) => context,
            };
        }
        if self.values.is_empty() && self.runs.len() == 1 {
            rule.runs.clear();
        }
        Ok(rule)
    }
}

/// Where in a rule a value stands.
#[derive(Clone, Copy)]
enum Context {
    Terms,
    Quoted(char),
    Regex,
}

impl Context {
    fn literal(self, value: &str, before: &str) -> Result<String, Diagnostic> {
        match self {
            Context::Terms if before.split_whitespace().next_back() == Some("in") => {
                let items = value.split(['\n', ',']).map(str::trim);
                let items: Vec<_> = items
                    .filter(|item| !item.is_empty())
                    .map(|item| format!("\"{}\"", escape(item, '"')))
                    .collect();
                Ok(format!("[{}]", items.join(", ")))
            }
            Context::Terms => Ok(format!("\"{}\"", escape(value, '"'))),
            Context::Quoted(quote) => Ok(escape(value, quote)),
            Context::Regex => Err(Diagnostic::error(
                "config::variable",
                "a variable cannot stand in a regex: its value would be read as a pattern",
            )
            .help("compare with `contains`, `startswith`, `endswith` or `==`")),
        }
    }
}

fn escape(value: &str, quote: char) -> String {
    let mut out = String::with_capacity(value.len());
    for c in value.chars() {
        if c == quote || c == '\\' {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests;
