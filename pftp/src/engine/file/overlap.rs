//! Overlaps: bytes that two transfers both have of the file must be the same.
//!
//! Two faults show nowhere else: a server that accepts REST and sends the file from its start all the same, and a mirror with
//! another file of the same size and time. The bytes tell the first: they are those that the file begins with. In the second
//! case the other mirrors are asked for the same bytes, and the majority is right: see [`dispute`](super::dispute).

use super::ledger::Ledger;
use crate::engine::ids::{ComparisonId, MirrorId};
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;

/// The number of overlaps without a difference that are kept at most: each holds its bytes.
const MOST_MATCHED: usize = 1024;

/// A comparison to make: the bytes, and the offset of the bytes in the file to compare them with.
pub(in crate::engine) type Comparison = (ComparisonId, u64, Bytes);

/// The bytes that a mirror has before the first byte of a transfer.
#[derive(Debug)]
pub(in crate::engine) struct Overlap {
    /// The mirror whose bytes these are.
    pub(in crate::engine) mirror: MirrorId,
    pub(in crate::engine) offset: u64,
    pub(in crate::engine) bytes: Bytes,
    /// The number of bytes that came before these: their offset if the server sent the file from its start.
    skipped: u64,
    /// The comparison with the bytes that are here.
    here: Progress,
    /// The comparison with the start of the file.
    start: Progress,
    /// The mirror that delivered the bytes that are here.
    pub(in crate::engine) owner: Option<MirrorId>,
}

/// How far a comparison has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Progress {
    NotWanted,
    Wanted,
    Asked,
    Differs,
}

impl Overlap {
    const fn new(mirror: MirrorId, offset: u64, bytes: Bytes) -> Self {
        let (here, start) = (Progress::Wanted, Progress::NotWanted);
        Self { mirror, offset, bytes, skipped: 0, here, start, owner: None }
    }

    /// The same bytes, not compared yet.
    fn uncompared(self) -> Self {
        Self { skipped: self.skipped, ..Self::new(self.mirror, self.offset, self.bytes) }
    }

    /// The range of the file that the bytes claim to be.
    pub(in crate::engine) fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.bytes.len() as u64)
    }

    /// Whether the bytes differ from those that are here, and from the start of the file: the server does not merely ignore REST.
    fn is_contradicted(&self) -> bool {
        self.here == Progress::Differs && self.start == Progress::Differs
    }

    fn touches(&self, range: &Range<u64>) -> bool {
        let own = self.range();
        own.start < range.end && range.start < own.end
    }
}

/// The fact that the answer to a comparison shows.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::engine) enum Shown {
    /// Nothing yet.
    Nothing,
    /// The mirror sends files from their start.
    IgnoresRestart(MirrorId),
    /// Several mirrors may have written the bytes that are here, and one of them is wrong: the range must come again.
    Mixed(Range<u64>),
}

/// The overlaps of one file.
#[derive(Debug, Default)]
pub(in crate::engine) struct Overlaps {
    /// Overlaps that have not been compared, or that differ.
    open: BTreeMap<ComparisonId, Overlap>,
    /// Overlaps that matched: if one of the two mirrors is rejected later, the other one is compared again.
    matched: BTreeMap<ComparisonId, Overlap>,
    last: u64,
}

impl Overlaps {
    /// The identifier of the next comparison.
    pub(in crate::engine) fn next_id(&mut self) -> ComparisonId {
        self.last = self.last.saturating_add(1);
        ComparisonId(self.last)
    }

    /// Adds an overlap that has come.
    pub(in crate::engine) fn add(&mut self, mirror: MirrorId, offset: u64, bytes: Bytes) {
        self.insert(Overlap::new(mirror, offset, bytes));
    }

    fn insert(&mut self, overlap: Overlap) {
        let id = self.next_id();
        self.open.insert(id, overlap);
    }

