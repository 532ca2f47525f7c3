//! Parts to a program: what ends each capture, and where its value goes.

use std::sync::Arc;

use super::super::detect::{AsciiSet, ByteSet};
use super::super::output::{Output, role_of};
use super::literal::Literal;
use super::template::{self, Kind, Part, TemplateError, error};
use crate::event::time::Layout;
use crate::event::{Defs, Needs, Role};

/// What ends a capture that does not end by itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Stop {
    Literal(Literal),
    End,
}

/// One step of matching.
#[derive(Debug)]
pub(super) enum Op {
    Literal(Literal),
    Capture(Capture),
    /// All of these or nothing.
    Optional(Group),
}

/// A capture with all that is known before the first line.
#[derive(Debug)]
pub(super) struct Capture {
    pub(super) take: Take,
    /// Which of the program's slots it fills; the one behind the last is
    /// nobody's.
    pub(super) slot: usize,
    /// What the slot's entry is called.
    pub(super) def: u32,
    pub(super) inside: Option<Group>,
}

/// What a capture takes: a [`Kind`] that knows what follows it.
#[derive(Debug)]
pub(super) enum Take {
    /// Up to the first of the stops; mostly there is one.
    Text(Literal),
    TextUntil(Box<[Stop]>),
    /// Up to white space.
    Word,
    WordUntil(Box<[Stop]>),
    Most(Box<[Stop]>),
    Name,
    Rest,
    Raw,
    Stream,
    Int,
    Float,
    Ip,
    Level,
    Mark,
    Quoted,
    /// A time and which of the program's times it is.
    Time(Arc<Layout>, usize),
}

/// Steps with the slots that they fill, to be emptied if one fails.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) ops: Box<[Op]>,
    pub(super) slots: Box<[usize]>,
    /// The bytes that what they match can begin with, if it is anything.
    pub(super) firsts: ByteSet,
}

/// A capture that columns want.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) slot: usize,
    /// Which of the program's times it is.
    pub(super) time: Option<usize>,
    pub(super) output: Output,
}

/// A compiled template.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) ops: Box<[Op]>,
    /// How many captures are wanted: each has a slot, in output order.
    pub(super) slots: usize,
    pub(super) times: usize,
    /// What columns want, in output order.
    pub(super) columns: Box<[Wanted]>,
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
    let mut named = named(template, &captures, needs, defs)?;
    named.retain(|n| needs.fields || n.output.has_columns());
    let mut slots = vec![None; captures.len()];
    for (slot, named) in named.iter().enumerate() {
        slots[named.capture] = Some((slot, named.output.def()));
    }
    let is_time = |capture: &&&template::Capture| matches!(capture.kind, Kind::Time(_));
    let times = |captures: &[&template::Capture]| captures.iter().filter(is_time).count();
    let mut compiler = Compiler {
        template,
        slots: &slots,
        unwanted: named.len(),
        captures: captures.len(),
        times: times(&captures),
    };
    let (ops, _) = compiler.sequence(parts, Some(vec![Stop::End]))?;
    let slots = named.len();
    let columns = named.into_iter().enumerate().map(|(slot, named)| {
        let is_time = matches!(captures[named.capture].kind, Kind::Time(_));
        Wanted {
            slot,
            time: is_time.then(|| times(&captures[..named.capture])),
            output: named.output,
        }
    });
    Ok(Program {
        ops,
        slots,
        times: times(&captures),
        columns: columns.filter(|c| c.output.has_columns()).collect(),
    })
}

fn collect<'a>(parts: &'a [Part], captures: &mut Vec<&'a template::Capture>) {
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

/// What can come next; `None` if it is nothing that can be searched for.
type Follow = Option<Vec<Stop>>;

/// Compiles from the last part to the first, so that each capture knows what
/// follows it.
struct Compiler<'a> {
    template: &'a str,
    /// For each capture, in the template's order, its slot and its name.
    slots: &'a [Option<(usize, u32)>],
    /// The slot of those that nobody wants.
    unwanted: usize,
    /// How many captures and times are still to come: they count down.
    captures: usize,
    times: usize,
}

