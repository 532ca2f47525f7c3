//! Why a route takes an event or does not: every term of its rule with the
//! value that it saw.
//!
//! Nothing is decided here. Whether a route matched is what [`Table::route`]
//! said; a term is compiled as a rule of its own and evaluated by the same
//! code, over the same columns.
//!
//! [`Table::route`]: super::Table::route

use super::{
    Comparison, Condition, Expression, RouteSpec, Routed, RuleError, Scratch, Term, Test, When,
    literal,
};
use crate::event::{Batch, Bits, Column, ColumnKind, Level, Needs, Path, Timestamp, convert};

/// The rules of a route table, taken apart.
pub struct Judge {
    routes: Vec<Route>,
}

struct Route {
    from: Option<Vec<usize>>,
    kind: When,
    terms: Vec<Judged>,
    takes: bool,
}

/// A term as a rule of its own.
struct Judged {
    text: String,
    negated: bool,
    condition: Condition,
    reads: Vec<Read>,
}

/// A value that a term reads.
struct Read {
    path: Path,
    kind: ColumnKind,
    slot: usize,
    /// The column of the value as it stands.
    text: usize,
}

/// What became of an event at one route.
#[derive(Clone, Debug, PartialEq)]
pub struct RouteVerdict {
    /// The route's place in the table.
    pub route: usize,
    /// What it did.
    pub state: State,
    /// The terms of its rule, in the order they are written; empty for a route
    /// without one and for events that it is not for.
    pub terms: Vec<TermVerdict>,
}

/// What a route did with an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It took it, or a copy.
    Matched,
    /// Its rule does not hold, or it wants what no route above matched.
    Missed,
    /// The event never came this far: this route above took it.
    Taken {
        /// The place of the route above.
        by: usize,
    },
    /// It is for other sources.
    OtherSource,
    /// The event never came to the routes: the filter left it out.
    FilteredOut,
}

/// What one term said.
#[derive(Clone, Debug, PartialEq)]
pub struct TermVerdict {
    /// The term.
    pub term: String,
    /// Whether it holds.
    pub holds: bool,
    /// Whether it is one that holds on a missing field: `!=`, `!~`, `not in`.
    pub negated: bool,
    /// What it saw, a value for each field that it names; none for a test of
    /// the raw line.
    pub saw: Vec<Seen>,
}

/// A value that a term saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// The field.
    pub path: String,
    /// As what the term reads it.
    pub kind: ColumnKind,
    /// The value as it stands in the line; none if there is none, or if it
    /// stands nowhere (a syslog priority).
    pub text: Option<Vec<u8>>,
    /// What it was read as; none if there is no value, or if it cannot be read
    /// so: then the term takes it for missing.
    pub value: Option<Typed>,
}

/// A value as a term reads it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Typed {
    /// A severity.
    Level(Level),
    /// A number, seconds or bytes.
    Number(f64),
    /// A time.
    Time(Timestamp),
    /// Text as it stands.
    Text,
}

impl Judge {
    /// Takes the rules of `specs` apart, adding to `needs` what their terms
    /// read and how those values are written. `texts` are the rules as written.
    pub fn compile(
        specs: &[RouteSpec],
        texts: &[Option<&str>],
        needs: &mut Needs,
    ) -> Result<Judge, RuleError> {
        let routes = specs.iter().enumerate().map(|(at, spec)| {
            let text = texts.get(at).copied().flatten();
            let terms = match &spec.when {
                When::Rule(rule) => terms(rule, text, needs)?,
                When::Always | When::Unmatched => Vec::new(),
            };
            Ok(Route {
                from: spec.from.clone(),
                kind: spec.when.clone(),
                terms,
                takes: !spec.go_on,
            })
        });
        Ok(Judge {
            routes: routes.collect::<Result<_, _>>()?,
        })
    }

