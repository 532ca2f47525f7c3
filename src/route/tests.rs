//! The column engine against a slow evaluator that looks at one event at a
//! time, for rules, rows and route tables of all kinds.

use std::sync::Arc;

use proptest::prelude::*;

use super::{
    Condition, Expression, FindingKind, RouteSpec, Routed, Scratch, Table, Target, When, check,
};
use crate::event::{
    Batch, Bits, Cell, Chunk, ColumnKind, Defs, Needs, Pool, Stream, Timestamp, escape,
};

mod reference;

use reference::{META, Row, holds, time};

const FIELDS: [&str; 4] = ["a", "b", "level", "timestamp"];

fn batch(rows: &[Row], needs: &Needs, json_escapes: bool) -> Batch {
    let mut chunk = Box::new(Chunk::default());
    let mut cells = Vec::new();
    for (at, row) in rows.iter().enumerate() {
        for (name, value) in row {
            let start = chunk.text.len();
            if json_escapes {
                escape::escape_json(value.as_bytes(), &mut chunk.text);
            } else {
                chunk.text.extend_from_slice(value.as_bytes());
            }
            let end = chunk.text.len();
            cells.push((at, *name, Cell::string(start, end, json_escapes)));
            chunk.text.push(b' ');
        }
        chunk
            .text
            .extend_from_slice(if at % 2 == 0 { b"\n" } else { b"\r\n" });
        chunk.ends.push(chunk.text.len() as u32);
    }
    let stream = Arc::new(Stream {
        source: 0,
        origin: 1,
        meta: Vec::new(),
    });
    let mut batch = Batch::new(stream, 0, Timestamp(0), chunk, Arc::new(Pool::default()));
    batch.parse_with(|text, ends, columns| {
        columns.reset(needs, ends.len(), &Arc::new(Defs::default()));
        for (slot, need) in needs.columns.iter().enumerate() {
            if need.path.dotted() == META.0 {
                columns.set_same(slot, META.1.into());
            }
            let named = cells
                .iter()
                .filter(|(_, name, _)| *name == need.path.dotted());
            for &(row, name, cell) in named {
                columns.put(slot, row, text, cell);
                if need.kind == ColumnKind::Time
                    && let Some(time) = time(&rows[row][name])
                {
                    columns.put_time(slot, row, Timestamp(time));
                }
            }
        }
    });
    batch
}

