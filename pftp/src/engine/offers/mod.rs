//! The distribution of work: each rule offers a free session a task, and [`best`] takes the first offer by rank.
//!
//! The rules are pure: they look at a [`View`] and change nothing. [`Fetcher`](super::Fetcher) carries an offer out.

mod asker;
mod begin;
mod extend;
mod refresh;
mod split;
mod tail;

pub(super) use asker::{asker, can_ask, mirror_to_dial};
pub(super) use begin::begin;
pub(super) use extend::{Extension, ending, extension};
pub(super) use refresh::collapsed_rate;
pub(super) use split::split;

use super::file::replica::{PathForm, Replica};
use super::forecast::View;
use super::ids::ComparisonId;
use super::pool::session::{Directory, Session};
use ftp_proto::{Arg, Instant, SessionId};

/// A task for a free session.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Offer {
    /// Change to the directory of the file.
    ChangeDirectory,
    /// Fetch the disputed bytes once more: the overlap before this offset.
    Vote { overlap: ComparisonId, end: u64 },
    /// Fetch the file, whose size is not known, from its first missing byte on.
    Begin,
    /// Fetch the whole file: no server understands REST.
    FromStart,
    /// Leave the connection to a server that understands REST.
    MoveToRestarting,
    /// Fetch the next range that no session is fetching.
    Range,
    /// Fetch nothing but the end of the file, to see that it is there.
    End,
    /// Take the tail of a running transfer.
    Tail(Takeover),
    /// Fetch a second time what is left of a running transfer.
    Copy(Takeover),
    /// Wait for the queue on the path to drain.
    Wait(Instant),
    /// Stand by, as others saturate the path.
    StandBy,
}

impl Offer {
    /// Whether the session has nothing to fetch.
    pub(super) const fn is_passive(&self) -> bool {
        matches!(self, Self::Wait(_) | Self::StandBy)
    }
}

/// The part of a running transfer that a session takes.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Takeover {
    /// The session of that transfer.
    pub(super) victim: SessionId,
    /// Bytes per second of that transfer; 0 if it is silent.
    pub(super) rate: u64,
    /// Offset of the first byte that is taken.
    pub(super) start: u64,
    /// Offset behind the last byte that is taken.
    pub(super) end: u64,
}

/// Whether a session can ask for a path.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Reach {
    /// It can now.
    Here,
    /// It can after CWD to this directory.
    After(Arg),
    /// It cannot: it has changed to another directory, and the path is relative to the login directory.
    Never,
}

/// Whether the session can ask for the path of the mirror, in the form that the server takes.
pub(super) fn reach(session: &Session, replica: &Replica) -> Reach {
    let is_absolute = replica.path.as_bytes().first() == Some(&b'/');
    let split = replica.split_path().filter(|_| replica.form == PathForm::Directory);
    match (&session.directory, split) {
        (Directory::Login, None) => Reach::Here,
        (Directory::Login, Some((directory, _))) => Reach::After(directory),
        (Directory::In(here) | Directory::Changing { to: here, .. }, Some((directory, _)))
            if *here == directory =>
        {
            Reach::Here
        }
        (Directory::In(_) | Directory::Changing { .. }, Some((directory, _))) if is_absolute => {
            Reach::After(directory)
        }
        (Directory::In(_) | Directory::Changing { .. }, None) if is_absolute => Reach::Here,
        (Directory::In(_) | Directory::Changing { .. }, _) => Reach::Never,
    }
}

/// The form in which the session asks for the path of the mirror.
pub(super) fn form(session: &Session, replica: &Replica) -> PathForm {
    match &session.directory {
        Directory::In(here) | Directory::Changing { to: here, .. }
            if replica.split_path().is_some_and(|(directory, _)| directory == *here) =>
        {
            PathForm::Directory
        }
        Directory::Login | Directory::In(_) | Directory::Changing { .. } => PathForm::Whole,
    }
}

/// The first offer of the rules that serve the file before all else: its directory, a vote, its first transfer.
pub(super) fn first(view: &View<'_>, id: SessionId) -> Option<Offer> {
    let session = &view.pool.sessions[id];
    let mirror = view.mirror_of(session)?;
    match reach(session, &view.file.replicas[mirror]) {
        // A session that has changed to a directory serves the files there first.
        Reach::After(_) if session.directory == Directory::Login => return Some(Offer::ChangeDirectory),
        Reach::After(_) | Reach::Never => return None,
        Reach::Here => {}
    }
    if view.file.wants_vote_of(mirror, &view.pool.servers)
        && let Some((overlap, end)) = view.file.disputed_part()
    {
        return Some(Offer::Vote { overlap, end });
    }
    begin(view, id)
}

/// The offer of the rules that fetch what no session is fetching.
pub(super) fn best(view: &View<'_>, id: SessionId) -> Option<Offer> {
    let session = &view.pool.sessions[id];
    if view.file.ledger.size().is_none() || !can_fetch(view, session) {
        return None;
    }
    if !view.pool.servers[session.server].restarts {
        return begin::from_start(view, id);
    }
    if let Some(until) = view.pool.drains_until(id, &(view.demand)(), view.now) {
        return Some(Offer::Wait(until));
    }
    if view.pool.is_on_standby(id, &(view.demand)(), view.now) {
        return Some(Offer::StandBy);
    }
    if has_range(view) {
        return Some(Offer::Range);
    }
    view.file.wants_end(view.flights).then_some(Offer::End)
}

/// The offer of the rules that help another session.
pub(super) fn help(view: &View<'_>, id: SessionId) -> Option<Offer> {
    let session = &view.pool.sessions[id];
    let may = can_fetch(view, session) && view.pool.servers[session.server].restarts;
    // While the size is not known, nothing tells what is left of a transfer.
    if !may || view.file.is_single() || view.file.ledger.size().is_none() {
        return None;
    }
    tail::tail_offer(view, id).or_else(|| tail::copy_offer(view, id))
}

/// Whether the session can fetch the file from the directory that it is in.
fn can_fetch(view: &View<'_>, session: &Session) -> bool {
    let mirror = view.mirror_of(session).map(|mirror| &view.file.replicas[mirror]);
    view.serves(session) && mirror.is_some_and(|mirror| reach(session, mirror) == Reach::Here)
}

/// Whether a queued range is missing and no session is fetching it.
fn has_range(view: &View<'_>) -> bool {
    let assigned = view.file.assigned(view.flights);
    let missing =
        |range: &std::ops::Range<u64>| !view.file.ledger.unassigned(range.clone(), &assigned).is_empty();
    view.file.ledger.queue().iter().any(missing)
}
