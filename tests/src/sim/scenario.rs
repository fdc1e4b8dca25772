//! The builder of simulated downloads: a file, servers and the paths to them, what goes wrong, and the client's settings.
//!
//! ```
//! use pftp_tests::model::File;
//! use pftp_tests::sim::{Scenario, SimServer};
//!
//! let slow = SimServer::new().round_trip_ms(150).session_rate(64 * 1024);
//! let download = Scenario::new(File::generated(1, 1 << 20)).server(slow).connections(4).fetch();
//! assert_eq!(download.stats(0).logins(), 4);
//! ```

use super::stage::Stage;
use super::{Congestion, Disk, Keeper, MemorySink, Path, Pipes, SimTransport};
use crate::model::{Behaviour, Cut, File, Interruption, Model, Stats, Tree, WhenFull};
use ftp_proto::{
    Arg, Config, Event, Facts, Instant, RepresentationType, SessionId, Sink as _, Transport as _,
};
use pftp::drive::drive;
use pftp::exit::{Failure, Kind};
use pftp::plan::{Before, Planner, Settings, Source};
use pftp::ranges::RangeSet;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

/// The path of the file that a scenario downloads.
pub const FILE_PATH: &str = "pub/file";

/// The round trip to a server whose scenario names none, in milliseconds.
const USUAL_ROUND_TRIP_MS: u64 = 40;

/// A server and the path to it.
#[derive(Clone, Debug)]
pub struct SimServer {
    file: Option<File>,
    others: Vec<(&'static str, File)>,
    has_no_file: bool,
    behaviour: Behaviour,
    sessions: Vec<(usize, Behaviour)>,
    path: Path,
    losses: Option<u64>,
    is_black_hole: bool,
    addresses: Vec<Address>,
}

/// An address of a server's name.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Address {
    /// The server's own.
    Own,
    /// An address at which nothing ever answers.
    BlackHole,
    /// An address that refuses connections.
    Refused,
    /// The address of the server with this index.
    OfServer(usize),
}

impl Default for SimServer {
    fn default() -> Self {
        Self::new()
    }
}

impl SimServer {
    /// A well-behaved server with the scenario's file, 40 ms away, on a path without a limit.
    pub fn new() -> Self {
        Self {
            file: None,
            others: Vec::new(),
            has_no_file: false,
            behaviour: Behaviour::default(),
            sessions: Vec::new(),
            path: Path::of_round_trip(USUAL_ROUND_TRIP_MS),
            losses: None,
            is_black_hole: false,
            addresses: vec![Address::Own],
        }
    }

    /// A server that never answers a SYN.
    pub fn black_hole() -> Self {
        Self { is_black_hole: true, ..Self::new() }
    }

    /// A server that refuses every connection.
    pub fn refusing() -> Self {
        Self::new().session_limit(0, WhenFull::Refuse)
    }

    /// Sets how all sessions behave.
    pub fn behaving(mut self, behaviour: Behaviour) -> Self {
        self.behaviour = behaviour;
        self
    }

    /// Changes how all sessions behave.
    pub fn with(mut self, change: impl FnOnce(Behaviour) -> Behaviour) -> Self {
        self.behaviour = change(self.behaviour);
        self
    }

    /// Sets how the session with this number behaves, from 0 in the order in which the server accepts them.
    pub fn session(self, number: usize, behaviour: Behaviour) -> Self {
        self.sessions(number..number + 1, &behaviour)
    }

    /// Sets how the sessions with these numbers behave.
    pub fn sessions(mut self, numbers: Range<usize>, behaviour: &Behaviour) -> Self {
        self.sessions.extend(numbers.map(|number| (number, behaviour.clone())));
        self
    }

    /// Throttles each session to so many bytes per second.
    pub fn session_rate(self, bytes_per_second: u64) -> Self {
        self.with(|behaviour| Behaviour { bytes_per_second: Some(bytes_per_second), ..behaviour })
    }

