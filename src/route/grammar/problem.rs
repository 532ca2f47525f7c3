//! What is said when a rule does not parse: the place, what was expected, what
//! was found, and what to write instead of the usual slips of other languages.

use nom::Err;
use nom::error::{ErrorKind, ParseError};

use super::Parsed;
use crate::event::is_part_char;
use crate::route::RuleError;
use crate::route::literal::{self, KEYWORDS, Refusal};

/// Names longer than this are cut in messages, in characters.
const SHOWN_MAX: usize = 32;

/// An error at a place in the text, as nom passes it up.
pub(super) struct Problem<'a> {
    at: &'a str,
    len: usize,
    message: String,
    help: Option<String>,
}

impl<'a> ParseError<&'a str> for Problem<'a> {
    fn from_error_kind(input: &'a str, _: ErrorKind) -> Self {
        // Alternatives that did not match; whoever tried them says more.
        Problem {
            at: input,
            len: 0,
            message: String::new(),
            help: None,
        }
    }

    fn append(_: &'a str, _: ErrorKind, other: Self) -> Self {
        other
    }
}

impl<'a> Problem<'a> {
    /// A problem with the token that `at` begins with.
    pub(super) fn new(at: &'a str, message: impl Into<String>) -> Problem<'a> {
        Problem {
            at,
            len: token(at).len(),
            message: message.into(),
            help: None,
        }
    }

    /// `expected WHAT, found …`.
    pub(super) fn expected(at: &'a str, what: &str) -> Problem<'a> {
        Problem::new(at, format!("expected {what}, found {}", found(at)))
    }

    /// A literal from `at` to `rest` that was refused.
    pub(super) fn refused(at: &'a str, rest: &str, refusal: Refusal) -> Problem<'a> {
        let (message, help) = refusal;
        Problem {
            at,
            len: at.len() - rest.len(),
            message,
            help,
        }
    }

    pub(super) fn spanning(mut self, len: usize) -> Self {
        self.len = len;
        self
    }

    pub(super) fn help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    pub(super) fn help_if_none(mut self, help: String) -> Self {
        self.help.get_or_insert(help);
        self
    }

    /// Ends the parse: no alternative is tried.
    pub(super) fn fail<T>(self) -> Parsed<'a, T> {
        Err(Err::Failure(self))
    }

    pub(super) fn locate(self, text: &str) -> RuleError {
        RuleError {
            offset: text.len() - self.at.len(),
            len: self.len,
            message: self.message,
            help: self.help,
        }
    }
}

/// The token that `rest` begins with: a word, an operator or one character.
fn token(rest: &str) -> &str {
    for operator in ["&&", "||", "==", "!=", "<=", ">=", "=~", "!~"] {
        if rest.starts_with(operator) {
            return &rest[..operator.len()];
        }
    }
    let word = rest.find(|c| !is_part_char(c)).unwrap_or(rest.len());
    let one = rest.chars().next().map_or(0, char::len_utf8);
    &rest[..word.max(one)]
}

/// The token that `rest` begins with, as messages name it.
pub(super) fn found(rest: &str) -> String {
    let token = token(rest);
    match token.char_indices().nth(SHOWN_MAX) {
        Some((cut, _)) => format!("`{}…`", &token[..cut]),
        None if token.is_empty() => "the end of the rule".to_owned(),
        None if token.trim().is_empty() => "white space".to_owned(),
        None => format!("`{token}`"),
    }
}

/// Something other than `and`, `or` or `end` after a term.
pub(super) fn after_term<'a>(rest: &'a str, end: &str) -> Problem<'a> {
    let rest = rest.trim_start();
    let problem = Problem::expected(rest, &format!("`and`, `or` or {end}"));
    let help = match token(rest) {
        "&&" | "&" | "AND" | "And" => "write `and`",
        "||" | "|" | "OR" | "Or" => "write `or`",
        ")" => "this parenthesis was never opened",
        "==" | "!=" | "<=" | ">=" | "<" | ">" => {
            "a comparison has one operator: join two with `and`, or write `in a..b`"
        }
        "*" | "?" | "$" | "=" | "\\" => "put text with such characters in quotes",
        _ => return problem,
    };
    problem.help(help)
}

