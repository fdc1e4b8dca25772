//! The first transfer of a file.

use super::Offer;
use crate::engine::forecast::View;
use crate::engine::pool::session::Session;
use ftp_proto::SessionId;

/// Offers the whole file while its size is not known: one session fetches it, in the write that asks for the size.
pub(in crate::engine) fn begin(view: &View<'_>, id: SessionId) -> Option<Offer> {
    let file = view.file;
    let session = &view.pool.sessions[id];
    let wanted = file.ledger.size().is_none() && !file.may_be_here_already() && !file.is_here_already();
    // A mirror whose file differs from the one that an earlier run began waits until the others are heard.
    if !wanted || !super::can_fetch(view, session) || is_taken(view, session) {
        return None;
    }
    // The dialling may hang, while other sessions are free.
    let free = |other: &Session| other.is_free() && view.serves(other);
    let waits = !session.is_ready() && view.pool.sessions.values().any(free);
    (!waits).then_some(Offer::Begin)
}

/// Whether another connection fetches the file, or a transfer has ended and its mirror has yet to say how long the file is.
fn is_taken(view: &View<'_>, session: &Session) -> bool {
    view.pool.sessions.values().filter(|other| !other.is_closing()).any(|other| {
        let fetches = other.transfer_of(view.id).is_some() && other.slot != session.slot;
        fetches || other.unconfirmed_end.is_some_and(|(file, _)| file == view.id)
    })
}

/// Offers the whole file to a session whose server does not understand REST: only if no server does, and nothing else is
/// being fetched.
pub(super) fn from_start(view: &View<'_>, id: SessionId) -> Option<Offer> {
    let vacancy = view.pool.restarting_vacancy(id, &(view.demand)());
    if vacancy.is_some_and(|server| view.file.living_mirror_on(server).is_some()) {
        return Some(Offer::MoveToRestarting);
    }
    let others = view.file.has_restarting_mirror(&view.pool.servers);
    let busy = !view.flights.is_empty();
    let wanted = !view.file.ledger.is_whole() || view.file.wants_end(view.flights);
    (!others && !busy && wanted).then_some(Offer::FromStart)
}
