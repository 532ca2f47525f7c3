//! What the scanner tells of a line, so that a shape can be made of it.

use std::ops::Range;

use super::scan::Observer;

/// Steps of one line; a longer line would be a large part of the tree.
pub(super) const STEPS_MAX: usize = 128;
/// Operations of one line, which are searched for what a duplicate key forgets.
pub(super) const LINE_OPS_MAX: usize = 2 * STEPS_MAX;
/// A longer literal is a rare thing that is not worth its room.
pub(super) const LITERAL_LEN_MAX: usize = 1024;

/// What stands behind a literal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Follows {
    /// The inside of a string; the literal ends with its opening quote.
    String,
    /// A number, `true`, `false` or `null`.
    Bare,
    /// The end of the line.
    Nothing,
}

/// What the scanner did inside a literal, at an offset into it.
#[derive(Clone, Debug)]
pub(super) struct Op {
    pub(super) offset: u32,
    pub(super) what: What,
}

#[derive(Clone, Debug)]
pub(super) enum What {
    Forget { low: u32, high: u32 },
    Open { leaf: u32 },
    Close { leaf: u32 },
}

#[derive(Debug)]
pub(super) struct Step {
    pub(super) literal: Range<usize>,
    pub(super) follows: Follows,
    pub(super) leaf: u32,
    pub(super) ops: Range<usize>,
}

/// The shape of one line, as the scanner tells it.
#[derive(Debug, Default)]
pub(super) struct Lesson {
    pub(super) steps: Vec<Step>,
    pub(super) ops: Vec<Op>,
    /// Where the literal being read starts.
    literal: usize,
    pub(super) literal_bytes: usize,
    /// Whether it is within the bounds.
    pub(super) fits: bool,
}

impl Lesson {
    pub(super) fn begin(&mut self, start: usize) {
        self.steps.clear();
        self.ops.clear();
        self.literal = start;
        self.literal_bytes = 0;
        self.fits = true;
    }

    pub(super) fn end(&mut self, end: usize, no_leaf: u32) {
        self.step(end, Follows::Nothing, no_leaf);
    }

    /// Ends the literal at `end`.
    fn step(&mut self, end: usize, follows: Follows, leaf: u32) {
        let literal = self.literal..end;
        self.fits &= self.steps.len() < STEPS_MAX && literal.len() <= LITERAL_LEN_MAX;
        if self.fits {
            self.literal_bytes += literal.len();
            let ops = self.steps.last().map_or(0, |s| s.ops.end)..self.ops.len();
            self.steps.push(Step {
                literal,
                follows,
                leaf,
                ops,
            });
        }
    }

    fn op(&mut self, at: usize, what: What) {
        self.fits &= self.ops.len() < LINE_OPS_MAX;
        if self.fits {
            let offset = (at - self.literal) as u32;
            self.ops.push(Op { offset, what });
        }
    }
}

impl Observer for &mut Lesson {
    fn scalar(&mut self, span: Range<usize>, leaf: u32, quoted: bool) {
        if quoted {
            self.step(span.start + 1, Follows::String, leaf);
            self.literal = span.end - 1;
        } else {
            self.step(span.start, Follows::Bare, leaf);
            self.literal = span.end;
        }
    }

    fn forget(&mut self, at: usize, leaves: Range<usize>) {
        if !self.fits {
            return;
        }
        // Only a duplicate has anything to forget.
        let written = |leaf: u32| leaves.contains(&(leaf as usize));
        let opened = |op: &Op| matches!(op.what, What::Open { leaf } if written(leaf));
        if self.steps.iter().any(|s| written(s.leaf)) || self.ops.iter().any(opened) {
            let (low, high) = (leaves.start as u32, leaves.end as u32);
            self.op(at, What::Forget { low, high });
        }
    }

    fn open(&mut self, at: usize, leaf: u32) {
        self.op(at, What::Open { leaf });
    }

    fn close(&mut self, at: usize, leaf: u32) {
        self.op(at, What::Close { leaf });
    }
}
