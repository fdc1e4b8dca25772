//! How many connections: as many as pay.
//!
//! On a path that is full further connections only take from those that are there, and their slow starts make all of them
//! lose. Where every connection is held back for itself, by the server or by losses, they add up. Which it is shows itself
//! by one that is dialled: on a full path packets wait in its queue, so that dialling takes longer than it would, and it is
//! given no work, but may stay [in reserve](super::reserve). If it does not, others follow, all at once: each round trip that
//! they come later is one without them. They stay if they raise what the mirror delivers; if not, and much is left, they bring
//! their ranges to the end and go: that is what their [trial](super::trial) is for.

use super::connection::Connection;
use super::mirror::{Access, Mirror};
use super::reserve::Fullness;
use super::trial::{Outcome, Trial};
use super::{Planner, Slot};
use ftp_proto::{Instant, SessionId};
use std::time::Duration;

/// Whether more connections pay, as a mirror has shown it.
#[derive(Debug)]
pub(super) struct Growth {
    /// How many are added next.
    step: usize,
    /// Not before then, and how long it is if the next connections bring nothing, either.
    not_before: Instant,
    wait: Duration,
    /// How many times [`FULL_WAIT`] it is if the path is found full next.
    full_waits: u32,
    /// When more did not pay.
    in_vain: Option<Instant>,
    /// The most bytes per second from the mirror over as long as a collapse is looked for.
    best: u64,
    pub(super) trial: Option<Trial>,
    pub(super) fullness: Fullness,
}

impl Growth {
    /// Those on trial have paid: the next may be as many as there are now, and twice more.
    pub(super) const fn extend(&mut self, trial: &Trial) {
        self.step = trial.slots.len().saturating_add(trial.others).saturating_mul(3);
        self.wait = FIRST_WAIT;
        self.full_waits = 1;
    }
}

impl Default for Growth {
    fn default() -> Self {
        Self {
            step: FIRST_STEP,
            not_before: Instant::ZERO,
            wait: FIRST_WAIT,
            full_waits: 1,
            in_vain: None,
            best: 0,
            trial: None,
            fullness: Fullness::Unknown,
        }
    }
}

/// How many connections are added first; after that as many as there are, and twice more.
const FIRST_STEP: usize = 31;

/// How long is waited after connections that did not pay; doubled each time.
const FIRST_WAIT: Duration = Duration::from_secs(4);

/// How many round trips are waited when the path was full, and at least so long, as TCP's slow start may have filled it for
/// a moment only; doubled each time.
const FULL_WAIT: (u32, Duration) = (4, Duration::from_millis(250));

/// How often that is doubled at most where it costs no more than a question.
const MOST_WAITS: u32 = 32;

/// Where less comes than this part of what came when more connections did not pay, and that over so many round trips and at
/// least so long, it is not the path any more that holds back what is there.
const COLLAPSED: (u64, u64) = (2, 3);
const COLLAPSED_OVER: (u32, Duration) = (6, Duration::from_millis(500));

/// Round trips over which what comes is compared with what came before, and at least so long: TCP's slow start brings twice
/// as much in each.
const LOOK_BACK: (u32, Duration) = (1, Duration::from_millis(50));

/// Round trips after which added connections have to show what they bring: five to log in, three to ask for a range, and as
/// many as a transfer needs to settle. It is later where first bytes take longer.
const TRIAL: u32 = 24;

impl Planner {
    /// Adds connections where that may pay, and withdraws what did not.
    pub(super) fn grow(&mut self, now: Instant) {
        if Self::is_single(&self.settings) {
            return;
        }
        for known in &mut self.mirrors {
            known.growth.best = known.growth.best.max(known.long_flow(now).unwrap_or(0));
        }
        for mirror in 0..self.mirrors.len() {
            // A trial ends even if the size it began with turned out to be wrong.
            if self.mirrors.get(mirror).is_some_and(|known| known.growth.trial.is_some()) {
                self.judge_trial(mirror, now);
            } else if self.size.is_some() && self.can_probe(mirror, now) && self.may_grow(mirror, now) {
                self.add_connections(mirror, now);
            }
        }
    }

    /// Whether there is a connection to find out with whether the path is full: one in reserve, or else another.
    fn can_probe(&self, mirror: usize, now: Instant) -> bool {
        if self.has_reserve(mirror, now) {
            self.reserve_of(mirror, now).is_some()
        } else {
            self.in_use() < self.settings.connections.get()
        }
    }

