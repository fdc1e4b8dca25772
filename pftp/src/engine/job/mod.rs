//! The job: the pool, the files, and the acts that join them. This module has the end of a file as well: its confirmation, the
//! lookup of its checksum, and its result.

mod evidence;
mod transfers;
mod work;

use super::Outbox;
use super::collect_demand::collect_demand;
use super::directive::{Directive, Settings};
use super::error::{EngineError, Notice};
use super::file::confirm::RECENT;
use super::file::{File, Flight, State};
use super::forecast::View;
use super::ids::{Arena, FileId, MirrorId, ServerId};
use super::offers::{self, Reach};
use super::pool::Pool;
use super::pool::demand::Demand;
use super::pool::session::{Ahead, Pending, Session, Task};
use crate::lookup::{Answer, Remark};
use ftp_proto::{Instant, Request, SessionId};
use std::collections::{BTreeSet, VecDeque};
use std::time::Duration;

/// The servers and files of the job, and the directives that wait.
#[derive(Debug)]
pub(super) struct Job {
    settings: Settings,
    pub(super) pool: Pool,
    pub(super) files: Arena<FileId, File>,
    /// Files that are being fetched.
    pub(super) active: BTreeSet<FileId>,
    /// Files that wait for a free session.
    pub(super) queue: VecDeque<FileId>,
    pub(super) out: Outbox,
    /// When to look again whether a transfer has become slow enough to help it.
    pub(super) look_again: Option<Instant>,
    pub(super) now: Instant,
    pub(super) is_stopped: bool,
}

