//! What a rule says that is probably not what was meant, or could be said in a
//! plainer way. Nothing here is an error: the rule does just what it says.

use std::ops::Range;

use super::expression::{Comparison, Expression, Pattern, Term, Test, Value};
use super::literal;
use crate::event::{Level, Path, Role};

/// Something odd in a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lint {
    /// Where in the rule's text, in bytes.
    pub span: Range<usize>,
    /// Whether it is only a matter of taste.
    pub minor: bool,
    /// What is odd, lower case.
    pub message: String,
    /// What to write instead.
    pub help: String,
}

/// What is odd about the terms of a rule.
#[must_use]
pub fn lint(rule: &Expression) -> Vec<Lint> {
    let terms = rule.terms().into_iter();
    terms.filter_map(of_term).collect()
}

fn of_term(term: &Term) -> Option<Lint> {
    let span = term.span.clone();
    match &term.test {
        Test::Compare {
            path,
            operator,
            value: Value::Text(text),
        } => level_by_another_name(path, *operator, text, &span)
            .or_else(|| compared_as_text(path, *operator, text, &span))
            .or_else(|| near_a_role(path, &span)),
        Test::Matches {
            path,
            negated,
            pattern,
        } => plain_regex(path, *negated, pattern, &span).or_else(|| near_a_role(path, &span)),
        _ => near_a_role(term.path()?, &span),
    }
}

fn is_ordered(operator: Comparison) -> bool {
    !matches!(operator, Comparison::Eq | Comparison::Ne)
}

/// `severity >= warn`: a field compares as text, only the role as a severity.
fn level_by_another_name(
    path: &Path,
    operator: Comparison,
    text: &str,
    span: &Range<usize>,
) -> Option<Lint> {
    let name = path.dotted();
    let known = Role::Level.aliases().contains(&name) || is_near(name, Role::Level);
    if !known || !is_ordered(operator) || Level::parse(text.as_bytes()).is_none() {
        return None;
    }
    Some(Lint {
        span: span.clone(),
        minor: false,
        message: format!(
            "`{path}` is a field here, and compares with `{text}` as text, not as a level"
        ),
        help: format!(
            "write level {} {text}: it means {name} too, and all other spellings",
            operator.symbol()
        ),
    })
}

/// `status >= "500"`: in quotes a number is text.
fn compared_as_text(
    path: &Path,
    operator: Comparison,
    text: &str,
    span: &Range<usize>,
) -> Option<Lint> {
    let unquoted = literal::word(path, text).ok()?;
    if !is_ordered(operator) || matches!(unquoted, Value::Text(_)) {
        return None;
    }
    Some(Lint {
        span: span.clone(),
        minor: false,
        message: format!(
            "\"{text}\" is text, and compares letter by letter: \"1000\" comes before \"9\""
        ),
        help: format!(
            "write it without quotes: {path} {} {text}",
            operator.symbol()
        ),
    })
}

/// A field whose name is a role's but for a slip of the fingers.
fn near_a_role(path: &Path, span: &Range<usize>) -> Option<Lint> {
    if path.is_field_only() || path.parts().len() != 1 || path.role().is_some() {
        return None;
    }
    let name = path.dotted();
    let role = Role::ALL.into_iter().find(|role| is_near(name, *role))?;
    Some(Lint {
        span: span.clone(),
        minor: true,
        message: format!(
            "`{name}` is a field of just that name: did you mean `{}`?",
            role.name()
        ),
        help: format!(
            "write `{}`, or `.{name}` if the field is meant",
            role.name()
        ),
    })
}

/// One letter wrong, missing, too many or swapped; a plural is a word of its own.
fn is_near(name: &str, role: Role) -> bool {
    let role = role.name();
    name != role
        && name.strip_suffix('s') != Some(role)
        && strsim::damerau_levenshtein(name, role) == 1
}

