//! The transport of the simulation.

mod clients;
mod payload;
mod segments;
mod servers;

use super::MemorySink;
use super::client::Client;
use super::deadlines::{Deadlines, Party};
use super::pipes::Pipes;
use super::record::Record;
use super::server::{Seen, Served, Server};
use super::tcp::{Packet, Stream};
use crate::model::{Host, Model, Stats, Tree};
use ftp_proto::{
    Cause, Change, Channel, Config, End, Event, Instant, Link, Report, Request, RequestId, Retrieve, Route,
    SessionId, Transport, Until,
};
use std::collections::{BTreeMap, VecDeque};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The path between the client and a server.
#[derive(Clone, Copy, Debug)]
pub struct Path {
    /// The time from one end to the other: half a round trip.
    pub latency: Duration,
    /// Payload bytes per second, all connections together; `None` for no limit.
    pub bytes_per_second: Option<u64>,
}

impl Path {
    /// A path without a limit and with a round trip of `millis` milliseconds.
    pub const fn of_round_trip(millis: u64) -> Self {
        Self { latency: Duration::from_micros(millis * 500), bytes_per_second: None }
    }
}

/// An event that is planned for a time.
#[derive(Debug)]
enum Happening {
    ControlConnected(SessionId),
    ControlRefused(SessionId),
    ControlAccepted(SessionId, usize),
    Dialled(SessionId, usize),
    ToServer(SessionId, Vec<u8>),
    ToClient(SessionId, Vec<u8>),
    ControlEnded(SessionId, End),
    ClientGone(SessionId),
    DataDialled(SessionId, u64),
    DataConnected(SessionId, u64),
    DataRefused(SessionId, u64),
    DataAccepted(SessionId, u64),
    Payload(SessionId, u64, Vec<u8>),
    Turn(usize),
    Arrived(u64, Packet),
    Acknowledged(u64, Packet),
    TimedOut(u64, u64),
    DataEnded(SessionId, u64, End),
    DataClosed(SessionId, u64),
    Read(SessionId, u64, usize),
    Flush(SessionId),
    Replace(usize, Tree),
}

/// Real links and model servers over pipes, on a virtual clock.
#[derive(Debug)]
pub struct SimTransport {
    now: Duration,
    sink: Arc<MemorySink>,
    servers: Vec<Server>,
    clients: BTreeMap<SessionId, Client>,
    served: BTreeMap<SessionId, Served>,
    /// Data connections with congestion control.
    streams: BTreeMap<u64, Stream>,
    deadlines: Deadlines,
    /// Planned events, by time and then by the order in which they were planned.
    agenda: BTreeMap<(Duration, u64), Happening>,
    serial: u64,
    reports: VecDeque<Report<Infallible>>,
    first_payload: BTreeMap<SessionId, Instant>,
    events: Vec<(Instant, SessionId, Event)>,
    black_holes: Vec<SocketAddr>,
    /// Calls of `wait` since the clock last moved.
    waits: u32,
    steps: u64,
    record: Arc<Mutex<Record>>,
}

impl SimTransport {
    /// A network without servers, at time zero.
    pub fn new(sink: Arc<MemorySink>) -> Self {
        Self {
            now: Duration::ZERO,
            sink,
            servers: Vec::new(),
            clients: BTreeMap::new(),
            served: BTreeMap::new(),
            streams: BTreeMap::new(),
            deadlines: Deadlines::default(),
            agenda: BTreeMap::new(),
            serial: 0,
            reports: VecDeque::new(),
            first_payload: BTreeMap::new(),
            events: Vec::new(),
            black_holes: Vec::new(),
            waits: 0,
            steps: 0,
            record: Arc::default(),
        }
    }

    /// Adds a server, and returns its address.
    pub fn add(&mut self, model: Model, path: Path) -> SocketAddr {
        let host = u8::try_from(self.servers.len() + 1).expect("a simulation has less than 256 servers");
        let address = SocketAddr::from(([192, 0, 2, host], 21));
        self.servers.push(Server::new(address, Host::new(model), path));
        address
    }

    /// Returns what the server at `address` has seen.
    pub fn stats(&self, address: SocketAddr) -> &Stats {
        let server = self.servers.iter().find(|server| server.address == address);
        server.expect("a server of this simulation").host.stats()
    }

    /// Returns the counts of an address beside its sessions.
    pub fn seen(&self, address: SocketAddr) -> Seen {
        self.servers
            .iter()
            .find(|server| server.address == address)
            .map(|server| server.seen)
            .unwrap_or_default()
    }

    /// Sets how the connections to a server carry bytes.
    pub fn set_pipes(&mut self, address: SocketAddr, pipes: Pipes) {
        if let Some(server) = self.servers.iter_mut().find(|server| server.address == address) {
            server.pipes = pipes;
        }
    }

