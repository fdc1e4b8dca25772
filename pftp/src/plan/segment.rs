//! Which bytes go to which connection.

use crate::ranges::RangeSet;
use std::ops::Range;
use std::time::Duration;

/// Splits `missing` into about `parts` ranges of equal length, none below `least` bytes unless it has to be.
/// Longer gaps are split more often.
#[must_use]
pub(super) fn split(missing: &RangeSet, parts: usize, least: u64) -> Vec<Range<u64>> {
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

/// A transfer as the taking over of its tail sees it: its offset, its end, and bytes per second.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Running {
    /// What is left.
    pub(super) left: Range<u64>,
    /// Bytes per second.
    pub(super) rate: u64,
    /// How long it is to its first byte, if that has not come.
    pub(super) delay: Duration,
    /// How long after its last byte its mirror has said that the file is still the same.
    pub(super) closing: Duration,
}

impl Running {
    /// Bytes that are left.
    #[must_use]
    pub(super) fn len(&self) -> u128 {
        u128::from(self.left.end.saturating_sub(self.left.start))
    }

    /// Milliseconds until it ends at its present rate.
    #[must_use]
    pub(super) fn time_left(&self) -> u64 {
        let millis = self.len() * 1000 / u128::from(self.rate.max(1)) + self.delay.as_millis();
        u64::try_from(millis).unwrap_or(u64::MAX)
    }

    /// Milliseconds until nothing more of it is waited for.
    #[must_use]
    pub(super) fn time_to_close(&self) -> u64 {
        self.time_left().saturating_add(u64::try_from(self.closing.as_millis()).unwrap_or(u64::MAX))
    }
}

/// Milliseconds that a cut has to save: it makes the server send what nobody takes.
pub(super) const LEAST_SAVING: u128 = 30;

/// A free connection that may take over the tail of a transfer.
#[derive(Clone, Debug)]
pub(super) struct Taker {
    /// Bytes per second.
    pub(super) rate: u64,
    /// How long it is until it delivers.
    pub(super) set_up: Duration,
    /// As [`Running::closing`].
    pub(super) closing: Duration,
    /// Bytes below which nothing is worth taking.
    pub(super) least: u64,
}

/// How many bytes of the tail of `victim` a free connection should take over: as many as make nothing more of either be waited
/// for from the same moment on, if the victim brings `brings` per cent of its rate. `None` if that saves less time than half of
/// what the setting up takes, or next to none, or would be too little.
#[must_use]
pub(super) fn tail(victim: &Running, taker: &Taker, brings: u128) -> Option<u64> {
    let left = victim.len();
    let (rate, victims) = (u128::from(taker.rate.max(1)), u128::from(victim.rate) * brings / 100);
    let delay = victim.delay.saturating_add(victim.closing).as_millis();
    let least_saving = (taker.set_up.as_millis() / 2).max(LEAST_SAVING);
    let setup = taker.set_up.saturating_add(taker.closing).as_millis();
    // left = victims * (together - delay) + rate * (together - setup)
    let together = (left * 1000 + victims * delay + rate * setup) / (victims + rate);
    let alone = setup + left * 1000 / rate;
    // What would bring nothing until then keeps nothing.
    let all = victims == 0 || alone <= delay;
    // Who has brought anything has to close, however little is left to it.
    let end = if all { alone } else { together }.max(victim.closing.as_millis());
    if end.saturating_add(least_saving) > u128::from(victim.time_to_close()) {
        return None;
    }
    let take = if all { left } else { rate * together.checked_sub(setup)? / 1000 };
    let take = u64::try_from(take.min(left)).ok()?;
    (take >= taker.least.max(1)).then_some(take)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn whole(size: u64) -> RangeSet {
        RangeSet::new().gaps(0..size)
    }

    #[test]
    fn equal_parts_and_no_splinters() {
        assert_eq!(split(&whole(100), 4, 1), [0..25, 25..50, 50..75, 75..100]);
        assert_eq!(split(&whole(10), 4, 4), [0..5, 5..10]);
        assert_eq!(split(&whole(3), 16, 10), [0..3]);
        assert_eq!(split(&whole(0), 4, 1), []);
        assert_eq!(split(&whole(u64::MAX), 3, 1).len(), 3);
    }

    fn running(left: Range<u64>, rate: u64) -> Running {
        Running { left, rate, delay: Duration::ZERO, closing: Duration::ZERO }
    }

    fn taker(rate: u64, set_up: u64, least: u64) -> Taker {
        Taker { rate, set_up: Duration::from_millis(set_up), closing: Duration::ZERO, least }
    }

    #[test]
    fn a_tail_ends_when_its_head_does() {
        let slow = running(0..1_000_000, 10_000);
        // 990,000 bytes/s against 10,000: nearly everything.
        assert_eq!(tail(&slow, &taker(990_000, 0, 1), 100), Some(990_000));
        let even = running(500..1500, 100);
        assert_eq!(tail(&even, &taker(100, 2_000, 1), 100), Some(400));
        assert_eq!(tail(&even, &taker(100, 60_000, 1), 100), None, "set-up costs more than it saves");
        assert_eq!(tail(&even, &taker(100, 0, 600), 100), None, "too small to split");
        assert_eq!(tail(&even, &taker(100, 2_000, 1), 125), Some(333), "the victim may do more");
    }

    /// Whose mirror takes long to say that its file is the same brings its last byte the earlier.
    #[test]
    fn a_tail_leaves_the_time_that_its_mirror_takes_to_close() {
        let second = Duration::from_secs(1);
        let slow_to_close = Taker { closing: second * 2, ..taker(100, 0, 1) };
        assert_eq!(tail(&running(0..1000, 100), &slow_to_close, 100), Some(400));
        let victim = Running { closing: second * 2, ..running(0..1000, 100) };
        assert_eq!(tail(&victim, &taker(100, 0, 1), 100), Some(600));
        assert_eq!(tail(&victim, &slow_to_close, 100), Some(500));
        let ending = |bytes| Running { closing: second * 2, ..running(0..bytes, 100) };
        assert_eq!(tail(&ending(50), &taker(100, 0, 1), 100), Some(50), "it closes half a second sooner");
        assert_eq!(tail(&ending(2), &taker(100, 0, 1), 100), None, "it has to close, and does so now");
    }

    /// Milliseconds were rounded down, and what they came to was left, for which another data connection had to be made.
    #[test]
    fn a_transfer_that_brings_nothing_loses_all_of_it() {
        for size in [1000, 1001, 123_457, 10_000_019] {
            let dead = running(0..size, 0);
            assert_eq!(tail(&dead, &taker(300_000, 160, 100), 125), Some(size));
            let late = Running { delay: Duration::from_secs(60), ..running(0..size, 300_000) };
            assert_eq!(tail(&late, &taker(300_000, 160, 100), 125), Some(size));
        }
    }

    proptest! {
        #[test]
        fn parts_cover_exactly_what_is_missing(
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

        #[test]
        fn a_tail_is_never_more_than_there_is(
            start in any::<u64>(), len in any::<u64>(), victim in any::<u64>(), rate in any::<u64>(), setup in 0_u64..100_000,
            delay in 0_u64..100_000, brings in 100_u128..150,
        ) {
            let (delay, closing) = (Duration::from_millis(delay), Duration::from_millis(delay / 3));
            let running = Running { left: start..start.saturating_add(len), rate: victim, delay, closing };
            if let Some(take) = tail(&running, &taker(rate, setup, 1), brings) {
                prop_assert!(take <= running.left.end - running.left.start);
            }
        }
    }
}
