//! How many connections: as many as pay.
//!
//! On a saturated path further connections only take bandwidth from the others, and their slow starts make all of them lose.
//! If the server or losses hold back each connection for itself, further connections add up. One connection that is dialled
//! shows the difference: on a saturated path packets wait in its queue, and the dialling takes longer than it should. That
//! connection gets no task, but may stay on [standby](super::standby). If the path is not saturated, more connections follow at
//! once, as each round trip without them is lost. They stay if they raise the flow from the server; otherwise, if much is left,
//! they finish their ranges and end. Their *trial* decides.

use super::demand::Demand;
use super::path::Span;
use super::server::{Access, Server};
use super::session::Session;
use super::slot::{Slot, SlotState};
use super::standby::Saturation;
use super::trial::{Outcome, Trial};
use super::{Outbox, Pool};
use crate::engine::ids::{ServerId, SlotId};
use ftp_proto::{Instant, SessionId};
use std::time::Duration;

/// Whether more connections to a server pay.
#[derive(Debug)]
pub(in crate::engine) struct Growth {
    /// The number of connections that are added next.
    step: usize,
    /// No connections are added before then.
    not_before: Instant,
    /// The pause after the next trial in vain.
    wait: Duration,
    /// The pause after the path is found saturated next, in units of [`SATURATED_WAIT`].
    saturated_waits: u32,
    /// When further connections last did not pay.
    in_vain: Option<Instant>,
    /// The most bytes per second over the time in which a collapse is looked for.
    best: u64,
    trial: Option<Trial>,
    pub(super) saturation: Saturation,
}

/// The number of connections that are added first. Later as many as there are, and twice more.
const FIRST_STEP: usize = 31;

/// The pause after connections that did not pay; doubled each time.
const FIRST_WAIT: Duration = Duration::from_secs(4);

/// The pause after the path was found saturated, as TCP's slow start may have filled it for a moment only; doubled each time.
const SATURATED_WAIT: Span = (4, Duration::from_millis(250));

/// The most doublings of that pause, as a factor, if a standby session can ask at no cost.
const MOST_WAITS: u32 = 32;

/// The path is not the limit any more if less than this part comes of the flow at which more connections did not pay.
const COLLAPSED: (u64, u64) = (2, 3);

/// The time for which the flow must have collapsed.
const COLLAPSED_OVER: Span = (6, Duration::from_millis(500));

/// The time over which the flow is compared with the flow before: TCP's slow start doubles it in each round trip.
const LOOK_BACK: Span = (1, Duration::from_millis(50));

/// Round trips after which added connections must have paid: five to log in, three to request a range, and the rest for the
/// transfer to settle. Longer if first bytes take longer.
const TRIAL: u32 = 24;

/// The time over which the flow must have reached the wanted one.
const PAID_OVER: Span = (5, Duration::from_millis(60));

impl Default for Growth {
    fn default() -> Self {
        Self {
            step: FIRST_STEP,
            not_before: Instant::ZERO,
            wait: FIRST_WAIT,
            saturated_waits: 1,
            in_vain: None,
            best: 0,
            trial: None,
            saturation: Saturation::Unknown,
        }
    }
}

impl Growth {
    /// When the trial is decided at the latest.
    pub(super) fn trial_due(&self) -> Option<Instant> {
        self.trial.as_ref().map(|trial| trial.until)
    }

    /// The added connections have paid: the next may be as many as there are now, and twice more.
    fn extend(&mut self, trial: &Trial) {
        self.step = trial.slots.len().saturating_add(trial.others).saturating_mul(3);
        self.wait = FIRST_WAIT;
        self.saturated_waits = 1;
    }
}

impl Pool {
    /// Notes the best flow of each server.
    pub(in crate::engine) fn note_flows(&mut self, now: Instant) {
        for server in self.servers.values_mut() {
            server.growth.best = server.growth.best.max(server.long_flow(now).unwrap_or(0));
        }
    }

    /// Adds connections to the server if that may pay now.
    pub(in crate::engine) fn grow(
        &mut self,
        server: ServerId,
        demand: &Demand,
        now: Instant,
        out: &mut Outbox,
    ) {
        let may = demand.may_split && self.can_probe(server, demand, now);
        if may && self.may_grow(server, demand, now) {
            self.add_connections(server, demand, now, out);
        }
    }

    /// Whether the server has connections on trial.
    pub(in crate::engine) fn has_trial(&self, server: ServerId) -> bool {
        self.servers[server].growth.trial.is_some()
    }

    /// Whether a connection can find out whether the path is saturated: one on standby, or else a new one.
    fn can_probe(&self, server: ServerId, demand: &Demand, now: Instant) -> bool {
        if self.has_standby(server, demand, now) {
            self.free_standby(server, demand, now).is_some()
        } else {
            self.in_use() < self.settings.connections.get()
        }
    }

