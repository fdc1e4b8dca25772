//! Which file it is: what its mirrors say and show of it.

use super::judge::{Claim, contradict};
use super::replica::{Replica, Verdict};
use super::{File, Flight};
use crate::engine::ids::MirrorId;
use ftp_proto::{Facts, Until};

/// The result of a mirror's statement about its file.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::engine) enum Statement {
    /// The mirror has the file.
    Agrees,
    /// The mirror has another file.
    Differs,
    /// The mirror tells nothing.
    Abstains,
    /// The file changed under the mirror.
    Changed,
    /// The finished file is here already: nothing is fetched.
    HereAlready,
}

impl File {
    /// Takes the claim of a mirror: what it says of the file, or what the end of a transfer shows.
    pub(in crate::engine) fn claim(&mut self, mirror: MirrorId, facts: &Facts) -> Statement {
        self.compare_with_finished(facts);
        let is_here_already = self.is_here_already();
        let known = &mut self.replicas[mirror];
        if is_here_already {
            // The mirror may have a checksum of the file.
            known.verdict = Verdict::Agrees;
            return Statement::HereAlready;
        }
        if known.facts.as_ref().is_some_and(|before| contradict(before, facts)) {
            return Statement::Changed;
        }
        // The end of a transfer has shown the size of a file whose size the server does not tell.
        let shown = known.facts.as_ref().and_then(|before| before.size);
        let facts = Facts { size: facts.size.or(shown), ..facts.clone() };
        if facts.size.is_none() && facts.modify.is_none() {
            if known.facts.is_none() {
                known.verdict = Verdict::Abstains;
            }
            return Statement::Abstains;
        }
        let differs = contradict(&self.identity, &facts);
        known.facts = Some(facts);
        if differs { Statement::Differs } else { Statement::Agrees }
    }

    /// The mirror has the file: its claim holds for all. Returns the size if that is new.
    pub(in crate::engine) fn agree(&mut self, mirror: MirrorId) -> Option<u64> {
        let is_ascii = self.is_ascii();
        let known = &mut self.replicas[mirror];
        known.verdict = Verdict::Agrees;
        let facts = known.facts.as_ref()?;
        self.identity.size = self.identity.size.or(facts.size);
        self.identity.modify = self.identity.modify.or(facts.modify);
        self.identity.size.filter(|_| self.ledger.size().is_none() && !is_ascii)
    }

    /// The mirror has another file: none of its bytes may count.
    pub(in crate::engine) fn set_aside(&mut self, mirror: MirrorId) {
        let known = &mut self.replicas[mirror];
        let before = std::mem::replace(&mut known.verdict, Verdict::Differs);
        if before != Verdict::Differs && known.started_at.is_some() {
            // The transfer that has shown the end of the file may have been one of this mirror.
            self.end_seen = false;
        }
    }

    /// Forgets what the mirror has said for or against others.
    pub(in crate::engine) fn forget_statements(&mut self, mirror: MirrorId) {
        self.forget_vote(mirror);
        self.overlaps.forget(mirror);
    }

    /// The claims of all mirrors.
    pub(in crate::engine) fn claims(&self) -> Vec<Claim> {
        let claim = |(mirror, replica): (MirrorId, &Replica)| Claim {
            mirror,
            is_dropped: replica.is_dropped,
            verdict: replica.verdict,
            facts: replica.facts.clone(),
        };
        self.replicas.iter().map(claim).collect()
    }

    /// The mirrors that have yet to say which file they have.
    pub(in crate::engine) fn unheard(&self) -> impl Iterator<Item = MirrorId> {
        self.replicas.iter().filter(|(_, replica)| replica.is_unheard()).map(|(id, _)| id)
    }

    /// Whether mirrors have claimed different files, and others may still decide.
    pub(super) fn is_disputed(&self) -> bool {
        self.replicas.values().any(|replica| !replica.is_dropped && replica.verdict == Verdict::Differs)
    }

    /// Whether mirrors have claimed different files, or have different bytes for the same part.
    pub(in crate::engine) fn is_undecided(&self) -> bool {
        self.is_disputed() || self.dispute.is_some()
    }

    /// Whether mirrors have different bytes for the same part.
    pub(in crate::engine) const fn has_dispute(&self) -> bool {
        self.dispute.is_some()
    }

    /// Whether the mirror has delivered bytes past the size of the file, and has not been heard on that: it may say that its
    /// file is longer.
    pub(in crate::engine) fn has_outgrown(&self, mirror: MirrorId) -> bool {
        self.replicas[mirror].verdict == Verdict::Unknown && self.ledger.is_overrun_by(mirror)
    }

    /// Whether a mirror that was heard has delivered bytes past the size of the file.
    pub(in crate::engine) fn overran(&self, mirror: MirrorId) -> bool {
        let replica = &self.replicas[mirror];
        !replica.is_dropped && replica.verdict != Verdict::Unknown && self.ledger.is_overrun_by(mirror)
    }

    /// The facts that mirrors have told in this run, less those of rejected mirrors.
    pub(in crate::engine) fn vouched(&self) -> Facts {
        let agreeing = self.replicas.values().filter(|known| known.verdict == Verdict::Agrees);
        let told = agreeing.filter_map(|known| known.facts.as_ref());
        told.fold(Facts::default(), |all, facts| Facts {
            size: all.size.or(facts.size),
            modify: all.modify.or(facts.modify),
            ..all
        })
    }

