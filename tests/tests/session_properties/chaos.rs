//! Any sequence of calls: what a session never does.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use ftp_proto::{
    Action, Cause, Change, Channel, Command, End, Escaped, Event, Finish, Instant, Misuse, Output, Request,
    RequestId, Retrieve, Session, Until,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::{path, session};

#[derive(Clone, Debug)]
enum Op {
    /// The reply that the oldest unanswered command may hope for, if there is one.
    Answer,
    /// A refusal of that command, or another reply that it may get.
    Refuse(&'static str),
    /// Any bytes from the server.
    Server(Said),
    Change(Channel, Change),
    Received(u64),
    Request(Request),
    Shrink(u64, Until),
    /// The time up to the deadline, less this many milliseconds.
    Wait(u64),
    /// So many bytes of what is to be sent are sent.
    Send(usize),
    Quit,
}

/// Bytes that a failure shows as text.
#[derive(Clone)]
struct Said(Vec<u8>);

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", Escaped(&self.0))
    }
}

const REPLIES: &[&str] = &[
    "120 wait",
    "125 it comes",
    "150 it comes",
    "200 ok",
    "202 superfluous",
    "211-Features:\r\n SIZE\r\n211 End",
    "213 100",
    "213 20240615123456",
    "220 hi",
    "221 bye",
    "225 open",
    "226 done",
    "227 Entering Passive Mode (192,0,2,1,19,136)",
    "227 nonsense",
    "229 (|||5000|)",
    "229 (|||0|)",
    "230 in",
    "250 done",
    "250-Listing\r\n Size=5; /f\r\n250 End",
    "257 \"/\"",
    "331 password",
    "332 account",
    "350 at",
    "421 bye",
    "425 no connection",
    "426 broken off",
    "450 busy",
    "451 disk",
    "500 what?",
    "501 no",
    "502 no",
    "503 bad sequence",
    "504 no",
    "522 no",
    "530 log in",
    "550 no such file",
    "551 no",
    "999 what",
    "garbage",
    "",
    "150",
    "226",
];

const REFUSALS: &[&str] = &[
    "125 it comes",
    "150 it comes",
    "226 done",
    "425 no connection",
    "426 broken off",
    "450 busy",
    "451 disk",
    "500 what?",
    "502 no",
    "503 bad sequence",
    "522 no",
    "550 no such file",
];

fn until() -> impl Strategy<Value = Until> {
    prop_oneof![Just(Until::Eof), (0..40_u64).prop_map(Until::Size), (0..40_u64).prop_map(Until::Offset)]
}

