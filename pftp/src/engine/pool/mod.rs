//! Servers and the sessions with them: addresses, dialling, failures, session limits, and the number of connections.
//!
//! The pool outlives files and knows none: the files tell it their [demand](demand::Demand), and a session's task carries the
//! identifier of its file for those who gave it.

pub(super) mod demand;
mod growth;
pub(super) mod path;
mod rate;
mod refresh;
pub(super) mod remedy;
pub(super) mod running;
pub(super) mod server;
pub(super) mod session;
mod sessions;
pub(super) mod slot;
mod standby;
mod trial;

use super::Outbox;
use super::directive::{Directive, ServerSettings, Settings};
use super::ids::{Arena, ServerId, SlotId};
use super::jitter::Jitter;
use demand::Demand;
use ftp_proto::{Instant, SessionId};
use server::{Access, Server};
use session::{Session, Stage};
use sessions::Sessions;
use slot::{Slot, SlotState, allot};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// The head start of the first address of a name before the next one is tried beside it (RFC 8305 §5).
const ADDRESS_HEAD_START: Duration = Duration::from_millis(250);

/// How long a connection stays away that the server had no room for.
const LIMIT_PAUSE: Duration = Duration::from_secs(60);

/// The attempt whose jitter is added to that pause: the fourth, of two to four seconds.
const LIMIT_JITTER: u32 = 4;

/// While others use its connection, a server is tried again after so many times the duration of the last attempt.
const PROBE_SHARE: u32 = 4;

/// The servers, the connections of the job, and the sessions in them.
#[derive(Debug)]
pub(super) struct Pool {
    pub(super) servers: Arena<ServerId, Server>,
    pub(super) slots: Arena<SlotId, Slot>,
    pub(super) sessions: Sessions,
    last_session: u64,
    pub(super) jitter: Jitter,
    settings: Settings,
}

impl Pool {
    /// A pool without servers.
    pub(super) fn new(settings: Settings) -> Self {
        Self {
            servers: Arena::new(),
            slots: Arena::new(),
            sessions: Sessions::default(),
            last_session: 0,
            jitter: Jitter::new(settings.seed),
            settings,
        }
    }

    /// Adds a server, and allots the connections anew that have not been used yet.
    pub(super) fn add_server(&mut self, settings: ServerSettings) -> ServerId {
        let id = self.servers.push(Server::new(settings));
        let asked: Vec<usize> = self.servers.values().map(|server| server.connections).collect();
        for (at, server) in allot(&asked, self.settings.begin_with.get()).into_iter().enumerate() {
            let slot = SlotId(at);
            if at >= self.slots.len() {
                self.slots.push(Slot::new(server));
            } else if self.slots[slot].sessions.is_empty() && self.slots[slot].state == SlotState::Open {
                self.slots[slot] = Slot::new(server);
            }
        }
        id
    }

    /// Closes a session.
    pub(super) fn close(&mut self, id: SessionId, out: &mut Outbox) {
        if let Some(session) = self.sessions.get_mut(id)
            && !session.is_closing()
        {
            session.stage = Stage::Closing;
            out.push(Directive::Close(id));
        }
    }

    /// Closes all sessions with a server.
    pub(super) fn close_all(&mut self, server: ServerId, out: &mut Outbox) {
        for id in self.sessions.with(|session| session.server == server) {
            self.close(id, out);
        }
    }

    /// Opens a session in a slot.
    pub(super) fn open(
        &mut self,
        id: SlotId,
        address: SocketAddr,
        now: Instant,
        out: &mut Outbox,
    ) -> SessionId {
        let slot = &mut self.slots[id];
        self.last_session = self.last_session.saturating_add(1);
        let session = SessionId(self.last_session);
        let config = self.servers[slot.server].config();
        slot.sessions.push(session);
        self.sessions.insert(session, Session::new(id, slot.server, address, Arc::clone(&config), now));
        let connection = id.0.saturating_add(1);
        out.push(Directive::Open { id: session, connection, address, config });
        session
    }

    /// The address to dial for a slot that may get a session and has none.
    pub(super) fn vacancy(&mut self, id: SlotId, has_urgent_work: bool) -> Option<SocketAddr> {
        let server = self.slots[id].server;
        let tried = self.is_tried(server);
        let slot = &mut self.slots[id];
        match slot.state {
            SlotState::Spare if has_urgent_work => slot.state = SlotState::Open,
            // It waits for another session of its server, and would do so for ever if all of them were closed.
            SlotState::Parked { until: None } if !tried => slot.state = SlotState::Open,
            _ => {}
        }
        let is_vacant = slot.state == SlotState::Open && slot.sessions.is_empty();
        let server = &mut self.servers[server];
        if is_vacant && server.is_usable() { server.dial() } else { None }
    }

