//! The engine without servers: a test says what sessions report, and sees what the engine wants done.
//!
//! Only this module knows the engine's types.

use ftp_proto::{
    Command, Event, Facts, Features, Finish, Instant, Reply, ReplyParser, Report, Request, RequestId,
    Retrieve, SessionError, SessionId, TimeVal, Until, Verb,
};
use pftp::ErrorKind;
use pftp::engine::{ComparisonId, Directive, Fetcher, FileId, ServerId};
use pftp::{MirrorFault, Notice};
use pftp_tests::sim::{Settings, settings};
use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::time::Duration;

/// Bytes of the file.
pub(super) const SIZE: u64 = 8 << 20;

/// Bytes that a transfer from the middle of the file fetches before its range, to compare them.
pub(super) const OVERLAP: u64 = 4096;

/// The second request to a session, for its first range.
pub(super) const FIRST_RANGE: RequestId = RequestId(2);

/// Two modification times.
pub(super) const OLD: &str = "20240229123456";
pub(super) const NEW: &str = "20240503000000";

/// Returns the address of the mirror with this number, from 1.
pub(super) fn server(mirror: u8) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, mirror], 21))
}

fn instant(millis: u64) -> Instant {
    Instant(Duration::from_millis(millis))
}

/// An engine that has dialled its sessions.
pub(super) struct Harness {
    engine: Fetcher,
    file: FileId,
    /// Milliseconds since the start.
    now: u64,
    /// Directives that the test has not taken.
    directives: Vec<Directive>,
    /// The last request for facts, and the last range, that each session was given.
    facts: BTreeMap<SessionId, RequestId>,
    ranges: BTreeMap<SessionId, RequestId>,
}

impl Harness {
    /// A download from so many mirrors over so many connections, whose sessions are being dialled. The sessions of the first
    /// mirror have the first numbers.
    pub(super) fn new(mirrors: u8, connections: usize) -> Self {
        Self::with(mirrors, connections, |settings| settings)
    }

    /// The same, with `begin_with` connections at first and up to `most` where they pay.
    pub(super) fn growing(mirrors: u8, begin_with: usize, most: usize) -> Self {
        let begin_with = NonZeroUsize::new(begin_with).expect("at least one connection");
        Self::with(mirrors, most, |settings| Settings { begin_with, ..settings })
    }

    fn with(mirrors: u8, connections: usize, change: impl FnOnce(Settings) -> Settings) -> Self {
        let names: Vec<_> = (1..=mirrors).map(|mirror| vec![server(mirror)]).collect();
        let settings = change(settings(&names, connections));
        let (mut engine, file) = settings.start(Instant::ZERO);
        for (index, addresses) in names.into_iter().enumerate() {
            engine.resolved(ServerId(index), Ok(addresses), Instant::ZERO);
        }
        let (facts, ranges) = (BTreeMap::new(), BTreeMap::new());
        let mut harness = Self { engine, file, now: 0, directives: Vec::new(), facts, ranges };
        harness.take_directives();
        harness
    }

    /// Takes the engine's directives, and notes the requests that sessions are given.
    fn take_directives(&mut self) {
        while let Some(directive) = self.engine.poll() {
            match &directive {
                Directive::Request(session, request, Request::Facts(_)) => {
                    self.facts.insert(*session, *request);
                }
                Directive::Retrieve(session, request, ..) => {
                    self.ranges.insert(*session, *request);
                }
                _ => {}
            }
            self.directives.push(directive);
        }
    }

    /// The session with this number, from 1 in the order in which sessions are opened.
    pub(super) fn session(&mut self, number: u64) -> Session<'_> {
        Session { harness: self, id: SessionId(number) }
    }

    /// Returns the milliseconds since the start.
    pub(super) fn now(&self) -> u64 {
        self.now
    }

    /// Lets time pass.
    pub(super) fn advance(&mut self, millis: u64) {
        self.now += millis;
    }

    /// Lets time pass, and tells the engine.
    pub(super) fn advance_and_wake(&mut self, millis: u64) {
        self.advance(millis);
        self.engine.handle_timeout(instant(self.now));
        self.take_directives();
    }

    /// Returns how many milliseconds from now the engine wants to be woken up.
    pub(super) fn wakes_after(&self) -> Option<u64> {
        let at = u64::try_from(self.engine.poll_timeout()?.0.as_millis()).expect("a timeout of a test");
        Some(at.saturating_sub(self.now))
    }

    /// Stops the download.
    pub(super) fn stop(&mut self) {
        self.engine.stop();
    }

    /// Answers a comparison.
    pub(super) fn compared(&mut self, comparison: &Comparison, is_equal: bool) {
        self.engine.compared(self.file, comparison.id, is_equal, instant(self.now));
        self.take_directives();
    }

    /// Returns what the engine wants done since the last call.
    pub(super) fn directives(&mut self) -> Directives {
        Directives(std::mem::take(&mut self.directives))
    }

    /// Whether these bytes count as fetched.
    pub(super) fn has(&self, range: Range<u64>) -> bool {
        self.engine.status(self.file).done().contains(&range)
    }

    /// Returns how many bytes count as fetched.
    pub(super) fn fetched(&self) -> u64 {
        self.engine.status(self.file).done().len()
    }

    /// Returns the ranges that a later run may resume.
    pub(super) fn settled(&self) -> Vec<Range<u64>> {
        self.engine.status(self.file).settled().iter().collect()
    }

    /// Returns the size of the file, if it is known.
    pub(super) fn size(&self) -> Option<u64> {
        self.engine.status(self.file).size()
    }

    fn tell(&mut self, report: &Report<Infallible>) {
        self.engine.handle(report, instant(self.now));
        self.take_directives();
    }
}

