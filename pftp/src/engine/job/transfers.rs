//! Transfers and sessions: the ends of transfers are moved, ranges are split and discarded, and sessions and mirrors fail.

use super::Job;
use crate::engine::directive::Directive;
use crate::engine::error::{MirrorFailure, MirrorFault, Notice};
use crate::engine::file::replica::Verdict;
use crate::engine::ids::{FileId, MirrorId, ServerId};
use crate::engine::offers::{self, Extension, split};
use crate::engine::pool::remedy::{Circumstances, Remedy, is_unreachable, remedy};
use crate::engine::pool::server::Access;
use crate::engine::pool::session::{Pending, Session, Stage, Task, Transfer};
use crate::engine::pool::slot::SlotState;
use ftp_proto::{Command, Request, SessionError, SessionId, Until};
use std::cmp::Reverse;
use std::ops::Range;

/// Attempts in a row that may fail if only the end of a file has yet to be seen, or a checksum to be looked up, whatever
/// [`Settings::retries`](crate::engine::Settings::retries) says.
const ATTEMPTS: u32 = 2;

impl Job {
    /// A session is about to overwrite this range: the journal must drop bytes that it names there, so that a later run does not
    /// trust them.
    pub(super) fn about_to_write(&mut self, id: FileId, range: Range<u64>) {
        let missing = self.files[id].ledger.missing(range.clone());
        if !range.is_empty() && !missing.contains(&range) {
            self.out.push(Directive::Retract(id));
        }
    }

    /// How a transfer that goes to `end` ends.
    pub(super) fn until(&self, id: FileId, end: u64) -> Until {
        if self.files[id].ledger.size() == Some(end) { Until::Size(end) } else { Until::Offset(end) }
    }

    /// Moves the end of a session's transfer.
    pub(super) fn set_end(&mut self, id: SessionId, until: Until) {
        let Some(transfer) = self.pool.sessions[id].transfer_mut() else { return };
        let (file, request) = (transfer.file, transfer.request);
        let before = std::mem::replace(&mut transfer.until, until);
        self.about_to_write(file, before.end()..until.end());
        self.out.push(Directive::SetEnd(id, request, until));
    }

    /// Queues what is left of a transfer that has ended.
    pub(in crate::engine) fn release(&mut self, transfer: &Transfer) {
        let file = &mut self.files[transfer.file];
        if !file.is_ascii() {
            file.ledger.release(transfer.at..transfer.until.end());
        }
    }

    /// If no mirror of the file understands REST, the one transfer that runs from the start fetches all of it.
    pub(in crate::engine) fn extend_only_transfer(&mut self, id: FileId) {
        let Some(size) = self.files[id].ledger.size() else { return };
        if self.files[id].has_restarting_mirror(&self.pool.servers) {
            return;
        }
        let whole = |session: &Session| {
            !session.is_closing() && session.transfer_of(id).is_some_and(|transfer| transfer.start == 0)
        };
        let first = self.pool.sessions.iter().find(|(_, session)| whole(session)).map(|(id, _)| id);
        if let Some(session) = first {
            self.files[id].ledger.set_queue(Vec::new());
            self.set_end(session, Until::Size(size));
        }
    }

    /// Ends transfers of which others have brought everything that was left.
    pub(super) fn end_beaten(&mut self, id: FileId) {
        let Some(size) = self.files[id].ledger.size() else { return };
        let end_seen = self.files[id].end_seen;
        let mut beaten = Vec::new();
        for (session, known) in self.pool.sessions.iter().filter(|(_, known)| !known.is_closing()) {
            let Some(transfer) = known.transfer_of(id).filter(|it| !it.is_vote() && !it.is_cut) else {
                continue;
            };
            // A session whose server does not understand REST can show the end by nothing less than the whole file.
            let for_end = !end_seen && !self.pool.servers[known.server].restarts;
            let left = transfer.at..transfer.until.end().min(size);
            if !for_end && !left.is_empty() && self.files[id].ledger.has(&left) {
                beaten.push((session, transfer.at, known.rate.expected(1, self.now) == 0));
            }
        }
        for (session, at, _) in &beaten {
            self.cut_off(*session, *at);
        }
        for (session, ..) in beaten.iter().filter(|(_, _, is_silent)| *is_silent) {
            self.check(*session);
        }
    }

    /// Asks for a sign of life before the session gets another task.
    fn check(&mut self, id: SessionId) {
        let request = self.pool.sessions[id].expect(Pending::Liveness);
        self.out.push(Directive::Request(id, request, Request::Command(Command::Noop)));
    }

    /// Others fetch what follows from `start` on. A silent session is asked for a sign of life.
    pub(super) fn shorten(&mut self, victim: SessionId, start: u64, rate: u64) {
        self.set_end(victim, Until::Offset(start));
        if rate == 0 {
            self.check(victim);
        }
    }

    /// Extends transfers that are about to end over the range behind them.
    pub(super) fn extend(&mut self, id: FileId) {
        for (session, end) in self.view(id, offers::ending) {
            let end = match self.view(id, |view| offers::extension(view, end)) {
                Some(Extension::Queued(at)) => self.files[id].ledger.take_queued(at).map(|range| range.end),
                Some(Extension::Silent { victim, end: behind }) => {
                    self.shorten(victim, end, 0);
                    Some(behind)
                }
                None => None,
            };
            if let Some(end) = end {
                self.set_end(session, self.until(id, end));
            }
        }
    }

