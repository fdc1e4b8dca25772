//! Standby sessions: when the path to a server is saturated, a further session keeps a data connection open and takes over as
//! soon as a running transfer ends.
//!
//! A transfer that has reached the end of its range leaves the path idle for the round trips of the cut and of another data
//! connection, and the first packets of the next transfer are lost if they meet a queue that is still full. A standby session
//! with a data connection takes over when the queue has drained, and the session that was cut is on standby from then on.
//!
//! So each of several servers begins with one connection. The others that the user wants log in and wait until it shows whether
//! the path is saturated: by a late reply once the flow grows no more. A connection that was added, and found the path saturated
//! while it was dialled, stays on standby as well. All connections to a single server are used at once: nobody gains by waiting.

use super::demand::Demand;
use super::path::Span;
use super::session::{Ahead, Pending, Session};
use super::{Outbox, Pool};
use crate::engine::directive::Directive;
use crate::engine::ids::{ServerId, SlotId};
use ftp_proto::{Command, Instant, Request, SessionId};
use std::time::Duration;

/// Whether the path to a server is saturated.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Saturation {
    /// Not known yet.
    Unknown,
    /// So many connections saturate it. A session beside so many is on standby.
    With(usize),
    /// The connections did not saturate it.
    Room,
}

/// The time after which a data connection that was asked for ahead counts as refused.
const UNPREPARED: Duration = Duration::from_secs(2);

/// The share of a round trip after a cut in which its bytes still fill the queue.
const DRAINS: Span = (1, Duration::ZERO);

impl Pool {
    /// Whether the session has nothing to do but to be ready, as others saturate the path to its server.
    pub(in crate::engine) fn is_on_standby(&self, id: SessionId, demand: &Demand, now: Instant) -> bool {
        let session = &self.sessions[id];
        if session.transfer().is_some() {
            return false;
        }
        let Some(saturates) = self.saturated_with(session.server, demand) else { return false };
        let busy = || self.fetching_from(session.server, now);
        // Transfers that have just begun bring less for a moment; later, less means that the path is not saturated any more.
        let begins = || busy().any(|other| !other.delivers() || !other.rate.has_settled(now));
        busy().count() >= saturates && (begins() || !self.servers[session.server].brings_less(now))
    }

    /// The number of connections that saturate the path to the server, as far as is known: one while that has yet to be seen.
    fn saturated_with(&self, server: ServerId, demand: &Demand) -> Option<usize> {
        if !self.has_standby_rule(demand) {
            return None;
        }
        match self.servers[server].growth.saturation {
            Saturation::With(connections) => Some(connections),
            Saturation::Unknown => Some(1),
            Saturation::Room => None,
        }
    }

    /// Whether further connections to a server wait until the first has shown whether it saturates the path: only if several
    /// servers can send parts of files.
    pub(in crate::engine) fn has_standby_rule(&self, demand: &Demand) -> bool {
        let sends = self
            .servers
            .iter()
            .filter(|(id, server)| server.is_usable() && server.restarts && demand.servers[*id].serves);
        sends.count() > 1
    }

    /// The sessions that fetch from the server, less those that are silent or late, votes, and those that are being cut.
    pub(in crate::engine) fn fetching_from(
        &self,
        server: ServerId,
        now: Instant,
    ) -> impl Iterator<Item = &Session> {
        let usual = self.servers[server].path.first_byte_time();
        self.sessions.values().filter(move |session| {
            let running = || session.running(1, usual, now);
            session.server == server
                && running().is_some_and(|running| running.rate > 0 && running.delay <= usual)
        })
    }

    /// Whether the server has a session on standby, or one that is about to be.
    pub(super) fn has_standby(&self, server: ServerId, demand: &Demand, now: Instant) -> bool {
        self.sessions.iter().any(|(id, session)| {
            session.server == server && !session.is_closing() && self.is_on_standby(id, demand, now)
        })
    }

    /// A standby session of the server that waits for no reply that could hold up another.
    pub(super) fn free_standby(&self, server: ServerId, demand: &Demand, now: Instant) -> Option<SessionId> {
        let prepares = |session: &Session| matches!(session.ahead, Ahead::Requested(_, since) if now.since(since) < UNPREPARED);
        let free = |(id, session): &(SessionId, &Session)| {
            session.server == server
                && session.is_free()
                && !prepares(session)
                && self.is_on_standby(*id, demand, now)
        };
        self.sessions.iter().find(free).map(|(id, _)| id)
    }

    /// Notes that the path of the server is saturated by `others`. Returns whether the connection that found it so stays on
    /// standby.
    pub(super) fn keep_on_standby(&mut self, server: ServerId, others: usize, demand: &Demand) -> bool {
        let wanted = self.has_standby_rule(demand);
        if wanted {
            self.servers[server].growth.saturation = Saturation::With(others.max(1));
        }
        wanted
    }

    /// Has a standby session of the server, if there is one, find out whether the path is still saturated. Returns its slot.
    pub(super) fn probe_with_standby(
        &mut self,
        server: ServerId,
        demand: &Demand,
        now: Instant,
        out: &mut Outbox,
    ) -> Option<SlotId> {
        let id = self.free_standby(server, demand, now)?;
        Some(self.probe_rtt(id, now, out))
    }

    /// Whether an rtt probe of the session could measure how long the server takes to reply while nothing comes from it, and no
    /// session has measured that yet.
    pub(in crate::engine) fn wants_rtt_at_rest(&self, id: SessionId) -> bool {
        let server = self.sessions[id].server;
        let probed = |other: &Session| {
            other.server == server && (other.rtt_probe.is_some() || other.awaits_rtt_probe())
        };
        self.servers[server].path.best_flow == 0 && !self.sessions.values().any(probed)
    }

    /// Sends an rtt probe. Returns the session's slot.
    pub(in crate::engine) fn probe_rtt(&mut self, id: SessionId, now: Instant, out: &mut Outbox) -> SlotId {
        let session = &mut self.sessions[id];
        let request = session.expect(Pending::RttProbe(now));
        out.push(Directive::Request(id, request, Request::Command(Command::Noop)));
        session.slot
    }

    /// Until when an idle session waits for the queue to drain: the bytes that a transfer had under way when it was cut still
    /// fill the queue, and the first packets of the next transfer would be lost in it.
    pub(in crate::engine) fn drains_until(
        &self,
        id: SessionId,
        demand: &Demand,
        now: Instant,
    ) -> Option<Instant> {
        let server = self.sessions[id].server;
        self.saturated_with(server, demand)?;
        let path = &self.servers[server].path;
        // The server has noticed the cut after half a round trip.
        let until = path.cut_at? + path.span(DRAINS) / 2;
        (until > now).then_some(until)
    }

    /// The reply to an rtt probe, sent at `since`, has come.
    pub(in crate::engine) fn rtt_probed(&mut self, id: SessionId, since: Instant, now: Instant) {
        let took = now.since(since);
        let session = &mut self.sessions[id];
        session.rtt_probe = Some(took);
        self.servers[session.server].path.replied_in(took);
    }
}
