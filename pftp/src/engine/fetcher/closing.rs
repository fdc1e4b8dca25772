//! The end of a file: the confirmation that it is the same, and the lookup of a checksum.

use super::super::directive::Directive;
use super::super::error::Notice;
use super::super::file::confirm::RECENT;
use super::super::ids::{FileId, MirrorId, ServerId};
use super::super::offers::{self, Reach};
use super::super::pool::session::{Ahead, Pending, Session, Task};
use super::Fetcher;
use crate::lookup::{Answer, Remark};
use ftp_proto::{Instant, Request, SessionId};
use std::time::Duration;

impl Fetcher {
    /// Asks the mirrors of a file that is complete whether it is still the same.
    pub(super) fn confirm(&mut self, id: FileId) {
        let now = self.now;
        let flights = self.flights(id);
        let file = &mut self.files[id];
        let is_complete = file.here_already().is_none() && file.is_complete(&flights);
        let Some(since) = file.note_complete(is_complete, now) else { return };
        for mirror in self.files[id].replicas.ids() {
            let server = self.files[id].replicas[mirror].server;
            let replica = &self.files[id].replicas[mirror];
            let reaches = |session: &Session| offers::reach(session, replica) != Reach::Never;
            let free = |session: &Session| session.server == server && session.is_free() && reaches(session);
            let free = self.pool.sessions.iter().find(|(_, session)| free(session)).map(|(id, _)| id);
            if let Some(session) = free {
                self.ask_to_confirm(session, id, since);
            } else if !self.pool.is_tried(server) && self.files[id].dial_to_confirm(mirror, since, now) {
                self.dial(server, id);
            }
        }
    }

    /// Has an idle session ask, if the end is near.
    pub(super) fn confirm_early(&mut self, session: SessionId, id: FileId) {
        let last = self.view(id, |view| view.running().iter().map(|(_, running)| running.time_left()).max());
        let left = Duration::from_millis(last.unwrap_or(u64::MAX));
        if left < RECENT / 2 {
            self.ask_to_confirm(session, id, self.now + left);
        }
    }

    /// Asks the mirror of the session, if its last statement is too old for a file that is complete at that time, and no session
    /// asks already.
    fn ask_to_confirm(&mut self, session: SessionId, id: FileId, complete: Instant) {
        let server = self.pool.sessions[session].server;
        let Some(mirror) = self.files[id].mirror_on(server) else { return };
        let asks = |known: &Session| known.awaits(|pending| pending == Pending::Confirmation(id, mirror));
        let asked = self.files[id].is_confirm_asked(mirror) && self.pool.sessions.values().any(asks);
        if !asked && self.files[id].is_doubtful(mirror, complete) {
            self.files[id].confirm_asked(mirror, self.now);
            self.ask_for(session, id, Pending::Confirmation);
        }
    }

    /// Until when a confirmation is awaited.
    pub(super) fn confirmation_due(&self, id: FileId) -> Option<Instant> {
        let file = &self.files[id];
        let due = |mirror: MirrorId| {
            let server = file.replicas[mirror].server;
            let ready = |session: &Session| session.server == server && session.is_ready();
            let ready = self.pool.sessions.values().any(ready);
            let path = &self.pool.servers[server].path;
            file.confirmation_due(mirror, path, (ready, self.pool.is_tried(server)), self.now)
        };
        file.replicas.ids().filter_map(due).max()
    }

    /// Opens a session to a server that has none, if it may be dialled.
    fn dial(&mut self, server: ServerId, file: FileId) {
        if let Some((slot, address)) = self.pool.vacancy_of(server) {
            self.open(slot, address, Some(file));
        }
    }

    /// Sends a free session to ask for a checksum, if one is to be looked up.
    pub(super) fn look_up(&mut self, id: FileId) {
        while self.files[id].lookup.as_ref().is_some_and(|lookup| lookup.is_waiting()) {
            // The mirror before this one may have had its last say just now.
            let Some((session, mirror)) = self.view(id, offers::asker) else {
                let mirror = self.mirror_to_dial(id);
                let server = mirror.map(|mirror| self.files[id].replicas[mirror].server);
                if let Some(server) = server.filter(|server| !self.pool.is_tried(*server)) {
                    self.dial(server, id);
                }
                return;
            };
            let (file, now) = (&mut self.files[id], self.now);
            let (server, path) = (file.replicas[mirror].server, file.replicas[mirror].path.clone());
            if let Some(lookup) = &mut file.lookup {
                lookup.begin(session, mirror, (&self.pool.servers[server].name, &path), now);
            }
            self.pool.sessions[session].task = Task::Lookup(id);
            self.ask_next(id, session, mirror);
        }
    }

