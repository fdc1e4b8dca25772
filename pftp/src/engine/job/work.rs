//! Opening sessions and giving them tasks.

use super::Job;
use crate::engine::directive::Directive;
use crate::engine::earlier::OVERLAP;
use crate::engine::error::MirrorFault;
use crate::engine::forecast::View;
use crate::engine::ids::{ComparisonId, FileId, MirrorId, ServerId, SlotId};
use crate::engine::offers::{self, Offer, Reach, Takeover};
use crate::engine::pool::session::{Ahead, Directory, Pending, Purpose, Session, Task, Transfer};
use ftp_proto::{Command, Instant, Request, Retrieve, SessionId, Until};
use std::net::SocketAddr;
use std::time::Duration;

/// How often an idle session looks at the others.
const WATCH: Duration = Duration::from_millis(200);

/// How long a data connection that was made ahead is taken to be there.
const KEPT: Duration = Duration::from_secs(10);

impl Job {
    /// Adds connections where that may pay, and withdraws those that did not.
    pub(super) fn grow(&mut self) {
        let now = self.now;
        let mut demand = self.demand();
        if demand.is_single {
            return;
        }
        self.pool.note_flows(now);
        for server in self.pool.servers.ids() {
            // A trial ends even if the size it began with turned out to be wrong.
            if self.pool.has_trial(server) {
                if let Some(first) = self.pool.follow_up(server, &demand, now) {
                    self.help(first);
                    demand = self.demand();
                }
                self.pool.judge_trial(server, &demand, now, &mut self.out);
                demand = self.demand();
            } else {
                self.pool.grow(server, &demand, now, &mut self.out);
            }
        }
    }

    /// Opens a session in each slot that may have one and has none, and one beside a slow address.
    pub(super) fn open_sessions(&mut self) {
        let now = self.now;
        let demand = self.demand();
        if demand.has_work {
            self.pool.reassign_meanwhile(&demand, now, &mut self.out);
            self.pool.call_back(&demand, now, &mut self.out);
        }
        // After that: the first connection of a server, which tries its addresses, may be another one now.
        for slot in self.pool.hedges_due(now) {
            if let Some(address) = self.pool.next_address(slot) {
                self.open(slot, address, None);
            }
        }
        if !demand.has_work {
            return;
        }
        self.connect_unserved();
        for slot in self.pool.slots.ids() {
            let urgent = self.has_urgent_work();
            if let Some(address) = self.pool.vacancy(slot, urgent) {
                self.open(slot, address, None);
            }
        }
    }

    /// Gives a connection to the mirrors of files none of whose servers has one.
    fn connect_unserved(&mut self) {
        let files: Vec<FileId> = self.active.iter().chain(&self.queue).copied().collect();
        for id in files {
            let living = self.files[id].replicas.iter().filter(|(_, replica)| !replica.is_dropped);
            let mirrors: Vec<MirrorId> = living.map(|(mirror, _)| mirror).collect();
            let served = |mirror: &MirrorId| self.pool.slots_of(self.files[id].replicas[*mirror].server) > 0;
            if !mirrors.iter().any(served) {
                self.connect_mirrors(id, &mirrors);
            }
        }
    }

    /// Whether a session could do something at once: fetch a range that no session fetches, or let a mirror say what it has.
    fn has_urgent_work(&self) -> bool {
        let urgent = |id: &FileId| {
            let file = &self.files[*id];
            file.is_undecided() || !file.ledger.queue().is_empty()
        };
        let busy = |session: &Session| {
            !session.is_closing() && (session.transfer().is_some() || !session.is_ready())
        };
        !self.queue.is_empty() || self.active.iter().any(urgent) || !self.pool.sessions.values().any(busy)
    }

    /// Opens a session. It begins with `file`, or with the file that needs it most.
    pub(super) fn open(&mut self, slot: SlotId, address: SocketAddr, file: Option<FileId>) {
        let id = self.pool.open(slot, address, self.now, &mut self.out);
        let server = self.pool.slots[slot].server;
        let Some(file) = file.or_else(|| self.file_for(server)) else { return };
        let known = &self.files[file];
        let Some(mirror) = known.mirror_on(server) else { return };
        match offers::reach(&self.pool.sessions[id], &known.replicas[mirror]) {
            Reach::After(_) => self.change_directory(id, file),
            Reach::Here | Reach::Never => {
                let is_only = known.replicas.len() == 1;
                self.ask_for_facts(id, file);
                // The mirror that is reached first begins, in whichever order their names were resolved.
                if is_only {
                    self.begin(id);
                }
                if self.pool.is_on_trial(slot) {
                    self.help(id);
                }
            }
        }
    }

