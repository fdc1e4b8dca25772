//! Two mirrors have different bytes for the same part of the file: the others decide.
//!
//! Each mirror that can is asked for the part, by the lead of a transfer that fetches nothing else. Who has a majority that
//! the rest cannot turn is right; all that came from the others is fetched again. Without a majority the download ends, when
//! all have said which file they have.

use super::connection::Connection;
use super::mirror::Verdict;
use super::{Difference, Directive, EngineError, MirrorFault, Planner, SeamId};
use bytes::Bytes;
use ftp_proto::{SessionId, Until};

/// The votes on the one seam that is being decided.
#[derive(Debug)]
pub(super) struct Dispute {
    seam: SeamId,
    /// Those who have what the seam has.
    accusers: Vec<usize>,
    /// Those who have what it differs from.
    owners: Vec<usize>,
    /// Those who have something else: what that is, and who.
    others: Vec<(Bytes, Vec<usize>)>,
    /// Those who were asked, and the votes that are to be compared with what is there.
    asked: Vec<usize>,
    comparing: Vec<(SeamId, usize, Bytes)>,
}

impl Dispute {
    fn sides(&self) -> impl Iterator<Item = &Vec<usize>> {
        [&self.accusers, &self.owners].into_iter().chain(self.others.iter().map(|(_, side)| side))
    }

    /// Whether the mirror has voted.
    fn has_heard(&self, mirror: usize) -> bool {
        let compares = |(_, of, _): &(SeamId, usize, Bytes)| *of == mirror;
        self.sides().any(|side| side.contains(&mirror)) || self.comparing.iter().any(compares)
    }

    /// A mirror has bytes that are neither those of the seam nor those that the seam differs from.
    fn add_other(&mut self, mirror: usize, bytes: Bytes) {
        match self.others.iter_mut().find(|(known, _)| *known == bytes) {
            Some((_, side)) => side.push(mirror),
            None => self.others.push((bytes, vec![mirror])),
        }
    }

    /// Those who are wrong, if one side has a majority that `silent` votes, which may yet come, cannot turn.
    fn losers(&self, silent: usize) -> Option<Vec<usize>> {
        let all = self.sides().map(Vec::len).sum::<usize>().saturating_add(silent);
        let winner = self.sides().find(|side| side.len().saturating_mul(2) > all)?;
        Some(self.sides().filter(|side| *side != winner).flatten().copied().collect())
    }
}

impl Planner {
    /// Keeps the vote on the first disputed seam going, and draws the conclusion when it is over.
    pub(super) fn hear_votes(&mut self) {
        if self.finished {
            return;
        }
        let Some(id) = self.disputed_seam() else {
            self.dispute = None;
            return;
        };
        let Some(seam) = self.seams.get(&id) else { return };
        let (accuser, owner, range) = (seam.mirror, seam.owner, seam.range());
        if owner.is_none() && self.is_of_earlier_run(&range) {
            return self.distrust_earlier();
        }
        let Some(owner) = owner.filter(|owner| *owner != accuser) else {
            return self.unmask_other_bytes(&[accuser]);
        };
        if self.dispute.as_ref().is_none_or(|dispute| dispute.seam != id) {
            let (accusers, owners) = (vec![accuser], vec![owner]);
            // It may have been decided about another seam meanwhile: who was asked about this one before may still answer.
            let asks = |connection: &&Connection| {
                connection.segment.as_ref().is_some_and(|segment| segment.vote == Some(id))
            };
            let asked = self.connections.values().filter(asks).map(|connection| connection.mirror).collect();
            self.dispute = Some(Dispute {
                seam: id,
                accusers,
                owners,
                others: Vec::new(),
                asked,
                comparing: Vec::new(),
            });
        }
        self.forget_broken_votes();
        self.count_votes();
    }

    /// Whoever was asked and did not get to answer may be asked again.
    fn forget_broken_votes(&mut self) {
        let Some(dispute) = &mut self.dispute else { return };
        let votes = |connection: &Connection| {
            !connection.closing && connection.segment.as_ref().is_some_and(|segment| segment.vote.is_some())
        };
        let voting = self.connections.values().filter(|connection| votes(connection));
        let voting: Vec<usize> = voting.map(|connection| connection.mirror).collect();
        let comparing = &dispute.comparing;
        dispute.asked.retain(|at| voting.contains(at) || comparing.iter().any(|(_, of, _)| of == at));
    }

    fn count_votes(&mut self) {
        let Some(dispute) = &self.dispute else { return };
        let open = (0..self.mirrors.len()).filter(|at| self.wants_vote_of(*at)).count();
        let silent = open.saturating_add(self.votes_under_way());
        match dispute.losers(silent) {
            Some(losers) => {
                self.dispute = None;
                self.unmask_other_bytes(&losers);
            }
            None if silent > 0 => self.ask_for_votes(),
            // Who is yet to say which file it has may turn out to have another one, and its bytes to count for nothing.
            None if self.may_be_decided() => self.ask_unheard(),
            None => self.leave_undecided(),
        }
    }

    /// Whether somebody is yet to say which file it has, and there are others to decide with it.
    fn may_be_decided(&self) -> bool {
        let says =
            self.mirrors.iter().filter(|known| known.verdict != Verdict::Unknown && known.facts.is_some());
        let unheard = self.unheard().count();
        unheard > 0 && says.count().saturating_add(unheard) > 2
    }

    /// The mirror has another file, or is not to be trusted: what it has said for one side or the other does not count.
    pub(super) fn forget_vote(&mut self, mirror: usize) {
        self.dispute.take_if(|dispute| dispute.has_heard(mirror));
    }

