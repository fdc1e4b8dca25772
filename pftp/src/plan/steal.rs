//! What a session does for which nothing is left: it takes work from the transfer that would end last.

use super::connection::Connection;
use super::mirror::Mirror;
use super::seams::LEAD;
use super::segment::{LEAST_SAVING, Running, Taker, tail};
use super::{Directive, Planner};
use ftp_proto::{Command, Instant, Request, SessionId, Until};
use std::cmp::Reverse;
use std::time::Duration;

/// Bytes per second that a connection is taken to have while nothing is known of any.
const GUESS: u64 = 1024 * 1024;

/// How much longer a transfer has to take than a copy of what is left of it, per cent, for that to be fetched.
const COPY_PAYS: u128 = 150;

/// No connection is taken to bring more than that many times its share of the most that ever came from its mirror.
const SHARES: u64 = 2;

/// What a transfer is thought to bring of its rate when one of the same mirror takes its tail, per cent. Their rates change
/// with each packet that is lost: who has taken too little is free sooner, but who has taken too much is the last, and has to
/// be helped at the price of another data connection.
const BRINGS: u128 = 125;

impl Planner {
    /// Takes the tail of the transfer that would end last, if that ends it sooner; else fetches what is left of it a second
    /// time, if that is there first.
    pub(super) fn take_over(&mut self, id: SessionId, now: Instant) {
        // While the size is not known, nobody can say what is left of a transfer: there is no tail to take.
        if Self::is_single(&self.settings) || self.size.is_none() {
            return;
        }
        let Some(free) = self.connections.get(&id) else { return };
        let mirror_of = free.mirror;
        let Some(mirror) = self.mirrors.get(mirror_of) else { return };
        // A fresh data connection may bring more than an old one.
        let rate = free.rate.established().unwrap_or_else(|| self.guess(free.mirror, now));
        let rate = rate.max(mirror.renewal.fresh().unwrap_or(0));
        let least = self.settings.min_tail;
        // What the other server is to have sent before the first byte that counts.
        let lead = Duration::from_millis(LEAD.saturating_mul(1000) / rate.max(1));
        let closing = self.closing_time(mirror_of, Some(id));
        let before = lead.saturating_add(mirror.login_time(free.stage));
        let spared = mirror.spared(free.ahead).unwrap_or_default();
        let first_byte = mirror.first_byte_time().saturating_sub(spared);
        let set_up = mirror.set_up_time(first_byte, rate).saturating_add(before);
        let first_byte = first_byte.saturating_add(before);
        let taker = Taker { rate, set_up, closing, least };
        let running = self.running(now);
        // The one that would end last may have too little left to share.
        let shared = running.iter().find_map(|(id, running)| {
            let same = self.connections.get(id).map(|victim| victim.mirror) == Some(mirror_of);
            let brings = if same { BRINGS } else { 100 };
            let take = tail(running, &taker, brings)?;
            // What has yet to log in is not there in time to help one that was left too little.
            let kept = if free.is_ready() { 0 } else { self.may_bring(*id, set_up, now) };
            let take = take.min(running.left.end.saturating_sub(running.left.start).saturating_sub(kept));
            (take >= least.max(1)).then_some((*id, running.left.end, running.rate, take))
        });
        if let Some((victim, end, victims_rate, take)) = shared {
            let start = end.saturating_sub(take);
            self.cut(victim, start, victims_rate);
            let until = self.until(end);
            return self.retrieve_from(victim, id, start, until);
        }
        let copied = running.into_iter().find(|(_, running)| {
            let flows = running.len().saturating_mul(1000) / u128::from(rate.max(1));
            let again = flows.saturating_add(first_byte.saturating_add(closing).as_millis());
            // What is longer is to be shared, if that pays, and may be.
            let short =
                flows <= first_byte.as_millis() || running.len() < u128::from(least).saturating_mul(2);
            let pays = u128::from(running.time_to_close()) > again.saturating_mul(COPY_PAYS) / 100;
            // How long its mirror takes to close is no reason.
            short && pays && u128::from(running.time_left()) > LEAST_SAVING
        });
        if let Some((slow, running)) = copied {
            let (start, until) = (running.left.start, self.until(running.left.end));
            // Of two mirrors only one may write what no lead shows to be the same.
            if self.connections.get(&slow).map(|slow| slow.mirror) != Some(mirror_of) {
                self.set_end(slow, Until::Offset(start));
            }
            self.retrieve_from(slow, id, start, until);
        }
    }