/// A regex that is nothing but a text has an operator of its own.
fn plain_regex(path: &Path, negated: bool, pattern: &Pattern, span: &Range<usize>) -> Option<Lint> {
    if pattern.ignore_case {
        return None;
    }
    let (operator, text) = as_text(&pattern.regex)?;
    let (open, close) = if negated { ("not (", ")") } else { ("", "") };
    Some(Lint {
        span: span.clone(),
        minor: true,
        message: format!("{pattern} is no more than a text"),
        help: format!(
            "write {open}{path} {operator} {text:?}{close}: the same, plainer and cheaper"
        ),
    })
}

/// The operator and the text that mean the same as a regex, if there are any.
fn as_text(regex: &str) -> Option<(&'static str, String)> {
    let (start, rest) = match regex.strip_prefix('^') {
        Some(rest) => (true, rest),
        // What may come before a match that begins anywhere says nothing.
        None => (false, regex.strip_prefix(".*").unwrap_or(regex)),
    };
    let escaped = |rest: &str| {
        let slashes = rest.len() - rest.trim_end_matches('\\').len();
        slashes % 2 == 1
    };
    let (end, rest) = match rest.strip_suffix('$').filter(|rest| !escaped(rest)) {
        Some(rest) => (true, rest),
        None => (
            false,
            rest.strip_suffix(".*")
                .filter(|r| !escaped(r))
                .unwrap_or(rest),
        ),
    };
    let mut text = String::new();
    let mut chars = rest.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => text.push(chars.next().filter(char::is_ascii_punctuation)?),
            '.' | '+' | '*' | '?' | '(' | ')' | '|' | '[' | ']' | '{' | '}' | '^' | '$' => {
                return None;
            }
            c => text.push(c),
        }
    }
    let operator = match (start, end) {
        _ if text.is_empty() => return None,
        (true, true) => "==",
        (true, false) => "startswith",
        (false, true) => "endswith",
        (false, false) => "contains",
    };
    Some((operator, text))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn help(rule: &str) -> Option<(bool, String)> {
        let found = lint(&Expression::parse(rule).unwrap());
        found.into_iter().next().map(|l| (l.minor, l.help))
    }

    #[test]
    fn odd_terms_are_told() {
        for (rule, minor, part) in [
            ("severity >= warn", false, "level >= warn"),
            ("log.level < error", false, "level < error"),
            ("levle >= warn", false, "level >= warn"),
            ("http.status >= \"500\"", false, "http.status >= 500"),
            ("took > '5s'", false, "took > 5s"),
            ("mesage contains x", true, "`message`"),
            ("service =~ /^pay/", true, "service startswith \"pay\""),
            ("service =~ /^pay$/", true, "service == \"pay\""),
            ("path =~ /\\.html$/", true, "path endswith \".html\""),
            ("a !~ /.*foo.*/", true, "not (a contains \"foo\")"),
        ] {
            let (is_minor, help) = help(rule).unwrap_or_else(|| panic!("{rule}"));
            assert!(is_minor == minor && help.contains(part), "{rule}: {help}");
        }
    }

    #[test]
    fn plain_terms_are_left_alone() {
        for rule in [
            "severity == ERROR",
            "level >= warn",
            "messages contains x",
            ".mesage contains x",
            "a == \"500\"",
            "version >= \"v1.2\"",
            "a =~ /pay/i",
            "a =~ /^a.c/",
            "a =~ /\\d/",
            "a =~ /^$/",
            "host == web1",
        ] {
            assert_eq!(help(rule), None, "{rule}");
        }
    }

    proptest! {
        /// What is proposed in the place of a regex says the same.
        #[test]
        fn a_text_means_what_its_regex_does(
            regex in r"\^?(\.\*)?[ab.\\$]{0,4}(\.\*)?\$?",
            value in "[ab.\\\\$]{0,6}",
        ) {
            if let (Some((operator, text)), Ok(compiled)) = (as_text(&regex), regex::Regex::new(&regex)) {
                let same = match operator {
                    "==" => value == text,
                    "startswith" => value.starts_with(&text),
                    "endswith" => value.ends_with(&text),
                    _ => value.contains(&text),
                };
                prop_assert_eq!(same, compiled.is_match(&value), "{} {}", operator, text);
            }
        }
    }
}
