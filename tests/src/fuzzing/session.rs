//! Any sequence of calls to a session: what it never does, and what it does in the end.

use super::machine::Machine;
use super::op::{ACCOUNT, Case, Op, PASSWORD, REFUSALS, REPLIES, Said, Setup};
use super::reply::check_shown;
use super::trace;
use ftp_proto::{
    Action, Change, Channel, Command, Event, Finish, Instant, Line, Misuse, Output, Payload, Request,
    RequestId, Retrieve, Session, Timer, Until,
};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

/// The server's address.
pub const PEER: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)), 21);

/// See [`session`](self).
///
/// # Panics
/// If something does not hold.
pub fn check(input: &[u8]) {
    run(&Case::decode(input));
}

/// See [`session`](self).
///
/// # Panics
/// If something does not hold.
pub fn run(case: &Case) {
    let session = Session::new(Arc::new(case.setup.config()), PEER, Instant::ZERO);
    Watched::new(session, &case.setup).run(&case.ops);
}

/// A session, and what is known of it from outside.
#[derive(Debug)]
pub struct Watched<M> {
    machine: M,
    overlap: u64,
    now: Instant,
    /// Sent, and not yet a line.
    begun: Vec<u8>,
    /// Commands sent and not answered, as a server without surprises sees it.
    unanswered: Vec<String>,
    /// RETR is the last command sent, and nothing that would allow another has happened.
    silent: bool,
    ranges: BTreeMap<RequestId, Retrieve>,
    /// The requests whose bytes go to the caller, and whose end stays.
    contents: BTreeSet<RequestId>,
    /// Data connections asked for ahead of which nothing has been heard.
    prepares: Vec<RequestId>,
    /// Requests taken and not ended, in order.
    open: Vec<RequestId>,
    started: Vec<RequestId>,
    /// The place of the next byte of the running transfer, once a byte has come.
    at: Option<(RequestId, u64)>,
    requests: u64,
    count: Count,
    connected: bool,
    /// Secrets that no output may show.
    secrets: Vec<&'static [u8]>,
    /// A secret was sent: from then on the server may repeat it.
    told: bool,
    ready: bool,
    closed: bool,
    data: bool,
}

/// Counts of outputs, which the inputs bound.
#[derive(Debug, Default)]
struct Count {
    commands: u64,
    connects: u64,
    closes: u64,
    lines: u64,
    /// Line feeds from the server.
    heard: u64,
}

impl<M: Machine> Watched<M> {
    /// A session at its start.
    pub fn new(machine: M, setup: &Setup) -> Self {
        // The session knows no account that its configuration does not have.
        let account = setup.config().account.map(|_| ACCOUNT);
        Self {
            machine,
            overlap: setup.overlap,
            secrets: [PASSWORD].into_iter().chain(account).collect(),
            now: Instant::ZERO,
            begun: Vec::new(),
            unanswered: Vec::new(),
            silent: false,
            ranges: BTreeMap::new(),
            contents: BTreeSet::new(),
            prepares: Vec::new(),
            open: Vec::new(),
            started: Vec::new(),
            at: None,
            requests: 0,
            count: Count::default(),
            connected: false,
            told: false,
            ready: false,
            closed: false,
            data: false,
        }
    }

