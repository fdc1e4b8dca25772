//! An engine, its mirrors and their sessions.

use super::super::trace;
use super::mirror::{Mirror, Session, Stage, Told};
use super::{Op, Setup, absurd, millis};
use crate::sim::{Settings, Source};
use ftp_proto::{
    Arg, Config, Event, Instant, Report, RepresentationType, Request, RequestId, SessionError, SessionId,
    Until,
};
use pftp::EngineError;
use pftp::Origin;
use pftp::engine::{Directive, Earlier, Fetcher, FileId, ServerId};
use pftp::ranges::RangeSet;
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::ops::Range;

/// A session as the engine must know it, judged from outside.
#[derive(Debug)]
struct Known {
    thread: usize,
    mirror: usize,
    connected: bool,
    /// Whether the engine has closed the session.
    closing: bool,
    transfer: Option<Transfer>,
}

/// The transfer that a session was given.
#[derive(Debug)]
struct Transfer {
    request: RequestId,
    /// The range of the file that it fetches.
    range: Range<u64>,
    /// The position that the engine has been told.
    at: u64,
    /// Whether it was requested before the size was known, and its end was not set since.
    unsized_: bool,
}

impl Transfer {
    fn left(&self) -> Range<u64> {
        self.at..self.range.end
    }

    fn meets(&self, part: &Range<u64>) -> bool {
        let left = self.left();
        !left.is_empty() && !part.is_empty() && left.start < part.end && part.start < left.end
    }
}

/// An engine, its mirrors, and what it was told.
#[derive(Debug)]
pub(super) struct World {
    engine: Fetcher,
    file: FileId,
    mirrors: Vec<Mirror>,
    connections: usize,
    /// The contents of each version.
    files: Vec<Vec<u8>>,
    sessions: Vec<Session>,
    known: BTreeMap<SessionId, Known>,
    last: Option<SessionId>,
    unresolved: VecDeque<ServerId>,
    now: Instant,
    sink: Vec<u8>,
    /// Ranges written by sessions that count, as far as the engine was told.
    counted: RangeSet,
    /// Whether a failure happened that may fail the download.
    faults: bool,
    /// Whether a mirror has another file, or reports were made up.
    lies: bool,
    /// Whether reports were made up.
    made_up: bool,
    /// Whether one session fetches the whole file beside sessions with ranges, because a mirror cannot
    /// restart.
    shared: bool,
    /// Whether one connection fetches everything.
    single: bool,
    /// Whether a checksum is looked up, and whether the end of the lookup was reported.
    searching: bool,
    searched: bool,
    result: Option<Result<u64, EngineError>>,
}

impl World {
    pub(super) fn new(setup: &Setup) -> Self {
        let source = |mirror: &Mirror| Source {
            server: mirror.addresses.first().map(ToString::to_string).unwrap_or_default(),
            path: Arg::new(&b"pub/file"[..]).expect("a path"),
            config: Config::default(),
            connections: 1,
        };
        let settings = Settings {
            sources: setup.mirrors.iter().map(source).collect(),
            connections: NonZeroUsize::new(setup.connections.max(1)).expect("at least one"),
            begin_with: NonZeroUsize::new(setup.begin_with).expect("at least one"),
            retries: setup.retries,
            min_segment: setup.min_segment,
            min_tail: setup.min_segment,
            in_order: setup.in_order,
            representation: if setup.ascii { RepresentationType::Ascii } else { RepresentationType::Image },
            seed: 1,
            earlier: Earlier::default(),
            lookup: setup.searching.then_some(millis(60_000)),
        };
        let (engine, file) = settings.start(Instant::ZERO);
        let mut world = Self {
            engine,
            file,
            mirrors: setup.mirrors.clone(),
            connections: setup.connections.max(1),
            files: (0..3).map(|version| Mirror::content(version, setup.size)).collect(),
            sessions: Vec::new(),
            known: BTreeMap::new(),
            last: None,
            unresolved: VecDeque::new(),
            now: Instant::ZERO,
            sink: Vec::new(),
            counted: RangeSet::new(),
            faults: setup.mirrors.iter().any(|mirror| !mirror.is_plain()) || setup.mirrors.is_empty(),
            lies: setup.mirrors.iter().any(|mirror| mirror.version() != 0),
            made_up: false,
            shared: false,
            single: setup.in_order || setup.ascii,
            searching: setup.searching,
            searched: false,
            result: None,
        };
        world.carry_out();
        world
    }

    pub(super) const fn is_over(&self) -> bool {
        self.result.is_some()
    }

