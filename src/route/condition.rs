//! Expressions compiled against the columns of the plan.
//!
//! Comparisons become ranges, equal literals of one `in` one test, negations
//! a `not` around the positive test; cheap terms run first, which cannot
//! change the outcome.

use memchr::memmem::Finder;

use super::expression::{Comparison, Expression, Item, Pattern, Term, Test, TextOperator, Value};
use super::ranges::Ranges;
use super::satisfy::{self, Formula};
use super::text::{AddressRange, TextTest, Words};
use super::{RuleError, literal};
use crate::event::{ColumnKind, Needs, Path, Role};

/// A compiled rule. A clone shares nothing with the original that threads
/// would contend for.
#[derive(Clone, Debug)]
pub struct Condition {
    pub(super) root: Node,
}

#[derive(Clone, Debug)]
pub(super) enum Node {
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    Line(Finder<'static>),
    Level(usize, Ranges<u8>),
    /// Numbers, durations or sizes.
    Number(usize, ColumnKind, Ranges<f64>),
    Time(usize, Ranges<i64>),
    Text(usize, TextTest),
    Fields(Fields),
}

/// A comparison of two fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Fields {
    /// `Ne` never: that is a `not` around `Eq`.
    pub(super) operator: Comparison,
    pub(super) slots: FieldSlots,
}

/// The columns of the left and the right side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FieldSlots {
    Level(usize, usize),
    Time(usize, usize),
    /// Numbers if both are, else text.
    Any {
        numbers: (usize, usize),
        texts: (usize, usize),
    },
}

impl Condition {
    /// Compiles an expression, adding the columns it reads to `needs`.
    pub fn compile(expression: &Expression, needs: &mut Needs) -> Result<Condition, RuleError> {
        let root = compile(expression, needs)?;
        Ok(Condition { root })
    }

    /// Whether it is certain to be false for every event.
    #[must_use]
    pub fn is_contradiction(&self) -> bool {
        satisfy::is_impossible([Formula::of(&self.root, true)])
    }
}

fn compile(expression: &Expression, needs: &mut Needs) -> Result<Node, RuleError> {
    let mut each = |all: &[Expression]| -> Result<Vec<Node>, RuleError> {
        let mut nodes: Vec<Node> = all
            .iter()
            .map(|e| compile(e, needs))
            .collect::<Result<_, _>>()?;
        nodes.sort_by_key(Node::cost);
        Ok(nodes)
    };
    Ok(match expression {
        Expression::And(all) => Node::And(each(all)?),
        Expression::Or(all) => Node::Or(each(all)?),
        Expression::Not(inner) => Node::Not(Box::new(compile(inner, needs)?)),
        Expression::Term(term) => {
            let node = positive(term, needs)?;
            if term.is_negated() {
                Node::Not(Box::new(node))
            } else {
                node
            }
        }
    })
}

/// The term without its negation.
fn positive(term: &Term, needs: &mut Needs) -> Result<Node, RuleError> {
    let mut on_text = |path: &Path, test| Node::Text(needs.slot(path, ColumnKind::Text), test);
    Ok(match &term.test {
        Test::Line(needle) => Node::Line(Finder::new(needle).into_owned()),
        Test::Exists(path) => on_text(path, TextTest::Present),
        Test::Matches { path, pattern, .. } => {
            let regex = regex(pattern, term)?;
            on_text(path, TextTest::Matches(regex, pattern.ignore_case))
        }
        Test::Text {
            path,
            operator,
            needle,
        } => {
            let test = match operator {
                TextOperator::Contains => TextTest::Contains(Finder::new(needle).into_owned()),
                TextOperator::StartsWith => TextTest::StartsWith(needle.as_bytes().into()),
                TextOperator::EndsWith => TextTest::EndsWith(needle.as_bytes().into()),
            };
            on_text(path, test)
        }
        Test::Compare {
            path,
            operator,
            value,
        } => compare(path, *operator, value, needs),
        Test::In { path, items, .. } => within(path, items, needs),
    })
}

fn regex(pattern: &Pattern, term: &Term) -> Result<regex::bytes::Regex, RuleError> {
    literal::regex(pattern).map_err(|(message, help)| RuleError {
        offset: term.span.start,
        len: term.span.len(),
        message,
        help,
    })
}

fn compare(path: &Path, operator: Comparison, value: &Value, needs: &mut Needs) -> Node {
    let slot = |needs: &mut Needs, kind| needs.slot(path, kind);
    let number = |kind, n: f64, needs: &mut Needs| {
        Node::Number(slot(needs, kind), kind, Ranges::comparing(operator, n))
    };
    match value {
        Value::Level(level) => {
            let ranges = Ranges::comparing(operator, level.0);
            Node::Level(slot(needs, ColumnKind::Level), ranges)
        }
        Value::Number(n) => number(ColumnKind::Number, *n, needs),
        Value::Duration(seconds) => number(ColumnKind::Duration, *seconds, needs),
        Value::Size(bytes) => number(ColumnKind::Size, *bytes, needs),
        Value::Integer(n) => {
            let test = TextTest::Integer(Ranges::comparing(operator, *n));
            Node::Text(slot(needs, ColumnKind::Text), test)
        }
        Value::Time(time) => {
            let ranges = Ranges::comparing(operator, time.0);
            Node::Time(slot(needs, ColumnKind::Time), ranges)
        }
        Value::Text(word) => {
            let word: Box<[u8]> = word.as_bytes().into();
            let test = match operator {
                Comparison::Eq | Comparison::Ne => TextTest::Equal(word),
                other => TextTest::Ordered(other, word),
            };
            Node::Text(slot(needs, ColumnKind::Text), test)
        }
        Value::Field(other) => fields(path, operator, other, needs),
    }
}

