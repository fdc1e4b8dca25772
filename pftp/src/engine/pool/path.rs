//! The model of the path to a server: round trips, times to a first byte, and the flow of bytes.

use super::rate::Meter;
use super::session::{Ahead, Stage};
use ftp_proto::Instant;
use std::time::Duration;

/// A number of round trips, and the least time that they count for.
pub(in crate::engine) type Span = (u32, Duration);

/// The path to a server, as measured.
#[derive(Debug)]
pub(in crate::engine) struct Path {
    /// The shortest time that a connection took to be established.
    round_trip: Option<Duration>,
    /// The shortest time to a reply while nothing else came from the server.
    reply_time: Option<Duration>,
    /// The time of late transfers to their first byte.
    set_up: Option<Duration>,
    /// The bytes of all sessions together.
    pub(in crate::engine) flow: Meter,
    /// The most bytes per second of `flow` so far.
    pub(in crate::engine) best_flow: u64,
    /// When a transfer was last cut.
    pub(in crate::engine) cut_at: Option<Instant>,
}

/// The time over which the flow is measured.
const FLOW_WINDOW: Duration = Duration::from_secs(1);

/// Bytes that a TCP stream begins with in flight (RFC 6928).
const INITIAL_WINDOW: u128 = 10 * 1448;

/// The round-trip time that is assumed until one has been measured.
const ASSUMED_ROUND_TRIP: Duration = Duration::from_millis(100);

/// How much longer a round trip takes on a saturated path, in per cent, and at least.
const QUEUE: (u32, Duration) = (110, Duration::from_millis(5));

impl Default for Path {
    fn default() -> Self {
        Self {
            round_trip: None,
            reply_time: None,
            set_up: None,
            flow: Meter::new(FLOW_WINDOW),
            best_flow: 0,
            cut_at: None,
        }
    }
}

impl Path {
    /// Records how long a connection took to be established.
    pub(super) fn connected_in(&mut self, took: Duration) {
        self.round_trip = Some(self.round_trip.map_or(took, |known| known.min(took)));
    }

    /// Records how long a reply took. It counts only before the first payload: later, packets may wait in a queue.
    pub(in crate::engine) fn replied_in(&mut self, took: Duration) {
        if self.best_flow == 0 {
            self.reply_time = Some(self.reply_time.map_or(took, |usual| usual.min(took)));
        }
    }

    /// Records the time of a transfer from its request to its first byte.
    pub(in crate::engine) fn first_byte_after(&mut self, took: Duration) {
        self.set_up = Some(self.set_up.map_or(took, |known| known.saturating_add(took) / 2));
    }

    /// Records a lower bound on the time to first byte, from a transfer that was cut before its first byte. A transfer that
    /// lost a packet or two says little about the others, so the bound counts up to four times the usual time.
    pub(in crate::engine) fn first_byte_not_before(&mut self, took: Duration) {
        let usual = self.first_byte_time();
        if took > usual {
            self.first_byte_after(took.min(usual.saturating_mul(4)));
        }
    }

    /// Records payload of one of the sessions.
    pub(in crate::engine) fn received(&mut self, bytes: u64, now: Instant) {
        self.flow.add(bytes, now);
        self.best_flow = self.best_flow.max(self.flow.measured(now).unwrap_or(0));
    }

    /// The shortest time that a connection took to be established; an assumption until one was.
    pub(in crate::engine) fn round_trip(&self) -> Duration {
        self.round_trip.unwrap_or(ASSUMED_ROUND_TRIP)
    }

    /// The time of so many round trips, and at least the time that comes with them.
    pub(in crate::engine) fn span(&self, (round_trips, least): Span) -> Duration {
        self.round_trip().saturating_mul(round_trips).max(least)
    }

    /// The time that a further range on a live session takes to its first byte: as late transfers took, and at least three
    /// round trips.
    pub(in crate::engine) fn first_byte_time(&self) -> Duration {
        let least = self.round_trip().saturating_mul(3);
        self.set_up.map_or(least, |known| known.max(least))
    }

    /// The additional time to a first byte on a session that is not logged in yet: two round trips, as its commands leave
    /// together.
    pub(in crate::engine) fn login_time(&self, stage: Stage) -> Duration {
        let round_trips = if stage == Stage::Ready { 0 } else { 2 };
        self.round_trip().saturating_mul(round_trips)
    }

    /// The time to a first byte that a data connection made ahead saves: the round trips of EPSV and of the connect. `None` if
    /// that connection is still being made.
    pub(in crate::engine) fn saved_by(&self, ahead: Ahead) -> Option<Duration> {
        match ahead {
            Ahead::None => Some(Duration::ZERO),
            Ahead::Requested(..) => None,
            Ahead::Ready(_) => Some(self.round_trip().saturating_mul(2)),
        }
    }

    /// The time until a further range flows at `rate` bytes per second: its time to `first_byte`, then a round trip for each
    /// doubling of TCP's slow start, less two, as bytes come meanwhile.
    pub(in crate::engine) fn set_up_time(&self, first_byte: Duration, rate: u64) -> Duration {
        let round_trip = self.round_trip();
        let in_flight = u128::from(rate).saturating_mul(round_trip.as_millis()) / 1000 / INITIAL_WINDOW;
        let doublings = u128::BITS.saturating_sub(in_flight.leading_zeros());
        first_byte.saturating_add(round_trip.saturating_mul(doublings.saturating_sub(2)))
    }

    /// Whether a round trip that took so long shows that packets wait in a queue.
    pub(in crate::engine) fn is_queued(&self, took: Duration) -> bool {
        let (percent, least) = QUEUE;
        // A busy server takes time to reply as well.
        let usual = self.reply_time.unwrap_or_default().max(self.round_trip());
        took >= (usual.saturating_mul(percent) / 100).max(usual.saturating_add(least))
    }

    /// Whether the flow is near the most that was ever measured.
    pub(in crate::engine) fn is_at_its_best(&self, now: Instant) -> bool {
        self.flow.measured(now).unwrap_or(0) >= self.best_flow / 4 * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A transfer that took 20 seconds once made all others be waited for as long.
    #[test]
    fn slow_transfer_changes_the_usual_first_byte_time_little() {
        let mut path = Path::default();
        let usual = path.first_byte_time();
        path.first_byte_not_before(usual / 2);
        assert_eq!(path.first_byte_time(), usual);
        path.first_byte_not_before(Duration::from_secs(20));
        assert_eq!(path.first_byte_time(), usual * 4);
    }
}
