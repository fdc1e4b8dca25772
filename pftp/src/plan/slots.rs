//! Whose connections they are: each is made to one mirror, and may be made to another when that has more use for it.

use super::Planner;
use super::mirror::{Access, Mirror, Verdict};
use ftp_proto::{Instant, SessionId};

/// One of the connections of the job. Sessions come and go in it.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) mirror: usize,
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
            self.lend_slot(*mirror, |_| true);
        }
    }

    /// Gives mirrors that may be tried again a connection, where others have been made of theirs meanwhile. Those keep one
    /// at least, unless they cannot be dialled themselves.
    pub(super) fn call_back(&mut self, now: Instant) {
        for mirror in 0..self.mirrors.len() {
            let wanted = self.mirrors.get(mirror).is_some_and(|known| {
                known.access == Access::Trial && known.restarts && known.verdict != Verdict::Differs
            });
            if wanted && self.has_much_left(mirror, now) {
                let cut_off = |known: &Mirror| known.suspended_until().is_some();
                let lenders: Vec<bool> = self
                    .mirrors
                    .iter()
                    .enumerate()
                    .map(|(at, known)| cut_off(known) || self.slots_of(at) > 1)
                    .collect();
                self.lend_slot(mirror, |from| lenders.get(from) == Some(&true));
            }
        }
    }

    /// How many connections the mirror has.
    pub(super) fn slots_of(&self, mirror: usize) -> usize {
        self.slots.iter().filter(|slot| slot.mirror == mirror && !slot.withdrawn).count()
    }

    /// Gives the mirror a connection of one that may lend some, if it has none.
    fn lend_slot(&mut self, mirror: usize, may_lend: impl Fn(usize) -> bool) {
        // One that may not be dialled yet has no use for a connection before that.
        if self.mirrors.get(mirror).is_none_or(|known| known.suspended_until().is_some()) {
            return;
        }
        if self.slots_of(mirror) > 0 {
            return;
        }
        let verdict = |mirror: usize| self.mirrors.get(mirror).map(|mirror| mirror.verdict);
        let works = |id: &SessionId| {
            self.connections.get(id).is_some_and(|connection| {
                connection.segment.is_some() || !connection.closing && self.is_on_trial(connection.slot)
            })
        };
        // One that may not fetch has no use for a connection any more; one that does nothing can spare it.
        let votes = |id: &SessionId| {
            let segment = self.connections.get(id).and_then(|connection| connection.segment.as_ref());
            segment.is_some_and(|segment| segment.vote.is_some())
        };
        let last = |wanted: &dyn Fn(&Slot) -> bool| {
            let busy = |id: &SessionId| votes(id) || self.is_asking(*id);
            let taken = |slot: &Slot| {
                self.is_waited_for(slot.mirror) || !may_lend(slot.mirror) || slot.sessions.iter().any(busy)
            };
            self.slots.iter().rposition(|slot| !taken(slot) && wanted(slot))
        };
        let useless = last(&|slot| verdict(slot.mirror) == Some(Verdict::Differs));
        let idle = || last(&|slot| !slot.sessions.iter().any(works));
        let heard = || last(&|slot| verdict(slot.mirror) != Some(Verdict::Unknown));
        let Some(slot) = useless.or_else(idle).or_else(heard) else { return };
        let Some(slot) = self.slots.get_mut(slot) else { return };
        let sessions =
            std::mem::replace(slot, Slot { sessions: slot.sessions.clone(), ..Slot::new(mirror) }).sessions;
        for id in sessions {
            self.close(id);
        }
    }

    /// A mirror that may be able to restart, and has no connection, gets that of this session, which has no use for
    /// it.
    pub(super) fn moves_to_restarting(&mut self, id: SessionId) -> bool {
        let Some(slot) = self.connections.get(&id).map(|connection| connection.slot) else { return false };
        let idle = (0..self.mirrors.len()).find(|at| {
            let able = self.mirrors.get(*at).is_some_and(|mirror| mirror.is_alive() && mirror.restarts);
            able && self.slots_of(*at) == 0
        });
        let (Some(mirror), Some(slot)) = (idle, self.slots.get_mut(slot)) else { return false };
        slot.mirror = mirror;
        self.close(id);
        true
    }

    /// The connections of a mirror that is to be left alone for a while serve others meanwhile, if there are any that have
    /// room. Those that were added stay: they are worth something here only.
    pub(super) fn lend_all(&mut self, mirror: usize) {
        let others = self.by_slots(|known| {
            known.access == Access::Open && !known.full && known.verdict != Verdict::Differs
        });
        let mut others = others.iter().cycle();
        let given = self.settings.begin_with.get();
        for slot in self.slots.iter_mut().take(given).filter(|slot| slot.mirror == mirror) {
            slot.mirror = others.next().copied().unwrap_or(mirror);
        }
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
                (slot.mirror, slot.failures, slot.parked, slot.retry_at) = (heir, 0, waits, retry_at);
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