    /// Has a transfer end where it is; others get what is left of its range.
    pub(in crate::engine) fn cut_off(&mut self, id: SessionId, at: u64) {
        if let Some(transfer) = self.pool.sessions[id].transfer_mut() {
            transfer.is_cut = true;
            let request = transfer.request;
            self.out.push(Directive::SetEnd(id, request, Until::Offset(at)));
        }
    }

    /// Discards the bytes of a mirror. Bytes that its sessions are still at are fetched again when the sessions have ended.
    pub(super) fn discard(&mut self, id: FileId, mirror: MirrorId) {
        let flights = self.flights(id);
        for range in self.files[id].ledger.written_by(mirror).clone().iter() {
            self.mark_overwritten(id, &range);
        }
        let (wrong, shrunk) = self.files[id].discard(mirror, &flights);
        if shrunk {
            self.out.push(Directive::Retract(id));
        }
        for session in self.pool.sessions.values_mut() {
            if let Some(transfer) = session.transfer_mut()
                && (transfer.file, transfer.mirror) == (id, mirror)
            {
                transfer.at = transfer.start;
            }
        }
        self.files[id].requeue(wrong, mirror, &flights);
    }

    /// Discards the bytes of a range, whoever wrote them.
    pub(in crate::engine) fn fetch_again(&mut self, id: FileId, range: &Range<u64>) {
        self.mark_overwritten(id, range);
        let flights = self.flights(id);
        if self.files[id].forget(range, &flights) {
            self.out.push(Directive::Retract(id));
        }
    }

    /// Sessions that are to write into the range may have done so before it was overwritten, and report it later.
    fn mark_overwritten(&mut self, id: FileId, range: &Range<u64>) {
        for session in self.pool.sessions.values_mut() {
            if let Some(transfer) = session.transfer_mut().filter(|transfer| transfer.file == id) {
                let part = range.start.max(transfer.at)..range.end.min(transfer.until.end());
                transfer.overwritten.insert(part);
            }
        }
    }

    /// The size has become known: the file is split, and the transfer that began before it keeps the first part.
    pub(super) fn sized(&mut self, id: FileId, size: u64) {
        let (demand, flights) = (self.demand(), self.flights(id));
        let file = &mut self.files[id];
        file.ledger.set_size(size);
        let mut missing = file.ledger.missing(0..size);
        // Ranges that sessions have yet to let go of come later.
        for flight in flights.iter().filter(|flight| !file.counts(flight)) {
            missing.remove(flight.left.clone());
        }
        let parts = if file.is_single() { 1 } else { self.pool.slots_to_begin(&demand) };
        let parts = split(&missing, parts, file.min_segment);
        file.ledger.set_queue(parts);
        if let Some((session, at)) = self.keep_one_transfer(id) {
            let holds = |range: &Range<u64>| range.start <= at && at < range.end;
            let queue = self.files[id].ledger.queue();
            let part = queue.iter().position(holds);
            match part.and_then(|part| self.files[id].ledger.take_queued(part)) {
                Some(part) => {
                    self.set_end(session, self.until(id, part.end));
                    // These bytes had come, and were discarded since.
                    self.files[id].ledger.queue_first(part.start..at);
                }
                None => self.set_end(session, Until::Size(size)),
            }
        }
        self.find_overruns(id);
    }

    /// The transfer that requested the whole file goes on. There may be several, as two addresses of a server are tried side by
    /// side: the one that has come furthest goes on, and the others end.
    fn keep_one_transfer(&mut self, id: FileId) -> Option<(SessionId, u64)> {
        let mut transfers: Vec<_> = self.view(id, |view| {
            let fetches = view.fetching().filter(|(_, _, transfer)| !transfer.is_vote());
            fetches.map(|(session, known, transfer)| (session, transfer.at, known.stage)).collect()
        });
        transfers.sort_by_key(|(_, at, stage)| Reverse((*at, *stage)));
        let mut transfers = transfers.into_iter();
        let (kept, at, _) = transfers.next()?;
        for (session, at, _) in transfers {
            self.set_end(session, Until::Offset(at));
        }
        Some((kept, at))
    }

    /// A session has ended, by its own fault or by ours.
    pub(in crate::engine) fn on_closed(&mut self, id: SessionId, error: &SessionError) {
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

    pub(in crate::engine) fn notice_session_limit(&mut self, server: ServerId) {
        let server = self.pool.servers[server].name.clone();
        self.notice(Notice::SessionLimit { server });
    }

    /// A transfer failed on a session that lives; the session rests for a while. Too many attempts without a new byte between
    /// them drop the mirror.
    pub(in crate::engine) fn on_transfer_failed(
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
    fn attempts(&self, server: ServerId) -> u32 {
        let is_here = |id: &FileId| self.files[*id].lacks_only_end() || self.mirror_to_dial(*id).is_some();
        let mut files = self.active.iter().filter(|id| self.files[**id].living_mirror_on(server).is_some());
        let few = self.queue.is_empty() && files.all(is_here);
        if few { ATTEMPTS } else { self.settings.retries }
    }

    /// Gives a server up, and with it its mirrors of all files.
    pub(in crate::engine) fn drop_server(&mut self, id: ServerId, fault: &MirrorFault) {
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
    pub(in crate::engine) fn drop_mirror(&mut self, id: FileId, mirror: MirrorId, fault: MirrorFault) {
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
