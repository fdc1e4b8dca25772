//! The search for a checksum of the file on its servers.
//!
//! It needs a session, and there is no further login for it, unless the sessions are lost that could ask. Where several
//! connections fetch, one that is about to get a part asks first, which takes about five round trips of that one; where only
//! one does, it asks when everything has come. The first mirror that works is asked, and the next one if that has nothing.

use super::connection::{Ahead, Connection};
use super::mirror::{Mirror, Verdict};
use super::{Directive, Notice, Planner, Slot};
use crate::lookup::{Answer, Found, Lookup, Remark};
use bytes::Bytes;
use ftp_proto::{Event, Instant, Request, RequestId, SessionId};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// How the search stands.
#[derive(Debug)]
pub(super) struct Search {
    /// How long one server is asked, all in all.
    patience: Duration,
    /// What mirrors have been asked.
    hearings: BTreeMap<usize, Hearing>,
    /// Mirrors that have nothing more to say.
    heard: BTreeSet<usize>,
    errand: Option<Errand>,
    /// What was found, and on which mirror.
    found: Option<(usize, Found)>,
    over: bool,
    /// Whether the finished file that was here before is yet to be compared with what was found.
    comparing: bool,
}

/// What one mirror is asked, by one session after another if need be.
#[derive(Debug)]
struct Hearing {
    lookup: Lookup,
    /// For how long it may still be asked.
    left: Duration,
}

/// A session that asks.
#[derive(Debug)]
struct Errand {
    id: SessionId,
    mirror: usize,
    /// No longer than until then.
    until: Instant,
    asked: Vec<RequestId>,
    answered: usize,
}

impl Search {
    pub(super) const fn new(patience: Duration) -> Self {
        Self {
            patience,
            hearings: BTreeMap::new(),
            heard: BTreeSet::new(),
            errand: None,
            found: None,
            over: false,
            comparing: false,
        }
    }
}

impl Planner {
    /// The finished file that was here before has the checksum that was found, or has not: then it is fetched again.
    pub fn compared_finished(&mut self, same: bool, now: Instant) {
        if let Some(search) = &mut self.search {
            search.comparing = false;
        }
        if !same && self.is_here_already() {
            self.reject_finished();
        }
        self.handle_timeout(now);
    }

    /// When the session that asks has asked for too long.
    pub(super) fn search_due(&self) -> Option<Instant> {
        self.search.as_ref().and_then(|search| search.errand.as_ref()).map(|errand| errand.until)
    }

    /// Whether the session is asking, and not free for anything else.
    pub(super) fn is_asking(&self, id: SessionId) -> bool {
        self.search.as_ref().and_then(|search| search.errand.as_ref()).is_some_and(|errand| errand.id == id)
    }

    /// Sends a free session to ask, if one is to. Where there is none, one is opened if nothing else is left to do.
    pub(super) fn look_for_checksum(&mut self, now: Instant) {
        while self.search.as_ref().is_some_and(|search| !search.over && search.errand.is_none()) {
            // The mirror before this may have had its last say just now.
            let Some((id, mirror)) = self.session_to_ask() else { return self.call_for_checksum(now) };
            let Some((search, known)) = self.search.as_mut().zip(self.mirrors.get(mirror)) else { return };
            let left = search.patience;
            let new = || Hearing { lookup: Lookup::new(known.server.clone(), known.path.clone()), left };
            let until = now + search.hearings.entry(mirror).or_insert_with(new).left;
            search.errand = Some(Errand { id, mirror, until, asked: Vec::new(), answered: 0 });
            self.ask_on();
        }
    }

    /// A free session with the mirror to ask, if others see to the download meanwhile or have done so.
    fn session_to_ask(&self) -> Option<(SessionId, usize)> {
        let mirror = self.mirror_to_ask()?;
        let fetching = self.has_work_for_more();
        let free = |(id, connection): &(&SessionId, &Connection)| {
            // One on trial is to show what it can fetch.
            let spared = !fetching || !self.is_on_trial(connection.slot);
            connection.mirror == mirror && connection.is_free() && !self.asks_in_vain(**id) && spared
        };
        let (id, _) = self.connections.iter().find(free)?;
        let fetches = |(other, connection): (&SessionId, &Connection)| {
            other != id && connection.segment.is_some() && self.may_go_on(connection)
        };
        let spared = !fetching || self.connections.iter().any(fetches);
        (spared && self.dispute.is_none()).then_some((*id, mirror))
    }

    /// The first mirror that works and was not heard.
    fn mirror_to_ask(&self) -> Option<usize> {
        let works = |at: &usize| {
            self.connections.values().any(|connection| connection.mirror == *at && connection.is_ready())
        };
        self.unasked()
            .filter(|at| self.mirrors.get(*at).is_some_and(|known| self.has_shown_path(known)))
            .find(works)
    }