    /// Whether none is open.
    pub(in crate::engine) fn are_compared(&self) -> bool {
        self.open.is_empty()
    }

    /// The ranges of the open overlaps.
    pub(in crate::engine) fn open_ranges(&self) -> impl Iterator<Item = Range<u64>> {
        self.open.values().map(Overlap::range)
    }

    /// An open overlap.
    pub(in crate::engine) fn get(&self, id: ComparisonId) -> Option<&Overlap> {
        self.open.get(&id)
    }

    /// The comparisons that can be made now.
    pub(in crate::engine) fn comparisons(&mut self, ledger: &Ledger) -> Vec<Comparison> {
        let mut comparisons = Vec::new();
        if let Some(size) = ledger.size() {
            // Bytes outside the file will never be here to be compared with.
            self.open.retain(|_, overlap| overlap.range().end <= size);
        }
        let ready = |overlap: &Overlap| overlap.here == Progress::Wanted && ledger.has(&overlap.range());
        let ready: Vec<ComparisonId> =
            self.open.iter().filter(|(_, overlap)| ready(overlap)).map(|(id, _)| *id).collect();
        for id in ready {
            if let Some(overlap) = self.open.remove(&id) {
                self.split_by_owner(&overlap, ledger, &mut comparisons);
            }
        }
        self.suspect_owners();
        for (id, overlap) in &mut self.open {
            let start = overlap.skipped..overlap.skipped.saturating_add(overlap.bytes.len() as u64);
            // Both answers would bear the same identifier, so only one is awaited at a time.
            let ready = overlap.start == Progress::Wanted && overlap.here != Progress::Asked;
            if ready && ledger.has(&start) {
                overlap.start = Progress::Asked;
                comparisons.push((*id, overlap.skipped, overlap.bytes.clone()));
            }
        }
        comparisons
    }

    /// Asks for a comparison with the bytes of each mirror that has delivered some of the range.
    fn split_by_owner(&mut self, overlap: &Overlap, ledger: &Ledger, comparisons: &mut Vec<Comparison>) {
        let range = overlap.range();
        let mut at = range.start;
        while at < range.end {
            let (owner, end) = ledger.owner(at, range.end);
            let [from, to] = [at, end].map(|offset| {
                let place = usize::try_from(offset.saturating_sub(range.start)).unwrap_or(usize::MAX);
                place.min(overlap.bytes.len())
            });
            let bytes = overlap.bytes.slice(from..to);
            let piece = Overlap {
                skipped: overlap.skipped.saturating_add(from as u64),
                here: Progress::Asked,
                start: overlap.start,
                owner,
                ..Overlap::new(overlap.mirror, at, bytes.clone())
            };
            let id = self.next_id();
            comparisons.push((id, at, bytes));
            self.open.insert(id, piece);
            at = end.max(at.saturating_add(1));
        }
    }

    /// A mirror that others differ from may be one that sends the start of the file: its own overlaps tell.
    fn suspect_owners(&mut self) {
        let contradicted = self.open.values().filter(|overlap| overlap.is_contradicted());
        let suspects: Vec<MirrorId> = contradicted.filter_map(|overlap| overlap.owner).collect();
        for overlap in self.open.values_mut().filter(|overlap| suspects.contains(&overlap.mirror)) {
            if overlap.start == Progress::NotWanted {
                overlap.start = Progress::Wanted;
            }
        }
    }

    /// The first overlap of which it is certain that two mirrors have different bytes.
    pub(in crate::engine) fn disputed(&self) -> Option<(ComparisonId, &Overlap)> {
        let suspected = |mirror: Option<MirrorId>| {
            let mut own = self.open.values().filter(|overlap| Some(overlap.mirror) == mirror);
            own.any(|overlap| matches!(overlap.start, Progress::Wanted | Progress::Asked))
        };
        let disputed = |overlap: &Overlap| overlap.is_contradicted() && !suspected(overlap.owner);
        self.open.iter().find(|(_, overlap)| disputed(overlap)).map(|(id, overlap)| (*id, overlap))
    }