    /// The file that a new session with the server begins with: one that is being fetched and has something for it, or else the
    /// next one that waits.
    fn file_for(&mut self, server: ServerId) -> Option<FileId> {
        let has = |id: &&FileId| self.files[**id].living_mirror_on(server).is_some();
        let busy = |id: FileId| self.pool.sessions.values().any(|session| session.transfer_of(id).is_some());
        let needs = |id: &&FileId| {
            let file = &self.files[**id];
            let begun = file.ledger.size().is_some() || busy(**id);
            !begun || file.is_undecided() || !file.ledger.queue().is_empty()
        };
        if let Some(id) = self.active.iter().find(|id| has(id) && needs(id)) {
            return Some(*id);
        }
        if let Some(id) = self.queue.iter().find(has).copied() {
            self.activate(id);
            return Some(id);
        }
        self.active.iter().find(has).copied()
    }

    /// Asks for size and time of a file.
    pub(in crate::engine) fn ask_for_facts(&mut self, id: SessionId, file: FileId) {
        self.ask_for(id, file, Pending::Facts);
    }

    pub(super) fn ask_for(&mut self, id: SessionId, file: FileId, pending: fn(FileId, MirrorId) -> Pending) {
        let session = &mut self.pool.sessions[id];
        let Some(mirror) = self.files[file].living_mirror_on(session.server) else { return };
        let replica = &self.files[file].replicas[mirror];
        if offers::reach(session, replica) == Reach::Never {
            return;
        }
        let Some(path) = replica.path_in(offers::form(session, replica)) else { return };
        session.file = Some(file);
        let request = session.expect(pending(file, mirror));
        self.out.push(Directive::Request(id, request, Request::Facts(path)));
    }

    /// Sends CWD and awaits its reply: commands before it would mean another directory.
    pub(in crate::engine) fn change_directory(&mut self, id: SessionId, file: FileId) {
        let session = &mut self.pool.sessions[id];
        let mirror = self.files[file].mirror_on(session.server);
        let split = mirror.and_then(|mirror| self.files[file].replicas[mirror].split_path());
        let Some((directory, _)) = split else { return };
        let request = session.next_request();
        let from = match &session.directory {
            Directory::In(here) => Some(here.clone()),
            Directory::Login | Directory::Changing { .. } => None,
        };
        session.directory = Directory::Changing { request, to: directory.clone(), from };
        session.file = Some(file);
        self.out.push(Directive::Request(id, request, Request::Command(Command::Cwd(directory))));
    }

    /// Gives each free session a task.
    pub(super) fn hand_out(&mut self) {
        let free = self.pool.sessions.iter().filter(|(_, session)| session.is_free());
        let mut free: Vec<(bool, SessionId)> =
            free.map(|(id, session)| (!matches!(session.ahead, Ahead::Ready(_)), id)).collect();
        // Sessions that have a data connection ahead go first.
        free.sort_unstable();
        self.look_again = None;
        for (_, id) in free {
            if self.pool.sessions.get(id).is_some_and(Session::is_free) {
                self.employ(id);
            }
        }
    }

    /// Gives a free session the first task by rank: what its files need first, a range that no session fetches, another file, or
    /// help for another session.
    fn employ(&mut self, id: SessionId) {
        if self.take_first(id, offers::first) {
            return;
        }
        let mut passive = None;
        for file in self.files_of(id) {
            match self.view(file, |view| offers::best(view, id)) {
                Some(offer) if offer.is_passive() => passive = passive.or(Some((file, offer))),
                Some(offer) => {
                    self.carry_out(id, file, offer);
                    return self.watch(id);
                }
                None => self.drop_stale(file),
            }
        }
        if let Some(next) = self.next_for(id) {
            self.activate(next);
            if self.files[next].may_be_here_already() {
                self.ask_for_facts(id, next);
            }
            if self.take_first(id, offers::first) {
                return;
            }
        }
        match passive {
            Some((file, offer)) => self.carry_out(id, file, offer),
            None => self.help(id),
        }
        if self.pool.sessions[id].is_free() && !matches!(self.pool.sessions[id].directory, Directory::Login) {
            return self.leave_directory(id);
        }
        self.watch(id);
    }

    /// The next file that waits and that the session can fetch, now or after CWD.
    fn next_for(&self, id: SessionId) -> Option<FileId> {
        let session = &self.pool.sessions[id];
        let can = |id: &FileId| {
            let file = &self.files[*id];
            let mirror = file.living_mirror_on(session.server);
            mirror.is_some_and(|mirror| offers::reach(session, &file.replicas[mirror]) != Reach::Never)
        };
        self.queue.iter().copied().find(can)
    }