    /// Serves at most `sessions` sessions at a time.
    pub fn session_limit(self, sessions: usize, when_full: WhenFull) -> Self {
        self.with(|behaviour| behaviour.with_cap(sessions, when_full))
    }

    /// Interrupts every transfer of one session after so many bytes.
    pub fn interrupting(self, session: usize, after: u64, how: Interruption) -> Self {
        let behaviour = self.behaviour_of(session).cutting_every(Cut::silent(after, how));
        self.session(session, behaviour)
    }

    /// Serves another file than the scenario's, under the same name.
    pub fn serving(mut self, file: File) -> Self {
        self.file = Some(file);
        self
    }

    /// Serves a further file.
    pub fn with_file(mut self, path: &'static str, file: File) -> Self {
        self.others.push((path, file));
        self
    }

    /// Serves no file at all.
    pub fn without_file(mut self) -> Self {
        self.has_no_file = true;
        self
    }

    /// Sets the round trip of the path.
    pub fn round_trip_ms(mut self, millis: u64) -> Self {
        self.path.latency = Duration::from_micros(millis * 500);
        self
    }

    /// Limits the path to so many bytes per second, all connections together.
    pub fn path_rate(mut self, bytes_per_second: u64) -> Self {
        self.path.bytes_per_second = Some(bytes_per_second);
        self
    }

    /// Limits the path to so many megabits per second, all connections together.
    pub fn path_megabits(self, megabits: u64) -> Self {
        self.path_rate(megabits * 1_000_000 / 8)
    }

    /// Puts TCP's congestion control on the path, which loses so many packets of a million at random.
    pub fn congested(mut self, losses: u64) -> Self {
        self.losses = Some(losses);
        self
    }

    /// Sets the addresses that the server's name has, in the resolver's order.
    pub fn at(mut self, addresses: impl Into<Vec<Address>>) -> Self {
        self.addresses = addresses.into();
        self
    }

    /// Returns how the session with this number behaves.
    pub fn behaviour_of(&self, session: usize) -> Behaviour {
        let own = self.sessions.iter().rev().find(|(number, _)| *number == session);
        own.map_or(&self.behaviour, |(_, behaviour)| behaviour).clone()
    }

    /// Returns the round trip of the path.
    pub fn round_trip(&self) -> Duration {
        self.path.latency * 2
    }

    /// Returns how many packets of a million the path loses, if it has TCP's congestion control.
    pub fn losses(&self) -> Option<u64> {
        self.losses
    }

    /// Whether the server serves every session at the first attempt, and all of them alike.
    pub fn is_well_behaved(&self) -> bool {
        let bytes_per_second = self.behaviour.bytes_per_second;
        self.behaviour == Behaviour { bytes_per_second, ..Behaviour::default() }
            && self.sessions.iter().all(|(_, behaviour)| behaviour.on.is_empty())
            && !self.is_black_hole
    }

    fn add_to(&self, transport: &mut SimTransport, file: &File, seed: u64) -> SocketAddr {
        if self.is_black_hole {
            return transport.black_hole();
        }
        let mut tree = Tree::new();
        if !self.has_no_file {
            tree = tree.with(FILE_PATH, self.file.as_ref().unwrap_or(file).clone());
        }
        for (path, file) in &self.others {
            tree = tree.with(path, file.clone());
        }
        let model = Model::new(tree).with_behaviour(self.behaviour.clone());
        let sessions = self.sessions.iter();
        let model =
            sessions.fold(model, |model, (number, behaviour)| model.with_session(*number, behaviour.clone()));
        let address = transport.add(model, self.path);
        if let Some(losses) = self.losses {
            transport.set_pipes(address, Pipes::congested(Congestion::of_losses(losses, seed)));
        }
        address
    }
}

