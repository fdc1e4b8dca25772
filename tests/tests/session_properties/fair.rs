//! A server that keeps to the rules, in one of the many ways there are to do so, and a network that delays
//! as it likes: every request is answered, and every byte lands where it belongs.

use std::collections::{BTreeMap, VecDeque};

use ftp_proto::{
    Action, Change, Channel, Command, End, Event, Finish, Instant, Output, Payload, Request, RequestId,
    Retrieve, Session, Until, Verb,
};
use proptest::prelude::*;
use proptest::sample::select;

use crate::{path, session};

/// The size of the one file.
const SIZE: u64 = 60;
/// As much as fits between the server and the client.
const PIPE: u64 = 16;
const NOW: Instant = Instant::ZERO;

/// The replies of a server to a cut.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum AfterCut {
    Broken,
    BrokenAndDone,
    Done,
    Mark,
}

/// When a server says that a transfer is complete.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Completion {
    BeforeTheEnd,
    AfterTheEnd,
    WhenTheClientHasClosed,
}

/// When a server sends the mark.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Mark {
    AtOnce,
    WhenConnected,
    Never,
}

#[derive(Clone, Debug)]
struct Habits {
    user_suffices: bool,
    epsv: bool,
    rest: bool,
    size: bool,
    mark: Mark,
    completion: Completion,
    after_cut: AfterCut,
}

fn habits() -> impl Strategy<Value = Habits> {
    use AfterCut::{Broken, BrokenAndDone, Done};
    use Completion::{AfterTheEnd, BeforeTheEnd, WhenTheClientHasClosed};
    let completions = vec![BeforeTheEnd, AfterTheEnd, WhenTheClientHasClosed];
    let after_cut = vec![Broken, BrokenAndDone, Done, AfterCut::Mark];
    (
        any::<bool>(),
        prop::bool::weighted(0.7),
        prop::bool::weighted(0.8),
        prop::bool::weighted(0.7),
        select(vec![Mark::AtOnce, Mark::WhenConnected, Mark::Never]),
        select(completions),
        select(after_cut),
    )
        .prop_map(|(user_suffices, epsv, rest, size, mark, completion, after_cut)| Habits {
            user_suffices,
            epsv,
            rest,
            size,
            mark,
            completion,
            after_cut,
        })
}

/// A data connection, as both sides see it.
#[derive(Debug, Default)]
struct Data {
    connected: bool,
    closed_by_client: bool,
    closed_by_server: bool,
    /// The offset of its first byte in the file.
    from: u64,
    sent: u64,
    read: u64,
}

struct Transfer {
    data: usize,
    at: u64,
    marked: bool,
}

struct Server {
    habits: Habits,
    greeted: bool,
    inbox: VecDeque<String>,
    /// Said, and not yet read by the client.
    said: VecDeque<u8>,
    restart: u64,
    /// The data connection that the next transfer uses.
    passive: Option<usize>,
    transfer: Option<Transfer>,
}

impl Server {
    fn say(&mut self, reply: &str) {
        self.said.extend(reply.bytes().chain(*b"\r\n"));
    }

    /// Does one thing, if there is something to do.
    fn step(&mut self, data: &mut Vec<Data>, room: u64) -> bool {
        if !self.greeted {
            self.greeted = true;
            self.say("220 hi");
        } else if let Some(transfer) = self.transfer.take() {
            return self.transfer(transfer, data, room);
        } else if let Some(command) = self.inbox.pop_front() {
            self.execute(&command, data);
        } else {
            return false;
        }
        true
    }

