//! Parts to a program: what ends each capture, and where its value goes.

use super::super::detect::{AsciiSet, ByteSet};
use super::super::output::{Output, role_of};
use super::template::{Capture, Kind, Part, TemplateError, error};
use crate::event::{Defs, Needs, Role};

/// What ends a capture that does not end by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Literal(Box<[u8]>),
    End,
}

/// One step of matching.
#[derive(Debug)]
pub(super) enum Op {
    /// These bytes; `padded` takes further spaces after them.
    Literal { bytes: Box<[u8]>, padded: bool },
    /// A capture into `slot`.
    Capture {
        kind: Kind,
        slot: usize,
        until: Box<[Stop]>,
        inside: Option<Group>,
    },
    /// All of these or nothing.
    Optional(Group),
}

/// Steps with the slots that they fill, to be emptied if one fails.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) ops: Box<[Op]>,
    pub(super) slots: std::ops::Range<usize>,
    /// The bytes that what they match can begin with, if it is anything.
    pub(super) firsts: ByteSet,
}

impl Group {
    fn new(ops: Box<[Op]>, slots: std::ops::Range<usize>) -> Group {
        let firsts = firsts(&ops);
        Group { ops, slots, firsts }
    }
}

/// A named capture.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) slot: usize,
    pub(super) output: Output,
}

/// A compiled template.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) ops: Box<[Op]>,
    /// How many captures there are, skipped ones too.
    pub(super) slots: usize,
    /// Named captures that columns want, in output order.
    pub(super) columns: Box<[Named]>,
    /// The slots and definitions of all named captures, in output order, where
    /// field lists are wanted.
    pub(super) fields: Box<[(usize, u32)]>,
}

/// Compiles the parts of `template`.
pub(super) fn program(
    template: &str,
    parts: &[Part],
    needs: &Needs,
    defs: &mut Defs,
) -> Result<Program, TemplateError> {
    let mut captures = Vec::new();
    collect(parts, &mut captures);
    let mut slots = captures.len();
    let total = slots;
    let end = Some(vec![Stop::End]);
    let (mut ops, _) = sequence(template, parts, end, &mut slots)?;
    let mut named = named(template, &captures, needs, defs)?;
    let list = named.iter().filter(|_| needs.fields);
    let fields = list.map(|n| (n.slot, n.output.def())).collect();
    named.retain(|n| n.output.has_columns());
    if !needs.fields {
        prune(&mut ops, &named);
    }
    Ok(Program {
        ops,
        slots: total,
        columns: named.into(),
        fields,
    })
}

fn collect<'a>(parts: &'a [Part], captures: &mut Vec<&'a Capture>) {
    for part in parts {
        match part {
            Part::Literal(_) => {}
            Part::Optional(inner) => collect(inner, captures),
            Part::Capture(capture) => {
                captures.push(capture);
                collect(capture.inside.as_deref().unwrap_or(&[]), captures);
            }
        }
    }
}

/// Drops the parts of captures of which nobody wants one.
fn prune(ops: &mut [Op], named: &[Named]) {
    for op in ops {
        match op {
            Op::Literal { .. } => {}
            Op::Optional(group) => prune(&mut group.ops, named),
            Op::Capture { inside, .. } => {
                inside.take_if(|group| !named.iter().any(|n| group.slots.contains(&n.slot)));
            }
        }
    }
}

/// What can come next; `None` if it is nothing that can be searched for.
type Follow = Option<Vec<Stop>>;

