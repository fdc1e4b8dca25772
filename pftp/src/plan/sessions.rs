//! Sessions and the mirrors they lead to: opening, failing, giving up.

use super::connection::{Connection, Stage};
use super::mirror::{Access, Mirror, PathForm, Verdict};
use super::session_limit::{is_session_limit, is_socket_shortage};
use super::{ADDRESS_HEAD_START, Directive, MirrorFault, Notice, Planner, Slot};
use ftp_proto::{Cause, Channel, Command, Instant, PeerFault, Request, SessionError, SessionId, Timer, Verb};
use std::net::SocketAddr;
use std::time::Duration;

/// How long a connection that the server had no room for stays away.
const FULL_PAUSE: Duration = Duration::from_secs(60);

/// Which wait between attempts is added to that, at random: the fourth, of two to four seconds.
const FULL_JITTER: u32 = 4;

/// How many times as long as an attempt took the next is waited for, where others have the connection meanwhile.
const PROBE_SHARE: u32 = 4;

impl Planner {
    /// Opens a session in every slot that may have one and has none, and one beside a slow address.
    pub(super) fn open_sessions(&mut self, now: Instant) {
        let wanted = self.has_work_for_more();
        if wanted {
            self.lend_meanwhile(now);
            self.call_back(now);
        }
        // After that: the first connection of a mirror, which tries its addresses, may be another one now.
        self.open_hedges(now);
        if !wanted {
            return;
        }
        for at in 0..self.slots.len() {
            let needed = self.needs_spare();
            let tried = self.slots.get(at).is_some_and(|slot| self.is_tried(slot.mirror));
            let Some(slot) = self.slots.get_mut(at) else { continue };
            slot.spare &= !needed;
            // What waits for another session of its mirror would do so for ever if all those were closed.
            slot.parked &= tried || slot.retry_at.is_some();
            if slot.withdrawn
                || slot.parked
                || slot.spare
                || slot.retry_at.is_some()
                || !slot.sessions.is_empty()
            {
                continue;
            }
            let mirror = slot.mirror;
            if let Some(address) = self.may_dial(mirror) {
                self.open(at, mirror, address, now);
            }
        }
    }

    /// The address to dial, if a session may be opened to the mirror now. It is to be opened then.
    pub(super) fn may_dial(&mut self, mirror: usize) -> Option<SocketAddr> {
        let known = self.mirrors.get_mut(mirror)?;
        match known.access {
            Access::Open => {}
            Access::Trial => known.access = Access::Probing,
            Access::Suspended { .. } | Access::Probing | Access::Unresolved | Access::Dead => return None,
        }
        known.address()
    }

    /// Whether another session could be of use: to fetch, or to say what its mirror has.
    pub(super) fn has_work_for_more(&self) -> bool {
        if self.is_here_already() {
            return false;
        }
        self.is_undecided()
            || (0..self.mirrors.len()).any(|at| self.has_outgrown(at))
            || self.size.is_none_or(|size| !self.done.contains(&(0..size)))
            || self.wants_end()
    }

    /// Whether there is something to do for a session at once: what nobody fetches, or what a mirror is to say.
    fn needs_spare(&self) -> bool {
        let busy = |connection: &Connection| connection.segment.is_some() || connection.stage < Stage::Ready;
        self.is_undecided()
            || !self.todo.is_empty()
            || !self.connections.values().any(|connection| busy(connection) && !connection.closing)
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
        let first = |slot: &Slot| slot.mirror == connection.mirror && !slot.withdrawn;
        let first = self.slots.iter().position(first)?;
        let last = self.slots.get(connection.slot)?.sessions.last()?;
        let latest = self.connections.get(last)?.opened == connection.opened;
        let apart = connection.stage > Stage::Dialling || mirror.greeted || connection.closing;
        // The slot may have become the first while another tries addresses, or is yet to end what it has tried.
        let same =
            |id: &SessionId| self.connections.get(id).is_some_and(|other| other.mirror == connection.mirror);
        let tried = self.slots.iter().enumerate().any(|(at, slot)| {
            at != connection.slot && slot.sessions.len() > 1 && slot.sessions.iter().any(same)
        });
        if apart || tried || first != connection.slot || !latest {
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

    pub(super) fn open(&mut self, slot: usize, mirror: usize, address: SocketAddr, now: Instant) {
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
                // Of several mirrors the one that is reached first begins, in whichever order their names were found.
                if self.mirrors.len() == 1 {
                    self.start_unsized(id);
                }
                if self.is_on_trial(slot) {
                    self.take_over(id, now);
                }
            }
            PathForm::Directory => {
                self.connections.insert(id, connection);
                self.change_directory(id);
            }
        }
    }