/// A download to simulate.
#[derive(Clone, Debug)]
pub struct Scenario {
    file: File,
    servers: Vec<SimServer>,
    connections: usize,
    begin_with: Option<usize>,
    retries: u32,
    min_segment: u64,
    min_tail: u64,
    seed: u64,
    lookup: Option<Duration>,
    earlier: Option<EarlierRun>,
    traced: bool,
}

/// The bytes and the journal that an earlier run has left.
#[derive(Clone, Debug)]
struct EarlierRun {
    size: u64,
    ranges: Vec<Range<u64>>,
    bytes_are_right: bool,
}

impl Scenario {
    /// A download of this file over one connection, with the client's usual settings.
    pub fn new(file: File) -> Self {
        Self {
            file,
            servers: Vec::new(),
            connections: 1,
            begin_with: None,
            retries: 5,
            min_segment: 64 * 1024,
            min_tail: 4 * 1024,
            seed: 1,
            lookup: None,
            earlier: None,
            traced: false,
        }
    }

    /// Adds a mirror.
    pub fn server(self, server: SimServer) -> Self {
        self.servers([server])
    }

    /// Adds mirrors.
    pub fn servers(mut self, servers: impl IntoIterator<Item = SimServer>) -> Self {
        self.servers.extend(servers);
        self
    }

    /// Opens so many connections, all mirrors together.
    pub fn connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }

    /// Opens `begin_with` connections, and others up to `most` where they pay.
    pub fn growing(mut self, begin_with: usize, most: usize) -> Self {
        (self.begin_with, self.connections) = (Some(begin_with), most);
        self
    }

    /// Sets the fresh attempts per mirror without progress.
    pub fn retries(mut self, retries: u32) -> Self {
        self.retries = retries;
        self
    }

    /// Sets the bytes below which the file is not split at first.
    pub fn min_segment(mut self, bytes: u64) -> Self {
        self.min_segment = bytes;
        self
    }

    /// Sets the bytes below which no tail is taken from a running transfer.
    pub fn min_tail(mut self, bytes: u64) -> Self {
        self.min_tail = bytes;
        self
    }

    /// Sets where the client's jitter and the losses of congested paths start from.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Looks up a checksum of the file on the servers, for at most so long on each.
    pub fn looking_up_a_checksum(mut self, most: Duration) -> Self {
        self.lookup = Some(most);
        self
    }

    /// Resumes after a run that has fetched `ranges` of a file of `size` bytes: of the scenario's file if
    /// `bytes_are_right`, of a file of zeros otherwise.
    pub fn resuming(mut self, size: u64, ranges: &[Range<u64>], bytes_are_right: bool) -> Self {
        self.earlier = Some(EarlierRun { size, ranges: ranges.to_vec(), bytes_are_right });
        self
    }

    /// Keeps the text of everything that happens.
    pub fn traced(mut self) -> Self {
        self.traced = true;
        self
    }

    /// Builds the servers and paths, for sessions that a test drives itself.
    pub fn build(&self) -> (SimTransport, Vec<SocketAddr>) {
        let mut transport = SimTransport::new(Arc::default());
        if self.traced {
            transport.record().lock().unwrap_or_else(PoisonError::into_inner).keep_text();
        }
        let add = |server: &SimServer| server.add_to(&mut transport, &self.file, self.seed);
        let addresses = self.servers.iter().map(add).collect();
        (transport, addresses)
    }

    /// Runs the download to its end.
    pub fn run(self) -> Download {
        self.run_with(None).0
    }

    /// Runs the download to its end. Panics if it fails or a byte is wrong.
    #[track_caller]
    pub fn fetch(self) -> Download {
        let download = self.run();
        download.assert_complete();
        download
    }

    /// Runs the download with a journal, which resumes what the keeper's disk has. Returns the disk that the run leaves
    /// if the keeper ended it.
    pub fn run_with_journal(self, keeper: Keeper) -> (Download, Option<Disk>) {
        self.run_with(Some(keeper))
    }

    fn run_with(self, keeper: Option<Keeper>) -> (Download, Option<Disk>) {
        let (mut transport, addresses) = self.build();
        let sink = transport.sink();
        let names = self.resolved(&mut transport, &addresses);
        let mut settings = self.settings(&names);
        if let Some(earlier) = &self.earlier {
            settings.before = earlier.leave(&self.file, &sink);
        }
        if let Some(keeper) = &keeper {
            let Ok(()) = sink.write_at(0, keeper.disk().bytes());
            settings.before = keeper.disk().before();
        }
        let mut stage = Stage::new(names, Arc::clone(&sink));
        stage.keeper = keeper;
        let mut planner = Planner::new(settings, Instant::ZERO);
        let result = drive(&mut planner, &mut transport, &sink, &mut stage).map_err(Failure::from);
        let left = stage.keeper.filter(Keeper::was_ended).map(|keeper| keeper.left(&planner, &sink));
        let download =
            Download { file: self.file, result, warnings: stage.warnings, addresses, transport, sink };
        (download, left)
    }

    /// The addresses of each server's name.
    fn resolved(&self, transport: &mut SimTransport, addresses: &[SocketAddr]) -> Vec<Vec<SocketAddr>> {
        let mut resolve = |own: SocketAddr, address: &Address| match address {
            Address::Own => own,
            Address::BlackHole => transport.black_hole(),
            Address::Refused => SocketAddr::from(([192, 0, 2, 99], 21)),
            Address::OfServer(index) => addresses[*index],
        };
        let names = self.servers.iter().zip(addresses);
        names.map(|(server, own)| server.addresses.iter().map(|it| resolve(*own, it)).collect()).collect()
    }

    fn settings(&self, names: &[Vec<SocketAddr>]) -> Settings {
        // Messages call a server by its first address that is its own.
        let mut settings = settings(names, self.connections);
        if let Some(begin_with) = self.begin_with {
            settings.begin_with = NonZeroUsize::new(begin_with).expect("at least one connection");
        }
        settings.retries = self.retries;
        settings.min_segment = self.min_segment;
        settings.min_tail = self.min_tail;
        settings.seed = self.seed;
        settings.search = self.lookup;
        settings
    }
}

