//! The state that the sessions of a server share.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use super::behaviour::{Behaviour, Cap, WhenFull};
use super::session::{Event, ServerSession};
use super::stats::Stats;
use super::tree::Tree;

/// Files and behaviour of one server: what a driver is started with.
#[derive(Clone, Debug, Default)]
pub struct Model {
    tree: Arc<Tree>,
    behaviour: Arc<Behaviour>,
    overrides: BTreeMap<usize, Arc<Behaviour>>,
}

impl Model {
    /// A well-behaved server of these files.
    pub fn new(tree: Tree) -> Self {
        Self { tree: Arc::new(tree), ..Self::default() }
    }

    /// The model with this behaviour in all sessions that have none of their own.
    pub fn with_behaviour(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = Arc::new(behaviour);
        self
    }

    /// The model with this behaviour in the session with this number, counted from 0 as they are accepted.
    pub fn with_session(mut self, index: usize, behaviour: Behaviour) -> Self {
        self.overrides.insert(index, Arc::new(behaviour));
        self
    }

    /// The files.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.tree
    }

    fn behaviour_of(&self, index: usize) -> &Arc<Behaviour> {
        self.overrides.get(&index).unwrap_or(&self.behaviour)
    }
}

/// The server as a whole: it admits sessions and keeps the statistics. Drivers report to it.
#[derive(Debug)]
pub struct Host {
    model: Model,
    stats: Stats,
    admitted: BTreeSet<usize>,
}

impl Host {
    /// A server that has seen no session.
    pub fn new(model: Model) -> Self {
        Self { model, stats: Stats::default(), admitted: BTreeSet::new() }
    }

    /// Whether connections are to be refused at the moment.
    pub fn refuses(&self) -> bool {
        self.refuses_behind(0)
    }

    /// The same for a connection that `before` others precede, which will be accepted and have not been yet.
    pub fn refuses_behind(&self, before: usize) -> bool {
        self.full_cap(before).is_some_and(|cap| cap.when_full == WhenFull::Refuse)
    }

    /// A connection came in: the number of its session, and the session.
    pub fn accept(&mut self, now: Duration) -> (usize, ServerSession) {
        let full = self.full_cap(0).cloned();
        let index = self.stats.accepted(full.is_some());
        if full.is_none() {
            self.admitted.insert(index);
        }
        let behaviour = Arc::clone(self.model.behaviour_of(index));
        (index, ServerSession::new(Arc::clone(&self.model.tree), behaviour, full, now))
    }

    /// The cap that keeps the session out that follows upon the next `before`.
    fn full_cap(&self, before: usize) -> Option<&Cap> {
        let cap = self.model.behaviour_of(self.stats.sessions.len() + before).cap.as_ref()?;
        (self.admitted.len() + before >= cap.sessions).then_some(cap)
    }

    /// A session told this.
    pub fn record(&mut self, session: usize, event: Event) {
        self.stats.record(session, event);
    }

    /// The control connection of a session is closed. Saying so twice does no harm.
    pub fn closed(&mut self, session: usize) {
        self.admitted.remove(&session);
        self.stats.closed(session);
    }

    /// The statistics so far.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// The files, as of now.
    pub fn tree(&self) -> &Arc<Tree> {
        &self.model.tree
    }

    /// Puts other files in the place of the present ones. Drivers hand them to the sessions that are open by
    /// [`ServerSession::set_tree`].
    pub fn set_tree(&mut self, tree: Tree) {
        self.model.tree = Arc::new(tree);
    }

    /// How sessions behave that have no behaviour of their own.
    pub fn behaviour(&self) -> Behaviour {
        (*self.model.behaviour).clone()
    }

    /// Sessions from now on behave so, those with a behaviour of their own excepted.
    pub fn set_behaviour(&mut self, behaviour: Behaviour) {
        self.model.behaviour = Arc::new(behaviour);
    }
}
