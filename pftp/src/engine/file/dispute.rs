//! Two mirrors have different bytes for the same part of the file: the others decide.
//!
//! Each mirror that can is asked for the part, by the overlap of a transfer that fetches nothing else. A side with a majority
//! that the remaining votes cannot turn is right; all bytes of the other mirrors are fetched again. If no side gets a majority,
//! the download ends when all mirrors have said which file they have.

use super::File;
use super::replica::Verdict;
use crate::engine::ids::{Arena, ComparisonId, MirrorId, ServerId};
use crate::engine::pool::server::Server;
use bytes::Bytes;

/// The votes on the one overlap that is being decided.
#[derive(Debug)]
pub(in crate::engine) struct Dispute {
    overlap: ComparisonId,
    /// Mirrors that have the bytes of the overlap.
    accusers: Vec<MirrorId>,
    /// Mirrors that have the bytes that are here.
    owners: Vec<MirrorId>,
    /// Other bytes, and the mirrors that have them.
    others: Vec<(Bytes, Vec<MirrorId>)>,
    /// Mirrors that were asked.
    asked: Vec<MirrorId>,
    /// Votes that are being compared with the bytes that are here.
    comparing: Vec<(ComparisonId, MirrorId, Bytes)>,
}

/// The act that a dispute calls for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::engine) enum Resolution {
    /// Nothing: there is no dispute.
    None,
    /// The bytes of an earlier run differ: they count no more.
    DiscardEarlier,
    /// These mirrors are wrong.
    Reject(Vec<MirrorId>),
    /// These mirrors must be able to vote.
    AskForVotes(Vec<MirrorId>),
    /// Mirrors that have yet to say which file they have may decide.
    AskUnheard,
    /// Nothing can decide between these two.
    Undecidable([MirrorId; 2]),
}

impl Dispute {
    const fn new(overlap: ComparisonId, accusers: Vec<MirrorId>, owners: Vec<MirrorId>) -> Self {
        Self { overlap, accusers, owners, others: Vec::new(), asked: Vec::new(), comparing: Vec::new() }
    }

    fn sides(&self) -> impl Iterator<Item = &Vec<MirrorId>> {
        [&self.accusers, &self.owners].into_iter().chain(self.others.iter().map(|(_, side)| side))
    }

    /// Whether the mirror has voted.
    fn has_heard(&self, mirror: MirrorId) -> bool {
        let compares = |(_, of, _): &(ComparisonId, MirrorId, Bytes)| *of == mirror;
        self.sides().any(|side| side.contains(&mirror)) || self.comparing.iter().any(compares)
    }

    /// Records a mirror whose bytes are neither those of the overlap nor those that are here.
    fn add_other(&mut self, mirror: MirrorId, bytes: Bytes) {
        match self.others.iter_mut().find(|(known, _)| *known == bytes) {
            Some((_, side)) => side.push(mirror),
            None => self.others.push((bytes, vec![mirror])),
        }
    }

    /// The mirrors that are wrong, if one side has a majority that `silent` votes, which may yet come, cannot turn.
    fn losers(&self, silent: usize) -> Option<Vec<MirrorId>> {
        let all = self.sides().map(Vec::len).sum::<usize>().saturating_add(silent);
        let winner = self.sides().find(|side| side.len().saturating_mul(2) > all)?;
        Some(self.sides().filter(|side| *side != winner).flatten().copied().collect())
    }
}

impl File {
    /// Keeps the vote on the first disputed overlap going and says what it calls for. `voting` are the mirrors that are voting,
    /// each with its overlap.
    pub(in crate::engine) fn resolve_dispute(
        &mut self,
        voting: &[(MirrorId, ComparisonId)],
        servers: &Arena<ServerId, Server>,
    ) -> Resolution {
        let Some((id, overlap)) = self.overlaps.disputed() else {
            self.dispute = None;
            return Resolution::None;
        };
        let (accuser, owner, range) = (overlap.mirror, overlap.owner, overlap.range());
        if owner.is_none() && self.ledger.is_of_earlier_run(&range) {
            return Resolution::DiscardEarlier;
        }
        let Some(owner) = owner.filter(|owner| *owner != accuser) else {
            return Resolution::Reject(vec![accuser]);
        };
        let mut dispute = self.dispute.take().filter(|dispute| dispute.overlap == id).unwrap_or_else(|| {
            let mut dispute = Dispute::new(id, vec![accuser], vec![owner]);
            // Another overlap may have been decided meanwhile: mirrors that were asked about this one before may still answer.
            dispute.asked = voting.iter().filter(|(_, of)| *of == id).map(|(mirror, _)| *mirror).collect();
            dispute
        });
        // A mirror that was asked and did not get to answer may be asked again.
        let comparing = &dispute.comparing;
        dispute.asked.retain(|at| {
            voting.iter().any(|(mirror, _)| mirror == at) || comparing.iter().any(|(_, of, _)| of == at)
        });
        self.dispute = Some(dispute);
        self.count_votes(voting.len(), servers)
    }

