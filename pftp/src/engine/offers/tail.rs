//! A session for which nothing is left takes work from the transfer that would end last.

use super::{Offer, Takeover};
use crate::engine::earlier::OVERLAP;
use crate::engine::forecast::View;
use crate::engine::pool::running::Running;
use ftp_proto::SessionId;
use std::time::Duration;

/// Milliseconds that a cut has to save: it makes the server send bytes that nobody takes.
const LEAST_SAVING: u128 = 30;

/// How much longer a transfer has to take than a copy of what is left of it, in per cent, for the copy to pay.
const COPY_PAYS: u128 = 150;

/// The rate that a transfer is expected to keep when a session of the same mirror takes its tail, in per cent. Rates change with
/// each lost packet: a session that took too little is free sooner, but one that took too much ends last, and helping it costs
/// another data connection.
const KEPT_RATE: u128 = 125;

/// A free session that may take over the tail of a transfer.
#[derive(Clone, Debug)]
struct Taker {
    /// Bytes per second.
    rate: u64,
    /// The time until bytes flow at that rate.
    set_up: Duration,
    /// The time until the first byte that counts.
    first_byte: Duration,
    /// As [`Running::closing`].
    closing: Duration,
    /// Bytes below which no tail is worth taking.
    least: u64,
}

/// The number of bytes of the tail of `victim` that a free session should take over: as many as make both end at the same time,
/// if the victim keeps `kept` per cent of its rate. `None` if that saves less than half of the time to set up, or next to
/// nothing, or would be too few bytes.
fn tail(victim: &Running, taker: &Taker, kept: u128) -> Option<u64> {
    let left = victim.len();
    let (rate, victims) = (u128::from(taker.rate.max(1)), u128::from(victim.rate) * kept / 100);
    let delay = victim.delay.saturating_add(victim.closing).as_millis();
    let least_saving = (taker.set_up.as_millis() / 2).max(LEAST_SAVING);
    let setup = taker.set_up.saturating_add(taker.closing).as_millis();
    // left = victims * (together - delay) + rate * (together - setup)
    let together = (left * 1000 + victims * delay + rate * setup) / (victims + rate);
    let alone = setup + left * 1000 / rate;
    // A victim that would deliver nothing until then keeps nothing.
    let all = victims == 0 || alone <= delay;
    // A mirror that has delivered anything has to confirm, however little is left to it.
    let end = if all { alone } else { together }.max(victim.closing.as_millis());
    if end.saturating_add(least_saving) > u128::from(victim.time_to_close()) {
        return None;
    }
    let take = if all { left } else { rate * together.checked_sub(setup)? / 1000 };
    let take = u64::try_from(take.min(left)).ok()?;
    (take >= taker.least.max(1)).then_some(take)
}

/// The free session, as it would take a tail.
fn taker(view: &View<'_>, id: SessionId) -> Option<Taker> {
    let session = &view.pool.sessions[id];
    let mirror = view.mirror_of(session)?;
    let server = &view.pool.servers[session.server];
    // A fresh data connection may bring more than an old one.
    let rate = session.rate.established().unwrap_or_else(|| view.guess(session.server));
    let rate = rate.max(server.refresh.fresh_rate().unwrap_or(0));
    // The overlap comes before the first byte that counts.
    let overlap = Duration::from_millis(OVERLAP.saturating_mul(1000) / rate.max(1));
    let before = overlap.saturating_add(server.path.login_time(session.stage));
    let saved = server.path.saved_by(session.ahead).unwrap_or_default();
    let first_byte = server.path.first_byte_time().saturating_sub(saved);
    Some(Taker {
        rate,
        set_up: server.path.set_up_time(first_byte, rate).saturating_add(before),
        first_byte: first_byte.saturating_add(before),
        closing: view.closing_time(mirror, Some(id)),
        least: view.file.min_tail,
    })
}

/// Offers the tail of the transfer that would end last, if that ends it sooner.
pub(super) fn tail_offer(view: &View<'_>, id: SessionId) -> Option<Offer> {
    let taker = taker(view, id)?;
    let session = &view.pool.sessions[id];
    // The transfer that would end last may have too little left to share.
    view.running().iter().find_map(|(victim, running)| {
        let same_server = view.pool.sessions[*victim].server == session.server;
        let take = tail(running, &taker, if same_server { KEPT_RATE } else { 100 })?;
        // A session that has yet to log in comes too late for a transfer that was left too little.
        let kept = if session.is_ready() { 0 } else { view.may_bring(*victim, taker.set_up) };
        let take = take.min(running.left.end.saturating_sub(running.left.start).saturating_sub(kept));
        let end = running.left.end;
        let takeover = Takeover { victim: *victim, rate: running.rate, start: end.saturating_sub(take), end };
        (take >= taker.least.max(1)).then_some(Offer::Tail(takeover))
    })
}

