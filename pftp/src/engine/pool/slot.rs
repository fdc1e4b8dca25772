//! The connections of the job: each belongs to one server, and may be reassigned to another that has more use for it.

use super::demand::Demand;
use super::server::{Access, Server};
use super::{Outbox, Pool};
use crate::engine::ids::{ServerId, SlotId};
use ftp_proto::{Instant, SessionId};
use std::time::Duration;

/// How long a session may take to show whether its server is back, before the other connections of the server are lent.
const LONG_PROBE: (u32, Duration) = (10, Duration::from_secs(2));

/// Whether a slot may get a session.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::engine) enum SlotState {
    /// It may.
    Open,
    /// Not before then: its last session failed.
    BackOff { until: Instant },
    /// The server had no room for it, or its attempts are used up: not before then, or while another session of the server lives.
    Parked { until: Option<Instant> },
    /// The server ended its session, which was idle: not before there is work for it.
    Spare,
    /// The connection did not pay: not any more.
    Withdrawn,
}

/// A connection of the job. Sessions come and go in it.
#[derive(Debug)]
pub(in crate::engine) struct Slot {
    pub(in crate::engine) server: ServerId,
    /// The server that it was made for.
    home: ServerId,
    /// Its sessions: one, or several while addresses are tried side by side.
    pub(in crate::engine) sessions: Vec<SessionId>,
    pub(in crate::engine) state: SlotState,
    /// Failures in a row.
    pub(in crate::engine) failures: u32,
}

impl Slot {
    /// A slot for a session with `server`.
    pub(super) const fn new(server: ServerId) -> Self {
        Self { server, home: server, sessions: Vec::new(), state: SlotState::Open, failures: 0 }
    }

    /// Until when it may get no session.
    pub(super) const fn retry_at(&self) -> Option<Instant> {
        match self.state {
            SlotState::BackOff { until } => Some(until),
            SlotState::Parked { until } => until,
            SlotState::Open | SlotState::Spare | SlotState::Withdrawn => None,
        }
    }

    pub(super) const fn is_parked(&self) -> bool {
        matches!(self.state, SlotState::Parked { .. })
    }

    pub(super) const fn is_withdrawn(&self) -> bool {
        matches!(self.state, SlotState::Withdrawn)
    }
}

impl Pool {
    /// The number of connections that the server has.
    pub(in crate::engine) fn slots_of(&self, server: ServerId) -> usize {
        self.slots.values().filter(|slot| slot.server == server && !slot.is_withdrawn()).count()
    }

    /// Gives each of these servers a connection of another one, if it has none. If there are too few connections, the rest
    /// have their turn when the first have answered.
    pub(in crate::engine) fn connect_servers(
        &mut self,
        servers: &[ServerId],
        demand: &Demand,
        out: &mut Outbox,
    ) {
        for server in servers {
            self.connect_server(*server, demand, out);
        }
    }

    fn connect_server(&mut self, server: ServerId, demand: &Demand, out: &mut Outbox) {
        // A server that may not be dialled yet has no use for a connection before that.
        if self.is_cut_off(server) || self.slots_of(server) > 0 {
            return;
        }
        let last = |wanted: &dyn Fn(&Slot) -> bool| {
            let found = self.slots.iter().rfind(|(_, slot)| self.can_be_spared(slot, demand) && wanted(slot));
            found.map(|(id, _)| id)
        };
        let useless = last(&|slot| demand.servers[slot.server].differs);
        let idle = || last(&|slot| !self.works(slot));
        let heard = || last(&|slot| !demand.servers[slot.server].is_unheard);
        if let Some(slot) = useless.or_else(idle).or_else(heard) {
            self.reassign(slot, server, out);
        }
    }

    /// Whether the server may not be dialled now.
    fn is_cut_off(&self, server: ServerId) -> bool {
        self.servers[server].suspended_until().is_some()
    }

    /// Whether no file waits for an answer over this connection.
    fn can_be_spared(&self, slot: &Slot, demand: &Demand) -> bool {
        let busy = |id: &SessionId| {
            self.sessions.get(*id).is_some_and(|session| {
                session.is_looking_up() || session.transfer().is_some_and(|transfer| transfer.is_vote())
            })
        };
        !demand.servers[slot.server].is_awaited && !slot.sessions.iter().any(busy)
    }