    fn execute(&mut self, command: &str, data: &mut Vec<Data>) {
        let (verb, argument) = command.split_once(' ').unwrap_or((command, ""));
        let known = argument == "/f";
        match verb {
            "USER" if !self.habits.user_suffices => self.say("331 password"),
            "USER" | "PASS" => self.say("230 in"),
            "SIZE" | "MDTM" if !self.habits.size => self.say("500 what?"),
            "SIZE" | "MDTM" | "MLST" | "RETR" if !known => self.say("550 no such file"),
            "SIZE" => self.say(&format!("213 {SIZE}")),
            "MDTM" => self.say("213 20240615123456"),
            "MLST" => self.say(&format!("250-Listing\r\n Size={SIZE};Modify=20240615123456; /f\r\n250 End")),
            "CWD" => self.say("250 there"),
            "EPSV" if !self.habits.epsv => self.say("500 what?"),
            "EPSV" | "PASV" => {
                self.passive = Some(data.len());
                data.push(Data::default());
                self.say(if verb == "EPSV" { "229 (|||5000|)" } else { "227 (198,51,100,7,19,136)" });
            }
            "REST" if !self.habits.rest => self.say("502 what?"),
            "REST" => {
                self.restart = argument.parse().expect("an offset");
                self.say("350 there");
            }
            "RETR" => match self.passive.take() {
                None => self.say("425 EPSV first"),
                Some(connection) => {
                    let at = std::mem::take(&mut self.restart);
                    data[connection].from = at;
                    self.transfer = Some(Transfer { data: connection, at, marked: false });
                }
            },
            _ => self.say("200 ok"),
        }
    }

    fn transfer(&mut self, mut transfer: Transfer, all: &mut [Data], room: u64) -> bool {
        assert!(self.inbox.is_empty(), "a command meets a transfer: {:?}", self.inbox);
        let data = &mut all[transfer.data];
        let wanted =
            self.habits.mark == Mark::AtOnce || self.habits.mark == Mark::WhenConnected && data.connected;
        if wanted && !transfer.marked {
            transfer.marked = true;
            self.say("150 it comes");
        } else if data.closed_by_server {
            if self.habits.completion == Completion::WhenTheClientHasClosed && !data.closed_by_client {
                self.transfer = Some(transfer);
                return false;
            }
            if self.habits.completion != Completion::BeforeTheEnd {
                self.say("226 done");
            }
            return true;
        } else if data.closed_by_client {
            self.cut(&transfer, data.connected);
            return true;
        } else if transfer.at == SIZE && data.connected {
            data.closed_by_server = true;
            if self.habits.completion == Completion::BeforeTheEnd {
                self.say("226 done");
                return true;
            }
        } else {
            let more = room.min(PIPE - (data.sent - data.read)).min(SIZE - transfer.at);
            if !data.connected || more == 0 {
                self.transfer = Some(transfer);
                return false;
            }
            transfer.at += more;
            data.sent += more;
        }
        self.transfer = Some(transfer);
        true
    }

    fn cut(&mut self, transfer: &Transfer, connected: bool) {
        match self.habits.after_cut {
            _ if !connected => self.say("425 no connection"),
            AfterCut::BrokenAndDone if transfer.marked => {
                self.say("426 broken off");
                self.say("226 done");
            }
            AfterCut::Done => self.say("226 done"),
            AfterCut::Mark if transfer.marked => self.say("150 so much to go"),
            _ => self.say("426 broken off"),
        }
    }
}

/// A request, and what is to come of it.
struct Asked {
    request: Request,
    moved: bool,
    /// How far the bytes of it have come.
    at: u64,
}

struct World {
    session: Session,
    server: Server,
    begun: Vec<u8>,
    data: Vec<Data>,
    /// Data connections that the session has asked for.
    asked_for: usize,
    asked: BTreeMap<RequestId, Asked>,
    ended: BTreeMap<RequestId, Event>,
}

impl World {
    fn new(session: Session, habits: Habits) -> Self {
        let server = Server {
            habits,
            greeted: false,
            inbox: VecDeque::new(),
            said: VecDeque::new(),
            restart: 0,
            passive: None,
            transfer: None,
        };
        Self {
            session,
            server,
            begun: Vec::new(),
            data: Vec::new(),
            asked_for: 0,
            asked: BTreeMap::new(),
            ended: BTreeMap::new(),
        }
    }