/// One event of these fields.
pub(super) fn one(fields: &[(&'static str, &str)], needs: &Needs) -> Batch {
    let row: Row = fields.iter().map(|(n, v)| (*n, (*v).to_owned())).collect();
    batch(&[row], needs, false)
}

/// Values that meet each other at every edge that there is.
const EDGES: &[&str] = &[
    "",
    "0",
    "1",
    "-1",
    "1.5",
    "2",
    "10",
    "500",
    "500ms",
    "0.5",
    "1s",
    "1KiB",
    "1024B",
    "1e3",
    "nan",
    "inf",
    "9007199254740992",
    "9007199254740993",
    "9007199254740994",
    "warn",
    "WARN",
    "error",
    "info",
    "30",
    "17",
    "pay",
    "payment",
    "a\"b\\c",
    "x\ty",
    "é",
    "10.1.2.3",
    "::ffff:10.1.2.3",
    "fe80::1",
    "10.1.2",
    "2026-11-23T13:32:42Z",
    "2026-11-23T14:32:42Z",
    "a long text that goes on for more than sixty-four bytes, to be sure of it, yes",
];

fn value() -> impl Strategy<Value = String> {
    prop_oneof![4 => prop::sample::select(EDGES).prop_map(String::from), 1 => "[ -~é]{0,6}"]
}

fn rows() -> impl Strategy<Value = Vec<Row>> {
    let row = prop::collection::vec(prop::option::weighted(0.8, value()), FIELDS.len());
    let row = row.prop_map(|values| {
        FIELDS
            .into_iter()
            .zip(values)
            .filter_map(|(f, v)| Some((f, v?)))
            .collect::<Row>()
    });
    prop::collection::vec(row, 0..140)
}

/// Rules by their text, so that the grammar takes part.
fn rule() -> impl Strategy<Value = String> {
    let name = prop::sample::select(&["a", "b", ".a", "level", "timestamp", "peer", "gone"][..]);
    let compare = prop::sample::select(&["==", "!=", "<", "<=", ">", ">="][..]);
    let literal = prop_oneof![
        value().prop_map(|v| format!("{v:?}")),
        prop::sample::select(
            &[
                "0",
                "1",
                "1.5",
                "500",
                "-1",
                "1s",
                "500ms",
                "1KiB",
                "9007199254740993",
                "warn",
                "error",
                "pay",
                "2026-11-23T13:32:42Z",
                ".b",
                ".level",
                ".timestamp",
                ".peer",
            ][..]
        )
        .prop_map(String::from),
    ];
    let list = prop::collection::vec(
        prop_oneof![
            value().prop_map(|v| format!("{v:?}")),
            prop::sample::select(
                &[
                    "0..10",
                    "5..1",
                    "1",
                    "500",
                    "250ms..1s",
                    "1KiB",
                    "10.0.0.0/8",
                    "fe80::/10",
                    "::/0",
                    "0.0.0.0/0",
                    "10.1.2.3/32",
                    "1..9007199254740993",
                    "pay",
                    "warn..error",
                    "9007199254740993",
                ][..]
            )
            .prop_map(String::from),
        ],
        0..12,
    );
    let text = prop::sample::select(&["contains", "startswith", "endswith"][..]);
    let regex = prop::sample::select(&["/^pay/", "/A/i", "/./", "/^$/", "/[0-9]+s/"][..]);
    let term = prop_oneof![
        4 => (name.clone(), compare, literal).prop_map(|(n, c, l)| format!("{n} {c} {l}")),
        3 => (name.clone(), any::<bool>(), list).prop_map(|(n, not, items)| {
            format!("{n} {}in [{}]", if not { "not " } else { "" }, items.join(", "))
        }),
        2 => (name.clone(), text, value()).prop_map(|(n, t, v)| format!("{n} {t} {v:?}")),
        1 => (name.clone(), any::<bool>(), regex).prop_map(|(n, not, r)| {
            format!("{n} {} {r}", if not { "!~" } else { "=~" })
        }),
        1 => name.prop_map(|n| format!("exists({n})")),
        1 => value().prop_map(|v| format!("{v:?}")),
    ];
    term.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|all| format!("({})", all.join(") and ("))),
            prop::collection::vec(inner.clone(), 2..4)
                .prop_map(|all| format!("({})", all.join(") or ("))),
            inner.prop_map(|e| format!("not ({e})")),
        ]
    })
}

/// A rule, or none where the literals do not fit the role.
fn expression() -> impl Strategy<Value = Expression> {
    rule().prop_filter_map("refused", |text| Expression::parse(&text).ok())
}

fn expected(expression: &Expression, batch: &Batch, rows: &[Row]) -> Vec<usize> {
    let line = |row| String::from_utf8_lossy(batch.line(row)).into_owned();
    (0..rows.len())
        .filter(|&row| holds(expression, &rows[row], &line(row)))
        .collect()
}

fn spec(when: When, from: Option<Vec<usize>>, to: Target, go_on: bool) -> RouteSpec {
    RouteSpec {
        name: "route".to_owned(),
        from,
        when,
        to,
        go_on,
    }
}

/// A rule without one of its parts, which is an alternative.
fn without(rule: &Expression, part: &Expression) -> Expression {
    let each = |all: &[Expression]| {
        let left = all.iter().filter(|e| !std::ptr::eq(*e, part));
        left.map(|e| without(e, part)).collect()
    };
    match rule {
        Expression::And(all) => Expression::And(each(all)),
        Expression::Or(all) => Expression::Or(each(all)),
        other => other.clone(),
    }
}

