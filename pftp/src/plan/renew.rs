//! A fresh data connection in place of one whose stream has collapsed.
//!
//! On a path that loses packets at random TCP starts fast, and gets slower with every loss. A fresh data connection on the
//! same session starts fast again; it costs a cut and a few round trips. That pays where what a transfer brings from its
//! request on, all told, is well above what the collapsed one still brings. Where the path is full it does not: others
//! have what one has lost.

use super::connection::Segment;
use super::mirror::Mirror;
use super::{Directive, Planner};
use ftp_proto::{Instant, SessionId, Until};
use std::time::Duration;

/// Whether fresh data connections pay, as a mirror has shown it.
#[derive(Debug, Default)]
pub(super) struct Renewal {
    /// Bytes per second that transfers bring from their request to the moment when that is highest: the mean of late, in which
    /// less counts for less.
    fresh: Option<u64>,
    /// Not before then, and how long it is if the next does not pay, either.
    not_before: Instant,
    wait: Duration,
}

/// How long is waited after a fresh data connection that did not pay; doubled each time.
const FIRST_WAIT: Duration = Duration::from_secs(2);

/// How long the rate of a stream is looked at for a collapse: round trips, but at least that time.
const LOOK_BACK: (u32, Duration) = (6, Duration::from_millis(300));

impl Renewal {
    /// A transfer has shown what it brings.
    pub(super) fn learn(&mut self, peak: u64) {
        // Two that lose a packet early, one after the other, are not to hide for ever that the next may not.
        self.fresh = Some(self.fresh.map_or(peak, |known| {
            if peak < known {
                known.saturating_sub(known.saturating_sub(peak) / 4)
            } else {
                known.midpoint(peak)
            }
        }));
    }

    /// Bytes per second that a transfer brings from its request on, at its best; `None` until one has shown it.
    pub(super) const fn fresh(&self) -> Option<u64> {
        self.fresh
    }

    /// Whether it paid to replace a transfer of `before` bytes per second by one that brought `peak`.
    fn judge(&mut self, before: u64, peak: u64, now: Instant) {
        if peak / 4 > before / 3 {
            self.wait = Duration::ZERO;
        } else {
            self.wait = self.wait.saturating_mul(2).max(FIRST_WAIT);
            self.not_before = now + self.wait;
        }
    }
}

impl Planner {
    /// The transfer of a session has ended: what there was to learn of it is learnt.
    pub(super) fn learn_from(&mut self, id: SessionId, segment: &Segment, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(mirror) = self.mirrors.get_mut(connection.mirror) else { return };
        if let Some(before) = connection.replaced_rate.take() {
            mirror.renewal.judge(before, segment.peak, now);
        }
        // Of one that brought nothing there is nothing to learn: others may have taken its part before it could.
        if segment.at > segment.start && connection.rate.has_settled(now) {
            mirror.renewal.learn(segment.peak);
        }
    }

    /// Gives the session a fresh data connection, if its stream has collapsed and that pays.
    pub(super) fn renew(&mut self, id: SessionId, now: Instant) {
        let Some(rate) = self.collapsed(id, now) else { return };
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(segment) = &mut connection.segment else { return };
        connection.replaced_rate = Some(rate);
        segment.letting_go = true;
        // The segment keeps its end: what is left of it is handed out when this transfer has ended.
        let cut = Directive::Shrink(id, segment.request, Until::Offset(segment.at));
        self.directives.push_back(cut);
    }

    /// The bytes per second of the session's transfer, if that has collapsed.
    fn collapsed(&self, id: SessionId, now: Instant) -> Option<u64> {
        let connection = self.connections.get(&id).filter(|connection| !connection.closing)?;
        let mirror = self.mirrors.get(connection.mirror).filter(|mirror| mirror.restarts)?;
        let segment = connection.segment.as_ref().filter(|segment| !segment.letting_go)?;
        if Self::is_single(&self.settings) || self.size.is_none() || !connection.rate.has_settled(now) {
            return None;
        }
        if now < mirror.renewal.not_before
            || self.is_set_up_anew(connection.mirror, now)
            || mirror.is_at_its_best(now)
        {
            return None;
        }
        let rate = connection.rate.over(mirror.span(LOOK_BACK), now)?;
        let fresh = mirror.renewal.fresh.unwrap_or(segment.peak);
        let left = segment.until.end().saturating_sub(segment.at);
        let millis = |rate: u64| u128::from(left).saturating_mul(1000) / u128::from(rate.max(1));
        let set_up = mirror.first_byte_time().as_millis();
        (rate < fresh / 3 * 2 && millis(rate) > millis(fresh).saturating_add(set_up)).then_some(rate)
    }

    /// Whether transfers from the mirror are about to begin: what they bring shows what there is to gain, and where one had most
    /// of the path it is they that have it next.
    fn is_set_up_anew(&self, mirror: usize, now: Instant) -> bool {
        let usual = self.mirrors.get(mirror).map(Mirror::first_byte_time).unwrap_or_default();
        self.connections.values().filter(|connection| connection.mirror == mirror).any(|connection| {
            let Some(segment) = &connection.segment else { return connection.replaced_rate.is_some() };
            let begins = || connection.running(1, usual, now).is_some_and(|running| running.rate > 0);
            segment.letting_go || segment.at == segment.start && begins()
        })
    }
}

impl Mirror {
    /// Whether as much comes from the mirror now as ever did, or nearly.
    pub(super) fn is_at_its_best(&self, now: Instant) -> bool {
        let flow = self.flow.measured(now).unwrap_or(0);
        flow >= self.best_flow / 4 * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_transfers_that_lose_early_do_not_hide_what_fresh_ones_bring() {
        let mut renewal = Renewal::default();
        renewal.learn(4_000_000);
        renewal.learn(1_000_000);
        renewal.learn(1_000_000);
        assert_eq!(renewal.fresh(), Some(2_687_500));
        renewal.learn(4_000_000);
        assert_eq!(renewal.fresh(), Some(3_343_750));
    }
}