    fn count_votes(&mut self, voting: usize, servers: &Arena<ServerId, Server>) -> Resolution {
        let open: Vec<MirrorId> =
            self.replicas.ids().filter(|mirror| self.wants_vote_of(*mirror, servers)).collect();
        let Some(dispute) = &self.dispute else { return Resolution::None };
        let silent = open.len().saturating_add(voting).saturating_add(dispute.comparing.len());
        if let Some(losers) = dispute.losers(silent) {
            self.dispute = None;
            return Resolution::Reject(losers);
        }
        if silent > 0 {
            return Resolution::AskForVotes(open);
        }
        // A mirror that has yet to say which file it has may turn out to have another one, and its bytes to count for nothing.
        let says = |verdict: Verdict, has_facts: bool| verdict != Verdict::Unknown && has_facts;
        let heard = self.replicas.values().filter(|known| says(known.verdict, known.facts.is_some())).count();
        let unheard = self.unheard().count();
        if unheard > 0 && heard.saturating_add(unheard) > 2 {
            return Resolution::AskUnheard;
        }
        match (dispute.owners.first(), dispute.accusers.first()) {
            (Some(owner), Some(accuser)) => Resolution::Undecidable([*owner, *accuser]),
            _ => Resolution::None,
        }
    }

    /// Forgets the dispute if the mirror has voted in it: the mirror has another file, or is not to be trusted.
    pub(in crate::engine) fn forget_vote(&mut self, mirror: MirrorId) {
        self.dispute.take_if(|dispute| dispute.has_heard(mirror));
    }

    /// Whether the mirror can vote and has not been asked.
    pub(in crate::engine) fn wants_vote_of(
        &self,
        mirror: MirrorId,
        servers: &Arena<ServerId, Server>,
    ) -> bool {
        let Some(dispute) = &self.dispute else { return false };
        let replica = &self.replicas[mirror];
        let able = replica.serves() && servers[replica.server].restarts;
        able && !dispute.has_heard(mirror) && !dispute.asked.contains(&mirror)
    }

    /// The disputed overlap and the offset behind it: a transfer that begins there votes.
    pub(in crate::engine) fn disputed_part(&self) -> Option<(ComparisonId, u64)> {
        let id = self.dispute.as_ref()?.overlap;
        Some((id, self.overlaps.get(id)?.range().end))
    }

    /// Notes that the mirror was asked for its vote.
    pub(in crate::engine) fn vote_asked(&mut self, mirror: MirrorId) {
        if let Some(dispute) = &mut self.dispute {
            dispute.asked.push(mirror);
        }
    }

    /// Takes the vote of a mirror: its bytes of the disputed part, and maybe a few before them. Returns the comparison that the
    /// vote needs.
    pub(in crate::engine) fn vote(
        &mut self,
        of: ComparisonId,
        mirror: MirrorId,
        offset: u64,
        bytes: &Bytes,
    ) -> Option<(ComparisonId, u64, Bytes)> {
        let overlap = self.overlaps.get(of)?;
        let (start, before) = (overlap.offset, overlap.offset.saturating_sub(offset));
        let before = usize::try_from(before).unwrap_or(usize::MAX);
        let part = bytes.slice(before.min(bytes.len())..);
        let accuses = part == overlap.bytes;
        // Each mirror has one vote.
        let open = |dispute: &&mut Dispute| dispute.overlap == of && !dispute.has_heard(mirror);
        let dispute = self.dispute.as_mut().filter(open)?;
        if accuses {
            dispute.accusers.push(mirror);
            return None;
        }
        let id = self.overlaps.next_id();
        dispute.comparing.push((id, mirror, part.clone()));
        Some((id, start, part))
    }

    /// Takes the answer to a comparison. Returns whether it was that of a vote.
    pub(in crate::engine) fn vote_compared(&mut self, id: ComparisonId, same: bool) -> bool {
        let Some(dispute) = &mut self.dispute else { return false };
        let Some(at) = dispute.comparing.iter().position(|(comparing, ..)| *comparing == id) else {
            return false;
        };
        let (_, mirror, bytes) = dispute.comparing.swap_remove(at);
        if same {
            dispute.owners.push(mirror);
        } else {
            dispute.add_other(mirror, bytes);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mirrors(ids: &[usize]) -> Vec<MirrorId> {
        ids.iter().map(|id| MirrorId(*id)).collect()
    }

    fn dispute(accusers: &[usize], owners: &[usize]) -> Dispute {
        Dispute::new(ComparisonId(1), mirrors(accusers), mirrors(owners))
    }

    #[test]
    fn majority_that_no_vote_can_turn_is_right() {
        assert_eq!(dispute(&[0], &[1, 2]).losers(0), Some(mirrors(&[0])));
        assert_eq!(dispute(&[0, 3], &[1, 2]).losers(0), None);
        assert_eq!(dispute(&[0], &[1, 2]).losers(1), None, "the last vote may be for the first mirror");
        assert_eq!(dispute(&[0], &[1, 2, 3]).losers(1), Some(mirrors(&[0])));
    }

    #[test]
    fn majority_may_have_bytes_that_neither_of_the_first_two_has() {
        let mut dispute = dispute(&[0], &[1]);
        for mirror in [2, 3, 4] {
            assert_eq!(dispute.losers(5 - mirror), None);
            dispute.add_other(MirrorId(mirror), Bytes::from_static(b"right"));
        }
        assert_eq!(dispute.losers(0), Some(mirrors(&[0, 1])));
        dispute.add_other(MirrorId(5), Bytes::from_static(b"wrong"));
        assert_eq!(dispute.losers(0), None);
    }
}