    /// The mirror to open a session to, as only the lookup is left and no session can run it.
    pub(super) fn mirror_to_dial(&self, id: FileId) -> Option<MirrorId> {
        self.view(id, offers::mirror_to_dial)
    }

    /// Asks the next questions of a lookup, or ends it on this mirror.
    fn ask_next(&mut self, id: FileId, session: SessionId, mirror: MirrorId) {
        let file = &mut self.files[id];
        let size = file.ledger.size();
        let known = &mut self.pool.sessions[session];
        let replica = &file.replicas[mirror];
        let Some(path) = replica.path_in(offers::form(known, replica)) else { return };
        let requests =
            file.lookup.as_mut().map(|lookup| lookup.next_requests(&path, size)).unwrap_or_default();
        if requests.is_empty() {
            return self.end_questions(id);
        }
        for (at, request) in requests.into_iter().enumerate() {
            if matches!(request, Request::Content { .. }) {
                // It takes up the data connection that was made ahead.
                known.ahead = Ahead::None;
            }
            let request_id = known.expect(Pending::Lookup(id, at));
            self.out.push(Directive::Request(session, request_id, request));
        }
    }

    /// The mirror has nothing more to say.
    fn end_questions(&mut self, id: FileId) {
        let Some(lookup) = &mut self.files[id].lookup else { return };
        if let Some(running) = lookup.running()
            && let Some(session) = self.pool.sessions.get_mut(running.session)
        {
            session.task = Task::Idle;
        }
        if lookup.end_running() {
            self.end_lookup(id);
        }
    }

    fn end_lookup(&mut self, id: FileId) {
        let is_here_already = self.files[id].is_here_already();
        if let Some(lookup) = &mut self.files[id].lookup {
            let found = lookup.end(is_here_already);
            self.out.push(Directive::Found(id, found));
        }
    }

    /// A question of a lookup has been answered.
    pub(super) fn lookup_answered(&mut self, session: SessionId, id: FileId, at: usize, answer: Answer<'_>) {
        let Some(lookup) = &mut self.files[id].lookup else { return };
        let Some(running) = lookup.running().filter(|running| running.session == session) else { return };
        let all = lookup.answer(at, answer);
        let remarks = lookup.take_remarks(running.mirror);
        if all {
            self.ask_next(id, session, running.mirror);
        }
        self.tell(remarks);
    }

    fn tell(&mut self, remarks: Vec<Remark>) {
        for remark in remarks {
            self.notice(Notice::Lookup(remark));
        }
    }

    /// The session has ended: another one may go on with its questions. Returns whether it asked any.
    pub(super) fn interrupt_lookup(&mut self, session: SessionId, known: &Session) -> bool {
        let Task::Lookup(id) = known.task else { return false };
        let Some(lookup) = &mut self.files[id].lookup else { return false };
        let Some((mirror, over)) = lookup.interrupt(session, self.now) else { return false };
        let remarks = lookup.take_remarks(mirror);
        self.tell(remarks);
        if over {
            self.notice_slow_lookup(id, mirror);
        }
        true
    }

    /// Ends questions that take too long.
    pub(super) fn limit_lookups(&mut self) {
        for id in self.active() {
            let running = self.files[id].lookup.as_ref().and_then(|lookup| lookup.running());
            if let Some(running) = running.filter(|running| running.until <= self.now) {
                self.notice_slow_lookup(id, running.mirror);
                self.end_questions(id);
                self.pool.close(running.session, &mut self.out);
            }
        }
    }

    fn notice_slow_lookup(&mut self, id: FileId, mirror: MirrorId) {
        let server = self.pool.servers[self.files[id].replicas[mirror].server].name.clone();
        self.notice(Notice::LookupTooSlow { server });
    }

    /// Whether the end of the file has to wait for the lookup. If no mirror is left to ask, the lookup ends.
    pub(super) fn waits_for_lookup(&mut self, id: FileId) -> bool {
        let Some(lookup) = &self.files[id].lookup else { return false };
        if lookup.is_over() || lookup.running().is_some() || self.view(id, offers::can_ask) {
            return lookup.is_comparing() || !lookup.is_over();
        }
        self.end_lookup(id);
        false
    }
}
