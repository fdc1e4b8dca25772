//! A token bucket that knows no clock.

use std::time::Duration;

/// How many bytes may be sent when. The bucket starts empty and holds the bytes of 50 ms, so that a transfer takes
/// the
/// time its rate says, bursts included.
#[derive(Clone, Debug)]
pub(crate) struct Bucket {
    rate: u64,
    capacity: u64,
    /// Bytes that are worth a wake-up: single bytes would cost too many of them.
    quantum: u64,
    /// When it was empty last, as far as its content tells.
    empty_at: Duration,
}

impl Bucket {
    pub(crate) fn new(bytes_per_second: u64, now: Duration) -> Self {
        let rate = bytes_per_second.max(1);
        let capacity = (rate / 20).max(1);
        Self { rate, capacity, quantum: (capacity / 4).clamp(1, 64 * 1024), empty_at: now }
    }

    /// How many of `wanted` bytes may be sent now.
    pub(crate) fn window(&self, wanted: u64, now: Duration) -> u64 {
        let filled = now.saturating_sub(self.empty_at).as_nanos() * u128::from(self.rate) / 1_000_000_000;
        let tokens = u64::try_from(filled).unwrap_or(u64::MAX).min(self.capacity);
        if tokens < self.quantum.min(wanted) { 0 } else { tokens.min(wanted) }
    }

    /// When [`Bucket::window`] opens for `wanted` bytes.
    pub(crate) fn opens_at(&self, wanted: u64) -> Duration {
        self.empty_at + self.time_for(self.quantum.min(wanted))
    }

    /// `count` bytes were sent.
    pub(crate) fn spend(&mut self, count: u64, now: Duration) {
        let full_since = now.saturating_sub(self.time_for(self.capacity));
        self.empty_at = self.empty_at.max(full_since) + self.time_for(count);
    }

    fn time_for(&self, count: u64) -> Duration {
        let nanos = (u128::from(count) * 1_000_000_000).div_ceil(u128::from(self.rate));
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_take_the_time_their_rate_says() {
        for rate in [1, 3, 1000, 1_000_000, 5_000_000_000] {
            let mut now = Duration::from_secs(5);
            let mut bucket = Bucket::new(rate, now);
            let mut left = rate * 3;
            while left > 0 {
                let window = bucket.window(left, now);
                if window == 0 {
                    assert!(
                        bucket.opens_at(left) > now,
                        "rate {rate}: a deadline in the past is a busy loop"
                    );
                    now = bucket.opens_at(left);
                    assert_ne!(bucket.window(left, now), 0, "rate {rate}: it opens when it says");
                } else {
                    bucket.spend(window, now);
                    left -= window;
                }
            }
            let over = now.saturating_sub(Duration::from_secs(8));
            assert!(
                now >= Duration::from_millis(7999) && over < Duration::from_millis(1),
                "rate {rate}: {now:?}"
            );
        }
    }

    #[test]
    fn a_pause_earns_no_more_than_the_capacity() {
        let bucket = Bucket::new(1000, Duration::ZERO);
        assert_eq!(bucket.window(u64::MAX, Duration::from_secs(100)), 50);
    }
}