    /// A slot of a server that has no session, and the address to dial, whatever the slot was to wait for.
    pub(super) fn vacancy_of(&mut self, server: ServerId) -> Option<(SlotId, SocketAddr)> {
        let vacant = |slot: &Slot| slot.server == server && !slot.is_withdrawn() && slot.sessions.is_empty();
        let id = self.slots.iter().find(|(_, slot)| vacant(slot)).map(|(id, _)| id)?;
        let address = self.servers[server].dial()?;
        self.slots[id] = Slot::new(server);
        Some((id, address))
    }

    /// The slots in which a second address is to be tried beside the first, which has not answered soon.
    pub(super) fn hedges_due(&self, now: Instant) -> Vec<SlotId> {
        let due = |session: &&Session| self.hedge_due(session).is_some_and(|due| due <= now);
        self.sessions.values().filter(due).map(|session| session.slot).collect()
    }

    /// The address to try beside those that the sessions of a slot try.
    pub(super) fn next_address(&self, slot: SlotId) -> Option<SocketAddr> {
        let slot = &self.slots[slot];
        let tried: Vec<SocketAddr> = slot
            .sessions
            .iter()
            .filter_map(|id| self.sessions.get(*id))
            .map(|session| session.address)
            .collect();
        self.servers[slot.server].addresses.next(&tried)
    }

    /// When another address is to be tried beside that of `session`: it is the last that was opened in its slot, no session of
    /// the server has got through yet, and the slot is the first of the server.
    fn hedge_due(&self, session: &Session) -> Option<Instant> {
        let server = &self.servers[session.server];
        let first = |slot: &Slot| slot.server == session.server && !slot.is_withdrawn();
        let first = self.slots.iter().find(|(_, slot)| first(slot)).map(|(id, _)| id)?;
        let last = self.slots[session.slot].sessions.last()?;
        let is_last = self.sessions.get(*last)?.opened == session.opened;
        let apart = session.stage != Stage::Dialling || server.logged_in;
        // The slot may have become the first while another one tries addresses, or has yet to end those sessions.
        let same =
            |id: &SessionId| self.sessions.get(*id).is_some_and(|other| other.server == session.server);
        let tried = self.slots.iter().any(|(id, slot)| {
            id != session.slot && slot.sessions.len() > 1 && slot.sessions.iter().any(same)
        });
        if apart || tried || first != session.slot || !is_last {
            return None;
        }
        self.next_address(session.slot)?;
        Some(session.opened + ADDRESS_HEAD_START)
    }

    /// The control connection of a session is established.
    pub(super) fn connected(&mut self, id: SessionId, now: Instant, out: &mut Outbox) {
        let session = &mut self.sessions[id];
        session.stage = Stage::Connected;
        let took = now.since(session.opened);
        session.connected_in = Some(took);
        let (slot, server, address) = (session.slot, session.server, session.address);
        self.servers[server].connected(address, took);
        // The other sessions of the slot have lost, and those that dial another address of the server would lose.
        let lost = |(other, session): &(SessionId, &Session)| {
            let elsewhere =
                session.server == server && session.stage == Stage::Dialling && session.address != address;
            *other != id && (session.slot == slot || elsewhere)
        };
        let losers: Vec<SessionId> = self.sessions.iter().filter(lost).map(|(id, _)| id).collect();
        for loser in losers {
            self.close(loser, out);
        }
    }

    /// A session is logged in. Returns whether the server's session limit must be told: sessions were turned away before one
    /// got through.
    pub(super) fn logged_in(&mut self, id: SessionId, now: Instant) -> bool {
        let session = &mut self.sessions[id];
        session.stage = Stage::Ready;
        let server = session.server;
        if self.slots[session.slot].is_parked() {
            self.slots[session.slot].state = SlotState::Open;
        }
        let known = &mut self.servers[server];
        if known.access == Access::Probing {
            known.access = Access::Open;
        }
        if std::mem::replace(&mut known.logged_in, true) || !known.is_at_limit {
            return false;
        }
        let until = Some(now + self.limit_pause());
        for slot in self.slots.values_mut().filter(|slot| slot.server == server && slot.is_parked()) {
            slot.state = SlotState::Parked { until };
        }
        true
    }

    /// Whether a session of the server lives, or may yet come to.
    pub(super) fn is_tried(&self, server: ServerId) -> bool {
        self.sessions.values().any(|session| session.server == server && !session.is_closing())
    }

    /// Whether a session of the server has got through to this address.
    pub(super) fn is_reached_at(&self, server: ServerId, address: SocketAddr) -> bool {
        let reached = |session: &Session| {
            session.server == server && session.address == address && session.is_connected()
        };
        self.sessions.values().any(reached)
    }

