//! Which bytes of a file are here, who wrote them, and which ranges nobody fetches.

use crate::engine::ids::{Arena, MirrorId};
use crate::ranges::RangeSet;
use std::collections::VecDeque;
use std::ops::Range;

/// The bytes of one file.
#[derive(Debug)]
pub(in crate::engine) struct Ledger {
    /// The size of the file in bytes, once it is known.
    size: Option<u64>,
    /// Bytes that are here and count.
    done: RangeSet,
    /// The greatest length of `done` so far: bytes that are fetched once more are no progress.
    most_done: u64,
    /// Ranges to fetch that no session is fetching, the next one first.
    todo: VecDeque<Range<u64>>,
    /// The bytes that came from each mirror and count.
    written: Arena<MirrorId, RangeSet>,
    /// The bytes that earlier runs have left.
    earlier: RangeSet,
}

impl Ledger {
    /// The ledger of a file with so many mirrors, of which earlier runs have left `earlier`.
    pub(in crate::engine) fn new(mirrors: usize, earlier: RangeSet) -> Self {
        Self {
            size: None,
            most_done: earlier.len(),
            done: earlier.clone(),
            todo: VecDeque::new(),
            written: (0..mirrors).map(|_| RangeSet::new()).collect(),
            earlier,
        }
    }

    /// The size of the file in bytes, once it is known.
    pub(in crate::engine) const fn size(&self) -> Option<u64> {
        self.size
    }

    /// Sets the size of the file.
    pub(in crate::engine) const fn set_size(&mut self, size: u64) {
        self.size = Some(size);
    }

    /// Bytes that are here and count.
    pub(in crate::engine) const fn done(&self) -> &RangeSet {
        &self.done
    }

    /// Whether all bytes of the range are here.
    pub(in crate::engine) fn has(&self, range: &Range<u64>) -> bool {
        self.done.contains(range)
    }

    /// Whether all bytes are here that the file is known to have.
    pub(in crate::engine) fn is_whole(&self) -> bool {
        self.size.is_some_and(|size| self.done.contains(&(0..size)))
    }

    /// The missing parts of the range.
    pub(in crate::engine) fn missing(&self, range: Range<u64>) -> RangeSet {
        self.done.gaps(range)
    }

    /// The first missing range; it ends where bytes follow that are here.
    pub(in crate::engine) fn first_gap(&self) -> Range<u64> {
        self.done.gaps(0..u64::MAX).iter().next().unwrap_or(0..u64::MAX)
    }

    /// The number of bytes that have not come; 0 while the size is not known.
    pub(in crate::engine) fn left(&self) -> u64 {
        self.size.unwrap_or(0).saturating_sub(self.done.len())
    }

    /// The bytes that came from a mirror and count.
    pub(in crate::engine) fn written_by(&self, mirror: MirrorId) -> &RangeSet {
        &self.written[mirror]
    }

    /// Records bytes that a mirror delivered. Returns whether more is here than ever before.
    pub(in crate::engine) fn record(&mut self, mirror: MirrorId, range: &Range<u64>) -> bool {
        self.written[mirror].insert(range.clone());
        let fresh = self.done.gaps(range.clone());
        self.done.insert(range.clone());
        self.earlier.remove(range.clone());
        let progress = self.done.len() > self.most_done;
        self.most_done = self.most_done.max(self.done.len());
        // Fresh bytes are of this mirror. Bytes that were here are of either mirror: reports may overtake one another.
        for other in self.written.ids().filter(|other| *other != mirror) {
            for range in fresh.iter() {
                self.written[other].remove(range);
            }
        }
        progress
    }

    /// Forgets all bytes that are here: an ASCII transfer begins anew.
    pub(in crate::engine) fn restart(&mut self) {
        self.done = RangeSet::new();
    }

    /// Discards the bytes of a mirror. Returns their ranges.
    pub(in crate::engine) fn discard(&mut self, mirror: MirrorId) -> RangeSet {
        let wrong = std::mem::take(&mut self.written[mirror]);
        for range in wrong.iter() {
            self.done.remove(range);
        }
        self.most_done = self.done.len();
        wrong
    }