    /// The facts without the size if no mirror vouches for the size: the journal tells it, or a mirror that was rejected.
    pub(in crate::engine) fn without_unfounded_size(&self) -> Option<Facts> {
        let vouched = self.vouched();
        (self.identity.size.is_some() && vouched.size.is_none()).then_some(vouched)
    }

    /// Whether a living mirror vouches for the file.
    pub(in crate::engine) fn is_vouched_for(&self) -> bool {
        self.replicas.values().any(|known| !known.is_dropped && known.verdict == Verdict::Agrees)
    }

    /// Takes the end of a file that a transfer of the mirror has shown. Returns the mirror's claim if it did not tell the size.
    pub(in crate::engine) fn end_shown(&mut self, mirror: MirrorId, at: u64) -> Option<Facts> {
        let is_ascii = self.is_ascii();
        let known = &mut self.replicas[mirror];
        let mut facts = known.facts.clone().unwrap_or_default();
        if known.is_dropped || is_ascii || facts.size.is_some() {
            return None;
        }
        facts.size = Some(at);
        if known.verdict == Verdict::Unknown && !contradict(&self.identity, &facts) {
            // The mirror's other facts are on their way, and may decide.
            known.facts = Some(facts);
            return None;
        }
        Some(facts)
    }

    /// The end that a transfer of the mirror has shown and the size that the mirror now tells for the first time, if they
    /// differ: one of them is wrong. The only mirror is not tested: its bytes are kept for a later run.
    pub(in crate::engine) fn contradicts_its_end(
        &self,
        mirror: MirrorId,
        told: &Facts,
    ) -> Option<(u64, u64)> {
        let another = |(id, other): (MirrorId, &Replica)| id != mirror && !other.is_dropped;
        if !self.replicas.iter().any(another) {
            return None;
        }
        let known = &self.replicas[mirror];
        if known.told.size.is_some() {
            return None;
        }
        let shown = known.facts.as_ref().and_then(|facts| facts.size);
        shown.zip(told.size).filter(|(shown, told)| shown != told)
    }

    /// Whether all bytes up to the end are here, no server has shown that the file ends there, and no transfer is about to.
    pub(in crate::engine) fn wants_end(&self, flights: &[Flight]) -> bool {
        let Some(size) = self.ledger.size().filter(|_| !self.end_seen) else { return false };
        let ends = |flight: &Flight| {
            self.counts(flight) && !flight.is_cut && !matches!(flight.until, Until::Offset(_))
        };
        self.ledger.has(&(size.saturating_sub(1)..size)) && !flights.iter().any(ends)
    }

    /// A server has ended a transfer of the mirror there.
    pub(in crate::engine) fn ended_at(&mut self, mirror: MirrorId, at: u64) {
        // The end of another file says nothing about this one.
        self.end_seen |= self.ledger.size() == Some(at) && self.replicas[mirror].serves();
    }

    /// Whether all bytes are here that the file is said to have, and only its end has not been seen. The end of an empty file
    /// must be seen.
    pub(in crate::engine) fn lacks_only_end(&self) -> bool {
        self.ledger.size().is_some_and(|size| size > 0)
            && self.ledger.is_whole()
            && !self.end_seen
            && self.is_compared()
    }

    /// Whether the bytes that are here may count as the file, although no mirror is left to show its end: nothing speaks
    /// against it.
    pub(in crate::engine) fn does_without_end(&self) -> bool {
        self.lacks_only_end() && !self.has_lied()
    }

    /// In ASCII only a transfer tells the length of the file, and only all of it can be fetched again: if bytes were discarded,
    /// the size is forgotten with them.
    pub(in crate::engine) fn forget_end_in_ascii(&mut self) {
        if self.is_ascii() && self.ledger.size().is_some() && !self.ledger.is_whole() {
            self.ledger.forget_size();
            self.end_seen = false;
        }
    }

    /// Whether the finished file that was here before is the one to be fetched.
    pub(in crate::engine) const fn is_here_already(&self) -> bool {
        self.here_already.is_some()
    }

    /// The size of the finished file that was here before, if that is the one to be fetched.
    pub(in crate::engine) const fn here_already(&self) -> Option<u64> {
        self.here_already
    }

    /// Whether a finished file is here and has not been compared with what the servers say.
    pub(in crate::engine) const fn may_be_here_already(&self) -> bool {
        self.finished.is_some()
    }

    /// The finished file is not the one to be fetched, or does not have the checksum: all mirrors must say again what they have.
    pub(in crate::engine) fn reject_finished(&mut self) {
        self.here_already = None;
        for known in self.replicas.values_mut() {
            known.verdict = Verdict::Unknown;
        }
    }

    /// Compares the finished file, if there is one, with what a server says.
    fn compare_with_finished(&mut self, facts: &Facts) {
        let Some(here) = self.finished.take() else { return };
        let same_time = facts.modify.is_some_and(|time| time.unix_seconds() == here.modified);
        if same_time && facts.size == Some(here.size) {
            self.here_already = facts.size;
        }
    }
}
