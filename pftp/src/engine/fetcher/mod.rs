//! The machine that joins the pool and the files.

mod closing;
mod evidence;
mod failures;
mod reports;
mod transfers;
mod work;

use super::Outbox;
use super::collect_demand::collect_demand;
use super::directive::{Directive, ServerSettings, Settings, Wanted};
use super::error::{EngineError, MirrorFault, Notice};
use super::file::{File, Flight, State};
use super::forecast::View;
use super::ids::{Arena, ComparisonId, FileId, ServerId};
use super::pool::Pool;
use super::pool::demand::Demand;
use super::pool::session::Session;
use super::status::FileStatus;
use ftp_proto::{Instant, SessionId, Until};
use std::collections::{BTreeSet, VecDeque};
use std::net::SocketAddr;

/// Fetches any number of files from any number of servers. See the [module](super).
#[derive(Debug)]
pub struct Fetcher {
    settings: Settings,
    pool: Pool,
    files: Arena<FileId, File>,
    /// Files that are being fetched.
    active: BTreeSet<FileId>,
    /// Files that wait for a free session.
    queue: VecDeque<FileId>,
    /// Files whose end has been told by [`Directive::Done`].
    told: BTreeSet<FileId>,
    out: Outbox,
    /// When to look again whether a transfer has become slow enough to help it.
    look_again: Option<Instant>,
    now: Instant,
    is_stopped: bool,
}