    /// The server takes no more sessions, in whatever way it says so. While it has a session, that is no failure. Returns
    /// whether the user is to be told of the session limit.
    pub(super) fn turned_away(&mut self, session: &Session, now: Instant) -> bool {
        let known = &mut self.servers[session.server];
        // Until one session has got through it may be that none does, which is another matter.
        let logged_in = known.logged_in;
        let tell = !std::mem::replace(&mut known.is_at_limit, true) && logged_in;
        let until = now + self.limit_pause();
        self.slots[session.slot].state = SlotState::Parked { until: logged_in.then_some(until) };
        tell
    }

    /// How long a connection stays away that the server had no room for.
    fn limit_pause(&mut self) -> Duration {
        LIMIT_PAUSE.saturating_add(self.jitter.wait(LIMIT_JITTER))
    }

    /// A session broke while others of its server live. Returns whether more than `retries` attempts have failed.
    pub(super) fn connection_failed(&mut self, session: &Session, retries: u32, now: Instant) -> bool {
        let known = &mut self.servers[session.server];
        if known.count_failure(session.began(), &mut self.jitter, now) > retries {
            return true;
        }
        let slot = &mut self.slots[session.slot];
        slot.failures = slot.failures.saturating_add(1);
        slot.state = if slot.failures > retries {
            SlotState::Parked { until: None }
        } else {
            SlotState::BackOff { until: now + self.jitter.wait(slot.failures) }
        };
        false
    }

    /// The last session of its server broke: after a while one session may try again. Returns whether more than `retries`
    /// attempts have failed.
    pub(super) fn suspend(&mut self, session: &Session, retries: u32, demand: &Demand, now: Instant) -> bool {
        let server = session.server;
        let has_candidates = self.candidates(demand).iter().any(|other| *other != server);
        let known = &mut self.servers[server];
        if known.count_failure(session.began(), &mut self.jitter, now) > retries {
            return true;
        }
        // The first wait is over before a session elsewhere would be dialled.
        let lends =
            demand.has_work && has_candidates && (known.failures > 1 || !demand.servers[server].holds_bytes);
        let mut wait = self.jitter.wait(known.failures);
        if lends && session.stage < Stage::Ready {
            // The connection that tries serves others most of the time.
            wait = wait.max(now.since(session.opened).saturating_mul(PROBE_SHARE));
        }
        known.access = Access::Suspended { until: now + wait };
        // Parked connections of the server wait for the session that tries, too.
        for slot in self.slots.values_mut().filter(|slot| slot.server == server) {
            if matches!(slot.state, SlotState::Parked { .. } | SlotState::BackOff { .. }) {
                slot.state = SlotState::Open;
            }
        }
        if lends {
            self.reassign_idle(server, demand);
        }
        false
    }

    /// Lifts the waits that have ended.
    pub(super) fn expire(&mut self, now: Instant) {
        for slot in self.slots.values_mut().filter(|slot| slot.retry_at().is_some_and(|at| at <= now)) {
            slot.state = SlotState::Open;
        }
        for server in self.servers.values_mut() {
            server.end_suspension(now);
        }
        for session in self.sessions.values_mut() {
            session.rests_until.take_if(|until| *until <= now);
        }
    }

    /// Lets one connection at a time ask a server again that had no room for it: the others wait from then on.
    pub(super) fn probe_limits(&mut self, now: Instant) {
        for server in self.servers.ids() {
            let waits = |slot: &Slot| {
                let until = slot.retry_at().filter(|_| slot.is_parked());
                until.filter(|_| slot.server == server)
            };
            let due = |slot: &Slot| waits(slot).is_some_and(|until| until <= now);
            let Some((probing, _)) = self.slots.iter().find(|(_, slot)| due(slot)) else { continue };
            let until = Some(now + self.limit_pause());
            for id in self.slots.ids().filter(|id| *id != probing) {
                if waits(&self.slots[id]).is_some() {
                    self.slots[id].state = SlotState::Parked { until };
                }
            }
        }
    }

    /// When a wait ends, or an outcome is due.
    pub(super) fn poll_timeout(&self, now: Instant) -> impl Iterator<Item = Instant> {
        let slots = self.slots.values().filter_map(Slot::retry_at);
        let servers = self.servers.values().filter_map(Server::suspended_until);
        let rests = self.sessions.values().filter_map(|session| session.rests_until);
        let hedges = self.sessions.values().filter_map(|session| self.hedge_due(session));
        let trials = self.servers.values().filter_map(|server| server.growth.trial_due());
        slots.chain(servers).chain(rests).chain(hedges).chain(trials).chain(self.probing_due(now))
    }
}
