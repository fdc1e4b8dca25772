//! The heads of ranges that an earlier run has left: the bytes that come in their place must be the same. See
//! [`earlier`](crate::engine::earlier).

use super::ledger::Ledger;
use super::overlap::Comparison;
use crate::engine::ids::ComparisonId;
use bytes::Bytes;
use std::collections::BTreeMap;
use std::ops::Range;

/// The heads of old ranges, until they have been compared.
#[derive(Debug, Default)]
pub(in crate::engine) struct Heads(BTreeMap<ComparisonId, Head>);

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
    pub(in crate::engine) fn add(&mut self, id: ComparisonId, offset: u64, bytes: Bytes) {
        self.0.insert(id, Head { offset, bytes, state: HeadState::Wanted });
    }

    /// Whether there are none.
    pub(in crate::engine) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The comparisons that can be made now.
    pub(in crate::engine) fn comparisons(&mut self, ledger: &Ledger) -> Vec<Comparison> {
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
    pub(in crate::engine) fn are_settled(&self) -> bool {
        self.0.values().all(|head| head.state == HeadState::Same)
    }

    /// The ranges of the heads that have not been compared.
    pub(in crate::engine) fn open_ranges(&self) -> impl Iterator<Item = Range<u64>> {
        self.0.values().filter(|head| head.state != HeadState::Same).map(Head::range)
    }

    /// Takes the answer to a comparison. Returns whether it was that of a head.
    pub(in crate::engine) fn compared(&mut self, id: ComparisonId) -> bool {
        let Some(head) = self.0.get_mut(&id) else { return false };
        head.state = HeadState::Same;
        true
    }

    /// Has heads compared again whose counterpart is not here any more.
    pub(in crate::engine) fn compare_again(
        &mut self,
        ledger: &Ledger,
        mut next_id: impl FnMut() -> ComparisonId,
    ) {
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
    pub(in crate::engine) fn clear(&mut self) {
        self.0.clear();
    }
}
