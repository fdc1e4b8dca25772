//! Whether the file is still the one that it was, when all of it has come.
//!
//! A file may be replaced or written over while it is fetched. Where old and new agree nothing that overlaps shows it; its
//! size and time do. So each mirror that has brought something is asked for them once more at the end, unless it has told
//! them within the last second, and after its last transfer had begun: times of files are hardly ever finer than that, and
//! what a server has opened is one file. A session that has nothing to do asks when the end is near, so that nobody has to
//! wait for the answer. A mirror whose sessions are all lost by then is called once more.

use super::Planner;
use super::connection::Connection;
use super::mirror::Mirror;
use ftp_proto::{Instant, SessionId};
use std::time::Duration;

/// What a mirror has said so long before the end still holds.
const RECENT: Duration = Duration::from_secs(1);

/// How long is waited for a session that can be asked. The only one of its mirror may be stuck in a transfer that
/// another has ended.
const UNASKED: (u32, Duration) = (4, Duration::from_millis(200));

/// How long is waited for the answer.
const UNANSWERED: (u32, Duration) = (6, Duration::from_secs(2));

/// How long is waited for a mirror that is called once more, as all its sessions are lost.
const CALLED: (u32, Duration) = (10, Duration::from_secs(3));

/// Round trips that a session takes for that which has just fetched something, at most: the server notices the cut, behind what
/// it has sent, which may fill a queue as long as the path, and answers.
const CLOSING: u32 = 3;

impl Planner {
    /// Asks the mirrors what they say of the file now that all of it is here.
    pub(super) fn confirm(&mut self, now: Instant) {
        if self.finished_before().is_some() || !self.is_complete() {
            self.complete_since = None;
            return;
        }
        let since = *self.complete_since.get_or_insert(now);
        for at in 0..self.mirrors.len() {
            if let Some(id) = self.session_to_confirm(at) {
                self.ask_again(id, since, now);
            } else {
                self.call_again(at, since, now);
            }
        }
    }

    /// Calls a mirror whose sessions are all lost once more: its file may have been replaced between two transfers.
    fn call_again(&mut self, at: usize, complete: Instant, now: Instant) {
        if self.is_of_one_transfer() || self.is_tried(at) {
            return;
        }
        let asks = |known: &&mut Mirror| known.is_doubtful(complete, false) && known.called_at.is_none();
        if let Some(known) = self.mirrors.get_mut(at).filter(asks) {
            known.called_at = Some(now);
            self.call(at, now);
        }
    }

    /// Has a session that has nothing to do ask, if the end is near.
    pub(super) fn confirm_early(&mut self, id: SessionId, now: Instant) {
        let last = self.running(now).iter().map(|(_, running)| running.time_left()).max().unwrap_or(u64::MAX);
        let left = Duration::from_millis(last);
        if left < RECENT / 2 {
            self.ask_again(id, now + left, now);
        }
    }

    /// Asks the session's mirror, if what it said is too old where everything has come at that time, and nobody is asking.
    fn ask_again(&mut self, id: SessionId, complete: Instant, now: Instant) {
        let Some(at) = self.connections.get(&id).map(|connection| connection.mirror) else { return };
        let asking = |(id, _): (SessionId, Instant)| self.connections.contains_key(&id);
        let one_transfer = self.is_of_one_transfer();
        let asks = |known: &&mut Mirror| {
            known.is_doubtful(complete, one_transfer) && !known.confirming.is_some_and(asking)
        };
        if let Some(known) = self.mirrors.get_mut(at).filter(asks) {
            known.confirming = Some((id, now));
            self.ask_for_facts(id);
        }
    }

    /// Whether a mirror has yet to say that its file is the same.
    pub(super) fn awaits_confirmation(&self) -> bool {
        self.confirmation_due().is_some()
    }

    /// Until when that is waited for.
    pub(super) fn confirmation_due(&self) -> Option<Instant> {
        let since = self.complete_since?;
        let due = |(at, known): (usize, &Mirror)| {
            let ready = |connection: &Connection| connection.mirror == at && connection.is_ready();
            let ready = self.connections.values().any(ready);
            let called = known.called_at.filter(|_| self.is_tried(at));
            let may = known.is_doubtful(since, self.is_of_one_transfer()) && (ready || called.is_some());
            let due = match (called, known.confirming) {
                (Some(called), _) => called + known.span(CALLED),
                (None, Some((_, asked))) => asked + known.span(UNANSWERED),
                (None, None) => since + known.span(UNASKED),
            };
            (may && due > self.now).then_some(due)
        };
        self.mirrors.iter().enumerate().filter_map(due).max()
    }

    /// Whether all that is here came, or comes, in one.
    fn is_of_one_transfer(&self) -> bool {
        self.transfers == 1 && !self.has_earlier()
    }

    /// How long after the last byte of the last transfer from a mirror it has said that its file is the same. No time if another
    /// session than `taker` has nothing to do, as that asks before.
    pub(super) fn closing_time(&self, mirror: usize, taker: Option<SessionId>) -> Duration {
        let idle = |(id, connection): (&SessionId, &Connection)| {
            connection.mirror == mirror && connection.is_free() && !self.is_asking(*id) && Some(*id) != taker
        };
        let asked_before = self.is_of_one_transfer() || self.connections.iter().any(idle);
        let known = self.mirrors.get(mirror).filter(|known| known.facts.is_some() && !asked_before);
        known.map_or(Duration::ZERO, |known| known.round_trip().saturating_mul(CLOSING))
    }

    fn session_to_confirm(&self, mirror: usize) -> Option<SessionId> {
        let free = |(id, connection): &(&SessionId, &Connection)| {
            connection.mirror == mirror && connection.is_free() && !self.is_asking(**id)
        };
        self.connections.iter().find(free).map(|(id, _)| *id)
    }
}

impl Mirror {
    /// Whether bytes of it count, and what it said of the file was said too long before everything had come, or before it
    /// opened the file for the last time.
    fn is_doubtful(&self, complete: Instant, one_transfer: bool) -> bool {
        let counts = self.is_alive() && self.facts.is_some() && !self.fetched.is_empty();
        let opened_since = |said: Instant| !one_transfer && self.started_at.is_some_and(|at| said <= at);
        counts && self.said_at.is_none_or(|said| said + RECENT < complete || opened_since(said))
    }
}
