//! A transfer that is about to end goes on over the range behind it: that saves a data connection.

use crate::engine::forecast::View;
use ftp_proto::SessionId;

/// A longer end for a running transfer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::engine) enum Extension {
    /// No session is fetching the range behind it: its place in the queue.
    Queued(usize),
    /// The session that was to fetch the range behind it is silent.
    Silent { victim: SessionId, end: u64 },
}

/// The transfers that are about to end, each with its end.
pub(in crate::engine) fn ending(view: &View<'_>) -> Vec<(SessionId, u64)> {
    let ending = view.fetching().filter_map(|(id, session, transfer)| {
        // A transfer that waits for its first byte has nothing to go on with.
        let usual = view.pool.servers[session.server].path.first_byte_time();
        let running = session.running(0, usual, view.now).filter(|_| transfer.delivers())?;
        let soon = u128::from(running.time_left()) < usual.as_millis().saturating_mul(2);
        soon.then_some((id, running.left.end))
    });
    ending.collect()
}

/// The extension of a transfer that ends at `end`.
pub(in crate::engine) fn extension(view: &View<'_>, end: u64) -> Option<Extension> {
    queued(view, end).or_else(|| silent(view, end))
}

/// The queued range that begins at `start`, if no session is fetching any of it.
fn queued(view: &View<'_>, start: u64) -> Option<Extension> {
    let ledger = &view.file.ledger;
    let at = ledger.queue().iter().position(|range| range.start == start)?;
    let range = ledger.queue().get(at)?.clone();
    let assigned = view.file.assigned(view.flights);
    ledger.unassigned(range.clone(), &assigned).contains(&range).then_some(Extension::Queued(at))
}

/// The range that begins at `start` and that a session was to fetch which has been silent for too long.
fn silent(view: &View<'_>, start: u64) -> Option<Extension> {
    if !view.flights.iter().any(|flight| flight.left.start == start) {
        return None;
    }
    let (victim, running) = view.running().iter().find(|(id, running)| {
        !view.pool.sessions[*id].delivers() && running.rate == 0 && running.left.start == start
    })?;
    Some(Extension::Silent { victim: *victim, end: running.left.end })
}
