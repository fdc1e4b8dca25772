//! The lookup of a checksum of a file on its servers, as a task of sessions.
//!
//! It needs a session, and dials none of its own unless the sessions are lost that could ask. If several connections fetch, one
//! that is about to get a range asks first, which costs it about five round trips; if one fetches, it asks when everything has
//! come. The first mirror that works is asked, and the next one if that has no checksum. [`crate::lookup`] has the questions.

use super::ids::MirrorId;
use crate::lookup::{Answer, Found, Lookup, Remark};
use bytes::Bytes;
use ftp_proto::{Arg, Instant, Request, SessionId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How the lookup of one file stands.
#[derive(Debug)]
pub(super) struct FileLookup {
    /// How long one server may be asked in all.
    patience: Duration,
    asked: BTreeMap<MirrorId, Asked>,
    /// Mirrors that have nothing more to say.
    exhausted: BTreeSet<MirrorId>,
    running: Option<Running>,
    /// The result, and the mirror that has it.
    found: Option<(MirrorId, Found)>,
    is_over: bool,
    /// Whether the finished file that was here before has yet to be compared with the result.
    is_comparing: bool,
}

/// The questions to one mirror. One session after another may ask them.
#[derive(Debug)]
struct Asked {
    lookup: Lookup,
    /// How long it may still be asked.
    left: Duration,
}

/// The session that asks.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running {
    pub(super) session: SessionId,
    pub(super) mirror: MirrorId,
    /// When it has asked for too long.
    pub(super) until: Instant,
    questions: usize,
    answered: usize,
}

impl FileLookup {
    /// A lookup that asks each server for so long at most.
    pub(super) const fn new(patience: Duration) -> Self {
        Self {
            patience,
            asked: BTreeMap::new(),
            exhausted: BTreeSet::new(),
            running: None,
            found: None,
            is_over: false,
            is_comparing: false,
        }
    }

    /// The session that asks.
    pub(super) const fn running(&self) -> Option<Running> {
        self.running
    }

    /// Whether a session is to ask and none does.
    pub(super) const fn is_waiting(&self) -> bool {
        !self.is_over && self.running.is_none()
    }

    /// Whether it is over.
    pub(super) const fn is_over(&self) -> bool {
        self.is_over
    }

    /// Whether the finished file has yet to be compared with the result.
    pub(super) const fn is_comparing(&self) -> bool {
        self.is_comparing
    }

    /// The finished file has been compared with the result.
    pub(super) const fn compared(&mut self) {
        self.is_comparing = false;
    }

    /// Whether the mirror has nothing more to say.
    pub(super) fn is_exhausted(&self, mirror: MirrorId) -> bool {
        self.exhausted.contains(&mirror)
    }

    /// Lets a session ask its mirror.
    pub(super) fn begin(
        &mut self,
        session: SessionId,
        mirror: MirrorId,
        (server, path): (&str, &Arg),
        now: Instant,
    ) {
        let left = self.patience;
        let new = || Asked { lookup: Lookup::new(server.to_owned(), path.clone()), left };
        let until = now + self.asked.entry(mirror).or_insert_with(new).left;
        self.running = Some(Running { session, mirror, until, questions: 0, answered: 0 });
    }

    /// The next requests of the session that asks; none if the mirror has nothing more to say. `path` is the name of the file as
    /// that session has to ask for it, `size` its size in bytes.
    pub(super) fn next_requests(&mut self, path: &Arg, size: Option<u64>) -> Vec<Request> {
        let Some(running) = &mut self.running else { return Vec::new() };
        let Some(asked) = self.asked.get_mut(&running.mirror) else { return Vec::new() };
        let requests = asked.lookup.next_requests(path, size);
        (running.questions, running.answered) = (requests.len(), 0);
        requests
    }

    /// Takes an answer to the question at the place `at`. Returns whether all have been answered.
    pub(super) fn answer(&mut self, at: usize, answer: Answer<'_>) -> bool {
        let Some(running) = &mut self.running else { return false };
        let Some(asked) = self.asked.get_mut(&running.mirror) else { return false };
        asked.lookup.handle_answer(at, answer);
        running.answered = running.answered.saturating_add(1);
        running.answered >= running.questions
    }

    /// Takes more of the content that the question at the place `at` asked for.
    pub(super) fn content(&mut self, at: usize, bytes: &Bytes) {
        let mirror = self.running.as_ref().map(|running| running.mirror);
        if let Some(asked) = mirror.and_then(|mirror| self.asked.get_mut(&mirror)) {
            asked.lookup.handle_answer(at, Answer::Content(bytes));
        }
    }

    /// The remarks for the user about the questions to a mirror.
    pub(super) fn take_remarks(&mut self, mirror: MirrorId) -> Vec<Remark> {
        self.asked.get_mut(&mirror).map(|asked| asked.lookup.take_remarks()).unwrap_or_default()
    }

    /// The mirror has nothing more to say. Returns whether it had a checksum.
    pub(super) fn end_running(&mut self) -> bool {
        let Some(Running { mirror, .. }) = self.running.take() else { return false };
        self.exhausted.insert(mirror);
        let found = self.asked.get_mut(&mirror).and_then(|asked| asked.lookup.take_found());
        let has_found = found.is_some();
        self.found = found.map(|found| (mirror, found)).or_else(|| self.found.take());
        has_found
    }

    /// The session that asked has ended: another one may go on. Returns the mirror, and whether its time is used up.
    pub(super) fn interrupt(&mut self, session: SessionId, now: Instant) -> Option<(MirrorId, bool)> {
        let running = self.running.take_if(|running| running.session == session)?;
        let Some(asked) = self.asked.get_mut(&running.mirror) else { return Some((running.mirror, false)) };
        asked.lookup.handle_session_end();
        asked.left = running.until.since(now);
        let over = asked.left.is_zero() && self.exhausted.insert(running.mirror);
        Some((running.mirror, over))
    }

    /// Ends the lookup and returns its result.
    pub(super) fn end(&mut self, is_here_already: bool) -> Option<Found> {
        self.is_over = true;
        if self.found.is_none() {
            // A mirror whose session has ended before the last question may have answered all the same.
            let mut asked = self.asked.iter_mut();
            self.found = asked.find_map(|(mirror, asked)| Some((*mirror, asked.lookup.take_found()?)));
        }
        self.is_comparing = is_here_already && self.found.is_some();
        self.found.as_ref().map(|(_, found)| found.clone())
    }

    /// Forgets what a mirror has said: it is of another file, or may be. Returns the session that asks it.
    pub(super) fn forget(&mut self, mirror: MirrorId) -> Option<SessionId> {
        self.exhausted.insert(mirror);
        self.asked.remove(&mirror);
        if self.found.take_if(|(of, _)| *of == mirror).is_some() {
            self.is_over = false;
        }
        self.running.filter(|running| running.mirror == mirror).map(|running| running.session)
    }

    /// Begins anew: the file is another one. Returns the session that asks.
    pub(super) fn restart(&mut self) -> Option<SessionId> {
        let asking = self.running.map(|running| running.session);
        *self = Self::new(self.patience);
        asking
    }
}
