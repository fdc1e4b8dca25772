//! The parts of a file that its connections begin with.

use crate::ranges::RangeSet;
use std::ops::Range;

/// Splits `missing` into about `parts` ranges of equal length, none below `least` bytes unless a gap is shorter. Longer gaps are
/// split more often.
pub(in crate::engine) fn split(missing: &RangeSet, parts: usize, least: u64) -> Vec<Range<u64>> {
    let share = missing.len().div_ceil(parts.max(1) as u64).max(least).max(1);
    let mut ranges = Vec::new();
    for gap in missing.iter() {
        let len = gap.end.saturating_sub(gap.start);
        // To the nearest number of shares, so that no small rest is left over.
        let pieces = len.saturating_add(share / 2).checked_div(share).unwrap_or(1).max(1);
        let pieces = if len / pieces < least { (len / least.max(1)).max(1) } else { pieces };
        let bound = |n: u64| gap.start.saturating_add(scale(len, n, pieces));
        ranges.extend((0..pieces).map(|n| bound(n)..bound(n.saturating_add(1))));
    }
    ranges
}

/// `len * numerator / denominator`, without overflow.
fn scale(len: u64, numerator: u64, denominator: u64) -> u64 {
    let scaled = u128::from(len) * u128::from(numerator) / u128::from(denominator.max(1));
    u64::try_from(scaled).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(size: u64) -> RangeSet {
        RangeSet::new().gaps(0..size)
    }

    #[test]
    fn parts_are_equal_and_none_is_small() {
        assert_eq!(split(&whole(100), 4, 1), [0..25, 25..50, 50..75, 75..100]);
        assert_eq!(split(&whole(10), 4, 4), [0..5, 5..10]);
        assert_eq!(split(&whole(3), 16, 10), [0..3]);
        assert_eq!(split(&whole(0), 4, 1), []);
        assert_eq!(split(&whole(u64::MAX), 3, 1).len(), 3);
    }

    proptest! {
        #[test]
        fn parts_cover_exactly_the_missing_ranges(
            gaps in prop::collection::vec((0_u64..10_000, 1_u64..5_000), 0..6), parts in 0_usize..20, least in 0_u64..3_000,
        ) {
            let mut missing = RangeSet::new();
            for (start, len) in gaps {
                missing.insert(start..start + len);
            }
            let mut covered = RangeSet::new();
            let mut sum = 0;
            for range in split(&missing, parts, least) {
                prop_assert!(!range.is_empty());
                sum += range.end - range.start;
                covered.insert(range);
            }
            prop_assert_eq!(sum, missing.len());
            prop_assert_eq!(covered, missing);
        }
    }
}
