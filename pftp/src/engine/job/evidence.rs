//! The consequences of the evidence that mirrors have one file, or not: claims, comparisons, votes and judgements.

use super::Job;
use crate::engine::directive::Directive;
use crate::engine::error::{Difference, EngineError, MirrorFailure, MirrorFault, Notice};
use crate::engine::file::dispute::Resolution;
use crate::engine::file::identity::Statement;
use crate::engine::file::judge::{Judgement, contradict, judge, most_supported};
use crate::engine::file::overlap::Shown;
use crate::engine::file::replica::Verdict;
use crate::engine::ids::{ComparisonId, FileId, MirrorId, ServerId};
use crate::engine::pool::session::{Purpose, Session};
use bytes::Bytes;
use ftp_proto::{Facts, PeerFault, SessionError, SessionId, Until};

impl Job {
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
    pub(in crate::engine) fn on_compared(&mut self, id: FileId, comparison: ComparisonId, same: bool) {
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
    pub(in crate::engine) fn on_vote(
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
    pub(in crate::engine) fn take_claim(&mut self, id: FileId, mirror: MirrorId, facts: &Facts) {
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
    pub(in crate::engine) fn reject(&mut self, id: FileId, mirror: MirrorId, fault: MirrorFault) {
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
    pub(in crate::engine) fn ends_before_known(&mut self, id: FileId) -> bool {
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
    pub(in crate::engine) fn on_end_shown(&mut self, id: FileId, mirror: MirrorId, at: u64) {
        if let Some(facts) = self.files[id].end_shown(mirror, at) {
            self.take_claim(id, mirror, &facts);
        }
    }

    /// A transfer without a known end has ended: that is the size, unless the mirror has yet to say what it is.
    pub(in crate::engine) fn believe_end(&mut self, session: SessionId) {
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
    pub(in crate::engine) fn find_overruns(&mut self, id: FileId) {
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
    pub(in crate::engine) fn reject_finished(&mut self, id: FileId) {
        self.files[id].reject_finished();
        for session in self.pool.sessions.with(Session::is_ready) {
            self.ask_for_facts(session, id);
        }
    }
}