    /// Replaces a server's files at that time. Running transfers keep the old ones.
    pub fn replace_at(&mut self, at: Duration, address: SocketAddr, tree: Tree) {
        if let Some(server) = self.servers.iter().position(|server| server.address == address) {
            self.plan_at(at, Happening::Replace(server, tree));
        }
    }

    /// Returns the record of all calls and reports.
    pub fn record(&self) -> Arc<Mutex<Record>> {
        Arc::clone(&self.record)
    }

    /// Replaces the record.
    pub fn set_record(&mut self, record: Arc<Mutex<Record>>) {
        self.record = record;
    }

    fn recording(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the sink that all sessions write to.
    pub fn sink(&self) -> Arc<MemorySink> {
        Arc::clone(&self.sink)
    }

    /// Returns when the first payload byte of each session arrived.
    pub const fn first_payload(&self) -> &BTreeMap<SessionId, Instant> {
        &self.first_payload
    }

    /// Returns every event of every session, and its time.
    pub fn events(&self) -> &[(Instant, SessionId, Event)] {
        &self.events
    }

    /// Adds an address at which nothing ever answers.
    pub fn black_hole(&mut self) -> SocketAddr {
        let address = self.add(Model::default(), Path::of_round_trip(0));
        self.black_holes.push(address);
        address
    }

    fn plan(&mut self, after: Duration, happening: Happening) {
        self.plan_at(self.now + after, happening);
    }

    fn plan_at(&mut self, at: Duration, happening: Happening) {
        self.serial += 1;
        self.agenda.insert((at, self.serial), happening);
    }

    /// Returns half a round trip of the session's path.
    fn latency(&self, id: SessionId) -> Duration {
        self.clients.get(&id).map_or(Duration::ZERO, |client| self.servers[client.server].path.latency)
    }

    /// Returns when the next event is due.
    fn next(&self) -> Option<Duration> {
        let agenda = self.agenda.keys().next().map(|(at, _)| *at);
        agenda.into_iter().chain(self.deadlines.first().map(|(due, _)| due)).min()
    }

    /// Handles the next event that is due.
    fn step(&mut self) {
        let now = Instant(self.now);
        if self.agenda.keys().next().is_some_and(|(at, _)| *at <= self.now)
            && let Some((_, happening)) = self.agenda.pop_first()
        {
            return self.happen(happening);
        }
        match self.deadlines.first().filter(|(due, _)| *due <= self.now) {
            Some((_, Party::Client(id))) => self.with_client(id, |client| client.link.handle_timeout(now)),
            Some((_, Party::Server(id))) => {
                self.with_served(id, |served, now| served.session.handle_timeout(now));
            }
            None => {}
        }
    }

    fn happen(&mut self, happening: Happening) {
        let now = Instant(self.now);
        match happening {
            Happening::ControlConnected(id) => self.with_client(id, |client| {
                client.connected = true;
                client.link.handle_channel(Channel::Control, Change::Connected, now);
            }),
            Happening::ControlRefused(id) => self.with_client(id, |client| {
                client.link.handle_channel(Channel::Control, Change::Failed(Cause::Refused), now);
            }),
            Happening::Dialled(id, server) => self.dialled(id, server),
            Happening::ControlAccepted(id, server) => self.accept(id, server),
            Happening::ToServer(id, bytes) => {
                self.recording().line(now, id, "->", &bytes);
                self.with_served(id, |served, now| served.session.handle_control(&bytes, now));
            }
            Happening::ToClient(id, bytes) => {
                self.recording().line(now, id, "<-", &bytes);
                self.with_client(id, |client| client.link.handle_bytes(Channel::Control, &bytes, now));
            }
            Happening::ControlEnded(id, end) => self.with_client(id, |client| {
                client.connected = false;
                client.link.handle_channel(Channel::Control, Change::Ended(end), now);
            }),
            Happening::ClientGone(id) => self.client_gone(id),
            Happening::DataConnected(id, serial) => self.with_client(id, |client| {
                if let Some(data) = client.data(serial) {
                    data.connected = true;
                    client.last_up = serial;
                    client.link.handle_channel(Channel::Data, Change::Connected, now);
                }
            }),
            Happening::DataRefused(id, serial) => self.with_client(id, |client| {
                if client.data(serial).is_some() {
                    client.data = None;
                    client.link.handle_channel(Channel::Data, Change::Failed(Cause::Refused), now);
                }
            }),
            Happening::DataDialled(id, serial) => self.data_dialled(id, serial),
            Happening::DataAccepted(id, serial) => self.data_accepted(id, serial),
            Happening::Payload(id, serial, bytes) => {
                self.first_payload.entry(id).or_insert(now);
                self.with_client(id, |client| client.arrived(serial, bytes));
            }
            Happening::Turn(server) => self.take_turn(server),
            Happening::Arrived(serial, packet) => self.arrived(serial, packet),
            Happening::Acknowledged(serial, packet) => self.acknowledged(serial, packet),
            Happening::TimedOut(serial, sent) => self.timed_out(serial, sent),
            Happening::DataEnded(id, serial, end) => self.with_client(id, |client| client.ended(serial, end)),
            Happening::DataClosed(id, serial) => self.data_closed(id, serial),
            Happening::Read(id, serial, len) => {
                self.with_served(id, |served, _| served.was_read(serial, len))
            }
            Happening::Flush(id) => self.flush(id),
            Happening::Replace(server, tree) => self.replace(server, tree),
        }
    }

    fn with_client(&mut self, id: SessionId, act: impl FnOnce(&mut Client)) {
        if let Some(client) = self.clients.get_mut(&id) {
            act(client);
            self.settle_client(id);
        }
    }

    fn with_served(&mut self, id: SessionId, act: impl FnOnce(&mut Served, Duration)) {
        let now = self.now;
        if let Some(served) = self.served.get_mut(&id) {
            act(served, now);
            self.settle_served(id);
        }
    }
}

impl Transport for SimTransport {
    type Sink = MemorySink;

