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

/// One step of matching, with all that is known before the first line.
#[derive(Debug)]
pub(super) struct Step {
    /// What stands in front of it, if it is not empty.
    pub(super) lead: Literal,
    /// What its op is, if it is one of the most common.
    pub(super) quick: Quick,
    pub(super) op: Op,
    /// Of a capture: which of the program's slots it fills; the one behind the
    /// last is nobody's.
    pub(super) slot: usize,
    /// What the slot's entry is called.
    pub(super) def: u32,
    pub(super) inside: Option<Box<Group>>,
}

/// What most lines are made of; of the captures only times and quoted ones have parts.
#[derive(Debug)]
pub(super) enum Quick {
    Word,
    /// A text up to this byte.
    TextTo(u8),
    Int,
    Quoted,
    Time,
    Optional,
    /// Another step; its op says which.
    Other,
}

/// What a step passes over behind its lead. Captures are a [`Kind`] each that
/// knows what follows it.
#[derive(Debug)]
pub(super) enum Op {
    Nothing,
    /// All of these or nothing.
    Optional(Box<Group>),
    /// Up to the first of the stops; mostly there is one.
    Text(Box<Literal>),
    TextUntil(Box<[Stop]>),
    /// Up to white space.
    Word,
    /// Up to this byte, which stands before any white space.
    WordTo(u8),
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
    /// The opening quote ends the lead.
    Quoted,
    /// A time and which of the program's times it is.
    Time(Arc<Layout>, usize),
}

/// Steps with the slots that they fill, to be emptied if one fails.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) steps: Box<[Step]>,
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
    pub(super) steps: Box<[Step]>,
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
    let (steps, _) = compiler.sequence(parts, Some(vec![Stop::End]))?;
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
        steps,
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
    ) -> Result<(Box<[Step]>, Follow), TemplateError> {
        let mut steps: Vec<Step> = Vec::new();
        for part in parts.iter().rev() {
            let step = match part {
                Part::Literal(bytes) => {
                    follow = Some(vec![Stop::Literal(Literal::new(bytes, false))]);
                    literal(bytes, &mut steps);
                    continue;
                }
                Part::Optional(inner) => {
                    let (inner, first) = self.group(inner, follow.clone())?;
                    follow = first.zip(follow).map(|(mut first, rest)| {
                        first.extend(rest);
                        first
                    });
                    Step::plain(
                        Literal::default(),
                        Quick::Optional,
                        Op::Optional(Box::new(inner)),
                    )
                }
                Part::Capture(capture) => self.capture(capture, &mut follow)?,
            };
            steps.push(step);
        }
        steps.reverse();
        Ok((steps.into(), follow))
    }

    fn group(&mut self, parts: &[Part], follow: Follow) -> Result<(Group, Follow), TemplateError> {
        let last = self.captures;
        let (steps, first) = self.sequence(parts, follow)?;
        let inside = &self.slots[self.captures..last];
        let group = Group {
            slots: inside.iter().flatten().map(|&(slot, _)| slot).collect(),
            firsts: firsts(&steps),
            steps,
        };
        Ok((group, first))
    }

    fn capture(
        &mut self,
        capture: &template::Capture,
        follow: &mut Follow,
    ) -> Result<Step, TemplateError> {
        let inside = match &capture.inside {
            Some(parts) => Some(Box::new(self.group(parts, Some(vec![Stop::End]))?.0)),
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
        let mut lead = Literal::default();
        let op = match &capture.kind {
            Kind::Text => match <[Stop; 1]>::try_from(stops()?) {
                Ok([Stop::Literal(stop)]) => Op::Text(Box::new(stop)),
                Ok(stops) => Op::TextUntil(stops.into()),
                Err(stops) => Op::TextUntil(stops.into()),
            },
            Kind::Word => {
                let stops = beyond_blanks(stops()?);
                match &*stops {
                    [Stop::End] => Op::Word,
                    [Stop::Literal(stop)] if stop.bytes().len() == 1 => Op::WordTo(stop.bytes()[0]),
                    _ => Op::WordUntil(stops.into()),
                }
            }
            Kind::Most => Op::Most(stops()?.into()),
            Kind::Name => Op::Name,
            Kind::Rest => Op::Rest,
            Kind::Raw => Op::Raw,
            Kind::Stream => Op::Stream,
            Kind::Int => Op::Int,
            Kind::Float => Op::Float,
            Kind::Ip => Op::Ip,
            Kind::Level => Op::Level,
            Kind::Mark => Op::Mark,
            Kind::Quoted => {
                lead = Literal::new(b"\"", false);
                *follow = Some(vec![Stop::Literal(lead.clone())]);
                Op::Quoted
            }
            Kind::Time(layout) => {
                self.times -= 1;
                Op::Time(layout.clone(), self.times)
            }
        };
        // Parts of which nobody wants one are not looked for.
        let inside = inside.filter(|group| !group.slots.is_empty());
        Ok(Step {
            lead,
            quick: match &op {
                Op::Quoted => Quick::Quoted,
                Op::Time(..) => Quick::Time,
                _ if inside.is_some() => Quick::Other,
                Op::Word => Quick::Word,
                Op::Text(stop) if let [byte] = *stop.bytes() => Quick::TextTo(byte),
                Op::Int => Quick::Int,
                _ => Quick::Other,
            },
            op,
            slot,
            def,
            inside,
        })
    }
}