fn request() -> impl Strategy<Value = Request> {
    let commands = vec![
        Command::Noop,
        Command::Cwd(path("/pub")),
        Command::Mlst(path("/f")),
        Command::Feat,
        Command::Rest(7),
        Command::Quit,
    ];
    prop_oneof![
        2 => Just(Request::Facts(path("/f"))),
        2 => select(commands).prop_map(Request::Command),
        6 => (0..30_u64, until())
            .prop_map(|(offset, until)| Request::Retrieve(Retrieve { path: path("/f"), offset, until })),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let changes = vec![
        Change::Connected,
        Change::Ended(End::Fin),
        Change::Ended(End::Reset),
        Change::Failed(Cause::Refused),
        Change::Failed(Cause::Other(0)),
    ];
    let reply = select(REPLIES).prop_map(|text| Said(format!("{text}\r\n").into_bytes()));
    let hostile = prop_oneof![
        4 => reply.clone().prop_map(Op::Server),
        2 => (reply.clone(), reply, 0..9_usize).prop_map(|(one, two, cut)| {
            let mut bytes = [one.0, two.0].concat();
            bytes.truncate(bytes.len().saturating_sub(cut));
            Op::Server(Said(bytes))
        }),
        1 => any::<Vec<u8>>().prop_map(Said).prop_map(Op::Server),
        2 => select(changes.clone()).prop_map(|change| Op::Change(Channel::Control, change)),
        1 => Just(Op::Wait(0)),
        1 => Just(Op::Quit),
    ];
    prop_oneof![
        100 => Just(Op::Answer),
        16 => select(REFUSALS).prop_map(Op::Refuse),
        30 => Just(Op::Change(Channel::Data, Change::Connected)),
        10 => select(changes).prop_map(|change| Op::Change(Channel::Data, change)),
        40 => (0..20_u64).prop_map(Op::Received),
        1 => any::<u64>().prop_map(Op::Received),
        40 => request().prop_map(Op::Request),
        20 => (0..12_u64, until()).prop_map(|(id, until)| Op::Shrink(id, until)),
        6 => (1..40_000_u64).prop_map(Op::Wait),
        6 => (0..20_usize).prop_map(Op::Send),
        6 => hostile,
    ]
}

/// A session, and what is known of it from outside.
struct Watched {
    session: Session,
    now: Instant,
    /// Sent, and not yet a line.
    begun: Vec<u8>,
    /// Commands sent and not answered, as a server without surprises sees it.
    unanswered: Vec<String>,
    /// RETR is the last command sent, and nothing that would allow another has happened.
    silent: bool,
    ranges: BTreeMap<RequestId, Retrieve>,
    /// Requests taken and not ended, in order.
    open: Vec<RequestId>,
    started: Vec<RequestId>,
    requests: u64,
    ready: bool,
    closed: bool,
    data: bool,
}

impl Watched {
    fn new(session: Session) -> Self {
        Self {
            session,
            now: Instant::ZERO,
            begun: Vec::new(),
            unanswered: Vec::new(),
            silent: false,
            ranges: BTreeMap::new(),
            open: Vec::new(),
            started: Vec::new(),
            requests: 0,
            ready: false,
            closed: false,
            data: false,
        }
    }

    fn play(&mut self, op: &Op) {
        let now = self.now;
        let mut portion = usize::MAX;
        match op {
            Op::Answer => {
                let reply = self.answer();
                self.silent &= reply.is_empty();
                self.session.handle_control(reply.as_bytes(), now);
            }
            Op::Refuse(reply) => {
                if !self.unanswered.is_empty() {
                    if !reply.starts_with('1') {
                        self.unanswered.remove(0);
                    }
                    self.silent = false;
                    self.session.handle_control(format!("{reply}\r\n").as_bytes(), now);
                }
            }
            Op::Server(Said(bytes)) => {
                self.silent = false;
                self.session.handle_control(bytes, now);
            }
            Op::Change(channel, change) => self.session.handle_channel(*channel, *change, now),
            Op::Received(len) => self.session.received(*len, now),
            Op::Request(request) => self.request(request.clone()),
            Op::Shrink(id, until) => {
                let id = RequestId(*id);
                if let Some(part) = self.ranges.get_mut(&id).filter(|_| self.open.contains(&id)) {
                    part.until = *until;
                }
                self.session.shrink(id, *until, now);
            }
            Op::Wait(less) => self.wait(Duration::from_millis(*less)),
            Op::Send(most) => portion = *most,
            Op::Quit => {
                self.silent = false;
                self.session.quit(now);
            }
        }
        self.take_outputs();
        self.take_bytes(portion);
        self.check();
    }

    fn request(&mut self, request: Request) {
        self.requests += 1;
        let id = RequestId(self.requests);
        match self.session.request(id, request.clone(), self.now) {
            Ok(()) => {
                assert!(!self.closed);
                if let Request::Retrieve(part) = request {
                    self.ranges.insert(id, part);
                }
                self.open.push(id);
            }
            Err(misuse) => assert_eq!(misuse == Misuse::Closed, self.closed, "{misuse}"),
        }
    }

    fn wait(&mut self, less: Duration) {
        let Some((due, _)) = self.session.poll_timeout() else {
            self.now = self.now + less;
            return self.session.handle_timeout(self.now);
        };
        self.now = self.now.max(Instant(due.0.saturating_sub(less)));
        self.session.handle_timeout(self.now);
        if self.now < due {
            assert_eq!(self.session.poll_timeout().map(|(due, _)| due), Some(due));
            assert_eq!(self.session.poll_output(), None, "something happened before its time");
        } else {
            assert!(self.session.is_closed(), "a deadline passed, and nothing happened");
        }
    }

    fn answer(&mut self) -> String {
        let Some(front) = self.unanswered.first().cloned() else { return String::new() };
        let next_waits = self.unanswered.len() > 1;
        let verb = front.split(' ').next().unwrap_or_default();
        let reply = match verb {
            "USER" => "331 password",
            "PASS" | "ACCT" => "230 in",
            "SIZE" => "213 100",
            "MDTM" => "213 20240615123456",
            "EPSV" => "229 (|||5000|)",
            "PASV" => "227 (192,0,2,1,19,136)",
            "REST" => "350 at",
            "FEAT" => "211-Features:\r\n SIZE\r\n211 End",
            "CWD" => "250 there",
            "MLST" => "250-Listing\r\n Size=5; /f\r\n250 End",
            "RETR" => {
                self.unanswered[0] = "transfer".to_owned();
                return "150 it comes\r\n".to_owned();
            }
            "transfer" if next_waits => "426 broken off",
            "transfer" => "226 done",
            _ => "200 ok",
        };
        self.unanswered.remove(0);
        format!("{reply}\r\n")
    }

    fn take_outputs(&mut self) {
        while let Some(output) = self.session.poll_output() {
            assert!(!self.closed, "after the end: {output:?}");
            match output {
                Output::Action(Action::Connect(address)) => {
                    assert!(!self.data, "a second data connection");
                    assert_eq!(address.ip(), IpAddr::from([192, 0, 2, 1]));
                    self.data = true;
                }
                Output::Action(Action::Close(Channel::Data)) => {
                    assert!(self.data, "a data connection closed that nobody asked for");
                    self.data = false;
                }
                Output::Action(_) => {}
                Output::Event(event) => self.take_event(&event),
            }
        }
    }

    fn take_event(&mut self, event: &Event) {
        match event {
            Event::Ready(_) => {
                assert!(!self.ready);
                self.ready = true;
            }
            Event::Started(id) => {
                assert!(self.open.contains(id) && !self.started.contains(id));
                self.started.push(*id);
            }
            Event::Finished(id, finish) => {
                self.silent &= *finish != Finish::Cut;
                let part = self.ranges.get(id).expect("a transfer");
                match (finish, part.until) {
                    (Finish::Whole { at }, Until::Size(size)) => assert_eq!(*at, size),
                    (Finish::Whole { at }, _) => assert!(*at >= part.offset),
                    (Finish::Short { at, .. }, until) => {
                        assert!((part.offset..=until.end().max(part.offset)).contains(at));
                    }
                    (Finish::Cut, until) => assert!(matches!(until, Until::Offset(_))),
                }
                self.end(*id);
            }
            Event::Reply(id, _) | Event::Facts(id, _) | Event::Refused(id, ..) => self.end(*id),
            Event::Closed(_) => self.closed = true,
            _ => {}
        }
    }

    fn end(&mut self, id: RequestId) {
        let at = self.open.iter().position(|open| *open == id);
        self.open.remove(at.expect("a request ends that is not open"));
    }

    fn take_bytes(&mut self, portion: usize) {
        let portion = portion.min(self.session.transmit().len());
        self.begun.extend_from_slice(&self.session.transmit()[..portion]);
        self.session.transmitted(portion, self.now);
        while let Some(end) = self.begun.windows(2).position(|end| end == b"\r\n") {
            let line = String::from_utf8(self.begun.drain(..end + 2).collect()).expect("text");
            assert!(!self.silent, "sent while a transfer runs: {line}");
            self.silent = line.starts_with("RETR");
            self.unanswered.push(line.trim_end().to_owned());
        }
    }

    fn check(&self) {
        assert_eq!(self.session.is_closed(), self.closed);
        if self.closed {
            assert_eq!((self.session.window(), self.session.poll_timeout()), (None, None));
            return;
        }
        let awaits = !self.ready || !self.open.is_empty();
        assert!(!awaits || self.session.poll_timeout().is_some(), "nothing would end this wait");
        if let Some(window) = self.session.window() {
            assert!(self.data, "a window without a data connection");
            let running = self.open.iter().find_map(|id| self.ranges.get(id)).expect("a transfer");
            assert!(window.start >= running.offset && window.start <= window.end);
            let end = running.until.end().max(running.offset);
            assert!(window.end <= end, "{window:?} reaches beyond {end}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn nothing_breaks_a_session(
        depth in select(&[1_usize, 2, 3, 16][..]),
        epsv: bool,
        features: bool,
        trace: bool,
        greeted in prop::bool::weighted(0.9),
        answered in 0..20_usize,
        ops in prop::collection::vec(op(), 0..90),
    ) {
        let mut watched = Watched::new(session(depth, |config| {
            (config.epsv, config.features, config.trace) = (epsv, features, trace);
            config.limits.preliminary_replies = 4;
        }));
        if greeted {
            watched.play(&Op::Change(Channel::Control, Change::Connected));
            watched.play(&Op::Server(Said(b"220 hi\r\n".to_vec())));
            for _ in 0..answered {
                watched.play(&Op::Answer);
            }
        }
        for op in &ops {
            watched.play(op);
        }
        watched.play(&Op::Quit);
        prop_assert!(watched.closed);
    }
}