/// Offers a copy of what is left of a transfer, if the copy would be there first.
pub(super) fn copy_offer(view: &View<'_>, id: SessionId) -> Option<Offer> {
    let taker = taker(view, id)?;
    let pays = |(_, running): &(SessionId, Running)| {
        let flows = running.len().saturating_mul(1000) / u128::from(taker.rate.max(1));
        let again = flows.saturating_add(taker.first_byte.saturating_add(taker.closing).as_millis());
        // A longer rest is shared, if that pays.
        let short = flows <= taker.first_byte.as_millis()
            || running.len() < u128::from(taker.least).saturating_mul(2);
        let pays = u128::from(running.time_to_close()) > again.saturating_mul(COPY_PAYS) / 100;
        // The time until the mirror has confirmed is no reason for a copy.
        short && pays && u128::from(running.time_left()) > LEAST_SAVING
    };
    let (victim, running) = view.running().iter().find(|victim| pays(victim))?;
    let (start, end) = (running.left.start, running.left.end);
    Some(Offer::Copy(Takeover { victim: *victim, rate: running.rate, start, end }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::ops::Range;

    fn running(left: Range<u64>, rate: u64) -> Running {
        Running { left, rate, delay: Duration::ZERO, closing: Duration::ZERO }
    }

    fn taker(rate: u64, set_up: u64, least: u64) -> Taker {
        let set_up = Duration::from_millis(set_up);
        Taker { rate, set_up, first_byte: set_up, closing: Duration::ZERO, least }
    }

    #[test]
    fn tail_ends_when_its_head_ends() {
        let slow = running(0..1_000_000, 10_000);
        // 990,000 bytes/s against 10,000: nearly everything.
        assert_eq!(tail(&slow, &taker(990_000, 0, 1), 100), Some(990_000));
        let even = running(500..1500, 100);
        assert_eq!(tail(&even, &taker(100, 2_000, 1), 100), Some(400));
        assert_eq!(tail(&even, &taker(100, 60_000, 1), 100), None, "the set-up costs more than it saves");
        assert_eq!(tail(&even, &taker(100, 0, 600), 100), None, "too small to split");
        assert_eq!(tail(&even, &taker(100, 2_000, 1), 125), Some(333), "the victim may be faster");
    }

    #[test]
    fn tail_leaves_time_for_the_confirmation_of_its_mirror() {
        let second = Duration::from_secs(1);
        let slow_to_close = Taker { closing: second * 2, ..taker(100, 0, 1) };
        assert_eq!(tail(&running(0..1000, 100), &slow_to_close, 100), Some(400));
        let victim = Running { closing: second * 2, ..running(0..1000, 100) };
        assert_eq!(tail(&victim, &taker(100, 0, 1), 100), Some(600));
        assert_eq!(tail(&victim, &slow_to_close, 100), Some(500));
        let ending = |bytes| Running { closing: second * 2, ..running(0..bytes, 100) };
        assert_eq!(tail(&ending(50), &taker(100, 0, 1), 100), Some(50), "it closes half a second sooner");
        assert_eq!(tail(&ending(2), &taker(100, 0, 1), 100), None, "it has to close, and does so now");
    }

    /// Rounded milliseconds once left a few bytes, for which another data connection had to be made.
    #[test]
    fn silent_transfer_loses_its_whole_range() {
        for size in [1000, 1001, 123_457, 10_000_019] {
            let dead = running(0..size, 0);
            assert_eq!(tail(&dead, &taker(300_000, 160, 100), 125), Some(size));
            let late = Running { delay: Duration::from_secs(60), ..running(0..size, 300_000) };
            assert_eq!(tail(&late, &taker(300_000, 160, 100), 125), Some(size));
        }
    }

    proptest! {
        #[test]
        fn tail_is_never_longer_than_the_rest(
            start in any::<u64>(), len in any::<u64>(), victim in any::<u64>(), rate in any::<u64>(), setup in 0_u64..100_000,
            delay in 0_u64..100_000, kept in 100_u128..150,
        ) {
            let (delay, closing) = (Duration::from_millis(delay), Duration::from_millis(delay / 3));
            let running = Running { left: start..start.saturating_add(len), rate: victim, delay, closing };
            if let Some(take) = tail(&running, &taker(rate, setup, 1), kept) {
                prop_assert!(take <= running.left.end - running.left.start);
            }
        }
    }
}
