//! How fast bytes come.

use ftp_proto::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Counts bytes over a time that slides along.
#[derive(Clone, Debug)]
pub(super) struct Meter {
    window: Duration,
    /// Times, and the bytes that had come by then.
    samples: VecDeque<(Instant, u64)>,
    total: u64,
}

/// Less than this says more about buffers than about the path.
const LEAST: Duration = Duration::from_millis(50);

/// Bytes that come within this time are one sample.
const GRAIN: Duration = Duration::from_millis(5);

impl Meter {
    pub(super) const fn new(window: Duration) -> Self {
        Self { window, samples: VecDeque::new(), total: 0 }
    }

    /// Counting starts, from nothing.
    pub(super) fn start(&mut self, now: Instant) {
        self.samples.clear();
        self.samples.push_back((now, self.total));
    }

    /// `bytes` have come.
    pub(super) fn add(&mut self, bytes: u64, now: Instant) {
        self.total = self.total.saturating_add(bytes);
        let before = self.samples.len().checked_sub(2).and_then(|at| self.samples.get(at)).copied();
        if before.is_some_and(|(time, _)| now.since(time) < GRAIN) {
            self.samples.pop_back();
        }
        self.samples.push_back((now, self.total));
        while self.samples.get(1).is_some_and(|(time, _)| now.since(*time) > self.window) {
            self.samples.pop_front();
        }
    }

    /// How long is looked back at most, by now.
    #[must_use]
    pub(super) fn since_start(&self, now: Instant) -> Duration {
        self.samples.front().map_or(Duration::ZERO, |(time, _)| now.since(*time))
    }

    /// Bytes per second as of `now`: silence counts. `None` until there is something to go by.
    #[must_use]
    pub(super) fn measured(&self, now: Instant) -> Option<u64> {
        self.over(self.window, now)
    }

    /// The same over the last `span` only, which is not longer than what the meter looks at.
    #[must_use]
    pub(super) fn over(&self, span: Duration, now: Instant) -> Option<u64> {
        let later = self.samples.partition_point(|(time, _)| now.since(*time) >= span);
        let (since, before) = self.samples.get(later.saturating_sub(1))?;
        let span = now.since(*since);
        if span < LEAST {
            return None;
        }
        let bytes = u128::from(self.total.saturating_sub(*before));
        let rate = bytes.saturating_mul(1_000_000).checked_div(span.as_micros())?;
        Some(u64::try_from(rate).unwrap_or(u64::MAX))
    }

    /// Bytes per second over the last `span`, and over the one before it: up to when bytes last came, as they come in bursts
    /// and not with every look, unless they have failed to for longer than that. A span is half of what the meter looks at,
    /// at most. `None` until there is something to go by.
    #[must_use]
    pub(super) fn last_two(&self, span: Duration, now: Instant) -> Option<(u64, u64)> {
        let span = span.min(self.window / 2);
        let last = self.samples.back()?;
        // A burst that is a little late is still one.
        let apart = span - span / 10;
        let middle = self.last_before(last.0, apart)?;
        let first = self.last_before(middle.0, apart)?;
        let rate = |from: (Instant, u64), to: (Instant, u64)| {
            let bytes = u128::from(to.1.saturating_sub(from.1)).saturating_mul(1_000_000);
            let rate = bytes.checked_div(to.0.since(from.0).as_micros())?;
            Some(u64::try_from(rate).unwrap_or(u64::MAX))
        };
        let silent = now.since(last.0) > span + span / 4;
        Some((if silent { 0 } else { rate(middle, *last)? }, rate(first, middle)?))
    }

    /// The last sample that was taken so long before `time`.
    fn last_before(&self, time: Instant, span: Duration) -> Option<(Instant, u64)> {
        let later = self.samples.partition_point(|(taken, _)| time.since(*taken) >= span);
        self.samples.get(later.checked_sub(1)?).copied()
    }
}

