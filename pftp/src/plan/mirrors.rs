//! Sessions and the mirrors they lead to: opening, failing, giving up.

use super::connection::{Connection, Segment, Stage};
use super::mirror::{Access, Mirror, PathForm, Verdict};
use super::{ADDRESS_HEAD_START, Directive, Planner};
use crate::exit::{Failure, Kind, is_full};
use ftp_proto::{
    Cause, Channel, Command, Error, Facts, Instant, PeerFault, Request, SessionId, Timer, Type, Until, Verb,
};
use std::net::SocketAddr;
use std::time::Duration;

/// How long a connection that the server had no room for stays away.
const FULL_PAUSE: Duration = Duration::from_secs(60);

impl Planner {
    /// Opens a session in every slot that may have one and has none, and one beside a slow address.
    pub(super) fn open_sessions(&mut self, now: Instant) {
        self.open_hedges(now);
        if !self.has_work_for_more() {
            return;
        }
        for at in 0..self.slots.len() {
            let Some(slot) = self.slots.get(at) else { continue };
            if slot.parked || slot.retry_at.is_some() || !slot.sessions.is_empty() {
                continue;
            }
            let mirror = slot.mirror;
            let Some(known) = self.mirrors.get_mut(mirror) else { continue };
            match known.access {
                Access::Open => {}
                Access::Trial => known.access = Access::Probing,
                Access::Suspended { .. } | Access::Probing | Access::Unresolved | Access::Dead => continue,
            }
            if let Some(address) = known.address() {
                self.open(at, mirror, address, now);
            }
        }
    }

    /// Whether another session could be of use: to fetch, or to say what its mirror has.
    fn has_work_for_more(&self) -> bool {
        self.is_disputed() || self.size.is_none_or(|size| !self.done.contains(&(0..size)))
    }

    /// A second address is tried beside the first if that does not answer soon.
    fn open_hedges(&mut self, now: Instant) {
        let due: Vec<(usize, usize)> = self
            .connections
            .values()
            .filter(|connection| self.hedge_due(connection).is_some_and(|due| due <= now))
            .map(|connection| (connection.slot, connection.mirror))
            .collect();
        for (slot, mirror) in due {
            let tried = self.addresses_tried(slot);
            if let Some(address) = self.mirrors.get(mirror).and_then(|mirror| mirror.next_address(&tried)) {
                self.open(slot, mirror, address, now);
            }
        }
    }

    /// When another address is to be tried beside that of `connection`, if at all: it is the last opened of its
    /// slot, no session of the mirror has got through yet, and the slot is the first of the mirror.
    pub(super) fn hedge_due(&self, connection: &Connection) -> Option<Instant> {
        let mirror = self.mirrors.get(connection.mirror)?;
        let first = self.slots.iter().position(|slot| slot.mirror == connection.mirror)?;
        let last = self.slots.get(connection.slot)?.sessions.last()?;
        let latest = self.connections.get(last)?.opened == connection.opened;
        let apart = connection.stage > Stage::Dialling || mirror.greeted || connection.closing;
        if apart || first != connection.slot || !latest {
            return None;
        }
        mirror.next_address(&self.addresses_tried(connection.slot))?;
        Some(connection.opened + ADDRESS_HEAD_START)
    }

    fn addresses_tried(&self, slot: usize) -> Vec<SocketAddr> {
        let sessions = self.slots.get(slot).map(|slot| slot.sessions.as_slice()).unwrap_or_default();
        sessions
            .iter()
            .filter_map(|id| self.connections.get(id))
            .map(|connection| connection.address)
            .collect()
    }

