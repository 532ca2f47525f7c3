//! Shapes: what the lines of a stream have in common, learned as they come.
//!
//! A program writes its lines with a few statements, so that all but the
//! scalars repeats byte for byte. A line is cut into *steps*, each a literal
//! (all that stands between two scalars: `","level":"`) and the scalar behind
//! it. Valid lines that the scanner has read are put into a tree of steps, in
//! which lines that begin alike share their beginning. The next line walks
//! down the tree: it compares literals, a chunk at a time, and reads
//! scalars with the same functions as the scanner.
//!
//! Why that is sound: a path of literals fixes all that the scanner would
//! know between scalars (what is open, which keys were read), so whatever
//! follows such a path with valid scalars is valid, and the same cells are
//! written in the same order. A walk that fails says nothing; the scanner then
//! reads the line from its start.
//!
//! Hostile or merely varied streams: the tree, its fan-out and what one line
//! may add are bounded, and if too many lines of a window miss, the tree is
//! dropped and the cache rests.

use std::ops::Range;

use super::lesson::{Follows, Lesson, Op, Step, What};
use super::scalar;
use super::scan;
use super::stops::Stops;
use crate::event::Cell;
use crate::event::simd::{WIDE, Width};

/// Steps in the tree: some dozens of shapes. With literals, 150 KiB.
const NODES_MAX: usize = 1024;
/// Bytes of literals longer than one chunk.
const LITERALS_MAX: usize = 64 * 1024;
/// Operations on objects and arrays, all nodes together.
const OPS_MAX: usize = 4096;
/// Alternatives after one scalar: a walk compares them one after the other.
const SIBLINGS_MAX: usize = 16;
/// Lines over which misses are counted.
const WINDOW_LINES: u32 = 1024;
/// More misses than this in a window and the cache costs more than it saves: a
/// hit saves half of a scan, a miss costs up to half of one.
const MISSES_MAX: u32 = WINDOW_LINES * 3 / 8;
/// Lines for which the cache then rests; what a window costs is small to it.
const REST_LINES: u32 = 16 * WINDOW_LINES;

/// One step, and how to go on in the tree.
#[derive(Debug)]
// As large as a line of the cache.
#[repr(align(64))]
struct Node {
    /// The literal's beginning, zeros behind it.
    head: [u8; WIDE],
    /// The bits of `head` that are literal.
    head_mask: u32,
    /// The literal's length.
    len: u32,
    /// The leaf of the scalar.
    leaf: u32,
    /// The first step after this one.
    child: u32,
    /// The next alternative to this one.
    sibling: u32,
    /// What is known of it beside: an index into `Shapes::rare`.
    rare: u32,
    follows: Follows,
}

/// What few steps have.
#[derive(Debug)]
struct Rare {
    /// What of the literal does not fit `Node::head`, in `Shapes::literals`.
    rest: Range<usize>,
    /// What the scanner did, in `Shapes::ops`.
    ops: Range<usize>,
}

/// No node.
const NONE: u32 = u32::MAX;

/// The tree of a stream's shapes.
#[derive(Debug, Default)]
pub(super) struct Shapes {
    nodes: Vec<Node>,
    rare: Vec<Rare>,
    literals: Vec<u8>,
    ops: Vec<Op>,
    /// Lines and misses of this window.
    lines: u32,
    misses: u32,
    /// Lines for which the cache still rests.
    rest: u32,
    /// Whether the tree takes no more shapes.
    full: bool,
    /// The shape of the line being learned.
    lesson: Lesson,
}

impl Shapes {
    /// Whether the next line shall be looked up at all.
    #[inline(always)]
    pub(super) fn awake(&mut self) -> bool {
        if self.rest == 0 {
            return true;
        }
        self.rest -= 1;
        false
    }

    /// Counts a line that was looked up, and sleeps if that is of no use.
    #[inline(always)]
    pub(super) fn count(&mut self, hit: bool) {
        self.lines += 1;
        self.misses += u32::from(!hit);
        if self.lines == WINDOW_LINES {
            self.end_window();
        }
    }

    #[cold]
    fn end_window(&mut self) {
        if self.misses > MISSES_MAX {
            self.nodes.clear();
            self.rare.clear();
            self.literals.clear();
            self.ops.clear();
            self.full = false;
            self.rest = REST_LINES;
        }
        self.lines = 0;
        self.misses = 0;
    }

