//! Which session asks which mirror for a checksum of a file.

use super::{Reach, reach};
use crate::engine::file::replica::{Replica, Verdict};
use crate::engine::forecast::View;
use crate::engine::ids::MirrorId;
use crate::engine::pool::session::Session;
use ftp_proto::SessionId;

/// A free session with the mirror to ask, if others fetch meanwhile or have done so.
pub(in crate::engine) fn asker(view: &View<'_>) -> Option<(SessionId, MirrorId)> {
    let mirror = mirror_to_ask(view)?;
    let replica = &view.file.replicas[mirror];
    let fetching = view.file.has_work(view.flights);
    let free = |(_, session): &(SessionId, &Session)| {
        // A session on trial is to show what it can fetch.
        let spared = !fetching || !view.pool.is_on_trial(session.slot);
        session.server == replica.server
            && session.is_free()
            && reach(session, replica) == Reach::Here
            && spared
    };
    let (id, _) = view.pool.sessions.iter().find(free)?;
    let spared = !fetching || view.fetching().any(|(other, ..)| other != id);
    (spared && !view.file.has_dispute()).then_some((id, mirror))
}

/// The first mirror that works and has not been asked.
fn mirror_to_ask(view: &View<'_>) -> Option<MirrorId> {
    let works = |mirror: &MirrorId| {
        let server = view.file.replicas[*mirror].server;
        view.pool.sessions.values().any(|session| session.server == server && session.is_ready())
    };
    unasked(view).find(|mirror| has_shown_path(view, *mirror) && works(mirror))
}

/// If only the lookup is left and no session can run it: the mirror to open a session to. A mirror without a connection is left
/// alone.
pub(in crate::engine) fn mirror_to_dial(view: &View<'_>) -> Option<MirrorId> {
    let waits = view.file.lookup.as_ref().is_some_and(|lookup| lookup.is_waiting());
    if !waits || view.file.has_work(view.flights) || mirror_to_ask(view).is_some() {
        return None;
    }
    let connected = |mirror: &MirrorId| view.pool.slots_of(view.file.replicas[*mirror].server) > 0;
    unasked(view).find(connected)
}

/// Whether a mirror can be asked, now or over a session that is opened for it.
pub(in crate::engine) fn can_ask(view: &View<'_>) -> bool {
    mirror_to_ask(view).is_some() || mirror_to_dial(view).is_some()
}

/// The mirrors that may yet have a checksum of the file.
fn unasked<'a>(view: &'a View<'a>) -> impl Iterator<Item = MirrorId> + 'a {
    let unasked = move |(mirror, replica): &(MirrorId, &Replica)| {
        let exhausted = view.file.lookup.as_ref().is_none_or(|lookup| lookup.is_exhausted(*mirror));
        let has = replica.verdict == Verdict::Unknown || has_shown_path(view, *mirror);
        !replica.is_dropped && has && !exhausted
    };
    view.file.replicas.iter().filter(unasked).map(|(mirror, _)| mirror)
}

/// Whether the mirror has the file, and the form is known in which to ask for it.
fn has_shown_path(view: &View<'_>, mirror: MirrorId) -> bool {
    match view.file.replicas[mirror].verdict {
        Verdict::Agrees => true,
        // A mirror that tells nothing may not have the file; but if no mirror tells more, the file may be empty, or was here
        // before.
        Verdict::Abstains if view.file.ledger.written_by(mirror).is_empty() => {
            let agrees = |other: &Replica| other.verdict == Verdict::Agrees;
            !view.file.has_work(view.flights) && !view.file.replicas.values().any(agrees)
        }
        Verdict::Abstains => true,
        Verdict::Unknown | Verdict::Differs => false,
    }
}