    /// CWD, whose reply is awaited: what follows would otherwise be looked for in the wrong directory.
    pub(super) fn change_directory(&mut self, id: SessionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
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
        let dialling = |connection: &&mut Connection| connection.stage == Stage::Dialling;
        let Some(connection) = self.connections.get_mut(&id).filter(dialling) else { return };
        connection.stage = Stage::Connected;
        connection.dialled_in = Some(now.since(connection.opened));
        let (slot, address, opened) = (connection.slot, connection.address, connection.opened);
        let mirror_of = connection.mirror;
        let Some(mirror) = self.mirrors.get_mut(mirror_of) else { return };
        mirror.answered(address, now.since(opened));
        mirror.reached = true;
        // The others of its slot have lost, and those of the mirror that dial another address would lose.
        let lost = |other: &Connection| {
            other.slot == slot
                || other.mirror == mirror_of && other.stage == Stage::Dialling && other.address != address
        };
        let losers: Vec<SessionId> = self
            .connections
            .iter()
            .filter(|(other, connection)| **other != id && lost(connection))
            .map(|(id, _)| *id)
            .collect();
        for loser in losers {
            self.close(loser);
        }
        if self.connections.get(&id).is_some_and(|known| known.placed && known.segment.is_none()) {
            self.start_unsized(id);
        }
    }