    /// A session that has nothing to do in its directory changes to that of another file. If it can reach none of the files that
    /// are left on its server, it ends: a new session begins in the login directory.
    fn leave_directory(&mut self, id: SessionId) {
        let session = &self.pool.sessions[id];
        let left = self.active.iter().chain(&self.queue);
        let reaches: Vec<(FileId, Reach)> = left
            .filter_map(|id| {
                let file = &self.files[*id];
                let mirror = file.living_mirror_on(session.server)?;
                Some((*id, offers::reach(session, &file.replicas[mirror])))
            })
            .collect();
        if reaches.iter().any(|(_, reach)| *reach == Reach::Here) {
            return self.watch(id);
        }
        match reaches.iter().find(|(_, reach)| matches!(reach, Reach::After(_))) {
            Some((file, _)) => self.change_directory(id, *file),
            None => self.pool.close(id, &mut self.out),
        }
    }

    /// Empties the queue of a file if all its ranges have come or are being fetched: a session that lets go of its range queues it
    /// anew.
    fn drop_stale(&mut self, id: FileId) {
        let assigned = self.files[id].assigned(&self.flights(id));
        self.files[id].ledger.drop_stale(&assigned);
    }

    /// The files that a session may fetch.
    fn files_of(&self, id: SessionId) -> Vec<FileId> {
        let server = self.pool.sessions[id].server;
        self.active.iter().copied().filter(|id| self.files[*id].living_mirror_on(server).is_some()).collect()
    }