    /// Votes that may still come.
    fn votes_under_way(&self) -> usize {
        let asked = self.connections.values().filter(|connection| {
            let votes = connection.segment.as_ref().is_some_and(|segment| segment.vote.is_some());
            votes && !connection.closing
        });
        let comparing = self.dispute.as_ref().map_or(0, |dispute| dispute.comparing.len());
        asked.count().saturating_add(comparing)
    }

    /// Sees that a mirror which may yet vote has a connection to do so.
    fn ask_for_votes(&mut self) {
        let silent: Vec<usize> = (0..self.mirrors.len()).filter(|at| self.wants_vote_of(*at)).collect();
        self.lend_slots(&silent);
    }

    pub(super) fn wants_vote_of(&self, at: usize) -> bool {
        let able = self
            .mirrors
            .get(at)
            .is_some_and(|mirror| mirror.is_alive() && mirror.restarts && mirror.verdict != Verdict::Differs);
        able && self
            .dispute
            .as_ref()
            .is_some_and(|dispute| !dispute.has_heard(at) && !dispute.asked.contains(&at))
    }

    /// Asks the mirror of a free session for its vote, if that is wanted. Whether it was.
    pub(super) fn ask_for_vote(&mut self, id: SessionId) -> bool {
        let Some(mirror) = self.connections.get(&id).map(|connection| connection.mirror) else {
            return false;
        };
        if !self.wants_vote_of(mirror) {
            return false;
        }
        let Some(dispute) = &mut self.dispute else { return false };
        let Some(seam) = self.seams.get(&dispute.seam) else { return false };
        let (name, end) = (dispute.seam, seam.range().end);
        dispute.asked.push(mirror);
        self.retrieve(id, end, Until::Offset(end));
        if let Some(segment) =
            self.connections.get_mut(&id).and_then(|connection| connection.segment.as_mut())
        {
            segment.vote = Some(name);
        }
        true
    }

    /// A mirror has sent what it has for the disputed part, and maybe a little before that.
    pub(super) fn on_vote(&mut self, of: SeamId, mirror: usize, offset: u64, bytes: &Bytes) {
        let Some(seam) = self.seams.get(&of) else { return };
        // Each mirror has one vote.
        let open = |dispute: &&mut Dispute| dispute.seam == of && !dispute.has_heard(mirror);
        let Some(dispute) = self.dispute.as_mut().filter(open) else { return };
        let before = usize::try_from(seam.offset.saturating_sub(offset)).unwrap_or(usize::MAX);
        let part = bytes.slice(before.min(bytes.len())..);
        if part == seam.bytes {
            dispute.accusers.push(mirror);
        } else {
            let at = seam.offset;
            let id = self.next_seam();
            if let Some(dispute) = &mut self.dispute {
                dispute.comparing.push((id, mirror, part.clone()));
            }
            self.directives.push_back(Directive::Compare(id, at, part));
        }
    }

    /// Whether the comparison was that of a vote.
    pub(super) fn on_vote_compared(&mut self, id: SeamId, same: bool) -> bool {
        let Some(dispute) = &mut self.dispute else { return false };
        let Some(at) = dispute.comparing.iter().position(|(comparing, ..)| *comparing == id) else {
            return false;
        };
        let (_, mirror, bytes) = dispute.comparing.swap_remove(at);
        if same {
            dispute.owners.push(mirror)
        } else {
            dispute.add_other(mirror, bytes)
        }
        true
    }

    fn leave_undecided(&mut self) {
        let Some(dispute) = &self.dispute else { return };
        let servers = [&dispute.owners, &dispute.accusers].map(|side| {
            let first = side.first().and_then(|at| self.mirrors.get(*at));
            first.map(|mirror| mirror.server.clone()).unwrap_or_default()
        });
        self.finish(Err(EngineError::MirrorsDisagree { servers, difference: Difference::Content }));
    }

    /// These mirrors have other bytes than the rest, or than they had before.
    fn unmask_other_bytes(&mut self, mirrors: &[usize]) {
        for at in mirrors {
            let several = self.mirrors.len() > 1;
            let fault = if several { MirrorFault::OtherBytes } else { MirrorFault::InconsistentBytes };
            self.unmask(*at, fault);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn dispute(accusers: &[usize], owners: &[usize]) -> Dispute {
        Dispute {
            seam: SeamId(1),
            accusers: accusers.to_vec(),
            owners: owners.to_vec(),
            others: Vec::new(),
            asked: Vec::new(),
            comparing: Vec::new(),
        }
    }

    #[test]
    fn a_majority_that_no_vote_can_turn_is_right() {
        assert_eq!(dispute(&[0], &[1, 2]).losers(0), Some(vec![0]));
        assert_eq!(dispute(&[0, 3], &[1, 2]).losers(0), None);
        assert_eq!(dispute(&[0], &[1, 2]).losers(1), None, "the last may say what the first does");
        assert_eq!(dispute(&[0], &[1, 2, 3]).losers(1), Some(vec![0]));
    }

    /// They had no side of their own: three that agreed were in dispute, where two others had something else each.
    #[test]
    fn a_majority_may_have_what_neither_of_the_first_two_has() {
        let mut dispute = dispute(&[0], &[1]);
        for mirror in [2, 3, 4] {
            assert_eq!(dispute.losers(5 - mirror), None);
            dispute.add_other(mirror, Bytes::from_static(b"right"));
        }
        assert_eq!(dispute.losers(0), Some(vec![0, 1]));
        dispute.add_other(5, Bytes::from_static(b"wrong"));
        assert_eq!(dispute.losers(0), None);
    }
}
