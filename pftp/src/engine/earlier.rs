//! The bytes of earlier runs: no mirror has vouched for them in this run.
//!
//! They count as long as the file is the same: mirrors tell its size and time, and a few KiB are fetched again and compared
//! wherever old and new bytes meet. Behind an old range the overlap of the next transfer does that. The head of an old range does
//! not count as done: the transfer that fetches the bytes before it goes on over the head, and the head, kept in memory, is
//! compared with the bytes that come in its place.

use super::file::ledger::Ledger;
use super::file::overlap::{Comparison, OVERLAP};
use super::ids::ComparisonId;
use crate::ranges::RangeSet;
use bytes::Bytes;
use ftp_proto::Facts;
use std::collections::BTreeMap;
use std::ops::Range;

/// What earlier runs have left of a file.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    /// What the servers said of the file.
    pub(super) identity: Facts,
    /// What the sink has and need not be fetched.
    pub(super) done: RangeSet,
    /// What the sink has and is fetched again to be compared.
    pub(super) heads: Vec<(u64, Bytes)>,
    /// The finished file under its final name, if there is one that need not be fetched as long as it is the same.
    pub finished: Option<Finished>,
}

/// A finished file.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Finished {
    /// Its size in bytes.
    pub size: u64,
    /// When it was last modified, in seconds since 1970-01-01T00:00:00 UTC.
    pub modified: i64,
}

impl Earlier {
    /// The ranges `done` of the file that `identity` describes are in the sink; `read` reads a range of the sink.
    ///
    /// # Errors
    /// The error of `read`.
    pub fn new<E>(
        identity: Facts,
        mut done: RangeSet,
        mut read: impl FnMut(Range<u64>) -> Result<Bytes, E>,
    ) -> Result<Self, E> {
        let mut heads = Vec::new();
        for range in done.clone().iter().filter(|range| range.start > 0) {
            let head = range.start..range.start.saturating_add(OVERLAP).min(range.end);
            if head.end < range.end {
                heads.push((head.start, read(head.clone())?));
            }
            done.remove(head);
        }
        // Bytes must be fetched that show whether the file is the same.
        if let Some(size) = identity.size.filter(|size| done.contains(&(0..*size))) {
            done.remove(size.saturating_sub(OVERLAP)..size);
        }
        Ok(Self { identity, done, heads, finished: None })
    }
}

/// The heads of old ranges, until they have been compared.
#[derive(Debug, Default)]
pub(super) struct Heads(BTreeMap<ComparisonId, Head>);

/// The first bytes of an old range, as they were.
#[derive(Debug)]
struct Head {
    offset: u64,
    bytes: Bytes,
    state: HeadState,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum HeadState {
    Wanted,
    Asked,
    Same,
}

impl Head {
    fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.bytes.len() as u64)
    }
}

impl Heads {
    /// Adds a head.
    pub(super) fn add(&mut self, id: ComparisonId, offset: u64, bytes: Bytes) {
        self.0.insert(id, Head { offset, bytes, state: HeadState::Wanted });
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The comparisons that can be made now.
    pub(super) fn comparisons(&mut self, ledger: &Ledger) -> Vec<Comparison> {
        let mut comparisons = Vec::new();
        for (id, head) in &mut self.0 {
            if head.state == HeadState::Wanted && ledger.has(&head.range()) {
                head.state = HeadState::Asked;
                comparisons.push((*id, head.offset, head.bytes.clone()));
            }
        }
        comparisons
    }

    /// Whether all heads have been compared.
    pub(super) fn are_settled(&self) -> bool {
        self.0.values().all(|head| head.state == HeadState::Same)
    }

    /// The ranges of the heads that have not been compared.
    pub(super) fn open_ranges(&self) -> impl Iterator<Item = Range<u64>> {
        self.0.values().filter(|head| head.state != HeadState::Same).map(Head::range)
    }

    /// Takes the answer to a comparison. Returns whether it was that of a head.
    pub(super) fn compared(&mut self, id: ComparisonId) -> bool {
        let Some(head) = self.0.get_mut(&id) else { return false };
        head.state = HeadState::Same;
        true
    }

    /// Has heads compared again whose counterpart is not here any more.
    pub(super) fn renew(&mut self, ledger: &Ledger, mut next_id: impl FnMut() -> ComparisonId) {
        let stale = |head: &Head| head.state != HeadState::Wanted && !ledger.has(&head.range());
        let stale: Vec<ComparisonId> =
            self.0.iter().filter(|(_, head)| stale(head)).map(|(id, _)| *id).collect();
        for id in stale {
            if let Some(head) = self.0.remove(&id) {
                // Under a new identifier: an answer for the old one may be under way.
                self.0.insert(next_id(), Head { state: HeadState::Wanted, ..head });
            }
        }
    }

    /// Forgets all heads.
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    fn set(ranges: &[Range<u64>]) -> RangeSet {
        let mut set = RangeSet::new();
        for range in ranges {
            set.insert(range.clone());
        }
        set
    }

    fn earlier(ranges: &[Range<u64>], size: u64) -> Earlier {
        let read = |range: Range<u64>| {
            let length = usize::try_from(range.end - range.start).unwrap();
            Ok::<_, Infallible>(vec![7; length].into())
        };
        let identity = Facts { size: Some(size), ..Facts::default() };
        let Ok(earlier) = Earlier::new(identity, set(ranges), read);
        earlier
    }

    #[test]
    fn heads_of_old_ranges_are_fetched_again() {
        let kept = earlier(&[0..20_000, 30_000..50_000, 60_000..64_096, 70_000..74_097], 100_000);
        assert_eq!(kept.done, set(&[0..20_000, 34_096..50_000, 74_096..74_097]));
        let heads: Vec<(u64, usize)> = kept.heads.iter().map(|(at, bytes)| (*at, bytes.len())).collect();
        assert_eq!(heads, [(30_000, 4096), (70_000, 4096)]);
    }

    #[test]
    fn end_of_a_whole_file_is_fetched_again() {
        assert_eq!(earlier(&[0..20_000], 20_000).done, set(&[0..15_904]));
        assert!(earlier(&[0..4_000], 4_000).done.is_empty());
        assert!(earlier(&[], 0).done.is_empty());
    }
}
