//! The expected progress of running transfers and free sessions: the figures that offers are compared by.

use super::file::confirm::CLOSING;
use super::file::{File, Flight};
use super::ids::{FileId, MirrorId, ServerId};
use super::pool::Pool;
use super::pool::demand::Demand;
use super::pool::running::Running;
use super::pool::session::{Session, Transfer};
use ftp_proto::{Instant, SessionId};
use std::cell::OnceCell;
use std::cmp::Reverse;
use std::time::Duration;

/// The assumed rate of a session in bytes per second while no rate is known.
const ASSUMED_RATE: u64 = 1024 * 1024;

/// No session is expected to bring more than so many times its share of the best flow of its server.
const SHARES: u64 = 2;

/// A file and the sessions that may fetch it, at one moment.
pub(super) struct View<'a> {
    pub(super) pool: &'a Pool,
    /// Computes the demand of all files. Few rules need it.
    pub(super) demand: &'a dyn Fn() -> Demand,
    pub(super) id: FileId,
    pub(super) file: &'a File,
    pub(super) flights: &'a [Flight],
    pub(super) now: Instant,
    /// Computed when it is first asked for.
    running: OnceCell<Vec<(SessionId, Running)>>,
}

impl<'a> View<'a> {
    /// A look at a file and its transfers.
    pub(super) const fn new(
        pool: &'a Pool,
        demand: &'a dyn Fn() -> Demand,
        (id, file, flights): (FileId, &'a File, &'a [Flight]),
        now: Instant,
    ) -> Self {
        Self { pool, demand, id, file, flights, now, running: OnceCell::new() }
    }

    /// The mirror that a session fetches the file from.
    pub(super) fn mirror_of(&self, session: &Session) -> Option<MirrorId> {
        self.file.mirror_on(session.server)
    }

    /// Whether the session may fetch the file: it goes on, and its mirror has not shown another file.
    pub(super) fn serves(&self, session: &Session) -> bool {
        let mirror = self.mirror_of(session).map(|mirror| &self.file.replicas[mirror]);
        !session.is_closing() && mirror.is_some_and(|mirror| mirror.serves())
    }

    /// The sessions that fetch the file and whose bytes may count.
    pub(super) fn fetching(&self) -> impl Iterator<Item = (SessionId, &'a Session, &'a Transfer)> + use<'a> {
        let (file, of) = (self.file, self.id);
        self.pool.sessions.iter().filter_map(move |(id, session)| {
            let transfer = session.transfer_of(of)?;
            let counts = !session.is_closing() && file.replicas[transfer.mirror].serves();
            counts.then_some((id, session, transfer))
        })
    }

    /// The time after the last byte of the last transfer from the mirror until the mirror has confirmed that the file is the
    /// same. No time if another session than `taker` is idle, as that one asks before.
    pub(super) fn closing_time(&self, mirror: MirrorId, taker: Option<SessionId>) -> Duration {
        let replica = &self.file.replicas[mirror];
        let idle = |(id, session): (SessionId, &Session)| {
            session.server == replica.server && session.is_free() && Some(id) != taker
        };
        let asked_before = self.file.is_of_one_transfer() || self.pool.sessions.iter().any(idle);
        if replica.facts.is_none() || asked_before {
            return Duration::ZERO;
        }
        self.pool.servers[replica.server].path.round_trip().saturating_mul(CLOSING)
    }

    /// The transfers under way whose ranges no other session is fetching, the one that would end last first.
    pub(super) fn running(&self) -> &[(SessionId, Running)] {
        self.running.get_or_init(|| self.compute_running())
    }

    fn compute_running(&self) -> Vec<(SessionId, Running)> {
        // The same for all sessions of a mirror, and costly to compute.
        let guesses: Vec<(u64, Duration)> = self
            .file
            .replicas
            .iter()
            .map(|(mirror, replica)| (self.guess(replica.server), self.closing_time(mirror, None)))
            .collect();
        let mut running: Vec<(SessionId, Running)> = self
            .fetching()
            .filter_map(|(id, session, transfer)| {
                let server = &self.pool.servers[session.server];
                let (guess, closing) = guesses.get(transfer.mirror.0).copied()?;
                let path = &server.path;
                let usual = path.first_byte_time().saturating_add(path.login_time(session.stage));
                let mut running = session.running(guess, usual, self.now)?;
                // A fresh data connection may bring that much, and so may this one, or two sessions would take turns for ever.
                if running.rate > 0 && !transfer.delivers() {
                    running.rate = running.rate.max(server.refresh.fresh_rate().unwrap_or(0));
                }
                running.closing = closing;
                Some((id, running))
            })
            .collect();
        running.retain(|(id, running)| !running.left.is_empty() && !self.is_fetched_twice(*id, running));
        running.sort_by_key(|(_, running)| Reverse(running.time_to_close()));
        running
    }

    fn is_fetched_twice(&self, id: SessionId, running: &Running) -> bool {
        self.flights.iter().any(|flight| {
            flight.session != id
                && !flight.is_closing
                && flight.left.start < running.left.end
                && running.left.start < flight.until.end()
        })
    }

    /// Bytes that the transfer of the session may bring within that time; none if it is silent, or has brought too little to go
    /// by. TCP's slow start brings twice as much in each round trip as in the one before.
    pub(super) fn may_bring(&self, id: SessionId, within: Duration) -> u64 {
        let session = &self.pool.sessions[id];
        let round_trip = self.pool.servers[session.server].path.round_trip();
        let late = session.rate.last_two(round_trip, self.now).filter(|(late, _)| *late > 0);
        let rate = late.map_or(0, |(late, early)| late.max(early)).saturating_mul(2);
        rate.saturating_mul(u64::try_from(within.as_millis()).unwrap_or(u64::MAX)) / 1000
    }

    /// Bytes per second to expect of a session of the server whose rate is not known: the mean of the server's others, or of
    /// all.
    pub(super) fn guess(&self, server: ServerId) -> u64 {
        // Silent sessions say nothing about the rate.
        let mean = |mut rates: Vec<u64>| {
            rates.retain(|rate| *rate > 0);
            let sum = rates.iter().fold(0_u64, |sum, rate| sum.saturating_add(*rate));
            sum.checked_div(rates.len() as u64)
        };
        let path = &self.pool.servers[server].path;
        let usual = path.first_byte_time();
        let own = self.pool.sessions.values().filter(|session| session.server == server);
        let own: Vec<u64> = own.filter_map(|session| session.late_rate(usual, self.now)).collect();
        let Some(guess) = mean(own) else {
            let all = self.pool.sessions.values().filter_map(|session| session.rate.measured(self.now));
            return mean(all.collect()).unwrap_or(ASSUMED_RATE);
        };
        // If one session had nearly the whole path, so many cannot each bring as much.
        let fetching = self.pool.sessions.values().filter(|session| {
            session.server == server && session.transfer().is_some() && !session.is_closing()
        });
        let share = path.best_flow.saturating_mul(SHARES) / (fetching.count() as u64).max(1);
        if share > 0 { guess.min(share) } else { guess }
    }
}
