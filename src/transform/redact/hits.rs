//! What the detectors find in one value, as ranges that do not overlap.

use std::ops::Range;

use super::Detector;

/// A range of a value and the detector that found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Hit {
    pub(super) range: Range<usize>,
    /// Its place in the list.
    pub(super) detector: usize,
}

/// Recycled between values.
#[derive(Clone, Debug, Default)]
pub(super) struct Hits(Vec<Hit>);

impl Hits {
    /// What is found in `value`, from left to right. Where finds overlap they
    /// are one, of the kind of the first: nothing found stays to be seen.
    pub(super) fn find(&mut self, detectors: &[Detector], value: &[u8]) -> &[Hit] {
        self.0.clear();
        for (detector, known) in detectors.iter().enumerate() {
            known.find(value, &mut |range| self.0.push(Hit { range, detector }));
        }
        self.0.sort_by_key(|hit| (hit.range.start, hit.detector));
        self.0.dedup_by(|hit, before| {
            let overlaps = hit.range.start < before.range.end;
            if overlaps {
                before.range.end = before.range.end.max(hit.range.end);
            }
            overlaps
        });
        &self.0
    }
}