    fn now(&self) -> Instant {
        Instant(self.now)
    }

    fn open(&mut self, id: SessionId, route: Route, config: Arc<Config>) {
        let peer = route.address;
        self.recording().opened(Instant(self.now), id, peer);
        let server = self.servers.iter().position(|server| server.address == peer);
        let link = Link::new(config, route, self.now());
        let at = server.unwrap_or_default();
        self.deadlines.set(Party::Client(id), link.poll_timeout().map(|due| due.0));
        let client = Client { link, server: at, connected: false, data: None, last_up: 0 };
        self.clients.insert(id, client);
        let latency = self.latency(id);
        if let Some(server) = server {
            self.servers[server].seen.dialled += 1;
        }
        match server {
            Some(_) if self.black_holes.contains(&peer) => {}
            Some(server) => self.plan(latency, Happening::Dialled(id, server)),
            None => self.plan(latency * 2, Happening::ControlRefused(id)),
        }
    }

    fn request(&mut self, id: SessionId, request_id: RequestId, request: Request) {
        let now = self.now();
        self.recording().note(now, id, format_args!("{request_id:?} {request:?}"));
        self.with_client(id, |client| {
            client.link.request(request_id, request, now).expect("the engine asks what may be asked");
        });
    }

    fn retrieve(&mut self, id: SessionId, request_id: RequestId, part: Retrieve, sink: Arc<MemorySink>) {
        let now = self.now();
        self.recording().note(now, id, format_args!("{request_id:?} {part:?}"));
        self.with_client(id, |client| {
            client.link.retrieve(request_id, part, sink, now).expect("the engine asks what may be asked");
        });
    }

    fn set_end(&mut self, id: SessionId, request_id: RequestId, until: Until) {
        let now = self.now();
        self.recording().note(now, id, format_args!("{request_id:?} ends at {until:?}"));
        self.with_client(id, |client| client.link.set_end(request_id, until, now));
    }

    fn close(&mut self, id: SessionId) {
        let now = self.now();
        self.recording().note(now, id, format_args!("close"));
        self.with_client(id, |client| client.link.quit(now));
    }

    /// The simulation has only one thread.
    fn waker(&self) -> Arc<dyn Fn() + Send + Sync> {
        Arc::new(|| {})
    }

    fn wait(&mut self, until: Option<Instant>) -> Option<Report<Infallible>> {
        self.waits += 1;
        assert!(
            self.waits < MOST_WAITS,
            "the engine goes round in circles at {:?}, waiting until {until:?}",
            self.now
        );
        loop {
            if let Some(report) = self.reports.pop_front() {
                self.recording().report(self.now(), &report);
                return Some(report);
            }
            let next = self.next();
            match (next, until) {
                (Some(next), Some(until)) if until.0 < next => return self.pass_to(until),
                (Some(next), _) => {
                    self.steps += 1;
                    assert!(self.steps < MOST_STEPS, "no end in sight at {:?}", self.now);
                    self.advance(next);
                    self.step();
                }
                (None, Some(until)) => return self.pass_to(until),
                (None, None) => panic!("nothing will ever happen again, and the download is not over"),
            }
        }
    }
}

impl SimTransport {
    fn pass_to(&mut self, until: Instant) -> Option<Report<Infallible>> {
        self.advance(until.0);
        None
    }

    fn advance(&mut self, to: Duration) {
        if to > self.now {
            self.now = to;
            self.waits = 0;
        }
    }
}

/// Waits at one instant that show a client which spins.
const MOST_WAITS: u32 = 100_000;

/// Events of one download that show a download without an end.
const MOST_STEPS: u64 = 20_000_000;
