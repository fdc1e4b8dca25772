//! The consequences of the evidence that mirrors have one file, or not: claims, comparisons, votes and judgements.

use super::super::directive::Directive;
use super::super::error::{Difference, EngineError, MirrorFailure, MirrorFault, Notice};
use super::super::file::dispute::Resolution;
use super::super::file::identity::Statement;
use super::super::file::judge::{Judgement, contradict, judge, most_supported};
use super::super::file::overlap::Shown;
use super::super::file::replica::Verdict;
use super::super::ids::{ComparisonId, FileId, MirrorId, ServerId};
use super::super::offers::split;
use super::super::pool::session::{Purpose, Session};
use super::Fetcher;
use bytes::Bytes;
use ftp_proto::{Facts, PeerFault, SessionError, SessionId, Until};
use std::cmp::Reverse;
use std::ops::Range;

impl Fetcher {
    /// Asks for the comparisons that can be made, and draws the conclusions that can be drawn.
    pub(super) fn weigh_evidence(&mut self, id: FileId) {
        for (comparison, offset, bytes) in self.files[id].comparisons() {
            self.out.push(Directive::Compare(id, comparison, offset, bytes));
        }
        self.resolve_dispute(id);
        for (comparison, offset, bytes) in self.files[id].head_comparisons() {
            self.out.push(Directive::Compare(id, comparison, offset, bytes));
        }
        self.judge(id);
        self.ask_overlong_mirrors(id);
        self.files[id].forget_end_in_ascii();
    }

    /// Takes the answer to a comparison.
    pub(super) fn on_compared(&mut self, id: FileId, comparison: ComparisonId, same: bool) {
        let file = &mut self.files[id];
        if file.vote_compared(comparison, same) {
            return;
        }
        if file.heads.compared(comparison) {
            if !same {
                self.discard_earlier(id);
            }
            return;
        }
        match file.overlaps.compared(comparison, same, &file.ledger) {
            Shown::Nothing => {}
            Shown::IgnoresRestart(mirror) => self.reject(id, mirror, MirrorFault::IgnoresRestart),
            // It cannot be told whose bytes differ: others take their place and are compared.
            Shown::Mixed(range) => self.fetch_again(id, &range),
        }
    }

    /// Keeps the vote on disputed bytes going, and carries out its result.
    fn resolve_dispute(&mut self, id: FileId) {
        if !self.is_active(id) {
            return;
        }
        let vote = |session: &Session| match session.transfer_of(id).map(|transfer| transfer.purpose) {
            Some(Purpose::Vote(overlap)) if !session.is_closing() => Some(overlap),
            _ => None,
        };
        let voting: Vec<(MirrorId, ComparisonId)> = self
            .pool
            .sessions
            .values()
            .filter_map(|session| Some((session.transfer_of(id)?.mirror, vote(session)?)))
            .collect();
        match self.files[id].resolve_dispute(&voting, &self.pool.servers) {
            Resolution::None => {}
            Resolution::DiscardEarlier => self.discard_earlier(id),
            Resolution::Reject(mirrors) => {
                let alone = self.files[id].replicas.len() == 1;
                for mirror in mirrors {
                    let fault = if alone { MirrorFault::InconsistentBytes } else { MirrorFault::OtherBytes };
                    self.reject(id, mirror, fault);
                }
            }
            Resolution::AskForVotes(mirrors) => self.connect_mirrors(id, &mirrors),
            Resolution::AskUnheard => self.ask_unheard(id),
            Resolution::Undecidable([owner, accuser]) => {
                self.fail_undecided(id, [Some(owner), Some(accuser)], Difference::Content);
            }
        }
    }

    /// A mirror has sent its bytes of the disputed part.
    pub(super) fn on_vote(
        &mut self,
        id: FileId,
        overlap: ComparisonId,
        mirror: MirrorId,
        (offset, bytes): (u64, &Bytes),
    ) {
        if let Some((comparison, at, part)) = self.files[id].vote(overlap, mirror, offset, bytes) {
            self.out.push(Directive::Compare(id, comparison, at, part));
        }
    }

    /// Takes the claim of a mirror on the identity of the file.
    pub(super) fn take_claim(&mut self, id: FileId, mirror: MirrorId, facts: &Facts) {
        if !self.is_active(id) {
            return;
        }
        match self.files[id].claim(mirror, facts) {
            Statement::HereAlready => return,
            Statement::Changed => {
                let replica = &self.files[id].replicas[mirror];
                let server = self.pool.servers[replica.server].name.clone();
                let path = replica.path.clone();
                return self.finish(id, Err(EngineError::Changed { server, path }));
            }
            Statement::Abstains => {}
            Statement::Differs => self.set_aside(id, mirror),
            Statement::Agrees => self.agree(id, mirror),
        }
        self.judge(id);
    }

