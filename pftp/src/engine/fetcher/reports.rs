//! The reports of the transport, and the state that they change.

use super::super::earlier::OVERLAP;
use super::super::error::{MirrorFault, Notice};
use super::super::file::replica::PathForm;
use super::super::ids::{FileId, MirrorId};
use super::super::offers::{collapsed_rate, form};
use super::super::pool::session::{Ahead, Directory, Pending, Purpose, Session, Stage, Task, Transfer};
use super::Fetcher;
use crate::lookup::Answer;
use bytes::Bytes;
use ftp_proto::{Event, Facts, Finish, Instant, Reply, Report, RequestId, SessionId, Until, Verb};
use std::ops::Range;

impl Fetcher {
    /// Takes a report of the transport. The driver judges failures of its sinks: see [`stop`](Self::stop).
    pub fn handle<E>(&mut self, report: &Report<E>, now: Instant) {
        self.job.now = now;
        let is_over = self.job.is_stopped || self.is_over();
        match report {
            // Bytes that have come count for a later run even if this one has ended.
            Report::Written(id, request, range) => self.on_written(*id, *request, range.clone()),
            _ if is_over => {}
            Report::Event(id, event) => self.on_event(*id, event),
            Report::Overlap(id, request, offset, bytes) => self.on_overlap(*id, *request, *offset, bytes),
            Report::Content(id, request, bytes) => self.on_content(*id, *request, bytes),
            _ => {}
        }
        self.plan(now);
    }

    fn on_event(&mut self, id: SessionId, event: &Event) {
        if let Event::Closed(error) = event {
            return self.job.on_closed(id, error);
        }
        let Some(session) = self.job.pool.sessions.get_mut(id).filter(|session| !session.is_closing()) else {
            return;
        };
        match event {
            Event::Connected if session.stage == Stage::Dialling => self.on_connected(id),
            Event::Ready(_) => {
                let server = session.server;
                if self.job.pool.logged_in(id, self.job.now) {
                    self.job.notice_session_limit(server);
                }
            }
            Event::Prepared(request) => {
                if matches!(session.ahead, Ahead::Requested(asked, _) if asked == *request) {
                    session.ahead = Ahead::Ready(self.job.now);
                }
            }
            Event::Facts(request, facts) => {
                let asked = session.answered(*request);
                if let Some(Pending::Facts(file, mirror) | Pending::Confirmation(file, mirror)) = asked {
                    self.on_facts(id, (file, mirror), facts);
                }
            }
            Event::Reply(request, reply) => self.on_reply(id, *request, reply),
            Event::Started(request)
                if session.transfer().is_some_and(|transfer| transfer.request == *request) =>
            {
                self.on_started(id);
            }
            Event::Finished(request, finish) => self.on_finished(id, *request, finish),
            Event::Refused(request, verb, reply) => self.on_refused(id, *request, *verb, reply),
            _ => {}
        }
    }

    /// The control connection is established.
    fn on_connected(&mut self, id: SessionId) {
        self.job.pool.connected(id, self.job.now, &mut self.job.out);
        let session = &self.job.pool.sessions[id];
        if !session.is_changing_directory() && session.transfer().is_none() {
            self.job.begin(id);
        }
    }

    /// The server tells the facts of a file.
    fn on_facts(&mut self, id: SessionId, (file, mirror): (FileId, MirrorId), facts: &Facts) {
        if !self.job.is_active(file) || self.job.files[file].replicas[mirror].is_dropped {
            return;
        }
        if let Some((shown, told)) = self.job.files[file].contradicts_its_end(mirror, facts) {
            return self.job.reject(file, mirror, MirrorFault::SizeContradicted { shown, told });
        }
        let replica = &mut self.job.files[file].replicas[mirror];
        let is_whole = replica.form == PathForm::Whole && replica.split_path().is_some();
        if is_whole && (facts.size.is_some() || facts.modify.is_some()) {
            self.job.pool.servers[replica.server].takes_whole_paths = true;
        }
        let facts = replica.tell(facts, self.job.now);
        self.job.take_claim(file, mirror, &facts);
        self.job.believe_end(id);
    }