impl Job {
    pub(super) fn new(settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            pool: Pool::new(settings),
            files: Arena::new(),
            active: BTreeSet::new(),
            queue: VecDeque::new(),
            out: Outbox::default(),
            look_again: None,
            now,
            is_stopped: false,
        }
    }

    /// Draws all conclusions from the state: opens sessions, and gives tasks to free ones.
    pub(super) fn plan(&mut self, now: Instant) {
        self.now = now;
        self.pool.probe_limits(now);
        self.limit_lookups();
        self.pool.expire(now);
        loop {
            self.work();
            let (active, waiting) = (self.active.len(), self.queue.len());
            self.conclude();
            // A file that has ended leaves sessions free, and no report may come that gives them the next one.
            let has_ended = (self.active.len(), self.queue.len()) != (active, waiting);
            if !has_ended || self.active.is_empty() && self.queue.is_empty() {
                return;
            }
        }
    }

    /// Weighs the evidence, opens sessions, and gives tasks to free ones.
    fn work(&mut self) {
        for id in self.active() {
            self.weigh_evidence(id);
        }
        self.grow();
        self.open_sessions();
        for id in self.active() {
            self.end_beaten(id);
        }
        self.pool.dismiss_withdrawn(&mut self.out);
        for id in self.active() {
            self.look_up(id);
        }
        if self.files.len() > 1 {
            // A session that is free now would be given another file.
            for id in self.active() {
                self.confirm(id);
            }
        }
        self.hand_out();
        for id in self.active() {
            self.extend(id);
        }
        for id in self.active() {
            self.confirm(id);
        }
    }

    /// When the job wants to look at its state next.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let lookups = self.active.iter().filter_map(|id| {
            let running = self.files[*id].lookup.as_ref()?.running()?;
            Some(running.until)
        });
        let confirmations = self.active.iter().filter_map(|id| self.confirmation_due(*id));
        self.pool.poll_timeout(self.now).chain(self.look_again).chain(lookups).chain(confirmations).min()
    }

    /// Whether the file is being fetched.
    pub(super) fn is_active(&self, id: FileId) -> bool {
        !self.is_stopped && self.active.contains(&id)
    }

    /// Begins to fetch a file that waited.
    pub(super) fn activate(&mut self, id: FileId) {
        self.queue.retain(|queued| *queued != id);
        self.active.insert(id);
        self.files[id].state = State::Active;
    }

    /// The files that are being fetched.
    pub(super) fn active(&self) -> Vec<FileId> {
        self.active.iter().copied().collect()
    }

    /// Ends files that are whole, and files for which nothing more can be done.
    fn conclude(&mut self) {
        for id in self.active() {
            self.conclude_file(id);
        }
        let hopeless = |id: &FileId| !self.files[*id].has_mirror();
        for id in self.queue.iter().copied().filter(hopeless).collect::<Vec<_>>() {
            self.activate(id);
            self.conclude_file(id);
        }
        let is_last = self.active.is_empty() && self.queue.is_empty();
        let ended =
            |id: &FileId| self.files[*id].result.is_some() && (is_last || self.flights(*id).is_empty());
        for id in self.files.ids().filter(ended).collect::<Vec<_>>() {
            self.tell_done(id);
        }
    }

    fn conclude_file(&mut self, id: FileId) {
        let file = &self.files[id];
        if let Some(size) = file.here_already() {
            if !self.waits_for_lookup(id) {
                self.finish(id, Ok(size));
            }
            return;
        }
        if let Some(size) = file.ledger.size().filter(|_| file.is_complete(&self.flights(id))) {
            if !self.waits_for_lookup(id) && self.confirmation_due(id).is_none() {
                self.finish(id, Ok(size));
            }
            return;
        }
        self.fail_without_mirrors(id);
    }

    /// Ends a file of which no mirror is left.
    fn fail_without_mirrors(&mut self, id: FileId) {
        let file = &self.files[id];
        if file.has_mirror() || !self.is_active(id) {
            return;
        }
        let failures = file.failures(&self.pool.servers);
        if let Some(size) = file.ledger.size().filter(|_| file.does_without_end()) {
            if !self.waits_for_lookup(id) {
                self.notice(Notice::EndNotSeen(failures));
                self.finish(id, Ok(size));
            }
            return;
        }
        self.finish(id, Err(EngineError::NoMirror(failures)));
    }

    /// Ends a file. Its transfers are cut if other files need the sessions.
    fn finish(&mut self, id: FileId, result: Result<u64, EngineError>) {
        if !self.active.remove(&id) {
            return;
        }
        let file = &mut self.files[id];
        (file.state, file.result) = (State::Done, Some(result));
        let living = file.replicas.values().filter(|replica| !replica.is_dropped);
        for server in living.map(|replica| replica.server).collect::<Vec<_>>() {
            self.pool.servers[server].users = self.pool.servers[server].users.saturating_sub(1);
        }
        if self.active.is_empty() && self.queue.is_empty() {
            return self.tell_done(id);
        }
        for flight in self.flights(id).iter().filter(|flight| !flight.is_cut && !flight.is_closing) {
            self.cut_off(flight.session, flight.left.start);
        }
        let asks = self.files[id].lookup.as_ref().and_then(|lookup| lookup.running());
        if let Some(running) = asks {
            self.pool.close(running.session, &mut self.out);
        }
    }

    fn tell_done(&mut self, id: FileId) {
        if let Some(result) = self.files[id].result.take() {
            self.files[id].overlaps.forget_matched();
            self.out.push(Directive::Done(id, result));
        }
    }

    pub(super) fn notice(&mut self, notice: Notice) {
        self.out.push(Directive::Notice(notice));
    }

    /// The transfers of a file that are under way.
    pub(super) fn flights(&self, id: FileId) -> Vec<Flight> {
        let flight = |(session, known): (SessionId, &Session)| {
            let transfer = known.transfer_of(id)?;
            Some(Flight {
                session,
                mirror: transfer.mirror,
                left: transfer.left(),
                range: transfer.start..transfer.until.end(),
                until: transfer.until,
                is_cut: transfer.is_cut,
                is_closing: known.is_closing(),
            })
        };
        self.pool.sessions.iter().filter_map(flight).collect()
    }

    /// Looks at a file and the sessions that may fetch it.
    pub(super) fn view<R>(&self, id: FileId, look: impl FnOnce(&View<'_>) -> R) -> R {
        let (demand, flights) = (|| self.demand(), self.flights(id));
        look(&View::new(&self.pool, &demand, (id, &self.files[id], &flights), self.now))
    }

    /// The demand of the files.
    fn demand(&self) -> Demand {
        let active = self.active.iter().map(|id| (&self.files[*id], self.flights(*id))).collect::<Vec<_>>();
        let queued = self.queue.iter().map(|id| &self.files[*id]);
        collect_demand(&self.pool.servers, &active, queued)
    }

    /// Asks the mirrors of a file that is complete whether it is still the same.
    fn confirm(&mut self, id: FileId) {
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
    fn confirm_early(&mut self, session: SessionId, id: FileId) {
        let server = self.pool.sessions[session].server;
        let mirror = self.files[id].mirror_on(server);
        // The forecast is costly, and a mirror that has just confirmed is not asked again.
        if !mirror.is_some_and(|mirror| self.files[id].is_doubtful(mirror, self.now + RECENT / 2)) {
            return;
        }
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
    fn confirmation_due(&self, id: FileId) -> Option<Instant> {
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
    fn look_up(&mut self, id: FileId) {
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
    fn mirror_to_dial(&self, id: FileId) -> Option<MirrorId> {
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
    fn interrupt_lookup(&mut self, session: SessionId, known: &Session) -> bool {
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
    fn limit_lookups(&mut self) {
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
    fn waits_for_lookup(&mut self, id: FileId) -> bool {
        let Some(lookup) = &self.files[id].lookup else { return false };
        if lookup.is_over() || lookup.running().is_some() || self.view(id, offers::can_ask) {
            return lookup.is_comparing() || !lookup.is_over();
        }
        self.end_lookup(id);
        false
    }
}
