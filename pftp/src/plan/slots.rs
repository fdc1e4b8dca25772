//! Whose connections they are: each is made to one mirror, and may be made to another when that has more use for it.

use super::Planner;
use super::mirror::{Access, Mirror, Verdict};
use ftp_proto::{Instant, SessionId};
use std::time::Duration;

/// How many round trips, and at least how long, a session has to show whether a mirror is there again before its other
/// connections are lent.
const LONG_PROBE: (u32, Duration) = (10, Duration::from_secs(2));

/// One of the connections of the job. Sessions come and go in it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) mirror: usize,
    /// The mirror that it was made for, which may have lent it.
    home: usize,
    /// Its sessions: one, or several while addresses are tried against each other.
    pub(super) sessions: Vec<SessionId>,
    /// No new session before then.
    pub(super) retry_at: Option<Instant>,
    pub(super) failures: u32,
    /// It is not used any more, or not before its `retry_at`.
    pub(super) parked: bool,
    /// It did not pay.
    pub(super) withdrawn: bool,
    /// The server has ended its session, which had nothing to do: no other before there is something.
    pub(super) spare: bool,
}

impl Slot {
    pub(super) const fn new(mirror: usize) -> Self {
        Self {
            mirror,
            home: mirror,
            sessions: Vec::new(),
            retry_at: None,
            failures: 0,
            parked: false,
            withdrawn: false,
            spare: false,
        }
    }
}

impl Planner {
    /// Gives each of these mirrors a connection of another, if it has none. With too few connections for all, the rest
    /// have their turn when the first have said what they are asked.
    pub(super) fn lend_slots(&mut self, mirrors: &[usize]) {
        for mirror in mirrors {
            self.lend_slot(*mirror);
        }
    }

    fn lend_slot(&mut self, mirror: usize) {
        // One that may not be dialled yet has no use for a connection before that.
        if self.is_cut_off(mirror) || self.slots_of(mirror) > 0 {
            return;
        }
        let verdict = |mirror: usize| self.mirrors.get(mirror).map(|mirror| mirror.verdict);
        let last = |wanted: &dyn Fn(&Slot) -> bool| {
            self.slots.iter().rposition(|slot| self.can_be_spared(slot) && wanted(slot))
        };
        // One that may not fetch has no use for a connection any more; one that does nothing can spare it.
        let useless = last(&|slot| verdict(slot.mirror) == Some(Verdict::Differs));
        let idle = || last(&|slot| !self.works(slot));
        let heard = || last(&|slot| verdict(slot.mirror) != Some(Verdict::Unknown));
        if let Some(slot) = useless.or_else(idle).or_else(heard) {
            self.make_over(slot, mirror);
        }
    }

    /// Whether the mirror may not be dialled now.
    fn is_cut_off(&self, mirror: usize) -> bool {
        self.mirrors.get(mirror).is_none_or(|known| known.suspended_until().is_some())
    }

    /// Whether nothing that the download waits for hangs on this connection.
    fn can_be_spared(&self, slot: &Slot) -> bool {
        let votes = |id: &SessionId| {
            let segment = self.connections.get(id).and_then(|connection| connection.segment.as_ref());
            segment.is_some_and(|segment| segment.vote.is_some())
        };
        let busy = |id: &SessionId| votes(id) || self.is_asking(*id);
        !self.is_waited_for(slot.mirror) && !slot.sessions.iter().any(busy)
    }

    /// Whether the connection is fetching, or is to show what it can.
    fn works(&self, slot: &Slot) -> bool {
        slot.sessions.iter().filter_map(|id| self.connections.get(id)).any(|connection| {
            connection.segment.is_some() || !connection.closing && self.is_on_trial(connection.slot)
        })
    }

    /// From now on the connection is one of this mirror.
    fn make_over(&mut self, at: usize, mirror: usize) {
        let Some(slot) = self.slots.get_mut(at) else { return };
        let sessions = slot.sessions.clone();
        *slot = Slot { sessions: sessions.clone(), home: slot.home, ..Slot::new(mirror) };
        for id in sessions {
            self.close(id);
        }
    }

