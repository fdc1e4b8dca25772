//! Whose file it is: what the mirrors say of it, and what follows when they disagree.

use super::connection::Connection;
use super::mirror::{Mirror, Verdict};
use super::{Difference, Directive, EngineError, MirrorFailure, MirrorFault, Notice, Planner};
use crate::ranges::RangeSet;
use ftp_proto::{Facts, PeerFault, RepresentationType, SessionError, SessionId, Until};

impl Planner {
    /// What a mirror says of the file.
    pub(super) fn on_facts(&mut self, mirror: usize, facts: &Facts) {
        self.compare_finished(facts);
        let is_here_already = self.is_here_already();
        let Some(known) = self.mirrors.get_mut(mirror).filter(|_| !self.finished) else { return };
        if is_here_already {
            // Nothing of it is fetched; but it may have a checksum.
            known.verdict = Verdict::Agrees;
            return;
        }
        if known.facts.as_ref().is_some_and(|before| Mirror::contradict(before, facts)) {
            let (server, path) = (known.server.clone(), known.path.clone());
            return self.finish(Err(EngineError::Changed { server, path }));
        }
        // Where it has ended a transfer is the size of its file, if it does not say another.
        let shown = known.facts.as_ref().and_then(|before| before.size);
        let facts = &Facts { size: facts.size.or(shown), ..facts.clone() };
        if facts.size.is_none() && facts.modify.is_none() {
            if known.facts.is_none() {
                known.verdict = Verdict::Abstains;
            }
            return self.judge();
        }
        known.facts = Some(facts.clone());
        if Mirror::contradict(&self.identity, facts) {
            self.set_aside(mirror);
        } else {
            self.agree(mirror);
        }
        self.judge();
    }

    /// The mirror has the file that is being fetched. What it says of it holds for all.
    fn agree(&mut self, mirror: usize) {
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        known.verdict = Verdict::Agrees;
        let Some(facts) = &known.facts else { return };
        self.identity.size = self.identity.size.or(facts.size);
        self.identity.modify = self.identity.modify.or(facts.modify);
        match self.identity.size {
            Some(size)
                if self.size.is_none() && self.settings.representation == RepresentationType::Image =>
            {
                self.sized(size)
            }
            _ => {}
        }
    }

    /// The mirror has another file: nothing of it may count, now or later.
    fn set_aside(&mut self, mirror: usize) {
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        let before = std::mem::replace(&mut known.verdict, Verdict::Differs);
        if before != Verdict::Differs && known.started_at.is_some() {
            // The transfer that has shown where the file ends may have been its.
            self.end_proven = false;
        }
        self.forget_vote(mirror);
        self.forget_found(mirror);
        self.forget_seams(mirror);
        self.disown(mirror);
        let fetching = self.connections.iter().filter(|(_, connection)| connection.mirror == mirror);
        for (id, segment) in fetching.filter_map(|(id, connection)| Some((id, connection.segment.as_ref()?)))
        {
            // The segment keeps its end: others get it when this session has let go of it.
            let none = Until::Offset(segment.start);
            self.directives.push_back(Directive::Shrink(*id, segment.request, none));
        }
    }

    /// What came from a mirror is to be fetched again. What its sessions are still at is, when they have ended.
    pub(super) fn disown(&mut self, mirror: usize) {
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        let mut wrong = std::mem::take(&mut known.fetched);
        for range in wrong.iter() {
            self.spoil_under_way(&range);
            self.renew_seams(&range);
            self.done.remove(range);
        }
        let fetches = |connection: &Connection| connection.mirror == mirror && connection.segment.is_some();
        if !wrong.is_empty() || self.connections.values().any(fetches) {
            self.directives.push_back(Directive::Retract);
        }
        self.renew_heads();
        self.most_done = self.done.len();
        for connection in self.connections.values_mut().filter(|connection| connection.mirror == mirror) {
            if let Some(segment) = &mut connection.segment {
                segment.at = segment.start;
                wrong.remove(segment.start..segment.until.end());
            }
        }
        let Some(size) = self.size else { return };
        wrong.remove(size..u64::MAX);
        self.todo.extend(wrong.iter());
    }

    /// A mirror has sent what cannot be of the file.
    pub(super) fn unmask(&mut self, mirror: usize, fault: MirrorFault) {
        self.forget_vote(mirror);
        self.forget_found(mirror);
        self.forget_seams(mirror);
        let fetched = self.mirrors.get(mirror).is_some_and(|known| !known.fetched.is_empty());
        if self.settings.in_order && fetched {
            // What went out cannot be taken back.
            return self.fail_for(mirror, fault);
        }
        self.disown(mirror);
        if let Some(known) = self.mirrors.get_mut(mirror) {
            known.facts = None;
        }
        // The transfer that has shown where the file ends may have been its.
        self.end_proven = false;
        self.give_up(mirror, fault);
        self.vouch_again();
        // Even if nothing seems to be missing: nobody is left to say what that is worth.
        self.fail_without_mirrors();
    }

