//! Sets of ordered values as sorted, disjoint, closed ranges: what every
//! comparison with a number, level or time comes down to.
//!
//! The smallest value of a type's scale is above the column's mark for
//! "absent", so that no comparison needs a second look at presence.

use super::expression::Comparison;
use crate::event::{Level, Timestamp};

/// A type with a column of its own.
pub(super) trait Scale: Copy + PartialOrd + std::fmt::Debug {
    /// The smallest present value.
    const MIN: Self;
    /// The largest present value.
    const MAX: Self;

    /// The value just above, if there is one.
    fn next(self) -> Option<Self>;
    /// The value just below, if there is one.
    fn previous(self) -> Option<Self>;
}

macro_rules! scale_of_integer {
    ($type:ty, $min:expr) => {
        impl Scale for $type {
            const MIN: Self = $min;
            const MAX: Self = <$type>::MAX;

            fn next(self) -> Option<Self> {
                self.checked_add(1)
            }

            fn previous(self) -> Option<Self> {
                self.checked_sub(1).filter(|v| *v >= Self::MIN)
            }
        }
    };
}
scale_of_integer!(u8, Level::ABSENT.0 + 1);
scale_of_integer!(i64, Timestamp::ABSENT.0 + 1);
scale_of_integer!(i128, i128::MIN);

impl Scale for f64 {
    const MIN: Self = f64::NEG_INFINITY;
    const MAX: Self = f64::INFINITY;

    fn next(self) -> Option<Self> {
        (self < Self::MAX).then(|| self.next_up())
    }

    fn previous(self) -> Option<Self> {
        (self > Self::MIN).then(|| self.next_down())
    }
}

/// Sorted, disjoint, closed, not empty ranges; none of them holds nothing.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ranges<T>(Vec<(T, T)>);

impl<T: Scale> Ranges<T> {
    /// The union of closed ranges; those whose ends are the wrong way round
    /// are empty.
    pub(super) fn of(mut ranges: Vec<(T, T)>) -> Ranges<T> {
        ranges.retain(|(low, high)| low <= high);
        // No NaN gets here, so that all are comparable.
        ranges.sort_by(|a, b| a.0.partial_cmp(&b.0).unwrap_or(std::cmp::Ordering::Equal));
        let mut merged: Vec<(T, T)> = Vec::with_capacity(ranges.len());
        for (low, high) in ranges {
            match merged.last_mut() {
                Some(last) if low <= last.1 => {
                    if high > last.1 {
                        last.1 = high;
                    }
                }
                _ => merged.push((low, high)),
            }
        }
        Ranges(merged)
    }

    /// The values that compare so with `value`; those equal to it for `!=`,
    /// whose negation is not made here.
    pub(super) fn comparing(operator: Comparison, value: T) -> Ranges<T> {
        let range = match operator {
            Comparison::Eq | Comparison::Ne => Some((value, value)),
            Comparison::Lt => value.previous().map(|high| (T::MIN, high)),
            Comparison::Le => Some((T::MIN, value)),
            Comparison::Gt => value.next().map(|low| (low, T::MAX)),
            Comparison::Ge => Some((value, T::MAX)),
        };
        Ranges::of(range.into_iter().collect())
    }

    /// The values in both.
    pub(super) fn intersect(&self, other: &Ranges<T>) -> Ranges<T> {
        let pairs = self
            .0
            .iter()
            .flat_map(|a| other.0.iter().map(move |b| (a, b)));
        let both = pairs.map(|(a, b)| {
            let low = if a.0 > b.0 { a.0 } else { b.0 };
            let high = if a.1 < b.1 { a.1 } else { b.1 };
            (low, high)
        });
        Ranges::of(both.collect())
    }

    /// The values that are not in them.
    pub(super) fn complement(&self) -> Ranges<T> {
        let mut gaps = Vec::with_capacity(self.0.len() + 1);
        let mut low = Some(T::MIN);
        for &(start, end) in &self.0 {
            if let (Some(low), Some(high)) = (low, start.previous()) {
                gaps.push((low, high));
            }
            low = end.next();
        }
        gaps.extend(low.map(|low| (low, T::MAX)));
        Ranges::of(gaps)
    }

    /// Whether each of its ranges is inside one of the other's.
    pub(super) fn is_within(&self, other: &Ranges<T>) -> bool {
        let inside = |a: &(T, T)| other.0.iter().any(|b| b.0 <= a.0 && a.1 <= b.1);
        self.0.iter().all(inside)
    }

    /// Whether a value is in one of them.
    pub(super) fn contains(&self, value: T) -> bool {
        let after = self.0.partition_point(|(low, _)| *low <= value);
        after.checked_sub(1).is_some_and(|at| value <= self.0[at].1)
    }

    /// The ranges, ascending.
    pub(super) fn as_slice(&self) -> &[(T, T)] {
        &self.0
    }

    /// Whether no value is in them.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_merge_and_meet() {
        let ranges = Ranges::of(vec![(5.0, 9.0), (1.0, 2.0), (8.0, 12.0), (4.0, 3.0)]);
        assert_eq!(ranges.as_slice(), [(1.0, 2.0), (5.0, 12.0)]);
        assert!(ranges.contains(12.0) && ranges.contains(1.0));
        assert!(!ranges.contains(3.0) && !ranges.contains(f64::NAN));
        let below = Ranges::comparing(Comparison::Lt, 5.0);
        assert_eq!(ranges.intersect(&below).as_slice(), [(1.0, 2.0)]);
        let gaps = ranges.complement();
        assert!(gaps.contains(3.0) && gaps.contains(f64::INFINITY) && !gaps.contains(12.0));
        assert_eq!(gaps.complement(), ranges);
        assert_eq!(Ranges::of(vec![(1u8, 255)]).complement().as_slice(), []);
        assert!(
            below
                .intersect(&Ranges::comparing(Comparison::Ge, 5.0))
                .is_empty()
        );
    }

    #[test]
    fn the_mark_for_absent_is_in_no_range() {
        for operator in [
            Comparison::Lt,
            Comparison::Le,
            Comparison::Gt,
            Comparison::Ge,
        ] {
            assert!(!Ranges::comparing(operator, 9u8).contains(Level::ABSENT.0));
            assert!(!Ranges::comparing(operator, 0i64).contains(Timestamp::ABSENT.0));
            assert!(!Ranges::comparing(operator, 0.0).contains(f64::NAN));
        }
        assert!(Ranges::comparing(Comparison::Lt, <u8 as Scale>::MIN).is_empty());
    }
}
