//! The consequences of sessions that end, transfers that fail, and mirrors that are given up.

use super::super::error::{MirrorFailure, MirrorFault, Notice};
use super::super::file::replica::Verdict;
use super::super::ids::{FileId, MirrorId, ServerId};
use super::super::pool::remedy::{Circumstances, Remedy, is_unreachable, remedy};
use super::super::pool::server::Access;
use super::super::pool::session::{Session, Stage, Task};
use super::super::pool::slot::SlotState;
use super::Fetcher;
use ftp_proto::{SessionError, SessionId};

/// Attempts in a row that may fail if only the end of a file has yet to be seen, or a checksum to be looked up, whatever
/// [`Settings::retries`](super::Settings::retries) says.
const ATTEMPTS: u32 = 2;

impl Fetcher {
    /// A session has ended, by its own fault or by ours.
    pub(super) fn on_closed(&mut self, id: SessionId, error: &SessionError) {
        let Some(mut session) = self.pool.sessions.remove(id) else { return };
        let looked_up = self.interrupt_lookup(id, &session);
        // A session that has yet to tell the facts of its file has work.
        let heard = !self.demand().servers[session.server].is_unheard;
        let idle = session.is_ready()
            && heard
            && !looked_up
            && matches!(session.task, Task::Idle)
            && !session.is_changing_directory()
            && !session.awaits_liveness();
        if let Task::Transfer(transfer) = std::mem::replace(&mut session.task, Task::Idle) {
            session.file = Some(transfer.file);
            self.release(&transfer);
        }
        let slot = &mut self.pool.slots[session.slot];
        slot.sessions.retain(|other| *other != id);
        let replaced = !slot.sessions.is_empty();
        let reachable = self.pool.is_reached_at(session.server, session.address);
        let server = &mut self.pool.servers[session.server];
        if !server.is_usable() {
            return;
        }
        if server.access == Access::Probing && !replaced {
            server.access = Access::Trial;
        }
        if session.is_closing() {
            return;
        }
        if idle && matches!(error, SessionError::Refused { verb: None, reply } if reply.code().get() == 421) {
            self.pool.slots[session.slot].state = SlotState::Spare;
            return;
        }
        let another = is_unreachable(error, &session.config) && !server.logged_in && !reachable;
        if another && server.addresses.pass_over(session.address) || replaced {
            return;
        }
        self.on_broken(&session, looked_up, error);
    }

    /// A session broke, and no other session stands in for it.
    fn on_broken(&mut self, session: &Session, looked_up: bool, error: &SessionError) {
        let tried = self.pool.is_tried(session.server);
        let server = &mut self.pool.servers[session.server];
        let fault = MirrorFault::Session(error.clone());
        let at = Circumstances { looked_up, logged_in: server.logged_in, reached: server.reached, tried };
        match remedy(error, &session.config, at) {
            Remedy::Change(change) => server.apply(change),
            Remedy::DialAgain => {}
            Remedy::Retry => self.on_failed(session, fault),
            Remedy::Overrun => self.on_overrun(session, fault),
            Remedy::GiveUp => self.drop_server(session.server, &fault),
        }
    }

    /// More bytes have come than the file has.
    fn on_overrun(&mut self, session: &Session, fault: MirrorFault) {
        let of = |file: &FileId| self.files[*file].living_mirror_on(session.server).map(|it| (*file, it));
        let file = session.file.filter(|file| self.is_active(*file));
        let Some((file, mirror)) = file.and_then(|file| of(&file)) else {
            return self.on_failed(session, fault);
        };
        // A mirror that has not been heard may still say that its file is longer.
        if self.files[file].replicas[mirror].verdict == Verdict::Unknown {
            self.discard(file, mirror);
            self.on_failed(session, fault);
        } else if !self.drop_unfounded_size(file) {
            self.reject(file, mirror, fault);
        }
    }

