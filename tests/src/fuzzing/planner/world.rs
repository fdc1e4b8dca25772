//! A planner and all that it moves.

use super::super::trace;
use super::mirror::{Mirror, Session, Stage, Told};
use super::{Op, Setup, absurd, millis};
use ftp_proto::{Arg, Config, Error, Event, Instant, Report, Request, RequestId, SessionId, Type, Until};
use pftp::exit::Failure;
use pftp::plan::{Directive, MirrorId, Planner, RangeSet, Settings, Source};
use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::ops::Range;

/// What the planner knows of a session, as far as that can be told from outside.
#[derive(Debug)]
struct Known {
    thread: usize,
    connected: bool,
    /// The planner has closed it.
    closing: bool,
    transfer: Option<Transfer>,
}

/// The transfer that a session was given.
#[derive(Debug)]
struct Transfer {
    request: RequestId,
    /// Which part of the file it is to fetch.
    range: Range<u64>,
    /// It was asked for before the size was known.
    unsized_: bool,
}

/// A planner, its mirrors, and what it has been told.
#[derive(Debug)]
pub(super) struct World {
    planner: Planner,
    mirrors: Vec<Mirror>,
    connections: usize,
    /// The file of each version.
    files: Vec<Vec<u8>>,
    sessions: Vec<Session>,
    known: BTreeMap<SessionId, Known>,
    last: Option<SessionId>,
    unresolved: VecDeque<MirrorId>,
    now: Instant,
    sink: Vec<u8>,
    /// What was written by sessions that count, as far as the planner has heard.
    counted: RangeSet,
    /// Something went wrong that may end a download.
    faults: bool,
    /// Reports were made up.
    lies: bool,
    /// From now on two may fetch the same: one fetches the whole file because a mirror cannot restart; or two were given
    /// all of it while addresses were tried against each other, and each leaves all of it.
    shared: bool,
    /// The planner was misled about a transfer that runs, and may wait for what does not come.
    endless: bool,
    result: Option<Result<u64, Failure>>,
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
            in_order: setup.in_order,
            representation: if setup.ascii { Type::Ascii } else { Type::Image },
            seed: 1,
        };
        let mut world = Self {
            planner: Planner::new(settings, Instant::ZERO),
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
            shared: false,
            endless: false,
            result: None,
        };
        world.obey();
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
            Op::Wait => self.pass(self.planner.poll_timeout().unwrap_or(self.now).max(self.now)),
            Op::Resolve(which, how) => self.resolve(which, how),
            Op::Absurd(session, what, one, two) => {
                (self.lies, self.faults) = (true, true);
                let report = absurd::report(session, what, one, two);
                self.endless |= self.misleads(&report);
                self.tell(&report);
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

    /// From now on nothing goes wrong any more. The download has to end.
    pub(super) fn come_to_an_end(mut self) {
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
                let Some(due) = self.planner.poll_timeout() else { break };
                self.pass(due.max(self.now));
            }
        }
        if self.endless {
            return;
        }
        let result = self.result.expect("a download without an end");
        assert!(self.faults || result.is_ok(), "it failed for nothing: {result:?}");
    }

    /// Each session does one thing and what it has to say is heard; whether there was anything.
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

    /// The planner hears one report of a session.
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
        self.planner.handle(report, self.now);
        self.obey();
    }

    /// What the report changes in what the planner can know.
    fn note(&mut self, report: &Told) {
        match report {
            Report::Written(id, range) => {
                let counts = |known: &&Known| !known.closing && known.transfer.is_some();
                if self.known.get(id).filter(counts).is_some() {
                    self.counted.insert(range.clone());
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

    /// Whether a made-up report is about what a session is fetching; any other is to change nothing of that.
    fn misleads(&self, report: &Told) -> bool {
        let (Report::Event(id, _) | Report::Written(id, _) | Report::Lead(id, ..) | Report::Sink(id, _)) =
            report;
        let Some(known) = self.known.get(id) else { return false };
        match report {
            Report::Event(_, Event::Finished(request, _) | Event::Refused(request, ..)) => {
                known.transfer.as_ref().is_some_and(|transfer| transfer.request == *request)
            }
            Report::Event(..) => false,
            _ => true,
        }
    }

    fn pass(&mut self, now: Instant) {
        self.now = now;
        self.planner.handle_timeout(now);
        self.obey();
        let due = self.planner.poll_timeout();
        assert!(self.is_over() || due.is_none_or(|due| due > now), "a deadline stays due for ever");
    }

    fn resolve(&mut self, which: u8, how: u8) {
        let Some(at) = usize::from(which).checked_rem(self.unresolved.len()) else { return };
        if let Some(id) = self.unresolved.remove(at) {
            self.resolved(id, how);
        }
    }

    fn resolved(&mut self, id: MirrorId, how: u8) {
        self.faults |= how >= 0xf0;
        let found = match how {
            0xff => Err("no such host".to_owned()),
            0xf0.. => Ok(Vec::new()),
            _ => Ok(self.mirrors[id.0].addresses.clone()),
        };
        self.planner.resolved(id, found, self.now);
        self.obey();
    }

    /// Does what the planner wants done.
    fn obey(&mut self) {
        while let Some(directive) = self.planner.poll() {
            trace(|| match &directive {
                Directive::Open { id, thread, peer, .. } => format!("-> Open {id:?} {thread} {peer}"),
                other => format!("-> {other:?}"),
            });
            if self.is_over() {
                // Nobody looks at what comes then; but it is no more work.
                let over = matches!(directive, Directive::Warn(_) | Directive::Close(_));
                assert!(over, "after the end: {directive:?}");
                continue;
            }
            match directive {
                Directive::Resolve(id) => self.unresolved.push_back(id),
                Directive::Open { id, thread, peer, config } => {
                    let of = |mirror: &Mirror| mirror.addresses.contains(&peer);
                    let mirror = self.mirrors.iter().position(of).expect("an address of a mirror");
                    assert!(self.last < Some(id), "a session is named twice");
                    assert!((1..=self.connections).contains(&thread));
                    self.last = Some(id);
                    self.sessions.push(Session::new(id, mirror, config.lead));
                    self.known.insert(id, Known { thread, connected: false, closing: false, transfer: None });
                }
                Directive::Request(id, request_id, request) => self.request(id, request_id, request),
                Directive::Shrink(id, request, until) => self.shrink(id, request, until),
                Directive::Close(id) => self.close(id),
                Directive::Compare(id, offset, bytes) => {
                    let part = usize::try_from(offset)
                        .ok()
                        .and_then(|start| self.sink.get(start..)?.get(..bytes.len()));
                    let same = part == Some(&bytes[..]);
                    self.planner.compared(id, same, self.now);
                }
                Directive::Warn(message) => super::super::reply::check_shown(&message),
                Directive::Finish(result) => self.finish(result),
            }
        }
        self.check();
    }

    fn request(&mut self, id: SessionId, request_id: RequestId, request: Request) {
        if let Request::Retrieve(part) = &request {
            let gets_all = |known: &Known| known.transfer.as_ref().is_some_and(|transfer| transfer.unsized_);
            self.shared |= part.until == Until::Eof && self.known.values().any(gets_all);
            let known = self.known.get_mut(&id).expect("work for a session that is known");
            assert!(!known.closing, "work for a session that was closed");
            assert!(known.transfer.is_none(), "a second transfer");
            assert!(part.offset <= part.until.end());
            let (range, unsized_) = (part.offset..part.until.end(), part.until == Until::Eof);
            known.transfer = Some(Transfer { request: request_id, range, unsized_ });
        }
        if let Some(session) = self.session(id) {
            session.request(request_id, request);
        }
    }

    fn shrink(&mut self, id: SessionId, request: RequestId, until: Until) {
        if let Some(transfer) = self.known.get_mut(&id).and_then(|known| known.transfer.as_mut()) {
            transfer.range.end = until.end().max(transfer.range.start);
        }
        if let Some(session) = self.session(id) {
            session.shrink(request, until);
        }
    }

    fn close(&mut self, id: SessionId) {
        if let Some(known) = self.known.get_mut(&id) {
            assert!(!std::mem::replace(&mut known.closing, true), "closed twice");
        }
        if let Some(session) = self.session(id) {
            session.end(Error::Quit);
        }
    }

    fn session(&mut self, id: SessionId) -> Option<&mut Session> {
        self.sessions.iter_mut().find(|session| session.id == id)
    }

    fn finish(&mut self, result: Result<u64, Failure>) {
        match &result {
            Ok(size) => {
                assert!(self.counted.contains(&(0..*size)), "{size} bytes, of which not all have come");
                if !self.lies {
                    let same = self.sink.get(..self.files[0].len()) == Some(&self.files[0][..]);
                    assert!(
                        *size == self.files[0].len() as u64 && same,
                        "{size} bytes, and not those of the file"
                    );
                }
            }
            Err(failure) => super::super::reply::check_shown(&failure.to_string()),
        }
        self.result = Some(result);
    }

    fn check(&self) {
        for range in self.planner.done().iter() {
            assert!(self.counted.contains(&range), "{range:?} counts, and nobody wrote it");
        }
        self.check_connections();
        self.check_apart();
    }

    /// A connection has one session; while addresses are tried against each other, one for each of them.
    fn check_connections(&self) {
        let addresses = self.mirrors.iter().map(|mirror| mirror.addresses.len()).max().unwrap_or(1);
        for thread in 1..=self.connections {
            let of_it = || self.known.values().filter(|known| known.thread == thread);
            assert!(of_it().count() <= addresses, "{} sessions of connection {thread}", of_it().count());
            let got_through = of_it().filter(|known| known.connected && !known.closing).count();
            assert!(got_through <= 1, "{got_through} sessions of connection {thread} got through");
        }
    }

    /// Where nobody lies no two sessions fetch the same: of a mirror that was found out all is fetched again. Sessions of
    /// one connection may: they try addresses against each other. So may one that began before the size was known and
    /// another: what the first of them leaves is not known either.
    fn check_apart(&self) {
        if self.lies || self.shared || self.is_over() {
            return;
        }
        let transfers: Vec<(usize, &Transfer)> = self
            .known
            .values()
            .filter(|known| !known.closing)
            .filter_map(|known| Some((known.thread, known.transfer.as_ref()?)))
            .filter(|(_, transfer)| !transfer.unsized_ && !transfer.range.is_empty())
            .collect();
        for (at, (thread, one)) in transfers.iter().enumerate() {
            for (other, two) in &transfers[at + 1..] {
                let apart = one.range.end <= two.range.start || two.range.end <= one.range.start;
                assert!(apart || thread == other, "{:?} and {:?} at once", one.range, two.range);
            }
        }
    }
}

/// Rounds in which a download has to end: many more than the largest file takes.
const PATIENCE: usize = 20_000;