impl Fetcher {
    /// A fetcher without servers and files.
    #[must_use]
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self {
            settings,
            pool: Pool::new(settings),
            files: Arena::new(),
            active: BTreeSet::new(),
            queue: VecDeque::new(),
            told: BTreeSet::new(),
            out: Outbox::default(),
            look_again: None,
            now,
            is_stopped: false,
        }
    }

    /// Adds a server, at any time before the job is over.
    pub fn add_server(&mut self, settings: ServerSettings) -> ServerId {
        let id = self.pool.add_server(settings);
        self.out.push(Directive::Resolve(id));
        id
    }

    /// Adds a file, at any time before the job is over. Files are begun in the order in which they were added.
    ///
    /// # Panics
    /// If a mirror names a server that was not added.
    pub fn add(&mut self, wanted: Wanted, now: Instant) -> FileId {
        let id = self.files.push(File::new(wanted));
        let file = &mut self.files[id];
        for replica in file.replicas.values_mut() {
            let server = &mut self.pool.servers[replica.server];
            if let Some(fault) = &server.failure {
                (replica.is_dropped, replica.failure) = (true, Some(fault.clone()));
            } else {
                server.users = server.users.saturating_add(1);
            }
        }
        if !file.heads.is_empty() {
            // They are overwritten before they are compared: no later run may find the new bytes in front of old ones.
            self.out.push(Directive::Retract(id));
        }
        self.queue.push_back(id);
        if self.active.is_empty() {
            self.activate(id);
        }
        self.plan(now);
        id
    }

    /// Takes the addresses of a server, or the resolver's words.
    pub fn resolved(&mut self, id: ServerId, found: Result<Vec<SocketAddr>, String>, now: Instant) {
        if self.is_over() || self.pool.servers.get(id).is_none() {
            return;
        }
        match found {
            Ok(addresses) if !addresses.is_empty() => self.pool.servers[id].resolved(addresses),
            Ok(_) => self.drop_server(id, &MirrorFault::UnknownHost(None)),
            Err(error) => self.drop_server(id, &MirrorFault::UnknownHost(Some(error))),
        }
        self.plan(now);
    }

    /// Takes the passing of time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.plan(now);
    }

    /// Takes the answer to [`Directive::Compare`].
    pub fn compared(&mut self, id: FileId, comparison: ComparisonId, same: bool, now: Instant) {
        if self.is_active(id) {
            self.on_compared(id, comparison, same);
            self.plan(now);
        }
    }

    /// Takes the answer to [`Directive::Found`]: whether the finished file that was here before has the checksum. If not, it is
    /// fetched again.
    pub fn compared_finished(&mut self, id: FileId, same: bool, now: Instant) {
        if let Some(file) = self.files.get(id).filter(|file| !file.is_done()) {
            let rejected = !same && file.is_here_already();
            if let Some(lookup) = &mut self.files[id].lookup {
                lookup.compared();
            }
            if rejected {
                self.reject_finished(id);
            }
        }
        self.plan(now);
    }

    /// Ends the job for a reason from outside. Only notices that wait follow; bytes that are reported still count.
    pub fn stop(&mut self) {
        self.is_stopped = true;
    }

    /// The next act that the engine wants done.
    pub fn poll(&mut self) -> Option<Directive> {
        while !self.is_over() {
            let directive = self.out.pop()?;
            if self.is_stopped && !matches!(directive, Directive::Notice(_)) {
                continue;
            }
            let Some(file) = directive.file() else { return Some(directive) };
            // Conclusions are drawn, and late reports come, after a file has ended.
            if self.told.contains(&file) {
                continue;
            }
            if matches!(directive, Directive::Done(..)) {
                self.told.insert(file);
            }
            return Some(directive);
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let lookups = self.active.iter().filter_map(|id| {
            let running = self.files[*id].lookup.as_ref()?.running()?;
            Some(running.until)
        });
        let confirmations = self.active.iter().filter_map(|id| self.confirmation_due(*id));
        self.pool.poll_timeout(self.now).chain(self.look_again).chain(lookups).chain(confirmations).min()
    }

    /// How far a file has come.
    ///
    /// # Panics
    /// If the file was not added.
    #[must_use]
    pub fn status(&self, id: FileId) -> FileStatus<'_> {
        FileStatus::new(&self.files[id], self.flights(id))
    }

    /// The number of sessions that fetch.
    #[must_use]
    pub fn fetching(&self) -> usize {
        self.pool
            .sessions
            .values()
            .filter(|session| session.is_ready() && session.transfer().is_some())
            .count()
    }

    /// The number of connections that the job has.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.pool.slots.len()
    }

    /// Whether all files are done: no further directive comes, and reports change nothing but the bytes that have come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.files.len() > 0 && self.told.len() == self.files.len()
    }

    /// Whether the file is being fetched.
    fn is_active(&self, id: FileId) -> bool {
        !self.is_stopped && self.active.contains(&id)
    }

    /// Begins to fetch a file that waited.
    fn activate(&mut self, id: FileId) {
        self.queue.retain(|queued| *queued != id);
        self.active.insert(id);
        self.files[id].state = State::Active;
    }

    /// The files that are being fetched.
    fn active(&self) -> Vec<FileId> {
        self.active.iter().copied().collect()
    }

    /// Draws all conclusions from the state: opens sessions, and gives tasks to free ones.
    fn plan(&mut self, now: Instant) {
        if self.is_stopped || self.is_over() {
            return;
        }
        self.now = now;
        self.pool.probe_limits(now);
        self.limit_lookups();
        self.pool.expire(now);
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
        self.conclude();
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

    fn notice(&mut self, notice: Notice) {
        self.out.push(Directive::Notice(notice));
    }

    /// The transfers of a file that are under way.
    fn flights(&self, id: FileId) -> Vec<Flight> {
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
    fn view<R>(&self, id: FileId, look: impl FnOnce(&View<'_>) -> R) -> R {
        let (demand, flights) = (self.demand(), self.flights(id));
        let file = &self.files[id];
        look(&View { pool: &self.pool, demand: &demand, id, file, flights: &flights, now: self.now })
    }

    /// The demand of the files.
    fn demand(&self) -> Demand {
        let active = self.active.iter().map(|id| (&self.files[*id], self.flights(*id))).collect::<Vec<_>>();
        let queued = self.queue.iter().map(|id| &self.files[*id]);
        collect_demand(&self.pool.servers, &active, queued)
    }

    /// Has a transfer end where it is; others get what is left of its range.
    fn cut_off(&mut self, id: SessionId, at: u64) {
        if let Some(transfer) = self.pool.sessions[id].transfer_mut() {
            transfer.is_cut = true;
            let request = transfer.request;
            self.out.push(Directive::SetEnd(id, request, Until::Offset(at)));
        }
    }
}
