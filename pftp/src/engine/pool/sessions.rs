//! The sessions by their identifiers.

use super::session::Session;
use ftp_proto::SessionId;
use std::collections::BTreeMap;
use std::ops::{Index, IndexMut};

/// The sessions that have not ended, in the order in which they were opened.
#[derive(Debug, Default)]
pub(in crate::engine) struct Sessions(BTreeMap<SessionId, Session>);

impl Sessions {
    /// A session that may have ended.
    pub(in crate::engine) fn get(&self, id: SessionId) -> Option<&Session> {
        self.0.get(&id)
    }

    /// A session that may have ended, to change it.
    pub(in crate::engine) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.0.get_mut(&id)
    }

    /// Adds a session.
    pub(super) fn insert(&mut self, id: SessionId, session: Session) {
        self.0.insert(id, session);
    }

    /// Removes a session that has ended.
    pub(in crate::engine) fn remove(&mut self, id: SessionId) -> Option<Session> {
        self.0.remove(&id)
    }

    /// All sessions with their identifiers.
    pub(in crate::engine) fn iter(&self) -> impl Iterator<Item = (SessionId, &Session)> {
        self.0.iter().map(|(id, session)| (*id, session))
    }

    /// All sessions.
    pub(in crate::engine) fn values(&self) -> impl Iterator<Item = &Session> {
        self.0.values()
    }

    /// All sessions, to change them.
    pub(in crate::engine) fn values_mut(&mut self) -> impl Iterator<Item = &mut Session> {
        self.0.values_mut()
    }

    /// The identifiers of the sessions for which `which` holds.
    pub(in crate::engine) fn with(&self, which: impl Fn(&Session) -> bool) -> Vec<SessionId> {
        self.iter().filter(|(_, session)| which(session)).map(|(id, _)| id).collect()
    }
}

impl Index<SessionId> for Sessions {
    type Output = Session;

    fn index(&self, id: SessionId) -> &Session {
        &self.0[&id]
    }
}

#[expect(clippy::expect_used, reason = "the engine names a session that has ended: a bug that must show")]
impl IndexMut<SessionId> for Sessions {
    fn index_mut(&mut self, id: SessionId) -> &mut Session {
        self.0.get_mut(&id).expect("the session has not ended")
    }
}
