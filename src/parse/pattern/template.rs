//! The template's grammar: text to parts.
//!
//! ```text
//! template = { text | escape | capture | optional }
//! capture  = "{" [ name ] [ ":" kind ] [ "=[" template "]" ] "}"
//! optional = "{?" template "?}"
//! escape   = "\" any character
//! kind     = int | float | ip | word | name | most | rest | raw | stream
//!          | level | mark | quoted | % strftime
//! ```

use std::sync::Arc;

use nom::Parser as _;
use nom::bytes::complete::{tag, take_while, take_while1};
use nom::combinator::opt;
use nom::error::{ErrorKind, ParseError};
use nom::sequence::preceded;
use nom::{Err, IResult};

use crate::event::time::Layout;

/// How deep optional parts and sub-templates nest; matching recurses as deep.
const DEPTH_MAX: usize = 8;

/// Why a template was refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("the pattern, column {column}: {message}")]
pub struct TemplateError {
    /// Which character, counted from 1.
    pub column: usize,
    /// What was expected there, or what is wrong with what is.
    pub message: String,
}

/// What the text of a capture looks like.
#[derive(Clone, Debug)]
pub(super) enum Kind {
    Text,
    Int,
    Float,
    Ip,
    Word,
    Name,
    Most,
    Rest,
    Raw,
    Stream,
    Level,
    Mark,
    Quoted,
    Time(Arc<Layout>),
}

/// A piece of a template, in order.
#[derive(Debug)]
pub(super) enum Part {
    Literal(Vec<u8>),
    Capture(Capture),
    Optional(Vec<Part>),
}

/// A capture as it is written.
#[derive(Debug)]
pub(super) struct Capture {
    /// Bytes of the template that follow its start; tells its column.
    pub(super) behind: usize,
    /// Empty for a skipped one.
    pub(super) name: String,
    pub(super) kind: Kind,
    pub(super) inside: Option<Vec<Part>>,
}

/// Reads a template.
pub(super) fn parse(template: &str) -> Result<Vec<Part>, TemplateError> {
    match parts(template, "", 0) {
        Ok((_, parts)) => Ok(parts),
        Err(Err::Error(fault) | Err::Failure(fault)) => {
            Err(error(template, fault.rest.len(), fault.message))
        }
        Err(Err::Incomplete(_)) => Err(error(template, 0, "more was expected".into())),
    }
}

/// An error at the place that `behind` bytes follow.
pub(super) fn error(template: &str, behind: usize, message: String) -> TemplateError {
    let before = &template[..template.len() - behind];
    TemplateError {
        column: before.chars().count() + 1,
        message,
    }
}

struct Fault<'a> {
    rest: &'a str,
    message: String,
}

impl<'a> ParseError<&'a str> for Fault<'a> {
    fn from_error_kind(rest: &'a str, _: ErrorKind) -> Self {
        Fault {
            rest,
            message: "unexpected".into(),
        }
    }
    fn append(_: &'a str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

type Read<'a, T> = IResult<&'a str, T, Fault<'a>>;

fn fail<T>(rest: &str, message: impl Into<String>) -> Read<'_, T> {
    Err(Err::Failure(Fault {
        rest,
        message: message.into(),
    }))
}

fn expect<'a>(text: &'static str, rest: &'a str) -> Read<'a, &'a str> {
    let read: Read<'a, &'a str> = tag(text).parse(rest);
    read.or_else(|_| fail(rest, format!("expected `{text}`")))
}

/// Parts up to `closer`, or to the end if it is empty.
fn parts<'a>(mut rest: &'a str, closer: &'static str, depth: usize) -> Read<'a, Vec<Part>> {
    if depth > DEPTH_MAX {
        return fail(rest, format!("nested deeper than {DEPTH_MAX}"));
    }
    let mut parts = Vec::new();
    let mut literal = String::new();
    loop {
        let at_end = !closer.is_empty() && rest.starts_with(closer);
        let special = rest.starts_with('{');
        if (at_end || special || rest.is_empty()) && !literal.is_empty() {
            parts.push(Part::Literal(std::mem::take(&mut literal).into_bytes()));
        }
        if at_end {
            return Ok((rest, parts));
        }
        let mut chars = rest.chars();
        match chars.next() {
            None if closer.is_empty() => return Ok((rest, parts)),
            None => return fail(rest, format!("expected `{closer}`")),
            Some('{') => {
                let (after, part) = braced(rest, depth)?;
                parts.push(part);
                rest = after;
                continue;
            }
            Some('}') => return fail(rest, r"a literal brace is written `\}`"),
            Some('\\') => match chars.next() {
                Some(escaped) => literal.push(escaped),
                None => return fail(rest, r"expected a character after `\`"),
            },
            Some(other) => literal.push(other),
        }
        rest = chars.as_str();
    }
}

fn braced(start: &str, depth: usize) -> Read<'_, Part> {
    let optional: Read<'_, &str> = tag("{?").parse(start);
    if let Ok((rest, _)) = optional {
        let (rest, inner) = parts(rest, "?}", depth + 1)?;
        let (rest, _) = expect("?}", rest)?;
        return Ok((rest, Part::Optional(inner)));
    }
    let (rest, _) = expect("{", start)?;
    let named = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '@' | '-');
    let (rest, name) = take_while(named).parse(rest)?;
    if name != "_" && !name.is_empty() && name.split('.').any(str::is_empty) {
        return fail(start, format!("`{name}` has an empty part"));
    }
    let (rest, kind) = opt(preceded(tag(":"), kind)).parse(rest)?;
    let (rest, opened) = opt(tag("=[")).parse(rest)?;
    let (rest, inside) = if opened.is_some() {
        let (rest, inside) = parts(rest, "]}", depth + 1)?;
        (expect("]", rest)?.0, Some(inside))
    } else {
        (rest, None)
    };
    let closed: Read<'_, &str> = tag("}").parse(rest);
    let Ok((rest, _)) = closed else {
        return fail(rest, "expected a name, `:` and a kind, `=[` or `}`");
    };
    let capture = Capture {
        behind: start.len(),
        name: if name == "_" {
            String::new()
        } else {
            name.to_owned()
        },
        kind: kind.unwrap_or(Kind::Text),
        inside,
    };
    Ok((rest, Part::Capture(capture)))
}

fn kind(start: &str) -> Read<'_, Kind> {
    if start.starts_with('%') {
        let (rest, layout) = take_while1(|c| c != '}' && c != '=').parse(start)?;
        return match Layout::compile(layout) {
            Ok(layout) if layout.is_complete() => Ok((rest, Kind::Time(Arc::new(layout)))),
            Ok(_) => fail(
                start,
                format!("the time layout `{layout}` tells neither day nor time of day"),
            ),
            Err(error) => fail(start, error.to_string()),
        };
    }
    let (rest, word) = take_while(|c: char| c.is_ascii_alphanumeric()).parse(start)?;
    let kind = match word {
        "int" => Kind::Int,
        "float" => Kind::Float,
        "ip" => Kind::Ip,
        "word" => Kind::Word,
        "name" => Kind::Name,
        "most" => Kind::Most,
        "raw" => Kind::Raw,
        "stream" => Kind::Stream,
        "rest" => Kind::Rest,
        "level" => Kind::Level,
        "mark" => Kind::Mark,
        "quoted" => Kind::Quoted,
        _ => {
            return fail(
                start,
                "expected int, float, ip, word, name, most, rest, raw, stream, level, mark, quoted or a time layout \
                 such as %F %T",
            );
        }
    };
    Ok((rest, kind))
}