/// A session of a [`Harness`]: each method is a report of it.
pub(super) struct Session<'h> {
    harness: &'h mut Harness,
    id: SessionId,
}

impl Session<'_> {
    fn tells(self, event: Event) {
        self.harness.tell(&Report::Event(self.id, event));
    }

    /// The control connection is up.
    pub(super) fn connects(self) {
        self.tells(Event::Connected);
    }

    /// The session is logged in.
    pub(super) fn logs_in(self) {
        self.tells(Event::Ready(Features::default()));
    }

    /// The server tells the size of the file and no time, or neither.
    pub(super) fn tells_size(self, size: impl Into<Option<u64>>) {
        self.answers_facts(Facts { size: size.into(), ..Facts::default() });
    }

    /// The server tells the time of the file, and its size or not.
    pub(super) fn tells_facts(self, size: impl Into<Option<u64>>, modified: &str) {
        let modify = TimeVal::parse(modified.as_bytes());
        self.answers_facts(Facts { size: size.into(), modify, ..Facts::default() });
    }

    fn answers_facts(self, facts: Facts) {
        let request = self.harness.facts[&self.id];
        self.tells(Event::Facts(request, facts));
    }

    /// The server marks the beginning of a transfer.
    pub(super) fn starts(self, request: RequestId) {
        self.tells(Event::Started(request));
    }

    /// Bytes of the file came and were written.
    pub(super) fn writes(self, range: Range<u64>) {
        let request = self.harness.ranges[&self.id];
        self.harness.tell(&Report::Written(self.id, request, range));
    }

    /// Bytes of an overlap came, all of them `byte`.
    pub(super) fn sends_overlap(self, range: Range<u64>, byte: u8) {
        let bytes = range.clone().map(|_| byte).collect::<Vec<u8>>();
        let request = self.harness.ranges[&self.id];
        self.harness.tell(&Report::Overlap(self.id, request, range.start, bytes.into()));
    }

    /// A transfer ended where the engine had moved its end to.
    pub(super) fn finishes_cut(self, request: RequestId) {
        self.tells(Event::Finished(request, Finish::Cut));
    }

    /// The server ended a transfer at this offset, which is the end of the file.
    pub(super) fn finishes_whole(self, request: RequestId, at: u64) {
        self.tells(Event::Finished(request, Finish::Whole { at }));
    }

    /// The server ended a transfer at this offset and called it complete, although bytes are missing.
    pub(super) fn finishes_short(self, request: RequestId, at: u64) {
        let reply = reply("226 Transfer complete.");
        self.tells(Event::Finished(request, Finish::Short { at, reply }));
    }

    /// The server answers a command.
    pub(super) fn replies(self, request: RequestId, line: &str) {
        self.tells(Event::Reply(request, reply(line)));
    }

    /// The server refuses a request because it does not know REST.
    pub(super) fn refuses_rest(self, request: RequestId) {
        self.tells(Event::Refused(request, Verb::Rest, reply("502 Not implemented.")));
    }

    /// A data connection is open ahead of its transfer.
    pub(super) fn prepares(self, request: RequestId) {
        self.tells(Event::Prepared(request));
    }

    /// The session ends.
    pub(super) fn ends(self, error: SessionError) {
        self.tells(Event::Closed(error));
    }

    /// The server ends the session with a 421.
    pub(super) fn ends_with_421(self) {
        self.ends(SessionError::Refused { verb: None, reply: reply("421 Timeout.") });
    }
}

fn reply(line: &str) -> Reply {
    let mut parser = ReplyParser::new(100);
    parser.push(format!("{line}\r\n").as_bytes());
    parser.next().expect("a reply").expect("a whole reply")
}

/// Directives of the engine, as a test asks about them.
#[derive(Debug)]
pub(super) struct Directives(Vec<Directive>);

/// A range that a session is to fetch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Fetch {
    pub(super) session: u64,
    pub(super) request: RequestId,
    pub(super) offset: u64,
    pub(super) until: Until,
}

/// A comparison that the engine wants.
#[derive(Clone, Copy, Debug)]
pub(super) struct Comparison {
    id: ComparisonId,
    /// Offset of the first byte.
    pub(super) at: u64,
}

impl Directives {
    fn pick<'d, T>(&'d self, pick: impl Fn(&'d Directive) -> Option<T>) -> Vec<T> {
        self.0.iter().filter_map(pick).collect()
    }

