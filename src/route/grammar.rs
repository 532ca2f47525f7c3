//! The rule language's grammar.
//!
//! ```text
//! rule    = or
//! or      = and { "or" and }
//! and     = unary { "and" unary }
//! unary   = "not" unary | "(" or ")" | term
//! term    = string | "exists" "(" path ")" | path operator value
//! value   = ".path" | string | word            after == != < <= > >=
//!         | "/" regex "/" [ "i" ] | string     after =~ !~
//!         | string | word                      after contains startswith endswith
//!         | item | "[" [ item { "," item } ] "]"    after in, not in
//! item    = range | network | string | word    (alone: a range, a network or a string,
//! range   = word ".." word                      which is a list by comma or line)
//! ```
//!
//! Keywords are lower case. A string where a term begins is the raw line's
//! text; followed by an operator it is a name (`"odd name" == 1`). Words end
//! where a space or a character other than `A-Z a-z 0-9 _ @ - . : / + %` (or
//! another letter) stands; what they mean is in `literal.rs`.

use nom::branch::alt;
use nom::bytes::complete::tag;
use nom::character::complete::{char, multispace0, satisfy};
use nom::combinator::{cut, not, opt, peek, value};
use nom::multi::separated_list1;
use nom::sequence::{delimited, preceded, terminated};
use nom::{Err, IResult, Parser};

use super::expression::{Comparison, Expression, Item, Pattern, Term, Test, TextOperator, Value};
use super::{RuleError, literal};
use crate::event::{Path, is_part_char, quoted};

mod problem;

use problem::{Problem, found};

type Parsed<'a, T> = IResult<&'a str, T, Problem<'a>>;

/// Reads a rule.
pub(super) fn parse(text: &str) -> Result<Expression, RuleError> {
    if text.len() > Expression::LEN_MAX {
        return Err(RuleError {
            offset: Expression::LEN_MAX,
            len: 0,
            message: format!("expected a rule of at most {} bytes", Expression::LEN_MAX),
            help: Some("make several routes of it".to_owned()),
        });
    }
    let grammar = Grammar { text };
    let parsed = preceded(multispace0, |input| grammar.disjunction(input, 0)).parse(text);
    let problem = match parsed {
        Ok(("", expression)) => return Ok(expression),
        Ok((rest, _)) => problem::after_term(rest, "the end of the rule"),
        Err(Err::Error(problem) | Err::Failure(problem)) => problem,
        Err(Err::Incomplete(_)) => Problem::new("", "expected more"),
    };
    Err(problem.locate(text))
}

#[derive(Clone, Copy, PartialEq)]
enum Operator {
    Compare(Comparison),
    Matches { negated: bool },
    In { negated: bool },
    Text(TextOperator),
}

/// Knows the whole text, to say where in it a term stands.
#[derive(Clone, Copy)]
struct Grammar<'a> {
    text: &'a str,
}

impl<'a> Grammar<'a> {
    /// Every parser from here to `term` takes white space behind it along.
    fn disjunction(self, input: &'a str, depth: usize) -> Parsed<'a, Expression> {
        let part = |input| self.conjunction(input, depth);
        let (rest, all) = separated_list1(keyword("or"), cut(part)).parse(input)?;
        Ok((rest, single_or(all, Expression::Or)))
    }

    fn conjunction(self, input: &'a str, depth: usize) -> Parsed<'a, Expression> {
        let part = |input| self.unary(input, depth);
        let (rest, all) = separated_list1(keyword("and"), cut(part)).parse(input)?;
        Ok((rest, single_or(all, Expression::And)))
    }

    fn unary(self, input: &'a str, depth: usize) -> Parsed<'a, Expression> {
        if depth > Expression::DEPTH_MAX {
            let message = format!(
                "expected at most {} levels of nesting",
                Expression::DEPTH_MAX
            );
            return Problem::new(input, message)
                .help("make several routes of it")
                .fail();
        }
        if let Ok((rest, _)) = keyword("not").parse(input) {
            let (rest, inner) = self.unary(rest, depth + 1)?;
            return Ok((rest, Expression::Not(Box::new(inner))));
        }
        let Ok((rest, _)) = token('(').parse(input) else {
            let (rest, test) = terminated(term, multispace0).parse(input)?;
            let start = self.text.len() - input.len();
            let written = &input[..input.len() - rest.len()];
            let span = start..start + written.trim_end().len();
            return Ok((rest, Expression::Term(Term { span, test })));
        };
        let (rest, inner) = self.disjunction(rest, depth + 1)?;
        if let Ok((rest, _)) = token(')').parse(rest) {
            return Ok((rest, inner));
        }
        let column = self.text[..self.text.len() - input.len()].chars().count() + 1;
        let open = format!("the parenthesis at column {column} is not closed");
        problem::after_term(rest, "`)`").help_if_none(open).fail()
    }
}

fn single_or(mut all: Vec<Expression>, many: fn(Vec<Expression>) -> Expression) -> Expression {
    match all.pop() {
        Some(only) if all.is_empty() => only,
        Some(last) => {
            all.push(last);
            many(all)
        }
        None => many(all),
    }
}

/// A word that is not just the beginning of a name.
fn keyword<'a>(word: &'static str) -> impl Parser<&'a str, Output = &'a str, Error = Problem<'a>> {
    let end = not(satisfy(|c| is_part_char(c) || c == '.'));
    delimited(multispace0, tag(word), (end, multispace0))
}

fn token<'a>(c: char) -> impl Parser<&'a str, Output = char, Error = Problem<'a>> {
    delimited(multispace0, char(c), multispace0)
}

