//! The scanner: reads any line, and is what defines which lines are valid.
//!
//! One pass, no recursion: open objects and arrays are bits of one integer,
//! the needed keys around the position are a level of [`Keys`]. Values that
//! are wanted go to `found`, a cell a leaf, where later duplicates overwrite
//! earlier ones; nobody reads it unless the whole line proves valid.

use std::ops::Range;

use super::keys::{Keys, Target};
use super::scalar;
use crate::event::Cell;

/// How deep objects and arrays may nest: as deep as [`Place::nesting`] has
/// bits. Readers downstream that recurse stop at about that depth too.
const DEPTH_MAX: u32 = u128::BITS;

/// Is told of everything that a line's shape consists of, in order.
pub(super) trait Observer {
    /// A scalar stands at `span`; a string, `quoted`, with its quotes.
    fn scalar(&mut self, span: Range<usize>, leaf: u32, quoted: bool);
    /// A key at `at` makes what was found for `leaves` absent.
    fn forget(&mut self, at: usize, leaves: Range<usize>);
    /// A wanted object or array opens at `at`.
    fn open(&mut self, at: usize, leaf: u32);
    /// It closes with the byte at `at`.
    fn close(&mut self, at: usize, leaf: u32);
}

/// Nobody.
impl Observer for () {
    #[inline(always)]
    fn scalar(&mut self, _: Range<usize>, _: u32, _: bool) {}
    #[inline(always)]
    fn forget(&mut self, _: usize, _: Range<usize>) {}
    #[inline(always)]
    fn open(&mut self, _: usize, _: u32) {}
    #[inline(always)]
    fn close(&mut self, _: usize, _: u32) {}
}

/// An open object or array that is wanted as a whole.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    depth: u32,
    leaf: u32,
}

/// The state of reading one line, and what it borrows.
pub(super) struct Scanner<'a, O> {
    text: &'a [u8],
    /// The text up to the line's end.
    line: &'a [u8],
    /// What is read next.
    pos: usize,
    keys: &'a mut Keys,
    /// A cell a leaf, and one that nobody reads.
    found: &'a mut [Cell],
    /// Has room for all that can be open at once.
    open: &'a mut Vec<Open>,
    observer: O,
}

/// Where the scanner is: what is open around the position.
struct Place {
    /// A bit a level, set for objects, the innermost lowest.
    nesting: u128,
    depth: u32,
    /// The level of the innermost object that has needed keys.
    level: u32,
    /// How deep that object is; 0 if nothing is needed at all.
    level_depth: u32,
    /// How deep the innermost wanted object or array is; 0 for none.
    open_depth: u32,
}

impl Place {
    fn in_object(&self) -> bool {
        self.nesting & 1 != 0
    }
}

impl<'a, O: Observer> Scanner<'a, O> {
    /// Reads the line `text[span]`; whether it is one valid JSON object. All
    /// of `found`, a cell a leaf and one more, must be absent.
    #[inline(always)]
    pub(super) fn run(
        text: &'a [u8],
        span: &Range<usize>,
        keys: &'a mut Keys,
        found: &'a mut [Cell],
        open: &'a mut Vec<Open>,
        observer: O,
    ) -> bool {
        open.clear();
        let scanner = Scanner {
            text,
            line: &text[..span.end],
            pos: span.start,
            keys,
            found,
            open,
            observer,
        };
        scanner.object().is_some()
    }