    /// All of it, and then the end.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn run(mut self, ops: &[Op]) -> M {
        for op in ops {
            self.play(op);
        }
        self.play(&Op::Quit);
        assert!(self.closed, "it cannot be ended");
        assert_eq!(self.count.closes, 1, "the control connection is closed once");
        let shown = format!("{:?}", self.machine.session()).into_bytes();
        self.check_secrets(&shown);
        self.machine
    }

    /// Does one operation.
    ///
    /// # Panics
    /// If something does not hold.
    pub fn play(&mut self, op: &Op) {
        trace(|| format!("{:?} {op:?}", self.now.0));
        let now = self.now;
        let mut portion = usize::MAX;
        match op {
            Op::Answer => {
                let reply = self.answer();
                self.silent &= reply.is_empty();
                self.hear(reply.as_bytes());
            }
            Op::Refuse(which) => {
                let reply = REFUSALS[usize::from(*which) % REFUSALS.len()];
                if !self.unanswered.is_empty() {
                    if !reply.starts_with('1') {
                        self.unanswered.remove(0);
                    }
                    self.hear_line(reply);
                }
            }
            Op::Reply(which) => self.hear_line(REPLIES[usize::from(*which) % REPLIES.len()]),
            Op::Server(Said(bytes)) => {
                self.silent &= !bytes.contains(&b'\n');
                self.hear(bytes);
            }
            Op::Change(channel, change) => {
                self.connected |= (*channel, *change) == (Channel::Control, Change::Connected);
                self.machine.change(*channel, *change, now);
            }
            Op::Received(len) => self.receive(*len),
            Op::Request(request) => self.request(request.clone()),
            Op::SetEnd(id, until) => self.set_end(RequestId(*id), *until),
            Op::Wait(less) => {
                let due = self.machine.deadline().unwrap_or(now);
                let less = Duration::from_millis(*less);
                self.pass(now.max(Instant(due.0.saturating_sub(less))));
            }
            Op::Pass(millis) => self.pass(now + Duration::from_millis(*millis)),
            Op::Send(most) => portion = *most,
            Op::Quit => {
                self.silent = false;
                self.machine.quit(now);
            }
        }
        self.take_outputs();
        self.take_bytes(portion);
        self.check();
    }

    fn hear_line(&mut self, line: &str) {
        self.silent = false;
        self.hear(format!("{line}\r\n").as_bytes());
    }

    fn hear(&mut self, bytes: &[u8]) {
        self.count.heard += bytes.iter().filter(|byte| **byte == b'\n').count() as u64;
        self.machine.control(bytes, self.now);
    }

    fn receive(&mut self, len: u64) {
        let placed = placed(&self.machine.session().payload());
        let len = self.machine.received(len, self.now);
        let Some((id, range)) = placed else { return };
        let (running, part) = self.running().expect("a transfer");
        assert_eq!(id, running, "bytes of a transfer that does not run");
        if let Some((known, at)) = self.at
            && known == id
        {
            assert_eq!(range.start, at, "a byte is lost or comes twice");
        } else {
            assert_eq!(range.start, part.offset.saturating_sub(part.overlap));
        }
        let end = part.until.end().max(range.start);
        self.at = Some((id, range.start + len.min(end - range.start)));
    }

    fn request(&mut self, mut request: Request) {
        self.requests += 1;
        let id = RequestId(self.requests);
        if let Request::Retrieve(part) = &mut request {
            part.overlap = self.overlap;
        }
        match self.machine.request(id, request.clone(), self.now) {
            Ok(()) => {
                assert!(!self.closed);
                match request.clone() {
                    Request::Retrieve(part) => {
                        self.ranges.insert(id, part);
                    }
                    Request::Content { command: Command::Retr(path), most } => {
                        let part = Retrieve::new(path, 0, Until::Offset(most));
                        self.ranges.insert(id, part);
                        self.contents.insert(id);
                    }
                    _ => {}
                }
                // No event need come of one.
                if request == Request::Prepare {
                    self.prepares.push(id);
                } else {
                    self.open.push(id);
                }
            }
            Err(misuse) => assert_eq!(misuse == Misuse::Closed, self.closed, "{misuse}"),
        }
    }

    fn set_end(&mut self, id: RequestId, until: Until) {
        if let Some(part) = self.ranges.get_mut(&id).filter(|_| self.open.contains(&id)) {
            if self.contents.contains(&id) {
                return self.machine.set_end(id, until, self.now);
            }
            part.until = until;
        }
        self.machine.set_end(id, until, self.now);
    }

    /// Time goes on to `now`: nothing happens before its time, and what is due then is not due any more.
    fn pass(&mut self, now: Instant) {
        let due = self.machine.deadline();
        let late = self.machine.session().poll_timeout().filter(|(due, _)| *due <= now);
        // A data connection ahead of its transfer is given up; what else is late by then ends the session.
        let ahead = late.is_some_and(|(_, timer)| timer == Timer::DataConnect) && self.running().is_none();
        self.now = now;
        self.machine.timeout(now);
        let closed = self.machine.session().is_closed();
        assert!(ahead || closed == (late.is_some() || self.closed), "a deadline of the session");
        if due.is_some_and(|due| due <= now) {
            assert!(self.machine.deadline().is_none_or(|due| due > now), "a deadline stays due for ever");
        } else {
            assert_eq!(self.machine.deadline(), due);
            assert_eq!(self.machine.output(), None, "something happened before its time");
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
        while let Some(output) = self.machine.output() {
            trace(|| format!("-> {output:?}"));
            assert!(!self.closed, "after the end: {output:?}");
            match output {
                Output::Action(Action::Connect(address)) => {
                    assert!(!self.data, "a second data connection");
                    assert!(address.ip() == PEER.ip() && address.port() != 0, "it dials {address}");
                    self.data = true;
                    self.count.connects += 1;
                }
                Output::Action(Action::Close(Channel::Data)) => {
                    assert!(self.data, "a data connection closed that nobody asked for");
                    self.data = false;
                }
                Output::Action(Action::Close(Channel::Control)) => self.count.closes += 1,
                Output::Action(_) => {}
                Output::Event(event) => self.take_event(&event),
            }
        }
    }

    fn take_event(&mut self, event: &Event) {
        match event {
            Event::Ready(_) => {
                assert!(!self.ready && self.connected);
                self.ready = true;
            }
            Event::Prepared(id) => {
                let at = self.prepares.iter().position(|asked| asked == id);
                self.prepares.remove(at.expect("a data connection that nobody asked for ahead, or twice"));
                assert!(self.data && placed(&self.machine.session().payload()).is_none());
            }
            Event::Started(id) => {
                assert!(self.open.contains(id) && !self.started.contains(id));
                self.started.push(*id);
            }
            Event::Finished(id, finish) => {
                self.silent &= *finish != Finish::Cut;
                self.check_finish(*id, finish);
                self.end(*id);
            }
            Event::Reply(id, _) | Event::Facts(id, _) | Event::Refused(id, ..) => self.end(*id),
            Event::Wire(line) => {
                check_shown(&line.to_string());
                self.count.lines += 1;
                match line {
                    Line::Sent(sent) => {
                        self.told |= sent.starts_with(b"PASS") || sent.starts_with(b"ACCT");
                        self.check_secrets(sent);
                    }
                    Line::Received(line) if self.told => self.check_secrets(line),
                    Line::Received(_) => {}
                }
            }
            Event::Closed(error) => {
                check_shown(&error.to_string());
                assert!(!self.data, "a data connection outlives the session");
                self.closed = true;
            }
            _ => {}
        }
    }

    fn check_finish(&self, id: RequestId, finish: &Finish) {
        let part = self.ranges.get(&id).expect("a transfer");
        let first = part.offset.saturating_sub(part.overlap);
        let came = self.at.filter(|(known, _)| *known == id).map_or(first, |(_, at)| at);
        match (finish, part.until) {
            (Finish::Whole { at }, until) => {
                assert_eq!(*at, came);
                assert!(!matches!(until, Until::Size(size) if size != *at));
            }
            (Finish::Short { at, .. }, _) => assert_eq!(*at, came),
            (Finish::Cut, Until::Offset(end)) => assert!(came >= end || end <= part.offset),
            (Finish::Cut, until) => panic!("cut, but wanted {until:?}"),
        }
    }

    fn end(&mut self, id: RequestId) {
        let at = self.open.iter().position(|open| *open == id);
        self.open.remove(at.expect("a request ends that is not open"));
    }

    fn take_bytes(&mut self, portion: usize) {
        let portion = portion.min(self.machine.session().poll_transmit().len());
        self.begun.extend_from_slice(&self.machine.session().poll_transmit()[..portion]);
        self.machine.transmitted(portion, self.now);
        while let Some(end) = self.begun.windows(2).position(|end| end == b"\r\n") {
            let line = String::from_utf8_lossy(&self.begun[..end]).into_owned();
            self.begun.drain(..end + 2);
            trace(|| format!("-> {line}"));
            assert!(!line.contains(['\r', '\n', '\0']), "a line within a line: {line}");
            let goodbye = self.closed && line == "QUIT";
            assert!(!self.silent || goodbye, "sent while a transfer runs: {line}");
            self.silent = line.starts_with("RETR");
            self.unanswered.push(line);
            self.count.commands += 1;
        }
    }

    /// The transfer that runs, if one does: the first that is open.
    fn running(&self) -> Option<(RequestId, &Retrieve)> {
        self.open.iter().find_map(|id| Some((*id, self.ranges.get(id)?)))
    }

    fn check(&self) {
        self.machine.check();
        let session = self.machine.session();
        assert_eq!(session.is_closed(), self.closed);
        self.check_bounds();
        if self.closed {
            assert_eq!((session.payload(), session.poll_timeout()), (Payload::Hold, None));
            return;
        }
        let awaits = !self.ready || !self.open.is_empty();
        assert!(!awaits || session.poll_timeout().is_some(), "nothing would end this wait");
        if let Some((id, range)) = placed(&session.payload()) {
            assert!(self.data, "a payload without a data connection");
            let (running, part) = self.running().expect("a transfer");
            assert_eq!(id, running, "the payload of another transfer");
            let first = part.offset.saturating_sub(part.overlap);
            assert!(range.start >= first && !range.is_empty());
            assert!(range.end <= part.until.end(), "{range:?} reaches beyond {:?}", part.until);
        }
    }

    /// Asserts that the requests of the caller and the lines of the server bound the outputs.
    fn check_bounds(&self) {
        let Count { commands, connects, closes, lines, heard } = self.count;
        // A transfer is asked for with EPSV, with PASV, and once more where REST was out of step.
        let most = 6 + 9 * self.requests;
        assert!(commands <= most, "{commands} commands for {} requests", self.requests);
        assert!(connects <= 2 * self.requests);
        assert!(closes <= 1);
        assert!(lines <= heard + most);
    }

    /// No secret is in what a log may show.
    fn check_secrets(&self, shown: &[u8]) {
        for secret in &self.secrets {
            assert!(!shown.windows(secret.len()).any(|part| part == *secret), "a secret is shown");
        }
    }
}

/// The transfer that the next bytes belong to, and their place, if there is one.
fn placed(payload: &Payload) -> Option<(RequestId, Range<u64>)> {
    match payload {
        Payload::Overlap(id, range) | Payload::File(id, range) | Payload::Content(id, range) => {
            Some((*id, range.clone()))
        }
        _ => None,
    }
}