fn term(input: &str) -> Parsed<'_, Test> {
    if let Some(test) = line(input)? {
        return Ok(test);
    }
    if let Ok((rest, _)) = (tag("exists"), token('(')).parse(input) {
        let (rest, path) = path(rest)?;
        let Ok((rest, _)) = preceded(multispace0, char::<_, Problem>(')')).parse(rest) else {
            return Problem::expected(rest, "`)` after the name").fail();
        };
        return Ok((rest, Test::Exists(path)));
    }
    let (rest, path) = left(input)?;
    let Ok((rest, operator)) = delimited(multispace0, operator, multispace0).parse(rest) else {
        return problem::operator(input, &input[..input.len() - rest.len()], rest).fail();
    };
    match operator {
        Operator::Compare(operator) => compare(rest, path, operator),
        Operator::Matches { negated } => {
            let (rest, pattern) = pattern(rest)?;
            let test = Test::Matches {
                path,
                negated,
                pattern,
            };
            Ok((rest, test))
        }
        Operator::In { negated } => {
            let (rest, items) = items(rest, &path)?;
            let test = Test::In {
                path,
                negated,
                items,
            };
            Ok((rest, test))
        }
        Operator::Text(operator) => {
            let (rest, needle) = needle(rest)?;
            let test = Test::Text {
                path,
                operator,
                needle,
            };
            Ok((rest, test))
        }
    }
}

/// A string that is not a name: the raw line's text.
fn line(input: &str) -> Result<Option<(&str, Test)>, Err<Problem<'_>>> {
    if !input.starts_with(['"', '\'']) {
        return Ok(None);
    }
    let (rest, text) = string(input)?;
    let is_name = rest.starts_with('.') || preceded(multispace0, operator).parse(rest).is_ok();
    Ok((!is_name).then_some((rest, Test::Line(text))))
}

/// The name on the left.
fn left(input: &str) -> Parsed<'_, Path> {
    if let Some(problem) = problem::not_a_term(input) {
        return problem.fail();
    }
    let (rest, path) = path(input)?;
    if is_number(&path.parts()[0]) && !input.starts_with(['.', '"', '\'']) {
        return Problem::expected(input, "the name of a field")
            .help("the field stands left of the operator, the value right of it")
            .fail();
    }
    Ok((rest, path))
}

/// Whether a name's first part needs no quotes where a term begins.
pub(super) fn can_begin_term(part: &str) -> bool {
    !is_number(part) && !literal::KEYWORDS.contains(&part) && !matches!(part, "NOT" | "Not")
}

fn is_number(part: &str) -> bool {
    part.bytes().all(|b| b.is_ascii_digit())
}

fn path(input: &str) -> Parsed<'_, Path> {
    match Path::parse_prefix(input) {
        Ok((path, len)) => Ok((&input[len..], path)),
        Err(error) => {
            let at = &input[error.offset..];
            Problem::new(at, format!("{}, found {}", error.message, found(at))).fail()
        }
    }
}