    /// Each turn of the outer loop reads one member or element, each turn of
    /// the inner one what follows a value. `None` says that the line is invalid.
    ///
    /// Takes itself by value, and no call inside takes it by reference that is
    /// not inlined: so the position stays in a register.
    #[inline(always)]
    fn object(mut self) -> Option<()> {
        self.skip_space();
        self.take(b'{')?;
        let mut place = Place {
            nesting: 1,
            depth: 1,
            level: Keys::ROOT,
            level_depth: u32::from(self.keys.depth() > 0),
            open_depth: 0,
        };
        self.skip_space();
        let mut complete = self.peek()? == b'}';
        loop {
            if !complete {
                let target = if place.in_object() {
                    self.key(&place)?
                } else {
                    self.keys.nothing()
                };
                match self.peek()? {
                    b'"' => self.string(target)?,
                    opening @ (b'{' | b'[') => {
                        self.enter(opening, target, &mut place)?;
                        // An empty one is complete; all else begins with a value.
                        self.skip_space();
                        if !matches!(self.peek()?, b'}' | b']') {
                            continue;
                        }
                    }
                    _ => self.bare(target)?,
                }
            }
            complete = false;
            loop {
                self.skip_space();
                match self.peek()? {
                    b',' => {
                        self.pos += 1;
                        self.skip_space();
                        break;
                    }
                    closing => {
                        self.leave(closing, &mut place)?;
                        if place.depth == 0 {
                            self.skip_space();
                            return (self.pos == self.line.len()).then_some(());
                        }
                    }
                }
            }
        }
    }

    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.line.get(self.pos).copied()
    }

    #[inline(always)]
    fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.pos += 1)
    }

    #[inline(always)]
    fn skip_space(&mut self) {
        while let Some(b' ' | b'\t' | b'\n' | b'\r') = self.peek() {
            self.pos += 1;
        }
    }

    /// Reads a key, its colon and the space around it.
    #[inline(always)]
    fn key(&mut self, place: &Place) -> Option<Target> {
        let at = self.pos;
        self.take(b'"')?;
        let (stop, name) = scalar::string(self.text, at + 1, self.line.len())?;
        self.pos = stop + 1;
        let mut target = self.keys.nothing();
        if place.depth == place.level_depth {
            target = if name.is_escaped() {
                let raw = &self.text[at + 1..stop];
                self.keys.find_escaped(place.level, raw)
            } else {
                self.keys.find(place.level, self.text, at + 1, stop)
            };
            if target.level != Target::NO_LEVEL {
                // A duplicate replaces the whole object.
                self.found[target.leaves()].fill(Cell::default());
                self.observer.forget(at, target.leaves());
            }
        }
        self.skip_space();
        self.take(b':')?;
        self.skip_space();
        Some(target)
    }

    #[inline(always)]
    fn string(&mut self, target: Target) -> Option<()> {
        let at = self.pos;
        let (stop, cell) = scalar::string(self.text, at + 1, self.line.len())?;
        self.pos = stop + 1;
        self.found[target.leaf as usize] = cell;
        self.observer.scalar(at..stop + 1, target.leaf, true);
        Some(())
    }

    #[inline(always)]
    fn bare(&mut self, target: Target) -> Option<()> {
        let at = self.pos;
        let (stop, cell) = scalar::bare(self.text, at, self.line.len())?;
        self.pos = stop;
        self.found[target.leaf as usize] = cell;
        self.observer.scalar(at..stop, target.leaf, false);
        Some(())
    }

    /// Enters the object or array that opens here.
    #[inline(always)]
    fn enter(&mut self, opening: u8, target: Target, place: &mut Place) -> Option<()> {
        if place.depth == DEPTH_MAX {
            return None;
        }
        let object = opening == b'{';
        place.depth += 1;
        place.nesting = place.nesting << 1 | u128::from(object);
        if target.leaf != self.keys.no_leaf() {
            place.open_depth = place.depth;
            self.open.push(Open {
                depth: place.depth,
                leaf: target.leaf,
            });
            self.found[target.leaf as usize] = Cell::new(self.pos, self.pos);
            self.observer.open(self.pos, target.leaf);
        }
        if object && target.level != Target::NO_LEVEL {
            place.level = target.level;
            place.level_depth = place.depth;
        }
        self.pos += 1;
        Some(())
    }

    /// Leaves the innermost object or array by its closing byte.
    #[inline(always)]
    fn leave(&mut self, closing: u8, place: &mut Place) -> Option<()> {
        if closing != if place.in_object() { b'}' } else { b']' } {
            return None;
        }
        if place.depth == place.open_depth {
            self.close(place);
        }
        if place.depth == place.level_depth && place.depth > 1 {
            // Levels nest without gaps.
            place.level = self.keys.parent(place.level);
            place.level_depth -= 1;
        }
        self.pos += 1;
        place.depth -= 1;
        place.nesting >>= 1;
        Some(())
    }

    /// Ends the innermost wanted object or array with the byte here.
    #[inline(always)]
    fn close(&mut self, place: &mut Place) {
        if let Some(Open { leaf, .. }) = self.open.pop() {
            close(&mut self.found[leaf as usize], self.pos);
            self.observer.close(self.pos, leaf);
        }
        place.open_depth = self.open.last().map_or(0, |o| o.depth);
    }
}

/// Makes the cell of an object or array, which knows only its start, end with
/// the byte at `at`.
pub(super) fn close(cell: &mut Cell, at: usize) {
    *cell = Cell::new(cell.range().start, at + 1);
}
