//! How many connections: as many as pay.
//!
//! On a path that is full further connections only take from those that are there, and their slow starts make all of them
//! lose. Where every connection is held back for itself, by the server or by losses, they add up. Which it is shows itself:
//! connections are added, more each time, while an addition raises what the mirror delivers; those that did not are
//! withdrawn. On a full path nothing has to be tried: packets wait in its queue, so that the dialling of a further connection
//! takes longer than it would, and it is given no work.

use super::connection::{Connection, Stage};
use super::{Planner, Slot};
use ftp_proto::Instant;
use std::time::Duration;

/// Whether more connections pay, as a mirror has shown it.
#[derive(Debug)]
pub(super) struct Growth {
    /// How many are added next.
    step: usize,
    /// Not before then, and how long it is if the next attempt fails, too.
    not_before: Instant,
    wait: Duration,
    trial: Option<Trial>,
}

/// Connections that have been added, and may have to go again.
#[derive(Debug)]
struct Trial {
    /// Bytes per second from the mirror before.
    before: u64,
    slots: Vec<usize>,
    /// How many there were before.
    others: usize,
    /// Until when it has to be decided.
    until: Instant,
}

impl Default for Growth {
    fn default() -> Self {
        Self { step: FIRST_STEP, not_before: Instant::ZERO, wait: FIRST_WAIT, trial: None }
    }
}

/// How many connections are added first; after that as many as there are, and twice more.
const FIRST_STEP: usize = 3;

/// The same on a path that loses packets.
const LOSSY_STEP: usize = 7;

/// How long is waited after connections that did not pay; doubled each time.
const FIRST_WAIT: Duration = Duration::from_secs(4);

/// Of what connections would bring if each brought as much as those before, the part that they have to bring at least.
const PAYS: (u64, u64) = (1, 4);

/// Round trips over which what comes is compared with what came before, and at least so long.
const LOOK_BACK: (u32, Duration) = (3, Duration::from_millis(60));

/// Round trips after which added connections have to show what they bring: five to log in, three to ask for a range, and as
/// many as a transfer needs to settle.
const TRIAL: u32 = 24;

/// Dialling takes that much longer on a full path, per cent, and at least so much.
const QUEUE: (u32, Duration) = (125, Duration::from_millis(5));

impl Planner {
    /// Adds connections where that may pay, and withdraws what did not.
    pub(super) fn grow(&mut self, now: Instant) {
        if Self::is_single(&self.settings) {
            return;
        }
        for mirror in 0..self.mirrors.len() {
            // A trial ends even if the size it began with turned out to be wrong.
            if self.mirrors.get(mirror).is_some_and(|known| known.growth.trial.is_some()) {
                self.judge_trial(mirror, now);
            } else if self.size.is_some()
                && self.in_use() < self.settings.connections.get()
                && self.may_grow(mirror, now)
            {
                self.add_connections(mirror, now);
            }
        }
    }

    /// When to look at what added connections have brought.
    pub(super) fn trials_due(&self) -> impl Iterator<Item = Instant> {
        self.mirrors.iter().filter_map(|mirror| mirror.growth.trial.as_ref().map(|trial| trial.until))
    }

    /// Connections that the job has and has not withdrawn.
    fn in_use(&self) -> usize {
        self.slots.iter().filter(|slot| !slot.withdrawn).count()
    }

    /// Whether the mirror's connections all deliver, and do not get faster any more; and there is enough left to do.
    fn may_grow(&self, mirror: usize, now: Instant) -> bool {
        let Some(known) = self.mirrors.get(mirror).filter(|known| !known.full && known.restarts) else {
            return false;
        };
        if self.slots.iter().any(|slot| slot.mirror == mirror && slot.parked) {
            return false;
        }
        let mut own = self.connections.values().filter(|connection| connection.mirror == mirror).peekable();
        if own.peek().is_none() || !own.all(Connection::delivers) {
            return false;
        }
        let (round_trips, least) = LOOK_BACK;
        let span = known.round_trip().saturating_mul(round_trips).max(least);
        let (Some(late), Some(both)) =
            (known.flow.over(span, now), known.flow.over(span.saturating_mul(2), now))
        else {
            return false;
        };
        let early = both.saturating_mul(2).saturating_sub(late);
        // A path that was full, and carries much less now, is not what holds the connections back.
        let collapsed = late < known.best_flow / 2;
        if now < known.growth.not_before && !collapsed {
            return false;
        }
        let begun = known.flow.since_start(now) >= span.saturating_mul(2);
        begun && late / 13 <= early / 10 && self.has_much_left(mirror, late, now)
    }

