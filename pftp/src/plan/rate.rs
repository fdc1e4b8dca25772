//! How fast a connection is.

use ftp_proto::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Bytes per second over about the last two seconds.
#[derive(Clone, Debug, Default)]
pub(super) struct Rate {
    /// Times, and the bytes that had come by then.
    samples: VecDeque<(Instant, u64)>,
    total: u64,
    last: Option<u64>,
}

const WINDOW: Duration = Duration::from_secs(2);

/// Less than this says more about buffers than about the path.
const LEAST: Duration = Duration::from_millis(50);

impl Rate {
    /// Counting starts, from nothing: a transfer begins.
    pub(super) fn start(&mut self, now: Instant) {
        self.samples.clear();
        self.samples.push_back((now, self.total));
    }

    /// `bytes` have come.
    pub(super) fn add(&mut self, bytes: u64, now: Instant) {
        self.total = self.total.saturating_add(bytes);
        self.samples.push_back((now, self.total));
        while self.samples.get(1).is_some_and(|(time, _)| now.since(*time) > WINDOW) {
            self.samples.pop_front();
        }
        self.last = self.measure(now).or(self.last);
    }

    /// Bytes per second as of `now`: silence counts. `None` until there is something to go by.
    #[must_use]
    pub(super) fn now(&self, now: Instant) -> Option<u64> {
        self.measure(now).or(self.last)
    }

    /// Bytes per second when bytes last came, however long ago.
    #[must_use]
    pub(super) const fn last(&self) -> Option<u64> {
        self.last
    }

    fn measure(&self, now: Instant) -> Option<u64> {
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

    #[test]
    fn follows_a_steady_stream_and_its_end() {
        let mut rate = Rate::default();
        rate.start(at(0));
        assert_eq!(rate.now(at(10)), None);
        for step in 1..=100 {
            rate.add(1000, at(step * 50));
        }
        assert_eq!(rate.now(at(5000)), Some(20_000));
        assert!(rate.now(at(15_000)).unwrap() < 4_000, "silence lowers the rate");
        assert_eq!(rate.last(), Some(20_000));
    }
}