    pub(super) fn play(&mut self, op: &Op) {
        match *op {
            Op::Step(which) => {
                self.pick(which).map(|at| self.step(at, 1000));
            }
            Op::Hear(which) => {
                self.pick(which).map(|at| self.hear(at));
            }
            Op::Advance(which, times) => {
                for _ in 0..times % 16 {
                    let Some(at) = self.pick(which) else { break };
                    self.step(at, 3000);
                    self.hear(at);
                }
            }
            Op::AdvanceAll => {
                self.advance_all();
            }
            Op::Pass(time) => self.pass(self.now + millis(u64::from(time))),
            Op::Wait => self.pass(self.engine.poll_timeout().unwrap_or(self.now).max(self.now)),
            Op::Resolve(which, how) => self.resolve(which, how),
            Op::Absurd(session, what, one, two) => {
                (self.lies, self.faults, self.made_up) = (true, true, true);
                self.tell(&absurd::report(session, what, one, two));
            }
            Op::Break(which, _) | Op::Refuse(which, _) | Op::Shorten(which, _) => {
                self.faults = true;
                let Some(at) = self.pick(which) else { return };
                let session = &mut self.sessions[at];
                match *op {
                    Op::Break(_, how) => session.end(absurd::error(how)),
                    Op::Refuse(_, how) => {
                        let (verb, words) = absurd::refusal(how);
                        session.refuse(verb, words);
                    }
                    Op::Shorten(_, how) => session.shorten(absurd::early(how)),
                    _ => {}
                }
            }
        }
    }

    /// Lets nothing go wrong any more. The download has to end.
    pub(super) fn end_without_failures(mut self) {
        while let Some(id) = self.unresolved.pop_front() {
            self.resolved(id, 0);
        }
        for _ in 0..PATIENCE {
            if self.is_over() {
                break;
            }
            if self.advance_all() {
                self.pass(self.now + millis(10));
            } else {
                let Some(due) = self.engine.poll_timeout() else { break };
                self.pass(due.max(self.now));
            }
        }
        let result = self.result.expect("a download without an end");
        assert!(self.faults || result.is_ok(), "it failed for nothing: {result:?}");
    }

    /// Lets each session take a step, and the engine handle its report. Returns whether there was any.
    fn advance_all(&mut self) -> bool {
        let ids: Vec<SessionId> = self.sessions.iter().map(|session| session.id).collect();
        let mut any = false;
        for id in ids {
            if let Some(at) = self.place(id) {
                any |= self.step(at, self.files[0].len() / 8 + 2048);
            }
            while let Some(at) = self.place(id).filter(|_| !self.is_over()) {
                if !self.hear(at) {
                    break;
                }
                any = true;
            }
        }
        any
    }

    fn place(&self, id: SessionId) -> Option<usize> {
        self.sessions.iter().position(|session| session.id == id)
    }

    fn pick(&self, which: u8) -> Option<usize> {
        usize::from(which).checked_rem(self.sessions.len())
    }

    fn step(&mut self, at: usize, most: usize) -> bool {
        let session = &mut self.sessions[at];
        let mirror = &self.mirrors[session.mirror];
        let file = &self.files[usize::from(mirror.version())];
        let Some(write) = session.step(mirror, file, most) else { return false };
        if let Some((offset, bytes)) = write {
            let start = usize::try_from(offset).expect("an offset in memory");
            let end = start + bytes.len();
            self.sink.resize(self.sink.len().max(end), 0);
            self.sink[start..end].copy_from_slice(&bytes);
        }
        true
    }

    /// Lets the engine handle one report of a session.
    fn hear(&mut self, at: usize) -> bool {
        let Some(report) = self.sessions[at].unheard.pop_front() else { return false };
        if self.sessions[at].stage == Stage::Ended && self.sessions[at].unheard.is_empty() {
            self.sessions.remove(at);
        }
        self.tell(&report);
        true
    }

    fn tell(&mut self, report: &Told) {
        trace(|| format!("{:?} {report:?}", self.now.0));
        self.note(report);
        self.engine.handle(report, self.now);
        self.carry_out();
    }

    /// Notes what the engine must know after this report.
    fn note(&mut self, report: &Told) {
        match report {
            Report::Written(id, _, range) => {
                let counts = |known: &&Known| !known.closing && known.transfer.is_some();
                if self.known.get(id).filter(counts).is_some() {
                    self.counted.insert(range.clone());
                }
                if let Some(transfer) = self.known.get_mut(id).and_then(|known| known.transfer.as_mut()) {
                    transfer.at = transfer.at.max(range.end);
                }
            }
            Report::Event(id, Event::Closed(_)) => {
                self.known.remove(id);
            }
            Report::Event(id, Event::Connected) => {
                if let Some(known) = self.known.get_mut(id) {
                    known.connected = true;
                }
            }
            Report::Event(id, Event::Finished(request, _) | Event::Refused(request, ..)) => {
                if let Report::Event(_, Event::Refused(_, ftp_proto::Verb::Rest, _)) = report {
                    self.shared = true;
                }
                if let Some(known) = self.known.get_mut(id) {
                    known.transfer.take_if(|running| running.request == *request);
                }
            }
            _ => {}
        }
    }

