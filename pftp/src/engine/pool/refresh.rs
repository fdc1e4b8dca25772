//! Whether a fresh data connection pays in place of one whose stream has collapsed.
//!
//! On a path that loses packets at random TCP starts fast and slows down with every loss. A fresh data connection on the same
//! session starts fast again; it costs a cut and a few round trips. The refresh pays if a transfer brings well more on average,
//! counted from its request, than the collapsed stream brings now. It does not pay on a saturated path: the other streams
//! have the bandwidth that one has lost.

use ftp_proto::Instant;
use std::time::Duration;

/// The experience with fresh data connections to one server.
#[derive(Debug, Default)]
pub(in crate::engine) struct Refresh {
    /// Bytes per second that transfers reach, averaged from their request, at their best: a running mean in which low values
    /// weigh less.
    fresh_rate: Option<u64>,
    /// No refresh before then.
    not_before: Instant,
    /// The pause after the next refresh that does not pay.
    wait: Duration,
}

/// The pause after a refresh that did not pay; doubled each time.
const FIRST_WAIT: Duration = Duration::from_secs(2);

impl Refresh {
    /// Records the best average rate of a transfer.
    pub(in crate::engine) fn learn(&mut self, peak: u64) {
        // Two transfers in a row that lose a packet early must not hide for ever that the next may not.
        self.fresh_rate = Some(self.fresh_rate.map_or(peak, |known| {
            if peak < known {
                known.saturating_sub(known.saturating_sub(peak) / 4)
            } else {
                known.midpoint(peak)
            }
        }));
    }

    /// Bytes per second that a transfer reaches, averaged from its request; `None` until one has shown it.
    pub(in crate::engine) const fn fresh_rate(&self) -> Option<u64> {
        self.fresh_rate
    }

    /// Whether a refresh may be tried now.
    pub(in crate::engine) fn is_allowed(&self, now: Instant) -> bool {
        now >= self.not_before
    }

    /// Records what a refresh came to: a transfer of `before` bytes per second was replaced by one that reached `peak`.
    pub(in crate::engine) fn judge(&mut self, before: u64, peak: u64, now: Instant) {
        if peak / 4 > before / 3 {
            self.wait = Duration::ZERO;
        } else {
            self.wait = self.wait.saturating_mul(2).max(FIRST_WAIT);
            self.not_before = now + self.wait;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_transfers_that_lose_early_do_not_hide_the_fresh_rate() {
        let mut refresh = Refresh::default();
        refresh.learn(4_000_000);
        refresh.learn(1_000_000);
        refresh.learn(1_000_000);
        assert_eq!(refresh.fresh_rate(), Some(2_687_500));
        refresh.learn(4_000_000);
        assert_eq!(refresh.fresh_rate(), Some(3_343_750));
    }
}