    /// Where nothing is to be done but the search, and nobody can ask: the mirror that is to have a session that can, once
    /// it is known that it has the file. One without a connection is left alone.
    pub(super) fn mirror_to_call(&self) -> Option<usize> {
        let search = self.search.as_ref()?;
        if search.over
            || search.errand.is_some()
            || self.has_work_for_more()
            || self.mirror_to_ask().is_some()
        {
            return None;
        }
        let connected = |at: &usize| self.slots.iter().any(|slot| slot.mirror == *at && !slot.withdrawn);
        self.unasked().find(connected)
    }

    /// Opens a session to that mirror, when it may be dialled and none is being opened.
    fn call_for_checksum(&mut self, now: Instant) {
        if let Some(mirror) = self.mirror_to_call().filter(|mirror| !self.is_tried(*mirror)) {
            self.call(mirror, now);
        }
    }

    /// Opens a session to a mirror that has none, if it may be dialled.
    pub(super) fn call(&mut self, mirror: usize, now: Instant) {
        let vacant = |slot: &Slot| slot.mirror == mirror && !slot.withdrawn && slot.sessions.is_empty();
        let Some(at) = self.slots.iter().position(vacant) else { return };
        let Some(address) = self.may_dial(mirror) else { return };
        if let Some(slot) = self.slots.get_mut(at) {
            // Whatever it was to wait for, it was not to be the only one.
            *slot = Slot::new(mirror);
        }
        self.open(at, mirror, address, now);
    }

    /// The mirrors that may yet have a checksum of the file.
    fn unasked(&self) -> impl Iterator<Item = usize> {
        let heard = |at: usize| self.search.as_ref().is_none_or(|search| search.heard.contains(&at));
        let asked = move |(at, known): &(usize, &Mirror)| {
            let has = known.verdict == Verdict::Unknown || self.has_shown_path(known);
            known.is_alive() && has && !heard(*at)
        };
        self.mirrors.iter().enumerate().filter(asked).map(|(at, _)| at)
    }

    /// Whether the mirror has the file, and it is known in which form it is to be asked for.
    fn has_shown_path(&self, known: &Mirror) -> bool {
        match known.verdict {
            Verdict::Agrees => true,
            // One that says nothing may not have it either; but where nobody says more, it may be empty, or was here before.
            Verdict::Abstains if known.fetched.is_empty() => {
                let agrees = |other: &Mirror| other.verdict == Verdict::Agrees;
                !self.has_work_for_more() && !self.mirrors.iter().any(agrees)
            }
            Verdict::Abstains => true,
            Verdict::Unknown | Verdict::Differs => false,
        }
    }

    /// Asks the next questions, or ends the errand if there are none.
    fn ask_on(&mut self) {
        let size = self.size;
        let Some(search) = &mut self.search else { return };
        let Some(errand) = &mut search.errand else { return };
        let Some(Hearing { lookup, .. }) = search.hearings.get_mut(&errand.mirror) else { return };
        let Some(connection) = self.connections.get_mut(&errand.id) else { return };
        let path = self.mirrors.get(errand.mirror).and_then(|known| known.path_in(connection.form));
        let Some(path) = path else { return };
        let requests = lookup.next_requests(&path, size);
        (errand.asked, errand.answered) = (Vec::new(), 0);
        for request in requests {
            let request_id = connection.next_request();
            errand.asked.push(request_id);
            if matches!(request, Request::Content { .. }) {
                // It takes up what was made ahead.
                connection.ahead = Ahead::None;
            }
            self.directives.push_back(Directive::Request(errand.id, request_id, request));
        }
        if errand.asked.is_empty() {
            self.end_errand();
        }
    }

    /// The mirror has nothing more to say.
    fn end_errand(&mut self) {
        let Some(search) = &mut self.search else { return };
        let Some(Errand { mirror, .. }) = search.errand.take() else { return };
        search.heard.insert(mirror);
        if let Some(found) = search.hearings.get_mut(&mirror).and_then(|hearing| hearing.lookup.take_found())
        {
            search.found = Some((mirror, found));
            self.end_search();
        }
    }

    fn end_search(&mut self) {
        let is_here_already = self.is_here_already();
        let Some(search) = &mut self.search else { return };
        search.over = true;
        if search.found.is_none() {
            // One whose session has ended before the last question may have answered all the same.
            let mut hearings = search.hearings.iter_mut();
            search.found =
                hearings.find_map(|(mirror, hearing)| Some((*mirror, hearing.lookup.take_found()?)));
        }
        search.comparing = is_here_already && search.found.is_some();
        self.directives.push_back(Directive::Found(search.found.as_ref().map(|(_, found)| found.clone())));
    }

