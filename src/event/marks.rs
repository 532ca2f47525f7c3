//! Where a chunk's text stood in the input that it was read from.
//!
//! Framing moves bytes where it cuts or skips long lines, and writes the lines
//! of containers anew. A source that reads again from where it left off, and
//! gives events the ids that they had before, needs offsets of the input: it
//! marks its chunks ([`Chunk::begins_at`]), and framing keeps the marks right.
//! Other chunks have none, and nobody pays for them.

use super::Chunk;

/// From this byte of the text on, up to the next mark, the text is as it was
/// in the input.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mark {
    /// Offset into the text.
    pub at: u32,
    /// Offset into the input.
    pub input: u64,
}

impl Chunk {
    /// Says where in the input an empty chunk begins, and that marks are kept.
    pub fn begins_at(&mut self, input: u64) {
        debug_assert!(self.text.is_empty());
        self.marks.clear();
        self.marks.push(Mark { at: 0, input });
    }

    /// Whether marks are kept.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        !self.marks.is_empty()
    }

    /// Where byte `at` of the text, or its end, stood in the input; `at` itself
    /// where no marks are kept.
    #[must_use]
    pub fn input_at(&self, at: usize) -> u64 {
        let next = self.marks.partition_point(|mark| mark.at as usize <= at);
        match next.checked_sub(1).map(|before| self.marks[before]) {
            Some(mark) => mark.input + (at as u64 - u64::from(mark.at)),
            None => at as u64,
        }
    }

    /// Says where the text from `at` on stood in the input, where marks are
    /// kept: `at` is no less than that of any mark before.
    pub fn mark(&mut self, at: usize, input: u64) {
        if !self.is_marked() || self.input_at(at) == input {
            return;
        }
        if self.marks.last().is_some_and(|last| last.at as usize == at) {
            self.marks.pop();
        }
        self.marks.push(Mark {
            at: at as u32,
            input,
        });
    }

    /// Takes the marks of the text from `at` on out, the first of them being
    /// for `at`; none where none are kept.
    pub(crate) fn split_marks(&mut self, at: usize) -> Vec<Mark> {
        if !self.is_marked() {
            return Vec::new();
        }
        let first = Mark {
            at: at as u32,
            input: self.input_at(at),
        };
        let from = self.marks.partition_point(|mark| mark.at as usize <= at);
        let rest = self.marks.drain(from..);
        std::iter::once(first).chain(rest).collect()
    }

    /// Moves the marks of the text from `framed` on to `next`, which begins
    /// with that text.
    pub(super) fn carry_marks(&self, framed: usize, next: &mut Chunk) {
        if !self.is_marked() {
            return;
        }
        next.marks.clear();
        next.marks.push(Mark {
            at: 0,
            input: self.input_at(framed),
        });
        let later = self.marks.iter().filter(|mark| mark.at as usize > framed);
        next.marks.extend(later.map(|mark| Mark {
            at: mark.at - framed as u32,
            ..*mark
        }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marked(input: u64, text: &[u8]) -> Chunk {
        let mut chunk = Chunk::default();
        chunk.begins_at(input);
        chunk.text.extend_from_slice(text);
        chunk
    }

    #[test]
    fn text_is_found_in_the_input() {
        let mut chunk = marked(100, b"0123456789");
        assert_eq!((chunk.input_at(0), chunk.input_at(10)), (100, 110));
        chunk.mark(4, 104);
        assert_eq!(chunk.marks.len(), 1, "nothing new");
        chunk.mark(4, 200);
        chunk.mark(4, 300);
        chunk.mark(8, 304);
        assert_eq!(
            [3, 4, 7, 8, 9].map(|at| chunk.input_at(at)),
            [103, 300, 303, 304, 305]
        );
        assert_eq!(chunk.marks.len(), 2);
    }

    #[test]
    fn marks_go_with_the_text_that_is_carried_over() {
        let mut chunk = marked(100, b"ab\ncdef");
        chunk.ends.push(3);
        chunk.mark(5, 500);
        let mut next = Chunk::default();
        chunk.carry_into(&mut next);
        assert_eq!(next.text, b"cdef");
        assert_eq!(
            [0, 1, 2, 3].map(|at| next.input_at(at)),
            [103, 104, 500, 501]
        );
        assert_eq!(chunk.input_at(0), 100);
    }

    #[test]
    fn marks_that_are_split_off_begin_with_one_for_the_place() {
        let mut chunk = marked(100, b"abcdefgh");
        chunk.mark(2, 300);
        chunk.mark(6, 400);
        let split = chunk.split_marks(4);
        assert_eq!(
            split,
            [Mark { at: 4, input: 302 }, Mark { at: 6, input: 400 }]
        );
        assert_eq!((chunk.input_at(2), chunk.input_at(6)), (300, 304));
    }

    #[test]
    fn a_chunk_without_marks_gets_none() {
        let mut chunk = Chunk::default();
        chunk.text.extend_from_slice(b"abc\nd");
        chunk.ends.push(4);
        chunk.mark(2, 77);
        assert!(!chunk.is_marked() && chunk.split_marks(1).is_empty());
        let mut next = Chunk::default();
        chunk.carry_into(&mut next);
        assert!(!next.is_marked());
    }
}