    /// When to look at what added connections have brought.
    pub(super) fn trials_due(&self) -> impl Iterator<Item = Instant> {
        self.mirrors.iter().filter_map(|mirror| mirror.growth.trial.as_ref().map(|trial| trial.until))
    }

    /// Whether the connection has just been added, to a mirror whose path is known not to be full. Its session asks for its
    /// first range in the write that logs it in.
    pub(super) fn is_on_trial(&self, slot: usize) -> bool {
        let of = |slot: &Slot| self.mirrors.get(slot.mirror)?.growth.trial.as_ref();
        let trial = self.slots.get(slot).and_then(of);
        trial.is_some_and(|trial| trial.slots.contains(&slot) && !trial.probing)
    }

    /// Connections that the job has and cannot spare.
    fn in_use(&self) -> usize {
        (0..self.slots.len()).filter(|at| !self.is_to_spare(*at)).count()
    }

    /// Whether the connection is of no use: it was withdrawn; or its server has no room for it, and there is another that will
    /// find out when it has; or it was added to a mirror that is not there.
    fn is_to_spare(&self, at: usize) -> bool {
        let Some(slot) = self.slots.get(at) else { return false };
        let Some(known) = self.mirrors.get(slot.mirror) else { return false };
        let waits = |other: &Slot| other.mirror == slot.mirror && other.parked && !other.withdrawn;
        let one_more = known.full && slot.parked && self.slots.iter().take(at).any(waits);
        let cut_off = known.access != Access::Open && at >= self.settings.begin_with.get();
        slot.withdrawn || one_more || cut_off
    }

    /// Whether more connections may pay now: those of the mirror deliver and get no faster any more, there is enough left to do,
    /// and nothing has spoken against it lately.
    fn may_grow(&self, mirror: usize, now: Instant) -> bool {
        let Some(known) = self.mirrors.get(mirror).filter(|known| known.restarts) else { return false };
        // To ask one that is there costs nothing, however little is left, and whoever else is not let in.
        let asks = self.reserve_of(mirror, now).is_some();
        let turns_away = known.full || self.slots.iter().any(|slot| slot.mirror == mirror && slot.parked);
        let in_time = now >= known.growth.not_before || known.has_collapsed(now);
        (asks || !turns_away)
            && in_time
            && self.have_levelled_off(mirror, asks, now)
            && (asks || self.has_much_left(mirror, now))
    }

    /// Whether the mirror's connections but those in reserve deliver, most of them, and get no faster any more. Where that
    /// is not to be measured, and one is only `asked`, it is enough that they have settled.
    fn have_levelled_off(&self, mirror: usize, asked: bool, now: Instant) -> bool {
        let Some(known) = self.mirrors.get(mirror) else { return false };
        let own = || {
            let works = |(id, connection): &(&SessionId, &Connection)| {
                connection.mirror == mirror && !self.is_in_reserve(**id, now)
            };
            self.connections.iter().filter(works).map(|(_, connection)| connection)
        };
        // What has only just begun brings less than it will; but for the first, which nothing has come before.
        let first = known.growth.in_vain.is_none();
        let delivers =
            |connection: &&Connection| connection.delivers() && (first || connection.rate.has_settled(now));
        let delivering = own().filter(delivers).count();
        if delivering == 0 || delivering.saturating_mul(4) < own().count().saturating_mul(3) {
            return false;
        }
        // What comes once in a long while is not measured so, but can be asked about.
        let settled = || own().all(|connection| connection.rate.has_settled(now));
        known.lately(now).map_or_else(|| asked && settled(), |(late, early)| late / 13 <= early / 10)
    }

    /// Bytes that have not come; 0 while the size is not known.
    fn left(&self) -> u64 {
        self.size.unwrap_or(0).saturating_sub(self.done.len())
    }

    /// Whether what is left takes longer than a trial does.
    pub(super) fn has_much_left(&self, mirror: usize, now: Instant) -> bool {
        let Some(known) = self.mirrors.get(mirror) else { return false };
        let others = self.mirrors.iter().enumerate().filter(|(at, _)| *at != mirror);
        let flows = others.filter_map(|(_, other)| other.flow.measured(now));
        let late = known.lately(now).map_or(0, |(late, _)| late);
        let own = known.flow.measured(now).unwrap_or(0).max(late);
        let flow = flows.fold(own, u64::saturating_add);
        let left = u128::from(self.left()).saturating_mul(1000);
        let trial = known.round_trip().saturating_mul(TRIAL);
        left / u128::from(flow.max(1)) > trial.as_millis()
    }

