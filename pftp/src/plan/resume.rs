//! What earlier runs have left: bytes that nobody vouches for but the journal.
//!
//! They are trusted as far as the file is still the same: mirrors say its size and time, and wherever old bytes and new ones
//! meet, a few KiB are fetched again and compared. Behind an old range this is what every transfer fetches before its first
//! byte. The start of an old range is not counted as done: whoever fetches what is missing before it goes on for so far, and
//! what comes is compared with what was there, which is kept in memory for that.

use super::mirror::{Mirror, Verdict};
use super::seams::LEAD;
use super::{Directive, Notice, Planner, SeamId};
use crate::ranges::RangeSet;
use bytes::Bytes;
use ftp_proto::{Facts, RepresentationType, SessionId};
use std::collections::BTreeMap;
use std::ops::Range;

/// What is here before a download begins.
#[derive(Clone, Debug, Default)]
pub struct Before {
    /// What the servers said of the file.
    identity: Facts,
    /// What the sink has and need not be fetched.
    done: RangeSet,
    /// What the sink has and is fetched again to be compared.
    heads: Vec<(u64, Bytes)>,
    /// The finished file under its final name, if there is one that need not be fetched if it is still the same.
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

impl Before {
    /// The ranges `done` of the file that `identity` describes are in the sink; `read` fetches from it.
    ///
    /// # Errors
    /// That of `read`.
    pub fn new<E>(
        identity: Facts,
        mut done: RangeSet,
        mut read: impl FnMut(Range<u64>) -> Result<Bytes, E>,
    ) -> Result<Self, E> {
        let mut heads = Vec::new();
        for range in done.clone().iter().filter(|range| range.start > 0) {
            let head = range.start..range.start.saturating_add(LEAD).min(range.end);
            if head.end < range.end {
                heads.push((head.start, read(head.clone())?));
            }
            done.remove(head);
        }
        // Something has to be fetched that shows whether the file is still the same.
        if let Some(size) = identity.size.filter(|size| done.contains(&(0..*size))) {
            done.remove(size.saturating_sub(LEAD)..size);
        }
        Ok(Self { identity, done, heads, finished: None })
    }
}

/// What the planner knows of that.
#[derive(Debug, Default)]
pub(super) struct Earlier {
    /// What the sink has from earlier runs.
    bytes: RangeSet,
    heads: BTreeMap<SeamId, Head>,
    finished: Option<Finished>,
    /// The size of that if it is the file.
    is_finished: Option<u64>,
}

impl Earlier {
    /// These bytes have come, and take the place of what was there.
    pub(super) fn replace(&mut self, range: Range<u64>) {
        self.bytes.remove(range);
    }
}

/// The first bytes of an old range, as they were.
#[derive(Debug)]
struct Head {
    offset: u64,
    bytes: Bytes,
    state: Comparison,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Comparison {
    Wanted,
    Asked,
    Same,
}

impl Head {
    fn range(&self) -> Range<u64> {
        self.offset..self.offset.saturating_add(self.bytes.len() as u64)
    }
}

impl Planner {
    /// Takes over what is there.
    pub(super) fn take_up(&mut self) {
        let before = std::mem::take(&mut self.settings.before);
        self.earlier.finished = before.finished;
        if Self::is_single(&self.settings) && self.settings.in_order {
            return;
        }
        self.identity = before.identity;
        self.most_done = before.done.len();
        self.earlier.bytes = before.done.clone();
        self.done = before.done;
        for (offset, bytes) in before.heads {
            let id = self.next_seam();
            self.earlier.heads.insert(id, Head { offset, bytes, state: Comparison::Wanted });
        }
        if !self.earlier.heads.is_empty() {
            // They are written over before they are compared: no later run is to find the new bytes in front of old ones.
            self.directives.push_back(Directive::Retract);
        }
    }

    /// What of the file is here for certain, and is so for a later run: it has been compared wherever it was to be.
    #[must_use]
    pub fn settled(&self) -> RangeSet {
        let mut settled = self.done.clone();
        for seam in self.seams.values() {
            settled.remove(seam.range());
        }
        for head in self.earlier.heads.values().filter(|head| head.state != Comparison::Same) {
            settled.remove(head.range());
        }
        // What is being written, and over what, may not have been reported yet.
        for segment in self.connections.values().filter_map(|connection| connection.segment.as_ref()) {
            settled.remove(segment.at..segment.until.end().max(segment.at));
        }
        settled
    }

    /// A session is about to write to this part of the file. If something is there, a later run must not take it for what it
    /// was.
    pub(super) fn about_to_write(&mut self, range: Range<u64>) {
        let missing = self.done.gaps(range.clone());
        if !range.is_empty() && !missing.contains(&range) {
            self.directives.push_back(Directive::Retract);
        }
    }

    /// What is known of the file beside its bytes.
    #[must_use]
    pub const fn identity(&self) -> &Facts {
        &self.identity
    }

    /// What came from each mirror in this run, in the order of [`Settings::sources`](super::Settings::sources), without what
    /// another may have written over.
    #[must_use]
    pub fn brought(&self) -> Vec<RangeSet> {
        let alone = |(at, mirror): (usize, &Mirror)| {
            let mut brought = mirror.fetched.clone();
            for (_, other) in self.mirrors.iter().enumerate().filter(|(other, _)| *other != at) {
                other.fetched.iter().for_each(|range| brought.remove(range));
            }
            brought
        };
        self.mirrors.iter().enumerate().map(alone).collect()
    }

    /// How many bytes of the file are of an earlier run.
    #[must_use]
    pub fn from_earlier_run(&self) -> u64 {
        self.earlier.bytes.len()
    }