    /// Whether the connection fetches, or is on trial.
    fn works(&self, slot: &Slot) -> bool {
        slot.sessions.iter().filter_map(|id| self.sessions.get(*id)).any(|session| {
            session.transfer().is_some() || !session.is_closing() && self.is_on_trial(session.slot)
        })
    }

    /// Gives a connection to another server.
    fn reassign(&mut self, id: SlotId, server: ServerId, out: &mut Outbox) {
        let slot = &mut self.slots[id];
        let sessions = slot.sessions.clone();
        *slot = Slot { sessions: sessions.clone(), home: slot.home, ..Slot::new(server) };
        for session in sessions {
            self.close(session, out);
        }
    }

    /// The number of connections that begin to fetch as soon as they can.
    pub(in crate::engine) fn slots_to_begin(&self, demand: &Demand) -> usize {
        let of = |server: ServerId| {
            let slots = self.slots_of(server);
            if self.has_standby_rule(demand) { slots.min(1) } else { slots }
        };
        self.servers.ids().map(of).sum()
    }

    /// Gives one of their connections back to servers that may be tried again and have none. The server that has it keeps
    /// another one, unless that server cannot be dialled itself.
    pub(in crate::engine) fn call_back(&mut self, demand: &Demand, now: Instant, out: &mut Outbox) {
        for server in self.servers.ids() {
            let known = &self.servers[server];
            let wanted = known.access == Access::Trial && known.restarts && !demand.servers[server].differs;
            if !wanted || self.slots_of(server) > 0 || !self.has_much_left(server, demand, now) {
                continue;
            }
            // No transfer is broken off again and again for a server that has never delivered anything.
            let promising = demand.servers[server].holds_bytes || known.failures <= 2;
            let lent = |slot: &Slot| {
                let keeps = self.slots_of(slot.server) > 1 || self.is_cut_off(slot.server);
                slot.home == server && !slot.is_withdrawn() && keeps && self.can_be_spared(slot, demand)
            };
            let first = |wanted: &dyn Fn(&Slot) -> bool| {
                self.slots.iter().find(|(_, slot)| wanted(slot)).map(|(id, _)| id)
            };
            let idle = first(&|slot| lent(slot) && !self.works(slot));
            let busy = || first(&lent).filter(|_| promising);
            if let Some(slot) = idle.or_else(busy) {
                self.reassign(slot, server, out);
            }
        }
    }

    /// Lends connections that stand still while one session tries whether their server is back, if that takes long. The only
    /// connection of a job is lent itself.
    pub(in crate::engine) fn reassign_meanwhile(&mut self, demand: &Demand, now: Instant, out: &mut Outbox) {
        let late: Vec<(ServerId, SlotId)> =
            self.probing().filter(|(due, ..)| *due <= now).map(|(_, server, slot)| (server, slot)).collect();
        for (server, slot) in late {
            self.reassign_idle(server, demand);
            // A server that the files wait for keeps the only connection, or two would take it from each other for ever.
            let lends = self.slots.len() == 1 && !demand.servers[server].is_awaited;
            if let Some(other) = self.candidates(demand).first().filter(|_| lends) {
                self.reassign(slot, *other, out);
            }
        }
    }

    /// When a session has taken long to show whether its server is back.
    pub(super) fn probing_due(&self, now: Instant) -> impl Iterator<Item = Instant> {
        self.probing().map(|(due, ..)| due).filter(move |due| *due > now)
    }

    /// The sessions that show whether their server is back: when they have taken long, their servers and slots.
    fn probing(&self) -> impl Iterator<Item = (Instant, ServerId, SlotId)> {
        self.sessions.values().filter_map(|session| {
            let server = &self.servers[session.server];
            let probes = server.access == Access::Probing && !session.is_closing();
            let due = session.opened + server.path.span(LONG_PROBE);
            probes.then_some((due, session.server, session.slot))
        })
    }

    /// A server that understands REST and has no connection, if the session may leave its connection to it.
    pub(in crate::engine) fn restarting_vacancy(&self, id: SessionId, demand: &Demand) -> Option<ServerId> {
        let slot = &self.slots[self.sessions[id].slot];
        // The session may be there only to be heard, and the other server without a connection because it may not fetch: the
        // two would take it from each other for ever.
        if demand.servers[slot.server].is_awaited {
            return None;
        }
        let able = |server: &ServerId| {
            let known = &self.servers[*server];
            known.is_usable() && known.restarts && !demand.servers[*server].differs
        };
        self.servers.ids().find(|server| able(server) && self.slots_of(*server) == 0)
    }