    fn agree(&mut self, id: FileId, mirror: MirrorId) {
        if let Some(size) = self.files[id].agree(mirror) {
            self.sized(id, size);
        }
    }

    /// The mirror has another file: none of its bytes may count, now or later.
    fn set_aside(&mut self, id: FileId, mirror: MirrorId) {
        self.files[id].set_aside(mirror);
        self.forget_statements(id, mirror);
        self.discard(id, mirror);
        for flight in self.flights(id).iter().filter(|flight| flight.mirror == mirror) {
            // The transfer keeps its range: others get it when this session has let go of it.
            if let Some(transfer) = self.pool.sessions[flight.session].transfer() {
                let start = Until::Offset(transfer.start);
                self.out.push(Directive::SetEnd(flight.session, transfer.request, start));
            }
        }
    }

    /// Forgets what the mirror has said for or against others, and of a checksum.
    fn forget_statements(&mut self, id: FileId, mirror: MirrorId) {
        let file = &mut self.files[id];
        file.forget_statements(mirror);
        let asking = file.lookup.as_mut().and_then(|lookup| lookup.forget(mirror));
        if let Some(session) = asking {
            self.pool.close(session, &mut self.out);
        }
    }

    /// Judges the claims of all mirrors, and carries the judgement out.
    pub(super) fn judge(&mut self, id: FileId) {
        if !self.is_active(id) {
            return;
        }
        let file = &self.files[id];
        match judge(&file.identity, &file.claims()) {
            Judgement::Agreed => {}
            Judgement::Reject(mirrors) => {
                for mirror in mirrors {
                    self.drop_mirror(id, mirror, MirrorFault::OtherFile);
                }
            }
            Judgement::Replace(facts) => self.start_over(id, facts),
            Judgement::Ask(mirrors) => self.connect_mirrors(id, &mirrors),
            Judgement::Undecidable(mirrors) => self.fail_undecided(id, mirrors, Difference::Facts),
        }
    }

    fn fail_undecided(&mut self, id: FileId, mirrors: [Option<MirrorId>; 2], difference: Difference) {
        let name = |mirror: Option<MirrorId>| {
            let server = mirror.map(|mirror| self.files[id].replicas[mirror].server);
            server.map(|server| self.pool.servers[server].name.clone()).unwrap_or_default()
        };
        let servers = mirrors.map(name);
        self.finish(id, Err(EngineError::MirrorsDisagree { servers, difference }));
    }

    /// Gives the servers of mirrors that have no connection one, so that the mirrors can say what they have.
    fn ask_unheard(&mut self, id: FileId) {
        let unheard: Vec<MirrorId> = self.files[id].unheard().collect();
        self.connect_mirrors(id, &unheard);
    }

    pub(super) fn connect_mirrors(&mut self, id: FileId, mirrors: &[MirrorId]) {
        let servers: Vec<ServerId> =
            mirrors.iter().map(|mirror| self.files[id].replicas[*mirror].server).collect();
        let demand = self.demand();
        self.pool.connect_servers(&servers, &demand, &mut self.out);
    }

    /// Asks each mirror that delivered bytes past the known size, and has not told its own, which file it has. The bytes of such a
    /// mirror that was dropped do not count.
    fn ask_overlong_mirrors(&mut self, id: FileId) {
        let file = &self.files[id];
        let outgrown = file.replicas.ids().filter(|mirror| file.has_outgrown(*mirror));
        let (dropped, alive): (Vec<MirrorId>, Vec<MirrorId>) =
            outgrown.partition(|mirror| file.replicas[*mirror].is_dropped);
        if !alive.is_empty() {
            self.connect_mirrors(id, &alive);
        }
        for mirror in dropped {
            self.discard(id, mirror);
        }
    }

    /// Rejects a mirror: it has sent what cannot be of the file.
    pub(super) fn reject(&mut self, id: FileId, mirror: MirrorId, fault: MirrorFault) {
        self.forget_statements(id, mirror);
        let file = &self.files[id];
        if file.in_order && !file.ledger.written_by(mirror).is_empty() {
            // Bytes that have gone to a pipe cannot be taken back.
            let server = self.pool.servers[file.replicas[mirror].server].name.clone();
            return self.finish(id, Err(EngineError::Mirror(MirrorFailure { server, fault })));
        }
        self.discard(id, mirror);
        self.files[id].replicas[mirror].facts = None;
        // The transfer that has shown the end of the file may have been one of this mirror.
        self.files[id].end_seen = false;
        self.drop_mirror(id, mirror, fault);
        self.vouch_again(id);
        // Even if no byte seems to be missing: no mirror is left to say what the bytes are worth.
        self.fail_without_mirrors(id);
    }