fn fields(left: &Path, operator: Comparison, right: &Path, needs: &mut Needs) -> Node {
    let mut both = |kind| (needs.slot(left, kind), needs.slot(right, kind));
    let slots = match left.role() {
        Some(Role::Level) => {
            let (left, right) = both(ColumnKind::Level);
            FieldSlots::Level(left, right)
        }
        Some(Role::Timestamp) => {
            let (left, right) = both(ColumnKind::Time);
            FieldSlots::Time(left, right)
        }
        _ => FieldSlots::Any {
            numbers: both(ColumnKind::Number),
            texts: both(ColumnKind::Text),
        },
    };
    let operator = match operator {
        Comparison::Ne => Comparison::Eq,
        other => other,
    };
    Node::Fields(Fields { operator, slots })
}

/// The items of one `in`, by the column that each is compared with.
#[derive(Default)]
struct Sorted {
    levels: Vec<(u8, u8)>,
    numbers: Vec<(f64, f64)>,
    durations: Vec<(f64, f64)>,
    sizes: Vec<(f64, f64)>,
    times: Vec<(i64, i64)>,
    integers: Vec<(i128, i128)>,
    words: Vec<Box<[u8]>>,
    networks: Vec<AddressRange>,
    fields: Vec<Path>,
}

impl Sorted {
    fn add(&mut self, item: &Item) {
        match item {
            Item::One(Value::Text(text)) => self.words.push(text.as_bytes().into()),
            Item::One(Value::Field(path)) => self.fields.push(path.clone()),
            Item::One(value) => self.add_range(value, value),
            Item::Range(low, high) => self.add_range(low, high),
            Item::Network(network) => self.networks.push(AddressRange::of(*network)),
        }
    }

    fn add_range(&mut self, low: &Value, high: &Value) {
        match (low, high) {
            (Value::Level(a), Value::Level(b)) => self.levels.push((a.0, b.0)),
            (Value::Number(a), Value::Number(b)) => self.numbers.push((*a, *b)),
            (Value::Duration(a), Value::Duration(b)) => self.durations.push((*a, *b)),
            (Value::Size(a), Value::Size(b)) => self.sizes.push((*a, *b)),
            (Value::Time(a), Value::Time(b)) => self.times.push((a.0, b.0)),
            (Value::Integer(a), Value::Integer(b)) => self.integers.push((*a, *b)),
            // No other range is in an expression; it would hold nothing.
            _ => {}
        }
    }
}

fn within(path: &Path, items: &[Item], needs: &mut Needs) -> Node {
    let mut sorted = Sorted::default();
    for item in items {
        sorted.add(item);
    }
    let mut any: Vec<Node> = Vec::new();
    if !sorted.levels.is_empty() {
        let slot = needs.slot(path, ColumnKind::Level);
        any.push(Node::Level(slot, Ranges::of(sorted.levels)));
    }
    for (kind, ranges) in [
        (ColumnKind::Number, sorted.numbers),
        (ColumnKind::Duration, sorted.durations),
        (ColumnKind::Size, sorted.sizes),
    ] {
        if !ranges.is_empty() {
            any.push(Node::Number(
                needs.slot(path, kind),
                kind,
                Ranges::of(ranges),
            ));
        }
    }
    if !sorted.times.is_empty() {
        let slot = needs.slot(path, ColumnKind::Time);
        any.push(Node::Time(slot, Ranges::of(sorted.times)));
    }
    let mut text = |test| any.push(Node::Text(needs.slot(path, ColumnKind::Text), test));
    if !sorted.words.is_empty() {
        text(TextTest::OneOf(Words::new(sorted.words.into_iter())));
    }
    if !sorted.integers.is_empty() {
        text(TextTest::Integer(Ranges::of(sorted.integers)));
    }
    if !sorted.networks.is_empty() {
        text(TextTest::Networks(sorted.networks.into()));
    }
    for other in &sorted.fields {
        any.push(fields(path, Comparison::Eq, other, needs));
    }
    match any.pop() {
        Some(only) if any.is_empty() => only,
        last => {
            any.extend(last);
            any.sort_by_key(Node::cost);
            Node::Or(any)
        }
    }
}

impl Node {
    fn cost(&self) -> u32 {
        match self {
            Node::Level(..) | Node::Number(..) | Node::Time(..) => 1,
            Node::Text(_, test) => test.cost(),
            Node::Line(_) => 5,
            Node::Fields(_) => 6,
            Node::Not(inner) => inner.cost(),
            Node::And(all) | Node::Or(all) => all.iter().map(Node::cost).sum(),
        }
    }
}