    /// Whether the slot is on trial and its path is known not to be saturated. Its session requests the first range in the write
    /// that logs it in.
    pub(in crate::engine) fn is_on_trial(&self, slot: SlotId) -> bool {
        let trial = self.servers[self.slots[slot].server].growth.trial.as_ref();
        trial.is_some_and(|trial| trial.slots.contains(&slot) && !trial.probing)
    }

    /// The number of connections that the job has and cannot spare.
    fn in_use(&self) -> usize {
        self.slots.ids().filter(|id| !self.is_to_spare(*id)).count()
    }

    /// Whether the slot is of no use: withdrawn; or without room at its server, while another one will find out when there is
    /// room; or added to a server that is not there.
    fn is_to_spare(&self, id: SlotId) -> bool {
        let slot = &self.slots[id];
        let server = &self.servers[slot.server];
        let waits = |other: &Slot| other.server == slot.server && other.is_parked();
        let one_more = server.is_at_limit && slot.is_parked() && self.slots.values().take(id.0).any(waits);
        let cut_off = server.access != Access::Open && id.0 >= self.settings.begin_with.get();
        slot.is_withdrawn() || one_more || cut_off
    }

    /// Whether more connections may pay now: the connections of the server deliver and get no faster, enough is left to do, and
    /// nothing has spoken against it lately.
    fn may_grow(&self, server: ServerId, demand: &Demand, now: Instant) -> bool {
        let known = &self.servers[server];
        if !known.restarts {
            return false;
        }
        // A standby session asks at no cost, however little is left, and whoever else is turned away.
        let asks = self.free_standby(server, demand, now).is_some();
        let turns_away =
            known.is_at_limit || self.slots.values().any(|slot| slot.server == server && slot.is_parked());
        let in_time = now >= known.growth.not_before || known.has_collapsed(now);
        (asks || !turns_away)
            && in_time
            && self.has_levelled_off(server, asks, demand, now)
            && (asks || self.has_much_left(server, demand, now))
    }

    /// Whether most connections of the server that are not on standby deliver and get no faster. If that cannot be measured and
    /// a standby session only asks, it is enough that they have settled.
    fn has_levelled_off(&self, server: ServerId, asks: bool, demand: &Demand, now: Instant) -> bool {
        let known = &self.servers[server];
        let own = || {
            let works = |(id, session): &(SessionId, &Session)| {
                session.server == server && !self.is_on_standby(*id, demand, now)
            };
            self.sessions.iter().filter(works).map(|(_, session)| session)
        };
        // A transfer that has just begun brings less than it will; the very first one has none before it.
        let first = known.growth.in_vain.is_none();
        let delivers = |session: &&Session| session.delivers() && (first || session.rate.has_settled(now));
        let delivering = own().filter(delivers).count();
        if delivering == 0 || delivering.saturating_mul(4) < own().count().saturating_mul(3) {
            return false;
        }
        let settled = || own().all(|session| session.rate.has_settled(now));
        known.late_flows(now).map_or_else(|| asks && settled(), |(late, early)| late / 13 <= early / 10)
    }

    /// Whether the rest takes longer than a trial.
    pub(in crate::engine) fn has_much_left(&self, server: ServerId, demand: &Demand, now: Instant) -> bool {
        let known = &self.servers[server];
        let others = self.servers.iter().filter(|(id, _)| *id != server);
        let flows = others.filter_map(|(_, other)| other.path.flow.measured(now));
        let late = known.late_flows(now).map_or(0, |(late, _)| late);
        let own = known.path.flow.measured(now).unwrap_or(0).max(late);
        let flow = flows.fold(own, u64::saturating_add);
        let left = u128::from(demand.left).saturating_mul(1000);
        let trial = known.path.round_trip().saturating_mul(TRIAL);
        left / u128::from(flow.max(1)) > trial.as_millis()
    }

    fn add_connections(&mut self, server: ServerId, demand: &Demand, now: Instant, out: &mut Outbox) {
        let known = &self.servers[server];
        // The mean of the last second would contain the burst of a slow start, which may be as much as the path carries. The
        // greater of the two, as a pause may lie in one of them.
        let (late, early) = known.late_flows(now).unwrap_or_default();
        let before = late.max(early);
        // Sessions that wait to see whether there is room are there already.
        let waiting = known.growth.saturation == Saturation::Unknown && self.has_standby(server, demand, now);
        let follow = !known.is_at_limit && !waiting && self.has_much_left(server, demand, now);
        let following = if follow { known.growth.step.saturating_sub(1) } else { 0 };
        let others = self.slots_of(server);
        let standby = self.probe_with_standby(server, demand, now, out);
        let others = if standby.is_some() { self.fetching_from(server, now).count() } else { others };
        let began_on_standby = standby.is_some();
        let slots = standby.map_or_else(|| self.add_slots(server, 1, demand), |slot| vec![slot]);
        if !slots.is_empty() {
            let until = self.servers[server].trial_ends(now);
            let trial = Trial { before, slots, began_on_standby, probing: true, others, following, until };
            self.servers[server].growth.trial = Some(trial);
        }
    }