    fn pass(&mut self, now: Instant) {
        self.now = now;
        self.engine.handle_timeout(now);
        self.carry_out();
        let due = self.engine.poll_timeout();
        assert!(self.is_over() || due.is_none_or(|due| due > now), "a deadline stays due for ever");
    }

    fn resolve(&mut self, which: u8, how: u8) {
        let Some(at) = usize::from(which).checked_rem(self.unresolved.len()) else { return };
        if let Some(id) = self.unresolved.remove(at) {
            self.resolved(id, how);
        }
    }

    fn resolved(&mut self, id: ServerId, how: u8) {
        self.faults |= how >= 0xf0;
        let found = match how {
            0xff => Err("no such host".to_owned()),
            0xf0.. => Ok(Vec::new()),
            _ => Ok(self.mirrors[id.0].addresses.clone()),
        };
        self.engine.resolved(id, found, self.now);
        self.carry_out();
    }

    /// Carries out the engine's directives.
    fn carry_out(&mut self) {
        while let Some(directive) = self.engine.poll() {
            trace(|| match &directive {
                Directive::Open { id, connection, address, .. } => {
                    format!("-> Open {id:?} {connection} {address}")
                }
                other => format!("-> {other:?}"),
            });
            assert!(!self.is_over(), "after the end: {directive:?}");
            match directive {
                Directive::Resolve(id) => self.unresolved.push_back(id),
                Directive::Open { id, connection: thread, address: peer, .. } => {
                    let of = |mirror: &Mirror| mirror.addresses.contains(&peer);
                    let mirror = self.mirrors.iter().position(of).expect("an address of a mirror");
                    assert!(self.last < Some(id), "a session is named twice");
                    assert!((1..=self.connections).contains(&thread));
                    self.last = Some(id);
                    self.sessions.push(Session::new(id, mirror));
                    let (connected, closing, transfer) = (false, false, None);
                    self.known.insert(id, Known { thread, mirror, connected, closing, transfer });
                }
                Directive::Request(id, request_id, request) => self.request(id, request_id, request),
                Directive::Retrieve(id, request_id, _, part) => {
                    self.request(id, request_id, Request::Retrieve(part));
                }
                Directive::SetEnd(id, request, until) => self.set_end(id, request, until),
                Directive::Close(id) => self.close(id),
                Directive::Compare(file, id, offset, bytes) => {
                    let part = usize::try_from(offset)
                        .ok()
                        .and_then(|start| self.sink.get(start..)?.get(..bytes.len()));
                    let same = part == Some(&bytes[..]);
                    self.engine.compared(file, id, same, self.now);
                }
                Directive::Found(file, found) => {
                    assert!(
                        self.searching
                            && found.is_none_or(|found| found.origin == Origin::List(b"CHECKSUMS".into()))
                    );
                    self.searched = true;
                    self.engine.compared_finished(file, true, self.now);
                }
                Directive::Retract(_) => {}
                Directive::Notice(notice) => super::super::reply::check_shown(&notice.to_string()),
                Directive::Done(_, result) => self.finish(result),
            }
        }
        self.check();
    }

    fn request(&mut self, id: SessionId, request_id: RequestId, request: Request) {
        if let Request::Retrieve(part) = &request {
            self.check_copy(id, part.offset..part.until.end(), part.until == Until::Eof);
            let known = self.known.get_mut(&id).expect("work for a session that is known");
            assert!(!known.closing, "work for a session that was closed");
            assert!(known.transfer.is_none(), "a second transfer");
            assert!(part.offset <= part.until.end());
            let (range, unsized_) = (part.offset..part.until.end(), part.until == Until::Eof);
            known.transfer = Some(Transfer { request: request_id, at: range.start, range, unsized_ });
        }
        if let Some(session) = self.session(id) {
            session.request(request_id, request);
        }
    }

    fn set_end(&mut self, id: SessionId, request: RequestId, until: Until) {
        if let Some(transfer) = self.known.get_mut(&id).and_then(|known| known.transfer.as_mut()) {
            transfer.range.end = until.end().max(transfer.range.start);
            transfer.unsized_ = until == Until::Eof;
        }
        if let Some(session) = self.session(id) {
            session.set_end(request, until);
        }
    }

