//! Sets of rows of one batch: what a rule matched, what a sink must deliver.

use std::sync::Arc;

/// A growable set of row numbers, one bit a row, used while rules run.
///
/// Bits at and above `len` are always zero.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bits {
    words: Vec<u64>,
    len: usize,
}

impl Bits {
    /// Makes this the empty set over `len` rows, keeping the allocation.
    pub fn clear(&mut self, len: usize) {
        self.words.clear();
        self.words.resize(len.div_ceil(64), 0);
        self.len = len;
    }

    /// Makes this the full set over `len` rows, keeping the allocation.
    pub fn fill(&mut self, len: usize) {
        self.words.clear();
        self.words.resize(len.div_ceil(64), u64::MAX);
        self.len = len;
        self.trim();
    }

    /// Makes this equal to `other`, keeping the allocation.
    pub fn copy_from(&mut self, other: &Bits) {
        self.words.clone_from(&other.words);
        self.len = other.len;
    }

    /// How many rows the set is over (not how many are in it).
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether the set is over no rows.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// How many rows are in the set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.iter().map(|w| w.count_ones() as usize).sum()
    }

    /// Whether no row is in the set.
    #[must_use]
    pub fn none(&self) -> bool {
        self.words.iter().all(|&w| w == 0)
    }

    /// Adds a row.
    pub fn insert(&mut self, row: usize) {
        debug_assert!(row < self.len);
        self.words[row / 64] |= 1 << (row % 64);
    }

    /// Removes a row.
    pub fn remove(&mut self, row: usize) {
        debug_assert!(row < self.len);
        self.words[row / 64] &= !(1 << (row % 64));
    }

    /// Whether a row is in the set.
    #[must_use]
    pub fn contains(&self, row: usize) -> bool {
        self.words
            .get(row / 64)
            .is_some_and(|w| w >> (row % 64) & 1 == 1)
    }

    /// Keeps only what `other` has too.
    pub fn intersect(&mut self, other: &Bits) {
        debug_assert_eq!(self.len, other.len);
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a &= b;
        }
    }

    /// Adds what `other` has.
    pub fn union(&mut self, other: &Bits) {
        debug_assert_eq!(self.len, other.len);
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a |= b;
        }
    }

    /// Takes away what `other` has.
    pub fn subtract(&mut self, other: &Bits) {
        debug_assert_eq!(self.len, other.len);
        for (a, b) in self.words.iter_mut().zip(&other.words) {
            *a &= !b;
        }
    }

    /// Turns the set into its complement over `len` rows.
    pub fn invert(&mut self) {
        for w in &mut self.words {
            *w = !*w;
        }
        self.trim();
    }

    /// The words, 64 rows each, lowest bit first; for loops over columns.
    #[must_use]
    pub fn words(&self) -> &[u64] {
        &self.words
    }

    /// The words for writing. The writer must leave bits past `len` zero.
    pub fn words_mut(&mut self) -> &mut [u64] {
        &mut self.words
    }

    /// The rows in the set, ascending.
    pub fn iter(&self) -> impl Iterator<Item = usize> + '_ {
        ones(&self.words)
    }

    /// Freezes the set; a full set becomes [`Rows::All`].
    #[must_use]
    pub fn to_rows(&self) -> Rows {
        self.rows_at(0, || self.words.as_slice().into())
    }

    /// Freezes several sets of one batch with one allocation; calls `each` with
    /// every set's place and rows. `scratch` is for recycling.
    pub fn freeze_all(sets: &[Bits], scratch: &mut Vec<u64>, mut each: impl FnMut(usize, Rows)) {
        scratch.clear();
        for set in sets {
            scratch.extend_from_slice(&set.words);
        }
        let mut shared: Option<Arc<[u64]>> = None;
        let mut start = 0;
        for (place, set) in sets.iter().enumerate() {
            let words = || {
                shared
                    .get_or_insert_with(|| scratch.as_slice().into())
                    .clone()
            };
            each(place, set.rows_at(start, words));
            start += set.words.len();
        }
    }

    fn rows_at(&self, start: usize, words: impl FnOnce() -> Arc<[u64]>) -> Rows {
        let count = self.count();
        if count == self.len {
            return Rows::All;
        }
        Rows::Some {
            bits: words(),
            start: start as u32,
            count: count as u32,
        }
    }

    fn trim(&mut self) {
        if !self.len.is_multiple_of(64)
            && let Some(last) = self.words.last_mut()
        {
            *last &= (1 << (self.len % 64)) - 1;
        }
    }
}