    /// How many connections begin to fetch as soon as they can.
    pub(super) fn slots_to_begin(&self) -> usize {
        let of = |mirror: usize| {
            let slots = self.slots_of(mirror);
            if self.waits_to_see() { slots.min(1) } else { slots }
        };
        (0..self.mirrors.len()).map(of).sum()
    }

    /// How many connections the mirror has.
    pub(super) fn slots_of(&self, mirror: usize) -> usize {
        self.slots.iter().filter(|slot| slot.mirror == mirror && !slot.withdrawn).count()
    }

    /// Gives back one of theirs to mirrors that may be tried again, and have lent all. Who has it keeps another, unless that
    /// cannot be dialled itself.
    pub(super) fn call_back(&mut self, now: Instant) {
        for mirror in 0..self.mirrors.len() {
            let wanted = |known: &&Mirror| {
                known.access == Access::Trial && known.restarts && known.verdict != Verdict::Differs
            };
            let Some(known) = self.mirrors.get(mirror).filter(wanted) else { continue };
            if self.slots_of(mirror) > 0 || !self.has_much_left(mirror, now) {
                continue;
            }
            // For one that has never brought anything no transfer is broken off again and again.
            let promising = !known.fetched.is_empty() || known.failures <= 2;
            let lent = |slot: &Slot| {
                let keeps = self.slots_of(slot.mirror) > 1 || self.is_cut_off(slot.mirror);
                slot.home == mirror && !slot.withdrawn && keeps && self.can_be_spared(slot)
            };
            let idle = self.slots.iter().position(|slot| lent(slot) && !self.works(slot));
            let busy = || self.slots.iter().position(lent).filter(|_| promising);
            if let Some(slot) = idle.or_else(busy) {
                self.make_over(slot, mirror);
            }
        }
    }

    /// Lends what stands still while it is tried whether a mirror is there again, if that takes long; with a single connection
    /// nothing else is fetched meanwhile, and another mirror gets it.
    pub(super) fn lend_meanwhile(&mut self, now: Instant) {
        let late: Vec<(usize, usize)> =
            self.probing().filter(|(due, ..)| *due <= now).map(|(_, mirror, slot)| (mirror, slot)).collect();
        for (mirror, slot) in late {
            self.lend_all(mirror);
            let others = self.borrowers();
            // What is to be heard keeps the only connection, or it would be given to and fro for ever.
            let lends = self.slots.len() == 1 && !self.is_waited_for(mirror);
            if let Some(other) = others.first().filter(|_| lends) {
                self.make_over(slot, *other);
            }
        }
    }

    /// When it has taken long to find out whether a mirror is there again.
    pub(super) fn probing_due(&self) -> impl Iterator<Item = Instant> {
        self.probing().map(|(due, ..)| due).filter(|due| *due > self.now)
    }

    /// The sessions that are to find that out: when they have taken long, their mirrors and their slots.
    fn probing(&self) -> impl Iterator<Item = (Instant, usize, usize)> {
        self.connections.values().filter_map(|connection| {
            let known = self.mirrors.get(connection.mirror)?;
            let probes = known.access == Access::Probing && !connection.closing;
            let due = connection.opened + known.span(LONG_PROBE);
            probes.then_some((due, connection.mirror, connection.slot))
        })
    }

    /// A mirror that may be able to restart, and has no connection, gets that of this session, which has no use for
    /// it.
    pub(super) fn moves_to_restarting(&mut self, id: SessionId) -> bool {
        let Some(slot) = self.connections.get(&id).map(|connection| connection.slot) else { return false };
        // It may be there only to be heard, and the other one without a connection because it may not fetch: they would take it
        // from each other for ever.
        if self.slots.get(slot).is_some_and(|slot| self.is_waited_for(slot.mirror)) {
            return false;
        }
        let able =
            |mirror: &Mirror| mirror.is_alive() && mirror.restarts && mirror.verdict != Verdict::Differs;
        let idle = (0..self.mirrors.len())
            .find(|at| self.mirrors.get(*at).is_some_and(able) && self.slots_of(*at) == 0);
        let (Some(mirror), Some(slot)) = (idle, self.slots.get_mut(slot)) else { return false };
        slot.mirror = mirror;
        self.close(id);
        true
    }