    /// Carries out the first offer that a rule makes for one of the session's files. Returns whether there was one.
    fn take_first(&mut self, id: SessionId, rule: fn(&View<'_>, SessionId) -> Option<Offer>) -> bool {
        for file in self.files_of(id) {
            if let Some(offer) = self.view(file, |view| rule(view, id)) {
                self.carry_out(id, file, offer);
                return true;
            }
        }
        false
    }

    /// Begins the first file of the session that wants its first transfer.
    pub(in crate::engine) fn begin(&mut self, id: SessionId) {
        self.take_first(id, offers::begin);
    }

    /// Lets the session help another one.
    fn help(&mut self, id: SessionId) {
        self.take_first(id, offers::help);
    }

    fn carry_out(&mut self, id: SessionId, file: FileId, offer: Offer) {
        match offer {
            Offer::ChangeDirectory => self.change_directory(id, file),
            Offer::Vote { overlap, end } => self.ask_for_vote(id, file, overlap, end),
            Offer::Begin => self.fetch_from_gap(id, file, Until::Eof),
            Offer::FromStart => {
                self.files[file].ledger.set_queue(Vec::new());
                if let Some(size) = self.files[file].ledger.size() {
                    self.fetch_from_gap(id, file, Until::Size(size));
                }
            }
            Offer::MoveToRestarting => {
                let demand = self.demand();
                if let Some(server) = self.pool.restarting_vacancy(id, &demand) {
                    self.pool.move_to(id, server, &mut self.out);
                }
            }
            Offer::Range => {
                let assigned = self.files[file].assigned(&self.flights(file));
                if let Some(range) = self.files[file].ledger.take_next(&assigned) {
                    self.retrieve(id, file, range.start, self.until(file, range.end));
                }
            }
            Offer::End => {
                self.drop_stale(file);
                if let Some(size) = self.files[file].ledger.size() {
                    self.retrieve(id, file, size, Until::Size(size));
                }
            }
            Offer::Tail(takeover) => {
                self.shorten(takeover.victim, takeover.start, takeover.rate);
                self.take_over(id, file, &takeover);
            }
            Offer::Copy(takeover) => {
                // Two mirrors must not both write bytes that no overlap shows to be the same.
                let (own, other) = (&self.pool.sessions[id], &self.pool.sessions[takeover.victim]);
                if own.server != other.server {
                    self.set_end(takeover.victim, Until::Offset(takeover.start));
                }
                self.take_over(id, file, &takeover);
            }
            Offer::Wait(until) => self.look_again_by(until),
            Offer::StandBy => {
                if self.pool.wants_rtt_at_rest(id) {
                    self.pool.probe_rtt(id, self.now, &mut self.out);
                }
            }
        }
    }

    fn ask_for_vote(&mut self, id: SessionId, file: FileId, overlap: ComparisonId, end: u64) {
        let Some(mirror) = self.files[file].mirror_on(self.pool.sessions[id].server) else { return };
        self.files[file].vote_asked(mirror);
        self.retrieve(id, file, end, Until::Offset(end));
        if let Some(transfer) = self.pool.sessions[id].transfer_mut() {
            transfer.purpose = Purpose::Vote(overlap);
        }
    }

    /// Fetches from the first missing byte on; from the start, if the server or the representation type allow no restart.
    fn fetch_from_gap(&mut self, id: SessionId, file: FileId, until: Until) {
        let known = &self.files[file];
        let restarts = self.pool.servers[self.pool.sessions[id].server].restarts;
        let gap = known.ledger.first_gap();
        if restarts && !known.is_ascii() {
            // Bytes of an earlier run behind the gap are not overwritten before they are known to be old.
            let until = if gap.end < until.end() { Until::Offset(gap.end) } else { until };
            self.retrieve(id, file, gap.start, until);
        } else if known.in_order && gap.start > 0 {
            // Bytes that have gone to a pipe cannot be taken back.
            if let Some(mirror) = known.mirror_on(self.pool.sessions[id].server) {
                self.drop_mirror(file, mirror, MirrorFault::CannotResume);
            }
        } else {
            self.retrieve(id, file, 0, until);
        }
    }

    fn retrieve(&mut self, id: SessionId, file: FileId, offset: u64, until: Until) {
        if self.pool.sessions[id].file != Some(file) {
            self.ask_for_facts(id, file);
        }
        let session = &mut self.pool.sessions[id];
        let known = &self.files[file];
        let Some(mirror) = known.mirror_on(session.server) else { return };
        let replica = &known.replicas[mirror];
        let Some(path) = replica.path_in(offers::form(session, replica)) else { return };
        let request = session.next_request();
        let ahead = std::mem::replace(&mut session.ahead, Ahead::None);
        let saved = self.pool.servers[session.server].path.saved_by(ahead);
        let transfer = Transfer::new(request, (file, mirror), offset, until, self.now);
        session.task = Task::Transfer(Transfer { saved, ..transfer });
        (session.requested, session.rests_until) = (Some(self.now), None);
        let mut part = Retrieve::new(path, offset, until);
        // No bytes meet in a file that one connection fetches in order.
        part.overlap = if known.is_single() { 0 } else { OVERLAP };
        self.about_to_write(file, offset..until.end());
        self.out.push(Directive::Retrieve(id, request, file, part));
    }

    /// Fetches what another session was given.
    fn take_over(&mut self, id: SessionId, file: FileId, takeover: &Takeover) {
        let victim = self.pool.sessions[takeover.victim].transfer();
        let unstarted = victim.filter(|transfer| !transfer.delivers());
        // Only a takeover of the whole range counts: a session that got the tail of a young transfer has not waited for it.
        let takeovers = unstarted.map_or(0, |transfer| {
            transfer.takeovers.saturating_add((takeover.start == transfer.start).into())
        });
        self.retrieve(id, file, takeover.start, self.until(file, takeover.end));
        if let Some(transfer) = self.pool.sessions[id].transfer_mut() {
            transfer.takeovers = takeovers;
        }
    }

    /// A session without a task watches the others: that one of them has fallen silent shows by no report.
    fn watch(&mut self, id: SessionId) {
        let session = &self.pool.sessions[id];
        if !session.is_free() || !self.pool.sessions.values().any(|session| session.transfer().is_some()) {
            return;
        }
        for file in self.files_of(id) {
            let known = &self.files[file];
            let serves = self.view(file, |view| view.serves(&self.pool.sessions[id]));
            if known.is_single() || known.ledger.size().is_none() || !serves {
                continue;
            }
            self.look_again_by(self.now + WATCH);
            self.confirm_early(id, file);
            self.prepare(id);
        }
    }

    fn look_again_by(&mut self, at: Instant) {
        self.look_again = Some(self.look_again.map_or(at, |known| known.min(at)));
    }

    /// Has an idle session make the data connection of its next transfer: it takes over sooner when another session slows down.
    fn prepare(&mut self, id: SessionId) {
        let now = self.now;
        let session = &mut self.pool.sessions[id];
        let due = match session.ahead {
            Ahead::None => true,
            // A server may close a connection that is not used, without a word: the request is repeated.
            Ahead::Requested(_, since) | Ahead::Ready(since) => now.since(since) >= KEPT,
        };
        if due && self.pool.servers[session.server].restarts {
            let request = session.next_request();
            session.ahead = Ahead::Requested(request, now);
            self.out.push(Directive::Request(id, request, Request::Prepare));
        }
    }
}
