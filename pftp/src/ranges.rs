//! Sets of byte ranges.

use std::collections::BTreeMap;
use std::ops::Range;

/// A set of byte offsets, kept as disjoint ranges that do not touch.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RangeSet {
    /// Start of each range to its exclusive end.
    ranges: BTreeMap<u64, u64>,
}

impl RangeSet {
    /// Returns the empty set.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds the offsets of `range`.
    pub fn insert(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let (mut start, mut end) = (range.start, range.end);
        // All ranges that touch `range`: at most one of them starts before it.
        let touching: Vec<u64> = self
            .ranges
            .range(..=end)
            .rev()
            .take_while(|(_, stop)| **stop >= start)
            .map(|(at, _)| *at)
            .collect();
        for at in touching {
            if let Some(stop) = self.ranges.remove(&at) {
                start = start.min(at);
                end = end.max(stop);
            }
        }
        self.ranges.insert(start, end);
    }

    /// Removes the offsets of `range`.
    pub fn remove(&mut self, range: Range<u64>) {
        if range.is_empty() {
            return;
        }
        let cut: Vec<(u64, u64)> = self
            .ranges
            .range(..range.end)
            .rev()
            .take_while(|(_, stop)| **stop > range.start)
            .map(|(at, stop)| (*at, *stop))
            .collect();
        for (at, stop) in cut {
            self.ranges.remove(&at);
            if at < range.start {
                self.ranges.insert(at, range.start);
            }
            if stop > range.end {
                self.ranges.insert(range.end, stop);
            }
        }
    }

    /// Removes and returns the first range.
    pub fn pop_first(&mut self) -> Option<Range<u64>> {
        self.ranges.pop_first().map(|(start, end)| start..end)
    }

    /// Whether the set has all offsets of `range`.
    #[must_use]
    pub fn contains(&self, range: &Range<u64>) -> bool {
        range.is_empty()
            || self.ranges.range(..=range.start).next_back().is_some_and(|(_, stop)| *stop >= range.end)
    }

    /// Returns the number of offsets in the set.
    #[must_use]
    pub fn len(&self) -> u64 {
        self.iter().map(|range| range.end.saturating_sub(range.start)).sum()
    }

    /// Whether the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ranges.is_empty()
    }

    /// Returns the ranges in ascending order.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.ranges.iter().map(|(start, end)| *start..*end)
    }

    /// Returns the parts of `within` that are not in the set.
    #[must_use]
    pub fn gaps(&self, within: Range<u64>) -> Self {
        let mut gaps = Self::new();
        gaps.insert(within);
        for range in self.iter() {
            gaps.remove(range);
        }
        gaps
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn touching_ranges_merge() {
        let mut set = RangeSet::new();
        set.insert(0..10);
        set.insert(20..30);
        set.insert(10..20);
        assert_eq!(set.iter().collect::<Vec<_>>(), [0..30]);
        assert_eq!(set.gaps(0..40).iter().collect::<Vec<_>>(), [30..40]);
    }

    proptest! {
        /// Compares the set with a vector of flags.
        #[test]
        fn set_equals_a_vector_of_flags(operations in prop::collection::vec((any::<bool>(), 0_u64..60, 0_u64..20), 0..40)) {
            let (mut set, mut flags) = (RangeSet::new(), vec![false; 100]);
            for (add, start, len) in operations {
                let range = start..start + len;
                if add { set.insert(range) } else { set.remove(range) }
                let at = |offset: u64| usize::try_from(offset).unwrap();
                flags[at(start)..at(start + len)].fill(add);
            }
            let listed: Vec<Range<u64>> = set.iter().collect();
            prop_assert!(listed.windows(2).all(|pair| pair[0].end < pair[1].start));
            prop_assert!(listed.iter().all(|range| !range.is_empty()));
            for (at, flag) in flags.iter().enumerate() {
                let at = at as u64;
                prop_assert_eq!(listed.iter().any(|range| range.contains(&at)), *flag);
                prop_assert_eq!(set.contains(&(at..at + 1)), *flag);
            }
            let gaps = set.gaps(0..100);
            prop_assert_eq!(gaps.len() + set.len(), 100);
        }
    }
}
