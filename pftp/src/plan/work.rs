//! Handing out ranges.

use super::connection::{Ahead, Connection, Segment, Stage};
use super::mirror::Verdict;
use super::seams::LEAD;
use super::segment::split;
use super::{Directive, MirrorFault, Planner};
use crate::ranges::RangeSet;
use ftp_proto::{Instant, RepresentationType, Request, Retrieve, SessionId, Until};
use std::cmp::Reverse;
use std::ops::Range;
use std::time::Duration;

/// How often a session that has nothing to do looks at what the others do.
const WATCH: Duration = Duration::from_millis(200);

/// How long a data connection that was made ahead is taken to be still there.
const KEPT: Duration = Duration::from_secs(10);

impl Planner {
    /// The first session asks for the whole file in the write that asks for its size.
    pub(super) fn start_unsized(&mut self, id: SessionId) {
        let slot = self.connections.get(&id).map(|connection| connection.slot);
        let taken = self.connections.values().any(|connection| {
            let other = connection.segment.is_some() && Some(connection.slot) != slot;
            !connection.closing && (other || connection.ended_at.is_some())
        });
        // Whose file is another one than an earlier run has begun waits until the others are heard.
        let may = self.connections.get(&id).is_some_and(|connection| self.may_go_on(connection));
        // One that is only being dialled may hang, while others are free.
        let dialled = self.connections.get(&id).is_some_and(|connection| !connection.is_ready());
        let free = |connection: &Connection| connection.is_free() && self.may_go_on(connection);
        let may = may && !(dialled && self.connections.values().any(free));
        let wanted = self.size.is_none() && !self.may_be_here_already() && !self.is_here_already();
        if wanted && may && !taken {
            self.go_on(id, Until::Eof);
        }
    }

    /// Fetches from the first missing byte on, or where the server or the representation type allow no
    /// restart, from the start.
    pub(super) fn go_on(&mut self, id: SessionId, until: Until) {
        let Some(mirror) = self.connections.get(&id).map(|connection| connection.mirror) else { return };
        let restarts = self.mirrors.get(mirror).is_some_and(|mirror| mirror.restarts);
        let gap = self.done.gaps(0..u64::MAX).iter().next().unwrap_or(0..u64::MAX);
        let missing = gap.start;
        if restarts && self.settings.representation == RepresentationType::Image {
            // What an earlier run has of the rest is not to be written over before it is known to be old.
            let until = if gap.end < until.end() { Until::Offset(gap.end) } else { until };
            self.retrieve(id, missing, until);
        } else if self.settings.in_order && missing > 0 {
            // What went out cannot be taken back.
            self.give_up(mirror, MirrorFault::CannotResume);
        } else {
            self.retrieve(id, 0, until);
        }
    }

    /// The size has become known: the file is split, and the transfer that began before it keeps the first part.
    pub(super) fn sized(&mut self, size: u64) {
        self.size = Some(size);
        let mut missing = self.done.gaps(0..size);
        // What somebody is yet to let go of comes later. What it has brought, and was taken back since, it lets nobody have.
        for connection in self.connections.values().filter(|connection| !self.may_go_on(connection)) {
            if let Some(segment) = &connection.segment {
                missing.remove(segment.at..segment.until.end().max(segment.at));
            }
        }
        let parts = if Self::is_single(&self.settings) { 1 } else { self.slots_to_begin() };
        self.todo = split(&missing, parts, self.settings.min_segment).into();
        let Some((id, at)) = self.keep_one_unsized() else { return self.find_overruns() };
        let Some(part) = self.todo.iter().position(|range| range.start <= at && at < range.end) else {
            self.set_end(id, Until::Size(size));
            return self.find_overruns();
        };
        if let Some(part) = self.todo.remove(part) {
            self.set_end(id, self.until(part.end));
            if part.start < at {
                // It came, and was taken back since.
                self.todo.push_front(part.start..at);
            }
        }
        self.find_overruns();
    }

    /// The transfer that asked for everything goes on with what it is at. There may be several, as two addresses of a
    /// server are tried beside each other: the one that has come furthest, and the others end.
    fn keep_one_unsized(&mut self) -> Option<(SessionId, u64)> {
        let mut transfers: Vec<(SessionId, u64, Stage)> = self
            .connections
            .iter()
            .filter_map(|(id, connection)| {
                let segment = connection.segment.as_ref().filter(|segment| segment.vote.is_none())?;
                self.may_go_on(connection).then_some((*id, segment.at, connection.stage))
            })
            .collect();
        transfers.sort_by_key(|(_, at, stage)| Reverse((*at, *stage)));
        let mut transfers = transfers.into_iter();
        let kept = transfers.next()?;
        for (id, at, _) in transfers {
            self.set_end(id, Until::Offset(at));
        }
        Some((kept.0, kept.1))
    }

