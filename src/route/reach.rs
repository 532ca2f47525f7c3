//! Which routes and parts of rules no event can reach, for certain.
//!
//! An event reaches a route of its source if no route above took it. What is
//! above is put into one question for each source: can the rule hold where the
//! rules above do not? See `satisfy.rs` for what an answer is worth.

use std::ops::Range;
use std::rc::Rc;

use super::condition::Node;
use super::satisfy::{Formula, is_impossible};
use super::{Condition, Expression, RouteSpec, When};
use crate::event::Needs;

/// The rules of a table, compiled over the same columns so that they can be
/// compared.
pub(super) struct Rules<'a> {
    specs: &'a [RouteSpec],
    needs: Needs,
    /// None for routes without a rule, and for rules that do not compile.
    roots: Vec<Option<Node>>,
}

impl<'a> Rules<'a> {
    pub(super) fn compile(specs: &'a [RouteSpec]) -> Rules<'a> {
        let mut needs = Needs::default();
        let roots = specs.iter().map(|spec| match &spec.when {
            When::Rule(rule) => compile(rule, &mut needs),
            When::Always | When::Unmatched => None,
        });
        let roots = roots.collect();
        Rules {
            specs,
            needs,
            roots,
        }
    }

    /// Whether the rule of a route is false for every event.
    pub(super) fn is_never(&self, at: usize) -> bool {
        let root = self.roots[at].as_ref();
        root.is_some_and(|root| is_impossible([Formula::of(root, true)]))
    }

    /// Whether the rule of a route is true for every event.
    pub(super) fn is_always(&self, at: usize) -> bool {
        let root = self.roots[at].as_ref();
        root.is_some_and(|root| is_impossible([Formula::of(root, false)]))
    }

    /// The routes that together take every event of these sources that the
    /// route could match; none if some may be left.
    pub(super) fn taken_by(&self, at: usize, sources: &[usize]) -> Option<Vec<usize>> {
        let mut by = Vec::new();
        for &source in sources {
            for route in self.taken_from(at, source)? {
                if !by.contains(&route) {
                    by.push(route);
                }
            }
        }
        by.sort_unstable();
        (!sources.is_empty()).then_some(by)
    }

    fn taken_from(&self, at: usize, source: usize) -> Option<Vec<usize>> {
        let above = (0..at).filter(|&route| is_from(&self.specs[route], source));
        let mut above: Vec<usize> = above.collect();
        if !self.is_shut(at, &above) {
            return None;
        }
        // Those without which it would still be so are not to blame.
        let mut index = 0;
        while index < above.len() {
            let mut fewer = above.clone();
            fewer.remove(index);
            if self.is_shut(at, &fewer) {
                above = fewer;
            } else {
                index += 1;
            }
        }
        Some(above)
    }

    /// Whether no event of a source whose routes above are `above` reaches the
    /// route and satisfies its rule.
    fn is_shut(&self, at: usize, above: &[usize]) -> bool {
        let unmatched = matches!(self.specs[at].when, When::Unmatched);
        let mut wanted = Vec::new();
        match (&self.specs[at].when, &self.roots[at]) {
            (When::Rule(_), Some(root)) => wanted.push(Formula::of(root, true)),
            // A rule that does not compile: nothing is known of it.
            (When::Rule(_), None) => return false,
            (When::Always | When::Unmatched, _) => {}
        }
        for (place, &route) in above.iter().enumerate() {
            let spec = &self.specs[route];
            if spec.go_on && !unmatched {
                continue;
            }
            match (&spec.when, &self.roots[route]) {
                (When::Rule(_), Some(root)) => wanted.push(Formula::of(root, false)),
                (When::Rule(_), None) => {}
                (When::Always, _) => return true,
                (When::Unmatched, _) if unmatched => return true,
                (When::Unmatched, _) => wanted.extend(self.matched_before(&above[..place])),
            }
        }
        is_impossible(wanted)
    }

    /// That an event was matched by a route that let it go on: only then does
    /// it pass a `when: unmatched`. None if that can be taken for granted.
    fn matched_before(&self, above: &[usize]) -> Option<Formula<'_>> {
        let mut any = Vec::new();
        for &route in above.iter().filter(|&&route| self.specs[route].go_on) {
            any.push(Formula::of(self.roots[route].as_ref()?, true));
        }
        Some(Formula::Any(Rc::from(any)))
    }

    /// The alternatives of a rule that never hold where they stand.
    pub(super) fn dead_parts(&mut self, at: usize) -> Vec<&'a Expression> {
        let mut dead = Vec::new();
        if let When::Rule(rule) = &self.specs[at].when {
            self.find_dead(rule, &mut Vec::new(), &mut dead);
        }
        dead
    }

    /// `beside` are the rules that hold wherever this part matters.
    fn find_dead(
        &mut self,
        part: &'a Expression,
        beside: &mut Vec<&'a Expression>,
        dead: &mut Vec<&'a Expression>,
    ) {
        match part {
            Expression::And(all) => {
                for (index, each) in all.iter().enumerate() {
                    let before = beside.len();
                    let others = all.iter().enumerate().filter(|(i, _)| *i != index);
                    beside.extend(others.map(|(_, other)| other));
                    self.find_dead(each, beside, dead);
                    beside.truncate(before);
                }
            }
            Expression::Or(all) => {
                for each in all {
                    let mut held: Vec<&Expression> = beside.clone();
                    held.push(each);
                    if self.never_together(&held) {
                        dead.push(each);
                    } else {
                        self.find_dead(each, beside, dead);
                    }
                }
            }
            // Below a `not` a part that never holds may be just what is meant.
            Expression::Not(_) | Expression::Term(_) => {}
        }
    }

    /// The fewest parts of a contradiction that contradict each other, by what
    /// stands beside what in the outermost `and`.
    pub(super) fn conflict(&mut self, at: usize) -> Vec<Range<usize>> {
        let When::Rule(Expression::And(all)) = &self.specs[at].when else {
            return Vec::new();
        };
        let mut left: Vec<&Expression> = all.iter().collect();
        let mut index = 0;
        while index < left.len() {
            let mut fewer = left.clone();
            fewer.remove(index);
            if self.never_together(&fewer) {
                left = fewer;
            } else {
                index += 1;
            }
        }
        left.into_iter().filter_map(span).collect()
    }

    fn never_together(&mut self, rules: &[&Expression]) -> bool {
        let needs = &mut self.needs;
        let roots: Option<Vec<Node>> = rules.iter().map(|rule| compile(rule, needs)).collect();
        roots.is_some_and(|roots| is_impossible(roots.iter().map(|r| Formula::of(r, true))))
    }
}

fn compile(rule: &Expression, needs: &mut Needs) -> Option<Node> {
    Condition::compile(rule, needs).ok().map(|c| c.root)
}

pub(super) fn is_from(route: &RouteSpec, source: usize) -> bool {
    let from = route.from.as_ref();
    from.is_none_or(|from| from.contains(&source))
}

/// Where an expression stands in its rule: from its first term to its last.
pub(super) fn span(rule: &Expression) -> Option<Range<usize>> {
    let terms = rule.terms();
    Some(terms.first()?.span.start..terms.last()?.span.end)
}