impl EarlierRun {
    /// Writes the bytes of the earlier run, and returns its journal.
    fn leave(&self, file: &File, sink: &MemorySink) -> Before {
        let mut done = RangeSet::new();
        for range in &self.ranges {
            let there = range.start..range.end.min(file.size());
            if self.bytes_are_right && !there.is_empty() {
                let Ok(()) = sink.write_at(there.start, &file.read(there));
            }
            done.insert(range.clone());
        }
        let zeros = |range: Range<u64>| {
            let len = usize::try_from(range.end - range.start).expect("a range fits into memory");
            Ok::<_, Infallible>(vec![0; len].into())
        };
        let Ok(before) = Before::new(Facts { size: Some(self.size), ..Facts::default() }, done, zeros);
        before
    }
}

/// A download that has ended.
#[derive(Debug)]
pub struct Download {
    file: File,
    result: Result<u64, Failure>,
    /// The warnings for the user.
    pub warnings: Vec<String>,
    addresses: Vec<SocketAddr>,
    transport: SimTransport,
    sink: Arc<MemorySink>,
}

impl Download {
    /// Panics unless the whole file came, and every byte is right.
    #[track_caller]
    pub fn assert_complete(&self) {
        assert_eq!(self.result, Ok(self.file.size()), "{:?}", self.warnings);
        assert!(self.is_exact(), "the bytes are wrong");
    }

    /// Whether exactly the scenario's file was written.
    pub fn is_exact(&self) -> bool {
        self.sink.holds(&self.file)
    }

    /// Whether the download succeeded.
    pub fn succeeded(&self) -> bool {
        self.result.is_ok()
    }