/// Rules made of the same few parts, so that they have to do with each other.
fn related() -> impl Strategy<Value = Vec<Expression>> {
    let parts = prop::collection::vec(expression(), 2..4);
    let picks = prop::collection::vec((any::<[prop::sample::Index; 2]>(), 0u8..6), 6);
    (parts, picks).prop_map(|(parts, picks)| {
        let combine = |([a, b], how): ([prop::sample::Index; 2], u8)| {
            let (a, b) = (a.get(&parts).clone(), b.get(&parts).clone());
            let not = |e| Expression::Not(Box::new(e));
            match how {
                0 => a,
                1 => Expression::And(vec![a, b]),
                2 => Expression::Or(vec![a, b]),
                3 => not(a),
                4 => Expression::And(vec![a, not(b)]),
                _ => not(Expression::Or(vec![a, b])),
            }
        };
        picks.into_iter().map(combine).collect()
    })
}

fn routes() -> impl Strategy<Value = Vec<RouteSpec>> {
    related().prop_flat_map(|rules| routes_of(prop::sample::select(rules)))
}

fn routes_of(rule: impl Strategy<Value = Expression>) -> impl Strategy<Value = Vec<RouteSpec>> {
    let when = prop_oneof![
        1 => Just(When::Always),
        1 => Just(When::Unmatched),
        7 => rule.prop_map(When::Rule),
    ];
    let from = prop::option::of(prop::sample::subsequence(vec![0, 1], 0..2));
    let to = prop_oneof![
        1 => Just(Target::Drop),
        4 => prop::sample::subsequence(vec![0, 1, 2], 1..3).prop_map(Target::Sinks),
    ];
    let route = (when, from, to, any::<bool>())
        .prop_map(|(when, from, to, go_on)| spec(when, from, to, go_on));
    prop::collection::vec(route, 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn columns_agree_with_one_event_at_a_time(
        expression in expression(),
        rows in rows(),
        json in any::<bool>(),
        skipped in prop::collection::vec(any::<bool>(), 140),
    ) {
        let shown = expression.to_string();
        let again = Expression::parse(&shown);
        prop_assert_eq!(again.as_ref(), Ok(&expression), "{}", shown);
        let mut needs = Needs::default();
        let condition = Condition::compile(&expression, &mut needs).unwrap();
        let batch = batch(&rows, &needs, json);
        let mut candidates = Bits::default();
        candidates.fill(rows.len());
        let wanted = expected(&expression, &batch, &rows);
        if condition.is_contradiction() {
            prop_assert!(wanted.is_empty(), "{}", shown);
        }
        let (mut out, mut scratch) = (Bits::default(), Scratch::default());
        condition.evaluate(&batch, &candidates, &mut scratch, &mut out);
        prop_assert_eq!(out.iter().collect::<Vec<_>>(), wanted.clone(), "{}", shown);
        for row in (0..rows.len()).filter(|&row| skipped[row]) {
            candidates.remove(row);
        }
        condition.evaluate(&batch, &candidates, &mut scratch, &mut out);
        let wanted: Vec<_> = wanted.into_iter().filter(|&row| !skipped[row]).collect();
        prop_assert_eq!(out.iter().collect::<Vec<_>>(), wanted, "{}", shown);
    }

    #[test]
    fn tables_agree_with_one_event_at_a_time(
        routes in routes(),
        filter in prop::option::weighted(0.3, expression()),
        rows in rows(),
        source in 0usize..2,
    ) {
        let mut needs = Needs::default();
        let table = Table::compile(routes.clone(), filter.clone(), 3, &mut needs).unwrap();
        let batch = batch(&rows, &needs, true);
        // Left over from a batch of another shape: must not show.
        let mut routed = Routed::default();
        routed.first = vec![7; 9];
        table.route(source, &batch, &mut routed);
        let mut first = vec![0; routes.len()];
        let mut matched = vec![0; routes.len()];
        let (mut filtered_out, mut unrouted) = (0, 0);
        for (at, row) in rows.iter().enumerate() {
            let line = String::from_utf8_lossy(batch.line(at)).into_owned();
            let mut copies = [false; 3];
            let mut any = false;
            let passes = filter.as_ref().is_none_or(|f| holds(f, row, &line));
            for (r, route) in routes.iter().enumerate().filter(|_| passes) {
                let hit = route.from.as_ref().is_none_or(|from| from.contains(&source))
                    && match &route.when {
                        When::Always => true,
                        When::Unmatched => !any,
                        When::Rule(rule) => holds(rule, row, &line),
                    };
                if !hit {
                    continue;
                }
                matched[r] += 1;
                first[r] += u64::from(!any);
                any = true;
                if let Target::Sinks(to) = &route.to {
                    for &sink in to {
                        copies[sink] = true;
                    }
                }
                if !route.go_on {
                    break;
                }
            }
            filtered_out += usize::from(!passes);
            unrouted += usize::from(passes && !any);
            for (sink, copy) in copies.iter().enumerate() {
                prop_assert_eq!(routed.sinks[sink].contains(at), *copy);
            }
            prop_assert_eq!(routed.dropped.contains(at), copies == [false; 3]);
        }
        prop_assert_eq!(&routed.first, &first);
        prop_assert_eq!(&routed.matched, &matched);
        prop_assert_eq!(routed.filtered_out, filtered_out);
        prop_assert_eq!(routed.unrouted, unrouted);
        let sum = first.iter().sum::<u64>() as usize;
        prop_assert_eq!(routed.evaluated, sum + filtered_out + unrouted);
        // What the check calls impossible must not happen.
        for finding in check(&routes, &["s0", "s1"], &["x", "y", "z"]) {
            match finding.kind {
                FindingKind::Contradiction => prop_assert_eq!(matched[finding.route.unwrap()], 0),
                FindingKind::Unreachable => prop_assert_eq!(matched[finding.route.unwrap()], 0),
                FindingKind::UnreachedSink { sink } => prop_assert!(routed.sinks[sink].none()),
                FindingKind::Tautology => {
                    let When::Rule(rule) = &routes[finding.route.unwrap()].when else {
                        panic!("a rule");
                    };
                    let all: Vec<_> = (0..rows.len()).collect();
                    prop_assert_eq!(expected(rule, &batch, &rows), all, "{}", rule);
                }
                _ => {}
            }
        }
        let mut rules = super::reach::Rules::compile(&routes);
        for (at, route) in routes.iter().enumerate() {
            for part in rules.dead_parts(at) {
                let When::Rule(rule) = &route.when else {
                    panic!("a rule");
                };
                let without = without(rule, part);
                prop_assert_eq!(
                    expected(rule, &batch, &rows),
                    expected(&without, &batch, &rows),
                    "{} without {}", rule, part
                );
            }
        }
        let open = check(&routes, &["s0", "s1"], &[]);
        let open = open.iter().any(|f| f.kind == FindingKind::OpenEnd { source });
        prop_assert!(open || unrouted == 0);
    }
}

#[test]
fn without_columns_every_field_is_missing() {
    let chunk = Box::new(Chunk {
        text: b"boom\nbang\n".to_vec(),
        ends: vec![5, 10],
        ..Chunk::default()
    });
    let stream = Arc::new(Stream {
        source: 0,
        origin: 1,
        meta: Vec::new(),
    });
    let batch = Batch::new(stream, 0, Timestamp(0), chunk, Arc::new(Pool::default()));
    let rule = Expression::parse("a != 1 and 'boo'").unwrap();
    let condition = Condition::compile(&rule, &mut Needs::default()).unwrap();
    let (mut all, mut out) = (Bits::default(), Bits::default());
    all.fill(2);
    condition.evaluate(&batch, &all, &mut Scratch::default(), &mut out);
    assert_eq!(out.iter().collect::<Vec<_>>(), [0]);
}

#[test]
fn terms_share_columns() {
    let rule = "a == 1 and a > 0 and a in [3, 4] and a == x and a =~ /y/ and a < 5s";
    let mut needs = Needs::default();
    Condition::compile(&Expression::parse(rule).unwrap(), &mut needs).unwrap();
    let kinds: Vec<_> = needs.columns.iter().map(|n| n.kind).collect();
    assert_eq!(
        kinds,
        [ColumnKind::Number, ColumnKind::Text, ColumnKind::Duration]
    );
}
