//! The demand of the files, computed for the pool, which knows no file.

use super::file::replica::Verdict;
use super::file::{File, Flight};
use super::ids::{Arena, MirrorId, ServerId};
use super::pool::demand::{Demand, ServerDemand};
use super::pool::server::Server;
use std::collections::BTreeSet;

/// The demand of the files that are being fetched, each with its transfers, and of the files that wait.
pub(super) fn collect_demand<'a>(
    servers: &Arena<ServerId, Server>,
    active: &[(&File, Vec<Flight>)],
    queued: impl Iterator<Item = &'a File>,
) -> Demand {
    let mut demand = Demand {
        servers: servers.ids().map(|_| ServerDemand::default()).collect(),
        has_work: false,
        left: 0,
        parts: 0,
        may_split: false,
        is_single: true,
    };
    // Servers with a mirror that has not shown another file.
    let mut others = BTreeSet::new();
    for (file, flights) in active {
        let is_undecided = file.is_undecided();
        for (mirror, replica) in file.replicas.iter() {
            let known = &mut demand.servers[replica.server];
            known.serves |= replica.serves();
            known.is_unheard |= replica.verdict == Verdict::Unknown;
            known.is_awaited |= is_awaited(file, mirror, is_undecided, servers);
            known.holds_bytes |= !file.ledger.written_by(mirror).is_empty();
            if replica.verdict == Verdict::Differs {
                known.differs = true;
            } else {
                others.insert(replica.server);
            }
        }
        demand.has_work |= file.has_work(flights);
        demand.left = demand.left.saturating_add(file.ledger.left());
        if !file.is_single() {
            demand.is_single = false;
            demand.may_split |= file.ledger.size().is_some();
            let parts = file.ledger.left().checked_div(file.min_segment).unwrap_or(u64::MAX);
            demand.parts = demand.parts.saturating_add(usize::try_from(parts).unwrap_or(usize::MAX));
        }
    }
    for file in queued {
        demand.has_work = true;
        for replica in file.replicas.values().filter(|replica| !replica.is_dropped) {
            demand.servers[replica.server].serves = true;
            others.insert(replica.server);
        }
    }
    for server in others {
        demand.servers[server].differs = false;
    }
    demand
}

/// Whether the file waits for a statement of the mirror.
fn is_awaited(file: &File, mirror: MirrorId, is_undecided: bool, servers: &Arena<ServerId, Server>) -> bool {
    let replica = &file.replicas[mirror];
    let unheard = is_undecided && replica.is_unheard();
    !replica.is_dropped && (unheard || file.wants_vote_of(mirror, servers) || file.has_outgrown(mirror))
}