    /// Statements of a rejected mirror may have been taken for the truth: the other mirrors decide anew.
    fn vouch_again(&mut self, id: FileId) {
        if self.is_active(id) && !self.files[id].is_vouched_for() {
            let facts = most_supported(&self.files[id].claims());
            self.start_over(id, facts);
        }
    }

    /// Discards the bytes of a mirror. Bytes that its sessions are still at are fetched again when the sessions have ended.
    pub(super) fn discard(&mut self, id: FileId, mirror: MirrorId) {
        let flights = self.flights(id);
        for range in self.files[id].ledger.written_by(mirror).clone().iter() {
            self.mark_overwritten(id, &range);
        }
        let (wrong, shrunk) = self.files[id].discard(mirror, &flights);
        if shrunk {
            self.out.push(Directive::Retract(id));
        }
        for session in self.pool.sessions.values_mut() {
            if let Some(transfer) = session.transfer_mut()
                && (transfer.file, transfer.mirror) == (id, mirror)
            {
                transfer.at = transfer.start;
            }
        }
        self.files[id].requeue(wrong, mirror, &flights);
    }

    /// Discards the bytes of a range, whoever wrote them.
    pub(super) fn fetch_again(&mut self, id: FileId, range: &Range<u64>) {
        self.mark_overwritten(id, range);
        let flights = self.flights(id);
        if self.files[id].forget(range, &flights) {
            self.out.push(Directive::Retract(id));
        }
    }

    /// Sessions that are to write into the range may have done so before it was overwritten, and report it later.
    fn mark_overwritten(&mut self, id: FileId, range: &Range<u64>) {
        for session in self.pool.sessions.values_mut() {
            if let Some(transfer) = session.transfer_mut().filter(|transfer| transfer.file == id) {
                let part = range.start.max(transfer.at)..range.end.min(transfer.until.end());
                transfer.overwritten.insert(part);
            }
        }
    }

    /// The bytes of an earlier run are not those that the file has now. No byte counts, not even those of this run: some may
    /// have been compared with old bytes only.
    fn discard_earlier(&mut self, id: FileId) {
        if !self.files[id].forget_earlier() {
            let flights = self.flights(id);
            return self.files[id].compare_unowned_overlaps_again(&flights);
        }
        self.notice(Notice::EarlierBytesDiffer);
        let vouched = self.files[id].vouched();
        self.start_over(id, vouched);
    }

    /// Begins anew without the size of the file if no mirror vouches for it. Returns whether that is so.
    pub(super) fn drop_unfounded_size(&mut self, id: FileId) -> bool {
        let Some(facts) = self.files[id].without_unfounded_size() else { return false };
        self.start_over(id, facts);
        true
    }

    /// A transfer has ended before its first byte. Returns whether that says no more than that the file ends before what an
    /// earlier run has of it, or before a size that no mirror vouches for: then the download has begun anew.
    pub(super) fn ends_before_known(&mut self, id: FileId) -> bool {
        let file = &self.files[id];
        if file.ledger.size().is_none() && file.has_earlier() {
            self.start_over(id, Facts::default());
            return true;
        }
        self.drop_unfounded_size(id)
    }

    /// Fetches another file than the one that the download began with.
    fn start_over(&mut self, id: FileId, identity: Facts) {
        if self.files[id].in_order && !self.files[id].ledger.done().is_empty() {
            return self.finish(id, Err(EngineError::Superseded));
        }
        let asking = self.files[id].lookup.as_mut().and_then(|lookup| lookup.restart());
        if let Some(session) = asking {
            self.pool.close(session, &mut self.out);
        }
        for mirror in self.files[id].replicas.ids() {
            self.discard(id, mirror);
        }
        // A mirror that does not say which file it has may have sent bytes of either.
        for session in self.pool.sessions.with(|session| session.transfer_of(id).is_some()) {
            self.pool.close(session, &mut self.out);
        }
        if self.files[id].forget_earlier() {
            self.notice(Notice::EarlierRunOutdated);
        }
        let file = &mut self.files[id];
        if !file.ledger.done().is_empty() {
            self.out.push(Directive::Retract(id));
        }
        file.ledger.clear();
        file.identity = identity;
        file.end_seen = false;
        file.overlaps.clear();
        for mirror in self.files[id].replicas.ids() {
            let replica = &self.files[id].replicas[mirror];
            let Some(facts) = replica.facts.as_ref().filter(|_| replica.verdict != Verdict::Unknown) else {
                continue;
            };
            if contradict(&self.files[id].identity, facts) {
                self.files[id].replicas[mirror].verdict = Verdict::Differs;
            } else {
                self.agree(id, mirror);
            }
        }
        self.judge(id);
    }

