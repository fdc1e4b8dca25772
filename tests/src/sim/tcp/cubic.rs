//! The congestion window of Linux's CUBIC (RFC 9438), with HyStart.

use std::ops::Range;
use std::time::Duration;

/// A congestion window, in segments.
#[derive(Debug)]
pub(super) struct Cubic {
    window: f64,
    /// Below it the window grows by what arrives, above it by the cubic function.
    threshold: f64,
    /// The window before the last loss, or none.
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
    /// The window to which it comes back, and when that will be, in seconds.
    plateau: f64,
    back_after: f64,
    /// The window that Reno would have.
    reno: f64,
}

/// A round of slow start, for HyStart.
#[derive(Debug)]
struct Round {
    /// The number of the segment with which the next begins.
    until: u64,
    began: Duration,
    /// When the last acknowledgement came of a train without gaps that began with the round.
    train: Duration,
    least_round_trip: Duration,
    samples: u32,
}

const INITIAL: f64 = 10.0;
const DECREASE: f64 = 717.0 / 1024.0;
const SCALE: f64 = 0.4;

/// The growth of a window that had no loss is no slower than a segment for so many acknowledged; and never faster than one
/// for two.
const SLOWEST_AT_FIRST: f64 = 20.0;
const FASTEST: f64 = 2.0;

/// HyStart looks at windows from this size on, at so many acknowledgements of a round at least, and at trains without
/// gaps longer than this.
const HYSTART_LEAST: f64 = 16.0;
const HYSTART_SAMPLES: u32 = 8;
const HYSTART_GAP: Duration = Duration::from_millis(2);

/// Between these it takes an eighth of a round trip for a queue that fills.
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

    /// The smoothed round-trip time.
    pub(super) const fn round_trip(&self) -> Duration {
        self.smoothed_round_trip
    }

    /// A round trip took that long.
    pub(super) fn measured(&mut self, round_trip: Duration) {
        self.last_round_trip = round_trip;
        let first = self.least_round_trip == Duration::MAX;
        self.smoothed_round_trip =
            if first { round_trip } else { (self.smoothed_round_trip * 7 + round_trip) / 8 };
        self.least_round_trip = self.least_round_trip.min(round_trip);
    }

    /// A segment was acknowledged when so many were in flight; these have been sent and not been acknowledged without a gap.
    pub(super) fn acknowledged(&mut self, unacknowledged: Range<u64>, in_flight: f64, now: Duration) {
        let in_slow_start = self.window < self.threshold;
        if in_slow_start && self.threshold.is_infinite() && self.finds_a_queue(unacknowledged, now) {
            self.threshold = self.window;
        }
        // What is not used does not grow.
        let used = if in_slow_start { in_flight * 2.0 } else { in_flight + 2.0 };
        if used < self.window {
            return;
        }
        self.window += if in_slow_start { 1.0 } else { 1.0 / self.acknowledgements_to_grow(now) };
    }

    /// Whether slow start has filled the path (HyStart).
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

    /// How many segments have to be acknowledged for one more.
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
        // As many as Reno would have with this decrease.
        epoch.reno += 3.0 * (1.0 - DECREASE) / (1.0 + DECREASE) / window;
        grows_after.min(count(epoch.reno, f64::INFINITY)).max(FASTEST)
    }

    /// Something was lost.
    pub(super) fn reduce(&mut self) {
        // One that has not come back to where it was leaves room for others (fast convergence).
        let part = if self.window < self.before { f64::midpoint(1.0, DECREASE) } else { 1.0 };
        self.before = self.window * part;
        self.threshold = (self.window * DECREASE).max(2.0);
        self.epoch = None;
    }

    /// Nothing has come back for so long that all is lost.
    pub(super) const fn collapse(&mut self) {
        self.window = 1.0;
        self.before = 0.0;
    }
}

/// By Newton's method: with the same bits on every machine.
fn cube_root(number: f64) -> f64 {
    if number <= 0.0 {
        return 0.0;
    }
    (0..64).fold(number.max(1.0), |root, _| (root + root + number / (root * root)) / 3.0)
}