    /// Gives the connection of a session to another server.
    pub(in crate::engine) fn move_to(&mut self, id: SessionId, server: ServerId, out: &mut Outbox) {
        let slot = self.sessions[id].slot;
        self.slots[slot].server = server;
        self.close(id, out);
    }

    /// Lends the connections of a server that is left alone for a while to candidates. Connections that were added stay: they
    /// are of use only where they pay, and a server that grows may take them.
    pub(super) fn reassign_idle(&mut self, server: ServerId, demand: &Demand) {
        let candidates = self.candidates(demand);
        let mut candidates = candidates.iter().cycle();
        let given = self.settings.begin_with.get();
        let idle = |slot: &&mut Slot| slot.server == server && slot.sessions.is_empty();
        for slot in self.slots.values_mut().take(given).filter(idle) {
            slot.server = candidates.next().copied().unwrap_or(server);
        }
    }

    /// The servers that have a use for more connections.
    pub(super) fn candidates(&self, demand: &Demand) -> Vec<ServerId> {
        self.by_slots(demand, |server, known| {
            known.access == Access::Open
                && known.users > 0
                && !known.is_at_limit
                && !demand.servers[server].differs
        })
    }

    /// Reassigns the connections of a server that is of no more use to servers that have room, or else to any: these
    /// connections wait. Connections that were added end; more are added elsewhere where that pays.
    pub(in crate::engine) fn reassign_all(&mut self, server: ServerId, demand: &Demand, now: Instant) {
        let mut candidates = self.by_slots(demand, |_, known| known.is_usable() && !known.is_at_limit);
        if candidates.is_empty() {
            candidates = self.by_slots(demand, |_, known| known.is_usable());
        }
        let mut candidates = candidates.into_iter().cycle();
        let left: Vec<SlotId> =
            self.slots.iter().filter(|(_, slot)| slot.server == server).map(|(id, _)| id).collect();
        for id in left {
            let given = id.0 < self.settings.begin_with.get();
            let candidate = if given { candidates.next() } else { None };
            let waits = candidate.is_some_and(|candidate| self.has_no_room(candidate));
            let until = waits.then(|| now + self.limit_pause());
            let slot = &mut self.slots[id];
            if let Some(candidate) = candidate {
                (slot.server, slot.home, slot.failures) = (candidate, candidate, 0);
                if !slot.is_withdrawn() {
                    let kept =
                        if slot.state == SlotState::Spare { SlotState::Spare } else { SlotState::Open };
                    slot.state = if waits { SlotState::Parked { until } } else { kept };
                }
            } else if !given {
                slot.state = SlotState::Withdrawn;
            }
        }
    }

    /// Whether the server has sessions and lets no more in.
    fn has_no_room(&self, server: ServerId) -> bool {
        self.is_tried(server) && self.servers[server].is_at_limit
    }

    /// The servers that `which` picks: those with the fewest connections first, those with another file last.
    fn by_slots(&self, demand: &Demand, which: impl Fn(ServerId, &Server) -> bool) -> Vec<ServerId> {
        let picked = self.servers.iter().filter(|(id, server)| which(*id, server)).map(|(id, _)| id);
        let mut servers: Vec<ServerId> = picked.collect();
        servers.sort_by_key(|server| (demand.servers[*server].differs, self.slots_of(*server)));
        servers
    }
}

/// The server of each of `wanted` connections: first one for each server, then as many as each asked for, then in turn.
pub(super) fn allot(asked: &[usize], wanted: usize) -> Vec<ServerId> {
    let most = asked.iter().copied().max().unwrap_or(1).max(1);
    let named = (0..most).flat_map(|round| {
        asked.iter().enumerate().filter(move |(_, asked)| round < **asked).map(|(server, _)| server)
    });
    let in_turn = (0..asked.len()).cycle();
    let wanted = if asked.is_empty() { 0 } else { wanted };
    named.chain(in_turn).take(wanted).map(ServerId).collect()
}
