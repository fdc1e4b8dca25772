//! Connections on trial: they were added to a server, and must show whether they pay. See [`growth`](super::growth).

use crate::engine::ids::SlotId;
use ftp_proto::Instant;

/// The part of the rate of the present connections that each added connection must bring. The flow before the trial bounds the
/// whole, as fewer connections may saturate the path.
const PAYS: (u64, u64) = (1, 4);

/// Connections that were added and may have to end again.
#[derive(Debug)]
pub(super) struct Trial {
    /// Bytes per second from the server before.
    pub(super) before: u64,
    pub(super) slots: Vec<SlotId>,
    /// Whether it began with a standby session: that session says nothing about the session limit.
    pub(super) began_on_standby: bool,
    /// Whether the first connection, still the only one, has yet to show whether the path is saturated.
    pub(super) probing: bool,
    /// The number of connections before.
    pub(super) others: usize,
    /// The number of connections that follow if the path is not saturated.
    pub(super) following: usize,
    /// When it is decided.
    pub(super) until: Instant,
}

/// The result of a trial.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Outcome {
    /// The flow has risen as wanted.
    Paid,
    /// It has not.
    Vain,
    /// The server takes no more sessions, or was given up.
    Refused,
    /// The first connection has found packets waiting in a queue.
    Queued,
    /// The first connection was not established in time, or its probe not answered: it has shown nothing.
    Unanswered,
}

impl Outcome {
    /// Whether the trial had one connection only: the path is saturated, or nothing has shown that it is not.
    pub(super) const fn ends_with_the_first(self) -> bool {
        matches!(self, Self::Queued | Self::Unanswered)
    }
}

impl Trial {
    /// Bytes per second for which the added connections have paid.
    pub(super) fn wanted(&self) -> u128 {
        let (pays, all) = PAYS;
        let (added, others) = (self.slots.len() as u128, self.others.max(1) as u128);
        let before = u128::from(self.before);
        let expected = (before.saturating_mul(added) / others).min(before);
        before.saturating_add(expected.saturating_mul(pays.into()) / u128::from(all))
    }
}