    fn open(&mut self, slot: usize, mirror: usize, address: SocketAddr, now: Instant) {
        let Some(known) = self.mirrors.get(mirror) else { return };
        self.last_session = self.last_session.saturating_add(1);
        let id = SessionId(self.last_session);
        let (config, form, path) = (known.config(), known.form, known.path.clone());
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.sessions.push(id);
        }
        let mut connection = Connection::new(slot, mirror, form, address, now);
        connection.epsv = config.epsv;
        let thread = slot.saturating_add(1);
        self.directives.push_back(Directive::Open { id, thread, peer: address, config });
        match form {
            PathForm::Whole => {
                self.directives.push_back(Directive::Request(
                    id,
                    connection.next_request(),
                    Request::Facts(path),
                ));
                self.connections.insert(id, connection);
                self.start_unsized(id);
            }
            PathForm::Directory => {
                self.change_directory(id, &mut connection);
                self.connections.insert(id, connection);
            }
        }
    }

    /// The first session asks for the whole file in the write that asks for its size.
    pub(super) fn start_unsized(&mut self, id: SessionId) {
        let slot = self.connections.get(&id).map(|connection| connection.slot);
        let taken = self.connections.values().any(|connection| {
            connection.segment.is_some() && !connection.closing && Some(connection.slot) != slot
        });
        if self.size.is_none() && !taken {
            let start = if self.settings.in_order {
                self.done.gaps(0..u64::MAX).iter().next().map_or(0, |gap| gap.start)
            } else {
                0
            };
            self.retrieve(id, start, Until::Eof);
        }
    }

    /// CWD, whose reply is awaited: what follows would otherwise be looked for in the wrong directory.
    pub(super) fn change_directory(&mut self, id: SessionId, connection: &mut Connection) {
        let split = self.mirrors.get(connection.mirror).and_then(Mirror::split_path);
        let Some((directory, _)) = split else { return };
        let request = connection.next_request();
        connection.form = PathForm::Directory;
        connection.placed = false;
        connection.changing = Some(request);
        self.directives.push_back(Directive::Request(id, request, Request::Command(Command::Cwd(directory))));
    }

    /// A session's control connection is up.
    pub(super) fn on_connected(&mut self, id: SessionId, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.stage = Stage::Connected;
        let (slot, address, opened) = (connection.slot, connection.address, connection.opened);
        let Some(mirror) = self.mirrors.get_mut(connection.mirror) else { return };
        mirror.answered(address, now.since(opened));
        let rivals = self.slots.get(slot).map(|slot| slot.sessions.clone()).unwrap_or_default();
        for rival in rivals {
            if rival != id {
                self.close(rival);
            }
        }
    }

    /// A session is logged in: the mirror serves us.
    pub(super) fn on_ready(&mut self, id: SessionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.stage = Stage::Ready;
        if let Some(mirror) = self.mirrors.get_mut(connection.mirror) {
            mirror.greeted = true;
            if mirror.access == Access::Probing {
                mirror.access = Access::Open;
            }
        }
        if let Some(slot) = self.slots.get_mut(connection.slot) {
            slot.parked = false;
        }
    }

    pub(super) fn close(&mut self, id: SessionId) {
        if let Some(connection) = self.connections.get_mut(&id)
            && !std::mem::replace(&mut connection.closing, true)
        {
            self.directives.push_back(Directive::Close(id));
        }
    }

    /// A session has ended, by its own fault or by ours.
    pub(super) fn on_closed(&mut self, id: SessionId, error: &Error, now: Instant) {
        let Some(mut connection) = self.connections.remove(&id) else { return };
        if let Some(segment) = connection.segment.take() {
            self.release(segment);
        }
        let at = connection.slot;
        if let Some(slot) = self.slots.get_mut(at) {
            slot.sessions.retain(|session| *session != id);
            // Another address is still being tried in its place, or it was not wanted any more.
            if connection.closing || !slot.sessions.is_empty() {
                return;
            }
        }
        let Some(mirror) = self.mirrors.get_mut(connection.mirror).filter(|mirror| mirror.is_alive()) else {
            return;
        };
        // Neither counts as a failure, and neither can happen twice to a slot.
        match error {
            Error::OutOfStep(_) => return mirror.set_lock_step(),
            Error::Connection(Channel::Data, _) | Error::Timeout(Timer::DataConnect) if connection.epsv => {
                return mirror.set_plain_passive();
            }
            _ => {}
        }
        let failure = Failure::session(&mirror.server, error);
        let refused_login = matches!(error, Error::Refused { verb: Some(_), reply } if !is_full(reply));
        let lies = matches!(error, Error::Peer(PeerFault::Overrun { .. }));
        let unreachable = matches!(
            error,
            Error::Connection(Channel::Control, Cause::Refused | Cause::Unreachable | Cause::TimedOut)
                | Error::Timeout(Timer::Connect)
        );
        if refused_login || lies || unreachable && !mirror.greeted {
            return self.give_up(connection.mirror, |_| failure);
        }
        if matches!(error, Error::Refused { reply, .. } if is_full(reply)) {
            self.on_full(at, connection.mirror, failure, now);
        } else {
            self.on_failed(at, connection.mirror, failure, now);
        }
    }

    /// The server takes no more sessions. While it has some of ours, that is no failure.
    fn on_full(&mut self, slot: usize, mirror: usize, failure: Failure, now: Instant) {
        let served = self.serves(mirror);
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        if !served {
            return self.on_failed(slot, mirror, failure, now);
        }
        if !std::mem::replace(&mut known.full, true) {
            let server = known.server.clone();
            self.warn(format!("{server} takes no more connections; going on with fewer"));
        }
        if let Some(slot) = self.slots.get_mut(slot) {
            slot.parked = true;
            slot.retry_at = Some(now + FULL_PAUSE);
        }
    }

    fn serves(&self, mirror: usize) -> bool {
        self.connections
            .values()
            .any(|connection| connection.mirror == mirror && connection.stage == Stage::Ready)
    }

    /// An attempt failed in a way that another may not. With other sessions alive it is the slot's trouble,
    /// without any it is the mirror's.
    pub(super) fn on_failed(&mut self, slot: usize, mirror: usize, failure: Failure, now: Instant) {
        let served = self.serves(mirror);
        let retries = self.settings.retries;
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        if served {
            let Some(slot) = self.slots.get_mut(slot) else { return };
            slot.failures = slot.failures.saturating_add(1);
            slot.parked = slot.failures > retries;
            slot.retry_at = (!slot.parked).then(|| now + self.jitter.wait(slot.failures));
            return;
        }
        // Several sessions that fail together are one failed attempt.
        if matches!(known.access, Access::Suspended { .. }) {
            return;
        }
        known.failures = known.failures.saturating_add(1);
        if known.failures > retries {
            return self.give_up(mirror, |_| failure);
        }
        known.failure = Some(failure);
        known.access = Access::Suspended { until: now + self.jitter.wait(known.failures) };
    }

    /// The mirror is of no more use; others take over its connections.
    pub(super) fn give_up(&mut self, mirror: usize, failure: impl FnOnce(&str) -> Failure) {
        let Some(known) = self.mirrors.get_mut(mirror).filter(|known| known.is_alive()) else { return };
        let failure = failure(&known.server);
        known.access = Access::Dead;
        known.failure = Some(failure.clone());
        let alive: Vec<usize> = (0..self.mirrors.len())
            .filter(|at| self.mirrors.get(*at).is_some_and(Mirror::is_alive))
            .collect();
        if !alive.is_empty() {
            self.warn(format!("{failure}; going on without it"));
        }
        let sessions: Vec<SessionId> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.mirror == mirror)
            .map(|(id, _)| *id)
            .collect();
        for id in sessions {
            self.close(id);
        }
        let orphans = self.slots.iter_mut().filter(|slot| slot.mirror == mirror);
        for (slot, heir) in orphans.zip(alive.iter().cycle()) {
            slot.mirror = *heir;
            slot.failures = 0;
            slot.parked = false;
            slot.retry_at = None;
        }
        self.judge();
    }

    /// What a mirror says of the file.
    pub(super) fn on_facts(&mut self, mirror: usize, facts: &Facts) {
        let representation = self.settings.representation;
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        if known.facts.as_ref().is_some_and(|before| Mirror::contradict(before, facts)) {
            let message = format!(
                "{}: {} changed while it was fetched; run the same command again",
                known.server, known.path
            );
            return self.finish(Err(Failure::new(Kind::Integrity, message)));
        }
        if facts.size.is_none() && facts.modify.is_none() {
            return;
        }
        known.facts = Some(facts.clone());
        let others = self.mirrors.iter().enumerate().filter(|(at, _)| *at != mirror);
        let trusted = others
            .filter(|(_, other)| other.verdict == Verdict::Agrees)
            .find_map(|(_, other)| other.facts.clone());
        let differs = trusted.is_some_and(|trusted| Mirror::contradict(&trusted, facts));
        if let Some(known) = self.mirrors.get_mut(mirror) {
            known.verdict = if differs { Verdict::Differs } else { Verdict::Agrees };
        }
        match facts.size {
            Some(size) if !differs && self.size.is_none() && representation == Type::Image => {
                self.sized(size)
            }
            _ => {}
        }
        self.judge();
    }

    /// Whether mirrors have answered differently, and others may still decide between them.
    pub(super) fn is_disputed(&self) -> bool {
        self.mirrors.iter().any(|mirror| mirror.is_alive() && mirror.verdict == Verdict::Differs)
    }

    /// Once all mirrors have answered: a majority for the file that the download began with outvotes the others,
    /// anything else cannot be decided.
    fn judge(&mut self) {
        let alive = || self.mirrors.iter().enumerate().filter(|(_, mirror)| mirror.is_alive());
        let count = |verdict| alive().filter(|(_, mirror)| mirror.verdict == verdict).count();
        let (agree, differ, silent) =
            (count(Verdict::Agrees), count(Verdict::Differs), count(Verdict::Unknown));
        if differ == 0 || silent > 0 && agree <= differ.saturating_add(silent) {
            return;
        }
        let differing: Vec<usize> =
            alive().filter(|(_, mirror)| mirror.verdict == Verdict::Differs).map(|(at, _)| at).collect();
        if agree <= differ {
            let of = |verdict| {
                alive().find(|(_, mirror)| mirror.verdict == verdict).map_or("", |(_, mirror)| &mirror.server)
            };
            let message = format!(
                "{} and {} have different files (size or time), and nothing says which is right; name only one of them",
                of(Verdict::Agrees),
                of(Verdict::Differs)
            );
            return self.finish(Err(Failure::new(Kind::Integrity, message)));
        }
        for at in differing {
            self.give_up(at, |server| {
                Failure::new(
                    Kind::Integrity,
                    format!("{server}: its file differs from that of the other mirrors (size or time)"),
                )
            });
        }
    }

    /// A range that nobody is fetching any more.
    pub(super) fn release(&mut self, segment: Segment) {
        if self.settings.representation == Type::Ascii {
            return;
        }
        let Some(size) = self.size else { return };
        let end = segment.until.end().min(size);
        for gap in self.done.gaps(segment.at.min(end)..end).iter() {
            self.todo.push_front(gap);
        }
    }

    /// The refusal of a command of a session that goes on.
    pub(super) fn on_path_refused(&mut self, id: SessionId, verb: Verb, failure: Failure) {
        let Some(mut connection) = self.connections.remove(&id) else { return };
        let mirror = connection.mirror;
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        // A server that has told the size knows the path.
        let another_form = verb == Verb::Retr
            && connection.form == PathForm::Whole
            && known.facts.is_none()
            && known.split_path().is_some();
        if another_form {
            known.form = PathForm::Directory;
            known.failure = Some(failure);
            self.change_directory(id, &mut connection);
            self.connections.insert(id, connection);
        } else {
            // The refusal of the whole path says what the user asked for.
            let first = known.failure.take().filter(|_| connection.form == PathForm::Directory);
            self.connections.insert(id, connection);
            self.give_up(mirror, |_| first.unwrap_or(failure));
        }
    }
}