    /// A mirror's transfer has shown where its file ends.
    pub(super) fn on_end_shown(&mut self, id: FileId, mirror: MirrorId, at: u64) {
        if let Some(facts) = self.files[id].end_shown(mirror, at) {
            self.take_claim(id, mirror, &facts);
        }
    }

    /// A transfer without a known end has ended: that is the size, unless the mirror has yet to say what it is.
    pub(super) fn believe_end(&mut self, session: SessionId) {
        let Some(known) = self.pool.sessions.get_mut(session) else { return };
        let Some((id, at)) = known.unconfirmed_end else { return };
        let file = &mut self.files[id];
        let Some(mirror) = file.mirror_on(known.server) else { return };
        let verdict = file.replicas[mirror].verdict;
        if verdict == Verdict::Unknown && !file.is_ascii() {
            return;
        }
        known.unconfirmed_end = None;
        // The end of another file says nothing about this one.
        if verdict == Verdict::Differs || known.is_closing() {
            return;
        }
        // In ASCII no byte can be fetched behind a missing one.
        let fits = !file.is_ascii() || file.ledger.has(&(0..at));
        let size = file.ledger.size();
        file.end_seen |= size.map_or(fits, |size| size == at);
        if size.is_none() && fits && !self.is_outdated(id, at) {
            self.sized(id, at);
        }
    }

    /// Whether the file had another size in an earlier run than a transfer has shown now: then all bytes are discarded.
    fn is_outdated(&mut self, id: FileId, size: u64) -> bool {
        let file = &mut self.files[id];
        if file.is_ascii() || file.identity.size.is_none_or(|known| known == size) {
            return false;
        }
        // Only the journal tells that size: a mirror that told it would have been set aside.
        file.identity = Facts::default();
        if file.has_earlier() {
            self.discard_earlier(id);
        } else {
            self.start_over(id, Facts::default());
        }
        true
    }

    /// Finds mirrors that delivered more than the file has, before its size was known or unaware of it.
    pub(super) fn find_overruns(&mut self, id: FileId) {
        for mirror in self.files[id].replicas.ids() {
            let Some(size) = self.files[id].ledger.size() else { return };
            if self.files[id].overran(mirror) {
                if self.drop_unfounded_size(id) {
                    return;
                }
                let overrun = SessionError::Peer(PeerFault::Overrun { size });
                self.reject(id, mirror, MirrorFault::Session(overrun));
            }
        }
    }

    /// The finished file that was here before is not the one to be fetched: the mirrors say again what they have.
    pub(super) fn reject_finished(&mut self, id: FileId) {
        self.files[id].reject_finished();
        for session in self.pool.sessions.with(Session::is_ready) {
            self.ask_for_facts(session, id);
        }
    }

    /// The size has become known: the file is split, and the transfer that began before it keeps the first part.
    pub(super) fn sized(&mut self, id: FileId, size: u64) {
        let (demand, flights) = (self.demand(), self.flights(id));
        let file = &mut self.files[id];
        file.ledger.set_size(size);
        let mut missing = file.ledger.missing(0..size);
        // Ranges that sessions have yet to let go of come later.
        for flight in flights.iter().filter(|flight| !file.counts(flight)) {
            missing.remove(flight.left.clone());
        }
        let parts = if file.is_single() { 1 } else { self.pool.slots_to_begin(&demand) };
        let parts = split(&missing, parts, file.min_segment);
        file.ledger.set_queue(parts);
        if let Some((session, at)) = self.keep_one_transfer(id) {
            let holds = |range: &Range<u64>| range.start <= at && at < range.end;
            let queue = self.files[id].ledger.queue();
            let part = queue.iter().position(holds);
            match part.and_then(|part| self.files[id].ledger.take_queued(part)) {
                Some(part) => {
                    self.set_end(session, self.until(id, part.end));
                    // These bytes had come, and were discarded since.
                    self.files[id].ledger.queue_first(part.start..at);
                }
                None => self.set_end(session, Until::Size(size)),
            }
        }
        self.find_overruns(id);
    }

    /// The transfer that requested the whole file goes on. There may be several, as two addresses of a server are tried side by
    /// side: the one that has come furthest goes on, and the others end.
    fn keep_one_transfer(&mut self, id: FileId) -> Option<(SessionId, u64)> {
        let mut transfers: Vec<_> = self.view(id, |view| {
            let fetches = view.fetching().filter(|(_, _, transfer)| !transfer.is_vote());
            fetches.map(|(session, known, transfer)| (session, transfer.at, known.stage)).collect()
        });
        transfers.sort_by_key(|(_, at, stage)| Reverse((*at, *stage)));
        let mut transfers = transfers.into_iter();
        let (kept, at, _) = transfers.next()?;
        for (session, at, _) in transfers {
            self.set_end(session, Until::Offset(at));
        }
        Some((kept, at))
    }
}
