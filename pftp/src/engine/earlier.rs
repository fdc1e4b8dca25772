//! The bytes of earlier runs: no mirror has vouched for them in this run.
//!
//! They count as long as the file is the same: mirrors tell its size and time, and a few KiB are fetched again and compared
//! wherever old and new bytes meet. Behind an old range the overlap of the next transfer does that. The head of an old range does
//! not count as done: the transfer that fetches the bytes before it goes on over the head, and the head, kept in memory, is
//! compared with the bytes that come in its place.

use crate::ranges::RangeSet;
use bytes::Bytes;
use ftp_proto::Facts;
use std::ops::Range;

/// Bytes before its first one that each transfer fetches again, to compare them.
pub(super) const OVERLAP: u64 = 4 * 1024;

/// The bytes and facts that earlier runs have left of a file.
#[derive(Clone, Debug, Default)]
pub struct Earlier {
    /// The facts that the servers told.
    pub(super) identity: Facts,
    /// The bytes that the sink has and that need not be fetched.
    pub(super) done: RangeSet,
    /// The bytes that the sink has and that are fetched again to be compared.
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