    /// Whether the finished file that was here before is the one to be fetched.
    #[must_use]
    pub const fn is_here_already(&self) -> bool {
        self.earlier.is_finished.is_some()
    }

    /// The size of the finished file that was here before, if that is the one to be fetched.
    pub(super) const fn finished_before(&self) -> Option<u64> {
        self.earlier.is_finished
    }

    /// Whether it is yet to be heard if there is anything to fetch.
    pub(super) const fn may_be_here_already(&self) -> bool {
        self.earlier.finished.is_some()
    }

    /// The first that a mirror says of the file decides whether the finished one is it.
    pub(super) fn compare_finished(&mut self, facts: &Facts) {
        let Some(here) = self.earlier.finished.take() else { return };
        let same_time = facts.modify.is_some_and(|time| time.unix_seconds() == here.modified);
        if same_time && facts.size == Some(here.size) {
            self.earlier.is_finished = facts.size;
        }
    }

    /// The finished file is not what it should be: it is fetched again, from those who say now what they have.
    pub(super) fn reject_finished(&mut self) {
        self.earlier.is_finished = None;
        for known in &mut self.mirrors {
            known.verdict = Verdict::Unknown;
        }
        let ready: Vec<SessionId> = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.is_ready())
            .map(|(id, _)| *id)
            .collect();
        for id in ready {
            self.ask_for_facts(id);
        }
    }

    /// Compares the starts of old ranges with what has come in their place.
    pub(super) fn compare_heads(&mut self) {
        for (id, head) in &mut self.earlier.heads {
            if head.state == Comparison::Wanted && self.done.contains(&head.range()) {
                head.state = Comparison::Asked;
                self.directives.push_back(Directive::Compare(*id, head.offset, head.bytes.clone()));
            }
        }
    }

    /// Whether all old ranges have been compared at their starts.
    pub(super) fn are_heads_settled(&self) -> bool {
        self.earlier.heads.values().all(|head| head.state == Comparison::Same)
    }

    /// Whether the comparison was that of the start of an old range.
    pub(super) fn on_head_compared(&mut self, id: SeamId, same: bool) -> bool {
        let Some(head) = self.earlier.heads.get_mut(&id) else { return false };
        head.state = Comparison::Same;
        if !same {
            self.distrust_earlier();
        }
        true
    }

    /// What was compared with the start of an old range may not be there any more.
    pub(super) fn renew_heads(&mut self) {
        let stale = |head: &Head| head.state != Comparison::Wanted && !self.done.contains(&head.range());
        let stale: Vec<SeamId> =
            self.earlier.heads.iter().filter(|(_, head)| stale(head)).map(|(id, _)| *id).collect();
        for id in stale {
            if let Some(head) = self.earlier.heads.remove(&id) {
                // Under a new name: an answer for the old one may be under way.
                let id = self.next_seam();
                self.earlier.heads.insert(id, Head { state: Comparison::Wanted, ..head });
            }
        }
    }

    /// These bytes are not there any more: another has written over them.
    pub(super) fn retract(&mut self, range: &Range<u64>) {
        self.earlier.replace(range.clone());
        self.renew_heads();
        self.directives.push_back(Directive::Retract);
    }

    /// Whether something is of an earlier run.
    pub(super) fn has_earlier(&self) -> bool {
        !self.earlier.bytes.is_empty()
    }

    /// Whether some of this is of an earlier run.
    pub(super) fn is_of_earlier_run(&self, range: &Range<u64>) -> bool {
        let new = self.earlier.bytes.gaps(range.clone());
        new.len() < range.end.saturating_sub(range.start)
    }

    /// Old bytes are not those that the file has now. Nothing counts, not even what this run has fetched: some of it may
    /// have been compared with old bytes only, and found to be the same.
    pub(super) fn distrust_earlier(&mut self) {
        if self.give_up_earlier().is_empty() {
            return self.renew_unowned_seams();
        }
        self.notify(Notice::EarlierBytesDiffer);
        self.start_over(self.vouched());
    }

    /// What mirrors have said of the file in this run that were not found out, and not only the journal.
    fn vouched(&self) -> Facts {
        let agreeing = self.mirrors.iter().filter(|known| known.verdict == Verdict::Agrees);
        let told = agreeing.filter_map(|known| known.facts.as_ref());
        told.fold(Facts::default(), |all, facts| Facts {
            size: all.size.or(facts.size),
            modify: all.modify.or(facts.modify),
            ..all
        })
    }

    /// Begins anew without the size of the file if nobody stands by it: the journal says it, or a mirror that was found out
    /// has. Whether that is so.
    pub(super) fn drop_unfounded_size(&mut self) -> bool {
        let vouched = self.vouched();
        let unfounded = self.identity.size.is_some() && vouched.size.is_none();
        if unfounded {
            self.start_over(vouched);
        }
        unfounded
    }

    /// Whether the file had another size in an earlier run than a transfer without an end has shown now: then what is
    /// there is given up.
    pub(super) fn is_too_old(&mut self, size: u64) -> bool {
        let is_old = self.identity.size.is_some_and(|known| known != size);
        if !is_old || self.settings.representation != RepresentationType::Image {
            return false;
        }
        // Only the journal has said so; mirrors that say something else were taken to have another file.
        self.identity = Facts::default();
        if self.has_earlier() {
            self.distrust_earlier();
        } else {
            self.start_over(Facts::default());
        }
        true
    }

    /// Forgets what earlier runs have left, and says what that was.
    pub(super) fn give_up_earlier(&mut self) -> RangeSet {
        self.earlier.heads.clear();
        std::mem::take(&mut self.earlier.bytes)
    }
}

#[cfg(test)]
mod tests;