    /// A command without a transfer has been completed.
    fn on_reply(&mut self, id: SessionId, request: RequestId, reply: &Reply) {
        let now = self.job.now;
        let session = &mut self.job.pool.sessions[id];
        match session.answered(request) {
            Some(Pending::RttProbe(since)) => self.job.pool.rtt_probed(id, since, now),
            Some(Pending::Lookup(file, at)) => self.job.lookup_answered(id, file, at, Answer::Reply(reply)),
            Some(Pending::Liveness | Pending::Facts(..) | Pending::Confirmation(..)) => {}
            None => {
                let Directory::Changing { request: asked, to, .. } = &session.directory else { return };
                if *asked == request {
                    session.directory = Directory::In(to.clone());
                    if let Some(file) = session.file {
                        self.job.ask_for_facts(id, file);
                    }
                    self.job.begin(id);
                }
            }
        }
    }

    /// The server refused a request; the session goes on.
    fn on_refused(&mut self, id: SessionId, request: RequestId, verb: Verb, reply: &Reply) {
        let now = self.job.now;
        let session = &mut self.job.pool.sessions[id];
        match session.answered(request) {
            // A refusal is a sign of life as well.
            Some(Pending::RttProbe(since)) => return self.job.pool.rtt_probed(id, since, now),
            Some(Pending::Lookup(file, at)) => {
                return self.job.lookup_answered(id, file, at, Answer::Refused(reply));
            }
            Some(Pending::Liveness | Pending::Facts(..) | Pending::Confirmation(..)) => return,
            None => {}
        }
        let (file, mirror, asked_form) = if let Some(transfer) = session.end_transfer(request) {
            let (file, mirror) = (transfer.file, transfer.mirror);
            let asked_form = form(session, &self.job.files[file].replicas[mirror]);
            self.job.release(&transfer);
            (file, mirror, asked_form)
        } else {
            // The session stays in its directory, and CWD is tried again before the file is asked for.
            let Directory::Changing { request: asked, from, .. } = &session.directory else { return };
            let Some(file) = session.file.filter(|_| *asked == request) else { return };
            session.directory = from.clone().map_or(Directory::Login, Directory::In);
            let Some(mirror) = self.job.files[file].mirror_on(session.server) else { return };
            (file, mirror, PathForm::Whole)
        };
        if !self.job.is_active(file) || self.job.files[file].replicas[mirror].is_dropped {
            return;
        }
        let path = self.job.files[file].replicas[mirror].path.clone();
        let fault = MirrorFault::Refused { path, verb, reply: reply.clone() };
        match verb {
            Verb::Rest if !reply.code().is_transient() => self.on_restart_refused(id),
            // A refused preparation says nothing about the file.
            Verb::Pasv | Verb::Epsv | Verb::Rest => self.job.on_transfer_failed(id, (file, mirror), fault),
            _ if reply.code().is_transient() => self.job.on_transfer_failed(id, (file, mirror), fault),
            _ => self.on_path_refused(id, (file, mirror), asked_form, (verb, fault)),
        }
    }

    /// The server does not understand REST.
    fn on_restart_refused(&mut self, id: SessionId) {
        let server = self.job.pool.sessions[id].server;
        let known = &mut self.job.pool.servers[server];
        if std::mem::take(&mut known.restarts) {
            let server = known.name.clone();
            self.job.notice(Notice::NoRestart { server });
        }
        for file in self.job.active() {
            self.job.extend_only_transfer(file);
        }
    }

    /// The server refused the path of a file.
    fn on_path_refused(
        &mut self,
        id: SessionId,
        (file, mirror): (FileId, MirrorId),
        form: PathForm,
        (verb, fault): (Verb, MirrorFault),
    ) {
        let known = &mut self.job.files[file].replicas[mirror];
        // A server that has told the size knows the path, unless the size was told in the other form.
        let takes_whole_paths = self.job.pool.servers[known.server].takes_whole_paths;
        let untried = known.facts.is_none() && known.split_path().is_some() && !takes_whole_paths;
        let another_form =
            verb == Verb::Retr && form == PathForm::Whole && (known.form == PathForm::Directory || untried);
        if another_form {
            known.form = PathForm::Directory;
            known.failure = Some(fault);
            self.job.change_directory(id, file);
        } else {
            // The refusal of the whole path names the file as the user does.
            let first = known.failure.take().filter(|_| form == PathForm::Directory || verb == Verb::Cwd);
            self.job.drop_mirror(file, mirror, first.unwrap_or(fault));
        }
    }