    fn close(&mut self, id: SessionId) {
        if let Some(known) = self.known.get_mut(&id) {
            assert!(!std::mem::replace(&mut known.closing, true), "closed twice");
        }
        if let Some(session) = self.session(id) {
            session.end(SessionError::Quit);
        }
    }

    fn session(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }

    fn finish(&mut self, result: Result<u64, EngineError>) {
        match &result {
            Ok(size) => {
                assert_eq!(self.searched, self.searching, "an end before that of the search");
                assert!(self.counted.contains(&(0..*size)), "{size} bytes, of which not all have come");
                if !self.lies {
                    let same = self.sink.get(..self.files[0].len()) == Some(&self.files[0][..]);
                    assert!(
                        *size == self.files[0].len() as u64 && same,
                        "{size} bytes, and not those of the file"
                    );
                }
            }
            Err(error) => super::super::reply::check_shown(&error.to_string()),
        }
        self.result = Some(result);
    }

    fn check(&self) {
        for range in self.engine.status(self.file).done().iter() {
            assert!(self.counted.contains(&range), "{range:?} counts, and nobody wrote it");
        }
        self.check_connections();
        self.check_apart();
    }

    /// A connection has one session. While addresses of one mirror are tried side by side, it has one for
    /// each address, and only one connection of the mirror does that.
    fn check_connections(&self) {
        let mut trying = Vec::new();
        for thread in 1..=self.connections {
            let of_it = || self.known.values().filter(|known| known.thread == thread && !known.closing);
            let got_through = of_it().filter(|known| known.connected).count();
            assert!(got_through <= 1, "{got_through} sessions of connection {thread} got through");
            if let Some(first) = of_it().next().filter(|_| of_it().count() > 1) {
                let addresses = self.mirrors[first.mirror].addresses.len();
                assert!(of_it().count() <= addresses, "{} sessions of connection {thread}", of_it().count());
                assert!(of_it().all(|known| known.mirror == first.mirror));
                assert!(!trying.contains(&first.mirror), "addresses are tried in two connections");
                trying.push(first.mirror);
            }
        }
    }

    /// Returns what sessions that are not being closed have left to fetch.
    fn transfers(&self) -> impl Iterator<Item = (SessionId, usize, &Transfer)> {
        let known = self.known.iter().filter(|(_, known)| !known.closing);
        known.filter_map(|(id, known)| Some((*id, known.thread, known.transfer.as_ref()?)))
    }

    /// A session is given a range that no other session fetches, or a copy of what one other has left, from
    /// its position or later up to the same end. In order, and in ASCII, nothing is copied. Sessions of one
    /// connection that try addresses side by side all ask for the whole file.
    fn check_copy(&self, id: SessionId, part: Range<u64>, unsized_: bool) {
        if self.made_up || self.shared {
            return;
        }
        let thread = self.known.get(&id).map(|known| known.thread);
        let beside = |(_, other, transfer): &(SessionId, usize, &Transfer)| {
            transfer.meets(&part) && !(unsized_ && transfer.unsized_ && Some(*other) == thread)
        };
        let others: Vec<&Transfer> =
            self.transfers().filter(beside).map(|(_, _, transfer)| transfer).collect();
        assert!(others.len() <= 1, "{part:?} beside {others:?}");
        for other in others {
            assert!(!self.single, "{part:?} is copied: {other:?}");
            let copy = other.range.end == part.end && part.start >= other.at;
            assert!(copy, "{part:?} is no copy of what is left of {other:?}");
        }
    }

    /// No three sessions fetch the same byte; if one connection fetches everything, no two do.
    fn check_apart(&self) {
        if self.made_up || self.shared || self.is_over() {
            return;
        }
        let most = if self.single { 1 } else { 2 };
        let transfers: Vec<_> = self.transfers().collect();
        for (_, thread, one) in &transfers {
            // If transfers share a byte, one of them begins with a shared byte.
            let first = one.at..one.at.saturating_add(1).min(one.range.end);
            let rival = |other: &usize, two: &Transfer| other == thread && two.unsized_ && one.unsized_;
            let meets = |(_, other, two): &&(SessionId, usize, &Transfer)| {
                two.meets(&first) && (std::ptr::eq(*one, *two) || !rival(other, two))
            };
            let same: Vec<_> = transfers.iter().filter(meets).collect();
            assert!(same.len() <= most, "at once: {same:?}");
        }
    }
}

/// Rounds in which a download has to end: many more than the largest file takes.
const PATIENCE: usize = 20_000;