    /// Returns the sessions that are opened.
    pub(super) fn opened(&self) -> Vec<u64> {
        self.pick(|directive| match directive {
            Directive::Open { id, .. } => Some(id.0),
            _ => None,
        })
    }

    /// Whether a session to this address is opened.
    pub(super) fn opens_session_to(&self, address: SocketAddr) -> bool {
        self.0
            .iter()
            .any(|directive| matches!(directive, Directive::Open { address: to, .. } if *to == address))
    }

    /// Returns the sessions that are closed.
    pub(super) fn closed(&self) -> Vec<u64> {
        self.pick(|directive| match directive {
            Directive::Close(id) => Some(id.0),
            _ => None,
        })
    }

    /// Returns the requests to sessions.
    fn requests(&self) -> Vec<(u64, RequestId, &Request)> {
        self.pick(|directive| match directive {
            Directive::Request(session, id, request) => Some((session.0, *id, request)),
            _ => None,
        })
    }

    /// Returns the ranges that sessions are to fetch.
    pub(super) fn fetches(&self) -> Vec<Fetch> {
        self.pick(|directive| match directive {
            &Directive::Retrieve(session, request, _, Retrieve { offset, until, .. }) => {
                Some(Fetch { session: session.0, request, offset, until })
            }
            _ => None,
        })
    }

    /// Returns the range that this session is to fetch.
    pub(super) fn fetch_of(&self, session: u64) -> Option<Fetch> {
        self.fetches().into_iter().find(|fetch| fetch.session == session)
    }

    /// Returns the NOOP that this session is to send.
    pub(super) fn noop_of(&self, session: u64) -> Option<RequestId> {
        let is_noop = |request: &Request| matches!(request, Request::Command(Command::Noop));
        self.requests().into_iter().find(|(of, _, what)| *of == session && is_noop(what)).map(|(_, id, _)| id)
    }

    /// Returns the requests to open a data connection ahead of its transfer.
    pub(super) fn prepares(&self) -> Vec<(u64, RequestId)> {
        let prepares = self.requests().into_iter().filter(|(.., what)| matches!(what, Request::Prepare));
        prepares.map(|(session, id, _)| (session, id)).collect()
    }

    /// Whether a server is asked for size and time of the file.
    pub(super) fn ask_for_facts(&self) -> bool {
        self.requests().iter().any(|(.., what)| matches!(what, Request::Facts(_)))
    }

    /// Whether the end of a session's transfer is moved to this offset.
    pub(super) fn set_end_of(&self, session: u64, offset: u64) -> bool {
        let is_it = |directive: &Directive| matches!(directive, Directive::SetEnd(id, _, Until::Offset(end)) if id.0 == session && *end == offset);
        self.0.iter().any(is_it)
    }

    /// Returns the comparisons that are wanted.
    pub(super) fn comparisons(&self) -> Vec<Comparison> {
        self.pick(|directive| match directive {
            Directive::Compare(_, id, at, _) => Some(Comparison { id: *id, at: *at }),
            _ => None,
        })
    }

    /// Returns where the comparisons begin that are wanted.
    pub(super) fn compared_offsets(&self) -> Vec<u64> {
        self.comparisons().iter().map(|comparison| comparison.at).collect()
    }

    /// Returns the only comparison that is wanted.
    #[track_caller]
    pub(super) fn comparison(&self) -> Comparison {
        let [comparison] = self.comparisons()[..] else { panic!("one comparison in {self:?}") };
        comparison
    }

    /// Returns the warnings for the user.
    pub(super) fn warnings(&self) -> Vec<String> {
        self.pick(|directive| match directive {
            Directive::Notice(notice) => notice.is_warning().then(|| notice.to_string()),
            _ => None,
        })
    }

    /// Returns the servers of the mirrors that are rejected because their files differ.
    pub(super) fn rejected(&self) -> Vec<&str> {
        self.pick(|directive| match directive {
            Directive::Notice(Notice::MirrorDropped(failure)) => match failure.fault {
                MirrorFault::OtherFile => Some(failure.server.as_str()),
                _ => None,
            },
            _ => None,
        })
    }

    /// Returns the end of the download, if it has ended: the size of the file or the kind of its failure.
    pub(super) fn end(&self) -> Option<Result<u64, ErrorKind>> {
        let ends = self.pick(|directive| match directive {
            Directive::Done(_, result) => Some(result.clone().map_err(|error| error.kind())),
            _ => None,
        });
        assert!(ends.len() <= 1, "the download ends once: {self:?}");
        ends.into_iter().next()
    }

    /// Whether the user is told of nothing.
    pub(super) fn are_silent(&self) -> bool {
        self.warnings().is_empty() && self.end().is_none()
    }

    /// Whether nothing is wanted.
    pub(super) fn are_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A download of [`SIZE`] bytes, or another size, from one mirror over two sessions, which are logged in and have a range each.
pub(super) fn two_sessions_fetch(size: u64) -> Harness {
    let mut harness = Harness::new(1, 2);
    for number in 1..=2 {
        harness.session(number).connects();
        harness.session(number).logs_in();
    }
    harness.session(1).tells_size(size);
    harness
}
