//! Where bytes of two transfers meet: what both have of the file there must be the same.
//!
//! A server that accepts REST and sends from the start all the same, and a mirror with another file of the same size and
//! time, show themselves nowhere else. The first is recognised by its bytes: they are those that the file begins with. In
//! the second case the other mirrors are asked for the same part, and the majority is right: see `dispute`.

use super::connection::Connection;
use super::{Directive, MirrorFault, Planner, SeamId};
use bytes::Bytes;
use ftp_proto::{Instant, SessionId};
use std::ops::Range;

/// Bytes before its first one that a transfer fetches again.
pub(super) const LEAD: u64 = 4 * 1024;

/// So many seams that showed no difference are kept at most: each has the bytes of a lead.
const MOST_AGREED: usize = 1024;

/// What a mirror has before the first byte of a transfer.
#[derive(Debug)]
pub(super) struct Seam {
    /// Whose bytes these are.
    pub(super) mirror: usize,
    pub(super) offset: u64,
    pub(super) bytes: Bytes,
    /// How many bytes came before these: where they lie in the file if it was sent from its start.
    skipped: u64,
    /// Against what is there, once it is there.
    part: Comparison,
    /// Against the start of the file, if there is reason to.
    start: Comparison,
    /// Who has fetched what it is compared with.
    pub(super) owner: Option<usize>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Comparison {
    NotWanted,
    Wanted,
    Asked,
    Differs,
}

impl Seam {
    pub(super) const fn new(mirror: usize, offset: u64, bytes: Bytes) -> Self {
        let (part, start) = (Comparison::Wanted, Comparison::NotWanted);
        Self { mirror, offset, bytes, skipped: 0, part, start, owner: None }
    }

    /// The same, not compared yet.
    fn renewed(self) -> Self {
        Self { skipped: self.skipped, ..Self::new(self.mirror, self.offset, self.bytes) }
    }

    /// The part of the file that it is about.
    pub(super) fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.bytes.len() as u64)
    }

    /// Whether it differs, and not because its mirror sends the start of the file.
    fn is_settled(&self) -> bool {
        self.part == Comparison::Differs && self.start == Comparison::Differs
    }
}

impl Planner {
    /// A session has fetched the lead of its transfer.
    pub(super) fn on_lead(&mut self, id: SessionId, offset: u64, bytes: Bytes, now: Instant) {
        // Of one connection none was asked for, and no vote on it would ever come.
        if Self::is_single(&self.settings) {
            return;
        }
        if !self.connections.get(&id).is_some_and(|connection| self.may_go_on(connection)) {
            return;
        }
        self.note_start(id, now);
        let Some(connection) = self.connections.get_mut(&id) else { return };
        let (mirror, vote) =
            (connection.mirror, connection.segment.as_ref().and_then(|segment| segment.vote));
        // To a slow one it may take much longer than what follows.
        connection.rate.add(bytes.len() as u64, now);
        if let Some(known) = self.mirrors.get_mut(mirror) {
            known.received(bytes.len() as u64, now);
        }
        if let Some(seam) = vote {
            return self.on_vote(seam, mirror, offset, &bytes);
        }
        self.add_seam(Seam::new(mirror, offset, bytes));
    }

    pub(super) fn next_seam(&mut self) -> SeamId {
        self.last_seam = self.last_seam.saturating_add(1);
        SeamId(self.last_seam)
    }

    fn add_seam(&mut self, seam: Seam) {
        let id = self.next_seam();
        self.seams.insert(id, seam);
    }

