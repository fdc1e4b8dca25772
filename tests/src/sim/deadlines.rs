//! When sessions are to be called.

use ftp_proto::SessionId;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// An end of a session.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Party {
    Client(SessionId),
    Server(SessionId),
}

/// Who wants to be called when.
#[derive(Debug, Default)]
pub(super) struct Deadlines {
    of: BTreeMap<Party, Duration>,
    in_order: BTreeSet<(Duration, Party)>,
}

impl Deadlines {
    /// That is the deadline from now on.
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

    /// Who is to be called first, and when.
    pub(super) fn first(&self) -> Option<(Duration, Party)> {
        self.in_order.first().copied()
    }
}
