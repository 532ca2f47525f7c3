//! Rules: which events go where.
//!
//! A rule is text ([`Expression::parse`]), compiled once ([`Condition`]) and
//! run column by column over whole batches into sets of rows. A [`Table`] is
//! the flat list of routes: top down, the first match takes the event unless
//! the route says `continue`.
//!
//! ```text
//! level >= warn and service =~ /^pay/ and not (http.status in 200..399 or exists(trace_id))
//! ```
//!
//! Meaning, in short; `expression.rs` has the terms one by one:
//! - left of an operator is a name ([`Path`](crate::event::Path)), right of it
//!   a literal or a field `.x`. The literal's type decides what the field is
//!   read as; a field that does not convert is as good as missing.
//! - on a missing field every positive test is false, and `!=`, `!~` and
//!   `not in` are the exact negations of `==`, `=~` and `in`.
//! - `and` binds tighter than `or`, `not` tighter than both. Keywords are
//!   lower case.
//!
//! The stage decides rows and counts; it moves no text and holds no events.

mod check;
mod condition;
mod error;
mod evaluate;
mod expression;
mod fields;
mod grammar;
mod lint;
mod literal;
mod ranges;
mod reach;
mod satisfy;
mod table;
mod text;
mod verdict;

pub use check::{Finding, FindingKind, check};
pub use condition::Condition;
pub use error::RuleError;
pub use evaluate::Scratch;
pub use expression::{
    Comparison, Expression, Item, Network, Pattern, Term, Test, TextOperator, Value,
};
pub use lint::{Lint, lint};
pub use table::{Claim, Listed, Part, Recycled, RouteSpec, Routed, Table, Target, When};
pub use verdict::{
    Expectation, Judge, RouteVerdict, Seen, State, TermVerdict, Typed, Unmet, text_at,
};

#[cfg(test)]
mod tests;
