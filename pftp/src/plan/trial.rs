//! Connections on trial: added to a mirror to see whether they pay.
//!
//! The first finds out whether the path is full, by how long it takes to be dialled or, where it was in reserve, what it is
//! asked. If it is not, the others follow it, and all of them have a while in which to raise what comes from the mirror.

use super::connection::Connection;
use super::reserve::Fullness;
use super::{Planner, Slot};
use ftp_proto::{Instant, SessionId};
use std::time::Duration;

/// Connections that have been added, and may have to go again.
#[derive(Debug)]
pub(super) struct Trial {
    /// Bytes per second from the mirror before.
    pub(super) before: u64,
    pub(super) slots: Vec<usize>,
    /// Whether it began with one that was in reserve: that its server takes no more than it has is not for it to show.
    pub(super) asked: bool,
    /// Whether the first, which is still the only one, has yet to show whether the path is full.
    pub(super) probing: bool,
    /// How many there were before.
    pub(super) others: usize,
    /// How many more are added when it has shown that it is not.
    pub(super) following: usize,
    /// Until when it has to be decided.
    pub(super) until: Instant,
}

/// What has become of a trial.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// More comes, by what was to be expected.
    Paid,
    /// It does not.
    Vain,
    /// The server takes no more, or is not there any more.
    Refused,
    /// The first has found packets waiting in a queue.
    Queued,
    /// The first has not been dialled in time, or was given no answer: it has shown nothing.
    Unanswered,
}

impl Outcome {
    /// Whether the first was all there was of it: the path is full, or nothing has shown that it is not.
    pub(super) const fn ends_with_the_first(self) -> bool {
        matches!(self, Self::Queued | Self::Unanswered)
    }
}

impl Trial {
    /// Bytes per second that have to come for the added connections to have paid.
    fn wanted(&self) -> u128 {
        let (pays, all) = PAYS;
        let (added, others) = (self.slots.len() as u128, self.others.max(1) as u128);
        let before = u128::from(self.before);
        let expected = (before.saturating_mul(added) / others).min(before);
        before.saturating_add(expected.saturating_mul(pays.into()) / u128::from(all))
    }
}

/// Of what connections would bring if each brought as much as those before, the part that they have to bring at least; and
/// as much of what came before is enough however many they are, as the path may be full with fewer.
const PAYS: (u64, u64) = (1, 4);

/// Round trips over which what comes is compared with what is wanted, and at least so long.
const PAID_OVER: (u32, Duration) = (5, Duration::from_millis(60));

impl Planner {
    /// Ends the trial of the mirror's added connections when it is decided.
    pub(super) fn judge_trial(&mut self, mirror: usize, now: Instant) {
        self.follow_up(mirror, now);
        let Some(outcome) = self.outcome_of_trial(mirror, now) else { return };
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        let Some(trial) = known.growth.trial.take() else { return };
        if outcome == Outcome::Paid {
            known.growth.extend(&trial);
            return;
        }
        known.defer_growth(&trial, outcome, now);
        // Where less comes than the path has shown to carry, they may not have paid, but do no harm; where the server has
        // turned some away, those that it let in may; and near the end the more there are the sooner the slowest has help.
        let harm = outcome == Outcome::Vain && known.is_at_its_best(now);
        if outcome == Outcome::Unanswered {
            // Nobody has shown that the path is full.
            known.growth.fullness = Fullness::Room;
        }
        if outcome == Outcome::Queued && self.keep_in_reserve(mirror, trial.others) {
            return;
        }
        if outcome.ends_with_the_first() || harm && self.has_much_left(mirror, now) {
            self.withdraw(mirror, &trial.slots);
        }
    }

    /// What has become of the mirror's trial. `None` as long as that is open.
    fn outcome_of_trial(&self, mirror: usize, now: Instant) -> Option<Outcome> {
        let known = self.mirrors.get(mirror)?;
        let trial = known.growth.trial.as_ref()?;
        let is_over = now >= trial.until;
        if trial.probing && self.is_found_queued(mirror) == Some(true) {
            return Some(Outcome::Queued);
        }
        if trial.probing && is_over {
            return Some(Outcome::Unanswered);
        }
        if known.full && !trial.asked || !known.is_alive() {
            return Some(Outcome::Refused);
        }
        let begun = self.added(mirror, trial).any(Connection::delivers);
        let flow = known.flow.over(known.span(PAID_OVER), now);
        if begun && flow.is_some_and(|flow| u128::from(flow) >= trial.wanted()) {
            return Some(Outcome::Paid);
        }
        is_over.then_some(Outcome::Vain)
    }