/// A frozen set of rows of one batch; cheap to clone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rows {
    /// Every row of the batch.
    All,
    /// This row; for sets of few rows out of many batches.
    One(u32),
    /// The rows whose bit is set.
    Some {
        /// One bit a row, 64 a word, lowest first; shared with other sets of
        /// the same batch.
        bits: Arc<[u64]>,
        /// The word that row 0 is in.
        start: u32,
        /// How many bits are set.
        count: u32,
    },
}

impl Rows {
    /// How many rows are selected of a batch of `len` rows.
    #[must_use]
    pub fn count(&self, len: usize) -> usize {
        match self {
            Rows::All => len,
            Rows::One(_) => 1,
            Rows::Some { count, .. } => *count as usize,
        }
    }

    /// Parts the selected rows of a batch of `len` rows: those whose places
    /// among the selected are in `taken` (ascending), and the others.
    #[must_use]
    pub fn split(&self, len: usize, taken: &[u32]) -> (Rows, Rows) {
        let (mut ins, mut outs) = (Bits::default(), Bits::default());
        ins.clear(len);
        outs.clear(len);
        let mut taken = taken.iter().copied().peekable();
        let mut place = 0;
        self.for_each(len, |row| {
            if taken.next_if_eq(&place).is_some() {
                ins.insert(row);
            } else {
                outs.insert(row);
            }
            place += 1;
        });
        (ins.to_rows(), outs.to_rows())
    }

    /// Whether a row is selected.
    #[must_use]
    pub fn contains(&self, row: usize) -> bool {
        match self {
            Rows::All => true,
            Rows::One(only) => *only as usize == row,
            Rows::Some { bits, start, .. } => bits
                .get(*start as usize + row / 64)
                .is_some_and(|w| w >> (row % 64) & 1 == 1),
        }
    }

    /// Calls `each` with every selected row of a batch of `len` rows, ascending.
    pub fn for_each(&self, len: usize, mut each: impl FnMut(usize)) {
        match self {
            Rows::All => (0..len).for_each(each),
            Rows::One(row) => each(*row as usize),
            Rows::Some { bits, start, .. } => {
                let start = *start as usize;
                ones(&bits[start..start + len.div_ceil(64)]).for_each(&mut each);
            }
        }
    }
}

fn ones(words: &[u64]) -> impl Iterator<Item = usize> + '_ {
    words.iter().enumerate().flat_map(|(i, &word)| {
        let mut rest = word;
        std::iter::from_fn(move || {
            if rest == 0 {
                return None;
            }
            let bit = rest.trailing_zeros() as usize;
            rest &= rest - 1;
            Some(i * 64 + bit)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_past_the_end_stay_zero() {
        for len in [0, 1, 63, 64, 65, 130] {
            let mut bits = Bits::default();
            bits.fill(len);
            assert_eq!(bits.count(), len);
            bits.invert();
            assert!(bits.none());
            bits.invert();
            assert_eq!(bits.iter().count(), len);
        }
    }

    #[test]
    fn sets_that_share_words_keep_apart() {
        let mut sets = vec![Bits::default(); 3];
        for (place, set) in sets.iter_mut().enumerate() {
            set.clear(100);
            set.insert(place);
            set.insert(99 - place);
        }
        sets[1].fill(100);
        let mut frozen = Vec::new();
        Bits::freeze_all(&sets, &mut Vec::new(), |place, rows| {
            frozen.push((place, rows));
        });
        for ((place, rows), set) in frozen.iter().zip(&sets) {
            let mut seen = Vec::new();
            rows.for_each(100, |row| seen.push(row));
            assert_eq!(seen, set.iter().collect::<Vec<_>>(), "{place}");
            assert!((0..100).all(|row| rows.contains(row) == set.contains(row)));
        }
        assert_eq!(frozen[1].1, Rows::All);
    }

    #[test]
    fn a_full_set_freezes_to_all() {
        let mut bits = Bits::default();
        bits.fill(70);
        assert_eq!(bits.to_rows(), Rows::All);
        bits.remove(69);
        let rows = bits.to_rows();
        assert_eq!(rows.count(70), 69);
        assert!(!rows.contains(69) && rows.contains(68));
        let mut seen = Vec::new();
        rows.for_each(70, |r| seen.push(r));
        assert_eq!(seen, (0..69).collect::<Vec<_>>());
    }
}
