//! How fast bytes come: over a sliding time, and over the transfers of one session.

use ftp_proto::Instant;
use std::collections::VecDeque;
use std::time::Duration;

/// Counts bytes over a sliding time.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Meter {
    window: Duration,
    /// Times, each with the bytes that had come by then.
    samples: VecDeque<(Instant, u64)>,
    total: u64,
}

/// The shortest time to measure over: a shorter one tells more about buffers than about the path.
const LEAST: Duration = Duration::from_millis(50);

/// The time within which bytes are one sample.
const GRAIN: Duration = Duration::from_millis(5);

impl Meter {
    pub(in crate::engine) const fn new(window: Duration) -> Self {
        Self { window, samples: VecDeque::new(), total: 0 }
    }

    /// Starts to count from nothing.
    pub(in crate::engine) fn start(&mut self, now: Instant) {
        self.samples.clear();
        self.samples.push_back((now, self.total));
    }

    /// Counts `bytes` that have come.
    pub(in crate::engine) fn add(&mut self, bytes: u64, now: Instant) {
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

    /// The time since the oldest sample.
    pub(in crate::engine) fn since_start(&self, now: Instant) -> Duration {
        self.samples.front().map_or(Duration::ZERO, |(time, _)| now.since(*time))
    }

    /// Bytes per second as of `now`: silence counts. `None` until enough time has been measured.
    pub(in crate::engine) fn measured(&self, now: Instant) -> Option<u64> {
        self.over(self.window, now)
    }

    /// Bytes per second over the last `span`, which is no longer than the window.
    pub(in crate::engine) fn over(&self, span: Duration, now: Instant) -> Option<u64> {
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

    /// Bytes per second over the last `span` and over the span before it, at most half the window each. Bytes come in bursts,
    /// so the last span ends with the last burst, unless the silence since then is longer than a span. `None` until enough
    /// time has been measured.
    pub(in crate::engine) fn last_two(&self, span: Duration, now: Instant) -> Option<(u64, u64)> {
        let span = span.min(self.window / 2);
        let last = self.samples.back()?;
        // A burst may be a little late.
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

    /// The last sample that is at least `span` older than `time`.
    fn last_before(&self, time: Instant, span: Duration) -> Option<(Instant, u64)> {
        let later = self.samples.partition_point(|(taken, _)| time.since(*taken) >= span);
        self.samples.get(later.checked_sub(1)?).copied()
    }
}

/// Bytes per second of one session over about the last second, and the rate to expect of its transfer.
///
/// A TCP stream begins slowly: the rate of a young transfer tells its age, not its speed. Until the transfer has settled, the
/// rate of the transfer before is the better guide.
#[derive(Clone, Debug)]
pub(in crate::engine) struct Rate {
    meter: Meter,
    /// When the transfer counts as settled.
    settles_at: Instant,
    established: Option<u64>,
}

const WINDOW: Duration = Duration::from_secs(1);

/// Round trips after which a stream has found its rate: the doublings from the initial window to some hundred Mbit/s over a
/// long path, and one loss with its repair.
const SETTLING: u32 = 12;

impl Default for Rate {
    fn default() -> Self {
        Self { meter: Meter::new(WINDOW), settles_at: Instant::ZERO, established: None }
    }
}

impl Rate {
    /// Starts to count from nothing: a transfer begins over a path with this round-trip time.
    pub(in crate::engine) fn start(&mut self, round_trip: Duration, now: Instant) {
        self.meter.start(now);
        self.settles_at = now + round_trip.saturating_mul(SETTLING).saturating_add(LEAST);
    }

    /// Counts `bytes` that have come.
    pub(in crate::engine) fn add(&mut self, bytes: u64, now: Instant) {
        self.meter.add(bytes, now);
        if self.has_settled(now) {
            self.established = self.measured(now).or(self.established);
        }
    }

    /// Whether the transfer has run long enough to have found its rate.
    pub(in crate::engine) fn has_settled(&self, now: Instant) -> bool {
        now >= self.settles_at
    }

    /// Bytes per second to expect of the running transfer: the measured rate once the transfer has settled; before that at
    /// least the rate of the transfer before, or else `guess`. Silence counts.
    pub(in crate::engine) fn expected(&self, guess: u64, now: Instant) -> u64 {
        let before = self.established.unwrap_or(guess);
        match self.measured(now) {
            Some(measured) if self.has_settled(now) => measured,
            Some(measured) => measured.max(before),
            None => before,
        }
    }

    /// Like [`expected`](Self::expected), but rather too low than too high: a stream that loses packets slows down within a
    /// round trip and does not recover soon. `usual` is the usual time to a first byte.
    pub(in crate::engine) fn cautious(&self, guess: u64, usual: Duration, now: Instant) -> u64 {
        let expected = self.expected(guess, now);
        let span = usual.max(LEAST.saturating_mul(5));
        let late =
            self.over(span, now).filter(|_| self.has_settled(now) || self.has_stopped_growing(span, now));
        late.map_or(expected, |late| late.min(expected))
    }

    /// Whether a transfer that has not settled grows more slowly than TCP's slow start would: by less than half within
    /// `span / 2`, or to less than three times within a longer span, as bytes that fill a hole come in a burst.
    fn has_stopped_growing(&self, span: Duration, now: Instant) -> bool {
        let rose_by = |span: Duration, times: (u64, u64)| {
            let begun = self.meter.since_start(now) >= span;
            let (late, both) = (self.over(span / 2, now), self.over(span, now));
            let early = both.zip(late).map(|(both, late)| both.saturating_mul(2).saturating_sub(late));
            begun
                && late.zip(early).is_some_and(|(late, early)| early > 0 && late / times.0 <= early / times.1)
        };
        // A span has three round trips at least. Half of the longer span needs two: within a shorter time slow start itself may
        // grow to no more than three times.
        let long = span.saturating_mul(2).min(WINDOW);
        rose_by(span, (3, 2)) || long >= span.saturating_mul(4) / 3 && rose_by(long, (3, 1))
    }

    /// Bytes per second when bytes last came to a transfer that had settled.
    pub(in crate::engine) const fn established(&self) -> Option<u64> {
        self.established
    }

    /// Bytes per second of the running transfer as of `now`. `None` until enough time has been measured.
    pub(in crate::engine) fn measured(&self, now: Instant) -> Option<u64> {
        self.meter.measured(now)
    }

    /// The rates over the last `span` and the span before: see [`Meter::last_two`].
    pub(in crate::engine) fn last_two(&self, span: Duration, now: Instant) -> Option<(u64, u64)> {
        self.meter.last_two(span, now)
    }

    /// Bytes per second over the last `span`.
    pub(in crate::engine) fn over(&self, span: Duration, now: Instant) -> Option<u64> {
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
    fn meter_measures_over_the_requested_span() {
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
    fn last_two_spans_end_with_the_last_burst() {
        let mut meter = Meter::new(Duration::from_secs(1));
        meter.start(at(0));
        let trip = Duration::from_millis(80);
        for (time, bytes) in [(50, 10_000), (130, 20_000), (211, 40_000)] {
            meter.add(bytes, at(time));
        }
        let slow_start = Some((493_827, 250_000));
        assert_eq!(meter.last_two(trip, at(211)), slow_start);
        assert_eq!(meter.last_two(trip, at(290)), slow_start, "the next burst is not due yet");
        assert_eq!(meter.last_two(trip, at(315)), Some((0, 250_000)), "the next burst is late");
        meter.add(41_000, at(290));
        meter.add(42_000, at(371));
        assert_eq!(meter.last_two(trip, at(380)), Some((518_518, 518_987)));
        // Reports may come more often than bursts.
        let mut often = Meter::new(Duration::from_secs(1));
        often.start(at(0));
        assert_eq!(often.last_two(trip, at(100)), None);
        for step in 1..=8 {
            often.add(1000, at(step * 50));
        }
        assert_eq!(often.last_two(trip, at(410)), Some((20_000, 20_000)));
    }

    #[test]
    fn rate_follows_a_steady_stream_and_its_end() {
        let mut rate = Rate::default();
        rate.start(ROUND_TRIP, at(0));
        assert_eq!(rate.expected(7, at(10)), 7, "no rate is known");
        for step in 1..=100 {
            rate.add(1000, at(step * 50));
        }
        assert_eq!(rate.expected(7, at(5000)), 20_000);
        assert_eq!(rate.expected(7, at(5_500)), 10_000, "silence lowers the rate");
        assert_eq!(rate.expected(7, at(15_000)), 0);
        assert_eq!(rate.established(), Some(20_000));
    }

    #[test]
    fn slow_start_does_not_count_as_the_rate() {
        let mut rate = Rate::default();
        rate.start(ROUND_TRIP, at(0));
        for step in 1..=100 {
            rate.add(1000, at(step * 50));
        }
        rate.start(ROUND_TRIP, at(5_000));
        rate.add(100, at(5_200));
        assert_eq!(rate.expected(7, at(5_200)), 20_000);
        rate.add(100, at(5_600));
        assert!(rate.expected(7, at(5_600)) < 1_000, "the transfer has settled");
    }

    /// Bytes that fill a hole come in a burst, which once counted as growth.
    #[test]
    fn burst_that_fills_a_hole_is_no_growth() {
        let usual = Duration::from_millis(500);
        let begun = |add: &dyn Fn(u64) -> u64| {
            let mut rate = Rate::default();
            rate.start(Duration::from_millis(150), at(0));
            for step in 1..=150 {
                rate.add(add(step), at(step * 10));
            }
            rate.cautious(5_000_000, usual, at(1_500))
        };
        // A megabyte per second; for half a second nearly nothing, and its bytes after that.
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