    /// The connections of the trial, as far as they are there.
    fn added<'a>(&'a self, mirror: usize, trial: &'a Trial) -> impl Iterator<Item = &'a Connection> {
        let of = move |connection: &&Connection| {
            connection.mirror == mirror && trial.slots.contains(&connection.slot)
        };
        self.connections.values().filter(of)
    }

    /// Adds those that were to wait for the dialling of the first, which has shown that the path is not full.
    fn follow_up(&mut self, mirror: usize, now: Instant) {
        let known = self.mirrors.get(mirror);
        let Some(trial) = known.and_then(|known| known.growth.trial.as_ref()).filter(|trial| trial.probing)
        else {
            return;
        };
        if self.is_found_queued(mirror) != Some(false) {
            return;
        }
        let (first, following) = (trial.slots.first().copied(), trial.following);
        let more = self.add_slots(mirror, following);
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        let until = known.trial_ends(now);
        known.growth.fullness = Fullness::Room;
        if let Some(trial) = known.growth.trial.as_mut() {
            trial.probing = false;
            trial.slots.extend(more);
            trial.until = until;
        }
        // One that has to change the directory first, or has become of no use meanwhile, is seen to when it is ready.
        let of_first = |(id, connection): (&SessionId, &Connection)| {
            let waits = connection.placed && connection.segment.is_none() && !connection.is_ready();
            let takes = waits && self.may_go_on(connection);
            (Some(connection.slot) == first && takes).then_some(*id)
        };
        if let Some(id) = self.connections.iter().find_map(of_first) {
            self.take_over(id, now);
        }
    }

    /// Whether the added connections have shown that packets wait in a queue. `None` until one has shown anything.
    fn is_found_queued(&self, mirror: usize) -> Option<bool> {
        let known = self.mirrors.get(mirror)?;
        let trial = known.growth.trial.as_ref()?;
        let took = self.added(mirror, trial).filter_map(Connection::took_there_and_back).max();
        took.map(|took| known.is_queued(took))
    }

    /// Connections that brought nothing go again. What one is fetching it brings to its end first: to break that off would
    /// cost what is under way, and the others a new beginning.
    fn withdraw(&mut self, mirror: usize, slots: &[usize]) {
        // Those that the user has asked for stay.
        let given = self.settings.begin_with.get();
        for at in slots.iter().filter(|at| **at >= given) {
            // One may have been lent to another mirror meanwhile.
            let own = |slot: &&mut Slot| slot.mirror == mirror;
            if let Some(slot) = self.slots.get_mut(*at).filter(own) {
                slot.withdrawn = true;
            }
        }
        self.dismiss_withdrawn();
    }

    /// Closes the sessions of connections that were withdrawn, as far as they deliver nothing. One that is the last of its
    /// mirror stays: another might not be let in.
    pub(super) fn dismiss_withdrawn(&mut self) {
        let withdrawn: Vec<SessionId> = self
            .connections
            .iter()
            .filter(|(id, connection)| {
                !connection.closing
                    && !connection.delivers()
                    && !self.is_asking(**id)
                    && self.slots.get(connection.slot).is_some_and(|slot| slot.withdrawn)
            })
            .map(|(id, _)| *id)
            .collect();
        for id in withdrawn {
            let Some(slot) = self.connections.get(&id).map(|connection| connection.slot) else { continue };
            if self.is_last_of_its_mirror(id) {
                if let Some(slot) = self.slots.get_mut(slot) {
                    slot.withdrawn = false;
                }
            } else {
                self.close(id);
            }
        }
    }

    fn is_last_of_its_mirror(&self, id: SessionId) -> bool {
        let Some(mirror) = self.connections.get(&id).map(|connection| connection.mirror) else {
            return false;
        };
        !self
            .connections
            .iter()
            .any(|(other, connection)| *other != id && connection.mirror == mirror && connection.is_ready())
    }
}