/// A term that begins with something that no name begins with.
pub(super) fn not_a_term(input: &str) -> Option<Problem<'_>> {
    let what = "a field's name, `not`, `(` or text in quotes";
    let token = token(input);
    let help = match token {
        "!" => "write `not`",
        "NOT" | "Not" if !KEYWORDS.contains(&token) => "keywords are lower case: write `not`",
        "&&" | "||" => "write `and` and `or` between two tests",
        ")" => "a test is missing before this parenthesis",
        "/" => "a regex goes after a field: message =~ /re/",
        _ if KEYWORDS.contains(&token) && !literal::run(input).contains('.') => {
            "a keyword is not a name; a field of this name is written with a leading dot"
        }
        _ if token.starts_with(is_part_char) || token == "." || token == "\"" || token == "'" => {
            return None;
        }
        _ => return Some(Problem::expected(input, what)),
    };
    // `AND == 1` may well be a field of that name.
    if matches!(token, "NOT" | "Not") && operator_follows(&input[token.len()..]) {
        return None;
    }
    Some(Problem::expected(input, what).help(help))
}

fn operator_follows(rest: &str) -> bool {
    rest.trim_start().starts_with(['=', '<', '>', '!'])
}

/// No operator after the name `name`, which `input` begins with.
pub(super) fn operator<'a>(input: &'a str, name: &str, rest: &'a str) -> Problem<'a> {
    let rest = rest.trim_start();
    let problem = Problem::expected(rest, &format!("an operator after the name `{name}`"));
    let word = token(rest);
    let help = match word {
        "=" => "write `==` to compare".to_owned(),
        ":" => "write `==` instead of `:`".to_owned(),
        "~" => "write `=~`".to_owned(),
        "<>" | "!" => "write `!=`, `!~` or `not in`".to_owned(),
        "is" => "write `==`".to_owned(),
        "like" | "LIKE" | "matches" | "match" => "write `=~ /re/` or `contains`".to_owned(),
        "not" => format!("only `in` can follow `not` here: write `not {name} …`"),
        "(" => "the only function is exists(name)".to_owned(),
        "" | "and" | "or" | ")" | "&&" | "||" => format!(
            "write exists({name}) to test that there is a value, or quote it to search the raw line"
        ),
        word => match nearest_operator(word) {
            Some(operator) => format!("write `{operator}`"),
            None => "operators: == != < <= > >= =~ !~ in contains startswith endswith".to_owned(),
        },
    };
    if word.is_empty() {
        // Nothing to point at but the name.
        let message = problem.message;
        return Problem::new(input, message).spanning(name.len()).help(help);
    }
    problem.help(help)
}

/// `startsWith`, `ends_with`, `IN`, `contain` …
fn nearest_operator(word: &str) -> Option<&'static str> {
    let plain = word.to_lowercase().replace('_', "");
    let near = ["in", "contains", "startswith", "endswith"].map(|operator| {
        let distance = strsim::damerau_levenshtein(operator, &plain);
        (distance, operator)
    });
    let (distance, operator) = near.into_iter().min()?;
    // A quarter of its letters may be wrong: none of `in`.
    (distance <= operator.len() / 4).then_some(operator)
}

/// No value where one must be.
pub(super) fn value(input: &str) -> Problem<'_> {
    let problem = Problem::expected(input, "a value");
    match token(input) {
        "[" => problem.help("write `in` before a list"),
        "/" => problem.help("a regex goes after `=~` or `!~`; put other text in quotes"),
        "=" => problem.help("write `==` to compare"),
        "" => problem.help("a value is a number, a word, text in quotes or a field `.name`"),
        _ => problem.help("put text with such characters in quotes"),
    }
}