    /// What each route did with the one event of `batch`, which came from the
    /// source at place `source` and was routed as `routed` says.
    #[must_use]
    pub fn judge(&self, source: usize, batch: &Batch, routed: &Routed) -> Vec<RouteVerdict> {
        let mut scratch = Scratch::default();
        let mut taken = None;
        let mut verdicts = Vec::with_capacity(self.routes.len());
        for (at, route) in self.routes.iter().enumerate() {
            let matched = routed.matched[at] > 0;
            let is_for = |from: &Vec<usize>| from.contains(&source);
            let state = match taken {
                _ if !route.from.as_ref().is_none_or(is_for) => State::OtherSource,
                _ if routed.filtered_out > 0 => State::FilteredOut,
                Some(by) => State::Taken { by },
                None if matched => State::Matched,
                None => State::Missed,
            };
            if matched && route.takes {
                taken = Some(at);
            }
            let terms = match state {
                State::OtherSource => Vec::new(),
                _ => route
                    .terms
                    .iter()
                    .map(|term| term.judge(batch, &mut scratch))
                    .collect(),
            };
            verdicts.push(RouteVerdict {
                route: at,
                state,
                terms,
            });
        }
        verdicts
    }

    /// How a route without a rule chooses its events.
    #[must_use]
    pub fn is_unmatched(&self, route: usize) -> bool {
        matches!(self.routes[route].kind, When::Unmatched)
    }
}

/// What a test expects of one field of an event, as a rule of its own.
pub struct Expectation {
    judged: Judged,
    wanted: bool,
    value: String,
}

/// An expectation that an event does not meet.
#[derive(Clone, Debug, PartialEq)]
pub struct Unmet {
    /// What was expected; none if the field was to be absent.
    pub wanted: Option<String>,
    /// What is there.
    pub saw: Seen,
}

impl Expectation {
    /// That the field `path` equals what `value` means in a rule, `quoted` or
    /// not, or that it is absent; what is wrong with that otherwise.
    pub fn compile(
        path: &Path,
        value: Option<(&str, bool)>,
        needs: &mut Needs,
    ) -> Result<Expectation, String> {
        let test = match value {
            None => Test::Exists(path.clone()),
            Some((text, quoted)) => Test::Compare {
                path: path.clone(),
                operator: Comparison::Eq,
                value: literal::expected(path, text, quoted)?,
            },
        };
        let term = Term { span: 0..0, test };
        let shown = |(text, quoted): (&str, bool)| {
            if quoted {
                format!("{text:?}")
            } else {
                text.to_owned()
            }
        };
        Ok(Expectation {
            // Neither of these tests is a regex, which alone can be refused.
            judged: Judged::compile(&term, None, needs).map_err(|error| error.to_string())?,
            wanted: value.is_some(),
            value: value.map(shown).unwrap_or_default(),
        })
    }

    /// What is amiss with the one event of `batch`.
    #[must_use]
    pub fn unmet(&self, batch: &Batch) -> Option<Unmet> {
        let verdict = self.judged.judge(batch, &mut Scratch::default());
        let saw = verdict.saw.into_iter().next()?;
        (verdict.holds != self.wanted).then(|| Unmet {
            wanted: self.wanted.then(|| self.value.clone()),
            saw,
        })
    }
}

fn terms(
    rule: &Expression,
    text: Option<&str>,
    needs: &mut Needs,
) -> Result<Vec<Judged>, RuleError> {
    let each = rule.terms().into_iter();
    each.map(|term| Judged::compile(term, text, needs))
        .collect()
}

impl Judged {
    fn compile(term: &Term, text: Option<&str>, needs: &mut Needs) -> Result<Judged, RuleError> {
        let mut own = Needs::default();
        let alone = Expression::Term(term.clone());
        Condition::compile(&alone, &mut own)?;
        let condition = Condition::compile(&alone, needs)?;
        let mut reads: Vec<Read> = Vec::new();
        for need in &own.columns {
            let read = Read {
                path: need.path.clone(),
                kind: need.kind,
                slot: needs.slot(&need.path, need.kind),
                text: needs.slot(&need.path, ColumnKind::Text),
            };
            // A comparison of two fields reads both as numbers and as text.
            match reads.iter_mut().find(|known| known.path == read.path) {
                Some(known) if known.kind == ColumnKind::Text => *known = read,
                Some(_) => {}
                None => reads.push(read),
            }
        }
        let written = text.and_then(|text| text.get(term.span.clone()));
        Ok(Judged {
            text: written.map_or_else(|| term.to_string(), str::to_owned),
            negated: term.is_negated(),
            condition,
            reads,
        })
    }

