//! How fast a connection is.

use ftp_proto::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Bytes per second over about the last two seconds, and what is to be expected.
///
/// A TCP stream begins slowly: what is measured of a transfer that has just begun says how long it has run, not how fast
/// it is. Until it has settled, the rate that the connection had before is the better guide.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    /// Times, and the bytes that had come by then.
    samples: VecDeque<(Instant, u64)>,
    total: u64,
    /// When the transfer counts as settled.
    settles_at: Instant,
    established: Option<u64>,
}

const WINDOW: Duration = Duration::from_secs(2);

/// Less than this says more about buffers than about the path.
const LEAST: Duration = Duration::from_millis(50);

/// Round trips after which a stream has found its rate: as many doublings as lead from the initial window to some hundred
/// Mbit/s over a long path, and a loss and its repair.
const SETTLING: u32 = 12;

impl Rate {
    /// Counting starts, from nothing: a transfer begins, over a path of that round-trip time.
    pub(super) fn start(&mut self, round_trip: Duration, now: Instant) {
        self.samples.clear();
        self.samples.push_back((now, self.total));
        self.settles_at = now + round_trip.saturating_mul(SETTLING).saturating_add(LEAST);
    }

    /// `bytes` have come.
    pub(super) fn add(&mut self, bytes: u64, now: Instant) {
        self.total = self.total.saturating_add(bytes);
        self.samples.push_back((now, self.total));
        while self.samples.get(1).is_some_and(|(time, _)| now.since(*time) > WINDOW) {
            self.samples.pop_front();
        }
        if now >= self.settles_at {
            self.established = self.measured(now).or(self.established);
        }
    }

    /// Bytes per second to be expected of the transfer that runs: as measured when it has settled, silence counts; before
    /// that at least what the connection had before, or else `guess`.
    #[must_use]
    pub(super) fn expected(&self, guess: u64, now: Instant) -> u64 {
        let before = self.established.unwrap_or(guess);
        match self.measured(now) {
            Some(measured) if now >= self.settles_at => measured,
            Some(measured) => measured.max(before),
            None => before,
        }
    }

    /// Bytes per second when bytes last came to a transfer that had settled.
    #[must_use]
    pub(super) const fn established(&self) -> Option<u64> {
        self.established
    }

    /// Bytes per second of the transfer that runs, as of `now`. `None` until there is something to go by.
    #[must_use]
    pub(super) fn measured(&self, now: Instant) -> Option<u64> {
        let (since, before) = self.samples.front()?;
        let span = now.since(*since);
        if span < LEAST {
            return None;
        }
        let bytes = u128::from(self.total.saturating_sub(*before));
        let rate = bytes.saturating_mul(1_000_000).checked_div(span.as_micros())?;
        Some(u64::try_from(rate).unwrap_or(u64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Instant {
        Instant(Duration::from_millis(millis))
    }

    const ROUND_TRIP: Duration = Duration::from_millis(40);

    #[test]
    fn follows_a_steady_stream_and_its_end() {
        let mut rate = Rate::default();
        rate.start(ROUND_TRIP, at(0));
        assert_eq!(rate.expected(7, at(10)), 7, "nothing is known");
        for step in 1..=100 {
            rate.add(1000, at(step * 50));
        }
        assert_eq!(rate.expected(7, at(5000)), 20_000);
        assert!(rate.expected(7, at(15_000)) < 4_000, "silence lowers the rate");
        assert_eq!(rate.established(), Some(20_000));
    }

    #[test]
    fn the_slow_start_of_a_transfer_is_not_taken_for_its_rate() {
        let mut rate = Rate::default();
        rate.start(ROUND_TRIP, at(0));
        for step in 1..=100 {
            rate.add(1000, at(step * 50));
        }
        rate.start(ROUND_TRIP, at(5_000));
        rate.add(100, at(5_200));
        assert_eq!(rate.expected(7, at(5_200)), 20_000);
        rate.add(100, at(5_600));
        assert!(rate.expected(7, at(5_600)) < 1_000, "settled by now");
    }
}
