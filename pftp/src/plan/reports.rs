//! What reports of the transport change.

use super::connection::{Ahead, Connection, Segment};
use super::mirror::{PathForm, Verdict};
use super::seams::LEAD;
use super::{MirrorFault, Notice, Planner};
use crate::ranges::RangeSet;
use ftp_proto::{
    Event, Facts, Finish, Instant, Reply, Report, RepresentationType, Request, RequestId, SessionId, Until,
    Verb,
};
use std::ops::Range;

impl Planner {
    /// Takes a report of the transport. A failure of the sink is not the planner's to judge: see [`stop`](Self::stop).
    pub fn handle<E>(&mut self, report: &Report<E>, now: Instant) {
        self.now = now;
        match report {
            // What has come is there for a later run even if this one has ended.
            Report::Event(..) if self.finished => {}
            Report::Event(id, event) => self.on_event(*id, event, now),
            Report::Written(id, _, range) => self.on_written(*id, range.clone(), now),
            Report::Overlap(id, _, offset, bytes) => self.on_lead(*id, *offset, bytes.clone(), now),
            Report::Content(id, request, bytes) => self.on_content(*id, *request, bytes),
            _ => {}
        }
        self.plan(now);
    }

    fn on_event(&mut self, id: SessionId, event: &Event, now: Instant) {
        if let Event::Closed(error) = event {
            return self.on_closed(id, error, now);
        }
        let Some(connection) = self.connections.get(&id).filter(|connection| !connection.closing) else {
            return;
        };
        let mirror = connection.mirror;
        if self.on_search_event(id, event) {
            return;
        }
        match event {
            Event::Connected => self.on_connected(id, now),
            Event::Ready(_) => self.on_ready(id, now),
            Event::Reply(request, _) => self.on_reply(id, *request, now),
            Event::Facts(_, facts) => {
                let mut facts = facts.clone();
                if self.belies_its_end(mirror, &facts) {
                    return;
                }
                if let Some(known) = self.mirrors.get_mut(mirror) {
                    (known.said_at, known.confirming) = (Some(now), None);
                    // One session may not be told what another was.
                    facts.size = facts.size.or(known.told.size);
                    facts.modify = facts.modify.or(known.told.modify);
                    known.told = facts.clone();
                }
                self.on_facts(mirror, &facts);
                self.believe_end(id);
            }
            Event::Prepared(request) => {
                let asked = |connection: &&mut Connection| matches!(connection.ahead, Ahead::Asked(asked, _) if asked == *request);
                if let Some(connection) = self.connections.get_mut(&id).filter(asked) {
                    connection.ahead = Ahead::Ready(now);
                }
            }
            Event::Started(_) => self.on_started(id, now),
            Event::Finished(request, finish) => self.on_finished(id, *request, finish, now),
            Event::Refused(request, verb, reply) => self.on_refused(id, *request, (*verb, reply), now),
            _ => {}
        }
    }

    /// Bytes have come: the transfer has begun, though its mark may be late or missing.
    pub(super) fn note_start(&mut self, id: SessionId, now: Instant) {
        let segment = self.connections.get(&id).and_then(|connection| connection.segment.as_ref());
        if segment.is_some_and(|segment| !segment.started) {
            self.on_started(id, now);
        }
    }

    /// The transfer of the session has begun.
    fn on_started(&mut self, id: SessionId, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(known) = self.mirrors.get_mut(connection.mirror) else { return };
        if connection.segment.as_mut().is_some_and(|segment| std::mem::replace(&mut segment.started, true)) {
            return;
        }
        self.transfers = self.transfers.saturating_add(1);
        known.started_at = Some(now);
        connection.rate.start(known.round_trip(), now);
        // Of what was taken from it as a whole no byte comes that would tell how long it takes here.
        let taken = |segment: &&Segment| segment.until.end() <= segment.start;
        if let Some(segment) = connection.segment.as_ref().filter(taken)
            && let Some(spared) = segment.spared
        {
            known.delivers_not_before(now.since(segment.asked).saturating_add(spared));
        }
    }

    /// The session lives; or the directory has been changed to, and the file can be asked for by its name.
    fn on_reply(&mut self, id: SessionId, request: RequestId, now: Instant) {
        self.hear_echo(id, request, now);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.checking.take_if(|checking| *checking == request);
        if connection.changing != Some(request) {
            return;
        }
        connection.changing = None;
        connection.placed = true;
        self.ask_for_facts(id);
        self.start_unsized(id);
    }