    /// Reads a line by the shapes; false says that it has none of them, and
    /// leaves anything in `found`. The line is covered by `stops`.
    #[inline(always)]
    pub(super) fn walk<W: Width>(
        &self,
        width: W,
        text: &[u8],
        line: &Range<usize>,
        stops: &Stops,
        found: &mut [Cell],
    ) -> bool {
        let (mut pos, mut at) = (line.start, 0);
        // A scalar of the wrong kind is another sibling's: `"a":` may go on with a
        // quote in one shape and with a digit in another.
        while let Some(node) = self.nodes.get(at as usize) {
            at = node.sibling;
            let differences = match text.get(pos..).and_then(|rest| rest.first_chunk()) {
                Some(here) => width.differences(here, &node.head),
                None => last_differences(text, pos, &node.head),
            };
            if differences & node.head_mask != 0 {
                continue;
            }
            if node.rare != NONE && !self.rest_matches(node, text, pos) {
                continue;
            }
            let start = pos + node.len as usize;
            let (stop, cell) = match node.follows {
                Follows::String => {
                    let stop = stops.next(start);
                    match scalar::string_to(text, start, stop, line.end) {
                        Some(found) => found,
                        None => return false,
                    }
                }
                Follows::Bare => match scalar::bare(text, start, line.end) {
                    Some(found) => found,
                    None => continue,
                },
                Follows::Nothing => {
                    if start != line.end {
                        continue;
                    }
                    if node.rare != NONE {
                        self.apply(node, pos, found);
                    }
                    return true;
                }
            };
            if node.rare != NONE {
                self.apply(node, pos, found);
            }
            found[node.leaf as usize] = cell;
            (pos, at) = (stop, node.child);
        }
        false
    }

    /// Compares what is behind a literal's head.
    #[cold]
    #[inline(never)]
    fn rest_matches(&self, node: &Node, text: &[u8], pos: usize) -> bool {
        let Some(rare) = self.rare.get(node.rare as usize) else {
            return true;
        };
        let rest = &self.literals[rare.rest.clone()];
        rest.is_empty() || text.get(pos + WIDE..).is_some_and(|t| t.starts_with(rest))
    }

    #[cold]
    #[inline(never)]
    fn apply(&self, node: &Node, start: usize, found: &mut [Cell]) {
        let Some(rare) = self.rare.get(node.rare as usize) else {
            return;
        };
        for op in &self.ops[rare.ops.clone()] {
            let at = start + op.offset as usize;
            match op.what {
                What::Forget { low, high } => {
                    found[low as usize..high as usize].fill(Cell::default());
                }
                What::Open { leaf } => found[leaf as usize] = Cell::new(at, at),
                What::Close { leaf } => scan::close(&mut found[leaf as usize], at),
            }
        }
    }

    /// What the scanner of a line that starts at `start` shall tell, to be
    /// given to [`Shapes::learn`]; none if there is no room to learn more.
    pub(super) fn lesson(&mut self, start: usize) -> Option<&mut Lesson> {
        if self.full {
            return None;
        }
        self.lesson.begin(start);
        Some(&mut self.lesson)
    }

    /// Adds the shape of the valid line that the lesson was about. `no_leaf`
    /// is the cell that nobody reads.
    pub(super) fn learn(&mut self, text: &[u8], end: usize, no_leaf: u32) {
        let mut lesson = std::mem::take(&mut self.lesson);
        lesson.end(end, no_leaf);
        if lesson.fits {
            self.full = self.nodes.len() + lesson.steps.len() > NODES_MAX
                || self.ops.len() + lesson.ops.len() > OPS_MAX
                || self.literals.len() + lesson.literal_bytes > LITERALS_MAX;
            if !self.full {
                self.insert(&lesson, text);
            }
        }
        self.lesson = lesson;
    }

    /// Adds the steps that the tree lacks. A line that would make too many
    /// alternatives is left where it stands: its walk ends as a miss.
    fn insert(&mut self, lesson: &Lesson, text: &[u8]) {
        let mut parent = NONE;
        for step in &lesson.steps {
            let mut at = match self.nodes.get(parent as usize) {
                Some(node) => node.child,
                None if self.nodes.is_empty() => NONE,
                None => 0,
            };
            let mut last = NONE;
            let mut siblings = 0;
            while at != NONE && !self.is_step(at, step, text) {
                last = at;
                siblings += 1;
                at = self.nodes[at as usize].sibling;
            }
            if at == NONE {
                if siblings == SIBLINGS_MAX {
                    return;
                }
                at = self.add(step, lesson, text);
                if last != NONE {
                    self.nodes[last as usize].sibling = at;
                } else if parent != NONE {
                    self.nodes[parent as usize].child = at;
                }
            }
            parent = at;
        }
    }

    fn is_step(&self, node: u32, step: &Step, text: &[u8]) -> bool {
        let node = &self.nodes[node as usize];
        let literal = &text[step.literal.clone()];
        let (head, rest) = literal.split_at(literal.len().min(WIDE));
        let known = self.rare.get(node.rare as usize);
        node.len as usize == literal.len()
            && node.follows == step.follows
            && node.head.starts_with(head)
            && known.map_or(&[][..], |known| &self.literals[known.rest.clone()]) == rest
    }