    /// Adds up to `count` slots to the server, as far as the limit allows and leaves each a part to fetch.
    fn add_slots(&mut self, server: ServerId, count: usize, demand: &Demand) -> Vec<SlotId> {
        let most = self.settings.connections.get();
        let count = count.min(most.min(demand.parts).saturating_sub(self.in_use()));
        let mut slots = Vec::new();
        for id in self.slots.ids() {
            // The number of a slot that is of no use is free again.
            if slots.len() < count && self.is_to_spare(id) && self.slots[id].sessions.is_empty() {
                self.slots[id] = Slot::new(server);
                slots.push(id);
            }
        }
        // A withdrawn slot may still have a session.
        while slots.len() < count && self.slots.len() < most {
            slots.push(self.slots.push(Slot::new(server)));
        }
        slots
    }

    /// Adds the connections that waited for the first one of the trial, which has shown that the path is not saturated. Returns
    /// the session of the first if it can take a range at once.
    pub(in crate::engine) fn follow_up(
        &mut self,
        server: ServerId,
        demand: &Demand,
        now: Instant,
    ) -> Option<SessionId> {
        let trial = self.servers[server].growth.trial.as_ref().filter(|trial| trial.probing)?;
        if self.is_found_queued(server) != Some(false) {
            return None;
        }
        let (first, following) = (trial.slots.first().copied(), trial.following);
        let more = self.add_slots(server, following, demand);
        let known = &mut self.servers[server];
        let until = known.trial_ends(now);
        known.growth.saturation = Saturation::Room;
        if let Some(trial) = known.growth.trial.as_mut() {
            trial.probing = false;
            trial.slots.extend(more);
            trial.until = until;
        }
        // A session that has to change the directory first gets its range when it is ready, and a server that has turned out to
        // have another file none.
        let takes = |session: &Session| {
            Some(session.slot) == first
                && !session.is_changing_directory()
                && session.transfer().is_none()
                && !session.is_ready()
                && !session.is_closing()
                && !demand.servers[server].differs
        };
        self.sessions.iter().find(|(_, session)| takes(session)).map(|(id, _)| id)
    }

    /// Ends the trial of the server's added connections when it is decided.
    pub(in crate::engine) fn judge_trial(
        &mut self,
        server: ServerId,
        demand: &Demand,
        now: Instant,
        out: &mut Outbox,
    ) {
        let Some(outcome) = self.outcome_of_trial(server, now) else { return };
        let known = &mut self.servers[server];
        let Some(trial) = known.growth.trial.take() else { return };
        if outcome == Outcome::Paid {
            known.growth.extend(&trial);
            return;
        }
        known.defer_growth(&trial, outcome, now);
        // Connections that did not pay do no harm if less comes than the path can carry; if the server turned some away, the
        // others may pay; and near the end more connections help the slowest sooner.
        let harm = outcome == Outcome::Vain && known.path.is_at_its_best(now);
        if outcome == Outcome::Unanswered {
            // Nothing has shown that the path is saturated.
            known.growth.saturation = Saturation::Room;
        }
        if outcome == Outcome::Queued && self.keep_on_standby(server, trial.others, demand) {
            return;
        }
        if outcome.ends_with_the_first() || harm && self.has_much_left(server, demand, now) {
            self.withdraw(server, &trial.slots, out);
        }
    }

    /// The result of the server's trial; `None` while it is open.
    fn outcome_of_trial(&self, server: ServerId, now: Instant) -> Option<Outcome> {
        let known = &self.servers[server];
        let trial = known.growth.trial.as_ref()?;
        let is_over = now >= trial.until;
        if trial.probing && self.is_found_queued(server) == Some(true) {
            return Some(Outcome::Queued);
        }
        if trial.probing && is_over {
            return Some(Outcome::Unanswered);
        }
        if known.is_at_limit && !trial.began_on_standby || !known.is_usable() {
            return Some(Outcome::Refused);
        }
        let begun = self.sessions_on_trial(server, trial).any(Session::delivers);
        let flow = known.path.flow.over(known.path.span(PAID_OVER), now);
        if begun && flow.is_some_and(|flow| u128::from(flow) >= trial.wanted()) {
            return Some(Outcome::Paid);
        }
        is_over.then_some(Outcome::Vain)
    }