    /// Takes the answer to a comparison.
    pub(in crate::engine) fn compared(&mut self, id: ComparisonId, same: bool, ledger: &Ledger) -> Shown {
        let Some(overlap) = self.open.get_mut(&id) else { return Shown::Nothing };
        if overlap.start == Progress::Asked {
            overlap.start = Progress::Differs;
            return if same { Shown::IgnoresRestart(overlap.mirror) } else { Shown::Nothing };
        }
        if overlap.here != Progress::Asked {
            return Shown::Nothing;
        }
        overlap.here = Progress::Differs;
        if overlap.start == Progress::NotWanted {
            overlap.start = Progress::Wanted;
        }
        let range = overlap.range();
        if same {
            if let Some(overlap) = self.open.remove(&id) {
                self.keep_matched(id, overlap);
            }
        } else if ledger.owners(&range) > 1 {
            return Shown::Mixed(range);
        }
        Shown::Nothing
    }

    fn keep_matched(&mut self, id: ComparisonId, overlap: Overlap) {
        if overlap.owner == Some(overlap.mirror) {
            return;
        }
        self.matched.insert(id, overlap);
        if self.matched.len() > MOST_MATCHED {
            // A single overlap between two mirrors tells as much as many.
            let repeated = |(id, overlap): &(&ComparisonId, &Overlap)| {
                let mut later = self.matched.range(**id..).skip(1);
                later.any(|(_, other)| (other.mirror, other.owner) == (overlap.mirror, overlap.owner))
            };
            let repeated = self.matched.iter().find(repeated).map(|(id, _)| *id);
            if let Some(id) = repeated.or_else(|| self.matched.keys().next().copied()) {
                self.matched.remove(&id);
            }
        }
    }

    /// Forgets the overlaps of a mirror.
    pub(in crate::engine) fn forget(&mut self, mirror: MirrorId) {
        self.open.retain(|_, overlap| overlap.mirror != mirror);
        self.matched.retain(|_, overlap| overlap.mirror != mirror);
    }

    /// Forgets overlaps that matched: the file is done.
    pub(in crate::engine) fn forget_matched(&mut self) {
        self.matched.clear();
    }

    /// Forgets all overlaps.
    pub(in crate::engine) fn clear(&mut self) {
        self.open.clear();
        self.matched.clear();
    }

    /// Has overlaps with this range compared again, as its bytes do not count any more. `may_count` tells whether bytes of a
    /// mirror may be here or may still come.
    pub(in crate::engine) fn compare_again(
        &mut self,
        range: &Range<u64>,
        may_count: impl Fn(MirrorId) -> bool,
    ) {
        self.compare_again_where(
            |overlap| overlap.here != Progress::Wanted && overlap.touches(range),
            may_count,
        );
    }

    /// Has overlaps compared again whose counterpart no mirror delivered in this run.
    pub(in crate::engine) fn compare_unowned_again(&mut self, may_count: impl Fn(MirrorId) -> bool) {
        self.compare_again_where(|overlap| overlap.owner.is_none(), may_count);
    }

    fn compare_again_where(
        &mut self,
        is_stale: impl Fn(&Overlap) -> bool,
        may_count: impl Fn(MirrorId) -> bool,
    ) {
        let all = self.open.iter().chain(&self.matched);
        let stale: Vec<ComparisonId> =
            all.filter(|(_, overlap)| is_stale(overlap)).map(|(id, _)| *id).collect();
        for id in stale {
            let matched = self.matched.remove(&id).filter(|overlap| may_count(overlap.mirror));
            if let Some(overlap) = self.open.remove(&id).or(matched) {
                // Under a new identifier: an answer for the old one may be under way.
                self.insert(overlap.uncompared());
            }
        }
    }
}