/// Compiles from the last part to the first, so that each capture knows what
/// follows it. `slots` counts down for the same reason.
fn sequence(
    template: &str,
    parts: &[Part],
    mut follow: Follow,
    slots: &mut usize,
) -> Result<(Box<[Op]>, Follow), TemplateError> {
    let mut ops = Vec::new();
    for part in parts.iter().rev() {
        let op = match part {
            Part::Literal(bytes) => {
                let before_rest = matches!(
                    ops.last(),
                    None | Some(Op::Capture {
                        kind: Kind::Rest | Kind::Raw,
                        ..
                    })
                );
                follow = Some(vec![Stop::Literal(bytes.as_slice().into())]);
                let padded = bytes.last() == Some(&b' ') && !before_rest;
                Op::Literal {
                    bytes: bytes.as_slice().into(),
                    padded,
                }
            }
            Part::Optional(inner) => {
                let last = *slots;
                let (inner, first) = sequence(template, inner, follow.clone(), slots)?;
                follow = first.zip(follow).map(|(mut first, rest)| {
                    first.extend(rest);
                    first
                });
                Op::Optional(Group::new(inner, *slots..last))
            }
            Part::Capture(capture) => capture_op(template, capture, &mut follow, slots)?,
        };
        ops.push(op);
    }
    ops.reverse();
    Ok((ops.into(), follow))
}

fn capture_op(
    template: &str,
    capture: &Capture,
    follow: &mut Follow,
    slots: &mut usize,
) -> Result<Op, TemplateError> {
    let last = *slots;
    let inside = match &capture.inside {
        Some(parts) => Some(sequence(template, parts, Some(vec![Stop::End]), slots)?.0),
        None => None,
    };
    let inside = inside.map(|ops| Group::new(ops, *slots..last));
    *slots -= 1;
    let searched = matches!(capture.kind, Kind::Text | Kind::Word | Kind::Most);
    let until = match (follow.take(), searched) {
        (Some(stops), true) => stops,
        (None, true) => {
            let message = "literal text must follow this capture, or it must have a kind that \
                           tells its end (int, float, ip, name, level, quoted, a time layout)";
            return Err(error(template, capture.behind, message.into()));
        }
        (_, false) => Vec::new(),
    };
    let until = if matches!(capture.kind, Kind::Word) {
        beyond_blanks(until)
    } else {
        until
    };
    if matches!(capture.kind, Kind::Quoted) {
        *follow = Some(vec![Stop::Literal(Box::from(*b"\""))]);
    }
    Ok(Op::Capture {
        kind: capture.kind.clone(),
        slot: *slots,
        until: until.into(),
        inside,
    })
}

/// The stops of a word, which ends at white space anyway: `End` stands for all
/// that begin with it.
fn beyond_blanks(mut stops: Vec<Stop>) -> Vec<Stop> {
    let blank = |stop: &Stop| match stop {
        Stop::Literal(bytes) => bytes[0] <= b' ',
        Stop::End => true,
    };
    if stops.iter().any(blank) {
        stops.retain(|stop| !blank(stop));
        stops.push(Stop::End);
    }
    stops
}

fn named(
    template: &str,
    captures: &[&Capture],
    needs: &Needs,
    defs: &mut Defs,
) -> Result<Vec<Named>, TemplateError> {
    let mut names: Vec<(usize, &Capture)> = Vec::new();
    for (slot, &capture) in captures
        .iter()
        .enumerate()
        .filter(|(_, c)| !c.name.is_empty())
    {
        for (_, other) in &names {
            let (a, b) = (&*other.name, &*capture.name);
            let holds = |outer: &str, inner: &str| {
                inner
                    .strip_prefix(outer)
                    .is_some_and(|rest| rest.starts_with('.'))
            };
            if a == b || holds(a, b) || holds(b, a) {
                let message = format!("`{b}` clashes with `{a}` before it; a name has one value");
                return Err(error(template, capture.behind, message));
            }
        }
        names.push((slot, capture));
    }
    let roles: Vec<Option<Role>> = names
        .iter()
        .map(|(_, c)| role_in(&c.name, &names))
        .collect();
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&i| (rank(roles[i]), family(&names, i)));
    let outputs = order.into_iter().map(|i| {
        let (slot, capture) = names[i];
        let layout = match &capture.kind {
            Kind::Time(layout) => Some(layout.clone()),
            _ => None,
        };
        Named {
            slot,
            output: Output::new(&capture.name, roles[i], layout, needs, defs),
        }
    });
    Ok(outputs.collect())
}