    /// Bytes that the transfer of the session may bring in that time; none if it has fallen silent, or has brought too little to
    /// go by. TCP's slow start brings twice as much in each round trip as in the one before.
    fn may_bring(&self, id: SessionId, within: Duration, now: Instant) -> u64 {
        let connection = self.connections.get(&id);
        let mirror = connection.and_then(|connection| self.mirrors.get(connection.mirror));
        let Some((connection, mirror)) = connection.zip(mirror) else { return 0 };
        let lately = connection.rate.last_two(mirror.round_trip(), now).filter(|(late, _)| *late > 0);
        let rate = lately.map_or(0, |(late, early)| late.max(early)).saturating_mul(2);
        rate.saturating_mul(u64::try_from(within.as_millis()).unwrap_or(u64::MAX)) / 1000
    }

    /// Takes over what another session was given.
    fn retrieve_from(&mut self, victim: SessionId, id: SessionId, start: u64, until: Until) {
        let segment = |id: &SessionId| self.connections.get(id).and_then(|known| known.segment.as_ref());
        let unstarted = segment(&victim).filter(|segment| segment.at == segment.start);
        // Who has got the tail of one that was asked for a moment ago has not been waiting for it.
        let taken =
            unstarted.map_or(0, |segment| segment.taken.saturating_add((start == segment.start).into()));
        self.retrieve(id, start, until);
        if let Some(segment) = self.connections.get_mut(&id).and_then(|known| known.segment.as_mut()) {
            segment.taken = taken;
        }
    }

    /// The transfers under way of which nobody else is fetching anything, the one that would end last first.
    pub(super) fn running(&self, now: Instant) -> Vec<(SessionId, Running)> {
        // The same for all connections of a mirror, and to find it takes a look at each of them.
        let guesses: Vec<(u64, Duration)> = (0..self.mirrors.len())
            .map(|mirror| (self.guess(mirror, now), self.closing_time(mirror, None)))
            .collect();
        let mut running: Vec<(SessionId, Running)> = self
            .connections
            .iter()
            .filter(|(_, connection)| self.may_go_on(connection))
            .filter_map(|(id, connection)| {
                let mirror = self.mirrors.get(connection.mirror)?;
                let (guess, closing) = guesses.get(connection.mirror).copied()?;
                let usual = mirror.first_byte_time().saturating_add(mirror.login_time(connection.stage));
                let mut running = connection.running(guess, usual, now)?;
                // What a fresh data connection may bring, this one may as well, or two would take turns for ever.
                if running.rate > 0 && !connection.delivers() {
                    running.rate = running.rate.max(mirror.renewal.fresh().unwrap_or(0));
                }
                running.closing = closing;
                Some((*id, running))
            })
            .collect();
        running.retain(|(id, running)| !running.left.is_empty() && !self.is_fetched_twice(*id, running));
        running.sort_by_key(|(_, running)| Reverse(running.time_to_close()));
        running
    }

    fn is_fetched_twice(&self, id: SessionId, running: &Running) -> bool {
        self.connections.iter().any(|(other, connection)| {
            let overlaps = |segment: &super::connection::Segment| {
                segment.at < running.left.end && running.left.start < segment.until.end()
            };
            *other != id && !connection.closing && connection.segment.as_ref().is_some_and(overlaps)
        })
    }

    /// Ends transfers of which others have brought everything that was left.
    pub(super) fn end_beaten(&mut self, now: Instant) {
        let Some(size) = self.size else { return };
        let mut silent = Vec::new();
        let for_end =
            |(id, connection): (&SessionId, &Connection)| self.fetches_for_end(connection).then_some(*id);
        let for_end: Vec<SessionId> = self.connections.iter().filter_map(for_end).collect();
        for (id, connection) in self.connections.iter_mut().filter(|(id, _)| !for_end.contains(id)) {
            let Some(segment) = connection.segment.as_mut().filter(|segment| segment.vote.is_none()) else {
                continue;
            };
            let left = segment.at..segment.until.end().min(size);
            if !connection.closing && !segment.letting_go && !left.is_empty() && self.done.contains(&left) {
                segment.letting_go = true;
                let cut = Directive::Shrink(*id, segment.request, Until::Offset(segment.at));
                self.directives.push_back(cut);
                if connection.rate.expected(1, now) == 0 {
                    silent.push(*id);
                }
            }
        }
        for id in silent {
            self.check(id);
        }
    }