impl Compiler<'_> {
    fn sequence(
        &mut self,
        parts: &[Part],
        mut follow: Follow,
    ) -> Result<(Box<[Op]>, Follow), TemplateError> {
        let mut ops = Vec::new();
        for part in parts.iter().rev() {
            let op = match part {
                Part::Literal(bytes) => {
                    let before_rest = match ops.last() {
                        Some(Op::Capture(next)) => matches!(next.take, Take::Rest | Take::Raw),
                        last => last.is_none(),
                    };
                    let padded = bytes.last() == Some(&b' ') && !before_rest;
                    follow = Some(vec![Stop::Literal(Literal::new(bytes, false))]);
                    Op::Literal(Literal::new(bytes, padded))
                }
                Part::Optional(inner) => {
                    let (inner, first) = self.group(inner, follow.clone())?;
                    follow = first.zip(follow).map(|(mut first, rest)| {
                        first.extend(rest);
                        first
                    });
                    Op::Optional(inner)
                }
                Part::Capture(capture) => Op::Capture(self.capture(capture, &mut follow)?),
            };
            ops.push(op);
        }
        ops.reverse();
        Ok((ops.into(), follow))
    }

    fn group(&mut self, parts: &[Part], follow: Follow) -> Result<(Group, Follow), TemplateError> {
        let last = self.captures;
        let (ops, first) = self.sequence(parts, follow)?;
        let inside = &self.slots[self.captures..last];
        let group = Group {
            slots: inside.iter().flatten().map(|&(slot, _)| slot).collect(),
            firsts: firsts(&ops),
            ops,
        };
        Ok((group, first))
    }

    fn capture(
        &mut self,
        capture: &template::Capture,
        follow: &mut Follow,
    ) -> Result<Capture, TemplateError> {
        let inside = match &capture.inside {
            Some(parts) => Some(self.group(parts, Some(vec![Stop::End]))?.0),
            None => None,
        };
        self.captures -= 1;
        let (slot, def) = self.slots[self.captures].unwrap_or((self.unwanted, 0));
        let stops = follow.take();
        let stops = || {
            stops.ok_or_else(|| {
                let message = "literal text must follow this capture, or it must have a kind \
                               that tells its end (int, float, ip, name, level, quoted, a time \
                               layout)";
                error(self.template, capture.behind, message.into())
            })
        };
        let take = match &capture.kind {
            Kind::Text => match <[Stop; 1]>::try_from(stops()?) {
                Ok([Stop::Literal(stop)]) => Take::Text(stop),
                Ok(stops) => Take::TextUntil(stops.into()),
                Err(stops) => Take::TextUntil(stops.into()),
            },
            Kind::Word => match beyond_blanks(stops()?) {
                stops if stops == [Stop::End] => Take::Word,
                stops => Take::WordUntil(stops.into()),
            },
            Kind::Most => Take::Most(stops()?.into()),
            Kind::Name => Take::Name,
            Kind::Rest => Take::Rest,
            Kind::Raw => Take::Raw,
            Kind::Stream => Take::Stream,
            Kind::Int => Take::Int,
            Kind::Float => Take::Float,
            Kind::Ip => Take::Ip,
            Kind::Level => Take::Level,
            Kind::Mark => Take::Mark,
            Kind::Quoted => {
                *follow = Some(vec![Stop::Literal(Literal::new(b"\"", false))]);
                Take::Quoted
            }
            Kind::Time(layout) => {
                self.times -= 1;
                Take::Time(layout.clone(), self.times)
            }
        };
        Ok(Capture {
            take,
            slot,
            def,
            // Parts of which nobody wants one are not looked for.
            inside: inside.filter(|group| !group.slots.is_empty()),
        })
    }
}

/// The stops of a word, which ends at white space anyway: `End` stands for all
/// that begin with it.
fn beyond_blanks(mut stops: Vec<Stop>) -> Vec<Stop> {
    let blank = |stop: &Stop| match stop {
        Stop::Literal(literal) => literal.bytes()[0] <= b' ',
        Stop::End => true,
    };
    if stops.iter().any(blank) {
        stops.retain(|stop| !blank(stop));
        stops.push(Stop::End);
    }
    stops
}