/// The role of a name, if no other name of the template has it more strongly.
fn role_in(name: &str, names: &[(usize, &Capture)]) -> Option<Role> {
    let (role, rank) = role_of(name)?;
    let beaten = names
        .iter()
        .filter_map(|(_, other)| role_of(&other.name))
        .any(|(other, stronger)| other == role && stronger < rank);
    (!beaten).then_some(role)
}

fn rank(role: Option<Role>) -> usize {
    match role {
        Some(Role::Timestamp) => 0,
        Some(Role::Level) => 1,
        Some(Role::Message) => 2,
        _ => 3,
    }
}

/// A sort key that keeps names with equal beginnings together, where the first
/// of them stands: for each part, the first name that shares it.
fn family(names: &[(usize, &Capture)], index: usize) -> Vec<usize> {
    let parts: Vec<&str> = names[index].1.name.split('.').collect();
    let first_with = |len: usize| {
        names
            .iter()
            .position(|(_, c)| c.name.split('.').take(len).eq(parts[..len].iter().copied()))
    };
    (1..=parts.len()).filter_map(first_with).collect()
}

/// How much `ops` ask of a line. A capture is worth a few bytes of literal text,
/// optional parts nothing.
pub(super) fn weight(ops: &[Op]) -> u32 {
    let of = |op: &Op| match op {
        Op::Literal { bytes, .. } => 2 * bytes.iter().filter(|b| **b != b' ').count() as u32,
        Op::Capture { kind, .. } => match kind {
            Kind::Text | Kind::Rest | Kind::Most | Kind::Raw => 1,
            Kind::Word => 2,
            Kind::Name => 3,
            _ => 4,
        },
        Op::Optional(_) => 0,
    };
    ops.iter().map(of).sum()
}

/// The bytes that a line can begin with that `ops` match.
pub(super) fn firsts(ops: &[Op]) -> ByteSet {
    let mut all = ByteSet::default();
    for op in ops {
        let kind = match op {
            Op::Literal { bytes, .. } => return all.or(ByteSet::of(&bytes[..1])),
            Op::Optional(group) => {
                all = all.or(firsts(&group.ops));
                continue;
            }
            Op::Capture { kind, .. } => kind,
        };
        let digit = |b: u8| b.is_ascii_digit() || b == b'-';
        return all.or(match kind {
            Kind::Int | Kind::Float => ByteSet::where_(digit),
            Kind::Ip => ByteSet::where_(|b| digit(b) || b.is_ascii_hexdigit() || b == b':'),
            Kind::Time(layout) => ByteSet::where_(|b| layout.can_begin_with(b)),
            Kind::Level | Kind::Name => ByteSet::where_(|b| b.is_ascii_alphabetic() || b == b'_'),
            Kind::Stream => ByteSet::of(b"s"),
            Kind::Mark => ByteSet::of(b".-*#"),
            Kind::Quoted => ByteSet::of(b"\""),
            Kind::Word => ByteSet::where_(|b| b > b' '),
            Kind::Text | Kind::Most | Kind::Rest | Kind::Raw => ByteSet::where_(|_| true),
        });
    }
    // Nothing at all matches the empty line, which begins with its end.
    all.or(ByteSet::of(b"\n"))
}

/// Bytes that stand in every line, behind a time that it begins with, that
/// `ops` match.
pub(super) fn required(ops: &[Op]) -> AsciiSet {
    let of = |op: &Op| match op {
        Op::Literal { bytes, .. } => AsciiSet::of(bytes),
        Op::Capture {
            kind: Kind::Quoted, ..
        } => AsciiSet::of(b"\""),
        Op::Capture { .. } | Op::Optional(_) => AsciiSet::default(),
    };
    ops.iter().map(of).fold(AsciiSet::default(), AsciiSet::or)
}