fn operator(input: &str) -> Parsed<'_, Operator> {
    let compare = |operator: Comparison| value(Operator::Compare(operator), tag(operator.symbol()));
    let text = |operator: TextOperator| value(Operator::Text(operator), keyword(operator.symbol()));
    let within = |negated| value(Operator::In { negated }, keyword("in"));
    alt((
        compare(Comparison::Eq),
        compare(Comparison::Ne),
        compare(Comparison::Le),
        compare(Comparison::Ge),
        compare(Comparison::Lt),
        compare(Comparison::Gt),
        value(Operator::Matches { negated: false }, tag("=~")),
        value(Operator::Matches { negated: true }, tag("!~")),
        within(false),
        preceded(keyword("not"), within(true)),
        text(TextOperator::Contains),
        text(TextOperator::StartsWith),
        text(TextOperator::EndsWith),
    ))
    .parse(input)
}

fn compare(input: &str, path: Path, operator: Comparison) -> Parsed<'_, Test> {
    let is_path = input.starts_with('.') && !input.starts_with("..");
    let (rest, value) = if is_path {
        let (rest, other) = self::path(input)?;
        (rest, Value::Field(other))
    } else {
        one(input, &path)?
    };
    // `1..` is a range, `10.0.0.0/8` a network: both belong after `in`.
    let taken = &input[..input.len() - rest.len()];
    if rest.starts_with("..") || literal::network(taken).is_some() {
        let (word, bound) = if operator == Comparison::Ne {
            ("not in", "in")
        } else {
            ("in", "in")
        };
        return Problem::new(
            input,
            format!("expected one value after `{}`", operator.symbol()),
        )
        .spanning(taken.len())
        .help(format!(
            "write `{word}`: ranges and networks go after `{bound}`"
        ))
        .fail();
    }
    let test = Test::Compare {
        path,
        operator,
        value,
    };
    Ok((rest, test))
}

/// A string or word, typed.
fn one<'a>(input: &'a str, path: &Path) -> Parsed<'a, Value> {
    let (rest, typed) = if input.starts_with(['"', '\'']) {
        let (rest, text) = string(input)?;
        (rest, literal::string(path, &text))
    } else {
        let (rest, text) = word(input)?;
        (rest, literal::word(path, text))
    };
    match typed {
        Ok(value) => Ok((rest, value)),
        Err(refusal) => Problem::refused(input, rest, refusal).fail(),
    }
}

fn string(input: &str) -> Parsed<'_, String> {
    match quoted(input) {
        Ok((text, len)) => Ok((&input[len..], text)),
        Err(error) if error.offset == 0 => Problem::new(input, error.message)
            .spanning(input.len())
            .fail(),
        Err(error) => Problem::new(&input[error.offset..], error.message)
            .spanning(1)
            .help(r"a backslash itself is written \\")
            .fail(),
    }
}

fn word(input: &str) -> Parsed<'_, &str> {
    let text = literal::run(input);
    if text.is_empty() || (text.starts_with('/') && text.len() > 1) {
        return problem::value(input).fail();
    }
    Ok((&input[text.len()..], text))
}

fn needle(input: &str) -> Parsed<'_, String> {
    if input.starts_with(['"', '\'']) {
        return string(input);
    }
    let (rest, text) = word(input)?;
    if literal::KEYWORDS.contains(&text) {
        return Problem::expected(input, "text").fail();
    }
    Ok((rest, text.to_owned()))
}

/// What `in` takes: a list, or one item that can hold several values.
fn items<'a>(input: &'a str, path: &Path) -> Parsed<'a, Vec<Item>> {
    let Ok((mut rest, _)) = token('[').parse(input) else {
        return lone_item(input, path);
    };
    let mut items = Vec::new();
    loop {
        if let Ok((rest, _)) = preceded(multispace0, char::<_, Problem>(']')).parse(rest) {
            return Ok((rest, items));
        }
        let (after, next) = terminated(|i| item(i, path), multispace0).parse(rest)?;
        items.push(next);
        let (after, comma) = opt(token(',')).parse(after)?;
        if comma.is_none() && peek(char::<_, Problem>(']')).parse(after).is_err() {
            return Problem::expected(after, "`,` or `]`").fail();
        }
        rest = after;
    }
}