    /// Has compared what can be.
    pub(super) fn compare_seams(&mut self) {
        if let Some(size) = self.size {
            // What lies outside the file will never be there to be compared with.
            self.seams.retain(|_, seam| seam.range().end <= size);
        }
        let ready = |seam: &Seam| seam.part == Comparison::Wanted && self.done.contains(&seam.range());
        let ready: Vec<SeamId> =
            self.seams.iter().filter(|(_, seam)| ready(seam)).map(|(id, _)| *id).collect();
        for id in ready {
            let Some(seam) = self.seams.remove(&id) else { continue };
            self.compare_by_owner(&seam);
        }
        self.suspect_owners();
        for (id, seam) in &mut self.seams {
            let start = seam.skipped..seam.skipped.saturating_add(seam.bytes.len() as u64);
            // One question at a time: the answers bear the same name.
            let ready = seam.start == Comparison::Wanted && seam.part != Comparison::Asked;
            if ready && self.done.contains(&start) {
                seam.start = Comparison::Asked;
                self.directives.push_back(Directive::Compare(*id, seam.skipped, seam.bytes.clone()));
            }
        }
        self.hear_votes();
    }

    /// Asks for a comparison with what is there, apart for every mirror that has fetched some of that.
    fn compare_by_owner(&mut self, seam: &Seam) {
        let range = seam.range();
        let mut at = range.start;
        while at < range.end {
            let (owner, end) = self.owner(at, range.end);
            let [from, to] = [at, end].map(|offset| {
                usize::try_from(offset.saturating_sub(range.start))
                    .unwrap_or(usize::MAX)
                    .min(seam.bytes.len())
            });
            let bytes = seam.bytes.slice(from..to);
            let piece = Seam {
                skipped: seam.skipped.saturating_add(from as u64),
                part: Comparison::Asked,
                start: seam.start,
                owner,
                ..Seam::new(seam.mirror, at, bytes.clone())
            };
            let id = self.next_seam();
            self.directives.push_back(Directive::Compare(id, at, bytes));
            self.seams.insert(id, piece);
            at = end.max(at.saturating_add(1));
        }
    }

    /// The mirror that has fetched the byte at `offset`, and how far, up to `end`, what follows is of the same.
    fn owner(&self, offset: u64, end: u64) -> (Option<usize>, u64) {
        let held = |at: usize| {
            let mirror = self.mirrors.get(at)?;
            mirror.fetched.iter().find(|range| range.contains(&offset)).map(|range| range.end.min(end))
        };
        let found = (0..self.mirrors.len()).find_map(|at| Some((Some(at), held(at)?)));
        let owned = self.mirrors.iter().flat_map(|mirror| mirror.fetched.iter());
        let next = owned.map(|range| range.start).filter(|start| *start > offset).min();
        found.unwrap_or_else(|| (None, next.unwrap_or(end).min(end)))
    }

    /// A mirror that others differ from may be one that sends the start of the file: its own leads tell.
    fn suspect_owners(&mut self) {
        let suspects: Vec<usize> =
            self.seams.values().filter(|seam| seam.is_settled()).filter_map(|seam| seam.owner).collect();
        for seam in self.seams.values_mut().filter(|seam| suspects.contains(&seam.mirror)) {
            if seam.start == Comparison::NotWanted {
                seam.start = Comparison::Wanted;
            }
        }
    }

    /// The first seam of which it is certain that two mirrors have different bytes.
    pub(super) fn disputed_seam(&self) -> Option<SeamId> {
        let suspected = |mirror: Option<usize>| {
            let mut own = self.seams.values().filter(|seam| Some(seam.mirror) == mirror);
            own.any(|seam| matches!(seam.start, Comparison::Wanted | Comparison::Asked))
        };
        let disputed = |seam: &Seam| seam.is_settled() && !suspected(seam.owner);
        self.seams.iter().find(|(_, seam)| disputed(seam)).map(|(id, _)| *id)
    }

    /// Takes the answer to [`Directive::Compare`].
    pub fn compared(&mut self, id: SeamId, same: bool, now: Instant) {
        if self.finished {
            return;
        }
        if !self.on_vote_compared(id, same) && !self.on_head_compared(id, same) {
            self.on_compared(id, same);
        }
        self.plan(now);
    }