    /// Discards a range, whoever wrote it, and queues it.
    pub(in crate::engine) fn forget(&mut self, range: &Range<u64>) {
        self.done.remove(range.clone());
        self.earlier.remove(range.clone());
        self.most_done = self.done.len();
        for written in self.written.values_mut() {
            written.remove(range.clone());
        }
        if let Some(size) = self.size {
            self.queue_last(Some(range.start..range.end.min(size)));
        }
    }

    /// Forgets the size, all bytes, and what was queued.
    pub(in crate::engine) fn clear(&mut self) {
        (self.size, self.done) = (None, RangeSet::new());
        self.todo.clear();
    }

    /// Forgets the size and what was queued.
    pub(in crate::engine) fn forget_size(&mut self) {
        self.size = None;
        self.todo.clear();
    }

    /// Queues ranges behind all others. Empty ranges are left out.
    pub(in crate::engine) fn queue_last(&mut self, ranges: impl IntoIterator<Item = Range<u64>>) {
        self.todo.extend(ranges.into_iter().filter(|range| !range.is_empty()));
    }

    /// Queues a range before all others, unless it is empty.
    pub(in crate::engine) fn queue_first(&mut self, range: Range<u64>) {
        if !range.is_empty() {
            self.todo.push_front(range);
        }
    }

    /// Replaces the queue.
    pub(in crate::engine) fn set_queue(&mut self, ranges: Vec<Range<u64>>) {
        self.todo = ranges.into();
    }

    /// The queue: ranges that no session is fetching.
    pub(in crate::engine) const fn queue(&self) -> &VecDeque<Range<u64>> {
        &self.todo
    }

    /// Takes the queued range at this place.
    pub(in crate::engine) fn take_queued(&mut self, at: usize) -> Option<Range<u64>> {
        self.todo.remove(at)
    }

    /// Takes the next range that is missing and that none of the ranges in `assigned` covers. Ranges before it that have come
    /// or are being fetched leave the queue.
    pub(in crate::engine) fn take_next(&mut self, assigned: &RangeSet) -> Option<Range<u64>> {
        while let Some(range) = self.todo.pop_front() {
            let mut missing = self.unassigned(range, assigned);
            let Some(first) = missing.pop_first() else { continue };
            for rest in missing.iter().collect::<Vec<_>>().into_iter().rev() {
                self.todo.push_front(rest);
            }
            return Some(first);
        }
        None
    }

    /// Empties the queue if all its ranges have come or are being fetched.
    pub(in crate::engine) fn drop_stale(&mut self, assigned: &RangeSet) {
        if self.todo.iter().all(|range| self.unassigned(range.clone(), assigned).is_empty()) {
            self.todo.clear();
        }
    }

    /// The missing parts of a range that none of the ranges in `assigned` covers.
    pub(in crate::engine) fn unassigned(&self, range: Range<u64>, assigned: &RangeSet) -> RangeSet {
        let mut missing = self.done.gaps(range);
        for range in assigned.iter() {
            missing.remove(range);
        }
        missing
    }

    /// Queues the missing parts of a range that a session fetches no more.
    pub(in crate::engine) fn release(&mut self, range: Range<u64>) {
        let Some(size) = self.size else { return };
        let end = range.end.min(size);
        for gap in self.done.gaps(range.start.min(end)..end).iter() {
            self.todo.push_front(gap);
        }
    }

    /// The mirror that wrote the byte at `offset`, and the offset up to which, at most `end`, the bytes that follow are of the
    /// same mirror.
    pub(in crate::engine) fn owner(&self, offset: u64, end: u64) -> (Option<MirrorId>, u64) {
        let held = |written: &RangeSet| {
            written.iter().find(|range| range.contains(&offset)).map(|range| range.end.min(end))
        };
        let found = self.written.iter().find_map(|(mirror, written)| Some((Some(mirror), held(written)?)));
        let starts = self.written.values().flat_map(RangeSet::iter).map(|range| range.start);
        let next = starts.filter(|start| *start > offset).min();
        found.unwrap_or_else(|| (None, next.unwrap_or(end).min(end)))
    }

