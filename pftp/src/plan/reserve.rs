//! A session in reserve: where some connections to a mirror fill the path, one more adds nothing but what it is ready for.
//!
//! A transfer that has come to the end of its part leaves the path idle for the round trips in which it is cut and another
//! data connection is made; and the first packets of the next are lost if they meet a queue that is still full. A session
//! that has a data connection ahead takes over when the queue has drained, and who was cut is in reserve from then on.
//!
//! So of several mirrors each begins with one connection, and the others that the user wants are logged in and wait until it
//! is seen whether that one fills the path: by an answer that comes late, once what comes grows no more. One that was added,
//! and has found the path full by how long it took to be dialled, stays for the same use. Of a single mirror all are used at
//! once: nobody has anything to leave to others there.

use super::connection::{Ahead, Connection};
use super::mirror::{Mirror, Verdict};
use super::{Directive, Planner};
use ftp_proto::{Command, Instant, Request, RequestId, SessionId};
use std::time::Duration;

/// Whether the path to a mirror is full.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Fullness {
    /// That has yet to be seen.
    Unknown,
    /// So many connections have been found to fill it. A session beside so many is in reserve.
    With(usize),
    /// Those that there were did not fill it.
    Room,
}

/// After that time nothing is heard of a data connection that was to be made ahead: the server has refused it.
const UNPREPARED: Duration = Duration::from_secs(2);

/// The question of a session in reserve that shows how long packets wait on the way.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Echo {
    /// It has been asked then.
    Asked(RequestId, Instant),
    /// The answer took that long.
    Took(Duration),
}

impl Planner {
    /// Whether the session has nothing to do but to be ready: others fill the path to its mirror.
    pub(super) fn is_in_reserve(&self, id: SessionId, now: Instant) -> bool {
        let Some(connection) = self.connections.get(&id).filter(|connection| connection.segment.is_none())
        else {
            return false;
        };
        let busy = || self.fetching_from(connection.mirror, now);
        let known = self.mirrors.get(connection.mirror);
        known.is_some_and(|known| {
            // What has just begun brings less for a moment; later that says that the path is not full any more.
            let begins = || busy().any(|other| !other.delivers() || !other.rate.has_settled(now));
            self.full_with(connection.mirror).is_some_and(|full| busy().count() >= full)
                && (begins() || !known.brings_less(now))
        })
    }

    /// How many connections fill the path to the mirror, as far as is known: one, while that has yet to be seen.
    fn full_with(&self, mirror: usize) -> Option<usize> {
        match self.mirrors.get(mirror).filter(|_| self.waits_to_see())?.growth.fullness {
            Fullness::With(connections) => Some(connections),
            Fullness::Unknown => Some(1),
            Fullness::Room => None,
        }
    }

    /// Whether connections to a mirror but the first wait until it is seen whether that fills the path: of a single mirror all
    /// are used at once that the user wants.
    pub(super) fn waits_to_see(&self) -> bool {
        self.restarting() > 1
    }

    /// How many mirrors can send parts of the file, as far as is known.
    fn restarting(&self) -> usize {
        let sends = |known: &&Mirror| known.is_alive() && known.restarts && known.verdict != Verdict::Differs;
        self.mirrors.iter().filter(sends).count()
    }

    /// The connections over which something is fetched from the mirror, but those that are not waited for any more.
    pub(super) fn fetching_from(&self, mirror: usize, now: Instant) -> impl Iterator<Item = &Connection> {
        let usual = self.mirrors.get(mirror).map(Mirror::first_byte_time).unwrap_or_default();
        self.connections.values().filter(move |connection| {
            let running = || connection.running(1, usual, now);
            // Neither what is silent or late, nor a vote, nor what is being let go of.
            connection.mirror == mirror
                && running().is_some_and(|running| running.rate > 0 && running.delay <= usual)
        })
    }

    /// Whether the mirror has a session in reserve, or one that is about to be.
    pub(super) fn has_reserve(&self, mirror: usize, now: Instant) -> bool {
        let of = |(id, connection): (&SessionId, &Connection)| {
            connection.mirror == mirror && !connection.closing && self.is_in_reserve(*id, now)
        };
        self.connections.iter().any(of)
    }