    fn on_compared(&mut self, id: SeamId, same: bool) {
        let Some(seam) = self.seams.get_mut(&id) else { return };
        if seam.start == Comparison::Asked {
            let mirror = seam.mirror;
            seam.start = Comparison::Differs;
            if same {
                self.unmask_restart(mirror);
            }
        } else if seam.part == Comparison::Asked {
            seam.part = Comparison::Differs;
            if seam.start == Comparison::NotWanted {
                seam.start = Comparison::Wanted;
            }
            let range = seam.range();
            if same {
                self.seams.remove(&id).into_iter().for_each(|seam| self.keep_agreed(id, seam));
            } else if self.owners(&range) > 1 {
                // It cannot be told whose bytes differ: others are to take their place, and to be compared.
                self.fetch_again(&range);
            }
        }
    }

    /// The seam shows no difference: two mirrors vouch for each other there. What one of them has may turn out to be wrong, and
    /// that the other has it as well says nothing for it then.
    fn keep_agreed(&mut self, id: SeamId, seam: Seam) {
        if seam.owner == Some(seam.mirror) {
            return;
        }
        self.agreed_seams.insert(id, seam);
        if self.agreed_seams.len() > MOST_AGREED {
            // Of a mirror that has the wrong file one tells as much as many do.
            let repeated = |(id, seam): &(&SeamId, &Seam)| {
                let mut later = self.agreed_seams.range(**id..).skip(1);
                later.any(|(_, other)| (other.mirror, other.owner) == (seam.mirror, seam.owner))
            };
            let repeated = self.agreed_seams.iter().find(repeated).map(|(id, _)| *id);
            if let Some(id) = repeated.or_else(|| self.agreed_seams.keys().next().copied()) {
                self.agreed_seams.remove(&id);
            }
        }
    }

    /// How many mirrors may have written what is there.
    fn owners(&self, range: &Range<u64>) -> usize {
        let overlaps = |part: Range<u64>| part.start < range.end && range.start < part.end;
        self.mirrors.iter().filter(|mirror| mirror.fetched.iter().any(overlaps)).count()
    }

    fn unmask_restart(&mut self, mirror: usize) {
        self.unmask(mirror, MirrorFault::IgnoresRestart);
    }

    /// What the mirror said of the file is worth nothing any more.
    pub(super) fn forget_seams(&mut self, mirror: usize) {
        self.seams.retain(|_, seam| seam.mirror != mirror);
        self.agreed_seams.retain(|_, seam| seam.mirror != mirror);
    }

    /// Whether anything that is here may be of the mirror, or may come from it.
    fn may_have_sent(&self, mirror: usize) -> bool {
        let fetches = |connection: &Connection| connection.mirror == mirror && connection.segment.is_some();
        let known = self.mirrors.get(mirror);
        known.is_some_and(|known| !known.fetched.is_empty()) || self.connections.values().any(fetches)
    }

    /// What is there in this range does not count any more: whoever was compared with it is to be compared with what takes
    /// its place.
    pub(super) fn renew_seams(&mut self, taken_back: &Range<u64>) {
        self.renew_seams_where(|seam| {
            let range = seam.range();
            seam.part != Comparison::Wanted && range.start < taken_back.end && taken_back.start < range.end
        });
    }

    /// The same for what nobody in this run has fetched.
    pub(super) fn renew_unowned_seams(&mut self) {
        self.renew_seams_where(|seam| seam.owner.is_none());
    }

    fn renew_seams_where(&mut self, is_stale: impl Fn(&Seam) -> bool) {
        let all = self.seams.iter().chain(&self.agreed_seams);
        let stale: Vec<SeamId> = all.filter(|(_, seam)| is_stale(seam)).map(|(id, _)| *id).collect();
        for id in stale {
            let agreed = self.agreed_seams.remove(&id).filter(|seam| self.may_have_sent(seam.mirror));
            if let Some(seam) = self.seams.remove(&id).or(agreed) {
                // Under a new name: an answer for the old one may be under way.
                self.add_seam(seam.renewed());
            }
        }
    }
}