    /// Lets one of the things happen that can.
    fn step(&mut self, what: u8, much: u8) -> bool {
        let much = u64::from(much);
        let moved = match what {
            0 => self.server.step(&mut self.data, much + 1),
            1 => self.read_control(usize::from(what) + much as usize),
            2 => self.connect(),
            _ => self.read_data(much + 1),
        };
        self.drain();
        moved
    }

    fn read_control(&mut self, most: usize) -> bool {
        let len = most.min(self.server.said.len());
        let bytes: Vec<u8> = self.server.said.drain(..len).collect();
        self.session.handle_bytes(&bytes, NOW);
        len > 0
    }

    /// The data connection that the session has asked for and not closed.
    fn open_data(&mut self) -> Option<&mut Data> {
        let last = self.asked_for.checked_sub(1)?;
        self.data.get_mut(last).filter(|data| !data.closed_by_client)
    }

    fn connect(&mut self) -> bool {
        let Some(data) = self.open_data().filter(|data| !data.connected) else { return false };
        data.connected = true;
        self.session.handle_channel(Channel::Data, Change::Connected, NOW);
        true
    }

    fn read_data(&mut self, most: u64) -> bool {
        let payload = self.session.payload();
        if payload == Payload::Hold {
            return false;
        }
        let data = self.open_data().expect("a payload has a connection");
        let len = most.min(data.sent - data.read);
        if len > 0 {
            if let Payload::File(id, range) = payload {
                let place = data.from + data.read;
                assert_eq!(range.start, place, "bytes in the wrong place");
                data.read += len;
                let running = self.asked.get_mut(&id).expect("a transfer that was requested");
                running.at = range.start + len.min(range.end - range.start);
            } else {
                data.read += len;
            }
            self.session.handle_payload(len, NOW);
            return true;
        }
        let ended = data.closed_by_server;
        if ended {
            self.session.handle_channel(Channel::Data, Change::Ended(End::Fin), NOW);
        }
        ended
    }

    fn request(&mut self, request: Request) {
        let id = RequestId(self.asked.len() as u64);
        let at = if let Request::Retrieve(part) = &request { part.offset } else { 0 };
        self.session.request(id, request.clone(), NOW).expect("a request that can be");
        if request == Request::Prepare {
            // Nothing need come of it; the number is used up.
            self.ended.insert(id, Event::Prepared(id));
        }
        self.asked.insert(id, Asked { request, moved: false, at });
        self.drain();
    }

    fn set_end(&mut self, id: u64, end: u64) {
        let id = RequestId(id);
        if let Some(asked) = self.asked.get_mut(&id).filter(|_| !self.ended.contains_key(&id)) {
            asked.moved = true;
            self.session.set_end(id, Until::Offset(end), NOW);
            self.drain();
        }
    }

    fn drain(&mut self) {
        while let Some(output) = self.session.poll_output() {
            match output {
                Output::Action(Action::Connect(_)) => self.asked_for += 1,
                Output::Action(Action::Close(Channel::Data)) => {
                    self.open_data().expect("a connection to close").closed_by_client = true;
                }
                Output::Event(
                    event @ (Event::Facts(id, _)
                    | Event::Reply(id, _)
                    | Event::Refused(id, ..)
                    | Event::Finished(id, _)),
                ) => {
                    let twice = self.ended.insert(id, event);
                    assert_eq!(twice, None);
                }
                Output::Event(Event::Connected | Event::Ready(_) | Event::Started(_)) => {}
                Output::Event(Event::Prepared(id)) => {
                    let asked =
                        self.asked.get_mut(&id).expect("a data connection that nobody asked for ahead");
                    assert!(asked.request == Request::Prepare && !asked.moved, "told twice");
                    asked.moved = true;
                }
                _ => panic!("{output:?}"),
            }
        }
        let bytes = self.session.poll_transmit().to_vec();
        self.session.handle_transmitted(bytes.len(), NOW);
        self.begun.extend(bytes);
        while let Some(end) = self.begun.windows(2).position(|end| end == b"\r\n") {
            let line: Vec<u8> = self.begun.drain(..end + 2).collect();
            self.server.inbox.push_back(String::from_utf8(line).expect("text").trim_end().to_owned());
        }
    }