    /// The number of mirrors that may have written into the range.
    pub(in crate::engine) fn owners(&self, range: &Range<u64>) -> usize {
        let overlaps = |part: Range<u64>| part.start < range.end && range.start < part.end;
        self.written.values().filter(|written| written.iter().any(overlaps)).count()
    }

    /// The bytes that only this mirror can have written.
    pub(in crate::engine) fn written_alone_by(&self, mirror: MirrorId) -> RangeSet {
        let mut alone = self.written[mirror].clone();
        for (_, other) in self.written.iter().filter(|(other, _)| *other != mirror) {
            other.iter().for_each(|range| alone.remove(range));
        }
        alone
    }

    /// Whether a mirror has delivered bytes past the known size.
    pub(in crate::engine) fn is_overrun_by(&self, mirror: MirrorId) -> bool {
        let end = self.written[mirror].iter().last().map(|range| range.end);
        self.size.zip(end).is_some_and(|(size, end)| end > size)
    }

    /// The bytes that earlier runs have left and that count.
    pub(in crate::engine) const fn earlier(&self) -> &RangeSet {
        &self.earlier
    }

    /// Whether some of the range is of an earlier run.
    pub(in crate::engine) fn is_of_earlier_run(&self, range: &Range<u64>) -> bool {
        let new = self.earlier.gaps(range.clone());
        new.len() < range.end.saturating_sub(range.start)
    }

    /// Forgets what earlier runs have left. Returns whether there was anything.
    pub(in crate::engine) fn forget_earlier(&mut self) -> bool {
        !std::mem::take(&mut self.earlier).is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: MirrorId = MirrorId(0);
    const SECOND: MirrorId = MirrorId(1);

    fn ledger() -> Ledger {
        let mut ledger = Ledger::new(2, RangeSet::new());
        ledger.set_size(100);
        ledger
    }

    #[test]
    fn bytes_that_two_mirrors_wrote_are_of_either() {
        let mut ledger = ledger();
        assert!(ledger.record(FIRST, &(0..50)));
        assert!(!ledger.record(SECOND, &(40..50)), "a copy is no progress");
        assert_eq!(ledger.owners(&(40..50)), 2);
        assert_eq!(ledger.written_alone_by(FIRST).iter().collect::<Vec<_>>(), [0..40]);
        assert_eq!(ledger.owner(45, 100), (Some(FIRST), 50));
        assert_eq!(ledger.owner(60, 100), (None, 100));
    }

    #[test]
    fn discarded_bytes_are_missing() {
        let mut ledger = ledger();
        ledger.record(FIRST, &(0..50));
        ledger.record(SECOND, &(50..100));
        assert!(ledger.is_whole());
        assert_eq!(ledger.discard(SECOND).iter().collect::<Vec<_>>(), [50..100]);
        assert_eq!(ledger.left(), 50);
        assert!(ledger.record(FIRST, &(50..60)), "what replaces discarded bytes is progress");
    }

    #[test]
    fn next_range_is_missing_and_unassigned() {
        let mut ledger = ledger();
        ledger.record(FIRST, &(0..10));
        ledger.queue_last([0..5, 5..100]);
        let mut assigned = RangeSet::new();
        assigned.insert(20..30);
        assert_eq!(ledger.take_next(&assigned), Some(10..20));
        assert_eq!(ledger.queue(), &[30..100]);
    }

    #[test]
    fn released_range_is_queued_first_as_far_as_it_is_missing() {
        let mut ledger = ledger();
        ledger.record(FIRST, &(10..20));
        ledger.queue_last([50..60]);
        ledger.release(5..30);
        assert_eq!(ledger.queue(), &[20..30, 5..10, 50..60]);
    }
}
