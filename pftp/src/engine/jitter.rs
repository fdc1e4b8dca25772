//! How long to wait before another attempt.

use std::time::Duration;

/// A source of jitter that gives the same numbers for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub(super) struct Jitter(u64);

/// The wait before the second attempt.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(30);

impl Jitter {
    /// Jitter from `seed`.
    pub(super) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The wait before attempt `attempt`, counted from 1: half a second, doubled with each attempt up to half a minute, less
    /// a random half, so that many clients do not come back at once.
    pub(super) fn wait(&mut self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(6);
        let full = FIRST.saturating_mul(1 << doublings).min(LONGEST);
        let half = u64::try_from(full.as_millis() / 2).unwrap_or(u64::MAX);
        Duration::from_millis(half.saturating_add(self.next() % half.max(1)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_and_stay_in_bounds() {
        let mut jitter = Jitter::new(7);
        for attempt in 1..=40 {
            let full = FIRST.saturating_mul(1 << (attempt - 1).min(6)).min(LONGEST);
            let wait = jitter.wait(attempt);
            assert!(wait >= full / 2 && wait <= full, "{attempt}: {wait:?}");
        }
        assert_eq!(Jitter::new(1).wait(3), Jitter::new(1).wait(3));
    }
}