    /// Asks what the server says of the file.
    pub(super) fn ask_for_facts(&mut self, id: SessionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let path = self.mirrors.get(connection.mirror).and_then(|mirror| mirror.path_in(connection.form));
        if let Some(path) = path {
            let request_id = connection.next_request();
            self.directives.push_back(super::Directive::Request(id, request_id, Request::Facts(path)));
        }
    }

    fn on_written(&mut self, id: SessionId, range: Range<u64>, now: Instant) {
        self.note_start(id, now);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let mirror_of = connection.mirror;
        let Some(mirror) = self.mirrors.get_mut(mirror_of) else { return };
        let Some(segment) = connection.segment.as_mut() else { return };
        // A session that is being closed may have been fetching what its mirror turned out not to have.
        if mirror.verdict == Verdict::Differs || !mirror.is_alive() || connection.closing {
            // It may have written over what another had brought.
            return self.fetch_again(&range);
        }
        if let Some(spared) = segment.spared.filter(|_| segment.at == segment.start) {
            mirror.delivered_after(now.since(segment.asked).saturating_add(spared));
        }
        let skipped = segment.advance(&range, now);
        let overlap = |spoiled: Range<u64>| spoiled.start.max(range.start)..spoiled.end.min(range.end);
        let spoiled: Vec<Range<u64>> =
            segment.spoiled.iter().map(overlap).filter(|part| !part.is_empty()).collect();
        let bytes = range.end.saturating_sub(range.start);
        connection.rate.add(bytes, now);
        mirror.received(bytes, now);
        mirror.fetched.insert(range.clone());
        if range.start == 0 && self.settings.representation == RepresentationType::Ascii {
            self.done = RangeSet::new();
        }
        let fresh = self.done.gaps(range.clone());
        self.done.insert(range.clone());
        self.earlier.replace(range.clone());
        if self.size.is_some() && !skipped.is_empty() {
            // It came, and was taken back since.
            self.todo.push_front(skipped);
        }
        if self.done.len() > self.most_done {
            self.most_done = self.done.len();
            mirror.failures = 0;
            if let Some(slot) = self.slots.get_mut(connection.slot) {
                slot.failures = 0;
            }
        }
        // What is there now is of this mirror; or of either, where two have written: reports may overtake one another.
        for (_, other) in self.mirrors.iter_mut().enumerate().filter(|(at, _)| *at != mirror_of) {
            for range in fresh.iter() {
                other.fetched.remove(range);
            }
        }
        for part in spoiled {
            self.fetch_again(&part);
        }
        if self.size.is_some_and(|size| range.end > size) {
            self.find_overruns();
        }
        self.renew(id, now);
    }

