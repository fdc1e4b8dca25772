//! A file: its bytes, its mirrors, and the evidence that all of it is one file. It knows no session: what sessions have under
//! way is told as [`Flight`]s.

pub(super) mod confirm;
pub(super) mod dispute;
mod heads;
pub(super) mod identity;
pub(super) mod judge;
pub(super) mod ledger;
pub(super) mod overlap;
pub(super) mod replica;

use super::directive::{Source, Wanted};
use super::earlier::{Earlier, Finished};
use super::error::{EngineError, MirrorFailure, MirrorFault};
use super::file_lookup::FileLookup;
use super::ids::{Arena, MirrorId, ServerId};
use super::pool::server::Server;
use crate::ranges::RangeSet;
use dispute::Dispute;
use ftp_proto::{Facts, Instant, RepresentationType, SessionId, Until};
use heads::Heads;
use ledger::Ledger;
use overlap::{Comparison, Overlaps};
use replica::Replica;
use std::ops::Range;

/// A transfer of the file that is under way.
#[derive(Clone, Debug)]
pub(super) struct Flight {
    pub(super) session: SessionId,
    pub(super) mirror: MirrorId,
    /// The part of its range that has not come.
    pub(super) left: Range<u64>,
    /// The whole range.
    pub(super) range: Range<u64>,
    pub(super) until: Until,
    /// Whether it is being cut: others get what is left of its range.
    pub(super) is_cut: bool,
    /// Whether its session has been closed.
    pub(super) is_closing: bool,
}

/// How far a file has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum State {
    /// It waits for a free session.
    Queued,
    /// It is being fetched.
    Active,
    /// It is over; [`Directive::Done`](super::Directive::Done) tells how.
    Done,
}

/// A file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) state: State,
    /// How it ended, until that is told.
    pub(super) result: Option<Result<u64, EngineError>>,
    pub(super) min_segment: u64,
    pub(super) min_tail: u64,
    pub(super) in_order: bool,
    representation: RepresentationType,
    pub(super) replicas: Arena<MirrorId, Replica>,
    pub(super) ledger: Ledger,
    /// The facts on which the mirrors agree that are fetched from.
    pub(super) identity: Facts,
    pub(super) overlaps: Overlaps,
    pub(super) heads: Heads,
    dispute: Option<Dispute>,
    pub(super) lookup: Option<FileLookup>,
    /// The finished file that was here before.
    finished: Option<Finished>,
    /// The size of that file, once a server has said that it is the same.
    here_already: Option<u64>,
    /// Whether a server has ended a transfer where the file ends.
    pub(super) end_seen: bool,
    /// The number of transfers that have begun.
    pub(super) transfers: u64,
    /// Since when all bytes have been here.
    complete_since: Option<Instant>,
}

impl File {
    /// A file that waits to be fetched.
    pub(super) fn new(wanted: Wanted) -> Self {
        let mut replicas: Arena<MirrorId, Replica> = Arena::new();
        for Source { server, path } in wanted.mirrors {
            if !replicas.values().any(|replica| replica.server == server) {
                replicas.push(Replica::new(server, path));
            }
        }
        let Earlier { identity, done, heads, finished } = wanted.earlier;
        // A pipe has nothing of earlier runs.
        let (identity, done) = if wanted.in_order { Default::default() } else { (identity, done) };
        let mut file = Self {
            state: State::Queued,
            result: None,
            min_segment: wanted.min_segment,
            min_tail: wanted.min_tail,
            in_order: wanted.in_order,
            representation: wanted.representation,
            ledger: Ledger::new(replicas.len(), done),
            replicas,
            identity,
            overlaps: Overlaps::default(),
            heads: Heads::default(),
            dispute: None,
            lookup: wanted.lookup.map(FileLookup::new),
            finished,
            here_already: None,
            end_seen: false,
            transfers: 0,
            complete_since: None,
        };
        if !file.in_order {
            for (offset, bytes) in heads {
                file.heads.add(file.overlaps.next_id(), offset, bytes);
            }
        }
        file
    }