    /// A mirror says that its file ends there. If it has not told the size, that is its size.
    pub(super) fn on_end_of_file(&mut self, mirror: usize, at: u64) {
        let Some(known) = self.mirrors.get_mut(mirror).filter(|known| known.is_alive()) else { return };
        let mut facts = known.facts.clone().unwrap_or_default();
        if self.settings.representation != RepresentationType::Image || facts.size.is_some() {
            return;
        }
        facts.size = Some(at);
        if known.verdict == Verdict::Unknown && !Mirror::contradict(&self.identity, &facts) {
            // What else it has to say of the file is on its way, and may decide.
            known.facts = Some(facts);
        } else {
            self.on_facts(mirror, &facts);
        }
    }

    /// Whether a mirror tells, for the first time, another size than where it has ended a transfer. It is wrong in one or the
    /// other, and no more is wanted of it.
    pub(super) fn belies_its_end(&mut self, mirror: usize, told: &Facts) -> bool {
        // What the only one has brought is kept for a later run.
        if !self.mirrors.iter().enumerate().any(|(at, other)| at != mirror && other.is_alive()) {
            return false;
        }
        let Some(known) = self.mirrors.get(mirror).filter(|known| known.told.size.is_none()) else {
            return false;
        };
        let shown = known.facts.as_ref().and_then(|facts| facts.size);
        let Some((shown, told)) = shown.zip(told.size).filter(|(shown, told)| shown != told) else {
            return false;
        };
        self.unmask(mirror, MirrorFault::SizeContradicted { shown, told });
        true
    }

    /// Ends the download for the fault of one mirror.
    fn fail_for(&mut self, mirror: usize, fault: MirrorFault) {
        let server = self.mirrors.get(mirror).map(|known| known.server.clone()).unwrap_or_default();
        self.finish(Err(EngineError::Mirror(MirrorFailure { server, fault })));
    }

    /// After a mirror was found out: what it said of the file may have been taken for the truth.
    fn vouch_again(&mut self) {
        let vouches = |mirror: &Mirror| mirror.is_alive() && mirror.verdict == Verdict::Agrees;
        if self.finished || self.mirrors.iter().any(vouches) {
            return;
        }
        let said: Vec<&Facts> = self.mirrors.iter().filter_map(|mirror| mirror.facts.as_ref()).collect();
        let votes = |for_: &Facts| said.iter().filter(|facts| !Mirror::contradict(for_, facts)).count();
        let best = said.iter().max_by_key(|facts| votes(facts)).map(|facts| (*facts).clone());
        self.start_over(best.unwrap_or_default());
    }

    /// Finds mirrors that have sent more than the file has, before the size was known or unaware of it.
    pub(super) fn find_overruns(&mut self) {
        for at in 0..self.mirrors.len() {
            let Some(size) = self.size else { return };
            // One that has not been heard has broken no word: it may yet say that its file is longer.
            let Some(known) = self.mirrors.get(at).filter(|known| known.verdict != Verdict::Unknown) else {
                continue;
            };
            if known.is_alive() && known.fetched.iter().last().is_some_and(|range| range.end > size) {
                if self.drop_unfounded_size() {
                    return;
                }
                self.unmask(at, MirrorFault::Session(SessionError::Peer(PeerFault::Overrun { size })));
            }
        }
    }

    /// Whether the mirror has sent more than the file is said to have, and was not yet heard on that: it may say that its
    /// file is longer.
    pub(super) fn has_outgrown(&self, at: usize) -> bool {
        let Some((size, known)) = self.size.zip(self.mirrors.get(at)) else { return false };
        known.verdict == Verdict::Unknown && known.fetched.iter().last().is_some_and(|range| range.end > size)
    }

    /// Sees that those are heard; what came from one that cannot be any more does not count.
    pub(super) fn hear_outgrown(&mut self) {
        let outgrown: Vec<usize> = (0..self.mirrors.len()).filter(|at| self.has_outgrown(*at)).collect();
        let (alive, dead): (Vec<usize>, Vec<usize>) =
            outgrown.into_iter().partition(|at| self.mirrors.get(*at).is_some_and(Mirror::is_alive));
        self.lend_slots(&alive);
        for mirror in dead {
            self.disown(mirror);
        }
    }