    fn add(&mut self, step: &Step, lesson: &Lesson, text: &[u8]) -> u32 {
        let literal = &text[step.literal.clone()];
        let (first, rest) = literal.split_at(literal.len().min(WIDE));
        let mut head = [0; WIDE];
        head[..first.len()].copy_from_slice(first);
        let mut rare = NONE;
        if !rest.is_empty() || !step.ops.is_empty() {
            rare = self.rare.len() as u32;
            self.rare.push(Rare {
                rest: append(&mut self.literals, rest),
                ops: append(&mut self.ops, &lesson.ops[step.ops.clone()]),
            });
        }
        self.nodes.push(Node {
            head,
            head_mask: ((1u64 << first.len()) - 1) as u32,
            follows: step.follows,
            len: literal.len() as u32,
            leaf: step.leaf,
            child: NONE,
            sibling: NONE,
            rare,
        });
        self.nodes.len() as u32 - 1
    }
}

/// Appends to a vector; where the new items stand.
fn append<T: Clone>(all: &mut Vec<T>, more: &[T]) -> Range<usize> {
    let start = all.len();
    all.extend_from_slice(more);
    start..all.len()
}

/// As [`Width::differences`], where the text ends before the block does; what is
/// behind it is as if it were zeros.
#[cold]
#[inline(never)]
fn last_differences(text: &[u8], at: usize, other: &[u8; WIDE]) -> u32 {
    let rest = text.get(at..).unwrap_or_default();
    let bytes = rest.iter().chain(std::iter::repeat(&0)).zip(other);
    let bit = |(i, (byte, other)): (usize, (&u8, &u8))| u32::from(byte != other) << i;
    bytes.enumerate().map(bit).sum()
}

#[cfg(test)]
mod tests {
    use super::super::lesson::{LINE_OPS_MAX, LITERAL_LEN_MAX, STEPS_MAX};
    use super::*;
    use crate::event::simd::Narrow;
    use crate::event::{Needs, Path};
    use crate::parse::json::Json;

    fn json() -> Json {
        let mut needs = Needs::default();
        needs.slot(&Path::of("a"), crate::event::ColumnKind::Text);
        Json::build(&needs)
    }

    fn reads(json: &mut Json, line: &str) -> bool {
        json.stops.reset();
        json.read(Narrow, line.as_bytes(), &(0..line.len()))
    }

    #[test]
    fn a_shape_is_learned_from_one_line() {
        let mut json = json();
        let line = |n: usize| format!(r#" {{"a":{{"b":"{n}"}},"c":[{n},null,true],"a":"x"}} "#);
        for n in 0..10 {
            assert!(reads(&mut json, &line(n)));
        }
        assert_eq!((json.shapes.lines, json.shapes.misses), (10, 1));
        // A number for a string is another shape, which shares the beginning.
        let before = json.shapes.nodes.len();
        assert!(reads(
            &mut json,
            r#" {"a":{"b":"0"},"c":[1,null,"x"],"a":"x"} "#
        ));
        assert_eq!(json.shapes.misses, 2);
        assert_eq!(json.shapes.nodes.len(), before + 3);
    }

    #[test]
    fn an_invalid_line_teaches_nothing() {
        let mut json = json();
        for line in [r#"{"a":1,"b":2"#, r#"{"a":1,"b":2}}"#, "x", ""] {
            assert!(!reads(&mut json, line));
        }
        assert!(json.shapes.nodes.is_empty());
    }

    #[test]
    fn a_stream_without_shapes_puts_the_cache_to_rest() {
        let mut json = json();
        let mut asleep = 0;
        for n in 0..2 * (WINDOW_LINES + REST_LINES) {
            assert!(reads(
                &mut json,
                &format!(r#"{{"k{n}":1,"{n}":{{"a":[{n}]}}}}"#)
            ));
            asleep += u32::from(json.shapes.rest > 0);
            assert!(json.shapes.nodes.len() <= NODES_MAX);
            assert!(json.shapes.literals.len() <= LITERALS_MAX);
        }
        assert!(asleep > REST_LINES && asleep <= 2 * REST_LINES + 2);
        assert!(json.shapes.nodes.is_empty());
        // Awake again, it learns.
        assert!(reads(&mut json, r#"{"a":1}"#) && reads(&mut json, r#"{"a":1}"#));
        assert!(reads(&mut json, r#"{"a":1}"#));
        assert!(json.shapes.nodes.len() == 2 && json.shapes.misses <= 2);
    }

    #[test]
    fn what_one_line_teaches_is_bounded() {
        let mut json = json();
        let members = |n: usize| (0..n).map(|i| format!("\"k{i}\":1")).collect::<Vec<_>>();
        for line in [
            format!("{{{}}}", members(STEPS_MAX).join(",")),
            format!("{{\"a\":{}1}}", " ".repeat(LITERAL_LEN_MAX)),
            format!("{{{}}}", vec!["\"a\":[]"; LINE_OPS_MAX].join(",")),
        ] {
            assert!(reads(&mut json, &line));
            assert!(json.shapes.nodes.is_empty());
        }
        for n in 0..2 * SIBLINGS_MAX {
            assert!(reads(&mut json, &format!("{{\"k{n}\":1}}")));
        }
        assert_eq!(json.shapes.nodes.len(), 2 * SIBLINGS_MAX);
    }
}
