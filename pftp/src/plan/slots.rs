//! Whose connections they are: each is made to one mirror, and may be made to another when that has more use for it.

use super::Planner;
use super::mirror::Verdict;
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
            self.lend_slot(*mirror);
        }
    }

    fn lend_slot(&mut self, mirror: usize) {
        // One that may not be dialled yet has no use for a connection before that.
        if self.mirrors.get(mirror).is_none_or(|known| known.suspended_until().is_some()) {
            return;
        }
        if self.slots.iter().any(|slot| slot.mirror == mirror && !slot.withdrawn) {
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
            let taken = |slot: &Slot| self.is_waited_for(slot.mirror) || slot.sessions.iter().any(busy);
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
            able && self.slots.iter().all(|slot| slot.mirror != *at || slot.withdrawn)
        });
        let (Some(mirror), Some(slot)) = (idle, self.slots.get_mut(slot)) else { return false };
        slot.mirror = mirror;
        self.close(id);
        true
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
