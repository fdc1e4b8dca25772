//! The congestion window of Linux's CUBIC (RFC 9438), with HyStart.

use std::ops::Range;
use std::time::Duration;

/// A congestion window, in segments.
#[derive(Debug)]
pub(super) struct Cubic {
    window: f64,
    /// Below this window it grows with each delivery, above it by the cubic function.
    threshold: f64,
    /// The window before the last loss.
    before: f64,
    epoch: Option<Epoch>,
    round: Option<Round>,
    least_round_trip: Duration,
    smoothed_round_trip: Duration,
    last_round_trip: Duration,
}

/// The growth since the last loss.
#[derive(Debug)]
struct Epoch {
    began: Duration,
    /// The window to which it returns, and when it does, in seconds.
    plateau: f64,
    back_after: f64,
    /// The window that Reno would have.
    reno: f64,
}

/// A round of slow start, for HyStart.
#[derive(Debug)]
struct Round {
    /// The number of the segment that begins the next round.
    until: u64,
    began: Duration,
    /// The time of the last acknowledgement in the train without gaps that began with the round.
    train: Duration,
    least_round_trip: Duration,
    samples: u32,
}

const INITIAL: f64 = 10.0;
const DECREASE: f64 = 717.0 / 1024.0;
const SCALE: f64 = 0.4;

/// A window without losses grows at least by a segment for so many acknowledgements, and at most by one for
/// two.
const SLOWEST_AT_FIRST: f64 = 20.0;
const FASTEST: f64 = 2.0;

/// HyStart looks at windows of at least this many segments, at so many acknowledgements of a round at least,
/// and at trains without longer gaps than this.
const HYSTART_LEAST: f64 = 16.0;
const HYSTART_SAMPLES: u32 = 8;
const HYSTART_GAP: Duration = Duration::from_millis(2);

/// The limits of the delay that shows a queue; between them, it is an eighth of a round trip.
const HYSTART_DELAY: (Duration, Duration) = (Duration::from_millis(4), Duration::from_millis(16));

impl Cubic {
    pub(super) const fn new() -> Self {
        Self {
            window: INITIAL,
            threshold: f64::INFINITY,
            before: 0.0,
            epoch: None,
            round: None,
            least_round_trip: Duration::MAX,
            smoothed_round_trip: Duration::ZERO,
            last_round_trip: Duration::ZERO,
        }
    }

    pub(super) const fn window(&self) -> f64 {
        self.window
    }

    pub(super) const fn threshold(&self) -> f64 {
        self.threshold
    }

    pub(super) const fn set_window(&mut self, window: f64) {
        self.window = window;
    }

    /// Returns the smoothed round-trip time.
    pub(super) const fn round_trip(&self) -> Duration {
        self.smoothed_round_trip
    }

    /// Takes a measured round-trip time into account.
    pub(super) fn measured(&mut self, round_trip: Duration) {
        self.last_round_trip = round_trip;
        let first = self.least_round_trip == Duration::MAX;
        self.smoothed_round_trip =
            if first { round_trip } else { (self.smoothed_round_trip * 7 + round_trip) / 8 };
        self.least_round_trip = self.least_round_trip.min(round_trip);
    }

    /// Grows the window after an acknowledgement with so many segments in flight; `unacknowledged` are the
    /// segments that were sent and not yet acknowledged in sequence.
    pub(super) fn acknowledged(&mut self, unacknowledged: Range<u64>, in_flight: f64, now: Duration) {
        let in_slow_start = self.window < self.threshold;
        if in_slow_start && self.threshold.is_infinite() && self.finds_a_queue(unacknowledged, now) {
            self.threshold = self.window;
        }
        // A window that is not used does not grow.
        let used = if in_slow_start { in_flight * 2.0 } else { in_flight + 2.0 };
        if used < self.window {
            return;
        }
        self.window += if in_slow_start { 1.0 } else { 1.0 / self.acknowledgements_to_grow(now) };
    }

    /// Whether slow start has saturated the path (HyStart).
    fn finds_a_queue(&mut self, unacknowledged: Range<u64>, now: Duration) -> bool {
        let Range { start, end } = unacknowledged;
        let fresh = Round { until: end, began: now, train: now, least_round_trip: Duration::MAX, samples: 0 };
        let round = match self.round.take().filter(|round| start <= round.until) {
            Some(round) => self.round.insert(round),
            None => self.round.insert(fresh),
        };
        if self.window < HYSTART_LEAST {
            return false;
        }
        if now.saturating_sub(round.train) <= HYSTART_GAP {
            round.train = now;
            if now.saturating_sub(round.began) > self.least_round_trip / 2 {
                return true;
            }
        }
        round.least_round_trip = round.least_round_trip.min(self.last_round_trip);
        round.samples += 1;
        let (least, most) = HYSTART_DELAY;
        let longer = (self.least_round_trip / 8).clamp(least, most);
        round.samples > HYSTART_SAMPLES && round.least_round_trip > self.least_round_trip + longer
    }

    /// Returns how many acknowledgements enlarge the window by a segment.
    fn acknowledgements_to_grow(&mut self, now: Duration) -> f64 {
        let (window, before) = (self.window, self.before);
        let epoch = self.epoch.get_or_insert_with(|| Epoch {
            began: now,
            plateau: window.max(before),
            back_after: cube_root((before - window).max(0.0) / SCALE),
            reno: window,
        });
        let since = (now.saturating_sub(epoch.began) + self.least_round_trip).as_secs_f64();
        let away = since - epoch.back_after;
        let target = epoch.plateau + SCALE * away * away * away;
        let count = |target: f64, otherwise: f64| {
            if target > window { window / (target - window) } else { otherwise }
        };
        let mut grows_after = count(target, window * 100.0);
        if before == 0.0 {
            grows_after = grows_after.min(SLOWEST_AT_FIRST);
        }
        // The number that makes CUBIC as fast as Reno with this decrease.
        epoch.reno += 3.0 * (1.0 - DECREASE) / (1.0 + DECREASE) / window;
        grows_after.min(count(epoch.reno, f64::INFINITY)).max(FASTEST)
    }

    /// Reduces the window after a loss.
    pub(super) fn reduce(&mut self) {
        // A window that has not returned to its maximum leaves room for others (fast convergence).
        let part = if self.window < self.before { f64::midpoint(1.0, DECREASE) } else { 1.0 };
        self.before = self.window * part;
        self.threshold = (self.window * DECREASE).max(2.0);
        self.epoch = None;
    }

    /// Reduces the window to the least after a timeout.
    pub(super) const fn collapse(&mut self) {
        self.window = 1.0;
        self.before = 0.0;
    }
}

/// Newton's method gives the same bits on every machine.
fn cube_root(number: f64) -> f64 {
    if number <= 0.0 {
        return 0.0;
    }
    (0..64).fold(number.max(1.0), |root, _| (root + root + number / (root * root)) / 3.0)
}