    fn add_connections(&mut self, mirror: usize, now: Instant) {
        let Some(known) = self.mirrors.get(mirror) else { return };
        // Not the mean of the last second: the burst of a slow start, which that has in it, may be as much as the path carries.
        // The greater of the two, as a pause may have been in one of them.
        let (late, early) = known.lately(now).unwrap_or_default();
        let before = late.max(early);
        // Those that wait to see whether there is room are there.
        let waiting = known.growth.fullness == Fullness::Unknown && self.has_reserve(mirror, now);
        let follow = !known.full && !waiting && self.has_much_left(mirror, now);
        let following = if follow { known.growth.step.saturating_sub(1) } else { 0 };
        let others = self.slots_of(mirror);
        let reserve = self.probe_with_reserve(mirror, now);
        let others = if reserve.is_some() { self.fetching_from(mirror, now).count() } else { others };
        let asked = reserve.is_some();
        let slots = reserve.map_or_else(|| self.add_slots(mirror, 1), |slot| vec![slot]);
        if let Some(known) = self.mirrors.get_mut(mirror).filter(|_| !slots.is_empty()) {
            let until = known.trial_ends(now);
            known.growth.trial =
                Some(Trial { before, slots, asked, probing: true, others, following, until });
        }
    }

    /// Up to `count` more connections to the mirror, as far as that is allowed and leaves each a part to fetch.
    pub(super) fn add_slots(&mut self, mirror: usize, count: usize) -> Vec<usize> {
        let parts = self.left().checked_div(self.settings.min_segment).unwrap_or(u64::MAX);
        let parts = usize::try_from(parts).unwrap_or(usize::MAX);
        let room = self.settings.connections.get().min(parts).saturating_sub(self.in_use());
        let count = count.min(room);
        let mut slots = Vec::new();
        for at in 0..self.slots.len() {
            // The number of one that is of no use is free again.
            let free = self.is_to_spare(at);
            let free = |slot: &&mut Slot| free && slot.sessions.is_empty();
            if slots.len() < count
                && let Some(slot) = self.slots.get_mut(at).filter(free)
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
        slots
    }
}

impl Mirror {
    /// Those on trial have not paid: no others come for a while.
    pub(super) fn defer_growth(&mut self, trial: &Trial, outcome: Outcome, now: Instant) {
        let wait = if outcome.ends_with_the_first() {
            let waits = self.growth.full_waits;
            self.growth.full_waits = waits.saturating_mul(2);
            self.span(FULL_WAIT).saturating_mul(if trial.asked { waits.min(MOST_WAITS) } else { waits })
        } else {
            let wait = self.growth.wait;
            self.growth.wait = wait.saturating_mul(2);
            // One that found the path full says nothing of how many would pay if it were not.
            self.growth.step = 1;
            wait
        };
        self.growth.not_before = now + wait;
        self.growth.in_vain = Some(now);
        // What there is now is what the path may carry now.
        self.growth.best = self.long_flow(now).unwrap_or(self.growth.best);
    }

    /// Whether much less comes than when more connections did not pay, and that for some time.
    fn has_collapsed(&self, now: Instant) -> bool {
        let waited = self.growth.in_vain.is_some_and(|at| now.since(at) >= self.span(COLLAPSED_OVER));
        waited && self.brings_less(now)
    }

    /// Whether much less comes than did, or than when more connections did not pay.
    pub(super) fn brings_less(&self, now: Instant) -> bool {
        let (part, all) = COLLAPSED;
        let flow = self.long_flow(now).unwrap_or(self.growth.best);
        flow.saturating_mul(all) < self.growth.best.saturating_mul(part)
    }

    /// Bytes per second over the last round trip, and the one before.
    fn lately(&self, now: Instant) -> Option<(u64, u64)> {
        self.flow.last_two(self.span(LOOK_BACK), now)
    }

    /// Bytes per second over as long as a collapse is looked for.
    fn long_flow(&self, now: Instant) -> Option<u64> {
        self.flow.over(self.span(COLLAPSED_OVER), now)
    }

    /// Until when connections that are added now have to show what they bring.
    pub(super) fn trial_ends(&self, now: Instant) -> Instant {
        let late = self.first_byte_time().saturating_sub(self.round_trip().saturating_mul(3));
        now + self
            .round_trip()
            .saturating_mul(TRIAL)
            .saturating_add(late)
            .saturating_add(Duration::from_millis(300))
    }
}