    /// Whether it is transferred as ASCII.
    pub(super) const fn is_ascii(&self) -> bool {
        matches!(self.representation, RepresentationType::Ascii)
    }

    /// Whether it comes over one connection: in order, or as ASCII.
    pub(super) const fn is_single(&self) -> bool {
        self.in_order || self.is_ascii()
    }

    /// Whether it is over.
    pub(super) fn is_done(&self) -> bool {
        self.state == State::Done
    }

    /// The mirror on a server, if there is one.
    pub(super) fn mirror_on(&self, server: ServerId) -> Option<MirrorId> {
        self.replicas.iter().find(|(_, replica)| replica.server == server).map(|(id, _)| id)
    }

    /// The mirror on a server that has not been dropped.
    pub(super) fn living_mirror_on(&self, server: ServerId) -> Option<MirrorId> {
        self.mirror_on(server).filter(|mirror| !self.replicas[*mirror].is_dropped)
    }

    /// Whether a mirror is left.
    pub(super) fn has_mirror(&self) -> bool {
        self.replicas.values().any(|replica| !replica.is_dropped)
    }

    /// Whether a mirror is left that understands REST.
    pub(super) fn has_restarting_mirror(&self, servers: &Arena<ServerId, Server>) -> bool {
        self.replicas.values().any(|replica| !replica.is_dropped && servers[replica.server].restarts)
    }

    /// Whether bytes of this transfer may count.
    pub(super) fn counts(&self, flight: &Flight) -> bool {
        !flight.is_closing && self.replicas[flight.mirror].serves()
    }

    /// Whether bytes of a mirror are here or may come.
    fn may_count(&self, mirror: MirrorId, flights: &[Flight]) -> bool {
        !self.ledger.written_by(mirror).is_empty() || flights.iter().any(|flight| flight.mirror == mirror)
    }

    /// The ranges that sessions are fetching.
    pub(super) fn assigned(&self, flights: &[Flight]) -> RangeSet {
        let mut assigned = RangeSet::new();
        for flight in flights.iter().filter(|flight| self.counts(flight) && !flight.is_cut) {
            assigned.insert(flight.left.clone());
        }
        assigned
    }

    /// The comparisons of overlaps that can be made now.
    pub(super) fn comparisons(&mut self) -> Vec<Comparison> {
        self.overlaps.comparisons(&self.ledger)
    }

    /// The comparisons of heads of old ranges that can be made now.
    pub(super) fn head_comparisons(&mut self) -> Vec<Comparison> {
        self.heads.comparisons(&self.ledger)
    }

    /// Discards all bytes of a mirror: they must come again. Returns their ranges, and whether the settled part has shrunk.
    pub(super) fn discard(&mut self, mirror: MirrorId, flights: &[Flight]) -> (RangeSet, bool) {
        // The mirror has nothing here any more.
        let own = self.ledger.written_by(mirror).clone();
        let others: Vec<MirrorId> =
            self.replicas.ids().filter(|id| *id != mirror && self.may_count(*id, flights)).collect();
        let flies = flights.iter().any(|flight| flight.mirror == mirror);
        for range in own.iter() {
            self.overlaps.compare_again(&range, |id| others.contains(&id) || id == mirror && flies);
        }
        let wrong = self.ledger.discard(mirror);
        self.compare_heads_again();
        let shrunk = !wrong.is_empty() || flies;
        (wrong, shrunk)
    }

    /// Queues ranges of discarded bytes, less those that sessions of the mirror are still at.
    pub(super) fn requeue(&mut self, mut wrong: RangeSet, mirror: MirrorId, flights: &[Flight]) {
        for flight in flights.iter().filter(|flight| flight.mirror == mirror) {
            wrong.remove(flight.range.clone());
        }
        if let Some(size) = self.ledger.size() {
            wrong.remove(size..u64::MAX);
            self.ledger.queue_last(wrong.iter());
        }
    }