impl Step {
    /// A step that captures nothing.
    fn plain(lead: Literal, quick: Quick, op: Op) -> Step {
        Step {
            lead,
            quick,
            op,
            // Nothing is put there.
            slot: 0,
            def: 0,
            inside: None,
        }
    }
}

/// Puts `bytes` in front of the last of `steps`, which are in reverse.
fn literal(bytes: &[u8], steps: &mut Vec<Step>) {
    let next = steps.last_mut();
    let before_rest = matches!(
        next.as_deref().map(|s| &s.op),
        None | Some(Op::Rest | Op::Raw)
    );
    let literal = Literal::new(bytes, bytes.last() == Some(&b' ') && !before_rest);
    match next {
        Some(next) if next.lead.bytes().is_empty() => next.lead = literal,
        Some(next) if let Some(whole) = literal.with_quote() => next.lead = whole,
        _ => steps.push(Step::plain(literal, Quick::Other, Op::Nothing)),
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

/// How much `steps` ask of a line. A capture is worth a few bytes of literal
/// text, optional parts nothing.
pub(super) fn weight(steps: &[Step]) -> u32 {
    let literal = |bytes: &[u8]| 2 * bytes.iter().filter(|b| **b != b' ').count() as u32;
    let of = |step: &Step| match &step.op {
        Op::Nothing | Op::Optional(_) => 0,
        Op::Text(_) | Op::TextUntil(_) | Op::Rest | Op::Most(_) | Op::Raw => 1,
        // Its lead has the quote.
        Op::Quoted | Op::Word | Op::WordTo(_) | Op::WordUntil(_) => 2,
        Op::Name => 3,
        _ => 4,
    };
    steps.iter().map(|s| literal(s.lead.bytes()) + of(s)).sum()
}

/// The bytes that a line can begin with that `steps` match.
pub(super) fn firsts(steps: &[Step]) -> ByteSet {
    let mut all = ByteSet::default();
    for step in steps {
        if let [first, ..] = step.lead.bytes() {
            return all.or(ByteSet::of(&[*first]));
        }
        let digit = |b: u8| b.is_ascii_digit() || b == b'-';
        return all.or(match &step.op {
            Op::Optional(group) => {
                all = all.or(firsts(&group.steps));
                continue;
            }
            Op::Int | Op::Float => ByteSet::where_(digit),
            Op::Ip => ByteSet::where_(|b| digit(b) || b.is_ascii_hexdigit() || b == b':'),
            Op::Time(layout, _) => ByteSet::where_(|b| layout.can_begin_with(b)),
            Op::Level | Op::Name => ByteSet::where_(|b| b.is_ascii_alphabetic() || b == b'_'),
            Op::Stream => ByteSet::of(b"s"),
            Op::Mark => ByteSet::of(b".-*#"),
            Op::Word | Op::WordTo(_) | Op::WordUntil(_) => ByteSet::where_(|b| b > b' '),
            // Those without a lead that have one are none.
            Op::Nothing | Op::Quoted => continue,
            Op::Text(_) | Op::TextUntil(_) | Op::Most(_) | Op::Rest | Op::Raw => {
                ByteSet::where_(|_| true)
            }
        });
    }
    // Nothing at all matches the empty line, which begins with its end.
    all.or(ByteSet::of(b"\n"))
}

/// Bytes that stand in every line, behind a time that it begins with, that
/// `steps` match.
pub(super) fn required(steps: &[Step]) -> AsciiSet {
    let leads = steps.iter().map(|step| AsciiSet::of(step.lead.bytes()));
    leads.fold(AsciiSet::default(), AsciiSet::or)
}
