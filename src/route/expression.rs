//! A rule as data: what was written, with the literals typed and the place of
//! every term in the text.
//!
//! `Display` writes a rule that parses back to an equal expression. What the
//! terms mean is documented here; `condition.rs` compiles them.

use std::fmt::{self, Display as _};
use std::net::IpAddr;
use std::ops::Range;

use super::{RuleError, grammar};
use crate::event::{Level, Path, Timestamp};

/// A parsed rule.
#[derive(Clone, Debug, PartialEq)]
pub enum Expression {
    /// All of them hold.
    And(Vec<Expression>),
    /// At least one holds.
    Or(Vec<Expression>),
    /// It does not hold.
    Not(Box<Expression>),
    /// A single test.
    Term(Term),
}

/// One test of a rule. Two terms are equal if they say the same, wherever
/// they stand.
#[derive(Clone, Debug)]
pub struct Term {
    /// Where it stands in the rule's text, in bytes.
    pub span: Range<usize>,
    /// What it says.
    pub test: Test,
}

impl PartialEq for Term {
    fn eq(&self, other: &Term) -> bool {
        self.test == other.test
    }
}

/// What a term says of an event.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// `"text"`: the line as it came contains the text.
    Line(String),
    /// `exists(path)`: there is a value. A JSON `null` is none.
    Exists(Path),
    /// `path == value` and its relatives.
    Compare {
        /// The left side.
        path: Path,
        /// How.
        operator: Comparison,
        /// The right side; its type decides what the field is read as.
        value: Value,
    },
    /// `path in …`, `path not in …`: equal to an item, or within it.
    In {
        /// The left side.
        path: Path,
        /// Whether it is `not in`.
        negated: bool,
        /// What it is looked up in; may be empty.
        items: Vec<Item>,
    },
    /// `path =~ /re/`, `path !~ /re/`: the regex matches somewhere in the text.
    Matches {
        /// The left side.
        path: Path,
        /// Whether it is `!~`.
        negated: bool,
        /// The regex.
        pattern: Pattern,
    },
    /// `path contains "text"` and its relatives, byte for byte.
    Text {
        /// The left side.
        path: Path,
        /// Where in the value.
        operator: TextOperator,
        /// The text looked for.
        needle: String,
    },
}

/// A comparison operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Comparison {
    /// `==`
    Eq,
    /// `!=`, true where `==` is false, also on a missing field.
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

/// Where in a value a text is looked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TextOperator {
    /// `contains`
    Contains,
    /// `startswith`
    StartsWith,
    /// `endswith`
    EndsWith,
}

/// The right side of a comparison.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// A level's name, against the role `level` only: compares severity.
    Level(Level),
    /// A number; the field is read as `f64`.
    Number(f64),
    /// A whole number that `f64` may not hold exactly (2^53 and beyond);
    /// compared digit for digit.
    Integer(i128),
    /// A duration in seconds.
    Duration(f64),
    /// A size in bytes.
    Size(f64),
    /// A time.
    Time(Timestamp),
    /// A string or bare word; compares bytes, also for `<` and `>`.
    Text(String),
    /// Another field (`.x`). Two numbers compare as numbers, anything else as
    /// bytes; against the roles `level` and `timestamp` as these.
    Field(Path),
}

/// What `in` looks a value up in.
#[derive(Clone, Debug, PartialEq)]
pub enum Item {
    /// Equal to this. Never [`Value::Field`].
    One(Value),
    /// Between these, both included; two of the same type, not text.
    Range(Value, Value),
    /// An address of this network.
    Network(Network),
}

/// An IP network: `10.0.0.0/8`, `fe80::/10`. An IPv4 address written as IPv6
/// (`::ffff:10.0.0.1`) belongs to the IPv4 network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    /// Any address of it.
    pub address: IpAddr,
    /// How many leading bits are its name: at most 32 or 128.
    pub prefix_bits: u8,
}

/// A regex, in the syntax of the `regex` crate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    /// The regex, with the slashes of `/re/` and their escapes taken off.
    pub regex: String,
    /// The flag `i`: upper and lower case are the same.
    pub ignore_case: bool,
}

impl Expression {
    /// Rules longer than this are refused, in bytes: far beyond what anyone
    /// writes, and a bound on what a stranger's text can cost.
    pub const LEN_MAX: usize = 16 * 1024;
    /// Parentheses and `not`s inside each other, at most: parsing, compiling
    /// and evaluating recurse this deep.
    pub const DEPTH_MAX: usize = 64;

    /// Reads a rule.
    pub fn parse(text: &str) -> Result<Expression, RuleError> {
        grammar::parse(text)
    }

    /// Its terms, in the order they are written.
    #[must_use]
    pub fn terms(&self) -> Vec<&Term> {
        let mut terms = Vec::new();
        self.collect(&mut terms);
        terms
    }

    fn collect<'a>(&'a self, terms: &mut Vec<&'a Term>) {
        match self {
            Expression::And(all) | Expression::Or(all) => {
                for part in all {
                    part.collect(terms);
                }
            }
            Expression::Not(inner) => inner.collect(terms),
            Expression::Term(term) => terms.push(term),
        }
    }
}