    /// Takes an event if it answers what the session was asked for the search.
    pub(super) fn on_search_event(&mut self, id: SessionId, event: &Event) -> bool {
        let (request, answer) = match event {
            Event::Reply(request, reply) => (request, Some(Answer::Reply(reply))),
            Event::Refused(request, _, reply) => (request, Some(Answer::Refused(reply))),
            Event::Finished(request, finish) => (request, Some(Answer::Finished(finish))),
            Event::Started(request) => (request, None),
            _ => return false,
        };
        let Some(search) = &mut self.search else { return false };
        let Some(errand) = search.errand.as_mut().filter(|errand| errand.id == id) else { return false };
        let Some(at) = errand.asked.iter().position(|asked| asked == request) else { return false };
        let Some((answer, hearing)) = answer.zip(search.hearings.get_mut(&errand.mirror)) else {
            return true;
        };
        let lookup = &mut hearing.lookup;
        lookup.handle_answer(at, answer);
        errand.answered = errand.answered.saturating_add(1);
        let remarks = lookup.take_remarks();
        if errand.answered >= errand.asked.len() {
            self.ask_on();
        }
        self.tell(remarks);
        true
    }

    fn tell(&mut self, remarks: Vec<Remark>) {
        self.directives.extend(remarks.into_iter().map(Notice::Lookup).map(Directive::Notice));
    }

    /// More of a file that the session was asked for.
    pub(super) fn on_content(&mut self, id: SessionId, request: RequestId, bytes: &Bytes) {
        let Some(search) = &mut self.search else { return };
        let Some(errand) = search.errand.as_mut().filter(|errand| errand.id == id) else { return };
        let at = errand.asked.iter().position(|asked| *asked == request);
        if let Some((at, hearing)) = at.zip(search.hearings.get_mut(&errand.mirror)) {
            hearing.lookup.handle_answer(at, Answer::Content(bytes));
        }
    }

    /// The session has ended. If it was asking, another one may go on where it was. Whether it was.
    pub(super) fn interrupt_search(&mut self, id: SessionId, now: Instant) -> bool {
        let Some(search) = &mut self.search else { return false };
        let Some(errand) = search.errand.take_if(|errand| errand.id == id) else { return false };
        let Some(hearing) = search.hearings.get_mut(&errand.mirror) else { return true };
        hearing.lookup.handle_session_end();
        hearing.left = errand.until.since(now);
        let remarks = hearing.lookup.take_remarks();
        let over = hearing.left.is_zero() && search.heard.insert(errand.mirror);
        self.tell(remarks);
        if over {
            self.warn_of_slow_search(errand.mirror);
        }
        true
    }

    /// Ends an errand that takes too long.
    pub(super) fn limit_search(&mut self, now: Instant) {
        let Some(errand) = self.search.as_ref().and_then(|search| search.errand.as_ref()) else { return };
        if errand.until > now {
            return;
        }
        let (id, mirror) = (errand.id, errand.mirror);
        self.warn_of_slow_search(mirror);
        self.end_errand();
        self.close(id);
    }

    fn warn_of_slow_search(&mut self, mirror: usize) {
        let server = self.mirrors.get(mirror).map(|known| known.server.clone()).unwrap_or_default();
        self.notify(Notice::LookupTooSlow { server });
    }

    /// Whether the end of the download has to wait for what is being looked for. If nobody is left to ask, that is the end
    /// of the search.
    pub(super) fn waits_for_search(&mut self) -> bool {
        let Some(search) = &self.search else { return false };
        let may_ask = self.mirror_to_ask().is_some() || self.mirror_to_call().is_some();
        if search.over || search.errand.is_some() || may_ask {
            return search.comparing || !search.over;
        }
        self.end_search();
        false
    }

    /// What the mirror has said is of another file, or may be.
    pub(super) fn forget_found(&mut self, mirror: usize) {
        let Some(search) = &mut self.search else { return };
        search.heard.insert(mirror);
        search.hearings.remove(&mirror);
        if search.found.take_if(|(of, _)| *of == mirror).is_some() {
            search.over = false;
        }
        let asking = search.errand.as_ref().filter(|errand| errand.mirror == mirror).map(|errand| errand.id);
        if let Some(id) = asking {
            self.close(id);
        }
    }

    /// The file is another one: everybody is asked anew.
    pub(super) fn search_anew(&mut self) {
        let Some(search) = &mut self.search else { return };
        let asking = search.errand.as_ref().map(|errand| errand.id);
        *search = Search::new(search.patience);
        if let Some(id) = asking {
            self.close(id);
        }
    }
}