    /// Whether what the session is at is wanted of it.
    pub(super) fn may_go_on(&self, connection: &Connection) -> bool {
        let mirror = self.mirrors.get(connection.mirror);
        !connection.closing && mirror.is_some_and(|mirror| mirror.verdict != Verdict::Differs)
    }

    /// How a transfer that goes to `end` ends.
    pub(super) fn until(&self, end: u64) -> Until {
        if self.size == Some(end) { Until::Size(end) } else { Until::Offset(end) }
    }

    pub(super) fn set_end(&mut self, id: SessionId, until: Until) {
        let Some(segment) = self.connections.get_mut(&id).and_then(|connection| connection.segment.as_mut())
        else {
            return;
        };
        let (request, before) = (segment.request, std::mem::replace(&mut segment.until, until));
        self.about_to_write(before.end()..until.end());
        self.directives.push_back(Directive::Shrink(id, request, until));
    }

    pub(super) fn retrieve(&mut self, id: SessionId, offset: u64, until: Until) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(mirror) = self.mirrors.get(connection.mirror) else { return };
        let Some(path) = mirror.path_in(connection.form) else { return };
        let request = connection.next_request();
        let spared = mirror.spared(std::mem::replace(&mut connection.ahead, Ahead::None));
        connection.segment = Some(Segment { spared, ..Segment::new(request, offset, until, self.now) });
        (connection.asked, connection.rest_until) = (Some(self.now), None);
        self.about_to_write(offset..until.end());
        let mut part = Retrieve::new(path, offset, until);
        // Nothing meets in a file that one connection fetches in order.
        part.overlap = if Self::is_single(&self.settings) { 0 } else { LEAD };
        self.directives.push_back(Directive::Request(id, request, Request::Retrieve(part)));
    }

    /// A range that nobody is fetching any more.
    pub(super) fn release(&mut self, segment: Segment) {
        if self.settings.representation == RepresentationType::Ascii {
            return;
        }
        let Some(size) = self.size else { return };
        let end = segment.until.end().min(size);
        for gap in self.done.gaps(segment.at.min(end)..end).iter() {
            self.todo.push_front(gap);
        }
    }

    /// What is there in this range is not to be relied on any more.
    pub(super) fn fetch_again(&mut self, range: &Range<u64>) {
        self.spoil_under_way(range);
        let missing = self.done.gaps(range.clone());
        if missing.contains(range) {
            return;
        }
        self.done.remove(range.clone());
        self.renew_seams(range);
        self.retract(range);
        self.most_done = self.done.len();
        for mirror in &mut self.mirrors {
            mirror.fetched.remove(range.clone());
        }
        if let Some(size) = self.size {
            self.todo.extend(Some(range.start..range.end.min(size)).filter(|range| !range.is_empty()));
        }
    }

    /// Others that are to write there may have done so before it was written over, and report it later.
    pub(super) fn spoil_under_way(&mut self, range: &Range<u64>) {
        for segment in self.connections.values_mut().filter_map(|connection| connection.segment.as_mut()) {
            let part = range.start.max(segment.at)..range.end.min(segment.until.end());
            if !part.is_empty() {
                segment.spoiled.insert(part);
            }
        }
    }

    /// Gives every free session something to do.
    pub(super) fn hand_out(&mut self, now: Instant) {
        let mut free: Vec<(bool, SessionId)> = self
            .connections
            .iter()
            .filter(|(id, connection)| connection.is_free() && !self.is_asking(**id))
            .map(|(id, connection)| (!matches!(connection.ahead, Ahead::Ready(_)), *id))
            .collect();
        // Who has a data connection ahead goes first.
        free.sort_unstable();
        self.look_again = None;
        for (_, id) in free {
            if self.asks_in_vain(id) {
                self.change_directory(id);
            } else if self.ask_for_vote(id) {
            } else if self.size.is_none() {
                self.start_unsized(id);
            } else if self.connections.get(&id).is_some_and(|connection| self.may_go_on(connection)) {
                self.employ(id, now);
                self.watch(id, now);
            }
        }
    }

    /// If nothing was found for the session to do, that may change without anything happening: by a transfer's silence.
    fn watch(&mut self, id: SessionId, now: Instant) {
        let idle = |id: &SessionId| self.connections.get(id).is_some_and(Connection::is_free);
        let busy = self.connections.values().any(|connection| connection.segment.is_some());
        if idle(&id) && busy && !Self::is_single(&self.settings) {
            self.look_again_by(now + WATCH);
            self.confirm_early(id, now);
            self.prepare(id, now);
        }
    }

    fn look_again_by(&mut self, at: Instant) {
        self.look_again = Some(self.look_again.map_or(at, |known| known.min(at)));
    }

    /// Has a session that has nothing to do make the data connection of its next transfer: what it may take over then, when
    /// another becomes slow, is there sooner.
    fn prepare(&mut self, id: SessionId, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let restarts = self.mirrors.get(connection.mirror).is_some_and(|mirror| mirror.restarts);
        let due = match connection.ahead {
            Ahead::None => true,
            // A server may close what it is not told to use, and nobody hears of that: it is asked for once more.
            Ahead::Asked(_, since) | Ahead::Ready(since) => now.since(since) >= KEPT,
        };
        if due && restarts && self.size.is_some() {
            let request = connection.next_request();
            connection.ahead = Ahead::Asked(request, now);
            self.directives.push_back(Directive::Request(id, request, Request::Prepare));
        }
    }

    /// Whether the session asks for the path in the form that the mirror was found not to take.
    pub(super) fn asks_in_vain(&self, id: SessionId) -> bool {
        self.connections.get(&id).is_some_and(|connection| {
            let known = self.mirrors.get(connection.mirror);
            known.is_some_and(|mirror| mirror.form != connection.form)
        })
    }

    fn employ(&mut self, id: SessionId, now: Instant) {
        let restarts = self
            .connections
            .get(&id)
            .and_then(|connection| self.mirrors.get(connection.mirror))
            .is_some_and(|mirror| mirror.restarts);
        if !restarts {
            return self.employ_from_start(id);
        }
        if let Some(until) = self.drains_until(id, now) {
            self.look_again_by(until);
        } else if self.is_in_reserve(id, now) {
            self.probe_at_rest(id, now);
        } else if let Some(range) = self.next_range() {
            let until = self.until(range.end);
            self.retrieve(id, range.start, until);
        } else if self.wants_end() {
            self.ask_for_end(id);
        } else {
            self.take_over(id, now);
        }
    }

    /// The next range that is really missing.
    fn next_range(&mut self) -> Option<Range<u64>> {
        while let Some(range) = self.todo.pop_front() {
            let mut missing = self.unassigned(range);
            let Some(first) = missing.pop_first() else { continue };
            for rest in missing.iter().collect::<Vec<_>>().into_iter().rev() {
                self.todo.push_front(rest);
            }
            return Some(first);
        }
        None
    }

    /// What is missing of a range, and nobody is fetching.
    pub(super) fn unassigned(&self, range: Range<u64>) -> RangeSet {
        let mut missing = self.done.gaps(range);
        for connection in self.connections.values().filter(|connection| self.may_go_on(connection)) {
            if let Some(segment) = connection.segment.as_ref().filter(|segment| !segment.letting_go) {
                missing.remove(segment.at..segment.until.end().max(segment.at));
            }
        }
        missing
    }

    /// A server without REST can only send the whole file. That is used when no other can go on.
    fn employ_from_start(&mut self, id: SessionId) {
        if self.moves_to_restarting(id) {
            return;
        }
        let others = self.mirrors.iter().any(|mirror| mirror.is_alive() && mirror.restarts);
        let busy = self.connections.values().any(|connection| connection.segment.is_some());
        let Some(size) = self.size else { return };
        let wanted = !self.done.contains(&(0..size)) || self.wants_end();
        if others || busy || !wanted {
            return;
        }
        self.todo.clear();
        self.go_on(id, Until::Size(size));
    }

    /// If no mirror can restart, the one transfer that runs has to fetch everything.
    pub(super) fn without_restart(&mut self) {
        let Some(size) = self.size else { return };
        if self.mirrors.iter().any(|mirror| mirror.is_alive() && mirror.restarts) {
            return;
        }
        let first = self.connections.iter().find_map(|(id, connection)| {
            connection
                .segment
                .as_ref()
                .filter(|segment| segment.start == 0 && !connection.closing)
                .map(|_| *id)
        });
        if let Some(id) = first {
            self.todo.clear();
            self.set_end(id, Until::Size(size));
        }
    }
}