    /// The transfer of the session has begun: its mark or its first bytes have come.
    fn on_started(&mut self, id: SessionId) {
        let now = self.job.now;
        let session = &mut self.job.pool.sessions[id];
        let path = &mut self.job.pool.servers[session.server].path;
        let Task::Transfer(transfer) = &mut session.task else { return };
        if std::mem::replace(&mut transfer.started, true) {
            return;
        }
        let file = &mut self.job.files[transfer.file];
        file.transfers = file.transfers.saturating_add(1);
        file.replicas[transfer.mirror].started_at = Some(now);
        session.rate.start(path.round_trip(), now);
        // No byte will tell how long the first one takes if the whole range was taken over.
        if transfer.until.end() <= transfer.start
            && let Some(saved) = transfer.saved
        {
            path.first_byte_not_before(now.since(transfer.requested).saturating_add(saved));
        }
    }

    /// Bytes of a transfer are in the sink.
    fn on_written(&mut self, id: SessionId, request: RequestId, range: Range<u64>) {
        let now = self.job.now;
        let of = |session: &&mut Session| session.transfer().is_some_and(|known| known.request == request);
        let Some(session) = self.job.pool.sessions.get_mut(id).filter(of) else { return };
        let (server, closing) = (session.server, session.is_closing());
        self.on_started(id);
        let session = &mut self.job.pool.sessions[id];
        let Task::Transfer(transfer) = &mut session.task else { return };
        let (file, mirror) = (transfer.file, transfer.mirror);
        let known = &mut self.job.files[file];
        // A session that is being closed may have been fetching another file, or overwriting bytes of other mirrors.
        if !known.replicas[mirror].serves() || closing {
            return self.job.fetch_again(file, &range);
        }
        let path = &mut self.job.pool.servers[server].path;
        if let Some(saved) = transfer.saved.filter(|_| !transfer.delivers()) {
            path.first_byte_after(now.since(transfer.requested).saturating_add(saved));
        }
        let skipped = transfer.advance(&range, now);
        let overlap = |part: Range<u64>| part.start.max(range.start)..part.end.min(range.end);
        let overwritten: Vec<Range<u64>> =
            transfer.overwritten.iter().map(overlap).filter(|part| !part.is_empty()).collect();
        let bytes = range.end.saturating_sub(range.start);
        session.rate.add(bytes, now);
        path.received(bytes, now);
        if range.start == 0 && known.is_ascii() {
            known.ledger.restart();
        }
        let progress = known.ledger.record(mirror, &range);
        if known.ledger.size().is_some() {
            // These bytes had come, and were discarded since.
            known.ledger.queue_first(skipped);
        }
        if progress {
            let slot = session.slot;
            self.job.pool.servers[server].failures = 0;
            self.job.pool.slots[slot].failures = 0;
        }
        for part in overwritten {
            self.job.fetch_again(file, &part);
        }
        if self.job.files[file].ledger.size().is_some_and(|size| range.end > size) {
            self.job.find_overruns(file);
        }
        self.refresh(id, file);
    }

    /// Replaces the data connection of a transfer whose stream has collapsed, if that pays.
    fn refresh(&mut self, id: SessionId, file: FileId) {
        let Some(rate) = self.job.view(file, |view| collapsed_rate(view, id)) else { return };
        let session = &mut self.job.pool.sessions[id];
        session.replaced_rate = Some(rate);
        // The range keeps its end: what is left of it is handed out when this transfer has ended.
        if let Some(at) = session.transfer().map(|transfer| transfer.at) {
            self.job.cut_off(id, at);
        }
    }

    /// The overlap of a transfer has come.
    fn on_overlap(&mut self, id: SessionId, request: RequestId, offset: u64, bytes: &Bytes) {
        let now = self.job.now;
        let of = |session: &&mut Session| session.transfer().is_some_and(|known| known.request == request);
        let Some(session) = self.job.pool.sessions.get_mut(id).filter(of) else { return };
        let Some(transfer) = session.transfer() else { return };
        let (file, mirror, purpose) = (transfer.file, transfer.mirror, transfer.purpose);
        let known = &self.job.files[file];
        let counts = known.replicas[mirror].serves() && !session.is_closing();
        // A transfer over the only connection asked for no overlap.
        if known.is_single() || !counts || !self.job.is_active(file) {
            return;
        }
        self.on_started(id);
        let session = &mut self.job.pool.sessions[id];
        // To a slow mirror these bytes may take much longer than the bytes that follow.
        session.rate.add(bytes.len() as u64, now);
        self.job.pool.servers[session.server].path.received(bytes.len() as u64, now);
        match purpose {
            Purpose::Vote(overlap) => self.job.on_vote(file, overlap, mirror, (offset, bytes)),
            Purpose::Fetch => self.job.files[file].overlaps.add(mirror, offset, bytes.clone()),
        }
    }