    /// The sessions of the trial.
    fn sessions_on_trial<'a>(
        &'a self,
        server: ServerId,
        trial: &'a Trial,
    ) -> impl Iterator<Item = &'a Session> {
        let on_trial =
            move |session: &&Session| session.server == server && trial.slots.contains(&session.slot);
        self.sessions.values().filter(on_trial)
    }

    /// Whether the added connections have shown that packets wait in a queue; `None` until they have shown anything.
    fn is_found_queued(&self, server: ServerId) -> Option<bool> {
        let known = &self.servers[server];
        let trial = known.growth.trial.as_ref()?;
        let took = self.sessions_on_trial(server, trial).filter_map(Session::seen_round_trip).max();
        took.map(|took| known.path.is_queued(took))
    }

    /// Withdraws connections that did not pay. A session finishes the range that it fetches: to break that off would cost the
    /// bytes under way, and the others a new beginning.
    fn withdraw(&mut self, server: ServerId, slots: &[SlotId], out: &mut Outbox) {
        // Connections that the user asked for stay.
        for id in slots.iter().filter(|id| id.0 >= self.settings.begin_with.get()) {
            // The slot may have been lent to another server meanwhile.
            if self.slots[*id].server == server {
                self.slots[*id].state = SlotState::Withdrawn;
            }
        }
        self.dismiss_withdrawn(out);
    }

    /// Closes the sessions of withdrawn connections that deliver nothing. The last session of a server stays: the server might
    /// not let another one in.
    pub(in crate::engine) fn dismiss_withdrawn(&mut self, out: &mut Outbox) {
        let withdrawn = |session: &Session| {
            !session.is_closing()
                && !session.delivers()
                && !session.is_looking_up()
                && self.slots[session.slot].is_withdrawn()
        };
        let withdrawn: Vec<SessionId> =
            self.sessions.iter().filter(|(_, session)| withdrawn(session)).map(|(id, _)| id).collect();
        for id in withdrawn {
            let (server, slot) = (self.sessions[id].server, self.sessions[id].slot);
            let another = |(other, session): (SessionId, &Session)| {
                other != id && session.server == server && session.is_ready()
            };
            if self.sessions.iter().any(another) {
                self.close(id, out);
            } else {
                self.slots[slot].state = SlotState::Open;
            }
        }
    }
}

impl Server {
    /// Defers growth after a trial that did not pay.
    fn defer_growth(&mut self, trial: &Trial, outcome: Outcome, now: Instant) {
        let wait = if outcome.ends_with_the_first() {
            let waits = self.growth.saturated_waits;
            self.growth.saturated_waits = waits.saturating_mul(2);
            let waits = if trial.began_on_standby { waits.min(MOST_WAITS) } else { waits };
            self.path.span(SATURATED_WAIT).saturating_mul(waits)
        } else {
            let wait = self.growth.wait;
            self.growth.wait = wait.saturating_mul(2);
            // A trial that found the path saturated says nothing about the number that would pay otherwise.
            self.growth.step = 1;
            wait
        };
        self.growth.not_before = now + wait;
        self.growth.in_vain = Some(now);
        // The path may carry now what comes now.
        self.growth.best = self.long_flow(now).unwrap_or(self.growth.best);
    }

    /// Whether the flow has been far below the flow at which more connections did not pay, and for some time.
    fn has_collapsed(&self, now: Instant) -> bool {
        let waited = self.growth.in_vain.is_some_and(|at| now.since(at) >= self.path.span(COLLAPSED_OVER));
        waited && self.brings_less(now)
    }

    /// Whether the flow is far below the best one, or the one at which more connections did not pay.
    pub(super) fn brings_less(&self, now: Instant) -> bool {
        let (part, all) = COLLAPSED;
        let flow = self.long_flow(now).unwrap_or(self.growth.best);
        flow.saturating_mul(all) < self.growth.best.saturating_mul(part)
    }

    /// Bytes per second over the last round trip and the one before.
    fn late_flows(&self, now: Instant) -> Option<(u64, u64)> {
        self.path.flow.last_two(self.path.span(LOOK_BACK), now)
    }

    /// Bytes per second over the time in which a collapse is looked for.
    fn long_flow(&self, now: Instant) -> Option<u64> {
        self.path.flow.over(self.path.span(COLLAPSED_OVER), now)
    }

    /// When connections that are added now must have paid.
    fn trial_ends(&self, now: Instant) -> Instant {
        let path = &self.path;
        let late = path.first_byte_time().saturating_sub(path.round_trip().saturating_mul(3));
        now + path
            .round_trip()
            .saturating_mul(TRIAL)
            .saturating_add(late)
            .saturating_add(Duration::from_millis(300))
    }
}