    /// Whether what is left takes well longer than a trial does.
    fn has_much_left(&self, mirror: usize, flow: u64, now: Instant) -> bool {
        let Some(size) = self.size else { return false };
        let others = self.mirrors.iter().enumerate().filter(|(at, _)| *at != mirror);
        let flows = others.filter_map(|(_, other)| other.flow.measured(now));
        let flow = flows.fold(flow, u64::saturating_add);
        let left = u128::from(size.saturating_sub(self.done.len())).saturating_mul(1000);
        let trial =
            self.mirrors.get(mirror).map_or(Duration::ZERO, |known| known.round_trip().saturating_mul(TRIAL));
        left / u128::from(flow.max(1)) > trial.as_millis()
    }

    fn add_connections(&mut self, mirror: usize, now: Instant) {
        let room = self.settings.connections.get().saturating_sub(self.in_use());
        let others = self.slots.iter().filter(|slot| slot.mirror == mirror && !slot.withdrawn).count();
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        let round_trip = known.round_trip();
        let (round_trips, least) = LOOK_BACK;
        let late = known.flow.over(round_trip.saturating_mul(round_trips).max(least), now);
        let Some(before) = late.max(known.flow.measured(now)) else { return };
        // A stream that has collapsed on a path that has shown more is held back by losses, not by the path.
        let lossy = before < known.best_flow / 2;
        let step = if lossy { known.growth.step.max(LOSSY_STEP) } else { known.growth.step };
        let count = step.min(room);
        let mut slots = Vec::new();
        for at in 0..self.slots.len() {
            // The number of one that was withdrawn is free again.
            let free = |slot: &Slot| slot.withdrawn && slot.sessions.is_empty();
            if slots.len() < count
                && let Some(slot) = self.slots.get_mut(at).filter(|slot| free(slot))
            {
                *slot = Slot::new(mirror);
                slots.push(at);
            }
        }
        // One that was withdrawn may still be ending.
        while slots.len() < count && self.slots.len() < self.settings.connections.get() {
            slots.push(self.slots.len());
            self.slots.push(Slot::new(mirror));
        }
        let until = now + round_trip.saturating_mul(TRIAL).saturating_add(Duration::from_millis(300));
        known.growth.trial = Some(Trial { before, slots, others, until });
    }

    fn judge_trial(&mut self, mirror: usize, now: Instant) {
        let Some(known) = self.mirrors.get(mirror) else { return };
        let Some(trial) = &known.growth.trial else { return };
        let (pays, all) = PAYS;
        let (added, others) = (trial.slots.len() as u64, trial.others.max(1) as u64);
        let expected = u128::from(trial.before).saturating_mul(added.into()) / u128::from(others);
        let wanted = u128::from(trial.before) + expected.saturating_mul(pays.into()) / u128::from(all);
        let (round_trips, least) = LOOK_BACK;
        let span = known.round_trip().saturating_mul(round_trips).max(least);
        let mut added = self.connections.values().filter(|connection| trial.slots.contains(&connection.slot));
        let begun = added.any(Connection::delivers);
        let refused = known.full || !known.is_alive();
        let hopeless = refused || self.path_is_full(mirror);
        let paid = begun && known.flow.over(span, now).is_some_and(|flow| u128::from(flow) >= wanted);
        let paid = paid && !hopeless;
        if !hopeless && !paid && now < trial.until {
            return;
        }
        let Some(trial) = self.mirrors.get_mut(mirror).and_then(|known| known.growth.trial.take()) else {
            return;
        };
        let Some(known) = self.mirrors.get_mut(mirror) else { return };
        if paid {
            known.growth.step = trial.slots.len().saturating_add(trial.others).saturating_mul(3);
            known.growth.wait = FIRST_WAIT;
        } else {
            (known.growth.step, known.growth.not_before) = (1, now + known.growth.wait);
            known.growth.wait = known.growth.wait.saturating_mul(2);
            // Where less comes than the path has shown to carry, they may not have paid, but do no harm.
            if hopeless && !refused || known.is_at_its_best(now) {
                self.withdraw(mirror, &trial.slots);
            }
        }
    }

    /// Whether the dialling of an added connection shows that packets wait in a queue.
    fn path_is_full(&self, mirror: usize) -> bool {
        let Some(known) = self.mirrors.get(mirror) else { return false };
        let Some(trial) = &known.growth.trial else { return false };
        let (percent, least) = QUEUE;
        let usual = known.round_trip();
        let long = (usual.saturating_mul(percent) / 100).max(usual.saturating_add(least));
        let mut added = self.connections.values().filter(|connection| trial.slots.contains(&connection.slot));
        added.any(|connection| {
            connection.stage < Stage::Ready && connection.dialled_in.is_some_and(|took| took >= long)
        })
    }

    /// Connections that brought nothing go again; what they were fetching is left to the others.
    fn withdraw(&mut self, mirror: usize, slots: &[usize]) {
        for at in slots {
            // One may have been lent to another mirror meanwhile.
            let own = |slot: &&mut Slot| slot.mirror == mirror;
            let Some(slot) = self.slots.get_mut(*at).filter(own) else { continue };
            slot.withdrawn = true;
            for id in slot.sessions.clone() {
                self.close(id);
            }
        }
    }
}