fn lone_item<'a>(input: &'a str, path: &Path) -> Parsed<'a, Vec<Item>> {
    if input.starts_with(['"', '\'']) {
        let (rest, text) = string(input)?;
        let parts = text
            .split([',', '\n'])
            .map(str::trim)
            .filter(|part| !part.is_empty());
        let items = parts.map(|part| match literal::network(part) {
            Some(network) => network.map(Item::Network),
            None => literal::word(path, part).map(Item::One),
        });
        return match items.collect() {
            Ok(items) => Ok((rest, items)),
            Err(refusal) => Problem::refused(input, rest, refusal).fail(),
        };
    }
    match item(input, path)? {
        (_, Item::One(_)) => Problem::expected(input, "a list, a range or a network after `in`")
            .help("write `==` to compare with one value, or a list in brackets: [a, b]")
            .fail(),
        (rest, item) => Ok((rest, vec![item])),
    }
}

fn item<'a>(input: &'a str, path: &Path) -> Parsed<'a, Item> {
    let run = literal::run(input);
    if let Some(network) = literal::network(run) {
        let rest = &input[run.len()..];
        return match network {
            Ok(network) => Ok((rest, Item::Network(network))),
            Err(refusal) => Problem::refused(input, rest, refusal).fail(),
        };
    }
    let (rest, low) = one(input, path)?;
    let Some(upper) = rest.strip_prefix("..") else {
        return Ok((rest, Item::One(low)));
    };
    let (rest, high) = one(upper, path)?;
    match range(low, high) {
        Some(range) => Ok((rest, range)),
        None => Problem::new(
            input,
            "expected two numbers, durations, sizes, times or levels",
        )
        .spanning(input.len() - rest.len())
        .help("both ends of a range must be of the same type")
        .fail(),
    }
}

/// A range, if its ends have one type, and that has an order.
fn range(low: Value, high: Value) -> Option<Item> {
    let (low, high) = match (low, high) {
        // One end may be beyond what f64 holds, and the other not.
        (Value::Integer(low), Value::Number(high)) if high.fract() == 0.0 => {
            (Value::Integer(low), Value::Integer(high as i128))
        }
        (Value::Number(low), Value::Integer(high)) if low.fract() == 0.0 => {
            (Value::Integer(low as i128), Value::Integer(high))
        }
        other => other,
    };
    let ordered = !matches!(low, Value::Text(_) | Value::Field(_));
    let same = std::mem::discriminant(&low) == std::mem::discriminant(&high);
    (ordered && same).then_some(Item::Range(low, high))
}

/// `/re/`, `/re/i`, or the regex in quotes.
fn pattern(input: &str) -> Parsed<'_, Pattern> {
    let (rest, source, ignore_case) = if input.starts_with(['"', '\'']) {
        let (rest, text) = string(input)?;
        (rest, text, false)
    } else {
        let Some(inside) = input.strip_prefix('/') else {
            return Problem::expected(input, "a regex: /re/, /re/i or one in quotes").fail();
        };
        let Some(len) = closing_slash(inside) else {
            return Problem::new(input, "expected a closing `/` of the regex")
                .spanning(input.len())
                .fail();
        };
        let rest = &inside[len + 1..];
        let flags = &rest[..rest.find(|c| !is_part_char(c)).unwrap_or(rest.len())];
        if !matches!(flags, "" | "i") {
            return Problem::expected(rest, "the flag i or none after the regex")
                .help("other flags go into the regex: (?s)")
                .fail();
        }
        (&rest[flags.len()..], inside[..len].to_owned(), flags == "i")
    };
    let pattern = Pattern {
        regex: unescape_slashes(&source),
        ignore_case,
    };
    match literal::regex(&pattern) {
        Ok(_) => Ok((rest, pattern)),
        Err(refusal) => Problem::refused(input, rest, refusal).fail(),
    }
}

fn closing_slash(inside: &str) -> Option<usize> {
    let mut escaped = false;
    inside.bytes().position(|b| {
        let closes = b == b'/' && !escaped;
        escaped = b == b'\\' && !escaped;
        closes
    })
}

/// `\/` to `/`, which are the same to a regex; other escapes stay.
fn unescape_slashes(source: &str) -> String {
    let mut out = String::with_capacity(source.len());
    let mut chars = source.chars();
    while let Some(c) = chars.next() {
        match (c, chars.as_str().chars().next()) {
            ('\\', Some('/')) => {}
            ('\\', Some(next)) => {
                chars.next();
                out.extend(['\\', next]);
            }
            _ => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests;