    fn on_finished(&mut self, id: SessionId, request: RequestId, finish: &Finish, now: Instant) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let Some(segment) = connection.segment.take_if(|segment| segment.request == request) else { return };
        let mirror = connection.mirror;
        self.learn_from(id, &segment, now);
        match finish {
            Finish::Cut => {
                if let Some(known) = self.mirrors.get_mut(mirror) {
                    known.cut_at = Some(now);
                }
                self.release(segment);
            }
            _ if self.ends_before_old(finish, segment.start) => self.start_over(Facts::default()),
            // The end is before what was to be fetched, as the file is shorter than anybody stands by.
            _ if Self::ends_before(finish, segment.start) && self.drop_unfounded_size() => {}
            Finish::Whole { at } if *at < segment.start => {
                let fault = MirrorFault::EndsBefore { at: *at, start: segment.start };
                // Where nothing came the file ends there or anywhere before.
                let came = *at > segment.start.saturating_sub(LEAD);
                self.release(segment);
                self.on_transfer_failed(id, fault, now);
                if came {
                    self.on_end_of_file(mirror, *at);
                }
            }
            Finish::Whole { at } if segment.until == Until::Eof && self.size.is_none() => {
                if let Some(connection) = self.connections.get_mut(&id) {
                    connection.ended_at = Some(*at);
                }
                self.believe_end(id);
            }
            Finish::Whole { at } => {
                self.ended_at(mirror, *at);
                self.release(segment);
                self.on_end_of_file(mirror, *at);
            }
            Finish::Short { at, reply } => {
                if *at > 0 {
                    // Whatever it has to complain of, nothing follows. But of an empty file nothing is to be seen.
                    self.ended_at(mirror, *at);
                }
                let lied = reply.code().is_completion() && segment.until != Until::Eof;
                // Where nothing came the file ends there or anywhere before: at 0, if that is where it ends.
                let came = *at == 0 || *at > segment.start.saturating_sub(LEAD);
                let fault = MirrorFault::EndedEarly { at: *at, size: self.size, reply: reply.clone(), lied };
                self.release(segment);
                self.on_transfer_failed(id, fault, now);
                if lied && came {
                    self.on_end_of_file(mirror, *at);
                }
            }
        }
    }

    /// Whether the end of a transfer says no more than that the file ends before what an earlier run has of it.
    fn ends_before_old(&self, finish: &Finish, start: u64) -> bool {
        Self::ends_before(finish, start) && self.size.is_none() && self.has_earlier()
    }

    /// Whether the server has ended the transfer before the first byte that was wanted of it.
    fn ends_before(finish: &Finish, start: u64) -> bool {
        match finish {
            Finish::Whole { at } => *at < start,
            Finish::Short { at, reply } => *at < start && reply.code().is_completion(),
            Finish::Cut => false,
        }
    }

    /// A transfer without an end has ended: that is the size, unless the mirror has yet to say what it is.
    fn believe_end(&mut self, id: SessionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let verdict = self.mirrors.get(connection.mirror).map_or(Verdict::Unknown, |known| known.verdict);
        if verdict == Verdict::Unknown && self.settings.representation == RepresentationType::Image {
            return;
        }
        // Where another file ends says nothing of this one.
        let counts = verdict != Verdict::Differs && !connection.closing;
        let Some(at) = connection.ended_at.take().filter(|_| counts) else { return };
        // In ASCII nothing can be fetched behind what has not come.
        let fits = self.settings.representation == RepresentationType::Image || self.done.contains(&(0..at));
        self.end_proven |= self.size.map_or(fits, |size| size == at);
        if self.size.is_none() && fits && !self.is_too_old(at) {
            self.sized(at);
        }
    }

    /// A transfer failed on a session that lives, which rests for a while. Transfers that fail meanwhile belong to
    /// the same attempt. Too many attempts without a new byte between them end the mirror.
    fn on_transfer_failed(&mut self, id: SessionId, fault: MirrorFault, now: Instant) {
        let retries = self.attempts();
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let mirror = connection.mirror;
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        if known.rests_until.is_none_or(|until| until <= now) {
            known.failures = known.failures.saturating_add(1);
            if known.failures > retries {
                return self.give_up(mirror, fault);
            }
            known.rests_until = Some(now + self.jitter.wait(known.failures));
        }
        connection.rest_until = known.rests_until;
    }

    fn on_restart_refused(&mut self, mirror: usize) {
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        if std::mem::take(&mut known.restarts) {
            let server = known.server.clone();
            self.notify(Notice::NoRestart { server });
        }
        self.without_restart();
    }

    fn on_refused(&mut self, id: SessionId, request: RequestId, (verb, reply): (Verb, &Reply), now: Instant) {
        self.hear_echo(id, request, now);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let mirror = connection.mirror;
        // That it refuses is a sign of life as well.
        connection.checking.take_if(|checking| *checking == request);
        let changing = connection.changing.take_if(|changing| *changing == request).is_some();
        if changing {
            // It stands where it stood: CWD is to be tried again before the file is asked for.
            (connection.form, connection.placed) = (PathForm::Whole, true);
        }
        let segment = connection.segment.take_if(|segment| segment.request == request);
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        let fault = MirrorFault::Refused { path: known.path.clone(), verb, reply: reply.clone() };
        if let Some(segment) = segment {
            self.release(segment);
        } else if !changing {
            return;
        }
        match verb {
            Verb::Rest if !reply.code().is_transient() => self.on_restart_refused(mirror),
            // What prepares a transfer says nothing of the file.
            Verb::Pasv | Verb::Epsv | Verb::Rest => self.on_transfer_failed(id, fault, now),
            _ if reply.code().is_transient() => self.on_transfer_failed(id, fault, now),
            _ => self.on_path_refused(id, verb, fault),
        }
    }
}