    /// The connections of a mirror that is to be left alone for a while serve others meanwhile, if there are any that have
    /// room. Those that were added are of use only where they pay: who grows meanwhile may take them, and otherwise they stay.
    pub(super) fn lend_all(&mut self, mirror: usize) {
        let others = self.borrowers();
        let mut others = others.iter().cycle();
        let given = self.settings.begin_with.get();
        let idle = |slot: &&mut Slot| slot.mirror == mirror && slot.sessions.is_empty();
        for slot in self.slots.iter_mut().take(given).filter(idle) {
            slot.mirror = others.next().copied().unwrap_or(mirror);
        }
    }

    /// Those that have a use for more connections.
    pub(super) fn borrowers(&self) -> Vec<usize> {
        self.by_slots(|known| {
            known.access == Access::Open && !known.full && known.verdict != Verdict::Differs
        })
    }

    /// The connections of a mirror that is given up go to the others: to those that have room, if there are any; where they
    /// are one too many they wait. Those that were added go with it, and more are made elsewhere where that pays.
    pub(super) fn bequeath(&mut self, mirror: usize) {
        let mut heirs = self.by_slots(|known| known.is_alive() && !known.full);
        if heirs.is_empty() {
            heirs = self.by_slots(Mirror::is_alive);
        }
        let mut heirs = heirs.into_iter().cycle();
        let left: Vec<usize> = (0..self.slots.len())
            .filter(|at| self.slots.get(*at).is_some_and(|slot| slot.mirror == mirror))
            .collect();
        for at in left {
            let given = at < self.settings.begin_with.get();
            let heir = if given { heirs.next() } else { None };
            let waits = heir.is_some_and(|heir| self.has_no_room(heir));
            let retry_at = waits.then(|| self.now + self.full_pause());
            let Some(slot) = self.slots.get_mut(at) else { continue };
            slot.withdrawn |= !given;
            if let Some(heir) = heir {
                (slot.mirror, slot.home) = (heir, heir);
                (slot.failures, slot.parked, slot.retry_at) = (0, waits, retry_at);
            }
        }
    }

    /// Whether the server lets no more in than are there.
    fn has_no_room(&self, mirror: usize) -> bool {
        self.is_tried(mirror) && self.mirrors.get(mirror).is_some_and(|known| known.full)
    }

    /// These mirrors; those first that have the fewest connections, and those last that have another file.
    fn by_slots(&self, which: impl Fn(&Mirror) -> bool) -> Vec<usize> {
        let mut mirrors: Vec<usize> =
            (0..self.mirrors.len()).filter(|at| self.mirrors.get(*at).is_some_and(&which)).collect();
        let differs = |at: usize| self.mirrors.get(at).is_some_and(|known| known.verdict == Verdict::Differs);
        mirrors.sort_by_key(|at| (differs(*at), self.slots_of(*at)));
        mirrors
    }
}

/// The mirror of each of `wanted` connections: first one for each mirror, then what each asked for
/// beyond that, then in turn.
pub(super) fn allot(asked: &[usize], wanted: usize) -> Vec<usize> {
    let most = asked.iter().copied().max().unwrap_or(1).max(1);
    let named = (0..most).flat_map(|round| {
        asked.iter().enumerate().filter(move |(_, asked)| round < **asked).map(|(mirror, _)| mirror)
    });
    named.chain((0..asked.len()).cycle()).take(if asked.is_empty() { 0 } else { wanted }).collect()
}