    /// A session of the mirror that is in reserve, and waits for no reply that could hold up another.
    pub(super) fn reserve_of(&self, mirror: usize, now: Instant) -> Option<SessionId> {
        let idle = |(id, connection): &(&SessionId, &Connection)| {
            connection.mirror == mirror
                && connection.is_free()
                && !matches!(connection.ahead, Ahead::Asked(_, since) if now.since(since) < UNPREPARED)
                && !self.is_asking(**id)
                && self.is_in_reserve(**id, now)
        };
        self.connections.iter().find(idle).map(|(id, _)| *id)
    }

    /// The mirror's path has been found full by one more than the `others`. Whether that one is to stay, in reserve.
    pub(super) fn keep_in_reserve(&mut self, mirror: usize, others: usize) -> bool {
        // Of a single mirror nobody has anything to leave to others: who ends first is one too many.
        let wanted = self.restarting() > 1;
        if let Some(known) = self.mirrors.get_mut(mirror).filter(|_| wanted) {
            known.growth.fullness = Fullness::With(others.max(1));
        }
        wanted
    }

    /// Has a session of the mirror that is in reserve, if there is one, find out whether the path is still full: its connection.
    pub(super) fn probe_with_reserve(&mut self, mirror: usize, now: Instant) -> Option<usize> {
        let id = self.reserve_of(mirror, now)?;
        self.ask_for_echo(id, now)
    }

    /// The same before anything has come from the mirror: what its server takes to answer where no packet waits on the way.
    pub(super) fn probe_at_rest(&mut self, id: SessionId, now: Instant) {
        let Some(mirror) = self.connections.get(&id).map(|connection| connection.mirror) else { return };
        let at_rest = self.mirrors.get(mirror).is_some_and(|known| known.best_flow == 0);
        let asked = |other: &Connection| other.mirror == mirror && other.echo.is_some();
        if at_rest && !self.connections.values().any(asked) {
            self.ask_for_echo(id, now);
        }
    }

    fn ask_for_echo(&mut self, id: SessionId, now: Instant) -> Option<usize> {
        let connection = self.connections.get_mut(&id)?;
        let request = connection.next_request();
        connection.echo = Some(Echo::Asked(request, now));
        self.directives.push_back(Directive::Request(id, request, Request::Command(Command::Noop)));
        Some(connection.slot)
    }

    /// Until when a session that has nothing to do waits for the queue to drain: what a transfer that has just been cut has
    /// under way still fills it, and the first packets of the next would be lost in it.
    pub(super) fn drains_until(&self, id: SessionId, now: Instant) -> Option<Instant> {
        let mirror = self.connections.get(&id)?.mirror;
        self.full_with(mirror)?;
        let known = self.mirrors.get(mirror)?;
        // The server has heard of the cut by then.
        let until = known.cut_at? + known.round_trip() / 2;
        (until > now).then_some(until)
    }

    /// An answer of the session has come.
    pub(super) fn hear_echo(&mut self, id: SessionId, request: RequestId, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(known) = self.mirrors.get_mut(connection.mirror) else { return };
        if let Some(Echo::Asked(asked, since)) = connection.echo
            && asked == request
        {
            let took = now.since(since);
            connection.echo = Some(Echo::Took(took));
            if known.best_flow == 0 {
                known.answers_in = Some(known.answers_in.map_or(took, |usual| usual.min(took)));
            }
        }
    }
}

impl Connection {
    /// How long a packet took there and back where the path is to be seen: in the dialling of a connection that has no work
    /// yet, or in what it was asked.
    pub(super) fn took_there_and_back(&self) -> Option<Duration> {
        match self.echo {
            Some(Echo::Took(took)) => Some(took),
            Some(Echo::Asked(..)) => None,
            None => self.dialled_in.filter(|_| !self.is_ready()),
        }
    }
}

impl Mirror {
    /// Whether the answer comes as late as it does where packets wait in a queue.
    pub(super) fn is_queued(&self, took: Duration) -> bool {
        let (percent, least) = QUEUE;
        // A busy server takes time to answer as well.
        let usual = self.answers_in.unwrap_or_default().max(self.round_trip());
        took >= (usual.saturating_mul(percent) / 100).max(usual.saturating_add(least))
    }
}

/// Packets take that much longer there and back on a full path, per cent, and at least so much.
const QUEUE: (u32, Duration) = (110, Duration::from_millis(5));
