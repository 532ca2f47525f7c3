//! Whether no event can satisfy a rule.
//!
//! "Impossible" is said only when it is certain: of everything else, and of
//! what would take too long to work out, nothing is claimed. Rules are taken
//! apart into alternatives, each a list of facts; what is asked of one column
//! is then compared by the sets of values that the tests hold for.
//!
//! Facts of different columns say nothing of each other, although they may be
//! of the same field: a format may know a number that stands nowhere as text.

use std::rc::Rc;

use memchr::memmem::Finder;

use super::condition::{Fields, Node};
use super::expression::Comparison;
use super::ranges::{Ranges, Scale};
use super::text::TextTest;

/// Facts looked at before the question is given up: far beyond what rules of
/// people need, and a bound on what generated ones cost.
const STEPS_MAX: usize = 5_000;
/// Alternatives chosen one after the other, as many recursions deep.
const DEPTH_MAX: usize = 200;

/// A rule whose negations have been moved to its tests.
#[derive(Clone)]
pub(super) enum Formula<'a> {
    /// All of them hold; `All` of none is true.
    All(Rc<[Formula<'a>]>),
    /// At least one holds; `Any` of none is false.
    Any(Rc<[Formula<'a>]>),
    /// A test holds, or does not.
    Fact(&'a Node, bool),
}

impl<'a> Formula<'a> {
    /// That a compiled rule holds, or that it does not.
    pub(super) fn of(node: &'a Node, holds: bool) -> Formula<'a> {
        let each = |all: &'a [Node]| all.iter().map(|n| Formula::of(n, holds)).collect();
        match (node, holds) {
            (Node::And(all), true) | (Node::Or(all), false) => Formula::All(each(all)),
            (Node::Or(all), true) | (Node::And(all), false) => Formula::Any(each(all)),
            (Node::Not(inner), holds) => Formula::of(inner, !holds),
            (leaf, holds) => Formula::Fact(leaf, holds),
        }
    }
}

/// Whether it is certain that no event satisfies all of `formulas`.
pub(super) fn is_impossible<'a>(formulas: impl IntoIterator<Item = Formula<'a>>) -> bool {
    let mut steps = STEPS_MAX;
    let formulas = formulas.into_iter().collect();
    impossible(formulas, Vec::new(), &mut steps, DEPTH_MAX)
}

type Facts<'a> = Vec<(&'a Node, bool)>;

fn impossible<'a>(
    mut open: Vec<Formula<'a>>,
    mut facts: Facts<'a>,
    steps: &mut usize,
    depth: usize,
) -> bool {
    let mut choices: Vec<Rc<[Formula<'a>]>> = Vec::new();
    while let Some(formula) = open.pop() {
        match formula {
            Formula::All(all) => open.extend(all.iter().cloned()),
            Formula::Any(any) => choices.push(any),
            Formula::Fact(node, holds) => {
                if *steps == 0 {
                    return false;
                }
                *steps -= 1;
                if facts
                    .iter()
                    .any(|f| f.1 == holds && std::ptr::eq(f.0, node))
                {
                    continue;
                }
                facts.push((node, holds));
                if contradicts(&facts, node) {
                    return true;
                }
            }
        }
    }
    // The fewest alternatives first: none at all is a contradiction.
    choices.sort_by_key(|any| std::cmp::Reverse(any.len()));
    let Some(any) = choices.pop() else {
        return false;
    };
    any.iter().all(|alternative| {
        let rest = choices.iter().cloned().map(Formula::Any);
        let open = rest.chain([alternative.clone()]).collect();
        depth > 0 && *steps > 0 && impossible(open, facts.clone(), steps, depth - 1)
    })
}

/// Whether the facts about what `node` tests exclude each other.
fn contradicts(facts: &Facts, node: &Node) -> bool {
    match node {
        Node::Level(slot, _) => ranged(facts, |node| match node {
            Node::Level(other, ranges) if other == slot => Some(ranges),
            _ => None,
        }),
        Node::Number(slot, ..) => ranged(facts, |node| match node {
            Node::Number(other, _, ranges) if other == slot => Some(ranges),
            _ => None,
        }),
        Node::Time(slot, _) => ranged(facts, |node| match node {
            Node::Time(other, ranges) if other == slot => Some(ranges),
            _ => None,
        }),
        Node::Text(slot, _) => texts(facts, *slot),
        Node::Line(_) => lines(facts),
        Node::Fields(test) => fields(facts, test),
        // These are taken apart before they are facts.
        Node::And(_) | Node::Or(_) | Node::Not(_) => false,
    }
}

/// Values in all of the ranges that must hold and in none of those that must
/// not: none, if something must hold. Without that, an absent value will do.
fn ranged<'a, T: Scale + 'a>(
    facts: &Facts<'a>,
    ranges: impl Fn(&'a Node) -> Option<&'a Ranges<T>>,
) -> bool {
    let mut left: Option<Ranges<T>> = None;
    for &(node, _) in facts.iter().filter(|(_, holds)| *holds) {
        if let Some(ranges) = ranges(node) {
            left = Some(left.map_or_else(|| ranges.clone(), |left| left.intersect(ranges)));
        }
    }
    let Some(mut left) = left else {
        return false;
    };
    for &(node, _) in facts.iter().filter(|(_, holds)| !holds) {
        if let Some(ranges) = ranges(node) {
            left = left.intersect(&ranges.complement());
        }
    }
    left.is_empty()
}

/// Whether no text satisfies all that is asked of one column.
fn texts(facts: &Facts, slot: usize) -> bool {
    let (mut wanted, mut unwanted) = (Vec::new(), Vec::new());
    for (node, holds) in facts {
        match node {
            Node::Text(other, test) if *other == slot && *holds => wanted.push(test),
            Node::Text(other, test) if *other == slot => unwanted.push(test),
            _ => {}
        }
    }
    // An absent value will do.
    if wanted.is_empty() {
        return false;
    }
    let fits = |word: &[u8]| {
        wanted.iter().all(|test| test.holds(word)) && !unwanted.iter().any(|t| t.holds(word))
    };
    // Where the words are named, each can be tried.
    for test in &wanted {
        match test {
            TextTest::Equal(word) => return !fits(word),
            TextTest::OneOf(words) => return !words.iter().any(fits),
            _ => {}
        }
    }
    let pairs = |a: &&TextTest| wanted.iter().any(|b| exclude(a, b));
    let implied = |a: &&TextTest| unwanted.iter().any(|b| implies(a, b));
    wanted.iter().any(pairs) || wanted.iter().any(implied) || order_is_empty(&wanted, &unwanted)
}

/// Whether no text satisfies both.
fn exclude(a: &TextTest, b: &TextTest) -> bool {
    match (a, b) {
        (TextTest::StartsWith(x), TextTest::StartsWith(y)) => {
            !x.starts_with(y) && !y.starts_with(x)
        }
        (TextTest::EndsWith(x), TextTest::EndsWith(y)) => !x.ends_with(y) && !y.ends_with(x),
        (TextTest::Integer(x), TextTest::Integer(y)) => x.intersect(y).is_empty(),
        (TextTest::Networks(x), TextTest::Networks(y)) => {
            x.iter().all(|x| y.iter().all(|y| x.excludes(*y)))
        }
        _ => false,
    }
}

/// Whether every text that satisfies `a` satisfies `b`.
fn implies(a: &TextTest, b: &TextTest) -> bool {
    let has = |text: &[u8], finder: &Finder| finder.find(text).is_some();
    match (a, b) {
        (_, TextTest::Present) => true,
        (TextTest::StartsWith(x), TextTest::StartsWith(y)) => x.starts_with(y),
        (TextTest::EndsWith(x), TextTest::EndsWith(y)) => x.ends_with(y),
        (TextTest::StartsWith(x) | TextTest::EndsWith(x), TextTest::Contains(y)) => has(x, y),
        (TextTest::Contains(x), TextTest::Contains(y)) => has(x.needle(), y),
        (TextTest::Matches(x, same_x), TextTest::Matches(y, same_y)) => {
            x.as_str() == y.as_str() && same_x == same_y
        }
        (TextTest::Integer(x), TextTest::Integer(y)) => x.is_within(y),
        (TextTest::Networks(x), TextTest::Networks(y)) => {
            x.iter().all(|x| y.iter().any(|y| x.is_within(*y)))
        }
        _ => false,
    }
}

/// Whether the bounds in byte order that a present text must keep leave
/// nothing between them.
fn order_is_empty(wanted: &[&TextTest], unwanted: &[&TextTest]) -> bool {
    /// A bound, and whether it is itself excluded.
    type Bound<'a> = Option<(&'a [u8], bool)>;
    let (mut low, mut high): (Bound, Bound) = (None, None);
    let negated = unwanted.iter().map(|test| (test, false));
    for (test, holds) in wanted.iter().map(|test| (test, true)).chain(negated) {
        let TextTest::Ordered(operator, bound) = test else {
            continue;
        };
        let operator = if holds {
            *operator
        } else {
            opposite(*operator)
        };
        let bound: &[u8] = bound;
        match operator {
            Comparison::Gt | Comparison::Ge => {
                let new = (bound, operator == Comparison::Gt);
                low = Some(low.map_or(new, |old| old.max(new)));
            }
            Comparison::Lt | Comparison::Le => {
                let new = (bound, operator == Comparison::Lt);
                let tighter = |old: (_, bool)| new.0 < old.0 || (new.0 == old.0 && new.1);
                high = Some(high.filter(|old| !tighter(*old)).unwrap_or(new));
            }
            Comparison::Eq | Comparison::Ne => {}
        }
    }
    match (low, high) {
        (Some((low, above)), Some((high, below))) => {
            low > high || (low == high && (above || below))
        }
        _ => false,
    }
}

fn opposite(operator: Comparison) -> Comparison {
    match operator {
        Comparison::Eq => Comparison::Ne,
        Comparison::Ne => Comparison::Eq,
        Comparison::Lt => Comparison::Ge,
        Comparison::Le => Comparison::Gt,
        Comparison::Gt => Comparison::Le,
        Comparison::Ge => Comparison::Lt,
    }
}

/// Whether a line must have a text and must not have a part of it.
fn lines(facts: &Facts) -> bool {
    let needles = |wanted: bool| {
        facts.iter().filter_map(move |(node, holds)| match node {
            Node::Line(finder) if *holds == wanted => Some(finder),
            _ => None,
        })
    };
    needles(true).any(|has| needles(false).any(|not| not.find(has.needle()).is_some()))
}

/// Whether the same comparison of two fields must hold and must not.
fn fields(facts: &Facts, test: &Fields) -> bool {
    let same = |wanted: bool| {
        facts.iter().any(|(node, holds)| {
            matches!(node, Node::Fields(other) if other == test) && *holds == wanted
        })
    };
    same(true) && same(false)
}

#[cfg(test)]
mod tests {
    use crate::event::Needs;
    use crate::route::{Condition, Expression};

    fn is_impossible(rule: &str) -> bool {
        let rule = Expression::parse(rule).unwrap();
        let condition = Condition::compile(&rule, &mut Needs::default()).unwrap();
        condition.is_contradiction()
    }

    #[test]
    fn impossible_rules_are_found() {
        for rule in [
            "a == 1 and a == 2",
            "a > 5 and a < 3",
            "a >= 1 and not (a >= 0)",
            "level in info..warn and not (level >= debug and level <= error)",
            "a startswith foo and a startswith bar",
            "a startswith foobar and not (a startswith foo)",
            "a endswith ab and a endswith b and not (a contains b)",
            "a in [x, y] and a not in [y, x, z]",
            "a in [x, yy] and a =~ /z/",
            "a =~ /z/ and a !~ /z/",
            "a == 1 and not exists(a) and a == x",
            "client in 10.0.0.0/8 and client in 192.168.0.0/16",
            "client in 10.1.0.0/16 and client not in 10.0.0.0/8",
            "a > b and a <= b",
            "a >= m and not (a > l)",
            "\"boom\" and not \"oo\"",
            "a == .b and not (a == .b)",
            "(a == 1 or a == 2) and (a == 3 or a == 4)",
            "a == 9007199254740993 and a > 9007199254740994",
            "not (a == 1 or not (a == 1))",
        ] {
            assert!(is_impossible(rule), "{rule}");
        }
    }

    #[test]
    fn possible_rules_are_left_alone() {
        for rule in [
            "a == 1 and a == x",
            "a != 1 and a != 2",
            "a not in [x] and not (a startswith y)",
            "not exists(a) and a >= 5",
            "a > 1 and a < 2",
            "a startswith foo and a startswith foobar",
            "a =~ /z/ and a !~ /z/i",
            "a =~ /z/ and a !~ /Z/",
            "a == .b and a == .c",
            "client in 10.0.0.0/8 and client in 10.1.0.0/16",
            "a >= b and a <= b",
            "took > 5s and took < 3",
            "\"oo\" and not \"boom\"",
        ] {
            assert!(!is_impossible(rule), "{rule}");
        }
    }

    #[test]
    fn what_takes_too_long_is_not_claimed() {
        let any: Vec<_> = (0..12)
            .map(|n| format!("(a{n} == 1 or b{n} == 1 or c{n} == 1)"))
            .collect();
        assert!(!is_impossible(&any.join(" and ")));
        let rule = format!("{} and z == 1 and z == 2", any.join(" and "));
        assert!(is_impossible(&rule), "facts come before alternatives");
    }
}