    fn judge(&self, batch: &Batch, scratch: &mut Scratch) -> TermVerdict {
        let (mut all, mut found) = (Bits::default(), Bits::default());
        all.fill(batch.rows());
        self.condition.evaluate(batch, &all, scratch, &mut found);
        TermVerdict {
            term: self.text.clone(),
            holds: found.contains(0),
            negated: self.negated,
            saw: self.reads.iter().map(|read| read.see(batch)).collect(),
        }
    }
}

impl Read {
    fn see(&self, batch: &Batch) -> Seen {
        let (text, value) = if batch.columns().rows() == batch.rows() {
            (text_at(batch, self.text), self.typed(batch))
        } else {
            (None, None)
        };
        Seen {
            path: self.path.to_string(),
            kind: self.kind,
            text,
            value,
        }
    }

    fn typed(&self, batch: &Batch) -> Option<Typed> {
        match batch.columns().column(self.slot) {
            Column::Level(values) => {
                let level = Level(values[0]);
                (level != Level::ABSENT).then_some(Typed::Level(level))
            }
            Column::Number(values) => (!values[0].is_nan()).then_some(Typed::Number(values[0])),
            Column::Time(values) => {
                let time = Timestamp(values[0]);
                (time.0 != Timestamp::ABSENT.0).then_some(Typed::Time(time))
            }
            Column::Text(cells) => cells[0].is_present().then_some(Typed::Text),
            Column::Same(value) => super::evaluate::typed(self.kind, value.as_bytes()),
        }
    }
}

/// The value of a text column, unescaped.
#[must_use]
pub fn text_at(batch: &Batch, slot: usize) -> Option<Vec<u8>> {
    match batch.columns().column(slot) {
        Column::Text(cells) if cells[0].is_present() => {
            Some(convert::value(cells[0], batch.text()).into_owned())
        }
        Column::Same(value) => Some(value.as_bytes().to_vec()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::route::tests::one;
    use crate::route::{Table, Target};

    fn spec(rule: &str, go_on: bool) -> RouteSpec {
        RouteSpec {
            name: rule.to_owned(),
            from: None,
            when: When::Rule(Expression::parse(rule).unwrap()),
            to: Target::Sinks(vec![0]),
            go_on,
        }
    }

    /// The verdicts of these rules on an event of these fields.
    fn judge(rules: &[&str], fields: &[(&'static str, &str)]) -> Vec<RouteVerdict> {
        let specs: Vec<_> = rules.iter().map(|rule| spec(rule, false)).collect();
        let texts: Vec<_> = rules.iter().map(|rule| Some(*rule)).collect();
        let mut needs = Needs::default();
        let table = Table::compile(specs.clone(), None, 1, &mut needs).unwrap();
        let judge = Judge::compile(&specs, &texts, &mut needs).unwrap();
        let batch = one(fields, &needs);
        let mut routed = Routed::default();
        table.route(0, &batch, &mut routed);
        judge.judge(0, &batch, &routed)
    }

    #[test]
    fn terms_say_what_they_saw() {
        let rule = "level >= warn and (status == 503 or took > 5s or b != x)";
        let verdicts = judge(&[rule], &[("level", "WARN"), ("status", "n/a")]);
        assert_eq!(verdicts[0].state, State::Matched);
        let [level, status, took, b] = &verdicts[0].terms[..] else {
            panic!("four terms: {verdicts:?}")
        };
        assert!(level.holds && !status.holds && !took.holds && b.holds && b.negated);
        assert_eq!(level.term, "level >= warn");
        assert_eq!(level.saw[0].value, Some(Typed::Level(Level::WARN)));
        assert_eq!(
            (&status.saw[0].text, status.saw[0].value),
            (&Some(b"n/a".to_vec()), None)
        );
        assert_eq!(
            (took.saw[0].kind, took.saw[0].text.is_none()),
            (ColumnKind::Duration, true)
        );
    }

    #[test]
    fn a_route_below_the_one_that_took_it_says_so() {
        let states: Vec<_> = judge(&["a == 1", "a == 2", "a == 2"], &[("a", "2")])
            .into_iter()
            .map(|v| v.state)
            .collect();
        assert_eq!(
            states,
            [State::Missed, State::Matched, State::Taken { by: 1 }]
        );
    }
}
