//! How many lines that begin alike were plain text, one after the other.
//!
//! Plain text takes any line, so it can never be sure. After a long run of it
//! the other formats are tried on some lines only, the longer the fewer. Lines
//! that begin differently are counted apart: what an indented line is says
//! nothing of one that begins with a digit.

/// On so many lines in a row that only plain text took, the other formats are
/// tried on each; …
const RUN: u32 = 256;
/// … then on one in a sixteenth of as many as there were, …
const PART: u32 = 16;
/// … but at least on one in so many: a try costs as much as a dozen lines of
/// plain text, and what is not noticed for so long is a fraction of a chunk.
const SAMPLE_MAX: u32 = 1024;

/// What a line begins with: digits, letters, and bytes beyond ASCII are alike
/// among themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kind(u8);

impl Kind {
    const COUNT: usize = 129;

    #[inline]
    pub(super) fn of(first: u8) -> Kind {
        match first {
            b'0'..=b'9' => Kind(b'0'),
            b'a'..=b'z' | b'A'..=b'Z' => Kind(b'a'),
            ..=0x7f => Kind(first),
            0x80.. => Kind(0x80),
        }
    }
}

/// The runs of one stream.
pub(super) struct Runs([u32; Kind::COUNT]);

impl Runs {
    pub(super) const NONE: Runs = Runs([0; Kind::COUNT]);

    /// Whether the other formats are to be tried on the next line of its kind.
    #[inline]
    pub(super) fn is_due(&self, kind: Kind) -> bool {
        let run = self.0[usize::from(kind.0)];
        run < RUN || run & (sample(run) - 1) == 0
    }

    /// A line was plain text.
    #[inline]
    pub(super) fn add(&mut self, kind: Kind) {
        let run = &mut self.0[usize::from(kind.0)];
        // On overflow back to where it is long still.
        *run = run.checked_add(1).unwrap_or(RUN);
    }

    /// A line was something else.
    pub(super) fn end(&mut self, kind: Kind) {
        self.0[usize::from(kind.0)] = 0;
    }
}

/// Of how many lines one is tried after a run: a power of two, as the size of
/// the run is in powers of two.
#[inline]
fn sample(run: u32) -> u32 {
    ((1 << run.ilog2()) / PART).min(SAMPLE_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_longer_a_run_the_fewer_lines_are_due() {
        let mut runs = Runs::NONE;
        let mut due = |lines: u32| {
            let due = (0..lines).filter(|_| {
                let due = runs.is_due(Kind::of(b'x'));
                runs.add(Kind::of(b'Y'));
                due
            });
            due.count() as u32
        };
        assert_eq!(due(RUN), RUN);
        // Each time as many lines again, and sixteen of them.
        for doubling in 0..6 {
            assert_eq!(due(RUN << doubling), PART, "{doubling}");
        }
        assert_eq!(due(100 * SAMPLE_MAX), 100);
        assert!(runs.is_due(Kind::of(b'7')), "digits are counted apart");
        runs.end(Kind::of(b'z'));
        assert!(runs.is_due(Kind::of(b'x')));
    }

    #[test]
    fn a_run_without_end_stays_sampled() {
        let mut runs = Runs([u32::MAX; Kind::COUNT]);
        runs.add(Kind::of(0xff));
        assert!(runs.is_due(Kind::of(0x80)));
        runs.add(Kind::of(0xff));
        assert!(!runs.is_due(Kind::of(0x80)));
    }
}