    /// Whether mirrors have answered differently, and others may still decide between them.
    pub(super) fn is_disputed(&self) -> bool {
        self.mirrors.iter().any(|mirror| mirror.is_alive() && mirror.verdict == Verdict::Differs)
    }

    /// The same, or mirrors have different bytes for the same part.
    pub(super) fn is_undecided(&self) -> bool {
        self.is_disputed() || self.dispute.is_some()
    }

    /// Settles a dispute, if it can be: a majority of those that say something of the file is right.
    pub(super) fn judge(&mut self) {
        if !self.is_disputed() {
            return;
        }
        let said: Vec<&Facts> = self.mirrors.iter().filter_map(|mirror| mirror.facts.as_ref()).collect();
        let votes = |for_: &Facts| said.iter().filter(|facts| !Mirror::contradict(for_, facts)).count();
        let differing = self.mirrors.iter().filter(|mirror| mirror.verdict == Verdict::Differs);
        let rival = differing.filter_map(|mirror| mirror.facts.as_ref()).max_by_key(|facts| votes(facts));
        let Some(rival) = rival.cloned() else { return };
        let (ours, theirs, all) = (votes(&self.identity), votes(&rival), said.len());
        let silent = self.unheard().count();
        let beats = |a: usize, b: usize| a > b + silent && 2 * a > all + silent;
        if beats(ours, theirs) {
            self.drop_differing();
        } else if beats(theirs, ours) || ours == 0 && silent == 0 {
            self.start_over(rival);
        } else if silent > 0 {
            self.ask_unheard();
        } else {
            let of = |verdict| self.mirrors.iter().find(|mirror| mirror.verdict == verdict);
            let servers = [of(Verdict::Agrees), of(Verdict::Differs)]
                .map(|mirror| mirror.map(|mirror| mirror.server.clone()).unwrap_or_default());
            self.finish(Err(EngineError::MirrorsDisagree { servers, difference: Difference::Facts }));
        }
    }

    fn drop_differing(&mut self) {
        for at in 0..self.mirrors.len() {
            if self.mirrors.get(at).is_some_and(|mirror| mirror.verdict == Verdict::Differs) {
                self.give_up(at, MirrorFault::OtherFile);
            }
        }
    }

    /// The file is another one than that which the download began with.
    pub(super) fn start_over(&mut self, identity: Facts) {
        if self.settings.in_order && !self.done.is_empty() {
            return self.finish(Err(EngineError::Superseded));
        }
        self.search_anew();
        for at in 0..self.mirrors.len() {
            self.disown(at);
        }
        // A mirror that does not say which file it has may have sent something of either.
        let abstaining: Vec<SessionId> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.segment.is_some())
            .map(|(id, _)| *id)
            .collect();
        for id in abstaining {
            self.close(id);
        }
        if !self.give_up_earlier().is_empty() {
            self.notify(Notice::EarlierRunOutdated);
        }
        if !self.done.is_empty() {
            self.directives.push_back(Directive::Retract);
        }
        (self.size, self.done, self.identity) = (None, RangeSet::new(), identity);
        self.end_proven = false;
        self.todo.clear();
        self.seams.clear();
        self.agreed_seams.clear();
        for at in 0..self.mirrors.len() {
            let Some(known) = self.mirrors.get_mut(at) else { continue };
            let Some(facts) = known.facts.as_ref().filter(|_| known.verdict != Verdict::Unknown) else {
                continue;
            };
            if Mirror::contradict(&self.identity, facts) {
                known.verdict = Verdict::Differs;
            } else {
                self.agree(at);
            }
        }
        self.judge();
    }

    /// Gives connections to mirrors that have none, so that they can say what they have.
    pub(super) fn ask_unheard(&mut self) {
        let silent: Vec<usize> = self.unheard().collect();
        self.lend_slots(&silent);
    }

    /// The mirrors that are yet to say which file they have.
    pub(super) fn unheard(&self) -> impl Iterator<Item = usize> {
        let unheard =
            |(_, mirror): &(usize, &Mirror)| mirror.is_alive() && mirror.verdict == Verdict::Unknown;
        self.mirrors.iter().enumerate().filter(unheard).map(|(at, _)| at)
    }

    /// Whether the mirror is yet to say something that the download waits for, of whatever kind.
    pub(super) fn is_waited_for(&self, at: usize) -> bool {
        let alive = self.mirrors.get(at).is_some_and(Mirror::is_alive);
        let to_be_heard = || self.is_undecided() && self.unheard().any(|unheard| unheard == at);
        alive && (to_be_heard() || self.wants_vote_of(at) || self.has_outgrown(at))
    }
}
