//! Running transfers: their ends are moved, they are cut short, and they are extended.

use super::super::directive::Directive;
use super::super::ids::FileId;
use super::super::offers::{self, Extension};
use super::super::pool::session::{Pending, Session, Transfer};
use super::Fetcher;
use ftp_proto::{Command, Request, SessionId, Until};
use std::ops::Range;

impl Fetcher {
    /// A session is about to overwrite this range: the journal must drop bytes that it names there, so that a later run does not
    /// trust them.
    pub(super) fn about_to_write(&mut self, id: FileId, range: Range<u64>) {
        let missing = self.files[id].ledger.missing(range.clone());
        if !range.is_empty() && !missing.contains(&range) {
            self.out.push(Directive::Retract(id));
        }
    }

    /// How a transfer that goes to `end` ends.
    pub(super) fn until(&self, id: FileId, end: u64) -> Until {
        if self.files[id].ledger.size() == Some(end) { Until::Size(end) } else { Until::Offset(end) }
    }

    /// Moves the end of a session's transfer.
    pub(super) fn set_end(&mut self, id: SessionId, until: Until) {
        let Some(transfer) = self.pool.sessions[id].transfer_mut() else { return };
        let (file, request) = (transfer.file, transfer.request);
        let before = std::mem::replace(&mut transfer.until, until);
        self.about_to_write(file, before.end()..until.end());
        self.out.push(Directive::SetEnd(id, request, until));
    }

    /// Queues what is left of a transfer that has ended.
    pub(super) fn release(&mut self, transfer: &Transfer) {
        let file = &mut self.files[transfer.file];
        if !file.is_ascii() {
            file.ledger.release(transfer.at..transfer.until.end());
        }
    }

    /// If no mirror of the file understands REST, the one transfer that runs from the start fetches all of it.
    pub(super) fn extend_only_transfer(&mut self, id: FileId) {
        let Some(size) = self.files[id].ledger.size() else { return };
        if self.files[id].has_restarting_mirror(&self.pool.servers) {
            return;
        }
        let whole = |session: &Session| {
            !session.is_closing() && session.transfer_of(id).is_some_and(|transfer| transfer.start == 0)
        };
        let first = self.pool.sessions.iter().find(|(_, session)| whole(session)).map(|(id, _)| id);
        if let Some(session) = first {
            self.files[id].ledger.set_queue(Vec::new());
            self.set_end(session, Until::Size(size));
        }
    }

    /// Ends transfers of which others have brought everything that was left.
    pub(super) fn end_beaten(&mut self, id: FileId) {
        let Some(size) = self.files[id].ledger.size() else { return };
        let end_seen = self.files[id].end_seen;
        let mut beaten = Vec::new();
        for (session, known) in self.pool.sessions.iter().filter(|(_, known)| !known.is_closing()) {
            let Some(transfer) = known.transfer_of(id).filter(|it| !it.is_vote() && !it.is_cut) else {
                continue;
            };
            // A session whose server does not understand REST can show the end by nothing less than the whole file.
            let for_end = !end_seen && !self.pool.servers[known.server].restarts;
            let left = transfer.at..transfer.until.end().min(size);
            if !for_end && !left.is_empty() && self.files[id].ledger.has(&left) {
                beaten.push((session, transfer.at, known.rate.expected(1, self.now) == 0));
            }
        }
        for (session, at, _) in &beaten {
            self.cut_off(*session, *at);
        }
        for (session, ..) in beaten.iter().filter(|(_, _, is_silent)| *is_silent) {
            self.check(*session);
        }
    }

    /// Asks for a sign of life before the session gets another task.
    fn check(&mut self, id: SessionId) {
        let request = self.pool.sessions[id].expect(Pending::Liveness);
        self.out.push(Directive::Request(id, request, Request::Command(Command::Noop)));
    }

    /// Others fetch what follows from `start` on. A silent session is asked for a sign of life.
    pub(super) fn shorten(&mut self, victim: SessionId, start: u64, rate: u64) {
        self.set_end(victim, Until::Offset(start));
        if rate == 0 {
            self.check(victim);
        }
    }

    /// Extends transfers that are about to end over the range behind them.
    pub(super) fn extend(&mut self, id: FileId) {
        for (session, end) in self.view(id, offers::ending) {
            let end = match self.view(id, |view| offers::extension(view, end)) {
                Some(Extension::Queued(at)) => self.files[id].ledger.take_queued(at).map(|range| range.end),
                Some(Extension::Silent { victim, end: behind }) => {
                    self.shorten(victim, end, 0);
                    Some(behind)
                }
                None => None,
            };
            if let Some(end) = end {
                self.set_end(session, self.until(id, end));
            }
        }
    }
}