impl Term {
    /// The field it reads first; none if it reads the raw line.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        match &self.test {
            Test::Line(_) => None,
            Test::Exists(path)
            | Test::Compare { path, .. }
            | Test::In { path, .. }
            | Test::Matches { path, .. }
            | Test::Text { path, .. } => Some(path),
        }
    }

    /// Whether it holds on a missing field: `!=`, `!~` and `not in` do.
    #[must_use]
    pub fn is_negated(&self) -> bool {
        match &self.test {
            Test::Compare { operator, .. } => *operator == Comparison::Ne,
            Test::In { negated, .. } | Test::Matches { negated, .. } => *negated,
            Test::Line(_) | Test::Exists(_) | Test::Text { .. } => false,
        }
    }
}

impl Comparison {
    /// The operator as it is written.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            Comparison::Eq => "==",
            Comparison::Ne => "!=",
            Comparison::Lt => "<",
            Comparison::Le => "<=",
            Comparison::Gt => ">",
            Comparison::Ge => ">=",
        }
    }
}

impl TextOperator {
    /// The operator as it is written.
    #[must_use]
    pub fn symbol(self) -> &'static str {
        match self {
            TextOperator::Contains => "contains",
            TextOperator::StartsWith => "startswith",
            TextOperator::EndsWith => "endswith",
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Expression::And(all) => joined(f, all, " and "),
            Expression::Or(all) => joined(f, all, " or "),
            Expression::Not(inner) => {
                f.write_str("not ")?;
                operand(f, inner)
            }
            Expression::Term(term) => term.fmt(f),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, all: &[Expression], word: &str) -> fmt::Result {
    for (i, expression) in all.iter().enumerate() {
        if i > 0 {
            f.write_str(word)?;
        }
        operand(f, expression)?;
    }
    Ok(())
}

fn operand(f: &mut fmt::Formatter<'_>, expression: &Expression) -> fmt::Result {
    match expression {
        Expression::And(_) | Expression::Or(_) => write!(f, "({expression})"),
        Expression::Not(_) | Expression::Term(_) => expression.fmt(f),
    }
}

impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.test {
            Test::Line(text) => write!(f, "{text:?}"),
            Test::Exists(path) => write!(f, "exists({path})"),
            Test::Compare {
                path,
                operator,
                value,
            } => write!(f, "{} {} {value}", Left(path), operator.symbol()),
            Test::In {
                path,
                negated,
                items,
            } => {
                write!(
                    f,
                    "{} {}in [",
                    Left(path),
                    if *negated { "not " } else { "" }
                )?;
                for (i, item) in items.iter().enumerate() {
                    write!(f, "{}{item}", if i > 0 { ", " } else { "" })?;
                }
                f.write_str("]")
            }
            Test::Matches {
                path,
                negated,
                pattern,
            } => write!(
                f,
                "{} {} {pattern}",
                Left(path),
                if *negated { "!~" } else { "=~" }
            ),
            Test::Text {
                path,
                operator,
                needle,
            } => write!(f, "{} {} {needle:?}", Left(path), operator.symbol()),
        }
    }
}

/// A path where a term begins: there a keyword or a number must be quoted.
struct Left<'a>(&'a Path);

impl fmt::Display for Left<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.0.to_string();
        let first = &*self.0.parts()[0];
        match path.strip_prefix(first) {
            Some(rest) if !grammar::can_begin_term(first) => write!(f, "{first:?}{rest}"),
            _ => f.write_str(&path),
        }
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Level(level) => f.write_str(level_name(*level)),
            // Written out, a large one would read as an exact integer.
            Value::Number(n) if n.abs() >= 1e15 => write!(f, "{n:e}"),
            Value::Number(n) => n.fmt(f),
            Value::Integer(n) => n.fmt(f),
            Value::Duration(seconds) => write!(f, "{seconds}s"),
            Value::Size(bytes) => write!(f, "{bytes}B"),
            Value::Time(time) => jiff::Timestamp::from_nanosecond(i128::from(time.0))
                .map_or(Err(fmt::Error), |t| t.fmt(f)),
            Value::Text(text) => write!(f, "{text:?}"),
            Value::Field(path) => path.fmt(f),
        }
    }
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Item::One(value) => value.fmt(f),
            Item::Range(low, high) => write!(f, "{low}..{high}"),
            Item::Network(network) => network.fmt(f),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_bits)
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("/")?;
        let mut chars = self.regex.chars();
        while let Some(c) = chars.next() {
            match c {
                '/' => f.write_str(r"\/")?,
                '\\' => write!(f, "\\{}", chars.next().map_or(String::new(), String::from))?,
                c => write!(f, "{c}")?,
            }
        }
        f.write_str(if self.ignore_case { "/i" } else { "/" })
    }
}

/// The name that reads back as exactly this level, where it has one.
fn level_name(level: Level) -> &'static str {
    match level {
        Level::NOTICE => "notice",
        Level::CRITICAL => "critical",
        Level::ALERT => "alert",
        other => other.name(),
    }
}