/// Bytes per second of one connection over about the last second, and what is to be expected of it.
///
/// A TCP stream begins slowly: what is measured of a transfer that has just begun says how long it has run, not how fast
/// it is. Until it has settled, the rate that the connection had before is the better guide.
#[derive(Clone, Debug)]
pub(super) struct Rate {
    meter: Meter,
    /// When the transfer counts as settled.
    settles_at: Instant,
    established: Option<u64>,
}

const WINDOW: Duration = Duration::from_secs(1);

/// Round trips after which a stream has found its rate: as many doublings as lead from the initial window to some hundred
/// Mbit/s over a long path, and a loss and its repair.
const SETTLING: u32 = 12;

impl Default for Rate {
    fn default() -> Self {
        Self { meter: Meter::new(WINDOW), settles_at: Instant::ZERO, established: None }
    }
}

impl Rate {
    /// Counting starts, from nothing: a transfer begins, over a path of that round-trip time.
    pub(super) fn start(&mut self, round_trip: Duration, now: Instant) {
        self.meter.start(now);
        self.settles_at = now + round_trip.saturating_mul(SETTLING).saturating_add(LEAST);
    }

    /// `bytes` have come.
    pub(super) fn add(&mut self, bytes: u64, now: Instant) {
        self.meter.add(bytes, now);
        if self.has_settled(now) {
            self.established = self.measured(now).or(self.established);
        }
    }

    /// Whether the transfer has run for long enough to have found its rate.
    #[must_use]
    pub(super) fn has_settled(&self, now: Instant) -> bool {
        now >= self.settles_at
    }

    /// Bytes per second to be expected of the transfer that runs: as measured when it has settled, silence counts; before
    /// that at least what the connection had before, or else `guess`.
    #[must_use]
    pub(super) fn expected(&self, guess: u64, now: Instant) -> u64 {
        let before = self.established.unwrap_or(guess);
        match self.measured(now) {
            Some(measured) if self.has_settled(now) => measured,
            Some(measured) => measured.max(before),
            None => before,
        }
    }

    /// The same where too much is worse than too little: a stream that has lost packets is slower from one round trip to the
    /// next, and will not be what it was. To a first byte it takes `usual`.
    #[must_use]
    pub(super) fn cautious(&self, guess: u64, usual: Duration, now: Instant) -> u64 {
        let expected = self.expected(guess, now);
        let span = usual.max(LEAST.saturating_mul(5));
        let late =
            self.over(span, now).filter(|_| self.has_settled(now) || self.has_stopped_growing(span, now));
        late.map_or(expected, |late| late.min(expected))
    }

    /// Whether a transfer that has not settled brings hardly more than it did `span / 2` ago, where TCP's slow start brings
    /// several times as much; or not even that many times as much as a whole span ago, as what fills a hole comes in a burst.
    fn has_stopped_growing(&self, span: Duration, now: Instant) -> bool {
        let rose_by = |span: Duration, times: (u64, u64)| {
            let begun = self.meter.since_start(now) >= span;
            let (late, both) = (self.over(span / 2, now), self.over(span, now));
            let early = both.zip(late).map(|(both, late)| both.saturating_mul(2).saturating_sub(late));
            begun
                && late.zip(early).is_some_and(|(late, early)| early > 0 && late / times.0 <= early / times.1)
        };
        // A span is three round trips at least. In half of what is looked back at there have to be two, or slow start may bring no
        // more than three times as much, either.
        let long = span.saturating_mul(2).min(WINDOW);
        rose_by(span, (3, 2)) || long >= span.saturating_mul(4) / 3 && rose_by(long, (3, 1))
    }

    /// Bytes per second when bytes last came to a transfer that had settled.
    #[must_use]
    pub(super) const fn established(&self) -> Option<u64> {
        self.established
    }

    /// Bytes per second of the transfer that runs, as of `now`. `None` until there is something to go by.
    #[must_use]
    pub(super) fn measured(&self, now: Instant) -> Option<u64> {
        self.meter.measured(now)
    }

