//! The machine: reports go in, directives come out.

mod reports;

use super::directive::{Directive, ServerSettings, Settings, Wanted};
use super::error::MirrorFault;
use super::file::File;
use super::ids::{ComparisonId, FileId, ServerId};
use super::job::Job;
use super::status::FileStatus;
use ftp_proto::Instant;
use std::collections::BTreeSet;
use std::net::SocketAddr;

/// Fetches any number of files from any number of servers. See the [module](super).
#[derive(Debug)]
pub struct Fetcher {
    job: Job,
    /// Files whose end the driver knows by [`Directive::Done`].
    ended: BTreeSet<FileId>,
}

impl Fetcher {
    /// A fetcher without servers and files.
    #[must_use]
    pub fn new(settings: Settings, now: Instant) -> Self {
        Self { job: Job::new(settings, now), ended: BTreeSet::new() }
    }

    /// Adds a server, at any time before the job is over.
    pub fn add_server(&mut self, settings: ServerSettings) -> ServerId {
        let id = self.job.pool.add_server(settings);
        self.job.out.push(Directive::Resolve(id));
        id
    }

    /// Adds a file, at any time before the job is over. Files are begun in the order in which they were added.
    ///
    /// # Panics
    /// If a mirror names a server that was not added.
    pub fn add(&mut self, wanted: Wanted, now: Instant) -> FileId {
        let id = self.job.files.push(File::new(wanted));
        let file = &mut self.job.files[id];
        for replica in file.replicas.values_mut() {
            let server = &mut self.job.pool.servers[replica.server];
            if let Some(fault) = &server.failure {
                (replica.is_dropped, replica.failure) = (true, Some(fault.clone()));
            } else {
                server.users = server.users.saturating_add(1);
            }
        }
        if !file.heads.is_empty() {
            // They are overwritten before they are compared: no later run may find the new bytes in front of old ones.
            self.job.out.push(Directive::Retract(id));
        }
        self.job.queue.push_back(id);
        if self.job.active.is_empty() {
            self.job.activate(id);
        }
        self.plan(now);
        id
    }

    /// Takes the addresses of a server, or the resolver's words.
    pub fn resolved(&mut self, id: ServerId, found: Result<Vec<SocketAddr>, String>, now: Instant) {
        if self.is_over() || self.job.pool.servers.get(id).is_none() {
            return;
        }
        match found {
            Ok(addresses) if !addresses.is_empty() => self.job.pool.servers[id].resolved(addresses),
            Ok(_) => self.job.drop_server(id, &MirrorFault::UnknownHost(None)),
            Err(error) => self.job.drop_server(id, &MirrorFault::UnknownHost(Some(error))),
        }
        self.plan(now);
    }

    /// Takes the passing of time.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.plan(now);
    }

    /// Takes the answer to [`Directive::Compare`].
    pub fn compared(&mut self, id: FileId, comparison: ComparisonId, same: bool, now: Instant) {
        if self.job.is_active(id) {
            self.job.on_compared(id, comparison, same);
            self.plan(now);
        }
    }

    /// Takes the answer to [`Directive::Found`]: whether the finished file that was here before has the checksum. If not, it is
    /// fetched again.
    pub fn compared_finished(&mut self, id: FileId, same: bool, now: Instant) {
        if let Some(file) = self.job.files.get(id).filter(|file| !file.is_done()) {
            let rejected = !same && file.is_here_already();
            if let Some(lookup) = &mut self.job.files[id].lookup {
                lookup.compared();
            }
            if rejected {
                self.job.reject_finished(id);
            }
        }
        self.plan(now);
    }

    /// Ends the job for a reason from outside. Only notices that wait follow; bytes that are reported still count.
    pub fn stop(&mut self) {
        self.job.is_stopped = true;
    }

    /// The next act that the engine wants done.
    pub fn poll(&mut self) -> Option<Directive> {
        while !self.is_over() {
            let directive = self.job.out.pop()?;
            if self.job.is_stopped && !matches!(directive, Directive::Notice(_)) {
                continue;
            }
            let Some(file) = directive.file() else { return Some(directive) };
            // Conclusions are drawn, and late reports come, after a file has ended.
            if self.ended.contains(&file) {
                continue;
            }
            if matches!(directive, Directive::Done(..)) {
                self.ended.insert(file);
            }
            return Some(directive);
        }
        None
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called next.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.job.poll_timeout()
    }

    /// How far a file has come.
    ///
    /// # Panics
    /// If the file was not added.
    #[must_use]
    pub fn status(&self, id: FileId) -> FileStatus<'_> {
        FileStatus::new(&self.job.files[id], self.job.flights(id))
    }

    /// The number of sessions that fetch.
    #[must_use]
    pub fn fetching(&self) -> usize {
        self.job
            .pool
            .sessions
            .values()
            .filter(|session| session.is_ready() && session.transfer().is_some())
            .count()
    }

    /// The number of connections that the job has.
    #[must_use]
    pub const fn connections(&self) -> usize {
        self.job.pool.slots.len()
    }

    /// Whether all files are done: no further directive comes, and reports change nothing but the bytes that have come.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.job.files.len() > 0 && self.ended.len() == self.job.files.len()
    }

    /// Lets the job draw its conclusions.
    fn plan(&mut self, now: Instant) {
        if !self.job.is_stopped && !self.is_over() {
            self.job.plan(now);
        }
    }
}
