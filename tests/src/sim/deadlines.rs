//! The deadlines of all sessions.

use ftp_proto::SessionId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An end of a session.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Party {
    Client(SessionId),
    Server(SessionId),
}

/// The next deadline of each party.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    of: BTreeMap<Party, Duration>,
    in_order: BTreeSet<(Duration, Party)>,
}

impl Deadlines {
    /// Sets or clears the deadline of a party.
    pub(super) fn set(&mut self, party: Party, due: Option<Duration>) {
        let before = match due {
            Some(due) => self.of.insert(party, due),
            None => self.of.remove(&party),
        };
        if before == due {
            return;
        }
        if let Some(before) = before {
            self.in_order.remove(&(before, party));
        }
        self.in_order.extend(due.map(|due| (due, party)));
    }

    /// Returns the earliest deadline, and its party.
    pub(super) fn first(&self) -> Option<(Duration, Party)> {
        self.in_order.first().copied()
    }
}