    /// The same over the last `span`, and over the one before it, as [`Meter::last_two`] has it.
    #[must_use]
    pub(super) fn last_two(&self, span: Duration, now: Instant) -> Option<(u64, u64)> {
        self.meter.last_two(span, now)
    }

    /// The same over the last `span` only.
    #[must_use]
    pub(super) fn over(&self, span: Duration, now: Instant) -> Option<u64> {
        self.meter.over(span, now)
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
    fn a_meter_looks_back_as_far_as_it_is_told() {
        let mut meter = Meter::new(Duration::from_secs(1));
        meter.start(at(0));
        assert_eq!(meter.measured(at(10)), None);
        for step in 1..=3000 {
            meter.add(if step <= 2500 { 100 } else { 10 }, at(step));
        }
        assert_eq!(meter.over(Duration::from_millis(400), at(3000)), Some(10_000));
        let whole = meter.measured(at(3000)).unwrap();
        assert!((50_000..60_000).contains(&whole), "{whole}");
        assert!(meter.samples.len() < 500);
    }

    #[test]
    fn bursts_are_compared_however_late_one_looks() {
        let mut meter = Meter::new(Duration::from_secs(1));
        meter.start(at(0));
        let trip = Duration::from_millis(80);
        for (time, bytes) in [(50, 10_000), (130, 20_000), (211, 40_000)] {
            meter.add(bytes, at(time));
        }
        let slow_start = Some((493_827, 250_000));
        assert_eq!(meter.last_two(trip, at(211)), slow_start);
        assert_eq!(meter.last_two(trip, at(290)), slow_start, "the next burst has not come yet");
        assert_eq!(meter.last_two(trip, at(315)), Some((0, 250_000)), "it should have");
        meter.add(41_000, at(290));
        meter.add(42_000, at(371));
        assert_eq!(meter.last_two(trip, at(380)), Some((518_518, 518_987)));
        // Reports may come more often than bursts do.
        let mut often = Meter::new(Duration::from_secs(1));
        often.start(at(0));
        assert_eq!(often.last_two(trip, at(100)), None);
        for step in 1..=8 {
            often.add(1000, at(step * 50));
        }
        assert_eq!(often.last_two(trip, at(410)), Some((20_000, 20_000)));
    }

    #[test]
    fn follows_a_steady_stream_and_its_end() {
        let mut rate = Rate::default();
        rate.start(ROUND_TRIP, at(0));
        assert_eq!(rate.expected(7, at(10)), 7, "nothing is known");
        for step in 1..=100 {
            rate.add(1000, at(step * 50));
        }
        assert_eq!(rate.expected(7, at(5000)), 20_000);
        assert_eq!(rate.expected(7, at(5_500)), 10_000, "silence lowers the rate");
        assert_eq!(rate.expected(7, at(15_000)), 0);
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
        assert!(rate.expected(7, at(5_600)) < 1_000, "it has settled by now");
    }

    /// A transfer over a long path was taken to be as fast as the mean of all for as long as holes were filled in it: what
    /// then came at once looked like growth.
    #[test]
    fn what_fills_a_hole_is_no_growth() {
        let usual = Duration::from_millis(500);
        let begun = |add: &dyn Fn(u64) -> u64| {
            let mut rate = Rate::default();
            rate.start(Duration::from_millis(150), at(0));
            for step in 1..=150 {
                rate.add(add(step), at(step * 10));
            }
            rate.cautious(5_000_000, usual, at(1_500))
        };
        // A megabyte per second, but for half a second next to nothing, whose bytes come after that.
        let burst = begun(&|step| match step {
            100..125 => 100,
            125..150 => 19_900,
            _ => 10_000,
        });
        assert!((900_000..2_000_000).contains(&burst), "{burst}");
        // Twice as much in each round trip.
        assert_eq!(begun(&|step| 100 << (step / 15)), 5_000_000);
    }
}