    /// A session is logged in: the mirror serves us.
    pub(super) fn on_ready(&mut self, id: SessionId, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.stage = Stage::Ready;
        let mirror_of = connection.mirror;
        if let Some(slot) = self.slots.get_mut(connection.slot) {
            slot.parked = false;
        }
        let Some(mirror) = self.mirrors.get_mut(mirror_of) else { return };
        if mirror.access == Access::Probing {
            mirror.access = Access::Open;
        }
        if !std::mem::replace(&mut mirror.greeted, true) && mirror.full {
            self.warn_of_full(mirror_of);
            let pause = self.full_pause();
            let parked = |slot: &&mut Slot| slot.mirror == mirror_of && slot.parked;
            for slot in self.slots.iter_mut().filter(parked) {
                slot.retry_at = Some(now + pause);
            }
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
    pub(super) fn on_closed(&mut self, id: SessionId, error: &SessionError, now: Instant) {
        let Some(mut connection) = self.connections.remove(&id) else { return };
        let asking = self.interrupt_search(id, now);
        // One that has yet to say which file its mirror has is asked for that.
        let heard =
            self.mirrors.get(connection.mirror).is_some_and(|known| known.verdict != Verdict::Unknown);
        let idle = connection.stage == Stage::Ready
            && heard
            && !asking
            && connection.segment.is_none()
            && connection.changing.is_none()
            && connection.checking.is_none();
        if let Some(segment) = connection.segment.take() {
            self.release(segment);
        }
        let replaced = self.slots.get_mut(connection.slot).is_some_and(|slot| {
            slot.sessions.retain(|session| *session != id);
            !slot.sessions.is_empty()
        });
        let reachable = self.is_reached_at(connection.mirror, connection.address);
        let Some(mirror) = self.mirrors.get_mut(connection.mirror).filter(|mirror| mirror.is_alive()) else {
            return;
        };
        if mirror.access == Access::Probing && !replaced {
            mirror.access = Access::Trial;
        }
        if connection.closing {
            return;
        }
        if idle && matches!(error, SessionError::Refused { verb: None, reply } if reply.code().get() == 421) {
            if let Some(slot) = self.slots.get_mut(connection.slot) {
                slot.spare = true;
            }
            return;
        }
        let another = is_unreachable(error) && !mirror.greeted && !reachable;
        if another && mirror.passes_over(connection.address) || replaced {
            return;
        }
        self.on_broken(&connection, asking, error, now);
    }

    /// Whether a session of the mirror has got through to this address: whoever does not is one too many for the server.
    fn is_reached_at(&self, mirror: usize, address: SocketAddr) -> bool {
        let reached = |it: &Connection| {
            it.mirror == mirror && it.address == address && it.stage > Stage::Dialling && !it.closing
        };
        self.connections.values().any(reached)
    }

    /// A session broke that nothing stands in for, over what it was asked for the search or not.
    fn on_broken(&mut self, connection: &Connection, asking: bool, error: &SessionError, now: Instant) {
        let Some(mirror) = self.mirrors.get_mut(connection.mirror) else { return };
        let fault = MirrorFault::Session(error.clone());
        match error {
            // Neither of these two counts as a failure, and neither can happen twice to a slot.
            SessionError::OutOfStep(_) => mirror.set_lock_step(),
            // No other way to connect would do better.
            _ if is_socket_shortage(error) => self.on_failed(connection, fault, now),
            SessionError::Connection(Channel::Data, _) | SessionError::Timeout(Timer::DataConnect)
                if connection.epsv =>
            {
                mirror.set_plain_passive();
            }
            // That says nothing of the file; and how often it can happen is for the search to say.
            _ if asking => {}
            SessionError::Refused { reply, .. } if is_session_limit(reply) => {
                self.on_failed(connection, fault, now)
            }
            SessionError::Peer(PeerFault::Overrun { .. }) => self.on_overrun(connection, fault, now),
            // The same name and password were good enough before.
            SessionError::Refused { verb: Some(Verb::User | Verb::Pass), .. } if mirror.greeted => {
                self.on_failed(connection, fault, now);
            }
            SessionError::Refused { verb: Some(_), .. } => self.give_up(connection.mirror, fault),
            SessionError::Refused { verb: None, reply } if !reply.code().is_transient() => {
                self.give_up(connection.mirror, fault);
            }
            _ if is_unreachable(error) && !mirror.reached && !self.is_tried(connection.mirror) => {
                self.give_up(connection.mirror, fault);
            }
            _ => self.on_failed(connection, fault, now),
        }
    }

    /// More has come than the file has.
    fn on_overrun(&mut self, connection: &Connection, fault: MirrorFault, now: Instant) {
        let Some(mirror) = self.mirrors.get(connection.mirror) else { return };
        // What it has not been asked yet it may still say: that its file is longer.
        if mirror.verdict == Verdict::Unknown {
            self.disown(connection.mirror);
            self.on_failed(connection, fault, now);
        } else if !self.drop_unfounded_size() {
            self.unmask(connection.mirror, fault);
        }
    }

    /// An attempt failed in a way that another may not. With other sessions of the mirror alive it is the
    /// connection's trouble, without any it is the mirror's. When nothing is left to do it is nobody's.
    fn on_failed(&mut self, connection: &Connection, fault: MirrorFault, now: Instant) {
        let wanted = self.has_work_for_more() || !self.seams.is_empty();
        if !wanted && self.mirror_to_call() != Some(connection.mirror) {
            return;
        }
        if !self.is_tried(connection.mirror) {
            return self.suspend(connection, fault, now);
        }
        if connection.stage < Stage::Ready {
            return self.on_full(connection, now);
        }
        let retries = self.attempts();
        let Some(known) = self.mirrors.get_mut(connection.mirror) else { return };
        if known.count_failure(connection.began(), &mut self.jitter, now) > retries {
            return self.give_up(connection.mirror, fault);
        }
        let Some(slot) = self.slots.get_mut(connection.slot) else { return };
        slot.failures = slot.failures.saturating_add(1);
        slot.parked = slot.failures > retries;
        slot.retry_at = (!slot.parked).then(|| now + self.jitter.wait(slot.failures));
    }

    /// Whether a session of the mirror lives, or may yet come to.
    pub(super) fn is_tried(&self, mirror: usize) -> bool {
        self.connections.values().any(|connection| connection.mirror == mirror && !connection.closing)
    }

    /// The server takes no more sessions, in whatever way it says so. While it has some of ours, that is no
    /// failure.
    fn on_full(&mut self, connection: &Connection, now: Instant) {
        let Some(known) = self.mirrors.get_mut(connection.mirror) else { return };
        // Until one session got through it may be that none does, and that is another matter.
        let greeted = known.greeted;
        if !std::mem::replace(&mut known.full, true) && greeted {
            self.warn_of_full(connection.mirror);
        }
        let pause = self.full_pause();
        if let Some(slot) = self.slots.get_mut(connection.slot) {
            slot.parked = true;
            slot.retry_at = greeted.then(|| now + pause);
        }
    }

    pub(super) fn full_pause(&mut self) -> Duration {
        FULL_PAUSE.saturating_add(self.jitter.wait(FULL_JITTER))
    }

    /// Of the connections that a full server had no room for one may try again at a time: the others wait from then on.
    pub(super) fn probe_full(&mut self, now: Instant) {
        for mirror in 0..self.mirrors.len() {
            let waits = |slot: &Slot| slot.mirror == mirror && slot.parked && slot.retry_at.is_some();
            let due = |slot: &Slot| waits(slot) && slot.retry_at.is_some_and(|at| at <= now);
            let Some(probing) = self.slots.iter().position(due) else { continue };
            let again = now + self.full_pause();
            let others = self.slots.iter_mut().enumerate().filter(|(at, slot)| *at != probing && waits(slot));
            others.for_each(|(_, slot)| slot.retry_at = Some(again));
        }
    }

    fn warn_of_full(&mut self, mirror: usize) {
        let Some(server) = self.mirrors.get(mirror).map(|mirror| mirror.server.clone()) else { return };
        self.notify(Notice::SessionLimit { server });
    }

    /// No session of the mirror is left: after a while one may try again.
    fn suspend(&mut self, connection: &Connection, fault: MirrorFault, now: Instant) {
        let (mirror, retries) = (connection.mirror, self.attempts());
        let fetching = self.has_work_for_more();
        let borrowers = self.borrowers().iter().any(|other| *other != mirror);
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        if known.count_failure(connection.began(), &mut self.jitter, now) > retries {
            return self.give_up(mirror, fault);
        }
        known.fault = Some(fault);
        // The first wait is over before one would be dialled elsewhere.
        let lends = fetching && borrowers && (known.failures > 1 || known.fetched.is_empty());
        let mut wait = self.jitter.wait(known.failures);
        if lends && connection.stage < Stage::Ready {
            // The one that tried is to be of use to others most of the time.
            wait = wait.max(now.since(connection.opened).saturating_mul(PROBE_SHARE));
        }
        known.access = Access::Suspended { until: now + wait };
        // Its parked connections, too, have to wait for the one that tries.
        for slot in self.slots.iter_mut().filter(|slot| slot.mirror == mirror) {
            slot.parked = false;
            slot.retry_at = None;
        }
        if lends {
            self.lend_all(mirror);
        }
    }

    /// The mirror is of no more use; others take over its connections.
    pub(super) fn give_up(&mut self, mirror: usize, fault: MirrorFault) {
        let Some(known) = self.mirrors.get_mut(mirror).filter(|known| known.is_alive()) else { return };
        known.access = Access::Dead;
        known.fault = Some(fault);
        let failure = known.failure();
        if self.mirrors.iter().any(Mirror::is_alive) {
            self.directives.extend(failure.map(Notice::MirrorDropped).map(Directive::Notice));
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
        self.bequeath(mirror);
        self.judge();
    }

    /// The refusal of a command of a session that goes on.
    pub(super) fn on_path_refused(&mut self, id: SessionId, verb: Verb, fault: MirrorFault) {
        let Some(connection) = self.connections.get(&id) else { return };
        let (mirror, form) = (connection.mirror, connection.form);
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        // A server that has told the size knows the path; unless that was in the other form.
        let another_form = verb == Verb::Retr
            && form == PathForm::Whole
            && (known.form == PathForm::Directory || known.facts.is_none() && known.split_path().is_some());
        if another_form {
            known.form = PathForm::Directory;
            known.fault = Some(fault);
            self.change_directory(id);
        } else {
            // The refusal of the whole path says what the user asked for.
            let first = known.fault.take().filter(|_| form == PathForm::Directory || verb == Verb::Cwd);
            self.give_up(mirror, first.unwrap_or(fault));
        }
    }
}

/// Whether no connection could be made.
const fn is_unreachable(error: &SessionError) -> bool {
    matches!(
        error,
        SessionError::Connection(
            Channel::Control,
            Cause::Refused | Cause::Unreachable | Cause::TimedOut | Cause::Other(_)
        ) | SessionError::Timeout(Timer::Connect)
    )
}