    /// Returns why the download failed. Panics if it succeeded.
    #[track_caller]
    pub fn failure(&self) -> &Failure {
        self.result.as_ref().expect_err("the download fails")
    }

    /// Returns the kind of the failure. Panics if the download succeeded.
    #[track_caller]
    pub fn failure_kind(&self) -> Kind {
        self.failure().kind()
    }

    /// Whether a warning about this server begins with these words.
    pub fn warned(&self, server: usize, words: &str) -> bool {
        let start = format!("{}: {words}", self.addresses[server]);
        self.warnings.iter().any(|warning| warning.starts_with(&start))
    }

    /// Returns what a server has seen.
    pub fn stats(&self, server: usize) -> &Stats {
        self.transport.stats(self.addresses[server])
    }

    /// Returns what all servers have seen.
    pub fn all_stats(&self) -> impl Iterator<Item = &Stats> {
        self.addresses.iter().map(|address| self.transport.stats(*address))
    }

    /// Returns how many logins all servers accepted.
    pub fn logins(&self) -> u32 {
        self.all_stats().map(Stats::logins).sum()
    }

    /// Returns how many payload bytes all servers sent.
    pub fn sent(&self) -> u64 {
        self.all_stats().map(Stats::payload).sum()
    }

    /// Returns how many bytes were written; bytes that came twice count twice.
    pub fn written(&self) -> u64 {
        self.sink.written()
    }

    /// Returns what was written, gaps as zeros.
    pub fn contents(&self) -> Vec<u8> {
        self.sink.contents()
    }

    /// Returns how often a server was dialled.
    pub fn dialled(&self, server: usize) -> u32 {
        self.transport.seen(self.addresses[server]).dialled
    }

    /// Returns the time at which the last transfer ended.
    pub fn took(&self) -> Duration {
        let ends = self.events().filter(|(.., event)| matches!(event, Event::Finished(..)));
        ends.map(|(at, ..)| *at).max().unwrap_or(Instant::ZERO).0
    }

    /// Returns the time at which the user learns that the download is over.
    pub fn ended(&self) -> Duration {
        self.transport.now().0
    }

    /// Returns every event of every session, in the order of time.
    pub fn events(&self) -> impl Iterator<Item = &(Instant, SessionId, Event)> {
        self.transport.events().iter()
    }

    /// Returns how many sessions ended, however they did.
    pub fn closed_sessions(&self) -> usize {
        self.events().filter(|(.., event)| matches!(event, Event::Closed(_))).count()
    }

    /// Returns when the first payload byte of each session came.
    pub fn first_bytes(&self) -> impl Iterator<Item = Instant> {
        self.transport.first_payload().values().copied()
    }

    /// Returns the hash of everything that happened.
    pub fn hash(&self) -> u64 {
        self.transport.record().lock().unwrap_or_else(PoisonError::into_inner).hash()
    }

    /// Returns everything that happened, line by line, if the scenario was traced.
    pub fn trace(&self) -> Vec<String> {
        self.transport.record().lock().unwrap_or_else(PoisonError::into_inner).text().to_vec()
    }
}

/// Returns the settings of a download from servers whose names are these addresses, with `connections` connections.
pub fn settings(names: &[Vec<SocketAddr>], connections: usize) -> Settings {
    let path = Arg::new(FILE_PATH).expect("a path of a test is an argument");
    let source = |addresses: &Vec<SocketAddr>| Source {
        server: addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        path: path.clone(),
        config: Config::default(),
        connections: 1,
    };
    let connections = NonZeroUsize::new(connections).expect("at least one connection");
    Settings {
        sources: names.iter().map(source).collect(),
        connections,
        begin_with: connections,
        retries: 5,
        min_segment: 64 * 1024,
        min_tail: 4 * 1024,
        in_order: false,
        representation: RepresentationType::Image,
        seed: 1,
        before: Before::default(),
        search: None,
    }
}