    /// More of a file that the lookup asked for has come.
    fn on_content(&mut self, id: SessionId, request: RequestId, bytes: &Bytes) {
        let pending = self.job.pool.sessions.get(id).and_then(|session| session.pending(request));
        if let Some(Pending::Lookup(file, at)) = pending
            && let Some(lookup) = &mut self.job.files[file].lookup
        {
            lookup.content(at, bytes);
        }
    }

    /// A transfer has ended.
    fn on_finished(&mut self, id: SessionId, request: RequestId, finish: &Finish) {
        let session = &mut self.job.pool.sessions[id];
        if let Some(Pending::Lookup(file, at)) = session.answered(request) {
            return self.job.lookup_answered(id, file, at, Answer::Finished(finish));
        }
        let Some(transfer) = session.end_transfer(request) else { return };
        self.learn_from(id, &transfer);
        if !self.job.is_active(transfer.file) {
            return;
        }
        if self.job.files[transfer.file].replicas[transfer.mirror].is_dropped {
            return self.job.release(&transfer);
        }
        match finish {
            Finish::Cut => {
                let server = self.job.pool.sessions[id].server;
                self.job.pool.servers[server].path.cut_at = Some(self.job.now);
                self.job.release(&transfer);
            }
            Finish::Whole { at } => self.on_whole(id, transfer, *at),
            Finish::Short { at, reply } => self.on_short(id, transfer, *at, reply),
        }
    }

    /// The server has ended a transfer in order.
    fn on_whole(&mut self, id: SessionId, transfer: Transfer, at: u64) {
        let (file, mirror) = (transfer.file, transfer.mirror);
        if at < transfer.start {
            if self.job.ends_before_known(file) {
                return;
            }
            let fault = MirrorFault::EndsBefore { at, start: transfer.start };
            // If no overlap came, the file ends at this offset or anywhere before it.
            let came = at > transfer.start.saturating_sub(OVERLAP);
            self.job.release(&transfer);
            self.job.on_transfer_failed(id, (file, mirror), fault);
            if came {
                self.job.on_end_shown(file, mirror, at);
            }
        } else if transfer.until == Until::Eof && self.job.files[file].ledger.size().is_none() {
            self.job.pool.sessions[id].unconfirmed_end = Some((file, at));
            self.job.believe_end(id);
        } else {
            self.job.files[file].ended_at(mirror, at);
            self.job.release(&transfer);
            self.job.on_end_shown(file, mirror, at);
        }
    }

    /// The server has ended a transfer early, or has not called it complete.
    fn on_short(&mut self, id: SessionId, transfer: Transfer, at: u64, reply: &Reply) {
        let (file, mirror) = (transfer.file, transfer.mirror);
        let completed = reply.code().is_completion();
        if completed && at < transfer.start && self.job.ends_before_known(file) {
            return;
        }
        if at > 0 {
            // No byte follows, whatever the server complains about. Only of an empty file nothing could be seen.
            self.job.files[file].ended_at(mirror, at);
        }
        let lied = completed && transfer.until != Until::Eof;
        // If no byte came, the file ends at this offset or anywhere before it: at 0 it can only be at 0.
        let came = at == 0 || at > transfer.start.saturating_sub(OVERLAP);
        let size = self.job.files[file].ledger.size();
        let fault = MirrorFault::EndedEarly { at, size, reply: reply.clone(), lied };
        self.job.release(&transfer);
        self.job.on_transfer_failed(id, (file, mirror), fault);
        if lied && came {
            self.job.on_end_shown(file, mirror, at);
        }
    }

    /// Learns from a transfer that has ended.
    fn learn_from(&mut self, id: SessionId, transfer: &Transfer) {
        let now = self.job.now;
        let session = &mut self.job.pool.sessions[id];
        let refresh = &mut self.job.pool.servers[session.server].refresh;
        if let Some(before) = session.replaced_rate.take() {
            refresh.judge(before, transfer.peak, now);
        }
        // A transfer without bytes may have lost its range before it could bring any.
        if transfer.delivers() && session.rate.has_settled(now) {
            refresh.learn(transfer.peak);
        }
    }
}