    /// Discards the bytes of a range, whoever wrote them: they must come again. Returns whether any were here.
    pub(super) fn forget(&mut self, range: &Range<u64>, flights: &[Flight]) -> bool {
        if self.ledger.missing(range.clone()).contains(range) {
            return false;
        }
        let count: Vec<MirrorId> =
            self.replicas.ids().filter(|mirror| self.may_count(*mirror, flights)).collect();
        self.overlaps.compare_again(range, |mirror| count.contains(&mirror));
        self.ledger.forget(range);
        self.compare_heads_again();
        true
    }

    fn compare_heads_again(&mut self) {
        self.heads.compare_again(&self.ledger, || self.overlaps.next_id());
    }

    /// Has overlaps compared again whose counterpart was of an earlier run.
    pub(super) fn compare_unowned_overlaps_again(&mut self, flights: &[Flight]) {
        let count: Vec<MirrorId> =
            self.replicas.ids().filter(|mirror| self.may_count(*mirror, flights)).collect();
        self.overlaps.compare_unowned_again(|mirror| count.contains(&mirror));
    }

    /// Forgets what earlier runs have left. Returns whether any of it counted.
    pub(super) fn forget_earlier(&mut self) -> bool {
        self.heads.clear();
        self.ledger.forget_earlier()
    }

    /// Whether bytes of an earlier run count.
    pub(super) fn has_earlier(&self) -> bool {
        !self.ledger.earlier().is_empty()
    }

    /// The bytes that are here for certain, for a later run as well: they have been compared wherever they had to be.
    pub(super) fn settled(&self, flights: &[Flight]) -> RangeSet {
        let mut settled = self.ledger.done().clone();
        for range in self.overlaps.open_ranges().chain(self.heads.open_ranges()) {
            settled.remove(range);
        }
        // Bytes that are being written, and the bytes that they replace, may not have been reported yet.
        for flight in flights {
            settled.remove(flight.left.clone());
        }
        settled
    }

    /// Whether nothing that is here is in doubt.
    pub(super) fn is_compared(&self) -> bool {
        !self.is_disputed()
            && !self.replicas.ids().any(|mirror| self.has_outgrown(mirror))
            && self.overlaps.are_compared()
            && self.heads.are_settled()
    }

    /// Whether all bytes are here, and nothing of them is in doubt.
    pub(super) fn is_complete(&self, flights: &[Flight]) -> bool {
        // A session that may fetch no more may have overwritten bytes without having reported that.
        let untrusted = |flight: &Flight| self.replicas[flight.mirror].is_dropped;
        self.ledger.is_whole() && self.end_seen && self.is_compared() && !flights.iter().any(untrusted)
    }

    /// Whether a session could be of use: to fetch, or to say which file its mirror has.
    pub(super) fn has_work(&self, flights: &[Flight]) -> bool {
        if self.is_here_already() {
            return false;
        }
        self.is_undecided()
            || self.replicas.ids().any(|mirror| self.has_outgrown(mirror))
            || !self.ledger.is_whole()
            || self.wants_end(flights)
    }

    /// Why each mirror failed.
    pub(super) fn failures(&self, servers: &Arena<ServerId, Server>) -> Vec<MirrorFailure> {
        let failure = |replica: &Replica| {
            let fault = replica.failure.clone()?;
            Some(MirrorFailure { server: servers[replica.server].name.clone(), fault })
        };
        self.replicas.values().filter_map(failure).collect()
    }

    /// Whether a mirror delivered bytes that cannot be of the file, or ended it in the wrong place.
    fn has_lied(&self) -> bool {
        self.replicas
            .values()
            .filter_map(|replica| replica.failure.as_ref())
            .any(MirrorFault::is_contradiction)
    }
}