    /// Asks for a sign of life, before the session gets other work.
    fn check(&mut self, id: SessionId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            let request = connection.next_request();
            connection.checking = Some(request);
            self.directives.push_back(Directive::Request(id, request, Request::Command(Command::Noop)));
        }
    }

    /// What follows from `start` on others fetch now. A session of which nothing comes any more is asked for a sign of life.
    fn cut(&mut self, victim: SessionId, start: u64, victims_rate: u64) {
        self.set_end(victim, Until::Offset(start));
        if victims_rate == 0 {
            self.check(victim);
        }
    }

    /// A transfer that is about to end where a range begins that nobody is fetching goes on with that; so too if a session is
    /// to fetch it that has brought nothing when it should have.
    pub(super) fn absorb(&mut self, now: Instant) {
        let ending: Vec<(SessionId, u64)> = self
            .connections
            .iter()
            .filter_map(|(id, connection)| {
                // What waits for its first byte itself has nothing to go on with.
                let usual =
                    self.mirrors.get(connection.mirror).filter(|_| connection.delivers())?.first_byte_time();
                let running = connection.running(0, usual, now)?;
                let soon = u128::from(running.time_left()) < usual.as_millis().saturating_mul(2);
                (soon && self.may_go_on(connection)).then_some((*id, running.left.end))
            })
            .collect();
        for (id, end) in ending {
            if let Some(end) = self.take_unassigned(end).or_else(|| self.take_given_up(end, now)) {
                let until = self.until(end);
                self.set_end(id, until);
            }
        }
    }

    /// Takes the range that begins at `start` from those that nobody is fetching: its end.
    fn take_unassigned(&mut self, start: u64) -> Option<u64> {
        let at = self.todo.iter().position(|range| range.start == start)?;
        let range = self.todo.get(at).filter(|range| self.unassigned((*range).clone()).contains(range))?;
        let end = range.end;
        self.todo.remove(at);
        Some(end)
    }

    /// Takes the range that begins at `start` from a session of which nothing has come for so long that it is not waited for
    /// any more: its end.
    fn take_given_up(&mut self, start: u64, now: Instant) -> Option<u64> {
        let running = self.running(now);
        let given_up = |(id, running): &&(SessionId, Running)| {
            let begun = self.connections.get(id).is_none_or(Connection::delivers);
            !begun && running.rate == 0 && running.left.start == start
        };
        let (victim, running) = running.iter().find(given_up)?;
        self.cut(*victim, start, running.rate);
        Some(running.left.end)
    }

    /// Bytes per second of a connection to `mirror` of which nothing is known: the mean of its others, or of all.
    fn guess(&self, mirror: usize, now: Instant) -> u64 {
        // That others are silent says nothing of how fast it is.
        let mean = |mut rates: Vec<u64>| {
            rates.retain(|rate| *rate > 0);
            let sum = rates.iter().fold(0_u64, |sum, rate| sum.saturating_add(*rate));
            sum.checked_div(rates.len() as u64)
        };
        let usual = self.mirrors.get(mirror).map(Mirror::first_byte_time).unwrap_or_default();
        let of = |mirror: usize| {
            let same = self.connections.values().filter(move |connection| connection.mirror == mirror);
            mean(same.filter_map(|connection| connection.lately(usual, now)).collect())
        };
        let Some(guess) = of(mirror) else {
            let all = self.connections.values().filter_map(|connection| connection.rate.measured(now));
            return mean(all.collect()).unwrap_or(GUESS);
        };
        // Where one had nearly all of the path, so many cannot each bring as much.
        let own = self.connections.values().filter(|connection| {
            connection.mirror == mirror && connection.segment.is_some() && !connection.closing
        });
        let best = self.mirrors.get(mirror).map_or(0, |known| known.best_flow);
        let share = best.saturating_mul(SHARES) / (own.count() as u64).max(1);
        if share > 0 { guess.min(share) } else { guess }
    }
}