    /// An attempt failed in a way that another may not. While other sessions of the server live, it is the trouble of the
    /// connection; otherwise that of the server. If nothing is left to do, it does not matter.
    fn on_failed(&mut self, session: &Session, fault: MirrorFault) {
        let server = session.server;
        let demand = self.demand();
        let dials = |file: &FileId| {
            let mirror = self.mirror_to_dial(*file);
            mirror.is_some_and(|mirror| self.files[*file].replicas[mirror].server == server)
        };
        let compares = |file: &FileId| !self.files[*file].overlaps.are_compared();
        if !demand.has_work && !self.active.iter().any(|file| compares(file) || dials(file)) {
            return;
        }
        let retries = self.attempts(server);
        let now = self.now;
        if !self.pool.is_tried(server) {
            if self.pool.suspend(session, retries, &demand, now) {
                return self.drop_server(server, &fault);
            }
            for file in self.active() {
                if let Some(mirror) = self.files[file].living_mirror_on(server) {
                    self.files[file].replicas[mirror].failure = Some(fault.clone());
                }
            }
        } else if session.stage < Stage::Ready {
            if self.pool.turned_away(session, now) {
                self.notice_session_limit(server);
            }
        } else if self.pool.connection_failed(session, retries, now) {
            self.drop_server(server, &fault);
        }
    }

    pub(super) fn notice_session_limit(&mut self, server: ServerId) {
        let server = self.pool.servers[server].name.clone();
        self.notice(Notice::SessionLimit { server });
    }

    /// A transfer failed on a session that lives; the session rests for a while. Too many attempts without a new byte between
    /// them drop the mirror.
    pub(super) fn on_transfer_failed(
        &mut self,
        id: SessionId,
        (file, mirror): (FileId, MirrorId),
        fault: MirrorFault,
    ) {
        let Some(server) = self.pool.sessions.get(id).map(|session| session.server) else { return };
        let retries = self.attempts(server);
        let now = self.now;
        let (known, jitter) = (&mut self.pool.servers[server], &mut self.pool.jitter);
        match known.transfer_failed(retries, jitter, now) {
            Some(until) => self.pool.sessions[id].rests_until = Some(until),
            None => self.drop_mirror(file, mirror, fault),
        }
    }

    /// The attempts in a row that may fail before a server, or its mirror of one file, is given up.
    pub(super) fn attempts(&self, server: ServerId) -> u32 {
        let is_here = |id: &FileId| self.files[*id].lacks_only_end() || self.mirror_to_dial(*id).is_some();
        let mut files = self.active.iter().filter(|id| self.files[**id].living_mirror_on(server).is_some());
        let few = self.queue.is_empty() && files.all(is_here);
        if few { ATTEMPTS } else { self.settings.retries }
    }

    /// Gives a server up, and with it its mirrors of all files.
    pub(super) fn drop_server(&mut self, id: ServerId, fault: &MirrorFault) {
        let server = &mut self.pool.servers[id];
        if server.access == Access::Dead {
            return;
        }
        server.access = Access::Dead;
        server.failure = Some(fault.clone());
        let name = server.name.clone();
        let mut has_other_mirrors = false;
        for file in self.files.ids() {
            let known = &mut self.files[file];
            let Some(mirror) = known.living_mirror_on(id).filter(|_| !known.is_done()) else { continue };
            let replica = &mut known.replicas[mirror];
            (replica.is_dropped, replica.failure) = (true, Some(fault.clone()));
            has_other_mirrors |= known.has_mirror();
        }
        self.pool.servers[id].users = 0;
        if has_other_mirrors {
            self.notice(Notice::MirrorDropped(MirrorFailure { server: name, fault: fault.clone() }));
        }
        self.leave(id);
        for file in self.active() {
            self.judge(file);
        }
    }

    /// Drops one mirror of a file.
    pub(super) fn drop_mirror(&mut self, id: FileId, mirror: MirrorId, fault: MirrorFault) {
        let file = &mut self.files[id];
        if file.is_done() || file.replicas[mirror].is_dropped {
            return;
        }
        let replica = &mut file.replicas[mirror];
        (replica.is_dropped, replica.failure) = (true, Some(fault.clone()));
        let server = replica.server;
        let known = &mut self.pool.servers[server];
        known.users = known.users.saturating_sub(1);
        let name = known.name.clone();
        if file.has_mirror() {
            self.notice(Notice::MirrorDropped(MirrorFailure { server: name, fault }));
        }
        if self.pool.servers[server].users == 0 {
            self.leave(server);
        } else {
            self.pool.servers[server].failures = 0;
            let flights = self.flights(id);
            for flight in flights.iter().filter(|flight| flight.mirror == mirror && !flight.is_closing) {
                self.cut_off(flight.session, flight.left.start);
            }
        }
        self.judge(id);
    }

    /// Closes the sessions with a server that is of no more use, and reassigns its connections.
    fn leave(&mut self, server: ServerId) {
        self.pool.close_all(server, &mut self.out);
        let demand = self.demand();
        self.pool.reassign_all(server, &demand, self.now);
    }
}