/// A capture that has a name.
struct Named {
    /// Which one of the template.
    capture: usize,
    output: Output,
}

/// The named captures in output order.
fn named(
    template: &str,
    captures: &[&template::Capture],
    needs: &Needs,
    defs: &mut Defs,
) -> Result<Vec<Named>, TemplateError> {
    let mut names: Vec<(usize, &template::Capture)> = Vec::new();
    let all = captures.iter().copied().enumerate();
    for (place, capture) in all.filter(|(_, c)| !c.name.is_empty()) {
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
        names.push((place, capture));
    }
    let roles: Vec<Option<Role>> = names
        .iter()
        .map(|(_, c)| role_in(&c.name, &names))
        .collect();
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|&i| (rank(roles[i]), family(&names, i)));
    let outputs = order.into_iter().map(|i| {
        let (place, capture) = names[i];
        let layout = match &capture.kind {
            Kind::Time(layout) => Some(layout.clone()),
            _ => None,
        };
        Named {
            capture: place,
            output: Output::new(&capture.name, roles[i], layout, needs, defs),
        }
    });
    Ok(outputs.collect())
}

/// The role of a name, if no other name of the template has it more strongly.
fn role_in(name: &str, names: &[(usize, &template::Capture)]) -> Option<Role> {
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
fn family(names: &[(usize, &template::Capture)], index: usize) -> Vec<usize> {
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
    let literal = |l: &Literal| 2 * l.bytes().iter().filter(|b| **b != b' ').count() as u32;
    let capture = |take: &Take| match take {
        Take::Text(_) | Take::TextUntil(_) | Take::Rest | Take::Most(_) | Take::Raw => 1,
        Take::Word | Take::WordUntil(_) => 2,
        Take::Name => 3,
        _ => 4,
    };
    let of = |op: &Op| match op {
        Op::Literal(text) => literal(text),
        Op::Capture(c) => capture(&c.take),
        Op::Optional(_) => 0,
    };
    ops.iter().map(of).sum()
}

/// The bytes that a line can begin with that `ops` match.
pub(super) fn firsts(ops: &[Op]) -> ByteSet {
    let mut all = ByteSet::default();
    for op in ops {
        let take = match op {
            Op::Literal(literal) => return all.or(ByteSet::of(&literal.bytes()[..1])),
            Op::Optional(group) => {
                all = all.or(firsts(&group.ops));
                continue;
            }
            Op::Capture(capture) => &capture.take,
        };
        let digit = |b: u8| b.is_ascii_digit() || b == b'-';
        return all.or(match take {
            Take::Int | Take::Float => ByteSet::where_(digit),
            Take::Ip => ByteSet::where_(|b| digit(b) || b.is_ascii_hexdigit() || b == b':'),
            Take::Time(layout, _) => ByteSet::where_(|b| layout.can_begin_with(b)),
            Take::Level | Take::Name => ByteSet::where_(|b| b.is_ascii_alphabetic() || b == b'_'),
            Take::Stream => ByteSet::of(b"s"),
            Take::Mark => ByteSet::of(b".-*#"),
            Take::Quoted => ByteSet::of(b"\""),
            Take::Word | Take::WordUntil(_) => ByteSet::where_(|b| b > b' '),
            Take::Text(_) | Take::TextUntil(_) | Take::Most(_) | Take::Rest | Take::Raw => {
                ByteSet::where_(|_| true)
            }
        });
    }
    // Nothing at all matches the empty line, which begins with its end.
    all.or(ByteSet::of(b"\n"))
}

/// Bytes that stand in every line, behind a time that it begins with, that
/// `ops` match.
pub(super) fn required(ops: &[Op]) -> AsciiSet {
    let of = |op: &Op| match op {
        Op::Literal(literal) => AsciiSet::of(literal.bytes()),
        Op::Capture(capture) if matches!(capture.take, Take::Quoted) => AsciiSet::of(b"\""),
        Op::Capture(_) | Op::Optional(_) => AsciiSet::default(),
    };
    ops.iter().map(of).fold(AsciiSet::default(), AsciiSet::or)
}