    fn settle(&mut self) {
        while (0..4).any(|what| self.step(what, 5)) {}
    }

    fn check(&self) {
        let habits = &self.server.habits;
        for (id, asked) in &self.asked {
            let event = self.ended.get(id).unwrap_or_else(|| panic!("{:?} did not end", asked.request));
            match (&asked.request, event) {
                (Request::Command(_), Event::Reply(..)) | (Request::Prepare, Event::Prepared(_)) => {}
                (Request::Facts(name), Event::Facts(_, facts)) => {
                    assert_eq!(facts.size, (*name == path("/f")).then_some(SIZE));
                    assert_eq!(facts.modify.is_some(), *name == path("/f"));
                }
                (Request::Retrieve(part), Event::Refused(_, Verb::Rest, _)) => {
                    assert!(!habits.rest && part.offset > 0);
                }
                (Request::Retrieve(part), Event::Refused(_, Verb::Retr, reply)) => {
                    assert_eq!((reply.code().get(), &part.path), (550, &path("/gone")));
                }
                (Request::Retrieve(part), Event::Finished(_, finish)) => check_finish(asked, part, finish),
                (request, event) => panic!("{request:?}: {event:?}"),
            }
        }
    }
}

fn check_finish(asked: &Asked, part: &Retrieve, finish: &Finish) {
    if asked.moved {
        return;
    }
    assert_eq!(asked.at, part.until.end().min(SIZE));
    match (part.until, finish) {
        (Until::Offset(end), Finish::Cut) => assert!(end <= SIZE),
        (Until::Offset(end), Finish::Short { at: SIZE, .. }) => assert!(end > SIZE),
        (Until::Eof | Until::Size(_), Finish::Whole { at: SIZE }) => {}
        // Nothing was wanted, and the server sent all before it said anything.
        (Until::Offset(end), Finish::Whole { at }) => assert!(*at == end && part.offset == end),
        (until, finish) => panic!("{until:?}: {finish:?}"),
    }
}

#[derive(Clone, Debug)]
enum Op {
    Step(u8, u8),
    Request(Request),
    SetEnd(u64, u64),
}

fn op() -> impl Strategy<Value = Op> {
    let names = || select(vec!["/f", "/f", "/f", "/f", "/gone"]).prop_map(path);
    let until = prop_oneof![
        1 => Just(Until::Eof),
        1 => Just(Until::Size(SIZE)),
        2 => (0..SIZE + 3).prop_map(Until::Offset),
    ];
    let retrieve = (names(), 0..=SIZE, until).prop_map(|(path, offset, until)| {
        let offset = offset.saturating_sub(SIZE / 4).min(until.end());
        Request::Retrieve(Retrieve::new(path, offset, until))
    });
    let commands = vec![Command::Noop, Command::Cwd(path("/pub")), Command::Syst];
    prop_oneof![
        40 => (0..4_u8, 0..40_u8).prop_map(|(what, much)| Op::Step(what, much)),
        3 => retrieve.prop_map(Op::Request),
        1 => Just(Op::Request(Request::Prepare)),
        1 => names().prop_map(|name| Op::Request(Request::Facts(name))),
        1 => select(commands).prop_map(|command| Op::Request(Request::Command(command))),
        1 => (0..8_u64, 0..SIZE).prop_map(|(id, end)| Op::SetEnd(id, end)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_fair_server_serves_every_request(
        depth in select(vec![1_usize, 2, 3, 4, 16]),
        habits in habits(),
        ops in prop::collection::vec(op(), 0..200),
    ) {
        let mut world = World::new(session(depth, |_| {}), habits);
        world.session.handle_channel(Channel::Control, Change::Connected, NOW);
        for op in ops {
            match op {
                Op::Step(what, much) => { world.step(what, much); }
                Op::Request(request) => world.request(request),
                Op::SetEnd(id, end) => world.set_end(id, end),
            }
        }
        world.settle();
        world.check();
        prop_assert_eq!(world.session.poll_timeout(), None);
    }
}
